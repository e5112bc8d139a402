"""Other people's tools: every module needs the package that it is called after, or none.

`interop.sklearn` has estimators, `interop.torch` layers and an optimizer, `interop.onnx` reads and writes weights of networks,
`interop.aihwkit` reads configurations, and `interop.spice` writes netlists; the last two need nothing.
"""
