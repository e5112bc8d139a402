"""`rpusim fit` of what is no ramps: steps, NeuroSim's parameters, retention, endurance, current-voltage sweeps."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from rpusim.commands.common import beside, report, save_json

__all__ = ["KINDS", "add_arguments", "kind_asked", "run_kind"]

#: names of `rpusim.fitting.KINDS`, which help texts need before that is loaded
KINDS = ("ramps", "steps", "neurosim", "retention", "endurance", "iv")
#: names of laws, likewise
LAWS = {"retention": ("drift", "drift from t_0", "decay", "stays"), "iv": ("ohm", "sinh", "sinh of each")}
#: options, and the kinds that they are of; those not here are of all
_OF = {
    "up": ("ramps", "steps"), "down": ("ramps", "steps"), "devices": ("ramps",), "model": ("ramps",), "criterion": ("ramps",),
    "normalise": ("ramps",), "hold": ("ramps",), "pulses_per_ramp": ("ramps",), "g_min": ("ramps", "steps"),
    "g_max": ("ramps", "steps"), "column": ("ramps", "retention", "endurance", "iv"),
    "group": ("ramps", "retention", "endurance", "iv"), "read_voltage": ("ramps", "retention", "endurance"),
    "law": ("retention", "iv"), "pulses_per_cycle": ("endurance",), "v_max": ("iv",), "zero": ("neurosim",),
    "skip_rows": ("ramps", "steps", "retention", "endurance", "iv"),
    "sheet": ("ramps", "steps", "retention", "endurance", "iv"),
}  # fmt: skip


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add what is of kinds other than ramps."""
    sub.add_argument("--kind", choices=KINDS, help="what the files hold (by the names of columns where they tell, else ramps)")
    retention, sweeps = (", ".join(LAWS[kind]) for kind in ("retention", "iv"))
    sub.add_argument("--law", metavar="NAME", help=f"law of retention ({retention}) or of sweeps ({sweeps}) (the likeliest)")
    sub.add_argument("--pulses-per-cycle", type=float, metavar="N", help="pulses of a cycle of endurance (2)")
    sub.add_argument("--v-max", type=float, metavar="V", help="largest voltage of sweeps (all until it switches)")
    sub.add_argument("--zero", choices=["middle", "symmetry_point"], help="where weight 0 of NeuroSim's device is (middle)")


#: defaults of options that are not None
_DEFAULTS: dict[str, Any] = {"up": [], "down": [], "devices": False, "criterion": "bic", "normalise": "range", "hold": [],
                             "skip_rows": 0}  # fmt: skip


def kind_asked(args: argparse.Namespace) -> str:
    """The kind that is asked for or guessed, said in a line; options of other kinds are refused."""
    from rpusim import fitting

    kind, files = args.kind, [*args.files, *args.up, *args.down]
    if kind is None and files:
        kind, why = fitting.kind_of(files[0], skip_rows=args.skip_rows, sheet=args.sheet, encoding=args.encoding)
        if kind != "ramps":
            print(f"kind: {kind}, {why}; --kind says otherwise\n")
    kind = kind or "ramps"
    for name, kinds in _OF.items():
        if kind not in kinds and getattr(args, name) != _DEFAULTS.get(name):
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} must not be given with --kind {kind}; it is of {', '.join(kinds)}")
    return str(kind)


def run_kind(args: argparse.Namespace, kind: str) -> int:
    """Fit, print and write what the files hold."""
    files = [*args.files, *args.up, *args.down]
    if kind != "steps" and len(files) != 1:
        raise ValueError(f"files must be one for --kind {kind}; got {len(files)}")
    result = _fitted(args, kind, files)
    print(result)
    device = getattr(result, "device", None)
    if device is not None:
        unit = f" {result.unit}" if result.unit else ""
        print(f"value = {result.offset:.6g} + {result.slope:.6g} * weight{unit}\n\n{device!r}")
    specification = None if device is not None else getattr(result, "__specification__", None)
    if specification is not None:
        print(f"\n{specification!r}")
    print()
    stem, json_path = args.out / f"fit-{files[0].stem}", args.json
    if args.out.suffix == ".json":
        stem, json_path = args.out.with_suffix(""), json_path or args.out
    written = save_json(json_path or beside(stem, ".json"), args, result.to_dict())
    report([written, *_drawn(result, args, stem, files[0].name)])
    return 0


def _fitted(args: argparse.Namespace, kind: str, files: list[Path]) -> Any:
    from rpusim import fitting

    if kind == "neurosim":
        return fitting.read_neurosim(files[0], zero=args.zero or "middle", encoding=args.encoding)
    reading = {"skip_rows": args.skip_rows, "sheet": args.sheet, "encoding": args.encoding}
    if kind == "steps":
        sides = {"up": args.up, "down": args.down}
        given = [side for side, paths in sides.items() if paths]
        if given and args.files:
            raise ValueError("files must not be given beside --up and --down for --kind steps, whose signs they say themselves")
        if len(given) == 2 and all(len(paths) == 1 for paths in sides.values()):
            return fitting.read_steps(up=args.up[0], down=args.down[0], g_min=args.g_min, g_max=args.g_max, **reading)
        if given:
            raise ValueError("--up and --down must be given once each for --kind steps")
        return fitting.read_steps(*args.files, g_min=args.g_min, g_max=args.g_max, **reading)
    chosen = {"columns": args.column, "group": args.group}
    if kind == "iv":
        return fitting.fit_sweeps(fitting.read_sweeps(files[0], **chosen, **reading), v_max=args.v_max, law=args.law)
    series = fitting.read_series(files[0], **chosen, **reading, read_voltage=args.read_voltage)
    if kind == "endurance":
        return fitting.fit_endurance(series, pulses_per_cycle=args.pulses_per_cycle)
    if series.over != "time":
        raise ValueError(f"{files[0]}: must have a column of times for --kind retention; got one of cycles")
    return fitting.fit_retention(dataclasses.replace(series), law=args.law)


def _drawn(result: Any, args: argparse.Namespace, stem: Path, name: str) -> list[Path]:
    """Write the figure of a result."""
    from rpusim import fitting, plotting

    if isinstance(result, fitting.NeuroSim):
        figure = plotting.device_figure(result.device, width=args.width)
    else:
        figure = plotting.measured_figure(result, name=name, width=args.width)
    return plotting.save(figure, args.figure or stem, args.format)
