"""A fixed matrix on any array, which the applications read: one way for all of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.random import RNG, child, seed_sequence
from rpusim._base.validation import axes_of, physical, shown, signal
from rpusim.algorithms import Algorithm, DigitalSGD
from rpusim.arrays.counts import Written
from rpusim.inference import Chip, ChipTile, OnChip, ProgrammedArray
from rpusim.inference.models import check_age
from rpusim.nn import Mapping, Matrix

__all__ = ["StoredMatrix"]

_FEW = 0.1  # of the weights that may be clipped without a word
_positive = physical(0.0, open_low=True)


class StoredMatrix:
    """A matrix that was written onto an array once, and is read: y = W x, as the array gives it.

    Parameters
    ----------
    weights : array_like (outputs, inputs)
        W.
    array : optional
        What holds it. None: exact products. A `Chip`: `ProgrammedArray` on it, with its errors, drift, converters, and largest
        size. The specification of an algorithm: its tiles, such as ``SGD(device, forward=Periphery(...))`` for devices with
        noise, bounds and wires. An array with `program` and `forward` (`CrossbarArray`, `CellArray`, `DifferentialPair`,
        `SlicedArray`, a tile): it is written. A function of (weights, rng): what it returns is read by its `forward`.
    rng : int, SeedSequence, Generator or None
        Seed of what arrays are made with.
    largest : float, default 0.5
        What arrays other than chips hold the largest weight as, which is to be within the bounds of their devices; outputs are
        multiplied by the rest. Chips fill the window of their devices by themselves.

    Attributes
    ----------
    shape : (int, int)
    goal : float32 array (outputs, inputs)
        What was to be written.

    Raises
    ------
    TypeError, ValueError
        If the weights are no finite matrix, or `array` is none of these, or of another shape.

    Warns
    -----
    UserWarning
        If more than a tenth of the weights is beyond the bounds of the devices, or of the outputs of a read beyond the range of
        the ADCs of a chip (once): the default spans networks; sums of a thousand like signs need more.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> w = np.array([[1.0, -2.0], [0.0, 4.0]])
    >>> rpu.applications.StoredMatrix(w).read([1.0, 1.0])
    array([-1.,  4.], dtype=float32)
    >>> aged = rpu.applications.StoredMatrix(w, rpu.inference.Chip(), rng=0)
    >>> bool(abs(aged.read([1.0, 1.0], t_inference_s=86400.0) - [-1.0, 4.0]).max() < 1.0)
    True
    """

    def __init__(self, weights: ArrayLike, array: Any = None, rng: RNG = None, *, largest: float = 0.5) -> None:
        self.goal: NDArray[np.float32] = np.array(signal("weights", weights, (None, None)))
        self.shape: tuple[int, int] = self.goal.shape
        largest = _positive("largest", largest)
        seeds = seed_sequence(rng)
        self._scale = 1.0
        self._warned = False
        self._matrix: Matrix | None = None
        self._array: Any = None
        if array is None or isinstance(array, (Chip, Algorithm)):
            self._on_tiles(array, seeds, largest)
        elif callable(getattr(array, "forward", None)) and callable(getattr(array, "program", None)):
            if tuple(getattr(array, "shape", ())) != self.shape:
                raise ValueError(f"array must have the shape {self.shape} of the weights; got {shown(array)}")
            size = float(np.abs(self.goal).max())
            self._scale = size / largest if size > 0.0 else 1.0
            self._say(array.program(self.goal / np.float32(self._scale)))
            self._array = array
        elif callable(array) and not isinstance(array, type):
            self._array = array(self.goal.copy(), seeds)
            if not callable(getattr(self._array, "forward", None)):
                raise TypeError(f"array must return what has a method forward; got {shown(self._array)}")
        else:
            raise TypeError(
                "array must be None, a Chip, the specification of an algorithm, an array with program and forward, or a "
                f"function of (weights, rng); got {shown(array)}"
            )

    def _on_tiles(self, array: Any, seeds: np.random.SeedSequence, largest: float) -> None:
        outputs, inputs = self.shape
        if isinstance(array, Chip):
            mapping = Mapping(max_inputs=array.max_inputs, max_outputs=array.max_outputs)
            rule: Any = OnChip(array)
        else:
            exact = array is None or isinstance(array, DigitalSGD)
            mapping = Mapping() if exact else Mapping(weight_scaling=largest)
            rule = DigitalSGD() if array is None else array
        self._matrix = Matrix(inputs, outputs, rule, False, mapping)
        self._matrix.build(child(seeds, 0), 0.0)
        self._say(self._matrix.set_weights(self.goal))

    def _say(self, written: Any) -> None:
        if isinstance(written, Written) and written.clipped > max(3, _FEW * self.goal.size):
            warnings.warn(
                f"{written.clipped / self.goal.size:.0%} of the weights of a matrix {self.shape} were clipped to the bounds of "
                f"their devices; a smaller largest=... fits them in",
                stacklevel=4,
            )

    def __repr__(self) -> str:
        held = self._array if self._matrix is None else self._matrix.rule
        return f"<StoredMatrix {self.shape} on {shown(held)}>"

    def _arrays(self) -> list[ProgrammedArray]:
        """Arrays of chips, which age."""
        if isinstance(self._array, ProgrammedArray):
            return [self._array]
        tiles = [] if self._matrix is None else self._matrix.tiles
        return [tile.array for tile in tiles if isinstance(tile, ChipTile)]

    def _age(self, t_inference_s: float) -> float:
        t = check_age("t_inference_s", t_inference_s)
        if t > 0.0 and not self._arrays():
            raise ValueError(f"t_inference_s must be 0 for a matrix that is not on a chip, and so does not age; got {t:g}")
        return t

    def read(self, x: ArrayLike, t_inference_s: float = 0.0) -> NDArray[np.float32]:
        """Return y = W x as the array gives it, (outputs,) or (batch, outputs).

        Parameters
        ----------
        x : array_like (inputs,) or (batch, inputs)
        t_inference_s : float, default 0
            Seconds after programming; more than 0 on chips only.
        """
        t = self._age(t_inference_s)
        single = axes_of(x) == 1
        v = signal("x", x, (self.shape[1],) if single else (None, self.shape[1]))
        batch = v[None] if single else v
        if len(batch) == 0:
            return np.zeros((0, self.shape[0]), np.float32)
        if self._matrix is None:
            y = self._array.forward(batch, t) if isinstance(self._array, ProgrammedArray) else self._array.forward(batch)
            y = np.asarray(y, np.float32)
            if y.shape != (len(batch), self.shape[0]):
                raise ValueError(f"array must return outputs of the shape {(len(batch), self.shape[0])}; got {y.shape}")
            if self._scale != 1.0:
                y = y * np.float32(self._scale)
        else:
            for tile in self._matrix.tiles:
                if isinstance(tile, ChipTile):
                    tile.time_s = t
            before = self._clipped()
            y = self._matrix.forward(self._matrix.drive(batch))
            clipped, converted = (new - old for new, old in zip(self._clipped(), before, strict=True))
            if clipped > _FEW * converted and not self._warned:
                self._warned = True
                warnings.warn(
                    f"{clipped / converted:.0%} of the outputs of a matrix {self.shape} are beyond the range of their ADCs; a "
                    "periphery with ADC(bound=...), in units of the largest weight times the largest input, spans them",
                    stacklevel=2,
                )
        return y[0] if single else y

    def _clipped(self) -> tuple[int, int]:
        """Outputs of arrays of chips that were clipped so far, and all that were converted."""
        counts = [array.read_count for array in self._arrays()]
        return sum(one.outputs_clipped for one in counts), sum(one.adc_conversions for one in counts)

    def reprogram(self) -> None:
        """Write the matrix once more onto its chip, with errors of their own.

        Raises
        ------
        ValueError
            If it is not on a chip.
        """
        arrays = self._arrays()
        if not arrays:
            raise ValueError(f"reprogram needs a matrix on a chip; got {self!r}")
        for array in arrays:
            array.reprogram()
