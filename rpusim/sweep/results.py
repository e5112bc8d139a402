"""What a sweep gave: a tidy table, means over seeds, fronts and sensitivities."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base import checkpoint as files
from rpusim._base.notebook import as_html
from rpusim._base.validation import choice, shown
from rpusim.sweep.answers import Best, BestMean, Mean, Means, SobolIndex
from rpusim.sweep.settings import label
from rpusim.sweep.store import Store

__all__ = ["Results", "load"]


class Results:
    """The points of a study as they are now; `run` and `load` make it.

    Attributes
    ----------
    study : dict
        `Study.to_dict` of what was run.
    varied : tuple of str
        Names that vary, and "seed" where there is more than one.
    measured : tuple of str
        Names of results.
    rows : list of dict
        Of every point what `Store.rows` gives.
    design_keys : list of str
        `Study.design_keys`.

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1]}, {"steps": 200}, seeds=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    >>> results.varied, results.measured
    (('lr', 'seed'), ('mean', 'standard_error', 'error', 'pulses'))
    >>> results.counts()
    {'done': 4, 'failed': 0, 'waiting': 0}
    """

    _repr_html_ = as_html

    def __init__(self, study: dict[str, Any], rows: list[dict[str, Any]], design_keys: Sequence[str] = ()) -> None:
        self.study, self.rows, self.design_keys = study, rows, design_keys
        seeds = ("seed",) if study["seeds"] > 1 else ()
        self.varied = (*study["vary"], *seeds)
        self.measured = tuple(dict.fromkeys(name for row in rows for name in row["results"] or {}))

    @classmethod
    def of(cls, store: Store) -> Results:
        """Return what a store holds."""
        study, keys = (json.loads(store.meta(name) or "null") for name in ("study", "design"))
        return cls(study, list(store.rows()), keys)

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.counts().items())
        return f"Results({self.study['task']!r}, {counts})"

    def _html_rows(self) -> list[tuple[str, Any]]:
        return [("task", self.study["task"]), ("varied", ", ".join(self.varied)), *self.counts().items()]

    def counts(self) -> dict[str, int]:
        """Return how many points are done, have failed, and wait."""
        return {status: sum(row["status"] == status for row in self.rows) for status in ("done", "failed", "waiting")}

    def failures(self) -> list[tuple[dict[str, Any], str]]:
        """Return what was varied of every point that failed, and its traceback."""
        return [({**row["varied"], "seed": row["seed"]}, row["traceback"]) for row in self.rows if row["status"] == "failed"]

    def columns(self) -> dict[str, list[Any]]:
        """Return lists by name: what varied, results, seconds and status; None where there is no result (yet)."""
        out: dict[str, list[Any]] = {}
        for name in self.varied:
            out[name] = [row["seed"] if name == "seed" else label(row["varied"].get(name)) for row in self.rows]
        for name in self.measured:
            key = f"result.{name}" if name in out else name
            out[key] = [(row["results"] or {}).get(name) for row in self.rows]
        for name in ("seconds", "status"):
            if name not in out:
                out[name] = [row[name] for row in self.rows]
        return out

    def column(self, name: str) -> NDArray[Any]:
        """Return one column as an array: integers, floats (nan where there is no result), booleans or text."""
        columns = self.columns()
        return _array(columns[choice(*columns)("name", name)])

    def records(self) -> np.recarray[Any, Any]:
        """Return the table as a NumPy record array."""
        columns = {name: _array(values) for name, values in self.columns().items()}
        return np.rec.fromarrays(list(columns.values()), names=list(columns))  # type: ignore[call-overload]

    def table(self) -> Any:
        """Return the table as a pandas DataFrame where pandas is, else as a NumPy record array."""
        try:
            import pandas
        except ImportError:
            return self.records()
        return pandas.DataFrame({name: _array(values) for name, values in self.columns().items()})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the table as CSV, or as Parquet where the name ends so and pyarrow is installed.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        ImportError
            If pyarrow is missing.
        """
        target, columns = Path(path), self.columns()
        ending = choice(".csv", ".parquet")("path: its ending", target.suffix)
        with files.atomic_file(target) as file:
            if ending == ".csv":
                text = io.StringIO(newline="")
                writer = csv.writer(text, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
                file.write(text.getvalue().encode())
            else:
                import pyarrow
                import pyarrow.parquet

                pyarrow.parquet.write_table(pyarrow.table({k: _array(v) for k, v in columns.items()}), file)
        return target

    def mean(self, value: str, by: str | Sequence[str]) -> Means:
        """Return mean, standard error of the mean and number of points, by the values of a name or of some.

        A dict of named tuples that prints as a table. Points whose other settings differ are one mean: the table says which
        names these are. Only points that are done count; the standard error of one is nan.
        """
        columns, by = self.columns(), (by,) if isinstance(by, str) else tuple(by)
        measured = columns[self.is_number("value", value)]
        names = [columns[choice(*columns)("by", name)] for name in by]
        groups: dict[tuple[Any, ...], list[float]] = {}
        for key, one in zip(zip(*names, strict=True) if names else [()] * len(measured), measured, strict=True):
            if one is not None:
                groups.setdefault(tuple(key), []).append(float(one))
        out = {}
        for key, found in groups.items():
            error = float(np.std(found, ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else math.nan
            out[key] = Mean(float(np.mean(found)), error, len(found))
        pooled = [name for name in self.varied if name not in by and len(set(map(str, columns[name]))) > 1]
        return Means(out, value, by, pooled)

    def is_number(self, name: str, value: Any) -> str:
        """Return the name of a column of numbers; raise ValueError where it is none."""
        return choice(*self.measured, "seconds")(name, value)

    def goal(self) -> str:
        """Return the name of the result that the study is about: what is best, or else the first."""
        wanted = self.study["minimize"] or self.study["maximize"]
        if wanted in self.measured:
            return str(wanted)
        if not self.measured:
            raise ValueError("results must have at least one point that is done; got none")
        return self.measured[0]

    def best(self) -> Best | None:
        """Return the row of the best point, a dict with what varied, results, settings; None where nothing is done.

        It prints as its result and what varied. One seed may be lucky: `best_mean` takes the means over seeds.
        """
        name = self.study["minimize"] or self.study["maximize"]
        done = [row for row in self.rows if isinstance((row["results"] or {}).get(name), (int, float))]
        done = [row for row in done if not math.isnan(row["results"][name])]
        if not done:
            return None
        pick = max if self.study["maximize"] else min
        return Best(pick(done, key=lambda row: row["results"][name]), name)

    def best_mean(self) -> BestMean:
        """Return the best mean over the seeds of one setting, what was varied there, and how many seeds it has.

        Settings with fewer seeds than most are left out: one lucky seed is no mean.
        """
        name = self.goal()
        groups: dict[str, list[float]] = {}
        for row in self.rows:
            value = (row["results"] or {}).get(name)
            if isinstance(value, (int, float)) and not math.isnan(value):
                groups.setdefault(json.dumps(row["varied"], sort_keys=True), []).append(float(value))
        seeds = max(map(len, groups.values()))
        means = {key: sum(values) / seeds for key, values in groups.items() if len(values) == seeds}
        key = (max if self.study["maximize"] else min)(means, key=lambda one: means[one])
        return BestMean(means[key], json.loads(key), seeds)

    def pareto(self, goals: Mapping[str, str]) -> NDArray[np.int64]:
        """Return the rows that no other beats: at least as good in all goals, and better in one.

        Parameters
        ----------
        goals : mapping of str to {"min", "max"}
            By name of the result.
        """
        if len(goals) < 2:
            raise ValueError(f"goals must be at least two results; got {shown(goals)}")
        signs = [1.0 if choice("min", "max")(f"goals[{name!r}]", way) == "min" else -1.0 for name, way in goals.items()]
        columns = [self.column(self.is_number("goals", name)).astype(float) for name in goals]
        table = np.column_stack([sign * column for sign, column in zip(signs, columns, strict=True)])
        good = np.flatnonzero(~np.isnan(table).any(axis=1))
        front = []
        for k in good:
            others = table[good]
            beaten = np.all(others <= table[k], axis=1) & np.any(others < table[k], axis=1)
            if not beaten.any():
                front.append(int(k))
        return np.array(front, dtype=np.int64)

    def sensitivity(self, value: str) -> dict[str, SobolIndex]:
        """Return the first-order and the total Sobol index of every name that varies, by `scipy.stats.sobol_indices`.

        The study must have the design "saltelli" with all points done; means over seeds are taken first.
        """
        from scipy.stats import sobol_indices

        name = self.is_number("value", value)
        if self.study["design"] != "saltelli":
            raise ValueError(f"study must have the design 'saltelli' for Sobol indices; got {self.study['design']!r}")
        by_key = {row["key"]: (row["results"] or {}).get(name) for row in self.rows}
        keys = self.design_keys
        if not keys or any(by_key.get(key) is None for key in keys):
            raise ValueError(f"all points must be done for Sobol indices; got {self.counts()}")
        n, d = self.study["points"], len(self.study["vary"])
        f = np.array([by_key[key] for key in keys], float).reshape(d + 2, n, self.study["seeds"]).mean(axis=2)
        found = sobol_indices(func={"f_A": f[:1], "f_B": f[1:2], "f_AB": f[2:, None, :]}, n=n)
        first, total = np.ravel(found.first_order), np.ravel(found.total_order)
        return {one: SobolIndex(float(a), float(b)) for one, a, b in zip(self.study["vary"], first, total, strict=True)}


def _array(values: Sequence[Any]) -> NDArray[Any]:
    """Values of a column: integers, booleans, floats with nan, or text."""
    given = [one for one in values if one is not None]
    kinds = {type(one) for one in given}
    if kinds == {bool} and len(given) == len(values):
        return np.array(values, dtype=bool)
    if kinds == {int} and len(given) == len(values) and all(abs(one) < 2**63 for one in given):
        return np.array(values, dtype=np.int64)
    if kinds <= {bool, int, float} and given:
        return np.array([math.nan if one is None else float(one) for one in values])
    return np.array(["" if one is None else str(one) for one in values], dtype=np.str_)


def load(path: str | os.PathLike[str]) -> Results:
    """Return what the file of a study holds, whether it is all finished or not.

    Parameters
    ----------
    path : path

    Returns
    -------
    Results

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is something else.

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1]}, {"steps": 200})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    ...     print(rpu.sweep.load(folder + "/study.sqlite").counts())
    {'done': 2, 'failed': 0, 'waiting': 0}
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must be the file of a study; there is none at {os.fspath(path)}")
    with Store(path) as store:
        if store.meta("study") is None:
            raise ValueError(f"path must be the file of a study; {os.fspath(path)} has none")
        return Results.of(store)
