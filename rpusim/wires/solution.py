"""What a solved network tells."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rpusim._base.notebook import as_html
from rpusim._core.wires import branches
from rpusim.wires.lines import Array

__all__ = ["ConvergenceError", "NetworkSolution"]


class ConvergenceError(RuntimeError):
    """An iteration has not come to its tolerance; the message says how far it came."""


class NetworkSolution(NamedTuple):
    """All voltages (V) and currents (A) of an array of m word lines and n bit lines.

    The arrays of a batch begin with an axis of vectors; those of a single vector do not.

    Attributes
    ----------
    currents : ndarray (n,)
        At the sensors of each bit line; for a transposed read (m,), at the drivers of each word line. Positive is out of the
        array.
    word_voltages, bit_voltages : ndarray (m, n)
        Of the nodes of word lines and of bit lines.
    device_currents : ndarray (m, n)
        From word line to bit line.
    word_currents : ndarray (m, n)
        To the right, through the segment left of each node. With drivers at both ends (m, n + 1), the last column being the
        segments at the right end.
    bit_currents : ndarray (m, n)
        Down, through the segment below each node. With sensors at both ends (m + 1, n), the first row being the segments
        above the uppermost nodes.
    power : float or ndarray (vectors,)
        All that is dissipated, in devices, lines, drivers and sensors, watt.
    method : str
        "cg", "direct" or "newton".
    iterations : int
        Largest number of iterations of any vector; 0 for "direct".
    residual : float
        Largest relative residual, as in `Wires`. For "direct" it is the largest sum of currents at a node, and for "newton" the
        largest error of a device's current, both relative to the largest current of a device.
    """

    currents: Array
    word_voltages: Array
    bit_voltages: Array
    device_currents: Array
    word_currents: Array
    bit_currents: Array
    power: Any
    method: str
    iterations: int
    residual: float

    def _repr_html_(self) -> str:
        return as_html(self)


def _segments(device: Array, near: Array, ends: Array) -> Array:
    """Currents through the n + 1 segments of lines, away from the first terminal, with devices (..., n) that draw `device`.

    `ends`: from the first terminal to the line, where both ends have one and the line is no ideal conductor (`near` > 0).
    Of an ideal one, currents divide by the lever rule, as between equal small resistances."""
    n = device.shape[-1]
    lever = np.sum(device * (np.arange(n, 0, -1) / (n + 1)), axis=-1)
    first = np.where(near > 0.0, ends, lever)
    return np.concatenate([first[..., None], first[..., None] - np.cumsum(device, axis=-1)], axis=-1)


def solution_of(
    word: Array,
    bit: Array,
    u: Array,
    nodes: Array,
    device: Array,
    g: Array | None,
    lines: tuple[Array, Array],
    transposed: bool,
    batch: bool,
    method: str,
    iterations: int,
    residual: float,
) -> NetworkSolution:
    """The solution with all branch currents, from nodes less their terminals, which change, and from the devices' currents, or
    the conductances that they follow from.

    The lines' currents are sums of devices' currents, not differences of voltages, which say nothing on an ideal line."""
    words, bits = lines
    left, above = -nodes[:, :, 0] / np.where(words[1] > 0.0, words[1], 1.0), -u[:, 0] / np.where(bits[1] > 0.0, bits[1], 1.0)
    word_currents, bit_currents = np.empty((2, *u.shape))
    row_sums, column_sums = np.empty(word.shape), np.empty(bit.shape)
    branches(word, bit, u, nodes, device, word_currents, bit_currents, row_sums, column_sums, g)
    if np.isfinite(words[2]).any():
        word_currents = _segments(device, words[1], left)
    if np.isfinite(bits[2]).any():
        bit_currents = np.swapaxes(_segments(-np.swapaxes(device, 1, 2), bits[1], above), 1, 2)  # devices feed bit lines
    out = -row_sums if transposed else column_sums
    power = np.sum(word * row_sums, axis=1) - np.sum(bit * column_sums, axis=1)
    arrays = (out, nodes, u, device, word_currents, bit_currents, power)
    if not batch:
        arrays = tuple(array[0] for array in arrays)
    return NetworkSolution(*arrays, method, iterations, residual)
