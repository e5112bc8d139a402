r"""From measured pulse ramps to a device: fits, standard errors, noise, spreads, and the choice of a model.

A ramp is the conductance before and after consecutive pulses of one sign. It is mapped to weight units by w = (g - offset) /
slope and described as a state and what is seen of it::

    w_{n+1} = clip(w_n +- step(w_n) (1 + dw_min_std xi)),     y_n = w_n + u_n + read_noise xi
    u_{n+1} = f u_n + slow_noise sqrt(1 - f^2) xi,            f = exp(-1 / slow_time)

Write noise stays in the state and adds up over a ramp; read noise does not; slow noise u (of traps, 1/f) stays for slow_time
pulses and is forgotten. That is what tells them apart. Without u such noise is taken for write noise, whose walk then hides
the mean steps. The likelihood of all ramps is computed by a Kalman filter that carries mean m and variance P of the state.
One pulse takes the moments of w +- step(w) over the normal N(m, P) by Gauss-Hermite quadrature with three nodes (exact for
linear steps), adds the mean of (dw_min_std step)^2, and takes the mean and the variance of the result clipped at the bounds.
With innovations e of variance S, the log-likelihood is -sum(log(2 pi S) + e^2 / S) / 2, and the information about parameters
i and j is sum(d_i e d_j e / S + d_i S d_j S / (2 S^2)).

Where a ramp starts is not known but for its first value y_0, and that it lies between the bounds: the state before the first
pulse is uniform there, which adds log(Phi(b) - Phi(a)) to the log-likelihood, a and b = (bound - y_0) / noise of y_0, and
-(d/db)^2 log Phi(b) d_i b d_j b, and the same for a, to the information. Without it a soft bound may settle below states from
which ramps start, and its error comes out too small there: steps that vanish at the bound are small and quiet near it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares, minimize, minimize_scalar
from scipy.special import log_ndtr, ndtr

from rpusim._progress import progress_bar
from rpusim._validation import boolean, choice, real
from rpusim.devices.base import PulsedDevice
from rpusim.devices.nonlinear import ExpStep, PiecewiseStep, PowStep
from rpusim.devices.step import ConstantStep, LinearStep, SoftBounds

__all__ = ["FitResult", "ModelScore", "fit"]

Array = NDArray[np.float64]

#: bounds of the mapped range, and how small noise may become in its units
_SMALLEST_NOISE = 1e-7
_NODES = math.sqrt(3.0) * np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1)
_NODE_WEIGHTS = np.array([1.0, 4.0, 1.0]).reshape(3, 1, 1) / 6.0


# ---- the models ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Transform:
    """A monotone map from an unbounded number to a parameter."""

    forward: Callable[[float], float]
    inverse: Callable[[float], float]


_REAL = _Transform(float, float)
_POSITIVE = _Transform(lambda t: math.exp(min(t, 60.0)), lambda x: math.log(max(x, 1e-26)))
_UP_TO_20, _UP_TO_60 = (  # where specifications end
    _Transform(lambda t, top=top: min(math.exp(min(t, 60.0)), top), _POSITIVE.inverse) for top in (20.0, 60.0)
)
_NEGATIVE = _Transform(lambda t: -math.exp(min(t, 60.0)), lambda x: math.log(max(-x, 1e-26)))
_UNIT = _Transform(math.tanh, lambda x: math.atanh(min(max(x, -0.999999), 0.999999)))

_COMMON: dict[str, _Transform] = {
    "dw_min": _POSITIVE,
    "up_down": _UNIT,
    "w_max": _POSITIVE,
    "w_min": _NEGATIVE,
    "dw_min_std": _POSITIVE,
    "read_noise": _POSITIVE,
    "slow_noise": _POSITIVE,
    "slow_time": _POSITIVE,  # up to a multiple of the longest ramp: see _Problem.transform
}
#: standard deviations, about whose squares the information is asked: near zero those have a normal error
_NOISES = ("dw_min_std", "read_noise", "slow_noise")


@dataclass(frozen=True)
class _Model:
    """What the fit has to know of a device model.

    `shape` names the parameters that only this model has, "name[i]" for an entry of a list; `starts` are their values from
    which the fit begins, several to try several. `hard`: the bounds only clip, so they show only where a ramp stops at them;
    `vanishes`: a ramp may also stop where the step becomes 0 before it. `fixed` are values that stay.
    """

    cls: type[PulsedDevice]
    shape: Mapping[str, _Transform] = dataclasses.field(default_factory=dict)
    starts: tuple[Mapping[str, float], ...] = ({},)
    hard: bool = True
    vanishes: bool = False
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)


#: nodes of a fitted table; the one in the middle is held at 1, so that dw_min and up_down are the steps there
_N_NODES = 5
_CENTRE = _N_NODES // 2
_TABLE = [f"piecewise_{side}[{k}]" for side in ("up", "down") for k in range(_N_NODES) if k != _CENTRE]

_MODELS: dict[str, _Model] = {
    "ConstantStep": _Model(ConstantStep),
    "LinearStep": _Model(
        LinearStep,
        {"gamma_up": _REAL, "gamma_down": _REAL},
        ({"gamma_up": 0.3, "gamma_down": 0.3},),
        fixed={"allow_increasing": True},
    ),
    "SoftBounds": _Model(SoftBounds, hard=False),
    "ExpStep": _Model(
        ExpStep,
        {"A_up": _POSITIVE, "A_down": _POSITIVE, "gamma_up": _UP_TO_60, "gamma_down": _UP_TO_60},
        (
            {"A_up": 0.1, "A_down": 0.1, "gamma_up": 3.0, "gamma_down": 3.0},
            {"A_up": 0.4, "A_down": 0.4, "gamma_up": 1.0, "gamma_down": 1.0},
        ),
        vanishes=True,
        fixed={"a": 1.0, "b": 0.0},
    ),
    "PowStep": _Model(
        PowStep,
        {"pow_gamma": _UP_TO_20, "pow_up_down": _UNIT},
        ({"pow_gamma": 1.0, "pow_up_down": 0.0}, {"pow_gamma": 2.0, "pow_up_down": 0.0}),
        hard=False,
    ),
    "PiecewiseStep": _Model(
        PiecewiseStep,
        dict.fromkeys(_TABLE, _POSITIVE),
        (dict.fromkeys(_TABLE, 1.0),),
        fixed={f"piecewise_up[{_CENTRE}]": 1.0, f"piecewise_down[{_CENTRE}]": 1.0},
    ),
}


def _build(template: PulsedDevice, values: Mapping[str, Any]) -> PulsedDevice:
    """The device without spreads that has `values`; "name[i]" are gathered to lists, what is no field is left out."""
    fields = {f.name for f in dataclasses.fields(template)}
    changes: dict[str, Any] = {}
    for name, value in values.items():
        base, _, index = name.partition("[")
        if index:
            changes.setdefault(base, {})[int(index[:-1])] = value
        elif name in fields:
            changes[name] = value
    for name, value in changes.items():
        if isinstance(value, dict):
            changes[name] = tuple(value[k] for k in sorted(value))
    return template.replace(**changes)


def _template(model: _Model, given: PulsedDevice | None) -> PulsedDevice:
    """A device of the model without spreads, with the fields of `given` where the fit does not set them."""
    device = model.cls() if given is None else given
    none: dict[str, Any] = {f.name: 0.0 for f in dataclasses.fields(device) if f.name.endswith("_dtod")}
    fixed = {k: v for k, v in model.fixed.items() if "[" not in k}
    return device.replace(**{**none, "dw_min_dtod_log_normal": False, **fixed})


# ---- the data --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Data:
    """Ramps in weight units, padded with nan: y (time, ramps), direction (ramps,) of +-1, device (ramps,)."""

    y: Array
    direction: Array
    device: NDArray[np.intp]

    @property
    def up(self) -> NDArray[np.bool_]:
        return self.direction > 0

    def of_device(self, k: int) -> _Data:
        mine = self.device == k
        y = self.y[:, mine]
        return _Data(y[: int(np.flatnonzero(np.isfinite(y).any(1))[-1]) + 1], self.direction[mine], self.device[mine])

    @property
    def n(self) -> int:
        """Number of values that the likelihood explains: all but the first of each ramp."""
        return int(np.isfinite(self.y).sum()) - self.y.shape[1]


def _as_ramps(name: str, value: Any) -> tuple[list[Array], list[int]]:
    """The ramps in `value` without nan at their ends, and the number of the device of each (0 where there is one)."""
    if value is None:
        return [], []
    nested = isinstance(value, (list, tuple)) and len(value) > 0 and not np.isscalar(value[0])
    groups: list[tuple[int, Any]]
    if nested:
        groups = list(enumerate(value))
    else:
        try:
            whole = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold ramps of numbers; got {type(value).__name__} ({error})") from None
        if whole.ndim not in (1, 2, 3):
            raise ValueError(
                f"{name} must have shape (values,), (ramps, values) or (devices, ramps, values); got {whole.shape}"
            )
        groups = [(0, whole)] if whole.ndim == 1 else list(enumerate(whole))
    ramps: list[Array] = []
    device: list[int] = []
    many = False
    for k, group in groups:
        inner = [group]
        deep = isinstance(group, (list, tuple)) and len(group) > 0 and not np.isscalar(group[0])
        if deep or (isinstance(group, np.ndarray) and group.ndim == 2):
            inner, many = list(group), True
        for one in inner:
            try:
                raw = np.asarray(one)
            except (TypeError, ValueError) as error:
                raise TypeError(f"{name}[{k}] must be a ramp of numbers; got {type(one).__name__} ({error})") from None
            if raw.dtype.kind not in "fiu" or raw.ndim != 1:
                raise (ValueError if raw.dtype.kind in "fiu" else TypeError)(
                    f"{name}[{k}] must be a ramp: real numbers of shape (values,); got {raw.dtype} of shape {raw.shape}"
                )
            ramp = raw.astype(np.float64)
            if np.isinf(ramp).any():
                raise ValueError(f"{name}[{k}] must be finite, or nan where a value is missing; got inf")
            seen = np.flatnonzero(np.isfinite(ramp))
            if seen.size == 0:
                continue
            if seen.size < 3:
                raise ValueError(f"{name}[{k}] must have at least 3 values; got {seen.size}")
            ramps.append(ramp[seen[0] : seen[-1] + 1])
            device.append(k)
    return ramps, device if many else [0] * len(device)


def _pack(up: list[Array], down: list[Array], up_device: list[int], down_device: list[int]) -> _Data:
    ramps = [*up, *down]
    y = np.full((max(len(r) for r in ramps), len(ramps)), math.nan)
    for k, ramp in enumerate(ramps):
        y[: len(ramp), k] = ramp
    direction = np.repeat([1.0, -1.0], [len(up), len(down)])
    return _Data(y, direction, np.array([*up_device, *down_device], dtype=np.intp))


# ---- the likelihood --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Trace:
    """Innovations and their variances, (time, sets, ramps), nan where there is no value or it is a ramp's first; and the
    bounds (sets, ramps) as seen from the first values, in units of their noise: a below them, b above."""

    e: Array
    s: Array
    a: Array
    b: Array


@dataclass(frozen=True)
class _Problem:
    """One model against one set of ramps: which parameters are free, and the values of the others."""

    data: _Data
    model: _Model
    template: PulsedDevice
    free: tuple[str, ...]
    held: Mapping[str, Any]
    unreached: frozenset[str] = frozenset()

    def transform(self, name: str) -> _Transform:
        if name == "slow_time":  # from twice the longest ramp on, times say the same
            top = 2.0 * len(self.data.y)
            return _Transform(
                lambda t: top / (1.0 + math.exp(min(max(-t, -60.0), 60.0))),
                lambda x: -math.log(top / min(max(x, 1e-6 * top), 0.999999 * top) - 1.0),
            )
        return _COMMON[name] if name in _COMMON else self.model.shape[name]

    def values(self, theta: Array) -> dict[str, Any]:
        own = {name: self.transform(name).forward(float(t)) for name, t in zip(self.free, theta, strict=True)}
        return {**self.held, **own}

    def theta(self, values: Mapping[str, float]) -> Array:
        return np.array([self.transform(name).inverse(float(values[name])) for name in self.free])

    def trace(self, sets: Sequence[Mapping[str, Any]]) -> _Trace:
        """What the filter finds for several sets of values at once."""
        devices = [_build(self.template, s) for s in sets]
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
            _build(self.template, {**self.held, name: value} if "[" not in name else self.held)
        except ValueError:
            return False
        return value > 0.0 or "[" not in name

    def log_likelihood(self, values: Mapping[str, Any]) -> float:
        return -float(_minus_log(self.trace([values]))[0])

    def slopes(self, theta: Array) -> tuple[float, Array, Array]:
        """Minus log-likelihood, its gradient, and the information matrix, in unbounded coordinates."""
        h = 1e-4
        shifts = np.concatenate([np.zeros((1, len(theta))), h * np.eye(len(theta)), -h * np.eye(len(theta))])
        return _slopes(self.trace([self.values(theta + d) for d in shifts]), np.full(len(theta), 2.0 * h))

    def information(self, values: Mapping[str, Any]) -> Array:
        """Information about the free parameters themselves, with noises as variances."""
        sets, widths = [dict(values)], []
        for name in self.free:
            x = float(values[name])
            if name in _NOISES:
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
        return _slopes(self.trace(sets), np.array(widths))[2]


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


def _minus_log(t: _Trace) -> Array:
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
    return float(_minus_log(_Trace(t.e[:, :1], t.s[:, :1], t.a[:1], t.b[:1]))[0]), gradient, scaled @ scaled.T


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
    data: _Data,
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


# ---- starting values -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Summary:
    """Mean steps in blocks of consecutive pulses, from which fits start: (blocks,) each, and rough noises."""

    w: Array
    step: Array
    up: NDArray[np.bool_]
    weight: Array
    read_noise: float
    relative_noise: float
    #: level at which ramps stop, nan where they do not
    stop_up: float
    stop_down: float


def _summary(data: _Data) -> _Summary:
    w, step, up, weight = [], [], [], []
    stops: dict[float, list[tuple[float, float, float]]] = {1.0: [], -1.0: []}
    squares, products = [], []
    for k in range(data.y.shape[1]):
        y = data.y[:, k]
        t = np.flatnonzero(np.isfinite(y))
        y = y[t]
        sign = data.direction[k]
        blocks = [b for b in np.array_split(np.arange(len(t)), min(20, max(2, len(t) // 4))) if len(b) > 1]
        own = []
        for b in blocks:
            x = t[b] - t[b].mean()
            own.append(sign * float(x @ y[b] / (x @ x)))
            w.append(float(y[b].mean()))
            weight.append(math.sqrt(float(x @ x)))
        step += own
        up += [sign > 0] * len(own)
        if len(own) >= 4:
            stops[float(sign)].append((float(y[blocks[-1]].mean()), own[-1], float(np.max(own[:-1]))))
        d = np.diff(y)[np.diff(t) == 1]
        if len(d) > 4:
            e = d - np.convolve(d, np.ones(5) / 5.0, mode="same")
            squares.append(float(np.mean(e**2)))
            f = d - d.mean()
            products.append(float(np.mean(f[1:] * f[:-1])))
    size = float(np.median(np.abs(step))) or 1e-3
    spread = float(np.mean(squares)) if squares else size**2
    r2 = max(-float(np.mean(products)) if products else 0.0, 0.02 * spread, 1e-12)
    write = max(spread - 2.0 * r2, 0.1 * spread, 1e-12)
    stop = {1.0: math.nan, -1.0: math.nan}
    for sign, found in stops.items():
        if found:  # do most ramps end much flatter than they were? a wrong yes is undone by the fit
            level, last, steepest = np.median(np.array(found), axis=0)
            if last < 0.2 * steepest:
                stop[sign] = float(level)
    return _Summary(
        np.array(w),
        np.array(step),
        np.array(up),
        np.array(weight) / max(weight),
        math.sqrt(r2),
        min(math.sqrt(write) / size, 20.0),
        stop[1.0],
        stop[-1.0],
    )


def _start(problem: _Problem, summary: _Summary) -> list[dict[str, float]]:
    """Least-squares fits of the mean step to the blocks, from each start of the model, best first."""
    curve = [name for name in problem.free if name not in _NOISES]
    hard = [name for name in curve if problem.model.hard and name in ("w_max", "w_min")]
    curve = [name for name in curve if name not in hard]
    scale = float(np.median(np.abs(summary.step))) or 1e-3
    base: dict[str, Any] = {
        "dw_min": max(float(np.mean(np.abs(summary.step))), 1e-9),
        "up_down": 0.0,
        "w_max": max(1.1 * float(np.max(np.abs(summary.w))), 1e-6),
        "w_min": -max(1.1 * float(np.max(np.abs(summary.w))), 1e-6),
        "dw_min_std": summary.relative_noise,
        "read_noise": summary.read_noise,
    }
    if "w_max" in hard:
        base["w_max"] = max(summary.stop_up, 1e-6)
    if "w_min" in hard:
        base["w_min"] = min(summary.stop_down, -1e-6)
    use = np.ones(len(summary.w), bool)  # blocks in which a hard bound acts say nothing of the step
    if "w_max" in hard:
        use &= ~summary.up | (summary.w < base["w_max"] - 3.0 * base["read_noise"])
    if "w_min" in hard:
        use &= summary.up | (summary.w > base["w_min"] + 3.0 * base["read_noise"])
    if use.sum() < len(curve):
        use[:] = True
    w, step, up, weight = summary.w[use], summary.step[use], summary.up[use], summary.weight[use]

    found: list[tuple[float, dict[str, float]]] = []
    for shape in problem.model.starts:
        values = {**base, **shape, **problem.held}
        transforms = [problem.transform(name) for name in curve]

        def at(theta: Array, values: dict[str, Any] = values, transforms: list[_Transform] = transforms) -> dict[str, Any]:
            return {**values, **{n: f.forward(float(t)) for n, f, t in zip(curve, transforms, theta, strict=True)}}

        def misfit(theta: Array, at: Callable[[Array], dict[str, Any]] = at) -> Array:
            try:
                device = _build(problem.template, at(theta))
                ups, downs = device.step_up(w), device.step_down(w)
                out = weight * (np.where(up, ups, downs) - step) / scale
            except (ValueError, FloatingPointError):
                return np.full(len(w), 1e6)
            return np.nan_to_num(np.clip(out, -1e6, 1e6), nan=1e6)

        first = np.array([f.inverse(float(values[n])) for n, f in zip(curve, transforms, strict=True)])
        if len(first):
            best = least_squares(misfit, first, loss="soft_l1", f_scale=0.1, max_nfev=60 * len(first))
            found.append((float(best.cost), at(best.x)))
        else:
            found.append((0.0, values))
    return [values for _, values in sorted(found, key=lambda pair: pair[0])]


# ---- one model -------------------------------------------------------------------------------------------------------


_UNSETTLED = "the search for the maximum of the likelihood did not settle; take the errors with care"


@dataclass(frozen=True)
class _Optimum:
    problem: _Problem
    values: dict[str, Any]
    errors: dict[str, float]
    log_likelihood: float
    notes: tuple[str, ...]


def _maximise(problem: _Problem, start: Mapping[str, Any]) -> tuple[dict[str, Any], float, bool]:
    """Maximum of the likelihood by scipy's trust-region method with the information matrix as curvature."""
    cache: dict[bytes, tuple[float, Array, Array]] = {}
    n = len(problem.free)

    def look(theta: Array) -> tuple[float, Array, Array]:
        key = theta.tobytes()
        if key not in cache:
            cache.clear()
            try:
                with np.errstate(all="ignore"):
                    cache[key] = problem.slopes(theta)
            except (ValueError, OverflowError):
                cache[key] = math.inf, np.zeros(n), np.eye(n)
            value, gradient, curvature = cache[key]
            if not (math.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(curvature).all()):
                cache[key] = 1e100, np.zeros(n), np.eye(n)
        return cache[key]

    def gain(theta: Array) -> float:
        """What a further step I^-1 g would gain: half of g' I^-1 g, in units of log-likelihood; less where it is longer than
        the largest allowed, as that of a noise whose logarithm goes to minus infinity."""
        _, gradient, curvature = look(theta)
        step = np.linalg.lstsq(curvature + 1e-6 * np.eye(n), gradient, rcond=None)[0]
        return 0.5 * float(gradient @ step) * min(1.0, 3.0 / max(float(np.linalg.norm(step)), 1e-30))

    reached = problem.theta(start)
    values = [look(reached)[0]]

    def enough(theta: Array) -> None:
        """Stop at a hundredth of a standard error from the maximum, or where nothing is gained any more."""
        nonlocal reached
        reached = np.array(theta)
        values.append(look(reached)[0])
        if gain(reached) < 1e-4 or (len(values) > 6 and values[-7] - values[-1] < 0.01):
            raise StopIteration

    with contextlib.suppress(StopIteration):
        minimize(  # type: ignore[call-overload]
            lambda x: look(x)[0],
            reached,
            jac=lambda x: look(x)[1],
            hess=lambda x: look(x)[2] + 1e-9 * np.eye(n),
            method="trust-exact",
            callback=enough,
            options={"initial_trust_radius": 0.5, "max_trust_radius": 3.0, "gtol": 1e-2, "maxiter": 40},
        )
    value = look(reached)[0]
    return problem.values(reached), -value, bool(value < 1e99 and gain(reached) < 0.01)


