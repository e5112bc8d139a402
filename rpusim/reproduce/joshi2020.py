"""Joshi et al. (2020), ESSOP: outer products of short streams, with random numbers that are shared."""

from __future__ import annotations

import math
from typing import Any

from rpusim.algorithms import SGD, DigitalSGD
from rpusim.devices import ConstantStep
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.reproduce.base import Check
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, study

__all__ = ["REPRODUCTION", "rule"]

LENGTHS = (1, 4, 8, 32)
LONG = 8
MOST = 0.02  # a weight's largest change by one sample
CRITERION = (
    "with streams of 8 bits and more the error is within 0.5 % of the digital network's, with random numbers of one's own and "
    "with shared ones, and these differ by less than 0.5 %; one bit costs more than 8 do. Quick: the same within 3 %"
)
NOTES = (
    "20,000 images. The paper trains ResNet-32 on CIFAR-10; here a perceptron with rectifiers, 784-256-128-10, one image at a "
    "time, with exact reads, and weights whose step is the largest change over the length of the stream.",
)


def rule(length: int, shared: bool) -> SGD:
    """Return SGD by streams of so many bits, scaled by powers of two."""
    quiet: dict[str, Any] = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
    device = ConstantStep(dw_min=MOST / length, w_max=4.0, w_min=-4.0, **quiet)
    pulses = PulseScheme(desired_bl=length, update_bl_management=False, power_of_two_scales=True, shared_random_numbers=shared)
    return SGD(device, forward=Periphery.ideal(), pulses=pulses)


def rows(quick: bool) -> list[Row]:
    """Return all conditions."""
    plain = Condition(network="relu", lr=0.01, drop=0.3, drop_every=3, train=10_000 if quick else 20_000)
    out = [Row("digital", None, plain.replace(rule=DigitalSGD()))]
    for name, shared in (("own random numbers", False), ("shared random numbers", True)):
        for length in (1, LONG) if quick else LENGTHS:
            out.append(Row(name, length, plain.replace(rule=rule(length, shared))))
    return out


def checks(found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    own, shared = found.line("own random numbers"), found.line("shared random numbers")
    digital, within = found["digital", None], 3.0 if quick else 0.5
    out = []
    for length in [one for one in own if one >= LONG]:
        for name, line in (("own", own), ("shared", shared)):
            gap = line[length] - digital
            out.append(claim(f"{name} random numbers, {length} bits - digital (%)", gap, abs(gap) < within, 0.0))
        gap = shared[length] - own[length]
        out.append(claim(f"shared - own random numbers, {length} bits (%)", gap, abs(gap) < within, 0.0))
    cost = own[1] - own[LONG]
    return [*out, claim(f"own random numbers, 1 bit - {LONG} bits (%)", cost, cost > 0.0, math.nan)]


REPRODUCTION = study(
    Plan(
        "joshi2020-essop", "Joshi et al. (2020), ISCAS, arXiv:2003.11256", CRITERION, rows, checks, epochs=(3, 6),
        axis=Axis("bits of a stream", log=True), notes=NOTES, paper="joshi2020-essop",
    ),
    "MNIST by short stochastic streams whose random numbers are shared",
)  # fmt: skip
