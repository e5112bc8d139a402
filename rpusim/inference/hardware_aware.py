"""Training that knows the hardware: digital weights, read as a chip would read them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import random as _random
from rpusim._base.citing import note
from rpusim._base.random import RNG
from rpusim._base.specification import parameter
from rpusim._base.state import Entry, attribute, part, value
from rpusim._base.validation import axes_of, checked_by, choice, instance, integer, optional, real, room_for, shown, signal
from rpusim._core.kernels import normals, uniforms
from rpusim._core.products import matmul
from rpusim.algorithms.base import Algorithm, Resources, Tile
from rpusim.arrays.counts import PulseCount, Written
from rpusim.arrays.crossbar import CrossbarArray, check_shape, update_vectors
from rpusim.devices.ideal import Ideal
from rpusim.inference.modifiers import AddNormal, Clip, Draws, Modifier, largest
from rpusim.nn.optimizers import Parameter
from rpusim.periphery.reads import Periphery

__all__ = ["HardwareAware", "HardwareAwareTile"]

_lr = real()


@checked_by("text", 3, None, (1,))
def is_modifiers(name: str, given: Any) -> tuple[Modifier, ...]:
    """Check one modifier, or several in their order."""
    several = (given,) if isinstance(given, Modifier) else given
    if not isinstance(several, (tuple, list)) or not all(isinstance(one, Modifier) for one in several):
        raise TypeError(f"{name} must be a Modifier, or a tuple of them; got {shown(given)}")
    return tuple(several)


@dataclass(frozen=True, repr=False)
class HardwareAware(Algorithm):
    r"""Digital weights that are trained as they will be read: disturbed anew in every forward, and clipped after every step.

    In training, W~ = modifiers(W) is read through the periphery, rows normalised; the gradient dL/dW~, taken with the same W~
    and without the periphery's errors, changes W. Without training, W itself is read. After every step W is clipped.
    Weights are digital parameters: the optimizer of the `Trainer` trains them.

    Parameters
    ----------
    modifiers : Modifier or tuple of Modifier, default AddNormal()
        Applied in their order; () for none.
    clip : Clip or None
    forward : Periphery, default ideal
        Outputs of ADCs are in units of the largest weight of a row times the largest input, as on a `Chip`.
    scale : {"row", "array"}
        Which largest weight that is: of every row, or of all, as of a chip whose `Converter` has this scale.
    noise_per : {"batch", "sample"}
        Whether all vectors of a batch (all steps of a recurrent layer) meet one W~, or each one of its own, which is slow.
    ramp_batches : int, default 0
        Training batches over which the noise grows from 0 to its size.

    Notes
    -----
    Joshi et al. (2020, Nat. Commun. 11, 2473); Rasch et al. (2023, Nat. Commun. 14, 5282). A range of inputs that is
    calibrated or learned is in the `Mapping` of a layer.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> rule = rpu.inference.HardwareAware(rpu.inference.AddNormal(0.06), rpu.inference.GaussianClip(2.5))
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 8, rule), rpu.nn.ReLU(), rpu.nn.Linear(8, 4, rule))
    >>> trainer = rpu.nn.Trainer(net, lr=0.02, rng=0, batch_size=4, optimizer=rpu.nn.Adam())
    >>> history = trainer.fit((np.eye(4), np.arange(4)), epochs=100)
    >>> history.train_loss[-1] < 0.2
    True
    """

    papers: ClassVar[tuple[str, ...]] = ("joshi2020", "rasch2023")

    modifiers: tuple[Modifier, ...] = parameter((AddNormal(),), is_modifiers)
    clip: Clip | None = parameter(None, optional(instance(Clip, "a Clip")))
    forward: Periphery = parameter(Periphery.ideal(), instance(Periphery, "a Periphery"))
    noise_per: str = parameter("batch", choice("batch", "sample"))
    ramp_batches: int = parameter(0, integer(0, 1 << 40))
    scale: str = parameter("row", choice("row", "array"))

    def _check_consistency(self) -> None:
        if self.scale != "row" and self.forward.is_ideal:
            raise ValueError(
                f"HardwareAware: scale must be 'row' where forward is ideal and does not see the size of weights; got "
                f"{self.scale!r}"
            )

    def build(self, shape: tuple[int, int], rng: RNG = None) -> HardwareAwareTile:
        return HardwareAwareTile(self, shape, rng)


class HardwareAwareTile(Tile):
    """The tile of `HardwareAware`.

    Attributes
    ----------
    parameter : nn.Parameter
        W, with its gradient and what the optimizer keeps.
    batches : int
        Training batches so far.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.inference.HardwareAware(rpu.inference.AddNormal(0.06)).build((2, 3), rng=0)
    >>> _ = tile.program([[0.1, 0.2, 0.3], [0.0, 0.0, 0.1]])
    >>> tile.parameter.value.shape, tile.perturbed
    ((2, 3), True)
    """

    perturbed = True

    def __init__(self, algorithm: HardwareAware, shape: tuple[int, int], rng: RNG = None) -> None:
        self.algorithm: HardwareAware = instance(HardwareAware, "a HardwareAware")("algorithm", algorithm)
        note(*algorithm.modifiers, algorithm.clip)
        self.shape = check_shape(shape)
        room_for("shape", shape, 4 * self.shape[0] * self.shape[1])
        self.parameter = Parameter(np.zeros(self.shape, np.float32))
        if algorithm.clip is not None:
            self.parameter.after = self._clip
        seeds = _random.seed_sequence(rng)
        self._key = _random.key(_random.child(seeds, 1))
        self._array = CrossbarArray(
            self.shape, Ideal(), forward=algorithm.forward, backward=Periphery.ideal(), rng=_random.child(seeds, 0)
        )
        self.batches = 0
        self._rate = 0.0
        self._ideal = algorithm.forward.is_ideal
        self._forget()

    def _forget(self) -> None:
        """The next read is one of W itself."""
        self._read: NDArray[np.float32] | None = None  # W~, None where it is W and not loaded yet
        self._factor = np.ones(1, np.float32)
        self._training = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (self.parameter,)

    def begin(self, train: bool) -> None:
        """Before the reads of one batch: draw what they are disturbed by; without training there is none."""
        if train:
            self.batches += 1
        elif self._read is not None and not self._training:
            return
        self._training = train
        self._load(self._modified(0) if train and self.algorithm.noise_per == "batch" else self.parameter.value)

    def _modified(self, vector: int) -> NDArray[np.float32]:
        """W~ of a training batch (and of a vector in it)."""
        rule, w = self.algorithm, self.parameter.value
        strength = min(1.0, self.batches / rule.ramp_batches) if rule.ramp_batches else 1.0
        for place, modifier in enumerate(rule.modifiers):

            def drawn(kind: Any, name: str, shape: tuple[int, ...], place: int = place) -> NDArray[np.float32]:
                line = zlib.crc32(f"{place} {vector} {name}".encode())
                out: NDArray[np.float32] = kind(self._key, int(np.prod(shape)), line=line, operation=self.batches)
                return out.reshape(shape)

            draws = Draws(lambda name, shape: drawn(normals, name, shape), lambda name, shape: drawn(uniforms, name, shape))
            w = modifier.modified(w, draws, strength)
        return w

    def _load(self, w: NDArray[np.float32]) -> None:
        """Put weights on the array that is read, normalised where its periphery sees their size."""
        self._read = w
        if self._ideal:
            return
        size = largest(self.parameter.value, self.algorithm.scale)
        self._factor = size[:, 0]
        self._array.program(w / size)

    def _through(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self._read is not None
        if self._ideal:
            return matmul(x, self._read.T)
        y = self._array.forward(x)
        y *= self._factor
        return y

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        batch = signal("x", x, (None, self.shape[1]) if axes_of(x) > 1 else (self.shape[1],))
        if self._read is None:
            self.begin(False)
        if self._training and self.algorithm.noise_per == "sample":
            y = np.empty((*batch.shape[:-1], self.shape[0]), np.float32)
            for k, vector in enumerate(batch):
                self._load(self._modified(1 + k))
                y[k] = self._through(vector[None])[0]
        else:
            y = self._through(np.atleast_2d(batch)).reshape(*batch.shape[:-1], self.shape[0])
        if out is None:
            return y
        out[...] = y
        return out

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        batch = signal("d", d, (None, self.shape[0]) if axes_of(d) > 1 else (self.shape[0],))
        if self._read is None:
            self.begin(False)
        assert self._read is not None
        if self._training and self.algorithm.noise_per == "sample":
            z = np.empty((*batch.shape[:-1], self.shape[1]), np.float32)
            for k, vector in enumerate(batch):
                z[k] = vector @ self._modified(1 + k)
        else:
            z = matmul(np.atleast_2d(batch), self._read).reshape(*batch.shape[:-1], self.shape[1])
        if out is None:
            return z
        out[...] = z
        return out

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Add d^T x to the gradient; W changes at the end of the batch."""
        self._rate = _lr("lr", lr)
        x, d = update_vectors(x, d, self.shape)
        self.parameter.add_product(np.atleast_2d(d), np.atleast_2d(x))

    def end_batch(self) -> None:
        """Take the step of the optimizer, after which weights are clipped."""
        self.parameter.step(self._rate)
        self._forget()

    def _clip(self) -> None:
        w, clip = self.parameter.value, self.algorithm.clip
        assert clip is not None
        bound = clip.bound(w)
        np.clip(w, -bound, bound, out=w)

    @property
    def weights(self) -> NDArray[np.float32]:
        return self.parameter.value.copy()

    def program(self, weights: ArrayLike) -> Written:
        """Begin again from these weights, exactly."""
        self.parameter.reset(signal("weights", weights, self.shape))
        self._forget()
        return Written(0, 0.0)

    @property
    def pulse_count(self) -> PulseCount:
        return PulseCount(0, 0)

    def resources(self) -> Resources:
        size = self.shape[0] * self.shape[1]
        return Resources(arrays=0, digital=size, updates=0.0, products=float(size))

    def _entries(self) -> dict[str, Entry]:
        return {
            "weights": part(self.parameter),
            "array": part(self._array),
            "key": value(lambda: self._key, lambda new: setattr(self, "_key", new), integer(0, 2**64 - 1)),
            "batches": attribute(self, "batches", integer(0)),
        }

    def _restored(self) -> None:
        self._forget()
