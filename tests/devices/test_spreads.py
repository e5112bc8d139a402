"""Device-to-device spreads: what is drawn when an array is built, against the laws it is drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import rpusim as rpu
from rpusim.devices import ConstantStep, LinearStep, SoftBounds

SHAPE = (400, 500)
N = SHAPE[0] * SHAPE[1]
P_LIMIT = 1e-6
Z_LIMIT = 5.0
MODELS = [ConstantStep, LinearStep, SoftBounds]


def draw(device, rng=1, shape=SHAPE):
    array = rpu.CrossbarArray(shape, device, rng=rng)
    return {name: value.astype(np.float64) for name, value in array.parameters.items()}


def assert_law(values, law):
    """Kolmogorov-Smirnov over the whole law, and its mean to 5 sigma."""
    values = np.ravel(values)
    assert stats.kstest(values, law.cdf).pvalue > P_LIMIT
    assert abs(values.mean() - law.mean()) < Z_LIMIT * law.std() / np.sqrt(values.size)


def assert_normal(values, mean, std):
    """`assert_law` of a normal, and its standard deviation within chi-square limits."""
    assert_law(values, stats.norm(mean, std))
    statistic, n = np.sum((np.ravel(values) - np.mean(values)) ** 2) / std**2, np.size(values) - 1
    assert 2 * min(stats.chi2.cdf(statistic, n), stats.chi2.sf(statistic, n)) > P_LIMIT


def folded(mean, std):
    """The law of |mean + std xi|."""
    return stats.foldnorm(abs(mean) / std, scale=std)


def assert_correlation(a, b, expected):
    """Fisher's transform of the correlation of normals is normal, of variance 1/(n - 3)."""
    a, b = np.ravel(a), np.ravel(b)
    r = np.corrcoef(a, b)[0, 1]
    assert abs(np.arctanh(r) - np.arctanh(expected)) < Z_LIMIT / np.sqrt(a.size - 3)


def binomial_p(count, n, p):
    return min(1.0, 2 * min(stats.binom.cdf(count, n, p), stats.binom.sf(count - 1, n, p)))


# ---- steps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_without_spreads_all_devices_are_the_mean_device(model):
    zero = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
    if model is LinearStep:
        zero |= dict(gamma_up=0.3, gamma_down=0.4, gamma_up_dtod=0.0, gamma_down_dtod=0.0)
    p = draw(model(dw_min=0.003, up_down=0.25, w_max=0.9, w_min=-0.7, **zero), shape=(3, 4))
    expected = dict(step_up=0.003 * 1.25, step_down=0.003 * 0.75, w_max=0.9, w_min=-0.7)
    if model is LinearStep:
        expected |= dict(slope_up=-0.3 * 0.00375 / 0.9, slope_down=0.4 * 0.00225 / 0.7)
    expected |= dict(decay_scale=1.0, diffusion_rate=0.0, reset_level=0.0)
    assert list(p) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(p[name], np.full((3, 4), np.float32(value)))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("a, b, up_down", [(0.15, 0.0, 0.0), (0.0, 0.1, 0.0), (0.12, 0.05, 0.2), (0.05, 0.12, -0.3)])
def test_steps_are_normal_with_their_mean_spread_and_correlation(model, a, b, up_down):
    p = draw(model(dw_min=0.002, dw_min_dtod=a, up_down_dtod=b, up_down=up_down))
    spread = np.hypot(a, b)
    assert_normal(p["step_up"] / 0.002, 1 + up_down, spread)
    assert_normal(p["step_down"] / 0.002, 1 - up_down, spread)
    if a == 0.0 or b == 0.0:
        sign = 1 if b == 0.0 else -1
        assert np.corrcoef(p["step_up"].ravel(), p["step_down"].ravel())[0, 1] == pytest.approx(sign, abs=1e-6)
    else:
        assert_correlation(p["step_up"], p["step_down"], (a**2 - b**2) / (a**2 + b**2))


@pytest.mark.parametrize("v", [0.3, 0.7])
def test_negative_steps_are_folded(v):
    p = draw(SoftBounds(dw_min=0.01, dw_min_dtod=v, up_down_dtod=0.0))
    relative = p["step_up"] / 0.01
    assert_law(relative, folded(1.0, v))
    rise = 2 * (v * stats.norm.pdf(1 / v) - stats.norm.cdf(-1 / v))
    assert abs(relative.mean() - 1 - rise) < Z_LIMIT * v / np.sqrt(N)
    assert p["step_up"].min() >= 0.0


def test_the_asymmetry_comes_before_the_fold():
    """A small gain with a large up_down: |gain - up_down|, not gain |1 - up_down|."""
    p = draw(ConstantStep(dw_min=0.01, dw_min_dtod=0.3, up_down=0.8, up_down_dtod=0.1))
    assert_law(p["step_up"] / 0.01, folded(1.8, np.hypot(0.3, 0.1)))
    assert_law(p["step_down"] / 0.01, folded(0.2, np.hypot(0.3, 0.1)))


