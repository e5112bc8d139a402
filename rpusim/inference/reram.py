"""Models of memories that relax rather than drift: ReRAM, charge traps, and laws of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rpusim._base.specification import parameter
from rpusim._base.validation import choice, physical, real
from rpusim.inference.models import MICRO, Array, Draw, Event, NoiseModel, is_scale, polynomial

__all__ = ["AnalogFoundation", "CMOReRAM", "HfO2ReRAM", "SONOS", "WanReRAM"]

DAY = 86400.0


@dataclass(frozen=True, repr=False)
class WanReRAM(NoiseModel):
    r"""HfOx ReRAM of Wan et al. (2022), which relaxes after programming: g = max(g_T + sigma(r, t) xi, 0).

    sigma is a polynomial of fourth order in r = g_T / g_max, times g_max / 40 uS, with coefficients at 1 s, 1 day and 2 days,
    between which they go by ln t; before and after they stay. xi = rho xi_1 + sqrt(1 - rho^2) xi_2, where xi_1 stays for
    the event, and xi_2 is drawn for every time: relaxation is mostly one displacement (rho = 1).

    Parameters
    ----------
    prog_scale : float, default 1
    correlation : float, default 1
        rho.

    Notes
    -----
    Source: Wan et al. (2022, Nature 608, 504), as in AIHWKit's ReRamWan2022NoiseModel, which knows the three times only,
    draws anew at each, and does not scale to other windows.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> (rpu.inference.WanReRAM().std(np.array([0.0, 20e-6, 40e-6]), 40e-6, 86400.0) * 1e6).round(3).tolist()
    [0.701, 3.909, 2.651]
    """

    papers: ClassVar[tuple[str, ...]] = ("wan2022",)

    prog_scale: float = parameter(1.0, is_scale)
    correlation: float = parameter(1.0, real(0.0, 1.0))

    _times = (1.0, DAY, 2.0 * DAY)
    _laws = (
        (0.348, 16.030, -43.853, 45.393, -16.815),
        (0.701, 22.086, -50.773, 47.095, -16.458),
        (0.782, 20.274, -43.507, 37.062, -11.934),
    )

    def std(self, g: Array, g_max: float, t_s: float) -> Array:
        """Standard deviation from the goals g at the time t, in siemens."""
        at = math.log(max(t_s, 1.0))
        c = [float(np.interp(at, np.log(self._times), column)) for column in zip(*self._laws, strict=True)]
        return self.prog_scale * MICRO * (g_max / 40e-6) * np.maximum(polynomial(c, np.abs(g) / g_max), 0.0)

    def programming_std(self, g: Array, g_max: float) -> Array:
        return self.std(g, g_max, 1.0)

    def aged(self, event: Event, targets: Array, g_max: float, t_s: float, draw: Draw) -> Array:
        xi = draw("programming")
        if self.correlation < 1.0:
            xi = self.correlation * xi + math.sqrt(1.0 - self.correlation**2) * draw(f"relaxation at {t_s!r}")
        return self.cut(targets + self.std(targets, g_max, t_s) * xi)


@dataclass(frozen=True, repr=False)
class CMOReRAM(NoiseModel):
    r"""Conductive-metal-oxide/HfOx ReRAM (Falcone et al. 2025): a window of 9 to 88.2 uS, one device per weight.

    Programming by write-verify leaves sigma = 0.00081107 uS + 0.00106879 g ("0.2%") or 0.0112185391 uS + 0.01129027418 g
    ("2%"). After t of at least 1 s, g_P - 0.08900206 uS ln t + (0.04201137 ln t + 0.41183342) uS xi, where xi stays for the
    event. Noise of reads: 0.0277316483 uS log10(g / uS) sqrt(ln((t + 1 us) / 2 us)), none below 1 uS. The result is kept
    within 9 to 88.2 uS.

    Parameters
    ----------
    acceptance : {"0.2%", "2%"}
        Of write-verify.
    prog_scale, drift_scale, read_scale : float, default 1

    Notes
    -----
    Source: Falcone et al. (2025, arXiv 2502.04524), as in AIHWKit's ReRamCMONoiseModel. Relaxation was measured at 50 uS
    only. Times below 1 s count as 1 s; at 0 there is none.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> float(rpu.inference.CMOReRAM("2%").programming_std(np.array([50e-6]), 88.2e-6)[0] * 1e6)  # doctest: +ELLIPSIS
    0.57573...
    """

    papers: ClassVar[tuple[str, ...]] = ("falcone2025",)

    acceptance: str = parameter("0.2%", choice("0.2%", "2%"))
    prog_scale: float = parameter(1.0, is_scale)
    drift_scale: float = parameter(1.0, is_scale)
    read_scale: float = parameter(1.0, is_scale)
    t0_s = 0.0

    _low, _high = 9e-6, 88.2e-6

    def programming_std(self, g: Array, g_max: float) -> Array:
        offset, slope = (0.00081107, 0.00106879) if self.acceptance == "0.2%" else (0.0112185391, 0.01129027418)
        return self.prog_scale * (offset * MICRO + slope * g)

    def cut(self, g: Array) -> Array:
        return np.clip(g, self._low, self._high)

    def aged(self, event: Event, targets: Array, g_max: float, t_s: float, draw: Draw) -> Array:
        if t_s == 0.0 or self.drift_scale == 0.0:
            return event["programmed"]
        log = math.log(max(t_s, 1.0))
        moved = -0.08900206 * log + (0.04201137 * log + 0.41183342) * draw("relaxation")
        return self.cut(event["programmed"] + self.drift_scale * MICRO * moved)

    def read_std(self, event: Event, g: Array, targets: Array, g_max: float, t_s: float) -> Array | None:
        if self.read_scale == 0.0:
            return None
        size = np.log10(np.maximum(g / MICRO, 1.0))
        return self.read_scale * 0.0277316483 * MICRO * math.sqrt(math.log(max((t_s + 1e-6) / 2e-6, 1.0))) * size


@dataclass(frozen=True, repr=False)
class HfO2ReRAM(NoiseModel):
    """HfO2 ReRAM of Milo et al. (2021), programmed by IGVVA-100: sigma = 4.782321 uS - 0.009107 g, for 50 to 225 uS.

    Goals beyond that have the error of the nearest one that was measured.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> (rpu.inference.HfO2ReRAM().programming_std(np.array([50e-6, 225e-6]), 225e-6) * 1e6).round(3).tolist()
    [4.327, 2.733]
    """

    papers: ClassVar[tuple[str, ...]] = ("milo2021",)

    prog_scale: float = parameter(1.0, is_scale)

    def programming_std(self, g: Array, g_max: float) -> Array:
        return self.prog_scale * (4.782321 * MICRO - 0.009107 * np.clip(g, 50e-6, 225e-6))


#: by day: what is added to the current (nA) as a polynomial of it, and A, B of the spread A - A exp(-I / B)
_SONOS_SHIFT = (
    (0.0,) * 11,
    (1.72684e-1, 5.72552e-2, -6.85715e-4, 3.50271e-6, -9.37682e-9, 1.40575e-11, -1.19803e-14, 5.41293e-18, -8.85448e-22,
     -1.66869e-25, 5.95180e-29),
    (2.50712e-1, 6.62195e-2, -6.83218e-4, 2.99442e-6, -6.78255e-9, 7.70482e-12, -3.04983e-15, -2.15919e-18, 2.94617e-21,
     -1.23359e-24, 1.85329e-28),
    (-1.75300e-2, 9.76883e-2, -9.63791e-4, 4.55551e-6, -1.22391e-8, 1.93786e-11, -1.85899e-14, 1.07659e-17, -3.58211e-21,
     5.96785e-25, -3.30410e-29),
    (4.03338e-2, 1.03111e-1, -1.04740e-3, 4.83961e-6, -1.28132e-8, 1.99484e-11, -1.85139e-14, 1.00008e-17, -2.84944e-21,
     3.01008e-25, 1.18747e-29),
    (3.19927e-1, 1.06596e-1, -1.04054e-3, 4.50290e-6, -1.10352e-8, 1.56477e-11, -1.27592e-14, 5.45513e-18, -7.26841e-22,
     -2.43893e-25, 7.14608e-29),
)  # fmt: skip
_SONOS_SPREAD = ((19.88665, 176.3115), (25.59102, 186.85544), (28.72753, 193.56834), (31.04318, 198.90332),
                 (33.76214, 204.77023), (34.57909, 207.34309))  # fmt: skip


@dataclass(frozen=True, repr=False)
class SONOS(NoiseModel):
    """Charge-trap memory at 40 nm (Agrawal et al., IEDM 2022), whose currents move within days.

    Laws of the current I = g V in nA: I + dI(I) + (A - A exp(-I / B)) xi, dI a polynomial of tenth order, with coefficients for
    every day to the fifth, between which they go linearly; beyond they are extrapolated, which is said. xi stays for the
    event. The noise of reads is A - A exp(-I / B) with A = 12.58037, B = 215.36557.

    Parameters
    ----------
    read_voltage_v : float, default 1
        V, which makes currents of conductances; currents up to 1800 nA were measured.
    prog_scale, drift_scale, read_scale : float, default 1

    Notes
    -----
    Source: Agrawal et al. (2022), as in CrossSim 3.2.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> (rpu.inference.SONOS().programming_std(np.array([0.0, 800e-9]), 1.6e-6) * 1e9).round(3).tolist()
    [0.0, 19.674]
    """

    papers: ClassVar[tuple[str, ...]] = ("agrawal2022",)

    read_voltage_v: float = parameter(1.0, physical(0.0, open_low=True))
    prog_scale: float = parameter(1.0, is_scale)
    drift_scale: float = parameter(1.0, is_scale)
    read_scale: float = parameter(1.0, is_scale)
    known_s = 5.0 * DAY

    def _spread(self, g: Array, a: float, b: float) -> Array:
        scale = 1e9 * self.read_voltage_v
        return a * -np.expm1(-g * scale / b) / scale

    def programming_std(self, g: Array, g_max: float) -> Array:
        return self.prog_scale * self._spread(g, *_SONOS_SPREAD[0])

    def _between(self, t_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients at a time, by a line between two days."""
        days = t_s / DAY
        k = min(int(days), len(_SONOS_SHIFT) - 2)
        part = days - k
        shift, spread = np.array(_SONOS_SHIFT[k : k + 2]), np.array(_SONOS_SPREAD[k : k + 2])
        return (1.0 - part) * shift[0] + part * shift[1], (1.0 - part) * spread[0] + part * spread[1]

    def aged(self, event: Event, targets: Array, g_max: float, t_s: float, draw: Draw) -> Array:
        if t_s == 0.0 or self.drift_scale == 0.0:
            return event["programmed"]
        shift, (a, b) = self._between(t_s)
        scale = 1e9 * self.read_voltage_v
        moved = polynomial(shift.tolist(), targets.astype(np.float64) * scale) / scale  # in float32 its digits would cancel
        spread = self.prog_scale * self._spread(targets, a, b)
        return self.cut((targets + self.drift_scale * moved + spread * draw("programming")).astype(targets.dtype))

    def read_std(self, event: Event, g: Array, targets: Array, g_max: float, t_s: float) -> Array | None:
        return None if self.read_scale == 0.0 else self.read_scale * self._spread(g, 12.58037, 215.36557)


