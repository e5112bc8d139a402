from rpusim.nn.activations import ReLU, Sigmoid, Tanh
from rpusim.nn.convolution import AvgPool1d, AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d
from rpusim.nn.data import Sequences
from rpusim.nn.embedding import Embedding, OneHot
from rpusim.nn.history import History
from rpusim.nn.layer import Layer
from rpusim.nn.linear import Linear
from rpusim.nn.losses import cross_entropy, squared_error
from rpusim.nn.matrix import Mapping, Matrix
from rpusim.nn.network import Concatenate, Residual, Sequential, load
from rpusim.nn.normalisation import BatchNorm, Dropout
from rpusim.nn.optimizers import Adam, Momentum, Optimizer, Parameter
from rpusim.nn.pipeline import Pipeline
from rpusim.nn.recurrent import GRU, LSTM, RNN, LastStep
from rpusim.nn.shape import Flatten
from rpusim.nn.summaries import Summary, summary
from rpusim.nn.trainer import Trainer

__all__ = [
    "GRU", "LSTM", "RNN", "Adam", "AvgPool1d", "AvgPool2d", "BatchNorm", "Concatenate", "Conv1d", "Conv2d", "Dropout",
    "Embedding", "Flatten", "History", "LastStep", "Layer", "Linear", "Mapping", "Matrix", "MaxPool1d", "MaxPool2d", "Momentum",
    "OneHot", "Optimizer", "Parameter", "Pipeline", "ReLU", "Residual", "Sequences", "Sequential", "Sigmoid", "Summary", "Tanh",
    "Trainer", "cross_entropy", "load", "squared_error", "summary",
]  # fmt: skip
