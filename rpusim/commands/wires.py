"""`rpusim wires`: a random array with resistive lines, solved exactly."""

from __future__ import annotations

import argparse
import math
from typing import Any

from rpusim._base.table import table
from rpusim.commands.common import add_json, nonlinearity_of, number_or_file, positive_int, report, save_tables

__all__ = ["add_parser", "run"]


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "wires",
        run,
        "solve a random array with resistive lines exactly: error of its output, power, voltages of its nodes",
        "  rpusim wires --size 128 --r-wire 1\n"
        "  rpusim wires --size 64 --r-wire 0.5 --r-wire 1 --r-wire 2 --r-on 5e3 --r-off 500e3\n"
        "  rpusim wires --size 256 --columns 64 --r-driver 100 --r-sense 50 --drivers both --out figures/\n"
        "  rpusim wires --size 32 --nonlinearity 3\n"
        "  rpusim fit iv.csv --kind iv --out law.json; rpusim wires --nonlinearity law.json\n",
    )
    sub.add_argument("--size", type=positive_int, default=128, metavar="N", help="word lines, and bit lines (128)")
    sub.add_argument("--columns", type=positive_int, metavar="N", help="bit lines (as word lines)")
    sub.add_argument(
        "--r-wire", type=float, action="append", metavar="OHM", help="resistance of every segment; may be repeated (1)"
    )
    sub.add_argument("--r-driver", type=float, default=0.0, metavar="OHM", help="of every driver (0)")
    sub.add_argument("--r-sense", type=float, default=0.0, metavar="OHM", help="of every sensor (0)")
    sub.add_argument("--drivers", choices=["left", "both"], default="left", help="ends of word lines that are driven (left)")
    sub.add_argument("--sensors", choices=["bottom", "both"], default="bottom", help="ends that are sensed (bottom)")
    sub.add_argument("--r-on", type=float, default=10e3, metavar="OHM", help="smallest resistance of a device (10e3)")
    sub.add_argument("--r-off", type=float, default=100e3, metavar="OHM", help="largest; uniform between them (100e3)")
    sub.add_argument("--voltage", type=float, default=0.2, metavar="V", help="largest input; uniform from 0 (0.2)")
    sub.add_argument(
        "--nonlinearity",
        type=number_or_file,
        default=0.0,
        metavar="A",
        help="alpha of i = g sinh(alpha v)/alpha in 1/V, or the .json file of `rpusim fit --kind iv` (0)",
    )
    sub.add_argument("--threads", type=positive_int, help="threads of solves (one per processor)")
    add_json(sub)


def run(args: argparse.Namespace) -> int:
    """Solve a random array exactly."""
    import numpy as np

    import rpusim as rpu
    from rpusim import plotting

    args.nonlinearity = nonlinearity_of(args.nonlinearity)
    if not 0.0 < args.r_on <= args.r_off < math.inf:
        raise ValueError(f"--r-on must be positive and at most --r-off, which is finite; got {args.r_on} and {args.r_off}")
    if not 0.0 < args.voltage < math.inf:
        raise ValueError(f"--voltage must be positive and finite; got {args.voltage}")
    rows, columns = args.size, args.columns or args.size
    rng = np.random.default_rng(args.seed)
    g = 1.0 / rng.uniform(args.r_on, args.r_off, (rows, columns))
    v = rng.uniform(0.0, args.voltage, rows)
    lines = {"r_driver": args.r_driver, "r_sense": args.r_sense, "drivers": args.drivers, "sensors": args.sensors}
    entries, written = [], []
    for r in dict.fromkeys(args.r_wire or [1.0]):
        network = rpu.wires.Network(g, rpu.Wires(r_word=r, r_bit=r, **lines))
        ideal = v @ g
        if args.nonlinearity:
            ideal = rpu.solve_network(v, 1.0 / g, r_word=0.0, r_bit=0.0, nonlinearity=args.nonlinearity).currents
        solution = network.solution(v, nonlinearity=args.nonlinearity)
        error = 100.0 * np.abs(solution.currents - ideal) / ideal
        entries.append(
            [
                f"{r:g}",
                f"{error.max():.3f}",
                f"{error.mean():.3f}",
                f"{1e6 * solution.power:.5g}",
                solution.method,
                str(solution.iterations),
                f"{solution.residual:.1e}",
            ]
        )
        stem = args.out / f"wires-{rows}x{columns}-{r:g}ohm"
        written += plotting.save(plotting.wires_figure(solution, ideal, v, width=args.width), stem, args.format)
    print(
        f"{rows} x {columns} devices of {args.r_on:g} to {args.r_off:g} ohm, inputs of 0 to {args.voltage:g} V; "
        "errors of the outputs against ideal lines\n"
    )
    header = ["r (ohm)", "worst error (%)", "mean error (%)", "power (uW)", "method", "iterations", "residual"]
    print(table(header, entries))
    written += save_tables(args.out / f"wires-{rows}x{columns}.csv", header, entries, args, args.json)
    report(written)
    return 0
