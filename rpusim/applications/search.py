"""Search of networks for chips: a space of small ones, a surrogate of what they will give, and evolution under constraints."""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.checkpoint import atomic_file
from rpusim._base.citing import cite
from rpusim._base.processes import shared_work
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.validation import axes_of, choice, fail, instance, integer_value, physical, real_array, shown, signal
from rpusim.inference import Chip, HardwareAware, evaluate, inference_cost, program
from rpusim.nn import Adam, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, Tanh, Trainer
from rpusim.nn import Mapping as Mapped
from rpusim.nn.losses import class_labels

__all__ = ["Measured", "Space", "Surrogate", "evolve", "measure", "network_of", "on_chip", "find_network"]

MONTH = 2592000.0
Candidate = tuple[Any, ...]
_is_kind = choice("gaussian_process", "ridge")
_positive = physical(0.0, open_low=True)
_FORMAT = "rpusim search"


class Space:
    """All that networks may be: genes, and what each may be.

    Parameters
    ----------
    genes : mapping of str to sequence
        Choices of each, numbers or text. By default those of small convolutional networks, see `network_of`: width 8 to 32,
        depth 1 to 3, kernel 3 or 5, hidden 32 to 128, activation "relu" or "tanh": 144 networks.

    Examples
    --------
    >>> space = Space({"width": (8, 16), "activation": ("relu", "tanh")})
    >>> len(space), space.all()[0], space.features([(8, "relu"), (16, "tanh")]).tolist()
    (4, (8, 'relu'), [[3.0, 1.0, 0.0], [4.0, 0.0, 1.0]])
    """

    def __init__(self, genes: Mapping[str, Sequence[Any]] | None = None) -> None:
        default = {
            "width": (8, 16, 24, 32), "depth": (1, 2, 3), "kernel": (3, 5), "hidden": (32, 64, 128),
            "activation": ("relu", "tanh"),
        }  # fmt: skip
        chosen = default if genes is None else genes
        if not isinstance(chosen, Mapping) or not chosen:
            raise TypeError(f"genes must be choices by name, at least one; got {shown(genes)}")
        self.genes: dict[str, tuple[Any, ...]] = {}
        for name, choices in chosen.items():
            own = tuple(choices) if not isinstance(choices, str) else ()
            numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) and one > 0 for one in own)
            if not own or len(set(own)) < len(own) or not (numbers or all(isinstance(one, str) for one in own)):
                fail(f"genes[{name!r}]", "different positive numbers, or different texts", choices)
            self.genes[name] = own

    def __len__(self) -> int:
        return math.prod(len(choices) for choices in self.genes.values())

    def __repr__(self) -> str:
        return f"Space({self.genes!r})"

    def all(self) -> list[Candidate]:
        """Return all candidates: tuples of choices, in order of the genes."""
        return list(itertools.product(*self.genes.values()))

    def draw(self, rng: RNG = None) -> Candidate:
        """Return a candidate drawn at random."""
        own = generator(seed_sequence(rng))
        return tuple(choices[int(own.integers(len(choices)))] for choices in self.genes.values())

    def mutated(self, candidate: Candidate, rng: RNG = None) -> Candidate:
        """Return a candidate of which one gene, drawn among those with a choice, is another."""
        own, values = generator(seed_sequence(rng)), list(self.check(candidate))
        free = [k for k, choices in enumerate(self.genes.values()) if len(choices) > 1]
        if free:
            k = free[int(own.integers(len(free)))]
            others = [one for one in list(self.genes.values())[k] if one != values[k]]
            values[k] = others[int(own.integers(len(others)))]
        return tuple(values)

    def check(self, candidate: Any) -> Candidate:
        """Return a candidate as a tuple; ValueError where it is not of this space."""
        own = tuple(candidate) if isinstance(candidate, (tuple, list)) else ()
        if len(own) != len(self.genes) or any(one not in known for one, known in zip(own, self.genes.values(), strict=True)):
            fail("candidate", f"one choice of each gene of {self.genes}", candidate)
        return own

    def features(self, candidates: Iterable[Candidate]) -> NDArray[np.float64]:
        """Return numbers for a surrogate, (candidates, features): log2 of numbers, and texts as ones among zeros."""
        rows = []
        for candidate in candidates:
            row: list[float] = []
            for value, choices in zip(self.check(candidate), self.genes.values(), strict=True):
                row += [float(value == one) for one in choices] if isinstance(value, str) else [math.log2(value)]
            rows.append(row)
        return np.array(rows, np.float64)


