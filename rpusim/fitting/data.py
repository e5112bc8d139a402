"""Measured ramps as the likelihood takes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import shown
from rpusim.fitting.orientation import ramps_lie_along_rows
from rpusim.fitting.pieces import contradicts, outliers
from rpusim.fitting.ramps import FAR, Array, Place, Ramps, read_ramps
from rpusim.fitting.workbooks import is_frame

__all__ = []


@dataclass(frozen=True)
class Data:
    """Ramps in weight units, padded with nan: y (time, ramps), direction (ramps,) of +-1, device (ramps,)."""

    y: Array
    direction: Array
    device: NDArray[np.intp]

    @property
    def up(self) -> NDArray[np.bool_]:
        return self.direction > 0

    def of_device(self, k: int) -> Data:
        mine = self.device == k
        y = self.y[:, mine]
        return Data(y[: int(np.flatnonzero(np.isfinite(y).any(1))[-1]) + 1], self.direction[mine], self.device[mine])

    @property
    def n(self) -> int:
        """Number of values that the likelihood explains: all but the first of each ramp."""
        return int(np.isfinite(self.y).sum()) - self.y.shape[1]


@dataclass
class Measured:
    """Ramps as they were given: values, devices and words for where a value stands, and what was decided."""

    up: list[Array] = field(default_factory=list)
    down: list[Array] = field(default_factory=list)
    up_device: list[Any] = field(default_factory=list)
    down_device: list[Any] = field(default_factory=list)
    up_where: list[Callable[[int], str]] = field(default_factory=list)
    down_where: list[Callable[[int], str]] = field(default_factory=list)
    unit: str = ""
    notes: list[str] = field(default_factory=list)


def measured(pulses_up: Any, pulses_down: Any, unit: str) -> Measured:
    """What `fit` was given, checked: every ramp goes its way, and single bad reads are missing values."""
    if isinstance(pulses_up, Ramps):
        if pulses_down is not None:
            raise ValueError("pulses_down must be None where pulses_up are Ramps, which hold both; got both")
        out = _of_ramps(pulses_up, unit)
    elif is_frame(pulses_up) and pulses_down is None:
        out = _of_ramps(read_ramps(pulses_up), unit)
    else:
        out = Measured(unit=unit)
        for name, value in (("up", pulses_up), ("down", pulses_down)):
            _add(out, name, value)
    _check_directions(out)
    _without_bad_reads(out)
    return out


def _of_ramps(ramps: Ramps, unit: str) -> Measured:
    if unit and ramps.unit and unit != ramps.unit:
        raise ValueError(f"unit must be that of the ramps, {ramps.unit!r}; got {shown(unit)}")
    places = [*ramps.up_places, *ramps.down_places]
    names = [place.device for place in places]
    own = len(set(names)) > 1 and all(names)

    def words(place: Place) -> Callable[[int], str]:
        return place.at

    split = len(ramps.up)
    devices: list[Any] = names if own else [0] * (split + len(ramps.down))
    if not places:
        where = [_in_argument("pulses_up", k) for k in range(split)] + [
            _in_argument("pulses_down", k) for k in range(len(ramps.down))
        ]
    else:
        where = [words(place) for place in places]
    notes = [f"{len(set(names))} devices, as the file names them"] if own else []
    return Measured(
        list(ramps.up), list(ramps.down), devices[:split], devices[split:], where[:split], where[split:],
        unit or ramps.unit, [*(note for note in ramps.notes if not note.endswith(FAR)), *notes],
    )  # fmt: skip


def _in_argument(name: str, k: int) -> Callable[[int], str]:
    return lambda n: f"{name}[{k}], value {n} (from 0)"


def _add(out: Measured, side: str, value: Any) -> None:
    name = f"pulses_{side}"
    if isinstance(value, Ramps):
        raise TypeError(f"{name} must not be Ramps beside ramps of the other sign; give the Ramps alone as pulses_up")
    if is_frame(value):
        part = _of_ramps(read_ramps(value, direction=side), out.unit)
        out.notes += [note for note in part.notes if note not in out.notes]
        out.unit = part.unit
        ramps, device, where = (
            (part.up, part.up_device, part.up_where) if side == "up" else (part.down, part.down_device, part.down_where)
        )
    else:
        ramps, device, notes = as_ramps(name, value)
        out.notes += notes
        where = [_in_argument(name, k) for k in range(len(ramps))]
    if side == "up":
        out.up, out.up_device, out.up_where = ramps, device, where
    else:
        out.down, out.down_device, out.down_where = ramps, device, where


def _plain(value: Any) -> Any:
    """Masked values are missing."""
    if isinstance(value, np.ma.MaskedArray) and value.dtype.kind in "fiu":
        return np.where(np.ma.getmaskarray(value), np.nan, np.ma.getdata(value).astype(np.float64))
    return value


def _turned(name: str, table: Any, notes: list[str]) -> Any:
    """A table of numbers with a row for each pulse, as instruments write it, turned round."""
    if table.ndim != 2 or table.dtype.kind not in "fiu" or min(table.shape) < 1:
        return table
    numbers = table.astype(np.float64)
    if ramps_lie_along_rows(numbers.T) and not ramps_lie_along_rows(numbers):
        notes.append(
            f"{name} of shape {table.shape} has its ramps along columns (rows do not move, columns do): taken as "
            f"{table.shape[1]} ramps of {table.shape[0]} values"
        )
        return table.T
    return table


def as_ramps(name: str, value: Any) -> tuple[list[Array], list[int], list[str]]:
    """The ramps in `value` without nan at their ends, the number of the device of each (0 where there is one), and notes."""
    notes: list[str] = []
    if value is None:
        return [], [], notes
    groups = _groups(name, _plain(value), notes)
    ramps: list[Array] = []
    device: list[int] = []
    many = False
    for k, group in groups:
        group = _plain(group)
        inner = [group]
        deep = isinstance(group, (list, tuple)) and len(group) > 0 and not np.isscalar(group[0])
        if deep or (isinstance(group, np.ndarray) and group.ndim == 2):
            inner, many = list(group), True
        for one in inner:
            ramp = _ramp(f"{name}[{k}]", _plain(one))
            if ramp is not None:
                ramps.append(ramp)
                device.append(k)
    return ramps, device if many else [0] * len(device), notes


def _groups(name: str, value: Any, notes: list[str]) -> list[tuple[int, Any]]:
    if isinstance(value, (list, tuple)) and len(value) > 0 and not np.isscalar(value[0]):
        flat = [_plain(one) for one in value]
        if (
            all(isinstance(one, (list, tuple)) or getattr(one, "ndim", 0) == 1 for one in flat)
            and len({len(v) for v in flat}) == 1
        ):
            try:
                return list(enumerate(_turned(name, np.asarray(flat), notes)))
            except (TypeError, ValueError):
                pass
        return list(enumerate(value))
    try:
        whole = np.asarray(value)
    except (TypeError, ValueError, MemoryError) as error:
        raise TypeError(f"{name} must hold ramps of numbers; got {type(value).__name__} ({error})") from None
    if whole.ndim not in (1, 2, 3):
        raise ValueError(f"{name} must have shape (values,), (ramps, values) or (devices, ramps, values); got {whole.shape}")
    if whole.size == 0:  # of however many ramps
        return []
    return [(0, whole)] if whole.ndim == 1 else list(enumerate(_turned(name, whole, notes)))


def _ramp(name: str, value: Any) -> Array | None:
    """One ramp without nan at its ends; None where it is empty."""
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError, MemoryError) as error:
        raise TypeError(f"{name} must be a ramp of numbers; got {type(value).__name__} ({error})") from None
    if raw.dtype.kind not in "fiu" or raw.ndim != 1:
        raise (ValueError if raw.dtype.kind in "fiu" else TypeError)(
            f"{name} must be a ramp: real numbers of shape (values,); got {raw.dtype} of shape {raw.shape}"
        )
    ramp = raw.astype(np.float64)
    if np.isinf(ramp).any():
        raise ValueError(f"{name} must be finite, or nan where a value is missing; got inf")
    if (np.abs(ramp) > 1e30).any():
        raise ValueError(
            f"{name} must be at most 1e30 in size, or nan where a value is missing; got {np.nanmax(np.abs(ramp)):g}"
        )
    seen = np.flatnonzero(np.isfinite(ramp))
    if seen.size == 0:
        return None
    if seen.size < 3:
        raise ValueError(f"{name} must have at least 3 values; got {seen.size}")
    out: Array = ramp[seen[0] : seen[-1] + 1]
    return out


def _check_directions(out: Measured) -> None:
    for name, ramps, up in (("pulses_up", out.up, True), ("pulses_down", out.down, False)):
        for k, ramp in enumerate(ramps):
            if contradicts(ramp, up):
                first, last = (f"{ramp[n]:g}" for n in (0, -1))
                goes, other = ("fall", "pulses_down") if up else ("rise", "pulses_up")
                raise ValueError(
                    f"{name}[{k}] must {'rise' if up else 'fall'}; got values that {goes} from {first} to {last}: give it as "
                    f"{other}, or in reverse, ramp[::-1], where it is stored so"
                )


def _without_bad_reads(out: Measured) -> None:
    """Single values far from all of their neighbours become missing, and are named."""
    named: list[str] = []
    for ramps, where in ((out.up, out.up_where), (out.down, out.down_where)):
        for k, ramp in enumerate(ramps):
            bad = outliers(ramp, least=0.02)
            if len(bad):
                ramps[k] = ramp = ramp.copy()
                named += [f"{where[k](int(n))}: {ramp[n]:g}" for n in bad]
                ramp[bad] = math.nan
                seen = np.flatnonzero(np.isfinite(ramp))
                if seen[0] > 0:
                    where[k] = _shifted(where[k], int(seen[0]))
                ramps[k] = ramp[seen[0] : seen[-1] + 1]
    out.notes += [f"{text} {FAR}, a bad read: left out of the fit" for text in named[:5]]
    if len(named) > 5:
        out.notes.append(f"{len(named) - 5} further bad reads are left out of the fit")


def _shifted(where: Callable[[int], str], by: int) -> Callable[[int], str]:
    return lambda n: where(n + by)


def packed(up: list[Array], down: list[Array], up_device: list[int], down_device: list[int]) -> Data:
    ramps = [*up, *down]
    y = np.full((max(len(r) for r in ramps), len(ramps)), math.nan)
    for k, ramp in enumerate(ramps):
        y[: len(ramp), k] = ramp
    direction = np.repeat([1.0, -1.0], [len(up), len(down)])
    return Data(y, direction, np.array([*up_device, *down_device], dtype=np.intp))
