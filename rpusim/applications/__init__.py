"""What is built on arrays beside backpropagation: kernels, hyperdimensional computing, memories, spikes, physics, search."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
