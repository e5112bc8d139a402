"""The command `rpusim`."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import rpusim as rpu
from rpusim import algorithms, devices, experiments
from rpusim._core.kernels import active_kernel_set
from rpusim._table import table as _table
from rpusim.specification import from_json

__all__ = ["main"]

#: devices of networks: the classes' defaults, 1200 states with the spreads of Gokmen and Vlasov (2016)
TRAINING_DEVICES: dict[str, devices.Device] = {
    "constant-step": devices.ConstantStep(),
    "linear-step": devices.LinearStep(gamma_up=0.5, gamma_down=0.5),
    "soft-bounds": devices.SoftBounds(),
    "ideal": devices.Ideal(),
}


def _device(text: str, table: dict[str, devices.Device]) -> devices.Device:
    """Return the device called `text`, in `table` or a preset, or described by it as JSON or in a JSON file."""
    if text in table:
        return table[text]
    if text.replace("-", "_") in devices.presets.names():
        return devices.presets.get(text)
    try:
        if text.lstrip().startswith("{"):
            device = from_json(text)
        elif text.endswith(".json"):
            device = from_json(Path(text).read_text(encoding="utf-8"))
        else:
            known = ", ".join([*table, "a preset (`rpusim device --list`)"])
            raise ValueError(f"device must be one of {known}, a .json file, or JSON text; got {text!r}")
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"device {text!r} cannot be read: {error}") from None
    if not isinstance(device, devices.Device):
        raise ValueError(f"device must describe a device; got a {type(device).__name__}")
    return device


def _beside(stem: Path, ending: str) -> Path:
    """Return `stem` with an ending; names may have dots."""
    return stem.with_name(stem.name + ending)


def _labelled(texts: Sequence[str], table: dict[str, devices.Device]) -> dict[str, devices.Device]:
    """Return the devices that are asked for by short labels, fit for tables and file names."""
    out: dict[str, devices.Device] = {}
    for text in dict.fromkeys(texts):
        device = _device(text, table)
        label = Path(text).stem if text.endswith(".json") else text.replace("_", "-")
        if text.lstrip().startswith("{"):
            label = type(device).__name__
        while label in out:
            label += "-2"
        out[label] = device
    return out


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {value}")
    return value


def _figure(width: float, height: float, rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save_arrays(path: Path, **arrays: Any) -> Path:
    """Write an .npz beside its target and move it into place."""
    from rpusim.checkpoint import atomic_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        np.savez_compressed(file, **arrays)
    return path


def _report(paths: Sequence[Path]) -> None:
    for path in paths:
        print(f"wrote {path}")


# ---- regression ------------------------------------------------------------------------------------------------------


def _regression(args: argparse.Namespace) -> int:
    targets = np.linspace(-0.8, 0.8, args.targets)
    chosen = _labelled(args.device, experiments.DEMO_DEVICES)
    labels = [(d, a) for d in chosen for a in dict.fromkeys(args.algorithm)]
    rules = [experiments.demo_algorithm(a, chosen[d]) for d, a in labels]
    runs = experiments.sweep(
        rules, targets, rng=args.seed, noise=args.noise, lr=args.lr, steps=args.steps, start=args.start,
        workers=args.workers, continuum=True,
    )  # fmt: skip
    rows, marks = [], set()
    for (label, algorithm), mine in zip(labels, runs, strict=True):
        for run in mine:
            mean, error, theory = float(run.mean[0]), float(run.standard_error[0]), float(run.theory[0])
            mark = _mark(run)
            marks.add(mark)
            rows.append(
                [label, algorithm, f"{run.target[0]:+.3f}", f"{mean:+.4f}", f"{error:.4f}",
                 f"{round(theory, 4) + 0.0:+.4f}{mark}", f"{mean - theory:+.4f}", f"{run.m:.3f}"]
            )  # fmt: skip
    header = ["device", "algorithm", "target", "final mean", "std. error", "theory", "difference", "m"]
    if marks - {""}:  # digits stay below each other
        rows = [[cell if k != 5 or cell[-1] in MARKS else cell + " " for k, cell in enumerate(row)] for row in rows]
    print(_table(header, rows))
    for mark in MARKS:
        if mark in marks:
            print(f"{mark} {MARKS[mark]}")
    arrays = {
        f"{d}/{a}/{k}/{name}": value
        for (d, a), mine in zip(labels, runs, strict=True)
        for k, run in enumerate(mine)
        for name, value in run.arrays().items()
    }
    with ThreadPoolExecutor(1) as beside:  # compressing leaves the interpreter to the figures
        saved = beside.submit(_save_arrays, args.out / "regression.npz", **arrays)
        written = _regression_figures(args, chosen, labels, runs)
        written.append(saved.result())
    _report(written)
    return 0


def _regression_figures(
    args: argparse.Namespace, chosen: dict[str, devices.Device], labels: list[tuple[str, str]], runs: list[Any]
) -> list[Path]:
    """Draw the figure of every device."""
    import matplotlib

    from rpusim import plotting

    written = []
    with matplotlib.rc_context(plotting.style()):
        for name, device in chosen.items():
            own = [(a, mine) for (d, a), mine in zip(labels, runs, strict=True) if d == name]
            figure, ax = _figure(3.4 * (2 + len(own)), 3.0, 1, len(own) + 2)
            if isinstance(device, devices.PulsedDevice):
                plotting.pulse_response(device, ax=ax[0, 0], rng=args.seed)
            ax[0, 0].set_title(f"{name}: response to pulses")
            for k, (algorithm, mine) in enumerate(own):
                plotting.trajectories(mine[:: max(1, len(mine) // 5)], ax=ax[0, k + 1])
                ax[0, k + 1].set_title(f"{algorithm.upper()}")
                plotting.residuals(mine, ax=ax[0, -1], label=algorithm.upper())
            ax[0, -1].set_title("residual against target")
            written += plotting.save(figure, args.out / f"regression-{name}")
    return written


#: marks of the theory column, and what they say
MARKS = {
    "~": "neutral: the equations orbit it, and nothing damps them",
    "*": "unstable: the equations leave it",
    "|": "a bound holds the weight there",
    "?": "the equations rest nowhere",
}


def _mark(run: experiments.RegressionRun) -> str:
    """What to say about the theory of a run with one weight."""
    if run.equilibria is None:
        return ""
    (point,) = run.equilibria
    return "?" if point is None else {"stable": "", "neutral": "~", "unstable": "*", "bound": "|"}[point.stability]


def _spiral(args: argparse.Namespace) -> int:
    from rpusim import dynamics

    written, rows, arrays = [], [], {}
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

    import matplotlib

    from rpusim import plotting

    with matplotlib.rc_context(plotting.style()):
        figure, ax = _figure(3.6 * len(chosen), 6.0, 2, len(chosen))
        for k, (name, device) in enumerate(chosen.items()):
            run, rule = runs[k], runs[k].algorithm
            assert isinstance(rule, algorithms.SHD)
            fast_lr, slow_lr = run.lr * rule.fast_lr, run.lr * rule.slow_lr
            kappa = 0.0
            if isinstance(device, devices.PulsedDevice) and math.isfinite(device.symmetry_point):
                kappa = dynamics.asymmetry(device)
            # a transfer vector reaches each of n weights every n-th transfer
            theory = dynamics.oscillator(fast_lr, slow_lr, 1.0, every * len(target), kappa, run.m)
            continuum = run.continuum()
            integrated = ""
            if isinstance(continuum, dynamics.SHDTrajectory):
                integrated = f"{_period(continuum.t, continuum.c, args.target).value:.0f}"
            for p, goal in enumerate(run.target):
                period = _period(run.t, run.weights[:, p], goal)
                hidden = run.hidden[run.tail :, p].mean() if run.hidden is not None else math.nan
                rows.append(
                    [name, f"{goal:+.2f}", f"{run.mean[p]:+.4f}", f"{run.standard_error[p]:.4f}", f"{hidden:+.4f}",
                     _plus_minus(period), f"{theory.period:.0f}", integrated,
                     f"{theory.damping:.2e}"]
                )  # fmt: skip
            plotting.hidden_against_weight(run, ax=ax[0, k])
            ax[0, k].set_title(f"SHD, {name}")
            if args.parameters == 1:
                plotting.trajectories([run], ax=ax[1, k])
            else:
                _two_weights(ax[1, k], run, runs[len(chosen) + k])
            arrays.update({f"{name}/{key}": value for key, value in run.arrays().items()})
        stem = "spiral" if args.parameters == 1 else "spiral-two-parameters"
        written += plotting.save(figure, args.out / stem)
    print(
        _table(
            ["device", "target", "final C", "std. error", "final A", "period", "oscillator", "continuum", "damping"],
            rows,
        )
    )
    written.append(_save_arrays(args.out / f"{stem}.npz", **arrays))
    _report(written)
    return 0


def _period(t: Any, c: Any, target: float) -> experiments.Period:
    """Period while the swing is above a quarter of the largest, where noise matters little."""
    return experiments.oscillation_period(t, c, target, floor=0.25)


def _plus_minus(period: experiments.Period) -> str:
    return "-" if math.isnan(period.value) else f"{period.value:.0f} +- {period.standard_error:.0f}"


def _two_weights(ax: Any, run: experiments.RegressionRun, sgd: experiments.RegressionRun) -> None:
    """Draw both weights against each other, for SHD and for SGD on the same device (Fig. 3 D)."""
    for name, one in (("SHD", run), ("SGD", sgd)):
        ax.plot(one.weights[::10, 0], one.weights[::10, 1], linewidth=0.6, label=name)
    ax.plot(*run.target, "k+", markersize=10, label="target")
    ax.set(xlabel="C1 (a.u.)", ylabel="C2 (a.u.)")
    ax.legend(loc="lower left")


# ---- devices ---------------------------------------------------------------------------------------------------------


def _device_command(args: argparse.Namespace) -> int:
    if args.list:
        if args.name is not None or args.json is not None:
            raise ValueError("--list must be given alone; got a device or --json beside it")
        print(_presets_table())
        return 0
    if args.name is None:
        raise ValueError("device must be a preset (`rpusim device --list`), a .json file, or JSON text; got none")
    import matplotlib

    from rpusim import plotting
    from rpusim.checkpoint import atomic_file

    ((label, device),) = _labelled([args.name], {}).items()
    theory = devices.response(device)  # type: ignore[arg-type]
    is_preset = args.name.replace("-", "_") in devices.presets.names()
    sources = devices.presets.source(args.name).citations if is_preset else ()
    print(repr(device))
    for name, value, what in (
        ("granularity", f"{theory.device.granularity:.6g}", "mean step of one pulse at 0, which scales pulse trains"),
        ("states", f"{theory.number_of_states:.5g}", "range over granularity"),
        ("range", f"{theory.w_min:.5g} to {theory.w_max:.5g}", "weight units"),
        ("symmetry point", _or_none(theory.symmetry_point), "where up and down pulses are equal"),
        ("asymmetry", _or_none(theory.asymmetry), "G'/F at the symmetry point, 1/weight unit"),
        ("asymmetry index", _or_none(theory.asymmetry_index), "mean |G|/F: 0 symmetric, 1/2 soft bounds"),
    ):
        print(f"{name:<16}  {value:<16}  {what}")
    for text in sources:
        print(f"{'source':<16}  {text}")
    with matplotlib.rc_context(plotting.style()):
        figure = plotting.device_figure(theory.device, rng=args.seed, n_devices=args.devices)
        written = plotting.save(figure, args.out / f"device-{label}")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(args.json) as file:
            file.write((device.to_json(indent=2) + "\n").encode())
        written.append(args.json)
    _report(written)
    return 0


def _presets_table() -> str:
    rows = []
    for name in devices.presets.names():
        theory = devices.response(devices.presets.get(name))
        rows.append(
            [name.replace("_", "-"), type(theory.device).__name__, f"{theory.number_of_states:,.5g}",
             _or_none(theory.symmetry_point), _or_none(theory.asymmetry_index), devices.presets.source(name).short]
        )  # fmt: skip
    return _table(["preset", "model", "states", "symmetry point", "asymmetry index", "source"], rows)


def _or_none(value: float) -> str:
    return "none" if math.isnan(value) else f"{round(value, 4) + 0.0:.4g}"


# ---- training --------------------------------------------------------------------------------------------------------


def _task(args: argparse.Namespace, rule: algorithms.Algorithm) -> tuple[Any, Any, Any, str]:
    """Return network, training and test data, and what they are in words."""
    from rpusim import datasets
    from rpusim.nn import Sequences
    from rpusim.reproduce.networks import lenet, lstm, perceptron

    if args.task == "text":
        if args.network is not None:
            raise ValueError(f"--network must not be given for text, which is learned by an LSTM; got {args.network!r}")
        text = datasets.text("warpeace" if args.data is None else str(args.data))
        train = Sequences(text.train[: args.samples], args.batch_size, args.length or 100)
        held_out = max(2, min(len(text.test) - 1, 10_000))  # characters of the test in one batch
        cells = args.hidden or 64
        words = f"LSTM 2 x {cells}, {len(text.train[: args.samples])} characters"
        return lstm(rule, cells, len(text.vocabulary)), train, Sequences(text.test, 1, held_out), words
    for name in ("hidden", "length"):
        if getattr(args, name) is not None:
            raise ValueError(f"--{name} must not be given for images, which have no LSTM; got {getattr(args, name)}")
    small = args.network == "lenet"
    data = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}[args.task](args.data, flatten=not small)
    count = min(args.samples or len(data.x_train), len(data.x_train))
    words = f"{'LeNet' if small else '784-256-128-10'}, {count} images"
    return (lenet if small else perceptron)(rule), (data.x_train[:count], data.y_train[:count]), data.test, words


def _train(args: argparse.Namespace) -> int:
    import matplotlib

    from rpusim import plotting
    from rpusim.checkpoint import load
    from rpusim.nn import Trainer

    ((label, device),) = _labelled([args.device], TRAINING_DEVICES).items()
    if args.device.lstrip().startswith("{"):  # files of other devices of this model are others
        label += f"-{zlib.crc32(device.to_json().encode()):08x}"
    rule = algorithms.named.get(args.algorithm, device)
    net, train, test, words = _task(args, rule)
    args.out.mkdir(parents=True, exist_ok=True)
    task = args.task if args.network in (None, "mlp") else f"{args.task}-{args.network}"
    stem = args.out / f"{task}-{args.algorithm}-{label if args.algorithm != 'digital' else 'float32'}"
    lr, drop = args.lr, args.lr_drop
    trainer = Trainer(
        net, "cross_entropy", lr=lambda epoch: lr * 0.5 ** (epoch // drop), rng=args.seed, batch_size=args.batch_size
    )
    print(f"{args.algorithm} on {args.device}: {words}, batch {args.batch_size}, "
          f"{rpu.get_num_threads()} threads, {active_kernel_set()} kernels", flush=True)  # fmt: skip
    path = args.checkpoint or _beside(stem, ".checkpoint.npz")
    before = path.with_name(f".{path.name}.before")
    if args.restart and path.exists():
        load(path)      # raises where it is another file
        path.replace(before)
    shown = 0

    def show(trainer: Trainer) -> None:
        nonlocal shown
        history = trainer.history
        for k in range(shown, len(history)):
            print(f"epoch {k + 1:3d}  lr {history.lr[k]:.4g}  loss {history.train_loss[k]:.4f}  "
                  f"test loss {history.test_loss[k]:.4f}  test error {history.test_error[k]:.2f} %  "
                  f"{history.seconds[k]:.1f} s  {history.samples_per_second[k]:.0f} samples/s", flush=True)  # fmt: skip
        shown = len(history)

    try:
        history = trainer.fit(train, epochs=args.epochs, validation=test, checkpoint=path, callbacks=[show])
    finally:
        if before.exists() and not path.exists():
            before.replace(path)        # nothing has come of it
        before.unlink(missing_ok=True)
    show(trainer)  # where the checkpoint had all epochs
    with matplotlib.rc_context(plotting.style()):
        figure, ax = _figure(4.2, 3.0, 1, 1)
        quantity = "test_loss" if args.task == "text" else "test_error"
        name = args.algorithm if args.algorithm == "digital" else f"{args.algorithm}, {label}"
        plotting.learning_curve({name: history}, quantity, ax=ax[0, 0])
        written = plotting.save(figure, stem)
    history.save_json(_beside(stem, ".json"))
    _report([*written, _beside(stem, ".json"), path])
    return 0


# ---- fit -------------------------------------------------------------------------------------------------------------


def _add_fit(command: Any) -> None:
    """Add the subcommand `fit`; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "fit",
        _fit,
        "fit a device to measured conductance against pulses: parameters, errors, noise, and which model",
        "  rpusim fit measured.csv\n"
        "  rpusim fit set.csv reset.csv --model LinearStep\n"
        "  rpusim fit --up potentiation.csv --down depression.csv --devices --out figures/\n"
        "  rpusim fit cycling.csv --column current_A --pulses-per-ramp 1000 --hold w_max=1 --hold w_min=-1\n",
    )
    sub.add_argument("files", nargs="*", type=Path, metavar="FILE", help="ramps; each is up or down as it goes")
    sub.add_argument("--up", action="append", default=[], type=Path, metavar="FILE", help="up ramps; may be repeated")
    sub.add_argument("--down", action="append", default=[], type=Path, metavar="FILE", help="down ramps; may be repeated")
    sub.add_argument(
        "--column", action="append", metavar="NAME", help="name or number of a column with values; may be repeated"
    )
    sub.add_argument(
        "--pulses-per-ramp", type=_positive_int, metavar="N", help="values of each ramp (turning points are sought)"
    )
    sub.add_argument("--devices", action="store_true", help="each ramp up, and the one down, is of a device of its own")
    sub.add_argument("--model", action="append", help="model to fit; may be repeated (all)")
    sub.add_argument("--criterion", choices=["bic", "aic"], default="bic", help="what chooses among models (bic)")
    sub.add_argument("--normalise", choices=["range", "none"], default="range", help="range: weights -1 and 1 are the "
                     "smallest and the largest value; none: values are weights already (range)")  # fmt: skip
    sub.add_argument("--g-min", type=float, metavar="G", help="value that becomes weight -1 (the smallest)")
    sub.add_argument("--g-max", type=float, metavar="G", help="value that becomes weight 1 (the largest)")
    sub.add_argument("--hold", action="append", default=[], metavar="NAME=VALUE", help="known parameter; may be repeated")
    sub.add_argument("--json", type=Path, metavar="FILE", help="where the result goes (in the folder of results)")
    sub.add_argument("--figure", type=Path, metavar="FILE.png", help="where the figure goes (in the folder of results)")


