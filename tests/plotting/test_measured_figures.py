"""Figures of series, sweeps and tables of steps: what is drawn are the measured values and the law that was fitted."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import rpusim as rpu
from rpusim import plotting

T = np.geomspace(1, 1e4, 20)


def test_series_and_their_laws():
    for found, label in (
        (rpu.fitting.fit_retention(T, [5e-6 * T**-0.05, 2e-6 * T**-0.1], law="drift", unit="S"), "time (s)"),
        (rpu.fitting.fit_endurance(T, 5 * np.exp(-T / 1e4)), "cycles"),
    ):
        ax = plotting.fitted_series(found, ax=Figure().subplots())
        assert ax.get_xlabel() == label and len(ax.lines) == 2 * len(found.each)
        for k in range(len(found.each)):
            points, curve = ax.lines[2 * k], ax.lines[2 * k + 1]
            np.testing.assert_array_equal(points.get_ydata(), found.series.y[k])
            np.testing.assert_allclose(np.interp(T, curve.get_xdata(), curve.get_ydata()), points.get_ydata(), rtol=1e-2)
    with pytest.raises(TypeError, match="result must be"):
        plotting.fitted_series(3)


def test_a_legend_says_how_many_series_it_leaves_out():
    found = rpu.fitting.fit_retention(T, [k * 1e-6 * T**-0.05 for k in range(1, 9)], law="drift", unit="S")
    named = [text.get_text() for text in plotting.fitted_series(found, ax=Figure().subplots()).get_legend().get_texts()]
    assert len(named) == 7 and named[-1] == "and 2 more"


def test_sweeps_and_their_law():
    v = np.linspace(-0.5, 0.5, 31)
    found = rpu.fitting.fit_sweeps(v, 1e-5 * np.sinh(3 * v) / 3)
    ax = plotting.fitted_sweeps(found, ax=Figure().subplots())
    assert len(ax.lines) == 4 and ax.get_ylabel() == "current (A)"
    for points, curve in zip(ax.lines[::2], ax.lines[1::2], strict=True):
        np.testing.assert_allclose(curve.get_ydata(), points.get_ydata(), rtol=1e-6)


def test_steps_and_those_of_the_device():
    g = np.linspace(1, 9, 200)
    found = rpu.fitting.fit_steps(np.stack([g, (10 - g) / 50], 1), np.stack([g, -g / 50], 1))
    ax = plotting.step_table(found, ax=Figure().subplots())
    up = next(line for line in ax.lines if line.get_label() == "up: device")
    np.testing.assert_allclose(up.get_ydata(), (10 - up.get_xdata()) / 50, rtol=2e-2)
    empty = rpu.fitting.StepTable.from_json(found.to_json())
    plotting.step_table(empty, ax=Figure().subplots())
