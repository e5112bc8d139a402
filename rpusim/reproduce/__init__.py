"""Published figures and tables, computed anew and set beside what was printed.

Each is a `Reproduction` in a registry: `names` lists them, `get` returns one, and the command `rpusim reproduce NAME` runs one,
prints what was measured beside what was published, and writes a JSON file and a figure.
"""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
