"""What every training algorithm offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._random import RNG
from rpusim.array import PulseCount
from rpusim.specification import Specification

__all__ = ["Algorithm", "Tile"]


class Algorithm(Specification):
    """Specification of a training algorithm with its devices and peripheries."""

    def build(self, shape: tuple[int, int], rng: RNG = None) -> Tile:
        """Build the tile: a trainable weight of `shape` (outputs, inputs), all of its randomness seeded by `rng`."""
        raise TypeError(f"{type(self).__name__} does not build tiles; use one of its subclasses")


class Tile(ABC):
    """One trainable weight W (outputs, inputs), made of arrays.

    x has shape (batch, inputs), d and y (batch, outputs), or one dimension less for a single vector.
    """

    shape: tuple[int, int]
    algorithm: Algorithm

    def __repr__(self) -> str:
        return f"{self.algorithm!r}.build({self.shape})"

    @abstractmethod
    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read y = W x."""

    @abstractmethod
    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read z = W^T d."""

    @abstractmethod
    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Train on x and d = dE/dy, one vector after another: W moves along -lr d x^T as the algorithm has it."""

    @abstractmethod
    def end_batch(self) -> None:
        """Let the time of one mini-batch pass for the devices: decay and diffusion."""

    @property
    @abstractmethod
    def weights(self) -> NDArray[np.float32]:
        """Copy of the weight that forward reads."""

    @abstractmethod
    def program(self, weights: ArrayLike) -> None:
        """Write the weight ideally, clipped to the bounds of the devices."""

    @property
    @abstractmethod
    def pulse_count(self) -> PulseCount:
        """Up and down pulses fired so far on all of the tile's arrays."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything later results depend on, as a nested dict of arrays and plain values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; the tile then continues to the same bits."""
