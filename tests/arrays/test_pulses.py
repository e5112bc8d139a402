"""Pulses and updates: pulse by pulse against the oracle, in law against analytic distributions, to equal bits."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from oracle import devices as oracle
from oracle import pulses as trains
from scipy import stats

import rpusim as rpu
from rpusim import CrossbarArray, Periphery, PulseScheme, checkpoint
from rpusim._core.kernels import active_kernel_set, kernel_sets, normals, use_kernel_set
from rpusim.devices import (
    ConstantStep,
    ExpStep,
    FromResponse,
    Ideal,
    LinearStep,
    PiecewiseStep,
    PowStep,
    PowStepReference,
    SoftBounds,
    SoftBoundsReference,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["single_device"]
P_LIMIT = 1e-6
Z_LIMIT = 5.0
ACTIVE = active_kernel_set()
NO_SPREAD = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
NO_SLOPE_SPREAD = dict(gamma_up_dtod=0.0, gamma_down_dtod=0.0)
# dw_min 1 between bounds that are never reached: the weight is the signed number of pulses
COUNTER = ConstantStep(dw_min=1.0, dw_min_std=0.0, w_max=1e6, w_min=-1e6, **NO_SPREAD)
MODELS = {
    "constant": ConstantStep(dw_min=0.01, up_down=0.1),
    "linear": LinearStep(dw_min=0.01, gamma_up=0.6, gamma_down=0.4, up_down=-0.1),
    "linear additive": LinearStep(dw_min=0.01, gamma_up=0.6, gamma_down=0.4, mean_bound_reference=False, mult_noise=False),
    "soft": SoftBounds(dw_min=0.01, up_down=0.1),
    "soft additive": SoftBounds(dw_min=0.01, mult_noise=False),
    "linear reversed": LinearStep(dw_min=0.01, gamma_up=0.6, gamma_down=0.4, reverse_up=True, reverse_down=True),
    "reference": SoftBoundsReference(dw_min=0.01, up_down=0.1, reference_std=0.1),
    "reference multiplicative": SoftBoundsReference(
        dw_min=0.01, reference_mean=0.1, slope_up_dtod=0.2, subtract_symmetry_point=True, mult_noise=True
    ),
    "exp": ExpStep(dw_min=0.01, up_down=0.1),
    "exp complex": ExpStep(dw_min=0.01, dw_min_std_add=0.004, dw_min_std_slope=0.02),
    "pow": PowStep(dw_min=0.02, pow_gamma=1.5, pow_up_down=0.1, pow_up_down_dtod=0.02),
    "pow reference": PowStepReference(dw_min=0.02, pow_gamma=0.7, up_down=0.1, reference_std=0.1),
    "piecewise": PiecewiseStep(dw_min=0.01, piecewise_up=(1.5, 1.2, 0.8, 0.1), piecewise_down=(0.3, 0.9, 1.0, 1.3)),
    "tabulated": FromResponse(
        lambda w: 0.01 * np.exp(-w), lambda w: 0.01 * np.exp(w), dw_min_dtod=0.3, dw_min_std=0.3, nodes=65
    ),
    "one node": PiecewiseStep(dw_min=0.01),
}
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


def random_array(device, shape=(17, 23), **settings):
    """An array with weights spread over its devices' ranges."""
    array = CrossbarArray(shape, device, rng=3, **settings)
    p = array.parameters
    low, high = device.bounds_of(p)
    array.program(low + (high - low) * np.random.default_rng(4).random(shape))
    return array


def vectors(n, shape, seed=5, scale=1.0):
    """n pairs (x, d), float32, with zeros among them."""
    rng = np.random.default_rng(seed)
    x, d = rng.normal(0, 0.5, (n, shape[1])), rng.normal(0, scale, (n, shape[0]))
    x[rng.random(x.shape) < 0.1] = 0.0
    d[rng.random(d.shape) < 0.1] = 0.0
    return x.astype(np.float32), d.astype(np.float32)


def chi2_p(statistic, n):
    return 2 * min(stats.chi2.cdf(statistic, n), stats.chi2.sf(statistic, n))


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


# ---- pulse by pulse -----------------------------------------------------------------------------------------------


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


# ---- updates by formula -------------------------------------------------------------------------------------------

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


# ---- the noise of pulses ------------------------------------------------------------------------------------------


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


# ---- stochastic trains --------------------------------------------------------------------------------------------

