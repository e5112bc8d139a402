"""Reads through resistive lines: an array's forward, backward and training see the exact network."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rpusim as rpu
from rpusim import ADC, DAC, ConductanceScale, CrossbarArray, DifferentialPair, Periphery, Wires
from rpusim.devices import Ideal, SoftBounds

WIRES = Wires(r_word=40.0, r_bit=25.0, r_driver=100.0, r_sense=60.0)
PLAIN = Periphery.ideal()


def array_of(w, periphery, rng=0):
    array = CrossbarArray(np.shape(w), Ideal(), forward=periphery, rng=rng)
    array.program(w)
    return array


def solved(w, x, scale, wires, transposed=False):
    """The networks of all devices, solved one by one on plain resistances."""
    total = 0.0
    options = {name: getattr(wires, name) for name in ("r_word", "r_bit", "r_driver", "r_sense", "drivers", "sensors")}
    for sign, g in zip((1, -1), scale.conductances(np.asarray(w, float).T), strict=False):
        with np.errstate(divide="ignore"):
            found = rpu.solve_network(x.astype(float), 1.0 / g, transposed=transposed, method="direct", **options)
        total = total + sign * found.currents
    return total / scale.siemens_per_weight


@pytest.mark.parametrize("mapping", ["differential", "offset", "single"])
@pytest.mark.parametrize("wires", [WIRES, WIRES.replace(drivers="both", sensors="both")], ids=["single", "double"])
def test_reads_are_the_currents_of_the_network(mapping, wires):
    rng = np.random.default_rng(1)
    w = rng.uniform(0.0 if mapping == "single" else -1.0, 1.0, (5, 8)).astype(np.float32)
    scale = ConductanceScale(g_min=1e-6, g_max=1e-4, mapping=mapping)
    array = array_of(w, PLAIN.replace(wires=wires, conductances=scale))
    x, d = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    for _ in range(3):  # the last ones by the effective matrix
        y, z = array.forward(x), array.backward(d)
        np.testing.assert_allclose(y, solved(w, x, scale, wires), rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(z, solved(w, d, scale, wires, transposed=True), rtol=2e-5, atol=1e-6)
    assert np.abs(y - x @ w.T).max() > 0.02  # the lines matter


def test_changed_weights_are_seen_and_lines_without_resistance_are_not():
    rng = np.random.default_rng(2)
    device = SoftBounds(dw_min=0.02)
    p = PLAIN.replace(wires=WIRES, conductances=ConductanceScale(g_max=1e-4))
    array = CrossbarArray((4, 6), device, forward=p, rng=3)
    x, d = rng.normal(size=(20, 6)), rng.normal(size=(20, 4))
    for _ in range(3):
        array.update(x, d, 0.05)
        expected = solved(array.weights, np.float32(x), p.conductances, WIRES)
        np.testing.assert_allclose(array.forward(x), expected, rtol=2e-5, atol=1e-6)
    ideal = p.replace(wires=Wires(r_word=0.0, r_bit=0.0))
    free = CrossbarArray((4, 6), device, forward=ideal, rng=3)
    free.program(array.weights)
    np.testing.assert_allclose(free.forward(x), x @ array.weights.T, atol=1e-5)


def test_the_backward_read_is_the_transposed_network():
    """Reciprocity: both directions have one effective matrix."""
    w = np.random.default_rng(3).uniform(-1, 1, (5, 7))
    array = array_of(w, PLAIN.replace(wires=WIRES, conductances=ConductanceScale(g_max=1e-4)))
    np.testing.assert_allclose(array.forward(np.eye(7)).T, array.backward(np.eye(5)), atol=1e-6)


def test_lines_work_with_converters_pairs_passes_and_noise():
    rng = np.random.default_rng(4)
    a, b = rng.uniform(-0.4, 0.4, (2, 5, 7)).astype(np.float32)
    x = rng.normal(size=(6, 7)).astype(np.float32)
    scale = ConductanceScale(g_max=1e-4)
    p = PLAIN.replace(wires=WIRES, conductances=scale)
    pair = DifferentialPair(array_of(a, p), array_of(b, p))
    np.testing.assert_allclose(pair.forward(x), solved(a - b, x, scale, WIRES), rtol=2e-5, atol=1e-6)
    signs = array_of(a, p.replace(sign_handling="digital_sum"))
    np.testing.assert_allclose(signs.forward(x), solved(a, x, scale, WIRES), rtol=2e-5, atol=2e-6)
    converted = p.replace(dac=DAC(bits=5, bound=1.0), adc=ADC(bits=7, bound=2.0, noise=0.0), noise_management="abs_max")
    s = np.abs(x).max(axis=1, keepdims=True)
    v = np.rint(x / s * 15) / 15
    step = converted.adc.step
    exact = solved(a, np.float32(v), scale, WIRES)
    assert np.abs(array_of(a, converted).forward(x) / s - exact).max() <= step / 2 + 1e-6
    noisy = array_of(a, p.replace(read_noise=0.1)).forward(np.tile(x[:1], (4000, 1)))
    np.testing.assert_allclose(
        noisy.mean(axis=0),
        exact[0] * 0 + solved(a, x[:1], scale, WIRES)[0],
        atol=5 * 0.1 * np.linalg.norm(x[0]) / np.sqrt(4000),
    )


@pytest.mark.parametrize("rule", [rpu.algorithms.SGD, rpu.algorithms.SHD])
def test_training_goes_through_the_lines(rule):
    """The gradient is that of the network's outputs: what is learned makes up for the lines."""
    rng = np.random.default_rng(5)
    p = PLAIN.replace(wires=Wires(r_word=1000.0, r_bit=1000.0), conductances=ConductanceScale(g_min=0.0, g_max=1e-4))
    device = SoftBounds(dw_min=0.004, dw_min_dtod=0.0, dw_min_std=0.0)
    name = "device" if rule is rpu.algorithms.SGD else "fast"
    tile = rule(**{name: device}, forward=p).build((3, 6), rng=0)
    target = rng.uniform(-0.3, 0.3, (3, 6))
    x = rng.normal(size=(1500, 6)).astype(np.float32)
    for row in x:
        tile.update(row, tile.forward(row) - row @ target.T, 0.02)
    check = rng.normal(size=(200, 6))
    through = np.mean((tile.forward(check) - check @ target.T) ** 2)
    straight = np.mean((check @ tile.weights.T - check @ target.T) ** 2)
    assert through < 0.5 * straight


