"""Response theory against closed forms."""

import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim.devices import presets
from rpusim.theory import response_theory


@pytest.mark.parametrize("tau", [0.6, 2.0])
def test_soft_bounds_have_a_quadratic_penalty(tau):
    theory = response_theory(rpu.devices.SoftBounds(dw_min=0.003, w_max=tau, w_min=-tau))
    w = np.linspace(-tau, tau, 21)
    np.testing.assert_allclose(theory.F(w), 1.0, rtol=1e-12)
    np.testing.assert_allclose(theory.G(w), w / tau, atol=1e-12)
    np.testing.assert_allclose(theory.q_up(w), 1 - w / tau, atol=1e-12)
    np.testing.assert_allclose(theory.q_down(w), 1 + w / tau, atol=1e-12)
    np.testing.assert_allclose(theory.penalty(w), w**2 / (2 * tau), atol=1e-9)
    assert theory.asymmetry == pytest.approx(1 / tau, rel=1e-9)
    assert theory.asymmetry_index == pytest.approx(0.5, rel=1e-9)
    assert theory.number_of_states == pytest.approx(2 * tau / 0.003)
    assert theory.symmetry_point == theory.origin == 0.0


def test_asymmetric_soft_bounds():
    """q = (1 +- c)(1 -+ x), x = w / tau: F = 1 - c x, G = x - c, R_c = tau int (x - c) / (1 - c x) from x = c."""
    tau, c = 1.5, 0.3
    theory = response_theory(presets.wu_linear(tau=tau, c_lin=c, states=500))
    x = np.linspace(-1, 1, 11)
    np.testing.assert_allclose(theory.F(tau * x), 1 - c * x, rtol=1e-12)
    np.testing.assert_allclose(theory.G(tau * x), x - c, atol=1e-12)

    def primitive(x):
        return -x / c - (1 - c**2) / c**2 * np.log(1 - c * x)

    np.testing.assert_allclose(theory.penalty(tau * x), tau * (primitive(x) - primitive(c)), atol=1e-9)
    assert theory.origin == pytest.approx(c * tau)
    assert theory.asymmetry == pytest.approx(1 / tau / (1 - c**2), rel=1e-6)


def test_power_response():
    """q = (1 -+ w)^2: F = 1 + w^2, G = 2 w, R_c = log(1 + w^2); in units of the step at 0."""
    device = presets.wu_power(tau=1.0, gamma=2.0, states=100)
    theory, w = response_theory(device), np.linspace(-1, 1, 9)
    np.testing.assert_allclose(theory.F(w), 1 + w**2, rtol=1e-12)
    np.testing.assert_allclose(theory.G(w), 2 * w, atol=1e-12)
    np.testing.assert_allclose(theory.penalty(w), np.log1p(w**2), atol=1e-9)
    assert theory.asymmetry_index == pytest.approx(math.log(2), rel=1e-4)  # mean of 2 w / (1 + w^2)


def test_exponential_response():
    """R_c = (tau / gamma) log[(e^gamma cosh(gamma w / tau) - 1) / (e^gamma - 1)], to the error of the table."""
    tau, gamma = 0.7, 0.5
    theory = response_theory(presets.wu_exponential(tau=tau, gamma=gamma))
    w = np.linspace(-tau, tau, 7)
    exact = tau / gamma * np.log((np.exp(gamma) * np.cosh(gamma * w / tau) - 1) / np.expm1(gamma))
    np.testing.assert_allclose(theory.penalty(w), exact, atol=2e-4 * tau)


@pytest.mark.parametrize("name", ["reram_es", "pcm", "ecram_mo", "reram_sb"])
def test_the_penalty_has_the_slope_g_over_f_and_its_minimum_at_the_symmetry_point(name):
    theory = response_theory(presets.get(name))
    for w in theory.w_min + (theory.w_max - theory.w_min) * np.array([0.1, 0.35, 0.8]):
        step = 1e-4 * (theory.w_max - theory.w_min)
        slope = np.diff(theory.penalty([w - step, w + step]))[0] / (2 * step)
        assert slope == pytest.approx(float(theory.G(w) / theory.F(w)), rel=1e-4)
    around = theory.origin + 0.1 * np.array([-1, 0, 1])
    low, middle, high = theory.penalty(around)
    assert middle == 0.0 and low > 0.0 and high > 0.0


def test_a_reference_shifts_the_range():
    device = rpu.devices.SoftBoundsReference(w_max=1.0, w_min=-1.0, reference_mean=0.25)
    theory = response_theory(device)
    assert (theory.w_min, theory.w_max, theory.symmetry_point) == (-1.25, 0.75, -0.25)
    np.testing.assert_allclose(theory.penalty([-1.25, 0.75]), 0.5, atol=1e-9)
    assert theory.asymmetry == pytest.approx(1.0)


def test_a_constant_step_has_no_symmetry_point():
    theory = response_theory(rpu.devices.ConstantStep(up_down=-0.3))
    assert math.isnan(theory.symmetry_point) and math.isnan(theory.asymmetry) and theory.origin == 0.0
    np.testing.assert_allclose(theory.penalty([[-0.5], [0.25]]), [[-0.15], [0.075]], rtol=1e-9)
    assert theory.asymmetry_index == pytest.approx(0.3)
    np.testing.assert_array_equal(response_theory(rpu.devices.ConstantStep()).penalty([-0.5, 0.5]), 0.0)


def test_the_limit_of_sgd_is_the_minimum_of_loss_plus_penalty():
    """The fixed point of dynamics, h (w - w0) F + m G = 0, is where h (w - w0)^2 / 2 + m R_c is least."""
    device = presets.wu_power(tau=1.0, gamma=0.5)
    theory = response_theory(device)
    w = np.linspace(-0.9, 0.9, 361)
    loss = 0.5 * (w - 0.5) ** 2 + 0.4 * theory.penalty(w)
    point = rpu.theory.sgd_fixed_point(device, rpu.theory.Regression(0.5, 0.1), m=0.4)
    assert w[np.argmin(loss)] == pytest.approx(point, abs=5.1e-3)
    assert point < 0.45


def test_a_table_with_many_kinks_and_a_jump():
    """Between the nodes of a table G/F is a ratio of lines; the mid-point rule on a fine grid agrees."""

    def q(w):
        return 0.001 * (1 + 0.3 * np.sin(300 * w) + 0.5 * (w < 1 / 3))

    theory = response_theory(rpu.devices.FromResponse(q, lambda w: q(-w), w_max=1.0, w_min=-1.0))
    grid = theory.origin + (1 - theory.origin) * (np.arange(400_000) + 0.5) / 400_000
    expected = (theory.G(grid) / theory.F(grid)).mean() * (1 - theory.origin)
    assert float(theory.penalty(1.0)) == pytest.approx(expected, abs=1e-7)


def test_wrong_input():
    with pytest.raises(TypeError, match=r"device must be a device that changes by pulses; got Ideal\(\)"):
        response_theory(rpu.devices.Ideal())
    theory = response_theory(rpu.devices.SoftBounds())
    with pytest.raises(ValueError, match=r"w must lie within -0.6 and 0.6; got 0.7"):
        theory.penalty([0.1, 0.7])
    with pytest.raises(ValueError, match="got nan"):
        theory.penalty(math.nan)
    dead = rpu.devices.PiecewiseStep(piecewise_up=(1.0, 1.0, 0.0, 0.0, 0.0), piecewise_down=(1.0, 1.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="states where pulses have an effect"):
        response_theory(dead).penalty(0.5)
