"""From rows of cells to tables: where the numbers begin, what stands above them, what does not belong."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import shown
from rpusim.fitting.cells import Form, Row, names_between_blanks, number_of
from rpusim.fitting.units import Label, label_of, unit_in

__all__ = []

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Columns under their names: `values` (rows, columns), nan where a cell holds no number; `texts` of columns of words."""

    path: Path
    labels: list[Label]
    has_header: bool
    values: Array
    lines: NDArray[np.intp]
    texts: dict[int, list[str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [label.name or f"column {k + 1}" for k, label in enumerate(self.labels)]


@dataclass
class _Run:
    """Rows one below another whose cells are of the same kinds: n a number, t a text, m missing."""

    kinds: str
    rows: list[Row]


def tables_of(path: Path, rows: Sequence[Row], form: Form) -> tuple[list[Table], list[str]]:
    """The tables in a file, usually one; and what was passed over."""
    rows, notes = _without_remarks(path, rows, form)
    runs = _runs(rows, form)
    numeric = [k for k, run in enumerate(runs) if "n" in run.kinds]
    if not numeric:
        where = f"below its header (line {rows[0].line}); got none" if rows else "; got none"
        raise ValueError(f"{path}: must hold numbers {where}")
    main = max(numeric, key=lambda k: (len(runs[k].rows), -k))
    main = next((k for k in numeric if len(runs[k].rows) > 2 and _begins(runs[k], runs[main], form)), main)
    tables: list[Table] = []
    above = _above(path, runs[:main], runs[main], form)
    for k, run in enumerate(runs[main:], main):
        if "n" not in run.kinds:
            above = [*above, *run.rows]
            continue
        if k > main and not any(not row.comment for row in above):
            _refuse(path, runs[main], run, form)
        if k > main and len(run.rows) < 3:
            _refuse(path, runs[main], run, form)
        table, used = _table(path, run, above, form)
        tables.append(table)
        passed = [row for row in above if row.line not in used and not row.comment]
        notes += _passed_over(path, passed, k == main)
        above = []
    notes += _passed_over(path, [row for row in above if not row.comment], False)
    return tables, notes


def _begins(run: _Run, main: _Run, form: Form) -> bool:
    """Whether the table may begin by a run above the longest one."""
    return "t" not in run.kinds or _merged(run.kinds, main.kinds, form) is not None


def _without_remarks(path: Path, rows: Sequence[Row], form: Form) -> tuple[Sequence[Row], list[str]]:
    """Rows without what stands beside a long table in a few cells of otherwise empty columns, as remarks in spreadsheets."""
    filled: dict[int, list[tuple[int, bool]]] = {}
    for r, row in enumerate(rows):
        for k, cell in enumerate(row.cells if form.delimiter is not None and not row.comment else ()):
            if cell:
                filled.setdefault(k, []).append((r, number_of(cell, form.comma) is None))
    values = {k: [r for r, text in cells if not text] for k, cells in filled.items()}
    most = max(map(len, values.values()), default=0)
    start = min((found[0] for found in values.values() if found and len(found) == most), default=0)
    few = [
        k
        for k, cells in filled.items()
        if len(cells) <= most / 10
        and any(r >= start and text for r, text in cells)
        and not any(label_of(rows[r].cells[k]).quantity in ("device", "cycle", "branch") for r, text in cells if text)
    ]
    if most < 20 or not few:
        return rows, []
    left = [
        Row(row.line, ["" if k in few else c for k, c in enumerate(row.cells)], row.comment, row.text)
        if not row.comment
        else row
        for row in rows
    ]
    columns = ", ".join(str(k + 1) for k in sorted(few))
    return [row for row in left if any(row.cells)], [
        f"{path.name}: remarks beside the table, in column {columns}, are passed over"
    ]


def _passed_over(path: Path, rows: Sequence[Row], first: bool) -> list[str]:
    if not rows:
        return []
    lines = f"line {rows[0].line}" if len(rows) == 1 else f"lines {rows[0].line} to {rows[-1].line}"
    what = f"{lines}, above the table," if first else lines
    return [f"{path.name}: {what} {'is' if len(rows) == 1 else 'are'} passed over ({_short(rows[0].text)})"]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 30 else text[:27] + "...")


def _kinds(cells: Sequence[str], comma: bool) -> str:
    found = (number_of(cell, comma) for cell in cells)
    return "".join("t" if value is None else "m" if math.isnan(value) else "n" for value in found)


def _runs(rows: Sequence[Row], form: Form) -> list[_Run]:
    out: list[_Run] = []
    for row in rows:
        if row.comment:
            kinds = "t"
        else:
            kinds = _kinds(row.cells, form.comma)
            merged = _merged(out[-1].kinds, kinds, form) if out and not out[-1].rows[-1].comment else None
            if merged is not None and ("n" in merged) == ("n" in out[-1].kinds):
                out[-1] = _Run(merged, [*out[-1].rows, row]) if len(out[-1].rows) < 2 else _grown(out[-1], merged, row)
                continue
        out.append(_Run(kinds, [row]))
    return _without_comments_between(out, form)


def _grown(run: _Run, kinds: str, row: Row) -> _Run:
    run.kinds = kinds
    run.rows.append(row)
    return run


def _without_comments_between(runs: list[_Run], form: Form) -> list[_Run]:
    """Comments between rows of one table do not part it."""
    out: list[_Run] = []
    pending: list[_Run] = []
    for run in runs:
        if run.rows[0].comment:
            pending.append(run)
            continue
        last = out[-1] if out else None
        if pending and last and "n" in last.kinds and "n" in run.kinds and not _names_columns(pending, last):
            merged = _merged(last.kinds, run.kinds, form)
            if merged is not None:
                last.kinds = merged
                last.rows.extend(run.rows)
                pending = []
                continue
        out += [*pending, run]
        pending = []
    return out + pending


def _names_columns(comments: Sequence[_Run], table: _Run) -> bool:
    return any(
        len(run.rows[0].cells) == len(table.kinds) and any(label_of(c).quantity for c in run.rows[0].cells) for run in comments
    )


def _merged(one: str, two: str, form: Form) -> str | None:
    """The kinds of rows of both; None where they are not of one table."""
    if len(one) != len(two):
        if form.delimiter is None:
            return None
        longer, shorter = (one, two) if len(one) > len(two) else (two, one)
        if len(two) > len(one) and set(longer[len(shorter) :]) != {"m"}:
            return None
        one, two = longer, shorter + "m" * (len(longer) - len(shorter))
    pairs = list(zip(one, two, strict=True))
    if any({a, b} == {"n", "t"} for a, b in pairs):
        return None
    return "".join(b if a == "m" else a for a, b in pairs)


def _above(path: Path, before: Sequence[_Run], main: _Run, form: Form) -> list[Row]:
    """The rows above the table: settings and names; numbers among them are refused where they look like values."""
    rows: list[Row] = []
    for run in before:
        bare = "n" in run.kinds and "t" not in run.kinds
        if bare and _merged(run.kinds, main.kinds, form) is not None:  # the same table: what stands between is wrong
            between = next((r for r in before[before.index(run) + 1 :] if not r.rows[0].comment), main)
            _refuse(path, run, between, form)
        close = run is before[-1] and "n" in run.kinds and len(run.kinds) == len(main.kinds)
        if bare or (close and not _numbered_header(run.rows[-1], form)):
            _refuse(path, main, run, form, last=True)
        rows += run.rows
    return rows


def _numbered_header(row: Row, form: Form) -> bool:
    """Whether a row is a name and numbers that count, as "pulse,1,2,3"."""
    numbers = [number_of(c, form.comma) for c in row.cells]
    rest = [v for v in numbers[1:] if v is not None]
    return numbers[0] is None and len(rest) == len(numbers) - 1 > 0 and bool(np.all(np.diff([0, *rest]) == 1) or
                                                                          np.all(np.diff([-1, *rest]) == 1))  # fmt: skip


def _refuse(path: Path, main: _Run, run: _Run, form: Form, last: bool = False) -> None:
    """Say what is wrong with the first (last) row of `run` as a row of `main`."""
    row = run.rows[-1 if last else 0]
    kinds, width = _kinds(row.cells, form.comma), len(main.kinds)
    more = len(kinds) > width and set(kinds[width:]) != {"m"}
    if more or (len(kinds) != width and (form.delimiter is None or "t" not in kinds)):
        raise ValueError(f"{path}, line {row.line}: must have {width} columns; got {len(kinds)}: {_short(row.text)}")
    for column, (kind, wanted) in enumerate(zip(kinds, main.kinds, strict=False), 1):
        if {kind, wanted} == {"n", "t"}:
            allowed = "a number" if wanted == "n" else "a text, as in other lines"
            raise ValueError(f"{path}, line {row.line}: column {column} must be {allowed}; got {shown(row.cells[column - 1])}")
    raise ValueError(f"{path}, line {row.line}: must be a row of the table above it; got {_short(row.text)}")


def _table(path: Path, run: _Run, above: Sequence[Row], form: Form) -> tuple[Table, set[int]]:
    """The table of a run, and the lines above it that name its columns."""
    width = len(run.kinds)
    rows = list(run.rows)
    names, units, used = _header(path, above, width, form, rows)
    if names is None:
        counted = _counted_header(rows, form)
        if counted:
            names, rows = counted, rows[1:]
    while width > 1 and all(len(r.cells) < width or not r.cells[width - 1] for r in rows) and not (names or [""])[-1]:
        width -= 1  # delimiters at the end of lines
        names = names[:width] if names else names
    values = np.full((len(rows), width), math.nan)
    texts: dict[int, list[str]] = {k: [] for k in range(width) if run.kinds[k] == "t"}
    for r, row in enumerate(rows):
        for k, cell in enumerate(row.cells[:width]):
            value = number_of(cell, form.comma)
            if value is not None:
                values[r, k] = value
                if math.isinf(value):
                    raise ValueError(f"{path}, line {row.line}: numbers must be finite; got {shown(cell)} in column {k + 1}")
        for k in texts:
            texts[k].append(row.cells[k].strip() if k < len(row.cells) else "")
    units = _with_units(values, texts, list(units) or [""] * width)
    for k, words in texts.items():
        thousands = next((r for r, w in enumerate(words) if w and w.replace(",", "").replace(".", "").isdigit()), None)
        if thousands is not None:
            raise ValueError(
                f"{path}, line {rows[thousands].line}: column {k + 1} must be a number; got {shown(words[thousands])}"
            )
    labels = [label_of(n, u) for n, u in zip(names or [""] * width, [*units, *[""] * width], strict=False)]
    return Table(path, labels, names is not None, values, np.array([r.line for r in rows]), texts), used


def _with_units(values: Array, texts: dict[int, list[str]], units: list[str]) -> list[str]:
    """Columns of numbers with their unit in every cell, as "5.0 uS", become numbers; the units with those of them."""
    for k, words in list(texts.items()):
        found = [_NUMBER_AND_UNIT.match(word) for word in words]
        own = {match.group(2) for match, word in zip(found, words, strict=True) if match and word}
        whole = all(match or not word for match, word in zip(found, words, strict=True))
        if whole and len(own) == 1 and unit_in(unit := own.pop()):
            values[:, k] = [float(m.group(1).replace(",", ".")) if m else math.nan for m in found]
            units[k] = units[k] or unit
            del texts[k]
    return units


_NUMBER_AND_UNIT = re.compile(r"([+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s.,+-][^\d\s]{0,10})$")


def _counted_header(rows: Sequence[Row], form: Form) -> list[str] | None:
    """Names that are numbers, as pandas writes columns without names: 0, 1, 2 above numbers that are no integers."""
    if len(rows) < 4 or len(rows[0].cells) < 2:
        return None
    first = [number_of(c, form.comma) for c in rows[0].cells]
    index = not rows[0].cells[0]
    own = first[1:] if index else first
    below = [number_of(c, form.comma) for row in rows[1:4] for c in row.cells[1 if index else 0 :]]
    whole = all(v is not None and float(v).is_integer() for v in below)
    if not index and number_of(rows[1].cells[0], form.comma) == (first[0] or 0.0) + 1.0:
        return None  # a numbering that goes on
    if own in (list(range(len(own))), list(range(1, len(own) + 1))) and (index or (len(own) > 2 and not whole)):
        return [c for c in rows[0].cells]
    return None


def _header(
    path: Path, above: Sequence[Row], width: int, form: Form, rows: Sequence[Row]
) -> tuple[list[str] | None, list[str], set[int]]:
    """Names and units of the columns, from the rows right above, and the lines of these."""
    found: list[tuple[Row, list[str]]] = []
    for row in reversed(above[-6:]):
        cells = _aligned(path, row, width, form, rows, near=not found)
        if cells is None and not row.comment:
            break
        if cells is not None:
            found.append((row, cells))
    plain = [pair for pair in found if not pair[0].comment or _is_units(pair[1])]
    found = plain if any(not pair[0].comment for pair in plain) else found
    if not found:
        return None, [], set()
    kinds = [_is_units(cells) for _, cells in found[:3]]
    if kinds[0] and len(found) > 1:
        return found[1][1], found[0][1], {row.line for row, _ in found[:2]}
    if len(kinds) > 2 and kinds[1]:  # names, units, remarks, as Origin writes them
        names = [f"{a} {b}".strip() for a, b in zip(found[2][1], found[0][1], strict=True)]
        return names, found[1][1], {row.line for row, _ in found[:3]}
    return found[0][1], [], {found[0][0].line}


def _is_units(cells: Sequence[str]) -> bool:
    words = [c.strip("()[]{} ") for c in cells]
    known = [w for w in words if w and (unit_in(w) or w.lower() in _NO_UNIT)]
    return len(known) == sum(bool(w) for w in words) > 0 and any(unit_in(w) for w in words)


_NO_UNIT = frozenset("# - -- 1 % a.u. a.u au arb arb. arb.u. counts count n/a none no nr n code pulse pulses".split())


def _aligned(path: Path, row: Row, width: int, form: Form, rows: Sequence[Row], near: bool) -> list[str] | None:
    """The cells of a row as names of `width` columns; None where it is no such row."""
    cells = row.cells if form.delimiter is not None else names_between_blanks(row.text, width)
    while len(cells) > width and (not cells[-1] or cells[-1].lower() in ("comment", "comments", "remarks")):
        cells = cells[:-1]
    known = any(label_of(c).quantity or label_of(c).unit or label_of(c).direction for c in cells)
    if row.comment:
        if len(cells) == width - 1 and _is_units(cells):
            cells = ["#", *cells]  # the sign was the unit of the first
        named = known or (width > 1 and form.delimiter is not None)
        return list(cells) if len(cells) == width and named else None
    numbered = _numbered_header(row, form)
    if any(number_of(c, form.comma) not in (None,) and c for c in cells) and not numbered:
        return None
    if len(cells) == width:
        return list(cells)
    if not near or len(cells) < 2 or not (known or form.delimiter is None or len(cells) > width):
        return None
    if len(cells) == width - 1 and form.delimiter in (None, "\t") and _numbers_of_rows(cells, rows, form):
        return ["", *cells]  # as R writes the numbers of rows
    if not known and (form.delimiter is None or len(cells) > width):
        return None
    raise ValueError(
        f"{path}, line {row.line}: must name each of the {width} columns below it; got {len(cells)}: {_short(row.text)}"
    )


def _numbers_of_rows(names: Sequence[str], rows: Sequence[Row], form: Form) -> bool:
    """Whether the first column, which has no name, counts, and the names fit the others."""
    if min(len(r.cells) for r in rows) < 2:
        return False
    first, second = ([number_of(r.cells[k], form.comma) for r in rows] for k in (0, 1))
    whole = all(v is not None and not math.isnan(v) and v.is_integer() for v in second)
    return _counts(first) and (whole or label_of(names[0]).quantity != "count")


def _counts(numbers: Sequence[float | None]) -> bool:
    return len(numbers) > 1 and all(n == k or n == k + 1 for k, n in enumerate(numbers))
