from rpusim.wires.conductance import ConductanceScale
from rpusim.wires.lines import Wires
from rpusim.wires.network import Network, solve_network
from rpusim.wires.solution import ConvergenceError, NetworkSolution
from rpusim.wires.writes import WriteWires, write_voltages

__all__ = [
    "ConductanceScale",
    "ConvergenceError",
    "Network",
    "NetworkSolution",
    "Wires",
    "WriteWires",
    "solve_network",
    "write_voltages",
]
