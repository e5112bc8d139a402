import numpy as np
from numpy.typing import NDArray

FORMS: dict[str, int]
LENGTHS: dict[str, int]

def run(
    y: NDArray[np.float64],
    direction: NDArray[np.float64],
    form: str,
    numbers: NDArray[np.float64],
    noises: NDArray[np.float64],
    bounds: NDArray[np.float64],
    start: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def respond(
    form: str, numbers: NDArray[np.float64], direction: float, start: float, low: float, high: float, values: int
) -> NDArray[np.float64]: ...
