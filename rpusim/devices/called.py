"""Devices by name: models with their own defaults, and presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpusim._base.specification import from_dict
from rpusim._base.validation import instance
from rpusim.devices.base import Device

__all__ = ["MODELS", "device_called"]

#: models with the classes' defaults, 1200 states with the spreads of Gokmen and Vlasov (2016)
MODELS: dict[str, dict[str, Any]] = {
    "constant-step": {"type": "ConstantStep"},
    "linear-step": {"type": "LinearStep", "gamma_up": 0.5, "gamma_down": 0.5},
    "soft-bounds": {"type": "SoftBounds"},
    "ideal": {"type": "Ideal"},
}


def device_called(name: str, value: Any, models: Mapping[str, Device] | None = None) -> Device:
    """Return a device that is given, described by a dict, or called by the name of a model or of a preset.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    value : Device, dict or str
    models : mapping of str to Device, optional
        In place of `MODELS`.

    Examples
    --------
    >>> device_called("device", "soft-bounds")
    SoftBounds()
    """
    from rpusim.devices import presets

    if isinstance(value, str):
        known = MODELS if models is None else models
        if value in known:
            found: Any = known[value]
            return found if isinstance(found, Device) else from_dict(found)
        if value.replace("-", "_") in presets.names():
            return presets.get(value)
        raise ValueError(
            f"{name} must be one of {', '.join(known)}, a preset (`rpusim device --list`), or a device; got {value!r}"
        )
    if isinstance(value, dict) and "type" in value:
        value = from_dict(value)
    return instance(Device, "a device, or the name of one")(name, value)
