"""Energy, latency and area of an inference."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu

inf, nn = rpu.inference, rpu.nn
DIGITAL = rpu.algorithms.DigitalSGD()


def test_a_core_of_the_chip_has_its_published_figures():
    net = nn.Sequential(nn.Linear(256, 256, DIGITAL, bias=False))
    net.build(rng=0)
    on_chip = inf.program(net, inf.chips.get("hermes"), rng=0)
    for technology, tops, per_watt in ((inf.HERMES_ONE_PHASE, 63.1, 9.76), (inf.HERMES_FOUR_PHASE, 16.1, 2.48)):
        cost = inf.inference_cost(on_chip, np.ones((3, 256)), technology)
        assert cost.operations == 2 * 256 * 256 and cost.utilisation == 1.0
        assert cost.tops_per_watt == pytest.approx(per_watt, rel=0.005)
        assert 64 * cost.operations / sum(cost.total.time.values()) / 1e12 == pytest.approx(tops, rel=0.005)
        # what was not published is not 0
        assert list(cost.total.energy) == ["devices"] and cost.total.area == {}
        assert "area    not known\n" in str(cost) and "dac 0" not in str(cost)
        assert cost.total.notes[1] == (
            "not known: energy of dac, adc (within that of devices, if anywhere); area of devices, dac, adc"
        )
        assert rpu.from_json(technology.to_json()) == technology


def test_figures_that_are_not_known_are_left_out():
    array = rpu.CrossbarArray((2, 3), rpu.devices.SoftBounds(), rng=0)
    array.forward([1.0, 0.0, 0.5])
    whole, part = rpu.cost(array), rpu.cost(array, rpu.Technology(adc_energy=None, dac_area=None))
    assert whole.notes[1:] == () and part.energy == {k: v for k, v in whole.energy.items() if k != "adc"}
    assert part.area == {k: v for k, v in whole.area.items() if k != "dac"} and part.time == whole.time
    assert part.notes[-1] == "not known: energy of adc (within that of devices, if anywhere); area of dac"


def test_positions_come_one_after_another_and_arrays_of_a_matrix_at_once():
    t = rpu.Technology(read_time=1e-6, adc_time=0.0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, DIGITAL), nn.Flatten(), nn.Linear(144, 10, DIGITAL))
    net.build(rng=0)
    chip = inf.Chip(max_inputs=64, max_outputs=64)
    cost = inf.inference_cost(inf.program(net, chip, rng=0), np.zeros((2, 1, 8, 8)), t)
    assert list(cost.total.time.values()) == pytest.approx([36e-6, 1e-6])
    assert cost.operations == 2 * (36 * 9 * 4 + 144 * 10)
    assert cost.utilisation == pytest.approx((9 * 4 + 144 * 10) / (4 * 64 * 64))
    assert cost.total.energy["adc"] == pytest.approx((36 * 4 + 3 * 10) * t.adc_energy)
    assert cost.total.energy["dac"] == pytest.approx((36 * 9 + 144) * 8 * t.dac_energy)


def test_devices_take_what_their_conductances_do_at_a_voltage():
    net = nn.Sequential(nn.Linear(20, 5, DIGITAL, bias=False))
    net.build(rng=0)
    on_chip = inf.program(net, rng=0)
    t = rpu.Technology(read_voltage=0.2, read_time=1e-7, input_power=0.25)
    cost = inf.inference_cost(on_chip, np.ones((4, 20)), t)
    g = on_chip.arrays[0].conductances(0.0)
    assert cost.total.energy["devices"] == pytest.approx(g.sum() * 0.04 * 0.25 * 1e-7, rel=1e-4)
    assert "V^2 G t at 0.2 V" in str(cost)
    with pytest.raises(ValueError, match="at least one sample"):
        inf.inference_cost(on_chip, np.ones((0, 20)))
    with pytest.raises(TypeError, match="net must be"):
        inf.inference_cost(net, np.ones((1, 20)))
