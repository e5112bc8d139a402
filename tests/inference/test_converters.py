"""Weights become conductances and come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rpusim as rpu

inf = rpu.inference
CONVERTERS = [
    inf.DifferentialPair(),
    inf.DifferentialPair(g_min_s=2e-6, scale="array"),
    inf.DifferentialPair(parallel=3),
    inf.OffsetPair(g_min_s=1e-6),
    inf.Pairs(),
    inf.Pairs(significance=(2.0, 1.0, 0.3), g_min_s=1e-6, scale="array"),
    inf.SingleDevice(g_min_s=9e-6, g_max_s=88.2e-6),
    inf.SingleDevice(reference="column", scale="array"),
    inf.Signed(),
    inf.TablePair(plus=((2e-6, 5e-6, 25e-6),), minus=((22e-6, 5e-6, 5e-6),), g_min_s=2e-6),
]
matrices = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(-8.0, 8.0, width=32, allow_subnormal=False)
)


@pytest.mark.parametrize("converter", CONVERTERS, ids=repr)
@given(w=matrices)
def test_a_round_trip_is_exact_to_rounding(converter, w):
    g, scaling = converter.targets(w)
    assert g.dtype == np.float32 and len(g) == len(converter.factors)
    lowest = -converter.g_max_s if isinstance(converter, inf.Signed) else converter.g_min_s
    assert g.min() >= lowest - 1e-12 and g.max() <= converter.g_max_s * (1 + 1e-6)
    back = converter.weights(g, scaling)
    window = sum(abs(f) for f in converter.factors) * converter.g_max_s  # sums of float32 conductances
    bound = 3e-7 * (window / np.broadcast_to(scaling.siemens_per_weight, w.shape) + np.abs(w))
    assert np.all(np.abs(back - w) <= bound)


@pytest.mark.parametrize("scale", ["row", "array"])
def test_each_row_or_the_array_fills_the_window(scale):
    w = np.array([[0.1, -0.2], [1.0, 0.5], [0.0, 0.0]])
    g, scaling = inf.DifferentialPair(scale=scale, g_min_s=5e-6).targets(w)
    largest = np.abs(w).max(axis=1) if scale == "row" else np.full(3, 1.0)
    k = 20e-6 / np.where(largest > 0, largest, 1.0)
    for i in range(3):
        for j in range(2):
            assert g[0, i, j] == pytest.approx(5e-6 + max(k[i] * w[i, j], 0), rel=1e-6)
            assert g[1, i, j] == pytest.approx(5e-6 + max(-k[i] * w[i, j], 0), rel=1e-6)


def test_pairs_are_filled_in_order():
    """One weight after another, by the sentence of the definition."""
    f, window = (1.0, 0.25, 0.1), 20e-6
    w = np.linspace(-1, 1, 41)[None]
    g, _ = inf.Pairs(significance=f, g_min_s=5e-6).targets(w)
    for j, value in enumerate(w[0]):
        left = sum(f) * window * abs(value)
        for p in range(3):
            c = min(max(left / f[p], 0.0), window)
            left -= f[p] * c
            positive, negative = (c, 0.0) if value > 0 else (0.0, c)
            assert g[2 * p, 0, j] == pytest.approx(5e-6 + positive, abs=1e-11)
            assert g[2 * p + 1, 0, j] == pytest.approx(5e-6 + negative, abs=1e-11)


def test_slices_hold_the_digits_of_integers():
    converter = inf.BitSlices(bits=6, slice_bits=2, g_min_s=1e-6, g_max_s=7e-6)
    w = np.arange(-31, 32)[None] / 31.0
    g, scaling = converter.targets(w)
    for j, q in enumerate(range(-31, 32)):
        digits = [abs(q) // 4**s % 4 for s in range(3)]
        for s, digit in enumerate(digits):
            assert g[2 * s, 0, j] == pytest.approx(1e-6 + (q > 0) * digit * 2e-6, rel=1e-5)
            assert g[2 * s + 1, 0, j] == pytest.approx(1e-6 + (q < 0) * digit * 2e-6, rel=1e-5)
    assert np.abs(converter.weights(g, scaling) - w).max() < 3e-6
    rough = inf.BitSlices(bits=3, slice_bits=1)
    back = rough.weights(*rough.targets([[1.0, 0.4, -0.6]]))
    assert back == pytest.approx(np.array([[1.0, 1 / 3, -2 / 3]]), abs=1e-6)


def test_tables_that_are_not_in_proportion_to_weights_are_refused():
    with pytest.raises(ValueError, match="in proportion to weights"):
        inf.TablePair(plus=((0.0, 0.0, 5e-6, 6e-6, 25e-6),), minus=((25e-6, 12.5e-6, 0.0, 0.0, 0.0),))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (dict(g_min_s=25e-6), "g_min_s must be below g_max_s"),
        (dict(g_min_s=-1e-6), "g_min_s"),
        (dict(g_max_s=np.nan), "g_max_s"),
        (dict(scale="column"), "scale"),
        (dict(parallel=0), "parallel"),
    ],
)
def test_windows_that_are_none_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        inf.DifferentialPair(**wrong)


@pytest.mark.parametrize("weights", [[[np.nan]], [[np.inf]], [1.0], np.zeros((0, 3)), [["a"]]])
def test_weights_that_are_no_matrix_are_refused(weights):
    with pytest.raises((TypeError, ValueError), match="weights"):
        inf.DifferentialPair().targets(weights)


@pytest.mark.parametrize("plus", [(1e-6,), ((1e-6,),), ((0.0, 1e-6), (1e-6,)), ((0.0, "x"),), ((0.0, -1.0),), ((0.0, 1.0),)])
def test_tables_that_are_none_are_refused(plus):
    with pytest.raises((TypeError, ValueError), match="TablePair: plus"):
        inf.TablePair(plus=plus)
