"""Physics of resistive crossbar arrays, and the training algorithms that run on them."""

from importlib.metadata import PackageNotFoundError, version

from rpusim import algorithms, checkpoint, datasets, devices, dynamics, experiments, nn, reproduce
from rpusim.array import CrossbarArray, DifferentialPair, Programming, PulseCount, get_num_threads, set_num_threads
from rpusim.cells import CellArray
from rpusim.periphery import ADC, DAC, Periphery, PulseScheme
from rpusim.specification import from_dict, from_json

try:
    __version__ = version("rpusim")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "unknown"

__all__ = [
    "ADC",
    "DAC",
    "CellArray",
    "CrossbarArray",
    "DifferentialPair",
    "Periphery",
    "Programming",
    "PulseCount",
    "PulseScheme",
    "algorithms",
    "checkpoint",
    "datasets",
    "devices",
    "dynamics",
    "experiments",
    "from_dict",
    "from_json",
    "get_num_threads",
    "nn",
    "reproduce",
    "set_num_threads",
]
