"""The fit of one model to one device."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.optimize import minimize

from rpusim.devices.base import PulsedDevice
from rpusim.fitting.data import Data
from rpusim.fitting.likelihood import Problem, minus_log
from rpusim.fitting.models import NOISES, Model, build_device
from rpusim.fitting.ramps import Array
from rpusim.fitting.start import Summary, first_guess, summarise

__all__ = []

_UNSETTLED = "the search for the maximum of the likelihood did not settle; take the errors with care"


@dataclass(frozen=True)
class Optimum:
    problem: Problem
    values: dict[str, Any]
    errors: dict[str, float]
    log_likelihood: float
    notes: tuple[str, ...]


def _maximise(problem: Problem, start: Mapping[str, Any]) -> tuple[dict[str, Any], float, bool]:
    """Maximum of the likelihood by scipy's trust-region method with the information matrix as curvature."""
    cache: dict[bytes, tuple[float, Array, Array]] = {}
    n = len(problem.free)

    def look(theta: Array) -> tuple[float, Array, Array]:
        key = theta.tobytes()
        if key not in cache:
            cache.clear()
            try:
                with np.errstate(all="ignore"):
                    cache[key] = problem.slopes(theta)
            except (ValueError, OverflowError):
                cache[key] = math.inf, np.zeros(n), np.eye(n)
            value, gradient, curvature = cache[key]
            if not (math.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(curvature).all()):
                cache[key] = 1e100, np.zeros(n), np.eye(n)
        return cache[key]

    def gain(theta: Array) -> float:
        """What a further step I^-1 g would gain: half of g' I^-1 g, in units of log-likelihood; less where it is longer than
        the largest allowed, as that of a noise whose logarithm goes to minus infinity."""
        _, gradient, curvature = look(theta)
        step = np.linalg.lstsq(curvature + 1e-6 * np.eye(n), gradient, rcond=None)[0]
        return 0.5 * float(gradient @ step) * min(1.0, 3.0 / max(float(np.linalg.norm(step)), 1e-30))

    reached = problem.theta(start)
    values = [look(reached)[0]]

    def enough(theta: Array) -> None:
        """Stop at a hundredth of a standard error from the maximum, or where nothing is gained any more."""
        nonlocal reached
        reached = np.array(theta)
        values.append(look(reached)[0])
        if gain(reached) < 1e-4 or (len(values) > 6 and values[-7] - values[-1] < 0.01):
            raise StopIteration

    with contextlib.suppress(StopIteration):
        minimize(
            lambda x: look(x)[0],
            reached,
            jac=lambda x: look(x)[1],
            hess=lambda x: look(x)[2] + 1e-9 * np.eye(n),
            method="trust-exact",
            callback=enough,
            options={"initial_trust_radius": 0.5, "max_trust_radius": 3.0, "gtol": 1e-2, "maxiter": 40},
        )
    value = look(reached)[0]
    return problem.values(reached), -value, bool(value < 1e99 and gain(reached) < 0.01)


def _errors(problem: Problem, values: Mapping[str, Any]) -> dict[str, float]:
    """Standard errors from the inverse of the information; inf where the data say nothing."""
    with np.errstate(all="ignore"):
        information, squares = problem.information(values)
    n = len(problem.free)
    out = np.full(n, math.inf)
    diagonal = np.diag(information)
    told = np.isfinite(information).all(1) & (diagonal > 0.0)
    if told.any():
        scale = np.sqrt(diagonal[told])
        eigenvalues, vectors = np.linalg.eigh(information[np.ix_(told, told)] / np.outer(scale, scale))
        good = eigenvalues > 1e-10
        variance = (vectors[:, good] ** 2 / eigenvalues[good]).sum(1)
        lost = (vectors[:, ~good] ** 2).sum(1) > 1e-4
        out[told] = np.where(lost, math.inf, np.sqrt(variance) / scale)
    errors = dict(zip(problem.free, out.tolist(), strict=True))
    if problem.model.hard and {"w_max", "w_min"} & set(problem.free):  # clipped states are not normal, as the filter takes them
        for k, name in enumerate(problem.free):
            if name in NOISES and diagonal[k] > 0.0:
                errors[name] *= math.sqrt(min(max(float(squares[k] / diagonal[k]), 1.0), 4.0))
    for name in NOISES:
        if name in errors and math.isfinite(errors[name]):  # from the variance: near zero the error is its square root
            errors[name] = errors[name] / (2.0 * max(values[name], 0.5 * math.sqrt(errors[name])))
    return errors


