"""What every training algorithm offers."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import note
from rpusim._base.random import RNG
from rpusim._base.specification import Specification
from rpusim._base.state import Entry, Stateful, part
from rpusim._base.validation import checked_by, instance, integer, optional, real, shown
from rpusim.arrays.cell import CellArray
from rpusim.arrays.counts import PulseCount, Written
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.arrays.pair import DifferentialPair
from rpusim.devices import Device, Ideal, PulsedDevice, UnitCell
from rpusim.periphery.converters import ADC
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = ["Algorithm", "ArrayTile", "Resources", "Tile"]


class Resources(NamedTuple):
    """What a tile needs beside the two reads, forward and backward, that every algorithm makes.

    Attributes
    ----------
    arrays : int
        Crossbar arrays of the weight's shape, static references included.
    digital : int
        Numbers that are held in digital memory.
    bits : int
        Single bits that are held in digital memory (choppers, flags).
    reads : float
        Vectors read per sample, mean.
    updates : float
        Rank-one pulsed updates of whole arrays or single lines per sample, mean.
    products : float
        Multiply-accumulates per sample that are done digitally on the whole weight (outer products), mean.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.algorithms.SHD().build((100, 200), rng=0).resources()
    Resources(arrays=3, digital=0, bits=0, reads=1.0, updates=2.0, products=0.0)
    """

    arrays: int
    digital: int = 0
    bits: int = 0
    reads: float = 0.0
    updates: float = 1.0
    products: float = 0.0


def _noted(build: Callable[..., Tile]) -> Callable[..., Tile]:
    """A `build` that says what it built from, for `rpusim.citations`."""

    @functools.wraps(build)
    def noted(self: Algorithm, *args: Any, **kwargs: Any) -> Tile:
        note(self)
        return build(self, *args, **kwargs)

    return noted


class Algorithm(Specification):
    """Specification of a training algorithm with its devices and peripheries.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.01))  # one of its subclasses
    >>> isinstance(rule, rpu.algorithms.Algorithm), rule.build((2, 3), rng=0).shape
    (True, (2, 3))
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _noted(cls.build)  # type: ignore[method-assign]

    def build(self, shape: tuple[int, int], rng: RNG = None) -> Tile:
        """Build the tile: a trainable weight of `shape` (outputs, inputs), all of its randomness seeded by `rng`."""
        raise TypeError(f"{type(self).__name__} does not build tiles; use one of its subclasses")


class Tile(Stateful, ABC):
    """One trainable weight W (outputs, inputs), made of arrays.

    x has shape (batch, inputs), d and y (batch, outputs), or one dimension less for a single vector.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.SHD(rpu.devices.SoftBounds(dw_min=0.01)).build((2, 3), rng=0)
    >>> y = tile.forward([1.0, 0.0, -1.0])
    >>> tile.update([1.0, 0.0, -1.0], y - [0.5, -0.5], lr=0.1)
    >>> isinstance(tile, rpu.algorithms.Tile), tile.pulse_count.up > 0
    (True, True)
    """

    shape: tuple[int, int]
    algorithm: Algorithm
    #: whether reads in training differ from others, which `begin` is told before the reads of a batch
    perturbed: bool = False

    def begin(self, train: bool) -> None:
        """Before the reads of one batch, of a tile that is `perturbed`."""

    @property
    def parameters(self) -> tuple[Any, ...]:
        """What the optimizer of a network trains: `nn.Parameter` objects, none where pulses train."""
        return ()

    def __repr__(self) -> str:
        return f"{self.algorithm!r}.build({self.shape})"

    def _html_rows(self) -> list[tuple[str, Any]]:
        return [("shape", self.shape), ("algorithm", self.algorithm)]

    def __reduce__(self) -> tuple[Any, ...]:
        # for copies: compiled loops point into their arrays
        peripheries = [(array.forward_periphery, array.backward_periphery) for array in _arrays_of(self)]
        return _rebuilt, (self.algorithm, self.shape, self.state_dict(), peripheries)

    @abstractmethod
    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read y = W x."""

    @abstractmethod
    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read z = W^T d."""

    @abstractmethod
    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Train on x and d = dE/dy, one vector after another: W moves along -lr d x^T as the algorithm has it."""

    @abstractmethod
    def end_batch(self) -> None:
        """Let the time of one mini-batch pass for the devices: decay and diffusion."""

    def end_epoch(self, loss: float) -> Any:
        """Take the mean training loss of an epoch: for algorithms that have stages, most have none."""
        return None

    def operations(self) -> tuple[Any, Any, Any, Any]:
        """Return `forward`, `backward`, `update` and `end_batch` (None where it does nothing), to be called often."""
        return self.forward, self.backward, self.update, self.end_batch

    @property
    @abstractmethod
    def weights(self) -> NDArray[np.float32]:
        """Copy of the weight that forward reads."""

    @abstractmethod
    def program(self, weights: ArrayLike) -> Written:
        """Write the weight ideally, clipped to the bounds of the devices."""

    @property
    @abstractmethod
    def pulse_count(self) -> PulseCount:
        """Up and down pulses fired so far on all of the tile's arrays."""

    @property
    def weight_arrays(self) -> tuple[CrossbarArray, ...]:
        """The arrays whose devices hold the weight itself, not gradients or references; none if the tile does not say."""
        return ()

    @abstractmethod
    def resources(self) -> Resources:
        """Return what the tile needs beside forward and backward reads: arrays, digital memory, reads, writes."""


