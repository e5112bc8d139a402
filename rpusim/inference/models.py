"""What a device does after it was told a conductance: what it is programmed to, how that ages, and the noise of reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import choice, fail, numbers_of, optional, physical, plain_array, real, real_array, shown

__all__ = [
    "CustomNoise",
    "HermesPCM",
    "HermesSinglePCM",
    "NoiseModel",
    "NoNoise",
    "PCM",
    "PowerLawDrift",
    "RelativeNoise",
    "StateIndependent",
]

Array = NDArray[Any]
#: named standard normals of the shape of the devices, the same whenever they are asked for in one programming event
Draw = Callable[[str], Array]
Event = dict[str, Array]

MICRO = 1e-6
LEAST = 1e-7  # of relative conductances in logarithms
is_scale = physical(0.0)
is_time = physical(0.0, open_low=True)


@dataclass(frozen=True, repr=False)
class NoiseModel(Specification):
    """Base of the models: programmed exactly, never ageing, read without noise, until a subclass says otherwise.

    A model is made of laws without state. What an event drew comes from `draw(name)`: standard normals of the shape of the
    devices, the same at every call of one event. So conductances are a function of the event and the time, in any order.

    A model of one's own is a frozen dataclass that subclasses this one and defines some of `programming_std`, `programmed`,
    `event`, `aged` and `read_std`, or `PowerLawDrift` with `exponents`.

    Attributes
    ----------
    t0_s : float
        Time from the end of programming to t = 0, when the programmed conductance is defined; the age is T = t + t0.
    t_read_s : float
        Time that a read integrates over.
    known_s : float
        Age to which the laws were measured; beyond it is extrapolated, which is said.
    signed : bool
        Whether conductances may be negative, as those of `Signed` converters are; else they are cut at 0.

    Examples
    --------
    >>> import dataclasses, numpy as np, rpusim as rpu
    >>> @dataclasses.dataclass(frozen=True, repr=False)
    ... class Halves(rpu.inference.NoiseModel):
    ...     def aged(self, event, targets, g_max, t_s, draw):
    ...         return event["programmed"] * 0.5 ** (t_s / 3600.0)  # a half in every hour
    >>> written = rpu.inference.ProgrammedArray(np.eye(2), rpu.inference.Chip(Halves(), compensation=None), rng=0)
    >>> written.weights(3600.0).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """

    signed = False
    known_s = math.inf
    t0_s = 1.0
    t_read_s = 1e-6

    def programming_std(self, g: Array, g_max: float) -> Array:
        """Standard deviation of what devices with the goal g are programmed to, in siemens; `g_max` ends the window."""
        return np.zeros_like(g)

    def programmed(self, targets: Array, g_max: float, draw: Draw) -> Array:
        """Return the conductances right after programming, g_P = max(g_T + sigma(g_T) xi, 0)."""
        return self.cut(targets + self.programming_std(targets, g_max) * draw("programming"))

    def event(self, targets: Array, g_max: float, draw: Draw) -> Event:
        """Return what is kept of a programming event, at least "programmed"."""
        return {"programmed": self.programmed(targets, g_max, draw)}

    def aged(self, event: Event, targets: Array, g_max: float, t_s: float, draw: Draw) -> Array:
        """Return the conductances, without noise of reads, at the time t."""
        return event["programmed"]

    def read_std(self, event: Event, g: Array, targets: Array, g_max: float, t_s: float) -> Array | None:
        """Return the standard deviation of the noise of a read at the time t of devices that are at g; None: none."""
        return None

    def cut(self, g: Array) -> Array:
        """Return g without what is below 0, where conductances have no sign."""
        return g if self.signed else np.maximum(g, 0.0, out=g)


@dataclass(frozen=True, repr=False)
class NoNoise(NoiseModel):
    """Devices that hold what they are told, for ever.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> written = rpu.inference.ProgrammedArray([[0.5, -1.0]], rpu.inference.Chip(rpu.inference.NoNoise()), rng=0)
    >>> written.weights(3.15e7).round(6).tolist()  # a year later
    [[0.5, -1.0]]
    """

    papers: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, repr=False)
class PowerLawDrift(NoiseModel):
    r"""Base of models with g(T) = g_P (T / t0)^-nu, T = t + t0, and noise of reads like 1/f.

    nu = drift_scale \|mu(r) + sd(r) (sqrt(c) xi_device + sqrt(1 - c) xi)\| with r = g_T / g_max, drawn once per event; c is
    `nu_correlation`. The noise of reads has the standard deviation g Q(r) sqrt(ln((T + t_read) / (2 t_read))), the variance
    that a relative power density of Q^2 / f leaves between 1 / T and 1 / t_read.

    Parameters
    ----------
    prog_scale, drift_scale, read_scale : float, default 1
        Factors on the errors of programming, on exponents and on noise of reads.
    t0_s, t_read_s : float
    q_from : {"target", "programmed"}
        Which conductance r in Q(r) is of. AIHWKit takes the programmed one, and documents the target.
    nu_correlation : float, default 0
        Share c of the variance of exponents that belongs to a device for ever, and is not drawn anew when it is programmed.

    Examples
    --------
    >>> import dataclasses, numpy as np, rpusim as rpu
    >>> @dataclasses.dataclass(frozen=True, repr=False)
    ... class Drifts(rpu.inference.PowerLawDrift):
    ...     def exponents(self, r):
    ...         return np.full_like(r, 0.05), np.zeros_like(r)
    >>> model = Drifts(t0_s=1.0)
    >>> written = rpu.inference.ProgrammedArray(np.eye(2), rpu.inference.Chip(model, compensation=None), rng=0)
    >>> round(float(written.weights(999.0)[0, 0]), 4), round(1000**-0.05, 4)
    (0.7079, 0.7079)
    """

    prog_scale: float = parameter(1.0, is_scale)
    drift_scale: float = parameter(1.0, is_scale)
    read_scale: float = parameter(1.0, is_scale)
    t0_s: float = parameter(20.0, is_time)
    t_read_s: float = parameter(250e-9, is_time)
    q_from: str = parameter("target", choice("target", "programmed"))
    nu_correlation: float = parameter(0.0, real(0.0, 1.0))

    def exponents(self, r: Array) -> tuple[Array, Array] | None:
        """Mean and standard deviation of the exponents over r = g_T / g_max; None: no drift."""
        return None

    def relative_noise(self, r: Array) -> Array | None:
        """Q over r = g_T / g_max; None: no noise."""
        return None

    def event(self, targets: Array, g_max: float, draw: Draw) -> Event:
        found = super().event(targets, g_max, draw)
        law = self.exponents(relative(targets, g_max))
        if law is not None and self.drift_scale > 0.0:
            mean, std = law
            xi = draw("exponent")
            if self.nu_correlation > 0.0:
                c = self.nu_correlation
                xi = math.sqrt(c) * draw("device exponent") + math.sqrt(1.0 - c) * xi
            found["nu"] = self.drift_scale * np.abs(mean + std * xi)
        return found

    def aged(self, event: Event, targets: Array, g_max: float, t_s: float, draw: Draw) -> Array:
        if t_s == 0.0 or "nu" not in event:
            return event["programmed"]
        factor = event["nu"] * -math.log((t_s + self.t0_s) / self.t0_s)
        np.exp(factor, out=factor)
        factor *= event["programmed"]
        return factor

    def read_std(self, event: Event, g: Array, targets: Array, g_max: float, t_s: float) -> Array | None:
        q = self.relative_noise(relative(targets if self.q_from == "target" else event["programmed"], g_max))
        if q is None or self.read_scale == 0.0:
            return None
        q *= g
        q *= self.read_scale * math.sqrt(self.noise_power(t_s))
        return q

    def noise_power(self, t_s: float) -> float:
        """ln((T + t_read) / (2 t_read)), the variance of 1/f noise of unit power density at the time t."""
        return max(math.log((t_s + self.t0_s + self.t_read_s) / (2.0 * self.t_read_s)), 0.0)


def relative(g: Array, g_max: float) -> Array:
    """r = |g| / g_max, at least 1e-7."""
    r = np.abs(g)
    r /= g_max
    return np.maximum(r, LEAST, out=r)


def polynomial(coefficients: Sequence[float], r: Array) -> Array:
    """c_0 + c_1 r + ..., by Horner's rule, in the precision of r."""
    total = np.full_like(r, coefficients[-1])
    for c in coefficients[-2::-1]:
        total *= r
        total += c
    return total


