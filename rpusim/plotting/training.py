"""Figures of training."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes

from rpusim.nn import History
from rpusim.plotting.style import axes

__all__ = ["learning_curve"]


def learning_curve(histories: Mapping[str, History], *, ax: Axes | None = None) -> Axes:
    """Draw test error in percent against epoch, one line per named history."""
    ax = axes(ax)
    for name, history in histories.items():
        ax.plot(
            range(1, len(history) + 1),
            [math.nan if e is None else e for e in history.test_error],
            "o-",
            markersize=3,
            label=name,
        )
    ax.set(xlabel="epoch", ylabel="test error (%)")
    ax.set_ylim(bottom=0.0)
    if histories:
        ax.legend()
    return ax
