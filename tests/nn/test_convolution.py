"""Convolutions against SciPy, in chunks, replicated; and pools."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

import rpusim as rpu
from rpusim import nn
from rpusim.algorithms import SGD, DigitalSGD

RULE = DigitalSGD()
RNG = np.random.default_rng(11)


def built(layer, seed=1):
    layer.build(seed)
    return layer


def images(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


# ---- convolutions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stride, padding, dilation, groups", [(1, 0, 1, 1), ((2, 3), (1, 2), 1, 1), (1, 2, (2, 1), 1), (2, 1, 2, 2)]
)
def test_conv2d_is_scipys_correlation(stride, padding, dilation, groups):
    layer = built(nn.Conv2d(4, 6, (3, 2), RULE, stride, padding, dilation, groups))
    x = images(2, 4, 9, 10)
    y = layer.forward(x)
    (pv, ph), (sv, sh), (dv, dh) = layer.windows.padding, layer.windows.stride, layer.windows.dilation
    padded = np.pad(x, ((0, 0), (0, 0), (pv, pv), (ph, ph))).astype(np.float64)
    for b in range(2):
        for o in range(6):
            group, channel = divmod(o, 6 // groups)
            w = layer.kernels[group].weights[channel].astype(np.float64)
            kernels, bias = w[:-1].reshape(4 // groups, 3, 2), w[-1]
            total = bias
            for c in range(4 // groups):
                spaced = np.zeros((2 * dv + 1, dh + 1))
                spaced[::dv, ::dh] = kernels[c]
                total = total + signal.correlate2d(padded[b, group * (4 // groups) + c], spaced, mode="valid")
            np.testing.assert_allclose(y[b, o], total[::sv, ::sh], atol=2e-6)


def test_conv1d_is_scipys_correlation():
    layer = built(nn.Conv1d(3, 2, 4, RULE, stride=2, padding=3))
    x = images(2, 3, 15)
    y = layer.forward(x)
    w = layer.kernels[0].weights.astype(np.float64)
    padded = np.pad(x, ((0, 0), (0, 0), (3, 3))).astype(np.float64)
    for b in range(2):
        for o in range(2):
            kernels = w[o, :-1].reshape(3, 4)
            total = w[o, -1] + sum(np.correlate(padded[b, c], kernels[c], mode="valid") for c in range(3))
            np.testing.assert_allclose(y[b, o], total[::2], atol=2e-6)


@pytest.mark.parametrize("chunk", [500, 200, 1])  # images, rows, a row
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}, {"replicas": 2}], ids=str)
def test_chunks_of_images_and_rows_change_nothing(monkeypatch, chunk, options):
    rule = SGD(rpu.devices.SoftBounds(dw_min=0.01))
    x = images(7, 2, 6, 6)
    d = images(*built(nn.Conv2d(2, 4, 2, rule, **options)).forward(x).shape)

    def results():
        layer = built(nn.Conv2d(2, 4, 2, rule, **options), seed=5)
        y = layer.forward(x)
        z = layer.backward(d)
        layer.update(0.01)
        return y, z, layer.kernels[0].weights

    whole = results()
    monkeypatch.setattr("rpusim.nn.convolution.CHUNK", chunk)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(results()[2], whole[2])  # pulses do not see the split


@pytest.mark.parametrize("chunk", [500, 1])
def test_an_update_in_chunks_is_one_step_and_one_mini_batch(monkeypatch, chunk):
    """Of the optimizer of what is digital, of an input range, and of the time of the devices."""
    x, d = images(7, 2, 6, 6), images(7, 3, 5, 5)
    mapping = nn.Mapping(digital_bias=True, learn_scale=True, input_range=1.0, learn_input_range=True, input_range_decay=0.3)

    def results():
        forgetful = rpu.devices.SoftBounds(dw_min=0.01, lifetime=10.0)
        layers = built(nn.Conv2d(2, 3, 2, RULE, mapping=mapping)), built(nn.Conv2d(2, 3, 2, SGD(forgetful)))
        for layer in layers:
            for p in layer.parameters():
                p.optimizer = nn.Adam()
            for scale in (1.0, 0.5):
                layer.forward(0.2 * x)  # all within the range: its decay counts, once
                layer.backward(scale * d)
                layer.update(0.01)
        assert all(p.steps == 2 for p in layers[0].parameters())
        return [layer.kernels[0].weights for layer in layers] + [p.value for p in layers[0].parameters()]

    whole = results()
    monkeypatch.setattr("rpusim.nn.convolution.CHUNK", chunk)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_every_position_of_a_replicated_convolution_has_one_replica():
    layer = built(nn.Conv2d(1, 2, 2, RULE, replicas=4))
    x = images(3, 1, 6, 6)
    shared = layer.forward(x)  # replicas start equal
    np.testing.assert_allclose(shared, built(nn.Conv2d(1, 2, 2, RULE)).forward(x), atol=1e-6)
    for k, kernel in enumerate(layer.kernels):
        w = np.zeros((2, 5), np.float32)
        w[:, -1] = k
        kernel.program(w)
    marks = layer.forward(x)[:, 0]
    assert (marks == marks[:1]).all()
    assert sorted(np.bincount(marks[0].ravel().astype(int), minlength=4)) == [6, 6, 6, 7]
    again = layer.forward(x)[:, 0]
    np.testing.assert_array_equal(again, marks)
    before = [kernel.weights for kernel in layer.kernels]
    d = np.zeros((3, 2, 5, 5), np.float32)
    d[0, :, marks[0] == 2] = 1.0
    layer.backward(d)
    layer.update(0.1)
    changed = [not np.array_equal(kernel.weights, w) for kernel, w in zip(layer.kernels, before, strict=True)]
    assert changed == [False, False, True, False]
    mixed = built(nn.Conv2d(1, 2, 2, RULE, replicas=4, assignment="random"))
    for k, kernel in enumerate(mixed.kernels):
        kernel.program(np.full((2, 5), k, np.float32))
    ones = np.ones((1, 1, 6, 6), np.float32)
    assert not np.array_equal(mixed.forward(ones), mixed.forward(ones))


@pytest.mark.parametrize("stride", [None, 1, (2, 1)])
def test_pooling_is_that_of_every_window(stride):
    x = images(2, 3, 6, 7)
    most, mean = nn.MaxPool2d((2, 3), stride).forward(x), nn.AvgPool2d((2, 3), stride).forward(x)
    sv, sh = (2, 3) if stride is None else np.broadcast_to(stride, 2)
    for i in range(most.shape[2]):
        for j in range(most.shape[3]):
            window = x[:, :, i * sv : i * sv + 2, j * sh : j * sh + 3]
            np.testing.assert_array_equal(most[:, :, i, j], window.max(axis=(2, 3)))
            np.testing.assert_allclose(mean[:, :, i, j], window.mean(axis=(2, 3)), atol=1e-6)
    assert most.shape[2:] == ((6 - 2) // sv + 1, (7 - 3) // sh + 1)


# ---- saving -----------------------------------------------------------------------------------------------------------


def test_average_pools_take_gradients_of_their_outputs_only():
    for layer, shape, wrong in (
        (nn.AvgPool2d(2), (2, 3, 4, 4), [(2, 3, 3, 3), (3, 2, 2, 2), (2, 3, 4, 1)]),
        (nn.AvgPool1d(2), (2, 3, 4), [(2, 3, 3), (3, 2, 2)]),
    ):
        y = layer.forward(np.ones(shape, np.float32))
        np.testing.assert_array_equal(layer.backward(np.ones(y.shape)), np.full(shape, 0.5 ** (len(shape) - 2), np.float32))
        for other in wrong:
            with pytest.raises(ValueError, match="d must have the shape"):
                layer.backward(np.ones(other, np.float32))


@pytest.mark.parametrize("make", [
    lambda: nn.Conv2d(3, 3, 2, DigitalSGD(), stride=2), lambda: nn.Conv2d(3, 3, 2, DigitalSGD(), stride=2, replicas=2),
    lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2),
])  # fmt: skip
def test_gradients_of_another_shape_are_refused(make):
    layer = make()
    layer.build(0)
    assert layer.forward(np.ones((2, 3, 4, 6), np.float32)).shape == (2, 3, 2, 3)
    for wrong in ((2, 3, 3, 3), (2, 3, 2, 2), (2, 3, 3, 2), (3, 2, 2, 3), (2, 3, 6)):
        with pytest.raises(ValueError, match=r"d must have the shape \(2, 3, 2, 3\) of the outputs; got"):
            layer.backward(np.ones(wrong, np.float32))
    assert layer.backward(np.ones((2, 3, 2, 3), np.float32)).shape == (2, 3, 4, 6)
