"""Checks of user input: one sentence form, naming the argument, the value and what is allowed."""

from __future__ import annotations

import builtins
import functools
import math
import numbers
import os
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rpusim._core.kernels import is_finite

__all__ = [
    "LARGEST",
    "Check",
    "as_float",
    "axes_of",
    "boolean",
    "checked_by",
    "choice",
    "instance",
    "integer",
    "integer_value",
    "meant",
    "numbers_of",
    "one_or_more",
    "optional",
    "physical",
    "plain_array",
    "real",
    "real_array",
    "real_values",
    "room_for",
    "shown",
    "signal",
    "viewed",
]

#: characters of a value that a message shows
SHOWN = 200


class _Short(reprlib.Repr):
    """Texts of values that are bounded in length, depth and time, whatever the values are."""

    def __init__(self) -> None:
        super().__init__()
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxarray = 40
        self.maxstring = self.maxlong = self.maxother = SHOWN

    def repr_bytes(self, x: bytes, level: int) -> str:
        return builtins.repr(x[:SHOWN])

    repr_bytearray = repr_bytes

    def repr_int(self, x: int, level: int) -> str:
        return builtins.repr(x) if x.bit_length() < 10_000 else f"an integer of {x.bit_length()} bits"


_short = _Short()


def shown(value: Any) -> str:
    """Return `value` as messages show it: as Python writes it, on one line, and no longer than some 200 characters."""
    try:
        text = " ".join(_short.repr(value).split())
    except Exception:  # of a user's own class
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def meant(given: Any, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" where one of the known words is close to what was given, else nothing."""
    import difflib

    close = difflib.get_close_matches(given, list(known), 1) if isinstance(given, str) and len(given) <= SHOWN else []
    return f" (did you mean {close[0]!r}?)" if close else ""


def fail(name: str, allowed: str, value: Any, error: type[Exception] = ValueError) -> None:
    raise error(f"{name} must be {allowed}; got {shown(value)}")


@functools.cache
def memory() -> int:
    """Return the bytes of memory of this computer; 1 TiB where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 1 << 40


def room_for(name: str, value: Any, numbers_needed: int, size: int = 4) -> None:
    """Raise ValueError where so many numbers of `size` bytes, which `value` asks for, are more than all memory."""
    if numbers_needed * size > memory():
        needs = f"(it needs {float(min(numbers_needed * size, 10**300)) / 1e9:.3g})"
        fail(name, f"such that it fits into the {memory() / 1e9:.3g} GB of memory {needs}", value)


#: Sizes that float32 holds with room for products; larger ones would overflow in the kernels, smaller ones vanish.
LARGEST, SMALLEST = 1e30, 1e-30


class Check(ABC):
    """What a value must be: called with a name and a value, it returns the value as it is kept, or raises.

    A check is data, so that tests can make values that it refuses by themselves.
    """

    @abstractmethod
    def __call__(self, name: str, value: Any) -> Any:
        """Return `value` as it is kept; raise TypeError or ValueError, which name it, where it is not allowed."""

    @abstractmethod
    def wrong(self) -> Iterator[Any]:
        """Values that are refused: of other types, and right beside what is allowed."""


def as_float(value: Any) -> float:
    """Return a real number as a float; one beyond all floats as an infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@dataclass(frozen=True)
class Real(Check):
    """A finite real number in an interval; kept as a Python float."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    smallest: float = 0.0  # in size
    largest: float = math.inf

    def __call__(self, name: str, value: Any) -> float:
        number = value
        if type(value) is not float:  # which most are: fits build thousands of specifications
            if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.is_masked(value):
                value = value.item()
            if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
                fail(name, self._allowed(), value, TypeError)
            number = as_float(value)
        above = self.low < number if self.open_low else self.low <= number
        below = number < self.high if self.open_high else number <= self.high
        if not (math.isfinite(number) and above and below):
            fail(name, self._allowed(), value)
        if not self.smallest <= abs(number) <= self.largest:
            fail(name, f"of a size from {self.smallest:g} to {self.largest:g}", value)
        return number

    def _allowed(self) -> str:
        if self.low == -math.inf and self.high == math.inf:
            return "a finite real number"
        left = "(" if self.open_low or self.low == -math.inf else "["
        right = ")" if self.open_high or self.high == math.inf else "]"
        return f"a finite real number in {left}{self.low:g}, {self.high:g}{right}"

    def wrong(self) -> Iterator[Any]:
        yield from ("0.1", True, 1j, [0.5], {}, math.nan, math.inf, -math.inf, np.float32("nan"), 10**400)
        if self.low > -math.inf:
            yield self.low if self.open_low else math.nextafter(self.low, -math.inf)
            yield self.low - 1.0
        if self.high < math.inf:
            yield self.high if self.open_high else math.nextafter(self.high, math.inf)
            yield self.high + 1.0
        if self.largest < math.inf:
            yield 1.1 * self.largest if self.high > 0.0 else -1.1 * self.largest
        if self.smallest > 0.0:
            yield 0.9 * self.smallest


def real(low: float = -math.inf, high: float = math.inf, *, open_low: bool = False, open_high: bool = False) -> Real:
    """A finite real number in an interval; kept as a Python float."""
    return Real(low, high, open_low, open_high)


def physical(low: float = -math.inf, high: float = math.inf, *, open_low: bool = False) -> Real:
    """A real number in an interval, at most 1e30 in size, and at least 1e-30 where it must be positive."""
    return Real(low, high, open_low, smallest=SMALLEST if open_low else 0.0, largest=LARGEST)


@dataclass(frozen=True)
class Integer(Check):
    """An integer between two inclusive bounds, and of 64 bits where there is none; kept as a Python int."""

    low: int | None = None
    high: int | None = None

    def __call__(self, name: str, value: Any) -> int:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
            fail(name, self._allowed(), value, TypeError)
        number = int(value)
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            fail(name, self._allowed(), value)
        if number.bit_length() > 63 and (self.high is None or self.low is None):
            fail(name, f"{self._allowed()}, and of 64 bits", value)
        return number

    def _allowed(self) -> str:
        if self.low is not None and self.high is not None:
            return f"an integer from {self.low} to {self.high}"
        return "an integer" if self.low is None else f"an integer of at least {self.low}"

    def wrong(self) -> Iterator[Any]:
        yield from ("3", 1.5, 3.0, True, [3], math.nan)
        if self.low is not None:
            yield self.low - 1
        if self.high is not None:
            yield self.high + 1


def integer(low: int | None = None, high: int | None = None) -> Integer:
    """An integer between two inclusive bounds; kept as a Python int."""
    return Integer(low, high)


def integer_value(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """`integer(low, high)` applied at once, for arguments of functions."""
    return Integer(low, high)(name, value)


@dataclass(frozen=True)
class Boolean(Check):
    """True or False, and nothing that merely behaves like them."""

    def __call__(self, name: str, value: Any) -> bool:
        if not isinstance(value, (bool, np.bool_)):
            fail(name, "True or False", value, TypeError)
        return bool(value)

    def wrong(self) -> Iterator[Any]:
        yield from (0, 1, "True", 0.0, np.array(True))


boolean = Boolean()


@dataclass(frozen=True)
class Choice(Check):
    """One of a few names."""

    options: tuple[str, ...]

    def __call__(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            fail(name, self._allowed(), value, TypeError)
        if value not in self.options:
            fail(name, self._allowed(), value)
        return value

    def _allowed(self) -> str:
        return "one of " + ", ".join(repr(option) for option in self.options)

    def wrong(self) -> Iterator[Any]:
        yield from (1, b"none", ["none"], True, "", "bogus", self.options[0].upper() + "x")


def choice(*options: str) -> Choice:
    """One of a few names."""
    return Choice(options)


@dataclass(frozen=True)
class Instance(Check):
    """An object of one of some classes; `allowed` says it in the user's words."""

    kinds: tuple[type, ...]
    allowed: str

    def __call__(self, name: str, value: Any) -> Any:
        if not isinstance(value, self.kinds) and not isinstance(value, type):
            value = getattr(value, "__specification__", value)  # of what stands for one, as a fit for its device
        if not isinstance(value, self.kinds):
            fail(name, self.allowed, value, TypeError)
        return value

    def wrong(self) -> Iterator[Any]:
        others: tuple[Any, ...] = ("text", 3, 1.5, {}, [], self.kinds[0])
        yield from (value for value in others if not isinstance(value, self.kinds))


def instance(kinds: type | tuple[type, ...], allowed: str) -> Instance:
    """An object of a given class; `allowed` says it in the user's words."""
    return Instance(kinds if isinstance(kinds, tuple) else (kinds,), allowed)


@dataclass(frozen=True)
class Optional(Check):
    """None, or what another check accepts."""

    check: Check

    def __call__(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        try:
            return self.check(name, value)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace(" must be ", " must be None or ", 1)) from None

    def wrong(self) -> Iterator[Any]:
        yield from (value for value in self.check.wrong() if value is not None)


def optional(check: Check) -> Optional:
    """None, or what `check` accepts."""
    return Optional(check)


@dataclass(frozen=True)
class NumbersOf(Check):
    """A sequence of at least one number that another check accepts; kept as a tuple."""

    check: Check

    def __call__(self, name: str, value: Any) -> tuple[Any, ...]:
        if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):  # of others, whose entries are arrays, too
            value = plain_array(name, value, "numbers").tolist() if axes_of(value) == 1 else value
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or axes_of(value) != 1:
            fail(name, "a sequence of numbers", value, TypeError)
        if len(value) == 0:
            fail(name, "a sequence of at least one number", value)
        return tuple(self.check(f"{name}[{k}]", entry) for k, entry in enumerate(value))

    def wrong(self) -> Iterator[Any]:
        yield from ("0.1", 1.0, {1.0}, (), None)
        yield from ([value] for value in self.check.wrong() if np.ndim(value) == 0)