_is_space = instance(Space, "a Space")


def network_of(candidate: Mapping[str, Any], shape: tuple[int, int, int], classes: int) -> Sequential:
    """Return a convolutional network, not built: `depth` blocks of a convolution, the activation and a pool, and two layers.

    Parameters
    ----------
    candidate : mapping
        width (channels), depth, kernel, hidden, activation ("relu" or "tanh").
    shape : (channels, height, width)
        Of the inputs. Pools of 2 x 2 stop where a side would be less than 2.
    classes : int

    Returns
    -------
    nn.Sequential

    Examples
    --------
    >>> genes = {"width": 8, "depth": 1, "kernel": 3, "hidden": 32, "activation": "relu"}
    >>> len(network_of(genes, (1, 8, 8), 10).layers)
    7
    """
    names = ("width", "depth", "kernel", "hidden", "activation")
    if not isinstance(candidate, Mapping) or not all(name in candidate for name in names):
        raise TypeError(f"candidate must be a mapping with {', '.join(names)}; got {shown(candidate)}")
    rule, mapping = HardwareAware(()), Mapped(digital_bias=True)
    function = {"relu": ReLU, "tanh": Tanh}[choice("relu", "tanh")("candidate['activation']", candidate["activation"])]
    sizes = {name: integer_value(f"candidate[{name!r}]", candidate[name], 1, 1 << 16) for name in names[:-1]}
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        raise TypeError(f"shape must be (channels, height, width); got {shown(shape)}")
    channels, height, width = (integer_value(f"shape[{k}]", side, 1, 1 << 16) for k, side in enumerate(shape))
    layers: list[Any] = []
    for _ in range(sizes["depth"]):
        kernel = sizes["kernel"]
        layers += [Conv2d(channels, sizes["width"], kernel, rule, padding=kernel // 2, mapping=mapping), function()]
        channels = sizes["width"]
        if min(height, width) >= 4:
            layers.append(MaxPool2d(2))
            height, width = height // 2, width // 2
    layers += [Flatten(), Linear(channels * height * width, sizes["hidden"], rule, mapping=mapping), function()]
    return Sequential(*layers, Linear(sizes["hidden"], classes, rule, mapping=mapping))


class Measured(NamedTuple):
    """What a candidate is worth.

    Attributes
    ----------
    accuracy : float
        After a month on the chip, mean over programmings.
    variation : float
        Accuracy after a second less that after a month.
    before : float
        Of the digital network.
    parameters : int
    energy_j : float
        Of one inference.

    Examples
    --------
    >>> import rpusim as rpu
    >>> found = rpu.applications.Measured(accuracy=0.9, variation=0.02, before=0.95, parameters=1200, energy_j=3e-9)
    >>> round(found.before - found.accuracy, 3)  # what a month on the chip costs
    0.05
    """

    accuracy: float
    variation: float
    before: float
    parameters: int
    energy_j: float


def _pair(name: str, given: Any) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Inputs and labels of classes."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"{name} must be (inputs, labels); got {shown(given)}")
    x = signal(f"{name}[0]", given[0], (None,) * max(2, axes_of(given[0])))
    return x, class_labels(f"{name}[1]", given[1], len(x), 1 << 20)


def on_chip(
    candidate: Mapping[str, Any],
    *,
    train: tuple[Any, Any],
    test: tuple[Any, Any],
    chip: Chip | None = None,
    epochs: int = 3,
    lr: float = 2e-3,
    batch_size: int = 32,
    programmings: int = 3,
    seed: int = 0,
) -> Measured:
    """Train a candidate, write it onto a chip, and measure it after a second and a month, by `inference.evaluate`.

    Parameters
    ----------
    candidate : mapping
        As `network_of` takes it.
    train, test : (x, y)
        Images (n, channels, height, width) and labels.
    chip : Chip, optional
    epochs : int, default 3
        By Adam.
    lr : float, default 0.002
    batch_size : int, default 32
    programmings : int, default 3
    seed : int, default 0

    Returns
    -------
    Measured

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> x, y = np.random.default_rng(0).random((20, 1, 8, 8)).astype(np.float32), np.arange(20) % 2
    >>> genes = {"width": 4, "depth": 1, "kernel": 3, "hidden": 8, "activation": "relu"}
    >>> found = rpu.applications.on_chip(genes, train=(x, y), test=(x, y), epochs=1, programmings=1)
    >>> 0.0 <= found.accuracy <= 1.0, found.parameters
    (True, 578)
    """
    x, y = _pair("train", train)
    _pair("test", test)
    net = network_of(candidate, x.shape[1:], int(np.max(y)) + 1)
    net.build(seed)
    Trainer(net, lr=lr, rng=seed, batch_size=batch_size, optimizer=Adam()).fit((x, y), epochs=epochs, progress=False)
    result = evaluate(net, test, (1.0, MONTH), chip=chip, programmings=programmings, rng=seed, progress=False)
    first, last = result.mean.tolist()
    cost = inference_cost(program(net, Chip() if chip is None else chip, rng=seed), test[0][:8])
    count = sum(m.logical()[0].size + m.outputs for m in net.matrices())
    return Measured(last, first - last, result.reference, int(count), float(sum(cost.total.energy.values())))


def measure(
    space: Space,
    candidates: Iterable[Candidate],
    task: Callable[[dict[str, Any]], Measured],
    *,
    path: str | os.PathLike[str] | None = None,
    workers: int = 1,
    progress: bool = True,
) -> dict[Candidate, Measured]:
    """Return what candidates are worth, from a file where they were measured before.

    Parameters
    ----------
    space : Space
    candidates : iterable of tuples
        Each is measured once.
    task : callable
        From genes by name to a `Measured`: ``functools.partial(on_chip, train=..., test=...)``, for instance. With several
        processes it must be a function of a module, or a partial of one.
    path : path, optional
        JSON file that keeps what was measured, written after every few; of the same space and task, which nothing checks but
        the genes.
    workers : int, default 1
        Processes.
    progress : bool, default True

    Returns
    -------
    dict of Measured

    Examples
    --------
    >>> import rpusim as rpu
    >>> space = rpu.applications.Space({"width": (4, 8)})
    >>> def task(genes):
    ...     width = genes["width"]
    ...     return rpu.applications.Measured(0.9 + width / 100, 0.01, 0.99, 10 * width, 1e-9)
    >>> found = rpu.applications.measure(space, [(4,), (8,)], task, progress=False)
    >>> {genes: measured.parameters for genes, measured in found.items()}
    {(4,): 40, (8,): 80}
    """
    _is_space("space", space)
    if not callable(task):
        raise TypeError(f"task must be a function of genes; got {shown(task)}")
    wanted = list(dict.fromkeys(space.check(candidate) for candidate in candidates))
    found = _kept(space, path)
    missing = [candidate for candidate in wanted if candidate not in found]
    count = integer_value("workers", workers, 1)
    with progress_bar(total=len(wanted), initial=len(wanted) - len(missing), desc="networks", unit="network",
                      disable=None if progress else True, leave=False) as bar:  # fmt: skip
        for start in range(0, len(missing), count):
            some = missing[start : start + count]
            call = functools.partial(_called, task, tuple(space.genes))
            for candidate, one in zip(some, shared_work(call, some, count, bar.update), strict=True):
                found[candidate] = one
            if path is not None:
                rows = [[*candidate, *one] for candidate, one in found.items()]
                with atomic_file(path) as file:
                    file.write(json.dumps({"format": _FORMAT, "genes": space.genes, "rows": rows}).encode())
    return {candidate: found[candidate] for candidate in wanted}


def _called(task: Callable[[dict[str, Any]], Measured], names: tuple[str, ...], candidate: Candidate) -> Measured:
    return task(dict(zip(names, candidate, strict=True)))


def _kept(space: Space, path: str | os.PathLike[str] | None) -> dict[Candidate, Measured]:
    if path is None or not Path(path).exists():
        return {}
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        genes = {name: tuple(choices) for name, choices in data["genes"].items()}
        own = len(genes)
        rows = {tuple(row[:own]): Measured(*row[own:]) for row in data["rows"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"path must be a file that a search has written; {path} is damaged: {error}") from error
    if genes != space.genes:
        raise ValueError(f"path must be a file of the same space; {path} has the genes {shown(genes)}")
    return rows


class Surrogate:
    r"""What candidates will be worth, by what others were.

    "gaussian_process": mean and spread of a normal process whose covariance is s^2 exp(-|u - u'|^2 / (2 l^2)), of features u of
    mean 0 and spread 1, and noise of the values; l, s and the noise are those of the largest likelihood. "ridge": least squares
    of all products of two features, penalised; its spread is that of the residuals.

    Parameters
    ----------
    kind : {"gaussian_process", "ridge"}

    Examples
    --------
    >>> import numpy as np
    >>> u = np.linspace(0.0, 6.0, 13)[:, None]
    >>> mean, std = Surrogate().fit(u, np.sin(u[:, 0])).predict([[1.25], [40.0]])
    >>> bool(abs(mean[0] - np.sin(1.25)) < 0.02), bool(std[1] > 10 * std[0])
    (True, True)
    """

    def __init__(self, kind: str = "gaussian_process") -> None:
        self.kind = _is_kind("kind", kind)
        self._model: Any = None

    def __repr__(self) -> str:
        return f"Surrogate({self.kind!r})"

    def fit(self, features: ArrayLike, values: ArrayLike) -> Surrogate:
        """Learn from features (n, any) and values (n,), at least 3; return itself."""
        x = real_array("features", features, (None, None))
        y = real_array("values", values, (len(x),))
        if len(x) < 3:
            raise ValueError(f"features must be of at least 3 candidates; got {len(x)}")
        spread = x.std(axis=0)
        scale = x.mean(axis=0), np.where(spread > 0.0, spread, 1.0)
        u, level, size = (x - scale[0]) / scale[1], float(y.mean()), float(y.std()) or 1.0
        v = (y - level) / size
        own = self._process(u, v) if self.kind == "gaussian_process" else self._ridge(u, v)
        self._model = (scale, level, size, own)
        return self

    def predict(self, features: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the values of candidates with these features, (n,) each."""
        if self._model is None:
            raise RuntimeError("Surrogate: call fit(features, values) before predict")
        scale, level, size, own = self._model
        u = (real_array("features", features, (None, len(scale[0]))) - scale[0]) / scale[1]
        mean, std = own(u)
        return level + size * mean, size * std

    def _process(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> Any:
        from scipy.linalg import cho_factor, cho_solve
        from scipy.optimize import minimize

        squares = np.square(u[:, None] - u[None]).sum(axis=2)

        def system(p: NDArray[np.float64]) -> tuple[Any, NDArray[np.float64]]:
            length, signal, noise = np.exp(p)
            k = signal**2 * np.exp(-0.5 * squares / length**2) + (noise**2 + 1e-10) * np.eye(len(u))
            factor = cho_factor(k, lower=True)
            return factor, cho_solve(factor, v)

        def loss(p: NDArray[np.float64]) -> float:
            factor, alpha = system(p)
            return float(0.5 * v @ alpha + np.log(np.diag(factor[0])).sum())

        bounds = [(math.log(0.1), math.log(100.0)), (math.log(0.1), math.log(30.0)), (math.log(1e-4), math.log(2.0))]
        starts = [np.log([length, 1.0, noise]) for length in (1.0, 3.0) for noise in (0.05, 0.5)]
        best = min((minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts), key=lambda one: one.fun).x
        factor, alpha = system(best)
        length, signal, _ = np.exp(best)

        def at(w: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            k = signal**2 * np.exp(-0.5 * np.square(w[:, None] - u[None]).sum(axis=2) / length**2)
            variance = signal**2 - (k * cho_solve(factor, k.T).T).sum(axis=1)
            return k @ alpha, np.sqrt(np.maximum(variance, 0.0))

        return at

    def _ridge(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> Any:
        def products(w: NDArray[np.float64]) -> NDArray[np.float64]:
            pairs = [w[:, i] * w[:, j] for i in range(w.shape[1]) for j in range(i, w.shape[1])]
            return np.column_stack([np.ones(len(w)), w, *pairs])

        z = products(u)
        coefficients = np.linalg.solve(z.T @ z + 0.5 * np.eye(z.shape[1]), z.T @ v)
        spread = float(np.sqrt(np.mean(np.square(v - z @ coefficients))))
        return lambda w: (products(w) @ coefficients, np.full(len(w), spread))


def evolve(
    space: Space,
    score: Callable[[list[Candidate]], ArrayLike],
    *,
    population: int = 20,
    generations: int = 20,
    tournament: int = 3,
    elite: int = 2,
    allowed: Callable[[Candidate], bool] | None = None,
    rng: RNG = None,
) -> list[Candidate]:
    """Return the candidates of the last generation, the best first: evolution by tournaments and mutations of one gene.

    Parameters
    ----------
    space : Space
    score : callable
        Of a list of candidates: what is to be large, for each.
    population, generations : int, default 20
    tournament : int, default 3
        Candidates drawn of which the best has the next child.
    elite : int, default 2
        The best, which stay.
    allowed : callable, optional
        Candidates for which it is false are drawn anew; ValueError where a hundred draws from all of the space find none.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    list of tuple

    Examples
    --------
    >>> space = Space({"a": tuple(range(1, 30)), "b": tuple(range(1, 30))})
    >>> evolve(space, lambda some: [-abs(a - 20) - abs(b - 7) for a, b in some], generations=60, rng=0)[0]
    (20, 7)
    """
    _is_space("space", space)
    for name, given in (("score", score), ("allowed", allowed)):
        if given is not None and not callable(given):
            raise TypeError(f"{name} must be a function; got {shown(given)}")
    size, count = integer_value("population", population, 2), integer_value("tournament", tournament, 1)
    kept = integer_value("elite", elite, 0, size - 1)
    draw = generator(seed_sequence(rng))

    def one(make: Callable[[], Candidate]) -> Candidate:
        for way in (make, lambda: space.draw(draw)):
            for _ in range(100):
                found = way()
                if allowed is None or allowed(found):
                    return found
        raise ValueError("allowed must be true for some of the candidates; a hundred draws found none")

    group = [one(lambda: space.draw(draw)) for _ in range(size)]
    for generation in range(integer_value("generations", generations, 0) + 1):
        values = real_array("score", score(group), (size,))
        order = np.argsort(-values, kind="stable")
        group, values = [group[k] for k in order], values[order]
        if generation == generations:
            break
        children = []
        for _ in range(size - kept):
            best = int(draw.integers(size, size=count).min())  # of an ordered group
            children.append(one(lambda parent=group[best]: space.mutated(parent, draw)))  # type: ignore[misc]
        group = group[:kept] + children
    return group


def find_network(
    space: Space,
    task: Callable[[dict[str, Any]], Measured],
    budget: int,
    *,
    first: int = 10,
    each: int = 2,
    kind: str = "gaussian_process",
    most_parameters: int | None = None,
    most_energy_j: float | None = None,
    most_variation: float | None = None,
    path: str | os.PathLike[str] | None = None,
    workers: int = 1,
    rng: RNG = 0,
    progress: bool = True,
) -> tuple[Candidate, dict[Candidate, Measured]]:
    """Search the best candidate with few measurements, and return it with all that were measured.

    Some are drawn at random; a `Surrogate` learns from all that were measured, and one of each quantity that is bounded;
    evolution finds the candidates of the largest mean plus spread among those that are within the bounds, as far as is known;
    the best new ones are measured, and so on.

    Parameters
    ----------
    space : Space
    task : callable
        As in `measure`.
    budget : int
        Candidates that are measured in all.
    first : int, default 10
        Those drawn at random.
    each : int, default 2
        Those measured before the surrogate learns again.
    kind : {"gaussian_process", "ridge"}
    most_parameters, most_energy_j, most_variation : float, optional
        Bounds on what is measured: a candidate beyond is not the best.
    path, workers, progress
        As in `measure`.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    tuple, dict of Measured

    Raises
    ------
    ValueError
        If no candidate is within the constraints.

    Examples
    --------
    >>> space = Space({"a": tuple(range(1, 30)), "b": tuple(range(1, 30))})
    >>> def task(genes):
    ...     return Measured(1.0 - 0.001 * ((genes["a"] - 20) ** 2 + (genes["b"] - 7) ** 2), 0.0, 1.0, genes["a"], 0.0)
    >>> best, found = find_network(space, task, 30, progress=False)
    >>> found[best].accuracy > 0.99, len(found)
    (True, 30)
    """
    cite("benmeziane2023")
    _is_space("space", space)
    seeds = seed_sequence(rng)
    total = min(integer_value("budget", budget, 1), len(space))
    draw = generator(child(seeds, 0))
    everything = space.all()
    start = [everything[k] for k in draw.permutation(len(everything))[: min(integer_value("first", first, 3), total)]]
    options: dict[str, Any] = {"path": path, "workers": workers, "progress": progress}
    found = measure(space, start, task, **options)
    limits = (("parameters", most_parameters), ("energy_j", most_energy_j), ("variation", most_variation))
    bounds = {name: physical()(f"most_{name}", most) for name, most in limits if most is not None}

    def within(one: Measured) -> bool:
        return all(getattr(one, name) <= most for name, most in bounds.items())

    step = 0
    while len(found) < total:
        step += 1
        features = space.features(found)
        floor = min(one.accuracy for one in found.values())
        known = {
            name: Surrogate(kind).fit(features, [getattr(one, name) for one in found.values()])
            for name in ("accuracy", *bounds)
        }

        score = functools.partial(_promise, space, known, bounds, found, floor - 10.0)
        group = [one for one in dict.fromkeys(evolve(space, score, rng=child(seeds, step))) if one not in found]
        rest = (everything[k] for k in draw.permutation(len(everything)))
        group += [one for one in itertools.islice((one for one in rest if one not in found and one not in group), each)]
        new = group[: min(integer_value("each", each, 1), total - len(found))]
        found.update(measure(space, new, task, **options))
    good = [candidate for candidate, one in found.items() if within(one)]
    if not good:
        raise ValueError(
            f"most_parameters, most_energy_j and most_variation must leave a candidate; none of {len(found)} is within"
        )
    return max(good, key=lambda candidate: found[candidate].accuracy), found


def _promise(
    space: Space,
    known: Mapping[str, Surrogate],
    bounds: Mapping[str, float],
    found: Mapping[Candidate, Measured],
    none: float,
    some: list[Candidate],
) -> NDArray[np.float64]:
    """Mean plus spread of what candidates may be worth; `none` of those that are known, or are likely beyond a bound."""
    features = space.features(some)
    mean, std = known["accuracy"].predict(features)
    fit = np.array([one not in found for one in some])
    for name, most in bounds.items():
        middle, spread = known[name].predict(features)
        fit &= middle - spread <= most + 0.01 * abs(most)
    return np.where(fit, mean + std, none)