@dataclass(frozen=True, repr=False)
class PCM(PowerLawDrift):
    r"""Phase-change memory of one million doped Ge2Sb2Te5 mushroom cells at 90 nm.

    sigma = (0.26348 + 1.9650 r - 1.1731 r^2) uS g_max / 25 uS; mu = clip(-0.0155 ln r + 0.0244, 0.049, 0.1) and
    sd = clip(-0.0125 ln r - 0.0059, 0.008, 0.045); Q = min(0.0088 / max(r^0.65, 0.001), 0.2).

    Parameters
    ----------
    prog_scale, drift_scale, read_scale, t0_s, t_read_s, q_from, nu_correlation
        See `PowerLawDrift`; 20 s and 250 ns.

    Notes
    -----
    Source: Nandakumar et al. (2019) and Joshi et al. (2020, Nat. Commun. 11, 2473), as AIHWKit's PCMLikeNoiseModel has them.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> model = rpu.inference.PCM()
    >>> (model.programming_std(np.array([0.0, 12.5e-6, 25e-6]), 25e-6) * 1e6).round(5).tolist()
    [0.26348, 0.9527, 1.05538]
    """

    papers: ClassVar[tuple[str, ...]] = ("nandakumar2019", "joshi2020")

    def programming_std(self, g: Array, g_max: float) -> Array:
        return self.prog_scale * MICRO * (g_max / 25e-6) * polynomial((0.26348, 1.9650, -1.1731), np.abs(g) / g_max)

    def exponents(self, r: Array) -> tuple[Array, Array]:
        log = np.log(r)
        return np.clip(-0.0155 * log + 0.0244, 0.049, 0.1), np.clip(-0.0125 * log - 0.0059, 0.008, 0.045)

    def relative_noise(self, r: Array) -> Array:
        return np.minimum(0.0088 / np.maximum(r**0.65, 1e-3), 0.2)


