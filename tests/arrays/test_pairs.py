"""DifferentialPair: calibration of its reference, programming, updates and errors."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import devices as oracle
from oracle.tiles import NO_SPREAD

import rpusim as rpu
from rpusim import CrossbarArray, DifferentialPair, PulseScheme
from rpusim.devices import ConstantStep, Ideal, SoftBounds


def pair_of(device, shape=(6, 7), reference=None, **settings):
    main = CrossbarArray(shape, device, rng=15, **settings)
    return DifferentialPair(main, CrossbarArray(shape, reference or device, rng=16))


def test_exact_zero_shift_brings_both_arrays_to_the_symmetry_points_of_main():
    wide = SoftBounds(dw_min=0.01, w_max=5.0, w_min=-5.0, w_max_dtod=0.0, w_min_dtod=0.0)
    pair = pair_of(SoftBounds(dw_min=0.01, up_down=0.2), reference=wide)
    pair.zero_shift()
    p = {name: value.astype(np.float64) for name, value in pair.main.parameters.items()}
    expected = oracle.soft_bounds_symmetry_point(s_up=p["step_up"], s_dn=p["step_down"], b_min=p["w_min"], b_max=p["w_max"])
    np.testing.assert_allclose(pair.main.weights, expected, atol=1e-7)
    np.testing.assert_array_equal(pair.reference.weights, pair.main.weights)
    assert not pair.weights.any() and pair.main.pulse_count == (0, 0)


def test_exact_zero_shift_keeps_devices_without_a_symmetry_point():
    pair = pair_of(ConstantStep())
    pair.main.program(np.full((6, 7), 0.05))
    pair.zero_shift()
    np.testing.assert_array_equal(pair.main.weights, np.full((6, 7), np.float32(0.05)))
    np.testing.assert_array_equal(pair.weights, np.zeros((6, 7)))


def test_zero_shift_by_pulses_pulses_main_only():
    wide = SoftBounds(w_max=5.0, w_min=-5.0, w_max_dtod=0.0, w_min_dtod=0.0)
    pair = pair_of(SoftBounds(dw_min=0.01, dw_min_std=0.0, up_down=0.2, **NO_SPREAD), reference=wide, count_pulses=True)
    pair.zero_shift("pulses")
    pulses = 20 * 120 // 2
    assert pair.main.pulse_count == (pulses * 42, pulses * 42) and pair.reference.pulse_count == (0, 0)
    point = pair.main.symmetry_point()
    assert (np.abs(pair.main.weights - point) < 0.012).all()  # within a step, on the low side of the cycle
    assert (pair.main.weights < point).all()
    np.testing.assert_array_equal(pair.reference.weights, pair.main.weights)
    short = pair_of(SoftBounds())
    short.zero_shift("pulses", n_pulses=6)
    assert short.main.pulse_count == (3 * 42, 3 * 42)
    np.testing.assert_array_equal(
        short.reference.weights,
        np.clip(short.main.weights, short.reference.parameters["w_min"], short.reference.parameters["w_max"]),
    )


def test_a_pair_counts_its_calibration_pulses_per_device():
    pair = pair_of(SoftBounds(), count_pulses=True)
    pair.zero_shift("pulses", n_pulses=10)
    up, down = pair.main.device_pulse_count
    assert up.sum() == pair.main.pulse_count.up and down.sum() == pair.main.pulse_count.down


def test_a_pair_is_programmed_through_main():
    pair = pair_of(SoftBounds(up_down=0.1))
    pair.zero_shift()
    reference, p = pair.reference.weights, pair.main.parameters
    w = np.random.default_rng(17).normal(0, 0.5, (6, 7)).astype(np.float32)
    pair.program(w)
    np.testing.assert_array_equal(pair.reference.weights, reference)
    np.testing.assert_allclose(pair.weights, np.clip(w + reference, p["w_min"], p["w_max"]) - reference, atol=1e-7)


def test_a_pair_updates_main_only():
    pair = pair_of(ConstantStep(), pulses=PulseScheme(desired_bl=5))
    alone = CrossbarArray((6, 7), ConstantStep(), pulses=PulseScheme(desired_bl=5), rng=15)
    for target in (pair, alone):
        target.update(np.ones(7), np.ones(6), 0.01)
    np.testing.assert_array_equal(pair.main.weights, alone.weights)
    assert not pair.reference.weights.any() and sum(alone.pulse_count) > 0


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda a: (a, a), ValueError, ["reference", "another"]),
        (lambda a: (a, CrossbarArray((2, 3), Ideal(), rng=0)), ValueError, ["reference", "(2, 2)", "(2, 3)"]),
        (lambda a: (a, None), TypeError, ["reference", "CrossbarArray", "None"]),
        (lambda a: (np.ones((2, 2)), a), TypeError, ["main", "CrossbarArray"]),
    ],
)
def test_wrong_pairs_are_refused(change, error, words):
    with pytest.raises(error) as caught:
        DifferentialPair(*change(CrossbarArray((2, 2), Ideal(), rng=0)))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_pair_is_printed_with_its_arrays():
    pair = pair_of(Ideal(), (1, 2))
    assert repr(pair) == "DifferentialPair(CrossbarArray((1, 2), Ideal()), CrossbarArray((1, 2), Ideal()))"


def test_a_device_whose_symmetry_point_pulses_lead_away_from_is_named():
    def device(sign):
        return rpu.devices.FromResponse(
            lambda w: 0.001 * (1 + sign * (w - 0.5) / 2), lambda w: 0.001 * (1 - sign * (w - 0.5) / 2), w_max=1.0, w_min=-1.0
        )

    pair = DifferentialPair(*(CrossbarArray((2, 2), device(1), rng=seed) for seed in (0, 1)))
    with pytest.warns(UserWarning, match=r"pulses lead away from the symmetry points of PiecewiseStep, 0\.5"):
        pair.zero_shift()
    with pytest.warns(UserWarning, match="pulses lead away"):
        rpu.algorithms.SHD(device(1)).build((2, 2), rng=0)
    rpu.algorithms.SHD(device(-1)).build((2, 2), rng=0)  # without a warning, as symmetric devices
    rpu.algorithms.SHD(rpu.devices.ConstantStep()).build((2, 2), rng=0)
