"""One call of `Trainer.fit`: its arguments, its checkpoint and its epochs."""

from __future__ import annotations

import math
import os
import signal as signals
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from rpusim._base import checkpoint as files
from rpusim._base.progress import progress_bar
from rpusim._base.random import child, generator, words_of
from rpusim._base.validation import boolean, integer, integer_value, optional, shown
from rpusim.nn.losses import STEPS
from rpusim.nn.pipeline import run_of

if TYPE_CHECKING:
    from tqdm import tqdm

    from rpusim.nn.trainer import Trainer

__all__ = []

_MADE_BY = "rpusim.nn.Trainer"
_REFRESH_S = 0.2  # of the progress bar


class Stop:
    """Within its block SIGINT and SIGTERM only ask to stop, so that a step and its checkpoint are finished; a second one
    interrupts at once."""

    def __init__(self, active: bool) -> None:
        self._active = active and threading.current_thread() is threading.main_thread()
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
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


class Training:
    """One call of `Trainer.fit`, whose arguments are checked here."""

    def __init__(
        self,
        trainer: Trainer,
        train: Any,
        validation: Any,
        *,
        epochs: int,
        checkpoint: str | os.PathLike[str] | None,
        progress: bool,
        steps: int | None,
        checkpoint_every: int | None,
        patience: int | None,
        average_last: int,
        callbacks: Sequence[Callable[[Trainer], Any]],
        resume: bool,
    ) -> None:
        self.trainer, self.checkpoint, self.callbacks = trainer, checkpoint, callbacks
        self.steps: int | None = optional(integer(1))("steps", steps)
        self.source = trainer._source("train", train, self.steps)
        self.held_out = None if validation is None else trainer._source("validation", validation)
        self.epochs = integer_value("epochs", epochs, low=1)
        self.every: int | None = optional(integer(1))("checkpoint_every", checkpoint_every)
        self.patience: int | None = optional(integer(1))("patience", patience)
        self.average_last = integer_value("average_last", average_last, 0)
        self.no_bar = None if boolean("progress", progress) else True  # None: where stderr is no terminal
        self._agree(boolean("resume", resume))
        if checkpoint is not None:
            self._go_on(checkpoint, resume)
        if trainer.epoch > self.epochs:
            raise ValueError(f"epochs must be at least {trainer.epoch}, the number of epochs done already; got {epochs}")
        if self.steps is not None and self.steps < trainer._steps:
            raise ValueError(f"steps must be at least {trainer._steps}, the number done in this epoch already; got {steps}")

    def _agree(self, resume: bool) -> None:
        """Raise where arguments contradict each other."""
        if self.every is not None and self.checkpoint is None:
            raise ValueError(f"checkpoint_every must be None without a checkpoint to write; got {self.every}")
        if self.patience is not None and self.held_out is None:
            raise ValueError(f"patience must be None without validation samples; got {self.patience}")
        for index, callback in enumerate(self.callbacks):
            if not callable(callback):
                raise TypeError(f"callbacks[{index}] must be callable; got {shown(callback)}")
        if self.checkpoint is not None and self.source.once:
            raise ValueError(
                "checkpoint must be None where train can be gone through only once, since a run that goes on "
                f"from it would not get the same batches; got {os.fspath(self.checkpoint)!r}"
            )
        if not resume and self.checkpoint is None:
            raise ValueError("resume must be True without a checkpoint to start from; got False")

    # ---- the checkpoint ----------------------------------------------------------------------------------------------

    def _origin(self) -> dict[str, Any]:
        """Return what a checkpoint must have in common with the training that goes on from it."""
        trainer = self.trainer
        return {
            "made_by": _MADE_BY,
            "network": repr(trainer.net),
            "loss": trainer.loss,
            "batch_size": trainer.batch_size,
            "optimizer": repr(trainer.optimizer),
            "schedule": repr(trainer.schedule),
            "seed": words_of(trainer._seeds),
            "samples": self.source.samples,
            "steps": self.steps,
            "data": self.source.checksum,
        }

    def _save(self) -> None:
        if self.checkpoint is not None:
            files.save(self.checkpoint, self._origin() | self.trainer.state_dict())

    def _go_on(self, path: str | os.PathLike[str], resume: bool) -> None:
        """Go on from the checkpoint if there is one and it is asked for; if not, make sure that one can be written."""
        name = os.fspath(path)
        if not os.path.exists(path):
            if not Path(path).resolve().parent.is_dir():
                raise FileNotFoundError(f"checkpoint must be a file in a folder that exists; got {shown(name)}")
            return
        data = files.load(path)  # raises where it is another file, which is not to be replaced either
        if not resume:
            return
        state = self._of_same_origin(name, self._upgraded(name, data))
        try:
            checked = self.trainer.checked_state("state", state)
        except (TypeError, ValueError) as error:
            raise ValueError(f"checkpoint {name} is damaged: {error}") from error
        self._of_same_course(name, checked["history"]["lr"], checked["within"])
        self.trainer.restore(checked)

    def _upgraded(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        """Return what an earlier version wrote as this one does."""
        data.setdefault("data", self.source.checksum)
        if "average" in data and not {"steps", "iterates"} & data.keys():  # there were no steps
            if data.pop("average")["epochs"]:
                raise ValueError(f"checkpoint {name} holds an average of an earlier version, which cannot go on")
            rate = self.trainer._rate(len(data["history"]["lr"]))
            data |= {"steps": None, "iterates": {}, "within": {"lr": rate, **data["within"]}}
        return data

    def _of_same_origin(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        """Return the state in a checkpoint that was made with the same as this training."""
        origin = self._origin()
        if data.get("made_by") != _MADE_BY or not origin.keys() <= data.keys():
            raise ValueError(f"checkpoint {name} was not written by rpusim.nn.Trainer")
        for key, mine in origin.items():
            made = data.pop(key)
            if made != mine and key == "data":
                raise ValueError(f"checkpoint {name} was made with other training data, as many; give the same again")
            if made != mine:
                hint = "; give the same rng again to go on from it" if key == "seed" else ""
                raise ValueError(f"checkpoint {name} was made with {key} {made!r}; this trainer has {mine!r}{hint}")
        return data

    def _of_same_course(self, name: str, rates: list[float], within: dict[str, Any]) -> None:
        """Raise where the epochs of a checkpoint are not the first ones of this training."""
        trainer, done = self.trainer, len(rates)
        if trainer.epoch > done:
            raise ValueError(f"checkpoint {name} is of epoch {done}; this trainer has done {trainer.epoch}")
        if done > self.epochs:
            raise ValueError(f"epochs must be at least {done}, as many as checkpoint {name} has; got {self.epochs}")
        for epoch, made in enumerate([*rates, within["lr"]] if within["steps"] else rates):
            if trainer._rate(epoch) != made:
                raise ValueError(
                    f"checkpoint {name} had lr {made:g} in epoch {epoch}; this trainer has {trainer._rate(epoch):g}, so it "
                    f"would not go on as the run did"
                )

    # ---- the epochs --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        trainer = self.trainer
        with Stop(self.checkpoint is not None) as stop:
            while trainer.epoch < self.epochs and not self._is_patience_over():
                self._epoch(stop)
                answers = [callback(trainer) for callback in self.callbacks]
                if stop.signal is not None:
                    raise KeyboardInterrupt
                if any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers):
                    break

    def _is_patience_over(self) -> bool:
        losses = [loss for loss in self.trainer.history.test_loss if loss is not None]
        n = self.patience
        return n is not None and len(losses) > n and min(losses[-n:]) >= min(losses[:-n])

    def _samples(self) -> int | None:
        """Return the number of samples of an epoch, where it is known."""
        source = self.source
        if source.pair and self.steps is not None:
            return min(source.samples, self.steps * self.trainer.batch_size) * source.targets // source.samples
        return source.targets or None

    def _epoch(self, stop: Stop) -> None:
        """Train what is left of an epoch, evaluate, record and save."""
        trainer = self.trainer
        rate, title = trainer._rate(trainer.epoch), f"epoch {trainer.epoch + 1}/{self.epochs}"
        with progress_bar(total=self._samples(), desc=title, unit=" samples", dynamic_ncols=True, disable=self.no_bar) as bar:
            self._batches(rate, bar, stop)
            test_loss, test_error = (None, None) if self.held_out is None else trainer._evaluate(self.held_out, 1000)
            train_loss = trainer._total / max(trainer._seen, 1)
            error = "" if test_error is None else f", test error {test_error:.2f} %"
            bar.set_postfix_str(f"loss {train_loss:.4g}{error}")
        trainer.history = trainer.history.extended(
            train_loss=train_loss,
            test_loss=test_loss,
            test_error=test_error,
            lr=rate,
            seconds=trainer._seconds,
            samples_per_second=trainer._seen / trainer._seconds,
        )
        if math.isfinite(train_loss):
            for matrix in trainer.net.matrices():
                for tile in matrix.tiles:
                    if hasattr(tile, "end_epoch"):  # a tile of one's own may have none
                        tile.end_epoch(train_loss)
        n = self.average_last
        trainer._iterates = [*trainer._iterates, trainer._iterate()][-n:] if n else []
        trainer._begin_epoch()
        self._save()

    def _batches(self, rate: float, bar: tqdm[Any], stop: Stop) -> None:
        """Train on the rest of the batches of an epoch. Arrays were checked before: nothing is, here."""
        trainer, source = self.trainer, self.source
        run, cycles = run_of(trainer.schedule, trainer.net, STEPS[trainer.loss]), trainer.cycles
        order = generator(child(trainer._seeds, 1, trainer.epoch)).permutation(source.samples) if source.pair else None
        due = math.inf if bar.disable else 0.0
        apart = source.pair and trainer.net.stateful  # shuffled sequences do not go on from each other
        start, before = perf_counter(), trainer._seconds
        if trainer._steps == 0:
            trainer.net.reset_state()
        bar.update(trainer._seen)
        for inputs, wanted in source.batches(order, trainer.batch_size, trainer._steps):
            if apart:
                trainer.net.reset_state()
            trainer._total += run.step(inputs, wanted, rate)
            trainer._seen += len(wanted)
            trainer._steps += 1
            if due < math.inf and perf_counter() >= due:
                bar.set_postfix_str(f"loss {trainer._total / trainer._seen:.4g}", refresh=False)
                bar.update(trainer._seen - bar.n)
                due = perf_counter() + _REFRESH_S
            due_now = self.every is not None and trainer._steps % self.every == 0
            if due_now:
                trainer._total += run.drain(rate)
            if stop.signal is not None or due_now:
                trainer._seconds = before + perf_counter() - start
                trainer.cycles = cycles + run.cycles
                if run.idle:
                    self._save()
                if stop.signal is not None:
                    raise KeyboardInterrupt
        trainer._total += run.drain(rate)
        trainer._seconds = before + perf_counter() - start
        trainer.cycles = cycles + run.cycles
        bar.update(trainer._seen - bar.n)
