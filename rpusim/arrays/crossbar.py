"""Crossbar arrays: devices read in parallel by Ohm's and Kirchhoff's laws and written by coinciding pulses."""

from __future__ import annotations

import weakref
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim import effects
from rpusim._base import random as _random
from rpusim._base.citing import cite, note
from rpusim._base.random import RNG
from rpusim._base.state import (
    Entry,
    Stateful,
    attribute,
    buffer,
    checked_list,
    numbers,
    same_specification,
    several,
    tables,
    version,
)
from rpusim._base.validation import boolean, instance, integer, integer_value, real, room_for, shown, signal
from rpusim._core.array import ArrayCore
from rpusim._core.buffers import as_batches
from rpusim._core.devices import Devices
from rpusim._core.lock import Lock, Look
from rpusim.arrays.ageing import ArrayDevices
from rpusim.arrays.counts import PulseCount, Written
from rpusim.arrays.measuring import Measuring
from rpusim.arrays.parameters import Parameters, ReadParameters
from rpusim.arrays.programming import Addressing
from rpusim.devices.base import Device, PulsedDevice
from rpusim.devices.cells import UnitCell
from rpusim.devices.drawing import draw_devices
from rpusim.devices.ideal import Ideal
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.wires.writes import STEP_PARAMETERS

__all__ = ["CrossbarArray"]

E = TypeVar("E", bound=effects.Effect)
_real = real()


STATE_VERSION = 3  # 2: other draws of devices, all of which are in a state


MAX_BL = 65535


MAX_LR = 1e30


ROUNDING = 1e-5  # by which a state may lie beyond bounds that are shifted by a reference


def check_shape(shape: Any) -> tuple[int, int]:
    """Return `shape` as (rows, columns), both at least 1."""
    try:
        rows, columns = shape
    except (TypeError, ValueError):
        raise TypeError(f"shape must be a pair (outputs, inputs); got {shown(shape)}") from None
    rows, columns = integer_value("shape[0]", rows, 1, 2**31 - 1), integer_value("shape[1]", columns, 1, 2**31 - 1)
    room_for("shape", (rows, columns), rows * columns)
    return rows, columns


