"""Unit cells: against recorded compounds, against their single devices, and in law."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import rpusim as rpu
from rpusim import CellArray, CrossbarArray, Periphery, PulseScheme, checkpoint
from rpusim.devices import (
    AbruptReset,
    ConstantStep,
    ExpStep,
    LinearStep,
    OneSidedCell,
    PiecewiseStep,
    PowStep,
    ReferenceCell,
    SoftBounds,
    SoftBoundsReference,
    VectorCell,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["compounds"]
NO_SPREAD = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0, dw_min_std=0.0, w_max=1.0)
A = SoftBounds(dw_min=0.01, w_min=-1.0, **NO_SPREAD)
C = ConstantStep(dw_min=0.005, w_min=-1.0, **NO_SPREAD)
RECORDED = {
    "vector_all": VectorCell(devices=(A, C), policy="all", mean_granularity=True),
    # the recorded tool moves on before it updates, so it begins with the second device
    "vector_seq": VectorCell(devices=(A, C), gammas=(1.0, 0.5), policy="sequential", first=1, mean_granularity=True),
    "reference_cell": ReferenceCell(A),
}
CELLS = {
    "all": VectorCell(devices=(SoftBounds(), ConstantStep(), SoftBounds(dw_min=0.002)), gammas=(0.5, 0.3, -0.2)),
    "random": VectorCell(policy="random"),
    "sequential": VectorCell(policy="sequential", first=1),
    "reference": ReferenceCell(),
    "one-sided": OneSidedCell(SoftBounds(dw_min=0.01, w_min=0.0, w_min_dtod=0.0), refresh_every=7),
}


@pytest.mark.parametrize("name", RECORDED)
def test_cells_match_recorded_compounds(name):
    scheme = PulseScheme(
        pulse_type="deterministic_implicit", desired_bl=10, update_management=False, update_bl_management=False
    )
    array = CellArray((2, 3), RECORDED[name], forward=Periphery.ideal(), pulses=scheme, rng=0)
    for k, one in enumerate(array.arrays):
        one.program([[0.1, -0.2, 0.05], [0.0, 0.15, -0.1]] if k == 0 or name != "reference_cell" else np.zeros((2, 3)))
    for t in range(1, 25):
        x, d = np.cos(0.7 * t + 0.5 * np.arange(3)), 0.9 * np.sin(0.4 * t + 0.9 * np.arange(2) + 0.3) + 0.2
        array.update(x, d, 0.1)
        if str(t) in GOLDEN[name]:
            recorded = GOLDEN[name][str(t)]
            for k, one in enumerate(array.arrays):
                np.testing.assert_allclose(one.weights, recorded[f"hidden_weights_{k}"], atol=1.5e-6)
            np.testing.assert_allclose(array.weights, recorded["W"], atol=1.5e-6)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda array: pickle.loads(pickle.dumps(array))])
@pytest.mark.parametrize("cell", [*CELLS.values(), RECORDED["vector_seq"]], ids=[*CELLS, "mean granularity"])
def test_copies_go_on_to_the_same_bits(cell, how):
    array = CellArray((3, 4), cell, rng=5)
    rng = np.random.default_rng(6)
    x, d = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    array.update(x[:10], d[:10], 0.05)
    array.arrays[0].calibrate(x)
    twin = how(array)
    for one in (array, twin):
        one.update(x[10:], d[10:], 0.05)
    np.testing.assert_array_equal(twin.weights, array.weights)
    np.testing.assert_array_equal(twin.forward(x), array.forward(x))
    assert twin.pulse_count == array.pulse_count and twin.arrays[0].forward_periphery == array.arrays[0].forward_periphery
    array.program(np.zeros((3, 4)))
    assert not np.array_equal(twin.weights, array.weights)


def test_time_passes_for_all_devices_of_a_cell():
    drifting = SoftBounds(drift=rpu.devices.Drift(nu=0.1), reset_std=0.0)
    array = CellArray((2, 3), VectorCell(devices=(drifting, C), gammas=(1.0, 1.0)), rng=0)
    array.program(np.full((2, 3), 0.2))
    alone = copy.deepcopy(array.arrays[0])
    other = array.arrays[1].weights
    for delta_t in (1.0, 50.0):
        array.drift(delta_t)
        alone.drift(delta_t)
    np.testing.assert_array_equal(array.arrays[0].weights, alone.weights)
    np.testing.assert_array_equal(array.arrays[1].weights, other)
    assert np.all(alone.weights < 0.15)
    array.reset([])
    np.testing.assert_array_equal(array.arrays[1].weights, other)
    array.reset([1])
    for one in array.arrays:
        np.testing.assert_allclose(one.weights[:, 1], one.parameters["reset_level"][:, 1], atol=0.05)
    array.forward(np.ones((4, 3)))
    assert array.forward_count.vectors == 4 and array.backward_count.vectors == 0
    with pytest.raises(ValueError, match="drift needs a cell with a device that has a Drift"):
        CellArray((2, 3), VectorCell(), rng=0).drift(1.0)


@pytest.mark.parametrize("name", CELLS)
def test_reads_and_weights_combine_the_devices(name):
    array = CellArray((5, 7), CELLS[name], forward=Periphery.ideal(), rng=1)
    rng = np.random.default_rng(2)
    for one in array.arrays:
        low, high = one.device.bounds_of(one.parameters)
        one.program(low + (high - low) * rng.random(array.shape))
    combined = sum(g * one.weights for g, one in zip(array.gammas, array.arrays, strict=True))
    np.testing.assert_allclose(array.weights, combined, atol=1e-6)
    for x in (rng.normal(size=(4, 7)), np.eye(7)[2]):
        np.testing.assert_allclose(array.forward(x), x @ combined.T, atol=1e-5)
    np.testing.assert_allclose(array.backward(np.ones(5)), combined.sum(axis=0), atol=1e-5)


def test_programmed_weights_are_read_back():
    w = np.random.default_rng(3).uniform(-0.05, 0.05, (4, 6))
    for name, cell in CELLS.items():
        array = CellArray((4, 6), cell, rng=4)
        array.program(w)
        np.testing.assert_allclose(array.weights, w, atol=1e-6, err_msg=name)


def test_devices_updated_together_share_their_trains():
    quiet = ConstantStep(dw_min=0.001, w_min=-1.0, **NO_SPREAD)
    array = CellArray((30, 40), VectorCell(devices=(quiet, quiet)), rng=5)
    rng = np.random.default_rng(6)
    array.update(rng.normal(size=(20, 40)), rng.normal(size=(20, 30)), 0.005)
    np.testing.assert_array_equal(array.arrays[0].weights, array.arrays[1].weights)
    assert array.arrays[0].weights.std() > 0.01
    noisy = CellArray((30, 40), VectorCell(devices=(quiet.replace(dw_min_std=0.3),) * 2), rng=5)
    noisy.update(np.ones((20, 40)), np.ones((20, 30)), 0.005)  # every slot fires: only the noise differs
    a, b = (one.weights.ravel() + 0.1 for one in noisy.arrays)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size) and a.std() > 0


def test_single_devices_take_turns_or_are_drawn():
    def updated(cell, vectors=600):
        array = CellArray((1, 1), cell, rng=7)
        choices = []
        for _ in range(vectors):
            before = [sum(one.pulse_count) for one in array.arrays]
            array.update([1.0], [1.0], 0.001)
            choices.append(int(np.argmax([sum(one.pulse_count) for one in array.arrays] - np.array(before))))
        return np.array(choices)

    device = ConstantStep(dw_min=0.001, w_max=1e3, w_min=-1e3)
    three = dict(devices=(device,) * 3)
    np.testing.assert_array_equal(updated(VectorCell(**three, policy="sequential", first=2), 9), (np.arange(9) + 2) % 3)
    np.testing.assert_array_equal(updated(VectorCell(**three, policy="fixed", first=1), 5), 1)
    drawn = updated(VectorCell(**three, policy="random"))
    assert stats.chisquare(np.bincount(drawn, minlength=3)).pvalue > 1e-6
    pairs = np.bincount(3 * drawn[:-1] + drawn[1:], minlength=9)
    assert stats.chisquare(pairs).pvalue > 1e-6


@pytest.mark.parametrize("name", CELLS)
def test_splits_threads_and_saving_do_not_show(name, tmp_path):
    rng = np.random.default_rng(8)
    x, d = rng.normal(size=(30, 50)), rng.normal(size=(30, 20))

    def run(splits, interrupt=False):
        array = CellArray((20, 50), CELLS[name], rng=9)
        for first, last in itertools.pairwise(np.cumsum([0, *splits])):
            array.update(x[first:last], d[first:last], 0.01)
            if interrupt:
                checkpoint.save(tmp_path / "cell.npz", array.state_dict())
                array = CellArray((20, 50), CELLS[name], rng=99)
                array.load_state_dict(checkpoint.load(tmp_path / "cell.npz"))
        return [one.weights for one in array.arrays]

    expected = run([30])
    for other in (run([1] * 30), run([7, 3, 0, 20]), run([11, 19], interrupt=True)):
        for a, b in zip(expected, other, strict=True):
            np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


def test_one_sided_devices_only_rise_and_move_the_weight_as_two_sided_ones_would():
    one_way = ConstantStep(dw_min=0.001, w_min=0.0, **NO_SPREAD)
    array = CellArray((20, 30), OneSidedCell(one_way), rng=10)
    rng = np.random.default_rng(11)
    before = [one.weights for one in array.arrays]
    mean = np.zeros(array.shape)
    for _ in range(40):
        x, d = rng.normal(size=(5, 30)), rng.normal(size=(5, 20))
        array.update(x, d, 0.002)
        mean -= 0.002 * d.T @ x
        after = [one.weights for one in array.arrays]
        assert all((b >= a).all() for a, b in zip(before, after, strict=True))
        before = after
    minus, plus = before
    pulses = np.round((minus + plus) / 0.001)
    assert array.pulse_count == (pulses.sum(), 0)
    # no pulse was lost or doubled: the mean change is the requested one, its variance that of the pulses
    z = (array.weights - mean) / (0.001 * np.sqrt(np.maximum(pulses, 1)))
    assert abs(z.mean()) < 5 / np.sqrt(z.size) * 1.5 and z.std() < 1.2


@pytest.mark.parametrize(
    "device",
    [
        SoftBounds(w_min=0.0), LinearStep(w_min=0.0, gamma_up=0.5, gamma_down=0.5), AbruptReset(w_min=0.0), PowStep(w_min=0.0),
        SoftBoundsReference(w_min=0.0), PiecewiseStep(w_min=0.0, piecewise_up=(1.0, 0.5), piecewise_down=(1.0, 0.5)),
        ExpStep(w_min=0.0, dw_min_std_add=0.01),
    ],
    ids=lambda device: type(device).__name__,
)  # fmt: skip
def test_no_device_of_a_one_sided_cell_ever_gets_a_down_pulse(device):
    spreads = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_min_dtod=0.0, w_max_dtod=0.0)
    quiet = {} if isinstance(device, ExpStep) else dict(dw_min_std=0.0)
    array = CellArray((10, 12), OneSidedCell(device.replace(dw_min=0.002, **spreads, **quiet)), rng=16)
    array.program(np.full(array.shape, 0.1))
    rng = np.random.default_rng(17)
    before = [one.weights for one in array.arrays]
    array.update(rng.normal(size=(20, 12)), np.ones((20, 10)), 0.01)
    # lr d x > 0 lowers W: g_minus rises there, g_plus where x < 0; both have columns that only fall, and stay
    for one, old in zip(array.arrays, before, strict=True):
        if not isinstance(device, ExpStep):  # whose noise can take an up pulse down
            assert (one.weights >= old).all()
        assert (one.weights > old).mean() > 0.8
    only_down = [one.weights for one in array.arrays]
    array.update(np.ones((5, 12)), np.ones((5, 10)), 0.01)  # lowers W everywhere
    np.testing.assert_array_equal(array.arrays[1].weights, only_down[1])


def test_refreshing_keeps_the_weight_and_lowers_both_sides():
    device = SoftBounds(dw_min=0.002, w_min=0.0, reset_std=0.0, **NO_SPREAD)
    exact = dict(refresh_forward=Periphery.ideal(), refresh_pulses=PulseScheme(desired_bl=1000))
    cell = OneSidedCell(device, refresh_every=1, **exact)
    array = CellArray((2, 3), cell, rng=12)
    plus = np.array([[0.9, 0.8, 0.2], [0.95, 0.5, 0.3]])
    minus = np.array([[0.3, 0.1, 0.9], [0.9, 0.45, 0.9]])
    array.arrays[0].program(minus)
    array.arrays[1].program(plus)
    array.update(np.zeros(3), np.zeros(2), 0.01)
    refreshed = np.array([[True, False, False], [True, False, True]])  # larger above 0.75, smaller above 0.25
    now_minus, now_plus = (one.weights for one in array.arrays)
    np.testing.assert_array_equal(now_plus[~refreshed], plus.astype(np.float32)[~refreshed])
    assert (np.minimum(now_plus, now_minus)[refreshed] == 0.0).all()
    # open-loop: n = |difference| / dw_min soft steps fall short of it
    difference = np.abs(plus - minus)[refreshed]
    written = 1 - (1 - 0.002) ** (difference / 0.002)
    np.testing.assert_allclose(np.maximum(now_plus, now_minus)[refreshed], written, atol=5 * np.sqrt(0.002 * 0.6))
    # both go on with the same trains, whichever side was written
    assert array.arrays[0]._core.counters[0] == array.arrays[1]._core.counters[0]
    one_side = CellArray((2, 3), cell, rng=12)
    one_side.arrays[0].program(np.full((2, 3), 0.3))
    one_side.arrays[1].program(np.full((2, 3), 0.9))
    one_side.update(np.zeros(3), np.zeros(2), 0.01)
    assert one_side.arrays[0].pulse_count == (0, 0) and one_side.arrays[1].pulse_count.up > 0
    assert one_side.arrays[0]._core.counters[0] == one_side.arrays[1]._core.counters[0]
    # reads of the whole cell go on as before
    array2 = CellArray((2, 3), cell, forward=Periphery.ideal(), rng=12)
    array2.arrays[1].program(plus)
    array2.update(np.zeros(3), np.zeros(2), 0.01)
    np.testing.assert_allclose(array2.forward(np.eye(3)).T, array2.weights, atol=1e-6)


def test_a_device_without_a_down_step_does_not_move_down_even_with_noise_that_is_not_in_proportion():
    pcm = ExpStep(dw_min=0.01, dw_min_std_add=0.05, dw_min_std_slope=0.1, w_max=2.0, w_min=0.0, w_min_dtod=0.0)
    array = CrossbarArray((20, 20), pcm, rng=13)
    array.parameters["step_down"] = np.zeros(array.shape)
    array.program(np.full(array.shape, 0.5))
    before = array.weights
    array.pulse(-5)
    np.testing.assert_array_equal(array.weights, before)


@pytest.mark.parametrize("name", CELLS)
def test_cells_train_and_go_through_json(name):
    rule = rpu.algorithms.SGD(CELLS[name])
    assert rpu.from_json(rule.to_json()) == rule
    tile = rule.build((1, 1), rng=14)
    rng = np.random.default_rng(15)
    for _ in range(400):
        x = rng.normal(size=(1, 1)).astype(np.float32)
        tile.update(x, tile.forward(x) - 0.15 * x, 0.05)
    assert abs(tile.weights[0, 0] - 0.15) < 0.1


LINES = rpu.WriteWires(rpu.Wires(), rpu.ConductanceScale(g_min=1e-6, g_max=1e-4, mapping="offset"))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: VectorCell(devices=()), "devices must be a tuple of 1 to 17"),
        (lambda: VectorCell(devices=(rpu.devices.Ideal(),)), r"devices\[0\] must be a pulsed device"),
        (lambda: VectorCell(gammas=(1.0,)), "gammas must be one number for each of the 2 devices"),
        (lambda: VectorCell(policy="fixed", first=2), "first must be at most 1"),
        (lambda: VectorCell(first=1), "first is used only by"),
        (lambda: OneSidedCell(refresh_lower=0.8), "refresh_lower must be at most refresh_upper=0.75; got 0.8"),
        (lambda: OneSidedCell(SoftBounds(write_noise_std=1.0)), "no write noise"),
        (lambda: OneSidedCell(refresh_pulses=PulseScheme(wires=LINES)), "refresh_pulses must have no wires"),
        (lambda: OneSidedCell(refresh_forward=Periphery(wires=rpu.Wires(r_word=1.0))), "refresh_forward must have no wires"),
        (lambda: CellArray((2, 2), SoftBounds()), "cell must be a unit cell"),
        (lambda: CrossbarArray((2, 2), VectorCell()), "device must be a single device; CellArray, and so SGD"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_named(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()
