"""The devices of an array as effects see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rpusim._core.kernels import KINDS, normals, uniforms

if TYPE_CHECKING:
    from rpusim.arrays.crossbar import CrossbarArray

__all__ = ["ArrayCells"]


class ArrayCells:
    """See `rpusim.effects.Cells`. Made anew for every call: effects do not hold the array that holds them."""

    def __init__(self, array: CrossbarArray) -> None:
        self._array = array
        self.device: Any = array.device
        self.shape = array.shape
        self.state = array._state
        self.parameters = array._parameters

    @property
    def pulses(self) -> NDArray[np.int64]:
        assert self._array._device_pulses is not None
        return self._array._device_pulses

    @property
    def own_pulses(self) -> NDArray[np.int64]:
        return np.stack(self._array.device_pulse_count)

    def write(self, state: NDArray[Any]) -> None:
        self._array._write(state)

    def normals(self, kind: str) -> NDArray[np.float32]:
        core, events = self._array._core, self._array._events
        return normals(core.key, self.state.size, operation=events, kind=KINDS[kind]).reshape(self.shape)

    def uniforms(self, kind: str) -> NDArray[np.float32]:
        core, events = self._array._core, self._array._events
        return uniforms(core.key, self.state.size, operation=events, kind=KINDS[kind]).reshape(self.shape)

    def renew(self) -> None:
        self._array._share_parameters()

    def next_event(self) -> None:
        self._array._events += 1
