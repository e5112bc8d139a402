"""Stochastic pulse trains: their lengths, the law of their coincidences, and what hardware saves on them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from oracle import pulses as trains
from oracle.arrays import P_LIMIT, Z_LIMIT, random_array, vectors
from oracle.tiles import NO_SPREAD
from scipy import stats

from rpusim import CrossbarArray, PulseScheme
from rpusim.devices import ConstantStep, SoftBounds

# dw_min 1 between bounds that are never reached: the weight is the signed number of pulses
COUNTER = ConstantStep(dw_min=1.0, dw_min_std=0.0, w_max=1e6, w_min=-1e6, **NO_SPREAD)
MANAGEMENTS = list(itertools.product([False, True], repeat=2))

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