X = np.array([0.9, -0.35, 0.6, 0.05, 0.0], dtype=np.float32)
D = np.array([-0.5, 0.8, 0.15, 0.0], dtype=np.float32)
STOCHASTIC = [
    (dict(update_management=um, update_bl_management=ublm, desired_bl=bl), k)
    for (um, ublm), (bl, k) in itertools.product(MANAGEMENTS, [(1, 0.6), (31, 3.7), (31, 12.0), (32, 25.0), (33, 20.5)])
]
STOCHASTIC += [
    (dict(update_management=True, update_bl_management=False, desired_bl=100), 40.0),
    (dict(update_management=True, update_bl_management=True, desired_bl=10), 25.0),  # d saturates
    (dict(update_management=False, update_bl_management=False, desired_bl=5), 9.0),
    (dict(update_management=True, update_bl_management=True, desired_bl=31, um_grad_scale=0.5), 9.0),
    (dict(update_management=False, update_bl_management=False, desired_bl=5, fixed_bl=False), 36.5),
    (dict(desired_bl=31, power_of_two_scales=True), 9.0),
    (dict(desired_bl=10, power_of_two_scales=True), 12.5),  # d saturates
    (dict(desired_bl=31, power_of_two_scales=True, shared_random_numbers=True), 0.5),  # one slot
    (dict(desired_bl=40, power_of_two_scales=True, shared_random_numbers=True), 24.0),
    (dict(desired_bl=31, shared_random_numbers=True), 12.0),
    (dict(desired_bl=33, shared_random_numbers=True, update_bl_management=False, update_management=False), 20.5),
]
ESSOP = dict(power_of_two_scales=True, shared_random_numbers=True)


def signed_counts(scheme, lr, repeats, seed, x=X, d=D):
    """Signed numbers of pulses of every device in each of many equal updates, from the weights of a counter."""
    array = CrossbarArray((d.size, x.size), COUNTER, pulses=PulseScheme(**scheme), rng=seed, count_pulses=True)
    states = np.empty((repeats + 1, d.size, x.size))
    states[0] = 0.0
    for k in range(repeats):
        array.update(x, d, lr)
        states[k + 1] = array._weights
    counts = np.diff(states, axis=0)
    up, down = array.device_pulse_count
    np.testing.assert_array_equal(up - down, states[-1])
    np.testing.assert_array_equal(up + down, np.abs(counts).sum(axis=0))
    assert array.pulse_count == (up.sum(), down.sum())
    return counts


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scheme, k", STOCHASTIC, ids=[f"{'-'.join(map(str, s.values()))}-{k}" for s, k in STOCHASTIC])
def test_stochastic_counts_are_binomial_and_share_the_trains_of_their_lines(scheme, k, sign):
    repeats, lr = 3000, sign * k / 0.72  # max|x| max|d| = 0.72
    train = trains.trains(X, D, lr, 1.0, **scheme)
    signed = signed_counts(scheme, lr, repeats, seed=18)
    counts = np.abs(signed)
    up = trains.upward(X, D, lr)
    assert (np.sign(signed) == np.where(up, 1, -1))[counts > 0].all()
    assert counts.max() <= train.length
    # the histogram of every device
    for i, j in np.ndindex(D.size, X.size):
        p = train.p_d[i] * train.p_x[j]
        expected = stats.binom.pmf(np.arange(train.length + 1), train.length, p) * repeats
        observed = np.bincount(counts[:, i, j].astype(int), minlength=train.length + 1)
        if p in (0.0, 1.0):
            np.testing.assert_array_equal(observed, np.rint(expected))
            continue
        likely = expected >= 5
        assert likely.any()
        pairs = list(zip(observed[likely], expected[likely], strict=True))
        pairs.append((observed[~likely].sum(), expected[~likely].sum()))
        statistic = sum((o - e) ** 2 / e for o, e in pairs if e > 0.5)
        bins = sum(e > 0.5 for _, e in pairs)
        if bins > 1:
            assert stats.chi2.sf(statistic, bins - 1) > P_LIMIT
        error = Z_LIMIT * np.sqrt(train.length * p * (1 - p) / repeats)
        assert abs(counts[:, i, j].mean() - train.length * p) < error + 1e-4
    # the covariance of every pair of devices
    cells = [(i, j) for i, j in np.ndindex(D.size, X.size) if 0 < train.p_d[i] * train.p_x[j] < 1]
    centred = counts - trains.count_mean(train)
    for a, b in itertools.combinations(cells, 2):
        product = centred[(slice(None), *a)] * centred[(slice(None), *b)]
        expected = trains.count_covariance(train, a, b)
        error = 5.5 * product.std() / np.sqrt(repeats) + 5e-4 * train.length
        assert abs(product.mean() - expected) < error, (a, b)


@pytest.mark.parametrize("bl, length", [(1, 1), (31, 31), (32, 32), (33, 33), (100, 100)])
def test_every_slot_of_a_train_is_used(bl, length):
    """One firing row and column: counts are Binomial(BL, p), whose variance tells BL from its mean."""
    scheme = dict(update_management=True, update_bl_management=False, desired_bl=bl)
    x, d = np.ones(1, np.float32), np.ones(1, np.float32)
    counts = -signed_counts(scheme, 0.5 * bl, 20_000, seed=19, x=x, d=d)[:, 0, 0]
    assert abs(counts.mean() - 0.5 * bl) < Z_LIMIT * np.sqrt(bl * 0.25 / counts.size)
    kurtosis = (1 - 6 * 0.25) / (bl * 0.25)
    error = Z_LIMIT * bl * 0.25 * np.sqrt((2 + kurtosis) / counts.size)
    assert abs(counts.var() - bl * 0.25) < error + 1e-3
    assert counts.max() <= length


