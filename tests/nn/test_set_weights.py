"""Weights that were trained elsewhere, written by one call, and what is said where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate

import rpusim as rpu
from rpusim import nn
from rpusim.algorithms import SGD, DigitalSGD
from rpusim.devices import ConstantStep

RULE = DigitalSGD()
RNG = np.random.default_rng(0)
MAPPINGS = {
    "analog bias": None,
    "digital bias": nn.Mapping(digital_bias=True),
    "all": nn.Mapping(digital_bias=True, weight_scaling=0.5, scale_by_output=True, learn_scale=True, max_inputs=4),
}


def draw(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("mapping", MAPPINGS.values(), ids=MAPPINGS)
def test_a_linear_layer_takes_a_matrix_and_a_bias(mapping):
    layer = nn.Linear(6, 3, RULE, mapping=mapping)
    layer.build(rng=1)
    for p in layer.parameters():
        p.value[...] = 1.7
    w, b, x = draw(3, 6), draw(3), draw(5, 6)
    assert layer.set_weights(w, b) == (0, 0.0)
    np.testing.assert_allclose(layer.forward(x), x @ w.T + b, atol=2e-6)
    layer.set_weights(w)
    np.testing.assert_allclose(layer.forward(x), x @ w.T, atol=2e-6)


@pytest.mark.parametrize("mapping", MAPPINGS.values(), ids=MAPPINGS)
def test_convolutions_take_kernels_of_all_groups(mapping):
    layer = nn.Conv2d(4, 6, (3, 2), RULE, groups=2, replicas=2, mapping=mapping)
    layer.build(rng=1)
    w, b, x = draw(6, 2, 3, 2), draw(6), draw(2, 4, 7, 6)
    layer.set_weights(w, b)
    y = layer.forward(x, train=False)
    for image in range(2):
        for channel in range(6):
            group = x[image, 2 * (channel // 3) : 2 * (channel // 3) + 2]
            expected = correlate(group, w[channel], mode="valid")[0] + b[channel]
            np.testing.assert_allclose(y[image, channel], expected, atol=5e-6)


def test_signals_take_kernels_without_a_height():
    layer = nn.Conv1d(2, 3, 4, RULE)
    layer.build(rng=1)
    w, x = draw(3, 2, 4), draw(1, 2, 9)
    layer.set_weights(w)
    for channel in range(3):
        np.testing.assert_allclose(layer.forward(x)[0, channel], correlate(x[0], w[channel], mode="valid")[0], atol=2e-6)


def test_recurrent_layers_take_the_weights_of_inputs_and_of_states():
    layer = nn.RNN(3, 2, RULE)
    layer.build(rng=1)
    of_x, of_h, b, x = draw(2, 3), draw(2, 2), draw(2), draw(1, 5, 3)
    layer.set_weights(np.column_stack([of_x, of_h]), b)
    h = np.zeros(2)
    for t, y in enumerate(layer.forward(x)[0]):
        h = np.tanh(of_x @ x[0, t] + of_h @ h + b)
        np.testing.assert_allclose(y, h, atol=2e-6)


def test_tables_of_embeddings_are_taken():
    layer = nn.Embedding(4, 3)
    layer.build(rng=1)
    table = draw(4, 3)
    layer.set_weights(table)
    np.testing.assert_array_equal(layer.forward(np.array([[2, 0]]))[0], table[[2, 0]])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda layer: layer.set_weights(draw(3, 5)), ValueError, ["weights", "(2, 3)", "(3, 5)"]),
        (lambda layer: layer.set_weights(draw(2, 3), draw(3)), ValueError, ["bias", "(2,)", "(3,)"]),
        (lambda layer: layer.set_weights([[np.nan] * 3] * 2), ValueError, ["weights", "nan"]),
        (lambda layer: nn.Linear(3, 2, RULE).set_weights(draw(2, 3)), RuntimeError, ["build", "set_weights"]),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(call, error, words):
    layer = nn.Linear(3, 2, RULE)
    layer.build(rng=1)
    before = layer.matrix.weights
    with pytest.raises(error) as caught:
        call(layer)
    assert all(word in str(caught.value) for word in words)
    np.testing.assert_array_equal(layer.matrix.weights, before)
    bare = nn.Linear(3, 2, RULE, bias=False)
    bare.build(rng=1)
    with pytest.raises(ValueError, match="bias must be None"):
        bare.set_weights(draw(2, 3), draw(2))


NARROW = ConstantStep(w_max=0.05, w_min=-0.05, w_max_dtod=0.0, w_min_dtod=0.0)


def test_what_is_clipped_is_said():
    array = rpu.CrossbarArray((2, 3), NARROW, rng=0)
    assert array.program([[0.01, 0.05, -0.02], [0.15, -0.3, 0.0]]) == (2, pytest.approx(0.25))
    assert array.program(np.zeros((2, 3))) == (0, 0.0)
    layer = nn.Linear(20, 10, SGD(NARROW))
    with pytest.warns(UserWarning, match=r"7\d% of the initial weights of a matrix \(10, 21\).*weight_scaling"):
        layer.build(rng=0)
    clipped, most = layer.set_weights(np.full((10, 20), 0.06), np.zeros(10))
    assert clipped == 200 and most == pytest.approx(0.01)
    fitting = nn.Linear(20, 10, SGD(NARROW), mapping=nn.Mapping(weight_scaling=0.05))
    fitting.build(rng=0)  # without a warning
    assert fitting.set_weights(np.full((10, 20), 0.06)).clipped == 0


@pytest.mark.parametrize("name", rpu.algorithms.named.names())
def test_every_tile_says_what_its_program_clipped(name):
    device = rpu.devices.SoftBounds(w_max=0.5, w_min=-0.5, w_max_dtod=0.0, w_min_dtod=0.0, up_down_dtod=0.0, dw_min_dtod=0.0)
    tile = rpu.algorithms.named.get(name, device).build((2, 3), rng=0)
    bounded = name not in ("digital", "ideal")
    assert tile.program(np.full((2, 3), 0.25)).clipped == 0
    clipped, most = tile.program(np.full((2, 3), 2.5))
    assert (clipped >= 6 and most > 1.0) if np.abs(tile.weights).max() < 2.4 else (clipped, most) == (0, 0.0)
    assert bounded or clipped == 0


def test_settings_of_adam_are_named():
    with pytest.raises(TypeError):
        nn.Adam(0.001)
    assert nn.Adam(beta1=0.8).beta1 == 0.8
