"""Figures of wire networks: where the voltage goes, and what that does to the output."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import choice, instance, real_array
from rpusim.plotting.style import COLORS, axes
from rpusim.wires.solution import NetworkSolution

__all__ = ["device_currents", "node_voltages", "output_errors", "wires_figure"]

_check = instance(NetworkSolution, "a NetworkSolution")


def _one(solution: NetworkSolution) -> NetworkSolution:
    if _check("solution", solution).device_currents.ndim != 2:
        raise ValueError(
            f"solution must be of a single vector; got one of {len(solution.device_currents)}, of which one can be chosen by "
            "solving for it alone"
        )
    return solution


def _heat_map(ax: Axes, values: NDArray[Any], label: str, cmap: str) -> Axes:
    image = ax.imshow(values, cmap=cmap, aspect="auto", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=label)
    ax.grid(False)
    ax.set(xlabel="bit line", ylabel="word line")
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
    return _heat_map(ax, values, "voltage (V)", "viridis")


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
    """
    solution, ax = _one(solution), axes(ax)
    ax.set_title("devices")
    return _heat_map(ax, 1e6 * solution.device_currents, "current (µA)", "magma")


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
    'error (%)'
    """
    solution, ax = _one(solution), axes(ax)
    expected = real_array("ideal", ideal, solution.currents.shape)
    largest = np.abs(expected).max()
    if largest == 0.0:
        raise ValueError("ideal must hold at least one current that is not 0, as errors are relative to the largest; got zeros")
    error = 100.0 * (solution.currents - expected) / largest
    ax.plot(np.arange(len(error)), error, ".-", color=None if label else COLORS[0], markersize=3, label=label)
    ax.axhline(0.0, color="0.4", linewidth=0.6)
    ax.set(xlabel="output", ylabel="error (%)")
    if label:
        ax.legend()
    return ax


def wires_figure(solution: NetworkSolution, ideal: ArrayLike) -> Figure:
    """Draw four panels: voltages of word lines and of bit lines, currents of devices, errors of the outputs.

    Parameters
    ----------
    solution : NetworkSolution
        Of a single vector.
    ideal : array_like, as `solution.currents`
        Currents without wires, ampere.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import numpy as np
    >>> import rpusim as rpu
    >>> from rpusim import plotting
    >>> v, r = np.ones(8), np.full((8, 6), 1e4)
    >>> figure = plotting.wires_figure(rpu.solve_network(v, r, r_word=10.0, r_bit=10.0), v @ (1 / r))
    >>> [ax.get_title() for ax in figure.axes[:4]]
    ['word lines', 'bit lines', 'devices', 'output against ideal lines']
    """
    figure = Figure(figsize=(8.0, 6.0), layout="constrained")
    panels = figure.subplots(2, 2)
    node_voltages(solution, "word", ax=panels[0, 0])
    node_voltages(solution, "bit", ax=panels[0, 1])
    device_currents(solution, ax=panels[1, 0])
    output_errors(solution, ideal, ax=panels[1, 1])
    panels[1, 1].set_title("output against ideal lines")
    return figure
