"""Datasets: images, texts and speech, found on disk or downloaded once, and the formats that they come in."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
