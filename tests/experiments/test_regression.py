"""The main job: one parameter trained on real pulses, against the theory of competing equilibria and of the oscillator.

Every run goes through arrays, converters and pulse trains. Bounds are those that were promised for the engine, or five
standard errors where those are wider.
"""

import dataclasses
import math
import multiprocessing
import pickle

import numpy as np
import pytest

import rpusim as rpu
from rpusim import theory
from rpusim.algorithms.base import column_periphery
from rpusim.experiments import demo_algorithm, demo_device, oscillation_period, record, regression, regressions, runs, sweep

TARGETS = np.linspace(-0.8, 0.8, 5)


def ensemble(rule, runs, **kwargs):
    return [regression(rule, rng=np.random.SeedSequence(7, spawn_key=(k,)), **kwargs) for k in range(runs)]


@pytest.mark.parametrize("target", TARGETS)
def test_sgd_on_an_asymmetric_device_settles_at_the_competing_equilibrium(target):
    """G = (h G0 + kappa m G_sym) / (h + kappa m) with kappa = 1, G_sym = 0 and the measured m."""
    run = regression(demo_algorithm("sgd", demo_device("soft-bounds")), target, noise=0.5, rng=1)
    closed_form = run.h * target / (run.h + run.m)
    assert abs(run.mean[0] - closed_form) < 0.02
    assert run.theory[0] == pytest.approx(closed_form)
    assert abs(closed_form - target) >= 0.15 * abs(target)  # the effect is large against the bound


def test_sgd_settles_between_the_target_and_a_shifted_symmetry_point():
    device = demo_device("soft-bounds").replace(up_down=0.3)
    run = regression(demo_algorithm("sgd", device), -0.2, noise=0.5, rng=2)
    # q_up = 1.3 (1 - w), q_down = 0.7 (1 + w): F = 1 - 0.3 w, G = w - 0.3, so h (w + 0.2) F + m G = 0 is a quadratic
    roots = np.roots(run.h * np.polymul([1, 0.2], [-0.3, 1]) + run.m * np.array([0, 1, -0.3]))
    expected = roots[np.abs(roots) < 1].item()
    assert run.theory[0] == pytest.approx(expected, rel=1e-9)
    assert abs(run.mean[0] - expected) < 0.02 and expected > -0.1


@pytest.mark.parametrize("target", TARGETS)
def test_sgd_on_a_symmetric_device_settles_at_the_target(target):
    run = regression(demo_algorithm("sgd", demo_device("constant-step")), target, rng=3)
    assert abs(run.mean[0] - target) < 0.01


def test_residuals_are_a_v_on_the_asymmetric_device_and_flat_on_the_symmetric_one():
    """Figs. 1 G and 1 D: the residual grows linearly with the distance of the target from the symmetry point."""
    targets = np.array([-0.6, -0.3, 0.0, 0.3, 0.6])
    rules = [demo_algorithm("sgd", demo_device(name)) for name in ("soft-bounds", "constant-step")]
    runs = sweep(rules, targets, rng=4, noise=0.5, progress=False)
    residual = [np.array([abs(run.mean[0] - run.target[0]) for run in mine]) for mine in runs]
    slope = residual[0] @ np.abs(targets) / (targets @ targets)
    expected = np.mean([run.m / (run.h + run.m) for run in runs[0]])
    assert slope == pytest.approx(expected, abs=0.03)
    assert np.all(residual[1] < 0.015)


@pytest.mark.parametrize("start", [-0.7, 0.0, 0.7])
@pytest.mark.parametrize("target", [-0.5, 0.3])
def test_shd_on_an_asymmetric_device_reaches_the_target_from_any_start(target, start):
    run = regression(demo_algorithm("shd", demo_device("soft-bounds")), target, start=start, noise=0.1, steps=60_000, rng=5)
    assert abs(run.mean[0] - target) < 0.01
    assert abs(run.hidden[run.tail :].mean()) < 0.03


@pytest.mark.parametrize("reference", ["shared", "separate"])
def test_both_reference_forms_of_shd_reach_the_target(reference):
    device = demo_device("soft-bounds").replace(up_down=0.1)
    rule = demo_algorithm("shd", device).replace(reference=reference, zero_shift="pulses")
    run = regression(rule, 0.3, noise=0.1, steps=60_000, rng=6)
    assert abs(run.mean[0] - 0.3) < 0.01


