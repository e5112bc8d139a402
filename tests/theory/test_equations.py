"""Fast integration of the continuum equations against SciPy's DOP853 without tables; points of rest against where paths end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rpusim import devices, theory
from rpusim.theory import equations as equations
from rpusim.theory.sgd import Regression

EXACT = dict(dw_min=0.001, dw_min_dtod=0.0, up_down_dtod=0.0, w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0)


def rough(n=40):
    """A table as from measurement: steps fall towards the bounds, and scatter by a fifth."""
    rng, t = np.random.default_rng(0), np.linspace(0.0, 1.0, n)
    up, down = (((1.8 * side + 0.1) * (1 + 0.2 * rng.standard_normal(n))).clip(0.2, 2.0) for side in (1 - t, t))
    return devices.PiecewiseStep(piecewise_up=tuple(up), piecewise_down=tuple(down), **EXACT)


def wu(w, sign):
    return 0.001 * np.expm1(2.0 * (1.0 - sign * w)) / np.expm1(2.0)


DEVICES = {
    "constant": devices.ConstantStep(**EXACT),
    "soft": devices.SoftBounds(up_down=0.3, **EXACT),
    "exp": devices.ExpStep(**EXACT),
    "table": devices.FromResponse(lambda w: wu(w, 1), lambda w: wu(w, -1), w_max=1.0, w_min=-1.0),
    "rough": rough(),
    "kink": devices.FromResponse(
        lambda w: 0.001 * (1 - np.maximum(w, 0)), lambda w: 0.001 * (1 + np.minimum(w, 0)), w_max=1.0, w_min=-1.0
    ),
}


def plain_rate(device, w, request, magnitude):
    low, high = theory.bounds(device)
    up, down = (float(law(min(max(w, low), high))) / device.granularity for law in (device.step_up, device.step_down))
    rate = (request * (up + down) - magnitude * (down - up)) / 2
    return 0.0 if (w >= high and rate > 0) or (w <= low and rate < 0) else rate


def reference_of(device):
    return device.symmetry_point if math.isfinite(device.symmetry_point) else 0.0


def mean_abs(a, noise):
    """E|a + n| by the closed form, as an oracle of its own."""
    return a * math.erf(a / noise / math.sqrt(2)) + noise * math.sqrt(2 / math.pi) * math.exp(-0.5 * (a / noise) ** 2)


def solved(velocity, start, steps):
    """Steps are short, since the interpolation between them does not see the kinks of a table."""
    solution = solve_ivp(velocity, (0, steps), start, "DOP853", np.arange(steps + 1.0), rtol=1e-10, atol=1e-13, max_step=2)
    assert solution.success
    return solution.y


@pytest.mark.parametrize("name", DEVICES)
def test_sgd_is_integrated_as_by_dop853(name):
    device, task, lr = DEVICES[name], Regression(0.7, 0.2), 0.01
    expected = solved(
        lambda _, w: [plain_rate(device, w[0], -lr * (w[0] - 0.7), lr * float(task.mean_abs_gradient(w[0])))], [-0.5], 1000
    )
    np.testing.assert_allclose(theory.sgd_trajectory(device, task, lr, 1000, -0.5).w, expected[0], atol=3e-7)


@pytest.mark.parametrize("name", DEVICES)
def test_shd_is_integrated_as_by_dop853(name):
    device, task, noise, steps = DEVICES[name], Regression(-0.6, 0.2, "uniform"), 0.01, 600
    reference = reference_of(device)

    def velocity(_, state):
        a, c = state
        m = float(task.mean_abs_gradient(c))
        return [
            plain_rate(device, a + reference, -0.02 * (c + 0.6) / 3, 0.02 * m),
            plain_rate(device, c + reference, 0.01 * a, 0.01 * mean_abs(a, noise)),
        ]

    found = theory.shd_trajectory(
        device, device, task, 0.02, 0.04, 4, steps, (0.05, 0.2), reference, reference, read_noise=noise
    )
    a, c = solved(velocity, (0.05, 0.2), steps)
    np.testing.assert_allclose(found.a, a, atol=3e-7)
    np.testing.assert_allclose(found.c, c, atol=3e-7)


def test_a_weight_held_by_its_bound_leaves_when_it_is_driven_back():
    """A of a device without asymmetry saturates, C passes the target, A comes back: as DOP853 has it, to the jump's error."""
    device, task = DEVICES["constant"], Regression(0.9, 0.3)

    def velocity(_, state):
        a, c = state
        return [
            plain_rate(device, a + 0.8, -0.02 * (c - 0.9), 0.02 * float(task.mean_abs_gradient(c))),
            plain_rate(device, c, 0.02 * a, 0.02 * abs(a)),
        ]

    found = theory.shd_trajectory(device, device, task, 0.02, 0.02, 1, 1500, (0.0, -0.9), 0.8, 0.0)
    a, c = solved(velocity, (0.0, -0.9), 1500)
    held = found.a > 0.2 - 1e-8
    assert held.sum() > 100 and found.a.min() < -0.05 and found.a.max() <= 0.2 and found.c.max() <= 1.0
    np.testing.assert_allclose(found.a, a, atol=1e-5)
    np.testing.assert_allclose(found.c, c, atol=1e-5)


