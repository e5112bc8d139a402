"""The trainer: epochs of forward, loss, backward and update, with history, checkpoints and progress."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from rpusim._base.random import RNG, child, seed_sequence
from rpusim._base.state import Entry, Stateful, attribute, group, listed, part, tables, value
from rpusim._base.validation import choice, instance, integer, integer_value, optional, plain_array, real, shown, signal
from rpusim.nn.data import Source
from rpusim.nn.history import History, number
from rpusim.nn.losses import STEPS, class_labels
from rpusim.nn.network import Sequential
from rpusim.nn.optimizers import Optimizer
from rpusim.nn.pipeline import Pipeline, outputs_in_a_row, run_of
from rpusim.nn.training import Training

__all__ = ["Trainer"]


class Trainer(Stateful):
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
        integer labels, whose targets are one-hot), or "distillation" (y are outputs of a teacher, or labels, of which it is the
        cross-entropy; see `distillation`, `teach`).
    lr : float or callable
        Learning rate, positive; or a function of the epoch (0 for the first) that returns it, which may end at 0. Layers may
        scale it (`lr_scale`).
    rng : int, SeedSequence, Generator or None
        Seed of the network's building and of the order of samples, which is drawn anew for each epoch from the seed and
        the epoch's number. Nothing else random happens here; None takes a seed from the operating system.
    batch_size : int
        Samples per step; the last step of an epoch takes what is left. (Where the data come in batches, theirs counts.)
    optimizer : Optimizer or None
        How the digital parameters of the network are trained: `Momentum` or `Adam`; None: plain gradient descent. Weights in
        devices are trained by their tiles, which cannot honour one, so a network without digital parameters takes none.
    schedule : Pipeline or None
        How the layers work as stages of a pipeline, with stale weights where it is asynchronous. It is emptied at the end of
        every epoch. None: one batch after another, without a clock.

    Attributes
    ----------
    net, loss, lr, batch_size, optimizer, schedule
        As given.
    cycles : int
        Clock cycles of the schedule so far; 0 without one.
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
    >>> import numpy as np, rpusim as rpu
    >>> rule = rpu.algorithms.DigitalSGD()
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 8, rule), rpu.nn.Sigmoid(), rpu.nn.Linear(8, 4, rule))
    >>> trainer = rpu.nn.Trainer(net, lr=lambda epoch: 2.0 / (1 + epoch / 50), rng=0)
    >>> history = trainer.fit((np.eye(4), np.arange(4)), epochs=100)
    >>> history.train_loss[-1] < 0.1
    True
    """

    def __init__(
        self,
        net: Sequential,
        loss: str = "cross_entropy",
        lr: float | Callable[[int], float] = 0.05,
        rng: RNG = 0,
        batch_size: int = 1,
        optimizer: Optimizer | None = None,
        schedule: Pipeline | None = None,
    ) -> None:
        if not isinstance(net, Sequential) or not net.trainable:
            raise TypeError(f"net must be a Sequential with at least one layer that has weights; got {shown(net)}")
        self.loss = choice(*STEPS)("loss", loss)
        self.lr = lr if callable(lr) else real(0, open_low=True)("lr", lr)
        self.batch_size = integer_value("batch_size", batch_size, low=1)
        self.schedule = optional(instance(Pipeline, "a Pipeline or None"))("schedule", schedule)
        run_of(self.schedule, net, STEPS[self.loss])  # refuses what does not fit the network
        self.cycles = 0
        self._seeds = seed_sequence(rng)
        self.net = net
        if not net.built:
            net.build(child(self._seeds, 0))
        net.set_optimizer(optimizer)
        self.optimizer = optimizer
        self._shape: tuple[int, ...] | None = None
        self.history = History()
        self._iterates: list[dict[str, np.ndarray]] = []  # weights at the ends of the last epochs, where they are averaged
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._steps, self._seen, self._total, self._seconds = 0, 0, 0.0, 0.0

    @property
    def epoch(self) -> int:
        return len(self.history)

    def fit(
        self,
        train: tuple[Any, Any] | Iterable[tuple[Any, Any]],
        epochs: int = 10,
        validation: tuple[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool = True,
        *,
        steps: int | None = None,
        checkpoint_every: int | None = None,
        patience: int | None = None,
        average_last: int = 0,
        callbacks: Sequence[Callable[[Trainer], Any]] = (),
        resume: bool = True,
    ) -> History:
        """Train until `epochs` epochs are done in all.

        A second call goes on where the first ended: fit(epochs=3) and then fit(epochs=5) do the same as fit(epochs=5).

        Parameters
        ----------
        train : pair (x, y), or an iterable of batches (x, y)
            x array_like (n, ...), finite, or integers for a network that takes them; y int (n,) labels or float
            (n, out_features) targets, as the loss has it; labels of sequences are (n, time). A float32 x is used without a
            copy. A pair is shuffled; an iterable is gone through once per epoch, as it is, and must give the same again
            (`Sequences`, a list, an object with `__iter__`). With `steps` it may also be a generator, or have no end.
        epochs : int
            Number of epochs in all, with those done before (by this trainer, or in the checkpoint).
        validation : as `train`, optional
            Samples evaluated after every epoch.
        checkpoint : path, optional
            A file written at the end of every epoch, whole or not at all. If it exists, training starts from it, and
            reaches the same bits as a run that was never interrupted. It holds the network's state, the history, and
            what it was made with: network, loss, batch size, seed, number of samples, `steps` and a checksum of a pair or
            `Sequences` of training data. Not the data: give the same again, and an `lr` that is the same in the epochs done.
        progress : bool
            Whether to show a progress bar; none is shown if stderr is no terminal.
        steps : int, optional
            Steps of an epoch (so that `lr`, validation and the history go by steps); by default, and at most, all batches of
            `train`. A generator goes on in the next epoch; what can be gone through again starts again.
        checkpoint_every : int, optional
            Steps after which the checkpoint is written also within an epoch (an asynchronous pipeline is emptied for it).
        patience : int, optional
            Stop when the validation loss has not been lower for so many epochs.
        average_last : int, default 0
            Keep the weights at the ends of the last so many epochs, wherever training stops; see `program_average`. Epochs of
            earlier calls count, too, if all since had it.
        callbacks : sequence of callable
            Called with this trainer after every epoch; training stops if one returns True.
        resume : bool, default True
            Whether to start from the checkpoint if it exists. If not, it stays until the first new one takes its place.

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
            On Ctrl-C or SIGTERM: with a checkpoint, after the step at hand is finished (or, within a validation, the epoch) and
            the checkpoint written (a second one stops at once, and leaves the file as it was). Without one the network is left
            as it is, amid an epoch, which the next call goes on with. What is in flight in an asynchronous pipeline is lost,
            and no checkpoint is written then: the last one stays.
        """
        training = Training(
            self, train, validation, epochs=epochs, checkpoint=checkpoint, progress=progress, steps=steps,
            checkpoint_every=checkpoint_every, patience=patience, average_last=average_last, callbacks=callbacks, resume=resume,
        )  # fmt: skip
        training.run()
        return self.history

    def evaluate(
        self, samples: tuple[Any, Any] | Iterable[tuple[Any, Any]], batch_size: int = 1000
    ) -> tuple[float, float | None]:
        """Return the mean loss and the error of the network as it is.

        Reads are noisy as the arrays have it, and draw from their noise streams. Recurrent layers start from zeros.

        Parameters
        ----------
        samples : pair (x, y), or an iterable of batches
            As for `fit`.
        batch_size : int
            How many samples of a pair are read together.

        Returns
        -------
        loss : float
            Mean over the samples (for sequences: over their steps).
        error : float or None
            Samples whose largest output is not that of their label, in %; None if y are not labels.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above.
        """
        size = integer_value("batch_size", batch_size, low=1)
        return self._evaluate(self._source("samples", samples), size)

    def program_average(self) -> None:
        """Write the mean weights of the last epochs (`average_last` of `fit`) into the arrays, ideally, and the digital
        parameters with them.

        Raises
        ------
        ValueError
            If there is no average.
        """
        if not self._iterates:
            raise ValueError("program_average needs a fit with average_last of at least 1; got none")
        mean = {k: np.mean([one[k] for one in self._iterates], axis=0, dtype=np.float64) for k in self._iterates[0]}
        for k, p in enumerate(self.net.parameters()):
            p.value[...] = mean[f"parameter{k}"]
        for k, matrix in enumerate(self.net.matrices()):
            matrix.program(mean[f"matrix{k}"].astype(np.float32), keep_scale=True)

    def _iterate(self) -> dict[str, np.ndarray]:
        now = {f"matrix{k}": matrix.weights for k, matrix in enumerate(self.net.matrices())}
        return now | {f"parameter{k}": p.value.copy() for k, p in enumerate(self.net.parameters())}

    def _evaluate(self, source: Source, size: int) -> tuple[float, float | None]:
        loss_step = STEPS[self.loss]
        total = 0.0
        wrong = 0
        seen = 0
        labelled = True
        self.net.reset_state()
        for inputs, wanted, labels in source.evaluated(size):
            if source.pair:
                self.net.reset_state()
            outputs = outputs_in_a_row(self.net.forward(inputs, False), wanted)
            total += loss_step(outputs, wanted)[0]
            seen += len(wanted)
            labelled = labelled and labels is not None
            if labels is not None:
                wrong += int(np.count_nonzero(outputs.argmax(axis=1) != labels))
        self.net.reset_state()
        return total / seen, 100 * wrong / seen if labelled else None

    def _rate(self, epoch: int) -> float:
        if not callable(self.lr):
            return self.lr
        return real(0)(f"lr({epoch})", self.lr(epoch))

    def _source(self, name: str, data: Any, steps: int | None = None) -> Source:
        kind = f"a pair (x, y), or an iterable of such batches; got {type(data).__name__}"
        if isinstance(data, (tuple, list)):
            batches = isinstance(data, list) and all(isinstance(batch, tuple) and len(batch) == 2 for batch in data)
            if not batches and len(data) != 2:
                raise TypeError(f"{name} must be {kind} of {len(data)}")
            return Source(name, self, data, not batches, steps)
        if isinstance(data, (np.ndarray, str, bytes, dict)) or not hasattr(data, "__iter__"):
            raise TypeError(f"{name} must be {kind}")
        if steps is None and iter(data) is data:
            raise TypeError(f"{name} must be {kind}, which can be gone through only once (it may be so if steps is given)")
        return Source(name, self, data, False, steps)

    def _samples(self, name: str, pair: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Check a pair (x, y) and return inputs, the loss's targets, and labels or None; targets of steps in one row."""
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{name} must be a pair (x, y); got {type(pair).__name__}")
        x = self.net.inputs(f"{name} x", pair[0])
        if len(x) == 0:
            raise ValueError(f"{name} x must hold at least one sample; got shape {x.shape}")
        n_out: Any = self.net.out_features or self._output_shape(x)[-1]
        y = plain_array(f"{name} y", pair[1], "labels or targets")
        whole = y.dtype.kind not in "iu"
        if self.loss == "squared_error" and not whole and y.shape == (len(x), n_out):
            whole = len(self._output_shape(x)) == 2  # targets, and not the labels of n_out steps
        if self.loss in ("squared_error", "distillation") and whole:
            targets = signal(f"{name} y", y, (len(x), *(None,) * (y.ndim - 2), n_out))
            return x, targets, None
        if y.ndim > 1 and y.dtype.kind in "iu" and len(y) == len(x):
            labels = class_labels(f"{name} y", y.reshape(-1), y.size, n_out).reshape(y.shape)
        else:
            labels = class_labels(f"{name} y", y, len(x), n_out)
        if self.loss in ("cross_entropy", "distillation"):
            return x, labels, labels
        return x, np.eye(n_out, dtype=np.float32)[labels], labels

    def _output_shape(self, x: np.ndarray) -> tuple[int, ...]:
        """Return the shape of the outputs for one sample, which a copy of the network finds: reads of its own would count."""
        if self._shape is None:
            self._shape = copy.deepcopy(self.net).predict(x[:1]).shape
        return self._shape

    def _entries(self) -> dict[str, Entry]:
        within = {
            "steps": attribute(self, "_steps", integer(0)),
            "seen": attribute(self, "_seen", integer(0)),
            "total": attribute(self, "_total", number),
            "seconds": attribute(self, "_seconds", real(0)),
            "cycles": attribute(self, "cycles", integer(0)),
            # the rate follows from the epoch: it is kept to be compared
            "lr": value(lambda: self._rate(self.epoch) if self._steps else 0.0, lambda _: None, real(0)),
        }
        return {
            "state": part(self.net),
            # another object takes its place: who has got one keeps it as it is
            "history": Entry(
                self.history.state_dict, History().checked_state, lambda new: setattr(self, "history", History(**new))
            ),
            "within": group(within),
            "iterates": listed(
                lambda: self._iterates,
                lambda new: setattr(self, "_iterates", new),
                lambda name, one: tables(self._iterate()).check(name, one),
            ),
        }
