"""The Tiki-Taka family against plain loops, the peer's recorded weights, and the laws of what it draws."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from oracle import algorithms as oracle
from oracle.tiles import DETERMINISTIC, EXACT, NO_SPREAD, SCHEME, TRANSFER, TRANSFER_SCHEME, vectors, writer
from scipy import stats

import rpusim as rpu
from rpusim import PulseScheme
from rpusim.algorithms import AGAD, ChoppedTikiTaka, TikiTaka, TikiTakaV2
from rpusim.devices import ConstantStep, Ideal, LinearStep, SoftBounds

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["compounds"]
FAST = SoftBounds(dw_min=0.01, dw_min_std=0.0, up_down=0.1)
SLOW = ConstantStep(dw_min=0.004, dw_min_std=0.0)
ONE = dict(desired_bl=1, update_management=False, update_bl_management=False)
MANY = dict(desired_bl=4, update_management=True, update_bl_management=False)


def scheme(**settings):
    return PulseScheme(pulse_type="deterministic_implicit", **settings)


EXACTLY = dict(forward=EXACT, transfer_forward=EXACT, pulses=SCHEME)


# ---- recorded by the peer --------------------------------------------------------------------------------------------

BOUNDS = dict(w_max=1.0, w_min=-1.0, dw_min_std=0.0, **NO_SPREAD)
UNMANAGED = dict(update_management=False, update_bl_management=False)
RECORDED = dict(
    fast=SoftBounds(dw_min=0.01, **BOUNDS),
    slow=ConstantStep(dw_min=0.005, **BOUNDS),
    forward=EXACT,
    transfer_forward=EXACT,
    pulses=scheme(desired_bl=10, **UNMANAGED),
    transfer_pulses=scheme(desired_bl=2, **UNMANAGED),
    mean_granularity=True,
)
UNSCALED = dict(scale_fast_lr=False, scale_transfer_lr=False)
COMPOUNDS = {
    "ttv1_gamma0": TikiTaka(**RECORDED, **UNSCALED),
    "ttv1_gamma0.5_cols_every2": TikiTaka(**RECORDED, **UNSCALED, gamma=0.5, transfer_every=2, fast_lr=0.1, transfer_lr=0.5),
    "ttv2_forget": TikiTakaV2(**RECORDED, fast_lr=0.1, scale_fast_lr=False),
    "cttv2_inchop_regular": ChoppedTikiTaka(**RECORDED, fast_lr=0.1, in_chop_prob=0.34, in_chop_random=False),
    "cttv2_autoscale": ChoppedTikiTaka(**RECORDED, fast_lr=0.1, in_chop_prob=0.0, auto_scale=True, auto_granularity=10.0),
}


@pytest.mark.parametrize("name", COMPOUNDS)
def test_recorded_trajectories(name):
    tile = COMPOUNDS[name].build((2, 3), rng=90)
    tile.program([[0.1, -0.2, 0.05], [0.0, 0.15, -0.1]])
    compared = 0
    for t in range(1, 25):
        x, d = np.cos(0.7 * t + 0.5 * np.arange(3)), 0.9 * np.sin(0.4 * t + 0.9 * np.arange(2) + 0.3) + 0.2
        tile.update(x, d, 0.05)
        recorded = GOLDEN[name].get(str(t))
        if recorded is None:
            continue
        compared += 1
        np.testing.assert_allclose(tile.weights, recorded["W"], atol=1e-6)
        np.testing.assert_allclose(tile.forward(np.eye(3)).T, recorded["W"], atol=1e-6)
        np.testing.assert_allclose(tile.hidden[0], recorded["hidden_weights_0"], atol=1e-6)
        np.testing.assert_allclose(tile.arrays[-1].weights, recorded["hidden_weights_1"], atol=1e-6)
        if "buffered_FP_weight_0" in recorded:
            unit = 0.005 if name.startswith("ttv2") else 1.0  # version 2 keeps its buffer in weight units there
            np.testing.assert_allclose(tile.buffer * unit, recorded["buffered_FP_weight_0"], atol=1e-6)
    assert compared == 6


# ---- version 1 against the plain loop --------------------------------------------------------------------------------


def turned(tile, *planes):
    """Planes as the oracle has them, whose lines are columns."""
    return [np.asarray(p, np.float64) if tile.algorithm.transfer_columns else np.asarray(p, np.float64).T for p in planes]


def turned_writer(tile, k, settings):
    """The oracle's write of array k, on turned planes."""
    write = writer(tile.arrays[k], settings)
    if tile.algorithm.transfer_columns:
        return write
    return lambda w, x, d, lr: write(w.T, d, x, lr).T


