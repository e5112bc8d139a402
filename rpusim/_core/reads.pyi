from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rpusim._core.devices import Devices
from rpusim._core.settings import ReadSettings

NOISE_MANAGEMENT: dict[str, int]
BOUND_MANAGEMENT: dict[str, int]
SIGN_HANDLING: dict[str, int]
READ_NOISE_LAWS: dict[str, int]

class Reader:
    averages: tuple[float, float]
    counts: Sequence[Sequence[int]]
    def __init__(self, devices: Devices) -> None: ...
    def set_parts(self, factor: float, devices: list[Devices], factors: list[float]) -> None: ...
    def set(self, transposed: int, settings: ReadSettings, tables: dict[str, NDArray[np.float32]]) -> None: ...
    def set_wires(self, transposed: int, product: object) -> None: ...
    def forward(self, x: object, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
    def backward(self, d: object, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
    def py_read(
        self, name: str, x: object, out: NDArray[np.float32] | None, transposed: int, reference: Devices | None
    ) -> NDArray[np.float32]: ...
