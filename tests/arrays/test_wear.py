"""What time and use do to devices: drift, endurance, abrupt resets."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import rpusim as rpu
from rpusim import CrossbarArray, checkpoint
from rpusim.devices import AbruptReset, ConstantStep, Drift, Ideal, LinearStep, PowStep, SoftBounds

WIDE = dict(w_max=2.0, w_min=-2.0, w_max_dtod=0.0, w_min_dtod=0.0)


def test_weights_drift_by_the_power_of_the_time_since_they_were_written():
    array = CrossbarArray((3, 4), SoftBounds(**WIDE, drift=Drift(nu=0.06, t_0=2.0)), rng=0)
    w0 = np.random.default_rng(1).uniform(-1, 1, (3, 4)).astype(np.float32)
    array.program(w0)
    for t, step in ((1.0, 1.0), (20.0, 19.0), (1000.0, 980.0)):
        array.drift(step)
        np.testing.assert_allclose(array.weights, w0 * max(t / 2.0, 1.0) ** -0.06, rtol=1e-6)
    rewritten = array.weights
    rewritten[0, 0] = 1.5
    array.program(rewritten)
    for t in (50.0, 90.0):
        array.drift(50.0 if t == 50.0 else 40.0)  # only the one that has changed starts anew, when it was written
        expected = w0 * (500.0 + t / 2.0) ** -0.06
        expected[0, 0] = 1.5 * (t / 2.0) ** -0.06
        np.testing.assert_allclose(array.weights, expected, rtol=1e-6)


def test_one_call_after_a_write_drifts():
    array = CrossbarArray((1, 1), ConstantStep(**WIDE, drift=Drift(nu=0.1)), rng=0)
    array.program([[0.5]])
    array.drift(1000.0)
    assert float(array.weights[0, 0]) == pytest.approx(0.5 * 1000**-0.1, rel=1e-6)
    array.pulse(50)
    pulsed = float(array.weights[0, 0])
    array.drift(0.0)
    assert float(array.weights[0, 0]) == pulsed
    array.drift(300.0)
    assert float(array.weights[0, 0]) == pytest.approx(pulsed * 300**-0.1, rel=1e-6)


def test_states_that_a_law_makes_infinite_are_refused_and_not_clipped():
    array = CrossbarArray((2, 3), SoftBounds(**WIDE, drift=Drift(nu=-200.0)), rng=0)
    array.program(np.full((2, 3), 0.5))
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(ValueError, match="weights must hold finite"):
        array.drift(1e6)
    np.testing.assert_array_equal(array.weights, np.float32(0.5))


def test_offsets_and_the_dependence_of_the_exponent_on_the_conductance():
    law = Drift(nu=0.1, nu_k=0.03, log_g0=0.2, wg_ratio=2.0, g_offset=1.5, w_offset=0.1)
    array = CrossbarArray((1, 5), SoftBounds(**WIDE, drift=law), rng=2)
    w0 = np.linspace(-0.9, 1.0, 5)[None]
    array.program(w0)
    array.drift(300.0)
    nu = 0.1 - 0.03 * (np.log((w0 - 0.1) / 2.0 + 1.5) - 0.2)
    g0, g = ((w - 0.1) / 2.0 + 1.5 for w in (w0, array.weights))  # it is conductances that follow the power law
    np.testing.assert_allclose(g, g0 * 300.0**-nu, atol=1e-6)


def test_the_spreads_of_drift():
    law = Drift(nu=0.1, nu_dtod=0.3, nu_std=0.2)
    array = CrossbarArray((100, 200), SoftBounds(**WIDE, drift=law), rng=3)
    array.program(np.ones(array.shape))
    exponents = []
    for _ in range(2):
        array.drift(100.0)
        exponents.append(-np.log(array.weights.astype(np.float64)))
    nu = exponents[0] / np.log(100.0)
    assert nu.mean() == pytest.approx(0.1, abs=5 * 0.1 * np.hypot(0.3, 0.2) / np.sqrt(20_000))
    # nu (1 + 0.3 a)(1 + 0.2 b): variance 0.09 + 0.04 + 0.0036
    assert nu.std() == pytest.approx(0.1 * np.sqrt(0.1336), rel=0.03)
    assert np.corrcoef(array.parameters["drift_nu"].ravel(), nu.ravel())[0, 1] == pytest.approx(0.3 / np.sqrt(0.1336), abs=0.02)
    noisy = CrossbarArray((100, 200), SoftBounds(**WIDE, drift=Drift(nu=0.0, w_noise_std=0.05)), rng=4)
    noisy.drift(1.0)
    assert noisy.weights.std() == pytest.approx(0.05, rel=0.03)


def test_drift_goes_on_after_loading_and_needs_a_law(tmp_path):
    device = SoftBounds(**WIDE, drift=Drift(nu_dtod=0.2, nu_std=0.1, w_noise_std=0.01))
    array = CrossbarArray((3, 4), device, rng=5)
    array.program(np.full((3, 4), 0.5))
    array.drift(1.0)
    array.drift(7.0)
    checkpoint.save(tmp_path / "a.npz", array.state_dict())
    other = CrossbarArray((3, 4), device, rng=6)
    other.load_state_dict(checkpoint.load(tmp_path / "a.npz"))
    for one in (array, other):
        one.drift(30.0)
    np.testing.assert_array_equal(array.weights, other.weights)
    with pytest.raises(ValueError, match="drift needs a device with a Drift"):
        CrossbarArray((1, 1), SoftBounds(), rng=0).drift(1.0)
    with pytest.raises(ValueError, match="delta_t must be"):
        array.drift(-1.0)
    with pytest.raises(ValueError, match="drift needs a device that takes pulses"):
        CrossbarArray((1, 1), Ideal(), rng=0).drift(1.0)


@pytest.mark.parametrize("device", [SoftBounds(), ConstantStep(), PowStep()], ids=lambda d: type(d).__name__)
def test_the_range_closes_with_the_pulses_a_device_has_got(device, tmp_path):
    array = CrossbarArray((20, 30), device.replace(endurance=500.0), rng=7)
    new = {name: array.parameters[name].astype(np.float64) for name in ("w_max", "w_min")}
    rng = np.random.default_rng(8)
    for part in range(3):
        array.update(rng.normal(size=(40, 30)), rng.normal(size=(40, 20)), 0.005)
        array.end_batch()
        n = sum(array.device_pulse_count)
        middle, half = (new["w_max"] + new["w_min"]) / 2, (new["w_max"] - new["w_min"]) / 2 * np.exp(-n / 500.0)
        np.testing.assert_allclose(array.parameters["w_max"], middle + half, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(array.parameters["w_min"], middle - half, rtol=1e-5, atol=1e-6)
        assert (array.weights <= array.parameters["w_max"]).all() and (array.weights >= array.parameters["w_min"]).all()
        if part == 1:
            checkpoint.save(tmp_path / "a.npz", array.state_dict())
            other = CrossbarArray((20, 30), device.replace(endurance=500.0), rng=9)
            other.load_state_dict(checkpoint.load(tmp_path / "a.npz"))
            array = other
    assert n.min() > 100  # a fall by at least a fifth


def test_a_down_pulse_of_an_abrupt_device_takes_its_fraction_away():
    plain = dict(
        dw_min=0.01, dw_min_std=0.0, w_max=1.0, w_min=-0.2, dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0
    )
    for fraction in (0.0, 0.3, 1.0):
        array = CrossbarArray((1, 3), AbruptReset(**plain, reset_fraction=fraction), rng=10)
        w0 = np.array([[-0.1, 0.4, 0.9]])
        array.program(w0)
        array.pulse(-2)
        np.testing.assert_allclose(array.weights, -0.2 + (w0 + 0.2) * (1 - fraction) ** 2, atol=1e-6)
        array.program(w0)
        array.pulse(30)
        np.testing.assert_allclose(array.weights, 1 - (1 - w0) * 0.99**30, atol=1e-6)
    spread = CrossbarArray((100, 100), AbruptReset(**plain, reset_fraction=0.5, reset_fraction_dtod=0.1), rng=11)
    spread.program(np.full((100, 100), 0.8))
    spread.pulse(-1)
    left = (spread.weights + 0.2) / 1.0
    assert left.mean() == pytest.approx(0.5, abs=0.005) and left.std() == pytest.approx(0.1, rel=0.05)
    with pytest.raises(ValueError, match="up_down must be 0"):
        AbruptReset(up_down=0.1)


def test_specifications_with_drift_go_through_json():
    for device in (LinearStep(drift=Drift(nu=0.05)), AbruptReset(reset_fraction=0.2), SoftBounds(endurance=1e6)):
        assert rpu.from_json(device.to_json()) == device
        assert eval(repr(device), {n: getattr(rpu.devices, n) for n in rpu.devices.__all__}) == device


def test_a_device_of_a_one_sided_cell_wears_by_its_own_pulses_alone():
    """Down pulses are none there: they are its partner's."""
    device = ConstantStep(
        dw_min=0.01,
        dw_min_dtod=0.0,
        dw_min_std=0.0,
        up_down_dtod=0.0,
        endurance=100.0,
        w_max=1.0,
        w_min=0.0,
        w_max_dtod=0.0,
        w_min_dtod=0.0,
    )
    array = rpu.CellArray((1, 1), rpu.devices.OneSidedCell(device), rng=0)
    for _ in range(10):
        array.update([1.0], [-1.0], 0.05)
    array.end_batch()
    minus, plus = array.arrays
    assert copy.deepcopy(minus).device_pulse_count.down.sum() == 0
    assert [int(n.sum()) for n in minus.device_pulse_count] == [0, 0]
    fired = int(plus.device_pulse_count.up.sum())
    assert fired == plus.pulse_count.up == 50 and plus.device_pulse_count.down.sum() == 0
    assert minus.parameters["w_max"] == 1.0 and minus.parameters["w_min"] == 0.0
    assert plus.parameters["w_max"] == pytest.approx(0.5 + 0.5 * np.exp(-0.5), rel=1e-6)
