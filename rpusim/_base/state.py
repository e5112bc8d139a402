"""States: what `state_dict` returns and `load_state_dict` takes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.specification import from_dict
from rpusim._base.validation import signal

__all__ = []


def completed_specification(saved: Any) -> Any:
    """A saved specification with the defaults of fields that came after it was saved."""
    try:
        return json.dumps([from_dict(part).to_dict() for part in json.loads(saved)])
    except (TypeError, ValueError):
        return saved


def differences_of(own: str, other: Any) -> str:
    """What a saved specification has that an array's own has not, field by field."""
    try:
        saved = json.loads(other)
        assert len(saved) == 4 and all(isinstance(part, dict) for part in saved)
    except (AssertionError, TypeError, ValueError):
        return f"{other!r:.100}"
    found = []

    def compare(path: str, here: Any, there: Any) -> None:
        if isinstance(here, dict) and isinstance(there, dict) and here.get("type") == there.get("type"):
            for field in {**here, **there}:
                compare(f"{path}.{field}", here.get(field, ...), there.get(field, ...))
        elif here != there:
            values = (v.get("type", v) if isinstance(v, dict) else v for v in (there, here))
            found.append("{} {}, not {}".format(path, *("nothing" if v is ... else repr(v) for v in values)))

    for part, here, there in zip(("device", "forward", "backward", "pulses"), json.loads(own), saved, strict=True):
        compare(part, here, there)
    return "; ".join(found) or f"{other!r:.100}"


def checked_doubles(name: str, value: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a copy of `value` if it is a finite float64 array of `shape`."""
    array = np.array(value)
    if array.dtype != np.float64 or array.shape != shape or not np.all(np.isfinite(array)):
        raise ValueError(
            f"{name} must be finite float64 numbers of shape {shape}; got dtype {array.dtype}, shape {array.shape}"
        )
    return array


def check_entries(name: str, state: Any, expected: dict[str, Any]) -> dict[str, Any]:
    """Return `state` if it is a dict with the entries of `expected`."""
    if not isinstance(state, dict):
        raise TypeError(f"{name} must be a dict made by state_dict(); got {type(state).__name__}")
    if sorted(map(str, state)) != sorted(expected):
        raise ValueError(f"{name} must have the entries {sorted(expected)}; got {sorted(map(str, state))}")
    return state


def checked_list(name: str, values: Any, length: int, check: Any) -> list[Any]:
    """Return `values` if it is a list of `length` numbers that `check` accepts."""
    if not isinstance(values, (list, tuple)) or len(values) != length:
        raise ValueError(f"{name} must be a list of {length} numbers; got {values!r}")
    return [check(f"{name}[{k}]", value) for k, value in enumerate(values)]


def checked_planes(name: str, state: Any, own: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the buffers of `state` if they are of the shapes and types of `own`."""
    check_entries(name, state, own)
    out = {}
    for entry, plane in own.items():
        value = np.asarray(state[entry])
        label = f"{name}[{entry!r}]"
        if plane.dtype == np.int8:
            low = 0 if entry == "flipped" else -1
            if value.dtype != np.int8 or value.shape != plane.shape or not np.isin(value, (low, 1)).all():
                raise ValueError(f"{label} must hold {plane.size} int8 numbers, each {low} or 1; got {state[entry]!r}")
            out[entry] = value
        else:
            out[entry] = signal(label, value, plane.shape)
    return out
