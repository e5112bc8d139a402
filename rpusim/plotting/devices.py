"""Figures of one device model: what pulses do to it, and how its devices differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rpusim._base.validation import instance, integer_value, shown
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.devices import PulsedDevice
from rpusim.plotting.style import COLORS, MOST_LINES, axes, legend, name_axis, panels, whole
from rpusim.theory import response_theory

__all__ = ["device_figure", "parameter_spread", "pulse_response", "response_functions", "step_sizes"]

_check = instance(PulsedDevice, "a device that changes by pulses")
POINTS = 500  # most records of a ramp


def pulse_response(
    device: PulsedDevice, n_pulses: int | None = None, *, ax: Axes | None = None, rng: int = 0, n_devices: int = 1
) -> Axes:
    """Draw what is read of devices under `n_pulses` up and as many down pulses, and under alternating ones.

    The devices start at their lower bounds, and all of them get the same pulses. Their mean is drawn bold, each device
    faint.

    Parameters
    ----------
    device : PulsedDevice
    n_pulses : int, optional
        Pulses per ramp; by default 1.5 times the number of states.
    ax : Axes, optional
    rng : int
        Seed of the devices and their noise.
    n_devices : int, default 1
        Number of devices.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> ax = plotting.pulse_response(rpu.devices.SoftBounds(), 100, ax=Figure().subplots(), n_devices=3)
    >>> ax.get_xlabel()
    'pulse'
    """
    device, ax = _check("device", device), axes(ax)
    n = max(1, int(1.5 * device.number_of_states)) if n_pulses is None else integer_value("n_pulses", n_pulses, 1)
    array = CrossbarArray((1, integer_value("n_devices", n_devices, 1, MOST_LINES)), device, rng=rng)
    drawn = array.parameters
    low, _ = device.bounds_of({name: np.float64(value) for name, value in drawn.items()})
    array.program(low)
    stride = 1 if n <= POINTS else 2 * -(-n // (2 * POINTS))  # even, for alternating pulses
    stops = np.append(np.arange(0, n, stride), n)
    faint = {"linewidth": 0.6, "alpha": 0.3}
    start = array.weights[0]
    for k, label in enumerate(("up", "down", "alternating")):
        path = [start]
        for first, last in zip(stops[:-1], stops[1:], strict=True):
            if k < 2:
                array.pulse(int(last - first) * (1, -1)[k])
            else:
                for pulse in range(first, last):
                    array.pulse(-1 if pulse % 2 else 1)
            path.append(array.weights[0])
        start = path[-1]
        if n_devices > 1:
            ax.plot(k * n + stops, path, color=COLORS[k], **faint)  # type: ignore[arg-type]
        ax.plot(k * n + stops, np.mean(path, axis=1), color=COLORS[k], label=label)
    points = array.symmetry_point()[0]
    if np.isfinite(points).any():
        label = "symmetry point" if n_devices == 1 else "mean symmetry point"
        ax.axhline(float(np.nanmean(points)), color="0.4", linestyle=":", label=label)
    name_axis(ax.xaxis, "pulse")
    ax.set_ylabel("weight (a.u.)")
    legend(ax)
    return ax


def step_sizes(device: PulsedDevice, *, ax: Axes | None = None, rng: int = 0, n_devices: int = 0) -> Axes:
    """Draw the mean sizes of an up and of a down pulse against the state: they cross at the symmetry point.

    Parameters
    ----------
    device : PulsedDevice
    ax : Axes, optional
    rng : int
        Seed of the drawn devices.
    n_devices : int, default 0
        Devices that are drawn faint beside the mean device, each between its own bounds.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> ax = plotting.step_sizes(rpu.devices.SoftBounds(w_max=1.0, w_min=-1.0), ax=Figure().subplots())
    >>> ax.get_xlabel()
    'weight (a.u.)'
    """
    device, ax = _check("device", device), axes(ax)
    if integer_value("n_devices", n_devices, 0, MOST_LINES):
        drawn = CrossbarArray((1, n_devices), device, rng=rng).parameters
        p = {name: np.asarray(value[0], dtype=np.float64) for name, value in drawn.items()}
        low, high = device.bounds_of(p)
        own = low + (high - low) * np.linspace(0.0, 1.0, 101)[:, None]
        for k, sizes in enumerate(device.steps_of(p, own)):
            ax.plot(own, sizes, color=COLORS[k], linewidth=0.6, alpha=0.3)
    w = _states(device)
    ax.plot(w, device.step_up(w), color=COLORS[0], label="up")
    ax.plot(w, device.step_down(w), "--", color=COLORS[1], label="down")  # both are seen where they are equal
    if n_devices:  # a single steep device must not hide the mean one
        largest = max(float(np.max(device.step_up(w))), float(np.max(device.step_down(w))))
        ax.set_ylim(-0.05 * largest, min(2.0 * largest, ax.get_ylim()[1]))
    _mark_symmetry_point(device, ax)
    ax.set_xlabel("weight (a.u.)")
    name_axis(ax.yaxis, "step", "a.u.")
    legend(ax)
    return ax


def response_functions(device: PulsedDevice, *, ax: Axes | None = None) -> Axes:
    """Draw the symmetric and the asymmetric part of the response, F and G, against the state, in units of the granularity.

    Parameters
    ----------
    device : PulsedDevice
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> ax = plotting.response_functions(rpu.devices.PowStep(), ax=Figure().subplots())
    >>> [line.get_label() for line in ax.lines[:2]]
    ['F', 'G']
    """
    device, ax = _check("device", device), axes(ax)
    w, theory = _states(device), response_theory(device)
    ax.plot(w, theory.F(w), color=COLORS[2], label="F")
    ax.plot(w, theory.G(w), color=COLORS[3], label="G")
    _mark_symmetry_point(device, ax)
    ax.set(xlabel="weight (a.u.)", ylabel="response (granularity)")
    legend(ax)
    return ax


def parameter_spread(
    device: PulsedDevice,
    names: Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    rng: int = 0,
    n_devices: int = 10_000,
) -> Axes:
    """Draw histograms of the parameters of devices that are drawn for an array, relative to those of the mean device.

    Parameters
    ----------
    device : PulsedDevice
    names : sequence of str, optional
        Names in `CrossbarArray.parameters`, of parameters that are not zero in the mean device; by default all of those
        that have a spread.
    ax : Axes, optional
    rng : int
        Seed of the drawn devices.
    n_devices : int, default 10000
        Number of devices.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a name is not one of those.

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> device = rpu.devices.SoftBounds(w_max_dtod=0.1)
    >>> ax = plotting.parameter_spread(device, ["w_max"], ax=Figure().subplots(), n_devices=100)
    >>> ax.get_xlabel()
    'drawn parameter / mean device'
    """
    device, ax = _check("device", device), axes(ax)
    mean = {name: value for name, value in device.mean_parameters().items() if value != 0.0}
    drawn = CrossbarArray((1, integer_value("n_devices", n_devices, 1)), device, rng=rng).parameters
    relative: dict[str, NDArray[Any]] = {name: drawn[name][0] / value for name, value in mean.items()}
    if names is None:
        names = [name for name, values in relative.items() if np.ptp(values) > 0.0]
    for name in names:
        if name not in relative:
            raise ValueError(f"names must be among {', '.join(relative)}; got {shown(name)}")
    if names:
        pooled = np.concatenate([relative[name] for name in names]).astype(np.float64)
        central = np.quantile(pooled, 0.99) - pooled.min()  # long tails must not widen the bins
        edges = np.histogram_bin_edges(pooled, min(2000, max(1, round(60 * np.ptp(pooled) / central))) if central else 1)
        for k, name in enumerate(names):
            ax.stairs(*np.histogram(relative[name], edges), color=COLORS[k % len(COLORS)], label=name)
        if central:
            ax.set_xlim(pooled.min() - 0.05 * central, pooled.min() + 1.25 * central)
        legend(ax)
    else:
        ax.text(0.5, 0.5, "no spread", transform=ax.transAxes, ha="center")
    ax.set(xlabel="drawn parameter / mean device", ylabel="devices")
    return ax


@whole
def device_figure(device: PulsedDevice, *, rng: int = 0, n_devices: int = 20, width: float | None = None) -> Figure:
    """Draw four panels: response to pulses, step sizes, F and G, spread of the parameters, where they have one.

    Parameters
    ----------
    device : PulsedDevice
    rng : int
        Seed of the devices and their noise.
    n_devices : int, default 20
        Devices in the first two panels; the histograms are of 10,000.
    width : float, optional
        Inches, as printed: 7 with panels side by side (default), 3.3 with panels below each other.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import rpusim as rpu
    >>> from rpusim import plotting
    >>> figure = plotting.device_figure(rpu.devices.presets.reram_array_om(), n_devices=2)
    >>> [ax.get_title("left") for ax in figure.axes]
    ['response to pulses', 'step sizes', 'response functions', 'spread of 10,000 devices']
    """
    integer_value("n_devices", n_devices, 1, MOST_LINES)
    drawn = CrossbarArray((1, 2), _check("device", device), rng=rng).parameters
    spread = any(value != 0.0 and np.ptp(drawn[name]) > 0.0 for name, value in device.mean_parameters().items())
    figure, grid = panels(width, 4 if spread else 3)
    pulse_response(device, ax=grid[0], rng=rng, n_devices=n_devices)
    step_sizes(device, ax=grid[1], rng=rng, n_devices=n_devices)
    response_functions(device, ax=grid[2])
    if spread:
        parameter_spread(device, ax=grid[3], rng=rng)
    titles = ("response to pulses", "step sizes", "response functions", "spread of 10,000 devices")
    for ax, title in zip(grid, titles, strict=False):
        ax.set_title(title)
    return figure


def _states(device: PulsedDevice) -> NDArray[np.float64]:
    theory = response_theory(device)
    return np.linspace(theory.w_min, theory.w_max, 201)


def _mark_symmetry_point(device: PulsedDevice, ax: Axes) -> None:
    if np.isfinite(device.symmetry_point):
        ax.axvline(device.symmetry_point, color="0.4", linestyle=":", label="symmetry point")
