"""Pictures of sweeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpusim._base.validation import choice, shown
from rpusim.plotting.style import COLORS, axes, legend, panels, whole
from rpusim.sweep.results import Results

__all__ = ["heat_map", "lines", "overview", "pareto_front", "sensitivities"]


def _levels(values: Any) -> list[Any]:
    """Different values in order: numbers by size, others as they come."""
    found = list(dict.fromkeys(values))
    return sorted(found) if all(isinstance(one, (int, float)) for one in found) else found


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else text[:22] + " …"


def _name(results: Results, name: str, value: Any) -> str:
    return choice(*results.varied)(name, value)


def heat_map(results: Results, x: str, y: str, value: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw means of a result over two settings, as colours with the numbers written in.

    Parameters
    ----------
    results : Results
    x, y : str
        Names that vary; means are over all others.
    value : str, optional
        A result; by default that which the study is about.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1], "noise": [0.1, 0.3]}, {"steps": 200}, seeds=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    >>> ax = rpu.sweep.heat_map(results, "lr", "noise", "error", ax=Figure().subplots())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('lr', 'noise')
    """
    name = results.goal() if value is None else results.is_number("value", value)
    x, y = _name(results, "x", x), _name(results, "y", y)
    if x == y:
        raise ValueError(f"y must be another name than x; got {y!r} for both")
    found = results.mean(name, [x, y])
    across, up = _levels([key[0] for key in found]), _levels([key[1] for key in found])
    table = np.full((len(up), len(across)), math.nan)
    for (a, b), (mean, _, _) in found.items():
        table[up.index(b), across.index(a)] = mean
    ax = axes(ax)
    image = ax.imshow(table, origin="lower", aspect="auto", cmap="viridis")
    ax.grid(False)
    ax.set_xticks(range(len(across)), [_short(one) for one in across])
    ax.set_yticks(range(len(up)), [_short(one) for one in up])
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if table.size <= 100:
        middle = (np.nanmin(table) + np.nanmax(table)) / 2
        for (row, column), one in np.ndenumerate(table):
            if not math.isnan(one):
                ax.text(column, row, f"{one:.3g}", ha="center", va="center", fontsize=7, color="w" if one < middle else "k")
    ax.figure.colorbar(image, ax=ax, label=name)
    return ax


