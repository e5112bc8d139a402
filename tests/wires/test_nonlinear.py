"""Devices of i = g sinh(alpha v) / alpha: Newton's method against a dense one, closed forms, and Kirchhoff's laws."""

import numpy as np
import pytest
from oracle import wires as oracle
from scipy.optimize import brentq

import rpusim as rpu


@pytest.mark.parametrize("alpha", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (6, 4)])
def test_against_a_dense_newton(shape, alpha):
    rng = np.random.default_rng(shape)
    r, v = rng.uniform(1e3, 1e4, shape), rng.uniform(0.2, 1.0, shape[0])
    solution = rpu.solve_network(v, r, r_word=20.0, r_bit=30.0, nonlinearity=alpha)
    assert solution.method == "newton" and solution.iterations > 0 and solution.residual <= 1e-13
    word, bit = oracle.nonlinear(v, r, 20.0, 30.0, alpha)
    np.testing.assert_allclose(solution.word_voltages, word, rtol=1e-10)
    np.testing.assert_allclose(solution.bit_voltages, bit, rtol=1e-9)
    np.testing.assert_allclose(solution.device_currents, np.sinh(alpha * (word - bit)) / (alpha * r), rtol=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 40.0, 290.0])
def test_one_device_between_two_segments(alpha):
    """V = i (r_word + r_bit) + arsinh(alpha R i) / alpha, far into the regime where the wires limit the current."""
    v, r = 1.0, 1e4
    current = brentq(lambda i: 5.0 * i + np.arcsinh(alpha * r * i) / alpha - v, 0.0, 1.0, xtol=1e-18, rtol=1e-14)
    solution = rpu.solve_network([v], [[r]], r_word=2.0, r_bit=3.0, nonlinearity=alpha)
    assert solution.currents[0] == pytest.approx(current, rel=1e-11)
    assert rpu.solve_network([-v], [[r]], r_word=2.0, r_bit=3.0, nonlinearity=alpha).currents[0] == -solution.currents[0]


def test_weak_nonlinearity_is_the_linear_network():
    rng = np.random.default_rng(1)
    r, v = rng.uniform(1e3, 1e5, (12, 9)), rng.uniform(-1.0, 1.0, (3, 12))
    linear = rpu.solve_network(v, r, r_word=2.0, r_bit=2.0)
    for alpha, rtol in ((1e-3, 1e-6), (1e-6, 1e-11)):  # sinh(x) = x + x^3 / 6
        weak = rpu.solve_network(v, r, r_word=2.0, r_bit=2.0, nonlinearity=alpha)
        np.testing.assert_allclose(weak.device_currents, linear.device_currents, rtol=rtol, atol=1e-17)


@pytest.mark.parametrize("transposed", [False, True])
def test_kirchhoff_in_a_batch_with_all_topologies(transposed):
    rng = np.random.default_rng(2)
    r, alpha = rng.uniform(1e3, 1e5, (20, 30)), 8.0
    r[rng.random(r.shape) < 0.1] = np.inf
    v = rng.uniform(-1.0, 1.0, (5, 30 if transposed else 20))
    v[3] = 0.0
    s = rpu.solve_network(
        v, r, r_word=4.0, r_bit=0.0, r_sense=40.0, r_driver=9.0, drivers="both", nonlinearity=alpha, transposed=transposed
    )
    device = np.sinh(alpha * (s.word_voltages - s.bit_voltages)) / (alpha * r)
    largest = np.abs(device).max()
    np.testing.assert_allclose(s.device_currents, device, rtol=0.0, atol=1e-11 * largest)
    # Ohm's law in the word lines, whose currents are sums of device currents
    drop = -np.diff(s.word_voltages, axis=2)
    np.testing.assert_allclose(s.word_currents[:, :, 1:-1], drop / 4.0, rtol=0.0, atol=1e-9 * largest)
    first = ((0.0 if transposed else v) - s.word_voltages[:, :, 0]) / 13.0
    np.testing.assert_allclose(s.word_currents[:, :, 0], first, rtol=0.0, atol=1e-9 * largest)
    # ideal bit lines: one potential each, from all that their devices bring
    sense = (s.bit_voltages - (v[:, None, :] if transposed else 0.0)) / 40.0
    np.testing.assert_allclose(sense, np.repeat(device.sum(axis=1)[:, None], 20, axis=1), rtol=0.0, atol=1e-9 * largest)
    np.testing.assert_array_equal(s.device_currents[3], 0.0)


def test_each_vector_of_a_batch_is_what_it_is_alone(restore_threads):
    rng = np.random.default_rng(3)
    r, v = rng.uniform(1e3, 1e4, (9, 11)), rng.uniform(-1.0, 1.0, (6, 9)) * np.geomspace(1e-3, 1.0, 6)[:, None]
    together = rpu.solve_network(v, r, r_word=5.0, r_bit=5.0, nonlinearity=10.0)
    rpu.set_num_threads(3)
    for k in range(6):
        alone = rpu.solve_network(v[k], r, r_word=5.0, r_bit=5.0, nonlinearity=10.0)
        np.testing.assert_array_equal(alone.device_currents, together.device_currents[k])


def test_an_inner_solve_that_fails_is_an_error():
    with pytest.raises(rpu.wires.ConvergenceError, match="have not converged in 2 iterations"):
        rpu.solve_network(np.ones(30), np.full((30, 30), 1e3), r_word=50.0, r_bit=50.0, nonlinearity=5.0, max_iterations=2)


def test_newton_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr("rpusim.wires.network.NEWTON_STEPS", 1)
    said = r"has not converged in 1 steps: relative error \d.* of .*, tolerance 1e-13"
    with pytest.raises(rpu.wires.ConvergenceError, match=said):
        rpu.solve_network([1.0, 0.5], np.full((2, 2), 1e3), r_word=50.0, r_bit=50.0, nonlinearity=5.0)
