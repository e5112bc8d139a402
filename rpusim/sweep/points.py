"""A study: what is run, what is varied, and the points that this makes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpusim._base.random import child
from rpusim._base.validation import integer as integer_check
from rpusim._base.validation import integer_value, optional, shown
from rpusim.sweep.designs import DESIGNS, Range, rows_of
from rpusim.sweep.lookup import task_of
from rpusim.sweep.settings import SettingError, heads, plain
from rpusim.sweep.tasks import Task

__all__ = ["Point", "Study"]


@dataclass(frozen=True)
class Point:
    """One run of a study.

    Attributes
    ----------
    key : str
        Of what is run with which settings and which seed: equal for equal content, in every study.
    varied : dict
        What is varied, as plain values by dotted names.
    settings : dict
        All settings.
    seed : int
        Number of the seed, from 0.

    Examples
    --------
    >>> import rpusim as rpu
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1]}, {"steps": 200}, seeds=2)
    >>> point = study.points()[-1]
    >>> point.varied, point.seed
    ({'lr': 0.1}, 1)
    """

    key: str
    varied: dict[str, Any]
    settings: dict[str, Any]
    seed: int

    def seeds(self, root: int) -> np.random.SeedSequence:
        """Return the seeds of this point: children of the study's, by what the point is, not by where it stands."""
        words = [int(self.key[k : k + 8], 16) for k in range(0, 32, 8)]
        return child(np.random.SeedSequence(root), *words)


