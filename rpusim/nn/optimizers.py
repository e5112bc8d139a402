"""Digital parameters (biases, scales, tables) and how they are trained; weights in devices are trained by their tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.state import Entry, Stateful, attribute, buffer, checked_array, listed
from rpusim._base.validation import integer, physical, plain_array, real, shown, signal

__all__ = ["Adam", "Momentum", "Optimizer", "Parameter"]

_rate = physical()


class Optimizer(Specification):
    """Base of the rules for digital parameters; `lr` is the rate that tiles get, times `lr_scale`."""

    slots: int = 0  # arrays that a parameter keeps for it

    def step(self, p: Parameter, lr: float) -> None:
        """Change the value of `p` by its gradient."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Momentum(Optimizer):
    """u <- momentum u + g; value <- value - lr lr_scale u. With momentum 0: plain gradient descent.

    Parameters
    ----------
    momentum : float, default 0
    lr_scale : float, default 1
        Rate of digital parameters relative to that of the tiles.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.nn.Momentum(0.9)
    Momentum(momentum=0.9)
    """

    momentum: float = parameter(0.0, real(0.0, 1.0, open_high=True))
    lr_scale: float = parameter(1.0, physical(0.0))
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
    lr_scale : float, default 1
        Rate of digital parameters relative to that of the tiles.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.nn.Adam(lr_scale=0.01)
    Adam(lr_scale=0.01)
    """

    beta1: float = parameter(0.9, real(0.0, 1.0, open_high=True))
    beta2: float = parameter(0.999, real(0.0, 1.0, open_high=True))
    epsilon: float = parameter(1e-8, physical(0.0, open_low=True))
    lr_scale: float = parameter(1.0, physical(0.0))
    slots = 2

    def step(self, p: Parameter, lr: float) -> None:
        m, v = p.slots_of(self)
        g, t = p.gradient, p.steps + 1
        m += np.float32(1.0 - self.beta1) * (g - m)
        v += np.float32(1.0 - self.beta2) * (g * g - v)
        rate = lr * self.lr_scale / (1.0 - self.beta1**t)
        p.value -= np.float32(rate) * m / (np.sqrt(v / np.float32(1.0 - self.beta2**t)) + np.float32(self.epsilon))


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
    """

    def __init__(self, value: ArrayLike) -> None:
        self.value: NDArray[np.float32] = _start("value", value)
        self.gradient = np.zeros_like(self.value)
        self.optimizer: Optimizer | None = None
        self.steps = 0  # since the arrays of the optimizer were zero
        self._slots: list[NDArray[np.float32]] = []

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
        if self.optimizer is None:
            self.value -= np.float32(lr) * self.gradient
        else:
            self.optimizer.step(self, lr)
        self.steps += 1
        self.gradient[...] = 0.0

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
