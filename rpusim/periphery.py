"""What surrounds an array: converters, input scaling, output range, and how updates become pulses."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._core.array import BOUND_MANAGEMENT, NOISE_MANAGEMENT, PULSE_TYPES, READ_NOISE_LAWS, SIGN_HANDLING
from rpusim._validation import boolean, choice, instance, integer, numbers_of, optional, physical, real
from rpusim.conductance import ConductanceScale
from rpusim.specification import Specification, parameter
from rpusim.wires import Wires, WriteWires

__all__ = ["ADC", "DAC", "Periphery", "PulseScheme"]

_bits = optional(integer(2, 24))
_bound = optional(physical(0.0, open_low=True))
_spread = real(0.0, 10.0)
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
    noise_spread: float = parameter(0.0, _spread)
    gain_spread: float = parameter(0.0, _spread)
    offset_spread: float = parameter(0.0, physical(0.0))
    asymmetry: float = parameter(0.0, real(-1.0, 1.0))
    nonlinearity: float = parameter(0.0, physical(0.0))
    nonlinearity_spread: float = parameter(0.0, _spread)
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


@dataclass(frozen=True, repr=False)
class Periphery(Specification):
    r"""How an array is read in one direction.

    Per vector: divide by the value s of noise management; DAC (round, clip, noise); product with the weights; what the analog
    path does to it (wires, sources, noise of the devices); ADC (non-linearity, noise, round, clip); if bound management finds
    a clipped output, repeat with half the input; multiply by s and by the reduction. Order and laws are AIHWKit's; a vector
    with s <= 0 reads as zeros (unless the DAC adds noise to it).

    Parameters
    ----------
    dac : DAC
    adc : ADC
    noise_management : {"abs_max", "max", "constant", "average_abs_max", "abs_max_np_sum", "none"}
        s = max|x|, max(x), `nm_threshold` (or 1), a running mean a <- (1 - nm_decay) a + nm_decay max|x|, or 1. The running
        mean belongs to this direction of this array. "abs_max_np_sum": the larger of max|x| and t = max(P, N)
        `nm_assumed_wmax` / (bound of the ADC), with P and -N the sums of the positive and of the negative inputs, so that
        sums of one sign do not clip; t is at most max|x| `bm_max_resolution` / (step of the DAC).
    nm_threshold : float or None
        Upper limit of s for "abs_max", "max" and "abs_max_np_sum", and the value for "constant".
    nm_decay : float, default 1e-3
        Weight of the newest vector in "average_abs_max".
    nm_assumed_wmax : float, default 0.6
        Mean weight that "abs_max_np_sum" and "iterative_worst_case" allow for.
    bound_management : {"iterative", "iterative_worst_case", "none"}
        "iterative" repeats the read of a vector with inputs reduced by 2, 4, 8 ... until nothing clips, or the reduction
        exceeds `bm_max_factor`, or `bm_max_resolution` / (step of the DAC). "iterative_worst_case" makes its second try with
        the s of "abs_max_np_sum", and reduces from there.
    bm_max_factor : float, default 1000
    bm_max_resolution : float, default 0.25
    bm_test_negative_bound : bool, default True
        False: only outputs above the bound count as clipped.
    sign_handling : {"one_pass", "analog_sum", "digital_sum"}
        "one_pass": inputs of both signs at once. Else the positive inputs are read first, then the negative ones, and the
        two are added before the ADC, or after it (which converts twice; a clip of either counts).
    read_asymmetry_spread : float, default 0
        Standard deviation of the relative change of each device's weight in the pass of the negative inputs, drawn once.
    read_noise : float, default 0
        Noise of the devices at every read, by `read_noise_law`: each weight carries a normal of standard deviation
        `read_noise` ("additive"), read_noise sqrt|w| ("sqrt": PCM) or read_noise |w| ("proportional"), new for every vector
        and try. Of a cell or pair of several devices each has its own, which counts as its state does (two with gammas of
        1/2: read_noise / sqrt(2) in all). It is drawn once per output, from the normal that the sum over the inputs is. With
        `wires` it is an approximation: noise of devices at the voltages of the drivers, whose currents wires do not divide.
        It is then too large, by 10 % at 64 x 64 and 43 % at 128 x 128 (1 ohm, 10 to 100 kilohm), where signals are too by 7
        and 29 %.
    read_noise_law : {"additive", "sqrt", "proportional"}
    ir_drop : float, default 0
        Strength of the closed-form voltage drop along the line that collects currents (1: as derived), which is
        y -= ir_drop c sum_j w_j v_j (1 - (1 - j / n)^2) with c = a (a (0.05 a - 0.2) + 0.5), a = n sum_j |w_j v_j| /
        ir_drop_g_ratio, n inputs; the first input is nearest to the sense amplifier. `rpusim.wires` is exact.
    ir_drop_g_ratio : float, default 571428.57
        Conductance of a segment of wire over the largest of a device (0.35 ohm and 5 uS).
    voltage_offset : float, default 0
        V = max(voltage_offset xi, 0) of each output, drawn once: y <- (1 - V) y - 2 V r, with r = -voltage_offset_w_min sum v.
    voltage_offset_w_min : float, default -1
        The weight that corresponds to no conductance; 0 for pairs of devices.
    series_resistance : float, default 0
        R of each output: u <- u / (1 + min(R |u|, series_resistance_max)) for u = y + r and for r; the difference is read.
    series_resistance_max : float or None
        Cap of R |u|; None: none.
    wires : Wires or None
        Resistance of the lines: products are the currents of the exact resistor network, at every read in training too. Word
        lines carry the inputs of forward reads, bit lines its outputs; a backward read drives the bit lines at their sensors'
        ends and senses the word lines at their drivers'. Noise of the devices still has the law above, of the voltages at
        the drivers. Pulses do not see the lines.
    conductances : ConductanceScale
        How weights are conductances of that network. Of several devices in a cell, and of a pair with a reference array, it
        is the whole weight that is mapped.
    out_scale : float, default 1
        Factor on all results.

    Notes
    -----
    Spreads of ADCs and of read asymmetry are drawn when an array is built; see `CrossbarArray.read_parameters`. Sources of
    the laws: AIHWKit (Rasch et al. 2021) and its code, version 1.1.0, where `asymmetry`, `nonlinearity` ... are called
    ``out_asymmetry``, ``out_nonlinearity`` ..., `read_noise` is ``w_noise``, `sign_handling` ``mv_type`` and
    `voltage_offset` ``v_offset_std``. Its ``bm_test_negative_bound=False`` also forgets positive clips; this does not.

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
    nm_assumed_wmax: float = parameter(0.6, physical(0.0, open_low=True))
    bound_management: str = parameter("iterative", choice(*BOUND_MANAGEMENT))
    bm_max_factor: float = parameter(1000.0, real(1.0))
    bm_max_resolution: float = parameter(0.25, real(0.0, open_low=True))
    bm_test_negative_bound: bool = parameter(True, boolean)
    sign_handling: str = parameter("one_pass", choice(*SIGN_HANDLING))
    read_asymmetry_spread: float = parameter(0.0, _spread)
    read_noise: float = parameter(0.0, physical(0.0))
    read_noise_law: str = parameter("additive", choice(*READ_NOISE_LAWS))
    ir_drop: float = parameter(0.0, physical(0.0))
    ir_drop_g_ratio: float = parameter(1.0 / 0.35 / 5e-6, physical(0.0, open_low=True))
    voltage_offset: float = parameter(0.0, physical(0.0))
    voltage_offset_w_min: float = parameter(-1.0, physical())
    series_resistance: float = parameter(0.0, physical(0.0))
    series_resistance_max: float | None = parameter(None, optional(physical(0.0, open_low=True)))
    wires: Wires | None = parameter(None, optional(instance(Wires, "a Wires")))
    conductances: ConductanceScale = parameter(ConductanceScale, instance(ConductanceScale, "a ConductanceScale"))
    out_scale: float = parameter(1.0, physical(0.0, open_low=True))

    def _check_consistency(self) -> None:
        scaled = self.noise_management in ("abs_max", "max", "average_abs_max", "abs_max_np_sum")
        if scaled and self.dac.bound not in (None, 1.0):
            raise ValueError(
                f"Periphery: dac.bound must be 1 or None where noise_management={self.noise_management!r} scales inputs to 1; "
                f"got {self.dac.bound}"
            )
        if self.bound_management != "none" and self.adc.bound is None:
            raise ValueError(
                f"Periphery: bound_management must be 'none' where adc.bound=None, since nothing clips; got "
                f"{self.bound_management!r}"
            )
        no_sums = self.noise_management != "abs_max_np_sum" and self.bound_management != "iterative_worst_case"
        no_offsets = self.voltage_offset == 0.0 and self.series_resistance == 0.0
        # fields, whether nothing uses them, and what would
        for names, idle, user in (
            (("nm_threshold",), self.noise_management in ("none", "average_abs_max"), "another noise_management"),
            (("nm_decay",), self.noise_management != "average_abs_max", "noise_management='average_abs_max'"),
            (("nm_assumed_wmax",), no_sums, "'abs_max_np_sum' or 'iterative_worst_case'"),
            (("bm_max_resolution",), self.bound_management == "none" and no_sums, "bound_management"),
            (("bm_max_factor", "bm_test_negative_bound"), self.bound_management == "none", "bound_management"),
            (("read_asymmetry_spread",), self.sign_handling == "one_pass", "another sign_handling"),
            (("read_noise_law",), self.read_noise == 0.0, "read_noise"),
            (("ir_drop_g_ratio",), self.ir_drop == 0.0, "ir_drop"),
            (("voltage_offset_w_min",), no_offsets, "voltage_offset or series_resistance"),
            (("series_resistance_max",), self.series_resistance == 0.0, "series_resistance"),
            (("conductances",), self.wires is None, "wires"),
        ):
            for name in names:
                if idle and getattr(self, name) != _DEFAULTS[name]:
                    raise ValueError(
                        f"Periphery: {name} must be {_DEFAULTS[name]!r} without {user}, which uses it; got "
                        f"{getattr(self, name)!r}"
                    )

        if self.wires is not None and self.ir_drop > 0.0:
            raise ValueError(f"Periphery: ir_drop must be 0 where wires are solved exactly; got {self.ir_drop}")

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

    @property
    def has_spreads(self) -> bool:
        """Whether something is drawn for every array that it reads."""
        adc = self.adc
        spreads = (adc.noise_spread, adc.gain_spread, adc.offset_spread, adc.nonlinearity)
        return max(*spreads, self.voltage_offset, self.read_asymmetry_spread) > 0.0

    def without_bound_management(self) -> Periphery:
        """Return the same periphery without bound management, as used for backward reads."""
        if self.bound_management == "none":
            return self
        changes = {"bound_management": "none", "bm_max_factor": 1000.0, "bm_test_negative_bound": True}
        if self.noise_management != "abs_max_np_sum":
            changes |= {"bm_max_resolution": 0.25, "nm_assumed_wmax": 0.6}
        return self.replace(**changes)

    def draw_parameters(self, shape: tuple[int, int], outputs: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw what differs from ADC to ADC (`outputs` of them) and from device to device (`shape`); see the spreads.

        Returns
        -------
        dict of float32 arrays
            Of "adc_noise", "adc_gain", "adc_offset", "nonlinearity", "voltage_offset" (outputs) and "read_asymmetry" (shape)
            those that there are.
        """
        adc, drawn = self.adc, {}
        xi = rng.standard_normal((5, outputs))
        if adc.noise_spread > 0.0:
            drawn["adc_noise"] = np.abs(adc.noise * (1.0 + adc.noise_spread * xi[0]))
        if adc.gain_spread > 0.0:
            drawn["adc_gain"] = 1.0 + adc.gain_spread * xi[1]
        if adc.offset_spread > 0.0:
            drawn["adc_offset"] = adc.offset_spread * xi[2]
        if adc.nonlinearity > 0.0:
            drawn["nonlinearity"] = np.abs(adc.nonlinearity / (adc.bound or 1.0) * (1.0 + adc.nonlinearity_spread * xi[3]))
        if self.voltage_offset > 0.0:
            drawn["voltage_offset"] = np.maximum(self.voltage_offset * xi[4], 0.0)
        if self.read_asymmetry_spread > 0.0:
            drawn["read_asymmetry"] = self.read_asymmetry_spread * rng.standard_normal(shape)
        return {name: value.astype(np.float32) for name, value in drawn.items()}

    def core_arguments(self, inputs: int, drawn: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
        """Return the keyword arguments of `ArrayCore.set_direction`, with what `draw_parameters` drew."""
        adc, dac = self.adc, self.dac
        tables = dict(drawn)
        if adc.inl is not None or adc.dnl is not None:
            tables["transitions"] = adc.transitions.astype(np.float32)  # type: ignore[union-attr]
        slope = 1.0
        if adc.slope_calibration > 0.0 and (adc.nonlinearity > 0.0 or self.series_resistance > 0.0):
            lost = float(np.mean(drawn["nonlinearity"], dtype=np.float64)) if "nonlinearity" in drawn else 0.0
            slope = (1.0 + (lost + self.series_resistance) * adc.slope_calibration * (adc.bound or 1.0)) ** 2
        finest = self.bm_max_resolution / dac.step if dac.step else math.inf
        analog = self.ir_drop > 0.0 or self.voltage_offset > 0.0 or self.series_resistance > 0.0 or self.read_noise > 0.0
        return {
            "ideal": self.is_ideal,
            "plain": not analog and self.sign_handling == "one_pass" and dac.slice_bits is None and self.wires is None,
            "c": {
                "dac": dac._levels(),
                "adc": adc._levels(),
                "dac_bound": math.inf if dac.bound is None else dac.bound,
                "adc_bound": math.inf if adc.bound is None else adc.bound,
                "dac_noise": dac.noise,
                "adc_noise": 1.0 if "adc_noise" in drawn else adc.noise,
                "dac_asymmetry": dac.asymmetry,
                "adc_asymmetry": adc.asymmetry,
                "dac_stochastic": dac.stochastic_rounding,
                "adc_stochastic": adc.stochastic_rounding,
                "slice_bits": dac.slice_bits or 0,
                "one_sided": not self.bm_test_negative_bound,
                "slope": slope,
                "ir_drop": self.ir_drop,
                "ir_factor": inputs / self.ir_drop_g_ratio,
                "offset_w_min": self.voltage_offset_w_min,
                "series": self.series_resistance,
                "series_max": math.inf if self.series_resistance_max is None else self.series_resistance_max,
            },
            "tables": tables,
            "noise_management": self.noise_management,
            "bound_management": self.bound_management,
            "nm_threshold": self.nm_threshold or 0.0,
            "nm_decay": self.nm_decay,
            "max_reduction": min(self.bm_max_factor, finest),
            "sum_factor": self.nm_assumed_wmax / (adc.bound or 1.0),
            "sum_limit": finest,
            "sign_handling": self.sign_handling,
            "planes": dac.passes,
            "read_noise": self.read_noise,
            "read_noise_law": self.read_noise_law,
            "out_scale": self.out_scale,
        }


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Periphery)}
_DEFAULTS["conductances"] = ConductanceScale()


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

    With power_of_two_scales, S_x and S_d, the smallest powers of two that are at least max|x| and max|d|, take the place of
    the maxima in k = lr S_x S_d / g, which also sets BL, and of the balance of A and B::

        p_x = |x| / S_x,  p_d = min(1, k / BL |d| / S_d)

    so that both vectors are scaled by a shift. The factor k / BL, one per vector, is what the rate leaves over: devices of a
    fixed step cannot take it up as a digital weight does (there, ESSOP multiplies the counts by lr S_x S_d / BL).

    With shared_random_numbers, all columns compare their p with one random number per slot and all rows with another one,
    independent of it. Each device still gets Binomial(BL, p_x p_d) pulses, but the trains of two columns are comonotone: one
    fires wherever the less probable one does, so that both do with min(p_x, p_x') instead of p_x p_x', and likewise for rows.

    Parameters
    ----------
    desired_bl : int, default 31
        (Largest) length of the pulse trains, in slots.
    update_management : bool, default True
        Balance the probabilities of rows and columns.
    update_bl_management : bool, default True
        Shorten the trains of small updates. It needs balanced probabilities, without which short trains would clip, so it
        brings update management with it, as in AIHWKit.
    pulse_type : {"stochastic", "mean_count", "deterministic_implicit"}
        Random trains; or n = round(c_x c_d / BL) pulses with c = round(BL p); or n = round(BL p_x p_d) pulses.
    fixed_bl : bool, default True
        False: where g desired_bl < lr, use trains of ceil(lr / g) slots with A = B = 1.
    um_grad_scale : float, default 1
        Factor on max|d| in the managements: below 1 it boosts small gradients and clips large ones.
    power_of_two_scales : bool, default False
        Let update management scale by powers of two.
    shared_random_numbers : bool, default False
        Draw one random number per slot for all columns and one for all rows, instead of one for each line.
    wires : WriteWires, optional
        Lines with resistance, which leave each device less than the voltage of a pulse; by default they leave all.

    Notes
    -----
    Sources: Gokmen and Vlasov (2016), Eq. 2; Gokmen, Onen and Haensch (2017) for update management; Joshi et al. (2020),
    arXiv 2003.11256 (ESSOP), for scales that are shifts and random numbers that are used again; AIHWKit's code for the
    rest. Its documentation scales with the ratio of the maxima; its code, like this, with the square root.

    Examples
    --------
    >>> import rpusim as rpu
    >>> essop = rpu.PulseScheme(desired_bl=16, power_of_two_scales=True, shared_random_numbers=True)
    >>> array = rpu.CrossbarArray((1, 3), rpu.devices.SoftBounds(dw_min=0.01), pulses=essop, rng=0, count_pulses=True)
    >>> array.update([0.7, 0.7, -0.7], [1.0], lr=0.15)
    >>> up, down = array.device_pulse_count
    >>> bool(down[0, 0] == down[0, 1] == up[0, 2] > 0)  # equal columns fire together
    True
    """

    desired_bl: int = parameter(31, integer(1, 65535))
    update_management: bool = parameter(True, boolean)
    update_bl_management: bool = parameter(True, boolean)
    pulse_type: str = parameter("stochastic", choice(*PULSE_TYPES))
    fixed_bl: bool = parameter(True, boolean)
    um_grad_scale: float = parameter(1.0, physical(0.0, open_low=True))
    power_of_two_scales: bool = parameter(False, boolean)
    shared_random_numbers: bool = parameter(False, boolean)
    wires: WriteWires | None = parameter(None, optional(instance(WriteWires, "a WriteWires")))

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
        managed = self.update_management or self.update_bl_management
        if self.power_of_two_scales and not (managed and self.fixed_bl):
            raise ValueError(
                f"PulseScheme: power_of_two_scales must be False without update_management, which it is a way of, and where "
                f"fixed_bl=False; got True with update_management={self.update_management}, fixed_bl={self.fixed_bl}"
            )
        if self.shared_random_numbers and self.pulse_type != "stochastic":
            raise ValueError(
                f"PulseScheme: shared_random_numbers must be False where pulse_type={self.pulse_type!r}, which draws none; "
                f"got True"
            )

    def core_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `ArrayCore.set_scheme`."""
        return {
            "pulse_type": self.pulse_type,
            "desired_bl": self.desired_bl,
            "update_management": self.update_management or self.update_bl_management,
            "update_bl_management": self.update_bl_management,
            "fixed_bl": self.fixed_bl,
            "um_grad_scale": self.um_grad_scale,
            "power_of_two_scales": self.power_of_two_scales,
            "shared_random_numbers": self.shared_random_numbers,
        }
