"""Crossbar arrays: devices read in parallel by Ohm's and Kirchhoff's laws and written by coinciding pulses."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim import _random
from rpusim._core import array as _core
from rpusim._core.array import ArrayCore, as_batch, is_output, overlap
from rpusim._core.kernels import KINDS, normals, uniforms
from rpusim._random import RNG
from rpusim._validation import boolean, choice, instance, integer, integer_value, real, signal
from rpusim.devices.base import Device, PulsedDevice
from rpusim.devices.cells import UnitCell
from rpusim.devices.ideal import Ideal
from rpusim.periphery import Periphery, PulseScheme

__all__ = ["CrossbarArray", "DifferentialPair", "Programming", "PulseCount", "get_num_threads", "set_num_threads"]

_real = real()
_method = choice("exact", "pulses", "random_pulses")
STATE_VERSION = 1
MAX_BL = 65535
MAX_LR = 1e30
ROUNDING = 1e-5  # by which a state may lie beyond bounds that are shifted by a reference
MEASUREMENT = 0x9E3779B97F4A7C15


class PulseCount(NamedTuple):
    """Numbers of up and down pulses that fired."""

    up: Any
    down: Any


class Programming(NamedTuple):
    """What `CrossbarArray.program_verify` did.

    Attributes
    ----------
    weights : float32 array (outputs, inputs)
        The last read.
    pulses : int64 array (outputs, inputs)
        Pulses that each device got.
    within : bool array (outputs, inputs)
        Whether the last read was within the tolerance.
    rounds : int
        Reads of the whole array.
    """

    weights: Any
    pulses: Any
    within: Any
    rounds: int


def get_num_threads() -> int:
    """Return the number of threads that updates may use: at first, as many as OpenMP would."""
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Set the number of threads that updates may use; results do not depend on it. Small updates use one in any case.

    Reads are products by the BLAS library that SciPy brings, which has settings of its own (OPENBLAS_NUM_THREADS).
    """
    _core.set_num_threads(integer_value("n", n, 1, 4096))


def check_shape(shape: Any) -> tuple[int, int]:
    """Return `shape` as (rows, columns), both at least 1."""
    try:
        rows, columns = shape
    except (TypeError, ValueError):
        raise TypeError(f"shape must be a pair (outputs, inputs); got {shape!r}") from None
    return integer_value("shape[0]", rows, 1, 2**31 - 1), integer_value("shape[1]", columns, 1, 2**31 - 1)


