"""Small experiments on real pulses: one or two parameters trained by SGD and by SHD, with theory beside them.

Everything here goes through arrays, converters and pulse trains; nothing is simulated on the side.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
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
from rpusim.algorithms import SHD, Algorithm, named
from rpusim.algorithms.shd import SHDTile
from rpusim.devices import ConstantStep, Device, Ideal, LinearStep, SoftBounds
from rpusim.experiments.at_hand import drawn_by
from rpusim.experiments.record import RegressionRun

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
        drawn=drawn_by(tile),
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