def test_started_at_the_optimum_sgd_drifts_away_and_shd_stays():
    device = demo_device("soft-bounds")
    sgd = regression(demo_algorithm("sgd", device), 0.6, start=0.6, rng=7)
    shd = regression(demo_algorithm("shd", device), 0.6, start=0.6, rng=7)
    assert abs(sgd.mean[0] - sgd.theory[0]) < 0.02 and sgd.mean[0] < 0.55
    assert abs(shd.mean[0] - 0.6) < 0.015


def test_period_on_a_symmetric_device():
    """2 pi / sqrt(eta_A eta_C h / tau), within 5 %."""
    for every in (1, 3):
        rule = demo_algorithm("shd", demo_device("constant-step")).replace(transfer_every=every)
        runs = ensemble(rule, 4, target=0.1, start=-0.1, noise=0.1, lr=0.005, steps=9000 * every)
        measured = np.mean([oscillation_period(r.t, r.weights[:, 0], 0.1).value for r in runs])
        assert measured == pytest.approx(2 * math.pi / math.sqrt(0.005 * 0.01 / every), rel=0.05)


def test_damped_period_on_an_asymmetric_device():
    """Where noise sets m, the mean of many runs is a damped cosine with the oscillator's frequency and damping.

    C is symmetric here, so that only A's drag acts, and the damping is strong enough to move the frequency by 15 %.
    """
    fast, slow = demo_device("soft-bounds"), demo_device("constant-step")
    rule = rpu.algorithms.SHD(fast, slow, fast_lr=1.0, slow_lr=0.15)
    runs = ensemble(rule, 24, target=0.2, start=0.0, noise=0.5, lr=0.005, steps=6000)  # slow: no pulse train saturates
    c = np.mean([run.weights[:, 0] for run in runs], axis=0) - 0.2
    m = theory.Regression(target=0.2, noise=0.5).mean_abs_gradient(0.2)
    expected = theory.oscillator(0.005, 0.00075, 1.0, kappa=1.0, m=float(m))
    assert expected.omega < 0.92 * expected.omega0
    from scipy.optimize import curve_fit

    def damped(t, omega, gamma):
        return -0.2 * np.exp(-gamma * t) * (np.cos(omega * t) + gamma / omega * np.sin(omega * t))

    (omega, gamma), _ = curve_fit(damped, np.arange(6001), c, p0=(expected.omega0, 0.5 * expected.damping))
    assert omega == pytest.approx(expected.omega, rel=0.05)
    assert gamma == pytest.approx(expected.damping, rel=0.15)


def test_oscillation_does_not_decay_on_a_symmetric_device():
    """The energy of late periods is at least that of early ones: noise only feeds it. On an asymmetric one it decays."""
    rates = dict(target=0.0, fast_lr=0.005, slow_lr=0.01, h=1.0)
    ratio = {}
    for name in ("constant-step", "soft-bounds"):
        runs = ensemble(demo_algorithm("shd", demo_device(name)), 8, target=0.0, start=0.2, noise=0.1, lr=0.005, steps=9000)
        energies = np.array([theory.energy(r.hidden[:, 0], r.weights[:, 0], **rates) for r in runs])
        early, late = energies[:, :900].mean(axis=1), energies[:, -900:].mean(axis=1)
        ratio[name] = (late / early).mean(), (late / early).std(ddof=1) / math.sqrt(8)
    assert ratio["constant-step"][0] > 1 - 3 * ratio["constant-step"][1]
    assert ratio["soft-bounds"][0] < 0.2


def test_the_continuum_counts_the_noise_of_reading():
    """Without noise of the samples, the ADC alone makes SGD miss; the equations must say so."""
    run = regression(demo_algorithm("sgd", demo_device("soft-bounds")), 0.8, noise=0.0, rng=11)
    end = run.continuum().w[-1]
    assert abs(end - run.mean[0]) < 0.01 and end < 0.77


def test_the_theory_of_shd_knows_what_it_can_reach():
    device = demo_device("soft-bounds").replace(up_down=0.3)
    run = regression(demo_algorithm("shd", device), 0.8, steps=3000, rng=12)
    assert run.theory[0] == pytest.approx(0.7, abs=1e-6)


