"""Many pulses at once: sums of them in one draw, whole rows, and every regime of rates and shapes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from oracle.arrays import NO_SLOPE_SPREAD, P_LIMIT, Z_LIMIT
from oracle.tiles import NO_SPREAD
from scipy import stats

from rpusim import CrossbarArray, PulseScheme
from rpusim._core.kernels import normals
from rpusim.devices import ConstantStep, LinearStep, SoftBounds

# ---- sums of pulses ---------------------------------------------------------------------------------------------------


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


# ---- every regime -----------------------------------------------------------------------------------------------------


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
