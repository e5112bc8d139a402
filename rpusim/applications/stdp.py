"""Plasticity by the times of spikes, with synapses that tire: correlations are learned, and rates are not."""

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
from rpusim._base.validation import boolean, integer_value, optional, physical, real, real_array, room_for, shown
from rpusim.applications.spiking import DT

__all__ = ["FatiguingSTDP", "Learned", "correlated_spikes", "separation"]

_positive = physical(0.0, open_low=True)
_share = real(0.0, 1.0)


def correlated_spikes(
    lines: int, rate_hz: float, correlation: float, duration_s: float, *, dt_s: float = DT, rng: RNG = None
) -> NDArray[np.bool_]:
    """Return spikes of lines that have a rate and a pairwise correlation, (times, lines).

    Each line at each time is a common train of spikes with the probability correlation^(1/2), and one of its own else.

    Parameters
    ----------
    lines : int
    rate_hz : float
        At most 1 / dt.
    correlation : float
        From 0 to 1.
    duration_s : float
    dt_s : float, default 0.001
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> import numpy as np
    >>> spikes = correlated_spikes(2, 50.0, 0.5, 100.0, rng=0)
    >>> bool(abs(np.corrcoef(spikes.T)[0, 1] - 0.5) < 0.03)
    True
    """
    n, dt = integer_value("lines", lines, 1, 1 << 20), _positive("dt_s", dt_s)
    p = real(0.0, 1.0 / dt)("rate_hz", rate_hz) * dt
    times = round(_positive("duration_s", duration_s) / dt)
    room_for("duration_s", duration_s, times * n, 32)
    draw = generator(seed_sequence(rng))
    common = draw.random(times) < p
    shared = draw.random((times, n)) < math.sqrt(_share("correlation", correlation))
    own = draw.random((times, n)) < p
    return np.where(shared, common[:, None], own)


def separation(weights: ArrayLike, chosen: ArrayLike) -> float:
    """Return the probability that a weight of those chosen is above one of the others (the area under the ROC curve).

    Parameters
    ----------
    weights : array_like (inputs,)
    chosen : array_like of bool (inputs,)

    Returns
    -------
    float

    Examples
    --------
    >>> separation([0.1, 0.5, 0.9, 0.7], [False, False, True, True])
    1.0
    """
    w = real_array("weights", weights, (None,))
    own = real_array("chosen", chosen, w.shape) > 0.5
    if own.all() or not own.any():
        raise ValueError(f"chosen must be some of the weights, and not all; got {shown(chosen)}")
    above = np.sign(w[own][:, None] - w[~own])
    return float((0.5 * (above + 1.0)).mean())


