"""What surrounds an array: converters, input scaling, output range, and how updates become pulses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rpusim._core.array import BOUND_MANAGEMENT, NOISE_MANAGEMENT, PULSE_TYPES
from rpusim._validation import boolean, choice, instance, integer, optional, physical, real
from rpusim.specification import Specification, parameter

__all__ = ["ADC", "DAC", "Periphery", "PulseScheme"]

_bits = optional(integer(2, 24))
_bound = optional(physical(0.0, open_low=True))


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
            raise ValueError(
                f"{name}: stochastic_rounding must be False where bits=None, since nothing is rounded; got True"
            )

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

    v = clip(round(x / step) step, +-bound) + noise xi, with xi standard normal.

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
    """

    bits: int | None = parameter(7, _bits)
    bound: float | None = parameter(1.0, _bound)
    noise: float = parameter(0.0, physical(0.0))
    stochastic_rounding: bool = parameter(False, boolean)


@dataclass(frozen=True, repr=False)
class ADC(_Converter):
    """The converter behind every output line.

    y = clip(round((v + noise xi) / step) step, +-bound), with xi standard normal.

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
    """

    bits: int | None = parameter(9, _bits)
    bound: float | None = parameter(12.0, _bound)
    noise: float = parameter(0.06, physical(0.0))
    stochastic_rounding: bool = parameter(False, boolean)


