"""`rpusim regression` and `rpusim spiral`: one or two parameters trained on real pulses, beside theory."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim._base.table import table as _table
from rpusim.commands.common import DEMO_DEVICES, add_json, completes, positive_int, preset_names, save_tables
from rpusim.commands.common import labelled as _labelled
from rpusim.commands.common import report as _report
from rpusim.commands.common import save_arrays as _save_arrays

if TYPE_CHECKING:
    from rpusim import experiments

#: names of `rpusim.algorithms.named`, which help texts need before that is loaded
ALGORITHMS = (
    "digital", "sgd", "shd", "ttv1", "ttv2", "c-ttv2", "agad", "mixed-precision", "eapu", "manhattan", "residual",
    "residual-v2", "rider", "e-rider", "multi-tile", "low-rank",
)  # fmt: skip

__all__ = ["add_parser"]


def add_parser(command: Any) -> None:
    """Add both subcommands; `command(name, run, text, examples)` makes a parser."""
    device_help = f"{', '.join(DEMO_DEVICES)}, a preset, or a device as JSON text or a .json file"
    sub = command(
        "regression",
        _regression,
        "train one parameter on y = G0 x + noise, by SGD and by SHD, and compare with theory",
        "  rpusim regression\n"
        "  rpusim regression --device soft-bounds --algorithm sgd --targets 17 --out figures/\n"
        """  rpusim regression --device '{"type": "SoftBounds", "dw_min": 0.01, "up_down": 0.2}'\n""",
    )
    device = sub.add_argument("--device", action="append", help=f"{device_help}; may be repeated (constant-step, soft-bounds)")
    completes(device, lambda: [*DEMO_DEVICES, *preset_names()])
    sub.add_argument("--algorithm", action="append", choices=ALGORITHMS, help="may be repeated (sgd, shd)")
    sub.add_argument("--targets", type=positive_int, default=9, help="number of targets from -0.8 to 0.8 (9)")
    sub.add_argument("--steps", type=positive_int, default=30000, help="samples per run (30000)")
    sub.add_argument("--noise", type=float, default=0.2, help="standard deviation of the samples' noise (0.2)")
    sub.add_argument("--lr", type=float, default=0.01, help="learning rate (0.01)")
    sub.add_argument("--start", type=float, default=0.0, help="weight before the first sample (0)")
    sub.add_argument("--workers", type=positive_int, metavar="N", help="processes that share the runs (one per processor)")
    add_json(sub)

    sub = command(
        "spiral",
        _spiral,
        "draw A against C of SHD: an orbit on symmetric devices, a spiral into the optimum on asymmetric ones",
        "  rpusim spiral\n  rpusim spiral --parameters 2 --out figures/\n",
    )
    device = sub.add_argument("--device", action="append", help=f"{device_help}; may be repeated (constant-step, soft-bounds)")
    completes(device, lambda: [*DEMO_DEVICES, *preset_names()])
    sub.add_argument("--parameters", type=int, choices=[1, 2], default=1, help="weights trained (1)")
    sub.add_argument("--target", type=float, default=0.2, help="target; a second weight gets its negative (0.2)")
    sub.add_argument("--start", type=float, default=-0.2, help="C before the first sample (-0.2)")
    sub.add_argument("--input", choices=["binary", "normal", "uniform"], default="binary", help="law of x (binary: +-1)")
    sub.add_argument("--steps", type=positive_int, default=12000, help="transfers (12000)")
    sub.add_argument("--noise", type=float, default=0.1, help="standard deviation of the samples' noise (0.1)")
    sub.add_argument("--lr", type=float, default=0.005, help="learning rate (0.005)")
    sub.add_argument("--workers", type=positive_int, metavar="N", help="processes that share the runs (one per processor)")
    add_json(sub)


def _regression(args: argparse.Namespace) -> int:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from rpusim import experiments

    targets = np.linspace(-0.8, 0.8, args.targets)
    chosen = _labelled(args.device, experiments.DEMO_DEVICES)
    labels = [(d, a) for d in chosen for a in dict.fromkeys(args.algorithm)]
    rules = [experiments.demo_algorithm(a, chosen[d]) for d, a in labels]
    runs = experiments.sweep(
        rules,
        targets,
        rng=args.seed,
        noise=args.noise,
        lr=args.lr,
        steps=args.steps,
        start=args.start,
        workers=args.workers,
        continuum=True,
    )
    rows, marks = [], set()
    for (label, algorithm), mine in zip(labels, runs, strict=True):
        for run in mine:
            mean, error, theory = float(run.mean[0]), float(run.standard_error[0]), float(run.theory[0])
            mark = _mark(run)
            marks.add(mark)
            where = f"{round(theory, 4) + 0.0:+.4f}{mark}"
            rows.append(
                [
                    label,
                    algorithm,
                    f"{run.target[0]:+.3f}",
                    f"{mean:+.4f}",
                    f"{error:.4f}",
                    where,
                    f"{mean - theory:+.4f}",
                    f"{run.m:.3f}",
                ]
            )
    header = ["device", "algorithm", "target", "final mean", "std. error", "theory", "difference", "m"]
    if marks - {""}:  # digits stay below each other
        rows = [[entry if k != 5 or entry[-1] in MARKS else entry + " " for k, entry in enumerate(row)] for row in rows]
    print(_table(header, rows))
    _explain(marks, rows)
    arrays = {
        f"{d}/{a}/{k}/{name}": value
        for (d, a), mine in zip(labels, runs, strict=True)
        for k, run in enumerate(mine)
        for name, value in run.arrays().items()
    }
    with ThreadPoolExecutor(1) as beside:  # compressing leaves the interpreter to the figures
        saved = beside.submit(_save_arrays, args.out / "regression.npz", args, **arrays)
        written = _regression_figures(args, chosen, labels, runs)
        written.append(saved.result())
    entries = [[entry.strip(" +").rstrip("".join(MARKS)) for entry in row] for row in rows]
    written += save_tables(args.out / "regression.csv", header, entries, args, args.json)
    _report(written)
    return 0


def _explain(marks: set[str], rows: list[list[str]]) -> None:
    """Print what the marks and the nan of a table mean."""
    for mark in MARKS:
        if mark in marks:
            print(f"{mark} {MARKS[mark]}")
    if any(row[4] == "nan" for row in rows):
        print("nan: the tail is worth less than 4 independent values; more --steps have an error")


def _regression_figures(
    args: argparse.Namespace, chosen: Iterable[str], labels: list[tuple[str, str]], runs: Any
) -> list[Path]:
    """Draw the figure of every device."""
    from rpusim import plotting

    written = []
    for name in chosen:
        own = {a.upper(): mine for (d, a), mine in zip(labels, runs, strict=True) if d == name}
        figure = plotting.regression_figure(own, name=name, rng=args.seed, width=args.width)
        written += plotting.save(figure, args.out / f"regression-{name}", args.format)
    return written


#: marks of the theory column, and what they say
MARKS = {
    "~": "neutral: the equations orbit it, and nothing damps them",
    "*": "unstable: the equations leave it",
    "|": "a bound holds the weight there",
    "?": "the equations rest nowhere",
    "=": "the target: there is no theory of where this algorithm rests",
}


def _mark(run: experiments.RegressionRun) -> str:
    """What to say about the theory of a run with one weight."""
    if run.equilibria is None:
        return "" if run.has_theory else "="
    (point,) = run.equilibria
    return "?" if point is None else {"stable": "", "neutral": "~", "unstable": "*", "bound": "|"}[point.stability]


def _spiral(args: argparse.Namespace) -> int:
    import numpy as np

    from rpusim import algorithms, experiments, plotting

    rows, arrays = [], {}
    signs = np.array([1.0] if args.parameters == 1 else [1.0, -1.0])
    target, start = args.target * signs, args.start * signs
    chosen = _labelled(args.device, experiments.DEMO_DEVICES)
    every = 1 if args.parameters == 1 else 10
    rules = [experiments.demo_algorithm("shd", device) for device in chosen.values()]
    rules = [rule.replace(transfer_every=every) for rule in rules]
    if args.parameters == 2:  # SGD beside it (Fig. 3 D)
        rules += [algorithms.SGD(device) for device in chosen.values()]
    common = {"target": target, "noise": args.noise, "lr": args.lr, "steps": args.steps * every, "start": start,
              "rng": args.seed, "input": args.input}  # fmt: skip
    jobs = [{"algorithm": rule, **common} for rule in rules]
    runs = experiments.regressions(jobs, workers=args.workers, continuum=True)

    for (name, device), run in zip(chosen.items(), runs, strict=False):
        rows += _oscillations(name, device, run, every)
        arrays.update({f"{name}/{key}": value for key, value in run.arrays().items()})
    stem = "spiral" if args.parameters == 1 else "spiral-two-parameters"
    sgd = None if args.parameters == 1 else dict(zip(chosen, runs[len(chosen) :], strict=True))
    figure = plotting.spiral_figure(dict(zip(chosen, runs, strict=False)), sgd, width=args.width)
    written = plotting.save(figure, args.out / stem, args.format)
    header = ["device", "target", "final C", "std. error", "final A", "period", "oscillator", "continuum", "damping"]
    print(_table(header, rows))
    print("period: mean +- standard error, in samples, as measured; of the oscillator and of the continuum equations")
    written.append(_save_arrays(args.out / f"{stem}.npz", args, **arrays))
    written += save_tables(args.out / f"{stem}.csv", header, rows, args, args.json)
    _report(written)
    return 0


def _oscillations(name: str, device: Any, run: experiments.RegressionRun, every: int) -> list[list[str]]:
    """Return a row of the table for each weight: where it ends, and its period beside those that theory expects."""
    from rpusim import algorithms, devices, theory
    from rpusim.experiments.at_hand import device_at_hand

    rule = run.algorithm
    assert isinstance(rule, algorithms.SHD)
    continuum = run.continuum()
    integrated = ""
    if isinstance(continuum, theory.SHDTrajectory):
        integrated = f"{_period(continuum.t, continuum.c, run.target[0]).value:.0f}"
    rows = []
    for p, goal in enumerate(run.target):
        kappa = 0.0
        if isinstance(device, devices.PulsedDevice):
            one = device_at_hand(device, run.drawn[0] if run.drawn else None, p)
            kappa = theory.asymmetry(one) if one is not None and math.isfinite(one.symmetry_point) else 0.0
        # a transfer vector reaches each of n weights every n-th transfer
        expected = theory.oscillator(run.lr * rule.fast_lr, run.lr * rule.slow_lr, 1.0, every * len(run.target), kappa, run.m)
        hidden = run.hidden[run.tail :, p].mean() if run.hidden is not None else math.nan
        rows.append(
            [
                name,
                f"{goal:+.2f}",
                f"{run.mean[p]:+.4f}",
                f"{run.standard_error[p]:.4f}",
                f"{hidden:+.4f}",
                _plus_minus(_period(run.t, run.weights[:, p], goal)),
                f"{expected.period:.0f}",
                integrated,
                f"{expected.damping:.2e}",
            ]
        )
    return rows


def _period(t: Any, c: Any, target: float) -> experiments.Period:
    """Period while the swing is above a quarter of the largest, where noise matters little."""
    from rpusim import experiments

    return experiments.oscillation_period(t, c, target, floor=0.25)


def _plus_minus(period: experiments.Period) -> str:
    return "-" if math.isnan(period.value) else f"{period.value:.0f} +- {period.standard_error:.0f}"
