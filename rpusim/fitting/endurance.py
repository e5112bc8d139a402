"""From windows over cycles to wear."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from rpusim._base.validation import choice, instance, optional, real
from rpusim.devices.base import PulsedDevice
from rpusim.fitting.found import Found
from rpusim.fitting.population import random_effects
from rpusim.fitting.series import Array, Series, series_of
from rpusim.fitting.time_laws import DECAY, STAYS, TimeFit, best_noise, correlation, curve

__all__ = ["EnduranceResult", "fit_endurance"]

_HIGH = re.compile(r"(?<![a-z])(high|lrs|on|max|gmax|gon|set|top|ltp)(?![a-z])", re.IGNORECASE)
_LOW = re.compile(r"(?<![a-z])(low|hrs|off|min|gmin|goff|reset|bottom|ltd)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class EnduranceResult(Found):
    """How the window of devices closes with their pulses: the `endurance` of a device.

    Attributes
    ----------
    values, standard_errors : dict of str to float
        endurance (pulses in which the window falls by a factor e; 0: it does not close), window at first (mean over series),
        noise of a value.
    law : str
        "wear" or "stays".
    unit : str
        Unit of the window.
    relative : bool
        Whether noise is a fraction of the value.
    pulses_per_cycle : float
    each : tuple of (str, float, float, float)
        Of each series its name, first window, ln of its endurance, and the standard error of that.
    series : Series
        The windows that were fitted, over cycles.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> n = np.geomspace(1, 3e6, 40)
    >>> noise = 1 + 0.02 * np.random.default_rng(0).standard_normal(40)
    >>> found = rpu.fitting.fit_endurance(n, 8e-6 * np.exp(-2 * n / 4e6) * noise, unit="S")
    >>> found.law, found.unit, len(found.each)
    ('wear', 'S', 1)
    """

    law: str
    unit: str
    relative: bool
    pulses_per_cycle: float
    each: tuple[tuple[str, float, float, float], ...]
    series: Series = field(repr=False, compare=False, default_factory=Series)

    kind: ClassVar[str] = "endurance"
    units: ClassVar[dict[str, str]] = {"endurance": "pulses"}

    def unit_of(self, name: str) -> str:
        """Unit of a value."""
        if name == "noise":
            return "relative" if self.relative else self.unit
        return self.unit if name == "window" else super().unit_of(name)

    @property
    def endurance(self) -> float:
        """`endurance` of a device, in pulses; 0 where its window does not close."""
        return self.values["endurance"]

    def added_to(self, device: PulsedDevice) -> PulsedDevice:
        """Return a device that wears so.

        Examples
        --------
        >>> import numpy as np, rpusim as rpu
        >>> n = np.geomspace(1, 1e6, 20)
        >>> found = rpu.fitting.fit_endurance(n, 8e-6 * np.exp(-n / 1e6), pulses_per_cycle=2)
        >>> round(found.added_to(rpu.devices.SoftBounds()).endurance)
        2000000
        """
        return instance(PulsedDevice, "a device with pulses")("device", device).replace(endurance=self.endurance)

    def fitted(self, k: int, cycles: Array) -> Array:
        """Window of series `k` at numbers of cycles."""
        _, first, second, _ = self.each[k]
        law = DECAY if self.law == "wear" else STAYS
        return curve(law, (first, second), 0.0, np.asarray(cycles, np.float64) * self.pulses_per_cycle)

    @classmethod
    def _restored(cls, name: str, value: Any) -> Any:
        if name == "law":
            return choice("wear", "stays")("data['law']", value)
        return super()._restored(name, value)


def fit_endurance(
    cycles: Any,
    values: Any = None,
    low: Any = None,
    *,
    pulses_per_cycle: float | None = None,
    noise: str | None = None,
    unit: str = "",
) -> EnduranceResult:
    r"""Fit wear to the window of a device over cycles: window_0 exp(-n / endurance), n the pulses so far.

    Parameters
    ----------
    cycles : Series, or array_like (values,) or (series, values), or list
        What `read_series` returns, whose columns are windows, or the high and the low state by their names (on and off, LRS and
        HRS, Gmax and Gmin); or numbers of cycles, one axis for all series or one for each.
    values : array_like (values,) or (series, values), or list
        Windows, or high states where `low` is given; nan where one is missing.
    low : array_like, optional
        Low states, of the shape of `values`: the window is the difference.
    pulses_per_cycle : float, optional
        Pulses that a device gets in a cycle; 2 by default (one up, one down), which is said.
    noise : {"relative", "absolute"}, optional
        Whether noise is a fraction of the window, or the same everywhere; by default whichever is likelier.
    unit : str
        Unit of the values, for the record.

    Returns
    -------
    EnduranceResult

    Raises
    ------
    ValueError, TypeError
        Where an argument is not allowed; the message names it.

    Notes
    -----
    `PulsedDevice.endurance` has the bounds m +- (w_max - w_min) / 2 exp(-n / endurance): the window closes on its middle, which
    stays. A middle that moves, and a window that does otherwise, are said. ln endurance of several series are taken as draws
    from a normal population; the device has their mean, and no spread.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> n = np.geomspace(1, 3e6, 40)
    >>> window = 8e-6 * np.exp(-2 * n / 4e6) * (1 + 0.02 * np.random.default_rng(0).standard_normal(40))
    >>> found = rpu.fitting.fit_endurance(n, window, unit="S")
    >>> found.law, abs(found.endurance - 4e6) < 3 * found.standard_errors["endurance"]
    ('wear', True)
    """
    optional(choice("relative", "absolute"))("noise", noise)
    per = optional(real(0.0, open_low=True))("pulses_per_cycle", pulses_per_cycle)
    series = series_of(cycles, values, "cycles", "cycles", unit)
    if low is not None:
        if isinstance(cycles, Series):
            raise ValueError("low must be None where cycles is a Series, whose columns say high and low; got both")
        series = _windows(series, series_of(cycles, low, "cycles", "cycles", unit))
    elif isinstance(cycles, Series):
        series = _by_names(series)
    notes = list(series.notes)
    if per is None:
        per = 2.0
        notes.append("pulses_per_cycle is taken to be 2, one up and one down")
    ns, ys = _checked(series, per)
    if noise == "relative" and not all((y > 0.0).all() for y in ys):
        raise ValueError(
            f"noise must be 'absolute' where windows are not all positive; got 'relative', and {min(map(np.min, ys)):g}"
        )
    wear, stays = best_noise(DECAY, ns, ys, 0.0, noise), best_noise(STAYS, ns, ys, None, noise)
    best = wear if wear.bic < stays.bic else stays
    found, errors, more = _found(wear, best is wear, max(float(n.max()) for n in ns))
    first = best.theta[:, 0]
    found |= {"window": float(first.mean()), "noise": best.noise}
    spread = float(first.std(ddof=1)) if len(first) > 1 else 0.0
    own = float(np.sqrt((best.errors[:, 0] ** 2).sum())) / len(first)
    errors |= {"window": math.hypot(own, spread / math.sqrt(len(first)))}
    errors["noise"] = best.noise / math.sqrt(2.0 * max(best.n - best.count, 1))
    notes += more
    r, beyond = correlation(best)
    if beyond:
        notes.append(f"the window does not close as an exponential, or its noise is slow: residuals are correlated ({r:.2f})")
    rows = zip(series.names, best.theta.tolist(), best.errors.tolist(), strict=True)
    each = tuple((name, first, second, error) for name, (first, second), (_, error) in rows)
    law = "wear" if best is wear else "stays"
    return EnduranceResult(found, errors, tuple(notes), law, series.unit, best.relative, per, each, series)


def _found(wear: TimeFit, closes: bool, last: float) -> tuple[dict[str, float], dict[str, float], list[str]]:
    """The endurance of all series, and what is to be known of it."""
    mean, error, spread, _ = random_effects(wear.theta[:, 1], wear.errors[:, 1])
    endurance = math.exp(min(mean, 68.0))
    if not closes:
        most = endurance * math.exp(-2.0 * error) if math.isfinite(error) and error < 1.0 else last
        text = f"the window does not close beyond its noise over {last:.3g} pulses: endurance is 0, for ever (above {most:.2g})"
        return {"endurance": 0.0}, {"endurance": math.inf}, [text]
    notes = []
    if endurance > last:
        notes.append(f"endurance is more than the {last:.3g} pulses of the series: beyond, wear is extrapolated")
    if len(wear.theta) > 1 and math.isfinite(spread) and spread > 0.0:
        notes.append(f"ln endurance differs by {spread:.2g} from device to device, which the device does not have")
    return {"endurance": endurance}, {"endurance": error * endurance}, notes


def _checked(series: Series, per: float) -> tuple[list[Array], list[Array]]:
    """Pulses so far, and windows."""
    if not series.x:
        raise ValueError("cycles must hold at least one series; got none")
    for name, x in zip(series.names, series.x, strict=True):
        if len(x) < 4:
            raise ValueError(f"values must be at least 4 of each series; got {len(x)} of {name}")
        if (x < 0.0).any() or np.ptp(x) == 0.0:
            raise ValueError(f"cycles must be at least 0, and differ; got {x.min():g} to {x.max():g} in {name}")
    for name, y in zip(series.names, series.y, strict=True):
        if not float(np.median(y)) > 0.0:
            raise ValueError(f"values must be windows above 0; got a median of {np.median(y):g} in {name}")
    return [x * per for x in series.x], list(series.y)


def _windows(high: Series, low: Series) -> Series:
    """The differences, with a note where the middle moves."""
    notes = list(dict.fromkeys([*high.notes, *low.notes]))
    if len(high.x) != len(low.x):
        raise ValueError(f"low must have a series for each of {len(high.x)} in values; got {len(low.x)}")
    xs, ys = [], []
    for name, x, y, other, z in zip(high.names, high.x, high.y, low.x, low.y, strict=True):
        both, at, beside = np.intersect1d(x, other, return_indices=True)
        if len(both) < len(x) or len(both) < len(other):
            notes.append(f"of {name}, only the {len(both)} cycles with both a high and a low state are taken")
        xs.append(both)
        ys.append(y[at] - z[beside])
        middle = (y[at] + z[beside]) / 2.0
        if len(both) > 4 and np.ptp(both) > 0.0:
            share = both / both.max() - (both / both.max()).mean()
            slope = float(share @ middle) / float(share @ share)
            left = middle - middle.mean() - slope * share
            error = math.sqrt(float(left @ left) / (len(both) - 2) / float(share @ share))
            if abs(slope) > 3.0 * error and abs(slope) > 0.1 * float(np.median(ys[-1])):
                notes.append(f"the middle of {name} moves by {slope:.2g} over the series, which the device does not have")
    return dataclasses.replace(high, x=xs, y=ys, notes=notes)


def _by_names(series: Series) -> Series:
    """High and low states by their names, in pairs; else the columns are windows."""
    plain = [name.replace("_", " ") for name in series.names]
    high = [k for k, name in enumerate(plain) if _HIGH.search(name) and not _LOW.search(name)]
    low = [k for k, name in enumerate(plain) if _LOW.search(name) and not _HIGH.search(name)]
    if len(high) != len(low) or not high or len(high) + len(low) != len(series.names):
        return series

    def of(which: list[int]) -> Series:
        return dataclasses.replace(series, x=[series.x[k] for k in which], y=[series.y[k] for k in which],
                                   names=[series.names[k] for k in which], notes=list(series.notes))  # fmt: skip

    out = _windows(of(high), of(low))
    names = ", ".join(f"{series.names[a]!r} - {series.names[b]!r}" for a, b in zip(high[:4], low[:4], strict=True))
    out.notes.append(f"windows are {names}")
    return out
