"""The weights of a layer: one matrix on one tile, or on several, with what is digital around them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.specification import Specification, parameter
from rpusim._base.state import Entry, Stateful, buffer, part
from rpusim._base.validation import boolean, instance, integer, integer_value, optional, physical, room_for, shown, signal
from rpusim.algorithms import Algorithm
from rpusim.arrays.counts import Written
from rpusim.nn.optimizers import Parameter

__all__ = ["Mapping", "Matrix"]

_size = optional(integer(1, 2**31 - 1))
#: sizes of inputs that a calibration keeps
_WATCHED = 4_000_000
_TRIED = 50_000  # of them, for ranges that are found by trying
_LEAST_RANGE = 1e-6
_FEW = 0.1  # of initial weights that may be clipped without a word
_TILE_BYTES = 4096  # of the objects of an array, at least
_positive = optional(physical(0.0, open_low=True))


@dataclass(frozen=True, repr=False)
class Mapping(Specification):
    """How the matrix of a layer is put on arrays.

    y = s alpha (W v) r + b with v = clip(x / r, +-1): W in the devices, the rest digital and 1 or absent by default.

    Parameters
    ----------
    max_inputs, max_outputs : int or None
        Largest array. A larger matrix is split into arrays of sizes as equal as possible; every one is read through its own
        converters, and the partial sums are added digitally. None: no limit.
    digital_bias : bool, default False
        The bias b is a digital vector; else it is one more column of the array, whose input is held at 1.
    weight_scaling : float or None
        The largest initial weight is held by the devices as this one, and outputs are multiplied by alpha, their ratio.
        An update changes alpha W by -lr d x^T, so it takes 1 / alpha times the pulses (AIHWKit's too).
    scale_by_output : bool, default False
        An alpha (and s) for every output, instead of one for all.
    learn_scale : bool, default False
        A digital factor s, 1 at first, is trained: dL/ds = sum of d (y - b) / s, and W by its gradient through it:
        alpha W changes by -lr s d x^T. So has it AIHWKit, whose scale is a parameter of PyTorch.
    input_range : float or None
        r: inputs are clipped to +-r and divided by it. `Sequential.calibrate_input_ranges` finds it from data.
    straight_through : bool, default True
        Whether dL/dx passes through where inputs are clipped, as AIHWKit has it; else it is 0 there, the derivative of clip.
    learn_input_range : bool, default False
        r is trained by the inputs beyond it: its gradient is the sum of min(0, dL/dx) where x >= r, minus that of
        max(0, dL/dx) where x <= -r, times r; plus `input_range_decay` r while more than 95 % of the inputs are within. It
        needs the gradient of the inputs, so that of a first layer stays, unless it is recurrent.
    input_range_decay : float, default 0.001

    Notes
    -----
    After AIHWKit's mapping and input-range parameters (sections "weight scaling" and "input range" of its documentation);
    with an input range its updates of W lack the factor r, these do not.

    Examples
    --------
    >>> import rpusim as rpu
    >>> mapping = rpu.nn.Mapping(max_inputs=128, digital_bias=True)
    >>> layer = rpu.nn.Linear(300, 10, rpu.algorithms.DigitalSGD(), mapping=mapping)
    >>> layer.build(rng=0)
    >>> [tile.shape for tile in layer.matrix.tiles]
    [(10, 100), (10, 100), (10, 100)]
    """

    max_inputs: int | None = parameter(None, _size)
    max_outputs: int | None = parameter(None, _size)
    digital_bias: bool = parameter(False, boolean)
    weight_scaling: float | None = parameter(None, _positive)
    scale_by_output: bool = parameter(False, boolean)
    learn_scale: bool = parameter(False, boolean)
    input_range: float | None = parameter(None, _positive)
    learn_input_range: bool = parameter(False, boolean)
    input_range_decay: float = parameter(0.001, physical(0.0))
    straight_through: bool = parameter(True, boolean)

    def _check_consistency(self) -> None:
        if self.scale_by_output and self.weight_scaling is None and not self.learn_scale:
            raise ValueError("Mapping: scale_by_output needs weight_scaling or learn_scale; got True without them")
        if self.learn_input_range and self.input_range is None:
            raise ValueError("Mapping: input_range must be given where learn_input_range=True; got None")
        if not self.straight_through and self.input_range is None:
            raise ValueError("Mapping: input_range must be given where straight_through=False; got None")
        if self.input_range is not None and not self.digital_bias:
            raise ValueError(
                "Mapping: digital_bias must be True where there is an input_range, which a constant input of 1 "
                "would not fit; got False"
            )


def _parts(size: int, largest: int | None) -> list[slice]:
    """Cut `size` into as few pieces of at most `largest` as there must be, as equal as possible."""
    pieces = 1 if largest is None else -(-size // largest)
    ends = [size * k // pieces for k in range(pieces + 1)]
    return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


class _Sizes:
    """Sizes of the inputs of a matrix: all of them, or an even share drawn at random where they are many."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float32]] = []
        self.count, self._share, self._largest = 0, 1.0, 0.0
        self._draws = np.random.default_rng(0)

    def add(self, x: NDArray[np.float32]) -> float:
        """Take the sizes of some inputs, and return the largest of them."""
        sizes = np.abs(x).ravel()
        largest = float(sizes.max(initial=0.0))
        self._largest = max(self._largest, largest)
        if self._share < 1.0:
            sizes = sizes[self._draws.random(sizes.size) < self._share]
        self._parts.append(sizes)
        self.count += sizes.size
        while self.count > _WATCHED:
            kept = np.concatenate(self._parts)
            kept = kept[self._draws.random(kept.size) < 0.5]
            self._parts, self.count, self._share = [kept], kept.size, self._share / 2
        return largest

    def quantile(self, quantile: float) -> float:
        """Return the size that this share of the inputs does not exceed, one of theirs; 0 without inputs."""
        if quantile == 1.0 or self.count == 0:
            return self._largest
        return float(np.quantile(np.concatenate(self._parts), quantile, method="higher"))

    def closest(self, power: int, bits: int) -> float:
        """Return the range with which inputs that are clipped to it, and rounded by so many bits, are off least, by the mean of
        |error|^power; the best of 120 from a hundredth of the largest size to it."""
        if self._largest == 0.0:
            return 0.0
        sizes = np.concatenate(self._parts).astype(np.float64)
        if sizes.size > _TRIED:
            sizes = sizes[:: -(-sizes.size // _TRIED)]
        best, least = self._largest, math.inf
        for r in self._largest * np.geomspace(0.01, 1.0, 120):
            step = 2.0 * r / (2**bits - 2)
            error = float(np.mean(np.abs(np.minimum(np.rint(sizes / step) * step, r) - sizes) ** power))
            if error < least:
                best, least = float(r), error
        return best


class _Operations:
    """`forward`, `backward`, `update` and `end_batch` (None where it does nothing) of a tile, found when they are first asked
    for, and anew for a copy."""

    def __init__(self, tile: Any) -> None:
        self.tile = tile

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "tile" not in vars(self):
            raise AttributeError(name)
        tile = self.tile  # of ours, or something of a user that does the same
        own = (tile.forward, tile.backward, tile.update, tile.end_batch)
        self.forward, self.backward, self.update, self.end_batch = tile.operations() if hasattr(tile, "operations") else own
        return vars(self)[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"tile": self.tile}


class Matrix(Stateful):
    """A trainable matrix (outputs, inputs) with a bias, for layers to use: `drive`, `forward`, `backward`, `update`.

    Parameters
    ----------
    inputs, outputs : int
    rule : specification of an algorithm
    bias : bool
    mapping : Mapping or None

    Attributes
    ----------
    tiles : list of Tile
        Rows of arrays one after another; empty before `build`.
    parameters : list of Parameter
        What is trained digitally.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> matrix = rpu.nn.Matrix(4, 3, rpu.algorithms.DigitalSGD(), bias=True)
    >>> matrix.build(0, bound=0.1)
    >>> [tile.shape for tile in matrix.tiles]  # the bias is a column
    [(3, 5)]
    """

    def __init__(self, inputs: int, outputs: int, rule: Algorithm, bias: bool, mapping: Mapping | None = None) -> None:
        self.inputs = integer_value("in_features", inputs, low=1)
        self.outputs = integer_value("out_features", outputs, low=1)
        if isinstance(rule, type) or not callable(getattr(rule, "build", None)):
            raise TypeError(f"rule must be the specification of an algorithm, with a build method; got {shown(rule)}")
        room_for("in_features", f"{inputs} (times {outputs} outputs)", self.inputs * self.outputs)
        self.rule = rule
        self.bias = boolean("bias", bias)
        self.mapping: Mapping = Mapping() if mapping is None else instance(Mapping, "a Mapping or None")("mapping", mapping)
        m = self.mapping
        self.columns = self.inputs + (self.bias and not m.digital_bias)
        pieces = -(-self.outputs // (m.max_outputs or self.outputs)) * -(-self.columns // (m.max_inputs or self.columns))
        room_for("mapping", f"{m!r} (with which the matrix has {pieces} arrays)", pieces, _TILE_BYTES)
        self._rows, self._cols = _parts(self.outputs, m.max_outputs), _parts(self.columns, m.max_inputs)
        self.tiles: list[Any] = []
        #: whether `begin` is to be called before the reads of a batch
        self.perturbed = False
        scales = self.outputs if m.scale_by_output else 1
        self.alpha = np.ones(scales, np.float32)
        self._bias = Parameter(np.zeros(self.outputs)) if self.bias and m.digital_bias else None
        self._scale = Parameter(np.ones(scales)) if m.learn_scale else None
        self._range = None if m.input_range is None else Parameter(np.full(1, m.input_range))
        self._sizes: _Sizes | None = None  # of inputs, during a calibration
        self._watched = self._within = 0  # inputs since the last update, and those within the range, where it is learned
        learned = self._range if m.learn_input_range else None
        #: whether gradients of inputs beyond the range are 0: `mask` is to be called
        self.masked = self._range is not None and not m.straight_through
        self.parameters = [p for p in (self._bias, self._scale, learned) if p is not None]
        #: whether reads and updates go to one tile as they are
        self.plain = len(self._grid()) == 1 and m.weight_scaling is None and not self.parameters and self._range is None

    @property
    def input_range(self) -> float | None:
        """r as it is now; None without one."""
        return None if self._range is None else float(self._range.value[0])

    def set_input_range(self, input_range: float) -> None:
        """Set r of a matrix that has one."""
        if self._range is None:
            raise ValueError("input_range must be None for a matrix whose mapping has none")
        self._range.reset(_positive("input_range", input_range))

    def set_bias(self, bias: Any) -> None:
        """Set a digital bias (outputs,)."""
        if self._bias is None:
            raise ValueError("bias must be digital to be set by itself")
        self._bias.reset(signal("bias", bias, (self.outputs,)))

    def logical(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return W (outputs, inputs) and b (outputs,), None without a bias, as they act, wherever they are held."""
        weights = self.weights
        if self.columns > self.inputs:
            return np.ascontiguousarray(weights[:, :-1]), weights[:, -1].copy()
        return weights, None if self._bias is None else self._bias.value.copy()

    @property
    def gain(self) -> NDArray[np.float32]:
        """s as it is now, of all outputs or of each; 1 where none is learned."""
        return np.ones(1, np.float32) if self._scale is None else self._scale.value

    @property
    def tile(self) -> Any:
        """The tile, where there is one; None before `build`."""
        if len(self.tiles) > 1:
            raise AttributeError(f"the matrix is split over {len(self.tiles)} tiles; see `tiles`")
        return self.tiles[0] if self.tiles else None

    def build(self, rng: RNG, bound: float) -> None:
        """Make the tiles and draw the initial weights uniformly from +-bound."""
        seeds = seed_sequence(rng)
        grid = [(rows.stop - rows.start, cols.stop - cols.start) for rows in self._rows for cols in self._cols]
        tiles = [self.rule.build(shape, child(seeds, 0 if k == 0 else 1 + k)) for k, shape in enumerate(grid)]
        draw = generator(child(seeds, 1))
        weights = draw.uniform(-bound, bound, (self.outputs, self.columns)).astype(np.float32)
        self.tiles = tiles
        #: of a plain matrix, to be called often
        self.operations = _Operations(tiles[0])
        self.perturbed = any(getattr(tile, "perturbed", False) for tile in tiles)
        if self._bias is not None:
            self._bias.reset(draw.uniform(-bound, bound, self.outputs))
        if self._scale is not None:
            self._scale.reset(1.0)
        if self._range is not None:
            assert self.mapping.input_range is not None
            self._range.reset(self.mapping.input_range)
        written = self._program(weights)
        if written.clipped > max(3, _FEW * weights.size):
            warnings.warn(
                f"{written.clipped / weights.size:.0%} of the initial weights of a matrix {weights.shape} were clipped to the "
                f"bounds of their devices, by up to {written.most:.3g}; mapping=Mapping(weight_scaling=...) fits them in",
                stacklevel=2,
            )

    def _program(self, weights: NDArray[np.float32]) -> Written:
        m = self.mapping
        if m.weight_scaling is not None:
            size = np.abs(weights).max(axis=1) if m.scale_by_output else np.abs(weights).max(keepdims=True).reshape(1)
            self.alpha[...] = np.where(size > 0.0, size / m.weight_scaling, 1.0)
            weights = weights / self.alpha[:, None]
        return Written.of(
            tile.program(np.ascontiguousarray(weights[rows, cols]))
            for tile, (rows, cols) in zip(self.tiles, self._grid(), strict=True)
        )

    def _grid(self) -> list[tuple[slice, slice]]:
        return [(rows, cols) for rows in self._rows for cols in self._cols]

    @property
    def weights(self) -> NDArray[np.float32]:
        """The matrix as it acts on inputs, float32 (outputs, inputs), and with the bias as last column if that is analog."""
        weights = np.empty((self.outputs, self.columns), np.float32)
        for tile, (rows, cols) in zip(self.tiles, self._grid(), strict=True):
            weights[rows, cols] = tile.weights
        return weights * (self.alpha * self.gain)[:, None]

    def program(self, weights: Any, keep_scale: bool = False) -> Written:
        """Write the matrix, shape as `weights`; a learned scale goes back to 1 unless it is kept, and alpha is found anew.

        Returned is how many weights were beyond the bounds of their devices, and by how much at most."""
        weights = signal("weights", weights, (self.outputs, self.columns))
        if self._scale is not None:
            if keep_scale:  # nothing comes through a scale of 0
                weights = weights / np.where(self._scale.value == 0.0, np.float32(1.0), self._scale.value)[:, None]
            else:
                self._scale.value[...] = 1.0
        return self._program(weights)

    def set_weights(self, weights: Any, bias: Any = None) -> Written:
        """Write W (outputs, inputs) and b (outputs,), 0 where it is None; as `program`."""
        weights = signal("weights", weights, (self.outputs, self.inputs))
        if bias is not None and not self.bias:
            raise ValueError("bias must be None for a layer that was made with bias=False")
        b = np.zeros(self.outputs, np.float32) if bias is None else signal("bias", bias, (self.outputs,))
        if self.columns > self.inputs:
            weights = np.column_stack([weights, b])
        if self._bias is not None:
            self._bias.reset(b)
        return self.program(weights)

    def drive(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the lines of the arrays get for inputs (n, inputs): within the range, and 1 on the bias line."""
        if self.columns > self.inputs:
            driven = np.empty((len(x), self.columns), np.float32)
            driven[:, :-1] = x
            driven[:, -1] = 1.0
            return driven
        if self._range is not None:
            if self._sizes is not None:
                self._range.value[...] = max(self._sizes.add(x), _LEAST_RANGE)
            r = self._range.value[0]
            return np.clip(x / r, -1.0, 1.0)
        return np.ascontiguousarray(x)

    @contextmanager
    def calibration(self, find: Callable[[_Sizes], float]) -> Iterator[None]:
        """Watch what is driven, with a range that fits every batch; at the end the range is what `find` makes of the sizes."""
        assert self._range is not None
        before = self._range.value.copy()
        sizes = self._sizes = _Sizes()
        try:
            yield
            found = find(sizes)
            if found > 0.0:
                before[...] = max(found, _LEAST_RANGE)
        finally:
            self._range.value[...] = before
            self._sizes = None

    def begin(self, train: bool) -> None:
        """Before the reads of one batch: tell tiles whose reads in training differ from others."""
        for tile in self.tiles:
            tile.begin(train)

    @property
    def trained(self) -> list[Parameter]:
        """All that an optimizer trains: digital parameters, and weights of tiles that are digital."""
        return [*self.parameters, *(p for tile in self.tiles for p in getattr(tile, "parameters", ()))]

    def forward(self, v: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs (n, outputs) for driven inputs (n, columns)."""
        if self.plain:
            return self.tiles[0].forward(v)
        _finite("x", v)  # or the first tiles would have read what the last refuses
        if len(self.tiles) == 1:
            y = self.tiles[0].forward(v)
        else:
            y = np.zeros((len(v), self.outputs), np.float32)
            for tile, (rows, cols) in zip(self.tiles, self._grid(), strict=True):
                y[:, rows] += tile.forward(np.ascontiguousarray(v[:, cols]))
        y = y * self._factor()
        if self._bias is not None:
            y += self._bias.value
        return y

    def _factor(self) -> NDArray[np.float32]:
        factor = self.alpha * self.gain
        return factor if self._range is None else factor * self._range.value

    def backward(self, d: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return dL/dx (n, inputs) for dL/dy (n, outputs)."""
        if self.plain:
            z = self.tiles[0].backward(d)
            return z[:, : self.inputs] if self.columns > self.inputs else z
        d = d * (self.alpha * self.gain)
        _finite("d", d)
        if len(self.tiles) == 1:
            z = self.tiles[0].backward(np.ascontiguousarray(d))
        else:
            z = np.zeros((len(d), self.columns), np.float32)
            for tile, (rows, cols) in zip(self.tiles, self._grid(), strict=True):
                z[:, cols] += tile.backward(np.ascontiguousarray(d[:, rows]))
        return z[:, : self.inputs] if self.columns > self.inputs else z

    def sums_of(self, d: NDArray[np.float32]) -> Any:
        """Return dL/dbias of a digital bias for dL/dy (n, outputs), or refuse it: to be asked before anything is read."""
        if self._bias is None:
            return None
        with np.errstate(over="ignore"):
            total = d.sum(axis=0)
        if not np.isfinite(total).all():
            raise ValueError("d must hold finite float32 numbers, with finite sums; got others")
        return total

    def gradients(self, x: NDArray[np.float32], d: NDArray[np.float32], y: NDArray[np.float32], z: Any = None) -> None:
        """Add to the gradients of the digital parameters: inputs, dL/dy, outputs, and dL/dx where it is known."""
        if self._bias is not None:
            self._bias.gradient += self.sums_of(d)
        if self._scale is not None:
            pure = y if self._bias is None else y - self._bias.value
            per_output = (d * pure).sum(axis=0) / self._scale.value
            self._scale.gradient += per_output if self.mapping.scale_by_output else per_output.sum()
        if self._range is not None and self.mapping.learn_input_range and z is not None:
            r = float(self._range.value[0])
            gradient = np.minimum(z, 0.0)[x >= r].sum() - np.maximum(z, 0.0)[x <= -r].sum()
            self._range.gradient += np.float32(gradient * r)
            self._watched += x.size
            self._within += int(np.count_nonzero(np.abs(x) < r))

    def mask(self, x: NDArray[np.float32], z: Any) -> None:
        """Where inputs x are clipped, make their gradients z (or None) 0, after `gradients` has seen them."""
        if z is not None and self._range is not None:
            z[np.abs(x) > self._range.value[0]] = 0.0

    def update(self, v: NDArray[np.float32], d: NDArray[np.float32], lr: float) -> None:
        """Train the tiles on driven inputs and dL/dy, one vector after another; `end_batch` is to follow."""
        if self.plain:
            self.tiles[0].update(v, d, lr)
            return
        d = d * (self.gain / self.alpha)
        if self._range is not None:
            d *= self._range.value
        _finite("d", d)
        for tile, (rows, cols) in zip(self.tiles, self._grid(), strict=True):
            tile.update(np.ascontiguousarray(v[:, cols]), np.ascontiguousarray(d[:, rows]), lr)

    def end_batch(self, lr: float) -> None:
        """Train the digital parameters on their gradients, and let the time of one mini-batch pass for the devices."""
        if self.plain:
            self.tiles[0].end_batch()
            return
        for tile in self.tiles:
            tile.end_batch()
        if self._range is not None and self._within > 0.95 * self._watched:
            self._range.gradient += np.float32(self.mapping.input_range_decay * self._range.value[0])
        self._within = self._watched = 0
        for p in self.parameters:
            p.step(lr)
        if self._range is not None:
            np.maximum(self._range.value, _LEAST_RANGE, out=self._range.value)

    def _entries(self) -> dict[str, Entry]:
        if len(self.tiles) == 1:
            entries = {"tile": part(self.tiles[0])}
        else:
            entries = {f"tile{k}": part(tile) for k, tile in enumerate(self.tiles)}
        if self.mapping.weight_scaling is not None:
            entries["alpha"] = buffer(self.alpha)
        for name, p in (("bias", self._bias), ("scale", self._scale), ("input_range", self._range)):
            if p is not None:
                entries[name] = part(p)
        return entries


def _finite(name: str, value: NDArray[np.float32]) -> None:
    if not np.isfinite(value).all():
        raise ValueError(f"{name} must hold finite float32 numbers, also when they are scaled; got others")


def fan_bound(inputs: int) -> float:
    """Bound of the usual uniform initial weights, 1 / sqrt(inputs)."""
    return 1 / math.sqrt(inputs)
