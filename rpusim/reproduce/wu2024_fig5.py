"""Wu, Gokmen, Rasch and Chen (2024), Fig. 5: MNIST by SGD and by Tiki-Taka against the saturation tau of the devices."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rpusim.algorithms import SGD, Algorithm, DigitalSGD, TikiTaka
from rpusim.devices import SoftBoundsReference
from rpusim.nn import Mapping
from rpusim.reproduce.base import Check, Result
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.studies import Axis, Found, Plan, Row, against, claim, epochs_axis, found_of, study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CNN", "FCN", "MAPPING", "PLATEAU", "left_after", "rules"]

#: test accuracy in %, by network, then by tau: SGD and Tiki-Taka; tau None is digital SGD
PUBLISHED: dict[str, dict[float | None, tuple[float, ...]]] = {
    "FCN": {None: (98.15,), 0.70: (11.35, 97.64), 0.78: (97.71, 97.62), 0.80: (97.78, 97.50)},
    "CNN": {None: (99.16,), 0.6: (88.99, 98.84), 0.7: (92.15, 98.87), 0.8: (93.45, 98.86)},
}
BATCH = {"FCN": 10, "CNN": 8}
QUICK_TAUS = (0.15, 0.7)
QUICK_LR, QUICK_FAST_LR = 0.5, 0.5
LR_DIGITAL, LR_ANALOG, FAST_LR = 0.1, 0.05, 0.01
ZERO_SHIFTED = "SGD, zero-shifted"
CUT = 35  # epochs after which the rate is cut to a tenth
STUCK = 50.0  # %: error above which a network has not left the plateau at 88.65 %
#: as the authors' library puts layers on arrays: a learned digital factor, digital biases, and at most 512 inputs
MAPPING = Mapping(learn_scale=True, digital_bias=True, max_inputs=512)
CRITERION = (
    "full: digital SGD and Tiki-Taka within 1 % of the published errors, half of those of SGD too (which jump from chance to "
    "97 % between tau 0.70 and 0.78), and Tiki-Taka better than SGD by more than 5 % at the smallest tau. Quick: at tau 0.15 "
    "and 0.7 SGD is below 40 % accuracy where Tiki-Taka is above 60 %"
)
PLATEAU_CRITERION = (
    "SGD is longer on the plateau at tau 0.70 than at 0.80, in the mean over seeds; on it the last scale is below 0.3, and "
    "that of who has left is three times as large in the mean; at tau 0.70 somebody is still on it when the paper cuts the "
    "rate, after 35 epochs. Quick: the first, at tau 0.15 and 0.7"
)
SOURCE = "Wu, Gokmen, Rasch and Chen, NeurIPS (2024), arXiv:2406.12774, Fig. 5"


def rules(tau: float, batch: int, fast_lr: float) -> dict[str, Algorithm]:
    """Return SGD and Tiki-Taka on devices that saturate at +-tau, with one transfer per batch; as in the authors' code, the
    references of SGD's devices are not shifted to their symmetry points."""
    device = SoftBoundsReference(dw_min=0.001, w_max=tau, w_min=-tau, subtract_symmetry_point=True)
    return {
        "SGD": SGD(device.replace(subtract_symmetry_point=False)),
        # a transfer is at the whole rate, where that of `update` is divided by the size of the batch
        "Tiki-Taka": TikiTaka(
            device, device, transfer_every=batch, fast_lr=fast_lr / batch, scale_fast_lr=False, transfer_lr=float(batch)
        ),
    }


def rows(network: str, quick: bool) -> list[Row]:
    """Return the conditions of a network; losses of a trainer are sums over the batch, the papers' are means."""
    batch = BATCH[network]
    fast, digital, analog = (QUICK_FAST_LR, QUICK_LR, QUICK_LR) if quick else (FAST_LR, LR_DIGITAL, LR_ANALOG)
    plain = Condition(
        network="perceptron" if network == "FCN" else "lenet", mapping=MAPPING, batch_size=batch, drop=0.1, drop_every=CUT,
        train=10_000 if quick else None, test=5_000 if quick else None,
    )  # fmt: skip
    published = PUBLISHED[network]
    out = [Row("digital", None, plain.replace(rule=DigitalSGD(), lr=digital / batch), round(100.0 - published[None][0], 2))]
    for tau in QUICK_TAUS if quick else [tau for tau in published if tau is not None]:
        for k, (name, rule) in enumerate(rules(tau, batch, fast).items()):
            value = published.get(tau, (math.nan, math.nan))[k]
            out.append(Row(name, tau, plain.replace(rule=rule, lr=analog / batch), round(100.0 - value, 2)))
    return out


def left_after(errors: list[float]) -> int:
    """Return the epochs that a network spends on the plateau: all of them where it does not leave it."""
    return next((k for k, error in enumerate(errors) if error < STUCK), len(errors))


def plateau_rows(quick: bool) -> list[Row]:
    """Return the conditions of SGD alone, and on devices whose references are shifted to their symmetry points."""
    own = [row for row in rows("FCN", quick) if row.line == "SGD" and row.x != 0.78]
    if quick:
        return own
    shifted = [
        row.condition.replace(rule=SGD(row.condition.rule.device.replace(subtract_symmetry_point=True)))  # type: ignore[attr-defined]
        for row in own
    ]
    return own + [Row(ZERO_SHIFTED, row.x, condition) for row, condition in zip(own, shifted, strict=True)]


