"""Reproductions of networks on chips, at a tiny size: that they run, can be drawn, go on, and what their criteria say."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from oracle.figures import check_print

import rpusim as rpu
from rpusim import reproduce
from rpusim.reproduce import buechel2025, ferro2024, hardware_aware, language, li2024, zhou2021

TINY = language.Size(features=8, layers=1, steps=12, more=6, programmings=2, windows=4)
SMALL = hardware_aware.Size(train=100, test=50, epochs=1, more=1, programmings=2, seeds=1)
CAUSES = ("weights", "output noise", "input noise", "ADC", "DAC", "non-linearity")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    if not os.environ.get("RPUSIM_DATA"):
        pytest.skip("RPUSIM_DATA is not set: networks on chips are not tried on data")
    for module in (buechel2025, li2024):
        monkeypatch.setattr(module, "QUICK", TINY)
    for module in (hardware_aware, ferro2024):
        monkeypatch.setattr(module, "QUICK", SMALL)
    digits = zhou2021.Size(train=100, epochs=1, clipped=1, aware=1, programmings=2, seeds=1)
    monkeypatch.setattr(zhou2021, "QUICK", digits)


@pytest.mark.parametrize(
    "name", ["buechel2025-afm", "ferro2024-nmpu", "legallo2023", "li2024-lora", "rasch2023", "zhou2021-analognets"]
)
def test_it_runs_is_drawn_and_goes_on(name, tmp_path, monkeypatch):
    cost = {cause: {"accuracy": 0.1 * k, "before": 0.9} for k, cause in enumerate(CAUSES)}
    monkeypatch.setattr(hardware_aware, "sensitivity", lambda *_: cost)  # has a test of its own
    entry = reproduce.get(name)
    found = entry.compute(True, 0, tmp_path)
    again = entry.compute(True, 0, tmp_path)  # from its checkpoints, to the same numbers
    assert json.dumps(found.to_dict()) == json.dumps(again.to_dict())
    assert found.name == name and len(found.checks) >= 3
    for width in (3.3, 7.0):
        check_print(entry.figure(found, width), width)
    with pytest.raises(ValueError, match="epochs must be None"):
        entry.compute(True, 0, tmp_path, epochs=3)


def conditions(**changes):
    """What the paper's order looks like, with some means changed."""
    means = {
        "before": (1.9, 2.1, 2.3),
        "noise": (1.92, 2.05, 2.2),
        "clip": (1.89, 2.0, 2.15),
        "both": (1.9, 1.95, 2.1),
    } | changes
    return {
        label: {"clean": 1.8, "mean": list(mean), "std": [0.0] * 3, "4 bits": 1.9 if label == "before" else 1.89, "tails": tail}
        for (label, mean), tail in zip(means.items(), (3.0, 3.0, 2.4, 2.4), strict=True)
    }


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, []),
        ({"both": (1.9, 2.01, 2.1)}, ["2 times: clip - both"]),
        ({"noise": (1.92, 2.05, 2.1)}, ["3 times: noise - clip"]),
        ({"before": (1.85, 2.1, 2.3)}, ["1 times: before - clip"]),
    ],
)
def test_the_order_of_noise_and_clipping_is_judged(changes, wrong):
    checks = buechel2025._checks(conditions(**changes), False)
    assert [check.label for check in checks if check.required and not check.passed] == wrong


def test_causes_have_the_error_of_products_that_is_asked_for():
    cost = hardware_aware.sensitivity(SMALL, 0, None, "tiny")
    assert all(one["error"] == pytest.approx(0.2, abs=0.02) for one in cost.values())
    assert len({one["before"] for one in cost.values()}) == 1