def _errors(problem: _Problem, values: Mapping[str, Any]) -> dict[str, float]:
    """Standard errors from the inverse of the information; inf where the data say nothing."""
    with np.errstate(all="ignore"):
        information = problem.information(values)
    n = len(problem.free)
    out = np.full(n, math.inf)
    diagonal = np.diag(information)
    told = np.isfinite(information).all(1) & (diagonal > 0.0)
    if told.any():
        scale = np.sqrt(diagonal[told])
        eigenvalues, vectors = np.linalg.eigh(information[np.ix_(told, told)] / np.outer(scale, scale))
        good = eigenvalues > 1e-10
        variance = (vectors[:, good] ** 2 / eigenvalues[good]).sum(1)
        lost = (vectors[:, ~good] ** 2).sum(1) > 1e-4
        out[told] = np.where(lost, math.inf, np.sqrt(variance) / scale)
    errors = dict(zip(problem.free, out.tolist(), strict=True))
    for name in _NOISES:
        if name in errors and math.isfinite(errors[name]):  # from the variance: near zero the error is its square root
            errors[name] = errors[name] / (2.0 * max(values[name], 0.5 * math.sqrt(errors[name])))
    return errors


def _free_names(model: _Model, data: _Data, reached: Iterable[str]) -> tuple[str, ...]:
    both = data.up.any() and (~data.up).any()
    names = ["dw_min"] + (["up_down"] if both else [])
    names += [name for name in ("w_max", "w_min") if not model.hard or name in reached]
    one = "_down" if data.up.any() else "_up"  # the side without data
    names += [name for name in model.shape if both or one not in name]
    if not model.hard and not both:
        names.remove("w_min" if data.up.any() else "w_max")
    return (*names, "dw_min_std", "read_noise")


