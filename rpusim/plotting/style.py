"""One look for all figures, made for print: widths, panels, legends, labels of axes, and saving.

Fonts are 7 and 8 points as printed: a figure is as wide as it will be printed, and is never scaled.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    ScalarFormatter,
)
from matplotlib.transforms import ScaledTranslation

from rpusim._base.checkpoint import atomic_file
from rpusim._base.validation import choice, real

__all__ = ["COLORS", "DOUBLE", "SINGLE", "axes", "legend", "name_axis", "panels", "save", "style", "whole"]

P = ParamSpec("P")

#: Okabe and Ito's colours, told apart by colour-blind readers and in grey.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MOST_LINES = 10_000  # that a picture shows
SINGLE, DOUBLE = 3.3, 7.0  # inches: one column of a journal, and two
NARROWEST = 2.2  # inches, of panels side by side
MOST_INCHES = 40.0
PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}

_width = real(2.0, MOST_INCHES)


def style() -> Any:
    """Return the matplotlib settings of the figures, for `matplotlib.rc_context`.

    Functions that return a figure use them by themselves; they are for figures of one's own, into whose Axes the others draw.

    Returns
    -------
    dict

    Examples
    --------
    >>> import matplotlib
    >>> import matplotlib.pyplot as plt
    >>> from rpusim import plotting
    >>> with matplotlib.rc_context(plotting.style()):
    ...     figure, ax = plt.subplots(figsize=(plotting.SINGLE, 2.0))
    >>> float(figure.get_figwidth())
    3.3
    >>> plt.close(figure)
    """
    return {
        "axes.grid": True,
        "axes.labelpad": 2.0,
        "axes.labelsize": 8,
        "axes.linewidth": 0.6,
        "axes.prop_cycle": f"cycler('color', {list(COLORS)!r})",
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlepad": 4.0,
        "axes.titlesize": 8,
        "figure.constrained_layout.use": True,
        "font.size": 8,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.5,
        "legend.borderaxespad": 0.0,
        "legend.borderpad": 0.0,
        "legend.columnspacing": 1.2,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "legend.handlelength": 1.5,
        "legend.handletextpad": 0.5,
        "legend.labelspacing": 0.3,
        "lines.linewidth": 1.0,
        "lines.markersize": 3.5,
        "pdf.fonttype": 42,
        "savefig.bbox": "standard",
        "svg.fonttype": "none",
        "svg.hashsalt": "rpusim",
        "xtick.labelsize": 7,
        "xtick.major.size": 2.5,
        "xtick.major.width": 0.6,
        "ytick.labelsize": 7,
        "ytick.major.size": 2.5,
        "ytick.major.width": 0.6,
    }


def whole(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that makes a figure: in this style, as high as its panels need beside labels and legends."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(style()):
            figure = draw(*args, **kwargs)
            for axis in [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) if axis.get_scale() == "log"]:
                _sparse(axis)
            _fit_legends(figure)
            own = [(ax, spec) for ax in figure.axes if (spec := ax.get_subplotspec()) is not None]
            figure.draw_without_rendering()
            inches = [ax.get_position().size * figure.get_size_inches() for ax, _ in own]
            wide, high = (sum(size[k] for size in inches) / len(own) for k in (0, 1))
            rows = own[0][1].get_gridspec().nrows
            figure.set_figheight(figure.get_figheight() + rows * (min(max(0.62 * wide, 1.3), 2.6) - high))
        return figure

    return drawn


def _fit_legends(figure: Figure) -> None:
    """Make legends anew in as many columns as fit below their Axes, which are as wide as they are without legends."""
    with_legends = [ax for ax in figure.axes if ax.get_legend() is not None]
    for ax in with_legends:
        ax.get_legend().set_in_layout(False)  # type: ignore[union-attr]
    figure.draw_without_rendering()
    for ax in with_legends:
        legend(ax)


def _sparse(axis: Axis) -> None:
    """Label 1, 2 and 5 of a logarithmic axis that is short, and only powers of ten of a long one; leave marks of its own."""
    if isinstance(axis.get_major_locator(), FixedLocator):
        return
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    labelled = (1.0,) if decades > 2.0 else (1.0, 2.0, 5.0) if decades > 0.6 else (1.0, 2.0, 3.0, 5.0)
    axis.set_major_locator(LogLocator(subs=labelled))
    if low > 9e-4 and high < 2e4:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    else:
        axis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(math.inf, math.inf)))
    axis.set_minor_formatter(NullFormatter())


class _Shown(Figure):
    """A figure that a notebook shows, whether it has loaded pyplot or not."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=120)
        return out.getvalue()


