"""Convolutions on arrays: the positions of an image are one batch of vectors.

Decided: a patch of an image becomes one vector (im2col, compiled in _windows.pyx), so that a convolution is the same three
operations of a matrix as a linear layer. Patches of large batches are made in chunks of images, those of large images in chunks
of rows, and made again for the update, so that memory stays bounded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rpusim._base import state as states
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.validation import choice, integer, integer_value, physical, room_for, shown, signal
from rpusim.algorithms import Algorithm
from rpusim.arrays.counts import Written
from rpusim.nn.layer import Layer, check_gradient, check_signals, checked_rate, no_forward
from rpusim.nn.matrix import Mapping, Matrix, fan_bound
from rpusim.nn.windows import Pair, Windows, short

__all__ = ["Conv1d", "Conv2d"]

CHUNK = 1 << 24  # most numbers of the patches that are held at once, but for those of one row (of one image, with replicas)
_OBJECT = 512  # numbers that would fill the memory of a matrix's Python objects
_assignment = choice("fixed", "random")


class _Part(NamedTuple):
    """Some images of a batch and some rows of their outputs."""

    images: slice
    rows: slice
    columns: int

    @property
    def number(self) -> int:
        """How many images."""
        return self.images.stop - self.images.start

    @property
    def positions(self) -> int:
        """How many positions of an image."""
        return (self.rows.stop - self.rows.start) * self.columns

    def places(self, order: Any) -> Any:
        """Return which positions of the outputs these are, where `order` has them all (with replicas, rows are never cut)."""
        return slice(self.rows.start * self.columns, self.rows.stop * self.columns) if isinstance(order, slice) else order


class Conv2d(Layer):
    """y[:, o] = b[o] + sum over channels and window of K[o] x, on arrays of shape (out_channels, in_channels k k + 1).

    Images are (batch, channels, height, width); every position of the output is one vector for the arrays, in order of image,
    row and column, and one pulsed update.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel : int or (int, int)
        Height and width of the window.
    rule : specification of an algorithm
        Builds the tiles.
    stride, padding, dilation : int or (int, int)
        Steps between windows; zeros around the image; steps within a window.
    groups : int, default 1
        Channels are cut into as many groups, each with arrays of its own.
    bias : bool
    mapping : Mapping or None
    replicas : int, default 1
        Copies of the kernel on arrays of their own; every position of the output belongs to one of them, which only that
        position reads and trains (Rasch et al. 2018): a replica works off 1/replicas of the vectors. They start equal.
    assignment : {"fixed", "random"}
        The positions of the replicas are drawn once, or for every forward in training.
    lr_scale : float, default 1

    Attributes
    ----------
    kernels : list of Matrix
        Replica after replica, each with all its groups.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.nn.Conv2d(1, 16, 5, rpu.algorithms.DigitalSGD())
    >>> layer.build(rng=0)
    >>> layer.forward(np.zeros((2, 1, 28, 28), np.float32)).shape, layer.kernels[0].weights.shape
    ((2, 16, 24, 24), (16, 26))
    """

    trainable = True
    keeps_features = False
    in_flight = ("_input", "_parts", "_order", "_patches", "_output")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Pair,
        rule: Algorithm,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        mapping: Mapping | None = None,
        replicas: int = 1,
        assignment: str = "fixed",
        lr_scale: float = 1.0,
    ) -> None:
        self.in_channels = integer_value("in_channels", in_channels, low=1)
        self.out_channels = integer_value("out_channels", out_channels, low=1)
        self.windows = Windows(kernel, stride, padding, dilation)
        self.groups = integer_value("groups", groups, low=1)
        self.replicas = integer_value("replicas", replicas, low=1)
        self.assignment = _assignment("assignment", assignment)
        self.lr_scale = physical(0.0)("lr_scale", lr_scale)
        if self.replicas == 1 and self.assignment != "fixed":
            raise ValueError(f"assignment must be 'fixed' where there is one replica; got {shown(assignment)}")
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"groups must divide {name}={channels}; got {self.groups}")
        k = self.windows.kernel
        inputs, outputs = self.in_channels // self.groups * k[0] * k[1], self.out_channels // self.groups
        room_for("replicas", f"{replicas} (of {groups} groups)", self.replicas * self.groups * (inputs * outputs + _OBJECT))
        self.kernels = [Matrix(inputs, outputs, rule, bias, mapping) for _ in range(self.replicas * self.groups)]
        self.rule, self.bias = rule, self.kernels[0].bias
        self.mapping = None if self.kernels[0].mapping == Mapping() else self.kernels[0].mapping
        self._seeds: np.random.SeedSequence | None = None
        self._passes = 0
        self._reset()

    kernel = property(lambda self: short(self.windows.kernel))
    stride = property(lambda self: short(self.windows.stride))
    padding = property(lambda self: short(self.windows.padding))
    dilation = property(lambda self: short(self.windows.dilation))

    def _reset(self) -> None:
        self._input: Any = None
        self._parts: Any = None
        self._gradient: Any = None
        self._order: Any = None
        self._patches: Any = None
        self._output: Any = None

    @property
    def built(self) -> bool:
        return bool(self.kernels[0].tiles)

    def build(self, rng: RNG = None) -> None:
        """Make the tiles and draw the initial weights, uniform in +-1/sqrt(inputs of a position), equal for replicas."""
        seeds = self._seeds = seed_sequence(rng)
        self._passes = 0
        for index, matrix in enumerate(self.kernels):
            matrix.build(child(seeds, index), fan_bound(matrix.inputs))
            first = self.kernels[index % self.groups]
            if matrix is not first:
                matrix.program(first.weights)
                for p, q in zip(matrix.parameters, first.parameters, strict=True):
                    p.value[...] = q.value
        self._reset()

    _axes = 2  # of images

    def set_weights(self, weights: Any, bias: Any = None) -> Written:
        """Write kernels that were trained elsewhere, the same to all replicas.

        Parameters
        ----------
        weights : array_like of shape (out_channels, in_channels / groups, height, width); of `Conv1d` without the height
        bias : array_like of shape (out_channels,), optional
            By default 0.

        Returns
        -------
        Written
            How many weights were beyond the bounds of their devices and so were clipped, and by how much at most.
        """
        if not self.built:
            raise RuntimeError(f"{type(self).__name__}: call build(rng) before set_weights")
        sizes = (self.out_channels, self.in_channels // self.groups, *self.windows.kernel[-self._axes :])
        w = signal("weights", weights, sizes).reshape(self.groups, self.out_channels // self.groups, -1)
        b = None if bias is None else signal("bias", bias, (self.out_channels,)).reshape(self.groups, -1)
        written = Written.of(
            matrix.set_weights(w[index % self.groups], None if b is None else b[index % self.groups])
            for index, matrix in enumerate(self.kernels)
        )
        self._reset()
        return written

    def matrices(self) -> list[Matrix]:
        return self.kernels

    def _assign(self, positions: int, train: bool) -> list[Any]:
        """Return which positions of an image each replica has."""
        if self.replicas == 1:
            return [slice(None)]
        assert self._seeds is not None
        number = self._passes if self.assignment == "random" else 0
        self._passes += train
        shuffled = generator(child(self._seeds, len(self.kernels), number)).permutation(positions)
        return [np.sort(shuffled[replica :: self.replicas]) for replica in range(self.replicas)]

    def _chunks(self, images: int, rows: int, columns: int) -> list[_Part]:
        a_row = columns * self.kernels[0].columns * self.groups
        size = max(1, CHUNK // (rows * a_row))
        step = rows if self.replicas > 1 else min(rows, max(1, CHUNK // a_row))
        return [
            _Part(slice(a, min(a + size, images)), slice(r, min(r + step, rows)), columns)
            for a in range(0, images, size)
            for r in range(0, rows, step)
        ]

    def _patches_of(self, x: np.ndarray, part: _Part, group: int, width: int) -> np.ndarray:
        """Return the windows of a group of channels as vectors (images positions, width); what is wider than they are is 1."""
        channels, inputs = self.in_channels // self.groups, self.kernels[0].inputs
        out = np.empty((part.number * part.positions, width), np.float32)
        out[:, inputs:] = 1.0
        self.windows.gather(x[part.images, group * channels : (group + 1) * channels], part.rows, part.columns, out)
        return out

    def _vectors(self, x: np.ndarray, part: _Part, order: list[Any]) -> list[np.ndarray]:
        """Return the driven patches of a part for every matrix."""
        first = self.kernels[0]
        ready = first.columns > first.inputs  # with the 1 of the bias they are what is driven
        by_group = [self._patches_of(x, part, group, first.columns) for group in range(self.groups)]
        out = []
        for index, matrix in enumerate(self.kernels):
            replica, group = divmod(index, self.groups)
            patches = by_group[group]
            if self.replicas > 1:
                patches = patches.reshape(part.number, part.positions, -1)[:, order[replica]].reshape(-1, first.columns)
            out.append(patches if ready else matrix.drive(patches))
        return out

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        if not self.built:
            raise RuntimeError("Conv2d: call build(rng) before forward")
        check_signals("x", x, train)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"x must have shape (any, {self.in_channels}, any, any); got {x.shape}")
        rows, columns = self.windows.outputs(x.shape)
        asked = f"{self.padding}, with which images {x.shape} have {rows} x {columns} positions"
        room_for("padding", asked, (2 * self.out_channels + bool(self.replicas > 1)) * len(x) * rows * columns)
        order = self._assign(rows * columns, train)
        parts = self._chunks(len(x), rows, columns)
        whole = len(self.kernels) == 1 and len(parts) == 1
        # first, as it is what may not fit
        y: Any = None if whole else np.empty((len(x), rows * columns, self.out_channels), np.float32)
        outputs = self.out_channels // self.groups
        self._reset()
        for matrix in self.kernels:
            if matrix.perturbed:
                matrix.begin(train)
        for part in parts:
            vectors = self._vectors(x, part, order)
            for index, (matrix, v) in enumerate(zip(self.kernels, vectors, strict=True)):
                replica, group = divmod(index, self.groups)
                result = matrix.forward(v).reshape(part.number, -1, outputs)
                if whole:
                    y = result
                else:
                    y[part.images, part.places(order[replica]), group * outputs : (group + 1) * outputs] = result
            if train and len(parts) == 1:
                self._patches = vectors
        if train:
            self._input, self._parts, self._order = x, parts, order
            self._output = y if self.kernels[0].parameters else None
        return y.reshape(len(x), rows, columns, self.out_channels).transpose(0, 3, 1, 2)  # channels stay innermost in memory

    def _gradients_of(self, d: np.ndarray, part: _Part, index: int) -> np.ndarray:
        """Return dL/dy of one matrix for a part, from (batch, positions, channels)."""
        replica, group = divmod(index, self.groups)
        outputs = self.out_channels // self.groups
        chosen = d[part.images, part.places(self._order[replica]), group * outputs : (group + 1) * outputs]
        return np.ascontiguousarray(chosen.reshape(-1, outputs))

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._input is None:
            raise no_forward(self)
        x, channels, inputs = self._input, self.in_channels // self.groups, self.kernels[0].inputs
        rows, columns = self.windows.outputs(x.shape)
        check_gradient(d, (len(x), self.out_channels, rows, columns))
        flat = np.ascontiguousarray(d.transpose(0, 2, 3, 1)).reshape(len(x), rows * columns, self.out_channels)
        if self.kernels[0].parameters:
            self.kernels[0].sums_of(flat.reshape(-1, self.out_channels))
        self._gradient = flat
        z = np.zeros(x.shape, np.float32) if input_gradient else None
        if z is None and not self.kernels[0].parameters:
            return None
        for part in self._parts:
            for group in range(self.groups):
                windows = None  # dL/dpatches
                if input_gradient and self.replicas > 1:
                    windows = np.empty((part.number, part.positions, inputs), np.float32)
                if self.kernels[0].parameters or self.kernels[0].masked:
                    patches = self._patches_of(x, part, group, inputs).reshape(part.number, part.positions, inputs)
                for replica, order in enumerate(self._order):
                    index = replica * self.groups + group
                    matrix = self.kernels[index]
                    delta = self._gradients_of(flat, part, index)
                    back = matrix.backward(delta) if input_gradient else None
                    if matrix.parameters or matrix.masked:
                        own = patches[:, order].reshape(-1, inputs)
                    if matrix.parameters:
                        matrix.gradients(own, delta, self._gradients_of(self._output, part, index), back)
                    if matrix.masked:
                        matrix.mask(own, back)
                    if windows is not None and back is not None:
                        windows[:, order] = back.reshape(part.number, -1, inputs)
                if z is not None:
                    vectors: Any = back if windows is None else windows.reshape(-1, inputs)
                    images = z[part.images, group * channels : (group + 1) * channels]
                    self.windows.scatter(vectors, part.rows, columns, images)
        return z

    def update(self, lr: float) -> None:
        """One pulsed update per image position, at rate `lr`."""
        if self._gradient is None:
            raise RuntimeError("Conv2d: update needs a forward(x, train=True) and a backward(d) before it")
        x, flat, rate = self._input, self._gradient, checked_rate(lr) * self.lr_scale
        for part in self._parts:
            vectors = self._patches if self._patches is not None else self._vectors(x, part, self._order)
            for index, (matrix, v) in enumerate(zip(self.kernels, vectors, strict=True)):
                matrix.update(v, self._gradients_of(flat, part, index), rate)
        for matrix in self.kernels:
            matrix.end_batch(rate)

    def _entries(self) -> dict[str, states.Entry]:
        if self._seeds is None:
            raise RuntimeError("Conv2d: call build(rng) before state_dict")
        entries = {f"kernel{index}": states.part(matrix) for index, matrix in enumerate(self.kernels)}
        if self.replicas > 1:
            entries["seeds"], entries["passes"] = states.seeds(self, "_seeds"), states.attribute(self, "_passes", integer(0))
        return entries

    def _restored(self) -> None:
        self._reset()


class Conv1d(Conv2d):
    """As `Conv2d`, for signals (batch, channels, length).

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.nn.Conv1d(2, 4, 3, rpu.algorithms.DigitalSGD(), stride=2)
    >>> layer.build(rng=0)
    >>> layer.forward(np.zeros((5, 2, 9), np.float32)).shape
    (5, 4, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        rule: Algorithm,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        mapping: Mapping | None = None,
        replicas: int = 1,
        assignment: str = "fixed",
        lr_scale: float = 1.0,
    ) -> None:
        sizes = [("kernel", kernel, 1), ("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)]
        k, s, p, n = (integer_value(name, value, low) for name, value, low in sizes)
        super().__init__(
            in_channels,
            out_channels,
            (1, k),
            rule,
            (1, s),
            (0, p),
            (1, n),
            groups,
            bias,
            mapping,
            replicas,
            assignment,
            lr_scale,
        )

    _axes = 1
    kernel = property(lambda self: self.windows.kernel[1])
    stride = property(lambda self: self.windows.stride[1])
    padding = property(lambda self: self.windows.padding[1])
    dilation = property(lambda self: self.windows.dilation[1])

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        if x.ndim != 3 or x.shape[1] != self.in_channels:
            raise ValueError(f"x must have shape (any, {self.in_channels}, any); got {x.shape}")
        return super().forward(x[:, :, None], train)[:, :, 0]

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        check_signals("d", d)
        if d.ndim != 3:
            raise ValueError(f"d must have shape (any, any, any), that of the outputs; got {d.shape}")
        z = super().backward(d[..., None, :], input_gradient)
        return None if z is None else z[:, :, 0]
