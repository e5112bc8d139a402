"""The likelihood of measured ramps: a Kalman filter along the pulses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_ndtr

from rpusim.devices.base import PulsedDevice
from rpusim.fitting import _filter
from rpusim.fitting.data import Data
from rpusim.fitting.forms import form_of
from rpusim.fitting.models import COMMON, NOISES, Model, Transform, build_device
from rpusim.fitting.ramps import Array

__all__ = []

#: bounds of the mapped range, and how small noise may become in its units
_SMALLEST_NOISE = 1e-7


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
        noises, bounds = np.empty((len(sets), 6)), np.empty((len(sets), 2))
        means = [d.mean_parameters() for d in devices]
        for k, (d, p, own) in enumerate(zip(devices, means, sets, strict=True)):
            proportional, nominal = d.noise_weights
            read, slow = max(own["read_noise"], _SMALLEST_NOISE), own.get("slow_noise", 0.0)
            kept = math.exp(-1.0 / max(own.get("slow_time", 1.0), 1e-3))
            sizes = np.array([proportional, nominal * p["step_up"], nominal * p["step_down"], read, slow])
            noises[k] = *(sizes * sizes), kept
            # a hard bound that no ramp reaches does not clip
            bounds[k, 0] = -np.inf if "w_min" in self.unreached else p["w_min"]
            bounds[k, 1] = np.inf if "w_max" in self.unreached else p["w_max"]
        return trace_of(self.data, *form_of(devices, means), noises, bounds)

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


def trace_of(data: Data, form: str, numbers: Array, noises: Array, bounds: Array) -> _Trace:
    """Run the Kalman filter over all ramps for all parameter sets; the arguments are those of `_filter.run`."""
    y = np.ascontiguousarray(data.y.T)
    r2, slow2 = noises[:, 3, None], noises[:, 4, None]
    first2 = r2 + slow2
    low, high = bounds[:, :1], bounds[:, 1:]
    a, b = ((bound - y[:, 0]) / np.sqrt(first2) for bound in (low, high))
    m, v = _truncated_moments(a, b)
    m, v = np.clip(y[:, 0] + np.sqrt(first2) * m, low, high), first2 * v
    # mean and variance of the slow noise, and its covariance with the state
    share = slow2 / first2
    start = np.stack([m, v, share * (y[:, 0] - m), share * r2 + share * share * v, -share * v])
    e, s = _filter.run(y, data.direction, form, numbers, noises, bounds, start)
    return _Trace(e.transpose(2, 0, 1), s.transpose(2, 0, 1), a, b)


def _truncated_moments(a: Array, b: Array) -> tuple[Array, Array]:
    """Mean and variance of a standard normal variable that is known to lie between a and b."""
    log_inside = _log_inside(np.minimum(a, 30.0), np.maximum(b, -30.0))
    a, b = np.clip(a, -40.0, 30.0), np.clip(b, -30.0, 40.0)
    pa, pb = (np.exp(-0.5 * x * x - log_inside) / math.sqrt(2.0 * math.pi) for x in (a, b))
    return pa - pb, np.clip(1.0 + a * pa - b * pb - (pa - pb) ** 2, 1e-4, 1.0)