@pytest.mark.parametrize("k", [0.01, 0.999, 1.001, 3.2, 30.9, 31.1, 500.0])
@pytest.mark.parametrize("um, ublm", MANAGEMENTS)
def test_train_lengths_follow_bl_management(k, um, ublm):
    """With a row and a column that always fire, the count is the length."""
    scheme = PulseScheme(update_management=um, update_bl_management=ublm)
    array = CrossbarArray((1, 1), COUNTER, pulses=scheme, rng=20)
    train = trains.trains([2.0], [0.5], k, 1.0, 31, update_management=um, update_bl_management=ublm)
    assert train.length == (min(int(np.ceil(k)), 31) if ublm else 31)
    n = 4000
    array.update(np.full((n, 1), 2.0), np.full((n, 1), 0.5), k)
    p = train.p_x[0] * train.p_d[0]
    total = n * train.length
    if p == 1.0:
        assert array.pulse_count == (0, total)
    else:
        count = array.pulse_count.down
        assert 2 * min(stats.binom.cdf(count, total, p), stats.binom.sf(count - 1, total, p)) > P_LIMIT


@pytest.mark.parametrize("um, ublm", MANAGEMENTS)
@pytest.mark.parametrize("lr", [0.004, -0.01])
def test_the_mean_and_variance_of_an_update(um, ublm, lr):
    """E[dW] = -lr x d s/g for a device of step s while nothing saturates, Var[dW] = s^2 BL p (1 - p + sigma^2)."""
    device = ConstantStep(dw_min=0.001, dw_min_std=0.5, dw_min_dtod=0.3, up_down_dtod=0.1, w_max=1e3, w_min=-1e3)
    array = CrossbarArray((D.size, X.size), device, pulses=PulseScheme(update_management=um, update_bl_management=ublm), rng=21)
    train = trains.trains(X, D, lr, 0.001, 31, update_management=um, update_bl_management=ublm)
    up = trains.upward(X, D, lr)
    step = np.where(up, array.parameters["step_up"], array.parameters["step_down"]).astype(np.float64)
    repeats = 6000
    changes = np.empty((repeats, *array.shape))
    for k in range(repeats):
        array.program(np.zeros(array.shape))
        array.update(X, D, lr)
        changes[k] = array._weights
    mean = np.where(up, step, -step) * trains.count_mean(train)
    if max(train.a * 0.8, train.b * 0.9) <= 1:
        np.testing.assert_allclose(mean, -lr * np.outer(D.astype(np.float64), X) * step / 0.001, rtol=1e-9)
    variance = trains.update_variance(train, step, 0.5)
    assert (np.abs(changes.mean(axis=0) - mean) <= Z_LIMIT * np.sqrt(variance / repeats)).all()
    squares = (changes - mean) ** 2
    assert (np.abs(squares.mean(axis=0) - variance) <= 5.5 * squares.std(axis=0) / np.sqrt(repeats)).all()
    assert not changes[:, 3].any() and not changes[:, :, 4].any()  # zeros of d and of x


@pytest.mark.parametrize("options", [{}, ESSOP], ids=["independent", "essop"])
@pytest.mark.parametrize("k", [0.5, 6.0, 200.0])
@pytest.mark.parametrize("columns", [16, 77, 300])
def test_counts_of_wide_arrays_are_binomial(columns, k, options):
    """Rare and dense slots, whole and partial groups of columns: mean and variance of every device, none left out."""
    rng, repeats = np.random.default_rng(26), 1500
    x = (rng.choice([-1, 1], columns) * 10.0 ** rng.uniform(-2, 0, columns)).astype(np.float32)
    d = (rng.choice([-1, 1], 6) * rng.uniform(0.1, 1.0, 6)).astype(np.float32)
    scheme = dict(update_management=True, update_bl_management=True, desired_bl=40) | options
    train = trains.trains(x, d, k, 1.0, **scheme)
    counts = np.abs(signed_counts(scheme, k, repeats, seed=27, x=x, d=d))
    mean, variance = trains.count_mean(train), trains.count_variance(train)
    p = mean / train.length
    total = counts.sum(axis=0)
    law = stats.binom(repeats * train.length, p)
    tails = np.minimum(law.cdf(total), law.sf(total - 1))
    assert (2 * tails > P_LIMIT / 100).all()
    squares = (counts - mean) ** 2
    often = repeats * mean > 100
    error = 6 * squares.std(axis=0) / np.sqrt(repeats) + 1e-6
    assert (np.abs(squares.mean(axis=0) - variance) < error)[often].all()


def test_trains_of_one_update_and_the_next_are_independent():
    scheme = dict(update_management=True, update_bl_management=False, desired_bl=4)
    counts = np.abs(signed_counts(scheme, 2.0 / 0.72, 8000, seed=22))[:, :3, :4].reshape(8000, -1)
    z = counts - counts.mean(axis=0)
    z /= z.std(axis=0)
    assert np.abs(z[1:].T @ z[:-1] / np.sqrt(7999)).max() < 5.5