def _fit_model(
    data: _Data,
    model: _Model,
    template: PulsedDevice,
    limits: tuple[float, float],
    hold: Mapping[str, float] = MappingProxyType({}),
) -> tuple[_Optimum, _Optimum | None]:
    """Fit one model to one device's ramps, without slow noise and, where that looks likelier, with it."""
    summary = _summary(data)
    known: dict[tuple[Any, ...], _Optimum] = {}

    def white(reached: Sequence[str], hold: Mapping[str, float], first: _Optimum | None = None) -> _Optimum:
        key = (*reached, *hold.items())
        if key not in known:
            known[key] = _fit_free(data, model, template, limits, summary, reached, hold, first)
        return known[key]

    def slow(reached: Sequence[str], hold: Mapping[str, float], first: _Optimum | None = None) -> _Optimum:
        if first is not None:
            return _fit_free(data, model, template, limits, summary, reached, hold, first)
        return _with_slow_noise(white(reached, hold))

    out = _fit_bounds(white, data, model, template, limits, summary, hold)
    if "slow_noise" in hold or _slow_start(out)[1] < out.log_likelihood:
        return out, None
    return out, _fit_bounds(slow, data, model, template, limits, summary, hold)


def _fit_bounds(
    fitted: Callable[..., _Optimum],
    data: _Data,
    model: _Model,
    template: PulsedDevice,
    limits: tuple[float, float],
    summary: _Summary,
    hold: Mapping[str, float],
) -> _Optimum:
    """What `fitted` finds with those bounds free that the ramps tell; hard bounds only where ramps stop at them."""
    reached = [
        name
        for name, stop, possible in (
            ("w_max", summary.stop_up, summary.stop_up > 0.0),
            ("w_min", summary.stop_down, summary.stop_down < 0.0),
        )
        if math.isfinite(stop) and possible
    ]
    if not model.hard:
        out = fitted([], hold)
        far, far_notes, far_names = 20.0 * (limits[1] - limits[0]), list[str](), list[str]()
        for name, sign in (("w_max", 1.0), ("w_min", -1.0)):  # steps hardly change towards such a bound
            if name in out.problem.free and abs(float(out.values[name])) > far:
                hold = {**hold, name: sign * far}
                far_names.append(name)
                out = fitted([], hold, out)
                note = f"{name} is held at {sign * far:.4g}: the steps hardly change towards it"
                far_notes.append(note)
                mine = tuple(n for n in out.notes if n.split()[0] not in far_names)
                out = dataclasses.replace(out, notes=(*mine, *far_notes))
        return out
    reached = [name for name in reached if name not in hold]
    while True:
        out = fitted(reached, hold)
        size = limits[1] - limits[0]
        # a bound that the data do not tell, or before which the step itself vanishes, is held; one at a time
        vague = [name for name in reached if not out.errors[name] < 0.1 * size]
        if not vague and model.vanishes:
            device = _build(template, out.values)
            steps = {"w_max": device.step_up(device.w_max), "w_min": device.step_down(device.w_min)}
            vague = [name for name in reached if float(steps[name]) < 0.1 * device.dw_min]
        if not vague:
            break
        worst = max(vague, key=lambda name: out.errors[name])
        reached.remove(worst)
    return out