def _fit(args: argparse.Namespace) -> int:
    import matplotlib

    from rpusim import plotting
    from rpusim.checkpoint import atomic_file

    sources = [(p, None) for p in args.files] + [(p, "up") for p in args.up] + [(p, "down") for p in args.down]
    if not sources:
        raise ValueError("files must name at least one file with ramps, as must --up or --down; got none")
    g_min, g_max = args.g_min, args.g_max
    if args.normalise == "none":
        if g_min is not None or g_max is not None:
            raise ValueError("--g-min and --g-max must not be given with --normalise none, which is -1 and 1")
        g_min, g_max = -1.0, 1.0
    hold = {}
    for text in args.hold:
        name, _, number = text.partition("=")
        try:
            hold[name] = float(number)
        except ValueError:
            raise ValueError(f"--hold must be NAME=VALUE with a number; got {text!r}") from None
    up: list[Any] = []
    down: list[Any] = []
    units = {}
    for path, direction in sources:
        ramps = devices.read_ramps(
            path, columns=args.column, direction=direction, pulses_per_ramp=args.pulses_per_ramp
        )  # fmt: skip
        up, down, units[ramps.unit] = up + ramps.up, down + ramps.down, path
        for note in ramps.notes:
            print(f"note: {note}")
    if len(units) > 1:
        raise ValueError(f"files must be of one unit; got {', '.join(f'{p}: {u or None}' for u, p in units.items())}")
    if args.devices:
        up, down = [[r] for r in up], [[r] for r in down]
    result = devices.fit(
        up or None, down or None, args.model, g_min=g_min, g_max=g_max, hold=hold or None,
        criterion=args.criterion, unit=next(iter(units)),
    )  # fmt: skip

    rows = []
    for name, value in result.values.items():
        relative = (
            name == "dw_min_std" or name.endswith("_dtod") or name.startswith(("up_down", "pow_", "gamma_", "A_", "piece"))
        )
        error = result.standard_errors.get(name, math.inf)
        zero = result.offset if name in ("w_max", "w_min") else 0.0
        in_unit = "" if relative or name == "slow_time" else f"{abs(result.slope) * value + zero:.5g}"
        rows.append([name, f"{value:.5g}", f"{error:.2g}" if math.isfinite(error) else "not told",
                     "relative" if relative else "pulses" if name == "slow_time" else "weight", in_unit])  # fmt: skip
    print(f"{result.n_ramps} ramps of {result.n_devices} device(s), {result.n_values} values; model {result.score.model}\n")
    print(_table(["parameter", "value", "std. error", "unit", f"in {result.unit or 'measured units'}"], rows))
    best = {c: min(getattr(s, c) for s in result.comparison) for c in ("aic", "bic")}
    print("\n" + _table(["model", "parameters", "dAIC", "dBIC", "R2", "R2 of blocks"],
          [[s.model, str(s.n_parameters), f"{s.aic - best['aic']:.1f}", f"{s.bic - best['bic']:.1f}", f"{s.r2:.4f}",
            f"{s.r2_blocks:.4f}"] for s in result.comparison]))  # fmt: skip
    print(f"\nR2 on the mean curve: {result.r2:.4f} pulse by pulse, {result.r2_blocks:.4f} on means of "
          f"{result.block_length} neighbouring pulses")  # fmt: skip
    print(f"read noise: {result.read_noise:.4g} (weight units)")
    if result.slow_noise > 0.0:
        print(f"slow read noise: {result.slow_noise:.4g} (weight units), correlated over {result.slow_time:.3g} pulses")
    print(f"value = {result.offset:.6g} + {result.slope:.6g} * weight {result.unit}".rstrip())
    for note in result.notes:
        print(f"note: {note}")
    print(f"\n{result.device!r}\n")

    stem = args.out / f"fit-{sources[0][0].stem}"
    json_path = args.json or _beside(stem, ".json")
    json_path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(json_path) as file:
        file.write((json.dumps(result.to_dict(), indent=1) + "\n").encode())
    with matplotlib.rc_context(plotting.style()):
        figure, ax = _figure(6.4, 6.0, 2, 1)
        plotting.fitted_ramps(result, ax=ax[0, 0], rng=args.seed)
        plotting.fit_residuals(result, ax=ax[1, 0])
        title = f"{sources[0][0].name}: {result.score.model}, R2 {result.r2:.4f} ({result.r2_blocks:.4f} on blocks)"
        ax[0, 0].set_title(title)
        figure_path = args.figure or stem
        ending = figure_path.suffix if figure_path.suffix in (".png", ".svg") and args.figure else ""
        written = plotting.save(figure, figure_path.with_name(figure_path.name.removesuffix(ending)))
    _report([json_path, *written])
    return 0


