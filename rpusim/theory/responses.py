"""Response functions of devices, and what theory asks of a device."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import real, real_values, shown
from rpusim.theory import equations as equations

__all__ = ["Response", "asymmetry", "response"]

FloatArray = NDArray[np.float64]


positive = real(0.0, open_low=True)


non_negative = real(0.0)


class DeviceLike(Protocol):
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
    """Response functions of a device, dimensionless (in units of `granularity`); see `response`.

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> found = theory.response(devices.SoftBounds(w_max=1.0, w_min=-1.0), 0.25)
    >>> float(found.q_up), float(found.q_down), float(found.F), float(found.G)
    (0.75, 1.25, 1.0, 0.25)
    """

    q_up: FloatArray
    q_down: FloatArray
    F: FloatArray
    G: FloatArray


def response(device: DeviceLike, w: ArrayLike) -> Response:
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

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> found = theory.response(devices.SoftBounds(w_max=1.0, w_min=-1.0), [-0.5, 0.0, 0.5])
    >>> found.F.tolist(), (found.G + 0.0).tolist()
    ([1.0, 1.0, 1.0], [-0.5, 0.0, 0.5])
    """
    check_device("device", device)
    return response_of(device, finite_array("w", w))


def asymmetry(device: DeviceLike, w: float | None = None) -> float:
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

    Returns
    -------
    float

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> round(theory.asymmetry(devices.SoftBounds(w_max=0.5, w_min=-0.5)), 6)
    2.0
    """
    check_device("device", device)
    low, high = bounds(device)
    state = real(low, high)("w", needed_symmetry_point("w", "device", device) if w is None else w)
    half = 5e-6 * (high - low)
    states = np.clip([state - half, state, state + half], low, high)
    at = response_of(device, states)
    if at.F[1] == 0.0:
        raise ValueError(f"w must be a state at which a pulse of the device has an effect; got {shown(state)}")
    return float((at.G[2] - at.G[0]) / (states[2] - states[0]) / at.F[1])


def response_of(device: DeviceLike, w: FloatArray) -> Response:
    q_up = np.asarray(device.step_up(w), dtype=np.float64) / device.granularity
    q_down = np.asarray(device.step_down(w), dtype=np.float64) / device.granularity
    return Response(q_up, q_down, (q_down + q_up) / 2.0, (q_down - q_up) / 2.0)


def finite_array(name: str, value: ArrayLike) -> FloatArray:
    """`value` as float64, any shape, finite."""
    return real_values(name, value)


def bounds(device: DeviceLike) -> tuple[float, float]:
    """Return the lowest and the highest weight of a device; those of one with a reference are less by that.

    Parameters
    ----------
    device : device

    Returns
    -------
    float, float

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> theory.bounds(devices.SoftBounds(w_max=0.8, w_min=-0.6))
    (-0.6, 0.8)
    """
    check_device("device", device)
    bounds_of = getattr(device, "bounds_of", None)
    if bounds_of is None:
        return float(device.w_min), float(device.w_max)
    low, high = bounds_of(device.mean_parameters())  # type: ignore[attr-defined]
    return float(low), float(high)


def check_device(name: str, device: Any) -> None:
    missing = [part for part in ("step_up", "step_down", "granularity", "w_min", "w_max") if not hasattr(device, part)]
    if missing:
        raise TypeError(
            f"{name} must be a device with step_up(w), step_down(w), granularity, w_min and w_max; "
            f"got {shown(device)}, which has no {', '.join(missing)}"
        )


def needed_symmetry_point(argument: str, kind: str, device: DeviceLike) -> float:
    point = getattr(device, "symmetry_point", None)
    if point is None or not math.isfinite(point):
        raise ValueError(f"{argument} must be a number for a {kind} without a symmetry point; got None, {shown(device)}")
    return float(point)


def reference_of(name: str, value: float | None, device_name: str, device: DeviceLike) -> float:
    if value is None:
        return needed_symmetry_point(name, device_name + " device", device)
    return real(*bounds(device))(name, value)
