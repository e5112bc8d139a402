"""Wu et al. (2024), pipelines: clock cycles to an accuracy without a pipeline, with a synchronous and an asynchronous one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rpusim.algorithms import SGD
from rpusim.devices import ConstantStep, SoftBounds
from rpusim.nn import Mapping, Pipeline
from rpusim.reproduce.base import Check, Result
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, found_of, study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["REPRODUCTION"]

MODES = ("none", "synchronous", "asynchronous")
#: stages, and the network that has so many layers with weights
STAGES = {3: "relu", 8: "deep"}
BATCH = 8
#: of the deep network, which learns nothing in six epochs without
MAPPING = Mapping(weight_scaling=0.3, scale_by_output=True, learn_scale=True, digital_bias=True)
GOAL = 10.0  # % error
CRITERION = (
    "with M stages the asynchronous pipeline needs M times fewer cycles to 10 % error than none, within 30 %, the synchronous "
    "one M B / (M + B - 1) times fewer, within 30 %, and the final error of both is within 1 % of that without. Quick: the "
    "asynchronous one needs less than half the cycles to 30 % error"
)
NOTES = (
    "20,000 images. The paper trains ResNets on CIFAR, and only its abstract was at hand; here perceptrons with rectifiers, a "
    "layer per stage. The asynchronous pipeline updates after every image, the others after every batch of eight.",
    "Eight stages are on symmetric devices with learned scales of outputs: on soft bounds without, that network stays at 89 % "
    "in six epochs under every schedule.",
)


def rows(quick: bool) -> list[Row]:
    """Return all conditions."""
    plain = Condition(batch_size=BATCH, lr=0.01, train=4_000 if quick else 20_000)
    of = {
        3: plain.replace(rule=SGD(SoftBounds(dw_min=0.001)), network=STAGES[3]),
        8: plain.replace(rule=SGD(ConstantStep(dw_min=0.001)), network=STAGES[8], mapping=MAPPING),
    }
    return [
        Row(mode, stages, condition.replace(schedule=Pipeline(mode)))
        for stages, condition in of.items()
        if not quick or stages == 3
        for mode in MODES
    ]


def cycles_to(run: dict[str, Any], goal: float) -> float:
    """Return the cycles until the test error is below `goal`, mean over seeds, between epochs by a straight line."""
    found = []
    for errors, cycles in zip(run["test_error"], run["cycles"], strict=True):
        errors, cycles = [90.0, *errors], [0.0, *cycles]
        k = next((k for k, error in enumerate(errors) if error < goal), None)
        if k is None:
            return math.nan
        share = (errors[k - 1] - goal) / (errors[k - 1] - errors[k])
        found.append(cycles[k - 1] + share * (cycles[k] - cycles[k - 1]))
    return float(np.mean(found))


def checks(found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    if quick:
        need = {mode: cycles_to(found.run(mode, 3), 30.0) for mode in MODES}
        ratio = need["none"] / need["asynchronous"]
        return [claim("cycles without over asynchronous, 3 stages", ratio, ratio > 2.0, 3.0)]
    out = []
    for m in STAGES:
        need = {mode: cycles_to(found.run(mode, m), GOAL) for mode in MODES}
        for mode, wanted in (("synchronous", m * BATCH / (m + BATCH - 1)), ("asynchronous", float(m))):
            ratio = need["none"] / need[mode]
            out.append(claim(f"cycles without over {mode}, {m} stages", ratio, abs(ratio / wanted - 1) < 0.3, wanted))
            gap = found[mode, m] - found["none", m]
            out.append(claim(f"{mode} - none, {m} stages (%)", gap, gap < 1.0, 0.0))
    return out


def figure(result: Result, width: float | None = None) -> Figure:
    """Draw the error against cycles, a panel for each number of stages."""
    from rpusim.plotting.style import legend, panels

    found = found_of(result)
    stages = list(dict.fromkeys(run["x"] for run in found.runs))
    figure, axes = panels(width, len(stages))
    for ax, m in zip(axes, stages, strict=True):
        for run in [run for run in found.runs if run["x"] == m]:
            ax.plot(np.mean(run["cycles"], axis=0), np.mean(run["test_error"], axis=0), marker=".", label=run["line"])
        ax.set(xlabel="cycles", ylabel="test error (%)", title=f"{m} stages", xscale="log", yscale="log")
        legend(ax)
    return figure


REPRODUCTION = study(
    Plan(
        "wu2024-pipeline", "Wu et al. (2024), arXiv:2410.15155", CRITERION, rows, checks, epochs=(3, 6), axis=Axis("stages"),
        notes=NOTES, paper="wu2024-pipeline",
    ),
    "MNIST by pipelines: cycles to an error without, with a synchronous and an asynchronous one",
    figure,
)  # fmt: skip
