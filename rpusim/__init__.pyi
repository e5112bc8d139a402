from rpusim import algorithms, checkpoint, datasets, devices, dynamics, experiments, nn, plotting, reproduce, wires
from rpusim._threads import get_num_threads, set_num_threads, threads
from rpusim._version import __version__
from rpusim.array import CrossbarArray, DifferentialPair, Programming, PulseCount, ReadCount
from rpusim.cells import CellArray
from rpusim.conductance import ConductanceScale
from rpusim.periphery import ADC, DAC, Periphery, PulseScheme
from rpusim.slicing import SlicedArray
from rpusim.specification import from_dict, from_json
from rpusim.technology import EventCost, Technology, cost
from rpusim.wires import Wires, WriteWires, solve_network

__all__ = [
    "ADC",
    "DAC",
    "CellArray",
    "ConductanceScale",
    "CrossbarArray",
    "DifferentialPair",
    "EventCost",
    "Periphery",
    "Programming",
    "PulseCount",
    "PulseScheme",
    "ReadCount",
    "SlicedArray",
    "Technology",
    "Wires",
    "WriteWires",
    "__version__",
    "algorithms",
    "checkpoint",
    "cost",
    "datasets",
    "devices",
    "dynamics",
    "experiments",
    "from_dict",
    "from_json",
    "get_num_threads",
    "nn",
    "plotting",
    "reproduce",
    "set_num_threads",
    "solve_network",
    "threads",
    "wires",
]
