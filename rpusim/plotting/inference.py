"""Pictures of networks on chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpusim._base.validation import instance, integer_value, shown
from rpusim.inference.evaluation import InferenceResult, duration
from rpusim.plotting.style import axes, legend, panels, whole

if TYPE_CHECKING:
    from rpusim.inference.chip import Chip

__all__ = [
    "chip_figure",
    "conductance_histograms",
    "conductance_trajectories",
    "device_errors",
    "inference_against",
    "inference_against_figure",
    "inference_curve",
    "inference_figure",
]

#: marks of times, in seconds
TIMES = {1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", 86400.0: "1 d", 2592000.0: "30 d", 31536000.0: "1 y", 315360000.0: "10 y"}
DAYS = (1.0, 86400.0, 31536000.0)


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

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 4, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> result = rpu.inference.evaluate(net, (np.eye(4), np.arange(4)), [1.0, 86400.0], programmings=2)
    >>> ax = rpu.plotting.inference_curve({"standard": result}, ax=Figure().subplots())
    >>> ax.get_xscale()
    'log'
    """
    if not isinstance(results, Mapping) or not all(isinstance(one, InferenceResult) for one in results.values()):
        raise TypeError(f"results must be InferenceResults by label; got {shown(results)}")
    if not results:
        raise ValueError("results must have at least one result; got none")
    ax = axes(ax)
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
    mark_times(ax, min(marks), max(marks))
    ax.set_ylabel("accuracy (%)" if first.metric == "accuracy" else first.metric.replace("_", " "))
    legend(ax)
    return ax


def inference_against(
    results: Mapping[float, InferenceResult], name: str, *, log: bool = False, ax: Axes | None = None
) -> Axes:
    """Draw a metric against a setting of the chip, one line for each time: means over programmings, with bands as above.

    Parameters
    ----------
    results : mapping of float to InferenceResult
        By the value of the setting, all at the same times: `{v: evaluate(net, data, chip=chip_at(v)) for v in volts}`.
    name : str
        What the setting is, with its unit: "read voltage (V)".
    log : bool, default False
        Whether its axis is logarithmic.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 4, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> result = rpu.inference.evaluate(net, (np.eye(4), np.arange(4)), [1.0, 86400.0], programmings=2)
    >>> ax = rpu.plotting.inference_against({6.0: result, 8.0: result}, "bits", ax=Figure().subplots())
    >>> ax.get_xlabel()
    'bits'
    """
    if not isinstance(results, Mapping) or not all(isinstance(one, InferenceResult) for one in results.values()):
        raise TypeError(f"results must be InferenceResults by the value of a setting; got {shown(results)}")
    if not results or len({one.times_s.tobytes() for one in results.values()}) > 1:
        raise ValueError(f"results must be at least one, all at the same times; got {len(results)}")
    ax = axes(ax)
    x = np.array(sorted(results), float)
    ordered = [results[k] for k in sorted(results)]
    first = ordered[0]
    percent = 100.0 if first.metric == "accuracy" else 1.0
    for k, (t, colour) in enumerate(zip(first.times_s, _colours(len(first.times_s)), strict=True)):
        values = [percent * one.values[:, k] for one in ordered]
        ax.plot(x, [v.mean() for v in values], marker="o", markersize=3, color=colour, label=duration(t))
        ax.fill_between(x, [v.min() for v in values], [v.max() for v in values], alpha=0.2, color=colour)
    ax.axhline(percent * first.reference, color="0.4", linestyle="--", linewidth=1.0, label="before programming")
    if log:
        ax.set_xscale("log")
    ax.set_xlabel(name)
    ax.set_ylabel("accuracy (%)" if first.metric == "accuracy" else first.metric.replace("_", " "))
    legend(ax)
    return ax


