"""Layers: what stands between the signals of a network and the tiles that hold its weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import expit

from rpusim._random import RNG, child, generator, seed_sequence
from rpusim._validation import boolean, integer_value
from rpusim.algorithms import Algorithm

__all__ = ["Layer", "Linear", "ReLU", "Sigmoid", "Tanh"]


class Layer:
    """Base of all layers: an elementwise function without weights, until a subclass says otherwise.

    A layer works in turns: `forward(x, train=True)`, `backward(d)`, `update(lr)`. Between them it keeps what the next
    one needs, and no copy of it: the arrays handed over must not change until the update is done. After
    `forward(x, train=False)`, a `backward` raises RuntimeError.

    Attributes
    ----------
    trainable : bool
        Whether it holds weights.
    in_features, out_features : int or None
        Lengths of its input and output vectors; None for any.
    """

    trainable: bool = False
    in_features: int | None = None
    out_features: int | None = None

    @property
    def built(self) -> bool:
        """Whether the layer has what it needs to compute."""
        return True

    def build(self, rng: RNG = None) -> None:
        """Make the tiles and their initial weights."""

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        """Return the output (batch, out_features) float32 of the input (batch, in_features) float32."""
        raise NotImplementedError

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """Take dLoss/doutput per sample and return dLoss/dinput, or None if `input_gradient` is False."""
        raise NotImplementedError

    def update(self, lr: float) -> None:
        """Train the weights on the last forward and backward signals."""

    def state_dict(self) -> dict[str, Any]:
        """Return all state as nested plain dicts, fit for `rpusim.checkpoint.save`."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state that `state_dict` returned."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _no_forward(layer: Layer) -> RuntimeError:
    return RuntimeError(f"{type(layer).__name__}: backward needs a forward(x, train=True) before it")


class Linear(Layer):
    """y = W x + b, all on one array.

    The bias b is the last column of the array, and its input is held at 1 (an analog bias): it is read, trained and
    disturbed like every other weight. `build` draws the initial weights and biases uniformly from +-1/sqrt(in_features)
    and programs them; devices clip them to their bounds.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of x and y.
    rule : specification of an algorithm
        Builds the tile: `rule.build((n_out, n_in), rng)`, with n_in = in_features + 1 if there is a bias.
    bias : bool
        Whether there is a bias column.

    Attributes
    ----------
    tile : Tile or None
        The weights, shape (out_features, in_features + bias); None before `build`.

    Raises
    ------
    TypeError, ValueError
        If a length is no positive integer, or `rule` has no `build`.
    RuntimeError
        If it is used before `build`, or out of turn.

    Examples
    --------
    >>> layer = Linear(784, 10, rule)  # doctest: +SKIP
    >>> layer.build(rng=0)  # doctest: +SKIP
    >>> layer.forward(x).shape  # x (batch, 784)  # doctest: +SKIP
    (batch, 10)
    """

    trainable = True

    def __init__(self, in_features: int, out_features: int, rule: Algorithm, bias: bool = True) -> None:
        self.in_features: int = integer_value("in_features", in_features, low=1)
        self.out_features: int = integer_value("out_features", out_features, low=1)
        if isinstance(rule, type) or not callable(getattr(rule, "build", None)):
            raise TypeError(f"rule must be the specification of an algorithm, with a build method; got {rule!r}")
        self.rule = rule
        self.bias = boolean("bias", bias)
        self.tile: Any = None  # a Tile, once built
        self._reset()

    def _reset(self) -> None:
        self._shape: tuple[int, ...] | None = None  # of the inputs that the buffer below was made for
        self._input: Any = None  # inputs with the constant 1 beside them
        self._gradient: Any = None
        self._training = False

    @property
    def built(self) -> bool:
        return self.tile is not None

    def build(self, rng: RNG = None) -> None:
        """Make the tile and program the initial weights, uniform in +-1/sqrt(in_features).

        Parameters
        ----------
        rng : int, SeedSequence, Generator or None
            Seed of the initial weights and of everything random in the tile.
        """
        seeds = seed_sequence(rng)
        shape = (self.out_features, self.in_features + self.bias)
        tile = self.rule.build(shape, child(seeds, 0))
        bound = 1 / math.sqrt(self.in_features)
        tile.program(generator(child(seeds, 1)).uniform(-bound, bound, shape).astype(np.float32))
        self.tile = tile
        self._reset()

    def _new_shape(self, x: np.ndarray) -> None:
        """Check an input of a shape not seen last time, and make a buffer for it."""
        if self.tile is None:
            raise RuntimeError("Linear: call build(rng) before forward")
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"x must have shape (any, {self.in_features}); got {x.shape}")
        if self.bias:
            self._input = np.ones((x.shape[0], self.in_features + 1), np.float32)
        self._shape = x.shape

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        if x.shape != self._shape:
            self._new_shape(x)
        if self.bias:
            self._input[:, :-1] = x
        else:
            self._input = x
        self._training = train
        self._gradient = None
        return self.tile.forward(self._input)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if not self._training:
            raise _no_forward(self)
        self._gradient = d
        if not input_gradient:
            return None
        z = self.tile.backward(d)
        return z[:, :-1] if self.bias else z

    def update(self, lr: float) -> None:
        """W <- W - lr * sum over the batch of d x^T, in expectation: one pulsed update per sample at rate `lr`."""
        if self._gradient is None:
            raise RuntimeError("Linear: update needs a forward(x, train=True) and a backward(d) before it")
        self.tile.update(self._input, self._gradient, lr)
        self.tile.end_batch()

    def state_dict(self) -> dict[str, Any]:
        if self.tile is None:
            raise RuntimeError("Linear: call build(rng) before state_dict")
        return {"tile": self.tile.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.tile is None:
            raise RuntimeError("Linear: call build(rng) before load_state_dict")
        if not isinstance(state, dict) or set(state) != {"tile"}:
            raise ValueError(f"state must be what Linear.state_dict() returned, a dict with 'tile'; got {state!r:.80}")
        self.tile.load_state_dict(state["tile"])
        self._reset()

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}, {self.rule!r}{bias})"


class _Activation(Layer):
    """An elementwise function; it keeps its output, from which its derivative follows."""

    def __init__(self) -> None:
        self._output: np.ndarray | None = None


class Sigmoid(_Activation):
    """y = 1 / (1 + exp(-x)), without overflow at any x; dy/dx = y (1 - y).

    Examples
    --------
    >>> Sigmoid().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        y = expit(x)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise _no_forward(self)
        slope = 1 - y
        slope *= y
        slope *= d
        return slope


class Tanh(_Activation):
    """y = tanh(x); dy/dx = 1 - y^2.

    Examples
    --------
    >>> Tanh().forward(np.zeros((1, 2), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        y = np.tanh(x)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise _no_forward(self)
        slope = y * y
        np.subtract(1, slope, out=slope)
        slope *= d
        return slope


class ReLU(_Activation):
    """y = max(x, 0); dy/dx = 1 where x > 0, else 0.

    Examples
    --------
    >>> ReLU().forward(np.array([[-1, 2]], np.float32))
    array([[0., 2.]], dtype=float32)
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        y = np.maximum(x, 0)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise _no_forward(self)
        return d * (y > 0)