def test_orbits_that_touch_bounds_for_ever_are_integrated():
    device = devices.LinearStep(gamma_up=0.5, gamma_down=0.5, gamma_up_dtod=0.0, gamma_down_dtod=0.0, **EXACT)
    path = theory.shd_trajectory(device, device, Regression(-0.95, 0.5), 0.01, 0.02, 1, 30_000)
    assert path.c.min() == pytest.approx(-1.0, abs=1e-8) and path.c[-1] == pytest.approx(-0.95, abs=1e-3)


def test_soft_bounds_under_a_constant_request_relax_exponentially():
    """m = 0 of noise and inputs +-1, far from the target: dw/dt = lr d (1 - w), with d the distance, of SGD; closed form."""
    task, lr = Regression(2.0, 0.0, "binary"), 0.01
    path = theory.sgd_trajectory(devices.SoftBounds(**EXACT), task, lr, 800, -1.0)
    # dw/dt = lr (2 - w) (1 - w): (2 - w) / (1 - w) grows as exp(lr t), from 3/2
    ratio = 1.5 * np.exp(lr * path.t)
    np.testing.assert_allclose(path.w, (ratio - 2) / (ratio - 1), atol=2e-9)


@pytest.mark.parametrize("law", ["normal", "binary", "uniform"])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_moduli_of_single_distances_are_those_of_arrays(law, noise):
    task, distances = Regression(0.1, noise, law, 1.5), np.array([-2.0, -0.3, 0.0, 1e-9, 0.01, 4.0])
    mean = equations.mean_abs_gradient(law, 1.5, noise)
    np.testing.assert_allclose([mean(d) for d in distances], task.mean_abs_gradient(0.1 + distances), rtol=1e-7, atol=1e-15)


# ---- points of rest -------------------------------------------------------------------------------------------------


def points(device, task, noise=0.02, **changes):
    settings = (
        dict(
            fast_lr=0.01,
            slow_lr=0.02,
            transfer_every=1,
            fast_reference=reference_of(device),
            slow_reference=reference_of(device),
            read_noise=noise,
        )
        | changes
    )
    return theory.shd_fixed_points(device, device, task, **settings), settings


@pytest.mark.parametrize("target", [-0.4, 0.6, 1.3])
@pytest.mark.parametrize("name", ["soft", "exp", "table", "rough", "kink"])
def test_shd_ends_at_its_fixed_point_where_nothing_moves(name, target):
    device, task = DEVICES[name], Regression(target, 0.5)
    found, settings = points(device, task, fast_lr=0.1, slow_lr=0.05)
    path = theory.shd_trajectory(device, device, task, steps=60_000, start=(0.1, -0.1), **settings)
    point = min(found, key=lambda point: math.hypot(point.a - path.a[-1], point.c - path.c[-1]))
    assert (path.a[-1], path.c[-1]) == pytest.approx((point.a, point.c), abs=1e-6)
    assert point.stability == ("bound" if target > 1 else "stable") and (len(found) == 1 or name == "rough")
    reference = settings["fast_reference"]
    m = float(task.mean_abs_gradient(point.c))
    a_dot = plain_rate(device, point.a + reference, -0.1 * (point.c - target), 0.1 * m)
    c_dot = plain_rate(device, point.c + reference, 0.05 * point.a, 0.05 * mean_abs(point.a, 0.02))
    assert abs(a_dot) < 1e-9 and abs(c_dot) < 1e-9  # of requests of 1e-2
    assert abs(point.c - target) > 5e-6  # the noise of reading has moved it


def test_without_noise_of_reading_shd_rests_at_its_target():
    (point,), _ = points(DEVICES["soft"], Regression(-0.8, 0.5), noise=0.0)
    assert (point.a, point.c) == pytest.approx((0.0, -0.8), abs=1e-12) and point.stability == "stable"
    # Jacobian of Eq. 2 with F, G of up_down = 0.3 at the two references, 0.3: A only feels G' = 1
    m, f = float(Regression(-0.8, 0.5).mean_abs_gradient(-0.8)), (1 - 0.3 * 0.3, 1 - 0.3 * (-0.8 + 0.3))
    expected = np.roots([1.0, 0.01 * m, 0.01 * f[0] * 0.02 * f[1]])
    np.testing.assert_allclose(sorted(point.growth, key=lambda z: z.imag), sorted(expected, key=lambda z: z.imag), rtol=1e-3)


