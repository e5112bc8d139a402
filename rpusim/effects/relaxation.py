"""Diffusion and decay: states walk at random, and are forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim.effects.base import Cells, Draws, Effect, spread

__all__ = ["Relaxation"]


class Relaxation(Effect):
    """At the end of a mini-batch w <- w + diffusion xi, then w <- b + (w - b) (1 - 1 / lifetime), b the reset level.

    As AIHWKit's devices relax; `diffusion` and `lifetime` of a device with their spreads.
    """

    name = "relaxation"
    drawn = 0
    at_end_of_batch = 3

    @classmethod
    def draw(cls, device: Any, shape: tuple[int, int], rng: np.random.Generator) -> Draws:
        lifetime = device.lifetime * spread(device.lifetime_dtod, shape, rng)
        remembered = 1.0 - 1.0 / np.maximum(lifetime, 1.0)
        return {
            "decay_scale": remembered if device.lifetime > 0.0 else np.ones((1, 1)),
            "diffusion_rate": np.abs(device.diffusion * spread(device.diffusion_dtod, shape, rng)),
        }

    @classmethod
    def of(cls, device: Any, cells: Cells) -> Relaxation | None:
        return cls() if device.diffusion > 0.0 or device.lifetime > 0.0 else None

    def end_batch(self, cells: Cells) -> None:
        p = cells.parameters
        if cells.device.diffusion > 0.0:
            cells.write(cells.state + p["diffusion_rate"] * cells.normals("diffusion"))
        if cells.device.lifetime > 0.0:
            cells.write(p["reset_level"] + (cells.state - p["reset_level"]) * p["decay_scale"])
        cells.next_event()
