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
from collections.abc import Mapping
from typing import Any

import numpy as np

from rpusim._base.progress import progress_bar
from rpusim._base.validation import boolean, choice, real
from rpusim.devices.base import PulsedDevice
from rpusim.devices.step import LinearStep
from rpusim.fitting.data import as_ramps, packed
from rpusim.fitting.models import COMMON, MODELS, NOISES, build_device, template_of
from rpusim.fitting.one import fit_model
from rpusim.fitting.population import fit_population
from rpusim.fitting.result import FitResult, ModelScore, r_squared

__all__ = ["fit"]


def _models(model: Any) -> list[tuple[str, PulsedDevice | None]]:
    """Names of the models to try, with the device whose other fields are kept where one was given."""
    known = ", ".join(MODELS)
    if model is None or (isinstance(model, str) and model == "best"):
        return [(name, None) for name in MODELS]
    if isinstance(model, (list, tuple)):
        if not model:
            raise ValueError("model must name at least one model; got an empty sequence")
        return [pair for one in model for pair in _models(one)]
    if isinstance(model, str) and model in MODELS:
        return [(model, None)]
    if isinstance(model, type) and model.__name__ in MODELS:
        return [(model.__name__, None)]
    if isinstance(model, PulsedDevice) and type(model).__name__ in MODELS:
        return [(type(model).__name__, model)]
    raise ValueError(f"model must be one of {known}, such a class or device, a list of them, None or 'best'; got {model!r}")


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
        Whether to show a progress bar over models and devices; none is shown if stderr is no terminal. Ramps of thousands of
        values take tens of seconds per model.

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
    ...     array.program(np.full((1, 5), -0.9 * sign))
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
    up, up_device = as_ramps("pulses_up", pulses_up)
    down, down_device = as_ramps("pulses_down", pulses_down)
    if not up and not down:
        raise ValueError("pulses_up and pulses_down must hold at least one ramp; got none")
    everything = np.concatenate([*up, *down])
    bounds = [float(np.nanmin(everything)), float(np.nanmax(everything))]
    for k, (name, given) in enumerate((("g_min", g_min), ("g_max", g_max))):
        if given is not None:
            bounds[k] = real()(name, given)
    if not bounds[0] < bounds[1]:
        raise ValueError(f"g_max must be above g_min, and ramps must not be constant; got {bounds[1]:g} and {bounds[0]:g}")
    offset, slope = (bounds[0] + bounds[1]) / 2.0, (bounds[1] - bounds[0]) / 2.0
    up, down = [(r - offset) / slope for r in up], [(r - offset) / slope for r in down]
    labels = sorted({*up_device, *down_device})
    number = {label: k for k, label in enumerate(labels)}
    data = packed(up, down, [number[k] for k in up_device], [number[k] for k in down_device])
    limits = float(np.nanmin(data.y)), float(np.nanmax(data.y))
    if limits[1] <= 0.0 or limits[0] >= 0.0:
        raise ValueError(f"g_min and g_max must have their mean within the measured range; got {bounds[0]:g}, {bounds[1]:g}")
    kept = dict(hold or {})
    for name, value in kept.items():
        allowed = {n for m, _ in chosen for n in (*COMMON, *MODELS[m].shape)}
        if name not in allowed:
            raise ValueError(f"hold must have names among {', '.join(sorted(allowed))}; got {name!r}")
        least = real(0.0, open_low=name == "slow_time") if name in (*NOISES, "slow_time") else real()
        kept[name] = least(f"hold[{name!r}]", value)
    if ("slow_time" in kept) != (kept.get("slow_noise", 0.0) != 0.0):
        raise ValueError(f"hold must name slow_noise and slow_time together, or slow_noise=0; got {', '.join(kept)}")

    parts = [data.of_device(k) for k in range(len(labels))]
    outcomes: list[tuple[ModelScore, PulsedDevice, dict[str, float], dict[str, float], list[str]]] = []
    hidden = None if boolean("progress", progress) else True
    bar = progress_bar(total=len(chosen) * len(parts), desc="fit", unit=" fits", dynamic_ncols=True, disable=hidden)
    for name, kept_device in chosen:
        spec = MODELS[name]
        bar.set_postfix_str(name)
        own = {k: v for k, v in kept.items() if k in COMMON or k in spec.shape}
        template = template_of(spec, kept_device)
        fits, slow = [], []
        for part in parts:
            white, other = fit_model(part, spec, template, limits, own)
            fits.append(white)
            slow += [other] if other else []
            bar.update()
        if len(slow) == len(fits):  # slow noise for all devices, or for none
            more = sum(len(b.problem.free) - len(a.problem.free) for a, b in zip(fits, slow, strict=True))
            gain = 2.0 * sum(b.log_likelihood - a.log_likelihood for a, b in zip(fits, slow, strict=True))
            if gain > more * (2.0 if criterion == "aic" else math.log(data.n)):
                fits = slow
        if len(fits) == 1:
            values, errors, notes = dict(fits[0].values), fits[0].errors, list(fits[0].notes)
            spreads: dict[str, float] = {}
        else:
            values, errors, spreads, notes = fit_population(fits)
        device = build_device(template, {**values, **spreads})
        if isinstance(device, LinearStep) and min(device.gamma_up, device.gamma_down) >= 0.0:
            device = device.replace(allow_increasing=False)
        k = sum(len(f.problem.free) for f in fits)
        log_likelihood = sum(f.log_likelihood for f in fits)
        score = ModelScore(
            name,
            k,
            log_likelihood,
            2 * k - 2 * log_likelihood,
            k * math.log(data.n) - 2 * log_likelihood,
            *r_squared(device, up, down),
        )
        fitted = {n: float(v) for n, v in {**values, **spreads}.items() if n in errors}
        for n in errors:
            if not math.isfinite(errors[n]):
                notes.append(f"{n} is not told by these ramps")
        noises: dict[str, float] = {n: float(values[n]) for n in ("read_noise", "slow_noise", "slow_time") if n in values}
        if noises.get("slow_noise") == 0.0:
            noises.pop("slow_time", None)
        outcomes.append((score, device, {**fitted, **noises}, errors, notes))
    bar.close()
    outcomes.sort(key=lambda one: getattr(one[0], criterion))
    score, device, fitted, errors, notes = outcomes[0]
    return FitResult(
        device=device,
        values=fitted,
        standard_errors=errors,
        notes=tuple(notes),
        read_noise=fitted["read_noise"],
        slow_noise=fitted.get("slow_noise", 0.0),
        slow_time=fitted.get("slow_time", math.nan),
        offset=offset,
        slope=slope,
        unit=unit,
        score=score,
        comparison=tuple(o[0] for o in outcomes),
        criterion=criterion,
        n_values=data.n,
        n_ramps=data.y.shape[1],
        n_devices=len(labels),
        up=tuple(up),
        down=tuple(down),
    )