@dataclass(frozen=True, repr=False)
class Periphery(Specification):
    """How an array is read in one direction.

    Per vector: divide by the value s of noise management; DAC (round, clip, noise); product with the weights; ADC (noise,
    round, clip); if bound management finds a clipped output, repeat with half the input; multiply by s and by the
    reduction. Order and laws are AIHWKit's; a vector with s <= 0 reads as zeros (unless the DAC adds noise to it).

    Parameters
    ----------
    dac : DAC
    adc : ADC
    noise_management : {"abs_max", "max", "constant", "average_abs_max", "none"}
        s = max|x|, max(x), `nm_threshold` (or 1), a running mean a <- (1 - nm_decay) a + nm_decay max|x|, or 1. The running
        mean belongs to this direction of this array.
    nm_threshold : float or None
        Upper limit of s for "abs_max" and "max", and the value for "constant".
    nm_decay : float, default 1e-3
        Weight of the newest vector in "average_abs_max".
    bound_management : {"iterative", "none"}
        "iterative" repeats the read of a vector with inputs reduced by 2, 4, 8 ... until nothing clips, or the reduction
        exceeds `bm_max_factor`, or `bm_max_resolution` / (step of the DAC).
    bm_max_factor : float, default 1000
    bm_max_resolution : float, default 0.25

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.Periphery(adc=rpu.ADC(noise=0.0))
    Periphery(adc=ADC(noise=0.0))
    >>> rpu.Periphery.ideal().is_ideal
    True
    """

    dac: DAC = parameter(DAC, instance(DAC, "a DAC"))
    adc: ADC = parameter(ADC, instance(ADC, "an ADC"))
    noise_management: str = parameter("abs_max", choice(*NOISE_MANAGEMENT))
    nm_threshold: float | None = parameter(None, optional(physical(0.0, open_low=True)))
    nm_decay: float = parameter(1e-3, real(0.0, 1.0, open_low=True))
    bound_management: str = parameter("iterative", choice(*BOUND_MANAGEMENT))
    bm_max_factor: float = parameter(1000.0, real(1.0))
    bm_max_resolution: float = parameter(0.25, real(0.0, open_low=True))

    def _check_consistency(self) -> None:
        scaled = self.noise_management in ("abs_max", "max", "average_abs_max")
        if scaled and self.dac.bound not in (None, 1.0):
            raise ValueError(
                f"Periphery: dac.bound must be 1 or None where noise_management={self.noise_management!r} scales inputs to 1; "
                f"got {self.dac.bound}"
            )
        if self.nm_threshold is not None and self.noise_management in ("none", "average_abs_max"):
            raise ValueError(
                f"Periphery: nm_threshold must be None where noise_management={self.noise_management!r}, which does not use "
                f"it; got {self.nm_threshold}"
            )
        if self.nm_decay != 1e-3 and self.noise_management != "average_abs_max":
            raise ValueError(
                f"Periphery: nm_decay is used only by noise_management='average_abs_max'; got {self.nm_decay} with "
                f"{self.noise_management!r}"
            )
        if self.bound_management != "none" and self.adc.bound is None:
            raise ValueError(
                f"Periphery: bound_management must be 'none' where adc.bound=None, since nothing clips; got "
                f"{self.bound_management!r}"
            )

        if self.bound_management == "none" and (self.bm_max_factor, self.bm_max_resolution) != (1000.0, 0.25):
            raise ValueError(
                f"Periphery: bm_max_factor and bm_max_resolution are used only by bound_management='iterative'; got "
                f"{self.bm_max_factor}, {self.bm_max_resolution} with 'none'"
            )

    @classmethod
    def ideal(cls) -> Periphery:
        """Return the periphery of exact reads: no rounding, clipping, noise or management."""
        return cls(
            dac=DAC(bits=None, bound=None),
            adc=ADC(bits=None, bound=None, noise=0.0),
            noise_management="none",
            bound_management="none",
        )

    @property
    def is_ideal(self) -> bool:
        """Whether reads are exact products."""
        return self == Periphery.ideal()

    def without_bound_management(self) -> Periphery:
        """Return the same periphery without bound management, as used for backward reads."""
        if self.bound_management == "none":
            return self
        return self.replace(bound_management="none", bm_max_factor=1000.0, bm_max_resolution=0.25)

    def core_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `ArrayCore.set_direction`."""
        step = self.dac.step
        return {
            "ideal": self.is_ideal,
            "c": {
                "dac": self.dac._levels(),
                "adc": self.adc._levels(),
                "dac_bound": math.inf if self.dac.bound is None else self.dac.bound,
                "adc_bound": math.inf if self.adc.bound is None else self.adc.bound,
                "dac_noise": self.dac.noise,
                "adc_noise": self.adc.noise,
                "dac_stochastic": self.dac.stochastic_rounding,
                "adc_stochastic": self.adc.stochastic_rounding,
            },
            "noise_management": self.noise_management,
            "bound_management": self.bound_management,
            "nm_threshold": self.nm_threshold or 0.0,
            "nm_decay": self.nm_decay,
            "max_reduction": min(self.bm_max_factor, self.bm_max_resolution / step if step else math.inf),
        }


@dataclass(frozen=True, repr=False)
class PulseScheme(Specification):
    r"""How one requested change lr d x^T becomes pulses.

    With g the granularity of the device, k = lr max|x| max|d| / g pulses are wanted for the largest product. Every column
    fires in a slot with probability min(1, B |x_j|), every row with min(1, A |d_i|); a device gets a pulse where both fire.
    So counts are Binomial(BL, p_x p_d), correlated along rows and columns, and E[dw] = -lr d x^T while nothing clips::

        BL = min(ceil(k), desired_bl)          with update_bl_management, else desired_bl
        A = B = sqrt(lr / (g BL))
        B <- B sqrt(max|d| / max|x|), A <- A sqrt(max|x| / max|d|)     with update_management

    where max|d| is first reduced by desired_bl / k if k > desired_bl, so that x does not clip: changes beyond
    desired_bl g per vector are lost.

    Parameters
    ----------
    desired_bl : int, default 31
        (Largest) length of the pulse trains, in slots.
    update_management : bool, default True
        Balance the probabilities of rows and columns.
    update_bl_management : bool, default True
        Shorten the trains of small updates.
    pulse_type : {"stochastic", "mean_count", "deterministic_implicit"}
        Random trains; or n = round(c_x c_d / BL) pulses with c = round(BL p); or n = round(BL p_x p_d) pulses.
    fixed_bl : bool, default True
        False: where g desired_bl < lr, use trains of ceil(lr / g) slots with A = B = 1.
    um_grad_scale : float, default 1
        Factor on max|d| in the managements: below 1 it boosts small gradients and clips large ones.

    Notes
    -----
    Sources: Gokmen and Vlasov (2016), Eq. 2; Gokmen, Onen and Haensch (2017) for update management; AIHWKit's code for the
    rest. Its documentation scales with the ratio of the maxima; its code, like this, with the square root.
    """

    desired_bl: int = parameter(31, integer(1, 65535))
    update_management: bool = parameter(True, boolean)
    update_bl_management: bool = parameter(True, boolean)
    pulse_type: str = parameter("stochastic", choice(*PULSE_TYPES))
    fixed_bl: bool = parameter(True, boolean)
    um_grad_scale: float = parameter(1.0, physical(0.0, open_low=True))

    def _check_consistency(self) -> None:
        if not self.fixed_bl and self.update_bl_management:
            raise ValueError(
                "PulseScheme: fixed_bl must be True where update_bl_management=True, which sets the length; got False"
            )
        if self.um_grad_scale != 1.0 and not (self.update_management or self.update_bl_management):
            raise ValueError(
                f"PulseScheme: um_grad_scale must be 1 without update_management and update_bl_management; got "
                f"{self.um_grad_scale}"
            )

    def core_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `ArrayCore.set_scheme`."""
        return {
            "pulse_type": self.pulse_type,
            "desired_bl": self.desired_bl,
            "update_management": self.update_management,
            "update_bl_management": self.update_bl_management,
            "fixed_bl": self.fixed_bl,
            "um_grad_scale": self.um_grad_scale,
        }
