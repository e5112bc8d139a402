"""Arrays whose cross-points are unit cells of several devices."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.citing import note
from rpusim._base.random import RNG
from rpusim._base.state import Entry, Stateful, attribute, parts
from rpusim._base.validation import instance, integer, real, shown, signal
from rpusim._core.kernels import KINDS, uniforms
from rpusim._core.lock import Lock, Look
from rpusim.arrays.counts import PulseCount, ReadCount, Written
from rpusim.arrays.crossbar import CrossbarArray, update_vectors
from rpusim.devices.cells import OneSidedCell, ReferenceCell, UnitCell, VectorCell
from rpusim.effects.drift import Drifting
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = ["CellArray"]

_real = real()


class CellArray(Stateful):
    """An array of unit cells: one crossbar array per device of the cell, read together through one periphery.

    Reads, updates and saving are as in `CrossbarArray`; the weight is the cell's combination of its devices.

    Parameters
    ----------
    shape : (int, int)
        (outputs, inputs).
    cell : UnitCell
        What one cross-point is.
    forward, backward, pulses, rng
        As in `CrossbarArray`.

    Attributes
    ----------
    arrays : tuple of CrossbarArray
        One per device; their `weights` are the states of the single devices.
    gammas : tuple of float
        W = sum_k gammas[k] arrays[k].weights.

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.CellArray((2, 3), rpu.devices.VectorCell(gammas=(1.0, 0.5)), rng=0)
    >>> array.update([1.0, 1.0, 1.0], [1.0, -1.0], lr=0.01)
    >>> array.weights.shape, len(array.arrays)
    ((2, 3), 2)
    """

    def __init__(
        self,
        shape: tuple[int, int],
        cell: UnitCell,
        *,
        forward: Periphery | None = None,
        backward: Periphery | None = None,
        pulses: PulseScheme | None = None,
        rng: RNG = None,
    ) -> None:
        self._lock = Lock()  # taken before those of the arrays: an update and a checkpoint see all of them
        self.device = instance(UnitCell, "a unit cell of rpusim.devices")("cell", cell)
        note(cell)
        seeds = _random.seed_sequence(rng)
        if isinstance(cell, VectorCell):
            devices = cell.devices
            self.gammas = cell.gammas or (1.0 / len(devices),) * len(devices)
        elif isinstance(cell, ReferenceCell):
            devices = (cell.device, cell.reference or cell.device)
            self.gammas = (1.0, -1.0)
        elif isinstance(cell, OneSidedCell):
            devices = (cell.device, cell.device)
            self.gammas = (-1.0, 1.0)
        else:
            raise TypeError(f"cell must be a VectorCell, OneSidedCell or ReferenceCell; got {shown(cell)}")
        self.arrays = tuple(
            CrossbarArray(shape, device, forward=forward, backward=backward, pulses=pulses, rng=_random.child(seeds, k))
            for k, device in enumerate(devices)
        )
        self.shape = self.arrays[0].shape
        self._choices = _random.key(_random.child(seeds, len(devices)))
        self._vectors = 0
        first, *others = (array._core.devices for array in self.arrays)
        self.arrays[0]._core.reader.set_parts(self.gammas[0], others, list(self.gammas[1:]))
        if isinstance(cell, OneSidedCell) or (isinstance(cell, VectorCell) and cell.policy == "all"):
            for other in others:
                other.train_key = first.train_key
        if isinstance(cell, VectorCell) and cell.mean_granularity:
            mean = fmean(device.granularity for device in devices)  # `sum` rounds otherwise from Python 3.12 on
            for array in self.arrays:
                array._core.devices.granularity = mean
        if isinstance(cell, OneSidedCell):
            for array in self.arrays:  # what is not a pulse of this device must not move it
                array._takes_down = False
                for name in {"step_down", "slope_down"} & set(array.parameters):
                    array.parameters[name] = 0.0
            self.program(np.zeros(self.shape))

    def __repr__(self) -> str:
        return f"CellArray({self.shape}, {self.device!r})"

    @property
    def weights(self) -> NDArray[np.float32]:
        """The combined weight, float32 (outputs, inputs)."""
        total = np.zeros(self.shape, dtype=np.float32)
        for gamma, array in zip(self.gammas, self.arrays, strict=True):
            total += np.float32(gamma) * array.weights
        return total

    def program(self, weights: ArrayLike) -> Written:
        """Write `weights` at once, clipped to the bounds of the devices.

        `VectorCell`: to every device (with the policy "fixed" to that one), scaled so that W becomes `weights`, where the
        devices that are written have a sum of gammas other than 0. `ReferenceCell`: to the first device, above the
        reference. `OneSidedCell`: positive weights to g_plus, negative ones to g_minus. Returned is what was
        clipped.
        """
        w = signal("weights", weights, self.shape)
        cell = self.device
        if isinstance(cell, OneSidedCell):
            minus, plus = self.arrays
            return Written.of([minus.program(np.maximum(-w, 0.0)), plus.program(np.maximum(w, 0.0))])
        if isinstance(cell, ReferenceCell):
            return self.arrays[0].program(w + self.arrays[1]._weights)
        chosen = [cell.first] if cell.policy == "fixed" else range(len(self.arrays))
        others = [k for k in range(len(self.arrays)) if k not in chosen]
        rest = w - sum((np.float32(self.gammas[k]) * self.arrays[k]._weights for k in others), np.float32(0.0))
        total = sum(self.gammas[k] for k in chosen)
        return Written.of(self.arrays[k].program(rest / total if total != 0.0 else rest) for k in chosen)

    def program_reference(self, weights: ArrayLike) -> None:
        """Write the reference device of a `ReferenceCell`."""
        if not isinstance(self.device, ReferenceCell):
            raise ValueError(f"program_reference needs a ReferenceCell; got {shown(self.device)}")
        self.arrays[1].program(weights)

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read y = W x; see `CrossbarArray.forward`."""
        return self.arrays[0].forward(x, out)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read z = W^T d; see `CrossbarArray.backward`."""
        return self.arrays[0].backward(d, out)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Change the devices by pulses, as the cell has it; see `CrossbarArray.update`."""
        lr = _real("lr", lr)
        x, d = update_vectors(x, d, self.shape)
        x, d = x.reshape(-1, self.shape[1]), d.reshape(-1, self.shape[0])
        for array in self.arrays:
            array._check_rate(lr)
        cell = self.device
        with self._lock:
            if isinstance(cell, OneSidedCell):
                self._update_one_sided(cell, x, d, lr)
            elif isinstance(cell, ReferenceCell):
                self.arrays[0].update(x, d, lr)
            else:
                chosen = self._chosen(cell, len(x))
                for k, array in enumerate(self.arrays):
                    if chosen is None:
                        array.update(x, d, lr)
                    elif np.any(chosen == k):
                        array.update(x[chosen == k], d[chosen == k], lr)
            self._vectors += len(x)

    def _chosen(self, cell: Any, vectors: int) -> NDArray[np.int64] | None:
        """Which device each of the next vectors updates; None: all."""
        n = len(self.arrays)
        if cell.policy == "all":
            return None
        if cell.policy == "fixed":
            return np.full(vectors, cell.first)
        number = self._vectors + np.arange(vectors)
        if cell.policy == "sequential":
            return (cell.first + number) % n
        draws = [uniforms(self._choices, 1, operation=int(v), kind=KINDS["reset_choice"])[0] for v in number]
        return np.minimum((np.array(draws) * n).astype(np.int64), n - 1)

    def _update_one_sided(self, cell: OneSidedCell, x: NDArray[np.float32], d: NDArray[np.float32], lr: float) -> None:
        minus, plus = self.arrays
        start = 0
        while start < len(x):
            end = len(x)
            if cell.refresh_every:
                end = min(end, start + cell.refresh_every - (self._vectors + start) % cell.refresh_every)
            # the same trains on both, in opposite directions; down pulses are none
            minus.update(x[start:end], d[start:end], -lr)
            plus.update(x[start:end], d[start:end], lr)
            if cell.refresh_every and (self._vectors + end) % cell.refresh_every == 0:
                self._refresh(cell)
            start = end

    def _refresh(self, cell: OneSidedCell) -> None:
        minus, plus = self.arrays
        columns = np.eye(self.shape[1], dtype=np.float32)
        q, p = (self._read_columns(array, cell) for array in (minus, plus))
        larger, smaller = np.maximum(p, q), np.minimum(p, q)
        limit = cell.device.w_max
        chosen = (larger > cell.refresh_upper * limit) & (smaller > cell.refresh_lower * limit)
        if not chosen.any():
            return
        difference = np.where(chosen, p - q, 0.0).astype(np.float32)
        for array, amount in ((minus, np.maximum(-difference, 0.0)), (plus, np.maximum(difference, 0.0))):
            array._reset_where(chosen)
            # both, if only with zeros: their numbers of updates must stay equal, since they share their trains
            with array._core.lock:
                array._core.updater.set_scheme(**cell.refresh_pulses.core_arguments())
                try:
                    array.update(columns, np.ascontiguousarray(-amount.T), 1.0)
                finally:
                    array._core.updater.set_scheme(**array.pulses.core_arguments())

    def _read_columns(self, array: CrossbarArray, cell: OneSidedCell) -> NDArray[np.float32]:
        """The states of one device per cell as the refresh reads them."""
        reader = array._core.reader
        parts = (self.gammas[0], [other._core.devices for other in self.arrays[1:]], list(self.gammas[1:]))
        alone = array is self.arrays[0]
        with array._core.lock:  # or reads of other threads would be of one device
            reader.set(0, cell.refresh_forward.settings(self.shape[1], {}), cell.refresh_forward.tables({}))
            try:
                if alone:
                    reader.set_parts(1.0, [], [])
                return array.forward(np.eye(self.shape[1], dtype=np.float32)).T
            finally:
                if alone:
                    reader.set_parts(*parts)
                array._set_direction(0)

    def __getstate__(self) -> dict[str, Any]:
        # or another thread may calibrate one of them in between; in the order in which loops take them
        with Look(self._lock, *(core.lock for core in sorted((array._core for array in self.arrays), key=id))):
            return self._saved()

    def _saved(self) -> dict[str, Any]:
        first = self.arrays[0]
        options = {
            "forward": first.forward_periphery, "backward": first.backward_periphery, "pulses": first.pulses,
        }  # fmt: skip
        peripheries = [(array.forward_periphery, array.backward_periphery) for array in self.arrays]
        return {
            "shape": self.shape,
            "device": self.device,
            "options": options,
            "peripheries": peripheries,
            "state": self.state_dict(),
        }

    def __setstate__(self, saved: dict[str, Any]) -> None:
        CellArray.__init__(self, saved["shape"], saved["device"], rng=0, **saved["options"])
        for array, peripheries in zip(self.arrays, saved["peripheries"], strict=True):
            array._set_peripheries(*peripheries)
        self.load_state_dict(saved["state"])

    def drift(self, delta_t: float) -> None:
        """Let the time `delta_t` pass for the devices that have a `Drift`; see `CrossbarArray.drift`.

        Raises
        ------
        ValueError
            If none has, or time would run backwards.
        """
        drifting = [array for array in self.arrays if array._effect(Drifting) is not None]
        if not drifting:
            raise ValueError(f"drift needs a cell with a device that has a Drift; got {shown(self.device)}")
        for array in drifting:
            array.drift(delta_t)

    def reset(self, columns: ArrayLike | None = None, probability: float = 1.0) -> None:
        """Bring devices to their reset levels, each device of a cell on its own; see `CrossbarArray.reset`."""
        for array in self.arrays:
            array.reset(columns, probability)

    @property
    def forward_count(self) -> ReadCount:
        """What forward reads did so far; see `CrossbarArray.forward_count`."""
        return self.arrays[0].forward_count

    @property
    def backward_count(self) -> ReadCount:
        """What backward reads did so far."""
        return self.arrays[0].backward_count

    def end_batch(self) -> None:
        """Let the time of one mini-batch pass for all devices."""
        for array in self.arrays:
            array.end_batch()

    @property
    def pulse_count(self) -> PulseCount:
        """Up and down pulses fired so far on all devices; those of a `OneSidedCell` are all up."""
        counts = [array.pulse_count for array in self.arrays]
        if isinstance(self.device, OneSidedCell):
            return PulseCount(sum(count.up for count in counts), 0)
        return PulseCount(sum(count.up for count in counts), sum(count.down for count in counts))

    def _guard(self) -> Lock:
        return self._lock

    def _entries(self) -> dict[str, Entry]:
        return {
            "arrays": parts(self.arrays),
            "vectors": attribute(self, "_vectors", integer(0, 2**63 - 1)),
            "choices": attribute(self, "_choices", integer(0, 2**64 - 1)),
        }

    def restore(self, checked: dict[str, Any]) -> None:
        devices = [array._core.devices for array in self.arrays]
        with self._lock:
            shared = [own.train_key == devices[0].train_key for own in devices]
            super().restore(checked)
            for own, same in zip(devices, shared, strict=True):
                own.train_key = devices[0].key if same else own.key
