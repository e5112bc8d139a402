"""Inference: noise models, converters, compensation, modifiers, clips."""

from __future__ import annotations

from typing import Any

from rpusim import inference
from rpusim.inference import Clip, Compensation, Modifier
from rpusim.interop.aihwkit.parts import Part

__all__ = ["CLIPS", "COMPENSATIONS", "CONVERTERS", "MODIFIERS", "MODELS", "clip", "compensation", "model", "modifiers"]

MODIFIERS = ("WeightModifierParameter",)
CLIPS = ("WeightClipParameter",)
CONVERTERS = (
    "SinglePairConductanceConverter", "DualPairConductanceConverter", "NPairConductanceConverter",
    "SingleDeviceConductanceConverter", "FusionConductanceConverter", "CustomPairConductanceConverter",
)  # fmt: skip
MODELS = (
    "PCMLikeNoiseModel", "CustomDriftPCMLikeNoiseModel", "StateIndependentNoiseModel", "HermesNoiseModel",
    "ReRamWan2022NoiseModel", "ReRamCMONoiseModel",
)  # fmt: skip
COMPENSATIONS = {
    "GlobalDriftCompensation": Compensation(probe="identity", estimator="ratio"),
    "GlobalDriftCompensationWithExactReference": Compensation(probe="identity", estimator="ratio", reference="exact"),
    "PerColumnDriftCompensation": Compensation("column", probe="identity", estimator="ratio"),
}
_PCM = [0.26348, 1.9650, -1.1731]


def _siemens(micro: float) -> float:
    """Microsiemens in siemens, as one would write them."""
    return float(f"{micro * 1e-6:.12g}")


def compensation(value: Any, path: str, notes: list[str]) -> Compensation | None:
    """Return the compensation of drift, or None."""
    return None if value is None else COMPENSATIONS[Part(value, path, COMPENSATIONS, notes).kind]


def _converter(value: Any, path: str, notes: list[str], g_max: float | None) -> inference.Converter:
    """Return how weights are conductances; there one scale holds for a whole array."""
    if value is None:
        return inference.DifferentialPair(g_max_s=25e-6 if g_max is None else _siemens(g_max), scale="array")
    part = Part(value, path, CONVERTERS, notes)
    fields: dict[str, Any] = {"scale": "array"}
    single = part.kind == "SingleDeviceConductanceConverter"
    if part.kind != "CustomPairConductanceConverter":
        low, high = (9.0, 88.199997) if single else (10.0, 40.0) if part.kind.startswith("Fusion") else (0.0, 25.0)
        fields |= {"g_min_s": _siemens(part.get("g_min", low)), "g_max_s": _siemens(part.get("g_max", g_max or high))}
    if single:
        part.done()
        return inference.SingleDevice(**fields)
    if part.kind == "SinglePairConductanceConverter":
        part.done()
        return inference.DifferentialPair(**fields)
    if part.kind == "FusionConductanceConverter":
        part.note("a linear regression of every row makes up for errors there; here nothing does")
        part.done()
        return inference.Signed(**(fields | {"scale": "row"}))
    significance = tuple(float(f) for f in part.get("f_lst", [1.0, 1.0] if part.kind.startswith("Dual") else [1.0]))
    if part.kind != "CustomPairConductanceConverter":
        part.done()
        return inference.Pairs(significance=significance, **fields)
    tables = [tuple(_siemens(g) for g in table) for table in part.get("g_lst")]
    part.done()
    return inference.TablePair(
        plus=tuple(tables[::2]),
        minus=tuple(tables[1::2]),
        significance=significance,
        g_max_s=max(map(max, tables)),
        scale="array",
    )


def model(value: Any, path: str, notes: list[str]) -> tuple[inference.NoiseModel, inference.Converter]:
    """Return the law of programming, drift and noise, and the converter that comes with it."""
    part = Part(value, path, MODELS, notes, MODELS[0])
    converted = part.get("g_converter")
    g_max = part.get("g_max")
    scales: dict[str, Any] = part.numbers(
        prog_scale="prog_noise_scale", drift_scale="drift_scale", read_scale="read_noise_scale"
    )
    if part.kind.startswith("ReRam"):
        found: inference.NoiseModel
        default: inference.Converter
        if part.kind == "ReRamWan2022NoiseModel":
            part.note("there later times draw new noise around the target, of 25 uS; here it is that of 40 uS, and stays")
            found = inference.WanReRAM(**part.numbers(prog_scale="noise_scale"))
            default = inference.DifferentialPair(g_max_s=40e-6 if g_max is None else _siemens(g_max), scale="array")
        else:
            tight = part.get("acceptance_range", 0.2) in (0.2, 0.02)
            found = inference.CMOReRAM("0.2%" if tight else "2%", **scales)
            default = inference.SingleDevice(g_min_s=9e-6, g_max_s=88.2e-6, scale="array")
        part.done()
        return found, (default if converted is None else _converter(converted, f"{path}.g_converter", notes, g_max))
    times: dict[str, Any] = part.numbers(t0_s="t_0", t_read_s="t_read")
    kind, size = inference.PCM, 25.0
    if part.kind == "HermesNoiseModel":
        two = part.get("num_devices", 2) == 2
        kind, size = (inference.HermesPCM, 20.7) if two else (inference.HermesSinglePCM, 10.35)  # type: ignore[assignment]
    elif part.kind == "StateIndependentNoiseModel":
        kind = inference.StateIndependent  # type: ignore[assignment]
    elif part.kind == "CustomDriftPCMLikeNoiseModel":
        raise part.refusal("custom_drift_model", "absent: CustomNoise takes tables of drift at its own states")
    given = part.get("prog_coeff")
    if given is not None and part.kind == "PCMLikeNoiseModel" and [float(c) for c in given] != _PCM:
        raise part.refusal("prog_coeff", f"{_PCM} (CustomNoise takes others)")
    reference: dict[str, Any] = {} if part.kind == "StateIndependentNoiseModel" else {"q_from": "programmed"}
    part.get("prog_coeff_g_max_reference")
    part.done()
    part.note("conductances are normalised once, when they are programmed; there again at every time")
    made = kind(**scales, **times, **reference)
    return made, _converter(converted, f"{path}.g_converter", notes, g_max if g_max is not None else size)


