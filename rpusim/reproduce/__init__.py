"""Published figures and tables, computed anew and set beside what was printed.

Each is a `Reproduction` in a registry: `names` lists them, `get` returns one, and the command `rpusim reproduce NAME` runs one,
prints what was measured beside what was published, and writes a JSON file and a figure.
"""

from rpusim.reproduce import (  # noqa: F401 (they enter the registry)
    gokmen2018,
    li2025,
    onen2022,
    onen2022_fig4,
    rasch2018,
    wu2024,
    wu2024_fig5,
    wu2025,
    xiao2026,
)
from rpusim.reproduce.base import Check, Reproduction, Result, get, names
from rpusim.reproduce.gokmen2016 import stressed
from rpusim.reproduce.gokmen2017 import ladder
from rpusim.reproduce.rasch2024 import weight_programming

__all__ = [
    "Check", "Reproduction", "Result", "get", "gokmen2018", "ladder", "names", "onen2022_fig4", "rasch2018", "stressed",
    "weight_programming", "wu2024_fig5",
]  # fmt: skip
