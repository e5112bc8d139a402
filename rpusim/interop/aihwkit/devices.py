"""Devices, unit cells, drift."""

from __future__ import annotations

import math
from typing import Any

from rpusim import devices
from rpusim.devices import Device, Drift, PulsedDevice
from rpusim.interop.aihwkit.parts import Part
from rpusim.interop.aihwkit.reads import periphery, pulses

__all__ = ["CELLS", "DEVICES", "Choices", "device"]

COMMON = (
    "dw_min", "dw_min_dtod", "dw_min_dtod_log_normal", "dw_min_std", "up_down_dtod", "w_max", "w_max_dtod", "w_min",
    "w_min_dtod", "corrupt_devices_prob", "corrupt_devices_range", "enforce_consistency", "perfect_bias", "lifetime",
    "lifetime_dtod", "diffusion", "diffusion_dtod", "reset", "reset_dtod", "reset_std", "write_noise_std",
)  # fmt: skip
_SOFT = ("mult_noise",)
_POW = ("pow_gamma", "pow_gamma_dtod", "pow_up_down_dtod")
#: classes, and the settings of their own that have the same name and meaning here
PULSED: dict[str, tuple[type[PulsedDevice], tuple[str, ...]]] = {
    "ConstantStepDevice": (devices.ConstantStep, ()),
    "LinearStepDevice": (devices.LinearStep, (
        "gamma_up", "gamma_down", "gamma_up_dtod", "gamma_down_dtod", "allow_increasing", "mean_bound_reference", "mult_noise",
        "reverse_up", "reverse_down", "reverse_offset",
    )),
    "SoftBoundsDevice": (devices.SoftBounds, _SOFT),
    "SoftBoundsReferenceDevice": (devices.SoftBoundsReference, (
        "slope_up_dtod", "slope_down_dtod", "reference_mean", "reference_std", "subtract_symmetry_point", "mult_noise",
    )),
    "ExpStepDevice": (devices.ExpStep, (
        "A_up", "A_down", "gamma_up", "gamma_down", "a", "b", "dw_min_std_add", "dw_min_std_slope",
    )),
    "PowStepDevice": (devices.PowStep, _POW),
    "PowStepReferenceDevice": (devices.PowStepReference, (
        *_POW, "reference_mean", "reference_std", "subtract_symmetry_point",
    )),
    "PiecewiseStepDevice": (devices.PiecewiseStep, ("piecewise_up", "piecewise_down")),
}  # fmt: skip
CELLS = ("VectorUnitCell", "ReferenceUnitCell", "OneSidedUnitCell", "DifferenceUnitCell")
PLAIN = ("IdealDevice", "SoftBoundsPmaxDevice", *PULSED)
DEVICES = (*PLAIN, *CELLS)
_POLICIES = {"all": "all", "singlefixed": "fixed", "singlesequential": "sequential", "singlerandom": "random"}


class Choices:
    """What a configuration does not say: `batch_size` of counts in mini-batches, and whether steps scale trains as there.

    `by_transfers`: devices are updated by transfers, whose rows count as their mini-batch there.
    """

    def __init__(self, batch_size: int, same_granularity: bool, by_transfers: bool = False) -> None:
        self.batch_size, self.same_granularity, self.by_transfers = batch_size, same_granularity, by_transfers

    def period(self, part: Part, name: str, default: float, in_batches: bool) -> int:
        """A number of vectors, where it may be of mini-batches."""
        every = part.get(name, default)
        if every < 0:
            raise part.refusal(name, "at least 0 (periods that go by the size of the array)")
        in_batches = part.get("units_in_mbatch", in_batches)
        if self.by_transfers and every and not in_batches:
            raise part.refusal("units_in_mbatch", "True where devices are written by transfers")
        if self.by_transfers or not in_batches:
            return round(every)
        if every and self.batch_size == 1:
            part.note(f"{name} counts mini-batches there and vectors here; batch_size of from_config converts it")
        return math.ceil(every * self.batch_size)


