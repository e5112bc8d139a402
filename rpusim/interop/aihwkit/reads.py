"""Reads and pulses: IOParameters and UpdateParameters."""

from __future__ import annotations

import math
from typing import Any

from rpusim.interop.aihwkit.parts import Part
from rpusim.periphery.converters import ADC, DAC
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = ["IO", "UPDATES", "periphery", "pulses"]

IO = ("IOParameters",)
UPDATES = ("UpdateParameters",)
_NOISE = {
    "none": "none", "absmax": "abs_max", "max": "max", "constant": "constant", "averageabsmax": "average_abs_max",
    "averageabsmaxsinglevalue": "average_abs_max", "absmaxnpsum": "abs_max_np_sum",
}  # fmt: skip
_BOUND = {"none": "none", "iterative": "iterative", "iterativeworstcase": "iterative_worst_case"}
_SIGNS = {
    "ideal": "ideal", "onepass": "one_pass", "posnegseparate": "analog_sum", "posnegseparatedigitalsum": "digital_sum",
}  # fmt: skip
_LAWS = {"none": None, "additiveconstant": "additive", "pcmread": "sqrt"}
_PULSES = {
    "stochastic": "stochastic", "stochasticcompressed": "stochastic", "meancount": "mean_count",
    "deterministicimplicit": "deterministic_implicit",
}  # fmt: skip


def _bits(part: Part, name: str, default: float) -> int | None:
    """Bits of a resolution: a step relative to the whole range, or (above 1) a number of steps, 2^bits - 2."""
    res = part.get(name, default)
    if res <= 0.0:
        return None
    steps = res if res > 1.0 else 1.0 / res
    bits = math.log2(steps + 2.0)
    if abs(bits - round(bits)) > 1e-4 or not 2 <= round(bits) <= 24:
        raise part.refusal(name, "a resolution of 2^b - 2 steps (1/126 is 7 bits, 1/510 is 9), or at most 0")
    return round(bits)


def _bound(part: Part, name: str, default: float) -> float | None:
    value = part.get(name, default)
    return None if value <= 0.0 or math.isinf(value) else float(value)


def _dac(part: Part) -> DAC:
    bits, bound = _bits(part, "inp_res", 1 / 126), _bound(part, "inp_bound", 1.0)
    if bound is None and bits is not None:
        raise part.refusal("inp_bound", "above 0 where inp_res is, whose steps it sets")
    rounding = bool(part.get("inp_sto_round", False)) and bits is not None
    return DAC(bits, bound, part.get("inp_noise", 0.0), rounding, part.get("inp_asymmetry", 0.0))


def _adc(part: Part) -> ADC:
    bits, bound = _bits(part, "out_res", 1 / 510), _bound(part, "out_bound", 12.0)
    if bound is None and bits is not None:
        raise part.refusal("out_bound", "above 0 and finite where out_res is above 0, whose steps it sets")
    noise, nonlinearity = part.get("out_noise", 0.06), part.get("out_nonlinearity", 0.0)
    series = part.get("r_series", 0.0)
    slope = part.get("slope_calibration", 0.0)
    return ADC(
        bits,
        bound,
        noise,
        bool(part.get("out_sto_round", False)) and bits is not None,
        noise_spread=part.get("out_noise_std", 0.0) if noise else _idle(part, "out_noise_std"),
        asymmetry=part.get("out_asymmetry", 0.0),
        nonlinearity=nonlinearity,
        nonlinearity_spread=part.get("out_nonlinearity_std", 0.0) if nonlinearity else _idle(part, "out_nonlinearity_std"),
        slope_calibration=slope if nonlinearity or series else 0.0,
    )


def _idle(part: Part, *names: str) -> float:
    """Pass over settings that have no effect."""
    for name in names:
        part.get(name)
    return 0.0


