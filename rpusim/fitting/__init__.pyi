from rpusim.fitting.labels import NeuroSim, neurosim
from rpusim.fitting.lists import read_neurosim
from rpusim.fitting.ramps import Place, Ramps, read_ramps
from rpusim.fitting.result import FitResult, ModelScore
from rpusim.fitting.selection import fit

__all__ = [
    "FitResult",
    "ModelScore",
    "NeuroSim",
    "Place",
    "Ramps",
    "fit",
    "neurosim",
    "read_neurosim",
    "read_ramps",
]
