"""Reads: the chain DAC - product - ADC against the oracle, exact products, inputs and errors."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.arrays import P_LIMIT, PLAIN_ADC, PLAIN_DAC, Z_LIMIT, array_of, assert_noise, oracle_read, plain
from oracle.recorded import periphery_from_peer
from scipy import stats

import rpusim as rpu
from rpusim import ADC, DAC, CellArray, CrossbarArray, DifferentialPair, Periphery
from rpusim._core.kernels import active_kernel_set, kernel_sets, use_kernel_set
from rpusim.devices import Ideal, SoftBounds, VectorCell

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["mvm"]


def assert_agrees(y, w, x, p, transposed=False):
    """Equal to float32 rounding, except where a relative change of 2e-6 of inputs or weights crosses a rounding tie."""
    expected = oracle_read(w, x, p, transposed)
    sign = np.random.default_rng(0).choice([-2e-6, 2e-6], np.shape(x))
    size = np.abs(expected).max() + 1.0
    stable = np.ones(expected.shape, dtype=bool)
    for s in (1, -1):
        for scale in (1 - 2e-6, 1 + 2e-6):
            other = oracle_read(np.asarray(w) * scale, np.asarray(x) * (1 + s * sign), p, transposed)
            stable &= np.abs(other - expected) < 1e-4 * size
    assert stable.mean() > 0.9
    np.testing.assert_allclose(np.where(stable, y, 0.0), np.where(stable, expected, 0.0), rtol=0, atol=2e-5 * size)


def binomial_p(count, n, p):
    return min(1.0, 2 * min(stats.binom.cdf(count, n, p), stats.binom.sf(count - 1, n, p)))


# ---- deterministic reads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_reads_match_recorded_products(name):
    i, j = np.arange(4)[:, None], np.arange(6)
    x = np.array([2.5 * np.cos(0.9 * j + 0.4), 0.8 * np.sin(1.7 * j)])
    case = GOLDEN[name]
    array = array_of(0.6 * np.sin(1.3 * i + 0.7 * j + 0.2), periphery_from_peer(case["io"]))
    if name.startswith("backward"):
        y = array.backward(0.3 * np.cos(1.1 * i.T))
    else:
        y = array.forward(x)
    compared = slice(0, 1) if name == "bm_iter_b0.3" else slice(None)  # a rounding tie in the second vector
    np.testing.assert_allclose(y[compared], np.array(case["y"])[compared], atol=2e-6, rtol=0)


DACS = {
    "none": PLAIN_DAC, "clip": DAC(bits=None, bound=1.0), "7 bit": DAC(), "3 bit": DAC(bits=3),
    "wide": DAC(bits=5, bound=2.5),
}  # fmt: skip
ADCS = {
    "none": PLAIN_ADC, "clip": ADC(bits=None, bound=1.5, noise=0.0), "9 bit": ADC(noise=0.0),
    "6 bit": ADC(bits=6, bound=0.8, noise=0.0),
}  # fmt: skip
MANAGEMENTS = [
    dict(noise_management="none"),
    dict(noise_management="abs_max"),
    dict(noise_management="abs_max", nm_threshold=0.9),
    dict(noise_management="max"),
    dict(noise_management="max", nm_threshold=0.9),
    dict(noise_management="constant"),
    dict(noise_management="constant", nm_threshold=1.3),
    dict(noise_management="average_abs_max", nm_decay=0.2),
]


def grid():
    for (dac_name, dac), (adc_name, adc), management, bound in itertools.product(
        DACS.items(), ADCS.items(), MANAGEMENTS, ("none", "iterative")
    ):
        scaled = management["noise_management"] in ("abs_max", "max", "average_abs_max")
        if scaled and dac.bound not in (None, 1.0) or bound == "iterative" and adc.bound is None:
            continue
        # half of the largest input lies exactly between two levels of the DAC where it was scaled to 1
        if bound == "iterative" and dac.bits and scaled and "nm_threshold" not in management:
            continue
        name = f"{dac_name}, {adc_name}, {'-'.join(map(str, management.values()))}, {bound}"
        yield pytest.param(Periphery(dac=dac, adc=adc, bound_management=bound, **management), id=name)


@pytest.mark.parametrize("periphery", list(grid()))
def test_reads_without_noise_are_those_of_the_oracle(periphery):
    rng = np.random.default_rng(31)
    w = rng.normal(0, 0.4, (9, 13)).astype(np.float32)
    x = (rng.normal(0, 0.7, (12, 13)) * rng.uniform(0.2, 2.0, (12, 1))).astype(np.float32)
    d = rng.normal(0, 0.9, (12, 9)).astype(np.float32)
    x[4] = d[5] = 0.0
    x[7], d[7] = -np.abs(x[7]), -np.abs(d[7])  # negative maxima
    if periphery.bound_management == "iterative" and periphery.dac.bits and periphery.nm_threshold == 0.9:
        x = x[x.max(axis=1) > 1.0]  # the others are scaled to 1, see grid()
    array = array_of(w, periphery)
    assert_agrees(array.forward(x), w, x, periphery)
    assert_agrees(array.backward(d), w, d, periphery.without_bound_management(), transposed=True)


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
def test_converters_do_the_same_with_all_kernel_sets(kernels):
    rng = np.random.default_rng(32)
    w, x = rng.normal(0, 0.4, (37, 70)), rng.normal(0, 0.9, (5, 70))
    peripheries = [
        Periphery(dac=DAC(noise=0.1), adc=ADC(bound=2.0, noise=0.2)),
        plain(dac=DAC(bits=None, bound=1.0, noise=0.1), adc=ADC(bits=None, bound=1.0)),
        Periphery(dac=DAC(stochastic_rounding=True), adc=ADC(stochastic_rounding=True)),
    ]

    def reads():
        return [array_of(w, p, rng=1).forward(x) for p in peripheries]

    expected, first = reads(), active_kernel_set()
    use_kernel_set(kernels)
    for a, b in zip(reads(), expected, strict=True):
        if "baseline" in (kernels, first):  # no fused multiply-adds
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("bits", [2, 3, 4, 7])
@pytest.mark.parametrize("converter", ["dac", "adc"])
def test_converters_have_odd_symmetric_levels_and_round_ties_to_even(converter, bits):
    bound = float(2 ** (bits - 1) - 1)  # so that the step is 1
    kind = DAC if converter == "dac" else ADC
    array = array_of([[1.0]], plain(**{converter: kind(bits=bits, bound=bound, noise=0.0)}))
    x = np.arange(-4 * bound - 8, 4 * bound + 9) / 4
    y = array.forward(x[:, None])[:, 0]
    np.testing.assert_array_equal(y, np.clip(np.rint(x), -bound, bound))
    assert len(np.unique(y)) == 2**bits - 1


def test_end_levels_are_exactly_the_bounds():
    for bits, bound in ((7, 1.0), (9, 12.0), (5, 0.3), (16, 0.7)):
        array = array_of([[1.0]], plain(adc=ADC(bits=bits, bound=bound, noise=0.0)))
        top = array.forward([[1e6], [-1e6]])
        np.testing.assert_allclose(top[:, 0], [bound, -bound], rtol=2e-7)


@pytest.mark.parametrize("converter", ["dac", "adc"])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9])
def test_stochastic_rounding_is_unbiased(converter, fraction):
    """Up with a probability equal to the fraction: counts are binomial, so mean and variance follow."""
    kind = DAC if converter == "dac" else ADC
    settings = dict(bits=5, bound=15.0, noise=0.0, stochastic_rounding=True)
    array = array_of(np.eye(300), plain(**{converter: kind(**settings)}), rng=33)
    for level in (-11, 0, 6):
        y = array.forward(np.full((200, 300), level + fraction))
        up = y == level + 1
        assert (up | (y == level)).all()
        if fraction == 0.0:
            assert np.count_nonzero(up) <= 3  # float32 may carry u = 1 - 2^-25
            continue
        assert binomial_p(np.count_nonzero(up), up.size, fraction) > P_LIMIT
        z = (up - fraction) / np.sqrt(fraction * (1 - fraction))
        for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1])):
            assert abs(np.sum(a * b)) < Z_LIMIT * np.sqrt(a.size)
    # clipped like any other level
    np.testing.assert_array_equal(array.forward(np.full((3, 300), 15.7)), np.full((3, 300), 15.0))


@pytest.mark.parametrize("converter", ["dac", "adc"])
def test_stochastic_rounding_keeps_what_lies_on_a_fine_level(converter):
    kind = DAC if converter == "dac" else ADC
    settings = dict(bits=16, bound=32767.0, noise=0.0, stochastic_rounding=True)
    array = array_of(np.eye(300), plain(**{converter: kind(**settings)}), rng=34)
    y = array.forward(np.full((1000, 300), 30000.0))
    assert np.count_nonzero(y != 30000.0) <= 3


# ---- bound management and running means -------------------------------------------------------------------------------


def test_only_vectors_that_clipped_are_read_again():
    """Those that did not keep the noise of their first try, and their operation number."""
    rng = np.random.default_rng(40)
    w = rng.normal(0, 0.1, (50, 8))
    x = rng.uniform(-1, 1, (40, 8))
    x[::3] *= 30.0
    once = plain(adc=ADC(bits=None, bound=2.0, noise=0.001))
    again = once.replace(bound_management="iterative")
    y_once, y_again = array_of(w, once, rng=41).forward(x), array_of(w, again, rng=41).forward(x)
    clipped = (np.abs(x @ w.T) > 2.0).any(axis=1)
    assert 5 < clipped.sum() < 20
    np.testing.assert_allclose(y_again[~clipped], y_once[~clipped], atol=1e-6)
    assert (np.abs(y_once) <= 2.0).all() and (np.abs(y_again[clipped]) > 2.0).any()
    np.testing.assert_allclose(y_again, x @ w.T, atol=6 * 0.001 * 64)


def test_the_last_try_counts_even_if_it_clips():
    for settings, reduction in (
        (dict(), 1024),
        (dict(dac=DAC(bits=7, bound=1.0)), 16),
        (dict(bm_max_factor=5.0), 8),
        (dict(dac=DAC(bits=7, bound=1.0), bm_max_resolution=0.03), 2),
        (dict(dac=DAC(bits=7), bm_max_factor=3.0), 4),
    ):
        periphery = plain(adc=ADC(bits=None, bound=1e-3, noise=0.0), bound_management="iterative", **settings)
        assert array_of([[1e6]], periphery).forward([1.0])[0] == pytest.approx(1e-3 * reduction, rel=1e-6)


def test_the_running_mean_belongs_to_a_direction():
    rng = np.random.default_rng(47)
    w, x, d = rng.normal(size=(5, 6)), rng.normal(size=(20, 6)), rng.normal(size=(20, 5)) * 9
    periphery = plain(dac=DAC(bits=None, bound=1.0), noise_management="average_abs_max", nm_decay=0.3)
    array = array_of(w, periphery)
    y, z = np.empty((20, 5)), np.empty((20, 6))
    for k in range(20):
        y[k], z[k] = array.forward(x[k]), array.backward(d[k])
    w = array.weights
    np.testing.assert_allclose(y, oracle_read(w, x.astype(np.float32), periphery), atol=2e-5)
    np.testing.assert_allclose(z, oracle_read(w, d.astype(np.float32), periphery, transposed=True), atol=2e-4)


# ---- vectors that cannot be scaled ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["abs_max", "max", "average_abs_max"])
def test_zero_vectors_read_as_zero(kind):
    periphery = plain(adc=ADC(bits=None, bound=None, noise=1.0), noise_management=kind)
    array = array_of(np.ones((40, 50)), periphery, rng=48)
    assert not array.forward(np.zeros((3, 50))).any()
    assert not array.backward(np.zeros((3, 40))).any()
    if kind == "max":
        assert not array.forward(-np.ones((2, 50))).any()


def test_zero_vectors_still_have_the_noise_of_the_dac_forward_only():
    converters = dict(dac=DAC(bits=None, bound=1.0, noise=0.1), adc=ADC(bits=None, bound=None, noise=0.2))
    periphery = plain(noise_management="abs_max", **converters)
    array = array_of(np.eye(150), periphery, rng=49)
    assert_noise(array.forward(np.zeros((100, 150))), np.hypot(0.1, 0.2))
    assert not array.backward(np.zeros((100, 150))).any()
    without = plain(adc=ADC(bits=None, bound=None, noise=0.2))
    assert_noise(array_of(np.eye(150), without, rng=50).forward(np.zeros((100, 150))), 0.2)


@pytest.mark.parametrize("dac", [PLAIN_DAC, DAC()])
@pytest.mark.parametrize("scale", [1e-45, 1e-40, 3e-39, 1e-38, 1e-30, 1e30, 1e37])
def test_inputs_of_any_size_are_scaled(scale, dac):
    """Noise management makes a read linear in the scale of its input, as far as float32 goes."""
    w = np.array([[0.5, -0.25, 3.0], [0.1, 0.2, -2.0]], np.float32)
    x = (np.array([1.0, -1.0, 0.0]) * scale).astype(np.float32)
    y = array_of(w, plain(dac=dac, noise_management="abs_max")).forward(x)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y, w.astype(np.float64) @ x.astype(np.float64), rtol=1e-5, atol=3e-45)


# ---- differential pairs -----------------------------------------------------------------------------------------------


def test_a_differential_pair_subtracts_before_the_converters_of_main():
    """A common mode beyond the ADC's range cancels, and noise is added once."""
    rng = np.random.default_rng(51)
    difference = rng.normal(0, 0.05, (120, 30))
    periphery = plain(adc=ADC(bits=8, bound=2.0, noise=0.0))
    main, reference = array_of(difference + 5.0, periphery), array_of(np.full((120, 30), 5.0), Periphery())
    pair = DifferentialPair(main, reference)
    x, d = rng.uniform(0, 1, (20, 30)).astype(np.float32), rng.uniform(0, 1, (20, 120)).astype(np.float32)
    w = pair.weights
    np.testing.assert_array_equal(w, main.weights - reference.weights)
    y, expected = pair.forward(x), oracle_read(w, x, periphery)
    assert np.mean(np.abs(y - expected) > 1e-3) < 0.02  # the float32 products of 5 are rounded at 1e-5, so a few ties
    assert np.abs(y - expected).max() < periphery.adc.step * 1.001
    assert (np.abs(main.forward(x)) == 2.0).all()
    assert np.mean(np.abs(pair.backward(d) - oracle_read(w, d, periphery, True)) > 1e-3) < 0.05
    noisy = DifferentialPair(
        array_of(np.zeros((150, 3)), plain(adc=ADC(bits=None, bound=None, noise=0.3)), rng=52),
        array_of(np.zeros((150, 3)), plain(adc=ADC(bits=None, bound=None, noise=9.0)), rng=53),
    )
    assert_noise(noisy.forward(np.ones((100, 3))), 0.3)


