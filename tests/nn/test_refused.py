"""Networks and layers that refuse something are as they were."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu

nn = rpu.nn
DEVICE = rpu.devices.SoftBounds(dw_min=0.01, dw_min_std=0.3)
SGD = rpu.algorithms.SGD(DEVICE)
#: trains of any length, so that large rates are refused
LONG = rpu.algorithms.SGD(DEVICE, pulses=rpu.PulseScheme(fixed_bl=False, update_bl_management=False, update_management=False))
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def network(rule=SGD):
    net = nn.Sequential(nn.BatchNorm(4), nn.Linear(4, 5, SGD), nn.BatchNorm(5), nn.Tanh(), nn.Linear(5, 2, rule))
    net.build(rng=0)
    return net


def unchanged(net, call, error=(TypeError, ValueError), match=None):
    before = repr(net.state_dict())
    with pytest.raises(error, match=match):
        call()
    assert repr(net.state_dict()) == before


def bad(value):
    x = X.copy()
    x[1, 2] = value
    return x


@pytest.mark.parametrize(
    "x", [bad(np.nan), bad(np.inf), bad(np.nan).astype(np.float64), X[:1], X[:, :2], "text", None, X.astype(complex)]
)
def test_a_forward_that_is_refused_changes_nothing(x):
    """Neither running averages of the first layer, nor, where a later one refuses (one sample), what earlier ones count."""
    net = network()
    unchanged(net, lambda: net.forward(x))


def test_one_sample_after_layers_that_took_it_is_refused_and_changes_nothing():
    net = nn.Sequential(nn.Linear(4, 5, SGD), nn.BatchNorm(5))
    net.build(rng=0)
    unchanged(net, lambda: net.forward(X[:1]), match="at least 2 values")
    net.forward(X)
    unchanged(net, lambda: net.forward(X[:1]), match="at least 2 values")
    assert net.forward(X[:1], False).shape == (1, 5)


@pytest.mark.parametrize("lr", [np.nan, np.inf, 1e31, 10**400, "0.1", None, np.array([0.1])])
def test_rates_that_are_refused_change_nothing(lr):
    net = network()
    net.backward(np.ones_like(net.forward(X)))
    unchanged(net, lambda: net.update(lr), match="lr must be")


def test_a_rate_that_a_later_layer_refuses_changes_nothing():
    net = network(LONG)
    net.backward(np.ones_like(net.forward(X)))
    unchanged(net, lambda: net.update(1e4), match="lr must be at most 65535 dw_min")
    net.backward(np.ones_like(net.forward(X)))
    net.update(0.01)


@pytest.mark.parametrize("d", [[[1.0, 2.0]], bad(np.nan)[:, :2] * np.nan, "text", None, np.zeros((3, 3), np.float32)])
def test_gradients_are_checked_at_the_door(d):
    net = network()
    net.forward(X)
    with pytest.raises((TypeError, ValueError), match="d must"):
        net.backward(d)


def test_gradients_may_be_lists():
    net, other = network(), network()
    d = np.full((3, 2), 0.25, np.float32)
    net.forward(X), other.forward(X)
    assert np.array_equal(net.backward(d.tolist()), other.backward(d))


LAYERS = [
    nn.Linear(4, 3, SGD), nn.BatchNorm(4), nn.Dropout(0.5), nn.ReLU(), nn.Sigmoid(), nn.Flatten(), nn.LSTM(4, 3, SGD),
    nn.LastStep(), nn.Conv2d(1, 2, 2, SGD), nn.Conv1d(1, 2, 2, SGD), nn.MaxPool2d(2), nn.AvgPool1d(2),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize(
    "x", [[[1.0, 2.0, 3.0, 4.0]], "text", None, np.ma.masked_array(X, True), X.astype(object)], ids=lambda x: type(x).__name__
)
def test_layers_take_arrays(layer, x):
    layer.build(rng=0)
    unchanged(layer, lambda: layer.forward(x), TypeError, "x must be an array of float32")
    with pytest.raises(TypeError, match="train must be True or False"):
        layer.forward(X, np.zeros(2))


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_normalisation_looks_at_numbers_before_it_keeps_them(value):
    layer = nn.BatchNorm(4)
    unchanged(layer, lambda: layer.forward(bad(value)), ValueError, "finite")
    layer.forward(X)
    with pytest.raises(ValueError, match="finite"):
        layer.backward(bad(np.nan))
    layer.update(0.1)
    assert np.isfinite(layer.gamma.value).all()


def test_digital_parameters_look_at_rates_and_gradients():
    parameter = nn.Parameter(np.ones(3))
    unchanged(parameter, lambda: parameter.step(np.nan), ValueError, "lr must be")
    unchanged(parameter, lambda: parameter.load_state_dict({**parameter.state_dict(), "slots": 5}))
    unchanged(parameter, lambda: parameter.load_state_dict({**parameter.state_dict(), "value": np.full(3, np.nan)}))
    with pytest.raises(ValueError, match="value must hold finite"):
        nn.Parameter([np.nan])
    layer = nn.Embedding(5, 4)
    layer.build(rng=0)
    layer.forward(np.array([[1, 2]]))
    with pytest.raises(ValueError, match="finite"):
        layer.backward(np.full((1, 2, 4), np.nan, np.float32))


def test_biases_look_at_gradients_before_they_add_them():
    layer = nn.Linear(4, 3, rpu.algorithms.DigitalSGD(), mapping=nn.Mapping(digital_bias=True))
    layer.build(rng=0)
    layer.forward(X)
    with pytest.raises(ValueError, match="finite"):
        layer.backward(np.full((3, 3), np.nan, np.float32), False)
    layer.forward(X)
    layer.backward(np.ones((3, 3), np.float32))
    layer.update(0.1)
    assert all(np.isfinite(p.value).all() for p in layer.parameters())


def test_a_refused_state_of_normalisation_changes_nothing():
    layer = nn.BatchNorm(4)
    layer.forward(X)
    unchanged(layer, lambda: layer.load_state_dict({**layer.state_dict(), "variance": np.ones(3, np.float32)}))


def test_signals_are_told_from_others():
    from rpusim._core.buffers import is_finite_signal

    assert is_finite_signal(X) and is_finite_signal(X[:0])
    others = (X[:, ::2], X.astype(np.float64), X.astype(">f4"), X.tolist(), None, np.ma.masked_array(X))
    for value in (bad(np.nan), bad(np.inf)[:, ::2], *others):
        assert not is_finite_signal(value)
    assert is_finite_signal(bad(1e30), 2e30) and not is_finite_signal(bad(-1e31), 2e30)


def test_gradients_of_which_sums_overflow_are_refused_at_the_door():
    net = network()
    net.forward(X)
    unchanged(net, lambda: net.backward(np.full((3, 2), 3e38, np.float32)), ValueError, "at most 1e")


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_gradients_whose_sums_are_too_large_are_refused_before_they_are_read(kind):
    mapping = nn.Mapping(digital_bias=True)
    layer = nn.Linear(4, 3, SGD, mapping=mapping) if kind == "linear" else nn.Conv2d(1, 3, 2, SGD, mapping=mapping)
    layer.build(rng=0)
    y = layer.forward(X if kind == "linear" else np.ones((2, 1, 3, 3), np.float32))
    unchanged(layer, lambda: layer.backward(np.full(y.shape, -3e38, np.float32)), ValueError, "finite sums")
