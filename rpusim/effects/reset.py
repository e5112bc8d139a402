"""Reset: devices are brought to a level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.effects.base import Devices, Draws, Effect, spread

__all__ = ["Reset"]


class Reset(Effect):
    """w <- reset_level + reset_std xi, clipped, for devices that are chosen; reset_level = reset + reset_dtod xi_device."""

    name = "reset"
    drawn = 1

    @classmethod
    def draw(cls, device: Any, shape: tuple[int, int], rng: np.random.Generator) -> Draws:
        return {"reset_level": device.reset + spread(device.reset_dtod, shape, rng) - 1.0}

    @classmethod
    def of(cls, device: Any, devices: Devices) -> Reset:
        return cls()

    def reset(self, devices: Devices, chosen: NDArray[np.bool_], probability: float) -> None:
        """Reset those of `chosen` that chance takes, each with this probability."""
        if probability < 1.0:
            chosen = chosen & (devices.uniforms("reset_choice") <= probability)
        devices.reset(chosen)
        devices.next_event()
