"""CrossbarArray: construction, parameters, programming, symmetry points, counters and their errors."""

from __future__ import annotations

import numpy as np
import pytest
from oracle.arrays import same
from oracle.tiles import NO_SPREAD

import rpusim as rpu
from rpusim import ADC, CrossbarArray, DifferentialPair, Periphery, PulseScheme
from rpusim.devices import ConstantStep, Ideal, LinearStep, PowStepReference, SoftBounds, SoftBoundsReference

TIME = ["decay_scale", "diffusion_rate", "reset_level"]
NAMES = {
    ConstantStep: ["step_up", "step_down", "w_max", "w_min", *TIME],
    SoftBounds: ["step_up", "step_down", "w_max", "w_min", *TIME],
    LinearStep: ["step_up", "step_down", "w_max", "w_min", "slope_up", "slope_down", *TIME],
}


# ---- construction -----------------------------------------------------------------------------------------------------


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


# ---- parameters -------------------------------------------------------------------------------------------------------


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


# ---- programming ------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("model", [SoftBoundsReference, PowStepReference])
def test_bounds_of_programming_are_relative_to_the_reference(model):
    array = CrossbarArray((20, 30), model(reference_mean=0.2, reference_std=0.1), rng=8)
    p = array.parameters
    assert p["reference"].std() > 0.05
    w = np.random.default_rng(9).normal(0, 2.0, (20, 30)).astype(np.float32)
    array.program(w)
    low, high = p["w_min"] - p["reference"], p["w_max"] - p["reference"]
    np.testing.assert_array_equal(array.weights, np.clip(w, low, high))
    assert (array.weights == w).any() and (array.weights == low).any() and (array.weights == high).any()


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


# ---- symmetry points --------------------------------------------------------------------------------------------------


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


# ---- counters ---------------------------------------------------------------------------------------------------------


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


# ---- threads ----------------------------------------------------------------------------------------------------------


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
