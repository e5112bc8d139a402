"""Moraitis et al. (2017), fatiguing STDP: correlated inputs are found although others are faster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rpusim._base.progress import progress_bar
from rpusim.applications import FatiguingSTDP, correlated_spikes, poisson_spikes, separation
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.devices import SoftBounds
from rpusim.reproduce.base import Check, Reproduction, Result, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["REPRODUCTION", "Size"]

CORRELATED, OTHERS, RATE, CORRELATION = 20, 80, 5.0, 0.4
RULES = {"STDP": None, "fatigue 0.05 s": 0.05, "fatigue 0.2 s": 0.2}
DEVICE = SoftBounds(
    dw_min=0.02, w_max=1.0, w_min=-1.0, dw_min_dtod=0.3, dw_min_std=0.3, w_max_dtod=0.1, w_min_dtod=0.1
)  # fmt: skip
CRITERION = (
    "20 correlated inputs of 5 Hz among 80 others. The probability that a correlated input has a larger weight than "
    "another, mean over seeds: with others of 5 Hz above 0.95 for all rules; with others of 40 Hz and more below 0.1 by "
    "STDP and above 0.95 with fatigue, on noisy devices, too"
)


class Size(NamedTuple):
    """Rates of the others, seconds, and seeds."""

    rates: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 80.0)
    seconds: float = 120.0
    seeds: int = 3


QUICK = Size((5.0, 40.0), 60.0, 1)


def learned(rule: FatiguingSTDP, rate: float, seconds: float, devices: bool, seed: int) -> dict[str, float]:
    """Return how well correlated inputs are told from others by their weights, and mean weights of both."""
    own = correlated_spikes(CORRELATED, RATE, CORRELATION, seconds, rng=2 * seed)
    spikes = np.concatenate([own, poisson_spikes(np.full(OTHERS, rate), seconds, rng=2 * seed + 1)], axis=1)
    array = CrossbarArray((1, CORRELATED + OTHERS), DEVICE, rng=seed) if devices else None
    w = rule.run(spikes, array, rng=seed, progress=False).weights
    chosen = np.arange(len(w)) < CORRELATED
    return {"separation": separation(w, chosen), "correlated": float(w[chosen].mean()), "others": float(w[~chosen].mean())}


def run(quick: bool, seed: int, folder: Path | None = None, epochs: int | None = None) -> Result:
    """Learn from mixtures of correlated and fast inputs."""
    if epochs is not None:
        raise ValueError(f"epochs must be None for moraitis2017-fstdp; got {epochs}")
    size = QUICK if quick else Size()
    cases = [(name, tau, False) for name, tau in RULES.items()]
    cases += [(f"{name}, devices", RULES[name], True) for name in ("STDP", "fatigue 0.2 s")]
    found: dict[str, dict[str, list[float]]] = {}
    total = len(cases) * len(size.rates) * size.seeds
    with progress_bar(total=total, desc="moraitis2017-fstdp", unit="neuron", disable=None) as bar:
        for k in range(size.seeds):
            for name, tau, devices in cases:
                for rate in size.rates:
                    one = learned(FatiguingSTDP(tau), rate, size.seconds, devices, 100 * seed + k)
                    for what, value in one.items():
                        found.setdefault(f"{name}, {rate:g} Hz", {}).setdefault(what, []).append(value)
                    bar.update()
    return Result(
        "moraitis2017-fstdp", REPRODUCTION.source, CRITERION, tuple(_checks(found)),
        settings={"seed": seed, "rate_hz": RATE, "correlation": CORRELATION, "device": DEVICE.to_dict(), **size._asdict()},
        data={"conditions": found},
        notes=(
            "Published is that fatigue takes rates out of mixtures, so that correlations are learned; equations of the paper "
            "and its data of weather were not at hand. With an additive rule in place of soft bounds, STDP does not fail.",
        ),
    )  # fmt: skip


def _checks(found: dict[str, Any]) -> list[Check]:
    checks = []
    for label, one in found.items():
        value, rate = float(np.mean(one["separation"])), float(label.rsplit(", ", 1)[1].removesuffix(" Hz"))
        if rate == RATE or "fatigue" in label:
            checks.append(Check(f"separation, {label}", value, 1.0, value > 0.95, required=rate in (RATE, 40.0, 80.0)))
        else:
            checks.append(Check(f"separation, {label}", value, 0.0, rate < 40.0 or value < 0.1, required=rate >= 40.0))
    return checks


def draw(result: Result, width: float | None) -> Figure:
    """Draw the separation of correlated inputs, and mean weights, against the rate of the others."""
    from rpusim.plotting.style import legend, panels

    figure, (left, right) = panels(width, 2)
    found, rates = result.data["conditions"], result.settings["rates"]
    for name, marker in (("STDP", "o"), ("fatigue 0.05 s", "^"), ("fatigue 0.2 s", "s"), ("fatigue 0.2 s, devices", "x")):
        values = np.array([found[f"{name}, {rate:g} Hz"]["separation"] for rate in rates])
        left.errorbar(rates, values.mean(axis=1), values.std(axis=1), marker=marker, markersize=4, capsize=2, label=name)
    left.set(xlabel="rate of other inputs (Hz)", ylabel="separation", xscale="log")
    for k, name in enumerate(("STDP", "fatigue 0.2 s")):
        for what, line in (("correlated", "-"), ("others", "--")):
            means = [np.mean(found[f"{name}, {rate:g} Hz"][what]) for rate in rates]
            right.plot(rates, means, line, color=f"C{2 * k}", marker="o", markersize=3, label=f"{name}, {what}")
    right.set(xlabel="rate of other inputs (Hz)", ylabel="mean weight", xscale="log")
    for ax in (left, right):
        ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        ax.minorticks_off()
        legend(ax)
    return figure


REPRODUCTION = register(
    Reproduction(
        "moraitis2017-fstdp",
        "correlated inputs are learned among faster ones by synapses that tire",
        "Moraitis et al., Fatiguing STDP: learning from spike-timing codes in the presence of rate codes, IJCNN (2017), "
        "arXiv:1706.05563",
        run,
        draw,
        trains=True,
        takes="2 min, quick 10 s",
        papers=("moraitis2017",),
    )
)
