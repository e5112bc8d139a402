"""Wu et al. (2024): the error that SGD on asymmetric devices does not lose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rpusim._base import random as _random
from rpusim.algorithms import SGD, DigitalSGD
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.reproduce.base import Check, Reproduction, Result, register
from rpusim.reproduce.least_squares import descend, noise_free, problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ASYMPTOTIC", "LOWER_BOUND"]

EXACT = Periphery.ideal()

# ---- Fig. 3: asymptotic error against tau, noise and start --------------------------------------------------------------

#: plateaus read off Fig. 3, by tau; digital SGD is at 6e-5 to 9e-5
PLATEAUS = {1.0: 1e-3, 1.5: 5e-4, 2.0: 3.5e-4, 2.5: 2.5e-4}
DIGITAL = 7.5e-5
NOISES = (0.03, 0.1, 0.3)
STARTS = (-0.8, 0.0, 0.8)


def _sgd(tau: float) -> SGD:
    return SGD(noise_free(tau / 300, tau), forward=EXACT, pulses=PulseScheme(desired_bl=5000))


def _run_asymptotic(quick: bool, seed: int) -> Result:
    steps = 4000 if quick else 20000
    hessian, target = problem(seed, 100, 40, 0.5, 0.3)

    def plateau(rule: SGD | DigitalSGD, noise: float = 0.1, start: float = 0.0) -> float:
        losses = descend(rule, hessian, target, seed, lr=0.03, steps=steps, noise=noise, start=start, record_every=20)
        return float(losses[len(losses) // 2 :].mean())

    digital = plateau(DigitalSGD())
    by_tau = {tau: plateau(_sgd(tau)) for tau in PLATEAUS}
    by_noise = {noise: plateau(_sgd(1.0), noise=noise) for noise in NOISES}
    by_start = {start: plateau(_sgd(1.0), start=start) for start in STARTS}
    checks = [
        Check(f"plateau, tau {tau:g}", by_tau[tau], published, 1 / 3 <= by_tau[tau] / published <= 3)
        for tau, published in PLATEAUS.items()
    ]
    checks.append(Check("plateau, digital SGD", digital, DIGITAL, 1 / 3 <= digital / DIGITAL <= 3))
    values = list(by_tau.values())
    checks.append(
        Check(
            "least fall from one tau to the next",
            min(a / b for a, b in zip(values, values[1:], strict=False)),
            math.nan,
            all(a > b for a, b in zip(values, values[1:], strict=False)),
        )
    )
    checks.append(Check("tau 1 over digital", values[0] / digital, 1e-3 / DIGITAL, values[0] > 3 * digital))
    grows = list(by_noise.values())
    checks.append(Check("noise 0.3 over noise 0.03", grows[-1] / grows[0], math.nan, sorted(grows) == grows))
    spread = max(by_start.values()) / min(by_start.values())
    checks.append(Check("largest over smallest plateau of three starts", spread, 1.0, spread < 1.25))
    return Result(
        ASYMPTOTIC.name,
        ASYMPTOTIC.source,
        "plateaus within a factor of 3 of the plot, falling as tau grows, growing with the noise, the same from all starts "
        "within 25 %, and above digital SGD",
        tuple(checks),
        settings={"steps": steps, "lr": 0.03, "noise": 0.1, "states": 600, "seed": seed},
        data={
            "digital": digital,
            "tau": {f"{k:g}": v for k, v in by_tau.items()},
            "noise": {f"{k:g}": v for k, v in by_noise.items()},
            "start": {f"{k:g}": v for k, v in by_start.items()},
        },
        notes=(
            "The noise is that of the gradient, N(0, 0.1^2) for each weight; the paper's code adds it to the weights of a "
            "read, scaled so that the gradient has about as much.",
        ),
    )


def _draw_asymptotic(result: Result, width: float | None) -> Figure:
    from rpusim.plotting.style import legend, panels

    figure, axes = panels(width, 3, sharey=True)
    for ax, (name, label) in zip(axes, (("tau", "tau"), ("noise", "noise of gradients"), ("start", "start")), strict=True):
        x = [float(k) for k in result.data[name]]
        ax.plot(x, list(result.data[name].values()), "o-", label="SGD by pulses")
        if name == "tau":
            ax.plot(list(PLATEAUS), list(PLATEAUS.values()), "k:", label="paper")
        ax.axhline(result.data["digital"], color="0.5", linewidth=0.8, label="digital SGD, noise 0.1")
        ax.set(xlabel=label, ylabel="loss that is left", yscale="log")
        ax.tick_params(labelleft=True)
        legend(ax)
    return figure


ASYMPTOTIC = register(
    Reproduction(
        "wu2024-fig3",
        "asymptotic error of SGD on asymmetric devices against tau, noise and start",
        "Wu et al. (2024), NeurIPS, arXiv:2406.12774, Figs. 3 and 4",
        _run_asymptotic,
        _draw_asymptotic,
        papers=("wu2024",),
    )
)

# ---- Theorem 3: the tight instance --------------------------------------------------------------------------------------

#: tau, w*, sigma of one weight
INSTANCES = ((1.0, 0.25, 0.1), (1.0, 0.15, 0.1), (2.0, 0.5, 0.2))
RATE = 0.003


def _instance(tau: float, target: float, sigma: float, steps: int, copies: int, seed: int) -> tuple[float, float]:
    """Mean of the squared gradient and of sigma^2 S over the second half, for copies of f = (w - w*)^2 / 2."""
    seeds = _random.seed_sequence(seed)
    rule = SGD(noise_free(2e-5 * tau, tau), forward=EXACT, pulses=PulseScheme(desired_bl=1000))
    tile = rule.build((copies, 1), _random.child(seeds, 0))
    tile.program(np.full((copies, 1), target))
    draws = _random.generator(_random.child(seeds, 1))
    squared, bound, count = 0.0, 0.0, 0
    one = np.ones(1, np.float32)
    for step in range(steps):
        w = tile.weights[:, 0].astype(np.float64)
        p = 0.5 * (1.0 - w / tau)
        noise = sigma * np.where(draws.random(copies) < p, np.sqrt((1 - p) / p), -np.sqrt(p / (1 - p)))
        if step >= steps // 2:
            squared += float(np.mean((w - target) ** 2))
            bound += sigma**2 * float(np.mean((w / tau) ** 2 / (1 - (w / tau) ** 2)))
            count += 1
        tile.update(one, (w - target + noise).astype(np.float32), RATE)
    return squared / count, bound / count


def _run_lower_bound(quick: bool, seed: int) -> Result:
    steps, copies = (4000, 50) if quick else (12000, 200)
    checks, data = [], {}
    for tau, target, sigma in INSTANCES:
        squared, bound = _instance(tau, target, sigma, steps, copies, seed)
        c = squared / bound
        label = f"tau {tau:g}, w* {target:g}, sigma {sigma:g}"
        data[label] = {"squared_gradient": squared, "sigma2_S": bound}
        checks.append(Check(f"{label}: squared gradient / sigma^2 S", c, 4.0, 0.75 <= c <= 4.0))
    constants = [check.measured for check in checks]
    checks.append(
        Check("largest / smallest constant", max(constants) / min(constants), 1.0, max(constants) < 1.35 * min(constants))
    )
    return Result(
        LOWER_BOUND.name,
        LOWER_BOUND.source,
        "the squared gradient that is left is a constant times sigma^2 S, the same for all instances within 35 %, from 0.75 "
        "(a lower bound of order sigma^2 S) to 4, which arXiv version 1 prints",
        tuple(checks),
        settings={"steps": steps, "copies": copies, "lr": RATE, "seed": seed},
        data=data,
        notes=(
            "The constant is about 1, not 4: with p = (1 - w / tau) / 2 the step 2 sqrt(p (1 - p)) of the proof is "
            "sqrt(1 - w^2 / tau^2), and its factor 2 is counted again. The order of the bound is not affected. What "
            "exceeds 1 is of the order of the rate.",
        ),
    )


def _draw_lower_bound(result: Result, width: float | None) -> Figure:
    from rpusim.plotting.style import legend, panels

    figure, (ax,) = panels(width, 1)
    bound = np.array([entry["sigma2_S"] for entry in result.data.values()])
    squared = np.array([entry["squared_gradient"] for entry in result.data.values()])
    ax.plot(bound, squared, "o", label="SGD by pulses")
    line = np.array([bound.min() / 1.5, bound.max() * 1.5])
    ax.plot(line, line, "k-", linewidth=0.8, label="$\\sigma^2 S$")
    ax.plot(line, 4 * line, "k:", label="$4 \\sigma^2 S$ (printed)")
    ax.set(xscale="log", yscale="log", xlabel="$\\sigma^2 S$", ylabel="squared gradient that is left")
    legend(ax)
    return figure


LOWER_BOUND = register(
    Reproduction(
        "wu2024-theorem3",
        "the instance on which SGD's lower bound is tight",
        "Wu et al. (2024), NeurIPS, arXiv:2406.12774, Theorem 3",
        _run_lower_bound,
        _draw_lower_bound,
        papers=("wu2024",),
    )
)
