"""rpusim.nn layers, networks and losses: against float64 formulas, finite differences and SciPy."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from scipy.special import log_softmax

from rpusim.algorithms import DigitalSGD
from rpusim.nn import Linear, ReLU, Sequential, Sigmoid, Tanh, cross_entropy, squared_error
from rpusim.nn import losses as loss_module


class DigitalTile:
    """The tile contract in plain NumPy, with a list of what was called."""

    def __init__(self, shape, rng):
        self.shape, self.rng = shape, rng
        self.w = np.zeros(shape, np.float32)
        self.calls = []

    @property
    def weights(self):
        return self.w.copy()

    def forward(self, x):
        assert x.dtype == np.float32 and x.flags.c_contiguous and x.shape[1:] == self.shape[1:]
        self.calls.append("forward")
        return x @ self.w.T

    def backward(self, d):
        assert d.dtype == np.float32 and d.shape[1] == self.shape[0]
        self.calls.append("backward")
        return d @ self.w

    def update(self, x, d, lr):
        self.calls.append("update")
        self.w -= lr * d.T @ x

    def end_batch(self):
        pass

    def program(self, w):
        assert w.dtype == np.float32 and w.shape == self.shape
        self.w[:] = w

    def state_dict(self):
        return {"w": self.w.copy()}

    def load_state_dict(self, state):
        if state["w"].shape != self.shape:
            raise ValueError("state has another shape")
        self.w[:] = state["w"]


class Digital:
    def build(self, shape, rng):
        return DigitalTile(shape, rng)

    def __repr__(self):
        return "Digital()"


FUNCTIONS = {Sigmoid: lambda x: 1 / (1 + np.exp(-x)), Tanh: np.tanh, ReLU: lambda x: np.maximum(x, 0)}


def reference(net, x):
    """The network in float64, as a formula."""
    x = np.asarray(x, np.float64)
    for layer in net.layers:
        if isinstance(layer, Sequential):
            x = reference(layer, x)
        elif isinstance(layer, Linear):
            w = layer.tile.w.astype(np.float64)
            x = x @ w[:, : layer.in_features].T + (w[:, -1] if layer.bias else 0)
        else:
            x = FUNCTIONS[type(layer)](x)
    return x


def reference_loss(name, y, target):
    if name == "cross_entropy":
        return -log_softmax(y, axis=1)[np.arange(len(y)), target].sum()
    return 0.5 * ((y - target) ** 2).sum()


def difference(function, array, step=1e-6):
    """dfunction/darray by central differences."""
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        moved = array.copy()
        moved[index] += step
        high = function(moved)
        moved[index] -= 2 * step
        gradient[index] = (high - function(moved)) / (2 * step)
    return gradient


def networks():
    rule = Digital()
    for activation in FUNCTIONS:
        yield Sequential(Linear(5, 7, rule), activation(), Linear(7, 4, rule, bias=False), activation(), Linear(4, 3, rule))
    yield Sequential(Linear(5, 3, rule), Linear(3, 3, rule))
    yield Sequential(Tanh(), Sequential(Linear(5, 6, rule), Sigmoid()), Sequential(Linear(6, 3, rule), Tanh()))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("net", list(networks()), ids=repr)
def test_gradients(net, loss, batch):
    rng = np.random.default_rng(1)
    net.build(2)
    x = rng.standard_normal((batch, 5))
    target = rng.integers(0, 3, batch) if loss == "cross_entropy" else rng.standard_normal((batch, 3))
    y = net.forward(x.astype(np.float32))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, reference(net, x), rtol=1e-5, atol=1e-6)
    value, d = {"cross_entropy": cross_entropy, "squared_error": squared_error}[loss](y, target)
    assert value == pytest.approx(reference_loss(loss, reference(net, x), target), rel=1e-5)

    # The input's gradient. (ReLU: no kink is as near as the step.)
    z = net.backward(d)
    wanted = difference(lambda moved: reference_loss(loss, reference(net, moved), target), x)
    np.testing.assert_allclose(z, wanted, rtol=1e-4, atol=2e-6)

    # The weights' gradients, as update has them: summed over the samples, not averaged.
    lr = 0.5
    layers = [layer for part in net.layers for layer in getattr(part, "layers", [part]) if layer.trainable]
    before = [layer.tile.weights for layer in layers]
    net.update(lr)
    after = [layer.tile.weights for layer in layers]
    for layer, w in zip(layers, before, strict=True):
        layer.tile.w = w.astype(np.float64)  # the reference is read with these
    for layer, old, new in zip(layers, before, after, strict=True):

        def moved_loss(w, layer=layer):
            kept, layer.tile.w = layer.tile.w, w
            try:
                return reference_loss(loss, reference(net, x), target)
            finally:
                layer.tile.w = kept

        wanted = difference(moved_loss, old.astype(np.float64))
        assert np.abs(wanted).max() > 1e-3
        np.testing.assert_allclose((old.astype(np.float64) - new) / lr, wanted, rtol=1e-4, atol=3e-6)


def test_bias_is_the_last_column_with_input_one():
    layer = Linear(3, 2, Digital())
    layer.build(0)
    assert layer.tile.shape == (2, 4)
    layer.tile.program(np.array([[1, 2, 3, 10], [4, 5, 6, 20]], np.float32))
    x = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    np.testing.assert_array_equal(layer.forward(x), [[11, 24], [15, 31]])
    np.testing.assert_array_equal(layer.backward(np.ones((2, 2), np.float32)), [[5, 7, 9]] * 2)
    layer.update(1.0)
    np.testing.assert_array_equal(layer.tile.w[:, -1], [8, 18])


def test_initial_weights_are_uniform_and_seeded():
    layer = Linear(400, 300, Digital())
    layer.build(5)
    w = layer.tile.weights
    bound = 1 / 20
    assert np.abs(w).max() <= bound and np.abs(w).max() > 0.999 * bound
    # Var of the uniform law is bound^2 / 3; its standard error over n draws is bound^2 * sqrt(4 / 45 / n).
    assert abs(w.var() - bound**2 / 3) < 5 * bound**2 * np.sqrt(4 / 45 / w.size)
    assert abs(w.mean()) < 5 * bound / np.sqrt(3 * w.size)
    other = Linear(400, 300, Digital())
    other.build(5)
    np.testing.assert_array_equal(other.tile.weights, w)
    other.build(6)
    assert not np.array_equal(other.tile.weights, w)


def test_each_layer_has_its_own_seed():
    net = Sequential(Linear(4, 4, Digital()), Linear(4, 4, Digital()))
    net.build(np.random.SeedSequence(3))
    a, b = (layer.tile for layer in net.layers)
    assert not np.array_equal(a.w, b.w)
    assert a.rng.generate_state(2).tolist() != b.rng.generate_state(2).tolist()


def test_input_buffer_is_reused_for_equal_batches_only():
    layer = Linear(3, 2, Digital())
    layer.build(0)
    for rows in (1, 4, 1):
        x = np.random.default_rng(rows).random((rows, 3), np.float32)
        y = layer.forward(x)
        buffer = layer._input
        np.testing.assert_array_equal(layer.forward(x), y)
        assert layer._input is buffer
        np.testing.assert_allclose(y, x @ layer.tile.w[:, :-1].T + layer.tile.w[:, -1], rtol=1e-6)


def test_first_tile_is_not_read_backward_without_need():
    net = Sequential(Tanh(), Linear(3, 4, Digital()), Tanh(), Linear(4, 2, Digital()))
    net.build(0)
    net.forward(np.ones((1, 3), np.float32))
    assert net.backward(np.ones((1, 2), np.float32), input_gradient=False) is None
    net.update(0.1)
    assert net.layers[1].tile.calls == ["forward", "update"]
    assert net.layers[3].tile.calls == ["forward", "backward", "update"]


def test_sigmoid_is_safe_at_any_input():
    x = np.array([[-1e38, -200, 0, 200, 1e38]], np.float32)
    layer = Sigmoid()
    with np.errstate(over="raise", invalid="raise"):
        y = layer.forward(x)
        slope = layer.backward(np.ones_like(x))
    np.testing.assert_allclose(y, [[0, 0, 0.5, 1, 1]], atol=1e-37)
    np.testing.assert_allclose(slope, [[0, 0, 0.25, 0, 0]], atol=1e-37)


@pytest.mark.parametrize("layer", [Sigmoid(), Tanh(), ReLU()], ids=repr)
def test_activations_leave_their_arguments_alone(layer):
    x = np.array([[-1, 2]], np.float32)
    d = np.array([[3, 4]], np.float32)
    y = layer.forward(x)
    kept = y.copy()
    layer.backward(d)
    np.testing.assert_array_equal(x, [[-1, 2]])
    np.testing.assert_array_equal(d, [[3, 4]])
    np.testing.assert_array_equal(y, kept)


def test_predict_in_parts_and_from_lists():
    net = Sequential(Linear(2, 3, Digital()), ReLU())
    net.build(0)
    x = np.random.default_rng(0).standard_normal((7, 2)).astype(np.float32)
    wanted = reference(net, x)
    for size in (1, 3, 7, 100):
        np.testing.assert_allclose(net.predict(x, batch_size=size), wanted, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(net.predict(x.tolist()), wanted, rtol=1e-5, atol=1e-7)
    assert net.predict(x[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match=r"x must have shape \(any, 2\); got \(7, 3\)"):
        net.predict(np.ones((7, 3)))
    with pytest.raises(ValueError, match="x must hold finite float32 numbers; got nan"):
        net.predict([[0.0, np.nan]])


def test_out_of_turn():
    net = Sequential(Linear(2, 2, Digital()), Sigmoid())
    x = np.ones((1, 2), np.float32)
    for act in (lambda: net.forward(x), net.state_dict, lambda: net.load_state_dict({"0": {}})):
        with pytest.raises(RuntimeError, match=r"call build\(rng\) before"):
            act()
    net.build(0)
    for layer in net.layers:
        layer.forward(x, train=False)
        with pytest.raises(RuntimeError, match=r"backward needs a forward\(x, train=True\)"):
            layer.backward(x)
    net.forward(x)
    with pytest.raises(RuntimeError, match=r"update needs a forward"):
        net.update(0.1)
    for wrong in (np.ones(2, np.float32), np.ones((1, 3), np.float32)):  # either could broadcast by mistake
        with pytest.raises(ValueError, match=r"x must have shape \(any, 2\)"):
            net.forward(wrong)


def test_descriptions():
    rule = Digital()
    net = Sequential(Linear(4, 3, rule), Sigmoid(), Linear(3, 2, rule, bias=False))
    assert repr(net) == "Sequential(Linear(4, 3, Digital()), Sigmoid(), Linear(3, 2, Digital(), bias=False))"
    assert (net.in_features, net.out_features, net.trainable, net.built) == (4, 2, True, False)
    assert Sequential(ReLU(), Sequential(net, Tanh())).in_features == 4
    with pytest.raises(ValueError, match=r"layers\[2\] must take 3 features.*got Linear\(4, 2"):
        Sequential(Linear(4, 3, rule), Tanh(), Linear(4, 2, rule))
    with pytest.raises(ValueError, match="layers must be layers of their own"):
        tanh = Tanh()
        Sequential(tanh, Linear(4, 3, rule), tanh)
    with pytest.raises(TypeError, match=r"layers\[0\] must be a layer; got"):
        Sequential([Tanh()])
    with pytest.raises(ValueError, match="at least one layer"):
        Sequential()
    with pytest.raises(ValueError, match="in_features must be an integer of at least 1; got 0"):
        Linear(0, 3, rule)
    with pytest.raises(TypeError, match="rule must be the specification of an algorithm"):
        Linear(2, 3, Digital)
    with pytest.raises(TypeError, match="bias must be True or False; got 1"):
        Linear(2, 3, rule, bias=1)


def test_state_round_trip_and_failed_load_leaves_the_old_state():
    def make(seed):
        net = Sequential(Linear(3, 4, Digital()), Tanh(), Sequential(Linear(4, 2, Digital())))
        net.build(seed)
        return net

    one, two = make(1), make(2)
    x = np.ones((2, 3), np.float32)
    state = one.state_dict()
    assert set(state) == {"0", "2"}
    before = two.predict(x)
    assert not np.array_equal(before, one.predict(x))
    broken = {"0": state["0"], "2": {"0": {"tile": {"w": np.ones((9, 9), np.float32)}}}}
    with pytest.raises(ValueError, match="state has another shape"):
        two.load_state_dict(broken)
    with pytest.raises(ValueError, match=r"state must have the entries \['0', '2'\]; got \['0'\]"):
        two.load_state_dict({"0": state["0"]})
    np.testing.assert_array_equal(two.predict(x), before)
    two.load_state_dict(state)
    np.testing.assert_array_equal(two.predict(x), one.predict(x))


@pytest.mark.parametrize("scale", [1, 30, 1e4, 1e15])
@pytest.mark.parametrize("batch", [1, 6])
def test_cross_entropy_against_scipy(batch, scale):
    rng = np.random.default_rng(3)
    y = (scale * rng.standard_normal((batch, 10))).astype(np.float32)
    labels = rng.integers(0, 10, batch)
    loss, gradient = cross_entropy(y, labels)
    logs = log_softmax(y.astype(np.float64), axis=1)
    onehot = np.eye(10)[labels]
    assert isinstance(loss, float) and loss == pytest.approx(-(logs * onehot).sum(), rel=1e-5)
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, np.exp(logs) - onehot, atol=3e-6)
    # Not divided by the batch size: each row is what the sample gives alone.
    for row in range(batch):
        np.testing.assert_allclose(cross_entropy(y[row : row + 1], labels[row : row + 1])[1][0], gradient[row], atol=1e-6)


def test_squared_error():
    loss, gradient = squared_error([[1, 2], [3, 5]], [[0, 0], [3, 4]])
    assert loss == 0.5 * (1 + 4 + 0 + 1)
    np.testing.assert_array_equal(gradient, [[1, 2], [0, 1]])
    assert gradient.dtype == np.float32


def test_steps_do_not_change_their_arguments():
    y = np.array([[1, 2], [3, 4]], np.float32)
    targets = y[::-1].copy()
    for name, target in (("cross_entropy", np.array([0, 1])), ("squared_error", targets)):
        kept = target.copy()
        loss_module.STEPS[name](y, target)
        loss_module.STEPS[name](y[:1], target[:1])
        np.testing.assert_array_equal(y, [[1, 2], [3, 4]])
        np.testing.assert_array_equal(target, kept)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cross_entropy([[0, 0]], [2]), ValueError, "integer labels from 0 to 1; got 2 at index 0"),
        (lambda: cross_entropy([[0, 0]], [-1]), ValueError, "integer labels from 0 to 1; got -1 at index 0"),
        (lambda: cross_entropy([[0, 0]], [1.0]), TypeError, "integer labels from 0 to 1; got dtype float64"),
        (lambda: cross_entropy([[0, 0]], [1, 0]), ValueError, r"labels must have shape \(1,\); got \(2,\)"),
        (lambda: cross_entropy([0, 0], [1]), ValueError, r"outputs must have shape \(any, any\); got \(2,\)"),
        (lambda: cross_entropy([[np.inf, 0]], [1]), ValueError, "outputs must hold finite"),
        (lambda: squared_error([[0, 0]], [0]), ValueError, r"targets must have shape \(1, 2\); got \(1,\)"),
    ],
)
def test_loss_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"])
def test_copies_compute_on_their_own_inputs(copied):
    net = Sequential(Linear(3, 4, DigitalSGD()), Sigmoid(), Linear(4, 2, DigitalSGD()))
    net.build(0)
    x, y = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    net.forward(x)
    other = copied(net)
    np.testing.assert_array_equal(other.forward(y), net.forward(y))
    for each in (net, other):
        each.backward(np.ones((5, 2), np.float32), False)
        each.update(0.1)
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
