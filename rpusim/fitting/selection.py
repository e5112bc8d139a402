r"""From measured pulse ramps to a device: fits, standard errors, noise, spreads, and the choice of a model.

A ramp is the conductance before and after consecutive pulses of one sign. It is mapped to weight units by w = (g - offset) /
slope and described as a state and what is seen of it::

    w_{n+1} = clip(w_n +- step(w_n) (1 + dw_min_std xi)),     y_n = w_n + u_n + read_noise xi
    u_{n+1} = f u_n + slow_noise sqrt(1 - f^2) xi,            f = exp(-1 / slow_time)

Write noise stays in the state and adds up over a ramp; read noise does not; slow noise u (of traps, 1/f) stays for slow_time
pulses and is forgotten. That is what tells them apart. Without u such noise is taken for write noise, whose walk then hides
the mean steps. The likelihood of all ramps is computed by a Kalman filter that carries mean m and variance P of the state.
One pulse takes the moments of w +- step(w) over the normal N(m, P) by Gauss-Hermite quadrature with three nodes (exact for
linear steps), adds the mean of (dw_min_std step)^2, and takes the mean and the variance of the result clipped at the bounds.
With innovations e of variance S, the log-likelihood is -sum(log(2 pi S) + e^2 / S) / 2, and the information about parameters
i and j is sum(d_i e d_j e / S + d_i S d_j S / (2 S^2)).

Where a ramp starts is not known but for its first value y_0, and that it lies between the bounds: the state before the first
pulse is uniform there, which adds log(Phi(b) - Phi(a)) to the log-likelihood, a and b = (bound - y_0) / noise of y_0, and
-(d/db)^2 log Phi(b) d_i b d_j b, and the same for a, to the information. Without it a soft bound may settle below states from
which ramps start, and its error comes out too small there: steps that vanish at the bound are small and quiet near it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rpusim._base.progress import Lines, progress_bar
from rpusim._base.validation import boolean, choice, fail, real, shown
from rpusim.devices.base import PulsedDevice
from rpusim.devices.step import LinearStep
from rpusim.fitting.chance import score_by_chance
from rpusim.fitting.data import Data, Measured, measured, packed
from rpusim.fitting.models import COMMON, MODELS, NOISES, Model, build_device, template_of
from rpusim.fitting.one import Optimum, fit_model, free_names, step_error
from rpusim.fitting.population import fit_population
from rpusim.fitting.ramps import Array
from rpusim.fitting.result import FitResult, ModelScore, r_squared, said_of_misfit
from rpusim.fitting.soundness import faults, said_of_symmetry, with_nominal_step

__all__ = ["fit"]


def _models(model: Any) -> list[tuple[str, PulsedDevice | None]]:
    """Names of the models to try, with the device whose other fields are kept where one was given."""
    if model is None or (isinstance(model, str) and model == "best"):
        return [(name, None) for name in MODELS]
    if isinstance(model, (list, tuple)):
        if not model:
            raise ValueError("model must name at least one model; got an empty sequence")
        return [_one_model(one) for one in model]
    return [_one_model(model)]


def _one_model(model: Any) -> tuple[str, PulsedDevice | None]:
    if isinstance(model, str) and model in MODELS:
        return model, None
    if isinstance(model, type) and model.__name__ in MODELS:
        return model.__name__, None
    if isinstance(model, PulsedDevice) and type(model).__name__ in MODELS:
        return type(model).__name__, model
    known = ", ".join(MODELS)
    raise ValueError(
        f"model must be one of {known}, such a class or device, a list of them, None or 'best'; got {shown(model)}"
    )


def fit(
    pulses_up: Any,
    pulses_down: Any = None,
    model: Any = None,
    *,
    g_min: float | None = None,
    g_max: float | None = None,
    hold: Mapping[str, float] | None = None,
    criterion: str = "bic",
    unit: str = "",
    progress: bool = True,
) -> FitResult:
    r"""Fit a device to measured conductance against pulse number.

    Parameters
    ----------
    pulses_up, pulses_down : array_like or list, or None
        Conductances along ramps of consecutive up (down) pulses, one pulse from value to value, the first value before or
        after any pulse; nan where a value is missing. One ramp of shape (values,); cycles of one device, (ramps, values), or
        a list of ramps of any lengths; several devices, (devices, ramps, values), or a list of lists of ramps, where device k
        of both arguments is the same. One of the two may be None.
    model : str, class, device or list of these, optional
        "ConstantStep", "LinearStep", "SoftBounds", "ExpStep", "PowStep", "PiecewiseStep". A device is a model whose fields
        that are not fitted are kept, such as ``SoftBounds(mult_noise=False)``. None or "best" tries all.
    g_min, g_max : float, optional
        Conductances that become weights -1 and 1; by default the measured range. (-1, 1) keeps the numbers as they are.
    hold : dict of str to float, optional
        Parameters, in weight units, that are known and not fitted.
    criterion : {"bic", "aic"}
        What chooses among models. BIC by default: ramps have many values, and AIC then takes the richer of two models
        that say the same.
    unit : str
        Unit of the ramps, for the record.
    progress : bool, default True
        Whether to show a progress bar over models and devices; where stderr is no terminal, a line there after some seconds.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError, TypeError
        Where an argument is not allowed; the message names it.

    Notes
    -----
    With n the pulse and xi, zeta independent standard normals, a ramp obeys::

        w_{n+1} = clip(w_n +- step(w_n) (1 + dw_min_std xi)),     g_n = offset + slope (w_n + u_n + read_noise zeta)

    with u_n noise of standard deviation slow_noise that is forgotten over slow_time pulses (traps, 1/f noise); it is left out
    where the criterion does not ask for it, and never tried with ``hold={"slow_noise": 0}``. A ramp starts anywhere between
    the bounds. The likelihood is computed by a Kalman filter with clipped moments (see the module) and maximised by
    `scipy.optimize.minimize`. Standard errors are the square roots of the diagonal of the inverse information matrix.
    `dw_min_std`, as maximum likelihood has it, comes out low by up to a standard error where few pulses have to tell many
    parameters. A parameter that the ramps do not tell has the error inf; a hard bound at which no ramp stops is held at the
    edge of the data, with a note. ExpStep is fitted with a = 1 and b = 0, which its other parameters make general, and the
    table of PiecewiseStep has 5 nodes, of which the middle one is 1.

    Of several devices each is fitted, and their parameters are taken as draws from a normal population, whose mean and
    spread (the `_dtod` fields) are estimated by restricted maximum likelihood, so that estimation errors are not counted as
    spread.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.05, dw_min_dtod=0, up_down_dtod=0, w_max=1, w_max_dtod=0, w_min=-1,
    ...                                 w_min_dtod=0)
    >>> array = rpu.CrossbarArray((1, 5), device, rng=1)
    >>> ramps = {}
    >>> for sign in (1, -1):
    ...     _ = array.program(np.full((1, 5), -0.9 * sign))
    ...     ramps[sign] = [array.weights[0]]
    ...     for _ in range(60):
    ...         array.pulse(sign)
    ...         ramps[sign].append(array.weights[0])
    >>> up, down = 1e-5 + 1e-5 * np.array(ramps[1]).T, 1e-5 + 1e-5 * np.array(ramps[-1]).T  # siemens
    >>> result = rpu.fitting.fit(up, down, "SoftBounds", g_min=0, g_max=2e-5)
    >>> for name in ("dw_min", "w_max", "w_min", "dw_min_std"):
    ...     print(abs(result.values[name] - getattr(device, name)) < 3 * result.standard_errors[name])
    True
    True
    True
    True
    """
    choice("bic", "aic")("criterion", criterion)
    chosen = _models(model)
    if not isinstance(unit, str):
        fail("unit", "a str", unit, TypeError)
    given = measured(pulses_up, pulses_down, unit)
    if not given.up and not given.down:
        raise ValueError("pulses_up and pulses_down must hold at least one ramp; got none")
    offset, slope = _scale(given, g_min, g_max)
    up, down = [(r - offset) / slope for r in given.up], [(r - offset) / slope for r in given.down]
    labels = sorted({*given.up_device, *given.down_device}, key=str)
    number = {label: k for k, label in enumerate(labels)}
    data = packed(up, down, [number[k] for k in given.up_device], [number[k] for k in given.down_device])
    limits = float(np.nanmin(data.y)), float(np.nanmax(data.y))
    if limits[1] <= 0.0 or limits[0] >= 0.0:
        middle = offset + slope * (limits[0] + limits[1]) / 2.0
        raise ValueError(f"g_min and g_max must have their mean within the measured range, about {middle:g}; got {offset:g}")
    kept = _held(hold, chosen)
    parts = [data.of_device(k) for k in range(len(labels))]
    chosen, notes = _told(chosen, parts, kept)
    hidden = None if boolean("progress", progress) else True
    bar = progress_bar(total=len(chosen) * len(parts), desc="fit", unit=" fits", dynamic_ncols=True, disable=hidden)
    outcomes = []
    with bar, Lines("fit", len(chosen), bar.disable and hidden is None) as said:
        for name, kept_device in chosen:
            bar.set_postfix_str(name)
            said.at(name)
            fits = _fits(parts, data, MODELS[name], kept_device, limits, kept, criterion, bar.update)
            outcomes.append(_outcome(name, fits, data, kept_device, limits, up, down))
    notes += _told_from_chance(outcomes, parts, criterion, len(chosen) > 1 and not kept)
    best, comparison, passed = chosen_of(outcomes, criterion, data.n)
    return FitResult(
        device=best.device,
        values=best.values,
        standard_errors=best.errors,
        notes=(*given.notes, *notes, *passed, *best.notes),
        read_noise=best.values["read_noise"],
        slow_noise=best.values.get("slow_noise", 0.0),
        slow_time=best.values.get("slow_time", math.nan),
        offset=offset,
        slope=slope,
        unit=given.unit,
        score=best.score,
        comparison=comparison,
        criterion=criterion,
        n_values=data.n,
        n_ramps=data.y.shape[1],
        n_devices=len(labels),
        up=tuple(up),
        down=tuple(down),
    )


def _scale(given: Measured, g_min: float | None, g_max: float | None) -> tuple[float, float]:
    """Offset and slope of the map from weights to measured values."""
    everything = np.concatenate([*given.up, *given.down])
    bounds = [float(np.nanmin(everything)), float(np.nanmax(everything))]
    for k, (name, value) in enumerate((("g_min", g_min), ("g_max", g_max))):
        if value is not None:
            bounds[k] = real()(name, value)
    if not bounds[0] < bounds[1]:
        raise ValueError(f"g_max must be above g_min, and ramps must not be constant; got {bounds[1]:g} and {bounds[0]:g}")
    return (bounds[0] + bounds[1]) / 2.0, (bounds[1] - bounds[0]) / 2.0


def _told_from_chance(outcomes: Sequence[Outcome], parts: Sequence[Data], criterion: str, free: bool) -> list[str]:
    """Say where a state that wanders by chance explains the ramps as well, and refuse them if models were not held (`free`)."""
    gain = min(float(getattr(one.score, criterion)) for one in outcomes) - score_by_chance(parts, criterion)
    if gain < 0.0:
        return []
    what = "a state that wanders by chance, whichever way pulses go, explains the ramps as well"
    if free:
        raise ValueError(f"ramps must say that pulses move the device: {what} ({criterion.upper()} lower by {gain:.1f})")
    return [f"{what} as what was asked for, or better ({criterion.upper()} lower by {gain:.1f})"]


def _held(hold: Mapping[str, float] | None, chosen: Sequence[tuple[str, PulsedDevice | None]]) -> dict[str, float]:
    if hold is not None and not isinstance(hold, Mapping):
        fail("hold", "a dict of names and numbers, or None", hold, TypeError)
    kept = dict(hold or {})
    for name, value in kept.items():
        allowed = {n for m, _ in chosen for n in (*COMMON, *MODELS[m].shape)}
        if name not in allowed:
            raise ValueError(f"hold must have names among {', '.join(sorted(allowed))}; got {shown(name)}")
        least = real(0.0, open_low=name == "slow_time") if name in (*NOISES, "slow_time") else real()
        kept[name] = least(f"hold[{name!r}]", value)
    if ("slow_time" in kept) != (kept.get("slow_noise", 0.0) != 0.0):
        raise ValueError(f"hold must name slow_noise and slow_time together, or slow_noise=0; got {', '.join(kept)}")
    return kept


def _told(
    chosen: list[tuple[str, PulsedDevice | None]], parts: Sequence[Data], kept: Mapping[str, float]
) -> tuple[list[tuple[str, PulsedDevice | None]], list[str]]:
    """The models that have few enough parameters for the data: at most one to two values, and none where one is asked for."""
    least = min(part.n for part in parts)
    counts = {name: max(len(free_names(MODELS[name], p, (), kept)) for p in parts) for name, _ in chosen}
    simplest = min(counts.values())
    if simplest > least:
        what = f"{next(iter(counts))} has" if len(counts) == 1 else "even the simplest model has"
        raise ValueError(
            f"ramps must hold more values (all but the first of each count): {what} {simplest} parameters; got {least}"
        )
    good = [pair for pair in chosen if 2 * counts[pair[0]] <= least]
    left = [name for name, count in counts.items() if 2 * count > least]
    if good:
        text = f"{least} values tell no more than {least // 2} parameters: not tried: {', '.join(left)}"
        return good, [text] if left else []
    few = [pair for pair in chosen if counts[pair[0]] == simplest]
    left = [name for name, count in counts.items() if count > simplest]
    text = f"{least} values are few for the {simplest} parameters of {' and '.join(dict.fromkeys(n for n, _ in few))}"
    return few, [text + (f"; not tried: {', '.join(left)}" if left else "")]


def _fits(
    parts: Sequence[Data],
    data: Data,
    spec: Model,
    kept_device: PulsedDevice | None,
    limits: tuple[float, float],
    kept: Mapping[str, float],
    criterion: str,
    done: Callable[[], Any],
) -> list[Optimum]:
    """One model fitted to each device, with slow noise for all or for none."""
    own = {k: v for k, v in kept.items() if k in COMMON or k in spec.shape}
    template = template_of(spec, kept_device)
    fits, slow = [], []
    for part in parts:
        white, other = fit_model(part, spec, template, limits, own)
        fits.append(white)
        slow += [other] if other else []
        done()
    if len(slow) == len(fits):
        more = sum(len(b.problem.free) - len(a.problem.free) for a, b in zip(fits, slow, strict=True))
        gain = 2.0 * sum(b.log_likelihood - a.log_likelihood for a, b in zip(fits, slow, strict=True))
        few = all(2 * len(b.problem.free) <= b.problem.data.n for b in slow)
        if few and gain > more * (2.0 if criterion == "aic" else math.log(data.n)):
            return slow
    return fits


@dataclass(frozen=True)
class Outcome:
    """What became of one model: its score, its device, and why that is not to be trained, if it is not."""

    score: ModelScore
    device: PulsedDevice
    values: dict[str, float]
    errors: dict[str, float]
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def _outcome(
    name: str,
    fits: Sequence[Optimum],
    data: Data,
    kept_device: PulsedDevice | None,
    limits: tuple[float, float],
    up: Sequence[Array],
    down: Sequence[Array],
) -> Outcome:
    if len(fits) == 1:
        values, errors, notes = dict(fits[0].values), fits[0].errors, list(fits[0].notes)
        spreads: dict[str, float] = {}
    else:
        values, errors, spreads, notes = fit_population(fits)
    device = build_device(template_of(MODELS[name], kept_device), {**values, **spreads})
    if isinstance(device, LinearStep) and min(device.gamma_up, device.gamma_down) >= 0.0:
        device = device.replace(allow_increasing=False)
    k = sum(len(f.problem.free) for f in fits)
    log_likelihood = sum(f.log_likelihood for f in fits)
    bic = k * math.log(data.n) - 2 * log_likelihood
    score = ModelScore(name, k, log_likelihood, 2 * k - 2 * log_likelihood, bic, *r_squared(device, up, down))
    found = {n: float(v) for n, v in {**values, **spreads}.items() if n in errors}
    notes += [f"{n} is not told by these ramps" for n, error in errors.items() if not math.isfinite(error)]
    noises: dict[str, float] = {n: float(values[n]) for n in ("read_noise", "slow_noise", "slow_time") if n in values}
    if noises.get("slow_noise") == 0.0:
        noises.pop("slow_time", None)
    both = bool(up) and bool(down)
    error = float(np.median([step_error(one, (limits[0] + limits[1]) / 2.0) for one in fits]))
    wrong = faults(device, limits, error, both)
    notes += said_of_misfit(device, score, up, down, (float(values["read_noise"]), float(values.get("slow_noise", 0.0))))
    notes += said_of_symmetry(device, errors) if both else []
    device, more = with_nominal_step(device, limits)
    return Outcome(score, device, {**found, **noises}, errors, (*notes, *more), tuple(wrong))


def chosen_of(outcomes: Sequence[Outcome], criterion: str, n: int) -> tuple[Outcome, tuple[ModelScore, ...], list[str]]:
    """The likeliest model that comes back from where the data did, all scores with that first, and what was passed over."""

    def rank(
        one: Outcome,
    ) -> float:  # with the correction for few values; of equals the one with fewer bounds that were guessed
        k = one.score.n_parameters
        guessed = sum("is held at the edge of the data" in note for note in one.notes)
        return float(getattr(one.score, criterion)) + 2.0 * k * (k + 1) / max(n - k - 1, 0.5) + guessed

    ordered = sorted(outcomes, key=rank)
    first = ordered[0]
    best = max((one.score.r2_blocks for one in ordered if not math.isnan(one.score.r2_blocks)), default=0.0)
    why = {id(one): _why_not(one, best) for one in ordered}
    sound = [one for one in ordered if not why[id(one)]]
    if not first.faults or not sound:
        if len(ordered) > 1 and first.faults:
            notes = [f"no model comes back from where the data did; of {first.score.model}: {'; '.join(first.faults)}"]
        else:
            notes = [f"take {first.score.model} with care: {'; '.join(first.faults)}"] if first.faults else []
        return first, tuple(one.score for one in ordered), notes
    taken = sound[0]
    passed = ordered[: ordered.index(taken)]
    notes = [
        f"{one.score.model} is likelier by {getattr(taken.score, criterion) - getattr(one.score, criterion):.1f} "
        f"({criterion.upper()}; R2 {one.score.r2_blocks:.3f} against {taken.score.r2_blocks:.3f}) but not taken: "
        f"{'; '.join(why[id(one)])}{_nevertheless(one, taken)}"
        for one in passed
    ]
    rest = [one for one in ordered if one is not taken]
    return taken, tuple(one.score for one in (taken, *rest)), notes


def _nevertheless(one: Outcome, taken: Outcome) -> str:
    """How to get a model that was passed over, where it follows the ramps better than what was taken."""
    better = one.score.r2_blocks > taken.score.r2_blocks + 0.005
    return f'; model="{one.score.model}" (--model {one.score.model}) takes it nevertheless' if better else ""


def _why_not(one: Outcome, best: float) -> list[str]:
    """What keeps a model from being taken in the place of a likelier one."""
    found = list(one.faults)
    if not one.score.r2_blocks >= max(0.9, best - 0.03):
        found.append("its curve does not follow the ramps")
    if not found and not math.isfinite(one.device.symmetry_point):
        found.append("it has no stable symmetry point")
    return found
