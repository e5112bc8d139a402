"""Figures of fits: measured ramps, the fitted device simulated over them, and residuals."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rpusim._base.validation import instance, integer_value, shown
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.fitting.result import FitResult
from rpusim.fitting.units import QUANTITY_OF, unit_in
from rpusim.plotting.style import COLORS, axes, legend, name_axis, panels, whole

__all__ = ["fit_figure", "fit_residuals", "fitted_ramps", "simulate_ramps"]

_is_result = instance(FitResult, "a FitResult, as `fitting.fit` returns it")
_SIDES = (("up", 1, COLORS[0]), ("down", -1, COLORS[1]))


def simulate_ramps(result: FitResult, direction: str, n_devices: int = 200, rng: int = 0) -> NDArray[np.float64]:
    """Reads of the fitted device along a ramp, from the fitted start: weights of shape (values, n_devices).

    A `CrossbarArray` of `n_devices` fitted devices is pulsed, and `read_noise` and `slow_noise` are added to what it holds.
    """
    _is_result("result", result)
    if not isinstance(direction, str) or direction not in result.mean_curves():
        raise ValueError(f"direction must be one of {', '.join(result.mean_curves())}; got {shown(direction)}")
    n_devices = integer_value("n_devices", n_devices, 1)
    fitted = result.mean_curves()[direction][1]
    array = CrossbarArray((1, n_devices), result.device, rng=rng)
    array.program(np.full((1, n_devices), fitted[0]))
    path = [array.weights[0]]
    for _ in range(len(fitted) - 1):
        array.pulse(1 if direction == "up" else -1)
        path.append(array.weights[0])
    noise = np.random.default_rng(rng).standard_normal((2, len(path), n_devices))
    reads = np.array(path, dtype=np.float64) + result.read_noise * noise[0]
    if result.slow_noise > 0.0:
        kept = math.exp(-1.0 / result.slow_time)
        slow = noise[1]
        for n in range(1, len(slow)):
            slow[n] = kept * slow[n - 1] + math.sqrt(1.0 - kept * kept) * slow[n]
        reads += result.slow_noise * slow
    return reads


def fitted_ramps(result: FitResult, *, ax: Axes | None = None, rng: int = 0) -> Axes:
    """Draw ramps faintly, their mean, and the fitted device: its noise-free response and the middle 90 % of simulated reads.

    Parameters
    ----------
    result : FitResult
    ax : Axes, optional
    rng : int
        Seed of the simulation.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> ramp = 1e-6 * np.linspace(1.0, 3.0, 30)
    >>> result = rpu.fitting.fit(ramp, ramp[::-1], "ConstantStep", unit="S", progress=False)
    >>> rpu.plotting.fitted_ramps(result, ax=Figure().subplots()).get_xlabel()
    'pulse'
    """
    _is_result("result", result)
    ax = axes(ax)
    for name, _, color in _SIDES:
        ramps = result.up if name == "up" else result.down
        if not ramps:
            continue
        measured, fitted = result.mean_curves()[name]
        for ramp in ramps[:100]:
            ax.plot(result.to_conductance(ramp), color=color, alpha=0.15, linewidth=0.5)
        band = np.percentile(simulate_ramps(result, name, rng=rng), [5.0, 95.0], axis=1)
        low, high = result.to_conductance(band)
        n = np.arange(len(measured))
        ax.fill_between(n, low, high, color=color, alpha=0.2, linewidth=0)
        ax.plot(n, result.to_conductance(measured), color=color, linewidth=0.9, label=f"{name}, mean")
        ax.plot(n, result.to_conductance(fitted), "k--", linewidth=1.0)
    ax.fill_between([], [], color="0.4", alpha=0.25, linewidth=0, label="90 % of simulated reads")
    ax.plot([], [], "k--", label=f"{result.score.model}, noise-free")
    name_axis(ax.xaxis, "pulse")
    base, scale = unit_in(result.unit) or ("", 1.0)
    quantity = QUANTITY_OF.get(base) or (f"measured value ({result.unit})" if result.unit else "measured value")
    name_axis(ax.yaxis, quantity, base, scale)
    legend(ax)
    return ax


def fit_residuals(result: FitResult, *, ax: Axes | None = None) -> Axes:
    """Draw the mean measured fitted minus the noise-free response of the fitted device, in weight units.

    Parameters
    ----------
    result : FitResult
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> ramp = 1e-6 * np.linspace(1.0, 3.0, 30)
    >>> result = rpu.fitting.fit(ramp, ramp[::-1], "ConstantStep", unit="S", progress=False)
    >>> rpu.plotting.fit_residuals(result, ax=Figure().subplots()).get_xlabel()
    'pulse'
    """
    _is_result("result", result)
    ax = axes(ax)
    for name, _, color in _SIDES:
        if name in result.mean_curves():
            measured, fitted = result.mean_curves()[name]
            ax.plot(measured - fitted, color=color, linewidth=0.8, label=name)
    count = min((len(ramps) for ramps in (result.up, result.down) if ramps), default=1)
    ax.axhline(0.0, color="k", linewidth=0.8)
    band = math.hypot(result.read_noise, result.slow_noise) / math.sqrt(count)
    ax.axhspan(-band, band, color="0.5", alpha=0.2, linewidth=0, label="noise of the mean (1 sd)")
    name_axis(ax.xaxis, "pulse")
    name_axis(ax.yaxis, "measured \N{MINUS SIGN} fitted", "a.u.")
    legend(ax)
    return ax


@whole
def fit_figure(result: FitResult, *, rng: int = 0, name: str = "", width: float | None = None) -> Figure:
    """Draw two panels: the measured ramps over the fitted device, and residuals.

    Parameters
    ----------
    result : FitResult
    rng : int
        Seed of the simulated reads.
    name : str, optional
        What was measured, for the title.
    width : float, optional
        Inches, as printed: 7 with panels side by side (default), 3.3 with panels below each other.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import numpy as np
    >>> import rpusim as rpu
    >>> from rpusim import plotting
    >>> ramp = 1e-6 * np.linspace(1.0, 3.0, 30)
    >>> result = rpu.fitting.fit(ramp, ramp[::-1], "ConstantStep", unit="S", progress=False)
    >>> plotting.fit_figure(result, width=3.3).axes[0].get_ylabel()
    'conductance (µS)'
    """
    figure, (ramps, errors) = panels(width, 2)
    fitted_ramps(result, ax=ramps, rng=rng)
    fit_residuals(result, ax=errors)
    ramps.set_title(name if len(name) < 36 else f"{name[:16]} ... {name[-16:]}")
    errors.set_title(f"R2 {result.r2:.4f} ({result.r2_blocks:.4f} on blocks)")
    return figure
