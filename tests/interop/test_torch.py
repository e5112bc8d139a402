"""Layers of PyTorch on arrays: the same numbers as torch's own and as ours, state, training, conversion."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import rpusim as rpu

torch = pytest.importorskip("torch")
from rpusim.interop.torch import AnalogConv2d, AnalogLinear, AnalogSGD, convert, sequential  # noqa: E402

torch.set_num_threads(1)

DIGITAL = rpu.algorithms.DigitalSGD()
DEVICE = rpu.devices.ConstantStep(dw_min=0.001, w_max=1.0, w_min=-1.0, w_max_dtod=0.1, w_min_dtod=0.1)
PULSED = rpu.algorithms.SGD(DEVICE)
DRAW = np.random.default_rng(0)
IMAGES = torch.from_numpy(DRAW.normal(size=(6, 1, 8, 8)).astype(np.float32))
LABELS = torch.from_numpy(DRAW.integers(0, 3, 6))


def small():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2, padding=1, dilation=1), torch.nn.Tanh(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(16, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3),
    )  # fmt: skip


def steps(net, optimizer, n=5):
    losses = []
    for _ in range(n):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(IMAGES), LABELS)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("mapping", [None, rpu.nn.Mapping(), rpu.nn.Mapping(max_inputs=4, digital_bias=True)])
def test_without_errors_it_is_what_torch_does(mapping):
    net = small()
    analog = convert(net, DIGITAL, mapping=mapping)
    assert [type(m).__name__ for m in analog][::4] == ["AnalogConv2d", "AnalogLinear"]
    wanted = steps(net, torch.optim.SGD(net.parameters(), lr=0.3))
    found = steps(analog, AnalogSGD(analog.parameters(), lr=0.3, modules=analog))
    assert found == pytest.approx(wanted, rel=1e-4) and found[-1] < 0.97 * found[0]
    assert torch.allclose(analog[4].weights()[0], net[4].weight, atol=1e-5)


def test_gradients_of_inputs_are_those_of_torch():
    layer = torch.nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    analog = AnalogConv2d(2, 3, (3, 2), DIGITAL, (2, 1), (1, 0), (1, 2), rng=0)
    analog.set_weights(layer.weight, layer.bias)
    x = torch.randn(2, 2, 7, 6)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, z = layer(a), analog(b)
    assert torch.allclose(y, z, atol=1e-5)
    y.square().sum().backward(), z.square().sum().backward()
    assert torch.allclose(a.grad, b.grad, atol=1e-4)


def test_a_step_is_the_bits_of_our_own_layer():
    layer = AnalogLinear(4, 3, PULSED, rng=5)
    own = rpu.nn.Linear(4, 3, PULSED)
    own.build(rng=5)
    x, d = DRAW.normal(size=(7, 4)).astype(np.float32), DRAW.normal(size=(7, 3)).astype(np.float32)
    optimizer = AnalogSGD(layer.parameters(), lr=0.1, modules=layer)
    y = layer(torch.from_numpy(x))
    y.backward(torch.from_numpy(d))
    optimizer.step()
    assert np.array_equal(y.detach().numpy(), own.forward(x))
    own.backward(d, False)
    own.update(0.1)
    assert np.array_equal(layer.matrix.weights, own.matrix.weights) and sum(layer.matrix.tile.pulse_count) > 0
    before = layer.matrix.weights
    optimizer.step()  # nothing new was seen
    layer.eval()
    layer(torch.from_numpy(x)).sum().backward()
    optimizer.step()  # nor is by what is not training
    assert np.array_equal(layer.matrix.weights, before)


def test_a_schedule_and_groups_set_the_rates():
    net = torch.nn.Sequential(AnalogLinear(4, 3, DIGITAL, rng=0), AnalogLinear(3, 2, DIGITAL, rng=1))
    groups = [{"params": net[0].parameters(), "lr": 0.0}, {"params": net[1].parameters()}]
    optimizer = AnalogSGD(groups, lr=0.5, modules=net)
    schedule = torch.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.0)
    before = [m.matrix.weights for m in net]
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert np.array_equal(net[0].matrix.weights, before[0]) and not np.array_equal(net[1].matrix.weights, before[1])
    schedule.step()
    before = net[1].matrix.weights
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert np.array_equal(net[1].matrix.weights, before)


def test_state_dicts_hold_the_arrays(tmp_path):
    one, other = (convert(small(), PULSED, rng=seed) for seed in (0, 1))
    steps(one, AnalogSGD(one.parameters(), lr=0.1, modules=one), 2)
    torch.save(one.state_dict(), tmp_path / "net.pt")
    other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=False))
    both = [steps(net, AnalogSGD(net.parameters(), lr=0.1, modules=net), 2) for net in (one, other)]
    assert both[0] == both[1]
    assert steps(copy.deepcopy(one), AnalogSGD(one.parameters(), lr=0.1, modules=one), 1)[0] == pytest.approx(
        both[0][-1], rel=0.5
    )


def test_a_pulsed_network_learns_and_goes_onto_chips():
    x = torch.from_numpy(DRAW.normal(size=(256, 10)).astype(np.float32))
    labels = (x[:, :3].sum(1) > 0).long() + (x[:, 3:6].sum(1) > 0).long()
    torch.manual_seed(0)
    net = convert(torch.nn.Sequential(torch.nn.Linear(10, 24), torch.nn.Tanh(), torch.nn.Linear(24, 3)), PULSED)
    optimizer = AnalogSGD(net.parameters(), lr=0.5, modules=net)
    for _ in range(30):
        for k in range(0, 256, 16):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x[k : k + 16]), labels[k : k + 16]).backward()
            optimizer.step()
    error = float((net(x).argmax(1) != labels).float().mean())
    assert error < 0.12
    plain = sequential(net, DIGITAL)
    result = rpu.inference.evaluate(plain, (x, labels), [1.0], programmings=2, progress=False)
    assert result.values.min() > 0.8 and abs(result.reference - (1 - error)) < 0.1


def test_networks_of_torch_are_networks_of_ours():
    net = small()
    ours = sequential(torch.nn.Sequential(*net[:5], torch.nn.Dropout(), *net[5:]), DIGITAL)
    assert np.allclose(ours.predict(IMAGES.numpy()), net(IMAGES).detach().numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="module must have layers that rpusim.nn has; got LSTM.* at '0'"):
        sequential(torch.nn.Sequential(torch.nn.LSTM(2, 3)), DIGITAL)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: AnalogLinear(4, 3, DIGITAL)(torch.ones(2, 5)), r"x must have shape \(..., 4\); got \(2, 5\)"),
    (lambda: AnalogConv2d(2, 3, 3, DIGITAL)(torch.ones(2, 3, 4, 4)), r"x must have shape \(batch, 2, height, width\)"),
    (lambda: AnalogLinear(4, 3, "sgd"), "rule must be an algorithm"),
    (lambda: convert(torch.nn.Sequential(torch.nn.ReLU()), DIGITAL), "module must have a Linear or a Conv2d"),
    (lambda: convert(torch.nn.Conv2d(2, 2, 3, groups=2), DIGITAL), "module must have convolutions without groups"),
    (lambda: AnalogSGD(small().parameters(), lr=0.1, modules=small()), "modules must have at least one analog layer"),
    (lambda: (lambda m: AnalogSGD(m.parameters(), lr=0.1, modules=m, momentum=0.9))(AnalogLinear(4, 3, PULSED)),
     "momentum must not be given where all weights are in devices"),
    (lambda: (lambda m: AnalogSGD(m.parameters(), lr=-0.1, modules=m))(AnalogLinear(4, 3, PULSED)), "lr must be"),
])  # fmt: skip
def test_what_cannot_be_is_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