# ---- published results -----------------------------------------------------------------------------------------------


def _reproduce(args: argparse.Namespace) -> int:
    """Run a reproduction: exit status 1 where its criterion is not met."""
    import matplotlib

    from rpusim import plotting, reproduce
    from rpusim.checkpoint import atomic_file

    if args.name == "list":
        entries = [reproduce.get(name) for name in reproduce.names()]
        print(_table(["name", "what", "source"], [[entry.name, entry.title, entry.source] for entry in entries]))
        return 0
    entry = reproduce.get(args.name)
    result = entry.compute(args.quick, args.seed, args.out if entry.trains else None, args.epochs)
    print(f"{entry.source}: {entry.title}\n")
    rows = [
        [check.label, f"{check.measured:.4g}", f"{check.published:.4g}" if math.isfinite(check.published) else "",
         "agrees" if check.passed else "OFF"]
        for check in result.checks
    ]  # fmt: skip
    print(_table(["", "measured", "published", ""], rows))
    print(f"\ncriterion: {result.criterion}")
    for note in result.notes:
        print(f"note: {note}")
    agreeing = sum(check.passed for check in result.checks)
    print(f"\n{'PASS' if result.passed else 'FAIL'}: {agreeing} of {len(result.checks)} agree")
    stem = args.out / f"{entry.name}{'-quick' if args.quick else ''}"
    args.out.mkdir(parents=True, exist_ok=True)
    with atomic_file(_beside(stem, ".json")) as file:
        file.write((json.dumps(result.to_dict(), indent=1) + "\n").encode())
    with matplotlib.rc_context(plotting.style()):
        written = plotting.save(entry.draw(result), stem)
    _report([_beside(stem, ".json"), *written])
    return 0 if result.passed else 1