@dataclass(frozen=True, repr=False)
class AnalogFoundation(NoiseModel):
    r"""Noise of weights of phase-change memory as Analog Foundation Models are evaluated with; for `Signed` converters.

    In units in which the window is 180: g + s(\|g\|) xi, whose sign may turn, with s a polynomial of third order below 52.5 and
    another above; goals below 0.6 are exactly 0.

    Parameters
    ----------
    prog_scale : float, default 1

    Notes
    -----
    Source: Buechel et al. (2025), code of Analog Foundation Models. No drift, no noise of reads.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> model = rpu.inference.AnalogFoundation()
    >>> (model.programming_std(np.array([0.0, 90.0, 180.0]), 180.0) / 180).round(3).tolist()
    [0.0, 0.047, 0.107]
    """

    papers: ClassVar[tuple[str, ...]] = ("buechel2025",)

    prog_scale: float = parameter(1.0, is_scale)
    signed = True

    _below = (2.5797410660159494, 0.22419685954327148, -0.00371581208142707, 2.939751381126213e-5)
    _above = (2.110295720240385, 0.2453487119885723, -0.003054993405157235, 1.2329755395573392e-5)

    def programming_std(self, g: Array, g_max: float) -> Array:
        u = np.abs(g) * (180.0 / g_max)
        s = np.where(u <= 52.5, polynomial(self._below, u), polynomial(self._above, u))
        return np.where(u < 0.6, 0.0, self.prog_scale * g_max / 180.0 * s).astype(g.dtype)

    def programmed(self, targets: Array, g_max: float, draw: Draw) -> Array:
        g = targets + self.programming_std(targets, g_max) * draw("programming")
        g[np.abs(targets) < 0.6 * g_max / 180.0] = 0.0
        return g
