"""The whole read chain of a `Periphery`, in float64, vector by vector, with the noise of every device drawn by itself."""

from __future__ import annotations

import math

import numpy as np

from .reads import noise_management


def round_half_even(v, converter):
    return v if converter.bits is None else np.rint(v / converter.step) * converter.step


def dac(x, p, noise=0.0):
    """Round, clip, noise, asymmetry."""
    v = round_half_even(np.asarray(x, dtype=np.float64), p.dac)
    if p.dac.bound is not None:
        v = np.clip(v, -p.dac.bound, p.dac.bound)
    return driven(v, p, noise)


def driven(v, p, noise=0.0):
    v = v + noise
    return np.where(v < 0, v * (1 - p.dac.asymmetry), v)


def analog(w, v, p, drawn, rng=None):
    """Sums of the currents: wires, sources, and one normal per device."""
    n = len(v)
    if p.read_noise > 0:
        std = {"additive": np.ones_like(w), "sqrt": np.sqrt(np.abs(w)), "proportional": np.abs(w)}[p.read_noise_law]
        noise = (p.read_noise * std * rng.standard_normal(w.shape)) @ v
    else:
        noise = 0.0
    y = w @ v
    if p.ir_drop > 0:
        a = n / p.ir_drop_g_ratio * (np.abs(w) @ np.abs(v))
        c = a * (a * (0.05 * a - 0.2) + 0.5)
        place = 1 - (1 - np.arange(n) / n) ** 2
        y = y - p.ir_drop * c * (w @ (v * place))
    if p.voltage_offset > 0 or p.series_resistance > 0:
        shift = np.float64(drawn.get("voltage_offset", 0.0))
        cap = math.inf if p.series_resistance_max is None else p.series_resistance_max

        def weakened(u):
            return u / (1 + np.minimum(p.series_resistance * np.abs(u), cap))

        if p.voltage_offset_w_min == 0:
            y = (1 - shift) * weakened(y)
        else:
            reference = -p.voltage_offset_w_min * v.sum()
            y = (1 - shift) * weakened(y + reference) - (1 + shift) * weakened(np.float64(reference))
    return y + noise


def adc(y, p, drawn, noise=0.0):
    """Saturation, asymmetry, noise (in standard deviations), gain, offset, levels, clip. Returns outputs and clips."""
    if "nonlinearity" in drawn or p.series_resistance > 0:
        n = np.float64(drawn.get("nonlinearity", 0.0))
        f = 1.0
        if p.adc.slope_calibration > 0:
            f = (1 + (np.mean(n) + p.series_resistance) * p.adc.slope_calibration * (p.adc.bound or 1.0)) ** 2
        y = f * y / (1 + np.abs(n * y))
    y = np.where(y < 0, y * (1 - p.adc.asymmetry), y)
    y = y + np.float64(drawn.get("adc_noise", p.adc.noise)) * noise
    y = np.float64(drawn.get("adc_gain", 1.0)) * y + np.float64(drawn.get("adc_offset", 0.0))
    bound = math.inf if p.adc.bound is None else p.adc.bound
    beyond = round_half_even(y, p.adc)
    clipped = np.any(beyond > bound * (1 + 1e-9)) or p.bm_test_negative_bound and np.any(beyond < -bound * (1 + 1e-9))
    if p.adc.inl is None and p.adc.dnl is None:
        return np.clip(beyond, -bound, bound), bool(clipped)
    levels = 2 ** (p.adc.bits - 1) - 1
    place = [k + 0.5 for k in range(-levels, levels)]
    if p.adc.inl is not None:
        place = [a + b for a, b in zip(place, p.adc.inl, strict=True)]
    else:
        place = [a + sum(p.adc.dnl[:k]) for k, a in enumerate(place)]
    return (np.array([sum(u / p.adc.step >= t for t in place) for u in y]) - levels) * p.adc.step, bool(clipped)


def one_try(w, v, p, drawn, rng=None):
    """All passes of one converted input: digits, signs."""
    digits = [(v, 1.0)]
    if p.dac.slice_bits is not None:
        level, base = np.rint(np.abs(v) / p.dac.step).astype(int), 2**p.dac.slice_bits
        digits = []
        for k in range(math.ceil((p.dac.bits - 1) / p.dac.slice_bits)):
            digit = level // base**k % base
            drive = driven(np.sign(v) * digit / (base - 1) * p.dac.bound, p)
            digits.append((drive, base**k * (base - 1) * p.dac.step / p.dac.bound))
    total, any_clipped = 0.0, False
    negative = w * (1 + np.float64(drawn.get("read_asymmetry", 0.0)))
    for drive, weight in digits:
        if p.sign_handling == "one_pass":
            sums = [analog(w, drive, p, drawn, rng)]
        else:
            sums = [
                analog(w, np.maximum(drive, 0), p, drawn, rng),
                analog(negative, np.minimum(drive, 0), p, drawn, rng),
            ]
            if p.sign_handling == "analog_sum":
                sums = [sums[0] + sums[1]]
        for s in sums:
            y, clipped = adc(s, p, drawn)
            total, any_clipped = total + weight * y, any_clipped or clipped
    return total, any_clipped


def np_sum(x, p):
    t = max(x[x > 0].sum(), -x[x < 0].sum()) * p.nm_assumed_wmax / (p.adc.bound or 1.0)
    top = np.abs(x).max()
    if p.dac.step is not None:
        t = min(t, top * p.bm_max_resolution / p.dac.step)
    return max(t, min(top, p.nm_threshold or math.inf))


def read_vector(w, x, p, drawn=None, rng=None):
    """One vector through the periphery `p`, with what was drawn for its converters; no noise of converters."""
    w, x, drawn = np.asarray(w, np.float64), np.asarray(x, np.float64), drawn or {}
    kind = p.noise_management
    nm = np_sum(x, p) if kind == "abs_max_np_sum" else noise_management(x, kind, p.nm_threshold or 0.0)
    if nm <= 0:
        return np.zeros(len(w))
    reduction, attempt = 1.0, 0
    finest = p.bm_max_resolution / p.dac.step if p.dac.step else math.inf
    while True:
        v = dac(x / (nm * reduction), p) if p.dac.slice_bits is None else dac(x / (nm * reduction), _plain_dac(p))
        y, clipped = one_try(w, v, p, drawn, rng)
        if p.bound_management == "none" or not clipped or int(reduction) > p.bm_max_factor or reduction > finest:
            return y * nm * reduction * p.out_scale
        if attempt == 0 and p.bound_management == "iterative_worst_case":
            nm, reduction = np_sum(x, p), 1.0
        else:
            reduction *= 2
        attempt += 1


def _plain_dac(p):
    """The periphery with a DAC that only rounds and clips."""
    return p.replace(dac=p.dac.replace(asymmetry=0.0, noise=0.0))


def read(w, rows, p, drawn=None, rng=None):
    """`read_vector` for every row of `rows`."""
    return np.array([read_vector(w, x, p, drawn, rng) for x in rows])
