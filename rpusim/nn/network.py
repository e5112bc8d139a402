"""Networks: layers in a row, and around each other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from rpusim._base import checkpoint as files
from rpusim._base import state as states
from rpusim._base.random import RNG, child, seed_sequence
from rpusim._base.specification import plain_json
from rpusim._base.validation import (
    LARGEST,
    axes_of,
    boolean,
    choice,
    fail,
    instance,
    integer_value,
    plain_array,
    real,
    shown,
    signal,
)
from rpusim._core.buffers import is_finite_signal
from rpusim.nn.embedding import indices
from rpusim.nn.layer import Layer, check_gradient, check_signals, checked_rate, layer_from_dict, no_forward
from rpusim.nn.matrix import Matrix
from rpusim.nn.optimizers import Optimizer, Parameter, shortened

__all__ = ["Concatenate", "Residual", "Sequential", "load"]

_MADE_BY = "rpusim.nn.Sequential"
_MOST_KINDS = 64


def _all_of(layer: Layer) -> list[Layer]:
    """Return a layer and all that it is made of."""
    return [layer, *(inner for part in layer.children() for inner in _all_of(part))]


def _each_once(name: str, layers: Sequence[Layer]) -> None:
    """Refuse layers that are there twice, at any depth: each keeps the signals of one place."""
    seen: set[int] = set()
    for layer in (inner for outer in layers for inner in _all_of(outer)):
        if id(layer) in seen:
            raise ValueError(f"{name} must be layers of their own; got one that is there twice: {shown(layer)}")
        seen.add(id(layer))


def _indices_of(layers: Sequence[Layer]) -> tuple[bool, int | None]:
    """Return whether layers that get one input take integers, and what these are below."""
    takers = [layer for layer in layers if layer.takes_indices]
    limits = [n for n in (getattr(layer, "n", None) for layer in takers) if n is not None]
    return bool(takers), min(limits, default=None)


class Group(Layer):
    """A layer made of others, which do all that is not said otherwise."""

    def _html_rows(self) -> list[tuple[int, Layer]]:
        return list(enumerate(self.children()))

    @property
    def built(self) -> bool:
        return all(layer.built for layer in self.children())

    def build(self, rng: RNG = None) -> None:
        """Build every layer, each with a seed of its own made from `rng` and its place."""
        seeds = seed_sequence(rng)
        for index, layer in enumerate(self.children()):
            layer.build(child(seeds, index))

    def _remember(self, layers: Sequence[Layer]) -> None:
        """Note which layers are trained, and that nothing has been taken by all of them yet."""
        self._trained = [layer for layer in layers if layer.trainable]
        self.trainable = bool(self._trained)
        self._taken: set[tuple[Any, ...]] = set()  # kinds of inputs that no layer refuses
        self._largest_rate = -1.0  # of those that no layer refuses

    @contextmanager
    def _unchanged_if_refused(self) -> Iterator[None]:
        """Around what some layer may refuse when others have done their part already."""
        before = self.state_dict()
        try:
            yield
        except (TypeError, ValueError):
            self.load_state_dict(before)
            raise

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        kind = (x.shape, train)
        if kind in self._taken or not self.built:
            return self._through(x, train)
        with self._unchanged_if_refused():
            y = self._through(x, train)
        if len(self._taken) == _MOST_KINDS:
            self._taken.clear()
        self._taken.add(kind)
        return y

    def _through(self, x: np.ndarray, train: bool) -> np.ndarray:
        """Return the outputs; what may be refused is found out the first time for inputs of a shape."""
        raise NotImplementedError

    def update(self, lr: float) -> None:
        """Update every layer at rate `lr` on the signals of the last forward and backward.

        Raises
        ------
        TypeError, ValueError
            If `lr` is no finite number of at most 1e30 in size, or a tile refuses it. No layer is changed then.
        """
        lr = checked_rate(lr)
        if abs(lr) <= self._largest_rate:
            for layer in self._trained:
                layer.update(lr)
            return
        with self._unchanged_if_refused():  # larger rates are what tiles refuse
            for layer in self._trained:
                layer.update(lr)
        self._largest_rate = abs(lr)

    def set_aside(self) -> Any:
        return [layer.set_aside() for layer in self.children()]

    def bring_back(self, signals: Any) -> None:
        for layer, kept in zip(self.children(), signals, strict=True):
            layer.bring_back(kept)

    def matrices(self) -> list[Matrix]:
        return [matrix for layer in self.children() for matrix in layer.matrices()]

    def parameters(self) -> list[Parameter]:
        return [p for layer in self.children() for p in layer.parameters()]

    def reset_state(self) -> None:
        for layer in self.children():
            layer.reset_state()

    def _entries(self) -> dict[str, states.Entry]:
        """The layers with weights, under their places."""
        return {str(index): states.part(layer) for index, layer in enumerate(self.children()) if layer.trainable}


class Sequential(Group):
    """Layers in a row: the output of each is the input of the next.

    Parameters
    ----------
    *layers : Layer
        At least one; each object once. A Sequential is a layer, too.

    Attributes
    ----------
    layers : tuple of Layer

    Raises
    ------
    TypeError, ValueError
        If an argument is no layer, comes twice, or does not take as many features as the one before it gives.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> rule = rpu.algorithms.SGD()
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(784, 32, rule), rpu.nn.Sigmoid(), rpu.nn.Linear(32, 10, rule))
    >>> net.build(rng=0)
    >>> net.predict(np.zeros((5, 784))).shape
    (5, 10)
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("layers must be at least one layer; got none")
        features: int | None = None
        whole = True  # the features that come to a layer are those of the network's input
        for index, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{index}] must be a layer; got {shown(layer)}")
            if layer.in_features is not None:
                if features is not None and features != layer.in_features:
                    raise ValueError(
                        f"layers[{index}] must take {features} features, as many as come to it; got {shown(layer)}"
                    )
                if whole:
                    self.in_features = layer.in_features
            whole = whole and layer.in_features is None and layer.out_features is None and layer.keeps_features
            if layer.out_features is not None or not layer.keeps_features:
                features = layer.out_features
        _each_once("layers", layers)
        self.layers = layers
        self.out_features = features
        self.keeps_features = all(layer.keeps_features for layer in layers)
        self.stateful = any(layer.stateful for layer in layers)
        self.takes_indices, self.n = _indices_of(layers[:1])
        self._max_norm: float | None = None  # of the gradients of a step
        self._remember(layers)
        # No layer before the first one with weights needs a gradient, nor does that one have to pass it on.
        first = next((index for index, layer in enumerate(layers) if layer.trainable), len(layers) - 1)
        self._first = layers[first]
        self._after_first = layers[:first:-1]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        """Return the outputs (batch, out_features) float32.

        Parameters
        ----------
        x : ndarray, shape (batch, in_features)
            Inputs. A float32 array is not copied, and must not change before the update.
        train : bool
            Whether `backward` is to follow.
        """
        if self.takes_indices or not is_finite_signal(x):
            x = self.inputs("x", x)
        return super().forward(x, train)

    def _through(self, x: np.ndarray, train: bool) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def inputs(self, name: str, x: Any) -> np.ndarray:
        """Return `x` as this network takes it: finite float32 signals with samples first, or integers.

        Raises
        ------
        TypeError, ValueError
            If the shape does not fit, or a number is not finite.
        """
        if not isinstance(name, str) or len(name) > 200:
            fail("name", "a str of at most 200 characters", name, ValueError if isinstance(name, str) else TypeError)
        if self.takes_indices:
            array = plain_array(name, x, "integers")
            if array.dtype.kind not in "iu" or array.ndim < 1:
                raise TypeError(f"{name} must be an array of integers; got dtype {array.dtype}, shape {array.shape}")
            return array if self.n is None else indices(name, array, self.n)
        return signal(name, x, (*(None,) * (max(2, axes_of(x)) - 1), self.in_features))

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """Send the gradient back through the layers.

        Parameters
        ----------
        d : ndarray of float32, shape (batch, out_features)
            dLoss/doutput of each sample.
        input_gradient : bool
            Whether dLoss/dinput is wanted. If not, the first array with weights is not read backward (which would cost
            time, and noise draws, for nothing).

        Returns
        -------
        ndarray of float32, shape (batch, in_features), or None
        """
        gradient: Any = d
        if type(input_gradient) is not bool:
            input_gradient = boolean("input_gradient", input_gradient)
        if not is_finite_signal(d, LARGEST):
            gradient = signal("d", d, (None,) * max(2, axes_of(d)))
            if np.abs(gradient).max(initial=0.0) > LARGEST:  # sums of which would be beyond float32 amid the network
                raise ValueError(f"d must hold numbers of at most {LARGEST:g} in size; got {np.abs(gradient).max():g}")
        if input_gradient:
            for layer in reversed(self.layers):
                gradient = layer.backward(gradient)
            return gradient
        for layer in self._after_first:
            gradient = layer.backward(gradient)
        self._first.backward(gradient, False)
        return None

    def predict(self, x: np.ndarray, batch_size: int = 1000) -> np.ndarray:
        """Return the outputs for many inputs, `batch_size` at a time.

        Parameters
        ----------
        x : array_like, shape (n, in_features)
            Inputs, finite.
        batch_size : int
            How many are read together. It bounds memory, and changes nothing else but rounding: recurrent layers start every
            batch from zeros, also stateful ones (`forward` is for rows that go on).

        Returns
        -------
        ndarray of float32, shape (n, out_features)

        Raises
        ------
        TypeError, ValueError
            If the shape does not fit, or a number is not finite.
        """
        size = integer_value("batch_size", batch_size, low=1)
        x = self.inputs("x", x)
        batches = []
        for start in range(0, max(len(x), 1), size):
            self.reset_state()
            batches.append(self.forward(x[start : start + size], False))
        self.reset_state()
        return np.concatenate(batches)

    def calibrate_input_ranges(
        self, x: np.ndarray, quantile: float = 0.9999, batch_size: int = 1000, *, rule: str = "quantile", bits: int = 8
    ) -> list[float]:
        """Set the input ranges of all matrices that have one from the inputs that come to them.

        The network is read without training, every matrix with a range that fits the batch, so that nothing is clipped on the
        way. Then each range becomes the quantile of the sizes of its matrix's inputs; where that is 0, it stays. Of more than
        4 million inputs an even share is kept, drawn at random (their largest is known all the same). Every copy of a
        replicated convolution has a range of its own. Reads draw from the noise streams of the arrays, and recurrent layers
        start from zeros, before and after.

        Parameters
        ----------
        x : array_like, shape (n, in_features)
            Inputs like those to come.
        quantile : float, default 0.9999
            From 0, without it, to 1: the largest input.
        batch_size : int
        rule : {"quantile", "L1", "L2"}
            Or the range with which inputs that are clipped and rounded are off least, by the mean of sizes or of squares.
        bits : int, default 8
            Of the DACs, for "L1" and "L2".

        Returns
        -------
        list of float
            The ranges, in the order of the matrices that have one.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above, or there is no matrix with an input range; see `Mapping`.

        Examples
        --------
        >>> import numpy as np, rpusim as rpu
        >>> mapping = rpu.nn.Mapping(digital_bias=True, input_range=1.0)
        >>> net = rpu.nn.Sequential(rpu.nn.Linear(3, 2, rpu.algorithms.DigitalSGD(), mapping=mapping))
        >>> net.build(rng=0)
        >>> net.calibrate_input_ranges(np.array([[0.5, -2.0, 1.0]]), quantile=1.0)
        [2.0]
        """
        quantile = real(0.0, 1.0, open_low=True)("quantile", quantile)
        size = integer_value("batch_size", batch_size, low=1)
        power = {"quantile": 0, "L1": 1, "L2": 2}[choice("quantile", "L1", "L2")("rule", rule)]
        steps = integer_value("bits", bits, 2, 24)
        x = self.inputs("x", x)
        if len(x) == 0:
            raise ValueError(f"x must hold at least one sample; got shape {x.shape}")
        matrices = {id(m): m for m in self.matrices() if m.mapping.input_range is not None}  # each once
        if not matrices:
            raise ValueError(f"calibrate_input_ranges needs a layer whose mapping has an input_range; got {shown(self)}")

        def find(sizes: Any) -> float:
            found: float = sizes.closest(power, steps) if power else sizes.quantile(quantile)
            return found

        with ExitStack() as stack:
            for matrix in matrices.values():
                stack.enter_context(matrix.calibration(find))
            self.predict(x, size)
        return [matrix.input_range for matrix in matrices.values() if matrix.input_range is not None]

    def children(self) -> tuple[Layer, ...]:
        return self.layers

    def set_optimizer(self, optimizer: Optimizer | None) -> None:
        """Train all digital parameters by `optimizer`; None: by plain gradient descent.

        Raises
        ------
        ValueError
            If there are none: weights in devices are trained by their tiles, which cannot honour an optimizer.
        """
        if optimizer is not None:
            instance(Optimizer, "an Optimizer or None")("optimizer", optimizer)
            if not self.parameters():
                raise ValueError(
                    f"optimizer must be None for a network without digital parameters, since tiles train by pulses and cannot "
                    f"honour it; got {shown(optimizer)}"
                )
        for p in self.parameters():
            p.optimizer = optimizer
        self._max_norm = None if optimizer is None else optimizer.max_norm

    def update(self, lr: float) -> None:
        if self._max_norm is None:
            super().update(lr)
        else:
            with shortened(self._max_norm):
                super().update(lr)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network with all its arrays to one .npz file, without pickle; `rpusim.nn.load` reads it.

        The network that is loaded computes on with the same bits. The file takes the place of an older one in one step.
        """
        description = json.dumps(self.to_dict())
        files.save(path, {"made_by": _MADE_BY, "network": description, "state": self.state_dict()})

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Sequential", "layers": [layer.to_dict() for layer in self.layers]}

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


class Residual(Group):
    """y = body(x) + shortcut(x): a connection around some layers.

    Parameters
    ----------
    body : Layer
        Usually a Sequential.
    shortcut : Layer or None
        What x goes through on its way around, to the shape of the body's output; None: nothing.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> rule = rpu.algorithms.DigitalSGD()
    >>> block = Residual(Sequential(rpu.nn.Linear(8, 8, rule), rpu.nn.ReLU()))
    >>> block.build(rng=0)
    >>> block.forward(np.ones((3, 8), np.float32)).shape
    (3, 8)
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        for name, layer in (("body", body), ("shortcut", shortcut)):
            if layer is not None or name == "body":
                instance(Layer, "a layer")(name, layer)
        self.body, self.shortcut = body, shortcut
        self._branches = tuple(layer for layer in (body, shortcut) if layer is not None)
        _each_once("body and shortcut", self._branches)
        self._remember(self._branches)
        self.in_features, self.out_features = body.in_features, body.out_features
        self.keeps_features = body.keeps_features
        self.stateful = any(layer.stateful for layer in self._branches)
        self.takes_indices, self.n = _indices_of(self._branches)

    def children(self) -> tuple[Layer, ...]:
        return self._branches

    def _through(self, x: np.ndarray, train: bool) -> np.ndarray:
        y = self.body.forward(x, train)
        around = x if self.shortcut is None else self.shortcut.forward(x, train)
        if y.shape != around.shape:
            raise ValueError(f"body and shortcut must have outputs of one shape; got {y.shape} and {around.shape}")
        return y + around

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        z = self.body.backward(d, input_gradient)
        around = d if self.shortcut is None else self.shortcut.backward(d, input_gradient)
        return None if z is None or around is None else z + around


