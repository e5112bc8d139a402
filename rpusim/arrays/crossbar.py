"""Crossbar arrays: devices read in parallel by Ohm's and Kirchhoff's laws and written by coinciding pulses."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim import effects
from rpusim._base import random as _random
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
from rpusim._base.validation import boolean, choice, instance, integer, integer_value, real, signal
from rpusim._core.array import ArrayCore, as_batch, as_batches
from rpusim._core.kernels import KINDS, uniforms
from rpusim._core.lock import Lock, Look
from rpusim.arrays.ageing import ArrayCells
from rpusim.arrays.counts import Programming, PulseCount, ReadCount
from rpusim.arrays.parameters import Parameters, ReadParameters
from rpusim.devices.base import Device, PulsedDevice
from rpusim.devices.cells import UnitCell
from rpusim.devices.ideal import Ideal
from rpusim.effects.drift import Drifting
from rpusim.effects.reset import Reset
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.wires.conductance import ConductanceScale
from rpusim.wires.product import WiredProduct
from rpusim.wires.writes import STEP_PARAMETERS

__all__ = ["CrossbarArray"]

E = TypeVar("E", bound=effects.Effect)
_real = real()


is_zero_shift_method = choice("exact", "pulses", "random_pulses")


_rule = choice("max", "quantile", "std")


_scale = instance(ConductanceScale, "a ConductanceScale or None")


STATE_VERSION = 2


MAX_BL = 65535


MAX_LR = 1e30


ROUNDING = 1e-5  # by which a state may lie beyond bounds that are shifted by a reference


MOST_PULSES = 1 << 22  # of a device in one operation
MOST_PULSES_OF_ROW = 1 << 26  # of its row, at least one for each device; between rows, Ctrl-C is heard


MEASUREMENT = 0x9E3779B97F4A7C15


def check_shape(shape: Any) -> tuple[int, int]:
    """Return `shape` as (rows, columns), both at least 1."""
    try:
        rows, columns = shape
    except (TypeError, ValueError):
        raise TypeError(f"shape must be a pair (outputs, inputs); got {shape!r}") from None
    return integer_value("shape[0]", rows, 1, 2**31 - 1), integer_value("shape[1]", columns, 1, 2**31 - 1)


def update_vectors(x: ArrayLike, d: ArrayLike, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the checked vectors of an update of `shape`: as many in `d` as in `x`."""
    return as_batches(x, d, *shape)


