"""What surrounds an array: converters, input scaling, output range, and how updates become pulses."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import boolean, choice, instance, optional, physical, real
from rpusim._core.reads import BOUND_MANAGEMENT, NOISE_MANAGEMENT, READ_NOISE_LAWS, SIGN_HANDLING
from rpusim._core.settings import ReadSettings
from rpusim.periphery.converters import ADC, DAC, is_spread
from rpusim.wires.conductance import ConductanceScale
from rpusim.wires.lines import Wires
from rpusim.wires.product import BentProduct, WiredProduct

__all__ = ["Periphery"]


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
    nonlinearity : float, default 0
        Devices that are not ohmic carry i = G sinh(alpha v) / alpha; this is alpha, in 1 / V, which `rpusim fit --kind iv`
        finds from sweeps. With `wires`, every vector is a network of its own. Noise of devices is that of ohmic ones.
    read_voltage : float or None
        The voltage that an input of 1 is to such devices, in volt.
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

    papers: ClassVar[tuple[str, ...]] = ("gokmen2017", "rasch2021")

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
    read_asymmetry_spread: float = parameter(0.0, is_spread)
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
    nonlinearity: float = parameter(0.0, physical(0.0))
    read_voltage: float | None = parameter(None, optional(physical(0.0, open_low=True)))
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
            (("read_voltage",), self.nonlinearity == 0.0, "nonlinearity"),
        ):
            for name in names:
                if idle and getattr(self, name) != _DEFAULTS[name]:
                    raise ValueError(
                        f"Periphery: {name} must be {_DEFAULTS[name]!r} without {user}, which uses it; got "
                        f"{getattr(self, name)!r}"
                    )

        if self.nonlinearity > 0.0 and self.read_voltage is None:
            raise ValueError(
                f"Periphery: read_voltage must be given for devices with a nonlinearity={self.nonlinearity}; got None"
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
        return self == _ideal()

    @property
    def has_spreads(self) -> bool:
        """Whether something is drawn for every array that it reads."""
        adc = self.adc
        spreads = (adc.noise_spread, adc.gain_spread, adc.offset_spread, adc.nonlinearity)
        return max(*spreads, self.voltage_offset, self.read_asymmetry_spread) > 0.0

    @property
    def has_product(self) -> bool:
        """Whether something takes the place of the matrix product: wires, or devices that are not ohmic."""
        return self.wires is not None or self.nonlinearity > 0.0

    def product(self, shape: tuple[int, int]) -> BentProduct | WiredProduct | None:
        """Return what takes the place of the product of an array (outputs, inputs); None where nothing does."""
        volts = 1.0 if self.read_voltage is None else self.read_voltage
        if self.wires is not None:
            return WiredProduct(self.wires, self.conductances, shape, self.nonlinearity, volts)
        return BentProduct(self.nonlinearity, volts) if self.nonlinearity > 0.0 else None

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

    def _slope(self, drawn: dict[str, NDArray[np.float32]]) -> float:
        """Return the factor by which the calibration of slopes makes up for what is lost on the mean."""
        adc = self.adc
        if adc.slope_calibration == 0.0 or adc.nonlinearity == self.series_resistance == 0.0:
            return 1.0
        lost = float(np.mean(drawn["nonlinearity"], dtype=np.float64)) if "nonlinearity" in drawn else 0.0
        return (1.0 + (lost + self.series_resistance) * adc.slope_calibration * (adc.bound or 1.0)) ** 2

    def settings(self, inputs: int, drawn: dict[str, NDArray[np.float32]]) -> ReadSettings:
        """Return how the core reads an array of so many inputs, with what `draw_parameters` drew."""
        adc, dac = self.adc, self.dac
        finest = self.bm_max_resolution / dac.step if dac.step else math.inf
        analog = self.ir_drop > 0.0 or self.voltage_offset > 0.0 or self.series_resistance > 0.0 or self.read_noise > 0.0
        return ReadSettings(
            ideal=self.is_ideal,
            plain=not analog and self.sign_handling == "one_pass" and dac.slice_bits is None and not self.has_product,
            dac_levels=dac._levels(),
            adc_levels=adc._levels(),
            dac_bound=math.inf if dac.bound is None else dac.bound,
            adc_bound=math.inf if adc.bound is None else adc.bound,
            dac_noise=dac.noise,
            adc_noise=1.0 if "adc_noise" in drawn else adc.noise,
            dac_asymmetry=dac.asymmetry,
            adc_asymmetry=adc.asymmetry,
            dac_stochastic=dac.stochastic_rounding,
            adc_stochastic=adc.stochastic_rounding,
            slice_bits=dac.slice_bits or 0,
            planes=dac.passes,
            one_sided=not self.bm_test_negative_bound,
            slope=self._slope(drawn),
            ir_drop=self.ir_drop,
            ir_factor=inputs / self.ir_drop_g_ratio,
            offset_w_min=self.voltage_offset_w_min,
            series=self.series_resistance,
            series_max=math.inf if self.series_resistance_max is None else self.series_resistance_max,
            noise_management=self.noise_management,
            bound_management=self.bound_management,
            nm_threshold=self.nm_threshold or 0.0,
            nm_decay=self.nm_decay,
            max_reduction=min(self.bm_max_factor, finest),
            sum_factor=self.nm_assumed_wmax / (adc.bound or 1.0),
            sum_limit=finest,
            sign_handling=self.sign_handling,
            read_noise=self.read_noise,
            read_noise_law=self.read_noise_law,
            out_scale=self.out_scale,
        )

    def tables(self, drawn: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Return what differs from ADC to ADC or device to device, as the core takes it: what was drawn, and transitions."""
        if self.adc.inl is None and self.adc.dnl is None:
            return dict(drawn)
        return {**drawn, "transitions": self.adc.transitions.astype(np.float32)}  # type: ignore[union-attr]


@cache
def _ideal() -> Periphery:
    return Periphery.ideal()


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Periphery)}


_DEFAULTS["conductances"] = ConductanceScale()
