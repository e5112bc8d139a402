r"""Laws of values over time or pulses, fitted to one or many series: drift, decay, and none.

::

    stays:           g = g_0
    drift:           g = g_0 max(t / t_0, 1)^-nu, with t_0 held
    drift from t_0:  the same, t_0 is fitted, one for all series
    decay:           g = rest + (g_0 - rest) exp(-t / tau), rest is one for all series

Every series has a g_0 and a nu or tau of its own. Noise is independent from value to value, and a fraction of the value
(ln y is fitted) or the same everywhere, whichever is likelier. With residuals e of N values and P parameters, noise is
sum(e^2) / (N - P), and standard errors follow from the Jacobian J by (J^T J)^-1 noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize_scalar

__all__ = []

Array = NDArray[np.float64]
DRIFT, FROM_T0, DECAY, STAYS = "drift", "drift from t_0", "decay", "stays"


@dataclass(frozen=True)
class TimeFit:
    """One law fitted to all series: parameters (series, 2) of which the second is nu or ln tau, the common one, and errors."""

    law: str
    relative: bool
    theta: Array
    errors: Array
    common: float
    common_error: float
    noise: float
    n: int
    count: int
    log_likelihood: float
    converged: bool
    residuals: tuple[Array, ...]

    @property
    def bic(self) -> float:
        """k log(n) - 2 log L, noise counted."""
        return (self.count + 1) * math.log(self.n) - 2.0 * self.log_likelihood


def curve(law: str, theta: Any, common: float, t: Array) -> Array:
    """Values of a law at times t."""
    if law == STAYS:
        return np.full(t.shape, float(theta[0]))
    if law in (DRIFT, FROM_T0):
        with np.errstate(over="ignore"):
            return np.asarray(theta[0] * np.exp(-theta[1] * np.log(np.maximum(t / common, 1.0))))
    with np.errstate(over="ignore"):
        return np.asarray(common + theta[0] * np.exp(-t * math.exp(-min(max(theta[1], -600.0), 600.0))))


def _residuals(law: str, relative: bool, theta: Any, common: float, t: Array, y: Array, scale: float) -> Array:
    g = curve(law, theta, common, t)
    if relative:
        return np.asarray(np.log(y) - np.log(np.maximum(g, 1e-200)))
    return np.asarray(y - g) / scale


def _start(law: str, relative: bool, common: float, t: Array, y: Array) -> Array:
    """Parameters of a series from which a search may start: the best of a few nu or tau, with g_0 linear."""
    if law == STAYS:
        return np.array([float(np.exp(np.log(y).mean())) if relative else float(y.mean()), 0.0])
    if law == DECAY:
        late = t[t > 0.0]
        rates: Any = np.geomspace(float(late.min()) / 3.0, 30.0 * float(late.max()), 40)
    else:
        rates = np.linspace(-1.0, 2.0, 61)
    shape = np.exp(-t / rates[:, None]) if law == DECAY else np.maximum(t / common, 1.0) ** -rates[:, None]
    above = y - (common if law == DECAY else 0.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if relative and law != DECAY:
            first = np.exp(np.mean(np.log(y) - np.log(np.maximum(shape, 1e-200)), axis=1))
        else:
            first = (shape @ above) / np.maximum((shape**2).sum(1), 1e-300)
        g = first[:, None] * shape + (common if law == DECAY else 0.0)
        left = np.log(y) - np.log(np.maximum(g, 1e-200)) if relative else y - g
        best = int(np.argmin(np.nan_to_num((left**2).sum(1), nan=np.inf)))
    rate = float(rates[best])
    return np.array([float(first[best]), math.log(rate) if law == DECAY else rate])


def _jacobian(law: str, relative: bool, theta: Any, common: float, t: Array, scale: float) -> Array:
    """Derivatives of the residuals by g_0 (the amplitude of a decay) and by nu or ln tau, columns."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if law == STAYS:
            by = np.ones((len(t), 1))
        elif law == DECAY:
            rate = math.exp(-min(max(float(theta[1]), -600.0), 600.0))
            left = np.exp(-t * rate)
            by = np.stack([left, theta[0] * left * t * rate], 1)
        else:
            log = np.log(np.maximum(t / common, 1.0))
            left = np.exp(-theta[1] * log)
            by = np.stack([left, -theta[0] * log * left], 1)
        size = np.maximum(curve(law, theta, common, t), 1e-200) if relative else np.full(len(t), scale)
        return np.nan_to_num(-by / size[:, None], nan=0.0, posinf=1e100, neginf=-1e100)