def _fit_free(
    data: _Data,
    model: _Model,
    template: PulsedDevice,
    limits: tuple[float, float],
    summary: _Summary,
    reached: Sequence[str],
    hold: Mapping[str, float],
    first: _Optimum | None = None,
) -> _Optimum:
    free = tuple(name for name in _free_names(model, data, reached) if name not in hold)
    held: dict[str, Any] = {**{k: v for k, v in model.fixed.items() if "[" in k}, **hold}
    notes: list[str] = [f"{name} is held at {value:g}, as asked" for name, value in hold.items()]
    if "up_down" not in free and "up_down" not in hold:
        held["up_down"] = 0.0
        notes.append("pulses of one sign only: up_down is held at 0, and dw_min is the step of that sign")
    for name, limit in (("w_max", max(limits[1], 1e-6)), ("w_min", min(limits[0], -1e-6))):
        if name not in free and name not in hold:
            held[name] = limit
            why = "no ramp stops at it" if model.hard else "there are no pulses towards it"
            notes.append(f"{name} is held at the edge of the data, {limit:.4g}: {why}")
    for name in model.shape:
        if name not in free and name not in hold:
            held[name] = model.starts[0][name]
            notes.append(f"{name} is held at {held[name]:g}: there are no pulses of that sign")
    unreached = frozenset(n for n in ("w_max", "w_min") if model.hard and n not in free and n not in hold)
    if first and "slow_noise" in first.problem.free:
        free += ("slow_noise", "slow_time")
    problem = _Problem(data, model, template, free, held, unreached)
    best: tuple[dict[str, Any], float, bool] | None = None
    starts = [{**first.values, **hold}] if first else _start(problem, summary)
    if len(starts) > 1:  # the likeliest first
        with np.errstate(all="ignore"):
            far = np.nan_to_num(_minus_log(problem.trace(starts)), nan=np.inf)
        starts = [starts[k] for k in np.argsort(far, kind="stable")]
    for start in starts:
        found = _maximise(problem, start)
        if best is None or found[1] > best[1]:
            best = found
        if found[2]:
            break
    assert best is not None
    values, log_likelihood, converged = best
    if not converged:
        notes.append(_UNSETTLED)
    errors = _errors(problem, values)
    return _Optimum(problem, values, errors, log_likelihood, tuple(notes))