def mark_times(ax: Axes, first: float, last: float) -> None:
    """Make the x axis one of times, with those of people as marks."""
    ax.set_xscale("log")
    marks = {t: text for t, text in TIMES.items() if first <= t <= last}
    if len(marks) > 4:
        marks = {t: text for t, text in marks.items() if text not in ("1 min", "30 d")}
    if marks:
        ax.set_xticks(list(marks), list(marks.values()))
        ax.minorticks_off()
    ax.set_xlabel("since programming")


def conductance_trajectories(chip: Chip, *, ax: Axes | None = None, rng: int = 0, devices: int = 40) -> Axes:
    """Draw what is read of devices that were programmed to conductances over the whole window, against time.

    Parameters
    ----------
    chip : Chip
    ax : matplotlib Axes, optional
    rng : int
    devices : int, default 40

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> ax = rpu.plotting.conductance_trajectories(rpu.inference.Chip(), ax=Figure().subplots(), devices=5)
    >>> ax.get_xscale(), ax.get_ylabel()
    ('log', 'conductance (µS)')
    """
    from rpusim.inference.programmed import ProgrammedArray

    check_chip(chip)
    ax, devices = axes(ax), integer_value("devices", devices, 1)
    times = np.geomspace(1.0, min(31536000.0, chip.model.known_s), 25)
    array = ProgrammedArray(np.linspace(0.0, 1.0, devices)[None], _frozen(chip), rng)
    g = np.array([array.conductances(t)[0, 0] for t in times]) * 1e6
    exact = np.array([array.conductances(t, read_noise=False)[0, 0] for t in times]) * 1e6
    cycle = _colours(devices)
    for k in range(devices):
        ax.plot(times, exact[:, k], color=cycle[k], linewidth=0.8)
        ax.plot(times, g[:, k], color=cycle[k], linewidth=0.4, alpha=0.5)
    mark_times(ax, times[0], times[-1])
    ax.set_ylabel("conductance (µS)")
    return ax


def check_chip(chip: Any) -> None:
    """Refuse what is no chip."""
    from rpusim.inference.chip import Chip

    instance(Chip, "a Chip")("chip", chip)


def _colours(count: int) -> list[Any]:
    """Colours from dark to light, for states from low to high."""
    from matplotlib import colormaps

    return [tuple(colour) for colour in colormaps["viridis"](np.linspace(0.0, 0.9, count))]


def _frozen(chip: Chip) -> Chip:
    """A chip whose noise of reads is drawn at every time."""
    return chip.replace(read_noise="frozen", read_times_s=None) if chip.read_noise != "none" else chip


def device_errors(chip: Chip, *, ax: Axes | None = None) -> Axes:
    """Draw the standard deviation of programming, and of reads at some times, against the goal.

    Parameters
    ----------
    chip : Chip
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> rpu.plotting.device_errors(rpu.inference.Chip(), ax=Figure().subplots()).get_xlabel()
    'goal (µS)'
    """
    check_chip(chip)
    ax = axes(ax)
    model, converter = chip.model, chip.converter
    goal = np.linspace(max(converter.g_min_s, 1e-3 * converter.g_max_s), converter.g_max_s, 200)
    ax.plot(goal * 1e6, model.programming_std(goal, converter.g_max_s) * 1e6, color="k", label="programming")
    event = model.event(goal, converter.g_max_s, lambda name: np.zeros_like(goal))
    for t, colour in zip((1.0, 86400.0, 31536000.0), _colours(3), strict=True):
        if t > model.known_s:
            continue
        g = model.aged(event, goal, converter.g_max_s, t, lambda name: np.zeros_like(goal))
        std = model.read_std(event, g, goal, converter.g_max_s, t)
        if std is not None and chip.read_noise != "none":
            ax.plot(goal * 1e6, std * 1e6, color=colour, label=f"read at {TIMES[t]}")
    ax.set_xlabel("goal (µS)")
    ax.set_ylabel("standard deviation (µS)")
    ax.set_ylim(bottom=0.0)
    legend(ax)
    return ax


