"""How weights become conductances of devices, and conductances weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import checked_by, choice, integer, numbers_of, physical, real_array, shown

__all__ = [
    "BitSlices",
    "Converter",
    "DifferentialPair",
    "OffsetPair",
    "Pairs",
    "Scaling",
    "Signed",
    "SingleDevice",
    "TablePair",
]

Conductances = NDArray[np.float32]

_from_zero = physical(0.0)
_positive = physical(0.0, open_low=True)
_significance = numbers_of(physical(0.0, open_low=True))
is_scale = choice("row", "array")
is_idle = choice("programmed", "ideal")


class Scaling(NamedTuple):
    """How the weights of one write were scaled; it stays as long as what was written.

    Attributes
    ----------
    siemens_per_weight : float64 array, (outputs, 1) or (1, 1)
        k, in siemens per unit of weight.
    offset : float64 array, (outputs, 1) or (1, 1)
        Conductance that stands for the weight 0 of a single device, in siemens; 0 of pairs.
    largest : float64 array, (outputs, 1) or (1, 1)
        The weight that the window of the devices stands for, by which rows are normalised for reads.

    Examples
    --------
    >>> import rpusim as rpu
    >>> g, scaling = rpu.inference.DifferentialPair().targets([[0.5, -1.0], [0.1, 0.2]])
    >>> (scaling.siemens_per_weight * 1e6).round(3).tolist(), scaling.largest.tolist()
    ([[25.0], [125.0]], [[1.0], [0.2]])
    """

    siemens_per_weight: NDArray[np.float64]
    offset: NDArray[np.float64]
    largest: NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Converter(Specification):
    """Base of the converters: a window of conductances, and what is scaled into it.

    A converter has as many devices per weight as `factors`; with them and a `Scaling` the law back is the same for all::

        w = (sum_d factors[d] g_d - offset) / siemens_per_weight

    Parameters
    ----------
    g_min_s, g_max_s : float
        Window that devices are programmed in, in siemens.
    scale : {"row", "array"}
        Whether every output has a scale of its own, so that its largest weight fills the window, or all have one.
    idle : {"programmed", "ideal"}
        Devices whose goal is g_min: programmed, drifting and read with noise as all others, or exactly g_min always.

    Examples
    --------
    >>> import rpusim as rpu
    >>> pair = rpu.inference.DifferentialPair(g_max_s=20e-6)  # one of its subclasses
    >>> isinstance(pair, rpu.inference.Converter), pair.factors
    (True, (1.0, -1.0))
    """

    g_min_s: float = parameter(0.0, _from_zero)
    g_max_s: float = parameter(25e-6, _positive)
    scale: str = parameter("row", is_scale)
    idle: str = parameter("programmed", is_idle)

    def _check_consistency(self) -> None:
        if self.g_min_s >= self.g_max_s:
            raise ValueError(f"{type(self).__name__}: g_min_s must be below g_max_s={self.g_max_s}; got {self.g_min_s}")

    @property
    def window(self) -> float:
        """g_max - g_min, in siemens."""
        return self.g_max_s - self.g_min_s

    @property
    def factors(self) -> tuple[float, ...]:
        """The factor of each device of a weight, in the order of the first axis of the targets."""
        raise NotImplementedError

    def targets(self, weights: ArrayLike) -> tuple[Conductances, Scaling]:
        """Return what devices are to be programmed to, in siemens, (devices, outputs, inputs), and the scaling.

        Raises
        ------
        TypeError, ValueError
            If the weights are no finite matrix with at least one number.
        """
        w = real_array("weights", weights, (None, None))
        if w.size == 0:
            raise ValueError(f"weights must have at least one number; got shape {w.shape}")
        g, scaling = self._targets(w)
        if not isinstance(self, Signed):
            np.clip(g, self.g_min_s, self.g_max_s, out=g)  # what rounding has left outside
        return g.astype(np.float32), scaling

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        """The law, in float64."""
        raise NotImplementedError

    def weights(self, conductances: ArrayLike, scaling: Scaling) -> NDArray[np.float32]:
        """Return the weights, (outputs, inputs), that conductances in siemens, (devices, outputs, inputs), stand for."""
        g = np.asarray(conductances)
        if g.ndim != 3 or len(g) != len(self.factors):
            raise ValueError(f"conductances must have shape ({len(self.factors)}, any, any); got {g.shape}")
        total = self.combined(g)
        if np.any(scaling.offset):
            total -= scaling.offset
        total /= scaling.siemens_per_weight
        return np.asarray(total, np.float32)

    def combined(self, g: NDArray[Any]) -> NDArray[Any]:
        """Return sum_d factors[d] g_d, (outputs, inputs), a new array."""
        first, *others = self.factors
        total = np.multiply(g[0], first)
        for factor, one in zip(others, g[1:], strict=True):
            if factor == -1.0:
                total -= one
            else:
                total += factor * one
        return total

    def combined_variance(self, std: NDArray[Any]) -> NDArray[Any]:
        """Return the variance of `combined` for independent devices of these standard deviations."""
        return np.tensordot(np.square(self.factors), np.square(std), 1)

    def _largest(self, w: NDArray[np.float64]) -> NDArray[np.float64]:
        """max|w| of every output or of all; 1 where that is 0."""
        largest = np.abs(w).max(axis=1 if self.scale == "row" else None, keepdims=True)
        return np.where(largest > 0.0, largest, 1.0)

    def _scaling(self, w: NDArray[np.float64], reach: float) -> Scaling:
        """The scaling that makes a sum of `reach` of the largest weights."""
        largest = self._largest(w)
        return Scaling(reach / largest, np.zeros((1, 1)), largest)


def _signed(c: NDArray[np.float64], g_min: float) -> list[NDArray[np.float64]]:
    """Two devices whose difference is c: what is positive on the first, what is negative on the second."""
    return [np.maximum(c, 0.0) + g_min, np.maximum(-c, 0.0) + g_min]


@dataclass(frozen=True, repr=False)
class DifferentialPair(Converter):
    r"""Two devices per weight, one of which is idle: g_plus = g_min + max(k w, 0), g_minus = g_min + max(-k w, 0).

    k = parallel (g_max - g_min) / max\|w\|. Each side may be several devices in parallel, of equal significance and with equal
    shares, whose independent errors are averaged.

    Parameters
    ----------
    g_min_s, g_max_s, scale, idle
        See `Converter`; 0 and 25 uS (phase-change memory: Nandakumar et al. 2019, Joshi et al. 2020), "row", "programmed".
    parallel : int, default 1
        Devices of each side.

    Examples
    --------
    >>> import rpusim as rpu
    >>> pair = rpu.inference.DifferentialPair()
    >>> g, scaling = pair.targets([[0.5, -1.0]])
    >>> (g * 1e6).round(3).tolist()
    [[[12.5, 0.0]], [[0.0, 25.0]]]
    >>> pair.weights(g, scaling).tolist()
    [[0.5, -1.0]]
    """

    parallel: int = parameter(1, integer(1, 1000))

    @property
    def factors(self) -> tuple[float, ...]:
        return (1.0,) * self.parallel + (-1.0,) * self.parallel

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        scaling = self._scaling(w, self.parallel * self.window)
        sides = _signed(scaling.siemens_per_weight / self.parallel * w, self.g_min_s)
        return np.repeat(sides, self.parallel, axis=0), scaling


@dataclass(frozen=True, repr=False)
class OffsetPair(Converter):
    """Two devices per weight, both around the middle of the window: g = (g_max + g_min) / 2 +- k w / 2.

    Examples
    --------
    >>> import rpusim as rpu
    >>> g, _ = rpu.inference.OffsetPair(g_min_s=5e-6).targets([[0.5, -1.0]])
    >>> (g * 1e6).round(3).tolist()
    [[[20.0, 5.0]], [[10.0, 25.0]]]
    """

    factors = (1.0, -1.0)

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        scaling = self._scaling(w, self.window)
        middle, half = (self.g_max_s + self.g_min_s) / 2, scaling.siemens_per_weight * w / 2
        return np.array([middle + half, middle - half]), scaling


@dataclass(frozen=True, repr=False)
class Pairs(Converter):
    r"""Several differential pairs per weight, of given significances, filled in their order.

    k = sum_p f_p (g_max - g_min) / max\|w\|. Pair p takes c_p = clip((k \|w\| - what those before
    took) / f_p, 0, g_max - g_min). AIHWKit calls two of them a dual pair.

    Parameters
    ----------
    g_min_s, g_max_s, scale, idle
        See `Converter`.
    significance : tuple of float, default (1, 0.1)
        f_p.

    Examples
    --------
    >>> import rpusim as rpu
    >>> pairs = rpu.inference.Pairs(significance=(1.0, 0.25), g_max_s=8e-6)
    >>> g, scaling = pairs.targets([[1.0, -0.9]])
    >>> (g * 1e6).round(3).tolist()
    [[[8.0, 0.0]], [[0.0, 8.0]], [[8.0, 0.0]], [[0.0, 4.0]]]
    >>> pairs.weights(g, scaling).round(6)
    array([[ 1. , -0.9]], dtype=float32)
    """

    significance: tuple[float, ...] = parameter((1.0, 0.1), _significance)

    @property
    def factors(self) -> tuple[float, ...]:
        return tuple(sign * f for f in self.significance for sign in (1.0, -1.0))

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        scaling = self._scaling(w, sum(self.significance) * self.window)
        left, g = scaling.siemens_per_weight * np.abs(w), []
        for f in self.significance:
            c = np.clip(left / f, 0.0, self.window)
            left = left - f * c
            g += _signed(np.copysign(c, w), self.g_min_s)
        return np.array(g), scaling


@checked_by("text", 3, None, ())
def is_tables(name: str, value: Any) -> tuple[tuple[float, ...], ...]:
    """Check some tables of conductances, of equal lengths of at least two."""
    if not isinstance(value, (tuple, list)) or not value:
        raise TypeError(f"{name} must be a tuple of tables, each a tuple of conductances; got {shown(value)}")
    tables = tuple(numbers_of(_from_zero)(f"{name}[{k}]", table) for k, table in enumerate(value))
    if len({len(table) for table in tables}) > 1 or len(tables[0]) < 2:
        raise ValueError(f"{name} must be tables of one length of at least 2; got lengths {[len(table) for table in tables]}")
    return tables


@dataclass(frozen=True, repr=False)
class TablePair(Converter):
    r"""Differential pairs whose conductances are tables over the weight, as optimised programming finds them.

    Each table has knots at equal distances over -max\|w\| to max\|w\|, and lines between them; k is found from the largest sum
    of all pairs. See `optimize_tables` (after Mackin et al. 2022, Nat. Commun. 13, 3765).

    Parameters
    ----------
    g_min_s, g_max_s, scale, idle
        See `Converter`.
    plus, minus : tuple of tuples of float
        Of each pair, in siemens.
    significance : tuple of float, default (1,)

    Raises
    ------
    ValueError
        If the weights -1, -0.5, 0, 0.5 and 1 do not come back to 1e-4: sums must be in proportion to weights.

    Examples
    --------
    >>> import rpusim as rpu
    >>> table = rpu.inference.TablePair(plus=((5e-6, 5e-6, 25e-6),), minus=((25e-6, 5e-6, 5e-6),))
    >>> g, scaling = table.targets([[0.5, -1.0]])
    >>> (g * 1e6).round(3).tolist()
    [[[15.0, 5.0]], [[5.0, 25.0]]]
    """

    papers: ClassVar[tuple[str, ...]] = ("mackin2022",)

    plus: tuple[tuple[float, ...], ...] = parameter(((0.0, 0.0, 25e-6),), is_tables)
    minus: tuple[tuple[float, ...], ...] = parameter(((25e-6, 0.0, 0.0),), is_tables)
    significance: tuple[float, ...] = parameter((1.0,), _significance)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if not len(self.plus) == len(self.minus) == len(self.significance):
            raise ValueError(
                f"TablePair: plus, minus and significance must be as many; got {len(self.plus)}, {len(self.minus)} and "
                f"{len(self.significance)}"
            )
        outside = [g for tables in (self.plus, self.minus) for t in tables for g in t if not self.g_min_s <= g <= self.g_max_s]
        if outside:
            raise ValueError(
                f"TablePair: plus and minus must be within the window, {self.g_min_s:g} to {self.g_max_s:g}; got {outside[0]:g}"
            )
        if not self._reach() > 0.0:
            raise ValueError("TablePair: plus and minus must have a sum that is not 0 somewhere; got none")
        points = np.array([[-1.0, -0.5, 0.0, 0.5, 1.0]])
        back = self.weights(*self.targets(points))
        if np.abs(back - points).max() > 1e-4:
            raise ValueError(
                f"TablePair: plus and minus must be in proportion to weights, in sum; -1, -0.5, 0, 0.5 and 1 come back as "
                f"{', '.join(f'{w:.4g}' for w in back[0])}"
            )

    def _reach(self) -> float:
        pairs = zip(self.significance, self.plus, self.minus, strict=True)
        return float(np.abs(sum(f * (np.array(p) - m) for f, p, m in pairs)).max())

    @property
    def factors(self) -> tuple[float, ...]:
        return tuple(sign * f for f in self.significance for sign in (1.0, -1.0))

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        scaling = self._scaling(w, self._reach())
        at = np.clip(w / scaling.largest, -1.0, 1.0)
        g = []
        for plus, minus in zip(self.plus, self.minus, strict=True):
            g += [np.interp(at, np.linspace(-1.0, 1.0, len(table)), table) for table in (plus, minus)]
        return np.array(g), scaling


@dataclass(frozen=True, repr=False)
class SingleDevice(Converter):
    """One device per weight, and a reference for the weight 0.

    Parameters
    ----------
    g_min_s, g_max_s, scale, idle
        See `Converter`.
    reference : {"digital", "column"}
        "digital": the smallest and largest weight of a row (or array) lie at the ends of the window, and the conductance of
        the weight 0 is taken off digitally, exactly. "column": one more column of devices at the middle of the window, for
        all outputs, programmed and ageing as all others, whose current is taken off; max|w| lies at the ends.

    Examples
    --------
    >>> import rpusim as rpu
    >>> single = rpu.inference.SingleDevice(g_min_s=9e-6, g_max_s=88.2e-6)
    >>> g, scaling = single.targets([[0.5, -1.0]])
    >>> (g * 1e6).round(3)
    array([[[88.2,  9. ]]], dtype=float32)
    >>> single.weights(g, scaling).round(6).tolist()
    [[0.5, -1.0]]
    """

    reference: str = parameter("digital", choice("digital", "column"))
    factors = (1.0,)

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        if self.reference == "column":
            largest = self._largest(w)
            k, middle = self.window / 2 / largest, (self.g_max_s + self.g_min_s) / 2
            return np.vstack([middle + k * w, np.full((1, w.shape[1]), middle)])[None], Scaling(k, np.zeros((1, 1)), largest)
        axis = 1 if self.scale == "row" else None
        low, high = w.min(axis=axis, keepdims=True), w.max(axis=axis, keepdims=True)
        k = self.window / np.where(high > low, high - low, 1.0)
        return (self.g_min_s + k * (w - low))[None], Scaling(k, self.g_min_s - k * low, self._largest(w))

    def combined(self, g: NDArray[Any]) -> NDArray[Any]:
        return g[0, :-1] - g[0, -1:] if self.reference == "column" else np.array(g[0])

    def combined_variance(self, std: NDArray[Any]) -> NDArray[Any]:
        v = np.square(std[0])
        return v[:-1] + v[-1:] if self.reference == "column" else v


@dataclass(frozen=True, repr=False)
class Signed(Converter):
    """One number per weight with a sign, g = k w: for laws of noise that were published for weights, not for devices.

    Examples
    --------
    >>> import rpusim as rpu
    >>> g, _ = rpu.inference.Signed().targets([[0.5, -1.0]])
    >>> (g * 1e6).round(3).tolist()
    [[[12.5, -25.0]]]
    """

    factors = (1.0,)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.g_min_s != 0.0:
            raise ValueError(f"Signed: g_min_s must be 0, since there is one number for both signs; got {self.g_min_s}")

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        scaling = self._scaling(w, self.window)
        return (scaling.siemens_per_weight * w)[None], scaling


@dataclass(frozen=True, repr=False)
class BitSlices(Converter):
    r"""Integer weights, whose digits are on pairs of devices of their own, shifted and added digitally.

    q = round(w / max\|w\| (2^(bits - 1) - 1)). The digits of \|q\| in base 2^slice_bits, lowest first, are conductances
    g_min + digit / (2^slice_bits - 1) (g_max - g_min) of the device of the sign of q. Weights come back as rounded.

    Parameters
    ----------
    g_min_s, g_max_s, scale, idle
        See `Converter`.
    bits : int, default 8
        With the sign.
    slice_bits : int, default 2
        Of each device.

    Examples
    --------
    >>> import rpusim as rpu
    >>> slices = rpu.inference.BitSlices(bits=5, slice_bits=2, g_max_s=3e-6)
    >>> g, scaling = slices.targets([[1.0, -0.4]])  # 15 = 33 and -6 = -12 in base 4
    >>> (g * 1e6).round(3).tolist()
    [[[3.0, 0.0]], [[0.0, 2.0]], [[3.0, 0.0]], [[0.0, 1.0]]]
    >>> slices.weights(g, scaling).round(6)
    array([[ 1. , -0.4]], dtype=float32)
    """

    bits: int = parameter(8, integer(2, 24))
    slice_bits: int = parameter(2, integer(1, 12))

    @property
    def factors(self) -> tuple[float, ...]:
        slices = -(-(self.bits - 1) // self.slice_bits)
        return tuple(sign * 2.0 ** (self.slice_bits * k) for k in range(slices) for sign in (1.0, -1.0))

    def _targets(self, w: NDArray[np.float64]) -> tuple[NDArray[np.float64], Scaling]:
        most, base = 2 ** (self.bits - 1) - 1, 2**self.slice_bits
        largest = self._largest(w)
        q = np.rint(w / largest * most)
        left, g = np.abs(q).astype(np.int64), []
        for _ in self.factors[::2]:
            left, digit = np.divmod(left, base)
            g += _signed(np.copysign(digit * (self.window / (base - 1)), q), self.g_min_s)
        return np.array(g), Scaling(most * self.window / (base - 1) / largest, np.zeros((1, 1)), largest)
