"""Single devices of an array: written in a closed loop, pulsed, reset, left to drift; where they are symmetric."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim import effects
from rpusim._base.validation import choice, integer_value, plain_array, real, shown, signal
from rpusim._core.array import ArrayCore
from rpusim._core.kernels import KINDS, uniforms
from rpusim.arrays.ageing import ArrayDevices
from rpusim.arrays.counts import Programming
from rpusim.devices.base import Device, PulsedDevice
from rpusim.effects.drift import Drifting
from rpusim.effects.reset import Reset

__all__ = ["Addressing"]

E = TypeVar("E", bound=effects.Effect)
is_zero_shift_method = choice("exact", "pulses", "random_pulses")
MOST_PULSES = 1 << 22  # of a device in one operation
MOST_PULSES_OF_ROW = 1 << 26  # of its row, at least one for each device; between rows, Ctrl-C is heard
MEASUREMENT = 0x9E3779B97F4A7C15


class Addressing:
    """What is done to single devices of a `CrossbarArray`, beside reads and updates of whole lines."""

    # what a `CrossbarArray` has
    shape: tuple[int, int]
    device: Device
    effects: tuple[effects.Effect, ...]
    _core: ArrayCore
    _weights: NDArray[np.float32]
    _state: NDArray[np.float32]
    _parameters: dict[str, NDArray[np.float32]]
    _device_pulses: NDArray[np.int64] | None

    if TYPE_CHECKING:

        @property
        def weights(self) -> NDArray[np.float32]: ...
        def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
        def _needs_pulses(self, what: str) -> None: ...
        def _effect(self, kind: type[E]) -> E | None: ...

    def program_verify(
        self, weights: ArrayLike, *, tolerance: float | None = None, max_pulses: int = 1000, gain: float = 0.5
    ) -> Programming:
        """Write `weights` in a closed loop: read, give the devices that are off pulses towards their goal, read again.

        Columns are read one by one through the forward periphery, so its noise and resolution limit what can be told. A
        device that is off by e gets max(1, trunc(gain |e| / granularity)) pulses per round.

        Parameters
        ----------
        weights : array_like (outputs, inputs)
            Goal in weight units; devices get as close as their bounds let them.
        tolerance : float, optional
            Error that is good enough, in weight units; by default the granularity of the device.
        max_pulses : int, default 1000
            Budget of each device.
        gain : float, default 0.5
            Part of the error that a round should remove, in (0, 1].

        Returns
        -------
        Programming
            With `weights` as read, `pulses` per device, `within` the tolerance or not, and the number of `rounds`.

        Examples
        --------
        >>> import numpy as np, rpusim as rpu
        >>> device = rpu.devices.SoftBounds(dw_min=0.01, w_max=2.0, w_min=-2.0)
        >>> array = rpu.CrossbarArray((2, 2), device, forward=rpu.Periphery.ideal(), rng=0)
        >>> done = array.program_verify([[0.1, -0.2], [0.0, 0.3]])
        >>> bool(done.within.all()), bool(abs(array.weights - [[0.1, -0.2], [0.0, 0.3]]).max() <= 0.01)
        (True, True)
        """
        self._needs_pulses("program_verify")
        assert isinstance(self.device, PulsedDevice)
        goal = signal("weights", weights, self.shape)
        step = self.device.granularity
        tolerance = step if tolerance is None else real(0.0, open_low=True)("tolerance", tolerance)
        budget = integer_value("max_pulses", max_pulses, 0, 2**31 - 1)
        gain = real(0.0, 1.0, open_low=True)("gain", gain)
        columns = np.eye(self.shape[1], dtype=np.float32)
        given, rounds = np.zeros(self.shape, dtype=np.int64), 0
        while True:
            read = np.ascontiguousarray(self.forward(columns).T)
            rounds += 1
            error = goal.astype(np.float64) - read
            counts = np.maximum(1.0, np.trunc(gain * np.abs(error) / step))
            counts = np.where(np.abs(error) > tolerance, np.minimum(counts, budget - given), 0.0).astype(np.int32)
            if not counts.any():
                return Programming(read, given, np.abs(error) <= tolerance, rounds)
            self._pulse(np.sign(error).astype(np.int32) * counts)
            given += counts

    def drift(self, delta_t: float) -> None:
        """Let the time `delta_t` pass for devices that have a `Drift`; see there for the law.

        Parameters
        ----------
        delta_t : float
            Time since the last call, in the unit of `Drift.t_0`.

        Raises
        ------
        ValueError
            If the device has no drift, or time would run backwards.
        """
        self._needs_pulses("drift")
        drifting = self._effect(Drifting)
        if drifting is None:
            raise ValueError(f"drift needs a device with a Drift; got {shown(self.device)}")
        delta_t = real(0.0)("delta_t", delta_t)
        with self._core.lock:
            drifting.pass_time(ArrayDevices(self), delta_t)

    def reset(self, columns: ArrayLike | None = None, probability: float = 1.0) -> None:
        """Bring devices to reset_level + reset_std xi, clipped to their bounds.

        Parameters
        ----------
        columns : int or array_like of int, optional
            Columns to reset; by default all.
        probability : float, default 1
            Probability with which each of their devices is reset.
        """
        self._needs_pulses("reset")
        assert isinstance(self.device, PulsedDevice)
        probability = real(0.0, 1.0)("probability", probability)
        chosen = np.zeros(self.shape, dtype=bool)
        if columns is None:
            chosen[:] = True
        else:
            index = plain_array("columns", columns, "integers")
            index = index.astype(np.intp) if index.size == 0 else index
            if index.dtype.kind not in "iu" or np.any(index < 0) or np.any(index >= self.shape[1]):
                raise ValueError(f"columns must be integers from 0 to {self.shape[1] - 1}; got {shown(columns)}")
            chosen[:, index] = True
        self._reset_where(chosen, probability)

    def _reset_where(self, chosen: NDArray[np.bool_], probability: float = 1.0) -> None:
        reset = self._effect(Reset)
        assert reset is not None
        with self._core.lock:
            reset.reset(ArrayDevices(self), chosen, probability)

    def pulse(self, counts: ArrayLike) -> None:
        """Give devices pulses directly: `counts` up pulses where positive, down pulses where negative.

        Parameters
        ----------
        counts : int or array_like of int of shape (outputs, inputs)
            More than 2^22 pulses of a device, or 2^26 / inputs if that is less, are given in parts of as many, each an
            operation of its own.
        """
        self._needs_pulses("pulse")
        array = plain_array("counts", counts, "integers")
        if array.dtype.kind not in "iu":
            raise TypeError(f"counts must be integers; got dtype {array.dtype}")
        if array.ndim and array.shape != self.shape:
            raise ValueError(f"counts must be an int or have shape {self.shape}; got shape {array.shape}")
        if array.size and (array.max() > 2**31 - 1 or array.min() < -(2**31) + 1):
            raise ValueError(f"counts must be within +-{2**31 - 1}; got {array.min()} to {array.max()}")
        self._pulse(np.broadcast_to(array, self.shape))

    def _pulse(self, counts: NDArray[Any]) -> None:
        """Give pulses to single devices, which disturbs no others."""
        left = np.array(counts, dtype=np.int32, order="C")
        most = min(MOST_PULSES, max(1, MOST_PULSES_OF_ROW // self.shape[1]))
        with self._core.lock, self._addressed():
            while True:
                part = np.clip(left, -most, most)
                self._core.devices.pulse(part)
                left -= part
                if not left.any():
                    break

    @contextmanager
    def _addressed(self) -> Iterator[None]:
        """Within it, pulses are given to single devices."""
        devices = ArrayDevices(self)
        with ExitStack() as stack:
            for effect in self.effects:
                stack.enter_context(effect.addressed(devices))
            yield

    def symmetry_point(self, method: str = "exact", n_pulses: int | None = None) -> NDArray[np.float64]:
        """Return the state of each device at which an up and a down pulse cancel.

        Parameters
        ----------
        method : {"exact", "pulses", "random_pulses"}
            "exact": from the parameters; nan for a device that has none. "pulses": as a lab would, by alternating up and
            down pulses and averaging the states of the second half; afterwards everything is as before. "random_pulses":
            likewise, with directions drawn for each device and pulse.
        n_pulses : int, optional
            Number of pulses of the other methods; by default 20 times the number of states. How far that leads:
            `rpusim.theory.zero_shift_law`.

        Returns
        -------
        float64 array (outputs, inputs), in weight units
        """
        self._needs_pulses("symmetry_point")
        assert isinstance(self.device, PulsedDevice)
        if is_zero_shift_method("method", method) == "exact":
            if n_pulses is not None:
                raise ValueError(f"n_pulses must be None for method='exact', which uses no pulses; got {shown(n_pulses)}")
            p = {name: value.astype(np.float64) for name, value in self._parameters.items()}
            return np.array(np.broadcast_to(self.device.symmetry_point_of(p), self.shape))
        with self._core.lock:  # or updates of other threads would be undone with the pulses
            return self._measured(n_pulses, method)

    def _measured(self, n_pulses: int | None, method: str) -> NDArray[np.float64]:
        """Alternate pulses, and leave all as it was."""
        weights, state, counters, key = self.weights, self._state.copy(), self._core.counters, self._core.devices.key
        device_pulses = None if self._device_pulses is None else self._device_pulses.copy()
        self._core.devices.key = key ^ MEASUREMENT  # noise of its own, so that later pulses do not repeat it
        with self._addressed():
            try:
                return self._alternate(n_pulses, method)
            finally:
                self._weights[...] = weights
                self._state[...] = state
                self._core.counters, self._core.devices.key = counters, key
                if device_pulses is not None and self._device_pulses is not None:
                    self._device_pulses[...] = device_pulses

    def _alternate(self, n_pulses: int | None, method: str) -> NDArray[np.float64]:
        """Alternate up and down pulses on all devices, or draw them; return their mean states over the second half."""
        with self._core.lock, self._addressed():
            return self._alternated(n_pulses, method)

    def _alternated(self, n_pulses: int | None, method: str) -> NDArray[np.float64]:
        assert isinstance(self.device, PulsedDevice)
        if n_pulses is None:
            n_pulses = int(min(max(20 * self.device.number_of_states, 2), 2**31 - 2))
        n_pulses = integer_value("n_pulses", n_pulses, 2, 2**31 - 1)
        pairs = (n_pulses + 1) // 2
        total = np.zeros(self.shape)
        chunk = max(1, 500_000 // self._weights.size)  # between chunks, Ctrl-C is heard
        for first, last in ((0, pairs // 2), (pairs // 2, pairs)):
            total[...] = 0.0
            if method == "random_pulses":
                for _ in range(2 * first, min(2 * last, n_pulses)):
                    draws = uniforms(
                        self._core.devices.key, total.size, line=1, operation=self._core.counters[0], kind=KINDS["reset_choice"]
                    )
                    self._core.devices.pulse(np.where(draws.reshape(self.shape) <= 0.5, np.int32(1), np.int32(-1)))
                    total += self._state
                continue
            for done in range(first, last, chunk):
                self._core.devices.alternate(min(chunk, last - done), total)
        return total / ((n_pulses if method == "random_pulses" else 2 * pairs) - 2 * (pairs // 2))