def _one(law: str, relative: bool, common: float, t: Array, y: Array, start: Array, scale: float) -> tuple[Array, float, bool]:
    """Least squares of one series, its common parameter given."""
    unit = max(abs(float(start[0])), 1e-3 * scale)
    free = 1 if law == STAYS else 2

    def whole(x: Array) -> Array:
        return np.array([x[0] * unit, x[1] if free == 2 else 0.0])

    def residuals(x: Array) -> Array:
        return np.nan_to_num(_residuals(law, relative, whole(x), common, t, y, scale), nan=1e100, posinf=1e100, neginf=-1e100)

    def slopes(x: Array) -> Array:
        return _jacobian(law, relative, whole(x), common, t, scale) * np.array([unit, 1.0])[:free]

    found = least_squares(residuals, np.array([start[0] / unit, start[1]])[:free], slopes, method="lm", max_nfev=200)
    theta = whole(found.x)
    return theta, float(2.0 * found.cost), bool(found.status > 0)


def _by_common(law: str, relative: bool, theta: Array, common: float, t: Array, scale: float) -> Array:
    """Derivative of the residuals by the common parameter: t_0 or the rest."""
    g = curve(law, theta, common, t)
    by = np.ones(len(t)) if law == DECAY else np.where(t > common, theta[1] * g / common, 0.0)
    return np.asarray(-by / (np.maximum(g, 1e-200) if relative else scale))


def fit_law(law: str, relative: bool, ts: Sequence[Array], ys: Sequence[Array], held: float | None) -> TimeFit:
    """Fit a law to all series; `held` is its common parameter where that is known."""
    scale = max(float(np.abs(np.concatenate(list(ys))).max()), 1e-300)
    kept: dict[int, Array] = {}

    def all_at(common: float) -> tuple[list[Array], float, bool]:
        thetas, loss, good = [], 0.0, True
        for k, (t, y) in enumerate(zip(ts, ys, strict=True)):
            starts = [_start(law, relative, common, t, y), *([kept[k]] if k in kept else [])]
            losses = [float((_residuals(law, relative, s, common, t, y, scale) ** 2).sum()) for s in starts]
            theta, one, done = _one(law, relative, common, t, y, starts[int(np.argmin(losses))], scale)
            kept[k] = theta
            thetas.append(theta)
            loss, good = loss + one, good and done
        return thetas, loss, good

    common = 1.0 if held is None else held
    if held is None and law in (FROM_T0, DECAY):
        common = _common(law, ts, ys, lambda c: all_at(c)[1])
    thetas, loss, good = all_at(common)
    free = 1 if law == STAYS else 2
    fitted = held is None and law in (FROM_T0, DECAY)
    n, count = sum(map(len, ts)), free * len(ts) + fitted
    noise = loss / max(n - count, 1)
    errors, common_error = _errors(law, relative, thetas, common, ts, scale, noise, fitted)
    spread = max(loss / n, 1e-300)
    jacobian = float(np.log(np.concatenate(list(ys))).sum()) if relative else n * math.log(scale)
    log_likelihood = -0.5 * n * (math.log(2.0 * math.pi * spread) + 1.0) - jacobian
    left = tuple(_residuals(law, relative, th, common, t, y, scale) for th, t, y in zip(thetas, ts, ys, strict=True))
    size = math.sqrt(noise) * (1.0 if relative else scale)
    return TimeFit(law, relative, np.array(thetas), errors, common, common_error, size, n, count, log_likelihood, good, left)


