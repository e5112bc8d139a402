"""Reproductions of applications, at a tiny size: that they run, can be drawn, and what their criteria say."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from oracle.figures import check_print

from rpusim import datasets, reproduce
from rpusim.reproduce import (
    benmeziane2023,
    buechel2024,
    karunaratne2019,
    karunaratne2020,
    momeni2024,
    moraitis2017,
    nandakumar2019,
)

GENES = {"width": (2, 4), "depth": (1, 2), "kernel": (3,), "hidden": (4,), "activation": ("relu", "tanh")}
TINY = {
    "benmeziane2023-analognas": (benmeziane2023, benmeziane2023.Size(GENES, 40, 30, 1, 1, 3, 2, 1)),
    "buechel2024-kernel": (buechel2024, buechel2024.Size(("magic",), ("rbf", "arccos0"), (1, 2), (1, 2), 2, 300)),
    "karunaratne2019-hdc": (karunaratne2019, karunaratne2019.Size(60, 200, (2, 4), 1, 1, 1000)),
    "karunaratne2020-mann": (karunaratne2020, karunaratne2020.Size(3, 3, 2, 2, ((3, 1), (4, 2)), (2, 2, 2), 1)),
    "momeni2024-pnn": (momeni2024, momeni2024.Size(60, 50, 0.01, momeni2024.POINTS[::4], 1)),
    "moraitis2017-fstdp": (moraitis2017, moraitis2017.Size((5.0, 40.0), 2.0, 1)),
    "nandakumar2019-snn": (nandakumar2019, nandakumar2019.Size(5, 12, (1, 2), 2)),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    if not os.environ.get("RPUSIM_DATA"):
        pytest.skip("RPUSIM_DATA is not set: applications are not tried on data")
    for module, size in TINY.values():
        monkeypatch.setattr(module, "QUICK", size)
    monkeypatch.setattr(karunaratne2020, "PERCEPTRON", dict.fromkeys(((3, 1), (4, 2)), (0.5, 0.5)))
    x = np.random.default_rng(0).normal(size=(80, 1, 12, 10)).astype(np.float32)
    digits = datasets.Dataset(x, np.arange(80) % 10, x[:10], np.arange(10))
    monkeypatch.setattr(datasets, "spoken_digits", lambda flatten: digits)
    characters = np.random.default_rng(0).random((30, 20, 21, 21), np.float32)
    monkeypatch.setattr(datasets, "omniglot", lambda size: datasets.Omniglot(characters, np.arange(30) % 20, ("x",) * 20))


@pytest.mark.parametrize("name", TINY)
def test_it_runs_and_is_drawn(name, tmp_path):
    entry = reproduce.get(name)
    found = entry.compute(True, 0, tmp_path)
    json.dumps(found.to_dict())
    assert found.name == name and len(found.checks) >= 3
    for width in (3.3, 7.0):
        check_print(entry.figure(found, width), width)
    with pytest.raises(ValueError, match="epochs must be None"):
        entry.compute(True, 0, tmp_path, epochs=3)
