"""What the reproductions with a small language model share: the model, trained once, its data, and how it is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim import datasets, nn
from rpusim.inference import AnalogFoundation, Chip, HardwareAware, Signed, evaluate
from rpusim.nn import AdamW, Schedule, Sequential, Trainer
from rpusim.periphery.reads import Periphery

__all__ = ["Size", "Taught", "Windows", "chip", "held_out", "loss_on_chips", "trained"]

CONTEXT = 64


class Size(NamedTuple):
    """Of a run: width, layers and heads of the model, steps of its training and of what follows, programmings."""

    features: int = 64
    layers: int = 2
    heads: int = 2
    steps: int = 2400
    more: int = 260
    programmings: int = 10
    windows: int = 192


QUICK = Size(features=32, layers=1, steps=400, more=80, programmings=3, windows=48)


class Windows:
    """Batches of windows of a text at random places, the same whenever it is gone through."""

    def __init__(self, text: NDArray[np.integer[Any]], steps: int, seed: int, size: int = 16) -> None:
        self.text, self.steps, self.seed, self.size = text, steps, seed, size

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        draw = np.random.Generator(np.random.Philox(self.seed))
        places = np.arange(CONTEXT + 1)
        for _ in range(self.steps):
            starts = draw.integers(0, len(self.text) - CONTEXT - 1, self.size)
            found = self.text[starts[:, None] + places]
            yield found[:, :-1], found[:, 1:]


class Taught:
    """The same batches with the outputs of a teacher for targets."""

    def __init__(self, windows: Windows, teacher: Sequential) -> None:
        self.windows, self.teacher = windows, teacher

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for x, _ in self.windows:
            yield x, self.teacher.forward(x, False)


def held_out(text: datasets.Text, windows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return windows of the test text, one after another, and what follows each of their characters."""
    places = np.arange(windows)[:, None] * CONTEXT + np.arange(CONTEXT + 1)
    found = text.test[places]
    return found[:, :-1], found[:, 1:]


def trained(text: datasets.Text, size: Size, seed: int, folder: Path | None) -> Sequential:
    """Return the digital model, trained on a text."""
    rule, mapping = HardwareAware(()), nn.Mapping(digital_bias=True)  # digital weights, which an optimizer can train
    net = nn.language_model(len(text.vocabulary), size.features, size.layers, size.heads, CONTEXT, rule, mapping=mapping)
    net.build(seed)
    draw = np.random.Generator(np.random.Philox(seed))
    matrices = net.matrices()
    for k, matrix in enumerate(matrices):  # of a block: projections, output, and the two of the perceptron
        ends_branch = k % 4 in (1, 3) and k < len(matrices) - 1
        std = 0.02 / (np.sqrt(2.0 * size.layers) if ends_branch else 1.0)
        matrix.set_weights(std * draw.standard_normal((matrix.outputs, matrix.inputs)))
    optimizer = AdamW(
        beta2=0.98, max_norm=1024.0, schedule=Schedule(warmup=min(50, size.steps // 4), total=size.steps, shape="linear")
    )
    trainer = Trainer(net, lr=3e-3, rng=seed, batch_size=16, optimizer=optimizer)
    path = None if folder is None else folder / f"language-model-{size.features}-{seed}.checkpoint.npz"
    trainer.fit(
        Windows(text.train, size.steps, seed), epochs=1, steps=size.steps, checkpoint=path,
        checkpoint_every=None if path is None else 200,
    )  # fmt: skip
    return net


def chip(times: float) -> Chip:
    """Return the chip of analog foundation models with errors of weights so many times as large, read exactly."""
    return Chip(
        AnalogFoundation(prog_scale=times), Signed(), Periphery.ideal(), compensation=None, read_noise="none", max_inputs=None
    )


def loss_on_chips(net: Sequential, data: Any, times: float, programmings: int, seed: int) -> tuple[float, float, list[float]]:
    """Return mean and spread of the cross-entropy over programmings, with the same draws for all networks, and all values."""
    result = evaluate(
        net, data, [0.0], chip=chip(times), programmings=programmings, metric="cross_entropy", rng=seed, batch_size=64
    )
    return float(result.mean[0]), float(result.std[0]), result.values[:, 0].tolist()
