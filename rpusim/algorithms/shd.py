"""Stochastic Hamiltonian Descent: two coupled arrays in place of one weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.random import RNG
from rpusim._base.specification import parameter
from rpusim._base.state import Entry, part, value
from rpusim._base.validation import choice, integer, real
from rpusim._core.lock import Lock
from rpusim.algorithms._transfer import Transfer, TransferLoop
from rpusim.algorithms.base import (
    Algorithm,
    Resources,
    Tile,
    column_periphery,
    is_optional_device,
    is_periphery,
    is_scheme,
    is_single_device,
)
from rpusim.algorithms.level import Level
from rpusim.arrays.counts import PulseCount, Written
from rpusim.arrays.crossbar import CrossbarArray, check_shape, update_vectors
from rpusim.arrays.pair import DifferentialPair
from rpusim.devices import Device, PulsedDevice, SoftBounds
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery

__all__ = ["SHD"]

_rate = real(0.0)
_lr = real()


@dataclass(frozen=True, repr=False)
class SHD(Algorithm):
    r"""Stochastic Hamiltonian Descent (Onen, Gokmen, Todorov et al., 2022; the physics of Tiki-Taka).

    The weight is C; a second pair of arrays, A, collects the gradient and moves C::

        every vector:             A <- A - lr fast_lr d x^T           by pulses on A
        every transfer_every-th:  v = A u,  C <- C + |lr| slow_lr v u^T   by pulses on C

    with u running through the unit vectors (or the columns of a Hadamard matrix). A and C are differences of a dynamic and
    a static array, A = A_main - A_ref with A_ref at the symmetry point of A_main. In the continuum this is a mass (velocity
    A, position C) on the spring of the loss, with a drag that the asymmetry of A's devices provides::

        C'' + eta_A kappa m C' + eta_A eta_C / transfer_every dE/dC = 0,   eta_A = lr fast_lr, eta_C = lr slow_lr

    so that asymmetric devices spiral into the optimum, where symmetric ones orbit it. See `rpusim.theory`.

    Parameters
    ----------
    fast : Device, default SoftBounds()
        Device of A.
    slow : Device or None
        Device of C; None: as `fast`.
    transfer_every : int, default 1
        Vectors from one transfer to the next (tau of the paper).
    fast_lr, slow_lr : float, default 1
        Rates of A and C relative to the learning rate of `update` (eta_A and eta_C of the paper where lr = 1).
    transfer_vectors : {"one_hot", "hadamard"}
        u: cyclic unit vectors; or cyclic columns of the Hadamard matrix whose order N is the next power of two, with
        slow_lr / inputs in place of slow_lr. A transfer then moves every element of C by slow_lr / inputs times A on
        average over a cycle (of N transfers, or of as many as there are inputs for unit vectors).
    reference : {"shared", "separate"}
        "shared": three arrays, C = C_main - A_ref. "separate": four, C = C_main - C_ref, with C_ref at the symmetry point of
        C_main (at 0 for devices that have none).
    zero_shift : {"exact", "pulses", "random_pulses"}
        How the symmetry points are found when the tile is built: `DifferentialPair.zero_shift`.
    forward, backward : Periphery or None
        Reads of C, as in `CrossbarArray`.
    transfer_forward : Periphery or None
        Read of A; None: an ADC that spans twice the bounds of `fast` (times sqrt(inputs) for "hadamard"), with noise of 0.5 %
        of that.
    pulses, transfer_pulses : PulseScheme
        Writes of A and of C.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.002)
    >>> rule = rpu.algorithms.SHD(fast=device, slow=device, transfer_every=10, fast_lr=0.1, slow_lr=0.01)
    >>> tile = rule.build((1, 1), rng=0)
    >>> tile.fast.weights.shape, tile.slow.weights.shape
    ((1, 1), (1, 1))
    """

    papers: ClassVar[tuple[str, ...]] = ("onen2022",)

    fast: Device = parameter(SoftBounds, is_single_device)
    slow: Device | None = parameter(None, is_optional_device)
    transfer_every: int = parameter(1, integer(1, 2**31 - 1))
    fast_lr: float = parameter(1.0, _rate)
    slow_lr: float = parameter(1.0, _rate)
    transfer_vectors: str = parameter("one_hot", choice("one_hot", "hadamard"))
    reference: str = parameter("shared", choice("shared", "separate"))
    zero_shift: str = parameter("exact", choice("exact", "pulses", "random_pulses"))
    forward: Periphery | None = parameter(None, is_periphery)
    backward: Periphery | None = parameter(None, is_periphery)
    transfer_forward: Periphery | None = parameter(None, is_periphery)
    pulses: PulseScheme = parameter(PulseScheme, is_scheme)
    transfer_pulses: PulseScheme = parameter(PulseScheme, is_scheme)

    def build(self, shape: tuple[int, int], rng: RNG = None) -> SHDTile:
        return SHDTile(self, shape, rng)


class SHDTile(Tile):
    """The tile of `SHD`.

    Attributes
    ----------
    fast, slow : DifferentialPair
        A and C. With ``reference="shared"`` both have the same reference array.
    """

    def __init__(self, algorithm: SHD, shape: tuple[int, int], rng: RNG = None) -> None:
        seeds = _random.seed_sequence(rng)
        slow_device = algorithm.fast if algorithm.slow is None else algorithm.slow

        def array(k: int, device: Device, **kwargs: Any) -> CrossbarArray:
            return CrossbarArray(shape, device, rng=_random.child(seeds, k), **kwargs)

        self.algorithm: SHD = algorithm
        self._lock = Lock()  # as in `TransferTile`
        together = check_shape(shape)[1] if algorithm.transfer_vectors == "hadamard" else 1
        transfer_forward = algorithm.transfer_forward or column_periphery(algorithm.fast, together)
        fast_main = array(0, algorithm.fast, forward=transfer_forward, pulses=algorithm.pulses)
        slow_main = array(
            2,
            slow_device,
            forward=algorithm.forward,
            backward=algorithm.backward,
            pulses=algorithm.transfer_pulses,
        )
        fast_reference = array(1, algorithm.fast)
        shared = algorithm.reference == "shared"
        self.fast = DifferentialPair(fast_main, fast_reference)
        self.slow = DifferentialPair(slow_main, fast_reference if shared else array(3, slow_device))
        self.shape = fast_main.shape
        for pair in [self.fast] if shared else [self.fast, self.slow]:
            if isinstance(pair.main.device, PulsedDevice):
                pair.zero_shift(algorithm.zero_shift)
        self.slow.program(np.zeros(self.shape))
        selection = "hadamard" if algorithm.transfer_vectors == "hadamard" else "cyclic"
        transfer = Transfer(
            fast_main._core,
            fast_reference._core,
            slow_main._core,
            None,
            Level(columns=True, every=algorithm.transfer_every, selection=selection),
            0,
            {},
        )
        self._loop = TransferLoop(transfer)
        arrays = [fast_main, fast_reference, slow_main] + ([] if shared else [self.slow.reference])
        self._timed = tuple(one for one in arrays if not one._is_timeless)
        #: learning rate of the last update, and the rates of A and C that it made
        self._lr: tuple[float, float, NDArray[np.float64]] | None = None

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self.slow.forward(x, out)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        return self.slow.backward(d, out)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        rates = self._lr
        if rates is None or type(lr) is not float or lr != rates[0]:
            self._lr = rates = self._checked_rates(_lr("lr", lr))
        x, d = update_vectors(x, d, self.shape)
        # C follows A, whichever way the loss drives A
        with self._lock:
            self._loop.run(x, d, *rates[1:])

    def _checked_rates(self, lr: float) -> tuple[float, float, NDArray[np.float64]]:
        rule = self.algorithm
        self.fast.main._check_rate(lr * rule.fast_lr)
        self.slow.main._check_rate(lr * rule.slow_lr)
        return lr, lr * rule.fast_lr, np.array([abs(lr) * rule.slow_lr])

    def end_batch(self) -> None:
        for array in self._timed:
            array.end_batch()

    @property
    def weights(self) -> NDArray[np.float32]:
        return self.slow.weights

    def program(self, weights: ArrayLike) -> Written:
        return self.slow.program(weights)

    @property
    def pulse_count(self) -> PulseCount:
        fast, slow = self.fast.main.pulse_count, self.slow.main.pulse_count
        return PulseCount(fast.up + slow.up, fast.down + slow.down)

    @property
    def weight_arrays(self) -> tuple[CrossbarArray, ...]:
        return (self.slow.main,)

    def resources(self) -> Resources:
        every = self.algorithm.transfer_every
        arrays = 3 if self.slow.reference is self.fast.reference else 4
        return Resources(arrays=arrays, reads=1.0 / every, updates=1.0 + 1.0 / every)

    def _guard(self) -> Lock:
        return self._lock

    def _entries(self) -> dict[str, Entry]:
        vectors = value(lambda: self._loop.vectors, self._loop.set_vectors, integer(0, 2**63 - 1))
        return {"fast": part(self.fast), "slow": part(self.slow), "vectors": vectors}
