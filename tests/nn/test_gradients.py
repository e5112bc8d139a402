"""Every layer's backward and update against finite differences of its forward, in float32."""

from __future__ import annotations

import numpy as np
import pytest

from rpusim import nn
from rpusim.algorithms import DigitalSGD

RULE = DigitalSGD()
SCALED = nn.Mapping(digital_bias=True, weight_scaling=0.3, scale_by_output=True, learn_scale=True)
RANGED = nn.Mapping(digital_bias=True, input_range=50.0, learn_input_range=True, learn_scale=True)
CLIPPED = nn.Mapping(digital_bias=True, input_range=0.6, straight_through=False, weight_scaling=0.3)
SPLIT = nn.Mapping(max_inputs=5, max_outputs=2, weight_scaling=0.4)
CASES = {
    "linear": (lambda: nn.Linear(7, 4, RULE), (5, 7)),
    "linear on sequences": (lambda: nn.Linear(7, 4, RULE, bias=False), (3, 4, 7)),
    "linear, split": (lambda: nn.Linear(13, 5, RULE, mapping=SPLIT), (5, 13)),
    "linear, scaled": (lambda: nn.Linear(7, 4, RULE, mapping=SCALED), (5, 7)),
    "linear, digital bias": (lambda: nn.Linear(7, 4, RULE, mapping=nn.Mapping(digital_bias=True)), (5, 7)),
    "linear, range": (lambda: nn.Linear(7, 4, RULE, mapping=RANGED), (5, 7)),
    "linear, clipped": (lambda: nn.Linear(7, 4, RULE, mapping=CLIPPED), (5, 7)),
    "conv2d, clipped": (lambda: nn.Conv2d(2, 3, 2, RULE, mapping=CLIPPED), (2, 2, 5, 4)),
    "conv2d, replicas, clipped": (lambda: nn.Conv2d(2, 3, 2, RULE, replicas=3, mapping=CLIPPED), (2, 2, 5, 4)),
    "lstm, clipped": (lambda: nn.LSTM(4, 5, RULE, mapping=CLIPPED), (3, 6, 4)),
    "conv2d": (lambda: nn.Conv2d(3, 4, 3, RULE), (2, 3, 6, 7)),
    "conv2d, all": (
        lambda: nn.Conv2d(4, 6, (3, 2), RULE, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), (3, 4, 7, 6),
    ),
    "conv2d, no bias": (lambda: nn.Conv2d(2, 3, 2, RULE, bias=False), (2, 2, 4, 4)),
    "conv2d, scaled": (lambda: nn.Conv2d(2, 4, 2, RULE, groups=2, mapping=SCALED), (2, 2, 4, 4)),
    "conv2d, split": (lambda: nn.Conv2d(3, 4, 2, RULE, mapping=SPLIT), (2, 3, 4, 4)),
    "conv2d, replicas": (lambda: nn.Conv2d(2, 3, 2, RULE, replicas=3), (2, 2, 5, 4)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3, RULE, stride=2, padding=1, dilation=2), (2, 3, 9)),
    "max pool": (lambda: nn.MaxPool2d(2), (2, 3, 6, 5)),
    "max pool, overlapping": (lambda: nn.MaxPool2d((3, 2), stride=(2, 1)), (2, 3, 7, 5)),
    "average pool": (lambda: nn.AvgPool2d(2, stride=1), (2, 3, 5, 5)),
    "max pool, signals": (lambda: nn.MaxPool1d(3, stride=2), (2, 3, 9)),
    "average pool, signals": (lambda: nn.AvgPool1d(2), (2, 3, 7)),
    "last step": (lambda: nn.LastStep(), (2, 5, 3)),
    "concatenated": (
        lambda: nn.Concatenate(nn.Linear(6, 4, RULE), None, nn.Sequential(nn.Linear(6, 2, RULE), nn.Tanh())), (3, 6),
    ),
    "concatenated images": (
        lambda: nn.Concatenate(nn.Conv2d(2, 3, 3, RULE, padding=1), nn.Conv2d(2, 1, 1, RULE), None, axis=1), (2, 2, 4, 5),
    ),
    "concatenated sequences": (lambda: nn.Concatenate(nn.LSTM(3, 4, RULE), nn.RNN(3, 2, RULE)), (2, 5, 3)),
    "layer norm": (lambda: nn.LayerNorm(6), (3, 6)),
    "layer norm, sequences": (lambda: nn.LayerNorm(4), (2, 5, 4)),
    "gelu": (lambda: nn.GELU(), (3, 7)),
    "positions": (lambda: nn.PositionalEmbedding(6, 4), (3, 5, 4)),
    "attention": (lambda: nn.SelfAttention(6, 2, RULE), (2, 5, 6)),
    "attention, not causal": (lambda: nn.SelfAttention(4, 1, RULE, causal=False), (2, 3, 4)),
    "attention, scaled": (lambda: nn.SelfAttention(4, 2, RULE, mapping=SCALED), (2, 3, 4)),
    "transformer block": (lambda: nn.TransformerBlock(8, 2, RULE, hidden=6), (2, 3, 8)),
    "flatten": (lambda: nn.Flatten(), (2, 3, 4, 5)),
    "batch norm": (lambda: nn.BatchNorm(4), (6, 4)),
    "batch norm, images": (lambda: nn.BatchNorm(3), (4, 3, 3, 2)),
    "rnn": (lambda: nn.RNN(4, 5, RULE), (3, 6, 4)),
    "lstm": (lambda: nn.LSTM(4, 5, RULE), (3, 6, 4)),
    "lstm, scaled": (lambda: nn.LSTM(4, 5, RULE, mapping=nn.Mapping(digital_bias=True, weight_scaling=0.3)), (3, 6, 4)),
    "lstm, learned scale": (lambda: nn.LSTM(4, 5, RULE, mapping=SCALED), (3, 6, 4)),
    "lstm, range": (lambda: nn.LSTM(4, 5, RULE, mapping=RANGED), (3, 6, 4)),
    "rnn, range": (lambda: nn.RNN(4, 5, RULE, mapping=RANGED), (3, 6, 4)),
    "gru": (lambda: nn.GRU(4, 5, RULE), (3, 6, 4)),
    "gru, learned scale": (lambda: nn.GRU(4, 5, RULE, mapping=SCALED), (3, 6, 4)),
    "gru, range": (lambda: nn.GRU(4, 5, RULE, mapping=RANGED), (3, 6, 4)),
    "two layers of lstm": (
        lambda: nn.Sequential(nn.LSTM(4, 5, RULE), nn.LSTM(5, 3, RULE), nn.Linear(3, 2, RULE)), (2, 5, 4),
    ),
    "residual": (lambda: nn.Residual(nn.Sequential(nn.Linear(6, 6, RULE), nn.Tanh())), (3, 6)),
    "residual with shortcut": (
        lambda: nn.Residual(nn.Sequential(nn.Linear(6, 4, RULE), nn.Tanh()), nn.Linear(6, 4, RULE, bias=False)), (3, 6),
    ),
    "cnn": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3, RULE), nn.Tanh(), nn.AvgPool2d(2), nn.BatchNorm(4), nn.Flatten(),
                              nn.Linear(36, 3, RULE)), (4, 1, 8, 8),
    ),
}  # fmt: skip


