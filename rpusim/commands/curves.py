"""`rpusim curves`: what `rpusim train` wrote, in one figure."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from rpusim._base.table import table
from rpusim.commands.common import add_json, report, save_tables

if TYPE_CHECKING:
    from rpusim.nn import History

__all__ = ["add_parser", "run"]

QUANTITIES = ("test_error", "test_loss", "train_loss")


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "curves",
        run,
        "draw learning curves of several trainings over each other; those of one label as a mean and its spread",
        "  rpusim curves figures/mnist-sgd-constant-step.json figures/mnist-shd-soft-bounds.json\n"
        "  rpusim curves figures/mnist-shd-soft-bounds*.json    # of all seeds, which share a label by themselves\n"
        "  rpusim curves a.json b.json c.json --labels SGD SHD SHD --width 3.3 --format pdf\n",
    )
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON that `rpusim train` wrote")
    sub.add_argument("--labels", nargs="+", metavar="NAME", help="a name for each file (that of the file, without its seed)")
    sub.add_argument("--quantity", choices=QUANTITIES, help="what is drawn (test_error, or test_loss where there is none)")
    add_json(sub)


def _history(path: Path) -> tuple[History, Any]:
    """What a file holds, and the seed it was trained with, if it says so."""
    from rpusim.nn import History

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        command = data.pop("command", {})
        history = History()
        history.load_state_dict(data)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"file {str(path)!r} must be JSON that `rpusim train` wrote: {error}") from None
    if not len(history):
        raise ValueError(f"file {str(path)!r} must hold at least one epoch; got none")
    return history, command.get("seed") if isinstance(command, dict) else None


def _last(label: str, runs: list[History]) -> list[str]:
    """A row of what runs of one label end at: mean and standard deviation of the last epoch."""
    row = [label, str(len(runs)), str(len(runs[0]))]
    for name in QUANTITIES:
        values = [getattr(run, name)[-1] for run in runs]
        if any(value is None for value in values):
            row.append("")
        else:
            row.append(f"{fmean(values):.4g}" + (f" +- {stdev(values):.2g}" if len(values) > 1 else ""))
    return row


def run(args: argparse.Namespace) -> int:
    """Draw all histories."""
    from rpusim import plotting

    labels = args.labels or [re.sub(r"-seed-?\d+$", "", path.stem) for path in args.files]
    if len(labels) != len(args.files):
        raise ValueError(f"--labels must name each of the {len(args.files)} files; got {len(labels)}")
    histories: dict[str, list[History]] = {}
    rows: list[list[object]] = []
    for label, path in zip(labels, args.files, strict=True):
        history, seed = _history(path)
        histories.setdefault(label, []).append(history)
        for k in range(len(history)):
            rows.append([label, str(path), seed, k + 1, *(getattr(history, name)[k] for name in QUANTITIES)])
    every = [history for mine in histories.values() for history in mine]
    has_errors = all(error is not None for history in every for error in history.test_error)
    quantity = args.quantity or ("test_error" if has_errors else "test_loss")
    figure = plotting.learning_figure(histories, quantity, width=args.width)
    written = plotting.save(figure, args.out / "curves", args.format)
    print(table(["label", "runs", "epochs", *QUANTITIES], [_last(label, mine) for label, mine in histories.items()]))
    if any(len(mine) > 1 for mine in histories.values()):
        print("last epoch: mean +- standard deviation over the runs")
    header = ["label", "file", "seed", "epoch", *QUANTITIES]
    report(written + save_tables(args.out / "curves.csv", header, rows, args, args.json))
    return 0