class Study:
    """What a sweep runs: a task, the settings that vary, and those that do not.

    Parameters
    ----------
    task : str or callable
        "regression", "training", "inference" or "reproduction" (see `rpusim.sweep.named`), a function as "module:name" or
        "file.py:name", or a function itself that pickle finds by its name. It is called with the settings as keyword
        arguments, and returns a number, or a dict of numbers by name. Where it has an argument `rng` it gets a SeedSequence
        of its point, as `seed` a number made of that, as `folder` the path of a folder for checkpoints.
    vary : mapping of str to sequence or Range
        By the names of arguments; fields of specifications within them by dotted names: "device.dw_min".
    settings : mapping, optional
        Arguments that all points share, likewise.
    design : {"grid", "list", "random", "latin-hypercube", "sobol", "saltelli"}
        All combinations; the first of all lists, then the second; points drawn independently, in a Latin hypercube, as a
        scrambled Sobol sequence (a power of two), or as Sobol indices need them (n (names + 2), n a power of two).
    points : int, optional
        n of the designs that draw.
    seeds : int, default 1
        How often every combination is run, each time with another seed.
    rng : int, default 0
        What all seeds and drawn points are made of.
    minimize, maximize : str, optional
        The result that is best where it is smallest, or largest; named tasks have one.
    folder : path, optional
        Where "file.py:name" is looked for; by default where Python runs.

    Raises
    ------
    SettingError, TypeError, ValueError
        If an argument is not as above, or a point cannot be: fields that there are not, values that are not allowed,
        combinations that contradict each other. Nothing has been run then.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.01)
    >>> study = Study("regression", {"algorithm": ["sgd", "shd"], "device.up_down": [0.0, 0.1]}, {"device": device})
    >>> [point.varied for point in study.points()][:2]
    [{'algorithm': 'sgd', 'device.up_down': 0.0}, {'algorithm': 'sgd', 'device.up_down': 0.1}]
    """

    def __init__(
        self,
        task: str | Callable[..., Any],
        vary: Mapping[str, Sequence[Any] | Range],
        settings: Mapping[str, Any] | None = None,
        *,
        design: str = "grid",
        points: int | None = None,
        seeds: int = 1,
        rng: int = 0,
        minimize: str | None = None,
        maximize: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.task: Task = task_of(task, None if folder is None else Path(folder))
        self.vary = {name: _values(name, values) for name, values in _named("vary", vary).items()}
        self.settings = {name: plain(name, value) for name, value in _named("settings", settings or {}).items()}
        if not isinstance(design, str) or design not in DESIGNS:
            raise SettingError("design", f"design must be one of {', '.join(DESIGNS)}; got {shown(design)}")
        self.design, self.rng = design, integer_value("rng", rng, 0)
        self.count = optional(integer_check(1))("points", points)
        self.seeds = integer_value("seeds", seeds, 1)
        self.minimize, self.maximize = self._goal(minimize, maximize)
        self._check_names()
        rows = rows_of(design, self.vary, self.count, child(np.random.SeedSequence(self.rng), 0))
        self._design = [self._point(row, seed) for row in rows for seed in range(self.seeds)]
        self._points = list({point.key: point for point in self._design}.values())
        for point in self._points:
            self.task.check(point.settings)

    def _goal(self, minimize: str | None, maximize: str | None) -> tuple[str | None, str | None]:
        for name, value in (("minimize", minimize), ("maximize", maximize)):
            if value is not None and not isinstance(value, str):
                raise SettingError(name, f"{name} must be the name of a result or None; got {shown(value)}")
        if minimize is not None and maximize is not None:
            raise SettingError("maximize", "maximize must be None where minimize is given: one of the two is what is best")
        if minimize is None and maximize is None:
            return self.task.minimize, self.task.maximize
        return minimize, maximize

    def _check_names(self) -> None:
        for name in self.vary:
            if name in self.settings:
                raise SettingError(name, f"{name} must be in one of vary and settings; it is in both")
        for head in heads({**self.settings, **self.vary}):
            self.task.check_name(head)
        missing = [name for name in self.task.required if name not in heads({**self.settings, **self.vary})]
        if missing:
            raise SettingError(
                missing[0], f"{missing[0]} must be set in vary or settings: {self.task.name} has no default for it"
            )

    def _point(self, row: Sequence[Any], seed: int) -> Point:
        varied = dict(zip(self.vary, row, strict=True))
        settings = {**self.settings, **varied}
        content = json.dumps([self.task.name, settings, seed], sort_keys=True)
        return Point(hashlib.sha256(content.encode()).hexdigest()[:32], varied, settings, seed)

    def points(self) -> list[Point]:
        """Return all points, each once."""
        return list(self._points)

    def design_keys(self) -> list[str]:
        """Return the key of every row of the design, seeds innermost; rows that are alike have one point."""
        return [point.key for point in self._design]

    def to_dict(self) -> dict[str, Any]:
        """Return everything, fit for JSON; a function by its name."""
        vary = {k: {"range": vars(v)} if isinstance(v, Range) else v for k, v in self.vary.items()}
        return {
            "task": self.task.name, "vary": vary, "settings": self.settings, "design": self.design, "points": self.count,
            "seeds": self.seeds, "rng": self.rng, "minimize": self.minimize, "maximize": self.maximize,
        }  # fmt: skip

    @staticmethod
    def from_dict(data: Mapping[str, Any], folder: str | os.PathLike[str] | None = None) -> Study:
        """Build the study that `to_dict` described."""
        vary = {k: Range(**v["range"]) if isinstance(v, dict) else v for k, v in data["vary"].items()}
        return Study(**{**data, "vary": vary}, folder=folder)

    def __repr__(self) -> str:
        return f"Study({self.task.name!r}, {len(self._points)} points, {self.design} over {', '.join(self.vary)})"


def _named(what: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{what} must be a mapping of names to values; got {shown(values)}")
    for name in values:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise SettingError(str(name), f"{what} must have names of arguments, dots before fields; got {shown(name)}")
    return dict(values)


def _values(name: str, values: Any) -> Range | list[Any]:
    if isinstance(values, Range):
        return values
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        raise SettingError(name, f"{name} must be a sequence of values, or a Range; got {shown(values)}")
    out = [plain(name, value) for value in values]
    if not out:
        raise SettingError(name, f"{name} must have at least one value; got none")
    return out
