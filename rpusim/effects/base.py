"""What an effect is, and what it has of the array whose devices it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from rpusim._base.state import Entry, Stateful, part

__all__ = ["Devices", "Effect"]

Draws = dict[str, NDArray[np.float64]]


class Devices(Protocol):
    """The devices of an array, as an effect sees them."""

    device: Any
    shape: tuple[int, int]
    #: what pulses change, float32 (outputs, inputs)
    state: NDArray[np.float32]
    #: drawn parameters by name; whoever replaces some calls `renew`
    parameters: dict[str, NDArray[np.float32]]

    @property
    def pulses(self) -> NDArray[np.int64]:
        """Up and down pulses of each device so far, (2, outputs, inputs)."""

    @property
    def own_pulses(self) -> NDArray[np.int64]:
        """The same without those that are of a partner in a cell."""

    def write(self, state: NDArray[Any]) -> None:
        """Set the state, clipped to the bounds, with the devices' write noise."""

    def reset(self, chosen: NDArray[np.bool_]) -> None:
        """Bring the chosen devices to reset_level + reset_std xi; write the others as they are."""

    def normals(self, kind: str) -> NDArray[np.float32]:
        """Standard normals of this event, (outputs, inputs); every `kind`, a name of one's own, is a stream of its own."""

    def uniforms(self, kind: str) -> NDArray[np.float32]:
        """Uniform numbers in (0, 1] of this event, as `normals`."""

    def renew(self) -> None:
        """Parameters were replaced."""

    def next_event(self) -> None:
        """What is drawn from now on is new."""


class Effect(Stateful):
    """Something that use or time does to the devices of an array: its draws, its state and its law.

    A subclass is an effect; a module of this folder that has one is all that it takes, and a field of a device that says
    whether there is one (`of`). It holds its own state only: the devices are handed to it at every call.
    """

    #: name of its state, and of the effect
    name: ClassVar[str] = ""
    #: its place among the draws of an array, and among what happens at the end of a mini-batch; None: nothing does
    drawn: ClassVar[int] = 100
    at_end_of_batch: ClassVar[int | None] = None
    #: whether it needs the pulses of each device to be counted
    counts_pulses: ClassVar[bool] = False
    #: how often columns, then rows, have fired, where it wants to know
    fired: NDArray[np.int64] | None = None

    @classmethod
    def draw(cls, device: Any, shape: tuple[int, int], rng: np.random.Generator) -> Draws:
        """Return the parameters that it gives to every device, of `shape`, or of (1, 1) where all are equal."""
        return {}

    @classmethod
    def of(cls, device: Any, devices: Devices) -> Effect | None:
        """Return the effect of a new array, or None if its device has none."""
        raise NotImplementedError

    def end_batch(self, devices: Devices) -> None:
        """Let one mini-batch pass."""

    @contextmanager
    def addressed(self, devices: Devices) -> Iterator[None]:
        """Within it, pulses are given to single devices, and not by lines that meet."""
        yield

    def assigned(self, name: str, value: NDArray[np.float32]) -> None:
        """A parameter was assigned by a user."""

    def _entries(self) -> dict[str, Entry]:
        return {}

    def entry(self) -> Entry:
        """Return its state as an entry of that of the array."""
        return part(self)

    @property
    def has_state(self) -> bool:
        """Whether there is anything to save."""
        return bool(self._entries())


def spread(relative: float, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """1 + relative xi for every device, or one 1 for all where there is no spread."""
    if relative == 0.0:
        return np.ones((1, 1))
    return 1.0 + relative * rng.standard_normal(shape)
