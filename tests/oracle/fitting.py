"""The likelihood of measured ramps in plain NumPy: one pulse after another, all ramps of a device at once."""

import numpy as np
from scipy.special import log_ndtr, ndtr

NODES = np.sqrt(3.0) * np.array([-1.0, 0.0, 1.0])[:, None]
WEIGHTS = np.array([1.0, 4.0, 1.0])[:, None] / 6.0


def density(x):
    return np.exp(-0.5 * np.minimum(x * x, 1400.0)) / np.sqrt(2.0 * np.pi)


def clipped(m, v, low, high):
    """Mean and variance of normal variables that are clipped at `low` and `high`."""
    sd = np.sqrt(v)
    a, b = np.clip((low - m) / sd, -40.0, 37.0), np.clip((high - m) / sd, -37.0, 40.0)
    below, above = ndtr(a), ndtr(-b)
    first = a * below + b * above + density(a) - density(b)
    second = a * a * below + b * b * above + (1.0 - below - above) + a * density(a) - b * density(b)
    clips = (b < 8.0) | (a > -8.0)
    mean = np.where(clips, np.clip(m + sd * first, low, high), m)
    return mean, np.where(clips, v * np.maximum(second - first * first, 0.0) + 1e-18, v)


def truncated(a, b):
    """Mean and variance of a standard normal variable that lies between a and b, and the logarithm of the probability."""
    x, z = np.where(a > 0.0, -b, a), np.where(a > 0.0, -a, b)
    inside = log_ndtr(z) + np.log1p(-np.exp(log_ndtr(x) - log_ndtr(z)))
    pa, pb = (np.exp(-0.5 * np.minimum(x * x, 1400.0) - inside) / np.sqrt(2.0 * np.pi) for x in (a, b))
    a, b = (np.clip(x, -40.0, 40.0) for x in (a, b))
    return pa - pb, np.clip(1.0 + a * pa - b * pb - (pa - pb) ** 2, 1e-4, 1.0), inside


def innovations(device, y, direction, read_noise, slow_noise=0.0, slow_time=1.0, low=-np.inf, high=np.inf):
    """Innovations and variances along ramps y (values, ramps), nan where there is none, and minus the log-likelihood."""
    p, (proportional, nominal) = device.mean_parameters(), device.noise_weights
    up = direction > 0
    added2 = (nominal * np.where(up, p["step_up"], p["step_down"])) ** 2
    kept = np.exp(-1.0 / slow_time)
    first2 = read_noise**2 + slow_noise**2
    m, v, inside = truncated(*((bound - y[0]) / np.sqrt(first2) for bound in (low, high)))
    m, v = np.clip(y[0] + np.sqrt(first2) * m, low, high), first2 * v
    share = slow_noise**2 / first2
    u, uu, vu = share * (y[0] - m), share * read_noise**2 + share**2 * v, -share * v
    e, s = np.full_like(y, np.nan), np.full_like(y, np.nan)
    for t in range(1, len(y)):
        sd = np.sqrt(v)
        w = np.clip(m + NODES * sd, low, high)
        step = np.where(up, *device.steps_of(p, w))
        after = w + direction * step
        m = (WEIGHTS * after).sum(0)
        vu = vu * kept * (WEIGHTS * NODES * after).sum(0) / np.maximum(sd, 1e-30)
        u, uu = kept * u, kept**2 * uu + (1.0 - kept**2) * slow_noise**2
        v = (WEIGHTS * ((after - m) ** 2 + (proportional * step) ** 2)).sum(0) + added2 + 1e-18
        m, v = clipped(m, v, low, high)
        vu = np.clip(vu, -np.sqrt(v * uu), np.sqrt(v * uu))
        s[t], e[t] = v + 2.0 * vu + uu + read_noise**2, y[t] - m - u
        gain, other = (v + vu) / s[t], (vu + uu) / s[t]
        here = np.isfinite(y[t])
        m, u = np.where(here, m + gain * e[t], m), np.where(here, u + other * e[t], u)
        v, vu, uu = (np.where(here, x - by * s[t], x) for x, by in ((v, gain * gain), (vu, gain * other), (uu, other * other)))
        v, uu = np.maximum(v, 0.0), np.maximum(uu, 0.0)
        s[t] = np.where(here, s[t], np.nan)
    return e, s, 0.5 * np.nansum(np.log(2.0 * np.pi * s) + e * e / s) - inside.sum()