@dataclass(frozen=True)
class _Hermes:
    """The laws of one device, or of two in parallel, of the chip."""

    g_ref: float
    sigma: tuple[float, ...]
    knee_std: float
    std_low: tuple[float, float, float, float]  # slope, offset, least, most
    std_high: tuple[float, ...]
    knee_q: float
    q_low: tuple[float, float, float, float]
    q_high: tuple[float, ...]


_ONE = _Hermes(
    10.35e-6, (0.15781817, 2.32443916, -2.16310839, 0.68841818), 0.3039, (-0.0120, -0.0023, 0.0124, 0.04),
    (0.0104, 0.0116, -0.0165), 0.1591, (-0.0078, 0.0038, 0.0179, 0.04), (0.0088, 0.0768, -0.1352, 0.0664),
)  # fmt: skip
_TWO = _Hermes(
    20.7e-6, (0.16603222, 4.71806468, -8.48101252, 4.68961419), 0.3055, (-0.0117, -0.0057, 0.0091, 0.04),
    (0.0073, 0.0093, -0.0118), 0.16, (-0.0117, -0.0069, 0.015, 0.04), (0.0123, 0.0211, -0.0280, 0.0069),
)  # fmt: skip


def _piecewise(r: Array, knee: float, low: tuple[float, float, float, float], high: tuple[float, ...]) -> Array:
    """clip(slope ln r + offset, least, most) below the knee, a polynomial from it on."""
    slope, offset, least, most = low
    return np.where(r < knee, np.clip(slope * np.log(r) + offset, least, most), polynomial(high, r))


