"""Other people's tools: every module needs the package that it is called after, or none.

`interop.sklearn` has estimators, `interop.torch` layers and an optimizer, `interop.onnx` reads and writes weights of networks,
`interop.aihwkit` reads configurations, and `interop.spice` writes netlists; the last two need nothing.
"""

from rpusim._base.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__)
