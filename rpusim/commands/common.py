"""What the subcommands share: devices by name, figures, files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpusim.devices import Device

__all__ = [
    "DEMO_DEVICES",
    "FIGURE_FORMATS",
    "beside",
    "device_called",
    "figure_file",
    "formats",
    "labelled",
    "not_negative_int",
    "positive_int",
    "report",
    "save_arrays",
    "save_table",
    "subplots",
]

#: names of `rpusim.experiments.DEMO_DEVICES`, which help texts need before that is loaded
DEMO_DEVICES = ("constant-step", "linear-step", "soft-bounds", "ideal")


#: names of `rpusim.plotting.style.FORMATS`, likewise
FIGURE_FORMATS = ("png", "svg", "pdf")


def device_called(text: str, table: Mapping[str, Device]) -> Device:
    """Return the device called `text`, in `table` or a preset, or described by JSON, in a file too, or by that of a fit."""
    from rpusim import devices
    from rpusim._base.specification import from_json

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
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"device {text[:80]!r} cannot be read: {error}") from None
    if not isinstance(device, devices.Device):
        raise ValueError(f"device must describe a device; got a {type(device).__name__}")
    return device


def beside(stem: Path, ending: str) -> Path:
    """Return `stem` with an ending; names may have dots."""
    return stem.with_name(stem.name + ending)


def labelled(texts: Sequence[str], table: Mapping[str, Device]) -> dict[str, Device]:
    """Return the devices that are asked for by short labels, fit for tables and file names."""
    out: dict[str, Device] = {}
    for text in dict.fromkeys(texts):
        device = device_called(text, table)
        label = Path(text).stem if text.endswith(".json") else text.replace("_", "-")
        if text.lstrip().startswith("{"):
            label = type(device).__name__
        while label in out:
            label += "-2"
        out[label] = device
    return out


def positive_int(text: str) -> int:
    """Return the number, as argparse's `type`."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {value}")
    return value


def not_negative_int(text: str) -> int:
    """Return the number, as argparse's `type`."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0; got {value}")
    return value


def formats(text: str) -> tuple[str, ...]:
    """Formats of figures with commas between them, as an argument."""
    found = tuple(one.strip().lower() for one in text.split(","))
    if not set(found) <= set(FIGURE_FORMATS):
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(FIGURE_FORMATS)}, with commas between them; got {text!r}")
    return found


def figure_file(text: str) -> Path:
    """The name of a figure, as an argument: its ending is its format."""
    path = Path(text)
    if path.suffix and path.suffix[1:].lower() not in FIGURE_FORMATS:
        raise argparse.ArgumentTypeError(f"must end with {', '.join('.' + one for one in FIGURE_FORMATS)}; got {text!r}")
    return path


def subplots(width: float, height: float, rows: int, columns: int) -> tuple[Any, Any]:
    """Return a figure and its (rows, columns) axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False)


def save_arrays(path: Path, **arrays: Any) -> Path:
    """Write an .npz beside its target and move it into place."""
    import numpy as np

    from rpusim._base.checkpoint import atomic_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        np.savez_compressed(file, **arrays)
    return path


def save_table(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], args: argparse.Namespace, **more: object
) -> Path:
    """Write a CSV file whose first line, after #, has the version and all settings of the command as JSON."""
    import csv
    import io

    from rpusim._base.checkpoint import atomic_file
    from rpusim._base.version import __version__

    settings = {name: value for name, value in vars(args).items() if name not in ("run", "version")}
    text = io.StringIO()
    text.write(f"# {json.dumps({'rpusim': __version__} | settings | more, default=str)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())
    return path


def report(paths: Sequence[Path]) -> None:
    """Say what was written."""
    for path in paths:
        print(f"wrote {path}")
