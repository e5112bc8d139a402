"""rpusim.applications: random features, their kernels, the ridge, and attention by them."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

import rpusim as rpu
from rpusim.applications import (
    KernelAttention,
    RandomFeatures,
    Ridge,
    StoredMatrix,
    kernel_error,
    kernel_matrix,
    random_directions,
)

DIGITAL = rpu.algorithms.DigitalSGD()


def slow_kernel(kernel, x, y, gamma):
    """Of one pair of vectors, by its definition as a mean over normal vectors, integrated where there are two dimensions."""
    if kernel == "rbf":
        return math.exp(-gamma * sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))
    if kernel == "softmax":
        return math.exp(sum(a * b for a, b in zip(x, y, strict=True)))
    angles = np.linspace(0.0, 2 * np.pi, 200_001)[:-1]
    u, v = (w[0] * np.cos(angles) + w[1] * np.sin(angles) for w in (x, y))
    if kernel == "arccos0":
        return 2.0 * float(np.mean((u > 0) & (v > 0)))
    return 2.0 * 2.0 * float(np.mean(np.maximum(u, 0) * np.maximum(v, 0)))  # E[r^2] = 2


@pytest.mark.parametrize("kernel", ["rbf", "arccos0", "arccos1", "softmax"])
def test_kernels_are_their_definitions(kernel):
    x, y = [[0.3, -1.2], [0.5, 0.4]], [[1.0, 0.7], [-0.2, 0.9], [0.3, -1.2]]
    wanted = [[slow_kernel(kernel, a, b, 0.7) for b in y] for a in x]
    np.testing.assert_allclose(kernel_matrix(x, y, kernel, gamma=0.7), wanted, atol=2e-5)


@pytest.mark.parametrize("sampler", ["gaussian", "orthogonal", "structured"])
@pytest.mark.parametrize("kernel", ["rbf", "arccos0", "arccos1", "softmax"])
def test_estimates_are_unbiased(kernel, sampler):
    """Mean over draws within 4 standard errors of it; with 200 draws of 32 samples a factor of 1.1 is beyond."""
    x = np.random.default_rng(5).normal(size=(4, 8)) * (0.2 if kernel == "softmax" else 0.4)  # whose tails are heavy
    draws = np.array(
        [
            RandomFeatures(8, 32, kernel, sampler, gamma=0.6 if kernel == "rbf" else None, rng=k).kernel_matrix(x)
            for k in range(200)
        ]
    )
    error = draws.std(axis=0, ddof=1) / math.sqrt(len(draws))
    off = np.abs(draws.mean(axis=0) - kernel_matrix(x, kernel=kernel, gamma=0.6))
    bias = 0.1 if sampler == "structured" else 1e-5  # whose rows have all one length
    assert (off < 4.0 * error + bias).all()
    assert error.max() < 0.06


def test_orthogonal_rows_are_orthogonal_and_of_the_length_of_normal_vectors():
    w = random_directions(64 * 40, 64, rng=1)
    blocks = w.reshape(40, 64, 64)
    gram = blocks @ blocks.swapaxes(1, 2)
    lengths = np.einsum("kii->ki", gram)
    off = gram - np.eye(64) * lengths[:, :, None]
    assert np.abs(off).max() < 1e-10
    assert abs(lengths.mean() - 64.0) < 4 * math.sqrt(2 * 64 / lengths.size)
    assert abs(lengths.var() / 128.0 - 1.0) < 0.12
    h = random_directions(16, 16, "structured", rng=1)
    np.testing.assert_allclose(h @ h.T, 16 * np.eye(16), atol=1e-10)
    assert np.abs(random_directions(2000, 3, "gaussian", truncate=1.5, rng=1)).max() < 1.5


def test_errors_fall_with_samples_and_less_so_on_noisy_arrays():
    x = np.random.default_rng(0).normal(size=(100, 6))
    exact = kernel_matrix(x, gamma=0.05)
    chip = rpu.inference.Chip(rpu.inference.PCM(prog_scale=6.0, read_scale=6.0))

    def error(samples, array):
        found = [RandomFeatures(6, samples, gamma=0.05, array=array, rng=k).kernel_matrix(x) for k in range(6)]
        return np.mean([kernel_error(exact, one) for one in found])

    few, many = error(12, None), error(768, None)
    assert 5.0 < few / many < 13.0  # 8 by the square root
    assert error(768, chip) > 2.0 * many


def test_the_ridge_is_the_solution_of_its_equations():
    rng = np.random.default_rng(2)
    z, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 2))
    model = Ridge(0.5).fit(z, y)
    both = np.hstack([z, np.ones((30, 1))])
    stacked = np.vstack([both, math.sqrt(0.5) * np.eye(6)])  # least squares with the penalty as more rows
    wanted = np.linalg.lstsq(stacked, np.vstack([y, np.zeros((6, 2))]), rcond=None)[0]
    np.testing.assert_allclose(model.coefficients, wanted, atol=1e-10)
    np.testing.assert_allclose(model.predict(z), both @ wanted, atol=1e-10)
    assert Ridge(0.5).fit(z, y[:, 0]).predict(z).shape == (30,)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_its_definition(causal):
    layer = KernelAttention(6, 2, DIGITAL, samples=16, causal=causal, seed=3)
    layer.build(rng=0)
    x = np.random.default_rng(1).normal(size=(2, 5, 6)).astype(np.float32)
    w, b = layer.matrices()[0].logical()
    q, k, v = np.split(x @ w.T + b, 3, axis=-1)
    features = RandomFeatures(3, 16, "softmax")
    features.stored = layer.stored  # the same matrix

    y = np.zeros_like(q)
    for s in range(2):
        for head in (slice(0, 3), slice(3, 6)):
            zq, zk = (features.transform(part[s][:, head] * 3**-0.25) for part in (q, k))
            for i in range(5):
                others = range(i + 1) if causal else range(5)
                weights = np.array([zq[i] @ zk[j] for j in others])
                y[s, i, head] = weights @ v[s][list(others)][:, head] / weights.sum()
    w, b = layer.matrices()[1].logical()
    np.testing.assert_allclose(layer.forward(x, False), y @ w.T + b, atol=2e-5)


def test_with_many_samples_it_is_softmax_attention():
    x = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    exact = rpu.nn.SelfAttention(8, 2, DIGITAL, causal=False)
    exact.build(rng=0)
    layer = KernelAttention(8, 2, DIGITAL, samples=4096)
    layer.build(rng=0)
    for own, other in zip(layer.matrices(), exact.matrices(), strict=True):
        own.set_weights(*other.logical())
    np.testing.assert_allclose(layer.forward(x, False), exact.forward(x, False), atol=0.02)


@pytest.mark.parametrize("causal", [False, True])
def test_its_gradients_are_those_of_its_outputs(causal):
    layer = KernelAttention(4, 2, DIGITAL, samples=8, causal=causal)
    layer.build(rng=0)
    rng = np.random.default_rng(4)
    x, d = rng.normal(size=(2, 3, 4)).astype(np.float32), rng.normal(size=(2, 3, 4)).astype(np.float32)
    layer.forward(x)
    found = layer.backward(d)
    step, wanted = 1e-2, np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (float((layer.forward(one, False).astype(np.float64) * d).sum()) for one in moved)
        wanted[place] = (up - down) / (2 * step)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_it_is_trained_saved_and_may_be_on_a_chip(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 6, 4)).astype(np.float32)
    net = rpu.nn.Sequential(
        KernelAttention(4, 1, DIGITAL, samples=16, array=rpu.inference.Chip()),
        rpu.nn.Flatten(),
        rpu.nn.Linear(24, 2, DIGITAL),
    )
    trainer = rpu.nn.Trainer(net, lr=0.05, rng=0, batch_size=8)
    history = trainer.fit((x, (x[:, 0, 0] > x[:, 5, 0]).astype(int)), epochs=5, progress=False)
    assert history.train_loss[-1] < history.train_loss[0]
    net.save(tmp_path / "net.npz")
    again = rpu.nn.load(tmp_path / "net.npz")
    assert repr(again) == repr(net)
    np.testing.assert_allclose(again.predict(x), net.predict(x), atol=0.2)  # noise of outputs is not the same


# ---- any array -------------------------------------------------------------------------------------------------------

W = np.random.default_rng(7).normal(size=(5, 7)).astype(np.float32)
SOFT = rpu.devices.SoftBounds(dw_min=0.002, w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0)
WIRED = rpu.Periphery.ideal().replace(wires=rpu.Wires(1e-3, 1e-3))
ARRAYS = {
    "none": None,
    "digital": DIGITAL,
    "devices": rpu.algorithms.SGD(SOFT, forward=rpu.Periphery.ideal()),
    "wires": rpu.algorithms.SGD(SOFT, forward=WIRED),
    "cell": rpu.algorithms.SGD(rpu.devices.VectorCell((SOFT, SOFT)), forward=rpu.Periphery.ideal()),
    "array": rpu.CrossbarArray((5, 7), SOFT, forward=rpu.Periphery.ideal(), rng=0),
    "chip": rpu.inference.Chip(rpu.inference.NoNoise(), periphery=rpu.Periphery.ideal()),
    "split": rpu.inference.Chip(rpu.inference.NoNoise(), periphery=rpu.Periphery.ideal(), max_inputs=3, max_outputs=2),
    "function": lambda w, rng: rpu.inference.ProgrammedArray(
        w, rpu.inference.Chip(rpu.inference.NoNoise(), periphery=rpu.Periphery.ideal()), rng
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_without_errors_all_arrays_give_the_product(name):
    stored = StoredMatrix(W, ARRAYS[name], rng=0)
    x = np.random.default_rng(8).normal(size=(3, 7))
    y = stored.read(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, x @ W.T, atol=2e-2 if name == "wires" else 1e-5)
    np.testing.assert_allclose(stored.read(x[0]), y[0], atol=1e-5)
    assert stored.read(x[:0]).shape == (0, 5)


def test_chips_age_and_are_written_anew():
    stored = StoredMatrix(W, rpu.inference.Chip(compensation=None, periphery=rpu.Periphery.ideal()), rng=0)
    now, year = stored.read(np.eye(7)), stored.read(np.eye(7), 3.15e7)
    assert 0.4 < (year * W.T).sum() / (now * W.T).sum() < 0.6
    np.testing.assert_array_equal(stored.read(np.eye(7)), now)
    stored.reprogram()
    assert (stored.read(np.eye(7)) != now).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StoredMatrix(W, "chip"), "array must be None, a Chip"),
        (lambda: StoredMatrix(W, rpu.CrossbarArray((7, 5), SOFT, rng=0)), r"array must have the shape \(5, 7\)"),
        (lambda: StoredMatrix(W, lambda w, rng: w), "array must return what has a method forward"),
        (lambda: StoredMatrix(W).read(np.ones(7), 1.0), "t_inference_s must be 0"),
        (lambda: StoredMatrix(W).reprogram(), "reprogram needs a matrix on a chip"),
        (lambda: random_directions(4, 4, "halton"), "sampler must be one of"),
        (lambda: random_directions(4, 4, truncate=3.0), "truncate must be None"),
        (lambda: RandomFeatures(4, 4, "softmax", gamma=1.0), "gamma must be None"),
        (lambda: kernel_error(np.zeros((2, 2)), np.ones((2, 2))), "exact must not be 0"),
        (lambda: Ridge().predict([[1.0]]), "call fit"),
        (lambda: Ridge(0.0), "alpha must be"),
        (lambda: KernelAttention(5, 2, DIGITAL), "heads must divide"),
        (lambda: KernelAttention(4, 2, DIGITAL, array=3), "array must be None or a Chip"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        call()


def test_weights_that_do_not_fit_are_said():
    small = rpu.algorithms.SGD(rpu.devices.SoftBounds(w_max=0.1, w_min=-0.1))
    with pytest.warns(UserWarning, match="were clipped to the bounds"):
        StoredMatrix(W, small, rng=0)


def test_a_network_with_such_a_layer_is_loaded_where_nobody_imported_it(tmp_path):
    net = rpu.nn.Sequential(rpu.applications.KernelAttention(8, 2, rpu.algorithms.DigitalSGD()))
    net.build(rng=0)
    net.save(tmp_path / "net.npz")
    code = f"import rpusim as rpu; print(type(rpu.nn.load({str(tmp_path / 'net.npz')!r}).layers[0]).__module__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "rpusim.applications.kernels"
