"""Hyperdimensional computing: symbols as long random vectors, bound, permuted, bundled, and compared in an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.validation import choice, integer_value, plain_array, real_array, room_for, shown
from rpusim.applications.stored import StoredMatrix

__all__ = [
    "AssociativeMemory",
    "ItemMemory",
    "LevelMemory",
    "bind",
    "bundle",
    "encode_ngrams",
    "encode_signals",
    "permute",
]

MOST_GRAMS = 2048  # n-grams whose vectors are made at a time
_is_binding = choice("product", "minterms")
_is_kind = choice("binary", "dot", "integer")


def _numbers(name: str, value: ArrayLike) -> NDArray[Any]:
    """An array of real numbers, of the type that it has."""
    array = plain_array(name, value, "real numbers")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be an array of real numbers; got {shown(value)}")
    return array


def bind(a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Return the product of bipolar vectors, element by element: as unlike both as any random vector, and its own inverse.

    Parameters
    ----------
    a, b : array_like

    Returns
    -------
    ndarray

    Examples
    --------
    >>> bind([1, -1, 1], [1, 1, -1]).tolist()
    [1, -1, -1]
    """
    return _numbers("a", a) * _numbers("b", b)


def permute(a: ArrayLike, times: int = 1) -> NDArray[Any]:
    """Return vectors rolled by some places along their last axis: unlike themselves, and undone by -times.

    Parameters
    ----------
    a : array_like
    times : int, default 1

    Returns
    -------
    ndarray

    Examples
    --------
    >>> permute([1, 2, 3]).tolist()
    [3, 1, 2]
    """
    return np.roll(_numbers("a", a), integer_value("times", times), axis=-1)


def bundle(sums: ArrayLike, rng: RNG = None) -> NDArray[np.int8]:
    """Return the signs of sums of vectors, the bipolar vectors most like all of them; where a sum is 0, at random.

    Parameters
    ----------
    sums : array_like (..., dimension)
    rng : int, SeedSequence, Generator or None
        Of ties.

    Returns
    -------
    ndarray of int8

    Examples
    --------
    >>> bundle([3, -1, 2]).tolist()
    [1, -1, 1]
    """
    values = _numbers("sums", sums)
    out = np.where(values > 0, 1, -1).astype(np.int8)
    ties = values == 0
    if ties.any():
        out[ties] = generator(seed_sequence(rng)).choice(np.array([-1, 1], np.int8), int(ties.sum()))
    return out


class ItemMemory:
    """A random bipolar vector for every symbol.

    Two are quasi-orthogonal: the mean of their products has the mean 0 and the variance 1 / dimension.

    Parameters
    ----------
    symbols, dimension : int
    array : optional
        Devices that hold the bits, SET for 1 and RESET for -1: a symbol is read as one line of them, above or below half of the
        largest; see `StoredMatrix`. None: exact.
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    vectors : int8 array (symbols, dimension)
        As they are read, of -1 and 1.

    Examples
    --------
    >>> import rpusim as rpu
    >>> items = rpu.applications.ItemMemory(27, 1000, rng=0)
    >>> items.vectors.shape, bool(abs(items.vectors[0].astype(int) @ items.vectors[1]) < 130)
    ((27, 1000), True)
    """

    def __init__(self, symbols: int, dimension: int, array: Any = None, rng: RNG = None) -> None:
        cite("karunaratne2020")
        n, d = integer_value("symbols", symbols, 1, 1 << 20), integer_value("dimension", dimension, 1, 1 << 24)
        room_for("dimension", dimension, n * d, 1)
        seeds = seed_sequence(rng)
        self.vectors: NDArray[np.int8] = self._drawn(generator(child(seeds, 0)), n, d)
        if array is not None:
            bits = StoredMatrix((self.vectors.T > 0).astype(np.float32), array, child(seeds, 1))
            self.vectors = np.where(bits.read(np.eye(n, dtype=np.float32)) > 0.5, 1, -1).astype(np.int8)

    def _drawn(self, draw: np.random.Generator, n: int, d: int) -> NDArray[np.int8]:
        return (2 * draw.integers(0, 2, (n, d), dtype=np.int8) - 1).astype(np.int8)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.vectors.shape[0]} vectors of {self.vectors.shape[1]}>"


