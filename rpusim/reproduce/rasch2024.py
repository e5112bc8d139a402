"""Rasch et al. (2024), Fig. 4: programming a weight matrix by training, against states and reference offset."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rpusim._base import random as _random
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG
from rpusim._base.validation import integer_value
from rpusim.algorithms import AGAD, SGD, Algorithm, ChoppedTikiTaka
from rpusim.devices import SoftBounds, SoftBoundsReference
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.reproduce.base import Check, Reproduction, Result, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["REPRODUCTION", "algorithm", "weight_programming"]

SIZE = 20
STATES = (400, 200, 100, 40, 20, 10)
OFFSETS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
SAMPLES = 50_000
LR, SGD_LR = 0.1, 0.04
DRAWS = 3

#: weight error in %, by algorithm and states, at OFFSETS; what the paper's figure shows (flat rows: one number throughout)
PUBLISHED: dict[str, dict[int, tuple[float, ...]]] = {
    "SGD": {
        400: (7.9, 8.3, 8.9, 14.6, 34.7, 84.5),
        100: (12.6, 12.8, 13.4, 17.9, 34.0, 81.1),
        20: (26.4, 26.6, 27.0, 30.1, 42.0, 82.7),
        10: (38.1, 38.3, 38.6, 41.3, 50.7, 87.0),
    },
    "TTv2": {
        400: (0.8, 3.1, 8.0, 45.6, 82.1, 94.6),
        100: (1.2, 3.3, 7.8, 40.8, 81.8, 94.2),
        20: (4.8, 6.0, 9.0, 30.7, 77.7, 91.8),
        10: (9.8, 10.7, 13.3, 32.9, 76.0, 90.5),
    },
    "c-TTv2": {
        400: (1.7, 1.9, 2.5, 7.6, 14.7, 20.9),
        200: (0.8, 0.8, 0.9, 2.1, 6.6, 14.4),
        100: (1.1, 1.1, 1.1, 1.3, 3.0, 8.4),
        20: (4.2, 4.3, 4.2, 4.2, 4.1, 4.2),
        10: (8.8, 8.9, 8.9, 8.8, 8.9, 8.8),
    },
    "AGAD": {
        400: (0.8,) * 6,
        200: (0.9,) * 6,
        100: (1.2,) * 6,
        40: (2.4,) * 6,
        20: (4.55,) * 6,
        10: (9.45,) * 6,
    },
}
CRITERION = (
    "an entry agrees within 25 % or 1.5 percentage points of the paper; at least 90 % of the published entries must, and every "
    "claim: TTv2 collapses as the offset grows, c-TTv2 is flat at 20 states and below, AGAD is flat everywhere"
)
NOTES = (
    "The paper states neither the number of inputs, nor the rate of A in this task, nor SGD's rate. Target and inputs are "
    "drawn anew with every draw of devices, in the paper they stay. The number of inputs decides the rows of 400 and 200 "
    "states: c-TTv2 gains one pulse of C per read at most, and with forgotten buffers and an offset it is still on its way "
    "there, which is why its published row for 400 states lies above that for 200 even without offset. Errors at 400 states, "
    "offsets 0 and 0.5, after 20,000, 40,000 and 60,000 inputs: 11.6, 2.7, 0.5 and 17.7, 13.1, 11.0 % (published 1.7 and "
    "14.7; one draw). TTv2 with an offset goes the other way, as its weights drift off. Here 50,000.",
    "Pulses of A have no update management and a fixed rate, so that they saturate: then the drift of A follows the signs of "
    "gradients, and TTv2 collapses from offset 0.1 on. With rates scaled to the gradients TTv2 has 2 % there, not 8 %. Of "
    "the rates 1, 2 and 3, 2 agrees best: at 1 TTv2's errors at offsets 0.05 and 0.1 are too small, at 3 those at 10 states "
    "too large.",
    "SGD has the rate 0.04, of four from 0.04 to 0.1 the one that agrees best.",
    "The buffer's rate is taken as lambda n / (gamma_0 dw_min), i.e. gamma_0 = 200 counts reads (1000 inputs), not inputs: "
    "with 200 inputs AGAD ends at twice the printed errors, and c-TTv2 depends on the offset at 20 states. Buffers are "
    "forgotten after a pulse: with the rest kept, c-TTv2 has 2 % at 400 states and offset 1, not 21 %.",
    "Choppers flip regularly (every tenth read of a column). With random flips, c-TTv2 has 10 % at 20 states and offset 1: a "
    "long run of one sign moves C by more than one pulse.",
    "References are clipped to the bounds of A's devices, since devices hold them. Without that, c-TTv2 with offset 1 has "
    "12.0 and 6.1 % at 100 and 20 states (published 8.4 and 4.2; clipped 8.2 and 4.8) and is not flat at 20 states.",
    "What stays off: TTv2 with 0.1 at 100 states, and with 0.5 at 400 states by 1 % of the error; c-TTv2 with 0.25 at 400 "
    "states; all too low; and AGAD with 1 at 10 states, too high by 0.005 points more than allowed. The three that are too "
    "low want noise of the outputs: an offset holds A away from its symmetry point, which takes a mean gradient in "
    "proportion to the noise of gradients, and without other noise that falls with the error. With a noise of 0.3 and a rate "
    "of A of 1, 60,000 inputs, TTv2 with 0.1 has 6.1 % at 100 states (without noise 2.5 %; published 7.8), with 0.5 at 400 "
    "states 66 % (82.1), and 112 entries agree by the criterion; c-TTv2 with 0.25 at 400 states has 5.7 % after 50,000 inputs "
    "(7.6), and 6.3 % with a noise of 0.36. But the errors of AGAD and c-TTv2 at 100 to 400 states grow by 40 to 90 % (AGAD "
    "1.1, 1.3 and 1.8 %, published 0.8, 0.9 and 1.2), and entries within 25 % fall from 105 to 74: so it is not the paper's, "
    "or not in all algorithms, and reads are exact here.",
)


def algorithm(name: str, states: int, offset: float) -> Algorithm:
    """Return one of the four algorithms on the paper's devices of `states` states, with a reference error of `offset`."""
    device: dict[str, Any] = {
        "dw_min": 2.0 / states,
        "dw_min_dtod": 0.3,
        "dw_min_dtod_log_normal": True,
        "dw_min_std": 0.3,
        "up_down_dtod": 0.1,
        "w_max": 1.0,
        "w_min": -1.0,
    }
    weight = SoftBoundsReference(**device, w_max_dtod=0.0, w_min_dtod=0.0, subtract_symmetry_point=True)
    reads = Periphery.ideal()
    pulses = PulseScheme(desired_bl=5, update_management=False, update_bl_management=False)
    if name == "SGD":
        return SGD(weight.replace(reference_std=offset), forward=reads, pulses=pulses)
    settings: dict[str, Any] = {
        "fast": SoftBounds(**device, mult_noise=False),
        "slow": weight,
        "transfer_every": 5,
        "fast_lr": 2.0,
        "auto_granularity": 200.0 * 5,
        "reference_offset_std": offset,
        "zero_shift": "exact",
        "forward": reads,
        "transfer_forward": reads,
        "pulses": pulses,
    }
    if name == "AGAD":
        return AGAD(**settings, in_chop_prob=0.1)
    return ChoppedTikiTaka(**settings, in_chop_prob=0.1 if name == "c-TTv2" else 0.0, in_chop_random=False)


