"""Memory-augmented networks: keys of what was seen in an array, and what it was, found again by likeness."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.validation import boolean, choice, integer_value, physical, plain_array, real_array, real_values, shown
from rpusim.applications.stored import StoredMatrix
from rpusim.nn import Layer
from rpusim.nn.layer import check_gradient, no_forward

__all__ = ["Episode", "Episodes", "KeyValueMemory", "SupportMemory", "few_shot_accuracy", "sharpened"]

BETA = 10.0
_is_sharpening = choice("softabs", "softmax", "none")
_is_kind = choice("real", "bipolar", "binary")
_positive = physical(0.0, open_low=True)
_LEAST = 1e-12


def sharpened(a: ArrayLike, kind: str = "softabs", beta: float = BETA) -> NDArray[np.float64]:
    r"""Return how much likenesses count: sig(beta (a - 1/2)) + sig(beta (-a - 1/2)), or e^(beta a), or max(a, 0).

    "softabs" is nearly 0 for keys that have nothing to do with each other, as those of high dimension are, and so adds nothing
    for many of them; "softmax" adds 1 for each.

    Parameters
    ----------
    a : array_like
        Cosines.
    kind : {"softabs", "softmax", "none"}
    beta : float, default 10

    Returns
    -------
    ndarray of float64

    Notes
    -----
    Karunaratne et al. (2021).

    Examples
    --------
    >>> sharpened([0.0, 0.5, 1.0, -1.0]).round(3).tolist()
    [0.013, 0.5, 0.993, 0.993]
    """
    return _with_slope(real_values("a", a), _is_sharpening("kind", kind), _positive("beta", beta))[0]


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _with_slope(a: NDArray[np.float64], kind: str, beta: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if kind == "softabs":
        right, left = _sigmoid(beta * (a - 0.5)), _sigmoid(beta * (-a - 0.5))
        return right + left, beta * (right * (1.0 - right) - left * (1.0 - left))
    if kind == "softmax":
        w = np.exp(beta * (a - 1.0))  # up to a factor, which normalisation takes off
        return w, beta * w
    return np.maximum(a, 0.0), (a > 0.0).astype(np.float64)


class KeyValueMemory:
    r"""Keys in an array with a label each: queries are read against all keys at once.

    With a_j how like key j is to the query, and w_j the `sharpened` a_j, the probability of a class is the sum of the w_j of
    its keys over that of all. Likenesses, of keys and queries of d numbers::

        real      cosines, of keys of length 1
        bipolar   sign(q) . sign(k) / d
        binary    4 b(q) . b(k) / d - 1, b = 1 where positive and 0 elsewhere: one device for each bit, which is the bipolar
                  likeness where half of the bits are 1

    Parameters
    ----------
    keys : array_like (n, d)
    labels : array_like of int (n,)
    array : optional
        What holds the keys; see `StoredMatrix`.
    kind : {"bipolar", "real", "binary"}
    sharpening : {"softabs", "softmax", "none"}
    beta : float, default 10
    balanced : bool, default False
        Half of the bits of every key and query are 1: thresholds are medians, not 0. With "bipolar" and "binary" only.
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    stored : StoredMatrix
    classes : int64 array
        The labels, each once, in order.

    Notes
    -----
    Karunaratne et al. (2021), Robust high-dimensional memory-augmented neural networks, Nat. Commun. 12, 2468.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> keys = np.random.default_rng(0).normal(size=(4, 512))
    >>> wide = rpu.Periphery(adc=rpu.ADC(bits=8, bound=500.0, noise=0.0), bound_management="none")
    >>> memory = rpu.applications.KeyValueMemory(keys, [0, 0, 1, 1], rpu.inference.Chip(periphery=wide), rng=0)
    >>> memory.classify(keys + np.random.default_rng(1).normal(size=(4, 512))).tolist()
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        keys: ArrayLike,
        labels: ArrayLike,
        array: Any = None,
        kind: str = "bipolar",
        *,
        sharpening: str = "softabs",
        beta: float = BETA,
        balanced: bool = False,
        rng: RNG = None,
    ) -> None:
        cite("karunaratne2021")
        self.kind, self.sharpening = _is_kind("kind", kind), _is_sharpening("sharpening", sharpening)
        self.beta, self.balanced = _positive("beta", beta), boolean("balanced", balanced)
        if self.balanced and self.kind == "real":
            raise ValueError("balanced must be False for real keys, which have no thresholds; got True")
        k = real_array("keys", keys, (None, None))
        y = plain_array("labels", labels, "integers")
        if y.shape != (len(k),) or y.dtype.kind not in "iu":
            raise ValueError(f"labels must be an integer for each of the {len(k)} keys; got shape {y.shape} of {y.dtype}")
        self.classes, self._place = np.unique(y.astype(np.int64), return_inverse=True)
        self.stored = StoredMatrix(self._coded(k), array, rng)

    def __repr__(self) -> str:
        return f"<KeyValueMemory of {self.stored.shape[0]} keys, {self.kind}, {self.stored!r}>"

    def _coded(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.kind == "real":
            length = np.linalg.norm(v, axis=1, keepdims=True)
            return v / np.maximum(length, _LEAST)
        high = v > (np.median(v, axis=1, keepdims=True) if self.balanced else 0.0)
        return np.where(high, 1.0, 0.0 if self.kind == "binary" else -1.0)

    def likeness(self, queries: ArrayLike, t_inference_s: float = 0.0) -> NDArray[np.float64]:
        """Return how like the keys some queries (n, d) are, as the array gives it, (n, keys)."""
        d = self.stored.shape[1]
        y = self.stored.read(self._coded(real_array("queries", queries, (None, d))), t_inference_s).astype(np.float64)
        if self.kind == "real":
            return y
        return y / d if self.kind == "bipolar" else 4.0 * y / d - 1.0

    def probabilities(self, queries: ArrayLike, t_inference_s: float = 0.0) -> NDArray[np.float64]:
        """Return the probabilities of the classes, (n, classes); the same for all where nothing is alike."""
        w = sharpened(self.likeness(queries, t_inference_s), self.sharpening, self.beta)
        sums = np.zeros((len(w), len(self.classes)))
        np.add.at(sums.T, self._place, w.T)
        total = sums.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, sums / np.where(total > 0.0, total, 1.0), 1.0 / len(self.classes))

    def classify(self, queries: ArrayLike, t_inference_s: float = 0.0) -> NDArray[np.int64]:
        """Return the label of the most probable class of each query, (n,)."""
        return self.classes[self.probabilities(queries, t_inference_s).argmax(axis=1)]


