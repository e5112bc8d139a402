from rpusim.nn.activations import GELU, ReLU, Sigmoid, Tanh
from rpusim.nn.adapter import Adapter, Frozen
from rpusim.nn.attention import SelfAttention, TransformerBlock, language_model
from rpusim.nn.convolution import Conv1d, Conv2d
from rpusim.nn.data import Sequences
from rpusim.nn.embedding import Embedding, OneHot, PositionalEmbedding
from rpusim.nn.history import History
from rpusim.nn.layer import Layer
from rpusim.nn.linear import Linear
from rpusim.nn.losses import cross_entropy, distillation, squared_error, teach
from rpusim.nn.matrix import Mapping, Matrix
from rpusim.nn.network import Concatenate, Residual, Sequential, load
from rpusim.nn.normalisation import BatchNorm, Dropout, LayerNorm
from rpusim.nn.optimizers import Adam, AdamW, Momentum, Optimizer, Parameter, Schedule
from rpusim.nn.pipeline import Pipeline
from rpusim.nn.pooling import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from rpusim.nn.recurrent import GRU, LSTM, RNN, LastStep
from rpusim.nn.shape import Flatten
from rpusim.nn.summaries import Summary, summary
from rpusim.nn.trainer import Trainer

__all__ = [
    "GELU", "GRU", "LSTM", "RNN", "Adam", "AdamW", "Adapter", "AvgPool1d", "AvgPool2d", "BatchNorm", "Concatenate", "Conv1d",
    "Conv2d", "Dropout", "Embedding", "Flatten", "Frozen", "History", "LastStep", "Layer", "LayerNorm", "Linear", "Mapping",
    "Matrix", "MaxPool1d", "MaxPool2d", "Momentum", "OneHot", "Optimizer", "Parameter", "Pipeline", "PositionalEmbedding",
    "ReLU", "Residual", "Schedule", "SelfAttention", "Sequences", "Sequential", "Sigmoid", "Summary", "Tanh", "Trainer",
    "TransformerBlock", "cross_entropy", "distillation", "language_model", "load", "squared_error", "summary", "teach",
]  # fmt: skip
