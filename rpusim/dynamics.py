r"""Theory beside the simulation: response functions, equilibria and the continuum equations of SGD and SHD.

One pulse moves a device at state w by :math:`+\Delta w_{min} q_+(w)` or :math:`-\Delta w_{min} q_-(w)`. With

.. math:: F = (q_- + q_+)/2, \qquad G = (q_- - q_+)/2

a requested change u is realised, on average, as :math:`u F(w) - |u| G(w)` [2]_ [3]_. G vanishes at the symmetry point.
The gradient of every single sample is such a request, so the noise of the samples enters through its mean modulus m,
and asymmetric devices feel a force towards their symmetry point that competes with the gradient [1]_.

Everything here is in float64 and in the units of the simulation: weights in weight units, steps in units of `granularity`,
time in samples, learning rates per sample. A device is any object with `step_up(w)`, `step_down(w)` (mean magnitude of
one pulse at state w), `granularity`, `w_min`, `w_max` and `symmetry_point`.

References
----------
.. [1] M. Onen, T. Gokmen, T. K. Todorov et al., "Neural Network Training with Asymmetric Crosspoint Elements",
   Frontiers in Artificial Intelligence (2022), arXiv:2201.13377, Eq. 2.
.. [2] Z. Wu, T. Gokmen, M. J. Rasch, T. Chen, "Towards Exact Gradient-based Training on Analog In-memory Computing",
   NeurIPS (2024), arXiv:2406.12774.
.. [3] Z. Wu, Q. Xiao, T. Gokmen, O. Fagbohungbe, T. Chen, "Analog In-memory Training on General Non-ideal Resistive
   Elements: The Impact of Response Functions", NeurIPS (2025), arXiv:2502.06309.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, exprel

from rpusim import _equations as equations
from rpusim._validation import choice, integer, real
from rpusim.specification import Specification, parameter

__all__ = [
    "Oscillator",
    "Regression",
    "Response",
    "SHDFixedPoint",
    "SGDTrajectory",
    "SHDTrajectory",
    "ZeroShift",
    "asymmetry",
    "energy",
    "oscillator",
    "response",
    "sgd_equilibrium",
    "sgd_fixed_point",
    "sgd_trajectory",
    "shd_fixed_points",
    "shd_trajectory",
    "zero_shift_law",
]

FloatArray = NDArray[np.float64]

_positive = real(0.0, open_low=True)
_non_negative = real(0.0)


class _Device(Protocol):
    """What this module asks of a device."""

    @property
    def granularity(self) -> float: ...

    @property
    def w_min(self) -> float: ...

    @property
    def w_max(self) -> float: ...

    @property
    def symmetry_point(self) -> float | None: ...

    def step_up(self, w: ArrayLike) -> FloatArray: ...

    def step_down(self, w: ArrayLike) -> FloatArray: ...


class Response(NamedTuple):
    """Response functions of a device, dimensionless (in units of `granularity`); see `response`."""

    q_up: FloatArray
    q_down: FloatArray
    F: FloatArray
    G: FloatArray


def response(device: _Device, w: ArrayLike) -> Response:
    r"""Response functions at state w, in units of `granularity`.

    .. math:: q_\pm(w), \quad F = (q_- + q_+)/2, \quad G = (q_- - q_+)/2

    so that a requested change u becomes u F(w) - abs(u) G(w). Sources: Wu et al. 2024 and 2025; Onen et al. 2022.

    Parameters
    ----------
    device
        Object with `step_up(w)`, `step_down(w)` and `granularity`.
    w
        States in weight units, any shape. Not limited to the device's range: the law is evaluated as it is.

    Returns
    -------
    Response
        Arrays `q_up`, `q_down`, `F`, `G` of the shape of `w`.
    """
    _check_device("device", device)
    return _response(device, _array("w", w))


def asymmetry(device: _Device, w: float | None = None) -> float:
    r"""Strength of the asymmetry, :math:`\kappa = G'(w)/F(w)`, in 1/weight unit.

    The slope is a central difference (one-sided at a bound). Soft bounds at :math:`\pm\tau` with equal steps have
    :math:`\kappa = 1/\tau` at 0; a constant step has 0. In Onen et al. 2022, Eq. 2, G is written
    :math:`\kappa\,(w - w_{sym})`.

    Parameters
    ----------
    device
        Object with `step_up(w)`, `step_down(w)`, `granularity`, `w_min` and `w_max`.
    w
        State in weight units, within the bounds; None: the symmetry point of the device.
    """
    _check_device("device", device)
    low, high = bounds(device)
    state = real(low, high)("w", _symmetry_point("w", "device", device) if w is None else w)
    half = 5e-6 * (high - low)
    states = np.clip([state - half, state, state + half], low, high)
    at = _response(device, states)
    if at.F[1] == 0.0:
        raise ValueError(f"w must be a state at which a pulse of the device has an effect; got {state!r}")
    return float((at.G[2] - at.G[0]) / (states[2] - states[0]) / at.F[1])


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
    """

    target: float = dataclasses.field(metadata={"check": real()})
    noise: float = dataclasses.field(metadata={"check": _non_negative})
    input: str = parameter("normal", choice("normal", "binary", "uniform"))
    input_scale: float = parameter(1.0, _positive)

    @property
    def h(self) -> float:
        """Curvature of the mean loss, E[x^2]."""
        return self.input_scale**2 * (1.0 / 3.0 if self.input == "uniform" else 1.0)

    def gradient(self, w: ArrayLike) -> FloatArray:
        """Mean gradient h*(w - target)."""
        return self.h * (_array("w", w) - self.target)

    def mean_abs_gradient(self, w: ArrayLike) -> FloatArray:
        r"""Mean modulus of the gradient of a sample, :math:`m(w) = E|x\,(x (w - w_0) - \gamma)|`, exactly.

        With s the input scale, a = s abs(w - target), n the noise and T = a/n:

        * binary: :math:`s\,(a\,\mathrm{erf}(T/\sqrt 2) + n\sqrt{2/\pi}\,e^{-T^2/2})`, the mean of a folded normal
        * normal: :math:`(2 s/\pi)\,(n + a \arctan T)`
        * uniform: :math:`(s/3)\,(a\,\mathrm{erf}(T/\sqrt 2) + n\sqrt{2/\pi}\,[e^{-T^2/2} + (1 - e^{-T^2/2})/T^2])`
        """
        return self._mean_abs_gradient(_array("w", w))

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
    """
    h, kappa, m = _positive("h", h), _non_negative("kappa", kappa), _array("m", m)
    if np.any(m < 0.0):
        raise ValueError(f"m must be non-negative; got {m.min()}")
    pull = kappa * m
    return (h * _array("target", target) + pull * _array("symmetry_point", symmetry_point)) / (h + pull)


def sgd_fixed_point(
    device: _Device, regression: Regression, m: float | None = None, h: float | None = None, start: float | None = None
) -> float:
    r"""Where SGD on any device comes to rest: the root in w of

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
    """
    _check_device("device", device)
    _check_regression(regression)
    measured_m = None if m is None else _non_negative("m", m)
    curvature = regression.h if h is None else _positive("h", h)
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
    """

    t: FloatArray
    w: FloatArray


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
    """

    t: FloatArray
    a: FloatArray
    c: FloatArray


def sgd_trajectory(device: _Device, regression: Regression, lr: float, steps: int, start: float = 0.0) -> SGDTrajectory:
    r"""Mean path of SGD, sample by sample, on one device.

    .. math:: \dot w = -\eta\,[h\,(w - w_0)\,F(w) + m(w)\,G(w)]

    (Eq. 2 of Onen et al. 2022 for any response.) The weight stops at `w_min` and `w_max`. Errors are within 1e-7, measured
    against an integration to 1e-10 without tables (`rpusim._equations`), on tables of measured steps and kinks too.

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
    """
    _check_device("device", device)
    _check_regression(regression)
    lr, steps = _positive("lr", lr), integer(1)("steps", steps)
    low, high = bounds(device)
    start = real(low, high)("start", start)

    table = equations.response_table(device, low, high)
    velocity = equations.sgd_velocity(table, regression.target, regression.h, regression._modulus(), lr)
    t, (w,) = equations.integrate(velocity, (start,), steps)
    return SGDTrajectory(t, np.clip(w, low, high))


def shd_trajectory(
    fast: _Device,
    slow: _Device,
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
    """
    flow = _shd_flow(fast, slow, regression, fast_lr, slow_lr, transfer_every, fast_reference, slow_reference, read_noise)
    steps = integer(1)("steps", steps)
    try:
        a_start, c_start = start
    except (TypeError, ValueError):
        raise TypeError(f"start must be a pair (A, C); got {start!r}") from None
    (a_low, c_low), (a_high, c_high) = flow.low, flow.high
    first = real(a_low, a_high)("start[0]", a_start), real(c_low, c_high)("start[1]", c_start)
    t, (a, c) = equations.integrate(flow.velocity(), first, steps)
    return SHDTrajectory(t, np.clip(a, a_low, a_high), np.clip(c, c_low, c_high))


