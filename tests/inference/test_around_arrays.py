"""What is digital around the arrays of a chip: fixed-point processing, and averages of batch normalisation."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu

inf, nn = rpu.inference, rpu.nn
DIGITAL = rpu.algorithms.DigitalSGD()
PERIPHERY = rpu.Periphery(
    dac=rpu.DAC(bits=8), adc=rpu.ADC(bits=8, bound=6.0, noise=0.0), noise_management="none", bound_management="none"
)


@pytest.mark.parametrize("bits", [(1, 7), (3, 2), (0, 4)])
def test_formats_round_halves_up_and_saturate(bits):
    whole, fraction = bits
    formats = inf.FixedPoint(scale=bits, offset=(whole + 1, fraction))
    for value in (-20.0, -1.3, -0.0625, 0.0, 0.03125, 0.3, 0.5, 1.9999, 3.0, 50.0):
        step = 2.0**-fraction
        nearest = math.floor(value / step + 0.5) * step
        assert formats.scales(value) == min(max(nearest, 0.0), 2.0**whole - step)
        assert formats.offsets(value) == min(max(nearest, -(2.0**whole)), 2.0**whole - step)


def test_a_network_in_fixed_point_is_that_of_integers():
    """Codes of ADCs times scales plus offsets, in steps of the next DAC, by hand."""
    post = inf.FixedPoint((2, 4), (7, 1))
    chip = inf.Chip(inf.NoNoise(), periphery=PERIPHERY, compensation=None, read_noise="none", input_range="static", post=post)
    net = nn.Sequential(nn.Linear(20, 16, DIGITAL), nn.ReLU(), nn.Linear(16, 4, DIGITAL))
    net.build(rng=0)
    x = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    on_chip = inf.program(net, chip, calibration=x, quantile=1.0)
    r = [m.input_range for m in on_chip.net.matrices()]
    (w, b), (v, c) = (m.logical() for m in net.matrices())

    def codes(x, r, w):
        """Integers of the ADCs, and the largest weights of the rows."""
        largest = np.abs(w).max(axis=1)
        signals = np.rint(np.clip(x / r, -1, 1) * 127) / 127
        return np.clip(np.rint(signals @ (w / largest[:, None]).T / (6.0 / 127)), -127, 127), largest

    first, largest = codes(x.astype(np.float64), r[0], w.astype(np.float64))
    step = r[1] / 127
    scale = np.clip(np.floor(largest * r[0] * 6.0 / 127 / step * 16 + 0.5) / 16, 0, 4 - 1 / 16)
    offset = np.clip(np.floor(b.astype(np.float64) / step * 2 + 0.5) / 2, -64, 63.5)
    hidden = np.maximum(first * scale + offset, 0) * step
    second, largest = codes(hidden, r[1], v.astype(np.float64))
    y = second * largest * r[1] * 6.0 / 127 + c
    found = on_chip.predict(x)
    assert np.mean(np.abs(found - y) < 1e-5) > 0.97  # but where float32 rounds a code the other way
    assert np.abs(found - y).max() < 0.1
    coarse = inf.program(net, chip.replace(post=inf.FixedPoint((2, 0), (7, 1))), calibration=x, quantile=1.0)
    assert np.abs(coarse.predict(x) - y).mean() > 5 * np.abs(found - y).mean()  # the format counts


def test_fixed_point_needs_steps_and_a_row_of_layers():
    with pytest.raises(ValueError, match="post needs input_range='static'"):
        inf.Chip(post=inf.FixedPoint())
    chip = inf.Chip(periphery=PERIPHERY, input_range="static", post=inf.FixedPoint())
    net = nn.Sequential(nn.Residual(nn.Linear(4, 4, DIGITAL)), nn.Linear(4, 2, DIGITAL))
    net.build(0)
    with pytest.raises(ValueError, match="row of layers"):
        inf.program(net, chip, calibration=np.ones((3, 4)))
    for wrong in ((1,), (0, 0), (-1, 2), "ab"):
        with pytest.raises((TypeError, ValueError), match="FixedPoint: scale"):
            inf.FixedPoint(scale=wrong)


def test_averages_of_normalisation_are_those_of_the_data_after_drift():
    net = nn.Sequential(nn.Linear(10, 30, DIGITAL, bias=False), nn.BatchNorm(30), nn.ReLU(), nn.Linear(30, 5, DIGITAL))
    net.build(rng=0)
    x = np.random.default_rng(0).standard_normal((600, 10)).astype(np.float32)
    for _ in range(60):
        net.forward(x)
    exact = net.predict(x)
    equal = inf.CustomNoise(drift_mean=(0.2,))  # everything shrinks
    chip = inf.Chip(equal, periphery=rpu.Periphery.ideal(), compensation=None, read_noise="none")
    on_chip = inf.program(net, chip, digital=[-1])
    off = np.abs(on_chip.predict(x, 1e6) - exact).mean()
    assert off > 0.05
    norm = on_chip.net.layers[1]
    weights = [m.weights for m in on_chip.net.matrices()]
    assert inf.recalibrate_batch_norm(on_chip, x, batch_size=250) == 1
    hidden = on_chip.net.layers[0].forward(x, False)
    assert norm.mean == pytest.approx(hidden.mean(axis=0), abs=1e-5)
    assert norm.variance == pytest.approx(hidden.var(axis=0), rel=1e-4)
    assert np.abs(on_chip.predict(x, 1e6) - exact).mean() < 0.02
    assert all((m.weights == w).all() for m, w in zip(on_chip.net.matrices(), weights, strict=True))
    with pytest.raises(ValueError, match="batch normalisations"):
        inf.recalibrate_batch_norm(nn.Sequential(nn.Linear(2, 2, DIGITAL)), x)
