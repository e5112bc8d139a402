"""Figures of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes

from rpusim._base.validation import choice, instance, integer_value, shown
from rpusim.nn import History, Matrix, Sequential
from rpusim.nn.summaries import named_layers, places_in_range, saturation
from rpusim.plotting.style import axes

__all__ = ["learning_curve", "saturation_histograms", "weight_histograms"]


_quantity = choice("test_error", "test_loss", "train_loss")
_LABELS = {"test_error": "test error (%)", "test_loss": "test loss", "train_loss": "training loss"}


def learning_curve(histories: Mapping[str, History], quantity: str = "test_error", *, ax: Axes | None = None) -> Axes:
    """Draw "test_error" (in percent), "test_loss" or "train_loss" against epoch, one line per named history."""
    quantity = _quantity("quantity", quantity)
    if not isinstance(histories, Mapping):
        raise TypeError(f"histories must be a dict of Histories; got {shown(histories)}")
    for name, history in histories.items():
        instance(History, "a History")(f"histories[{name!r:.80}]", history)
    ax = axes(ax)
    for name, history in histories.items():
        ax.plot(
            range(1, len(history) + 1),
            [math.nan if e is None else e for e in getattr(history, quantity)],
            "o-",
            markersize=3,
            label=name,
        )
    ax.set(xlabel="epoch", ylabel=_LABELS[quantity])
    ax.set_ylim(bottom=0.0)
    if histories:
        ax.legend()
    return ax


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

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(20, 10, rpu.algorithms.SGD()))
    >>> net.build(rng=0)
    >>> ax = plotting.weight_histograms(net, ax=Figure().subplots())
    >>> ax.get_legend().get_texts()[0].get_text()
    '0 Linear, 1.4 % saturated'
    """
    ax = _histograms(net, lambda matrix: matrix.weights, bins, None, ax)
    ax.set(xlabel="weight")
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
    if ax.patches:
        ax.legend()
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
