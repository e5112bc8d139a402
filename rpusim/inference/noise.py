"""Noise of reads as a process in time: sums of relaxations whose power density is Q^2 / f."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import fail, physical, real_array, room_for
from rpusim.inference.models import PowerLawDrift

__all__ = ["read_noise_covariance"]

_EULER = 0.57721566490153286
MOST_TIMES = 200

_time = physical(0.0, open_low=True)


def read_noise_covariance(ages_s: ArrayLike, t_read_s: float = 250e-9) -> NDArray[np.float64]:
    r"""Return the covariance of noise of unit power density 1 / f between reads at some ages after programming.

    K(T_1, T_2) = Ein((T_1 + T_2) / tau) - Ein(\|T_1 - T_2\| / tau), Ein(z) = E_1(z) + ln z + gamma, tau = 4 e^gamma t_read: the
    sum of Ornstein-Uhlenbeck processes, uniform in the logarithm of their times above tau, that begin at 0 when programming
    ends. K(T, T) = ln((T + t_read) / (2 t_read)) for T far above t_read.

    Parameters
    ----------
    ages_s : array_like (n,)
        T = t + t0, positive.
    t_read_s : float

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> import rpusim as rpu
    >>> k = rpu.inference.read_noise_covariance([86400.0, 86401.0])
    >>> round(float(k[0, 1] / k[0, 0]), 3)  # reads a second apart, a day after programming
    0.466
    """
    ages = real_array("ages_s", ages_s, (None,))
    if np.any(ages <= 0.0):
        fail("ages_s", "positive", float(ages.min()))
    room_for("ages_s", f"{len(ages)} ages", 8 * len(ages) ** 2, 8)
    tau = 4.0 * math.exp(_EULER) * _time("t_read_s", t_read_s)
    return _ein(np.add.outer(ages, ages) / tau) - _ein(np.abs(np.subtract.outer(ages, ages)) / tau)


def _ein(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entire exponential integral, E_1(z) + ln z + gamma, 0 at 0."""
    from scipy.special import exp1

    positive = np.where(z > 0.0, z, 1.0)
    large = exp1(positive) + np.log(positive) + _EULER
    small = positive * (1.0 - positive / 4.0 * (1.0 - 2.0 * positive / 9.0))  # where digits cancel above
    return np.where(z > 0.0, np.where(positive < 1e-4, small, large), 0.0)


@lru_cache(maxsize=256)
def correlated_factors(model: PowerLawDrift, times_s: tuple[float, ...], t_s: float) -> tuple[tuple[float, float], ...]:
    """Return the times whose draws make the noise at t, with their factors, in units of its own standard deviation."""
    times = tuple(sorted(set(times_s)))
    if t_s not in times:
        fail("t_inference_s", f"one of read_times_s, {', '.join(f'{t:g}' for t in times)}", t_s)
    if len(times) > MOST_TIMES:
        fail("read_times_s", f"at most {MOST_TIMES} times", len(times))
    k = read_noise_covariance(np.array(times) + model.t0_s, model.t_read_s)
    row = times.index(t_s)
    factors = np.linalg.cholesky(k)[row] / math.sqrt(k[row, row])
    return tuple((times[j], float(factors[j])) for j in range(row + 1))
