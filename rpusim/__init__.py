"""Physics of resistive crossbar arrays, and the training algorithms that run on them."""

from rpusim import algorithms, devices
from rpusim.array import CrossbarArray, DifferentialPair, PulseCount, get_num_threads, set_num_threads
from rpusim.periphery import ADC, DAC, Periphery, PulseScheme
from rpusim.specification import from_dict, from_json

__all__ = [
    "ADC",
    "DAC",
    "CrossbarArray",
    "DifferentialPair",
    "Periphery",
    "PulseCount",
    "PulseScheme",
    "algorithms",
    "devices",
    "from_dict",
    "from_json",
    "get_num_threads",
    "set_num_threads",
]
