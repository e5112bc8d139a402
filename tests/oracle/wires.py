"""Kirchhoff's and Ohm's laws of an array with resistive lines, one equation per node and one per branch.

Unknowns are the potential of every node and the current of every branch: sum of currents = 0 at a node, and
V(start) - V(end) = R I in a branch (I = 0 where R is infinite). So no resistance is divided by, and 0 is nothing special.
"""

import math

import numpy as np
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve


def per_line(value, count):
    return [float(value)] * count if np.ndim(value) == 0 else [float(entry) for entry in value]


def network(
    voltages, resistances, r_word, r_bit, r_driver=0.0, r_sense=0.0, drivers="left", sensors="bottom", transposed=False
):
    """All voltages and currents for one vector, in a dict named as NetworkSolution."""
    m, n = np.shape(resistances)
    r_word, r_driver = per_line(r_word, m), per_line(r_driver, m)
    r_bit, r_sense = per_line(r_bit, n), per_line(r_sense, n)

    def terminal_voltage(kind, line):
        return float(voltages[line]) if (kind == "bit end") == transposed else 0.0

    # (what, i, j), start, end, resistance; nodes are ("word", i, j), ("bit", i, j), terminals ("word end", i), ("bit end", j)
    branches = []
    for i in range(m):
        branches.append((("word", i, 0), ("word end", i), ("word", i, 0), r_driver[i] + r_word[i]))
        for j in range(1, n):
            branches.append((("word", i, j), ("word", i, j - 1), ("word", i, j), r_word[i]))
        if drivers == "both":
            branches.append((("word", i, n), ("word", i, n - 1), ("word end", i), r_driver[i] + r_word[i]))
    for j in range(n):
        if sensors == "both":
            branches.append((("bit", -1, j), ("bit end", j), ("bit", 0, j), r_sense[j] + r_bit[j]))
        for i in range(m - 1):
            branches.append((("bit", i, j), ("bit", i, j), ("bit", i + 1, j), r_bit[j]))
        branches.append((("bit", m - 1, j), ("bit", m - 1, j), ("bit end", j), r_sense[j] + r_bit[j]))
    for i in range(m):
        for j in range(n):
            branches.append((("device", i, j), ("word", i, j), ("bit", i, j), float(resistances[i][j])))

    nodes = [(kind, i, j) for kind in ("word", "bit") for i in range(m) for j in range(n)]
    index = {node: k for k, node in enumerate(nodes)}
    size = len(nodes) + len(branches)
    matrix, right = lil_matrix((size, size)), np.zeros(size)
    for k, (_, start, end, resistance) in enumerate(branches):
        current = len(nodes) + k
        for node, sign in ((start, 1.0), (end, -1.0)):
            if node in index:
                matrix[index[node], current] = sign
            if math.isfinite(resistance):
                if node in index:
                    matrix[current, index[node]] = sign
                else:
                    right[current] -= sign * terminal_voltage(*node)
        if math.isinf(resistance):
            matrix[current, current] = 1.0
        elif resistance > 0.0:
            matrix[current, current] = -resistance
    x = spsolve(matrix.tocsc(), right)

    potential = {node: x[k] for node, k in index.items()}
    current = {what: x[len(nodes) + k] for k, (what, _, _, _) in enumerate(branches)}
    top, right_end = (-1 if sensors == "both" else 0), (n + 1 if drivers == "both" else n)
    out = {
        "word_voltages": np.array([[potential["word", i, j] for j in range(n)] for i in range(m)]),
        "bit_voltages": np.array([[potential["bit", i, j] for j in range(n)] for i in range(m)]),
        "device_currents": np.array([[current["device", i, j] for j in range(n)] for i in range(m)]),
        "word_currents": np.array([[current["word", i, j] for j in range(right_end)] for i in range(m)]),
        "bit_currents": np.array([[current["bit", i, j] for j in range(n)] for i in range(top, m)]),
    }
    word_in = out["word_currents"][:, 0] - (out["word_currents"][:, -1] if drivers == "both" else 0.0)
    bit_out = out["bit_currents"][-1] - (out["bit_currents"][0] if sensors == "both" else 0.0)
    out["currents"] = -word_in if transposed else bit_out
    return out


def power(solution, resistances, r_word, r_bit, r_driver=0.0, r_sense=0.0):
    """Sum of R I^2 over devices and segments, for lines with a driver and a sensor at one end each."""
    m, n = np.shape(resistances)
    word = np.array(
        [
            [r + (d if j == 0 else 0.0) for j in range(n)]
            for r, d in zip(per_line(r_word, m), per_line(r_driver, m), strict=True)
        ]
    )
    bit = np.array(
        [
            [r + (s if i == m - 1 else 0.0) for r, s in zip(per_line(r_bit, n), per_line(r_sense, n), strict=True)]
            for i in range(m)
        ]
    )
    devices = np.where(np.isfinite(resistances), resistances, 0.0) * solution["device_currents"] ** 2
    return float(np.sum(devices) + np.sum(word * solution["word_currents"] ** 2) + np.sum(bit * solution["bit_currents"] ** 2))


def nonlinear(voltages, resistances, r_word, r_bit, alpha):
    """Node voltages (2, m, n) for devices of i = sinh(alpha v) / (alpha R), with resistive lines: damped dense Newton."""
    m, n = np.shape(resistances)

    def excess(x):
        v, u = x.reshape(2, m, n)
        device = np.sinh(alpha * (v - u)) / (alpha * resistances)
        left = (np.hstack([np.reshape(voltages, (m, 1)), v[:, :-1]]) - v) / r_word
        down = (u - np.vstack([u[1:], np.zeros((1, n))])) / r_bit
        at_v = left - np.hstack([left[:, 1:], np.zeros((m, 1))]) - device
        at_u = device + np.vstack([np.zeros((1, n)), down[:-1]]) - down
        return np.concatenate([at_v.ravel(), at_u.ravel()])

    x = np.concatenate([np.repeat(voltages, n), np.zeros(m * n)]) / 2.0
    x[: m * n] *= 2.0
    x[: m * n] -= 0.25 * np.max(voltages)
    for _ in range(200):
        f = excess(x)
        jacobian = np.empty((x.size, x.size))
        for k in range(x.size):  # complex step: exact derivatives
            shifted = x.astype(complex)
            shifted[k] += 1e-30j
            jacobian[:, k] = excess(shifted).imag / 1e-30
        step = np.linalg.solve(jacobian, -f)
        t = 1.0
        while not np.abs(excess(x + t * step)).max() < np.abs(f).max() and t > 1e-3:
            t /= 2
        x = x + t * step
        if np.abs(step).max() < 1e-14 * np.abs(x).max():
            break
    return x.reshape(2, m, n)
