"""The loops of SGD and SHD over the vectors of a batch, with deterministic pulses and exact reads, in float64."""

from __future__ import annotations

import numpy as np

from . import pulses


def write(w, x, d, lr, granularity, scheme, pulse):
    """One update w -= lr d x^T by round(BL p_x p_d) noise-free pulses; `pulse(w, up)` is one pulse on every device."""
    train = pulses.trains(x, d, lr, granularity, **scheme)
    counts, up = pulses.deterministic_implicit(train), pulses.upward(x, d, lr)
    w = np.array(w, dtype=np.float64)
    for k in range(counts.max(initial=0)):
        w = np.where(counts > k, pulse(w, up), w)
    return w


def sgd(w, rows, errors, lr, granularity, scheme, pulse):
    """Stochastic gradient descent on one array: every vector is written at once."""
    for x, d in zip(rows, errors, strict=True):
        w = write(w, x, d, lr, granularity, scheme, pulse)
    return w


def one_hot(k, inputs):
    """The k-th transfer vector: unit vectors in turn."""
    return np.eye(inputs)[k % inputs]


def hadamard(k, inputs):
    """The k-th transfer vector: rows in turn of Sylvester's matrix of the next power of two, cut to the inputs."""
    matrix = np.ones((1, 1))
    while len(matrix) < inputs:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix[k % len(matrix), :inputs]


def shd(
    fast, reference, slow, rows, errors, *, fast_lr, slow_lr, transfer_every, transfer_vector, fast_write, slow_write,
    first=0,
):  # fmt: skip
    """Stochastic Hamiltonian Descent. Returns (fast, slow) after all vectors.

    Every vector: fast -= fast_lr d x^T. After every `transfer_every`-th vector, counted from the first that the tile
    ever saw: v = (fast - reference) u, slow += slow_lr v u^T (Hadamard vectors: slow_lr / inputs), with
    u = transfer_vector(k, inputs) for the k-th transfer. `fast_write` and `slow_write` are `write(w, x, d, lr)`, and
    `first` vectors came before.
    """
    inputs = fast.shape[1]
    rate = slow_lr / inputs if transfer_vector is hadamard else slow_lr
    for count, (x, d) in enumerate(zip(rows, errors, strict=True), start=first + 1):
        fast = fast_write(fast, x, d, fast_lr)
        if count % transfer_every == 0:
            u = transfer_vector(count // transfer_every - 1, inputs)
            slow = slow_write(slow, u, (fast - reference) @ u, -rate)
    return fast, slow
