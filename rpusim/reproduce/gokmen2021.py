"""Gokmen (2021), Tiki-Taka version 2: MNIST against the number of states of the devices, beside version 1."""

from __future__ import annotations

from typing import Any

from rpusim.algorithms import DigitalSGD, TikiTaka
from rpusim.periphery.pulses import PulseScheme
from rpusim.reproduce.base import Check
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.rasch2024_fig5 import MAPPING, algorithm
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, study

__all__ = ["REPRODUCTION"]

STATES = (20, 1000)
CRITERION = (
    "at 20 states version 2 is more than 3 % better than version 1 and within 2 % of its own error at 1000; version 1 loses "
    "more than 3 % from 1000 states to 20, and is within 3 % of version 2 at 1000. Quick: the first"
)
NOTES = (
    "20,000 images. Only the abstract was at hand: the number of states that is needed falls from thousands to tens. Devices "
    "and rates are those of rasch2024-fig5; of version 1, four pairs of rates were tried for two epochs of 10,000 images, and "
    "the best taken, which at 20 states is that of the slower transfer (17 %, with the faster one 33 %).",
)


def version_1(states: int) -> TikiTaka:
    """Return Tiki-Taka on the devices of version 2."""
    other: Any = algorithm("TTv2", 0.0, states)
    return TikiTaka(
        other.fast, other.slow, transfer_every=10, fast_lr=0.1, scale_fast_lr=False,
        transfer_lr=100.0 if states > 100 else 10.0,
        pulses=PulseScheme(desired_bl=31),
    )  # fmt: skip


def rows(quick: bool) -> list[Row]:
    """Return all conditions."""
    plain = Condition(
        mapping=MAPPING, batch_size=10, lr=0.05, drop=0.5, drop_every=2 if quick else 2, train=10_000 if quick else 20_000
    )
    out = [Row("digital", None, plain.replace(rule=DigitalSGD(), lr=0.01))]
    for states in STATES:
        out.append(Row("version 1", states, plain.replace(rule=version_1(states))))
        out.append(Row("version 2", states, plain.replace(rule=algorithm("TTv2", 0.0, states))))
    return out


def checks(found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    one, two = found.line("version 1"), found.line("version 2")
    out = [claim("version 1 - version 2, 20 states (%)", one[20] - two[20], one[20] - two[20] > (0.0 if quick else 2.0))]
    if quick:
        return out
    coarse, lost, fine = two[20] - two[1000], one[20] - one[1000], one[1000] - two[1000]
    return [
        *out,
        claim("version 2, 20 states - 1000 (%)", coarse, coarse < 2.0),
        claim("version 1, 20 states - 1000 (%)", lost, lost > 3.0),
        claim("version 1 - version 2, 1000 states (%)", fine, fine < 3.0),
    ]


REPRODUCTION = study(
    Plan(
        "gokmen2021-ttv2", "Gokmen (2021), Front. Artif. Intell. 4:699148", CRITERION, rows, checks, epochs=(4, 8),
        axis=Axis("states of a device", log=True), notes=NOTES,
    ),
    "MNIST against the number of states: Tiki-Taka versions 1 and 2",
)  # fmt: skip
