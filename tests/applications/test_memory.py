"""rpusim.applications: key-value memories, episodes, and what learns from them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim.applications import Episodes, KeyValueMemory, SupportMemory, few_shot_accuracy, sharpened

WIDE = rpu.Periphery(adc=rpu.ADC(bits=8, bound=600.0, noise=0.0), bound_management="none")


def test_sharpening_has_its_law():
    a = np.linspace(-1, 1, 9)
    wanted = [1 / (1 + math.exp(-8 * (x - 0.5))) + 1 / (1 + math.exp(-8 * (-x - 0.5))) for x in a]
    np.testing.assert_allclose(sharpened(a, "softabs", 8.0), wanted, rtol=1e-12)
    soft = sharpened(a, "softmax", 8.0)
    np.testing.assert_allclose(soft / soft[0], np.exp(8 * (a - a[0])), rtol=1e-12)
    np.testing.assert_array_equal(sharpened(a, "none"), np.maximum(a, 0))


def slow_probabilities(keys, labels, query, kind, balanced):
    """Key by key, number by number."""
    d = len(query)

    def code(v):
        threshold = sorted(v)[d // 2 - 1 : d // 2 + 1] if balanced else [0.0, 0.0]
        return [1 if x > sum(threshold) / 2 else -1 for x in v]

    weights = {label: 0.0 for label in labels}
    for key, label in zip(keys, labels, strict=True):
        if kind == "real":
            a = sum(p * q for p, q in zip(key, query, strict=True)) / math.sqrt(
                sum(p * p for p in key) * sum(q * q for q in query)
            )
        elif kind == "bipolar":
            a = sum(p * q for p, q in zip(code(key), code(query), strict=True)) / d
        else:
            a = 4 * sum(p == q == 1 for p, q in zip(code(key), code(query), strict=True)) / d - 1
        weights[label] += 1 / (1 + math.exp(-10 * (a - 0.5))) + 1 / (1 + math.exp(10 * (a + 0.5)))
    return [weights[label] / sum(weights.values()) for label in sorted(weights)]


@pytest.mark.parametrize(
    ("kind", "balanced"), [("real", False), ("bipolar", False), ("bipolar", True), ("binary", False), ("binary", True)]
)
def test_memories_are_their_definition(kind, balanced):
    rng = np.random.default_rng(0)
    keys, queries, labels = rng.normal(size=(6, 16)) + 0.3, rng.normal(size=(4, 16)) + 0.3, [7, 2, 7, 2, 2, 9]
    memory = KeyValueMemory(keys, labels, kind=kind, balanced=balanced)
    wanted = [slow_probabilities(keys, labels, q, kind, balanced) for q in queries]
    np.testing.assert_allclose(memory.probabilities(queries), wanted, atol=1e-5)
    assert memory.classify(queries).tolist() == [[2, 7, 9][int(np.argmax(row))] for row in wanted]


def test_keys_of_nothing_in_common_are_as_orthogonal_as_their_dimension():
    """Likenesses of random bipolar keys have the variance 1 / d; their sharpened sum does not grow as softmax's does."""
    keys = np.random.default_rng(0).normal(size=(100, 512))
    memory = KeyValueMemory(keys, np.arange(100))
    off = memory.likeness(keys)[~np.eye(100, dtype=bool)]
    assert abs(off.var() * 512 - 1.0) < 5 * math.sqrt(2 / 4950)
    assert abs(np.diag(memory.likeness(keys)) - 1.0).max() < 1e-6
    assert memory.probabilities(keys)[0, 0] > 0.4
    assert KeyValueMemory(keys, np.arange(100), sharpening="softmax", beta=1.0).probabilities(keys)[0, 0] < 0.03


@pytest.mark.parametrize("sharpening", ["softabs", "softmax"])
def test_what_learns_has_the_gradient_of_what_it_says(sharpening):
    layer = SupportMemory(3, 2, sharpening, 4.0)
    rng = np.random.default_rng(1)
    x, d = rng.normal(size=(9, 5)), np.zeros((9, 3), np.float32)
    d[6:] = rng.normal(size=(3, 3))
    layer.forward(x)
    found = layer.backward(d)
    wanted, step = np.zeros_like(x), 1e-4
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (float((SupportMemory(3, 2, sharpening, 4.0).forward(one).astype(float) * d).sum()) for one in moved)
        wanted[place] = (up - down) / (2 * step)
    np.testing.assert_allclose(found, wanted, atol=5e-3)


