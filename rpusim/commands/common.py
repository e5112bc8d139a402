"""What the subcommands share: devices by name, figures, files."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpusim.devices import Device

__all__ = [
    "DEMO_DEVICES",
    "FIGURE_FORMATS",
    "add_json",
    "add_output",
    "beside",
    "completes",
    "device_called",
    "ending_of",
    "figure_file",
    "going_on",
    "labelled",
    "nonlinearity_of",
    "not_negative_int",
    "number_or_file",
    "positive_int",
    "preset_names",
    "report",
    "save_arrays",
    "save_json",
    "save_tables",
    "settings",
]

#: names of `rpusim.experiments.DEMO_DEVICES`, which help texts need before that is loaded
DEMO_DEVICES = ("constant-step", "linear-step", "soft-bounds", "ideal")


#: names of `rpusim.plotting.style.FORMATS`, likewise
FIGURE_FORMATS = ("png", "svg", "pdf")


def ending_of(path: str | os.PathLike[str]) -> str:
    """A path as messages show it: no longer than 200 characters, of which the last tell most."""
    text = str(path)
    return text if len(text) <= 200 else f"...{text[-197:]}"


def device_called(text: str, table: Mapping[str, Device]) -> Device:
    """Return the device called `text`, in `table` or a preset, or described by JSON, in a file too, or by that of a fit."""
    from rpusim import devices
    from rpusim._base.specification import from_dict, from_json, plain_json

    if text in table:
        return table[text]
    if text.replace("-", "_") in devices.presets.names():
        return devices.presets.get(text)
    try:
        if text.lstrip().startswith("{"):
            device = from_json(text)
        elif text.endswith(".json"):
            described = plain_json(text, Path(text).read_text(encoding="utf-8"))
            if isinstance(described, dict) and described.get("kind") == "iv":
                raise ValueError(
                    f"device {ending_of(text)!r} holds a law of reads, which says nothing of pulses: "
                    f"`rpusim wires --nonlinearity {ending_of(text)}` solves arrays with it, and Periphery(nonlinearity=...) "
                    "reads them so"
                )
            try:
                device = from_dict(described)
            except (TypeError, ValueError) as error:
                raise type(error)(f"device {ending_of(text)!r}: {error}") from None
        else:
            known = ", ".join([*table, "a preset (`rpusim device --list`)"])
            raise ValueError(f"device must be one of {known}, a .json file, or JSON text; got {text!r}")
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"device {ending_of(text)!r} cannot be read: {error}") from None
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


def add_output(sub: argparse.ArgumentParser, file: str | None = None) -> None:
    """Add what all commands take: where results go, what figures are like, and the seed; `file`: what a .json file holds."""
    either = f", or a .json file for {file}, with the figure beside it" if file else ""
    sub.add_argument(
        "--out",
        type=_folder_or_json if file else _folder,
        default=Path("figures"),
        metavar="DIR|FILE.json" if file else "DIR",
        help=f"folder of results{either} (figures)",
    )
    sub.add_argument(
        "--format", type=_formats, default=("png", "svg"), metavar="LIST", help="formats of figures: png, svg, pdf (png,svg)"
    )
    sub.add_argument(
        "--width", type=_inches, metavar="INCHES", help="of figures, as printed: 3.3 or 7 (7; 3.3 where there is one panel)"
    )
    sub.add_argument("--seed", type=int, default=0, help="seed of everything random (0)")


def _folder(text: str, allowed: tuple[str, ...] = ()) -> Path:
    """A folder of results, as an argument: what ends as a file does is a slip."""
    path = Path(text)
    if (
        path.suffix.lower() in {".json", ".csv", ".npz", *(f".{one}" for one in FIGURE_FORMATS)} - {*allowed}
        and not path.is_dir()
    ):
        either = f", or a {' or '.join(allowed)} file" if allowed else ""
        raise argparse.ArgumentTypeError(f"must be a folder for results{either}; got {text!r}, the name of a file")
    return path


def _folder_or_json(text: str) -> Path:
    return _folder(text, (".json",))


def number_or_file(text: str) -> float | str:
    """A number, or the name of a .json file that `nonlinearity_of` reads, as an argument."""
    try:
        return text if text.endswith(".json") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, or the .json file of `rpusim fit`; got {text!r}") from None


def nonlinearity_of(given: float | str) -> float:
    """The nonlinearity that is given as a number, or by the file of `rpusim fit iv.csv`, which is said."""
    if not isinstance(given, str):
        return given
    from rpusim import fitting

    try:
        result = fitting.SweepResult.from_json(Path(given).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"--nonlinearity {ending_of(given)!r} must be what `rpusim fit --kind iv` wrote: {error}") from None
    print(f"nonlinearity {result.nonlinearity:.4g} 1/V, standard error {result.standard_errors['nonlinearity']:.2g}\n")
    return float(result.nonlinearity)


def completes(action: argparse.Action, names: Callable[[], Iterable[str]]) -> None:
    """Let the tab key offer names, which are found out when they are asked for."""
    action.completer = lambda **_: list(names())  # type: ignore[attr-defined]


def preset_names() -> list[str]:
    """Names of presets, as the command line shows them."""
    from rpusim.devices import presets

    return [name.replace("_", "-") for name in presets.names()]


def add_json(sub: argparse.ArgumentParser) -> None:
    """Add the option of `save_tables`."""
    sub.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON, with all settings")


def _inches(text: str) -> float:
    value = float(text)
    if not 2.0 <= value <= 40.0:
        raise argparse.ArgumentTypeError(f"must be from 2 to 40 inches; got {text}")
    return value


def _formats(text: str) -> tuple[str, ...]:
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


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The version, and all settings of the command."""
    from rpusim._base.version import __version__

    return {"rpusim": __version__} | {name: value for name, value in vars(args).items() if name not in ("run", "version")}


