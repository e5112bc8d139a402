"""`rpusim fit`: from measured conductance against pulses to a device."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim.commands.common import beside, figure_file, not_negative_int, positive_int, report, save_json
from rpusim.commands.fit_kinds import add_arguments, kind_asked, run_kind

if TYPE_CHECKING:
    from rpusim.fitting import Ramps

__all__ = ["add_parser", "run"]


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "fit",
        run,
        "fit a device to measured conductance against pulses: parameters, errors, noise, and which model; or to other "
        "measurements: tables of steps, NeuroSim's parameters, retention, endurance, current against voltage",
        "  rpusim fit measured.csv\n"
        "  rpusim fit ltp.csv ltd.csv --out my.json; rpusim train mnist --device my.json\n"
        "  rpusim fit set.csv reset.csv --model LinearStep\n"
        "  rpusim fit book.xlsx --sheet device3 --columns 'G (uS)' --group cycle\n"
        "  rpusim fit --up potentiation.csv --down depression.csv --devices --out figures/\n"
        "  rpusim fit cycling.csv --column current_A --pulses-per-ramp 1000 --hold w_max=1 --hold w_min=-1\n"
        "  rpusim fit retention.csv --kind retention; rpusim fit endurance.csv; rpusim fit iv.csv --v-max 0.5\n"
        "  rpusim fit dG_increasing.txt dG_decreasing.txt --out my.json; rpusim fit Cell.cpp --kind neurosim\n",
        file="the result",
    )
    sub.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="ramps, each up or down as it goes, or what --kind says"
    )
    add_arguments(sub)
    sub.add_argument("--up", action="append", default=[], type=Path, metavar="FILE", help="up ramps; may be repeated")
    sub.add_argument("--down", action="append", default=[], type=Path, metavar="FILE", help="down ramps; may be repeated")
    _add_reading(sub)
    sub.add_argument("--devices", action="store_true", help="each ramp up, and the one down, is of a device of its own")
    sub.add_argument("--model", action="append", help="model to fit; may be repeated (all)")
    sub.add_argument("--criterion", choices=["bic", "aic"], default="bic", help="what chooses among models (bic)")
    sub.add_argument(
        "--normalise",
        choices=["range", "none"],
        default="range",
        help="range: weights -1 and 1 are the smallest and the largest value; none: values are weights already (range)",
    )
    sub.add_argument("--g-min", type=float, metavar="G", help="value that becomes weight -1 (the smallest)")
    sub.add_argument("--g-max", type=float, metavar="G", help="value that becomes weight 1 (the largest)")
    sub.add_argument("--hold", action="append", default=[], metavar="NAME=VALUE", help="known parameter; may be repeated")
    sub.add_argument("--json", type=Path, metavar="FILE", help="where the result goes (in the folder of results)")
    sub.add_argument("--figure", type=figure_file, metavar="FILE.pdf", help="where the figure goes (in the folder of results)")


def _add_reading(sub: argparse.ArgumentParser) -> None:
    """What a file may need to be read."""
    sub.add_argument(
        "--column", "--columns", action="append", metavar="NAME", help="name or number of a column with values; may be repeated"
    )
    sub.add_argument(
        "--group", action="append", metavar="NAME", help="name or number of a column that tells ramps apart; may be repeated"
    )
    sub.add_argument(
        "--pulses-per-ramp", type=positive_int, metavar="N", help="values of each ramp (turning points are sought)"
    )
    sub.add_argument("--skip-rows", type=not_negative_int, default=0, metavar="N", help="lines at the top to pass over (0)")
    sub.add_argument("--sheet", metavar="NAME", help="name or number of a sheet of a workbook (the first with numbers)")
    sub.add_argument("--encoding", metavar="NAME", help="encoding of text files (found by itself)")
    sub.add_argument("--read-voltage", type=float, metavar="V", help="voltage at which currents were read (none)")


def run(args: argparse.Namespace) -> int:
    """Fit a device to measured ramps, or what else the files hold."""
    from rpusim import fitting, plotting

    sources: list[tuple[Path, str | None]] = (
        [(p, None) for p in args.files] + [(p, "up") for p in args.up] + [(p, "down") for p in args.down]
    )
    if not sources:
        raise ValueError("files must name at least one file with ramps, as must --up or --down; got none")
    kind = kind_asked(args)
    if kind != "ramps":
        return run_kind(args, kind)
    g_min, g_max = args.g_min, args.g_max
    if args.normalise == "none":
        if g_min is not None or g_max is not None:
            raise ValueError("--g-min and --g-max must not be given with --normalise none, which is -1 and 1")
        g_min, g_max = -1.0, 1.0
    options = {"g_min": g_min, "g_max": g_max, "hold": _held(args.hold), "criterion": args.criterion}
    ramps = _ramps(args, sources)
    if args.devices:
        if ramps.devices:
            raise ValueError("--devices must not be given where a file names its devices, which are then told apart anyway")
        for note in ramps.notes:
            print(f"note: {note}")
        up, down = [[r] for r in ramps.up], [[r] for r in ramps.down]
        result = fitting.fit(up or None, down or None, args.model, unit=ramps.unit, **options)
    else:
        result = fitting.fit(ramps, None, args.model, **options)
    print(f"{result}\n")
    stem, json_path = args.out / f"fit-{sources[0][0].stem}", args.json
    if args.out.suffix == ".json":
        stem, json_path = args.out.with_suffix(""), json_path or args.out
    written = [save_json(json_path or beside(stem, ".json"), args, result.to_dict())]
    figure = plotting.fit_figure(result, rng=args.seed, name=_title([path.name for path, _ in sources]), width=args.width)
    report(written + plotting.save(figure, args.figure or stem, args.format))
    return 0


def _title(names: list[str]) -> str:
    """Names of files, the first ones where they are many."""
    rest = len(names) - 2
    return ", ".join(names[:2]) + (f" and {rest} other{'s' if rest > 1 else ''}" if rest > 0 else "")


def _held(texts: list[str]) -> dict[str, float] | None:
    hold = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            hold[name] = float(number)
        except ValueError:
            raise ValueError(f"--hold must be NAME=VALUE with a number; got {text!r}") from None
    return hold or None


def _ramps(args: argparse.Namespace, sources: list[tuple[Path, str | None]]) -> Ramps:
    """The ramps of all files."""
    from rpusim import fitting

    whole: Ramps | None = None
    for path, direction in sources:
        ramps = fitting.read_ramps(
            path,
            columns=args.column,
            direction=direction,
            pulses_per_ramp=args.pulses_per_ramp,
            skip_rows=args.skip_rows,
            sheet=args.sheet,
            encoding=args.encoding,
            group=args.group,
            read_voltage=args.read_voltage,
        )
        whole = ramps if whole is None else whole.and_those_of(ramps)
    assert whole is not None
    return whole
