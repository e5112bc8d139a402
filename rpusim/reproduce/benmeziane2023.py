"""Benmeziane et al. (2023), AnalogNAS: a surrogate that ranks networks for chips, and a search with few trainings."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rpusim import datasets
from rpusim.applications import Measured, Space, Surrogate, find_network, measure, on_chip
from rpusim.inference import PCM, Chip
from rpusim.reproduce.base import Check, Reproduction, Result, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["REPRODUCTION", "Size", "rank_correlation", "searched", "table"]

GENES: dict[str, tuple[Any, ...]] = {
    "width": (8, 16, 24), "depth": (1, 2, 3), "kernel": (3, 5), "hidden": (32, 128), "activation": ("relu", "tanh"),
}  # fmt: skip
FEW: dict[str, tuple[Any, ...]] = {
    "width": (8, 16), "depth": (1, 2), "kernel": (3,), "hidden": (32, 64), "activation": ("relu", "tanh"),
}  # fmt: skip
TIMES = 2.0  # the noise of devices
CRITERION = (
    "accuracy on spoken digits after a month on chips with twice the noise of phase-change memory, of all networks of the "
    "space, a table for each seed. Kendall's rank correlation of what the surrogate says of 20 networks that it has not "
    "seen with what they are, mean over tables and draws, is above 0.6; with a quarter of the trainings the search's pick "
    "is in the best twentieth, median over tables and searches, and better than the best of as many drawn at random, in the "
    "mean. Quick: 16 networks, of which 6 are held out, and 8 are trained; no more than that all is finite"
)


class Size(NamedTuple):
    """Space, samples of training and test, epochs, programmings, held-out networks, draws and searches of a table, seeds."""

    genes: dict[str, tuple[Any, ...]] = GENES
    train: int = 1350
    test: int = 800
    epochs: int = 3
    programmings: int = 3
    held: int = 20
    draws: int = 20
    seeds: int = 3


QUICK = Size(FEW, 300, 200, 1, 1, 6, 5, 1)


def table(size: Size, seed: int, path: Path | None) -> dict[tuple[Any, ...], Measured]:
    """Return what all networks of the space are worth."""
    data = datasets.spoken_digits(flatten=False)
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(data.x_train))
    parts = [order[: size.train], order[size.train :][: size.test]]
    train, test = ((data.x_train[places], data.y_train[places]) for places in parts)
    chip = Chip(PCM(prog_scale=TIMES, read_scale=TIMES))
    task = functools.partial(
        on_chip, train=train, test=test, chip=chip, epochs=size.epochs, programmings=size.programmings, seed=seed
    )
    space = Space(size.genes)
    return measure(space, space.all(), task, path=path)


def rank_correlation(found: dict[tuple[Any, ...], Measured], size: Size, kind: str, seed: int) -> list[float]:
    """Return Kendall's tau of predicted and true values of networks held out, for some draws of which they are."""
    from scipy.stats import kendalltau

    space, candidates = Space(size.genes), list(found)
    features, values = space.features(candidates), np.array([one.accuracy for one in found.values()])
    out = []
    for k in range(size.draws):
        order = np.random.Generator(np.random.Philox([seed, k])).permutation(len(candidates))
        held, known = order[: size.held], order[size.held :]
        said = Surrogate(kind).fit(features[known], values[known]).predict(features[held])[0]
        out.append(float(kendalltau(said, values[held]).statistic))
    return out