def lines(results: Results, x: str, value: str | None = None, by: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw means of a result against a setting, with bands of two standard errors where there are several points.

    Parameters
    ----------
    results : Results
    x : str
        A name that varies.
    value : str, optional
        A result; by default that which the study is about.
    by : str, optional
        A name that varies, of which every value has a line.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1], "noise": [0.1, 0.3]}, {"steps": 200}, seeds=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    >>> ax = rpu.sweep.lines(results, "lr", "error", by="noise", ax=Figure().subplots())
    >>> ax.get_xlabel(), len(ax.get_legend().get_texts())
    ('lr', 2)
    """
    name = results.goal() if value is None else results.is_number("value", value)
    x = _name(results, "x", x)
    found = results.mean(name, [x] if by is None else [x, _name(results, "by", by)])
    across = _levels([key[0] for key in found])
    numeric = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in across)
    ax = axes(ax)
    for k, one in enumerate([None] if by is None else _levels([key[1] for key in found])):
        there = [a for a in across if ((a,) if by is None else (a, one)) in found]
        rows = np.array([found[(a,) if by is None else (a, one)][:2] for a in there])
        at = there if numeric else [across.index(a) for a in there]
        colour, text = COLORS[k % len(COLORS)], None if by is None else f"{by} {_short(one)}"
        band = 2.0 * np.nan_to_num(rows[:, 1])
        if not numeric:
            beside = 0.08 * k
            ax.errorbar(np.add(at, beside), rows[:, 0], band, fmt="o", capsize=2, color=colour, label=text)
            continue
        ax.plot(at, rows[:, 0], marker="o", color=colour, label=text)
        ax.fill_between(at, rows[:, 0] - band, rows[:, 0] + band, color=colour, alpha=0.2, linewidth=0)
    if not numeric:
        ax.set_xticks(range(len(across)), [_short(a) for a in across])
        ax.margins(x=0.15)
    elif len(across) > 2 and min(across) > 0 and max(across) >= 30 * min(across):
        ax.set_xscale("log")
    ax.set_xlabel(x)
    ax.set_ylabel(name)
    legend(ax)
    return ax


def pareto_front(results: Results, goals: Mapping[str, str], *, ax: Axes | None = None) -> Axes:
    """Draw all points by two results, and those that no other beats.

    Parameters
    ----------
    results : Results
    goals : mapping of str to {"min", "max"}
        Two results: ``{"pulses": "min", "error": "min"}``.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1], "noise": [0.1, 0.3]}, {"steps": 200}, seeds=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    >>> ax = rpu.sweep.pareto_front(results, {"pulses": "min", "error": "min"}, ax=Figure().subplots())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('pulses', 'error')
    """
    if len(goals) != 2:
        raise ValueError(f"goals must be two results, those of the axes; got {shown(goals)}")
    front = results.pareto(goals)
    (across, up) = goals
    x, y = results.column(across).astype(float), results.column(up).astype(float)
    ax = axes(ax)
    ax.plot(x, y, ".", color="0.6", label="points")
    order = front[np.argsort(x[front])]
    ax.plot(x[order], y[order], marker="o", color=COLORS[1], label="no other beats these", drawstyle="steps-post")
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    legend(ax)
    return ax


def sensitivities(results: Results, value: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the Sobol indices of every name that varies; see `Results.sensitivity`.

    Parameters
    ----------
    results : Results
    value : str, optional
        A result; by default that which the study is about.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> def area(width, height):
    ...     return {"area": width * height}
    >>> sides = {"width": rpu.sweep.Range(0.0, 1.0), "height": rpu.sweep.Range(1.0, 1.1)}
    >>> study = rpu.sweep.Study(area, sides, design="saltelli", points=16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    >>> ax = rpu.sweep.sensitivities(results, "area", ax=Figure().subplots())
    >>> sorted(label.get_text() for label in ax.get_yticklabels())
    ['height', 'width']
    """
    name = results.goal() if value is None else results.is_number("value", value)
    found = results.sensitivity(name)
    ax = axes(ax)
    at = np.arange(len(found))
    for k, (what, shift) in enumerate((("first order", 0.2), ("total", -0.2))):
        ax.barh(at + shift, [pair[k] for pair in found.values()], height=0.38, color=COLORS[k], label=what)
    ax.set_yticks(at, list(found))
    ax.set_xlabel(f"share of the variance of {name}")
    legend(ax)
    return ax


def overview(results: Results, value: str | None = None, width: float | None = None) -> Figure:
    """Draw a result against every name that varies; of two names a heat map, too, and Sobol indices where there are some.

    Parameters
    ----------
    results : Results
    value : str, optional
        A result; by default that which the study is about.
    width : float, optional
        In inches.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1], "noise": [0.1, 0.3]}, {"steps": 200}, seeds=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    >>> figure = rpu.sweep.overview(results, "error")
    >>> [ax.get_xlabel() for ax in figure.axes][:2]
    ['lr', 'noise']
    """
    name = results.goal() if value is None else results.is_number("value", value)
    names = [one for one in results.study["vary"] if len(set(results.columns()[one])) > 1] or list(results.study["vary"])[:1]
    few = [one for one in names if 1 < len(set(results.columns()[one])) <= 20]
    indices = results.study["design"] == "saltelli" and results.counts()["done"] == len(results.rows)

    def draw() -> Figure:
        figure, parts = panels(width, len(names) + (len(few) >= 2) + indices)
        for ax, one in zip(parts, names, strict=False):
            lines(results, one, name, ax=ax)
        if len(few) >= 2:
            heat_map(results, few[-1], few[0], name, ax=parts[len(names)])
        if indices:
            sensitivities(results, name, ax=parts[-1])
        return figure

    return whole(draw)()
