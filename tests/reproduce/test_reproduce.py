"""Reproductions: their criteria, what they write, and that every one of them runs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim import cli, reproduce
from rpusim.reproduce import Check, Result, rasch2024


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
    assert cli.main(["reproduce", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in reproduce.names())


def test_a_run_that_is_too_short_fails_and_still_writes_what_it_found(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rasch2024, "SAMPLES", 100)
    assert cli.main(["reproduce", "rasch2024-fig4", "--quick", "--out", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "FAIL" in out and "OFF" in out
    written = json.loads((tmp_path / "rasch2024-fig4-quick.json").read_text())
    assert not written["passed"] and len(written["checks"]) == 37
    assert rpu.from_dict(written["settings"]["algorithms"]["AGAD"]) == rasch2024.algorithm("AGAD", 20, 0.1)
    assert {p.name for p in tmp_path.iterdir()} == {f"rasch2024-fig4-quick.{e}" for e in ("json", "png", "svg")}


def test_unknown_reproductions_are_an_error_of_usage(tmp_path, capsys):
    assert cli.main(["reproduce", "rasch", "--out", str(tmp_path)]) == 2
    assert "name must be one of" in capsys.readouterr().err


def test_weight_programming_measures_the_error_that_is_left():
    """A weight that cannot move keeps the spread of the target."""
    stuck = rpu.algorithms.SGD(rpu.devices.ConstantStep(corrupt_devices_prob=1.0, corrupt_devices_range=0.0))
    errors = [reproduce.weight_programming(stuck, seed, samples=40) for seed in range(20)]
    assert np.mean(errors) == pytest.approx(0.3, abs=5 * 0.3 / np.sqrt(2 * 400 * 20))
