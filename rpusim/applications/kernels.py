"""Kernels by random features: a random matrix on an array, elementary functions behind it, and a linear model on top."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.validation import (
    axes_of,
    boolean,
    choice,
    fail,
    instance,
    integer_value,
    optional,
    physical,
    real_array,
    shown,
)
from rpusim.algorithms import Algorithm
from rpusim.applications.stored import StoredMatrix
from rpusim.inference import Chip
from rpusim.nn import Layer, Linear, Mapping
from rpusim.nn.layer import check_gradient, no_forward
from rpusim.nn.network import Group

__all__ = ["KernelAttention", "RandomFeatures", "Ridge", "kernel_error", "kernel_matrix", "random_directions"]

KERNELS = ("rbf", "arccos0", "arccos1", "softmax")
_is_kernel = choice(*KERNELS)
_is_sampler = choice("gaussian", "orthogonal", "structured")
_positive = physical(0.0, open_low=True)
_of_chip = optional(instance((Chip, Algorithm), "a Chip or the specification of an algorithm"))


def random_directions(
    samples: int, inputs: int, sampler: str = "orthogonal", *, truncate: float | None = None, rng: RNG = None
) -> NDArray[np.float64]:
    """Return a random matrix (samples, inputs) whose rows are, each by itself, normal vectors, or nearly.

    Parameters
    ----------
    samples, inputs : int
    sampler : {"orthogonal", "gaussian", "structured"}
        "gaussian": independent normals. "orthogonal": blocks of `inputs` rows that are orthogonal (Q of a normal matrix), each
        times the length of a normal vector of its own, so that every row is normal, and estimates of kernels vary less.
        "structured": sqrt(n) H D1 H D2 H D3 with the Hadamard matrix H / sqrt(n) of the next power of two and diagonals of
        random signs, cut to the inputs: nearly normal, of entries that need no storage.
    truncate : float, optional
        Normals larger than this are drawn anew; with "gaussian" only.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    ndarray of float64, shape (samples, inputs)

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Notes
    -----
    Yu et al. (2016), Orthogonal random features.

    Examples
    --------
    >>> import numpy as np
    >>> w = random_directions(4, 4, rng=0)
    >>> bool(abs(w[0] @ w[1]) < 1e-12)
    True
    """
    s, d = integer_value("samples", samples, 1, 1 << 24), integer_value("inputs", inputs, 1, 1 << 24)
    kind, draw = _is_sampler("sampler", sampler), generator(seed_sequence(rng))
    if truncate is not None and kind != "gaussian":
        raise ValueError(f"truncate must be None with sampler={kind!r}, whose rows are no independent normals; got {truncate}")
    if kind == "gaussian":
        out = draw.standard_normal((s, d))
        if truncate is not None:
            most = _positive("truncate", truncate)
            if most < 0.1:
                fail("truncate", "at least 0.1", truncate)
            while (far := np.abs(out) > most).any():
                out[far] = draw.standard_normal(int(far.sum()))
        return out
    blocks = []
    if kind == "orthogonal":
        for _ in range(-(-s // d)):
            q, r = np.linalg.qr(draw.standard_normal((d, d)))
            blocks.append((q * np.sign(np.diag(r))).T)
        return np.concatenate(blocks)[:s] * np.sqrt(draw.chisquare(d, s))[:, None]
    n = 1 << (d - 1).bit_length()
    hadamard = np.ones((1, 1))
    while len(hadamard) < n:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    hadamard /= math.sqrt(n)
    for _ in range(-(-s // n)):
        block = np.eye(n)
        for _ in range(3):
            block = hadamard @ (draw.choice([-1.0, 1.0], n)[:, None] * block)
        blocks.append(math.sqrt(n) * block)
    return np.concatenate(blocks)[:s, :d]


def kernel_matrix(x: ArrayLike, y: ArrayLike | None = None, kernel: str = "rbf", *, gamma: float = 0.5) -> NDArray[np.float64]:
    """Return the kernel of all pairs of vectors, (n, m).

    "rbf": exp(-gamma |x - y|^2). With theta the angle between x and y, "arccos0": 1 - theta / pi, "arccos1":
    |x| |y| (sin theta + (pi - theta) cos theta) / pi. "softmax": exp(x . y).

    Parameters
    ----------
    x : array_like (n, inputs)
    y : array_like (m, inputs), optional
        By default x.
    kernel : {"rbf", "arccos0", "arccos1", "softmax"}
    gamma : float, default 0.5
        Of "rbf".

    Returns
    -------
    ndarray of float64

    Notes
    -----
    Cho and Saul (2009) for the kernels of angles.

    Examples
    --------
    >>> kernel_matrix([[0.0, 0.0], [1.0, 1.0]], gamma=0.5).round(4).tolist()
    [[1.0, 0.3679], [0.3679, 1.0]]
    """
    kind = _is_kernel("kernel", kernel)
    a = real_array("x", x, (None, None))
    b = a if y is None else real_array("y", y, (None, a.shape[1]))
    products = a @ b.T
    if kind == "softmax":
        return np.exp(products)
    squares, others = np.square(a).sum(axis=1)[:, None], np.square(b).sum(axis=1)
    if kind == "rbf":
        return np.exp(-_positive("gamma", gamma) * np.maximum(squares + others - 2.0 * products, 0.0))
    lengths = np.sqrt(squares * others)
    cosine = np.clip(products / np.where(lengths > 0.0, lengths, 1.0), -1.0, 1.0)
    theta = np.arccos(cosine)
    if kind == "arccos0":
        return 1.0 - theta / math.pi
    return lengths * (np.sin(theta) + (math.pi - theta) * cosine) / math.pi


def kernel_error(exact: ArrayLike, approximate: ArrayLike) -> float:
    """Return |K - K~| / |K|, in Frobenius norms.

    Parameters
    ----------
    exact, approximate : array_like (n, m)

    Returns
    -------
    float

    Examples
    --------
    >>> kernel_error([[3.0, 0.0], [0.0, 4.0]], [[3.0, 0.0], [0.0, 3.5]])
    0.1
    """
    k = real_array("exact", exact, (None, None))
    other = real_array("approximate", approximate, k.shape)
    size = float(np.linalg.norm(k))
    if size == 0.0:
        raise ValueError("exact must not be 0 everywhere, which errors are relative to")
    return float(np.linalg.norm(k - other)) / size


class RandomFeatures:
    r"""z(x) of which z(x) . z(y) is a kernel, in the mean over a random matrix that is held by an array.

    With u = Omega x as the array reads it, s samples::

        rbf       z = [cos u, sin u] / sqrt(s),           Omega normal times sqrt(2 gamma)
        arccos0   z = sqrt(2 / s) step(u)
        arccos1   z = sqrt(2 / s) max(u, 0)
        softmax   z = exp(-|x|^2 / 2) [e^u, e^-u] / sqrt(2 s)

    Parameters
    ----------
    inputs, samples : int
    kernel : {"rbf", "arccos0", "arccos1", "softmax"}
    sampler : {"orthogonal", "gaussian", "structured"}
        See `random_directions`.
    gamma : float, optional
        Of "rbf", by default 0.5.
    truncate : float, optional
        Of "gaussian".
    array : optional
        What holds Omega; see `StoredMatrix`.
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    stored : StoredMatrix
    features : int
        Length of z: 2 samples for "rbf" and "softmax", else samples.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Notes
    -----
    Rahimi and Recht (2007); Choromanski et al. (2021) for "softmax", whose features are positive; on phase-change memory:
    Buechel et al. (2024).

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> x = np.random.default_rng(0).normal(size=(50, 4))
    >>> features = rpu.applications.RandomFeatures(4, 512, gamma=0.2, array=rpu.inference.Chip(), rng=0)
    >>> exact = rpu.applications.kernel_matrix(x, gamma=0.2)
    >>> rpu.applications.kernel_error(exact, features.kernel_matrix(x)) < 0.15
    True
    """

    def __init__(
        self,
        inputs: int,
        samples: int,
        kernel: str = "rbf",
        sampler: str = "orthogonal",
        *,
        gamma: float | None = None,
        truncate: float | None = None,
        array: Any = None,
        rng: RNG = None,
    ) -> None:
        cite("rahimi2007", "buechel2024")
        self.kernel, self.sampler = _is_kernel("kernel", kernel), _is_sampler("sampler", sampler)
        if gamma is not None and self.kernel != "rbf":
            raise ValueError(f"gamma must be None for the kernel {self.kernel!r}; got {shown(gamma)}")
        self.gamma = 0.5 if gamma is None else _positive("gamma", gamma)
        seeds = seed_sequence(rng)
        omega = random_directions(samples, inputs, self.sampler, truncate=truncate, rng=child(seeds, 0))
        if self.kernel == "rbf":
            omega *= math.sqrt(2.0 * self.gamma)
        self.stored = StoredMatrix(omega, array, child(seeds, 1))
        self.features = self.stored.shape[0] * (2 if self.kernel in ("rbf", "softmax") else 1)

    def __repr__(self) -> str:
        return f"<RandomFeatures of the kernel {self.kernel!r}, {self.sampler}, {self.stored!r}>"

    def transform(self, x: ArrayLike, t_inference_s: float = 0.0) -> NDArray[np.float32]:
        """Return z (n, features) of vectors (n, inputs), the matrix as it is at a time."""
        x = real_array("x", x, (None, self.stored.shape[1])).astype(np.float32)
        u = self.stored.read(x, t_inference_s)
        s = u.shape[1]
        if self.kernel == "rbf":
            return np.concatenate([np.cos(u), np.sin(u)], axis=1) * np.float32(1.0 / math.sqrt(s))
        if self.kernel == "softmax":
            half = 0.5 * np.square(x).sum(axis=1, keepdims=True)
            return np.concatenate([np.exp(u - half), np.exp(-u - half)], axis=1) * np.float32(1.0 / math.sqrt(2.0 * s))
        z = np.maximum(u, 0.0) if self.kernel == "arccos1" else (u > 0.0).astype(np.float32)
        return z * np.float32(math.sqrt(2.0 / s))

    def kernel_matrix(self, x: ArrayLike, y: ArrayLike | None = None, t_inference_s: float = 0.0) -> NDArray[np.float64]:
        """Return z(x) . z(y) of all pairs, (n, m); with itself where y is None, by one read."""
        a = self.transform(x, t_inference_s).astype(np.float64)
        b = a if y is None else self.transform(y, t_inference_s).astype(np.float64)
        return a @ b.T


class Ridge:
    r"""Linear regression with a penalty: weights (Z^T Z + alpha 1)^-1 Z^T y, of features Z with a constant 1 beside them.

    The weight of the constant is penalised as the others are (Buechel et al. 2024).

    Parameters
    ----------
    alpha : float, default 0.5

    Attributes
    ----------
    coefficients : float64 array (features + 1,) or (features + 1, outputs)
        The last is of the constant. None before `fit`.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> z = np.arange(5.0)[:, None]
    >>> model = rpu.applications.Ridge(1e-9).fit(z, 3.0 * z[:, 0] + 1.0)
    >>> model.coefficients.round(6).tolist(), model.predict([[10.0]]).round(5).tolist()
    ([3.0, 1.0], [31.0])
    """

    def __init__(self, alpha: float = 0.5) -> None:
        self.alpha = _positive("alpha", alpha)
        self.coefficients: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        return f"Ridge({self.alpha})"

    def fit(self, z: ArrayLike, y: ArrayLike) -> Ridge:
        """Fit to features (n, features) and targets (n,) or (n, outputs); return itself."""
        from scipy.linalg import solve

        z = real_array("z", z, (None, None))
        target = real_array("y", y, (len(z),) if axes_of(y) == 1 else (len(z), None))
        both = np.column_stack([z, np.ones(len(z))])
        gram = both.T @ both
        gram[np.diag_indices_from(gram)] += self.alpha
        self.coefficients = solve(gram, both.T @ target, assume_a="pos")
        return self

    def predict(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return the outputs (n,) or (n, outputs) for features (n, features)."""
        if self.coefficients is None:
            raise RuntimeError("Ridge: call fit(z, y) before predict")
        z = real_array("z", z, (None, len(self.coefficients) - 1))
        return z @ self.coefficients[:-1] + self.coefficients[-1]


