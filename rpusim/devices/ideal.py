"""The device without physics: an analog memory that takes any change exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rpusim.devices.base import Device

__all__ = ["Ideal"]


@dataclass(frozen=True, repr=False)
class Ideal(Device):
    """A cross-point that takes every requested change exactly, without pulses, bounds or noise.

    An array of these updates by w <- w - lr d x^T in float32. Its reads still pass through the periphery.

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.CrossbarArray((2, 3), rpu.devices.Ideal(), rng=0)
    >>> array.update([1.0, 0.0, 0.0], [0.5, -0.5], lr=0.1)
    >>> array.weights[:, 0]
    array([-0.05,  0.05], dtype=float32)
    """

    papers: ClassVar[tuple[str, ...]] = ()