def _slow_start(white: _Optimum) -> tuple[dict[str, Any], float]:
    """Values from which a fit with slow noise may start, by a coarse search, and their log-likelihood."""
    problem, values = white.problem, dict(white.values)
    summary = _summary(problem.data)
    fast = math.hypot(math.sqrt(2.0) * summary.read_noise, summary.relative_noise * float(np.median(np.abs(summary.step))))
    places = [
        {**curve, "dw_min_std": max(values["dw_min_std"] * less, 1e-3), "slow_noise": size * fast, "slow_time": time}
        for curve in (values, {**values, **_start(problem, summary)[0]})
        for size in (0.3, 1.0, 3.0)
        for time in (3.0, 10.0, 30.0, 100.0)
        for less in ((1.0, 0.3, 0.1) if "dw_min_std" in problem.free else (1.0,))
    ]
    with np.errstate(all="ignore"):
        found = np.nan_to_num(_minus_log(problem.trace(places)), nan=np.inf)
    best = int(np.argmin(found))
    return places[best], -float(found[best])


def _with_slow_noise(white: _Optimum) -> _Optimum:
    """The fit of the same parameters with slow noise beside the other two."""
    problem = dataclasses.replace(white.problem, free=(*white.problem.free, "slow_noise", "slow_time"))
    values, log_likelihood, converged = _maximise(problem, _slow_start(white)[0])
    notes = [note for note in white.notes if note != _UNSETTLED]
    if not converged:
        notes.append(_UNSETTLED)
    return _Optimum(problem, values, _errors(problem, values), log_likelihood, tuple(notes))


# ---- many devices ----------------------------------------------------------------------------------------------------


def _random_effects(x: Array, error: Array) -> tuple[float, float, float, float]:
    """Mean and spread of the population of which x +- error are estimates, and their standard errors.

    Restricted maximum likelihood: of the x about their weighted mean, weights 1 / (spread^2 + error^2).
    """
    good = np.isfinite(error) & np.isfinite(x)
    x, error = x[good], error[good]
    if len(x) < 2:
        return (float(x[0]), float(error[0]), math.nan, math.inf) if len(x) else (math.nan, math.inf, math.nan, math.inf)

    def minus_log(t: float) -> float:
        v = t * t + error**2
        mean = float((x / v).sum() / (1.0 / v).sum())
        return 0.5 * float((np.log(v) + (x - mean) ** 2 / v).sum() + np.log((1.0 / v).sum()))

    top = 3.0 * float(x.std(ddof=1)) + 1e-12
    spread = float(minimize_scalar(minus_log, bounds=(0.0, top), method="bounded", options={"xatol": 1e-5 * top}).x)
    if minus_log(0.0) <= minus_log(spread):
        spread = 0.0
    v = spread**2 + error**2
    mean = float((x / v).sum() / (1.0 / v).sum())
    variance_error = math.sqrt(2.0 / float((1.0 / v**2).sum()))  # of spread^2
    spread_error = variance_error / (2.0 * max(spread, 0.5 * math.sqrt(variance_error)))
    return mean, 1.0 / math.sqrt(float((1.0 / v).sum())), spread, spread_error


