"""Noise of reads as a process in time."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu

inf = rpu.inference
DAY, YEAR = 86400.0, 31536000.0


def test_variances_are_those_of_the_formula():
    for age, value in ((20.0, 17.50439), (3620.0, 22.70289), (YEAR + 20, 31.77530)):
        k = inf.read_noise_covariance([age])[0, 0]
        assert k == pytest.approx(value, abs=1e-5)
        assert k == pytest.approx(math.log((age + 250e-9) / 500e-9), rel=3e-7)


def test_correlations_of_reads_that_are_close_and_far():
    for apart, value in ((1e-6, 0.981), (1e-3, 0.733), (1.0, 0.466), (60.0, 0.308)):
        k = inf.read_noise_covariance([DAY, DAY + apart])
        assert k[0, 1] / math.sqrt(k[0, 0] * k[1, 1]) == pytest.approx(value, abs=6e-4)
    far = inf.read_noise_covariance([21.0, 80.0, 3620.0, DAY, 30 * DAY, YEAR])
    c = far / np.sqrt(np.outer(far.diagonal(), far.diagonal()))
    assert c[0, 1] == pytest.approx(0.030, abs=6e-4) and np.abs(np.triu(c, 2)).max() <= 0.0055


def test_the_covariance_is_that_of_a_sum_of_relaxations():
    """Ornstein-Uhlenbeck processes from 0, uniform in ln tau, added up by the midpoint rule: an oracle of its own."""
    t_read, ages = 1e-3, np.array([0.7, 1.0, 5.0, 300.0])
    tau_min = 4 * math.exp(0.5772156649015329) * t_read
    edges = np.linspace(math.log(tau_min), math.log(1e9), 200_001)
    tau, width = np.exp((edges[1:] + edges[:-1]) / 2), edges[1] - edges[0]
    wanted = np.array([[np.sum(np.exp(-abs(a - b) / tau) - np.exp(-(a + b) / tau)) * width for b in ages] for a in ages])
    assert inf.read_noise_covariance(ages, t_read) == pytest.approx(wanted, rel=1e-5)


def test_reads_of_devices_have_the_covariance():
    """n = 100,000 devices: correlations to 5 / sqrt(n), spreads to 1.1 %."""
    times = (100.0, 101.0, 160.0, DAY)
    chip = inf.Chip(inf.PCM(prog_scale=0.0, drift_scale=0.0), read_noise="process", read_times_s=times)
    array = inf.ProgrammedArray(np.ones((1, 100_000), np.float32), chip, rng=0)
    noise = np.array([array.conductances(t)[0, 0] - np.float32(25e-6) for t in times], np.float64)
    k = inf.read_noise_covariance(np.array(times) + 20.0)
    wanted = k / np.sqrt(np.outer(k.diagonal(), k.diagonal()))
    assert np.corrcoef(noise) == pytest.approx(wanted, abs=5 / math.sqrt(100_000))
    assert noise.std(axis=1) == pytest.approx(25e-6 * 0.0088 * np.sqrt(k.diagonal()), rel=5 / math.sqrt(200_000))
    frozen = inf.ProgrammedArray(np.ones((1, 100_000), np.float32), chip.replace(read_noise="frozen", read_times_s=None), rng=0)
    apart = np.array([frozen.conductances(t)[0, 0] for t in times[:2]], np.float64)
    assert abs(np.corrcoef(apart)[0, 1]) < 5 / math.sqrt(100_000)  # a draw for every time


@pytest.mark.parametrize("t_read_s", [10**120, 0.0, -1.0, math.nan, "1"])
def test_the_time_of_a_read_is_checked(t_read_s):
    with pytest.raises((TypeError, ValueError), match="t_read_s must be"):
        inf.read_noise_covariance([1.0, 2.0], t_read_s)
