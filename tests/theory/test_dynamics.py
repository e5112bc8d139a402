"""Continuum theory: closed forms against integrated equations, brute-force averages and sums of single pulses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from rpusim import devices, theory
from rpusim._base.specification import from_dict
from rpusim.theory.sgd import Regression


@dataclasses.dataclass(frozen=True)
class SoftBounds:
    granularity: float = 0.002
    w_min: float = -1.0
    w_max: float = 1.0
    up_down: float = 0.0

    def step_up(self, w):
        return self.granularity * (1 + self.up_down) * (1 - np.asarray(w, dtype=np.float64) / self.w_max)

    def step_down(self, w):
        return self.granularity * (1 - self.up_down) * (1 - np.asarray(w, dtype=np.float64) / self.w_min)

    @property
    def symmetry_point(self):
        up, down = 1 + self.up_down, 1 - self.up_down
        return (up - down) / (up / self.w_max - down / self.w_min)


@dataclasses.dataclass(frozen=True)
class ConstantStep:
    granularity: float = 0.002
    w_min: float = -1.0
    w_max: float = 1.0
    symmetry_point = None

    def step_up(self, w):
        return np.full(np.shape(w), self.granularity)

    step_down = step_up


@dataclasses.dataclass(frozen=True)
class Saturating(SoftBounds):
    """F and G both depend on w, and G is not linear."""

    def step_up(self, w):
        return self.granularity * (1 - np.asarray(w) / self.w_max) ** 1.5

    def step_down(self, w):
        return self.granularity * (1 - np.asarray(w) / self.w_min) ** 1.5


class Stuck(ConstantStep):
    def step_up(self, w):
        return np.zeros(np.shape(w))

    step_down = step_up


SOFT, CONSTANT = SoftBounds(), ConstantStep()


# Responses


def test_response_of_soft_bounds_is_in_units_of_granularity():
    at = theory.response(SOFT, [-0.5, 0.0, 0.25])
    np.testing.assert_allclose(at.q_up, [1.5, 1.0, 0.75])
    np.testing.assert_allclose(at.q_down, [0.5, 1.0, 1.25])
    np.testing.assert_allclose(at.F, 1.0)
    np.testing.assert_allclose(at.G, [-0.5, 0.0, 0.25], atol=1e-15)
    assert theory.response(SOFT, np.zeros((2, 3), dtype=np.float32)).F.shape == (2, 3)


def test_response_rebuilds_the_mean_of_requested_changes():
    device, w, request = SoftBounds(up_down=0.2, w_max=0.7), 0.3, -0.01
    at = theory.response(device, w)
    pulses = abs(request) / device.granularity
    assert request * at.F - abs(request) * at.G == pytest.approx(-pulses * device.step_down(w))


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_asymmetry_of_soft_bounds_is_the_inverse_of_the_bound(tau):
    assert theory.asymmetry(SoftBounds(w_min=-tau, w_max=tau)) == pytest.approx(1 / tau, rel=1e-9)


def test_asymmetry_elsewhere_and_of_other_devices():
    device = SoftBounds(up_down=0.2)
    f = 1 - 0.2 * device.symmetry_point  # F = 1 - up_down*w and G = w - up_down
    assert device.symmetry_point == pytest.approx(0.2)
    assert theory.asymmetry(device) == pytest.approx(1 / f, rel=1e-9)
    assert theory.asymmetry(device, -0.5) == pytest.approx(1 / 1.1, rel=1e-9)
    assert theory.asymmetry(CONSTANT, 0.3) == 0.0
    assert theory.asymmetry(Saturating(), 0.0) == pytest.approx(1.5, rel=1e-8)
    assert theory.asymmetry(Saturating(), 1.0) == pytest.approx(0.75, rel=2e-3)  # one-sided


# The regression problem


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.7])
@pytest.mark.parametrize("law", ["normal", "binary", "uniform"])
def test_mean_abs_gradient_against_brute_force(law, noise, scale):
    samples = 200_000
    rng = np.random.default_rng(3)
    x = (
        scale
        * {
            "normal": rng.standard_normal(samples),
            "binary": rng.choice([-1.0, 1.0], samples),
            "uniform": rng.uniform(-1, 1, samples),
        }[law]
    )
    problem = Regression(0.4, noise, law, scale)
    for w in (-0.9, 0.3, 0.4, 2.0):
        gradients = x * (x * (w - 0.4) - noise * rng.standard_normal(samples))
        error = 5 * max(np.std(np.abs(gradients)), 1e-15) / math.sqrt(samples)
        assert abs(problem.mean_abs_gradient(w) - np.abs(gradients).mean()) < error + 1e-14
        assert abs(problem.gradient(w) - gradients.mean()) < 5 * gradients.std() / math.sqrt(samples) + 1e-14
    assert abs(problem.h - np.mean(x**2)) < 5 * np.std(x**2) / math.sqrt(samples) + 1e-14


@pytest.mark.parametrize("law", ["normal", "binary", "uniform"])
def test_mean_abs_gradient_against_quadrature(law):
    problem = Regression(0.4, 0.3, law, 1.5)
    w = np.array([0.4, 0.4 + 1e-9, 0.41, 1.0, 30.0])
    nodes = {
        "normal": np.linspace(-15, 15, 60_001),
        "binary": np.array([-1.5, 1.5]),
        "uniform": (np.arange(60_000) + 0.5) / 60_000 * 3 - 1.5,
    }[law]
    weights = np.exp(-0.5 * (nodes / 1.5) ** 2) if law == "normal" else np.ones(nodes.size)
    mean = np.abs(nodes * (w[:, None] - 0.4))
    erf = np.vectorize(math.erf, otypes=[float])
    folded = mean * erf(mean / 0.3 / math.sqrt(2)) + 0.3 * math.sqrt(2 / math.pi) * np.exp(-0.5 * (mean / 0.3) ** 2)
    expected = (np.abs(nodes) * folded * weights).sum(1) / weights.sum()
    np.testing.assert_allclose(problem.mean_abs_gradient(w), expected, rtol=2e-8)


def test_noise_free_gradients_have_no_spread_of_sign():
    for law in ("normal", "binary", "uniform"):
        problem = Regression(0.4, 0.0, law, 0.7)
        w = np.array([-1.0, 0.4, 2.0])
        np.testing.assert_allclose(problem.mean_abs_gradient(w), np.abs(problem.gradient(w)), rtol=1e-14)


def test_regression_is_a_specification():
    problem = Regression(target=0.4, noise=0.1)
    assert repr(problem) == "Regression(target=0.4, noise=0.1)"
    assert from_dict(problem.to_dict()) == problem
    assert problem.replace(input="uniform").h == pytest.approx(1 / 3)


# SGD


@pytest.mark.parametrize("target", [-0.8, -0.4, 0.0, 0.4, 0.8])
def test_fixed_point_agrees_with_the_closed_form_on_linear_asymmetry(target):
    device = SoftBounds(w_min=-2.0, w_max=2.0)
    problem = Regression(target, 0.5)
    w = theory.sgd_fixed_point(device, problem)
    closed = theory.sgd_equilibrium(target, 0.0, problem.mean_abs_gradient(w), problem.h, theory.asymmetry(device))
    assert w == pytest.approx(closed, rel=1e-8, abs=1e-9)
    assert abs(w) < abs(target) or target == 0.0


def test_fixed_points_quoted_for_the_single_parameter_demonstration():
    targets = [-0.8, -0.4, 0.0, 0.4, 0.8]
    found = [theory.sgd_fixed_point(SOFT, Regression(target, 0.5)) for target in targets]
    np.testing.assert_allclose(found, [-0.581, -0.301, 0.0, 0.301, 0.581], atol=6e-4)


def test_fixed_point_is_where_single_sample_sgd_settles():
    problem, device, lr, walkers = Regression(0.6, 0.4), Saturating(), 0.02, 400
    rng = np.random.default_rng(11)
    w, average = np.zeros(walkers), []
    for step in range(3000):
        x = rng.standard_normal(walkers)
        request = -lr * x * (x * (w - 0.6) - 0.4 * rng.standard_normal(walkers))
        up, down = (1 - w) ** 1.5, (1 + w) ** 1.5
        w = w + np.where(request > 0, request * up, request * down)
        if step >= 1000:
            average.append(w.mean())
    assert np.mean(average) == pytest.approx(theory.sgd_fixed_point(device, problem), abs=0.01)


def test_symmetric_devices_reach_the_target_or_their_bound():
    assert theory.sgd_fixed_point(CONSTANT, Regression(0.6, 0.5)) == pytest.approx(0.6)
    assert theory.sgd_fixed_point(CONSTANT, Regression(1.7, 0.5)) == 1.0
    assert theory.sgd_fixed_point(CONSTANT, Regression(-1.7, 0.5)) == -1.0
    assert theory.sgd_fixed_point(SOFT, Regression(0.6, 0.0)) == pytest.approx(0.6)


def test_equilibrium_is_independent_of_scale_and_broadcasts():
    w = theory.sgd_equilibrium([0.8, 0.2], 0.2, 0.5, 2.0, 1.0)
    np.testing.assert_allclose(w, [(1.6 + 0.1) / 2.5, 0.2])
    np.testing.assert_allclose(theory.sgd_equilibrium([0.8, 0.2], 0.2, 0.5, 2.0, 0.0), [0.8, 0.2])


def test_sgd_trajectory_decays_exponentially_on_a_symmetric_device():
    path = theory.sgd_trajectory(CONSTANT, Regression(0.6, 0.5, "uniform", 2.0), 0.01, 300, start=-0.2)
    assert path.t.size == path.w.size == 301 and path.t[-1] == 300
    np.testing.assert_allclose(path.w, 0.6 - 0.8 * np.exp(-0.01 * 4 / 3 * path.t), atol=1e-8)


def test_sgd_trajectory_ends_at_the_fixed_point():
    for device in (SOFT, SoftBounds(up_down=0.3, w_max=0.7), Saturating()):
        problem = Regression(0.5, 0.5)
        path = theory.sgd_trajectory(device, problem, 0.05, 1500)
        assert path.w[-1] == pytest.approx(theory.sgd_fixed_point(device, problem), abs=1e-8)


def test_sgd_trajectory_follows_the_mean_of_soft_bounds_under_binary_inputs():
    # |x| = 1 and strong noise make m constant: dw/dt = -lr*[(w - w0) + m*w], a plain exponential.
    problem, lr = Regression(0.5, 1000.0, "binary"), 1e-6
    m = 1000.0 * math.sqrt(2 / math.pi)
    path = theory.sgd_trajectory(SOFT, problem, lr, 2000, start=0.9)
    rest, rate = 0.5 / (1 + m), lr * (1 + m)
    np.testing.assert_allclose(path.w, rest + (0.9 - rest) * np.exp(-rate * path.t), rtol=1e-5)


def test_trajectories_stop_at_the_bounds():
    path = theory.sgd_trajectory(CONSTANT, Regression(3.0, 0.1), 0.01, 200, start=0.0)
    assert path.w.max() == path.w[-1] == 1.0
    both = theory.shd_trajectory(
        CONSTANT, CONSTANT, Regression(3.0, 0.1), 0.05, 0.05, 1, 200, fast_reference=0.5, slow_reference=0.0
    )
    assert both.a[-1] == 0.5 and both.c[-1] == 1.0


# SHD

LOSSLESS = dict(fast_lr=0.02, slow_lr=0.06, transfer_every=3, steps=2000, fast_reference=0.0, slow_reference=0.0)


def lossless(law="normal", **changes):
    return theory.shd_trajectory(CONSTANT, CONSTANT, Regression(0.3, 0.1, law, 1.5), **{**LOSSLESS, **changes})


def test_energy_is_conserved_without_asymmetry():
    path, h = lossless(start=(0.1, -0.1)), 1.5**2
    total = theory.energy(path.a, path.c, 0.3, 0.02, 0.06, h, 3)
    np.testing.assert_allclose(total, total[0], rtol=1e-6)
    potential = theory.energy(0.0, path.c, 0.3, 0.02, 0.06, h, 3)
    assert potential.min() < 1e-3 * total[0] and potential.max() > 0.999 * total[0]


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_period_of_the_integrated_motion_is_the_closed_form(law):
    path = lossless(law)
    expected = theory.oscillator(0.02, 0.06, Regression(0.3, 0.1, law, 1.5).h, 3)
    assert expected.regime == "lossless" and expected.period == pytest.approx(2 * math.pi / expected.omega0)
    np.testing.assert_allclose(path.c, 0.3 - 0.3 * np.cos(expected.omega * path.t), atol=1e-6)


def test_period_quoted_for_the_single_parameter_demonstration():
    assert theory.oscillator(0.02, 0.02, 1.0).period == pytest.approx(314.16, abs=0.01)


def test_asymmetry_of_the_fast_device_damps_the_motion():
    # Noise far above the signal makes m constant, so that the motion is the linear one.
    fast, problem = SoftBounds(w_min=-50.0, w_max=50.0), Regression(0.001, 10.0, "binary")
    m = problem.mean_abs_gradient(0.001)
    expected = theory.oscillator(0.01, 0.02, problem.h, 2, theory.asymmetry(fast), m)
    assert expected.regime == "underdamped"
    path = theory.shd_trajectory(fast, CONSTANT, problem, 0.01, 0.02, 2, 3000, slow_reference=0.0)
    phase = expected.omega * path.t
    motion = np.exp(-expected.damping * path.t) * (np.cos(phase) + expected.damping / expected.omega * np.sin(phase))
    np.testing.assert_allclose(path.c, 0.001 * (1 - motion), atol=2e-9)
    total = theory.energy(path.a, path.c, 0.001, 0.01, 0.02, problem.h, 2)
    assert (np.diff(total) <= 1e-15).all() and total[-1] < 0.2 * total[0]


def test_regimes_of_the_oscillator():
    omega0 = math.sqrt(0.01 * 0.04 * 0.5 / 5)
    for factor, regime in ((0.0, "lossless"), (0.5, "underdamped"), (1.0, "critical"), (2.0, "overdamped")):
        found = theory.oscillator(0.01, 0.04, 0.5, 5, kappa=2.0, m=factor * omega0 / 0.01)
        assert found.regime == regime
        assert found.omega0 == pytest.approx(omega0) and found.damping == pytest.approx(factor * omega0)
        if factor < 1:
            assert found.omega == pytest.approx(omega0 * math.sqrt(1 - factor**2))
            assert found.period == pytest.approx(2 * math.pi / found.omega)
        else:
            assert found.omega == 0.0 and found.period == math.inf


def test_shd_on_asymmetric_devices_reaches_the_target_that_sgd_misses():
    problem = Regression(0.6, 0.5)
    path = theory.shd_trajectory(SOFT, SoftBounds(up_down=0.2), problem, 0.1, 0.01, 1, 4000)
    assert path.a[-1] == pytest.approx(0.0, abs=1e-6) and path.c[-1] == pytest.approx(0.6, abs=1e-6)
    assert theory.sgd_fixed_point(SOFT, problem) < 0.5


def test_references_are_subtracted():
    fast = SoftBounds(up_down=0.3)
    problem = Regression(0.2, 0.5)
    path = theory.shd_trajectory(fast, CONSTANT, problem, 0.1, 0.02, 1, 4000, slow_reference=0.1)
    assert path.a[-1] == pytest.approx(0.0, abs=1e-6) and path.c[-1] == pytest.approx(0.2, abs=1e-6)
    wrong = theory.shd_trajectory(fast, CONSTANT, problem, 0.1, 0.02, 1, 4000, fast_reference=0.0, slow_reference=0.1)
    c = wrong.c[-1]  # A rests at 0, off its symmetry point: h*(C - C0)*F + m*G = 0 with A_main = 0
    at = theory.response(fast, 0.0)
    assert problem.gradient(c) * at.F + problem.mean_abs_gradient(c) * at.G == pytest.approx(0.0, abs=1e-7)
    assert c > 0.25


def test_read_noise_pulls_the_slow_weight_to_its_symmetry_point():
    problem = Regression(0.5, 0.5, "binary")
    quiet, noisy = (theory.shd_trajectory(SOFT, SOFT, problem, 0.1, 0.05, 1, 3000, read_noise=noise) for noise in (0.0, 0.1))
    assert quiet.c[-1] == pytest.approx(0.5, abs=1e-6) and noisy.c[-1] < 0.49
    a, c = noisy.a[-1], noisy.c[-1]
    samples = np.abs(a + 0.1 * np.random.default_rng(0).standard_normal(400_000)).mean()
    assert a == pytest.approx(samples * c, rel=0.01)  # F_C = 1, G_C = C_main: A = E|A + n|*C_main at rest
    shifted = theory.shd_trajectory(SOFT, SOFT, problem, 0.1, 0.05, 1, 3000, slow_reference=0.3, read_noise=0.1)
    a, c = shifted.a[-1], shifted.c[-1]
    samples = np.abs(a + 0.1 * np.random.default_rng(0).standard_normal(400_000)).mean()
    assert a == pytest.approx(samples * (c + 0.3), rel=0.01)


# Bad input


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Regression(0.1, -1.0), ValueError, r"noise must be .*\[0, inf\).*got -1"),
        (lambda: Regression(math.nan, 1.0), ValueError, "target must be .*got nan"),
        (lambda: Regression(0.1, 1.0, "gamma"), ValueError, "input must be one of 'normal', 'binary', 'uniform'; got"),
        (lambda: Regression(0.1, 1.0, input_scale=0), ValueError, r"input_scale must be .*\(0, inf\).*got 0"),
        (lambda: theory.response(SOFT, [0.0, math.inf]), ValueError, "w must hold finite numbers; got inf"),
        (lambda: theory.response(SOFT, "a"), TypeError, "w must be an array of real numbers"),
        (lambda: theory.response(SOFT, [[1.0], [1.0, 2.0]]), TypeError, "w must be an array of real numbers"),
        (lambda: theory.response(0.3, 0.0), TypeError, "device must be a device .*got 0.3.* no step_up, step_down"),
        (lambda: theory.asymmetry(CONSTANT), ValueError, "w must be a number .*without a symmetry point; got None"),
        (lambda: theory.asymmetry(Stuck(), 0.5), ValueError, "w must be a state at which .*got 0.5"),
        (lambda: theory.asymmetry(SOFT, 1.5), ValueError, r"w must be .*\[-1, 1\]; got 1.5"),
        (lambda: theory.sgd_equilibrium(0.5, 0.0, -0.1, 1.0, 1.0), ValueError, "m must be non-negative; got -0.1"),
        (lambda: theory.sgd_equilibrium(0.5, 0.0, 0.1, 0.0, 1.0), ValueError, "h must be .*got 0.0"),
        (lambda: theory.sgd_equilibrium(0.5, 0.0, 0.1, 1.0, -1.0), ValueError, "kappa must be .*got -1.0"),
        (lambda: theory.sgd_fixed_point(SOFT, 0.5), TypeError, "regression must be a Regression; got 0.5"),
        (lambda: theory.sgd_trajectory(SOFT, Regression(0, 0), 0.0, 5), ValueError, "lr must be .*got 0.0"),
        (lambda: theory.sgd_trajectory(SOFT, Regression(0, 0), 0.1, 0), ValueError, "steps must be .*at least 1"),
        (lambda: theory.sgd_trajectory(SOFT, Regression(0, 0), 0.1, 5, 1.5), ValueError, r"start .*1\]; got 1.5"),
        (lambda: lossless(transfer_every=0), ValueError, "transfer_every must be .*got 0"),
        (lambda: lossless(fast_reference=None), ValueError, "fast_reference must be a number for a fast device"),
        (lambda: lossless(slow_reference=2.0), ValueError, r"slow_reference must be .*\[-1, 1\]; got 2.0"),
        (lambda: lossless(start=0.0), TypeError, "start must be a pair .*got 0.0"),
        (lambda: lossless(start=(0.0, 1.5)), ValueError, r"start\[1\] must be .*got 1.5"),
        (lambda: lossless(fast_reference=0.5, start=(0.6, 0)), ValueError, r"start\[0\] .*\[-1.5, 0.5\]; got 0.6"),
        (lambda: lossless(read_noise=-1), ValueError, "read_noise must be .*got -1"),
        (lambda: theory.oscillator(0.1, 0.1, -1.0), ValueError, "h must be .*got -1.0"),
        (lambda: theory.energy(0.0, 0.0, 0.0, 0.1, 0.0, 1.0), ValueError, "slow_lr must be .*got 0.0"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


# ---- devices with a reference ---------------------------------------------------------------------------------------


def test_bounds_of_weights_are_those_of_states_less_the_reference():
    """The theory of the device as `response` has it, whose bounds are those of weights, is the same."""
    shifted = devices.SoftBoundsReference(w_max=1.0, w_min=-1.0, reference_mean=0.8)
    assert theory.bounds(shifted) == pytest.approx((-1.8, 0.2))
    assert theory.bounds(devices.SoftBounds(w_max=0.5, w_min=-0.7)) == (-0.7, 0.5)
    far, near = Regression(target=-1.5, noise=0.1), Regression(target=0.7, noise=0.1)
    assert theory.sgd_fixed_point(shifted, near) <= 0.2
    found = theory.sgd_fixed_point(shifted, far)
    assert (
        found == pytest.approx(theory.sgd_fixed_point(theory.response_theory(shifted), far), abs=1e-9) and -1.5 < found < -1.4
    )
    path = theory.sgd_trajectory(shifted, far, 0.05, 3000, 0.0)
    assert path.w[-1] == pytest.approx(found, abs=1e-3)
    wide = devices.SoftBoundsReference(w_max=1.0, w_min=-1.0, reference_mean=1.2)
    assert theory.asymmetry(wide) == pytest.approx(1.0, rel=1e-4)  # the symmetry point of w is -1.2


@pytest.mark.parametrize("method", ["random_pulses", "pulses"])
@pytest.mark.parametrize("settings", [{}, {"mult_noise": False}, {"up_down": 0.3}], ids=str)
def test_zero_shift_law_with_large_noise(method, settings):
    """Against pulses in float64 that nothing clips: noise in proportion to the step grows with the distance itself."""
    device = devices.SoftBounds(dw_min=0.05, w_max=1.0, w_min=-1.0, dw_min_std=1.0, **settings)
    law = theory.zero_shift_law(device, 400, method=method)
    rng = np.random.default_rng(1)
    w, count = np.zeros(100_000), 400
    p = device.mean_parameters()
    for k in range(count):
        up = np.full(w.size, k % 2 == 0) if method == "pulses" else rng.random(w.size) < 0.5
        step_up, step_down = device.steps_of(p, w)
        xi = rng.standard_normal(w.size)
        relative, nominal = device.noise_weights
        step = np.where(up, step_up, step_down)
        noise = (relative * step + nominal * np.where(up, p["step_up"], p["step_down"])) * xi
        w += np.where(up, 1.0, -1.0) * (step + noise)
    w -= device.symmetry_point
    spread = w.std()
    error = spread * math.sqrt((stats.kurtosis(w) + 2.0) / 4.0 / w.size)
    assert abs(w.mean() - law.bias) < 5.0 * spread / math.sqrt(w.size)
    assert abs(spread - law.deviation) < 5.0 * error