def test_settings_that_make_no_sense_are_refused():
    hard = Wires(r_word=1e7, r_bit=1e7, max_iterations=2)
    for build, words in (
        (lambda: Periphery(conductances=ConductanceScale(g_max=1e-4)), ["conductances", "wires"]),
        (lambda: Periphery(wires=WIRES, ir_drop=1.0), ["ir_drop", "wires", "1"]),
        (lambda: array_of(np.eye(2), PLAIN.replace(wires=Wires(r_word=float("inf")))), ["wires", "finite", "inf"]),
        (lambda: array_of(np.eye(2), PLAIN.replace(wires=Wires(r_word=(1.0, 2.0, 3.0)))), ["r_word", "2", "3"]),
        (
            lambda: array_of(-np.eye(2), PLAIN.replace(wires=WIRES, conductances=ConductanceScale(mapping="single"))).forward(
                [1.0, 1.0]
            ),
            ["weights", "single", "-1"],
        ),
        (
            lambda: array_of(np.eye(20), PLAIN.replace(wires=hard)).forward(np.ones(20)),
            ["2", "iterations"],
        ),
    ):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            build()
        assert all(word in str(caught.value) for word in words), str(caught.value)
    p = Periphery(wires=WIRES, conductances=ConductanceScale(mapping="offset"))
    assert rpu.from_dict(json.loads(p.to_json())) == p
    with pytest.raises(TypeError, match="wires.*Wires.*1.0"):
        Periphery(wires=1.0)
