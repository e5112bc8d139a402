"""Residual learning, RIDER and multi-tile residual learning: against plain loops, and what their theory says of them."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import algorithms as oracle
from oracle.tiles import DETERMINISTIC, EXACT, NO_SPREAD, SCHEME, TRANSFER, TRANSFER_SCHEME, vectors, writer
from scipy import stats

import rpusim as rpu
from rpusim import PulseScheme
from rpusim.algorithms import ERIDER, RIDER, SGD, MultiTileResidual, ResidualLearning, ResidualLearningV2, TikiTaka
from rpusim.devices import ConstantStep, SoftBounds

FAST = SoftBounds(dw_min=0.01, dw_min_std=0.0, up_down=0.1)
SLOW = ConstantStep(dw_min=0.004, dw_min_std=0.0)
ONE = dict(desired_bl=1, update_management=False, update_bl_management=False)
SETTINGS = dict(fast=FAST, slow=SLOW, forward=EXACT, transfer_forward=EXACT, pulses=SCHEME, transfer_pulses=TRANSFER_SCHEME)
SHAPE = (5, 4)


def arrays_of(tile):
    return [array.weights.astype(np.float64) for array in tile.arrays]


@pytest.mark.parametrize("gamma", [0.0, 0.4])
def test_residual_learning_is_the_plain_loop(gamma):
    rule = ResidualLearning(**SETTINGS, gamma=gamma, fast_lr=0.5, transfer_lr=0.3, n_reads_per_transfer=4)
    tile = rule.build(SHAPE, rng=120)
    tile.program(0.05 * np.ones(SHAPE))
    np.testing.assert_allclose(tile.weights, 0.05, atol=1e-6)
    x, d = vectors(40, SHAPE, seed=121)
    reference = tile.references[0].weights
    p, w = oracle.tiki_taka(
        arrays_of(tile),
        [reference],
        x,
        d,
        fast_lr=0.1,
        transfer_lr=[0.06],
        transfer_every=[1],
        reads=4,
        writes=[writer(tile.arrays[0], DETERMINISTIC), writer(tile.arrays[1], TRANSFER)],
    )
    tile.update(x, d, 0.2)
    np.testing.assert_allclose(tile.arrays[0].weights, p, atol=2e-5)
    np.testing.assert_allclose(tile.weights, w + gamma * (p - reference), atol=4e-5)


def test_version_2_leaks():
    rule = ResidualLearningV2(**(SETTINGS | dict(transfer_pulses=SCHEME.replace(**ONE))), transfer_lr=0.3, fast_lr=0.5)
    tile = rule.build(SHAPE, rng=122)
    x, d = vectors(120, SHAPE, seed=123)
    slow = writer(tile.arrays[1], ONE)
    p, w = arrays_of(tile)
    reference = tile.references[0].weights
    p, w, buffer, _ = oracle.tiki_taka_v2(
        p,
        reference,
        w,
        x,
        d,
        fast_lr=0.1,
        gain=0.06 / 0.004,
        leak=0.06,
        forget=False,
        fast_write=writer(tile.arrays[0], DETERMINISTIC),
        slow_write=lambda w, u, v, step: slow(w, u, v, 0.004 * step),
    )
    tile.update(x, d, 0.2)
    np.testing.assert_allclose(tile.buffer, buffer, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(tile.weights, w + 0.4 * (p - reference), atol=3e-5)
    assert np.abs(w).max() > 0.01
    with pytest.raises(ValueError, match="lr must be such that .* at most 1; got 1.5"):
        tile.update(x, d, 5.0)


@pytest.mark.parametrize(
    "rule",
    [
        RIDER(**SETTINGS, reference_lr=0.2, fast_lr=0.5, transfer_lr=0.4),
        ERIDER(**SETTINGS, reference_lr=0.2, fast_lr=0.5, transfer_lr=0.4, in_chop_prob=0.3, transfer_every=2),
        ERIDER(**SETTINGS, reference_lr=0.05, fast_lr=0.5, transfer_lr=0.4, in_chop_prob=0.2, in_chop_random=False),
        ERIDER(
            **SETTINGS, reference_lr=0.1, fast_lr=0.5, transfer_lr=0.4, in_chop_prob=0.7, in_chop_random=False, transfer_every=3
        ),
        ERIDER(
            **SETTINGS,
            reference_lr=0.1,
            fast_lr=0.8,
            transfer_lr=0.4,
            in_chop_prob=0.2,
            in_chop_random=False,
            transfer_every=2,
            auto_granularity=1.0,
            auto_scale=True,
            auto_momentum=0.9,
        ),
    ],
    ids=["rider", "e-rider", "e-rider, every 5th read", "e-rider, every 2nd read", "e-rider with a buffer"],
)
def test_rider_is_the_plain_loop(rule):
    tile = rule.build(SHAPE, rng=124)
    assert tile.references == (None,)
    x, d = vectors(90, SHAPE, seed=125)
    p, w = arrays_of(tile)
    fast, slow = writer(tile.arrays[0], DETERMINISTIC), writer(tile.arrays[1], TRANSFER)
    chopped = isinstance(rule, ERIDER)
    if chopped and not rule.in_chop_random:
        period = {0.2: 5, 0.7: 2}[rule.in_chop_prob]
        signs = oracle.regular_choppers(90, *SHAPE, period, rule.transfer_every)
        tile.update(x, d, 0.2)
        np.testing.assert_array_equal(tile.choppers[1], signs[-1][1])
    else:  # at random, by a law that is tested below
        signs = [tile.choppers]
        for one_x, one_d in zip(x, d, strict=True):
            tile.update(one_x, one_d, 0.2)
            signs.append(tile.choppers)
    assert any((s[1] < 0).any() for s in signs) == chopped
    buffered = rule.auto_granularity > 0.0
    p, w, q, held = oracle.rider(
        p,
        w,
        x,
        d,
        fast_lr=0.2 * rule.fast_lr,
        transfer_lr=0.08 * (4 * 2 / (1.0 * 0.01) if buffered else 1.0),
        step=0.004 if buffered else None,
        auto=(SCHEME.desired_bl * 0.01, 1 - rule.auto_momentum) if buffered else None,
        eta=rule.reference_lr,
        fast_write=fast,
        slow_write=slow,
        signs=signs if chopped else None,
        transfer_every=rule.transfer_every,
    )
    np.testing.assert_allclose(tile.arrays[0].weights, p, atol=2e-5)
    np.testing.assert_allclose(tile.tracked_reference, q, atol=2e-5)
    shown = (p - held) * signs[-1][1] if chopped else p - q
    np.testing.assert_allclose(tile.weights, w + 0.4 * shown, atol=5e-5)
    assert np.abs(w).max() > 0.02 and np.abs(shown).max() > 0.02


def test_choppers_of_e_rider_flip_with_their_probability():
    """6000 flips or not: a probability that is off by 10 % is off by 4 sigma, and by a factor of 2 by 30."""
    tile = ERIDER(FAST, in_chop_prob=0.2, transfer_every=2).build((2, 3), rng=135)
    flips, before = np.zeros(3, int), np.ones(3)
    for t in range(1, 12001):
        tile.update(np.zeros(3), np.zeros(2), 0.1)
        outputs, inputs = tile.choppers
        changed = np.flatnonzero(inputs != before)
        assert (outputs == 1).all() and set(changed) <= ({(t // 2 - 1) % 3} if t % 2 == 0 else set())
        flips[changed] += 1
        before = inputs
    assert all(stats.binomtest(int(n), 2000, 0.2).pvalue > 1e-6 for n in flips)
    assert stats.binomtest(int(flips.sum()), 6000, 0.2).pvalue > 1e-6


@pytest.mark.parametrize(
    "rule",
    [
        ResidualLearning(FAST, forward=EXACT),
        RIDER(FAST, forward=EXACT),
        MultiTileResidual(FAST, n_tiles=16, transfer_every_growth=1, forward=EXACT),
    ],
    ids=["residual", "rider", "16 tiles"],
)
def test_reads_see_arrays_that_were_written_directly(rule):
    tile = rule.build(SHAPE, rng=126)
    before = tile.forward(np.eye(4)).T
    old = tile.arrays[0].weights
    tile.arrays[0].program(old + 0.1)
    moved = tile._gammas[0] * (tile.arrays[0].weights - old)  # less than 0.1 where a bound is met
    assert np.count_nonzero(moved) == moved.size
    np.testing.assert_allclose(tile.forward(np.eye(4)).T, before + moved, atol=1e-6)
    np.testing.assert_allclose(tile.backward(np.eye(5)), before + moved, atol=1e-6)
    np.testing.assert_allclose(tile.weights, before + moved, atol=1e-6)


# ---- theory ----------------------------------------------------------------------------------------------------------


def settled(rule, target, noise, lr, samples, seed, start=None, read=lambda tile: tile.weights):
    """Mean of the weights over the second half of a regression y = W x + noise."""
    shape = target.shape
    tile, rng = rule.build(shape, rng=seed), np.random.default_rng(seed + 1)
    total, count = np.zeros(shape), 0
    for k in range(samples):
        x = rng.standard_normal(shape[1])
        tile.update(x, (tile.weights - target) @ x + noise * rng.standard_normal(shape[0]), lr)
        if k >= samples // 2 and k % 5 == 0:
            total += read(tile)
            count += 1
    return total / count, tile


def test_residual_learning_removes_the_offset_of_sgd_on_asymmetric_devices():
    """SGD settles between target and symmetry point, (h w + kappa m s) / (h + kappa m); residual learning at the target."""
    device = SoftBounds(dw_min=0.001, dw_min_std=0.0, up_down=0.3, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    target, noise = np.full((40, 2), -0.3), 0.4
    common = dict(forward=EXACT, pulses=PulseScheme())
    sgd, _ = settled(SGD(device, **common), target, noise, 0.01, 8000, 130)
    # kappa = 1 (soft bounds of +-1), h = 1, m = E|x| E|d| with d normal of noise^2 plus the error of both weights
    deviation = 0.0
    for _ in range(50):  # self-consistent
        m = 2 / np.pi * np.sqrt(noise**2 + 2 * deviation**2)
        deviation = m * 0.6 / (1 + m)
    assert np.mean(sgd) - -0.3 == pytest.approx(deviation, rel=0.15)
    rule = ResidualLearning(
        device,
        SoftBounds(dw_min=0.001, dw_min_std=0.0, w_max=1.0, w_min=-1.0, **NO_SPREAD),
        transfer_forward=EXACT,
        n_reads_per_transfer=2,
        fast_lr=1.0,
        transfer_lr=0.1,
        **common,
    )
    residual, _ = settled(rule, target, noise, 0.02, 20000, 131)
    assert abs(np.mean(residual) - -0.3) < 0.02
    assert abs(np.mean(sgd) - -0.3) > 0.1


def test_the_tracked_reference_goes_to_the_symmetry_point():
    device = SoftBounds(dw_min=0.002, dw_min_std=0.0, up_down=0.3, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    slow = SoftBounds(dw_min=0.001, dw_min_std=0.0, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    rule = ERIDER(
        device,
        slow,
        forward=EXACT,
        transfer_forward=EXACT,
        n_reads_per_transfer=2,
        reference_lr=5e-4,
        transfer_lr=0.02,
        in_chop_prob=0.005,
    )  # P follows in 1 / (lr kappa m) = 80 vectors, its sign flips after 200, Q follows in 2000
    target = np.full((30, 2), -0.3)
    weights, tile = settled(rule, target, 0.4, 0.05, 24000, 132)
    np.testing.assert_allclose(device.symmetry_point, 0.3)
    assert np.mean(tile.tracked_reference) == pytest.approx(0.3, abs=0.05)
    assert abs(np.mean(weights) - -0.3) < 0.03
    untracked = ResidualLearning(
        device, slow, forward=EXACT, transfer_forward=EXACT, n_reads_per_transfer=2, transfer_lr=0.02, zero_shift="none"
    )
    off, _ = settled(untracked, target, 0.4, 0.05, 24000, 133)
    assert abs(np.mean(off) - -0.3) > 0.05


# ---- many tiles ------------------------------------------------------------------------------------------------------


def test_many_tiles_are_a_chain_of_tiki_taka():
    settings = dict(fast=FAST, forward=EXACT, transfer_forward=EXACT, pulses=SCHEME, transfer_pulses=TRANSFER_SCHEME)
    tiles = MultiTileResidual(**settings, n_tiles=4, gamma=0.3, transfer_every=2, transfer_every_growth=3)
    chain = TikiTaka(
        **settings,
        between=(FAST, FAST),
        gamma=0.3,
        transfer_every=(2, 6, 18),
        transfer_lr=(0.1, 0.12, 0.144),
        scale_transfer_lr=False,
    )
    a, b = tiles.build(SHAPE, rng=140), chain.build(SHAPE, rng=140)
    x, d = vectors(80, SHAPE, seed=141)
    for tile in (a, b):
        tile.update(x, d, 0.3)
    np.testing.assert_array_equal(a.weights, b.weights)
    assert all(np.abs(one.weights - two.weights).max() == 0 for one, two in zip(a.arrays, b.arrays, strict=True))
    w = sum(
        0.3**n * (array.weights - (0 if n == 0 else ref.weights))
        for n, array, ref in zip((3, 2, 1, 0), a.arrays, (*a.references, None), strict=True)
    )
    np.testing.assert_allclose(a.weights, w, atol=1e-6)


def test_the_warm_start_visits_the_tiles_from_the_slowest_on():
    rule = MultiTileResidual(FAST, n_tiles=4, warm_start=True, transfer_every=1, transfer_lr=1.0)
    tile = rule.build(SHAPE, rng=142)
    x, d = vectors(30, SHAPE, seed=143)

    def moved():
        before = [array.weights for array in tile.arrays]
        tile.update(x, d, 0.5)
        return [bool(np.any(array.weights != b)) for array, b in zip(tile.arrays, before, strict=True)]

    assert tile.stage == 0 and moved() == [True, False, False, True]
    assert [tile.end_epoch(loss) for loss in (1.0, 0.8)] == [0, 0]
    assert tile.end_epoch(0.9) == 1 and moved() == [True, False, True, False]
    assert tile.end_epoch(0.5) == 1  # a new stage begins to count anew
    assert tile.end_epoch(0.6) == 2 and moved() == [True, True, False, False]
    assert [tile.end_epoch(loss) for loss in (0.5, 0.6)] == [2, 3]
    assert moved()[:2] == [True, True] and tile.end_epoch(9.0) == 3
    other = rule.build(SHAPE, rng=1)
    other.load_state_dict(tile.state_dict())
    assert other.stage == 3
    for one in (tile, other):
        one.update(x, d, 0.5)
    np.testing.assert_array_equal(tile.weights, other.weights)
    broken = tile.state_dict() | {"vectors": -1}
    with pytest.raises(ValueError, match="vectors"):
        other.load_state_dict(broken)
    with pytest.raises(ValueError, match="buffers"):
        other.load_state_dict(tile.state_dict() | {"stage": 1})
    assert other.stage == 3


def test_later_stages_of_the_warm_start_end_with_two_rises_in_six_epochs():
    tile = MultiTileResidual(FAST, n_tiles=7, transfer_every_growth=1, warm_start=True).build((2, 3), rng=144)
    for stage in range(4):  # of the first four each ends with the first rise
        assert [tile.end_epoch(loss) for loss in (1.0, 2.0)] == [stage, stage + 1]
    assert [tile.end_epoch(loss) for loss in (1.0, 2.0, 1.5, 1.4, 1.3, 1.2, 1.1, 1.6)] == [4] * 8  # two rises, six epochs apart
    assert [tile.end_epoch(loss) for loss in (1.5, 1.7)] == [4, 5]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: MultiTileResidual(n_tiles=1), ["n_tiles", "1"]),
        (lambda: MultiTileResidual(n_tiles=16, transfer_every_growth=10), ["transfer_every_growth"]),
        (lambda: ERIDER(in_chop_prob=0.0), ["in_chop_prob"]),
        (lambda: RIDER(reference_lr=1.5), ["reference_lr", "1.5"]),
        (lambda: ResidualLearning(gamma=-1.0), ["gamma", "-1.0"]),
        (lambda: TikiTaka().build((2, 3), rng=0).tracked_reference, ["tracked_reference"]),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_costs():
    assert RIDER().build((3, 4)).resources() == (2, 12, 0, 1.0, 2.0, 0.0)
    assert ERIDER().build((3, 4)).resources() == (2, 24, 7, 1.0, 2.0, 0.0)
    assert ResidualLearningV2().build((3, 4)).resources() == (3, 12, 0, 1.0, 2.0, 0.0)
    assert MultiTileResidual(n_tiles=3).build((3, 4)).resources().arrays == 5
    assert rpu.from_json(ERIDER().to_json()) == ERIDER()
