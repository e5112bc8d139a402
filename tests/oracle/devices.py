"""One pulse of one resistive device, in float64.

Every function works elementwise on scalars or arrays. `up` is True where the pulse raises the weight. `xi` is the
standard normal of the pulse's cycle-to-cycle noise and `sigma` its relative strength (`dw_min_std`).
"""

from __future__ import annotations

import numpy as np


def mean_steps(dw_min, gain=1.0, up_down=0.0, up_down_dtod=0.0, xi=0.0):
    """Return (s_up, s_dn), the device's mean steps at the reference point (device-to-device draws).

    s_up = dw_min*(gain + up_down + r) and s_dn = dw_min*(gain - up_down - r) with r = up_down_dtod*xi, where `gain` is
    the device's own draw of the step size. The asymmetry is symmetric in both directions, as in the papers.
    """
    r = up_down_dtod * np.asarray(xi, dtype=np.float64)
    return dw_min * (gain + up_down + r), dw_min * (gain - up_down - r)


def noisy_step(mean, s, sigma, xi, multiplicative):
    """Cycle-to-cycle noise: mean*(1 + sigma*xi) if multiplicative, else mean + s*sigma*xi (LinearStep `mult_noise`)."""
    return mean * (1.0 + sigma * xi) if multiplicative else mean + s * sigma * xi


def constant_step(w, up, *, s_up, s_dn, b_min, b_max, sigma=0.0, xi=0.0):
    """ConstantStep: w += s_up*(1 + sigma*xi) or w -= s_dn*(1 + sigma*xi), then clip to the device's own bounds."""
    w = np.asarray(w, dtype=np.float64)
    return np.clip(np.where(up, w + s_up * (1.0 + sigma * xi), w - s_dn * (1.0 + sigma * xi)), b_min, b_max)


def linear_means(w, *, s_up, s_dn, gam_up, gam_dn, ref_up, ref_dn):
    """LinearStep: mean magnitudes (up, down) at state w, s*(1 - gam*w/ref), without a guard on the sign.

    `ref_up` and `ref_dn` are w_max and w_min of the population (mean_bound_reference) or the device's own bounds.
    """
    w = np.asarray(w, dtype=np.float64)
    return s_up * (1.0 - gam_up * w / ref_up), s_dn * (1.0 - gam_dn * w / ref_dn)


def linear_step(w, up, *, s_up, s_dn, gam_up, gam_dn, ref_up, ref_dn, b_min, b_max, sigma=0.0, xi=0.0, multiplicative=True):
    """LinearStep: a step that falls linearly with w, its noise, then clip to the device's own bounds."""
    w = np.asarray(w, dtype=np.float64)
    mean_up, mean_dn = linear_means(w, s_up=s_up, s_dn=s_dn, gam_up=gam_up, gam_dn=gam_dn, ref_up=ref_up, ref_dn=ref_dn)
    raised = w + noisy_step(mean_up, s_up, sigma, xi, multiplicative)
    lowered = w - noisy_step(mean_dn, s_dn, sigma, xi, multiplicative)
    return np.clip(np.where(up, raised, lowered), b_min, b_max)


def soft_bounds(w, up, *, s_up, s_dn, b_min, b_max, sigma=0.0, xi=0.0, multiplicative=True):
    """SoftBounds: LinearStep with gamma 1 and the device's own bounds as references."""
    return linear_step(
        w,
        up,
        s_up=s_up,
        s_dn=s_dn,
        gam_up=1.0,
        gam_dn=1.0,
        ref_up=b_max,
        ref_dn=b_min,
        b_min=b_min,
        b_max=b_max,
        sigma=sigma,
        xi=xi,
        multiplicative=multiplicative,
    )


def soft_bounds_after_up_pulses(w0, n, s_up, b_max):
    """SoftBounds without noise after n up pulses: w_n = b_max - (b_max - w_0)*(1 - s_up/b_max)**n."""
    return b_max - (b_max - w0) * (1.0 - s_up / b_max) ** n