@dataclass(frozen=True, repr=False)
class HermesPCM(PowerLawDrift):
    """Phase-change memory of the HERMES chip (14 nm, 64 cores of 256 x 256), two devices in parallel: 20.7 uS.

    Laws of the form of those of `PCM`, with knees. Both devices are taken at equal conductances; on the chip one is filled
    first, and drifts less.

    Parameters
    ----------
    prog_scale, drift_scale, read_scale, t0_s, t_read_s, q_from, nu_correlation
        See `PowerLawDrift`; 300 s and 512 ns.

    Notes
    -----
    Source: Le Gallo et al. (2023, Nat. Electron. 6, 680); numbers as in AIHWKit's models of the chip.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> (rpu.inference.HermesPCM().programming_std(np.array([0.0, 20.7e-6]), 20.7e-6) * 1e6).round(5).tolist()
    [0.16603, 1.0927]
    """

    papers: ClassVar[tuple[str, ...]] = ("legallo2023",)

    t0_s: float = parameter(300.0, is_time)
    t_read_s: float = parameter(512e-9, is_time)
    _law = _TWO

    def programming_std(self, g: Array, g_max: float) -> Array:
        law = self._law
        return self.prog_scale * MICRO * (g_max / law.g_ref) * polynomial(law.sigma, np.abs(g) / g_max)

    def exponents(self, r: Array) -> tuple[Array, Array]:
        mean = _piecewise(r, 0.0945, (-0.0387, -0.0182, 0.072, 0.13), (0.0736, -0.0126, -0.0436))
        return mean, _piecewise(r, self._law.knee_std, self._law.std_low, self._law.std_high)

    def relative_noise(self, r: Array) -> Array:
        return _piecewise(r, self._law.knee_q, self._law.q_low, self._law.q_high)


@dataclass(frozen=True, repr=False)
class HermesSinglePCM(HermesPCM):
    """Phase-change memory of the HERMES chip, one device: 10.35 uS. See `HermesPCM`; t0 is 200 s.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> (rpu.inference.HermesSinglePCM().programming_std(np.array([0.0, 10.35e-6]), 10.35e-6) * 1e6).round(5).tolist()
    [0.15782, 1.00757]
    """

    t0_s: float = parameter(200.0, is_time)
    _law = _ONE


