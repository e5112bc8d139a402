"""Networks of tiles: layers, losses and a trainer, without autograd."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
