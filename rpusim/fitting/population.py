"""The fit of many devices and of their spreads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from rpusim.fitting.one import Optimum
from rpusim.fitting.ramps import Array

__all__ = []


def random_effects(x: Array, error: Array) -> tuple[float, float, float, float]:
    """Mean and spread of the population of which x +- error are estimates, and their standard errors.

    Restricted maximum likelihood: of the x about their weighted mean, weights 1 / (spread^2 + error^2).
    """
    good = np.isfinite(error) & np.isfinite(x)
    x, error = x[good], error[good]
    error = np.maximum(error, 1e-12 * float(np.abs(x).max(initial=0.0)) + 1e-60)  # of values without noise
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


def fit_population(fits: Sequence[Optimum]) -> tuple[dict[str, Any], dict[str, float], dict[str, float], list[str]]:
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
        mean, error, spread, spread_error = random_effects(x, e)
        values[name], errors[name] = mean, error
        if f"{name}_dtod" in fields:
            relative = 1.0 if name in ("up_down", "gamma_up", "gamma_down", "pow_up_down") else abs(mean)
            spreads[f"{name}_dtod"] = spread / relative
            errors[f"{name}_dtod"] = spread_error / relative
    if any(name not in shared for f in fits for name in f.problem.free):
        notes.append("parameters that only some devices tell are taken as the mean of what was held and found")
    return values, errors, spreads, notes