class KernelAttention(Group):
    r"""Self-attention whose softmax is a kernel by random features, at a cost linear in the length of the sequence.

    Per head of width h, with z the features of the softmax kernel (`RandomFeatures`) of q / h^(1/4) and k / h^(1/4)::

        y_i = sum_j (z(q_i) . z(k_j)) v_j / sum_j z(q_i) . z(k_j)

    over all j (by sum_j z(k_j) v_j^T, which is one matrix for all i), or over j <= i if causal (by all pairs). The random
    matrix is fixed, of all heads the same, and may be on an array; gradients take it as it was to be.

    Parameters
    ----------
    features, heads : int
        `heads` must divide `features`.
    rule : specification of an algorithm
        Of the projections and the output.
    samples : int, default 64
        Of the features, which are twice as many.
    causal : bool, default False
    seed : int, default 0
        Of the random matrix and its array, which are no state.
    array : Chip, specification of an algorithm, or None
        What holds the random matrix.
    mapping : Mapping or None
        Of the projections and the output.

    Notes
    -----
    Choromanski et al. (2021), Rethinking attention with performers. Features are stabilised by their largest exponent, which
    leaves y as it is.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.applications.KernelAttention(8, 2, rpu.algorithms.DigitalSGD())
    >>> layer.build(rng=0)
    >>> layer.forward(np.ones((3, 5, 8), np.float32)).shape
    (3, 5, 8)
    """

    in_flight = ("_kept",)

    def __init__(
        self,
        features: int,
        heads: int,
        rule: Algorithm,
        samples: int = 64,
        causal: bool = False,
        seed: int = 0,
        array: Any = None,
        mapping: Mapping | None = None,
    ) -> None:
        self.features, self.heads = integer_value("features", features, low=1), integer_value("heads", heads, low=1)
        if self.features % self.heads:
            raise ValueError(f"heads must divide features={self.features}; got {self.heads}")
        self.samples, self.causal = integer_value("samples", samples, 1, 1 << 20), boolean("causal", causal)
        self.seed, self.array, self.rule, self.mapping = integer_value("seed", seed, 0), _of_chip("array", array), rule, mapping
        self.projections = Linear(self.features, 3 * self.features, rule, mapping=mapping)
        self.output = Linear(self.features, self.features, rule, mapping=mapping)
        self.in_features = self.out_features = self.features
        width = self.features // self.heads
        omega = random_directions(self.samples, width, rng=child(seed_sequence(self.seed), 0))
        self.stored = StoredMatrix(omega, self.array, child(seed_sequence(self.seed), 1))
        self._remember(self.children())
        self._kept: Any = None

    def children(self) -> tuple[Layer, ...]:
        return self.projections, self.output

    def _positive_features(self, u: NDArray[np.float32], axes: Any) -> NDArray[np.float32]:
        """z of vectors (..., h), up to a factor that is common along `axes`."""
        read = self.stored.read(u.reshape(-1, u.shape[-1])).reshape(*u.shape[:-1], self.samples)
        exponent = np.concatenate([read, -read], axis=-1) - 0.5 * np.square(u).sum(axis=-1, keepdims=True)
        exponent -= exponent.max(axis=axes, keepdims=True)
        return np.exp(exponent, out=exponent)

    def _through(self, x: np.ndarray, train: bool) -> np.ndarray:
        if x.ndim != 3 or x.shape[2] != self.features:
            raise ValueError(f"x must have shape (any, any, {self.features}); got {x.shape}")
        self._kept = None
        batch, time, _ = x.shape
        h = self.features // self.heads
        parts = self.projections.forward(x, train).reshape(batch, time, 3, self.heads, h).transpose(2, 0, 3, 1, 4)
        q, k, v = (np.ascontiguousarray(part) for part in parts)
        q, k = q * np.float32(h**-0.25), k * np.float32(h**-0.25)
        zq, zk = self._positive_features(q, -1), self._positive_features(k, (-2, -1))
        if self.causal:
            a = np.tril(zq @ zk.swapaxes(-1, -2))
            total = a.sum(axis=-1, keepdims=True)
            y = a @ v
        else:
            a = np.zeros(0, np.float32)
            total = zq @ zk.sum(axis=-2)[..., None]
            y = zq @ (zk.swapaxes(-1, -2) @ v)
        total = np.maximum(total, np.float32(1e-30))
        y = y / total
        if train:
            self._kept = q, k, v, zq, zk, a, total, y
        mixed = np.ascontiguousarray(y.transpose(0, 2, 1, 3)).reshape(x.shape)
        return self.output.forward(mixed, train)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        q, k, v, zq, zk, a, total, y = self._kept
        batch, heads, time, h = q.shape
        check_gradient(d, (batch, time, self.features))
        mixed = self.output.backward(d)
        assert mixed is not None
        d_y = mixed.reshape(batch, time, heads, h).transpose(0, 2, 1, 3)
        d_up = d_y / total
        d_total = -(d_up * y).sum(axis=-1, keepdims=True)
        if self.causal:
            d_a = np.tril(d_up @ v.swapaxes(-1, -2) + d_total)
            d_zq, d_zk, d_v = d_a @ zk, d_a.swapaxes(-1, -2) @ zq, a.swapaxes(-1, -2) @ d_up
        else:
            d_sum = zq.swapaxes(-1, -2) @ d_up
            d_zq = d_up @ (v.swapaxes(-1, -2) @ zk) + d_total * zk.sum(axis=-2)[..., None, :]
            d_zk = v @ d_sum.swapaxes(-1, -2) + (zq.swapaxes(-1, -2) @ d_total).swapaxes(-1, -2)
            d_v = zk @ d_sum
        scale = np.float32(h**-0.25)
        parts = np.stack([self._features_backward(q, zq, d_zq) * scale, self._features_backward(k, zk, d_zk) * scale, d_v])
        back = np.ascontiguousarray(parts.transpose(1, 3, 0, 2, 4)).reshape(batch, time, 3 * self.features)
        return self.projections.backward(back.astype(np.float32), input_gradient)

    def _features_backward(self, u: np.ndarray, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """From dL/dz to dL/du: z = exp(+-Omega u - |u|^2 / 2)."""
        through = d * z
        s = self.samples
        return (through[..., :s] - through[..., s:]) @ self.stored.goal - u * through.sum(axis=-1, keepdims=True)

    def set_aside(self) -> Any:
        return Layer.set_aside(self), super().set_aside()

    def bring_back(self, signals: Any) -> None:
        Layer.bring_back(self, signals[0])
        super().bring_back(signals[1])
