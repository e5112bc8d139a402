"""From a workbook (Excel or LibreOffice) or a DataFrame to rows of cells and tables."""

from __future__ import annotations

import datetime
import io
import math
import numbers
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rpusim._base.validation import shown
from rpusim.fitting.blocks import Table
from rpusim.fitting.cells import Form, Row, number_of
from rpusim.fitting.units import label_of

__all__ = []

#: what a workbook may unpack to, in bytes, and its rows and columns
_LARGEST, _ROWS, _COLUMNS = 500_000_000, 1_100_000, 5_000


def is_workbook(raw: bytes) -> bool:
    return raw.startswith(b"PK\x03\x04")


def rows_of_workbook(path: Path, raw: bytes, sheet: str | int | None, skip_rows: int) -> tuple[list[Row], Form, list[str]]:
    """The cells of one sheet of a workbook, and what was chosen."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as whole:
            names = set(whole.namelist())
            size = sum(info.file_size for info in whole.infolist())
            kind = whole.read("mimetype")[:100].decode("ascii", "replace") if "mimetype" in names else ""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: must be a text file or a workbook; got a broken archive ({error})") from None
    if size > _LARGEST:
        raise ValueError(f"{path}: must unpack to less than {_LARGEST:,} bytes; got {size:,}")
    if "xl/workbook.xml" in names:
        sheets = _of_excel(path, raw)
    elif "opendocument.spreadsheet" in kind:
        sheets = _of_opendocument(path, raw)
    else:
        raise ValueError(f"{path}: must be a text file or a workbook (.xlsx, .ods); got another archive")
    name, notes = _chosen(path, list(sheets), sheet, sheets)
    rows = []
    comma = False
    for number, cells in enumerate(sheets[name], 1):
        texts = [_text(cell) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        if number > skip_rows and any(texts):
            comma |= any(isinstance(c, str) and c.count(",") == 1 and c.replace(",", "").strip("+-").isdigit() for c in cells)
            comment = texts[0].startswith("#") and len(texts[0]) > 1
            rows.append(Row(number, [texts[0].lstrip("# "), *texts[1:]] if comment else texts, comment, " ".join(texts)))
    if not rows:
        raise ValueError(f"{path}: must hold numbers; got an empty sheet {name!r}")
    width = max(len(row.cells) for row in rows)
    rows = [Row(r.line, r.cells + [""] * (width - len(r.cells)), r.comment, r.text) for r in rows]
    return rows, Form("\t", comma), notes


def _chosen(path: Path, names: list[str], sheet: str | int | None, sheets: dict[str, Any]) -> tuple[str, list[str]]:
    """The sheet that is asked for, or the first with numbers."""
    if sheet is not None:
        if isinstance(sheet, str) and sheet in names:
            return sheet, []
        if isinstance(sheet, int) or re.fullmatch("[0-9]{1,6}", sheet):
            number = int(sheet)
            if 1 <= number <= len(names):
                return names[number - 1], []
        raise ValueError(
            f"sheet must be among {', '.join(map(repr, names))} or from 1 to {len(names)} in {path}; got {shown(sheet)}"
        )

    def holds_numbers(name: str) -> bool:
        return sum(isinstance(c, numbers.Real) and not isinstance(c, bool) for row in sheets[name] for c in row) >= 3

    full = [name for name in names if holds_numbers(name)] or names
    if len(full) > 1:
        return full[0], [f"{path.name}: read from sheet {full[0]!r}; others: {', '.join(map(repr, full[1:6]))}"]
    return full[0], []


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, numbers.Real):
        value = float(cell)
        return "nan" if math.isnan(value) else str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)):
        return str(cell)
    return str(cell).strip()


def _of_excel(path: Path, raw: bytes) -> dict[str, list[list[Any]]]:
    try:
        import openpyxl
    except ImportError:
        raise ValueError(_needs(path, "an Excel workbook", "openpyxl")) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
            out = {}
            for sheet in book.worksheets:
                if (sheet.max_row or 0) > _ROWS or (sheet.max_column or 0) > 20_000:
                    sheet.reset_dimensions()
                out[sheet.title] = [list(row[:_COLUMNS]) for _, row in zip(range(_ROWS), sheet.values, strict=False)]
            book.close()
        except Exception as error:  # of whatever kind the package raises on a broken workbook
            raise ValueError(f"{path}: must be a whole Excel workbook; got one that cannot be read ({error})") from None
    return out


def _of_opendocument(path: Path, raw: bytes) -> dict[str, list[list[Any]]]:
    try:
        from odf.opendocument import load
        from odf.table import Table as Sheet
    except ImportError:
        raise ValueError(_needs(path, "a LibreOffice workbook", "odfpy")) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            book = load(io.BytesIO(raw))
            return {s.getAttribute("name"): list(_rows_of_sheet(s)) for s in book.spreadsheet.getElementsByType(Sheet)}
        except Exception as error:  # of whatever kind the package raises on a broken workbook
            raise ValueError(f"{path}: must be a whole LibreOffice workbook; got one that cannot be read ({error})") from None


def _rows_of_sheet(sheet: Any) -> Iterator[list[Any]]:
    from odf.table import CoveredTableCell, TableCell, TableRow

    total = 0
    for row in sheet.getElementsByType(TableRow):
        cells: list[Any] = []
        for cell in row.childNodes:
            if cell.qname not in (TableCell().qname, CoveredTableCell().qname):
                continue
            repeat = int(cell.getAttribute("numbercolumnsrepeated") or 1)
            value = _value_of_cell(cell)
            cells += [value] * min(repeat, _COLUMNS - len(cells) if value is not None else 1)
        count = int(row.getAttribute("numberrowsrepeated") or 1)
        empty = all(c is None for c in cells)
        for _ in range(min(count, 1 if empty else _ROWS - total)):
            yield cells
        total += count


def _value_of_cell(cell: Any) -> Any:
    kind = cell.getAttribute("valuetype")
    if kind in ("float", "percentage", "currency"):
        return float(cell.getAttribute("value"))
    text = "".join(_texts(cell))
    return text if text else None


def _texts(node: Any) -> Iterator[str]:
    if node.nodeType == node.TEXT_NODE:
        yield str(node.data)
    for child in getattr(node, "childNodes", ()):
        yield from _texts(child)


def _needs(path: Path, what: str, package: str) -> str:
    return f"{path}: is {what}, which needs the package {package} (pip install 'rpusim[files]'); or save the sheet as CSV"


# ---- tables in memory ------------------------------------------------------------------------------------------------


def is_frame(value: Any) -> bool:
    """Whether a value is a table with named columns, as those of pandas and polars."""
    return hasattr(value, "columns") and hasattr(value, "shape") and len(value.shape) == 2 and not isinstance(value, np.ndarray)


def table_of_frame(frame: Any, name: str) -> Table:
    """The columns of a DataFrame, and its index where that has a name."""
    columns = [str(c) if not isinstance(c, tuple) else " ".join(map(str, c)) for c in frame.columns]
    data = [np.asarray(frame.iloc[:, k] if hasattr(frame, "iloc") else frame[frame.columns[k]]) for k in range(len(columns))]
    index = getattr(frame, "index", None)
    own = [str(n) for n in getattr(index, "names", ()) if n is not None]
    if own:
        assert index is not None
        for k, title in reversed(list(enumerate(own))):
            level = index.get_level_values(k) if hasattr(index, "get_level_values") else index
            data.insert(0, np.asarray(level))
            columns.insert(0, title)
    counted = all(isinstance(c, numbers.Integral) for c in frame.columns)
    height, width = int(frame.shape[0]), len(columns)
    values, texts = np.full((height, width), math.nan), {}
    for k, column in enumerate(data):
        if column.dtype.kind in "fiub":
            values[:, k] = column
            continue
        cells = [_text(c) for c in column.tolist()]
        found = [math.nan if c.lower() in ("<na>", "nat") else number_of(c) for c in cells]
        if any(value is None for value in found):
            texts[k] = cells
        else:
            values[:, k] = found
    if np.isinf(values).any():
        row, k = (int(i) for i in np.argwhere(np.isinf(values))[0])
        raise ValueError(f"{name}: numbers must be finite; got {values[row, k]} in row {row} of {columns[k]!r}")
    labels = [label_of(f"column {c}" if counted and not own else c) for c in columns]
    return Table(Path(name), labels, not counted, values, np.arange(height, dtype=np.intp), texts)
