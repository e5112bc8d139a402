"""Reading tables of steps from files: look-up tables, percentiles, and pairs of conductances."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from rpusim._base.citing import cite
from rpusim._base.validation import integer_value
from rpusim.fitting.blocks import Table
from rpusim.fitting.columns import sign_of
from rpusim.fitting.decode import bytes_of, text_of
from rpusim.fitting.ramps import tables_in
from rpusim.fitting.steps import Array, Curve, StepTable, binned, moments, table_of
from rpusim.fitting.units import direction_in, split_unit
from rpusim.fitting.workbooks import is_frame, is_workbook

__all__ = ["read_steps", "role_of_step"]

_CHANGE = re.compile(
    r"\W*(?:(?:mean|avg|average|median)[\W_]+)?(d|Δ|δ|∆|delta)[\W_]*(g|i|cond\w*|conductance|w)\w{0,3}(\W.*)?"
    r"|.*(delta|change|increment).*|\W*steps?\W*",
    re.I,
)
_PROBABILITY = re.compile(r"\W*(c\W?d\W?f|cumul\w*|prob\w*|percentiles?|quantiles?|p|u)(\W.*)?", re.I)
_BEFORE = re.compile(r"(.*[\W_])?(before|prior|initial|init|pre|old|start|from)([\W_].*)?|g_?[0i]", re.I)
_AFTER = re.compile(r"(.*[\W_])?(after|post|final|new|next|end|to)([\W_].*)?|g_?[1f]", re.I)
_PERCENT = re.compile(
    r"\W*(?:p|q|percentile|quantile|cdf|perc)?[\W_]*(\d*\.?\d+)\s*(%|th|st|nd|rd|percent)?\W*(?:percentile)?", re.I
)
_GRID = re.compile(r"g[\s_-]?bins.*cdf", re.IGNORECASE)


def role_of_step(name: str) -> str:
    """What a column of such a table is by its name: change, probability, before, after, percentile or ""."""
    name = split_unit(name[:120])[0].strip() or name[:120].strip()
    for role, pattern in (("change", _CHANGE), ("probability", _PROBABILITY), ("before", _BEFORE), ("after", _AFTER)):
        if pattern.fullmatch(name):
            return role
    return "percentile" if _PERCENT.fullmatch(name) else ""


def read_steps(
    *paths: str | os.PathLike[str] | Any,
    up: str | os.PathLike[str] | Any = None,
    down: str | os.PathLike[str] | Any = None,
    bins: int | None = None,
    g_min: float | None = None,
    g_max: float | None = None,
    skip_rows: int = 0,
    sheet: str | int | None = None,
    encoding: str | None = None,
    **others: Any,
) -> StepTable:
    """Read steps over the conductance from files, and return the device that has them.

    A file may be a look-up table as CrossSim writes it (a line of conductances, one of cumulative probabilities, and a row of
    changes for each of these, a column for each conductance); a table of conductance, cumulative probability and change; one
    with a row for each conductance and a column for each percentile (5 %, p50, q0.95); one of mean change, with or without its
    standard deviation; or pairs: conductance before, and after or change by, each pulse. Units are those of the header. Pulses
    are up or down by a column called type, by the name of the file or of the column (set and reset, increasing and decreasing),
    else as most of the changes go.

    Parameters
    ----------
    *paths : path or DataFrame
        One file for both signs, or several.
    up, down : path or DataFrame, optional
        A file with pulses of that sign alone, whatever its names say.
    bins, g_min, g_max, **others
        See `fit_steps`.
    skip_rows, sheet, encoding
        See `read_ramps`.

    Returns
    -------
    StepTable

    Raises
    ------
    ValueError
        Where a file is not of this form, or pulses of one sign are missing; the message names file and line.
    OSError
        Where it cannot be read.

    Notes
    -----
    Look-up tables of changes over conductance and probability are of Burr et al. (2015), IEEE TED 62, 3498, and of CrossSim
    (Agarwal et al. 2016, IJCNN).

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "steps.csv"
    >>> rows = [f"{g},{s},{0.1 if s == 'up' else -0.1}\\n" for g in (1, 5, 9) for s in ("up", "down")]
    >>> _ = path.write_text("G (uS),type,mean dG (uS)\\n" + "".join(rows))
    >>> found = rpu.fitting.read_steps(path)
    >>> round(found.device.dw_min, 4), found.offset, found.unit
    (0.025, 5e-06, 'S')
    """
    cite("burr2015", "agarwal2016")
    sources: list[tuple[Any, str | None]] = [(path, None) for path in paths]
    sources += [(path, side) for path, side in ((up, "up"), (down, "down")) if path is not None]
    if not sources:
        raise TypeError("paths must name at least one file; got none")
    if bins is not None:
        bins = integer_value("bins", bins, 2, 10_000)
    skip_rows = integer_value("skip_rows", skip_rows, 0)
    notes: list[str] = []
    curves: dict[str, tuple[Curve, str]] = {}
    for path, direction in sources:
        for side, curve, unit, where in _curves(path, direction, bins, skip_rows, sheet, encoding, notes):
            if side in curves:
                raise ValueError(f"{where}: steps {side} must be given once; got them twice: say which is up and which is down")
            curves[side] = curve, unit
    missing = [side for side in ("up", "down") if side not in curves]
    if missing:
        name = "DataFrame" if is_frame(sources[0][0]) else str(sources[0][0])
        raise ValueError(f"{name}: steps of both signs are needed; got none {missing[0]}")
    units = {unit for _, unit in curves.values()}
    if len(units) > 1:
        raise ValueError(f"paths must be of one unit; got {' and '.join(sorted(unit or 'none' for unit in units))}")
    if units == {""}:
        notes.append("no unit found; conductances are taken as they stand")
    return table_of(curves["up"][0], curves["down"][0], units.pop(), g_min, g_max, notes, others)


def _curves(
    path: Any, direction: str | None, bins: int | None, skip_rows: int, sheet: Any, encoding: Any, notes: list[str]
) -> list[tuple[str, Curve, str, str]]:
    """The steps up and down in a file: side, steps, unit, and where they are from."""
    if isinstance(path, (str, os.PathLike)) and not sheet:
        raw = bytes_of(Path(path))
        if not is_workbook(raw):
            text, more = text_of(Path(path), raw, encoding)
            grid = _grid(Path(path), "\n".join(text.splitlines()[skip_rows:]))
            if grid is not None:
                notes += more
                side = direction or direction_in(_words(Path(path).stem)) or _most(grid.mean, Path(path).name, notes)
                return [(side, _signed(grid, side, Path(path).name, notes), "S", str(path))]
    tables, more, file = tables_in(path, skip_rows, sheet, encoding)
    notes += more
    out = []
    for table in tables:
        unit = _unit(table)
        for said, rows in _by_sign(table, direction):
            for name, curve in _of_rows(table, rows, bins, notes):
                told = said or direction_in(_words(name)) or direction_in(_words(file.stem))
                side = told or _most(curve.mean, file.name, notes)
                out.append((side, _signed(curve, side, file.name, notes), unit, str(file)))
    return out


def _words(name: str) -> str:
    return re.sub(r"[\W\d_]+", " ", name)


def _most(mean: Array, name: str, notes: list[str]) -> str:
    side = "up" if float(np.median(mean)) > 0.0 else "down"
    notes.append(f"{name}: most changes go {side}: taken as pulses {side}")
    return side


def _signed(curve: Curve, side: str, name: str, notes: list[str]) -> Curve:
    """Changes of steps down are negative, also where their sizes are written."""
    if side == "down" and float(np.median(curve.mean)) > 0.0:
        notes.append(f"{name}: changes of pulses down are positive: taken as their sizes")
        return Curve(curve.g, -curve.mean, curve.std, curve.count)
    return curve


def _grid(path: Path, text: str) -> Curve | None:
    """A look-up table in CrossSim's form; None where it is none."""
    lines = [(k, line) for k, line in enumerate(re.split(r"\r\n|\r|\n", text), 1) if line.strip()]
    named = bool(lines) and bool(_GRID.search(lines[0][1][:300]))
    lines = lines[1:] if named else lines
    if len(lines) < (2 if named else 4):
        return None
    rows: list[Array] = []
    for number, line in lines:
        try:
            rows.append(np.array([float(cell) for cell in re.split(r"[,;\s]+", line.strip().strip("[],;"))]))
        except ValueError:
            if named:
                raise ValueError(f"{path}, line {number}: must hold numbers; got {line[:40]!r}") from None
            return None
        if len(rows) == 2 and not named and not _looks_like_grid(rows[0], rows[1], len(lines)):
            return None
    g, probability, body = rows[0], rows[1], rows[2:]
    if len(body) != len(probability):
        raise ValueError(
            f"{path}: a look-up table must have a row for each of its {len(probability)} probabilities; got {len(body)}"
        )
    wrong = next((k for k, row in enumerate(body) if len(row) != len(g)), None)
    if wrong is not None:
        raise ValueError(
            f"{path}, line {lines[wrong + 2][0]}: must have a change for each of {len(g)} conductances; got {len(body[wrong])}"
        )
    if not _looks_like_grid(g, probability, len(lines)) or not np.isfinite(np.array(body)).all():
        raise ValueError(
            f"{path}, line {lines[0][0]}: conductances must rise, probabilities go from 0 to 1, and changes be finite"
        )
    found = [moments(probability, column)[:2] for column in np.array(body).T]
    mean, std = np.array(found).T
    return Curve(g, mean, std, np.full(len(g), math.nan))