def panels(width: float | None, count: int, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure and its `count` panels: side by side where each is 2.2 inches wide, below each other where not.

    A `width` of None is a single column for one panel, and a double one for more; `options` go to ``Figure.subplots``.
    """
    inches = (SINGLE if count == 1 else DOUBLE) if width is None else _width("width", width)
    most = max(1, min(count, int(inches / NARROWEST)))
    columns = min(range(most, (most - 1) // 2, -1), key=lambda c: -count % c)  # as few holes as can be
    rows = -(-count // columns)
    figure = _Shown(figsize=(inches, 5.0 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for unused in grid[count:]:
        unused.remove()
    ticks = MaxNLocator(max(3, int(1.8 * inches / columns)), steps=[1, 2, 2.5, 5, 10])
    for ax in grid[:count]:
        ax.xaxis.set_major_locator(copy(ticks))
    return figure, list(grid[:count])


def legend(ax: Axes) -> None:
    """Put the legend of `ax` below it, under the label of the x axis, in as many columns as fit."""
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    size = FontProperties(size=rcParams["legend.fontsize"]).get_size_in_points()
    wide = [TextPath((0.0, 0.0), label, size=size).get_extents().width + 3.2 * size for label in labels]
    room = 72.0 * ax.get_window_extent().width / ax.figure.dpi + 1.2 * size
    fits = [k for k in range(1, len(wide) + 1) if sum(max(part) for part in np.array_split(wide, k)) <= room]
    tick, name = (FontProperties(size=rcParams[k]).get_size_in_points() for k in ("xtick.labelsize", "axes.labelsize"))
    below = rcParams["xtick.major.size"] + rcParams["xtick.major.pad"] + rcParams["axes.labelpad"] + 1.2 * tick + 1.6 * name
    place = ax.transAxes + ScaledTranslation(0.0, -below / 72.0, ax.figure.dpi_scale_trans)
    ax.legend(handles, labels, loc="upper left", ncols=max(fits, default=1), bbox_to_anchor=(0.0, 0.0), bbox_transform=place)


def name_axis(axis: Axis, name: str, unit: str = "", scale: float = 1.0) -> None:
    """Label an axis as it now reaches; ticks are in the power of 1000 that suits it, which the label says.

    Values times `scale` are in `unit`, which gets a prefix; without a unit, and in arbitrary ones ("a.u."), it is a power of
    ten, from 10,000 and below 0.01.
    """
    largest = scale * max(map(abs, axis.get_view_interval()))
    power = 3 * math.floor(math.log10(largest) / 3.0 + 1e-9) if 0.0 < largest < math.inf else 0
    if unit not in ("", "a.u."):
        power = min(max(power, min(PREFIXES)), max(PREFIXES))
        axis.set_label_text(f"{name} ({PREFIXES[power]}{unit})")
    else:
        power = 0 if 0.01 <= largest < 1e4 else power
        said = " ".join(part for part in (f"$10^{{{power}}}$" if power else "", unit) if part)
        axis.set_label_text(f"{name} ({said})" if said else name)
    factor = scale * 10.0**-power
    if factor == 1.0:
        axis.set_major_formatter(ScalarFormatter())
    else:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x * factor:.6g}".replace("-", "\N{MINUS SIGN}")))


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
    "png": {"dpi": 300},
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

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print([path.name for path in plotting.save(Figure(), pathlib.Path(folder) / "empty")])
    ['empty.png', 'empty.svg']
    """
    path = Path(path)
    if path.suffix[1:] in FORMATS:
        path, formats = path.with_suffix(""), (path.suffix[1:],)
    formats = [_is_format("formats", one) for one in formats]
    path.parent.mkdir(parents=True, exist_ok=True)
    written, layout = [], figure.get_layout_engine()
    try:
        with rc_context(style()):  # some settings are looked up as a figure is written
            for one in formats:
                target = path.with_name(f"{path.name}.{one}")
                with atomic_file(target) as file:
                    figure.savefig(file, format=one, **FORMATS[one])
                written.append(target)
                figure.set_layout_engine("none")  # what has been laid out stays so: that takes as long as drawing
    finally:
        figure.set_layout_engine(layout)
    return written
