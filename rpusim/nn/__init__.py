"""Networks of tiles: layers, losses and a trainer, without autograd."""

from __future__ import annotations

from rpusim.nn.layers import Layer, Linear, ReLU, Sigmoid, Tanh
from rpusim.nn.losses import cross_entropy, squared_error
from rpusim.nn.network import Sequential
from rpusim.nn.trainer import History, Trainer

__all__ = [
    "History", "Layer", "Linear", "ReLU", "Sequential", "Sigmoid", "Tanh", "Trainer", "cross_entropy", "squared_error",
]  # fmt: skip
