"""Designs: which combinations of values are run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.random import generator
from rpusim._base.validation import Boolean, real
from rpusim.sweep.settings import SettingError

__all__ = ["DESIGNS", "Range", "rows_of"]


@dataclass(frozen=True)
class Range:
    """All values from `low` to `high`, for designs that draw points.

    Parameters
    ----------
    low, high : float
    log : bool, default False
        Whether the logarithm is what is uniform.
    integer : bool, default False
        Whether only integers are drawn, both ends among them.

    Examples
    --------
    >>> Range(1e-3, 1e-1, log=True).at(0.5)
    0.01
    >>> [Range(1, 4, integer=True).at(u) for u in (0.0, 0.3, 0.99)]
    [1, 2, 4]
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        for name in ("log", "integer"):
            Boolean()(f"Range: {name}", getattr(self, name))
        low, high = real()("Range: low", self.low), real()("Range: high", self.high)
        if not low < high:
            raise ValueError(f"Range: high must be above low, {self.low!r}; got {self.high!r}")
        if self.log and low <= 0.0:
            raise ValueError(f"Range: low must be above 0 where log is True; got {self.low!r}")
        if self.integer and (low != int(low) or high != int(high)):
            raise ValueError(f"Range: low and high must be whole where integer is True; got {self.low!r} and {self.high!r}")

    def at(self, u: float) -> float | int:
        """Return the value at a share `u` of the range, from 0 to 1."""
        if self.integer:
            low, high = self.low - 0.5, self.high + 0.5
            value = math.exp(math.log(low) + u * math.log(high / low)) if self.log else low + u * (high - low)
            return int(min(max(math.floor(value + 0.5), self.low), self.high))
        if self.log:
            return float(f"{math.exp(math.log(self.low) + u * math.log(self.high / self.low)):.12g}")
        return float(f"{self.low + u * (self.high - self.low):.12g}")


def _value(choices: Range | Sequence[Any], u: float) -> Any:
    return choices.at(u) if isinstance(choices, Range) else choices[min(int(u * len(choices)), len(choices) - 1)]


def _qmc(kind: str, d: int, seeds: np.random.SeedSequence) -> Any:
    """An engine of scipy.stats.qmc, whose argument of seeds has had two names."""
    from scipy.stats import qmc

    try:
        return getattr(qmc, kind)(d, rng=generator(seeds))
    except TypeError:
        return getattr(qmc, kind)(d, seed=generator(seeds))


def _random(d: int, n: int, seeds: np.random.SeedSequence) -> NDArray[np.float64]:
    return generator(seeds).random((n, d))


def _latin(d: int, n: int, seeds: np.random.SeedSequence) -> NDArray[np.float64]:
    return np.asarray(_qmc("LatinHypercube", d, seeds).random(n))


def _sobol(d: int, n: int, seeds: np.random.SeedSequence) -> NDArray[np.float64]:
    if n & (n - 1):
        raise SettingError("points", f"points must be a power of two for this design; got {n}")
    return np.asarray(_qmc("Sobol", d, seeds).random(n))


def _saltelli(d: int, n: int, seeds: np.random.SeedSequence) -> NDArray[np.float64]:
    """A, B, and for each setting A with its column from B: what `scipy.stats.sobol_indices` is made of."""
    both = _sobol(2 * d, n, seeds)
    a, b = both[:, :d], both[:, d:]
    mixed = np.tile(a, (d, 1, 1))
    for k in range(d):
        mixed[k, :, k] = b[:, k]
    return np.concatenate([a, b, *mixed])


DRAWN: dict[str, Callable[[int, int, np.random.SeedSequence], NDArray[np.float64]]] = {
    "random": _random,
    "latin-hypercube": _latin,
    "sobol": _sobol,
    "saltelli": _saltelli,
}
DESIGNS = ("grid", "list", *DRAWN)


def rows_of(
    design: str, vary: Mapping[str, Range | Sequence[Any]], points: int | None, seeds: np.random.SeedSequence
) -> list[tuple[Any, ...]]:
    """Return the values of every point of a design, in the order of the names of `vary`."""
    if design in DRAWN:
        if points is None:
            raise SettingError("points", f"points must be given for the design {design!r}: how many are drawn")
        drawn = DRAWN[design](len(vary), points, seeds)
        return [tuple(_value(one, float(u)) for one, u in zip(vary.values(), row, strict=True)) for row in drawn]
    if points is not None:
        raise SettingError("points", f"points must be None for the design {design!r}, whose lists say how many; got {points}")
    for name, values in vary.items():
        if isinstance(values, Range):
            raise SettingError(name, f"{name} must be a list for the design {design!r}; a Range is for {', '.join(DRAWN)}")
    lists: list[Any] = list(vary.values())
    if design == "grid":
        return list(itertools.product(*lists))
    for name, values in vary.items():
        if len(values) != len(lists[0]):  # type: ignore[arg-type]
            raise SettingError(name, f"{name} must have as many values as the first list, {len(lists[0])}; got {len(values)}")  # type: ignore[arg-type]
    return list(zip(*lists, strict=True))
