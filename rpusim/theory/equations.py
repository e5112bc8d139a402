"""The continuum equations as numbers: responses in tables, velocities of single states, integration, points of rest.

Velocities are plain Python on plain floats, which at one or two unknowns is forty times faster than NumPy. The response of a
device is evaluated once, on a grid so fine that straight lines between its nodes are it: devices of any law, with kinks or
jumps, then cost the same.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim._base.specification import Specification

__all__ = [
    "Flow", "ResponseTable", "Rest", "folded_normal_mean", "integrate", "mean_abs_gradient", "points_of_rest",
    "response_table", "sgd_velocity", "shd_flow",
]  # fmt: skip

FloatArray = NDArray[np.float64]
Law = Callable[[float], float]

#: Intervals of a table over the range of a device; a law q is met to (range / INTERVALS)^2 |q''| / 8, for q'' of 1 / range^2
#: to 1e-10.
INTERVALS = 2**16
#: Before a bound, what leads outwards slows down within this part of the range.
LAYER = 1e-9


class ResponseTable:
    """F and G of a device between its bounds `low` and `high`, in units of its granularity."""

    def __init__(self, device: Any, low: float, high: float) -> None:
        self.low, self.high = low, high
        w = np.linspace(low, high, INTERVALS + 1)
        up, down = (np.broadcast_to(np.asarray(law(w), np.float64), w.shape) for law in (device.step_up, device.step_down))
        up, down = up / device.granularity, down / device.granularity
        self.F, self.G = (down + up) / 2.0, (down - up) / 2.0

    @functools.cached_property
    def drift(self) -> Callable[[float, float, float], float]:
        """Rate of change at a state, or at the bound it is beyond, under requests of given mean and mean modulus."""
        low, per_unit = self.low, INTERVALS / (self.high - self.low)
        F, G = self.F.tolist(), self.G.tolist()
        F_rise, G_rise = np.diff(self.F, append=self.F[-1]).tolist(), np.diff(self.G, append=self.G[-1]).tolist()

        def drift(w: float, request: float, magnitude: float) -> float:
            place = (w - low) * per_unit
            k = int(place)
            if 0.0 <= place < INTERVALS:
                place -= k
                return request * (F[k] + place * F_rise[k]) - magnitude * (G[k] + place * G_rise[k])
            end = -1 if place > 0.0 else 0
            return request * F[end] - magnitude * G[end]

        return drift


def response_table(device: Any, low: float, high: float) -> ResponseTable:
    """The table of a device; the last few of specifications, which nothing can change, are kept."""
    return (_kept if isinstance(device, Specification) else ResponseTable)(device, low, high)


_kept = functools.lru_cache(4)(ResponseTable)


def folded_normal_mean(deviation: float) -> Law:
    """E|z| of z ~ N(a, deviation^2), as a function of a."""
    if deviation == 0.0:
        return abs
    half, tail = 1.0 / (math.sqrt(2.0) * deviation), deviation * math.sqrt(2.0 / math.pi)
    erf, exp = math.erf, math.exp

    def mean(a: float) -> float:
        ratio = a * half
        return a * erf(ratio) + tail * exp(-ratio * ratio)

    return mean


def mean_abs_gradient(law: str, scale: float, noise: float) -> Law:
    """Mean modulus of the gradient of a sample, as a function of the distance from the target; see `Regression`."""
    if law == "normal":
        factor, atan2 = 2.0 * scale / math.pi, math.atan2

        def normal(distance: float) -> float:
            a = scale * abs(distance)
            return factor * (noise + a * atan2(a, noise))

        return normal
    folded, part = folded_normal_mean(noise), scale if law == "binary" else scale / 3.0
    if law == "binary" or noise == 0.0:
        return lambda distance: part * folded(scale * distance)
    tail, expm1 = noise * math.sqrt(2.0 / math.pi), math.expm1

    def uniform(distance: float) -> float:
        fall = 0.5 * (scale * distance / noise) ** 2
        return part * (folded(scale * distance) + tail * (-expm1(-fall) / fall if fall > 0.0 else 1.0) / 2.0)

    return uniform


def sgd_velocity(device: ResponseTable, target: float, h: float, m: Law, lr: float) -> Callable[[float], float]:
    """dw/dt as a function of w; nothing moves out through a bound."""
    drift, low, high = device.drift, device.low, device.high
    layer = LAYER * (high - low)
    inner_low, inner_high = low + layer, high - layer

    def velocity(w: float) -> float:
        distance = w - target
        rate = drift(w, -lr * h * distance, lr * m(distance))
        return rate if inner_low < w < inner_high else _stopped(rate, w, low, high)

    return velocity


def _stopped(rate: float, w: float, low: float, high: float) -> float:
    """A rate near or beyond a bound: what leads outwards ends within a thin layer, so that integration meets no jump."""
    room = high - w if rate > 0.0 else w - low
    return rate * min(1.0, max(0.0, room / (LAYER * (high - low))))


class Flow(NamedTuple):
    """The equations of SHD: the box of (A, C), and their rates of change within it as two functions of A and C."""

    low: tuple[float, float]
    high: tuple[float, float]
    rates: tuple[Callable[[float, float], float], Callable[[float, float], float]]

    def velocity(self) -> Callable[[float, float], tuple[float, float]]:
        """(dA/dt, dC/dt) as a function of A and C; nothing moves out through a bound."""
        (a_low, c_low), (a_high, c_high), (a_rate, c_rate) = self
        a_layer, c_layer = LAYER * (a_high - a_low), LAYER * (c_high - c_low)
        a_from, a_to, c_from, c_to = a_low + a_layer, a_high - a_layer, c_low + c_layer, c_high - c_layer

        def velocity(a: float, c: float) -> tuple[float, float]:
            a_dot, c_dot = a_rate(a, c), c_rate(a, c)
            if not a_from < a < a_to:
                a_dot = _stopped(a_dot, a, a_low, a_high)
            if not c_from < c < c_to:
                c_dot = _stopped(c_dot, c, c_low, c_high)
            return a_dot, c_dot

        return velocity


def shd_flow(
    fast: ResponseTable,
    slow: ResponseTable,
    references: tuple[float, float],
    target: float,
    h: float,
    m: Law,
    lrs: tuple[float, float],
    read_noise: float,
) -> Flow:
    """The equations of SHD, with the learning rates of A and of C per sample."""
    fast_drift, slow_drift, modulus = fast.drift, slow.drift, folded_normal_mean(read_noise)
    (a_ref, c_ref), (fast_lr, slow_lr) = references, lrs

    def a_rate(a: float, c: float) -> float:
        distance = c - target
        return fast_drift(a + a_ref, -fast_lr * h * distance, fast_lr * m(distance))

    def c_rate(a: float, c: float) -> float:
        return slow_drift(c + c_ref, slow_lr * a, slow_lr * modulus(a))

    return Flow((fast.low - a_ref, slow.low - c_ref), (fast.high - a_ref, slow.high - c_ref), (a_rate, c_rate))


def integrate(velocity: Callable[..., Any], start: Sequence[float], steps: int) -> tuple[FloatArray, FloatArray]:
    """States at 0, 1, ..., steps samples, and these times: by LSODA, which is at home in stiff equations too."""
    from scipy.integrate import odeint

    t = np.arange(steps + 1, dtype=np.float64)
    path, report = odeint(
        lambda state, _: velocity(*state.tolist()), start, t, rtol=1e-9, atol=1e-11, mxstep=100_000, full_output=True
    )
    if report["message"] != "Integration successful.":
        raise RuntimeError(f"the integration of {steps} samples stopped: {report['message']}")
    return t, path.T


# ---- points of rest --------------------------------------------------------------------------------------------------


class Rest(NamedTuple):
    """A point at which the equations rest, the growth rates of what is near it (1/sample), and whether a bound holds it."""

    a: float
    c: float
    growth: tuple[complex, ...]
    at_bound: bool


def points_of_rest(flow: Flow, slow: ResponseTable, slow_reference: float, read_noise: float) -> list[Rest]:
    """All isolated points at which A and C rest, in the order of C: within the box, on its sides, in its corners.

    They are looked for between neighbours of a grid: two within a thousandth of the range may be missed.
    """
    a_rate, c_rate = flow.rates
    found: list[tuple[float, float]] = []

    # within: at every C there is one A at which C rests, and the rate of A along this curve has to vanish
    def balance(c: float) -> float:
        return _resting_a(slow, c + slow_reference, read_noise)

    for c in _zeros(lambda c: a_rate(balance(c), c), flow.low[1], flow.high[1]):
        if flow.low[0] < balance(c) < flow.high[0]:
            found.append((balance(c), c))
    # on a side: the rate along it vanishes, and the one across it does not lead back
    for end, side in ((flow.low, -1.0), (flow.high, 1.0)):
        a_end, c_end = end
        found += [(a, c_end) for a in _zeros(lambda a, c=c_end: a_rate(a, c), flow.low[0], flow.high[0])  # type: ignore[misc]
                  if side * c_rate(a, c_end) >= 0.0]  # fmt: skip
        found += [(a_end, c) for c in _zeros(lambda c, a=a_end: c_rate(a, c), flow.low[1], flow.high[1])  # type: ignore[misc]
                  if side * a_rate(a_end, c) >= 0.0]  # fmt: skip
    for (a, a_side), (c, c_side) in itertools.product(*(((flow.low[k], -1.0), (flow.high[k], 1.0)) for k in (0, 1))):
        if a_side * a_rate(a, c) >= 0.0 and c_side * c_rate(a, c) >= 0.0:
            found.append((a, c))
    found += _without_steps(flow, slow, slow_reference)
    near = 1e-6 * max(flow.high[k] - flow.low[k] for k in (0, 1))
    apart: list[tuple[float, float]] = []
    for point in sorted(found, key=lambda point: point[1]):
        if all(math.dist(point, other) > near for other in apart):
            apart.append(point)
    return [Rest(a, c, *_growth(flow, a, c)) for a, c in apart]


def _without_steps(flow: Flow, slow: ResponseTable, slow_reference: float) -> list[tuple[float, float]]:
    """Where the device of C has no step in the direction that A asks for, so that C rests at any A of this sign.

    Noise of reading moves them, as some reads have the other sign: solved again from there.
    """
    from scipy.optimize import root

    a_rate, c_rate = flow.rates
    found = []
    for sign in (-1.0, 1.0):
        for c in _zeros(lambda c, sign=sign: slow.drift(c + slow_reference, sign, 1.0), flow.low[1], flow.high[1]):  # type: ignore[misc]
            for a in _zeros(lambda a, c=c: a_rate(a, c), flow.low[0], flow.high[0]):  # type: ignore[misc]
                if a * sign <= 0.0:
                    continue
                size = abs(a_rate(0.0, c)) or 1.0, abs(c_rate(a, 0.0)) or 1.0
                solved = root(lambda p, size=size: [a_rate(*p) / size[0], c_rate(*p) / size[1]], [a, c], tol=1e-12)
                inside = all(flow.low[k] <= solved.x[k] <= flow.high[k] for k in (0, 1))
                if inside and np.abs(solved.fun).max() < 1e-9:
                    found.append(tuple(solved.x.tolist()))
    return found


def _resting_a(slow: ResponseTable, state: float, read_noise: float) -> float:
    """A at which C rests at a state of its device: A / E|A + n| = G / F; beyond all bounds where no A is large enough."""
    F, G = -slow.drift(state, -1.0, 0.0), -slow.drift(state, 0.0, 1.0)
    if read_noise == 0.0 or G == 0.0:
        return 0.0
    ratio, a, modulus = abs(G) / F if F > 0.0 else math.inf, 0.0, folded_normal_mean(1.0)
    if ratio < 1.0:
        for _ in range(100):  # Newton's steps, of one sign; a in units of the noise
            step = (ratio * modulus(a) - a) / (1.0 - ratio * math.erf(a / math.sqrt(2.0)))
            a += step
            if step < 1e-15 * (1.0 + a):
                break
    return math.copysign(a * read_noise if ratio < 1.0 else 1e30, G)


def _zeros(law: Law, low: float, high: float, intervals: int = 1000) -> list[float]:
    """Where a function changes its sign, or is 0 at a node alone; near the ends the grid is finer."""
    from scipy.optimize import brentq

    middle, half = (low + high) / 2.0, (high - low) / 2.0
    nodes = [low, *(middle - half * math.cos(math.pi * k / intervals) for k in range(1, intervals)), high]
    values = [law(node) for node in nodes]
    zeros = []
    for k in range(len(nodes)):
        if values[k] == 0.0:
            if all(values[j] != 0.0 for j in (k - 1, k + 1) if 0 <= j <= intervals):
                zeros.append(nodes[k])
        elif k and values[k - 1] * values[k] < 0.0:
            zero = float(brentq(law, nodes[k - 1], nodes[k], xtol=1e-14, rtol=1e-14))
            if abs(law(zero)) < 1e-3 * max(abs(values[k - 1]), abs(values[k])):  # and no jump
                zeros.append(zero)
    return zeros


def _growth(flow: Flow, a: float, c: float) -> tuple[tuple[complex, ...], bool]:
    """Eigenvalues of the equations at a point of rest, for those of A and C that no bound holds; whether one is at a bound."""
    point, free = np.array([a, c]), []
    ends = []
    for k in (0, 1):
        step = 1e-6 * (flow.high[k] - flow.low[k])
        rate = flow.rates[k](a, c)
        held = (point[k] <= flow.low[k] and rate < 0.0) or (point[k] >= flow.high[k] and rate > 0.0)
        if not held:
            free.append(k)
        ends.append((max(point[k] - step, flow.low[k]), min(point[k] + step, flow.high[k])))
    jacobian = np.empty((len(free), len(free)))
    for column, k in enumerate(free):
        below, above = point.copy(), point.copy()
        below[k], above[k] = ends[k]
        for row, j in enumerate(free):
            rise = flow.rates[j](*above.tolist()) - flow.rates[j](*below.tolist())
            jacobian[row, column] = rise / (above[k] - below[k])
    growth = np.linalg.eigvals(jacobian) if free else np.empty(0)
    at_bound = any(point[k] <= flow.low[k] or point[k] >= flow.high[k] for k in (0, 1))
    return tuple(complex(value) for value in growth), at_bound
