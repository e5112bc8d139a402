"""Whole configurations, and any part of one."""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any, NamedTuple

from rpusim import inference, nn
from rpusim._base.citing import cite
from rpusim._base.notebook import as_html
from rpusim._base.validation import boolean, integer_value, shown
from rpusim.algorithms import SGD, Algorithm, DigitalSGD
from rpusim.interop.aihwkit import inference as chips
from rpusim.interop.aihwkit.compounds import COMPOUNDS, compound
from rpusim.interop.aihwkit.devices import DEVICES, Choices, device
from rpusim.interop.aihwkit.parts import Part
from rpusim.interop.aihwkit.reads import IO, UPDATES, periphery, pulses

__all__ = ["Configuration", "Translated", "from_config"]

TRAINING = ("SingleRPUConfig", "UnitCellRPUConfig", "DigitalRankUpdateRPUConfig", "FloatingPointRPUConfig")
INFERENCE = ("InferenceRPUConfig", "TorchInferenceRPUConfig")
#: presets of the reference that differ from a configuration by their name only
_FLOATING = ("FloatingPointDevice",)


@dataclass(frozen=True)
class Configuration:
    """A whole configuration.

    Attributes
    ----------
    algorithm : Algorithm
        What layers are made with; of inference a `HardwareAware`.
    mapping : nn.Mapping
        How matrices are put on arrays.
    chip : Chip or None
        Of inference, what trained networks are programmed onto.

    Examples
    --------
    >>> import rpusim as rpu
    >>> found = rpu.interop.aihwkit.from_config({"class": "SingleRPUConfig", "device": {"class": "ConstantStepDevice"}})
    >>> type(found.value).__name__, found.value.algorithm
    ('Configuration', SGD(forward=Periphery(), backward=Periphery(bound_management='none')))
    """

    algorithm: Algorithm
    mapping: nn.Mapping
    chip: inference.Chip | None = None

    _repr_html_ = as_html


class Translated(NamedTuple):
    """What `from_config` made: a specification or a `Configuration`, and notes on what differs on purpose.

    Examples
    --------
    >>> import rpusim as rpu
    >>> found = rpu.interop.aihwkit.from_config({"class": "SoftBoundsDevice", "up_down": 0.1})
    >>> round(found.value.up_down, 4), len(found.notes) > 0
    (0.0526, True)
    """

    value: Any
    notes: tuple[str, ...]


def from_config(config: Any, *, batch_size: int = 1, same_granularity: bool = False) -> Translated:
    """Return what a configuration of AIHWKit, or a part of one, is here.

    Parameters
    ----------
    config : object, dict or str
        A configuration, device, unit cell, compound, IOParameters, UpdateParameters, WeightModifierParameter,
        WeightClipParameter, noise model or drift compensation: an object of its classes (or of classes of these names), a
        dict with the name of the class under "class", or JSON text of one. What a dict does not say is at its default.
    batch_size : int, default 1
        Vectors of a mini-batch, for periods that count mini-batches there and vectors here.
    same_granularity : bool, default False
        Scale pulse trains by the steps that AIHWKit takes, also where these are a quirk of it: the mean over the devices of a
        cell or compound, the down step of exponential devices, dw_min of devices with an up_down; and transfer in mixed
        precision as late as it does. For comparisons with its results.

    Returns
    -------
    Translated
        `value`: a Device, Algorithm, Periphery, PulseScheme, tuple of Modifier, Clip, Compensation, (NoiseModel, Converter) or
        `Configuration`; and `notes`.

    Raises
    ------
    ValueError
        If something has no counterpart here; the message names it.

    Examples
    --------
    >>> from rpusim.interop.aihwkit import from_config
    >>> value, notes = from_config({"class": "SoftBoundsDevice", "dw_min": 0.01, "up_down": 0.2, "up_down_dtod": 0.0})
    >>> round(value.dw_min, 3), round(value.up_down, 4), len(notes)
    (0.009, 0.1111, 1)
    """
    cite("rasch2021")
    choices = Choices(integer_value("batch_size", batch_size, 1), boolean("same_granularity", same_granularity))
    if isinstance(config, (str, bytes)):
        config = json.loads(config)
    notes: list[str] = []
    readers: dict[tuple[str, ...], Any] = {
        DEVICES: lambda: device(config, "config", notes, choices),
        COMPOUNDS: lambda: _alone(config, notes, choices),
        IO: lambda: periphery(config, "config", notes),
        UPDATES: lambda: pulses(config, "config", notes),
        chips.MODIFIERS: lambda: chips.modifiers(config, "config", notes),
        chips.CLIPS: lambda: chips.clip(config, "config", notes),
        chips.MODELS: lambda: chips.model(config, "config", notes),
        tuple(chips.COMPENSATIONS): lambda: chips.compensation(config, "config", notes),
        (*TRAINING, *INFERENCE): lambda: _whole(config, notes, choices),
    }
    names = [config.get("class")] if isinstance(config, MappingType) else [kind.__name__ for kind in type(config).__mro__]
    for kinds, read in readers.items():
        if any(name in kinds for name in names):
            return Translated(read(), tuple(notes))
    known = sorted(name for kinds in readers for name in kinds)
    raise ValueError(f"config must be one of {', '.join(known)}; got {shown(names[0])}")


def _alone(config: Any, notes: list[str], choices: Choices) -> Algorithm:
    reads = {"forward": periphery({}, "forward", notes), "backward": None, "pulses": pulses({}, "update", notes)}
    return compound(Part(config, "config", COMPOUNDS, notes), reads, choices)


