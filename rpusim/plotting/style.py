"""One look for all figures, and saving them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpusim._base.checkpoint import atomic_file

__all__ = ["COLORS", "axes", "save", "style"]

#: Okabe and Ito's colours, told apart by colour-blind readers and in grey.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MOST_LINES = 10_000  # that a picture shows


def style() -> Any:
    """Return the matplotlib settings of the figures, for `matplotlib.rc_context`."""
    return {
        "axes.grid": True,
        "axes.prop_cycle": f"cycler('color', {list(COLORS)!r})",
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": "small",
        "lines.linewidth": 1.2,
        "svg.fonttype": "none",
        "svg.hashsalt": "rpusim",
    }


def axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the current Axes of pyplot where it is None."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.gca()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes or None; got {type(ax).__name__}")
    return ax


def save(figure: Figure, path: str | Path) -> list[Path]:
    """Save `figure` as `path`.png and `path`.svg, each whole or not at all, making the folder; return the two paths."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    written, layout = [], figure.get_layout_engine()
    try:
        for ending, settings in ((".png", {"dpi": 200}), (".svg", {"metadata": {"Date": None}})):
            target = path.with_name(path.name + ending)
            with atomic_file(target) as file:
                figure.savefig(file, format=ending[1:], **settings)
            written.append(target)
            figure.set_layout_engine("none")  # what has been laid out stays so: that takes as long as drawing
    finally:
        figure.set_layout_engine(layout)
    return written
