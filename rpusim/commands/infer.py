"""`rpusim infer`: a trained network on a chip, over time; `rpusim chip`: what the devices of a chip do."""

from __future__ import annotations

import argparse
import re
import zlib
from pathlib import Path
from textwrap import wrap
from typing import Any

from rpusim._base.table import table
from rpusim.commands.common import (
    beside,
    going_on,
    nonlinearity_of,
    number_or_file,
    positive_int,
    report,
    save_json,
    save_tables,
)

__all__ = ["add_parser", "run", "run_chip"]

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "m": 2592000.0, "y": 31536000.0}
_TASKS = ("mnist", "fashion-mnist", "text")


def add_parser(command: Any) -> None:
    """Add both subcommands; `command(name, run, text, examples)` makes a parser."""
    sub = command(
        "infer",
        run,
        "write a network that `rpusim train` saved onto a chip, let it age, and measure it",
        "  rpusim infer figures/mnist-digital-float32.network.npz --chip hermes --times 1s,1h,1d,1y\n"
        "  rpusim infer net.npz --data fashion-mnist --chip pcm-tutorial --causes\n"
        """  rpusim infer net.npz --data mnist --chip '{"type": "Chip", "model": {"type": "PCM", "prog_scale": 3.0}}'\n""",
    )
    sub.add_argument("network", type=Path, metavar="NETWORK", help="file of a network (`rpusim train`, or Sequential.save)")
    sub.add_argument(
        "--chip", default="pcm-tutorial", metavar="CHIP", help="a chip (`rpusim chip --list`), .json file or JSON text"
    )
    sub.add_argument("--times", type=times, default="1s,1h,1d,1y", metavar="LIST", help="after programming (1s,1h,1d,1y)")
    sub.add_argument("--programmings", type=positive_int, default=10, metavar="N", help="how often it is written anew (10)")
    sub.add_argument(
        "--task", "--data", dest="data", choices=_TASKS, help="what it is measured on (the task in the name of the file)"
    )
    sub.add_argument("--data-dir", type=Path, metavar="PATH", help="folder of the data")
    sub.add_argument("--samples", type=positive_int, metavar="N", help="of the test data, the first (all)")
    sub.add_argument("--causes", action="store_true", help="also what every cause of errors costs alone, at one day")
    sub.add_argument(
        "--read-voltages", type=voltages, metavar="LIST", help="also measured at these (0.05,0.1,0.2), in V, with sinh devices"
    )
    sub.add_argument(
        "--nonlinearity",
        type=number_or_file,
        metavar="A",
        help="alpha of i = g sinh(alpha v)/alpha in 1/V, or the .json file of `rpusim fit --kind iv` (that of the chip)",
    )
    sub.add_argument("--threads", type=positive_int, help="threads of reads (one per processor)")
    show = command(
        "chip",
        run_chip,
        "say what a chip is, and draw what its devices do: errors of programming, drift, noise of reads, spreads",
        "  rpusim chip --list\n  rpusim chip hermes --out figures/\n  rpusim chip hermes --json chip.json\n",
    )
    show.add_argument("name", nargs="?", metavar="NAME", help="a chip, a .json file, or JSON text")
    show.add_argument("--list", action="store_true", help="list the chips")
    show.add_argument("--json", type=Path, metavar="FILE", help="also write the chip as JSON, to use or to change")


def times(text: str) -> list[float]:
    """Times with units and commas between them, as an argument."""
    found = []
    for one in text.split(","):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(s|min|h|d|w|m|y)?\s*", one)
        if match is None:
            units = ", ".join(_UNITS)
            raise argparse.ArgumentTypeError(f"must be times such as 1s,1h,30d,1y, with units {units}; got {one!r}")
        found.append(float(match[1]) * _UNITS[match[2] or "s"])
    return found


def voltages(text: str) -> list[float]:
    """Voltages with commas between them, as an argument."""
    try:
        found = [float(one) for one in text.split(",")]
    except ValueError:
        found = [0.0]
    if min(found) <= 0.0 or max(found) > 100.0:
        raise argparse.ArgumentTypeError(f"must be voltages above 0 and up to 100 V, such as 0.05,0.1,0.2; got {text!r}")
    return found


def _at_voltages(args: argparse.Namespace, net: Any, data: Any, chip: Any, options: dict[str, Any]) -> dict[float, Any]:
    """Measure a network whose devices are read at some voltages."""
    from rpusim import inference

    alpha = chip.periphery.nonlinearity if args.nonlinearity is None else nonlinearity_of(args.nonlinearity)
    if not alpha > 0.0:
        raise ValueError("--nonlinearity must be above 0 for --read-voltages: ohmic devices read the same at all; got none")
    found = {}
    for volts in args.read_voltages:
        bent = chip.replace(periphery=chip.periphery.replace(nonlinearity=alpha, read_voltage=volts))
        found[volts] = inference.evaluate(net, data, args.times, chip=bent, **options)
    return found


def chip_called(text: str) -> tuple[str, Any]:
    """Return a label and the chip of a name, a .json file, or JSON text."""
    from rpusim._base.specification import from_json
    from rpusim.inference import Chip, chips

    if text.lstrip().startswith("{"):
        label, chip = "chip", from_json(text)
    elif text.endswith(".json"):
        label, chip = Path(text).stem, from_json(Path(text).read_text(encoding="utf-8"))
    elif text.replace("_", "-") in chips.names():
        return text.replace("_", "-"), chips.get(text)
    else:
        raise ValueError(f"chip must be one of {', '.join(chips.names())}, a .json file, or JSON text; got {text!r}")
    if not isinstance(chip, Chip):
        raise ValueError(f"chip must describe a Chip; got a {type(chip).__name__}")
    return label, chip


