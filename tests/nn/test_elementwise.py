"""The trainer's element-wise kernels against float64, on every kernel set."""

from __future__ import annotations

import operator
from functools import reduce

import numpy as np
import pytest
from scipy.special import expit, log_softmax

from rpusim._core.kernels import kernel_sets, use_kernel_set
from rpusim.nn import _elementwise


@pytest.fixture(params=kernel_sets(), autouse=True)
def kernels(request):
    use_kernel_set(request.param)
    yield request.param
    use_kernel_set(None)


def test_sigmoid_to_three_units_in_the_last_place():
    x = np.concatenate([np.linspace(-86, 86, 400_001), np.linspace(-1, 1, 100_001)]).astype(np.float32)
    exact = expit(x.astype(np.float64))
    y = _elementwise.sigmoid(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=3e-7, atol=0)
    d = np.random.default_rng(0).standard_normal(x.size).astype(np.float32)
    slope = (1 - y.astype(np.float64)) * y
    np.testing.assert_allclose(_elementwise.sigmoid_gradient(y, d), slope * d, rtol=3e-7, atol=1e-37)


def test_sigmoid_at_the_ends():
    x = np.array([0, -0.0, -200, 200, -np.inf, np.inf, np.nan], np.float32)
    y = _elementwise.sigmoid(x)
    np.testing.assert_array_equal(y[[0, 1, 3, 5]], [0.5, 0.5, 1, 1])
    assert 0 <= y[2] == y[4] < 2e-38
    assert np.isnan(y[6])


