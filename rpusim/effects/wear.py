"""Wear: the range of a device closes with its pulses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.state import Entry, tables
from rpusim.effects.base import Devices, Effect

__all__ = ["Wear"]


class Wear(Effect):
    """Bounds are m +- (w_max - w_min) / 2 exp(-n / endurance): m the middle of the first ones, n the pulses so far."""

    name = "new_bounds"
    at_end_of_batch = 2
    counts_pulses = True

    def __init__(self, bounds: dict[str, NDArray[np.float32]], shape: tuple[int, int]) -> None:
        self._shape = shape
        #: as they were when new; copies, since views would keep all parameters that they are of
        self._new = {name: bounds[name].copy() for name in ("w_max", "w_min")}

    @classmethod
    def of(cls, device: Any, devices: Devices) -> Wear | None:
        return cls(devices.parameters, devices.shape) if device.endurance > 0.0 else None

    def assigned(self, name: str, value: NDArray[np.float32]) -> None:
        if name in self._new:
            self._new[name] = value

    def end_batch(self, devices: Devices) -> None:
        high, low = (self._new[name].astype(np.float64) for name in ("w_max", "w_min"))
        remaining = np.exp(-devices.own_pulses.sum(axis=0) / devices.device.endurance)
        middle, half = (high + low) / 2, (high - low) / 2 * remaining
        for name, bound in (("w_max", middle + half), ("w_min", middle - half)):
            devices.parameters[name] = bound.astype(np.float32)
        devices.renew()
        inside = np.clip(devices.state, *devices.device.bounds_of(devices.parameters))
        if np.any(inside != devices.state):
            devices.write(inside)

    def _entries(self) -> dict[str, Entry]:
        return {"bounds": tables(self._new, self._shape)}

    def entry(self) -> Entry:
        return self._entries()["bounds"]
