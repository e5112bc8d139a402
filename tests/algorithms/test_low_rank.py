"""Low-rank Tiki-Taka against the plain loop, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import algorithms as oracle
from oracle.tiles import DETERMINISTIC, EXACT, SCHEME, TRANSFER, TRANSFER_SCHEME, vectors, writer
from scipy import stats

from rpusim import ADC, Periphery
from rpusim._core.kernels import KINDS, normals
from rpusim.algorithms import LowRankTikiTaka
from rpusim.devices import ConstantStep, Ideal, SoftBounds

FAST = SoftBounds(dw_min=0.01, dw_min_std=0.0, up_down=0.1)
SHAPE = (5, 7)


@pytest.mark.parametrize("alpha, lr", [(1.0, 0.2), (0.5, -0.3)])
@pytest.mark.parametrize("slow", [ConstantStep(dw_min=0.004, dw_min_std=0.0), Ideal()])
def test_it_is_the_plain_loop(alpha, lr, slow):
    rule = LowRankTikiTaka(
        FAST,
        slow,
        rank=3,
        alpha=alpha,
        transfer_every=6,
        fast_lr=0.7,
        transfer_lr=0.8,
        b_gain=1.0,
        forward=EXACT,
        pulses=SCHEME,
        transfer_pulses=TRANSFER_SCHEME,
    )
    tile = rule.build(SHAPE, rng=150)
    tile.program(0.05 * np.ones(SHAPE))
    np.testing.assert_allclose(tile.weights, 0.05, atol=1e-6)
    assert not tile.a.any() and tile.b.all()
    p = tile.arrays[2].parameters

    def fresh_b(k):
        rows = [normals(tile._key, 7, operation=k + 1, kind=KINDS["reset"], line=i) for i in range(3)]
        return np.clip(np.array(rows, np.float64) / np.sqrt(7), p["w_min"], p["w_max"])

    np.testing.assert_allclose(tile.b, fresh_b(-1), atol=1e-6)
    x, d = vectors(50, SHAPE, seed=151)
    w, a, b = oracle.low_rank(
        *(array.weights.astype(np.float64) for array in tile.arrays),
        x,
        d,
        rate_a=lr * 0.7,
        rate_b=lr * 0.7,
        alpha=alpha,
        transfer_lr=0.8,
        every=6,
        fresh_b=fresh_b,
        write_w=writer(tile.arrays[0], TRANSFER),
        write_a=writer(tile.arrays[1], DETERMINISTIC),
        write_b=writer(tile.arrays[2], DETERMINISTIC),
    )
    tile.update(x, d, lr)
    np.testing.assert_allclose(tile.arrays[0].weights, w, atol=2e-5)
    np.testing.assert_allclose(tile.a, a, atol=2e-5)
    np.testing.assert_allclose(tile.b, b, atol=2e-5)
    assert np.abs(w - 0.05).max() > 0.02 and np.abs(a).max() > 0.02
    full = w + alpha * a @ b
    np.testing.assert_allclose(tile.weights, full, atol=5e-5)
    np.testing.assert_allclose(tile.forward(x[:4]), x[:4] @ full.T, atol=3e-4)
    np.testing.assert_allclose(tile.backward(d[:4]), d[:4] @ full, atol=3e-4)


def test_a_new_b_is_normal_with_its_spread():
    tile = LowRankTikiTaka(SoftBounds(w_max=9.0, w_min=-9.0), rank=20, b_gain=0.5).build((3, 400), rng=152)
    assert stats.kstest(tile.b.ravel() * np.sqrt(400) / 0.5, "norm").pvalue > 1e-6
    before = tile.b
    tile.update(np.zeros((32, 400)), np.zeros((32, 3)), 0.1)
    assert abs(np.corrcoef(tile.b.ravel(), before.ravel())[0, 1]) < 5 / np.sqrt(8000)


def test_reads_may_go_where_the_input_is():
    tile = LowRankTikiTaka(FAST, rank=2, b_gain=2.0, forward=EXACT).build((4, 4), rng=153)
    x, d = vectors(40, (4, 4), seed=154)
    tile.update(x, d, 0.3)
    expected = tile.forward(x)
    out = x.copy()
    assert tile.forward(out, out=out) is out
    np.testing.assert_allclose(out, expected, atol=1e-6)
    with pytest.raises(TypeError, match="out must be"):  # and is not looked into before it is known to be an array
        tile.forward(x, out=range(10**12))


def test_transfers_have_reads_of_their_own():
    """Reads that have lost everything transfer nothing; exact ones all, whatever the noise of other reads."""
    x, d = vectors(5, SHAPE, seed=157)
    for own, moved in ((EXACT, True), (Periphery(adc=ADC(bound=1e-6, noise=0.0)), False)):
        rule = LowRankTikiTaka(
            FAST, Ideal(), rank=2, transfer_every=6, b_gain=1.0, forward=Periphery(adc=ADC(noise=5.0)), transfer_forward=own
        )
        tile = rule.build(SHAPE, rng=158)
        tile.update(x, d, 0.3)
        product = tile.a @ tile.b
        tile.update(np.zeros((1, 7)), np.zeros((1, 5)), 0.3)
        assert np.abs(product).max() > 0.02 and not tile.a.any()
        np.testing.assert_allclose(tile.weights, product if moved else 0.0 * product, atol=2e-6)


def test_more_rank_learns_more_of_a_full_rank_target():
    """Ideal devices, no transfer: the best that rank r can do is the rest of the singular values."""
    rng = np.random.default_rng(155)
    target = (
        np.linalg.qr(rng.normal(size=(8, 8)))[0]
        @ np.diag([2.0, 1.5, 1.0, 0.5, 0, 0, 0, 0])
        @ np.linalg.qr(rng.normal(size=(8, 8)))[0]
    )
    for rank, left in ((1, np.sqrt(1.5**2 + 1.0 + 0.25)), (2, np.sqrt(1.25)), (4, 0.0)):
        rule = LowRankTikiTaka(Ideal(), rank=rank, transfer_every=10**6, b_gain=1.0, forward=EXACT)
        tile = rule.build((8, 8), rng=156)
        for _ in range(8000):
            x = rng.standard_normal(8)
            tile.update(x, (tile.weights - target) @ x, 0.01)
        assert np.linalg.norm(tile.weights - target) == pytest.approx(left, rel=0.1, abs=0.05)


def test_new_factors_are_written_with_write_noise():
    device = SoftBounds(dw_min=0.01, w_max=9.0, w_min=-9.0, write_noise_std=2.0)
    tile = LowRankTikiTaka(device, rank=20).build((300, 400), rng=153)
    for _ in range(2):
        seen = []
        for array in tile.arrays[1:]:
            noise = (array.weights - array._state).ravel() / 0.02  # write_noise_std dw_min
            assert stats.kstest(noise, "norm").pvalue > 1e-6
            seen.append(noise)
        assert not tile.arrays[1]._state.any() and abs(np.corrcoef(seen[0][:6000], seen[1][:6000])[0, 1]) < 5 / np.sqrt(6000)
        before = tile.a
        tile.update(np.zeros((32, 400)), np.zeros((32, 300)), 0.1)
        assert abs(np.corrcoef(tile.a.ravel(), before.ravel())[0, 1]) < 5 / np.sqrt(6000)
