"""Digital layers, layers around each other, networks that are saved, and errors."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from scipy import stats

import rpusim as rpu
from rpusim import nn
from rpusim.algorithms import SGD, DigitalSGD

RULE = DigitalSGD()
RNG = np.random.default_rng(11)


def built(layer, seed=1):
    layer.build(seed)
    return layer


def images(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


# ---- convolutions -----------------------------------------------------------------------------------------------------


def test_a_network_that_is_built_again_is_a_new_one():
    mapping = nn.Mapping(digital_bias=True, learn_scale=True, input_range=1.0, learn_input_range=True)
    x, labels = images(9, 4), np.arange(9) % 3

    def trained(net):
        net.build(7)
        trainer = nn.Trainer(net, lr=0.05, batch_size=3, optimizer=nn.Adam(lr_scale=0.1))
        trainer.fit((x, labels), epochs=3)
        return trainer.history.train_loss, net.state_dict()

    net = nn.Sequential(nn.Linear(4, 5, RULE), nn.BatchNorm(5), nn.Linear(5, 3, RULE, mapping=mapping))
    first, again = trained(net), trained(net)
    assert first[0] == again[0]
    flat = [leaf for leaf in (first[1], again[1])]
    assert str(flat[0]) == str(flat[1])


def test_a_state_that_does_not_fit_leaves_all_of_the_network(tmp_path):
    net = nn.Sequential(nn.Linear(4, 4, RULE, mapping=nn.Mapping(max_outputs=2)), nn.Linear(4, 2, RULE))
    net.build(1)
    other = nn.Sequential(nn.Linear(4, 4, RULE, mapping=nn.Mapping(max_outputs=2)), nn.Linear(4, 2, RULE))
    other.build(2)
    state, before = other.state_dict(), [m.weights for m in net.matrices()]
    state["0"]["tile1"] = {}
    with pytest.raises((TypeError, ValueError)):
        net.load_state_dict(state)
    for m, w in zip(net.matrices(), before, strict=True):
        np.testing.assert_array_equal(m.weights, w)


def test_lengths_of_what_is_side_by_side():
    """Of vectors and sequences they are known; along other axes nothing is."""
    side_by_side = nn.Concatenate(nn.LSTM(4, 3, RULE), nn.LSTM(4, 2, RULE))
    net = nn.Sequential(side_by_side, nn.Linear(5, 3, RULE))
    net.build(1)
    assert (side_by_side.out_features, net.forward(images(2, 6, 4)).shape) == (5, (2, 6, 3))
    assert nn.Concatenate(nn.LSTM(4, 3, RULE), nn.LSTM(4, 3, RULE), axis=1).out_features is None
    for block in (nn.Residual(nn.Embedding(10, 4), nn.Embedding(8, 4)), nn.Concatenate(nn.OneHot(10), nn.Embedding(8, 4))):
        trainer = nn.Trainer(nn.Sequential(block, nn.Linear(block.out_features, 3, RULE)), rng=1)
        tokens = np.arange(24).reshape(6, 4) % 8
        assert len(trainer.fit((tokens, tokens % 3), epochs=1)) == 1
        with pytest.raises(ValueError, match="train x must be integers from 0 to 7; got 0 to 9"):
            trainer.fit((np.arange(10)[None], np.zeros((1, 10), int)), epochs=2)


def test_layers_are_there_once_at_any_depth_and_have_names_of_their_own():
    layer = nn.Linear(3, 3, RULE)
    for make in (
        lambda: nn.Sequential(layer, nn.Sequential(nn.Tanh(), layer)),
        lambda: nn.Residual(layer, layer),
        lambda: nn.Concatenate(layer, nn.Sequential(layer)),
    ):
        with pytest.raises(ValueError, match="must be layers of their own; got one that is there twice"):
            make()
    with pytest.raises(TypeError, match="a layer called ReLU exists already, in rpusim.nn.activations"):
        type("ReLU", (nn.Layer,), {})
    assert nn.layer.layer_from_dict(nn.ReLU().to_dict()).__class__ is nn.ReLU
    for _ in range(2):  # a name of one's own may be used again: the last one counts
        mine = type("MineAlone", (nn.Layer,), {"__module__": f"module{_}"})
    assert nn.layer.layer_from_dict({"type": "MineAlone"}).__class__ is mine


# ---- what is digital --------------------------------------------------------------------------------------------------


def test_dropout_has_its_probability_scales_and_repeats_from_a_state():
    layer = built(nn.Dropout(0.3))
    x = np.ones((200, 300), np.float32)
    y = layer.forward(x)
    kept = np.count_nonzero(y)
    assert stats.binomtest(kept, y.size, 0.7).pvalue > 1e-6
    np.testing.assert_allclose(y[y > 0], 1 / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(layer.backward(2 * x), 2 * y)
    state = layer.state_dict()
    second = layer.forward(x)
    assert abs(np.corrcoef(y.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(y.size)
    other = built(nn.Dropout(0.3), seed=2)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.forward(x), second)
    assert layer.forward(x, train=False) is x


def test_batch_norm_normalises_in_training_and_by_its_averages_after():
    layer = nn.BatchNorm(3, momentum=0.5)
    x = images(50, 3, 4, 2) * np.float32([[[[3.0]], [[1.0]], [[0.2]]]]) + 2
    y = layer.forward(x)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-3)
    mean, variance = 0.5 * x.mean(axis=(0, 2, 3)), 0.5 + 0.5 * x.var(axis=(0, 2, 3), ddof=1)
    expected = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    np.testing.assert_allclose(layer.forward(x, train=False), expected, atol=1e-4)


def test_embeddings_and_one_hot_vectors():
    x = np.array([[1, 3, 1], [0, 2, 3]])
    layer = built(nn.Embedding(4, 5))
    table = layer.table.value.copy()
    np.testing.assert_array_equal(layer.forward(x), table[x])
    d = images(2, 3, 5)
    assert layer.backward(d) is None
    layer.update(0.1)
    expected = table.astype(np.float64)
    for i in range(2):
        for j in range(3):
            expected[x[i, j]] -= 0.1 * d[i, j]
    np.testing.assert_allclose(layer.table.value, expected, atol=1e-6)
    one = nn.OneHot(4).forward(x)
    np.testing.assert_array_equal(one.argmax(axis=-1), x)
    assert one.sum() == 6 and one.dtype == np.float32
    net = nn.Sequential(nn.OneHot(4), nn.LSTM(4, 3, RULE), nn.Linear(3, 4, RULE))
    net.build(0)
    assert net.predict(x).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="0 to 3.*got 0 to 4"):
        net.forward(np.array([[0, 4]]))
    with pytest.raises(TypeError, match="integers.*float"):
        net.predict(np.ones((2, 3)))


# ---- saving -----------------------------------------------------------------------------------------------------------


def network():
    rule = SGD(rpu.devices.SoftBounds(dw_min=0.01))
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, rule, replicas=2, assignment="random"),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.BatchNorm(4),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Residual(nn.Sequential(nn.Linear(36, 36, RULE), nn.ReLU())),
        nn.Linear(36, 5, rule, mapping=nn.Mapping(max_inputs=20, digital_bias=True, learn_scale=True), lr_scale=0.5),
    )


def step(net, x, labels):
    _, d = nn.cross_entropy(net.forward(x), labels)
    net.backward(d)
    net.update(0.05)


def test_a_network_is_loaded_to_the_same_bits(tmp_path):
    net = network()
    net.build(3)
    net.set_optimizer(nn.Adam(lr_scale=0.01))
    x, labels = images(6, 1, 8, 8), np.arange(6) % 5
    step(net, x, labels)
    net.save(tmp_path / "net.npz")
    other = nn.load(tmp_path / "net.npz")
    assert repr(other) == repr(net)
    other.set_optimizer(nn.Adam(lr_scale=0.01))
    for _ in range(2):
        for each in (net, other):
            step(each, x, labels)
        np.testing.assert_array_equal(net.predict(x), other.predict(x))
    assert json.loads(json.dumps(net.to_dict())) == other.to_dict()
    assert net.predict(x[:0]).shape == (0, 5)
    rpu.checkpoint.save(tmp_path / "other.npz", {"a": 1})
    with pytest.raises(ValueError, match="other.npz was not written by Sequential.save"):
        nn.load(tmp_path / "other.npz")


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: nn.Conv2d(3, 4, 3, RULE, groups=2), ["groups", "in_channels=3", "2"]),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3), RULE), ["kernel", "pair", "(3, 3, 3)"]),
        (lambda: nn.Conv2d(3, 4, 0, RULE), ["kernel", "1", "0"]),
        (lambda: nn.Conv2d(3, 4, 3, RULE, assignment="random"), ["assignment", "fixed", "random"]),
        (lambda: built(nn.Conv2d(3, 4, 3, RULE)).forward(images(1, 2, 5, 5)), ["x", "3", "(1, 2, 5, 5)"]),
        (lambda: built(nn.Conv2d(3, 4, 6, RULE)).forward(images(1, 3, 5, 5)), ["x", "kernel", "(1, 3, 5, 5)"]),
        (lambda: built(nn.LSTM(3, 4, RULE)).forward(images(2, 3)), ["x", "3", "(2, 3)"]),
        (lambda: nn.Mapping(scale_by_output=True), ["scale_by_output", "weight_scaling"]),
        (lambda: nn.Mapping(input_range=1.0), ["digital_bias", "input_range"]),
        (lambda: nn.Mapping(learn_input_range=True), ["input_range", "None"]),
        (lambda: nn.Dropout(1.0), ["p", "1"]),
        (lambda: nn.MaxPool2d(2).forward(images(2, 3, 4)), ["x", "(any, any, any, any)", "(2, 3, 4)"]),
        (lambda: nn.AvgPool1d(2).forward(images(2, 3, 4, 4)), ["x", "(any, any, any)", "(2, 3, 4, 4)"]),
        (lambda: nn.LastStep().forward(images(2, 3)), ["x", "steps", "(2, 3)"]),
        (lambda: nn.Concatenate(None), ["branches", "at least one", "None"]),
        (lambda: nn.Concatenate(nn.Linear(3, 2, RULE), nn.Linear(4, 2, RULE)), ["branches", "[3, 4]"]),
        (lambda: nn.Concatenate(nn.Linear(3, 2, RULE), axis=0), ["axis", "0", "samples"]),
        (lambda: built(nn.Concatenate(nn.Linear(3, 2, RULE), None, axis=2)).forward(images(2, 3)), ["axis", "(2, 2)", "2"]),
        (
            lambda: built(nn.Concatenate(nn.Linear(3, 2, RULE), None, axis=1)).forward(images(2, 4, 3)),
            ["axis 1", "(2, 4, 2), (2, 4, 3)"],
        ),
        (lambda: nn.BatchNorm(3).forward(images(1, 3)), ["x", "2 values", "(1, 3)"]),
        (lambda: nn.BatchNorm(3).forward(images(4, 2)), ["x", "3", "(4, 2)"]),
        (lambda: nn.layer.layer_from_dict({"type": "Quantum"}), ["data", "Linear", "Quantum"]),
        (lambda: nn.Residual(built(nn.Linear(3, 2, RULE))).forward(images(1, 3)), ["shortcut", "(1, 2)", "(1, 3)"]),
    ],
)
def test_errors_name_the_argument_and_the_value(build, words):
    with pytest.raises(ValueError) as caught:
        build()
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_network_in_use_trains_by_itself(copied):
    rule = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.01))
    net = nn.Sequential(nn.LSTM(3, 4, rule), nn.LastStep(), nn.Linear(4, 2, rule))
    net.build(0)
    x, d = np.ones((2, 5, 3), np.float32), np.ones((2, 2), np.float32)

    def step(one):
        one.forward(x)
        one.backward(d, False)
        one.update(0.1)
        return [matrix.weights for matrix in one.matrices()]

    step(net)
    twin, before = copied(net), [matrix.weights for matrix in net.matrices()]
    moved = step(twin)
    for mine, own, same in zip(moved, before, net.matrices(), strict=True):
        assert np.abs(mine - own).max() > 0.0
        np.testing.assert_array_equal(same.weights, own)
    for mine, same in zip(moved, step(net), strict=True):  # by the same draws
        np.testing.assert_array_equal(mine, same)


def test_an_array_of_ones_own_is_read_by_its_own_methods():
    class Doubled(rpu.CrossbarArray):
        batches = 0

        def forward(self, x, out=None):
            return 2.0 * super().forward(x, out)

        def end_batch(self):
            self.batches += 1

    class Own(DigitalSGD):
        def build(self, shape, rng=None):
            array = Doubled(shape, rpu.devices.Ideal(), forward=rpu.Periphery.ideal(), rng=rng)
            return rpu.algorithms.ArrayTile(self, array)

    layer = nn.Linear(3, 2, Own(), bias=False)
    layer.build(0)
    x = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(layer.forward(x), 2.0 * layer.tile.weights.T)
    layer.backward(np.ones((3, 2), np.float32))
    layer.update(0.1)
    assert layer.tile.array.batches == 1
