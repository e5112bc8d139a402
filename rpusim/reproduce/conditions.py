"""One network that a paper trained, in plain settings, and how it is trained: what the studies of networks run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpusim import datasets
from rpusim._base.checkpoint import atomic_file
from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import choice, instance, integer, optional, real
from rpusim.algorithms import Algorithm, DigitalSGD
from rpusim.nn import Linear, Mapping, Pipeline, ReLU, Sequential, Trainer
from rpusim.reproduce.networks import TextRun, characters, lenet, lstm, perceptron, subset

__all__ = ["Condition", "trained"]

#: what is kept of every epoch
HISTORY = ("train_loss", "test_loss", "test_error", "seconds")
_rule = instance(Algorithm, "an algorithm")


def relu_perceptron(rule: Algorithm, last: Algorithm | None = None, **options: Any) -> Sequential:
    """Return the network 784-256-128-10 with rectifiers."""
    return Sequential(
        Linear(784, 256, rule, **options), ReLU(), Linear(256, 128, rule, **options), ReLU(),
        Linear(128, 10, last or rule, **options),
    )  # fmt: skip


def deep_perceptron(rule: Algorithm, last: Algorithm | None = None, **options: Any) -> Sequential:
    """Return a network of eight layers, 784-128-128-...-10, with rectifiers."""
    layers = [Linear(784, 128, rule, **options), ReLU()]
    for _ in range(6):
        layers += [Linear(128, 128, rule, **options), ReLU()]
    return Sequential(*layers, Linear(128, 10, last or rule, **options))


NETWORKS = {"perceptron": perceptron, "relu": relu_perceptron, "deep": deep_perceptron, "lenet": lenet}


@dataclass(frozen=True, repr=False)
class Condition(Specification):
    """One network to train.

    Parameters
    ----------
    rule : Algorithm
        Of all layers.
    last : Algorithm or None
        Of the last layer, where it is another.
    network : {"perceptron", "relu", "deep", "lenet", "lstm"}
        784-256-128-10 with sigmoids, or with rectifiers; eight layers with rectifiers; LeNet; two layers of LSTM.
    data : {"mnist", "fashion-mnist", "warpeace"}
    train, test : int or None
        Samples, or characters, to use; None: all.
    lr : float
        Learning rate, of the sum over a batch.
    drop, drop_every : float, int
        The rate is multiplied by `drop` after every `drop_every` epochs.
    batch_size : int
    mapping : Mapping or None
    schedule : Pipeline or None
    units, length : int
        Cells of an LSTM, and characters of a step.

    Examples
    --------
    >>> from rpusim.reproduce.conditions import Condition
    >>> condition = Condition(lr=0.1, drop=0.5, drop_every=10)
    >>> [condition.rate(epoch) for epoch in (0, 9, 10)]
    [0.1, 0.1, 0.05]
    """

    rule: Algorithm = parameter(DigitalSGD, _rule)
    last: Algorithm | None = parameter(None, optional(_rule))
    network: str = parameter("perceptron", choice(*NETWORKS, "lstm"))
    data: str = parameter("mnist", choice("mnist", "fashion-mnist", "warpeace"))
    train: int | None = parameter(None, optional(integer(1)))
    test: int | None = parameter(None, optional(integer(1)))
    lr: float = parameter(0.01, real(0.0, open_low=True))
    drop: float = parameter(1.0, real(0.0, 1.0, open_low=True))
    drop_every: int = parameter(10, integer(1))
    batch_size: int = parameter(1, integer(1))
    mapping: Mapping | None = parameter(None, optional(instance(Mapping, "a Mapping")))
    schedule: Pipeline | None = parameter(None, optional(instance(Pipeline, "a Pipeline")))
    units: int = parameter(32, integer(1))
    length: int = parameter(100, integer(1))

    def _check_consistency(self) -> None:
        if (self.network == "lstm") != (self.data == "warpeace"):
            raise ValueError(f"Condition: network must be 'lstm' for text, and only there; got {self.network!r}")

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, from 0."""
        return self.lr * self.drop ** (epoch // self.drop_every)

    def samples(self) -> tuple[Any, Any]:
        """Return training and test data, as `Trainer.fit` takes them."""
        if self.data == "warpeace":
            return characters(TextRun(self.train, self.test, self.units, self.length, 1))
        load = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}[self.data]
        return subset(load(flatten=self.network != "lenet"), self.train, self.test)

    def build(self) -> Sequential:
        """Return the network, not built yet."""
        if self.network == "lstm":
            return lstm(self.rule, self.units)
        options = {} if self.mapping is None else {"mapping": self.mapping}
        last = {} if self.last is None or self.network == "lenet" else {"last": self.last}
        return NETWORKS[self.network](self.rule, **last, **options)


def _scale(net: Sequential) -> float:
    """Size of the learned scale of the last layer; 1 where none is learned."""
    return float(np.abs(net.matrices()[-1].gain).mean())


class _Extras:
    """What the history of a trainer has not, by epoch: the last scale, and pulses and cycles so far; in a file beside it."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: dict[str, dict[str, float]] = {}
        if path is not None and path.exists():
            self.found = json.loads(path.read_text(encoding="utf-8"))

    def __call__(self, trainer: Trainer) -> None:
        pulses = sum(sum(tile.pulse_count) for matrix in trainer.net.matrices() for tile in matrix.tiles)
        self.found[str(trainer.epoch)] = {"scale": _scale(trainer.net), "pulses": pulses, "cycles": trainer.cycles}
        if self.path is not None:
            with atomic_file(self.path) as file:
                file.write(json.dumps(self.found).encode())


def trained(condition: Condition, epochs: int, draw: int, folder: str | None = None) -> dict[str, float]:
    """Train the network of a condition, and return what became of it; a task of `rpusim.sweep`.

    Parameters
    ----------
    condition : Condition
    epochs : int
    draw : int
        Seed of everything: runs of the same draw start from the same weights and see the same order of samples.
    folder : str, optional
        Checkpoints are kept beside it, whatever the number of epochs, so that a longer run goes on from a shorter one.

    Returns
    -------
    dict of str to float
        "test_error.1" (%), "test_loss.1", "train_loss.1", "seconds.1", "scale.1", "pulses.1", "cycles.1", and so on for every
        epoch.
    """
    stem = None
    if folder is not None:
        content = json.dumps([condition.to_dict(), draw], sort_keys=True)
        stem = Path(folder).parent / hashlib.sha256(content.encode()).hexdigest()[:16]
    extras = _Extras(None if stem is None else stem.with_suffix(".json"))
    train, test = condition.samples()
    trainer = Trainer(
        condition.build(), lr=condition.rate, rng=draw, batch_size=condition.batch_size, schedule=condition.schedule
    )
    history = trainer.fit(
        train, epochs, validation=test, checkpoint=None if stem is None else stem.with_suffix(".npz"), progress=False,
        callbacks=(extras,),
    )  # fmt: skip
    out: dict[str, float] = {}
    for name in HISTORY:
        out |= {f"{name}.{k}": float(v) for k, v in enumerate(getattr(history, name), 1) if v is not None}
    for epoch, entry in extras.found.items():
        out |= {f"{name}.{epoch}": float(value) for name, value in entry.items() if int(epoch) <= epochs}
    return out
