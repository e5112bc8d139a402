"""Networks of tiles: layers, losses and a trainer, without autograd."""

from __future__ import annotations

from rpusim.nn.convolution import AvgPool2d, Conv1d, Conv2d, MaxPool2d
from rpusim.nn.layers import BatchNorm, Dropout, Embedding, Flatten, Layer, Linear, OneHot, ReLU, Sigmoid, Tanh
from rpusim.nn.losses import cross_entropy, squared_error
from rpusim.nn.matrix import Mapping, Matrix
from rpusim.nn.network import Residual, Sequential, load
from rpusim.nn.optimizers import Adam, Momentum, Optimizer, Parameter
from rpusim.nn.pipeline import Pipeline
from rpusim.nn.recurrent import GRU, LSTM, RNN
from rpusim.nn.summary import Summary, summary
from rpusim.nn.trainer import History, Sequences, Trainer

__all__ = [
    "GRU", "LSTM", "RNN", "Adam", "AvgPool2d", "BatchNorm", "Conv1d", "Conv2d", "Dropout", "Embedding", "Flatten", "History",
    "Layer", "Linear", "Mapping", "Matrix", "MaxPool2d", "Momentum", "OneHot", "Optimizer", "Parameter", "Pipeline", "ReLU",
    "Residual", "Sequences", "Sequential", "Sigmoid", "Summary", "Tanh", "Trainer", "cross_entropy", "load", "squared_error",
    "summary",
]  # fmt: skip
