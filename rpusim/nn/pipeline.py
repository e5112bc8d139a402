"""Pipelines: the layers of a network as stages that work at the same time, with a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import choice, integer, integer_value, numbers_of, optional, shown
from rpusim.nn.network import Sequential

__all__ = ["Pipeline"]

LossStep = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, repr=False)
class Pipeline(Specification):
    r"""A schedule of training: which stage of a network works on which samples in which clock cycle.

    A network is cut into M stages. In one cycle a stage sends one micro-batch forward, or sends the gradient of one backward
    and then updates its weights; in the next cycle, the neighbouring stage goes on with it. Weights stay where they are, so
    stages are the only way to let many arrays work at once. For N micro-batches, of which B make a batch::

        "none"          2 M N                 cycles; only one stage works at a time
        "synchronous"   2 (M + B - 1) N / B   the micro-batches of a batch follow each other; the next one waits for all updates
        "asynchronous"  2 (M + N - 1)         one micro-batch enters every other cycle, and the pipeline is never emptied

    "none" and "synchronous" train as a Trainer without a schedule does, since no weight changes while a batch is in the network
    (batch normalisation takes its statistics from the whole batch). "asynchronous" updates with every micro-batch, and each
    meets weights that have not seen the ones just before it: sample k goes forward through stage m of M, counted from 1,
    when its weights have had max(0, k - (M - m)) updates, and comes back when they have had k::

        x_k^(m+1) = f(W_(k-(M-m))^(m) x_k^(m))
        W_(k+1)^(m) = W_k^(m) - lr d_k^(m) x_k^(m)T        (in expectation; however the tile does it)

    The last stage is never stale; with one stage it is plain training.

    Parameters
    ----------
    mode : {"none", "synchronous", "asynchronous"}
    starts : tuple of int or None
        Places in the network's row of layers at which a stage begins, ascending from 0; None: every layer with weights in
        arrays begins one (what is before the first of them belongs to it).
    micro_batch : int, default 1
        Samples that a stage handles in one cycle (a sequence counts as one). A batch of the trainer is cut into
        micro-batches; the last one may be smaller.

    Notes
    -----
    After Wu, Xiao, Gokmen, Tsai, El Maghraoui and Chen (2024), arXiv 2410.15155, who prove that "asynchronous" converges
    nearly as fast per sample as "synchronous". The clock, from which the delays follow, is ours: forward and
    backward-and-update take a cycle each, loss and converters no time; every stage alternates between the two.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> vanilla, pipelined = (rpu.nn.Pipeline(mode).cycles(1000, stages=4) for mode in ("none", "asynchronous"))
    >>> vanilla, pipelined, round(vanilla / pipelined, 3)
    (8000, 2006, 3.988)
    >>> rule = rpu.algorithms.DigitalSGD()
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 8, rule), rpu.nn.Sigmoid(), rpu.nn.Linear(8, 4, rule))
    >>> trainer = rpu.nn.Trainer(net, lr=2.0, rng=0, schedule=rpu.nn.Pipeline("asynchronous"))
    >>> history = trainer.fit((np.eye(4), np.arange(4)), epochs=100)
    >>> history.train_loss[-1] < 0.1, trainer.cycles
    (True, 1000)
    """

    papers: ClassVar[tuple[str, ...]] = ("wu2024-pipeline",)

    mode: str = parameter("asynchronous", choice("none", "synchronous", "asynchronous"))
    starts: tuple[int, ...] | None = parameter(None, optional(numbers_of(integer(0))))
    micro_batch: int = parameter(1, integer(1))

    def _check_consistency(self) -> None:
        s = self.starts
        if s is not None and (not s or s[0] != 0 or any(b <= a for a, b in zip(s[:-1], s[1:], strict=True))):
            raise ValueError(f"Pipeline: starts must be integers ascending from 0; got {s}")

    def stages(self, net: Sequential) -> list[Sequential]:
        """Return the stages of a network, first to last; they share its layers.

        Raises
        ------
        ValueError
            If a stage would have no weights.
        """
        if self.starts is None:
            starts = [0, *[k for k, layer in enumerate(net.layers) if layer.matrices()][1:]]
        else:
            starts = list(self.starts)
        if starts[-1] >= len(net.layers):
            raise ValueError(f"starts must be below {len(net.layers)}, the number of layers; got {self.starts}")
        ends = [*starts[1:], len(net.layers)]
        stages = [Sequential(*net.layers[a:b]) for a, b in zip(starts, ends, strict=True)]
        for start, stage in zip(starts, stages, strict=True):
            if not stage.trainable:
                raise ValueError(f"starts must give every stage a layer with weights; got {shown(stage)} at {start}")
        return stages

    def cycles(self, samples: int, stages: int, batch_size: int = 1) -> int:
        """Return the clock cycles that so many samples take, from an empty pipeline to an empty one.

        Parameters
        ----------
        samples : int
        stages : int
        batch_size : int, default 1
            As that of the trainer.

        Raises
        ------
        TypeError, ValueError
            If an argument is no positive integer.
        """
        n = integer_value("samples", samples, low=1)
        stages = integer_value("stages", stages, low=1)
        size = integer_value("batch_size", batch_size, low=1)
        batches, rest = divmod(n, size)
        if self.mode == "asynchronous":
            return 2 * (batches * self._parts(size) + self._parts(rest) + stages - 1)
        return batches * self._cycles_of_batch(size, stages) + (self._cycles_of_batch(rest, stages) if rest else 0)

    def _parts(self, samples: int) -> int:
        """Return the number of micro-batches."""
        return -(-samples // self.micro_batch)

    def _cycles_of_batch(self, samples: int, stages: int) -> int:
        parts = self._parts(samples)
        return 2 * stages * parts if self.mode == "none" else 2 * (stages + parts - 1)


def outputs_in_a_row(outputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return outputs (n, features), one for each of the targets: steps of sequences one after another.

    Raises
    ------
    ValueError
        If there are not as many targets.
    """
    flat = outputs.reshape(-1, outputs.shape[-1])
    if len(flat) != len(wanted):
        raise ValueError(
            f"y must have one target for each output, of which there are {outputs.shape[:-1]} (a layer LastStep "
            f"leaves one per sequence); got {len(wanted)} in all"
        )
    return flat