def test_a_differential_pair_is_read_with_bound_management():
    periphery = plain(adc=ADC(bits=None, bound=1.0, noise=0.0), bound_management="iterative")
    pair = DifferentialPair(array_of([[3.0]], periphery), array_of([[-2.0]], periphery))
    assert pair.forward([1.0])[0] == 5.0
    assert pair.backward([0.1])[0] == pytest.approx(0.5)


# ---- exact reads ------------------------------------------------------------------------------------------------------


def assert_product(y, w, x):
    """A float32 product: each of n additions rounds."""
    w, x = w.astype(np.float64), x.astype(np.float64)
    n = w.shape[1]
    error = (n + 2) * 2.0**-24 * (np.abs(x) @ np.abs(w).T) + 1e-45
    assert y.dtype == np.float32
    assert (np.abs(y - x @ w.T) <= error).all()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_ideal_reads_are_products(rows, columns, batch, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(rows, columns)).astype(np.float32)
    x, d = rng.normal(size=(batch, columns)).astype(np.float32), rng.normal(size=(batch, rows)).astype(np.float32)
    array = array_of(w, Periphery.ideal())
    y, z = array.forward(x), array.backward(d)
    assert y.shape == (batch, rows) and z.shape == (batch, columns)
    assert_product(y, w, x)
    assert_product(z, w.T, d)
    for k in range(min(batch, 2)):
        assert array.forward(x[k]).shape == (rows,) and array.backward(d[k]).shape == (columns,)
        assert_product(array.forward(x[k])[None], w, x[k][None])
        assert_product(array.backward(d[k])[None], w.T, d[k][None])


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_ideal_reads_of_several_arrays_are_products_of_their_sum(rows, columns, batch, seed):
    """Factors and sums of arrays, whichever way many and few vectors are multiplied."""
    rng = np.random.default_rng(seed)
    x, d = rng.normal(size=(batch, columns)).astype(np.float32), rng.normal(size=(batch, rows)).astype(np.float32)
    for gammas in ((0.3,), (0.3, -1.7), (1.0, 1.0, 0.5)):
        cell = VectorCell(devices=(SoftBounds(w_max=4.0, w_min=-4.0),) * len(gammas), gammas=gammas)
        array = CellArray((rows, columns), cell, forward=Periphery.ideal(), rng=0)
        for one in array.arrays:
            one.program(rng.normal(0, 0.1, (rows, columns)))
        parts = [np.float64(np.float32(g)) * one.weights for g, one in zip(gammas, array.arrays, strict=True)]
        for read, v, transposed in ((array.forward, x, False), (array.backward, d, True)):
            w = np.array([part.T if transposed else part for part in parts])
            for vectors in (v, *v[:2, None]):
                error = (w.shape[2] + 6) * 2.0**-24 * (np.abs(vectors) @ np.abs(w).sum(0).T) + 1e-45
                assert (np.abs(read(vectors) - vectors @ w.sum(0).T) <= error).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_clipping_reads_of_any_shape_are_those_of_the_oracle(rows, columns, batch, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(rows, columns)).astype(np.float32)
    x = rng.normal(size=(batch, columns)).astype(np.float32)
    periphery = Periphery(
        dac=DAC(bits=None, bound=1.0), adc=ADC(bits=None, bound=1.0, noise=0.0), nm_threshold=0.8, bm_max_factor=2.0
    )
    array = array_of(w, periphery)
    expected = oracle_read(w, x, periphery)
    np.testing.assert_allclose(array.forward(x), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("columns", [3, 40])
def test_unit_vectors_read_columns_exactly(columns):
    w = np.random.default_rng(54).normal(size=(30, columns)).astype(np.float32)
    array = array_of(w, Periphery.ideal())
    for j in range(columns):
        np.testing.assert_array_equal(array.forward(np.eye(columns)[j]), w[:, j])
        np.testing.assert_array_equal(array.forward(-2 * np.eye(columns)[j]), -2 * w[:, j])
    np.testing.assert_array_equal(array.forward(np.eye(columns)), w.T)
    np.testing.assert_array_equal(array.backward(np.eye(30)), w)


# ---- what goes in and comes out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(), lambda x: x.astype(np.float64), lambda x: x.astype(np.int8),
        lambda x: x.astype(np.uint16), lambda x: x.astype(np.float16), lambda x: x.astype(">f4"),
        np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.ascontiguousarray(x[::-1])[::-1], lambda x: x.astype(bool), lambda x: [tuple(row) for row in x],
        lambda x: np.lib.stride_tricks.as_strided(x, x.shape, x.strides, writeable=False), lambda x: np.ma.array(x),
    ],
)  # fmt: skip
def test_inputs_of_any_real_kind_are_read_alike(convert):
    x = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 1]], np.float32)
    array = array_of(np.arange(8).reshape(2, 4), Periphery.ideal())
    expected = x @ array.weights.T
    np.testing.assert_array_equal(array.forward(convert(x)), expected)
    np.testing.assert_array_equal(array.forward(convert(x)[1]), expected[1])
    np.testing.assert_array_equal(array.backward(convert(x[:, :2].copy())), x[:, :2] @ array.weights)


