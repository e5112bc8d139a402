"""What holds for the tiles of all algorithms: equal bits, saving, copies and errors."""

from __future__ import annotations

import copy
import functools
import pickle

import numpy as np
import pytest
from oracle.arrays import same
from oracle.tiles import vectors

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
from rpusim.devices import Ideal, LinearStep, SoftBounds

ACTIVE = active_kernel_set()


# ---- the same bits ----------------------------------------------------------------------------------------------------

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
        SoftBounds(dw_min=0.01), between=(LinearStep(dw_min=0.004),), gamma=0.3, transfer_every=(3, 7), with_reset_prob=0.2,
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
    "low rank, own reads": LowRankTikiTaka(SoftBounds(dw_min=0.01), transfer_every=7, rank=3, b_gain=3.0,
                                           transfer_forward=Periphery(adc=ADC(noise=0.001))),
    "e-rider with a buffer": ERIDER(SoftBounds(dw_min=0.01), in_chop_prob=0.5, auto_granularity=1.0, auto_scale=True),
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


# ---- errors -----------------------------------------------------------------------------------------------------------


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
