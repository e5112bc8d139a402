"""Compounds: the algorithms that several devices make."""

from __future__ import annotations

from typing import Any

from rpusim import algorithms
from rpusim.algorithms import Algorithm
from rpusim.devices import PulsedDevice
from rpusim.interop.aihwkit.devices import Choices, device
from rpusim.interop.aihwkit.parts import Part
from rpusim.interop.aihwkit.reads import periphery, pulses

__all__ = ["COMPOUNDS", "compound"]

_BUFFERED = ("momentum", "forget_buffer", "step")
_CHOPPED = (
    *_BUFFERED, "in_chop_prob", "in_chop_random", "out_chop_prob", "buffer_granularity", "auto_granularity", "no_buffer",
    "auto_scale", "auto_momentum", "correct_gradient_magnitudes",
)  # fmt: skip
#: classes: algorithm, settings of its own, whether periods count mini-batches by default, defaults that differ from ours
TRANSFERS: dict[str, tuple[Any, tuple[str, ...], bool, dict[str, Any]]] = {
    "TransferCompound": (algorithms.TikiTaka, ("gamma", "with_reset_prob"), True, {}),
    "BufferedTransferCompound": (algorithms.TikiTakaV2, (*_BUFFERED, "thres_scale"), True, {}),
    "ChoppedTransferCompound": (algorithms.ChoppedTikiTaka, _CHOPPED, False, {}),
    "DynamicTransferCompound": (algorithms.AGAD, (*_CHOPPED, "tail_weightening", "buffer_cap"), False, {}),
}
COMPOUNDS = (*TRANSFERS, "MixedPrecisionCompound")


def compound(part: Part, reads: dict[str, Any], choices: Choices) -> Algorithm:
    """Return the algorithm of a compound; `reads` are forward, backward and pulses of the configuration."""
    if part.kind == "MixedPrecisionCompound":
        return _mixed_precision(part, reads, choices)
    kind, own, in_batches, defaults = TRANSFERS[part.kind]
    inner = part.get("unit_cell_devices") or []
    members = [device(one, f"{part.path}.unit_cell_devices[{k}]", part.notes, choices) for k, one in enumerate(inner)]
    pulsed = [one for one in members if isinstance(one, PulsedDevice)]
    if len(members) < 2 or len(pulsed) < len(members):
        raise part.refusal("unit_cell_devices", "at least two pulsed devices")
    first, *middle, last = pulsed
    if middle and kind is not algorithms.TikiTaka:
        raise part.refusal("unit_cell_devices", "two pulsed devices")
    fields: dict[str, Any] = defaults | reads | part.numbers(*own) | {"fast": first, "slow": None if last == first else last}
    if middle:
        fields["between"] = tuple(middle)
    for name in ("gamma_vec", "transfer_every_vec", "transfer_lr_vec"):
        if part.has(name) and part.get(name) is not None and len(part.get(name)):
            raise part.refusal(name, "empty")
    if kind is not algorithms.TikiTaka:
        part.only("gamma", 0.0)
        part.only("with_reset_prob", 0.0)
    part.only("no_self_transfer", True)
    part.only("experimental_correct_accumulation", False)
    every = choices.period(part, "transfer_every", 1.0, in_batches)
    if every < 1:
        raise part.refusal("transfer_every", "above 0")
    fields |= {"transfer_every": every, "zero_shift": "none"}
    fields |= part.numbers(
        "n_reads_per_transfer", "transfer_columns", "random_selection", "transfer_lr", "scale_transfer_lr", "fast_lr",
        "scale_fast_lr",
    )  # fmt: skip
    if fields.get("fast_lr", 1.0) <= 0.0:
        fields |= {"fast_lr": 1.0, "scale_fast_lr": True}
    forward = periphery(part.get("transfer_forward", {}), f"{part.path}.transfer_forward", part.notes)
    fields["transfer_forward"] = _for_transfers(forward)
    one_slot = {"desired_bl": 1, "update_management": False, "update_bl_management": False}
    fields["transfer_pulses"] = pulses(
        part.get("transfer_update", {}),
        f"{part.path}.transfer_update",
        part.notes,
        **({} if kind is algorithms.TikiTaka else one_slot),
    )
    if len({one.granularity for one in pulsed}) > 1:
        if choices.same_granularity:
            fields["mean_granularity"] = True
        else:
            part.note("trains of each device are scaled by its own step; there by the mean of all")
    part.done()
    return _built(part, kind, fields)


def _for_transfers(forward: Any) -> Any:
    """Reads of single lines, whose managements are off there, whatever they are set to."""
    if forward.is_ideal:
        return forward
    off = {"noise_management": "none", "bound_management": "none"}
    defaults = {"nm_threshold": None, "nm_decay": 1e-3, "nm_assumed_wmax": 0.6, "bm_max_factor": 1000.0}
    plain: dict[str, Any] = off | defaults | {"bm_max_resolution": 0.25, "bm_test_negative_bound": True}
    return forward.replace(**plain)


def _mixed_precision(part: Part, reads: dict[str, Any], choices: Choices) -> Algorithm:
    own = Choices(choices.batch_size, choices.same_granularity, by_transfers=True)
    member = device(part.get("device"), f"{part.path}.device", part.notes, own)
    fields: dict[str, Any] = reads | {"device": member, "aihwkit_transfer": choices.same_granularity}
    fields |= part.numbers("random_row", "granularity", "transfer_lr", "n_x_bins", "n_d_bins", "stoc_round_x", "stoc_round_d")
    rows = part.get("n_rows_per_transfer", -1)
    fields["n_rows_per_transfer"] = None if rows <= 0 else rows
    fields["transfer_every"] = max(1, choices.period(part, "transfer_every", 1, True))
    if not choices.same_granularity:
        part.note("a transfer follows the vector that is due, and pulses beyond desired_bl stay in the gradient; there not")
    scheme = fields["pulses"]
    fields["pulses"] = scheme.replace(update_management=True, update_bl_management=True)
    if fields.get("n_x_bins", 0) == 0:
        fields.pop("stoc_round_x", None)
    if fields.get("n_d_bins", 0) == 0:
        fields.pop("stoc_round_d", None)
    part.done()
    return _built(part, algorithms.MixedPrecision, fields)


def _built(part: Part, kind: Any, fields: dict[str, Any]) -> Algorithm:
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{part.path}: {error}") from None
