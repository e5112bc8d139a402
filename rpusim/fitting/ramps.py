"""Reading measured ramps from text files."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import integer_value

__all__ = ["Ramps", "read_ramps"]

Array = NDArray[np.float64]

_MISSING = {"", "nan", "na", "n/a", "null", "none", "-", "--"}
_PREFIX = {"": 1.0, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3}
_UNIT = re.compile(r"(?:[(\[]\s*([^)\]]+?)\s*[)\]]|_([pnuµμmk]?[AS]))\s*$")
_PULSES = re.compile(r"^\W*(number|no|nr|#)\W*(of\s+)?pulses?\W*$", re.IGNORECASE)
_COMMENT = re.compile(r"#(?![\s)\]\"]*(?:[,;\t]|$))")  # in a header, "Pulse #" is a name
_PULSE = re.compile(r"^\W*(pulses?|n|no|nr|index|idx|cycle|step)?\W*_?(number|index|count|no|nr|#|num)?\W*$", re.IGNORECASE)


@dataclass(frozen=True)
class Ramps:
    """Ramps of consecutive pulses of one sign, as `read_ramps` finds them.

    Attributes
    ----------
    up, down : list of ndarray
        Values along each ramp, in `unit`; nan where one is missing.
    unit : str
        "S", "A" or another unit of the header, "" where it names none. Prefixes are applied: uS becomes S.
    notes : list of str
        What was decided in reading.
    """

    up: list[Array] = field(default_factory=list)
    down: list[Array] = field(default_factory=list)
    unit: str = ""
    notes: list[str] = field(default_factory=list)


def read_ramps(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str | int] | None = None,
    direction: str | None = None,
    pulses_per_ramp: int | None = None,
) -> Ramps:
    """Read ramps from a text file: one or many columns of values against pulses.

    Delimiters are commas, semicolons (then a decimal comma is understood), tabs or blanks; lines from # on and blank lines
    are passed over; empty cells and nan are missing values. A header may name units, as in "G (uS)". A column called pulse,
    or counting 1, 2, 3 without a header, numbers the pulses: numbers may skip, and start anew at a new ramp. A column that
    turns is split into its rising and its falling ramps, each of which is up or down as it goes.

    Parameters
    ----------
    path : path
    columns : sequence of str or int, optional
        Names or numbers (from 1) of the columns with values; by default all but the pulse number. Where a header names
        several units, those in siemens, else those in amperes.
    direction : {"up", "down"}, optional
        What all ramps are, whatever way they go; none is split.
    pulses_per_ramp : int, optional
        Values of each ramp; by default turning points are searched for.

    Returns
    -------
    Ramps

    Raises
    ------
    ValueError
        Where the file is not of this form; the message names file, line and what was found.
    OSError
        Where it cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "ramp.csv"
    >>> _ = path.write_text("pulse; G (uS)\\n1; 1,5\\n2; 1,7\\n3; 1,8\\n4; 1,85\\n")
    >>> ramps = read_ramps(path)
    >>> len(ramps.up), len(ramps.down), ramps.unit, float(ramps.up[0][0])
    (1, 0, 'S', 1.5e-06)
    """
    path = Path(path)
    if direction not in (None, "up", "down"):
        raise ValueError(f"direction must be None, 'up' or 'down'; got {direction!r}")
    if pulses_per_ramp is not None:
        pulses_per_ramp = integer_value("pulses_per_ramp", pulses_per_ramp, 3)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from None
    header, table, lines = _table(path, text)
    names = header or [f"column {k + 1}" for k in range(table.shape[1])]
    numbering = _numbering(header, table)
    wanted, notes = _choose(path, names, bool(header), columns, numbering, table.shape[1])
    units = [_unit_of(names[k]) if header else ("", 1.0) for k in wanted]
    if len({u for u, _ in units}) > 1:
        pairs = ", ".join(f"{names[k]!r}" for k in wanted)
        raise ValueError(f"{path}, line 1: columns must be of one unit; got {pairs}: choose by columns")
    out = Ramps(unit=units[0][0], notes=notes)
    for k, (_, factor) in zip(wanted, units, strict=True):
        for piece in _pieces(path, table[:, k] * factor, table[:, numbering] if numbering is not None else None, lines):
            if direction is not None and pulses_per_ramp is None:
                parts = [piece]
            elif pulses_per_ramp is not None:
                parts = [piece[i : i + pulses_per_ramp] for i in range(0, len(piece), pulses_per_ramp)]
            else:
                parts = _split(piece)
            for part in parts:
                seen = np.flatnonzero(np.isfinite(part))
                if len(seen) < 3:
                    if pulses_per_ramp is not None and len(seen):
                        out.notes.append(f"of {path.name}, {len(seen)} values of {names[k]} are no ramp and left out")
                    continue
                part = part[seen[0] : seen[-1] + 1]
                rises = direction == "up" if direction is not None else _rises(part)
                (out.up if rises else out.down).append(part)
    if not out.up and not out.down:
        raise ValueError(f"{path}: ramps must have at least 3 values; got none so long")
    return out


def _table(path: Path, text: str) -> tuple[list[str] | None, Array, list[int]]:
    """Header cells or None, the numbers as (rows, columns), and the line number of each row."""
    kept: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith('"#'):
            whole = kept or line.lstrip().startswith("#")
            line = (line.split("#", 1) if whole else _COMMENT.split(line, maxsplit=1))[0].rstrip()
        if line.strip():
            kept.append((number, line))
    if not kept:
        raise ValueError(f"{path}: must hold numbers; got an empty file")
    delimiter, comma = _delimiter([line for _, line in kept])
    header: list[str] | None = None
    rows: list[list[float]] = []
    numbers: list[int] = []
    for count, (number, line) in enumerate(kept):
        parts = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True)) if delimiter else line.split()
        cells = [c.strip().strip('"').strip() for c in parts]
        row: list[float] = []
        for column, cell in enumerate(cells, 1):
            try:
                row.append(_number(cell, comma))
            except ValueError:
                if count == 0:
                    if delimiter is None:  # a unit belongs to the name before it, and all to the only column
                        cells = [c.strip('"') for c in re.split(r"\s+(?![(\[])", line.strip())]
                        if len(kept) > 1 and len(kept[1][1].split()) == 1:
                            cells = [line.strip().strip('"')]
                    header = cells
                    break
                raise ValueError(f"{path}, line {number}: column {column} must be a number; got {cell!r}") from None
        if header is cells:
            continue
        if math.inf in map(abs, row):
            raise ValueError(f"{path}, line {number}: numbers must be finite; got {line.strip()!r}")
        width = len(header) if header else len(rows[0]) if rows else len(row)
        if len(row) > width and all(map(math.isnan, row[width:])):
            row = row[:width]
        if len(row) != width and delimiter is None:
            raise ValueError(f"{path}, line {number}: must have {width} columns; got {len(row)}: {line.strip()!r}")
        if len(row) > width:
            raise ValueError(f"{path}, line {number}: must have {width} columns; got {len(row)}: {line.strip()!r}")
        rows.append(row + [math.nan] * (width - len(row)))
        numbers.append(number)
    if not rows:
        raise ValueError(f"{path}: must hold numbers below its header; got none")
    return header, np.array(rows, dtype=np.float64), numbers


def _delimiter(lines: Sequence[str]) -> tuple[str | None, bool]:
    """The delimiter (None: blanks), and whether numbers have a decimal comma."""
    body = lines[1:] or lines
    for mark in (";", "\t"):
        if all(mark in line for line in body):
            return mark, any("," in line for line in body)
    if any("," in line for line in body):
        if all(len(line.split()) > 1 and re.fullmatch(r"(\s*[+-]?\d+,\d+([eE][+-]?\d+)?)+\s*", line) for line in body):
            return None, True
        return ",", False
    return None, False


def _number(cell: str, comma: bool) -> float:
    if cell.lower() in _MISSING:
        return math.nan
    return float(cell.replace(",", ".") if comma else cell)


def _unit_of(name: str) -> tuple[str, float]:
    found = _UNIT.search(name)
    if not found:
        return "", 1.0
    unit = found.group(1) or found.group(2)
    for base in ("S", "A"):
        if unit.endswith(base) and unit[:-1] in _PREFIX:
            return base, _PREFIX[unit[:-1]]
    return unit, 1.0


def _numbering(header: list[str] | None, table: Array) -> int | None:
    """The column that numbers the pulses, if there is one."""
    if table.shape[1] < 2:
        return None
    if header:
        for k, name in enumerate(header):
            if name and (_PULSE.match(name) or _PULSES.match(name)):
                return k
        if header[0] and not header[0].lower().startswith("unnamed"):  # as pandas calls the numbers of rows
            return None
    first = table[:, 0]
    if len(first) < 3 or not np.isfinite(first).all() or first[0] not in (0, 1) or (first != np.round(first)).any():
        return None
    steps = np.diff(first)
    on = steps > 0  # else it starts anew
    return 0 if on.any() and (first[1:][~on] == first[0]).all() and np.median(steps[on]) == 1 else None


def _choose(
    path: Path, names: list[str], has_header: bool, columns: Sequence[str | int] | None, numbering: int | None, width: int
) -> tuple[list[int], list[str]]:
    if columns is not None:
        chosen = []
        for column in columns:
            if isinstance(column, str) and column in names:
                chosen.append(names.index(column))
            elif str(column).isdigit() and 1 <= int(column) <= width:
                chosen.append(int(column) - 1)
            else:
                raise ValueError(
                    f"columns must be among {', '.join(map(repr, names))} or from 1 to {width} in {path}; got {column!r}"
                )
        if not chosen:
            raise ValueError("columns must name at least one column; got none")
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"columns must name each column once; got {list(columns)!r}")
        return chosen, []
    chosen = [k for k in range(width) if k != numbering]
    if not has_header:
        return chosen, []
    times = [names[k] for k in chosen if re.match(r"^\W*(time|t)\b", names[k], re.IGNORECASE)]
    if times:
        raise ValueError(f"{path}, line 1: values must be against pulses; got a column {times[0]!r}: choose by columns")
    units = {k: _unit_of(names[k])[0] for k in chosen}
    if len(set(units.values())) > 1:
        for best in ("S", "A"):
            if best in units.values():
                taken = [k for k in chosen if units[k] == best]
                return taken, [f"of {path.name}, only {', '.join(names[k] for k in taken)}"]
    return chosen, []


def _pieces(path: Path, values: Array, numbers: Array | None, lines: list[int]) -> list[Array]:
    """The values on the grid of pulses, apart where the numbering starts anew."""
    if numbers is None:
        return [values]
    bad = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)))
    if len(bad):
        raise ValueError(f"{path}, line {lines[bad[0]]}: pulse numbers must be integers; got {numbers[bad[0]]:g}")
    out = []
    for part in np.split(np.arange(len(values)), np.flatnonzero(np.diff(numbers) <= 0) + 1):
        own = (numbers[part] - numbers[part[0]]).astype(np.int64)
        if own[-1] > 100 * len(own) + 1000:
            raise ValueError(f"{path}, line {lines[part[-1]]}: pulse numbers must not jump so far; got {numbers[part[-1]]:g}")
        grid = np.full(int(own[-1]) + 1, math.nan)
        grid[own] = values[part]
        out.append(grid)
    return out


def _rises(y: Array) -> bool:
    t = np.flatnonzero(np.isfinite(y))
    return bool((t - t.mean()) @ y[t] > 0.0)


def _split(values: Array) -> list[Array]:
    """The rising and falling ramps of a long sequence, cut at turns of more than half of its range."""
    from scipy.ndimage import median_filter

    t = np.flatnonzero(np.isfinite(values))
    if len(t) < 6:
        return [values]
    y = values[t]
    window = max(3, min(31, len(y) // 20) | 1)
    smooth = median_filter(y, size=window, mode="nearest")
    low, high = np.percentile(smooth, [2.0, 98.0])
    turn = 0.5 * float(high - low)
    cuts: list[int] = []
    top = bottom = 0
    sense = 0
    for k in range(len(y)):
        if sense >= 0 and smooth[k] > smooth[top]:
            top = k
        if sense <= 0 and smooth[k] < smooth[bottom]:
            bottom = k
        if sense >= 0 and smooth[k] < smooth[top] - turn:
            if sense > 0 or top > window:
                cuts.append(top)
            sense, bottom = -1, k
        elif sense <= 0 and smooth[k] > smooth[bottom] + turn:
            if sense < 0 or bottom > window:
                cuts.append(bottom)
            sense, top = 1, k
    if not cuts:
        return [values]
    # ramps of equal length are cut exactly there, where noise hides the turns
    period = len(values) / (len(cuts) + 1)
    places = t[np.array(cuts)] + 1
    if period == int(period) and (np.abs(places - period * np.arange(1, len(cuts) + 1)) <= max(3.0, 0.1 * period)).all():
        places = (period * np.arange(1, len(cuts) + 1)).astype(np.int64)
    return list(np.split(values, places))
