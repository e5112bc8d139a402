"""Reading measured ramps from files as instruments, spreadsheets and colleagues leave them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import choice, fail, integer_value, optional, real, shown
from rpusim.fitting.blocks import Table, tables_of
from rpusim.fitting.cells import rows_of
from rpusim.fitting.columns import Plan, is_current, plan_of, sign_of
from rpusim.fitting.decode import bytes_of, text_of
from rpusim.fitting.orientation import ramps_lie_along_rows
from rpusim.fitting.pieces import contradicts, missing_words, outliers, pieces_of, rises, split
from rpusim.fitting.units import direction_in, label_of
from rpusim.fitting.workbooks import is_frame, is_workbook, rows_of_workbook, table_of_frame

__all__ = ["Place", "Ramps", "read_ramps"]

Array = NDArray[np.float64]
Ints = NDArray[np.intp]

#: what is said of a value that its neighbours contradict
FAR = "is far from the values beside it"


@dataclass(frozen=True)
class Place:
    r"""Where the values of a ramp stand: file, column, `lines` of the values (0 where one is missing), and device.

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "ramp.csv"
    >>> _ = path.write_text("pulse; G (uS)\n1; 1,5\n2; 1,7\n3; 1,8\n4; 1,85\n")
    >>> place = rpu.fitting.read_ramps(path).up_places[0]
    >>> place.column, place.lines.tolist()
    ('G (uS)', [2, 3, 4, 5])
    """

    file: str
    column: str
    lines: Ints = field(repr=False)
    device: str = ""

    def at(self, k: int) -> str:
        """Return where value `k` stands, in words."""
        return f"{self.file}, line {self.lines[k]} ({self.column})"


@dataclass(frozen=True)
class Ramps:
    r"""Ramps of consecutive pulses of one sign, as `read_ramps` finds them; `fit` takes them as they are.

    Attributes
    ----------
    up, down : list of ndarray
        Values along each ramp, in `unit`; nan where one is missing.
    unit : str
        "S", "A" or another unit of the header, "" where it names none. Prefixes are applied: uS becomes S, and ohm becomes S.
    notes : list of str
        What was decided in reading, a line each.
    up_places, down_places : list of Place
        Where each ramp comes from.

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "ramp.csv"
    >>> _ = path.write_text("pulse; G (uS)\n1; 1,5\n2; 1,7\n3; 1,8\n4; 1,85\n")
    >>> ramps = rpu.fitting.read_ramps(path)
    >>> ramps.unit, (ramps.up[0] * 1e6).round(2).tolist()
    ('S', [1.5, 1.7, 1.8, 1.85])
    """

    up: list[Array] = field(default_factory=list)
    down: list[Array] = field(default_factory=list)
    unit: str = ""
    notes: list[str] = field(default_factory=list)
    up_places: list[Place] = field(default_factory=list, repr=False)
    down_places: list[Place] = field(default_factory=list, repr=False)

    @property
    def devices(self) -> list[str]:
        """Names of the devices, in the order of the file; empty where it names none."""
        return list(dict.fromkeys(place.device for place in [*self.up_places, *self.down_places] if place.device))

    def and_those_of(self, other: Ramps) -> Ramps:
        """Return these ramps and others, of the same unit."""
        if self.up + self.down and other.up + other.down and self.unit != other.unit:
            pairs = ", ".join(f"{(r.up_places + r.down_places)[0].file}: {r.unit or None}" for r in (self, other))
            raise ValueError(f"files must be of one unit; got {pairs}")
        return Ramps(
            self.up + other.up,
            self.down + other.down,
            self.unit or other.unit,
            self.notes + other.notes,
            self.up_places + other.up_places,
            self.down_places + other.down_places,
        )


def read_ramps(
    path: str | os.PathLike[str] | Any,
    *,
    columns: Sequence[str | int] | str | int | None = None,
    direction: str | None = None,
    pulses_per_ramp: int | None = None,
    skip_rows: int = 0,
    sheet: str | int | None = None,
    encoding: str | None = None,
    group: Sequence[str | int] | str | int | None = None,
    read_voltage: float | None = None,
) -> Ramps:
    """Read ramps from a text file or a workbook: one or many columns of values against pulses.

    Text is UTF-8, UTF-16 (by its mark) or Windows text; its delimiters are commas, semicolons, tabs, bars or blanks, with
    decimal points or commas. What stands above the table is passed over, but for the names of columns (also behind #) and a
    row of units ("G (uS)", "G/uS", "Conductance uS", "G (Siemens)" are all understood); lines from # on and blank lines are
    passed over. Empty cells, words such as nan or OVLD, and numbers of at least 9.9e36, or such as -9999 far from all others,
    are missing values.

    Values are the columns that are conductances by name or unit, else currents, else those of unknown names, else resistances
    (as 1 / R); all others are left out and named. A column called pulse, or counting without a name, numbers the pulses of
    those behind it: numbers may skip, begin anew at a new ramp, count down, or stand several times (values are averaged).
    Columns called device, cycle or type (LTP and LTD, up and down, ...) part ramps. A column that turns is split into its
    rising and its falling ramps, each of which is up or down as it goes. All that was guessed is in `notes`.

    Parameters
    ----------
    path : path or DataFrame
        A text file, an Excel (.xlsx) or LibreOffice (.ods) workbook (which need openpyxl and odfpy), or a table in memory.
    columns : sequence of str or int, str, or int, optional
        Names or numbers (from 1) of the columns with values.
    direction : {"up", "down"}, optional
        What all ramps are; none is split. Ramps that clearly go the other way are taken in reverse order, with a note.
    pulses_per_ramp : int, optional
        Values of each ramp; by default turning points are searched for.
    skip_rows : int, default 0
        Number of lines at the top that are not looked at.
    sheet : str or int, optional
        Name or number (from 1) of the sheet of a workbook; the first with numbers by default.
    encoding : str, optional
        Encoding of a text file.
    group : sequence of str or int, str, or int, optional
        Names or numbers of columns that tell ramps apart, beside those that are found by name.
    read_voltage : float, optional
        Voltage at which currents were read: they become conductances.

    Returns
    -------
    Ramps

    Raises
    ------
    ValueError
        Where the file is not of this form, or more than one reading is possible; the message names file, line and what was
        found.
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
    direction = optional(choice("up", "down"))("direction", direction)
    if pulses_per_ramp is not None:
        pulses_per_ramp = integer_value("pulses_per_ramp", pulses_per_ramp, 3)
    skip_rows = integer_value("skip_rows", skip_rows, 0)
    if encoding is not None and not isinstance(encoding, str):
        fail("encoding", "a str or None", encoding, TypeError)
    if read_voltage is not None and real()("read_voltage", read_voltage) == 0.0:
        raise ValueError("read_voltage must not be 0; got 0")
    chosen, parting = names_or_numbers("columns", columns), names_or_numbers("group", group)
    if sheet is not None and (isinstance(sheet, bool) or not isinstance(sheet, (str, int))):
        fail("sheet", "a name or a number", sheet, TypeError)
    tables, notes, name = tables_in(path, skip_rows, sheet, encoding)
    builder = _Builder(direction, pulses_per_ramp, read_voltage, notes)
    for table in tables:
        builder.add(table, plan_of(table, chosen, parting))
    return builder.done(name)


def names_or_numbers(name: str, value: Any) -> list[str | int] | None:
    if value is None:
        return None
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, Sequence) or any(isinstance(v, bool) or not isinstance(v, (str, int, np.integer)) for v in value):
        fail(name, "names or numbers of columns", value, TypeError)
    return list(value)


