"""Pulses and updates: pulse by pulse against the oracle, in law against analytic distributions; and their errors."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from oracle import devices as oracle
from oracle import pulses as trains
from oracle.arrays import MODELS, NO_SLOPE_SPREAD, P_LIMIT, Z_LIMIT, chi2_p, random_array, vectors
from oracle.tiles import NO_SPREAD
from scipy import stats

import rpusim as rpu
from rpusim import CrossbarArray, Periphery, PulseScheme
from rpusim._core.kernels import kernel_sets, use_kernel_set
from rpusim.devices import ConstantStep, ExpStep, Ideal, LinearStep, PiecewiseStep, PowStep, SoftBounds, SoftBoundsReference

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["single_device"]
MANAGEMENTS = list(itertools.product([False, True], repeat=2))


def oracle_pulse(array):
    """The oracle's pulse (w, up, xi) for all devices of `array` at once."""
    p = {name: value.astype(np.float64) for name, value in array.parameters.items()}
    common = dict(s_up=p["step_up"], s_dn=p["step_down"], b_max=p["w_max"], b_min=p["w_min"])
    common["sigma"] = array.device.dw_min_std
    if isinstance(array.device, ConstantStep):
        return functools.partial(oracle.constant_step, **common)
    device = array.device
    if isinstance(device, ExpStep):
        shape = {k: getattr(device, k) for k in ("A_up", "A_down", "gamma_up", "gamma_down", "a", "b")}
        noise = dict(add=device.dw_min_std_add, slope=device.dw_min_std_slope)
        return functools.partial(oracle.exp_step, **common, **shape, **noise)
    if isinstance(device, PowStep):
        own = dict(gam_up=p["gamma_up"], gam_dn=p["gamma_down"], reference=p.get("reference", 0.0))
        return functools.partial(oracle.pow_step, **common, **own)
    if isinstance(device, PiecewiseStep):
        tables = dict(table_up=device.piecewise_up, table_dn=device.piecewise_down)
        return functools.partial(oracle.piecewise_step, **common, **tables)
    common["multiplicative"] = device.mult_noise
    if isinstance(device, SoftBoundsReference):
        return functools.partial(oracle.soft_bounds_reference, **common, reference=p["reference"])
    if isinstance(device, SoftBounds):
        return functools.partial(oracle.soft_bounds, **common)
    gammas = dict(gam_up=-p["slope_up"] / p["step_up"], gam_dn=-p["slope_down"] / p["step_down"], ref_up=1, ref_dn=1)
    return functools.partial(oracle.linear_step, **common, **gammas)


def apply(pulse, w, counts, rng=None):
    """w after |counts| pulses of each device, one after another."""
    w = np.array(w, dtype=np.float64)
    for k in range(np.abs(counts).max(initial=0)):
        xi = 0.0 if rng is None else rng.standard_normal(w.shape)
        w = np.where(np.abs(counts) > k, pulse(w, counts > 0, xi=xi), w)
    return w


def quiet(device, **changes):
    """The device without cycle-to-cycle noise."""
    if isinstance(device, ExpStep):
        changes |= dict(dw_min_std_add=0.0, dw_min_std_slope=0.0)
    return device.replace(dw_min_std=0.0, **changes)


def without_spread(device, **changes):
    spreads = {f.name: 0.0 for f in dataclasses.fields(device) if f.name.endswith("_dtod") or f.name == "reference_std"}
    return device.replace(**(spreads | changes))


def assert_normal(values, mean, std):
    """Kolmogorov-Smirnov, mean to 5 sigma, standard deviation within chi-square limits, neighbours uncorrelated."""
    values = np.asarray(values, dtype=np.float64)
    n = values.size
    assert stats.kstest(values.ravel(), stats.norm(mean, std).cdf).pvalue > P_LIMIT
    assert abs(values.mean() - mean) < Z_LIMIT * std / np.sqrt(n)
    assert chi2_p(np.sum((values - values.mean()) ** 2) / std**2, n - 1) > P_LIMIT
    z = (values - mean) / std
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1])):
        assert abs(np.sum(a * b)) < Z_LIMIT * np.sqrt(a.size)


