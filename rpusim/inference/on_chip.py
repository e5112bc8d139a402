"""Weights on a chip: an algorithm that programs and reads, and never trains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.random import RNG, seed_sequence
from rpusim._base.specification import parameter
from rpusim._base.state import Entry, attribute, part
from rpusim._base.validation import axes_of, boolean, instance, real, room_for, signal
from rpusim.algorithms.base import Algorithm, Resources, Tile
from rpusim.arrays.counts import PulseCount, Written
from rpusim.arrays.crossbar import check_shape
from rpusim.inference.chip import Chip
from rpusim.inference.programmed import ProgrammedArray

__all__ = ["ChipTile", "OnChip"]

is_chip = instance(Chip, "a Chip")


@dataclass(frozen=True, repr=False)
class OnChip(Algorithm):
    """Weights on a chip: programmed once, read at any time, never trained.

    Parameters
    ----------
    chip : Chip
    held : bool, default False
        Whether devices hold their goals as they are, since they were written in a closed loop or trained there: no errors of
        programming, and ageing from now on.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.inference.OnChip(rpu.inference.Chip()).build((1, 2), rng=0)
    >>> _ = tile.program([[0.5, -0.2]])
    >>> tile.time_s = 3600.0
    >>> bool(abs(tile.weights - [[0.5, -0.2]]).max() < 0.2)
    True
    """

    chip: Chip = parameter(Chip, is_chip)
    held: bool = parameter(False, boolean)

    def build(self, shape: tuple[int, int], rng: RNG = None) -> ChipTile:
        return ChipTile(self, shape, rng)


class ChipTile(Tile):
    """A matrix on an array of a chip; `OnChip` builds it.

    Parameters
    ----------
    algorithm : OnChip
    shape : (outputs, inputs)
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    array : ProgrammedArray
        Of weights 0 until it is programmed.
    time_s : float
        When it is read, in seconds after programming.
    post_step : float
        With fixed-point processing, what one step of an ADC stands for over one step of the next DAC, for a factor of 1; 0: the
        processing is in floating point.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.inference.OnChip(rpu.inference.Chip()).build((1, 2), rng=0)
    >>> _ = tile.program([[0.5, -0.2]])
    >>> tile.time_s = 86400.0  # read a day later
    >>> tile.forward([1.0, 1.0]).shape
    (1,)
    """

    def __init__(self, algorithm: OnChip, shape: tuple[int, int], rng: RNG = None) -> None:
        self.algorithm: OnChip = instance(OnChip, "an OnChip")("algorithm", algorithm)
        self.shape = check_shape(shape)
        room_for("shape", shape, 4 * self.shape[0] * self.shape[1] * len(algorithm.chip.converter.factors))
        self._seeds = seed_sequence(rng)
        self.time_s = 0.0
        self.post_step = 0.0
        self.array = ProgrammedArray(np.zeros(self.shape, np.float32), algorithm.chip, self._seeds)

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        factor, post = None, self.algorithm.chip.post
        if self.post_step > 0.0 and post is not None:
            exact = self.array.factor(self.time_s)
            factor = (post.scales(exact * self.post_step) / self.post_step).astype(np.float32)
        y = self.array.forward(x, self.time_s, factor=factor)
        if out is None:
            return y
        out[...] = y
        return out

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return z = W^T d, for gradients to what is before; W is read as at `time_s`, without errors of a periphery."""
        z = np.asarray(signal("d", d, (None,) * max(1, axes_of(d))) @ self.weights, np.float32)
        if out is None:
            return z
        out[...] = z
        return out

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        raise RuntimeError("weights on a chip are not trained; train first, by HardwareAware for instance, and program then")

    def end_batch(self) -> None:
        """Nothing happens: the time of chips is `time_s`."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """The weights that are read at `time_s`, compensation included."""
        return self.array.weights(self.time_s) * self.array.compensation_factor(self.time_s)[:, None]

    def program(self, weights: ArrayLike) -> Written:
        """Write a matrix, with the errors of the chip (or without, where its devices hold it already)."""
        rule = self.algorithm
        held = rule.chip.converter.targets(weights)[0] if rule.held else None
        self.array = ProgrammedArray(weights, rule.chip, self._seeds, held=held)
        return Written(0, 0.0)

    @property
    def pulse_count(self) -> PulseCount:
        return PulseCount(0, 0)

    def resources(self) -> Resources:
        return Resources(arrays=len(self.algorithm.chip.converter.factors), updates=0.0)

    def _entries(self) -> dict[str, Entry]:
        times = {name: attribute(self, name, real(0.0)) for name in ("time_s", "post_step")}
        return {"array": part(self.array), **times}
