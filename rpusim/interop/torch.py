"""Layers of PyTorch whose weights are simulated arrays, and the optimizer that trains them.

`AnalogLinear` and `AnalogConv2d` are modules: forward and backward are reads of arrays, on the CPU, and what the arrays saw
waits for ``AnalogSGD.step``, which updates them by pulses and all other parameters as ``torch.optim.SGD`` does. `convert` puts
them in the place of the layers of a network. The package torch is an extra: ``pip install 'rpusim[torch]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim import nn
from rpusim._base.random import RNG, child, seed_sequence
from rpusim._base.validation import instance, physical, shown
from rpusim.algorithms import Algorithm
from rpusim.nn.matrix import Matrix, fan_bound
from rpusim.nn.windows import pair

try:
    import torch
except ImportError as error:
    raise ImportError(f"rpusim.interop.torch needs PyTorch (pip install 'rpusim[torch]'): {error}") from error

__all__ = ["AnalogConv2d", "AnalogLinear", "AnalogSGD", "convert", "sequential"]

_rate = physical(0.0)


def _array(tensor: Any) -> NDArray[np.float32]:
    """A tensor as a contiguous float32 array; a copy only where it is something else."""
    array = tensor.numpy(force=True)
    return array if array.dtype == np.float32 and array.flags.c_contiguous else np.ascontiguousarray(array, np.float32)


def _tensor(array: NDArray[np.float32], dtype: Any) -> Any:
    """An array as a tensor of this type, without a copy of float32."""
    tensor = torch.from_numpy(array if array.flags.c_contiguous else np.ascontiguousarray(array))
    return tensor if dtype is torch.float32 else tensor.to(dtype)


class _Product(torch.autograd.Function):  # type: ignore[misc]
    """y = W x by a read, z = W^T d by another; x and d are left with the layer, for the update."""

    @staticmethod
    def forward(ctx: Any, x: Any, bias: Any, layer: Any) -> Any:
        vectors = _array(x)
        matrix = layer.matrix
        if matrix.perturbed:
            matrix.begin(layer.training)
        driven = matrix.drive(vectors)
        y = layer.operations.forward(driven)
        ctx.layer, ctx.driven, ctx.vectors, ctx.y = layer, driven, vectors, y
        return _tensor(y, x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        layer, d = ctx.layer, _array(gradient)
        matrix = layer.matrix
        z = matrix.backward(d) if ctx.needs_input_grad[0] else None
        if layer.training:
            if matrix.parameters:
                matrix.gradients(ctx.vectors, d, ctx.y, z)
            layer.seen.append((ctx.driven, d))
        return None if z is None else _tensor(z, gradient.dtype), None, None


class _Analog(torch.nn.Module):  # type: ignore[misc]
    """What the layers share: one matrix on arrays, and its state."""

    def __init__(self, inputs: int, outputs: int, rule: Algorithm, bias: bool, mapping: nn.Mapping | None, rng: RNG) -> None:
        super().__init__()
        instance(Algorithm, "an algorithm of rpusim.algorithms")("rule", rule)
        self.matrix = Matrix(inputs, outputs, rule, bias, mapping)
        self.matrix.build(seed_sequence(rng), fan_bound(inputs))
        self.operations: Any = self.matrix.operations if self.matrix.plain else self.matrix
        #: what the arrays have read since the last update: pairs of inputs and gradients
        self.seen: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        # without which autograd would not call the backward of a first layer
        self.handle = torch.nn.Parameter(torch.zeros(()))

    def update(self, lr: float) -> None:
        """Train the arrays on what they have read since the last update, and forget it."""
        rate = _rate("lr", lr)
        if not self.seen:
            return
        for driven, d in self.seen:
            self.matrix.update(driven, d, rate)
        self.matrix.end_batch(rate)
        self.seen.clear()

    def set_weights(self, weights: Any, bias: Any = None) -> None:
        """Write weights, and biases (by default 0), as ideally as the devices hold them."""
        flat = _array(weights) if torch.is_tensor(weights) else np.asarray(weights, np.float32)
        offset = _array(bias) if torch.is_tensor(bias) else bias
        self.matrix.set_weights(flat.reshape(len(flat), -1), offset)

    def weights(self) -> tuple[Any, Any]:
        """Return the matrix and the bias (or None) as they act, as tensors."""
        w, b = self.matrix.logical()
        return torch.from_numpy(w), None if b is None else torch.from_numpy(b)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the whole state of the arrays, for `state_dict`."""
        return self.matrix.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the state of arrays that were made alike."""
        self.matrix.load_state_dict(state)
        self.seen.clear()

    def _product(self, vectors: Any) -> Any:
        return _Product.apply(vectors, self.handle, self)


class AnalogLinear(_Analog):
    """y = W x + b with W on arrays: `torch.nn.Linear` as a simulated device sees it.

    Parameters
    ----------
    in_features, out_features : int
    rule : Algorithm
        How the weight is made of arrays and trained.
    bias : bool, default True
        On the array, as one more column, or digital, as `mapping` has it.
    mapping : nn.Mapping, optional
    rng : int, SeedSequence, Generator or None

    Attributes
    ----------
    matrix : nn.Matrix
        Its arrays.

    Examples
    --------
    >>> import torch, rpusim as rpu
    >>> layer = AnalogLinear(4, 3, rpu.algorithms.SGD(rpu.devices.ConstantStep()), rng=0)
    >>> optimizer = AnalogSGD(layer.parameters(), lr=0.1, modules=layer)
    >>> layer(torch.ones(2, 4)).sum().backward()
    >>> optimizer.step()
    >>> layer.matrix.tile.pulse_count.down > 0
    True
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rule: Algorithm,
        bias: bool = True,
        mapping: nn.Mapping | None = None,
        rng: RNG = None,
    ) -> None:
        super().__init__(in_features, out_features, rule, bias, mapping, rng)
        self.in_features, self.out_features = self.matrix.inputs, self.matrix.outputs

    def forward(self, x: Any) -> Any:
        """Return the outputs (..., out_features) for inputs (..., in_features)."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x must have shape (..., {self.in_features}); got {tuple(x.shape)}")
        if x.ndim == 2:
            return self._product(x)
        return self._product(x.reshape(-1, self.in_features)).reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, {self.matrix.rule!r}, bias={self.matrix.bias}"


class AnalogConv2d(_Analog):
    """A convolution whose kernels are on arrays, which read every position of an image as one vector.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
    rule : Algorithm
    stride, padding, dilation : int or (int, int)
    bias, mapping, rng
        See `AnalogLinear`.

    Examples
    --------
    >>> import torch, rpusim as rpu
    >>> layer = AnalogConv2d(1, 4, 3, rpu.algorithms.DigitalSGD(), padding=1, rng=0)
    >>> layer(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        rule: Algorithm,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias: bool = True,
        mapping: nn.Mapping | None = None,
        rng: RNG = None,
    ) -> None:
        kernel = pair("kernel_size", kernel_size, 1)
        super().__init__(in_channels * kernel[0] * kernel[1], out_channels, rule, bias, mapping, rng)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel
        self.stride, self.padding = pair("stride", stride, 1), pair("padding", padding, 0)
        self.dilation = pair("dilation", dilation, 1)

    def forward(self, x: Any) -> Any:
        """Return the outputs (batch, out_channels, height, width)."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"x must have shape (batch, {self.in_channels}, height, width); got {tuple(x.shape)}")
        options = {"dilation": self.dilation, "padding": self.padding, "stride": self.stride}
        patches = torch.nn.functional.unfold(x, self.kernel_size, **options)
        vectors = patches.transpose(1, 2).reshape(-1, patches.shape[1])
        sizes = [
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                x.shape[2:], self.padding, self.dilation, self.kernel_size, self.stride, strict=True
            )
        ]
        y = self._product(vectors).reshape(len(x), -1, self.out_channels)
        return y.transpose(1, 2).reshape(len(x), self.out_channels, *sizes)

    def extra_repr(self) -> str:
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{sizes}, padding={self.padding}, {self.matrix.rule!r}"


class AnalogSGD(torch.optim.SGD):  # type: ignore[misc]
    """Stochastic gradient descent: arrays by pulses at the rate `lr`, other parameters as `torch.optim.SGD` trains them.

    Arrays take what the loss says of every vector: where that is a mean over the batch, as losses of PyTorch are by default,
    an update is lr times the mean gradient, as there. Momentum and weight decay are for digital parameters alone, and are
    refused where there are none. A schedule of torch may change the rate.

    Parameters
    ----------
    params : iterable
        As `torch.optim.SGD` takes them: ``net.parameters()``, or groups.
    lr : float
    modules : torch.nn.Module
        The network, whose analog layers are trained.
    **options
        Others of `torch.optim.SGD`, for digital parameters.

    Raises
    ------
    ValueError
        If the network has no analog layers, or options for digital parameters that there are not.

    Examples
    --------
    >>> import torch, rpusim as rpu
    >>> from rpusim.interop.torch import AnalogLinear, AnalogSGD
    >>> layer = AnalogLinear(4, 2, rpu.algorithms.DigitalSGD(), rng=0)
    >>> optimizer = AnalogSGD(layer.parameters(), lr=0.1, modules=layer)
    >>> before = layer(torch.ones(4)).sum().item()
    >>> layer(torch.ones(3, 4)).sum().backward()
    >>> optimizer.step()
    >>> layer(torch.ones(4)).sum().item() < before
    True
    """

    def __init__(self, params: Iterable[Any], lr: float, *, modules: Any, **options: Any) -> None:
        instance(torch.nn.Module, "a torch.nn.Module")("modules", modules)
        self.analog = [module for module in modules.modules() if isinstance(module, _Analog)]
        if not self.analog:
            raise ValueError("modules must have at least one analog layer; got none (see `convert`)")
        handles = {id(module.handle) for module in self.analog}
        given = [{**one, "params": [*one["params"]]} if isinstance(one, dict) else one for one in params]
        tensors = [p for one in given for p in (one["params"] if isinstance(one, dict) else [one])]
        if options and all(id(p) in handles for p in tensors):
            name = next(iter(options))
            raise ValueError(f"{name} must not be given where all weights are in devices, which cannot honour it")
        super().__init__(given, lr=_rate("lr", lr), **options)

    def _digital(self) -> bool:
        """Whether there is anything for `torch.optim.SGD` to do, which takes its time to find that out."""
        handles = {id(module.handle) for module in self.analog}
        return any(id(p) not in handles for group in self.param_groups for p in group["params"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of digital parameters; arrays have none."""
        if self._digital():
            super().zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update everything that the last backward passes went through."""
        loss = super().step(closure) if closure is not None or self._digital() else None  # a closure may make these passes
        rates = {id(p): group["lr"] for group in self.param_groups for p in group["params"]}
        for module in self.analog:
            module.update(float(rates.get(id(module.handle), self.param_groups[0]["lr"])))
        return loss


def convert(module: Any, rule: Algorithm, *, mapping: nn.Mapping | None = None, rng: RNG = 0) -> Any:
    """Return a copy of a network whose `torch.nn.Linear` and `torch.nn.Conv2d` are analog, with the weights that they had.

    Parameters
    ----------
    module : torch.nn.Module
        It is not touched.
    rule : Algorithm
        The same for all layers.
    mapping : nn.Mapping, optional
        By default biases are digital, and the largest weight of a matrix is held as 0.5.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If there is nothing to convert, or a convolution that has groups or pads otherwise than by zeros.

    Examples
    --------
    >>> import torch, rpusim as rpu
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    >>> type(convert(net, rpu.algorithms.SGD())[0]).__name__
    'AnalogLinear'
    """
    import copy

    instance(torch.nn.Module, "a torch.nn.Module")("module", module)
    options: dict[str, Any] = {"mapping": nn.Mapping(weight_scaling=0.5, digital_bias=True) if mapping is None else mapping}
    seeds, found = seed_sequence(rng), [0]

    def analog(one: Any) -> Any:
        made = _analog_of(one, rule, options | {"rng": child(seeds, found[0])})
        if made is not None:
            found[0] += 1
            made.set_weights(one.weight, one.bias)
            return made
        for name, inner in one.named_children():
            setattr(one, name, analog(inner))
        return one

    converted = analog(copy.deepcopy(module))
    if not found[0]:
        raise ValueError(f"module must have a Linear or a Conv2d to convert; got {shown(module)}")
    return converted


def _analog_of(one: Any, rule: Algorithm, options: dict[str, Any]) -> Any:
    if type(one) is torch.nn.Linear:
        return AnalogLinear(one.in_features, one.out_features, rule, one.bias is not None, **options)
    if type(one) is not torch.nn.Conv2d:
        return None
    if one.groups != 1 or one.padding_mode != "zeros" or isinstance(one.padding, str):
        raise ValueError(f"module must have convolutions without groups that pad by numbers of zeros; got {shown(one)}")
    return AnalogConv2d(
        one.in_channels, one.out_channels, one.kernel_size, rule, one.stride, one.padding, one.dilation, one.bias is not None,
        **options,
    )  # fmt: skip


def sequential(module: Any, rule: Algorithm, **options: Any) -> nn.Sequential:
    """Return a `torch.nn.Sequential` as a network of `rpusim.nn`, for chips, with its weights.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of Linear and Conv2d (analog ones, too), ReLU, GELU, Sigmoid, Tanh, MaxPool2d, AvgPool2d, Flatten, and Dropout and
        Identity, which are left out.
    rule : Algorithm
        Of its weights, `DigitalSGD()` for those that are to be programmed onto chips.
    **options
        Of all layers with weights: mapping.

    Returns
    -------
    nn.Sequential
        Built.

    Raises
    ------
    ValueError
        If there is another layer.

    Examples
    --------
    >>> import torch, rpusim as rpu
    >>> from rpusim.interop.torch import sequential
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    >>> [type(layer).__name__ for layer in sequential(net, rpu.algorithms.DigitalSGD()).layers]
    ['Linear', 'Tanh', 'Linear']
    """
    layers: list[nn.Layer] = []
    weights: list[tuple[Any, Any] | None] = []
    for name, one in instance(torch.nn.Sequential, "a torch.nn.Sequential")("module", module).named_children():
        if isinstance(one, (torch.nn.Dropout, torch.nn.Identity)):
            continue
        layer = _plain_layer(one, rule, options)
        if layer is None:
            raise ValueError(f"module must have layers that rpusim.nn has; got {shown(one)} at {name!r}")
        layers.append(layer)
        pair_of = one.weights() if isinstance(one, _Analog) else (getattr(one, "weight", None), getattr(one, "bias", None))
        weights.append(pair_of if layer.trainable else None)
    net = nn.Sequential(*layers)
    net.build(rng=0)
    for layer, held in zip(layers, weights, strict=True):
        if held is not None:
            w, b = _array(held[0]), None if held[1] is None else _array(held[1])
            shape = (layer.out_channels, layer.in_channels, *layer.windows.kernel) if isinstance(layer, nn.Conv2d) else w.shape
            layer.set_weights(w.reshape(shape), b)  # type: ignore[attr-defined]
    return net


def _plain_layer(one: Any, rule: Algorithm, options: dict[str, Any]) -> nn.Layer | None:
    simple = {torch.nn.ReLU: nn.ReLU, torch.nn.GELU: nn.GELU, torch.nn.Sigmoid: nn.Sigmoid, torch.nn.Tanh: nn.Tanh}
    if type(one) in simple:
        return simple[type(one)]()
    has_bias = one.matrix.bias if isinstance(one, _Analog) else getattr(one, "bias", None) is not None
    if isinstance(one, (torch.nn.Linear, AnalogLinear)):
        return nn.Linear(one.in_features, one.out_features, rule, bias=has_bias, **options)
    if isinstance(one, (torch.nn.Conv2d, AnalogConv2d)):
        if getattr(one, "groups", 1) != 1:
            return None
        windows: dict[str, Any] = {"stride": one.stride, "padding": one.padding, "dilation": one.dilation}
        return nn.Conv2d(one.in_channels, one.out_channels, one.kernel_size, rule, bias=has_bias, **windows, **options)
    if isinstance(one, torch.nn.Flatten) and one.start_dim == 1:
        return nn.Flatten()
    pools = {torch.nn.MaxPool2d: nn.MaxPool2d, torch.nn.AvgPool2d: nn.AvgPool2d}
    if type(one) in pools and one.padding == 0:
        return pools[type(one)](one.kernel_size, one.stride)
    return None
