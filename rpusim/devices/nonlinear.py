"""Devices whose step is a curved function of their state: exponential, power law, or a table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, integer, integer_value, numbers_of, physical, real, shown
from rpusim.devices.base import PulsedDevice

__all__ = ["ExpStep", "FromResponse", "PiecewiseStep", "PowStep", "PowStepReference"]

Steps = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, repr=False)
class ExpStep(PulsedDevice):
    """A device whose steps fall exponentially with its state, as filamentary ReRAM does.

    With z = 2 a w / (w_max - w_min) + b, in the device's own bounds, and xi a fresh standard normal at each pulse::

        up:   step = step_up max(1 - A_up exp(gamma_up z), 0),       w <- clip(w + step (1 + dw_min_std xi))
        down: step = step_down max(1 - A_down exp(-gamma_down z), 0), w <- clip(w - step (1 + dw_min_std xi))

    With `dw_min_std_add` or `dw_min_std_slope` the standard deviation of a pulse is
    dw_min_std (step + dw_min_std_add + dw_min_std_slope |w|) instead.

    Parameters
    ----------
    A_up, A_down : float, default 0.00081, 0.36833
        Weights of the exponentials.
    gamma_up, gamma_down : float, default 12.44625, 12.78785
        Their rates.
    a, b : float, default 0.244, 0.2425
        Scale and offset of z.
    dw_min_std_add : float, default 0
        Noise that does not depend on the step, in weight units, times dw_min_std.
    dw_min_std_slope : float, default 0
        Noise in proportion to |w|, times dw_min_std.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias, write_noise_std
        See `PulsedDevice`.

    Notes
    -----
    The model of AIHWKit's ExpStepDevice; fitted to the ReRAM of Gong et al. (2018), Nat. Commun. 9:2102. The granularity
    is the mean of the up and the down step at w = 0 (`dw_min` where both vanish).

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.ExpStep(dw_min=0.005)
    >>> bool(abs(device.symmetry_point) < 1e-4)
    True
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021", "gong2018")

    A_up: float = parameter(0.00081, physical())
    A_down: float = parameter(0.36833, physical())
    gamma_up: float = parameter(12.44625, real(-60.0, 60.0))
    gamma_down: float = parameter(12.78785, real(-60.0, 60.0))
    a: float = parameter(0.244, real(-2.0, 2.0))
    b: float = parameter(0.2425, real(-2.0, 2.0))
    dw_min_std_add: float = parameter(0.0, physical(0.0))
    dw_min_std_slope: float = parameter(0.0, physical(0.0))

    kernel: ClassVar[str] = "exp_step"

    def _check_consistency(self) -> None:
        super()._check_consistency()
        for name in ("dw_min_std_add", "dw_min_std_slope"):
            if getattr(self, name) != 0.0 and self.dw_min_std == 0.0:
                raise ValueError(f"ExpStep: {name} must be 0 where dw_min_std=0, of which it is a multiple")

    def _own_granularity(self) -> float:
        mean = float(self.step_up(0.0) + self.step_down(0.0)) / 2
        return mean if mean > 0.0 else self.dw_min

    @property
    def constants(self) -> tuple[float, ...]:
        floor, slope = (self.dw_min_std * self.dw_min_std_add, self.dw_min_std * self.dw_min_std_slope)
        rates = self.gamma_up / math.log(2.0), -self.gamma_down / math.log(2.0)
        return (self.A_up, self.A_down, *rates, 2.0 * self.a, self.b, floor, slope)

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> Steps:
        span = p["w_max"] - p["w_min"]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = 2.0 * self.a * w / span + self.b
            up = np.maximum(1.0 - self.A_up * np.exp(self.gamma_up * z), 0.0)
            down = np.maximum(1.0 - self.A_down * np.exp(-self.gamma_down * z), 0.0)
        moves = span > 0.0
        return np.where(moves, p["step_up"] * up, 0.0), np.where(moves, p["step_down"] * down, 0.0)


