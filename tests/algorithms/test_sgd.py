"""Tiles of SGD and DigitalSGD against the plain loop and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import algorithms as oracle
from oracle.tiles import DETERMINISTIC, EXACT, SCHEME, pulse_of, vectors

import rpusim as rpu
from rpusim import Periphery
from rpusim.algorithms import SGD, DigitalSGD
from rpusim.devices import ConstantStep, LinearStep, SoftBounds

# ---- SGD --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [0.05, -0.02])
@pytest.mark.parametrize("model", [ConstantStep, LinearStep, SoftBounds])
def test_sgd_is_the_plain_loop(model, lr):
    tile = SGD(model(dw_min=0.01, dw_min_std=0.0), forward=EXACT, pulses=SCHEME).build((5, 8), rng=62)
    x, d = vectors(30, (5, 8))
    tile.program(0.1 * np.ones((5, 8)))
    w = oracle.sgd(tile.weights, x, d, lr, 0.01, DETERMINISTIC, pulse_of(tile.array))
    tile.update(x, d, lr)
    np.testing.assert_allclose(tile.weights, w, atol=1e-5)
    np.testing.assert_allclose(tile.forward(x), x @ w.T, atol=1e-4)
    np.testing.assert_allclose(tile.backward(d), d @ w, atol=1e-4)


def test_sgd_passes_its_settings_to_its_array():
    rule = SGD(SoftBounds(), forward=Periphery(bm_max_factor=8.0), backward=EXACT, pulses=SCHEME)
    tile = rule.build((3, 4), rng=63)
    array = tile.array
    assert (array.device, array.forward_periphery, array.backward_periphery, array.pulses) == (
        rule.device,
        rule.forward,
        rule.backward,
        rule.pulses,
    )
    assert tile.shape == (3, 4) and tile.algorithm is rule
    assert repr(tile) == f"{rule!r}.build((3, 4))"
    alone = rpu.CrossbarArray((3, 4), SoftBounds(), forward=rule.forward, backward=EXACT, pulses=SCHEME, rng=63)
    for name, value in array.parameters.items():
        np.testing.assert_array_equal(value, alone.parameters[name])


# ---- DigitalSGD -------------------------------------------------------------------------------------------------------


def test_digital_sgd_is_float32_numpy():
    tile = DigitalSGD().build((7, 19), rng=64)
    w = np.random.default_rng(65).normal(size=(7, 19)).astype(np.float32)
    tile.program(w)
    x, d = vectors(11, (7, 19))
    for a, b in zip(x, d, strict=True):
        w = w - np.float32(0.3) * b[:, None] * a
    tile.update(x, d, 0.3)
    np.testing.assert_array_equal(tile.weights, w)
    np.testing.assert_allclose(tile.forward(x), x @ w.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tile.backward(d), d @ w, rtol=1e-5, atol=1e-5)
    assert tile.pulse_count == (0, 0)
