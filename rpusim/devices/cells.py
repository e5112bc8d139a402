"""Unit cells: several devices at one cross-point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, checked_by, choice, instance, integer, numbers_of, optional, physical, real, shown
from rpusim.devices.base import Device, PulsedDevice
from rpusim.devices.step import SoftBounds
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = ["OneSidedCell", "ReferenceCell", "UnitCell", "VectorCell"]

is_pulsed = instance(PulsedDevice, "a pulsed device of rpusim.devices")


@checked_by("text", 3, None, [], [3], {})
def _pulsed_devices(name: str, value: Any) -> tuple[PulsedDevice, ...]:
    if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= 17:
        raise TypeError(f"{name} must be a tuple of 1 to 17 pulsed devices; got {shown(value)}")
    return tuple(is_pulsed(f"{name}[{k}]", device) for k, device in enumerate(value))


@dataclass(frozen=True, repr=False)
class UnitCell(Device):
    """Base of cells of several devices. Not used itself; see `VectorCell`, `OneSidedCell`, `ReferenceCell`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> cell = rpu.devices.ReferenceCell(rpu.devices.SoftBounds(), rpu.devices.SoftBounds())
    >>> isinstance(cell, rpu.devices.UnitCell)
    True
    """


@dataclass(frozen=True, repr=False)
class VectorCell(UnitCell):
    """Several devices per cross-point, W = sum_k gammas[k] W_k.

    Parameters
    ----------
    devices : tuple of PulsedDevice, default two of SoftBounds()
        The devices of one cross-point.
    gammas : tuple of float or None
        Their weights in W; None: 1 / n each.
    policy : {"all", "fixed", "sequential", "random"}
        Which device a vector updates: all of them, with the same pulse trains but noise of their own; `first`; one after
        another, beginning with `first`; one drawn uniformly for every vector. The learning rate is the same for each, so
        that W moves by gammas[k] of it where one is updated.
    first : int, default 0
        See `policy`. (AIHWKit's round begins with the second device: 1.)
    mean_granularity : bool, default False
        Scale pulse trains by the mean step of the devices, as AIHWKit does, instead of by each device's own.

    Examples
    --------
    >>> import rpusim as rpu
    >>> cell = rpu.devices.VectorCell(devices=(rpu.devices.SoftBounds(), rpu.devices.ConstantStep()), policy="random")
    >>> tile = rpu.algorithms.SGD(cell).build((3, 4), rng=0)
    >>> tile.update([1.0, 0.0, 0.5, 0.1], [1.0, -1.0, 0.3], lr=0.01)
    >>> len(tile.array.arrays)
    2
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    devices: tuple[PulsedDevice, ...] = parameter((SoftBounds(), SoftBounds()), _pulsed_devices)
    gammas: tuple[float, ...] | None = parameter(None, optional(numbers_of(physical())))
    policy: str = parameter("all", choice("all", "fixed", "sequential", "random"))
    first: int = parameter(0, integer(0, 16))
    mean_granularity: bool = parameter(False, boolean)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.gammas is not None and len(self.gammas) != len(self.devices):
            raise ValueError(
                f"VectorCell: gammas must be one number for each of the {len(self.devices)} devices; got {shown(self.gammas)}"
            )
        if self.first >= len(self.devices):
            raise ValueError(f"VectorCell: first must be at most {len(self.devices) - 1}; got {self.first}")
        if self.first and self.policy not in ("fixed", "sequential"):
            raise ValueError(f"VectorCell: first is used only by the policies 'fixed' and 'sequential'; got {self.first}")


@dataclass(frozen=True, repr=False)
class ReferenceCell(UnitCell):
    """A device and a fixed reference device, W = W_device - W_reference; only the first is updated.

    The reference stays where `CellArray.program_reference` puts it, at 0 to begin with.

    Parameters
    ----------
    device : PulsedDevice, default SoftBounds()
    reference : PulsedDevice or None
        None: as `device`, with spreads of its own.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> tile = rpu.algorithms.SGD(rpu.devices.ReferenceCell()).build((2, 2), rng=0)
    >>> tile.array.program_reference(np.full((2, 2), 0.1))
    >>> tile.weights
    array([[-0.1, -0.1],
           [-0.1, -0.1]], dtype=float32)
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    device: PulsedDevice = parameter(SoftBounds, is_pulsed)
    reference: PulsedDevice | None = parameter(None, optional(is_pulsed))


@dataclass(frozen=True, repr=False)
class OneSidedCell(UnitCell):
    """Two devices of which each only rises, W = g_plus - g_minus, for devices that move well in one direction only.

    A coincidence that should raise W gives g_plus an up pulse, one that should lower it gives g_minus an up pulse; both
    therefore saturate, and are refreshed: every `refresh_every` vectors the columns of both are read, and cross-points
    where the larger of the two is above `refresh_upper` w_max and the smaller above `refresh_lower` w_max are reset, and
    the difference that was read is written back to the side that was larger, in one pulsed update.

    Parameters
    ----------
    device : PulsedDevice, default SoftBounds(w_min=0.0)
        Both devices; their spreads are drawn separately. Its down step is never used. No write noise.
    refresh_every : int, default 0
        Vectors from one refresh to the next; 0: never. Where an algorithm forms gradients digitally (`MixedPrecision`):
        transfers.
    refresh_upper, refresh_lower : float, default 0.75, 0.25
        Thresholds, relative to w_max.
    refresh_forward : Periphery
        How the columns are read.
    refresh_pulses : PulseScheme
        How the difference is written. A write is limited by its train length: at most desired_bl steps per refresh.

    Examples
    --------
    >>> import rpusim as rpu
    >>> cell = rpu.devices.OneSidedCell(rpu.devices.presets.pcm(), refresh_every=100)
    >>> rpu.algorithms.SGD(cell).build((3, 4), rng=0).weights.shape
    (3, 4)
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    device: PulsedDevice = parameter(SoftBounds(w_min=0.0, w_min_dtod=0.0), is_pulsed)
    refresh_every: int = parameter(0, integer(0, 2**31 - 1))
    refresh_upper: float = parameter(0.75, real(0.0, 1.0))
    refresh_lower: float = parameter(0.25, real(0.0, 1.0))
    refresh_forward: Periphery = parameter(Periphery, instance(Periphery, "a Periphery"))
    refresh_pulses: PulseScheme = parameter(PulseScheme, instance(PulseScheme, "a PulseScheme"))

    @property
    def granularity(self) -> float:
        """The step of one device."""
        return self.device.granularity

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.refresh_lower > self.refresh_upper:
            raise ValueError(
                f"OneSidedCell: refresh_lower must be at most refresh_upper={self.refresh_upper}; got {self.refresh_lower}"
            )
        if self.device.write_noise_std > 0.0:
            raise ValueError(
                "OneSidedCell: device must have no write noise, since single devices are reset; got "
                f"write_noise_std={self.device.write_noise_std}"
            )
        if self.refresh_forward.has_spreads:
            raise ValueError(
                "OneSidedCell: refresh_forward must have no spreads, which are drawn for an array's own reads; "
                f"got {shown(self.refresh_forward)}"
            )
        if self.refresh_forward.wires is not None:
            raise ValueError(
                "OneSidedCell: refresh_forward must have no wires, since single devices are read; got "
                f"{self.refresh_forward.wires!r}"
            )
        if self.refresh_pulses.wires is not None:
            raise ValueError(
                "OneSidedCell: refresh_pulses must have no wires, as a refresh writes through those of the array; "
                f"got {shown(self.refresh_pulses.wires)}"
            )
        if self.device.w_max <= 0.0:
            raise ValueError(f"OneSidedCell: device must have w_max above 0; got {self.device.w_max}")


is_written = instance((PulsedDevice, OneSidedCell), "a pulsed device or a OneSidedCell of rpusim.devices")
