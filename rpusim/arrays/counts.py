"""What arrays count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["Programming", "PulseCount", "ReadCount", "Written"]


class PulseCount(NamedTuple):
    """Numbers of up and down pulses that fired.

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.CrossbarArray((2, 3), rpu.devices.ConstantStep(), rng=0)
    >>> array.pulse(5)  # five up pulses on each device
    >>> array.pulse_count
    PulseCount(up=30, down=0)
    """

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

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> array = rpu.CrossbarArray((2, 3), rpu.devices.SoftBounds(dw_min=0.01), forward=rpu.Periphery.ideal(), rng=0)
    >>> done = array.program_verify(np.full((2, 3), 0.2), tolerance=0.02)
    >>> bool(done.within.all()), bool((done.pulses > 0).all())
    (True, True)
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

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(w_max=1.0, w_max_dtod=0.0, w_min=-1.0, w_min_dtod=0.0)
    >>> rpu.CrossbarArray((1, 2), device, rng=0).program([[0.5, 1.25]])
    Written(clipped=1, most=0.25)
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

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.CrossbarArray((2, 3), rpu.devices.SoftBounds(), forward=rpu.Periphery(), rng=0)
    >>> _ = array.forward([[1.0, 0.5, 0.0], [0.0, 0.0, 2.0]])
    >>> count = array.forward_count
    >>> count.vectors, count.dac_conversions, count.adc_conversions
    (2, 6, 4)
    """

    vectors: int
    products: int
    retries: int
    dac_conversions: int
    adc_conversions: int
    inputs_clipped: int
    outputs_clipped: int
