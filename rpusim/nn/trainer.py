"""The trainer: epochs of forward, loss, backward and update, with history, checkpoints and progress."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from rpusim import checkpoint as files
from rpusim._random import RNG, child, generator, seed_sequence
from rpusim._validation import boolean, choice, integer_value, real, signal
from rpusim.nn.losses import STEPS, class_labels
from rpusim.nn.network import Sequential

__all__ = ["History", "Trainer"]

_MADE_BY = "rpusim.nn.Trainer"
_REFRESH_S = 0.2  # of the progress bar


@dataclass
class History:
    """What happened in each epoch: lists of equal length, one entry per epoch.

    Attributes
    ----------
    train_loss : list of float
        Mean loss of the training samples, each taken just before its own update.
    test_loss : list of float or None
        Mean loss of the validation samples after the epoch; None without validation.
    test_error : list of float or None
        Wrongly classified validation samples, in %; None without validation or labels.
    lr : list of float
        Learning rate.
    seconds : list of float
        Wall time of the training steps, without the validation, in s.
    samples_per_second : list of float
        Training samples over `seconds`, in 1/s.

    Examples
    --------
    >>> history = History([0.5], [0.4], [12.0], [0.05], [2.0], [30000.0])
    >>> history.to_dict()["test_error"]
    [12.0]
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float | None] = field(default_factory=list)
    test_error: list[float | None] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    samples_per_second: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.train_loss)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return copies of the lists, by name."""
        return asdict(self)

    def save_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict()` as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    def save_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per epoch (counted from 1), with a row of names above; None is an empty cell."""
        columns = self.to_dict()
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *columns])
            for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1):
                writer.writerow([epoch, *row])


