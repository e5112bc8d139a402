"""Digital processing behind the ADCs in fixed point: a scale and an offset for every output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import checked_by, integer, shown

__all__ = ["FixedPoint"]

_bits = integer(0, 24)


@checked_by("text", 3, None, (1,), (1, 2, 3), (0, 0))
def is_format(name: str, value: Any) -> tuple[int, int]:
    """Check the integer and the fraction bits of a number."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers of bits, of the integer and of the fraction; got {shown(value)}")
    found = _bits(f"{name}[0]", value[0]), _bits(f"{name}[1]", value[1])
    if sum(found) == 0:
        raise ValueError(f"{name} must have at least one bit; got {shown(value)}")
    return found


@dataclass(frozen=True, repr=False)
class FixedPoint(Specification):
    r"""Formats of the processing behind the ADCs, output = scale code + offset, in steps of the DACs of the next matrix.

    Numbers are rounded to the nearest, halves up, and saturate. All factors (of rows, of the compensation, of ranges) are in
    the one scale, so its format must reach them: a scale of (1, 7) is below 2, for which the range of the ADCs must be chosen.

    Parameters
    ----------
    scale : (int, int), default (1, 7)
        Bits of the integer and of the fraction, without a sign: 0 to 2^integer - 2^-fraction.
    offset : (int, int), default (7, 1)
        With the sign among the integer bits: -2^(integer - 1) to 2^(integer - 1) - 2^-fraction.

    Notes
    -----
    Ferro et al. (2024), arXiv:2402.07549.

    Examples
    --------
    >>> import rpusim as rpu
    >>> formats = rpu.inference.FixedPoint(scale=(1, 2), offset=(3, 1))
    >>> formats.scales([0.1, 0.125, 1.2, 7.0]).tolist(), formats.offsets([0.25, -9.0, 9.0]).tolist()
    ([0.0, 0.25, 1.25, 1.75], [0.5, -4.0, 3.5])
    """

    papers: ClassVar[tuple[str, ...]] = ("ferro2024",)

    scale: tuple[int, int] = parameter((1, 7), is_format)
    offset: tuple[int, int] = parameter((7, 1), is_format)

    def scales(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return scales as the format has them."""
        whole, fraction = self.scale
        return _rounded(values, fraction, 0.0, 2.0**whole - 2.0**-fraction)

    def offsets(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return offsets as the format has them."""
        whole, fraction = self.offset
        return _rounded(values, fraction, -(2.0 ** (whole - 1)), 2.0 ** (whole - 1) - 2.0**-fraction)


def _rounded(values: ArrayLike, fraction: int, low: float, high: float) -> NDArray[np.float64]:
    steps = np.floor(np.asarray(values, np.float64) * 2.0**fraction + 0.5)
    return np.clip(steps * 2.0**-fraction, low, high)
