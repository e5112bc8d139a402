"""What the lines of an array are."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import as_float, axes_of, checked_by, choice, fail, integer, real, shown

__all__ = ["Wires"]

Array = NDArray[np.float64]


@checked_by("1", True, 1j, None, {}, [], [[1.0]], -1.0, math.nan, [-1.0], [math.nan])
def _resistance(name: str, value: Any) -> float | tuple[float, ...]:
    """Ohm: a number of at least 0 (infinity: an open line), or one per line."""
    allowed = "a resistance of at least 0 ohm (infinity: open), or a sequence of one per line"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        ohm = as_float(value)
        if not ohm >= 0.0:
            fail(name, allowed, value)
        return ohm
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or axes_of(value) != 1:
        fail(name, allowed, value, TypeError)
    if len(value) == 0:
        fail(name, allowed, value)
    return tuple(_resistance(f"{name}[{k}]", entry) for k, entry in enumerate(value))


@dataclass(frozen=True, repr=False)
class Wires(Specification):
    """The lines of an array, their drivers and sensors, and how exactly they are solved.

    Every resistance is one number for all lines, or a sequence of one per line: word lines for `r_word` and `r_driver`, bit
    lines for `r_bit` and `r_sense`. 0 is an ideal conductor, infinity an open line; both are exact.

    Parameters
    ----------
    r_word, r_bit : float or sequence of float, default 1
        Resistance of one segment of a word line and of a bit line, ohm.
    r_driver, r_sense : float or sequence of float, default 0
        Resistance of a driver and of a sensor, ohm, in series with the segment at that end.
    drivers : {"left", "both"}
        Ends of word lines that have a driver. Both drivers of a line apply the same voltage.
    sensors : {"bottom", "both"}
        Ends of bit lines that have a sensor. The current of a line is that of both its sensors.
    tolerance : float, default 1e-10
        Of the residual of conjugate gradients in the norm of their preconditioner, relative to the right-hand side. The
        relative error of the currents is about as large.
    max_iterations : int, default 1000
        A solve that needs more raises `ConvergenceError`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.Wires(r_word=1.5, r_bit=1.5, r_sense=100.0)
    Wires(r_word=1.5, r_bit=1.5, r_sense=100.0)
    """

    r_word: float | tuple[float, ...] = parameter(1.0, _resistance)
    r_bit: float | tuple[float, ...] = parameter(1.0, _resistance)
    r_driver: float | tuple[float, ...] = parameter(0.0, _resistance)
    r_sense: float | tuple[float, ...] = parameter(0.0, _resistance)
    drivers: str = parameter("left", choice("left", "both"))
    sensors: str = parameter("bottom", choice("bottom", "both"))
    tolerance: float = parameter(1e-10, real(0.0, 1.0, open_low=True, open_high=True))
    max_iterations: int = parameter(1000, integer(1, 2**31 - 1))

    def _lines(self, rows: int, columns: int) -> tuple[Array, Array]:
        """(3, rows) and (3, columns): ohm between nodes, from the last node to the near terminal, and to the far one."""
        out = []
        for count, inner, terminal, both in (
            (rows, "r_word", "r_driver", self.drivers == "both"),
            (columns, "r_bit", "r_sense", self.sensors == "both"),
        ):
            lines = np.empty((3, count))
            lines[0], lines[1] = self._per_line(inner, count), self._per_line(terminal, count)
            lines[1] += lines[0]
            lines[2] = lines[1] if both else math.inf
            out.append(lines)
        return out[0], out[1]

    def _per_line(self, name: str, count: int) -> Any:
        value = getattr(self, name)
        if isinstance(value, tuple) and len(value) != count:
            raise ValueError(f"Wires: {name} must be one number or {count}, one per line of the array; got {len(value)}")
        return value


def check_size(name: str, values: Array) -> None:
    if values.size == 0:
        raise ValueError(f"{name} must have at least one row and one column; got shape {values.shape}")


def check_closed(wires: Wires, words: Array, bits: Array, done: str) -> None:
    if not (np.isfinite(words[:2]).all() and np.isfinite(bits[:2]).all()):
        raise ValueError(f"wires must be finite resistances where an array is {done} through them; got {shown(wires)}")


def largest_of(x: Array) -> Array:
    return np.abs(x).max(axis=(1, 2), initial=0.0)
