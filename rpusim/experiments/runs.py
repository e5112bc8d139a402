"""Small experiments on real pulses: one or two parameters trained by SGD and by SHD, with theory beside them.

Everything here goes through arrays, converters and pulse trains; nothing is simulated on the side.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim import theory
from rpusim._base import random as _random
from rpusim._base.notebook import as_html
from rpusim._base.processes import processors, shared_work
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG
from rpusim._base.validation import (
    axes_of,
    choice,
    instance,
    integer_value,
    plain_array,
    real,
    room_for,
    shown,
    signal,
)
from rpusim.algorithms import SGD, SHD, Algorithm, DigitalSGD, named
from rpusim.algorithms.base import column_periphery
from rpusim.algorithms.shd import SHDTile
from rpusim.devices import ConstantStep, Device, Ideal, LinearStep, PulsedDevice, SoftBounds
from rpusim.periphery.reads import Periphery
from rpusim.theory import SGDTrajectory, SHDFixedPoint, SHDTrajectory
from rpusim.theory.sgd import Regression

__all__ = [
    "RegressionRun",
    "demo_algorithm",
    "demo_device",
    "regression",
    "regressions",
    "sweep",
]

FloatArray = NDArray[np.float64]
_positive = real(0.0, open_low=True)
_non_negative = real(0.0)
_input = choice("normal", "binary", "uniform")
DEFAULT_STEPS = 30_000

#: Devices of the demonstrations: 2000 states in +-1, the cycle-to-cycle noise of Gokmen and Vlasov (2016), no spreads, so
#: that the mean device of the theory is the device at hand.
DEMO_DEVICES: dict[str, Device] = {
    name: kind(
        dw_min=0.001,
        dw_min_dtod=0.0,
        up_down_dtod=0.0,
        w_max=1.0,
        w_min=-1.0,
        w_max_dtod=0.0,
        w_min_dtod=0.0,
        **extra,  # type: ignore[arg-type]
    )
    for name, kind, extra in (
        ("constant-step", ConstantStep, {}),
        ("linear-step", LinearStep, {"gamma_up": 0.5, "gamma_down": 0.5, "gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0}),
        ("soft-bounds", SoftBounds, {}),
    )
} | {"ideal": Ideal()}


def demo_device(name: str) -> Device:
    """Return the demonstration device called "constant-step", "linear-step", "soft-bounds" or "ideal".

    Parameters
    ----------
    name : str

    Returns
    -------
    Device

    Examples
    --------
    >>> from rpusim import experiments
    >>> experiments.demo_device("soft-bounds").number_of_states
    2000.0
    """
    return DEMO_DEVICES[choice(*DEMO_DEVICES)("device", name)]


def demo_algorithm(name: str, device: Device) -> Algorithm:
    """Return an algorithm by its name on `device`: SHD with the rates of the demonstrations (relative to lr = 0.01), and all
    others of `algorithms.named` with their published settings.

    Parameters
    ----------
    name : str
    device : Device

    Returns
    -------
    Algorithm

    Examples
    --------
    >>> from rpusim import experiments
    >>> type(experiments.demo_algorithm("agad", experiments.demo_device("soft-bounds"))).__name__
    'AGAD'
    """
    if isinstance(name, str) and name == "shd":
        return SHD(device, device, fast_lr=1.0, slow_lr=2.0)
    return named.get(name, device)


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

    Examples
    --------
    >>> from rpusim import experiments
    >>> rule = experiments.demo_algorithm("shd", experiments.demo_device("soft-bounds"))
    >>> run = experiments.regression(rule, 0.5, steps=3000, rng=0)
    >>> run.weights.shape == run.hidden.shape, run.pulses > 0
    (True, True)
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

    _repr_html_ = as_html

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
        """Whether `theory` is that of the algorithm, and not just the target."""
        return isinstance(self.algorithm, (SGD, SHD, DigitalSGD))

    @property
    def theory(self) -> FloatArray:
        """Where theory has the weights settle.

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
                return np.clip(self.target, *(side - self.references[1] for side in theory.bounds(slow)))
        device = self.algorithm.device if isinstance(self.algorithm, SGD) else None
        if not isinstance(device, PulsedDevice):
            return self.target
        low, high = theory.bounds(device)
        return np.array(
            [
                theory.sgd_fixed_point(
                    device, Regression(float(goal), self.noise, self.input), self.m, self.h, min(max(float(start), low), high)
                )
                for goal, start in zip(self.target, self.weights[0], strict=True)
            ]
        )

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
        if not (self.lr * rule.fast_lr > 0.0 and self.lr * rule.slow_lr > 0.0):
            return None
        assert self.references is not None
        single = len(self.target) == 1
        measured = {} if single else {"m": self.m, "h": self.h}
        out: list[SHDFixedPoint | None] = []
        for goal, a_ref, c_ref in zip(self.target, *self.references, strict=True):
            points = theory.shd_fixed_points(
                rule.fast,
                slow,
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
        if len(self.target) != 1:
            return None
        start = float(self.weights[0, 0])
        if isinstance(rule, SGD) and isinstance(rule.device, PulsedDevice):
            return theory.sgd_trajectory(rule.device, self.regression, self.lr, self.steps, start)
        slow = (rule.slow or rule.fast) if isinstance(rule, SHD) else None
        if isinstance(rule, SHD) and isinstance(rule.fast, PulsedDevice) and isinstance(slow, PulsedDevice):
            assert self.references is not None and self.hidden is not None
            return theory.shd_trajectory(
                rule.fast,
                slow,
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


def _draw_samples(
    draws: np.random.Generator, law: str, target: FloatArray, noise: float, steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return inputs (steps, n) by their law, and the noisy outputs (steps,) of the target."""
    shape = (steps, len(target))
    if law == "normal":
        x = draws.standard_normal(shape)
    elif law == "binary":
        x = draws.choice([-1.0, 1.0], shape)
    else:
        x = draws.uniform(-1.0, 1.0, shape)
    inputs = x.astype(np.float32)
    return inputs, (inputs @ target + noise * draws.standard_normal(steps)).astype(np.float32)


def regression(
    algorithm: Algorithm,
    target: ArrayLike = 0.5,
    *,
    noise: float = 0.2,
    lr: float = 0.01,
    steps: int = DEFAULT_STEPS,
    start: ArrayLike = 0.0,
    start_hidden: ArrayLike = 0.0,
    input: str = "normal",
    tail: float = 1 / 3,
    rng: RNG = None,
    progress: bool = False,
) -> RegressionRun:
    r"""Train y = G . x on samples y = G0 . x + noise, one vector at a time, on a 1 x n array.

    Per sample: read y through the converters, form the error d = y - (G0 . x + noise gamma), update with (x, d). This is the
    experiment of Onen et al. (2022), Fig. 1 (one parameter) and Fig. 3 (two).

    Parameters
    ----------
    algorithm : Algorithm
    target : float or array_like (n,)
        G0; its length is the number of parameters.
    noise : float, default 0.2
        Standard deviation of the noise of the samples.
    lr : float, default 0.01
    steps : int, default 30000
        Number of samples.
    start, start_hidden : float or array_like (n,)
        Weights (and A of SHD, relative to its reference; 0 for other algorithms) before the first sample.
    input : {"normal", "binary", "uniform"}
        Law of x: standard normal, +-1, or uniform in [-1, 1].
    tail : float, default 1/3
        Last part of the run, over which averages are taken.
    rng : int, SeedSequence, Generator or None
    progress : bool, default False
        Show a progress bar (on a terminal only).

    Returns
    -------
    RegressionRun

    Examples
    --------
    >>> import rpusim as rpu
    >>> from rpusim.experiments import demo_algorithm, demo_device, regression
    >>> run = regression(demo_algorithm("sgd", demo_device("constant-step")), 0.5, steps=3000, rng=0)
    >>> bool(abs(run.mean[0] - 0.5) < 0.05)
    True
    """
    instance(Algorithm, "an algorithm of rpusim.algorithms")("algorithm", algorithm)
    goal = _goal(target)
    n = len(goal)
    noise, lr = _non_negative("noise", noise), _positive("lr", lr)
    steps = integer_value("steps", steps, 20)
    room_for("steps", steps, 8 * n * steps)
    tail = real(0.0, 1.0, open_low=True)("tail", tail)
    _input("input", input)
    seeds = _random.seed_sequence(rng)
    samples = _random.generator(_random.child(seeds, 0))
    tile = algorithm.build((1, n), _random.child(seeds, 1))
    hidden = tile.fast if isinstance(tile, SHDTile) else None
    tile.program(_row("start", start, n))
    hidden_row = _row("start_hidden", start_hidden, n)
    if hidden is not None:
        hidden.program(hidden_row)
    elif np.any(hidden_row):
        raise ValueError(
            f"start_hidden must be 0 for algorithms without A, unlike SHD; got {shown(start_hidden)} for {shown(algorithm)}"
        )
    x, y = _draw_samples(samples, input, goal, noise, steps)
    weights = np.empty((steps + 1, 1, n), np.float32)
    fast = np.empty((steps + 1, 1, n), np.float32) if hidden is not None else None
    errors = np.empty((steps, 1), np.float32)
    read = np.empty(1, np.float32)
    weights[0] = tile.weights
    if fast is not None:
        fast[0] = hidden.weights  # type: ignore[union-attr]
    rows = zip(x, y[:, None], errors, strict=True)
    # no bar, no lock of processes, which one that is ended would leave behind
    bar = progress_bar(rows, total=steps, desc="regression", unit="sample", disable=None, leave=False) if progress else rows
    for k, (inputs, wanted, d) in enumerate(bar, 1):
        np.subtract(tile.forward(inputs, read), wanted, out=d)
        tile.update(inputs, d, lr)
        tile.end_batch()
        weights[k] = tile.weights
        if fast is not None:
            fast[k] = hidden.weights  # type: ignore[union-attr]

    first = steps - max(1, round(tail * steps))
    references = None
    if isinstance(tile, SHDTile):
        references = np.concatenate([tile.fast.reference.weights, tile.slow.reference.weights]).astype(np.float64)
    return RegressionRun(
        algorithm=algorithm,
        target=goal,
        noise=noise,
        lr=lr,
        input=input,
        steps=steps,
        t=np.arange(steps + 1),
        weights=weights[:, 0].astype(np.float64),
        hidden=None if fast is None else fast[:, 0].astype(np.float64),
        references=references,
        tail=first + 1,
        h=float(np.mean(np.square(x[first:], dtype=np.float64))),
        m=float(np.mean(np.abs(errors[first:] * x[first:]), dtype=np.float64)),
        pulses=sum(tile.pulse_count),
    )


def _goal(target: ArrayLike) -> FloatArray:
    """One target or several, as float64; float32 must hold them, too."""
    goal = np.atleast_1d(plain_array("target", target, "real numbers"))
    signal("target", goal, (None,))
    return goal.astype(np.float64)


def _row(name: str, value: ArrayLike, n: int) -> NDArray[np.float32]:
    """One number for all parameters, or one each, as weights (1, n)."""
    row = signal(name, np.full(n, plain_array(name, value, "real numbers")) if axes_of(value, 1) == 0 else value, (n,))
    return row[None, :]


def sweep(
    algorithms: Iterable[Algorithm],
    targets: Iterable[float],
    *,
    rng: RNG = None,
    progress: bool = True,
    workers: int | None = 1,
    continuum: bool = False,
    **kwargs: Any,
) -> list[list[RegressionRun]]:
    """Run `regression` for every algorithm and every target; keyword arguments go to `regression`.

    Returns one list of runs, in the order of the targets, per algorithm.

    Every run has a seed of its own, which depends on its place in the lists only. `progress`, `workers` and `continuum` are
    those of `regressions`.

    Parameters
    ----------
    algorithms : iterable of Algorithm
    targets : iterable of float
    rng : int, SeedSequence, Generator or None
    progress, workers, continuum
        See `regressions`.
    **kwargs
        Others of `regression`.

    Returns
    -------
    list of list of RegressionRun

    Examples
    --------
    >>> from rpusim import experiments
    >>> device = experiments.demo_device("constant-step")
    >>> rules = [experiments.demo_algorithm("sgd", device)]
    >>> ((low, high),) = experiments.sweep(rules, [-0.2, 0.2], steps=2000, rng=0, progress=False)
    >>> round(float(low.mean[0]), 1), round(float(high.mean[0]), 1)
    (-0.2, 0.2)
    """
    seeds = _random.seed_sequence(rng)
    for name, given in (("algorithms", algorithms), ("targets", targets)):
        room_for(name, shown(given), len(given) if isinstance(given, Sized) else 0, 1000)
    rules, goals = list(algorithms), list(targets)
    jobs = [
        {"algorithm": rule, "target": target, "rng": _random.child(seeds, a, k), **kwargs}
        for a, rule in enumerate(rules)
        for k, target in enumerate(goals)
    ]
    runs = iter(regressions(jobs, progress=progress, workers=workers, continuum=continuum))
    return [[next(runs) for _ in goals] for _ in rules]


def regressions(
    jobs: Iterable[Mapping[str, Any]], *, progress: bool = True, workers: int | None = 1, continuum: bool = False
) -> list[RegressionRun]:
    """Run `regression` for every job, which is its arguments by name; the runs come in the order of the jobs.

    Parameters
    ----------
    jobs : iterable of dict
    progress : bool, default True
        Show progress bars (on a terminal only).
    workers : int or None, default 1
        Processes that share the runs, this one included; None: one per processor where the runs take longer than starting
        them. The runs are the same bits for any number. The others begin afresh, so a script that asks for them has to keep
        what it does under ``if __name__ == "__main__":``.
    continuum : bool, default False
        Integrate the continuum equations of every run beside it.

    Returns
    -------
    list of RegressionRun

    Examples
    --------
    >>> from rpusim import experiments
    >>> rule = experiments.demo_algorithm("sgd", experiments.demo_device("constant-step"))
    >>> jobs = [{"algorithm": rule, "target": target, "steps": 2000, "rng": 0} for target in (-0.2, 0.2)]
    >>> [round(float(run.mean[0]), 1) for run in experiments.regressions(jobs, progress=False)]
    [-0.2, 0.2]
    """
    # seeds are made here and in order: a generator among the jobs advances as if they ran one after another
    tasks = [{**job, "rng": _random.seed_sequence(job.get("rng"))} for job in jobs]
    workers = _worth(tasks) if workers is None else integer_value("workers", workers, 1)
    with progress_bar(total=len(tasks), desc="regression", unit="run", disable=None if progress else True) as bar:
        return shared_work(
            functools.partial(_run, continuum=continuum),
            tasks,
            min(workers, len(tasks)),
            bar.update,
            here={"progress": progress},
        )


def _run(task: dict[str, Any], *, continuum: bool, progress: bool = False) -> RegressionRun:
    run = regression(**{"progress": progress, **task})
    if continuum:
        run.continuum()
    return run


def _worth(tasks: list[dict[str, Any]]) -> int:
    """Processes that are worth starting: half of the runs must take longer than a process to start, about 1 s."""
    samples = sum(int(task.get("steps", DEFAULT_STEPS)) for task in tasks)
    return processors() if samples >= 300_000 else 1
