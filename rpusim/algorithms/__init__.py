"""How arrays make one trainable weight: a specification per algorithm, and the tile it builds."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
