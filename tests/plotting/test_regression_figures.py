"""Figures of regressions: what is drawn are the records, the targets and the theory of the runs."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from rpusim import experiments, plotting

DEVICE = experiments.demo_device("soft-bounds")
SGD, SHD, DIGITAL = (experiments.demo_algorithm(name, DEVICE) for name in ("sgd", "shd", "digital"))


def run(rule, target, **settings):
    return experiments.regression(rule, target, **{"noise": 0.3, "steps": 300, "start": -0.4, "rng": 5} | settings)


def test_trajectories_are_the_records_over_the_continuum():
    runs = [run(SGD, 0.3), run(SHD, -0.5), run(DIGITAL, 0.1)]
    lines = plotting.trajectories(runs, ax=Figure().subplots()).lines
    drawn = [line for line in lines if len(line.get_xdata())]
    assert len(drawn) == 3 + 3 + 2  # records and targets of all, no continuum of a digital weight
    records = [line for line in drawn if len(line.get_xdata()) == 301 and line.get_color() != "k"]
    for line, one in zip(records, runs, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), one.weights[:, 0])
    for one, along in zip(runs[:2], ("w", "c"), strict=True):
        path = one.continuum()
        assert any(np.array_equal(line.get_ydata(), getattr(path, along)) for line in drawn)
    assert {line.get_ydata()[0] for line in drawn if len(line.get_xdata()) == 2} == {0.3, -0.5, 0.1}
    alone = plotting.trajectories(runs, ax=Figure().subplots(), continuum=False).lines
    assert sum(len(line.get_xdata()) > 2 for line in alone) == 3


def test_residuals_are_distances_of_means_and_of_theory_from_targets():
    runs = [run(SGD, target, steps=6000) for target in (0.6, -0.2, 0.1)]
    ax = plotting.residuals(runs, ax=Figure().subplots(), label="SGD")
    (container,) = ax.containers
    points, _, (bars,) = container
    target = np.array([0.6, -0.2, 0.1])
    mean = np.array([one.weights[one.tail :, 0].mean() for one in runs])
    np.testing.assert_array_equal(points.get_xdata(), target)
    np.testing.assert_allclose(points.get_ydata(), np.abs(mean - target), rtol=1e-12)
    half = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    np.testing.assert_allclose(half, [one.standard_error[0] for one in runs], rtol=1e-9)
    theory = next(line for line in ax.lines if line is not points and len(line.get_xdata()) == 3)
    np.testing.assert_array_equal(theory.get_xdata(), np.sort(target))
    expected = [abs(one.theory[0] - one.target[0]) for one in sorted(runs, key=lambda one: one.target[0])]
    np.testing.assert_allclose(theory.get_ydata(), expected, rtol=1e-12)


def test_hidden_against_weight_is_a_against_c():
    one = run(SHD, 0.2)
    ax = plotting.hidden_against_weight(one, ax=Figure().subplots())
    segments = np.array(ax.collections[0].get_segments())  # every sample is a transfer, and a mean of its own
    places = np.column_stack([one.weights[:, 0], one.hidden[:, 0]])
    half = 4  # to either side: a 60th of a turn
    middle = np.array([places[k - half : k + half + 1].mean(axis=0) for k in range(half, 301 - half, half)])
    drawn = np.concatenate([segments[:, 0], segments[-1:, 1]])
    np.testing.assert_allclose(drawn[1:-1], middle, atol=1e-12)
    np.testing.assert_allclose(drawn[[0, -1]], places[[0, -1]], atol=1e-12)
    np.testing.assert_array_equal(ax.collections[0].get_array()[:3], [0, half, 2 * half])
    path, goal = ax.lines
    assert (goal.get_xdata()[0], goal.get_ydata()[0]) == (0.2, 0.0)
    np.testing.assert_array_equal(path.get_xdata(), one.continuum().c)
    np.testing.assert_array_equal(path.get_ydata(), one.continuum().a)
    with pytest.raises(ValueError, match="run"):
        plotting.hidden_against_weight(run(SGD, 0.2), ax=Figure().subplots())
