"""The least-squares problem of the theory papers, learnt by a tile from noisy gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.random import RNG
from rpusim.algorithms import Algorithm
from rpusim.devices import SoftBounds

__all__ = ["descend", "noise_free", "problem"]

#: no spreads and no cycle-to-cycle noise, as theory has it
NOISE_FREE: dict[str, Any] = {
    "dw_min_dtod": 0.0,
    "dw_min_std": 0.0,
    "up_down_dtod": 0.0,
    "w_max_dtod": 0.0,
    "w_min_dtod": 0.0,
}


def noise_free(dw_min: float, tau: float, up_down: float = 0.0) -> SoftBounds:
    """Return soft bounds of +-tau without noise: q = (1 +- up_down) (1 -+ w / tau), symmetry point up_down tau."""
    return SoftBounds(dw_min=dw_min, w_max=tau, w_min=-tau, up_down=up_down, **NOISE_FREE)


def problem(rng: RNG, samples: int, size: int, spread: float, target: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Hessian A^T A / samples, with A_ij from N(0, spread^2), and w* from N(0, target^2)."""
    draws = _random.generator(_random.child(_random.seed_sequence(rng), 100))
    a = spread * draws.standard_normal((samples, size))
    return a.T @ a / samples, target * draws.standard_normal(size)


def descend(
    rule: Algorithm,
    hessian: NDArray[np.float64],
    target: NDArray[np.float64],
    rng: RNG,
    *,
    lr: float,
    steps: int,
    noise: float,
    start: ArrayLike = 0.0,
    record_every: int = 100,
) -> NDArray[np.float64]:
    """Train a 1 x n tile on f(w) = (w - w*)^T H (w - w*) / (2 n) and return f, recorded from the start on.

    Each step updates with x = H (w - w*) + N(0, noise^2) and d = 1, so that the noise and the gradient pass through pulses.
    """
    seeds = _random.seed_sequence(rng)
    tile = rule.build((1, len(target)), _random.child(seeds, 0))
    tile.program(np.broadcast_to(np.asarray(start, dtype=np.float64), (1, len(target))))
    draws = _random.generator(_random.child(seeds, 1))
    one, losses = np.ones(1, np.float32), []
    for step in range(steps + 1):
        error = tile.weights[0].astype(np.float64) - target
        gradient = hessian @ error
        if step % record_every == 0:
            losses.append(0.5 * float(error @ gradient) / len(target))
        gradient += noise * draws.standard_normal(len(target))
        tile.update(gradient.astype(np.float32), one, lr)
    return np.array(losses)
