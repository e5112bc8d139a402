"""Layers: what stands between the signals of a network and the tiles that hold its weights."""

from __future__ import annotations

import inspect
import math
from typing import Any, ClassVar

import numpy as np

from rpusim._core.kernels import KINDS, uniforms
from rpusim._random import RNG, generator, key, seed_sequence
from rpusim._validation import integer_value, physical, real, signal
from rpusim.algorithms import Algorithm
from rpusim.nn._elementwise import sigmoid, sigmoid_gradient, tanh, tanh_gradient
from rpusim.nn.matrix import Mapping, Matrix, fan_bound
from rpusim.nn.optimizers import Parameter
from rpusim.specification import Specification, from_dict

__all__ = ["BatchNorm", "Dropout", "Embedding", "Flatten", "Layer", "Linear", "OneHot", "ReLU", "Sigmoid", "Tanh"]


class Layer:
    """Base of all layers: a function without weights, until a subclass says otherwise.

    A layer works in turns: `forward(x, train=True)`, `backward(d)`, `update(lr)`. Between them it keeps what the next
    one needs, and no copy of it: the arrays handed over must not change until the update is done. After
    `forward(x, train=False)`, a `backward` raises RuntimeError.

    Attributes
    ----------
    trainable : bool
        Whether it has a state to build, train and save.
    in_features, out_features : int or None
        Lengths of its input and output vectors (last axis); None for any.
    keeps_features : bool
        Whether a layer without lengths gives as many features as it takes.
    takes_indices : bool
        Whether its inputs are integers, not signals.
    stateful : bool
        Whether it carries a state from one batch to the next; see `reset_state`.
    in_flight : tuple of str or None
        Class attribute: names of the attributes that hold a batch's signals between its forward and its backward, None while
        there are none. A layer that says so can be part of an asynchronous `Pipeline`.
    """

    trainable: bool = False
    in_features: int | None = None
    out_features: int | None = None
    keeps_features: bool = True
    takes_indices: bool = False
    stateful: bool = False
    in_flight: ClassVar[tuple[str, ...] | None] = None
    _kinds: ClassVar[dict[str, type[Layer]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = Layer._kinds.get(cls.__name__)
        if known is not None and known.__module__.startswith("rpusim.") and known.__module__ != cls.__module__:
            raise TypeError(f"a layer called {cls.__name__} exists already, in {known.__module__}")
        Layer._kinds[cls.__name__] = cls

    @property
    def built(self) -> bool:
        """Whether the layer has what it needs to compute."""
        return True

    def build(self, rng: RNG = None) -> None:
        """Make the tiles and their initial weights."""

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        """Return the output (batch, ...) float32 of the input (batch, ...) float32."""
        raise NotImplementedError

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """Take dLoss/doutput per sample and return dLoss/dinput, or None if `input_gradient` is False."""
        raise NotImplementedError

    def update(self, lr: float) -> None:
        """Train the weights on the last forward and backward signals."""

    def children(self) -> tuple[Layer, ...]:
        """Return the layers that it is made of, in order; none for most."""
        return ()

    def set_aside(self) -> Any:
        """Hand over the signals of the last forward and forget them: other samples may go forward before they come back.

        Raises
        ------
        TypeError
            If the layer does not say which they are.
        """
        if self.in_flight is None:
            raise TypeError(f"{type(self).__name__} must name its signals in `in_flight`, to have several batches in flight")
        signals = [getattr(self, name) for name in self.in_flight]
        for name in self.in_flight:
            setattr(self, name, None)
        return signals

    def bring_back(self, signals: Any) -> None:
        """Take the signals that `set_aside` handed over, for the backward and update that belong to them."""
        for name, value in zip(self.in_flight or (), signals, strict=True):
            setattr(self, name, value)

    def matrices(self) -> list[Matrix]:
        """Return the matrices on tiles, in order."""
        return []

    def parameters(self) -> list[Parameter]:
        """Return what is trained digitally, in order."""
        return [p for matrix in self.matrices() for p in matrix.parameters]

    def reset_state(self) -> None:
        """Forget what is carried from one batch to the next (recurrent layers)."""

    def state_dict(self) -> dict[str, Any]:
        """Return all state as nested plain dicts, fit for `rpusim.checkpoint.save`."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state that `state_dict` returned."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the layer was made with as a plain dict (JSON-ready); `layer_from_dict` makes it again."""
        out: dict[str, Any] = {"type": type(self).__name__}
        for name in inspect.signature(type(self)).parameters:
            if not hasattr(self, name):
                raise TypeError(f"{type(self).__name__} must keep its argument {name!r} as an attribute, to be described")
            value = getattr(self, name)
            out[name] = value.to_dict() if isinstance(value, (Specification, Layer)) else value
        return out

    def __repr__(self) -> str:
        shown = []
        for name, argument in inspect.signature(type(self)).parameters.items():
            if not hasattr(self, name):  # a user's layer that keeps its arguments elsewhere
                continue
            value = getattr(self, name)
            if argument.default is argument.empty:
                shown.append(repr(value))
            elif value != argument.default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def layer_from_dict(data: dict[str, Any]) -> Layer:
    """Make the layer (not built) that `Layer.to_dict` described.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    if not isinstance(data, dict) or data.get("type") not in Layer._kinds:
        found = data.get("type") if isinstance(data, dict) else data
        raise ValueError(f"data must describe a layer, one of {', '.join(sorted(Layer._kinds))}; got {found!r}")
    arguments = {}
    for name, value in data.items():
        if isinstance(value, dict) and "type" in value:
            value = layer_from_dict(value) if value["type"] in Layer._kinds else from_dict(value)
        elif isinstance(value, list):
            value = [layer_from_dict(v) if isinstance(v, dict) else v for v in value]
            value = value if name == "layers" else tuple(value)
        arguments[name] = value
    kind = Layer._kinds[arguments.pop("type")]
    layers = arguments.pop("layers", [])
    return kind(*layers, **arguments)


def _no_forward(layer: Layer) -> RuntimeError:
    return RuntimeError(f"{type(layer).__name__}: backward needs a forward(x, train=True) before it")


def _check_gradient(d: np.ndarray, outputs: tuple[int, ...]) -> None:
    if d.shape != outputs:
        raise ValueError(f"d must have the shape {outputs} of the outputs; got {d.shape}")


class MatrixLayer(Layer):
    """A layer whose weights are one matrix, `self.matrix`."""

    trainable = True
    matrix: Matrix
    lr_scale: float

    @property
    def rule(self) -> Algorithm:
        return self.matrix.rule

    @property
    def bias(self) -> bool:
        return self.matrix.bias

    @property
    def mapping(self) -> Mapping | None:
        return None if self.matrix.mapping == Mapping() else self.matrix.mapping

    @property
    def tile(self) -> Any:
        """The tile, where there is one; None before `build`."""
        return self.matrix.tile

    @property
    def built(self) -> bool:
        return bool(self.matrix.tiles)

    def build(self, rng: RNG = None) -> None:
        """Make the tiles and program the initial weights, uniform in +-1/sqrt(inputs of the matrix).

        Parameters
        ----------
        rng : int, SeedSequence, Generator or None
            Seed of the initial weights and of everything random in the tiles.
        """
        self.matrix.build(rng, fan_bound(self.matrix.inputs))
        self._reset()

    def _reset(self) -> None:
        """Forget the last signals."""

    def _needs_build(self, what: str) -> None:
        if not self.built:
            raise RuntimeError(f"{type(self).__name__}: call build(rng) before {what}")

    def matrices(self) -> list[Matrix]:
        return [self.matrix]

    def state_dict(self) -> dict[str, Any]:
        self._needs_build("state_dict")
        return self.matrix.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._needs_build("load_state_dict")
        self.matrix.load_state_dict(state)
        self._reset()


class Linear(MatrixLayer):
    """y = W x + b, on one array, or several.

    The bias b is the last column of the array, and its input is held at 1 (an analog bias): it is read, trained and
    disturbed like every other weight. `build` draws the initial weights and biases uniformly from +-1/sqrt(in_features)
    and programs them; devices clip them to their bounds.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of x and y. x may have more axes, (batch, ..., in_features); each vector is a sample of its own.
    rule : specification of an algorithm
        Builds the tile: `rule.build((n_out, n_in), rng)`, with n_in = in_features + 1 if there is a bias.
    bias : bool
        Whether there is a bias.
    mapping : Mapping or None
        How the matrix is put on arrays: largest size, digital bias, scales, input range.
    lr_scale : float, default 1
        Rate of this layer relative to that of the network.

    Attributes
    ----------
    tile : Tile or None
        The weights, shape (out_features, in_features + bias); None before `build`.
    matrix : Matrix
        All tiles, where the matrix is split.

    Raises
    ------
    TypeError, ValueError
        If a length is no positive integer, or `rule` has no `build`.
    RuntimeError
        If it is used before `build`, or out of turn.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.nn.Linear(784, 10, rpu.algorithms.DigitalSGD())
    >>> layer.build(rng=0)
    >>> layer.forward(np.zeros((5, 784), np.float32)).shape
    (5, 10)
    """

    in_features: int
    out_features: int
    in_flight = ("_shape", "_output_shape", "_input", "_output", "_signals", "_training")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rule: Algorithm,
        bias: bool = True,
        mapping: Mapping | None = None,
        lr_scale: float = 1.0,
    ) -> None:
        self.matrix = Matrix(in_features, out_features, rule, bias, mapping)
        self.in_features, self.out_features = self.matrix.inputs, self.matrix.outputs
        self.lr_scale = physical(0.0)("lr_scale", lr_scale)
        self._reset()

    def _reset(self) -> None:
        self._shape: tuple[int, ...] | None = None  # of the inputs that the buffer below was made for
        self._output_shape: tuple[int, ...] = ()
        self._input: Any = None  # inputs with the constant 1 beside them
        self._gradient: Any = None
        self._output: Any = None
        self._signals: Any = None  # inputs as they came, for digital parameters
        self._training = False

    def _new_shape(self, x: np.ndarray) -> None:
        """Check an input of a shape not seen last time, and make a buffer for it."""
        self._needs_build("forward")
        if x.ndim < 2 or x.shape[-1] != self.in_features:
            raise ValueError(f"x must have shape (any, {self.in_features}); got {x.shape}")
        if self.matrix.columns > self.in_features:
            self._input = np.ones((x.size // self.in_features, self.matrix.columns), np.float32)
        self._shape, self._output_shape = x.shape, (*x.shape[:-1], self.out_features)

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        matrix, shape = self.matrix, x.shape
        if shape != self._shape:
            self._new_shape(x)
        vectors = x if len(shape) == 2 else x.reshape(-1, self.in_features)
        if matrix.columns > self.in_features:
            self._input[:, :-1] = vectors
        else:
            self._input = matrix.drive(vectors)
        self._training, self._gradient = train, None
        y = matrix.forward(self._input)
        if matrix.parameters:
            self._signals, self._output = vectors, y
        return y if len(shape) == 2 else y.reshape(self._output_shape)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if not self._training or self._shape is None:
            raise _no_forward(self)
        _check_gradient(d, self._output_shape)
        if d.ndim > 2:
            d = d.reshape(-1, self.out_features)
        self._gradient, matrix = d, self.matrix
        z = matrix.backward(d) if input_gradient else None
        if matrix.parameters:
            matrix.gradients(self._signals, d, self._output, z)
        return z if z is None or len(self._shape) == 2 else z.reshape(self._shape)

    def update(self, lr: float) -> None:
        """W <- W - lr * sum over the batch of d x^T, in expectation: one pulsed update per sample at rate `lr`."""
        if self._gradient is None:
            raise RuntimeError("Linear: update needs a forward(x, train=True) and a backward(d) before it")
        rate = lr * self.lr_scale
        self.matrix.update(self._input, self._gradient, rate)
        self.matrix.end_batch(rate)


class _Activation(Layer):
    """An elementwise function; it keeps its output, from which its derivative follows."""

    in_flight = ("_output",)

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
        y = sigmoid(x)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise _no_forward(self)
        return sigmoid_gradient(y, d)


class Tanh(_Activation):
    """y = tanh(x); dy/dx = 1 - y^2.

    Examples
    --------
    >>> Tanh().forward(np.zeros((1, 2), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        y = tanh(x)
        self._output = y if train else None
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        y = self._output
        if y is None:
            raise _no_forward(self)
        return tanh_gradient(y, d)


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
        _check_gradient(d, y.shape)
        return d * (y > 0)


class Flatten(Layer):
    """(batch, ...) -> (batch, all the rest).

    Examples
    --------
    >>> Flatten().forward(np.zeros((2, 3, 4, 4), np.float32)).shape
    (2, 48)
    """

    keeps_features = False
    in_flight = ("_shape",)

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        self._shape = x.shape if train else None
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._shape is None:
            raise _no_forward(self)
        _check_gradient(d, (self._shape[0], math.prod(self._shape[1:])))
        return d.reshape(self._shape)


class Dropout(Layer):
    """In training, each element is 0 with probability `p`, else divided by 1 - p; without training, the identity.

    Parameters
    ----------
    p : float
        Probability, at least 0 and below 1.

    Examples
    --------
    >>> layer = Dropout(0.5)
    >>> layer.build(rng=0)
    >>> sorted(set(layer.forward(np.ones((1, 100), np.float32)).ravel().tolist()))
    [0.0, 2.0]
    """

    trainable = True
    in_flight = ("_mask",)

    def __init__(self, p: float) -> None:
        self.p = real(0.0, 1.0, open_high=True)("p", p)
        self._key: int | None = None
        self._calls = 0
        self._mask: np.ndarray | None = None

    @property
    def built(self) -> bool:
        return self._key is not None

    def build(self, rng: RNG = None) -> None:
        self._key, self._calls = key(seed_sequence(rng)), 0

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        self._mask = None
        if not train:
            return x
        if self._key is None:
            raise RuntimeError("Dropout: call build(rng) before forward")
        draws = uniforms(self._key, x.size, operation=self._calls, kind=KINDS["reset_choice"]).reshape(x.shape)
        self._calls += 1
        self._mask = (draws > self.p) * np.float32(1.0 / (1.0 - self.p))
        return x * self._mask

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._mask is None:
            raise _no_forward(self)
        _check_gradient(d, self._mask.shape)
        return d * self._mask

    def state_dict(self) -> dict[str, Any]:
        if self._key is None:
            raise RuntimeError("Dropout: call build(rng) before state_dict")
        return {"key": self._key, "calls": self._calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if not isinstance(state, dict) or set(state) != {"key", "calls"}:
            raise ValueError(f"state must be a dict with 'calls' and 'key'; got {state!r:.80}")
        number = integer_value("state['key']", state["key"], 0, 2**64 - 1)
        self._key, self._calls = number, integer_value("state['calls']", state["calls"], 0, 2**55)


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, for each feature; digital.

    In training, mean and variance are those of the batch (and positions), and running averages of them are kept, which are
    used otherwise (Ioffe and Szegedy, 2015).

    Parameters
    ----------
    features : int
        Length of the second axis: vectors (batch, features) or images (batch, features, height, width).
    momentum : float, default 0.1
        Weight of the newest batch in the running averages.
    epsilon : float, default 1e-5

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]], np.float32)
    >>> BatchNorm(1).forward(x).round(3).tolist()
    [[-1.0], [1.0]]
    """

    trainable = True
    in_flight = ("_kept",)

    def __init__(self, features: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        self.features = integer_value("features", features, low=1)
        self.momentum = real(0.0, 1.0)("momentum", momentum)
        self.epsilon = physical(0.0, open_low=True)("epsilon", epsilon)
        self.gamma, self.beta = Parameter(np.ones(self.features)), Parameter(np.zeros(self.features))
        self.build()

    def build(self, rng: RNG = None) -> None:
        """Begin with gamma = 1, beta = 0 and averages of 0 and 1."""
        self.gamma.reset(1.0)
        self.beta.reset(0.0)
        self.mean, self.variance = np.zeros(self.features, np.float32), np.ones(self.features, np.float32)
        self._kept: Any = None

    def parameters(self) -> list[Parameter]:
        return [self.gamma, self.beta]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        if x.ndim < 2 or x.shape[1] != self.features:
            raise ValueError(f"x must have {self.features} features on its second axis; got shape {x.shape}")
        axes = (0, *range(2, x.ndim))
        form = (1, self.features, *(1,) * (x.ndim - 2))
        mean, variance = self.mean, self.variance
        if train:
            n = x.size // self.features
            if n < 2:
                raise ValueError(f"x must hold at least 2 values per feature in training; got shape {x.shape}")
            mean = x.mean(axis=axes, dtype=np.float64).astype(np.float32)
            variance = x.var(axis=axes, dtype=np.float64).astype(np.float32)
            m = np.float32(self.momentum)
            self.mean += m * (mean - self.mean)
            self.variance += m * (variance * np.float32(n / (n - 1)) - self.variance)
        scale = (1.0 / np.sqrt(variance + np.float32(self.epsilon))).astype(np.float32)
        normal = (x - mean.reshape(form)) * scale.reshape(form)
        self._kept = (normal, scale, axes, form) if train else None
        return normal * self.gamma.value.reshape(form) + self.beta.value.reshape(form)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise _no_forward(self)
        normal, scale, axes, form = self._kept
        _check_gradient(d, normal.shape)
        total, product = d.sum(axis=axes), (d * normal).sum(axis=axes)
        self.beta.gradient += total
        self.gamma.gradient += product
        if not input_gradient:
            return None
        n = np.float32(d.size // self.features)
        inner = d - (total / n).reshape(form) - normal * (product / n).reshape(form)
        return inner * (self.gamma.value * scale).reshape(form)

    def update(self, lr: float) -> None:
        self.gamma.step(lr)
        self.beta.step(lr)

    def state_dict(self) -> dict[str, Any]:
        return {
            "gamma": self.gamma.state_dict(),
            "beta": self.beta.state_dict(),
            "mean": self.mean.copy(),
            "variance": self.variance.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if not isinstance(state, dict) or set(state) != {"gamma", "beta", "mean", "variance"}:
            raise ValueError(f"state must be a dict with 'beta', 'gamma', 'mean' and 'variance'; got {state!r:.80}")
        self.gamma.load_state_dict(state["gamma"], "state['gamma']")
        self.beta.load_state_dict(state["beta"], "state['beta']")
        for name, array in (("mean", self.mean), ("variance", self.variance)):
            array[...] = signal(f"state[{name!r}]", state[name], array.shape)


class OneHot(Layer):
    """Integers (batch, ...) -> vectors (batch, ..., n) with a 1 at their place.

    Parameters
    ----------
    n : int
        Number of classes; inputs are 0 to n - 1.

    Examples
    --------
    >>> OneHot(3).forward(np.array([[0, 2]])).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]
    """

    takes_indices = True
    in_flight = ()

    def __init__(self, n: int) -> None:
        self.n = integer_value("n", n, low=1)
        self.out_features = self.n

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        x = indices("x", x, self.n)
        return np.eye(self.n, dtype=np.float32)[x]

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        return None


class Embedding(Layer):
    """Integers (batch, ...) -> rows of a digital table, (batch, ..., features).

    Parameters
    ----------
    n, features : int
        Rows of the table and their length; initial values are standard normal.

    Examples
    --------
    >>> layer = Embedding(10, 4)
    >>> layer.build(rng=0)
    >>> layer.forward(np.array([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    takes_indices = True
    trainable = True
    in_flight = ("_indices",)

    def __init__(self, n: int, features: int) -> None:
        self.n, self.features = integer_value("n", n, low=1), integer_value("features", features, low=1)
        self.out_features = self.features
        self.table: Parameter | None = None
        self._indices: np.ndarray | None = None

    @property
    def built(self) -> bool:
        return self.table is not None

    def build(self, rng: RNG = None) -> None:
        self.table = Parameter(generator(seed_sequence(rng)).standard_normal((self.n, self.features)))

    def _table(self, what: str) -> Parameter:
        if self.table is None:
            raise RuntimeError(f"Embedding: call build(rng) before {what}")
        return self.table

    def parameters(self) -> list[Parameter]:
        return [] if self.table is None else [self.table]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        x = indices("x", x, self.n)
        self._indices = x if train else None
        return self._table("forward").value[x]

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._indices is None:
            raise _no_forward(self)
        _check_gradient(d, (*self._indices.shape, self.features))
        np.add.at(self._table("backward").gradient, self._indices, d)
        return None

    def update(self, lr: float) -> None:
        self._table("update").step(lr)

    def state_dict(self) -> dict[str, Any]:
        return {"table": self._table("state_dict").state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if not isinstance(state, dict) or set(state) != {"table"}:
            raise ValueError(f"state must be a dict with 'table'; got {state!r:.80}")
        self._table("load_state_dict").load_state_dict(state["table"], "state['table']")


def indices(name: str, value: Any, n: int) -> np.ndarray:
    """Return integers checked to be from 0 to n - 1."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers from 0 to {n - 1}; got dtype {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= n):
        raise ValueError(f"{name} must be integers from 0 to {n - 1}; got {array.min()} to {array.max()}")
    return array
