"""The devices of an array as effects see them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import signal
from rpusim._core.kernels import KINDS, normals, uniforms

__all__ = ["ArrayDevices"]


def _stream(kind: str) -> dict[str, int]:
    """Return where the draws of an effect are: in a kind of their own where there is one, else on the line of their name."""
    return {"kind": KINDS[kind]} if kind in KINDS else {"kind": KINDS["effect"], "line": zlib.crc32(kind.encode())}


class ArrayDevices:
    """See `rpusim.effects.Devices`; of a `CrossbarArray`. Made for every call: effects do not hold the array that has them."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.device: Any = array.device
        self.shape: tuple[int, int] = array.shape
        self.state: NDArray[np.float32] = array._state
        self.parameters: dict[str, NDArray[np.float32]] = array._parameters

    @property
    def pulses(self) -> NDArray[np.int64]:
        assert self._array._device_pulses is not None
        return self._array._device_pulses

    @property
    def own_pulses(self) -> NDArray[np.int64]:
        return np.stack(self._array.device_pulse_count)

    def write(self, state: NDArray[Any]) -> None:
        new = signal("weights", state, self.shape)  # finite: what a law has made of them is not clipped in silence
        self._array._core.devices.write(new, self._array._events)
        self._array._was_written()

    def reset(self, chosen: NDArray[np.bool_]) -> None:
        self._array._core.devices.reset(np.ascontiguousarray(chosen).view(np.uint8), self._array._events)
        self._array._was_written()

    def normals(self, kind: str) -> NDArray[np.float32]:
        devices, events = self._array._core.devices, self._array._events
        return normals(devices.key, self.state.size, operation=events, **_stream(kind)).reshape(self.shape)

    def uniforms(self, kind: str) -> NDArray[np.float32]:
        devices, events = self._array._core.devices, self._array._events
        return uniforms(devices.key, self.state.size, operation=events, **_stream(kind)).reshape(self.shape)

    def renew(self) -> None:
        self._array._share_parameters()

    def next_event(self) -> None:
        self._array._events += 1