def _common(law: str, ts: Sequence[Array], ys: Sequence[Array], loss: Any) -> float:
    """The common parameter by a search over a grid and within it: t_0 by its logarithm, or the rest."""
    t, y = np.concatenate(list(ts)), np.concatenate(list(ys))
    if law == FROM_T0:
        late = t[t > 0.0]
        low = float(late.min()) * (1e-3 if (t <= 0.0).any() else 1.0)
        grid = np.linspace(math.log(low), math.log(float(late.max())), 20)

        def value(x: float) -> float:
            return float(loss(math.exp(x)))
    else:
        low, high = float(y.min()), float(y.max())
        span = (high - low) or abs(high) or 1.0
        grid = np.concatenate([np.linspace(low - 2.0 * span, low, 9), np.linspace(low, high + 2.0 * span, 13)[1:]])

        def value(x: float) -> float:
            return float(loss(x))

    found = [value(float(x)) for x in grid]
    k = int(np.argmin(found))
    left, right = float(grid[max(k - 1, 0)]), float(grid[min(k + 1, len(grid) - 1)])
    best = minimize_scalar(value, bounds=(left, right), method="bounded", options={"xatol": 1e-6 * (right - left)})
    x = float(best.x) if float(best.fun) <= found[k] else float(grid[k])
    return math.exp(x) if law == FROM_T0 else x


def _errors(
    law: str,
    relative: bool,
    thetas: Sequence[Array],
    common: float,
    ts: Sequence[Array],
    scale: float,
    noise: float,
    fitted: bool,
) -> tuple[Array, float]:
    """Standard errors of the parameters of each series, and of the common one, by its Schur complement."""
    free = 1 if law == STAYS else 2
    left, blocks = 0.0, []
    for theta, t in zip(thetas, ts, strict=True):
        j = _jacobian(law, relative, theta, common, t, scale)
        size = np.maximum(np.sqrt((j**2).sum(0)), 1e-300)
        inverse = np.linalg.pinv((j / size).T @ (j / size), rcond=1e-10, hermitian=True)
        told = np.linalg.eigvalsh((j / size).T @ (j / size))[0] > 1e-10
        c = _by_common(law, relative, theta, common, t, scale) if fitted else np.zeros(len(t))
        shift = inverse @ ((j / size).T @ c)
        left += float(c @ c - ((j / size).T @ c) @ shift)
        blocks.append((np.diag(inverse), shift, size, told))
    variance = 1.0 / left if fitted and left > 0.0 else 0.0 if not fitted else math.inf
    out = np.full((len(thetas), 2), math.inf)
    for k, (diagonal, shift, size, told) in enumerate(blocks):
        if told and math.isfinite(variance):
            out[k, :free] = np.sqrt(noise * (diagonal + shift**2 * variance)) / size
    return out, math.sqrt(noise * variance) if fitted and math.isfinite(variance) else math.inf if fitted else 0.0


def best_noise(law: str, ts: Sequence[Array], ys: Sequence[Array], held: float | None, form: str | None) -> TimeFit:
    """A law with that form of noise which is likelier, or asked for."""
    positive = all(bool((y > 0.0).all()) for y in ys)
    forms = [form == "relative"] if form else [False, True] if positive else [False]
    return min((fit_law(law, one, ts, ys, held) for one in forms), key=lambda fit: fit.bic)


def correlation(fit: TimeFit) -> tuple[float, bool]:
    """Correlation of residuals from value to value, and whether it is beyond chance."""
    pairs = sum(float(e[1:] @ e[:-1]) for e in fit.residuals)
    whole = sum(float(e @ e) for e in fit.residuals)
    r = pairs / whole if whole > 0.0 else 0.0
    return r, r > 3.0 / math.sqrt(fit.n) and r > 0.2
