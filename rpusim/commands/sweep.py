"""`rpusim sweep`: a study of many runs, described by a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim._base.table import table
from rpusim.commands.common import going_on, positive_int, report, save_json

if TYPE_CHECKING:
    from rpusim.sweep import Results, Study

__all__ = ["add_parser", "run"]

ACTIONS = ("run", "status", "table", "plot", "retry", "report")
#: lines of a table that are printed
MOST = 40


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "sweep",
        run,
        "run a study, a design over settings and seeds, and show what it gave; goes on where it was stopped",
        "  rpusim sweep study.toml\n  rpusim sweep study.toml status\n  rpusim sweep study.toml table --csv study.csv\n"
        "  rpusim sweep study.toml plot --x lr --value error --by algorithm\n"
        "  rpusim sweep study.toml plot --pareto pulses,error\n"
        "  rpusim sweep study.toml retry\n  rpusim sweep study.toml report\n",
    )
    sub.add_argument("study", type=Path, metavar="STUDY", help="a .toml file (docs/sweeps.md)")
    sub.add_argument(
        "action", nargs="?", choices=ACTIONS, default="run",
        help="run what is not finished, say how far it is, print and draw results, run again what failed, write a page (run)",
    )  # fmt: skip
    sub.add_argument("--store", type=Path, metavar="FILE", help="file of results (STUDY with .sqlite)")
    sub.add_argument("--workers", type=positive_int, metavar="N", help="processes (one per processor)")
    sub.add_argument("--threads", type=positive_int, default=1, help="threads of each (1)")
    sub.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that runs the points, in place of --workers")
    sub.add_argument("--mpi", action="store_true", help="points run on the ranks of mpirun (-m mpi4py.futures), likewise")
    sub.add_argument("--journal", choices=["wal", "delete"], default="wal", help="delete: for stores on network file systems")
    sub.add_argument("--csv", type=Path, metavar="FILE", help="write the table; .parquet, too, where pyarrow is")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write the table with all settings as JSON")
    sub.add_argument("--x", metavar="NAME", help="of plot: the setting along the axis (each in turn)")
    sub.add_argument("--y", metavar="NAME", help="of plot: a second one, for a heat map")
    sub.add_argument("--by", metavar="NAME", help="of plot: a setting with a line for each value")
    sub.add_argument("--value", metavar="NAME", help="of plot: a result (that which is best)")
    sub.add_argument("--pareto", metavar="A,B", help="of plot: two results, each smallest, or largest with a + before it")


def run(args: argparse.Namespace) -> int:
    """Do what is asked with a study: exit status 1 where points have failed."""
    from rpusim import sweep

    study = sweep.read_study(args.study)
    store = args.store or args.study.with_suffix(".sqlite")
    if args.action in ("run", "retry"):
        with going_on(str(store)):
            results = _run(args, study, store)
    else:
        results = sweep.load(store)
    if args.action == "table":
        print(_printed(results))
    elif args.action == "plot":
        _plot(args, results)
    elif args.action == "report":
        report([sweep.save_report(results, args.out / f"{args.study.stem}.html", args.study.stem)])
    else:
        _status(results, store)
    written = [] if args.csv is None else [results.save(args.csv)]
    if args.json is not None:
        written.append(save_json(args.json, args, {"study": results.study, "columns": results.columns()}))
    report(written)
    return 1 if results.counts()["failed"] and args.action in ("run", "retry", "status") else 0


def _run(args: argparse.Namespace, study: Study, store: Path) -> Results:
    from rpusim import sweep

    options: dict[str, Any] = {"threads": args.threads, "retry": args.action == "retry", "journal": args.journal}
    if (args.scheduler is not None) + args.mpi + (args.workers is not None) > 1:
        raise ValueError("--workers, --scheduler and --mpi must be given alone: each says where points run")
    if args.scheduler is not None:
        import distributed

        made: Any = distributed.Client
        with made(args.scheduler) as client:
            return sweep.run(study, store, executor=client.get_executor(), **options)
    if args.mpi:
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as executor:
            return sweep.run(study, store, executor=executor, **options)
    return sweep.run(study, store, workers=args.workers, **options)


def _status(results: Results, store: Path) -> None:
    from rpusim.sweep.settings import label

    counts = results.counts()
    print(f"{store}: {', '.join(f'{n} {status}' for status, n in counts.items())}, {len(results.rows)} in all")
    best = results.best()
    if best is not None:
        name = results.study["minimize"] or results.study["maximize"]
        at = ", ".join(f"{key} {label(value)}" for key, value in best["varied"].items())
        print(f"best {name}: {best['results'][name]:.5g} at {at}, seed {best['seed']}")
        mean, varied, seeds = results.best_mean()
        if seeds > 1:
            at = ", ".join(f"{key} {label(value)}" for key, value in varied.items())
            print(f"best mean of {seeds} seeds: {mean:.5g} at {at}")
    kinds: dict[str, int] = {}
    for _, trace in results.failures():
        kinds[trace.strip().splitlines()[-1]] = kinds.get(trace.strip().splitlines()[-1], 0) + 1
    for text, n in kinds.items():
        print(f"{n} failed: {text:.200}")


def _printed(results: Results) -> str:
    columns = results.columns()
    rows = [
        ["" if v is None else f"{v:.5g}" if isinstance(v, float) else str(v)[:40] for v in row]
        for row in zip(*columns.values(), strict=True)
    ]
    more = f"\n... {len(rows) - MOST} more; --csv FILE has all" if len(rows) > MOST else ""
    return table(list(columns), rows[:MOST]) + more


def _plot(args: argparse.Namespace, results: Results) -> None:
    from rpusim import plotting, sweep
    from rpusim.plotting.style import panels, whole

    if args.pareto is not None:
        goals = {name.strip().lstrip("+"): "max" if name.strip().startswith("+") else "min" for name in args.pareto.split(",")}

    def draw() -> Any:
        figure, (ax,) = panels(args.width, 1)
        if args.pareto is not None:
            sweep.pareto_front(results, goals, ax=ax)
        elif args.y is not None:
            sweep.heat_map(results, args.x, args.y, args.value, ax=ax)
        else:
            sweep.lines(results, args.x, args.value, args.by, ax=ax)
        return figure

    if args.y is not None and args.x is None:
        raise ValueError("--x must be given beside --y: a heat map has two")
    if args.pareto is None and args.x is None:
        figure = sweep.overview(results, args.value, args.width)
    else:
        figure = whole(draw)()
    kind = ["pareto", *goals] if args.pareto else [one for one in (args.value, args.x, args.y, args.by) if one]
    stem = args.out / "-".join([args.study.stem, *kind])
    report(plotting.save(figure, stem.with_name(stem.name.replace("/", "-")), args.format))
