"""What is digital around arrays: splits, scales, and input ranges, learned and calibrated."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu
from rpusim import nn
from rpusim.algorithms import DigitalSGD

RULE = DigitalSGD()
RNG = np.random.default_rng(11)


def built(layer, seed=1):
    layer.build(seed)
    return layer


def images(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


def test_large_matrices_are_split_into_arrays_as_equal_as_possible():
    layer = built(nn.Linear(20, 7, RULE, mapping=nn.Mapping(max_inputs=8, max_outputs=3)))  # 21 columns with the bias
    assert [tile.shape for tile in layer.matrix.tiles] == [(2, 7)] * 3 + [(2, 7)] * 3 + [(3, 7)] * 3
    with pytest.raises(AttributeError, match="9 tiles"):
        layer.tile  # noqa: B018
    x = images(4, 20)
    w = layer.matrix.weights
    np.testing.assert_allclose(layer.forward(x), x @ w[:, :-1].T + w[:, -1], atol=1e-6)


@pytest.mark.parametrize("by_output", [False, True])
def test_weight_scaling_uses_the_range_of_the_devices_and_keeps_the_update(by_output):
    mapping = nn.Mapping(weight_scaling=0.6, scale_by_output=by_output)
    plain, scaled = built(nn.Linear(30, 5, RULE)), built(nn.Linear(30, 5, RULE, mapping=mapping))
    held = scaled.tile.weights
    assert np.abs(held).max() == pytest.approx(0.6)
    if by_output:
        np.testing.assert_allclose(np.abs(held).max(axis=1), 0.6, rtol=1e-6)
    np.testing.assert_allclose(scaled.matrix.weights, plain.matrix.weights, atol=1e-7)
    x, d = images(4, 30), images(4, 5)
    for layer in (plain, scaled):
        layer.forward(x)
        layer.backward(d)
        layer.update(0.01)
    np.testing.assert_allclose(scaled.matrix.weights, plain.matrix.weights, atol=1e-6)


def test_input_ranges_clip_and_learn_by_their_rule():
    mapping = nn.Mapping(digital_bias=True, input_range=1.5, learn_input_range=True, input_range_decay=0.2)
    layer = built(nn.Linear(3, 2, RULE, mapping=mapping))
    x = np.array([[2.0, 0.1, -0.2], [-3.0, 0.5, 1.0]], np.float32)
    w = layer.matrix.weights.astype(np.float64)
    bias = layer.parameters()[0].value
    np.testing.assert_allclose(layer.forward(x), np.clip(x, -1.5, 1.5) @ w.T + bias, atol=1e-6)
    d = images(2, 2)
    z = layer.backward(d)
    np.testing.assert_allclose(z, d @ w, atol=1e-6)  # not masked where inputs clip
    r = layer.parameters()[1]
    assert r.gradient[0] == pytest.approx((min(0.0, z[0, 0]) - max(0.0, z[1, 0])) * 1.5, rel=1e-5)
    gradient = float(r.gradient[0])
    layer.update(0.1)
    assert r.value[0] == pytest.approx(1.5 - 0.1 * gradient, rel=1e-6)  # and no decay: 2 of 6 inputs are outside
    inside = np.full((2, 3), 0.1, np.float32)
    layer.forward(inside)
    now = float(r.value[0])
    layer.backward(d)
    layer.update(0.1)
    assert r.value[0] == pytest.approx(now * (1.0 - 0.1 * 0.2), rel=1e-6)


@pytest.mark.parametrize(
    "outside, decays",
    [((0, 0), (1, 1)), ((1, 4), (1, 1)), ((4, 5), (1, 0)), ((5, 4), (0, 1)), ((6, 6), (0, 0)), ((50, 0), (0, 1))],
)
def test_input_ranges_decay_only_where_more_than_95_percent_of_the_inputs_are_inside(outside, decays):
    """Of 100 inputs since the last update, in two reads of 40 and 60; 95 inside are too few, and the next batch counts anew."""
    mapping = nn.Mapping(digital_bias=True, input_range=0.5, learn_input_range=True, input_range_decay=0.3)
    layer = built(nn.Linear(10, 2, RULE, mapping=mapping))
    layer.matrix.program(np.ones((2, 10)))
    r = layer.parameters()[1]
    now = 0.5
    for beyond, falls in zip(outside, decays, strict=True):
        x = np.full(100, 0.2, np.float32)
        x[np.random.default_rng(0).permutation(100)[:beyond]] = 0.9
        for part in (x[:40], x[40:]):
            layer.forward(part.reshape(-1, 10))
            layer.backward(np.ones((len(part) // 10, 2), np.float32))  # dL/dx > 0 where x > r: nothing asks for a larger range
        layer.update(0.1)
        now *= 1.0 - 0.1 * 0.3 if falls else 1.0
        assert r.value[0] == pytest.approx(now, rel=1e-6)
        layer.matrix.program(np.ones((2, 10)))


def test_input_ranges_are_calibrated_to_a_quantile_of_what_comes():
    mapping = nn.Mapping(digital_bias=True, input_range=0.01)
    net = built(
        nn.Sequential(
            nn.Conv2d(1, 2, 2, RULE, mapping=mapping),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8, 5, RULE, mapping=mapping),
            nn.Tanh(),
            nn.Linear(5, 4, RULE),
        )
    )
    x = images(300, 1, 3, 3)
    found = net.calibrate_input_ranges(x, 0.9, batch_size=7)
    patches = np.stack([x[:, 0, i : i + 2, j : j + 2].reshape(300, 4) for i in range(2) for j in range(2)], axis=1)
    w = net.matrices()[0].weights.astype(np.float64)
    hidden = np.maximum(patches @ w.T + net.layers[0].parameters()[0].value, 0.0)  # nothing was clipped on the way
    wanted = [np.quantile(np.abs(a), 0.9, method="higher") for a in (patches, hidden)]
    assert found == pytest.approx(wanted, rel=1e-4)
    assert [m.input_range for m in net.matrices()] == [*found, None]
    assert net.calibrate_input_ranges(x, 1.0)[0] == np.abs(x).max()


def test_calibration_keeps_an_even_share_of_many_inputs(monkeypatch):
    """Every other input is ten times as large, which counting off in twos would not see."""
    monkeypatch.setattr("rpusim.nn.matrix._WATCHED", 1000)
    mapping = nn.Mapping(digital_bias=True, input_range=5.0)
    net = built(nn.Sequential(nn.Linear(6, 2, RULE, mapping=mapping)))
    x = RNG.uniform(0.0, 1.0, (5000, 6)) * [1, 10, 1, 10, 1, 10]
    kept = []
    original = rpu.nn.matrix._Sizes.quantile
    monkeypatch.setattr(rpu.nn.matrix._Sizes, "quantile", lambda self, q: (kept.append(self.count), original(self, q))[1])
    # half of the sizes above 1, evenly to 10: the quantile 0.9 is 8; 500 or more of them give it a standard error below 0.3
    assert net.calibrate_input_ranges(x, 0.9, batch_size=40)[0] == pytest.approx(8.0, abs=1.2)
    assert 400 < kept[0] <= 1000
    assert net.calibrate_input_ranges(x, 1.0)[0] == np.float32(x.max())
    sparse = np.zeros((100, 6))
    sparse[7, 3] = 3.0
    assert net.calibrate_input_ranges(sparse, 0.9989) == [3.0]  # one of 600 is above 0: no mixture of the two


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers_are_calibrated_from_inputs_and_states(kind):
    plain = built(nn.Sequential(kind(3, 4, RULE, stateful=True, mapping=nn.Mapping(digital_bias=True))))
    mapping = nn.Mapping(digital_bias=True, input_range=0.1, max_inputs=5)
    net = built(nn.Sequential(kind(3, 4, RULE, stateful=True, mapping=mapping)))
    weights = 6 * plain.matrices()[0].weights
    for one in (plain, net):
        one.matrices()[0].program(weights)
        for p, q in zip(one.parameters(), plain.parameters(), strict=False):
            p.value[...] = q.value
        one.forward(images(5, 2, 3), False)  # states that a calibration must not start from
    x = images(5, 20, 3)
    (found,) = net.calibrate_input_ranges(x, 0.7)
    plain.reset_state()
    plain.forward(x)
    assert found == pytest.approx(np.quantile(np.abs(plain.layers[0]._vectors), 0.7, method="higher"), rel=1e-4)
    assert not net.layers[0]._carried


def test_a_calibration_that_fails_leaves_the_ranges():
    mapping = nn.Mapping(digital_bias=True, input_range=5.0)
    net = built(nn.Sequential(nn.Linear(6, 2, RULE, mapping=mapping)))
    with pytest.raises(ValueError, match="x must hold finite"):
        net.calibrate_input_ranges(np.full((3, 6), np.nan))
    with pytest.raises(ValueError, match="quantile"):
        net.calibrate_input_ranges(images(3, 6), 0.0)
    with pytest.raises(ValueError, match="at least one sample"):
        net.calibrate_input_ranges(np.zeros((0, 6)))
    assert net.matrices()[0].input_range == 5.0
    assert net.calibrate_input_ranges(np.zeros((3, 6))) == [5.0]
    with pytest.raises(ValueError, match="input_range"):
        built(nn.Sequential(nn.Linear(6, 2, RULE))).calibrate_input_ranges(images(3, 6))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers_learn_input_ranges_and_scales_as_linear_ones_do(kind):
    """Every read of a recurrent layer is one of a linear layer: [x, h] clips, and r and s learn by its rules."""
    mapping = nn.Mapping(digital_bias=True, input_range=0.3, learn_input_range=True, learn_scale=True, scale_by_output=True)
    layer, one = built(kind(3, 4, RULE, mapping=mapping)), built(nn.Linear(7, 4 * kind.gates, RULE, mapping=mapping))
    layer.matrix.program(8 * layer.matrix.weights)
    one.matrix.program(layer.matrix.weights)
    layer.matrix._scale.value[...] = 1.3
    for mine, its in zip(one.parameters(), layer.parameters(), strict=True):
        mine.value[...] = its.value
    reads = []
    for name in ("forward", "backward"):
        original = getattr(layer.matrix, name)

        def kept(v, name=name, original=original):
            out = original(v)
            reads.append((name, v.copy(), out.copy()))
            return out

        setattr(layer.matrix, name, kept)
    x, d = images(2, 5, 3), images(2, 5, 4)
    layer.forward(x)
    inputs = layer._vectors.copy()
    layer.backward(d)
    forward = [read for read in reads if read[0] == "forward"]
    backward = [read for read in reads if read[0] == "backward"][::-1]  # in order of time
    gradients = [np.zeros_like(p.value) for p in one.parameters()]
    for vector, (_, driven, y), (_, delta, z) in zip(inputs, forward, backward, strict=True):
        np.testing.assert_allclose(one.forward(vector), y, atol=1e-6)
        np.testing.assert_allclose(driven, np.clip(vector / np.float32(0.3), -1, 1), atol=1e-7)
        np.testing.assert_allclose(one.backward(delta), z, atol=1e-6)
        for total, p in zip(gradients, one.parameters(), strict=True):
            total += p.gradient
            p.gradient[...] = 0.0
    assert np.abs(inputs[:, :, 3:]).max() > 0.3  # states clip too
    for total, p in zip(gradients, layer.parameters(), strict=True):
        assert np.abs(total).max() > 1e-3
        np.testing.assert_allclose(p.gradient, total, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(("rule", "power"), [("L1", 1), ("L2", 2)])
def test_ranges_are_those_with_which_inputs_are_off_least(rule, power):
    """Against SciPy's search over the same loss, of signed inputs rounded by a DAC."""
    from scipy.optimize import minimize_scalar

    x = np.random.default_rng(0).standard_t(3, (400, 5)).astype(np.float32)
    net = nn.Sequential(nn.Linear(5, 2, DigitalSGD(), mapping=nn.Mapping(digital_bias=True, input_range=1.0)))
    net.build(0)
    (found,) = net.calibrate_input_ranges(x, rule=rule, bits=4)

    def loss(r):
        step = 2 * r / 14
        return np.mean(np.abs(np.clip(np.rint(x / step) * step, -r, r) - x) ** power)

    best = min((minimize_scalar(loss, bounds=(a, b), method="bounded").fun for a, b in ((0.3, 2), (1, 5), (4, 20))))
    assert loss(found) <= 1.02 * best and found < 0.9 * np.abs(x).max()
    with pytest.raises(ValueError, match="rule must be one of"):
        net.calibrate_input_ranges(x, rule="max")
