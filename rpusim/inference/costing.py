"""Energy, latency and area of an inference."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rpusim._base.validation import instance
from rpusim.arrays.technology import EventCost, Technology
from rpusim.inference.networks import ChipNetwork
from rpusim.inference.on_chip import ChipTile

__all__ = ["HERMES_FOUR_PHASE", "HERMES_ONE_PHASE", "InferenceCost", "inference_cost"]

_CELLS = 256 * 256
#: of a core of 256 x 256 with everything around it, per cell: 64 cores do 63.1 TOPS at 9.76 TOPS/W (Le Gallo et al. 2023); what
#: converters take of that, and areas, are not known
HERMES_ONE_PHASE = Technology(
    dac_energy=None, adc_energy=None, device_energy=13.43e-9 / _CELLS, read_time=133e-9, adc_time=0.0, outputs_per_adc=1,
    device_area=None, dac_area=None, adc_area=None,
)  # fmt: skip
#: with four phases (signs of inputs and weights apart): 16.1 TOPS at 2.48 TOPS/W
HERMES_FOUR_PHASE = HERMES_ONE_PHASE.replace(device_energy=52.9e-9 / _CELLS, read_time=521e-9)


class InferenceCost(NamedTuple):
    """Of one sample.

    Attributes
    ----------
    total : EventCost
        Energy by part, latency by matrix, area by part.
    operations : int
        Multiplications and additions in arrays, two for each cell that is used.
    utilisation : float
        Cells that are used, over those of the arrays of the chip's size; 1 where arrays have no largest size.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(256, 256, rpu.algorithms.DigitalSGD(), bias=False))
    >>> net.build(rng=0)
    >>> on_chip = rpu.inference.program(net, rpu.inference.chips.get("hermes"), rng=0)
    >>> cost = rpu.inference.inference_cost(on_chip, np.ones((1, 256)), rpu.inference.HERMES_FOUR_PHASE)
    >>> cost.operations, cost.utilisation
    (131072, 1.0)
    """

    total: EventCost
    operations: int
    utilisation: float

    @property
    def tops_per_watt(self) -> float:
        """Operations per joule, in 10^12."""
        energy = sum(self.total.energy.values())
        return self.operations / energy / 1e12 if energy > 0.0 else float("nan")

    def __str__(self) -> str:
        share = f"{self.utilisation:.0%} of cells used"
        return f"of one sample:\n{self.total}\n{self.operations:,} operations, {self.tops_per_watt:.3g} TOPS/W, {share}"


def inference_cost(net: ChipNetwork, x: ArrayLike, technology: Technology | None = None) -> InferenceCost:
    """Return what a sample costs that is read by a network on chips.

    Some samples are read, and what arrays did is counted (bound management and bit-serial inputs included). Energy is as in
    `rpusim.cost`, per device: with a read voltage V^2 G t of all devices, idle ones included, else a flat figure. Arrays of one
    matrix work at the same time, vectors of one sample (positions of an image, steps of a sequence) and matrices one after
    another; what is digital costs nothing here.

    Parameters
    ----------
    net : ChipNetwork
    x : array_like
        Samples.
    technology : Technology, optional
        By default `Technology()`; `HERMES_ONE_PHASE` and `HERMES_FOUR_PHASE` are those of a whole core, whose converters and
        areas are not known by themselves: these parts are left out, and notes say so.

    Returns
    -------
    InferenceCost

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(256, 256, rpu.algorithms.DigitalSGD(), bias=False))
    >>> net.build(rng=0)
    >>> on_chip = rpu.inference.program(net, rpu.inference.chips.get("hermes"), rng=0)
    >>> cost = rpu.inference.inference_cost(on_chip, np.ones((1, 256)), rpu.inference.HERMES_ONE_PHASE)
    >>> cost.operations, round(cost.tops_per_watt, 2), round(64 * cost.operations / sum(cost.total.time.values()) / 1e12, 1)
    (131072, 9.76, 63.1)
    """
    instance(ChipNetwork, "a ChipNetwork")("net", net)
    t = Technology() if technology is None else instance(Technology, "a Technology or None")("technology", technology)
    samples = net.net.inputs("x", x)
    if len(samples) == 0:
        raise ValueError("x must hold at least one sample; got none")
    net.predict(samples)
    energy = {"dac": 0.0, "adc": 0.0, "devices": 0.0}
    area = {"devices": 0.0, "dac": 0.0, "adc": 0.0}
    time: dict[str, float] = {}
    operations = used = places = 0.0
    for k, matrix in enumerate(net.net.matrices()):
        slowest = 0.0
        for tile in (one for one in matrix.tiles if isinstance(one, ChipTile)):
            chip, count = tile.array.chip, tile.array.read_count
            outputs, inputs = tile.shape
            cells, planes = outputs * inputs, len(chip.converter.factors)
            bits = chip.periphery.dac.bits or 1
            converters = math.ceil(outputs / t.outputs_per_adc)
            per_pass = _devices(tile, t)
            energy["dac"] += count.dac_conversions * bits * (t.dac_energy or 0.0)
            energy["adc"] += count.adc_conversions * (t.adc_energy or 0.0)
            energy["devices"] += count.products * per_pass
            conversions = count.adc_conversions / converters  # one after another
            slowest = max(slowest, count.products * t.read_time + conversions * t.adc_time)
            area["devices"] += planes * cells * (t.device_area or 0.0)
            area["dac"] += inputs * bits * (t.dac_area or 0.0)
            area["adc"] += converters * (t.adc_area or 0.0)
            operations += 2 * cells * count.vectors
            used += cells
            places += (chip.max_inputs or inputs) * (chip.max_outputs or outputs)
        if slowest > 0.0:
            time[f"matrix {k}"] = slowest / len(samples)
    if t.read_voltage is None:
        note = f"cells take a flat {t.device_energy:.4g} J each per pass, whatever they hold, without a read voltage"
    else:
        note = f"devices take V^2 G t at {t.read_voltage:g} V, with a mean square of inputs of {t.input_power:.3g} of that"
    energy = {part: value / len(samples) for part, value in energy.items()}
    total = EventCost(energy, time, area, (note,)).of_known(t)
    return InferenceCost(total, round(operations / len(samples)), used / places if places else 1.0)


def _devices(tile: ChipTile, t: Technology) -> float:
    """Energy of all devices of an array in one pass."""
    if t.read_voltage is None:
        return tile.shape[0] * tile.shape[1] * t.device_energy
    g = np.abs(tile.array.conductances(tile.time_s))
    return float(g.sum(dtype=np.float64)) * t.read_voltage**2 * t.input_power * t.read_time
