import numpy as np
from numpy.typing import NDArray

from rpusim._core.lock import Lock

class NetworkCore:
    rows: int
    columns: int
    lock: Lock
    tolerance: float
    max_iterations: int
    iterations: int
    residual: float
    def __init__(
        self, words: NDArray[np.float64], bits: NDArray[np.float64], tolerance: float, max_iterations: int
    ) -> None: ...
    def py_factor(self, g: NDArray[np.float64]) -> None: ...
    def py_solve(self, v: NDArray[np.float64], out: NDArray[np.float64], transposed: bool, warm: bool) -> bool: ...
    def py_read_float(
        self, g: NDArray[np.float32], v: NDArray[np.float32], out: NDArray[np.float32], transposed: bool
    ) -> bool: ...
    def py_solution(
        self,
        word: NDArray[np.float64],
        bit: NDArray[np.float64],
        u: NDArray[np.float64],
        v: NDArray[np.float64],
        g: NDArray[np.float64] | None = None,
        emf: NDArray[np.float64] | None = None,
        ohmic: NDArray[np.float64] | None = None,
        device: NDArray[np.float64] | None = None,
        row_sums: NDArray[np.float64] | None = None,
        column_sums: NDArray[np.float64] | None = None,
        left: NDArray[np.float64] | None = None,
        above: NDArray[np.float64] | None = None,
    ) -> bool: ...