# ---- wires -----------------------------------------------------------------------------------------------------------


def _add_wires(command: Any) -> None:
    """Add the subcommand `wires`; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "wires",
        _wires_command,
        "solve a random array with resistive lines exactly: error of its output, power, voltages of its nodes",
        "  rpusim wires --size 128 --r-wire 1\n"
        "  rpusim wires --size 64 --r-wire 0.5 --r-wire 1 --r-wire 2 --r-on 5e3 --r-off 500e3\n"
        "  rpusim wires --size 256 --columns 64 --r-driver 100 --r-sense 50 --drivers both --out figures/\n"
        "  rpusim wires --size 32 --nonlinearity 3\n",
    )
    sub.add_argument("--size", type=_positive_int, default=128, metavar="N", help="word lines, and bit lines (128)")
    sub.add_argument("--columns", type=_positive_int, metavar="N", help="bit lines (as word lines)")
    sub.add_argument("--r-wire", type=float, action="append", metavar="OHM",
                     help="resistance of every segment; may be repeated (1)")  # fmt: skip
    sub.add_argument("--r-driver", type=float, default=0.0, metavar="OHM", help="of every driver (0)")
    sub.add_argument("--r-sense", type=float, default=0.0, metavar="OHM", help="of every sensor (0)")
    sub.add_argument("--drivers", choices=["left", "both"], default="left", help="ends of word lines that are driven (left)")
    sub.add_argument("--sensors", choices=["bottom", "both"], default="bottom", help="ends that are sensed (bottom)")
    sub.add_argument("--r-on", type=float, default=10e3, metavar="OHM", help="smallest resistance of a device (10e3)")
    sub.add_argument("--r-off", type=float, default=100e3, metavar="OHM", help="largest; uniform between them (100e3)")
    sub.add_argument("--voltage", type=float, default=0.2, metavar="V", help="largest input; uniform from 0 (0.2)")
    sub.add_argument("--nonlinearity", type=float, default=0.0, metavar="1/V", help="alpha of i = g sinh(alpha v)/alpha (0)")
    sub.add_argument("--threads", type=_positive_int, help="threads of solves")


def _wires_command(args: argparse.Namespace) -> int:
    import matplotlib

    from rpusim import plotting

    if not 0.0 < args.r_on <= args.r_off < math.inf:
        raise ValueError(f"--r-on must be positive and at most --r-off, which is finite; got {args.r_on} and {args.r_off}")
    if not 0.0 < args.voltage < math.inf:
        raise ValueError(f"--voltage must be positive and finite; got {args.voltage}")
    rows, columns = args.size, args.columns or args.size
    rng = np.random.default_rng(args.seed)
    g = 1.0 / rng.uniform(args.r_on, args.r_off, (rows, columns))
    v = rng.uniform(0.0, args.voltage, rows)
    lines = {"r_driver": args.r_driver, "r_sense": args.r_sense, "drivers": args.drivers, "sensors": args.sensors}
    table, written = [], []
    for r in dict.fromkeys(args.r_wire or [1.0]):
        network = rpu.wires.Network(g, rpu.Wires(r_word=r, r_bit=r, **lines))
        ideal = v @ g
        if args.nonlinearity:
            ideal = rpu.solve_network(v, 1.0 / g, r_word=0.0, r_bit=0.0, nonlinearity=args.nonlinearity).currents
        solution = network.solution(v, nonlinearity=args.nonlinearity)
        error = 100.0 * np.abs(solution.currents - ideal) / ideal
        table.append([f"{r:g}", f"{error.max():.3f}", f"{error.mean():.3f}", f"{1e6 * solution.power:.5g}", solution.method,
                      str(solution.iterations), f"{solution.residual:.1e}"])  # fmt: skip
        with matplotlib.rc_context(plotting.style()):
            written += plotting.save(plotting.wires_figure(solution, ideal), args.out / f"wires-{rows}x{columns}-{r:g}ohm")
    print(f"{rows} x {columns} devices of {args.r_on:g} to {args.r_off:g} ohm, inputs of 0 to {args.voltage:g} V; "
          "errors of the outputs against ideal lines\n")  # fmt: skip
    header = ["r (ohm)", "worst error (%)", "mean error (%)", "power (uW)", "method", "iterations", "residual"]
    print(_table(header, table))
    _report(written)
    return 0


# ---- arguments -------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rpusim",
        description="Physics of resistive crossbar arrays, and the training algorithms that run on them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  rpusim regression --out figures/\n"
        "  rpusim spiral --device soft-bounds --out figures/\n"
        "  rpusim device --list\n"
        "  rpusim train mnist --algorithm shd --device soft-bounds --epochs 10\n"
        "  rpusim reproduce list\n",
    )
    parser.add_argument("--version", action="version", version=f"rpusim {rpu.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run: Any, text: str, examples: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog="examples:\n" + examples,
        )
        sub.set_defaults(run=run)
        sub.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="folder of results (figures)")
        sub.add_argument("--seed", type=int, default=0, help="seed of everything random (0)")
        return sub

    device_help = f"{', '.join(experiments.DEMO_DEVICES)}, a preset, or a device as JSON text or a .json file"
    sub = command(
        "regression",
        _regression,
        "train one parameter on y = G0 x + noise, by SGD and by SHD, and compare with theory",
        "  rpusim regression\n"
        "  rpusim regression --device soft-bounds --algorithm sgd --targets 17 --out figures/\n"
        """  rpusim regression --device '{"type": "SoftBounds", "dw_min": 0.01, "up_down": 0.2}'\n""",
    )
    sub.add_argument("--device", action="append", help=f"{device_help}; may be repeated (constant-step, soft-bounds)")
    sub.add_argument("--algorithm", action="append", choices=["sgd", "shd", "digital"], help="may be repeated (sgd, shd)")
    sub.add_argument("--targets", type=_positive_int, default=9, help="number of targets from -0.8 to 0.8 (9)")
    sub.add_argument("--steps", type=_positive_int, default=30000, help="samples per run (30000)")
    sub.add_argument("--noise", type=float, default=0.2, help="standard deviation of the samples' noise (0.2)")
    sub.add_argument("--lr", type=float, default=0.01, help="learning rate (0.01)")
    sub.add_argument("--start", type=float, default=0.0, help="weight before the first sample (0)")
    sub.add_argument("--workers", type=_positive_int, metavar="N", help="processes that share the runs (one per processor)")

    sub = command(
        "spiral",
        _spiral,
        "draw A against C of SHD: an orbit on symmetric devices, a spiral into the optimum on asymmetric ones",
        "  rpusim spiral\n  rpusim spiral --parameters 2 --out figures/\n",
    )
    sub.add_argument("--device", action="append", help=f"{device_help}; may be repeated (constant-step, soft-bounds)")
    sub.add_argument("--parameters", type=int, choices=[1, 2], default=1, help="weights trained (1)")
    sub.add_argument("--target", type=float, default=0.2, help="target; a second weight gets its negative (0.2)")
    sub.add_argument("--start", type=float, default=-0.2, help="C before the first sample (-0.2)")
    sub.add_argument("--input", choices=["binary", "normal", "uniform"], default="binary", help="law of x (binary: +-1)")
    sub.add_argument("--steps", type=_positive_int, default=12000, help="transfers (12000)")
    sub.add_argument("--noise", type=float, default=0.1, help="standard deviation of the samples' noise (0.1)")
    sub.add_argument("--lr", type=float, default=0.005, help="learning rate (0.005)")
    sub.add_argument("--workers", type=_positive_int, metavar="N", help="processes that share the runs (one per processor)")

    sub = command(
        "device",
        _device_command,
        "say what a device is, and draw its response to pulses, its steps and its spreads",
        "  rpusim device --list\n"
        "  rpusim device ecram-mo --out figures/\n"
        "  rpusim device reram-array-om --json reram.json\n"
        """  rpusim device '{"type": "SoftBounds", "dw_min": 0.01, "up_down": 0.2}' --devices 50\n""",
    )
    sub.add_argument("name", nargs="?", metavar="NAME", help="a preset, or a device as JSON text or a .json file")
    sub.add_argument("--list", action="store_true", help="list the presets")
    sub.add_argument("--json", type=Path, metavar="FILE", help="also write the device as JSON, to use or to change")
    sub.add_argument("--devices", type=_positive_int, default=20, metavar="N", help="devices drawn in the figure (20)")

    sub = command(
        "train",
        _train,
        "train a network on simulated arrays; continues from its checkpoint if there is one",
        "  rpusim train mnist --algorithm digital\n"
        "  rpusim train mnist --algorithm sgd --device constant-step --epochs 10\n"
        "  rpusim train mnist --algorithm shd --device soft-bounds --samples 10000 --epochs 3\n"
        "  rpusim train mnist --algorithm agad --device reram-array-om --epochs 10\n"
        "  rpusim train fashion-mnist --network lenet --algorithm digital --lr 0.01\n"
        "  rpusim train text --algorithm shd --device onen-saturating --samples 100000 --hidden 32 --lr 0.03\n",
    )
    sub.add_argument("task", choices=["mnist", "fashion-mnist", "text"], help="what to learn; text: the next character")
    sub.add_argument("--network", choices=["mlp", "lenet"], help="for images: 784-256-128-10, or LeNet (mlp)")
    sub.add_argument("--hidden", type=_positive_int, metavar="N", help="cells of each LSTM of text (64)")
    sub.add_argument("--length", type=_positive_int, metavar="N", help="characters per step of text (100)")
    sub.add_argument("--algorithm", choices=algorithms.named.names(), default="sgd", metavar="NAME",
                     help=f"{', '.join(algorithms.named.names())}, with published settings (sgd)")  # fmt: skip
    sub.add_argument(
        "--device",
        default="constant-step",
        help=f"{', '.join(TRAINING_DEVICES)}, a preset, or a device as JSON text or a .json file (constant-step)",
    )
    sub.add_argument("--epochs", type=_positive_int, default=10, help="epochs in all (10)")
    sub.add_argument("--batch-size", type=_positive_int, default=1, help="samples per step (1)")
    sub.add_argument("--samples", type=_positive_int, help="use only the first so many images or characters")
    sub.add_argument("--lr", type=float, default=0.05, help="learning rate (0.05)")
    sub.add_argument("--lr-drop", type=_positive_int, default=4, metavar="N", help="halve it every N epochs (4)")
    sub.add_argument("--threads", type=_positive_int, help="threads of updates")
    sub.add_argument("--data", type=Path, metavar="PATH", help="folder of the four files of images; of text: "
                     "warpeace, tinyshakespeare or a file (warpeace)")  # fmt: skip
    sub.add_argument("--checkpoint", type=Path, metavar="FILE", help="checkpoint (in the folder of results)")
    sub.add_argument("--restart", action="store_true", help="start afresh, over an existing checkpoint")
    _add_fit(command)

    sub = command(
        "reproduce",
        _reproduce,
        "compute a published figure or table and set it beside what was printed; exit status 1 where they disagree",
        "  rpusim reproduce list\n  rpusim reproduce rasch2024-fig4 --quick\n"
        "  rpusim reproduce rasch2024-fig4 --out figures/\n",
    )
    sub.add_argument("name", metavar="NAME", help="what to reproduce; `list` shows all")
    sub.add_argument("--quick", action="store_true", help="a small part of it, in minutes")
    sub.add_argument("--epochs", type=_positive_int, metavar="N", help="epochs of the networks it trains (as published); more "
                     "than in the checkpoints of an earlier run go on from there")  # fmt: skip
    _add_wires(command)
    return parser


def _check_folder(args: argparse.Namespace) -> None:
    """See that results can be written, before they are computed."""
    folder = getattr(args, "out", None)
    if folder is None or getattr(args, "list", False) or getattr(args, "name", None) == "list":
        return
    if getattr(args, "json", None) and getattr(args, "figure", None):  # then nothing is written there
        return
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "cannot be written to" if there.is_dir() else "is no folder"
        raise OSError(f"--out must be a folder for results; got {folder}, where {there} {what}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command in ("regression", "spiral"):
        args.device = args.device or ["constant-step", "soft-bounds"]
    if args.command == "regression":
        args.algorithm = args.algorithm or ["sgd", "shd"]
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")   # units and names of files that the terminal has no letters for
    try:
        _check_folder(args)
        if getattr(args, "threads", None):
            try:
                rpu.set_num_threads(args.threads)
            except ValueError as error:
                raise ValueError(f"--threads {args.threads}: {error}") from None
        status: int = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:     # who read our output has gone; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        print(f"rpusim: not enough memory{f': {error}' if str(error) else ''}", file=sys.stderr)
        return 2
    except (ValueError, TypeError, OSError, rpu.wires.ConvergenceError) as error:
        print(f"rpusim: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rpusim: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
