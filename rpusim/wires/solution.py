"""What a solved network tells."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from rpusim._base.notebook import as_html
from rpusim.wires.lines import Array

__all__ = ["ConvergenceError", "NetworkSolution"]


class ConvergenceError(RuntimeError):
    """An iteration has not come to its tolerance; the message says how far it came.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> try:
    ...     rpu.solve_network(np.ones(32), np.full((32, 32), 1e3), r_word=10.0, r_bit=10.0, max_iterations=1, method="cg")
    ... except rpu.wires.ConvergenceError:
    ...     print("not after one iteration")
    not after one iteration
    """


class NetworkSolution:
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

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> solution = rpu.solve_network(np.ones(8), np.full((8, 6), 1e4), r_word=10.0, r_bit=10.0)
    >>> solution.currents.shape, solution.word_voltages.shape, bool(solution.power > 0)
    ((6,), (8, 6), True)
    """

    def __init__(
        self,
        currents: Array,
        word_voltages: Array,
        bit_voltages: Array,
        device_currents: Array,
        power: Any,
        method: str,
        iterations: int,
        residual: float,
        lines: tuple[Array, Array],
        ends: tuple[Array, Array],
    ) -> None:
        self.currents, self.word_voltages, self.bit_voltages = currents, word_voltages, bit_voltages
        self.device_currents, self.power = device_currents, power
        self.method, self.iterations, self.residual = method, iterations, residual
        self._lines, self._ends = lines, ends

    @cached_property
    def word_currents(self) -> Array:
        words, device = self._lines[0], self.device_currents
        if np.isfinite(words[2]).any():
            return _segments(device, words[1], self._ends[0])
        return np.cumsum(device[..., ::-1], axis=-1)[..., ::-1]

    @cached_property
    def bit_currents(self) -> Array:
        bits, device = self._lines[1], self.device_currents
        if np.isfinite(bits[2]).any():  # devices feed bit lines
            return np.swapaxes(_segments(-np.swapaxes(device, -2, -1), bits[1], self._ends[1]), -2, -1)
        return np.cumsum(device, axis=-2)

    def __repr__(self) -> str:
        shape = self.device_currents.shape
        return f"<NetworkSolution of {' x '.join(map(str, shape))} devices, {self.method}, residual {self.residual:.3g}>"

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, Any]]:
        names = ("currents", "word_voltages", "bit_voltages", "device_currents", "power", "method", "iterations", "residual")
        return [(name, getattr(self, name)) for name in names]


def _segments(device: Array, near: Array, ends: Array) -> Array:
    """Currents through the n + 1 segments of lines, away from the first terminal, with devices (..., n) that draw `device`.

    `ends`: from the first terminal to the line, where both ends have one and the line is no ideal conductor (`near` > 0).
    Of an ideal one, currents divide by the lever rule, as between equal small resistances."""
    n = device.shape[-1]
    lever = np.sum(device * (np.arange(n, 0, -1) / (n + 1)), axis=-1)
    first = np.where(near > 0.0, ends, lever)
    return np.concatenate([first[..., None], first[..., None] - np.cumsum(device, axis=-1)], axis=-1)


def solution_from(
    word: Array, bit: Array, u: Array, nodes: Array, device: Array, lines: tuple[Array, Array], *rest: Any
) -> NetworkSolution:
    """As `solution_of`, from nodes less their terminals and the devices' currents."""
    sums, ends = (device.sum(axis=2), device.sum(axis=1)), (nodes[:, :, 0], u[:, 0])
    return solution_of(word, bit, u + bit[:, None, :], nodes + word[:, :, None], device, sums, ends, lines, *rest)


def solution_of(
    word: Array,
    bit: Array,
    u: Array,
    nodes: Array,
    device: Array,
    sums: tuple[Array, Array],
    ends: tuple[Array, Array],
    lines: tuple[Array, Array],
    transposed: bool,
    batch: bool,
    method: str,
    iterations: int,
    residual: float,
) -> NetworkSolution:
    """The solution, from voltages, the devices' currents and their sums of rows and columns, and the first nodes of all lines
    less their terminals.

    The lines' currents are sums of devices' currents, not differences of voltages, which say nothing on an ideal line; they are
    found when they are asked for."""
    left, above = (-end / np.where(line[1] > 0.0, line[1], 1.0) for end, line in zip(ends, lines, strict=True))
    power = np.sum(word * sums[0], axis=1) - np.sum(bit * sums[1], axis=1)
    found = [-sums[0] if transposed else sums[1], nodes, u, device, power, left, above]
    if not batch:
        found = [array[0] for array in found]
    out, nodes, u, device, power, *first = found
    return NetworkSolution(out, nodes, u, device, power, method, iterations, residual, lines, (first[0], first[1]))
