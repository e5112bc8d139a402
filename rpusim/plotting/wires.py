"""Figures of wire networks: where the voltage goes, and what that does to the output."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import boolean, choice, instance, optional, real_array
from rpusim.plotting.style import COLORS, axes, legend, name_axis, panels, whole
from rpusim.wires.solution import NetworkSolution

__all__ = ["device_currents", "ir_drop_map", "node_voltages", "output_errors", "wires_figure"]

_check = instance(NetworkSolution, "a NetworkSolution")


def _one(solution: NetworkSolution) -> NetworkSolution:
    if _check("solution", solution).device_currents.ndim != 2:
        raise ValueError(
            f"solution must be of a single vector; got one of {len(solution.device_currents)}, of which one can be chosen by "
            "solving for it alone"
        )
    return solution


def _heat_map(ax: Axes, values: NDArray[Any], cmap: str, name: str, unit: str = "") -> Axes:
    image = ax.imshow(values, cmap=cmap, aspect="auto", interpolation="nearest")
    bar = ax.figure.colorbar(image, ax=ax)
    name_axis(bar.ax.yaxis, name, unit)
    ax.grid(False)
    ax.set(xlabel="bit line", ylabel="word line")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    return ax


def node_voltages(solution: NetworkSolution, line: str = "word", *, ax: Axes | None = None) -> Axes:
    """Draw a heat map of the voltages of all nodes of the word lines or of the bit lines.

    Parameters
    ----------
    solution : NetworkSolution
        Of a single vector.
    line : {"word", "bit"}
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> solution = rpu.solve_network(np.ones(8), np.full((8, 6), 1e4), r_word=10.0, r_bit=10.0)
    >>> ax = plotting.node_voltages(solution, "bit", ax=Figure().subplots())
    >>> ax.get_title()
    'bit lines'
    """
    solution, ax = _one(solution), axes(ax)
    choice("word", "bit")("line", line)
    values = solution.word_voltages if line == "word" else solution.bit_voltages
    ax.set_title(f"{line} lines")
    return _heat_map(ax, values, "viridis", "voltage", "V")


def ir_drop_map(
    solution: NetworkSolution,
    v: ArrayLike,
    relative: str = "own",
    *,
    ax: Axes | None = None,
    transposed: bool = False,
) -> Axes:
    """Draw a heat map of the voltage that the lines keep from every device.

    It is the input of its line less the voltage between its two nodes.

    Parameters
    ----------
    solution : NetworkSolution
        Of a single vector.
    v : array_like (m,)
        The voltages it was solved for, volt; (n,) for a transposed read.
    relative : {"own", "largest", "no"}
        In % of the input of the line, where that is not 0 (lines at 0 stay blank), in % of the largest input, or in volt.
    ax : Axes, optional
    transposed : bool, default False
        Whether `v` was applied to the bit lines.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> v, figure = np.full(64, 0.2), Figure()
    >>> solution = rpu.solve_network(v, np.full((64, 32), 50e3), r_word=1.0, r_bit=1.0)
    >>> loss = plotting.ir_drop_map(solution, v, ax=figure.subplots()).images[0].get_array()
    >>> print(f"{loss.min():.1f} % to {loss.max():.1f} %")
    0.2 % to 5.0 %
    """
    solution = _one(solution)
    choice("own", "largest", "no")("relative", relative)
    across = boolean("transposed", transposed)
    inputs = real_array("v", v, (solution.word_voltages.shape[1 if across else 0],))
    largest = np.abs(inputs).max()
    if largest == 0.0:
        raise ValueError("v must hold at least one voltage that is not 0; got zeros")
    ax = axes(ax)
    drive = inputs[None, :] if across else inputs[:, None]
    kept = solution.word_voltages - solution.bit_voltages
    loss = drive - (-kept if across else kept)
    if relative == "no":
        return _heat_map(ax, loss, "inferno", "loss", "V")
    if relative == "largest":
        return _heat_map(ax, 100.0 * loss / largest, "inferno", "loss (% of largest input)")
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(drive == 0.0, np.nan, 100.0 * loss / drive)
    return _heat_map(ax, part, "inferno", "loss (% of the input)")


def device_currents(solution: NetworkSolution, *, ax: Axes | None = None) -> Axes:
    """Draw a heat map of the currents of all devices.

    Parameters
    ----------
    solution : NetworkSolution
        Of a single vector.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> solution = rpu.solve_network(np.ones(8), np.full((8, 6), 1e4), r_word=10.0, r_bit=10.0)
    >>> rpu.plotting.device_currents(solution, ax=Figure().subplots()).images[0].get_array().shape
    (8, 6)
    """
    solution, ax = _one(solution), axes(ax)
    ax.set_title("devices")
    return _heat_map(ax, solution.device_currents, "magma", "current", "A")


def output_errors(solution: NetworkSolution, ideal: ArrayLike, *, ax: Axes | None = None, label: str | None = None) -> Axes:
    """Draw how far every output current is from its value without wires, relative to the largest of those.

    Parameters
    ----------
    solution : NetworkSolution
        Of a single vector.
    ideal : array_like, as `solution.currents`
        Currents without wires, ampere: v @ G; G @ v for a transposed read.
    ax : Axes, optional
    label : str, optional
        Name in the legend.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> v, r = np.ones(8), np.full((8, 6), 1e4)
    >>> solution = rpu.solve_network(v, r, r_word=10.0, r_bit=10.0)
    >>> ax = plotting.output_errors(solution, v @ (1 / r), ax=Figure().subplots())
    >>> ax.get_ylabel()
    'error (% of the largest)'
    """
    solution, ax = _one(solution), axes(ax)
    label = optional(instance(str, "a str"))("label", label)
    expected = real_array("ideal", ideal, solution.currents.shape)
    largest = np.abs(expected).max()
    if largest == 0.0:
        raise ValueError("ideal must hold at least one current that is not 0, as errors are relative to the largest; got zeros")
    error = 100.0 * (solution.currents - expected) / largest
    ax.plot(np.arange(len(error)), error, ".-", color=None if label else COLORS[0], markersize=3, label=label)
    ax.axhline(0.0, color="0.4", linewidth=0.6)
    ax.set(xlabel="output", ylabel="error (% of the largest)")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    legend(ax)
    return ax


@whole
def wires_figure(
    solution: NetworkSolution, ideal: ArrayLike, v: ArrayLike | None = None, *, width: float | None = None
) -> Figure:
    """Draw four panels: voltages that devices lose, voltages of bit lines, currents of devices, errors of the outputs.

    Parameters
    ----------
    solution : NetworkSolution
        Of a single vector.
    ideal : array_like, as `solution.currents`
        Currents without wires, ampere.
    v : array_like (m,), optional
        The voltages of word lines it was solved for, volt. Without them the first panel shows the voltages of word lines.
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
    >>> v, r = np.ones(8), np.full((8, 6), 1e4)
    >>> figure = plotting.wires_figure(rpu.solve_network(v, r, r_word=10.0, r_bit=10.0), v @ (1 / r), v)
    >>> [ax.get_title("left") for ax in figure.axes[:4]]
    ['IR drop', 'bit lines', 'devices', 'outputs against ideal lines']
    """
    figure, grid = panels(width, 4)
    if v is None:
        node_voltages(solution, "word", ax=grid[0])
    else:
        ir_drop_map(solution, v, "largest", ax=grid[0])
        grid[0].set_title("IR drop")
    node_voltages(solution, "bit", ax=grid[1])
    device_currents(solution, ax=grid[2])
    output_errors(solution, ideal, ax=grid[3])
    grid[3].set_title("outputs against ideal lines")
    return figure
