"""Figures of fits: what is drawn are the ramps, the fitted response and the noise of reads."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

import rpusim as rpu
from rpusim import plotting
from rpusim.plotting.fitting import simulate_ramps

NO_SPREAD = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}


@pytest.fixture(scope="module")
def result():
    """A fit of four up and four down ramps of noise-free steps, in microsiemens, read with a noise of 0.02 in weight units."""
    rng, n = np.random.default_rng(3), np.arange(60)
    up, down = (np.tile(-sign * 0.6 + sign * 0.02 * n, (4, 1)) + 0.02 * rng.standard_normal((4, 60)) for sign in (1, -1))
    hold = {"w_max": 2.0, "w_min": -2.0, "slow_noise": 0.0, "dw_min_std": 0.0}
    return rpu.fitting.fit(5 + 2 * up, 5 + 2 * down, "ConstantStep", g_min=3, g_max=7, hold=hold, unit="uS", progress=False)


def test_residuals_are_measured_means_less_the_response_beside_the_noise_of_means(result):
    assert result.read_noise == pytest.approx(0.02, rel=0.15)
    ax = plotting.fit_residuals(result, ax=Figure().subplots())
    curves = [line for line in ax.lines if len(line.get_xdata()) == 60]
    n = np.arange(60)
    for line, ramps, sign in zip(curves, (result.up, result.down), (1, -1), strict=True):
        mean = np.mean(ramps, axis=0)
        step = (result.values["dw_min"] * (1 + sign * result.values["up_down"])) * sign
        response = step * n + np.mean(mean - step * n)  # the line of that slope that is nearest
        np.testing.assert_allclose(line.get_ydata(), mean - response, atol=1e-4)
    (band,) = ax.patches
    box = band.get_extents().transformed(ax.transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((-result.read_noise / 2, result.read_noise / 2), rel=1e-6)  # of four ramps


def test_simulated_reads_have_the_response_and_its_noise(result):
    reads = simulate_ramps(result, "up", n_devices=4000, rng=1)
    response = result.mean_curves()["up"][1]
    assert reads.shape == (60, 4000)
    z = (reads - response[:, None]) / result.read_noise
    assert abs(z.mean()) < 5 / np.sqrt(z.size) and z.var() == pytest.approx(1, abs=5 * np.sqrt(2 / z.size))
    with pytest.raises(ValueError, match="direction"):
        simulate_ramps(result, "sideways")


def test_simulated_slow_noise_is_correlated_over_its_time(result):
    slow = dataclasses.replace(result, read_noise=0.01, slow_noise=0.05, slow_time=4.0)
    reads = simulate_ramps(slow, "down", n_devices=4000, rng=2) - result.mean_curves()["down"][1][:, None]
    assert np.mean(reads**2) == pytest.approx(0.01**2 + 0.05**2, rel=0.03)
    for lag in (1, 4, 8):
        assert np.mean(reads[lag:] * reads[:-lag]) == pytest.approx(0.05**2 * np.exp(-lag / 4), rel=0.06)


def test_ramps_are_drawn_in_their_unit_over_the_band_of_simulated_reads(result):
    ax = plotting.fitted_ramps(result, ax=Figure().subplots())
    drawn = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 60]
    assert len(drawn) == 2 * (4 + 2) and ax.get_ylabel() == "conductance (µS)"
    np.testing.assert_allclose(drawn[:4], 5 + 2 * np.array(result.up))
    np.testing.assert_allclose(drawn[4], 5 + 2 * np.mean(result.up, axis=0))
    np.testing.assert_allclose(drawn[5], 5 + 2 * result.mean_curves()["up"][1])
    widths = []
    for band in ax.collections[:2]:  # the third is that of the legend
        y = band.get_paths()[0].vertices[:, 1]
        x = band.get_paths()[0].vertices[:, 0]
        widths += [np.ptp(y[x == k]) for k in range(5, 55)]
    # 90 % of normal reads lie within 1.645 standard deviations, of 200 with an error of 7 % each
    assert np.mean(widths) == pytest.approx(2 * 2 * stats.norm.ppf(0.95) * result.read_noise, rel=0.05)
