"""`rpusim device`: what a device is, in numbers and pictures; `--list`: the presets."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from rpusim._base.table import table
from rpusim.commands.common import completes, labelled, positive_int, preset_names, report, save_json, save_tables

__all__ = ["add_parser", "run"]


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "device",
        run,
        "say what a device is, and draw its response to pulses, its steps and its spreads",
        "  rpusim device --list\n"
        "  rpusim device ecram-mo --out figures/\n"
        "  rpusim device reram-array-om --json reram.json\n"
        """  rpusim device '{"type": "SoftBounds", "dw_min": 0.01, "up_down": 0.2}' --devices 50\n""",
    )
    name = sub.add_argument("name", nargs="?", metavar="NAME", help="a preset, or a device as JSON text or a .json file")
    completes(name, preset_names)
    sub.add_argument("--list", action="store_true", help="list the presets")
    sub.add_argument("--json", type=Path, metavar="FILE", help="also write the device as JSON, to use or to change")
    sub.add_argument("--devices", type=positive_int, default=20, metavar="N", help="devices drawn in the figure (20)")


def run(args: argparse.Namespace) -> int:
    """Say what a device is, or list the presets."""
    if args.list:
        if args.name is not None or args.json is not None:
            raise ValueError("--list must be given alone; got a device or --json beside it")
        print(_presets_table())
        return 0
    if args.name is None:
        raise ValueError("device must be a preset (`rpusim device --list`), a .json file, or JSON text; got none")
    from rpusim import devices, plotting
    from rpusim.theory import response_theory

    ((label, device),) = labelled([args.name], {}).items()
    theory = response_theory(device)  # type: ignore[arg-type]
    is_preset = args.name.replace("-", "_") in devices.presets.names()
    sources = devices.presets.source(args.name).citations if is_preset else ()
    print(device)
    rows = (
        ("granularity", f"{theory.device.granularity:.6g}", "mean step of one pulse at 0, which scales pulse trains"),
        ("states", f"{theory.number_of_states:.5g}", "range over granularity"),
        ("range", f"{theory.w_min:.5g} to {theory.w_max:.5g}", "weight units"),
        ("symmetry point", _or_none(theory.symmetry_point), "where up and down pulses are equal"),
        ("asymmetry", _or_none(theory.asymmetry), "G'/F at the symmetry point, 1/weight unit"),
        ("asymmetry index", _or_none(theory.asymmetry_index), "mean |G|/F: 0 symmetric, 1/2 soft bounds"),
    )
    for name, value, what in rows:
        print(f"{name:<16}  {value:<16}  {what}")
    points = theory.device.symmetry_points
    if len(points) > 1 or not all(point.stable for point in points):
        all_points = ", ".join(f"{point.w:.4g} ({'stable' if point.stable else 'repeller'})" for point in points)
        print(f"{'all such points':<16}  {all_points}: pulses lead to stable ones and away from repellers")
    for text in sources:
        print(f"{'source':<16}  {text}")
    figure = plotting.device_figure(theory.device, rng=args.seed, n_devices=args.devices, width=args.width)
    written = plotting.save(figure, args.out / f"device-{label}", args.format)
    written += save_tables(args.out / f"device-{label}.csv", ["quantity", "value", "meaning"], rows, args)
    if args.json is not None:
        written.append(save_json(args.json, args, {"format": "rpusim device", "device": device.to_dict()}))
    report(written)
    return 0


def _presets_table() -> str:
    from rpusim import devices
    from rpusim.theory import response_theory

    rows = []
    for name in devices.presets.names():
        theory = response_theory(devices.presets.get(name))
        rows.append(
            [
                name.replace("_", "-"),
                type(theory.device).__name__,
                f"{theory.number_of_states:,.5g}",
                _or_none(theory.symmetry_point),
                _or_none(theory.asymmetry_index),
                devices.presets.source(name).short,
            ]
        )
    return table(["preset", "model", "states", "symmetry point", "asymmetry index", "source"], rows)


def _or_none(value: float) -> str:
    return "none" if math.isnan(value) else f"{round(value, 4) + 0.0:.4g}"
