"""Stochastic gradient descent: in float32 without physics, and by pulses on one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._random import RNG
from rpusim._validation import instance, optional
from rpusim.algorithms.base import Algorithm, Cost, Tile
from rpusim.array import CrossbarArray, PulseCount, check_entries
from rpusim.cells import CellArray
from rpusim.devices import ConstantStep, Device, Ideal, UnitCell
from rpusim.periphery import Periphery, PulseScheme
from rpusim.specification import parameter

__all__ = ["SGD", "DigitalSGD"]

is_device = instance(Device, "a device of rpusim.devices")
is_periphery = optional(instance(Periphery, "a Periphery"))
is_scheme = instance(PulseScheme, "a PulseScheme")


def is_single_device(name: str, value: Device) -> Device:
    """Check a device that is no cell of several, which only `SGD` takes."""
    if isinstance(is_device(name, value), UnitCell):
        raise TypeError(f"{name} must be a single device, not a cell, which SGD takes; got {value!r}")
    return value


@dataclass(frozen=True, repr=False)
class DigitalSGD(Algorithm):
    """W <- W - lr d x^T in float32, with exact reads: the baseline without physics.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.DigitalSGD().build((1, 2))
    >>> tile.update([1.0, 2.0], [1.0], lr=0.5)
    >>> tile.weights
    array([[-0.5, -1. ]], dtype=float32)
    """

    def build(self, shape: tuple[int, int], rng: RNG = None) -> ArrayTile:
        return ArrayTile(self, CrossbarArray(shape, Ideal(), forward=Periphery.ideal(), rng=rng))


@dataclass(frozen=True, repr=False)
class SGD(Algorithm):
    """Stochastic gradient descent by stochastic pulses on one array (Gokmen and Vlasov, 2016).

    On a device with response q_up(w), q_down(w) the weight follows, with F = (q_down + q_up) / 2 and
    G = (q_down - q_up) / 2, dW = -lr (g F + |g| G) per gradient g, so that an asymmetric device (G != 0) settles between the
    optimum and its symmetry point: `rpusim.dynamics.sgd_equilibrium`.

    Parameters
    ----------
    device : Device, default ConstantStep()
    forward, backward : Periphery or None
        As in `CrossbarArray`.
    pulses : PulseScheme

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.002))
    >>> rule
    SGD(device=SoftBounds(dw_min=0.002))
    >>> rule.build((10, 784), rng=0).shape
    (10, 784)
    """

    device: Device = parameter(ConstantStep, is_device)
    forward: Periphery | None = parameter(None, is_periphery)
    backward: Periphery | None = parameter(None, is_periphery)
    pulses: PulseScheme = parameter(PulseScheme, is_scheme)

    def build(self, shape: tuple[int, int], rng: RNG = None) -> ArrayTile:
        options: dict[str, Any] = dict(forward=self.forward, backward=self.backward, pulses=self.pulses, rng=rng)
        if isinstance(self.device, UnitCell):
            return ArrayTile(self, CellArray(shape, self.device, **options))
        return ArrayTile(self, CrossbarArray(shape, self.device, **options))


class ArrayTile(Tile):
    """A tile that is one array.

    Attributes
    ----------
    array : CrossbarArray or CellArray
    """

    def __init__(self, algorithm: Algorithm, array: CrossbarArray | CellArray) -> None:
        self.algorithm = algorithm
        self.array = array
        self.shape = array.shape

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self.array.forward(x, out)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self.array.backward(d, out)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        self.array.update(x, d, lr)

    def end_batch(self) -> None:
        self.array.end_batch()

    @property
    def weights(self) -> NDArray[np.float32]:
        return self.array.weights

    def program(self, weights: ArrayLike) -> None:
        self.array.program(weights)

    @property
    def pulse_count(self) -> PulseCount:
        return self.array.pulse_count

    @property
    def weight_arrays(self) -> tuple[CrossbarArray, ...]:
        return self.array.arrays if isinstance(self.array, CellArray) else (self.array,)

    def cost(self) -> Cost:
        if isinstance(self.array, CellArray):
            return Cost(arrays=len(self.array.arrays))
        if isinstance(self.array.device, Ideal):
            return Cost(arrays=1, updates=0.0, products=float(self.shape[0] * self.shape[1]))
        return Cost(arrays=1)

    def state_dict(self) -> dict[str, Any]:
        return {"array": self.array.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check_entries("state", state, {"array": None})
        self.array.load_state_dict(state["array"])
