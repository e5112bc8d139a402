import numpy as np
from numpy.typing import NDArray

from rpusim._core.array import ArrayCore

RULES: dict[str, int]

class DigitalLoop:
    vectors: int
    def __init__(
        self,
        target: ArrayCore,
        chi: NDArray[np.float32],
        key: int,
        *,
        rule: str,
        every: int,
        rows_per_transfer: int,
        random_rows: bool = ...,
        late: bool = ...,
        x_levels: int = ...,
        d_levels: int = ...,
        x_stochastic: bool = ...,
        d_stochastic: bool = ...,
        granularity: float = ...,
        rate: float = ...,
        most: float = ...,
        threshold: float = ...,
        dead_zone: float = ...,
        minus: ArrayCore | None = ...,
    ) -> None: ...
    def set_vectors(self, vectors: int) -> None: ...
    def run(self, x: NDArray[np.float32], d: NDArray[np.float32], lr: float) -> None: ...