class SupportMemory(Layer):
    r"""The last layer of a network that learns to remember: a batch is an episode, and its first samples are the memory.

    The first ways * shots vectors of a batch, `shots` of each class in order, are the keys; all others are queries, whose
    outputs are the logarithms of the probabilities that a `KeyValueMemory` of real keys gives them, so that the loss
    "cross_entropy" trains what is before it. Outputs of keys are 0, whatever they are, and have no gradient.

    Parameters
    ----------
    ways, shots : int
    sharpening : {"softabs", "softmax", "none"}
    beta : float, default 10

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.applications.SupportMemory(2, 1)
    >>> y = layer.forward(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1]], np.float32))
    >>> [round(float(p), 2) for p in np.exp(y[2])]
    [0.99, 0.01]
    """

    in_flight = ("_kept",)
    keeps_features = False

    def __init__(self, ways: int, shots: int = 1, sharpening: str = "softabs", beta: float = BETA) -> None:
        self.ways, self.shots = integer_value("ways", ways, low=1), integer_value("shots", shots, low=1)
        self.sharpening, self.beta = _is_sharpening("sharpening", sharpening), _positive("beta", beta)
        self.out_features = self.ways
        self._kept: Any = None

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        count = self.ways * self.shots
        if x.ndim != 2 or len(x) <= count:
            raise ValueError(f"x must have shape (more than {count}, any); got {x.shape}")
        v = x.astype(np.float64)
        length = np.maximum(np.linalg.norm(v, axis=1, keepdims=True), _LEAST)
        unit = v / length
        a = unit[count:] @ unit[:count].T
        w, slope = _with_slope(a, self.sharpening, self.beta)
        total = np.maximum(w.sum(axis=1, keepdims=True), _LEAST)
        p = np.maximum(w.reshape(len(w), self.ways, self.shots).sum(axis=2) / total, _LEAST)
        self._kept = (unit, length, a, slope, total, p) if train else None
        out = np.zeros((len(x), self.ways), np.float32)
        out[count:] = np.log(p)
        return out

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        unit, length, a, slope, total, p = self._kept
        check_gradient(d, (len(unit), self.ways))
        if not input_gradient:
            return None
        count = self.ways * self.shots
        d_p = d[count:].astype(np.float64) / p
        d_w = (np.repeat(d_p, self.shots, axis=1) - (d_p * p).sum(axis=1, keepdims=True)) / total
        d_a = d_w * slope
        keys, queries = unit[:count], unit[count:]
        back = np.empty_like(unit)
        back[count:] = d_a @ keys - (d_a * a).sum(axis=1)[:, None] * queries
        back[:count] = d_a.T @ queries - (d_a * a).sum(axis=0)[:, None] * keys
        return (back / length).astype(np.float32)


class Episode(NamedTuple):
    """One task: places of its samples among those of their classes.

    Attributes
    ----------
    classes : int64 array (ways,)
    drawings : int64 array (ways, shots + queries)
        The first `shots` of each class are to be remembered, the others asked for.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> episodes = rpu.applications.Episodes(np.zeros((10, 6, 4), np.float32), ways=3, shots=1, queries=2, count=1, rng=0)
    >>> task = episodes.draw(0)
    >>> task.classes.shape, task.drawings.shape
    ((3,), (3, 3))
    """

    classes: NDArray[np.int64]
    drawings: NDArray[np.int64]