def searched(found: dict[tuple[Any, ...], Measured], size: Size, seed: int) -> dict[str, list[float]]:
    """Return the share of networks that are no better than the pick, of searches and of draws at random."""
    space, values = Space(size.genes), np.array([one.accuracy for one in found.values()])
    budget = max(5, len(space) // 4) if len(space) > 20 else len(space) // 2
    out: dict[str, list[float]] = {"search": [], "random": []}

    def known(genes: dict[str, Any]) -> Measured:
        return found[tuple(genes.values())]

    for k in range(size.draws):
        best, _ = find_network(space, known, budget, first=max(3, budget // 2), rng=1000 * seed + k, progress=False)
        out["search"].append(float(np.mean(values <= found[best].accuracy)))
        drawn = np.random.Generator(np.random.Philox([seed, k, 1])).permutation(len(values))[:budget]
        out["random"].append(float(np.mean(values <= values[drawn].max())))
    return out


def run(quick: bool, seed: int, folder: Path | None = None, epochs: int | None = None) -> Result:
    """Train all networks of a space, and ask how few trainings would have done."""
    if epochs is not None:
        raise ValueError(f"epochs must be None for benmeziane2023-analognas; got {epochs}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    size = QUICK if quick else Size()
    tables: list[Any] = []
    ranks: dict[str, list[float]] = {"gaussian_process": [], "ridge": []}
    picks: dict[str, list[float]] = {"search": [], "random": []}
    for k in range(size.seeds):
        name = f"benmeziane2023-analognas{'-quick' if quick else ''}-{seed + k}.table.json"
        found = table(size, seed + k, None if folder is None else folder / name)
        tables.append([[*candidate, *one] for candidate, one in found.items()])
        for kind in ranks:
            ranks[kind] += rank_correlation(found, size, kind, seed + k)
        for way, shares in searched(found, size, seed + k).items():
            picks[way] += shares
    data = {"tables": tables, "ranks": ranks, "picks": picks}
    return Result(
        "benmeziane2023-analognas", REPRODUCTION.source, CRITERION, tuple(_checks(data, quick)),
        settings={"seed": seed, "times": TIMES, **size._asdict(), "genes": {k: list(v) for k, v in size.genes.items()}},
        data=data,
        notes=(
            "A miniature: spaces of the paper are of residual networks on CIFAR-10, its surrogate is of boosted trees, and its "
            "evolution draws all genes anew. No table of it was at hand: published is that search finds better networks.",
            "The surrogate knows genes only. A search is played on the table: what it would have trained is looked up.",
        ),
    )  # fmt: skip


def _checks(data: dict[str, Any], quick: bool) -> list[Check]:
    checks = []
    for kind, values in data["ranks"].items():
        mean = float(np.mean(values))
        needed = kind == "gaussian_process"
        checks.append(Check(f"rank correlation, {kind.replace('_', ' ')}", mean, 0.6, mean > 0.6 or quick, required=needed))
    middle = float(np.median(data["picks"]["search"]))
    checks.append(Check("share of networks no better than the pick, median", middle, 0.95, middle > 0.95 or quick))
    gain = float(np.mean(data["picks"]["search"]) - np.mean(data["picks"]["random"]))
    checks.append(Check("better than draws at random by", gain, 0.0, gain > 0.0 or quick))
    for one in data["tables"]:
        values = np.array([row[5] for row in one])
        checks.append(Check("accuracy of the best network", float(values.max()), float("nan"), bool(np.isfinite(values).all())))
    return checks


def draw(result: Result, width: float | None) -> Figure:
    """Draw accuracy after a month against energy of all networks, and how good picks are."""
    from rpusim.plotting.style import legend, panels

    figure, (left, right) = panels(width, 2)
    rows = result.data["tables"][0]
    for function in ("relu", "tanh"):
        own = [row for row in rows if row[4] == function]
        left.plot([1e9 * row[9] for row in own], [100 * row[5] for row in own], "o", markersize=3, label=function)
    left.set(xlabel="energy of an inference (nJ)", ylabel="accuracy after a month (%)", xscale="log")
    for way, label in (("search", "search"), ("random", "drawn at random")):
        values = np.sort(100 * np.array(result.data["picks"][way]))
        right.step(values, np.arange(1, len(values) + 1) / len(values), where="post", label=label)
    right.set(xlabel="networks no better than the pick (%)", ylabel="share of searches")
    legend(left)
    legend(right)
    return figure


REPRODUCTION = register(
    Reproduction(
        "benmeziane2023-analognas",
        "small networks for chips: what a surrogate knows of them, and a search with a quarter of the trainings",
        "Benmeziane et al., AnalogNAS: a neural network design framework for accurate inference with analog in-memory "
        "computing, IEEE EDGE (2023), arXiv:2305.10459",
        run,
        draw,
        trains=True,
        takes="15 min, quick 20 s",
        papers=("benmeziane2023",),
    )
)