def tables_in(path: Any, skip_rows: int, sheet: Any, encoding: str | None) -> tuple[list[Table], list[str], Path]:
    if is_frame(path):
        if skip_rows or sheet is not None or encoding is not None:
            raise ValueError("skip_rows, sheet and encoding must not be given with a DataFrame; they are of files")
        return [table_of_frame(path, "DataFrame")], [], Path("DataFrame")
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a path or a DataFrame; got {type(path).__name__}")
    path = Path(path)
    raw = bytes_of(path)
    if is_workbook(raw):
        if encoding is not None:
            raise ValueError(f"encoding must not be given with a workbook; got {shown(encoding)} for {path}")
        rows, form, notes = rows_of_workbook(path, raw, sheet, skip_rows)
    else:
        if sheet is not None:
            raise ValueError(f"sheet must not be given with a text file; got {shown(sheet)} for {path}")
        text, notes = text_of(path, raw, encoding)
        rows, form = rows_of(path, text, skip_rows)
    tables, more = tables_of(path, rows, form)
    return tables, notes + more, path


class _Builder:
    """Gathers ramps from tables."""

    def __init__(
        self, direction: str | None, pulses_per_ramp: int | None, read_voltage: float | None, notes: list[str]
    ) -> None:
        self.direction, self.pulses_per_ramp, self.read_voltage = direction, pulses_per_ramp, read_voltage
        self.notes = list(notes)
        self.units: dict[str, str] = {}
        self.up: list[tuple[Array, Place]] = []
        self.down: list[tuple[Array, Place]] = []
        self.seen: list[tuple[Array, str]] = []
        self.reversed: list[str] = []
        self.short = ""

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def add(self, table: Table, plan: Plan) -> None:
        for text in plan.notes:
            self.note(text)
        groups = groups_of(table, plan)
        whole = table.values[:, plan.values]
        if len(groups) == 1 and len(plan.values) > 5 and self.pulses_per_ramp is None and ramps_lie_along_rows(whole):
            self._rows(table, plan)
            return
        for k in plan.values:
            values = self._values(table, plan, k)
            if values is None:
                continue
            numbers = table.values[:, plan.numbering[k]] if plan.numbering[k] >= 0 else None
            for rows, device, branch in groups:
                own = numbers[rows] if numbers is not None else None
                pieces, notes = pieces_of(table.path, values[rows], own, table.lines[rows])
                for text in notes:
                    self.note(text)
                for piece, lines in pieces:
                    self._ramps(table, k, piece, lines, device, branch)

    def _rows(self, table: Table, plan: Plan) -> None:
        """The ramps of a table with a row for each ramp and a column for each pulse."""
        columns = [(k, values) for k in plan.values if (values := self._values(table, plan, k)) is not None]
        self.note(f"{table.path.name}: rows move and columns do not: each row is taken as a ramp")
        for r, line in enumerate(table.lines):
            ramp = np.array([values[r] for _, values in columns])
            row = Table(table.path, [label_of(f"row {line}")], True, ramp[:, None], np.full(len(ramp), line))
            self._ramps(row, 0, ramp, row.lines, "", None)

    def _values(self, table: Table, plan: Plan, k: int) -> Array | None:
        """A column in the unit of its base, without overflows, as conductance where that is known."""
        label, name = table.labels[k], table.names[k]
        where = f"{table.path.name}: of {name!r}"
        values, notes = missing_words(table.values[:, k], table.lines, where)
        for text in notes:
            self.note(text)
        values = values * label.factor
        seen = np.isfinite(values)
        unit = label.unit
        if label.quantity == "resistance":
            bad = np.flatnonzero(seen & (values < 1e-30))
            if len(bad):
                raise ValueError(
                    f"{table.path}, line {table.lines[bad[0]]}: resistances must be positive; got {values[bad[0]]:g} in "
                    f"{name!r}"
                )
            values = 1.0 / values
            unit = "S" if unit else "1/R"
            self.note(f"{table.path.name}: {name!r} is a resistance: taken as conductance 1 / R")
        if label.quantity == "conductance" and unit == "ohm":
            self.note(f"{table.path.name}: {name!r} is called a conductance, with the unit of a resistance: taken as it stands")
        if label.quantity in ("current", "conductance") or self.read_voltage is not None:
            values, unit = self._without_sign(table, plan, k, values, unit)
        for old, other in self.seen:
            size = re.search(r"abs|\||modul", name + other, re.IGNORECASE)
            if size and len(old) == len(values) and np.allclose(old, values, rtol=1e-6, atol=0.0, equal_nan=True):
                self.note(f"{table.path.name}: {name!r} holds the same as {other!r} and is left out")
                return None
        self.seen.append((values, name))
        self.units.setdefault(unit, name)
        if len(self.units) > 1:
            pairs = ", ".join(f"{n!r}" for n in self.units.values())
            raise ValueError(f"{table.path}, line 1: columns must be of one unit; got {pairs}: choose by columns")
        return values

    def _without_sign(self, table: Table, plan: Plan, k: int, values: Array, unit: str) -> tuple[Array, str]:
        """Currents over their read voltage, and without the sign that only says at which polarity was read."""
        name = table.names[k]
        current = is_current(table, k, self.read_voltage, self.note)
        if current and (self.read_voltage is not None or plan.read_voltage is not None):
            if self.read_voltage is not None:
                volts: Any = self.read_voltage
                said = f"{self.read_voltage:g} V"
            else:
                column = plan.read_voltage
                volts = table.values[:, column] * table.labels[column].factor  # type: ignore[index]
                said = f"{table.names[column]!r}"  # type: ignore[index]
                if (np.abs(volts[np.isfinite(volts)]) == 0.0).any():
                    raise ValueError(f"{table.path}: read voltages must not be 0; got 0 in {said}: choose by columns")
            values = values / volts
            self.note(f"{table.path.name}: {name!r} over a read voltage of {said} is taken as conductance")
            unit = "S" if unit else unit
        elif current and self.read_voltage is None and unit == "A":
            pass
        seen = values[np.isfinite(values)]
        if len(seen) and (seen < 0.0).mean() > 0.9 and float(np.abs(seen[seen > 0.0]).sum()) < 0.05 * float(np.abs(seen).sum()):
            self.note(f"{table.path.name}: {name!r} is negative: its sign, that of the read voltage, is taken out")
            values = -values
        return values, unit

    def _ramps(self, table: Table, k: int, piece: Array, lines: Ints, device: str, branch: str | None) -> None:
        """The ramps in a piece, each up or down as it is said or as it goes."""
        name = table.names[k]
        named = table.labels[k].direction
        said = self.direction or branch
        if self.pulses_per_ramp is not None:
            n = self.pulses_per_ramp
            parts = [slice(i, i + n) for i in range(0, len(piece), n)]
        elif said is not None:
            parts = [slice(0, len(piece))]
        else:
            parts = split(piece)
            said = named if len(parts) == 1 else None
        for part in parts:
            y, where = piece[part], lines[part]
            seen = np.flatnonzero(np.isfinite(y))
            if len(seen) < 3:
                if self.pulses_per_ramp is not None and len(seen):
                    self.note(f"of {table.path.name}, {len(seen)} values of {name} are no ramp and left out")
                elif len(seen):
                    self.short = self.short or f"{len(seen)} values of {name!r} at line {where[seen[0]]}"
                continue
            y, where = y[seen[0] : seen[-1] + 1], where[seen[0] : seen[-1] + 1]
            up = said == "up" if said is not None else rises(y)
            if said is not None and contradicts(y, up):
                y, where = y[::-1], where[::-1]
                self.reversed.append(name)
                goes = "fall" if up else "rise"
                self.note(
                    f"of {table.path.name}, values of {name!r} that are to be {said} {goes}: taken in reverse order, as "
                    f"tables of depression are often stored"
                )
            (self.up if up else self.down).append((y, Place(table.path.name, name, where, device)))

    def done(self, path: Path) -> Ramps:
        if not self.up and not self.down:
            what = f" ({self.short})" if self.short else ""
            raise ValueError(f"{path}: ramps must have at least 3 values; got none so long{what}")
        out = Ramps(
            [y for y, _ in self.up], [y for y, _ in self.down], next(iter(self.units)), self.notes,
            [p for _, p in self.up], [p for _, p in self.down],
        )  # fmt: skip
        self._hints(path, out)
        return out

    def _hints(self, path: Path, out: Ramps) -> None:
        """What the ramps themselves and the name of the file say against how they were taken."""
        for ramp, place in [*zip(out.up, out.up_places, strict=True), *zip(out.down, out.down_places, strict=True)]:
            for k in outliers(ramp):
                self.note(f"{place.at(int(k))}: {ramp[k]:g} {FAR}")
        hint = direction_in(re.sub(r"[\W\d]+", " ", path.stem)) if self.direction is None else None
        if hint and not (out.down if hint == "down" else out.up):
            goes = "rise" if hint == "down" else "fall"
            self.note(
                f"{path.name}: all values {goes}, though its name says {hint}: say direction (--{hint}) where they are "
                f"stored in reverse"
            )
        if not out.unit:
            self.note(f"{path.name}: no unit found; values are taken as they stand")


