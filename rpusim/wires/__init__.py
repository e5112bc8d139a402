"""Resistive lines: what they are, the networks that they make, and what reads and writes see of them."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
