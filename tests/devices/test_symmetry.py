"""The mean device: steps, symmetry point, number of states; and the symmetry points of whole arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import devices as oracle
from scipy.optimize import brentq

import rpusim as rpu
from rpusim.devices import ConstantStep, Device, Ideal, LinearStep, PulsedDevice, SoftBounds

NO_SPREAD = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
small = st.floats(0.001, 0.05)
bound = st.floats(0.1, 3.0)
asymmetry = st.floats(-0.9, 0.9)


@given(small, asymmetry, bound, bound, st.floats(0.0, 1.5), st.floats(0.0, 1.5), st.floats(-1.0, 1.0))
def test_mean_steps_follow_the_laws(dw_min, up_down, w_max, low, gamma_up, gamma_down, w):
    s_up, s_dn = oracle.mean_steps(dw_min, up_down=up_down)
    common = dict(dw_min=dw_min, up_down=up_down, w_max=w_max, w_min=-low)
    for device, gammas in (
        (ConstantStep(**common), (0.0, 0.0)),
        (LinearStep(**common, gamma_up=gamma_up, gamma_down=gamma_down), (gamma_up, gamma_down)),
        (SoftBounds(**common), (1.0, 1.0)),
    ):
        expected = oracle.linear_means(w, s_up=s_up, s_dn=s_dn, gam_up=gammas[0], gam_dn=gammas[1], ref_up=w_max, ref_dn=-low)
        np.testing.assert_allclose((device.step_up(w), device.step_down(w)), expected, rtol=1e-9, atol=1e-12)
        assert device.granularity == dw_min
        assert device.number_of_states == pytest.approx((w_max + low) / dw_min, rel=1e-12)


def test_steps_of_many_states_at_once():
    w = np.linspace(-1, 1, 7)
    device = SoftBounds(dw_min=0.01, up_down=0.1, w_max=1.0, w_min=-1.0)
    np.testing.assert_allclose(device.step_up(w), 0.011 * (1 - w), atol=1e-17)
    np.testing.assert_allclose(device.step_down(list(w)), 0.009 * (1 + w), atol=1e-17)


@given(small, asymmetry, bound, bound, st.floats(0.2, 1.5), st.floats(0.2, 1.5))
def test_the_symmetry_point_is_the_root_of_the_difference_of_steps(dw_min, up_down, w_max, low, gamma_up, gamma_down):
    common = dict(dw_min=dw_min, up_down=up_down, w_max=w_max, w_min=-low)
    for device in (SoftBounds(**common), LinearStep(**common, gamma_up=gamma_up, gamma_down=gamma_down)):

        def difference(w, device=device):
            return float(device.step_up(w) - device.step_down(w))

        if difference(-low) * difference(w_max) >= 0:
            point = device.symmetry_point  # no root between the bounds, or one on a bound
            assert np.isnan(point) or min(abs(point - w_max), abs(point + low)) < 1e-9
        else:
            assert device.symmetry_point == pytest.approx(brentq(difference, -low, w_max, xtol=1e-14), abs=1e-9)


def test_devices_without_a_symmetry_point_say_nan():
    assert np.isnan(ConstantStep().symmetry_point)
    assert np.isnan(LinearStep(up_down=0.5, gamma_up=0.1, gamma_down=0.1).symmetry_point)  # beyond the bounds
    assert np.isnan(LinearStep(up_down=0.1).symmetry_point)  # parallel
    assert SoftBounds(up_down=0.2, w_max=1.0, w_min=-1.0).symmetry_point == pytest.approx(0.2, abs=1e-15)


@pytest.mark.parametrize(
    "device",
    [
        SoftBounds(dw_min=0.01, up_down=0.2, up_down_dtod=0.1),
        LinearStep(dw_min=0.01, gamma_up=0.8, gamma_down=0.6, up_down_dtod=0.3),
        LinearStep(dw_min=0.01, gamma_up=0.8, gamma_down=0.6, mean_bound_reference=False),
    ],
)
def test_symmetry_points_of_an_array_are_the_roots_of_each_device(device):
    array = rpu.CrossbarArray((12, 9), device, rng=21)
    p = {name: value.astype(np.float64) for name, value in array.parameters.items()}
    found = array.symmetry_point()
    assert found.shape == (12, 9) and found.dtype == np.float64
    roots = inside = 0
    for index in np.ndindex(12, 9):
        s_up, s_dn, high, low = (p[name][index] for name in ("step_up", "step_down", "w_max", "w_min"))
        if isinstance(device, SoftBounds):
            slopes = -s_up / high, -s_dn / low
        else:
            slopes = p["slope_up"][index], p["slope_down"][index]

        def difference(w, up=s_up, down=s_dn, slopes=slopes):
            means = oracle.linear_means(
                w, s_up=up, s_dn=down, gam_up=-slopes[0] / up, gam_dn=-slopes[1] / down, ref_up=1.0, ref_dn=1.0
            )
            return float(means[0] - means[1])

        if difference(low) * difference(high) < 0:
            roots += 1
            assert found[index] == pytest.approx(brentq(difference, low, high, xtol=1e-14), abs=1e-9)
        else:
            assert np.isnan(found[index])
        inside += not np.isnan(found[index])
    assert roots == inside and roots > 30


def cycle(p):
    """Lower and upper state of the up-down cycle of noise-free devices with linear steps, away from the bounds."""
    a = p.get("slope_up", -p["step_up"] / p["w_max"])
    b = p.get("slope_down", -p["step_down"] / p["w_min"])
    low = ((1 - b) * p["step_up"] - p["step_down"]) / (1 - (1 - b) * (1 + a))
    return low, low + p["step_up"] + a * low


@pytest.mark.parametrize("model", [SoftBounds, LinearStep])
def test_alternating_pulses_find_the_symmetry_point(model):
    """Noise-free: exactly the mean over the second half of the pulses, which is that of the up-down cycle."""
    extra = dict(gamma_up=0.7, gamma_down=0.9) if model is LinearStep else {}
    array = rpu.CrossbarArray((6, 7), model(dw_min=0.01, dw_min_std=0.0, up_down=0.1, **extra), rng=4)
    p = {name: value.astype(np.float64) for name, value in array.parameters.items()}
    common = dict(s_up=p["step_up"], s_dn=p["step_down"], b_min=p["w_min"], b_max=p["w_max"])
    if model is LinearStep:
        gammas = dict(gam_up=-p["slope_up"] / p["step_up"], gam_dn=-p["slope_down"] / p["step_down"])
        common |= gammas | dict(ref_up=1.0, ref_dn=1.0)
    pulse = oracle.linear_step if model is LinearStep else oracle.soft_bounds
    pairs = round(20 * 1.2 / 0.01) // 2
    w, total = np.zeros((6, 7)), np.zeros((6, 7))
    for k in range(pairs):
        raised = pulse(w, True, **common)
        w = pulse(raised, False, **common)
        total += (k >= pairs // 2) * (raised + w)
    measured = array.symmetry_point("pulses")
    np.testing.assert_allclose(measured, total / (2 * (pairs - pairs // 2)), atol=1e-5)
    low, high = cycle(p)
    settled = (low > p["w_min"]) & (high < p["w_max"]) & (np.abs(w - low) < 1e-6)
    assert settled.sum() > 30
    np.testing.assert_allclose(measured[settled], ((low + high) / 2)[settled], atol=2e-5)
    exact = array.symmetry_point()
    assert (np.abs(measured - exact)[settled] < (p["step_up"] + p["step_down"])[settled] / 2).all()


def test_alternating_noisy_pulses_find_the_symmetry_point_on_average():
    """Multiplicative noise has mean zero, so the mean of the linear recursion is that of the noise-free device."""
    device = SoftBounds(dw_min=0.01, dw_min_std=0.3, up_down=0.2, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    measured = rpu.CrossbarArray((40, 50), device, rng=6).symmetry_point("pulses", n_pulses=4000)
    low, high = cycle(device.mean_parameters())
    # a pair adds the noise of two steps and pulls back by 2 dw_min; 1000 pairs are averaged
    drag, step = 2 * 0.01, 0.01 * (1 - 0.2**2)
    spread = 0.3 * step * np.sqrt(2) / np.sqrt(2 * drag)
    time_mean = spread * np.sqrt(2 / (drag * 1000))
    assert abs(measured.mean() - (low + high) / 2) < 5 * time_mean / np.sqrt(measured.size)
    assert measured.std() == pytest.approx(time_mean, rel=0.12)


def test_ideal_devices_have_no_symmetry_point():
    array = rpu.CrossbarArray((2, 2), Ideal(), rng=0)
    with pytest.raises(ValueError, match=r"symmetry_point needs a device that takes pulses; got Ideal\(\)"):
        array.symmetry_point()


@pytest.mark.parametrize("base", [Device, PulsedDevice])
def test_a_base_of_devices_is_not_a_device(base):
    with pytest.raises(TypeError, match=f"{base.__name__} is a base of devices, not a device; use one of its subclasses"):
        base()
