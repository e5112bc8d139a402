"""From a column of values and one of numbers to ramps: what begins anew, turns, repeats, runs backwards or is missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpusim.fitting.cells import OVERFLOW

__all__ = []

Array = NDArray[np.float64]
Ints = NDArray[np.intp]

_SENTINELS = frozenset(s * (10.0**n - 1.0) for s in (1.0, -1.0) for n in range(3, 9))


def missing_words(values: Array, lines: Ints, where: str) -> tuple[Array, list[str]]:
    """Values without the numbers that stand for overflow or for a missing value, and a note."""
    notes = []
    size = np.abs(values)
    over = size >= OVERFLOW
    rest = values[np.isfinite(values) & ~over]
    coded = np.isin(values, list(_SENTINELS))
    if coded.any() and len(rest):
        others = rest[~np.isin(rest, list(_SENTINELS))]
        far = len(others) > 2 and float(np.min(np.abs(values[coded]))) > 50.0 * float(np.max(np.abs(others)))
        coded &= far
    else:
        coded[:] = False
    for found, what in ((over, "overflow"), (coded, "a missing value")):
        if found.any():
            first = int(np.flatnonzero(found)[0])
            count = f"{int(found.sum())} value" + ("s" if found.sum() > 1 else "")
            verb = "stand" if found.sum() > 1 else "stands"
            notes.append(f"{where}: {count} {verb} for {what} (line {lines[first]}: {values[first]:g}): missing")
    return np.where(over | coded, math.nan, values), notes


def pieces_of(path: Path, values: Array, numbers: Array | None, lines: Ints) -> tuple[list[tuple[Array, Ints]], list[str]]:
    """The values on the grid of pulses, apart where the numbering starts anew or turns, with the lines of each; and notes."""
    if numbers is not None:
        keep = np.isfinite(values) | np.isfinite(numbers)
        values, numbers, lines = values[keep], numbers[keep], lines[keep]
    if numbers is None or len(values) == 0 or (len(values) > 2 and np.ptp(np.nan_to_num(numbers)) == 0.0):
        return [(values, lines)], []
    bad = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)))
    if len(bad):
        raise ValueError(f"{path}, line {lines[bad[0]]}: pulse numbers must be integers; got {numbers[bad[0]]:g}")
    if np.abs(numbers).max() > 1e9:
        far = int(np.argmax(np.abs(numbers)))
        raise ValueError(f"{path}, line {lines[far]}: pulse numbers must be at most 1e9; got {numbers[far]:g}")
    notes: list[str] = []
    out = []
    falls, repeats = 0, 0
    for part in _monotone(numbers):
        own = numbers[part] - numbers[part[0]]
        if own[-1] < 0:
            own, falls = -own, falls + 1
        index = own.astype(np.int64)
        if index[-1] > 100 * len(index) + 1000:
            raise ValueError(f"{path}, line {lines[part[-1]]}: pulse numbers must not jump so far; got {numbers[part[-1]]:g}")
        repeats += int((np.diff(index) == 0).sum())
        out.append(_on_grid(values[part], lines[part], index))
    if falls:
        notes.append(f"of {path.name}, pulse numbers that count down are taken in the order of their lines")
    if repeats:
        notes.append(f"of {path.name}, values of the same pulse number are averaged")
    return out, notes


def _on_grid(values: Array, lines: Ints, index: NDArray[np.int64]) -> tuple[Array, Ints]:
    """Means of the values of each pulse, nan where there is none."""
    seen = np.isfinite(values)
    count = np.bincount(index[seen], minlength=int(index[-1]) + 1)
    total = np.bincount(index[seen], weights=values[seen], minlength=int(index[-1]) + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        grid = np.where(count > 0, total / np.maximum(count, 1), math.nan)
    where = np.zeros(len(grid), np.intp)
    where[index[::-1]] = lines[::-1]
    return grid, where


def _monotone(numbers: Array) -> list[Ints]:
    """Where numbers go on in one sense: parts end where they start anew or turn."""
    d = np.diff(numbers)
    cuts = []
    sense = 0.0
    k = 0
    while k < len(d):
        if d[k] == 0.0 or sense == 0.0 or d[k] * sense > 0.0:
            sense = sense or float(np.sign(d[k]))
            k += 1
            continue
        cut = k + 1
        if k and d[k - 1] == 0.0:  # the turn itself was written twice
            back = k
            while back and d[back - 1] == 0.0:
                back -= 1
            on = k + 1 < len(d) and d[k + 1] * d[k] > 0.0
            cut = back + 1 if on and k - back == 1 else cut
        cuts.append(cut)
        after = d[k + 1 :][d[k + 1 :] != 0.0]
        turned = len(after) > 0 and after[0] * d[k] > 0.0 and abs(d[k]) <= 2.0 * abs(after[0])
        sense = float(np.sign(d[k])) if turned else 0.0
        k += 1
    return list(np.split(np.arange(len(numbers)), cuts))


def rises(y: Array) -> bool:
    """Whether a ramp rises, by the ranks of its values: one that is far off does not count for more."""
    t = np.flatnonzero(np.isfinite(y))
    rank = np.argsort(np.argsort(y[t], kind="stable"), kind="stable")
    fine = float((t - t.mean()) @ (rank - rank.mean()))
    return fine > 0.0


def contradicts(y: Array, up: bool) -> bool:
    """Whether a ramp clearly goes the other way than `up` says."""
    t = np.flatnonzero(np.isfinite(y))
    if len(t) < 3:
        return False
    v = y[t]
    third = max(1, len(v) // 3)
    net = float(np.median(v[-third:]) - np.median(v[:third]))
    net = net if up else -net
    low, high = np.percentile(v, [3.0, 97.0])
    d = np.diff(v)
    noise = 1.4826 * float(np.median(np.abs(d - np.median(d)))) / math.sqrt(2.0)
    return net < -0.4 * float(high - low) and -net > 6.0 * noise * math.sqrt(2.0 / third) and net < 0.0


def outliers(y: Array, least: float = 0.25) -> Ints:
    """Where single values are far from what both of their sides say: bad reads, not steps.

    Such a value is off the median of its four neighbours by ten times what is usual, by `least` of the range, and by more than
    they themselves differ by, so that ends of steep ramps, steps that stay and turns are none.
    """
    t = np.flatnonzero(np.isfinite(y))
    if len(t) < 8:
        return np.zeros(0, np.intp)
    v = y[t]
    padded = np.concatenate([2.0 * v[:1] - v[2:0:-1], v, 2.0 * v[-1:] - v[-2:-4:-1]])
    around = np.stack([padded[k : k + len(v)] for k in (0, 1, 3, 4)])
    around[:, 0], around[:, -1] = _beyond(t[:5] - t[0], v[1:5]), _beyond(t[-1] - t[-1:-6:-1], v[-2:-6:-1])
    around[:, 1] = v[0], v[2], v[3], (v[0] + v[2]) / 2.0
    around[:, -2] = v[-1], v[-3], v[-4], (v[-1] + v[-3]) / 2.0
    off = np.abs(v - np.median(around, axis=0))
    near = np.sort(around, axis=0)
    spread = np.maximum(2.0 * (near[2] - near[1]), 1.2 * (near[3] - near[0]))
    scale = 1.4826 * float(np.median(off))
    low, high = np.percentile(v, [3.0, 97.0])
    steps = np.abs(np.diff(v))
    quantum = float(np.min(steps[steps > 0.0], initial=math.inf)) if (steps > 0.0).any() else 0.0
    floor = np.maximum(10.0 * max(scale, 0.3 * quantum if math.isfinite(quantum) else 0.0), least * float(high - low))
    far = (off > floor) & (off > spread)
    return t[far] if 0 < far.sum() <= max(2, len(t) // 20) else np.zeros(0, np.intp)


def _beyond(t: Array, v: Array) -> Array:
    """What the values next to an end, at times `t` from it, say of it: two lines, a parabola, and the nearest itself."""
    one, two, three = (float(x) for x in t[1:4])
    near = v[0] + (v[0] - v[1]) * one / (two - one)
    wide = v[0] + (v[0] - v[2]) * one / (three - one)
    curve = (
        v[0] * two * three / ((two - one) * (three - one))
        - v[1] * one * three / ((two - one) * (three - two))
        + v[2] * one * two / ((three - one) * (three - two))
    )
    return np.array([near, wide, curve, v[0]])


def split(values: Array) -> list[slice]:
    """The rising and falling ramps of a long sequence, cut at turns of more than half of its range."""
    from scipy.ndimage import median_filter

    t = np.flatnonzero(np.isfinite(values))
    if len(t) < 6:
        return [slice(0, len(values))]
    y = values[t]
    window = max(3, min(31, len(y) // 20) | 1)
    smooth = median_filter(y, size=window, mode="nearest")
    low, high = np.percentile(smooth, [2.0, 98.0])
    cuts = _turns(smooth, 0.5 * float(high - low), window)
    if not cuts:
        return [slice(0, len(values))]
    # ramps of equal length are cut exactly there, where noise hides the turns
    period = len(values) / (len(cuts) + 1)
    places = t[np.array(cuts)] + 1
    if period == int(period) and (np.abs(places - period * np.arange(1, len(cuts) + 1)) <= max(3.0, 0.1 * period)).all():
        places = (period * np.arange(1, len(cuts) + 1)).astype(np.int64)
    ends = [0, *(int(p) for p in places), len(values)]
    return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _turns(smooth: Array, turn: float, window: int) -> list[int]:
    cuts: list[int] = []
    top = bottom = 0
    sense = 0
    for k in range(len(smooth)):
        if sense >= 0 and smooth[k] > smooth[top]:
            top = k
        if sense <= 0 and smooth[k] < smooth[bottom]:
            bottom = k
        if sense >= 0 and smooth[k] < smooth[top] - turn:
            if sense > 0 or top > window:
                cuts.append(top)
            sense, bottom = -1, k
        elif sense <= 0 and smooth[k] > smooth[bottom] + turn:
            if sense < 0 or bottom > window:
                cuts.append(bottom)
            sense, top = 1, k
    return cuts
