"""Whether ramps say anything of pulses: what a state that wanders by chance makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from rpusim.fitting.data import Data
from rpusim.fitting.likelihood import minus_log, trace_of

__all__ = []


def score_by_chance(parts: Sequence[Data], criterion: str) -> float:
    """AIC or BIC of states that every pulse moves by chance, up as much as down, with read noise.

    Two parameters for each device: what a pulse adds to the variance of the state, and the variance of a read.
    """
    count = 2 * len(parts)
    price = 2.0 if criterion == "aic" else math.log(sum(part.n for part in parts))
    return count * price + 2.0 * sum(_minus_log(part) for part in parts)


def _minus_log(part: Data) -> float:
    steps = np.diff(part.y, axis=0)
    size = float(np.nanmean(steps * steps)) + 1e-30 if np.isfinite(steps).any() else 1.0

    def cost(logs: np.ndarray) -> float:
        read, walk = np.exp(np.clip(logs, -40.0, 40.0)) * size
        noises = np.array([[0.0, walk, walk, read, 0.0, 0.0]])
        return float(minus_log(trace_of(part, "affine", np.zeros((1, 2, 2)), noises, np.array([[-np.inf, np.inf]])))[0])

    starts = [(-0.7, -6.0), (-6.0, 0.0), (-1.5, -1.5)]  # noise of reads, of the state, and both
    return min(float(minimize(cost, start, method="Nelder-Mead").fun) for start in starts)
