"""Pictures: every function draws into the Axes it is given (or the current one) and returns it."""

from rpusim.plotting.regression import hidden_against_weight, pulse_response, residuals, trajectories
from rpusim.plotting.style import save, style
from rpusim.plotting.training import learning_curve

__all__ = [
    "hidden_against_weight",
    "learning_curve",
    "pulse_response",
    "residuals",
    "save",
    "style",
    "trajectories",
]
