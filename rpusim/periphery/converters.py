"""Converters between numbers and signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import boolean, integer, numbers_of, optional, physical, real

__all__ = ["ADC", "DAC"]

_bits = optional(integer(2, 24))


_bound = optional(physical(0.0, open_low=True))


is_spread = real(0.0, 10.0)


_table = optional(numbers_of(real(-1e6, 1e6)))


class _Converter(Specification):
    bits: int | None
    bound: float | None
    noise: float
    stochastic_rounding: bool

    def _check_consistency(self) -> None:
        name = type(self).__name__
        if self.bits is not None and self.bound is None:
            raise ValueError(
                f"{name}: bound must be given where bits are, since it sets the step; got bound=None, bits={self.bits}"
            )
        if self.stochastic_rounding and self.bits is None:
            raise ValueError(f"{name}: stochastic_rounding must be False where bits=None, since nothing is rounded; got True")

    @property
    def step(self) -> float | None:
        """Distance of two levels, 2 bound / (2^bits - 2); None where nothing is rounded."""
        if self.bits is None or self.bound is None:
            return None
        return 2.0 * self.bound / (2**self.bits - 2)

    def _levels(self) -> tuple[float, float, float]:
        """(1 / step, step, largest level), zeros where nothing is rounded."""
        if self.step is None:
            return 0.0, 0.0, 0.0
        return 1.0 / self.step, self.step, float(2 ** (self.bits - 1) - 1)  # type: ignore[operator]


@dataclass(frozen=True, repr=False)
class DAC(_Converter):
    """The converter in front of every input line.

    v = clip(round(x / step) step, +-bound) + noise xi, with xi standard normal; then v (1 - asymmetry) where v < 0.

    Parameters
    ----------
    bits : int or None, default 7
        Resolution: 2^bits - 1 levels, symmetric about zero, of distance 2 bound / (2^bits - 2). None: no rounding.
    bound : float or None, default 1
        Largest input. None: no clipping.
    noise : float, default 0
        Standard deviation of the noise added to every input, in input units (after scaling by noise management).
    stochastic_rounding : bool, default False
        Round up with a probability equal to the fraction, instead of to the nearest level (ties to even).
    asymmetry : float, default 0
        Negative inputs are driven weaker by this fraction.
    slice_bits : int or None, default None
        Bit-serial inputs: the magnitude of an input is applied in ceil((bits - 1) / slice_bits) passes of `slice_bits` bits,
        each driven at full range, with the input's sign; the ADCs convert every pass, and the passes are shifted and added
        digitally. None: the whole input at once.

    Examples
    --------
    >>> import rpusim as rpu
    >>> dac = rpu.DAC(bits=3)  # 7 levels
    >>> round(dac.step, 4), dac.passes, rpu.DAC(bits=7, slice_bits=2).passes
    (0.3333, 1, 3)
    """

    bits: int | None = parameter(7, _bits)
    bound: float | None = parameter(1.0, _bound)
    noise: float = parameter(0.0, physical(0.0))
    stochastic_rounding: bool = parameter(False, boolean)
    asymmetry: float = parameter(0.0, real(-1.0, 1.0))
    slice_bits: int | None = parameter(None, optional(integer(1, 23)))

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.slice_bits is not None and (self.bits is None or self.slice_bits >= self.bits):
            raise ValueError(f"DAC: slice_bits must be smaller than bits={self.bits}; got {self.slice_bits}")

    @property
    def passes(self) -> int:
        """How many passes one input takes: 1, or the number of its slices."""
        return 1 if self.slice_bits is None or self.bits is None else -(-(self.bits - 1) // self.slice_bits)


@dataclass(frozen=True, repr=False)
class ADC(_Converter):
    """The converter behind every output line.

    u = f v / (1 + |n v|), u (1 - asymmetry) where u < 0, y = clip(round((gain (u + noise xi) + offset) / step) step, +-bound)
    with xi standard normal, and gain 1, offset 0, n = nonlinearity / bound and f = 1 as long as nothing is said.

    Parameters
    ----------
    bits : int or None, default 9
        Resolution: 2^bits - 1 levels, symmetric about zero, of distance 2 bound / (2^bits - 2). None: no rounding.
    bound : float or None, default 12
        Largest output. None: no clipping.
    noise : float, default 0.06
        Standard deviation of the noise added before conversion, in units of weight times scaled input.
    stochastic_rounding : bool, default False
        Round up with a probability equal to the fraction, instead of to the nearest level (ties to even).
    noise_spread : float, default 0
        Every ADC has its own noise, |noise (1 + noise_spread xi)|, drawn once.
    gain_spread : float, default 0
        Standard deviation of the ADCs' gains around 1, drawn once.
    offset_spread : float, default 0
        Standard deviation of the ADCs' offsets around 0, in output units, drawn once.
    asymmetry : float, default 0
        Negative outputs are smaller by this fraction.
    nonlinearity : float, default 0
        How the output saturates: v / (1 + |n v|) with n = nonlinearity / bound (or nonlinearity where bound=None).
    nonlinearity_spread : float, default 0
        Every ADC has its own, |n (1 + nonlinearity_spread xi)|, drawn once.
    slope_calibration : float, default 0
        Makes up for the lost slope by f = (1 + (mean n + series resistance) slope_calibration bound)^2.
    inl : tuple of float or None
        Integral non-linearity: where the 2^bits - 2 transitions between neighbouring levels lie beside their place (k + 1/2)
        step, in steps, lowest first.
    dnl : tuple of float or None
        Differential non-linearity: how much wider than a step the 2^bits - 3 inner levels are, in steps, lowest first; the
        lowest transition is in its place. Give one of `inl` and `dnl`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> adc = rpu.ADC(bits=3, bound=3.0, noise=0.0, dnl=(0.0, 0.5, -0.5, 0.0, 0.0))
    >>> adc.transitions.tolist()
    [-2.5, -1.5, 0.0, 0.5, 1.5, 2.5]
    """

    bits: int | None = parameter(9, _bits)
    bound: float | None = parameter(12.0, _bound)
    noise: float = parameter(0.06, physical(0.0))
    stochastic_rounding: bool = parameter(False, boolean)
    noise_spread: float = parameter(0.0, is_spread)
    gain_spread: float = parameter(0.0, is_spread)
    offset_spread: float = parameter(0.0, physical(0.0))
    asymmetry: float = parameter(0.0, real(-1.0, 1.0))
    nonlinearity: float = parameter(0.0, physical(0.0))
    nonlinearity_spread: float = parameter(0.0, is_spread)
    slope_calibration: float = parameter(0.0, physical(0.0))
    inl: tuple[float, ...] | None = parameter(None, _table)
    dnl: tuple[float, ...] | None = parameter(None, _table)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.noise_spread > 0.0 and self.noise == 0.0:
            raise ValueError(f"ADC: noise_spread must be 0 where noise=0; got {self.noise_spread}")
        if self.nonlinearity_spread > 0.0 and self.nonlinearity == 0.0:
            raise ValueError(f"ADC: nonlinearity_spread must be 0 where nonlinearity=0; got {self.nonlinearity_spread}")
        if self.inl is None and self.dnl is None:
            return
        if self.inl is not None and self.dnl is not None:
            raise ValueError("ADC: dnl must be None where inl is given, since each follows from the other")
        if self.bits is None or self.stochastic_rounding:
            raise ValueError(
                f"ADC: inl and dnl need bits, and no stochastic_rounding; got bits={self.bits}, "
                f"stochastic_rounding={self.stochastic_rounding}"
            )
        name, table, extra = ("inl", self.inl, 2) if self.inl is not None else ("dnl", self.dnl, 3)
        assert table is not None
        if len(table) != 2**self.bits - extra:
            raise ValueError(f"ADC: {name} must have 2^bits - {extra} = {2**self.bits - extra} numbers; got {len(table)}")
        transitions = self.transitions
        if transitions is not None and np.any(np.diff(transitions) < 0.0):
            raise ValueError(f"ADC: {name} must leave the transitions in order, with no level narrower than 0")

    @property
    def transitions(self) -> NDArray[np.float64] | None:
        """Where one level gives way to the next, in steps, ascending (2^bits - 2); None where nothing is rounded."""
        if self.bits is None:
            return None
        largest = 2 ** (self.bits - 1) - 1
        ideal = np.arange(-largest, largest) + 0.5
        if self.dnl is not None:
            return ideal + np.concatenate([[0.0], np.cumsum(self.dnl)])
        return ideal if self.inl is None else ideal + np.array(self.inl)
