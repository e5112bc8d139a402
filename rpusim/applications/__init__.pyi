from rpusim.applications.kernels import KernelAttention, RandomFeatures, Ridge, kernel_error, kernel_matrix, random_directions
from rpusim.applications.stored import StoredMatrix

__all__ = ["KernelAttention", "RandomFeatures", "Ridge", "StoredMatrix", "kernel_error", "kernel_matrix", "random_directions"]
