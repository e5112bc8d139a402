"""Pooling of images and signals."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim._base.validation import integer_value
from rpusim.nn.layer import Layer, check_gradient, check_signals, no_forward
from rpusim.nn.windows import Pair, Windows, short

__all__ = ["AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]


class _Pool(Layer):
    keeps_features = False
    in_flight = ("_kept",)

    def __init__(self, size: Pair, stride: Pair | None = None) -> None:
        self.windows = Windows(size, size if stride is None else stride, 0, 1)
        self._kept: Any = None

    size = property(lambda self: short(self.windows.kernel))
    stride = property(lambda self: None if self.windows.stride == self.windows.kernel else short(self.windows.stride))

    @staticmethod
    def _check_axes(x: np.ndarray, train: bool) -> None:
        check_signals("x", x, train)
        if x.ndim != 4:
            raise ValueError(f"x must have shape (any, any, any, any): images, channels, height, width; got {x.shape}")


class MaxPool2d(_Pool):
    """The largest value in every window of images (batch, channels, height, width); the first one where several are.

    Parameters
    ----------
    size : int or (int, int)
        Of the window.
    stride : int or (int, int), optional
        By default `size`.

    Examples
    --------
    >>> MaxPool2d(2).forward(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        self._check_axes(x, train)
        y, places = self.windows.largest(x)
        self._kept = (places, x) if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        places, x = self._kept
        check_gradient(d, places.shape)
        z = np.zeros_like(x, np.float32)  # as x has its axes in memory
        self.windows.to_places(d, places, z)
        return z


class AvgPool2d(_Pool):
    """The mean of every window of images (batch, channels, height, width).

    Parameters
    ----------
    size : int or (int, int)
        Of the window.
    stride : int or (int, int), optional
        By default `size`.

    Examples
    --------
    >>> AvgPool2d(2).forward(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        self._check_axes(x, train)
        y = self.windows.mean(x)
        self._kept = (y.shape, x) if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        outputs, x = self._kept
        check_gradient(d, outputs)
        z = np.zeros_like(x, np.float32)  # as x has its axes in memory
        self.windows.spread(d, z)
        return z


class _Pool1d(_Pool):
    """Pooling of signals (batch, channels, length), as of images of height 1."""

    def __init__(self, size: int, stride: int | None = None) -> None:
        k = integer_value("size", size, low=1)
        super().__init__((1, k), None if stride is None else (1, integer_value("stride", stride, low=1)))

    size = property(lambda self: self.windows.kernel[1])
    stride = property(lambda self: None if self.windows.stride == self.windows.kernel else self.windows.stride[1])

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        if x.ndim != 3:
            raise ValueError(f"x must have shape (any, any, any): signals, channels, length; got {x.shape}")
        return super().forward(x[:, :, None], train)[:, :, 0]

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        check_signals("d", d)
        check_signals("d", d)
        if d.ndim != 3:
            raise ValueError(f"d must have shape (any, any, any), that of the outputs; got {d.shape}")
        z = super().backward(d[..., None, :], input_gradient)
        return None if z is None else z[:, :, 0]


class MaxPool1d(_Pool1d, MaxPool2d):
    """As `MaxPool2d`, for signals (batch, channels, length).

    Parameters
    ----------
    size : int
        Of the window.
    stride : int, optional
        By default `size`.

    Examples
    --------
    >>> MaxPool1d(2).forward(np.array([[[1, 3, 2, 0]]], np.float32)).tolist()
    [[[3.0, 2.0]]]
    """


class AvgPool1d(_Pool1d, AvgPool2d):
    """As `AvgPool2d`, for signals (batch, channels, length).

    Parameters
    ----------
    size : int
        Of the window.
    stride : int, optional
        By default `size`.

    Examples
    --------
    >>> AvgPool1d(2).forward(np.array([[[1, 3, 2, 0]]], np.float32)).tolist()
    [[[2.0, 1.0]]]
    """
