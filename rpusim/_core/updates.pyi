from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rpusim._core.devices import Devices

PULSE_TYPES: dict[str, int]

class Updater:
    write_wires: Callable[[], None] | None
    def __init__(self, devices: Devices) -> None: ...
    def set_fired(self, fired: NDArray[np.int64]) -> None: ...
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
