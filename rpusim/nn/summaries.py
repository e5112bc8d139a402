"""What a network is made of: layers, arrays, devices, how full they are, and the pulses so far."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim._base.notebook import as_html
from rpusim._base.table import table
from rpusim._base.validation import instance
from rpusim.devices import PulsedDevice
from rpusim.nn.layer import Layer
from rpusim.nn.matrix import Matrix

__all__ = ["Row", "Summary", "named_layers", "places_in_range", "saturation", "summary"]

#: part of a device's range next to a bound in which it counts as saturated; soft bounds are never reached
NEAR = 0.01


class Row(NamedTuple):
    """One layer of a `Summary`.

    Attributes
    ----------
    place : str
        Where it is in the network: "2", or "1.0.2" within other layers.
    layer : str
        Its kind.
    weights : tuple of (int, int)
        Shape (outputs, inputs) of each of its matrices, an analog bias included.
    arrays : int
        Crossbar arrays, references and those that collect gradients included.
    devices : int
        Weights times arrays per weight.
    utilisation : float
        Weights over the places of the largest arrays that `Mapping` allows; 1 without a limit, nan without weights.
    digital : int
        Numbers that are trained digitally.
    pulses : int
        Fired so far on all arrays, up and down.
    """

    place: str
    layer: str
    weights: tuple[tuple[int, int], ...] = ()
    arrays: int = 0
    devices: int = 0
    utilisation: float = float("nan")
    digital: int = 0
    pulses: int = 0


class Summary(NamedTuple):
    """What `summary` found; prints as a table.

    Attributes
    ----------
    rows : tuple of Row
        One per layer that is made of no others, in order.
    total : Row
        Their sums.

    Examples
    --------
    >>> import rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(8, 4, rpu.algorithms.SGD()), rpu.nn.ReLU())
    >>> net.build(rng=0)
    >>> found = rpu.nn.summary(net)
    >>> len(found.rows), found.total.devices
    (2, 36)
    """

    rows: tuple[Row, ...]
    total: Row

    def _repr_html_(self) -> str:
        return as_html(self)

    def __str__(self) -> str:
        header = ["place", "layer", "weights", "arrays", "devices", "utilisation", "digital", "pulses"]
        return table(header, [_texts(row) for row in (*self.rows, self.total)])


def summary(net: Layer) -> Summary:
    """Return what a network is made of: arrays, devices, their utilisation, digital parameters, pulses so far.

    Parameters
    ----------
    net : Layer
        Usually a `Sequential`; built.

    Returns
    -------
    Summary
        Rows, their sum, and a table as its text.

    Raises
    ------
    TypeError
        If `net` is no layer.
    RuntimeError
        If it is not built.

    Examples
    --------
    >>> import rpusim as rpu
    >>> from rpusim import nn
    >>> rule = rpu.algorithms.SHD()
    >>> net = nn.Sequential(nn.Linear(784, 32, rule, mapping=nn.Mapping(max_inputs=512)), nn.Tanh(), nn.Linear(32, 10, rule))
    >>> net.build(rng=0)
    >>> print(nn.summary(net))
    place   layer   weights  arrays  devices  utilisation  digital  pulses
    ----------------------------------------------------------------------
        0  Linear  32 x 785       6   75,360         77 %        0       0
        1    Tanh                 0        0                     0       0
        2  Linear   10 x 33       3      990        100 %        0       0
             total    25,450       9   76,350         77 %        0       0
    """
    instance(Layer, "a layer")("net", net)
    if not net.built:
        raise RuntimeError("summary: call build(rng) of the network before")
    found = [_row(place, layer) for place, layer in named_layers(net)]
    rows = tuple(row for row, _ in found)
    places = sum(full for _, full in found)
    weights = tuple(shape for row in rows for shape in row.weights)
    sums = {name: sum(getattr(row, name) for row in rows) for name in ("arrays", "devices", "digital", "pulses")}
    return Summary(rows, Row("", "total", weights, utilisation=_size(weights) / places if places else float("nan"), **sums))


def named_layers(layer: Layer, place: str = "") -> list[tuple[str, Layer]]:
    """Return the layers that are made of no others with their places in `layer`, in order."""
    children = layer.children()
    if not children:
        return [(place, layer)]
    return [pair for k, child in enumerate(children) for pair in named_layers(child, f"{place}.{k}" if place else str(k))]


def places_in_range(matrix: Matrix) -> NDArray[np.float32]:
    """Return where the devices that hold the weights are in their own ranges, 0 (lower bound) to 1; empty without bounds."""
    found = [np.empty(0, np.float32)]
    for array in (array for tile in matrix.tiles for array in tile.weight_arrays):
        if isinstance(array.device, PulsedDevice):
            low, high = array.device.bounds_of(array.parameters)
            span = np.broadcast_to(high - low, array.shape)
            found.append(np.divide(array.weights - low, span, where=span > 0.0, out=np.zeros(array.shape, np.float32)).ravel())
    return np.concatenate(found)


def saturation(matrix: Matrix) -> float:
    """Return which part of the devices that hold the weights is within 1 % of its range of a bound; nan without bounds."""
    places = places_in_range(matrix)
    return float(np.mean((places <= NEAR) | (places >= 1.0 - NEAR))) if places.size else float("nan")


def _row(place: str, layer: Layer) -> tuple[Row, int]:
    """The row of a layer, and how many weights its arrays would hold if all were as large as may be."""
    arrays = devices = pulses = places = 0
    matrices = layer.matrices()
    for matrix in matrices:
        limits = matrix.mapping
        for tile in matrix.tiles:
            rows, columns = tile.shape
            count = tile.resources().arrays
            arrays += count
            devices += count * rows * columns
            places += (limits.max_outputs or rows) * (limits.max_inputs or columns)
            pulses += sum(tile.pulse_count)
    shapes = tuple((matrix.outputs, matrix.columns) for matrix in matrices)
    used = _size(shapes) / places if places else float("nan")
    digital = sum(p.value.size for p in layer.parameters())
    return Row(place, type(layer).__name__, shapes, arrays, devices, used, digital, pulses), places


def _size(shapes: tuple[tuple[int, int], ...]) -> int:
    return sum(rows * columns for rows, columns in shapes)


def _texts(row: Row) -> list[str]:
    weights = ""
    if row.layer == "total":
        weights = f"{_size(row.weights):,}"
    elif row.weights:
        several = f"{len(row.weights)} of " if len(row.weights) > 1 else ""
        weights = several + "{} x {}".format(*row.weights[0])
    used = "" if np.isnan(row.utilisation) else f"{100 * row.utilisation:.0f} %"
    return [
        row.place,
        row.layer,
        weights,
        *(f"{n:,}" for n in (row.arrays, row.devices)),
        used,
        *(f"{n:,}" for n in (row.digital, row.pulses)),
    ]
