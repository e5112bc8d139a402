"""Study files: TOML, and errors that say in which line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rpusim._base.validation import shown
from rpusim.sweep.designs import Range
from rpusim.sweep.points import Study
from rpusim.sweep.settings import SettingError

__all__ = ["read_study"]

KEYS = ("task", "design", "points", "seeds", "rng", "minimize", "maximize")
_RANGE = {"low", "high", "log", "integer"}
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")


def _parsed(path: Path, text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        try:
            import tomli as toml
        except ImportError:
            raise ImportError("study files need tomli on Python 3.10: pip install 'rpusim[sweep]'") from None
    try:
        return toml.loads(text)
    except toml.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = f":{found[1]}" if found else ""
        raise ValueError(f"{path}{where}: must be TOML: {error}") from None


def _lines(text: str) -> dict[str, int]:
    """The line of every key, under its name with dots; in a multi-line value the line where it begins."""
    found: dict[str, int] = {}
    table, depth = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r'"[^"]*"', lambda match: match[0].replace("#", " ").replace("[", " ").replace("]", " "), line)
        if depth == 0 and (header := _TABLE.match(line)):
            table = _plain(header[1])
            found.setdefault(table, number)
            continue
        if depth == 0 and (key := _KEY.match(line)):
            found[f"{table}.{_plain(key[1])}".lstrip(".")] = number
        depth += sum(bare.partition("#")[0].count(one) for one in "[{") - sum(bare.partition("#")[0].count(one) for one in "]}")
        depth = max(depth, 0)
    return found


def _plain(key: str) -> str:
    return re.sub(r"""["'\s]""", "", key)


def _flat(table: Mapping[str, Any], values: bool, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Entries by dotted names: a table within is part of the name, unless it is a specification or a range."""
    for name, value in table.items():
        whole = isinstance(value, dict) and ("type" in value or (values and value.keys() <= _RANGE and "low" in value))
        if isinstance(value, dict) and not whole:
            yield from _flat(value, values, f"{prefix}{name}.")
        elif values and isinstance(value, dict) and "type" not in value:
            try:
                yield prefix + name, Range(**value)
            except (TypeError, ValueError) as error:
                raise SettingError(
                    prefix + name, f"{prefix}{name} must be a range, low and high with log or integer: {error}"
                ) from None
        else:
            yield prefix + name, value


def _study(data: dict[str, Any], folder: Path) -> Study:
    unknown = [name for name in data if name not in (*KEYS, "vary", "settings")]
    if unknown:
        raise SettingError(unknown[0], f"{unknown[0]} must be one of {', '.join(KEYS)}, [vary] and [settings]")
    for name in ("task", "vary"):
        if name not in data:
            raise SettingError(
                name, f"{name} must be there: {'what is run' if name == 'task' else 'a table of what is varied'}"
            )
    for name in ("vary", "settings"):
        if not isinstance(data.get(name, {}), dict):
            raise SettingError(name, f"{name} must be a table; got {shown(data[name])}")
    vary, settings = dict(_flat(data["vary"], True)), dict(_flat(data.get("settings", {}), False))
    if not vary:
        raise SettingError("vary", "vary must have at least one name; got none")
    options = {name: data[name] for name in KEYS[1:] if name in data}
    for name in ("points", "seeds", "rng"):
        if name in options and (isinstance(options[name], bool) or not isinstance(options[name], int)):
            raise SettingError(name, f"{name} must be an integer; got {shown(options[name])}")
    try:
        return Study(data["task"], vary, settings, **options, folder=folder)
    except SettingError:
        raise
    except (TypeError, ValueError) as error:  # of an argument, which the message begins with
        raise SettingError(str(error).split(" ", 1)[0], str(error)) from None


def read_study(path: str | os.PathLike[str]) -> Study:
    """Return the study that a TOML file describes.

    Its keys are the arguments of `Study`: task, design, points, seeds, rng, minimize, maximize, and the tables [vary] and
    [settings]. Specifications are tables with their type, ranges {low = 1e-3, high = 0.1, log = true}. Functions of files are
    looked for beside it.

    Parameters
    ----------
    path : path

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        If something is wrong with it: the message names file and line, and what is allowed.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> text = 'task = "regression"; [vary]; lr = [0.01, 0.1]; device.dw_min = [0.001, 0.01]'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "study.toml")
    ...     _ = path.write_text(text.replace("; ", chr(10)))
    ...     read_study(path)
    Study('regression', 4 points, grid over lr, device.dw_min)
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: must be TOML in UTF-8: {error}") from None
    data, lines = _parsed(file, text), _lines(text)
    try:
        return _study(data, file.parent)
    except SettingError as error:
        name = error.setting
        while name:  # the line of what it belongs to, where it has none of its own
            for key in (f"vary.{name}", f"settings.{name}", name):
                if key in lines:
                    raise ValueError(f"{file}:{lines[key]}: {error}") from None
            name = name.rpartition(".")[0]
        raise ValueError(f"{file}: {error}") from None