def viewed(value: Any) -> Any:
    """Return what NumPy makes an array of: arrays of others that say what they are by DLPack alone are viewed by that."""
    if isinstance(value, np.ndarray) or hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
        return value
    return np.from_dlpack(value)


def axes_of(value: Any, otherwise: int = 0) -> int:
    """Return how many axes a value has; `otherwise` where it is no array, which the check that follows says."""
    try:
        return np.ndim(viewed(value))
    except Exception:  # ragged, or an object of a user
        return otherwise


def numbers_of(check: Check) -> NumbersOf:
    """A sequence of at least one number that `check` accepts; kept as a tuple."""
    return NumbersOf(check)


@dataclass(frozen=True)
class OneOrMore(Check):
    """What another check accepts, or a sequence of such; a sequence is kept as a tuple."""

    check: Check

    def __call__(self, name: str, value: Any) -> Any:
        return NumbersOf(self.check)(name, value) if isinstance(value, (tuple, list)) else self.check(name, value)

    def wrong(self) -> Iterator[Any]:
        yield ()
        for value in self.check.wrong():
            if not isinstance(value, (tuple, list)):
                yield value
                yield [value]


def one_or_more(check: Check) -> OneOrMore:
    """What `check` accepts, or a sequence of such."""
    return OneOrMore(check)


