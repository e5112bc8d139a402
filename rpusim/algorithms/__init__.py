"""How arrays make one trainable weight: a specification per algorithm, and the tile it builds."""

from rpusim._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__)
