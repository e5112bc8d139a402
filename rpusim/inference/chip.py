"""What a chip is: devices, how weights are on them, what surrounds them, and how it makes up for their ageing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import boolean, choice, instance, integer, numbers_of, optional, physical, real, shown
from rpusim.inference.converters import Converter, DifferentialPair, Signed
from rpusim.inference.fixed_point import FixedPoint
from rpusim.inference.models import PCM, NoiseModel, PowerLawDrift
from rpusim.periphery.converters import ADC, DAC
from rpusim.periphery.reads import Periphery

__all__ = ["Chip", "Compensation", "Faults"]


@dataclass(frozen=True, repr=False)
class Compensation(Specification):
    r"""Digital factors on the outputs of an array that make up for the mean drift of its devices.

    Known vectors are read after programming and again at the time t, through all of the periphery. With Y_0 and Y their
    outputs, alpha = <Y_0, Y_0'> / <Y_0, Y> ("regression", where Y_0' is a second read, so that noise of outputs adds no bias),
    or alpha = mean\|Y_0\| / mean\|Y\| ("ratio", which noise of outputs makes too small as signals fade).

    Parameters
    ----------
    kind : {"global", "column"}
        One alpha for an array, or one for each of its outputs.
    probe : {"random_signs", "identity"}
        Vectors of +1 and -1, the same always; or every input alone, whose outputs are smaller by sqrt(inputs).
    estimator : {"regression", "ratio"}
    reference : {"programmed", "exact"}
        What Y_0 is: read right after programming, before noise of reads has grown; or computed from the weights that were to
        be written, which makes up for a mean error of programming, too.
    vectors : int, default 64
        How many of "random_signs".
    every_s : float or None
        alpha is measured at multiples of this time only, and stays in between. None: whenever it is needed.

    Notes
    -----
    Global drift compensation: Joshi et al. (2020); AIHWKit's is ``probe="identity", estimator="ratio"``.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.Compensation("column", every_s=3600.0)
    Compensation(kind='column', every_s=3600.0)
    """

    papers: ClassVar[tuple[str, ...]] = ("joshi2020",)

    kind: str = parameter("global", choice("global", "column"))
    probe: str = parameter("random_signs", choice("random_signs", "identity"))
    estimator: str = parameter("regression", choice("regression", "ratio"))
    reference: str = parameter("programmed", choice("programmed", "exact"))
    vectors: int = parameter(64, integer(1, 1 << 20))
    every_s: float | None = parameter(None, optional(physical(0.0, open_low=True)))

    def measured_at(self, t_s: float) -> float:
        """When the alpha of the time t was measured."""
        return t_s if self.every_s is None else t_s // self.every_s * self.every_s


@dataclass(frozen=True, repr=False)
class Faults(Specification):
    """Devices that cannot be programmed, drawn once for an array: at every programming they are the same.

    Parameters
    ----------
    at_min, at_max : float, default 0
        Shares of devices that are at g_min, and always exactly there, and at g_max, which drift and are read with noise as
        others do.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.Faults(at_min=0.01)
    Faults(at_min=0.01)
    """

    at_min: float = parameter(0.0, real(0.0, 1.0))
    at_max: float = parameter(0.0, real(0.0, 1.0))

    def _check_consistency(self) -> None:
        if self.at_min + self.at_max > 1.0:
            raise ValueError(f"Faults: at_min and at_max must be at most 1 together; got {self.at_min} and {self.at_max}")


_size = optional(integer(1, 1 << 20))
#: 8 bits on both sides, ADCs that span ten products of full scale (Rasch et al. 2023)
STANDARD = Periphery(dac=DAC(bits=8), adc=ADC(bits=8, bound=10.0, noise=0.04), bound_management="none")


@dataclass(frozen=True, repr=False)
class Chip(Specification):
    """A chip for inference.

    Every row of an array is normalised, so that its largest weight is 1 (see `Converter`), read through the periphery, and
    multiplied digitally by what that took off; so bounds and noise of ADCs are in units of the largest weight times the
    largest input.

    Parameters
    ----------
    model : NoiseModel
    converter : Converter
    periphery : Periphery
        Of reads. With `wires` every device of a weight is in the resistor network as it is, idle ones included; the
        `conductances` of the periphery are not used.
    compensation : Compensation or None
    faults : Faults or None
    read_noise : {"frozen", "process", "per_read", "none"}
        Noise of devices: drawn once for every time ("frozen"); a process like 1/f with the right correlation between the times
        `read_times_s` ("process"); new and of full size for every vector ("per_read"), which averages out what hardware
        cannot; none.
    read_times_s : tuple of float or None
        For "process", in seconds after programming.
    max_inputs, max_outputs : int or None
        Of an array; larger matrices are split, every part with a scale, converters and a compensation of its own.
    digital_bias : bool, default True
        Whether biases are digital, or one more column of the array.
    post : FixedPoint or None
        Formats of the digital processing behind the ADCs, of chips with static ranges, for networks that are a row of layers;
        the last matrix is processed in floating point. None: all of it in floating point.
    input_range : {"dynamic", "static"}
        "dynamic": as the noise management of the periphery has it. "static": a range for every matrix, from data or training.

    Examples
    --------
    >>> import rpusim as rpu
    >>> chip = rpu.inference.Chip(rpu.inference.PCM(prog_scale=2.0))
    >>> chip
    Chip(model=PCM(prog_scale=2.0))
    >>> rpu.from_dict(chip.to_dict()) == chip
    True
    """

    model: NoiseModel = parameter(PCM, instance(NoiseModel, "a NoiseModel"))
    converter: Converter = parameter(DifferentialPair, instance(Converter, "a Converter"))
    periphery: Periphery = parameter(STANDARD, instance(Periphery, "a Periphery"))
    compensation: Compensation | None = parameter(Compensation, optional(instance(Compensation, "a Compensation")))
    faults: Faults | None = parameter(None, optional(instance(Faults, "Faults")))
    read_noise: str = parameter("frozen", choice("frozen", "process", "per_read", "none"))
    read_times_s: tuple[float, ...] | None = parameter(None, optional(numbers_of(real(0.0, 1e12))))
    max_inputs: int | None = parameter(512, _size)
    max_outputs: int | None = parameter(None, _size)
    digital_bias: bool = parameter(True, boolean)
    input_range: str = parameter("dynamic", choice("dynamic", "static"))
    post: FixedPoint | None = parameter(None, optional(instance(FixedPoint, "a FixedPoint")))

    def _check_consistency(self) -> None:
        if self.model.signed != isinstance(self.converter, Signed):
            raise ValueError(
                f"Chip: converter must be Signed() exactly where the model is of weights with signs; got {self.converter!r} "
                f"for {self.model!r}"
            )
        if (self.read_times_s is not None) != (self.read_noise == "process"):
            raise ValueError(
                f"Chip: read_times_s must be given exactly where read_noise='process', whose times they are; got "
                f"{shown(self.read_times_s)} and {self.read_noise!r}"
            )
        if self.read_noise == "process" and not isinstance(self.model, PowerLawDrift):
            raise ValueError(f"Chip: read_noise must not be 'process' without noise like 1/f; got that for {self.model!r}")
        if self.post is not None and (
            self.input_range != "static" or None in (self.periphery.adc.bits, self.periphery.dac.bits)
        ):
            raise ValueError(
                f"Chip: post needs input_range='static', and DACs and ADCs with bits, whose steps it counts; got "
                f"{self.input_range!r}, {self.periphery.dac!r} and {self.periphery.adc!r}"
            )
        if self.input_range == "static" and self.periphery.noise_management != "none":
            raise ValueError(
                f"Chip: periphery.noise_management must be 'none' where input_range='static'; got "
                f"{self.periphery.noise_management!r}"
            )
