"""Spiking networks on devices: neurons that leak, kernels of spikes, supervised learning of times, and synapses of PCM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import boolean, instance, integer_value, optional, physical, real_array, room_for, shown
from rpusim.arrays.counts import Written
from rpusim.arrays.crossbar import CrossbarArray, check_shape, update_vectors
from rpusim.devices import Drift, ExpStep, PulsedDevice
from rpusim.periphery.reads import Periphery

__all__ = [
    "LIF",
    "MultiDeviceSynapses",
    "SpikeMatch",
    "normad_events",
    "poisson_spikes",
    "spike_kernel",
    "spike_match",
    "synaptic_pcm",
    "train_spikes",
]

DT = 1e-3  # seconds
LEAST_NORM = 1e-6  # of a trace: below, no weight is to blame
_positive = physical(0.0, open_low=True)
_is_device = optional(instance(PulsedDevice, "a pulsed device of rpusim.devices"))


def poisson_spikes(rates_hz: ArrayLike, duration_s: float, *, dt_s: float = DT, rng: RNG = None) -> NDArray[np.bool_]:
    """Return spikes that come at random, with the probability rate dt in every step, (times, lines).

    Parameters
    ----------
    rates_hz : array_like (lines,)
        At most 1 / dt.
    duration_s : float
    dt_s : float, default 0.001
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> poisson_spikes([10.0, 100.0], 1.0, rng=0).shape
    (1000, 2)
    """
    dt = _positive("dt_s", dt_s)
    rates = real_array("rates_hz", rates_hz, (None,), low=0.0)
    if rates.size and rates.max() * dt > 1.0:
        raise ValueError(f"rates_hz must be at most 1 / dt_s, {1.0 / dt:g}; got {rates.max():g}")
    times = round(_positive("duration_s", duration_s) / dt)
    room_for("duration_s", duration_s, times * len(rates), 16)
    return generator(seed_sequence(rng)).random((times, len(rates))) < rates * dt


def _leak(x: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """y_t = decay y_(t-1) + x_t, along the first axis."""
    from scipy.signal import lfilter

    out: NDArray[np.float64] = lfilter([1.0], [1.0, -decay], x, axis=0)
    return out


def spike_kernel(
    spikes: ArrayLike, tau_s: float = 10e-3, tau_rise_s: float = 2.5e-3, *, dt_s: float = DT
) -> NDArray[np.float64]:
    """Return the traces of spikes, (times, lines): the sum of e^(-t / tau) - e^(-t / tau_rise) over those at or before a time.

    Parameters
    ----------
    spikes : array_like (times, lines)
    tau_s, tau_rise_s : float, default 10 ms and 2.5 ms
        The first is larger. A rise of 0 has no second term.
    dt_s : float, default 0.001

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> import numpy as np
    >>> spike_kernel(np.eye(4)[:, :1], 2e-3, 1e-3).ravel().round(3).tolist()
    [0.0, 0.239, 0.233, 0.173]
    """
    x, dt = real_array("spikes", spikes, (None, None)), _positive("dt_s", dt_s)
    tau, rise = _positive("tau_s", tau_s), physical(0.0)("tau_rise_s", tau_rise_s)
    if rise >= tau:
        raise ValueError(f"tau_rise_s must be below tau_s, {tau:g}; got {rise:g}")
    slow = _leak(x, math.exp(-dt / tau))
    return slow if rise == 0.0 else slow - _leak(x, math.exp(-dt / rise))


@dataclass(frozen=True, repr=False)
class LIF(Specification):
    r"""A neuron that leaks, integrates and fires.

    In every step v <- v e^(-dt / tau) + (1 - e^(-dt / tau)) I, so that a constant current I leads to v = I; where v reaches the
    threshold it fires, v is 0, and stays so for the refractory time.

    Parameters
    ----------
    tau_s : float, default 0.01
    threshold : float, default 1
    refractory_s : float, default 0.003
    dt_s : float, default 0.001

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> neuron = rpu.applications.LIF(refractory_s=0.0)
    >>> spikes = neuron.run(np.full((1000, 1), 2.0))
    >>> int(spikes.sum())  # every 10 ms ln 2
    142
    """

    tau_s: float = parameter(0.01, _positive)
    threshold: float = parameter(1.0, _positive)
    refractory_s: float = parameter(0.003, physical(0.0))
    dt_s: float = parameter(DT, _positive)

    @property
    def decay(self) -> float:
        """What is left of v after a step."""
        return math.exp(-self.dt_s / self.tau_s)

    def run(self, currents: ArrayLike) -> NDArray[np.bool_]:
        """Return the spikes of neurons, (times, neurons), for their currents."""
        i = real_array("currents", currents, (None, None))
        decay, rest = self.decay, round(self.refractory_s / self.dt_s)
        v, left = np.zeros(i.shape[1]), np.zeros(i.shape[1], np.int64)
        out = np.zeros(i.shape, bool)
        gained = (1.0 - decay) * i
        for t in range(len(i)):
            v *= decay
            v += gained[t]
            v[left > 0] = 0.0
            left -= left > 0
            fired = v >= self.threshold
            if fired.any():
                out[t] = fired
                v[fired], left[fired] = 0.0, rest
        return out

    def filtered(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return what v would be without spikes of its own, for currents (times, any)."""
        return _leak((1.0 - self.decay) * real_array("x", x, (None, None)), self.decay)


