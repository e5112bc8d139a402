"""Algorithms with a digital gradient: against plain loops, the peer's recorded weights, and their laws of chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from oracle import algorithms as oracle
from oracle.tiles import EXACT, NO_SPREAD, vectors, writer
from scipy import stats

from rpusim import PulseScheme
from rpusim.algorithms import EaPU, Manhattan, MixedPrecision
from rpusim.devices import ConstantStep, OneSidedCell, SoftBounds

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["compounds"]["mixedprec"]
MANAGED = dict(desired_bl=20, update_management=True, update_bl_management=True)
SCHEME = PulseScheme(pulse_type="deterministic_implicit", **MANAGED)
QUIET = dict(dw_min_std=0.0, **NO_SPREAD)


def test_mixed_precision_matches_the_recorded_compound():
    rule = MixedPrecision(
        ConstantStep(dw_min=0.005, w_max=1.0, w_min=-1.0, **QUIET),
        transfer_every=3,
        aihwkit_transfer=True,
        forward=EXACT,
        pulses=PulseScheme(desired_bl=10, pulse_type="deterministic_implicit"),
    )
    tile, compared = rule.build((2, 3), rng=110), 0
    tile.program([[0.1, -0.2, 0.05], [0.0, 0.15, -0.1]])
    for t in range(1, 25):
        x, d = np.cos(0.7 * t + 0.5 * np.arange(3)), 0.9 * np.sin(0.4 * t + 0.9 * np.arange(2) + 0.3) + 0.2
        tile.update(x, d, 0.05)
        if str(t) in GOLDEN:
            compared += 1
            np.testing.assert_allclose(tile.weights, GOLDEN[str(t)]["W"], atol=1e-6)
            np.testing.assert_allclose(tile.chi, GOLDEN[str(t)]["hidden_weights_chi"], atol=1e-6)
    assert compared == 6


CASES = {
    "mixed": (MixedPrecision, dict(), dict()),
    "mixed, some rows": (MixedPrecision, dict(transfer_every=3, n_rows_per_transfer=2), dict(every=3, rows_per_transfer=2)),
    "mixed, own unit": (MixedPrecision, dict(granularity=0.03, transfer_lr=0.5), dict(unit=0.03, step=0.015)),
    "mixed, quantised": (
        MixedPrecision, dict(n_x_bins=7, n_d_bins=4, stoc_round_x=False, stoc_round_d=False), dict(bins=(7, 4)),
    ),
    "mixed, x quantised": (MixedPrecision, dict(n_x_bins=5, stoc_round_x=False), dict(bins=(5, 0))),
    "mixed, short trains": (MixedPrecision, dict(pulses=SCHEME.replace(desired_bl=2)), dict(most=2)),
    "manhattan": (Manhattan, dict(), dict(rule="sign")),
    "manhattan, every 4": (Manhattan, dict(transfer_every=4, dead_zone=0.02), dict(rule="sign", every=4, dead_zone=0.02)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_plain_loop(name):
    kind, settings, of_oracle = CASES[name]
    device = SoftBounds(dw_min=0.01, dw_min_std=0.0, up_down=0.1)
    rule = kind(device, forward=EXACT, **({"pulses": SCHEME} | settings))
    of_oracle = {"unit": 0.01, "every": 1, "rule": "truncate", "most": 20} | of_oracle
    step = of_oracle.pop("step", of_oracle["unit"])
    shape = (5, 7)
    tile = rule.build(shape, rng=111)
    tile.program(0.05 * np.ones(shape))
    x, d = vectors(40, shape, seed=112)
    base = writer(tile.array, MANAGED | {"desired_bl": rule.pulses.desired_bl})
    w, chi = oracle.digital(
        tile.weights.astype(np.float64), x, d, lr=0.02, write=lambda w, n, e, one: base(w, n, e, one * step), **of_oracle
    )
    tile.update(x, d, 0.02)
    np.testing.assert_allclose(tile.weights, w, atol=2e-5)
    np.testing.assert_allclose(tile.chi, chi, atol=2e-6)
    assert np.abs(w - 0.05).max() > 0.02


def test_stochastic_rounding_keeps_the_mean():
    """Rounding errors of x and d are independent and of mean 0: over many vectors chi is lr sum d x^T."""
    rule = MixedPrecision(ConstantStep(dw_min=1e6, w_max=1e9, w_min=-1e9, **QUIET), n_x_bins=4, n_d_bins=4)
    tile, n = rule.build((3, 4), rng=113), 20000
    x, d = np.array([1.0, 0.3, -0.6, 0.05], np.float32), np.array([-1.0, 0.4, 0.2], np.float32)
    tile.update(np.tile(x, (n, 1)), np.tile(d, (n, 1)), 1.0)
    error = tile.chi / n - np.outer(d, x)
    assert np.abs(error).max() < 5 * 0.5 / np.sqrt(n)  # widths are 1/2, so each deviation is below 1/2
    exact = rule.replace(stoc_round_x=False, stoc_round_d=False).build((3, 4), rng=113)
    exact.update(np.tile(x, (n, 1)), np.tile(d, (n, 1)), 1.0)
    assert np.abs(exact.chi / n - np.outer(d, x)).max() > 0.1


@pytest.mark.parametrize("threshold", [1, 3])
def test_eapu_writes_all_or_nothing_with_the_right_mean(threshold):
    device = ConstantStep(dw_min=0.01, w_max=100.0, w_min=-100.0, **QUIET)
    tile = EaPU(device, threshold=threshold).build((50, 60), rng=114)
    x, d, n = np.full(60, 0.5, np.float32), np.full(50, 0.013, np.float32), 300
    tile.update(np.tile(x, (n, 1)), np.tile(d, (n, 1)), 1.0)  # 0.65 pulses each time
    pulses = np.rint(-tile.weights / 0.01).astype(int)
    assert not (pulses % threshold).any()
    writes = pulses // threshold
    assert stats.binomtest(int(writes.sum()), n * 3000, 0.65 / threshold).pvalue > 1e-6
    p = 0.65 / threshold
    chi2 = np.sum((writes - n * p) ** 2) / (n * p * (1 - p))
    assert stats.chi2(3000).sf(chi2) > 1e-6 and stats.chi2(3000).cdf(chi2) > 1e-6
    assert not tile.chi.any() and tile.pulse_count == (0, pulses.sum())


def test_eapu_writes_changes_beyond_the_threshold_at_once():
    device = ConstantStep(dw_min=0.01, w_max=100.0, w_min=-100.0, **QUIET)
    tile = EaPU(device, threshold=2).build((40, 50), rng=115)
    tile.update(np.full(50, 1.0), np.full(40, -0.0525), 1.0)
    pulses = np.rint(tile.weights / 0.01).astype(int)
    assert set(np.unique(pulses)) == {5, 6}
    assert stats.binomtest(int((pulses == 6).sum()), 2000, 0.25).pvalue > 1e-6


def test_eapu_writes_far_less_often_than_sgd_would_move_and_learns_under_write_noise():
    """The noise of a write is 4 pulses; with a threshold of 8 few writes are made, and the weights still settle."""
    device = ConstantStep(dw_min=0.005, w_max=1.0, w_min=-1.0, write_noise_std=4.0, dw_min_std=0.0, **NO_SPREAD)
    tile, rng, n = EaPU(device, threshold=8, forward=EXACT).build((10, 10), rng=116), np.random.default_rng(117), 3000
    target = rng.uniform(-0.4, 0.4, (10, 10))
    for _ in range(n):
        x = rng.standard_normal(10)
        tile.update(x, (tile.weights - target) @ x, 0.005)
    writes = sum(tile.pulse_count) / 8
    assert writes < 0.02 * n * 100
    assert np.sqrt(np.mean((tile.weights - target) ** 2)) < 0.08 < 0.5 * target.std()


def test_manhattan_ignores_the_size_of_gradients():
    tile = Manhattan(ConstantStep(dw_min=0.01, **QUIET)).build((2, 3), rng=118)
    tile.update([5.0, 0.01, -1.0], [0.2, -3.0], 1e-4)
    np.testing.assert_allclose(tile.weights, [[-0.01, -0.01, 0.01], [0.01, 0.01, -0.01]], atol=1e-7)
    tile.update([5.0, 0.01, -1.0], [0.2, -3.0], 0.0)
    assert sum(tile.pulse_count) == 6


def test_random_rows_are_uniform():
    device = ConstantStep(dw_min=0.01, w_max=1e6, w_min=-1e6, **QUIET)
    rule = MixedPrecision(device, n_rows_per_transfer=1, random_row=True, pulses=SCHEME)
    tile, n = rule.build((6, 2), rng=119), 3000
    for _ in range(n):
        tile.update(np.ones(2), np.full(6, 0.01), 1.0)
    age = tile.chi[:, 0] / 0.01  # vectors since the row was last written (and what a train could not hold)
    written = np.rint(-tile.weights[:, 0] / 0.01)
    np.testing.assert_allclose(written + age, n, atol=0.6)
    assert 0.0 < age.mean() < 30.0


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: MixedPrecision(pulses=PulseScheme(update_bl_management=False)), ["pulses", "update_bl_management"]),
        (lambda: MixedPrecision(n_x_bins=1), ["n_x_bins", "1"]),
        (lambda: MixedPrecision(n_rows_per_transfer=4).build((3, 4)), ["n_rows_per_transfer", "3", "4"]),
        (lambda: EaPU(threshold=32), ["threshold", "31", "32"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_costs():
    assert MixedPrecision(transfer_every=2).build((3, 4)).resources() == (1, 12, 0, 0.0, 1.5, 12.0)
    assert EaPU().build((3, 4)).resources() == (1, 0, 0, 0.0, 3.0, 12.0)
    assert Manhattan(transfer_every=3).build((3, 4)).resources() == (1, 12, 0, 0.0, 1.0, 12.0)


# ---- pairs of devices that only rise ---------------------------------------------------------------------------------


def _of_a_pair(kind, device, refresh_every=0, upper=0.5, **settings):
    cell = OneSidedCell(
        device,
        refresh_every=refresh_every,
        refresh_upper=upper,
        refresh_lower=0.1,
        refresh_forward=EXACT,
        refresh_pulses=SCHEME,
    )
    return kind(cell, forward=EXACT, **({"pulses": SCHEME} | settings))


@pytest.mark.parametrize("kind", [MixedPrecision, Manhattan])
def test_a_pair_of_linear_devices_is_one_that_goes_both_ways(kind):
    """Each pulse on one of the two moves the difference by one step, as a pulse on a device does."""
    own = ConstantStep(dw_min=0.01, w_max=5.0, w_min=-5.0, **QUIET)
    pair = _of_a_pair(kind, own.replace(w_min=0.0)).build((5, 7), rng=120)
    single = kind(own, forward=EXACT, pulses=SCHEME).build((5, 7), rng=121)
    x, d = vectors(40, (5, 7), seed=122)
    for tile in (pair, single):
        tile.update(x, d, 0.02)
    np.testing.assert_allclose(pair.weights, single.weights, atol=1e-5)
    np.testing.assert_array_equal(pair.chi, single.chi)
    minus, plus = pair.array.arrays
    assert minus.weights.min() >= 0.0 and plus.weights.min() >= 0.0
    assert minus.weights.max() > 0.05 and plus.weights.max() > 0.05
    assert pair.pulse_count == (sum(single.pulse_count), 0)
    assert pair.resources().arrays == 2


def test_both_of_a_pair_follow_their_own_response():
    """n pulses on a device with soft bounds: w_max - w shrinks by (1 - step / w_max)^n, whichever of the two it is."""
    tile = _of_a_pair(MixedPrecision, SoftBounds(dw_min=0.05, w_max=0.8, w_min=0.0, up_down=0.0, **QUIET)).build(
        (1, 2), rng=123
    )
    tile.update([1.0, -1.0], [1.0], 0.31)  # six steps of 0.05 are due, and 0.01 is left
    minus, plus = (array.weights for array in tile.array.arrays)
    risen = 0.8 * (1 - (1 - 0.05 / 0.8) ** 6)
    np.testing.assert_allclose(minus, [[risen, 0.0]], atol=1e-6)
    np.testing.assert_allclose(plus, [[0.0, risen]], atol=1e-6)
    np.testing.assert_allclose(tile.weights, [[-risen, risen]], atol=1e-6)
    np.testing.assert_allclose(tile.chi, [[0.01, -0.01]], atol=1e-6)


@pytest.mark.parametrize("late", [False, True])
def test_pairs_are_refreshed_after_so_many_transfers(late, monkeypatch):
    """Every second transfer, and these every three vectors: after vector 6, 12, 18, ... or the one after."""
    tile = _of_a_pair(MixedPrecision, ConstantStep(w_min=0.0), refresh_every=2, transfer_every=3, aihwkit_transfer=late)
    tile, seen = tile.build((5, 7), rng=124), []
    monkeypatch.setattr(tile.array, "_refresh", lambda cell: seen.append(tile._loop.vectors))
    x, d = vectors(32, (5, 7), seed=125)
    tile.update(x[:10], d[:10], 0.02)
    for k in range(10, 32):
        tile.update(x[k], d[k], 0.02)
    assert seen == [6 + late, 12 + late, 18 + late, 24 + late, 30 + late]


def test_refreshed_pairs_keep_learning_and_their_weights():
    """Without a refresh both devices of a cross-point fill up under gradients of changing sign; with it they do not."""
    rng = np.random.default_rng(126)
    device = SoftBounds(dw_min=0.02, w_max=1.0, w_min=0.0, up_down=0.0, **QUIET)
    full = []
    for refresh_every in (0, 4):
        tile = _of_a_pair(MixedPrecision, device, refresh_every).build((4, 3), rng=127)
        for _ in range(60):
            x = rng.choice([-1.0, 1.0], 3)
            tile.update(x, rng.choice([-1.0, 1.0], 4), 0.05)
        full.append(min(array.weights.mean() for array in tile.array.arrays))
    assert full[0] > 0.5 > 0.35 > full[1]


def test_a_pair_is_saved_and_goes_on():
    rule = _of_a_pair(MixedPrecision, SoftBounds(dw_min=0.01, w_min=0.0), refresh_every=5, upper=0.2)
    tile, other = rule.build((5, 7), rng=128), rule.build((5, 7), rng=129)
    x, d = vectors(30, (5, 7), seed=130)
    tile.update(x[:17], d[:17], 0.05)
    other.load_state_dict(tile.state_dict())
    for one in (tile, other):
        one.update(x[17:], d[17:], 0.05)
    np.testing.assert_array_equal(tile.weights, other.weights)
    np.testing.assert_array_equal(tile.chi, other.chi)


def test_a_pair_is_that_of_the_recorded_compound():
    """AIHWKit's MixedPrecisionCompound on a OneSidedUnitCell: weights after 40 vectors."""
    device = SoftBounds(dw_min=0.01, w_max=1.0, w_min=0.0, up_down=0.0, **QUIET)
    rule = MixedPrecision(
        OneSidedCell(device), transfer_every=2, aihwkit_transfer=True, forward=EXACT,
        pulses=PulseScheme(pulse_type="deterministic_implicit"),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    x, d = rng.uniform(-1, 1, (40, 4)).astype("f"), rng.uniform(-1, 1, (40, 3)).astype("f")
    tile = rule.build((3, 4), rng=131)
    tile.update(x, d, 0.05)
    recorded = [
        [-0.04344167, 0.1291304, -0.06205946, 0.02606323],
        [0.13984954, -0.1755726, -0.02528916, -0.08561038],
        [0.04300725, 0.00842944, -0.16303489, 0.0513524],
    ]
    np.testing.assert_allclose(tile.weights, recorded, atol=1e-6)