def conductance_histograms(chip: Chip, *, ax: Axes | None = None, rng: int = 0, times_s: Sequence[float] = DAYS) -> Axes:
    """Draw how conductances of a normal weight matrix are spread at some times.

    Parameters
    ----------
    chip : Chip
    ax : matplotlib Axes, optional
    rng : int
    times_s : sequence of float
        By default 1 s, 1 day and 1 year.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> ax = rpu.plotting.conductance_histograms(rpu.inference.Chip(), ax=Figure().subplots(), times_s=(1.0, 86400.0))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['1 s', '1 d']
    """
    from rpusim.inference.models import checked_times
    from rpusim.inference.programmed import ProgrammedArray

    check_chip(chip)
    times_s = checked_times(times_s)
    ax = axes(ax)
    w = np.clip(np.random.Generator(np.random.Philox(rng)).standard_normal((64, 512)), -3.0, 3.0)
    array = ProgrammedArray(w, _frozen(chip), rng)
    found = {t: array.conductances(t).ravel() * 1e6 for t in times_s if t <= chip.model.known_s}
    low, high = (float(f([f(g) for g in found.values()])) for f in (min, max))
    edges = np.linspace(low, high, 120)
    for (t, g), colour in zip(found.items(), _colours(len(found)), strict=True):
        ax.hist(g, edges.tolist(), histtype="step", color=colour, label=TIMES.get(t, f"{t:g} s"), linewidth=1.0)
    ax.set_yscale("log")
    ax.set_xlabel("conductance (µS)")
    ax.set_ylabel("devices")
    legend(ax)
    return ax


@whole
def chip_figure(chip: Chip, *, rng: int = 0, width: float | None = None) -> Figure:
    """Return a figure of what the devices of a chip do: errors, trajectories, and spreads at several times.

    Parameters
    ----------
    chip : Chip
    rng : int
    width : float, optional
        In inches: 3.3 and 7 are a column and two; see `panels`.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> import rpusim as rpu
    >>> from rpusim import plotting
    >>> figure = plotting.chip_figure(rpu.inference.chips.get("hermes"))
    >>> [ax.get_title("left") for ax in figure.axes]
    ['errors', 'in time', 'of normal weights']
    """
    check_chip(chip)
    figure, (left, middle, right) = panels(width, 3)
    device_errors(chip, ax=left)
    conductance_trajectories(chip, ax=middle, rng=rng)
    conductance_histograms(chip, ax=right, rng=rng)
    for ax, title in ((left, "errors"), (middle, "in time"), (right, "of normal weights")):
        ax.set_title(title)
    return figure


@whole
def inference_figure(results: Mapping[str, InferenceResult], *, width: float | None = None) -> Figure:
    """Return a figure of `inference_curve`.

    Parameters
    ----------
    results : mapping of str to InferenceResult
    width : float, optional
        In inches, by default 3.3.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 4, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> result = rpu.inference.evaluate(net, (np.eye(4), np.arange(4)), [1.0, 86400.0], programmings=2)
    >>> figure = rpu.plotting.inference_figure({"standard": result}, width=7.0)
    >>> float(figure.get_figwidth())
    7.0
    """
    figure, (ax,) = panels(width, 1)
    inference_curve(results, ax=ax)
    return figure


@whole
def inference_against_figure(results: Mapping[float, InferenceResult], name: str, *, width: float | None = None) -> Figure:
    """Return a figure of `inference_against`.

    Parameters
    ----------
    results : mapping of float to InferenceResult
    name : str
    width : float, optional
        In inches, by default 3.3.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 4, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> result = rpu.inference.evaluate(net, (np.eye(4), np.arange(4)), [1.0, 86400.0], programmings=2)
    >>> figure = rpu.plotting.inference_against_figure({6.0: result, 8.0: result}, "bits")
    >>> float(figure.get_figwidth())
    3.3
    """
    figure, (ax,) = panels(width, 1)
    inference_against(results, name, ax=ax)
    return figure
