from rpusim.fitting.ramps import Place, Ramps, read_ramps
from rpusim.fitting.result import FitResult, ModelScore
from rpusim.fitting.selection import fit

__all__ = [
    "FitResult",
    "ModelScore",
    "Place",
    "Ramps",
    "fit",
    "read_ramps",
]
