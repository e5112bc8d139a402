"""Retention and endurance: laws drawn by plain NumPy are found again, with honest errors, and what cannot be told is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binom, chi2

import rpusim as rpu
from rpusim.fitting import EnduranceResult, RetentionResult, Series, fit_endurance, fit_retention, read_series

TRUTH = {
    "drift": {"nu": 0.06, "nu_dtod": 0.3, "noise": 0.02},
    "drift from t_0": {"nu": 0.06, "t_0": 50.0, "noise": 0.02},
    "decay": {"tau": 3000.0, "rest": 1.5, "noise": 0.02},
}


def drawn(law, seed, series=24, n=24):
    """Conductances in uS over 1 to 1e5 s."""
    rng, t = np.random.default_rng([seed, len(law)]), np.geomspace(1, 1e5, n)
    series = series if law == "drift" else 3
    g, out = rng.uniform(2, 10, series), []
    for k in range(series):
        xi = 0.02 * rng.standard_normal(n)
        if law == "decay":
            out.append(1.5 + (g[k] - 1.5) * np.exp(-t / 3000) + xi)
        else:
            nu = 0.06 * (1 + (0.3 * rng.standard_normal() if law == "drift" else 0))
            out.append(g[k] * np.maximum(t / (1 if law == "drift" else 50), 1) ** -nu * np.exp(xi))
    return t, out


@pytest.mark.parametrize("law", list(TRUTH))
def test_standard_errors_cover_the_truth(law):
    """Of 100 series of measurements 95 are within 3 errors, and the spread of z is 1 as 100 of them tell it."""
    trials = 100 if law != "drift from t_0" else 40
    z: dict[str, list[float]] = {name: [] for name in TRUTH[law]}
    for seed in range(trials):
        found = fit_retention(*drawn(law, seed), law=law, noise="absolute" if law == "decay" else "relative")
        for name, truth in TRUTH[law].items():
            z[name].append((found.values[name] - truth) / found.standard_errors[name])
    for name, values in z.items():
        x = np.array(values)
        print(f"{law} {name}: {np.sum(np.abs(x) < 3)} of {trials}, mean {x.mean():.2f}, spread {x.std(ddof=1):.2f}")
        assert np.sum(np.abs(x) > 3) <= binom.ppf(1 - 1e-3, trials, 0.02), name
        low, high = np.sqrt(chi2.ppf([1e-3, 1 - 1e-3], trials - 1) / (trials - 1))
        assert low * 0.95 < x.std(ddof=1) < high * 1.1 and abs(x.mean()) < 0.5, name


@pytest.mark.parametrize("law", list(TRUTH))
def test_the_law_is_chosen_by_the_values(law):
    t, g = drawn(law, 3)
    found = fit_retention(t, g[:3])
    assert found.law == law and found.relative == (law != "decay")
    assert found.comparison[0] == (law, 0.0) and len(found.comparison) >= 3
    assert law in str(found)


def test_noise_alone_stays():
    rng = np.random.default_rng(0)
    found = fit_retention(np.geomspace(1, 1e4, 40), 5 + 0.01 * rng.standard_normal((3, 40)))
    assert found.law == "stays" and any("nothing changes beyond its noise" in note for note in found.notes)
    with pytest.raises(ValueError, match="'stays'"):
        found.added_to(rpu.devices.SoftBounds())
    with pytest.raises(TypeError, match="drift"):
        rpu.devices.SoftBounds(drift=found)


def test_a_drift_is_what_arrays_do():
    """The conductance of a device after the time of the law is that of the law, for weights of -1 to 1 too."""
    t = np.geomspace(1, 1e4, 20)
    found = fit_retention(t, 4e-6 * t**-0.05, law="drift", unit="S")
    device = rpu.devices.SoftBounds(w_max=2.0, w_min=-2.0, w_max_dtod=0.0, w_min_dtod=0.0)
    for given in (found, found.added_to(device, g_min=0.0, g_max=1e-5)):
        array = rpu.CrossbarArray(
            (1, 1), given if isinstance(given, rpu.devices.PulsedDevice) else device.replace(drift=given), rng=0
        )
        scaled = isinstance(given, rpu.devices.PulsedDevice)
        array.program([[-0.2 if scaled else 0.4]])  # 4 uS
        array.drift(1000.0)
        g = 5 + 5 * array.weights[0, 0] if scaled else 10 * array.weights[0, 0]
        assert g == pytest.approx(4 * 1000**-0.05, rel=1e-5)


def test_a_decay_is_what_arrays_do():
    t = np.linspace(0, 400, 30)
    found = fit_retention(t, 2e-6 + 6e-6 * np.exp(-t / 100), unit="S")
    assert found.law == "decay"
    device = found.added_to(rpu.devices.SoftBounds(w_max=2.0, w_min=-2.0, w_max_dtod=0.0, w_min_dtod=0.0),
                            g_min=0.0, g_max=1e-5, batch_time=5.0)  # fmt: skip
    array = rpu.CrossbarArray((1, 1), device.replace(reset_dtod=0.0), rng=0)
    array.program([[0.6]])  # 8 uS
    for _ in range(10):
        array.end_batch()
    assert 5 + 5 * array.weights[0, 0] == pytest.approx(2 + 6 * np.exp(-0.5), rel=1e-5)
    with pytest.raises(ValueError, match="batch_time"):
        found.added_to(device, g_min=0.0, g_max=1e-5)
    with pytest.raises(ValueError, match="law must be a drift"):
        found.drift()


def test_notes_say_what_is_short_slow_or_goes_with_the_state():
    rng = np.random.default_rng(5)
    t = np.geomspace(1, 50, 30)
    notes = fit_retention(t, t**-0.05 * np.exp(0.001 * rng.standard_normal(30)), law="drift").notes
    assert any("1.7 decades" in note for note in notes) and any("t_0 is held at the first time, 1 s" in note for note in notes)
    short = fit_retention(
        np.linspace(0, 100, 40), 2 + 3 * np.exp(-np.linspace(0, 0.2, 40)) + 0.05 * rng.standard_normal(40), law="decay"
    )
    assert any("too short to tell where the decay ends" in note for note in short.notes)
    t = np.geomspace(1, 1e5, 40)
    walk = np.cumsum(0.01 * rng.standard_normal(40))
    assert any("correlated" in note for note in fit_retention(t, t**-0.05 * np.exp(walk), law="drift").notes)
    g = np.geomspace(1, 20, 12)
    found = fit_retention(
        t, [a * t ** -(0.1 - 0.02 * np.log(a)) * np.exp(0.01 * rng.standard_normal(40)) for a in g], law="drift"
    )
    note = next(note for note in found.notes if note.startswith("nu goes with"))
    assert 0.019 < float(note.split("nu_k=")[1].split(",")[0]) < 0.021


def test_files_of_times_and_of_cycles(tmp_path):
    path = tmp_path / "retention.csv"
    t = np.geomspace(1, 1e4, 25)
    path.write_text("time (min),R1 (kohm),R2 (kohm)\n" + "".join(f"{a / 60},{100 * a**0.05},{50 * a**0.05}\n" for a in t))
    found = fit_retention(read_series(path), law="drift")
    assert found.unit == "S" and found.values["nu"] == pytest.approx(0.05) and found.values["t_0"] == pytest.approx(1.0)
    assert [each[0] for each in found.each] == ["R1 (kohm)", "R2 (kohm)"]
    path.write_text("t (s),state,I (nA)\n" + "".join(f"{a},{k},{k * a**-0.05}\n" for k in (1, 2, 3) for a in t))
    series = read_series(path, read_voltage=0.1)
    assert len(series.x) == 3 and series.unit == "S" and series.y[1][0] == pytest.approx(2e-8)
    n = np.geomspace(1, 1e6, 30)
    path.write_text("cycle,G_on (uS),G_off (uS)\n" + "".join(
        f"{a},{5 + 4 * np.exp(-a / 5e5)},{5 - 4 * np.exp(-a / 5e5)}\n" for a in n))  # fmt: skip
    worn = fit_endurance(read_series(path))
    assert worn.endurance == pytest.approx(1e6) and worn.values["window"] == pytest.approx(8e-6) and worn.unit == "S"
    assert "pulses_per_cycle is taken to be 2, one up and one down" in worn.notes


def test_wear_is_what_arrays_do():
    """The window of a device that was pulsed n times is that of the law."""
    n = np.arange(1, 40)
    found = fit_endurance(n, 2 * np.exp(-3 * n / 60), pulses_per_cycle=3)
    device = found.added_to(rpu.devices.ConstantStep(w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0))
    assert device.endurance == pytest.approx(60.0, rel=1e-6)
    array = rpu.CrossbarArray((1, 1), device, rng=0)
    for _ in range(30):
        array.pulse(1)
    array.end_batch()
    width = array.parameters["w_max"] - array.parameters["w_min"]
    assert float(width[0, 0]) == pytest.approx(float(found.fitted(0, np.array([10.0]))[0]), rel=1e-5)


def test_errors_of_endurance_cover_the_truth():
    z = []
    for seed in range(100):
        rng, n = np.random.default_rng(seed), np.linspace(1, 2e5, 25)
        found = fit_endurance(n, 8 * np.exp(-2 * n / 3e5) + 0.1 * rng.standard_normal(25), pulses_per_cycle=2, noise="absolute")
        z.append((found.endurance - 3e5) / found.standard_errors["endurance"])
    print(f"endurance: {np.sum(np.abs(z) < 3)} of 100, mean {np.mean(z):.2f}, spread {np.std(z):.2f}")
    assert np.sum(np.abs(z) < 3) >= 95 and 0.8 < np.std(z, ddof=1) < 1.25 and abs(np.mean(z)) < 0.4


def test_windows_that_stay_or_move_are_said():
    rng, n = np.random.default_rng(1), np.geomspace(1, 1e5, 40)
    stays = fit_endurance(n, 8 + 0.1 * rng.standard_normal(40))
    assert stays.law == "stays" and stays.endurance == 0.0 and any("does not close" in note for note in stays.notes)
    moving = fit_endurance(n, 9 + 4 * n / 1e5, 1 + 4 * n / 1e5)
    assert any("the middle of series 1 moves by 4" in note for note in moving.notes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1, 2], [1, 2]), "at least 3 of each series"), (([-1, 2, 3], [1, 2, 3]), "time must be at least 0"),
        (([1, 1, 1], [1, 2, 3]), "time must differ"), (([1, 2, 3], [1, 2]), "values must have shape"),
        (([1, 2, 3], None), "values must be"), (("x", [1, 2, 3]), "time must be"),
        (([1, 2, np.inf], [1, 2, 3]), "time must be at most"),
    ],
)  # fmt: skip
def test_what_is_no_series_is_refused(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit_retention(*given)


def test_results_go_to_json_and_back():
    t, g = drawn("drift", 0, n=12)
    for found, kind in ((fit_retention(t, g[:3]), RetentionResult), (fit_endurance(t, g[:3]), EnduranceResult)):
        again = kind.from_json(found.to_json())
        assert again == found and str(again) == str(found) and again.series.x == []
        for wrong in ({"law": "x"}, {"law": 3}, {"relative": 1}, {"each": 3}, {"unit": None}, {"notes": "x"}, {"values": []}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                kind.from_json(json.dumps(found.to_dict() | wrong))
    drift = fit_retention(t, g[:3], law="drift")
    assert rpu.from_json(drift.to_json()) == drift.drift()
    with pytest.raises(ValueError, match="one over time"):
        fit_endurance(Series([t], [g[0]], ["a"]))


@pytest.mark.parametrize(("law", "noise"), [("decay", "absolute"), ("decay", "relative"), ("drift from t_0", "relative")])
def test_errors_are_those_of_the_whole_jacobian(law, noise):
    """Of all series and the common parameter at once, by differences."""
    t, g = drawn(law, 1)
    t, g = (t[:18], [y[:18] for y in g]) if law == "decay" else (t, g)
    found = fit_retention(t, g, law=law, noise=noise)
    common = found.values["rest" if law == "decay" else "t_0"]
    x = np.array([v for _, first, second, _ in found.each for v in (first, second)] + [common])

    def residuals(x):
        out = []
        for k, y in enumerate(g):
            a, b, c = x[2 * k], x[2 * k + 1], x[-1]
            f = c + (a - c) * np.exp(-t / np.exp(b)) if law == "decay" else a * np.maximum(t / c, 1) ** -b
            out.append(np.log(y / f) if noise == "relative" else y - f)
        return np.concatenate(out)

    j = np.stack([(residuals(x + h) - residuals(x - h)) / (2 * h.max()) for h in 1e-6 * np.diag(np.abs(x))], 1)
    e = residuals(x)
    errors = np.sqrt(np.diag(np.linalg.inv(j.T @ j)) * (e @ e) / (len(e) - len(x)))
    assert [each[3] for each in found.each] == pytest.approx(errors[1:-1:2], rel=2e-3)
    assert found.standard_errors["rest" if law == "decay" else "t_0"] == pytest.approx(errors[-1], rel=2e-3)
    assert found.values["noise"] == pytest.approx(np.sqrt(e @ e / (len(e) - len(x))), rel=1e-6)
    assert np.abs(j.T @ e / np.sqrt((j**2).sum(0) * (e @ e))).max() < 1e-4  # no descent is left


def test_ratios_of_a_drift_are_round_where_conductances_are():
    t = np.geomspace(1.0, 1e4, 30)
    drift = fit_retention(t, 1e-5 * t**-0.05, unit="S").drift(0.0, 2e-5)
    assert (drift.wg_ratio, drift.g_offset) == (1e5, 1e-5)
