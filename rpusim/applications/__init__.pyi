from rpusim.applications import hyperdimensional, kernels, memory, stored
from rpusim.applications.hyperdimensional import (
    AssociativeMemory,
    ItemMemory,
    LevelMemory,
    bind,
    bundle,
    encode_ngrams,
    encode_signals,
    permute,
)
from rpusim.applications.kernels import KernelAttention, RandomFeatures, Ridge, kernel_error, kernel_matrix, random_directions
from rpusim.applications.memory import Episode, Episodes, KeyValueMemory, SupportMemory, few_shot_accuracy, sharpened
from rpusim.applications.stored import StoredMatrix

__all__ = [
    "AssociativeMemory", "Episode", "Episodes", "ItemMemory", "KernelAttention", "KeyValueMemory", "LevelMemory",
    "RandomFeatures", "Ridge", "StoredMatrix", "SupportMemory", "bind", "bundle", "encode_ngrams", "encode_signals",
    "few_shot_accuracy", "hyperdimensional", "kernel_error", "kernel_matrix", "kernels", "memory", "permute",
    "random_directions", "sharpened", "stored",
]  # fmt: skip