class Concatenate(Group):
    """y = [branch_0(x), branch_1(x), ...]: the same input through several layers, their outputs side by side.

    With `Residual` it makes graphs with skip connections.

    Parameters
    ----------
    *branches : Layer or None
        At least one layer; None: x itself.
    axis : int, default -1
        Of the outputs, not 0: -1 are the features of vectors and sequences, 1 the channels of images.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> rule = rpu.algorithms.DigitalSGD()
    >>> block = Concatenate(rpu.nn.Linear(8, 3, rule), None)
    >>> block.build(rng=0)
    >>> block.forward(np.ones((5, 8), np.float32)).shape
    (5, 11)
    """

    keeps_features = False
    in_flight = ("_sizes", "_shape")

    def __init__(self, *branches: Layer | None, axis: int = -1) -> None:
        for index, branch in enumerate(branches):
            if branch is not None:
                instance(Layer, "a layer or None")(f"branches[{index}]", branch)
        self.branches, self.axis = branches, integer_value("axis", axis)
        if self.axis == 0:
            raise ValueError("axis must not be 0, along which samples are; got 0")
        self._layers = tuple(branch for branch in branches if branch is not None)
        if not self._layers:
            raise ValueError(f"branches must hold at least one layer; got {shown(branches)}")
        _each_once("branches", self._layers)
        self._remember(self._layers)
        self.stateful = any(layer.stateful for layer in self._layers)
        known = [layer.in_features for layer in self._layers if layer.in_features is not None]
        if len(set(known)) > 1:
            raise ValueError(f"branches must take equally many features; got {known}")
        self.in_features = known[0] if known else None
        sizes = [self.in_features if branch is None else branch.out_features for branch in branches]
        known_all = self.axis == -1 and all(size is not None for size in sizes)
        self.out_features = sum(size or 0 for size in sizes) if known_all else None
        self.takes_indices, self.n = _indices_of(self._layers)
        self._sizes: Any = None  # of the outputs of the branches
        self._shape: tuple[int, ...] = ()  # of all outputs

    def children(self) -> tuple[Layer, ...]:
        return self._layers

    def _through(self, x: np.ndarray, train: bool) -> np.ndarray:
        parts = [x if branch is None else branch.forward(x, train) for branch in self.branches]
        axis = self.axis
        if not -parts[0].ndim <= axis < parts[0].ndim:
            raise ValueError(f"axis must be one of the outputs of the branches, of shape {parts[0].shape}; got {axis}")
        axis %= parts[0].ndim
        shapes = [part.shape[:axis] + part.shape[axis:][1:] for part in parts]
        if any(part.ndim != parts[0].ndim for part in parts) or len(set(shapes)) > 1:
            raise ValueError(
                f"branches must have outputs that differ in axis {self.axis} alone; got "
                f"{', '.join(str(part.shape) for part in parts)}"
            )
        self._sizes = [part.shape[axis] for part in parts] if train else None
        y = np.concatenate(parts, axis)
        self._shape = y.shape
        return y

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._sizes is None:
            raise no_forward(self)
        check_gradient(d, self._shape)
        z: np.ndarray | None = None
        for branch, part in zip(self.branches, np.split(d, np.cumsum(self._sizes)[:-1], self.axis), strict=True):
            part = np.ascontiguousarray(part)
            back = part if branch is None else branch.backward(part, input_gradient)
            if input_gradient and back is not None:
                z = back if z is None else z + back
        return z

    def set_aside(self) -> Any:
        return Layer.set_aside(self), super().set_aside()

    def bring_back(self, signals: Any) -> None:
        Layer.bring_back(self, signals[0])
        super().bring_back(signals[1])

    def to_dict(self) -> dict[str, Any]:
        parts = [None if branch is None else branch.to_dict() for branch in self.branches]
        return {"type": "Concatenate", "layers": parts, "axis": self.axis}

    def __repr__(self) -> str:
        axis = "" if self.axis == -1 else f", axis={self.axis}"
        return f"Concatenate({', '.join(map(repr, self.branches))}{axis})"


def load(path: str | os.PathLike[str]) -> Sequential:
    """Return the network that `Sequential.save` wrote, with the same state.

    Parameters
    ----------
    path : path

    Returns
    -------
    nn.Sequential

    Raises
    ------
    ValueError
        If the file is damaged, or is none of `Sequential.save`.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(8, 4, rpu.algorithms.SGD()))
    >>> net.build(rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(pathlib.Path(folder) / "net.npz")
    ...     same = rpu.nn.load(pathlib.Path(folder) / "net.npz")
    >>> bool((same.layers[0].tile.weights == net.layers[0].tile.weights).all())
    True
    """
    data = files.load(path)
    name = os.fspath(path)
    made_by = data.get("made_by")
    if not isinstance(made_by, str) or made_by != _MADE_BY or set(data) != {"made_by", "network", "state"}:
        raise ValueError(f"{name} was not written by Sequential.save")
    try:
        net = layer_from_dict(plain_json("network", data["network"]))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} is damaged: it describes no network ({error!s:.300})") from None
    if not isinstance(net, Sequential):
        raise ValueError(f"{name} was not written by Sequential.save: it describes {shown(net)}")
    net.build(0)
    net.load_state_dict(data["state"])
    return net
