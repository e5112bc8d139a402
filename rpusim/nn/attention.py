"""Attention and transformers: products of signals with signals, which are digital, between matrices, which may be analog."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rpusim._base.validation import boolean, instance, integer_value, real, shown
from rpusim.algorithms import Algorithm
from rpusim.nn.activations import GELU
from rpusim.nn.embedding import Embedding, PositionalEmbedding
from rpusim.nn.layer import Layer, check_gradient, no_forward
from rpusim.nn.linear import Linear
from rpusim.nn.matrix import Mapping
from rpusim.nn.network import Group, Residual, Sequential
from rpusim.nn.normalisation import Dropout, LayerNorm

__all__ = ["SelfAttention", "TransformerBlock", "language_model"]


class SelfAttention(Group):
    r"""Every step of a sequence takes from all others (or all before), by how well what it asks for fits what they offer.

    With q, k and v the three parts of projections(x), for each head of width h = features / heads::

        A = softmax(q k^T / sqrt(h) + mask),   y = output(A v, heads side by side)

    Inputs and outputs are (batch, time, features). The projections and the output are layers, and so on arrays if their rule
    says so; the two products with A are digital, since both sides change with every sample.

    Parameters
    ----------
    features, heads : int
        `heads` must divide `features`.
    rule : specification of an algorithm, optional
        Of both layers; not needed where they are given.
    causal : bool, default True
        Whether a step takes from those before it and itself only.
    mapping : Mapping or None
        Of both layers.
    projections, output : Layer, optional
        Layers of one's own, from features to 3 features, and from features to features: an `Adapter`, for instance.

    Notes
    -----
    Vaswani et al. (2017), Attention is all you need.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> layer = rpu.nn.SelfAttention(8, 2, rpu.algorithms.DigitalSGD())
    >>> layer.build(rng=0)
    >>> layer.forward(np.ones((3, 5, 8), np.float32)).shape
    (3, 5, 8)
    """

    in_flight = ("_kept",)

    def __init__(
        self,
        features: int,
        heads: int,
        rule: Algorithm | None = None,
        causal: bool = True,
        *,
        mapping: Mapping | None = None,
        projections: Layer | None = None,
        output: Layer | None = None,
    ) -> None:
        self.features, self.heads = integer_value("features", features, low=1), integer_value("heads", heads, low=1)
        if self.features % self.heads:
            raise ValueError(f"heads must divide features={self.features}; got {self.heads}")
        self.causal = boolean("causal", causal)
        if rule is None and (projections is None or output is None):
            raise ValueError("rule must be given where projections and output are not; got None")
        n = self.features
        self.projections = Linear(n, 3 * n, rule, mapping=mapping) if projections is None else projections  # type: ignore
        self.output = Linear(n, n, rule, mapping=mapping) if output is None else output  # type: ignore[arg-type]
        for name, layer, width in (("projections", self.projections, 3 * n), ("output", self.output, n)):
            instance(Layer, "a layer")(name, layer)
            if layer.in_features != n or layer.out_features != width:
                raise ValueError(f"{name} must go from {n} to {width} features; got {shown(layer)}")
        self.in_features = self.out_features = n
        self._remember(self.children())
        self._kept: Any = None

    def children(self) -> tuple[Layer, ...]:
        return self.projections, self.output

    def _through(self, x: np.ndarray, train: bool) -> np.ndarray:
        if x.ndim != 3 or x.shape[2] != self.features:
            raise ValueError(f"x must have shape (any, any, {self.features}); got {x.shape}")
        self._kept = None
        batch, time, _ = x.shape
        h = self.features // self.heads
        parts = self.projections.forward(x, train).reshape(batch, time, 3, self.heads, h).transpose(2, 0, 3, 1, 4)
        q, k, v = (np.ascontiguousarray(part) for part in parts)
        scores = q @ k.swapaxes(-1, -2)
        scores *= np.float32(1.0 / math.sqrt(h))
        if self.causal:
            scores += np.triu(np.full((time, time), -1e9, np.float32), 1)
        scores -= scores.max(axis=-1, keepdims=True)
        a = np.exp(scores, out=scores)
        a /= a.sum(axis=-1, keepdims=True)
        mixed = np.ascontiguousarray((a @ v).transpose(0, 2, 1, 3)).reshape(x.shape)
        if train:
            self._kept = q, k, v, a
        return self.output.forward(mixed, train)

    def backward(self, d: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        if self._kept is None:
            raise no_forward(self)
        q, k, v, a = self._kept
        batch, heads, time, h = q.shape
        check_gradient(d, (batch, time, self.features))
        mixed = self.output.backward(d)
        assert mixed is not None
        d_mixed = mixed.reshape(batch, time, heads, h).transpose(0, 2, 1, 3)
        d_v = a.swapaxes(-1, -2) @ d_mixed
        d_a = d_mixed @ v.swapaxes(-1, -2)
        d_a -= (d_a * a).sum(axis=-1, keepdims=True)
        d_a *= a
        d_a *= np.float32(1.0 / math.sqrt(h))
        parts = np.stack([d_a @ k, d_a.swapaxes(-1, -2) @ q, d_v])  # of q, k and v
        back = np.ascontiguousarray(parts.transpose(1, 3, 0, 2, 4)).reshape(batch, time, 3 * self.features)
        return self.projections.backward(back, input_gradient)

    def set_aside(self) -> Any:
        return Layer.set_aside(self), super().set_aside()

    def bring_back(self, signals: Any) -> None:
        Layer.bring_back(self, signals[0])
        super().bring_back(signals[1])

    def to_dict(self) -> dict[str, Any]:
        out = {"type": "SelfAttention", "features": self.features, "heads": self.heads, "causal": self.causal}
        return out | {"projections": self.projections.to_dict(), "output": self.output.to_dict()}

    def __repr__(self) -> str:
        causal = "" if self.causal else ", causal=False"
        return f"SelfAttention({self.features}, {self.heads}{causal}, projections={self.projections!r}, output={self.output!r})"


class TransformerBlock(Sequential):
    """x + attention(norm(x)), then y + W_2 gelu(W_1 norm(y)): a block with the normalisation first.

    Parameters
    ----------
    features, heads : int
    rule : specification of an algorithm
        Of the four matrices.
    hidden : int, optional
        Width inside; by default 4 features.
    causal : bool, default True
    dropout : float, default 0
        Probability, of what either part adds.
    mapping : Mapping or None

    Notes
    -----
    Radford et al. (2019). It is a `Sequential`, and is saved as one.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> block = rpu.nn.TransformerBlock(8, 2, rpu.algorithms.DigitalSGD())
    >>> block.build(rng=0)
    >>> block.forward(np.ones((3, 5, 8), np.float32)).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        features: int,
        heads: int,
        rule: Algorithm,
        hidden: int | None = None,
        causal: bool = True,
        dropout: float = 0.0,
        mapping: Mapping | None = None,
    ) -> None:
        width = 4 * integer_value("features", features, low=1) if hidden is None else hidden
        dropped = [Dropout(dropout)] if real(0.0, 1.0, open_high=True)("dropout", dropout) > 0.0 else []
        attention = SelfAttention(features, heads, rule, causal, mapping=mapping)
        inner = [Linear(features, width, rule, mapping=mapping), GELU(), Linear(width, features, rule, mapping=mapping)]
        super().__init__(
            Residual(Sequential(LayerNorm(features), attention, *dropped)),
            Residual(Sequential(LayerNorm(features), *inner, *([Dropout(dropout)] if dropped else []))),
        )


