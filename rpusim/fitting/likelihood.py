"""The likelihood of measured ramps: a Kalman filter along the pulses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtr

from rpusim.devices.base import PulsedDevice
from rpusim.devices.nonlinear import ExpStep, PiecewiseStep
from rpusim.fitting.data import Data
from rpusim.fitting.models import COMMON, NOISES, Model, Transform, build_device
from rpusim.fitting.ramps import Array

__all__ = []

#: bounds of the mapped range, and how small noise may become in its units
_SMALLEST_NOISE = 1e-7


_NODES = math.sqrt(3.0) * np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1)


_NODE_WEIGHTS = np.array([1.0, 4.0, 1.0]).reshape(3, 1, 1) / 6.0


@dataclass(frozen=True)
class _Trace:
    """Innovations and their variances, (time, sets, ramps), nan where there is no value or it is a ramp's first; and the
    bounds (sets, ramps) as seen from the first values, in units of their noise: a below them, b above."""

    e: Array
    s: Array
    a: Array
    b: Array


@dataclass(frozen=True)
class Problem:
    """One model against one set of ramps: which parameters are free, and the values of the others."""

    data: Data
    model: Model
    template: PulsedDevice
    free: tuple[str, ...]
    held: Mapping[str, Any]
    unreached: frozenset[str] = frozenset()

    def transform(self, name: str) -> Transform:
        if name == "slow_time":  # from twice the longest ramp on, times say the same
            top = 2.0 * len(self.data.y)
            return Transform(
                lambda t: top / (1.0 + math.exp(min(max(-t, -60.0), 60.0))),
                lambda x: -math.log(top / min(max(x, 1e-6 * top), 0.999999 * top) - 1.0),
            )
        return COMMON[name] if name in COMMON else self.model.shape[name]

    def values(self, theta: Array) -> dict[str, Any]:
        own = {name: self.transform(name).forward(float(t)) for name, t in zip(self.free, theta, strict=True)}
        return {**self.held, **own}

    def theta(self, values: Mapping[str, float]) -> Array:
        return np.array([self.transform(name).inverse(float(values[name])) for name in self.free])

    def trace(self, sets: Sequence[Mapping[str, Any]]) -> _Trace:
        """What the filter finds for several sets of values at once."""
        devices = [build_device(self.template, s) for s in sets]
        means = [d.mean_parameters() for d in devices]
        p = {name: np.array([m[name] for m in means]).reshape(-1, 1) for name in means[0]}
        proportional, nominal = (np.array([d.noise_weights[k] for d in devices]).reshape(-1, 1) for k in (0, 1))
        noise = np.array([max(s["read_noise"], _SMALLEST_NOISE) for s in sets]).reshape(-1, 1)
        slow = np.array([s.get("slow_noise", 0.0) for s in sets]).reshape(-1, 1)
        kept = np.exp(-1.0 / np.array([max(s.get("slow_time", 1.0), 1e-3) for s in sets])).reshape(-1, 1)
        # a hard bound that no ramp reaches does not clip
        high = np.inf if "w_max" in self.unreached else p["w_max"]
        low = -np.inf if "w_min" in self.unreached else p["w_min"]
        return _filter(self.data, _batched_steps(devices), p, proportional, nominal, noise, slow, kept, low, high)

    def _allows(self, name: str, value: float) -> bool:
        """Whether the parameter may have the value."""
        try:
            build_device(self.template, {**self.held, name: value} if "[" not in name else self.held)
        except ValueError:
            return False
        return value > 0.0 or "[" not in name

    def log_likelihood(self, values: Mapping[str, Any]) -> float:
        return -float(minus_log(self.trace([values]))[0])

    def slopes(self, theta: Array) -> tuple[float, Array, Array]:
        """Minus log-likelihood, its gradient, and the information matrix, in unbounded coordinates."""
        h = 1e-4
        shifts = np.concatenate([np.zeros((1, len(theta))), h * np.eye(len(theta)), -h * np.eye(len(theta))])
        return _slopes(self.trace([self.values(theta + d) for d in shifts]), np.full(len(theta), 2.0 * h))

    def information(self, values: Mapping[str, Any]) -> tuple[Array, Array]:
        """Information about the free parameters themselves, with noises as variances, and the sums of squares of what each
        innovation adds to the slopes, which are its diagonal where innovations are as the model has them."""
        sets, widths = [dict(values)], []
        for name in self.free:
            x = float(values[name])
            if name in NOISES:
                h = 1e-4 * max(x * x, 1e-8 if name == "dw_min_std" else _SMALLEST_NOISE**2)
                sides = (math.sqrt(x * x + h), math.sqrt(max(x * x - h, 0.0)))
                width = sides[0] ** 2 - sides[1] ** 2
            else:
                h = 1e-5 * max(abs(x), 1e-6 if name == "dw_min" else 1e-3)
                upper, lower = (v if self._allows(name, v) else x for v in (x + h, x - h))
                sides, width = (upper, lower), upper - lower or math.inf
            widths.append(width)
            sets.insert(len(widths), {**values, name: sides[0]})
            sets.append({**values, name: sides[1]})
        trace = self.trace(sets)
        return _slopes(trace, np.array(widths))[2], _squared_scores(trace, np.array(widths))


Steps = Callable[[dict[str, Any], Array], tuple[Array, Array]]


def _batched_steps(devices: Sequence[PulsedDevice]) -> Steps:
    """`steps_of` for states of shape (..., devices, ramps), all devices at once."""
    first = devices[0]
    if isinstance(first, PiecewiseStep):
        up, down = (np.array([getattr(d, name) for d in devices]) for name in ("piecewise_up", "piecewise_down"))
        return lambda p, w: _piecewise_steps(up, down, p, w)
    if isinstance(first, ExpStep):  # its law with columns of numbers in the place of numbers
        numbers = ("A_up", "A_down", "gamma_up", "gamma_down", "a", "b")
        columns = SimpleNamespace(**{n: np.array([[getattr(d, n)] for d in devices]) for n in numbers})
        return lambda p, w: type(first).steps_of(columns, p, w)  # type: ignore[arg-type]
    return first.steps_of


def _piecewise_steps(up: Array, down: Array, p: dict[str, Any], w: Array) -> tuple[Array, Array]:
    """`PiecewiseStep.steps_of` with a table for each device, (devices, nodes)."""
    last = up.shape[1] - 1
    t = np.clip((w - p["w_min"]) / (p["w_max"] - p["w_min"]) * last, 0.0, last)
    k = np.minimum(t.astype(np.intp), last - 1)
    t = t - k
    k = k + (last + 1) * np.arange(len(up)).reshape(-1, 1)
    tables = up.ravel(), down.ravel()
    at_up, at_down = (table[k] * (1.0 - t) + table[k + 1] * t for table in tables)
    return p["step_up"] * at_up, p["step_down"] * at_down


def minus_log(t: _Trace) -> Array:
    """Minus log-likelihood of each set."""
    return 0.5 * np.nansum(np.log(2.0 * np.pi * t.s) + t.e * t.e / t.s, (0, 2)) - _log_inside(t.a, t.b).sum(1)


def _slopes(t: _Trace, widths: Array) -> tuple[float, Array, Array]:
    """Value, gradient and information from what the filter finds at the point, then at all upper, then at all lower
    neighbours."""
    n = len(widths)
    missing: Any = ~np.isfinite(t.e[:, 0])
    e, s = np.where(missing[:, None], 0.0, t.e), np.where(missing[:, None], 1.0, t.s)

    def change(x: Array) -> Array:
        return (x[..., 1 : n + 1, :] - x[..., n + 1 :, :]) / widths[:, None]

    de, ds = change(e), change(s)
    e0, s0 = e[:, :1], s[:, :1]
    gradient = (e0 * de / s0 + 0.5 * ds / s0 * (1.0 - e0 * e0 / s0)).sum((0, 2))
    gradient -= change(_log_inside(t.a, t.b)).sum(1)
    parts = [(de / np.sqrt(s0)).transpose(1, 0, 2), math.sqrt(0.5) * (ds / s0).transpose(1, 0, 2)]
    for x in (-t.a, t.b):
        if np.isfinite(x).all():
            parts.append(change(x) * np.sqrt(_tail_curvature(x[0])))
    scaled = np.concatenate([p.reshape(n, -1) for p in parts], axis=1)
    return float(minus_log(_Trace(t.e[:, :1], t.s[:, :1], t.a[:1], t.b[:1]))[0]), gradient, scaled @ scaled.T


def _squared_scores(t: _Trace, widths: Array) -> Array:
    """Of each parameter, the sum over innovations of the square of what it adds to the slope of the log-likelihood."""
    n = len(widths)
    missing: Any = ~np.isfinite(t.e[:, 0])
    e, s = np.where(missing[:, None], 0.0, t.e), np.where(missing[:, None], 1.0, t.s)
    de, ds = ((x[:, 1 : n + 1] - x[:, n + 1 :]) / widths[:, None] for x in (e, s))
    e0, s0 = e[:, :1], s[:, :1]
    return np.asarray(((e0 * de / s0 + 0.5 * ds / s0 * (1.0 - e0 * e0 / s0)) ** 2).sum((0, 2)))


def _log_inside(a: Array, b: Array) -> Array:
    """log(Phi(b) - Phi(a)), a < b."""
    a, b = np.where(a > 0.0, -b, a), np.where(a > 0.0, -a, b)
    top = log_ndtr(b)
    return np.asarray(top + np.log1p(-np.exp(log_ndtr(a) - top)))


def _tail_curvature(x: Array) -> Array:
    """-(d/dx)^2 log Phi(x)."""
    x = np.clip(x, -30.0, 30.0)
    h = np.exp(-0.5 * x * x - log_ndtr(x)) / math.sqrt(2.0 * math.pi)
    return np.asarray(np.maximum(h * (x + h), 0.0))


def _filter(
    data: Data,
    steps_of: Steps,
    p: dict[str, Array],
    proportional: Array,
    nominal: Array,
    noise: Array,
    slow: Array,
    kept: Array,
    low: Any,
    high: Any,
) -> _Trace:
    """Run the Kalman filter over all ramps for all parameter sets."""
    y, up, sign = data.y, data.up, data.direction
    n_sets, n_ramps = noise.shape[0], y.shape[1]
    r2 = noise * noise
    added2 = (nominal * np.where(up, np.abs(p["step_up"]), np.abs(p["step_down"]))) ** 2
    proportional2 = proportional * proportional
    innovations = np.full((len(y), n_sets, n_ramps), math.nan)
    variances = np.full_like(innovations, math.nan)
    slow2 = slow * slow
    first2 = r2 + slow2
    a, b = (np.broadcast_to((bound - y[0]) / np.sqrt(first2), (n_sets, n_ramps)) for bound in (low, high))
    m, v = _truncated_moments(a, b)
    m, v = np.clip(y[0] + np.sqrt(first2) * m, low, high), first2 * v
    # mean and variance of the slow noise, and its covariance with the state
    is_slow = bool(np.any(slow2 > 0.0))
    share = slow2 / first2
    u, uu, vu = share * (y[0] - m), share * r2 + share * share * v, -share * v
    seen = np.isfinite(y)
    complete: Any = seen.all(1)
    for t in range(1, len(y)):
        sd = np.sqrt(v)
        w = np.clip(m + _NODES * sd, low, high)
        step_up, step_down = steps_of(p, w)
        step = np.where(up, step_up, step_down)
        after = w + sign * step
        m = (_NODE_WEIGHTS * after).sum(0)
        if is_slow:  # covariance: times the mean slope of the new state against the old, by the same nodes
            vu = vu * kept * (_NODE_WEIGHTS * _NODES * after).sum(0) / np.maximum(sd, 1e-30)
            u, uu = kept * u, kept * kept * uu + (1.0 - kept * kept) * slow2
        v = (_NODE_WEIGHTS * ((after - m) ** 2 + proportional2 * step * step)).sum(0) + added2 + 1e-18
        m, v = _clipped_moments(m, v, low, high)
        s = v + r2
        e = y[t] - m
        gain = v / s
        if is_slow:
            limit = np.sqrt(v * uu)  # a clipped state has lost variance
            vu = np.clip(vu, -limit, limit)
            s = s + 2.0 * vu + uu
            e = e - u
            gain = (v + vu) / s
        here = True if complete[t] else seen[t]
        innovations[t], variances[t] = np.where(here, e, math.nan), np.where(here, s, math.nan)
        if is_slow:
            gain, slow_gain = np.where(here, gain, 0.0), np.where(here, (vu + uu) / s, 0.0)
            m, v, u, vu, uu = (
                m + gain * np.where(here, e, 0.0), np.maximum(v - gain * gain * s, 0.0), u + slow_gain * np.where(here, e, 0.0),
                vu - gain * slow_gain * s, np.maximum(uu - slow_gain * slow_gain * s, 0.0),
            )  # fmt: skip
        elif complete[t]:
            m, v = m + gain * e, gain * r2
        else:
            m, v = np.where(here, m + gain * e, m), np.where(here, gain * r2, v)
    return _Trace(innovations, variances, a, b)


def _truncated_moments(a: Array, b: Array) -> tuple[Array, Array]:
    """Mean and variance of a standard normal variable that is known to lie between a and b."""
    log_inside = _log_inside(np.minimum(a, 30.0), np.maximum(b, -30.0))
    a, b = np.clip(a, -40.0, 30.0), np.clip(b, -30.0, 40.0)
    pa, pb = (np.exp(-0.5 * x * x - log_inside) / math.sqrt(2.0 * math.pi) for x in (a, b))
    return pa - pb, np.clip(1.0 + a * pa - b * pb - (pa - pb) ** 2, 1e-4, 1.0)


def _clipped_moments(m: Array, v: Array, low: Any, high: Any) -> tuple[Array, Array]:
    """Mean and variance of a normal variable that is clipped at `low` and `high`."""
    sd = np.sqrt(v)
    a, b = (low - m) / sd, (high - m) / sd
    if not (np.min(b) < 7.0 or np.max(a) > -7.0):
        return m, v
    a, b = np.clip(a, -1e8, 37.0), np.clip(b, -37.0, 1e8)
    below, above = ndtr(a), ndtr(-b)
    pa, pb = (np.exp(-0.5 * np.minimum(x * x, 1400.0)) / math.sqrt(2.0 * math.pi) for x in (a, b))
    a0, b0 = np.maximum(a, -40.0), np.minimum(b, 40.0)
    first = a0 * below + b0 * above + pa - pb
    second = a0 * a0 * below + b0 * b0 * above + (1.0 - below - above) + a0 * pa - b0 * pb
    return np.clip(m + sd * first, low, high), v * np.maximum(second - first * first, 0.0) + 1e-18
