"""Diffusion and decay: states walk at random, and are forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim.effects.base import Devices, Draws, Effect, spread

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
    def of(cls, device: Any, devices: Devices) -> Relaxation | None:
        return cls() if device.diffusion > 0.0 or device.lifetime > 0.0 else None

    def end_batch(self, devices: Devices) -> None:
        p = devices.parameters
        if devices.device.diffusion > 0.0:
            devices.write(devices.state + p["diffusion_rate"] * devices.normals("diffusion"))
        if devices.device.lifetime > 0.0:
            devices.write(p["reset_level"] + (devices.state - p["reset_level"]) * p["decay_scale"])
        devices.next_event()
