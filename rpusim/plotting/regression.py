"""Figures of the one- and two-parameter regression (Onen et al. 2022, Figs. 1 to 3).

Samples move a weight in a noisy way, and SHD lets it swing: what cannot be told apart on paper is drawn as a running mean, and
from the smallest to the largest value beside it; legends say over how many samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from rpusim._base.validation import instance, optional, shown
from rpusim.algorithms import SGD, SHD
from rpusim.devices import Device, PulsedDevice
from rpusim.experiments import RegressionRun
from rpusim.plotting.devices import pulse_response
from rpusim.plotting.style import COLORS, axes, legend, name_axis, panels, whole
from rpusim.theory import oscillator
from rpusim.theory.shd import SHDTrajectory

__all__ = ["hidden_against_weight", "regression_figure", "residuals", "spiral_figure", "trajectories"]

MOST_TRAJECTORIES = 5  # in a panel of `regression_figure`
MOST_SWINGS = 24  # of all runs of a panel, that can be told apart
MOST_TURNS = 15  # of A against C, likewise
POINTS = 200  # means along a trajectory, at least

_is_run = instance(RegressionRun, "a RegressionRun, as `experiments.regression` returns it")


def _checked(runs: Sequence[RegressionRun], name: str = "runs") -> list[RegressionRun]:
    if not isinstance(runs, Iterable) or isinstance(runs, (str, bytes, Mapping)):
        raise TypeError(f"{name} must be a sequence of RegressionRuns; got {shown(runs)}")
    return [_is_run(f"{name}[{k}]", run) for k, run in enumerate(runs)]


def _named(name: str, runs: Any) -> Mapping[str, Any]:
    if not isinstance(runs, Mapping) or not runs:
        raise TypeError(f"{name} must be a dict, of at least one name; got {shown(runs)}")
    return runs


def _period(run: RegressionRun) -> float:
    """Samples of one turn of SHD without asymmetry; inf for other algorithms."""
    rule = run.algorithm
    if not isinstance(rule, SHD) or not (run.lr * rule.fast_lr > 0.0 and run.lr * rule.slow_lr > 0.0 and run.h > 0.0):
        return math.inf
    return oscillator(run.lr * rule.fast_lr, run.lr * rule.slow_lr, run.h, rule.transfer_every * len(run.target)).period


def _mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Running mean over `window` neighbours, an odd number; towards the ends over fewer, as many on either side."""
    if window == 1:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    k = np.arange(len(values))
    half = np.minimum(np.minimum(k, k[::-1]), window // 2)
    return (total[k + half + 1] - total[k - half]) / (2 * half + 1)


def trajectories(runs: Sequence[RegressionRun], *, ax: Axes | None = None, continuum: bool = True) -> Axes:
    """Draw weight against samples for one-parameter runs, their targets, and the continuum equations over them.

    Weights are means over a 200th of the samples, in a faint band from the smallest to the largest of these; where SHD swings
    too often to be seen, means over a swing. The continuum equations are averaged as the weights are.

    Parameters
    ----------
    runs : sequence of RegressionRun
    ax : Axes, optional
    continuum : bool, default True

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from rpusim import experiments, plotting
    >>> rule = experiments.demo_algorithm("sgd", experiments.demo_device("soft-bounds"))
    >>> run = experiments.regression(rule, 0.3, steps=2000, rng=0)
    >>> ax = plotting.trajectories([run], ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['mean over 11 samples', 'range of these', 'target', 'theory']
    """
    runs = _checked(runs)
    ax = axes(ax)
    window = max([1, *(run.steps // POINTS for run in runs)])
    swings = [run.steps / _period(run) for run in runs]
    over_swings = sum(swings) > MOST_SWINGS
    if over_swings:
        window = max([window, *(round(_period(run)) for run, many in zip(runs, swings, strict=True) if many > 1.0)])
    window, smooth = window | 1, window > 1
    edge = window // 2 if over_swings else 0  # a part of a swing has another mean
    for k, run in enumerate(runs):
        color, w = COLORS[k % (len(COLORS) - 1)], run.weights[:, 0]  # black is for theory
        thin = slice(edge, len(w) - edge, max(1, window // 8))
        if smooth:
            low, high = minimum_filter1d(w, window, mode="nearest"), maximum_filter1d(w, window, mode="nearest")
            ax.fill_between(run.t[thin], low[thin], high[thin], color=color, alpha=0.18, linewidth=0)
        ax.plot(run.t[thin], _mean(w, window)[thin], color=color, linewidth=0.9)
        ax.axhline(float(run.target[0]), color=color, linestyle=":", linewidth=0.9)
        theory = run.continuum() if continuum else None
        if theory is not None:
            path = theory.c if isinstance(theory, SHDTrajectory) else theory.w
            ax.plot(theory.t[thin], _mean(path, window)[thin], "k--", linewidth=0.8)
    ax.plot([], [], color="0.4", label=f"mean over {window} samples" if smooth else "weight")
    if smooth:
        ax.fill_between([], [], color="0.4", alpha=0.25, linewidth=0, label="range of these")
    ax.plot([], [], color="0.4", linestyle=":", label="target")
    if continuum and any(run.continuum() is not None for run in runs):
        ax.plot([], [], "k--", linewidth=0.8, label="theory")
    name_axis(ax.xaxis, "sample")
    ax.set_ylabel("weight (a.u.)")
    legend(ax)
    return ax


def residuals(runs: Sequence[RegressionRun], *, ax: Axes | None = None, label: str | None = None) -> Axes:
    """Draw final mean minus target against target, with standard errors, and theory as a line of the same colour.

    Parameters
    ----------
    runs : sequence of RegressionRun
    ax : matplotlib Axes, optional
    label : str, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from rpusim import experiments, plotting
    >>> rule = experiments.demo_algorithm("sgd", experiments.demo_device("soft-bounds"))
    >>> ((a, b),) = experiments.sweep([rule], [-0.4, 0.4], steps=2000, rng=0, progress=False)
    >>> plotting.residuals([a, b], ax=Figure().subplots(), label="SGD").get_xlabel()
    'target (a.u.)'
    """
    runs = _checked(runs)
    ax = axes(ax)
    label = optional(instance(str, "a str"))("label", label)
    target = np.array([float(run.target[0]) for run in runs])
    final = np.array([float(run.mean[0]) for run in runs])
    theory = np.array([float(run.theory[0]) for run in runs])
    error = [float(run.standard_error[0]) for run in runs]
    order = np.argsort(target)
    points = ax.errorbar(target, np.abs(final - target), yerr=error, fmt="o", elinewidth=0.8, label=label or "measured")
    ax.plot(target[order], np.abs(theory - target)[order], color=points[0].get_color())
    labels = ax.get_legend_handles_labels()[1]
    if "theory" not in labels:
        ax.plot([], [], color="0.4", label="theory")
    ax.set_xlabel("target (a.u.)")
    ax.autoscale(axis="y")
    ax.set_ylim(bottom=-0.03 * ax.get_ylim()[1])
    name_axis(ax.yaxis, "|final mean \N{MINUS SIGN} target|", "a.u.")
    legend(ax)
    return ax


def hidden_against_weight(run: RegressionRun, *, ax: Axes | None = None, continuum: bool = True) -> Axes:
    """Draw A against C of one SHD run, coloured by time, with the continuum equations over it.

    A and C are means over the samples of one transfer of each weight, or over a 60th of a turn. Of more than 15 turns 6 are
    coloured, at equal distances, and the rest is grey. For two parameters, one path for each. The equations are drawn until
    they are within 3 % of where they end.

    Parameters
    ----------
    run : RegressionRun
        Of `SHD`.
    ax : Axes, optional
    continuum : bool, default True

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from rpusim import experiments, plotting
    >>> rule = experiments.demo_algorithm("shd", experiments.demo_device("soft-bounds"))
    >>> run = experiments.regression(rule, 0.2, start=-0.2, noise=0.1, steps=2000, rng=0)
    >>> plotting.hidden_against_weight(run, ax=Figure().subplots()).get_ylabel()
    'A (a.u.)'
    """
    _is_run("run", run)
    if run.hidden is None:
        raise ValueError(f"run must be one of SHD, which has a hidden weight A; got one of {run.algorithm!r}")
    ax = axes(ax)
    assert isinstance(run.algorithm, SHD)
    period = _period(run)
    window = max(run.algorithm.transfer_every * len(run.target), round(period / 60) if period < math.inf else 1)
    window = max(1, min(int(window), run.steps // 20)) | 1
    turns = run.steps / period
    t = np.append(np.arange(0, run.steps, max(1, window // 2)), run.steps)
    shown_at = np.ones(len(t) - 1, dtype=bool)
    if turns > MOST_TURNS:
        starts = np.linspace(0.0, run.steps - period, 6)
        shown_at = np.any([(t[:-1] >= first) & (t[:-1] <= first + period) for first in starts], axis=0)
    pieces = []
    for p in range(len(run.target)):
        c, a = _mean(run.weights[:, p], window)[t], _mean(run.hidden[:, p], window)[t]
        if turns > MOST_TURNS:
            ax.plot(c, a, color="0.5", alpha=0.35, linewidth=0.4, label="all turns" if p == 0 else None, rasterized=True)
        path = np.column_stack([c, a])
        pieces.append(np.stack([path[:-1], path[1:]], axis=1)[shown_at])
    coloured = LineCollection(list(np.concatenate(pieces)), cmap="viridis", linewidths=0.9)
    coloured.set_array(np.tile(t[:-1][shown_at], len(pieces)))
    coloured.set_clim(0, run.steps)
    ax.add_collection(coloured)
    ax.autoscale_view()
    bar = ax.figure.colorbar(coloured, ax=ax)
    name_axis(bar.ax.yaxis, "sample")
    theory = run.continuum() if continuum else None
    if isinstance(theory, SHDTrajectory):
        last = _settled(theory)
        ax.plot(theory.c[:last], theory.a[:last], color="k", linewidth=0.5, label="theory")
    for p, goal in enumerate(run.target):
        ax.plot(goal, 0.0, "+", color=COLORS[1], markersize=8, markeredgewidth=1.2, label="target" if p == 0 else None)
    if turns > MOST_TURNS:
        ax.plot([], [], color="#21918c", label=f"6 of {turns:.0f} turns")
    ax.set(xlabel="C (a.u.)", ylabel="A (a.u.)")
    legend(ax)
    return ax


def _settled(path: SHDTrajectory) -> int:
    """Samples until a path stays within 3 % of its way from where it ends, if it does so for the last tenth or longer."""
    away = np.hypot((path.c - path.c[-1]) / max(np.ptp(path.c), 1e-300), (path.a - path.a[-1]) / max(np.ptp(path.a), 1e-300))
    last = int(np.flatnonzero(away > 0.03)[-1]) + 2 if np.any(away > 0.03) else len(away)
    return last if last < 0.9 * len(away) else len(away)


def _device_of(run: RegressionRun) -> Device | None:
    rule = run.algorithm
    return rule.device if isinstance(rule, SGD) else rule.fast if isinstance(rule, SHD) else None


@whole
def regression_figure(
    runs: Mapping[str, Sequence[RegressionRun]], *, name: str = "", rng: int = 0, width: float | None = None
) -> Figure:
    """Draw the regression of one device: its response to pulses, trajectories of each algorithm, residuals of all.

    Parameters
    ----------
    runs : dict of str to sequence of RegressionRun
        Runs with one parameter, by the names of algorithms, as `experiments.sweep` returns lists of them. Of more than five
        trajectories five are drawn.
    name : str, optional
        That of the device, for a title.
    rng : int
        Seed of the device's noise in its response.
    width : float, optional
        Inches, as printed: 7 with panels side by side (default), 3.3 with panels below each other.

    Returns
    -------
    Figure

    Examples
    --------
    >>> from rpusim import experiments, plotting
    >>> device = experiments.demo_device("soft-bounds")
    >>> rules = [experiments.demo_algorithm(name, device) for name in ("sgd", "shd")]
    >>> sgd, shd = experiments.sweep(rules, [-0.4, 0.4], steps=3000, rng=0, progress=False)
    >>> figure = plotting.regression_figure({"SGD": sgd, "SHD": shd})
    >>> [ax.get_title("left") for ax in figure.axes]
    ['response to pulses', 'SGD', 'SHD', 'residual against target']
    """
    checked = {key: _checked(mine, f"runs[{key!r:.80}]") for key, mine in _named("runs", runs).items()}
    device = next((d for mine in checked.values() for run in mine if isinstance(d := _device_of(run), PulsedDevice)), None)
    figure, grid = panels(width, len(checked) + (2 if device is not None else 1))
    if device is not None:
        pulse_response(device, ax=grid[0], rng=rng)
        grid[0].set_title(f"{name}: response to pulses" if name else "response to pulses")
    for ax, (key, mine) in zip(grid[-1 - len(checked) :], checked.items(), strict=False):
        few = {round(k) for k in np.linspace(0, len(mine) - 1, MOST_TRAJECTORIES)}
        trajectories([run for k, run in enumerate(mine) if k in few], ax=ax)
        ax.set_title(key)
        residuals(mine, ax=grid[-1], label=key)
    grid[-1].set_title("residual against target")
    return figure


@whole
def spiral_figure(
    runs: Mapping[str, RegressionRun], sgd: Mapping[str, RegressionRun] | None = None, *, width: float | None = None
) -> Figure:
    """Draw A against C of SHD runs, and below each its weight against samples, or two weights against each other.

    Parameters
    ----------
    runs : dict of str to RegressionRun
        Runs of `SHD` by the names of their devices, all with one parameter or all with two.
    sgd : dict of str to RegressionRun, optional
        Runs with two parameters, by the same names, to draw beside them.
    width : float, optional
        Inches, as printed: 7 with panels side by side (default), 3.3 with panels below each other.

    Returns
    -------
    Figure

    Examples
    --------
    >>> from rpusim import experiments, plotting
    >>> rule = experiments.demo_algorithm("shd", experiments.demo_device("soft-bounds"))
    >>> run = experiments.regression(rule, 0.2, start=-0.2, noise=0.1, steps=2000, rng=0)
    >>> [ax.get_xlabel() for ax in plotting.spiral_figure({"soft bounds": run}).axes[:2]]
    ['C (a.u.)', 'sample']
    """
    for key, run in [*_named("runs", runs).items(), *(_named("sgd", sgd) if sgd else {}).items()]:
        _is_run(f"runs[{key!r:.80}]", run)
    figure, grid = panels(width, 2 * len(runs))
    for k, (key, run) in enumerate(runs.items()):
        hidden_against_weight(run, ax=grid[k])
        grid[k].set_title(f"SHD, {key}")
        beside = grid[len(runs) + k]
        if len(run.target) == 1:
            trajectories([run], ax=beside)
            beside.set_title(f"SHD, {key}")
        else:
            _two_weights(beside, {"SHD": run} | ({"SGD": sgd[key]} if sgd else {}))
            beside.set_title(f"both weights, {key}")
    return figure


def _two_weights(ax: Axes, runs: Mapping[str, RegressionRun]) -> None:
    """Draw both weights against each other, means over a 400th of the samples (Fig. 3 D)."""
    for name, run in runs.items():
        window = max(1, run.steps // (2 * POINTS)) | 1
        thin = slice(None, None, max(1, window // 2))
        path = [_mean(run.weights[:, p], window)[thin] for p in (0, 1)]
        ax.plot(*path, linewidth=0.7, label=f"{name}, mean over {window} samples" if window > 1 else name)
    ax.plot(*run.target[:2], "k+", markersize=8, label="target")
    ax.set(xlabel="C1 (a.u.)", ylabel="C2 (a.u.)")
    legend(ax)
