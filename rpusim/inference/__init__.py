"""Trained networks on conductances: written with errors, drifting, read with noise, compensated, and judged after years."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
