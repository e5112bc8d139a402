"""Recurrent layers against their equations in float64, in order of time, and what they carry."""

from __future__ import annotations

import numpy as np
import pytest
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


# ---- recurrent layers -------------------------------------------------------------------------------------------------


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
@pytest.mark.filterwarnings("ignore:.*of the initial weights:UserWarning")
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


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_forward_that_was_broken_off_has_no_way_back(kind):
    layer = built(kind(3, 2, RULE))
    layer.forward(images(1, 4, 3))
    whose = layer.matrix.operations if kind is nn.LSTM else layer.matrix
    read, calls = whose.forward, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(*arguments)

    whose.forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        layer.forward(images(1, 4, 3))
    with pytest.raises(RuntimeError, match="forward"):
        layer.backward(images(1, 4, 2))


# ---- saving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize(
    "sizes, message",
    [((0, 5), "in_features must be .*; got 0"), ((3, -5), "out_features must be .*; got -5"), (("a", 5), "in_features must")],
)
def test_lengths_of_recurrent_layers_are_positive_integers(kind, sizes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kind(*sizes, RULE)
