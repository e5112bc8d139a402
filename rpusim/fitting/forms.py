"""The laws of the models that are fitted, in the few forms in which compiled loops run them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rpusim.devices.base import PulsedDevice
from rpusim.devices.nonlinear import ExpStep, PiecewiseStep, PowStep
from rpusim.fitting import _filter
from rpusim.fitting.ramps import Array

__all__ = []


def form_of(devices: Sequence[PulsedDevice], parameters: Sequence[dict[str, float]]) -> tuple[str, Array]:
    """The form of the mean steps of these devices, all of one model, and its numbers for up and for down steps.

    `parameters` are the mean parameters of each; the numbers have the shape (devices, 2, numbers), and mean what
    `_filter.pyx` says. `tests/fitting/test_filter.py` compares them with `steps_of`.
    """
    p = {name: np.array([one[name] for one in parameters]) for name in parameters[0]}
    steps, ends = (p["step_up"], p["step_down"]), (p["w_min"], p["w_max"])
    span = ends[1] - ends[0]
    first = devices[0]
    sides: list[tuple[Array, ...]]
    if isinstance(first, PiecewiseStep):
        tables = (np.array([getattr(d, name) for d in devices]).T for name in ("piecewise_up", "piecewise_down"))
        form, sides = "table", [(*ends, *(step * table)) for step, table in zip(steps, tables, strict=True)]
    elif isinstance(first, ExpStep):
        names = ("A_up", "A_down", "gamma_up", "gamma_down", "a", "b")
        q = {name: np.array([getattr(d, name) for d in devices]) for name in names}
        rates = q["gamma_up"], -q["gamma_down"]
        weights = q["A_up"], q["A_down"]
        form = "exponential"
        sides = [(s, w, r * 2.0 * q["a"] / span, r * q["b"]) for s, w, r in zip(steps, weights, rates, strict=True)]
    elif isinstance(first, PowStep):
        ahead = (ends[1] / span, -1.0 / span), (-ends[0] / span, 1.0 / span)
        form, sides = "power", [(s, *a, p[f"gamma_{side}"]) for s, a, side in zip(steps, ahead, ("up", "down"), strict=True)]
    else:
        columns = {name: value[:, None] for name, value in p.items()}
        form, sides = "affine", [(y[:, 0], y[:, 1] - y[:, 0]) for y in first.steps_of(columns, np.array([0.0, 1.0]))]
    return form, np.stack([np.stack(numbers, axis=-1) for numbers in sides], axis=1)


def response(device: PulsedDevice, start: float, direction: float, values: int) -> Array:
    """States from `start` on under pulses of one direction, without any noise."""
    form, numbers = form_of([device], [device.mean_parameters()])
    return _filter.respond(form, numbers[0, 0 if direction > 0 else 1], direction, start, device.w_min, device.w_max, values)
