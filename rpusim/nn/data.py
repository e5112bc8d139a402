"""Where batches come from."""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rpusim._base.validation import integer_value, plain_array

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from rpusim.nn.trainer import Trainer

__all__ = ["Sequences"]


class Sequences:
    """Batches of a long row of tokens for recurrent networks: what comes next is the target.

    The row is cut into `batch_size` equal parts that run side by side; every batch is the next `length` tokens of each, so that
    a stateful layer goes on where it was. What is left over at the end is not used.

    Parameters
    ----------
    tokens : array_like of int, shape (n,)
    batch_size : int, default 1
    length : int, default 100
        Steps of a batch, through which gradients go back.

    Examples
    --------
    >>> batches = Sequences([0, 1, 2, 3, 4, 5, 6], length=3)
    >>> [(x.tolist(), y.tolist()) for x, y in batches]
    [([[0, 1, 2]], [[1, 2, 3]]), ([[3, 4, 5]], [[4, 5, 6]])]
    """

    def __init__(self, tokens: Any, batch_size: int = 1, length: int = 100) -> None:
        array = plain_array("tokens", tokens, "integers")
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise TypeError(f"tokens must be integers of shape (any,); got dtype {array.dtype}, shape {array.shape}")
        rows = integer_value("batch_size", batch_size, low=1)
        self.length = integer_value("length", length, low=1)
        part = (len(array) - 1) // rows
        if part < self.length:
            raise ValueError(
                f"tokens must be at least {rows * self.length + 1} for {rows} parts of {self.length}; got {len(array)}"
            )
        whole = part // self.length * self.length
        starts = part * np.arange(rows)[:, None] + np.arange(whole)
        self._x, self._y = array[starts].astype(np.int64), array[starts + 1].astype(np.int64)

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._x.shape[1] // self.length

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, self._x.shape[1], self.length):
            part = slice(start, start + self.length)
            yield self._x[:, part], self._y[:, part]


class Source:
    """Samples of one `fit` or `evaluate`: a pair of arrays, or batches as they come."""

    def __init__(self, name: str, trainer: Trainer, data: Any, pair: bool, steps: int | None = None) -> None:
        self._name, self._trainer, self._data, self.pair, self.most = name, trainer, data, pair, steps
        self.once = not pair and iter(data) is data
        if pair:
            self._x, self._targets, self._labels = trainer._samples(name, data)
            self.samples = len(self._x)
            self.targets = len(self._in_a_row(self._targets, self._labels)[0])
            return
        self.samples = self.targets = 0  # not known
        if steps is not None:
            return
        for index, batch in enumerate(data):  # once through: everything is checked before anything is trained
            self.samples += self._flat(index, batch)[1].shape[0]
        if self.samples == 0:
            raise ValueError(f"{name} must hold at least one batch; got none")
        self.targets = self.samples

    @functools.cached_property
    def checksum(self) -> int | None:
        """Return a CRC-32 of what is trained on; None where it may be others each time it is gone through."""
        parts: tuple[Any, ...]
        if self.pair:
            parts = (self._x, self._targets)
        elif isinstance(self._data, Sequences):
            parts = (self._data.length, self._data._x, self._data._y)
        else:
            return None
        value = 0
        for part in map(np.ascontiguousarray, parts):
            value = zlib.crc32(part.view(np.uint8).data, zlib.crc32(repr((part.dtype.str, part.shape)).encode(), value))
        return value

    def _flat(self, index: int, batch: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        x, targets, labels = self._trainer._samples(f"{self._name}[{index}]", batch)
        return x, *self._in_a_row(targets, labels)

    @staticmethod
    def _in_a_row(targets: np.ndarray, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Sequences have a target for each step: those of a batch one after another."""
        if labels is None:
            return targets.reshape(-1, targets.shape[-1]), None
        if targets.ndim == labels.ndim:
            return targets.reshape(-1), labels.reshape(-1)
        return targets.reshape(-1, targets.shape[-1]), labels.reshape(-1)

    def batches(self, order: np.ndarray | None, size: int, skip: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield inputs and targets of one epoch, without the first `skip` batches."""
        return itertools.islice(self._batches(order, size, skip), None if self.most is None else self.most - skip)

    def _batches(self, order: np.ndarray | None, size: int, skip: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if order is None:
            first = 0 if self.once else skip  # what is gone cannot be skipped again
            index = skip - 1
            for index, batch in enumerate(itertools.islice(self._data, first, None), start=skip):
                x, targets, _ = self._flat(index, batch)
                yield x, targets
            if index < 0:
                wanted = "as many batches as epochs have steps" if self.once else "at least one batch"
                raise ValueError(f"{self._name} must hold {wanted}; got no more")
            return
        x, y = self._x, self._targets
        flat = y.ndim == 1 or self._labels is None and y.ndim == 2
        if size == 1 and flat:  # views, not copies
            for row in order[skip:].tolist():
                yield x[row : row + 1], y[row : row + 1]
            return
        for start in range(skip * size, len(order), size):
            rows = order[start : start + size]
            targets = y[rows]
            yield x[rows], targets if flat else self._in_a_row(targets, None if self._labels is None else self._labels[rows])[0]

    def evaluated(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Yield inputs, targets and labels in order."""
        if not self.pair:
            for index, batch in enumerate(self._data):
                yield self._flat(index, batch)
            return
        for start in range(0, self.samples, size):
            part = slice(start, start + size)
            labels = None if self._labels is None else self._labels[part]
            yield self._x[part], *self._in_a_row(self._targets[part], labels)
