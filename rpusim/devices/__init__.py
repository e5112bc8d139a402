"""What one cross-point is: one frozen specification per response model."""

from rpusim.devices.base import Device, PulsedDevice
from rpusim.devices.ideal import Ideal
from rpusim.devices.step import ConstantStep, LinearStep, SoftBounds

__all__ = ["ConstantStep", "Device", "Ideal", "LinearStep", "PulsedDevice", "SoftBounds"]
