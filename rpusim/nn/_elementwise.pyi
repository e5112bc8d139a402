from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]: ...
def sigmoid_gradient(y: NDArray[np.float32], d: NDArray[np.float32]) -> NDArray[np.float32]: ...
def tanh(x: NDArray[np.float32]) -> NDArray[np.float32]: ...
def tanh_gradient(y: NDArray[np.float32], d: NDArray[np.float32]) -> NDArray[np.float32]: ...
def lstm_forward(
    vectors: NDArray[np.float32],
    n: int,
    start: NDArray[np.float32],
    c: NDArray[np.float32],
    gates: NDArray[np.float32],
    squashed: NDArray[np.float32],
    out: NDArray[np.float32],
    forward: Callable[[NDArray[np.float32], NDArray[np.float32]], Any] | None,
    read: Callable[[int], NDArray[np.float32]],
) -> int: ...
def lstm_backward(
    d: NDArray[np.float32],
    n: int,
    c: NDArray[np.float32],
    gates: NDArray[np.float32],
    squashed: NDArray[np.float32],
    deltas: NDArray[np.float32],
    z: NDArray[np.float32] | None,
    backward: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None,
    read_back: Callable[[int, NDArray[np.float32]], NDArray[np.float32]],
) -> None: ...
def cross_entropy(outputs: NDArray[np.float32], labels: NDArray[np.intp]) -> tuple[float, NDArray[np.float32]]: ...
