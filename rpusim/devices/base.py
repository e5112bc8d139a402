"""What all devices share: pulses of a mean size, their spreads, bounds."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim import effects
from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import boolean, instance, optional, physical, real, real_values
from rpusim._core.kernels import model_names
from rpusim.effects.base import spread
from rpusim.effects.drift import Drift

__all__ = ["Device", "PulsedDevice", "SymmetryPoint"]

_fraction = physical(0.0)


class SymmetryPoint(NamedTuple):
    """A state where up and down steps are equal, and whether pulses lead to it."""

    w: float
    stable: bool


@dataclass(frozen=True, repr=False)
class Device(Specification):
    """Base of all devices.

    Examples
    --------
    >>> import rpusim as rpu
    >>> [isinstance(device, rpu.devices.Device) for device in (rpu.devices.Ideal(), rpu.devices.SoftBounds())]
    [True, True]
    """

    def _check_consistency(self) -> None:
        if type(self) in (Device, PulsedDevice):
            raise TypeError(f"{type(self).__name__} is a base of devices, not a device; use one of its subclasses")


def _round_zero(w: float, low: float, high: float) -> float:
    """A state that a search found; 0 where it is 0 but for rounding."""
    return 0.0 if abs(w) < 1e-13 * (high - low) else w


def _states(w: ArrayLike) -> NDArray[np.float64]:
    """States as float64; an array of them, as theory gives, is not looked at."""
    return w if type(w) is np.ndarray and w.dtype == np.float64 else real_values("w", w)


@dataclass(frozen=True, repr=False)
class PulsedDevice(Device):
    r"""Base of devices that change by pulses. Not used itself; see `ConstantStep`, `LinearStep`, `SoftBounds`.

    One device has an up step, a down step and two bounds, drawn once when an array is built (xi: a fresh standard normal at
    each occurrence)::

        w_max  <- w_max (1 + w_max_dtod xi)
        w_min  <- w_min (1 + w_min_dtod xi)
        gain    = 1 + dw_min_dtod xi          (exp(dw_min_dtod xi) if dw_min_dtod_log_normal)
        r       = up_down_dtod xi
        step_up   = |dw_min (gain + up_down + r)|
        step_down = |dw_min (gain - up_down - r)|

    and the moduli of w_max and -|w_min| are taken, so that w_min <= 0 <= w_max for every device.

    Parameters
    ----------
    dw_min : float, default 0.001
        Mean size of one pulse at w = 0, in weight units.
    dw_min_dtod : float, default 0.3
        Device-to-device spread of the step, relative to `dw_min`.
    dw_min_dtod_log_normal : bool, default False
        Draw the gain log-normal with median 1 instead of normal with mean 1.
    dw_min_std : float, default 0.3
        Cycle-to-cycle noise of one pulse, relative to the step.
    up_down : float, default 0
        Asymmetry: the up step is dw_min (1 + up_down), the down step dw_min (1 - up_down), in [-1, 1]. AIHWKit's code
        weakens only one side: its `up_down=u` is here dw_min (1 - |u|/2) with up_down = u / (2 - |u|). Pulse trains
        are scaled by dw_min, so that learning rates are to be multiplied by 1 - |u|/2, too, and what is relative to
        dw_min (`write_noise_std`) or to the mean step (`dw_min_dtod`, `up_down_dtod`) divided by it.
    up_down_dtod : float, default 0.01
        Device-to-device spread of `up_down`, absolute.
    w_max, w_min : float, default 0.6, -0.6
        Bounds in weight units, w_min <= 0 <= w_max.
    w_max_dtod, w_min_dtod : float, default 0.3
        Device-to-device spread of the bounds, relative.
    corrupt_devices_prob : float, default 0
        Probability that a device is stuck, at a value uniform in +-`corrupt_devices_range` within its bounds.
    corrupt_devices_range : float, default 0.1
        See `corrupt_devices_prob`.
    enforce_consistency : bool, default True
        Take the moduli above. If False, a device may have negative steps (it moves the wrong way), and where
        w_min > w_max both become their mid-point, which freezes it.
    perfect_bias : bool, default False
        Make the devices of the last column ideal: steps of exactly dw_min and bounds 100 times wider.
    lifetime : float, default 0
        Decay constant in mini-batches: at each `CrossbarArray.end_batch`, w <- b + (w - b) (1 - 1 / lifetime), with b the
        reset level. 0: no decay; 1 and below: all is forgotten.
    lifetime_dtod : float, default 0
        Its device-to-device spread, relative.
    diffusion : float, default 0
        Random walk: at each `end_batch`, before the decay, w <- w + diffusion xi.
    diffusion_dtod : float, default 0
        Its device-to-device spread, relative.
    reset : float, default 0
        Level to which `CrossbarArray.reset` brings a device, and to which devices decay.
    reset_dtod : float, default 0
        Its device-to-device spread, absolute.
    reset_std : float, default 0.01
        Noise of each reset, absolute.
    write_noise_std : float, default 0
        Write noise: what is read of a device is its state plus write_noise_std dw_min xi, drawn anew by every pulse it
        gets (and for all devices when they are programmed, decay, diffuse, drift or are reset). It does not accumulate.
    endurance : float, default 0
        Number of pulses in which the range of a device falls by a factor e: at each `end_batch`, its bounds are
        m +- (w_max - w_min) / 2 exp(-n / endurance), with m the middle of its first bounds and n the pulses it has got.
        0: it lasts for ever.
    half_select : float, default 0
        Disturb: what a half-selected pulse changes, as a fraction of the device's own mean step at its state, in [0, 1]. An
        update has one phase for each pair of signs of x and d, in which the lines of these signs fire with half the voltage,
        in the polarity of the phase. So a line that fires gives each of its devices half a pulse up and half a pulse down,
        but where both lines of a device fire in its phase it gets the whole pulse instead of two halves. At each `end_batch`,
        before all else, with c and r the slots in which the column and the row of a device fired, n_up and n_down the
        whole pulses it got, and q_up, q_down its mean steps::

            w <- w + half_select ((c + r - 2 n_up) q_up(w) - (c + r - 2 n_down) q_down(w))

        in parts of at most one whole step, each clipped to the bounds. `pulse` and `program_verify` address single devices
        and disturb none.
    half_select_dtod : float, default 0
        Its device-to-device spread, relative.
    drift : Drift or None
        What `CrossbarArray.drift` does; None: nothing.
    nominal_step : float, optional
        Mean step, in weight units, that scales pulse trains (`granularity`): that of the states in which the weights will be,
        where the state 0 of the model says nothing of them. None: that of the model.

    Raises
    ------
    ValueError, TypeError
        Where a value is not allowed; the message names it.

    Notes
    -----
    The draws follow Gokmen and Vlasov (2016) and AIHWKit, except for `up_down` (above). That a whole pulse is the coincidence
    of two halves is of Gokmen and Vlasov, who assume that a half does nothing; that it does something is in Choi et al.
    (Adv. Sci. 2026, doi 10.1002/advs.202504578). Phases for all four pairs of signs are our assumption.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.002, up_down=0.1, w_max=1.0, w_min=-1.0)
    >>> device.granularity, round(float(device.step_up(0.5)), 6), round(device.symmetry_point, 4)
    (0.002, 0.0011, 0.1)
    """

    dw_min: float = parameter(0.001, physical(0.0, open_low=True))
    dw_min_dtod: float = parameter(0.3, _fraction)
    dw_min_dtod_log_normal: bool = parameter(False, boolean)
    dw_min_std: float = parameter(0.3, _fraction)
    up_down: float = parameter(0.0, real(-1.0, 1.0))
    up_down_dtod: float = parameter(0.01, _fraction)
    w_max: float = parameter(0.6, physical(0.0))
    w_max_dtod: float = parameter(0.3, _fraction)
    w_min: float = parameter(-0.6, physical(high=0.0))
    w_min_dtod: float = parameter(0.3, _fraction)
    corrupt_devices_prob: float = parameter(0.0, real(0.0, 1.0))
    corrupt_devices_range: float = parameter(0.1, _fraction)
    enforce_consistency: bool = parameter(True, boolean)
    perfect_bias: bool = parameter(False, boolean)
    lifetime: float = parameter(0.0, _fraction)
    lifetime_dtod: float = parameter(0.0, _fraction)
    diffusion: float = parameter(0.0, _fraction)
    diffusion_dtod: float = parameter(0.0, _fraction)
    reset: float = parameter(0.0, physical())
    reset_dtod: float = parameter(0.0, _fraction)
    reset_std: float = parameter(0.01, _fraction)
    write_noise_std: float = parameter(0.0, _fraction)
    endurance: float = parameter(0.0, _fraction)
    half_select: float = parameter(0.0, real(0.0, 1.0))
    half_select_dtod: float = parameter(0.0, _fraction)
    drift: Drift | None = parameter(None, optional(instance(Drift, "a Drift")))
    nominal_step: float | None = parameter(None, optional(physical(0.0, open_low=True)))

    kernel: ClassVar[str] = ""
    #: names of the per-device parameters: these, NAME_up and NAME_down of RPU_PAIR_<kernel>, `reference` (devices.h)
    parameter_names: ClassVar[tuple[str, ...]] = ("step_up", "step_down", "w_max", "w_min")

    def _check_consistency(self) -> None:
        super()._check_consistency()
        _check_law(type(self))  # type: ignore[arg-type]
        if self.w_max == 0.0 and self.w_min == 0.0:
            raise ValueError(f"{type(self).__name__}: w_max must be above w_min; got 0.0 for both")
        if self.dw_min_dtod_log_normal and self.dw_min_dtod == 0.0:
            raise ValueError(f"{type(self).__name__}: dw_min_dtod_log_normal must be False where dw_min_dtod=0; got True")
        if self.corrupt_devices_range != 0.1 and self.corrupt_devices_prob == 0.0:
            raise ValueError(
                f"{type(self).__name__}: corrupt_devices_range is used only where corrupt_devices_prob is above 0; got "
                f"{self.corrupt_devices_range}"
            )
        for name in ("lifetime", "diffusion", "half_select"):
            spread = getattr(self, f"{name}_dtod")
            if spread != 0.0 and getattr(self, name) == 0.0:
                raise ValueError(
                    f"{type(self).__name__}: {name}_dtod must be 0 where {name}=0, of which it is a fraction; got {spread}"
                )

    # ---- the mean device ---------------------------------------------------------------------------------------------

    @property
    def granularity(self) -> float:
        """Mean step of one pulse, which scales pulse trains, in weight units: `nominal_step`, or that of the model at w = 0."""
        return self._own_granularity() if self.nominal_step is None else self.nominal_step

    @property
    def number_of_states(self) -> float:
        """(w_max - w_min) / granularity of the mean device."""
        return (self.w_max - self.w_min) / self.granularity

    @property
    def symmetry_point(self) -> float:
        """State in weight units where one up and one down pulse of the mean device cancel, and to which pulses of both signs
        lead: the stable one of `symmetry_points`, that nearest to 0 of several; nan where there is none."""
        p = {name: np.float64(value) for name, value in self.mean_parameters().items()}
        return _round_zero(float(self.symmetry_point_of(p)), *self.bounds_of(p))

    @property
    def symmetry_points(self) -> tuple[SymmetryPoint, ...]:
        """All states in weight units where one up and one down pulse of the mean device cancel, from the lowest to the highest.

        Pulses of both signs in turn lead to a stable one, where the up step falls below the down step above it, and away from
        one that is not.
        """
        p = {name: np.float64(value) for name, value in self.mean_parameters().items()}
        low, high = (float(bound) for bound in self.bounds_of(p))
        w = np.linspace(low, high, 4097)
        up, down = self.steps_of(p, w)
        sign = np.sign(up - down)
        moving = np.flatnonzero(sign)
        found = []
        for a, b in zip(moving[:-1], moving[1:], strict=True):
            if sign[a] != sign[b]:
                left, right = float(w[a]), float(w[b])
                for _ in range(60):
                    middle = (left + right) / 2.0
                    up, down = self.steps_of(p, np.asarray(middle))
                    left, right = (middle, right) if np.sign(up - down) == sign[a] else (left, middle)
                found.append(SymmetryPoint(_round_zero((left + right) / 2.0, low, high), bool(sign[a] > 0)))
        return tuple(found)

    def step_up(self, w: ArrayLike) -> NDArray[np.float64]:
        """Mean change by one up pulse of the mean device at state `w`, before clipping at the bounds."""
        return self.steps_of(self.mean_parameters(), _states(w))[0]

    def step_down(self, w: ArrayLike) -> NDArray[np.float64]:
        """Mean size (positive) of the change by one down pulse of the mean device at state `w`, before clipping."""
        return self.steps_of(self.mean_parameters(), _states(w))[1]

    # ---- what a model defines ----------------------------------------------------------------------------------------

    def mean_parameters(self) -> dict[str, float]:
        """Per-device parameters of the device without spreads."""
        return {
            "step_up": self.dw_min * (1.0 + self.up_down),
            "step_down": self.dw_min * (1.0 - self.up_down),
            "w_max": self.w_max,
            "w_min": self.w_min,
        }

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean up and down steps (both positive) of devices with parameters `p` at states `w`."""
        raise TypeError("PulsedDevice has no steps of its own; use one of its subclasses")

    @staticmethod
    def bounds_of(p: dict[str, Any]) -> tuple[Any, Any]:
        """Lowest and highest state of devices with parameters `p`."""
        return p["w_min"], p["w_max"]

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        """Stable symmetry point of devices with parameters `p`, the one nearest to 0, by a search on a grid and bisection; nan
        where there is none within the bounds."""
        low, high = (np.array(bound, np.float64) for bound in np.broadcast_arrays(*self.bounds_of(p), *p.values())[:2])

        def excess(w: NDArray[np.float64]) -> NDArray[np.float64]:
            up, down = self.steps_of(p, w)
            return np.asarray(up - down)

        n = self._grid_of_symmetry()
        left, right = np.full(low.shape, math.nan), np.full(low.shape, math.nan)
        before, at_before = low, excess(low)
        for k in range(1, n):
            here = low + (high - low) * (k / (n - 1)) if k < n - 1 else high
            at_here = excess(here)
            falls = (at_before > 0.0) & (at_here <= 0.0)
            if k == 1:
                falls |= (at_before == 0.0) & (at_here < 0.0)
            nearer = falls & ~(np.abs(before + here) >= np.abs(left + right))  # nan: the first that is found
            left, right = np.where(nearer, before, left), np.where(nearer, here, right)
            before, at_before = here, at_here
        for _ in range(60):
            middle = (left + right) / 2
            above = excess(middle) > 0.0
            left, right = np.where(above, middle, left), np.where(above, right, middle)
        return np.asarray((left + right) / 2)

    def _grid_of_symmetry(self) -> int:
        """Number of states at which stable symmetry points are looked for."""
        return 33

    def _own_granularity(self) -> float:
        """Mean step at w = 0 as the model has it."""
        return self.dw_min

    @property
    def noise_weights(self) -> tuple[float, float]:
        """Cycle-to-cycle noise relative to (the actual step, the nominal step)."""
        return self.dw_min_std, 0.0

    @property
    def constants(self) -> tuple[float, ...]:
        """Numbers of the model that all devices share, as its kernel wants them."""
        return ()

    # ---- drawing devices ---------------------------------------------------------------------------------------------

    def draw_parameters(self, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw the devices of an array: each parameter float32 of `shape`, or of shape (1, 1) where all are equal."""
        p = self._draw_own(self._draw_common(shape, rng), shape, rng)
        p = {name: p[name] for name in self.parameter_names}
        if self.corrupt_devices_prob > 0.0:
            stuck = rng.random(shape) < self.corrupt_devices_prob
            low = np.maximum(p["w_min"], -self.corrupt_devices_range)
            high = np.minimum(p["w_max"], self.corrupt_devices_range)
            value = low + (high - low) * rng.random(shape)
            for name, stuck_value in self._parameters_at(value).items():
                p[name] = np.where(stuck, stuck_value, p[name])
        if self.perfect_bias:
            perfect = self.replace(up_down=0.0, w_max=100.0 * self.w_max, w_min=100.0 * self.w_min).mean_parameters()
            for name, ideal in perfect.items():
                p[name] = np.broadcast_to(p[name], shape).copy()
                p[name][:, -1] = ideal
        p |= effects.draw(self, shape, rng)
        return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in p.items()}

    def _draw_common(self, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        w_max = self.w_max * spread(self.w_max_dtod, shape, rng)
        w_min = self.w_min * spread(self.w_min_dtod, shape, rng)
        if self.dw_min_dtod_log_normal:
            gain = np.exp(spread(self.dw_min_dtod, shape, rng) - 1.0)
        else:
            gain = spread(self.dw_min_dtod, shape, rng)
        up_down = self.up_down + spread(self.up_down_dtod, shape, rng) - 1.0
        step_up, step_down = self.dw_min * (gain + up_down), self.dw_min * (gain - up_down)
        if self.enforce_consistency:
            step_up, step_down = np.abs(step_up), np.abs(step_down)
            w_max, w_min = np.maximum(w_max, w_min), np.minimum(w_max, w_min)
            w_max, w_min = np.abs(w_max), -np.abs(w_min)
        else:
            crossed = w_min > w_max
            middle = (w_min + w_max) / 2
            w_max, w_min = np.where(crossed, middle, w_max), np.where(crossed, middle, w_min)
        return {"step_up": step_up, "step_down": step_down, "w_max": w_max, "w_min": w_min}

    def _draw_own(
        self, p: dict[str, NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        """Add the parameters that only this model has."""
        return p

    def _parameters_at(self, value: NDArray[np.float64]) -> dict[str, Any]:
        """Parameters of devices that never leave `value`."""
        fixed: dict[str, Any] = dict.fromkeys(self.parameter_names, 0.0)
        return fixed | {"w_max": value, "w_min": value}


@functools.cache
def _check_law(kind: type[PulsedDevice]) -> None:
    """See that pulses follow the law that a class has in Python: its kernel must be of the class that defines the law."""

    def owner(name: str) -> int:
        return next(k for k, base in enumerate(kind.__mro__) if name in vars(base))

    if kind.kernel not in model_names():
        raise TypeError(f"{kind.__name__} has no kernel, so that nothing computes its pulses; {_OWN_LAW}")
    law = ("steps_of", "step_up", "step_down", "bounds_of", "parameter_names", "constants")
    changed = [name for name in law if owner(name) < owner("kernel")]
    if changed:
        raise TypeError(
            f"{kind.__name__} overrides {', '.join(changed)}, which the kernel {kind.kernel!r} that computes its pulses does "
            f"not follow; {_OWN_LAW}"
        )


_OWN_LAW = "a device of any response is made by rpusim.devices.FromResponse(q_up, q_down)"


def linear_symmetry_point(up0: Any, up1: Any, down0: Any, down1: Any, w_max: Any, w_min: Any) -> NDArray[np.float64]:
    """Stable crossing of the steps up0 + up1 w and down0 + down1 w; nan where there is none between the bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        point = (np.asarray(down0, np.float64) - up0) / (np.asarray(up1, np.float64) - down1)
    inside = np.isfinite(point) & (point <= w_max) & (point >= w_min) & (np.asarray(up1, np.float64) < down1)
    return np.where(inside, point + 0.0, math.nan)  # not -0
