"""Decay, diffusion and reset against their laws."""

import numpy as np
import pytest
from scipy import stats

import rpusim as rpu
from rpusim.devices import ConstantStep, SoftBounds

SHAPE = (120, 150)
EXACT = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)


def array_of(device, seed=0):
    array = rpu.CrossbarArray(SHAPE, device, rng=seed)
    array.program(np.random.default_rng(1).uniform(-0.5, 0.5, SHAPE))
    return array


def test_decay_over_n_batches():
    """w - b shrinks by (1 - 1 / lifetime)^n."""
    array = array_of(ConstantStep(lifetime=20.0, reset=0.1, **EXACT))
    before = array.weights
    for _ in range(7):
        array.end_batch()
    np.testing.assert_allclose(array.weights - 0.1, (before - 0.1) * (1 - 1 / 20) ** 7, rtol=2e-6, atol=1e-7)


def test_a_lifetime_of_one_forgets_at_once():
    array = array_of(SoftBounds(lifetime=0.5, **EXACT))
    array.end_batch()
    assert not array.weights.any()


def test_lifetimes_spread_between_devices():
    array = array_of(ConstantStep(lifetime=50.0, lifetime_dtod=0.1, **EXACT))
    lifetime = 1 / (1 - array.parameters["decay_scale"].astype(np.float64))
    assert stats.kstest(lifetime.ravel(), stats.norm(50, 5).cdf).pvalue > 1e-6


def test_diffusion_is_a_random_walk():
    """std after n batches: sqrt(n) diffusion, normal, independent between devices."""
    array = array_of(ConstantStep(diffusion=0.002, w_max=10.0, w_min=-10.0, **EXACT))
    before = array.weights.astype(np.float64)
    for _ in range(9):
        array.end_batch()
    moved = array.weights - before
    assert stats.kstest(moved.ravel() / (0.002 * 3), "norm").pvalue > 1e-6
    n = moved.size
    low, high = stats.chi2(n).ppf([1e-6, 1 - 1e-6]) / n
    assert low < np.mean(moved**2) / (9 * 0.002**2) < high


def test_diffusion_spreads_between_devices_and_stays_within_bounds():
    array = array_of(ConstantStep(diffusion=0.5, diffusion_dtod=0.3, **EXACT))
    rate = array.parameters["diffusion_rate"]
    assert abs(np.std(rate / 0.5) - 0.3) < 5 * 0.3 / np.sqrt(2 * rate.size) + 1e-3
    array.end_batch()
    assert array.weights.max() == np.float32(0.6) and array.weights.min() == np.float32(-0.6)


def test_reset_draws_each_device_around_its_own_level():
    array = array_of(ConstantStep(reset=0.05, reset_dtod=0.02, reset_std=0.01, **EXACT))
    level = array.parameters["reset_level"].astype(np.float64)
    assert stats.kstest(level.ravel(), stats.norm(0.05, 0.02).cdf).pvalue > 1e-6
    array.reset()
    assert stats.kstest((array.weights - level).ravel() / 0.01, "norm").pvalue > 1e-6


def test_reset_of_columns_with_a_probability():
    array = array_of(ConstantStep(**EXACT))
    before = array.weights
    array.reset([3, 77], probability=0.3)
    changed = array.weights != before
    assert not np.delete(changed, [3, 77], axis=1).any()
    count = changed[:, [3, 77]].sum()
    assert stats.binom(2 * SHAPE[0], 0.3).cdf(count - 1) < 1 - 1e-6 and stats.binom(2 * SHAPE[0], 0.3).cdf(count) > 1e-6


def test_events_go_on_to_the_same_bits_after_loading():
    device = SoftBounds(lifetime=100.0, diffusion=0.001)
    array, other = array_of(device), array_of(device, seed=5)
    array.end_batch()
    other.load_state_dict(array.state_dict())
    for one in (array, other):
        one.end_batch()
        one.reset(0, probability=0.5)
    np.testing.assert_array_equal(array.weights, other.weights)


def test_no_two_events_draw_the_same():
    array = array_of(ConstantStep(diffusion=0.001, **EXACT))
    steps = []
    for _ in range(2):
        before = array.weights
        array.end_batch()
        steps.append(array.weights - before)
    assert abs(np.corrcoef(steps[0].ravel(), steps[1].ravel())[0, 1]) < 5 / np.sqrt(steps[0].size)


def test_nothing_happens_to_devices_without_time():
    array = array_of(SoftBounds())
    before = array.state_dict()
    array.end_batch()
    assert np.array_equal(array.weights, before["weights"]) and array.state_dict()["events"] == before["events"]


@pytest.mark.parametrize("rule", [rpu.algorithms.SGD, rpu.algorithms.SHD])
def test_tiles_and_layers_let_time_pass_once_per_update(rule):
    device = ConstantStep(lifetime=10.0, **EXACT)
    rule = rule(device) if rule is rpu.algorithms.SGD else rule(device, device, transfer_every=1000)
    layer = rpu.nn.Linear(3, 2, rule, bias=False)
    layer.build(rng=0)
    before = layer.tile.weights
    layer.forward(np.zeros((4, 3), np.float32), train=True)
    layer.backward(np.zeros((4, 2), np.float32))
    layer.update(0.1)
    np.testing.assert_allclose(layer.tile.weights, 0.9 * before, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: a.reset(150), "columns must be integers from 0 to 149; got 150"),
        (lambda a: a.reset([0.5]), "columns must be integers"),
        (lambda a: a.reset(probability=1.5), r"probability must be a finite real number in \[0, 1\]; got 1.5"),
        (lambda a: SoftBounds(lifetime_dtod=0.1), "lifetime_dtod must be 0 where lifetime=0"),
        (lambda a: SoftBounds(diffusion_dtod=0.1), "diffusion_dtod must be 0 where diffusion=0"),
        (lambda a: rpu.CrossbarArray((1, 1), rpu.devices.Ideal()).reset(), "reset needs a device that takes pulses"),
    ],
)
def test_wrong_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call(array_of(SoftBounds()))