def _looks_like_grid(g: Array, probability: Array, lines: int) -> bool:
    rising = len(g) > 1 and bool((np.diff(g) > 0.0).all()) and bool(np.isfinite(g).all())
    inside = len(probability) > 1 and probability[0] >= 0.0 and probability[-1] <= 1.0
    return rising and inside and bool((np.diff(probability) >= 0.0).all()) and len(probability) == lines - 2


def _unit(table: Table) -> str:
    for k, label in enumerate(table.labels):
        if k not in table.texts and role_of_step(label.name) in ("", "before") and label.unit in ("S", "A"):
            return label.unit
    return next((label.unit for label in table.labels if label.unit in ("S", "A")), "")


def _by_sign(table: Table, direction: str | None) -> list[tuple[str | None, Any]]:
    """Rows of pulses up and down, where a column tells them apart."""
    everything = np.arange(len(table.lines))
    if direction is not None:
        return [(direction, everything)]
    for k, label in enumerate(table.labels):
        words = table.texts.get(k)
        if words is None and label.quantity == "branch":
            words = [f"{v:g}" for v in table.values[:, k]]
        if words and all(sign_of(word) for word in words):
            signs = np.array([sign_of(word) for word in words])
            return [(side, everything[signs == side]) for side in ("up", "down") if (signs == side).any()]
    return [(None, everything)]


