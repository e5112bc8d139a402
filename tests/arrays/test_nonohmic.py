"""Reads of devices that are not ohmic: i = G sinh(alpha v) / alpha."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu

IDEAL = rpu.Periphery.ideal()
RNG = np.random.default_rng(0)
W = RNG.uniform(-1, 1, (5, 7)).astype(np.float32)
X, D = (RNG.uniform(-1, 1, (4, n)).astype(np.float32) for n in (7, 5))


def array(periphery, backward=None):
    made = rpu.CrossbarArray(W.shape, rpu.devices.Ideal(), forward=periphery, backward=backward or periphery, rng=0)
    made.program(W)
    return made


@pytest.mark.parametrize("volts", [0.1, 0.5, 2.0])
def test_inputs_are_bent_as_the_devices_are(volts):
    bent = array(IDEAL.replace(nonlinearity=3.0, read_voltage=volts))
    g = rpu.ConductanceScale()
    for x, y, w in ((X, bent.forward(X), W), (D, bent.backward(D), W.T)):
        currents = np.zeros((len(x), w.shape[0]))
        for sign, plane in zip((1, -1), g.conductances(w), strict=True):  # device by device
            for v, out in zip(volts * x.astype(np.float64), currents, strict=True):
                out += sign * (plane * np.sinh(3.0 * v) / 3.0).sum(axis=1)
        assert y == pytest.approx(currents / (g.siemens_per_weight * volts), rel=2e-5, abs=1e-6)


def test_small_voltages_are_read_as_ohmic_ones():
    small = array(IDEAL.replace(nonlinearity=3.0, read_voltage=1e-4))
    assert small.forward(X) == pytest.approx(array(IDEAL).forward(X), rel=1e-6, abs=1e-7)
    wires = rpu.Wires(20.0, 30.0)
    wired = array(IDEAL.replace(wires=wires, nonlinearity=3.0, read_voltage=1e-4))
    assert wired.forward(X) == pytest.approx(array(IDEAL.replace(wires=wires)).forward(X), rel=1e-5, abs=1e-6)


def test_with_wires_it_is_the_network_of_both_planes():
    volts, scale = 1.5, rpu.ConductanceScale(g_min=1e-6, g_max=50e-6)
    wired = array(IDEAL.replace(wires=rpu.Wires(20.0, 30.0), nonlinearity=2.0, read_voltage=volts, conductances=scale))
    options = {"r_word": 20.0, "r_bit": 30.0, "nonlinearity": 2.0}
    plus, minus = (rpu.solve_network(volts * X.astype(float), 1.0 / g.T, **options).currents for g in scale.conductances(W))
    assert wired.forward(X) == pytest.approx((plus - minus) / (scale.siemens_per_weight * volts), rel=1e-5, abs=1e-6)


def test_devices_of_a_chip_bend_too():
    volts = 1.0
    for wires in (None, rpu.Wires(5.0, 5.0)):
        periphery = IDEAL.replace(nonlinearity=2.0, read_voltage=volts, wires=wires)
        chip = rpu.inference.Chip(
            periphery=periphery, compensation=None, converter=rpu.inference.DifferentialPair(g_min_s=1e-6)
        )
        on_chip = rpu.inference.ProgrammedArray(W, chip, rng=0)
        g = on_chip.conductances(60.0).astype(np.float64)
        if wires is None:
            lines = [np.array([(one * np.sinh(2.0 * volts * x) / 2.0).sum(axis=1) for x in X.astype(float)]) for one in g]
        else:
            options = {"r_word": 5.0, "r_bit": 5.0, "nonlinearity": 2.0}
            lines = [rpu.solve_network(volts * X.astype(float), 1.0 / one.T, **options).currents for one in g]
        k = 24e-6 / np.abs(W).max(axis=1)
        assert on_chip.forward(X, 60.0) == pytest.approx((lines[0] - lines[1]) / k / volts, rel=3e-5, abs=1e-5)


def test_training_meets_the_same_devices():
    """A network learns through them, and its states go on."""
    rule = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.002), forward=rpu.Periphery(nonlinearity=2.0, read_voltage=0.8))
    net = rpu.nn.Sequential(rpu.nn.Linear(3, 2, rule))
    x = RNG.standard_normal((200, 3))
    history = rpu.nn.Trainer(net, lr=0.05, rng=0).fit((x, (x[:, 0] > x[:, 1]).astype(int)), epochs=8, progress=False)
    assert history.train_loss[-1] < 0.6 * np.log(2)


def test_a_voltage_is_needed_and_bounded():
    with pytest.raises(ValueError, match="read_voltage must be given"):
        rpu.Periphery(nonlinearity=1.0)
    with pytest.raises(ValueError, match="read_voltage must be None without nonlinearity"):
        rpu.Periphery(read_voltage=1.0)
    steep = array(IDEAL.replace(nonlinearity=1e4, read_voltage=1.0))
    with pytest.raises(ValueError, match="must be at most"):
        steep.forward(X)
