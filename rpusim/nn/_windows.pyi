import numpy as np
from numpy.typing import NDArray

def gather(
    x: NDArray[np.float32], windows: tuple[int, ...], first: int, rows: int, columns: int, out: NDArray[np.float32]
) -> None: ...
def scatter(
    vectors: NDArray[np.float32], windows: tuple[int, ...], first: int, rows: int, columns: int, out: NDArray[np.float32]
) -> None: ...
def largest(
    x: NDArray[np.float32], windows: tuple[int, ...], rows: int, columns: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]: ...
def to_places(
    d: NDArray[np.float32], places: NDArray[np.int32], windows: tuple[int, ...], out: NDArray[np.float32]
) -> None: ...
