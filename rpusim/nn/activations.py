"""Functions of single numbers."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from rpusim.nn._elementwise import sigmoid, sigmoid_gradient, tanh, tanh_gradient
from rpusim.nn.layer import Layer, check_gradient, check_signals, no_forward

__all__ = ["GELU", "ReLU", "Sigmoid", "Tanh"]


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def _relu_gradient(y: np.ndarray, d: np.ndarray) -> np.ndarray:
    return d * (y > 0)


class _Activation(Layer):
    """An elementwise function; it keeps its output, from which its derivative follows."""

    in_flight = ("_output",)
    #: of inputs, and of outputs and their gradients
    _function: ClassVar[staticmethod[[np.ndarray], np.ndarray]]
    _gradient: ClassVar[staticmethod[[np.ndarray, np.ndarray], np.ndarray]]

    def __init__(self) -> None:
        self._output: np.ndarray | None = None

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        y = self._function(x)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._output is None:
            raise no_forward(self)
        check_gradient(d, self._output.shape)
        return self._gradient(self._output, d)


class Sigmoid(_Activation):
    """y = 1 / (1 + exp(-x)), without overflow at any x; dy/dx = y (1 - y).

    Examples
    --------
    >>> Sigmoid().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    _function, _gradient = staticmethod(sigmoid), staticmethod(sigmoid_gradient)


class Tanh(_Activation):
    """y = tanh(x); dy/dx = 1 - y^2.

    Examples
    --------
    >>> Tanh().forward(np.zeros((1, 2), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    _function, _gradient = staticmethod(tanh), staticmethod(tanh_gradient)


class ReLU(_Activation):
    """y = max(x, 0); dy/dx = 1 where x > 0, else 0.

    Examples
    --------
    >>> ReLU().forward(np.array([[-1, 2]], np.float32))
    array([[0., 2.]], dtype=float32)
    """

    _function, _gradient = staticmethod(_relu), staticmethod(_relu_gradient)


class GELU(Layer):
    """y = x / 2 (1 + t), t = tanh(c (x + 0.044715 x^3)), c = sqrt(2 / pi) (Hendrycks and Gimpel, 2016).

    Examples
    --------
    >>> GELU().forward(np.array([[0.0, 1.0]], np.float32)).round(4)
    array([[0.    , 0.8412]], dtype=float32)
    """

    in_flight = ("_kept",)

    def __init__(self) -> None:
        self._kept: tuple[np.ndarray, np.ndarray] | None = None

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        square = x * x
        t = np.tanh(np.float32(math.sqrt(2.0 / math.pi)) * x * (np.float32(0.044715) * square + np.float32(1.0)))
        self._kept = (x, t) if train else None
        return np.float32(0.5) * x * (np.float32(1.0) + t)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        x, t = self._kept
        check_gradient(d, x.shape)
        slope = np.float32(math.sqrt(2.0 / math.pi)) * (np.float32(1.0) + np.float32(0.134145) * x * x)
        return d * np.float32(0.5) * ((np.float32(1.0) + t) + x * (np.float32(1.0) - t * t) * slope)
