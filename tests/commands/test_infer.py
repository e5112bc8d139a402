"""`rpusim infer` and `rpusim chip`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rpusim as rpu
from rpusim.commands import main
from rpusim.commands.infer import times


def test_chips_are_listed_shown_and_written(tmp_path, capsys):
    assert main(["chip", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in rpu.inference.chips.names())
    assert max(map(len, listed.splitlines())) <= 100
    for name in rpu.inference.chips.names():
        assert main(["chip", name, "--out", str(tmp_path), "--format", "png", "--json", str(tmp_path / f"{name}.json")]) == 0
        said = capsys.readouterr().out
        assert rpu.inference.chips.source(name) in said and (tmp_path / f"chip-{name}.png").stat().st_size > 10_000
        assert rpu.from_json((tmp_path / f"{name}.json").read_text()) == rpu.inference.chips.get(name)


def test_a_trained_network_is_measured_on_a_chip(tmp_path, capsys, mnist_folder):
    train = ["train", "mnist", "--algorithm", "digital", "--epochs", "1", "--samples", "500", "--out", str(tmp_path)]
    assert main([*train, "--format", "png", "--data", mnist_folder]) == 0
    network = tmp_path / "mnist-digital-float32.network.npz"
    assert str(network) in capsys.readouterr().out
    call = ["infer", str(network), "--times", "1s,1y", "--programmings", "2", "--samples", "200", "--data-dir", mnist_folder]
    call += ["--out", str(tmp_path), "--format", "png"]
    assert main([*call, "--chip", "hermes", "--causes"]) == 0
    said = capsys.readouterr().out
    assert "data: mnist, by the name of the file" in said and "programming" in said and "A*" in said
    result = json.loads((tmp_path / "mnist-digital-float32-on-hermes.json").read_text())
    assert np.shape(result["values"]) == (2, 2) and "drift" in result["causes"]
    x, y = rpu.datasets.mnist(mnist_folder).test
    again = rpu.inference.evaluate(
        rpu.nn.load(network), (x[:200], y[:200]), [1.0, 31536000.0], chip=rpu.inference.chips.get("hermes"), programmings=2
    )
    assert again.values.tolist() == result["values"]
    assert main([*call, "--chip", "pcm-tutorial"]) == 0  # static ranges, from training inputs
    assert "input ranges: from the first 1000 training inputs" in capsys.readouterr().out
    assert (tmp_path / "mnist-digital-float32-on-pcm-tutorial.csv").read_text().count("\n") == 4


@pytest.mark.parametrize("bound", [0.05, 1e4])
def test_outputs_that_clip_are_said(tmp_path, capsys, mnist_folder, bound):
    digital = rpu.algorithms.DigitalSGD()
    net = rpu.nn.Sequential(rpu.nn.Linear(784, 10, digital))
    net.build(rng=0)
    net.save(tmp_path / "mnist-net.npz")
    periphery = rpu.Periphery(adc=rpu.ADC(bound=bound), bound_management="none")
    chip = rpu.inference.Chip(rpu.inference.NoNoise(), periphery=periphery)
    call = ["infer", str(tmp_path / "mnist-net.npz"), "--chip", chip.to_json(), "--programmings", "1", "--samples", "50"]
    assert main([*call, "--data-dir", mnist_folder, "--out", str(tmp_path), "--format", "png"]) == 0
    said = capsys.readouterr().out
    assert (
        ("of the outputs clip" in said) == (bound < 1.0)
        and "no better than chance, 0.1: what is left" in said
        and "A*" not in said
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chip", "nothing"], "chip must be one of pcm-tutorial"),
        (["chip"], "chip must be a name"),
        (["chip", '{"type": "SoftBounds"}'], "describe a Chip"),
        (["infer", "nothing.npz"], "nothing.npz"),
    ],
)
def test_what_is_no_chip_and_no_network_is_refused(tmp_path, capsys, arguments, words):
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_a_network_whose_name_says_no_task_needs_data(tmp_path, capsys):
    net = rpu.nn.Sequential(rpu.nn.Linear(784, 10, rpu.algorithms.DigitalSGD()))
    net.build(0)
    net.save(tmp_path / "net.npz")
    assert main(["infer", str(tmp_path / "net.npz"), "--out", str(tmp_path)]) == 2
    assert "--task must say" in capsys.readouterr().err


def test_times_have_units():
    assert times("1s,2min,1h,1d,30d,1y,1e3") == [1.0, 120.0, 3600.0, 86400.0, 2592000.0, 31536000.0, 1000.0]
    with pytest.raises(SystemExit):
        main(["infer", "net.npz", "--times", "1 fortnight"])
