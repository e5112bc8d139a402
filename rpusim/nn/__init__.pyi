from rpusim.nn.convolution import AvgPool1d, AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d
from rpusim.nn.layers import BatchNorm, Dropout, Embedding, Flatten, Layer, Linear, OneHot, ReLU, Sigmoid, Tanh
from rpusim.nn.losses import cross_entropy, squared_error
from rpusim.nn.matrix import Mapping, Matrix
from rpusim.nn.network import Concatenate, Residual, Sequential, load
from rpusim.nn.optimizers import Adam, Momentum, Optimizer, Parameter
from rpusim.nn.pipeline import Pipeline
from rpusim.nn.recurrent import GRU, LSTM, RNN, LastStep
from rpusim.nn.summaries import Summary, summary
from rpusim.nn.trainer import History, Sequences, Trainer

__all__ = [
    "GRU", "LSTM", "RNN", "Adam", "AvgPool1d", "AvgPool2d", "BatchNorm", "Concatenate", "Conv1d", "Conv2d", "Dropout",
    "Embedding", "Flatten", "History", "LastStep", "Layer", "Linear", "Mapping", "Matrix", "MaxPool1d", "MaxPool2d", "Momentum",
    "OneHot", "Optimizer", "Parameter", "Pipeline", "ReLU", "Residual", "Sequences", "Sequential", "Sigmoid", "Summary", "Tanh",
    "Trainer", "cross_entropy", "load", "squared_error", "summary",
]  # fmt: skip
