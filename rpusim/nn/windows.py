"""Where the windows of images are, for convolutions and pooling; the work is compiled in _windows.pyx."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim._base.validation import integer_value, shown
from rpusim.nn import _windows

__all__ = []

MOST_POSITIONS = 2**31 - 1
Pair = int | tuple[int, int]


def pair(name: str, value: Any, low: int) -> tuple[int, int]:
    """One integer for both axes, or two."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be an integer or a pair of integers; got {shown(value)}")
        return integer_value(f"{name}[0]", value[0], low), integer_value(f"{name}[1]", value[1], low)
    return (integer_value(name, value, low),) * 2


def short(pair: tuple[int, int]) -> Pair:
    return pair[0] if pair[0] == pair[1] else pair


class Windows:
    """Where the windows of an image are: kernel, stride, padding and dilation."""

    def __init__(self, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
        self.kernel, self.stride = pair("kernel", kernel, 1), pair("stride", stride, 1)
        self.padding, self.dilation = pair("padding", padding, 0), pair("dilation", dilation, 1)
        self._numbers = (*self.kernel, *self.stride, *self.padding, *self.dilation)

    def outputs(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return how many windows fit into images of `shape` (..., height, width)."""
        height, width, down, across, above, before, apart_down, apart_across = self._numbers
        rows = (shape[-2] + 2 * above - apart_down * (height - 1) - 1) // down + 1
        columns = (shape[-1] + 2 * before - apart_across * (width - 1) - 1) // across + 1
        if rows < 1 or columns < 1:
            raise ValueError(f"x must be at least as large as the kernel {self.kernel}; got shape {shape}")
        if rows * columns > MOST_POSITIONS:
            raise ValueError(
                f"padding must leave at most {MOST_POSITIONS} positions of an image; got {self.padding}, with which an image "
                f"of {shape[-2]} x {shape[-1]} has {rows} x {columns}"
            )
        return rows, columns

    def gather(self, x: np.ndarray, rows: slice, columns: int, out: np.ndarray) -> None:
        """Write the windows of images (batch, channels, height, width) in these rows to `out` (batch rows columns, at least
        channels places): as vectors, in order of image, row and column."""
        _windows.gather(x, self._numbers, rows.start, rows.stop - rows.start, columns, out)

    def scatter(self, vectors: np.ndarray, rows: slice, columns: int, out: np.ndarray) -> None:
        """Add vectors in the order of `gather` up to images `out`: its adjoint."""
        _windows.scatter(vectors, self._numbers, rows.start, rows.stop - rows.start, columns, out)

    def largest(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the largest value of each window, (batch, channels, rows, columns), and where in its window it is."""
        return _windows.largest(x, self._numbers, *self.outputs(x.shape))

    def to_places(self, d: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Add d up to images `out`, each at the place in its window that `largest` found."""
        _windows.to_places(d, places, self._numbers, out)

    def mean(self, x: np.ndarray) -> np.ndarray:
        """Return the mean of each window, (batch, channels, rows, columns)."""
        return _windows.mean(x, self._numbers, *self.outputs(x.shape))

    def spread(self, d: np.ndarray, out: np.ndarray) -> None:
        """Add d up to images `out`, an equal share at every place of its window: the adjoint of `mean`."""
        _windows.spread(d, self._numbers, out)