# ---- pulse by pulse ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
@pytest.mark.parametrize("name", MODELS)
def test_pulses_without_noise_are_those_of_the_oracle(name, kernels):
    use_kernel_set(kernels)
    array = random_array(quiet(MODELS[name]))
    pulse, rng = oracle_pulse(array), np.random.default_rng(8)
    w = array.weights.astype(np.float64)
    for _ in range(5):
        counts = rng.integers(-15, 16, array.shape)
        w = apply(pulse, w, counts)
        array.pulse(counts)
        np.testing.assert_allclose(array.weights, w, rtol=0, atol=3e-6)
    for count in (1, -1, 40, -80):
        w = apply(pulse, w, np.full(array.shape, count))
        array.pulse(count)
        np.testing.assert_allclose(array.weights, w, rtol=0, atol=6e-6)


def test_slopes_beyond_their_zero_and_bounds_at_zero_follow_the_laws():
    """No sign guard beyond the zero of the line; a soft bound at 0 leaves a step constant."""
    steep = LinearStep(dw_min=0.01, dw_min_std=0.0, gamma_up=2.0, gamma_down=2.0, **NO_SPREAD, **NO_SLOPE_SPREAD)
    array = CrossbarArray((1, 2), steep, rng=0)
    array.program([[0.6, -0.6]])
    array.pulse([[1, -1]])
    np.testing.assert_allclose(array.weights, [[0.59, -0.59]], atol=1e-7)
    half = SoftBounds(dw_min=0.01, dw_min_std=0.0, w_min=0.0, w_max=1.0, **NO_SPREAD)
    array = CrossbarArray((1, 1), half, rng=0)
    array.program([[0.5]])
    array.pulse(-2)
    np.testing.assert_allclose(array.weights, [[0.48]], atol=1e-7)
    array.pulse(-100)
    assert array.weights == 0.0
    for kind, bound in itertools.product((SoftBounds, SoftBoundsReference), (1e-42, 1e-30)):  # dw_min / bound is not finite
        tiny = kind(dw_min=0.01, dw_min_std=0.0, w_min=-bound, w_max=1.0, **NO_SPREAD)
        array = CrossbarArray((1, 1), tiny, rng=0)
        array.pulse(-3)
        assert array.weights == -np.float32(bound)
        array.pulse(1)
        np.testing.assert_allclose(array.weights, [[0.01]], rtol=1e-6)
        array.pulse(-1)  # a step of 0.01 times 1 + 0.01 / bound
        assert array.weights == -np.float32(bound)


@pytest.mark.parametrize("by_update", [False, True])
@pytest.mark.parametrize("name", GOLDEN)
def test_pulse_curves_match_recorded_devices(name, by_update):
    """AIHWKit's up_down weakens one side; here the same steps are written with the symmetric one."""
    p, recorded = dict(GOLDEN[name]["parameters"]), GOLDEN[name]["w"]
    kind = getattr(rpu.devices, name.split()[0])

    def symmetric(mean, asymmetry):
        up, down = mean * (1 + min(asymmetry, 0)), mean * (1 - max(asymmetry, 0))
        return (up + down) / 2, (up - down) / (up + down)

    p["dw_min"], p["up_down"] = symmetric(p["dw_min"], p["up_down"])
    if "pow_gamma" in p:
        p["pow_gamma"], p["pow_up_down"] = symmetric(p["pow_gamma"], p.get("pow_up_down", 0.0))
    if p.get("subtract_symmetry_point"):  # the recorded tool's estimate, after this many steps
        smaller = p["dw_min"] * (1 - abs(p["up_down"]))
        p["n_estimation_steps"] = round(10 * (p["w_max"] - p["w_min"]) / smaller)
    spreads = NO_SPREAD | {f.name: 0.0 for f in dataclasses.fields(kind) if f.name.endswith("_dtod")}
    device = kind(**p, **(spreads | dict(dw_min_std=0.0)))
    scheme = PulseScheme(pulse_type="deterministic_implicit", desired_bl=1, update_management=False, update_bl_management=False)
    array = CrossbarArray((1, 1), device, pulses=scheme, rng=0)
    array.program([[recorded["w0"]]])

    def pulse(sign):
        if by_update:
            array.update([1.0], [-float(sign)], lr=device.granularity)
        else:
            array.pulse(sign)
        return array.weights[0, 0]

    for direction, sign in (("up", 1), ("down", -1)):
        for n in range(1, 201):
            w = pulse(sign)
            if f"{direction}{n}" in recorded:
                assert w == pytest.approx(recorded[f"{direction}{n}"], abs=1.5e-6)
    for _ in range(4000):
        raised, w = pulse(1), pulse(-1)
    assert raised == pytest.approx(recorded["alt_end_up"], abs=1.5e-6)
    assert w == pytest.approx(recorded["alt_end_down"], abs=1.5e-6)