def test_two_parameters_with_transfers_every_ten_samples():
    """Fig. 3 D: unit transfer vectors in turn, tau = 10."""
    rule = demo_algorithm("shd", demo_device("soft-bounds")).replace(transfer_every=10)
    run = regression(rule, [0.3, -0.4], noise=0.1, steps=60_000, rng=8)
    assert np.all(np.abs(run.mean - [0.3, -0.4]) < 0.015)


def test_a_run_repeats_to_the_same_bits():
    rule = demo_algorithm("shd", demo_device("soft-bounds"))
    one, two, other = (regression(rule, 0.4, steps=500, rng=seed) for seed in (9, 9, 10))
    assert np.array_equal(one.weights, two.weights) and np.array_equal(one.hidden, two.hidden)
    assert not np.array_equal(one.weights, other.weights)


def test_oscillation_period_of_a_known_curve():
    t = np.arange(2000)
    clean = oscillation_period(t, 1 + np.exp(-t / 900) * np.cos(2 * np.pi * t / 130), 1.0)
    assert clean.value == pytest.approx(130, rel=1e-3) and clean.half_periods > 20
    noisy = np.cos(2 * np.pi * t / 130) + np.random.default_rng(0).normal(0, 0.02, t.size)
    assert oscillation_period(t, noisy, 0.0).value == pytest.approx(130, rel=0.01)
    assert math.isnan(oscillation_period(t, np.ones(2000), 0.0).value)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"target": np.nan}, "target must hold finite"),
        ({"lr": 0.0}, r"lr must be a finite real number in \(0, inf\); got 0.0"),
        ({"noise": -1.0}, r"noise must be a finite real number in \[0, inf\); got -1.0"),
        ({"steps": 3}, "steps must be an integer of at least 20; got 3"),
        ({"input": "poisson"}, "input must be one of 'normal', 'binary', 'uniform'; got 'poisson'"),
        ({"tail": 0.0}, r"tail must be a finite real number in \(0, 1\]; got 0.0"),
        ({"rng": -1}, "rng must be a non-negative int; got -1"),
        ({"start": [0.0, 0.0]}, r"start must have shape \(1,\); got \(2,\)"),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        regression(demo_algorithm("sgd", demo_device("ideal")), **kwargs)
    with pytest.raises(TypeError, match="algorithm must be an algorithm"):
        regression(demo_device("ideal"))


def test_a_start_of_a_is_refused_where_there_is_no_a():
    sgd = demo_algorithm("sgd", demo_device("soft-bounds"))
    with pytest.raises(ValueError, match=r"start_hidden must be 0 for algorithms without A.*got 0\.1"):
        regression(sgd, steps=60, start_hidden=0.1, rng=0)


# ---- theory of SHD, and runs in several processes -------------------------------------------------------------------


def measured():
    """A device as fitted to measurement: steps that scatter over the range, a symmetry point beside 0."""
    rng, t = np.random.default_rng(0), np.linspace(0.0, 1.0, 40)
    up, down = (((1.8 * side + 0.1) * (1 + 0.2 * rng.standard_normal(40))).clip(0.2, 2.0) for side in (1.0 - t, t))
    return rpu.devices.PiecewiseStep(
        piecewise_up=tuple(up),
        piecewise_down=tuple(down),
        dw_min=0.002,
        w_max=1.0,
        w_min=-1.0,
        dw_min_dtod=0.0,
        up_down_dtod=0.0,
        w_max_dtod=0.0,
        w_min_dtod=0.0,
        dw_min_std=0.3,
    )


@pytest.mark.parametrize("name", ["soft-bounds", "measured"])
def test_the_theory_of_shd_is_where_the_drawn_equations_end(name):
    device = measured() if name == "measured" else demo_device(name)
    run = regression(demo_algorithm("shd", device), 0.8, noise=0.2, steps=40_000, rng=12)
    (point,) = run.equilibria
    assert point.stability == "stable" and run.theory[0] == point.c
    path = run.continuum()
    assert run.theory[0] == pytest.approx(path.c[-1], abs=1e-5) and point.a == pytest.approx(path.a[-1], abs=1e-5)
    missed = 0.8 - run.theory[0]
    assert missed > (0.004 if name == "measured" else 0.0008)  # by the noise of reading A
    assert abs(run.mean[0] - run.theory[0]) < 0.015


