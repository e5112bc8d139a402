"""What arrays count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["Programming", "PulseCount", "ReadCount", "Written"]


class PulseCount(NamedTuple):
    """Numbers of up and down pulses that fired."""

    up: Any
    down: Any


class Programming(NamedTuple):
    """What `CrossbarArray.program_verify` did.

    Attributes
    ----------
    weights : float32 array (outputs, inputs)
        The last read.
    pulses : int64 array (outputs, inputs)
        Pulses that each device got.
    within : bool array (outputs, inputs)
        Whether the last read was within the tolerance.
    rounds : int
        Reads of the whole array.
    """

    weights: Any
    pulses: Any
    within: Any
    rounds: int


class Written(NamedTuple):
    """What a program did not write as it was asked to.

    Attributes
    ----------
    clipped : int
        Devices whose bounds the weights were beyond; they are at the bound.
    most : float
        By how much at most, in weight units.
    """

    clipped: int = 0
    most: float = 0.0

    @staticmethod
    def of(parts: Iterable[Written | None]) -> Written:
        """Return what several did together; None counts as nothing."""
        known = [one for one in parts if one is not None]
        return Written(sum(one.clipped for one in known), max((one.most for one in known), default=0.0))


class ReadCount(NamedTuple):
    """What the reads of one direction did so far.

    vectors: vectors read; products: passes of a vector through the array, retries and slices of inputs included; retries:
    tries that bound management added; dac_conversions, adc_conversions: numbers converted; inputs_clipped, outputs_clipped:
    how many of those were beyond the bound.
    """

    vectors: int
    products: int
    retries: int
    dac_conversions: int
    adc_conversions: int
    inputs_clipped: int
    outputs_clipped: int