def plateau_checks(found: Found, quick: bool) -> list[Check]:
    """Check the length of the plateau against tau, and the last scale."""
    runs = {tau: found.run("SGD", tau) for tau in sorted(found.line("SGD"))}  # on devices as the authors have them
    taus = list(runs)
    length = {tau: float(np.mean([left_after(one) for one in run["test_error"]])) for tau, run in runs.items()}
    ratio = length[taus[0]] / max(length[taus[-1]], 0.5)
    out = [claim(f"epochs on the plateau, tau {taus[0]:g} over {taus[-1]:g}", ratio, ratio > 1.0)]
    if quick:
        return out
    on: list[float] = []
    after: list[float] = []
    for run in runs.values():
        for errors, scales in zip(run["test_error"], run["scale"], strict=True):
            k = left_after(errors)
            on += scales[: max(1, k - 1)]
            after += scales[-1:] if k < len(errors) else []
    grows = float(np.mean(after) / np.mean(on)) if after else math.nan
    stuck = sum(left_after(one) >= CUT for one in runs[taus[0]]["test_error"])
    return [
        *out,
        claim("last scale of who has left over that of who has not", grows, grows > 3.0),
        claim("largest scale on the plateau", max(on), max(on) < 0.3),
        claim(f"seeds still on it when the rate is cut, tau {taus[0]:g}", stuck, stuck > 0),
    ]  # fmt: skip


def checks(network: str, found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    if quick:
        out = []
        for tau in QUICK_TAUS:
            sgd, tiki = found["SGD", tau], found["Tiki-Taka", tau]
            out += [claim(f"SGD, tau {tau:g} (%)", sgd, sgd > 60.0), claim(f"Tiki-Taka, tau {tau:g} (%)", tiki, tiki < 40.0)]
        return out
    out = []
    for line, tau, value, published in found:
        label = f"{network}, {line}{'' if tau is None else f', tau {tau:g}'} (%)"
        out.append(Check(label, value, published, abs(value - published) < 1.0, required=line != "SGD"))
    tau = min(found.line("SGD"))
    ahead = found["SGD", tau] - found["Tiki-Taka", tau]
    out.append(claim(f"{network}: SGD - Tiki-Taka, tau {tau:g} (%)", ahead, ahead > 5.0))
    return out


def figure(result: Result, width: float | None = None) -> Figure:
    """Draw final errors against tau, and the curves of SGD."""
    from rpusim.plotting.style import panels

    figure, (ends, curves) = panels(width, 2)
    found = found_of(result)
    against(ends, found, Axis(*result.data["axis"]))
    epochs_axis(curves, found, lambda line, _: line == "SGD")
    return figure


def plateau_figure(result: Result, width: float | None = None) -> Figure:
    """Draw the length of the plateau against tau, the curves, and the last scale."""
    from rpusim.plotting.style import COLORS, legend, panels

    figure, (lengths, curves, scales) = panels(width, 3)
    found = found_of(result)
    for k, run in enumerate(found.runs):
        each = [left_after(one) for one in run["test_error"]]
        lengths.plot([run["x"]] * len(each), each, "o", color=COLORS[k], markerfacecolor="none")
        lengths.plot([run["x"]], [np.mean(each)], "_", color=COLORS[k], markersize=12)
    lengths.axhline(CUT, color="0.3", linestyle=":", label="the paper cuts the rate")
    lengths.set(xlabel="tau", ylabel="epochs on the plateau", ylim=(0.0, None))
    legend(lengths)
    epochs_axis(curves, found, lambda line, _: True)
    epochs_axis(scales, found, lambda line, _: True, "scale", "scale of the last layer")
    scales.set_yscale("log")
    return figure


def plan(network: str, name: str) -> Plan:
    """Return what is run of a network."""
    return Plan(
        name, SOURCE, CRITERION, partial(rows, network), partial(checks, network), epochs=(5, 80), axis=Axis("tau"), least=0.5,
        notes=(
            "Quick runs have 10 times the paper's rate of SGD, 50 times that of the fast array, and a smaller tau: the "
            "paper's 80 epochs are 96 times as many steps.",
        ),
    )  # fmt: skip


FCN = study(plan("FCN", "wu2024-fig5"), "MNIST by SGD and Tiki-Taka on devices that saturate at +-tau", figure)
CNN = study(plan("CNN", "wu2024-fig5-cnn"), "LeNet on MNIST by SGD and Tiki-Taka on devices that saturate at +-tau")
PLATEAU = study(
    Plan(
        "wu2024-fig5-plateau", SOURCE, PLATEAU_CRITERION, plateau_rows, plateau_checks, epochs=(4, CUT + 1), axis=Axis("tau"),
        notes=(
            "Devices have their own symmetry points, as in the authors' code; a line of its own has references shifted there.",
            "The quick run has ten times the rate and a smaller tau.",
        ),
    ),
    "the plateau on which SGD starts on devices that saturate at +-tau",
    plateau_figure,
)  # fmt: skip