class LevelMemory(ItemMemory):
    """A bipolar vector for every level of a quantity: the more alike, the nearer the levels are.

    From one level to the next the same number of places flip, no place twice, half of them in all: with the fraction u of the
    way between two levels the mean of their products is 1 - u, and the ends are quasi-orthogonal.

    Parameters
    ----------
    symbols : int
        Levels, at least 2.
    dimension : int
    array, rng
        As in `ItemMemory`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> v = rpu.applications.LevelMemory(5, 1000, rng=0).vectors.astype(int)
    >>> [int(v[0] @ v[k]) for k in range(5)]
    [1000, 750, 500, 250, 0]
    """

    def _drawn(self, draw: np.random.Generator, n: int, d: int) -> NDArray[np.int8]:
        integer_value("symbols", n, 2)
        out = np.tile((2 * draw.integers(0, 2, d, dtype=np.int8) - 1).astype(np.int8), (n, 1))
        order = draw.permutation(d)
        for k in range(1, n):
            out[k, order[: round(k * (d // 2) / (n - 1))]] *= -1
        return out


def _grams(tokens: NDArray[Any], n: int, symbols: int) -> NDArray[np.int64]:
    """Numbers of the n-grams of a text, the first symbol the most significant digit."""
    codes = np.zeros(max(len(tokens) - n + 1, 0), np.int64)
    for k in range(n):
        codes = codes * symbols + tokens[k : k + len(codes)]
    return codes


def _gram_vectors(codes: NDArray[np.int64], rolled: list[NDArray[np.int8]], binding: str) -> NDArray[np.float32]:
    """Vectors of n-grams: products of +-1, or 1 where all bits are alike and 0 elsewhere."""
    n, symbols = len(rolled), len(rolled[0])
    parts = [rolled[k][codes // symbols ** (n - 1 - k) % symbols] for k in range(n)]
    out = parts[0].copy()
    if binding == "product":
        for part in parts[1:]:
            out *= part
        return out.astype(np.float32)
    for part in parts[1:]:  # sums of signs: +-n where both minterms are
        out += part
    return (np.abs(out) == n).astype(np.float32)


def encode_ngrams(
    texts: Sequence[ArrayLike], items: ItemMemory, n: int = 4, *, binding: str = "product"
) -> NDArray[np.float32]:
    r"""Return the sum of the vectors of all n-grams of each text.

    With the permutation rho (`permute`) and items I, the vector of a gram a b c d is rho^3 I_a * rho^2 I_b * rho I_c * I_d.

    Parameters
    ----------
    texts : sequence of array_like of int (letters,)
        Places of symbols in `items`.
    items : ItemMemory
    n : int, default 4
    binding : {"product", "minterms"}
        How vectors are bound: by products, bits that are equal an even number of times; or by two minterms, as crossbars do
        in place: where all bits are 1, or all 0 (Karunaratne et al.), which is the same for n = 2 and sparser for more. Sums of
        minterms are counts, less what random bits give, 2^(1-n) of each.

    Returns
    -------
    ndarray of float32, shape (texts, dimension)
        A text shorter than n is 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> items = rpu.applications.ItemMemory(3, 8, rng=0)
    >>> a, b, c = items.vectors.astype(int)
    >>> (encode_ngrams([[0, 1, 2]], items, 2) == np.roll(a, 1) * b + np.roll(b, 1) * c).all()
    np.True_
    """
    from scipy.sparse import csr_matrix

    if not isinstance(items, ItemMemory):
        raise TypeError(f"items must be an ItemMemory; got {shown(items)}")
    kind = _is_binding("binding", binding)
    symbols, d = items.vectors.shape
    count = integer_value("n", n, 1, max(1, int(62 * np.log(2) / np.log(max(symbols, 2)))))
    rolled = [permute(items.vectors, count - 1 - k) for k in range(count)]
    codes = [_grams(_tokens(k, text, symbols), count, symbols) for k, text in enumerate(texts)]
    room_for("texts", f"{len(codes)} texts", len(codes) * d)
    lengths = np.array([len(one) for one in codes], np.int64)
    every = np.concatenate([*codes, np.zeros(0, np.int64)])
    distinct, place = np.unique(every, return_inverse=True)
    rows = np.repeat(np.arange(len(codes)), lengths)
    counts = csr_matrix((np.ones(len(every), np.float32), (rows, place)), shape=(len(codes), len(distinct))).tocsc()
    out = np.zeros((len(codes), d), np.float32)
    for start in range(0, len(distinct), MOST_GRAMS):
        part = counts[:, start : start + MOST_GRAMS]
        vectors = _gram_vectors(distinct[start : start + MOST_GRAMS], rolled, kind)
        out += part.toarray() @ vectors if part.nnz > 0.05 * np.prod(part.shape) else part.tocsr() @ vectors
    if kind == "minterms":
        out -= (lengths * np.float64(0.5) ** (count - 1)).astype(np.float32)[:, None]
    return out


def _tokens(k: int, text: ArrayLike, symbols: int) -> NDArray[Any]:
    tokens = plain_array(f"texts[{k}]", text, "integers")
    if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
        raise TypeError(f"texts[{k}] must be a row of integers; got {shown(text)}")
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < symbols:
        raise ValueError(f"texts[{k}] must hold integers from 0 to {symbols - 1}; got {tokens.min()} to {tokens.max()}")
    return tokens.astype(np.int64)


def encode_signals(
    levels: ArrayLike,
    channels: ItemMemory,
    values: LevelMemory,
    n: int = 4,
    *,
    window: int = 8,
    hop: int = 5,
    rng: RNG = None,
) -> NDArray[np.float32]:
    r"""Return the vectors of windows of a signal with several channels, sums over their n-grams in time.

    At each time the channels are bundled, S_t = sign(sum_c C_c * V_level(c, t)), ties at random; S_t are bound in time as
    letters are, rho^(n-1) S_t * ... * S_(t+n-1); and a window is the sum of its window - n + 1 n-grams.

    Parameters
    ----------
    levels : array_like of int (times, channels)
        Places of the values in `values`.
    channels : ItemMemory
    values : LevelMemory
    n : int, default 4
    window, hop : int, default 8 and 5
        Times of a window, and from the beginning of one to that of the next.
    rng : int, SeedSequence, Generator or None
        Of ties.

    Returns
    -------
    ndarray of float32, shape (1 + (times - window) // hop, dimension)

    Notes
    -----
    Rahimi et al. (2016), Hyperdimensional biosignal processing.

    Examples
    --------
    >>> import rpusim as rpu
    >>> channels, values = rpu.applications.ItemMemory(2, 64, rng=0), rpu.applications.LevelMemory(4, 64, rng=1)
    >>> encode_signals([[0, 3]] * 13, channels, values, rng=2).shape
    (2, 64)
    """
    table = plain_array("levels", levels, "integers")
    for name, kind, given in (("channels", ItemMemory, channels), ("values", LevelMemory, values)):
        if not isinstance(given, kind):
            raise TypeError(f"{name} must be a{'n' if kind is ItemMemory else ''} {kind.__name__}; got {shown(given)}")
    count, d = channels.vectors.shape
    if table.ndim != 2 or table.shape[1] != count or table.dtype.kind not in "iu":
        raise ValueError(f"levels must be integers of shape (any, {count}); got shape {table.shape} of {table.dtype}")
    if table.size and not 0 <= table.min() <= table.max() < len(values.vectors):
        raise ValueError(f"levels must be from 0 to {len(values.vectors) - 1}; got {table.min()} to {table.max()}")
    if values.vectors.shape[1] != d:
        raise ValueError(f"values must have the dimension {d} of channels; got {values.vectors.shape[1]}")
    grams = integer_value("n", n, 1)
    length, step = integer_value("window", window, grams), integer_value("hop", hop, 1)
    sums = np.zeros((len(table), d), np.int16)
    for c in range(count):
        sums += channels.vectors[c] * values.vectors[table[:, c]]
    spatial = bundle(sums, rng)
    total = max(len(spatial) - grams + 1, 0)
    bound = np.ones((total, d), np.int8)
    for k in range(grams):
        bound *= permute(spatial[k : k + total], grams - 1 - k)
    inner = length - grams + 1
    starts = np.arange(0, max(len(table) - length + 1, 0), step)
    out = np.zeros((len(starts), d), np.float32)
    for k in range(inner):
        out += bound[starts + k]
    return out


class AssociativeMemory:
    r"""Prototypes in arrays, and the one that is most like a query.

    "binary": bits p of the prototypes and their complements in two arrays, read by the bits q of the query and its complement,
    p . q + (1 - p) . (1 - q) = dimension - Hamming distance. "dot": p . q alone, one array. "integer": cosines of the sums,
    prototypes of length 1 in one array of devices for both signs.

    Parameters
    ----------
    prototypes : array_like (classes, dimension)
        Sums of the vectors of each class; "binary" and "dot" take their signs.
    array : optional
        What holds them; see `StoredMatrix`.
    kind : {"binary", "dot", "integer"}
    rng : int, SeedSequence, Generator or None
        Of arrays, and of ties in signs.

    Attributes
    ----------
    stored : list of StoredMatrix

    Notes
    -----
    Karunaratne et al. (2020), In-memory hyperdimensional computing, Nat. Electron. 3, 327.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> prototypes = rpu.applications.ItemMemory(5, 1000, rng=0).vectors
    >>> memory = rpu.applications.AssociativeMemory(prototypes, rng=1)
    >>> noisy = np.where(np.random.default_rng(2).random((5, 1000)) < 0.3, -prototypes, prototypes)
    >>> memory.classify(noisy).tolist()
    [0, 1, 2, 3, 4]
    """

    def __init__(self, prototypes: ArrayLike, array: Any = None, kind: str = "binary", rng: RNG = None) -> None:
        self.kind = _is_kind("kind", kind)
        sums = real_array("prototypes", prototypes, (None, None))
        self._seeds = seed_sequence(rng)
        if self.kind == "integer":
            length = np.linalg.norm(sums, axis=1, keepdims=True)
            parts: list[NDArray[Any]] = [sums / np.where(length > 0.0, length, 1.0)]
        else:
            bits = (bundle(sums, child(self._seeds, 0)) > 0).astype(np.float32)
            parts = [bits, 1.0 - bits][: 2 if self.kind == "binary" else 1]
        self.stored = [StoredMatrix(part, array, child(self._seeds, 1 + k)) for k, part in enumerate(parts)]
        self._queries = 0

    def __repr__(self) -> str:
        return f"<AssociativeMemory, {self.kind}, {self.stored[0]!r}>"

    def scores(self, queries: ArrayLike, t_inference_s: float = 0.0) -> NDArray[np.float32]:
        """Return how like the prototypes some queries are, (queries, classes).

        Parameters
        ----------
        queries : array_like (queries, dimension)
            Sums of vectors, as they come from the encoders.
        t_inference_s : float, default 0
        """
        q = real_array("queries", queries, (None, self.stored[0].shape[1]))
        if self.kind == "integer":
            length = np.linalg.norm(q, axis=1, keepdims=True)
            return self.stored[0].read(q / np.where(length > 0.0, length, 1.0), t_inference_s)
        self._queries += 1
        bits = (bundle(q, child(self._seeds, 9, self._queries)) > 0).astype(np.float32)
        score = self.stored[0].read(bits, t_inference_s)
        return score if self.kind == "dot" else score + self.stored[1].read(1.0 - bits, t_inference_s)

    def classify(self, queries: ArrayLike, t_inference_s: float = 0.0) -> NDArray[np.int64]:
        """Return the class whose prototype is most like each query, (queries,)."""
        return self.scores(queries, t_inference_s).argmax(axis=1)
