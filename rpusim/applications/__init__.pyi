from rpusim.applications import hyperdimensional, kernels, stored
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
from rpusim.applications.stored import StoredMatrix

__all__ = [
    "AssociativeMemory", "ItemMemory", "KernelAttention", "LevelMemory", "RandomFeatures", "Ridge", "StoredMatrix", "bind",
    "bundle", "encode_ngrams", "encode_signals", "hyperdimensional", "kernel_error", "kernel_matrix", "kernels", "permute",
    "random_directions", "stored",
]  # fmt: skip