def _arrays_of(tile: Tile) -> list[CrossbarArray]:
    """All arrays that a tile holds, in the order of its attributes."""
    found: dict[int, CrossbarArray] = {}

    def look(value: Any) -> None:
        if isinstance(value, CrossbarArray):
            found[id(value)] = value
        elif isinstance(value, DifferentialPair):
            look((value.main, value.reference))
        elif isinstance(value, CellArray):
            look(value.arrays)
        elif isinstance(value, (list, tuple)):
            for part in value:
                look(part)

    for value in vars(tile).values():
        look(value)
    return list(found.values())


def _rebuilt(
    algorithm: Algorithm, shape: tuple[int, int], state: dict[str, Any], peripheries: list[tuple[Periphery, Periphery]]
) -> Tile:
    """The tile that was copied, with the peripheries that its arrays have by now."""
    tile = algorithm.build(shape, rng=0)
    for array, (forward, backward) in zip(_arrays_of(tile), peripheries, strict=True):
        array._set_peripheries(forward, backward)
    tile.load_state_dict(state)
    return tile


is_device = instance(Device, "a device of rpusim.devices")


is_periphery = optional(instance(Periphery, "a Periphery"))


is_scheme = instance(PulseScheme, "a PulseScheme")


@checked_by("text", 3, None, Device, UnitCell)
def is_single_device(name: str, value: Any) -> Device:
    """Check a device that is no cell of several, which only `SGD` takes."""
    device: Device = is_device(name, value)
    if isinstance(device, UnitCell):
        raise TypeError(f"{name} must be a single device, not a cell, which SGD takes; got {shown(value)}")
    return device


class ArrayTile(Tile):
    """A tile that is one array.

    Parameters
    ----------
    algorithm : Algorithm
    array : CrossbarArray or CellArray

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.01))
    >>> tile = rpu.algorithms.ArrayTile(rule, rpu.CrossbarArray((2, 3), rule.device, rng=0))
    >>> tile.resources().arrays, tile.weights.shape
    (1, (2, 3))
    """

    def __init__(self, algorithm: Algorithm, array: CrossbarArray | CellArray) -> None:
        self.algorithm = instance(Algorithm, "the specification of an algorithm")("algorithm", algorithm)
        self.array = instance((CrossbarArray, CellArray), "a CrossbarArray or a CellArray")("array", array)
        self.shape = array.shape

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self.array.forward(x, out)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self.array.backward(d, out)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        self.array.update(x, d, lr)

    def end_batch(self) -> None:
        self.array.end_batch()

    def operations(self) -> tuple[Any, Any, Any, Any]:
        own = super().operations()
        if not isinstance(self.array, CrossbarArray):
            return own
        kind, inner = type(self), zip(("forward", "backward", "update", "end_batch"), own, self.array.operations(), strict=True)
        # the array's, but for what a tile does in another way
        return tuple(b if getattr(kind, name) is vars(ArrayTile)[name] else a for name, a, b in inner)

    @property
    def weights(self) -> NDArray[np.float32]:
        return self.array.weights

    def program(self, weights: ArrayLike) -> Written:
        return self.array.program(weights)

    @property
    def pulse_count(self) -> PulseCount:
        return self.array.pulse_count

    @property
    def weight_arrays(self) -> tuple[CrossbarArray, ...]:
        return self.array.arrays if isinstance(self.array, CellArray) else (self.array,)

    def resources(self) -> Resources:
        if isinstance(self.array, CellArray):
            return Resources(arrays=len(self.array.arrays))
        if isinstance(self.array.device, Ideal):
            return Resources(arrays=1, updates=0.0, products=float(self.shape[0] * self.shape[1]))
        return Resources(arrays=1)

    def _entries(self) -> dict[str, Entry]:
        return {"array": part(self.array)}


is_rate = real(0.0)


is_optional_device = optional(is_single_device)


is_period = integer(1, 2**31 - 1)


def column_periphery(device: Device, columns: int = 1) -> Periphery:
    """Return the periphery that reads `columns` columns of `device` at once, for transfers.

    The usual ADC, made for sums of hundreds of products, spans +-12. A single device against its reference stays within
    twice its bounds, so the ADC spans that, times the square root of the number of columns, with the same noise relative to
    its range (0.5 %). Inputs are 0 and +-1, so there is no noise management; sums that clip all the same are read again.
    """
    adc = ADC()
    if isinstance(device, PulsedDevice):
        bound = 2.0 * max(device.w_max, -device.w_min) * math.sqrt(columns)
        adc = ADC(bound=bound, noise=adc.noise * bound / 12.0)
    return Periphery(adc=adc, noise_management="none", bound_management="none" if columns == 1 else "iterative")


def granularity_of(device: Device) -> float:
    """Step that scales pulses of `device`; 1 for devices that take none."""
    return device.granularity if isinstance(device, PulsedDevice) else 1.0
