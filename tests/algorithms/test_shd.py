"""Tiles of SHD: the loop against the plain one and recorded weights, transfers, and its arrays."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from oracle import algorithms as oracle
from oracle.tiles import DETERMINISTIC, EXACT, NO_SPREAD, SCHEME, TRANSFER, TRANSFER_SCHEME, vectors, writer
from scipy import stats

from rpusim import ADC, DAC, Periphery, PulseScheme
from rpusim.algorithms import SHD
from rpusim.devices import ConstantStep, Ideal, LinearStep, SoftBounds

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["compounds"]["ttv1_gamma0"]


# ---- SHD: the loop ----------------------------------------------------------------------------------------------------


def test_shd_matches_the_recorded_transfer_compound():
    """The recorded tool scales pulses of A by the mean granularity 0.0075 of A and C, not by 0.01, A's. So fast_lr is
    0.01 / 0.0075 in place of 1, which gives the same probabilities."""
    bounds = dict(w_max=1.0, w_min=-1.0, dw_min_std=0.0, **NO_SPREAD)

    def scheme(bl):
        return PulseScheme(
            desired_bl=bl, pulse_type="deterministic_implicit", update_management=False, update_bl_management=False
        )

    rule = SHD(
        fast=SoftBounds(dw_min=0.01, **bounds),
        slow=ConstantStep(dw_min=0.005, **bounds),
        fast_lr=0.01 / 0.0075,
        transfer_forward=EXACT,
        forward=EXACT,
        pulses=scheme(10),
        transfer_pulses=scheme(2),
    )
    tile = rule.build((2, 3), rng=66)
    tile.program([[0.1, -0.2, 0.05], [0.0, 0.15, -0.1]])
    for t in range(1, 25):
        x, d = np.cos(0.7 * t + 0.5 * np.arange(3)), 0.9 * np.sin(0.4 * t + 0.9 * np.arange(2) + 0.3) + 0.2
        tile.update(x, d, 1.0)
        if str(t) in GOLDEN:
            np.testing.assert_allclose(tile.fast.weights, GOLDEN[str(t)]["hidden_weights_0"], atol=2e-6)
            np.testing.assert_allclose(tile.weights, GOLDEN[str(t)]["W"], atol=2e-6)
            np.testing.assert_allclose(tile.forward(np.eye(3)).T, GOLDEN[str(t)]["W"], atol=2e-6)


FAST = SoftBounds(dw_min=0.01, dw_min_std=0.0, up_down=0.1)
SLOW = {
    "same": None,
    "constant": ConstantStep(dw_min=0.004, dw_min_std=0.0),
    "linear": LinearStep(dw_min=0.006, dw_min_std=0.0, gamma_up=0.3, gamma_down=0.5),
    "ideal": Ideal(),
}


@pytest.mark.parametrize("slow", SLOW)
@pytest.mark.parametrize("reference", ["shared", "separate"])
@pytest.mark.parametrize("kind, inputs, every", [("one_hot", 6, 1), ("one_hot", 6, 4), ("hadamard", 8, 1), ("hadamard", 6, 3)])
def test_shd_is_the_plain_loop(slow, reference, kind, inputs, every):
    rule = SHD(
        fast=FAST,
        slow=SLOW[slow],
        reference=reference,
        transfer_vectors=kind,
        transfer_every=every,
        fast_lr=0.4,
        slow_lr=0.3,
        forward=EXACT,
        transfer_forward=EXACT,
        pulses=SCHEME,
        transfer_pulses=TRANSFER_SCHEME,
    )
    shape = (5, inputs)
    tile = rule.build(shape, rng=67)
    tile.program(0.05 * np.ones(shape))
    fast, slow_w = (array.weights.astype(np.float64) for array in (tile.fast.main, tile.slow.main))
    ref = tile.fast.reference.weights.astype(np.float64)
    loop = functools.partial(
        oracle.shd,
        transfer_every=every,
        transfer_vector=getattr(oracle, kind),
        fast_write=writer(tile.fast.main, DETERMINISTIC),
        slow_write=writer(tile.slow.main, TRANSFER),
    )
    done = 0
    for n, lr in ((25, 0.2), (7, 0.1), (30, -0.15)):
        x, d = vectors(n, shape, seed=68 + n)
        fast, slow_w = loop(fast, ref, slow_w, x, d, fast_lr=lr * 0.4, slow_lr=abs(lr) * 0.3, first=done)
        done += n
        tile.update(x, d, lr)
        np.testing.assert_allclose(tile.fast.main.weights, fast, atol=1e-5)
        np.testing.assert_allclose(tile.slow.main.weights, slow_w, atol=1e-5)
    np.testing.assert_array_equal(tile.fast.reference.weights, np.float32(ref))
    np.testing.assert_allclose(tile.weights, slow_w - tile.slow.reference.weights, atol=1e-5)
    np.testing.assert_array_equal(tile.weights, tile.slow.weights)
    if slow != "ideal":
        assert np.abs(slow_w - 0.05).max() > 0.015


# ---- SHD: transfers ---------------------------------------------------------------------------------------------------


def linear(shape=(3, 4), **settings):
    """SHD on ideal devices: A stays as programmed where x is zero, C takes every transfer exactly."""
    tile = SHD(fast=Ideal(), slow=Ideal(), transfer_forward=EXACT, **settings).build(shape, rng=70)
    a = np.random.default_rng(71).normal(size=shape).astype(np.float32)
    tile.fast.main.program(a)
    return tile, a


def transfers(tile, n, lr=1.0):
    tile.update(np.zeros((n, tile.shape[1])), np.zeros((n, tile.shape[0])), lr)


def test_columns_are_transferred_in_turn():
    tile, a = linear(transfer_every=3, slow_lr=0.5)
    expected, seen = np.zeros((3, 4)), 0
    for n in (1, 2, 3, 5, 7, 1, 1, 4):
        transfers(tile, n, lr=0.25)
        for count in range(seen + 1, seen + n + 1):
            if count % 3 == 0:
                column = (count // 3 - 1) % 4
                expected[:, column] += 0.125 * a[:, column]
        seen += n
        np.testing.assert_allclose(tile.weights, expected, atol=1e-6)
    np.testing.assert_array_equal(tile.fast.weights, a)


@pytest.mark.parametrize("inputs", [1, 2, 4, 8, 16])
def test_a_full_hadamard_cycle_moves_c_as_a_one_hot_cycle_does(inputs):
    """The transfer vectors are orthogonal: the sum of u u^T over a cycle is a multiple of the identity."""
    for kind in ("one_hot", "hadamard"):
        tile, a = linear((3, inputs), transfer_vectors=kind, slow_lr=0.5)
        transfers(tile, inputs)
        np.testing.assert_allclose(tile.weights, 0.5 * a, atol=2e-6)
        transfers(tile, 2 * inputs)
        np.testing.assert_allclose(tile.weights, 1.5 * a, atol=5e-6)


@pytest.mark.parametrize("inputs, order", [(3, 4), (5, 8), (12, 16)])
def test_a_hadamard_cycle_of_other_sizes_moves_c_as_much_per_transfer(inputs, order):
    tile, a = linear((3, inputs), transfer_vectors="hadamard", slow_lr=0.5)
    transfers(tile, order)
    np.testing.assert_allclose(tile.weights, 0.5 * a * order / inputs, atol=5e-6)


def test_one_hadamard_transfer_reads_all_columns():
    tile, a = linear(transfer_vectors="hadamard")
    before = np.zeros((3, 4))
    for k in range(6):
        transfers(tile, 1)
        u = oracle.hadamard(k, 4)
        np.testing.assert_allclose(tile.weights - before, np.outer(a @ u, u) / 4, atol=2e-6)
        before = tile.weights


def test_a_transfer_reads_a_through_transfer_forward():
    """Its rounding, its clip and the level of its noise; not those of the reads of C."""
    forward = Periphery(adc=ADC(noise=3.0))
    coarse = Periphery(
        dac=DAC(bits=None, bound=None), adc=ADC(bits=3, bound=1.5, noise=0.0), noise_management="none", bound_management="none"
    )
    tile = SHD(fast=Ideal(), slow=Ideal(), forward=forward, transfer_forward=coarse).build((4, 4), rng=72)
    a = np.array([[0.2, 0.7, -0.6, 9.0], [0.3, -2.0, 1.1, 0.0], [1.4, 0.1, -0.4, 0.6], [0.8, -0.9, 1.2, -1.3]])
    tile.fast.main.program(a)
    transfers(tile, 4)
    np.testing.assert_allclose(tile.weights, np.clip(np.rint(a / 0.5) * 0.5, -1.5, 1.5), atol=1e-6)
    assert tile.slow.main.forward_periphery == forward and tile.fast.main.forward_periphery == coarse

    noisy = coarse.replace(adc=ADC(bits=None, bound=None, noise=0.2))
    tile = SHD(fast=Ideal(), slow=Ideal(), slow_lr=0.5, transfer_forward=noisy).build((100, 90), rng=73)
    transfers(tile, 90)
    w = tile.weights.astype(np.float64) / 0.1
    assert stats.kstest(w.ravel(), "norm").pvalue > 1e-6
    chi2 = stats.chi2(w.size)
    assert min(chi2.cdf(np.sum(w**2)), chi2.sf(np.sum(w**2))) > 1e-6
    assert abs(np.sum(w[:, 1:] * w[:, :-1])) < 5 * np.sqrt(100 * 89)


def test_a_is_read_against_its_reference():
    tile, a = linear(slow_lr=1.0)
    reference = np.random.default_rng(74).normal(size=(3, 4)).astype(np.float32)
    tile.fast.reference.program(reference)
    before = tile.slow.main.weights
    transfers(tile, 4)
    np.testing.assert_allclose(tile.slow.main.weights - before, a - reference, atol=1e-6)


# ---- SHD: its arrays --------------------------------------------------------------------------------------------------


def test_a_shared_reference_is_one_array():
    tile = SHD(fast=SoftBounds(up_down=0.2)).build((6, 7), rng=75)
    assert tile.slow.reference is tile.fast.reference
    np.testing.assert_array_equal(tile.fast.reference.weights, tile.fast.main.weights)
    point, p = tile.fast.main.symmetry_point(), tile.fast.reference.parameters
    inside = (point < p["w_max"]) & (point > p["w_min"])
    np.testing.assert_allclose(tile.fast.main.weights[inside], point[inside], atol=1e-7)
    assert inside.all() or (tile.fast.weights == 0.0).all()


def test_separate_references_are_at_the_symmetry_points_of_their_own_arrays():
    wide = dict(w_max=3.0, w_min=-3.0, w_max_dtod=0.0, w_min_dtod=0.0)
    rule = SHD(fast=SoftBounds(up_down=0.2, **wide), slow=SoftBounds(up_down=-0.1, **wide), reference="separate")
    tile = rule.build((6, 7), rng=76)
    assert tile.slow.reference is not tile.fast.reference
    for pair in (tile.fast, tile.slow):
        np.testing.assert_allclose(pair.reference.weights, pair.main.symmetry_point(), atol=1e-7)
        assert not pair.weights.any()
    constant = SHD(fast=SoftBounds(up_down=0.2), slow=ConstantStep(), reference="separate").build((6, 7), rng=77)
    assert not constant.slow.reference.weights.any() and not constant.weights.any()


def test_arrays_of_a_tile_are_drawn_independently():
    tile = SHD(reference="separate").build((40, 50), rng=78)
    arrays = [tile.fast.main, tile.fast.reference, tile.slow.main, tile.slow.reference]
    assert len({array._core.devices.key for array in arrays}) == 4
    for k, a in enumerate(arrays):
        for b in arrays[:k]:
            r = np.corrcoef(a.parameters["step_up"].ravel(), b.parameters["step_up"].ravel())[0, 1]
            assert abs(r) < 5 / np.sqrt(2000)


def test_zero_shift_by_pulses_happens_when_a_tile_is_built():
    rule = SHD(fast=SoftBounds(dw_min=0.02, up_down=0.1, dw_min_std=0.0), zero_shift="pulses")
    tile = rule.build((3, 4), rng=79)
    pulses = 20 * 60 // 2
    assert tile.fast.main.pulse_count == (pulses * 12, pulses * 12)
    assert (np.abs(tile.fast.main.weights - tile.fast.main.symmetry_point()) < 0.05).all()
    both = rule.replace(reference="separate").build((3, 4), rng=79)
    assert both.slow.main.pulse_count == (pulses * 12, pulses * 12)
    assert both.pulse_count == (2 * pulses * 12, 2 * pulses * 12)
    assert SHD().build((3, 4), rng=79).pulse_count == (0, 0)


def test_programming_a_tile_writes_c_only():
    tile = SHD(fast=SoftBounds(up_down=0.1)).build((6, 7), rng=80)
    fast, reference, p = tile.fast.main.weights, tile.fast.reference.weights, tile.slow.main.parameters
    w = np.random.default_rng(81).normal(0, 0.5, (6, 7)).astype(np.float32)
    tile.program(w)
    np.testing.assert_allclose(tile.weights, np.clip(w + reference, p["w_min"], p["w_max"]) - reference, atol=1e-7)
    np.testing.assert_array_equal(tile.fast.main.weights, fast)
    np.testing.assert_array_equal(tile.fast.reference.weights, reference)


def test_pulses_of_both_arrays_are_counted():
    tile = SHD(transfer_every=2, slow_lr=0.5).build((6, 7), rng=82)
    tile.update(*vectors(40, (6, 7)), 0.5)
    fast, slow = tile.fast.main.pulse_count, tile.slow.main.pulse_count
    assert min(*fast, *slow) > 0
    assert tile.pulse_count == (fast.up + slow.up, fast.down + slow.down)
    assert tile.fast.reference.pulse_count == (0, 0)