TT = {
    "plain": dict(),
    "every 3": dict(transfer_every=3),
    "two reads": dict(n_reads_per_transfer=2, transfer_every=2),
    "rows": dict(transfer_columns=False, transfer_every=2),
    "rows, hadamard": dict(transfer_columns=False, transfer_vectors="hadamard"),
    "hadamard": dict(transfer_vectors="hadamard", transfer_every=2),
    "offset": dict(reference_offset_mean=0.2, reference_offset_std=0.1),
    "no reference": dict(zero_shift="none"),
    "three arrays": dict(between=(LinearStep(dw_min=0.006, dw_min_std=0.0, gamma_up=0.4, gamma_down=0.3),), gamma=0.3),
    "three arrays, own settings": dict(
        between=(SoftBounds(dw_min=0.02, dw_min_std=0.0),), gamma=(0.25, 0.5, 2.0), transfer_every=(2, 5),
        transfer_lr=(0.5, 0.2),
    ),
    "ideal slow": dict(slow=Ideal(), gamma=0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", TT)
@pytest.mark.parametrize("scaled", [True, False])
def test_tiki_taka_is_the_plain_loop(name, scaled):
    settings = dict(fast=FAST, slow=SLOW, fast_lr=0.3, transfer_lr=0.4, transfer_pulses=TRANSFER_SCHEME, **EXACTLY)
    rule = TikiTaka(**(settings | TT[name]), scale_fast_lr=scaled, scale_transfer_lr=scaled)
    shape = (5, 6)
    tile = rule.build(shape, rng=91)
    tile.program(0.05 * np.ones(shape))
    n = len(tile.arrays)
    arrays = turned(tile, *(array.weights for array in tile.arrays))
    references = turned(tile, *(np.zeros(shape) if r is None else r.weights for r in tile.references))
    every, lines, lr = rule.transfer_every, 6 if rule.transfer_columns else 5, -0.2 if name == "every 3" else 0.25
    if not isinstance(every, tuple):
        every = [every * (lines // rule.n_reads_per_transfer) ** k for k in range(n - 1)]
    rates = rule.transfer_lr if isinstance(rule.transfer_lr, tuple) else (rule.transfer_lr,) * (n - 1)
    x, d = vectors(70, shape, seed=92)
    first, second = (x, d) if rule.transfer_columns else (d, x)
    arrays = oracle.tiki_taka(
        arrays,
        references,
        first,
        second,
        fast_lr=0.3 * (lr if scaled else np.sign(lr)),
        transfer_lr=[rate * (abs(lr) if scaled else 1) for rate in rates],
        transfer_every=every,
        writes=[turned_writer(tile, k, DETERMINISTIC if k == 0 else TRANSFER) for k in range(n)],
        reads=rule.n_reads_per_transfer,
        vector=getattr(oracle, rule.transfer_vectors),
    )
    start = tile.arrays[-1].weights
    tile.update(x, d, lr)
    for mine, theirs in zip(tile.arrays, turned(tile, *arrays), strict=True):
        np.testing.assert_allclose(mine.weights, theirs, atol=2e-5)
    assert np.abs(tile.arrays[-1].weights - start).max() > 0.01
    gammas = rule.gamma if isinstance(rule.gamma, tuple) else [rule.gamma ** (n - 1 - k) for k in range(n)]
    planes = turned(tile, *(a - r for a, r in zip(arrays[:-1], references, strict=True)), arrays[-1])
    w = sum(g * plane for g, plane in zip(gammas, planes, strict=True))
    np.testing.assert_allclose(tile.weights, w, atol=5e-5)
    np.testing.assert_allclose(tile.forward(x[:3]), x[:3] @ w.T, atol=3e-4)
    np.testing.assert_allclose(tile.backward(d[:3]), d[:3] @ w, atol=3e-4)


# ---- version 2, choppers and AGAD against the plain loop -------------------------------------------------------------

V2 = {
    "plain": TikiTakaV2(transfer_lr=0.4, transfer_every=2),
    "keeps": TikiTakaV2(forget_buffer=False, momentum=0.3, thres_scale=0.7, step=2.0, transfer_pulses=scheme(**MANY)),
    "rows": TikiTakaV2(transfer_columns=False, momentum=0.0, transfer_lr=0.5),
    "chopped": ChoppedTikiTaka(in_chop_prob=0.2),
    "chopped regularly": ChoppedTikiTaka(in_chop_prob=0.3, in_chop_random=False, forget_buffer=False, momentum=0.2),
    "chopped regularly, every 2": ChoppedTikiTaka(in_chop_prob=0.2, in_chop_random=False, transfer_every=2, transfer_lr=3.0),
    "chopped both sides": ChoppedTikiTaka(out_chop_prob=0.4, transfer_columns=False, auto_granularity=7.0),
    "auto granularity, every 3": ChoppedTikiTaka(in_chop_prob=0.2, auto_granularity=5.0, buffer_granularity=0.7,
                                                 transfer_every=3),
    "rows, auto granularity, every 2": ChoppedTikiTaka(transfer_columns=False, in_chop_prob=0.1, auto_granularity=4.0,
                                                       transfer_every=2, correct_gradient_magnitudes=True, transfer_lr=0.1),
    "auto scale": ChoppedTikiTaka(auto_scale=True, auto_momentum=0.9, fast_lr=0.3, scale_transfer_lr=False, transfer_lr=0.05),
    "gradient magnitudes": ChoppedTikiTaka(correct_gradient_magnitudes=True, in_chop_prob=0.0, transfer_lr=0.1),
    "no buffer": ChoppedTikiTaka(no_buffer=True, buffer_granularity=0.1),
    "agad": AGAD(in_chop_prob=0.3, tail_weightening=1.5),
    "agad at random": AGAD(in_chop_prob=0.3, in_chop_random=True, auto_scale=True, fast_lr=0.2, transfer_columns=False),
    "agad, every 2": AGAD(in_chop_prob=0.25, tail_weightening=2.0, transfer_every=2, auto_granularity=6.0),
    "agad capped": AGAD(in_chop_prob=0.5, forget_buffer=False, momentum=0.5, buffer_cap=1.1, zero_shift="exact",
                        reference_offset_mean=0.3),
}  # fmt: skip


#: reads from flip to flip, max(ceil(1 / in_chop_prob), 2), where lines flip regularly; AGAD counts them in any case
REGULAR = {"chopped regularly": 4, "chopped regularly, every 2": 5, "agad": 4, "agad, every 2": 4, "agad capped": 2}
PERIODS = REGULAR | {"agad at random": 4}


@pytest.mark.parametrize("name", V2)
def test_version_2_is_the_plain_loop(name):
    rule = V2[name].replace(fast=FAST, slow=SLOW, **EXACTLY)
    if rule.transfer_pulses.pulse_type == "stochastic":
        rule = rule.replace(transfer_pulses=scheme(**ONE))
    slow_scheme = MANY if rule.transfer_pulses.desired_bl == 4 else ONE
    shape, lr, n = (5, 4), 0.15, 160
    tile = rule.build(shape, rng=93)
    tile.program(0.05 * np.ones(shape))
    lines = 4 if rule.transfer_columns else 5
    a, c = turned(tile, *(array.weights for array in tile.arrays))
    (reference,) = turned(tile, np.zeros(shape) if tile.references[0] is None else tile.references[0].weights)
    x, d = vectors(n, shape, seed=94)
    if REGULAR.get(name):
        signs = oracle.regular_choppers(n, 9 - lines, lines, REGULAR[name], rule.transfer_every)
        tile.update(x, d, lr)
        np.testing.assert_array_equal(tile.choppers[1 if rule.transfer_columns else 0], signs[-1][1])
    else:  # what turned at random, by laws that are tested below
        signs = []
        for one_x, one_d in zip(x, d, strict=True):
            outputs, inputs = tile.choppers
            signs.append((outputs, inputs) if rule.transfer_columns else (inputs, outputs))
            tile.update(one_x, one_d, lr)
    unit = getattr(rule, "thres_scale", 1.0) * 0.004 if isinstance(rule, TikiTakaV2) else rule.buffer_granularity * 0.01
    if not isinstance(rule, TikiTakaV2) and rule.correct_gradient_magnitudes:
        unit = 0.004
    if getattr(rule, "auto_granularity", 0.0):
        unit *= rule.auto_granularity / (lines * rule.transfer_every)
    auto = getattr(rule, "auto_scale", False)
    period = PERIODS[name] if isinstance(rule, AGAD) else 0
    slow_write = turned_writer(tile, 1, slow_scheme)
    first, second = (x, d) if rule.transfer_columns else (d, x)
    a, c, buffer, mean = oracle.tiki_taka_v2(
        a,
        reference,
        c,
        first,
        second,
        fast_lr=rule.fast_lr * (lr if rule.scale_fast_lr else 1.0),
        gain=rule.transfer_lr * (lr if rule.scale_transfer_lr else 1.0) / unit,
        fast_write=turned_writer(tile, 0, DETERMINISTIC),
        slow_write=lambda w, u, v, step: slow_write(w, u, v, 0.004 * step),
        transfer_every=rule.transfer_every,
        momentum=rule.momentum,
        forget=rule.forget_buffer,
        most=rule.transfer_pulses.desired_bl,
        step=rule.step,
        signs=signs,
        no_buffer=getattr(rule, "no_buffer", False),
        auto=(15 * 0.01, 1.0 - rule.auto_momentum) if auto else None,
        over_fast_rate=getattr(rule, "correct_gradient_magnitudes", False),
        beta=min(rule.tail_weightening / period, 1.0) if period else None,
        warm_up=period + 1 if period else 0,
        cap=getattr(rule, "buffer_cap", 0.0) * rule.transfer_pulses.desired_bl,
    )
    a, c, buffer, mean = turned(tile, a, c, buffer, mean)
    np.testing.assert_allclose(tile.arrays[0].weights, a, atol=2e-5)
    np.testing.assert_allclose(tile.weights, c, atol=1e-5)
    np.testing.assert_allclose(tile.buffer, buffer, rtol=1e-3, atol=2e-3)
    assert np.abs(c - 0.05).max() > 0.015
    assert tile.update(np.zeros(4), np.zeros(5), lr) is None


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def flips(rule, n, shape=(3, 4)):
    """Choppers (outputs and inputs) after each of n vectors."""
    tile, found = rule.build(shape, rng=95), []
    for _ in range(n):
        tile.update(np.zeros(shape[1]), np.zeros(shape[0]), 0.1)
        found.append(np.concatenate(tile.choppers))
    return np.array(found)


@pytest.mark.parametrize("columns", [True, False])
def test_choppers_flip_with_their_probabilities(columns):
    rule = ChoppedTikiTaka(FAST, in_chop_prob=0.2, out_chop_prob=0.35, transfer_columns=columns)
    signs = flips(rule, 6000)
    changed = np.diff(signs, axis=0) != 0
    by_line, by_element = (changed[:, 3:], changed[:, :3]) if columns else (changed[:, :3], changed[:, 3:])
    lines, elements = (4, 3) if columns else (3, 4)
    sweeps = 6000 // lines
    for line in range(lines):
        others = np.delete(np.arange(5999), np.arange((line - 1) % lines, 5999, lines))
        assert not by_line[others, line].any()  # only after a read of the line itself
        count = by_line[:, line].sum()
        assert stats.binomtest(int(count), sweeps - 1, 0.2).pvalue > 1e-6
    ends = np.arange(lines - 2, 5999, lines)
    assert not np.delete(by_element, ends, axis=0).any()  # only after a sweep
    for element in range(elements):
        assert stats.binomtest(int(by_element[:, element].sum()), len(ends), 0.35).pvalue > 1e-6
    if columns:
        assert abs(np.corrcoef(by_element[ends].T)[0, 1]) < 5 / np.sqrt(len(ends))


def test_regular_choppers_flip_after_every_nth_read():
    rule = ChoppedTikiTaka(FAST, in_chop_prob=0.3, in_chop_random=False)
    assert rule.chop_period == 4
    signs = flips(rule, 64)[:, 3:]
    for line in range(4):
        reads = signs[line::4, line]
        np.testing.assert_array_equal(reads, [1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1])


def test_lines_are_drawn_uniformly():
    shape, n = (3, 8), 4000
    rule = TikiTaka(Ideal(), slow=Ideal(), random_selection=True, n_reads_per_transfer=2, transfer_forward=EXACT)
    tile = rule.build(shape, rng=96)
    tile.arrays[0].program(np.ones(shape))
    tile.update(np.zeros((n, 8)), np.zeros((n, 3)), 1.0)
    counts = np.rint(tile.weights[0]).astype(int)
    assert counts.sum() == 2 * n
    np.testing.assert_array_equal(tile.weights[0], tile.weights[2])
    chosen = counts - 2 * n / 8  # of two neighbours per event: variance 2 n 1/8 (1 - 1/8) + 2 n (0 - 1/64)
    assert np.sum(chosen**2) / (n * (2 / 8 - 4 / 64)) < stats.chi2(7).isf(1e-6) * 2
    assert counts.std() > 0


def test_lines_that_were_read_are_reset():
    shape = (200, 4)
    device = SoftBounds(dw_min=0.01, up_down=0.1, reset=0.05, reset_std=0.02, w_max=3.0, w_min=-3.0)
    rule = TikiTaka(device, with_reset_prob=0.3, transfer_forward=EXACT, transfer_lr=0.0)
    tile = rule.build(shape, rng=97)
    tile.arrays[0].program(tile.references[0].weights + 0.4)
    before = tile.hidden[0]
    tile.update(np.zeros((3, 4)), np.zeros((3, 200)), 0.1)
    after = tile.hidden[0]
    np.testing.assert_array_equal(after[:, 3], before[:, 3])  # the fourth was not read yet
    changed = after[:, :3] != before[:, :3]
    assert stats.binomtest(int(changed.sum()), 600, 0.3).pvalue > 1e-6
    z = (after[:, :3][changed] - 0.05) / 0.02
    assert stats.kstest(z, "norm").pvalue > 1e-6
    rows = rule.replace(transfer_columns=False, with_reset_prob=1.0).build((4, 200), rng=97)
    rows.arrays[0].program(rows.references[0].weights + 0.4)
    before = rows.hidden[0]
    rows.update(np.zeros(200), np.zeros(4), 0.1)
    assert stats.kstest((rows.hidden[0][0] - 0.05) / 0.02, "norm").pvalue > 1e-6
    np.testing.assert_array_equal(rows.hidden[0][1:], before[1:])


def test_resets_leave_write_noise_around_the_state():
    device = SoftBounds(dw_min=0.01, reset=0.05, reset_std=0.02, write_noise_std=3.0, w_max=3.0, w_min=-3.0)
    rule = TikiTaka(device, with_reset_prob=1.0, transfer_forward=EXACT, transfer_lr=0.0, zero_shift="none")
    tile = rule.build((5000, 1), rng=97)
    tile.update(np.zeros((1, 1)), np.zeros((1, 5000)), 0.1)
    state = tile.arrays[0].state_dict()["state"].ravel()
    assert stats.kstest((state - 0.05) / 0.02, "norm").pvalue > 1e-6
    noise = (tile.hidden[0].ravel() - state) / (3.0 * 0.01)
    assert stats.kstest(noise, "norm").pvalue > 1e-6
    assert abs(np.corrcoef(noise, state)[0, 1]) < 5 / np.sqrt(5000)
    tile.update(np.zeros((1, 1)), np.zeros((1, 5000)), 0.1)
    assert abs(np.corrcoef(noise, tile.arrays[0].state_dict()["state"].ravel())[0, 1]) < 5 / np.sqrt(5000)


def test_reference_offsets_have_their_mean_and_spread():
    rule = TikiTakaV2(FAST, reference_offset_mean=0.3, reference_offset_std=0.2)
    tile = rule.build((60, 70), rng=98)
    array, reference = tile.arrays[0], tile.references[0].weights
    z = (reference - array.symmetry_point() - 0.3) / 0.2
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-6
    np.testing.assert_allclose(array.weights, array.symmetry_point(), atol=1e-6)
    np.testing.assert_allclose(tile.hidden[0], array.weights - reference, atol=1e-6)
    other = rule.build((60, 70), rng=99).references[0].weights
    assert abs(np.corrcoef(other.ravel(), reference.ravel())[0, 1]) < 5 / np.sqrt(4200)


# ---- what they are for -----------------------------------------------------------------------------------------------


def test_agad_ignores_an_offset_of_the_reference_and_version_2_does_not():
    """A 20 x 5 matrix is learnt from its products with normal inputs, with A's reference off by 0.4 sigma."""
    device = SoftBounds(dw_min=0.02, dw_min_std=0.0, w_max=1.0, w_min=-1.0, **NO_SPREAD)
    settings = dict(fast=device, slow=device, forward=EXACT, transfer_forward=EXACT, in_chop_prob=0.1, auto_granularity=200.0)
    error = {}
    for rule in (ChoppedTikiTaka(**(settings | dict(in_chop_prob=0.0))), AGAD(**settings, zero_shift="exact")):
        for offset in (0.0, 0.8):
            tile, rng = rule.replace(reference_offset_std=offset).build((20, 5), rng=100), np.random.default_rng(101)
            target = rng.normal(0.0, 0.3, (20, 5))
            for _ in range(8000):
                x = rng.standard_normal(5)
                tile.update(x, (tile.weights - target) @ x, 0.1)
            error[type(rule).__name__, offset] = np.sqrt(np.mean((tile.weights - target) ** 2))
    assert error["ChoppedTikiTaka", 0.0] < 0.06 and error["ChoppedTikiTaka", 0.8] > 0.3
    assert max(error["AGAD", 0.0], error["AGAD", 0.8]) < 0.06


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: TikiTaka(gamma=(0.5,)), ["gamma", "2", "(0.5,)"]),
        (lambda: TikiTaka(gamma=(0.5, 0.0)), ["gamma", "end with 0"]),
        (lambda: TikiTaka(transfer_every=(1, 2)), ["transfer_every", "(1, 2)"]),
        (lambda: TikiTaka(transfer_every=0), ["transfer_every", "0"]),
        (lambda: TikiTaka(transfer_lr=(0.1, 0.2)), ["transfer_lr"]),
        (lambda: TikiTaka(transfer_vectors="hadamard", random_selection=True), ["random_selection"]),
        (lambda: TikiTaka(transfer_vectors="hadamard", with_reset_prob=0.5), ["with_reset_prob"]),
        (lambda: TikiTaka(Ideal(), with_reset_prob=0.5), ["with_reset_prob", "Ideal"]),
        (lambda: TikiTaka(zero_shift="none", reference_offset_mean=0.1), ["reference_offset_mean", "0.1"]),
        (lambda: TikiTaka(Ideal(), zero_shift="pulses"), ["zero_shift", "pulses"]),
        (lambda: TikiTaka(zero_shift_pulses=10), ["zero_shift_pulses", "10"]),
        (lambda: ChoppedTikiTaka(n_reads_per_transfer=2), ["n_reads_per_transfer", "2"]),
        (lambda: AGAD(in_chop_prob=0.0), ["in_chop_prob", "0"]),
        (lambda: AGAD(buffer_cap=2.0), ["buffer_cap", "2.0"]),
        (lambda: TikiTaka(n_reads_per_transfer=5).build((3, 4)), ["n_reads_per_transfer", "4", "5"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("name", [*COMPOUNDS, *V2])
def test_specifications_survive_json(name):
    rule = (COMPOUNDS | V2)[name]
    assert rpu.from_json(rule.to_json()) == rule
    several = TikiTaka(between=(SoftBounds(),), gamma=(0.1, 0.2, 1.0), transfer_every=(1, 2))
    assert rpu.from_json(several.to_json()) == several


def test_resources():
    resources = functools.partial(lambda rule: rule.build((3, 4), rng=0).resources())
    assert resources(TikiTaka(transfer_every=2)) == (3, 0, 0, 0.5, 1.5, 0.0)
    assert resources(TikiTakaV2(zero_shift="none")) == (2, 12, 0, 1.0, 2.0, 0.0)
    assert resources(ChoppedTikiTaka()) == (3, 12, 7, 1.0, 2.0, 0.0)
    assert resources(AGAD()) == (2, 36, 11, 1.0, 2.0, 0.0)
    assert resources(rpu.algorithms.SGD()) == (1, 0, 0, 0.0, 1.0, 0.0)
    assert resources(rpu.algorithms.DigitalSGD()) == (1, 0, 0, 0.0, 0.0, 12.0)
    assert resources(rpu.algorithms.SHD(transfer_every=4)) == (3, 0, 0, 0.25, 1.25, 0.0)


def test_rates_that_no_buffer_holds_are_refused():
    tile = TikiTakaV2(fast_lr=0.0).build((2, 3), rng=0)
    with pytest.raises(ValueError, match="lr must be such that the buffer grows by at most 1e.30 pulses; got 1e.29"):
        tile.update(np.ones(3), np.ones(2), 1e29)


@pytest.mark.parametrize("settings, together", [({}, 1), ({"transfer_vectors": "hadamard"}, 6)])
def test_a_is_read_by_an_adc_of_twice_its_bounds(settings, together):
    """Bounds of 0.6 and -0.8: +-1.6, times the root of the lines that are read at once, with 0.5 % of it as noise."""
    device = SoftBounds(w_max=0.6, w_min=-0.8, **NO_SPREAD)
    tile = TikiTaka(device, **settings).build((5, 6), rng=0)
    adc = tile.arrays[0].forward_periphery.adc
    assert (adc.bits, adc.bound) == (9, pytest.approx(1.6 * np.sqrt(together)))
    assert adc.noise == pytest.approx(0.005 * 1.6 * np.sqrt(together))


def test_buffers_are_shown_where_there_are_some():
    with pytest.raises(ValueError, match="buffer needs an algorithm that has one"):
        TikiTaka().build((2, 3), rng=0).buffer  # noqa: B018
    outputs, inputs = TikiTaka().build((2, 3), rng=0).choppers
    assert outputs.tolist() == [1, 1] and inputs.tolist() == [1, 1, 1]
