"""Low-rank Tiki-Taka: gradients are collected on two thin arrays whose product is transferred."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.random import RNG
from rpusim._base.specification import parameter
from rpusim._base.state import Entry, parts, value
from rpusim._base.validation import integer, physical, real, signal
from rpusim._core.lock import Lock, Look
from rpusim.algorithms._low_rank import LowRankLoop
from rpusim.algorithms.base import (
    Algorithm,
    Resources,
    Tile,
    is_optional_device,
    is_period,
    is_periphery,
    is_rate,
    is_scheme,
    is_single_device,
)
from rpusim.arrays.counts import PulseCount, Written
from rpusim.arrays.crossbar import CrossbarArray, check_shape, update_vectors
from rpusim.devices import Device, Ideal, SoftBounds
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = ["LowRankTikiTaka"]

_lr = real()


@dataclass(frozen=True, repr=False)
class LowRankTikiTaka(Algorithm):
    r"""Low-rank Tiki-Taka: the weight is W + alpha A B with A (outputs, rank) and B (rank, inputs).

    For every vector the thin arrays learn by their own gradients, and after every `transfer_every`-th their product is written
    to W, one rank after another, and they begin anew::

        A <- A - eta alpha d (B x)^T,   B <- B - eta alpha (A^T d) x^T        by pulses, after both reads
        W <- W + eta_W alpha sum_k A_k B_k                                    by pulses; k: column of A, row of B
        A <- 0,   B <- N(0, b_gain^2 / inputs)

    with eta = lr fast_lr and eta_W = transfer_lr. The digital sum of three reads is the output; so the weight takes one large
    array in place of two.

    Parameters
    ----------
    fast, slow : Device
        Devices of A and B, and of W; `slow` None: as `fast`.
    rank : int, default 4
    alpha : float, default 1
        Weight of A B.
    transfer_every : int, default 32
        Vectors from one transfer to the next.
    fast_lr : float, default 1
        Rate of A and B relative to the learning rate of `update`.
    transfer_lr : float, default 1
        Part of alpha A B that is written to W; 1: what the weight loses by the new beginning.
    b_gain : float, default 0.1
        Spread of a new B.
    forward, backward : Periphery or None
        Reads of all three arrays, as in `CrossbarArray`.
    transfer_forward : Periphery or None
        Reads of A and B for the transfer, of one column and one row at a time. None: as `forward` and `backward`, whose noise,
        made for sums of hundreds of products, is more than what A holds: then W becomes noise.
    pulses, transfer_pulses : PulseScheme
        Writes of A and B, and of W.

    Notes
    -----
    After the LRTT extension of AIHWKit (github.com/Siguros/aihwkit_lrtt); rank 4 and 32 vectors are its settings. It transfers
    weights, not reads: `transfer_forward` is Periphery.ideal() there, and its `reinit_gain` is b_gain / sqrt(2). With
    `correct_gradient_magnitudes` it has fast_lr = 1 / sqrt(rank).

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.LowRankTikiTaka(rpu.devices.SoftBounds(dw_min=0.01), rank=2).build((5, 6), rng=0)
    >>> tile.update([[1.0, 0.0, -1.0, 0.5, 0.0, 0.0]] * 32, [[0.5, -0.5, 0.0, 0.0, 0.0]] * 32, lr=0.1)
    >>> tile.a.shape, tile.b.shape, tile.weights.shape
    ((5, 2), (2, 6), (5, 6))
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2021",)

    fast: Device = parameter(SoftBounds, is_single_device)
    slow: Device | None = parameter(None, is_optional_device)
    rank: int = parameter(4, integer(1, 2**20))
    alpha: float = parameter(1.0, physical(0.0, open_low=True))
    transfer_every: int = parameter(32, is_period)
    fast_lr: float = parameter(1.0, is_rate)
    transfer_lr: float = parameter(1.0, is_rate)
    b_gain: float = parameter(0.1, physical(0.0, open_low=True))
    forward: Periphery | None = parameter(None, is_periphery)
    backward: Periphery | None = parameter(None, is_periphery)
    transfer_forward: Periphery | None = parameter(None, is_periphery)
    pulses: PulseScheme = parameter(PulseScheme, is_scheme)
    transfer_pulses: PulseScheme = parameter(PulseScheme, is_scheme)

    def build(self, shape: tuple[int, int], rng: RNG = None) -> LowRankTile:
        return LowRankTile(self, shape, rng)


