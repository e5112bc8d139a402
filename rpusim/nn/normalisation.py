"""Layers that keep signals in range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rpusim._base.random import RNG, key, seed_sequence
from rpusim._base.state import Entry, attribute, buffer, part, value
from rpusim._base.validation import integer, integer_value, physical, real, room_for
from rpusim._core.kernels import KINDS, uniforms
from rpusim.nn.layer import Layer, check_gradient, check_signals, no_forward
from rpusim.nn.optimizers import Parameter

__all__ = ["BatchNorm", "Dropout", "LayerNorm"]


class Dropout(Layer):
    """In training, each element is 0 with probability `p`, else divided by 1 - p; without training, the identity.

    Parameters
    ----------
    p : float
        Probability, at least 0 and below 1.

    Examples
    --------
    >>> layer = Dropout(0.5)
    >>> layer.build(rng=0)
    >>> sorted(set(layer.forward(np.ones((1, 100), np.float32)).ravel().tolist()))
    [0.0, 2.0]
    """

    trainable = True
    in_flight = ("_mask",)

    def __init__(self, p: float) -> None:
        self.p = real(0.0, 1.0, open_high=True)("p", p)
        self._key: int | None = None
        self._calls = 0
        self._mask: np.ndarray | None = None

    @property
    def built(self) -> bool:
        return self._key is not None

    def build(self, rng: RNG = None) -> None:
        self._key, self._calls = key(seed_sequence(rng)), 0

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        self._mask = None
        if not train:
            return x
        if self._key is None:
            raise RuntimeError("Dropout: call build(rng) before forward")
        draws = uniforms(self._key, x.size, operation=self._calls, kind=KINDS["reset_choice"]).reshape(x.shape)
        self._calls += 1
        self._mask = (draws > self.p) * np.float32(1.0 / (1.0 - self.p))
        return x * self._mask

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._mask is None:
            raise no_forward(self)
        check_gradient(d, self._mask.shape)
        return d * self._mask

    def _entries(self) -> dict[str, Entry]:
        return {
            "key": value(self._built_key, lambda key: setattr(self, "_key", key), integer(0, 2**64 - 1)),
            "calls": attribute(self, "_calls", integer(0, 2**55)),
        }

    def _built_key(self) -> int:
        if self._key is None:
            raise RuntimeError("Dropout: call build(rng) before state_dict")
        return self._key


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, for each feature; digital.

    In training, mean and variance are those of the batch (and positions), and running averages of them are kept, which are
    used otherwise (Ioffe and Szegedy, 2015).

    Parameters
    ----------
    features : int
        Length of the second axis: vectors (batch, features) or images (batch, features, height, width).
    momentum : float, default 0.1
        Weight of the newest batch in the running averages.
    epsilon : float, default 1e-5

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]], np.float32)
    >>> BatchNorm(1).forward(x).round(3).tolist()
    [[-1.0], [1.0]]
    """

    trainable = True
    in_flight = ("_kept",)

    def __init__(self, features: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        self.features = integer_value("features", features, low=1)
        room_for("features", features, 6 * self.features)
        self.momentum = real(0.0, 1.0)("momentum", momentum)
        self.epsilon = physical(0.0, open_low=True)("epsilon", epsilon)
        self.gamma, self.beta = Parameter(np.ones(self.features)), Parameter(np.zeros(self.features))
        self.build()

    def build(self, rng: RNG = None) -> None:
        """Begin with gamma = 1, beta = 0 and averages of 0 and 1."""
        self.gamma.reset(1.0)
        self.beta.reset(0.0)
        self.mean, self.variance = np.zeros(self.features, np.float32), np.ones(self.features, np.float32)
        self._kept: Any = None
        self._gathered: list[tuple[int, np.ndarray, np.ndarray]] | None = None

    @contextmanager
    def recalibration(self) -> Iterator[None]:
        """Within the block, reads without training are normalised by their own mean and variance; at its end the averages are
        those of all values that came."""
        self._gathered = []
        try:
            yield
            if self._gathered:
                counts, means, variances = (np.array(one) for one in zip(*self._gathered, strict=True))
                share = (counts / counts.sum())[:, None]
                mean = (share * means).sum(axis=0)
                self.mean[...] = mean
                self.variance[...] = (share * (variances + (means - mean) ** 2)).sum(axis=0)
        finally:
            self._gathered = None

    def _gather(self, x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Note mean and variance of a batch, and return them."""
        assert self._gathered is not None
        mean, variance = x.mean(axis=axes, dtype=np.float64), x.var(axis=axes, dtype=np.float64)
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise ValueError("x must hold finite float32 numbers, with a finite variance; got others")
        self._gathered.append((x.size // self.features, mean, variance))
        return mean.astype(np.float32), variance.astype(np.float32)

    def parameters(self) -> list[Parameter]:
        return [self.gamma, self.beta]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        if x.ndim < 2 or x.shape[1] != self.features:
            raise ValueError(f"x must have {self.features} features on its second axis; got shape {x.shape}")
        axes = (0, *range(2, x.ndim))
        form = (1, self.features, *(1,) * (x.ndim - 2))
        mean, variance = self.mean, self.variance
        if self._gathered is not None and not train:
            mean, variance = self._gather(x, axes)
        if train:
            n = x.size // self.features
            if n < 2:
                raise ValueError(f"x must hold at least 2 values per feature in training; got shape {x.shape}")
            with np.errstate(over="ignore", invalid="ignore"):
                mean = x.mean(axis=axes, dtype=np.float64).astype(np.float32)
                variance = x.var(axis=axes, dtype=np.float64).astype(np.float32)
            if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
                raise ValueError("x must hold finite float32 numbers, with a finite variance; got others")
            m = np.float32(self.momentum)
            self.mean += m * (mean - self.mean)
            self.variance += m * (variance * np.float32(n / (n - 1)) - self.variance)
        scale = (1.0 / np.sqrt(variance + np.float32(self.epsilon))).astype(np.float32)
        normal = (x - mean.reshape(form)) * scale.reshape(form)
        self._kept = (normal, scale, axes, form) if train else None
        return normal * self.gamma.value.reshape(form) + self.beta.value.reshape(form)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        normal, scale, axes, form = self._kept
        check_gradient(d, normal.shape)
        total, product = d.sum(axis=axes), (d * normal).sum(axis=axes)
        if not (np.isfinite(total).all() and np.isfinite(product).all()):
            raise ValueError("d must hold finite float32 numbers, with finite sums; got others")
        self.beta.gradient += total
        self.gamma.gradient += product
        if not input_gradient:
            return None
        n = np.float32(d.size // self.features)
        inner = d - (total / n).reshape(form) - normal * (product / n).reshape(form)
        return inner * (self.gamma.value * scale).reshape(form)

    def update(self, lr: float) -> None:
        self.gamma.step(lr)
        self.beta.step(lr)

    def _entries(self) -> dict[str, Entry]:
        return {
            "gamma": part(self.gamma),
            "beta": part(self.beta),
            "mean": buffer(self.mean),
            "variance": buffer(self.variance),
        }


class LayerNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the mean and variance of each vector; digital.

    Parameters
    ----------
    features : int
        Length of the last axis.
    epsilon : float, default 1e-5

    Notes
    -----
    Ba, Kiros and Hinton (2016).

    Examples
    --------
    >>> LayerNorm(2).forward(np.array([[1.0, 3.0]], np.float32)).round(3).tolist()
    [[-1.0, 1.0]]
    """

    trainable = True
    in_flight = ("_kept",)

    def __init__(self, features: int, epsilon: float = 1e-5) -> None:
        self.features = integer_value("features", features, low=1)
        room_for("features", features, 6 * self.features)
        self.epsilon = physical(0.0, open_low=True)("epsilon", epsilon)
        self.in_features = self.out_features = self.features
        self.gamma, self.beta = Parameter(np.ones(self.features)), Parameter(np.zeros(self.features))
        self.build()

    def build(self, rng: RNG = None) -> None:
        """Begin with gamma = 1 and beta = 0."""
        self.gamma.reset(1.0)
        self.beta.reset(0.0)
        self._kept: Any = None

    def parameters(self) -> list[Parameter]:
        return [self.gamma, self.beta]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        if x.ndim < 2 or x.shape[-1] != self.features:
            raise ValueError(f"x must have {self.features} features on its last axis; got shape {x.shape}")
        normal = x - x.mean(axis=-1, keepdims=True)
        scale = np.einsum("...i,...i->...", normal, normal)[..., None] / np.float32(self.features)
        if not np.isfinite(scale).all():
            raise ValueError("x must hold finite float32 numbers, with a finite variance; got others")
        scale = np.float32(1.0) / np.sqrt(scale + np.float32(self.epsilon))
        normal *= scale
        self._kept = (normal, scale) if train else None
        return normal * self.gamma.value + self.beta.value

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        normal, scale = self._kept
        check_gradient(d, normal.shape)
        axes = tuple(range(d.ndim - 1))
        total, product = d.sum(axis=axes), (d * normal).sum(axis=axes)
        if not (np.isfinite(total).all() and np.isfinite(product).all()):
            raise ValueError("d must hold finite float32 numbers, with finite sums; got others")
        self.beta.gradient += total
        self.gamma.gradient += product
        if not input_gradient:
            return None
        e = d * self.gamma.value
        inner = np.einsum("...i,...i->...", e, normal)[..., None] / np.float32(self.features)
        return (e - e.mean(axis=-1, keepdims=True) - normal * inner) * scale

    def update(self, lr: float) -> None:
        self.gamma.step(lr)
        self.beta.step(lr)

    def _entries(self) -> dict[str, Entry]:
        return {"gamma": part(self.gamma), "beta": part(self.beta)}
