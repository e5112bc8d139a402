"""Convolutions against SciPy, recurrent layers against their equations in float64, and what is digital around arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import signal, stats
from scipy.special import expit

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


# ---- convolutions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stride, padding, dilation, groups", [(1, 0, 1, 1), ((2, 3), (1, 2), 1, 1), (1, 2, (2, 1), 1), (2, 1, 2, 2)]
)
def test_conv2d_is_scipys_correlation(stride, padding, dilation, groups):
    layer = built(nn.Conv2d(4, 6, (3, 2), RULE, stride, padding, dilation, groups))
    x = images(2, 4, 9, 10)
    y = layer.forward(x)
    (pv, ph), (sv, sh), (dv, dh) = layer.windows.padding, layer.windows.stride, layer.windows.dilation
    padded = np.pad(x, ((0, 0), (0, 0), (pv, pv), (ph, ph))).astype(np.float64)
    for b in range(2):
        for o in range(6):
            group, channel = divmod(o, 6 // groups)
            w = layer.kernels[group].weights[channel].astype(np.float64)
            kernels, bias = w[:-1].reshape(4 // groups, 3, 2), w[-1]
            total = bias
            for c in range(4 // groups):
                spaced = np.zeros((2 * dv + 1, dh + 1))
                spaced[::dv, ::dh] = kernels[c]
                total = total + signal.correlate2d(padded[b, group * (4 // groups) + c], spaced, mode="valid")
            np.testing.assert_allclose(y[b, o], total[::sv, ::sh], atol=2e-6)


def test_conv1d_is_scipys_correlation():
    layer = built(nn.Conv1d(3, 2, 4, RULE, stride=2, padding=3))
    x = images(2, 3, 15)
    y = layer.forward(x)
    w = layer.kernels[0].weights.astype(np.float64)
    padded = np.pad(x, ((0, 0), (0, 0), (3, 3))).astype(np.float64)
    for b in range(2):
        for o in range(2):
            kernels = w[o, :-1].reshape(3, 4)
            total = w[o, -1] + sum(np.correlate(padded[b, c], kernels[c], mode="valid") for c in range(3))
            np.testing.assert_allclose(y[b, o], total[::2], atol=2e-6)


@pytest.mark.parametrize("chunk", [500, 200, 1])  # images, rows, a row
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}, {"replicas": 2}], ids=str)
def test_chunks_of_images_and_rows_change_nothing(monkeypatch, chunk, options):
    rule = SGD(rpu.devices.SoftBounds(dw_min=0.01))
    x = images(7, 2, 6, 6)
    d = images(*built(nn.Conv2d(2, 4, 2, rule, **options)).forward(x).shape)

    def results():
        layer = built(nn.Conv2d(2, 4, 2, rule, **options), seed=5)
        y = layer.forward(x)
        z = layer.backward(d)
        layer.update(0.01)
        return y, z, layer.kernels[0].weights

    whole = results()
    monkeypatch.setattr("rpusim.nn.convolution.CHUNK", chunk)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(results()[2], whole[2])  # pulses do not see the split


@pytest.mark.parametrize("chunk", [500, 1])
def test_an_update_in_chunks_is_one_step_and_one_mini_batch(monkeypatch, chunk):
    """Of the optimizer of what is digital, of an input range, and of the time of the devices."""
    x, d = images(7, 2, 6, 6), images(7, 3, 5, 5)
    mapping = nn.Mapping(digital_bias=True, learn_scale=True, input_range=1.0, learn_input_range=True, input_range_decay=0.3)

    def results():
        forgetful = rpu.devices.SoftBounds(dw_min=0.01, lifetime=10.0)
        layers = built(nn.Conv2d(2, 3, 2, RULE, mapping=mapping)), built(nn.Conv2d(2, 3, 2, SGD(forgetful)))
        for layer in layers:
            for p in layer.parameters():
                p.optimizer = nn.Adam()
            for scale in (1.0, 0.5):
                layer.forward(0.2 * x)  # all within the range: its decay counts, once
                layer.backward(scale * d)
                layer.update(0.01)
        assert all(p.steps == 2 for p in layers[0].parameters())
        return [layer.kernels[0].weights for layer in layers] + [p.value for p in layers[0].parameters()]

    whole = results()
    monkeypatch.setattr("rpusim.nn.convolution.CHUNK", chunk)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


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


def test_adam_after_another_optimizer_begins_with_its_own_first_step():
    fresh, used = nn.Parameter(np.zeros(3)), nn.Parameter(np.zeros(3))
    for _ in range(40):
        used.gradient[...] = 1e-9
        used.step(1.0)
    before = used.value.copy()
    for p in (fresh, used):
        p.optimizer = nn.Adam()
        p.gradient[...] = [1.0, -2.0, 0.5]
        p.step(0.01)
    np.testing.assert_allclose(used.value - before, fresh.value, rtol=1e-5)
    np.testing.assert_allclose(fresh.value, [-0.01, 0.01, -0.01], rtol=1e-5)


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


def test_every_position_of_a_replicated_convolution_has_one_replica():
    layer = built(nn.Conv2d(1, 2, 2, RULE, replicas=4))
    x = images(3, 1, 6, 6)
    shared = layer.forward(x)  # replicas start equal
    np.testing.assert_allclose(shared, built(nn.Conv2d(1, 2, 2, RULE)).forward(x), atol=1e-6)
    for k, kernel in enumerate(layer.kernels):
        w = np.zeros((2, 5), np.float32)
        w[:, -1] = k
        kernel.program(w)
    marks = layer.forward(x)[:, 0]
    assert (marks == marks[:1]).all()
    assert sorted(np.bincount(marks[0].ravel().astype(int), minlength=4)) == [6, 6, 6, 7]
    again = layer.forward(x)[:, 0]
    np.testing.assert_array_equal(again, marks)
    before = [kernel.weights for kernel in layer.kernels]
    d = np.zeros((3, 2, 5, 5), np.float32)
    d[0, :, marks[0] == 2] = 1.0
    layer.backward(d)
    layer.update(0.1)
    changed = [not np.array_equal(kernel.weights, w) for kernel, w in zip(layer.kernels, before, strict=True)]
    assert changed == [False, False, True, False]
    mixed = built(nn.Conv2d(1, 2, 2, RULE, replicas=4, assignment="random"))
    for k, kernel in enumerate(mixed.kernels):
        kernel.program(np.full((2, 5), k, np.float32))
    ones = np.ones((1, 1, 6, 6), np.float32)
    assert not np.array_equal(mixed.forward(ones), mixed.forward(ones))


@pytest.mark.parametrize("stride", [None, 1, (2, 1)])
def test_pooling_is_that_of_every_window(stride):
    x = images(2, 3, 6, 7)
    most, mean = nn.MaxPool2d((2, 3), stride).forward(x), nn.AvgPool2d((2, 3), stride).forward(x)
    sv, sh = (2, 3) if stride is None else np.broadcast_to(stride, 2)
    for i in range(most.shape[2]):
        for j in range(most.shape[3]):
            window = x[:, :, i * sv : i * sv + 2, j * sh : j * sh + 3]
            np.testing.assert_array_equal(most[:, :, i, j], window.max(axis=(2, 3)))
            np.testing.assert_allclose(mean[:, :, i, j], window.mean(axis=(2, 3)), atol=1e-6)
    assert most.shape[2:] == ((6 - 2) // sv + 1, (7 - 3) // sh + 1)


# ---- recurrent layers ----------------------------------------------------------------------------------------------


def recurrent_oracle(layer, x, h, c=None):
    """The equations, step by step, in float64."""
    w, n = layer.tile.weights.astype(np.float64), layer.out_features
    out = []
    for t in range(x.shape[1]):
        ones = np.ones((len(x), 1))

        def gates(hidden, t=t, ones=ones):
            return np.concatenate([x[:, t].astype(np.float64), hidden, ones], axis=1) @ w.T

        a = gates(h)
        if isinstance(layer, nn.LSTM):
            i, f, o = (expit(a[:, k * n : (k + 1) * n]) for k in range(3))
            c = f * c + i * np.tanh(a[:, 3 * n :])
            h = o * np.tanh(c)
        elif isinstance(layer, nn.GRU):
            r, u = expit(a[:, :n]), expit(a[:, n : 2 * n])
            h = u * h + (1 - u) * np.tanh(gates(r * h)[:, 2 * n :])
        else:
            h = np.tanh(a)
        out.append(h)
    return np.stack(out, axis=1), h, c


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("stateful", [False, True])
def test_recurrent_layers_are_their_equations(kind, stateful):
    layer = built(kind(4, 6, RULE, stateful=stateful))
    h = c = np.zeros((3, 6))
    for _ in range(3):
        x = images(3, 8, 4)
        expected, last, cell = recurrent_oracle(layer, x, h, c)
        np.testing.assert_allclose(layer.forward(x), expected, atol=2e-6)
        if stateful:
            h, c = last, cell
    layer.reset_state()
    expected, *_ = recurrent_oracle(layer, x, np.zeros((3, 6)), np.zeros((3, 6)))
    np.testing.assert_allclose(layer.forward(x), expected, atol=2e-6)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_carried_states_are_saved(kind):
    layer, other = built(kind(4, 6, RULE, stateful=True)), built(kind(4, 6, RULE, stateful=True), seed=9)
    layer.forward(images(2, 5, 4))
    other.load_state_dict(layer.state_dict())
    x = images(2, 3, 4)
    np.testing.assert_array_equal(other.forward(x), layer.forward(x))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_steps_train_the_array_in_order_of_time(kind):
    """An update is one call with all vectors, step after step (GRU: gates, then candidate); pulses of real devices."""
    layer = built(kind(3, 2, SGD(rpu.devices.ConstantStep(dw_min=0.001))))
    x = images(2, 5, 3)
    layer.forward(x)
    layer.backward(images(2, 5, 2))
    v, d = layer._vectors, layer._deltas
    for k in range(kind.reads):
        np.testing.assert_array_equal(v[k :: kind.reads, :, :3], x.transpose(1, 0, 2))
    assert (v[:, :, -1] == 1).all() and not v[0, :, 3:5].any()
    if kind is nn.GRU:
        gates, candidate = d[::2], d[1::2]
        assert gates[:, :, :4].any() and not gates[:, :, 4:].any()
        assert candidate[:, :, 4:].any() and not candidate[:, :, :4].any()
    twin = rpu.algorithms.SGD(rpu.devices.ConstantStep(dw_min=0.001)).build(layer.tile.shape)
    twin.load_state_dict(layer.tile.state_dict())
    layer.update(0.1)
    for k in range(5 * kind.reads):
        twin.update(v[k], d[k], 0.1)
    np.testing.assert_array_equal(layer.tile.weights, twin.weights)


def test_a_forward_that_was_broken_off_has_no_way_back():
    layer = built(nn.LSTM(3, 2, RULE))
    layer.forward(images(1, 4, 3))
    read, calls = layer.matrix.forward, []

    def interrupted(v):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(v)

    layer.matrix.forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        layer.forward(images(1, 4, 3))
    with pytest.raises(RuntimeError, match="forward"):
        layer.backward(images(1, 4, 2))


# ---- what is digital ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("optimizer", [None, nn.Momentum(0.8, lr_scale=0.5), nn.Adam(0.7, 0.9, 1e-3, lr_scale=2.0)])
def test_optimizers_are_their_equations(optimizer):
    p = nn.Parameter([1.0, -2.0])
    p.optimizer = optimizer
    value, u, m, v = np.array([1.0, -2.0]), 0.0, 0.0, 0.0
    for t in range(1, 6):
        g = RNG.normal(size=2)
        p.gradient[...] = g
        p.step(0.1)
        if optimizer is None:
            value = value - 0.1 * g
        elif isinstance(optimizer, nn.Momentum):
            u = 0.8 * u + g
            value = value - 0.1 * 0.5 * u
        else:
            m, v = 0.7 * m + 0.3 * g, 0.9 * v + 0.1 * g**2
            value = value - 0.1 * 2.0 * (m / (1 - 0.7**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        np.testing.assert_allclose(p.value, value, rtol=2e-6)
        assert not p.gradient.any()
        if t == 3:  # nothing is lost on the way through a file
            saved, p = p.state_dict(), nn.Parameter([0.0, 0.0])
            p.load_state_dict(saved)
            p.optimizer = optimizer


def test_optimizers_are_for_digital_parameters_only():
    with pytest.raises(ValueError, match="optimizer.*without digital parameters.*Momentum"):
        nn.Sequential(nn.Linear(2, 2, RULE)).set_optimizer(nn.Momentum(0.9))
    with pytest.raises(TypeError, match="optimizer.*Optimizer.*'adam'"):
        nn.Sequential(nn.BatchNorm(2)).set_optimizer("adam")


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


# ---- saving --------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize(
    "sizes, message",
    [((0, 5), "in_features must be .*; got 0"), ((3, -5), "out_features must be .*; got -5"), (("a", 5), "in_features must")],
)
def test_lengths_of_recurrent_layers_are_positive_integers(kind, sizes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kind(*sizes, RULE)


def test_average_pools_take_gradients_of_their_outputs_only():
    for layer, shape, wrong in (
        (nn.AvgPool2d(2), (2, 3, 4, 4), [(2, 3, 3, 3), (3, 2, 2, 2), (2, 3, 4, 1)]),
        (nn.AvgPool1d(2), (2, 3, 4), [(2, 3, 3), (3, 2, 2)]),
    ):
        y = layer.forward(np.ones(shape, np.float32))
        np.testing.assert_array_equal(layer.backward(np.ones(y.shape)), np.full(shape, 0.5 ** (len(shape) - 2), np.float32))
        for other in wrong:
            with pytest.raises(ValueError, match="d must have the shape"):
                layer.backward(np.ones(other, np.float32))


@pytest.mark.parametrize("make", [
    lambda: nn.Conv2d(3, 3, 2, DigitalSGD(), stride=2), lambda: nn.Conv2d(3, 3, 2, DigitalSGD(), stride=2, replicas=2),
    lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2),
])  # fmt: skip
def test_gradients_of_another_shape_are_refused(make):
    layer = make()
    layer.build(0)
    assert layer.forward(np.ones((2, 3, 4, 6), np.float32)).shape == (2, 3, 2, 3)
    for wrong in ((2, 3, 3, 3), (2, 3, 2, 2), (2, 3, 3, 2), (3, 2, 2, 3), (2, 3, 6)):
        with pytest.raises(ValueError, match=r"d must have the shape \(2, 3, 2, 3\) of the outputs; got"):
            layer.backward(np.ones(wrong, np.float32))
    assert layer.backward(np.ones((2, 3, 2, 3), np.float32)).shape == (2, 3, 4, 6)