class Episodes:
    """Tasks to learn from, as a `Trainer` takes them: batches for a network that ends with a `SupportMemory`.

    Parameters
    ----------
    samples : array_like (classes, drawings, ...)
    ways, shots, queries : int
        Classes of a task, and samples of each that are remembered and asked for.
    count : int
        Tasks of an epoch.
    rng : int, SeedSequence, Generator or None
        The same tasks whenever they are gone through.
    change : callable, optional
        ``change(batch, generator)``: samples disturbed at random.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> episodes = rpu.applications.Episodes(np.zeros((30, 20, 4), np.float32), 5, 1, 3, count=2, rng=0)
    >>> [(x.shape, y[:6].tolist()) for x, y in episodes]
    [((20, 4), [0, 1, 2, 3, 4, 0]), ((20, 4), [0, 1, 2, 3, 4, 0])]
    """

    def __init__(
        self,
        samples: ArrayLike,
        ways: int,
        shots: int = 1,
        queries: int = 3,
        count: int = 100,
        *,
        rng: RNG = None,
        change: Callable[[Any, np.random.Generator], Any] | None = None,
    ) -> None:
        self.samples = plain_array("samples", samples, "real numbers")
        if self.samples.ndim < 3:
            raise ValueError(f"samples must have shape (classes, drawings, ...); got {self.samples.shape}")
        self.ways = integer_value("ways", ways, 1, self.samples.shape[0])
        self.shots, self.queries = integer_value("shots", shots, 1), integer_value("queries", queries, 1)
        if self.shots + self.queries > self.samples.shape[1]:
            raise ValueError(
                f"shots and queries must be at most {self.samples.shape[1]} together, the drawings of a class; got {shots} and "
                f"{queries}"
            )
        self.count, self._seeds, self.change = integer_value("count", count, 1), seed_sequence(rng), change

    def __len__(self) -> int:
        return self.count

    def draw(self, k: int) -> Episode:
        """Return the places of the samples of task k."""
        draw = generator(child(self._seeds, k))
        classes = draw.permutation(self.samples.shape[0])[: self.ways]
        drawings = np.stack([draw.permutation(self.samples.shape[1])[: self.shots + self.queries] for _ in classes])
        return Episode(classes, drawings)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
        for k in range(self.count):
            episode = self.draw(k)
            picked = self.samples[episode.classes[:, None], episode.drawings]
            if self.change is not None:
                flat = picked.reshape(-1, *picked.shape[2:])
                picked = self.change(flat, generator(child(self._seeds, k, 1))).reshape(picked.shape)
            first, rest = picked[:, : self.shots], picked[:, self.shots :]
            x = np.concatenate([part.reshape(-1, *part.shape[2:]) for part in (first, rest)])
            y = np.concatenate([np.repeat(np.arange(self.ways), n) for n in (self.shots, self.queries)])
            yield x, y


def few_shot_accuracy(
    embedded: ArrayLike,
    ways: int,
    shots: int,
    *,
    queries: int = 3,
    episodes: int = 100,
    memory: Callable[..., KeyValueMemory] = KeyValueMemory,
    rng: RNG = 0,
) -> tuple[float, float]:
    """Return mean and standard error of the accuracy over tasks with classes that were never seen.

    Parameters
    ----------
    embedded : array_like (classes, drawings, d)
        Keys of all samples, as a controller makes them.
    ways, shots : int
    queries : int, default 3
        Of each class.
    episodes : int, default 100
    memory : callable
        ``memory(keys, labels, rng=...)``, with the seed of the task; by default a bipolar `KeyValueMemory`, exact.
    rng : int, SeedSequence, Generator or None
        The same tasks for the same seed, whatever the memory.

    Returns
    -------
    float, float

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> keys = np.random.default_rng(0).normal(size=(50, 1, 64)) + np.random.default_rng(1).normal(size=(50, 20, 64))
    >>> rpu.applications.few_shot_accuracy(keys, 5, 1)[0] > 0.7
    True
    """
    keys = real_array("embedded", embedded, (None, None, None))
    seeds = seed_sequence(rng)
    tasks = Episodes(keys, ways, shots, queries, episodes, rng=seeds)
    if not callable(memory):
        raise TypeError(f"memory must be a function of (keys, labels, rng=...); got {shown(memory)}")
    right = []
    for k, (x, y) in enumerate(tasks):
        count = tasks.ways * tasks.shots
        held = memory(x[:count], y[:count], rng=child(seeds, k, 2))
        right.append(float(np.mean(held.classify(x[count:]) == y[count:])))
    return float(np.mean(right)), float(np.std(right) / math.sqrt(len(right)))