def _shd_flow(
    fast: _Device,
    slow: _Device,
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
    _check_device("fast", fast)
    _check_device("slow", slow)
    _check_regression(regression)
    fast_lr, slow_lr = _positive("fast_lr", fast_lr), _positive("slow_lr", slow_lr)
    transfer_lr = slow_lr / _positive("transfer_every", transfer_every)
    read_noise = _non_negative("read_noise", read_noise)
    references = (
        _reference("fast_reference", fast_reference, "fast", fast),
        _reference("slow_reference", slow_reference, "slow", slow),
    )
    tables = (equations.response_table(device, *bounds(device)) for device in (fast, slow))
    return equations.shd_flow(
        *tables,
        references,
        regression.target,
        regression.h if h is None else _positive("h", h),
        regression._modulus(None if m is None else _non_negative("m", m)),
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
    """

    a: float
    c: float
    stability: str
    growth: tuple[complex, ...]


def shd_fixed_points(
    fast: _Device,
    slow: _Device,
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
    r"""Where Stochastic Hamiltonian Descent comes to rest: all isolated points at which the equations of `shd_trajectory` do,

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
    >>> from rpusim import devices, dynamics
    >>> device = devices.SoftBounds(w_max=1.0, w_min=-1.0)
    >>> (point,) = dynamics.shd_fixed_points(device, device, dynamics.Regression(0.8, 0.2), 0.01, 0.02, 1, read_noise=0.02)
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
    """The damped oscillator that SHD is near its target; see `oscillator`. Times in samples, rates in 1/sample."""

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
    """
    fast_lr, slow_lr, h = _positive("fast_lr", fast_lr), _positive("slow_lr", slow_lr), _positive("h", h)
    transfer_every = _positive("transfer_every", transfer_every)
    damping = fast_lr * _non_negative("kappa", kappa) * _non_negative("m", m) / 2.0
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
    """
    mass = _positive("slow_lr", slow_lr) / (_positive("transfer_every", transfer_every) * _positive("fast_lr", fast_lr))
    displacement = _array("c", c) - real()("target", target)
    return 0.5 * _positive("h", h) * displacement**2 + 0.5 * mass * _array("a", a) ** 2


class ZeroShift(NamedTuple):
    """Where zero-shifting leads: mean distance from the symmetry point, and standard deviation, in weight units."""

    bias: float
    deviation: float


def zero_shift_law(device: _Device, n_pulses: int, start: float = 0.0, method: str = "pulses") -> ZeroShift:
    r"""Return how far a device is from its symmetry point after zero-shifting with `n_pulses` pulses.

    With s the step at the symmetry point, and steps s - b_up x up and s + b_down x down at the distance x from it, a pulse
    takes a part a = (b_up + b_down) / 2 = :math:`\kappa s` of the distance away, on average, and the rest is noise of one step:

    .. math:: bias = (w_0 - w_\diamond) (1 - a)^n, \qquad
        deviation^2 = \frac{s^2 (1 + \sigma^2)}{2 a - (1 + \sigma^2) (b_{up}^2 + b_{down}^2) / 2}

    for random pulses, with :math:`\sigma` the cycle-to-cycle noise in proportion to the step. So the pulses that are needed go
    as 1 / dw_min. Noise that does not depend on the state adds to s^2 in the numerator alone (that of `ExpStep` with
    `dw_min_std_add` and `dw_min_std_slope` depends on it as it does there). When pulses alternate, only
    noise is random: the bias tends to about -s / (2 - a) after a down pulse, and the variance to that with which a pair of
    pulses reproduces itself, about :math:`s^2 \sigma^2 / (2 a)`.

    Exact for steps that are linear in the state, between the bounds, after many pulses.

    Parameters
    ----------
    device : device
    n_pulses : int
        Alternating pulses begin with an up pulse; their number is rounded up to whole pairs.
    start : float, default 0
        State before the first pulse.
    method : {"pulses", "random_pulses"}
        Alternating, or drawn directions, as `CrossbarArray.symmetry_point`.

    Returns
    -------
    ZeroShift

    Notes
    -----
    Xiao et al. (2026), arXiv:2602.21321, Theorem 2.2 has the order of both terms.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.001, up_down=0.3, w_max=1.0, w_min=-1.0)
    >>> law = rpu.dynamics.zero_shift_law(device, 4000, method="random_pulses")
    >>> round(law.bias, 4), round(law.deviation, 4)
    (-0.0055, 0.0213)
    """
    _check_device("device", device)
    n = integer(0)("n_pulses", n_pulses)
    choice("pulses", "random_pulses")("method", method)
    start = real()("start", start)
    point = _symmetry_point("device", "zero-shifting", device)
    low, high = bounds(device)
    half = 5e-6 * (high - low)
    ends = np.clip([point - half, point + half], low, high)
    s = float(np.asarray(device.step_up(np.float64(point))))
    up, down = (np.asarray(steps(ends), np.float64) for steps in (device.step_up, device.step_down))
    b_up, b_down = (float((last - first) / (ends[1] - ends[0])) for first, last in (up[::-1], down))
    relative, fixed = _noise(device)  # variances: in proportion to the square of the step, and of each direction
    # what else that noise is in proportion to: more than the step, by an amount that grows with the state
    more, growth = float(getattr(device, "dw_min_std_add", 0.0)), float(getattr(device, "dw_min_std_slope", 0.0))
    loud, loud_up, loud_down = s + more + growth * abs(point), b_up - growth * np.sign(point), b_down + growth * np.sign(point)
    if method == "random_pulses":
        a = (b_up + b_down) / 2.0
        lost = 2.0 * a - (b_up**2 + b_down**2 + relative * (loud_up**2 + loud_down**2)) / 2.0
        drawn = s**2 + relative * loud**2 + sum(fixed) / 2.0
        return ZeroShift((start - point) * (1.0 - a) ** n, math.sqrt(drawn / lost) if lost > 0.0 else math.inf)
    n += n % 2
    kept = (1.0 - b_up) * (1.0 - b_down)
    settled = -b_down * s / (1.0 - kept)  # m = (1 - b_down) ((1 - b_up) m + s) - s
    middle = (1.0 - b_up) * settled + s
    gain_up, gain_down = (1.0 - b_up) ** 2 + relative * loud_up**2, (1.0 - b_down) ** 2 + relative * loud_down**2
    drawn = relative * (loud - loud_up * settled) ** 2 + fixed[0]
    drawn = gain_down * drawn + relative * (loud + loud_down * middle) ** 2 + fixed[1]
    lost = 1.0 - gain_up * gain_down
    deviation = math.sqrt(drawn / lost) if lost > 0.0 else math.inf
    return ZeroShift(settled + (start - point - settled) * kept ** (n // 2), deviation)


def _noise(device: _Device) -> tuple[float, tuple[float, float]]:
    """Variance of a step relative to its square, and variances of an up and a down step that do not depend on the state."""
    weights = getattr(device, "noise_weights", None)
    if weights is None:
        return float(getattr(device, "dw_min_std", 0.0)) ** 2, (0.0, 0.0)
    p = device.mean_parameters()  # type: ignore[attr-defined]
    return weights[0] ** 2, ((weights[1] * p["step_up"]) ** 2, (weights[1] * p["step_down"]) ** 2)


def _response(device: _Device, w: FloatArray) -> Response:
    q_up = np.asarray(device.step_up(w), dtype=np.float64) / device.granularity
    q_down = np.asarray(device.step_down(w), dtype=np.float64) / device.granularity
    return Response(q_up, q_down, (q_down + q_up) / 2.0, (q_down - q_up) / 2.0)


def _velocity(device: _Device, w: Any, request: Any, magnitude: Any) -> Any:
    """Rate of change of w under requests of given mean and mean modulus; nothing moves out through a bound."""
    low, high = bounds(device)
    at = _response(device, np.clip(w, low, high))
    rate = request * at.F - magnitude * at.G
    outwards = ((w >= high) & (rate > 0.0)) | ((w <= low) & (rate < 0.0))
    return np.where(outwards, 0.0, rate)


def _folded_normal_mean(a: Any, n: float) -> Any:
    """E|z| for z ~ N(a, n^2) with a >= 0."""
    if n == 0.0:
        return a
    ratio = a / n
    return a * erf(ratio / math.sqrt(2.0)) + n * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * ratio**2)


def _array(name: str, value: ArrayLike) -> FloatArray:
    """`value` as float64, any shape, finite."""
    try:
        raw = np.asarray(value)
    except ValueError:
        raise TypeError(f"{name} must be an array of real numbers; got {value!r}") from None
    if raw.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be an array of real numbers; got dtype {raw.dtype}")
    array = raw.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers; got {array[~np.isfinite(array)][0]}")
    return array


def bounds(device: _Device) -> tuple[float, float]:
    """Return the lowest and the highest weight of a device; those of one with a reference are less by that."""
    bounds_of = getattr(device, "bounds_of", None)
    if bounds_of is None:
        return float(device.w_min), float(device.w_max)
    low, high = bounds_of(device.mean_parameters())  # type: ignore[attr-defined]
    return float(low), float(high)


def _check_device(name: str, device: Any) -> None:
    missing = [part for part in ("step_up", "step_down", "granularity", "w_min", "w_max") if not hasattr(device, part)]
    if missing:
        raise TypeError(
            f"{name} must be a device with step_up(w), step_down(w), granularity, w_min and w_max; "
            f"got {device!r}, which has no {', '.join(missing)}"
        )


def _check_regression(regression: Any) -> None:
    if not isinstance(regression, Regression):
        raise TypeError(f"regression must be a Regression; got {regression!r}")


def _symmetry_point(argument: str, kind: str, device: _Device) -> float:
    point = getattr(device, "symmetry_point", None)
    if point is None or not math.isfinite(point):
        raise ValueError(f"{argument} must be a number for a {kind} without a symmetry point; got None, {device!r}")
    return float(point)


def _reference(name: str, value: float | None, device_name: str, device: _Device) -> float:
    if value is None:
        return _symmetry_point(name, device_name + " device", device)
    return real(*bounds(device))(name, value)
