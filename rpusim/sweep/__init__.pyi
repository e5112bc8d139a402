from rpusim.sweep.designs import Range
from rpusim.sweep.figures import heat_map, lines, overview, pareto_front, sensitivities
from rpusim.sweep.files import read_study
from rpusim.sweep.pages import save_report
from rpusim.sweep.points import Point, Study
from rpusim.sweep.results import Results, load
from rpusim.sweep.running import run
from rpusim.sweep.settings import SettingError
from rpusim.sweep.store import Store

__all__ = [
    "Point", "Range", "Results", "SettingError", "Store", "Study", "heat_map", "lines", "load", "overview", "pareto_front",
    "read_study", "run", "save_report", "sensitivities",
]  # fmt: skip