def test_results_go_to_out():
    array = array_of(np.arange(6).reshape(2, 3), Periphery.ideal())
    x = np.ones((4, 3), np.float32)
    for shape, rows in (((4, 2), x), ((2,), x[0]), ((0, 2), x[:0])):
        out = np.full(shape, 9, np.float32)
        assert array.forward(rows, out=out) is out
        np.testing.assert_array_equal(out, np.broadcast_to([3.0, 12.0], shape))
    out = np.empty(3, np.float32)
    assert array.backward([1, 1], out) is out and out.tolist() == [3.0, 5.0, 7.0]


def test_out_may_be_the_input():
    w = np.random.default_rng(55).normal(size=(40, 40)).astype(np.float32)
    for periphery in (Periphery.ideal(), Periphery(dac=PLAIN_DAC, adc=ADC(bits=None, bound=0.5, noise=0.0))):
        x = np.random.default_rng(56).normal(size=(5, 40)).astype(np.float32)
        expected = array_of(w, periphery).forward(x)
        np.testing.assert_array_equal(array_of(w, periphery).forward(x, out=x), expected)


def test_empty_batches_read_as_empty_and_change_nothing():
    array = array_of(np.ones((2, 3)), Periphery(), rng=57)
    assert array.forward(np.empty((0, 3))).shape == (0, 2)
    assert array.backward(np.empty((0, 2))).shape == (0, 3)
    fresh = array_of(np.ones((2, 3)), Periphery(), rng=57)
    np.testing.assert_array_equal(array.forward(np.ones(3)), fresh.forward(np.ones(3)))


