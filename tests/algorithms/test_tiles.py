"""Tiles of SGD, SHD and DigitalSGD against plain loops, recorded weights and NumPy; and of all algorithms: equal bits, saving,
errors."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from oracle import algorithms as oracle
from oracle.tiles import DETERMINISTIC, EXACT, NO_SPREAD, SCHEME, TRANSFER, TRANSFER_SCHEME, pulse_of, vectors, writer
from scipy import stats

import rpusim as rpu
from rpusim import ADC, DAC, Periphery, PulseScheme, checkpoint
from rpusim._core.kernels import active_kernel_set, kernel_sets, use_kernel_set
from rpusim.algorithms import (
    AGAD,
    ERIDER,
    RIDER,
    SGD,
    SHD,
    ChoppedTikiTaka,
    DigitalSGD,
    EaPU,
    LowRankTikiTaka,
    Manhattan,
    MixedPrecision,
    MultiTileResidual,
    ResidualLearning,
    ResidualLearningV2,
    TikiTaka,
    TikiTakaV2,
)
from rpusim.algorithms.base import Algorithm, _arrays_of
from rpusim.devices import ConstantStep, Ideal, LinearStep, SoftBounds

ACTIVE = active_kernel_set()
GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["compounds"]["ttv1_gamma0"]
# ---- SGD ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [0.05, -0.02])
@pytest.mark.parametrize("model", [ConstantStep, LinearStep, SoftBounds])
def test_sgd_is_the_plain_loop(model, lr):
    tile = SGD(model(dw_min=0.01, dw_min_std=0.0), forward=EXACT, pulses=SCHEME).build((5, 8), rng=62)
    x, d = vectors(30, (5, 8))
    tile.program(0.1 * np.ones((5, 8)))
    w = oracle.sgd(tile.weights, x, d, lr, 0.01, DETERMINISTIC, pulse_of(tile.array))
    tile.update(x, d, lr)
    np.testing.assert_allclose(tile.weights, w, atol=1e-5)
    np.testing.assert_allclose(tile.forward(x), x @ w.T, atol=1e-4)
    np.testing.assert_allclose(tile.backward(d), d @ w, atol=1e-4)


def test_sgd_passes_its_settings_to_its_array():
    rule = SGD(SoftBounds(), forward=Periphery(bm_max_factor=8.0), backward=EXACT, pulses=SCHEME)
    tile = rule.build((3, 4), rng=63)
    array = tile.array
    assert (array.device, array.forward_periphery, array.backward_periphery, array.pulses) == (
        rule.device,
        rule.forward,
        rule.backward,
        rule.pulses,
    )
    assert tile.shape == (3, 4) and tile.algorithm is rule
    assert repr(tile) == f"{rule!r}.build((3, 4))"
    alone = rpu.CrossbarArray((3, 4), SoftBounds(), forward=rule.forward, backward=EXACT, pulses=SCHEME, rng=63)
    for name, value in array.parameters.items():
        np.testing.assert_array_equal(value, alone.parameters[name])


# ---- DigitalSGD ---------------------------------------------------------------------------------------------------


def test_digital_sgd_is_float32_numpy():
    tile = DigitalSGD().build((7, 19), rng=64)
    w = np.random.default_rng(65).normal(size=(7, 19)).astype(np.float32)
    tile.program(w)
    x, d = vectors(11, (7, 19))
    for a, b in zip(x, d, strict=True):
        w = w - np.float32(0.3) * b[:, None] * a
    tile.update(x, d, 0.3)
    np.testing.assert_array_equal(tile.weights, w)
    np.testing.assert_allclose(tile.forward(x), x @ w.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tile.backward(d), d @ w, rtol=1e-5, atol=1e-5)
    assert tile.pulse_count == (0, 0)


# ---- SHD: the loop ------------------------------------------------------------------------------------------------


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
        assert np.abs(slow_w - 0.05).max() > 0.02


# ---- SHD: transfers -----------------------------------------------------------------------------------------------


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


# ---- SHD: its arrays ----------------------------------------------------------------------------------------------


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


# ---- the same bits ------------------------------------------------------------------------------------------------

SHAPE = (40, 300)
RULES = {
    "sgd": SGD(SoftBounds(dw_min=0.01), pulses=PulseScheme(desired_bl=40, update_bl_management=False)),
    "digital": DigitalSGD(),
    "shd": SHD(SoftBounds(dw_min=0.01), transfer_every=3, fast_lr=0.3, slow_lr=0.5),
    "shd hadamard": SHD(
        LinearStep(dw_min=0.01, gamma_up=0.5, gamma_down=0.5), SoftBounds(dw_min=0.005), transfer_vectors="hadamard",
        reference="separate", transfer_every=7, zero_shift="exact",
    ),
    "tiki-taka": TikiTaka(
        SoftBounds(dw_min=0.01), hidden=(LinearStep(dw_min=0.004),), gamma=0.3, transfer_every=(3, 7), with_reset_prob=0.2,
        reference_offset_std=0.1,
    ),
    "tiki-taka rows": TikiTaka(
        SoftBounds(dw_min=0.01), transfer_columns=False, random_selection=True, n_reads_per_transfer=2, zero_shift="none"
    ),
    "tiki-taka v2": TikiTakaV2(SoftBounds(dw_min=0.01), transfer_lr=0.5),
    "chopped": ChoppedTikiTaka(
        SoftBounds(dw_min=0.01), in_chop_prob=0.5, out_chop_prob=0.3, auto_scale=True, transfer_columns=False
    ),
    "agad": AGAD(SoftBounds(dw_min=0.01), SoftBounds(dw_min=0.005), in_chop_prob=0.5, in_chop_random=True,
                 transfer_columns=False, auto_scale=True),
    "mixed precision": MixedPrecision(SoftBounds(dw_min=0.01), transfer_every=7, n_rows_per_transfer=2, n_x_bins=9,
                                      random_row=True),
    "eapu": EaPU(SoftBounds(dw_min=0.01), threshold=2),
    "manhattan": Manhattan(SoftBounds(dw_min=0.01), transfer_every=3),
    "residual": ResidualLearning(SoftBounds(dw_min=0.01), transfer_every=2, transfer_columns=False),
    "residual v2": ResidualLearningV2(SoftBounds(dw_min=0.01), n_reads_per_transfer=2),
    "rider": RIDER(SoftBounds(dw_min=0.01), reference_lr=0.1, transfer_columns=False),
    "e-rider": ERIDER(SoftBounds(dw_min=0.01), in_chop_prob=0.5, transfer_columns=False),
    "low rank": LowRankTikiTaka(SoftBounds(dw_min=0.01), transfer_every=7, rank=3, b_gain=3.0),
    "multi-tile": MultiTileResidual(SoftBounds(dw_min=0.05), n_tiles=3, transfer_every_growth=2, warm_start=True),
}  # fmt: skip


def trained(rule, splits=(60,), interrupt=None):
    tile, first = rule.build(SHAPE, rng=83), 0
    x, d = vectors(60, SHAPE, seed=84)
    for n in splits:
        tile.update(x[first : first + n], d[first : first + n], 0.2)
        first += n
        if interrupt is not None and first >= 20:
            tile, interrupt = interrupt(tile), None
    assert first == 60
    return tile


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


@pytest.fixture(scope="module")
def reference():
    return functools.cache(lambda name: trained(RULES[name]).state_dict())


@pytest.mark.parametrize("name", RULES)
def test_training_moves_the_weights(name, reference):
    tile = RULES[name].build(SHAPE, rng=83)
    start = tile.weights
    tile.load_state_dict(reference(name))
    if name == "agad":  # which writes its weight after a first period only
        assert np.abs(tile.hidden[0] - RULES[name].build(SHAPE, rng=83).hidden[0]).max() > 0.1
    else:
        assert np.abs(tile.weights - start).max() > 0.004


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_does_not_show(name, threads, reference):
    expected = reference(name)
    rpu.set_num_threads(threads)
    assert same(trained(RULES[name]).state_dict(), expected)


@pytest.mark.parametrize("splits", [(1,) * 60, (1, 2, 0, 3, 14, 40), (59, 1)], ids=["singles", "ragged", "last"])
@pytest.mark.parametrize("name", RULES)
def test_splits_of_a_batch_do_not_show(name, splits, reference):
    assert same(trained(RULES[name], splits).state_dict(), reference(name))


@pytest.mark.parametrize("k", [0.9, 9.0], ids=["one slot", "slots"])
@pytest.mark.parametrize("at_random", [False, True])
@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
@pytest.mark.parametrize("every", [1, 3])
def test_transfers_that_wait_for_their_batch_read_what_they_would_have_read(every, columns, at_random, k):
    """Batches go to the fast array first (algorithms/_transfer.pyx); single vectors are followed by their transfers."""
    device = SoftBounds(dw_min=0.003)
    rule = TikiTaka(device, transfer_every=every, transfer_columns=columns, random_selection=at_random, transfer_lr=2.0)
    rng = np.random.default_rng(88)
    x, d = (rng.choice([-1, 1], (129, n)) * rng.uniform(0.4, 1, (129, n)) for n in (75, 41))
    x[20:30] *= rng.random((10, 75)) < 0.2  # rows by lists and by panels, one after another
    d[50:55] = 0.0
    batch, single = (rule.build((41, 75), rng=89) for _ in range(2))
    for _ in range(2):
        batch.update(x, d, k * device.dw_min)
        for a, b in zip(x, d, strict=True):
            single.update(a[None], b[None], k * device.dw_min)
    assert same(batch.state_dict(), single.state_dict())
    assert np.count_nonzero(batch.weights) > 30


@pytest.mark.parametrize(
    "options",
    [
        dict(transfer_forward=Periphery(dac=DAC(noise=0.1))),
        dict(transfer_forward=Periphery(read_noise=0.05)),
        dict(transfer_forward=Periphery(adc=ADC(noise=0.01), ir_drop=1.0)),
        dict(n_reads_per_transfer=3),
        dict(pulses=PulseScheme(pulse_type="mean_count")),
    ],
    ids=["DAC noise", "read noise", "IR drop", "reads", "counts"],
)
def test_transfers_that_cannot_wait_do_not(options):
    """Their reads see other lines, too, or the fast array has no trains."""
    device = SoftBounds(dw_min=0.003)
    rule = TikiTaka(device, transfer_lr=2.0, **options)
    rng = np.random.default_rng(90)
    x, d = (rng.choice([-1, 1], (30, n)) * rng.uniform(0.4, 1, (30, n)) for n in (35, 21))
    batch, single = (rule.build((21, 35), rng=91) for _ in range(2))
    batch.update(x, d, 5 * device.dw_min)
    for a, b in zip(x, d, strict=True):
        single.update(a[None], b[None], 5 * device.dw_min)
    assert same(batch.state_dict(), single.state_dict())
    assert np.count_nonzero(batch.weights) > 30


@pytest.mark.parametrize("name", RULES)
def test_saving_and_loading_midway_does_not_show(name, reference, tmp_path):
    def interrupt(tile):
        checkpoint.save(tmp_path / "tile.npz", tile.state_dict())
        other = RULES[name].build(SHAPE, rng=999)
        other.load_state_dict(checkpoint.load(tmp_path / "tile.npz"))
        return other

    assert same(trained(RULES[name], (20, 40), interrupt).state_dict(), reference(name))


@pytest.mark.parametrize("how", [copy.deepcopy, lambda tile: pickle.loads(pickle.dumps(tile))], ids=["copy", "pickle"])
@pytest.mark.parametrize("name", RULES)
def test_copies_go_on_alone(name, how, reference):
    originals = []

    def interrupt(tile):
        originals.append(tile)
        return how(tile)

    assert same(trained(RULES[name], (20, 40), interrupt).state_dict(), reference(name))
    x, d = vectors(60, SHAPE, seed=84)
    originals[0].update(x[20:], d[20:], 0.2)
    assert same(originals[0].state_dict(), reference(name))


@pytest.mark.parametrize("name", RULES)
def test_a_tile_whose_arrays_were_calibrated_is_copied(name):
    tile = RULES[name].build((3, 4), rng=0)
    x, d = vectors(20, (3, 4), seed=4)
    changed = []
    for array in _arrays_of(tile):
        array.program(np.full(array.shape, 0.05))
        if np.any(array.weights):
            array.calibrate(np.ones((2, array.shape[1])))
            changed.append(array.forward_periphery)
    assert changed
    twin = copy.deepcopy(tile)
    assert [array.forward_periphery for array in _arrays_of(twin)] == [array.forward_periphery for array in _arrays_of(tile)]
    for one in (tile, twin):
        one.update(x, d, 0.1)
    np.testing.assert_array_equal(twin.forward(x), tile.forward(x))


def test_parameters_that_are_assigned_count_at_once():
    """As in a copy, which is made anew with them."""
    level = SoftBounds(reset_std=0.0, w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0)
    tile = TikiTaka(level, Ideal(), with_reset_prob=1.0, zero_shift="none").build((2, 2), rng=2)
    tile.arrays[0].parameters["reset_level"] = 0.4
    tile.arrays[0].program(np.full((2, 2), 0.9))
    twin = copy.deepcopy(tile)
    for one in (tile, twin):
        one.update(np.zeros(2), np.zeros(2), 0.1)
        np.testing.assert_allclose(one.arrays[0].weights[:, 0], 0.4, atol=1e-6)
    narrow = LowRankTikiTaka(fast=level, slow=Ideal(), rank=2, transfer_every=1, b_gain=0.5).build((3, 4), rng=2)
    for name, value in (("w_max", 0.01), ("w_min", -0.01)):
        narrow.arrays[2].parameters[name] = value
    narrow.update(np.ones(4), np.ones(3), 0.1)
    assert np.abs(narrow.b).max() <= np.float32(0.01)
    np.testing.assert_array_equal(copy.deepcopy(narrow).b, narrow.b)


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets()[1:])
@pytest.mark.parametrize("name", RULES)
def test_all_kernel_sets_give_the_same_bits(name, kernels, reference):
    if "baseline" in (kernels, ACTIVE):
        pytest.skip("the baseline has no fused multiply-adds, and a rounded transfer can turn a pulse")
    expected = reference(name)
    use_kernel_set(kernels)
    assert same(trained(RULES[name]).state_dict(), expected)


@pytest.mark.parametrize("rule", [SHD, TikiTaka, LowRankTikiTaka])
@pytest.mark.parametrize("argument", ["fast", "slow"])
def test_cells_are_refused_where_they_are_named(rule, argument):
    with pytest.raises(TypeError, match=f"{rule.__name__}: {argument} must be (None or )?a single device, not a cell"):
        rule(**{argument: rpu.devices.VectorCell()})


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    "x, d, lr, error, words",
    [
        (np.ones(4), np.ones(2), 0.1, ValueError, ["x", "3", "(4,)"]),
        (np.ones(3), np.ones(3), 0.1, ValueError, ["d", "2", "(3,)"]),
        (np.ones((2, 3)), np.ones((1, 2)), 0.1, ValueError, ["d", "as many vectors", "(2, 3)", "(1, 2)"]),
        (np.full(3, np.nan), np.ones(2), 0.1, ValueError, ["x", "finite", "nan"]),
        (np.ones(3), np.full(2, np.inf), 0.1, ValueError, ["d", "finite", "inf"]),
        (np.ones(3), np.ones(2), np.nan, ValueError, ["lr", "nan"]),
        (np.ones(3), np.ones(2), "fast", TypeError, ["lr", "'fast'"]),
        (np.ones(3, complex), np.ones(2), 0.1, TypeError, ["x", "complex"]),
    ],
)
def test_hostile_updates_are_refused_and_leave_no_trace(name, x, d, lr, error, words):
    tile = RULES[name].build((2, 3), rng=85)
    tile.update(np.ones((4, 3)), np.ones((4, 2)), 0.1)
    before = tile.state_dict()
    with pytest.raises(error) as caught:
        tile.update(x, d, lr)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert str(caught.value).startswith(words[0])
    assert same(tile.state_dict(), before)


def test_rates_beyond_the_longest_free_train_are_refused_by_every_tile():
    free = PulseScheme(fixed_bl=False, update_bl_management=False)
    for rule in (SGD(SoftBounds(dw_min=0.001), pulses=free), SHD(SoftBounds(dw_min=0.001), pulses=free)):
        tile = rule.build((2, 3), rng=86)
        before = tile.state_dict()
        with pytest.raises(ValueError, match="65535"):
            tile.update(np.ones(3), np.ones(2), 100.0)
        assert same(tile.state_dict(), before)
    slow = SHD(SoftBounds(dw_min=0.001), transfer_pulses=free, slow_lr=100.0).build((2, 3), rng=86)
    with pytest.raises(ValueError, match="65535"):
        slow.update(np.ones(3), np.ones(2), 1.0)


def corrupted(name, change):
    state = RULES[name].build((2, 3), rng=1).state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    "name, state, error, words",
    [
        ("sgd", lambda: None, TypeError, ["state", "NoneType"]),
        ("sgd", lambda: {}, ValueError, ["state", "array"]),
        ("sgd", lambda: RULES["shd"].build((2, 3), rng=1).state_dict(), ValueError, ["state", "array", "fast"]),
        ("sgd", lambda: RULES["sgd"].build((3, 2), rng=1).state_dict(), ValueError, ["(2, 3)", "(3, 2)"]),
        ("sgd", lambda: SGD(SoftBounds()).build((2, 3), rng=1).state_dict(), ValueError, ["specification"]),
        ("shd", lambda: RULES["sgd"].build((2, 3), rng=1).state_dict(), ValueError, ["state", "fast", "array"]),
        ("shd", lambda: RULES["shd"].build((3, 2), rng=1).state_dict(), ValueError, ["(2, 3)", "(3, 2)"]),
        ("shd", lambda: corrupted("shd", lambda s: s.pop("vectors")), ValueError, ["state", "vectors"]),
        ("shd", lambda: corrupted("shd", lambda s: s.update(vectors=-1)), (TypeError, ValueError), ["vectors", "-1"]),
        ("shd", lambda: corrupted("shd", lambda s: s.update(vectors="3")), (TypeError, ValueError), ["vectors", "'3'"]),
        (
            "shd",
            lambda: corrupted("shd", lambda s: s["slow"]["main"].update(specification="x")),
            ValueError, ["specification"],
        ),
        ("agad", lambda: RULES["agad"].build((3, 2), rng=1).state_dict(), ValueError, ["(2, 3)", "(3, 2)"]),
        ("agad", lambda: RULES["chopped"].build((2, 3), rng=1).state_dict(), ValueError, ["state", "specification"]),
        ("agad", lambda: corrupted("agad", lambda s: s["buffers"]["0"].pop("mean")), ValueError, ["buffers", "mean"]),
        (
            "agad",
            lambda: corrupted("agad", lambda s: s["buffers"]["0"].update(buffer=np.zeros((3, 2), np.float32))),
            ValueError, ["['buffer']", "(2, 3)", "(3, 2)"],
        ),
        (
            "agad",
            lambda: corrupted("agad", lambda s: s["buffers"]["0"].update(line_chop=np.zeros(2, np.int8))),
            ValueError, ["['line_chop']", "-1 or 1"],
        ),
        ("agad", lambda: corrupted("agad", lambda s: s.update(means=[0.1])), ValueError, ["means", "2 numbers"]),
        ("agad", lambda: corrupted("agad", lambda s: s.update(keys=["x"])), TypeError, ["keys", "'x'"]),
        ("eapu", lambda: corrupted("eapu", lambda s: s.update(chi=np.zeros(3, np.float32))), ValueError, ["chi", "(2, 3)"]),
        ("tiki-taka", lambda: corrupted("tiki-taka", lambda s: s["references"].pop("1")), ValueError, ["references", "1"]),
    ],
)  # fmt: skip
def test_wrong_states_are_refused_and_change_nothing(name, state, error, words):
    tile = RULES[name].build((2, 3), rng=87)
    tile.update(np.ones((4, 3)), np.ones((4, 2)), 0.1)
    before = tile.state_dict()
    with pytest.raises(error) as caught:
        tile.load_state_dict(state())
    assert same(tile.state_dict(), before)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("rule", [*RULES.values()], ids=list(RULES))
@pytest.mark.parametrize("shape, error", [((0, 3), ValueError), (3, TypeError), ((2, 3.0), TypeError)])
def test_wrong_shapes_of_tiles_are_refused(rule, shape, error):
    with pytest.raises(error, match="shape"):
        rule.build(shape, rng=0)


def test_the_base_class_builds_nothing():
    with pytest.raises(TypeError, match="does not build tiles; use one of its subclasses"):
        Algorithm().build((2, 3))


def test_reads_of_tiles_take_out():
    for rule in RULES.values():
        tile = rule.build((2, 3), rng=88)
        y, z = np.empty((4, 2), np.float32), np.empty(3, np.float32)
        assert tile.forward(np.ones((4, 3)), out=y) is y
        assert tile.backward(np.ones(2), out=z) is z
        with pytest.raises(ValueError, match="out must be .*float32"):
            tile.forward(np.ones((4, 3)), out=np.empty((4, 2)))
