"""What the work of an array costs: its counts of events times a plain table of figures per event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import instance, integer, optional, physical, real
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.wires.conductance import ConductanceScale

__all__ = ["EventCost", "Technology", "cost"]

_figure = physical(0.0)
_known = optional(_figure)


@dataclass(frozen=True, repr=False)
class Technology(Specification):
    """Energy, time and area per event or part, in joule, second and square metre.

    The defaults for reads are those of ISAAC at 32 nm (Shafiee et al., ISCA 2016, Table I), divided by the numbers of parts
    there: 8 ADCs of 8 bits and 1.2 GS/s take 16 mW and 9600 um^2; 8 x 128 DACs of 1 bit take 4 mW and 170 um^2 (one such figure
    is counted per bit); 8 arrays of 128 x 128 devices take 2.4 mW and 200 um^2; a pass through an array takes 100 ns. Those of
    ADCs and DACs have been checked against their transcription in Accelergy's hwcomponents-library (isaac.py), which charges
    a DAC 128/100 of that, as it idles while ADCs finish; those of arrays and the 100 ns have not been checked against it. Those
    for pulses are derived, not published: the device of Gokmen and Vlasov (2016), 1 V for 1 ns over 7 megaohm, half of the
    voltage on the line of every other device not counted. They hold for no other technology: replace them.

    Areas that are not known are None, and so is the energy of converters where it is part of `device_energy` or not known:
    costs leave that part out, and say so.

    Parameters
    ----------
    dac_energy : float or None, default 3.9e-13
        Per conversion and bit.
    adc_energy : float or None, default 1.7e-12
        Per conversion.
    device_energy : float, default 1.8e-15
        Per device and pass of a read, where no conductances are known.
    read_voltage : float or None, default None
        Volt on a line whose input is at the bound of the DAC. With it and conductances, devices take V^2 G t of `read_time`.
    input_power : float, default 1/3
        Mean of (V / read_voltage)^2 over inputs: 1/3 for uniform ones, 1 for lines that are all at the bound.
    pulse_energy : float, default 1.4e-16
        Per device and pulse.
    read_time : float, default 1e-7
        Per pass of a vector through the array.
    adc_time : float, default 8.3e-10
        Per conversion.
    slot_time : float, default 1e-9
        Per slot of a pulse train.
    device_area, dac_area, adc_area : float or None, default 1.5e-15, 1.7e-13, 1.2e-9
        Per device; per line and bit; per ADC.
    outputs_per_adc : int, default 128
        Outputs that share one ADC, which converts them one after another.

    Examples
    --------
    >>> import rpusim as rpu
    >>> ours = rpu.Technology(read_voltage=0.2, adc_energy=0.5e-12)  # all others are those of ISAAC
    >>> ours.adc_energy, ours.outputs_per_adc
    (5e-13, 128)
    """

    dac_energy: float | None = parameter(3.9e-13, _known)
    adc_energy: float | None = parameter(1.7e-12, _known)
    device_energy: float = parameter(1.8e-15, _figure)
    read_voltage: float | None = parameter(None, optional(physical(0.0, open_low=True)))
    input_power: float = parameter(1 / 3, real(0.0, 1.0))
    pulse_energy: float = parameter(1.4e-16, _figure)
    read_time: float = parameter(1e-7, _figure)
    adc_time: float = parameter(8.3e-10, _figure)
    slot_time: float = parameter(1e-9, _figure)
    device_area: float | None = parameter(1.5e-15, _known)
    dac_area: float | None = parameter(1.7e-13, _known)
    adc_area: float | None = parameter(1.2e-9, _known)
    outputs_per_adc: int = parameter(128, integer(1, 2**31 - 1))


class EventCost(NamedTuple):
    """energy: joule, by part; time: second, by operation, one after another; area: square metre, by part; notes: what was
    assumed.

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.CrossbarArray((4, 8), rpu.devices.SoftBounds(), forward=rpu.Periphery(), rng=0)
    >>> _ = array.forward([1.0] * 8)
    >>> spent = rpu.cost(array)
    >>> sorted(spent.energy), round(sum(spent.time.values()) * 1e9)
    (['adc', 'dac', 'devices', 'pulses'], 103)
    """

    energy: dict[str, float]
    time: dict[str, float]
    area: dict[str, float]
    notes: tuple[str, ...] = ()

    def of_known(self, technology: Technology) -> EventCost:
        """Return the cost without the parts that the technology has no figure of, and with a note of them."""
        energy, area = dict(self.energy), dict(self.area)
        missing = []
        for name, table in (("energy", energy), ("area", area)):
            parts = [part for part in table if getattr(technology, f"{part.removesuffix('s')}_{name}", 0.0) is None]
            for part in parts:
                del table[part]
            if parts:
                within = " (within that of devices, if anywhere)" if name == "energy" else ""
                missing.append(f"{name} of {', '.join(parts)}{within}")
        if not missing:
            return self
        note = f"not known: {'; '.join(missing)}"
        return EventCost(energy, self.time, area, (*self.notes, note))

    def __str__(self) -> str:
        lines = []
        for name, unit, table in (("energy", "J", self.energy), ("time", "s", self.time), ("area", "m2", self.area)):
            parts = ", ".join(f"{part} {value:.3g}" for part, value in table.items())
            lines.append(f"{name:6} {sum(table.values()):10.3g} {unit:2} ({parts})" if table else f"{name:6}  not known")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def cost(array: CrossbarArray, technology: Technology | None = None, conductances: ConductanceScale | None = None) -> EventCost:
    """Return what all that `array` has done since it was built cost, and the area it takes.

    Energy is events times figure; time is passes times `read_time`, the conversions of an ADC one after another, and
    updates times `slot_time` times `desired_bl` (the longest train). Reads of an ideal periphery convert nothing and count
    only their passes. Devices take input_power read_voltage^2 read_time times the sum of their present conductances per pass
    where these and a read voltage are known, else a flat figure, which is said in `notes`.

    Parameters
    ----------
    array : CrossbarArray
    technology : Technology, optional
        By default `Technology()`; see there for what its figures are worth.
    conductances : ConductanceScale, optional
        How weights are conductances; by default that of the forward periphery where it has wires.

    Returns
    -------
    EventCost

    Examples
    --------
    >>> import rpusim as rpu
    >>> array = rpu.CrossbarArray((128, 128), rpu.devices.SoftBounds(), rng=0)
    >>> y = array.forward([[0.5] * 128] * 10)
    >>> rpu.cost(array).energy["adc"]  # 10 vectors, 128 conversions each, none read twice
    2.176e-09
    """
    instance(CrossbarArray, "a CrossbarArray")("array", array)
    t = Technology() if technology is None else instance(Technology, "a Technology or None")("technology", technology)
    rows, columns = array.shape
    devices = rows * columns
    per_pass, notes = _devices_per_pass(array, t, conductances)
    energy = {"dac": 0.0, "adc": 0.0, "devices": 0.0, "pulses": sum(array.pulse_count) * t.pulse_energy}
    time = {}
    area = {"devices": devices * (t.device_area or 0.0), "dac": 0.0, "adc": 0.0}
    directions = (
        ("forward", array.forward_count, array.forward_periphery, columns, rows),
        ("backward", array.backward_count, array.backward_periphery, rows, columns),
    )
    for name, count, periphery, inputs, outputs in directions:
        bits = periphery.dac.bits or 1
        converters = -(-outputs // t.outputs_per_adc)
        energy["dac"] += count.dac_conversions * bits * (t.dac_energy or 0.0)
        energy["adc"] += count.adc_conversions * (t.adc_energy or 0.0)
        energy["devices"] += count.products * per_pass
        time[name] = count.products * t.read_time + count.adc_conversions / converters * t.adc_time
        area["dac"] += inputs * bits * (t.dac_area or 0.0)
        area["adc"] += converters * (t.adc_area or 0.0)
    time["update"] = array.update_count * array.pulses.desired_bl * t.slot_time
    return EventCost(energy, time, area, notes).of_known(t)


def _devices_per_pass(
    array: CrossbarArray, t: Technology, conductances: ConductanceScale | None
) -> tuple[float, tuple[str, ...]]:
    """Energy that all devices take in one pass of a read, and what was assumed for it."""
    scale = instance((ConductanceScale, type(None)), "a ConductanceScale or None")("conductances", conductances)
    if scale is None and array.forward_periphery.wires is not None:
        scale = array.forward_periphery.conductances
    if scale is None or t.read_voltage is None:
        missing = "read_voltage of the technology" if scale is not None else "conductances"
        note = f"devices take a flat {t.device_energy:g} J each per pass, whatever they hold, without {missing}"
        return array.shape[0] * array.shape[1] * t.device_energy, (note,)
    total = float(sum(g.sum() for g in scale.conductances(array.weights)))
    note = f"devices take V^2 G t at {t.read_voltage:g} V, with a mean square of inputs of {t.input_power:.3g} of that"
    return total * t.read_voltage**2 * t.input_power * t.read_time, (note,)
