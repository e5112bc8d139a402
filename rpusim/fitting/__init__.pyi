from rpusim.fitting.labels import NeuroSim, neurosim
from rpusim.fitting.lists import read_neurosim
from rpusim.fitting.ramps import Place, Ramps, read_ramps
from rpusim.fitting.result import FitResult, ModelScore
from rpusim.fitting.selection import fit
from rpusim.fitting.step_files import read_steps
from rpusim.fitting.steps import StepTable, fit_steps

__all__ = [
    "FitResult",
    "ModelScore",
    "NeuroSim",
    "Place",
    "Ramps",
    "StepTable",
    "fit",
    "fit_steps",
    "neurosim",
    "read_neurosim",
    "read_ramps",
    "read_steps",
]