def language_model(
    vocabulary: int,
    features: int,
    layers: int,
    heads: int,
    context: int,
    rule: Algorithm,
    *,
    dropout: float = 0.0,
    mapping: Mapping | None = None,
) -> Sequential:
    """Return a small GPT, not built: embeddings of tokens and places, causal blocks, a normalisation, and a head.

    Parameters
    ----------
    vocabulary, features, layers, heads : int
    context : int
        Longest sequence.
    rule : specification of an algorithm
        Of all matrices, the head included; embeddings are digital.
    dropout : float, default 0
    mapping : Mapping or None

    Returns
    -------
    Sequential
        From integers (batch, time) to (batch, time, vocabulary).

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.language_model(65, 16, 2, 2, context=8, rule=rpu.algorithms.DigitalSGD())
    >>> net.build(rng=0)
    >>> net.predict(np.zeros((2, 8), int)).shape
    (2, 8, 65)
    """
    blocks = [
        TransformerBlock(features, heads, rule, dropout=dropout, mapping=mapping)
        for _ in range(integer_value("layers", layers, low=1))
    ]
    start = [Embedding(vocabulary, features, std=0.02), PositionalEmbedding(context, features)]
    return Sequential(*start, *blocks, LayerNorm(features), Linear(features, vocabulary, rule, mapping=mapping))
