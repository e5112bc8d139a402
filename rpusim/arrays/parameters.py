"""The drawn parameters of devices and of converters, by name."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import plain_array, shown, signal
from rpusim.arrays.ageing import ArrayDevices

if TYPE_CHECKING:
    from rpusim.arrays.crossbar import CrossbarArray

__all__ = []


class _Parameters(MutableMapping[str, NDArray[np.float32]]):
    """Drawn arrays by name; reading gives copies."""

    _values: dict[str, NDArray[np.float32]]
    _whose: str

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        copy = np.array(np.broadcast_to(self._values[self._known(name)], self._shape(name)))
        copy.flags.writeable = False  # so that `parameters[name][...] = value` says that it would do nothing
        return copy

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._values[name].shape

    def __delitem__(self, name: str) -> None:
        raise TypeError("parameters can be changed, not deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self)})"

    def _known(self, name: str) -> str:
        if name not in self._values:
            raise KeyError(f"no parameter {name!r}; {self._whose} has {', '.join(self._values) or 'none'}")
        return name


class Parameters(_Parameters):
    """The drawn parameters of an array's devices, by name; reading gives copies, assigning changes the devices.

    An assigned value is a number or an array of the array's shape. Weights outside changed bounds are clipped to them.
    """

    def __init__(self, array: CrossbarArray) -> None:
        self._array = array
        self._values = array._parameters
        self._whose = type(array.device).__name__

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._array.shape

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        self._known(name)
        value = plain_array(f"parameters[{name!r}]", value, "real numbers")
        stored = np.full((1, 1), value) if np.ndim(value) == 0 else value
        stored = signal(f"parameters[{name!r}]", stored, np.shape(stored) if np.ndim(value) == 0 else self._array.shape)
        if np.shares_memory(stored, value):
            stored = stored.copy()
        if name == "half_select" and np.any(stored < 0.0):
            raise ValueError(f"parameters['half_select'] must be at least 0; got {stored.min()}")
        array = self._array
        with array._core.lock:
            bounds = {side: stored if side == name else array._parameters[side] for side in ("w_min", "w_max")}
            if name in bounds and np.any(bounds["w_min"] > bounds["w_max"]):
                raise ValueError(f"parameters[{name!r}] must leave w_min <= w_max for every device; got {shown(value)}")
            array._parameters[name] = stored
            for effect in array.effects:
                effect.assigned(name, stored)
            array._share_parameters()
            if name in ("w_max", "w_min", "reference"):
                ArrayDevices(array).write(array._state)


class ReadParameters(_Parameters):
    """What was drawn for the reads of one direction, by name; reading gives copies, assigning changes the converters.

    An assigned value is a number, or an array of the shape of the old one. See `Periphery.draw_parameters`.
    """

    def __init__(self, array: CrossbarArray, direction: int) -> None:
        self._array, self._direction = array, direction
        self._values = array._read_parameters[direction]
        self._whose = ("forward", "backward")[direction]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        old = self._values[self._known(name)]
        value = plain_array(f"parameters[{name!r}]", value, "real numbers")
        stored = signal(f"parameters[{name!r}]", np.broadcast_to(value, old.shape) if np.ndim(value) == 0 else value, old.shape)
        if name in ("adc_noise", "nonlinearity", "voltage_offset") and np.any(stored < 0.0):
            raise ValueError(f"parameters[{name!r}] must be at least 0; got {stored.min()}")
        with self._array._core.lock:
            self._values[name] = stored.copy()
            self._array._set_direction(self._direction)