def update_vectors(x: ArrayLike, d: ArrayLike, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the checked vectors of an update of `shape`: as many in `d` as in `x`."""
    x = as_batch("x", x, shape[1])
    d = as_batch("d", d, shape[0])
    if x.ndim != d.ndim or len(x) != len(d) and x.ndim > 1:
        raise ValueError(f"d must have as many vectors as x, whose shape is {x.shape}; got shape {d.shape}")
    return x, d


class Parameters(MutableMapping[str, NDArray[np.float32]]):
    """The drawn parameters of an array's devices, by name; reading gives copies, assigning changes the devices.

    An assigned value is a number or an array of the array's shape. Weights outside changed bounds are clipped to them.
    """

    def __init__(self, array: CrossbarArray) -> None:
        self._array = array

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        copy = np.array(np.broadcast_to(self._array._parameters[self._known(name)], self._array.shape))
        copy.flags.writeable = False  # so that `parameters[name][...] = value` says that it would do nothing
        return copy

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        self._known(name)
        stored = np.full((1, 1), value) if np.ndim(value) == 0 else value
        stored = signal(f"parameters[{name!r}]", stored, np.shape(stored) if np.ndim(value) == 0 else self._array.shape)
        if np.shares_memory(stored, np.asarray(value)):
            stored = stored.copy()
        bounds = {side: stored if side == name else self._array._parameters[side] for side in ("w_min", "w_max")}
        if name in bounds and np.any(bounds["w_min"] > bounds["w_max"]):
            raise ValueError(f"parameters[{name!r}] must leave w_min <= w_max for every device; got {value!r}")
        self._array._parameters[name] = stored
        if name in self._array._new_bounds:
            self._array._new_bounds[name] = stored
        self._array._share_parameters()
        if name in ("w_max", "w_min"):
            self._array.program(self._array._state)

    def __delitem__(self, name: str) -> None:
        raise TypeError("parameters of devices can be changed, not deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._array._parameters)

    def __len__(self) -> int:
        return len(self._array._parameters)

    def __repr__(self) -> str:
        return f"Parameters({', '.join(self)})"

    def _known(self, name: str) -> str:
        if name not in self._array._parameters:
            known = ", ".join(self._array._parameters) or "none"
            raise KeyError(f"no parameter {name!r}; {type(self._array.device).__name__} has {known}")
        return name


class CrossbarArray:
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
    Memory per device: 4 bytes of state (8 with write noise), plus 4 bytes for each of its parameters that has a spread
    (`ConstantStep`, `SoftBounds`, `ExpStep` and `PiecewiseStep` have 4, `SoftBoundsReference` 5, `LinearStep` and `PowStep`
    6, `PowStepReference` 7; decay, diffusion and reset one each): a `SoftBounds` takes 20 bytes.

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
        if isinstance(device, PulsedDevice) and device.endurance > 0.0:
            count_pulses = True
        seeds = _random.seed_sequence(rng)

        self._weights = np.zeros(self.shape, dtype=np.float32)
        self._device_pulses = np.zeros((2, *self.shape), dtype=np.int64) if count_pulses else None
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
        self._events = 0  # decays, diffusions and resets so far
        self._core = ArrayCore(
            self._weights,
            model,
            granularity,
            *noise,
            _random.key(_random.child(seeds, 0)),
            self._device_pulses,
            **extra,
        )
        #: what wears out, as it was when new
        self._new_bounds: dict[str, NDArray[np.float32]] = {
            name: self._parameters[name] for name in ("w_max", "w_min") if name in self._parameters
        }
        drift = device.drift if isinstance(device, PulsedDevice) else None
        #: time so far; when each device last changed, its state then, and its state after the last call of `drift`
        self._drift_time = 0.0
        self._drift = None if drift is None else {k: np.zeros(self.shape) for k in ("since", "start", "last")}
        self._share_parameters()
        self._core.set_direction(0, **self.forward_periphery.core_arguments())
        self._core.set_direction(1, **self.backward_periphery.core_arguments())
        self._core.set_scheme(**self.pulses.core_arguments())
        self.program(self._weights)

    def __repr__(self) -> str:
        return f"CrossbarArray({self.shape}, {self.device!r})"

    def _share_parameters(self) -> None:
        """Give the core the parameters that its kernel uses."""
        if isinstance(self.device, PulsedDevice):
            for k, name in enumerate(self.device.parameter_names):
                self._core.set_parameter(k, self._parameters[name])

    # ---- state -------------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> NDArray[np.float32]:
        """Copy of the state of all devices, float32 (outputs, inputs), in weight units."""
        return self._weights.copy()

    @property
    def parameters(self) -> Parameters:
        """The drawn parameters of the devices as named arrays; assign to change them."""
        return Parameters(self)

    def program(self, weights: ArrayLike) -> None:
        """Write `weights` (outputs, inputs) at once, clipped to each device's own bounds, with the devices' write noise (by
        default none)."""
        new = signal("weights", weights, self.shape)
        if isinstance(self.device, PulsedDevice):
            new = np.clip(new, *self.device.bounds_of(self._parameters))
        self._state[...] = new
        if self._state is not self._weights:
            self._weights[...] = new + self._write_noise * self._event_normals(KINDS["write"])
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
            self._core.pulse(np.ascontiguousarray(np.sign(error).astype(np.int32) * counts))
            given += counts

    @property
    def _write_noise(self) -> float:
        """Standard deviation of what is read around the state, in weight units."""
        device = self.device
        return device.write_noise_std * device.dw_min if isinstance(device, PulsedDevice) else 0.0

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
        return self._read("x", x, out, 0, None)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read z = W^T d through the backward periphery; shapes as in `forward`, with inputs and outputs exchanged."""
        return self._read("d", d, out, 1, None)

    def _read(
        self, name: str, x: ArrayLike, out: NDArray[np.float32] | None, transposed: int, reference: ArrayCore | None
    ) -> NDArray[np.float32]:
        batch = as_batch(name, x, self.shape[1 - transposed])
        n = self.shape[transposed]
        if out is None:
            out = np.empty((*batch.shape[:-1], n), dtype=np.float32)
        elif not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a float32 array; got {type(out).__name__}")
        elif not is_output(out, batch, n):
            raise ValueError(
                f"out must be a writeable C-contiguous float32 array of shape {(*batch.shape[:-1], n)}; "
                f"got dtype {out.dtype}, shape {out.shape}"
            )
        elif overlap(out, batch):
            batch = batch.copy()
        self._core.py_read(batch, out, transposed, reference)
        return out

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
        x, d = update_vectors(x, d, self.shape)
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
        """Let the time of one mini-batch pass: bounds close by wear (`endurance`), then diffusion
        w <- w + diffusion_rate xi, then decay w <- reset_level + (w - reset_level) decay_scale, each clipped to the bounds.
        Nothing happens to devices without `endurance`, `diffusion` and `lifetime`."""
        device = self.device
        if not isinstance(device, PulsedDevice):
            return
        if device.endurance > 0.0:
            self._wear(device)
        if device.diffusion == 0.0 and device.lifetime == 0.0:
            return
        p = self._parameters
        if device.diffusion > 0.0:
            self.program(self._state + p["diffusion_rate"] * self._event_normals(KINDS["diffusion"]))
        if device.lifetime > 0.0:
            self.program(p["reset_level"] + (self._state - p["reset_level"]) * p["decay_scale"])
        self._events += 1

    def _wear(self, device: PulsedDevice) -> None:
        assert self._device_pulses is not None
        high, low = (self._new_bounds[name].astype(np.float64) for name in ("w_max", "w_min"))
        remaining = np.exp(-self._device_pulses.sum(axis=0) / device.endurance)
        middle, half = (high + low) / 2, (high - low) / 2 * remaining
        for name, bound in (("w_max", middle + half), ("w_min", middle - half)):
            self._parameters[name] = bound.astype(np.float32)
        self._share_parameters()
        inside = np.clip(self._state, *device.bounds_of(self._parameters))
        if np.any(inside != self._state):
            self.program(inside)

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
        law = self.device.drift if isinstance(self.device, PulsedDevice) else None
        if law is None or self._drift is None:
            raise ValueError(f"drift needs a device with a Drift; got {self.device!r}")
        delta_t = real(0.0)("delta_t", delta_t)
        past, w = self._drift, self._state.astype(np.float64)
        self._drift_time += delta_t / law.t_0
        changed = np.abs(w - past["last"]) > law.reset_tol
        past["since"][changed] = self._drift_time
        past["start"][changed] = w[changed]
        nu = np.broadcast_to(self._parameters["drift_nu"], self.shape).astype(np.float64)
        if law.nu_std > 0.0:
            nu = nu * (1.0 + law.nu_std * self._event_normals(KINDS["drift_nu"]))
        if law.nu_k != 0.0:
            g = (past["start"] - law.w_offset) / law.wg_ratio + law.g_offset
            nu = nu - np.where(g > 0.0, law.nu_k * (np.log(np.where(g > 0.0, g, 1.0)) - law.log_g0), 0.0)
        f = np.maximum(self._drift_time - past["since"], 1.0) ** -nu
        a = law.g_offset * law.wg_ratio + law.w_offset
        drifted = past["start"] * f + a * (f - 1.0)
        w = np.where(changed, w, drifted)
        if law.w_noise_std > 0.0:
            w = w + law.w_noise_std * self._event_normals(KINDS["drift_noise"])
        self._events += 1
        self.program(w)
        past["last"][...] = self._state

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
            index = np.asarray(columns)
            if index.dtype.kind not in "iu" or np.any(index < 0) or np.any(index >= self.shape[1]):
                raise ValueError(f"columns must be integers from 0 to {self.shape[1] - 1}; got {columns!r}")
            chosen[:, index] = True
        if probability < 1.0:
            draws = uniforms(self._core.key, self._weights.size, operation=self._events, kind=KINDS["reset_choice"])
            chosen &= draws.reshape(self.shape) <= probability
        self._reset_where(chosen)

    def _reset_where(self, chosen: NDArray[np.bool_]) -> None:
        assert isinstance(self.device, PulsedDevice)
        level = self._parameters["reset_level"] + self.device.reset_std * self._event_normals(KINDS["reset"])
        self.program(np.where(chosen, level, self._state))
        self._events += 1

    def _event_normals(self, kind: int) -> NDArray[np.float32]:
        return normals(self._core.key, self._weights.size, operation=self._events, kind=kind).reshape(self.shape)

    # ---- pulses on devices -------------------------------------------------------------------------------------------

    def pulse(self, counts: ArrayLike) -> None:
        """Give devices pulses directly: `counts` up pulses where positive, down pulses where negative.

        Parameters
        ----------
        counts : int or array_like of int of shape (outputs, inputs)
        """
        self._needs_pulses("pulse")
        array = np.asarray(counts)
        if array.dtype.kind not in "iu":
            raise TypeError(f"counts must be integers; got dtype {array.dtype}")
        if array.ndim and array.shape != self.shape:
            raise ValueError(f"counts must be an int or have shape {self.shape}; got shape {array.shape}")
        if array.size and (array.max() > 2**31 - 1 or array.min() < -(2**31) + 1):
            raise ValueError(f"counts must be within +-{2**31 - 1}; got {array.max()} as largest")
        self._core.pulse(np.ascontiguousarray(np.broadcast_to(array, self.shape), dtype=np.int32))

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
            `rpusim.dynamics.zero_shift_law`.

        Returns
        -------
        float64 array (outputs, inputs), in weight units
        """
        self._needs_pulses("symmetry_point")
        assert isinstance(self.device, PulsedDevice)
        if _method("method", method) == "exact":
            if n_pulses is not None:
                raise ValueError(f"n_pulses must be None for method='exact', which uses no pulses; got {n_pulses!r}")
            p = {name: value.astype(np.float64) for name, value in self._parameters.items()}
            return np.array(np.broadcast_to(self.device.symmetry_point_of(p), self.shape))
        weights, state, counters, key = self.weights, self._state.copy(), self._core.counters, self._core.key
        device_pulses = None if self._device_pulses is None else self._device_pulses.copy()
        self._core.key = key ^ MEASUREMENT  # noise of its own, so that later pulses do not repeat it
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
        assert isinstance(self.device, PulsedDevice)
        if n_pulses is None:
            n_pulses = int(min(max(20 * self.device.number_of_states, 2), 2**31 - 2))
        pairs = (integer_value("n_pulses", n_pulses, 2, 2**31 - 1) + 1) // 2
        total = np.zeros(self.shape)
        chunk = max(1, 500_000 // self._weights.size)  # between chunks, Ctrl-C is heard
        for first, last in ((0, pairs // 2), (pairs // 2, pairs)):
            total[...] = 0.0
            if method == "random_pulses":
                for _ in range(2 * (last - first)):
                    draws = uniforms(
                        self._core.key, total.size, line=1, operation=self._core.counters[0], kind=KINDS["reset_choice"]
                    )
                    self._core.pulse(np.where(draws.reshape(self.shape) <= 0.5, np.int32(1), np.int32(-1)))
                    total += self._state
                continue
            for done in range(first, last, chunk):
                self._core.alternate(min(chunk, last - done), total)
        return total / (2 * (pairs - pairs // 2))

    @property
    def pulse_count(self) -> PulseCount:
        """Up and down pulses that have fired on the whole array."""
        return PulseCount(*self._core.counters[3:])

    @property
    def device_pulse_count(self) -> PulseCount:
        """Up and down pulses of each device, int64 (outputs, inputs); needs ``count_pulses=True``."""
        if self._device_pulses is None:
            raise ValueError("device_pulse_count needs an array built with count_pulses=True; got False")
        return PulseCount(*self._device_pulses.copy())

    def _needs_pulses(self, what: str) -> None:
        if not isinstance(self.device, PulsedDevice):
            raise ValueError(f"{what} needs a device that takes pulses; got {self.device!r}")

    # ---- copying and saving ------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        options = {
            "forward": self.forward_periphery,
            "backward": self.backward_periphery,
            "pulses": self.pulses,
            "count_pulses": self._device_pulses is not None,
        }
        return {"shape": self.shape, "device": self.device, "options": options, "state": self.state_dict()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        CrossbarArray.__init__(self, saved["shape"], saved["device"], rng=0, **saved["options"])
        self.load_state_dict(saved["state"])

    def _specification(self) -> str:
        parts = (self.device, self.forward_periphery, self.backward_periphery, self.pulses)
        return json.dumps([part.to_dict() for part in parts])

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later results depend on, as a nested dict of arrays and plain values."""
        state: dict[str, Any] = {
            "version": STATE_VERSION,
            "specification": self._specification(),
            "weights": self.weights,
            "parameters": {name: value.copy() for name, value in self._parameters.items()},
            "key": self._core.key,
            "counters": list(self._core.counters),
            "averages": list(self._core.averages),
            "events": self._events,
        }
        if self._state is not self._weights:
            state["state"] = self._state.copy()
        if isinstance(self.device, PulsedDevice) and self.device.endurance > 0.0:
            state["new_bounds"] = {name: value.copy() for name, value in self._new_bounds.items()}
        if self._drift is not None:
            state["drift"] = {"time": self._drift_time, **{name: value.copy() for name, value in self._drift.items()}}
        if self._device_pulses is not None:
            state["device_pulses"] = self._device_pulses.copy()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; the array then continues to the same bits.

        Raises
        ------
        TypeError, ValueError
            If the state is of another specification, shape or version, or damaged. The array is then unchanged.
        """
        self._restore(self._checked_state(state, "state"))

    def _checked_state(self, state: Any, name: str) -> dict[str, Any]:
        """Return the state with every entry checked and converted; nothing is changed here."""
        entries = check_entries(name, state, self.state_dict())
        if entries["version"] != STATE_VERSION:
            raise ValueError(f"{name}['version'] must be {STATE_VERSION}; got {entries['version']!r}")
        if entries["specification"] != self._specification():
            raise ValueError(
                f"{name} must be of an array with the same specification, {self._specification()}; "
                f"got {entries['specification']!r}"
            )
        checked: dict[str, Any] = {
            "weights": signal(f"{name}['weights']", entries["weights"], self.shape).copy(),
            "parameters": {},
        }
        check_entries(f"{name}['parameters']", entries["parameters"], self._parameters)
        for parameter, value in entries["parameters"].items():
            label = f"{name}['parameters'][{parameter!r}]"
            shape = (1, 1) if np.shape(value) == (1, 1) else self.shape
            checked["parameters"][parameter] = signal(label, value, shape).copy()
        within = "weights"
        if self._state is not self._weights:
            within = "state"
            checked["state"] = signal(f"{name}['state']", entries["state"], self.shape).copy()
        if isinstance(self.device, PulsedDevice):
            low, high = self.device.bounds_of(checked["parameters"])
            if np.any((checked[within] < low - ROUNDING) | (checked[within] > high + ROUNDING)):
                raise ValueError(
                    f"{name}[{within!r}] must lie within the bounds of the devices, w_min to w_max; got some beyond"
                )
        if "new_bounds" in entries:
            check_entries(f"{name}['new_bounds']", entries["new_bounds"], self._new_bounds)
            checked["new_bounds"] = {
                bound: signal(f"{name}['new_bounds'][{bound!r}]", value, np.shape(value) if np.size(value) == 1 else self.shape)
                for bound, value in entries["new_bounds"].items()
            }
        if self._drift is not None:
            check_entries(f"{name}['drift']", entries["drift"], {"time": None, **self._drift})
            checked["drift_time"] = real(0.0)(f"{name}['drift']['time']", entries["drift"]["time"])
            checked["drift"] = {k: _doubles(f"{name}['drift'][{k!r}]", entries["drift"][k], self.shape) for k in self._drift}
        checked["key"] = integer_value(f"{name}['key']", entries["key"], 0, 2**64 - 1)
        checked["events"] = integer_value(f"{name}['events']", entries["events"], 0, 2**55)
        for entry, length, check in (("counters", 5, integer(0, 2**63 - 1)), ("averages", 2, _real)):
            values = entries[entry]
            if not isinstance(values, (list, tuple)) or len(values) != length:
                raise ValueError(f"{name}[{entry!r}] must be a list of {length} numbers; got {values!r}")
            checked[entry] = tuple(check(f"{name}[{entry!r}][{k}]", value) for k, value in enumerate(values))
        if self._device_pulses is not None:
            pulses = np.asarray(entries["device_pulses"])
            if pulses.dtype.kind not in "iu" or pulses.shape != self._device_pulses.shape:
                raise ValueError(
                    f"{name}['device_pulses'] must be integers of shape {self._device_pulses.shape}; got dtype "
                    f"{pulses.dtype}, shape {pulses.shape}"
                )
            checked["device_pulses"] = pulses
        return checked

    def _restore(self, checked: dict[str, Any]) -> None:
        self._parameters.update(checked["parameters"])
        self._new_bounds.update(checked.get("new_bounds", {}))
        if self._drift is not None:
            self._drift_time = checked["drift_time"]
            self._drift.update(checked["drift"])
        self._share_parameters()
        self._events = checked["events"]
        self._weights[...] = checked["weights"]
        if self._state is not self._weights:
            self._state[...] = checked["state"]
        self._core.key = checked["key"]
        self._core.counters = checked["counters"]
        self._core.averages = checked["averages"]
        if self._device_pulses is not None:
            self._device_pulses[...] = checked["device_pulses"]


def _doubles(name: str, value: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a copy of `value` if it is a finite float64 array of `shape`."""
    array = np.array(value)
    if array.dtype != np.float64 or array.shape != shape or not np.all(np.isfinite(array)):
        raise ValueError(
            f"{name} must be finite float64 numbers of shape {shape}; got dtype {array.dtype}, shape {array.shape}"
        )
    return array


def check_entries(name: str, state: Any, expected: dict[str, Any]) -> dict[str, Any]:
    """Return `state` if it is a dict with the entries of `expected`."""
    if not isinstance(state, dict):
        raise TypeError(f"{name} must be a dict made by state_dict(); got {type(state).__name__}")
    if sorted(map(str, state)) != sorted(expected):
        raise ValueError(f"{name} must have the entries {sorted(expected)}; got {sorted(map(str, state))}")
    return state


class DifferentialPair:
    """A main array and a static reference array on the same lines: the weight is their difference.

    Reads subtract the two currents before the converters of `main`. Pulses go to `main` only. Several pairs may share one
    reference array.

    Parameters
    ----------
    main : CrossbarArray
        The array that is updated; its periphery reads the pair.
    reference : CrossbarArray
        Array of the same shape that is only programmed.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.01, up_down=0.3, w_max=1.0, w_min=-1.0)
    >>> main, reference = (rpu.CrossbarArray((2, 2), device, rng=seed) for seed in (0, 1))
    >>> pair = rpu.DifferentialPair(main, reference)
    >>> pair.zero_shift()
    >>> bool(abs(main.weights - main.symmetry_point()).max() < 1e-6), float(abs(pair.weights).max())
    (True, 0.0)
    """

    def __init__(self, main: CrossbarArray, reference: CrossbarArray) -> None:
        array = instance(CrossbarArray, "a CrossbarArray")
        self.main: CrossbarArray = array("main", main)
        self.reference: CrossbarArray = array("reference", reference)
        if main.shape != reference.shape:
            raise ValueError(f"reference must have the shape of main, {main.shape}; got {reference.shape}")
        if main is reference:
            raise ValueError("reference must be another array than main; got the same one")
        self.shape = main.shape

    def __repr__(self) -> str:
        return f"DifferentialPair({self.main!r}, {self.reference!r})"

    @property
    def weights(self) -> NDArray[np.float32]:
        """main.weights - reference.weights, float32 (outputs, inputs)."""
        return self.main._weights - self.reference._weights

    def program(self, weights: ArrayLike) -> None:
        """Write the main array so that the difference becomes `weights`, clipped to the bounds of its devices."""
        self.main.program(signal("weights", weights, self.shape) + self.reference._weights)

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read (W_main - W_reference) x through the forward periphery of `main`; see `CrossbarArray.forward`."""
        return self.main._read("x", x, out, 0, self.reference._core)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read (W_main - W_reference)^T d through the backward periphery of `main`; see `CrossbarArray.backward`."""
        return self.main._read("d", d, out, 1, self.reference._core)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Update the main array; see `CrossbarArray.update`."""
        self.main.update(x, d, lr)

    def zero_shift(self, method: str = "exact", n_pulses: int | None = None) -> None:
        """Bring the main array to its symmetry point and copy it to the reference, so that weight 0 is symmetric.

        Parameters
        ----------
        method : {"exact", "pulses", "random_pulses"}
            "exact": from the parameters of the devices; one without a symmetry point keeps its present state. "pulses":
            by alternating up and down pulses on the main array, as in Methods M1 of Onen et al. (2022). "random_pulses":
            with directions drawn for each device and pulse, as in Algorithm 1 of Xiao et al. (2026). The reference becomes
            the last state.
        n_pulses : int, optional
            Number of pulses of the other methods; by default 20 times the number of states.
        """
        if _method("method", method) == "exact":
            point = self.main.symmetry_point("exact")
            if n_pulses is not None:
                raise ValueError(f"n_pulses must be None for method='exact', which uses no pulses; got {n_pulses!r}")
            self.main.program(np.where(np.isnan(point), self.main._weights, point))
        else:
            self.main._needs_pulses("zero_shift")
            self.main._alternate(n_pulses, method)
        self.reference.program(self.main._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both arrays."""
        return {"main": self.main.state_dict(), "reference": self.reference.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; on an error nothing is changed."""
        self._restore(self._checked_state(state, "state"))

    def _checked_state(self, state: Any, name: str) -> dict[str, Any]:
        check_entries(name, state, {"main": None, "reference": None})
        return {
            "main": self.main._checked_state(state["main"], f"{name}['main']"),
            "reference": self.reference._checked_state(state["reference"], f"{name}['reference']"),
        }

    def _restore(self, checked: dict[str, Any]) -> None:
        self.main._restore(checked["main"])
        self.reference._restore(checked["reference"])
