"""Small experiments on real pulses: one or two parameters trained by SGD and by SHD, with theory beside them.

Everything here goes through arrays, converters and pulse trains; nothing is simulated on the side.
"""

from rpusim.experiments.oscillation import Period, oscillation_period
from rpusim.experiments.runs import (
    DEMO_DEVICES as DEMO_DEVICES,
)
from rpusim.experiments.runs import (
    RegressionRun,
    demo_algorithm,
    demo_device,
    regression,
    regressions,
    sweep,
)

__all__ = [
    "Period",
    "RegressionRun",
    "demo_algorithm",
    "demo_device",
    "oscillation_period",
    "regression",
    "regressions",
    "sweep",
]