def device(value: Any, path: str, notes: list[str], choices: Choices) -> Device:
    """Return the device of a part."""
    part = Part(value, path, DEVICES, notes)
    if part.kind in CELLS:
        return _cell(part, choices)
    if part.kind == "IdealDevice":
        part.only("diffusion", 0.0)
        part.only("lifetime", 0.0)
        part.get("reset_std")
        part.done()
        return devices.Ideal()
    if part.kind == "SoftBoundsPmaxDevice":
        return _soft_bounds_pmax(part)
    kind, own = PULSED[part.kind]
    fields = part.numbers(*COMMON, *own)
    for name in ("piecewise_up", "piecewise_down"):
        if name in fields:
            fields[name] = tuple(fields[name])
    if part.kind == "PowStepReferenceDevice" and part.has("n_estimation_steps"):
        fields["n_estimation_steps"] = max(0, part.get("n_estimation_steps"))
    u = part.get("up_down", 0.0)
    base = kind()
    if u:
        scale = 1.0 - abs(u) / 2.0
        fields["up_down"] = u / (2.0 - abs(u))
        _divided(part, fields, base, scale)
        if choices.same_granularity:
            fields["nominal_step"] = _granularity(part, kind, u)
        else:
            smaller = f"{fields['dw_min']:.6g}"
            part.note(f"up_down weakens one side there, so dw_min is {smaller}; trains are scaled by the mean of both steps")
    elif choices.same_granularity and kind is devices.ExpStep:
        fields["nominal_step"] = _granularity(part, kind, u)
    _asymmetric_exponents(part, fields, base)
    return _finished(part, kind, fields)


def _divided(part: Part, fields: dict[str, Any], base: Any, scale: float) -> None:
    """What is relative to a dw_min that is smaller here."""
    if fields.get("dw_min_dtod_log_normal"):
        raise part.refusal("up_down", "0 with dw_min_dtod_log_normal, whose gain is not that of both steps there")
    fields["dw_min"] = fields.get("dw_min", base.dw_min) * scale
    for name in ("dw_min_dtod", "up_down_dtod", "write_noise_std"):
        fields[name] = fields.get(name, getattr(base, name)) / scale