def save_arrays(path: Path, args: argparse.Namespace, **arrays: Any) -> Path:
    """Write an .npz beside its target and move it into place; its `settings` are JSON with the version and all settings."""
    import numpy as np

    from rpusim._base.checkpoint import atomic_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        np.savez_compressed(file, settings=json.dumps(settings(args), default=str), **arrays)
    return path


def save_json(path: Path, args: argparse.Namespace, data: Mapping[str, Any]) -> Path:
    """Write JSON: `data`, and under "command" the version and all settings."""
    from rpusim._base.checkpoint import atomic_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write((json.dumps({**data, "command": settings(args)}, indent=1, default=str) + "\n").encode())
    return path


def save_tables(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], args: argparse.Namespace, json_path: Path | None = None
) -> list[Path]:
    """Write a CSV file whose first line, after #, has the version and all settings as JSON; and a JSON file, if asked."""
    import csv
    import io

    from rpusim._base.checkpoint import atomic_file

    text = io.StringIO()
    text.write(f"# {json.dumps(settings(args), default=str)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    _say_what_is_replaced(path, args)
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())
    if json_path is None:
        return [path]
    entries = [dict(zip(header, map(_number_or_text, row), strict=True)) for row in rows]
    return [path, save_json(json_path, args, {"rows": entries})]


#: settings that results do not depend on
_APART = {"rpusim", "command", "out", "format", "width", "workers", "threads", "json", "figure"}


def _say_what_is_replaced(path: Path, args: argparse.Namespace) -> None:
    """Say, before a table is written, that there is one of other settings in its place."""
    try:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        before = json.loads(first.removeprefix("# "))
        now = json.loads(json.dumps(settings(args), default=str))
        other = [name for name in now if name not in _APART and now[name] != before.get(name)]
    except (OSError, ValueError, AttributeError):  # there is none, or it is not ours
        return
    if other:
        print(f"note: {path}, and figures beside it, had another {', '.join(other)}: replaced; --out FOLDER keeps both")


def _number_or_text(entry: object) -> object:
    try:
        value = float(str(entry))
    except ValueError:
        return entry
    return value if math.isfinite(value) else None


@contextmanager
def going_on(where: str) -> Iterator[None]:
    """Say where a run that Ctrl-C stops goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from {where}") from None


def report(paths: Sequence[Path]) -> None:
    """Say what was written."""
    for path in paths:
        print(f"wrote {path}")