def step_error(fit: Optimum, w: float) -> float:
    """Relative standard error of the mean step at state `w`, which may be known where single parameters are not."""
    problem, values = fit.problem, fit.values

    def size(changed: Mapping[str, Any]) -> float:
        device = build_device(problem.template, changed)
        return math.log(max(float(np.abs(device.step_up(w)) + np.abs(device.step_down(w))), 1e-300))

    with np.errstate(all="ignore"):
        information = problem.information(values)[0]
    slopes = np.zeros(len(problem.free))
    for k, name in enumerate(problem.free):
        if name not in NOISES and name != "slow_time":
            theta = problem.theta(values)
            h = 1e-4 * np.eye(len(theta))[k]
            sides = [problem.values(theta + s * h) for s in (1.0, -1.0)]
            width = float(sides[0][name]) - float(sides[1][name])
            slopes[k] = (size(sides[0]) - size(sides[1])) / width if width else 0.0
    diagonal = np.diag(information)
    if not (np.isfinite(information).all() and (diagonal > 0.0).any()):
        return math.inf
    told = diagonal > 0.0
    scale = np.sqrt(diagonal[told])
    eigenvalues, vectors = np.linalg.eigh(information[np.ix_(told, told)] / np.outer(scale, scale))
    along = (slopes[told] / scale) @ vectors
    return math.sqrt(float((along**2 / np.maximum(eigenvalues, 1e-12)).sum()))


def free_names(model: Model, data: Data, reached: Iterable[str], hold: Mapping[str, float]) -> tuple[str, ...]:
    """The parameters that are fitted; of hard bounds only those that ramps reached."""
    both = data.up.any() and (~data.up).any()
    names = ["dw_min"] + (["up_down"] if both else [])
    names += [name for name in ("w_max", "w_min") if not model.hard or name in reached]
    one = "_down" if data.up.any() else "_up"  # the side without data
    names += [name for name in model.shape if both or one not in name]
    if not model.hard and not both:
        names.remove("w_min" if data.up.any() else "w_max")
    return tuple(name for name in (*names, "dw_min_std", "read_noise") if name not in hold)


def fit_model(
    data: Data,
    model: Model,
    template: PulsedDevice,
    limits: tuple[float, float],
    hold: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Optimum, Optimum | None]:
    """Fit one model to one device's ramps, without slow noise and, where that looks likelier, with it."""
    summary = summarise(data)
    known: dict[tuple[Any, ...], Optimum] = {}

    def white(reached: Sequence[str], hold: Mapping[str, float], first: Optimum | None = None) -> Optimum:
        key = (*reached, *hold.items())
        if key not in known:
            known[key] = _fit_free(data, model, template, limits, summary, reached, hold, first)
        return known[key]

    def slow(reached: Sequence[str], hold: Mapping[str, float], first: Optimum | None = None) -> Optimum:
        if first is not None:
            return _fit_free(data, model, template, limits, summary, reached, hold, first)
        return _with_slow_noise(white(reached, hold))

    out = _fit_bounds(white, data, model, template, limits, summary, hold)
    if "slow_noise" in hold or _slow_start(out)[1] < out.log_likelihood:
        return out, None
    return out, _fit_bounds(slow, data, model, template, limits, summary, hold)


def _fit_bounds(
    fitted: Callable[..., Optimum],
    data: Data,
    model: Model,
    template: PulsedDevice,
    limits: tuple[float, float],
    summary: Summary,
    hold: Mapping[str, float],
) -> Optimum:
    """What `fitted` finds with those bounds free that the ramps tell; hard bounds only where ramps stop at them."""
    reached = [
        name
        for name, stop, possible in (
            ("w_max", summary.stop_up, summary.stop_up > 0.0),
            ("w_min", summary.stop_down, summary.stop_down < 0.0),
        )
        if math.isfinite(stop) and possible
    ]
    if not model.hard:
        return _held_near(fitted, limits, hold)
    reached = [name for name in reached if name not in hold]
    while True:
        out = fitted(reached, hold)
        size = limits[1] - limits[0]
        # a bound that the data do not tell, or before which the step itself vanishes, is held; one at a time
        vague = [name for name in reached if not out.errors[name] < 0.1 * size]
        if not vague and model.vanishes:
            device = build_device(template, out.values)
            steps = {"w_max": device.step_up(device.w_max), "w_min": device.step_down(device.w_min)}
            vague = [name for name in reached if float(steps[name]) < 0.1 * device.dw_min]
        if not vague:
            break
        worst = max(vague, key=lambda name: out.errors[name])
        reached.remove(worst)
    for name in list(reached):  # a bound that explains no more than its absence was not reached
        less = fitted([other for other in reached if other != name], hold)
        if out.log_likelihood - less.log_likelihood < max(0.5 * math.log(data.n), 2.0):
            reached.remove(name)
            out = less
    return out


#: how far beyond the data a bound may lie that its model has steps vanish at, in ranges of the data
_FAR = 2.0


