from rpusim.fitting.endurance import EnduranceResult, fit_endurance
from rpusim.fitting.kinds import KINDS, kind_of
from rpusim.fitting.labels import NeuroSim, neurosim
from rpusim.fitting.lists import read_neurosim
from rpusim.fitting.ramps import Place, Ramps, read_ramps
from rpusim.fitting.result import FitResult, ModelScore
from rpusim.fitting.retention import RetentionResult, fit_retention
from rpusim.fitting.selection import fit
from rpusim.fitting.series import Series, read_series
from rpusim.fitting.step_files import read_steps
from rpusim.fitting.steps import StepTable, fit_steps
from rpusim.fitting.sweeps import SweepResult, Sweeps, fit_sweeps, read_sweeps

__all__ = [
    "KINDS",
    "EnduranceResult",
    "FitResult",
    "ModelScore",
    "NeuroSim",
    "Place",
    "Ramps",
    "RetentionResult",
    "Series",
    "StepTable",
    "SweepResult",
    "Sweeps",
    "fit",
    "fit_endurance",
    "fit_retention",
    "fit_steps",
    "fit_sweeps",
    "kind_of",
    "neurosim",
    "read_neurosim",
    "read_ramps",
    "read_series",
    "read_steps",
    "read_sweeps",
]
