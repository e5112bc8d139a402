from rpusim.interop import aihwkit, onnx, sklearn, spice, torch

__all__ = ["aihwkit", "onnx", "sklearn", "spice", "torch"]