def linear_symmetry_point(*, s_up, s_dn, gam_up, gam_dn, ref_up, ref_dn):
    """LinearStep: the state where the mean up and down steps are equal (the bounds are not looked at)."""
    return (s_up - s_dn) / (s_up * gam_up / ref_up - s_dn * gam_dn / ref_dn)


def soft_bounds_symmetry_point(*, s_up, s_dn, b_min, b_max):
    """SoftBounds: w* = (s_up - s_dn)/(s_up/b_max - s_dn/b_min)."""
    return (s_up - s_dn) / (s_up / b_max - s_dn / b_min)


def soft_bounds_reference(w, up, *, s_up, s_dn, b_min, b_max, reference, sigma=0.0, xi=0.0, multiplicative=False):
    """SoftBoundsReference: soft bounds for v = w + reference; a bound on the wrong side of 0 makes the step constant."""
    v = np.asarray(w, dtype=np.float64) + reference
    fraction_up = np.where(np.asarray(b_max) > 0, v / np.where(np.asarray(b_max) > 0, b_max, 1.0), 0.0)
    fraction_dn = np.where(np.asarray(b_min) < 0, v / np.where(np.asarray(b_min) < 0, b_min, 1.0), 0.0)
    raised = v + noisy_step(s_up * (1 - fraction_up), s_up, sigma, xi, multiplicative)
    lowered = v - noisy_step(s_dn * (1 - fraction_dn), s_dn, sigma, xi, multiplicative)
    return np.clip(np.where(up, raised, lowered), b_min, b_max) - reference


def exp_step(
    w, up, *, s_up, s_dn, b_min, b_max, A_up, A_down, gamma_up, gamma_down, a, b, sigma=0.0, xi=0.0, add=0.0, slope=0.0
):
    """ExpStep with its complex noise sigma*(|dw| + add + slope*|w|); none of it where the range is empty."""
    w = np.asarray(w, dtype=np.float64)
    z = 2 * a * w / (b_max - b_min) + b
    dw = np.where(
        up,
        s_up * np.maximum(1 - A_up * np.exp(gamma_up * z), 0),
        -s_dn * np.maximum(1 - A_down * np.exp(-gamma_down * z), 0),
    )
    noise = sigma * (np.abs(dw) + add + slope * np.abs(w)) * xi
    return np.clip(w + dw + np.where(up, noise, -noise), b_min, b_max)


def pow_step(w, up, *, s_up, s_dn, b_min, b_max, gam_up, gam_dn, reference=0.0, sigma=0.0, xi=0.0):
    """PowStep, or PowStepReference: the same for v = w + reference."""
    v = np.asarray(w, dtype=np.float64) + reference
    span = b_max - b_min
    raised = v + s_up * np.maximum((b_max - v) / span, 0) ** gam_up * (1 + sigma * xi)
    lowered = v - s_dn * np.maximum((v - b_min) / span, 0) ** gam_dn * (1 + sigma * xi)
    return np.clip(np.where(up, raised, lowered), b_min, b_max) - reference


def piecewise_step(w, up, *, s_up, s_dn, b_min, b_max, table_up, table_dn, sigma=0.0, xi=0.0):
    """PiecewiseStep: linear interpolation between nodes over the device's own range, written with indices."""
    w = np.asarray(w, dtype=np.float64)
    n = len(table_up)
    t = np.clip((w - b_min) / (b_max - b_min) * (n - 1), 0, n - 1)
    left = np.minimum(np.floor(t).astype(int), max(n - 2, 0))
    right = np.minimum(left + 1, n - 1)

    def value(table):
        table = np.asarray(table, dtype=np.float64)
        return table[left] + (t - left) * (table[right] - table[left])

    size = np.where(up, s_up * value(table_up), s_dn * value(table_dn)) * (1 + sigma * xi)
    return np.clip(np.where(up, w + size, w - size), b_min, b_max)
