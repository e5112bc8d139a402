from rpusim import (
    algorithms,
    applications,
    datasets,
    devices,
    experiments,
    fitting,
    inference,
    interop,
    nn,
    plotting,
    reproduce,
    sweep,
    theory,
    wires,
)
from rpusim._base import checkpoint
from rpusim._base.citing import citations
from rpusim._base.specification import from_dict, from_json
from rpusim._base.threads import get_num_threads, set_num_threads, threads
from rpusim._base.version import __version__
from rpusim.arrays.cell import CellArray
from rpusim.arrays.counts import Programming, PulseCount, ReadCount, Written
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.arrays.pair import DifferentialPair
from rpusim.arrays.sliced import SlicedArray
from rpusim.arrays.technology import EventCost, Technology, cost
from rpusim.periphery.converters import ADC, DAC
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.wires.conductance import ConductanceScale
from rpusim.wires.lines import Wires
from rpusim.wires.network import solve_network
from rpusim.wires.writes import WriteWires

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
    "Written",
    "__version__",
    "algorithms",
    "applications",
    "checkpoint",
    "citations",
    "cost",
    "datasets",
    "devices",
    "experiments",
    "fitting",
    "from_dict",
    "from_json",
    "get_num_threads",
    "inference",
    "interop",
    "nn",
    "plotting",
    "reproduce",
    "set_num_threads",
    "solve_network",
    "sweep",
    "theory",
    "threads",
    "wires",
]