def test_inputs_are_not_changed():
    x = np.linspace(-3, 3, 12).astype(np.float32).reshape(4, 3)
    before = x.copy()
    array = array_of(np.ones((2, 3)), Periphery())
    array.forward(x)
    array.update(x, np.ones((4, 2)), 0.1)
    np.testing.assert_array_equal(x, before)


READ_ONLY = np.empty((1, 2), np.float32)
READ_ONLY.setflags(write=False)


@pytest.mark.parametrize(
    "x, out, error, words",
    [
        ([1.0, 2.0], None, ValueError, ["x", "3", "(2,)"]),
        (np.ones((2, 4)), None, ValueError, ["x", "3", "(2, 4)"]),
        (np.ones((1, 1, 3)), None, ValueError, ["x", "(1, 1, 3)"]),
        (1.0, None, ValueError, ["x", "()"]),
        ([np.nan, 1.0, 1.0], None, ValueError, ["x", "finite", "nan", "(0,)"]),
        (np.float32([[1.0, 1.0, 1.0], [1.0, np.inf, 1.0]]), None, ValueError, ["x", "finite", "inf", "(1, 1)"]),
        ([1e39, 1.0, 1.0], None, ValueError, ["x", "float32", "1e+39", "(0,)"]),
        ([1j, 1.0, 1.0], None, TypeError, ["x", "real", "complex128"]),
        (["1", "2", "3"], None, TypeError, ["x", "real", "<U1"]),
        (np.array([1, 2, 3], dtype=object), None, TypeError, ["x", "real", "object"]),
        (np.array([1, 2, 3], dtype="m8[s]"), None, TypeError, ["x", "real", "timedelta64"]),
        (None, None, (TypeError, ValueError), ["x"]),
        ({}, None, (TypeError, ValueError), ["x"]),
        ([[1.0], [1.0, 2.0]], None, (TypeError, ValueError), ["x"]),
        (np.ones((1, 3)), np.empty((1, 2)), ValueError, ["out", "float32", "(1, 2)", "float64"]),
        (np.ones((1, 3)), np.empty((2, 2), np.float32), ValueError, ["out", "(1, 2)", "(2, 2)"]),
        (np.ones(3), np.empty((1, 2), np.float32), ValueError, ["out", "(2,)", "(1, 2)"]),
        (np.ones((1, 3)), READ_ONLY, ValueError, ["out", "writeable"]),
        (np.ones((2, 3)), np.empty((2, 2), np.float32, order="F"), ValueError, ["out", "contiguous"]),
        (np.ones((1, 3)), [[0.0, 0.0]], TypeError, ["out", "list"]),
    ],
)
def test_hostile_reads_are_refused_and_leave_no_trace(x, out, error, words):
    periphery = Periphery(noise_management="average_abs_max")
    array = CrossbarArray((2, 3), SoftBounds(), forward=periphery, rng=58)
    array.forward(np.ones((2, 3)))
    before = array.state_dict()
    with pytest.raises(error) as caught:
        array.forward(x, out)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert str(caught.value).startswith(words[0])
    assert repr(array.state_dict()) == repr(before)