@dataclass(frozen=True, repr=False)
class StateIndependent(PowerLawDrift):
    r"""Errors that do not depend on the state: sigma = 0.2 uS g_max / 25 uS, nu = \|0.1 + 0.05 xi\|.

    The noise of reads of AIHWKit's model of this name, (g / g_max) sqrt(ln(...)) uS, is 17 % of g_max: it is off here
    (`read_scale` 0) until it is asked for.

    Parameters
    ----------
    prog_scale, drift_scale, read_scale, t0_s, t_read_s, q_from, nu_correlation
        See `PowerLawDrift`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.StateIndependent(drift_scale=0.5)
    StateIndependent(drift_scale=0.5)
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    read_scale: float = parameter(0.0, is_scale)

    def programming_std(self, g: Array, g_max: float) -> Array:
        return np.full_like(g, self.prog_scale * 0.2 * MICRO * g_max / 25e-6)

    def exponents(self, r: Array) -> tuple[Array, Array]:
        return np.full_like(r, 0.1), np.full_like(r, 0.05)

    def relative_noise(self, r: Array) -> Array:
        return np.full_like(r, MICRO / 25e-6)


@dataclass(frozen=True, repr=False)
class CustomNoise(PowerLawDrift):
    """Laws given by polynomials in r = g_T / g_max, or by tables over r with lines between.

    Parameters
    ----------
    prog_scale, drift_scale, read_scale, t0_s, t_read_s, q_from, nu_correlation
        See `PowerLawDrift`.
    programming : tuple of float, default (0,)
        Standard deviation of programming over g_max: c_0 + c_1 r + ..., cut at 0; or its values at `states`.
    drift_mean, drift_std : tuple of float or None
        Of the exponents, likewise; None: no drift, and no spread of exponents.
    noise : tuple of float or None
        Q, likewise.
    states : tuple of float or None
        Ascending r from 0 to 1 at which all laws are given; None: they are coefficients.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> model = rpu.inference.CustomNoise(programming=(0.02, 0.04), drift_mean=(0.05, 0.02), states=(0.0, 1.0))
    >>> (model.programming_std(np.array([0.0, 10e-6, 20e-6]), 20e-6) * 1e6).round(6).tolist()
    [0.4, 0.6, 0.8]
    """

    papers: ClassVar[tuple[str, ...]] = ()

    programming: tuple[float, ...] = parameter((0.0,), numbers_of(real()))
    drift_mean: tuple[float, ...] | None = parameter(None, optional(numbers_of(real())))
    drift_std: tuple[float, ...] | None = parameter(None, optional(numbers_of(real())))
    noise: tuple[float, ...] | None = parameter(None, optional(numbers_of(real())))
    states: tuple[float, ...] | None = parameter(None, optional(numbers_of(real(0.0, 1.0))))

    def _check_consistency(self) -> None:
        if self.drift_std is not None and self.drift_mean is None:
            raise ValueError(f"CustomNoise: drift_std must be None where drift_mean is; got {self.drift_std}")
        if self.states is None:
            return
        if self.states[0] != 0.0 or self.states[-1] != 1.0 or np.any(np.diff(self.states) <= 0.0):
            raise ValueError(f"CustomNoise: states must ascend from 0 to 1; got {shown(self.states)}")
        for name in ("programming", "drift_mean", "drift_std", "noise"):
            law = getattr(self, name)
            if law is not None and len(law) != len(self.states):
                raise ValueError(f"CustomNoise: {name} must have a value for each of {len(self.states)} states; got {len(law)}")

    def _law(self, law: tuple[float, ...], r: Array) -> Array:
        if self.states is not None:
            return np.interp(r, self.states, law).astype(r.dtype, copy=False)
        return polynomial(law, r)

    def programming_std(self, g: Array, g_max: float) -> Array:
        return self.prog_scale * g_max * np.maximum(self._law(self.programming, np.abs(g) / g_max), 0.0)

    def exponents(self, r: Array) -> tuple[Array, Array] | None:
        if self.drift_mean is None:
            return None
        std = np.zeros_like(r) if self.drift_std is None else np.maximum(self._law(self.drift_std, r), 0.0)
        return self._law(self.drift_mean, r), std

    def relative_noise(self, r: Array) -> Array | None:
        return None if self.noise is None else np.maximum(self._law(self.noise, r), 0.0)


@dataclass(frozen=True, repr=False)
class RelativeNoise(NoiseModel):
    """Errors of programming of a simple form, of u = g / g_max.

    u + size xi ("independent"), u (1 + size xi) ("proportional"), or u + size xi / u ("inverse", nothing at 0); xi is standard
    normal, or uniform in +-1/2, so that `size` is its width.

    Parameters
    ----------
    law : {"independent", "proportional", "inverse"}
    size : float, default 0.02
    distribution : {"normal", "uniform"}

    Notes
    -----
    CrossSim's generic device errors. They may be programmed below 0, where they are cut, and above g_max.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> model = rpu.inference.RelativeNoise("proportional", 0.1)
    >>> (model.programming_std(np.array([0.0, 10e-6]), 20e-6) * 1e6).round(6).tolist()
    [0.0, 1.0]
    """

    papers: ClassVar[tuple[str, ...]] = ()

    law: str = parameter("independent", choice("independent", "proportional", "inverse"))
    size: float = parameter(0.02, is_scale)
    distribution: str = parameter("normal", choice("normal", "uniform"))

    def programming_std(self, g: Array, g_max: float) -> Array:
        width = self._width(np.abs(g) / g_max)
        return width * (g_max if self.distribution == "normal" else g_max / math.sqrt(12.0))

    def _width(self, u: Array) -> Array:
        if self.law == "independent":
            return np.full_like(u, self.size)
        if self.law == "proportional":
            return self.size * u
        return np.where(u > 0.0, self.size / np.where(u > 0.0, u, 1.0), 0.0)

    def programmed(self, targets: Array, g_max: float, draw: Draw) -> Array:
        xi = draw("programming")
        if self.distribution == "uniform":
            from scipy.special import ndtr

            xi = (ndtr(xi) - 0.5).astype(targets.dtype)
        return self.cut(targets + g_max * self._width(np.abs(targets) / g_max) * xi)


def check_age(name: str, t_s: float) -> float:
    """Return a time after programming, in seconds."""
    value = physical(0.0)(name, t_s)
    if value > 1e12:
        fail(name, "at most 1e12 s (30,000 years)", t_s)
    return value


def checked_times(times_s: ArrayLike) -> list[float]:
    """Return times after programming, at least one, in seconds."""
    times = real_array("times_s", np.atleast_1d(plain_array("times_s", times_s, "real numbers")), (None,))
    if len(times) == 0:
        raise ValueError("times_s must be at least one time; got none")
    return [check_age(f"times_s[{k}]", float(t)) for k, t in enumerate(times)]
