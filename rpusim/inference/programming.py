"""Writing in closed loops, and tables of conductances that are found by search."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG, generator, seed_sequence
from rpusim._base.validation import boolean, instance, integer_value, physical, real, real_values, shown, signal
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.inference.chip import Chip
from rpusim.inference.converters import DifferentialPair, TablePair
from rpusim.inference.models import checked_times
from rpusim.inference.programmed import ProgrammedArray

__all__ = ["GradientProgramming", "TableSearch", "optimize_tables", "program_by_gradient"]

_is_array = instance(CrossbarArray, "a CrossbarArray")
_is_chip = instance(Chip, "a Chip")


class GradientProgramming(NamedTuple):
    """What `program_by_gradient` did.

    Attributes
    ----------
    errors : float64 array (iterations,)
        Relative errors of products of every batch, before its update.
    converged : bool
        Whether the mean of the last errors came below the tolerance.
    pulses : int
        Fired for it.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> array = rpu.CrossbarArray((4, 8), rpu.devices.ConstantStep(dw_min=0.001), forward=rpu.Periphery.ideal(), rng=0)
    >>> goal = np.random.default_rng(0).uniform(-0.3, 0.3, (4, 8))
    >>> done = rpu.inference.program_by_gradient(array, goal, lr=5.0, iterations=20)
    >>> done.errors.shape[0] <= 20, bool(done.errors[-1] < done.errors[0])
    (True, True)
    """

    errors: NDArray[np.float64]
    converged: bool
    pulses: int


def program_by_gradient(
    array: CrossbarArray,
    weights: ArrayLike,
    *,
    inputs: str | ArrayLike = "normal",
    batch: int = 64,
    iterations: int = 200,
    lr: float = 0.1,
    anneal: bool = True,
    tolerance: float = 0.0,
    rng: RNG = 0,
) -> GradientProgramming:
    r"""Write weights into an array by gradient descent on its products, through its converters.

    Random inputs X are read, Y, and set beside exact products; pulses move the devices along the gradient of
    \|\|Y - X W^T\|\|^2 / 2 batch. Errors of the periphery that belong to the array (gains and offsets of ADCs, drops along
    wires) are compensated by the weights; what is read of single devices does not show them.

    Parameters
    ----------
    array : CrossbarArray
    weights : array_like (outputs, inputs)
    inputs : {"normal", "identity"} or array_like (n, inputs)
        Standard normal over 3, cut at +-1; single inputs; or rows of one's own, drawn at random.
    batch : int, default 64
    iterations : int, default 200
    lr : float, default 0.1
        Of the mean over the batch.
    anneal : bool, default True
        Whether the rate falls to a twentieth over the iterations. At a constant one noise s of outputs leaves errors of weights
        of s sqrt(lr / (2 batch)), for inputs of variance 1.
    tolerance : float, default 0
        Stop when the mean relative error of the last ten batches is below.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    GradientProgramming

    Notes
    -----
    Buechel et al. (2022), Gradient descent-based programming of analog in-memory computing cores, IEDM.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> array = rpu.CrossbarArray((4, 8), rpu.devices.ConstantStep(dw_min=0.001), forward=rpu.Periphery.ideal(), rng=0)
    >>> goal = np.random.default_rng(0).uniform(-0.3, 0.3, (4, 8))
    >>> done = rpu.inference.program_by_gradient(array, goal, lr=5.0)
    >>> bool(done.errors[-1] < 0.3 * done.errors[0]), done.pulses > 0
    (True, True)
    """
    cite("buechel2022")
    _is_array("array", array)
    goal = signal("weights", weights, array.shape)
    batch, count = integer_value("batch", batch, 1), integer_value("iterations", iterations, 1)
    rate, tolerance = physical(0.0, open_low=True)("lr", lr), real(0.0)("tolerance", tolerance)
    falling = boolean("anneal", anneal)
    draw = generator(seed_sequence(rng))
    rows = None if isinstance(inputs, str) else signal("inputs", inputs, (None, array.shape[1]))
    if rows is None and inputs not in ("normal", "identity"):
        raise ValueError(f"inputs must be 'normal', 'identity' or an array; got {shown(inputs)}")
    if rows is not None and len(rows) == 0:
        raise ValueError("inputs must have at least one row; got none")
    before, errors = sum(array.pulse_count), []
    for k in range(count):
        x = _batch(draw, batch, array.shape[1], rows, inputs)
        exact = x @ goal.T
        off = array.forward(x) - exact
        size = float(np.linalg.norm(exact))
        errors.append(float(np.linalg.norm(off)) / size if size > 0.0 else float(np.linalg.norm(off)))
        if len(errors) >= 10 and np.mean(errors[-10:]) < tolerance:
            break
        now = rate * (0.05 ** (k / count) if falling else 1.0)
        array.update(x, off, lr=now / len(x))
    last = float(np.mean(errors[-10:]))
    return GradientProgramming(np.array(errors), last < tolerance, sum(array.pulse_count) - before)


def _batch(draw: np.random.Generator, batch: int, inputs: int, rows: Any, kind: Any) -> NDArray[np.float32]:
    if rows is not None:
        return np.asarray(rows[draw.integers(0, len(rows), batch)], np.float32)
    if kind == "identity":
        x = np.zeros((batch, inputs), np.float32)
        x[np.arange(batch), draw.integers(0, inputs, batch)] = 1.0
        return x
    return np.clip(draw.standard_normal((batch, inputs)) / 3.0, -1.0, 1.0).astype(np.float32)


# ---- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TableSearch:
    """What `optimize_tables` found.

    Attributes
    ----------
    converter : TablePair
    loss, baseline : float
        Mean squared error of weights over the largest, after compensation and averaged over times, of the tables found and of
        `DifferentialPair`, for the same draws.
    evaluations : int

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> w = np.random.default_rng(0).normal(size=500)
    >>> found = rpu.inference.optimize_tables(w, knots=3, samples=200, maxiter=2, popsize=4, progress=False)
    >>> found.loss <= found.baseline, type(found.converter).__name__
    (True, 'TablePair')
    """

    converter: TablePair
    loss: float
    baseline: float
    evaluations: int


def optimize_tables(
    weights: ArrayLike,
    chip: Chip | None = None,
    times_s: Sequence[float] = (1.0, 3600.0, 86400.0),
    *,
    knots: int = 6,
    samples: int = 2000,
    maxiter: int = 40,
    popsize: int = 8,
    rng: RNG = 0,
    progress: bool = True,
) -> TableSearch:
    """Find the conductances of a pair, over the weight, that keep weights best over time.

    For every weight there are many pairs with the difference that it needs. Of each knot of a table from 0 to the largest
    weight, one number in 0 to 1 says where between the lowest and the highest such pair it lies; negative weights have the two
    exchanged. They are searched by differential evolution, all candidates with the same draws.

    Parameters
    ----------
    weights : array_like
        Whose distribution counts, of whatever shape.
    chip : Chip, optional
        Model, window and compensation; by default `Chip()`.
    times_s : sequence of float
        Over which the error is averaged.
    knots : int, default 6
        From 0 to the largest weight.
    samples : int, default 2000
        Weights that are tried, quantiles of those given.
    maxiter, popsize : int
        See `scipy.optimize.differential_evolution`.
    rng : int, SeedSequence, Generator or None
    progress : bool

    Returns
    -------
    TableSearch

    Notes
    -----
    After Mackin et al. (2022), Nat. Commun. 13, 3765; theirs has two pairs, significances among what is searched, and draws of
    its own for every candidate. The search begins at `DifferentialPair`, which is one of the candidates.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> w = np.random.default_rng(0).normal(size=500)
    >>> found = rpu.inference.optimize_tables(w, knots=3, samples=200, maxiter=2, popsize=4, progress=False)
    >>> chip = rpu.inference.Chip(converter=found.converter)
    >>> found.loss <= found.baseline
    True
    """
    cite("mackin2022")
    from scipy.optimize import differential_evolution

    base = Chip() if chip is None else _is_chip("chip", chip)
    flat = np.sort(np.ravel(real_values("weights", weights)))
    if len(flat) == 0 or not np.any(flat):
        raise ValueError("weights must have at least one that is not 0; got none")
    n, count = integer_value("knots", knots, 2, 100), integer_value("samples", samples, 10, 10_000_000)
    tried = np.quantile(flat, (np.arange(count) + 0.5) / count) / np.abs(flat).max()
    converter = base.converter
    if isinstance(converter, TablePair):
        raise ValueError("chip must have a window in a converter that is not a TablePair already; got one")
    low, high = converter.g_min_s, converter.g_max_s
    seeds = seed_sequence(rng)
    goals = np.append(tried, [1.0, -1.0])[None]  # both ends, so that the scale is the same
    times = checked_times(times_s)
    rounds, people = integer_value("maxiter", maxiter, 1, 100_000), integer_value("popsize", popsize, 1, 10_000)

    def error(pair: Any) -> float:
        array = ProgrammedArray(goals, base.replace(converter=pair, compensation=None), seeds)
        total = 0.0
        for t in times:
            w = array.weights(t)[0].astype(np.float64)
            alpha = np.vdot(w, goals) / max(float(np.vdot(w, w)), 1e-30) if base.compensation is not None else 1.0
            total += float(np.mean((alpha * w - goals[0]) ** 2))
        return total / len(times)

    def tables(x: NDArray[np.float64]) -> TablePair:
        difference = np.linspace(0.0, high - low, n)
        plus = low + difference + x * (high - low - difference)
        minus = plus - difference
        both = [np.concatenate([a[:0:-1], b]) for a, b in ((minus, plus), (plus, minus))]
        p, m = (tuple(np.clip(one, low, high).tolist()) for one in both)
        return TablePair(low, high, converter.scale, converter.idle, plus=(p,), minus=(m,))

    seeded = "rng" if "rng" in inspect.signature(differential_evolution).parameters else "seed"  # before SciPy 1.15
    quiet = None if boolean("progress", progress) else True
    with progress_bar(total=rounds, desc="tables", disable=quiet, leave=False) as bar:
        found = differential_evolution(
            lambda x: error(tables(x)), [(0.0, 1.0)] * n, maxiter=rounds, popsize=people, polish=False, tol=1e-3,
            callback=lambda *_, **__: bar.update() and None, init="sobol", x0=np.zeros(n), **{seeded: generator(seeds)},
        )  # fmt: skip
    plain = DifferentialPair(low, high, converter.scale, converter.idle)
    return TableSearch(tables(found.x), float(found.fun), error(plain), int(found.nfev))
