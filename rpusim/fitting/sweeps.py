r"""From current against voltage to the law of reads that networks of wires take: i = g sinh(alpha v) / alpha.

A sweep is cut into branches on which the voltage goes one way, and each into the part from 0 up and that from 0 down. Of each
part that is read which the device has stayed on: from 0 volt to where the current jumps. A jump is a step of ln(i) that
goes beyond three times its neighbours', or a fall by more than a tenth and six times the noise; sinh is concave in ln(i) and
rises, so that neither is of the law. Values at the top of a branch that stay within 5 % while the voltage goes on by 15 %
are at the compliance of the instrument, and left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from rpusim._base.citing import cite
from rpusim._base.validation import choice, fail, integer_value, optional, real
from rpusim.fitting.columns import Plan, chosen_columns
from rpusim.fitting.found import Found
from rpusim.fitting.population import random_effects
from rpusim.fitting.ramps import groups_of, names_or_numbers, tables_in
from rpusim.fitting.series import numbers_of_series

__all__ = ["SweepResult", "Sweeps", "fit_sweeps", "read_sweeps"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sweeps:
    r"""Currents against voltages, as `read_sweeps` finds them; `fit_sweeps` takes them.

    Attributes
    ----------
    voltages, currents : list of ndarray
        In volt and ampere (or the unit of the header), in the order of measurement.
    names : list of str
        Of each sweep.
    unit : str
        "A", or "" where the header names none.
    notes : list of str
        What was decided in reading, a line each.

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "iv.csv"
    >>> _ = path.write_text("V (mV),I (uA)\n0,0\n100,1\n200,2.1\n300,3.4\n")
    >>> sweeps = rpu.fitting.read_sweeps(path)
    >>> sweeps.unit, (sweeps.currents[0] * 1e6).round(2).tolist()
    ('A', [0.0, 1.0, 2.1, 3.4])
    """

    voltages: list[Array] = field(default_factory=list)
    currents: list[Array] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    unit: str = ""
    notes: list[str] = field(default_factory=list)


def read_sweeps(
    path: str | os.PathLike[str] | Any,
    *,
    columns: Sequence[str | int] | str | int | None = None,
    voltage: str | int | None = None,
    group: Sequence[str | int] | str | int | None = None,
    skip_rows: int = 0,
    sheet: str | int | None = None,
    encoding: str | None = None,
) -> Sweeps:
    """Read currents against voltages from a text file, a workbook or a DataFrame; see `read_ramps` for their forms.

    Parameters
    ----------
    path, group, skip_rows, sheet, encoding
        See `read_ramps`; columns called device, cycle or state part rows into sweeps.
    columns : sequence of str or int, str, or int, optional
        Names or numbers (from 1) of the columns with currents; by default all that are currents by name or unit.
    voltage : str or int, optional
        Name or number of the column of voltages; by default the last before the currents that is one by name or unit.

    Returns
    -------
    Sweeps

    Raises
    ------
    ValueError
        Where the file is not of this form; the message names it and what was found.
    OSError
        Where it cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile, rpusim as rpu
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "iv.csv"
    >>> _ = path.write_text("V (mV),I (uA)\\n0,0\\n100,1\\n200,2.1\\n300,3.4\\n")
    >>> sweeps = rpu.fitting.read_sweeps(path)
    >>> sweeps.voltages[0].tolist(), sweeps.unit
    ([0.0, 0.1, 0.2, 0.3], 'A')
    """
    chosen, axis = names_or_numbers("columns", columns), names_or_numbers("voltage", voltage)
    parting = names_or_numbers("group", group)
    skip_rows = integer_value("skip_rows", skip_rows, 0)
    tables, notes, _ = tables_in(path, skip_rows, sheet, encoding)
    out = Sweeps(notes=list(notes))
    units: dict[str, str] = {}
    for table in tables:
        usable = [k for k in range(len(table.labels)) if k not in table.texts]
        volts = (
            [k for k in usable if table.labels[k].quantity == "voltage"]
            if axis is None
            else chosen_columns(table, axis, "voltage")
        )
        amps = (
            [k for k in usable if table.labels[k].quantity == "current"]
            if chosen is None
            else chosen_columns(table, chosen, "columns")
        )
        if not volts or not amps:
            got = ", ".join(map(repr, table.names[:20]))
            raise ValueError(
                f"{table.path}, line {table.lines[0]}: must have columns of voltages and currents; got {got}: say which"
            )
        wrong = [k for k in (*volts, *amps) if k in table.texts]
        if wrong:
            raise ValueError(f"{table.path}: columns must hold numbers; got text in {table.names[wrong[0]]!r}")
        named = [
            k for k, label in enumerate(table.labels) if label.quantity in ("device", "cycle") and k not in (*volts, *amps)
        ]
        named += [] if parting is None else [k for k in chosen_columns(table, parting, "group") if k not in named]
        groups = groups_of(table, Plan(amps, {}, dict.fromkeys(named, "device")))
        for k in amps:
            before = [v for v in volts if v < k]
            at = before[-1] if before else volts[0]
            units.setdefault(table.labels[k].unit, table.names[k])
            v, i = (table.values[:, c] * table.labels[c].factor for c in (at, k))
            for rows, name, _ in groups:
                seen = np.isfinite(v[rows]) & np.isfinite(i[rows])
                if seen.any():
                    out.voltages.append(v[rows][seen])
                    out.currents.append(i[rows][seen])
                    out.names.append(f"{table.names[k]}{', ' if name else ''}{name}")
    if len(units) > 1:
        raise ValueError(f"{path}: columns must be of one unit; got {', '.join(map(repr, units.values()))}: choose by columns")
    unit = next(iter(units))
    if unit != "A":
        out.notes.append(f"currents are in {unit or 'no unit that is named'}: conductances are in that over volt")
    return Sweeps(out.voltages, out.currents, out.names, unit, out.notes)


@dataclass(frozen=True)
class Branch:
    """A part of a sweep on which the device stayed: voltages and currents without sign, and what was left out."""

    name: str
    v: Array
    i: Array


@dataclass(frozen=True)
class SweepResult(Found):
    """The law of reads of measured devices: `nonlinearity` and `resistances` are what `solve_network` takes.

    Attributes
    ----------
    values, standard_errors : dict of str to float
        nonlinearity (1/volt), its spread (absolute) where branches differ in it, noise of a value.
    law : str
        "ohm" (nonlinearity 0), "sinh" (one for all branches) or "sinh of each".
    unit : str
        Unit of the conductances.
    relative : bool
        Whether noise is a fraction of the current.
    comparison : tuple of (str, float)
        BIC of each law over that of the best, best first.
    each : tuple of (str, float, float, float, float, float)
        Of each branch its name, g and its standard error, nonlinearity, and the range of voltage (its sign with it).

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> v = np.linspace(-0.5, 0.5, 41)
    >>> found = rpu.fitting.fit_sweeps(v, 1e-5 * np.sinh(3 * v) / 3)
    >>> found.law, round(found.values["nonlinearity"], 3), len(found.each)
    ('sinh', 3.0, 2)
    """

    law: str
    unit: str
    relative: bool
    comparison: tuple[tuple[str, float], ...]
    each: tuple[tuple[str, float, float, float, float, float], ...]
    branches: tuple[Branch, ...] = field(repr=False, compare=False, default=())

    kind: ClassVar[str] = "iv"
    units: ClassVar[dict[str, str]] = {"nonlinearity": "1/V", "spread": "1/V", "noise": "relative"}

    @property
    def nonlinearity(self) -> float:
        """alpha of i = g sinh(alpha v) / alpha, 1/volt; the mean of all branches."""
        return self.values["nonlinearity"]

    @property
    def conductances(self) -> Array:
        """g of each branch at small voltages."""
        return np.array([row[1] for row in self.each])

    @property
    def resistances(self) -> Array:
        """1 / g of each branch at small voltages."""
        return 1.0 / self.conductances

    def current(self, k: int, voltages: Any) -> Array:
        """Currents of the law of branch `k`."""
        alpha, v = self.each[k][3], np.asarray(voltages, np.float64)
        return self.each[k][1] * (np.sinh(alpha * v) / alpha if alpha > 0.0 else v)

    def __str__(self) -> str:
        tried = ", ".join(f"{name} +{bic:.1f}" for name, bic in self.comparison)
        rows = [
            f"{n}: g {g:.5g} {self.unit} (standard error {e:.2g}), alpha {a:.4g} 1/V, {lo:.3g} to {hi:.3g} V"
            for n, g, e, a, lo, hi in self.each
        ]
        return f"{self.law}; BIC over the best: {tried}\n" + "\n".join(rows) + f"\n\n{super().__str__()}"


def fit_sweeps(
    voltages: Any,
    currents: Any = None,
    *,
    v_max: float | None = None,
    law: str | None = None,
    noise: str = "relative",
) -> SweepResult:
    r"""Fit i = g sinh(alpha v) / alpha to current-voltage sweeps: a g for each branch, and alpha.

    Parameters
    ----------
    voltages : Sweeps, or array_like (values,) or list
        What `read_sweeps` returns; or voltages of one sweep or of several, in volt.
    currents : array_like (values,) or list
        Their currents, in ampere.
    v_max : float, optional
        Largest voltage, of both signs, that is looked at: that of reads. By default all until the device switches.
    law : {"ohm", "sinh", "sinh of each"}, optional
        alpha = 0, one alpha for all, or one for each branch; by default BIC chooses.
    noise : {"relative", "absolute"}, default "relative"
        Whether noise is a fraction of the current, or the same everywhere.

    Returns
    -------
    SweepResult

    Raises
    ------
    ValueError, TypeError
        Where an argument is not allowed, or no branch has 4 values; the message names it.

    Notes
    -----
    The law is that of `solve_network` and `wires.Network`: g is the conductance at small voltages. It is that of hopping and
    tunnelling, Yang et al. (2008), Nature Nanotechnology 3, 429, Eq. 1. See the module for branches, jumps and compliance.
    Values at less than a hundredth of the largest voltage, where offsets are, are not looked at.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> v = np.linspace(-0.5, 0.5, 41)
    >>> found = rpu.fitting.fit_sweeps(v, 1e-5 * np.sinh(3 * v) / 3)
    >>> found.law, round(found.nonlinearity, 4), (found.resistances / 1e5).round(4).tolist()
    ('sinh', 3.0, [1.0, 1.0])
    >>> _ = rpu.solve_network([0.2], found.resistances[:1, None], r_word=1, r_bit=1, nonlinearity=found.nonlinearity)
    """
    cite("yang2008")
    v_max = optional(real(0.0, open_low=True))("v_max", v_max)
    optional(choice(*_LAWS))("law", law)
    choice("relative", "absolute")("noise", noise)
    sweeps = _sweeps(voltages, currents)
    notes = list(sweeps.notes)
    branches = [b for name, v, i in zip(sweeps.names, sweeps.voltages, sweeps.currents, strict=True)
                for b in branches_of(name, v, i, v_max, notes)]  # fmt: skip
    if not branches:
        raise ValueError("voltages must have a branch of at least 4 values of one sign on which the current stays; got none")
    relative = noise == "relative"
    fits = sorted((_fit(name, branches, relative) for name in (_LAWS if law is None else (law,))), key=lambda fit: fit[1])
    name, bic, g, alpha, g_error, alpha_error, size = fits[0]
    found, errors = {"nonlinearity": float(alpha[0])}, {"nonlinearity": float(alpha_error[0])}
    if name == "sinh of each":
        mean, error, spread, spread_error = random_effects(alpha, alpha_error)
        found = {"nonlinearity": mean, "spread": spread}
        errors = {"nonlinearity": error, "spread": spread_error}
        notes.append(
            f"branches differ in alpha, from {alpha.min():.3g} to {alpha.max():.3g}: a network takes one, and gets the mean"
        )
    if name == "ohm":
        errors = {}
    found["noise"] = size
    errors["noise"] = size / math.sqrt(2.0 * max(sum(len(b.v) for b in branches) - len(branches) - 1, 1))
    notes += _said(branches, name, alpha, g, relative)
    unit = "S" if sweeps.unit in ("A", "") and not any("no unit" in note for note in notes) else f"{sweeps.unit or 'current'}/V"
    rows = [(b.name, float(b.v[0]), float(b.v[-1])) for b in branches]
    each = tuple((n, float(g[k]), float(g_error[k]), float(alpha[k]), lo, hi) for k, (n, lo, hi) in enumerate(rows))
    comparison = tuple((fit[0], float(fit[1] - bic)) for fit in fits)
    return SweepResult(found, errors, tuple(dict.fromkeys(notes)), name, unit, relative, comparison, each, tuple(branches))


_LAWS = ("ohm", "sinh", "sinh of each")


def _sweeps(voltages: Any, currents: Any) -> Sweeps:
    if isinstance(voltages, Sweeps):
        if currents is not None:
            raise ValueError("currents must be None where voltages are Sweeps, which hold both; got both")
        return voltages
    many = isinstance(voltages, (list, tuple)) and len(voltages) > 0 and not np.isscalar(voltages[0])
    if many and (not isinstance(currents, (list, tuple)) or len(currents) != len(voltages)):
        fail("currents", f"a list of {len(voltages)} sweeps, as many as voltages", currents)
    out = Sweeps(unit="A")
    for k, (v, i) in enumerate(zip(voltages, currents, strict=True) if many else [(voltages, currents)]):
        pair = [numbers_of_series(f"{n}[{k}]" if many else n, x) for n, x in (("voltages", v), ("currents", i))]
        if pair[0].shape != pair[1].shape:
            raise ValueError(f"currents must have shape {pair[0].shape}, that of voltages; got {pair[1].shape}")
        seen = np.isfinite(pair[0]) & np.isfinite(pair[1])
        out.voltages.append(pair[0][seen])
        out.currents.append(pair[1][seen])
        out.names.append(f"sweep {k + 1}" if many else "sweep")
    return out


def branches_of(name: str, v: Array, i: Array, v_max: float | None, notes: list[str]) -> list[Branch]:
    """The parts of a sweep that are read, each from small to large voltages."""
    out: list[Branch] = []
    if len(v) < 2:
        return out
    turns = _turns(v)
    ends = [*turns, len(v) - 1]
    top = float(np.abs(v).max())
    for number, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True), 1):
        part = slice(a, b + 1)
        for sign in (1.0, -1.0) if v[a] >= 0.0 else (-1.0, 1.0):
            x, y = sign * v[part], sign * i[part]
            use = (x > 0.01 * top) & (x <= (math.inf if v_max is None else v_max))
            x, y = x[use], y[use]
            if len(x) < 4:
                continue
            order = np.argsort(x, kind="stable")
            said = f"{name}, branch {number}, {sign * x[0]:.3g} to {sign * x[-1]:.3g} V"
            x, y = _stayed(said, x[order], y[order], notes)
            if len(x) >= 4:
                out.append(Branch(said, sign * x, sign * y))
            else:
                notes.append(f"{said}: fewer than 4 values before the current jumps: left out")
    return out


def _turns(v: Array) -> list[int]:
    """Where the voltage turns, with values that repeat, and by more than the noise of one that is measured."""
    out, sense, last, least = [0], 0.0, 0, 0.01 * float(np.abs(v).max())
    for k, x in enumerate(v):
        if sense == 0.0:
            sense = float(np.sign(x - v[0])) if abs(x - v[0]) > least else 0.0
            last = k if sense else 0
        elif sense * (x - v[last]) >= 0.0:
            last = k
        elif abs(x - v[last]) > least:
            out.append(last)
            sense, last = -sense, k
    return out


def _stayed(name: str, v: Array, i: Array, notes: list[str]) -> tuple[Array, Array]:
    """Values from the smallest voltage to where the current jumps, is at the compliance, or has the other sign."""
    good = i > 0.0
    if not good.all():
        wrong = int((~good).sum())
        notes.append(f"{name}: {wrong} currents of the sign against the voltage, as offsets make them, are left out")
        v, i = v[good], i[good]
    if len(v) < 4:
        return v, i
    first = len(i) - int(np.argmin(np.append((i >= 0.95 * i.max())[::-1], False)))
    if first < len(i) - 2 and v[-1] > 1.15 * v[first]:
        notes.append(f"{name}: {len(i) - first} values at a current of {i.max():.3g} (compliance) are left out")
        v, i = v[:first], i[:first]
    if len(v) < 4:
        return v, i
    step = np.diff(np.log(i))
    expected = np.diff(np.log(v))
    noise = 1.4826 * float(np.median(np.abs(np.diff(step - expected)))) / math.sqrt(6.0)
    for k in range(len(step)):
        beside = np.concatenate([step[max(k - 3, 0) : k], step[k + 1 : k + 4]])
        usual = max(float(np.median(beside)), 0.0)
        jumps = step[k] > 3.0 * usual + 6.0 * noise and step[k] - expected[k] > 0.25
        falls = step[k] < -0.1 - 6.0 * noise
        if jumps or falls:
            what = "jumps" if jumps else "falls"
            notes.append(
                f"{name}: the current {what} at {v[k + 1]:.3g} V: the device switches, and values from there on are left out"
            )
            return v[: k + 1], i[: k + 1]
    return v, i


def _law(v: Array, alpha: float) -> Array:
    """ln of sinh(alpha v) / alpha for v > 0, also where that overflows."""
    x = alpha * v
    large = x > 1e-6
    with np.errstate(divide="ignore", over="ignore"):
        own = np.where(large, x + np.log(-np.expm1(-2.0 * np.where(large, x, 1.0)) / 2.0) - math.log(max(alpha, 1e-300)), 0.0)
    return np.where(large, own, np.log(v) + x**2 / 6.0)


def _fit(law: str, branches: Sequence[Branch], relative: bool) -> tuple[str, float, Array, Array, Array, Array, float]:
    """BIC, g, alpha, their errors, and the noise of a law, as a fraction of the current or of the largest of a branch."""
    groups = [[k] for k in range(len(branches))] if law == "sinh of each" else [list(range(len(branches)))]
    n, count = sum(len(b.v) for b in branches), len(branches) + (0 if law == "ohm" else len(groups))
    if n <= count:
        none = np.full(len(branches), math.nan)
        return law, math.inf, none, none, none, none, math.nan
    g, alpha, g_error, alpha_error = (np.zeros(len(branches)) for _ in range(4))
    loss, jacobian, parts = 0.0, 0.0, []
    for group in groups:
        mine = [branches[k] for k in group]
        own, rate, residual, j = _least(mine, relative, law == "ohm")
        g[group], alpha[group] = own, rate
        loss += float(residual @ residual)
        parts.append((group, j))
    for b in branches:
        jacobian += float(np.log(np.abs(b.i)).sum()) if relative else len(b.i) * math.log(float(np.abs(b.i).max()))
    noise = loss / (n - count)
    for group, j in parts:
        covariance = np.linalg.pinv(j.T @ j, rcond=1e-14, hermitian=True) * noise
        size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        g_error[group] = size[: len(group)] * g[group]
        alpha_error[group] = size[-1] if law != "ohm" else 0.0
    likelihood = -0.5 * n * (math.log(2.0 * math.pi * max(loss / n, 1e-28)) + 1.0) - jacobian
    return law, (count + 1) * math.log(n) - 2.0 * likelihood, g, alpha, g_error, alpha_error, math.sqrt(noise)


def _least(branches: Sequence[Branch], relative: bool, ohm: bool) -> tuple[Array, float, Array, Array]:
    """Least squares of ln g of each branch and one alpha; residuals, and their derivatives by these."""
    vs, ys = [np.abs(b.v) for b in branches], [np.abs(b.i) for b in branches]
    which = np.repeat(np.arange(len(branches)), [len(v) for v in vs])
    v, y = np.concatenate(vs), np.concatenate(ys)
    scale = np.array([float(one.max()) for one in ys])[which]

    def model(x: Array) -> Array:
        return np.asarray(x[which] + (_law(v, abs(float(x[-1]))) if not ohm else np.log(v)))

    def residuals(x: Array) -> Array:
        return np.asarray(np.log(y) - model(x) if relative else (y - np.exp(np.minimum(model(x), 600.0))) / scale)

    def slopes(x: Array) -> Array:
        rate = abs(float(x[-1])) if not ohm else 0.0
        z = rate * v
        with np.errstate(over="ignore"):
            by = np.where(z > 1e-4, v / np.tanh(np.maximum(z, 1e-5)) - 1.0 / max(rate, 1e-300), z * v / 3.0)
        columns = [(which == k) * 1.0 for k in range(len(branches))] + ([] if ohm else [by * (np.sign(x[-1]) or 1.0)])
        size = np.ones(len(v)) if relative else np.exp(np.minimum(model(x), 600.0)) / scale
        return np.asarray(-np.stack(columns, 1) * size[:, None])

    best = None
    for rate in (None,) if ohm else tuple(np.array([0.3, 2.0, 8.0, 30.0]) / v.max()):
        shape = np.log(v) if rate is None else _law(v, float(rate))
        first = np.array([float(np.mean((np.log(y) - shape)[which == k])) for k in range(len(branches))])
        start = first if rate is None else np.append(first, rate)
        found = least_squares(residuals, start, slopes, method="lm" if len(v) >= len(start) else "trf", max_nfev=500)
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    rate = 0.0 if ohm else abs(float(best.x[-1]))
    return np.exp(best.x[: len(branches)]), rate, residuals(best.x), slopes(best.x)


def _said(branches: Sequence[Branch], law: str, alpha: Array, g: Array, relative: bool) -> list[str]:
    """What is to be known of a fit."""
    notes = []
    top = max(float(np.abs(b.v).max()) for b in branches)
    if law != "ohm" and float(alpha.max()) * top < 0.5:
        notes.append(f"alpha times the largest voltage is {float(alpha.max()) * top:.2g}: the curve hardly bends")
    for b, a, own in zip(branches, alpha, g, strict=True):
        shape = _law(np.abs(b.v), float(a)) if a > 0.0 else np.log(np.abs(b.v))
        left = np.log(np.abs(b.i)) - math.log(own) - shape
        if len(left) > 7 and float(left @ left) > 0.0:
            r = float(left[1:] @ left[:-1]) / float(left @ left)
            if r > max(3.0 / math.sqrt(len(left)), 0.5) and float(np.std(left)) > 1e-3:
                notes.append(f"{b.name} does not follow the law: residuals of {np.std(left):.2g} are correlated ({r:.2f})")
        growth = np.polyfit(np.log(np.abs(b.v)), np.log(np.abs(b.i)), 1)[0]
        if growth < 0.9:
            notes.append(f"{b.name}: the current grows as voltage^{growth:.2f} only: a series resistance, or an offset?")
    pairs: dict[tuple[str, bool], list[float]] = {}
    for b, own in zip(branches, g, strict=True):
        pairs.setdefault((b.name.rsplit(", branch ", 1)[0], bool(b.v[-1] > 0.0)), []).append(float(own))
    for (name, up), both in pairs.items():
        if len(both) > 1 and max(both) > 1.2 * min(both):
            side = "positive" if up else "negative"
            notes.append(f"{name}: at {side} voltages conductances are {min(both):.3g} to {max(both):.3g}: it switched between")
    return notes
