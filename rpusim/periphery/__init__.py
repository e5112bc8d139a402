"""What surrounds an array: converters, scaling of inputs, ranges of outputs, pulses of updates."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
