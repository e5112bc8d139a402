import numpy as np
from numpy.typing import NDArray

def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]: ...
def sigmoid_gradient(y: NDArray[np.float32], d: NDArray[np.float32]) -> NDArray[np.float32]: ...
def lstm(
    a: NDArray[np.float32], before: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
def lstm_gradient(
    gates: NDArray[np.float32],
    before: NDArray[np.float32],
    squashed: NDArray[np.float32],
    dh: NDArray[np.float32],
    dc: NDArray[np.float32],
    delta: NDArray[np.float32],
) -> NDArray[np.float32]: ...
def cross_entropy(outputs: NDArray[np.float32], labels: NDArray[np.intp]) -> tuple[float, NDArray[np.float32]]: ...
