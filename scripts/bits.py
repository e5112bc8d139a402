"""Digests of what rpusim computes: an array per device model, effect and way of reading, a tile per algorithm, a network per
kind of layer, all with one seed and one thread.

A change that must not change results is compared with what was recorded before it, on the same machine (products of matrices
round as the BLAS of the machine does)::

    python scripts/bits.py > before.json
    python scripts/bits.py --against before.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import rpusim as rpu

D, A, P, nn = rpu.devices, rpu.algorithms, rpu.Periphery, rpu.nn
X = np.random.default_rng(1).uniform(-1, 1, (40, 33)).astype(np.float32)
Y = np.random.default_rng(2).uniform(-1, 1, (40, 21)).astype(np.float32)


def digest(*values: Any) -> str:
    h = hashlib.sha256()
    for value in values:
        array = np.ascontiguousarray(value)
        h.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return h.hexdigest()[:16]


def devices() -> Iterator[tuple[str, Any]]:
    soft = D.SoftBounds
    yield "ideal", D.Ideal()
    yield "constant", D.ConstantStep()
    yield "linear", D.LinearStep(gamma_up=0.5, gamma_down=0.3, gamma_up_dtod=0.1)
    yield "soft", soft()
    yield "soft-reference", D.SoftBoundsReference(reference_std=0.1)
    yield "exp", D.ExpStep()
    yield "pow", D.PowStep()
    yield "pow-reference", D.PowStepReference(reference_std=0.1)
    yield "piecewise", D.PiecewiseStep(piecewise_up=(1.2, 1.0, 0.4), piecewise_down=(0.3, 1.0, 1.3))
    yield "abrupt-reset", D.AbruptReset()
    yield "from-response", D.FromResponse(lambda w: 0.001 * (1 - w), lambda w: 0.001 * (1 + w))
    yield "write-noise", soft(write_noise_std=1.0)
    yield "half-select", soft(half_select=0.05, half_select_dtod=0.2)
    yield "endurance", soft(endurance=500.0)
    yield "decay", soft(lifetime=50.0, lifetime_dtod=0.2, reset=0.1, reset_dtod=0.05)
    yield "diffusion", soft(diffusion=0.002, diffusion_dtod=0.1)
    yield "drift", soft(drift=D.Drift(nu=0.1, nu_dtod=0.3, nu_std=0.1, nu_k=0.01, w_noise_std=0.001))
    yield "stuck", soft(corrupt_devices_prob=0.2)
    yield (
        "all-effects",
        soft(write_noise_std=0.5, half_select=0.02, endurance=2000.0, lifetime=100.0, diffusion=0.001, drift=D.Drift(nu=0.05)),
    )
    for name in D.presets.names():
        yield f"preset {name}", D.presets.get(name)


def peripheries() -> Iterator[tuple[str, P]]:
    yield "ideal", P.ideal()
    yield "default", P()
    for kind in ("none", "max", "average_abs_max", "abs_max_np_sum"):
        yield f"noise-management {kind}", P(noise_management=kind)
    yield "worst-case", P(bound_management="iterative_worst_case", adc=rpu.ADC(bits=9, bound=1.0))
    yield "clipping", P(adc=rpu.ADC(bits=9, bound=1.0))
    yield "spreads", P(adc=rpu.ADC(bits=9, bound=12.0, gain_spread=0.05, offset_spread=0.02, noise_spread=0.1))
    yield "serial", P(dac=rpu.DAC(bits=7, bound=1.0, slice_bits=2))
    yield "two-pass", P(sign_handling="analog_sum")
    yield "two-pass digital", P(sign_handling="digital_sum")
    yield "ir-drop", P(ir_drop=1.0)
    for law in ("additive", "sqrt", "proportional"):
        yield f"read-noise {law}", P(read_noise=0.02, read_noise_law=law)


def arrays() -> Iterator[tuple[str, str]]:
    for name, device in devices():
        kind = rpu.CellArray if isinstance(device, D.UnitCell) else rpu.CrossbarArray
        array = kind((21, 33), device, rng=5)
        for k in range(3):
            array.update(X, Y, 0.003)
            array.end_batch()
            if name in ("drift", "all-effects"):
                array.drift(1.0 + k)
        if isinstance(device, D.PulsedDevice):
            array.pulse(3)
            array.reset([2, 3], 0.5)
        yield f"device {name}", digest(array.weights, array.pulse_count, array.forward(X[:5]), array.backward(Y[:5]))
    for name, periphery in peripheries():
        array = rpu.CrossbarArray((21, 33), D.ConstantStep(), forward=periphery, rng=6)
        array.update(X, Y, 0.01)
        yield f"periphery {name}", digest(array.forward(X), array.forward(X[3]), array.backward(Y), array.forward_count)
    cell = D.VectorCell((D.SoftBounds(), D.ConstantStep(dw_min=0.002)))
    for name, unit in (
        ("vector", cell),
        ("reference", D.ReferenceCell(D.SoftBounds())),
        ("one-sided", D.OneSidedCell(D.SoftBounds())),
    ):
        cells = rpu.CellArray((21, 33), unit, rng=7)
        for _ in range(3):
            cells.update(X, Y, 0.003)
            cells.end_batch()
        yield f"cell {name}", digest(cells.weights, cells.forward(X), cells.backward(Y))
    pair = rpu.DifferentialPair(*(rpu.CrossbarArray((21, 33), D.SoftBounds(), rng=seed) for seed in (8, 9)))
    pair.zero_shift("pulses", 200)
    pair.update(X, Y, 0.003)
    yield "pair", digest(pair.weights, pair.forward(X), pair.backward(Y))
    lines = P(wires=rpu.Wires(r_word=1.0, r_bit=1.0), conductances=rpu.ConductanceScale(g_min=1e-6, g_max=1e-4))
    wired = rpu.CrossbarArray((21, 33), D.SoftBounds(), forward=lines, rng=10)
    wired.update(X, Y, 0.01)
    yield "wired", digest(wired.forward(X))


def tiles() -> Iterator[tuple[str, str]]:
    soft = D.SoftBounds(up_down=0.1)
    rules = {name: A.named.get(name, soft) for name in A.named.names()} | {
        "ttv1 several": A.TikiTaka(soft, gamma=0.1, n_reads_per_transfer=2, transfer_columns=False),
        "ttv2 plain": A.TikiTakaV2(soft),
        "shd every 3": A.SHD(soft, soft, transfer_every=3),
        "ttv1 resets": A.TikiTaka(
            soft.replace(reset=0.1, reset_dtod=0.05, reset_std=0.07), with_reset_prob=0.3, reference_offset_std=0.1
        ),
        "low-rank write-noise": A.LowRankTikiTaka(soft.replace(write_noise_std=1.0), rank=3, transfer_every=5),
    }
    for name, rule in rules.items():
        tile = rule.build((21, 33), rng=11)
        for _ in range(4):
            tile.update(X, Y, 0.02)
            tile.end_batch()
        for one in X[:7]:
            tile.update(one, Y[0], 0.02)
        yield f"tile {name}", digest(tile.weights, tile.forward(X), tile.backward(Y), tile.pulse_count)


def networks() -> Iterator[tuple[str, str]]:
    rule = A.SGD(D.SoftBounds())
    images = np.random.default_rng(3).uniform(0, 1, (24, 2, 9, 9)).astype(np.float32)
    labels = np.arange(24) % 5
    text = np.random.default_rng(4).integers(0, 7, 400)
    mapping = nn.Mapping(
        max_inputs=20, digital_bias=True, weight_scaling=0.5, learn_scale=True, input_range=1.0, learn_input_range=True
    )
    flat = {
        "linear": [nn.Flatten(), nn.Linear(162, 5, rule)],
        "mapping": [nn.Flatten(), nn.Linear(162, 5, rule, mapping=mapping)],
        "mlp": [nn.Flatten(), nn.Linear(162, 12, rule), nn.Sigmoid(), nn.Dropout(0.2), nn.Linear(12, 5, rule)],
        "batch-norm": [nn.Flatten(), nn.Linear(162, 12, rule), nn.BatchNorm(12), nn.ReLU(), nn.Linear(12, 5, rule)],
        "conv": [nn.Conv2d(2, 4, 3, rule, padding=1), nn.Tanh(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(36, 5, rule)],
        "conv replicas": [nn.Conv2d(2, 4, 3, rule, replicas=3), nn.AvgPool2d(7), nn.Flatten(), nn.Linear(4, 5, rule)],
        "residual": [nn.Flatten(), nn.Residual(nn.Linear(162, 162, rule)), nn.Linear(162, 5, rule)],
    }
    for name, layers in flat.items():
        net = nn.Sequential(*layers)
        trainer = nn.Trainer(net, lr=0.05, rng=12, batch_size=4)
        trainer.fit((images, labels), epochs=2)
        yield f"network {name}", digest(net.forward(images, False), trainer.history.train_loss)
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        net = nn.Sequential(nn.OneHot(7), kind(7, 6, rule, stateful=True), nn.Linear(6, 7, rule))
        trainer = nn.Trainer(net, lr=0.05, rng=13)
        trainer.fit(nn.Sequences(text, length=20), epochs=2)
        yield f"network {kind.__name__}", digest(trainer.history.train_loss)
    net = nn.Sequential(nn.Embedding(7, 5), nn.LSTM(5, 6, rule), nn.LastStep(), nn.Linear(6, 7, rule))
    for optimizer in (nn.Momentum(0.9), nn.Adam()):
        trainer = nn.Trainer(net, lr=0.02, rng=14, batch_size=4, optimizer=optimizer)
        trainer.fit((text[:240].reshape(24, 10), labels), epochs=2)
        yield f"network embedding {type(optimizer).__name__}", digest(trainer.history.train_loss)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="compare with what was recorded; exit status 1 where it differs"
    )
    args = parser.parse_args()
    rpu.set_num_threads(1)
    found = {name: value for group in (arrays, tiles, networks) for name, value in group()}
    if args.against is None:
        print(json.dumps(found, indent=1))
        return 0
    before = json.loads(args.against.read_text())
    different = [name for name in {**before, **found} if before.get(name) != found.get(name)]
    print(f"{len(found) - len(different)} of {len(found)} cases are the same", *different, sep="\n  ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