def test_symmetric_devices_only_orbit_and_reversed_ones_are_driven_away():
    (orbit,), _ = points(DEVICES["constant"], Regression(0.4, 0.5))
    assert orbit.stability == "neutral" and orbit.c == pytest.approx(0.4, abs=1e-12)
    assert orbit.growth[0].imag == pytest.approx(math.copysign(math.sqrt(2e-4), orbit.growth[0].imag), rel=1e-6)
    reverse = devices.FromResponse(
        lambda w: 0.001 * (1 + 0.5 * w), lambda w: 0.001 * (1 - 0.5 * w), w_max=1.0, w_min=-1.0
    )  # steps that grow towards the bounds: a drag that drives
    found, settings = points(reverse, Regression(0.2, 0.5), noise=0.0)
    centre = min(found, key=lambda point: abs(point.c - 0.2))
    assert centre.stability == "unstable" and centre.c == pytest.approx(0.2, abs=1e-9)
    near = theory.shd_trajectory(reverse, reverse, Regression(0.2, 0.5), steps=2000, start=(0.0, 0.21), **settings)
    assert np.abs(near.c[-500:] - 0.2).max() > 0.03


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_targets_beyond_the_last_step_end_where_the_steps_do(sign, noise):
    """Steps that vanish before the bound, and turn beyond: C stays where they vanish, whatever A is."""
    slopes = {"gamma_down": 1.25} if sign < 0 else {"gamma_up": 1.25}
    device = devices.LinearStep(dw_min=0.001, w_max=1.0, w_min=-1.0, **({"gamma_up": 0.2, "gamma_down": 0.2} | slopes))
    task = Regression(1.2 * sign, 0.2)
    found, settings = points(device, task, noise=noise, fast_lr=0.1, slow_lr=0.05)
    (point,) = found
    path = theory.shd_trajectory(device, device, task, steps=60_000, **settings)
    assert (path.a[-1], path.c[-1]) == pytest.approx((point.a, point.c), abs=1e-6) and point.stability == "stable"
    end = sign * 0.8 - reference_of(device)
    assert (abs(point.c - end) > 1e-6) == (noise > 0.0)  # some reads have the other sign
    assert point.c == pytest.approx(end, abs=1e-9 if noise == 0.0 else 0.02) and point.a * sign > 0.1


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("name", ["soft", "constant", "rough"])
def test_targets_out_of_reach_end_at_a_bound(name, sign):
    device, task = DEVICES[name], Regression(1.6 * sign, 0.2)
    found, settings = points(device, task, noise=0.0)
    (point,) = [p for p in found if p.stability == "bound"]
    edge = (1.0 if sign > 0 else -1.0) - reference_of(device)
    assert point.c == pytest.approx(edge, abs=1e-12)
    assert len(point.growth) == {"constant": 0, "soft": 2, "rough": len(point.growth)}[name]  # what no bound holds
    path = theory.shd_trajectory(device, device, task, steps=60_000, **settings)
    assert (path.a[-1], path.c[-1]) == pytest.approx((point.a, point.c), abs=1e-3)


def test_sgd_rests_where_it_comes_to_from_its_start():
    """G of a sine has three zeros; under weak gradients each basin keeps its own, and the middle one is unstable."""
    device = devices.FromResponse(
        lambda w: 0.001 * (1 + 0.8 * np.sin(2 * np.pi * w)),
        lambda w: 0.001 * (1 - 0.8 * np.sin(2 * np.pi * w)),
        w_max=1.0,
        w_min=-1.0,
    )
    task = Regression(0.0, 2.0)
    ends = {}
    for start in (-0.9, -0.05, 0.05, 0.9):
        ends[start] = theory.sgd_fixed_point(device, task, start=start)
        path = theory.sgd_trajectory(device, task, 0.02, 5000, start)
        assert path.w[-1] == pytest.approx(ends[start], abs=1e-5)
    assert ends[-0.05] < -0.3 and ends[0.05] > 0.3
    assert theory.sgd_fixed_point(device, Regression(0.01, 2.0)) > 0.3  # from 0, which the target moves upwards
    with pytest.raises(ValueError, match="start must be"):
        theory.sgd_fixed_point(device, task, start=1.5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"read_noise": -1.0}, "read_noise must be"), ({"fast_lr": 0.0}, "fast_lr must be"), ({"m": -1.0}, "m must be"),
     ({"h": 0.0}, "h must be"), ({"slow_reference": 2.0}, "slow_reference must be")],
)  # fmt: skip
def test_fixed_points_refuse_what_trajectories_refuse(changes, text):
    with pytest.raises(ValueError, match=text):
        points(DEVICES["soft"], Regression(0.4, 0.5), **changes)
