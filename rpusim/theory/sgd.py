"""Where SGD comes to rest on one parameter, and how it gets there."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, exprel

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import choice, integer, real, room_for, shown
from rpusim.theory import equations as equations
from rpusim.theory.responses import (
    DeviceLike,
    FloatArray,
    bounds,
    check_device,
    finite_array,
    non_negative,
    positive,
    response_of,
)

__all__ = ["Regression", "SGDTrajectory", "sgd_equilibrium", "sgd_fixed_point", "sgd_trajectory"]


@dataclasses.dataclass(frozen=True, repr=False)
class Regression(Specification):
    r"""Linear regression on one parameter: y = target * x + gamma with gamma ~ N(0, noise^2).

    The loss of a sample is :math:`(w x - y)^2/2`, so its gradient is :math:`x\,(x (w - w_0) - \gamma)` with
    :math:`w_0` the target.

    Parameters
    ----------
    target
        Optimal weight, weight units.
    noise
        Standard deviation of gamma, in units of y.
    input
        Law of x: "normal" N(0, input_scale^2), "binary" +-input_scale with equal chances, or "uniform" on
        (-input_scale, input_scale).
    input_scale
        Scale of x.

    Examples
    --------
    >>> from rpusim import theory
    >>> problem = theory.Regression(target=0.5, noise=0.2)
    >>> problem.h, round(float(problem.gradient(0.7)), 4), round(float(problem.mean_abs_gradient(0.5)), 4)
    (1.0, 0.2, 0.1273)
    """

    target: float = dataclasses.field(metadata={"check": real()})
    noise: float = dataclasses.field(metadata={"check": non_negative})
    input: str = parameter("normal", choice("normal", "binary", "uniform"))
    input_scale: float = parameter(1.0, positive)

    @property
    def h(self) -> float:
        """Curvature of the mean loss, E[x^2]."""
        return self.input_scale**2 * (1.0 / 3.0 if self.input == "uniform" else 1.0)

    def gradient(self, w: ArrayLike) -> FloatArray:
        """Mean gradient h*(w - target)."""
        return self.h * (finite_array("w", w) - self.target)

    def mean_abs_gradient(self, w: ArrayLike) -> FloatArray:
        r"""Mean modulus of the gradient of a sample, :math:`m(w) = E|x\,(x (w - w_0) - \gamma)|`, exactly.

        With s the input scale, a = s abs(w - target), n the noise and T = a/n:

        * binary: :math:`s\,(a\,\mathrm{erf}(T/\sqrt 2) + n\sqrt{2/\pi}\,e^{-T^2/2})`, the mean of a folded normal
        * normal: :math:`(2 s/\pi)\,(n + a \arctan T)`
        * uniform: :math:`(s/3)\,(a\,\mathrm{erf}(T/\sqrt 2) + n\sqrt{2/\pi}\,[e^{-T^2/2} + (1 - e^{-T^2/2})/T^2])`
        """
        return self._mean_abs_gradient(finite_array("w", w))

    def _mean_abs_gradient(self, w: FloatArray) -> FloatArray:
        s, n = self.input_scale, self.noise
        a = s * np.abs(w - self.target)
        if self.input == "normal":
            return 2.0 * s / math.pi * (n + a * np.arctan2(a, n))
        if self.input == "binary":
            return s * _folded_normal_mean(a, n)
        if n == 0.0:
            return s * a / 3.0
        fall = -0.5 * (a / n) ** 2
        return s / 3.0 * (_folded_normal_mean(a, n) + n * math.sqrt(2.0 / math.pi) * exprel(fall) / 2.0)

    def _modulus(self, measured: float | None = None) -> equations.Law:
        """m for single distances from the target, as the equations want it; or a measured value everywhere."""
        if measured is not None:
            return lambda distance: measured
        return equations.mean_abs_gradient(self.input, self.input_scale, self.noise)


def sgd_equilibrium(target: ArrayLike, symmetry_point: ArrayLike, m: ArrayLike, h: float, kappa: float) -> FloatArray:
    r"""Where SGD on an asymmetric device comes to rest, in closed form.

    .. math:: w = \frac{h w_0 + \kappa m w_{sym}}{h + \kappa m}

    the balance of the mean gradient h (w - w_0) and the pull kappa m (w - w_sym) of the asymmetry (from Eq. 2 of
    Onen et al. 2022). It does not depend on the learning rate, and the error is linear in the distance from the target
    to the symmetry point. Exact where G is linear in w and F constant, with m taken at the result; `sgd_fixed_point`
    finds m by itself and takes any device.

    Parameters
    ----------
    target, symmetry_point
        :math:`w_0` and :math:`w_{sym}`, weight units.
    m
        Mean modulus of the gradient of a sample, E|dE/dw + noise|, not negative.
    h
        Curvature of the loss (E[x^2] for a regression), positive.
    kappa
        Strength of the asymmetry, 1/weight unit (`asymmetry`), not negative.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> from rpusim import theory
    >>> round(float(theory.sgd_equilibrium(target=0.8, symmetry_point=0.0, m=0.2, h=1.0, kappa=1.0)), 4)
    0.6667
    """
    h, kappa, m = positive("h", h), non_negative("kappa", kappa), finite_array("m", m)
    if np.any(m < 0.0):
        raise ValueError(f"m must be non-negative; got {m.min()}")
    pull = kappa * m
    return (h * finite_array("target", target) + pull * finite_array("symmetry_point", symmetry_point)) / (h + pull)


def sgd_fixed_point(
    device: DeviceLike, regression: Regression, m: float | None = None, h: float | None = None, start: float | None = None
) -> float:
    r"""Where SGD on any device comes to rest.

    It is the root in w of

    .. math:: h\,(w - w_0)\,F(w) + m(w)\,G(w) = 0

    with m taken at w itself; w_min or w_max if the drift points outwards there. Where a response makes several equilibria,
    it is the one that the equation reaches from `start`, which is stable (but for a start that is one itself). Two that lie
    within a four-thousandth of the range may be missed.

    Parameters
    ----------
    device
        Object with `step_up(w)`, `step_down(w)`, `granularity`, `w_min` and `w_max`.
    regression
        The problem.
    m, h
        Measured values to use instead of m(w) and of the curvature of `regression`.
    start
        First weight, within the bounds of the device; None: 0, or the bound nearest to it.

    Returns
    -------
    float
        State in weight units.

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> round(theory.sgd_fixed_point(devices.SoftBounds(w_max=1.0, w_min=-1.0), theory.Regression(0.8, 0.2)), 4)
    0.6871
    """
    check_device("device", device)
    check_regression(regression)
    measured_m = None if m is None else non_negative("m", m)
    curvature = regression.h if h is None else positive("h", h)
    low, high = bounds(device)
    first = min(max(0.0, low), high) if start is None else real(low, high)("start", start)

    def force(w: Any) -> FloatArray:
        state = np.asarray(w, dtype=np.float64)
        size = regression._mean_abs_gradient(state) if measured_m is None else measured_m
        return np.asarray(_velocity(device, state, -curvature * (state - regression.target), size))

    direction = float(np.sign(force(first)))
    if direction == 0.0:
        return first
    grid = np.linspace(low, high, 4097)
    ahead = np.append(first, grid[grid > first] if direction > 0.0 else grid[grid < first][::-1])
    arrived = np.flatnonzero(direction * force(ahead) <= 0.0)
    if not arrived.size:
        return float(ahead[-1])
    from scipy.optimize import brentq

    return float(brentq(force, *sorted(ahead[arrived[0] - 1 : arrived[0] + 1]), xtol=1e-14, rtol=1e-14))


@dataclasses.dataclass(frozen=True, eq=False)
class SGDTrajectory:
    """Solution of the continuum equation of SGD.

    Attributes
    ----------
    t
        Time in samples: 0, 1, ..., steps.
    w
        Weight at those times, weight units.

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> path = theory.sgd_trajectory(devices.SoftBounds(w_max=1.0, w_min=-1.0), theory.Regression(0.5, 0.2), 0.01, 500)
    >>> path.t.size, round(float(path.w[-1]), 3)
    (501, 0.436)
    """

    t: FloatArray
    w: FloatArray


def sgd_trajectory(device: DeviceLike, regression: Regression, lr: float, steps: int, start: float = 0.0) -> SGDTrajectory:
    r"""Mean path of SGD, sample by sample, on one device.

    .. math:: \dot w = -\eta\,[h\,(w - w_0)\,F(w) + m(w)\,G(w)]

    (Eq. 2 of Onen et al. 2022 for any response.) The weight stops at `w_min` and `w_max`. Errors are within 1e-7, measured
    against an integration to 1e-10 without tables (`rpusim.theory.equations`), on tables of measured steps and kinks too.

    Parameters
    ----------
    device
        Object with `step_up(w)`, `step_down(w)`, `granularity`, `w_min` and `w_max`.
    regression
        The problem.
    lr
        Learning rate :math:`\eta` per sample.
    steps
        Number of samples.
    start
        First weight, within the bounds of the device.

    Returns
    -------
    SGDTrajectory

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> device, problem = devices.SoftBounds(w_max=1.0, w_min=-1.0), theory.Regression(0.8, 0.2)
    >>> path = theory.sgd_trajectory(device, problem, lr=0.01, steps=2000)
    >>> bool(abs(path.w[-1] - theory.sgd_fixed_point(device, problem)) < 1e-4)
    True
    """
    check_device("device", device)
    check_regression(regression)
    lr, steps = positive("lr", lr), integer(1)("steps", steps)
    room_for("steps", steps, 4 * steps, 8)
    low, high = bounds(device)
    start = real(low, high)("start", start)

    table = equations.response_table(device, low, high)
    velocity = equations.sgd_velocity(table, regression.target, regression.h, regression._modulus(), lr)
    t, (w,) = equations.integrate(velocity, (start,), steps)
    return SGDTrajectory(t, np.clip(w, low, high))


def _velocity(device: DeviceLike, w: Any, request: Any, magnitude: Any) -> Any:
    """Rate of change of w under requests of given mean and mean modulus; nothing moves out through a bound."""
    low, high = bounds(device)
    at = response_of(device, np.clip(w, low, high))
    rate = request * at.F - magnitude * at.G
    outwards = ((w >= high) & (rate > 0.0)) | ((w <= low) & (rate < 0.0))
    return np.where(outwards, 0.0, rate)


def _folded_normal_mean(a: Any, n: float) -> Any:
    """E|z| for z ~ N(a, n^2) with a >= 0."""
    if n == 0.0:
        return a
    ratio = a / n
    return a * erf(ratio / math.sqrt(2.0)) + n * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * ratio**2)


def check_regression(regression: Any) -> None:
    if not isinstance(regression, Regression):
        raise TypeError(f"regression must be a Regression; got {shown(regression)}")