class Trainer:
    """Stochastic gradient descent on a network of tiles: forward, loss, backward and update for batch after batch.

    The tiles do the update, W <- W - lr * sum over the batch of d x^T in expectation, by pulses or however their
    algorithm does it. The gradient d is that of each sample's own loss, not divided by the batch size (see
    `rpusim.nn.cross_entropy`).

    Parameters
    ----------
    net : Sequential
        The network. If it is not built yet, it is built here with a seed made from `rng`.
    loss : str
        "cross_entropy" (softmax; y are integer labels) or "squared_error" (y are targets of the outputs' shape, or
        integer labels, whose targets are one-hot).
    lr : float or callable
        Learning rate, positive; or a function of the epoch (0 for the first) that returns it.
    rng : int, SeedSequence, Generator or None
        Seed of the network's building and of the order of samples, which is drawn anew for each epoch from the seed and
        the epoch's number. Nothing else random happens here; None takes a seed from the operating system.
    batch_size : int
        Samples per step; the last step of an epoch takes what is left.

    Attributes
    ----------
    net, loss, lr, batch_size
        As given.
    history : History
        Of all epochs so far.
    epoch : int
        How many epochs are done.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(784, 256, rule), rpu.nn.Sigmoid(), rpu.nn.Linear(256, 10, rule))
    ... # doctest: +SKIP
    >>> data = rpu.datasets.mnist()  # doctest: +SKIP
    >>> trainer = rpu.nn.Trainer(net, lr=lambda epoch: 0.05 * 0.9**epoch, rng=0)  # doctest: +SKIP
    >>> history = trainer.fit(data.train, epochs=10, validation=data.test, checkpoint="run.npz")  # doctest: +SKIP
    """

    def __init__(
        self,
        net: Sequential,
        loss: str = "cross_entropy",
        lr: float | Callable[[int], float] = 0.05,
        rng: RNG = 0,
        batch_size: int = 1,
    ) -> None:
        if not isinstance(net, Sequential) or not net.trainable:
            raise TypeError(f"net must be a Sequential with at least one layer that has weights; got {net!r}")
        self.loss = choice(*STEPS)("loss", loss)
        self.lr = lr if callable(lr) else real(0, open_low=True)("lr", lr)
        self.batch_size = integer_value("batch_size", batch_size, low=1)
        self._seeds = seed_sequence(rng)
        self.net = net
        if not net.built:
            net.build(child(self._seeds, 0))
        self.history = History()

    @property
    def epoch(self) -> int:
        return len(self.history)

    def fit(
        self,
        train: tuple[Any, Any],
        epochs: int = 10,
        validation: tuple[Any, Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> History:
        """Train until `epochs` epochs are done in all.

        A second call goes on where the first ended: fit(epochs=3) and then fit(epochs=5) do the same as fit(epochs=5).

        Parameters
        ----------
        train : pair (x, y)
            x array_like (n, in_features), finite; y int (n,) labels or float (n, out_features) targets, as the loss has
            it. A float32 x is used without a copy.
        epochs : int
            Number of epochs in all, with those done before (by this trainer, or in the checkpoint).
        validation : pair (x, y), optional
            Samples evaluated after every epoch.
        checkpoint : path, optional
            A file written at the end of every epoch, whole or not at all. If it exists, training starts from it, and
            reaches the same bits as a run that was never interrupted. It holds the network's state, the history, and
            what it was made with: network, loss, batch size, seed and number of samples. Not the data: give the
            same again, and an `lr` that is the same in the epochs done.
        progress : bool
            Whether to show a progress bar; none is shown if stderr is no terminal.

        Returns
        -------
        History
            `self.history`.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, more than `epochs` epochs are done already, or the checkpoint is damaged or
            was made by another training. Nothing is trained.
        FileNotFoundError
            If the checkpoint's folder does not exist.
        KeyboardInterrupt
            Ctrl-C stops at once; the checkpoint is that of the last whole epoch. (Without one the network is left as it
            is, amid an epoch, which the next call starts again.)
        """
        x, targets, _ = self._samples("train", train)
        held_out = None if validation is None else self._samples("validation", validation)
        epochs = integer_value("epochs", epochs, low=1)
        hidden = None if boolean("progress", progress) else True
        if checkpoint is not None:
            self._prepare_checkpoint(checkpoint, len(x), epochs)
        if self.epoch > epochs:
            raise ValueError(f"epochs must be at least {self.epoch}, the number of epochs done already; got {epochs}")
        while self.epoch < epochs:
            rate = self._rate(self.epoch)
            title = f"epoch {self.epoch + 1}/{epochs}"
            with tqdm(total=len(x), desc=title, unit=" samples", dynamic_ncols=True, disable=hidden) as bar:
                start = perf_counter()
                train_loss = self._run_epoch(x, targets, rate, bar)
                seconds = perf_counter() - start
                test_loss, test_error = (None, None) if held_out is None else self._evaluate(*held_out, 1000)
                error = "" if test_error is None else f", test error {test_error:.2f} %"
                bar.set_postfix_str(f"loss {train_loss:.4g}{error}")
            columns = self.history.to_dict()
            entries = {
                "train_loss": train_loss,
                "test_loss": test_loss,
                "test_error": test_error,
                "lr": rate,
                "seconds": seconds,
                "samples_per_second": len(x) / seconds,
            }
            for name, entry in entries.items():
                columns[name].append(entry)
            if checkpoint is not None:
                files.save(checkpoint, {**self._origin(len(x)), "state": self.net.state_dict(), "history": columns})
            self.history = History(**columns)
        return self.history

    def evaluate(self, samples: tuple[Any, Any], batch_size: int = 1000) -> tuple[float, float | None]:
        """Return the mean loss and the error of the network as it is.

        Reads are noisy as the arrays have it, and draw from their noise streams.

        Parameters
        ----------
        samples : pair (x, y)
            As for `fit`.
        batch_size : int
            How many samples are read together.

        Returns
        -------
        loss : float
            Mean over the samples.
        error : float or None
            Samples whose largest output is not that of their label, in %; None if y are not labels.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above.
        """
        size = integer_value("batch_size", batch_size, low=1)
        return self._evaluate(*self._samples("samples", samples), size)

    def _run_epoch(self, x: np.ndarray, targets: np.ndarray, rate: float, bar: tqdm) -> float:
        """Train one epoch and return the mean loss. Everything was checked before: nothing is, here."""
        forward, backward, update = self.net.forward, self.net.backward, self.net.update
        loss_step = STEPS[self.loss]
        order = generator(child(self._seeds, 1, self.epoch)).permutation(len(x))
        total = 0.0
        seen = 0
        due = math.inf if bar.disable else 0.0
        for inputs, wanted in _batches(x, targets, order, self.batch_size):
            loss, gradient = loss_step(forward(inputs), wanted)
            backward(gradient, False)
            update(rate)
            total += loss
            seen += len(inputs)
            if perf_counter() >= due:
                bar.set_postfix_str(f"loss {total / seen:.4g}", refresh=False)
                bar.update(seen - bar.n)
                due = perf_counter() + _REFRESH_S
        bar.update(seen - bar.n)
        return total / seen

    def _evaluate(
        self, x: np.ndarray, targets: np.ndarray, labels: np.ndarray | None, size: int
    ) -> tuple[float, float | None]:
        loss_step = STEPS[self.loss]
        total = 0.0
        wrong = 0
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            outputs = self.net.forward(x[part], False)
            total += loss_step(outputs, targets[part])[0]
            if labels is not None:
                wrong += int(np.count_nonzero(outputs.argmax(axis=1) != labels[part]))
        return total / len(x), None if labels is None else 100 * wrong / len(x)

    def _rate(self, epoch: int) -> float:
        if not callable(self.lr):
            return self.lr
        return real(0, open_low=True)(f"lr({epoch})", self.lr(epoch))

    def _samples(self, name: str, pair: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Check a pair (x, y) and return inputs, the loss's targets, and labels or None."""
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{name} must be a pair (x, y); got {type(pair).__name__}")
        n_out: Any = self.net.out_features
        x = signal(f"{name} x", pair[0], (None, self.net.in_features))
        if len(x) == 0:
            raise ValueError(f"{name} x must hold at least one sample; got shape {x.shape}")
        y = np.asarray(pair[1])
        if self.loss == "squared_error" and not (y.ndim == 1 and y.dtype.kind in "iu"):
            return x, signal(f"{name} y", y, (len(x), n_out)), None
        labels = class_labels(f"{name} y", y, len(x), n_out)
        if self.loss == "cross_entropy":
            return x, labels, labels
        targets = np.zeros((len(x), n_out), np.float32)
        targets[np.arange(len(x)), labels] = 1
        return x, targets, labels

    def _origin(self, samples: int) -> dict[str, Any]:
        """Return what a checkpoint must have in common with the training that goes on from it."""
        seeds = self._seeds
        entropy: Any = seeds.entropy
        entropy = int(entropy) if np.ndim(entropy) == 0 else [int(word) for word in entropy]
        return {
            "made_by": _MADE_BY,
            "network": repr(self.net),
            "loss": self.loss,
            "batch_size": self.batch_size,
            "seed": {"entropy": entropy, "spawn_key": [int(n) for n in seeds.spawn_key], "pool_size": seeds.pool_size},
            "samples": samples,
        }

    def _prepare_checkpoint(self, path: str | os.PathLike[str], samples: int, epochs: int) -> None:
        """Go on from the checkpoint if there is one; if not, make sure that one can be written."""
        name = os.fspath(path)
        if not os.path.exists(path):
            if not Path(path).resolve().parent.is_dir():
                raise FileNotFoundError(f"checkpoint must be a file in a folder that exists; got {name!r}")
            return
        data = files.load(path)
        origin = self._origin(samples)
        if data.get("made_by") != _MADE_BY or set(data) != {*origin, "state", "history"}:
            raise ValueError(f"checkpoint {name} was not written by rpusim.nn.Trainer")
        for key, mine in origin.items():
            if data[key] != mine:
                hint = "; give the same rng again to go on from it" if key == "seed" else ""
                made = data[key]
                raise ValueError(f"checkpoint {name} was made with {key} {made!r}; this trainer has {mine!r}{hint}")
        history = History(**data["history"])
        if self.epoch > len(history):
            raise ValueError(f"checkpoint {name} is of epoch {len(history)}; this trainer has done {self.epoch}")
        if len(history) > epochs:
            raise ValueError(f"epochs must be at least {len(history)}, as many as checkpoint {name} has; got {epochs}")
        for epoch, made in enumerate(history.lr):
            if self._rate(epoch) != made:
                raise ValueError(
                    f"checkpoint {name} had lr {made:g} in epoch {epoch}; this trainer has {self._rate(epoch):g}, so it would "
                    f"not go on as the run did"
                )
        self.net.load_state_dict(data["state"])
        self.history = history


def _batches(x: np.ndarray, y: np.ndarray, order: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield samples in the given order, `size` at a time; single ones are views, not copies."""
    if size == 1:
        for row in order.tolist():
            yield x[row : row + 1], y[row : row + 1]
        return
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield x[rows], y[rows]