def test_what_learns_says_what_the_memory_says():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(10, 8)).astype(np.float32)
    y = SupportMemory(3, 2).forward(x, False)
    memory = KeyValueMemory(x[:6], np.repeat(np.arange(3), 2), kind="real")
    np.testing.assert_allclose(np.exp(y[6:]), memory.probabilities(x[6:]), atol=1e-5)
    assert not y[:6].any()


def test_a_controller_learns_what_tells_classes_apart():
    """Ten of a hundred numbers tell the classes apart: a linear controller finds them, for classes that it has never seen."""
    rng = np.random.default_rng(0)

    def classes(n):
        x = 2.0 * rng.normal(size=(n, 20, 100)).astype(np.float32)
        x[:, :, :10] = 2.0 * rng.normal(size=(n, 1, 10)) + 0.5 * rng.normal(size=(n, 20, 10))
        return x

    rule = rpu.algorithms.DigitalSGD()
    net = rpu.nn.Sequential(rpu.nn.Linear(100, 64, rule), SupportMemory(5, 1))
    held = classes(30)

    def accuracy():
        return few_shot_accuracy(net.layers[0].forward(held.reshape(-1, 100), False).reshape(30, 20, 64), 5, 1, episodes=60)[0]

    net.build(0)
    before = accuracy()
    rpu.nn.Trainer(net, lr=0.01, rng=0).fit(Episodes(classes(60), 5, 1, 3, 300, rng=1), epochs=1, progress=False)
    assert before < 0.5 and accuracy() > before + 0.25


def test_episodes_have_other_classes_and_samples_and_stay_the_same():
    samples = np.arange(30 * 20).reshape(30, 20, 1).astype(np.float32)
    episodes = Episodes(samples, 5, 2, 3, count=3, rng=0, change=lambda x, draw: x + 0.25 * draw.integers(0, 2))
    first, second = list(episodes), list(episodes)
    for (x, y), (again, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, again)
        assert len(set(np.floor(x.ravel()))) == 25
        numbers = (np.floor(x.ravel()) // 20).reshape(-1)
        for k in range(5):
            assert len(set(numbers[y == k])) == 1 and (y == k).sum() == 5
        assert y[:10].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (first[0][0] != first[1][0]).any()


def test_bipolar_keys_bear_the_noise_of_devices():
    """Noise as large as the signal of each device costs little, since the sum over 512 has a spread of 512^(1/2)."""
    rng = np.random.default_rng(2)
    keys = 0.9 * rng.normal(size=(40, 1, 512)) + rng.normal(size=(40, 20, 512))
    exact = few_shot_accuracy(keys, 20, 1, episodes=30)[0]
    chip = rpu.inference.Chip(rpu.inference.RelativeNoise("proportional", 1.0), periphery=WIDE, compensation=None)
    noisy = few_shot_accuracy(keys, 20, 1, episodes=30, memory=lambda k, y, rng: KeyValueMemory(k, y, chip, rng=rng))[0]
    assert exact > 0.9 and exact - 0.1 < noisy < exact


def test_outputs_beyond_the_converters_are_said():
    keys = np.random.default_rng(0).normal(size=(4, 512))
    memory = KeyValueMemory(keys, [0, 0, 1, 1], rpu.inference.Chip(), rng=0)
    with pytest.warns(UserWarning, match="of the outputs of a matrix .* are beyond the range of their ADCs"):
        memory.classify(keys)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KeyValueMemory(np.ones((2, 3)), [0]), "labels must be an integer for each of the 2 keys"),
        (lambda: KeyValueMemory(np.ones((1, 3)), [0], kind="ternary"), "kind must be one of"),
        (lambda: KeyValueMemory(np.ones((1, 3)), [0], kind="real", balanced=True), "balanced must be False"),
        (lambda: sharpened([0.1], "abs"), "kind must be one of"),
        (lambda: SupportMemory(2, 1).forward(np.ones((2, 3), np.float32)), "x must have shape"),
        (lambda: SupportMemory(2, 1).backward(np.ones((2, 2), np.float32)), "backward needs"),
        (lambda: Episodes(np.ones((3, 4)), 2), "samples must have shape"),
        (lambda: Episodes(np.ones((3, 4, 1)), 4), "ways must be"),
        (lambda: Episodes(np.ones((3, 4, 1)), 2, 2, 3), "shots and queries must be at most 4"),
        (lambda: few_shot_accuracy(np.ones((3, 4, 1)), 2, 1, memory=3), "memory must be a function"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        call()
