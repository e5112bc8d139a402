"""Gokmen, Onen and Haensch (2017): a convolutional network from unusable to digital, one management after another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rpusim import datasets
from rpusim.algorithms import Algorithm, DigitalSGD
from rpusim.devices import VectorCell
from rpusim.devices.presets import rpu_baseline
from rpusim.reproduce.base import Check, Reproduction, Result, register
from rpusim.reproduce.networks import Curve, curves_figure, lenet, rpu_sgd, subset, train_curves

if TYPE_CHECKING:
    pass

__all__ = ["REPRODUCTION", "ladder"]

REPLICAS = 13
CRITERION = (
    "full: the ladder falls rung by rung (within 0.2 %), the last rung is within 0.3 % of the digital network, and the "
    "baseline above 5 % error. Quick: every rung is better than the one before within 1.5 %, the baseline is worst, and the "
    "last rung is within 3 % of the digital network"
)
PUBLISHED = {
    "digital": 0.8,
    "baseline": 10.0,
    "+ noise and bound management": 1.7,
    "+ update management, BL 1": 1.1,
    f"+ {REPLICAS} devices on K2": 0.8,
}


def ladder() -> dict[str, Algorithm | tuple[Algorithm, Algorithm]]:
    """Return the rules of all rungs; two where the second convolution has its own.

    Returns
    -------
    dict of Algorithm, or of two

    Examples
    --------
    >>> import rpusim as rpu
    >>> list(rpu.reproduce.ladder())[:2]
    ['digital', 'baseline']
    """
    managed = rpu_sgd(noise_management=True, bound_management=True)
    best = rpu_sgd(noise_management=True, bound_management=True, desired_bl=1, update_management=True)
    many = best.replace(device=VectorCell((rpu_baseline(),) * REPLICAS, gammas=(1.0 / REPLICAS,) * REPLICAS))
    return {
        "digital": DigitalSGD(),
        "baseline": rpu_sgd(),
        "+ noise management": rpu_sgd(noise_management=True),
        "+ noise and bound management": managed,
        "+ update management, BL 1": best,
        f"+ {REPLICAS} devices on K2": (best, many),
    }


def run(quick: bool, seed: int, folder: Path | None = None, epochs: int | None = None) -> Result:
    """Train LeNet on MNIST, one sample at a time at the rate 0.01, on each rung."""
    epochs = epochs or (4 if quick else 30)
    train, test = subset(datasets.mnist(flatten=False), 2000 if quick else None, 2000 if quick else None)
    rungs = ladder()
    curves = []
    for label, rules in rungs.items():
        first, second = rules if isinstance(rules, tuple) else (rules, None)
        curves.append(Curve(label, partial(lenet, first, second), lambda epoch: 0.01))
    found = train_curves(f"gokmen2017{'-quick' if quick else ''}", curves, train, test, epochs, seed, folder)
    error = {label: curve["error_now"] for label, curve in found.items()}
    steps = list(rungs)[1:]
    checks = []
    slack = 1.5 if quick else 0.2
    for upper, lower in zip(steps[:-1], steps[1:], strict=True):
        checks.append(
            Check(f"{lower} (%)", error[lower], PUBLISHED.get(lower, float("nan")), error[lower] < error[upper] + slack)
        )
    worst = error["baseline"]
    far = worst == max(error.values()) if quick else worst > 5.0
    checks.insert(0, Check("baseline (%)", worst, PUBLISHED["baseline"], far))
    digital = error["digital"]
    checks.insert(0, Check("digital (%)", digital, PUBLISHED["digital"], quick or abs(digital - PUBLISHED["digital"]) < 0.3))
    gap = error[steps[-1]] - digital
    checks.append(Check("last rung - digital (%)", gap, 0.0, gap < (3.0 if quick else 0.3)))
    return Result(
        "gokmen2017",
        REPRODUCTION.source,
        CRITERION,
        tuple(checks),
        settings={"epochs": epochs, "samples": len(train[0]), "seed": seed, "baseline": rpu_sgd().to_dict()},
        data={"curves": found},
        notes=(
            "Published errors are known at second hand, and are those after 30 epochs of all images. In quick runs the "
            "baseline stays at chance.",
        ),
    )


REPRODUCTION = register(
    Reproduction(
        "gokmen2017",
        "LeNet on MNIST: baseline, + noise, + bound, + update management, + several devices per weight",
        "Gokmen, Onen and Haensch, Front. Neurosci. 11:538 (2017)",
        run,
        curves_figure,
        trains=True,
        papers=("gokmen2017",),
    )
)
