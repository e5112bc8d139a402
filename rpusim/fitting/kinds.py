"""What kind of measurement a file holds, by the names of its columns."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from rpusim.fitting.blocks import Table
from rpusim.fitting.decode import bytes_of, text_of
from rpusim.fitting.lists import looks_like_neurosim
from rpusim.fitting.ramps import tables_in
from rpusim.fitting.step_files import looks_like_a_grid, role_of_step
from rpusim.fitting.workbooks import is_frame, is_workbook

__all__ = ["KINDS", "kind_of"]

KINDS = ("ramps", "steps", "neurosim", "retention", "endurance", "iv")
_OVER_TIME = re.compile(r"(?<![a-z])(retention|drift|relax\w*|decay)(?![a-z])", re.IGNORECASE)
_OVER_CYCLES = re.compile(r"(?<![a-z])(endurance|window|fatigue|wear)(?![a-z])", re.IGNORECASE)
_STATES = re.compile(r"(?<![a-z])(high|low|lrs|hrs|on|off|gmax|gmin|max|min)(?![a-z])", re.IGNORECASE)


def kind_of(
    path: str | os.PathLike[str] | Any, *, skip_rows: int = 0, sheet: str | int | None = None, encoding: str | None = None
) -> tuple[str, str]:
    """Guess what a file holds: "ramps", "steps", "neurosim", "retention", "endurance" or "iv", and why, in words.

    Ramps are what is left: of a file that nothing tells apart, or that cannot be read.

    Parameters
    ----------
    path, skip_rows, sheet, encoding
        See `read_ramps`.

    Returns
    -------
    str, str

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "drift.csv"
    >>> _ = path.write_text("time (s),G (uS)\\n1,10\\n10,9\\n100,8.1\\n")
    >>> rpu.fitting.kind_of(path)
    ('retention', "by its times, 'time (s)'")
    """
    if isinstance(path, (str, os.PathLike)) and sheet is None:
        raw = bytes_of(Path(path))
        if not is_workbook(raw):
            try:
                text = text_of(Path(path), raw, encoding)[0]
            except ValueError:
                return "ramps", ""
            if looks_like_neurosim(text):
                return "neurosim", "by its names of parameters"
            if looks_like_a_grid(text, skip_rows):
                return "steps", "as a look-up table"
    try:
        tables, _, file = tables_in(path, skip_rows, sheet, encoding)
    except ValueError:
        return "ramps", ""
    return _by_columns(tables[0], "" if is_frame(path) else file.stem.replace("_", " "))


def _by_columns(table: Table, stem: str) -> tuple[str, str]:
    of: dict[str, list[str]] = {}
    for label, name in zip(table.labels, table.names, strict=True):
        of.setdefault(label.quantity, []).append(name)
    names = [name.replace("_", " ") for name in table.names]
    plain = not {"count", "branch"} & of.keys()
    roles = {
        role_of_step(label.name): label.name
        for label in table.labels
        if label.quantity not in ("count", "time", "cycle", "voltage", "device", "branch")
    }
    if "count" not in of and "time" not in of and ("change" in roles or {"before", "after"} <= roles.keys()):
        return "steps", f"by {roles.get('change') or roles['after']!r}"
    if plain and not {"time", "cycle", "conductance"} & of.keys() and {"voltage", "current"} <= of.keys():
        at = next(k for k, label in enumerate(table.labels) if label.quantity == "voltage")
        volts = table.values[:, at]
        if len(np.unique(volts[np.isfinite(volts)])) >= 8:
            return "iv", f"by {table.names[at]!r} and {of['current'][0]!r}"
    counted = [*of.get("cycle", ()), *of.get("count", ())]
    states = [name for name in names if _STATES.search(name)]
    if counted and (_OVER_CYCLES.search(" ".join([stem, *names])) or ("cycle" in counted[0].lower() and len(states) == 2)):
        return "endurance", f"by its cycles, {counted[0]!r}"
    if plain and "cycle" not in of and "time" in of:
        at = next(k for k, label in enumerate(table.labels) if label.quantity == "time")
        times = table.values[:, at]
        late = times[np.isfinite(times) & (times > 0.0)]
        decades = len(late) > 2 and float(late.max()) >= 100.0 * float(late.min())
        even = len(late) > 2 and float(np.std(np.diff(times))) < 0.05 * abs(float(np.mean(np.diff(times))))
        if _OVER_TIME.search(" ".join([stem, *names])) or (decades and not even):
            return "retention", f"by its times, {of['time'][0]!r}"
    return "ramps", ""
