"""Whether the ramps of a table lie along its rows or along its columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = []

Array = NDArray[np.float64]


def _roughness(table: Array) -> tuple[float, float]:
    """Of the rows of a table: mean square of steps over twice the variance (1: noise, 0: smooth), and their share of all
    variance."""
    scale = float(np.max(np.abs(table[np.isfinite(table)]), initial=0.0)) or 1.0
    steps, own, counted = 0.0, 0.0, 0
    for row in table / scale:
        y = row[np.isfinite(row)]
        if len(y) > 1:
            counted += len(y)
            own += len(y) * float(y.var())
            steps += len(y) * float(np.mean(np.diff(y) ** 2)) / 2.0
    whole = counted * float((table[np.isfinite(table)] / scale).var()) if counted else 0.0
    if not whole > 0.0:
        return 1.0, 0.0
    return steps / max(own, 1e-300), own / whole


def ramps_lie_along_rows(table: Array) -> bool:
    """Whether the rows of a table are ramps and its columns are not: rows go on smoothly, columns jump or stay."""
    if table.ndim != 2 or min(table.shape) < 1 or table.shape[1] < 4:
        return False
    rows, share = _roughness(table)
    columns, other = _roughness(table.T) if table.shape[0] > 1 else (1.0, 0.0)
    return rows < 0.3 and share > 0.2 and (columns > 0.5 or other < 0.05 or table.shape[0] < 3)
