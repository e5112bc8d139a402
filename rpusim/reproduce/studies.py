"""Reproductions that are studies: rows of conditions times seeds, run by `rpusim.sweep`, and how they are judged and drawn."""

from __future__ import annotations

import math
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rpusim.reproduce.base import Check, Reproduction, Result, register
from rpusim.reproduce.conditions import Condition, trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Axis", "Found", "Row", "against", "epochs_axis", "study", "study_figure"]

LAST = 10  # final numbers are means over the last of so many parts of the epochs


class Row(NamedTuple):
    """One condition of a study: which line of the figure it is on, where, and what was published of it.

    `x` is a number, or the name of a place on an axis of names, or None where the parameter plays no part; `published` is in
    the unit of the study's `measure`.
    """

    line: str
    x: float | str | None
    condition: Condition
    published: float = math.nan


class Axis(NamedTuple):
    """The parameter along which rows lie; `log` says how it is drawn."""

    name: str
    log: bool = False


@dataclass(frozen=True)
class Found:
    """What was found of the rows of a study: ``found[line, x]`` is the mean over seeds of the final number.

    Attributes
    ----------
    runs : list of dict
        A row each: line, x, published, seeds, and by name a list for every seed of a number for every epoch.
    measure : str
        "test_error" (%) or "test_loss".
    """

    runs: list[dict[str, Any]]
    measure: str = "test_error"

    def run(self, line: str, x: Any) -> dict[str, Any]:
        """Return the row of a line and a place."""
        return next(run for run in self.runs if (run["line"], run["x"]) == (line, x))

    def each(self, line: str, x: Any) -> list[float]:
        """Return the final number of every seed: the mean over the last tenth of the epochs."""
        return finals(self.run(line, x)[self.measure])

    def __getitem__(self, key: tuple[str, Any]) -> float:
        return float(np.mean(self.each(*key)))

    def __iter__(self) -> Iterator[tuple[str, Any, float, float]]:
        """Line, place, what was found, and what was published."""
        for run in self.runs:
            published = math.nan if run["published"] is None else run["published"]
            yield run["line"], run["x"], self[run["line"], run["x"]], published

    def line(self, name: str) -> dict[Any, float]:
        """Return what was found of a line, by place."""
        return {x: value for line, x, value, _ in self if line == name}