@dataclass(frozen=True)
class CheckedBy(Check):
    """What a function returns of a name and a value, with some values that it refuses."""

    function: Callable[[str, Any], Any]
    refused: tuple[Any, ...]

    def __call__(self, name: str, value: Any) -> Any:
        return self.function(name, value)

    def wrong(self) -> Iterator[Any]:
        yield from self.refused


def checked_by(*refused: Any) -> Callable[[Callable[[str, Any], Any]], CheckedBy]:
    """Make a check of a function of a name and a value; `refused` are some values that it does not accept."""
    return lambda function: CheckedBy(function, refused)


def real_array(
    name: str, value: Any, shape: Sequence[int | None], *, low: float = -math.inf, infinite: bool = False
) -> np.ndarray:
    """Return `value` as a C-contiguous float64 array of the given shape (None: any length) of at least `low`.

    NaN is refused, and so are infinities unless `infinite` allows that above. The rest is as in `signal`.
    """
    array = _real(name, value, shape, np.float64)
    bad = ~(array >= low) if infinite else ~((array >= low) & np.isfinite(array))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        allowed = "numbers" if infinite else "finite numbers"
        allowed += "" if low == -math.inf else f" of at least {low:g}"
        raise ValueError(f"{name} must hold {allowed}; got {array[where]} at index {where}")
    return array


def plain_array(name: str, value: Any, what: str) -> np.ndarray:
    """Return `value` as an array of whatever dtype; refused are masked values, and what NumPy makes no array of."""
    try:
        masked = np.ma.is_masked(value) or isinstance(value, (list, tuple)) and any(map(np.ma.is_masked, value))
        raw = np.asarray(viewed(value))
    except Exception as error:  # objects of users may raise any
        raise TypeError(f"{name} must be an array of {what}; got {type(value).__name__} ({error!s:.200})") from None
    if 0 in raw.strides:  # one number at many places: small as it comes, and large when it is copied
        room_for(name, f"an array of shape {raw.shape}", raw.size, max(4, raw.itemsize))
    if masked:
        raise ValueError(f"{name} must hold no masked values (see numpy.ma.filled and compressed); got {shown(value)}")
    return raw


def real_values(name: str, value: Any) -> np.ndarray:
    """Return `value` as a float64 array of whatever shape, of finite real numbers."""
    return real_array(name, value, (None,) * axes_of(value))


def _real(name: str, value: Any, shape: Sequence[int | None], dtype: Any) -> np.ndarray:
    """`value` as a C-contiguous array of the given shape and dtype, where it is one of real numbers."""
    raw = plain_array(name, value, "real numbers")
    if raw.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers; got dtype {raw.dtype}")
    if raw.ndim != len(shape) or any(want is not None and want != have for want, have in zip(shape, raw.shape, strict=True)):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name} must have shape {wanted}; got {raw.shape}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(raw, dtype=dtype).reshape(raw.shape)  # which NumPy gives an axis where there is none


def signal(name: str, value: Any, shape: Sequence[int | None], *, finite: bool = True) -> np.ndarray:
    """Return `value` as a C-contiguous float32 array of the given shape (None: any length).

    Booleans, integers and other real dtypes are converted; complex numbers, text and objects are refused, and so are
    NaN, infinities and numbers beyond float32.
    """
    array = _real(name, value, shape, np.float32)
    if finite and not is_finite(array):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must hold finite float32 numbers; got {np.asarray(value)[where]} at index {where}")
    return array
