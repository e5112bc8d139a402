"""CrossbarArray and DifferentialPair: parameters, programming, symmetry points, counters, states and their errors."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from oracle import devices as oracle

import rpusim as rpu
from rpusim import ADC, CrossbarArray, DifferentialPair, Periphery, PulseScheme, checkpoint
from rpusim.devices import ConstantStep, Ideal, LinearStep, SoftBounds

TIME = ["decay_scale", "diffusion_rate", "reset_level"]
NAMES = {
    ConstantStep: ["step_up", "step_down", "w_max", "w_min", *TIME],
    SoftBounds: ["step_up", "step_down", "w_max", "w_min", *TIME],
    LinearStep: ["step_up", "step_down", "w_max", "w_min", "slope_up", "slope_down", *TIME],
}
NO_SPREAD = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)


def same(a, b):
    """Equal nested states, arrays by bits."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


def test_of_another_specification_only_what_differs_is_named():
    array = CrossbarArray((3, 4), SoftBounds(), rng=0)
    state = array.state_dict()
    for old, new, words in (
        ('"half_select": 0.0, ', '"half": 0.0, ', "device.half_select nothing, not 0.0; device.half 0.0, not nothing"),
        ('"bits": 7', '"bits": 6', "forward.dac.bits 6, not 7; backward.dac.bits 6, not 7"),
        ('"wires": null}]', '"wires": {"type": "WriteWires"}}]', "pulses.wires 'WriteWires', not None"),
        ('"type": "SoftBounds"', '"type": "ConstantStep"', "device 'ConstantStep', not 'SoftBounds'"),
    ):
        assert old in state["specification"]
        with pytest.raises(ValueError) as caught:
            array.load_state_dict(state | {"specification": state["specification"].replace(old, new)})
        assert str(caught.value) == f"state must be of an array with the same specification; got {words}"


def test_states_of_versions_with_fewer_fields_have_their_defaults():
    array = CrossbarArray((3, 4), SoftBounds(), rng=0)
    state = array.state_dict()
    specification = state["specification"].replace('"half_select": 0.0, ', "").replace(', "wires": null}]', "}]")
    old = state | {"specification": specification}
    assert '"half_select":' not in old["specification"] and '"wires": null}]' not in old["specification"]
    array.update(np.ones(4), np.ones(3), 0.1)
    array.load_state_dict(old)
    assert same(array.state_dict(), state)
    other = CrossbarArray((3, 4), SoftBounds(half_select=0.1), rng=0)
    with pytest.raises(ValueError, match="half_select 0.0, not 0.1"):
        other.load_state_dict({**other.state_dict(), "specification": old["specification"]})


@pytest.mark.parametrize("change", ["assign", "load"])
def test_parameters_that_were_replaced_are_given_back(change):
    array = CrossbarArray((3, 4), SoftBounds(), rng=0)
    first = weakref.ref(array._parameters["w_max"].base)
    if change == "assign":
        array.parameters["step_up"] = 0.002
    else:
        array.load_state_dict(array.state_dict())
    assert first() is None