def normad_events(
    traces: ArrayLike, actual: ArrayLike, desired: ArrayLike, neuron: LIF | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    r"""Return what an array is to be updated with so that its neurons fire when they should (NormAD).

    With c the traces of the inputs, d = (e^(-t / tau) / tau) * c what they add to a membrane per weight, and e the desired less
    the actual spikes: dW = eta sum_t e_t d_t^T / |d_t| over the times of events, which is ``array.update(x, d, lr=eta)`` with
    the x (events, inputs) and d (events, outputs) returned here: d = -e.

    Parameters
    ----------
    traces : array_like (times, inputs)
    actual, desired : array_like of bool (times, outputs)
    neuron : LIF, optional

    Returns
    -------
    ndarray, ndarray

    Notes
    -----
    Anwani and Rajendran (2015); on phase-change memory: Nandakumar et al. (2020). Where \|d\| is below 1e-6 no weight is
    changed.

    Examples
    --------
    >>> import numpy as np
    >>> x, d = normad_events(np.ones((3, 4)), np.zeros((3, 1)), [[False], [True], [False]])
    >>> x.tolist(), d.tolist()
    ([[0.5, 0.5, 0.5, 0.5]], [[-1.0]])
    """
    cell = LIF() if neuron is None else instance(LIF, "an LIF or None")("neuron", neuron)
    c = real_array("traces", traces, (None, None))
    d = cell.filtered(c)
    error = real_array("desired", desired, (len(c), None))
    error = error - real_array("actual", actual, error.shape)
    size = np.linalg.norm(d, axis=1)
    chosen = error.any(axis=1) & (size > LEAST_NORM)
    return (d[chosen] / size[chosen, None]).astype(np.float32), (-error[chosen]).astype(np.float32)


class SpikeMatch(NamedTuple):
    """How well spikes are where they should be.

    Attributes
    ----------
    matched : float
        Share of the desired spikes that have an actual one within the window, each of which counts once.
    ratio : float
        Actual over desired spikes.
    errors_s : float64 array
        Actual less desired time, of those that are matched.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> desired = np.zeros((100, 1), bool)
    >>> desired[[20, 80], 0] = True
    >>> actual = np.roll(desired, 3, axis=0)  # 3 ms late
    >>> match = rpu.applications.spike_match(actual, desired)
    >>> match.matched, match.errors_s.round(3).tolist()
    (1.0, [0.003, 0.003])
    """

    matched: float
    ratio: float
    errors_s: NDArray[np.float64]


def spike_match(actual: ArrayLike, desired: ArrayLike, window_s: float = 25e-3, *, dt_s: float = DT) -> SpikeMatch:
    """Match spikes, (times, neurons), with those desired, one to one and in order, where they are at most `window_s` apart.

    Parameters
    ----------
    actual, desired : array_like of bool (times, lines)
    window_s : float, default 0.025
    dt_s : float, default 0.001

    Returns
    -------
    SpikeMatch

    Examples
    --------
    >>> import numpy as np
    >>> actual, desired = np.zeros((100, 1)), np.zeros((100, 1))
    >>> desired[[10, 20, 90]] = actual[[15, 50]] = 1
    >>> match = spike_match(actual, desired)
    >>> round(match.matched, 3), round(match.ratio, 3), match.errors_s.tolist()
    (0.333, 0.667, [0.005])
    """
    dt, window = _positive("dt_s", dt_s), physical(0.0)("window_s", window_s)
    wanted = real_array("desired", desired, (None, None)) > 0.5
    found = real_array("actual", actual, wanted.shape) > 0.5
    if not wanted.any():
        raise ValueError("desired must hold a spike; got none")
    errors, limit = [], round(window / dt)
    for k in range(wanted.shape[1]):
        have, at = np.flatnonzero(found[:, k]), 0
        for t in np.flatnonzero(wanted[:, k]):
            while at < len(have) and have[at] < t - limit:
                at += 1
            if at < len(have) and have[at] <= t + limit:
                errors.append((have[at] - t) * dt)
                at += 1
    total = int(wanted.sum())
    return SpikeMatch(len(errors) / total, float(found.sum() / total), np.array(errors, np.float64))


def synaptic_pcm(**changes: Any) -> ExpStep:
    """Return a device of phase-change memory for synapses, whose state is its conductance in uS.

    A SET pulse adds 0.9 e^(-g / 6) + (0.25 + 0.06 g) xi uS, between 0 and 15. It drifts with (t / 1 s)^-nu, nu 0.05 with a
    spread of 20 %. There is no gradual RESET: a down pulse is not to be used.

    Parameters
    ----------
    **changes
        Fields of `ExpStep` in place of these.

    Returns
    -------
    ExpStep

    Examples
    --------
    >>> device = synaptic_pcm()
    >>> round(float(device.step_up(0.0)), 2), round(float(device.step_up(6.0)), 2)
    (0.9, 0.33)
    """
    own: dict[str, Any] = {
        "dw_min": 0.001, "dw_min_dtod": 0.0, "dw_min_std": 0.001, "dw_min_std_add": 250.0, "dw_min_std_slope": 60.0,
        "up_down_dtod": 0.0, "w_max": 15.0, "w_max_dtod": 0.0, "w_min": 0.0, "w_min_dtod": 0.0, "A_up": -899.0, "A_down": 0.0,
        "gamma_up": 2.5, "gamma_down": 0.0, "a": -0.5, "b": 0.0, "drift": Drift(nu=0.05, nu_dtod=0.2),
    }  # fmt: skip
    return ExpStep(**own | changes)


class MultiDeviceSynapses:
    r"""Synapses of several devices for either sign, of which one at a time gets pulses, and which all are read.

    w = (sum of the g of the devices of plus - that of minus) / (devices scale). An update asks for dw devices scale / step
    pulses, rounded at random so that the mean is right, at most `most`, and gives them blindly as up pulses to the next device
    of the plus side where dw > 0, else of the minus side; a counter, the same for all synapses, goes round the devices of a
    side. `refresh` takes both sides down where one is nearly full.

    Parameters
    ----------
    shape : (int, int)
        (outputs, inputs).
    device : PulsedDevice, optional
        By default `synaptic_pcm`; only its up pulses are used.
    devices : int, default 1
        Of either side.
    scale : float, default 5
        Of device states per unit of weight.
    most : int, default 5
        Pulses of one update.
    full : float, default 9
        State above which `refresh` writes a synapse anew.
    forward : Periphery, optional
        How y = W x is read, exactly by default.
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    arrays : list of list of CrossbarArray
        Those of plus and of minus.
    gain : float
        Factor on all reads; see `rescale`.

    Notes
    -----
    Boybat et al. (2018), Neuromorphic computing with multi-memristive synapses.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> synapses = rpu.applications.MultiDeviceSynapses((2, 3), devices=4, rng=0)
    >>> for _ in range(30):
    ...     synapses.update(np.ones((1, 3)), -np.ones((1, 2)), lr=0.05)
    >>> bool(0.4 < synapses.weights.mean() < 1.6)
    True
    """

    def __init__(
        self,
        shape: tuple[int, int],
        device: PulsedDevice | None = None,
        devices: int = 1,
        *,
        scale: float = 5.0,
        most: int = 5,
        full: float = 9.0,
        forward: Periphery | None = None,
        rng: RNG = None,
    ) -> None:
        cite("boybat2018")
        self.shape = check_shape(shape)
        self.device = synaptic_pcm() if device is None else _is_device("device", device)
        self.devices, self.most = integer_value("devices", devices, 1, 64), integer_value("most", most, 1, 1 << 20)
        self.scale, self.full = _positive("scale", scale), _positive("full", full)
        seeds = seed_sequence(rng)
        periphery = Periphery.ideal() if forward is None else forward
        self.arrays = [
            [CrossbarArray(self.shape, self.device, forward=periphery, rng=child(seeds, side, k)) for k in range(self.devices)]
            for side in range(2)
        ]
        self._draw = generator(child(seeds, 2))
        self._next = [0, 0]
        self._step = float(self.device.step_up(max(0.0, self.device.w_min)))
        self.gain = 1.0

    def __repr__(self) -> str:
        return f"<MultiDeviceSynapses {self.shape}, {self.devices} devices on either side, {self.device!r}>"

    def _states(self, side: int) -> NDArray[np.float64]:
        total = np.zeros(self.shape)
        for array in self.arrays[side]:
            total += array.weights
        return total

    @property
    def weights(self) -> NDArray[np.float32]:
        """The weights that are read, gain included, (outputs, inputs)."""
        difference = self._states(0) - self._states(1)
        return (self.gain / (self.devices * self.scale) * difference).astype(np.float32)

    def forward(self, x: ArrayLike) -> NDArray[np.float32]:
        """Read y = W x by all devices."""
        out = self.arrays[0][0].forward(x) - self.arrays[1][0].forward(x)
        for plus, minus in zip(self.arrays[0][1:], self.arrays[1][1:], strict=True):
            out += plus.forward(x)
            out -= minus.forward(x)
        out *= np.float32(self.gain / (self.devices * self.scale))
        return out

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Change W by -lr times the sum of d x^T over the batch, in the mean, by pulses on one device of each side."""
        inputs, errors = update_vectors(x, d, self.shape)
        change = -physical()("lr", lr) * (errors.T.astype(np.float64) @ inputs)
        self._pulse(change * self.devices * self.scale)

    def _pulse(self, change: NDArray[np.float64]) -> None:
        """Give pulses for changes of the sum of states."""
        counts = np.minimum(np.floor(np.abs(change) / self._step + self._draw.random(self.shape)), self.most).astype(np.int64)
        for side, chosen in enumerate((change > 0.0, change < 0.0)):
            own = np.where(chosen, counts, 0)
            if own.any():
                self.arrays[side][self._next[side]].pulse(own)
                self._next[side] = (self._next[side] + 1) % self.devices

    def end_batch(self) -> None:
        """Nothing happens: time is what `drift` says."""

    def refresh(self) -> int:
        """Reset synapses of which a device is above `full`, write their difference again by pulses, and return how many."""
        full = np.zeros(self.shape, bool)
        for array in (*self.arrays[0], *self.arrays[1]):
            full |= array.weights > self.full
        if full.any():
            left = np.where(full, self._states(0) - self._states(1), 0.0)
            for array in (*self.arrays[0], *self.arrays[1]):
                array.program(np.where(full, np.float32(0.0), array.weights))
            for _ in range(self.devices):  # an equal part for each device
                for side, sign in enumerate((1.0, -1.0)):
                    part = np.maximum(sign * left, 0.0) / self.devices
                    self._write(self.arrays[side][self._next[side]], part)
                    self._next[side] = (self._next[side] + 1) % self.devices
        return int(full.sum())

    def _write(self, array: CrossbarArray, goal: NDArray[np.float64]) -> None:
        """Bring devices that are at 0 near a goal, as the mean of their pulses says."""
        state, counts = np.zeros(self.shape), np.zeros(self.shape, np.int64)
        low = goal > 0.5 * self._step
        for _ in range(200):
            step = np.asarray(self.device.step_up(state), np.float64)
            low &= state + 0.5 * step < goal
            if not low.any():
                break
            state += np.where(low, step, 0.0)
            counts += low
        if counts.any():
            array.pulse(counts)

    def program(self, weights: ArrayLike) -> Written:
        """Write weights, (outputs, inputs), on one side or the other, exactly but for the bounds of the devices."""
        w = real_array("weights", weights, self.shape)
        written = [
            array.program(np.maximum(sign * w, 0.0) * self.scale)
            for side, sign in zip(self.arrays, (1.0, -1.0), strict=True)
            for array in side
        ]
        return Written.of(written)

    def drift(self, delta_t: float) -> None:
        """Let time pass for all devices, in the unit of their `Drift`."""
        for array in (*self.arrays[0], *self.arrays[1]):
            array.drift(delta_t)

    def rescale(self, reference: ArrayLike, x: ArrayLike) -> float:
        """Set the gain so that the outputs for inputs are as large, in the mean, as they were; return it.

        Parameters
        ----------
        reference : array_like (batch, outputs)
            What `forward` gave for these inputs once.
        x : array_like (batch, inputs)
        """
        now = self.forward(x).astype(np.float64)
        before = real_array("reference", reference, now.shape)
        size = float(np.abs(now).mean())
        if size == 0.0:
            raise ValueError("x must give outputs that are not all 0")
        self.gain *= float(np.abs(before).mean()) / size
        return self.gain


def train_spikes(
    synapses: Any,
    spikes: ArrayLike,
    desired: ArrayLike,
    *,
    neuron: LIF | None = None,
    lr: float = 0.15,
    epochs: int = 100,
    window_s: float = 25e-3,
    refresh_every: int = 10,
    progress: bool = True,
) -> list[SpikeMatch]:
    """Train synapses by NormAD so that neurons fire at desired times for a pattern of spikes; return the match of every epoch.

    Parameters
    ----------
    synapses : array or tile
        With `forward`, `update`, and perhaps `refresh` (`MultiDeviceSynapses`), such as what an algorithm builds.
    spikes : array_like of bool (times, inputs)
    desired : array_like of bool (times, outputs)
    neuron : LIF, optional
    lr : float, default 0.15
    epochs : int, default 100
    window_s : float, default 0.025
    refresh_every : int, default 10
        Epochs between refreshes; 0: none.
    progress : bool, default True

    Returns
    -------
    list of SpikeMatch

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> spikes = rpu.applications.poisson_spikes([20.0] * 30, 0.3, rng=0)
    >>> desired = np.zeros((300, 1), bool)
    >>> desired[[100, 200]] = True
    >>> tile = rpu.algorithms.DigitalSGD().build((1, 30))
    >>> history = rpu.applications.train_spikes(tile, spikes, desired, epochs=60, progress=False)
    >>> history[-1].matched
    1.0
    """
    cite("anwani2015", "nandakumar2020-snn")
    cell = LIF() if neuron is None else instance(LIF, "an LIF or None")("neuron", neuron)
    for name in ("forward", "update"):
        if not callable(getattr(synapses, name, None)):
            raise TypeError(f"synapses must be an array or a tile, with forward and update; got {shown(synapses)}")
    boolean("progress", progress)
    traces = spike_kernel(spikes, dt_s=cell.dt_s)
    wanted = real_array("desired", desired, (len(traces), None)) > 0.5
    every, history = integer_value("refresh_every", refresh_every, 0), []
    with progress_bar(range(integer_value("epochs", epochs, 0)), unit="epoch", disable=None if progress else True) as bar:
        for epoch in bar:
            actual = cell.run(synapses.forward(traces.astype(np.float32)))
            history.append(spike_match(actual, wanted, window_s, dt_s=cell.dt_s))
            bar.set_postfix_str(f"{100 * history[-1].matched:.0f} %")
            x, d = normad_events(traces, actual, wanted, cell)
            if len(x):
                synapses.update(x, d, lr)
            synapses.end_batch()
            if every and (epoch + 1) % every == 0 and callable(getattr(synapses, "refresh", None)):
                synapses.refresh()
    return history
