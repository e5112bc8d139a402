"""Optimizers of digital parameters are their equations."""

from __future__ import annotations

import numpy as np
import pytest

from rpusim import nn
from rpusim.algorithms import DigitalSGD

RULE = DigitalSGD()
RNG = np.random.default_rng(11)


# ---- convolutions -----------------------------------------------------------------------------------------------------


def test_adam_after_another_optimizer_begins_with_its_own_first_step():
    fresh, used = nn.Parameter(np.zeros(3)), nn.Parameter(np.zeros(3))
    for _ in range(40):
        used.gradient[...] = 1e-9
        used.step(1.0)
    before = used.value.copy()
    for p in (fresh, used):
        p.optimizer = nn.Adam()
        p.gradient[...] = [1.0, -2.0, 0.5]
        p.step(0.01)
    np.testing.assert_allclose(used.value - before, fresh.value, rtol=1e-5)
    np.testing.assert_allclose(fresh.value, [-0.01, 0.01, -0.01], rtol=1e-5)


# ---- what is digital --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [None, nn.Momentum(0.8, lr_scale=0.5), nn.Adam(beta1=0.7, beta2=0.9, epsilon=1e-3, lr_scale=2.0)]
)
def test_optimizers_are_their_equations(optimizer):
    p = nn.Parameter([1.0, -2.0])
    p.optimizer = optimizer
    value, u, m, v = np.array([1.0, -2.0]), 0.0, 0.0, 0.0
    for t in range(1, 6):
        g = RNG.normal(size=2)
        p.gradient[...] = g
        p.step(0.1)
        if optimizer is None:
            value = value - 0.1 * g
        elif isinstance(optimizer, nn.Momentum):
            u = 0.8 * u + g
            value = value - 0.1 * 0.5 * u
        else:
            m, v = 0.7 * m + 0.3 * g, 0.9 * v + 0.1 * g**2
            value = value - 0.1 * 2.0 * (m / (1 - 0.7**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        np.testing.assert_allclose(p.value, value, rtol=2e-6)
        assert not p.gradient.any()
        if t == 3:  # nothing is lost on the way through a file
            saved, p = p.state_dict(), nn.Parameter([0.0, 0.0])
            p.load_state_dict(saved)
            p.optimizer = optimizer


def test_optimizers_are_for_digital_parameters_only():
    with pytest.raises(ValueError, match="optimizer.*without digital parameters.*Momentum"):
        nn.Sequential(nn.Linear(2, 2, RULE)).set_optimizer(nn.Momentum(0.9))
    with pytest.raises(TypeError, match="optimizer.*Optimizer.*'adam'"):
        nn.Sequential(nn.BatchNorm(2)).set_optimizer("adam")