def _held_near(fitted: Callable[..., Optimum], limits: tuple[float, float], hold: Mapping[str, float]) -> Optimum:
    """A fit of a model whose steps vanish at its bounds: those that come out far from all data are held near them."""
    out = fitted([], hold)
    size = limits[1] - limits[0]
    edges = {"w_max": limits[1] + _FAR * size, "w_min": limits[0] - _FAR * size}
    notes: list[str] = []
    held: set[str] = set()
    while True:
        far = {
            name: abs(float(out.values[name]) - edge)
            for name, edge in edges.items()
            if name in out.problem.free and abs(float(out.values[name])) > abs(edge)
        }
        if not far:
            asked = tuple(note for note in out.notes if note.split()[0] not in held)
            return dataclasses.replace(out, notes=(*asked, *notes))
        name = max(far, key=lambda one: far[one])
        notes.append(
            f"{name} is held at {edges[name]:.4g}, two ranges of the data beyond them: they never came near it (it would be "
            f"{float(out.values[name]):.3g})"
        )
        held.add(name)
        hold = {**hold, name: edges[name]}
        out = max(fitted([], hold, out), fitted([], hold), key=lambda one: one.log_likelihood)


def _fit_free(
    data: Data,
    model: Model,
    template: PulsedDevice,
    limits: tuple[float, float],
    summary: Summary,
    reached: Sequence[str],
    hold: Mapping[str, float],
    first: Optimum | None = None,
) -> Optimum:
    free = free_names(model, data, reached, hold)
    held: dict[str, Any] = {**{k: v for k, v in model.fixed.items() if "[" in k}, **hold}
    notes: list[str] = [f"{name} is held at {value:g}, as asked" for name, value in hold.items()]
    if "up_down" not in free and "up_down" not in hold:
        held["up_down"] = 0.0
        notes.append("pulses of one sign only: up_down is held at 0, and dw_min is the step of that sign")
    for name, limit in (("w_max", max(limits[1], 1e-6)), ("w_min", min(limits[0], -1e-6))):
        if name not in free and name not in hold:
            held[name] = limit
            why = "no ramp stops at it" if model.hard else "there are no pulses towards it"
            notes.append(f"{name} is held at the edge of the data, {limit:.4g}: {why}")
    for name in model.shape:
        if name not in free and name not in hold:
            held[name] = model.starts[0][name]
            notes.append(f"{name} is held at {held[name]:g}: there are no pulses of that sign")
    unreached = frozenset(n for n in ("w_max", "w_min") if model.hard and n not in free and n not in hold)
    if first and "slow_noise" in first.problem.free:
        free += ("slow_noise", "slow_time")
    problem = Problem(data, model, template, free, held, unreached)
    best: tuple[dict[str, Any], float, bool] | None = None
    starts = [{**first.values, **hold}] if first else first_guess(problem, summary)
    if len(starts) > 1:  # the likeliest first
        with np.errstate(all="ignore"):
            far = np.nan_to_num(minus_log(problem.trace(starts)), nan=np.inf)
        starts = [starts[k] for k in np.argsort(far, kind="stable")]
    for start in starts:
        found = _maximise(problem, start)
        if best is None or found[1] > best[1]:
            best = found
        if found[2]:
            break
    assert best is not None
    values, log_likelihood, converged = best
    if not converged:
        notes.append(_UNSETTLED)
    errors = _errors(problem, values)
    return Optimum(problem, values, errors, log_likelihood, tuple(notes))


def _slow_start(white: Optimum) -> tuple[dict[str, Any], float]:
    """Values from which a fit with slow noise may start, by a coarse search, and their log-likelihood."""
    problem, values = white.problem, dict(white.values)
    summary = summarise(problem.data)
    fast = math.hypot(math.sqrt(2.0) * summary.read_noise, summary.relative_noise * float(np.median(np.abs(summary.step))))
    places = [
        {**curve, "dw_min_std": max(values["dw_min_std"] * less, 1e-3), "slow_noise": size * fast, "slow_time": time}
        for curve in (values, {**values, **first_guess(problem, summary)[0]})
        for size in (0.3, 1.0, 3.0)
        for time in (3.0, 10.0, 30.0, 100.0)
        for less in ((1.0, 0.3, 0.1) if "dw_min_std" in problem.free else (1.0,))
    ]
    with np.errstate(all="ignore"):
        found = np.nan_to_num(minus_log(problem.trace(places)), nan=np.inf)
    best = int(np.argmin(found))
    return places[best], -float(found[best])


def _with_slow_noise(white: Optimum) -> Optimum:
    """The fit of the same parameters with slow noise beside the other two."""
    problem = dataclasses.replace(white.problem, free=(*white.problem.free, "slow_noise", "slow_time"))
    values, log_likelihood, converged = _maximise(problem, _slow_start(white)[0])
    notes = [note for note in white.notes if note != _UNSETTLED]
    if not converged:
        notes.append(_UNSETTLED)
    return Optimum(problem, values, _errors(problem, values), log_likelihood, tuple(notes))