def test_the_theory_of_shd_holds_for_references_that_were_found_by_pulses():
    rule = demo_algorithm("shd", demo_device("soft-bounds").replace(up_down=0.1)).replace(zero_shift="pulses")
    run = regression(rule, 0.3, noise=0.3, steps=3000, rng=6)
    settings = run.references[0, 0], run.references[1, 0]
    adc = column_periphery(rule.fast).adc
    assert settings[0] != pytest.approx(0.1, abs=1e-4)  # A rests off its symmetry point, and so does C off its target
    long = theory.shd_trajectory(
        rule.fast,
        rule.fast,
        run.regression,
        0.01,
        0.02,
        1,
        60_000,
        fast_reference=settings[0],
        slow_reference=settings[1],
        read_noise=math.hypot(adc.noise, adc.step / math.sqrt(12)),
    )
    assert run.theory[0] == pytest.approx(long.c[-1], abs=2e-4) and abs(run.theory[0] - 0.3) > 2e-5


def test_the_theory_says_what_is_not_stable():
    neutral = regression(demo_algorithm("shd", demo_device("constant-step")), 0.4, steps=100, rng=0)
    assert [point.stability for point in neutral.equilibria] == ["neutral"]
    bound = regression(demo_algorithm("shd", demo_device("constant-step")), 1.4, steps=100, rng=0)
    assert [point.stability for point in bound.equilibria] == ["bound"] and bound.theory[0] == 1.0
    both = regression(demo_algorithm("shd", demo_device("soft-bounds")), [0.3, -0.6], steps=100, rng=0)
    assert [point.stability for point in both.equilibria] == ["stable"] * 2
    np.testing.assert_allclose(both.theory, [0.3, -0.6], atol=5e-3)
    for name in ("sgd", "digital"):
        assert regression(demo_algorithm(name, demo_device("soft-bounds")), 0.4, steps=100, rng=0).equilibria is None


def test_runs_pickle_with_their_theory():
    run = regression(demo_algorithm("shd", demo_device("soft-bounds")), 0.4, steps=200, rng=3)
    path = run.continuum()
    copy = pickle.loads(pickle.dumps(run))
    assert copy.algorithm == run.algorithm and np.array_equal(copy.weights, run.weights)
    assert np.array_equal(copy.continuum().c, path.c) and copy.theory == run.theory


def test_processes_that_share_runs_give_the_same_bits():
    rules = [demo_algorithm(name, demo_device("soft-bounds")) for name in ("sgd", "shd")]
    one, three = (
        sweep(rules, [-0.3, 0.5], rng=4, steps=400, progress=False, workers=workers, continuum=True) for workers in (1, 3)
    )
    for first, second in zip(sum(one, []), sum(three, []), strict=True):
        assert np.array_equal(first.weights, second.weights) and (first.target, first.m) == (second.target, second.m)
        assert np.array_equal(first.continuum().t, second.continuum().t)
    jobs = [{"algorithm": rules[0], "target": 0.1, "steps": 100, "rng": np.random.default_rng(1)} for _ in range(3)]
    generator = np.random.default_rng(1)
    ahead = regressions([job | {"rng": generator} for job in jobs], progress=False, workers=2)
    alone = np.random.default_rng(1)
    for run in ahead:
        assert np.array_equal(run.weights, regression(**(jobs[0] | {"rng": alone})).weights)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_here_ends_the_processes_elsewhere(monkeypatch, error):
    def stop(**_):
        raise error("stop")

    monkeypatch.setattr(runs, "regression", stop)  # of this process only
    job = {"algorithm": demo_algorithm("sgd", demo_device("ideal")), "steps": 10**7, "rng": 0}
    with pytest.raises(error, match="stop"):
        regressions([job, job], progress=False, workers=2)
    assert not multiprocessing.active_children()


def test_errors_elsewhere_arrive_here():
    good = {"algorithm": demo_algorithm("sgd", demo_device("ideal")), "steps": 20, "rng": 0}
    for workers in (1, 2):
        with pytest.raises(ValueError, match=r"noise must be.*got -1"):
            regressions([good, good | {"noise": -1.0}, good], progress=False, workers=workers)
    with pytest.raises(ValueError, match="workers must be an integer of at least 1; got 0"):
        regressions([good], workers=0)


# ---- what a run says of itself ---------------------------------------------------------------------------------------