def _population(fits: Sequence[_Optimum]) -> tuple[dict[str, Any], dict[str, float], dict[str, float], list[str]]:
    """Mean device of several: its values, their errors, the errors of its spreads (whose values go with the others)."""
    shared = [name for name in fits[0].problem.free if all(name in f.problem.free for f in fits)]
    values: dict[str, Any] = {}
    errors: dict[str, float] = {}
    notes: list[str] = []
    spreads: dict[str, float] = {}
    template = fits[0].problem.template
    fields = {f.name for f in dataclasses.fields(template)}

    def all_of(name: str) -> Array:
        return np.array([float(f.values[name]) for f in fits])

    def errors_of(name: str) -> Array:
        return np.array([f.errors.get(name, math.inf) for f in fits])

    for name in fits[0].values:
        if name not in shared:
            values[name] = float(np.mean(all_of(name)))
            notes += [note for note in fits[0].notes if note.startswith(name)]
            continue
        x, e = all_of(name), errors_of(name)
        if name == "up_down":  # of the step: its gain is drawn apart
            gain = all_of("dw_min") / values["dw_min"]
            x, e = x * gain, e * gain
        mean, error, spread, spread_error = _random_effects(x, e)
        values[name], errors[name] = mean, error
        if f"{name}_dtod" in fields:
            relative = 1.0 if name in ("up_down", "gamma_up", "gamma_down", "pow_up_down") else abs(mean)
            spreads[f"{name}_dtod"] = spread / relative
            errors[f"{name}_dtod"] = spread_error / relative
    if any(name not in shared for f in fits for name in f.problem.free):
        notes.append("parameters that only some devices tell are taken as the mean of what was held and found")
    return values, errors, spreads, notes


# ---- results ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelScore:
    """How well one model describes the ramps.

    Attributes
    ----------
    model : str
    n_parameters : int
        Free parameters, of all devices together, noises included.
    log_likelihood, aic, bic : float
        aic = 2 k - 2 log L, bic = k log(n) - 2 log L for n values.
    r2, r2_blocks : float
        How well the noise-free response of the mean device, from the best start, follows the mean measured curve of each
        direction: 1 - (sum of squared residuals) / (sum of squares about the mean of each direction). r2 is of the curve as
        it is, pulse by pulse: where few ramps were measured, read noise bounds it. r2_blocks is of the means of 10 blocks of
        neighbouring pulses into which each curve is cut.
    """

    model: str
    n_parameters: int
    log_likelihood: float
    aic: float
    bic: float
    r2: float
    r2_blocks: float


