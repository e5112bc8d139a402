from rpusim.periphery.converters import ADC, DAC
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = [
    "ADC",
    "DAC",
    "Periphery",
    "PulseScheme",
]