def test_means_and_their_errors_are_those_of_the_tail():
    """Of 601 records, with a tail of 1/3, the last 200: their mean, and the standard error of it; m and h are of the same
    samples, which are drawn as wanted."""
    rule = rpu.algorithms.SGD(demo_device("soft-bounds"), forward=rpu.Periphery.ideal())
    run = regression(rule, 0.3, noise=0.7, lr=0.02, steps=600, start=-0.9, rng=30)
    w = run.weights[-200:, 0]
    assert len(run.weights) == 601 and run.mean[0] == pytest.approx(w.mean(), rel=1e-12)
    assert (run.standard_error[0], run.independent[0]) == record._error_of_mean(w)
    assert w.std() / np.sqrt(200) < run.standard_error[0] < w.std()
    assert abs(run.weights[:, 0].mean() - w.mean()) > 3 * run.standard_error[0]  # it is the tail that counts
    digital = regression(
        demo_algorithm("digital", demo_device("ideal")), 0.3, noise=0.7, lr=1e-9, steps=4000, start=0.3, rng=31
    )
    # at the target errors are the noise: E|x d| = E|x| 0.7 E|xi|, of which 1333 samples are within 5 standard errors of 3 %
    assert digital.m == pytest.approx(0.7 * 2 / np.pi, rel=0.15) and digital.h == pytest.approx(1.0, rel=0.2)


def test_errors_of_periods_are_standard_errors():
    """Half periods of 50 and 60 samples in turn: their mean is 55, their deviation 5, and the period has twice the error."""
    ends = np.concatenate([[0], np.cumsum([50, 60] * 10)])
    t = np.arange(ends[-1])
    k = np.searchsorted(ends, t, side="right") - 1
    c = np.where(k % 2, -1.0, 1.0) * np.sin(np.pi * (t - ends[k] + 0.5) / np.diff(ends)[k])
    found = oscillation_period(t, c, 0.0)
    n = found.half_periods
    assert n >= 18 and found.value == pytest.approx(110, rel=0.01)
    assert found.standard_error == pytest.approx(2 * 5 * np.sqrt(n / (n - 1)) / np.sqrt(n), rel=0.05)


@pytest.mark.parametrize(
    "adc, expected",
    [
        (rpu.ADC(bits=None, bound=None, noise=0.3), 0.3),
        (rpu.ADC(bits=4, bound=0.7, noise=0.0), 0.1 / np.sqrt(12)),  # 15 levels: steps of 0.1, of which errors are uniform
        (rpu.ADC(bits=4, bound=0.7, noise=0.03), np.sqrt(0.03**2 + 0.1**2 / 12)),
    ],
)
def test_noise_of_reading_is_that_of_the_converter(adc, expected):
    """For inputs of +-1 the continuum of SGD adds the noise of forward reads to that of the samples: sqrt(0.4^2 + it^2)."""
    rule = rpu.algorithms.SGD(demo_device("soft-bounds"), forward=rpu.Periphery(adc=adc, bound_management="none"))
    run = regression(rule, 0.3, noise=0.4, steps=20, input="binary", rng=32)
    assert run.regression.noise == pytest.approx(np.hypot(0.4, expected), rel=1e-9)


def _autoregression(a, b, series=300, size=3000, seed=0):
    """x_t = a x_{t-1} + b x_{t-2} + noise, after it has settled: (series, size)."""
    noise = np.random.default_rng(seed).standard_normal((size + 1000, series))
    x = np.zeros_like(noise)
    for t in range(2, len(x)):
        x[t] = a * x[t - 1] + b * x[t - 2] + noise[t]
    return x[1000:].T


@pytest.mark.parametrize("a, b", [(0.0, 0.0), (0.9, 0.0), (0.98, 0.0), (1.95, -0.96)])
def test_standard_errors_cover_the_means_of_correlated_and_of_oscillating_series(a, b):
    """The mean of each is 0. With blocks of a twentieth the third is 1.3 off, and the last, whose half-period is 8, 0.3."""
    found = np.array([record._error_of_mean(x) for x in _autoregression(a, b)])
    z = _autoregression(a, b).mean(axis=1) / found[:, 0]
    assert 0.87 < z.std() < 1.15  # 300 values: 1 +- 0.04, and Student's t of 20 degrees
    assert np.mean(np.abs(z) < 3) > 0.98
    exact = 3000 * (1 - a - b) / (1 + a) if b == 0.0 else None  # an AR(1) is worth n (1 - a) / (1 + a) values
    if exact is not None and a > 0.9:
        assert np.median(found[:, 1]) == pytest.approx(exact, rel=0.25)


