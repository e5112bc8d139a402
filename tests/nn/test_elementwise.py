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
    gates = steps_of_cells(np.zeros((1, 1, x.size), np.float32), 0, np.zeros((1, x.size), np.float32), read=lambda t: a)[2]
    np.testing.assert_array_equal(gates[0, 0, 3 * x.size :], y)
    d = np.random.default_rng(0).standard_normal(x.size).astype(np.float32)
    slope = 1 - y.astype(np.float64) ** 2
    np.testing.assert_allclose(_elementwise.tanh_gradient(y, d), slope * d, rtol=4e-7, atol=0)


def steps_of_cells(vectors, n, start, forward=None, read=None, kept=True):
    """All that `lstm_forward` fills: h, c, gates, tanh(c), and the step that c ends at."""
    time, batch, h = len(vectors), *start.shape
    steps = time if kept else 1
    c, gates, squashed = (
        np.full((k, batch, m), 9.0, np.float32) for k, m in ((max(2, steps + 1), h), (steps, 4 * h), (steps, h))
    )
    c[0] = 0.3 * start
    out = np.empty((batch, time, h), np.float32)
    last = _elementwise.lstm_forward(vectors, n, start, c, gates, squashed, out, forward, read)
    return out, c, gates, squashed, last


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("h", [1, 5, 8, 67])
def test_lstm(h, batch, plain):
    """Three steps and their gradient, against the equations in float64 and complex steps, which are exact."""
    rng, n, time = np.random.default_rng(h), 2, 3
    x, start = rng.standard_normal((batch, time, n)).astype(np.float32), rng.standard_normal((batch, h)).astype(np.float32)
    w, d = rng.standard_normal((4 * h, n + h + 1)).astype(np.float32), rng.standard_normal((batch, time, h)).astype(np.float32)

    def exact(x, nudge=0.0):
        """h, c, gates and tanh(c) of all steps; a of step `nudge[0]` is moved by `nudge[1]`."""
        before, c, found = start.astype(complex), 0.3 * start.astype(complex), []
        for t in range(time):
            a = np.concatenate([x[:, t], before, np.ones((batch, 1))], axis=1) @ w.T.astype(float)
            a = a + nudge[1] if nudge and nudge[0] == t else a
            i, f, o = (1.0 / (1.0 + np.exp(-part)) for part in np.split(a, 4, axis=1)[:3])
            c = f * c + i * np.tanh(a[:, 3 * h :])
            before = o * np.tanh(c)
            found.append((before, c, np.concatenate([i, f, o, np.tanh(a[:, 3 * h :])], axis=1), np.tanh(c)))
        return [np.stack(all_steps) for all_steps in zip(*found, strict=True)]

    def forward(v, out):
        out[...] = v @ w.T

    vectors = np.ones((time, batch, n + h + 1), np.float32)
    vectors[:, :, :n] = x.transpose(1, 0, 2)
    ways = dict(forward=forward) if plain else dict(read=lambda t: vectors[t] @ w.T)
    out, c, gates, squashed, last = steps_of_cells(vectors, n, start, **ways)
    wanted = exact(x.astype(complex))
    for got, right in zip((out.transpose(1, 0, 2), c[1:], gates, squashed), wanted, strict=True):
        np.testing.assert_allclose(got, right.real, rtol=2e-5, atol=2e-6)
    assert last == time
    np.testing.assert_array_equal(vectors[1:, :, n : n + h], out[:, :-1].transpose(1, 0, 2))
    short, end, _, _, last = steps_of_cells(vectors, n, start, **ways, kept=False)
    np.testing.assert_array_equal(short, out)
    np.testing.assert_array_equal(end[last], c[-1])

    deltas, z = np.full((time, batch, 4 * h), np.nan, np.float32), np.full((batch, time, n), np.nan, np.float32)
    back = lambda t, delta: delta @ w[:, :-1]  # noqa: E731
    _elementwise.lstm_backward(d, n, c, gates, squashed, deltas, z, (lambda delta: back(0, delta)) if plain else None, back)
    for t in range(time):
        for k in range(n):
            nudged = x.astype(complex)
            nudged[:, t, k] += 1e-30j
            right = (d.transpose(1, 0, 2) * exact(nudged)[0]).sum(axis=(0, 2)).imag / 1e-30
            np.testing.assert_allclose(z[:, t, k], right, rtol=1e-4, atol=1e-5)
        for k in rng.integers(0, 4 * h, 5):
            nudge = np.zeros((batch, 4 * h), complex)
            nudge[:, k] = 1e-30j
            right = (d.transpose(1, 0, 2) * exact(x.astype(complex), (t, nudge))[0]).sum(axis=(0, 2)).imag / 1e-30
            np.testing.assert_allclose(deltas[t, :, k], right, rtol=1e-4, atol=1e-5)


def test_lstm_checks_its_shapes():
    vectors, start = np.ones((2, 3, 6), np.float32), np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"vectors must be .* of at least \(2, 3, 7\)"):
        steps_of_cells(vectors, 3, start, read=lambda t: np.zeros((3, 16), np.float32))
    with pytest.raises(ValueError, match=r"start must be a float32 array of shape \(3, 4\)"):
        _elementwise.lstm_forward(
            vectors, 2, start[:, :3].copy(), *(np.zeros((3, 3, m), np.float32) for m in (4, 16, 4)),
            np.zeros((3, 2, 4), np.float32), None, lambda t: np.zeros((3, 16), np.float32),
        )  # fmt: skip
    out, c, gates, squashed, _ = steps_of_cells(vectors, 2, start, read=lambda t: np.zeros((3, 16), np.float32))
    deltas, short = np.zeros((2, 3, 16), np.float32), np.zeros((3, 5), np.float32)
    with pytest.raises(ValueError, match=r"gradients of vectors must have shape \(3, 6\); got \(3, 5\)"):
        _elementwise.lstm_backward(out, 2, c, gates, squashed, deltas, None, None, lambda t, delta: short)
    with pytest.raises(ValueError, match="deltas must be"):
        _elementwise.lstm_backward(out, 2, c, gates, squashed, deltas[:, :, 1:], None, None, lambda t, delta: short)


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
    gates = steps_of_cells(np.zeros((1, 1, 2), np.float32), 0, c, read=lambda t: a)[2]
    assert not a.any() and gates.any()
    deltas = a[None]
    with pytest.raises(ValueError, match="deltas must be a writeable"):
        _elementwise.lstm_backward(c[None], 0, np.stack([c, c]), gates, c[None], deltas, None, None, lambda t, delta: c)