def _data(args: argparse.Namespace, net: Any) -> tuple[str, Any, Any, str]:
    """Return the task, test data, inputs like those of training, and the metric."""
    from rpusim import datasets

    task = args.data
    if task is None:
        task = next((name for name in sorted(_TASKS, key=len, reverse=True) if args.network.name.startswith(f"{name}-")), None)
        if task is None:
            raise ValueError(f"--task must say what {args.network.name} is measured on: {', '.join(_TASKS)}")
        print(f"data: {task}, by the name of the file")
    if task == "text":
        text = datasets.text("warpeace" if args.data_dir is None else str(args.data_dir))
        n = min(100, len(text.test) - 1)
        count = min((len(text.test) - 1) // n, -(-(args.samples or len(text.test)) // n))
        test = text.test[: count * n + 1]
        pairs = test[:-1].reshape(count, n), test[1:].reshape(count, n)
        return task, pairs, text.train[: 100 * n].reshape(-1, n), "cross_entropy"
    flat = any(matrix.inputs == 784 for matrix in net.matrices()[:1])
    found = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}[task](args.data_dir, flatten=flat)
    x, y = found.test
    return task, (x[: args.samples], y[: args.samples]), found.x_train[:1000], "accuracy"


def run(args: argparse.Namespace) -> int:
    """Measure a network on a chip."""
    from rpusim import inference, plotting
    from rpusim.inference.evaluation import duration
    from rpusim.nn import load

    if args.nonlinearity is not None and not args.read_voltages:
        raise ValueError("--nonlinearity must come with --read-voltages, at which devices with it are read; got it alone")
    label, chip = chip_called(args.chip)
    net = load(args.network)
    task, data, seen, metric = _data(args, net)
    static = chip.input_range == "static" and any(m.input_range is None for m in net.matrices())
    options: dict[str, Any] = {"metric": metric, "programmings": args.programmings, "rng": args.seed}
    if static:
        options["calibration"] = seen
        print(f"input ranges: from the first {len(seen)} training inputs")
    args.out.mkdir(parents=True, exist_ok=True)
    name = args.network.name.removesuffix(".npz").removesuffix(".network")
    stem = args.out / f"{name}-on-{label}"
    kept = beside(stem, f".kept-{zlib.crc32(repr((chip, args.times, options['rng'], args.samples)).encode()):08x}.npz")
    with going_on(str(kept)):
        result = inference.evaluate(net, data, args.times, chip=chip, checkpoint=kept, **options)
    print(result)
    causes = {}
    if args.causes:
        causes = inference.causes(net, data, chip=chip, **options)
        rows = [[cause, f"{one.mean[0]:.4f}", f"{one.std[0]:.4f}"] for cause, one in causes.items()]
        print("\nat one day, one cause at a time:")
        print(table(["cause", metric, "std. deviation"], rows))
    written = plotting.save(plotting.inference_figure({label: result}, width=args.width), stem, args.format)
    whole = result.to_dict() | {"task": task, "causes": {cause: one.to_dict() for cause, one in causes.items()}}
    if args.read_voltages:
        found = _at_voltages(args, net, data, chip, options)
        rows = [[f"{volts:g}", *(f"{m:.4f}" for m in one.mean), f"{one.clipped:.1%}"] for volts, one in found.items()]
        print()
        print(table(["read voltage (V)", *(duration(t) for t in args.times), "clipped"], rows))
        figure = plotting.inference_against_figure(found, "read voltage (V)", width=args.width)
        written += plotting.save(figure, beside(stem, "-voltages"), args.format)
        whole["read_voltages"] = {f"{volts:g}": one.to_dict() for volts, one in found.items()}
    written.append(save_json(beside(stem, ".json"), args, whole))
    rows = [[*row.values()] for row in result.table()]
    report([*written, *save_tables(beside(stem, ".csv"), list(result.table()[0]), rows, args), kept])
    return 0


def run_chip(args: argparse.Namespace) -> int:
    """Say what a chip is, or list all."""
    from rpusim.inference import chips

    if args.list:
        if args.name is not None or args.json is not None:
            raise ValueError("--list must be given alone; got a chip or --json beside it")
        width = max(map(len, chips.names())) + 2
        for name in chips.names():
            lines = (part for text in (chips.what(name), chips.source(name)) for part in wrap(text, 100 - width))
            print("\n".join(label.ljust(width) + line for label, line in zip([name, *[""] * 9], lines)))  # noqa: B905
        return 0
    if args.name is None:
        raise ValueError("chip must be a name (`rpusim chip --list`), a .json file, or JSON text; got none")
    from rpusim import plotting
    from rpusim._base.checkpoint import atomic_file

    label, chip = chip_called(args.name)
    print(chip.to_json(indent=1) if label == "chip" else repr(chip))
    if label in chips.names():
        print(f"{chips.what(label)}\nsource: {chips.source(label)}")
    figure = plotting.chip_figure(chip, rng=args.seed, width=args.width)
    written = plotting.save(figure, args.out / f"chip-{label}", args.format)
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(args.json) as file:
            file.write((chip.to_json(indent=2) + "\n").encode())
        written.append(args.json)
    report(written)
    return 0
