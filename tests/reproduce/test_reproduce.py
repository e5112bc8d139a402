"""Reproductions: their criteria, what they write, and that every one of them runs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from oracle.figures import check_print

import rpusim as rpu
import rpusim.plotting
from rpusim import commands, reproduce
from rpusim.reproduce import Check, Result, least_squares, rasch2024


def result(*checks, least=0.5):
    return Result("x", "y", "z", tuple(checks), least=least)


def test_a_criterion_is_met_by_all_required_checks_and_enough_of_the_others():
    good, bad = Check("a", 1.0, 1.0, True), Check("b", 1.0, 2.0, False)
    may_pass, may_fail = Check("c", 1.0, 1.0, True, required=False), Check("d", 1.0, math.nan, False, required=False)
    assert result(good).passed and not result(good, bad).passed
    assert result(good, may_pass, may_fail).passed
    assert not result(good, may_pass, may_fail, may_fail).passed
    assert not result(bad, may_pass).passed
    assert [c["published"] for c in result(may_pass, may_fail).to_dict()["checks"]] == [1.0, None]


def test_names():
    assert "rasch2024-fig4" in reproduce.names() and list(reproduce.names()) == sorted(reproduce.names())
    with pytest.raises(ValueError, match="name must be one of .*rasch2024-fig4.*; got 'rasch'"):
        reproduce.get("rasch")
    with pytest.raises(ValueError, match="name must be new"):
        reproduce.base.register(reproduce.get("rasch2024-fig4"))


def test_the_list_names_all(capsys):
    assert commands.main(["reproduce", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in reproduce.names())
    assert max(map(len, out.splitlines())) <= 100


def test_a_run_that_is_too_short_fails_and_still_writes_what_it_found(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rasch2024, "SAMPLES", 100)
    assert commands.main(["reproduce", "rasch2024-fig4", "--quick", "--out", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "FAIL" in out and "OFF" in out
    written = json.loads((tmp_path / "rasch2024-fig4-quick.json").read_text())
    assert not written["passed"] and len(written["checks"]) == 37
    assert rpu.from_dict(written["settings"]["algorithms"]["AGAD"]) == rasch2024.algorithm("AGAD", 20, 0.1)
    assert {p.name for p in tmp_path.iterdir()} == {f"rasch2024-fig4-quick.{e}" for e in ("json", "png", "svg")}


def test_unknown_reproductions_are_an_error_of_usage(tmp_path, capsys):
    assert commands.main(["reproduce", "rasch", "--out", str(tmp_path)]) == 2
    assert "name must be one of" in capsys.readouterr().err


def test_weight_programming_measures_the_error_that_is_left():
    """A weight that cannot move keeps the spread of the target."""
    stuck = rpu.algorithms.SGD(rpu.devices.ConstantStep(corrupt_devices_prob=1.0, corrupt_devices_range=0.0))
    errors = [reproduce.weight_programming(stuck, seed, samples=40) for seed in range(20)]
    assert np.mean(errors) == pytest.approx(0.3, abs=5 * 0.3 / np.sqrt(2 * 400 * 20))


SHORT = [name for name in reproduce.names() if name != "rasch2024-fig4" and not reproduce.get(name).trains]


@pytest.mark.parametrize("name", SHORT)
def test_quick_runs_meet_their_criteria_and_can_be_drawn(name, tmp_path):
    """The small part of each; that of rasch2024-fig4 takes half a minute, and its pieces are tested above. Those with networks
    take minutes; test_networks.py runs them at a tiny size."""
    entry = reproduce.get(name)
    found = entry.run(True, 0)
    assert found.passed, [(c.label, c.measured) for c in found.checks if not c.passed]
    assert found.name == name and found.source == entry.source
    json.dumps(found.to_dict())
    for width in (3.3, 7.0):
        check_print(entry.figure(found, width), width)
    assert rpu.plotting.save(entry.figure(found), tmp_path / name)[0].stat().st_size > 10_000


def test_a_wrong_sign_does_not_pass():
    """SGD that climbs is no reproduction of anything."""
    hessian, target = least_squares.problem(1, 50, 8, 1.0, 0.3)
    rule = rpu.algorithms.SGD(least_squares.noise_free(1e-3, 1.0), forward=rpu.Periphery.ideal())
    down, up = (least_squares.descend(rule, hessian, target, 2, lr=lr, steps=500, noise=0.0) for lr in (0.05, -0.05))
    assert down[-1] < 0.05 * down[0] and up[-1] > up[0]


def test_the_problem_is_its_own_gradient():
    hessian, target = least_squares.problem(3, 4000, 5, 0.5, 0.3)
    np.testing.assert_allclose(hessian, 0.25 * np.eye(5), atol=5 * 0.25 * np.sqrt(2 / 4000))
    digital = least_squares.descend(
        rpu.algorithms.DigitalSGD(), hessian, target, 4, lr=0.5, steps=100, noise=0.0, record_every=1
    )
    error = np.linalg.matrix_power(np.eye(5) - 0.5 * hessian, 100) @ (-target)
    assert digital[-1] == pytest.approx(0.5 * error @ hessian @ error / 5, rel=1e-3)
