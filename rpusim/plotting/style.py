"""One look for all figures, and saving them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpusim._base.checkpoint import atomic_file
from rpusim._base.validation import choice

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


#: formats of figures, and what each is saved with: equal figures are equal files
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 200},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
_is_format = choice(*FORMATS)


def save(figure: Figure, path: str | Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Save `figure` in each format as `path` with its ending, or only as `path` where that has one of these endings.

    Parameters
    ----------
    figure : matplotlib Figure
    path : str or Path
        Its folder is made. A file is written whole or not at all.
    formats : sequence of {"png", "svg", "pdf"}

    Returns
    -------
    list of Path
    """
    path = Path(path)
    if path.suffix[1:] in FORMATS:
        path, formats = path.with_suffix(""), (path.suffix[1:],)
    formats = [_is_format("formats", one) for one in formats]
    path.parent.mkdir(parents=True, exist_ok=True)
    written, layout = [], figure.get_layout_engine()
    try:
        for one in formats:
            target = path.with_name(f"{path.name}.{one}")
            with atomic_file(target) as file:
                figure.savefig(file, format=one, **FORMATS[one])
            written.append(target)
            figure.set_layout_engine("none")  # what has been laid out stays so: that takes as long as drawing
    finally:
        figure.set_layout_engine(layout)
    return written