class CrossbarArray(Stateful):
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
            raise TypeError(f"device must be a single device; CellArray, and so SGD, takes unit cells; got {device!r}")
        self.device = instance((Ideal, PulsedDevice), "a device of rpusim.devices")("device", device)
        periphery = instance(Periphery, "a Periphery or None")
        self.forward_periphery = Periphery() if forward is None else periphery("forward", forward)
        self.backward_periphery = (
            self.forward_periphery if backward is None else periphery("backward", backward)
        ).without_bound_management()
        self.pulses = PulseScheme() if pulses is None else instance(PulseScheme, "a PulseScheme or None")("pulses", pulses)
        count_pulses = boolean("count_pulses", count_pulses)
        seeds = _random.seed_sequence(rng)

        self._weights = np.zeros(self.shape, dtype=np.float32)
        self._parameters: dict[str, NDArray[np.float32]] = {}
        #: what pulses change; `_weights` is what is read, which differs by write noise
        self._state = self._weights
        model, granularity, noise = "", 1.0, (0.0, 0.0)
        extra: dict[str, Any] = {}
        if isinstance(device, PulsedDevice):
            extra = {"constants": device.constants}
            if device.write_noise_std > 0.0:
                self._state = np.zeros(self.shape, dtype=np.float32)
                extra |= {"state": self._state, "write_noise": self._write_noise}
            self._parameters = device.draw_parameters(self.shape, _random.generator(_random.child(seeds, 1)))
            model, granularity, noise = device.kernel, device.granularity, device.noise_weights
        self._largest_lr = MAX_LR
        if isinstance(device, PulsedDevice) and not self.pulses.fixed_bl:
            self._largest_lr = min(MAX_LR, MAX_BL * device.granularity)
        self._events = 0  # of effects so far
        #: what use and time do to the devices, in the order in which it happens
        self.effects: tuple[effects.Effect, ...] = ()
        if isinstance(device, PulsedDevice):
            self.effects = effects.of(device, ArrayCells(self))
        #: whether the end of a mini-batch does nothing; asked once per training step
        self._is_timeless = all(effect.at_end_of_batch is None for effect in self.effects)
        count_pulses = count_pulses or any(effect.counts_pulses for effect in self.effects)
        self._device_pulses = np.zeros((2, *self.shape), dtype=np.int64) if count_pulses else None
        self._watchers: list[weakref.WeakMethod[Callable[[], None]]] = []
        self._core = ArrayCore(
            self._weights,
            model,
            granularity,
            *noise,
            _random.key(_random.child(seeds, 0)),
            self._device_pulses,
            **extra,
        )
        for effect in self.effects:
            if effect.fired is not None:
                self._core.set_fired(effect.fired)
        self._share_parameters()
        self._read_parameters = [
            periphery.draw_parameters(self.shape, self.shape[k], _random.generator(_random.child(seeds, 2 + k)))
            for k, periphery in enumerate((self.forward_periphery, self.backward_periphery))
        ]
        #: of both directions: the lines, how weights are conductances, and the products with both
        self._wires: list[Any] = [None, None]
        for k in range(2):
            self._set_direction(k)
        self._core.set_scheme(**self.pulses.core_arguments())
        if self.pulses.wires is not None:
            self.pulses.wires.check(device, self.shape)
            own = weakref.ref(self)  # or the two would hold each other, and memory, until the garbage collector comes
            self._core.write_wires = lambda: own()._wire_pulses()  # type: ignore[union-attr]
        self.program(self._weights)

    def __repr__(self) -> str:
        return f"CrossbarArray({self.shape}, {self.device!r})"

    def _share_parameters(self) -> None:
        """Give the core the parameters that its kernel uses; what is kept here are views of its copy."""
        if isinstance(self.device, PulsedDevice):
            names = self.device.parameter_names
            self._parameters |= zip(names, self._core.set_parameters([self._parameters[name] for name in names]), strict=True)

    def _wire_pulses(self) -> None:
        """Before an update, for which the core keeps it: what pulses do to devices at the voltage that lines leave."""
        assert isinstance(self.device, PulsedDevice) and self.pulses.wires is not None
        factors = self.pulses.wires.factors(self._weights)
        parameters = {name: self._parameters[name] for name in self.device.parameter_names}
        scaled = {name: (value * factors).astype(np.float32) for name, value in parameters.items() if name in STEP_PARAMETERS}
        self._core.set_parameters(list((parameters | scaled).values()), within=True)

    def _set_direction(self, k: int) -> None:
        """Give the core the periphery of forward (0) or backward (1) reads."""
        periphery = (self.forward_periphery, self.backward_periphery)[k]
        self._core.set_direction(k, **periphery.core_arguments(self.shape[1 - k], self._read_parameters[k]))
        wires = (periphery.wires, periphery.conductances)
        other = self._wires[1 - k]
        if self._wires[k] is None or self._wires[k][:2] != wires:
            shared = other is not None and other[:2] == wires
            product = None if wires[0] is None else other[2] if shared else WiredProduct(*wires, self.shape)  # type: ignore
            self._wires[k] = (*wires, product)
            self._core.set_wires(k, product)

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

    def program(self, weights: ArrayLike) -> None:
        """Write `weights` (outputs, inputs) at once, clipped to each device's own bounds, with the devices' write noise (by
        default none)."""
        weights = signal("weights", weights, self.shape)
        with self._core.lock:
            self._write(weights)
        self._tell_watchers()  # who may take the locks of other arrays

    def _write(self, weights: ArrayLike) -> None:
        """As `program`, for who has the lock and tells watchers when it is free again."""
        new = signal("weights", weights, self.shape)
        if isinstance(self.device, PulsedDevice):
            # no -0: pulses of size 0 would leave its sign or not, by how a batch was split
            new = np.clip(new, *self.device.bounds_of(self._parameters)) + np.float32(0.0)
        self._state[...] = new
        if self._state is not self._weights:
            self._weights[...] = new + self._write_noise * ArrayCells(self).normals("write")
            self._events += 1

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

    @property
    def _write_noise(self) -> float:
        """Standard deviation of what is read around the state, in weight units."""
        device = self.device
        return device.write_noise_std * device.dw_min if isinstance(device, PulsedDevice) else 0.0

    def read_conductance(self, scale: ConductanceScale | None = None) -> tuple[NDArray[np.float64], ...]:
        """Return the state of all devices as conductances, in siemens, float64 (outputs, inputs): one or two arrays, by the
        mapping of `scale` (by default `ConductanceScale()`); see there."""
        scale = ConductanceScale() if scale is None else _scale("scale", scale)
        return scale.conductances(self.weights)

    def read_currents(
        self, voltages: ArrayLike, scale: ConductanceScale | None = None, *, transposed: bool = False
    ) -> NDArray[np.float64]:
        """Return the currents for `voltages` by Ohm's and Kirchhoff's laws, without converters, wires or noise.

        Parameters
        ----------
        voltages : array_like of shape (inputs,) or (batch, inputs), in volt
            On the input lines; (outputs,) or (batch, outputs) on the output lines where `transposed`.
        scale : ConductanceScale, optional
            By default `ConductanceScale()`.
        transposed : bool, default False

        Returns
        -------
        float64 array of shape (outputs,) or (batch, outputs), or transposed, in ampere
            Of two conductances the difference of their currents.
        """
        transposed = boolean("transposed", transposed)
        v = as_batch("voltages", voltages, self.shape[1 - transposed]).astype(np.float64)
        g = self.read_conductance(scale)
        total = g[0] if len(g) == 1 else g[0] - g[1]
        return v @ (total if transposed else total.T)

    def calibrate(
        self,
        x: ArrayLike,
        *,
        inputs: str | None = "max",
        outputs: str | None = "max",
        quantile: float = 0.999,
        n_std: float = 4.0,
    ) -> Periphery:
        """Fit the ranges of forward reads to example inputs, and return the new periphery, which the array now has.

        The input range r becomes ``noise_management="constant", nm_threshold=r``; the output range, found from exact
        products of the inputs clipped to +-r, divided by r and rounded by the DACs, becomes `adc.bound`. Bits stay, so the
        steps follow; noise stays in its units. An array that is to load this array's state must be built with the returned
        periphery.

        Parameters
        ----------
        x : array_like of shape (batch, inputs)
            Examples.
        inputs, outputs : {"max", "quantile", "std", None}
            The range is the largest magnitude, a quantile of the magnitudes, `n_std` times their root mean square, or left
            as it is.
        quantile : float, default 0.999
        n_std : float, default 4

        Raises
        ------
        ValueError
            If there are no examples, or a range would be 0.

        Examples
        --------
        >>> import numpy as np, rpusim as rpu
        >>> array = rpu.CrossbarArray((2, 3), rpu.devices.Ideal(), rng=0)
        >>> array.program(np.full((2, 3), 0.5))
        >>> periphery = array.calibrate([[1.0, 2.0, 0.0], [0.0, 4.0, 0.0]])
        >>> periphery.nm_threshold, periphery.adc.bound
        (4.0, 0.5)
        """
        examples = signal("x", x, (None, self.shape[1]))
        if len(examples) == 0:
            raise ValueError(f"x must hold at least one vector; got shape {examples.shape}")
        quantile, n_std = real(0.0, 1.0, open_low=True)("quantile", quantile), real(0.0, open_low=True)("n_std", n_std)

        def limit(name: str, rule: str, values: NDArray[np.float64]) -> float:
            size = np.abs(values)
            found = {
                "max": lambda: np.max(size),
                "quantile": lambda: np.quantile(size, quantile),
                "std": lambda: n_std * np.sqrt(np.mean(size**2)),
            }[_rule(name, rule)]()
            if not 1e-30 <= found <= 1e30:
                raise ValueError(f"x must give a range above 0 for {name}; got {found:g} by the rule {rule!r}")
            return float(found)

        with self._core.lock:
            periphery = self.forward_periphery
            signals = examples.astype(np.float64)
            if inputs is not None:
                r = limit("inputs", inputs, signals)
                dac = periphery.dac if periphery.dac.bound is None else periphery.dac.replace(bound=1.0)
                changes: dict[str, Any] = {"nm_decay": 1e-3}
                if periphery.bound_management == "none":  # which has no resolution but that of "abs_max_np_sum"
                    changes["bm_max_resolution"] = Periphery().bm_max_resolution
                if periphery.bound_management != "iterative_worst_case":
                    changes["nm_assumed_wmax"] = 0.6
                periphery = periphery.replace(dac=dac, noise_management="constant", nm_threshold=r, **changes)
                signals = np.clip(signals / r, -1.0, 1.0)
            elif outputs is not None and periphery.noise_management != "constant":
                raise ValueError(
                    f"inputs must not be None where noise_management={periphery.noise_management!r} scales every vector anew, "
                    "so that outputs have no common range"
                )
            else:
                signals = np.clip(signals / (periphery.nm_threshold or 1.0), -1.0, 1.0)
            if outputs is not None:
                if periphery.dac.step:
                    signals = np.rint(signals / periphery.dac.step) * periphery.dac.step
                bound = limit("outputs", outputs, signals @ self._weights.T.astype(np.float64))
                drawn = self._read_parameters[0]
                if "nonlinearity" in drawn:
                    drawn["nonlinearity"] *= np.float32((periphery.adc.bound or 1.0) / bound)
                periphery = periphery.replace(adc=periphery.adc.replace(bound=bound))
            self.forward_periphery = periphery
            self._set_direction(0)
        return periphery

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
        return self._core.py_read("x", x, out, 0, None)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read z = W^T d through the backward periphery; shapes as in `forward`, with inputs and outputs exchanged."""
        return self._core.py_read("d", d, out, 1, None)

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
        self._core.py_update(x, d, lr)

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
            cells = ArrayCells(self)
            for effect in self.effects:
                effect.end_batch(cells)
        self._tell_watchers()

    def _effect(self, kind: type[E]) -> E | None:
        """Return the effect of a kind that the devices have."""
        return next((effect for effect in self.effects if isinstance(effect, kind)), None)

    #: whether down pulses are pulses of these devices (else of their partners in a one-sided cell)
    _takes_down = True

    def _tell_watchers(self) -> None:
        """Let those who keep copies of parameters or weights renew them."""
        if not self._watchers:
            return
        for watcher in list(self._watchers):
            renew = watcher()
            if renew is not None:
                renew()
            else:  # in place, since other threads add to the list
                with suppress(ValueError):
                    self._watchers.remove(watcher)

    def _watch(self, renew: Callable[[], None]) -> None:
        """Call a bound method after parameters were assigned, or weights written."""
        watcher = weakref.WeakMethod(renew)
        if watcher not in self._watchers:
            self._watchers.append(watcher)

    def _set_peripheries(self, forward: Periphery, backward: Periphery) -> None:
        """Take the peripheries of another array of these devices, as `calibrate` may have left them."""
        for direction, name, periphery in ((0, "forward_periphery", forward), (1, "backward_periphery", backward)):
            if getattr(self, name) != periphery:
                setattr(self, name, periphery)
                self._set_direction(direction)

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
            raise ValueError(f"drift needs a device with a Drift; got {self.device!r}")
        delta_t = real(0.0)("delta_t", delta_t)
        with self._core.lock:
            drifting.pass_time(ArrayCells(self), delta_t)
        self._tell_watchers()

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
            index = np.asarray(columns, dtype=np.intp if np.size(columns) == 0 else None)
            if index.dtype.kind not in "iu" or np.any(index < 0) or np.any(index >= self.shape[1]):
                raise ValueError(f"columns must be integers from 0 to {self.shape[1] - 1}; got {columns!r}")
            chosen[:, index] = True
        self._reset_where(chosen, probability)

    def _reset_where(self, chosen: NDArray[np.bool_], probability: float = 1.0) -> None:
        reset = self._effect(Reset)
        assert reset is not None
        with self._core.lock:
            reset.reset(ArrayCells(self), chosen, probability)
        self._tell_watchers()

    # ---- pulses on devices -------------------------------------------------------------------------------------------

    def pulse(self, counts: ArrayLike) -> None:
        """Give devices pulses directly: `counts` up pulses where positive, down pulses where negative.

        Parameters
        ----------
        counts : int or array_like of int of shape (outputs, inputs)
            More than 2^22 pulses of a device, or 2^26 / inputs if that is less, are given in parts of as many, each an
            operation of its own.
        """
        self._needs_pulses("pulse")
        array = np.asarray(counts)
        if array.dtype.kind not in "iu":
            raise TypeError(f"counts must be integers; got dtype {array.dtype}")
        if array.ndim and array.shape != self.shape:
            raise ValueError(f"counts must be an int or have shape {self.shape}; got shape {array.shape}")
        if array.size and (array.max() > 2**31 - 1 or array.min() < -(2**31) + 1):
            raise ValueError(f"counts must be within +-{2**31 - 1}; got {array.max()} as largest")
        self._pulse(np.broadcast_to(array, self.shape))

    def _pulse(self, counts: NDArray[Any]) -> None:
        """Give pulses to single devices, which disturbs no others."""
        left = np.array(counts, dtype=np.int32, order="C")
        most = min(MOST_PULSES, max(1, MOST_PULSES_OF_ROW // self.shape[1]))
        with self._core.lock, self._addressed():
            while True:
                part = np.clip(left, -most, most)
                self._core.pulse(part)
                left -= part
                if not left.any():
                    break
        self._tell_watchers()

    @contextmanager
    def _addressed(self) -> Iterator[None]:
        """Within it, pulses are given to single devices."""
        cells = ArrayCells(self)
        with ExitStack() as stack:
            for effect in self.effects:
                stack.enter_context(effect.addressed(cells))
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
                raise ValueError(f"n_pulses must be None for method='exact', which uses no pulses; got {n_pulses!r}")
            p = {name: value.astype(np.float64) for name, value in self._parameters.items()}
            return np.array(np.broadcast_to(self.device.symmetry_point_of(p), self.shape))
        with self._core.lock:  # or updates of other threads would be undone with the pulses
            return self._measured(n_pulses, method)

    def _measured(self, n_pulses: int | None, method: str) -> NDArray[np.float64]:
        """Alternate pulses, and leave all as it was."""
        weights, state, counters, key = self.weights, self._state.copy(), self._core.counters, self._core.key
        device_pulses = None if self._device_pulses is None else self._device_pulses.copy()
        self._core.key = key ^ MEASUREMENT  # noise of its own, so that later pulses do not repeat it
        with self._addressed():
            try:
                return self._alternate(n_pulses, method)
            finally:
                self._weights[...] = weights
                self._state[...] = state
                self._core.counters, self._core.key = counters, key
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
                        self._core.key, total.size, line=1, operation=self._core.counters[0], kind=KINDS["reset_choice"]
                    )
                    self._core.pulse(np.where(draws.reshape(self.shape) <= 0.5, np.int32(1), np.int32(-1)))
                    total += self._state
                continue
            for done in range(first, last, chunk):
                self._core.alternate(min(chunk, last - done), total)
        return total / ((n_pulses if method == "random_pulses" else 2 * pairs) - 2 * (pairs // 2))

    @property
    def pulse_count(self) -> PulseCount:
        """Up and down pulses that have fired on the whole array."""
        return PulseCount(*self._core.counters[3:])

    @property
    def update_count(self) -> int:
        """Vectors of updates, and calls of `pulse`, so far."""
        return self._core.counters[0]

    @property
    def forward_count(self) -> ReadCount:
        """What forward reads did so far."""
        return self._read_count(0)

    @property
    def backward_count(self) -> ReadCount:
        """What backward reads did so far."""
        return self._read_count(1)

    def _read_count(self, k: int) -> ReadCount:
        vectors, products, retries, inputs_clipped, outputs_clipped = self._core.read_counts[k]
        periphery = (self.forward_periphery, self.backward_periphery)[k]
        if periphery.is_ideal:
            return ReadCount(vectors, products, 0, 0, 0, 0, 0)
        signs = 1 if periphery.sign_handling == "one_pass" else 2
        tries = products // (signs * periphery.dac.passes)
        per_output = periphery.dac.passes * (2 if periphery.sign_handling == "digital_sum" else 1)
        return ReadCount(
            vectors,
            products,
            retries,
            tries * self.shape[1 - k],
            tries * per_output * self.shape[k],
            inputs_clipped,
            outputs_clipped,
        )

    @property
    def device_pulse_count(self) -> PulseCount:
        """Up and down pulses of each device, int64 (outputs, inputs); needs ``count_pulses=True``."""
        if self._device_pulses is None:
            raise ValueError("device_pulse_count needs an array built with count_pulses=True; got False")
        up, down = self._device_pulses.copy()
        return PulseCount(up, down if self._takes_down else np.zeros_like(down))

    def _needs_pulses(self, what: str) -> None:
        if not isinstance(self.device, PulsedDevice):
            raise ValueError(f"{what} needs a device that takes pulses; got {self.device!r}")

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
            "version": version(STATE_VERSION),
            "specification": same_specification("an array", dict(zip(names, built_from, strict=True))),
            "weights": buffer(self._weights),
            "parameters": tables(self._parameters, self.shape),
            "key": attribute(core, "key", integer(0, 2**64 - 1)),
            "counters": numbers(core, "counters", count, 5),
            "averages": numbers(core, "averages", _real, 2),
            "reads": Entry(
                lambda: [list(counts) for counts in core.read_counts],
                lambda name, reads: checked_list(name, reads, 2, lambda label, row: checked_list(label, row, 5, count)),
                lambda reads: setattr(core, "read_counts", reads),
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
        self._tell_watchers()
