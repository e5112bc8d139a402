"""The read chain of one array: scale, DAC, product, ADC, bound management, unscale. In float64, vector by vector.

Noise comes in as a number, an array, or a callable `noise(attempt) -> array` that is asked anew for every try of the
bound management; it is added as it is (already multiplied by its standard deviation).
"""

from __future__ import annotations

import math

import numpy as np


def steps_of_bits(bits):
    """b bits are 2**b - 1 levels, symmetric about zero, so 2**b - 2 steps over the full range."""
    return 2**bits - 2


def convert(v, bound=None, steps=None):
    """DAC or ADC: round to the nearest multiple of 2*bound/steps (ties to even), then clip to +-bound.

    Returns the converted signal and whether any element was cut off by the bound. `steps=None`: no rounding,
    `bound=None`: no clipping (and no rounding, which needs a range).
    """
    v = np.asarray(v, dtype=np.float64)
    if bound is None:
        return v, False
    if steps is not None:
        step = 2.0 * bound / steps
        v = np.rint(v / step) * step
    clipped = bool(np.any(np.abs(v) > bound))
    return np.clip(v, -bound, bound), clipped


def noise_management(x, kind, threshold=0.0):
    """The value nm that inputs are divided by: none 1, abs_max max|x|, max max(x), constant the threshold (or 1).

    A positive threshold limits abs_max and max from above.
    """
    x = np.asarray(x, dtype=np.float64)
    if kind == "none":
        return 1.0
    if kind == "constant":
        return threshold if threshold > 0.0 else 1.0
    nm = {"abs_max": np.max(np.abs(x)), "max": np.max(x)}[kind]
    return float(min(nm, threshold) if threshold > 0.0 else nm)


def average_abs_max(rows, state=None, decay=1e-3):
    """average_abs_max: the running mean a of max|x| over the vectors: max|x| at first, then (1-decay)*a + decay*max|x|.

    Returns the value used for each vector; the last is the state to go on with.
    """
    values = []
    for x in rows:
        amax = float(np.max(np.abs(x)))
        state = amax if state is None else (1.0 - decay) * state + decay * amax
        values.append(state)
    return values


def _noise(noise, attempt):
    return noise(attempt) if callable(noise) else noise


def read_vector(
    w,
    x,
    *,
    nm=1.0,
    dac_bound=1.0,
    dac_steps=None,
    adc_bound=None,
    adc_steps=None,
    bound_management="none",
    max_factor=1000,
    max_res=0.25,
    input_noise=0.0,
    weight_noise=0.0,
    output_noise=0.0,
):
    """One vector through the periphery: y = nm*r*ADC((w + weight_noise) (DAC(x/(nm*r)) + input_noise) + output_noise).

    r = 1, or under `bound_management="iterative"` 1, 2, 4, ...: the whole noisy product is tried again with r doubled
    until a try has nothing clipped by the ADC, or int(r) > max_factor, or r > max_res/dac_step; the last try counts.
    A vector with nm <= 0 reads as zero, without noise, if there is no input noise; else it is not scaled (nm = 1).
    """
    w, x = np.asarray(w, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if nm <= 0.0:
        if not callable(input_noise) and np.all(np.asarray(input_noise) == 0.0):
            return np.zeros(w.shape[0])
        nm = 1.0
    finest = math.inf
    if dac_bound is not None and dac_steps is not None:
        finest = max_res / (2.0 * dac_bound / dac_steps)
    reduction, attempt = 1.0, 0
    while True:
        v, _ = convert(x / (nm * reduction), dac_bound, dac_steps)
        y = (w + _noise(weight_noise, attempt)) @ (v + _noise(input_noise, attempt))
        y, clipped = convert(y + _noise(output_noise, attempt), adc_bound, adc_steps)
        last_try = int(reduction) > max_factor or reduction > finest
        if bound_management == "none" or not clipped or last_try:
            return y * nm * reduction
        reduction, attempt = 2.0 * reduction, attempt + 1


def scales(rows, kind="none", threshold=0.0):
    """The noise-management value of every vector of `rows`."""
    if kind == "average_abs_max":
        return average_abs_max(rows)
    return [noise_management(x, kind, threshold) for x in rows]


def read(w, rows, *, noise_management_kind="none", threshold=0.0, **chain):
    """`read_vector` for every row of `rows`, each with its own noise-management value. Returns (rows, out)."""
    values = scales(rows, noise_management_kind, threshold)
    return np.array([read_vector(w, x, nm=nm, **chain) for x, nm in zip(rows, values, strict=True)])


def read_transposed(w, rows, *, noise_management_kind="none", threshold=0.0, **chain):
    """The backward read z = W^T d: the same chain on the transposed array, without bound management.

    A vector with nm <= 0 reads as zero, whatever the noise.
    """
    if chain.get("bound_management", "none") != "none":
        raise ValueError("a backward read has no bound management")
    w = np.asarray(w, dtype=np.float64).T
    values = scales(rows, noise_management_kind, threshold)
    out = [read_vector(w, x, nm=nm, **chain) if nm > 0.0 else np.zeros(len(w)) for x, nm in zip(rows, values, strict=True)]
    return np.array(out)
