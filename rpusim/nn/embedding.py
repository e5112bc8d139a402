"""Layers that take indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim._base.random import RNG, generator, seed_sequence
from rpusim._base.state import Entry, part
from rpusim._base.validation import integer_value, physical, plain_array, room_for, signal
from rpusim.nn.layer import Layer, check_gradient, check_signals, no_forward
from rpusim.nn.optimizers import Parameter

__all__ = ["Embedding", "OneHot", "PositionalEmbedding"]


class OneHot(Layer):
    """Integers (batch, ...) -> vectors (batch, ..., n) with a 1 at their place.

    Parameters
    ----------
    n : int
        Number of classes; inputs are 0 to n - 1.

    Examples
    --------
    >>> OneHot(3).forward(np.array([[0, 2]])).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]
    """

    takes_indices = True
    in_flight = ()

    def __init__(self, n: int) -> None:
        self.n = integer_value("n", n, low=1)
        self.out_features = self.n

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        x = indices("x", x, self.n)
        room_for("n", self.n, x.size * self.n)
        y = np.zeros((x.size, self.n), np.float32)
        y[np.arange(x.size), x.ravel()] = 1.0
        return y.reshape(*x.shape, self.n)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        return None


class Embedding(Layer):
    """Integers (batch, ...) -> rows of a digital table, (batch, ..., features).

    Parameters
    ----------
    n, features : int
        Rows of the table and their length.
    std : float, default 1
        Standard deviation of the initial values, which are normal.

    Examples
    --------
    >>> layer = Embedding(10, 4)
    >>> layer.build(rng=0)
    >>> layer.forward(np.array([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    takes_indices = True
    trainable = True
    in_flight = ("_indices",)

    def __init__(self, n: int, features: int, std: float = 1.0) -> None:
        self.n, self.features = integer_value("n", n, low=1), integer_value("features", features, low=1)
        room_for("n", f"{n} (times {features} features)", 3 * self.n * self.features)
        self.std = physical(0.0)("std", std)
        self.out_features = self.features
        self.table: Parameter | None = None
        self._indices: np.ndarray | None = None

    @property
    def built(self) -> bool:
        return self.table is not None

    def build(self, rng: RNG = None) -> None:
        self.table = Parameter(self.std * generator(seed_sequence(rng)).standard_normal((self.n, self.features)))

    def set_weights(self, weights: Any) -> None:
        """Take a table (n, features) that was trained elsewhere."""
        self._table("set_weights").reset(signal("weights", weights, (self.n, self.features)))

    def _table(self, what: str) -> Parameter:
        if self.table is None:
            raise RuntimeError(f"Embedding: call build(rng) before {what}")
        return self.table

    def parameters(self) -> list[Parameter]:
        return [] if self.table is None else [self.table]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        x = indices("x", x, self.n)
        self._indices = x if train else None
        return self._table("forward").value[x]

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._indices is None:
            raise no_forward(self)
        check_gradient(d, (*self._indices.shape, self.features))
        if not np.isfinite(d).all():
            raise ValueError("d must hold finite float32 numbers; got others")
        np.add.at(self._table("backward").gradient, self._indices, d)
        return None

    def update(self, lr: float) -> None:
        self._table("update").step(lr)

    def _entries(self) -> dict[str, Entry]:
        return {"table": part(self._table("state_dict or load_state_dict"))}


class PositionalEmbedding(Layer):
    """y_t = x_t + p_t, with a digital table p of a vector for every place in a sequence.

    Parameters
    ----------
    context, features : int
        Places, and the length of their vectors; sequences may be shorter.
    std : float, default 0.02
        Standard deviation of the initial values, which are normal.

    Examples
    --------
    >>> layer = PositionalEmbedding(10, 4)
    >>> layer.build(rng=0)
    >>> layer.forward(np.zeros((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    trainable = True
    in_flight = ("_shape",)

    def __init__(self, context: int, features: int, std: float = 0.02) -> None:
        self.context, self.features = integer_value("context", context, low=1), integer_value("features", features, low=1)
        room_for("context", f"{context} (times {features} features)", 3 * self.context * self.features)
        self.std = physical(0.0)("std", std)
        self.in_features = self.out_features = self.features
        self.table: Parameter | None = None
        self._shape: tuple[int, ...] | None = None

    @property
    def built(self) -> bool:
        return self.table is not None

    def build(self, rng: RNG = None) -> None:
        self.table = Parameter(self.std * generator(seed_sequence(rng)).standard_normal((self.context, self.features)))

    def _table(self, what: str) -> Parameter:
        if self.table is None:
            raise RuntimeError(f"PositionalEmbedding: call build(rng) before {what}")
        return self.table

    def parameters(self) -> list[Parameter]:
        return [] if self.table is None else [self.table]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        table = self._table("forward")
        if x.ndim != 3 or x.shape[1] > self.context or x.shape[2] != self.features:
            raise ValueError(f"x must have shape (any, up to {self.context}, {self.features}); got {x.shape}")
        self._shape = x.shape if train else None
        return x + table.value[: x.shape[1]]

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._shape is None:
            raise no_forward(self)
        check_gradient(d, self._shape)
        total = d.sum(axis=0)
        if not np.isfinite(total).all():
            raise ValueError("d must hold finite float32 numbers, with finite sums; got others")
        self._table("backward").gradient[: len(total)] += total
        return d

    def update(self, lr: float) -> None:
        self._table("update").step(lr)

    def _entries(self) -> dict[str, Entry]:
        return {"table": part(self._table("state_dict or load_state_dict"))}


def indices(name: str, value: Any, n: int) -> np.ndarray:
    """Return integers checked to be from 0 to n - 1."""
    array = plain_array(name, value, "integers")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers from 0 to {n - 1}; got dtype {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= n):
        raise ValueError(f"{name} must be integers from 0 to {n - 1}; got {array.min()} to {array.max()}")
    return array
