"""Writing in closed loops, tables that are found by search, and what devices hold already."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu

inf = rpu.inference
IDEAL = rpu.Periphery.ideal()
GOAL = np.random.default_rng(0).uniform(-0.5, 0.5, (12, 20)).astype(np.float32)


@pytest.mark.parametrize("lr", [0.02, 0.05])
def test_noise_of_outputs_leaves_its_misadjustment(lr):
    """s sqrt(lr / 2 B) for inputs of variance 1; 1200 weights: 10 % is 5 sigma."""
    noise, batch = 0.2, 16
    periphery = IDEAL.replace(adc=rpu.ADC(bits=None, bound=None, noise=noise))
    array = rpu.CrossbarArray((30, 40), rpu.devices.Ideal(), forward=periphery, rng=0)
    x = np.random.default_rng(1).standard_normal((5000, 40))
    inf.program_by_gradient(array, np.zeros((30, 40)), inputs=x, batch=batch, iterations=1000, lr=lr, anneal=False)
    assert array.weights.std() == pytest.approx(noise * math.sqrt(lr / (2 * batch)), rel=0.1)


def test_errors_of_adcs_are_compensated_by_a_loop_over_products_and_not_over_devices():
    """Gains of ADCs that differ by 10 %: a device is right by itself, and products are off."""
    periphery = IDEAL.replace(adc=rpu.ADC(bits=None, bound=None, noise=0.0, gain_spread=0.1))
    bounds = {"w_max": 1.0, "w_min": -1.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}  # which all goals are within
    device = rpu.devices.ConstantStep(dw_min=0.001, **bounds)
    x = np.random.default_rng(2).uniform(-1, 1, (200, 20)).astype(np.float32)

    def off(array):
        return np.linalg.norm(array.forward(x) - x @ GOAL.T) / np.linalg.norm(x @ GOAL.T)

    open_loop = rpu.CrossbarArray(GOAL.shape, device, forward=periphery, rng=0)
    open_loop.program(GOAL)
    loop = rpu.CrossbarArray(GOAL.shape, device, forward=periphery, rng=0)
    done = inf.program_by_gradient(loop, GOAL, lr=1.0, iterations=400, tolerance=0.02)
    assert off(open_loop) > 0.05 > 2 * off(loop)
    assert done.pulses == sum(loop.pulse_count) > 0 and done.errors[-1] < 0.2 * done.errors[0]


def test_a_loop_ends_where_it_is_good_enough():
    array = rpu.CrossbarArray(GOAL.shape, rpu.devices.Ideal(), forward=IDEAL, rng=0)
    done = inf.program_by_gradient(array, GOAL, inputs="identity", lr=4.0, iterations=2000, tolerance=0.05)
    assert done.converged and len(done.errors) < 2000
    for wrong, words in (
        (dict(inputs="random"), "inputs must be"),
        (dict(inputs=np.zeros((0, 20))), "at least one row"),
        (dict(batch=0), "batch"),
        (dict(lr=-1.0), "lr"),
        (dict(tolerance=np.nan), "tolerance"),
    ):
        before = array.weights
        with pytest.raises((TypeError, ValueError), match=words):
            inf.program_by_gradient(array, GOAL, **wrong)
        assert (array.weights == before).all()


def test_networks_trained_in_devices_go_on_from_what_they_hold():
    rule = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.001), forward=IDEAL)
    net = rpu.nn.Sequential(rpu.nn.Linear(6, 4, rule))
    net.build(rng=0)
    x = np.random.default_rng(0).standard_normal((9, 6)).astype(np.float32)
    chip = inf.Chip(periphery=IDEAL, read_noise="none", compensation=None)
    kept = inf.program(net, chip, held=True)
    assert kept.predict(x, 0.0) == pytest.approx(net.predict(x), abs=1e-5)
    assert np.abs(kept.predict(x, 1e6)).sum() < 0.8 * np.abs(net.predict(x)).sum()
    assert np.abs(inf.program(net, chip).predict(x, 0.0) - net.predict(x)).max() > 0.01


def test_tables_are_never_worse_than_the_pair_they_begin_with():
    """Devices that are precise in the middle of the window only: pairs go there."""
    middle = inf.CustomNoise(programming=(0.08, 0.005, 0.08), states=(0.0, 0.5, 1.0))
    chip = inf.Chip(middle, read_noise="none", compensation=None)
    w = np.random.default_rng(0).standard_normal(2000)
    found = inf.optimize_tables(w, chip, times_s=[0.0], knots=3, samples=300, maxiter=12, popsize=6, progress=False)
    assert found.loss < 0.6 * found.baseline
    zero = np.array(found.converter.plus[0])[2] / 25e-6
    assert 0.3 < zero < 0.7  # both devices of weight 0 are where they are precise
    plain = inf.optimize_tables(w, inf.Chip(), knots=2, samples=100, maxiter=2, popsize=2, progress=False)
    assert plain.loss <= plain.baseline * 1.001
    with pytest.raises(ValueError, match="weights must have"):
        inf.optimize_tables([0.0], chip)
