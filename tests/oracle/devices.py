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


def linear_step(
    w, up, *, s_up, s_dn, gam_up, gam_dn, ref_up, ref_dn, b_min, b_max, sigma=0.0, xi=0.0, multiplicative=True
):
    """LinearStep: a step that falls linearly with w, its noise, then clip to the device's own bounds."""
    w = np.asarray(w, dtype=np.float64)
    mean_up, mean_dn = linear_means(w, s_up=s_up, s_dn=s_dn, gam_up=gam_up, gam_dn=gam_dn, ref_up=ref_up, ref_dn=ref_dn)
    raised = w + noisy_step(mean_up, s_up, sigma, xi, multiplicative)
    lowered = w - noisy_step(mean_dn, s_dn, sigma, xi, multiplicative)
    return np.clip(np.where(up, raised, lowered), b_min, b_max)


def soft_bounds(w, up, *, s_up, s_dn, b_min, b_max, sigma=0.0, xi=0.0, multiplicative=True):
    """SoftBounds: LinearStep with gamma 1 and the device's own bounds as references."""
    return linear_step(
        w, up, s_up=s_up, s_dn=s_dn, gam_up=1.0, gam_dn=1.0, ref_up=b_max, ref_dn=b_min, b_min=b_min, b_max=b_max,
        sigma=sigma, xi=xi, multiplicative=multiplicative,
    )  # fmt: skip


def soft_bounds_after_up_pulses(w0, n, s_up, b_max):
    """SoftBounds without noise after n up pulses: w_n = b_max - (b_max - w_0)*(1 - s_up/b_max)**n."""
    return b_max - (b_max - w0) * (1.0 - s_up / b_max) ** n


def linear_symmetry_point(*, s_up, s_dn, gam_up, gam_dn, ref_up, ref_dn):
    """LinearStep: the state where the mean up and down steps are equal (the bounds are not looked at)."""
    return (s_up - s_dn) / (s_up * gam_up / ref_up - s_dn * gam_dn / ref_dn)


def soft_bounds_symmetry_point(*, s_up, s_dn, b_min, b_max):
    """SoftBounds: w* = (s_up - s_dn)/(s_up/b_max - s_dn/b_min)."""
    return (s_up - s_dn) / (s_up / b_max - s_dn / b_min)
