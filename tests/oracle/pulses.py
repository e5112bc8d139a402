"""Pulse trains and the rank-one update by coincidences (Gokmen and Vlasov 2016), in float64.

The update realises E[dW] = -lr * d x^T, so a coincidence with x*d*lr > 0 is a *down* pulse. `dw_min` is the
granularity of the device.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Trains(NamedTuple):
    """Length of the trains, scale B of the columns (x), scale A of the rows (d), the firing probabilities, and whether all
    columns (and all rows) share one random number per slot."""

    length: int
    a: float
    b: float
    p_x: np.ndarray
    p_d: np.ndarray
    shared: bool = False


def trains(
    x,
    d,
    lr,
    dw_min,
    desired_bl,
    *,
    update_management=True,
    update_bl_management=True,
    fixed_bl=True,
    um_grad_scale=1.0,
    power_of_two_scales=False,
    shared_random_numbers=False,
) -> Trains:
    """Train length and probability scales.

    With x_m = max|x|, d_m = um_grad_scale*max|d| and k = |lr|*x_m*d_m/dw_min:

    * length BL = desired_bl, or min(ceil(k), desired_bl) under `update_bl_management`; nothing happens (BL = 0) if x_m
      or d_m is 0;
    * A = B = sqrt(|lr|/(dw_min*BL));
    * without `fixed_bl` (and without `update_bl_management`), where dw_min*desired_bl < |lr|: BL = ceil(|lr|/dw_min)
      and A = B = 1 instead;
    * `update_management`, whether or not BL was shortened: A *= sqrt(x_m/d_m) and B *= sqrt(d_m/x_m), with
      d_m *= desired_bl/k first if k > desired_bl, so that d saturates and x does not;
    * p_x = |x|*B and p_d = |d|*A; probabilities above 1 act as 1;
    * `power_of_two_scales`: x_m and d_m are first rounded up to powers of two, B = 1/x_m, and A = |lr|/(dw_min*BL*B), so that
      A*B*BL*dw_min = |lr| as ever.
    """
    x, d = np.abs(np.asarray(x, dtype=np.float64)), np.abs(np.asarray(d, dtype=np.float64))
    lr = abs(lr)
    update_management = update_management or update_bl_management  # as in the peer
    x_m, d_m = x.max(), um_grad_scale * d.max()
    if lr == 0.0 or x_m == 0.0 or d_m == 0.0:
        return Trains(0, 0.0, 0.0, np.zeros_like(x), np.zeros_like(d))
    if power_of_two_scales:
        x_m, d_m = (2.0 ** np.ceil(np.log2(m)) for m in (x_m, d_m))
    k = lr * x_m * d_m / dw_min
    length = min(math.ceil(k), desired_bl) if update_bl_management else desired_bl
    a = b = math.sqrt(lr / (dw_min * length))
    if not fixed_bl and not update_bl_management and dw_min * desired_bl < lr:
        length, a, b = math.ceil(lr / dw_min), 1.0, 1.0
    if power_of_two_scales:
        a, b = lr * x_m / (dw_min * length), 1.0 / x_m
    elif update_management:
        if k > desired_bl:
            d_m *= desired_bl / k
        a, b = a * math.sqrt(x_m / d_m), b * math.sqrt(d_m / x_m)
    return Trains(length, a, b, np.minimum(x * b, 1.0), np.minimum(d * a, 1.0), shared_random_numbers)


def upward(x, d, lr) -> np.ndarray:
    """True where a coincidence raises the weight: x*d*lr < 0. Shape (out, in)."""
    return np.outer(np.sign(d), np.sign(x)) * np.sign(lr) < 0


def mean_count(train: Trains) -> np.ndarray:
    """MEAN_COUNT: every line has its mean count c = rint(BL*p), and n_ij = rint(c_x*c_d/BL)."""
    if train.length == 0:
        return np.zeros((train.p_d.size, train.p_x.size), dtype=np.int64)
    c_x = np.clip(np.rint(train.length * train.p_x), 0, train.length)
    c_d = np.clip(np.rint(train.length * train.p_d), 0, train.length)
    return np.rint(np.outer(c_d, c_x) / train.length).astype(np.int64)


def deterministic_implicit(train: Trains) -> np.ndarray:
    """DETERMINISTIC_IMPLICIT: n_ij = rint(BL*p_x*p_d) with both probabilities in [0, 1]."""
    return np.rint(train.length * np.outer(train.p_d, train.p_x)).astype(np.int64)


def count_mean(train: Trains) -> np.ndarray:
    """STOCHASTIC: n_ij ~ Binomial(BL, p_x[j]*p_d[i]), of mean BL*p."""
    return train.length * np.outer(train.p_d, train.p_x)


def count_variance(train: Trains) -> np.ndarray:
    """STOCHASTIC: variance BL*p*(1 - p) of the counts."""
    p = np.outer(train.p_d, train.p_x)
    return train.length * p * (1.0 - p)


def count_covariance(train: Trains, first: tuple[int, int], second: tuple[int, int]) -> float:
    """STOCHASTIC: covariance of the counts of two cross-points (row, column), which share the trains of their lines.

    Per slot it is P(both fire) - P(first)*P(second), where a shared line is counted once: BL*p_d*p_x*p_x'*(1 - p_d) in
    the same row, BL*p_x*p_d*p_d'*(1 - p_x) in the same column, zero if neither is shared. Where lines share a random number,
    two of them both fire with the smaller of their probabilities.
    """
    (i, j), (k, m) = first, second
    both = min if train.shared else lambda p, q: p * q
    rows = train.p_d[i] if i == k else both(train.p_d[i], train.p_d[k])
    columns = train.p_x[j] if j == m else both(train.p_x[j], train.p_x[m])
    separate = train.p_d[i] * train.p_x[j] * train.p_d[k] * train.p_x[m]
    return float(train.length * (rows * columns - separate))


def update_variance(train: Trains, step, sigma) -> np.ndarray:
    """Constant step far from the bounds: Var[dW] = step^2*(BL*p*(1 - p) + sigma^2*BL*p)."""
    return step**2 * (count_variance(train) + sigma**2 * count_mean(train))


def apply_counts(w, counts, up, pulse, rng=None) -> np.ndarray:
    """Return w after counts[i, j] pulses on each cross-point, one after another, each with its own noise.

    `pulse(w, up, i, j, xi)` is one pulse on cross-point (i, j). Without `rng` every xi is 0.
    """
    w = np.array(w, dtype=np.float64)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            for _ in range(counts[i, j]):
                w[i, j] = pulse(w[i, j], up[i, j], i, j, 0.0 if rng is None else rng.standard_normal())
    return w


def stochastic_update(w, up, train: Trains, pulse, rng) -> np.ndarray:
    """STOCHASTIC: slot by slot every line fires with its probability; where both lines fire the device gets a pulse.

    `pulse(w, up, i, j, xi)` as in `apply_counts`; a device sees its own earlier pulses.
    """
    w = np.array(w, dtype=np.float64)
    for _ in range(train.length):
        columns = rng.random(1 if train.shared else train.p_x.size) < train.p_x
        rows = rng.random(1 if train.shared else train.p_d.size) < train.p_d
        w = apply_counts(w, np.outer(rows, columns).astype(np.int64), up, pulse, rng)
    return w


def half_selected(columns, rows, x, d, lr) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What one slot does to each device, phase by phase: (whole up, whole down, half up, half down) pulses, of shape (out, in).

    `columns` and `rows` say which lines fire. There is one phase for each pair of signs of x and d. In it the firing lines of
    these signs get half the voltage; a device between two of them gets a whole pulse, beside one of them half a pulse, of the
    polarity of the phase: up where x*d*lr < 0.
    """
    out = np.zeros((4, len(d), len(x)), dtype=np.int64)
    for sign_x in (-1, 1):
        for sign_d in (-1, 1):
            up = sign_x * sign_d * lr < 0
            for i in range(len(d)):
                for j in range(len(x)):
                    column = columns[j] and np.sign(x[j]) == sign_x
                    row = rows[i] and np.sign(d[i]) == sign_d
                    if column and row:
                        out[0 if up else 1, i, j] += 1
                    elif column or row:
                        out[2 if up else 3, i, j] += 1
    return tuple(out)