def finals(curves: Sequence[Sequence[float]]) -> list[float]:
    """Mean over the last tenth of the epochs, of every seed."""
    return [float(np.mean(curve[-max(1, len(curve) // LAST) :])) for curve in curves]


def named(line: str, x: Any) -> str:
    """Return what a row is called."""
    return line if x is None else f"{line}, {x if isinstance(x, str) else format(x, 'g')}"


def near(found: Found, within: Callable[[float], float]) -> list[Check]:
    """Return a check of every published number: off by at most `within` of it. They are not required one by one."""
    return [
        Check(named(line, x), value, published, abs(value - published) <= within(published), required=False)
        for line, x, value, published in found
        if math.isfinite(published)
    ]


def claim(label: str, measured: float, passed: bool, published: float = math.nan) -> Check:
    """Return a check of what the paper says beside its numbers."""
    return Check(label, measured, published, bool(passed))


@dataclass(frozen=True)
class Plan:
    """What a study runs and how it is judged; see `study`."""

    name: str
    source: str
    criterion: str
    rows: Callable[[bool], list[Row]]
    checks: Callable[[Found, bool], list[Check]]
    epochs: tuple[int, int]
    axis: Axis
    measure: str = "test_error"
    least: float = 1.0
    notes: tuple[str, ...] = ()
    paper: str = ""  # its key; by default what the name begins with
    settings: dict[str, Any] = field(default_factory=dict)

    def run(self, quick: bool, seed: int, folder: Path | None, epochs: int | None, seeds: int = 1, workers: int = 1) -> Result:
        """Run all rows with so many seeds from `seed` on, or what is left of them, and judge what came out."""
        if folder is None:
            with tempfile.TemporaryDirectory() as place:
                return self.run(quick, seed, Path(place), epochs, seeds, workers)
        folder.mkdir(parents=True, exist_ok=True)
        epochs = epochs or self.epochs[0 if quick else 1]
        draws = [seed + k for k in range(seeds)]
        rows = self.rows(quick)
        runs = _collected(rows, _swept(rows, epochs, draws, folder / f"{self.name}{'-quick' * quick}.sqlite", workers), draws)
        return Result(
            self.name,
            self.source,
            self.criterion,
            tuple(self.checks(Found(runs, self.measure), quick)),
            least=self.least,
            settings={
                "epochs": epochs, "seed": seed, "seeds": seeds,
                "conditions": [[row.line, row.x, row.condition.to_dict()] for row in rows],
            },
            data={"runs": runs, "measure": self.measure, "axis": list(self.axis)},
            notes=self.notes,
        )  # fmt: skip


def _swept(rows: list[Row], epochs: int, draws: list[int], path: Path, workers: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Run what is not in the file yet; return the numbers of every condition, as JSON, and draw."""
    from rpusim import sweep
    from rpusim.sweep.settings import plain

    conditions = [row.condition for row in rows]
    work = sweep.Study(trained, {"condition": conditions, "draw": draws}, {"epochs": epochs})
    results = sweep.run(work, path, workers=workers)
    for varied, traceback in results.failures():
        raise RuntimeError(f"a run failed, and will not be run again from {path}: draw {varied['draw']}\n{traceback}")
    known = {(str(row["varied"]["condition"]), row["varied"]["draw"]): row["results"] for row in results.rows}
    return {(k, draw): known[str(plain("condition", one)), draw] for k, one in enumerate(conditions) for draw in draws}  # type: ignore[misc]


def _collected(rows: list[Row], numbers: dict[Any, dict[str, float]], draws: list[int]) -> list[dict[str, Any]]:
    """The numbers of every row as lists: by name, of every seed, of every epoch."""
    runs = []
    for k, row in enumerate(rows):
        published = row.published if math.isfinite(row.published) else None
        run: dict[str, Any] = {"line": row.line, "x": row.x, "published": published, "seeds": draws}
        for draw in draws:
            for name, value in numbers[k, draw].items():
                curve = run.setdefault(name.partition(".")[0], [])
                if len(curve) <= draws.index(draw):
                    curve.append([])
                curve[-1].append(value)
        runs.append(run)
    return runs


def study(
    plan: Plan, title: str, draw: Callable[[Result, float | None], Figure] | None = None, takes: str = ""
) -> Reproduction:
    """Register the reproduction of a plan."""
    return register(
        Reproduction(
            plan.name, title, plan.source, plan.run, draw or study_figure, trains=True, seeded=True, takes=takes,
            epochs=plan.epochs[1], papers=(plan.paper or plan.name.partition("-")[0],),
        )
    )  # fmt: skip


# ---- figures ---------------------------------------------------------------------------------------------------------


def found_of(result: Result) -> Found:
    """Return what a result, or one that was written, has found."""
    return Found(result.data["runs"], result.data["measure"])


LABELS = {"test_error": "test error (%)", "test_loss": "test cross-entropy (nat)"}


def against(ax: Axes, found: Found, axis: Axis, log: bool = True) -> None:
    """Draw final numbers against the parameter: means, single seeds as dashes, and what was published as open markers.

    Where the parameter is a name, places are below each other and numbers go to the right.
    """
    from rpusim.plotting.style import COLORS, legend

    names = list(dict.fromkeys(run["x"] for run in found.runs if run["x"] is not None))
    words = any(isinstance(x, str) for x in names)
    published = False

    def plot(xs: Any, ys: Any, fmt: str, **options: Any) -> None:
        ax.plot(*((ys, xs) if words else (xs, ys)), fmt, **options)

    for k, line in enumerate([run["line"] for run in found.runs if run["x"] is None]):
        style = ("--", ":", "-.")[k % 3]
        (ax.axvline if words else ax.axhline)(found[line, None], color="0.3", linestyle=style, label=line)
    for k, line in enumerate(dict.fromkeys(run["line"] for run in found.runs if run["x"] is not None)):
        runs = [run for run in found.runs if run["line"] == line]
        color, marker = COLORS[k % len(COLORS)], "osD^vP*X"[k % 8]
        xs = [names.index(run["x"]) if words else run["x"] for run in runs]
        each = [finals(run[found.measure]) for run in runs]
        plot(xs, [np.mean(one) for one in each], marker, color=color, label=line, linestyle="none" if words else "-")
        for x, one in zip(xs, each, strict=True):
            if len(one) > 1:
                plot([x] * len(one), one, "|" if words else "_", color=color, markersize=5, markeredgewidth=0.6)
        pairs = [(x, run["published"]) for x, run in zip(xs, runs, strict=True) if run["published"] is not None]
        if pairs:
            places, values = zip(*pairs, strict=True)
            plot(places, values, marker, color=color, markerfacecolor="none", markersize=6, linestyle="none")
            published = True
    if published:
        ax.plot([], [], "o", color="0.3", markerfacecolor="none", markersize=6, label="published")
    scale = "log" if log and found.measure == "test_error" else "linear"
    if words:
        ax.set(xlabel=LABELS[found.measure], ylabel=axis.name, xscale=scale, ylim=(len(names) - 0.5, -0.5))
        ax.set_yticks(range(len(names)), [textwrap.fill(str(name), 14) for name in names])
    else:
        ax.set(xlabel=axis.name, ylabel=LABELS[found.measure], xscale="log" if axis.log else "linear", yscale=scale)
    legend(ax)


def epochs_axis(ax: Axes, found: Found, keep: Callable[[str, Any], bool], what: str | None = None, label: str = "") -> None:
    """Draw the curves of some rows against epochs: a line for every seed, colours by row."""
    from matplotlib.ticker import MaxNLocator

    from rpusim.plotting.style import COLORS, legend

    what = what or found.measure
    for k, run in enumerate([run for run in found.runs if keep(run["line"], run["x"])]):
        color, style = COLORS[k % len(COLORS)], ("-", "--", ":")[k // len(COLORS) % 3]
        for j, curve in enumerate(run[what]):
            name = named(run["line"], run["x"]) if j == 0 else None
            ax.plot(np.arange(1, len(curve) + 1), curve, style, color=color, linewidth=0.8, label=name)
    ax.set(xlabel="epoch", ylabel=label or LABELS.get(what, what))
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if what == "test_error":
        ax.set_yscale("log")
    legend(ax)


def study_figure(result: Result, width: float | None = None) -> Figure:
    """Draw final numbers against the parameter of the study."""
    from rpusim.plotting.style import panels

    figure, (ax,) = panels(width, 1)
    against(ax, found_of(result), Axis(*result.data["axis"]))
    return figure
