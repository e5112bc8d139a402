"""Half-selected pulses: lines that fire without their partners disturb the devices along them."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu
from rpusim import CrossbarArray, PulseScheme, checkpoint
from rpusim.devices import ConstantStep, LinearStep, PowStepReference, SoftBounds
from tests.oracle import pulses as oracle

NO_SPREAD = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
SURE = PulseScheme(desired_bl=7, update_management=False, update_bl_management=False)
TYPES = [{}, {"shared_random_numbers": True}, {"pulse_type": "mean_count"}, {"pulse_type": "deterministic_implicit"}]


@pytest.mark.parametrize("lr", [10.0, -10.0])
@pytest.mark.parametrize(
    "device",
    [
        ConstantStep(dw_min=0.001, dw_min_std=0.0, up_down=0.3, half_select=0.02, **NO_SPREAD),
        LinearStep(dw_min=0.001, dw_min_std=0.0, half_select=0.02, **NO_SPREAD),
        SoftBounds(dw_min=0.001, dw_min_std=0.0, up_down=-0.2, half_select=0.02, **NO_SPREAD),
        PowStepReference(dw_min=0.004, dw_min_std=0.0, half_select=0.02, **NO_SPREAD),
    ],
    ids=lambda d: type(d).__name__ if isinstance(d, rpu.devices.PulsedDevice) else str(d),
)
def test_lines_that_fire_for_sure_disturb_as_phase_by_phase(device, lr):
    # inputs are 0, or so large that their line fires in every slot
    x = np.array([[5.0, -5.0, 0.0, 5.0], [0.0, -5.0, -5.0, 5.0]])
    d = np.array([[5.0, 0.0, -5.0], [-5.0, -5.0, 5.0]])
    array = CrossbarArray((3, 4), device, pulses=SURE, rng=0)
    w = np.random.default_rng(1).uniform(-0.3, 0.3, (3, 4)).astype(np.float32)
    array.program(w)
    array.update(x, d, lr)
    n = np.zeros((4, 3, 4), dtype=np.int64)
    for xv, dv in zip(x, d, strict=True):
        n += 7 * np.array(oracle.half_selected(xv != 0, dv != 0, xv, dv, lr))
    np.testing.assert_array_equal(np.array(array.device_pulse_count), n[:2])
    w = array.weights.astype(np.float64)
    p = {name: value.astype(np.float64) for name, value in array.parameters.items()}
    up, down = device.steps_of(p, w)
    array.end_batch()
    expected = 0.02 * (n[2] * up - n[3] * down)
    assert np.abs(expected).max() > 1e-4
    # parts of a step follow the slope of the steps; so does what comes second in the number of pulses
    np.testing.assert_allclose(array.weights - w, expected, rtol=0.01, atol=2e-7)
    array.end_batch()  # once for each pulse
    array.pulse(3)  # not by lines
    array.pulse(-3)
    between = array.weights
    array.end_batch()
    np.testing.assert_array_equal(between, array.weights)


@pytest.mark.parametrize("scheme", TYPES, ids=lambda s: "-".join(map(str, s.values())) or "stochastic")
@pytest.mark.parametrize("desired_bl", [1, 5, 40])
def test_lines_are_counted_as_they_fire(scheme, desired_bl):
    # steps of one size in one direction, and none in the other: the change tells c + r - 2 n_up of each device
    size, n, h = 2.0**-14, 300, 0.25
    device = ConstantStep(
        dw_min=size, up_down=1.0, dw_min_std=0.0, half_select=h, **NO_SPREAD | {"w_max": 50.0, "w_min": -50.0}
    )
    pulses = PulseScheme(desired_bl=desired_bl, update_management=False, update_bl_management=False, **scheme)
    rng = np.random.default_rng(2)
    x, d = rng.normal(size=(n, 90)) * (rng.random((n, 90)) < 0.7), rng.normal(size=(n, 50))
    array = CrossbarArray((50, 90), device, pulses=pulses, rng=3)
    lr = 0.1 * size * desired_bl
    array.update(x, d, lr)
    before = array.weights.astype(np.float64)
    up = array.device_pulse_count.up
    array.end_batch()
    lines = (array.weights - before) / (h * 2 * size) + 2 * up
    c_plus_r = np.rint(lines)
    np.testing.assert_allclose(lines, c_plus_r, atol=0.02)
    # what columns give and what rows give add
    np.testing.assert_array_equal(c_plus_r - c_plus_r[:1] - c_plus_r[:, :1] + c_plus_r[0, 0], 0)
    mean, var_c, var_r = np.zeros((50, 90)), np.zeros(90), np.zeros(50)
    sure_c, sure_r = np.zeros(90), np.zeros(50)
    for xv, dv in zip(x, d, strict=True):
        train = oracle.trains(xv, dv, lr, size, desired_bl, update_management=False, update_bl_management=False)
        mean += train.length * (train.p_x + train.p_d[:, None])
        var_c += train.length * train.p_x * (1 - train.p_x)
        var_r += train.length * train.p_d * (1 - train.p_d)
        sure_c, sure_r = sure_c + np.rint(train.length * train.p_x), sure_r + np.rint(train.length * train.p_d)
    if "pulse_type" in scheme:
        np.testing.assert_array_equal(c_plus_r, sure_c + sure_r[:, None])
    else:
        assert np.abs((c_plus_r - mean) / np.sqrt(var_c + var_r[:, None])).max() < 6
    if not scheme:  # lines are independent; a column counts for 50 devices, a row for 90
        assert abs((c_plus_r - mean).sum()) < 5 * np.sqrt(50**2 * var_c.sum() + 90**2 * var_r.sum())


def test_the_same_bits_for_any_split_and_number_of_threads_and_after_loading(tmp_path):
    device = SoftBounds(half_select=0.03, half_select_dtod=0.3, write_noise_std=0.5)
    rng = np.random.default_rng(4)
    x, d = rng.normal(size=(60, 70)), rng.normal(size=(60, 40))
    results = []
    for threads, cuts in ((1, [60]), (2, [60]), (1, [7, 20, 60]), (2, [33, 60])):
        rpu.set_num_threads(threads)
        array, first = CrossbarArray((40, 70), device, rng=5), 0
        for last in cuts:
            array.update(x[first:last], d[first:last], 0.01)
            first = last
            if last == 33:
                checkpoint.save(tmp_path / "a.npz", array.state_dict())
                array = CrossbarArray((40, 70), device, rng=6)
                array.load_state_dict(checkpoint.load(tmp_path / "a.npz"))
        array.end_batch()
        results.append(array.weights)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    spread = array.parameters["half_select"]
    assert spread.mean() == pytest.approx(0.03, rel=0.03) and spread.std() == pytest.approx(0.009, rel=0.06)
    with pytest.raises(ValueError, match=r"disturb.*integers of at least 0"):
        state = array.state_dict()
        array.load_state_dict(state | {"disturb": state["disturb"] | {"fired": np.full(110, -1)}})


@pytest.mark.parametrize("method", ["pulses", "random_pulses"])
def test_zero_shifting_and_symmetry_points_disturb_none(method):
    """They address single devices, as `pulse` does: only what updates half-select moves afterwards."""
    device = SoftBounds(dw_min=0.01, dw_min_std=0.0, half_select=0.1, **NO_SPREAD)
    array, reference = (CrossbarArray((3, 4), device, pulses=SURE, rng=seed) for seed in (0, 1))
    rpu.DifferentialPair(array, reference).zero_shift(method, 100)
    array.symmetry_point(method, 30)
    array.update([5.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0], 10.0)
    before = array.weights
    array.symmetry_point(method, 30)
    array.end_batch()
    moved = array.weights != before
    assert moved[1].any() and moved[:, 0].any()
    np.testing.assert_array_equal(moved[np.ix_([0, 2], [1, 2, 3])], False)
    again = CrossbarArray((3, 4), device, pulses=SURE, rng=0)
    again.program(before)
    again.update([5.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0], 10.0)
    again.program(before)
    again.end_batch()
    np.testing.assert_array_equal(again.weights, array.weights)


def test_bounds_hold_and_many_halves_lead_to_the_symmetry_point():
    device = SoftBounds(dw_min=0.01, dw_min_std=0.0, half_select=1.0, up_down=0.1, w_max=0.5, w_min=-0.3, **NO_SPREAD)
    array = CrossbarArray((2, 2), device, pulses=PulseScheme(desired_bl=500, update_bl_management=False), rng=7)
    array.program(np.array([[0.5, -0.3], [0.5, -0.3]]))
    # column 0 and row 1 fire in all slots: device (0, 1) is on neither, (0, 0) and (1, 1) are on one, which gives them pairs
    for _ in range(4):
        array.update([5.0, 0.0], [0.0, 5.0], 10.0)
        array.end_batch()
    assert array.weights[0, 1] == np.float32(-0.3)
    np.testing.assert_allclose(array.weights[[0, 1], [0, 1]], device.symmetry_point, atol=1e-6)


def test_where_it_is_wrong_the_device_says_so():
    with pytest.raises(ValueError, match="half_select_dtod must be 0"):
        SoftBounds(half_select_dtod=0.1)
    device = SoftBounds(half_select=0.1)
    assert rpu.from_json(device.to_json()) == device
    array = CrossbarArray((2, 2), device, rng=0)
    before = array.parameters["half_select"]
    with pytest.raises(ValueError, match=r"parameters\['half_select'\] must be at least 0; got -0.5"):
        array.parameters["half_select"] = [[0.1, 0.1], [-0.5, 0.1]]
    np.testing.assert_array_equal(array.parameters["half_select"], before)
