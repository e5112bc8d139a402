"""Products of arrays whose devices are read as they are: through wires, and with noise that is new for every vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._core.kernels import normals
from rpusim.inference.chip import Chip
from rpusim.inference.converters import Scaling
from rpusim.wires.network import Network
from rpusim.wires.product import bent

__all__ = ["DeviceProduct"]


class DeviceProduct:
    """What takes the place of the matrix product of an array on a chip.

    Parameters
    ----------
    chip : Chip
    conductances : float32 array (devices, outputs, inputs)
        Of all devices, in siemens; (devices, outputs + 1, inputs) with a column of references.
    scaling : Scaling
    noise : float32 array or None
        Standard deviation of the noise of each device, new for every vector, in siemens.
    key : int
        Of the stream of that noise.
    """

    def __init__(
        self, chip: Chip, conductances: NDArray[np.float32], scaling: Scaling, noise: NDArray[np.float32] | None, key: int
    ) -> None:
        self._converter, self._scaling = chip.converter, scaling
        self._power = None if noise is None else self._variances(noise.astype(np.float64))
        self._key, self._reads = key, 0
        self._effective: NDArray[np.float64] | None = None
        self._alpha, self._volts = chip.periphery.nonlinearity, chip.periphery.read_voltage or 1.0
        self._planes: list[Network] = []
        if chip.periphery.wires is not None:
            planes = [Network(np.ascontiguousarray(g.T.astype(np.float64)), chip.periphery.wires) for g in conductances]
            if self._alpha > 0.0:
                self._planes = planes  # every vector is a solve of its own
            else:
                self._effective = self._weights(np.stack([plane.effective().T for plane in planes]))

    def _weights(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Normalised weights of conductances, in float64."""
        scaling = self._scaling
        w: NDArray[np.float64] = self._converter.combined(g) - scaling.offset
        return w / scaling.siemens_per_weight / scaling.largest

    def _variances(self, std: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variances of normalised weights."""
        scaling = self._scaling
        return self._converter.combined_variance(std) / (scaling.siemens_per_weight * scaling.largest) ** 2

    def _product(self, w: NDArray[Any], x: NDArray[np.float32], transposed: bool) -> NDArray[np.float64]:
        if self._planes:
            v = self._volts * x.astype(np.float64)
            found = [
                p.solution(v, transposed=transposed, nonlinearity=self._alpha).currents.T / self._volts for p in self._planes
            ]
            scaling = self._scaling
            total = self._converter.combined(np.stack(found)) - scaling.offset * x.sum(axis=1)
            return np.ascontiguousarray((total / scaling.siemens_per_weight / scaling.largest).T)
        signal = bent(x, self._alpha, self._volts) if self._alpha > 0.0 else x
        return np.asarray(signal @ (w if transposed else w.T), np.float64)

    def __call__(self, weights: NDArray[np.float32], x: NDArray[np.float32], transposed: bool) -> NDArray[np.float64]:
        y = self._product(weights if self._effective is None else self._effective, x, transposed)
        if transposed:
            return y
        if self._power is not None:
            xi = normals(self._key, y.size, operation=self._reads).reshape(y.shape)
            self._reads += 1
            y += np.sqrt(x.astype(np.float64) ** 2 @ self._power.T) * xi
        return y