# ---- construction -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(shape=3), TypeError, ["shape", "pair", "3"]),
        (dict(shape=(1, 2, 3)), TypeError, ["shape", "pair", "(1, 2, 3)"]),
        (dict(shape=(0, 3)), ValueError, ["shape[0]", "1", "0"]),
        (dict(shape=(3, -1)), ValueError, ["shape[1]", "1", "-1"]),
        (dict(shape=(3, 2.0)), TypeError, ["shape[1]", "integer", "2.0"]),
        (dict(shape=(True, 2)), TypeError, ["shape[0]", "True"]),
        (dict(shape=(1, 2**31)), ValueError, ["shape[1]", "2147483648"]),
        (dict(device=None), TypeError, ["device", "None"]),
        (dict(device=SoftBounds), TypeError, ["device", "SoftBounds"]),
        (dict(forward=ADC()), TypeError, ["forward", "ADC()"]),
        (dict(backward="ideal"), TypeError, ["backward", "'ideal'"]),
        (dict(pulses=31), TypeError, ["pulses", "31"]),
        (dict(count_pulses=1), TypeError, ["count_pulses", "1"]),
        (dict(rng=-1), ValueError, ["rng", "-1"]),
        (dict(rng=1.5), TypeError, ["rng", "1.5"]),
        (dict(rng=True), TypeError, ["rng", "True"]),
        (dict(rng="seed"), TypeError, ["rng", "'seed'"]),
        (dict(rng=np.random.RandomState(0)), TypeError, ["rng"]),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, words):
    with pytest.raises(error) as caught:
        CrossbarArray(**dict(shape=(2, 3), device=SoftBounds(), rng=0) | arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_arrays_start_at_zero_with_the_default_peripheries():
    array = CrossbarArray((2, 3), SoftBounds(), rng=0)
    assert array.shape == (2, 3) and array.weights.dtype == np.float32 and not array.weights.any()
    assert array.forward_periphery == Periphery() and array.backward_periphery == Periphery(bound_management="none")
    assert array.pulses == PulseScheme()
    assert repr(array) == "CrossbarArray((2, 3), SoftBounds())"
    own = CrossbarArray((2, 3), SoftBounds(), forward=Periphery(bm_max_factor=8.0), backward=Periphery.ideal(), rng=0)
    assert own.backward_periphery == Periphery.ideal()


def test_every_kind_of_seed_gives_noise_of_its_own():
    """int and SeedSequence repeat, a Generator and None do not; noise and devices both depend on them."""

    def read(rng):  # of few outputs, which ADCs round to a handful of levels, two would be alike in one run of a hundred
        return CrossbarArray((64, 30), Ideal(), rng=rng).forward(np.ones(30))

    np.testing.assert_array_equal(read(5), read(np.random.SeedSequence(5)))
    np.testing.assert_array_equal(read(np.int64(5)), read(5))
    sequence = np.random.SeedSequence(5)
    np.testing.assert_array_equal(read(sequence), read(sequence))
    generator = np.random.default_rng(5)
    reads = [read(5), read(6), read(generator), read(generator), read(None), read(None)]
    for k, a in enumerate(reads):
        assert all((a != b).any() for b in reads[:k])


def test_arrays_keep_no_alias_of_what_they_are_given():
    array = CrossbarArray((2, 3), Ideal(), rng=0)
    w = np.ones((2, 3), np.float32)
    array.program(w)
    w[:] = 5.0
    array.weights[:] = 6.0
    np.testing.assert_array_equal(array.weights, np.ones((2, 3)))


# ---- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", NAMES)
def test_parameters_are_a_mapping_of_copies(model):
    array = CrossbarArray((3, 4), model(), rng=1)
    p = array.parameters
    assert list(p) == NAMES[model] and len(p) == len(NAMES[model])
    assert repr(p) == f"Parameters({', '.join(NAMES[model])})"
    for value in p.values():
        assert value.dtype == np.float32 and value.shape == (3, 4)
        with pytest.raises(ValueError, match="read-only"):
            value[:] = 77.0
    assert "step_up" in p and "gamma" not in p
    assert dict(CrossbarArray((3, 4), Ideal(), rng=1).parameters) == {}


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("model", NAMES)
def test_assigned_parameters_change_the_devices(model, spread):
    """One pulse from a known state follows the new numbers, for arrays as for single values, shared or drawn before."""
    no_slopes = dict(gamma_up_dtod=0.0, gamma_down_dtod=0.0) if model is LinearStep else {}
    settings = no_slopes | (dict(NO_SPREAD) if spread == 0.0 else {})
    array = CrossbarArray((3, 4), model(dw_min_std=0.0, **settings), rng=2)
    rng = np.random.default_rng(3)
    new = dict(step_up=rng.uniform(0.01, 0.1, (3, 4)), step_down=0.05, w_max=rng.uniform(1, 2, (3, 4)), w_min=-0.9)
    if model is LinearStep:
        new |= dict(slope_up=rng.uniform(-0.1, 0.1, (3, 4)), slope_down=0.02)
    for name, value in new.items():
        array.parameters[name] = value
        np.testing.assert_array_equal(array.parameters[name], np.broadcast_to(np.float32(value), (3, 4)))
    array.program(np.full((3, 4), 0.5))
    array.pulse(1)
    slope_up = {ConstantStep: 0.0, SoftBounds: -new["step_up"] / new["w_max"]}.get(model, new.get("slope_up"))
    np.testing.assert_allclose(array.weights, 0.5 + new["step_up"] + slope_up * 0.5, atol=2e-7)
    array.program(np.full((3, 4), -0.5))
    array.pulse(-1)
    slope_down = {ConstantStep: 0.0, SoftBounds: 0.05 / 0.9}.get(model, 0.02)
    np.testing.assert_allclose(array.weights, np.full((3, 4), -0.5 - 0.05 + slope_down * 0.5), atol=2e-7)


def test_changed_bounds_clip_the_weights():
    array = CrossbarArray((2, 3), SoftBounds(**NO_SPREAD), rng=4)
    array.program([[0.5, 0.3, -0.5], [0.1, -0.3, 0.0]])
    array.parameters["w_max"] = 0.2
    array.parameters["w_min"] = np.full((2, 3), -0.4)
    np.testing.assert_array_equal(array.weights, np.float32([[0.2, 0.2, -0.4], [0.1, -0.3, 0.0]]))


def test_assigned_parameters_are_not_aliased():
    array = CrossbarArray((2, 3), ConstantStep(dw_min_std=0.0), rng=5)
    steps = np.full((2, 3), 0.1, np.float32)
    array.parameters["step_up"] = steps
    steps[:] = 9.0
    array.pulse(1)
    np.testing.assert_allclose(array.weights, 0.1, rtol=1e-6)


@pytest.mark.parametrize(
    "name, value, error, words",
    [
        ("gamma", 0.1, KeyError, ["gamma", "SoftBounds", "step_up"]),
        ("step_up", np.ones((3, 2)), ValueError, ["parameters['step_up']", "(2, 3)", "(3, 2)"]),
        ("step_up", np.ones(3), ValueError, ["parameters['step_up']", "(2, 3)", "(3,)"]),
        ("step_up", np.nan, ValueError, ["parameters['step_up']", "finite", "nan"]),
        ("step_up", np.full((2, 3), np.inf), ValueError, ["parameters['step_up']", "finite", "inf"]),
        ("step_up", "0.1", TypeError, ["parameters['step_up']", "<U3"]),
        ("step_up", 1j, TypeError, ["parameters['step_up']", "complex"]),
        ("step_up", None, TypeError, ["parameters['step_up']", "object"]),
        ("w_max", -0.8, ValueError, ["w_max", "-0.8"]),  # below w_min
        ("w_min", np.full((2, 3), 0.9), ValueError, ["w_min", "0.9"]),  # above w_max
    ],
)
def test_wrong_parameters_are_refused_and_change_nothing(name, value, error, words):
    array = CrossbarArray((2, 3), SoftBounds(**NO_SPREAD), rng=6)
    array.program(np.full((2, 3), 0.3))
    before = array.state_dict()
    with pytest.raises(error) as caught:
        array.parameters[name] = value
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert same(before, array.state_dict())


def test_parameters_cannot_be_deleted_or_found_where_there_are_none():
    array = CrossbarArray((2, 3), SoftBounds(), rng=7)
    with pytest.raises(TypeError, match="changed, not deleted"):
        del array.parameters["step_up"]
    with pytest.raises(KeyError, match="no parameter 'nothing'; SoftBounds has step_up, step_down, w_max, w_min"):
        array.parameters["nothing"]
    with pytest.raises(KeyError, match="Ideal has none"):
        CrossbarArray((2, 3), Ideal(), rng=0).parameters["step_up"]


# ---- programming --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", NAMES)
def test_programming_clips_to_the_bounds_of_each_device(model):
    array = CrossbarArray((20, 30), model(), rng=8)
    p = array.parameters
    w = np.random.default_rng(9).normal(0, 0.7, (20, 30)).astype(np.float32)
    array.program(w)
    np.testing.assert_array_equal(array.weights, np.clip(w, p["w_min"], p["w_max"]))
    assert (array.weights == w).any() and (array.weights == p["w_max"]).any() and (array.weights == p["w_min"]).any()
    ideal = CrossbarArray((20, 30), Ideal(), rng=8)
    ideal.program(100 * w)
    np.testing.assert_array_equal(ideal.weights, 100 * w)


@pytest.mark.parametrize(
    "weights, error, words",
    [
        (np.ones((3, 2)), ValueError, ["weights", "(2, 3)", "(3, 2)"]),
        (0.5, ValueError, ["weights", "(2, 3)", "()"]),
        (np.full((2, 3), np.nan), ValueError, ["weights", "finite", "nan", "(0, 0)"]),
        ([[1, 2, 3], [4, 5, np.inf]], ValueError, ["weights", "finite", "inf", "(1, 2)"]),
        (np.full((2, 3), 1j), TypeError, ["weights", "complex"]),
        ("weights", (TypeError, ValueError), ["weights", "<U7"]),
        (None, TypeError, ["weights", "object"]),
        ([[1, 2, 3], [4, 5]], TypeError, ["weights"]),
    ],
)
def test_wrong_weights_are_refused_and_change_nothing(weights, error, words):
    array = CrossbarArray((2, 3), SoftBounds(), rng=10)
    array.program(np.full((2, 3), 0.1))
    pair = DifferentialPair(array, CrossbarArray((2, 3), SoftBounds(), rng=11))
    before = array.state_dict()
    for target in (array, pair):
        with pytest.raises(error) as caught:
            target.program(weights)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert same(before, array.state_dict())


# ---- symmetry points ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count_pulses", [False, True])
def test_finding_symmetry_points_leaves_no_trace(count_pulses):
    array = CrossbarArray((4, 5), SoftBounds(dw_min=0.02), rng=12, count_pulses=count_pulses)
    array.update(np.ones(5), np.ones(4), 0.05)
    before = array.state_dict()
    array.symmetry_point()
    measured = array.symmetry_point("pulses", n_pulses=101)
    assert same(before, array.state_dict())
    np.testing.assert_array_equal(measured, array.symmetry_point("pulses", n_pulses=102))  # whole pairs, same noise
    twin = CrossbarArray((4, 5), SoftBounds(dw_min=0.02), rng=12, count_pulses=count_pulses)
    twin.update(np.ones(5), np.ones(4), 0.05)
    for a in (array, twin):
        a.update(np.ones(5), -np.ones(4), 0.05)
    np.testing.assert_array_equal(array.weights, twin.weights)


@pytest.mark.parametrize("method", ["symmetry_point", "zero_shift"])
@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(method="guess"), ValueError, ["method", "'exact'", "'pulses'", "'guess'"]),
        (dict(method=1), TypeError, ["method", "1"]),
        (dict(n_pulses=10), ValueError, ["n_pulses", "None", "'exact'", "10"]),
        (dict(method="pulses", n_pulses=1), ValueError, ["n_pulses", "2", "1"]),
        (dict(method="pulses", n_pulses=2.0), TypeError, ["n_pulses", "2.0"]),
        (dict(method="pulses", n_pulses=2**31), ValueError, ["n_pulses", "2147483648"]),
    ],
)
def test_wrong_requests_for_symmetry_points_are_refused(method, arguments, error, words):
    main = CrossbarArray((2, 2), SoftBounds(up_down=0.1), rng=13)
    pair = DifferentialPair(main, CrossbarArray((2, 2), SoftBounds(), rng=14))
    before = pair.state_dict()
    with pytest.raises(error) as caught:
        getattr(main if method == "symmetry_point" else pair, method)(**arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert same(before, pair.state_dict())


# ---- pairs --------------------------------------------------------------------------------------------------------


def pair_of(device, shape=(6, 7), reference=None, **settings):
    main = CrossbarArray(shape, device, rng=15, **settings)
    return DifferentialPair(main, CrossbarArray(shape, reference or device, rng=16))


def test_exact_zero_shift_brings_both_arrays_to_the_symmetry_points_of_main():
    wide = SoftBounds(dw_min=0.01, w_max=5.0, w_min=-5.0, w_max_dtod=0.0, w_min_dtod=0.0)
    pair = pair_of(SoftBounds(dw_min=0.01, up_down=0.2), reference=wide)
    pair.zero_shift()
    p = {name: value.astype(np.float64) for name, value in pair.main.parameters.items()}
    expected = oracle.soft_bounds_symmetry_point(s_up=p["step_up"], s_dn=p["step_down"], b_min=p["w_min"], b_max=p["w_max"])
    np.testing.assert_allclose(pair.main.weights, expected, atol=1e-7)
    np.testing.assert_array_equal(pair.reference.weights, pair.main.weights)
    assert not pair.weights.any() and pair.main.pulse_count == (0, 0)


def test_exact_zero_shift_keeps_devices_without_a_symmetry_point():
    pair = pair_of(ConstantStep())
    pair.main.program(np.full((6, 7), 0.05))
    pair.zero_shift()
    np.testing.assert_array_equal(pair.main.weights, np.full((6, 7), np.float32(0.05)))
    np.testing.assert_array_equal(pair.weights, np.zeros((6, 7)))


def test_zero_shift_by_pulses_pulses_main_only():
    wide = SoftBounds(w_max=5.0, w_min=-5.0, w_max_dtod=0.0, w_min_dtod=0.0)
    pair = pair_of(SoftBounds(dw_min=0.01, dw_min_std=0.0, up_down=0.2, **NO_SPREAD), reference=wide, count_pulses=True)
    pair.zero_shift("pulses")
    pulses = 20 * 120 // 2
    assert pair.main.pulse_count == (pulses * 42, pulses * 42) and pair.reference.pulse_count == (0, 0)
    point = pair.main.symmetry_point()
    assert (np.abs(pair.main.weights - point) < 0.012).all()  # within a step, on the low side of the cycle
    assert (pair.main.weights < point).all()
    np.testing.assert_array_equal(pair.reference.weights, pair.main.weights)
    short = pair_of(SoftBounds())
    short.zero_shift("pulses", n_pulses=6)
    assert short.main.pulse_count == (3 * 42, 3 * 42)
    np.testing.assert_array_equal(
        short.reference.weights,
        np.clip(short.main.weights, short.reference.parameters["w_min"], short.reference.parameters["w_max"]),
    )


def test_a_pair_counts_its_calibration_pulses_per_device():
    pair = pair_of(SoftBounds(), count_pulses=True)
    pair.zero_shift("pulses", n_pulses=10)
    up, down = pair.main.device_pulse_count
    assert up.sum() == pair.main.pulse_count.up and down.sum() == pair.main.pulse_count.down


def test_a_pair_is_programmed_through_main():
    pair = pair_of(SoftBounds(up_down=0.1))
    pair.zero_shift()
    reference, p = pair.reference.weights, pair.main.parameters
    w = np.random.default_rng(17).normal(0, 0.5, (6, 7)).astype(np.float32)
    pair.program(w)
    np.testing.assert_array_equal(pair.reference.weights, reference)
    np.testing.assert_allclose(pair.weights, np.clip(w + reference, p["w_min"], p["w_max"]) - reference, atol=1e-7)


def test_a_pair_updates_main_only():
    pair = pair_of(ConstantStep(), pulses=PulseScheme(desired_bl=5))
    alone = CrossbarArray((6, 7), ConstantStep(), pulses=PulseScheme(desired_bl=5), rng=15)
    for target in (pair, alone):
        target.update(np.ones(7), np.ones(6), 0.01)
    np.testing.assert_array_equal(pair.main.weights, alone.weights)
    assert not pair.reference.weights.any() and sum(alone.pulse_count) > 0


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda a: (a, a), ValueError, ["reference", "another"]),
        (lambda a: (a, CrossbarArray((2, 3), Ideal(), rng=0)), ValueError, ["reference", "(2, 2)", "(2, 3)"]),
        (lambda a: (a, None), TypeError, ["reference", "CrossbarArray", "None"]),
        (lambda a: (np.ones((2, 2)), a), TypeError, ["main", "CrossbarArray"]),
    ],
)
def test_wrong_pairs_are_refused(change, error, words):
    with pytest.raises(error) as caught:
        DifferentialPair(*change(CrossbarArray((2, 2), Ideal(), rng=0)))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_pair_is_printed_with_its_arrays():
    pair = pair_of(Ideal(), (1, 2))
    assert repr(pair) == "DifferentialPair(CrossbarArray((1, 2), Ideal()), CrossbarArray((1, 2), Ideal()))"


