"""What each device model has to be fitted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rpusim.devices.base import PulsedDevice
from rpusim.devices.nonlinear import ExpStep, PiecewiseStep, PowStep
from rpusim.devices.step import ConstantStep, LinearStep, SoftBounds

__all__ = []


@dataclass(frozen=True)
class Transform:
    """A monotone map from an unbounded number to a parameter."""

    forward: Callable[[float], float]
    inverse: Callable[[float], float]


_REAL = Transform(float, float)


_POSITIVE = Transform(lambda t: math.exp(min(t, 60.0)), lambda x: math.log(max(x, 1e-26)))


# where specifications end
_UP_TO_20 = Transform(lambda t: min(math.exp(min(t, 60.0)), 20.0), _POSITIVE.inverse)
_UP_TO_60 = Transform(lambda t: min(math.exp(min(t, 60.0)), 60.0), _POSITIVE.inverse)


_NEGATIVE = Transform(lambda t: -math.exp(min(t, 60.0)), lambda x: math.log(max(-x, 1e-26)))


_UNIT = Transform(math.tanh, lambda x: math.atanh(min(max(x, -0.999999), 0.999999)))


COMMON: dict[str, Transform] = {
    "dw_min": _POSITIVE,
    "up_down": _UNIT,
    "w_max": _POSITIVE,
    "w_min": _NEGATIVE,
    "dw_min_std": _POSITIVE,
    "read_noise": _POSITIVE,
    "slow_noise": _POSITIVE,
    "slow_time": _POSITIVE,  # up to a multiple of the longest ramp: see _Problem.transform
}


#: standard deviations, about whose squares the information is asked: near zero those have a normal error
NOISES = ("dw_min_std", "read_noise", "slow_noise")


@dataclass(frozen=True)
class Model:
    """What the fit has to know of a device model.

    `shape` names the parameters that only this model has, "name[i]" for an entry of a list; `starts` are their values from
    which the fit begins, several to try several. `hard`: the bounds only clip, so they show only where a ramp stops at them;
    `vanishes`: a ramp may also stop where the step becomes 0 before it. `fixed` are values that stay.
    """

    cls: type[PulsedDevice]
    shape: Mapping[str, Transform] = dataclasses.field(default_factory=dict)
    starts: tuple[Mapping[str, float], ...] = ({},)
    hard: bool = True
    vanishes: bool = False
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)


#: nodes of a fitted table; the one in the middle is held at 1, so that dw_min and up_down are the steps there
_N_NODES = 5


_CENTRE = _N_NODES // 2


_TABLE = [f"piecewise_{side}[{k}]" for side in ("up", "down") for k in range(_N_NODES) if k != _CENTRE]


MODELS: dict[str, Model] = {
    "ConstantStep": Model(ConstantStep),
    "LinearStep": Model(
        LinearStep,
        {"gamma_up": _REAL, "gamma_down": _REAL},
        ({"gamma_up": 0.3, "gamma_down": 0.3},),
        fixed={"allow_increasing": True},
    ),
    "SoftBounds": Model(SoftBounds, hard=False),
    "ExpStep": Model(
        ExpStep,
        {"A_up": _POSITIVE, "A_down": _POSITIVE, "gamma_up": _UP_TO_60, "gamma_down": _UP_TO_60},
        (
            {"A_up": 0.1, "A_down": 0.1, "gamma_up": 3.0, "gamma_down": 3.0},
            {"A_up": 0.4, "A_down": 0.4, "gamma_up": 1.0, "gamma_down": 1.0},
        ),
        vanishes=True,
        fixed={"a": 1.0, "b": 0.0},
    ),
    "PowStep": Model(
        PowStep,
        {"pow_gamma": _UP_TO_20, "pow_up_down": _UNIT},
        ({"pow_gamma": 1.0, "pow_up_down": 0.0}, {"pow_gamma": 2.0, "pow_up_down": 0.0}),
        hard=False,
    ),
    "PiecewiseStep": Model(
        PiecewiseStep,
        dict.fromkeys(_TABLE, _POSITIVE),
        (dict.fromkeys(_TABLE, 1.0),),
        fixed={f"piecewise_up[{_CENTRE}]": 1.0, f"piecewise_down[{_CENTRE}]": 1.0},
    ),
}


def build_device(template: PulsedDevice, values: Mapping[str, Any]) -> PulsedDevice:
    """The device without spreads that has `values`; "name[i]" are gathered to lists, what is no field is left out."""
    fields = {f.name for f in dataclasses.fields(template)}
    changes: dict[str, Any] = {}
    for name, value in values.items():
        base, _, index = name.partition("[")
        if index:
            changes.setdefault(base, {})[int(index[:-1])] = value
        elif name in fields:
            changes[name] = value
    for name, value in changes.items():
        if isinstance(value, dict):
            changes[name] = tuple(value[k] for k in sorted(value))
    return template.replace(**changes)


def template_of(model: Model, given: PulsedDevice | None) -> PulsedDevice:
    """A device of the model without spreads, with the fields of `given` where the fit does not set them."""
    device = model.cls() if given is None else given
    none: dict[str, Any] = {f.name: 0.0 for f in dataclasses.fields(device) if f.name.endswith("_dtod")}
    fixed = {k: v for k, v in model.fixed.items() if "[" not in k}
    return device.replace(**{**none, "dw_min_dtod_log_normal": False, **fixed})
