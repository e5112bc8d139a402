"""Every whole figure as it will be printed: as wide as asked, every label with its unit, and nothing over anything else."""

import re
from functools import cache

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from oracle.figures import check_print

import rpusim as rpu
from rpusim import experiments, nn, plotting
from rpusim.plotting.style import legend, name_axis, panels


@cache
def runs(device="constant-step", algorithm="shd", targets=(-0.4, 0.4), **settings):
    rule = experiments.demo_algorithm(algorithm, experiments.demo_device(device))
    options = {"noise": 0.1, "steps": 3000, "rng": 0, "lr": 0.01, **settings}
    return [experiments.regression(rule, target, **options) for target in targets]


@cache
def fitted(unit="S"):
    rng, n = np.random.default_rng(3), np.arange(200)
    up, down = (np.tile(2e-6 * (5 + 0.02 * sign * n), (3, 1)) for sign in (1, -1))
    ramps = [ramp + 3e-8 * rng.standard_normal(ramp.shape) for ramp in (up, down + 8e-6)]
    hold = {"slow_noise": 0.0, "dw_min_std": 0.0}
    return rpu.fitting.fit(*ramps, "ConstantStep", hold=hold, unit=unit, progress=False)


@cache
def wired():
    rng = np.random.default_rng(0)
    r, v = rng.uniform(1e4, 1e5, (40, 30)), rng.uniform(0.0, 0.2, 40)
    return rpu.solve_network(v, r, r_word=2.0, r_bit=2.0), v @ (1.0 / r), v


def histories(seeds):
    rng = np.random.default_rng(seeds)
    columns = [[0.5 * 0.8**k for k in range(12)], [0.6 * 0.8**k for k in range(12)]]
    return [nn.History(*columns, list(9 * 0.8 ** np.arange(12) + rng.random(12)), *[[1.0] * 12] * 3) for _ in range(seeds)]


def spirals(steps, **settings):
    common = {"targets": (0.2,), "steps": steps, "start": -0.2, "input": "binary", **settings}
    return {name: runs(name, **common)[0] for name in ("constant-step", "soft-bounds")}


MEASURED = rpu.devices.FromResponse(
    q_up=lambda w: 0.02 * (1 - w) ** 1.5, q_down=lambda w: 0.03 * (1 + w), w_max=1.0, w_min=-1.0
)


def measured_on(chip):
    values = 0.9 - 0.01 * np.arange(6).reshape(2, 3)
    return rpu.inference.InferenceResult(np.array([1.0, 3600.0, 3.15e7]), values, 0.95, "accuracy", 0.1, {"chip": chip})


FIGURES = {
    "chip": lambda width: plotting.chip_figure(rpu.inference.chips.get("hermes"), width=width),
    "chip of charge traps": lambda width: plotting.chip_figure(rpu.inference.chips.get("sonos"), width=width),
    "networks on chips": lambda width: plotting.inference_figure({"a": measured_on("a"), "b": measured_on("b")}, width=width),
    "device": lambda width: plotting.device_figure(rpu.devices.presets.reram_sb(), n_devices=3, width=width),
    "symmetric device": lambda width: plotting.device_figure(rpu.devices.presets.idealized(), n_devices=3, width=width),
    "fine device": lambda width: plotting.device_figure(
        rpu.devices.SoftBounds(dw_min=2e-4, w_max=1.0, w_min=-1.0), n_devices=2, width=width
    ),
    "device without spread": lambda width: plotting.device_figure(experiments.demo_device("soft-bounds"), width=width),
    "measured device": lambda width: plotting.device_figure(MEASURED, n_devices=3, width=width),
    "wires": lambda width: plotting.wires_figure(*wired(), width=width),
    "wires without inputs": lambda width: plotting.wires_figure(*wired()[:2], width=width),
    "fit": lambda width: plotting.fit_figure(fitted(), name="a_long_name_of_a_measurement_of_2026-11-30.csv", width=width),
    "fit of currents": lambda width: plotting.fit_figure(fitted("A"), width=width),
    "fit without a unit": lambda width: plotting.fit_figure(fitted(""), width=width),
    "regression": lambda width: plotting.regression_figure(
        {"SGD": runs(algorithm="sgd"), "SHD": runs(steps=20_000, noise=0.3)}, name="constant-step", width=width
    ),
    "regression of one algorithm": lambda width: plotting.regression_figure({"SHD": runs("soft-bounds")}, width=width),
    "digital regression": lambda width: plotting.regression_figure({"digital": runs(algorithm="digital")}, width=width),
    "noiseless spirals": lambda width: plotting.spiral_figure(spirals(3000, noise=0.0), width=width),
    "long spirals": lambda width: plotting.spiral_figure(spirals(20_000, noise=0.3), width=width),
    "short spirals": lambda width: plotting.spiral_figure(spirals(40), width=width),
    "spirals of two weights": lambda width: plotting.spiral_figure(
        *({"soft-bounds": runs("soft-bounds", rule, targets=((0.2, -0.2),))[0]} for rule in ("shd", "sgd")), width=width
    ),
    "learning": lambda width: plotting.learning_figure(
        {"SGD": histories(3), "SHD, soft-bounds": histories(1)[0], "tiki-taka, reram-array-om": histories(2)}, width=width
    ),
    "loss": lambda width: plotting.learning_figure({"SGD": histories(1)}, "train_loss", width=width),
}


