"""Networks: layers in a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim._random import RNG, child, seed_sequence
from rpusim._validation import integer_value, signal
from rpusim.nn.layers import Layer

__all__ = ["Sequential"]


class Sequential(Layer):
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
    >>> net = Sequential(Linear(784, 256, rule), Sigmoid(), Linear(256, 10, rule))  # doctest: +SKIP
    >>> net.build(rng=0)  # doctest: +SKIP
    >>> net.predict(images).shape  # doctest: +SKIP
    (60000, 10)
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("layers must be at least one layer; got none")
        features: int | None = None
        for index, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{index}] must be a layer; got {layer!r}")
            if any(layer is other for other in layers[:index]):
                raise ValueError(f"layers[{index}] must be a layer of its own; got one that is there before: {layer!r}")
            if layer.in_features is not None:
                if features is not None and features != layer.in_features:
                    raise ValueError(
                        f"layers[{index}] must take {features} features, as many as come to it; got {layer!r}"
                    )
                if self.in_features is None and features is None:
                    self.in_features = layer.in_features
            features = features if layer.out_features is None else layer.out_features
        self.layers = layers
        self.out_features = features
        self.trainable = any(layer.trainable for layer in layers)
        # No layer before the first one with weights needs a gradient, nor does that one have to pass it on.
        first = next((index for index, layer in enumerate(layers) if layer.trainable), len(layers) - 1)
        self._first = layers[first]
        self._after_first = layers[:first:-1]

    @property
    def built(self) -> bool:
        return all(layer.built for layer in self.layers)

    def build(self, rng: RNG = None) -> None:
        """Build every layer, each with a seed of its own made from `rng` and its place."""
        seeds = seed_sequence(rng)
        for index, layer in enumerate(self.layers):
            layer.build(child(seeds, index))

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        """Return the outputs (batch, out_features) float32.

        Parameters
        ----------
        x : ndarray, shape (batch, in_features)
            Inputs. A float32 array is not copied, and must not change before the update.
        train : bool
            Whether `backward` is to follow.
        """
        if type(x) is not np.ndarray or x.dtype != np.float32:
            x = signal("x", x, (None, self.in_features))
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

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
        if input_gradient:
            for layer in reversed(self.layers):
                gradient = layer.backward(gradient)
            return gradient
        for layer in self._after_first:
            gradient = layer.backward(gradient)
        self._first.backward(gradient, False)
        return None

    def update(self, lr: float) -> None:
        """Update every layer at rate `lr` on the signals of the last forward and backward."""
        for layer in self.layers:
            layer.update(lr)

    def predict(self, x: np.ndarray, batch_size: int = 1000) -> np.ndarray:
        """Return the outputs for many inputs, `batch_size` at a time.

        Parameters
        ----------
        x : array_like, shape (n, in_features)
            Inputs, finite.
        batch_size : int
            How many are read together. It bounds memory, and changes nothing else but rounding.

        Returns
        -------
        ndarray of float32, shape (n, out_features)

        Raises
        ------
        TypeError, ValueError
            If the shape does not fit, or a number is not finite.
        """
        size = integer_value("batch_size", batch_size, low=1)
        x = signal("x", x, (None, self.in_features))
        batches = [self.forward(x[start : start + size], False) for start in range(0, max(len(x), 1), size)]
        return np.concatenate(batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the layers with weights, under their places ("0", "2", ...)."""
        return {str(index): layer.state_dict() for index, layer in enumerate(self.layers) if layer.trainable}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state that `state_dict` returned; a call that fails leaves the old state.

        Raises
        ------
        ValueError
            If the state is that of another network.
        """
        places = {str(index): layer for index, layer in enumerate(self.layers) if layer.trainable}
        if not isinstance(state, dict) or set(state) != set(places):
            found = sorted(state) if isinstance(state, dict) else type(state).__name__
            raise ValueError(f"state must have the layers {', '.join(places) or 'none'}; got {found}")
        before = self.state_dict()
        done = []
        try:
            for place, layer in places.items():
                layer.load_state_dict(state[place])
                done.append(place)
        except BaseException:
            for place in done:
                places[place].load_state_dict(before[place])
            raise

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"
