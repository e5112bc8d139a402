"""What a run of a small experiment recorded, and what theory says about it."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim import theory
from rpusim._base.notebook import as_html
from rpusim.algorithms import SGD, SHD, Algorithm, DigitalSGD
from rpusim.algorithms.base import column_periphery
from rpusim.devices import PulsedDevice
from rpusim.experiments.at_hand import AtHand, Drawn, device_at_hand
from rpusim.periphery.reads import Periphery
from rpusim.theory import SGDTrajectory, SHDFixedPoint, SHDTrajectory
from rpusim.theory.sgd import Regression

__all__ = ["RegressionRun"]

FloatArray = NDArray[np.float64]


def _error_of_mean(series: FloatArray, points: int = 400, orders: int = 4) -> tuple[float, float]:
    """Standard error of the mean of a correlated series, and the number of independent values that it is worth."""
    size = len(series) // max(1, -(-len(series) // points))
    if size < 8 * orders or np.ptp(series) == 0.0:
        return (0.0, float(len(series))) if len(series) and np.ptp(series) == 0.0 else (math.nan, math.nan)
    blocks = np.array([block.mean() for block in np.array_split(series, size)])
    d = blocks - blocks.mean()
    now, least = d[orders:], math.inf
    variance = math.nan
    for order in range(orders + 1):
        before = np.column_stack([d[orders - k : size - k] for k in range(1, order + 1)]) if order else np.empty((len(now), 0))
        weights = np.linalg.lstsq(before, now, rcond=None)[0]
        left = float(np.sum((now - before @ weights) ** 2))
        criterion = len(now) * math.log(max(left, 1e-300)) + 2 * order
        if criterion < least:
            least = criterion
            variance = left / (len(now) - order - 1) / (1.0 - float(weights.sum())) ** 2 / size
    worth = min(float(d.var()) / variance, float(size))
    if worth < 4.0:
        return math.nan, worth
    return math.sqrt(variance * (1.0 + 4.0 / worth)), worth  # what removing the mean takes from correlations (Kendall 1954)


@dataclass
class RegressionRun:
    """What `regression` recorded.

    Attributes
    ----------
    algorithm : Algorithm
    target : float64 array (parameters,)
        G0.
    noise, lr : float
    input : str
    steps : int
        Number of samples.
    t : int64 array (records,)
        Samples seen at each record; the first is 0.
    weights : float64 array (records, parameters)
        The trained weight (C of SHD).
    hidden : float64 array (records, parameters) or None
        A of SHD, relative to its reference.
    references : float64 array (2, parameters) or None
        References of A and C of SHD.
    tail : int
        Records from here on are the tail that averages are taken over.
    h, m : float
        Mean of x^2 and of |x d| over the tail, as measured: curvature of the loss and mean size of the gradient.
    pulses : int
        Pulses fired on all arrays.
    drawn : tuple of dict
        Drawn parameters of the devices that theory takes, an array (parameters,) each: of the array of SGD; of A and C of
        SHD. Empty: theory takes the mean devices.

    Examples
    --------
    >>> from rpusim import experiments
    >>> rule = experiments.demo_algorithm("shd", experiments.demo_device("soft-bounds"))
    >>> run = experiments.regression(rule, 0.5, steps=3000, rng=0)
    >>> run.weights.shape == run.hidden.shape, run.pulses > 0
    (True, True)
    >>> print(experiments.regression(rule, 0.5, steps=30000, rng=0))
    weight 0.4981 +- 0.0028 (mean and its standard error, last 10000 of 30000 samples); target 0.5; theory 0.4994
    """

    algorithm: Algorithm
    target: FloatArray
    noise: float
    lr: float
    input: str
    steps: int
    t: NDArray[np.int64]
    weights: FloatArray
    hidden: FloatArray | None
    references: FloatArray | None
    tail: int
    h: float
    m: float
    pulses: int
    drawn: tuple[Drawn, ...] = dataclasses.field(default=(), repr=False)

    _repr_html_ = as_html

    def __str__(self) -> str:
        lines = []
        count = self.steps + 1 - self.tail
        for goal, mean, error, where in zip(self.target, self.mean, self.standard_error, self.theory, strict=True):
            known = f"+- {error:.4f} (mean and its standard error" if math.isfinite(error) else "(mean"
            text = f"weight {mean:.4f} {known}, last {count} of {self.steps} samples); target {goal:.6g}"
            if math.isnan(error):
                text += "; the tail is worth less than 4 independent values: more steps have a standard error"
            if self.has_theory:
                text += f"; theory {where:.4f}" if math.isfinite(where) else "; theory: the equations rest nowhere"
            lines.append(text)
        return "\n".join(lines)

    @property
    def mean(self) -> FloatArray:
        """Mean of the weights over the tail."""
        return self.weights[self.tail :].mean(axis=0)

    @property
    def standard_error(self) -> FloatArray:
        """Standard error of `mean`, with the correlations along the tail; nan where the tail is too short to tell them.

        From the spectrum at frequency 0 of an autoregression of the tail, averaged to 400 points or less, of order up to 4
        (by Akaike's criterion): oscillations of SHD count, too.
        """
        return np.array([_error_of_mean(series)[0] for series in self.weights[self.tail :].T])

    @property
    def independent(self) -> FloatArray:
        """How many independent values would leave as large a standard error as the tail does."""
        return np.array([_error_of_mean(series)[1] for series in self.weights[self.tail :].T])

    @property
    def has_theory(self) -> bool:
        """Whether `theory` is that of the algorithm, and not just the target: of SGD, SHD and the digital baseline, and of
        subclasses that build the same tiles."""
        return any(
            isinstance(self.algorithm, kind) and type(self.algorithm).build is kind.build for kind in (SGD, SHD, DigitalSGD)
        )

    @property
    def theory(self) -> FloatArray:
        """Where theory has the weights settle, on the devices that were drawn.

        SGD: where gradient and asymmetry balance with the measured h and m, `rpusim.theory.sgd_fixed_point`; for soft
        bounds without up_down this is the closed form (h G0 + kappa m G_sym) / (h + kappa m). SHD: C of `equilibria`; nan
        where the equations rest nowhere. The digital baseline, ideal devices and cells: the target, or for SHD the nearest
        weight that the devices of C can reach. Other algorithms have no theory here: the target (`has_theory`).
        """
        points = self.equilibria
        if points is not None:
            return np.array([math.nan if point is None else point.c for point in points])
        rule = self.algorithm
        if isinstance(rule, SHD) and self.references is not None:
            slow = rule.fast if rule.slow is None else rule.slow
            if isinstance(slow, PulsedDevice):
                ones = [self._at_hand(1, slow, k) for k in range(len(self.target))]
                reach = np.array([theory.bounds(one) if one is not None else (math.nan, math.nan) for one in ones])
                return np.clip(self.target, *(side - self.references[1] for side in reach.T))
        if not (self.has_theory and isinstance(rule, SGD) and isinstance(rule.device, PulsedDevice)):
            return self.target
        return np.array([self._rest_of_sgd(k, rule.device) for k in range(len(self.target))])

    def _rest_of_sgd(self, k: int, device: PulsedDevice) -> float:
        """Where one weight of SGD settles; a device that is stuck stays."""
        start, one = float(self.weights[0, k]), self._at_hand(0, device, k)
        if one is None:
            return start
        task = Regression(float(self.target[k]), self.noise, self.input)
        low, high = theory.bounds(one)
        return theory.sgd_fixed_point(one, task, self.m, self.h, min(max(start, low), high))

    def _at_hand(self, array: int, device: PulsedDevice, k: int) -> PulsedDevice | AtHand | None:
        return device_at_hand(device, self.drawn[array] if self.drawn else None, k)

    @functools.cached_property
    def equilibria(self) -> list[SHDFixedPoint | None] | None:
        """Where the continuum equations of SHD rest, and how stable that is, for each parameter; None for all else.

        These are the equations of `continuum`, with the references and the noise of reading A of this run. Of several points
        of rest it is the one that is nearest to where their path ends, and None where they have none. With more than one
        parameter each has its own equations, with the measured h and m of all.
        """
        rule = self.algorithm
        slow = (rule.slow or rule.fast) if isinstance(rule, SHD) else None
        if not (isinstance(rule, SHD) and isinstance(rule.fast, PulsedDevice) and isinstance(slow, PulsedDevice)):
            return None
        if not (self.has_theory and self.lr * rule.fast_lr > 0.0 and self.lr * rule.slow_lr > 0.0):
            return None
        assert self.references is not None
        single = len(self.target) == 1
        measured = {} if single else {"m": self.m, "h": self.h}
        out: list[SHDFixedPoint | None] = []
        for k, (goal, a_ref, c_ref) in enumerate(zip(self.target, *self.references, strict=True)):
            fast_one, slow_one = self._at_hand(0, rule.fast, k), self._at_hand(1, slow, k)
            if fast_one is None or slow_one is None:  # stuck
                out.append(None)
                continue
            points = theory.shd_fixed_points(
                fast_one,
                slow_one,
                self.regression if single else Regression(float(goal), self.noise, self.input),
                self.lr * rule.fast_lr,
                self.lr * rule.slow_lr,
                rule.transfer_every * len(self.target),
                float(a_ref),
                float(c_ref),
                _read_noise(rule.transfer_forward or column_periphery(rule.fast)),
                **measured,
            )
            lasting = [point for point in points if point.stability != "unstable"] or points
            path = self.continuum() if single and len(lasting) > 1 else None
            a, c = (path.a[-1], path.c[-1]) if isinstance(path, SHDTrajectory) else (0.0, goal)
            out.append(min(lasting, key=lambda point, a=a, c=c: math.hypot(point.a - a, point.c - c), default=None))  # type: ignore[misc]
        return out

    @property
    def regression(self) -> Regression:
        """The task as the equations see it, for a single parameter: the noise of reading counts as noise of the samples.

        With noise management the noise of a read is in proportion to |x|, so the sample noise that gives the same mean
        modulus of the gradient at the target is E[|x| sqrt(noise^2 + s^2 x^2)] / E|x|.
        """
        read = _read_noise(self.algorithm.forward) if isinstance(self.algorithm, (SGD, SHD)) else 0.0
        x, weight = _input_law(self.input)
        size = np.abs(x) * np.sqrt(self.noise**2 + (read * x) ** 2)
        return Regression(target=float(self.target[0]), noise=float(weight @ size / (weight @ np.abs(x))), input=self.input)

    def continuum(self) -> SGDTrajectory | SHDTrajectory | None:
        """Integrate the continuum equations of this run (one parameter, pulsed devices), once; None where there are none."""
        return self._continuum

    @functools.cached_property
    def _continuum(self) -> SGDTrajectory | SHDTrajectory | None:
        rule = self.algorithm
        if len(self.target) != 1 or not self.has_theory:
            return None
        start = float(self.weights[0, 0])
        if isinstance(rule, SGD) and isinstance(rule.device, PulsedDevice):
            one = self._at_hand(0, rule.device, 0)
            return None if one is None else theory.sgd_trajectory(one, self.regression, self.lr, self.steps, start)
        slow = (rule.slow or rule.fast) if isinstance(rule, SHD) else None
        if isinstance(rule, SHD) and isinstance(rule.fast, PulsedDevice) and isinstance(slow, PulsedDevice):
            assert self.references is not None and self.hidden is not None
            fast_one, slow_one = self._at_hand(0, rule.fast, 0), self._at_hand(1, slow, 0)
            if fast_one is None or slow_one is None:
                return None
            return theory.shd_trajectory(
                fast_one,
                slow_one,
                self.regression,
                self.lr * rule.fast_lr,
                self.lr * rule.slow_lr,
                rule.transfer_every,
                self.steps,
                (float(self.hidden[0, 0]), start),
                fast_reference=float(self.references[0, 0]),
                slow_reference=float(self.references[1, 0]),
                read_noise=_read_noise(rule.transfer_forward or column_periphery(rule.fast)),
            )
        return None

    def arrays(self) -> dict[str, Any]:
        """Return the record as named arrays, for `numpy.savez`."""
        out: dict[str, Any] = {
            "t": self.t,
            "weights": self.weights,
            "target": self.target,
            "noise": self.noise,
            "lr": self.lr,
            "tail": self.tail,
            "h": self.h,
            "m": self.m,
            "algorithm": self.algorithm.to_json(),
        }
        if self.hidden is not None:
            out["hidden"] = self.hidden
        return out


def _read_noise(periphery: Periphery | None) -> float:
    """Standard deviation of what an ADC adds to a scaled output: its noise, and rounding as uniform noise."""
    adc = (periphery or Periphery()).adc
    return math.sqrt(adc.noise**2 + (adc.step or 0.0) ** 2 / 12)


def _input_law(name: str) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights that integrate over the law of the inputs."""
    if name == "normal":
        return np.polynomial.hermite_e.hermegauss(60)
    if name == "uniform":
        return np.polynomial.legendre.leggauss(60)
    return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
