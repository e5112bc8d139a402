"""rpusim.applications: neurons, kernels, NormAD, synapses of several devices, and fatiguing STDP."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

import rpusim as rpu
from rpusim.applications import (
    LIF,
    FatiguingSTDP,
    MultiDeviceSynapses,
    correlated_spikes,
    normad_events,
    poisson_spikes,
    separation,
    spike_kernel,
    spike_match,
    synaptic_pcm,
    train_spikes,
)


def test_kernels_are_sums_over_spikes():
    spikes = poisson_spikes([50.0, 200.0], 0.1, rng=0)
    found = spike_kernel(spikes)
    for t in range(100):
        for k in range(2):
            since = [(t - s) * 1e-3 for s in np.flatnonzero(spikes[: t + 1, k])]
            wanted = sum(math.exp(-x / 10e-3) - math.exp(-x / 2.5e-3) for x in since)
            assert abs(found[t, k] - wanted) < 1e-12
    assert abs(poisson_spikes([30.0], 1000.0, rng=1).sum() - 30_000) < 4 * math.sqrt(30_000)


@pytest.mark.parametrize("current", [1.2, 2.0, 10.0])
def test_a_neuron_fires_at_the_rate_of_its_current(current):
    """Every tau ln(I / (I - theta)) and the refractory time, in whole steps."""
    neuron = LIF(tau_s=0.02, threshold=1.0, refractory_s=0.005, dt_s=1e-4)
    times = np.flatnonzero(neuron.run(np.full((20_000, 1), current))[:, 0])
    wanted = 0.02 * math.log(current / (current - 1.0)) + 0.005
    assert set(np.diff(times)) == {math.ceil(0.02 * math.log(current / (current - 1.0)) / 1e-4) + 50}
    assert abs(np.diff(times).mean() * 1e-4 - wanted) < 1e-4
    assert not neuron.run(np.full((1000, 1), 0.999)).any()
    np.testing.assert_allclose(neuron.filtered(np.full((5000, 1), current))[-1], current, rtol=1e-6)


def test_normad_solves_a_case_that_can_be_solved():
    """One input and one spike at the peak of its trace: every epoch adds lr, until w reaches threshold / peak, and stays."""
    spikes = np.zeros((200, 1))
    spikes[20] = 1
    peak = LIF().filtered(spike_kernel(spikes))[:, 0]
    desired = np.zeros((200, 1), bool)
    desired[int(peak.argmax())] = True
    tile = rpu.algorithms.DigitalSGD().build((1, 1))
    lr, needed = 1.0 / (99.995 * peak.max()), 100
    history = train_spikes(tile, spikes, desired, lr=lr, epochs=needed + 20, progress=False)
    assert [one.matched for one in history[: needed - 1]] == [0.0] * (needed - 1)
    assert history[-1].matched == 1.0 and history[-1].ratio == 1.0 and history[-1].errors_s.tolist() == [0.0]
    assert abs(tile.weights[0, 0] * peak.max() - 1.00005) < 1e-5


def test_normad_is_its_definition():
    rng = np.random.default_rng(0)
    traces = rng.random((30, 4))
    traces[7] = 0.0
    actual, desired = rng.random((30, 3)) < 0.2, rng.random((30, 3)) < 0.2
    x, d = normad_events(traces, actual, desired)
    kernel = [(1 - math.exp(-0.1)) * math.exp(-0.1 * k) for k in range(30)]
    wanted = np.zeros((3, 4))
    for t in range(30):
        felt = sum(kernel[k] * traces[t - k] for k in range(t + 1))
        for o in range(3):
            wanted[o] += (float(desired[t, o]) - float(actual[t, o])) * felt / np.linalg.norm(felt)
    np.testing.assert_allclose(-d.T @ x, wanted, atol=1e-5)


def slow_match(actual, desired, limit):
    """The most pairs at most `limit` apart, by trying all augmenting paths."""
    partner = {}

    def found(i, seen):
        for j, t in enumerate(actual):
            if abs(t - desired[i]) <= limit and j not in seen:
                seen.add(j)
                if j not in partner or found(partner[j], seen):
                    partner[j] = i
                    return True
        return False

    return sum(found(i, set()) for i in range(len(desired)))


def test_matches_are_the_most_that_there_are():
    rng = np.random.default_rng(3)
    actual, desired = rng.random((300, 5)) < 0.06, rng.random((300, 5)) < 0.05
    match = spike_match(actual, desired, 10e-3)
    wanted = sum(slow_match(np.flatnonzero(actual[:, k]), np.flatnonzero(desired[:, k]), 10) for k in range(5))
    assert round(match.matched * desired.sum()) == wanted == len(match.errors_s)
    assert 0.5 < match.matched < 1.0 and np.abs(match.errors_s).max() <= 0.0101
    assert match.ratio == actual.sum() / desired.sum()


@pytest.mark.parametrize("g", [0.0, 3.0, 9.0])
def test_a_pulse_of_the_memory_has_its_mean_and_spread(g):
    device = synaptic_pcm(w_min=-15.0, a=-1.0) if g == 0.0 else synaptic_pcm()  # or the bound would cut what falls below 0
    array = rpu.CrossbarArray((100, 200), device, rng=0)
    array.program(np.full((100, 200), g))
    array.pulse(1)
    step = array.weights.astype(float) - g
    std = 0.25 + 0.06 * g
    assert abs(step.mean() - 0.9 * math.exp(-g / 6.0)) < 0.002 + 4 * std / math.sqrt(step.size)
    assert abs(step.std() / std - 1.0) < 5 / math.sqrt(2 * step.size)


def test_updates_have_their_mean_and_go_round_the_devices():
    plain = rpu.devices.ConstantStep(dw_min=0.1, dw_min_dtod=0.0, dw_min_std=0.0, up_down_dtod=0.0, w_max=50.0, w_min=0.0,
                                     w_max_dtod=0.0, w_min_dtod=0.0)  # fmt: skip
    synapses = MultiDeviceSynapses((50, 40), plain, 3, scale=2.0, rng=0)
    x, d = np.full((2, 40), 0.5), np.full((2, 50), 0.3)
    d[:, 25:] = -0.1
    for _ in range(7):
        synapses.update(x, d, lr=0.1)
    wanted = np.where(np.arange(50) < 25, -0.03, 0.01) * 7
    spread = 0.5 * 0.1 / 6.0 * math.sqrt(7 / 1000)  # of a mean of a thousand, by pulses that are rounded at random
    assert abs(synapses.weights[:25].mean() - wanted[0]) < 5 * spread
    assert abs(synapses.weights[25:].mean() - wanted[-1]) < 5 * spread
    moved = [[float(array.weights.sum()) for array in side] for side in synapses.arrays]
    assert moved[0][0] > 1.2 * moved[0][1] > 0 and moved[1][0] > 1.2 * moved[1][1] > 0  # three rounds and two
    np.testing.assert_allclose(synapses.forward(np.eye(40)), synapses.weights.T, atol=1e-6)
    synapses.update(x, 1e6 * d, lr=1.0)
    assert synapses.arrays[1][1].weights.max() <= moved[1][1] / 1000 + 0.1 * 7 + 0.51  # at most five pulses


def test_a_refresh_keeps_the_difference_and_drift_is_taken_back_by_a_scale():
    quiet = synaptic_pcm(dw_min_std=1e-9, dw_min_std_add=0.0, dw_min_std_slope=0.0, drift=rpu.devices.Drift(nu=0.05))
    synapses = MultiDeviceSynapses((1, 3), quiet, scale=1.0, rng=0)
    synapses.arrays[0][0].program([[12.0, 5.0, 10.0]])
    synapses.arrays[1][0].program([[10.0, 5.0, 3.0]])
    assert synapses.refresh() == 2
    np.testing.assert_allclose(synapses.weights, [[2.0, 0.0, 7.0]], atol=0.46)
    np.testing.assert_allclose(synapses.arrays[1][0].weights, [[0.0, 5.0, 0.0]], atol=1e-6)
    before, reference = synapses.weights, synapses.forward(np.eye(3))
    synapses.drift(1e4)
    np.testing.assert_allclose(synapses.weights, before * 1e4**-0.05, rtol=1e-4)
    assert synapses.rescale(reference, np.eye(3)) == pytest.approx(1e4**0.05, rel=1e-4)
    np.testing.assert_allclose(synapses.weights, before, rtol=1e-4)


def test_a_layer_learns_on_noisy_devices():
    spikes = poisson_spikes(np.full(60, 15.0), 0.6, rng=0)
    desired = np.zeros((600, 5), bool)
    desired[np.arange(100, 600, 100)[:, None], np.arange(5)] = True
    synapses = MultiDeviceSynapses((5, 60), devices=2, rng=0)
    history = train_spikes(synapses, spikes, desired, epochs=60, progress=False)
    assert np.mean([one.matched for one in history[-10:]]) > 0.85 > history[0].matched


# ---- fatiguing STDP --------------------------------------------------------------------------------------------------


def test_correlated_spikes_have_their_rate_and_correlation():
    spikes = correlated_spikes(5, 20.0, 0.4, 400.0, rng=0)
    assert abs(spikes.mean() * 1000 / 20.0 - 1.0) < 0.04
    off = np.corrcoef(spikes.T)[np.triu_indices(5, 1)]
    assert abs(off.mean() - 0.4) < 0.02


@pytest.mark.parametrize("rate", [5.0, 40.0, 100.0])
def test_what_tired_synapses_give_saturates_with_the_rate(rate):
    """Of spikes at intervals of mean 1 / r, the sum of f in a second is r (1 - 1 / (1 + 1 / (r tau))) = r / (1 + r tau)."""
    times = np.flatnonzero(poisson_spikes([rate], 1500.0, rng=0, dt_s=1e-4)[:, 0]) * 1e-4
    found = FatiguingSTDP(0.2).fatigue(np.diff(times)).sum() / 1500.0
    assert found == pytest.approx(rate / (1.0 + 0.2 * rate), rel=0.05)


def test_one_spike_of_the_neuron_moves_weights_by_the_law():
    spikes = np.zeros((60, 3))
    spikes[[10, 40], 0] = spikes[5, 1] = spikes[40, 2] = 1  # the second is too early
    rule = FatiguingSTDP(0.05, eta=0.0, a_plus=0.1, a_minus=0.2, window_s=0.01)
    start = rule.run(np.zeros((1, 3)), rng=4, progress=False).weights
    f = -math.expm1(-0.03 / 0.05)
    assert start[0] * f + start[2] < 1.0  # does not fire: one more input is needed
    spikes = np.hstack([spikes, np.repeat(spikes[:, 2:], 3, axis=1)])
    start = rule.run(np.zeros((1, 6)), rng=4, progress=False).weights
    wanted = start + 0.1 * (1 - start)
    wanted[0] = start[0] + 0.1 * f * (1 - start[0])
    wanted[1] = start[1] - 0.2 * start[1]
    np.testing.assert_allclose(rule.run(spikes, rng=4, progress=False).weights, wanted, rtol=1e-12)


def test_separation_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    w, chosen = np.round(rng.random(40), 1), rng.random(40) < 0.3
    pairs = [(a > b) + 0.5 * (a == b) for a in w[chosen] for b in w[~chosen]]
    assert separation(w, chosen) == pytest.approx(np.mean(pairs))


def test_correlations_are_found_among_fast_inputs_by_tired_synapses_only():
    own = correlated_spikes(10, 5.0, 0.4, 40.0, rng=0)
    spikes = np.concatenate([own, poisson_spikes(np.full(40, 40.0), 40.0, rng=1)], axis=1)
    chosen = np.arange(50) < 10
    found = {tau: FatiguingSTDP(tau).run(spikes, rng=0, progress=False) for tau in (None, 0.2)}
    assert separation(found[None].weights, chosen) < 0.1 < 0.9 < separation(found[0.2].weights, chosen)
    assert abs(found[0.2].rate_hz - 5.0) < 1.0
    device = rpu.devices.SoftBounds(dw_min=0.02, w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0)
    held = FatiguingSTDP(0.2).run(spikes, rpu.CrossbarArray((1, 50), device, rng=0), rng=0, progress=False)
    assert separation(held.weights, chosen) > 0.9


def test_pictures_of_spikes():
    spikes = poisson_spikes([20.0, 30.0], 0.5, rng=0)
    plt.close("all")
    ax = rpu.plotting.spike_raster(spikes, spikes)
    assert len(ax.lines) == 2 and ax.lines[0].get_xdata().size == spikes.sum()
    other = rpu.plotting.spike_errors([0.001, -0.002], ax=plt.figure().subplots())
    assert other.get_xlabel() == "late by (ms)"
    plt.close("all")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: poisson_spikes([2000.0], 1.0), "rates_hz must be at most 1 / dt_s"),
        (lambda: spike_kernel(np.zeros((3, 1)), 1e-3, 2e-3), "tau_rise_s must be below tau_s"),
        (lambda: spike_match(np.zeros((3, 1)), np.zeros((3, 1))), "desired must hold a spike"),
        (lambda: LIF(threshold=0.0), "threshold must be"),
        (lambda: MultiDeviceSynapses((2, 2), devices=0), "devices must be an integer from 1"),
        (lambda: MultiDeviceSynapses((2, 2), 3), "device must be None or a pulsed device"),
        (lambda: train_spikes(3, np.zeros((3, 1)), np.ones((3, 1))), "synapses must be an array or a tile"),
        (lambda: correlated_spikes(2, 5.0, 1.5, 1.0), "correlation must be"),
        (lambda: separation([0.1, 0.2], [True, True]), "chosen must be some of the weights"),
        (lambda: FatiguingSTDP(0.0), "tau_fatigue_s must be None or"),
        (
            lambda: FatiguingSTDP().run(np.zeros((3, 2)), rpu.CrossbarArray((2, 2), rpu.devices.SoftBounds())),
            r"array must be a CrossbarArray of shape \(1, 2\)",
        ),
        (
            lambda: FatiguingSTDP().run(np.zeros((3, 2)), rpu.CrossbarArray((1, 2), rpu.devices.SoftBounds(dw_min=0.001))),
            "array must have devices with dw_min of at least 0.02",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