# ---- updates by formula -----------------------------------------------------------------------------------------------

SCHEMES = [
    dict(update_management=um, update_bl_management=ublm, desired_bl=bl)
    for (um, ublm), bl in itertools.product(MANAGEMENTS, [1, 10, 31])
]
SCHEMES += [
    dict(update_management=True, update_bl_management=True, desired_bl=20, um_grad_scale=0.4),
    dict(update_management=True, update_bl_management=False, desired_bl=20, um_grad_scale=1.7),
    dict(update_management=False, update_bl_management=True, desired_bl=20, um_grad_scale=0.4),
    dict(update_management=False, update_bl_management=False, desired_bl=4, fixed_bl=False),
    dict(update_management=True, update_bl_management=False, desired_bl=4, fixed_bl=False),
    dict(update_management=True, update_bl_management=True, desired_bl=200),
    dict(desired_bl=31, power_of_two_scales=True),
    dict(desired_bl=4, power_of_two_scales=True),
    dict(desired_bl=20, power_of_two_scales=True, update_bl_management=False, um_grad_scale=0.3),
]


def expected_counts(x, d, lr, granularity, scheme, pulse_type):
    train = trains.trains(x, d, lr, granularity, **scheme)
    return getattr(trains, pulse_type)(train) * np.where(trains.upward(x, d, lr), 1, -1)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: "-".join(str(v) for v in s.values()))
@pytest.mark.parametrize("pulse_type", ["mean_count", "deterministic_implicit"])
@pytest.mark.parametrize("lr", [0.02, 0.3, -0.1])
def test_deterministic_counts_are_those_of_the_oracle(scheme, pulse_type, lr):
    array = CrossbarArray(
        (6, 9), SoftBounds(dw_min=0.007), pulses=PulseScheme(pulse_type=pulse_type, **scheme), rng=1, count_pulses=True
    )
    x, d = vectors(12, array.shape)
    up, down = np.zeros((2, 6, 9), dtype=np.int64)
    for a, b in zip(x, d, strict=True):
        counts = expected_counts(a, b, lr, 0.007, scheme, pulse_type)
        up, down = up + np.maximum(counts, 0), down + np.maximum(-counts, 0)
        array.update(a, b, lr)
        np.testing.assert_array_equal(array.device_pulse_count, (up, down))
    assert array.pulse_count == (up.sum(), down.sum())
    assert up.sum() + down.sum() > 0


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
@pytest.mark.parametrize("pulse_type", ["mean_count", "deterministic_implicit"])
@pytest.mark.parametrize("name", MODELS)
def test_deterministic_updates_are_those_of_the_oracle(name, pulse_type, kernels):
    use_kernel_set(kernels)
    scheme = dict(update_management=True, update_bl_management=True, desired_bl=15)
    device = quiet(MODELS[name])
    array = random_array(device, pulses=PulseScheme(pulse_type=pulse_type, **scheme))
    pulse, w = oracle_pulse(array), array.weights
    x, d = vectors(10, array.shape)
    for lr, sent in ((0.05, slice(0, 6)), (-0.03, slice(6, 10))):
        for a, b in zip(x[sent], d[sent], strict=True):
            w = apply(pulse, w, expected_counts(a, b, lr, device.granularity, scheme, pulse_type))
        array.update(x[sent], d[sent], lr)
        np.testing.assert_allclose(array.weights, w, rtol=0, atol=6e-6)


# ---- the noise of pulses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", MODELS)
def test_one_noisy_pulse_has_its_mean_and_its_spread(name, sign):
    """As the oracle has them, at a state where the actual step differs from the nominal one."""
    device = without_spread(MODELS[name], w_max=1.0, w_min=-1.0, dw_min_std=0.25)
    array = CrossbarArray((100, 200), device, rng=12)
    w0 = np.float32(0.4)
    array.program(np.full(array.shape, w0))
    array.pulse(sign)
    pulse = oracle_pulse(array)
    mean, one_sigma = (pulse(float(w0), sign > 0, xi=xi)[0, 0] for xi in (0.0, 1.0))
    assert abs(one_sigma - mean) > 0.1 * abs(mean - float(w0)) > 0.0
    change = array.weights.astype(np.float64) - float(w0)
    assert_normal(change, mean - float(w0), abs(one_sigma - mean))
    # the next pulse draws anew
    second = array.weights
    array.program(np.full(array.shape, w0))
    array.pulse(sign)
    assert abs(np.corrcoef((second - w0).ravel(), (array.weights - w0).ravel())[0, 1]) < Z_LIMIT / np.sqrt(second.size)