# ---- counters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pulse_type", ["stochastic", "mean_count", "deterministic_implicit"])
def test_totals_are_the_sums_of_the_device_counts(pulse_type):
    scheme = PulseScheme(pulse_type=pulse_type)
    array = CrossbarArray((7, 9), SoftBounds(dw_min=0.01), pulses=scheme, rng=18, count_pulses=True)
    rng = np.random.default_rng(19)
    for lr in (0.3, -0.2):
        array.update(rng.normal(size=(30, 9)), rng.normal(size=(30, 7)), lr)
    counts = rng.integers(-5, 6, (7, 9))
    before = array.device_pulse_count
    assert isinstance(before, rpu.PulseCount) and before.up.dtype == np.int64 and before.up.shape == (7, 9)
    array.pulse(counts)
    after = array.device_pulse_count
    np.testing.assert_array_equal(after.up - before.up, np.maximum(counts, 0))
    np.testing.assert_array_equal(after.down - before.down, np.maximum(-counts, 0))
    assert array.pulse_count == (after.up.sum(), after.down.sum())
    assert after.up.sum() > 0 and after.down.sum() > 0
    after.up[:] = 0
    assert array.device_pulse_count.up.any()


def test_device_counts_must_be_asked_for():
    array = CrossbarArray((2, 3), SoftBounds(), rng=20)
    array.pulse(-4)
    assert array.pulse_count == (0, 24)
    with pytest.raises(ValueError, match="device_pulse_count needs an array built with count_pulses=True; got False"):
        _ = array.device_pulse_count


