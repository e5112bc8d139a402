"""Half-select disturb: pulses on a line move its other devices, too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rpusim._base.citing import cite
from rpusim._base.state import Entry, buffer
from rpusim.effects.base import Devices, Draws, Effect, spread

__all__ = ["HalfSelect"]


class HalfSelect(Effect):
    """At the end of a mini-batch, with c and r how often column and row have fired and n the whole pulses of the device::

        w <- w + half_select ((c + r - 2 n_up) q_up(w) - (c + r - 2 n_down) q_down(w))

    in parts of at most one whole step, each clipped to the bounds; see `PulsedDevice`.
    """

    name = "disturb"
    drawn = 3
    at_end_of_batch = 1
    counts_pulses = True

    def __init__(self, shape: tuple[int, int]) -> None:
        cite("choi2026")
        self.fired = np.zeros(shape[1] + shape[0], dtype=np.int64)  # since the last end of a mini-batch
        self.before = np.zeros((2, *shape), dtype=np.int64)  # what pulse counts are without the updates since

    @classmethod
    def draw(cls, device: Any, shape: tuple[int, int], rng: np.random.Generator) -> Draws:
        if device.half_select == 0.0:
            return {}
        return {"half_select": np.abs(device.half_select * spread(device.half_select_dtod, shape, rng))}

    @classmethod
    def of(cls, device: Any, devices: Devices) -> HalfSelect | None:
        return cls(devices.shape) if device.half_select > 0.0 else None

    def end_batch(self, devices: Devices) -> None:
        assert self.fired is not None
        if not self.fired.any():
            return
        lines = self.fired[: devices.shape[1]] + self.fired[devices.shape[1] :, None]
        p = {name: value.astype(np.float64) for name, value in devices.parameters.items()}
        up, down = p["half_select"] * (lines - 2 * (devices.pulses - self.before))
        low, high = devices.device.bounds_of(p)
        parts = max(1, math.ceil(max(up.max(), down.max())))
        w = devices.state.astype(np.float64)
        for _ in range(parts):
            step_up, step_down = devices.device.steps_of(p, w)
            w = np.clip(w + (up * step_up - down * step_down) / parts, low, high)
        devices.write(w)
        self.fired[...] = 0
        self.before[...] = devices.pulses

    @contextmanager
    def addressed(self, devices: Devices) -> Iterator[None]:
        of_updates = devices.pulses - self.before
        try:
            yield
        finally:
            np.subtract(devices.pulses, of_updates, out=self.before)

    def _entries(self) -> dict[str, Entry]:
        assert self.fired is not None
        return {"fired": buffer(self.fired, low=0), "before": buffer(self.before, low=0)}
