from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rpusim._core.lock import Lock

NOISE_MANAGEMENT: tuple[str, ...]
BOUND_MANAGEMENT: tuple[str, ...]
PULSE_TYPES: tuple[str, ...]
SIGN_HANDLING: tuple[str, ...]
READ_NOISE_LAWS: tuple[str, ...]

def as_batch(name: str, value: object, n: int) -> NDArray[np.float32]: ...
def as_batches(x: object, d: object, rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...

class ArrayCore:
    rows: int
    columns: int
    key: int
    train_key: int
    granularity: float
    lock: Lock
    counters: tuple[int, int, int, int, int]
    averages: tuple[float, float]
    read_counts: Sequence[Sequence[int]]
    write_wires: Callable[[], None] | None
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
    def set_fired(self, fired: NDArray[np.int64]) -> None: ...
    def set_parts(self, factor: float, cores: list[ArrayCore], factors: list[float]) -> None: ...
    def set_direction(
        self,
        transposed: int,
        ideal: bool,
        plain: bool,
        c: dict[str, object],
        tables: dict[str, NDArray[np.float32]],
        noise_management: str,
        bound_management: str,
        nm_threshold: float,
        nm_decay: float,
        max_reduction: float,
        sum_factor: float,
        sum_limit: float,
        sign_handling: str,
        planes: int,
        read_noise: float,
        read_noise_law: str,
        out_scale: float,
    ) -> None: ...
    def set_wires(self, transposed: int, product: object) -> None: ...
    def set_scheme(
        self,
        pulse_type: str,
        desired_bl: int,
        update_management: bool,
        update_bl_management: bool,
        fixed_bl: bool,
        um_grad_scale: float,
        power_of_two_scales: bool,
        shared_random_numbers: bool,
    ) -> None: ...
    def py_update(self, x: object, d: object, lr: float) -> None: ...
    def py_read(
        self, name: str, x: object, out: NDArray[np.float32] | None, transposed: int, reference: ArrayCore | None
    ) -> NDArray[np.float32]: ...
    def set_parameters(self, values: list[NDArray[np.float32]], within: bool = False) -> list[NDArray[np.float32]]: ...
    def alternate(self, pairs: int, total: NDArray[np.float64]) -> None: ...
    def pulse(self, counts: NDArray[np.int32]) -> None: ...
