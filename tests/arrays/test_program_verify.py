"""Closed-loop programming, and zero-shifting with a budget of pulses against its law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import rpusim as rpu
from rpusim import ADC, CrossbarArray, DifferentialPair, Periphery, theory
from rpusim.algorithms import TikiTaka
from rpusim.devices import ConstantStep, ExpStep, Ideal, SoftBounds

EXACT = Periphery.ideal()
UNIFORM = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)


def test_devices_are_programmed_to_within_the_tolerance():
    array = CrossbarArray((20, 30), SoftBounds(dw_min=0.01, w_max=1.0, w_min=-1.0), forward=EXACT, rng=1)
    goal = np.random.default_rng(2).uniform(-0.3, 0.3, (20, 30))
    done = array.program_verify(goal, tolerance=0.015)
    error = np.abs(array.weights - goal)
    np.testing.assert_array_equal(done.weights, array.weights)
    np.testing.assert_array_equal(done.within, error <= 0.015)
    assert done.within.mean() > 0.99 and done.rounds > 2
    assert done.pulses.sum() == sum(array.pulse_count)
    again = array.program_verify(array.weights)
    assert again.rounds == 1 and not again.pulses.any() and again.within.all()


def test_pulses_are_counted_exactly():
    array = CrossbarArray((1, 3), ConstantStep(dw_min=0.01, dw_min_std=0.0, **UNIFORM), forward=EXACT, rng=3)
    done = array.program_verify([[0.1, -0.055, 0.004]], tolerance=0.0051, gain=1.0)
    assert done.pulses.tolist() == [[10, 5, 0]] and done.rounds == 2
    np.testing.assert_allclose(array.weights, [[0.1, -0.05, 0.0]], atol=1e-6)


def closed_loop(goal, step, gain, tolerance):
    """Pulses of a device of constant steps that starts at 0, round by round, until it is within the tolerance."""
    w, rounds = 0.0, []
    while abs(goal - w) > tolerance:
        n = max(1, int(gain * abs(goal - w) / step))
        w += np.sign(goal - w) * n * step
        rounds.append(n)
    return rounds


@pytest.mark.parametrize("gain", [None, 0.25, 0.5, 0.8, 1.0])
def test_a_round_removes_its_part_of_the_error(gain):
    """Every round counts: with twice the gain, or half of it, the devices are there in another number of rounds."""
    device, settings = ConstantStep(dw_min=0.002, dw_min_std=0.0, **UNIFORM), {} if gain is None else {"gain": gain}
    for goal in (0.301, -0.2031, 0.0517):
        array = CrossbarArray((1, 1), device, forward=EXACT, rng=3)
        done = array.program_verify([[goal]], tolerance=0.0019, **settings)
        rounds = closed_loop(goal, 0.002, settings.get("gain", 0.5), 0.0019)
        assert (done.rounds, done.pulses.tolist()) == (len(rounds) + 1, [[sum(rounds)]])
        np.testing.assert_allclose(array.weights, np.sign(goal) * 0.002 * sum(rounds), atol=2e-6)
        default = CrossbarArray((1, 1), device, forward=EXACT, rng=3).program_verify([[goal]], **settings)
        assert default.pulses.sum() == sum(closed_loop(goal, 0.002, settings.get("gain", 0.5), 0.002))  # to within one step
        for k, budget in enumerate(np.cumsum(rounds)[:-1]):  # a budget that ends with round k shows its size
            array.program([[0.0]])
            done = array.program_verify([[goal]], tolerance=0.0019, max_pulses=budget, **settings)
            assert done.rounds == k + 2


def test_the_budget_and_the_bounds_hold():
    array = CrossbarArray((1, 2), ConstantStep(dw_min=0.01, dw_min_std=0.0, w_max=0.2, **UNIFORM), forward=EXACT, rng=4)
    done = array.program_verify([[0.5, -0.1]], max_pulses=7)
    assert done.pulses.max() == 7 and not done.within.any()
    np.testing.assert_allclose(array.weights, [[0.07, -0.07]], atol=1e-6)
    done = array.program_verify([[0.5, -0.1]], max_pulses=100)
    assert done.pulses[0, 0] == 100 and array.weights[0, 0] == np.float32(0.2) and done.within.tolist() == [[False, True]]
    assert not array.program_verify([[0.5, -0.1]], max_pulses=0).pulses.any()


def test_what_is_read_decides():
    """With an ADC of steps of 0.1, devices end anywhere that reads as the goal."""
    coarse = Periphery(adc=ADC(bits=4, bound=0.7, noise=0.0), noise_management="none", bound_management="none")
    array = CrossbarArray((50, 50), ConstantStep(dw_min=0.01, **UNIFORM), forward=coarse, rng=5)
    done = array.program_verify(np.full((50, 50), 0.3), tolerance=0.02)
    np.testing.assert_allclose(done.weights[done.within], 0.3, atol=1e-5)
    assert np.abs(array.weights - 0.3).max() > 0.03 and done.within.all()


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(weights=np.zeros(3)), ["weights", "(2, 3)"]),
        (dict(tolerance=0.0), ["tolerance", "0.0"]),
        (dict(max_pulses=-1), ["max_pulses", "-1"]),
        (dict(gain=1.5), ["gain", "1.5"]),
    ],
)
def test_wrong_arguments_are_refused(settings, words):
    array = CrossbarArray((2, 3), SoftBounds(), rng=6)
    with pytest.raises(ValueError) as caught:
        array.program_verify(**({"weights": np.zeros((2, 3))} | settings))
    assert all(word in str(caught.value) for word in words) and sum(array.pulse_count) == 0
    with pytest.raises(ValueError, match="program_verify needs a device that takes pulses"):
        CrossbarArray((2, 3), Ideal(), rng=7).program_verify(np.zeros((2, 3)))


# ---- zero-shifting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pulses", "random_pulses"])
@pytest.mark.parametrize("n", [20, 100, 600])
def test_zero_shifting_follows_its_law(method, n):
    device = SoftBounds(dw_min=0.02, dw_min_std=0.4, up_down=0.3, w_max=1.0, w_min=-1.0, **UNIFORM)
    main, reference = (CrossbarArray((60, 50), device, rng=k) for k in (10, 11))
    main.program(np.full((60, 50), -0.4))
    DifferentialPair(main, reference).zero_shift(method, n)
    error = reference.weights.astype(np.float64) - device.symmetry_point
    law = theory.zero_shift_law(device, n, start=-0.4, method=method)
    spread = error.std()
    assert abs(error.mean() - law.bias) < 5 * spread / np.sqrt(3000) + 0.02 * abs(law.bias)
    if n == 600:  # settled
        assert spread == pytest.approx(law.deviation, rel=5 / np.sqrt(2 * 3000) + 0.02)
    else:
        assert spread < 1.1 * law.deviation
    assert sum(main.pulse_count) == 3000 * n


@pytest.mark.parametrize("method", ["exact", "pulses", "random_pulses"])
def test_references_have_no_write_noise_of_the_main_array(method):
    """They hold the symmetry point, or the last state."""
    device = SoftBounds(dw_min=0.02, write_noise_std=5.0, up_down=0.3, w_max=1.0, w_min=-1.0, **UNIFORM)
    main, reference = CrossbarArray((60, 50), device, rng=10), CrossbarArray((60, 50), Ideal(), rng=0)
    DifferentialPair(main, reference).zero_shift(method, None if method == "exact" else 2001)
    error = reference.weights.astype(np.float64) - device.symmetry_point
    if method == "exact":
        assert np.abs(error).max() < 1e-6 and main.weights.std() > 0.09
    else:
        law = theory.zero_shift_law(device, 2001, method=method)
        spread = error.std()
        assert spread == pytest.approx(law.deviation, rel=5 / np.sqrt(2 * 3000) + 0.02)
        assert abs(error.mean() - law.bias) < 5 * spread / np.sqrt(3000)
        assert sum(main.pulse_count) == 3000 * (2001 if method == "random_pulses" else 2002)


@pytest.mark.parametrize("method", ["pulses", "random_pulses"])
@pytest.mark.parametrize("noise", [dict(dw_min_std_add=0.0), dict(dw_min_std_add=0.001), dict(dw_min_std_slope=0.01)])
def test_zero_shifting_law_of_noise_that_is_not_in_proportion_to_the_step(method, noise):
    device = ExpStep(
        dw_min=0.0005,
        w_max=0.6,
        w_min=-0.6,
        dw_min_std=0.5,
        a=0.9,
        b=0.3,
        A_up=0.3,
        A_down=0.3,
        gamma_up=0.5,
        gamma_down=0.5,
        **noise,
        **UNIFORM,
    )
    main, reference = CrossbarArray((80, 50), device, rng=10), CrossbarArray((80, 50), Ideal(), rng=0)
    main.program(np.full((80, 50), device.symmetry_point))
    DifferentialPair(main, reference).zero_shift(method, 20_000)
    law = theory.zero_shift_law(device, 20_000, start=device.symmetry_point, method=method)
    error = reference.weights.astype(np.float64) - device.symmetry_point
    assert error.std() == pytest.approx(law.deviation, rel=5 / np.sqrt(2 * 4000) + 0.02)


def test_random_pulses_have_fair_and_independent_directions():
    array = CrossbarArray((40, 40), ConstantStep(dw_min=1e-4, dw_min_std=0.0, **UNIFORM), rng=12)
    pair = DifferentialPair(array, CrossbarArray((40, 40), Ideal(), rng=0))
    pair.zero_shift("random_pulses", 100)
    walk = np.rint(array.weights / 1e-4)
    assert stats.binomtest(int((walk.sum() + 160_000) // 2), 160_000).pvalue > 1e-6
    chi2 = np.sum(walk**2) / 100
    assert stats.chi2(1600).sf(chi2) > 1e-6 and stats.chi2(1600).cdf(chi2) > 1e-6


def test_measuring_by_random_pulses_leaves_everything_as_it_was():
    array = CrossbarArray((30, 30), SoftBounds(dw_min=0.01, up_down=0.2), rng=13)
    before = array.state_dict()
    point = array.symmetry_point("random_pulses", n_pulses=4000)
    np.testing.assert_array_equal(array.weights, before["weights"])
    assert array.state_dict()["counters"] == before["counters"]
    exact = array.symmetry_point()
    inside = ~np.isnan(exact)
    assert np.sqrt(np.mean((point - exact)[inside] ** 2)) < 0.05


def test_tiles_take_a_budget():
    device = SoftBounds(dw_min=0.01, up_down=0.3, w_max=1.0, w_min=-1.0)
    few, many = (TikiTaka(device, zero_shift="random_pulses", zero_shift_pulses=n).build((20, 20), rng=14) for n in (10, 2000))
    assert sum(few.pulse_count) == 4000 and sum(many.pulse_count) == 800_000
    error = [np.abs(t.references[0].weights - np.nan_to_num(t.arrays[0].symmetry_point())).mean() for t in (few, many)]
    assert error[0] > 2.5 * error[1]


def test_wrong_arguments_of_the_law_are_refused():
    device = SoftBounds()
    for settings, word in ((dict(n_pulses=-1), "n_pulses"), (dict(n_pulses=4, method="exact"), "method")):
        with pytest.raises(ValueError, match=word):
            theory.zero_shift_law(device, **settings)
    with pytest.raises(ValueError, match="symmetry point"):
        theory.zero_shift_law(ConstantStep(up_down=0.2), 10)
    assert rpu.theory.zero_shift_law(device, 0, start=0.1).bias == pytest.approx(0.1)
