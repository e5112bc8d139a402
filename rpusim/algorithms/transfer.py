"""What the algorithms share that collect gradients on one array and hand them over to the next: the Tiki-Taka family."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.random import RNG
from rpusim._base.specification import parameter
from rpusim._base.state import Entry, check_entries, checked_array, checked_list, group, part, parts, value
from rpusim._base.validation import boolean, choice, integer, optional, physical, real, shown, signal
from rpusim._core.lock import Lock, Look
from rpusim.algorithms._transfer import Transfer, TransferLoop
from rpusim.algorithms.base import (
    Algorithm,
    Resources,
    Tile,
    column_periphery,
    granularity_of,
    is_optional_device,
    is_period,
    is_periphery,
    is_rate,
    is_scheme,
    is_single_device,
)
from rpusim.algorithms.level import Level
from rpusim.arrays.counts import PulseCount, Written
from rpusim.arrays.crossbar import MAX_LR, CrossbarArray, check_shape, update_vectors
from rpusim.arrays.pair import DifferentialPair
from rpusim.devices import Device, Ideal, PulsedDevice, SoftBounds
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = []

_lr = real()


ZERO_SHIFTS = ("exact", "pulses", "random_pulses", "none")


#: Pulses of algorithms with a digital buffer: exactly one where the buffer overflows.
ONE_PULSE = PulseScheme(desired_bl=1, update_management=False, update_bl_management=False)


def auto_scaled(rule: Any) -> dict[str, Any]:
    """Return what `TransferLoop` has to know of `auto_scale`."""
    return {"auto_scale": rule.auto_scale, "decay": 1.0 - rule.auto_momentum}


@dataclass(frozen=True, repr=False)
class TransferAlgorithm(Algorithm):
    """Base of the family: the settings of the two arrays, and of reading one to write the other."""

    fast: Device = parameter(SoftBounds, is_single_device)
    slow: Device | None = parameter(None, is_optional_device)
    transfer_every: int = parameter(1, is_period)
    transfer_columns: bool = parameter(True, boolean)
    n_reads_per_transfer: int = parameter(1, is_period)
    random_selection: bool = parameter(False, boolean)
    fast_lr: float = parameter(1.0, is_rate)
    scale_fast_lr: bool = parameter(True, boolean)
    transfer_lr: float = parameter(1.0, is_rate)
    scale_transfer_lr: bool = parameter(True, boolean)
    zero_shift: str = parameter("exact", choice(*ZERO_SHIFTS))
    zero_shift_pulses: int | None = parameter(None, optional(integer(2, 2**31 - 1)))
    reference_offset_mean: float = parameter(0.0, physical())
    reference_offset_std: float = parameter(0.0, physical(0.0))
    mean_granularity: bool = parameter(False, boolean)
    forward: Periphery | None = parameter(None, is_periphery)
    backward: Periphery | None = parameter(None, is_periphery)
    transfer_forward: Periphery | None = parameter(None, is_periphery)
    pulses: PulseScheme = parameter(PulseScheme, is_scheme)
    transfer_pulses: PulseScheme = parameter(PulseScheme, is_scheme)

    def _check_consistency(self) -> None:
        name = type(self).__name__
        if self.zero_shift == "none" and (self.reference_offset_mean != 0.0 or self.reference_offset_std != 0.0):
            raise ValueError(
                f"{name}: reference_offset_mean and reference_offset_std must be 0 where zero_shift='none', which has no "
                f"reference; got {self.reference_offset_mean} and {self.reference_offset_std}"
            )
        for device in self._devices()[:-1]:
            if self.zero_shift.endswith("pulses") and not isinstance(device, PulsedDevice):
                raise ValueError(
                    f"{name}: zero_shift must be 'exact' or 'none' for devices without pulses; got {shown(self.zero_shift)}"
                )
        if self.zero_shift_pulses is not None and not self.zero_shift.endswith("pulses"):
            raise ValueError(
                f"{name}: zero_shift_pulses must be None where zero_shift={self.zero_shift!r}; got {self.zero_shift_pulses}"
            )

    def build(self, shape: tuple[int, int], rng: RNG = None) -> TransferTile:
        return TransferTile(self, shape, rng)

    # ---- what the tile asks ------------------------------------------------------------------------------------------

    def _devices(self) -> tuple[Device, ...]:
        """The device of each array, the fastest first; the last holds the weight."""
        return (self.fast, self.fast if self.slow is None else self.slow)

    def _gammas(self) -> tuple[float, ...]:
        """Factor of each array in the weight."""
        return (0.0,) * (len(self._devices()) - 1) + (1.0,)

    def _rates(self, lr: float, lines: int) -> tuple[float, list[float]]:
        """Rate of the fast array, and of each hand-over; without the scales that vary from vector to vector."""
        fast = self.fast_lr * lr if self.scale_fast_lr else self.fast_lr * float(np.sign(lr))
        each = self.transfer_lr if isinstance(self.transfer_lr, tuple) else (self.transfer_lr,) * (len(self._devices()) - 1)
        return fast, [rate * abs(lr) if self.scale_transfer_lr else rate for rate in each]

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        """How array k is read and handed over to the next."""
        return Level(
            columns=self.transfer_columns,
            every=self.transfer_every,
            reads=self.n_reads_per_transfer,
            selection="random" if self.random_selection else "cyclic",
        )

    def _loop(self) -> dict[str, Any]:
        """Keyword arguments of `TransferLoop`."""
        return {}


class TransferTile(Tile):
    """The tile of the Tiki-Taka family.

    Attributes
    ----------
    arrays : tuple of CrossbarArray
        The arrays that are written, the fastest (A) first; the last one is C.
    references : tuple of CrossbarArray or None
        The static reference that is subtracted where an array is read; None where there is none.
    """

    def __init__(self, algorithm: TransferAlgorithm, shape: tuple[int, int], rng: RNG = None) -> None:
        seeds = _random.seed_sequence(rng)
        self.algorithm: TransferAlgorithm = algorithm
        self.shape = check_shape(shape)
        self._lock = Lock()  # taken before those of the arrays: updates and checkpoints see the whole tile
        devices = algorithm._devices()
        self.arrays = tuple(self._array(k, device, seeds) for k, device in enumerate(devices))
        self.references = tuple(self._reference(k, array, seeds) for k, array in enumerate(self.arrays[:-1]))
        if algorithm.mean_granularity:
            self.arrays[0]._core.devices.granularity = fmean(map(granularity_of, devices))
        self._gammas = algorithm._gammas()
        # What is mixed of whole arrays is read from them at once. A reference that is found on the way and signs are digital:
        # then the mixed weight is formed before each read, in an array that only has the periphery.
        self._reader: CrossbarArray | None = None
        if any(self._gammas[:-1]) and algorithm._level(0, self.shape).baseline != "none":
            self._reader = CrossbarArray(
                self.shape, Ideal(), forward=algorithm.forward, backward=algorithm.backward, rng=_random.child(seeds, 3)
            )
        else:
            parts = [(a, g) for a, g in zip(self.arrays[:-1], self._gammas, strict=False) if g]
            parts += [(r, -g) for r, g in zip(self.references, self._gammas, strict=False) if g and r is not None]
            self.arrays[-1]._core.reader.set_parts(self._gammas[-1], [a._core.devices for a, _ in parts], [g for _, g in parts])
        self._build_loop([_random.key(_random.child(seeds, 2, k)) for k in range(len(devices) - 1)])

    def _array(self, k: int, device: Device, seeds: np.random.SeedSequence) -> CrossbarArray:
        rule, rng = self.algorithm, _random.child(seeds, 0, k)
        options: dict[str, Any] = {"pulses": rule.pulses if k == 0 else rule.transfer_pulses, "rng": rng}
        if k == len(rule._devices()) - 1:
            return CrossbarArray(self.shape, device, forward=rule.forward, backward=rule.backward, **options)
        lines = self.shape[1 if rule.transfer_columns else 0]
        together = lines if rule._level(k, self.shape).selection == "hadamard" else 1
        return CrossbarArray(self.shape, device, forward=rule.transfer_forward or column_periphery(device, together), **options)

    def _reference(self, k: int, array: CrossbarArray, seeds: np.random.SeedSequence) -> CrossbarArray | None:
        rule = self.algorithm
        if rule.zero_shift == "none":
            return None
        reference = CrossbarArray(self.shape, Ideal(), rng=0)
        if isinstance(array.device, PulsedDevice):
            DifferentialPair(array, reference).zero_shift(rule.zero_shift, rule.zero_shift_pulses)
        if rule.reference_offset_mean != 0.0 or rule.reference_offset_std != 0.0:
            draws = _random.generator(_random.child(seeds, 1, k)).standard_normal(self.shape)
            reference.program(reference.weights + rule.reference_offset_mean + rule.reference_offset_std * draws)
        return reference

    def _chain(self) -> tuple[int, ...]:
        """The arrays that take part in transfers, from the fast one on."""
        return tuple(range(len(self.arrays)))

    def _build_loop(self, keys: list[int]) -> None:
        """Make the compiled loop, with new buffers."""
        transfer: Transfer | None = None
        buffers: list[dict[str, NDArray[Any]]] = []
        chain = self._chain()
        for k, source in reversed(list(enumerate(chain[:-1]))):
            level = self.algorithm._level(k, self.shape)
            lines = level.lines(self.shape)[0]
            if level.reads > lines:
                raise ValueError(f"n_reads_per_transfer must be at most the number of lines, {lines}; got {level.reads}")
            buffers.insert(0, level.new_buffers(self.shape))
            reference = self.references[source]
            transfer = Transfer(
                self.arrays[source]._core,
                None if reference is None else reference._core,
                self.arrays[chain[k + 1]]._core,
                transfer,
                level,
                keys[k],
                buffers[0],
            )
        assert transfer is not None
        self._loop = TransferLoop(transfer, **self.algorithm._loop())
        self._keys, self._buffers = keys, buffers  # whole: others may be looking

    # ---- what it holds -----------------------------------------------------------------------------------------------

    @property
    def hidden(self) -> tuple[NDArray[np.float32], ...]:
        """What is read of the arrays but the last, A minus its reference: float32 (outputs, inputs), in weight units."""
        return tuple(
            array.weights if reference is None else array._weights - reference._weights
            for array, reference in zip(self.arrays, self.references, strict=False)
        )

    def _plane(self, name: str, k: int = 0) -> NDArray[Any]:
        """A buffer of level k in the weight's shape."""
        plane = self._buffers[k][name]
        return (plane.T if self.algorithm.transfer_columns else plane).copy()

    @property
    def buffer(self) -> NDArray[np.float32]:
        """The digital buffer H (outputs, inputs), in pulses of C; ValueError for algorithms without."""
        if "buffer" not in self._buffers[0]:
            raise ValueError(f"buffer needs an algorithm that has one; got {shown(self.algorithm)}")
        return self._plane("buffer")

    @property
    def tracked_reference(self) -> NDArray[np.float32]:
        """The running mean of what is read of A (outputs, inputs): Q of RIDER, p of AGAD; ValueError for algorithms without."""
        if "mean" not in self._buffers[0]:
            raise ValueError(f"tracked_reference needs an algorithm that has one; got {shown(self.algorithm)}")
        return self._plane("mean")

    @property
    def choppers(self) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Present signs (+1, -1) of the outputs and of the inputs."""
        state = self._buffers[0]
        if "line_chop" not in state:
            return np.ones(self.shape[0], np.int8), np.ones(self.shape[1], np.int8)
        signs = (state["element_chop"].copy(), state["line_chop"].copy())
        return signs if self.algorithm.transfer_columns else signs[::-1]

    @property
    def weights(self) -> NDArray[np.float32]:
        with Look(self._lock):
            total = self._mixed()
            total += np.float32(self._gammas[-1]) * self.arrays[-1]._weights
            return total

    def _mixed(self) -> NDArray[np.float32]:
        """The part of the weight that the arrays but the last hold."""
        total = np.zeros(self.shape, np.float32)
        part = np.empty(self.shape, np.float32)
        for k, gamma in enumerate(self._gammas[:-1]):
            if gamma:
                self._shown(k, part)
                part *= np.float32(gamma)
                total += part
        return total

    def _shown(self, k: int, out: NDArray[np.float32]) -> None:
        """Write to `out` what array k holds, with the sign and the origin that it has in the mixed weight."""
        reference, state = self.references[k], self._buffers[0]
        np.subtract(self.arrays[k]._weights, 0.0 if reference is None else reference._weights, out=out)
        if k > 0:
            return
        for name in ("frozen", "mean"):
            if name in state:  # a reference that is found on the way: as it was when the chopper last flipped, or now
                out -= state[name].T if self.algorithm.transfer_columns else state[name]
                break
        if "line_chop" in state:
            outputs, inputs = self.choppers
            out *= outputs[:, None] * inputs

    def _read(self) -> CrossbarArray:
        """The array to read, up to date."""
        if self._reader is None:
            return self.arrays[-1]
        np.multiply(self.arrays[-1]._weights, np.float32(self._gammas[-1]), out=self._reader._weights)
        self._reader._weights += self._mixed()
        return self._reader

    def program(self, weights: ArrayLike) -> Written:
        """Write C so that the weight becomes `weights`, clipped to the bounds of its devices; A stays as it is."""
        w = signal("weights", weights, self.shape)
        return self.arrays[-1].program((w - self._mixed()) / np.float32(self._gammas[-1]))

    # ---- the three operations ----------------------------------------------------------------------------------------

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        if self._reader is None:
            return self.arrays[-1].forward(x, out)
        with self._lock:  # or another thread might form the weight anew meanwhile
            return self._read().forward(x, out)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        if self._reader is None:
            return self.arrays[-1].backward(d, out)
        with self._lock:
            return self._read().backward(d, out)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        lr = _lr("lr", lr)
        x, d = update_vectors(x, d, self.shape)
        rule = self.algorithm
        fast, rates = rule._rates(lr, self.shape[1 if rule.transfer_columns else 0])
        self.arrays[0]._check_rate(fast)
        for rate, k, state in zip(rates, self._chain()[1:], self._buffers, strict=False):
            if "buffer" not in state:
                self.arrays[k]._check_rate(rate)
            elif rate > MAX_LR:
                raise ValueError(f"lr must be such that the buffer grows by at most {MAX_LR:g} pulses; got {lr:g}, {rate:g}")
        with self._lock:
            self._loop.run(x, d, fast, np.array(rates, dtype=np.float64))

    def end_batch(self) -> None:
        for array in self.arrays:
            array.end_batch()

    @property
    def pulse_count(self) -> PulseCount:
        counts = [array.pulse_count for array in self.arrays]
        return PulseCount(sum(count.up for count in counts), sum(count.down for count in counts))

    @property
    def weight_arrays(self) -> tuple[CrossbarArray, ...]:
        return self.arrays[-1:]

    def resources(self) -> Resources:
        rule = self.algorithm
        levels = [rule._level(k, self.shape) for k in range(len(self._chain()) - 1)]
        per_sample = sum(level.reads / level.every for level in levels)
        return Resources(
            arrays=len(self.arrays) + sum(reference is not None for reference in self.references),
            digital=sum(plane.size for state in self._buffers for plane in state.values() if plane.dtype == np.float32),
            bits=sum(plane.size for state in self._buffers for plane in state.values() if plane.dtype == np.int8),
            reads=per_sample,
            updates=1.0 + per_sample,
        )

    # ---- saving ------------------------------------------------------------------------------------------------------

    def _guard(self) -> Lock:
        return self._lock

    def _entries(self) -> dict[str, Entry]:
        known = {str(k): a for k, a in enumerate(self.references) if a is not None}
        entries = {
            "arrays": parts(self.arrays),
            "references": group({k: _written(array) for k, array in known.items()}),
            "keys": value(
                lambda: list(self._keys),
                self._build_loop,  # with new buffers
                lambda name, keys: checked_list(name, keys, len(self._keys), integer(0, 2**64 - 1)),
            ),
            "buffers": group({str(k): _planes(self, k) for k in range(len(self._buffers))}),
            "vectors": value(lambda: self._loop.vectors, lambda new: self._loop.set_vectors(new), integer(0, 2**63 - 1)),
            "means": value(
                lambda: [self._loop.x_mean, self._loop.d_mean],
                self._set_means,
                lambda name, means: checked_list(name, means, 2, real()),
            ),
        }
        if self._reader is not None:
            entries = {"reader": part(self._read()), **entries}
        return entries

    def _set_means(self, means: list[float]) -> None:
        self._loop.x_mean, self._loop.d_mean = means


def _written(array: CrossbarArray) -> Entry:
    """The weights of a reference, which are written."""
    return Entry(lambda: array.weights, lambda name, weights: signal(name, weights, array.shape), array.program)


def _planes(tile: TransferTile, level: int) -> Entry:
    """The buffers of a level, of which the loop has new ones whenever it is built."""

    def own() -> dict[str, NDArray[Any]]:
        return tile._buffers[level]

    def check(name: str, state: Any) -> dict[str, NDArray[Any]]:
        planes = own()
        check_entries(name, state, planes)
        among = {
            key: (() if plane.dtype != np.int8 else (0, 1) if key == "flipped" else (-1, 1)) for key, plane in planes.items()
        }
        return {key: checked_array(f"{name}[{key!r}]", state[key], planes[key], among=among[key]) for key in planes}

    def put(checked: dict[str, NDArray[Any]]) -> None:
        for key, plane in own().items():
            plane[...] = checked[key]

    return Entry(lambda: {key: plane.copy() for key, plane in own().items()}, check, put)
