"""The trainer: epochs of forward, loss, backward and update, with history, checkpoints and progress."""

from __future__ import annotations

import copy
import math
import os
import signal as signals
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from rpusim._base import checkpoint as files
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.validation import boolean, choice, instance, integer, integer_value, optional, real, signal
from rpusim.nn.data import Source
from rpusim.nn.history import MADE_BY, History
from rpusim.nn.losses import STEPS, class_labels
from rpusim.nn.network import Sequential
from rpusim.nn.optimizers import Optimizer
from rpusim.nn.pipeline import Pipeline, outputs_in_a_row, run_of

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Trainer"]

_REFRESH_S = 0.2  # of the progress bar


class _Stop:
    """Within its block SIGINT and SIGTERM only ask to stop, so that a step and its checkpoint are finished; a second one
    interrupts at once."""

    def __init__(self, active: bool) -> None:
        self._active = active and threading.current_thread() is threading.main_thread()
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        if self._active:
            for number in (signals.SIGINT, signals.SIGTERM):
                self._before[number] = signals.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: Any) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._before.items():
            signals.signal(number, handler)


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
            raise TypeError(f"net must be a Sequential with at least one layer that has weights; got {net!r}")
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
        self._forget()

    def _forget(self) -> None:
        """Be at the beginning of an epoch."""
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
        steps = optional(integer(1))("steps", steps)
        source = self._source("train", train, steps)
        held_out = None if validation is None else self._source("validation", validation)
        epochs = integer_value("epochs", epochs, low=1)
        every = optional(integer(1))("checkpoint_every", checkpoint_every)
        patience = optional(integer(1))("patience", patience)
        average_last = integer_value("average_last", average_last, 0)
        hidden = None if boolean("progress", progress) else True
        if every is not None and checkpoint is None:
            raise ValueError(f"checkpoint_every must be None without a checkpoint to write; got {every}")
        if patience is not None and held_out is None:
            raise ValueError(f"patience must be None without validation samples; got {patience}")
        for index, callback in enumerate(callbacks):
            if not callable(callback):
                raise TypeError(f"callbacks[{index}] must be callable; got {callback!r}")
        if checkpoint is not None and source.once:
            raise ValueError(
                "checkpoint must be None where train can be gone through only once, since a run that goes on "
                f"from it would not get the same batches; got {os.fspath(checkpoint)!r}"
            )
        if not boolean("resume", resume) and checkpoint is None:
            raise ValueError("resume must be True without a checkpoint to start from; got False")
        if checkpoint is not None:
            self._prepare_checkpoint(checkpoint, source, epochs, resume)
        if self.epoch > epochs:
            raise ValueError(f"epochs must be at least {self.epoch}, the number of epochs done already; got {epochs}")
        if steps is not None and steps < self._steps:
            raise ValueError(f"steps must be at least {self._steps}, the number done in this epoch already; got {steps}")

        total = source.targets or None
        if source.pair and steps is not None:
            total = min(source.samples, steps * self.batch_size) * source.targets // source.samples

        def save() -> None:
            if checkpoint is not None:
                files.save(checkpoint, self._checkpoint(source))

        with _Stop(checkpoint is not None) as stop:
            while self.epoch < epochs and not self._is_patience_over(patience):
                rate = self._rate(self.epoch)
                title = f"epoch {self.epoch + 1}/{epochs}"
                with progress_bar(total=total, desc=title, unit=" samples", dynamic_ncols=True, disable=hidden) as bar:
                    self._run_epoch(source, rate, bar, stop, every, save)
                    test_loss, test_error = (None, None) if held_out is None else self._evaluate(held_out, 1000)
                    train_loss = self._total / max(self._seen, 1)
                    error = "" if test_error is None else f", test error {test_error:.2f} %"
                    bar.set_postfix_str(f"loss {train_loss:.4g}{error}")
                columns = self.history.to_dict()
                entries = {
                    "train_loss": train_loss,
                    "test_loss": test_loss,
                    "test_error": test_error,
                    "lr": rate,
                    "seconds": self._seconds,
                    "samples_per_second": self._seen / self._seconds,
                }
                for name, entry in entries.items():
                    columns[name].append(entry)
                self._iterates = [*self._iterates, self._iterate()][-average_last:] if average_last else []
                self.history = History(**columns)
                self._forget()
                save()
                answers = [callback(self) for callback in callbacks]
                if stop.signal is not None:
                    raise KeyboardInterrupt
                if any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers):
                    break
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

    _iterates: list[dict[str, np.ndarray]] = []

    def _iterate(self) -> dict[str, np.ndarray]:
        now = {f"matrix{k}": matrix.weights for k, matrix in enumerate(self.net.matrices())}
        return now | {f"parameter{k}": p.value.copy() for k, p in enumerate(self.net.parameters())}

    def _is_patience_over(self, patience: int | None) -> bool:
        losses = [loss for loss in self.history.test_loss if loss is not None]
        return patience is not None and len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])

    def _run_epoch(
        self, source: Source, rate: float, bar: tqdm[Any], stop: _Stop, every: int | None, save: Callable[[], None]
    ) -> None:
        """Train the rest of an epoch. Arrays were checked before: nothing is, here."""
        run, cycles = run_of(self.schedule, self.net, STEPS[self.loss]), self.cycles
        order = generator(child(self._seeds, 1, self.epoch)).permutation(source.samples) if source.pair else None
        due = math.inf if bar.disable else 0.0
        apart = source.pair and self.net.stateful  # shuffled sequences do not go on from each other
        start, before = perf_counter(), self._seconds
        if self._steps == 0:
            self.net.reset_state()
        bar.update(self._seen)
        for inputs, wanted in source.batches(order, self.batch_size, self._steps):
            if apart:
                self.net.reset_state()
            self._total += run.step(inputs, wanted, rate)
            self._seen += len(wanted)
            self._steps += 1
            if due < math.inf and perf_counter() >= due:
                bar.set_postfix_str(f"loss {self._total / self._seen:.4g}", refresh=False)
                bar.update(self._seen - bar.n)
                due = perf_counter() + _REFRESH_S
            due_now = every is not None and self._steps % every == 0
            if due_now:
                self._total += run.drain(rate)
            if stop.signal is not None or due_now:
                self._seconds = before + perf_counter() - start
                self.cycles = cycles + run.cycles
                if run.idle:
                    save()
                if stop.signal is not None:
                    raise KeyboardInterrupt
        self._total += run.drain(rate)
        self._seconds = before + perf_counter() - start
        self.cycles = cycles + run.cycles
        bar.update(self._seen - bar.n)

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
        y = np.asarray(pair[1])
        whole = y.dtype.kind not in "iu"
        if self.loss == "squared_error" and not whole and y.shape == (len(x), n_out):
            whole = len(self._output_shape(x)) == 2  # targets, and not the labels of n_out steps
        if self.loss == "squared_error" and whole:
            targets = signal(f"{name} y", y, (len(x), *(None,) * (y.ndim - 2), n_out))
            return x, targets, None
        if y.ndim > 1 and y.dtype.kind in "iu" and len(y) == len(x):
            labels = class_labels(f"{name} y", y.reshape(-1), y.size, n_out).reshape(y.shape)
        else:
            labels = class_labels(f"{name} y", y, len(x), n_out)
        if self.loss == "cross_entropy":
            return x, labels, labels
        return x, np.eye(n_out, dtype=np.float32)[labels], labels

    def _output_shape(self, x: np.ndarray) -> tuple[int, ...]:
        """Return the shape of the outputs for one sample, which a copy of the network finds: reads of its own would count."""
        if self._shape is None:
            self._shape = copy.deepcopy(self.net).predict(x[:1]).shape
        return self._shape

    def _origin(self, source: Source) -> dict[str, Any]:
        """Return what a checkpoint must have in common with the training that goes on from it."""
        seeds = self._seeds
        entropy: Any = seeds.entropy
        entropy = int(entropy) if np.ndim(entropy) == 0 else [int(word) for word in entropy]
        return {
            "made_by": MADE_BY,
            "network": repr(self.net),
            "loss": self.loss,
            "batch_size": self.batch_size,
            "optimizer": repr(self.optimizer),
            "schedule": repr(self.schedule),
            "seed": {"entropy": entropy, "spawn_key": [int(n) for n in seeds.spawn_key], "pool_size": seeds.pool_size},
            "samples": source.samples,
            "steps": source.most,
            "data": source.checksum,
        }

    def _checkpoint(self, source: Source) -> dict[str, Any]:
        return {
            **self._origin(source),
            "state": self.net.state_dict(),
            "history": self.history.to_dict(),
            "within": {
                "steps": self._steps,
                "seen": self._seen,
                "total": self._total,
                "seconds": self._seconds,
                "cycles": self.cycles,
                "lr": self._rate(self.epoch) if self._steps else 0.0,
            },
            "iterates": {str(k): one for k, one in enumerate(self._iterates)},
        }

    def _prepare_checkpoint(self, path: str | os.PathLike[str], source: Source, epochs: int, resume: bool) -> None:
        """Go on from the checkpoint if there is one and it is asked for; if not, make sure that one can be written."""
        name = os.fspath(path)
        if not os.path.exists(path):
            if not Path(path).resolve().parent.is_dir():
                raise FileNotFoundError(f"checkpoint must be a file in a folder that exists; got {name!r}")
            return
        data = files.load(path)  # raises where it is another file, which is not to be replaced either
        if not resume:
            return
        origin = self._origin(source)
        data.setdefault("data", origin["data"])  # not kept by earlier versions
        if set(data) == {*origin, "state", "history", "within", "average"} - {"steps"}:  # as written before there were steps
            if data.pop("average")["epochs"]:
                raise ValueError(f"checkpoint {name} holds an average of an earlier version, which cannot go on")
            data |= {"steps": None, "iterates": {}, "within": {"lr": self._rate(len(data["history"]["lr"])), **data["within"]}}
        if data.get("made_by") != MADE_BY or set(data) != {*origin, "state", "history", "within", "iterates"}:
            raise ValueError(f"checkpoint {name} was not written by rpusim.nn.Trainer")
        for key, mine in origin.items():
            if data[key] != mine and key == "data":
                raise ValueError(f"checkpoint {name} was made with other training data, as many; give the same again")
            if data[key] != mine:
                hint = "; give the same rng again to go on from it" if key == "seed" else ""
                made = data[key]
                raise ValueError(f"checkpoint {name} was made with {key} {made!r}; this trainer has {mine!r}{hint}")
        try:
            history = History(**data["history"])
            within = {key: data["within"][key] for key in ("steps", "seen", "total", "seconds", "cycles", "lr")}
            iterates = [data["iterates"][str(k)] for k in range(len(data["iterates"]))]
            if len({len(column) for column in history.to_dict().values()}) > 1:
                raise ValueError("columns of the history are of different lengths")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"checkpoint {name} is damaged: {error!r}") from error
        if self.epoch > len(history):
            raise ValueError(f"checkpoint {name} is of epoch {len(history)}; this trainer has done {self.epoch}")
        if len(history) > epochs:
            raise ValueError(f"epochs must be at least {len(history)}, as many as checkpoint {name} has; got {epochs}")
        for epoch, made in enumerate([*history.lr, *([within["lr"]] if within["steps"] else [])]):
            if self._rate(epoch) != made:
                raise ValueError(
                    f"checkpoint {name} had lr {made:g} in epoch {epoch}; this trainer has {self._rate(epoch):g}, so it would "
                    f"not go on as the run did"
                )
        self.net.load_state_dict(data["state"])
        self.history = history
        self._steps, self._seen = within["steps"], within["seen"]
        self._total, self._seconds, self.cycles = within["total"], within["seconds"], within["cycles"]
        self._iterates = iterates