@pytest.mark.parametrize("width", [3.3, 7.0])
@pytest.mark.parametrize("name", FIGURES)
def test_figures_can_be_printed(name, width):
    check_print(FIGURES[name](width), width)


@pytest.mark.parametrize("name", ["device", "regression", "wires"])
def test_panels_stand_below_each_other_in_one_column_and_side_by_side_in_two(name):
    for width, columns in ((3.3, 1), (7.0, 2)):
        figure = FIGURES[name](width)
        grid = [ax for ax in figure.axes if ax.get_subplotspec() is not None]
        assert len({round(ax.get_position().x0, 2) for ax in grid}) == columns
    assert FIGURES["loss"](None).get_figwidth() == 3.3 and FIGURES["wires"](None).get_figwidth() == 7.0


@pytest.mark.parametrize("width", [1.0, float("nan"), "wide"])
def test_widths_are_refused_by_name(width):
    with pytest.raises((ValueError, TypeError), match=f"width must be .*{width}"):
        plotting.learning_figure({"SGD": histories(1)}, width=width)


@pytest.mark.parametrize(("unit", "quantity"), [("S", "conductance"), ("A", "current"), ("", "measured value")])
def test_what_was_measured_is_called_what_it_is(unit, quantity):
    label = FIGURES["fit" if unit == "S" else "fit of currents" if unit else "fit without a unit"](7.0).axes[0].get_ylabel()
    assert label == (f"{quantity} (µ{unit})" if unit else f"{quantity} ($10^{{-6}}$)")


@pytest.mark.parametrize(
    ("limits", "unit", "scale", "label", "tick"),
    [
        ((0.0, 3e-6), "A", 1.0, "x (µA)", "2"),
        ((0.0, 0.2), "V", 1.0, "x (mV)", "100"),
        ((-4.0, 3.0), "S", 1e-6, "x (µS)", "\N{MINUS SIGN}2"),
        ((0.0, 30_000.0), "", 1.0, "x ($10^{3}$)", "20"),
        ((0.0, 9000.0), "", 1.0, "x", "5000"),
        ((0.0, 0.004), "", 1.0, "x ($10^{-3}$)", "2"),
        ((0.0, 1.0), "", 1.0, "x", "0.4"),
        ((0.0, 1.0), "a.u.", 1.0, "x (a.u.)", "0.4"),
        ((0.0, 4e-4), "a.u.", 1.0, "x ($10^{-6}$ a.u.)", "200"),
    ],
)
def test_axes_have_prefixes_or_powers_of_ten(limits, unit, scale, label, tick):
    ax = Figure().subplots()
    ax.set_xlim(*limits)
    name_axis(ax.xaxis, "x", unit, scale)
    ax.figure.draw_without_rendering()
    assert ax.get_xlabel() == label
    texts = [text.get_text() for text in ax.get_xticklabels()]
    assert any(re.fullmatch(rf"{re.escape(tick)}(\.0)?", text) for text in texts), texts


def test_the_check_sees_what_is_wrong():
    """It would be worth nothing otherwise."""

    def drawn(change):
        with rc_context(plotting.style()):
            figure, axes = panels(7.0, 2)
            for ax in axes:
                ax.plot([0, 1], [0, 1], label="line")
                ax.set(xlabel="pulse", ylabel="weight (a.u.)")
                legend(ax)
            change(figure, *axes)
        return figure

    check_print(drawn(lambda *_: None), 7.0)
    wrong = {
        "wide": lambda f, a, b: f.set_figwidth(6.0),
        "font size": lambda f, a, b: a.set_xlabel("pulse", fontsize=5),
        "no label": lambda f, a, b: a.set_xlabel(""),
        "no unit": lambda f, a, b: a.set_xlabel("current"),
        "overlap": lambda f, a, b: a.annotate("text over the label", (0.0, 0.0), xycoords=a.xaxis.label),
        "outside": lambda f, a, b: a.set_title("long " * 30),
        "legend": lambda f, a, b: a.legend(loc="center"),
        "no data": lambda f, a, b: b.lines[0].remove(),
        "colour bar": lambda f, a, b: a.imshow([[0.0, 1.0]], aspect="auto"),
    }
    for name, change in wrong.items():
        with pytest.raises(AssertionError, match=name):
            check_print(drawn(change), 7.0)