@pytest.mark.parametrize("classes", [1, 2, 3, 7, 8, 9, 10, 31, 87, 1000])
@pytest.mark.parametrize("scale", [0.1, 3, 100])
def test_cross_entropy(classes, scale):
    rng = np.random.default_rng(classes)
    y = (scale * rng.standard_normal((5, classes))).astype(np.float32)
    labels = rng.integers(0, classes, 5)
    loss, gradient = _elementwise.cross_entropy(y, labels)
    logs = log_softmax(y.astype(np.float64), axis=1)
    assert loss == pytest.approx(-logs[np.arange(5), labels].sum(), rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(gradient, np.exp(logs) - np.eye(classes)[labels], atol=2e-7)
    alone = [_elementwise.cross_entropy(y[k : k + 1], labels[k : k + 1]) for k in range(5)]
    np.testing.assert_array_equal(np.concatenate([g for _, g in alone]), gradient)
    assert loss == reduce(operator.add, (value for value, _ in alone))  # `sum` compensates from Python 3.12 on


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_comes_out(wrong):
    y = np.zeros((2, 20), np.float32)
    y[1, 13] = wrong
    loss, gradient = _elementwise.cross_entropy(y, np.array([1, 1]))
    assert np.isnan(loss)
    assert np.isfinite(gradient[0]).all() and np.isnan(gradient[1]).all()


def test_tanh():
    x = np.concatenate([np.linspace(-20, 20, 100_001), np.linspace(-1, 1, 100_001), 2.0 ** -np.arange(1, 60)])
    x = np.append(x, [0.0, -0.0, 1e30, -np.inf, np.nan]).astype(np.float32)
    a = np.zeros((1, 4 * x.size), np.float32)
    a[0, 3 * x.size :] = x
    y = _elementwise.tanh(x)
    np.testing.assert_allclose(y, np.tanh(x.astype(np.float64)), rtol=3e-7, atol=0)
    assert list(np.signbit(y[-5:-3])) == [False, True]
    np.testing.assert_array_equal(_elementwise.lstm(a, np.zeros((1, x.size), np.float32))[2][0, 3 * x.size :], y)
    d = np.random.default_rng(0).standard_normal(x.size).astype(np.float32)
    slope = 1 - y.astype(np.float64) ** 2
    np.testing.assert_allclose(_elementwise.tanh_gradient(y, d), slope * d, rtol=4e-7, atol=0)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("n", [1, 5, 8, 64, 67])
def test_lstm(n, batch):
    rng = np.random.default_rng(n)
    a, before, dh, dc = (rng.standard_normal((batch, m * n)).astype(np.float32) for m in (4, 1, 1, 1))
    a *= 3

    def step(a, before):
        i, f, o = (expit(part) for part in np.split(a, 4, axis=1)[:3])
        g = np.tanh(a[:, 3 * n :])
        c = f * before + i * g
        return o * np.tanh(c), c, np.concatenate([i, f, o, g], axis=1), np.tanh(c)

    exact = step(a.astype(np.float64), before.astype(np.float64))
    h, c, gates, squashed = found = _elementwise.lstm(a.copy(), before)
    for got, wanted in zip(found, exact, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=3e-7)

    # The gradient of sum(dh h + dc c), against complex steps, which are exact.
    delta = np.full_like(a, np.nan)
    back = _elementwise.lstm_gradient(gates, before, squashed, dh, dc, delta)

    def complex_step(z, c0):
        i, f, o = (1 / (1 + np.exp(-part)) for part in np.split(z, 4, axis=1)[:3])
        c = f * c0 + i * np.tanh(z[:, 3 * n :])
        return (dh * o * np.tanh(c) + dc * c).imag / 1e-30

    for gate in range(4):  # each element acts on the cell of its column alone
        nudge = np.zeros(a.shape, complex)
        nudge[:, gate * n : (gate + 1) * n] = 1e-30j
        wanted = complex_step(a + nudge, before.astype(complex))
        np.testing.assert_allclose(delta[:, gate * n : (gate + 1) * n], wanted, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(back, complex_step(a.astype(complex), before + 1e-30j), rtol=1e-5, atol=2e-6)


def test_lstm_checks_its_shapes():
    a, c = np.zeros((2, 12), np.float32), np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"a must have shape \(2, 12\); got \(2, 11\)"):
        _elementwise.lstm(a[:, :11], c)
    with pytest.raises(ValueError, match=r"before must have shape \(any, any\); got \(3,\)"):
        _elementwise.lstm(a, c[0])
    h, c1, gates, squashed = _elementwise.lstm(a, c)
    good = {"gates": gates, "before": c, "squashed": squashed, "dh": c, "dc": c, "delta": np.zeros_like(a)}
    for name, wrong in good.items():
        if name != "before":
            with pytest.raises(ValueError, match=name):
                _elementwise.lstm_gradient(**{**good, name: wrong[:, 1:]})
    with pytest.raises(ValueError, match="delta must be a writeable C-contiguous float32 array"):
        _elementwise.lstm_gradient(**{**good, "delta": np.zeros((2, 12), np.float32, order="F")})


def test_arrays_of_any_order_and_type():
    x = np.random.default_rng(0).standard_normal((6, 9)).astype(np.float32)
    y = _elementwise.sigmoid(x)
    for same in (np.asfortranarray(x), x.astype(np.float64), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(_elementwise.sigmoid(same), y)
        np.testing.assert_array_equal(_elementwise.sigmoid_gradient(y, same), _elementwise.sigmoid_gradient(y, x))
    labels = np.arange(6)
    expected = _elementwise.cross_entropy(x, labels)
    for same in (labels.astype(np.uint8), np.repeat(labels, 2)[::2]):
        loss, gradient = _elementwise.cross_entropy(np.asfortranarray(x), same)
        assert loss == expected[0]
        np.testing.assert_array_equal(gradient, expected[1])
    assert _elementwise.sigmoid(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_nothing_is_read_or_written_outside():
    y = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"outputs must have a row for each of 3 labels; got shape \(2, 3\)"):
        _elementwise.cross_entropy(y, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"outputs must have a row for each of 3 labels; got shape \(3,\)"):
        _elementwise.cross_entropy(y[0], np.array([0, 1, 2]))
    for label in (-1, 3):
        with pytest.raises(ValueError, match=f"labels must be from 0 to 2; got {label} at index 1"):
            _elementwise.cross_entropy(y, np.array([0, label]))
    for gradient in (_elementwise.sigmoid_gradient, _elementwise.tanh_gradient):
        for d in (y[:, :2], y.reshape(3, 2), y.ravel()):
            with pytest.raises(ValueError, match=r"d must have shape \(2, 3\); got"):
                gradient(y, d)
    for wrong in (y + 1j, y.astype(str), [[None]]):
        with pytest.raises(TypeError, match="signals must be real numbers; got dtype"):
            _elementwise.sigmoid(wrong)

    with pytest.raises(TypeError, match="labels must be integers; got dtype float64"):
        _elementwise.cross_entropy(y, np.array([0.0, 1.9]))


def test_what_is_read_only_is_not_written():
    a, c = np.zeros((1, 8), np.float32), np.zeros((1, 2), np.float32)
    a.flags.writeable = False
    gates = _elementwise.lstm(a, c)[2]
    assert not a.any() and gates.any()
    with pytest.raises(ValueError, match="delta must be a writeable"):
        _elementwise.lstm_gradient(gates, c, c, c, c, a)
