"""The curved and referenced models: mean steps, symmetry points, spreads, and pulse responses against their laws."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import devices as oracle
from scipy.optimize import brentq

import rpusim as rpu
from rpusim.devices import (
    ExpStep,
    FromResponse,
    LinearStep,
    PiecewiseStep,
    PowStep,
    PowStepReference,
    SoftBounds,
    SoftBoundsPmax,
    SoftBoundsReference,
)

BOUNDS = dict(dw_min=0.004, w_max=0.8, w_min=-0.7)
DEVICES = {
    "soft": SoftBounds(**BOUNDS, up_down=0.2),
    "reversed": LinearStep(**BOUNDS, gamma_up=0.5, gamma_down=0.3, up_down=-0.03, reverse_up=True, allow_increasing=True),
    "reference": SoftBoundsReference(**BOUNDS, up_down=0.2, reference_mean=0.05, reference_std=0.1),
    "subtracted": SoftBoundsReference(**BOUNDS, up_down=0.2, reference_std=0.1, subtract_symmetry_point=True),
    "exp": ExpStep(**BOUNDS, A_up=0.1, A_down=0.2, gamma_up=4.0, gamma_down=3.0, a=0.4, b=0.1),
    "pow": PowStep(**BOUNDS, up_down=0.1, pow_gamma=1.7, pow_up_down=0.1),
    "pow reference": PowStepReference(**BOUNDS, up_down=0.1, pow_gamma=0.6, reference_std=0.1),
    "pow subtracted": PowStepReference(**BOUNDS, up_down=0.1, pow_gamma=1.4, subtract_symmetry_point=True),
    "piecewise": PiecewiseStep(**BOUNDS, piecewise_up=(1.4, 1.2, 0.9, 0.3), piecewise_down=(0.1, 0.9, 1.1, 1.2)),
    "tabulated": FromResponse(lambda w: 0.004 * np.exp(-w), lambda w: 0.004 * np.exp(1.5 * (w - 0.1)), w_max=0.8, w_min=-0.7),
}


@pytest.mark.parametrize("name", DEVICES)
def test_the_symmetry_point_is_the_root_of_the_difference_of_steps(name):
    device = DEVICES[name]
    low, high = device.bounds_of(device.mean_parameters())
    root = brentq(lambda w: float(device.step_up(w) - device.step_down(w)), low, high, xtol=1e-14)
    (point,) = device.symmetry_points
    assert point.w == pytest.approx(root, abs=1e-9) and point.stable == (name != "reversed")
    if name == "reversed":  # pulses lead away from it
        assert np.isnan(device.symmetry_point)
        assert np.isnan(
            rpu.CrossbarArray((3, 2), device.replace(dw_min_dtod=0.01, up_down_dtod=0.0), rng=3).symmetry_point()
        ).all()
        return
    assert device.symmetry_point == pytest.approx(root, abs=1e-9)
    array = rpu.CrossbarArray((30, 20), device, rng=3)
    points = array.symmetry_point()
    p = {k: v.astype(np.float64) for k, v in array.parameters.items()}
    up, down = device.steps_of(p, points)
    found = np.isfinite(points)
    assert found.mean() > 0.8
    if name == "pow subtracted":  # the reference is the symmetry point of each device itself
        assert np.abs(points).max() < 1e-6 and array.parameters["reference"].std() > 0.001
    else:
        assert points[found].std() > 0.001
    np.testing.assert_allclose(up[found], down[found], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in DEVICES if name != "reversed"])  # whose point pulses move away from
def test_alternating_pulses_settle_at_the_symmetry_point(name):
    """Within a step: the mean of the up-down cycle of the real engine, without noise."""
    device = DEVICES[name].replace(dw_min_std=0.0, dw_min_dtod=0.1)
    array = rpu.CrossbarArray((8, 9), device, rng=4)
    exact, settled = array.symmetry_point(), array.symmetry_point("pulses", n_pulses=40_000)
    found = np.isfinite(exact)
    p = {k: v.astype(np.float64) for k, v in array.parameters.items()}
    step = np.maximum(*device.steps_of(p, np.nan_to_num(exact)))
    assert found.mean() > 0.8
    assert (np.abs(settled - exact) < step)[found].all()


def test_closed_forms_of_symmetry_points():
    s_up, s_dn = oracle.mean_steps(0.004, up_down=0.1)
    equal = PowStep(**BOUNDS, up_down=0.1, pow_gamma=1.7)
    rho = (s_dn / s_up) ** (1 / 1.7)
    assert equal.symmetry_point == pytest.approx((0.8 - rho * 0.7) / (1 + rho), abs=1e-9)
    exp = ExpStep(w_max=0.8, w_min=-0.7, A_up=0.1, A_down=0.2, gamma_up=4.0, gamma_down=3.0, a=0.4, b=0.1)
    z = np.log(0.2 / 0.1) / 7.0
    assert exp.symmetry_point == pytest.approx((z - 0.1) * 1.5 / 0.8, abs=1e-9)
    assert DEVICES["tabulated"].symmetry_point == pytest.approx(0.15 / 2.5, abs=1e-5)
    assert np.isnan(PiecewiseStep(up_down=0.1).symmetry_point)  # constant steps that differ


@pytest.mark.parametrize("p_max, alpha, low, high", [(1000, 0.0005, -1, 1), (200, 0.01, -0.5, 0.7)])
def test_p_max_pulses_lead_from_one_end_of_the_range_to_the_other(p_max, alpha, low, high):
    """Both documented curves, which AIHWKit's mapping misses (1.356 in place of 1)."""
    device = SoftBoundsPmax(
        p_max, alpha, low, high, dw_min_std=0.0, dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0
    )
    span = (high - low) / (1 - np.exp(-p_max * alpha))
    array = rpu.CrossbarArray((1, 1), device, rng=0)
    for start, sign in ((low, 1), (high, -1)):
        array.program([[start]])
        for n in (p_max // 4, p_max):
            array.program([[start]])
            array.pulse(sign * n)
            expected = start + sign * span * (1 - np.exp(-alpha * n))
            # (1 - alpha)^n against exp(-alpha n): a relative difference of n alpha^2 / 2
            assert array.weights[0, 0] == pytest.approx(expected, abs=span * n * alpha**2)
    with pytest.raises(TypeError, match="w_max follow from"):
        SoftBoundsPmax(w_max=1.0)
    with pytest.raises(ValueError, match="bounds around 0"):
        SoftBoundsPmax(range_min=0.5, range_max=0.6, p_max=10_000)


def test_a_ramp_of_the_power_law_follows_its_differential_equation():
    """dw/dn = s ((b - w)/R)^g has the solution (b - w)^(1-g) = (b - w0)^(1-g) - (1 - g) s n / R^g."""
    device = PowStep(
        dw_min=1e-4,
        w_max=1.0,
        w_min=-1.0,
        pow_gamma=2.0,
        dw_min_std=0.3,
        dw_min_dtod=0.0,
        up_down_dtod=0.0,
        w_max_dtod=0.0,
        w_min_dtod=0.0,
        pow_gamma_dtod=0.0,
    )
    array = rpu.CrossbarArray((40, 50), device, rng=5)
    array.program(np.full(array.shape, -0.5))
    array.pulse(20_000)
    expected = 1.0 - 1.0 / (1.0 / 1.5 + 1e-4 * 20_000 / 4.0)
    spread = array.weights.std()
    assert abs(array.weights.mean() - expected) < 5 * spread / np.sqrt(2000) + 1e-4
    # linearised: each kick (0.3 s q)^2 is forgotten as ((b - w_end) / (b - w))^2 twice over, as q = ((b - w)/R)^2
    n = np.arange(20_000)
    left = 1.0 / (1.0 / 1.5 + 1e-4 * n / 4.0)
    variance = np.sum((0.3 * 1e-4 * (left / 2) ** 2) ** 2 * ((1.0 - expected) / left) ** 4)
    assert spread == pytest.approx(np.sqrt(variance), rel=5 / np.sqrt(2 * 2000))


def test_spreads_of_the_new_parameters():
    shape, n = (200, 250), 50_000
    p = rpu.CrossbarArray(
        shape, PowStep(pow_gamma=1.5, pow_gamma_dtod=0.1, pow_up_down=0.2, pow_up_down_dtod=0.05), rng=6
    ).parameters
    up, down = p["gamma_up"].astype(np.float64) / 1.5, p["gamma_down"].astype(np.float64) / 1.5
    assert abs(up.mean() - 1.2) < 5 * 0.112 / np.sqrt(n) and abs(down.mean() - 0.8) < 5 * 0.112 / np.sqrt(n)
    assert np.std((up + down) / 2) == pytest.approx(0.1, rel=0.016)
    assert np.std((up - down) / 2) == pytest.approx(0.05, rel=0.016)
    p = rpu.CrossbarArray(shape, SoftBoundsReference(reference_mean=0.1, reference_std=0.2), rng=7).parameters
    assert p["reference"].mean() == pytest.approx(0.1, abs=5 * 0.2 / np.sqrt(n))
    assert p["reference"].std() == pytest.approx(0.2, rel=0.016)
    sloped = SoftBoundsReference(slope_up_dtod=0.2, w_max=1.0, w_max_dtod=0.0)
    slope = 1.0 / rpu.CrossbarArray(shape, sloped, rng=8).parameters["w_max"].astype(np.float64)
    assert slope.std() == pytest.approx(0.2, rel=0.02) and slope.mean() == pytest.approx(1.0, abs=0.005)


def test_a_table_is_as_good_as_its_law():
    soft = SoftBounds(**BOUNDS, up_down=0.2, dw_min_std=0.0)
    table = FromResponse(soft.step_up, soft.step_down, w_max=0.8, w_min=-0.7, dw_min_std=0.0, nodes=2)
    common = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
    a, b = (rpu.CrossbarArray((3, 5), device.replace(**common), rng=9) for device in (soft, table))
    counts = np.arange(-70, 80, 10).reshape(3, 5)
    for array in (a, b):
        array.pulse(counts)
    np.testing.assert_allclose(a.weights, b.weights, atol=2e-6)
    assert table.granularity == pytest.approx(soft.dw_min, rel=1e-12)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: PiecewiseStep(piecewise_up=(1.0, 2.0)), "piecewise_down must have as many nodes as piecewise_up, 2; got 1"),
        (lambda: PiecewiseStep(piecewise_up=()), "piecewise_up must be a sequence of at least one number"),
        (lambda: PiecewiseStep(piecewise_up=(1.0, -1.0)), r"piecewise_up\[1\] must be"),
        (lambda: PowStep(pow_gamma=-1.0), "pow_gamma must be a finite real number in"),
        (lambda: ExpStep(gamma_up=1e9), "gamma_up must be"),
        (lambda: ExpStep(dw_min_std=0.0, dw_min_std_add=0.1), "dw_min_std_add must be 0 where dw_min_std=0"),
        (lambda: LinearStep(reverse_up=True, mult_noise=False), "mult_noise must be True"),
        (lambda: FromResponse(lambda w: -w, lambda w: w), "q_up must return finite numbers of at least 0"),
        (lambda: PowStepReference(n_estimation_steps=3), "used only where subtract_symmetry_point=True"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", DEVICES)
def test_specifications_go_through_json_and_print_as_code(name):
    device = DEVICES[name]
    assert rpu.from_json(device.to_json()) == device
    assert eval(repr(device), {n: getattr(rpu.devices, n) for n in rpu.devices.__all__}) == device


def waves(zeros, sign=1.0, **others):
    """A device whose up step less its down step is a polynomial with these zeros, up to `sign`."""

    def excess(w):
        return sign * 0.001 * np.prod([w - zero for zero in zeros], axis=0)

    return FromResponse(lambda w: 0.01 + excess(w), lambda w: 0.01 - excess(w), w_max=1.0, w_min=-1.0, **others)


@pytest.mark.parametrize(
    ("zeros", "sign", "stable", "taken"),
    [
        ((-0.658, -0.334, 0.632), -1.0, [True, False, True], 0.632),
        ((-0.658, -0.334, 0.632), 1.0, [False, True, False], -0.334),
        ((0.55,), 1.0, [False], None),
        ((0.55,), -1.0, [True], 0.55),
        ((-0.9, -0.2, 0.1, 0.4), 1.0, [True, False, True, False], 0.1),
        ((), 1.0, [], None),
    ],
)
def test_all_symmetry_points_with_their_stability_and_the_stable_one_nearest_to_0(zeros, sign, stable, taken):
    device = waves(zeros, sign, dw_min_std=0.0, w_max_dtod=0.0, w_min_dtod=0.0, dw_min_dtod=0.0, up_down_dtod=0.0)
    found = device.symmetry_points
    np.testing.assert_allclose([point.w for point in found], zeros, atol=1e-3)
    assert [point.stable for point in found] == stable
    point = device.symmetry_point
    assert np.isnan(point) if taken is None else point == pytest.approx(taken, abs=1e-3)
    array = rpu.CrossbarArray((2, 3), device.replace(dw_min_dtod=0.1), rng=0)
    np.testing.assert_allclose(array.symmetry_point(), np.full((2, 3), point), atol=1e-6)
    if taken is not None:  # pulses in turn lead to it from near, by the engine
        array.program(np.full((2, 3), taken + 0.05))
        for _ in range(4000):
            array.pulse(1)
            array.pulse(-1)
        assert np.abs(array.weights - taken).mean() < 0.03


def test_nominal_steps_scale_pulse_trains():
    device = SoftBounds(dw_min=0.001, dw_min_dtod=0.0, dw_min_std=0.0, nominal_step=0.004, **NO_BOUND_SPREAD)
    assert device.granularity == 0.004 and device.number_of_states == 2 / 0.004
    assert device.replace(nominal_step=None).granularity == 0.001
    assert PowStep(dw_min=0.1, pow_gamma=2.0, nominal_step=0.002).granularity == 0.002
    assert rpu.from_dict(device.to_dict()) == device
    array = rpu.CrossbarArray((1, 1), device, rng=0, pulses=rpu.PulseScheme(pulse_type="deterministic_implicit"))
    array.update([1.0], [-1.0], lr=0.04)  # ten pulses of it, which are steps of dw_min
    assert array.weights[0, 0] == pytest.approx(1 - 0.999**10, rel=1e-3)


NO_BOUND_SPREAD = dict(w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0, up_down_dtod=0.0)


def test_symmetry_points_that_are_0_but_for_rounding_are_0():
    table = dict(w_max=1.0, w_min=-1.0, nodes=1001)
    device = rpu.devices.FromResponse(
        lambda w: 2e-3 * (1 - 0.7 * np.tanh(2 * w)), lambda w: 2e-3 * (1 + 0.7 * np.tanh(2 * w)), **table
    )
    assert str(device.symmetry_points) == "(SymmetryPoint(w=0.0, stable=True),)" and device.symmetry_point == 0.0
    near = rpu.devices.FromResponse(lambda w: 2e-3 * (2 - w + 1e-7), lambda w: 2e-3 * (2 + w - 1e-7), **table)
    assert near.symmetry_point == pytest.approx(1e-7, rel=1e-3) == near.symmetry_points[0].w
