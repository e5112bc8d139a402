"""The noise of reads: its level and law, where in the chain it comes, and when it is drawn anew."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from oracle.arrays import P_LIMIT, Z_LIMIT, array_of, assert_noise, chi2_p, plain
from scipy import stats

from rpusim import ADC, DAC, DifferentialPair


@pytest.mark.parametrize("scale", [1.0, 0.05, 40.0])
@pytest.mark.parametrize("management", ["none", "abs_max", "constant"])
@pytest.mark.parametrize("transposed", [False, True])
def test_adc_noise_has_its_level_in_units_of_the_scaled_input(scale, management, transposed):
    settings = dict(nm_threshold=3.0) if management == "constant" else {}
    periphery = plain(adc=ADC(bits=None, bound=None, noise=0.07), noise_management=management, **settings)
    array = array_of(np.zeros((150, 150)), periphery, rng=35)
    x = np.random.default_rng(0).uniform(-1, 1, (200, 150))
    x *= scale / np.abs(x).max(axis=1, keepdims=True)
    y = array.backward(x) if transposed else array.forward(x)
    assert_noise(y, 0.07 * {"none": 1.0, "abs_max": scale, "constant": 3.0}[management])


def test_adc_noise_comes_before_rounding_and_clipping():
    """One level per sigma: the probabilities of the levels are normal integrals."""
    array = array_of(np.zeros((300, 1)), plain(adc=ADC(bits=3, bound=3.0, noise=1.0)), rng=36)
    y = array.forward(np.zeros((400, 1))).astype(int)
    edges = stats.norm.cdf([-np.inf, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, np.inf])
    observed = np.bincount(y.ravel() + 3, minlength=7)
    assert stats.chisquare(observed, np.diff(edges) * y.size).pvalue > P_LIMIT


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_dac_noise_is_that_of_an_input(scale):
    """Independent between inputs, the same for all outputs, scaled back with the input, after the DAC's clip."""
    periphery = plain(dac=DAC(noise=0.2), noise_management="abs_max")
    array = array_of(np.eye(200), periphery, rng=37)
    x = np.zeros((150, 200))
    x[:, 0] = scale
    y = array.forward(x)
    assert_noise(y - x, 0.2 * scale)
    rows = array_of(np.ones((2, 64)) * 0.3, periphery, rng=38).forward(x[:, :64])
    np.testing.assert_array_equal(rows[:, 0], rows[:, 1])
    assert chi2_p(np.sum((rows[:, 0] - 0.3 * scale) ** 2) / (0.2 * scale * 0.3) ** 2 / 64, 150) > P_LIMIT


@pytest.mark.parametrize("reduction", [1, 2, 4, 16])
def test_noise_grows_with_the_reduction_of_bound_management(reduction):
    """The last try has the input divided by the reduction, and its noise multiplied back."""
    periphery = plain(adc=ADC(bits=None, bound=1.0, noise=0.01), noise_management="abs_max", bound_management="iterative")
    array = array_of(np.full((200, 1), 0.7 * reduction), periphery, rng=39)
    y = array.forward(np.full((150, 1), -5.0))
    assert_noise(y + 0.7 * reduction * 5.0, 0.01 * 5.0 * reduction)


def test_every_retry_draws_new_noise():
    unbounded = plain(adc=ADC(bits=None, bound=None, noise=0.01))
    managed = plain(adc=ADC(bits=None, bound=1.0, noise=0.01), bound_management="iterative")
    first = array_of(np.full((200, 1), 1.5), unbounded, rng=42).forward(np.ones((100, 1))) - 1.5
    last = (array_of(np.full((200, 1), 1.5), managed, rng=42).forward(np.ones((100, 1))) - 1.5) / 2
    assert_noise(first, 0.01)
    assert_noise(last, 0.01)
    assert abs(np.corrcoef(first.ravel(), last.ravel())[0, 1]) < Z_LIMIT / np.sqrt(first.size)


def test_reads_draw_new_noise_each_time_and_in_each_direction():
    array = array_of(np.zeros((150, 150)), plain(adc=ADC(bits=None, bound=None, noise=1.0)), rng=43)
    x = np.ones((100, 150))
    reads = [array.forward(x), array.forward(x), array.backward(x), array.backward(x)]
    reads.append(array_of(np.zeros((150, 150)), array.forward_periphery, rng=44).forward(x))
    for a, b in itertools.combinations(reads, 2):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < Z_LIMIT / np.sqrt(a.size)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("splits", [(1,) * 30, (1, 2, 0, 4, 8, 15), (29, 1)], ids=["singles", "ragged", "last"])
def test_splits_of_a_batch_draw_the_same_noise(splits, transposed):
    rng = np.random.default_rng(45)
    w, x = rng.normal(0, 0.3, (70, 70)), rng.normal(0, 1, (30, 70))
    x[3] = 0.0
    periphery = plain(
        dac=DAC(bits=None, bound=1.0, noise=0.1),
        adc=ADC(bits=None, bound=6.0, noise=0.5),
        noise_management="average_abs_max",
        nm_decay=0.1,
    )

    def read(array, rows):
        return array.backward(rows) if transposed else array.forward(rows)

    whole = read(array_of(w, periphery, rng=46), x)
    array, first, pieces = array_of(w, periphery, rng=46), 0, []
    for n in splits:
        pieces.append(read(array, x[first : first + n]))
        first += n
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=3e-5)


@pytest.mark.parametrize("settings", [
    {"read_noise": 0.3, "read_noise_law": "sqrt"}, {"read_noise": 0.3, "read_noise_law": "proportional"},
    {"read_noise": 0.3}, {"ir_drop": 20.0}, {"ir_drop": 20.0, "read_noise": 0.2, "read_noise_law": "sqrt"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_single_vectors_are_read_as_those_of_a_batch(transposed, paired, settings):
    """They take another way to the sums over the sizes of weights (kernels/products.h)."""
    rng = np.random.default_rng(47)
    shape = (37, 150)  # whole lines of registers, and a rest
    w, x = rng.normal(0, 0.3, shape), rng.normal(0, 1, (9, shape[0 if transposed else 1]))

    def read(batches):
        array = array_of(w, plain(**settings), rng=46)
        if paired:
            array = DifferentialPair(array, array_of(w[::-1], plain(**settings), rng=48))
        return np.concatenate([array.backward(rows) if transposed else array.forward(rows) for rows in batches])

    whole = read([x])
    np.testing.assert_allclose(read(x[:, None]), whole, atol=2e-5 * np.abs(whole).max())
    without = (w - w[::-1] * paired).T if transposed else w - w[::-1] * paired
    assert np.abs(whole - x @ without.T).max() > 0.01  # there is something to compare
