import numpy as np
from numpy.typing import NDArray

from rpusim._core.array import ArrayCore

def transfer_update(
    fast: ArrayCore,
    reference: ArrayCore,
    slow: ArrayCore,
    x: NDArray[np.float32],
    d: NDArray[np.float32],
    fast_lr: float,
    slow_lr: float,
    every: int,
    hadamard: bool,
    counter: int,
) -> int: ...
