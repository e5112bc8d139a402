"""Figures of what was measured beside ramps: series over time and cycles, sweeps, and tables of steps, with their fits."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpusim._base.validation import instance
from rpusim.fitting.endurance import EnduranceResult
from rpusim.fitting.retention import RetentionResult
from rpusim.fitting.steps import StepTable
from rpusim.fitting.sweeps import SweepResult
from rpusim.plotting.style import COLORS, axes, legend, panels, whole

__all__ = ["fitted_series", "fitted_sweeps", "measured_figure", "step_table"]

_MOST = 100  # series that a picture shows
_NAMED = 6  # and that its legend names


def fitted_series(result: RetentionResult | EnduranceResult, *, ax: Axes | None = None) -> Axes:
    """Draw measured series, over a logarithmic axis of times or cycles, and the law that was fitted to each.

    Parameters
    ----------
    result : RetentionResult or EnduranceResult
        With the measured values in it: one that is read from JSON has none.
    ax : Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> t = np.geomspace(1, 1e5, 30)
    >>> noise = np.random.default_rng(0).standard_normal(30)
    >>> found = rpu.fitting.fit_retention(t, 1e-5 * t**-0.05 * np.exp(0.01 * noise), unit="S")
    >>> rpu.plotting.fitted_series(found, ax=Figure().subplots()).get_xscale()
    'log'
    """
    instance((RetentionResult, EnduranceResult), "what fit_retention or fit_endurance returns")("result", result)
    ax = axes(ax)
    over_time = isinstance(result, RetentionResult)
    for k, (name, x, y) in enumerate(list(zip(result.series.names, result.series.x, result.series.y, strict=True))[:_MOST]):
        color = COLORS[k % len(COLORS)]
        positive = x[x > 0.0]
        ax.plot(x, y, "o", color=color, markersize=3, label=name if k < _NAMED else None)
        if len(positive):
            grid = np.geomspace(float(positive.min()), float(x.max()), 200)
            ax.plot(grid, result.fitted(k, grid), color=color, linewidth=1.0)
    ax.set_xscale("log")
    if over_time and all((y > 0.0).all() for y in result.series.y):
        ax.set_yscale("log")
    what = "conductance" if over_time else "window"
    ax.set(xlabel="time (s)" if over_time else "cycles", ylabel=f"{what} ({result.unit})" if result.unit else what)
    if len(result.series.names) > _NAMED:
        ax.plot([], [], " ", label=f"and {len(result.series.names) - _NAMED} more")
    if result.series.names:
        legend(ax)
    return ax


def fitted_sweeps(result: SweepResult, *, ax: Axes | None = None) -> Axes:
    """Draw the branches of current-voltage sweeps that were read, and their law: sizes of currents over voltages.

    Parameters
    ----------
    result : SweepResult
        With the measured values in it: one that is read from JSON has none.
    ax : Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> v = np.linspace(-0.5, 0.5, 41)
    >>> found = rpu.fitting.fit_sweeps(v, 1e-5 * np.sinh(3 * v) / 3)
    >>> rpu.plotting.fitted_sweeps(found, ax=Figure().subplots()).get_yscale()
    'log'
    """
    instance(SweepResult, "what fit_sweeps returns")("result", result)
    ax = axes(ax)
    for k, branch in enumerate(result.branches[:_MOST]):
        color = COLORS[k % len(COLORS)]
        ax.plot(branch.v, np.abs(branch.i), "o", color=color, markersize=3, label=branch.name if k < 8 else None)
        ax.plot(branch.v, np.abs(result.current(k, branch.v)), color=color, linewidth=1.0)
    if result.branches:
        ax.set_yscale("log")
    ax.set(xlabel="voltage (V)", ylabel="current (A)" if result.unit == "S" else "current")
    legend(ax)
    return ax


def step_table(result: StepTable, *, ax: Axes | None = None) -> Axes:
    """Draw mean changes by one pulse over the conductance with their standard deviations, and the steps of the device.

    Parameters
    ----------
    result : StepTable
    ax : Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> g = np.linspace(1e-6, 9e-6, 400)
    >>> found = rpu.fitting.fit_steps(np.stack([g, (1e-5 - g) / 50], 1), np.stack([g, -g / 50], 1), g_min=1e-6, g_max=9e-6)
    >>> rpu.plotting.step_table(found, ax=Figure().subplots()).get_xlabel()
    'conductance'
    """
    instance(StepTable, "a StepTable, as read_steps and fit_steps return it")("result", result)
    ax = axes(ax)
    w = np.linspace(result.device.w_min, result.device.w_max, 200)
    for name, rows, sign, color in (("up", result.up, 1.0, COLORS[0]), ("down", result.down, -1.0, COLORS[1])):
        g, mean, std, _ = np.array(rows, dtype=np.float64).T
        ax.errorbar(g, mean, np.nan_to_num(std), fmt="o", color=color, markersize=3, linewidth=0.7, label=f"{name}: measured")
        steps = result.device.step_up(w) if sign > 0 else result.device.step_down(w)
        ax.plot(result.to_conductance(w), sign * result.slope * steps, color=color, linewidth=1.0, label=f"{name}: device")
    ax.axhline(0.0, color="k", linewidth=0.8)
    unit = f" ({result.unit})" if result.unit else ""
    ax.set(xlabel=f"conductance{unit}", ylabel=f"change by one pulse{unit}")
    legend(ax)
    return ax


@whole
def measured_figure(
    result: RetentionResult | EnduranceResult | SweepResult | StepTable, *, name: str = "", width: float | None = None
) -> Figure:
    """Return the figure of `rpusim fit` for what is no ramps: `fitted_series`, `fitted_sweeps` or `step_table`.

    Parameters
    ----------
    result : RetentionResult, EnduranceResult, SweepResult or StepTable
    name : str
        Title.
    width : float, optional
        In inches, by default 3.3.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> v = np.linspace(-0.5, 0.5, 41)
    >>> found = rpu.fitting.fit_sweeps(v, 1e-5 * np.sinh(3 * v) / 3)
    >>> len(rpu.plotting.measured_figure(found, name="mine").axes)
    1
    """
    figure, (ax,) = panels(width, 1)
    if isinstance(result, StepTable):
        step_table(result, ax=ax)
    elif isinstance(result, SweepResult):
        fitted_sweeps(result, ax=ax)
    else:
        fitted_series(result, ax=ax)
    ax.set_title(name)
    return figure