def _of_rows(table: Table, rows: Array, bins: int | None, notes: list[str]) -> list[tuple[str, Curve]]:
    """The steps in rows of a table, with a name that may say their sign."""
    roles: dict[str, list[int]] = {}
    for k, label in enumerate(table.labels):
        if k not in table.texts and label.quantity not in ("branch", "count", "cycle", "device", "voltage", "time"):
            spread = label.quantity == "spread" and re.search(r"std|sigma|sd|dev|err", label.name, re.I)
            roles.setdefault("spread" if spread else role_of_step(label.name), []).append(k)
    at = roles.get("before") or [k for k in roles.get("", ()) if table.labels[k].unit in ("S", "A", "")]
    if not at or len(at) > 1 and "after" not in roles and "before" not in roles:
        got = ", ".join(repr(name) for name in table.names[:20])
        raise ValueError(f"{table.path}, line {table.lines[0]}: must have one column of conductances; got {got}")
    change = roles.get("change", [])
    g = _column(table, at[0])[rows]
    if "probability" in roles and change:
        return [
            (
                "",
                _distributions(table, g, _column(table, roles["probability"][0])[rows], _column(table, change[0])[rows], notes),
            )
        ]
    if len(roles.get("percentile", ())) > 1:
        return [("", _percentiles(table, g, rows, roles["percentile"], at[0], notes))]
    if "after" in roles:
        out = [(table.names[roles["after"][0]], _column(table, roles["after"][0])[rows] - g)]
    elif change:
        out = [(table.names[k], _column(table, k)[rows]) for k in change]
    else:
        got = ", ".join(repr(name) for name in table.names[:20])
        raise ValueError(
            f"{table.path}, line {table.lines[0]}: must have a column of changes (dG), of conductances after a pulse, or of "
            f"percentiles; got {got}"
        )
    spread = _column(table, roles["spread"][0])[rows] if len(roles.get("spread", ())) == len(out) == 1 else None
    return [(name, _curve(table, name, g, d, spread, bins, notes)) for name, d in out]


