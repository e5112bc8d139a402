"""The devices of an array, drawn block by block of rows, so that what is between the draws and the result stays in a cache.

Decided: one thread. Two take longer (measured: 4096 x 4096 SoftBounds 0.6 s, 0.4 s by one), as blocks are short calls of NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._core.kernels import normals, uniforms
from rpusim.devices.base import PulsedDevice

__all__ = []

BLOCK = 1 << 15  # devices of a block, or those of one row


class _Stream(np.random.Generator):
    """A generator whose normals and uniforms are float32 numbers of our own streams, each call from one of its own."""

    def __new__(cls, key: int, block: int) -> _Stream:
        return super().__new__(cls)

    def __init__(self, key: int, block: int) -> None:
        super().__init__(np.random.Philox(key=[key, block]))  # for what a device may draw beside
        self._key, self._block, self._calls = key, block, 0

    def _next(self, draw: Any, size: Any) -> Any:
        shape = () if size is None else (size,) if isinstance(size, (int, np.integer)) else tuple(size)
        out = draw(self._key, int(np.prod(shape)), line=self._calls, operation=self._block)
        self._calls += 1
        return out.reshape(shape) if shape else float(out[0])

    def standard_normal(self, size: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return self._next(normals, size)

    def random(self, size: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return 1.0 - self._next(uniforms, size)  # ours are in (0, 1], NumPy's in [0, 1)


def draw_devices(device: PulsedDevice, shape: tuple[int, int], key: int) -> dict[str, NDArray[np.float32]]:
    """Return all parameters of the devices of an array, each float32 of `shape`, or of shape (1, 1) where all are equal; those
    that kernels want side by side as views of one array (rows, columns, names)."""
    names = [name for name in device.parameter_names if name != "reference"]
    rows, columns = shape
    step = max(1, BLOCK // columns)
    starts = range(0, rows, step)

    def drawn(start: int) -> dict[str, NDArray[np.float32]]:
        return device.draw_parameters((min(step, rows - start), columns), _Stream(key, start // step))

    first = drawn(0)
    if len(starts) == 1:
        return first
    out = dict(first)
    for together in (names[:4], names[4:]):
        wide = [name for name in together if first[name].size > 1]
        if wide:
            packed = np.empty((*shape, len(together)), np.float32)
            out |= {name: packed[:, :, together.index(name)] for name in wide}
    out |= {name: np.empty(shape, np.float32) for name, value in first.items() if value.size > 1 and name not in names}

    for start in starts:
        for name, value in (first if start == 0 else drawn(start)).items():
            if first[name].size > 1:
                out[name][start : start + step] = value
    return out
