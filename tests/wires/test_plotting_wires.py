"""Figures of wire networks: what is drawn is what the solution says."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

import rpusim as rpu
from rpusim import plotting


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def solved():
    rng = np.random.default_rng(0)
    r, v = rng.uniform(1e4, 1e5, (7, 5)), rng.uniform(0.0, 1.0, 7)
    return rpu.solve_network(v, r, r_word=20.0, r_bit=20.0), v @ (1.0 / r)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_ir_drop_is_the_input_less_what_the_device_has(ax, transposed):
    rng = np.random.default_rng(1)
    r, v = rng.uniform(1e3, 1e4, (6, 4)), rng.uniform(0.1, 1.0, 4 if transposed else 6)
    v[1] = 0.0
    solution = rpu.solve_network(v, r, r_word=30.0, r_bit=20.0, transposed=transposed)
    has = solution.device_currents * r * (-1.0 if transposed else 1.0)  # Ohm's law, from the driven side
    lost = (v[None, :] if transposed else v[:, None]) - has
    plotting.ir_drop_map(solution, v, "no", ax=ax, transposed=transposed)
    np.testing.assert_allclose(image(ax), lost, atol=1e-12)
    largest = plotting.ir_drop_map(solution, v, "largest", ax=Figure().subplots(), transposed=transposed)
    np.testing.assert_allclose(image(largest), 100.0 * lost / v.max(), atol=1e-9)
    own = plotting.ir_drop_map(solution, v, ax=Figure().subplots(), transposed=transposed)
    part = np.ma.filled(image(own), np.nan) if np.ma.isMaskedArray(image(own)) else image(own)
    blank = np.take(part, 1, axis=1 if transposed else 0)
    assert np.isnan(blank).all() and np.isfinite(part).sum() == part.size - blank.size
    rows = np.delete(100.0 * lost / np.where(v == 0.0, np.nan, v)[None if transposed else slice(None), ...].reshape(
        (1, -1) if transposed else (-1, 1)), 1, axis=1 if transposed else 0)  # fmt: skip
    np.testing.assert_allclose(np.delete(part, 1, axis=1 if transposed else 0), rows, rtol=1e-9)
    assert (part[np.isfinite(part)] > 0.0).all() and own.figure.axes[1].get_ylabel() == "loss (% of the input)"


def image(ax):
    (only,) = ax.images
    return np.asarray(only.get_array())


@pytest.mark.parametrize("line", ["word", "bit"])
def test_node_voltages(ax, solved, line):
    assert plotting.node_voltages(solved[0], line, ax=ax) is ax
    np.testing.assert_array_equal(image(ax), getattr(solved[0], f"{line}_voltages"))
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (f"{line} lines", "bit line", "word line")
    assert re.fullmatch(r"voltage \(m?V\)", ax.figure.axes[1].get_ylabel())


def test_device_currents_are_labelled_in_microampere(ax, solved):
    assert plotting.device_currents(solved[0], ax=ax) is ax
    np.testing.assert_array_equal(image(ax), solved[0].device_currents)
    ax.figure.draw_without_rendering()
    labels = [float(label.get_text()) for label in ax.figure.axes[1].get_yticklabels()]
    np.testing.assert_allclose(labels, 1e6 * ax.figure.axes[1].get_yticks(), atol=1e-9)
    assert ax.figure.axes[1].get_ylabel() == "current (µA)"


def test_output_errors_are_relative_to_the_largest_ideal_current(ax, solved):
    solution, ideal = solved
    assert plotting.output_errors(solution, ideal, ax=ax, label="20 ohm") is ax
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 100.0 * (solution.currents - ideal) / ideal.max())
    assert ax.lines[0].get_label() == "20 ohm" and (ax.lines[0].get_ydata() < 0.0).all()


def test_the_figure_has_all_of_them(solved):
    figure = plotting.wires_figure(*solved)
    assert [a.get_title("left") for a in figure.axes[:4]] == [
        "word lines",
        "bit lines",
        "devices",
        "outputs against ideal lines",
    ]


def test_errors(ax, solved):
    solution, ideal = solved
    batch = rpu.solve_network(np.ones((2, 3)), np.ones((3, 3)), r_word=1.0, r_bit=1.0)
    for call in (plotting.node_voltages, plotting.device_currents, lambda s: plotting.output_errors(s, np.ones(3))):
        with pytest.raises(ValueError, match="solution must be of a single vector; got one of 2"):
            call(batch)
    with pytest.raises(TypeError, match="solution must be a NetworkSolution"):
        plotting.device_currents((1, 2), ax=ax)
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        plotting.device_currents(solution, ax=1)
    with pytest.raises(ValueError, match="line must be one of 'word', 'bit'"):
        plotting.node_voltages(solution, "row", ax=ax)
    with pytest.raises(ValueError, match=r"ideal must have shape \(5,\); got \(4,\)"):
        plotting.output_errors(solution, ideal[:4], ax=ax)
    with pytest.raises(ValueError, match="relative must be one of 'own', 'largest', 'no'"):
        plotting.ir_drop_map(solution, np.ones(7), "mine", ax=ax)
    with pytest.raises(ValueError, match="v must hold at least one voltage that is not 0"):
        plotting.ir_drop_map(solution, np.zeros(7), ax=ax)
    with pytest.raises(ValueError, match=r"v must have shape \(7,\); got \(5,\)"):
        plotting.ir_drop_map(solution, np.ones(5), ax=ax)
    with pytest.raises(ValueError, match="ideal must hold at least one current that is not 0"):
        plotting.output_errors(solution, np.zeros(5), ax=ax)


def test_labels_are_text(ax, solved):
    solution, ideal = solved
    with pytest.raises(TypeError, match="label must be None or a str"):
        plotting.output_errors(solution, ideal, ax=ax, label=["20 ohm"])