def _column(table: Table, k: int) -> Array:
    return table.values[:, k] * table.labels[k].factor


def _curve(table: Table, name: str, g: Array, change: Array, spread: Array | None, bins: int | None, notes: list[str]) -> Curve:
    """Steps as they are tabulated, one for each conductance; else the means of pairs."""
    seen = np.isfinite(g) & np.isfinite(change)
    if seen.sum() < 2:
        raise ValueError(
            f"{table.path}, line {table.lines[0]}: must hold at least 2 conductances with changes; got {seen.sum()}"
        )
    g, change = g[seen], change[seen]
    rising = len(np.unique(g)) == len(g) and bool((np.diff(g) > 0.0).all() or (np.diff(g) < 0.0).all())
    if spread is not None or (
        rising and (re.search("mean|av", name, re.I) or len(g) <= 60) and not np.isclose(g[1:], (g + change)[:-1]).any()
    ):
        order = np.argsort(g)
        std = np.full(len(g), math.nan) if spread is None else np.abs(spread[seen])
        return Curve(g[order], change[order], std[order], np.full(len(g), math.nan))
    return binned(g, change, bins, f"of {name!r}", notes)


def _distributions(table: Table, g: Array, probability: Array, change: Array, notes: list[str]) -> Curve:
    seen = np.isfinite(g) & np.isfinite(probability) & np.isfinite(change)
    if not seen.any():
        raise ValueError(f"{table.path}, line {table.lines[0]}: must hold rows of three numbers; got none")
    if np.nanmax(probability) > 1.0:
        notes.append(f"{table.path.name}: probabilities go to {np.nanmax(probability):g}: taken in percent")
        probability = probability / 100.0
    wrong = np.flatnonzero(seen & ~((probability >= 0.0) & (probability <= 1.0)))
    if len(wrong):
        raise ValueError(
            f"{table.path}, line {table.lines[wrong[0]]}: probabilities must be from 0 to 1; got {probability[wrong[0]]:g}"
        )
    where = np.unique(g[seen])
    found = [moments(probability[seen & (g == one)], change[seen & (g == one)]) for one in where]
    return _of_moments(table, where, found, notes)


def _of_moments(table: Table, where: Array, found: list[tuple[float, float, bool]], notes: list[str]) -> Curve:
    if len(where) < 2:
        raise ValueError(f"{table.path}, line {table.lines[0]}: must hold at least 2 conductances; got {len(where)}")
    cut = sum(ends for _, _, ends in found)
    if cut:
        notes.append(
            f"{table.path.name}: percentiles leave out ends at {cut} of {len(where)} conductances: means and spreads are those "
            f"of the normals nearest to them"
        )
    mean, std = np.array([m for m, _, _ in found]), np.array([s for _, s, _ in found])
    return Curve(where, mean, std, np.full(len(where), math.nan))


def _percentiles(table: Table, g: Array, rows: Array, columns: list[int], at: int, notes: list[str]) -> Curve:
    heads = [_PERCENT.fullmatch(split_unit(table.names[k])[0].strip() or table.names[k]) for k in columns]
    numbers = np.array([float(head.group(1)) if head else math.nan for head in heads])
    if numbers.max() > 1.0 or any(head and head.group(2) for head in heads):
        numbers = numbers / 100.0
    if not ((numbers >= 0.0) & (numbers <= 1.0)).all() or len(np.unique(numbers)) < len(numbers):
        raise ValueError(f"{table.path}: percentiles must differ and be from 0 to 100; got {[table.names[k] for k in columns]}")
    factor = [table.labels[k].factor if table.labels[k].unit else table.labels[at].factor for k in columns]
    values = table.values[rows][:, columns] * np.array(factor)
    seen = np.isfinite(values).all(1) & np.isfinite(g)
    order = np.argsort(g[seen])
    where = g[seen][order]
    return _of_moments(table, where, [moments(numbers, row) for row in values[seen][order]], notes)


def looks_like_a_grid(text: str, skip_rows: int = 0) -> bool:
    """Whether a text is a look-up table in CrossSim's form."""
    lines = [line for line in text.splitlines()[skip_rows:] if line.strip()]
    if lines and _GRID.search(lines[0][:300]):
        return True
    try:
        return _grid(Path(""), "\n".join(text.splitlines()[skip_rows:])) is not None
    except ValueError:
        return False
