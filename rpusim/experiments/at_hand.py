"""The devices that an array drew, as theory wants a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim.algorithms.base import ArrayTile, Tile
from rpusim.algorithms.shd import SHDTile
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.devices import PulsedDevice

__all__ = ["AtHand", "Drawn", "device_at_hand", "drawn_by"]

#: drawn parameters of a row of devices, by name
Drawn = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class AtHand:
    """One drawn device: the steps and bounds that it has itself, in units of the granularity that scales its pulses."""

    device: PulsedDevice
    parameters: Mapping[str, np.float64]

    @property
    def granularity(self) -> float:
        """That of the mean device, by which arrays scale pulses."""
        return self.device.granularity

    @property
    def w_min(self) -> float:
        """Its own lowest weight."""
        return float(self.device.bounds_of(dict(self.parameters))[0])

    @property
    def w_max(self) -> float:
        """Its own highest weight."""
        return float(self.device.bounds_of(dict(self.parameters))[1])

    @property
    def symmetry_point(self) -> float:
        """Its own symmetry point, nan where there is none."""
        return float(self.device.symmetry_point_of(dict(self.parameters)))

    def step_up(self, w: ArrayLike) -> NDArray[np.float64]:
        """Mean change by one up pulse at state `w`."""
        return self.device.steps_of(dict(self.parameters), np.asarray(w, np.float64))[0]

    def step_down(self, w: ArrayLike) -> NDArray[np.float64]:
        """Mean size of the change by one down pulse at state `w`."""
        return self.device.steps_of(dict(self.parameters), np.asarray(w, np.float64))[1]


def drawn_by(tile: Tile) -> tuple[Drawn, ...]:
    """What the one row of arrays drew: of the array of SGD, of A and C of SHD; none of other tiles, and of ideal devices."""
    if isinstance(tile, SHDTile):
        arrays = [tile.fast.main, tile.slow.main]
    elif isinstance(tile, ArrayTile) and isinstance(tile.array, CrossbarArray):
        arrays = [tile.array]
    else:
        arrays = []
    return tuple({name: value[0].astype(np.float64) for name, value in array.parameters.items()} for array in arrays)


def device_at_hand(device: PulsedDevice, drawn: Drawn | None, k: int) -> PulsedDevice | AtHand | None:
    """Return device `k` of the row; `device` itself where it drew the mean one, None where it drew one that is stuck."""
    if drawn is None:
        return device
    mean = device.mean_parameters()
    own = {name: drawn[name][k] for name in mean}
    if all(np.float32(mean[name]) == own[name] for name in mean):
        return device
    low, high = device.bounds_of(own)
    return AtHand(device, own) if low < high else None
