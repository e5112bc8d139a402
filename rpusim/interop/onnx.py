"""Networks in files of ONNX: perceptrons and convolutional networks, with their weights, in and out.

The package onnx is an extra: ``pip install 'rpusim[onnx]'``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim import nn
from rpusim._base.checkpoint import atomic_file
from rpusim._base.validation import instance, shown
from rpusim.algorithms import Algorithm

__all__ = ["load", "save"]

PLAIN: dict[str, Any] = {"Relu": nn.ReLU, "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh}
POOLS: dict[str, Any] = {"MaxPool": nn.MaxPool2d, "AveragePool": nn.AvgPool2d}
#: operations that do nothing to a trained network
IDLE = ("Dropout", "Identity")


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(f"rpusim.interop.onnx needs onnx (pip install 'rpusim[onnx]'): {error}") from error
    return onnx


def save(net: nn.Sequential, path: str | os.PathLike[str]) -> None:
    """Write a trained network with the weights that it has, wherever they are held.

    Parameters
    ----------
    net : nn.Sequential
        Of Linear and Conv2d, ReLU, Sigmoid, Tanh, MaxPool2d, AvgPool2d, Flatten, and Dropout, which is left out. Converters,
        noise and whatever else arrays do to signals are not in the file.
    path : path

    Raises
    ------
    ValueError
        If there is another layer, or the network is not built.

    Examples
    --------
    >>> save(net, "trained.onnx")  # doctest: +SKIP
    """
    onnx = _onnx()
    instance(nn.Sequential, "a Sequential")("net", net)
    nodes: list[Any] = []
    held: list[Any] = []
    name = "x"
    for k, layer in enumerate(net.layers):
        if isinstance(layer, nn.Dropout):
            continue
        kind, attributes, arrays = _node_of(layer)
        inputs = [name]
        for what, array in arrays.items():
            held.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array, np.float32), f"{k}.{what}"))
            inputs.append(f"{k}.{what}")
        name = f"y{k}"
        nodes.append(onnx.helper.make_node(kind, inputs, [name], **attributes))
    first = net.layers[0]
    shape = (
        ["n", first.in_channels, "height", "width"] if isinstance(first, nn.Conv2d) else ["n", net.in_features or "features"]
    )
    number = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes, "rpusim", [onnx.helper.make_tensor_value_info("x", number, shape)],
        [onnx.helper.make_tensor_value_info(name, number, ["n", net.out_features or "outputs"])], held,
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], producer_name="rpusim")
    model.ir_version = 8
    onnx.checker.check_model(model)
    with atomic_file(path) as file:
        file.write(model.SerializeToString())


def _node_of(layer: nn.Layer) -> tuple[str, dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Return the operation of a layer, its attributes and its arrays."""
    for table in (PLAIN, POOLS):
        for kind, own in table.items():
            if type(layer) is own:
                pool = layer.windows if table is POOLS else None  # type: ignore[attr-defined]
                return kind, {} if pool is None else {"kernel_shape": pool.kernel, "strides": pool.stride}, {}
    if type(layer) is nn.Flatten:
        return "Flatten", {"axis": 1}, {}
    if not layer.built:
        raise ValueError(f"net must be built; got {shown(layer)} without weights")
    if type(layer) is nn.Linear:
        w, b = layer.matrix.logical()
        return "Gemm", {"transB": 1}, {"weight": w} | ({} if b is None else {"bias": b})
    if type(layer) is nn.Conv2d and layer.replicas == 1:
        windows, parts = layer.windows, [matrix.logical() for matrix in layer.kernels]
        w = np.concatenate([part[0] for part in parts])
        weight = w.reshape(layer.out_channels, layer.in_channels // layer.groups, *windows.kernel)
        arrays = {"weight": weight}
        if layer.bias:
            arrays["bias"] = np.concatenate([part[1] for part in parts if part[1] is not None])
        options = {"strides": windows.stride, "pads": [*windows.padding, *windows.padding], "dilations": windows.dilation}
        return "Conv", {"kernel_shape": windows.kernel, "group": layer.groups, **options}, arrays
    raise ValueError(f"net must have layers that are one operation of ONNX each; got {shown(layer)}")


def load(path: str | os.PathLike[str], rule: Algorithm, **options: Any) -> nn.Sequential:
    """Return the network of a file, built, with its weights.

    Parameters
    ----------
    path : path
        A row of Gemm, MatMul (with Add), Conv, Relu, Sigmoid, Tanh, MaxPool, AveragePool and Flatten; Dropout and Identity are
        left out.
    rule : Algorithm
        Of all layers with weights.
    **options
        Of all layers with weights: mapping.

    Returns
    -------
    nn.Sequential

    Raises
    ------
    ValueError
        If there is another operation, or the network is no row of layers.

    Examples
    --------
    >>> net = load("trained.onnx", rpu.algorithms.SGD(rpu.devices.SoftBounds()))  # doctest: +SKIP
    """
    onnx = _onnx()
    instance(Algorithm, "an algorithm of rpusim.algorithms")("rule", rule)
    graph = onnx.load_model_from_string(Path(path).read_bytes()).graph
    held = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    layers: list[nn.Layer] = []
    weights: list[tuple[Any, Any] | None] = []
    before = next(one.name for one in graph.input if one.name not in held)
    for node in graph.node:
        own = [name for name in node.input if name and name not in held]
        if own != [before]:
            raise ValueError(f"path must hold a row of layers; {node.op_type} {node.name!r} takes {own}, not [{before!r}]")
        before = node.output[0]
        arrays = [held[name] for name in node.input if name in held]
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type in IDLE:
            continue
        if node.op_type == "Add" and weights and weights[-1] is not None and weights[-1][1] is None:
            layers[-1] = nn.Linear(layers[-1].in_features, layers[-1].out_features, rule, **options)  # type: ignore[arg-type]
            weights[-1] = (weights[-1][0], arrays[0].reshape(-1))
            continue
        layer, pair = _layer_of(node.op_type, attributes, arrays, rule, options)
        layers.append(layer)
        weights.append(pair)
    net = nn.Sequential(*layers)
    net.build(rng=0)
    for layer, held_pair in zip(layers, weights, strict=True):
        if held_pair is not None:
            layer.set_weights(*held_pair)  # type: ignore[attr-defined]
    return net


def _layer_of(
    kind: str, attributes: dict[str, Any], arrays: list[Any], rule: Algorithm, options: dict[str, Any]
) -> tuple[nn.Layer, tuple[Any, Any] | None]:
    """Return the layer of an operation, and its weights and bias."""
    if kind in PLAIN:
        return PLAIN[kind](), None
    if kind in POOLS:
        _only(kind, attributes, {"pads": [0, 0, 0, 0], "ceil_mode": 0, "dilations": [1, 1]})
        size = tuple(attributes["kernel_shape"])
        return POOLS[kind](size, tuple(attributes.get("strides", (1, 1)))), None
    if kind == "Flatten":
        _only(kind, attributes, {"axis": 1})
        return nn.Flatten(), None
    if kind == "MatMul" and len(arrays) == 1 or kind == "Gemm":
        _only(kind, attributes, {"alpha": 1.0, "beta": 1.0, "transA": 0})
        w = arrays[0] if attributes.get("transB", 0) else arrays[0].T
        bias = arrays[1].reshape(-1) if len(arrays) > 1 else None
        return nn.Linear(w.shape[1], w.shape[0], rule, bias=bias is not None, **options), (w, bias)
    if kind == "Conv" and arrays[0].ndim == 4:
        _only(kind, attributes, {"auto_pad": b"NOTSET"})
        w, group = arrays[0], attributes.get("group", 1)
        pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
        if pads[:2] != pads[2:]:
            raise ValueError(f"path must hold convolutions that pad both sides alike; got pads {pads}")
        windows = {
            name: tuple(attributes.get(theirs, (1, 1))) for name, theirs in (("stride", "strides"), ("dilation", "dilations"))
        }
        bias = arrays[1] if len(arrays) > 1 else None
        layer = nn.Conv2d(
            w.shape[1] * group, w.shape[0], w.shape[2:], rule, padding=pads[:2], groups=group, bias=bias is not None,
            **(windows | options),
        )  # fmt: skip
        return layer, (w, bias)
    known = ", ".join(["Gemm", "MatMul", "Conv", *PLAIN, *POOLS, "Flatten"])
    raise ValueError(f"path must hold operations that are layers here, {known}; got {kind}")


def _only(kind: str, attributes: dict[str, Any], allowed: dict[str, Any]) -> None:
    for name, value in allowed.items():
        if name in attributes and (list(attributes[name]) if isinstance(value, list) else attributes[name]) != value:
            raise ValueError(f"path must hold {kind} with {name} {value}; got {attributes[name]}")
