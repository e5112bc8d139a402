import numpy as np
from numpy.typing import NDArray

from rpusim._core.lock import Lock

QUAD: tuple[str, ...]

class Devices:
    rows: int
    columns: int
    key: int
    train_key: int
    granularity: float
    lock: Lock
    def __init__(
        self,
        w: NDArray[np.float32],
        model: str,
        granularity: float,
        noise_mult: float,
        noise_add: float,
        key: int,
        counts: NDArray[np.int64] | None = None,
        state: NDArray[np.float32] | None = None,
        write_noise: float = 0.0,
        constants: tuple[float, ...] = (),
    ) -> None: ...
    @property
    def parameter_names(self) -> tuple[str, ...]: ...
    def set_parameters(
        self, values: dict[str, NDArray[np.float32]], within: bool = False
    ) -> dict[str, NDArray[np.float32]]: ...
    def set_reset(self, level: NDArray[np.float32], std: float) -> None: ...
    def write(self, states: NDArray[np.float32], operation: int) -> None: ...
    def beyond(self, states: NDArray[np.float32]) -> tuple[int, float]: ...
    def reset(self, chosen: NDArray[np.uint8], operation: int) -> None: ...
    def alternate(self, pairs: int, total: NDArray[np.float64]) -> None: ...
    def pulse(self, counts: NDArray[np.int32]) -> None: ...
