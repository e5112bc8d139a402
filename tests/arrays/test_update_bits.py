"""Updates have the same bits for any number of threads, any split of a batch, and any kernel set."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from oracle.arrays import MODELS, random_array, vectors
from oracle.tiles import NO_SPREAD

import rpusim as rpu
from rpusim import CrossbarArray, Periphery, PulseScheme, checkpoint
from rpusim._core.kernels import active_kernel_set, kernel_sets, use_kernel_set
from rpusim.devices import ConstantStep, Ideal, SoftBounds

ACTIVE = active_kernel_set()

SHAPE, VECTORS = (48, 600), 64  # several parts of trains, several blocks of rows, work for two threads
DETERMINISM = {
    "constant": (MODELS["constant"], {}),
    "constant, summed": (MODELS["constant"].replace(dw_min=0.0005, w_max=0.05), {}),
    "linear": (MODELS["linear"], {}),
    "soft": (MODELS["soft"], {}),
    "soft additive": (MODELS["soft additive"], {}),
    "long trains": (MODELS["soft"], dict(desired_bl=100, update_bl_management=False)),
    "essop": (MODELS["soft"], dict(power_of_two_scales=True, shared_random_numbers=True)),
    "shared": (MODELS["soft"], dict(desired_bl=70, update_bl_management=False, shared_random_numbers=True)),
    "mean_count": (MODELS["soft"], dict(pulse_type="mean_count")),
    "deterministic_implicit": (MODELS["soft"], dict(pulse_type="deterministic_implicit")),
    "exp complex": (MODELS["exp complex"], {}),
    "pow reference": (MODELS["pow reference"], {}),
    "tabulated": (MODELS["tabulated"], {}),
    "reference": (MODELS["reference"], {}),
    "write noise": (MODELS["soft"].replace(write_noise_std=3.0), {}),
    "ideal": (Ideal(), {}),
}


def updated(name, splits=(VECTORS,), interrupt=None):
    """Weights (as bits), pulse counts and the state after the same 64 vectors in given pieces."""
    device, scheme = DETERMINISM[name]
    count = not isinstance(device, Ideal)
    x, d = vectors(VECTORS, SHAPE, seed=23, scale=0.3)
    d[10] = 0.0

    def build(rng):
        return CrossbarArray(
            SHAPE, device, forward=Periphery.ideal(), pulses=PulseScheme(**scheme), rng=rng, count_pulses=count
        )

    array, first = build(24), 0
    for n in splits:
        array.update(x[first : first + n], d[first : first + n], 0.02)
        first += n
        if interrupt is not None and first >= VECTORS // 2:
            array, interrupt = interrupt(array, build(99)), None
    assert first == VECTORS
    return array


def assert_same_bits(a, b):
    np.testing.assert_array_equal(a._weights.view(np.uint32), b._weights.view(np.uint32))
    assert a.pulse_count == b.pulse_count
    assert a._core.counters == b._core.counters
    if a._device_pulses is not None:
        np.testing.assert_array_equal(a.device_pulse_count, b.device_pulse_count)


@pytest.fixture(scope="module")
def reference():
    return functools.cache(updated)


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("name", DETERMINISM)
def test_the_number_of_threads_does_not_show(name):
    rpu.set_num_threads(1)
    one = updated(name)
    assert np.abs(one.weights).max() > 0 and (name == "ideal" or sum(one.pulse_count) > 100_000)
    for threads in (2, 3, 7):
        rpu.set_num_threads(threads)
        assert_same_bits(updated(name), one)


@pytest.mark.usefixtures("restore_threads")
def test_fewer_threads_than_asked_for_do_not_show():
    """The team may be busy with another call, or sleep: then one thread does the share of another, too."""
    rpu.set_num_threads(4)
    x, d = (np.random.default_rng(k).uniform(-1, 1, (64, n)) for k, n in ((1, 300), (2, 64)))

    def update(_: object = None) -> rpu.CrossbarArray:
        array = rpu.CrossbarArray((64, 300), rpu.devices.SoftBounds(), rng=0)
        array.update(x, d, 0.01)
        return array

    alone = update()
    assert sum(alone.pulse_count) > 200_000
    with ThreadPoolExecutor(3) as pool:
        for one in pool.map(update, range(30)):
            assert_same_bits(one, alone)


@pytest.mark.parametrize("name", DETERMINISM)
@pytest.mark.parametrize("splits", [(1,) * 64, (1, 2, 3, 5, 7, 11, 0, 13, 21, 1), (63, 1)], ids=["singles", "ragged", "last"])
def test_splits_of_a_batch_do_not_show(name, splits, reference):
    assert_same_bits(updated(name, splits), reference(name))


DENSE = ["constant", "linear", "linear additive", "soft", "soft additive", "linear reversed", "reference",
         "reference multiplicative"]  # fmt: skip


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("shape", [(5, 31), (4, 512), (3, 7001)], ids=str)
@pytest.mark.parametrize("k", [0.8, 2.5, -0.8])
def test_rows_where_most_columns_fire_get_the_bits_of_single_vectors(name, shape, k):
    """Batches step such rows column by column, single vectors by lists of columns (kernels/panel.h)."""
    rng = np.random.default_rng(26)
    x, d = (rng.choice([-1, 1], (40, n)) * rng.uniform(0.4, 1, (40, n)) for n in shape[::-1])
    x[:, :: shape[1] // 7], x[7], d[9] = 0.0, 0.0, 0.0
    for device in (MODELS[name], MODELS[name].replace(dw_min_std=0.0), MODELS[name].replace(**NO_SPREAD)):
        lr = k * device.granularity
        batch, single = (CrossbarArray(shape, device, rng=27, count_pulses=True) for _ in range(2))
        for _ in range(2):  # draws are left over from the first
            batch.update(x, d, lr)
            for a, b in zip(x, d, strict=True):
                single.update(a, b, lr)
        assert sum(batch.pulse_count) > 0.3 * batch.weights.size * len(x)
        assert_same_bits(batch, single)


@pytest.mark.parametrize("name", DETERMINISM)
def test_saving_and_loading_in_the_middle_does_not_show(name, reference, tmp_path):
    def interrupt(array, fresh):
        checkpoint.save(tmp_path / "state.npz", array.state_dict())
        fresh.load_state_dict(checkpoint.load(tmp_path / "state.npz"))
        return fresh

    assert_same_bits(updated(name, (20, 20, 24), interrupt), reference(name))


def assert_same_to_rounding(kernels, a, b):
    """The sets with fused multiply-adds give the same bits; the baseline has none."""
    if "baseline" in (kernels, ACTIVE):
        np.testing.assert_allclose(a, b, atol=3e-6)
    else:
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
@pytest.mark.parametrize("name", DETERMINISM)
def test_all_kernel_sets_give_the_same_pulses(name, kernels, reference):
    expected = reference(name)
    use_kernel_set(kernels)
    array = updated(name)
    assert array.pulse_count == expected.pulse_count
    if array._device_pulses is not None:
        np.testing.assert_array_equal(array.device_pulse_count, expected.device_pulse_count)
    if "summed" in name and "baseline" in (kernels, ACTIVE):  # what is near a bound is decided by rounding there
        assert np.mean(np.abs(array.weights - expected.weights) > 3e-6) < 0.1
    else:
        assert_same_to_rounding(kernels, array.weights, expected.weights)


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
def test_direct_pulses_are_the_same_with_all_kernel_sets(kernels):
    def pulsed(kernels):
        use_kernel_set(kernels)
        array = random_array(SoftBounds(), (5, 301))
        array.pulse(np.random.default_rng(2).integers(-70, 71, array.shape))
        array.symmetry_point("pulses", n_pulses=10)
        return array.weights

    assert_same_to_rounding(kernels, pulsed(kernels), pulsed(ACTIVE))


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
@pytest.mark.parametrize("vectors", [2, 15, 16, 17, 63, 65, 129])
@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (4, 9), (5, 16), (7, 17), (66, 31), (4, 32), (2, 33), (9, 49), (130, 401)])
def test_sums_of_outer_products_are_those_of_vector_after_vector(shape, vectors, kernels):
    """Whatever tiles, edges and parts of a batch they are worked out in (kernels/products.h)."""
    use_kernel_set(kernels)
    rng = np.random.default_rng(vectors)
    x, d = (rng.standard_normal((vectors, n)).astype(np.float32) for n in shape[::-1])
    array = CrossbarArray(shape, Ideal(), rng=0)
    w, lr = rng.standard_normal(shape).astype(np.float32), np.float32(0.01)
    array.program(w)
    array.update(x, d, lr=lr)
    for xv, dv in zip(x, d, strict=True):
        w -= (lr * dv)[:, None] * xv
    if kernels == "baseline":  # the compiler may fuse
        np.testing.assert_allclose(array.weights, w, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(array.weights, w)


def test_a_negative_zero_of_an_ideal_device_does_not_show_how_a_batch_was_split():
    x, d = -np.ones((4, 8), np.float32), np.zeros((4, 3), np.float32)
    whole, single = (CrossbarArray((3, 8), Ideal(), rng=0) for _ in range(2))
    for array in (whole, single):
        array.program(np.full((3, 8), -0.0))
    whole.update(x, d, 1.0)
    for a, b in zip(x, d, strict=True):
        single.update(a, b, 1.0)
    np.testing.assert_array_equal(whole.weights.view(np.uint32), single.weights.view(np.uint32))


def test_a_negative_zero_does_not_show_how_a_batch_was_split():
    device = ConstantStep(dw_min=0.01, up_down=1.0, **NO_SPREAD)  # down steps are 0
    x, d = np.ones((8, 64)), np.ones((8, 1))
    batch, single = (CrossbarArray((1, 64), device, rng=1) for _ in range(2))
    for array in (batch, single):
        array.program(np.full((1, 64), -0.0))
    batch.update(x, d, 0.009)
    for a, b in zip(x, d, strict=True):
        single.update(a, b, 0.009)
    assert_same_bits(batch, single)


def test_updates_stay_as_they_were():
    """Recorded once: results of a seed must not change from one version to the next without notice."""
    device = SoftBounds(dw_min=0.01, **NO_SPREAD)
    array = CrossbarArray((2, 3), device, rng=25)
    array.update([[0.5, -1.0, 0.2]] * 3, [[0.3, -0.7]] * 3, 0.1)
    array.pulse([[1, 2, 3], [-1, -2, 0]])
    recorded = [-0.0538948327, 0.10924793, 0.0159596056, 0.0594123341, -0.176480934, 0.0387562849]
    np.testing.assert_allclose(array.weights.ravel(), recorded, rtol=1e-6)
