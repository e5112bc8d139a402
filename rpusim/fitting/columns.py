"""What each column of a table is: values, a numbering of pulses, what tells ramps apart, or none of these."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rpusim._base.validation import shown
from rpusim.fitting.blocks import Array, Table
from rpusim.fitting.units import Label, direction_in

__all__ = []

_GROUPS = ("device", "cycle", "branch")
_NEVER = {"spread": "spreads", "temperature": "temperatures", "power": "powers", "frequency": "frequencies",
          "voltage": "voltages", "time": "times", "text": "text", "constant": "the same everywhere"}  # fmt: skip


@dataclass
class Plan:
    """Which columns hold values, which number their pulses (-1: none), which part ramps, and what was decided."""

    values: list[int]
    numbering: dict[int, int]
    groups: dict[int, str]
    read_voltage: int | None = None
    notes: list[str] = field(default_factory=list)


def plan_of(table: Table, columns: Sequence[str | int] | None, group: Sequence[str | int] | None) -> Plan:
    """What the columns are, by their names, their units, and what they hold."""
    width = table.values.shape[1]
    asked = [] if group is None else chosen_columns(table, group, "group")
    quantity = {k: _quantity(table, k) for k in range(width)}
    groups = {k: q for k, q in quantity.items() if q in _GROUPS}
    groups |= {k: quantity[k] if quantity[k] in _GROUPS else _kind_of_group(table, k) for k in asked}
    for k in groups:
        quantity[k] = groups[k]
    if columns is not None:
        wanted = chosen_columns(table, columns, "columns")
        text = [k for k in wanted if k in table.texts]
        if text:
            raise ValueError(f"{table.path}: columns must hold numbers; got text in {table.names[text[0]]!r}")
        both = [k for k in wanted if k in asked]
        if both:
            raise ValueError(f"columns and group must not name the same column; got {table.names[both[0]]!r} in {table.path}")
        groups = {k: v for k, v in groups.items() if k not in wanted}
        for k in wanted:
            quantity[k] = "value"
        _find_counters(table, quantity, keep=wanted)
        plan = Plan(wanted, {}, groups)
    else:
        _find_counters(table, quantity, keep=())
        plan = Plan(_values(table, quantity), {}, groups)
        plan.notes = _left_out(table, quantity, plan)
    counts = [k for k, q in quantity.items() if q == "count" and k not in plan.values]
    counts = _slow_counts_part(table, counts, plan)
    for k in plan.values:
        before = [c for c in counts if c < k]
        plan.numbering[k] = -1 if not counts else before[-1] if before else counts[0]
    plan.read_voltage = _read_voltage(table, quantity, plan)
    return plan


def chosen_columns(table: Table, wanted: Sequence[str | int], argument: str) -> list[int]:
    """The columns that are named, by their names or by their numbers from 1."""
    width, names = len(table.labels), table.names
    plain = [" ".join(name.lower().split()) for name in names]
    out = []
    parts = [p for one in wanted for p in (one.split(",") if isinstance(one, str) and one not in names else [one])]
    for one in parts if len(parts) > len(wanted) and all(str(p).strip() for p in parts) else wanted:
        one = one.strip() if isinstance(one, str) and one not in names else one
        text = " ".join((one if isinstance(one, str) else shown(int(one))).lower().split())
        if isinstance(one, str) and one in names:
            out.append(names.index(one))
        elif isinstance(one, str) and plain.count(text) == 1:
            out.append(plain.index(text))
        elif not isinstance(one, bool) and re.fullmatch(r"[0-9]{1,6}", text) and 1 <= int(text) <= width:
            out.append(int(text) - 1)
        else:
            raise ValueError(
                f"{argument} must be among {', '.join(map(repr, names[:40]))} or from 1 to {width} in {table.path}; got "
                f"{shown(one)}"
            )
    if not out:
        raise ValueError(f"{argument} must name at least one column; got none")
    if len(set(out)) < len(out):
        raise ValueError(f"{argument} must name each column once; got {shown(list(wanted))}")
    return out


def _quantity(table: Table, k: int) -> str:
    """What a column is by its name, where what it holds does not contradict."""
    label, y = table.labels[k], table.values[:, k]
    if k in table.texts:
        words = {w for w in table.texts[k] if w}
        if label.quantity in _GROUPS and len(words) * 2 <= max(len(y), 4):
            return label.quantity
        return "branch" if words and all(sign_of(w) for w in words) else "text"
    seen = y[np.isfinite(y)]
    if label.quantity in ("device", "cycle", "branch"):
        if label.quantity == "cycle" and _counts_up(seen):
            return "count"
        return label.quantity if _few(seen) else ""
    if label.quantity == "count" and _few(seen) and len(np.unique(seen)) == 1 and len(seen) > 3:
        return "constant"
    if label.quantity == "conductance" and not label.unit and label.name.lower().startswith("delta"):
        return "spread"
    if label.quantity == "current" and not label.unit and label.name.strip().lower() == "id" and (seen == np.round(seen)).all():
        return "count" if _counts_up(seen) else "device"
    return label.quantity


def _few(y: Array) -> bool:
    """Whether a column holds few different whole numbers, each several times."""
    return len(y) > 0 and bool((y == np.round(y)).all()) and 2 * len(np.unique(y)) <= max(len(y), 4)


def _counts_up(y: Array) -> bool:
    return len(y) > 2 and bool((y == np.round(y)).all()) and bool((np.diff(y) == 1).all())


def sign_of(word: str) -> str | None:
    """ "up" or "down" where a cell of a table says one of them."""
    text = word.strip().lower()
    if text in ("+", "p", "pos", "positive", "1", "+1", "1.0", "potentiate", "write", "on"):
        return "up"
    if text in ("-", "d", "n", "neg", "negative", "-1", "-1.0", "depress", "off"):
        return "down"
    return direction_in(text)


def is_current(table: Table, k: int, read_voltage: float | None, note: Callable[[str], object]) -> bool:
    """Whether a column holds currents: it says so, or says nothing and a read voltage is given."""
    label = table.labels[k]
    if read_voltage is None or label.quantity == "current":
        return label.quantity == "current"
    if label.unit or label.quantity in ("conductance", "resistance", "voltage"):
        what = f"holds {label.quantity}s" if label.quantity else f"is in {label.unit}"
        raise ValueError(
            f"{table.path}: read_voltage must be None where columns are no currents; got {read_voltage:g}, and "
            f"{table.names[k]!r} {what}"
        )
    note(f"{table.path.name}: {table.names[k]!r} says no unit: a current, as a read voltage is given")
    return True


def _kind_of_group(table: Table, k: int) -> str:
    words = set(table.texts.get(k, ())) - {""}
    return "branch" if words and all(sign_of(w) for w in words) else "cycle"


def _find_counters(table: Table, quantity: dict[int, str], keep: Sequence[int]) -> None:
    """Columns of unknown names that count, or grow as evenly as times do, become numberings and times."""
    unknown = [k for k, q in quantity.items() if q == "" and k not in keep and k not in table.texts]
    named = [k for k, q in quantity.items() if q in ("conductance", "current", "resistance", "count", "time") or k in keep]
    found = {k: kind for k in unknown if (kind := _evenness(table, k, first=k == 0))}
    if 0 in found:  # pairs: further columns of that kind, each with values behind it
        pairs = {k: kind for k in unknown if (kind := _evenness(table, k, first=True)) and k + 1 in unknown}
        found |= {k: kind for k, kind in pairs.items() if not _evenness(table, k + 1, first=True)}
    if len(found) == len(unknown) and not named:  # one must hold values: only what counts from 0 or 1 is left
        first = min(found, default=0)
        found = {first: found[first]} if len(unknown) > 1 and found.get(first) == "count" else {}
    elif len(found) == len(unknown) and not [k for k in named if quantity[k] not in ("count", "time")]:
        found = {k: kind for k, kind in found.items() if kind == "count"} if len(unknown) > 1 else {}
    if set(found) >= set(unknown) and not named:
        found = {}
    for k, kind in found.items():
        quantity[k] = kind


def _evenness(table: Table, k: int, first: bool) -> str:
    """ "count" for whole numbers that go on by one, also anew; "time" for what grows evenly; else ""."""
    label, column = table.labels[k], table.values[:, k]
    if label.direction is not None or (table.has_header and label.name and not first and not label.numbered):
        return ""
    if table.has_header and label.name and not _nameless(label):
        return ""
    y = column[np.isfinite(column)]
    if len(y) < 3:
        return ""
    d = np.diff(y)
    if (y == np.round(y)).all():
        on = np.abs(d) == 1
        anew = ~on & (np.isin(y[1:], (y[0], 0.0, 1.0)) | (d == 0))
        if abs(y[0]) <= 1 and (d > 0).any() and (on | (d > 1) | anew).all() and np.median(d[d > 0]) == 1:
            return "count"
        if on.all() and len(y) > 3 and (np.diff(np.sign(d)) != 0).sum() <= 1 and min(y[0], y[-1]) in (0, 1):
            return "count"
    if len(y) >= 8 and first and ((d > 0).all() or (d < 0).all()) and d.std() < 0.02 * abs(d.mean()):
        return "time"
    return ""


def _nameless(label: Label) -> bool:
    return not label.name or label.name.lower().startswith(("unnamed", "column"))


def _values(table: Table, quantity: dict[int, str]) -> list[int]:
    of: dict[str, list[int]] = {}
    for k, q in quantity.items():
        of.setdefault(q, []).append(k)
    unknown = of.get("", [])
    told = [k for k in unknown if table.labels[k].direction]
    for found in (of.get("conductance"), of.get("current"), told, of.get("resistance")):
        if found:
            return found
    moving = [k for k in unknown if len(np.unique(table.values[np.isfinite(table.values[:, k]), k])) > 1]
    for k in set(unknown) - set(moving):
        if moving:
            quantity[k] = "constant"
    if unknown:
        return moving or unknown
    got = ", ".join(f"{name!r} ({_NEVER.get(quantity[k], quantity[k])})" for k, name in enumerate(table.names))
    raise ValueError(
        f"{table.path}, line {table.lines[0]}: a column must hold conductances, currents or resistances; got {got[:300]}: "
        f"choose by columns"
    )


def _left_out(table: Table, quantity: dict[int, str], plan: Plan) -> list[str]:
    """What is neither value nor numbering, in a line."""
    parts = []
    for k, q in quantity.items():
        if k in plan.values or q in ("count", *_GROUPS) or (k not in table.texts and not np.isfinite(table.values[:, k]).any()):
            continue
        parts.append(f"{table.names[k]!r} ({_NEVER.get(q, q) or 'not told'})")
    notes = []
    if parts:
        taken = ", ".join(repr(table.names[k]) for k in plan.values[:6]) + (", ..." if len(plan.values) > 6 else "")
        notes.append(f"of {table.path.name}, only {taken}; left out: {', '.join(parts)}")
    for k, q in quantity.items():
        own = table.values[np.isfinite(table.values[:, k]), k]
        if q == "voltage" and k not in plan.values and "read" not in table.names[k].lower() and np.ptp(np.abs(own)) > 0:
            notes.append(
                f"{table.path.name}: pulses differ in {table.names[k]!r}, from {own.min():g} to {own.max():g}: a fit takes "
                f"them as equal"
            )
    return notes


def _slow_counts_part(table: Table, counts: list[int], plan: Plan) -> list[int]:
    """Of several numberings those that stay for several rows tell ramps apart."""
    if len(counts) < 2 or len(plan.values) > 1:
        return counts
    for k in list(counts):
        y = table.values[:, k]
        y = y[np.isfinite(y)]
        if len(counts) > 1 and _few(y) and (np.diff(y) == 0).mean() > 0.6:
            counts = [c for c in counts if c != k]
            plan.groups[k] = "cycle"
    return counts


def _read_voltage(table: Table, quantity: dict[int, str], plan: Plan) -> int | None:
    """The column of the voltage at which currents were read, where one says so."""
    if any(table.labels[k].quantity != "current" for k in plan.values):
        return None
    named = [k for k, q in quantity.items() if q == "voltage" and re.search("read", table.names[k], re.IGNORECASE)]
    return named[0] if len(named) == 1 else None
