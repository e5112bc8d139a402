"""Figures of what surrounds an array."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from rpusim._base.validation import instance, integer_value
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.devices import Ideal
from rpusim.periphery.converters import ADC
from rpusim.periphery.reads import Periphery
from rpusim.plotting.style import COLORS, MOST_LINES, axes, legend

__all__ = ["adc_transfer"]


def adc_transfer(adc: ADC, *, ax: Axes | None = None, rng: int = 0, n_converters: int = 1, points: int = 2001) -> Axes:
    """Draw the output of converters against their input, from -1.25 to 1.25 times the bound, beside the identity.

    Every converter has the gain, offset and saturation that are drawn for it, and its noise.

    Parameters
    ----------
    adc : ADC
    ax : Axes, optional
    rng : int
        Seed of the converters and their noise.
    n_converters : int, default 1
    points : int, default 2001
        Inputs, equally spaced.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import rpusim as rpu
    >>> from matplotlib.figure import Figure
    >>> from rpusim import plotting
    >>> ax = plotting.adc_transfer(rpu.ADC(bits=4, bound=1.0, noise=0.0), ax=Figure().subplots())
    >>> ax.get_ylabel()
    'output'
    """
    adc, ax = instance(ADC, "an ADC")("adc", adc), axes(ax)
    n = integer_value("n_converters", n_converters, 1, MOST_LINES)
    periphery = Periphery.ideal().replace(adc=adc)
    array = CrossbarArray((n, 1), Ideal(), forward=periphery, rng=rng)
    array.program(np.ones((n, 1)))
    limit = 1.25 * (adc.bound or 1.0)
    x = np.linspace(-limit, limit, integer_value("points", points, 2, 10**7), dtype=np.float32)
    y = array.forward(x[:, None])
    ax.plot(x, x, color="0.6", linewidth=0.8, label="ideal")
    for k in range(n):
        ax.plot(x, y[:, k], color=COLORS[0], alpha=1.0 if n == 1 else 0.4, label="converter" if k == 0 else None)
    ax.set(xlabel="input", ylabel="output")
    legend(ax)
    return ax
