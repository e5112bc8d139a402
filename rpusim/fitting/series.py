"""Series of measured values over time or over cycles, of one or many states or devices, and their reading."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import fail, integer_value, plain_array, real
from rpusim.fitting.blocks import Table
from rpusim.fitting.columns import Plan, chosen_columns, is_current
from rpusim.fitting.pieces import missing_words
from rpusim.fitting.ramps import groups_of, names_or_numbers, tables_in

__all__ = ["Series", "read_series"]

Array = NDArray[np.float64]
_TIMES = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Series:
    r"""Values over time or over cycles, as `read_series` finds them; `fit_retention` and `fit_endurance` take them.

    Attributes
    ----------
    x : list of ndarray
        Times in seconds, or numbers of cycles, of each series.
    y : list of ndarray
        Values of each series, in `unit`.
    names : list of str
        Of each series: its column, and what tells it apart from others.
    over : str
        "time" or "cycles".
    unit : str
        "S", "A", or another unit of the header, "" where it names none.
    notes : list of str
        What was decided in reading, a line each.

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "retention.csv"
    >>> _ = path.write_text("time (min),G1 (uS),G2 (uS)\n1,10,5\n10,9,4.6\n")
    >>> series = rpu.fitting.read_series(path)
    >>> series.names, series.x[0].tolist()
    (['G1 (uS)', 'G2 (uS)'], [60.0, 600.0])
    """

    x: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    over: str = "time"
    unit: str = ""
    notes: list[str] = field(default_factory=list)


def read_series(
    path: str | os.PathLike[str] | Any,
    *,
    columns: Sequence[str | int] | str | int | None = None,
    group: Sequence[str | int] | str | int | None = None,
    over: str | int | None = None,
    skip_rows: int = 0,
    sheet: str | int | None = None,
    encoding: str | None = None,
    read_voltage: float | None = None,
) -> Series:
    """Read values over time or cycles from a text file, a workbook or a DataFrame; see `read_ramps` for their forms.

    Times are those of a column by its name or unit (s, min, h, which become seconds), else cycles or pulses; values are
    conductances, else currents, else columns of unknown names, else resistances (as 1 / R), else voltages. Every column is a
    series; columns called device, state or cell part rows into several.

    Parameters
    ----------
    path, columns, group, skip_rows, sheet, encoding, read_voltage
        See `read_ramps`.
    over : str or int, optional
        Name or number (from 1) of the column of times or cycles.

    Returns
    -------
    Series

    Raises
    ------
    ValueError
        Where the file is not of this form; the message names it and what was found.
    OSError
        Where it cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "retention.csv"
    >>> _ = path.write_text("time (min),G1 (uS),G2 (uS)\\n1,10,5\\n10,9,4.6\\n100,8.1,4.2\\n")
    >>> series = rpu.fitting.read_series(path)
    >>> series.over, series.unit, series.x[0].tolist(), len(series.y)
    ('time', 'S', [60.0, 600.0, 6000.0], 2)
    """
    chosen, parting = names_or_numbers("columns", columns), names_or_numbers("group", group)
    axis = names_or_numbers("over", over)
    skip_rows = integer_value("skip_rows", skip_rows, 0)
    if read_voltage is not None and real()("read_voltage", read_voltage) == 0.0:
        raise ValueError("read_voltage must not be 0; got 0")
    tables, notes, file = tables_in(path, skip_rows, sheet, encoding)
    out = Series(notes=list(notes))
    units: dict[str, str] = {}
    overs: dict[str, str] = {}
    for table in tables:
        x, kind, at = _axis(table, axis, out.notes)
        overs.setdefault(kind, table.names[at])
        values = _values(table, at, chosen, out.notes)
        groups = _groups(table, at, values, parting)
        for k in values:
            y, unit = _in_unit(table, k, read_voltage, out.notes)
            units.setdefault(unit, table.names[k])
            for rows, name in groups:
                seen = np.isfinite(x[rows]) & np.isfinite(y[rows])
                if seen.any():
                    out.x.append(x[rows][seen])
                    out.y.append(y[rows][seen])
                    out.names.append(f"{table.names[k]}{', ' if name else ''}{name}")
    for found, what in ((units, "unit"), (overs, "kind of axis")):
        if len(found) > 1:
            raise ValueError(
                f"{file}: columns must be of one {what}; got {', '.join(map(repr, found.values()))}: choose by columns"
            )
    if not out.x:
        raise ValueError(f"{file}: must hold values beside {'times' if 'time' in overs else 'cycles'}; got none")
    unit = next(iter(units))
    if not unit:
        out.notes.append(f"{file.name}: no unit found; values are taken as they stand")
    return Series(out.x, out.y, out.names, next(iter(overs)), unit, list(dict.fromkeys(out.notes)))


def _axis(table: Table, axis: list[str | int] | None, notes: list[str]) -> tuple[Array, str, int]:
    """Times in seconds, or cycles, the kind, and the column."""
    if axis is not None:
        at = chosen_columns(table, axis, "over")[0]
    else:
        usable = [k for k in range(len(table.labels)) if k not in table.texts]
        order = ("time", "cycle", "count")
        at = next((k for q in order for k in usable if table.labels[k].quantity == q), -1)
        if at < 0:
            got = ", ".join(map(repr, table.names[:20]))
            raise ValueError(f"{table.path}, line {table.lines[0]}: must have a column of times or cycles; got {got}: say over")
    label = table.labels[at]
    if at in table.texts:
        raise ValueError(f"{table.path}: over must be a column of numbers; got text in {table.names[at]!r}")
    x = table.values[:, at]
    if label.quantity != "time":
        return x, "cycles" if label.quantity in ("cycle", "count") else "time", at
    if label.unit not in _TIMES:
        notes.append(f"{table.path.name}: {table.names[at]!r} names no unit of time: taken as seconds")
    return x * label.factor * _TIMES.get(label.unit, 1.0), "time", at


def _values(table: Table, at: int, chosen: list[str | int] | None, notes: list[str]) -> list[int]:
    if chosen is not None:
        out = chosen_columns(table, chosen, "columns")
        wrong = [k for k in out if k in table.texts or k == at]
        if wrong:
            raise ValueError(f"{table.path}: columns must hold values; got {table.names[wrong[0]]!r}")
        return out
    usable = [k for k in range(len(table.labels)) if k not in table.texts and k != at and np.isfinite(table.values[:, k]).any()]
    for kind in ("conductance", "current", "", "resistance", "voltage"):
        out = [k for k in usable if table.labels[k].quantity == kind and not re.search("read", table.names[k], re.I)] or [
            k for k in usable if table.labels[k].quantity == kind and kind != "voltage"
        ]
        if out:
            left = [table.names[k] for k in usable if k not in out]
            if left:
                notes.append(f"of {table.path.name}, left out: {', '.join(map(repr, left[:10]))}")
            return out
    got = ", ".join(map(repr, table.names[:20]))
    raise ValueError(f"{table.path}, line {table.lines[0]}: must have a column of values; got {got}: choose by columns")


def _groups(table: Table, at: int, values: list[int], parting: list[str | int] | None) -> list[tuple[Any, str]]:
    """The rows of each series, and what tells it apart."""
    asked = [] if parting is None else chosen_columns(table, parting, "group")
    named = [
        k
        for k, label in enumerate(table.labels)
        if k != at and k not in values and (label.quantity == "device" or re.match(r"(?i)\W*(state|level)\b", label.name))
    ]
    columns = dict.fromkeys([*asked, *named], "device")
    plan = Plan(values, {}, columns)
    return [(rows, name) for rows, name, _ in groups_of(table, plan)]


def _in_unit(table: Table, k: int, read_voltage: float | None, notes: list[str]) -> tuple[Array, str]:
    """A column in its unit, as conductance where that is known."""
    label, name = table.labels[k], table.names[k]
    values, more = missing_words(table.values[:, k], table.lines, f"{table.path.name}: of {name!r}")
    notes += more
    values, unit = values * label.factor, label.unit
    if label.quantity == "resistance":
        bad = np.flatnonzero(np.isfinite(values) & (values < 1e-30))
        if len(bad):
            raise ValueError(f"{table.path}, line {table.lines[bad[0]]}: resistances must be positive; got {values[bad[0]]:g}")
        notes.append(f"{table.path.name}: {name!r} is a resistance: taken as conductance 1 / R")
        return 1.0 / values, "S" if unit else "1/R"
    if is_current(table, k, read_voltage, notes.append) and read_voltage is not None:
        notes.append(f"{table.path.name}: {name!r} over a read voltage of {read_voltage:g} V is taken as conductance")
        values, unit = values / read_voltage, "S"
    seen = values[np.isfinite(values)]
    if label.quantity == "current" and len(seen) and (seen <= 0.0).all():
        notes.append(f"{table.path.name}: {name!r} is negative: its sign, that of the read voltage, is taken out")
        values = -values
    return values, unit


def series_of(x: Any, y: Any, x_name: str, over: str, unit: str) -> Series:
    """What a fit was given, checked: series, or arrays of one axis or of one for each."""
    if isinstance(x, Series):
        if y is not None:
            raise ValueError(f"values must be None where {x_name} is a Series, which holds both; got both")
        if x.over != over:
            raise ValueError(f"{x_name} must be a Series over {over}; got one over {x.over}")
        return x
    if not isinstance(unit, str):
        fail("unit", "a str", unit, TypeError)
    out = Series(over=over, unit=unit)
    for name, given in ((x_name, x), ("values", y)):
        if isinstance(given, np.ndarray):
            plain_array(name, given, "real numbers")
    many = isinstance(y, (list, tuple)) and len(y) > 0 and not np.isscalar(y[0])
    rows = list(y) if many or getattr(y, "ndim", 1) == 2 else [y]
    own = isinstance(x, (list, tuple)) and len(x) > 0 and not np.isscalar(x[0])
    axes = list(x) if own or getattr(x, "ndim", 1) == 2 else [x] * len(rows)
    if len(axes) != len(rows):
        raise ValueError(f"values must hold a series for each of {len(axes)} in {x_name}; got {len(rows)}")
    for k, (a, b) in enumerate(zip(axes, rows, strict=True)):
        one, other = (numbers_of_series(f"{n}[{k}]" if len(rows) > 1 else n, v) for n, v in ((x_name, a), ("values", b)))
        if one.shape != other.shape:
            raise ValueError(f"values must have shape {one.shape}, that of {x_name}; got {other.shape}")
        seen = np.isfinite(one) & np.isfinite(other)
        out.x.append(one[seen])
        out.y.append(other[seen])
        out.names.append(f"series {k + 1}")
    return out


def numbers_of_series(name: str, value: Any) -> Array:
    """A series of numbers, nan where one is missing."""
    raw = plain_array(name, np.ma.filled(value.astype(float), np.nan) if np.ma.isMaskedArray(value) else value, "real numbers")
    if raw.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be an array of real numbers; got dtype {raw.dtype}")
    if raw.ndim != 1:
        raise ValueError(f"{name} must have shape (values,); got {raw.shape}")
    out = raw.astype(np.float64)
    if np.isinf(out).any() or (np.abs(out) > 1e30).any():
        raise ValueError(
            f"{name} must be at most 1e30 in size, or nan where a value is missing; got {np.nanmax(np.abs(out)):g}"
        )
    return out
