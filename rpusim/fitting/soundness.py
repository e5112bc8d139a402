"""Whether a fitted device can be trained: symmetry points, states from which nothing leads back, the step of its range."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rpusim.devices.base import PulsedDevice
from rpusim.devices.step import ConstantStep

__all__ = []

#: steps below this part of the mean one lead nowhere in any training
_NO_STEP = 0.02


def step_within(device: PulsedDevice, low: float, high: float) -> float:
    """Mean size of a step, up and down, over states from `low` to `high`."""
    w = np.linspace(max(low, device.w_min), min(high, device.w_max), 201)
    return float(np.mean((np.abs(device.step_up(w)) + np.abs(device.step_down(w))) / 2.0))


def with_nominal_step(device: PulsedDevice, limits: tuple[float, float]) -> tuple[PulsedDevice, list[str]]:
    """The device with pulse trains that are scaled by the step within the range of the data, where its own says another."""
    own, within = device.granularity, step_within(device, *limits)
    middle = (limits[0] + limits[1]) / 2.0
    step = step_within(device, middle, middle)
    step = step if step > 0.1 * within else within
    if device.nominal_step is not None or not step > 1e-29 or 0.8 < own / step < 1.25:
        return device, []
    note = (
        f"pulse trains are scaled by {step:.3g}, the mean step in the middle of the data (nominal_step); the model itself has "
        f"{own:.3g}, which is elsewhere"
    )
    return device.replace(nominal_step=step), [note]


def faults(device: PulsedDevice, limits: tuple[float, float], error: float, both: bool) -> list[str]:
    """Why a device does not come back from where the data did, or is not known, in words.

    `error` is the relative standard error of its step in the middle of the data.
    """
    found = []
    within = step_within(device, *limits)
    if both:
        for name, away, back, bound in (
            ("w_max", "up", device.step_down, min(device.w_max, limits[1])),
            ("w_min", "down", device.step_up, max(device.w_min, limits[0])),
        ):
            end = getattr(device, name)
            near = abs(end - bound) <= 0.1 * (limits[1] - limits[0])
            step = float(back(end if near else bound))
            if not step > _NO_STEP * within:
                other = "down" if away == "up" else "up"
                found.append(f"it absorbs at {end if near else bound:.3g}, where {other} pulses have no effect")
        points = device.symmetry_points
        if points and not any(point.stable for point in points):
            where = ", ".join(f"{point.w:.3g}" for point in points)
            found.append(f"its only symmetry point{'s are repellers' if len(points) > 1 else ' is a repeller'} ({where})")
        size = limits[1] - limits[0]
        stable = [point.w for point in points if point.stable]
        if stable and not any(limits[0] - 0.025 * size <= w <= limits[1] + 0.025 * size for w in stable):
            found.append(f"its symmetry point {stable[0]:.3g} is outside of the data")
        found += [text for text in said_of_bounds(device, limits)]
    if not error < 1.0:
        found.append("its steps are known to no better than a factor of 3")
    return found


def said_of_symmetry(device: PulsedDevice, errors: Mapping[str, float]) -> list[str]:
    """The symmetry points and what they mean for references, where that is not as usual."""
    points = device.symmetry_points
    stable = [point.w for point in points if point.stable]
    if len(stable) == 1 and len(points) == 1:
        return []
    if points:
        text = ", ".join(f"{p.w:.3g} ({'stable' if p.stable else 'repeller'})" for p in points)
        if stable:
            return [f"symmetry points: {text}; {device.symmetry_point:.3g} is the one to which references are put"]
        return [f"symmetry points: {text}: none is stable, so that SHD, Tiki-Taka and zero-shifting have no reference"]
    if isinstance(device, ConstantStep) and abs(device.up_down) <= 2.0 * errors.get("up_down", math.inf):
        return []  # symmetric everywhere, as far as the data say
    middle = (device.w_max + device.w_min) / 2.0
    goes = "w_max" if float(device.step_up(middle)) > float(device.step_down(middle)) else "w_min"
    return [
        f"no symmetry point: pulses of both signs in turn lead to {goes}, so that SHD, Tiki-Taka and zero-shifting have no "
        f"reference"
    ]


def said_of_bounds(device: PulsedDevice, limits: tuple[float, float]) -> list[str]:
    """Bounds, and their middle, that lie far outside of the data."""
    size = limits[1] - limits[0]
    out = [
        f"its {name} = {getattr(device, name):.3g} is far outside of the data, which go from {limits[0]:.3g} to {limits[1]:.3g}"
        for name, beyond in (("w_max", device.w_max - limits[1]), ("w_min", limits[0] - device.w_min))
        if beyond > 0.99 * size
    ]
    return out