@dataclass(frozen=True)
class FitResult:
    """A device fitted to measured ramps, and how sure its parameters are.

    Attributes
    ----------
    device : PulsedDevice
        The specification; its spreads are 0 where only one device was measured.
    values, standard_errors : dict of str to float
        Fitted parameters in weight units and their standard errors; inf where the ramps do not tell the parameter.
        `read_noise` is among them. Parameters that were held are in `notes`.
    notes : tuple of str
        What was held, and why.
    read_noise : float
        Standard deviation of one read, in weight units. No part of the device.
    slow_noise, slow_time : float
        Standard deviation, in weight units, of noise of the reads that is correlated from pulse to pulse by
        exp(-1 / slow_time). 0 and nan where none was found. No part of the device.
    offset, slope : float
        conductance = offset + slope * weight.
    unit : str
        Unit of the ramps.
    score : ModelScore
        Of the chosen model.
    comparison : tuple of ModelScore
        All models tried, best first.
    criterion : str
        "bic" or "aic": what best means.
    n_values, n_ramps, n_devices : int
        Size of the data.
    up, down : tuple of ndarray
        The ramps in weight units.
    """

    device: PulsedDevice
    values: dict[str, float]
    standard_errors: dict[str, float]
    notes: tuple[str, ...]
    read_noise: float
    slow_noise: float
    slow_time: float
    offset: float
    slope: float
    unit: str
    score: ModelScore
    comparison: tuple[ModelScore, ...]
    criterion: str
    n_values: int
    n_ramps: int
    n_devices: int
    up: tuple[Array, ...] = dataclasses.field(repr=False)
    down: tuple[Array, ...] = dataclasses.field(repr=False)

    @property
    def r2(self) -> float:
        """Coefficient of determination on the mean curve, pulse by pulse (`ModelScore`)."""
        return self.score.r2

    @property
    def r2_blocks(self) -> float:
        """Coefficient of determination on means of 10 blocks of neighbouring pulses of the mean curve (`ModelScore`)."""
        return self.score.r2_blocks

    @property
    def block_length(self) -> int:
        """Pulses in the longest of the blocks of `r2_blocks`."""
        return max(len(_blocks(curve)[0]) for curve, _ in self.mean_curves().values())

    def to_conductance(self, w: ArrayLike) -> Array:
        """Conductance, in `unit`, at weights `w`."""
        return self.offset + self.slope * np.asarray(w, dtype=np.float64)

    def to_weight(self, g: ArrayLike) -> Array:
        """Weight at conductances `g`, in `unit`."""
        return (np.asarray(g, dtype=np.float64) - self.offset) / self.slope

    def mean_curves(self) -> dict[str, tuple[Array, Array]]:
        """For "up" and "down" where there are any: mean measured curve and fitted noise-free response, in weight units."""
        out = {}
        for name, ramps, sign in (("up", self.up, 1.0), ("down", self.down, -1.0)):
            if ramps:
                measured = _mean_curve(ramps)
                out[name] = measured, _best_response(self.device, measured, sign)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the ramps as a plain dict, JSON-ready; what is not finite is None."""

        def plain(x: float) -> float | None:
            return float(x) if math.isfinite(x) else None

        return {
            "format": "rpusim fit",
            "version": 1,
            "device": self.device.to_dict(),
            "values": {k: plain(v) for k, v in self.values.items()},
            "standard_errors": {k: plain(v) for k, v in self.standard_errors.items()},
            "read_noise": self.read_noise,
            "slow_noise": self.slow_noise,
            "slow_time": plain(self.slow_time),
            "scale": {"offset": self.offset, "slope": self.slope, "unit": self.unit},
            "criterion": self.criterion,
            "comparison": [
                {k: plain(v) if k.startswith("r2") else v for k, v in dataclasses.asdict(s).items()} for s in self.comparison
            ],
            "notes": list(self.notes),
            "n_values": self.n_values,
            "n_ramps": self.n_ramps,
            "n_devices": self.n_devices,
        }


def _mean_curve(ramps: Sequence[Array]) -> Array:
    """Mean over ramps at each pulse, nan where fewer than half of them have a value."""
    y = np.full((max(map(len, ramps)), len(ramps)), math.nan)
    for k, ramp in enumerate(ramps):
        y[: len(ramp), k] = ramp
    count = np.isfinite(y).sum(1)
    mean = np.nansum(y, axis=1) / np.maximum(count, 1)
    return np.where(2 * count >= len(ramps), mean, math.nan)


def _best_response(device: PulsedDevice, measured: Array, sign: float) -> Array:
    """Noise-free response from the start that is nearest to `measured` in the least squares."""
    low, high = device.w_min, device.w_max

    def run(start: float) -> Array:
        w = np.empty(len(measured))
        w[0] = start
        step = device.step_up if sign > 0 else device.step_down
        for n in range(1, len(w)):
            w[n] = min(max(w[n - 1] + sign * float(step(w[n - 1])), low), high)
        return w

    first = measured[np.isfinite(measured)][: max(3, len(measured) // 10)]
    margin = float(np.ptp(first)) + 1e-9
    near = (max(low, float(first.min()) - margin), min(high, float(first.max()) + margin))
    if not near[0] < near[1]:
        return run(min(max(float(first.mean()), low), high))

    def misfit(start: float) -> float:
        return float(np.nansum((run(start) - measured) ** 2))

    best = minimize_scalar(misfit, bounds=near, method="bounded", options={"xatol": 1e-5 * margin, "maxiter": 40})
    return run(float(best.x))


_N_BLOCKS = 10


def _blocks(measured: Array) -> list[NDArray[np.intp]]:
    """Where the values of a curve are, in blocks of neighbours."""
    seen = np.flatnonzero(np.isfinite(measured))
    return np.array_split(seen, min(_N_BLOCKS, len(seen)))


def _r2(device: PulsedDevice, up: Sequence[Array], down: Sequence[Array]) -> tuple[float, float]:
    """Coefficient of determination on the mean curves, and on means of blocks of them."""
    left, total = np.zeros(2), np.zeros(2)
    for ramps, sign in ((up, 1.0), (down, -1.0)):
        if ramps:
            measured = _mean_curve(ramps)
            residual = measured - _best_response(device, measured, sign)
            blocks = _blocks(measured)
            for k, groups in enumerate(([[n] for b in blocks for n in b], blocks)):
                means = np.array([measured[g].mean() for g in groups])
                left[k] += sum(float(residual[g].mean()) ** 2 for g in groups)
                total[k] += float(((means - means.mean()) ** 2).sum())
    of_pulses, of_blocks = (1.0 - float(x / y) if y > 0.0 else math.nan for x, y in zip(left, total, strict=True))
    return of_pulses, of_blocks


# ---- the public function ---------------------------------------------------------------------------------------------


def _models(model: Any) -> list[tuple[str, PulsedDevice | None]]:
    """Names of the models to try, with the device whose other fields are kept where one was given."""
    known = ", ".join(_MODELS)
    if model is None or (isinstance(model, str) and model == "best"):
        return [(name, None) for name in _MODELS]
    if isinstance(model, (list, tuple)):
        if not model:
            raise ValueError("model must name at least one model; got an empty sequence")
        return [pair for one in model for pair in _models(one)]
    if isinstance(model, str) and model in _MODELS:
        return [(model, None)]
    if isinstance(model, type) and model.__name__ in _MODELS:
        return [(model.__name__, None)]
    if isinstance(model, PulsedDevice) and type(model).__name__ in _MODELS:
        return [(type(model).__name__, model)]
    raise ValueError(f"model must be one of {known}, such a class or device, a list of them, None or 'best'; got {model!r}")


def fit(
    pulses_up: Any,
    pulses_down: Any = None,
    model: Any = None,
    *,
    g_min: float | None = None,
    g_max: float | None = None,
    hold: Mapping[str, float] | None = None,
    criterion: str = "bic",
    unit: str = "",
    progress: bool = True,
) -> FitResult:
    r"""Fit a device to measured conductance against pulse number.

    Parameters
    ----------
    pulses_up, pulses_down : array_like or list, or None
        Conductances along ramps of consecutive up (down) pulses, one pulse from value to value, the first value before or
        after any pulse; nan where a value is missing. One ramp of shape (values,); cycles of one device, (ramps, values), or
        a list of ramps of any lengths; several devices, (devices, ramps, values), or a list of lists of ramps, where device k
        of both arguments is the same. One of the two may be None.
    model : str, class, device or list of these, optional
        "ConstantStep", "LinearStep", "SoftBounds", "ExpStep", "PowStep", "PiecewiseStep". A device is a model whose fields
        that are not fitted are kept, such as ``SoftBounds(mult_noise=False)``. None or "best" tries all.
    g_min, g_max : float, optional
        Conductances that become weights -1 and 1; by default the measured range. (-1, 1) keeps the numbers as they are.
    hold : dict of str to float, optional
        Parameters, in weight units, that are known and not fitted.
    criterion : {"bic", "aic"}
        What chooses among models. BIC by default: ramps have many values, and AIC then takes the richer of two models
        that say the same.
    unit : str
        Unit of the ramps, for the record.
    progress : bool, default True
        Whether to show a progress bar over models and devices; none is shown if stderr is no terminal. Ramps of thousands of
        values take tens of seconds per model.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError, TypeError
        Where an argument is not allowed; the message names it.

    Notes
    -----
    With n the pulse and xi, zeta independent standard normals, a ramp obeys::

        w_{n+1} = clip(w_n +- step(w_n) (1 + dw_min_std xi)),     g_n = offset + slope (w_n + u_n + read_noise zeta)

    with u_n noise of standard deviation slow_noise that is forgotten over slow_time pulses (traps, 1/f noise); it is left out
    where the criterion does not ask for it, and never tried with ``hold={"slow_noise": 0}``. A ramp starts anywhere between
    the bounds. The likelihood is computed by a Kalman filter with clipped moments (see the module) and maximised by
    `scipy.optimize.minimize`. Standard errors are the square roots of the diagonal of the inverse information matrix.
    `dw_min_std`, as maximum likelihood has it, comes out low by up to a standard error where few pulses have to tell many
    parameters. A parameter that the ramps do not tell has the error inf; a hard bound at which no ramp stops is held at the
    edge of the data, with a note. ExpStep is fitted with a = 1 and b = 0, which its other parameters make general, and the
    table of PiecewiseStep has 5 nodes, of which the middle one is 1.

    Of several devices each is fitted, and their parameters are taken as draws from a normal population, whose mean and
    spread (the `_dtod` fields) are estimated by restricted maximum likelihood, so that estimation errors are not counted as
    spread.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.05, dw_min_dtod=0, up_down_dtod=0, w_max=1, w_max_dtod=0, w_min=-1,
    ...                                 w_min_dtod=0)
    >>> array = rpu.CrossbarArray((1, 5), device, rng=1)
    >>> ramps = {}
    >>> for sign in (1, -1):
    ...     array.program(np.full((1, 5), -0.9 * sign))
    ...     ramps[sign] = [array.weights[0]]
    ...     for _ in range(60):
    ...         array.pulse(sign)
    ...         ramps[sign].append(array.weights[0])
    >>> up, down = 1e-5 + 1e-5 * np.array(ramps[1]).T, 1e-5 + 1e-5 * np.array(ramps[-1]).T  # siemens
    >>> result = rpu.devices.fit(up, down, "SoftBounds", g_min=0, g_max=2e-5)
    >>> for name in ("dw_min", "w_max", "w_min", "dw_min_std"):
    ...     print(abs(result.values[name] - getattr(device, name)) < 3 * result.standard_errors[name])
    True
    True
    True
    True
    """
    choice("bic", "aic")("criterion", criterion)
    chosen = _models(model)
    up, up_device = _as_ramps("pulses_up", pulses_up)
    down, down_device = _as_ramps("pulses_down", pulses_down)
    if not up and not down:
        raise ValueError("pulses_up and pulses_down must hold at least one ramp; got none")
    everything = np.concatenate([*up, *down])
    bounds = [float(np.nanmin(everything)), float(np.nanmax(everything))]
    for k, (name, given) in enumerate((("g_min", g_min), ("g_max", g_max))):
        if given is not None:
            bounds[k] = real()(name, given)
    if not bounds[0] < bounds[1]:
        raise ValueError(f"g_max must be above g_min, and ramps must not be constant; got {bounds[1]:g} and {bounds[0]:g}")
    offset, slope = (bounds[0] + bounds[1]) / 2.0, (bounds[1] - bounds[0]) / 2.0
    up, down = [(r - offset) / slope for r in up], [(r - offset) / slope for r in down]
    labels = sorted({*up_device, *down_device})
    number = {label: k for k, label in enumerate(labels)}
    data = _pack(up, down, [number[k] for k in up_device], [number[k] for k in down_device])
    limits = float(np.nanmin(data.y)), float(np.nanmax(data.y))
    if limits[1] <= 0.0 or limits[0] >= 0.0:
        raise ValueError(f"g_min and g_max must have their mean within the measured range; got {bounds[0]:g}, {bounds[1]:g}")
    kept = dict(hold or {})
    for name, value in kept.items():
        allowed = {n for m, _ in chosen for n in (*_COMMON, *_MODELS[m].shape)}
        if name not in allowed:
            raise ValueError(f"hold must have names among {', '.join(sorted(allowed))}; got {name!r}")
        least = real(0.0, open_low=name == "slow_time") if name in (*_NOISES, "slow_time") else real()
        kept[name] = least(f"hold[{name!r}]", value)
    if ("slow_time" in kept) != (kept.get("slow_noise", 0.0) != 0.0):
        raise ValueError(f"hold must name slow_noise and slow_time together, or slow_noise=0; got {', '.join(kept)}")

    parts = [data.of_device(k) for k in range(len(labels))]
    outcomes: list[tuple[ModelScore, PulsedDevice, dict[str, float], dict[str, float], list[str]]] = []
    hidden = None if boolean("progress", progress) else True
    bar = progress_bar(total=len(chosen) * len(parts), desc="fit", unit=" fits", dynamic_ncols=True, disable=hidden)
    for name, kept_device in chosen:
        spec = _MODELS[name]
        bar.set_postfix_str(name)
        own = {k: v for k, v in kept.items() if k in _COMMON or k in spec.shape}
        template = _template(spec, kept_device)
        fits, slow = [], []
        for part in parts:
            white, other = _fit_model(part, spec, template, limits, own)
            fits.append(white)
            slow += [other] if other else []
            bar.update()
        if len(slow) == len(fits):  # slow noise for all devices, or for none
            more = sum(len(b.problem.free) - len(a.problem.free) for a, b in zip(fits, slow, strict=True))
            gain = 2.0 * sum(b.log_likelihood - a.log_likelihood for a, b in zip(fits, slow, strict=True))
            if gain > more * (2.0 if criterion == "aic" else math.log(data.n)):
                fits = slow
        if len(fits) == 1:
            values, errors, notes = dict(fits[0].values), fits[0].errors, list(fits[0].notes)
            spreads: dict[str, float] = {}
        else:
            values, errors, spreads, notes = _population(fits)
        device = _build(template, {**values, **spreads})
        if isinstance(device, LinearStep) and min(device.gamma_up, device.gamma_down) >= 0.0:
            device = device.replace(allow_increasing=False)
        k = sum(len(f.problem.free) for f in fits)
        log_likelihood = sum(f.log_likelihood for f in fits)
        score = ModelScore(
            name,
            k,
            log_likelihood,
            2 * k - 2 * log_likelihood,
            k * math.log(data.n) - 2 * log_likelihood,
            *_r2(device, up, down),
        )
        fitted = {n: float(v) for n, v in {**values, **spreads}.items() if n in errors}
        for n in errors:
            if not math.isfinite(errors[n]):
                notes.append(f"{n} is not told by these ramps")
        noises = {n: float(values[n]) for n in ("read_noise", "slow_noise", "slow_time") if n in values}
        if noises.get("slow_noise") == 0.0:
            noises.pop("slow_time", None)
        outcomes.append((score, device, {**fitted, **noises}, errors, notes))
    bar.close()
    outcomes.sort(key=lambda one: getattr(one[0], criterion))
    score, device, fitted, errors, notes = outcomes[0]
    return FitResult(
        device=device,
        values=fitted,
        standard_errors=errors,
        notes=tuple(notes),
        read_noise=fitted["read_noise"],
        slow_noise=fitted.get("slow_noise", 0.0),
        slow_time=fitted.get("slow_time", math.nan),
        offset=offset,
        slope=slope,
        unit=unit,
        score=score,
        comparison=tuple(o[0] for o in outcomes),
        criterion=criterion,
        n_values=data.n,
        n_ramps=data.y.shape[1],
        n_devices=len(labels),
        up=tuple(up),
        down=tuple(down),
    )
