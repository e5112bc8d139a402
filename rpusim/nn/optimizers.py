"""Digital parameters (biases, scales, tables) and how they are trained; weights in devices are trained by their tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.state import Entry, Stateful, attribute, buffer, checked_array, listed
from rpusim._base.validation import choice, instance, integer, optional, physical, plain_array, real, shown, signal
from rpusim._core.products import matmul

__all__ = ["Adam", "AdamW", "Momentum", "Optimizer", "Parameter", "Schedule"]

_rate = physical()


@dataclass(frozen=True, repr=False)
class Schedule(Specification):
    """A factor on the rate, by the steps that a parameter has taken: up from 0, then down.

    (k + 1) / warmup for step k < warmup; then from 1 at warmup to `final` at total, where it stays: 1 - u ("linear"),
    (1 + cos(pi u)) / 2 ("cosine") or (1 - u)^power ("power") of the way, with u = (k - warmup) / (total - warmup); or 1
    ("constant").

    Parameters
    ----------
    warmup : int, default 0
    total : int or None
        Steps of the whole training; not of "constant".
    shape : {"constant", "linear", "cosine", "power"}
    power : float, default 1
    final : float, default 0

    Examples
    --------
    >>> import rpusim as rpu
    >>> schedule = rpu.nn.Schedule(warmup=2, total=6, shape="linear")
    >>> [schedule.factor(k) for k in range(8)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    warmup: int = parameter(0, integer(0))
    total: int | None = parameter(None, optional(integer(1)))
    shape: str = parameter("constant", choice("constant", "linear", "cosine", "power"))
    power: float = parameter(1.0, physical(0.0, open_low=True))
    final: float = parameter(0.0, real(0.0, 1.0))

    def _check_consistency(self) -> None:
        if (self.total is None) != (self.shape == "constant"):
            raise ValueError(f"Schedule: total must be given exactly where the rate falls; got {self.total}, {self.shape!r}")
        if self.total is not None and self.total <= self.warmup:
            raise ValueError(f"Schedule: total must be above warmup={self.warmup}; got {self.total}")
        if self.shape == "constant" and self.final != 0.0:
            raise ValueError(f"Schedule: final must be 0 where the rate does not fall; got {self.final}")
        if self.shape != "power" and self.power != 1.0:
            raise ValueError(f"Schedule: power must be 1 without shape='power'; got {self.power}")

    def factor(self, step: int) -> float:
        """Return the factor of a step, the first of which is 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.total is None:
            return 1.0
        u = min(1.0, (step - self.warmup) / (self.total - self.warmup))
        way = 0.5 * (1.0 + math.cos(math.pi * u)) if self.shape == "cosine" else (1.0 - u) ** self.power
        return self.final + (1.0 - self.final) * way


@dataclass(frozen=True, repr=False, kw_only=True)
class Optimizer(Specification):
    """Base of the rules for digital parameters; `lr` is the rate that tiles get, times `lr_scale`, times the schedule's factor.

    Parameters
    ----------
    lr_scale : float, default 1
        Rate of digital parameters relative to that of the tiles.
    schedule : Schedule or None
    max_norm : float or None
        Largest length of all gradients of a step together (summed over the batch, as they come): longer ones are shortened.

    Examples
    --------
    >>> import rpusim as rpu
    >>> isinstance(rpu.nn.Adam(), rpu.nn.Optimizer)
    True
    """

    lr_scale: float = parameter(1.0, physical(0.0))
    schedule: Schedule | None = parameter(None, optional(instance(Schedule, "a Schedule")))
    max_norm: float | None = parameter(None, optional(physical(0.0, open_low=True)))
    slots: ClassVar[int] = 0  # arrays that a parameter keeps for it

    def step(self, p: Parameter, lr: float) -> None:
        """Change the value of `p` by its gradient."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Momentum(Optimizer):
    """u <- momentum u + g; value <- value - lr lr_scale u. With momentum 0: plain gradient descent.

    Parameters
    ----------
    momentum : float, default 0
    lr_scale, schedule, max_norm
        See `Optimizer`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.nn.Momentum(0.9)
    Momentum(momentum=0.9)
    """

    momentum: float = parameter(0.0, real(0.0, 1.0, open_high=True))
    slots = 1

    def step(self, p: Parameter, lr: float) -> None:
        (u,) = p.slots_of(self)
        u *= np.float32(self.momentum)
        u += p.gradient
        p.value -= np.float32(lr * self.lr_scale) * u


@dataclass(frozen=True, repr=False, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, Algorithm 1), at the rate lr lr_scale, lr that of the `Trainer`; settings by name only.

    Parameters
    ----------
    beta1, beta2 : float, default 0.9, 0.999
    epsilon : float, default 1e-8
    lr_scale, schedule, max_norm
        See `Optimizer`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.nn.Adam(lr_scale=0.01)
    Adam(lr_scale=0.01)
    """

    beta1: float = parameter(0.9, real(0.0, 1.0, open_high=True))
    beta2: float = parameter(0.999, real(0.0, 1.0, open_high=True))
    epsilon: float = parameter(1e-8, physical(0.0, open_low=True))
    slots = 2

    def step(self, p: Parameter, lr: float) -> None:
        m, v = p.slots_of(self)
        g, t = p.gradient, p.steps + 1
        m += np.float32(1.0 - self.beta1) * (g - m)
        v += np.float32(1.0 - self.beta2) * (g * g - v)
        rate = lr * self.lr_scale / (1.0 - self.beta1**t)
        p.value -= np.float32(rate) * m / (np.sqrt(v / np.float32(1.0 - self.beta2**t)) + np.float32(self.epsilon))


@dataclass(frozen=True, repr=False, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled decay of matrices (Loshchilov and Hutter, 2019): value <- value (1 - rate weight_decay) first.

    Parameters
    ----------
    weight_decay : float, default 0.01
        Of parameters with two axes and more: not of biases, gains and offsets.
    beta1, beta2, epsilon, lr_scale, schedule, max_norm
        See `Adam`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.nn.AdamW(weight_decay=0.1, schedule=rpu.nn.Schedule(warmup=50), max_norm=1.0)
    AdamW(schedule=Schedule(warmup=50), max_norm=1.0, weight_decay=0.1)
    """

    weight_decay: float = parameter(0.01, physical(0.0))

    def step(self, p: Parameter, lr: float) -> None:
        if p.value.ndim > 1:
            p.value *= np.float32(1.0 - lr * self.lr_scale * self.weight_decay)
        super().step(p, lr)


def _start(name: str, value: ArrayLike) -> NDArray[np.float32]:
    """Return a first value as an array of its own."""
    array = plain_array(name, value, "real numbers")
    return signal(name, array, array.shape).copy()


class Parameter(Stateful):
    """An array that is trained digitally: its value, its gradient, and what its optimizer keeps.

    Parameters
    ----------
    value : array_like
        First value.

    Examples
    --------
    >>> import rpusim as rpu
    >>> p = rpu.nn.Parameter([1.0, 2.0])
    >>> p.value.tolist(), p.gradient.tolist()
    ([1.0, 2.0], [0.0, 0.0])
    """

    def __init__(self, value: ArrayLike) -> None:
        self.value: NDArray[np.float32] = _start("value", value)
        self._gradient = np.zeros_like(self.value)
        self._spent = False  # the gradient is to count as 0, whatever is there
        self.optimizer: Optimizer | None = None
        #: called after every step
        self.after: Callable[[], object] | None = None
        self.steps = 0  # since the arrays of the optimizer were zero
        self._slots: list[NDArray[np.float32]] = []

    @property
    def gradient(self) -> NDArray[np.float32]:
        """The gradient, to which layers add."""
        if self._spent:
            self._gradient[...] = 0.0
            self._spent = False
        return self._gradient

    @gradient.setter
    def gradient(self, value: ArrayLike) -> None:
        if value is not self._gradient:  # as it is after +=
            self._gradient[...] = value
        self._spent = False

    def add_product(self, d: NDArray[np.float32], x: NDArray[np.float32]) -> None:
        """Add d^T x to the gradient of a matrix, d (n, outputs) and x (n, inputs)."""
        if self.value.ndim != 2:
            raise ValueError(f"value must have two axes for the product of two batches; it has shape {self.value.shape}")
        d = signal("d", d, (None, self.value.shape[0]))
        x = signal("x", x, (len(d), self.value.shape[1]))
        if self._spent:
            matmul(d.T, x, out=self._gradient)
            self._spent = False
        else:
            self._gradient += matmul(d.T, x)

    def reset(self, value: ArrayLike) -> None:
        """Begin again from `value`."""
        self.value[...] = signal("value", np.broadcast_to(_start("value", value), self.value.shape), self.value.shape)
        self.gradient[...] = 0.0
        self.steps, self._slots = 0, []

    def slots_of(self, optimizer: Optimizer) -> list[NDArray[np.float32]]:
        """Return the arrays kept for the optimizer, zeros at first."""
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer; got {shown(optimizer)}")
        if len(self._slots) != optimizer.slots:
            self._slots = [np.zeros_like(self.value) for _ in range(optimizer.slots)]
            self.steps = 0
        return self._slots

    def step(self, lr: float) -> None:
        """Let the optimizer (None: plain gradient descent) change the value by the gradient, which is then 0."""
        lr = _rate("lr", lr)
        if _waiting:
            _waiting[-1].append((self, lr))
        else:
            self._step(lr)

    def _step(self, lr: float) -> None:
        if self.optimizer is None:
            self.gradient *= np.float32(lr)
            self.value -= self.gradient
        else:
            schedule = self.optimizer.schedule
            self.optimizer.step(self, lr if schedule is None else lr * schedule.factor(self.steps))
        self.steps += 1
        self._spent = True
        if self.after is not None:
            self.after()

    def _entries(self) -> dict[str, Entry]:
        return {
            "value": buffer(self.value),
            "steps": attribute(self, "steps", integer(0)),
            "slots": listed(
                lambda: self._slots,
                lambda slots: setattr(self, "_slots", slots),
                lambda name, slot: checked_array(name, slot, self.value),
            ),
        }

    def _restored(self) -> None:
        self.gradient[...] = 0.0


#: steps of parameters that wait until all gradients are there
_waiting: list[list[tuple[Parameter, float]]] = []


@contextmanager
def shortened(max_norm: float) -> Iterator[None]:
    """Within the block, parameters do not step; at its end they do, with gradients that are at most so long together."""
    steps: list[tuple[Parameter, float]] = []
    _waiting.append(steps)
    try:
        yield
    finally:
        _waiting.pop()
    length = math.sqrt(sum(float(np.vdot(p.gradient, p.gradient)) for p, _ in steps))
    for p, lr in steps:
        if length > max_norm:
            p.gradient *= np.float32(max_norm / length)
        p._step(lr)