def _whole(config: Any, notes: list[str], choices: Choices) -> Configuration:
    part = Part(config, "config", (*TRAINING, *INFERENCE), notes)
    mapping = _mapping(part)
    if part.kind in INFERENCE:
        return _inference(part, mapping)
    forward = periphery(part.get("forward", {}), "config.forward", notes)
    reads: dict[str, Any] = {
        "forward": forward,
        "backward": periphery(part.get("backward", {}), "config.backward", notes, backward=True),
        "pulses": pulses(part.get("update", {}), "config.update", notes),
    }
    _ignore(part)
    inner = part.get("device", {"class": "FloatingPointDevice" if part.kind.startswith("Floating") else "ConstantStepDevice"})
    part.done()
    found = Part(inner, "config.device", (*_FLOATING, *COMPOUNDS, *DEVICES), notes)
    if found.kind in _FLOATING:
        for name in ("diffusion", "lifetime"):
            found.only(name, 0.0)
        return Configuration(DigitalSGD(), mapping)
    if found.kind in COMPOUNDS:
        return Configuration(compound(found, reads, choices), mapping)
    return Configuration(SGD(device(inner, "config.device", notes, choices), **reads), mapping)


def _ignore(part: Part) -> None:
    """Settings of how there things run."""
    for name in ("runtime", "tile_class", "tile_array_class", "simulator_tile_class", "pre_post", "legacy_params"):
        part.get(name)


def _mapping(part: Part) -> nn.Mapping:
    inner = Part(part.get("mapping", {}), f"{part.path}.mapping", ("MappingParameter",
                 "MappableRPU"), part.notes, "MappingParameter")  # fmt: skip
    inner.only("weight_scaling_lr_compensation", False)
    omega, by_row = inner.get("weight_scaling_omega", 0.0), bool(inner.get("weight_scaling_columnwise", False))
    learn, learn_by_row = bool(inner.get("learn_out_scaling", False)), bool(inner.get("out_scaling_columnwise", False))
    if omega > 0.0 and learn and by_row != learn_by_row:
        raise inner.refusal("out_scaling_columnwise", "as weight_scaling_columnwise where both scales are used")
    fields: dict[str, Any] = {
        "max_inputs": inner.get("max_input_size", 512) or None,
        "max_outputs": inner.get("max_output_size", 512) or None,
        "digital_bias": bool(inner.get("digital_bias", True)),
        "weight_scaling": omega if omega > 0.0 else None,
        "scale_by_output": (omega > 0.0 and by_row) or (learn and learn_by_row),
        "learn_scale": learn,
    }
    inner.done()
    values = part.get("pre_post")
    if values is not None:
        outer = Part(values, f"{part.path}.pre_post", ("PrePostProcessingParameter",), part.notes, "PrePostProcessingParameter")
        fields |= _input_range(outer)
        outer.done()
    return nn.Mapping(**fields)


def _input_range(outer: Part) -> dict[str, Any]:
    values = outer.get("input_range", {})
    kind = "InputRangeParameter"
    part = Part(values, f"{outer.path}.input_range", (kind,), outer.notes, kind)
    names = ("init_from_data", "init_std_alpha", "input_min_percentage", "output_min_percentage", "gradient_scale",
             "gradient_relative", "manage_output_clipping", "learn_input_range", "init_value", "decay",
             "calibration_info")  # fmt: skip
    if not part.get("enable", False):
        for name in names:
            part.get(name)
        part.done()
        return {}
    part.only("manage_output_clipping", False)
    part.only("gradient_scale", 1.0)
    part.only("gradient_relative", True)
    part.only("input_min_percentage", 0.95)
    fields: dict[str, Any] = {"input_range": float(part.get("init_value", 3.0))}
    if part.get("learn_input_range", True):
        fields |= {"learn_input_range": True, "input_range_decay": float(part.get("decay", 0.001))}
    if part.get("init_from_data", 100):
        part.note("ranges begin at init_value; `Sequential.calibrate_input_ranges` finds them from data")
    for name in names:
        part.get(name)
    part.done()
    return fields


def _inference(part: Part, mapping: nn.Mapping) -> Configuration:
    notes, path = part.notes, part.path
    forward = periphery(part.get("forward", {}), f"{path}.forward", notes)
    model, converter = chips.model(part.get("noise_model", {}), f"{path}.noise_model", notes)
    default = {"class": "GlobalDriftCompensation"}
    compensation = chips.compensation(part.get("drift_compensation", default), f"{path}.drift_compensation", notes)
    remap = Part(part.get("remap", {}), f"{path}.remap", ("WeightRemapParameter",), notes, "WeightRemapParameter")
    scale = remap.one_of("type", "NONE", {"none": "array", "layerwisesymmetric": "array", "channelwisesymmetric": "row"})
    for name in ("remapped_wmax", "max_scale_range", "max_scale_ref"):
        remap.get(name)
    remap.done()
    static = mapping.input_range is not None
    chip_forward = forward
    if static and forward.noise_management == "constant" and forward.nm_threshold in (None, 1.0):
        chip_forward = forward = forward.replace(noise_management="none", nm_threshold=None)
    algorithm = inference.HardwareAware(
        chips.modifiers(part.get("modifier", {}), f"{path}.modifier", notes),
        chips.clip(part.get("clip", {}), f"{path}.clip", notes),
        forward,
        scale="row" if forward.is_ideal else scale,
    )
    part.note("rows are normalised when they are read (scale), not by writing weights anew after every step (remap)")
    chip = inference.Chip(
        model,
        converter.replace(scale=scale),
        chip_forward,
        compensation,
        max_inputs=mapping.max_inputs,
        max_outputs=mapping.max_outputs,
        digital_bias=mapping.digital_bias,
        input_range="static" if static else "dynamic",
    )
    for name in ("update", "device", "backward"):
        part.get(name)
    _ignore(part)
    part.done()
    return Configuration(algorithm, mapping, chip)
