"""How one array is read and handed over to the next, as the compiled loop takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Level"]


@dataclass(frozen=True, kw_only=True)
class Level:
    """The settings of a `Transfer`: what each of the family adds is off where it is not asked for."""

    #: lines are columns (else rows); after how many vectors they are read, and how many of them at once
    columns: bool
    every: int
    reads: int = 1
    #: "cyclic", "random" or "hadamard"
    selection: str = "cyclic"
    #: choppers: probability per read of a line, whether by chance or after every `period` reads; probability of the elements
    in_chop: float = 0.0
    random_chops: bool = False
    regular_chops: bool = False
    period: int = 0
    out_chop: float = 0.0
    #: the buffer H: what is kept of it when it overflows, what it forgets, where it ends, and what is written of it
    buffered: bool = False
    momentum: float = 0.0
    forget: bool = True
    accumulate: bool = True
    leak: float = 0.0
    cap: float = 0.0
    max_pulses: int = 1
    step_lr: float = 1.0
    #: sweeps before which nothing is written; whether rates are relative to that of the fast array
    warm_up: int = 0
    over_fast_rate: bool = False
    #: what is subtracted of reads: "none", their running mean, or that mean as it was at the last chop ("frozen")
    baseline: str = "none"
    track: float = 0.0
    #: probability with which a device is reset after its line was read
    reset_prob: float = 0.0

    @property
    def chops(self) -> bool:
        """Whether signs are turned at all."""
        return self.random_chops or self.regular_chops or self.out_chop > 0.0

    def lines(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the number of lines of an array of `shape`, and their length."""
        return shape[::-1] if self.columns else shape

    def new_buffers(self, shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """Return the buffers that these settings use, as they are before the first vector: line by line."""
        lines, length = self.lines(shape)
        found: dict[str, NDArray[Any]] = {}
        if self.buffered:
            found["buffer"] = np.zeros((lines, length), np.float32)
        if self.baseline != "none":
            found["mean"] = np.zeros((lines, length), np.float32)
        if self.baseline == "frozen" or self.baseline == "running" and self.chops:
            found["frozen"] = np.zeros((lines, length), np.float32)
        if self.baseline == "frozen":
            found["flipped"] = np.zeros(lines, np.int8)
        if self.chops:
            found["line_chop"], found["element_chop"] = np.ones(lines, np.int8), np.ones(length, np.int8)
        return found
