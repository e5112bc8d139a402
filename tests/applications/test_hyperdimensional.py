"""rpusim.applications: hyperdimensional computing."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim.applications import (
    AssociativeMemory,
    ItemMemory,
    LevelMemory,
    bind,
    bundle,
    encode_ngrams,
    encode_signals,
    permute,
)


def test_items_are_quasi_orthogonal_with_their_variance():
    """Mean of products 0 and variance 1 / D: 4950 pairs tell 10 % of the variance apart at 5 sigma."""
    v = ItemMemory(100, 1000, rng=3).vectors.astype(float)
    products = (v @ v.T / 1000)[np.triu_indices(100, 1)]
    assert abs(products.mean()) < 4 / math.sqrt(1000 * len(products))
    assert abs(products.var() * 1000 - 1.0) < 5 * math.sqrt(2 / len(products))


def test_levels_are_as_alike_as_they_are_near():
    v = LevelMemory(21, 10_000, rng=3).vectors.astype(int)
    np.testing.assert_allclose(v @ v.T / 10_000, 1.0 - np.abs(np.subtract.outer(np.arange(21), np.arange(21))) / 20, atol=1e-12)
    assert abs(v[0] @ v[-1]) == 0


def test_binding_and_permutation_are_undone_and_make_vectors_unlike():
    a, b = ItemMemory(2, 10_000, rng=1).vectors.astype(int)
    np.testing.assert_array_equal(bind(bind(a, b), b), a)
    np.testing.assert_array_equal(permute(permute(a, 3), -3), a)
    for other in (bind(a, b), permute(a)):
        assert abs(other @ a) < 4 * 100 and abs(other @ b) < 4 * 100


def test_a_bundle_is_like_its_parts():
    """The mean product with one of n = 5 signs is the binomial (n - 1 over (n - 1) / 2) / 2^(n - 1) = 0.375."""
    v = ItemMemory(5, 20_000, rng=1).vectors.astype(int)
    like = bundle(v.sum(axis=0)).astype(int) @ v.T / 20_000
    assert np.abs(like - 0.375).max() < 4 * math.sqrt(0.86 / 20_000)
    ties = bundle(np.zeros(10_000), rng=0)
    assert set(ties) == {-1, 1} and abs(int(ties.sum())) < 400


def slow_ngrams(text, vectors, n):
    """Gram by gram and place by place."""
    d = len(vectors[0])
    out, counts = np.zeros(d), np.zeros(d)
    for start in range(len(text) - n + 1):
        for place in range(d):
            bits = [int(vectors[text[start + k]][(place - (n - 1 - k)) % d]) for k in range(n)]
            out[place] += math.prod(bits)
            counts[place] += len(set(bits)) == 1
    return out, counts - max(len(text) - n + 1, 0) * 2.0 ** (1 - n)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_ngrams_are_their_definition(n):
    items = ItemMemory(5, 23, rng=0)
    rng = np.random.default_rng(n)
    texts = [rng.integers(0, 5, 40), rng.integers(0, 5, n), rng.integers(0, 5, n - 1), [0] * 30]
    for k, binding in enumerate(("product", "minterms")):
        found = encode_ngrams(texts, items, n, binding=binding)
        for text, row in zip(texts, found, strict=True):
            np.testing.assert_allclose(row, slow_ngrams(text, items.vectors, n)[k], atol=1e-5)


def test_two_minterms_are_the_product_of_two():
    items = ItemMemory(5, 200, rng=0)
    text = np.random.default_rng(0).integers(0, 5, 100)
    product, minterms = (encode_ngrams([text], items, 2, binding=binding) for binding in ("product", "minterms"))
    np.testing.assert_allclose(product, 2.0 * minterms, atol=1e-4)


def test_windows_of_signals_are_their_definition():
    channels, values = ItemMemory(3, 31, rng=0), LevelMemory(4, 31, rng=1)  # an odd number of channels has no ties
    levels = np.random.default_rng(2).integers(0, 4, (17, 3))
    found = encode_signals(levels, channels, values, 3, window=5, hop=4)
    spatial = [
        np.sign(sum(channels.vectors[c].astype(int) * values.vectors[levels[t, c]] for c in range(3))) for t in range(17)
    ]
    for k, start in enumerate(range(0, 13, 4)):
        total = sum(np.roll(spatial[t], 2) * np.roll(spatial[t + 1], 1) * spatial[t + 2] for t in range(start, start + 3))
        np.testing.assert_array_equal(found[k], total)
    assert len(found) == 4


def test_binary_memories_count_bits_that_agree():
    rng = np.random.default_rng(0)
    prototypes, queries = rng.normal(size=(3, 50)), rng.normal(size=(4, 50))
    p, q = prototypes > 0, queries > 0
    agree = (q[:, None] == p).sum(axis=2)
    np.testing.assert_allclose(AssociativeMemory(prototypes).scores(queries), agree, atol=1e-4)
    both = (q[:, None] & p).sum(axis=2)
    np.testing.assert_allclose(AssociativeMemory(prototypes, kind="dot").scores(queries), both, atol=1e-4)
    lengths = np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(prototypes, axis=1))
    cosines = AssociativeMemory(prototypes, kind="integer").scores(queries)
    np.testing.assert_allclose(cosines, queries @ prototypes.T / lengths, atol=1e-5)


def test_memories_bear_noise_of_devices_and_years():
    """40 % of the bits of a query are wrong, and devices of 20 % noise still tell 20 classes apart."""
    prototypes = ItemMemory(20, 2000, rng=0).vectors
    wrong = np.random.default_rng(1).random((20, 2000)) < 0.4
    queries = np.where(wrong, -prototypes, prototypes)
    wide = rpu.Periphery(adc=rpu.ADC(bits=8, bound=600.0, noise=0.0), bound_management="none")
    for model in (rpu.inference.RelativeNoise("proportional", 0.2), rpu.inference.PCM()):
        memory = AssociativeMemory(prototypes, rpu.inference.Chip(model, periphery=wide, max_inputs=500), rng=0)
        for t in (0.0,) if isinstance(model, rpu.inference.RelativeNoise) else (0.0, 3.15e7):
            assert memory.classify(queries, t).tolist() == list(range(20))


def test_items_are_read_from_devices():
    exact = ItemMemory(27, 500, rng=0).vectors
    chip = rpu.inference.Chip(rpu.inference.RelativeNoise("proportional", 0.1))
    np.testing.assert_array_equal(ItemMemory(27, 500, chip, rng=0).vectors, exact)
    chip = rpu.inference.Chip(rpu.inference.RelativeNoise("proportional", 0.5), compensation=None)
    wrong = (ItemMemory(27, 500, chip, rng=0).vectors != exact).mean()
    assert abs(wrong - 0.5 * 0.1587) < 0.02  # SET devices of which 1 + 0.5 xi is below a half


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ItemMemory(0, 10), "symbols must be an integer"),
        (lambda: LevelMemory(1, 10), "symbols must be an integer of at least 2"),
        (lambda: encode_ngrams([[0, 3]], ItemMemory(3, 8, rng=0), 2), r"texts\[0\] must hold integers from 0 to 2"),
        (lambda: encode_ngrams([[0.5]], ItemMemory(3, 8, rng=0), 2), r"texts\[0\] must be a row of integers"),
        (lambda: encode_ngrams([[0]], np.ones((3, 8)), 2), "items must be an ItemMemory"),
        (lambda: encode_ngrams([[0]], ItemMemory(3, 8, rng=0), binding="xor"), "binding must be one of"),
        (lambda: AssociativeMemory(np.ones((2, 3)), kind="cosine"), "kind must be one of"),
        (
            lambda: encode_signals([[0, 9]], ItemMemory(2, 8, rng=0), LevelMemory(4, 8, rng=0)),
            "levels must be from 0 to 3",
        ),
        (
            lambda: encode_signals([[0]], ItemMemory(2, 8, rng=0), LevelMemory(4, 8, rng=0)),
            r"levels must be integers of shape \(any, 2\)",
        ),
        (
            lambda: encode_signals([[0, 1]], ItemMemory(2, 8, rng=0), LevelMemory(4, 9, rng=0)),
            "values must have the dimension 8",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
