"""rpusim.applications: networks whose physics is not their model, and the ways to train them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim.applications import PhysicalNetwork, Physics
from rpusim.applications.physical import METHODS

X = np.random.default_rng(0).normal(size=(12, 5))
Y = np.random.default_rng(1).integers(0, 3, 12)
REAL = Physics(0.3, 0.0)


def network(method, physics=None, **options):
    return PhysicalNetwork((5, 7, 3), physics, method=method, rng=3, **options)


def loss_of(net, x, y, physics):
    """Cross-entropy of the network, written out."""
    signal = x
    for k, layer in enumerate(net.layers):
        w = layer.weights * (layer.mismatch if physics else 1.0)
        z = signal @ w[:, :-1].T + w[:, -1]
        if physics:
            z = layer.gain * z + layer.offset
        signal = np.tanh(z) if k + 1 < len(net.layers) else z
    p = np.exp(signal) / np.exp(signal).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean()


def differences(net, x, y, physics, step=1e-5):
    """The gradients of the loss, weight by weight."""
    out = []
    for layer in net.layers:
        g = np.zeros(layer.weights.shape)
        for place in np.ndindex(g.shape):
            kept, values = layer.weights[place], []
            for sign in (1, -1):
                layer.weights[place] = kept + sign * step
                values.append(loss_of(net, x, y, physics))
            layer.weights[place] = kept
            g[place] = (values[0] - values[1]) / (2 * step)
        out.append(g)
    return out


def test_backpropagation_has_the_gradients_of_the_model():
    net = network("backprop", REAL)
    found = net.gradients(X, Y)
    assert found.loss == pytest.approx(loss_of(net, X, Y, False))
    for own, wanted in zip(found.weights, differences(net, X, Y, False), strict=True):
        np.testing.assert_allclose(own, wanted, atol=1e-7)


def test_without_mismatch_physics_aware_training_has_those_of_backpropagation():
    for own, wanted in zip(network("pat").gradients(X, Y).weights, network("backprop").gradients(X, Y).weights, strict=True):
        np.testing.assert_allclose(own, wanted, atol=1e-6)
    other = zip(network("pat", REAL).gradients(X, Y).weights, network("backprop", REAL).gradients(X, Y).weights, strict=True)
    assert all(np.abs(own - wanted).max() > 0.01 for own, wanted in other)


def test_physics_is_what_it_says():
    net = PhysicalNetwork((400, 500, 10), Physics(0.1, 0.3), rng=0)
    layer = net.layers[0]
    for own, mean, std in ((layer.mismatch, 1.0, 0.1), (layer.gain, 1.0, 0.1), (layer.offset, 0.0, 0.05)):
        assert abs(own.mean() - mean) < 5 * std / math.sqrt(own.size)
        assert abs(own.std() / std - 1.0) < 5 / math.sqrt(2 * own.size)
    x = np.random.default_rng(0).normal(size=(200, 400))
    both = np.column_stack([x, np.ones(200)])
    exact = layer.gain * (both @ (layer.weights * layer.mismatch).T) + layer.offset
    off = layer.read(x) - exact
    assert abs(off.std() / 0.3 - 1.0) < 5 / math.sqrt(2 * off.size) and abs((layer.read(x) - layer.read(x)).std()) > 0.3
    np.testing.assert_allclose(network("pat", REAL).outputs(X).shape, (12, 3))


def test_feedback_alignment_is_right_at_the_last_layer_and_takes_fixed_matrices_before():
    net, exact = network("dfa"), network("backprop")
    found, wanted = net.gradients(X, Y), exact.gradients(X, Y)
    np.testing.assert_allclose(found.weights[1], wanted.weights[1], atol=1e-6)
    signals = net._signals(X, model=True)
    p = np.exp(signals[2]) / np.exp(signals[2]).sum(axis=1, keepdims=True)
    error = (p - np.eye(3)[Y]) @ net._feedback[0] * (1 - signals[1] ** 2)
    np.testing.assert_allclose(found.weights[0], error.T @ np.column_stack([X, np.ones(12)]) / 12, atol=1e-6)


@pytest.mark.parametrize(("method", "draws"), [("spsa", 3000), ("node", 1500)])
def test_perturbations_give_the_gradient_of_the_physics_in_the_mean(method, draws):
    """Along the gradient, which a wrong factor of 1.2 would miss by 5 standard errors, and within 5 errors at each weight."""
    net = network(method, REAL)
    wanted = differences(net, X, Y, True)
    if method == "node":  # inputs to nodes are moved behind weights and gains
        wanted = [g / (one.mismatch * one.gain[:, None]) for g, one in zip(wanted, net.layers, strict=True)]
    found = [net.gradients(X, Y, size=1e-3).weights for _ in range(draws)]
    along = []
    for k, g in enumerate(wanted):
        own = np.array([one[k] for one in found])
        error = own.std(axis=0) / math.sqrt(draws)
        assert (np.abs(own.mean(axis=0) - g) < 5 * error + 1e-4).all()
        along.append((own * g).sum(axis=(1, 2)))
    share = np.sum(along, axis=0) / sum((g**2).sum() for g in wanted)
    assert abs(share.mean() - 1.0) < 4 * share.std() / math.sqrt(draws) < 0.2


def equilibrium():
    net = network("equilibrium", REAL)
    for layer, size in zip(net.layers, (0.02, 0.1), strict=True):
        w = size * np.random.default_rng(2).normal(size=layer.weights.shape)
        w[:, -1] = 0.5
        layer.tile.program(w.astype(np.float32))
        layer.renew()
        layer.gain[:] = 1.0  # of a physics that has an energy
    return net


def test_equilibria_solve_their_equations():
    """Within its bounds the network is linear: s = W s + b, for all of its states."""
    net = equilibrium()
    h, o = net._settled(X, None, 200)
    first, second = (layer.weights * layer.mismatch for layer in net.layers)
    zero = np.zeros((7, 7)), np.zeros((3, 3))
    coupling = np.block([[zero[0], second[:, :-1].T], [second[:, :-1], zero[1]]])
    drive = np.column_stack([X @ first[:, :-1].T + first[:, -1] + net.layers[0].offset,
                             np.tile(second[:, -1] + net.layers[1].offset, (12, 1))])  # fmt: skip
    wanted = np.linalg.solve(np.eye(10) - coupling, drive.T).T
    assert 0.01 < wanted.min() and wanted.max() < 0.99
    np.testing.assert_allclose(np.column_stack([h, o]), wanted, atol=1e-6)


def test_equilibrium_propagation_has_the_gradient_of_the_error_at_the_equilibrium(monkeypatch):
    """For a small nudge and states that settle; conductances are what is changed, so the gradient is that over the mismatch."""
    net = equilibrium()
    settle = PhysicalNetwork._settled
    monkeypatch.setattr(
        PhysicalNetwork, "_settled", lambda self, x, start, steps, nudge=None: settle(self, x, start, 300, nudge)
    )
    target = np.eye(3)[Y]
    found = net.gradients(X, Y, size=1e-2)
    for k, layer in enumerate(net.layers):
        for place in ((0, 0), (2, 3), (1, -1)):
            kept, values = layer.weights[place], []
            for sign in (1, -1):
                w = layer.weights.copy()
                w[place] = kept + sign * 1e-2
                layer.tile.program(w.astype(np.float32))
                layer.renew()
                values.append(0.5 * np.square(net._settled(X, None, 300)[1] - target).sum(axis=1).mean())
                w[place] = kept
                layer.tile.program(w.astype(np.float32))
                layer.renew()
            slope = (values[0] - values[1]) / 2e-2 / layer.mismatch[place]
            assert found.weights[k][place] == pytest.approx(slope, abs=2e-4, rel=0.02), (k, place)


def test_forward_forward_has_the_gradient_of_each_layers_own_loss():
    net = PhysicalNetwork((5, 7, 6), method="forward_forward", classes=3, rng=3)
    draw = np.random.Generator(np.random.Philox(0))
    net._draw = draw
    state = draw.bit_generator.state
    found = net.gradients(X, Y)
    draw.bit_generator.state = state
    wrong = (Y + draw.integers(1, 3, 12)) % 3
    signal = np.concatenate([np.column_stack([X, np.eye(3)[labels]]) for labels in (Y, wrong)])
    for k, layer in enumerate(net.layers):
        signal = signal / np.sqrt((signal**2).mean(axis=1, keepdims=True))

        def loss(w, signal=signal):
            h = np.maximum(signal @ w[:, :-1].T + w[:, -1], 0.0)
            margin = ((h**2).mean(axis=1) - 2.0) * np.repeat([1, -1], 12)
            return np.log1p(np.exp(-margin)).sum() / 12

        step, g = 1e-5, np.zeros(layer.weights.shape)
        for place in np.ndindex(g.shape):
            up, down = layer.weights.copy(), layer.weights.copy()
            up[place] += step
            down[place] -= step
            g[place] = (loss(up) - loss(down)) / (2 * step)
        np.testing.assert_allclose(found.weights[k], g, atol=1e-5)
        signal = np.maximum(signal @ layer.weights[:, :-1].T + layer.weights[:, -1], 0.0)


def task(n=500):
    x = np.random.default_rng(0).normal(size=(n, 8))
    return x, (x[:, 0] > 0) + 2 * (x[:, 1] > 0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns(method):
    sizes = (8, 30, 30) if method == "forward_forward" else (8, 16, 4)
    net = PhysicalNetwork(sizes, Physics(0.1, 0.02), method=method, classes=4, rng=0)
    epochs, lr = {"spsa": (60, 5e-3), "node": (30, 0.1), "forward_forward": (30, 0.005), "equilibrium": (20, None)}.get(
        method, (10, None)
    )
    losses = net.train(task(), epochs=epochs, lr=lr, progress=False)
    assert losses[-1] < losses[0] and len(losses) == epochs == net.epochs
    assert net.accuracy(task()) > 0.75


def test_mismatch_breaks_what_was_trained_on_the_model_and_not_what_was_trained_on_it():
    found = {}
    for method in ("backprop", "pat"):
        net = PhysicalNetwork((8, 16, 4), Physics(0.6), method=method, rng=0)
        net.train(task(), epochs=10, progress=False)
        found[method] = net.accuracy(task())
    assert found["pat"] > found["backprop"] + 0.05 and found["pat"] > 0.9


def test_devices_that_move_one_way_learn_forward_forward():
    device = rpu.devices.SoftBounds(dw_min=0.005, w_min=0.0, w_max=2.0, w_min_dtod=0.0, w_max_dtod=0.0)
    rule = rpu.algorithms.SGD(rpu.devices.OneSidedCell(device), forward=rpu.Periphery.ideal())
    net = PhysicalNetwork((8, 30, 30), rule=rule, method="forward_forward", classes=4, rng=0)
    before = net.accuracy(task())
    net.train(task(), epochs=12, lr=1.0, progress=False)
    assert net.accuracy(task()) > max(0.5, before + 0.2)
    assert all((array.weights >= 0).all() for layer in net.layers for array in layer.tile.array.arrays)


def test_training_goes_on_where_it_ended():
    nets = [PhysicalNetwork((8, 6, 4), Physics(0.2, 0.1), rng=0) for _ in range(2)]
    whole = nets[0].train(task(100), epochs=4, progress=False)
    parts = nets[1].train(task(100), epochs=1, progress=False) + nets[1].train(task(100), epochs=3, progress=False)
    assert whole == parts
    np.testing.assert_array_equal(nets[0].layers[1].weights, nets[1].layers[1].weights)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PhysicalNetwork((4,)), "sizes must be of inputs and outputs"),
        (lambda: PhysicalNetwork((4, 2), method="hebb"), "method must be one of"),
        (lambda: PhysicalNetwork((4, 2), 0.3), "physics must be a Physics or None"),
        (lambda: PhysicalNetwork((4, 2), method="equilibrium"), "sizes must have one hidden layer"),
        (lambda: PhysicalNetwork((4, 2), rule=rpu.algorithms.SGD(), method="spsa"), "rule must be None or DigitalSGD"),
        (lambda: Physics(-0.1), "mismatch must be"),
        (lambda: network("pat").gradients(X, Y + 1), "labels must be integers from 0 to 2"),
        (lambda: network("pat").gradients(X, Y, size=0.1), "size must be None"),
        (lambda: network("pat").train((X, Y), lr=0.0), "lr must be"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
