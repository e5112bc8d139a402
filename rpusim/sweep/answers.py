"""What a study answers, printed so that it can be read: means over points, the best point, indices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rpusim._base.table import table
from rpusim.sweep.settings import label

__all__ = ["Best", "BestMean", "Mean", "Means", "SobolIndex"]


class Mean(NamedTuple):
    """Mean of some points, standard error of that mean (nan for one point), and how many points they are."""

    mean: float
    standard_error: float
    n: int


class BestMean(NamedTuple):
    """The best mean over seeds, what was varied there, and how many seeds it has."""

    mean: float
    varied: dict[str, Any]
    seeds: int


class SobolIndex(NamedTuple):
    """First-order and total Sobol index."""

    first: float
    total: float


class Means(dict[tuple[Any, ...], Mean]):
    """Means by what some names are; prints as a table that says over what the means are.

    Attributes
    ----------
    value : str
        What the means are of.
    by : tuple of str
        Names whose values are the keys.
    pooled : tuple of str
        Names that vary among the points of a mean.
    """

    def __init__(self, means: Mapping[tuple[Any, ...], Mean], value: str, by: Sequence[str], pooled: Sequence[str]) -> None:
        super().__init__(means)
        self.value, self.by, self.pooled = value, tuple(by), tuple(pooled)

    def __repr__(self) -> str:
        rows = []
        for key, one in self.items():
            error = "" if math.isnan(one.standard_error) else f"{one.standard_error:.2g}"
            rows.append([*(f"{part:g}" if isinstance(part, float) else str(part) for part in key), f"{one.mean:.4g}", error])
            rows[-1].append(str(one.n))
        over = f"\nmeans over {', '.join(self.pooled)}" if self.pooled else ""
        return table([*self.by, self.value, "std. error", "points"], rows) + over

    __str__ = __repr__


class Best(dict[str, Any]):
    """The row of one point; prints as its result and what varied."""

    def __init__(self, row: Mapping[str, Any], value: str) -> None:
        super().__init__(row)
        self.value = value

    def __str__(self) -> str:
        where = ", ".join(f"{name} = {label(given)}" for name, given in {**self["varied"], "seed": self["seed"]}.items())
        return f"{self.value} {self['results'][self.value]:.4g}: {where}"
