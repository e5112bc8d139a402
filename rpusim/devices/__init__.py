"""What one cross-point is: one frozen specification per response model."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