@dataclass(frozen=True, repr=False)
class PowStep(PulsedDevice):
    """A device whose steps follow a power of the distance to the bound ahead.

    With the device's own bounds, R = w_max - w_min, and xi a fresh standard normal at each pulse::

        up:   w <- clip(w + step_up ((w_max - w) / R)^gamma_up (1 + dw_min_std xi))
        down: w <- clip(w - step_down ((w - w_min) / R)^gamma_down (1 + dw_min_std xi))
        gamma_up   = |pow_gamma (1 + pow_gamma_dtod xi_1 + pow_up_down + pow_up_down_dtod xi_2)|
        gamma_down = |pow_gamma (1 + pow_gamma_dtod xi_1 - pow_up_down - pow_up_down_dtod xi_2)|

    Parameters
    ----------
    pow_gamma : float, default 1
        Exponent.
    pow_gamma_dtod : float, default 0.1
        Its device-to-device spread, relative.
    pow_up_down : float, default 0
        Asymmetry of the exponents, in [-1, 1]. (AIHWKit lowers one of them only, see `PulsedDevice.up_down`.)
    pow_up_down_dtod : float, default 0
        Its device-to-device spread, absolute.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias, write_noise_std
        See `PulsedDevice`.

    Notes
    -----
    The step at w = 0 between symmetric bounds is dw_min 2^-pow_gamma: the granularity. The power response
    q = (1 -+ w / tau)^gamma of Wu et al. (2025), arXiv:2502.06309, is PowStep with bounds +-tau and dw_min 2^gamma.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.PowStep(dw_min=0.002, pow_gamma=2.0, up_down=0.2, w_max=1.0, w_min=-1.0)
    >>> round(device.symmetry_point, 4), round(device.granularity, 6)
    (0.101, 0.0005)
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021", "wu2025")

    pow_gamma: float = parameter(1.0, real(0.0, 20.0))
    pow_gamma_dtod: float = parameter(0.1, physical(0.0))
    pow_up_down: float = parameter(0.0, real(-1.0, 1.0))
    pow_up_down_dtod: float = parameter(0.0, physical(0.0))

    kernel: ClassVar[str] = "pow_step"
    parameter_names: ClassVar[tuple[str, ...]] = (*PulsedDevice.parameter_names, "gamma_up", "gamma_down")

    def _own_granularity(self) -> float:
        return self.dw_min * 0.5**self.pow_gamma

    def mean_parameters(self) -> dict[str, float]:
        gammas = {
            "gamma_up": self.pow_gamma * (1.0 + self.pow_up_down),
            "gamma_down": self.pow_gamma * (1.0 - self.pow_up_down),
        }
        return super().mean_parameters() | gammas

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> Steps:
        span = p["w_max"] - p["w_min"]
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead_up = np.maximum((p["w_max"] - w) / span, 0.0)
            ahead_down = np.maximum((w - p["w_min"]) / span, 0.0)
            up = np.where(ahead_up > 0.0, ahead_up ** p["gamma_up"], 0.0)
            down = np.where(ahead_down > 0.0, ahead_down ** p["gamma_down"], 0.0)
        moves = span > 0.0
        return np.where(moves, p["step_up"] * up, 0.0), np.where(moves, p["step_down"] * down, 0.0)

    def _draw_own(
        self, p: dict[str, NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        common, r = np.ones((1, 1)), np.full((1, 1), self.pow_up_down)
        if self.pow_gamma_dtod > 0.0:
            common = common + self.pow_gamma_dtod * rng.standard_normal(shape)
        if self.pow_up_down_dtod > 0.0:
            r = r + self.pow_up_down_dtod * rng.standard_normal(shape)
        # the modulus also without enforce_consistency: a negative exponent has no finite step at the bound
        p["gamma_up"] = np.abs(self.pow_gamma * (common + r))
        p["gamma_down"] = np.abs(self.pow_gamma * (common - r))
        return p


@dataclass(frozen=True, repr=False)
class PowStepReference(PowStep):
    """`PowStep` with a reference device: its law holds for v = w + reference, between whose bounds v is clipped.

    Parameters
    ----------
    reference_mean, reference_std : float, default 0
        Mean and device-to-device spread of the reference, in weight units.
    subtract_symmetry_point : bool, default False
        Add the device's own symmetry point to its reference.
    n_estimation_steps : int, default 0
        Estimate that point as a lab does: from v = 0, so many times an up and a down step evaluated at the same state.
        0: take the exact one.
    pow_gamma, pow_gamma_dtod, pow_up_down, pow_up_down_dtod
        See `PowStep`.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias, write_noise_std
        See `PulsedDevice`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.PowStepReference(up_down=0.2, subtract_symmetry_point=True)
    >>> abs(device.symmetry_point) < 1e-12
    True
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    reference_mean: float = parameter(0.0, physical())
    reference_std: float = parameter(0.0, physical(0.0))
    subtract_symmetry_point: bool = parameter(False, boolean)
    n_estimation_steps: int = parameter(0, integer(0, 1_000_000))

    kernel: ClassVar[str] = "pow_step_reference"
    parameter_names: ClassVar[tuple[str, ...]] = (*PowStep.parameter_names, "reference")

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.n_estimation_steps and not self.subtract_symmetry_point:
            raise ValueError(
                "PowStepReference: n_estimation_steps is used only where subtract_symmetry_point=True; got "
                f"{self.n_estimation_steps}"
            )

    def mean_parameters(self) -> dict[str, float]:
        p = super().mean_parameters()
        own = self._own_symmetry_point({name: np.float64(value) for name, value in p.items()})
        return p | {"reference": self.reference_mean + float(own)}

    def _own_symmetry_point(self, p: dict[str, Any]) -> NDArray[np.float64]:
        """What `subtract_symmetry_point` adds to the reference."""
        if not self.subtract_symmetry_point:
            return np.zeros(())
        if self.n_estimation_steps:
            v = np.zeros(np.broadcast(*p.values()).shape)
            for _ in range(self.n_estimation_steps):
                up, down = super().steps_of(p, v)
                v = v + up - down
        else:
            v = np.nan_to_num(self.symmetry_point_of({**p, "reference": np.float64(0.0)}))
        return np.where((p["w_min"] < 0.0) & (p["w_max"] > 0.0), v, 0.0)

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> Steps:
        return super().steps_of(p, w + p["reference"])

    @staticmethod
    def bounds_of(p: dict[str, Any]) -> tuple[Any, Any]:
        return p["w_min"] - p["reference"], p["w_max"] - p["reference"]

    def _draw_own(
        self, p: dict[str, NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        p = super()._draw_own(p, shape, rng)
        reference = np.full((1, 1), self.reference_mean)
        if self.reference_std > 0.0:
            reference = reference + self.reference_std * rng.standard_normal(shape)
        p["reference"] = reference + self._own_symmetry_point(p)
        return p


@dataclass(frozen=True, repr=False)
class PiecewiseStep(PulsedDevice):
    """A device whose steps follow a table over its range, linear between the nodes.

    With t = (w - w_min) / (w_max - w_min) (n - 1) in the device's own bounds, and xi a fresh standard normal::

        up:   w <- clip(w + step_up piecewise_up(t) (1 + dw_min_std xi))
        down: w <- clip(w - step_down piecewise_down(t) (1 + dw_min_std xi))

    Parameters
    ----------
    piecewise_up, piecewise_down : sequence of float, default (1.0,)
        Relative steps at n nodes, equally spaced from w_min to w_max; equally many. One node: a constant step.
    dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max, w_max_dtod, w_min, w_min_dtod,
    corrupt_devices_prob, corrupt_devices_range, enforce_consistency, perfect_bias, write_noise_std
        See `PulsedDevice`.

    Notes
    -----
    The granularity is the mean of the up and the down step at w = 0.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.PiecewiseStep(piecewise_up=(1.4, 1.0, 0.2), piecewise_down=(0.2, 0.8, 1.4))
    >>> round(device.symmetry_point, 3)
    0.086
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    piecewise_up: tuple[float, ...] = parameter((1.0,), numbers_of(physical(0.0)))
    piecewise_down: tuple[float, ...] = parameter((1.0,), numbers_of(physical(0.0)))

    kernel: ClassVar[str] = "piecewise_step"

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if len(self.piecewise_up) != len(self.piecewise_down):
            raise ValueError(
                f"PiecewiseStep: piecewise_down must have as many nodes as piecewise_up, {len(self.piecewise_up)}; got "
                f"{len(self.piecewise_down)}"
            )
        if not (any(self.piecewise_up) or any(self.piecewise_down)):
            raise ValueError("PiecewiseStep: piecewise_up and piecewise_down must not both be 0 everywhere")

    def _own_granularity(self) -> float:
        mean = float(self.step_up(0.0) + self.step_down(0.0)) / 2
        return mean if mean > 0.0 else self.dw_min

    def _grid_of_symmetry(self) -> int:
        nodes = len(self.piecewise_up) - 1
        return max(nodes * max(1, 32 // max(nodes, 1)), 32) + 1 if nodes <= 256 else 257

    @property
    def constants(self) -> tuple[float, ...]:
        up, down = self.piecewise_up, self.piecewise_down
        return (float(len(up) - 1), *up, up[-1], *down, down[-1])

    def steps_of(self, p: dict[str, Any], w: NDArray[np.float64]) -> Steps:
        span = np.asarray(p["w_max"] - p["w_min"], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(span > 0.0, (w - p["w_min"]) / span, 0.0)
        nodes = np.linspace(0.0, 1.0, len(self.piecewise_up)) if len(self.piecewise_up) > 1 else np.zeros(1)
        up, down = np.interp(t, nodes, self.piecewise_up), np.interp(t, nodes, self.piecewise_down)
        return p["step_up"] * up, p["step_down"] * down


def FromResponse(
    q_up: Callable[[NDArray[np.float64]], ArrayLike],
    q_down: Callable[[NDArray[np.float64]], ArrayLike],
    *,
    w_max: float = 0.6,
    w_min: float = -0.6,
    nodes: int = 257,
    **others: Any,
) -> PiecewiseStep:
    """A device with any response: two functions of the state, sampled into the table of a `PiecewiseStep`.

    Parameters
    ----------
    q_up, q_down : callable
        Mean size (positive) of the change by one up and one down pulse at states w, in weight units: called once with a
        float64 array of `nodes` states from w_min to w_max.
    w_max, w_min : float, default 0.6, -0.6
        Bounds. A device whose own bounds differ by their spread has the response stretched to them.
    nodes : int, default 257
        Number of samples; between them the response is linear, with an error of at most (w_max - w_min)^2 |q''| /
        (8 (nodes - 1)^2).
    **others
        Further parameters of `PiecewiseStep`, such as `dw_min_std` and the spreads. `dw_min` is the mean of both responses
        at the state nearest to 0.

    Returns
    -------
    PiecewiseStep

    Examples
    --------
    The exponential response of Wu et al. (2025), arXiv:2502.06309, Eq. 145, with tau = 1 and gamma = 2:

    >>> import numpy as np, rpusim as rpu
    >>> def q(w, sign):
    ...     return 0.001 * np.expm1(2.0 * (1.0 - sign * w)) / np.expm1(2.0)
    >>> device = rpu.devices.FromResponse(lambda w: q(w, 1), lambda w: q(w, -1), w_max=1.0, w_min=-1.0)
    >>> round(float(device.step_up(0.0)), 6), abs(device.symmetry_point) < 1e-9
    (0.001, True)
    """
    nodes = integer_value("nodes", nodes, 2, 100_000)
    w_max, w_min = physical(0.0)("w_max", w_max), physical(high=0.0)("w_min", w_min)
    if not w_max > w_min:
        raise ValueError(f"w_max must be above w_min={w_min}; got {w_max}")
    taken = sorted({"dw_min", "up_down", "piecewise_up", "piecewise_down"} & set(others))
    if taken:
        raise TypeError(f"{', '.join(taken)} follow from the responses; they cannot be given")
    w = np.linspace(w_min, w_max, nodes)
    sampled = {}
    for name, q in (("q_up", q_up), ("q_down", q_down)):
        if not callable(q):
            raise TypeError(f"{name} must be a function of the state; got {shown(q)}")
        values = np.asarray(q(w.copy()), dtype=np.float64)
        if values.shape not in ((), w.shape) or not np.all(np.isfinite(values)) or np.any(values < 0.0):
            raise ValueError(
                f"{name} must return finite numbers of at least 0, one for each of the {nodes} states; got shape "
                f"{values.shape}, from {np.min(values):g} to {np.max(values):g}"
            )
        sampled[name] = np.broadcast_to(values, w.shape)
    dw_min = float(np.interp(0.0, w, (sampled["q_up"] + sampled["q_down"]) / 2))
    if dw_min <= 0.0:
        dw_min = float(np.max([sampled["q_up"], sampled["q_down"]]))
    if dw_min <= 0.0:
        raise ValueError("q_up and q_down must not both be 0 everywhere")
    up, down = (tuple(float(v) for v in sampled[name] / dw_min) for name in ("q_up", "q_down"))
    return PiecewiseStep(dw_min=dw_min, w_max=w_max, w_min=w_min, piecewise_up=up, piecewise_down=down, **others)
