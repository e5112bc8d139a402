"""Physics of resistive crossbar arrays, and the training algorithms that run on them."""

from rpusim._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
