#!/usr/bin/env python
"""Write a file of every format as this version writes it, for tests/data/formats: what later versions have to read.

A new version of a format, or of a state in one, gets files of its own: `scripts/write_formats.py FOLDER`, of which those
that are new go to tests/data/formats under the next number; those of earlier versions stay.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import rpusim as rpu

DEVICE = rpu.devices.SoftBounds(dw_min=0.01, dw_min_std=0.3, dw_min_dtod=0.3)
X = np.linspace(-1.0, 1.0, 24, dtype=np.float32).reshape(6, 4)
LABELS = np.arange(6) % 3


def network() -> rpu.nn.Sequential:
    rule = rpu.algorithms.AGAD(DEVICE)
    return rpu.nn.Sequential(rpu.nn.Linear(4, 5, rule), rpu.nn.Tanh(), rpu.nn.Linear(5, 3, rule))


def trainer(net: rpu.nn.Sequential) -> rpu.nn.Trainer:
    return rpu.nn.Trainer(net, lr=0.05, batch_size=2, rng=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    array = rpu.CrossbarArray((3, 4), DEVICE, rng=1)
    array.update(X, np.outer(np.ones(6), [1.0, -0.5, 0.2]), lr=0.05)
    rpu.checkpoint.save(folder / "array.npz", array.state_dict())
    net = network()
    trainer(net).fit((X, LABELS), epochs=2, checkpoint=folder / "training.npz", progress=False)
    net.save(folder / "network.npz")
    found: dict[str, object] = {"version": rpu.__version__, "array": array.weights.tolist()}
    found["network"] = [layer.tile.weights.tolist() for layer in net.layers[::2]]
    chip = rpu.inference.ProgrammedArray(X[:3], rpu.inference.chips.get("hermes"), rng=2)
    rpu.checkpoint.save(folder / "chip.npz", chip.state_dict())
    found["chip"] = chip.weights(3600.0).tolist()
    study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1]}, {"steps": 100}, seeds=2)
    results = rpu.sweep.run(study, folder / "study.sqlite", workers=1, progress=False)
    found["study"] = results.column("error").tolist()
    pulses = np.arange(200)
    up = -1.0 + 2.0 * (1.0 - np.exp(-pulses / 60.0))
    fit = rpu.fitting.fit(up, up[::-1].copy(), model="SoftBounds")
    (folder / "fit.json").write_text(fit.to_json(), encoding="utf-8")
    found["fit"] = {"dw_min": fit.device.dw_min, "w_max": fit.device.w_max}
    (folder / "expected.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