def test_arrays_of_other_seeds_draw_other_trains():
    scheme = dict(update_management=True, update_bl_management=False, desired_bl=4)
    a, b = (np.abs(signed_counts(scheme, 2.0 / 0.72, 4000, seed=s))[:, 1, 0] for s in (1, 2))
    assert abs(np.corrcoef(a, b)[0, 1]) < Z_LIMIT / np.sqrt(4000)


@pytest.mark.parametrize("options", [{}, dict(power_of_two_scales=True), dict(shared_random_numbers=True), ESSOP], ids=str)
def test_shared_random_numbers_make_the_trains_of_lines_comonotone(options):
    """A device gets no more pulses than one of the same column and a row of larger |d|, and likewise along the row; equal lines
    get equal pulses. Independent trains break both."""
    x, d = np.array([0.3, -0.6, 0.6, 0.75]), np.array([0.2, -0.9, 0.9])
    counts = np.abs(signed_counts(dict(desired_bl=8, **options), 6.0, 400, seed=33, x=x, d=d))
    ordered = (np.diff(counts, axis=1) >= 0).all() and (np.diff(counts, axis=2) >= 0).all()
    equal = np.array_equal(counts[:, :, 1], counts[:, :, 2]) and np.array_equal(counts[:, 1], counts[:, 2])
    assert ordered == equal == options.get("shared_random_numbers", False)
    # the numbers of rows and columns are not the same: with one number for both, counts would be of probability min, not p q
    train = trains.trains(x, d, 6.0, 1.0, 8, **options)
    total, law = counts[:, 0, 0].sum(), stats.binom(400 * train.length, train.p_d[0] * train.p_x[0])
    assert 2 * min(law.cdf(total), law.sf(total - 1)) > P_LIMIT


def test_trains_with_shared_random_numbers_are_new_for_every_vector_and_slot():
    counts = -signed_counts(dict(desired_bl=1, **ESSOP), 0.5, 6000, seed=34, x=np.ones(1), d=np.ones(1))[:, 0, 0]
    assert 2 * min(stats.binom.cdf(counts.sum(), 6000, 0.5), stats.binom.sf(counts.sum() - 1, 6000, 0.5)) > P_LIMIT
    assert abs(np.corrcoef(counts[1:], counts[:-1])[0, 1]) < Z_LIMIT / np.sqrt(6000)
    scheme = dict(desired_bl=70, update_bl_management=False, **ESSOP)
    counts = -signed_counts(scheme, 35.0, 6000, seed=35, x=np.ones(1), d=np.ones(1))[:, 0, 0]  # slots alike: variance 70^2 / 4
    assert counts.var() == pytest.approx(70 / 4, rel=Z_LIMIT * np.sqrt(2 / 6000))


@pytest.mark.parametrize("x_max, d_max", [(2.0, 0.5), (1.9, 0.26), (2.1, 0.5), (2.0**-126, 2.0**60)])
def test_power_of_two_scales_are_the_next_powers_of_two(x_max, d_max):
    """A column at the scale always fires, one at half of it in half of the slots; the rows keep the mean at the rate."""
    scale_x, scale_d = (2.0 ** np.ceil(np.log2(m)) for m in (x_max, d_max))
    x, d = np.array([x_max, x_max / 2]), np.array([d_max])
    lr = 20.0 / (scale_x * scale_d)  # 20 slots in which a row at its scale always fires
    counts = -signed_counts(dict(desired_bl=31, power_of_two_scales=True), lr, 4000, seed=36, x=x, d=d)[:, 0]
    p = np.array([1.0, 0.5]) * x_max / scale_x * d_max / scale_d
    for column in range(2):
        law, total = stats.binom(4000 * 20, p[column]), counts[:, column].sum()
        if p[column] == 1.0:
            assert total == 4000 * 20
        else:
            assert 2 * min(law.cdf(total), law.sf(total - 1)) > P_LIMIT
    np.testing.assert_allclose(20 * p, lr * x * d)