# ---- states -------------------------------------------------------------------------------------------------------


def used(device=None, rng=21, shape=(5, 6), **settings):
    """An array with a past: updates, reads in both directions, changed parameters."""
    device = device or SoftBounds(dw_min=0.01)
    periphery = Periphery(noise_management="average_abs_max", bound_management="none")
    array = CrossbarArray(shape, device, forward=periphery, rng=rng, **settings)
    rng = np.random.default_rng(22)
    array.update(rng.normal(size=(4, shape[1])), rng.normal(size=(4, shape[0])), 0.05)
    array.forward(rng.normal(size=(3, shape[1])))
    array.backward(rng.normal(size=(2, shape[0])))
    if not isinstance(device, Ideal):
        array.parameters["step_up"] = 0.02
        array.parameters["w_max"] = rng.uniform(0.1, 0.5, shape)
    return array


@pytest.mark.parametrize("settings", [{}, dict(count_pulses=True)])
@pytest.mark.parametrize("device", [SoftBounds(dw_min=0.01), LinearStep(**NO_SPREAD), ConstantStep(), Ideal()])
def test_a_restored_array_goes_on_to_the_same_bits(device, settings, tmp_path):
    array = used(device, **settings)
    saved = array.state_dict()
    checkpoint.save(tmp_path / "array.npz", saved)
    other = CrossbarArray((5, 6), device, forward=array.forward_periphery, rng=999, **settings)
    other.load_state_dict(checkpoint.load(tmp_path / "array.npz"))
    assert same(other.state_dict(), saved)
    x, d = np.random.default_rng(23).normal(size=(2, 3, 6)), np.random.default_rng(24).normal(size=(2, 3, 5))
    for target in (array, other):
        target.update(x[0], d[0], 0.1)
    for read in (lambda a: a.forward(x[1]), lambda a: a.backward(d[1]), lambda a: a.weights):
        np.testing.assert_array_equal(read(array), read(other))
    assert same(array.state_dict(), other.state_dict())
    assert not same(array.state_dict(), saved)