def periphery(value: Any, path: str, notes: list[str], backward: bool = False) -> Periphery:
    """Return how an array is read, of IOParameters; `backward` reads have no bound management there."""
    part = Part(value, path, IO, notes, IO[0])
    signs = part.one_of("mv_type", "ONE_PASS", _SIGNS)
    scale = float(part.get("out_scale", 1.0))
    if part.get("is_perfect", False) or signs == "ideal":
        return Periphery.ideal().replace(out_scale=scale) if scale != 1.0 else Periphery.ideal()
    fields: dict[str, Any] = {"dac": _dac(part), "adc": _adc(part), "sign_handling": signs, "out_scale": scale}
    noise = fields["noise_management"] = part.one_of("noise_management", "ABS_MAX", _NOISE)
    bound = part.one_of("bound_management", "ITERATIVE", _BOUND)
    if backward or fields["adc"].bound is None:
        bound = "none"
    fields["bound_management"] = bound
    threshold = part.get("nm_thres", 0.0)
    if threshold > 0.0 and noise not in ("none", "average_abs_max"):
        fields["nm_threshold"] = threshold
    if noise == "average_abs_max":
        part.note("the running mean of each direction is its own, and stands still outside training; there it is shared")
        fields |= part.numbers("nm_decay")
    if noise == "abs_max_np_sum" or bound == "iterative_worst_case":
        fields |= part.numbers("nm_assumed_wmax")
    if bound != "none":
        fields |= part.numbers(bm_max_factor="max_bm_factor", bm_max_resolution="max_bm_res")
        if not part.get("bm_test_negative_bound", True):
            fields["bm_test_negative_bound"] = False
            part.note("bm_test_negative_bound=False also forgets outputs above the bound there; here it does not")
    if signs != "one_pass":
        fields |= part.numbers(read_asymmetry_spread="w_read_asymmetry_dtod")
    _analog(part, fields)
    for name in ("nm_decay", "nm_assumed_wmax", "max_bm_factor", "max_bm_res", "bm_test_negative_bound", "nm_thres",
                 "w_read_asymmetry_dtod"):  # fmt: skip
        part.get(name)
    for name in ("v_offset_vec", "out_nonlinearity_vec"):
        if part.has(name) and len(part.get(name)):
            raise part.refusal(name, "empty")
    part.done()
    return Periphery(**fields)


def _analog(part: Part, fields: dict[str, Any]) -> None:
    """Noise of devices, wires, sources."""
    law, size = part.one_of("w_noise_type", "NONE", _LAWS), part.get("w_noise", 0.0)
    if law is not None and size:
        fields |= {"read_noise": size, "read_noise_law": law}
    drop = part.get("ir_drop", 0.0)
    ratio = part.numbers(ir_drop_g_ratio="ir_drop_g_ratio")
    if drop:
        fields |= {"ir_drop": drop, **ratio}
    offset, series = part.get("v_offset_std", 0.0), part.get("r_series", 0.0)
    w_min, most = part.get("v_offset_w_min", -1.0), part.get("r_series_max_total", math.inf)
    if offset or series:
        fields |= {"voltage_offset": offset, "voltage_offset_w_min": w_min, "series_resistance": series}
        if series and not math.isinf(most):
            fields["series_resistance_max"] = most


def pulses(value: Any, path: str, notes: list[str], **instead: Any) -> PulseScheme:
    """Return how an array is written, of UpdateParameters; `instead` are defaults of its place."""
    part = Part(value, path, UPDATES, notes, UPDATES[0])
    fields = part.numbers("desired_bl", "fixed_bl", "update_management", "update_bl_management", "um_grad_scale")
    if part.is_dict:
        fields = instead | fields
    fields["pulse_type"] = part.one_of("pulse_type", "STOCHASTIC_COMPRESSED", _PULSES)
    if fields.get("update_bl_management", True):
        fields["update_management"] = True
    if not fields.get("update_management", True):
        fields.pop("um_grad_scale", None)
    for name in ("res", "x_res_implicit", "d_res_implicit"):
        if part.get(name, 0.0) > 0.0:
            raise part.refusal(name, "0: probabilities are not rounded")
    for name in ("sto_round", "d_sparsity"):
        part.get(name)
    part.done()
    return PulseScheme(**fields)
