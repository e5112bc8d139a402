"""Where a fit begins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from rpusim.fitting.data import Data
from rpusim.fitting.likelihood import Problem
from rpusim.fitting.models import NOISES, Transform, build_device
from rpusim.fitting.ramps import Array

__all__ = []


@dataclass(frozen=True)
class Summary:
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


def summarise(data: Data) -> Summary:
    w, step, up, weight = [], [], [], []
    stops: dict[float, list[tuple[float, float, float]]] = {1.0: [], -1.0: []}
    flat: dict[float, list[float]] = {1.0: [], -1.0: []}
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
        if len(y) >= 8 and sign * (y[-1] - y[-4]) < 0.35 * (t[-1] - t[-4]) * float(np.median(own)):
            flat[float(sign)].append(float(y[-3:].mean()))
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
            elif flat[sign]:  # or single ones, in their last steps
                stop[sign] = float(np.median(flat[sign]))
    return Summary(
        np.array(w),
        np.array(step),
        np.array(up),
        np.array(weight) / max(weight),
        math.sqrt(r2),
        min(math.sqrt(write) / size, 20.0),
        stop[1.0],
        stop[-1.0],
    )


def first_guess(problem: Problem, summary: Summary) -> list[dict[str, float]]:
    """Least-squares fits of the mean step to the blocks, from each start of the model, best first."""
    curve = [name for name in problem.free if name not in NOISES]
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

        def at(theta: Array, values: dict[str, Any] = values, transforms: list[Transform] = transforms) -> dict[str, Any]:
            return {**values, **{n: f.forward(float(t)) for n, f, t in zip(curve, transforms, theta, strict=True)}}

        def misfit(theta: Array, at: Callable[[Array], dict[str, Any]] = at) -> Array:
            try:
                device = build_device(problem.template, at(theta))
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