def test_a_state_is_a_copy():
    array = used()
    state, pristine = array.state_dict(), copy.deepcopy(array.state_dict())
    array.pulse(3)
    array.parameters["step_up"] = 1.0
    assert same(state, pristine)
    array.load_state_dict(state)
    array.pulse(-2)
    array.parameters["step_down"] = 1.0
    assert same(state, pristine)


def spoilt(change):
    state = used().state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    "state, error, words",
    [
        (lambda: None, TypeError, ["state", "NoneType"]),
        (lambda: {}, ValueError, ["state", "weights"]),
        (lambda: spoilt(lambda s: s.pop("key")), ValueError, ["state", "key"]),
        (lambda: spoilt(lambda s: s.update(extra=1)), ValueError, ["state", "extra"]),
        (lambda: spoilt(lambda s: s.update(version=999)), ValueError, ["version", "2", "999"]),
        (lambda: used(shape=(6, 5)).state_dict(), ValueError, ["(5, 6)", "(6, 5)"]),
        (lambda: used(SoftBounds(dw_min=0.02)).state_dict(), ValueError, ["specification", "0.01", "0.02"]),
        (lambda: used(pulses=PulseScheme(desired_bl=7)).state_dict(), ValueError, ["specification", "desired_bl"]),
        (lambda: used(count_pulses=True).state_dict(), ValueError, ["state", "device_pulses"]),
        (lambda: spoilt(lambda s: s["parameters"].pop("w_max")), ValueError, ["parameters", "w_max"]),
        (lambda: spoilt(lambda s: s.update(parameters=None)), TypeError, ["parameters", "NoneType"]),
        (
            lambda: spoilt(lambda s: s["parameters"].update(w_max=np.ones((2, 2)))),
            ValueError, ["parameters", "w_max", "(5, 6)", "(2, 2)"],
        ),
        (lambda: spoilt(lambda s: s.update(weights=np.ones((2, 2)))), ValueError, ["weights", "(5, 6)", "(2, 2)"]),
        (lambda: spoilt(lambda s: s.update(weights=np.full((5, 6), "a"))), (TypeError, ValueError), ["weights"]),
        (lambda: spoilt(lambda s: s.update(weights=np.full((5, 6), np.nan))), ValueError, ["weights", "nan"]),
        (lambda: spoilt(lambda s: s.update(key="abc")), (TypeError, ValueError), ["key"]),
        (lambda: spoilt(lambda s: s.update(key=-1)), (TypeError, ValueError), ["key"]),
        (lambda: spoilt(lambda s: s.update(counters=[1, 2])), (TypeError, ValueError), ["counters"]),
        (lambda: spoilt(lambda s: s.update(counters=[-1, 0, 0, 0, 0])), (TypeError, ValueError), ["counters"]),
        (lambda: spoilt(lambda s: s.update(averages=[1.0])), (TypeError, ValueError), ["averages"]),
        (lambda: spoilt(lambda s: s.update(averages=[np.nan, 1.0])), (TypeError, ValueError), ["averages"]),
    ],
)  # fmt: skip
def test_wrong_states_are_refused_and_change_nothing(state, error, words):
    array = used(rng=77)
    before = array.state_dict()
    with pytest.raises(error) as caught:
        array.load_state_dict(state())
    assert same(array.state_dict(), before)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_state_of_a_pair_is_that_of_its_arrays(tmp_path):
    pair = DifferentialPair(used(rng=30), used(rng=31))
    checkpoint.save(tmp_path / "pair.npz", pair.state_dict())
    other = DifferentialPair(used(rng=32), used(rng=33))
    other.load_state_dict(checkpoint.load(tmp_path / "pair.npz"))
    assert same(pair.state_dict(), other.state_dict())
    np.testing.assert_array_equal(pair.forward(np.ones(6)), other.forward(np.ones(6)))
    before = other.state_dict()
    wrong = pair.state_dict()
    wrong["reference"]["version"] = 999
    with pytest.raises(ValueError, match="reference.*version.*999"):
        other.load_state_dict(wrong)
    assert same(other.state_dict(), before)
    wrong = pair.state_dict()
    wrong["reference"]["specification"] = "other"
    with pytest.raises(ValueError, match="specification"):
        other.load_state_dict(wrong)
    assert same(other.state_dict(), before)


