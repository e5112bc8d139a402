"""Measured ramps as the likelihood takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.fitting.ramps import Array

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


def as_ramps(name: str, value: Any) -> tuple[list[Array], list[int]]:
    """The ramps in `value` without nan at their ends, and the number of the device of each (0 where there is one)."""
    if value is None:
        return [], []
    nested = isinstance(value, (list, tuple)) and len(value) > 0 and not np.isscalar(value[0])
    groups: list[tuple[int, Any]]
    if nested:
        groups = list(enumerate(value))
    else:
        try:
            whole = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold ramps of numbers; got {type(value).__name__} ({error})") from None
        if whole.ndim not in (1, 2, 3):
            raise ValueError(
                f"{name} must have shape (values,), (ramps, values) or (devices, ramps, values); got {whole.shape}"
            )
        groups = [(0, whole)] if whole.ndim == 1 else list(enumerate(whole))
    ramps: list[Array] = []
    device: list[int] = []
    many = False
    for k, group in groups:
        inner = [group]
        deep = isinstance(group, (list, tuple)) and len(group) > 0 and not np.isscalar(group[0])
        if deep or (isinstance(group, np.ndarray) and group.ndim == 2):
            inner, many = list(group), True
        for one in inner:
            try:
                raw = np.asarray(one)
            except (TypeError, ValueError) as error:
                raise TypeError(f"{name}[{k}] must be a ramp of numbers; got {type(one).__name__} ({error})") from None
            if raw.dtype.kind not in "fiu" or raw.ndim != 1:
                raise (ValueError if raw.dtype.kind in "fiu" else TypeError)(
                    f"{name}[{k}] must be a ramp: real numbers of shape (values,); got {raw.dtype} of shape {raw.shape}"
                )
            ramp = raw.astype(np.float64)
            if np.isinf(ramp).any():
                raise ValueError(f"{name}[{k}] must be finite, or nan where a value is missing; got inf")
            seen = np.flatnonzero(np.isfinite(ramp))
            if seen.size == 0:
                continue
            if seen.size < 3:
                raise ValueError(f"{name}[{k}] must have at least 3 values; got {seen.size}")
            ramps.append(ramp[seen[0] : seen[-1] + 1])
            device.append(k)
    return ramps, device if many else [0] * len(device)


def packed(up: list[Array], down: list[Array], up_device: list[int], down_device: list[int]) -> Data:
    ramps = [*up, *down]
    y = np.full((max(len(r) for r in ramps), len(ramps)), math.nan)
    for k, ramp in enumerate(ramps):
        y[: len(ramp), k] = ramp
    direction = np.repeat([1.0, -1.0], [len(up), len(down)])
    return Data(y, direction, np.array([*up_device, *down_device], dtype=np.intp))
