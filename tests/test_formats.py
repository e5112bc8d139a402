"""Files that earlier versions wrote are read, and mean what they meant (written by scripts/write_formats.py)."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import rpusim as rpu

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
import write_formats as written  # noqa: E402

FOLDERS = sorted((Path(__file__).parent / "data" / "formats").iterdir())


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request):
    return request.param


@pytest.fixture
def expected(folder):
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_state_of_an_array(folder, expected):
    array = rpu.CrossbarArray((3, 4), written.DEVICE, rng=99)
    array.load_state_dict(rpu.checkpoint.load(folder / "array.npz"))
    close(array.weights, expected["array"])


def test_a_network(folder, expected):
    net = rpu.nn.load(folder / "network.npz")
    for layer, weights in zip(net.layers[::2], expected["network"], strict=True):
        close(layer.tile.weights, weights)


def test_a_training_goes_on(folder, expected, tmp_path):
    file = shutil.copy(folder / "training.npz", tmp_path)
    net = written.network()
    trainer = written.trainer(net)
    trainer.fit((written.X, written.LABELS), epochs=2, checkpoint=file, progress=False)  # there is nothing left to do
    for layer, weights in zip(net.layers[::2], expected["network"], strict=True):
        close(layer.tile.weights, weights)
    history = trainer.fit((written.X, written.LABELS), epochs=3, checkpoint=file, progress=False)
    assert len(history.train_loss) == 3


def test_a_programmed_array(folder, expected):
    array = rpu.inference.ProgrammedArray(written.X[:3], rpu.inference.chips.get("hermes"), rng=99)
    array.load_state_dict(rpu.checkpoint.load(folder / "chip.npz"))
    close(array.weights(3600.0), expected["chip"])


def test_a_study(folder, expected, tmp_path):
    if "study" not in expected:
        pytest.skip("there were no studies")
    results = rpu.sweep.load(shutil.copy(folder / "study.sqlite", tmp_path))
    close(results.column("error"), expected["study"])


def test_a_fit(folder, expected):
    device = rpu.from_json((folder / "fit.json").read_text(encoding="utf-8"))
    close([device.dw_min, device.w_max], [expected["fit"]["dw_min"], expected["fit"]["w_max"]])
