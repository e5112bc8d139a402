"""`rpusim reproduce`: a published figure or table, beside what was printed."""

from __future__ import annotations

import argparse
import math
import textwrap
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from rpusim._base.table import table
from rpusim.commands.common import beside, completes, going_on, positive_int, report, save_json

if TYPE_CHECKING:
    from rpusim.reproduce import Reproduction

__all__ = ["add_parser", "run"]


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "reproduce",
        run,
        "compute a published figure or table and set it beside what was printed; exit status 1 where its criterion is not met",
        "  rpusim reproduce list\n  rpusim reproduce rasch2024-fig4 --quick\n"
        "  rpusim reproduce rasch2024-fig4 --out figures/\n",
    )
    name = sub.add_argument("name", metavar="NAME", help="what to reproduce; `list` shows all")
    completes(name, _names)
    sub.add_argument("--quick", action="store_true", help="a small part of it, in minutes")
    sub.add_argument("--threads", type=positive_int, help="threads of reads, updates and solves (one per processor)")
    sub.add_argument(
        "--epochs",
        type=positive_int,
        metavar="N",
        help="epochs of the networks it trains (as published); more than in the checkpoints of an earlier run go on from there",
    )
    sub.add_argument("--seeds", type=positive_int, metavar="N", help="of a study: seeds of every network, from --seed on (1)")
    sub.add_argument("--workers", type=positive_int, metavar="N", help="of a study: processes that run it (1)")


def _names() -> list[str]:
    from rpusim import reproduce

    return ["list", *reproduce.names()]


def _entry(entry: Reproduction) -> str:
    """The name of a reproduction, and below it what it is and where from, at most 100 wide."""
    about = [entry.title, entry.source + (f"; takes {entry.takes}" if entry.takes else "")]
    return "\n".join([entry.name, *(textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="  ") for text in about)])


def run(args: argparse.Namespace) -> int:
    """Run a reproduction: exit status 1 where its criterion is not met."""
    from rpusim import reproduce

    if args.name == "list":
        print("\n".join(_entry(reproduce.get(name)) for name in reproduce.names()))
        return 0
    from rpusim import plotting

    entry = reproduce.get(args.name)
    begin = time.monotonic()
    with going_on(f"the checkpoints in {args.out}") if entry.trains else nullcontext():
        result = entry.compute(args.quick, args.seed, args.out if entry.trains else None, args.epochs, args.seeds, args.workers)
    duration = time.monotonic() - begin
    print(f"{entry.source}: {entry.title}\n")
    rows = [
        [check.label, f"{check.measured:.4g}", f"{check.published:.4g}" if math.isfinite(check.published) else "",
         "agrees" if check.passed else "OFF"]
        for check in result.checks
    ]  # fmt: skip
    print(table(["", "measured", "published", ""], rows))
    print(f"\ncriterion: {result.criterion}")
    for note in result.notes:
        print(f"note: {note}")
    agreeing = sum(check.passed for check in result.checks)
    off = len(result.checks) - agreeing
    said = f", and the criterion allows for the {off} that {'is' if off == 1 else 'are'} OFF" if result.passed and off else ""
    print(f"\n{'PASS' if result.passed else 'FAIL'}: {agreeing} of {len(result.checks)} agree{said}")
    stem = args.out / f"{entry.name}{'-quick' if args.quick else ''}"
    written = [save_json(beside(stem, ".json"), args, {**result.to_dict(), "duration_s": round(duration, 1)})]
    report(written + plotting.save(entry.figure(result, args.width), stem, args.format))
    return 0 if result.passed else 1