def test_windows_are_the_same_whenever_they_are_gone_through():
    text = np.arange(1000) % 7
    windows = language.Windows(text, 3, seed=4, size=2)
    first, second = list(windows), list(windows)
    assert all((a[0] == b[0]).all() for a, b in zip(first, second, strict=True))
    assert all((x[:, 1:] == y[:, :-1]).all() and ((y - x) % 7 == 1).all() for x, y in first)
    assert not (first[0][0] == first[1][0]).all()
    assert rpu.reproduce.get("buechel2025-afm").trains


def layers_of(net, x):
    """What every matrix of a network makes of inputs, before the bias, over its largest weight and its input range."""
    found = []
    for layer in net.layers:
        y = layer.forward(x, False)
        first = 0
        for matrix in layer.matrices():
            w, b = matrix.logical()
            mine = y[:, first : first + len(w)] - b.reshape(-1, *[1] * (y.ndim - 2))
            found.append(mine / np.abs(w).max() / matrix.input_range)
            first += len(w)
        x = y
    return found


def test_ranges_of_adcs_are_those_of_least_errors():
    net = zhou2021.depthwise()
    net.build(1)
    x = np.random.default_rng(0).standard_normal((20, 1, 49, 10)).astype(np.float32)
    ranged = zhou2021.ranged(net, x, 8)
    wanted = layers_of(ranged, x)
    groups = np.split(np.arange(len(wanted)), np.cumsum([1, 16, 1, 32, 1]))
    found = zhou2021.outputs(ranged, x)
    assert len(found) == 6
    for one, places in zip(found, groups, strict=True):
        mine = np.concatenate([wanted[k].ravel() for k in places])
        np.testing.assert_allclose(np.sort(one), np.sort(mine), rtol=1e-4, atol=1e-5)

    def error(u, bound):
        levels = np.linspace(-bound, bound, 15)  # of 4 bits
        off = levels[np.abs(u[::7, None] - levels).argmin(axis=1)] - u[::7]
        return float(np.mean(off**2) / np.mean(u**2))

    chosen = zhou2021.bounds(ranged, x, 4)
    grid = np.geomspace(0.05, 10.0, 60)
    table = np.array([[error(u, bound) for bound in grid] for u in found])
    for u, bound, tried in zip(found, chosen.each, table, strict=True):
        assert error(u, bound) < 1.1 * tried.min() < 0.5 * tried.max()
    assert sum(error(u, chosen.one) for u in found) < 1.1 * table.sum(axis=0).min()


def digits(**changes):
    """Accuracies of the paper's order, of three seeds and two programmings, with some changed."""
    means = {
        "digital, 8 bits": 95.0, "trained with 8, 8 bits": 95.0, "free ranges, 8 bits": 95.5, "trained with 8, 4 bits": 70.0,
        "trained with 4, 4 bits": 90.0, "convolutional, digital": 95.0, "convolutional, 3 times": 90.0,
        "depthwise, digital": 90.0, "depthwise, 3 times": 80.0,
    } | changes  # fmt: skip
    noise = np.random.default_rng(0).normal(size=(6, 3))
    return {label: {"values": (mean + 0.1 * noise).tolist(), "reference": [96.0] * 6} for label, mean in means.items()}


@pytest.mark.parametrize(("changes", "wrong"), [
    ({}, []),
    ({"free ranges, 8 bits": 96.1}, ["8 bits: lost by one range"]),
    ({"trained with 8, 4 bits": 94.5, "trained with 4, 4 bits": 94.9}, ["4 bits: lost without training with them"]),
    ({"trained with 4, 4 bits": 80.0}, ["4 bits: share that training with them brings back"]),
    ({"trained with 8, 8 bits": 93.5, "free ranges, 8 bits": 93.5}, ["8 bits: lost after 24 h"]),
    ({"depthwise, 3 times": 90.0}, ["3 times: lost more by depthwise, over two errors"]),
])  # fmt: skip
def test_claims_of_analognets_are_judged(changes, wrong):
    checks = zhou2021._checks(digits(**changes), False)
    assert [check.label for check in checks if check.required and not check.passed] == wrong
