"""The loops of the training algorithms over the vectors of a batch, with deterministic pulses and exact reads, in float64.

Lines are columns throughout; an algorithm whose lines are rows is the same with x and d exchanged and all arrays transposed.
"""

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
    fast,
    reference,
    slow,
    rows,
    errors,
    *,
    fast_lr,
    slow_lr,
    transfer_every,
    transfer_vector,
    fast_write,
    slow_write,
    first=0,
):
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


def tiki_taka(arrays, references, rows, errors, *, fast_lr, transfer_lr, transfer_every, writes, reads=1, vector=one_hot):
    """Tiki-Taka, version 1, with any number of arrays, A first and C last. Returns the list of arrays.

    After every `transfer_every[k]`-th vector, `reads` lines of array k are read, less their references, and array k + 1
    moves by transfer_lr[k] v u^T. `writes[k]` is `write(w, x, d, lr)` of array k.
    """
    arrays, inputs = list(arrays), arrays[0].shape[1]
    for count, (x, d) in enumerate(zip(rows, errors, strict=True), start=1):
        arrays[0] = writes[0](arrays[0], x, d, fast_lr)
        for k in range(len(arrays) - 1):
            if count % transfer_every[k] == 0:
                first = (count // transfer_every[k] - 1) * reads
                for number in range(first, first + reads):
                    u = vector(number, inputs)
                    rate = transfer_lr[k] / inputs if vector is hadamard else transfer_lr[k]
                    v = (arrays[k] - references[k]) @ u
                    arrays[k + 1] = writes[k + 1](arrays[k + 1], u, v, -rate)
    return arrays


def tiki_taka_v2(
    a,
    reference,
    c,
    rows,
    errors,
    *,
    fast_lr,
    gain,
    fast_write,
    slow_write,
    transfer_every=1,
    momentum=0.0,
    forget=True,
    most=1,
    step=1.0,
    signs=None,
    auto=None,
    over_fast_rate=False,
    beta=None,
    warm_up=0,
    leak=0.0,
    no_buffer=False,
    cap=0.0,
):
    """Tiki-Taka, version 2, chopped or not, and AGAD. Returns (a, c, buffer, mean).

    H_i += gain v for the line i that is read; where |H| >= 1, n = trunc(H), at most `most`, pulses on C, and H is left as
    momentum H (`forget`) or H - (1 - momentum) n. `slow_write(c, x, d, lr)` takes lr in pulses of C.
    `signs[t]` are the choppers (outputs, inputs) while vector t is learnt and what follows it is read.
    `auto` = (desired_bl dw_min, decay): fast_lr is divided by running means of max|x| and max|d|, times the first.
    `beta`: v is read against the mean, of weight `beta`, that the line had when its chopper last flipped (AGAD), and C is
    written only after `warm_up` sweeps. `leak`: H is multiplied by 1 - leak before each sum.
    """
    outputs, inputs = a.shape
    h, mean, frozen = np.zeros(a.shape), np.zeros(a.shape), np.zeros(a.shape)
    last = np.ones(inputs)
    means = [None, None]
    for t, (x, d) in enumerate(zip(rows, errors, strict=True)):
        of_d, of_x = (np.ones(outputs), np.ones(inputs)) if signs is None else signs[t]
        rate = fast_lr
        if auto is not None:
            for k, top in enumerate((np.abs(x).max(), np.abs(d).max())):
                if top > 0.0:
                    means[k] = top if means[k] is None else (1 - auto[1]) * means[k] + auto[1] * top
            rate = fast_lr * auto[0] / (means[0] * means[1])
        a = fast_write(a, of_x * x, of_d * d, rate)
        if (t + 1) % transfer_every:
            continue
        number = (t + 1) // transfer_every - 1
        i = number % inputs
        v = (a - reference)[:, i]
        if beta is not None:
            if of_x[i] != last[i]:
                frozen[:, i], last[i] = mean[:, i], of_x[i]
            mean[:, i], v = (1 - beta) * mean[:, i] + beta * v, v - frozen[:, i]
        scale = gain / abs(rate) if over_fast_rate else gain
        new = (0.0 if no_buffer else (1.0 - leak) * h[:, i]) + scale * of_d * of_x[i] * v
        n = np.where(np.abs(new) >= 1.0, np.clip(np.trunc(new), -most, most), 0.0)
        left = momentum * new if forget else new - (1 - momentum) * n
        h[:, i] = np.where(n != 0.0, left, new)
        if cap:
            h[:, i] = np.clip(h[:, i], -cap, cap)
        if n.any() and number // inputs >= warm_up:
            c = slow_write(c, one_hot(i, inputs), -n, step)
    return a, c, h, mean


def regular_choppers(n, outputs, inputs, period, transfer_every=1):
    """Choppers (outputs, inputs) before each of n vectors, and after the last one: line i turns after every `period`-th of its
    reads, of which the first comes after (i + 1) `transfer_every` vectors and the others a sweep apart."""
    found, reads, sign = [], np.zeros(inputs, int), np.ones(inputs)
    for t in range(n + 1):
        found.append((np.ones(outputs), sign.copy()))
        if (t + 1) % transfer_every == 0:
            i = ((t + 1) // transfer_every - 1) % inputs
            reads[i] += 1
            if reads[i] == period:
                reads[i], sign[i] = 0, -sign[i]
    return found


def quantised(v, bins):
    """v on bins // 2 levels on either side of 0, the last of them max|v|, rounded to the nearest."""
    width = np.abs(v).max() / (bins // 2)
    return np.clip(np.rint(v / width), -(bins // 2), bins // 2) * width


def digital(w, rows, errors, *, lr, unit, every, write, rule, most=np.inf, rows_per_transfer=None, bins=(0, 0), dead_zone=0.0):
    """Algorithms that sum chi += lr d x^T and write rows of it. Returns (w, chi).

    `rule`: "truncate" writes trunc(chi / unit) units and keeps the rest; "sign" writes one unit and keeps nothing.
    `write(w, x, d, lr)` with lr = 1 for one unit.
    """
    chi = np.zeros(w.shape)
    n_rows = rows_per_transfer or len(w)
    for count, (x, d) in enumerate(zip(rows, errors, strict=True), start=1):
        x, d = (quantised(v, n) if n else v for v, n in zip((x, d), bins, strict=True))
        chi = chi + lr * np.outer(d, x)
        if count % every:
            continue
        first = (count // every - 1) * n_rows
        for i in np.arange(first, first + n_rows) % len(w):
            if rule == "sign":
                n = np.where(np.abs(chi[i]) > dead_zone, np.sign(chi[i]), 0.0)
                chi[i] = 0.0
            else:
                n = np.clip(np.trunc(chi[i] / unit), -most, most)
                chi[i] -= n * unit
            if n.any():
                w = write(w, n, one_hot(i, len(w)), 1.0)
    return w, chi


def rider(
    p, w, rows, errors, *, fast_lr, transfer_lr, eta, fast_write, slow_write, signs=None, transfer_every=1, step=None, auto=None
):
    """RIDER and E-RIDER. Returns (p, w, q, q_held).

    P learns with the choppers' signs; after every `transfer_every`-th vector a line i is read,
    Q_i <- (1 - eta) Q_i + eta P_i and W_i moves by transfer_lr s (P_i - Q_i). `q_held` is Q as it was when the chopper of the
    line last flipped. `step`: H_i += transfer_lr s (P_i - Q_i), and where |H| >= 1, W moves by one `step` and H <- 0. `auto` as
    in `tiki_taka_v2`.
    """
    outputs, inputs = p.shape
    q, held, h = np.zeros(p.shape), np.zeros(p.shape), np.zeros(p.shape)
    means = [None, None]
    for t, (x, d) in enumerate(zip(rows, errors, strict=True)):
        of_d, of_x = (np.ones(outputs), np.ones(inputs)) if signs is None else signs[t]
        rate = fast_lr
        if auto is not None:
            tops = np.abs(x).max(), np.abs(d).max()
            means = [top if m is None else (1 - auto[1]) * m + auto[1] * top for m, top in zip(means, tops, strict=True)]
            rate = fast_lr * auto[0] / (means[0] * means[1])
        p = fast_write(p, of_x * x, of_d * d, rate)
        if (t + 1) % transfer_every == 0:
            i = ((t + 1) // transfer_every - 1) % inputs
            q[:, i] = (1 - eta) * q[:, i] + eta * p[:, i]
            v = of_d * of_x[i] * (p[:, i] - q[:, i])
            if step is None:
                w = slow_write(w, one_hot(i, inputs), v, -transfer_lr)
            else:
                h[:, i] += transfer_lr * v
                full = np.abs(h[:, i]) >= 1.0
                if full.any():
                    w = slow_write(w, one_hot(i, inputs), np.where(full, np.sign(h[:, i]), 0.0), -step)
                h[full, i] = 0.0
            if signs is not None and signs[t + 1][1][i] != of_x[i]:
                held[:, i] = q[:, i]
    return p, w, q, held


def low_rank(w, a, b, rows, errors, *, rate_a, rate_b, alpha, transfer_lr, every, write_w, write_a, write_b, fresh_b):
    """Low-rank Tiki-Taka: W + alpha A B, whose gradients are alpha d (B x)^T and alpha (A^T d) x^T. Returns (w, a, b).

    After `every` vectors W moves by transfer_lr alpha A B, one rank after another, A becomes 0 and B `fresh_b(k)`.
    """
    for t, (x, d) in enumerate(zip(rows, errors, strict=True), start=1):
        u, v = b @ x, a.T @ d
        a, b = write_a(a, u, d, rate_a * alpha), write_b(b, x, v, rate_b * alpha)
        if t % every == 0:
            for k in range(a.shape[1]):
                w = write_w(w, b[k], a[:, k], -transfer_lr * alpha)
            a, b = np.zeros_like(a), fresh_b(t // every - 1)
    return w, a, b
