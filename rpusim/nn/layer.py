"""What all layers share."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from rpusim._base.lazy import public_homes
from rpusim._base.random import RNG
from rpusim._base.specification import Specification, from_dict
from rpusim._base.state import Entry, Stateful
from rpusim._base.validation import boolean, physical, plain_array, shown
from rpusim.algorithms import Algorithm
from rpusim.arrays.counts import Written
from rpusim.nn.matrix import Mapping, Matrix, fan_bound
from rpusim.nn.optimizers import Parameter

__all__ = ["Layer"]

_rate = physical()
_FLOAT32 = np.dtype(np.float32)


class Layer(Stateful):
    """Base of all layers: a function without weights, until a subclass says otherwise.

    A layer works in turns: `forward(x, train=True)`, `backward(d)`, `update(lr)`. Between them it keeps what the next
    one needs, and no copy of it: the arrays handed over must not change until the update is done. After
    `forward(x, train=False)`, a `backward` raises RuntimeError.

    A layer of a user that has a state may say so in `state_dict` and `load_state_dict` of its own: that a state fits is then
    found out by loading it.

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

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> class Square(rpu.nn.Layer):
    ...     def forward(self, x, train=True):
    ...         self.x = x
    ...         return x * x
    ...     def backward(self, d):
    ...         return 2 * self.x * d
    >>> net = rpu.nn.Sequential(Square())
    >>> net.predict(np.array([[1.0, -3.0]])).tolist()
    [[1.0, 9.0]]
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
        return [p for matrix in self.matrices() for p in matrix.trained]

    def reset_state(self) -> None:
        """Forget what is carried from one batch to the next (recurrent layers)."""

    def _entries(self) -> dict[str, Entry]:
        return {}

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


#: where layers are
_HOMES = ("rpusim.nn.", "rpusim.applications.")


def is_layer(kind: Any) -> bool:
    """Whether there is a layer of this name; its module is loaded where nobody has yet."""
    if not isinstance(kind, str):
        return False
    if kind not in Layer._kinds and public_homes().get(kind, "").startswith(_HOMES):
        import_module(public_homes()[kind])
    return kind in Layer._kinds


def layer_from_dict(data: dict[str, Any]) -> Layer:
    """Make the layer (not built) that `Layer.to_dict` described.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    found = data.get("type") if isinstance(data, dict) else data
    if not isinstance(data, dict) or not is_layer(found):
        raise ValueError(f"data must describe a layer, one of {', '.join(sorted(Layer._kinds))}; got {shown(found)}")
    arguments = {}
    for name, value in data.items():
        if isinstance(value, dict) and "type" in value:
            value = layer_from_dict(value) if is_layer(value["type"]) else from_dict(value)
        elif isinstance(value, list):
            value = [layer_from_dict(v) if isinstance(v, dict) else v for v in value]
            value = value if name == "layers" else tuple(value)
        arguments[name] = value
    kind = Layer._kinds[arguments.pop("type")]
    layers = arguments.pop("layers", [])
    return kind(*layers, **arguments)


def checked_rate(lr: float) -> float:
    """Return a rate, finite and at most 1e30 in size."""
    return lr if type(lr) is float and -1e30 <= lr <= 1e30 else _rate("lr", lr)


def no_forward(layer: Layer) -> RuntimeError:
    return RuntimeError(f"{type(layer).__name__}: backward needs a forward(x, train=True) before it")


def check_signals(name: str, value: Any, train: Any = True) -> None:
    """Refuse what is no array of real numbers, by its type; the numbers are looked at by those that keep or sum them."""
    if type(value) is np.ndarray and value.dtype is _FLOAT32 and type(train) is bool and 0 not in value.strides:
        return  # as it should be, and once for every layer and step
    if type(train) is not bool:
        boolean("train", train)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array of float32; got {shown(value)}")
    if 0 in value.strides:
        plain_array(name, value, "real numbers")


def check_gradient(d: np.ndarray, outputs: tuple[int, ...]) -> None:
    if type(d) is np.ndarray and d.dtype is _FLOAT32 and d.shape == outputs:
        return  # as it should be, and once for every layer and step
    check_signals("d", d)
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

    def set_weights(self, weights: Any, bias: Any = None) -> Written:
        """Write weights that were trained elsewhere.

        Parameters
        ----------
        weights : array_like of shape (outputs of the matrix, inputs of the matrix)
            W of y = W x + b; of recurrent layers the gates in their order, each [of x, of h].
        bias : array_like of shape (outputs of the matrix,), optional
            b, by default 0.

        Returns
        -------
        Written
            How many weights were beyond the bounds of their devices and so were clipped, and by how much at most.
        """
        self._needs_build("set_weights")
        written = self.matrix.set_weights(weights, bias)
        self._reset()
        return written

    def _reset(self) -> None:
        """Forget the last signals."""

    def _needs_build(self, what: str) -> None:
        if not self.built:
            raise RuntimeError(f"{type(self).__name__}: call build(rng) before {what}")

    def matrices(self) -> list[Matrix]:
        return [self.matrix]

    def _entries(self) -> dict[str, Entry]:
        self._needs_build("state_dict or load_state_dict")
        return self.matrix._entries()

    def _restored(self) -> None:
        self._reset()
