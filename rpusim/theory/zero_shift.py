"""Where zero-shifting leads."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rpusim._base.validation import choice, integer, real
from rpusim.theory import equations as equations
from rpusim.theory.responses import DeviceLike, bounds, check_device, needed_symmetry_point

__all__ = ["ZeroShift", "zero_shift_law"]


class ZeroShift(NamedTuple):
    """Where zero-shifting leads.

    Attributes
    ----------
    bias, deviation : float
        Mean distance from the symmetry point, and standard deviation, in weight units.

    Examples
    --------
    >>> from rpusim import devices, theory
    >>> law = theory.zero_shift_law(devices.SoftBounds(dw_min=0.01, up_down=0.3, w_max=1.0, w_min=-1.0), 1000)
    >>> round(law.bias, 4), round(law.deviation, 4)
    (-0.0032, 0.0195)
    """

    bias: float
    deviation: float


def zero_shift_law(device: DeviceLike, n_pulses: int, start: float = 0.0, method: str = "pulses") -> ZeroShift:
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
    >>> law = rpu.theory.zero_shift_law(device, 4000, method="random_pulses")
    >>> round(law.bias, 4), round(law.deviation, 4)
    (-0.0055, 0.0213)
    """
    check_device("device", device)
    n = integer(0, 2**63 - 1)("n_pulses", n_pulses)
    choice("pulses", "random_pulses")("method", method)
    start = real()("start", start)
    point = needed_symmetry_point("device", "zero-shifting", device)
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


def _noise(device: DeviceLike) -> tuple[float, tuple[float, float]]:
    """Variance of a step relative to its square, and variances of an up and a down step that do not depend on the state."""
    weights = getattr(device, "noise_weights", None)
    if weights is None:
        return float(getattr(device, "dw_min_std", 0.0)) ** 2, (0.0, 0.0)
    p = device.mean_parameters()  # type: ignore[attr-defined]
    return weights[0] ** 2, ((weights[1] * p["step_up"]) ** 2, (weights[1] * p["step_down"]) ** 2)
