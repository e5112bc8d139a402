from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._core.array import ArrayCore
from rpusim.algorithms.level import Level

SELECTIONS: dict[str, int]
BASELINES: dict[str, int]

class Transfer:
    def __init__(
        self,
        source: ArrayCore,
        reference: ArrayCore | None,
        target: ArrayCore,
        deeper: Transfer | None,
        level: Level,
        key: int,
        state: dict[str, NDArray[Any]],
    ) -> None: ...
    @property
    def chops(self) -> bool: ...

class TransferLoop:
    vectors: int
    x_mean: float
    d_mean: float
    def __init__(self, first: Transfer, auto_scale: bool = ..., decay: float = ...) -> None: ...
    def set_vectors(self, vectors: int) -> None: ...
    def run(self, x: NDArray[np.float32], d: NDArray[np.float32], fast_rate: float, rates: NDArray[np.float64]) -> None: ...
