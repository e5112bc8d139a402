"""Continuum equations of Stochastic Hamiltonian Descent, where they rest, and the oscillator that they are near a target."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rpusim._base.validation import integer, real, room_for, shown
from rpusim.theory import equations as equations
from rpusim.theory.responses import (
    DeviceLike,
    FloatArray,
    bounds,
    check_device,
    finite_array,
    non_negative,
    positive,
    reference_of,
)
from rpusim.theory.sgd import Regression, check_regression

__all__ = [
    "Oscillator",
    "SHDFixedPoint",
    "SHDTrajectory",
    "energy",
    "oscillator",
    "shd_fixed_points",
    "shd_trajectory",
]


@dataclasses.dataclass(frozen=True, eq=False)
class SHDTrajectory:
    """Solution of the continuum equations of Stochastic Hamiltonian Descent.

    Attributes
    ----------
    t
        Time in samples: 0, 1, ..., steps.
    a
        Fast weight A = A_main - A_ref at those times, weight units: the velocity.
    c
        Slow weight C = C_main - C_ref, weight units: the position.

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> device = devices.SoftBounds(w_max=1.0, w_min=-1.0)
    >>> path = theory.shd_trajectory(device, device, theory.Regression(0.5, 0.2), 0.01, 0.02, 1, 3000)
    >>> round(float(path.a[-1]), 3), round(float(path.c[-1]), 3)
    (0.005, 0.481)
    """

    t: FloatArray
    a: FloatArray
    c: FloatArray


def shd_trajectory(
    fast: DeviceLike,
    slow: DeviceLike,
    regression: Regression,
    fast_lr: float,
    slow_lr: float,
    transfer_every: float,
    steps: int,
    start: tuple[float, float] = (0.0, 0.0),
    fast_reference: float | None = None,
    slow_reference: float | None = None,
    read_noise: float = 0.0,
) -> SHDTrajectory:
    r"""Mean path of Stochastic Hamiltonian Descent on one weight.

    .. math::
        \dot A &= -\eta_A\,[h\,(C - C_0)\,F_A(A_{main}) + m(C)\,G_A(A_{main})] \\
        \dot C &= (\eta_C/\tau)\,[A\,F_C(C_{main}) - \langle|A|\rangle\,G_C(C_{main})]

    with A = A_main - A_ref and C = C_main - C_ref: the fast array collects the gradient at C, and every
    :math:`\tau` samples its reading is a request :math:`\eta_C A` to the slow array. This is a mass on a spring with
    C its position and A its velocity; the asymmetry of the fast device is the drag (Onen et al. 2022). Errors are within
    2e-7, measured as those of `sgd_trajectory`; 1e-5 where a response rises at a bound without a slope (`PowStep` below 1).

    Parameters
    ----------
    fast, slow
        Devices of the array A and of the array C.
    regression
        The problem; its target is for C.
    fast_lr, slow_lr
        :math:`\eta_A` per sample and :math:`\eta_C` per transfer.
    transfer_every
        :math:`\tau`, samples between two transfers of this weight. Where a transfer moves one of n columns in turn,
        that is n times the period of the array.
    steps
        Number of samples.
    start
        First (A, C), weight units; both states have to lie within the bounds of their devices.
    fast_reference, slow_reference
        A_ref and C_ref; None: the symmetry point of the device. A fast reference beside the symmetry point is a steady
        error: C then rests where the gradient balances the drag.
    read_noise
        Standard deviation of the reading of A, weight units. It leaves the mean request as it is, and the asymmetry of
        the slow device feels the mean modulus :math:`\langle|A|\rangle = E|A + n|`, n ~ N(0, read_noise^2).
        Fluctuations of A itself, by pulses and samples, do the same and are left out: add their standard deviation.

    Returns
    -------
    SHDTrajectory

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> device, problem = devices.SoftBounds(w_max=1.0, w_min=-1.0), theory.Regression(0.5, 0.2)
    >>> path = theory.shd_trajectory(device, device, problem, fast_lr=0.01, slow_lr=0.02, transfer_every=1, steps=4000)
    >>> round(float(path.c.max()), 2), round(float(path.c[-1]), 2)  # beyond the target, and back to it
    (0.73, 0.49)
    """
    flow = _shd_flow(fast, slow, regression, fast_lr, slow_lr, transfer_every, fast_reference, slow_reference, read_noise)
    steps = integer(1)("steps", steps)
    room_for("steps", steps, 6 * steps, 8)
    try:
        a_start, c_start = start
    except (TypeError, ValueError):
        raise TypeError(f"start must be a pair (A, C); got {shown(start)}") from None
    (a_low, c_low), (a_high, c_high) = flow.low, flow.high
    first = real(a_low, a_high)("start[0]", a_start), real(c_low, c_high)("start[1]", c_start)
    t, (a, c) = equations.integrate(flow.velocity(), first, steps)
    return SHDTrajectory(t, np.clip(a, a_low, a_high), np.clip(c, c_low, c_high))


def _shd_flow(
    fast: DeviceLike,
    slow: DeviceLike,
    regression: Regression,
    fast_lr: float,
    slow_lr: float,
    transfer_every: float,
    fast_reference: float | None,
    slow_reference: float | None,
    read_noise: float,
    m: float | None = None,
    h: float | None = None,
) -> equations.Flow:
    """The equations that `shd_trajectory` follows, of checked arguments."""
    check_device("fast", fast)
    check_device("slow", slow)
    check_regression(regression)
    fast_lr, slow_lr = positive("fast_lr", fast_lr), positive("slow_lr", slow_lr)
    transfer_lr = slow_lr / positive("transfer_every", transfer_every)
    read_noise = non_negative("read_noise", read_noise)
    references = (
        reference_of("fast_reference", fast_reference, "fast", fast),
        reference_of("slow_reference", slow_reference, "slow", slow),
    )
    return equations.shd_flow(
        equations.response_table(fast, *bounds(fast)),
        equations.response_table(slow, *bounds(slow)),
        references,
        regression.target,
        regression.h if h is None else positive("h", h),
        regression._modulus(None if m is None else non_negative("m", m)),
        (fast_lr, transfer_lr),
        read_noise,
    )


class SHDFixedPoint(NamedTuple):
    """Where the equations of SHD rest; see `shd_fixed_points`.

    Attributes
    ----------
    a, c : float
        A and C, weight units.
    stability : str
        "stable": what is near comes closer. "unstable": it leaves. "neutral": it orbits, and nothing decides (to a
        millionth of the rate of the orbit). "bound": a bound holds A, C or both, and the rest is stable.
    growth : tuple of complex
        Eigenvalues of the equations there, 1/sample: of A and C, or of those that no bound holds.

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> device = devices.SoftBounds(w_max=1.0, w_min=-1.0)
    >>> (point,) = theory.shd_fixed_points(device, device, theory.Regression(0.5, 0.2), 0.01, 0.02, 1)
    >>> round(point.c, 4), point.stability, len(point.growth)
    (0.5, 'stable', 2)
    """

    a: float
    c: float
    stability: str
    growth: tuple[complex, ...]


def shd_fixed_points(
    fast: DeviceLike,
    slow: DeviceLike,
    regression: Regression,
    fast_lr: float,
    slow_lr: float,
    transfer_every: float,
    fast_reference: float | None = None,
    slow_reference: float | None = None,
    read_noise: float = 0.0,
    m: float | None = None,
    h: float | None = None,
) -> list[SHDFixedPoint]:
    r"""Where Stochastic Hamiltonian Descent comes to rest.

    All isolated points at which the equations of `shd_trajectory` do,

    .. math::
        h\,(C - C_0)\,F_A(A_{main}) + m(C)\,G_A(A_{main}) = 0, \qquad
        A\,F_C(C_{main}) = \langle|A|\rangle\,G_C(C_{main})

    or which a bound holds. Noise of reading makes C rest at an A that is not 0, away from the symmetry point of its device,
    and so beside the target.

    Parameters
    ----------
    fast, slow, regression, fast_lr, slow_lr, transfer_every, fast_reference, slow_reference, read_noise
        As in `shd_trajectory`. The rates decide on stability only.
    m, h
        Measured values to use instead of m(C) and of the curvature of `regression`.

    Returns
    -------
    list of SHDFixedPoint
        In the order of C; none where the equations rest nowhere, or on a whole line. Two that lie within a thousandth of the
        range may be missed.

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> device = devices.SoftBounds(w_max=1.0, w_min=-1.0)
    >>> (point,) = theory.shd_fixed_points(device, device, theory.Regression(0.8, 0.2), 0.01, 0.02, 1, read_noise=0.02)
    >>> round(point.c, 4), point.stability
    (0.7978, 'stable')
    """
    flow = _shd_flow(fast, slow, regression, fast_lr, slow_lr, transfer_every, fast_reference, slow_reference, read_noise, m, h)
    low, high = bounds(slow)
    points = equations.points_of_rest(flow, equations.response_table(slow, low, high), low - flow.low[1], read_noise)
    return [SHDFixedPoint(point.a, point.c, _stability(point), point.growth) for point in points]


def _stability(point: equations.Rest) -> str:
    """What the growth rates say."""
    fastest = max((rate.real for rate in point.growth), default=-math.inf)
    size = max((abs(rate) for rate in point.growth), default=0.0)
    if fastest > 1e-6 * size:
        return "unstable"
    if point.at_bound:
        return "bound"
    return "stable" if fastest < -1e-6 * size else "neutral"


class Oscillator(NamedTuple):
    """The damped oscillator that SHD is near its target; see `oscillator`. Times in samples, rates in 1/sample.

    Examples
    --------
    >>> from rpusim import theory
    >>> found = theory.oscillator(fast_lr=0.01, slow_lr=0.02, h=1.0, kappa=1.0, m=0.2)
    >>> found.regime, round(found.period)
    ('underdamped', 445)
    """

    omega0: float
    damping: float
    omega: float
    period: float
    regime: str


def oscillator(
    fast_lr: float, slow_lr: float, h: float, transfer_every: float = 1.0, kappa: float = 0.0, m: float = 0.0
) -> Oscillator:
    r"""Frequency and damping of Stochastic Hamiltonian Descent near its target.

    .. math:: \ddot C + 2\gamma_d\,\dot C + \omega_0^2\,(C - C_0) = 0, \qquad
        \omega_0^2 = \eta_A \eta_C h/\tau, \quad \gamma_d = \eta_A \kappa m/2

    From Eq. 2 of Onen et al. 2022 with F = 1 and the asymmetry of the slow device left out. Where F is not 1 at the
    reference, multiply each learning rate by the F of its device.

    Parameters
    ----------
    fast_lr, slow_lr
        :math:`\eta_A` per sample and :math:`\eta_C` per transfer.
    h
        Curvature of the loss.
    transfer_every
        :math:`\tau`, samples between two transfers of one weight.
    kappa
        Strength of the asymmetry of the fast device, 1/weight unit (`asymmetry`).
    m
        Mean modulus of the gradient of a sample at the target.

    Returns
    -------
    Oscillator
        `omega0`; `damping` :math:`\gamma_d`; `omega` :math:`= \sqrt{\omega_0^2 - \gamma_d^2}` (0 if it does not
        oscillate); `period` :math:`2\pi/\omega` (inf); `regime`: "lossless", "underdamped", "critical" (to 1e-9
        relative) or "overdamped".

    Examples
    --------
    >>> from rpusim import theory
    >>> found = theory.oscillator(fast_lr=0.01, slow_lr=0.02, h=1.0, kappa=1.0, m=0.2)
    >>> round(found.omega0, 5), round(found.damping, 5), found.regime
    (0.01414, 0.001, 'underdamped')
    >>> theory.oscillator(fast_lr=0.01, slow_lr=0.02, h=1.0).regime  # a symmetric device
    'lossless'
    """
    fast_lr, slow_lr, h = positive("fast_lr", fast_lr), positive("slow_lr", slow_lr), positive("h", h)
    transfer_every = positive("transfer_every", transfer_every)
    damping = fast_lr * non_negative("kappa", kappa) * non_negative("m", m) / 2.0
    omega0 = math.sqrt(fast_lr * slow_lr * h / transfer_every)
    if math.isclose(damping, omega0, rel_tol=1e-9):
        return Oscillator(omega0, damping, 0.0, math.inf, "critical")
    if damping > omega0:
        return Oscillator(omega0, damping, 0.0, math.inf, "overdamped")
    omega = math.sqrt((omega0 - damping) * (omega0 + damping))
    return Oscillator(omega0, damping, omega, 2.0 * math.pi / omega, "underdamped" if damping else "lossless")


def energy(
    a: ArrayLike,
    c: ArrayLike,
    target: float,
    fast_lr: float,
    slow_lr: float,
    h: float,
    transfer_every: float = 1.0,
) -> FloatArray:
    r"""Hamiltonian of Stochastic Hamiltonian Descent: loss (potential) plus the kinetic energy of A.

    .. math:: H = \tfrac12 h\,(C - C_0)^2 + \tfrac12\,\frac{\eta_C}{\tau\,\eta_A}\,A^2

    Conserved by symmetric devices (kappa = 0, F = 1); the drag of an asymmetric fast device takes :math:`4\gamma_d`
    times the kinetic energy out of it per sample.

    Parameters
    ----------
    a, c
        Fast and slow weight, weight units, of shapes that broadcast.
    target
        :math:`C_0`.
    fast_lr, slow_lr, h, transfer_every
        As in `oscillator`.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> from rpusim import theory
    >>> round(float(theory.energy(a=0.0, c=0.3, target=0.5, fast_lr=0.01, slow_lr=0.02, h=1.0)), 4)
    0.02
    """
    period = positive("transfer_every", transfer_every) * positive("fast_lr", fast_lr)
    if period == 0.0:
        raise ValueError(f"transfer_every must not vanish beside fast_lr in float64; got {transfer_every} and {fast_lr}")
    mass = positive("slow_lr", slow_lr) / period
    displacement = finite_array("c", c) - real()("target", target)
    return 0.5 * positive("h", h) * displacement**2 + 0.5 * mass * finite_array("a", a) ** 2
