from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._core.array import ArrayCore

SELECTIONS: tuple[str, ...]
BASELINES: tuple[str, ...]

class Transfer:
    def __init__(
        self,
        source: ArrayCore,
        reference: ArrayCore | None,
        target: ArrayCore,
        deeper: Transfer | None,
        *,
        columns: bool,
        every: int,
        reads: int,
        selection: str,
        key: int,
        state: dict[str, NDArray[Any]],
        in_chop: float = ...,
        random_chops: bool = ...,
        regular_chops: bool = ...,
        out_chop: float = ...,
        period: int = ...,
        buffered: bool = ...,
        momentum: float = ...,
        forget: bool = ...,
        accumulate: bool = ...,
        leak: float = ...,
        cap: float = ...,
        max_pulses: int = ...,
        step_lr: float = ...,
        baseline: str = ...,
        track: float = ...,
        warm_up: int = ...,
        over_fast_rate: bool = ...,
        reset_prob: float = ...,
        reset_std: float = ...,
    ) -> None: ...
    @property
    def chops(self) -> bool: ...
    def cores(self) -> list[ArrayCore]: ...
    def set_reset(self, level: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]) -> None: ...

class TransferLoop:
    vectors: int
    x_mean: float
    d_mean: float
    def __init__(self, first: Transfer, auto_scale: bool = ..., decay: float = ...) -> None: ...
    def set_vectors(self, vectors: int) -> None: ...
    def run(self, x: NDArray[np.float32], d: NDArray[np.float32], fast_rate: float, rates: NDArray[np.float64]) -> None: ...
