"""Published figures and tables, computed anew and set beside what was printed.

Each is a `Reproduction` in a registry: `names` lists them, `get` returns one, and the command `rpusim reproduce NAME` runs one,
prints what was measured beside what was published, and writes a JSON file and a figure.
"""

from rpusim.reproduce import li2025, onen2022, wu2024, wu2025, xiao2026  # noqa: F401 (they enter the registry)
from rpusim.reproduce.base import Check, Reproduction, Result, get, names
from rpusim.reproduce.gokmen2016 import stressed
from rpusim.reproduce.gokmen2017 import ladder
from rpusim.reproduce.rasch2024 import weight_programming

__all__ = ["Check", "Reproduction", "Result", "get", "ladder", "names", "stressed", "weight_programming"]
