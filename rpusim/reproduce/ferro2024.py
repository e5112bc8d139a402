"""Ferro et al. (2024), fixed-point processing behind the ADCs: how many bits it takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim.inference import Chip, FixedPoint, NoNoise, chips, evaluate
from rpusim.reproduce.base import Check, Reproduction, Result, register
from rpusim.reproduce.hardware_aware import QUICK, Size, fashion, fit, mlp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["REPRODUCTION"]

BOUNDS = (12.0, 8.0, 4.0, 2.0)
SCALES = ((4, 4), (3, 5), (2, 6), (1, 7), (0, 8))
OFFSETS = ((7, 1), (6, 0), (4, 0), (3, 0))
CRITERION = (
    "ranges of ADCs of 8 or more cost less than 3 points, of 2 more than 10: clipping costs more than resolution; scales of 8 "
    "bits whose integer part reaches the largest factor cost less than 0.5 points beside floating point, (0, 8) more; offsets "
    "of (6, 0) cost less than 0.5 points"
)
#: of a prototype of this miniature, in percent: ranges in floating point, and formats at the first of them
PROTOTYPE = {12.0: 85.3, 8.0: 85.1, 4.0: 76.4, 2.0: 60.2, (4, 4): 85.2, (3, 5): 85.4, (2, 6): 85.4, (1, 7): 80.8, (0, 8): 64.2}


def chip(bound: float, post: FixedPoint | None) -> Chip:
    """Return a chip without errors but those of 8-bit converters and of the processing."""
    periphery = chips.get("pcm-tutorial").periphery
    periphery = periphery.replace(adc=periphery.adc.replace(bound=bound, noise=0.0))
    return Chip(NoNoise(), periphery=periphery, compensation=None, read_noise="none", input_range="static", post=post)


def run(quick: bool, seed: int, folder: Path | None = None, epochs: int | None = None) -> Result:
    """Train a perceptron, and read it through fixed-point processing of many formats."""
    if epochs is not None:
        raise ValueError(f"epochs must be None for ferro2024-nmpu; got {epochs}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    size = QUICK if quick else Size(test=10_000)
    train, test = fashion(size, flatten=True)
    net = mlp()
    net.build(seed)
    path = None if folder is None else folder / f"ferro2024-nmpu{'-quick' if quick else ''}-{seed}.checkpoint.npz"
    fit(net, train, size.epochs, 1e-3, seed, path)

    def percent(bound: float, post: FixedPoint | None) -> float:
        options: dict[str, Any] = {"programmings": 1, "rng": seed, "calibration": train[0][:1000], "quantile": 1.0}
        return 100 * float(evaluate(net, test, [0.0], chip=chip(bound, post), progress=False, **options).mean[0])

    ranges = {bound: percent(bound, None) for bound in BOUNDS}
    scales = {form: percent(BOUNDS[0], FixedPoint(form, (8, 1))) for form in SCALES}
    offsets = {form: percent(BOUNDS[0], FixedPoint((3, 5), form)) for form in OFFSETS}
    before = 100 * float((net.predict(test[0]).argmax(axis=1) == test[1]).mean())
    return Result(
        "ferro2024-nmpu", REPRODUCTION.source, CRITERION, tuple(_checks(before, ranges, scales, offsets)),
        least=0.0,
        settings={"seed": seed, **size._asdict()},
        data={
            "before": before, "ranges": {f"{b:g}": a for b, a in ranges.items()},
            "scales": {f"({i}, {f})": a for (i, f), a in scales.items()},
            "offsets": {f"({i}, {f})": a for (i, f), a in offsets.items()},
        },
        notes=(
            "A miniature: a perceptron on Fashion-MNIST. Published: 0.12 points lost by ResNet-9 on CIFAR-10 (86.65 %), 0.4 by "
            "ResNet-32 on CIFAR-100, with scales (1, 7) and offsets (7, 1), 139 times faster than in half precision.",
            "Numbers beside ours are of a prototype of this miniature that is not this engine; its network is another.",
        ),
    )  # fmt: skip


def _checks(before: float, ranges: dict[Any, float], scales: dict[Any, float], offsets: dict[Any, float]) -> list[Check]:
    checks = []
    for kind, found in (("range", ranges), ("scale", scales)):
        for key, value in found.items():
            wanted = PROTOTYPE[key]
            checks.append(Check(f"{kind} {key}, %", value, wanted, abs(value - wanted) < 5.0, required=False))
    base = ranges[BOUNDS[0]]
    for bound in (12.0, 8.0):
        checks.append(Check(f"lost by a range of {bound:g}", before - ranges[bound], 3.0, before - ranges[bound] < 3.0))
    checks.append(Check("lost by a range of 2", before - ranges[2.0], 10.0, before - ranges[2.0] > 10.0))
    for form in ((4, 4), (3, 5)):
        checks.append(Check(f"lost by scales {form}", base - scales[form], 0.5, base - scales[form] < 0.5))
    checks.append(Check("lost by scales (0, 8)", base - scales[0, 8], math.nan, base - scales[0, 8] > 0.5))
    checks.append(Check("lost by offsets (6, 0)", base - offsets[6, 0], 0.5, base - offsets[6, 0] < 0.5))
    return checks


def draw(result: Result, width: float | None) -> Figure:
    """Draw accuracy against the formats."""
    from rpusim.plotting.style import panels

    figure, (left, middle, right) = panels(width, 3)
    for ax, kind, label in ((left, "ranges", "range of the ADCs"), (middle, "scales", "format of scales"),
                            (right, "offsets", "format of offsets")):  # fmt: skip
        found = result.data[kind]
        ax.plot(range(len(found)), list(found.values()), "o-")
        ax.axhline(result.data["before"], linestyle="--", color="0.4")
        ax.set_xticks(range(len(found)), list(found))
        ax.set(xlabel=label, ylabel="accuracy (%)")
    return figure


REPRODUCTION = register(
    Reproduction(
        "ferro2024-nmpu",
        "digital processing behind the ADCs in fixed point: ranges, scales and offsets",
        "Ferro et al., arXiv:2402.07549 (2024)",
        run,
        draw,
        trains=True,
        takes="30 s",
        papers=("ferro2024",),
    )
)