def update_vectors(x: ArrayLike, d: ArrayLike, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the checked vectors of an update of `shape`: as many in `d` as in `x`."""
    return as_batches(x, d, *shape)


class CrossbarArray(Addressing, Measuring, Stateful):
    r"""An array of devices with its periphery.

    W has shape (outputs, inputs): forward reads y = W x, backward z = W^T d, and an update changes W by -lr d x^T in
    expectation, through stochastic pulses and the response of each device.

    Parameters
    ----------
    shape : (int, int)
        (outputs, inputs), i.e. rows and columns.
    device : Device
        What one cross-point is. Its spreads are drawn here.
    forward : Periphery, optional
        How y = W x is read; by default `Periphery()`.
    backward : Periphery, optional
        How z = W^T d is read; by default as `forward`. Backward reads never use bound management.
    pulses : PulseScheme, optional
        How updates become pulses; by default `PulseScheme()`.
    rng : int, SeedSequence, Generator or None
        Seed of the device spreads and of all run-time noise. Equal seeds give equal bits.
    count_pulses : bool, default False
        Count the pulses of each device (16 bytes per device); totals are always counted.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not allowed.

    Notes
    -----
    Memory per device: 4 bytes of state (8 with write noise); 16 bytes for steps and bounds where any of them has a spread, as
    the four are kept side by side; and 8 for the two slopes or exponents of `LinearStep` and `PowStep`, 4 for the reference of
    `SoftBoundsReference` and `PowStepReference`, and 4 each for decay, diffusion and reset, where they have one. A `SoftBounds`
    takes 20 bytes, a `ConstantStep` without spreads 4. Devices with `endurance` or `half_select` always count their pulses (16
    bytes), and keep their first bounds (8) or what they had counted before (16). Reads of 4 vectors or more of several arrays
    as one (`DifferentialPair`, `CellArray`), and reads with noise of devices or voltage drops, take 4 bytes for their sum.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.002, w_max=1.0, w_min=-1.0)
    >>> array = rpu.CrossbarArray((2, 3), device, forward=rpu.Periphery.ideal(), rng=0)
    >>> array.program(np.full((2, 3), 0.1))
    Written(clipped=0, most=0.0)
    >>> array.forward([1.0, 2.0, 3.0])
    array([0.6, 0.6], dtype=float32)
    >>> array.update(np.ones((8, 3)), np.ones((8, 2)), lr=0.01)
    >>> bool(array.weights.mean() < 0.1)
    True
    """

    def __init__(
        self,
        shape: tuple[int, int],
        device: Device,
        *,
        forward: Periphery | None = None,
        backward: Periphery | None = None,
        pulses: PulseScheme | None = None,
        rng: RNG = None,
        count_pulses: bool = False,
    ) -> None:
        self.shape = check_shape(shape)
        if isinstance(device, UnitCell):
            raise TypeError(f"device must be a single device; CellArray, and so SGD, takes unit cells; got {shown(device)}")
        device = self.device = instance((Ideal, PulsedDevice), "a device of rpusim.devices")("device", device)
        periphery = instance(Periphery, "a Periphery or None")
        self.forward_periphery = Periphery() if forward is None else periphery("forward", forward)
        self.backward_periphery = (
            self.forward_periphery if backward is None else periphery("backward", backward)
        ).without_bound_management()
        self.pulses = PulseScheme() if pulses is None else instance(PulseScheme, "a PulseScheme or None")("pulses", pulses)
        note(device, self.pulses, *(one for one in (self.forward_periphery, self.backward_periphery) if not one.is_ideal))
        if self.pulses.power_of_two_scales or self.pulses.shared_random_numbers:
            cite("joshi2020-essop")
        count_pulses = boolean("count_pulses", count_pulses)
        seeds = _random.seed_sequence(rng)

        self._make_devices(seeds, count_pulses)
        self._make_periphery(seeds)
        self.program(self._weights)

    def _make_devices(self, seeds: np.random.SeedSequence, count_pulses: bool) -> None:
        """Draw the devices, and what happens to them in use and time."""
        device = self.device
        self._weights = np.zeros(self.shape, dtype=np.float32)
        self._parameters: dict[str, NDArray[np.float32]] = {}
        #: what pulses change; `_weights` is what is read, which differs by write noise
        self._state = self._weights
        model, granularity, noise = "", 1.0, (0.0, 0.0)
        extra: dict[str, Any] = {}
        self._largest_lr = MAX_LR
        #: what use and time do to the devices, in the order in which it happens
        self.effects: tuple[effects.Effect, ...] = ()
        self._events = 0  # of effects so far
        if isinstance(device, PulsedDevice):
            extra = {"constants": device.constants}
            if device.write_noise_std > 0.0:
                self._state = np.zeros(self.shape, dtype=np.float32)
                extra |= {"state": self._state, "write_noise": device.write_noise_std * device.dw_min}
            self._parameters = draw_devices(device, self.shape, _random.key(_random.child(seeds, 1)))
            model, granularity, noise = device.kernel, device.granularity, device.noise_weights
            if not self.pulses.fixed_bl:
                self._largest_lr = min(MAX_LR, MAX_BL * device.granularity)
            self.effects = effects.of(device, ArrayDevices(self))
        #: whether the end of a mini-batch does nothing; asked once per training step
        self._is_timeless = all(effect.at_end_of_batch is None for effect in self.effects)
        count_pulses = count_pulses or any(effect.counts_pulses for effect in self.effects)
        self._device_pulses = np.zeros((2, *self.shape), dtype=np.int64) if count_pulses else None
        key = _random.key(_random.child(seeds, 0))
        self._core = ArrayCore(Devices(self._weights, model, granularity, *noise, key, self._device_pulses, **extra))
        for effect in self.effects:
            if effect.fired is not None:
                self._core.updater.set_fired(effect.fired)
        self._share_parameters()

    def _make_periphery(self, seeds: np.random.SeedSequence) -> None:
        """Draw what surrounds the devices, and set how it works."""
        self._read_parameters = [
            periphery.draw_parameters(self.shape, self.shape[k], _random.generator(_random.child(seeds, 2 + k)))
            for k, periphery in enumerate((self.forward_periphery, self.backward_periphery))
        ]
        #: of both directions: the lines, how weights are conductances, and the products with both
        self._wires: list[Any] = [None, None]
        for k in range(2):
            self._set_direction(k)
        self._core.updater.set_scheme(**self.pulses.core_arguments())
        if self.pulses.wires is not None:
            self.pulses.wires.check(self.device, self.shape)
            own = weakref.ref(self)  # or the two would hold each other, and memory, until the garbage collector comes
            self._core.updater.write_wires = lambda: own()._wire_pulses()  # type: ignore[union-attr]

    def __repr__(self) -> str:
        return f"CrossbarArray({self.shape}, {self.device!r})"

    def _html_rows(self) -> list[tuple[str, Any]]:
        periphery = [("forward", self.forward_periphery), ("backward", self.backward_periphery)]
        return [("shape", self.shape), ("device", self.device), *periphery, ("pulses", self.pulses)]

    def _share_parameters(self) -> None:
        """Give the core the parameters that its kernel uses; what is kept here are views of its copy."""
        if isinstance(self.device, PulsedDevice):
            self._parameters |= self._core.devices.set_parameters(self._parameters)
            self._core.devices.set_reset(self._parameters["reset_level"], self.device.reset_std)

    def _wire_pulses(self) -> None:
        """Before an update, for which the core keeps it: what pulses do to devices at the voltage that lines leave."""
        assert isinstance(self.device, PulsedDevice) and self.pulses.wires is not None
        factors = self.pulses.wires.factors(self._weights)
        own = self._parameters
        scaled = {name: (own[name] * factors).astype(np.float32) for name in STEP_PARAMETERS if name in own}
        self._core.devices.set_parameters(own | scaled, within=True)

    def _set_direction(self, k: int) -> None:
        """Give the core the periphery of forward (0) or backward (1) reads."""
        periphery = (self.forward_periphery, self.backward_periphery)[k]
        drawn = self._read_parameters[k]
        self._core.reader.set(k, periphery.settings(self.shape[1 - k], drawn), periphery.tables(drawn))
        kind = (periphery.wires, periphery.conductances, periphery.nonlinearity, periphery.read_voltage)
        other = self._wires[1 - k]
        if self._wires[k] is None or self._wires[k][:-1] != kind:
            shared = other is not None and other[:-1] == kind
            product = other[-1] if shared else periphery.product(self.shape)
            self._wires[k] = (*kind, product)
            self._core.reader.set_wires(k, product)

    # ---- state -------------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> NDArray[np.float32]:
        """Copy of the state of all devices, float32 (outputs, inputs), in weight units."""
        with Look(self._core.lock):
            return self._weights.copy()

    @property
    def parameters(self) -> Parameters:
        """The drawn parameters of the devices as named arrays; assign to change them."""
        return Parameters(self)

    @property
    def forward_parameters(self) -> ReadParameters:
        """What was drawn for forward reads (gains of ADCs ...) as named arrays; assign to change it."""
        return ReadParameters(self, 0)

    @property
    def backward_parameters(self) -> ReadParameters:
        """What was drawn for backward reads as named arrays; assign to change it."""
        return ReadParameters(self, 1)

    def program(self, weights: ArrayLike) -> Written:
        """Write `weights` (outputs, inputs) at once, clipped to each device's own bounds, with the devices' write noise (by
        default none); return how many were clipped, and by how much."""
        new = signal("weights", weights, self.shape)
        with self._core.lock:
            self._core.devices.write(new, self._events)
            self._was_written()
            clipped, most = self._core.devices.beyond(new)
        return Written(clipped, most)

    def _was_written(self) -> None:
        """What writing draws from now on is new."""
        self._events += self._state is not self._weights

    # ---- the three operations ----------------------------------------------------------------------------------------

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read y = W x through the forward periphery.

        Parameters
        ----------
        x : array_like of shape (inputs,) or (batch, inputs)
            Finite real numbers.
        out : float32 array of shape (outputs,) or (batch, outputs), optional
            Where to write the result.

        Returns
        -------
        float32 array of shape (outputs,) or (batch, outputs)
        """
        return self._core.reader.forward(x, out)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read z = W^T d through the backward periphery; shapes as in `forward`, with inputs and outputs exchanged."""
        return self._core.reader.backward(d, out)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Change W by -lr d x^T in expectation, by pulses; the vectors of a batch act one after another.

        Parameters
        ----------
        x : array_like of shape (inputs,) or (batch, inputs)
        d : array_like of shape (outputs,) or (batch, outputs)
            Derivative of the loss with respect to y.
        lr : float
            Learning rate; a negative one reverses the direction.

        Raises
        ------
        TypeError, ValueError
            For wrong shapes, dtypes or numbers that are not finite; the array is then unchanged.
        """
        if type(lr) is not float:
            lr = _real("lr", lr)
        if not -self._largest_lr <= lr <= self._largest_lr:
            self._check_rate(lr)
        self._core.updater.py_update(x, d, lr)

    def operations(self) -> tuple[Any, Any, Any, Any]:
        """Return `forward`, `backward`, `update` and `end_batch` (None where it does nothing) for loops that call them often:
        the same, with no Python in between where it can be."""
        reader, kind = self._core.reader, type(self)
        forward = reader.forward if kind.forward is CrossbarArray.forward else self.forward  # of a subclass of a user
        backward = reader.backward if kind.backward is CrossbarArray.backward else self.backward
        timeless = self._is_timeless and kind.end_batch is CrossbarArray.end_batch
        return forward, backward, self.update, None if timeless else self.end_batch

    def _check_rate(self, lr: float) -> None:
        """Raise ValueError where `lr` is beyond float32, or would need longer trains than there may be."""
        if -self._largest_lr <= lr <= self._largest_lr:
            return
        _real("lr", lr)
        if abs(lr) > MAX_LR:
            raise ValueError(f"lr must be at most {MAX_LR:g} in size; got {lr:g}")
        raise ValueError(
            f"lr must be at most {MAX_BL} dw_min ({self._largest_lr:g}) in size where fixed_bl=False, "
            f"so that trains have at most {MAX_BL} slots; got {lr:g}"
        )

    # ---- time --------------------------------------------------------------------------------------------------------

    def end_batch(self) -> None:
        """Let the time of one mini-batch pass: half-selected pulses disturb (`half_select`), bounds close by wear
        (`endurance`), then diffusion w <- w + diffusion_rate xi, then decay w <- reset_level + (w - reset_level) decay_scale,
        each clipped to the bounds. Nothing happens to devices without `half_select`, `endurance`, `diffusion`, `lifetime`."""
        if self._is_timeless:
            return
        with self._core.lock:
            devices = ArrayDevices(self)
            for effect in self.effects:
                effect.end_batch(devices)

    def _effect(self, kind: type[E]) -> E | None:
        """Return the effect of a kind that the devices have."""
        return next((effect for effect in self.effects if isinstance(effect, kind)), None)

    #: whether down pulses are pulses of these devices (else of their partners in a one-sided cell)
    _takes_down = True

    def _set_peripheries(self, forward: Periphery, backward: Periphery) -> None:
        """Take the peripheries of another array of these devices, as `calibrate` may have left them."""
        for direction, name, periphery in ((0, "forward_periphery", forward), (1, "backward_periphery", backward)):
            if getattr(self, name) != periphery:
                setattr(self, name, periphery)
                self._set_direction(direction)

    # ---- pulses on devices -------------------------------------------------------------------------------------------

    @property
    def pulse_count(self) -> PulseCount:
        """Up and down pulses that have fired on the whole array."""
        return PulseCount(*self._core.counters[3:])

    @property
    def update_count(self) -> int:
        """Vectors of updates, and calls of `pulse`, so far."""
        return self._core.counters[0]

    @property
    def device_pulse_count(self) -> PulseCount:
        """Up and down pulses of each device, int64 (outputs, inputs); needs ``count_pulses=True``."""
        if self._device_pulses is None:
            raise ValueError("device_pulse_count needs an array built with count_pulses=True; got False")
        up, down = self._device_pulses.copy()
        return PulseCount(up, down if self._takes_down else np.zeros_like(down))

    def _needs_pulses(self, what: str) -> None:
        if not isinstance(self.device, PulsedDevice):
            raise ValueError(f"{what} needs a device that takes pulses; got {shown(self.device)}")

    # ---- copying and saving ------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        with Look(self._core.lock):  # or another thread may calibrate in between
            options = {
                "forward": self.forward_periphery,
                "backward": self.backward_periphery,
                "pulses": self.pulses,
                "count_pulses": self._device_pulses is not None,
            }
            state = self.state_dict()
        return {"shape": self.shape, "device": self.device, "options": options, "takes_down": self._takes_down, "state": state}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        CrossbarArray.__init__(self, saved["shape"], saved["device"], rng=0, **saved["options"])
        self._takes_down = saved["takes_down"]
        self.load_state_dict(saved["state"])

    def _guard(self) -> Lock:
        return self._core.lock

    def _entries(self) -> dict[str, Entry]:
        """See `Stateful`."""
        core, count = self._core, integer(0, 2**63 - 1)
        names = ("device", "forward", "backward", "pulses")
        built_from = (self.device, self.forward_periphery, self.backward_periphery, self.pulses)
        entries = {
            "version": version(STATE_VERSION, oldest=2),
            "specification": same_specification("an array", dict(zip(names, built_from, strict=True))),
            "weights": buffer(self._weights),
            "parameters": tables(self._parameters, self.shape),
            "key": attribute(core.devices, "key", integer(0, 2**64 - 1)),
            "counters": numbers(core, "counters", count, 5),
            "averages": numbers(core.reader, "averages", _real, 2),
            "reads": Entry(
                lambda: [list(counts) for counts in core.reader.counts],
                lambda name, reads: checked_list(name, reads, 2, lambda label, row: checked_list(label, row, 5, count)),
                lambda reads: setattr(core.reader, "counts", reads),
            ),
            "read_parameters": several([tables(drawn) for drawn in self._read_parameters]),
            "events": attribute(self, "_events", integer(0, 2**55)),
        }
        if self._state is not self._weights:
            entries["state"] = buffer(self._state)
        if self._device_pulses is not None:
            entries["device_pulses"] = buffer(self._device_pulses)
        return entries | {effect.name: effect.entry() for effect in self.effects if effect.has_state}

    def _agree(self, name: str, checked: dict[str, Any]) -> None:
        if isinstance(self.device, PulsedDevice):
            within = "weights" if self._state is self._weights else "state"
            low, high = self.device.bounds_of(checked["parameters"])
            if np.any((checked[within] < low - ROUNDING) | (checked[within] > high + ROUNDING)):
                raise ValueError(
                    f"{name}[{within!r}] must lie within the bounds of the devices, w_min to w_max; got some beyond"
                )

    def _restored(self) -> None:
        with self._core.lock:
            self._share_parameters()
            for k in range(2):
                self._set_direction(k)