def test_backward_reads_name_their_own_argument():
    array = CrossbarArray((2, 3), SoftBounds(), rng=59)
    with pytest.raises(ValueError, match=r"d must have shape .*2.*; got \(3,\)"):
        array.backward(np.ones(3))
    with pytest.raises(ValueError, match="d must hold finite float32 numbers; got nan"):
        array.backward([np.nan, 1.0])


def test_a_pair_reads_through_rpusims_own_names():
    assert rpu.DifferentialPair is DifferentialPair and rpu.CrossbarArray is CrossbarArray


def test_bound_management_reduces_also_where_noise_management_finds_no_size():
    """An input that is all negative has the largest element 0 or below; with a noisy DAC it is read, at a scale of 1."""
    dac, adc = DAC(bits=None, bound=1.0, noise=1e-6), ADC(bits=None, bound=1.0, noise=0.0)
    array = CrossbarArray((1, 3), Ideal(), forward=Periphery(dac=dac, adc=adc, noise_management="max"), rng=0)
    array.program([[0.6] * 3])
    np.testing.assert_allclose(array.forward([-0.9] * 3), [-1.62], atol=1e-4)
    assert array.forward_count.retries == 1
    np.testing.assert_allclose(array.forward([-3.0] * 3), [-5.4], atol=1e-4)  # inputs clip at first
    np.testing.assert_array_equal(array.backward([-1.0]), np.zeros(3))


def test_calibration_of_inputs_resets_what_other_managements_used():
    forward = Periphery(noise_management="abs_max_np_sum", bound_management="none", bm_max_resolution=0.5, dac=DAC(bits=5))
    array = CrossbarArray((3, 4), SoftBounds(), forward=forward, rng=0)
    array.program(np.full((3, 4), 0.2))
    assert array.calibrate(np.ones((5, 4))).noise_management == "constant"
