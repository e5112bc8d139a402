r"""Devices by the parameters of NeuroSim: labels of nonlinearity, numbers of levels, conductances and variations.

NeuroSim has the conductance after P of P_max pulses, x = (G - G_min) / (G_max - G_min), on an exponential::

    x(P) = B (1 - exp(-P / A)),   B = 1 / (1 - exp(-P_max / A))

and moves along it, one curve for pulses up (LTP) and one for pulses down (LTD), between hard bounds. With a = P_max / A one
pulse therefore changes x by exactly::

    up:    (B - x) (1 - exp(-a / P_max))
    down: -(B - x) (exp(a / P_max) - 1)        (a and B of LTD)

which is linear in x: that of `LinearStep`, whose step vanishes at x = B, outside of the bounds. (`SoftBounds` would have the
bound there; `ExpStep` is exponential in the state, not in the pulses.) a is positive where the curve bends downwards, and 0
where it is a line, whose steps are 1 / P_max. Its size follows from the label NL: curves are numbered by their largest
distance from the line x = P / P_max, which is 0.07 |NL| along the normal of the line, and 0.07 sqrt(2) |NL| upwards::

    1 / (1 - exp(-a)) - 1 / a - ln(a / (1 - exp(-a))) / a = 0.07 sqrt(2) |NL|
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from rpusim._base.citing import cite
from rpusim._base.validation import choice, integer_value, physical, real
from rpusim.devices.step import LinearStep
from rpusim.fitting.found import OfDevice

__all__ = ["NeuroSim", "neurosim"]

#: distance between the curve of a label and the line, over the label
_DISTANCE = 0.07 * math.sqrt(2.0)
#: the largest label that the peer has
_LARGEST = 9.0


@dataclass(frozen=True)
class NeuroSim(OfDevice):
    """A device by NeuroSim's parameters, as `neurosim` makes it; it is taken wherever a device is.

    Attributes
    ----------
    values : dict of str to float
        NL_LTP, NL_LTD, maxNumLevelLTP, maxNumLevelLTD, maxConductance, minConductance, sigmaCtoC (of the full range),
        sigmaDtoD (of the labels), and what follows: paramALTP and paramALTD, A in pulses, inf for a line.
    device : LinearStep
    offset, slope, unit : float, float, str
        conductance = offset + slope * weight.

    Examples
    --------
    >>> import rpusim as rpu
    >>> found = rpu.fitting.neurosim(NL_LTP=2.4, NL_LTD=-4.88, maxNumLevelLTP=97, maxNumLevelLTD=100, onoffratio=12.5)
    >>> type(found.device).__name__, found.values["maxNumLevelLTP"]
    ('LinearStep', 97)
    """

    kind: ClassVar[str] = "neurosim"
    units: ClassVar[dict[str, str]] = {"paramALTP": "pulses",
                                       "paramALTD": "pulses", "maxNumLevelLTP": "pulses", "maxNumLevelLTD": "pulses",
                                       "sigmaCtoC": "of the range", "sigmaDtoD": "of labels"}  # fmt: skip

    def unit_of(self, name: str) -> str:
        """Unit of a value."""
        return self.unit if name.endswith("Conductance") else super().unit_of(name)


def _distance(a: float) -> float:
    """Largest distance of the curve from the line, for a > 0."""
    if a < 1e-3:
        return a / 8.0  # to a^3 / 1000
    bend = -math.expm1(-a)
    return 1.0 / bend - 1.0 / a - math.log(a / bend) / a


def _bend(label: float) -> float:
    """a of a label."""
    from scipy.optimize import brentq

    wanted = _DISTANCE * abs(label)
    if wanted < 1e-4:
        return math.copysign(8.0 * wanted, label)
    return math.copysign(float(brentq(lambda a: _distance(a) - wanted, 1e-4, 1e3, xtol=1e-14, rtol=1e-14)), label)


def _step(label: float, pulses: int, up: bool) -> tuple[float, float]:
    """Step at x = 0, and its change with x."""
    a = _bend(label)
    if a == 0.0:
        return 1.0 / pulses, 0.0
    rate = -math.expm1(-a / pulses) if up else math.expm1(a / pulses)
    return rate / -math.expm1(-a), -rate


def neurosim(
    *,
    NL_LTP: float,
    NL_LTD: float,
    maxNumLevelLTP: int,
    maxNumLevelLTD: int | None = None,
    maxConductance: float = 1.0,
    minConductance: float | None = None,
    onoffratio: float | None = None,
    sigmaCtoC: float = 0.0,
    sigmaDtoD: float = 0.0,
    zero: str = "middle",
    **others: Any,
) -> NeuroSim:
    r"""Return the device that NeuroSim's parameters describe: a `LinearStep` whose pulses are exactly those of its curves.

    Weights are w = 2 (x - z), x = (G - minConductance) / (maxConductance - minConductance), with z as `zero` says. With k =
    1 - exp(-a / P), a > 0 where the label is, P pulses, and B = 1 / (1 - exp(-a)) (see the module)::

        up:   step 2 k (B - z) at w = 0,                    gamma_up = w_max / (2 (B - z))
        down: step 2 (exp(a / P) - 1) (B - z) at w = 0,     gamma_down = w_min / (2 (B - z)), a and B of LTD

    Parameters
    ----------
    NL_LTP, NL_LTD : float
        Labels of nonlinearity in [-9, 9]; 0 is a line. Negative where the curve of conductance against the number of the
        pulse bends upwards: an LTD that falls fast first has a negative label.
    maxNumLevelLTP, maxNumLevelLTD : int
        Pulses from one end of the range to the other; that of LTD is that of LTP by default.
    maxConductance, minConductance : float
        In siemens; without them (or with onoffratio alone) conductances are in units of the largest.
    onoffratio : float, optional
        maxConductance / minConductance, in the place of the latter.
    sigmaCtoC : float, default 0
        Standard deviation of one pulse, as a fraction of the full range, whatever the state. (V2.1 calls it c2cVari and adds
        it once for each update.)
    sigmaDtoD : float, default 0
        Standard deviation of the labels from device to device, drawn for LTP and LTD apart.
    zero : {"middle", "symmetry_point"}
        Where w = 0 is: in the middle of the range, which is then [-1, 1]; or where up and down steps are equal.
    **others
        Further fields of `LinearStep`.

    Returns
    -------
    NeuroSim

    Raises
    ------
    ValueError, TypeError
        Where a value is not allowed; the message names it.

    Notes
    -----
    After P.-Y. Chen, X. Peng, S. Yu (2017), IEDM 6.1, and (2018), IEEE TCAD 37, 3067, and the code of MLP+NeuroSim V3.0, whose
    table of A for labels from 0.01 to 9 the equation above reproduces to its 6 decimals. Two things are not exactly its own,
    and said in `notes`. The noise of `LinearStep` is a fraction of the step at w = 0 of that direction: with `zero` in the
    middle its mean square is right, and with "symmetry_point" both are. And the spread of labels becomes independent spreads
    of steps and slopes, right in the first order.

    Examples
    --------
    >>> import rpusim as rpu
    >>> found = rpu.fitting.neurosim(NL_LTP=2.4, NL_LTD=-4.88, maxNumLevelLTP=97, maxNumLevelLTD=100, onoffratio=12.5)
    >>> round(found.values["paramALTP"] / 97, 4)
    0.4992
    >>> w = -1.0
    >>> for _ in range(97):
    ...     w += float(found.device.step_up(w))
    >>> round(w, 9)
    1.0
    """
    cite("chen2017")
    label = real(-_LARGEST, _LARGEST)
    labels = label("NL_LTP", NL_LTP), label("NL_LTD", NL_LTD)
    up_pulses = integer_value("maxNumLevelLTP", maxNumLevelLTP, 1, 10**9)
    down_pulses = up_pulses if maxNumLevelLTD is None else integer_value("maxNumLevelLTD", maxNumLevelLTD, 1, 10**9)
    high, low = _range(maxConductance, minConductance, onoffratio)
    noise, spread = real(0.0, 1.0)("sigmaCtoC", sigmaCtoC), real(0.0, _LARGEST)("sigmaDtoD", sigmaDtoD)
    choice("middle", "symmetry_point")("zero", zero)
    taken = sorted(set(others) & _SET)
    if taken:
        raise TypeError(f"{', '.join(taken)} follow from the parameters; they cannot be given")
    up, down = _step(labels[0], up_pulses, True), _step(labels[1], down_pulses, False)
    z = 0.5 if zero == "middle" else _symmetry(up, down)
    fields, notes = _fields(labels, (up_pulses, down_pulses), z, noise, spread)
    if maxNumLevelLTD is None:
        notes.append(f"maxNumLevelLTD is taken to be that of LTP, {up_pulses}")
    slope, unit = (high - low) / 2.0, "S" if high < 1.0 else "maxConductance"
    values = {
        "NL_LTP": labels[0], "NL_LTD": labels[1], "maxNumLevelLTP": up_pulses, "maxNumLevelLTD": down_pulses,
        "maxConductance": high, "minConductance": low, "sigmaCtoC": noise, "sigmaDtoD": spread,
    }  # fmt: skip
    for name, one, pulses in (("paramALTP", labels[0], up_pulses), ("paramALTD", labels[1], down_pulses)):
        values[name] = pulses / _bend(one) if one else math.inf
    return NeuroSim(values, {}, tuple(notes), LinearStep(**fields, **others), low + 2.0 * z * slope, slope, unit)


#: fields of the device that follow
_SET = {"dw_min", "up_down", "w_max", "w_min", "gamma_up", "gamma_down", "dw_min_std", "dw_min_dtod", "up_down_dtod",
        "gamma_up_dtod", "gamma_down_dtod", "mult_noise", "allow_increasing", "mean_bound_reference", "w_max_dtod",
        "w_min_dtod", "reverse_up", "reverse_down", "reverse_offset"}  # fmt: skip


def _range(high: Any, low: Any, ratio: Any) -> tuple[float, float]:
    positive = physical(0.0, open_low=True)
    high = positive("maxConductance", high)
    if low is not None and ratio is not None:
        raise ValueError(f"onoffratio must not be given beside minConductance={low!r:.40}; got {ratio!r:.40}")
    if ratio is not None:
        low = high / real(1.0, open_low=True)("onoffratio", ratio)
    low = 0.0 if low is None else physical(0.0)("minConductance", low)
    if not low < high:
        raise ValueError(f"minConductance must be below maxConductance={high:g}; got {low:g}")
    return high, low


def _crossing(up: tuple[float, float], down: tuple[float, float]) -> float:
    """x where the steps are equal, and to which pulses lead; nan where there is none."""
    fall = down[1] - up[1]
    z = (up[0] - down[0]) / fall if fall > 0.0 else math.nan
    return z if 0.0 < z < 1.0 else math.nan


def _symmetry(up: tuple[float, float], down: tuple[float, float]) -> float:
    z = _crossing(up, down)
    if math.isnan(z):
        raise ValueError(
            "zero must be 'middle' for these labels: up and down steps are nowhere equal such that pulses lead there; got "
            "'symmetry_point'"
        )
    return z


def _at_zero(labels: tuple[float, float], pulses: tuple[int, int], z: float) -> tuple[float, float, float, float]:
    """Up and down step at w = 0, and the slopes gamma, of weights w = 2 (x - z)."""
    sizes, gammas = [], []
    for label, count, up, bound in zip(labels, pulses, (True, False), (2.0 - 2.0 * z, -2.0 * z), strict=True):
        start, slope = _step(label, count, up)
        size = 2.0 * (start + slope * z)
        sizes.append(size)
        gammas.append(-slope * bound / size)
    return sizes[0], sizes[1], gammas[0], gammas[1]


def _fields(
    labels: tuple[float, float], pulses: tuple[int, int], z: float, noise: float, spread: float
) -> tuple[dict[str, Any], list[str]]:
    """The fields of the device, and what is to be said."""
    up, down, gamma_up, gamma_down = _at_zero(labels, pulses, z)
    dw_min, notes = (up + down) / 2.0, []
    fields: dict[str, Any] = {
        "dw_min": dw_min, "up_down": (up - down) / (up + down), "w_max": 2.0 - 2.0 * z, "w_min": -2.0 * z,
        "gamma_up": gamma_up + 0.0, "gamma_down": gamma_down + 0.0, "mult_noise": False,
        "allow_increasing": min(gamma_up, gamma_down) < 0.0 or spread > 0.0,
        "dw_min_std": 2.0 * noise / math.sqrt((up * up + down * down) / 2.0),
    }  # fmt: skip
    fields |= dict.fromkeys(
        ("dw_min_dtod", "up_down_dtod", "gamma_up_dtod", "gamma_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0
    )
    if noise > 0.0 and abs(up / down - 1.0) > 1e-9:
        sizes = [fields["dw_min_std"] * one / 2.0 for one in (up, down)]
        steps = [_step(label, count, up) for label, count, up in zip(labels, pulses, (True, False), strict=True)]
        hint = "with zero='symmetry_point' it is the same for both"
        notes.append(
            f"sigmaCtoC {noise:.3g} of the range is {sizes[0]:.3g} of pulses up and {sizes[1]:.3g} of pulses down, as noise "
            f"goes with the step at w = 0 of its direction" + (f": {hint}" if math.isfinite(_crossing(*steps)) else "")
        )
    if spread > 0.0:
        h = 1e-3
        sides = [_at_zero((labels[0] + s, labels[1] + s), pulses, z) for s in (h, -h)]
        rate = [(one - other) / (2.0 * h) for one, other in zip(*sides, strict=True)]
        step = math.sqrt((rate[0] ** 2 + rate[1] ** 2) / 2.0) / dw_min * spread
        fields |= {"dw_min_dtod": step / math.sqrt(2.0), "up_down_dtod": step / math.sqrt(2.0),
                   "gamma_up_dtod": abs(rate[2]) * spread, "gamma_down_dtod": abs(rate[3]) * spread}  # fmt: skip
        notes.append(
            f"sigmaDtoD {spread:.3g} of the labels is taken in the first order, as independent spreads of slopes and of steps "
            f"(of {abs(rate[0]) * spread / up:.2g} of that up and {abs(rate[1]) * spread / down:.2g} of that down, which are "
            f"averaged)"
        )
    return fields, notes