class Learned(NamedTuple):
    """What a neuron learned.

    Attributes
    ----------
    weights : float64 array (inputs,)
        From 0 to 1.
    rate_hz : float
        Of the neuron in the second half.
    history : float64 array (moments, inputs)
        Weights at 100 moments.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> apps = rpu.applications
    >>> spikes = np.hstack([apps.correlated_spikes(5, 5.0, 0.4, 2.0, rng=1), apps.poisson_spikes([20.0] * 5, 2.0, rng=2)])
    >>> learned = apps.FatiguingSTDP().run(spikes, rng=0, progress=False)
    >>> learned.weights.shape, learned.history.shape
    ((10,), (100, 10))
    """

    weights: NDArray[np.float64]
    rate_hz: float
    history: NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class FatiguingSTDP(Specification):
    r"""A neuron whose synapses learn from the times of spikes, and tire.

    A spike of an input that comes a time t after its last one counts f = 1 - e^(-t / tau_fatigue): it adds w f to the membrane,
    which leaks with `tau_s`. When the neuron fires, w += a_plus f (1 - w) where the input's last spike was at most `window_s`
    ago, w -= a_minus w elsewhere. The threshold follows theta <- theta (1 + eta (fired - target_hz dt)), so that the neuron
    fires at the target rate. Without fatigue f is 1: inputs of high rates win, whatever their correlations. With it the sum of
    f in a second is r / (1 + r tau_fatigue) at the rate r, at most 1 / tau_fatigue.

    Parameters
    ----------
    tau_fatigue_s : float or None, default 0.2
        None: no fatigue.
    window_s : float, default 0.01
    a_plus, a_minus : float, default 0.02 and 0.01
    tau_s : float, default 0.01
    target_hz : float, default 5
    eta : float, default 0.02
    dt_s : float, default 0.001

    Notes
    -----
    After Moraitis et al. (2017), Fatiguing STDP: learning from spike-timing codes in the presence of rate codes, whose
    equations were not at hand: this law is ours. On devices an up pulse of soft bounds from -1 to 1 moves (1 + state) / 2 by
    `dw_min` (1 - w), a down pulse by `dw_min` w, given with the probabilities f a_plus / dw_min and a_minus / dw_min.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> spikes = rpu.applications.correlated_spikes(10, 20.0, 0.5, 5.0, rng=0)
    >>> rpu.applications.FatiguingSTDP().run(spikes, rng=0, progress=False).weights.shape
    (10,)
    """

    tau_fatigue_s: float | None = parameter(0.2, optional(_positive))
    window_s: float = parameter(0.01, physical(0.0))
    a_plus: float = parameter(0.02, _share)
    a_minus: float = parameter(0.01, _share)
    tau_s: float = parameter(0.01, _positive)
    target_hz: float = parameter(5.0, _positive)
    eta: float = parameter(0.02, _share)
    dt_s: float = parameter(DT, _positive)

    def fatigue(self, t_s: ArrayLike) -> NDArray[np.float64]:
        """Return f of spikes that come so long after the last ones of their inputs."""
        t = np.asarray(t_s, np.float64)
        return np.ones_like(t) if self.tau_fatigue_s is None else -np.expm1(-t / self.tau_fatigue_s)

    def run(self, spikes: ArrayLike, array: Any = None, *, rng: RNG = None, progress: bool = True) -> Learned:
        """Let a neuron learn from spikes.

        Parameters
        ----------
        spikes : array_like of bool (times, inputs)
        array : CrossbarArray of shape (1, inputs), optional
            Devices that hold the weights, w = (1 + state) / 2, and are written by single pulses: `SoftBounds` from -1 to 1.
            None: exact.
        rng : int, SeedSequence, Generator or None
            Of the first weights, uniform from 0.4 to 0.6, and of pulses.
        progress : bool, default True

        Returns
        -------
        Learned
        """
        cite("moraitis2017")
        x = real_array("spikes", spikes, (None, None)) > 0.5
        seeds, n = seed_sequence(rng), x.shape[1]
        draw = generator(child(seeds, 1))
        w: Any = generator(child(seeds, 0)).uniform(0.4, 0.6, n)
        step = self._step_of(array, n)
        if array is not None:
            array.program(2.0 * w[None] - 1.0)
            w = (1.0 + array.weights[0].astype(np.float64)) / 2.0
        decay, dt, reach = math.exp(-self.dt_s / self.tau_s), self.dt_s, self.window_s + 0.5 * self.dt_s
        last, f = np.full(n, -np.inf), np.ones(n)
        v, theta, fired = 0.0, 1.0, 0
        history: list[NDArray[np.float64]] = []
        every = max(1, len(x) // 100)
        hidden = None if boolean("progress", progress) else True
        for t in progress_bar(range(len(x)), unit="step", unit_scale=True, disable=hidden):
            v *= decay
            came = np.flatnonzero(x[t])
            if len(came):
                f[came] = self.fatigue(t * dt - last[came])
                last[came] = t * dt
                v += float(w[came] @ f[came])
            spike = v >= theta
            theta *= 1.0 + self.eta * (spike - self.target_hz * dt)
            if spike:
                v, fired = 0.0, fired + (2 * t >= len(x))
                recent = t * dt - last <= reach
                if array is None:
                    w = np.where(recent, w + self.a_plus * f * (1.0 - w), w - self.a_minus * w)
                else:
                    chance = np.where(recent, self.a_plus * f, self.a_minus) / step
                    pulses = np.where(recent, 1, -1) * (draw.random(n) < chance)
                    array.pulse(pulses[None])
                    w = (1.0 + array.weights[0].astype(np.float64)) / 2.0
            if t % every == 0:
                history.append(w.copy())
        return Learned(w, fired / (0.5 * len(x) * dt), np.array(history))

    def _step_of(self, array: Any, inputs: int) -> float:
        """The change of w at the largest step of an array, which single pulses are drawn against."""
        if array is None:
            return 1.0
        if getattr(array, "shape", None) != (1, inputs) or not callable(getattr(array, "pulse", None)):
            raise ValueError(f"array must be a CrossbarArray of shape (1, {inputs}), or None; got {shown(array)}")
        step = float(array.device.dw_min)
        if step < max(self.a_plus, self.a_minus):
            raise ValueError(
                f"array must have devices with dw_min of at least {max(self.a_plus, self.a_minus):g}, the largest change by "
                f"one pulse; got {step:g}"
            )
        return step