def modifiers(value: Any, path: str, notes: list[str]) -> tuple[Modifier, ...]:
    """Return what disturbs weights in hardware-aware training, of a WeightModifierParameter."""
    part = Part(value, path, MODIFIERS, notes, MODIFIERS[0])
    kind = part.word("type", "COPY")
    std, res = part.get("std_dev", 0.0), part.get("res", 0.0)
    out: list[Modifier] = []
    if kind not in ("copy", "none", "dropconnect"):
        part.only("rel_to_actual_wmax", True)
    part.only("enable_during_test", False)
    part.only("per_batch_sample", False)
    coefficients = [float(c) for c in part.get("coeffs", [0.0105392, 0.0768, -0.046925])]
    step = (1.0 / res if res > 1.0 else res) or None
    g_max = part.get("g_max", 25.0)
    if kind in ("discretize", "discretizeaddnormal"):
        out.append(inference.Discretize(_needed(part, "res", step)))
    if kind in ("addnormal", "discretizeaddnormal"):
        out.append(inference.AddNormal(std))
    elif kind == "multnormal":
        part.note("noise is in proportion to the weight alone; on its CPU to the largest weight, too")
        out.append(inference.MultiplyNormal(std))
    elif kind == "dorefa":
        out.append(inference.DoReFa(_needed(part, "res", step), part.get("dorefa_clip", 0.6)))
    elif kind == "poly":
        out.append(inference.PolynomialNoise(tuple(coefficients), std))
    elif kind == "prognoise":
        out.append(inference.ProgrammingNoise(tuple(_siemens(c) for c in coefficients), _siemens(g_max), std))
    elif kind == "pcmnoise":
        names = {
            "t_inference_s": "pcm_t_inference",
            "zero_threshold": "pcm_zero_thres",
            "to_zero": "pcm_prob_at_reset",
            "to_max": "pcm_prob_at_gmax",
            "to_random": "pcm_prob_at_random",
        }
        out.append(inference.PCMNoise(std, **part.numbers(**names)))
    elif kind not in ("copy", "none", "dropconnect", "discretize"):
        known = "COPY, DISCRETIZE, MULT_NORMAL, ADD_NORMAL, DISCRETIZE_ADD_NORMAL, DOREFA, POLY, PROG_NOISE, PCM_NOISE"
        raise part.refusal("type", f"{known} or DROP_CONNECT")
    if part.get("pdrop", 0.0):
        out.append(inference.DropConnect(part.get("pdrop")))
    for name in ("sto_round", "dorefa_clip", "assumed_wmax", "copy_last_column", "pcm_zero_thres", "pcm_t_inference", "pcm_t0",
                 "pcm_prob_at_reset", "pcm_prob_at_gmax", "pcm_prob_at_random"):  # fmt: skip
        part.get(name)
    part.done()
    return tuple(out)


def _needed(part: Part, name: str, value: float | None) -> float:
    if value is None:
        raise part.refusal(name, "above 0 for this type")
    return float(value)


def clip(value: Any, path: str, notes: list[str]) -> Clip | None:
    """Return how weights are clipped after a step, of a WeightClipParameter."""
    part = Part(value, path, CLIPS, notes, CLIPS[0])
    kind, fixed = part.word("type", "NONE"), part.get("fixed_value", -1.0)
    sigma = part.get("sigma", 2.5)
    part.done()
    if kind == "fixedvalue":
        if fixed <= 0.0:
            raise part.refusal("fixed_value", "above 0")
        return inference.FixedClip(fixed)
    if kind == "layergaussian":
        return inference.GaussianClip(sigma, "array", fixed if fixed > 0.0 else None)
    if kind == "averagechannelmax":
        if fixed > 0.0:
            raise part.refusal("fixed_value", "at most 0 with AVERAGE_CHANNEL_MAX")
        return inference.MeanMaxClip()
    if kind != "none":
        raise part.refusal("type", "NONE, FIXED_VALUE, LAYER_GAUSSIAN or AVERAGE_CHANNEL_MAX")
    return None