def groups_of(table: Table, plan: Plan) -> list[tuple[Ints, str, str | None]]:
    """The rows of each ramp or set of ramps that group columns tell apart, with its device and direction."""
    height = len(table.lines)
    if not plan.groups:
        return [(np.arange(height), "", None)]
    keys: dict[tuple[str, ...], list[int]] = {}
    order = sorted(plan.groups)
    cells = {k: table.texts[k] if k in table.texts else [_cell(v) for v in table.values[:, k]] for k in order}
    filled = {k: _filled(cells[k]) for k in order}
    for r in range(height):
        keys.setdefault(tuple(filled[k][r] for k in order), []).append(r)
    out = []
    for key, rows in keys.items():
        device = ", ".join(f"{table.names[k]} {v}" for k, v in zip(order, key, strict=True) if plan.groups[k] == "device")
        branch = [sign_of(v) for k, v in zip(order, key, strict=True) if plan.groups[k] == "branch"]
        out.append((np.array(rows, dtype=np.intp), device, next((b for b in branch if b), None)))
    return out


def _cell(value: float) -> str:
    return "" if not np.isfinite(value) else f"{value:g}"


def _filled(cells: Sequence[str]) -> list[str]:
    """Cells with those above them where they are empty, as merged cells are."""
    out: list[str] = []
    for cell in cells:
        out.append(cell if cell or not out else out[-1])
    return out
