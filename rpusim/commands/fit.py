"""`rpusim fit`: from measured conductance against pulses to a device."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from rpusim._base.table import table
from rpusim.commands.common import beside, positive_int, report, subplots

__all__ = ["add_parser", "run"]


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "fit",
        run,
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
        "--pulses-per-ramp", type=positive_int, metavar="N", help="values of each ramp (turning points are sought)"
    )
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
    sub.add_argument("--figure", type=Path, metavar="FILE.png", help="where the figure goes (in the folder of results)")


def run(args: argparse.Namespace) -> int:
    """Fit a device to measured ramps."""
    import matplotlib

    from rpusim import fitting, plotting
    from rpusim._base.checkpoint import atomic_file

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
        ramps = fitting.read_ramps(path, columns=args.column, direction=direction, pulses_per_ramp=args.pulses_per_ramp)
        up, down, units[ramps.unit] = up + ramps.up, down + ramps.down, path
        for note in ramps.notes:
            print(f"note: {note}")
    if len(units) > 1:
        raise ValueError(f"files must be of one unit; got {', '.join(f'{p}: {u or None}' for u, p in units.items())}")
    if args.devices:
        up, down = [[r] for r in up], [[r] for r in down]
    result = fitting.fit(
        up or None,
        down or None,
        args.model,
        g_min=g_min,
        g_max=g_max,
        hold=hold or None,
        criterion=args.criterion,
        unit=next(iter(units)),
    )

    rows = []
    for name, value in result.values.items():
        relative = (
            name == "dw_min_std" or name.endswith("_dtod") or name.startswith(("up_down", "pow_", "gamma_", "A_", "piece"))
        )
        error = result.standard_errors.get(name, math.inf)
        zero = result.offset if name in ("w_max", "w_min") else 0.0
        in_unit = "" if relative or name == "slow_time" else f"{abs(result.slope) * value + zero:.5g}"
        rows.append(
            [
                name,
                f"{value:.5g}",
                f"{error:.2g}" if math.isfinite(error) else "not told",
                "relative" if relative else "pulses" if name == "slow_time" else "weight",
                in_unit,
            ]
        )
    print(f"{result.n_ramps} ramps of {result.n_devices} device(s), {result.n_values} values; model {result.score.model}\n")
    print(table(["parameter", "value", "std. error", "unit", f"in {result.unit or 'measured units'}"], rows))
    best = {c: min(getattr(s, c) for s in result.comparison) for c in ("aic", "bic")}
    print(
        "\n"
        + table(
            ["model", "parameters", "dAIC", "dBIC", "R2", "R2 of blocks"],
            [
                [
                    s.model,
                    str(s.n_parameters),
                    f"{s.aic - best['aic']:.1f}",
                    f"{s.bic - best['bic']:.1f}",
                    f"{s.r2:.4f}",
                    f"{s.r2_blocks:.4f}",
                ]
                for s in result.comparison
            ],
        )
    )
    print(
        f"\nR2 on the mean curve: {result.r2:.4f} pulse by pulse, {result.r2_blocks:.4f} on means of "
        f"{result.block_length} neighbouring pulses"
    )
    print(f"read noise: {result.read_noise:.4g} (weight units)")
    if result.slow_noise > 0.0:
        print(f"slow read noise: {result.slow_noise:.4g} (weight units), correlated over {result.slow_time:.3g} pulses")
    print(f"value = {result.offset:.6g} + {result.slope:.6g} * weight {result.unit}".rstrip())
    for note in result.notes:
        print(f"note: {note}")
    print(f"\n{result.device!r}\n")

    stem = args.out / f"fit-{sources[0][0].stem}"
    json_path = args.json or beside(stem, ".json")
    json_path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(json_path) as file:
        file.write((json.dumps(result.to_dict(), indent=1) + "\n").encode())
    with matplotlib.rc_context(plotting.style()):
        figure, ax = subplots(6.4, 6.0, 2, 1)
        plotting.fitted_ramps(result, ax=ax[0, 0], rng=args.seed)
        plotting.fit_residuals(result, ax=ax[1, 0])
        title = f"{sources[0][0].name}: {result.score.model}, R2 {result.r2:.4f} ({result.r2_blocks:.4f} on blocks)"
        ax[0, 0].set_title(title)
        figure_path = args.figure or stem
        ending = figure_path.suffix if figure_path.suffix in (".png", ".svg") and args.figure else ""
        written = plotting.save(figure, figure_path.with_name(figure_path.name.removesuffix(ending)))
    report([json_path, *written])
    return 0
