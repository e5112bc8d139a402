"""A matrix of weights that was written to devices, at any time after it."""

from __future__ import annotations

import struct
import warnings
import zlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.citing import note
from rpusim._base.notebook import as_html
from rpusim._base.random import RNG
from rpusim._base.specification import Specification
from rpusim._base.state import Entry, Stateful, attribute, same_specification, seeds, version
from rpusim._base.validation import boolean, instance, integer, plain_array, real_array, signal
from rpusim._core.kernels import normals, uniforms
from rpusim.arrays.counts import ReadCount
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.devices.ideal import Ideal
from rpusim.inference.chip import Chip
from rpusim.inference.converters import Scaling
from rpusim.inference.models import PowerLawDrift, check_age
from rpusim.inference.noise import correlated_factors
from rpusim.inference.products import DeviceProduct
from rpusim.periphery.reads import Periphery

__all__ = ["ProgrammedArray"]

# Children of the seed of an array, by what is drawn with them.
_PERIPHERY, _FAULTS, _EVENT, _READ, _PROBE, _SIGNS = range(6)
LEAST_OUTPUT = 1e-4  # mean output of the reference below which the ratio estimates nothing
_STATE_VERSION = 1
_is_chip = instance(Chip, "a Chip")


class ProgrammedArray(Stateful):
    """One array of a chip that holds a matrix: a programming event, and what time makes of it.

    What was drawn when it was written stays: conductances and weights are functions of the time, the same bits for the same
    time, in any order. `reprogram` writes the same matrix once more, with draws of its own.

    Parameters
    ----------
    weights : array_like (outputs, inputs)
    chip : Chip
    rng : int, SeedSequence, Generator or None
        Seed of everything that is drawn.
    held : array_like (devices, outputs, inputs), optional
        Conductances in siemens that the devices hold already, as written in a closed loop or trained there: taken in place of
        what the model's programming would make of the goals.

    Attributes
    ----------
    chip : Chip
    shape : (int, int)
    event : int
        How often it was programmed anew.

    Raises
    ------
    TypeError, ValueError
        If the weights are no finite matrix, or another argument is not as above.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> written = rpu.inference.ProgrammedArray(np.eye(4), rpu.inference.Chip(), rng=0)
    >>> day, year = written.weights(86400.0), written.weights(3.15e7)
    >>> bool((written.weights(86400.0) == day).all()), bool(year.trace() < day.trace() < 4)
    (True, True)
    >>> written.forward(np.ones(4, np.float32), t_inference_s=86400.0).shape
    (4,)
    """

    def __init__(self, weights: ArrayLike, chip: Chip | None = None, rng: RNG = None, *, held: ArrayLike | None = None) -> None:
        self.chip = Chip() if chip is None else _is_chip("chip", chip)
        note(self.chip.model, self.chip.converter, self.chip.compensation, self.chip.post)
        self._goal = np.array(signal("weights", weights, (None, None)))
        self._targets: NDArray[np.float32]
        self._scaling: Scaling
        self._targets, self._scaling = self.chip.converter.targets(self._goal)
        self.shape: tuple[int, int] = self._goal.shape
        self._held = np.zeros((0, 0, 0), np.float32)
        if held is not None:
            self._held = real_array("held", held, self._targets.shape, low=0.0).astype(np.float32)
        self._seeds = _random.seed_sequence(rng)
        self.event = 0
        self._array = CrossbarArray(
            self.shape,
            Ideal(),
            forward=self.chip.periphery,
            backward=Periphery.ideal(),
            rng=_random.child(self._seeds, _PERIPHERY),
        )
        self._began()

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, Any]]:
        return [("shape", self.shape), ("chip", self.chip), ("programming", self.event)]

    def __repr__(self) -> str:
        return f"ProgrammedArray({self.shape}, {self.chip!r})"

    # ---- what was drawn ----------------------------------------------------------------------------------------------

    def _began(self) -> None:
        """Draw what belongs to a programming event."""
        model, converter = self.chip.model, self.chip.converter
        self._stuck = self._draw_faults()
        goals = self._targets if self._held.size == 0 else self._held
        for where, value in zip(self._stuck, (converter.g_min_s, converter.g_max_s), strict=True):
            if where is not None:
                goals = np.where(where, np.float32(value), goals)
        self._goals = goals
        self._kept = model.event(goals, converter.g_max_s, self._draw)
        if self._held.size:
            self._kept["programmed"] = goals
        self._off = self._stuck[0]
        if converter.idle == "ideal":
            idle = self._targets <= np.float32(converter.g_min_s)
            self._off = idle if self._off is None else idle | self._off
        if self._stuck[1] is not None:
            self._kept["programmed"] = np.where(self._stuck[1], np.float32(converter.g_max_s), self._kept["programmed"])
        self._loaded: tuple[float, bool] | None = None  # what the array that is read holds
        self._alphas: dict[float, NDArray[np.float32]] = {}
        self._reference: tuple[NDArray[Any], NDArray[Any]] | None = None

    def _draw_faults(self) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Devices that are stuck at g_min, and at g_max."""
        faults = self.chip.faults
        if faults is None or faults.at_min == faults.at_max == 0.0:
            return None, None
        u = uniforms(_random.key(_random.child(self._seeds, _FAULTS)), self._targets.size).reshape(self._targets.shape)
        return u <= faults.at_min, u > 1.0 - faults.at_max

    def _draw(self, name: str) -> NDArray[np.float32]:
        """Normals of a name, the same in all of an event, and in all events where the name begins with "device"."""
        event = 0 if name.startswith("device") else 1 + self.event
        return self._normals(_EVENT, event, zlib.crc32(name.encode()))

    def _normals(self, *words: int) -> NDArray[np.float32]:
        return normals(_random.key(_random.child(self._seeds, *words)), self._targets.size).reshape(self._targets.shape)

    def reprogram(self) -> None:
        """Write the same matrix once more: errors and exponents are drawn anew; devices that are stuck stay so.

        Raises
        ------
        ValueError
            If the array holds conductances that were not programmed by its model (`held`).
        """
        if self._held.size:
            raise ValueError("reprogram needs an array that was programmed by its model; got one made with held=...")
        self.event += 1
        self._began()

    # ---- at a time ---------------------------------------------------------------------------------------------------

    def conductances(self, t_inference_s: float, *, read_noise: bool = True) -> NDArray[np.float32]:
        """Return the conductances of all devices at a time, (devices, outputs, inputs), in siemens.

        Parameters
        ----------
        t_inference_s : float
            Seconds since programming ended (its t0 before), at least 0.
        read_noise : bool
            With the noise that a read at this time meets; that of "per_read" is not in it.
        """
        t = check_age("t_inference_s", t_inference_s)
        chip, g_max = self.chip, self.chip.converter.g_max_s
        if t > chip.model.known_s:
            known, name = chip.model.known_s / 86400.0, type(chip.model).__name__
            warnings.warn(f"{name} was measured for {known:g} days; what is later is extrapolated", stacklevel=2)
        read_noise = boolean("read_noise", read_noise) and chip.read_noise in ("frozen", "process")
        g = chip.model.aged(self._kept, self._goals, g_max, t, self._draw)
        if read_noise:
            std = chip.model.read_std(self._kept, g, self._goals, g_max, t)
            if std is not None:
                g = chip.model.cut(g + self._read_draw(std, t))
        if self._off is not None:
            g = np.where(self._off, np.float32(chip.converter.g_min_s), g)
        return np.array(g) if g is self._kept["programmed"] else g

    def _read_draw(self, std: NDArray[np.float32], t: float) -> NDArray[np.float32]:
        """Noise of reads of a standard deviation at the time t."""
        if self.chip.read_noise == "frozen":
            std *= self._normals(_READ, 1 + self.event, *_words(t))
            return std
        assert isinstance(self.chip.model, PowerLawDrift) and self.chip.read_times_s is not None
        total = np.zeros_like(std)
        for earlier, factor in correlated_factors(self.chip.model, self.chip.read_times_s, t):
            total += np.float32(factor) * self._normals(_READ, 1 + self.event, *_words(earlier))
        total *= std
        return total

    def weights(self, t_inference_s: float, *, read_noise: bool = True) -> NDArray[np.float32]:
        """Return the weights that the devices stand for at a time, (outputs, inputs), without compensation."""
        g = self.conductances(t_inference_s, read_noise=read_noise)
        return self.chip.converter.weights(g, self._scaling)

    @property
    def goal(self) -> NDArray[np.float32]:
        """Copy of the weights that were to be written."""
        return self._goal.copy()

    @property
    def targets(self) -> NDArray[np.float32]:
        """Copy of the conductances that were to be written, (devices, outputs, inputs), in siemens."""
        return self._targets.copy()

    def _load(self, t: float, read_noise: bool = True) -> CrossbarArray:
        """Return the array that is read, with what the devices are at a time, rows normalised."""
        if self._loaded == (t, read_noise):
            return self._array
        chip, largest = self.chip, self._scaling.largest
        g = self.conductances(t, read_noise=read_noise)
        w = chip.converter.weights(g, self._scaling)
        w /= largest
        self._array.program(w)
        if chip.periphery.has_product or chip.read_noise == "per_read":
            std = None
            if chip.read_noise == "per_read" and read_noise:
                std = chip.model.read_std(self._kept, g, self._goals, chip.converter.g_max_s, t)
            key = _random.key(_random.child(self._seeds, _READ, 1 + self.event, *_words(t)))
            self._array.replace_product(DeviceProduct(chip, g, self._scaling, std, key))
        self._loaded = t, read_noise
        return self._array

    def forward(
        self,
        x: ArrayLike,
        t_inference_s: float = 0.0,
        *,
        compensated: bool = True,
        factor: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Read y = W(t) x through the periphery, with the digital factors of rows and of the compensation.

        Parameters
        ----------
        x : array_like (inputs,) or (batch, inputs)
        t_inference_s : float, default 0
        compensated : bool, default True
        factor : float32 array (outputs,), optional
            In place of `factor`, which it is by default.
        """
        t = check_age("t_inference_s", t_inference_s)
        if factor is None:
            factor = self.factor(t, compensated=compensated)
        y = self._load(t).forward(x)
        y *= factor
        return y

    def factor(self, t_inference_s: float, *, compensated: bool = True) -> NDArray[np.float32]:
        """Return what outputs of the ADCs are multiplied by, (outputs,): the weight that a row was normalised by, and alpha."""
        factor = self._scaling.largest[:, 0].astype(np.float32) * np.ones(self.shape[0], np.float32)
        if boolean("compensated", compensated):
            factor *= self.compensation_factor(t_inference_s)
        return factor

    @property
    def read_count(self) -> ReadCount:
        """What reads have done since the noise began anew."""
        return self._array.forward_count

    def restart_noise(self, t_inference_s: float, *words: int) -> None:
        """Begin the noise of reads (of DACs and ADCs) anew, as it is for a time and some words of the caller's."""
        t = check_age("t_inference_s", t_inference_s)
        self._array.restart_noise(_random.child(self._seeds, _PERIPHERY, 1 + self.event, *_words(t), *words))

    # ---- compensation ------------------------------------------------------------------------------------------------

    def compensation_factor(self, t_inference_s: float) -> NDArray[np.float32]:
        """Return alpha at a time, of all outputs (1,) or of each (outputs,); 1 without a compensation. See `Compensation`."""
        t = check_age("t_inference_s", t_inference_s)
        rule = self.chip.compensation
        if rule is None:
            return np.ones(1, np.float32)
        t = rule.measured_at(t)
        if t not in self._alphas:
            self._alphas[t] = self._measure(t)
        return self._alphas[t]

    def _measure(self, t: float) -> NDArray[np.float32]:
        rule = self.chip.compensation
        assert rule is not None
        if self._reference is None and rule.reference == "exact":
            exact = self._probes() @ (self._goal / self._scaling.largest.astype(np.float32)).T
            self._reference = exact, exact
        elif self._reference is None:
            self._reference = self._probed(0.0, 1, read_noise=False), self._probed(0.0, 2, read_noise=False)
        first, second = (y.astype(np.float64) for y in self._reference)
        now = self._probed(t, 0).astype(np.float64)
        axis = 0 if rule.kind == "column" else None
        if rule.estimator == "ratio":
            before, after = np.abs(first).mean(axis=axis), np.abs(now).mean(axis=axis)
            before = np.maximum(before, LEAST_OUTPUT)
        else:
            before, after = (first * second).sum(axis=axis), (first * now).sum(axis=axis)
        fit = (after > 0.0) & (before > 0.0)  # an output without signal keeps its factor
        alpha = np.where(fit, before / np.where(fit, after, 1.0), 1.0)
        return np.atleast_1d(alpha).astype(np.float32)

    def _probes(self) -> NDArray[np.float32]:
        """The vectors that compensation reads."""
        rule, inputs = self.chip.compensation, self.shape[1]
        assert rule is not None
        if rule.probe == "identity":
            return np.eye(inputs, dtype=np.float32)
        u = uniforms(_random.key(_random.child(self._seeds, _SIGNS)), rule.vectors * inputs)
        return np.where(u > 0.5, np.float32(1.0), np.float32(-1.0)).reshape(rule.vectors, inputs)

    def _probed(self, t: float, which: int, read_noise: bool = True) -> NDArray[np.float32]:
        """Outputs for the probes at a time, by noise of their own, which leaves that of other reads as it is."""
        array = self._load(t, read_noise)
        with array.other_noise(_random.child(self._seeds, _PROBE, 1 + self.event, *_words(t), which)):
            return array.forward(self._probes())

    # ---- state -------------------------------------------------------------------------------------------------------

    def _entries(self) -> dict[str, Entry]:
        shape = self._goal.shape

        def put(weights: NDArray[np.float32]) -> None:
            self._goal[...] = weights

        def held(name: str, value: Any) -> NDArray[np.float32]:
            given = plain_array(name, value, "real numbers")
            return signal(name, given, (0, 0, 0) if given.size == 0 else self._targets.shape).copy()

        def read(name: str, value: Any) -> dict[str, Any]:
            return self._array.checked_state(name, value)

        specifications: dict[str, Specification] = {"chip": self.chip}
        return {
            "version": version(_STATE_VERSION),
            "specification": same_specification("an array on a chip", specifications),
            "weights": Entry(lambda: self.goal, lambda name, w: signal(name, w, shape).copy(), put),
            "held": Entry(self._held.copy, held, lambda new: setattr(self, "_held", new)),
            "event": attribute(self, "event", integer(0)),
            "seeds": seeds(self, "_seeds"),
            "array": Entry(self._array.state_dict, read, self._array.restore),
        }

    def _restored(self) -> None:
        self._targets, self._scaling = self.chip.converter.targets(self._goal)
        self._began()


def _words(t: float) -> tuple[int, int]:
    """A time as two integers, for seeds."""
    low, high = struct.unpack("<II", struct.pack("<d", t + 0.0))
    return low, high