def weight_programming(rule: Algorithm, rng: RNG = None, *, samples: int = SAMPLES, lr: float = LR) -> float:
    """Train a 20 x 20 matrix towards a drawn one, N(0, 0.3), and return the error that is left.

    Inputs are N(0, 1) and the loss is the mean of (W x - W_0 x)^2 / 2, one input at a time. References that are arrays are
    clipped to the bounds of the devices that they belong to.

    Parameters
    ----------
    rule : Algorithm
    rng : int, SeedSequence, Generator or None
    samples : int, default 50000
    lr : float, default 0.1
        Learning rate of `Tile.update`.

    Returns
    -------
    float
        Standard deviation of W - W_0 over the matrix, mean over the last tenth of the inputs, in weight units.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.DigitalSGD()
    >>> rpu.reproduce.weight_programming(rule, 0, samples=2000, lr=0.03) < 1e-3
    True
    """
    samples = integer_value("samples", samples, 20)
    seeds = _random.seed_sequence(rng)
    tile = rule.build((SIZE, SIZE), _random.child(seeds, 0))
    for array, reference in zip(getattr(tile, "arrays", ()), getattr(tile, "references", ()), strict=False):
        if reference is not None:  # references are held by devices like those of their arrays, which have bounds
            reference.program(np.clip(reference.weights, array.parameters["w_min"], array.parameters["w_max"]))
    draws = _random.generator(_random.child(seeds, 1))
    target = draws.normal(0.0, 0.3, (SIZE, SIZE)).astype(np.float32)
    inputs = draws.standard_normal((samples, SIZE), dtype=np.float32)
    wanted = inputs @ target.T
    errors = []
    for k in range(samples):
        x = inputs[k]
        tile.update(x, tile.forward(x) - wanted[k], lr)
        if k >= 0.9 * samples and (samples - 1 - k) % 20 == 0:
            errors.append(float(np.std(tile.weights - target)))
    return float(np.mean(errors))


