"""Weights in slices: several arrays hold the digits of one weight, and their outputs are shifted and added."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.citing import cite
from rpusim._base.random import RNG
from rpusim._base.state import Entry, Stateful, part
from rpusim._base.validation import integer_value, physical, shown, signal
from rpusim._core.buffers import as_batch
from rpusim.arrays.counts import Written
from rpusim.arrays.crossbar import CrossbarArray, check_shape
from rpusim.devices import Device, PulsedDevice
from rpusim.periphery.reads import Periphery

__all__ = ["SlicedArray"]


class SlicedArray(Stateful):
    """A weight of more bits than a device holds, in several arrays: the first holds the highest digit.

    The magnitude of a weight, relative to `w_max`, is rounded to slice_bits x slices bits and cut into `slices` digits; the
    array k holds digit_k / (2^slice_bits - 1) w_max with the sign of the weight, so that each uses its devices' whole range.
    Every array is read through its own converters, and the outputs are added digitally with the weights

        c_k = (2^b - 1) 2^(b (slices - 1 - k)) / (2^(b slices) - 1),    b = slice_bits.

    Parameters
    ----------
    shape : (int, int)
        (outputs, inputs).
    device : Device
        Of all arrays. With b bits in a device, spreads and noise of the lower digits count 2^-b, 4^-b ... times as much.
    slice_bits : int, default 2
        Bits of magnitude in one device.
    slices : int, default 4
        Number of arrays.
    w_max : float or None
        The weight that is a full digit; None: that of the device (1 for `Ideal`).
    forward, backward : Periphery, optional
        As in `CrossbarArray`; for bit-serial inputs too, see `DAC.slice_bits`.
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    arrays : tuple of CrossbarArray
        Highest digit first.
    factors : tuple of float
        c_k.

    Notes
    -----
    For inference: it can be programmed and read, not updated. Source: ISAAC (Shafiee et al., ISCA 2016).

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.SlicedArray((1, 2), rpu.devices.Ideal(), forward=rpu.Periphery.ideal())
    >>> _ = array.program([[0.25, -1.0]])
    >>> [part.weights.tolist() for part in array.arrays][:2]
    [[[0.3333333432674408, -1.0]], [[0.0, -1.0]]]
    >>> (255 * array.forward([1.0, 0.0])).round().tolist()
    [64.0]
    """

    def __init__(
        self,
        shape: tuple[int, int],
        device: Device,
        *,
        slice_bits: int = 2,
        slices: int = 4,
        w_max: float | None = None,
        forward: Periphery | None = None,
        backward: Periphery | None = None,
        rng: RNG = None,
    ) -> None:
        cite("shafiee2016")
        self.shape = check_shape(shape)
        b = self.slice_bits = integer_value("slice_bits", slice_bits, 1, 16)
        n = integer_value("slices", slices, 1, 24 // b)
        low, high = device.bounds_of(device.mean_parameters()) if isinstance(device, PulsedDevice) else (-math.inf, math.inf)
        if w_max is None:
            w_max = float(high) if isinstance(device, PulsedDevice) else 1.0
        self.w_max = physical(0.0, open_low=True)("w_max", w_max)
        if self.w_max > min(high, -low):
            raise ValueError(f"w_max must be positive and within the bounds of the device, {device!r}; got {shown(w_max)}")
        seeds = _random.seed_sequence(rng)
        self.arrays = tuple(
            CrossbarArray(self.shape, device, forward=forward, backward=backward, rng=_random.child(seeds, k)) for k in range(n)
        )
        self.factors = tuple((2**b - 1) * 2 ** (b * (n - 1 - k)) / (2 ** (b * n) - 1) for k in range(n))

    def __repr__(self) -> str:
        return f"SlicedArray({self.shape}, {self.arrays[0].device!r}, slice_bits={self.slice_bits}, slices={len(self.arrays)})"

    @property
    def weights(self) -> NDArray[np.float32]:
        """What the arrays hold together, float32 (outputs, inputs)."""
        return self._sum([array.weights for array in self.arrays])

    def program(self, weights: ArrayLike) -> Written:
        """Write `weights` (outputs, inputs), clipped to +-w_max and rounded, into the arrays; return what was clipped."""
        w = signal("weights", weights, self.shape).astype(np.float64) / self.w_max
        b, n = self.slice_bits, len(self.arrays)
        level = np.rint(np.minimum(np.abs(w), 1.0) * (2 ** (b * n) - 1)).astype(np.int64)
        for k, array in enumerate(self.arrays):
            digit = level >> (b * (n - 1 - k)) & (2**b - 1)
            array.program(np.sign(w) * digit / (2**b - 1) * self.w_max)
        beyond = np.maximum(np.abs(w) - 1.0, 0.0) * self.w_max
        return Written(int(np.count_nonzero(beyond)), float(beyond.max()))

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read y = W x, every array through its own converters; see `CrossbarArray.forward`."""
        return self._read(0, x, out)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read z = W^T d, every array through its own converters; see `CrossbarArray.backward`."""
        return self._read(1, d, out)

    def _read(self, direction: int, x: ArrayLike, out: NDArray[np.float32] | None) -> NDArray[np.float32]:
        x = as_batch("d" if direction else "x", x, self.shape[1 - direction])
        if out is not None:
            shape = (*x.shape[:-1], self.shape[direction])
            if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != np.float32 or not out.flags.writeable:
                raise ValueError(f"out must be a writeable float32 array of shape {shape}; got {shown(out)}")
        total = self._sum([(array.backward if direction else array.forward)(x) for array in self.arrays])
        if out is None:
            return total
        out[...] = total
        return out

    def _sum(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        total = np.zeros_like(parts[0])
        total[...] = sum(np.float32(c) * part for c, part in zip(self.factors, parts, strict=True))
        return total

    def _entries(self) -> dict[str, Entry]:
        return {str(k): part(array) for k, array in enumerate(self.arrays)}
