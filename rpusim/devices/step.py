"""Devices whose step is a linear function of their state: ConstantStep, LinearStep, SoftBounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rpusim._validation import boolean, physical
from rpusim.devices.base import PulsedDevice, linear_symmetry_point
from rpusim.specification import parameter

__all__ = ["ConstantStep", "LinearStep", "SoftBounds"]


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

    kernel: ClassVar[str] = "constant_step"

    @staticmethod
    def steps_of(p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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

    gamma_up: float = parameter(0.0, physical())
    gamma_up_dtod: float = parameter(0.05, physical(0.0))
    gamma_down: float = parameter(0.0, physical())
    gamma_down_dtod: float = parameter(0.05, physical(0.0))
    allow_increasing: bool = parameter(False, boolean)
    mean_bound_reference: bool = parameter(True, boolean)
    mult_noise: bool = parameter(True, boolean)

    kernel: ClassVar[str] = "linear_step"
    parameter_names: ClassVar[tuple[str, ...]] = (*PulsedDevice.parameter_names, "slope_up", "slope_down")

    def _check_consistency(self) -> None:
        super()._check_consistency()
        for name in ("gamma_up", "gamma_down"):
            if not self.allow_increasing and getattr(self, name) < 0.0:
                raise ValueError(
                    f"LinearStep: {name} must be at least 0 unless allow_increasing=True; got {getattr(self, name)!r}"
                )

    @property
    def noise_weights(self) -> tuple[float, float]:
        return (self.dw_min_std, 0.0) if self.mult_noise else (0.0, self.dw_min_std)

    def mean_parameters(self) -> dict[str, float]:
        p = super().mean_parameters()
        p["slope_up"] = float(_slope(self.gamma_up, p["step_up"], self.w_max))
        p["slope_down"] = float(_slope(self.gamma_down, p["step_down"], self.w_min))
        return p

    @staticmethod
    def steps_of(p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return p["step_up"] + p["slope_up"] * w, p["step_down"] + p["slope_down"] * w

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        return linear_symmetry_point(
            p["step_up"], p["slope_up"], p["step_down"], p["slope_down"], p["w_max"], p["w_min"]
        )

    def _draw_own(
        self, p: dict[str, NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        for side, bound in (("up", "w_max"), ("down", "w_min")):
            spread = getattr(self, f"gamma_{side}_dtod")
            gamma = np.full((1, 1), getattr(self, f"gamma_{side}"))
            if spread > 0.0:
                gamma = gamma + spread * rng.standard_normal(shape)
            if not self.allow_increasing:
                gamma = np.abs(gamma)
            reference = getattr(self, bound) if self.mean_bound_reference else p[bound]
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

    mult_noise: bool = parameter(True, boolean)

    kernel: ClassVar[str] = "soft_bounds"

    @property
    def noise_weights(self) -> tuple[float, float]:
        return (self.dw_min_std, 0.0) if self.mult_noise else (0.0, self.dw_min_std)

    @staticmethod
    def steps_of(p: dict[str, Any], w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        slope_up, slope_down = _slope(1.0, p["step_up"], p["w_max"]), _slope(1.0, p["step_down"], p["w_min"])
        return p["step_up"] + slope_up * w, p["step_down"] + slope_down * w

    def symmetry_point_of(self, p: dict[str, Any]) -> NDArray[np.float64]:
        slope_up, slope_down = _slope(1.0, p["step_up"], p["w_max"]), _slope(1.0, p["step_down"], p["w_min"])
        return linear_symmetry_point(p["step_up"], slope_up, p["step_down"], slope_down, p["w_max"], p["w_min"])


def _slope(gamma: Any, step: Any, bound: Any) -> NDArray[np.float64]:
    """-gamma step / bound, and 0 where the bound is 0."""
    bound = np.asarray(bound, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bound != 0.0, -np.asarray(gamma, np.float64) * step / bound, 0.0)
