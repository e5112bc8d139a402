"""Devices whose step is a linear function of their state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, physical, real
from rpusim.devices.base import PulsedDevice, linear_symmetry_point

__all__ = ["AbruptReset", "ConstantStep", "LinearStep", "SoftBounds", "SoftBoundsPmax", "SoftBoundsReference"]


@dataclass(frozen=True, repr=False)
class ConstantStep(PulsedDevice):
    """A device whose steps do not depend on its state, between hard bounds.

    With xi a fresh standard normal at each pulse::

        up:   w <- clip(w + step_up (1 + dw_min_std xi))
        down: w <- clip(w - step_down (1 + dw_min_std xi))

    The symmetric device of the SHD and Tiki-Taka papers, and the RPU device of Gokmen and Vlasov (2016).

    Parameters
    ----------
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias
        See `PulsedDevice`.

    Notes
    -----
    The symmetry point is nan: steps are equal everywhere or nowhere.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.ConstantStep(dw_min=0.001, w_max=0.6, w_min=-0.6)
    >>> round(device.number_of_states)
    1200
    """

    papers: ClassVar[tuple[str, ...]] = ("gokmen2016",)

    kernel: ClassVar[str] = "constant_step"

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return p["step_up"] + 0.0 * w, p["step_down"] + 0.0 * w

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        return np.full(np.broadcast(*p.values()).shape, np.nan)


@dataclass(frozen=True, repr=False)
class LinearStep(PulsedDevice):
    """A device whose steps fall (or rise) linearly with its state.

    With xi a fresh standard normal at each pulse::

        up:   step = step_up (1 - gamma_up w / w_max),     w <- clip(w + step (1 + dw_min_std xi))
        down: step = step_down (1 - gamma_down w / w_min), w <- clip(w - step (1 + dw_min_std xi))

    or, with ``mult_noise=False``, additive noise: w +- (step + step_up|down dw_min_std xi). There is no sign guard: beyond
    the zero of its line a step changes sign.

    Parameters
    ----------
    gamma_up, gamma_down : float, default 0
        Slopes: relative change of the step from w = 0 to the bound.
    gamma_up_dtod, gamma_down_dtod : float, default 0.05
        Their device-to-device spread, absolute.
    allow_increasing : bool, default False
        Let a drawn slope be negative (a step that grows towards the bound); otherwise its modulus is taken.
    mean_bound_reference : bool, default True
        Refer the slope to the mean bounds `w_max`, `w_min` rather than to each device's own.
    mult_noise : bool, default True
        Noise in proportion to the actual step; False: to the step at w = 0.
    reverse_up, reverse_down : bool, default False
        Refer the slope to the bound behind rather than ahead: step_up (1 - gamma_up w / (w_min - reverse_offset)), and
        down with w_max + reverse_offset, so that the step grows towards the bound. Only with multiplicative noise.
    reverse_offset : float, default 0.01
        Keeps a reversed step with gamma 1 from vanishing at the bound behind.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias
        See `PulsedDevice`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.LinearStep(gamma_up=0.5, gamma_down=0.5, up_down=0.1)
    >>> round(device.symmetry_point, 3)
    0.12
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    gamma_up: float = parameter(0.0, physical())
    gamma_up_dtod: float = parameter(0.05, physical(0.0))
    gamma_down: float = parameter(0.0, physical())
    gamma_down_dtod: float = parameter(0.05, physical(0.0))
    allow_increasing: bool = parameter(False, boolean)
    mean_bound_reference: bool = parameter(True, boolean)
    mult_noise: bool = parameter(True, boolean)
    reverse_up: bool = parameter(False, boolean)
    reverse_down: bool = parameter(False, boolean)
    reverse_offset: float = parameter(0.01, physical(0.0))

    kernel: ClassVar[str] = "linear_step"
    parameter_names: ClassVar[tuple[str, ...]] = (*PulsedDevice.parameter_names, "slope_up", "slope_down")

    def _check_consistency(self) -> None:
        super()._check_consistency()
        for name in ("gamma_up", "gamma_down"):
            if not self.allow_increasing and getattr(self, name) < 0.0:
                raise ValueError(
                    f"LinearStep: {name} must be at least 0 unless allow_increasing=True; got {getattr(self, name)!r}"
                )
        if (self.reverse_up or self.reverse_down) and not self.mult_noise:
            raise ValueError("LinearStep: mult_noise must be True where a step is reversed; got False")
        if self.reverse_offset != 0.01 and not (self.reverse_up or self.reverse_down):
            raise ValueError(f"LinearStep: reverse_offset is used only where a step is reversed; got {self.reverse_offset}")

    @property
    def noise_weights(self) -> tuple[float, float]:
        return (self.dw_min_std, 0.0) if self.mult_noise else (0.0, self.dw_min_std)

    def mean_parameters(self) -> dict[str, float]:
        p = super().mean_parameters()
        reference_up, reference_down = self._references(p)
        p["slope_up"] = float(_slope(self.gamma_up, p["step_up"], reference_up))
        p["slope_down"] = float(_slope(self.gamma_down, p["step_down"], reference_down))
        return p

    def _references(self, p: dict[str, Any]) -> tuple[Any, Any]:
        """The states that the slopes of the up and the down step refer to."""
        high, low = (self.w_max, self.w_min) if self.mean_bound_reference else (p["w_max"], p["w_min"])
        up = low - self.reverse_offset if self.reverse_up else high
        return up, high + self.reverse_offset if self.reverse_down else low

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return p["step_up"] + p["slope_up"] * w, p["step_down"] + p["slope_down"] * w

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        return linear_symmetry_point(p["step_up"], p["slope_up"], p["step_down"], p["slope_down"], p["w_max"], p["w_min"])

    def _draw_own(
        self, p: dict[str, NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        for side, reference in zip(("up", "down"), self._references(p), strict=True):
            spread = getattr(self, f"gamma_{side}_dtod")
            gamma = np.full((1, 1), getattr(self, f"gamma_{side}"))
            if spread > 0.0:
                gamma = gamma + spread * rng.standard_normal(shape)
            if not self.allow_increasing:
                gamma = np.abs(gamma)
            p[f"slope_{side}"] = _slope(gamma, p[f"step_{side}"], reference)
        return p


@dataclass(frozen=True, repr=False)
class SoftBounds(PulsedDevice):
    """A device whose steps vanish linearly towards its bounds: the exponentially saturating device.

    With xi a fresh standard normal at each pulse::

        up:   step = step_up (1 - w / w_max),   w <- clip(w + step (1 + dw_min_std xi))
        down: step = step_down (1 - w / w_min), w <- clip(w - step (1 + dw_min_std xi))

    or, with ``mult_noise=False``, additive noise: w +- (step + step_up|down dw_min_std xi). Without noise, n up pulses lead
    to w_max - (w_max - w_0) (1 - step_up / w_max)^n. The symmetry point is
    (step_up - step_down) / (step_up / w_max - step_down / w_min).

    It is `LinearStep` with slopes of exactly 1 that refer to each device's own bounds, and stores less.

    Parameters
    ----------
    mult_noise : bool, default True
        Noise in proportion to the actual step; False: to the step at w = 0.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias
        See `PulsedDevice`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.002, w_max=1.0, w_min=-1.0, up_down=0.2)
    >>> round(device.symmetry_point, 3), round(device.number_of_states)
    (0.2, 1000)
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    mult_noise: bool = parameter(True, boolean)

    kernel: ClassVar[str] = "soft_bounds"

    @property
    def noise_weights(self) -> tuple[float, float]:
        return (self.dw_min_std, 0.0) if self.mult_noise else (0.0, self.dw_min_std)

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _soft_steps(p, w)

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        return _soft_symmetry_point(p)


@dataclass(frozen=True, repr=False)
class AbruptReset(PulsedDevice):
    """A device that rises gradually and falls at once, as phase-change memory does.

    With xi a fresh standard normal at each pulse::

        up:   w <- clip(w + step_up (1 - w / w_max) (1 + dw_min_std xi))
        down: w <- clip(w - reset_fraction (w - w_min) (1 + dw_min_std xi))

    Parameters
    ----------
    reset_fraction : float, default 1
        Part of the distance to w_min that one down pulse takes away, from 0 (down pulses do nothing: a device of one
        direction) to 1 (a full reset).
    reset_fraction_dtod : float, default 0
        Its device-to-device spread, absolute; held within 0 and 1.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias
        See `PulsedDevice`; `up_down` must be 0, since there is no down step that it could be relative to.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.AbruptReset(dw_min=0.01, w_max=1.0, w_min=0.0, reset_fraction=0.5)
    >>> float(device.step_down(0.6)), round(device.symmetry_point, 4)
    (0.3, 0.0196)
    """

    papers: ClassVar[tuple[str, ...]] = ()

    reset_fraction: float = parameter(1.0, real(0.0, 1.0))
    reset_fraction_dtod: float = parameter(0.0, physical(0.0))

    kernel: ClassVar[str] = "linear_step"
    parameter_names: ClassVar[tuple[str, ...]] = (*PulsedDevice.parameter_names, "slope_up", "slope_down")

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.up_down != 0.0:
            raise ValueError(f"AbruptReset: up_down must be 0; got {self.up_down}")

    def mean_parameters(self) -> dict[str, float]:
        p: dict[str, Any] = super().mean_parameters()
        return {name: float(value) for name, value in self._with_slopes(p, self.reset_fraction).items()}

    def _with_slopes(self, p: dict[str, Any], fraction: Any) -> dict[str, Any]:
        """The linear down step fraction (w - w_min), and the slope of the up step."""
        slopes = {"slope_up": _slope(1.0, p["step_up"], p["w_max"]), "slope_down": fraction + 0.0 * p["w_min"]}
        return p | {"step_down": -fraction * p["w_min"]} | slopes

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return p["step_up"] + p["slope_up"] * w, p["step_down"] + p["slope_down"] * w

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        return linear_symmetry_point(p["step_up"], p["slope_up"], p["step_down"], p["slope_down"], p["w_max"], p["w_min"])

    def _draw_own(
        self, p: dict[str, NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        fraction = np.full((1, 1), self.reset_fraction)
        if self.reset_fraction_dtod > 0.0:
            fraction = np.clip(fraction + self.reset_fraction_dtod * rng.standard_normal(shape), 0.0, 1.0)
        return self._with_slopes(p, fraction)


def SoftBoundsPmax(
    p_max: float = 1000.0, alpha: float = 0.0005, range_min: float = -1.0, range_max: float = 1.0, **others: Any
) -> SoftBounds:
    """`SoftBounds` given by its pulse response between two states.

    With B = (range_max - range_min) / (1 - exp(-alpha p_max)), after n up pulses from `range_min` and after n down pulses
    from `range_max` (in the limit of small alpha)::

        up:   w = range_min + B (1 - exp(-alpha n))
        down: w = range_max - B (1 - exp(-alpha n))

    so that `p_max` pulses lead from one end to the other. The bounds are therefore w_max = range_min + B and
    w_min = range_max - B, and the steps at w = 0 alpha w_max and alpha |w_min|. (AIHWKit's device of this name overshoots.)

    Parameters
    ----------
    p_max : float, default 1000
        Pulses from one end of the range to the other.
    alpha : float, default 0.0005
        Inverse of the number of pulses in which the step falls by a factor e.
    range_min, range_max : float, default -1, 1
        The range, in weight units.
    **others
        Further parameters of `SoftBounds`, such as `dw_min_std` and the spreads.

    Returns
    -------
    SoftBounds

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBoundsPmax(p_max=200, alpha=0.01, range_min=-0.5, range_max=0.7)
    >>> round(device.w_max, 3), round(device.w_min, 3), round(device.dw_min, 5)
    (0.888, -0.688, 0.00788)
    """
    positive = physical(0.0, open_low=True)
    p_max, alpha = positive("p_max", p_max), positive("alpha", alpha)
    range_min, range_max = physical()("range_min", range_min), physical()("range_max", range_max)
    if range_max <= range_min:
        raise ValueError(f"range_max must be above range_min={range_min}; got {range_max}")
    taken = sorted({"dw_min", "up_down", "w_max", "w_min"} & set(others))
    if taken:
        raise TypeError(f"{', '.join(taken)} follow from p_max, alpha and the range; they cannot be given")
    span = (range_max - range_min) / -math.expm1(-alpha * p_max)
    w_max, w_min = range_min + span, range_max - span
    if w_max < 0.0 or w_min > 0.0:
        raise ValueError(f"range_min and range_max must lead to bounds around 0; got bounds from {w_min:g} to {w_max:g}")
    step_up, step_down = alpha * w_max, alpha * -w_min
    asymmetry = (step_up - step_down) / (step_up + step_down)
    return SoftBounds(dw_min=(step_up + step_down) / 2, up_down=asymmetry, w_max=w_max, w_min=w_min, **others)


@dataclass(frozen=True, repr=False)
class SoftBoundsReference(PulsedDevice):
    """Soft bounds with a reference device: what counts as weight is the difference to a drawn reference state.

    The physical state is v = w + reference, and pulses act on it::

        up:   v <- clip(v + step_up (1 - v / w_max) (1 + dw_min_std xi))
        down: v <- clip(v - step_down (1 - v / w_min) (1 + dw_min_std xi))

    or, by default, with additive noise: v +- (step + step_up|down dw_min_std xi). The bounds are those of v, so the weight
    lies within w_min - reference and w_max - reference. The symmetry point of v is
    (step_up - step_down) / (step_up / w_max - step_down / w_min); that of w is less by the reference.

    Parameters
    ----------
    reference_mean, reference_std : float, default 0
        Mean and device-to-device spread of the reference, in weight units.
    subtract_symmetry_point : bool, default False
        Add the device's own symmetry point to its reference, so that the symmetry point of w is minus the draw. Resets and
        decay go to w = 0 all the same; in AIHWKit they go to the symmetry point of v.
    slope_up_dtod, slope_down_dtod : float, default 0
        Device-to-device spread of the slope of the step: w_max <- w_max / |1 + slope_up_dtod xi|, w_min likewise.
    mult_noise : bool, default False
        Noise in proportion to the actual step; False: to the step at v = 0.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias, write_noise_std
        See `PulsedDevice`.

    Notes
    -----
    The device of Rasch et al. (2024), Nat. Commun. 15:7133, and of the arrays of Gong et al. (2022), IEDM.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBoundsReference(up_down=0.2, w_max=1.0, w_min=-1.0, reference_mean=0.1)
    >>> round(device.symmetry_point, 3)
    0.1
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2024", "gong2022")

    reference_mean: float = parameter(0.0, physical())
    reference_std: float = parameter(0.0, physical(0.0))
    subtract_symmetry_point: bool = parameter(False, boolean)
    slope_up_dtod: float = parameter(0.0, physical(0.0))
    slope_down_dtod: float = parameter(0.0, physical(0.0))
    mult_noise: bool = parameter(False, boolean)

    kernel: ClassVar[str] = "soft_bounds_reference"
    parameter_names: ClassVar[tuple[str, ...]] = (*PulsedDevice.parameter_names, "reference")

    @property
    def noise_weights(self) -> tuple[float, float]:
        return (self.dw_min_std, 0.0) if self.mult_noise else (0.0, self.dw_min_std)

    def mean_parameters(self) -> dict[str, float]:
        p = super().mean_parameters()
        own = _soft_symmetry_point(p) if self.subtract_symmetry_point else 0.0
        p["reference"] = self.reference_mean + float(np.nan_to_num(own))
        return p

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _soft_steps(p, w + p["reference"])

    @staticmethod
    def bounds_of(p: dict[str, Any]) -> tuple[Any, Any]:
        return p["w_min"] - p["reference"], p["w_max"] - p["reference"]

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        return np.asarray(_soft_symmetry_point(p) - p["reference"])

    def _draw_own(
        self, p: dict[str, NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        around_0 = (p["w_min"] < 0.0) & (p["w_max"] > 0.0)
        for side, bound in (("up", "w_max"), ("down", "w_min")):
            spread = getattr(self, f"slope_{side}_dtod")
            if spread > 0.0:
                slope = np.abs(1.0 + spread * rng.standard_normal(shape))
                p[bound] = np.where(around_0, p[bound] / np.maximum(slope, 1e-6), p[bound])
        reference = np.full((1, 1), self.reference_mean)
        if self.reference_std > 0.0:
            reference = reference + self.reference_std * rng.standard_normal(shape)
        if self.subtract_symmetry_point:
            reference = reference + np.where(around_0, np.nan_to_num(_soft_symmetry_point(p)), 0.0)
        p["reference"] = reference
        return p

    def _parameters_at(self, value: NDArray[np.float64]) -> dict[str, Any]:
        return super()._parameters_at(value) | {"reference": 0.0}


def _soft_slopes(p: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _slope(1.0, p["step_up"], p["w_max"]), _slope(1.0, p["step_down"], p["w_min"])


def _soft_steps(p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    up, down = _soft_slopes(p)
    return p["step_up"] + up * w, p["step_down"] + down * w


def _soft_symmetry_point(p: dict[str, Any]) -> NDArray[np.float64]:
    up, down = _soft_slopes(p)
    return linear_symmetry_point(p["step_up"], up, p["step_down"], down, p["w_max"], p["w_min"])


def _slope(gamma: Any, step: Any, bound: Any) -> NDArray[np.float64]:
    """-gamma step / bound, and 0 where the bound is 0."""
    bound = np.asarray(bound, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bound != 0.0, -np.asarray(gamma, np.float64) * step / bound, 0.0)
