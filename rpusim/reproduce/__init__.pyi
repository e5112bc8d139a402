from rpusim.reproduce import gokmen2018, onen2022_fig4, rasch2018, wu2024_fig5
from rpusim.reproduce.base import Check, Reproduction, Result, get, names
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.gokmen2016 import stressed
from rpusim.reproduce.gokmen2017 import ladder
from rpusim.reproduce.rasch2024 import weight_programming

__all__ = [
    "Check", "Condition", "Reproduction", "Result", "get", "gokmen2018", "ladder", "names", "onen2022_fig4", "rasch2018",
    "stressed", "weight_programming", "wu2024_fig5",
]  # fmt: skip
