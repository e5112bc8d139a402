"""Studies: conditions times seeds in one file, what is kept of them, and criteria that can fail."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from oracle.figures import check_print

import rpusim as rpu
from rpusim import commands, datasets, reproduce
from rpusim.plotting.style import panels
from rpusim.reproduce import (
    conditions,
    gokmen2020,
    joshi2020,
    kim2017,
    kim2019,
    liu2025,
    rasch2019,
    rasch2024_fig5,
    wu2024_fig5,
    wu2024_pipeline,
    wu2025_table8,
    xiao2026_table2,
)  # fmt: skip
from rpusim.reproduce.studies import Axis, Found, against

SEEDED = [name for name in reproduce.names() if reproduce.get(name).seeded]


@pytest.fixture(autouse=True)
def small_data(monkeypatch):
    """Data of the right kinds that need no files."""

    def images(*args, flatten=True):
        shape = (784,) if flatten else (1, 28, 28)
        x = np.random.default_rng(1).random((12, *shape), np.float32)
        return datasets.Dataset(x[:8], np.arange(8), x[8:], np.arange(4))

    def text(name):
        tokens = np.random.default_rng(2).integers(0, 87, 1000)
        return datasets.Text(tokens[:600], tokens[600:], bytes(range(87)))

    for name, fake in (("mnist", images), ("fashion_mnist", images), ("text", text)):
        monkeypatch.setattr(datasets, name, fake)


def plan_of(name):
    return reproduce.get(name).run.__self__


@pytest.mark.filterwarnings("ignore:.*of the initial weights:UserWarning")
@pytest.mark.parametrize("name", SEEDED)
def test_quick_studies_run_and_can_be_drawn(name):
    result = reproduce.get(name).compute(True, epochs=1)
    assert result.checks and len(result.data["runs"]) == len(plan_of(name).rows(True))
    json.dumps(result.to_dict(), allow_nan=False)
    for width in (3.3, 7.0):
        check_print(reproduce.get(name).figure(result, width), width)


@pytest.mark.parametrize("name", SEEDED)
def test_rows_are_told_apart_and_fit_for_json(name):
    for quick in (True, False):
        rows = plan_of(name).rows(quick)
        assert len({(row.line, row.x) for row in rows}) == len(rows)
        for row in rows:
            assert rpu.from_dict(row.condition.to_dict()) == row.condition
    assert len(plan_of(name).rows(False)) >= len(plan_of(name).rows(True))


def test_a_study_goes_on_from_what_is_in_its_file(tmp_path, capsys, monkeypatch):
    out = ["--quick", "--out", str(tmp_path / "parts"), "--seeds", "2"]
    commands.main(["reproduce", "wu2024-fig5-plateau", *out, "--epochs", "1"])
    written = json.loads((tmp_path / "parts" / "wu2024-fig5-plateau-quick.json").read_text())
    assert written["settings"]["seeds"] == 2 and written["data"]["runs"][0]["seeds"] == [0, 1]
    assert [len(curve) for run in written["data"]["runs"] for curve in run["test_error"]] == [1] * 4
    commands.main(["reproduce", "wu2024-fig5-plateau", *out, "--epochs", "2"])  # from checkpoints
    longer = json.loads((tmp_path / "parts" / "wu2024-fig5-plateau-quick.json").read_text())["data"]["runs"]
    whole = reproduce.get("wu2024-fig5-plateau").compute(True, epochs=2, seeds=2).data["runs"]
    for a, b in zip(longer, whole, strict=True):
        for name in ("train_loss", "test_loss", "test_error", "scale", "pulses", "cycles"):
            assert a[name] == b[name], name
    monkeypatch.setattr(conditions, "Trainer", None)  # nothing is trained again
    commands.main(["reproduce", "wu2024-fig5-plateau", *out, "--epochs", "2"])


def test_a_run_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(conditions, "Trainer", None)
    with pytest.raises(RuntimeError, match="a run failed.*draw 0"):
        reproduce.get("wu2024-fig5-plateau").compute(True, 0, tmp_path, 1)


def test_only_studies_have_seeds_and_workers():
    for name in ("seeds", "workers"):
        with pytest.raises(ValueError, match=f"{name} must be None for rasch2018, which is no study; got 2"):
            reproduce.get("rasch2018").compute(True, **{name: 2})


def test_text_and_lstm_belong_together():
    with pytest.raises(ValueError, match="network must be 'lstm' for text"):
        conditions.Condition(network="lstm")
    text = conditions.Condition(network="lstm", data="warpeace", train=400, test=300, units=4, length=20)
    numbers = conditions.trained(text, 1, 0)
    assert numbers["test_loss.1"] > 0.0 and "test_error.1" in numbers


def test_final_numbers_are_means_over_the_last_tenth():
    found = made({("a", 1.0): [list(range(20)), list(range(1, 21))]})
    assert found.each("a", 1.0) == [18.5, 19.5] and found["a", 1.0] == 19.0 and found.line("a") == {1.0: 19.0}


# ---- criteria --------------------------------------------------------------------------------------------------------


def made(errors, published=None, **others):
    """What would have been found if these were the errors: a number, or curves of all seeds."""
    runs = []
    for (line, x), error in errors.items():
        curves = [[float(error)]] if np.isscalar(error) else [[float(e) for e in one] for one in error]
        run = {"line": line, "x": x, "published": (published or {}).get((line, x)), "seeds": list(range(len(curves)))}
        runs.append(run | {"test_error": curves} | {name: value[line, x] for name, value in others.items()})
    return Found(runs)


def failed(checks):
    return [check.label for check in checks if not check.passed]


def as_published(name):
    """What would have been found if all published errors were met."""
    rows = plan_of(name).rows(False)
    return {(r.line, r.x): r.published for r in rows}


GOOD = as_published("rasch2024-fig5")


@pytest.mark.parametrize(
    "change, wrong",
    [
        ({}, []),
        ({("TTv2", 0.0): 5.1}, ["TTv2: offset 1 over none", "worst of all without offset - digital (%)", "TTv2, 0"]),
        ({("c-TTv2", 1.0): 7.6}, ["c-TTv2 over TTv2, offset 1", "c-TTv2, 1"]),
        ({("AGAD", 0.5): 2.35}, []),
        ({("AGAD", 0.5): 2.9}, ["AGAD: largest - smallest (%)", "AGAD, 0.5"]),
        ({("TTv2", 1.0): 18.7}, []),
        ({("TTv2", 1.0): 18.8}, ["TTv2, 1"]),
    ],
)
def test_flat_and_rising_lines(change, wrong):
    published = {key: value for key, value in GOOD.items() if math.isfinite(value)}
    found = made(GOOD | change, published)
    assert failed(rasch2024_fig5.checks(found, False)) == wrong


@pytest.mark.parametrize(
    "low, high, wrong",
    [
        (40, 10, []),
        (10, 10, ["epochs on the plateau, tau 0.7 over 0.8", "seeds still on it when the rate is cut, tau 0.7"]),
        (20, 10, ["seeds still on it when the rate is cut, tau 0.7"]),
    ],
)
def test_plateaus(low, high, wrong):
    lengths = {0.7: low, 0.78: high, 0.8: high}
    errors = {("SGD", tau): [[90.0] * min(k, 36) + [2.0] * (36 - min(k, 36))] for tau, k in lengths.items()}
    scales = {key: [[0.05 if error > 50 else 1.0 for error in curves[0]]] for key, curves in errors.items()}
    assert failed(wu2024_fig5.plateau_checks(made(errors, scale=scales), False)) == wrong
    wide = {key: [[0.5] * 36] for key in errors}
    labels = failed(wu2024_fig5.plateau_checks(made(errors, scale=wide), False))
    assert {"last scale of who has left over that of who has not", "largest scale on the plateau"} <= set(labels)
    assert wu2024_fig5.left_after([90.0, 60.0, 40.0, 2.0]) == 2 and wu2024_fig5.left_after([90.0, 51.0]) == 2


def test_final_errors_against_tau():
    good = as_published("wu2024-fig5")
    assert failed(wu2024_fig5.checks("FCN", made(good, good), False)) == []
    wrong = {key: 2.0 for key in good}
    assert "FCN: SGD - Tiki-Taka, tau 0.7 (%)" in failed(wu2024_fig5.checks("FCN", made(wrong, good), False))


def test_responses():
    rows = plan_of("wu2025-table8").rows(False)
    good = {(r.line, r.x): 88.65 if math.isnan(r.published) else r.published for r in rows}
    published = {(r.line, r.x): None if math.isnan(r.published) else r.published for r in rows}
    assert failed(wu2025_table8.checks(made(good, published), False)) == []
    learned = {key: 4.0 for key in good}
    assert "SGD, power 1, 0.6 (%)" in failed(wu2025_table8.checks(made(learned, published), False))


def test_references_of_coarse_devices():
    good = as_published("xiao2026-table2") | {("digital", None): 2.0, ("RIDER, mean 0.4", 1.0): 12.0}
    published = {key: value for key, value in as_published("xiao2026-table2").items() if math.isfinite(value)}
    assert failed(xiao2026_table2.checks(made(good, published), False)) == []
    equal = {key: 10.0 for key in good}
    assert len(failed(xiao2026_table2.checks(made(equal, published), False))) > 4


@pytest.mark.parametrize(
    "module, errors, change, wrong",
    [
        (kim2019, lambda line, x: 3.0 + (4 * x if line == "not shifted" else 2 * ("0.3" in line) + ("0.1" in line)),
         {("shifted", 4.0): 5.1}, ["shifted, ratio 4 - balanced (%)"]),
        (joshi2020, lambda line, x: 2.0 + (1.0 if x == 1 else 0.0), {("shared random numbers", 32): 2.6},
         ["shared random numbers, 32 bits - digital (%)", "shared - own random numbers, 32 bits (%)"]),
        (rasch2019, lambda line, x: 12.0 if x in (None, "all") else 14.0, {("on arrays", "no bound management"): 12.9},
         ["no bound management - all (%)"]),
        (gokmen2020, lambda line, x: 2.1 if line != "SGD" else 2.2 + 20 * x, {("Tiki-Taka", 1.0): 3.3},
         ["Tiki-Taka, asymmetry 1 - SGD, symmetric (%)"]),
    ],
)  # fmt: skip
def test_claims(module, errors, change, wrong):
    rows = module.rows(False)
    good = {(r.line, r.x): errors(r.line, r.x) for r in rows}
    published = {(r.line, r.x): r.published for r in rows if math.isfinite(r.published)}
    assert failed(module.checks(made(good, published), False)) == []
    assert failed(module.checks(made(good | change, published), False)) == wrong


def test_knees():
    line = {1e2: 20.0, 1e3: 8.0, 1e4: 2.0, 1e5: 2.0}
    assert kim2017.knee(line) == pytest.approx(10 ** (3 + math.log(8 / 4) / math.log(8 / 2)))
    assert math.isnan(kim2017.knee({1e2: 2.1, 1e3: 2.0}))
    fast = {("rate 0.01", x): e for x, e in line.items()}
    slow = {("rate 0.002", 5 * x): e for x, e in line.items()}
    assert failed(kim2017.lifetime_checks(made(fast | slow), False)) == []
    same = {("rate 0.002", x): e for x, e in line.items()}
    assert failed(kim2017.lifetime_checks(made(fast | same), False)) == ["ratio of the knees"]
    flat = {("no leak", x): 2.0 for x in kim2017.MISMATCHES}
    assert failed(kim2017.mismatch_checks(made(flat), False)) == ["mismatch 0.4 - none (%)"]


def test_writes_are_counted_per_weight_and_step():
    few = liu2025.WEIGHTS * 1e-3 * 6 * liu2025.IMAGES / liu2025.BATCH
    errors = {("digital", None): [[2.0] * 6]} | {("EaPU", t): [[2.5] * 6] for t in liu2025.THRESHOLDS}
    pulses = {key: [[0.0] * 5 + [few]] for key in errors}
    most = max(liu2025.THRESHOLDS)
    pulses["EaPU", most] = [[0.0] * 5 + [0.9 * few]]
    found = made(errors, pulses=pulses)
    assert liu2025.share(found, 1, liu2025.IMAGES) == pytest.approx(1e-3)
    assert failed(liu2025.checks(found, False)) == []
    pulses["EaPU", most] = [[0.0] * 5 + [1.3 * most * few]]
    assert len(failed(liu2025.checks(made(errors, pulses=pulses), False))) == 2


def test_cycles_are_counted_to_where_the_curve_crosses():
    run = {"test_error": [[50.0, 30.0, 5.0]], "cycles": [[100, 200, 300]]}
    assert wu2024_pipeline.cycles_to(run, 40.0) == 150.0 and wu2024_pipeline.cycles_to(run, 10.0) == pytest.approx(280.0)
    assert math.isnan(wu2024_pipeline.cycles_to(run, 1.0))


def test_devices_of_rising_asymmetry_reach_the_saturating_one():
    for asymmetry in (0.1, 1.0):
        device = gokmen2020.device(asymmetry)
        assert float(device.step_up(0.3)) == pytest.approx(0.001 * (1 - asymmetry / 2))
    assert gokmen2020.device(0.0) == rpu.devices.presets.rpu_baseline()


def test_figures_set_what_was_published_beside_means_over_seeds():
    found = made({("a", 1.0): [[4.0], [6.0]], ("a", 2.0): [[3.0], [3.0]], ("digital", None): 2.0}, {("a", 1.0): 7.0})
    figure, (ax,) = panels(None, 1)
    against(ax, found, Axis("offset", log=True))
    lines = {tuple(np.ravel(line.get_ydata())): line for line in ax.lines}
    assert (5.0, 3.0) in lines and (2.0, 2.0) in lines and (4.0, 6.0) in lines
    assert lines[(7.0,)].get_markerfacecolor() == "none" and ax.get_xscale() == "log"
    named = made({("a", "all"): 4.0, ("a", "none"): 6.0})
    figure, (ax,) = panels(None, 1)
    against(ax, named, Axis("measures"))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["all", "none"] and list(ax.lines[0].get_xdata()) == [4.0, 6.0]