def test_a_tail_that_is_too_short_has_no_standard_error():
    drifting = np.linspace(0.0, 1.0, 500) + 0.001 * np.random.default_rng(1).standard_normal(500)
    assert np.isnan(record._error_of_mean(drifting)[0]) and record._error_of_mean(drifting)[1] < 4
    assert np.isnan(record._error_of_mean(np.random.default_rng(2).standard_normal(10))).all()
    assert record._error_of_mean(np.ones(50)) == (0.0, 50.0)


def with_spreads():
    """Steps that are a table over each device's own bounds, so that symmetry points have a spread."""
    return rpu.devices.FromResponse(
        lambda w: 0.002 * (1 - 0.7 * np.tanh(2 * w)),
        lambda w: 0.002 * (1 + 0.7 * np.tanh(2 * w)),
        w_max=1.0,
        w_min=-1.0,
        dw_min_dtod=0.2,
        nodes=101,
    )


@pytest.mark.parametrize(
    ("name", "device", "seed"),
    [("sgd", rpu.devices.SoftBounds(), 1), ("sgd", rpu.devices.SoftBounds(), 7), ("sgd", with_spreads(), 3),
     ("shd", with_spreads(), 0), ("shd", with_spreads(), 1), ("shd", rpu.devices.SoftBounds(), 6)],
)  # fmt: skip
def test_theory_is_that_of_the_devices_that_were_drawn(name, device, seed):
    """Spreads move the point of rest of SGD, references that are not those of the mean device that of SHD, and a bound may be
    in the way (the last): a theory of the mean device would be 5 standard errors off and more."""
    run = regression(demo_algorithm(name, device), 0.5, rng=seed, steps=40_000)
    of_the_mean = dataclasses.replace(run, drawn=())
    error = run.standard_error[0]
    assert abs(run.mean[0] - run.theory[0]) < 3 * error + 0.003  # 0.003: fluctuations of A, which theory leaves out
    assert abs(run.mean[0] - of_the_mean.theory[0]) > 5 * error + 0.003
    path = run.continuum()
    assert (path.w[-1] if name == "sgd" else path.c[-1]) == pytest.approx(run.theory[0], abs=0.01)


def test_theory_of_devices_without_spreads_is_that_of_the_mean_device():
    run = regression(demo_algorithm("shd", demo_device("soft-bounds")), 0.5, rng=0, steps=200)
    assert len(run.drawn) == 2 and run.theory == dataclasses.replace(run, drawn=()).theory


def test_theory_of_stuck_devices():
    stuck = demo_device("soft-bounds").replace(corrupt_devices_prob=1.0)
    sgd, shd = (regression(demo_algorithm(name, stuck), 0.5, rng=0, steps=50) for name in ("sgd", "shd"))
    assert sgd.theory[0] == sgd.weights[0, 0] == sgd.weights[-1, 0] and sgd.continuum() is None
    assert shd.equilibria == [None] and shd.continuum() is None and "the equations rest nowhere" in str(shd)


def test_there_is_no_theory_of_a_subclass_that_builds_other_tiles():
    class Other(rpu.algorithms.SGD):
        def build(self, shape, rng=None):
            return super().build(shape, rng)

    class Renamed(rpu.algorithms.SGD):
        pass

    runs_ = [regression(kind(demo_device("soft-bounds")), 0.5, rng=0, steps=300) for kind in (Other, Renamed)]
    assert [run.has_theory for run in runs_] == [False, True]
    assert runs_[0].theory[0] == 0.5 and runs_[0].continuum() is None and "theory" not in str(runs_[0])


def test_runs_print_their_result_with_what_the_error_is():
    run = regression(demo_algorithm("sgd", demo_device("soft-bounds")), [0.5, -0.2], rng=0, steps=9000)
    first, second = str(run).splitlines()
    assert first.startswith(
        f"weight {run.mean[0]:.4f} +- {run.standard_error[0]:.4f} (mean and its standard error, last 3000 of"
    )
    assert "target -0.2; theory -0." in second
    short = regression(demo_algorithm("sgd", demo_device("soft-bounds")), 0.5, rng=0, steps=60)
    assert "+-" not in str(short) and "more steps" in str(short)
