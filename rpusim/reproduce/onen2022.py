"""Onen et al. (2022), Figs. 1 and 2: where SGD and SHD end on symmetric and asymmetric devices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rpusim import experiments, theory
from rpusim.reproduce.base import Check, Reproduction, Result, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["OSCILLATOR", "RESIDUAL"]

# ---- Fig. 1: the residual of SGD ----------------------------------------------------------------------------------------

DEVICES = {"symmetric": "constant-step", "asymmetric": "soft-bounds"}


def _run_residual(quick: bool, seed: int) -> Result:
    targets, steps = (np.linspace(-0.8, 0.8, 5), 20_000) if quick else (np.linspace(-0.8, 0.8, 9), 60_000)
    cases = [("sgd", "symmetric"), ("sgd", "asymmetric"), ("shd", "asymmetric")]
    rules = [experiments.demo_algorithm(a, experiments.demo_device(DEVICES[d])) for a, d in cases]
    runs = experiments.sweep(rules, targets, rng=seed, steps=steps, noise=0.5, lr=0.01)
    checks, data = [], {"target": targets.tolist()}
    for (name, device), mine in zip(cases, runs, strict=True):
        label = f"{name.upper()}, {device} device"
        mean = np.array([float(run.mean[0]) for run in mine])
        theory = np.array([float(run.theory[0]) for run in mine])
        data[label] = mean.tolist()
        data[f"{label}, theory"] = theory.tolist()
        for target, got, expected in zip(targets, mean, theory, strict=True):
            checks.append(Check(f"{label}, target {target:+.1f}", got, expected, abs(got - expected) < 0.04))
        if (name, device) == ("sgd", "asymmetric"):
            residual = np.abs(mean - targets)
            left, right = residual[: len(targets) // 2 + 1], residual[len(targets) // 2 :]
            v_shape = bool(np.all(np.diff(left) < 0) and np.all(np.diff(right) > 0))
            checks.append(Check("residual of SGD at 0.8, zero only at the symmetry point", residual[-1], math.nan, v_shape))
    return Result(
        RESIDUAL.name,
        RESIDUAL.source,
        "every final weight within 0.04 of theory: (h G0 + kappa m G_sym) / (h + kappa m) for SGD on the asymmetric device, "
        "the target for SGD on the symmetric one and for SHD on the asymmetric one; the residual of SGD is V-shaped",
        tuple(checks),
        settings={"steps": steps, "noise": 0.5, "lr": 0.01, "seed": seed},
        data=data,
        notes=('"Published" is the closed form that follows from Eq. 2; the figure has no numbers.',),
    )


def _draw_residual(result: Result, width: float | None) -> Figure:
    from rpusim.plotting.style import legend, name_axis, panels

    figure, (ax,) = panels(width, 1)
    target = np.array(result.data["target"])
    for label in [name for name in result.data if name != "target" and not name.endswith("theory")]:
        (line,) = ax.plot(target, np.abs(np.array(result.data[label]) - target), "o", label=label)
        ax.plot(target, np.abs(np.array(result.data[f"{label}, theory"]) - target), color=line.get_color())
    ax.plot([], [], color="0.4", label="theory")
    ax.set_xlabel("target (a.u.)")
    name_axis(ax.yaxis, "|final weight \N{MINUS SIGN} target|", "a.u.")
    legend(ax)
    return figure


RESIDUAL = register(
    Reproduction(
        "onen2022-fig1",
        "residual of SGD on symmetric and asymmetric devices, and of SHD",
        "Onen et al. (2022), Front. Artif. Intell., arXiv:2201.13377, Fig. 1",
        _run_residual,
        _draw_residual,
        papers=("onen2022",),
    )
)

# ---- Fig. 2: orbit and spiral -------------------------------------------------------------------------------------------


def _run_oscillator(quick: bool, seed: int) -> Result:
    repeats, steps, lr = (2, 8000, 0.005) if quick else (8, 12_000, 0.005)
    runs = {}
    for label, name in DEVICES.items():
        rule = experiments.demo_algorithm("shd", experiments.demo_device(name))
        runs[label] = [
            experiments.regression(rule, 0.2, start=-0.2, noise=0.1, lr=lr, steps=steps, input="binary", rng=1000 * seed + k)
            for k in range(repeats)
        ]
    expected = theory.oscillator(lr, 2 * lr, 1.0).period
    period = float(np.mean([experiments.oscillation_period(r.t, r.weights[:, 0], 0.2).value for r in runs["symmetric"]]))

    def swing(label: str, part: slice) -> float:
        return float(np.mean([np.std(run.weights[part, 0] - 0.2) for run in runs[label]]))

    early, late = slice(0, steps // 6), slice(-steps // 6, None)
    ratio = {label: swing(label, late) / swing(label, early) for label in DEVICES}
    error = abs(float(np.mean([run.weights[late, 0].mean() for run in runs["asymmetric"]])) - 0.2)
    checks = [
        Check("period of the orbit, samples", period, expected, abs(period / expected - 1.0) < 0.05),
        Check("late over early swing, symmetric", ratio["symmetric"], 1.0, ratio["symmetric"] > 0.8),
        Check("late over early swing, asymmetric", ratio["asymmetric"], math.nan, ratio["asymmetric"] < 0.3),
        Check("distance of the mean from the target, asymmetric", error, 0.0, error < 0.01),
    ]
    data = {label: {"C": mine[0].weights[::10, 0].tolist(), "A": np.asarray(mine[0].hidden)[::10, 0].tolist()}
            for label, mine in runs.items()}  # fmt: skip
    return Result(
        OSCILLATOR.name,
        OSCILLATOR.source,
        "on symmetric devices SHD orbits the target with the period 2 pi / sqrt(eta_A eta_C) within 5 % and does not decay; on "
        "asymmetric ones the swing falls below 30 % and the mean is within 0.01 of the target",
        tuple(checks),
        settings={"steps": steps, "repeats": repeats, "lr": lr, "noise": 0.1, "seed": seed},
        data=data,
    )


def _draw_oscillator(result: Result, width: float | None) -> Figure:
    from rpusim.plotting.style import legend, panels

    figure, grid = panels(width, 2, sharex=True, sharey=True)
    for ax, (label, path) in zip(grid, result.data.items(), strict=True):
        ax.plot(path["C"], path["A"], linewidth=0.5, label="every tenth sample")
        ax.plot(0.2, 0.0, "k+", markersize=8, label="target")
        ax.set(title=f"{label} devices", xlabel="C (a.u.)", ylabel="A (a.u.)")
        ax.tick_params(labelbottom=True, labelleft=True)
        legend(ax)
    return figure


OSCILLATOR = register(
    Reproduction(
        "onen2022-fig2",
        "SHD orbits the target on symmetric devices and spirals into it on asymmetric ones",
        "Onen et al. (2022), Front. Artif. Intell., arXiv:2201.13377, Fig. 2",
        _run_oscillator,
        _draw_oscillator,
        papers=("onen2022",),
    )
)
