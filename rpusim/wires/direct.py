"""Networks with ideal or open lines, by a sparse factorisation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import axes_of, real_array
from rpusim.wires.lines import Array, Wires
from rpusim.wires.solution import NetworkSolution, solution_from

__all__ = []


class _Branches(NamedTuple):
    """Resistors of finite resistance between two nodes each: first all word nodes, all bit nodes, then the terminals."""

    start: NDArray[np.intp]
    end: NDArray[np.intp]
    ohm: Array
    nodes: int
    terminals: int  # the last so many nodes


def _branches(r: Array, words: Array, bits: Array) -> _Branches:
    rows, columns = r.shape
    count = 2 * r.size + rows + columns
    word = np.arange(r.size).reshape(r.shape)
    bit = word + r.size
    word_end, bit_end = np.arange(2 * r.size, count)[:rows], np.arange(2 * r.size, count)[rows:]
    parts = [
        (word, bit, r),
        (word[:, :-1], word[:, 1:], words[0][:, None]),
        (word_end, word[:, 0], words[1]),
        (word[:, -1], word_end, words[2]),
        (bit[:-1], bit[1:], bits[0]),
        (bit[-1], bit_end, bits[1]),
        (bit_end, bit[0], bits[2]),
    ]
    start, end = (np.concatenate([np.ravel(part[k]) for part in parts]) for k in (0, 1))
    ohm = np.concatenate([np.broadcast_to(part[2], np.shape(part[0])).ravel() for part in parts])
    finite = np.isfinite(ohm)
    return _Branches(start[finite], end[finite], ohm[finite], count, rows + columns)


def _joined(branches: _Branches, chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """A label per node, the same for nodes that the chosen branches join."""
    from scipy import sparse
    from scipy.sparse import csgraph

    pairs = (branches.start[chosen], branches.end[chosen])
    graph = sparse.coo_matrix((np.ones(len(pairs[0])), pairs), shape=(branches.nodes, branches.nodes))
    return csgraph.connected_components(graph, directed=False)[1]


def check_paths(conducts: NDArray[np.bool_], words: Array, bits: Array) -> None:
    """Raise ValueError where a potential is not defined, or nothing can be sensed. Only open lines can do that."""
    if np.isfinite(words[:2]).all() and np.isfinite(bits[:2]).all():
        return
    if np.isinf(bits[1]).all():
        raise ValueError("r_bit and r_sense must leave at least one bit line a path to ground; all are open")
    branches = _branches(np.where(conducts, 1.0, math.inf), words, bits)
    labels = _joined(branches, np.ones(len(branches.ohm), dtype=bool))
    floating = ~np.isin(labels, labels[-branches.terminals :])
    if floating.any():
        line, node = divmod(int(np.argmax(floating)), conducts.size)
        where = divmod(node, conducts.shape[1])
        raise ValueError(
            f"resistances and lines must leave every node a path to a driver or to ground; node {where} of the "
            f"{'bit' if line else 'word'} lines has none"
        )


def solve_direct(voltages: ArrayLike, r: Array, wires: Wires, transposed: bool) -> NetworkSolution:
    """Nodes that ideal conductors join are one unknown; the others follow from one factorisation, refined once or twice."""
    from scipy import sparse
    from scipy.sparse.linalg import splu

    rows, columns = r.shape
    sources = columns if transposed else rows
    batch = axes_of(voltages) != 1
    v_in = real_array("voltages", voltages, (None, sources) if batch else (sources,)).reshape(-1, sources)
    lines = wires._lines(rows, columns)
    check_paths(np.isfinite(r), *lines)
    branches = _branches(r, *lines)
    ideal = branches.ohm == 0.0
    labels = _joined(branches, ideal)
    terminals = np.zeros((branches.terminals, len(v_in)))
    terminals[slice(rows, None) if transposed else slice(0, rows)] = v_in.T
    held = labels[-branches.terminals :]
    potential = np.zeros((labels.max() + 1, len(v_in)))
    potential[held] = terminals
    if (potential[held] != terminals).any():
        raise ValueError("resistances must not join terminals of different voltages by ideal conductors alone")

    free = np.ones(len(potential), dtype=bool)
    free[held] = False
    a, b = labels[branches.start[~ideal]], labels[branches.end[~ideal]]
    ohm = branches.ohm[~ideal][:, None]
    incidence = _incidence(a, b, len(potential))
    residual = 0.0
    if free.any():
        matrix = (incidence.T @ sparse.diags(1.0 / ohm[:, 0]) @ incidence).tocsc()[free][:, free]
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}, diag_pivot_thresh=0.0)
        for _ in range(3):
            flow = (potential[a] - potential[b]) / ohm
            potential[free] -= factors.solve((incidence.T @ flow)[free])
        flow = (potential[a] - potential[b]) / ohm
        excess = np.abs((incidence.T @ flow)[free]).max(initial=0.0)
        residual = float(excess / max(np.abs(flow).max(initial=0.0), np.finfo(float).tiny))

    at = potential[labels].T  # (vectors, all nodes)
    word, bit = terminals[:rows].T, terminals[rows:].T
    shape = (len(v_in), rows, columns)
    nodes, u = at[:, : r.size].reshape(shape), at[:, r.size : 2 * r.size].reshape(shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        device = np.where(r > 0.0, (nodes - u) / r, 0.0)
    if (r == 0.0).any():
        device += _ideal_currents(branches, ideal, labels, potential, r).reshape(r.size, -1).T.reshape(shape)
    return solution_from(
        word, bit, u - bit[:, None, :], nodes - word[:, :, None], device, lines, transposed, batch, "direct", 0, residual
    )


def _incidence(start: Any, end: Any, nodes: int) -> Any:
    """(branches, nodes): 1 where a branch starts and -1 where it ends; nothing where that is the same."""
    from scipy import sparse

    k = np.arange(len(start))
    ones = np.ones(len(k))
    return sparse.coo_matrix((np.r_[ones, -ones], (np.r_[k, k], np.r_[start, end])), shape=(len(k), nodes)).tocsr()


def _ideal_currents(
    branches: _Branches, ideal: NDArray[np.bool_], labels: NDArray[np.int32], potential: Array, r: Array
) -> Array:
    """(devices, vectors): the currents of shorted devices, and 0 for the others.

    Ideal conductors take up what the resistors bring to their nodes. Given equal resistances, they do it in one way only."""
    from scipy.sparse.linalg import splu

    start, end, ohm = branches.start[~ideal], branches.end[~ideal], branches.ohm[~ideal][:, None]
    brought = -_incidence(start, end, branches.nodes).T @ ((potential[labels[start]] - potential[labels[end]]) / ohm)
    start, end = branches.start[ideal], branches.end[ideal]
    incidence = _incidence(start, end, branches.nodes)
    solved = np.ones(branches.nodes, dtype=bool)
    solved[-branches.terminals :] = False
    lone = np.setdiff1d(labels, labels[-branches.terminals :])  # joined among themselves alone: the first is the reference
    solved[np.unique(labels, return_index=True)[1][lone]] = False
    height = np.zeros_like(brought)
    if solved.any():
        factors = splu((incidence.T @ incidence).tocsc()[solved][:, solved])
        height[solved] = factors.solve(brought[solved])
    out = np.zeros((r.size, brought.shape[1]))
    devices = (start < r.size) & (end >= r.size) & (end < 2 * r.size)
    out[start[devices]] = height[start[devices]] - height[end[devices]]
    return out