Errors = dict[tuple[str, int, float], float]  # mean error in %, by algorithm, states and offset


def _against_published(mean: Errors) -> list[Check]:
    checks = []
    for (name, n, offset), measured in mean.items():
        row = dict(zip(OFFSETS, PUBLISHED[name].get(n, ()), strict=False))
        if offset in row:
            agrees = abs(measured - row[offset]) <= max(0.25 * row[offset], 1.5)
            checks.append(Check(f"{name}, {n} states, offset {offset:g}", measured, row[offset], agrees, required=False))
    return checks


def _claims(mean: Errors, states: tuple[int, ...], offsets: tuple[float, ...]) -> list[Check]:
    """What the paper says of its figure; flat is within 1.5 points, or 25 % of the error without offset."""
    checks = []
    for n in states:
        ratio = mean["TTv2", n, 0.5] / mean["TTv2", n, 0.0]
        checks.append(Check(f"TTv2 collapses, {n} states: error at 0.5 / at 0", ratio, math.nan, ratio > 4.0))
        for name, most in (("c-TTv2", 20), ("AGAD", 10**9)):
            if n <= most:
                row = [mean[name, n, offset] for offset in offsets]
                spread = max(row) - min(row)
                checks.append(Check(f"{name} is flat, {n} states: spread", spread, math.nan, spread <= max(1.5, 0.25 * row[0])))
    return checks


def _run(quick: bool, seed: int) -> Result:
    states = (400, 20) if quick else STATES
    offsets = (0.0, 0.1, 0.5, 1.0) if quick else OFFSETS
    draws = 1 if quick else DRAWS
    points = [(name, n, o, k) for name in PUBLISHED for n in states for o in offsets for k in range(draws)]
    single: dict[tuple[str, int, float], list[float]] = {}
    for name, n, offset, k in progress_bar(points, desc="rasch2024-fig4", leave=False):
        lr = SGD_LR if name == "SGD" else LR
        error = weight_programming(algorithm(name, n, offset), seed + k, samples=SAMPLES, lr=lr)
        single.setdefault((name, n, offset), []).append(100.0 * error)
    mean = {point: float(np.mean(values)) for point, values in single.items()}
    table = {name: {str(n): [mean[name, n, o] for o in offsets] for n in states} for name in PUBLISHED}
    return Result(
        REPRODUCTION.name,
        REPRODUCTION.source,
        CRITERION,
        (*_against_published(mean), *_claims(mean, states, offsets)),
        least=0.9,
        settings={
            "samples": SAMPLES,
            "lr": LR,
            "lr of SGD": SGD_LR,
            "draws": draws,
            "seed": seed,
            "states": list(states),
            "offsets": list(offsets),
            "algorithms": {name: algorithm(name, 20, 0.1).to_dict() for name in PUBLISHED},
        },
        data={"error_percent": table, "single_draws": {f"{a}/{n}/{o:g}": v for (a, n, o), v in single.items()}},
        notes=NOTES,
    )


def _draw(result: Result, width: float | None) -> Figure:
    from rpusim.plotting.style import COLORS, legend, panels

    offsets = result.settings["offsets"]
    position = np.arange(len(offsets))
    figure, grid = panels(width, 4, sharey=True)
    for ax, (name, rows) in zip(grid, result.data["error_percent"].items(), strict=True):
        for k, (n, row) in enumerate(rows.items()):
            ax.plot(position, row, "o-", color=COLORS[k], markersize=3, label=f"{n} states")
            published = PUBLISHED[name].get(int(n))
            if published:
                ax.plot(position, [published[OFFSETS.index(o)] for o in offsets], ":", color=COLORS[k])
        ax.set(title=name, xlabel="spread of the reference offset", ylabel="weight error (%)", yscale="log")
        ax.set_xticks(position, [f"{o:g}" for o in offsets])
        ax.tick_params(labelleft=True)
        ax.plot([], [], ":", color="0.4", label="paper")
        legend(ax)
    return figure


REPRODUCTION = register(
    Reproduction(
        "rasch2024-fig4",
        "weight programming against states and reference offset: SGD, TTv2, c-TTv2, AGAD",
        "Rasch et al. (2024), Nat. Commun. 15:7133, Fig. 4",
        _run,
        _draw,
        papers=("rasch2024",),
    )
)
