"""Functions of single numbers."""

from __future__ import annotations

import numpy as np

from rpusim.nn._elementwise import sigmoid, sigmoid_gradient, tanh, tanh_gradient
from rpusim.nn.layer import Layer, check_gradient, no_forward

__all__ = ["ReLU", "Sigmoid", "Tanh"]


class _Activation(Layer):
    """An elementwise function; it keeps its output, from which its derivative follows."""

    in_flight = ("_output",)

    def __init__(self) -> None:
        self._output: np.ndarray | None = None


class Sigmoid(_Activation):
    """y = 1 / (1 + exp(-x)), without overflow at any x; dy/dx = y (1 - y).

    Examples
    --------
    >>> Sigmoid().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        y = sigmoid(x)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise no_forward(self)
        return sigmoid_gradient(y, d)


class Tanh(_Activation):
    """y = tanh(x); dy/dx = 1 - y^2.

    Examples
    --------
    >>> Tanh().forward(np.zeros((1, 2), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        y = tanh(x)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise no_forward(self)
        return tanh_gradient(y, d)


class ReLU(_Activation):
    """y = max(x, 0); dy/dx = 1 where x > 0, else 0.

    Examples
    --------
    >>> ReLU().forward(np.array([[-1, 2]], np.float32))
    array([[0., 2.]], dtype=float32)
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        y = np.maximum(x, 0)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise no_forward(self)
        check_gradient(d, y.shape)
        return d * (y > 0)
