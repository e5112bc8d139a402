"""Figures of devices: what is drawn is what the device says."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import rpusim as rpu
from rpusim import plotting

QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}


@pytest.fixture
def ax():
    return Figure().subplots()


def lines(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


@pytest.mark.parametrize("n", [80, 1001])
def test_pulse_response_of_one_device_is_the_closed_form(ax, n):
    device = rpu.devices.SoftBounds(dw_min=0.01, up_down=0.2, w_max=1.0, w_min=-0.5, **QUIET)
    assert plotting.pulse_response(device, n, ax=ax) is ax
    (up,), (down,), (alternating,) = lines(ax, "up"), lines(ax, "down"), lines(ax, "alternating")
    assert up.get_xdata()[0] == 0 and up.get_xdata()[-1] == n and len(up.get_xdata()) <= 502
    np.testing.assert_allclose(up.get_ydata(), 1 - 1.5 * (1 - 0.012) ** up.get_xdata(), atol=2e-6)
    top, k = up.get_ydata()[-1], down.get_xdata() - n
    assert (k[0], k[-1]) == (0, n)
    np.testing.assert_allclose(down.get_ydata(), -0.5 + (top + 0.5) * (1 - 0.008 / 0.5) ** k, atol=2e-6)
    # of alternating pulses, those drawn are in their order: up, down, up, down
    w, path = down.get_ydata()[-1], [down.get_ydata()[-1]]
    for pulse in range(n):
        w += 0.012 * (1 - w) if pulse % 2 == 0 else -0.008 * (1 + w / 0.5)
        path.append(w)
    drawn = (alternating.get_xdata() - 2 * n).astype(int)
    np.testing.assert_allclose(alternating.get_ydata(), np.array(path)[drawn], atol=2e-5)
    (point,) = lines(ax, "symmetry point")
    assert point.get_ydata()[0] == pytest.approx(device.symmetry_point, abs=1e-6)


def test_pulse_response_of_many_devices_shows_each_and_their_mean(ax):
    device = rpu.devices.SoftBounds(dw_min=0.01, dw_min_std=0.0, w_max=1.0, w_min=-1.0, up_down_dtod=0.1)
    plotting.pulse_response(device, 60, ax=ax, rng=5, n_devices=4)
    (bold,) = lines(ax, "up")
    faint = [line for line in ax.lines if line.get_alpha() is not None and line.get_xdata()[0] == 0]
    assert len(faint) == 4 and bold.get_linewidth() > faint[0].get_linewidth()
    array = rpu.CrossbarArray((1, 4), device, rng=5)
    p, n = {name: array.parameters[name][0] for name in array.parameters}, np.arange(61)
    for j, line in enumerate(faint):
        expected = p["w_max"][j] - (p["w_max"][j] - p["w_min"][j]) * (1 - p["step_up"][j] / p["w_max"][j]) ** n
        np.testing.assert_allclose(line.get_ydata(), expected, atol=5e-6)
    np.testing.assert_allclose(bold.get_ydata(), np.mean([line.get_ydata() for line in faint], axis=0), atol=1e-6)
    (point,) = lines(ax, "mean symmetry point")
    assert point.get_ydata()[0] == pytest.approx(array.symmetry_point().mean(), rel=1e-9)


def test_pulse_response_starts_at_the_lowest_state_of_a_referenced_device(ax):
    device = rpu.devices.SoftBoundsReference(dw_min=0.01, reference_mean=0.25, w_max=1.0, w_min=-1.0, **QUIET)
    plotting.pulse_response(device, 10, ax=ax)
    assert lines(ax, "up")[0].get_ydata()[0] == pytest.approx(-1.25, abs=1e-6)


@pytest.mark.parametrize("name", ["reram_es", "ecram_mo", "wu_power", "pcm"])
def test_step_sizes_are_what_a_pulse_does(ax, name):
    device = rpu.devices.presets.get(name)
    quiet = {key: 0.0 for key in device.to_dict() if key.endswith("_dtod")}
    device = device.replace(**quiet, **{key: 0.0 for key in device.to_dict() if key.startswith(("dw_min_std", "write"))})
    plotting.step_sizes(device, ax=ax)
    (up,), (down,) = lines(ax, "up"), lines(ax, "down")
    w = up.get_xdata()
    assert (w[0], w[-1]) == (device.w_min, device.w_max)
    for line, sign in ((up, 1), (down, -1)):
        array = rpu.CrossbarArray((1, len(w)), device, rng=0)
        array.program(w[None])
        before = array.weights[0].astype(float)
        array.pulse(sign)
        after = np.clip(before + sign * line.get_ydata(), device.w_min, device.w_max)
        np.testing.assert_allclose(array.weights[0], after, atol=2e-6)
    (point,) = lines(ax, "symmetry point")
    x = point.get_xdata()[0]
    assert np.interp(x, w, up.get_ydata()) == pytest.approx(np.interp(x, w, down.get_ydata()), rel=1e-2)


def test_step_sizes_of_drawn_devices(ax):
    device = rpu.devices.SoftBounds(dw_min=0.01, w_max=1.0, w_min=-1.0)
    plotting.step_sizes(device, ax=ax, rng=3, n_devices=2)
    p = rpu.CrossbarArray((1, 2), device, rng=3).parameters
    faint = [line for line in ax.lines if line.get_alpha() is not None]
    assert len(faint) == 4
    for j, line in enumerate(faint[:2]):  # the up steps: from their largest, at w_min, to 0 at w_max
        assert line.get_xdata()[[0, -1]] == pytest.approx([p["w_min"][0, j], p["w_max"][0, j]], rel=1e-6)
        largest = p["step_up"][0, j] * (1 - p["w_min"][0, j] / p["w_max"][0, j])
        assert line.get_ydata()[[0, -1]] == pytest.approx([largest, 0.0], rel=1e-5, abs=1e-8)


def test_no_symmetry_point_is_marked_where_there_is_none(ax):
    for draw in (plotting.step_sizes, plotting.response_functions):
        draw(rpu.devices.ConstantStep(up_down=0.2), ax=ax)
    plotting.pulse_response(rpu.devices.ConstantStep(dw_min=0.1), ax=ax)
    assert not [line for line in ax.lines if "symmetry" in line.get_label()]


def test_response_functions(ax):
    plotting.response_functions(rpu.devices.SoftBounds(w_max=2.0, w_min=-2.0, up_down=0.3), ax=ax)
    (f,), (g,), (point,) = lines(ax, "F"), lines(ax, "G"), lines(ax, "symmetry point")
    x = f.get_xdata() / 2
    assert (x[0], x[-1]) == (-1, 1)
    np.testing.assert_allclose(f.get_ydata(), 1 - 0.3 * x, rtol=1e-12)
    np.testing.assert_allclose(g.get_ydata(), x - 0.3, atol=1e-12)
    assert point.get_xdata()[0] == pytest.approx(0.6)


def test_parameter_spread_counts_the_devices_of_an_array(ax):
    device = rpu.devices.presets.reram_array_om()
    plotting.parameter_spread(device, ax=ax, rng=2, n_devices=3000)
    drawn, mean = rpu.CrossbarArray((1, 3000), device, rng=2).parameters, device.mean_parameters()
    assert [patch.get_label() for patch in ax.patches] == ["step_up", "step_down", "w_max", "w_min"]
    for patch in ax.patches:
        values, edges, _ = patch.get_data()
        relative = drawn[patch.get_label()][0] / mean[patch.get_label()]
        np.testing.assert_array_equal(values, np.histogram(relative, edges)[0])
        assert values.sum() == 3000
        inside = (edges[1:] > ax.get_xlim()[0]) & (edges[:-1] < ax.get_xlim()[1])
        assert 20 < inside.sum() < 120 and values[inside].sum() > 0.95 * 3000  # a long tail leaves the rest visible


def test_parameter_spread_without_spread(ax):
    device = rpu.devices.SoftBounds(**QUIET)
    plotting.parameter_spread(device, ax=ax, n_devices=50)
    assert not ax.patches and [text.get_text() for text in ax.texts] == ["no spread"]
    plotting.parameter_spread(device, ["w_min"], ax=ax, n_devices=50)
    (patch,) = ax.patches
    values, edges, _ = patch.get_data()
    assert values.sum() == 50 and edges[0] < 1.0 < edges[-1]


def test_device_figure_has_four_panels_of_the_same_device():
    device = rpu.devices.presets.ecram(dw_min=0.02)
    figure = plotting.device_figure(device, rng=4, n_devices=3)
    assert len(figure.axes) == 4
    alone = plotting.pulse_response(device, ax=Figure().subplots(), rng=4, n_devices=3)
    np.testing.assert_array_equal(lines(figure.axes[0], "up")[0].get_ydata(), lines(alone, "up")[0].get_ydata())
    assert len(figure.axes[1].lines) == 2 * 3 + 2 + 1 and lines(figure.axes[2], "G") and figure.axes[3].patches


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: plotting.pulse_response(rpu.devices.Ideal(), ax=ax), r"changes by pulses; got Ideal\(\)"),
        (lambda ax: plotting.pulse_response(rpu.devices.SoftBounds(), 0, ax=ax), "n_pulses must be an integer .* got 0"),
        (lambda ax: plotting.pulse_response(rpu.devices.SoftBounds(), ax=ax, n_devices=0), "n_devices must be .* got 0"),
        (lambda ax: plotting.step_sizes(rpu.devices.SoftBounds(), ax=ax, n_devices=-1), "n_devices must be .* got -1"),
        (lambda ax: plotting.response_functions(rpu.devices.SoftBounds(), ax="left"), "ax must be a matplotlib Axes"),
        (lambda ax: plotting.parameter_spread(rpu.devices.SoftBounds(), ["mass"], ax=ax), "names must be among .*'mass'"),
        (lambda ax: plotting.device_figure(rpu.devices.SoftBounds(), n_devices=0), "n_devices must be .* got 0"),
    ],
)
def test_wrong_input(ax, draw, message):
    with pytest.raises((ValueError, TypeError), match=message):
        draw(ax)