class LowRankTile(Tile):
    """The tile of `LowRankTikiTaka`.

    Attributes
    ----------
    arrays : tuple of CrossbarArray
        W, A and B.
    """

    def __init__(self, algorithm: LowRankTikiTaka, shape: tuple[int, int], rng: RNG = None) -> None:
        self.algorithm: LowRankTikiTaka = algorithm
        self.shape = check_shape(shape)
        self._lock = Lock()  # as in `TransferTile`
        seeds, (outputs, inputs), rank = _random.seed_sequence(rng), self.shape, algorithm.rank
        slow = algorithm.fast if algorithm.slow is None else algorithm.slow
        self.arrays = tuple(
            CrossbarArray(
                of_array,
                device,
                forward=algorithm.forward,
                backward=algorithm.backward,
                pulses=pulses,
                rng=_random.child(seeds, k),
            )
            for k, (of_array, device, pulses) in enumerate(
                (
                    ((outputs, inputs), slow, algorithm.transfer_pulses),
                    ((outputs, rank), algorithm.fast, algorithm.pulses),
                    ((rank, inputs), algorithm.fast, algorithm.pulses),
                )
            )
        )
        self._readers = self.arrays[1:]
        if algorithm.transfer_forward is not None:  # the same devices behind another periphery
            self._readers = tuple(
                CrossbarArray(array.shape, Ideal(), forward=algorithm.transfer_forward, rng=_random.child(seeds, 4, k))
                for k, array in enumerate(self.arrays[1:])
            )
            for reader, array in zip(self._readers, self.arrays[1:], strict=True):
                reader._core.reader.set_parts(0.0, [array._core.devices], [1.0])
        self._build_loop(_random.key(_random.child(seeds, 3)))
        self._loop.start(0)

    def _build_loop(self, key: int) -> None:
        self._key = key
        spread = self.algorithm.b_gain / math.sqrt(self.shape[1])
        w, a, b = (array._core for array in self.arrays)
        a_out, b_out = (array._core for array in self._readers)
        self._loop = LowRankLoop(w, a, b, a_out, b_out, self.algorithm.transfer_every, spread, key)

    @property
    def a(self) -> NDArray[np.float32]:
        """A (outputs, rank)."""
        return self.arrays[1].weights

    @property
    def b(self) -> NDArray[np.float32]:
        """B (rank, inputs)."""
        return self.arrays[2].weights

    def _read(self, name: str, x: ArrayLike, out: NDArray[np.float32] | None, backward: bool) -> NDArray[np.float32]:
        w, a, b = self.arrays
        first, second = (a, b) if backward else (b, a)
        total = w._core.reader.py_read(name, x, out, int(backward), None)
        small = first._core.reader.py_read(name, x, None, int(backward), None)
        total += np.float32(self.algorithm.alpha) * second._core.reader.py_read(name, small, None, int(backward), None)
        return total

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self._read("x", _apart(x, out), out, False)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self._read("d", _apart(d, out), out, True)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        lr = _lr("lr", lr)
        x, d = update_vectors(x, d, self.shape)
        rule = self.algorithm
        fast, slow = lr * rule.fast_lr * rule.alpha, rule.transfer_lr * rule.alpha
        self.arrays[1]._check_rate(fast)
        self.arrays[0]._check_rate(slow)
        with self._lock:
            self._loop.run(x, d, fast, slow)

    def end_batch(self) -> None:
        for array in self.arrays:
            array.end_batch()

    @property
    def weights(self) -> NDArray[np.float32]:
        with Look(self._lock):
            return self.arrays[0].weights + np.float32(self.algorithm.alpha) * (self.a @ self.b)

    def program(self, weights: ArrayLike) -> Written:
        """Write W so that the weight becomes `weights`, clipped to the bounds of its devices; A and B stay as they are."""
        w = signal("weights", weights, self.shape)
        return self.arrays[0].program(w - np.float32(self.algorithm.alpha) * (self.a @ self.b))

    @property
    def pulse_count(self) -> PulseCount:
        counts = [array.pulse_count for array in self.arrays]
        return PulseCount(sum(count.up for count in counts), sum(count.down for count in counts))

    def resources(self) -> Resources:
        """As of all tiles; `arrays` is 1, since A and B are thin: rank (outputs + inputs) devices beside it."""
        transfers = self.algorithm.rank / self.algorithm.transfer_every
        # forward and backward read each of the thin arrays too; learning reads them once more
        return Resources(arrays=1, reads=6.0 + 2.0 * transfers, updates=2.0 + transfers)

    def _guard(self) -> Lock:
        return self._lock

    def _entries(self) -> dict[str, Entry]:
        own = self.algorithm.transfer_forward is not None
        return {
            "arrays": parts(self.arrays),
            **({"readers": parts(self._readers)} if own else {}),
            "key": value(lambda: self._key, self._build_loop, integer(0, 2**64 - 1)),
            "vectors": value(lambda: self._loop.vectors, lambda new: self._loop.set_vectors(new), integer(0, 2**63 - 1)),
        }


def _apart(x: ArrayLike, out: NDArray[np.float32] | None) -> ArrayLike:
    """`x`, copied where `out` shares its memory: it is read twice."""
    both = isinstance(x, np.ndarray) and isinstance(out, np.ndarray)
    return np.array(x) if both and np.may_share_memory(x, out) else x
