"""Checks of user input: one sentence form, naming the argument, the value and what is allowed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rpusim._core.kernels import is_finite

__all__ = ["boolean", "choice", "instance", "integer", "integer_value", "optional", "physical", "real", "real_array", "signal"]

Check = Callable[[str, Any], Any]


def fail(name: str, allowed: str, value: Any, error: type[Exception] = ValueError) -> None:
    text = repr(value)
    raise error(f"{name} must be {allowed}; got {text if len(text) < 80 else text[:77] + '...'}")


#: Sizes that float32 holds with room for products; larger ones would overflow in the kernels, smaller ones vanish.
LARGEST, SMALLEST = 1e30, 1e-30


def physical(low: float = -math.inf, high: float = math.inf, *, open_low: bool = False) -> Check:
    """A real number in an interval, at most 1e30 in size, and at least 1e-30 where it must be positive."""
    within = real(low, high, open_low=open_low)
    smallest = SMALLEST if open_low else 0.0

    def check(name: str, value: Any) -> float:
        number = within(name, value)
        if not smallest <= abs(number) <= LARGEST:
            fail(name, f"of a size from {smallest:g} to {LARGEST:g}", value)
        return number

    return check


def real(low: float = -math.inf, high: float = math.inf, *, open_low: bool = False, open_high: bool = False) -> Check:
    """A finite real number in an interval; returns it as a Python float."""
    left = "(" if open_low or low == -math.inf else "["
    right = ")" if open_high or high == math.inf else "]"
    allowed = "a finite real number"
    if low != -math.inf or high != math.inf:
        allowed += f" in {left}{low:g}, {high:g}{right}"

    def check(name: str, value: Any) -> float:
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
            fail(name, allowed, value, TypeError)
        try:
            number = float(value)
        except OverflowError:  # an integer beyond all floats
            number = math.inf
        inside = (low < number if open_low else low <= number) and (number < high if open_high else number <= high)
        if not math.isfinite(number) or not inside:
            fail(name, allowed, value)
        return number

    return check


def integer(low: int | None = None, high: int | None = None) -> Check:
    """An integer between two inclusive bounds; returns it as a Python int."""
    allowed = "an integer"
    if low is not None and high is not None:
        allowed += f" from {low} to {high}"
    elif low is not None:
        allowed += f" of at least {low}"

    def check(name: str, value: Any) -> int:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
            fail(name, allowed, value, TypeError)
        number = int(value)
        if (low is not None and number < low) or (high is not None and number > high):
            fail(name, allowed, value)
        return number

    return check


def integer_value(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """`integer(low, high)` applied at once, for arguments of functions."""
    return integer(low, high)(name, value)


def boolean(name: str, value: Any) -> bool:
    """True or False, and nothing that merely behaves like them."""
    if not isinstance(value, (bool, np.bool_)):
        fail(name, "True or False", value, TypeError)
    return bool(value)


def choice(*options: str) -> Check:
    """One of a few names."""
    allowed = "one of " + ", ".join(repr(option) for option in options)

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            fail(name, allowed, value, TypeError)
        if value not in options:
            fail(name, allowed, value)
        return value

    return check


def instance(kinds: type | tuple[type, ...], allowed: str) -> Check:
    """An object of a given class; `allowed` says it in the user's words."""

    def check(name: str, value: Any) -> Any:
        if not isinstance(value, kinds):
            fail(name, allowed, value, TypeError)
        return value

    return check


def optional(check: Check) -> Check:
    """None, or what `check` accepts."""

    def check_optional(name: str, value: Any) -> Any:
        if value is None:
            return None
        try:
            return check(name, value)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace(" must be ", " must be None or ", 1)) from None

    return check_optional


def numbers_of(check: Check) -> Check:
    """A sequence of at least one number that `check` accepts; returns a tuple."""

    def check_all(name: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or np.ndim(value) != 1:
            fail(name, "a sequence of numbers", value, TypeError)
        if len(value) == 0:
            fail(name, "a sequence of at least one number", value)
        return tuple(check(f"{name}[{k}]", entry) for k, entry in enumerate(value))

    return check_all


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


def _real(name: str, value: Any, shape: Sequence[int | None], dtype: Any) -> np.ndarray:
    """`value` as a C-contiguous array of the given shape and dtype, where it is one of real numbers."""
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of real numbers; got {type(value).__name__} ({error})") from None
    if raw.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers; got dtype {raw.dtype}")
    if raw.ndim != len(shape) or any(want is not None and want != have for want, have in zip(shape, raw.shape, strict=True)):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name} must have shape {wanted}; got {raw.shape}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(raw, dtype=dtype)


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
