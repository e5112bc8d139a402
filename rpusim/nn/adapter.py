"""Adapters: a frozen layer and a small digital correction beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rpusim._base.citing import cite
from rpusim._base.random import RNG, child, generator, seed_sequence
from rpusim._base.state import Entry, part
from rpusim._base.validation import instance, integer_value, physical
from rpusim._core.products import matmul
from rpusim.nn.layer import Layer, check_gradient, checked_rate, no_forward
from rpusim.nn.linear import Linear
from rpusim.nn.network import Group
from rpusim.nn.optimizers import Parameter

__all__ = ["Adapter", "Frozen"]


class Frozen(Group):
    """A layer that is read, forward and backward, and not trained.

    Parameters
    ----------
    layer : Layer

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Frozen(rpu.nn.Linear(4, 3, rpu.algorithms.DigitalSGD())), rpu.nn.LayerNorm(3))
    >>> net.build(rng=0)
    >>> [p.value.size for p in net.parameters()]
    [3, 3]
    """

    def __init__(self, layer: Layer) -> None:
        self.layer: Layer = instance(Layer, "a layer")("layer", layer)
        self.in_features, self.out_features, self.keeps_features = layer.in_features, layer.out_features, layer.keeps_features
        self.takes_indices, self.stateful = layer.takes_indices, layer.stateful
        if layer.takes_indices:
            self.n = getattr(layer, "n", None)
        self._remember((layer,))

    def children(self) -> tuple[Layer, ...]:
        return (self.layer,)

    def parameters(self) -> list[Parameter]:
        return []

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        return self.layer.forward(x, train)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        z = self.layer.backward(d, input_gradient)
        for p in self.layer.parameters():
            p.gradient[...] = 0.0
        return z

    def update(self, lr: float) -> None:
        checked_rate(lr)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Frozen", "layer": self.layer.to_dict()}

    def __repr__(self) -> str:
        return f"Frozen({self.layer!r})"


class Adapter(Group):
    """y = layer(x) + (alpha / rank) B A x, with `layer` frozen: low-rank adaptation (LoRA).

    A (rank, inputs) is normal with variance 1 / inputs at first, B (outputs, rank) is 0, so that nothing changes before
    training. Only they are trained; the layer is read, forward and backward, on whatever array it is: one that was programmed
    and ages, or one of `inference.HardwareAware`, whose noise the adapter then learns to bear.

    Parameters
    ----------
    layer : Linear
    rank : int, default 8
    alpha : float, default 16

    Attributes
    ----------
    a, b : Parameter

    Notes
    -----
    Hu et al. (2022); on analog arrays Li et al. (2024).

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> adapted = rpu.nn.Adapter(rpu.nn.Linear(16, 4, rpu.algorithms.DigitalSGD()), rank=2)
    >>> adapted.build(rng=0)
    >>> adapted.forward(np.ones((3, 16), np.float32)).shape, sum(p.value.size for p in adapted.parameters())
    ((3, 4), 40)
    """

    in_flight = ("_kept",)

    def __init__(self, layer: Linear, rank: int = 8, alpha: float = 16.0) -> None:
        cite("hu2022")
        self.layer: Linear = instance(Linear, "a Linear layer")("layer", layer)
        self.rank = integer_value("rank", rank, low=1)
        self.alpha = physical()("alpha", alpha)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.a = Parameter(np.zeros((self.rank, layer.in_features)))
        self.b = Parameter(np.zeros((layer.out_features, self.rank)))
        self._remember((layer,))
        self.trainable = True
        self._kept: Any = None

    def children(self) -> tuple[Layer, ...]:
        return (self.layer,)

    def build(self, rng: RNG = None) -> None:
        seeds = seed_sequence(rng)
        super().build(seeds)
        draw = generator(child(seeds, 1)).standard_normal(self.a.value.shape)
        self.a.reset(draw / math.sqrt(self.layer.in_features))
        self.b.reset(0.0)
        self._kept = None

    def parameters(self) -> list[Parameter]:
        """A and B: what is trained."""
        return [self.a, self.b]

    def _through(self, x: np.ndarray, train: bool) -> np.ndarray:
        y = self.layer.forward(x, train)
        low = matmul(x.reshape(-1, self.layer.in_features), self.a.value.T)
        self._kept = (x, low) if train else None
        scale = np.float32(self.alpha / self.rank)
        return y + (scale * (matmul(low, self.b.value.T))).reshape(y.shape)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        x, low = self._kept
        check_gradient(d, (*x.shape[:-1], self.layer.out_features))
        flat = d.reshape(-1, self.layer.out_features) * np.float32(self.alpha / self.rank)
        if not np.isfinite(flat).all():
            raise ValueError("d must hold finite float32 numbers; got others")
        back = matmul(flat, self.b.value)
        self.b.add_product(flat, low)
        self.a.add_product(back, x.reshape(-1, self.layer.in_features))
        if not input_gradient:
            return None
        z = self.layer.backward(d)
        assert z is not None
        for p in self.layer.parameters():  # which is frozen
            p.gradient[...] = 0.0
        return z + (matmul(back, self.a.value)).reshape(x.shape)

    def update(self, lr: float) -> None:
        """Train A and B; the layer stays."""
        rate = checked_rate(lr)
        self.a.step(rate)
        self.b.step(rate)

    def set_aside(self) -> Any:
        return Layer.set_aside(self), super().set_aside()

    def bring_back(self, signals: Any) -> None:
        Layer.bring_back(self, signals[0])
        super().bring_back(signals[1])

    def _entries(self) -> dict[str, Entry]:
        return {"layer": part(self.layer), "a": part(self.a), "b": part(self.b)}

    def adapter_state(self) -> dict[str, Any]:
        """Return A and B alone, to be exchanged for another task by `load_adapter_state`."""
        return {"a": self.a.state_dict(), "b": self.b.state_dict()}

    def load_adapter_state(self, state: dict[str, Any]) -> None:
        """Take the A and B that `adapter_state` returned; the layer stays as it is, bit for bit."""
        checked = {name: getattr(self, name).checked_state(f"state[{name!r}]", state[name]) for name in ("a", "b")}
        for name, one in checked.items():
            getattr(self, name).restore(one)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Adapter", "layer": self.layer.to_dict(), "rank": self.rank, "alpha": self.alpha}

    def __repr__(self) -> str:
        return f"Adapter({self.layer!r}, rank={self.rank}, alpha={self.alpha})"
