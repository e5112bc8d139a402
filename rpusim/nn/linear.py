"""The linear layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim._base.validation import physical
from rpusim.algorithms import Algorithm
from rpusim.nn.layer import MatrixLayer, check_gradient, check_signals, checked_rate, no_forward
from rpusim.nn.matrix import Mapping, Matrix

__all__ = ["Linear"]


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
        self._ops: Any = None  # the matrix, or the operations of its tile

    def _new_shape(self, x: np.ndarray) -> None:
        """Check an input of a shape not seen last time, and make a buffer for it."""
        self._needs_build("forward")
        if x.ndim < 2 or x.shape[-1] != self.in_features:
            raise ValueError(f"x must have shape (any, {self.in_features}); got {x.shape}")
        if self.matrix.columns > self.in_features:
            self._input = np.ones((x.size // self.in_features, self.matrix.columns), np.float32)
        self._ops = self.matrix.operations if self.matrix.plain else self.matrix
        self._shape, self._output_shape = x.shape, (*x.shape[:-1], self.out_features)

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        if type(x) is not np.ndarray or x.shape != self._shape or type(train) is not bool:
            check_signals("x", x, train)
            self._new_shape(x)
        matrix, shape = self.matrix, x.shape
        vectors = x if len(shape) == 2 else x.reshape(-1, self.in_features)
        if matrix.columns > self.in_features:
            self._input[:, :-1] = vectors
        else:
            self._input = matrix.drive(vectors)
        self._training, self._gradient = train, None
        if matrix.perturbed:
            matrix.begin(train)
        y = self._ops.forward(self._input)
        if matrix.parameters or matrix.masked:
            self._signals, self._output = vectors, y
        return y if len(shape) == 2 else y.reshape(self._output_shape)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if not self._training or self._shape is None:
            raise no_forward(self)
        check_gradient(d, self._output_shape)
        if d.ndim > 2:
            d = d.reshape(-1, self.out_features)
        matrix = self.matrix
        if matrix.parameters:
            matrix.sums_of(d)
        self._gradient, z = d, None
        if input_gradient:
            z = self._ops.backward(d)
            if z.shape[1] > self.in_features:
                z = z[:, :-1]
        if matrix.parameters:
            matrix.gradients(self._signals, d, self._output, z)
        if matrix.masked:
            matrix.mask(self._signals, z)
        return z if z is None or len(self._shape) == 2 else z.reshape(self._shape)

    def update(self, lr: float) -> None:
        """W <- W - lr * sum over the batch of d x^T, in expectation: one pulsed update per sample at rate `lr`."""
        if self._gradient is None:
            raise RuntimeError("Linear: update needs a forward(x, train=True) and a backward(d) before it")
        rate = checked_rate(lr) * self.lr_scale
        ops = self._ops
        ops.update(self._input, self._gradient, rate)
        if ops.end_batch is not None:
            self.matrix.end_batch(rate)