@pytest.mark.parametrize("options", [dict(power_of_two_scales=True), ESSOP], ids=["scales", "essop"])
@pytest.mark.parametrize("lr", [0.004, -0.013])
def test_the_mean_of_an_update_by_essop_is_that_of_the_rate(lr, options):
    device = ConstantStep(dw_min=0.001, dw_min_std=0.0, w_max=1e3, w_min=-1e3, **NO_SPREAD)
    array = CrossbarArray((D.size, X.size), device, pulses=PulseScheme(**options), rng=37)
    n = 20_000
    array.update(np.tile(X, (n, 1)), np.tile(D, (n, 1)), lr)
    train = trains.trains(X, D, lr, 0.001, 31, **options)
    error = Z_LIMIT * np.sqrt(n * trains.update_variance(train, 0.001, 0.0)) + 1e-5 * n * abs(lr)
    assert (np.abs(array.weights + n * lr * np.outer(D, X).astype(float)) <= error).all()
    assert error.max() < 0.03 * n * abs(lr)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(power_of_two_scales=True, update_management=False, update_bl_management=False),
         ["power_of_two_scales", "update_management=False"]),
        (dict(power_of_two_scales=True, update_bl_management=False, fixed_bl=False), ["power_of_two_scales", "fixed_bl=False"]),
        (dict(shared_random_numbers=True, pulse_type="mean_count"), ["shared_random_numbers", "'mean_count'"]),
        (dict(shared_random_numbers=1), ["shared_random_numbers", "1"]),
    ],
)  # fmt: skip
def test_options_of_trains_that_contradict_each_other_are_refused(options, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        PulseScheme(**options)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("pulse_type", ["stochastic", "mean_count", "deterministic_implicit"])
@pytest.mark.parametrize("um, ublm", MANAGEMENTS)
def test_zero_vectors_and_zero_rates_send_no_pulses(um, ublm, pulse_type):
    scheme = PulseScheme(update_management=um, update_bl_management=ublm, pulse_type=pulse_type)
    array = random_array(SoftBounds(), pulses=scheme)
    before = array.weights
    x, d = vectors(3, array.shape)
    for a, b in ((x, 0 * d), (0 * x, d), (0 * x, 0 * d), (x[:0], d[:0])):
        array.update(a, b, 0.1)
    for lr in (0.0, 1e-300):
        array.update(x, d, lr)
    np.testing.assert_array_equal(array.weights, before)
    assert array.pulse_count == (0, 0)


def test_extreme_updates_stay_finite_and_within_bounds():
    for um, ublm in MANAGEMENTS:
        array = random_array(SoftBounds(), pulses=PulseScheme(update_management=um, update_bl_management=ublm))
        p = array.parameters
        for scale in (1e-38, 1e38):
            for lr in (1e-30, 1.0, 1e30):
                x, d = vectors(2, array.shape)
                array.update(x * np.float32(scale), d, lr)
                array.update(x, d * np.float32(scale), lr)
        low, high = array.device.bounds_of(p)
        assert (array.weights <= high + 2e-7).all() and (array.weights >= low - 2e-7).all()


# ---- sums of pulses -----------------------------------------------------------------------------------------------
# Many pulses of a ConstantStep are one draw. A LinearStep without slopes has the same law and trains, pulse by pulse.


def many(device, shape=(96, 200), seed=31, start=0.0, bl=31, rate=6.0, vectors=1, count=False):
    """An array after vectors that give each device `rate` pulses on average, and those vectors."""
    rng = np.random.default_rng(seed)
    x, d = rng.uniform(-1, 1, (vectors, shape[1])), rng.uniform(-1, 1, (vectors, shape[0]))
    array = CrossbarArray(shape, device, pulses=PulseScheme(desired_bl=bl), rng=seed, count_pulses=count)
    array.program(np.full(shape, start))
    return array, (x, d, rate * device.dw_min / 0.25)


def one_by_one(device):
    fields = {f.name: getattr(device, f.name) for f in dataclasses.fields(device)}
    return LinearStep(**fields, gamma_up=0.0, gamma_down=0.0, **NO_SLOPE_SPREAD)


@pytest.mark.parametrize("bl, rate", [(31, 6.0), (31, 1.5), (100, 20.0), (7, 1.2)])
@pytest.mark.parametrize("columns", [1, 37, 200])
def test_sums_without_noise_are_the_pulses_one_by_one(bl, rate, columns):
    device = ConstantStep(dw_min=0.001, dw_min_std=0.0)
    weights = []
    for one in (device, one_by_one(device)):
        array, update = many(one, (64, columns), bl=bl, rate=rate, vectors=5)
        for name, value in {"step_up": 0.001, "step_down": 0.0012, "w_max": 0.03, "w_min": -0.03}.items():
            array.parameters[name] = np.full((64, columns), value)  # equal devices; some bounds are reached
        array.update(*update)
        weights.append(array.weights)
    np.testing.assert_allclose(*weights, atol=1e-6)
    assert weights[0].min() == np.float32(-0.03) or columns == 1 or rate < 6.0


def test_a_sum_has_the_mean_and_the_spread_of_its_pulses():
    """z = (change - c step) / (sigma step sqrt(c)) is standard normal, and independent from device to device."""
    sigma, step = 0.5, 0.001
    device = ConstantStep(dw_min=step, dw_min_std=sigma, w_max=50.0, w_min=-50.0, **NO_SPREAD)
    array, update = many(device, (256, 256), count=True)
    array.update(*update)
    up, down = array.device_pulse_count
    c = (up + down).astype(np.float64)
    assert c.mean() > 3.0 and not (up * down).any()
    fired = c > 0
    z = ((array.weights - step * (up - down)) / (sigma * step * np.sqrt(np.maximum(c, 1.0))))[fired]
    assert stats.kstest(z, "norm").pvalue > P_LIMIT
    for lag in (1, 16, 64):
        assert abs(np.sum(z[lag:] * z[:-lag])) < Z_LIMIT * np.sqrt(z.size - lag)
    for part in (z[c[fired] <= 2], z[c[fired] >= 8]):
        assert abs(np.mean(part**2) - 1) < Z_LIMIT * np.sqrt(2 / part.size)


def test_a_sum_takes_one_draw_of_a_line_of_its_own():
    """The draw of a device is at the place of its column, on the line of its row, of the operation of its vector."""
    sigma, step, shape = 0.5, 0.001, (64, 150)
    device = ConstantStep(dw_min=step, dw_min_std=sigma, w_max=50.0, w_min=-50.0, **NO_SPREAD)
    array, (x, d, lr) = many(device, shape, vectors=3, count=True)
    summed = 0
    for k, rate in enumerate((lr, -lr, lr)):
        before, counted = array.weights, np.array(array.device_pulse_count)
        array.update(x[k], d[k], rate)
        up, down = np.array(array.device_pulse_count) - counted
        for i in np.flatnonzero((up + down).sum(axis=1) >= shape[1]):
            xi = normals(array._core.devices.key, shape[1], line=1 + i, operation=k, kind=2)
            c = up[i] + down[i]
            expected = before[i] + step * np.sign(up[i] - down[i]) * (c + sigma * np.sqrt(c) * xi)
            np.testing.assert_allclose(array.weights[i], expected, atol=1e-6)
            summed += 1
    assert summed > 100


@pytest.mark.parametrize("start, sigma", [(0.0, 0.6), (0.035, 0.6), (-0.04, 0.6), (0.035, 3.0), (-0.045, 3.0)])
def test_sums_near_a_bound_have_the_law_of_pulses_that_clip(start, sigma):
    """With noise of 3 steps the path matters: sums that are clipped at their end have p = 3e-23."""
    device = ConstantStep(dw_min=0.002, dw_min_std=sigma, w_max=0.05, w_min=-0.05)
    found = []
    for seed, one in ((41, device), (42, one_by_one(device))):
        _, update = many(one, (256, 256), rate=8.0)
        array = CrossbarArray((256, 256), one, rng=seed)
        array.program(np.full((256, 256), start))
        array.update(*update)
        found.append(array.weights.ravel())
    assert stats.ks_2samp(*found).pvalue > P_LIMIT


def test_sums_heed_bounds_where_steps_are_negative():
    options = dict(dw_min=0.01, dw_min_dtod=1.0, w_max_dtod=0.0, w_min_dtod=0.0, up_down_dtod=0.0, enforce_consistency=False)
    device = ConstantStep(w_max=0.05, w_min=-0.05, **options)
    array = CrossbarArray((32, 32), device, pulses=PulseScheme(desired_bl=31), rng=1)
    assert array.parameters["step_up"].min() < 0.0
    for _ in range(5):
        array.update(np.ones((1, 32)), np.ones((1, 32)), 0.2)
    assert np.abs(array.weights).max() <= np.float32(0.05)


# ---- ideal devices ------------------------------------------------------------------------------------------------


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


# ---- the same bits ------------------------------------------------------------------------------------------------

SHAPE, VECTORS = (48, 600), 64  # several parts of trains, several blocks of rows, work for two threads
DETERMINISM = {
    "constant": (MODELS["constant"], {}),
    "constant, summed": (MODELS["constant"].replace(dw_min=0.0005, w_max=0.05), {}),
    "linear": (MODELS["linear"], {}),
    "soft": (MODELS["soft"], {}),
    "soft additive": (MODELS["soft additive"], {}),
    "long trains": (MODELS["soft"], dict(desired_bl=100, update_bl_management=False)),
    "essop": (MODELS["soft"], dict(power_of_two_scales=True, shared_random_numbers=True)),
    "shared": (MODELS["soft"], dict(desired_bl=70, update_bl_management=False, shared_random_numbers=True)),
    "mean_count": (MODELS["soft"], dict(pulse_type="mean_count")),
    "deterministic_implicit": (MODELS["soft"], dict(pulse_type="deterministic_implicit")),
    "exp complex": (MODELS["exp complex"], {}),
    "pow reference": (MODELS["pow reference"], {}),
    "tabulated": (MODELS["tabulated"], {}),
    "reference": (MODELS["reference"], {}),
    "write noise": (MODELS["soft"].replace(write_noise_std=3.0), {}),
    "ideal": (Ideal(), {}),
}


def updated(name, splits=(VECTORS,), interrupt=None):
    """Weights (as bits), pulse counts and the state after the same 64 vectors in given pieces."""
    device, scheme = DETERMINISM[name]
    count = not isinstance(device, Ideal)
    x, d = vectors(VECTORS, SHAPE, seed=23, scale=0.3)
    d[10] = 0.0

    def build(rng):
        return CrossbarArray(
            SHAPE, device, forward=Periphery.ideal(), pulses=PulseScheme(**scheme), rng=rng, count_pulses=count
        )

    array, first = build(24), 0
    for n in splits:
        array.update(x[first : first + n], d[first : first + n], 0.02)
        first += n
        if interrupt is not None and first >= VECTORS // 2:
            array, interrupt = interrupt(array, build(99)), None
    assert first == VECTORS
    return array


def assert_same_bits(a, b):
    np.testing.assert_array_equal(a._weights.view(np.uint32), b._weights.view(np.uint32))
    assert a.pulse_count == b.pulse_count
    assert a._core.counters == b._core.counters
    if a._device_pulses is not None:
        np.testing.assert_array_equal(a.device_pulse_count, b.device_pulse_count)


@pytest.fixture(scope="module")
def reference():
    return functools.cache(updated)


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("name", DETERMINISM)
def test_the_number_of_threads_does_not_show(name):
    rpu.set_num_threads(1)
    one = updated(name)
    assert np.abs(one.weights).max() > 0 and (name == "ideal" or sum(one.pulse_count) > 100_000)
    for threads in (2, 3, 7):
        rpu.set_num_threads(threads)
        assert_same_bits(updated(name), one)


@pytest.mark.usefixtures("restore_threads")
def test_fewer_threads_than_asked_for_do_not_show():
    """The team may be busy with another call, or sleep: then one thread does the share of another, too."""
    rpu.set_num_threads(4)
    x, d = (np.random.default_rng(k).uniform(-1, 1, (64, n)) for k, n in ((1, 300), (2, 64)))

    def update(_: object = None) -> rpu.CrossbarArray:
        array = rpu.CrossbarArray((64, 300), rpu.devices.SoftBounds(), rng=0)
        array.update(x, d, 0.01)
        return array

    alone = update()
    assert sum(alone.pulse_count) > 200_000
    with ThreadPoolExecutor(3) as pool:
        for one in pool.map(update, range(30)):
            assert_same_bits(one, alone)


@pytest.mark.parametrize("name", DETERMINISM)
@pytest.mark.parametrize("splits", [(1,) * 64, (1, 2, 3, 5, 7, 11, 0, 13, 21, 1), (63, 1)], ids=["singles", "ragged", "last"])
def test_splits_of_a_batch_do_not_show(name, splits, reference):
    assert_same_bits(updated(name, splits), reference(name))


DENSE = ["constant", "linear", "linear additive", "soft", "soft additive", "linear reversed", "reference",
         "reference multiplicative"]  # fmt: skip


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("shape", [(5, 31), (4, 512), (3, 7001)], ids=str)
@pytest.mark.parametrize("k", [0.8, 2.5, -0.8])
def test_rows_where_most_columns_fire_get_the_bits_of_single_vectors(name, shape, k):
    """Batches step such rows column by column, single vectors by lists of columns (kernels/panel.h)."""
    rng = np.random.default_rng(26)
    x, d = (rng.choice([-1, 1], (40, n)) * rng.uniform(0.4, 1, (40, n)) for n in shape[::-1])
    x[:, :: shape[1] // 7], x[7], d[9] = 0.0, 0.0, 0.0
    for device in (MODELS[name], MODELS[name].replace(dw_min_std=0.0), MODELS[name].replace(**NO_SPREAD)):
        lr = k * device.granularity
        batch, single = (CrossbarArray(shape, device, rng=27, count_pulses=True) for _ in range(2))
        for _ in range(2):  # draws are left over from the first
            batch.update(x, d, lr)
            for a, b in zip(x, d, strict=True):
                single.update(a, b, lr)
        assert sum(batch.pulse_count) > 0.3 * batch.weights.size * len(x)
        assert_same_bits(batch, single)


@pytest.mark.parametrize("name", DETERMINISM)
def test_saving_and_loading_in_the_middle_does_not_show(name, reference, tmp_path):
    def interrupt(array, fresh):
        checkpoint.save(tmp_path / "state.npz", array.state_dict())
        fresh.load_state_dict(checkpoint.load(tmp_path / "state.npz"))
        return fresh

    assert_same_bits(updated(name, (20, 20, 24), interrupt), reference(name))


def assert_same_to_rounding(kernels, a, b):
    """The sets with fused multiply-adds give the same bits; the baseline has none."""
    if "baseline" in (kernels, ACTIVE):
        np.testing.assert_allclose(a, b, atol=3e-6)
    else:
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
@pytest.mark.parametrize("name", DETERMINISM)
def test_all_kernel_sets_give_the_same_pulses(name, kernels, reference):
    expected = reference(name)
    use_kernel_set(kernels)
    array = updated(name)
    assert array.pulse_count == expected.pulse_count
    if array._device_pulses is not None:
        np.testing.assert_array_equal(array.device_pulse_count, expected.device_pulse_count)
    if "summed" in name and "baseline" in (kernels, ACTIVE):  # what is near a bound is decided by rounding there
        assert np.mean(np.abs(array.weights - expected.weights) > 3e-6) < 0.1
    else:
        assert_same_to_rounding(kernels, array.weights, expected.weights)


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
def test_direct_pulses_are_the_same_with_all_kernel_sets(kernels):
    def pulsed(kernels):
        use_kernel_set(kernels)
        array = random_array(SoftBounds(), (5, 301))
        array.pulse(np.random.default_rng(2).integers(-70, 71, array.shape))
        array.symmetry_point("pulses", n_pulses=10)
        return array.weights

    assert_same_to_rounding(kernels, pulsed(kernels), pulsed(ACTIVE))


def test_a_negative_zero_of_an_ideal_device_does_not_show_how_a_batch_was_split():
    x, d = -np.ones((4, 8), np.float32), np.zeros((4, 3), np.float32)
    whole, single = (CrossbarArray((3, 8), Ideal(), rng=0) for _ in range(2))
    for array in (whole, single):
        array.program(np.full((3, 8), -0.0))
    whole.update(x, d, 1.0)
    for a, b in zip(x, d, strict=True):
        single.update(a, b, 1.0)
    np.testing.assert_array_equal(whole.weights.view(np.uint32), single.weights.view(np.uint32))


def test_a_negative_zero_does_not_show_how_a_batch_was_split():
    device = ConstantStep(dw_min=0.01, up_down=1.0, **NO_SPREAD)  # down steps are 0
    x, d = np.ones((8, 64)), np.ones((8, 1))
    batch, single = (CrossbarArray((1, 64), device, rng=1) for _ in range(2))
    for array in (batch, single):
        array.program(np.full((1, 64), -0.0))
    batch.update(x, d, 0.009)
    for a, b in zip(x, d, strict=True):
        single.update(a, b, 0.009)
    assert_same_bits(batch, single)


def test_updates_stay_as_they_were():
    """Recorded once: results of a seed must not change from one version to the next without notice."""
    device = SoftBounds(dw_min=0.01, **NO_SPREAD)
    array = CrossbarArray((2, 3), device, rng=25)
    array.update([[0.5, -1.0, 0.2]] * 3, [[0.3, -0.7]] * 3, 0.1)
    array.pulse([[1, 2, 3], [-1, -2, 0]])
    recorded = [-0.0538948327, 0.10924793, 0.0159596056, 0.0594123341, -0.176480934, 0.0387562849]
    np.testing.assert_allclose(array.weights.ravel(), recorded, rtol=1e-6)


# ---- write noise --------------------------------------------------------------------------------------------------


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


# ---- every regime -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.01, 0.2, 1.0, 5.0])
@pytest.mark.parametrize(
    "shape, batch",
    [
        ((1, 1), 3000), ((1, 700), 40), ((700, 1), 40), ((3, 17), 1), ((37, 45), 300), ((2, 70_001), 3), ((70_001, 2), 3),
        ((300, 1000), 2),
    ],
    ids=str,
)  # fmt: skip
def test_every_pulse_reaches_its_device_whatever_the_regime(shape, batch, rate):
    """Few and many columns that fire, lists of more than one segment, parts and blocks of a batch."""
    dw = 2.0**-12  # steps are exact in float32
    device = ConstantStep(dw_min=dw, dw_min_std=0.0, w_max=1e3, w_min=-1e3, **NO_SPREAD)
    array = CrossbarArray(shape, device, rng=31, count_pulses=True)
    rng = np.random.default_rng(32)
    x, d = rng.uniform(-1, 1, (batch, shape[1])), rng.uniform(-1, 1, (batch, shape[0]))
    lr = 4 * rate * dw  # E|x d| = 1/4
    array.update(x, d, lr)
    up, down = (counts.astype(np.int64) for counts in array.device_pulse_count)
    np.testing.assert_array_equal(array.weights, ((up - down) * dw).astype(np.float32))
    assert array.pulse_count == (up.sum(), down.sum())
    if batch == 1:
        signs = np.sign(d.T) @ np.sign(x)
        assert not (up[signs > 0].any() or down[signs < 0].any())
    # pulses of one slot: (rows that fire) (columns that fire), independent sums of Bernoulli draws
    x, d = np.abs(x), np.abs(d)
    k = lr / dw * x.max(axis=1) * d.max(axis=1)
    bl = np.ceil(k)
    p = x * np.sqrt(k / bl)[:, None] / x.max(axis=1, keepdims=True)
    q = d * np.sqrt(k / bl)[:, None] / d.max(axis=1, keepdims=True)
    mean_x, mean_d = p.sum(axis=1), q.sum(axis=1)
    var_x, var_d = (p * (1 - p)).sum(axis=1), (q * (1 - q)).sum(axis=1)
    mean = np.sum(bl * mean_x * mean_d)
    variance = np.sum(bl * (var_x * var_d + var_x * mean_d**2 + var_d * mean_x**2))
    np.testing.assert_allclose(mean, lr / dw * np.einsum("bi,bj->", d, x))
    assert abs((up + down).sum() - mean) < 5 * np.sqrt(variance)


def test_a_device_stores_no_more_than_it_must():
    """Bytes per device: state, and parameters that have a spread; not what all devices share."""

    def stored(device):
        array = CrossbarArray((64, 64), device, rng=0)
        return (array._weights.nbytes + sum(p.nbytes for p in array._parameters.values() if p.size > 1)) / 64**2

    assert stored(ConstantStep(**NO_SPREAD)) == 4
    assert stored(ConstantStep()) == stored(SoftBounds()) == 20  # 0.31 GiB for 4096 x 4096
    assert stored(LinearStep()) == 28


# ---- errors -------------------------------------------------------------------------------------------------------


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
