"""Li et al. (2026): Fashion-MNIST by LeNet on devices of four states: Tiki-Taka, mixed precision and several tiles."""

from __future__ import annotations

import math
from typing import Any

from rpusim.algorithms import Algorithm, DigitalSGD, MixedPrecision, MultiTileResidual, TikiTaka, TikiTakaV2
from rpusim.devices import SoftBounds
from rpusim.periphery.reads import Periphery
from rpusim.reproduce.base import Check
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, near, study

__all__ = ["REPRODUCTION"]

STATES, BATCH, LR = 4, 16, 0.2
#: test accuracy in %
PUBLISHED = {
    "TTv1": 10.01, "TTv2": 47.51, "mixed precision": 75.61, "3 tiles": 68.09, "4 tiles": 73.35, "6 tiles": 75.11,
}  # fmt: skip
CRITERION = (
    "accuracy rises from 3 tiles to 4 to 6, all are better than TTv2, and TTv2 than TTv1; mixed precision is within 5 % of 6 "
    "tiles; half of the published accuracies are met within 5 %. Quick: 6 tiles better than TTv1"
)
NOTES = (
    "Ideal reads, as in the authors' code; the rate is halved after every 30 of 100 epochs (they have a warm start besides).",
)


def rows(quick: bool) -> list[Row]:
    """Return all conditions."""
    device, reads = SoftBounds(dw_min=2.0 / STATES), Periphery.ideal()
    plain = Condition(
        network="lenet", data="fashion-mnist", batch_size=BATCH, lr=LR / BATCH, drop=0.5, drop_every=30,
        train=4_000 if quick else None, test=2_000 if quick else None,
    )  # fmt: skip
    common: dict[str, Any] = {"transfer_every": 2, "transfer_lr": 0.1, "scale_transfer_lr": False}
    rules: dict[str, Algorithm] = {
        "TTv1": TikiTaka(device, forward=reads, transfer_forward=reads, **common),
        "TTv2": TikiTakaV2(device, forward=reads, transfer_forward=reads, **common),
        "mixed precision": MixedPrecision(device, forward=reads, transfer_every=BATCH),
    }
    for tiles in (3, 4, 6):
        rules[f"{tiles} tiles"] = MultiTileResidual(device, n_tiles=tiles, gamma=0.2, forward=reads, transfer_forward=reads)
    out = [Row("digital", None, plain.replace(rule=DigitalSGD(), lr=0.003))]
    for name, rule in rules.items():
        if not quick or name in ("TTv1", "6 tiles"):
            published = math.nan if quick else 100.0 - PUBLISHED[name]
            out.append(Row("on devices of four states", name, plain.replace(rule=rule), published))
    return out


def checks(found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    error = found.line("on devices of four states")
    if quick:
        gain = error["TTv1"] - error["6 tiles"]
        return [claim("TTv1 - 6 tiles (%)", gain, gain > 0.0)]
    pairs = (("TTv1", "TTv2"), ("TTv2", "3 tiles"), ("3 tiles", "4 tiles"), ("4 tiles", "6 tiles"))
    out = [claim(f"{a} - {b} (%)", error[a] - error[b], error[a] > error[b], PUBLISHED[b] - PUBLISHED[a]) for a, b in pairs]
    gap = error["mixed precision"] - error["6 tiles"]
    return [*out, claim("mixed precision - 6 tiles (%)", gap, abs(gap) < 5.0, -0.5), *near(found, lambda _: 5.0)]


REPRODUCTION = study(
    Plan(
        "li2025-fmnist", "Li et al. (2026), AISTATS, arXiv:2510.02516", CRITERION, rows, checks, epochs=(2, 100),
        axis=Axis("algorithm"), least=0.5, notes=NOTES, paper="li2026",
    ),
    "LeNet on Fashion-MNIST on devices of four states: Tiki-Taka, mixed precision, tiles",
)  # fmt: skip