def _granularity(part: Part, kind: Any, u: float) -> float:
    """The step that scales trains there: dw_min, of exponential steps the down step at 0, of powers that of the middle."""
    base = kind()
    step = float(part.get("dw_min", base.dw_min))
    if kind is devices.ExpStep:
        a, gamma, b = (part.get(name, getattr(base, name)) for name in ("A_down", "gamma_down", "b"))
        down = step * (1.0 - max(u, 0.0)) * max(1.0 - a * math.exp(-gamma * b), 0.0)
        return down or step
    if "Pow" in part.kind:
        return step * 0.5 ** float(part.get("pow_gamma", 1.0))
    if kind is devices.PiecewiseStep:
        nodes = part.get("piecewise_up", (1.0,))
        return step * float(nodes[len(nodes) // 2])
    return step


def _asymmetric_exponents(part: Part, fields: dict[str, Any], base: Any) -> None:
    p = part.get("pow_up_down", 0.0) if "Pow" in part.kind else 0.0
    if p:
        scale = 1.0 - abs(p) / 2.0
        fields["pow_up_down"] = p / (2.0 - abs(p))
        fields["pow_gamma"] = fields.get("pow_gamma", base.pow_gamma) * scale
        for name in ("pow_gamma_dtod", "pow_up_down_dtod"):
            fields[name] = fields.get(name, getattr(base, name)) / scale
        part.note(f"pow_up_down lowers one exponent there, so pow_gamma is {fields['pow_gamma']:.6g}")


def _finished(part: Part, kind: Any, fields: dict[str, Any]) -> PulsedDevice:
    """Build a device, without settings that have no effect there and are refused here."""
    if not fields.get("corrupt_devices_prob"):
        fields.pop("corrupt_devices_range", None)
    for name in ("lifetime", "diffusion"):
        if not fields.get(name):
            fields.pop(f"{name}_dtod", None)
    if not fields.get("dw_min_dtod", 0.3):
        fields.pop("dw_min_dtod_log_normal", None)
    if not part.get("apply_write_noise_on_set", True) and fields.get("write_noise_std"):
        part.note("apply_write_noise_on_set is always on here: devices that are programmed are read with write noise")
    if fields.get("write_noise_std") == 0.0:
        fields.pop("write_noise_std")
    drifting = _drift(part)
    if drifting is not None:
        fields["drift"] = drifting
    if part.get("construction_seed", 0):
        part.note("construction_seed is not taken over: `rng` of what is built seeds everything")
    part.done()
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{part.path}: {error}") from None


def _drift(part: Part) -> Drift | None:
    value = part.get("drift")
    if value is None:
        return None
    inner = Part(value, f"{part.path}.drift", ("DriftParameter", "SimpleDriftParameter"), part.notes, "DriftParameter")
    fields = inner.numbers(
        "nu", "nu_dtod", "nu_std", "t_0", "reset_tol", "wg_ratio", "g_offset", "w_offset", "nu_k", "log_g0", "w_noise_std"
    )
    inner.done()
    if not any(fields.get(name) for name in ("nu", "nu_dtod", "nu_k", "w_noise_std")):
        return None
    inner.note("the clock of drift starts when a device is written; there at the first call after it")
    return Drift(**({"nu": 0.0} | fields))


def _soft_bounds_pmax(part: Part) -> PulsedDevice:
    for name in ("dw_min", "w_max", "w_min", "up_down"):
        part.only(name, None, 0.0) if name == "up_down" else part.only(name, None)
    fields = part.numbers(*(name for name in COMMON if name not in ("dw_min", "w_max", "w_min")), *_SOFT)
    for name in ("reverse_up", "reverse_down"):
        part.only(name, False)
    part.get("reverse_offset")
    shape = part.numbers("p_max", "alpha", "range_min", "range_max")
    part.note("p_max pulses lead from range_min to range_max as documented; there they overshoot")
    return _finished(part, lambda **rest: devices.SoftBoundsPmax(**shape, **rest), fields)


def _cell(part: Part, choices: Choices) -> Device:
    inner = part.get("unit_cell_devices") or []
    members = [device(one, f"{part.path}.unit_cell_devices[{k}]", part.notes, choices) for k, one in enumerate(inner)]
    pulsed = [one for one in members if isinstance(one, PulsedDevice)]
    least = 1 if part.kind != "ReferenceUnitCell" else 2
    if len(pulsed) != len(members) or len(pulsed) < least:
        raise part.refusal("unit_cell_devices", f"pulsed devices, at least {least}")
    if part.kind == "VectorUnitCell":
        return _vector_cell(part, pulsed, choices)
    if part.kind == "ReferenceUnitCell":
        part.only("update_policy", "SINGLE_FIXED", "SingleFixed")
        part.only("first_update_idx", 0)
        gammas = part.get("gamma_vec")
        if gammas and list(gammas) != [1.0, -1.0]:
            raise part.refusal("gamma_vec", "[1.0, -1.0]")
        part.done()
        return devices.ReferenceCell(pulsed[0], None if pulsed[1] == pulsed[0] else pulsed[1])
    part.only("copy_inverted", False)
    fields = part.numbers(refresh_upper="refresh_upper_thres", refresh_lower="refresh_lower_thres")
    every = choices.period(part, "refresh_every", 0, True)
    if part.has("refresh_forward"):
        fields["refresh_forward"] = periphery(part.get("refresh_forward"), f"{part.path}.refresh_forward", part.notes)
    if part.has("refresh_update"):
        fields["refresh_pulses"] = pulses(part.get("refresh_update"), f"{part.path}.refresh_update", part.notes)
    part.done()
    return devices.OneSidedCell(pulsed[0], refresh_every=every, **fields)


def _vector_cell(part: Part, pulsed: list[PulsedDevice], choices: Choices) -> Device:
    policy = part.one_of("update_policy", "ALL", _POLICIES)
    gammas = part.get("gamma_vec")
    first = int(part.get("first_update_idx", 0))
    if policy == "sequential" and len(pulsed) > 1:
        first = 1  # its round begins with the second
    part.done()
    if not choices.same_granularity and len({one.granularity for one in pulsed}) > 1:
        part.note("trains are scaled by each device's own step; there by the mean of all")
    return devices.VectorCell(
        tuple(pulsed),
        tuple(gammas) if gammas else None,
        policy,
        first if policy in ("fixed", "sequential") else 0,
        choices.same_granularity and len({one.granularity for one in pulsed}) > 1,
    )
