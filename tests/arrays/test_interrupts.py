"""Ctrl-C is heard amid one call, however much it has to do: nothing is timed here, but what was not done yet is told."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import rpusim as rpu

N = 1000
DEVICE = rpu.devices.SoftBounds(dw_min=1e-3, dw_min_std=0.3)


class Heard(Exception):
    pass


def interrupted(call):
    """Make a call, and interrupt it soon."""

    def raises(*_):
        raise Heard

    before = signal.signal(signal.SIGALRM, raises)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Heard):
            call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no timers here")


@pytest.mark.parametrize("pulse_type, slots", [("stochastic", 4000), ("deterministic_implicit", 8000), ("mean_count", 8000)])
def test_an_update_of_one_vector(pulse_type, slots):
    scheme = rpu.PulseScheme(desired_bl=slots, pulse_type=pulse_type, update_bl_management=False, update_management=False)
    array = rpu.CrossbarArray((N, N), DEVICE, pulses=scheme, rng=0)
    interrupted(lambda: array.update(np.ones(N), np.ones(N), 1e3))
    weights = array.weights
    assert weights[0].any() and not weights[-1].any()
    assert array.update_count == 1  # what it drew is not drawn again


def test_an_update_without_pulses():
    array = rpu.CrossbarArray((N, N), rpu.devices.Ideal(), rng=0)
    x = np.ones((60_000, N), np.float32)
    interrupted(lambda: array.update(x, x, 1e-9))
    assert 0 < array.update_count < len(x)


def test_a_read():
    array = rpu.CrossbarArray((N, N), rpu.devices.Ideal(), rng=0)
    x, out = np.ones((60_000, N), np.float32), np.zeros((60_000, N), np.float32)
    interrupted(lambda: array.forward(x, out))
    assert 0 < array.forward_count.vectors < len(x)


def test_many_pulses_of_one_device():
    array = rpu.CrossbarArray((1, 1), DEVICE, rng=0)
    interrupted(lambda: array.pulse(2_000_000_000))
    assert 0 < array.pulse_count.up < 2_000_000_000


def test_parts_of_reads_and_updates_give_the_same_bits():
    """Batches are cut where they are large; what is drawn for a vector does not depend on it."""
    n, batch = 300, 90_000  # more than 8e9 multiply-adds
    x = np.tile(np.linspace(-1, 1, n, dtype=np.float32), (batch, 1))
    whole, parts = (rpu.CrossbarArray((n, n), rpu.devices.Ideal(), rng=0) for _ in range(2))
    for array in (whole, parts):
        array.program(np.eye(n) / 2)
    y = whole.forward(x)
    halves = np.concatenate([parts.forward(x[: batch // 2]), parts.forward(x[batch // 2 :])])
    assert np.mean(y == halves) > 0.999  # products round, and that can turn a level of an ADC
    assert whole.forward_count == parts.forward_count
    whole.update(x, x, 1e-8)
    parts.update(x[:123], x[:123], 1e-8)
    parts.update(x[123:], x[123:], 1e-8)
    assert np.array_equal(whole.weights, parts.weights)
    assert whole.update_count == parts.update_count == batch