@pytest.mark.parametrize("model", MODELS)
def test_log_normal_gains_have_median_one(model):
    p = draw(model(dw_min=0.01, dw_min_dtod=0.5, dw_min_dtod_log_normal=True, up_down_dtod=0.0))
    assert_law(p["step_up"] / 0.01, stats.lognorm(0.5))
    np.testing.assert_array_equal(p["step_up"], p["step_down"])
    above = np.count_nonzero(p["step_up"] > 0.01)
    assert binomial_p(above, N, 0.5) > P_LIMIT


# ---- bounds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("v_max, v_min", [(0.2, 0.15), (0.7, 0.9), (0.0, 0.3), (0.3, 0.0)])
def test_bounds_are_folded_normals(v_max, v_min):
    p = draw(SoftBounds(w_max=0.8, w_max_dtod=v_max, w_min=-0.5, w_min_dtod=v_min))
    for values, mean, spread in ((p["w_max"], 0.8, v_max), (-p["w_min"], 0.5, v_min)):
        if spread:
            swapped = v_max > 0.5 and v_min > 0.5  # crossed bounds are exchanged before the modulus
            if not swapped:
                assert_law(values / mean, folded(1.0, spread))
        else:
            np.testing.assert_array_equal(values, np.full(SHAPE, np.float32(mean), np.float64))
        assert values.min() >= 0.0


def test_crossed_bounds_are_exchanged_before_the_modulus():
    """With equal laws of both, (max, min) of the crossed pairs is what an exchange gives: compare with the formula."""
    p = draw(ConstantStep(w_max=0.6, w_max_dtod=1.0, w_min=-0.6, w_min_dtod=1.0))
    rng = np.random.default_rng(3)
    high, low = 0.6 * (1 + rng.standard_normal(N)), -0.6 * (1 + rng.standard_normal(N))
    exchanged = np.abs(np.maximum(high, low)), np.abs(np.minimum(high, low))
    assert stats.ks_2samp(p["w_max"].ravel(), exchanged[0]).pvalue > P_LIMIT
    assert stats.ks_2samp(-p["w_min"].ravel(), exchanged[1]).pvalue > P_LIMIT


def test_draws_are_independent_of_each_other_and_of_their_neighbours():
    device = LinearStep(
        dw_min_dtod=0.1,
        up_down_dtod=0.0,
        w_max_dtod=0.1,
        w_min_dtod=0.1,
        gamma_up=1.0,
        gamma_down=1.0,
        gamma_up_dtod=0.1,
        gamma_down_dtod=0.1,
    )
    p = draw(device)
    gamma_up = -p["slope_up"] / p["step_up"]
    gamma_down = -p["slope_down"] / p["step_down"]
    values = [p["step_up"], p["w_max"], p["w_min"], gamma_up, gamma_down]
    for k, a in enumerate(values):
        for b in values[:k]:
            assert_correlation(a, b, 0.0)
        assert_correlation(a[1:], a[:-1], 0.0)
        assert_correlation(a[:, 1:], a[:, :-1], 0.0)


# ---- without consistency ------------------------------------------------------------------------------------------


def test_without_consistency_steps_may_be_negative():
    p = draw(SoftBounds(dw_min=0.01, dw_min_dtod=0.7, up_down_dtod=0.0, enforce_consistency=False))
    assert_normal(p["step_up"] / 0.01, 1.0, 0.7)
    assert binomial_p(np.count_nonzero(p["step_up"] < 0), N, stats.norm.cdf(-1 / 0.7)) > P_LIMIT


def test_without_consistency_crossed_bounds_freeze_a_device_at_their_middle():
    p = draw(ConstantStep(w_max=0.6, w_max_dtod=1.0, w_min=-0.6, w_min_dtod=1.0, enforce_consistency=False))
    frozen = p["w_max"] == p["w_min"]
    assert binomial_p(np.count_nonzero(frozen), N, stats.norm.cdf(-1.2 / (0.6 * np.sqrt(2)))) > P_LIMIT
    assert (p["w_max"] >= p["w_min"]).all()
    assert_normal(p["w_max"][frozen], 0.0, 0.6 / np.sqrt(2))  # the sum of two equal normals ignores their difference


# ---- stuck devices and perfect bias -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_stuck_devices_are_as_many_and_where_they_should_be_and_never_move(model):
    device = model(corrupt_devices_prob=0.03, corrupt_devices_range=0.2, w_max=0.05, w_max_dtod=0.0, w_min_dtod=0.0)
    array = rpu.CrossbarArray(SHAPE, device, rng=5)
    p = array.parameters
    stuck = p["w_max"] == p["w_min"]
    assert binomial_p(np.count_nonzero(stuck), N, 0.03) > P_LIMIT
    assert_law(p["w_max"][stuck].astype(np.float64), stats.uniform(-0.2, 0.25))
    for name in set(p) - {"w_max", "w_min", "decay_scale", "diffusion_rate", "reset_level"}:
        assert (p[name][stuck] == 0.0).all()
    np.testing.assert_array_equal(array.weights[stuck], p["w_max"][stuck])
    array.program(np.ones(SHAPE))
    np.testing.assert_array_equal(array.weights[stuck], p["w_max"][stuck])
    array.pulse(-3)
    np.testing.assert_array_equal(array.weights[stuck], p["w_max"][stuck])
    assert (array.weights[~stuck] < np.float32(0.05)).all()


