"""Networks of tiles: layers, losses and a trainer, without autograd."""

from rpusim._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
