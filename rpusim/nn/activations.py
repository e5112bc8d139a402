"""Functions of single numbers."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rpusim.nn._elementwise import sigmoid, sigmoid_gradient, tanh, tanh_gradient
from rpusim.nn.layer import Layer, check_gradient, check_signals, no_forward

__all__ = ["ReLU", "Sigmoid", "Tanh"]


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