def test_stuck_devices_are_spread_evenly():
    stuck = draw(SoftBounds(corrupt_devices_prob=0.5))["step_up"] == 0.0
    for per_line, n in ((stuck.sum(axis=0), SHAPE[0]), (stuck.sum(axis=1), SHAPE[1])):
        statistic = np.sum((per_line - n / 2) ** 2) / (n / 4)
        assert 2 * min(stats.chi2.cdf(statistic, per_line.size), stats.chi2.sf(statistic, per_line.size)) > P_LIMIT


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_certain_probabilities_of_stuck_devices(probability):
    stuck = draw(SoftBounds(corrupt_devices_prob=probability), shape=(20, 30))["step_up"] == 0.0
    assert stuck.all() == bool(probability) and stuck.any() == bool(probability)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_a_perfect_bias_column_is_ideal_and_leaves_the_others(model, spread):
    settings = dict(
        dw_min=0.002,
        dw_min_dtod=spread,
        up_down=0.3,
        up_down_dtod=spread,
        w_max=0.7,
        w_max_dtod=spread,
        w_min_dtod=spread,
    )
    plain = draw(model(**settings), shape=(5, 6))
    p = draw(model(perfect_bias=True, **settings), shape=(5, 6))
    for name, value in dict(step_up=0.002, step_down=0.002, w_max=70.0, w_min=-60.0).items():
        np.testing.assert_array_equal(p[name][:, -1], np.full(5, np.float32(value)))
        np.testing.assert_array_equal(p[name][:, :-1], plain[name][:, :-1])
    corrupt = draw(model(perfect_bias=True, corrupt_devices_prob=1.0, **settings), shape=(5, 6))
    assert (corrupt["step_up"][:, :-1] == 0.0).all() and (corrupt["step_up"][:, -1] == np.float32(0.002)).all()


# ---- slopes of LinearStep -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side, bound, sign", [("up", "w_max", 1), ("down", "w_min", -1)])
@pytest.mark.parametrize("mean_bound_reference", [True, False])
@pytest.mark.parametrize("allow_increasing", [True, False])
def test_slopes_refer_to_the_mean_bound_or_to_the_own_one(side, bound, sign, mean_bound_reference, allow_increasing):
    device = LinearStep(
        gamma_up=0.2,
        gamma_down=0.1,
        gamma_up_dtod=0.15,
        gamma_down_dtod=0.25,
        w_max=0.9,
        w_min=-0.7,
        mean_bound_reference=mean_bound_reference,
        allow_increasing=allow_increasing,
    )
    p = draw(device)
    reference = getattr(device, bound) if mean_bound_reference else p[bound]
    gamma = -p[f"slope_{side}"] * reference / p[f"step_{side}"]
    mean, spread = getattr(device, f"gamma_{side}"), getattr(device, f"gamma_{side}_dtod")
    assert_law(gamma, stats.norm(mean, spread) if allow_increasing else folded(mean, spread))


# ---- seeds --------------------------------------------------------------------------------------------------------


def test_equal_seeds_give_equal_devices_and_others_independent_ones():
    device = SoftBounds(lifetime=50.0, lifetime_dtod=0.1, diffusion=0.01, diffusion_dtod=0.1, reset_dtod=0.01)
    one = draw(device, 7, (300, 300))
    again = draw(device, np.random.SeedSequence(7), (300, 300))
    other = draw(device, 8, (300, 300))
    rng = np.random.default_rng(7)
    first, second = draw(device, rng, (300, 300)), draw(device, rng, (300, 300))
    for name in one:
        np.testing.assert_array_equal(one[name], again[name])
        assert_correlation(one[name], other[name], 0.0)
        assert_correlation(first[name], second[name], 0.0)
    fresh, fresher = draw(device, None, (3, 3)), draw(device, None, (3, 3))
    assert (fresh["step_up"] != fresher["step_up"]).any()


def test_draws_stay_as_they_were():
    """Recorded once: devices of a seed must not change from one version to the next without notice."""
    p = rpu.CrossbarArray((2, 3), LinearStep(corrupt_devices_prob=0.3, dw_min_dtod_log_normal=True), rng=11).parameters
    recorded = dict(
        step_up=[0.0, 0.00093478215, 0.0, 0.000647943, 0.001433115, 0.0],
        step_down=[0.0, 0.0009053541, 0.0, 0.000615587, 0.0014592503, 0.0],
        w_max=[0.012353703, 0.5398253, -0.036294743, 0.6050643, 0.9162332, -0.015890658],
        w_min=[0.012353703, -0.6313462, -0.036294743, -0.6203988, -0.87200963, -0.015890658],
        slope_up=[0.0, -7.306866e-05, 0.0, -3.3916505e-05, -0.00010765551, 0.0],
        slope_down=[0.0, 0.00013633752, 0.0, 1.1914085e-06, 0.00018703572, 0.0],
    )
    for name, value in recorded.items():
        np.testing.assert_array_max_ulp(p[name].ravel(), np.array(value, np.float32), maxulp=2)