@pytest.mark.parametrize("name", MODELS)
def test_ramps_have_the_mean_and_the_spread_of_the_oracle(name):
    """After n up and n down pulses with noise, against as many trials of the oracle."""
    device = without_spread(MODELS[name], w_max=0.5, w_min=-0.5, dw_min_std=0.5)
    array = CrossbarArray((50, 60), device, rng=51)
    array.program(np.full(array.shape, -0.3))
    w, pulse, rng = array.weights.astype(np.float64), oracle_pulse(array), np.random.default_rng(52)
    for sign, n in ((1, 15), (1, 45), (-1, 30), (-1, 30)):
        array.pulse(sign * n)
        w = apply(pulse, w, np.full(array.shape, sign * n), rng)
        engine = array.weights.astype(np.float64)
        assert abs(engine.mean() - w.mean()) < Z_LIMIT * np.hypot(engine.std(), w.std()) / np.sqrt(w.size)
        assert stats.ks_2samp(engine.ravel(), w.ravel()).pvalue > P_LIMIT
        assert engine.std() == pytest.approx(w.std(), rel=0.12)


def test_many_noisy_pulses_add_their_variances():
    device = ConstantStep(dw_min=0.001, dw_min_std=0.4, up_down=0.2, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    array = CrossbarArray((100, 150), device, rng=13)
    array.pulse(50)
    assert_normal(array.weights, 50 * 0.0012, np.sqrt(50) * 0.4 * 0.0012)
    before = array.weights
    array.pulse(-20)
    assert_normal(array.weights - before, -20 * 0.0008, np.sqrt(20) * 0.4 * 0.0008)


@pytest.mark.parametrize("name", ["constant", "soft additive", "linear"])
def test_noisy_pulses_clip_one_after_another(name):
    """With noise as large as the step, clipping after every pulse and clipping once differ."""
    extra = NO_SLOPE_SPREAD if name.startswith("linear") else {}
    device = MODELS[name].replace(w_max=0.03, w_min=-0.05, dw_min_std=1.0, **NO_SPREAD, **extra)
    array = CrossbarArray((200, 250), device, rng=14)
    start = np.full(array.shape, 0.02)
    array.program(start)
    array.pulse(6)
    p = {key: value[:1, :1] for key, value in array.parameters.items()}
    other = CrossbarArray((1, 1), device, rng=0)
    for key, value in p.items():
        other.parameters[key] = value
    pulse, rng = oracle_pulse(other), np.random.default_rng(15)
    expected = apply(pulse, start, np.full(array.shape, 6), rng)
    got = array.weights.astype(np.float64)
    assert got.max() <= np.float32(0.03)
    assert stats.ks_2samp(got.ravel(), expected.ravel()).pvalue > P_LIMIT
    at_bound = [np.count_nonzero(v >= np.float32(0.03) - 1e-9) for v in (got, expected)]
    assert stats.fisher_exact([at_bound, [got.size - n for n in at_bound]]).pvalue > P_LIMIT


@pytest.mark.parametrize("bl", [1, 5, 33, 70])
def test_certain_trains_send_bl_noisy_pulses_to_every_device(bl):
    """All probabilities 1: every device gets BL pulses, each with its own noise, in several words of slots."""
    device = ConstantStep(dw_min=0.001, dw_min_std=0.3, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    array = CrossbarArray((90, 110), device, pulses=PulseScheme(desired_bl=bl), rng=16, count_pulses=True)
    array.update(np.ones(110), np.ones(90), lr=2 * bl * 0.001)
    assert (array.device_pulse_count.down == bl).all() and not array.device_pulse_count.up.any()
    assert_normal(array.weights, -bl * 0.001, np.sqrt(bl) * 0.3 * 0.001)
    array.update(-np.ones(110), np.ones(90), lr=2 * bl * 0.001)
    assert_normal(array.weights, 0.0, np.sqrt(2 * bl) * 0.3 * 0.001)


@pytest.mark.parametrize("name", MODELS)
def test_weights_stay_within_the_bounds_of_their_devices(name):
    array = CrossbarArray((20, 30), MODELS[name].replace(dw_min=0.1, dw_min_std=2.0), rng=17)
    p = array.parameters
    for lr in (5.0, -5.0):
        array.update(*vectors(40, array.shape), lr)
        low, high = array.device.bounds_of(p)
        assert (array.weights <= high + 2e-7).all() and (array.weights >= low - 2e-7).all()
        assert (array.weights >= high - 2e-7).any() and (array.weights <= low + 2e-7).any()


# ---- ideal devices ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
@pytest.mark.parametrize("n", [1, 3, 4, 9])
def test_ideal_devices_take_every_change_in_float32(n, kernels):
    use_kernel_set(kernels)
    array = CrossbarArray((5, 37), Ideal(), rng=0)
    w = np.random.default_rng(1).normal(size=(5, 37)).astype(np.float32)
    array.program(w)
    x, d = vectors(n, array.shape)
    for a, b in zip(x, d, strict=True):
        w = w - (np.float32(0.3) * b)[:, None] * a
    array.update(x, d, 0.3)
    np.testing.assert_array_equal(array.weights, w)
    assert array.pulse_count == (0, 0)


# ---- write noise ------------------------------------------------------------------------------------------------------


def test_write_noise_hides_the_state_and_does_not_accumulate():
    device = SoftBounds(dw_min=0.01, dw_min_std=0.0, write_noise_std=4.0, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    array = CrossbarArray((150, 100), device, rng=41)
    still = CrossbarArray((150, 100), device.replace(write_noise_std=0.0), rng=41)
    for one in (array, still):
        one.program(np.full(one.shape, 0.5))
    assert_normal(array.weights, 0.5, 0.04)
    seen = [array.weights]
    for n in (1, 3, -60):
        array.pulse(n)
        still.pulse(n)
        np.testing.assert_array_equal(array._state, still.weights)  # pulses act on what is hidden
        assert_normal(array.weights - array._state, 0.0, 0.04)
        seen.append(array.weights - array._state)
    for a, b in itertools.combinations(seen, 2):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < Z_LIMIT / np.sqrt(a.size)
    ideal = CrossbarArray((3, 4), device, forward=Periphery.ideal(), rng=1)  # it is part of what is read
    np.testing.assert_allclose(ideal.forward(np.eye(4)), ideal.weights.T, atol=1e-7)
    assert np.abs(ideal.weights).min() > 0.0


def test_write_noise_is_drawn_where_a_pulse_falls_and_nowhere_else():
    device = SoftBounds(dw_min=0.01, write_noise_std=4.0)
    array = CrossbarArray((40, 60), device, rng=42, count_pulses=True)
    for rate in (0.05, 1.0):  # lists and masks
        before, counts = array.weights, sum(array.device_pulse_count)
        array.update(*vectors(3, array.shape), rate * device.dw_min)
        touched = sum(array.device_pulse_count) > counts
        assert 20 < touched.sum() < touched.size
        np.testing.assert_array_equal(array.weights == before, ~touched)
        array._state[...] = 0.0
        array.pulse(touched.astype(int))
        assert np.std((array.weights - array._state)[touched]) == pytest.approx(0.04, rel=5 / np.sqrt(2 * touched.sum()))


# ---- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, d, lr, error, words",
    [
        ([1.0, 2.0], [1.0, 2.0], 0.1, ValueError, ["x", "3", "(2,)"]),
        ([1.0] * 3, [1.0] * 3, 0.1, ValueError, ["d", "2", "(3,)"]),
        (np.ones((4, 3)), np.ones((3, 2)), 0.1, ValueError, ["d", "as many vectors", "(4, 3)", "(3, 2)"]),
        (np.ones((1, 3)), np.ones(2), 0.1, ValueError, ["d", "vectors", "(1, 3)", "(2,)"]),
        (np.ones((1, 1, 3)), np.ones((1, 1, 2)), 0.1, ValueError, ["x", "(1, 1, 3)"]),
        ([1.0, np.nan, 0.0], [1.0, 2.0], 0.1, ValueError, ["x", "finite", "nan", "(1,)"]),
        ([1.0] * 3, [1.0, np.inf], 0.1, ValueError, ["d", "finite", "inf", "(1,)"]),
        (np.full((2, 3), 1e39), np.ones((2, 2)), 0.1, ValueError, ["x", "finite float32", "1e+39"]),
        (np.ones(3, complex), np.ones(2), 0.1, TypeError, ["x", "complex"]),
        (["a", "b", "c"], np.ones(2), 0.1, TypeError, ["x", "real", "<U1"]),
        (None, np.ones(2), 0.1, (TypeError, ValueError), ["x"]),
        ([[1.0], [1.0, 2.0]], np.ones(2), 0.1, (TypeError, ValueError), ["x"]),
        (np.ones(3), np.ones(2), np.nan, ValueError, ["lr", "finite", "nan"]),
        (np.ones(3), np.ones(2), np.inf, ValueError, ["lr", "finite", "inf"]),
        (np.ones(3), np.ones(2), "0.1", TypeError, ["lr", "'0.1'"]),
        (np.ones(3), np.ones(2), None, TypeError, ["lr", "None"]),
        (np.ones(3), np.ones(2), 1j, TypeError, ["lr", "1j"]),
    ],
)
def test_hostile_updates_are_refused_and_leave_no_trace(x, d, lr, error, words):
    for device in (SoftBounds(), Ideal()):
        array = CrossbarArray((2, 3), device, rng=0)
        array.program(np.full((2, 3), 0.1))
        before = array.state_dict()
        with pytest.raises(error) as caught:
            array.update(x, d, lr)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert str(caught.value).startswith(words[0])
        after = array.state_dict()
        np.testing.assert_array_equal(before.pop("weights"), after.pop("weights"))
        assert repr(before) == repr(after)


def test_rates_beyond_the_longest_free_train_are_refused():
    scheme = PulseScheme(fixed_bl=False, update_bl_management=False)
    array = CrossbarArray((1, 1), ConstantStep(dw_min=0.001), pulses=scheme, rng=0)
    array.update([1.0], [1.0], 65.0)
    for lr in (66.0, -66.0):
        with pytest.raises(ValueError, match=f"lr must be at most 65535 dw_min.*fixed_bl=False.*; got {lr:g}"):
            array.update([1.0], [1.0], lr)


@pytest.mark.parametrize(
    "counts, error, words",
    [
        (1.0, TypeError, ["integers", "float64"]),
        ("3", TypeError, ["integers", "<U1"]),
        (True, TypeError, ["integers", "bool"]),
        (None, TypeError, ["integers", "object"]),
        ([[1, 2, 3]], ValueError, ["shape (2, 3)", "(1, 3)"]),
        ([1, 2, 3], ValueError, ["shape (2, 3)", "(3,)"]),
        (2**31, ValueError, ["2147483647", "2147483648"]),
        (-(2**31), ValueError, ["2147483647", "-2147483648"]),
    ],
)
def test_hostile_pulses_are_refused(counts, error, words):
    array = CrossbarArray((2, 3), SoftBounds(), rng=0)
    with pytest.raises(error) as caught:
        array.pulse(counts)
    assert all(word in str(caught.value) for word in ["counts", *words]), str(caught.value)
    assert not array.weights.any() and array.pulse_count == (0, 0)


def test_ideal_devices_take_no_pulses():
    with pytest.raises(ValueError, match=r"pulse needs a device that takes pulses; got Ideal\(\)"):
        CrossbarArray((2, 3), Ideal(), rng=0).pulse(1)


def test_management_of_lengths_brings_update_management():
    """Short trains clip where the two are not balanced: a third of the change, here."""
    device = ConstantStep(
        dw_min=0.001, dw_min_dtod=0.0, up_down_dtod=0.0, dw_min_std=0.0, w_max=1e3, w_min=-1e3, w_max_dtod=0.0, w_min_dtod=0.0
    )
    moved = []
    for managed in (False, True):
        array = CrossbarArray((1, 1), device, pulses=PulseScheme(update_management=managed), rng=0)
        array.update(np.ones((20000, 1)), np.full((20000, 1), 0.1), 0.1)
        moved.append(array.weights[0, 0])
    assert moved[0] == moved[1] == pytest.approx(-20000 * 0.01, rel=0.01)