def build(name, seed=3):
    make, shape = CASES[name]
    layer = make()
    layer.build(seed)
    for matrix in layer.matrices():
        if matrix._scale is not None:
            matrix._scale.value[...] = np.linspace(1.3, 2.6, matrix._scale.value.size)
    x = np.random.default_rng(4).normal(0, 1, shape).astype(np.float32)
    return layer, x


def values_of(layer):
    """All that is trained, as pairs of a getter's value and a setter."""
    for matrix in layer.matrices():
        for tile in matrix.tiles:
            yield tile.weights.astype(np.float64), tile.program
    for p in layer.parameters():

        def assign(value, p=p):
            p.value[...] = value

        yield p.value.astype(np.float64), assign


def slope(loss, assign, value, direction, step):
    """The change of the loss along a direction, by two steps from a value, which is put back."""
    assign((value + step * direction).astype(np.float32))
    high = loss()
    assign((value - step * direction).astype(np.float32))
    low = loss()
    assign(value.astype(np.float32))
    return (high - low) / (2 * step)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_differences(name):
    layer, x = build(name)
    rng = np.random.default_rng(5)
    y = layer.forward(x)
    assert y.dtype == np.float32
    mix = rng.normal(0, 1, y.shape)

    def loss():
        for part in getattr(layer, "layers", [layer]):
            part.reset_state()
        return float(np.sum(mix * layer.forward(x)))

    def set_x(value):
        nonlocal x
        x = value

    kept = x.copy()
    z = layer.backward(mix.astype(np.float32))
    assert z.shape == x.shape and z.dtype == np.float32
    smooth = "max pool" not in name
    for _ in range(3):
        direction = rng.normal(0, 1, x.shape)
        wanted = slope(loss, set_x, kept.astype(np.float64), direction, 5e-3 if smooth else 1e-4)
        size = np.linalg.norm(z) * np.linalg.norm(direction) / np.sqrt(z.size)
        assert float(np.sum(z * direction)) == pytest.approx(wanted, abs=2e-3 * size + 2e-2 * (not smooth) * size)

    x = kept
    before = list(values_of(layer))
    layer.forward(x)
    for p in layer.parameters():
        p.gradient[...] = 0.0
    layer.backward(mix.astype(np.float32))
    lr = 1e-3
    layer.update(lr)
    after = [value for value, _ in values_of(layer)]
    for value, assign in before:
        assign(value.astype(np.float32))
    tiles = [matrix for matrix in layer.matrices() for _ in matrix.tiles]
    alphas = [matrix.alpha for matrix in tiles]
    for k, ((value, assign), new) in enumerate(zip(before, after, strict=True)):
        gradient = (value - new) / lr
        if "range" in name and value.size == 1 and value.flat[0] == 50.0:
            continue  # the range's rule is not the gradient; it has a test of its own
        direction = rng.normal(0, 1, value.shape)
        wanted = slope(loss, assign, value, direction, 1e-2 * max(1e-2, np.abs(value).max()))  # float32 rounds
        if k < len(alphas) and np.any(alphas[k] != 1):
            # what is held by the devices moves so that alpha W follows the gradient: 1 / alpha^2 of its own
            rows = value.shape[0]
            alpha = alphas[k] if alphas[k].size == 1 else alphas[k][:rows]
            gradient = gradient * (alpha.astype(np.float64) ** 2)[:, None]
        size = np.linalg.norm(gradient) * np.linalg.norm(direction) / np.sqrt(gradient.size)
        allowed = 6e-3 * size + 1e-4 * np.abs(mix).mean()
        assert float(np.sum(gradient * direction)) == pytest.approx(wanted, abs=allowed)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_another_shape_than_the_outputs_are_refused(name):
    """None is broadcast, cut or padded; the right one is taken afterwards."""
    layer, x = build(name)
    y = layer.forward(x)
    wrong = [y[:1], y[..., :1], y.ravel(), y[None], *(np.concatenate([y, y], axis) for axis in range(y.ndim))]
    for d in wrong:
        with pytest.raises(ValueError, match=r"d must have (the )?shape"):
            layer.backward(np.ascontiguousarray(d))
    assert layer.backward(y).shape == x.shape


def test_gradients_of_embeddings_and_dropout_have_the_shape_of_the_outputs():
    for layer, x in ((nn.Embedding(5, 3), np.array([[1, 2], [0, 4]])), (nn.Dropout(0.5), np.ones((2, 2, 3), np.float32))):
        layer.build(0)
        layer.forward(x)
        for shape in ((2, 3), (1, 2, 3), (2, 1, 3), (2, 2, 1), (2, 2, 2, 3)):
            with pytest.raises(ValueError, match=r"d must have the shape \(2, 2, 3\) of the outputs; got"):
                layer.backward(np.ones(shape, np.float32))
        layer.backward(np.ones((2, 2, 3), np.float32))
