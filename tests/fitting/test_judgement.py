"""What a fit says of its data and of itself: bad reads, few values, bounds, symmetry points, misfit, and devices of fits."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import rpusim as rpu
from rpusim.fitting import ModelScore, fit, read_ramps, selection
from rpusim.fitting.pieces import outliers

N = np.arange(60)


def saturating(seed, n=N, noise=0.002, time=25.0):
    """Reads of soft bounds at 28 and 9."""
    rng = np.random.default_rng(seed)
    up = 28 - 18 * np.exp(-n / time)
    down = 9 + 17 * np.exp(-n / time)
    return [y + 20 * noise * rng.standard_normal(len(n)) for y in (up, down)]


# ---- bad reads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 2, 17, 30, 57, 58, 59])
@pytest.mark.parametrize("by", [-9.0, 5.0, 1e3])
def test_one_bad_read_changes_nothing_and_is_named(k, by):
    up, down = saturating(1)
    without, spiked = up.copy(), up.copy()
    without[k] = np.nan
    spiked[k] += by
    clean = fit(without, down, "SoftBounds", g_min=8, g_max=28, progress=False)
    result = fit(spiked, down, "SoftBounds", g_min=8, g_max=28, progress=False)
    for name, value in clean.values.items():
        assert result.values[name] == pytest.approx(value, rel=1e-6)
    assert result.r2 > 0.999
    (note,) = [note for note in result.notes if "bad read" in note]
    assert f"pulses_up[0], value {k} (from 0): {spiked[k]:g}" in note


def test_bad_reads_are_named_by_file_and_line(tmp_path):
    up, down = saturating(1)
    up[30] /= 3
    path = tmp_path / "spike.csv"
    path.write_text(
        "pulse,up,down\n" + "".join(f"{n},{a:.6g},{b:.6g}\n" for n, (a, b) in enumerate(zip(up, down, strict=True)))
    )
    result = fit(read_ramps(path), model="SoftBounds", progress=False)
    (note,) = [note for note in result.notes if "bad read" in note]
    assert note.startswith("spike.csv, line 32 (up): ")
    assert result.n_values == 117


def test_noise_and_steps_are_no_bad_reads():
    rng = np.random.default_rng(0)
    walk = np.cumsum(0.02 + 0.03 * rng.standard_normal((200, 70)), axis=1)
    assert sum(len(outliers(y, least=0.02)) for y in walk) <= 2
    steps = np.repeat(np.arange(7.0), 10)
    assert len(outliers(steps + 0.01 * rng.standard_normal(70), least=0.02)) == 0
    codes = np.floor(np.linspace(0, 9, 200))
    codes[[50, 90]] += 1
    assert len(outliers(codes, least=0.02)) == 0  # by one unit of a converter
    assert list(outliers(np.where(N == 20, 5.0, N / 60) + 0.002 * rng.standard_normal(60), least=0.02)) == [20]


# ---- missing and turned data -----------------------------------------------------------------------------------------


def test_masked_values_are_missing():
    up, down = saturating(2)
    gaps, hide = up.copy(), np.isin(N, (5, 20))
    gaps[hide] = np.nan
    wrong = np.where(hide, 9.9e37, up)
    expected = fit(gaps, down, "SoftBounds", progress=False)
    for masked in (np.ma.masked_array(wrong, hide), [np.ma.masked_array(wrong, hide)], np.ma.masked_array([wrong], [hide])):
        result = fit(masked, down, "SoftBounds", progress=False)
        assert result.slope == expected.slope and result.values == expected.values
    with pytest.raises(ValueError, match=r"pulses_up\[0\] must be at most 1e30 in size"):
        fit(wrong, down, "SoftBounds", progress=False)


def test_tables_with_a_row_for_each_pulse_are_turned_and_said():
    n = np.arange(50)
    table = 1e-6 + 1e-5 * (1 - np.exp(-n / 12))[:, None] + 2e-8 * np.random.default_rng(0).normal(size=(50, 6))
    expected = fit(table.T, None, "SoftBounds", progress=False)
    assert expected.n_ramps == 6 and not any("along columns" in note for note in expected.notes)
    for given in (table, table.tolist(), table[:, :2], np.repeat(table[:, :1], 3, axis=1)):
        result = fit(given, None, "SoftBounds", progress=False)
        assert result.n_ramps == np.shape(given)[1]
        assert any(f"pulses_up of shape {np.shape(given)} has its ramps along columns" in note for note in result.notes)
        assert result.device.dw_min == pytest.approx(expected.device.dw_min, rel=0.05)
    few = np.random.default_rng(1).normal(size=(8, 5)).cumsum(axis=1)
    assert not any("along columns" in note for note in fit(few + np.arange(5) * 3, None, "ConstantStep", progress=False).notes)


class Frame:
    """A table with named columns, as pandas has it, of what is asked of it."""

    def __init__(self, **columns):
        self.data, self.columns = columns, list(columns)
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __getitem__(self, name):
        return self.data[name]


def test_tables_with_names_are_read_by_columns():
    up, down = saturating(3)
    expected = fit([up, up + 0.1], [down], "SoftBounds", g_min=8, g_max=28, unit="S", progress=False)
    for given in (
        (Frame(pulse=N, a=up, b=up + 0.1, c=down),),
        (Frame(pulse=N, a=up, b=up + 0.1), Frame(c=down)),
        (Frame(pulse=N, a=up, b=up + 0.1), down),
    ):
        result = fit(*given, model="SoftBounds", g_min=8, g_max=28, progress=False)
        assert result.values == expected.values


@pytest.mark.parametrize("side", ["up", "down"])
def test_ramps_that_go_the_other_way_are_refused(side):
    up, down = saturating(4)
    given = (down, None) if side == "up" else (up, up)
    goes = "fall" if side == "up" else "rise"
    with pytest.raises(ValueError, match=rf"pulses_{side}\[0\] must .*; got values that {goes} .*ramp\[::-1\]"):
        fit(*given, "SoftBounds", progress=False)


def test_ramps_go_in_alone():
    up, down = saturating(4)
    ramps = rpu.fitting.Ramps([up], [down], "S")
    assert fit(ramps, model="SoftBounds", progress=False).unit == "S"
    with pytest.raises(ValueError, match="pulses_down must be None where pulses_up are Ramps"):
        fit(ramps, down)
    with pytest.raises(TypeError, match="pulses_down must not be Ramps"):
        fit(up, ramps)
    with pytest.raises(ValueError, match="unit must be that of the ramps, 'S'; got 'A'"):
        fit(ramps, unit="A")


# ---- few values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [3, 4, 5, 6, 8, 16])
def test_never_more_parameters_than_half_of_the_values_where_models_are_chosen(k):
    rng, n = np.random.default_rng(5), np.arange(k)
    result = fit(1e-6 * (1 + n + 0.05 * rng.normal(size=k)), 1e-6 * (k - n + 0.05 * rng.normal(size=k)), progress=False)
    assert result.n_values == 2 * (k - 1)
    assert result.score.n_parameters <= max(result.n_values / 2, 4)
    assert all(score.n_parameters <= max(result.n_values / 2, 4) for score in result.comparison) or k == 16
    assert k == 16 or any("values" in note and "not tried: " in note for note in result.notes)
    assert result.score.model == "ConstantStep"


def test_models_with_more_parameters_than_values_are_refused():
    with pytest.raises(ValueError, match="PiecewiseStep has 12 parameters; got 6"):
        fit([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], "PiecewiseStep", progress=False)
    with pytest.raises(ValueError, match="even the simplest model has 3 parameters; got 2"):
        fit([1.0, 2.0, 3.0], progress=False)


# ---- bounds and the step of the range --------------------------------------------------------------------------------


def logarithmic(seed=0):
    """Ramps that go as the logarithm of the pulse number, whose bounds nothing tells."""
    n, rng = np.arange(50), np.random.default_rng(seed)
    up, down = (np.log1p(n / k) / np.log1p(49 / k) for k in (12, 0.7))
    return 113.5 + 3.3 * up + 0.02 * rng.normal(size=50), 116.8 - 3.3 * down + 0.02 * rng.normal(size=50)


@pytest.mark.parametrize("model", ["PowStep", "SoftBounds", "LinearStep", "ExpStep", "PiecewiseStep", None])
def test_a_gradient_becomes_pulses_by_the_step_within_the_data(model):
    result = fit(*logarithmic(), model, progress=False)
    device = result.device
    assert max(abs(device.w_max), abs(device.w_min)) <= 5.0 + 1e-9
    if model is None:
        assert max(abs(device.w_max), abs(device.w_min)) <= 2.0 and result.r2_blocks > 0.99
    # the measured steps in the middle of the range, in weight units: of 0.067 and 0.040 of it per pulse, times two
    step = (float(device.step_up(0.0)) + float(device.step_down(0.0))) / 2
    assert device.granularity == pytest.approx(step, rel=0.25) and 0.03 < device.granularity < 0.1
    array = rpu.CrossbarArray((40, 40), device, rng=0, forward=rpu.Periphery.ideal(), backward=rpu.Periphery.ideal())
    array.program(np.zeros((40, 40)))
    for _ in range(20):
        array.update(np.ones((1, 40)), -np.ones((1, 40)), lr=0.02 / 20)
    # what is asked for, by the part that up steps are of the mean one
    asked = 0.02 * float(device.step_up(0.0)) / device.granularity
    assert array.weights.mean() == pytest.approx(asked, abs=0.004) and 0.008 < array.weights.mean() < 0.035
    if model == "PowStep":
        assert device.nominal_step is not None and any("nominal_step" in note for note in result.notes)
        assert any(note.startswith("w_max is held at 5, two ranges of the data beyond them") for note in result.notes)


def test_bounds_that_vanishing_steps_keep_ramps_from_are_not_invented():
    """Filaments: steps vanish long before the bounds, so that nothing says where these are."""
    for seed in range(3):
        rng, ramps = np.random.default_rng(seed), []
        for sign, start in ((1, -0.25), (-1, 0.35)):
            w = np.full(4, start)
            path = [w]
            for _ in range(300):
                z = 0.488 * w / 1.2 + 0.2425
                rate = 0.00081 * np.exp(12.44625 * z) if sign > 0 else 0.36833 * np.exp(-12.78785 * z)
                w = w + sign * 0.00135 * np.maximum(1 - rate, 0) * (1 + 0.3 * rng.standard_normal(4))
                path.append(w)
            ramps.append(np.array(path).T + 0.003 * rng.standard_normal((4, 301)))
        result = fit(*ramps, "ExpStep", progress=False)
        assert {"w_max", "w_min"}.isdisjoint(result.standard_errors)
        assert sum("is held at the edge of the data" in note for note in result.notes) == 2
        assert result.r2_blocks > 0.99


# ---- symmetry points -------------------------------------------------------------------------------------------------


def ramps_of(up, down, seed, noise=0.004, n_ramps=3, n_pulses=200, ends=(-1.0, 1.0)):
    """Ramps of steps up(w) and down(w) from end to end of (-1, 1), by their mean laws."""
    rng, out = np.random.default_rng(seed), []
    for sign, law, start in ((1, up, ends[0]), (-1, down, ends[1])):
        w = start
        path = [w]
        for _ in range(n_pulses):
            w = float(np.clip(w + sign * law(w), -1, 1))
            path.append(w)
        out.append(np.array(path) + noise * rng.standard_normal((n_ramps, n_pulses + 1)))
    return out


def test_a_device_that_only_has_a_repeller_is_said_to():
    result = fit(*ramps_of(lambda w: 0.012 * (1 + 0.4 * w), lambda w: 0.011 * (1 - 0.4 * w), 0), progress=False)
    points = result.device.symmetry_points
    assert points and not any(point.stable for point in points)
    assert np.isnan(result.device.symmetry_point)
    assert any("repeller" in note and note.startswith(("no model comes back", "take ")) for note in result.notes)
    assert any("none is stable, so that SHD" in note for note in result.notes)


STABLE = rpu.devices.SoftBounds(dw_min=0.01, w_max=1.0, w_min=-1.0)
NONE = rpu.devices.ConstantStep(dw_min=0.01, up_down=0.2, w_max=1.0, w_min=-1.0)


@pytest.mark.parametrize(
    ("outcomes", "taken", "said"),
    [  # model, device, BIC, R2, faults
        ([("A", STABLE, 0, 0.99, ()), ("B", STABLE, 9, 0.99, ())], "A", None),
        (
            [("A", STABLE, 0, 0.99, ("it absorbs",)), ("B", STABLE, 9, 0.97, ())],
            "B",
            "A is likelier by 9.0 (BIC; R2 0.990 against",
        ),
        (
            [("A", STABLE, 0, 0.99, ("it absorbs",)), ("B", STABLE, 9, 0.80, ())],
            "A",
            "no model comes back from where the data did",
        ),
        (
            [("A", STABLE, 0, 0.99, ("it absorbs",)), ("B", NONE, 9, 0.98, ())],
            "A",
            "no model comes back from where the data did",
        ),
        ([("A", NONE, 0, 0.99, ()), ("B", STABLE, 9, 0.99, ())], "A", None),
        ([("A", STABLE, 0, 0.99, ("it absorbs",))], "A", "take A with care: it absorbs"),
    ],
)
def test_models_that_come_back_from_where_the_data_did_are_preferred(outcomes, taken, said):
    made = [
        selection.Outcome(ModelScore(name, 6, -bic / 2, bic, bic, r2, r2, r2, r2), device, {}, {}, (), faults)
        for name, device, bic, r2, faults in outcomes
    ]
    best, comparison, notes = selection.chosen_of(made, "bic", 1000)
    assert best.score.model == taken == comparison[0].model and len(comparison) == len(outcomes)
    assert (not notes) if said is None else notes[0].startswith(said)
    assert said is None or "it absorbs" in notes[0]
    assert ("(--model A) takes it nevertheless" in "".join(notes)) == (taken == "B")


def test_what_absorbs_is_said_to():
    nodes = np.linspace(-1, 1, 5)
    up, down = (
        lambda w, table=table: 0.012 * float(np.interp(w, nodes, table))
        for table in ((1.3, 1.15, 1.0, 0.85, 0.7), (0.7, 0.85, 1.0, 1.1, 0.002))
    )
    result = fit(*ramps_of(up, down, 1, n_pulses=260, ends=(-1.0, 0.97)), "PiecewiseStep", progress=False)
    assert any(
        note.startswith("take PiecewiseStep with care: it absorbs at") and "down pulses have no effect" in note
        for note in result.notes
    )


def test_absence_of_symmetry_points_is_said_by_name():
    result = fit(*ramps_of(lambda w: 0.014, lambda w: 0.010, 2), "ConstantStep", progress=False)
    assert any("no symmetry point: pulses of both signs in turn lead to w_max" in note for note in result.notes)
    symmetric = fit(*ramps_of(lambda w: 0.012, lambda w: 0.012, 2), "ConstantStep", progress=False)
    assert not any("symmetry point" in note for note in symmetric.notes)


# ---- misfit ----------------------------------------------------------------------------------------------------------


def test_misfit_is_said_per_direction():
    up, down = saturating(5, time=12.0)
    line = np.linspace(27, 9, 60) + 0.04 * np.random.default_rng(0).standard_normal(60)
    result = fit(up, line, "ConstantStep", hold={"w_max": 2.0, "w_min": -2.0}, progress=False)
    assert result.score.r2_up < 0.5 < 0.9 < result.score.r2_down
    assert any(note.startswith("the up ramps do not follow ConstantStep: R2 of means of blocks 0.") for note in result.notes)
    assert not any("down ramps do not follow" in note for note in result.notes)
    hold = {"w_max": 2.0, "w_min": -2.0, "dw_min_std": 0.1, "slow_noise": 0.0}  # not as a walk of steps that vary
    notes = fit(up, line, "ConstantStep", hold=hold, progress=False).notes
    assert any(
        note.startswith("residuals of the up ramps go ") and "times beyond their noise (most at pulses" in note
        for note in notes
    )


def test_what_fits_is_not_said_to_misfit():
    said = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        ramps = []
        for sign in (1, -1):
            w = np.full(4, -0.75 * sign)
            path = [w]
            for _ in range(80):
                w = w + sign * 0.04 * (1 - sign * w / 0.9) * (1 + 0.4 * rng.standard_normal(4))
                path.append(w)
            ramps.append(np.array(path).T + 0.01 * rng.standard_normal((4, 81)))
        notes = fit(*ramps, "SoftBounds", progress=False).notes
        said += any("residuals" in note or "do not follow" in note for note in notes)
    assert said <= 1


# ---- a fit as a device -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return fit(*saturating(6), "SoftBounds", progress=False)


def test_a_fit_is_accepted_wherever_a_device_is(fitted):
    device = fitted.device
    assert rpu.CrossbarArray((2, 3), fitted, rng=0).device == device
    assert rpu.algorithms.SGD(device=fitted).device == device
    assert rpu.algorithms.SHD(fast=fitted, slow=fitted).fast == device
    assert rpu.devices.VectorCell(devices=(fitted, fitted)).devices == (device, device)
    assert rpu.theory.response_theory(fitted).symmetry_point == device.symmetry_point
    assert rpu.theory.response(fitted, 0.1) == rpu.theory.response(device, 0.1)
    task = rpu.theory.Regression(0.3, 0.1)
    assert rpu.theory.sgd_fixed_point(fitted, task) == rpu.theory.sgd_fixed_point(device, task)
    assert fitted.granularity == device.granularity
    with pytest.raises(AttributeError, match="'FitResult' has no attribute 'colour'"):
        fitted.colour  # noqa: B018
    for copied in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert copied.device == device
    with pytest.raises(TypeError, match="device must be"):
        rpu.algorithms.SGD(device=type(fitted))


def test_what_a_fit_writes_is_read_as_its_device(fitted):
    assert rpu.from_dict(fitted.to_dict()) == fitted.device
    assert rpu.from_json(fitted.to_json()) == fitted.device
    assert rpu.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted.device


def test_errors_of_reading_are_short(fitted):
    data = {**fitted.to_dict(), "format": "another"}
    for wrong in (data, [1] * 5000, {k: 1 for k in range(5000)}, {"type": ["x"] * 5000}, {"type": "SoftBounds", 3: 4}, 7):
        with pytest.raises(ValueError) as caught:
            rpu.from_dict(wrong)
        assert len(str(caught.value)) < 2000 and "dw_min': " not in str(caught.value)
    with pytest.raises(ValueError, match="not nested as deeply as this"):
        rpu.from_json("[" * 100_000)
