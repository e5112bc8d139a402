"""Reproductions that train networks, at sizes of seconds: that every part of them runs, and what it writes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import rpusim as rpu
from rpusim import commands, datasets, reproduce
from rpusim.reproduce import gokmen2018, onen2022_fig4, rasch2018, wu2024_fig5
from rpusim.reproduce.networks import Curve, TextRun, characters, curves_figure, perceptron, train_curves

TINY = TextRun(train=400, test=300, units=4, length=20, epochs=7)  # of which the tests ask for 1
RNG = np.random.default_rng(5)


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
    for module in (gokmen2018, onen2022_fig4):
        monkeypatch.setattr(module, "QUICK", TINY)
        monkeypatch.setattr(module, "FULL", TINY)


CASES = [
    ("gokmen2016", 11, 11), ("gokmen2017", 6, 7), ("gokmen2018", 5, 4), ("onen2022-fig4", 5, 4), ("rasch2018", 4, 6),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*of the initial weights:UserWarning")  # of devices that saturate early, and small bounds
@pytest.mark.parametrize("name, curves, checks", CASES)
def test_quick_runs_go_through_and_write_what_they_found(name, curves, checks, tmp_path, capsys):
    status = commands.main(["reproduce", name, "--quick", "--epochs", "1", "--seed", "3", "--out", str(tmp_path)])
    written = json.loads((tmp_path / f"{name}-quick.json").read_text())
    assert status == (0 if written["passed"] else 1)
    assert not written["passed"] or name == "gokmen2017"  # of a few samples nothing is learned, but its order may be right
    assert len(written["data"]["curves"]) == curves and len(written["checks"]) == checks
    assert written["settings"]["seed"] == 3 and written["settings"]["epochs"] == 1
    assert all(len(curve["test_loss"]) == 1 for curve in written["data"]["curves"].values())
    assert len(list(tmp_path.glob("*.checkpoint.npz"))) == curves
    for ending in ("png", "svg"):
        assert (tmp_path / f"{name}-quick.{ending}").stat().st_size > 1000
    assert written["criterion"] and ("PASS" if written["passed"] else "FAIL") in capsys.readouterr().out


@pytest.mark.parametrize("name", ["gokmen2018", "onen2022-fig4", "rasch2018"])
def test_full_runs_check_more(name):
    quick, full = (reproduce.get(name).compute(quick, epochs=1) for quick in (True, False))
    assert len(full.checks) >= len(quick.checks) and len(full.data["curves"]) >= len(quick.data["curves"])
    assert not full.passed


def test_a_run_that_was_stopped_goes_on_from_its_checkpoints(tmp_path):
    entry = reproduce.get("onen2022-fig4")
    whole = entry.compute(True, 1, tmp_path / "whole", 2).data["curves"]
    entry.compute(True, 1, tmp_path / "parts", 1)
    again = entry.compute(True, 1, tmp_path / "parts", 2).data["curves"]
    assert [c["test_loss"] for c in again.values()] == [c["test_loss"] for c in whole.values()]
    assert all(len(c["test_loss"]) == 2 for c in again.values())


def test_curves_are_histories_and_means_of_their_last_third():
    x, y = RNG.random((30, 784), np.float32), RNG.integers(0, 10, 30)
    curve = Curve("a", lambda: perceptron(rpu.algorithms.DigitalSGD()), lambda epoch: 0.1 / (1 + epoch), 5)
    found = train_curves("x", [curve], (x, y), (x, y), 6, 2, None, lambda net: {"layers": len(net.layers)})["a"]
    trainer = rpu.nn.Trainer(perceptron(rpu.algorithms.DigitalSGD()), lr=lambda epoch: 0.1 / (1 + epoch), rng=2, batch_size=5)
    history = trainer.fit((x, y), epochs=6, validation=(x, y), progress=False)
    assert found["test_loss"] == history.test_loss and found["layers"] == 5
    assert found["loss_now"] == pytest.approx(np.mean(history.test_loss[-2:]))
    assert found["error_now"] == pytest.approx(np.mean(history.test_error[-2:]))


def test_characters_are_of_the_size_asked_for():
    train, test = characters(TINY)
    assert len(train) == 399 // 20 and next(iter(train))[0].shape == (1, 20)
    assert next(iter(test))[0].shape == (10, 29) and len(test) == 1


def test_devices_of_rising_asymmetry_have_steps_that_fall_by_it():
    for asymmetry in (0.0, 0.1, 0.3, 1.0):
        device = onen2022_fig4.device(asymmetry)
        quiet = device.replace(**{name: 0.0 for name in device.to_dict() if name.endswith(("_dtod", "dw_min_std"))})
        array = rpu.CrossbarArray((1, 1), quiet, rng=0)
        array.program([[1.0]])
        array.pulse(1)
        step = array.weights[0, 0] - 1.0
        assert step == pytest.approx(4 / 1200 * (1 - asymmetry / 2), rel=1e-3)


def test_asymmetric_devices_step_further_down_than_up():
    base = gokmen2018.rules(True)["7 bits, symmetric"]
    device = gokmen2018.asymmetric(base, 0.05).device
    assert (1 - device.up_down) / (1 + device.up_down) == pytest.approx(1.05)
    coarse = gokmen2018.coarse(base, 5, True)
    for periphery in (coarse.forward, coarse.backward):
        assert periphery.dac.bits == 5 and periphery.dac.stochastic_rounding
    assert coarse.forward.adc == base.forward.adc


def test_similarity_is_the_mean_cosine_of_pairs():
    net = rasch2018.started_apart(4, 1)
    layer = rasch2018.replicated(net)[1]
    kernels = [matrix.weights for matrix in layer.kernels]
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for i in range(4) for j in range(i) for a, b in zip(kernels[i], kernels[j], strict=True)
    ]  # fmt: skip
    assert rasch2018.similarity(layer) == pytest.approx(np.mean(cosines), abs=1e-6) and abs(np.mean(cosines)) < 0.05
    for matrix in layer.kernels:
        matrix.program(kernels[0])
    assert rasch2018.similarity(layer) == pytest.approx(1.0, abs=1e-6)


def test_rates_of_tiki_taka_are_those_of_means_over_batches():
    rule = wu2024_fig5.rules(0.5, 10, 0.01)["Tiki-Taka"]
    fast, (slow,) = rule._rates(0.05 / 10, 100)
    assert fast == pytest.approx(0.01 / 10) and slow == pytest.approx(0.05)


def test_after_one_epoch_curves_are_points_beside_their_names():
    result = SimpleNamespace(data={"curves": {"a": {"test_error": [3.0]}, "b": {"test_error": [5.0]}}})
    (ax,) = curves_figure(result).axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [3.0, 5.0])
    result.data["curves"]["b"]["test_error"].append(4.0)
    (ax,) = curves_figure(result).axes
    assert ax.get_xlabel() == "epoch" and [len(line.get_xdata()) for line in ax.lines] == [1, 2]
