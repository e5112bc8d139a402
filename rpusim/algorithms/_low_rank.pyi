import numpy as np
from numpy.typing import NDArray

from rpusim._core.array import ArrayCore

class LowRankLoop:
    vectors: int
    def __init__(self, w: ArrayCore, a: ArrayCore, b: ArrayCore, every: int, spread: float, key: int) -> None: ...
    def set_vectors(self, vectors: int) -> None: ...
    def set_bounds(
        self,
        low_a: NDArray[np.float32],
        high_a: NDArray[np.float32],
        low_b: NDArray[np.float32],
        high_b: NDArray[np.float32],
    ) -> None: ...
    def start(self, event: int) -> None: ...
    def run(self, x: NDArray[np.float32], d: NDArray[np.float32], fast_rate: float, transfer_rate: float) -> None: ...
