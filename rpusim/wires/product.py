"""Matrix products through resistive lines, for reads of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.wires.conductance import ConductanceScale
from rpusim.wires.lines import Array, Wires, check_closed
from rpusim.wires.network import STEEPEST, Network

__all__ = []


def bent(x: NDArray[Any], alpha: float, volts: float) -> NDArray[np.float64]:
    """Return sinh(alpha V x) / (alpha V): what inputs x, as voltages V x, are to devices with i = G sinh(alpha v) / alpha.

    All devices of a line bend alike, so that a read through ideal lines is the product with these.
    """
    size = alpha * volts
    steepest = size * float(np.abs(x).max(initial=0.0))
    if steepest > STEEPEST:
        raise ValueError(
            f"read_voltage must be at most {STEEPEST:g} over nonlinearity and the largest input; got {steepest:.3g}"
        )
    return np.sinh(size * x.astype(np.float64)) / size


class BentProduct:
    """Products of the weights of an array through ideal lines, of devices that are not ohmic; see `bent`.

    Parameters
    ----------
    alpha : float
        1 / V.
    volts : float
        That an input of 1 is.
    """

    def __init__(self, alpha: float, volts: float) -> None:
        self._alpha, self._volts = alpha, volts

    def __call__(self, weights: NDArray[np.float32], x: NDArray[np.float32], transposed: bool) -> Array:
        """Return W x' (or W^T x' where `transposed`) for vectors x (vectors, inputs), x' = `bent` x."""
        w = weights.astype(np.float64)
        return bent(x, self._alpha, self._volts) @ (w if transposed else w.T)


class WiredProduct:
    """Products of the weights of an array with vectors, as resistive lines leave them: what `Periphery.wires` puts in the
    place of the exact product.

    The weights W (outputs, inputs) are mapped to conductances by `scale`; inputs are on the word lines. The product is the
    difference of two networks on the same voltages (one network for the mapping "single"), divided by the siemens of a unit
    of weight. Networks are factored when the weights have changed; after as many vectors as the shorter side is long, the
    effective matrix is found and used instead.

    Parameters
    ----------
    wires : Wires
        Without open lines.
    scale : ConductanceScale
    shape : (int, int)
        (outputs, inputs).
    alpha, volts : float, default 0, 1
        Of devices that are not ohmic, i = G sinh(alpha v) / alpha, and the voltage that an input of 1 is: each vector is then a
        solve of its own.
    """

    def __init__(
        self, wires: Wires, scale: ConductanceScale, shape: tuple[int, int], alpha: float = 0.0, volts: float = 1.0
    ) -> None:
        self._scale, self._alpha, self._volts = scale, alpha, volts
        outputs, inputs = shape
        words, bits = wires._lines(inputs, outputs)
        check_closed(wires, words, bits, "read")
        count = 1 if scale.mapping == "single" else 2
        self._networks = [Network(np.zeros((inputs, outputs)), wires) for _ in range(count)]
        self._held: NDArray[np.float32] | None = None
        self._effective: Array | None = None
        self._served = 0

    def __call__(self, weights: NDArray[np.float32], x: NDArray[np.float32], transposed: bool) -> Array:
        """Return W x (or W^T x where `transposed`) for vectors x (vectors, inputs)."""
        if self._held is None or not np.array_equal(self._held, weights):
            self._take(weights)
        if self._alpha > 0.0:
            v = self._volts * x.astype(np.float64)
            bends = (one.solution(v, transposed=transposed, nonlinearity=self._alpha).currents for one in self._networks)
            first, *rest = bends
            return (first - rest[0] if rest else first) / (self._scale.siemens_per_weight * self._volts)
        self._served += len(x)
        if self._effective is None and self._served > min(weights.shape):
            first, *rest = (network.effective() for network in self._networks)
            self._effective = (first - rest[0] if rest else first) / self._scale.siemens_per_weight
        if self._effective is not None:
            return x @ (self._effective.T if transposed else self._effective)
        first, *rest = (network.currents(x, transposed=transposed) for network in self._networks)
        return (first - rest[0] if rest else first) / self._scale.siemens_per_weight

    def _take(self, weights: NDArray[np.float32]) -> None:
        self._effective, self._served, self._held = None, 0, None
        for k, g in enumerate(self._scale.conductances(weights.T)):
            self._networks[k]._take(np.ascontiguousarray(g))
        self._held = weights.copy()
