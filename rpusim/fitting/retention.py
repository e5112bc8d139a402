"""From conductances over time to drift or decay."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from rpusim._base.validation import choice, instance, one_or_more, optional, physical, real, shown
from rpusim.devices.base import PulsedDevice
from rpusim.effects.drift import Drift
from rpusim.fitting.found import Found
from rpusim.fitting.population import random_effects
from rpusim.fitting.series import Array, Series, series_of
from rpusim.fitting.time_laws import DECAY, DRIFT, FROM_T0, STAYS, TimeFit, best_noise, correlation, curve

__all__ = ["RetentionResult", "fit_retention"]

LAWS = (DRIFT, FROM_T0, DECAY, STAYS)


@dataclass(frozen=True)
class RetentionResult(Found):
    """How conductances change with time. A drift is accepted wherever a `Drift` is.

    Attributes
    ----------
    values, standard_errors : dict of str to float
        Of a drift nu, t_0 (seconds), and nu_dtod (relative) of several series; of a decay tau (seconds), rest, and tau_dtod
        (relative); noise of a value. Without a common entry in the errors, a value was held.
    law : str
        "drift", "drift from t_0", "decay" or "stays".
    unit : str
        Unit of the values.
    relative : bool
        Whether noise is a fraction of the value.
    comparison : tuple of (str, float)
        BIC of each law that was tried over that of the best, best first.
    each : tuple of (str, float, float, float)
        Of each series its name, g_0, and nu or ln tau with its standard error.
    series : Series
        What was fitted.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> t = np.geomspace(1, 1e5, 30)
    >>> noise = np.random.default_rng(0).standard_normal(30)
    >>> found = rpu.fitting.fit_retention(t, 1e-5 * t**-0.05 * np.exp(0.01 * noise), unit="S")
    >>> found.law, round(found.values["nu"], 2), found.comparison[0]
    ('drift', 0.05, ('drift', 0.0))
    """

    law: str
    unit: str
    relative: bool
    comparison: tuple[tuple[str, float], ...]
    each: tuple[tuple[str, float, float, float], ...]
    series: Series = field(repr=False, compare=False, default_factory=Series)

    kind: ClassVar[str] = "retention"
    units: ClassVar[dict[str, str]] = {"t_0": "s", "tau": "s", "nu_dtod": "relative", "tau_dtod": "relative"}

    def unit_of(self, name: str) -> str:
        """Unit of a value."""
        if name == "noise":
            return "relative" if self.relative else self.unit
        return self.unit if name == "rest" else super().unit_of(name)

    def __str__(self) -> str:
        tried = ", ".join(f"{name} +{bic:.1f}" for name, bic in self.comparison)
        return f"{self.law} ({len(self.each)} series); BIC over the best: {tried}\n\n{super().__str__()}"

    @property
    def __specification__(self) -> Drift:
        """The drift, of weights in proportion to conductances, as which this is taken wherever a `Drift` is."""
        if self.law not in (DRIFT, FROM_T0):
            raise AttributeError(f"law is {self.law!r}, which is no drift")
        return self.drift()

    def drift(self, g_min: float | None = None, g_max: float | None = None) -> Drift:
        """Return the drift, with seconds as its unit of time.

        Parameters
        ----------
        g_min, g_max : float, optional
            Conductances of weights -1 and 1, in the unit of the series. Without them weights are in proportion to conductances.

        Raises
        ------
        ValueError
            If the law is no drift.
        """
        if self.law not in (DRIFT, FROM_T0):
            raise ValueError(f"law must be a drift; got {self.law!r}")
        more = {}
        if g_min is not None or g_max is not None:
            offset, slope = _scale(g_min, g_max)
            more = {"g_offset": offset, "wg_ratio": float(f"{1.0 / slope:.14g}")}  # 1 / 1e-5 is no round number
        return Drift(nu=self.values["nu"], nu_dtod=self.values.get("nu_dtod", 0.0), t_0=self.values["t_0"], **more)

    def added_to(
        self, device: PulsedDevice, *, g_min: float | None = None, g_max: float | None = None, batch_time: float | None = None
    ) -> PulsedDevice:
        """Return a device with this drift, or with this decay as its lifetime and reset level.

        Parameters
        ----------
        device : PulsedDevice
        g_min, g_max : float
            Conductances of weights -1 and 1, in the unit of the series; a drift does without them.
        batch_time : float
            Of a decay: seconds of a mini-batch. lifetime = 1 / (1 - exp(-batch_time / tau)).

        Raises
        ------
        ValueError
            If something is missing, or the law is "stays".

        Examples
        --------
        >>> import numpy as np, rpusim as rpu
        >>> t = np.linspace(0, 3000, 40)
        >>> found = rpu.fitting.fit_retention(t, 5e-6 + 4e-6 * np.exp(-t / 1000), law="decay", unit="S")
        >>> device = found.added_to(rpu.devices.SoftBounds(), g_min=0.0, g_max=1e-5, batch_time=1.0)
        >>> round(device.lifetime, 1), abs(device.reset) < 1e-4
        (1000.5, True)
        """
        device = instance(PulsedDevice, "a device with pulses")("device", device)
        if self.law in (DRIFT, FROM_T0):
            return device.replace(drift=self.drift(g_min, g_max))
        if self.law == STAYS:
            raise ValueError("law must be a drift or a decay; got 'stays', which adds nothing")
        if batch_time is None or g_min is None or g_max is None:
            raise ValueError(
                "batch_time, g_min and g_max must be given: a decay is one for each mini-batch, in weights; got None"
            )
        offset, slope = _scale(g_min, g_max)
        lifetime = -1.0 / math.expm1(-real(0.0, open_low=True)("batch_time", batch_time) / self.values["tau"])
        return device.replace(
            lifetime=lifetime, lifetime_dtod=self.values.get("tau_dtod", 0.0), reset=(self.values["rest"] - offset) / slope
        )

    def fitted(self, k: int, t: Array) -> Array:
        """Values of the law of series `k` at times `t`, in seconds."""
        _, first, second, _ = self.each[k]
        rest = self.values.get("rest", 0.0)
        theta = (first - rest, second) if self.law == DECAY else (first, second)
        return curve(self.law, theta, rest if self.law == DECAY else self.values.get("t_0", 1.0), np.asarray(t, np.float64))

    @classmethod
    def _restored(cls, name: str, value: Any) -> Any:
        if name == "law":
            return choice(*LAWS)("data['law']", value)
        return super()._restored(name, value)


def _scale(g_min: Any, g_max: Any) -> tuple[float, float]:
    low, high = (real()(name, value) for name, value in (("g_min", g_min), ("g_max", g_max)))
    if not low < high:
        raise ValueError(f"g_max must be above g_min={low:g}; got {high:g}")
    return (low + high) / 2.0, (high - low) / 2.0


def fit_retention(
    time: Any,
    values: Any = None,
    *,
    law: str | Sequence[str] | None = None,
    t_0: float | None = None,
    rest: float | None = None,
    noise: str | None = None,
    unit: str = "",
) -> RetentionResult:
    r"""Fit drift or decay to conductances over time, and choose between them.

    Parameters
    ----------
    time : Series, or array_like (values,) or (series, values), or list
        What `read_series` returns; or times in seconds, one axis for all series or one for each.
    values : array_like (values,) or (series, values), or list
        Conductances, nan where one is missing.
    law : str or sequence of str, optional
        "drift", "drift from t_0", "decay", "stays"; all by default, of which BIC chooses.
    t_0 : float, optional
        Of "drift": time at which it begins, in seconds; by default the first time, beyond which nothing tells it.
    rest : float, optional
        Of "decay": the value that all goes to, where it is known.
    noise : {"relative", "absolute"}, optional
        Whether noise is a fraction of the value, or the same everywhere; by default whichever is likelier.
    unit : str
        Unit of the values, for the record.

    Returns
    -------
    RetentionResult

    Raises
    ------
    ValueError, TypeError
        Where an argument is not allowed, or no law can be fitted; the message names it.

    Notes
    -----
    ::

        drift:  g = g_0 max(t / t_0, 1)^-nu
        decay:  g = rest + (g_0 - rest) exp(-t / tau)

    with a g_0 and a nu or tau for each series, and one t_0 or rest for all. nu (ln tau) of the series are taken as draws from a
    normal population, whose mean and spread are estimated by restricted maximum likelihood, so that errors of estimation are
    not counted as spread. The drift is that of phase-change memory, Ielmini et al. (2007), IEEE TED 54, 308; exponentials are
    of one barrier.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> t = np.geomspace(1, 1e5, 30)
    >>> noise = np.random.default_rng(0).standard_normal(30)
    >>> found = rpu.fitting.fit_retention(t, 1e-5 * t**-0.05 * np.exp(0.01 * noise), unit="S")
    >>> found.law, abs(found.values["nu"] - 0.05) < 3 * found.standard_errors["nu"]
    ('drift', True)
    >>> rpu.devices.SoftBounds(drift=found).drift.nu == found.values["nu"]
    True
    """
    laws = LAWS if law is None else one_or_more(choice(*LAWS))("law", law)
    laws = (laws,) if isinstance(laws, str) else tuple(dict.fromkeys(laws))
    optional(choice("relative", "absolute"))("noise", noise)
    t_0 = optional(physical(0.0, open_low=True))("t_0", t_0)
    rest = optional(real())("rest", rest)
    series = series_of(time, values, "time", "time", unit)
    ts, ys, notes = _checked(series)
    fits = [fit for name in laws if (fit := _tried(name, ts, ys, t_0, rest, noise, notes)) is not None]
    if not fits:
        raise ValueError(f"law must be one that the values tell; got {shown(laws)} for {sum(map(len, ts))} values")
    fits.sort(key=lambda fit: fit.bic)
    best = fits[0]
    found, errors = _population(best, t_0, rest)
    notes += _said(best, fits, ts, ys, found, errors, t_0)
    each = tuple(
        (name, float(th[0]) + (best.common if best.law == DECAY else 0.0), float(th[1]), float(e[1]))
        for name, th, e in zip(series.names, best.theta, best.errors, strict=True)
    )
    comparison = tuple((fit.law, fit.bic - best.bic) for fit in fits)
    kept = dataclasses.replace(series, x=ts, y=ys)
    return RetentionResult(found, errors, tuple(notes), best.law, series.unit, best.relative, comparison, each, kept)


def _checked(series: Series) -> tuple[list[Array], list[Array], list[str]]:
    notes = list(series.notes)
    ts, ys = [], []
    if not series.x:
        raise ValueError("time must hold at least one series; got none")
    for name, t, y in zip(series.names, series.x, series.y, strict=True):
        if len(t) < 3:
            raise ValueError(f"values must be at least 3 of each series; got {len(t)} of {name}")
        if (t < 0.0).any():
            raise ValueError(f"time must be at least 0; got {t.min():g} in {name}")
        if np.ptp(t) == 0.0:
            raise ValueError(f"time must differ from value to value; got {t[0]:g} only, in {name}")
        order = np.argsort(t, kind="stable")
        ts.append(t[order])
        ys.append(y[order])
    return ts, ys, notes


def _tried(
    name: str, ts: list[Array], ys: list[Array], t_0: float | None, rest: float | None, noise: str | None, notes: list[str]
) -> TimeFit | None:
    """A law fitted, or None with a note where it cannot be."""
    n, count = sum(map(len, ts)), len(ts) * (1 if name == STAYS else 2) + (name in (FROM_T0, DECAY) and rest is None)
    if n <= count + 1:
        notes.append(f"{name} is not tried: {n} values tell no {count} parameters")
        return None
    if noise == "relative" and not all((y > 0.0).all() for y in ys):
        raise ValueError(
            f"noise must be 'absolute' where values are not all positive; got 'relative', and {min(map(np.min, ys)):g}"
        )
    if name in (DRIFT, FROM_T0) and not all(float(np.median(y)) > 0.0 for y in ys):
        notes.append(f"{name} is not tried: values must be positive")
        return None
    first = min(float(t[t > 0.0].min()) for t in ts)
    if name == DRIFT:
        if t_0 is None and any((t <= 0.0).any() for t in ts):
            return None  # a value at time 0 is of before it begins: t_0 is fitted
        return best_noise(name, ts, ys, first if t_0 is None else t_0, noise)
    if name == FROM_T0 and t_0 is not None:
        return None
    return best_noise(name, ts, ys, rest if name == DECAY else None, noise)


def _population(best: TimeFit, t_0: float | None, rest: float | None) -> tuple[dict[str, float], dict[str, float]]:
    """Means over series, their spreads, and errors."""
    found: dict[str, float] = {}
    errors: dict[str, float] = {}
    if best.law != STAYS:
        mean, error, spread, spread_error = random_effects(best.theta[:, 1], best.errors[:, 1])
        name = "tau" if best.law == DECAY else "nu"
        size = min(math.exp(min(mean, 600.0)), 1e300) if best.law == DECAY else mean
        found[name], errors[name] = size, error * size if best.law == DECAY else error
        if len(best.theta) > 1 and math.isfinite(spread):
            relative = 1.0 if best.law == DECAY else max(abs(mean), 1e-300)
            found[f"{name}_dtod"], errors[f"{name}_dtod"] = spread / relative, spread_error / relative
        other = "rest" if best.law == DECAY else "t_0"
        found[other] = best.common
        if best.law == FROM_T0 or (best.law == DECAY and rest is None):
            errors[other] = best.common_error
    found["noise"] = best.noise
    errors["noise"] = best.noise / math.sqrt(2.0 * max(best.n - best.count, 1))
    return found, errors


def _said(
    best: TimeFit,
    fits: list[TimeFit],
    ts: list[Array],
    ys: list[Array],
    found: dict[str, float],
    errors: dict[str, float],
    t_0: float | None,
) -> list[str]:
    """What is to be known of a fit."""
    notes = []
    early, late = min(float(t[t > 0.0].min()) for t in ts), max(float(t.max()) for t in ts)
    if best.law == DRIFT and t_0 is None:
        notes.append(f"t_0 is held at the first time, {early:.4g} s: nothing tells when the drift begins")
    decades = math.log10(late / (found["t_0"] if best.law == FROM_T0 else early))
    if best.law in (DRIFT, FROM_T0) and decades < 2.0:
        notes.append(f"the drift is seen over {decades:.1f} decades of time only: it may be of another law")
    if best.law == DECAY and found["tau"] > late:
        notes.append(f"tau is longer than the series, {late:.4g} s: beyond, the decay is extrapolated")
    if best.law == DECAY and "rest" in errors and not errors["rest"] < 0.2 * float(np.ptp(np.concatenate(ys))):
        notes.append("the series are too short to tell where the decay ends (rest)")
    near = [fit for fit in fits[1:] if fit.bic - best.bic < 6.0]
    notes += [f"{fit.law} is nearly as likely (BIC +{fit.bic - best.bic:.1f})" for fit in near]
    if best.law == STAYS:
        other = next((fit for fit in fits if fit.law in (DRIFT, FROM_T0)), None)
        if other is not None:
            mean, error, _, _ = random_effects(other.theta[:, 1], other.errors[:, 1])
            notes.append(f"nothing changes beyond its noise: as a drift, nu would be {mean:.2g}, standard error {error:.2g}")
    r, beyond = correlation(best)
    if beyond:
        factor = math.sqrt((1.0 + r) / (1.0 - min(r, 0.99)))
        notes.append(
            f"residuals are correlated from value to value ({r:.2f}): noise is slow, or the law is another; standard errors "
            f"are too small by about {factor:.1f}"
        )
    if not best.converged:
        notes.append("the search for the least squares did not settle; take the errors with care")
    if best.law in (DRIFT, FROM_T0) and len(ts) > 3:
        notes += _of_states(best)
    few = min(map(len, ts))
    if few < 6:
        notes.append(f"a series has {few} values only: errors are rough")
    return notes


def _of_states(best: TimeFit) -> list[str]:
    """Whether nu goes with the conductance."""
    x, y = np.log(np.abs(best.theta[:, 0])), best.theta[:, 1]
    weight = 1.0 / np.maximum(best.errors[:, 1], 1e-300) ** 2
    spread = random_effects(y, best.errors[:, 1])[2]
    weight = 1.0 / (1.0 / weight + (spread if math.isfinite(spread) else 0.0) ** 2)
    centre = float(weight @ x / weight.sum())
    below = float(weight @ (x - centre) ** 2)
    if not below > 0.0:
        return []
    slope = float(weight @ ((x - centre) * y)) / below
    if abs(slope) < 3.0 / math.sqrt(below):
        return []
    return [
        f"nu goes with the conductance: by {slope:.2g}, standard error {1.0 / math.sqrt(below):.1g}, for a factor e "
        f"(Drift(nu_k={-slope:.3g}, log_g0={centre:.4g}) has that, of conductances in the unit of the series)"
    ]
