"""What the algorithms share that form the gradient digitally and write it to one array, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.random import RNG
from rpusim._base.specification import parameter
from rpusim._base.state import Entry, part, value
from rpusim._base.validation import integer, optional, real, shown, signal
from rpusim._core.lock import Lock
from rpusim.algorithms._digital import DigitalLoop
from rpusim.algorithms.base import Algorithm, ArrayTile, Resources, is_periphery, is_scheme
from rpusim.arrays.cell import CellArray
from rpusim.arrays.crossbar import CrossbarArray, check_shape, update_vectors
from rpusim.devices import PulsedDevice, SoftBounds
from rpusim.devices.cells import OneSidedCell, is_written
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = []

_lr = real()
is_count = integer(1, 2**31 - 1)


@dataclass(frozen=True, repr=False)
class DigitalAlgorithm(Algorithm):
    """Base of the family: the array, its reads and writes, and how often chi is written."""

    device: PulsedDevice | OneSidedCell = parameter(SoftBounds, is_written)
    transfer_every: int = parameter(1, is_count)
    n_rows_per_transfer: int | None = parameter(None, optional(is_count))
    forward: Periphery | None = parameter(None, is_periphery)
    backward: Periphery | None = parameter(None, is_periphery)
    pulses: PulseScheme = parameter(PulseScheme, is_scheme)

    def _check_consistency(self) -> None:
        if not (self.pulses.update_management and self.pulses.update_bl_management):
            raise ValueError(
                f"{type(self).__name__}: pulses must have update_management and update_bl_management, so that trains are as "
                f"long as the largest number of pulses; got {shown(self.pulses)}"
            )

    def build(self, shape: tuple[int, int], rng: RNG = None) -> DigitalTile:
        return DigitalTile(self, shape, rng)

    def _settings(self) -> dict[str, Any]:
        """Keyword arguments of `DigitalLoop` beside those that all have."""
        raise NotImplementedError


class DigitalTile(ArrayTile):
    """The tile of `MixedPrecision`, `EaPU` and `Manhattan`.

    Attributes
    ----------
    array : CrossbarArray, or CellArray of a `OneSidedCell`
    """

    def __init__(self, algorithm: DigitalAlgorithm, shape: tuple[int, int], rng: RNG = None) -> None:
        seeds = _random.seed_sequence(rng)
        options: dict[str, Any] = {
            "forward": algorithm.forward, "backward": algorithm.backward, "pulses": algorithm.pulses,
            "rng": _random.child(seeds, 0),
        }  # fmt: skip
        device = algorithm.device
        array: CellArray | CrossbarArray
        if isinstance(device, OneSidedCell):
            array = CellArray(shape, device, **options)
        else:
            array = CrossbarArray(shape, device, **options)
        super().__init__(algorithm, array)
        rows = check_shape(shape)[0]
        if algorithm.n_rows_per_transfer is not None and algorithm.n_rows_per_transfer > rows:
            raise ValueError(
                f"n_rows_per_transfer must be at most the number of outputs, {rows}; got {algorithm.n_rows_per_transfer}"
            )
        self._rule = algorithm
        self._lock = Lock()  # as in `TransferTile`
        self._build_loop(_random.key(_random.child(seeds, 1)))

    def _build_loop(self, key: int) -> None:
        rule = self._rule
        self._key, self._chi = key, np.zeros(self.shape, np.float32)
        settings = {"granularity": rule.device.granularity, "most": float(rule.pulses.desired_bl)} | rule._settings()
        *minus, target = (array._core for array in self.weight_arrays)
        self._loop = DigitalLoop(
            target,
            self._chi,
            key,
            every=rule.transfer_every,
            rows_per_transfer=rule.n_rows_per_transfer or self.shape[0],
            minus=minus[0] if minus else None,
            **({"rate": settings["granularity"]} | settings),
        )

    @property
    def chi(self) -> NDArray[np.float32]:
        """The digital gradient that is not written yet: lr d x^T, summed (outputs, inputs), in weight units."""
        return self._chi.copy()

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        lr = _lr("lr", lr)
        x, d = update_vectors(x, d, self.shape)
        for array in self.weight_arrays:
            array._check_rate(lr)
        with self._lock:
            if self._refresh_every() == 0:
                self._loop.run(x, d, lr)
                return
            x, d, start = x.reshape(-1, self.shape[1]), d.reshape(-1, self.shape[0]), 0
            while start < len(x):
                end = start + self._until_refresh()
                self._loop.run(x[start:end], d[start:end], lr)
                if end <= len(x):
                    self.array._refresh(self._rule.device)
                start = end

    def _refresh_every(self) -> int:
        """Transfers from one refresh of a pair to the next; 0: never."""
        device = self._rule.device
        return device.refresh_every if isinstance(device, OneSidedCell) else 0

    def _until_refresh(self) -> int:
        """Vectors that are left to the one after which the next refresh is due."""
        late = int(self._rule._settings().get("late", False))
        period = self._refresh_every() * self._rule.transfer_every
        return period - max(0, self._loop.vectors - late) % period + late * (self._loop.vectors == 0)

    def resources(self) -> Resources:
        rule, size = self._rule, float(self.shape[0] * self.shape[1])
        rows = rule.n_rows_per_transfer or self.shape[0]
        # a gradient that is spent as soon as it is formed needs no memory
        kept = 0 if rule._settings()["rule"] != "truncate" and rule.transfer_every == 1 and rows == self.shape[0] else size
        return Resources(arrays=len(self.weight_arrays), digital=int(kept), updates=rows / rule.transfer_every, products=size)

    def _guard(self) -> Lock:
        return self._lock

    def _entries(self) -> dict[str, Entry]:
        def put(chi: NDArray[np.float32]) -> None:
            self._chi[...] = chi

        return {
            "array": part(self.array),
            "key": value(lambda: self._key, self._build_loop, integer(0, 2**64 - 1)),
            "chi": Entry(lambda: self.chi, lambda name, chi: signal(name, chi, self.shape), put),
            "vectors": value(lambda: self._loop.vectors, lambda new: self._loop.set_vectors(new), integer(0, 2**63 - 1)),
        }
