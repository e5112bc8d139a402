"""Networks of which the physics is not quite the model, trained with and without knowing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import boolean, choice, instance, integer_value, numbers_of, optional, physical, real_array, shown
from rpusim._base.validation import integer as integer_check
from rpusim.algorithms import Algorithm, DigitalSGD

__all__ = ["METHODS", "Gradients", "PhysicalNetwork", "Physics"]

Array = NDArray[np.float64]
METHODS = ("backprop", "pat", "dfa", "forward_forward", "equilibrium", "spsa", "node")
_is_method = choice(*METHODS)
_is_rule = optional(instance(Algorithm, "the specification of an algorithm or None"))
_not_negative = physical(0.0)
_positive = physical(0.0, open_low=True)
THETA = 2.0  # of goodness, mean squares of outputs of a layer, of forward-forward
#: rates that suit the methods with 2000 samples, and what else they take
DEFAULTS: dict[str, dict[str, float]] = {
    "backprop": {"lr": 0.1}, "pat": {"lr": 0.1}, "dfa": {"lr": 0.1}, "forward_forward": {"lr": 0.001},
    "equilibrium": {"lr": 0.3, "size": 0.5}, "spsa": {"lr": 5e-4, "size": 0.02}, "node": {"lr": 0.05, "size": 0.05},
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Physics(Specification):
    r"""How what is built differs from its model.

    A layer that is to give W x gives a (W * M) x + b + noise xi: M = 1 + mismatch xi of every weight, a = 1 + mismatch xi and
    b = mismatch xi / 2 of every output are drawn once, xi of the noise for every read.

    Parameters
    ----------
    mismatch : float, default 0
    noise : float, default 0

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.applications.Physics(mismatch=0.3)
    Physics(mismatch=0.3)
    """

    mismatch: float = parameter(0.0, _not_negative)
    noise: float = parameter(0.0, _not_negative)


class Gradients(NamedTuple):
    """What a method would change the weights by, for a batch.

    Attributes
    ----------
    weights : list of float64 array (outputs, inputs + 1)
        Of each layer, means over the batch; the last column is of the bias.
    factors : list of (x, d), or None
        Vectors whose products d^T x are the gradients times the batch: what arrays are updated with. None where there are none.
    loss : float
        Mean over the batch.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.applications.PhysicalNetwork((3, 4, 2), rpu.applications.Physics(), method="pat", rng=0)
    >>> found = net.gradients(np.eye(3), [0, 1, 0])
    >>> [g.shape for g in found.weights], len(found.factors)
    ([(4, 4), (2, 5)], 2)
    """

    weights: list[Array]
    factors: list[tuple[Array, Array]] | None
    loss: float


class _Layer:
    """One matrix with a bias on a tile, and what its physics makes of it."""

    def __init__(self, inputs: int, outputs: int, rule: Algorithm, physics: Physics, seeds: np.random.SeedSequence) -> None:
        shape = outputs, inputs + 1
        draw = generator(child(seeds, 0))
        weights = draw.standard_normal(shape) / np.sqrt(inputs)
        weights[:, -1] = 0.0
        self.tile = rule.build(shape, child(seeds, 1))
        self.tile.program(weights.astype(np.float32))
        m, self.noise = physics.mismatch, physics.noise
        own = generator(child(seeds, 2))
        self.mismatch = 1.0 + m * own.standard_normal(shape)
        self.gain, self.offset = 1.0 + m * own.standard_normal(outputs), 0.5 * m * own.standard_normal(outputs)
        self.real = m > 0.0
        self.draw = generator(child(seeds, 3))
        self.momentum, self.second, self.steps = np.zeros(shape), np.zeros(shape), 0
        self.renew()

    def renew(self) -> None:
        """After an update: what is known of the weights."""
        self.weights: Array = self.tile.weights.astype(np.float64)

    def model(self, x: Array) -> Array:
        """W x + bias, as it should be."""
        return x @ self.weights[:, :-1].T + self.weights[:, -1]

    def read(self, x: Array) -> Array:
        """W x + bias as it is."""
        v = np.column_stack([x, np.ones(len(x))])
        y = self.tile.forward(v.astype(np.float32)).astype(np.float64)
        if self.real:
            y += v @ (self.weights * (self.mismatch - 1.0)).T
            y = self.gain * y + self.offset
        return y + self.noise * self.draw.standard_normal(y.shape) if self.noise else y

    def back(self, s: Array) -> Array:
        """W^T s through the same devices, without those of the bias."""
        z = s @ (self.weights * self.mismatch)[:, :-1]
        return z + self.noise * self.draw.standard_normal(z.shape) if self.noise else z


class PhysicalNetwork:
    r"""A network of layers of arrays, W x + bias and a function, of which only a model is known.

    Layers give tanh, the last what it reads, of which softmax makes probabilities. Two of the methods use the layers in ways of
    their own, and so does `predict` then: "forward_forward" appends the label, as the one of `classes` inputs that is 1, to
    the inputs of the first layer, layers are max(0, .) of inputs of mean square 1, and the label of the largest sum of
    goodness, mean squares of outputs, is the answer; "equilibrium" lets one hidden layer and the output settle, both between
    0 and 1, with W^T back from the output.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, widths, and outputs: classes, but for "forward_forward", whose layers are all alike.
    physics : Physics, optional
        By default as modelled.
    rule : specification of an algorithm, optional
        What holds the weights and how they change: by default digital, trained with momentum or, forward-forward, Adam. Others
        are trained by their own updates, for every vector of a batch.
    method : {"backprop", "pat", "dfa", "forward_forward", "equilibrium", "spsa", "node"}
        backprop: all on the model, none on the physics ("in silico"). pat (physics-aware): outputs and error of the physics,
        gradients through the model at these outputs. dfa: outputs and error of the physics, which fixed random matrices bring
        to hidden layers. forward_forward: every layer for itself tells right labels from wrong ones. equilibrium: differences
        between states that are nudged towards the label and away. spsa: the loss at all weights moved at random and back.
        node: the loss with random inputs to all outputs of layers, and without.
    classes : int, default 10
        Of "forward_forward".
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    layers : list
        `weights` of each is what is known of it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Notes
    -----
    Momeni et al. (2025), Training of physical neural networks, Nature 645, 53. Physics-aware training: Wright et al. (2022);
    direct feedback alignment: Nokland (2016); forward-forward: Hinton (2022); equilibrium propagation: Scellier and Bengio
    (2017), with both signs of the nudge: Laborieux et al. (2021); SPSA: Spall (1992).

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> x = np.random.default_rng(0).normal(size=(400, 8))
    >>> y = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    >>> net = rpu.applications.PhysicalNetwork((8, 16, 4), rpu.applications.Physics(0.3), method="pat", rng=0)
    >>> _ = net.train((x, y), epochs=20, progress=False)
    >>> net.accuracy((x, y)) > 0.9
    True
    """

    def __init__(
        self,
        sizes: Sequence[int],
        physics: Physics | None = None,
        rule: Algorithm | None = None,
        *,
        method: str = "pat",
        classes: int = 10,
        rng: RNG = None,
    ) -> None:
        cite("momeni2025")
        self.sizes: tuple[int, ...] = numbers_of(integer_check(1, 1 << 24))("sizes", sizes)
        if len(self.sizes) < 2:
            raise ValueError(f"sizes must be of inputs and outputs, at least; got {shown(sizes)}")
        self.physics: Physics = Physics() if physics is None else instance(Physics, "a Physics or None")("physics", physics)
        self.rule = _is_rule("rule", rule)
        self.method, self.classes = _is_method("method", method), integer_value("classes", classes, 2)
        if self.method == "equilibrium" and len(self.sizes) != 3:
            raise ValueError(f"sizes must have one hidden layer with method='equilibrium'; got {shown(sizes)}")
        if self.method == "spsa" and not self._digital:
            raise ValueError(
                f"rule must be None or DigitalSGD() with method='spsa', which moves all weights; got {shown(rule)}"
            )
        seeds = seed_sequence(rng)
        inputs = [self.sizes[0] + (self.classes if self.method == "forward_forward" else 0), *self.sizes[1:-1]]
        held = DigitalSGD() if self.rule is None else self.rule
        self.layers = [
            _Layer(a, b, held, self.physics, child(seeds, k))
            for k, (a, b) in enumerate(zip(inputs, self.sizes[1:], strict=True))
        ]
        self._draw = generator(child(seeds, 1000))
        fixed = generator(child(seeds, 1001))
        self._feedback = [0.3 * fixed.standard_normal((self.sizes[-1], width)) for width in self.sizes[1:-1]]
        self.epochs = 0

    @property
    def _digital(self) -> bool:
        return self.rule is None or isinstance(self.rule, DigitalSGD)

    def __repr__(self) -> str:
        return f"<PhysicalNetwork {self.sizes}, {self.physics!r}, {self.method}>"

    # ---- what it gives -----------------------------------------------------------------------------------------------

    def _signals(self, x: Array, model: bool = False, moved: list[Array] | None = None) -> list[Array]:
        """Inputs of the layers and the outputs of the last; `moved` is added to what layers read."""
        signals = [x]
        for k, layer in enumerate(self.layers):
            z = layer.model(signals[-1]) if model else layer.read(signals[-1])
            if moved is not None:
                z = z + moved[k]
            signals.append(z if k + 1 == len(self.layers) else np.tanh(z))
        return signals

    def _settled(self, x: Array, start: tuple[Array, Array] | None, steps: int, nudge: Any = None) -> tuple[Array, Array]:
        """Hidden and output states of the equilibrium network after some steps."""
        first, second = self.layers
        if start is None:
            h, o = np.zeros((len(x), self.sizes[1])), np.zeros((len(x), self.sizes[2]))
        else:
            h, o = start
        drive = first.read(x)
        for _ in range(steps):
            up = second.read(h)
            if nudge is not None:
                up = up + nudge[0] * (nudge[1] - o)
            back = second.back(o)
            h, o = np.clip(0.5 * h + 0.5 * (drive + back), 0.0, 1.0), np.clip(0.5 * o + 0.5 * up, 0.0, 1.0)
        return h, o

    def _goodness(self, x: Array) -> Array:
        """Sums of goodness of all labels, (n, classes)."""
        out = np.zeros((len(x), self.classes))
        for label in range(self.classes):
            signal = self._labelled(x, np.full(len(x), label))
            for layer in self.layers:
                h = np.maximum(layer.read(signal), 0.0)
                out[:, label] += np.square(h).mean(axis=1)
                signal = _normalised(h)
        return out

    def _labelled(self, x: Array, labels: NDArray[Any]) -> Array:
        return _normalised(np.concatenate([x, np.eye(self.classes)[labels]], axis=1))

    def outputs(self, x: ArrayLike) -> Array:
        """Return what the network gives for inputs (n, inputs): numbers of which the largest is at the answer."""
        v = real_array("x", x, (None, self.sizes[0]))
        if self.method == "forward_forward":
            return self._goodness(v)
        return self._settled(v, None, 20)[1] if self.method == "equilibrium" else self._signals(v)[-1]

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """Return the class of each input, (n,)."""
        return self.outputs(x).argmax(axis=1)

    def accuracy(self, data: tuple[ArrayLike, ArrayLike]) -> float:
        """Return the share of samples (x, y) whose class is found."""
        return float(np.mean(self.predict(data[0]) == np.asarray(data[1])))

    # ---- how it learns -----------------------------------------------------------------------------------------------

    def gradients(self, x: ArrayLike, labels: ArrayLike, *, size: float | None = None) -> Gradients:
        """Return what the method finds for a batch; weights stay as they are.

        Parameters
        ----------
        x : array_like (n, inputs)
        labels : array_like of int (n,)
        size : float, optional
            Of perturbations ("spsa" 0.02, "node" 0.05), or of the nudge ("equilibrium" 0.5).
        """
        v = real_array("x", x, (None, self.sizes[0]))
        y = np.asarray(labels)
        classes = self.classes if self.method == "forward_forward" else self.sizes[-1]
        if y.shape != (len(v),) or y.dtype.kind not in "iu" or len(y) == 0 or not 0 <= y.min() <= y.max() < classes:
            raise ValueError(f"labels must be integers from 0 to {classes - 1}, one for each sample; got {shown(labels)}")
        own: Callable[..., Any] = getattr(self, f"_by_{self.method}")
        default = DEFAULTS[self.method].get("size")
        if size is not None and default is None:
            raise ValueError(f"size must be None with method={self.method!r}, which perturbs nothing; got {size}")
        found = own(v, y) if default is None else own(v, y, default if size is None else _positive("size", size))
        if isinstance(found, Gradients):
            return found
        factors, loss = found
        parts = [(np.column_stack([a, np.ones(len(a))]), d) for a, d in factors]
        return Gradients([d.T @ a / len(v) for a, d in parts], parts, float(loss))

    def _by_backprop(self, x: Array, y: NDArray[Any]) -> Any:
        return self._through(self._signals(x, model=True), y)

    def _by_pat(self, x: Array, y: NDArray[Any]) -> Any:
        return self._through(self._signals(x), y)

    def _through(self, signals: list[Array], y: NDArray[Any]) -> Any:
        """Errors brought back by the weights as they are known."""
        loss, d = _cross_entropy(signals[-1], y)
        factors = []
        for k in range(len(self.layers) - 1, -1, -1):
            factors.append((signals[k], d))
            if k:
                d = (d @ self.layers[k].weights[:, :-1]) * (1.0 - np.square(signals[k]))
        return factors[::-1], loss

    def _by_dfa(self, x: Array, y: NDArray[Any]) -> Any:
        signals = self._signals(x)
        loss, error = _cross_entropy(signals[-1], y)
        hidden = [(error @ b) * (1.0 - np.square(h)) for b, h in zip(self._feedback, signals[1:-1], strict=True)]
        return list(zip(signals[:-1], [*hidden, error], strict=True)), loss

    def _by_node(self, x: Array, y: NDArray[Any], size: float) -> Any:
        before = self._signals(x)
        moved = [size * self._draw.standard_normal((len(x), width)) for width in self.sizes[1:]]
        old, new = (_losses(signals[-1], y) for signals in (before, self._signals(x, moved=moved)))
        change = (new - old)[:, None] / size**2
        return [(a, change * by) for a, by in zip(before[:-1], moved, strict=True)], old.mean()

    def _by_spsa(self, x: Array, y: NDArray[Any], size: float) -> Any:
        kept = [layer.weights for layer in self.layers]
        signs = [self._draw.choice([-1.0, 1.0], w.shape) for w in kept]
        losses = []
        for direction in (1.0, -1.0):
            for layer, w, s in zip(self.layers, kept, signs, strict=True):
                layer.tile.program((w + direction * size * s).astype(np.float32))
                layer.renew()
            losses.append(float(_losses(self._signals(x)[-1], y).mean()))
        for layer, w in zip(self.layers, kept, strict=True):
            layer.tile.program(w.astype(np.float32))
            layer.renew()
        slope = (losses[0] - losses[1]) / (2.0 * size)
        return Gradients([slope * s for s in signs], None, 0.5 * (losses[0] + losses[1]))

    def _by_equilibrium(self, x: Array, y: NDArray[Any], size: float) -> Any:
        target = np.eye(self.sizes[-1])[y]
        free = self._settled(x, None, 20)
        states = [self._settled(x, free, 6, (sign * size, target)) for sign in (1.0, -1.0)]
        scale = 1.0 / (2.0 * size)
        # dE = -(s_i s_j): a pair of vectors for each sign of the nudge
        first = np.concatenate([x, x]), np.concatenate([-scale * states[0][0], scale * states[1][0]])
        second = np.concatenate([h for h, _ in states]), np.concatenate([-scale * states[0][1], scale * states[1][1]])
        return [first, second], 0.5 * np.square(free[1] - target).sum(axis=1).mean()

    def _by_forward_forward(self, x: Array, y: NDArray[Any]) -> Any:
        wrong = (y + self._draw.integers(1, self.classes, len(y))) % self.classes
        signal = np.concatenate([self._labelled(x, y), self._labelled(x, wrong)])
        sign = np.repeat([1.0, -1.0], len(y))[:, None]
        factors, loss = [], 0.0
        for layer in self.layers:
            h = np.maximum(layer.read(signal), 0.0)
            margin = sign * (np.square(h).mean(axis=1, keepdims=True) - THETA)
            loss += float(np.logaddexp(0.0, -margin).mean())
            d = -sign / (1.0 + np.exp(np.minimum(margin, 50.0))) * 2.0 * h / h.shape[1]
            factors.append((signal, d))
            signal = _normalised(h)
        return factors, loss

    def _step(self, found: Gradients, lr: float, momentum: float) -> None:
        for k, layer in enumerate(self.layers):
            rate = lr * (0.25 if self.method == "equilibrium" and k == 1 else 1.0)
            if not self._digital:
                assert found.factors is not None
                x, d = (part.astype(np.float32) for part in found.factors[k])
                layer.tile.update(x, d, rate / len(x) * (2.0 if self._doubled else 1.0))
                layer.tile.end_batch()
            elif self.method == "forward_forward":
                layer.steps += 1
                layer.momentum += 0.1 * (found.weights[k] - layer.momentum)
                layer.second += 0.001 * (np.square(found.weights[k]) - layer.second)
                mean, square = layer.momentum / (1.0 - 0.9**layer.steps), layer.second / (1.0 - 0.999**layer.steps)
                layer.tile.program((layer.weights - rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32))
            else:
                layer.momentum = momentum * layer.momentum - rate * found.weights[k]
                layer.tile.program((layer.weights + layer.momentum).astype(np.float32))
            layer.renew()

    @property
    def _doubled(self) -> bool:
        """Whether a batch has two vectors for each sample."""
        return self.method in ("equilibrium", "forward_forward")

    def train(
        self,
        data: tuple[ArrayLike, ArrayLike],
        *,
        epochs: int = 15,
        lr: float | None = None,
        batch_size: int = 50,
        momentum: float = 0.9,
        size: float | None = None,
        progress: bool = True,
    ) -> list[float]:
        """Train by the method, and return the mean loss of every epoch. Calls go on where the last one ended.

        Parameters
        ----------
        data : (x, y)
            Samples (n, inputs), and labels (n,).
        epochs : int, default 15
        lr : float, optional
            By default what suits the method. "equilibrium" has a quarter of it at the output.
        batch_size : int, default 50
        momentum : float, default 0.9
            Of digital weights; "equilibrium" and "node" do without. Forward-forward has Adam in its place.
        size : float, optional
            As in `gradients`.
        progress : bool, default True
        """
        x = real_array("data[0]", data[0], (None, self.sizes[0]))
        y = np.asarray(data[1])
        rate = DEFAULTS[self.method]["lr"] if lr is None else _positive("lr", lr)
        share = 0.0 if self.method in ("equilibrium", "node") else physical(0.0, 1.0)("momentum", momentum)
        count, losses = integer_value("batch_size", batch_size, 1), []
        hidden = None if boolean("progress", progress) else True
        for _ in progress_bar(range(integer_value("epochs", epochs, 0)), desc=self.method, unit="epoch", disable=hidden):
            order, total = self._draw.permutation(len(x)), 0.0
            for start in range(0, len(x), count):
                chosen = order[start : start + count]
                found = self.gradients(x[chosen], y[chosen], size=size)
                total += found.loss * len(chosen)
                self._step(found, rate, share)
            losses.append(total / len(x))
            self.epochs += 1
        return losses


def _normalised(x: Array) -> Array:
    """Vectors of mean square 1."""
    return x / (np.sqrt(np.square(x).mean(axis=1, keepdims=True)) + 1e-6)


def _losses(z: Array, y: NDArray[Any]) -> Array:
    """Cross-entropies of samples."""
    top = z.max(axis=1, keepdims=True)
    return np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - z[np.arange(len(y)), y]


def _cross_entropy(z: Array, y: NDArray[Any]) -> tuple[float, Array]:
    """Mean loss, and the gradient of each sample's own."""
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1.0
    return float(_losses(z, y).mean()), p
