"""Arrays in volts and amperes, in slices, calibrated, and what their work costs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rpusim as rpu
from rpusim import ADC, DAC, ConductanceScale, CrossbarArray, Periphery, SlicedArray, Technology
from rpusim.devices import ConstantStep, Ideal, SoftBounds


@pytest.fixture(autouse=True)
def rng():
    global RNG
    RNG = np.random.default_rng(1)


def array_of(w, forward=None, rng=0):
    array = CrossbarArray(np.shape(w), Ideal(), forward=forward, rng=rng)
    array.program(w)
    return array


# ---- conductances --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapping", ["differential", "offset", "single"])
def test_conductances_carry_the_weights_as_currents(mapping):
    """I = k w v, summed over devices one by one; the ends of the range are g_min and g_max."""
    scale = ConductanceScale(g_min=1e-6, g_max=21e-6, w_max=2.0, mapping=mapping)
    w = RNG.uniform(0.0 if mapping == "single" else -2.0, 2.0, (5, 7))
    array = array_of(w)
    w = array.weights.astype(float)
    v = RNG.uniform(-0.2, 0.2, (4, 7)).astype(np.float32).astype(float)
    k = {"differential": 20e-6 / 2, "offset": 20e-6 / 4, "single": 20e-6 / 2}[mapping]
    expected = k * np.array([[sum(w[i, j] * x[j] for j in range(7)) for i in range(5)] for x in v])
    if mapping == "single":
        expected += 1e-6 * v.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(array.read_currents(v, scale), expected, rtol=1e-12, atol=1e-20)
    d = np.float32(RNG.uniform(-0.2, 0.2, 5))
    back = array.read_currents(d, scale, transposed=True)
    extra = 1e-6 * d.sum(dtype=float) if mapping == "single" else 0.0
    np.testing.assert_allclose(back, k * (d @ w) + extra, rtol=1e-12, atol=1e-20)
    g = array.read_conductance(scale)
    np.testing.assert_allclose(scale.weights(*g), w, atol=1e-12)
    top, bottom = scale.conductances(2.0), scale.conductances(0.0 if mapping == "single" else -2.0)
    assert top[0] == pytest.approx(21e-6) and bottom[0] == pytest.approx(1e-6)
    assert rpu.from_dict(scale.to_dict()) == scale


def test_conductances_that_cannot_be_are_refused():
    for mapping, lowest in (("single", "-1"), ("offset", "-1.1")):
        scale = ConductanceScale(g_min=0.0, mapping=mapping)
        with pytest.raises(ValueError, match=f"weights.*{mapping}.*negative.*{lowest}"):
            scale.conductances([0.5, float(lowest)])
    with pytest.raises(ValueError, match="g_min.*g_max=1e-06.*2e-06"):
        ConductanceScale(g_min=2e-6, g_max=1e-6)
    with pytest.raises(TypeError, match="conductances must be 2.*differential.*1"):
        ConductanceScale().weights([1e-6])
    with pytest.raises(TypeError, match="scale.*ConductanceScale.*3"):
        array_of(np.eye(2)).read_conductance(3)
    with pytest.raises(ValueError, match=r"voltages.*\(any, 2\).*\(1, 3\)"):
        array_of(np.eye(2)).read_currents([[1.0, 2.0, 3.0]])


# ---- slices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slice_bits, slices", [(1, 6), (2, 4), (4, 2), (8, 1)])
def test_slices_add_up_to_the_rounded_weight(slice_bits, slices):
    w = RNG.uniform(-1.2, 1.2, (6, 9))
    array = SlicedArray((6, 9), Ideal(), slice_bits=slice_bits, slices=slices, forward=Periphery.ideal())
    array.program(w)
    levels = 2 ** (slice_bits * slices) - 1
    rounded = np.rint(np.clip(np.float32(w), -1, 1).astype(float) * levels) / levels
    np.testing.assert_allclose(array.weights, rounded, atol=1e-6)
    for part in array.arrays:  # digits, over the whole range of a device
        digits = part.weights * (2**slice_bits - 1)
        np.testing.assert_allclose(digits, np.rint(digits), atol=1e-4)
    assert max(np.abs(part.weights).max() for part in array.arrays) == 1.0
    x, d = RNG.normal(size=(3, 9)), RNG.normal(size=6)
    np.testing.assert_allclose(array.forward(x), x @ rounded.T, atol=1e-5)
    np.testing.assert_allclose(array.backward(d), d @ rounded, atol=1e-5)


def test_every_slice_has_its_own_converters_devices_and_state():
    p = Periphery(
        dac=DAC(bits=None, bound=None),
        adc=ADC(bits=None, bound=None, noise=0.1),
        noise_management="none",
        bound_management="none",
    )
    device = SoftBounds(w_max_dtod=0.0, w_min_dtod=0.0)
    array = SlicedArray((200, 3), device, forward=p, rng=3)
    noise = array.forward(np.zeros((200, 3)))
    expected = 0.1 * np.linalg.norm(array.factors)
    assert np.std(noise) == pytest.approx(expected, rel=5 / np.sqrt(2 * noise.size))
    array.program(np.full((200, 3), 0.3))
    other = SlicedArray((200, 3), device, forward=p, rng=4)
    other.load_state_dict(array.state_dict())
    np.testing.assert_array_equal(other.forward(np.ones(3)), array.forward(np.ones(3)))
    out = np.empty(200, np.float32)
    assert array.forward(np.ones(3), out=out) is out
    for build, words in (
        (lambda: SlicedArray((2, 3), Ideal(), slice_bits=4, slices=7), ["slices", "6", "7"]),
        (lambda: SlicedArray((2, 3), Ideal(), w_max=-1.0), ["w_max", "-1"]),
        (lambda: SlicedArray((2, 3), device, w_max=2.0), ["w_max", "2"]),
        (lambda: array.forward(np.ones(3), out=np.empty(3, np.float32)), ["out", "(200,)"]),
        (lambda: array.forward(np.ones(3), out=np.broadcast_to(np.float32(0), 200)), ["out", "writeable"]),
    ):
        read = array.arrays[0].forward_count
        with pytest.raises(ValueError) as caught:
            build()
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert array.arrays[0].forward_count == read  # nothing was
    with pytest.raises(TypeError, match="w_max must be a finite real number in .*; got 'a'"):
        SlicedArray((2, 3), Ideal(), w_max="a")


# ---- calibration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["max", "quantile", "std"])
def test_calibration_finds_the_ranges_by_its_rule(rule):
    w, x = RNG.normal(0, 0.2, (8, 20)), RNG.normal(0, 3.0, (500, 20))
    array = array_of(w, Periphery(adc=ADC(noise=0.0)))
    periphery = array.calibrate(x, inputs=rule, outputs=rule, quantile=0.99, n_std=2.5)

    def limit(values):
        size = np.sort(np.abs(values).ravel())
        if rule == "max":
            return size[-1]
        return np.quantile(size, 0.99) if rule == "quantile" else 2.5 * np.sqrt(np.mean(size**2))

    r = limit(np.float32(x))
    bound = limit(np.rint(np.clip(np.float32(x) / r, -1, 1) * 63) / 63 @ array.weights.T)
    assert periphery.noise_management == "constant"
    assert (periphery.nm_threshold, periphery.adc.bound) == (pytest.approx(r, rel=1e-6), pytest.approx(bound, rel=1e-5))
    assert array.forward_periphery == periphery and array.backward_periphery.noise_management == "abs_max"
    y = array.forward(x)
    count = array.forward_count
    if rule == "max":  # nothing clips, and the last level is used
        assert count.inputs_clipped == 0 and count.retries == 0
        assert np.abs(y).max() == pytest.approx(r * bound, rel=0.02)
    else:
        assert count.inputs_clipped > 0
    error = np.abs(y - np.clip(x, -r, r) @ w.T)
    assert error.mean() < r * (periphery.adc.step / 2 + periphery.dac.step * np.abs(w).sum(axis=1).max() / 2)


def test_calibration_refuses_what_has_no_range():
    array = array_of(np.eye(3))
    for call, words in (
        (lambda: array.calibrate(np.zeros((5, 3))), ["inputs", "0"]),
        (lambda: array.calibrate(np.zeros((0, 3))), ["x", "(0, 3)"]),
        (lambda: array.calibrate(np.ones((2, 3)), inputs="mean"), ["inputs", "quantile", "mean"]),
        (lambda: array.calibrate(np.ones((2, 3)), inputs=None), ["inputs", "abs_max"]),
        (lambda: array.calibrate(np.ones((2, 3)), quantile=2.0), ["quantile", "2"]),
        (lambda: array_of(np.zeros((3, 3))).calibrate(np.ones((2, 3))), ["outputs", "0"]),
    ):
        before = array.forward_periphery
        with pytest.raises(ValueError) as caught:
            call()
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert array.forward_periphery == before


# ---- cost ----------------------------------------------------------------------------------------------------------


def test_cost_is_counts_times_figures():
    t = Technology(
        dac_energy=1.0,
        adc_energy=10.0,
        device_energy=0.01,
        pulse_energy=100.0,
        read_time=1.0,
        adc_time=0.1,
        slot_time=0.001,
        device_area=1.0,
        dac_area=0.5,
        adc_area=3.0,
        outputs_per_adc=4,
    )
    array = CrossbarArray((6, 10), ConstantStep(), rng=0)
    array.forward(np.zeros((3, 10)) + 0.1)
    array.backward(np.ones((2, 6)))
    array.update(np.ones((5, 10)), np.ones((5, 6)), lr=0.01)
    spent = rpu.cost(array, t)
    pulses = sum(array.pulse_count)
    assert pulses > 0
    assert spent.energy == {"dac": 7.0 * (30 + 12), "adc": 10.0 * (18 + 20), "devices": 0.01 * 60 * 5, "pulses": 100.0 * pulses}
    assert spent.time == pytest.approx({"forward": 3 + 18 / 2 * 0.1, "backward": 2 + 20 / 3 * 0.1, "update": 5 * 31 * 0.001})
    assert spent.area == {"devices": 60.0, "dac": 0.5 * 7 * 16, "adc": 3.0 * (2 + 3)}
    assert "energy" in str(spent) and "m2" in str(spent)
    assert rpu.from_dict(json.loads(Technology().to_json())) == Technology()
    with pytest.raises(TypeError, match="array.*CrossbarArray.*3"):
        rpu.cost(3)
    with pytest.raises(TypeError, match="technology.*Technology.*'cmos'"):
        rpu.cost(array, "cmos")


def test_devices_take_what_flows_through_them_where_conductances_and_a_voltage_are_known():
    """A pass of 10 ns at 0.5 V on all lines: V^2 G t, of both devices of a weight; else a flat figure, and it is said."""
    scale = ConductanceScale(g_min=1e-6, g_max=2e-5)
    array = CrossbarArray((3, 4), rpu.devices.Ideal(), forward=Periphery.ideal(), rng=0)
    array.program(np.random.default_rng(0).uniform(-1, 1, (3, 4)))
    for _ in range(5):
        array.forward(np.ones(4))
    t = Technology(read_voltage=0.5, input_power=1.0, read_time=1e-8)
    spent = rpu.cost(array, t, scale)
    total = sum(0.5 * current.sum() for current in [array.read_conductance(scale)[k] * 0.5 for k in range(2)])
    assert spent.energy["devices"] == pytest.approx(5 * 1e-8 * total, rel=1e-6)
    assert "V^2 G t at 0.5 V" in spent.notes[0] and "note: devices" in str(spent)
    half = rpu.cost(array, t.replace(input_power=0.25), scale)
    assert half.energy["devices"] == pytest.approx(spent.energy["devices"] / 4)
    flat = rpu.cost(array, t)
    assert flat.energy["devices"] == pytest.approx(5 * 12 * 1.8e-15) and "without conductances" in flat.notes[0]
    assert "without read_voltage" in rpu.cost(array, Technology(), scale).notes[0]
    with pytest.raises(TypeError, match="conductances must be a ConductanceScale or None"):
        rpu.cost(array, t, 3)
