"""Pictures of spikes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from rpusim._base.validation import real, real_array
from rpusim.plotting.style import axes, legend, name_axis

__all__ = ["spike_errors", "spike_raster"]


def spike_raster(spikes: ArrayLike, desired: ArrayLike | None = None, *, dt_s: float = 1e-3, ax: Axes | None = None) -> Axes:
    """Draw spikes of lines against time, and circles where they should be.

    Parameters
    ----------
    spikes : array_like of bool (times, lines)
    desired : array_like of bool (times, lines), optional
    dt_s : float, default 0.001
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> spikes = rpu.applications.poisson_spikes([15.0] * 4, 0.5, rng=0)
    >>> rpu.plotting.spike_raster(spikes, ax=Figure().subplots()).get_xlabel()
    'time (ms)'
    """
    x, dt = real_array("spikes", spikes, (None, None)), real(0.0, open_low=True)("dt_s", dt_s)
    ax = axes(ax)
    times, lines = np.nonzero(x > 0.5)
    ax.plot(times * dt, lines, "|", markersize=4, label="spikes")
    if desired is not None:
        times, lines = np.nonzero(real_array("desired", desired, x.shape) > 0.5)
        ax.plot(times * dt, lines, "o", markersize=4, markerfacecolor="none", label="desired")
        legend(ax)
    ax.set(xlim=(0.0, len(x) * dt), ylim=(-0.5, x.shape[1] - 0.5), ylabel="line")
    name_axis(ax.xaxis, "time", "s")
    return ax


def spike_errors(errors_s: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw a histogram of how late spikes are, such as the `errors_s` of a `SpikeMatch`.

    Parameters
    ----------
    errors_s : array_like (spikes,)
        In seconds.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> plotting.spike_errors([0.002, -0.001, 0.003], ax=Figure().subplots()).get_xlabel()
    'late by (ms)'
    """
    values = real_array("errors_s", errors_s, (None,))
    ax = axes(ax)
    ax.hist(1e3 * values, bins=25, histtype="step")
    ax.set(xlabel="late by (ms)", ylabel="spikes")
    return ax
