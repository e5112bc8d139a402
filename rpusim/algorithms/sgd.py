"""Stochastic gradient descent: in float32 without physics, and by pulses on one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rpusim._base.random import RNG
from rpusim._base.specification import parameter
from rpusim.algorithms.base import Algorithm, ArrayTile, is_device, is_periphery, is_scheme
from rpusim.arrays.cell import CellArray
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.devices import ConstantStep, Device, Ideal, UnitCell
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = ["DigitalSGD", "SGD"]


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

    papers: ClassVar[tuple[str, ...]] = ()

    def build(self, shape: tuple[int, int], rng: RNG = None) -> ArrayTile:
        return ArrayTile(self, CrossbarArray(shape, Ideal(), forward=Periphery.ideal(), rng=rng))


@dataclass(frozen=True, repr=False)
class SGD(Algorithm):
    """Stochastic gradient descent by stochastic pulses on one array (Gokmen and Vlasov, 2016).

    On a device with response q_up(w), q_down(w) the weight follows, with F = (q_down + q_up) / 2 and
    G = (q_down - q_up) / 2, dW = -lr (g F + |g| G) per gradient g, so that an asymmetric device (G != 0) settles between the
    optimum and its symmetry point: `rpusim.theory.sgd_equilibrium`.

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

    papers: ClassVar[tuple[str, ...]] = ("gokmen2016",)

    device: Device = parameter(ConstantStep, is_device)
    forward: Periphery | None = parameter(None, is_periphery)
    backward: Periphery | None = parameter(None, is_periphery)
    pulses: PulseScheme = parameter(PulseScheme, is_scheme)

    def build(self, shape: tuple[int, int], rng: RNG = None) -> ArrayTile:
        options: dict[str, Any] = dict(forward=self.forward, backward=self.backward, pulses=self.pulses, rng=rng)
        if isinstance(self.device, UnitCell):
            return ArrayTile(self, CellArray(shape, self.device, **options))
        return ArrayTile(self, CrossbarArray(shape, self.device, **options))
