"""Pictures of networks on chips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from rpusim.plotting.style import axes

if TYPE_CHECKING:
    from rpusim.inference.evaluation import InferenceResult

__all__ = ["inference_curve"]

#: marks of times, in seconds
TIMES = {1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", 86400.0: "1 d", 2592000.0: "30 d", 31536000.0: "1 y", 315360000.0: "10 y"}


def inference_curve(results: Mapping[str, InferenceResult], *, ax: Axes | None = None) -> Axes:
    """Draw a metric against the time after programming: means over programmings, with bands from the worst to the best.

    Parameters
    ----------
    results : mapping of str to InferenceResult
        By label; "" has no entry in the legend. What the first was before is a dashed line.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    ax = axes(ax)
    if not results:
        raise ValueError("results must have at least one result; got none")
    marks = set()
    for label, result in results.items():
        times = np.maximum(result.times_s, 1e-1 if result.times_s.min() == 0.0 else 0.0)
        percent = 100.0 if result.metric == "accuracy" else 1.0
        (line,) = ax.plot(times, percent * result.mean, marker="o", markersize=3, label=label or None)
        ax.fill_between(
            times, percent * result.values.min(axis=0), percent * result.values.max(axis=0), alpha=0.2, color=line.get_color()
        )
        marks |= set(times)
    first = next(iter(results.values()))
    percent = 100.0 if first.metric == "accuracy" else 1.0
    ax.axhline(percent * first.reference, color="0.4", linestyle="--", linewidth=1.0, label="before programming")
    ax.set_xscale("log")
    shown = {t: text for t, text in TIMES.items() if min(marks) <= t <= max(marks)}
    if shown:
        ax.set_xticks(list(shown), list(shown.values()))
        ax.minorticks_off()
    ax.set_xlabel("time after programming")
    ax.set_ylabel("accuracy (%)" if first.metric == "accuracy" else first.metric.replace("_", " "))
    ax.legend()
    return ax
