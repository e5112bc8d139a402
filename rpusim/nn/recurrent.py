"""Recurrent layers: one matrix of all gates on one tile, and back-propagation through the time of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim._base.state import Entry, listed
from rpusim._base.validation import boolean, integer_value, physical, signal
from rpusim._core.kernels import is_finite
from rpusim.algorithms import Algorithm
from rpusim.nn._elementwise import lstm_backward, lstm_forward, sigmoid, sigmoid_gradient, tanh, tanh_gradient
from rpusim.nn.layer import Layer, MatrixLayer, check_gradient, check_signals, checked_rate, no_forward
from rpusim.nn.matrix import Mapping, Matrix

__all__ = ["GRU", "LSTM", "RNN", "LastStep"]


class _Recurrent(MatrixLayer):
    """Steps over time, shared by all kinds: the vectors of the matrix are [x_t, h_(t-1), 1], `reads` per step and sequence."""

    gates: int
    states: int = 1
    reads: int = 1
    in_flight = ("_vectors", "_driven", "_outputs", "_steps")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rule: Algorithm,
        bias: bool = True,
        stateful: bool = False,
        mapping: Mapping | None = None,
        lr_scale: float = 1.0,
    ) -> None:
        n = self.in_features = integer_value("in_features", in_features, low=1)
        h = self.out_features = integer_value("out_features", out_features, low=1)
        self.matrix = Matrix(n + h, self.gates * h, rule, bias, mapping)
        self.stateful = boolean("stateful", stateful)
        self.lr_scale = physical(0.0)("lr_scale", lr_scale)
        self.reset_state()
        self._reset()

    def reset_state(self) -> None:
        """Start the next batch from zeros."""
        self._carried: list[np.ndarray] = []

    def _reset(self) -> None:
        self._vectors: Any = None  # (time * reads, batch, columns of the matrix), as they come
        self._driven: Any = None  # as the arrays get them
        self._outputs: Any = None  # (time * reads, batch, gates * out_features), where a digital scale is trained
        self._deltas: Any = None  # the same shape: dL/doutputs
        self._back: Any = None  # (time * reads, batch, inputs of the matrix), where an input range is trained
        self._steps: Any = None  # of all steps, what the way back needs; None until they are done

    def _start(self, batch: int, count: int) -> list[np.ndarray]:
        """Return `count` state arrays: those that were carried, or zeros."""
        if self.stateful and len(self._carried) == count and len(self._carried[0]) == batch:
            return list(self._carried)
        return [np.zeros((batch, self.out_features or 0), np.float32) for _ in range(count)]

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        """Return h_t for all t, (batch, time, out_features), of inputs (batch, time, in_features)."""
        self._needs_build("forward")
        check_signals("x", x, train)
        n, h = self.in_features or 0, self.out_features or 0
        if x.ndim != 3 or x.shape[2] != n:
            raise ValueError(f"x must have shape (any, any, {n}); got {x.shape}")
        batch, time = x.shape[:2]
        self._reset()
        states = self._start(batch, self.states)
        mapping, shape = self.matrix.mapping, (time * self.reads, batch)
        vectors = self._vectors = np.ones((*shape, self.matrix.columns), np.float32)
        if train:
            self._driven = vectors if mapping.input_range is None else np.empty_like(vectors)
        if train and mapping.learn_scale:
            self._outputs = np.empty((*shape, self.gates * h), np.float32)
        vectors[:: self.reads, :, :n] = x.transpose(1, 0, 2)
        if not is_finite(vectors):
            self._reset()
            raise ValueError("x must hold finite float32 numbers; got others")
        out = np.empty((batch, time, h), np.float32)
        if self.matrix.perturbed:
            self.matrix.begin(train)
        states, self._steps = self._run(states, out, train)
        if self.stateful:
            self._carried = [state.copy() for state in states]
        if not train:
            self._reset()
        return out

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """Take dL/dh_t from outside for all t; gradients end at the first step of the batch."""
        if self._vectors is None or self._steps is None:  # none, or broken off
            raise no_forward(self)
        n, h = self.in_features or 0, self.out_features or 0
        shape = self._vectors.shape[:2]
        time, batch = shape[0] // self.reads, shape[1]
        check_gradient(d, (batch, time, h))
        d = np.ascontiguousarray(d, np.float32)
        if not is_finite(d):
            raise ValueError("d must hold finite float32 numbers; got others")
        self._deltas = np.zeros((*shape, self.gates * h), np.float32)
        if self.matrix.mapping.learn_input_range:
            self._back = np.empty((*shape, n + h), np.float32)
        z = np.empty((batch, time, n), np.float32) if input_gradient else None
        self._run_back(d, z)
        if self.matrix.parameters:
            flat: list[Any] = [None if a is None else a.reshape(-1, a.shape[2]) for a in self._signals()]
            self.matrix.gradients(*flat)
        return z

    def _signals(self) -> tuple[Any, ...]:
        return self._vectors[:, :, : self.matrix.inputs], self._deltas, self._outputs, self._back

    def update(self, lr: float) -> None:
        """One pulsed update per read of the forward pass and sequence, in order of time, at rate `lr`."""
        if self._deltas is None:
            raise RuntimeError(f"{type(self).__name__}: update needs a forward(x, train=True) and a backward(d) before it")
        v, d = (a.reshape(-1, a.shape[2]) for a in (self._driven, self._deltas))
        rate = checked_rate(lr) * self.lr_scale
        self.matrix.update(v, d, rate)
        self.matrix.end_batch(rate)

    def _read(self, k: int) -> np.ndarray:
        """Return the outputs for vector k."""
        v = self._vectors[k]
        if self.matrix.mapping.input_range is not None:
            v = self.matrix.drive(v)
            if self._driven is not None:
                self._driven[k] = v
        y = self.matrix.forward(v)
        if self._outputs is not None:
            self._outputs[k] = y
        return y

    def _read_back(self, k: int, delta: np.ndarray) -> np.ndarray:
        """Return dL/d[x, h] of vector k for dL/doutputs."""
        back = self.matrix.backward(delta)
        if self._back is not None:
            self._back[k] = back
        if self.matrix.masked:
            self.matrix.mask(self._vectors[k], back)
        return back

    def _run(self, states: list[np.ndarray], out: np.ndarray, train: bool) -> tuple[list[np.ndarray], Any]:
        """Go through all steps, filling in `out`; return the last states, and what the way back needs."""
        n, h, steps = self.in_features or 0, self.out_features or 0, []
        for t in range(out.shape[1]):
            self._vectors[t * self.reads, :, n : n + h] = states[0]
            states, kept = self._step(t, states)
            out[:, t] = states[0]
            steps.append(kept if train else ())
        return states, steps

    def _run_back(self, d: np.ndarray, z: np.ndarray | None) -> None:
        """Go back through all steps, filling in `z` unless it is None."""
        n = self.in_features or 0
        coming = [np.zeros_like(d[:, 0]) for _ in range(self.states)] if d.shape[1] else []
        for t in reversed(range(d.shape[1])):
            coming[0] = coming[0] + d[:, t]
            back, coming = self._step_back(t, coming)
            if z is not None:
                z[:, t] = back[:, :n]

    def _step(self, t: int, states: list[np.ndarray]) -> tuple[list[np.ndarray], tuple[np.ndarray, ...]]:
        """From the states before step t to those after, and what the way back needs; vector `reads` t is ready."""
        raise NotImplementedError

    def _step_back(self, t: int, coming: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """From dL/dstates after step t to dL/d[x, h] and dL/dstates before; writes the deltas of the step."""
        raise NotImplementedError

    def _entries(self) -> dict[str, Entry]:
        entries = super()._entries()
        if self.stateful:
            entries["carried"] = listed(
                lambda: self._carried,
                lambda carried: setattr(self, "_carried", carried),
                lambda name, state: signal(name, state, (None, self.out_features)).copy(),
            )
        return entries

    def _agree(self, name: str, checked: dict[str, Any]) -> None:
        carried = checked.get("carried", [])
        if len(carried) not in (0, self.states) or len({len(state) for state in carried}) > 1:
            shapes = [state.shape for state in carried]
            raise ValueError(f"{name}['carried'] must be {self.states} arrays of one shape, or none; got shapes {shapes}")


class RNN(_Recurrent):
    """h_t = tanh(W [x_t, h_(t-1), 1]).

    Parameters
    ----------
    in_features, out_features : int
        Lengths of x_t and h_t. Inputs are (batch, time, in_features).
    rule : specification of an algorithm
        Builds the tile, of shape (out_features, in_features + out_features + 1).
    bias : bool
    stateful : bool, default False
        Start a batch from the last state of the one before, if it has as many sequences (see `reset_state`); gradients still
        end at its first step (truncated back-propagation through time).
    mapping : Mapping or None
        An input range holds for x_t and h_(t-1) alike; the digital bias and a learned scale are those of the gates.
    lr_scale : float, default 1

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.nn.RNN(5, 8, rpu.algorithms.DigitalSGD())
    >>> layer.build(rng=0)
    >>> layer.forward(np.zeros((2, 10, 5), np.float32)).shape
    (2, 10, 8)
    """

    gates = 1

    def _step(self, t: int, states: list[np.ndarray]) -> tuple[list[np.ndarray], tuple[np.ndarray, ...]]:
        h = tanh(self._read(t))
        return [h], (h,)

    def _step_back(self, t: int, coming: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        (h,) = self._steps[t]
        delta = self._deltas[t] = tanh_gradient(h, coming[0])
        back = self._read_back(t, delta)
        return back, [back[:, self.in_features :]]


class LSTM(_Recurrent):
    """Long short-term memory, all four gates in one matrix (Hochreiter and Schmidhuber, 1997; Gokmen et al., 2018).

    With a = W [x_t, h_(t-1), 1] in four parts::

        i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
        c_t = f c_(t-1) + i g;  h_t = o tanh(c_t)

    Parameters
    ----------
    in_features, out_features : int
        Lengths of x_t and h_t. Inputs are (batch, time, in_features).
    rule : specification of an algorithm
        Builds the tile, of shape (4 out_features, in_features + out_features + 1), gates in the order i, f, o, g.
    bias : bool
    stateful : bool, default False
        As in `RNN`.
    mapping : Mapping or None
        As in `RNN`.
    lr_scale : float, default 1

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.nn.LSTM(87, 64, rpu.algorithms.DigitalSGD())
    >>> layer.build(rng=0)
    >>> layer.forward(np.zeros((1, 100, 87), np.float32)).shape, layer.tile.shape
    ((1, 100, 64), (256, 152))
    """

    gates = 4
    states = 2

    def _run(self, states: list[np.ndarray], out: np.ndarray, train: bool) -> tuple[list[np.ndarray], Any]:
        batch, time, h = out.shape
        steps = time if train else 1
        c, gates, squashed = (
            np.empty((k, batch, m), np.float32) for k, m in ((max(steps + 1, 2), h), (steps, 4 * h), (steps, h))
        )
        c[0] = states[1]
        forward = self.matrix.operations.forward if self._direct() else None
        last = lstm_forward(self._vectors, self.in_features or 0, states[0], c, gates, squashed, out, forward, self._read)
        return [out[:, -1] if time else states[0], c[last]], (gates, c, squashed)

    def _direct(self) -> bool:
        """Whether reads go to one tile as they are, which can fill in the gates."""
        return self.matrix.plain and hasattr(self.matrix.tiles[0], "operations")

    def _run_back(self, d: np.ndarray, z: np.ndarray | None) -> None:
        gates, c, squashed = self._steps
        backward = self.matrix.operations.backward if self._direct() else None
        lstm_backward(d, self.in_features or 0, c, gates, squashed, self._deltas, z, backward, self._read_back)


class GRU(_Recurrent):
    """Gated recurrent unit with its gates in one matrix; the candidate's part of h_(t-1) is gated at its input.

    With the array's vectors v = [x_t, h_(t-1), 1] and [x_t, r h_(t-1), 1]::

        r, u = sigmoid(W_r v), sigmoid(W_u v);  g = tanh(W_g [x_t, r h_(t-1), 1])
        h_t = u h_(t-1) + (1 - u) g

    (Cho et al., 2014, Eqs. 5 to 8.) The array is read twice per step, and the outputs that a read does not need are not used;
    an update trains the gates with the first vector and then the candidate with the second.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of x_t and h_t. Inputs are (batch, time, in_features).
    rule : specification of an algorithm
        Builds the tile, of shape (3 out_features, in_features + out_features + 1), in the order r, u, g.
    bias : bool
    stateful : bool, default False
        As in `RNN`.
    mapping : Mapping or None
        As in `RNN`.
    lr_scale : float, default 1

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.nn.GRU(5, 8, rpu.algorithms.DigitalSGD())
    >>> layer.build(rng=0)
    >>> layer.forward(np.zeros((2, 10, 5), np.float32)).shape, layer.tile.shape
    ((2, 10, 8), (24, 14))
    """

    gates = 3
    reads = 2

    def _step(self, t: int, states: list[np.ndarray]) -> tuple[list[np.ndarray], tuple[np.ndarray, ...]]:
        n, h = self.in_features or 0, self.out_features or 0
        before = states[0]
        gates = sigmoid(self._read(2 * t)[:, : 2 * h])
        r, u = gates[:, :h], gates[:, h:]
        candidate = self._vectors[2 * t + 1]
        candidate[...] = self._vectors[2 * t]
        candidate[:, n : n + h] *= r
        g = tanh(self._read(2 * t + 1)[:, 2 * h :])
        return [u * before + (1 - u) * g], (gates, g, before)

    def _step_back(self, t: int, coming: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        h = self.out_features or 0
        gates, g, before = self._steps[t]
        r, u = gates[:, :h], gates[:, h:]
        dh = coming[0]
        first, second = self._deltas[2 * t], self._deltas[2 * t + 1]
        second[:, 2 * h :] = tanh_gradient(g, dh * (1 - u))
        n = self.in_features or 0
        candidate = self._read_back(2 * t + 1, second)
        dr = candidate[:, n : n + h]
        first[:, :h] = sigmoid_gradient(r, dr * before)
        first[:, h : 2 * h] = sigmoid_gradient(u, dh * (before - g))
        both = self._read_back(2 * t, first)
        return both[:, :n] + candidate[:, :n], [both[:, n : n + h] + dr * r + dh * u]


class LastStep(Layer):
    """(batch, time, features) -> (batch, features), those of the last step: one output for a whole sequence.

    Examples
    --------
    >>> LastStep().forward(np.arange(6, dtype=np.float32).reshape(1, 3, 2)).tolist()
    [[4.0, 5.0]]
    """

    in_flight = ("_shape",)

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        check_signals("x", x, train)
        if x.ndim != 3 or x.shape[1] == 0:
            raise ValueError(f"x must have shape (any, at least 1, any): sequences, steps, features; got {x.shape}")
        self._shape = x.shape if train else None
        return np.ascontiguousarray(x[:, -1])

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._shape is None:
            raise no_forward(self)
        check_gradient(d, (self._shape[0], self._shape[2]))
        z = np.zeros(self._shape, np.float32)
        z[:, -1] = d
        return z
