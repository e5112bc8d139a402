from rpusim.arrays.cell import CellArray
from rpusim.arrays.counts import Programming, PulseCount, ReadCount, Written
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.arrays.pair import DifferentialPair
from rpusim.arrays.sliced import SlicedArray
from rpusim.arrays.technology import EventCost, Technology, cost

__all__ = [
    "CellArray",
    "CrossbarArray",
    "DifferentialPair",
    "EventCost",
    "Programming",
    "PulseCount",
    "ReadCount",
    "SlicedArray",
    "Technology",
    "Written",
    "cost",
]
