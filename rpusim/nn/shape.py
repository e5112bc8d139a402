"""Layers that change shapes only."""

from __future__ import annotations

import math

import numpy as np

from rpusim.nn.layer import Layer, check_gradient, check_signals, no_forward

__all__ = ["Flatten"]


class Flatten(Layer):
    """(batch, ...) -> (batch, all the rest).

    Examples
    --------
    >>> Flatten().forward(np.zeros((2, 3, 4, 4), np.float32)).shape
    (2, 48)
    """

    keeps_features = False
    in_flight = ("_shape",)

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        if x.ndim < 1:
            raise ValueError(f"x must have samples on its first axis; got shape {x.shape}")
        self._shape = x.shape if train else None
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._shape is None:
            raise no_forward(self)
        check_gradient(d, (self._shape[0], math.prod(self._shape[1:])))
        return d.reshape(self._shape)
