from rpusim.devices import presets
from rpusim.devices.base import Device, Drift, PulsedDevice
from rpusim.devices.cells import OneSidedCell, ReferenceCell, UnitCell, VectorCell
from rpusim.devices.fitting import FitResult, ModelScore, fit
from rpusim.devices.ideal import Ideal
from rpusim.devices.nonlinear import ExpStep, FromResponse, PiecewiseStep, PowStep, PowStepReference
from rpusim.devices.ramps import Ramps, read_ramps
from rpusim.devices.step import AbruptReset, ConstantStep, LinearStep, SoftBounds, SoftBoundsPmax, SoftBoundsReference
from rpusim.devices.theory import ResponseTheory, response

__all__ = [
    "AbruptReset",
    "ConstantStep",
    "Device",
    "Drift",
    "ExpStep",
    "FitResult",
    "FromResponse",
    "Ideal",
    "LinearStep",
    "OneSidedCell",
    "ModelScore",
    "PiecewiseStep",
    "PowStep",
    "PowStepReference",
    "PulsedDevice",
    "ReferenceCell",
    "Ramps",
    "ResponseTheory",
    "SoftBounds",
    "SoftBoundsPmax",
    "SoftBoundsReference",
    "UnitCell",
    "VectorCell",
    "fit",
    "presets",
    "read_ramps",
    "response",
]
