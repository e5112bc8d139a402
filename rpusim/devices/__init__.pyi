from rpusim.devices import presets
from rpusim.devices.base import Device, PulsedDevice
from rpusim.devices.cells import OneSidedCell, ReferenceCell, UnitCell, VectorCell
from rpusim.devices.ideal import Ideal
from rpusim.devices.nonlinear import ExpStep, FromResponse, PiecewiseStep, PowStep, PowStepReference
from rpusim.devices.step import AbruptReset, ConstantStep, LinearStep, SoftBounds, SoftBoundsPmax, SoftBoundsReference
from rpusim.effects.drift import Drift

__all__ = [
    "AbruptReset",
    "ConstantStep",
    "Device",
    "Drift",
    "ExpStep",
    "FromResponse",
    "Ideal",
    "LinearStep",
    "OneSidedCell",
    "PiecewiseStep",
    "PowStep",
    "PowStepReference",
    "PulsedDevice",
    "ReferenceCell",
    "SoftBounds",
    "SoftBoundsPmax",
    "SoftBoundsReference",
    "UnitCell",
    "VectorCell",
    "presets",
]
