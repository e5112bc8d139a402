"""Figures of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rpusim._base.validation import choice, instance, integer_value, shown
from rpusim.nn import History, Matrix, Sequential
from rpusim.nn.summaries import named_layers, places_in_range, saturation
from rpusim.plotting.style import COLORS, axes, legend, panels, whole

__all__ = ["learning_curve", "learning_figure", "saturation_histograms", "weight_histograms"]


_quantity = choice("test_error", "test_loss", "train_loss")
_LABELS = {"test_error": "test error (%)", "test_loss": "test loss", "train_loss": "training loss"}


def learning_curve(
    histories: Mapping[str, History | Sequence[History]], quantity: str = "test_error", *, ax: Axes | None = None
) -> Axes:
    """Draw a quantity of trainings against epoch: a line for each name; of several histories, their mean and a band around it.

    Parameters
    ----------
    histories : dict of str to History or to sequence of History
        Several histories of a name are runs of the same training with other seeds: they have as many epochs each. The band is
        one standard deviation of a run to either side.
    quantity : {"test_error", "test_loss", "train_loss"}
        Errors are in %.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> from rpusim.nn import History
    >>> a, b = (History([0.5, 0.3], [0.4, 0.3], [12.0, error], [0.05] * 2, [2.0] * 2, [3e4] * 2) for error in (8.0, 10.0))
    >>> ax = plotting.learning_curve({"SGD": [a, b], "SHD": a}, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()], [float(y) for y in ax.lines[0].get_ydata()]
    (['SGD, mean of 2', 'SHD', 'one standard deviation'], [12.0, 9.0])
    """
    quantity = _quantity("quantity", quantity)
    columns = {name: _columns(name, mine, quantity) for name, mine in _named(histories).items()}
    ax = axes(ax)
    for k, (name, values) in enumerate(columns.items()):
        color, style = COLORS[k % len(COLORS)], ("-", "--", ":")[k // len(COLORS) % 3]
        epochs, mean, runs = np.arange(1, values.shape[1] + 1), values.mean(axis=0), len(values)
        ax.plot(epochs, mean, style, color=color, marker="o", label=f"{name}, mean of {runs}" if runs > 1 else name)
        if runs > 1:
            spread = values.std(axis=0, ddof=1)
            ax.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0)
    if any(len(values) > 1 for values in columns.values()):
        ax.fill_between([], [], color="0.4", alpha=0.25, linewidth=0, label="one standard deviation")
    ax.set(xlabel="epoch", ylabel=_LABELS[quantity])
    top = ax.dataLim.y1
    ax.set_ylim(0.0, 1.05 * top if np.isfinite(top) and top > 0.0 else None)  # whole markers at the top, too
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    legend(ax)
    return ax


@whole
def learning_figure(
    histories: Mapping[str, History | Sequence[History]], quantity: str = "test_error", *, width: float | None = None
) -> Figure:
    """Draw `learning_curve` as a figure of its own.

    Parameters
    ----------
    histories, quantity
        As in `learning_curve`.
    width : float, optional
        Inches, as printed (3.3).

    Returns
    -------
    Figure

    Examples
    --------
    >>> from rpusim import plotting
    >>> from rpusim.nn import History
    >>> figure = plotting.learning_figure({"SGD": History([0.5], [0.4], [12.0], [0.05], [2.0], [3e4])}, "train_loss")
    >>> float(figure.get_figwidth()), figure.axes[0].get_ylabel()
    (3.3, 'training loss')
    """
    figure, (ax,) = panels(width, 1)
    learning_curve(histories, quantity, ax=ax)
    return figure


def _named(histories: Mapping[str, History | Sequence[History]]) -> dict[str, list[History]]:
    if not isinstance(histories, Mapping):
        raise TypeError(f"histories must be a dict of Histories; got {shown(histories)}")
    out = {}
    for name, mine in histories.items():
        several = isinstance(mine, (list, tuple)) and len(mine) > 0
        entries: list[Any] = list(mine) if several else [mine]  # type: ignore[arg-type]
        for k, history in enumerate(entries):
            instance(History, "a History")(f"histories[{name!r:.80}]{f'[{k}]' if several else ''}", history)
        out[name] = entries
    return out


def _columns(name: str, histories: list[History], quantity: str) -> NDArray[np.float64]:
    """One quantity of runs, (runs, epochs); nan where it was not measured."""
    lengths = [len(history) for history in histories]
    if len(set(lengths)) > 1:
        raise ValueError(f"histories[{name!r:.80}] must have as many epochs each; got {', '.join(map(str, lengths))}")
    return np.array([[math.nan if e is None else e for e in getattr(one, quantity)] for one in histories], dtype=np.float64)


def weight_histograms(net: Sequential, bins: int = 61, *, ax: Axes | None = None) -> Axes:
    """Draw the weights of a network, one histogram per matrix: density against weight, as the weights act on inputs.

    The label of each says where the matrix is and, where its devices have bounds, which part of them is saturated: within 1 %
    of its own range of a bound.

    Parameters
    ----------
    net : Sequential
        Built.
    bins : int, default 61
    ax : Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(20, 10, rpu.algorithms.SGD()))
    >>> net.build(rng=0)
    >>> ax = plotting.weight_histograms(net, ax=Figure().subplots())
    >>> ax.get_legend().get_texts()[0].get_text()
    '0 Linear, 0.5 % saturated'
    """
    ax = _histograms(net, lambda matrix: matrix.weights, bins, None, ax)
    ax.set(xlabel="weight (a.u.)")
    return ax


def saturation_histograms(net: Sequential, bins: int = 50, *, ax: Axes | None = None) -> Axes:
    """Draw where the devices of a network are in their own ranges, one histogram per matrix: density against
    (w - w_min) / (w_max - w_min), from 0 at the lower bound to 1 at the upper.

    Matrices whose devices have no bounds, or whose algorithm does not say which devices hold the weight, are left out.

    Parameters
    ----------
    net : Sequential
        Built.
    bins : int, default 50
    ax : Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(20, 10, rpu.algorithms.SGD()))
    >>> net.build(rng=0)
    >>> plotting.saturation_histograms(net, ax=Figure().subplots()).get_xlabel()
    'place in the range of the device'
    """
    ax = _histograms(net, places_in_range, bins, (0.0, 1.0), ax)
    ax.set(xlabel="place in the range of the device", xlim=(0.0, 1.0))
    return ax


def _histograms(
    net: Sequential,
    values_of: Callable[[Matrix], np.ndarray],
    bins: int,
    limits: tuple[float, float] | None,
    ax: Axes | None,
) -> Axes:
    """Draw densities of the values of each matrix that has some."""
    bins, found = integer_value("bins", bins, 1, 10**6), _labelled(net)
    ax = axes(ax)
    for label, matrix in found:
        values = values_of(matrix)
        if values.size:
            ax.stairs(*np.histogram(values, bins, range=limits, density=True), label=label)
    ax.set(ylabel="density")
    legend(ax)
    return ax


def _labelled(net: Sequential) -> list[tuple[str, Matrix]]:
    """Return all matrices of a network, with where they are and which part of their devices is saturated."""
    instance(Sequential, "a Sequential")("net", net)
    if not net.built:
        raise RuntimeError("net must be built before it is drawn; call build(rng)")
    found = []
    for place, layer in named_layers(net):
        for k, matrix in enumerate(matrices := layer.matrices()):
            label = f"{place} {type(layer).__name__}" + (f" {k}" if len(matrices) > 1 else "")
            part = saturation(matrix)
            found.append((label + ("" if math.isnan(part) else f", {100 * part:.1f} % saturated"), matrix))
    return found