def _loss(loss: LossStep, outputs: np.ndarray, wanted: np.ndarray) -> tuple[float, np.ndarray]:
    """Return loss and gradient."""
    if outputs.ndim == 2 and len(outputs) == len(wanted):
        return loss(outputs, wanted)
    value, gradient = loss(outputs_in_a_row(outputs, wanted), wanted)
    return value, gradient.reshape(outputs.shape)


class Run:
    """Training batch after batch, each whole: forward, loss, backward, update.

    Attributes
    ----------
    cycles : int
        Of the clock so far.
    idle : bool
        Whether all updates are done of all that was fed.
    """

    def __init__(self, net: Sequential, loss: LossStep, cycles_of: Callable[[int], int] | None = None) -> None:
        self._net, self._loss, self._cycles_of = net, loss, cycles_of
        self.cycles = 0

    @property
    def idle(self) -> bool:
        return True

    def step(self, inputs: np.ndarray, wanted: np.ndarray, rate: float) -> float:
        """Train on a batch, and return the sum of the losses that are known now."""
        loss, gradient = _loss(self._loss, self._net.forward(inputs), wanted)
        self._net.backward(gradient, False)
        self._net.update(rate)
        if self._cycles_of is not None:
            self.cycles += self._cycles_of(len(inputs))
        return loss

    def drain(self, rate: float) -> float:
        """Finish what is under way, and return the sum of its losses."""
        return 0.0


class _Asynchronous(Run):
    """A pipeline that is never emptied but by `drain`.

    Micro-batch k goes forward through stage m (from 0) in cycle 2 k + m, and backward in cycle 2 k + 2 M - 1 - m: a stage
    has one of the two to do in a cycle, and its neighbours the other. So between two stages there is never more than one
    signal on its way.
    """

    def __init__(self, stages: list[Sequential], loss: LossStep, micro_batch: int) -> None:
        self._stages, self._loss, self._size = stages, loss, micro_batch
        self._stateful = any(stage.stateful for stage in stages)
        self.cycles = 0
        self._clock = self._fed = 0  # cycles, and micro-batches, since the pipeline was empty
        self._ahead: list[Any] = [None] * (len(stages) + 1)  # what comes to each stage from before it
        self._back: list[Any] = [None] * len(stages)  # what comes to each stage from behind it
        self._wanted: deque[np.ndarray] = deque()
        self._aside: list[deque[Any]] = [deque() for _ in stages]  # signals of the micro-batches in flight
        for stage in stages:
            stage.bring_back(stage.set_aside())  # refuses layers that cannot

    @property
    def idle(self) -> bool:
        return not self._aside[0]

    def step(self, inputs: np.ndarray, wanted: np.ndarray, rate: float) -> float:
        loss = 0.0
        if self._stateful and len(inputs) > self._size:
            raise ValueError(
                f"micro_batch must be at least the batch of {len(inputs)} where stateful layers carry the state "
                f"of each of its sequences; got {self._size}"
            )
        targets = len(wanted) // len(inputs)  # of one sample
        for first in range(0, len(inputs), self._size):
            last = first + self._size
            self._ahead[0] = inputs[first:last]
            self._wanted.append(wanted[first * targets : last * targets])
            self._fed += 1
            loss += self._cycle(rate) + self._cycle(rate)
        return loss

    def drain(self, rate: float) -> float:
        loss = 0.0
        while not self.idle:
            loss += self._cycle(rate)
        self._clock = self._fed = 0
        return loss

    def _cycle(self, rate: float) -> float:
        """Let every stage do what is due in this cycle."""
        loss, behind = 0.0, 2 * len(self._stages) - 1
        for m, stage in enumerate(self._stages):
            if (self._clock - m) % 2 == 0:
                if 0 <= (self._clock - m) // 2 < self._fed:
                    outputs = stage.forward(self._ahead[m])
                    self._aside[m].append(stage.set_aside())
                    if m + 1 < len(self._stages):
                        self._ahead[m + 1] = outputs
                    else:
                        loss, self._back[m] = _loss(self._loss, outputs, self._wanted.popleft())
            elif 0 <= (self._clock - behind + m) // 2 < self._fed:
                stage.bring_back(self._aside[m].popleft())
                gradient = stage.backward(self._back[m], m > 0)
                stage.update(rate)
                if m > 0:
                    self._back[m - 1] = gradient
        self._clock += 1
        self.cycles += 1
        return loss


def run_of(schedule: Pipeline | None, net: Sequential, loss: LossStep) -> Run:
    """Return what trains the network by the schedule; None: as it is, without a clock.

    Raises
    ------
    TypeError, ValueError
        If the schedule does not fit the network.
    """
    if schedule is None:
        return Run(net, loss)
    stages = schedule.stages(net)
    if schedule.mode == "asynchronous":
        return _Asynchronous(stages, loss, schedule.micro_batch)
    return Run(net, loss, lambda samples: schedule._cycles_of_batch(samples, len(stages)))