# ---- threads ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("restore_threads")
def test_the_number_of_threads_can_be_set():
    rpu.set_num_threads(3)
    assert rpu.get_num_threads() == 3


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("n, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError), (None, TypeError)])
def test_wrong_numbers_of_threads_are_refused(n, error):
    with pytest.raises(error) as caught:
        rpu.set_num_threads(n)
    assert repr(n) in str(caught.value)


@pytest.mark.parametrize("method", ["exact", "pulses"])
def test_ideal_devices_have_no_zero_shift(method):
    pair = DifferentialPair(*(CrossbarArray((2, 2), Ideal(), rng=seed) for seed in (0, 1)))
    with pytest.raises(ValueError, match=r"needs a device that takes pulses; got Ideal\(\)"):
        pair.zero_shift(method)


# ---- sharing and copying ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [rpu.devices.SoftBoundsReference, rpu.devices.PowStepReference])
def test_weights_are_within_what_a_new_reference_leaves(kind):
    array = CrossbarArray((1, 2), kind(w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0), rng=0)
    array.program([[0.9, -0.2]])
    array.parameters["reference"] = 0.5
    np.testing.assert_allclose(array.weights, [[0.5, -0.2]], atol=1e-6)
    assert same(copy.deepcopy(array).state_dict(), array.state_dict())


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_are_independent_and_go_on_to_the_same_bits(how):
    array = CrossbarArray((3, 5), SoftBounds(dw_min=0.02), rng=3, count_pulses=True)
    array.update(np.ones(5), np.ones(3), 0.05)
    twin = how(array)
    assert same(array.state_dict(), twin.state_dict())
    array.update(np.ones(5), np.ones(3), 0.05)
    assert not np.array_equal(array.weights, twin.weights)
    twin.update(np.ones(5), np.ones(3), 0.05)
    assert same(array.state_dict(), twin.state_dict())


def test_copies_of_tiles_keep_their_shared_reference():
    tile = rpu.algorithms.SHD(SoftBounds(dw_min=0.02)).build((3, 5), rng=0)
    twin = copy.deepcopy(tile)
    assert twin.fast.reference is twin.slow.reference and twin.fast.reference is not tile.fast.reference
    for one in (tile, twin):
        one.update(np.ones((9, 5)), np.ones((9, 3)), 0.05)
    np.testing.assert_array_equal(tile.weights, twin.weights)


def test_threads_may_share_an_array():
    array = CrossbarArray((40, 50), SoftBounds(), rng=0)
    jobs = [np.ones((n, 50), np.float32) for n in range(1, 60)]

    def work(x):
        array.update(x, np.ones((len(x), 40), np.float32), 0.01)
        return array.forward(x).shape

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, jobs)) == [(len(x), 40) for x in jobs]
    assert array.state_dict()["counters"][0] == sum(map(len, jobs))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_can_update(restore_threads):
    rpu.set_num_threads(2)
    array = CrossbarArray((300, 300), SoftBounds(), rng=0)
    x = np.ones((64, 300), np.float32)
    array.update(x, x, 0.05)
    child = multiprocessing.get_context("fork").Process(target=array.update, args=(x, x, 0.05))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
        child.start()
    child.join(60)
    assert child.exitcode == 0
