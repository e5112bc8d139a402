"""Theory beside the simulation: responses, equilibria and continuum equations of SGD and SHD, zero-shifting."""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
