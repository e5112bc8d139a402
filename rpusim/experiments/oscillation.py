"""How long an oscillation takes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rpusim._base.validation import real, real_array

__all__ = ["Period", "oscillation_period"]


class Period(NamedTuple):
    """Period of an oscillation.

    Attributes
    ----------
    value, standard_error : float
        In samples.
    half_periods : int
        Over how many it was measured.

    Examples
    --------
    >>> import numpy as np
    >>> from rpusim import experiments
    >>> t = np.arange(2000)
    >>> found = experiments.oscillation_period(t, 0.5 + 0.1 * np.cos(2 * np.pi * t / 250), centre=0.5)
    >>> round(found.value, 2), found.half_periods > 10
    (250.0, True)
    """

    value: float
    standard_error: float
    half_periods: int


def oscillation_period(t: ArrayLike, c: ArrayLike, centre: float, floor: float = 0.1) -> Period:
    """Measure the period of an oscillation about `centre` from the times at which it crosses it.

    Crossings are found with a hysteresis of a tenth of the swing before them, and interpolated linearly between records;
    they are used until a swing stays below `floor` times the largest.

    Parameters
    ----------
    t, c : array_like (records,)
        Times in samples, and values.
    centre : float
    floor : float, default 0.1

    Returns
    -------
    Period
        With nan where there are fewer than three crossings.

    Examples
    --------
    >>> import numpy as np
    >>> from rpusim import experiments
    >>> t = np.arange(2000)
    >>> round(experiments.oscillation_period(t, np.exp(-t / 2000) * np.sin(2 * np.pi * t / 250), centre=0.0).value, 1)
    250.0
    """
    time = real_array("t", t, (None,))
    x = real_array("c", c, time.shape) - real()("centre", centre)
    floor = real(0.0)("floor", floor)
    largest = float(np.abs(x).max(initial=0.0))
    crossings: list[float] = []
    side, swing, last = 0, 0.0, -1
    for k in range(1, len(x)):
        if x[k - 1] * x[k] <= 0.0 and x[k - 1] != x[k]:
            last = k  # candidate: the latest change of sign
        if side == 0:
            side = int(np.sign(x[k]))
        if x[k] * side > 0.0:
            swing = max(swing, abs(x[k]))
        elif -x[k] * side > 0.1 * swing:
            if swing < floor * largest:
                break
            weight = x[last - 1] / (x[last - 1] - x[last])
            crossings.append(time[last - 1] + weight * (time[last] - time[last - 1]))
            side, swing = -side, abs(x[k])
    halves = np.diff(crossings)
    if len(halves) < 2:
        return Period(math.nan, math.nan, len(halves))
    # the first swing may start anywhere; the mean of the others is the half period
    return Period(2 * float(halves.mean()), 2 * float(halves.std(ddof=1)) / math.sqrt(len(halves)), len(halves))
