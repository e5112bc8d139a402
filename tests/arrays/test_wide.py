"""Arrays of more columns than one list of firing columns can name (16384): their segments, the last of which is short."""

from __future__ import annotations

import numpy as np
import pytest
from oracle.tiles import NO_SPREAD

import rpusim as rpu
from rpusim import CrossbarArray, PulseScheme
from rpusim._core.kernels import kernel_sets, use_kernel_set
from rpusim.devices import ConstantStep, LinearStep, PowStepReference, SoftBounds, SoftBoundsReference

COLUMNS = 2 * 16384 + 5
SILENT = dict(dw_min=0.002, dw_min_std=0.0)
FIXED = dict(update_management=False, update_bl_management=False)
SCHEMES = [{"desired_bl": 1}, {"desired_bl": 3}, {"desired_bl": 3, "shared_random_numbers": True}]
DEVICES = [
    ConstantStep(**SILENT, **NO_SPREAD, up_down=0.3),
    SoftBounds(**SILENT),
    LinearStep(**SILENT, gamma_up=0.3, gamma_down=0.2),
    SoftBoundsReference(**SILENT, reference_std=0.05),
    PowStepReference(**SILENT, reference_std=0.05),
]


def named(value):
    return type(value).__name__ if isinstance(value, rpu.devices.PulsedDevice) else str(value)


def signals():
    """Lines that never fire, and lines that fire for sure, of both signs and different in every segment."""
    rng = np.random.default_rng(1)
    x = 50.0 * rng.choice([-1.0, 0.0, 1.0], COLUMNS)
    x[[16383, 16384, 2 * 16384 - 1, 2 * 16384, COLUMNS - 1]] = 50.0, -50.0, -50.0, 50.0, -50.0
    return x, np.array([50.0, 0.0, -50.0])


def stepped(array, w, counts):
    """States after `counts` pulses (up where positive) in float64, by the mean steps of the device."""
    device, p = array.device, {name: value.astype(np.float64) for name, value in array.parameters.items()}
    w, (low, high) = w.astype(np.float64), device.bounds_of(p)
    for k in range(np.abs(counts).max()):
        up, down = device.steps_of(p, w)
        w = np.where(counts > k, np.clip(w + up, low, high), np.where(counts < -k, np.clip(w - down, low, high), w))
    return w


@pytest.fixture(params=kernel_sets())
def kernels(request, restore_kernels):
    use_kernel_set(request.param)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("device", DEVICES, ids=named)
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: "-".join(map(str, s.values())))
def test_updates_reach_the_devices_they_are_for(device, scheme):
    array = CrossbarArray((3, COLUMNS), device, pulses=PulseScheme(**FIXED, **scheme), rng=0, count_pulses=True)
    x, d = signals()
    for lr in (0.01, -0.01):
        before, counted = array.weights, np.array(array.device_pulse_count)
        array.update(x, d, lr)
        counts = (-np.sign(lr) * scheme["desired_bl"] * np.sign(np.outer(d, x))).astype(int)
        up_and_down = [np.maximum(counts, 0), np.maximum(-counts, 0)]
        np.testing.assert_array_equal(np.array(array.device_pulse_count) - counted, up_and_down)
        np.testing.assert_allclose(array.weights, stepped(array, before, counts), rtol=0.0, atol=2e-6)
        np.testing.assert_array_equal(array.weights[counts == 0], before[counts == 0])


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("device", DEVICES, ids=named)
def test_direct_pulses_reach_the_devices_they_are_for(device):
    array = CrossbarArray((3, COLUMNS), device, rng=0, count_pulses=True)
    before = array.weights
    counts = np.random.default_rng(2).integers(-3, 4, (3, COLUMNS)) * (np.random.default_rng(3).random((3, COLUMNS)) < 0.5)
    array.pulse(counts)
    np.testing.assert_array_equal(np.array(array.device_pulse_count), [np.maximum(counts, 0), np.maximum(-counts, 0)])
    assert array.pulse_count == (np.maximum(counts, 0).sum(), np.maximum(-counts, 0).sum())
    np.testing.assert_allclose(array.weights, stepped(array, before, counts), rtol=0.0, atol=2e-6)
    np.testing.assert_array_equal(array.weights[counts == 0], before[counts == 0])


@pytest.mark.parametrize("direct", [False, True])
def test_noise_of_pulses_and_of_writes_in_every_segment(direct, restore_threads):
    step, spread, write = 2.0**-10, 0.3, 0.5
    device = ConstantStep(dw_min=step, dw_min_std=spread, write_noise_std=write, **NO_SPREAD)
    x, d = signals()
    counts = -np.sign(np.outer(d, x)).astype(int)
    states = []
    for threads in (1, 3):
        rpu.set_num_threads(threads)
        array = CrossbarArray((3, COLUMNS), device, pulses=PulseScheme(desired_bl=1, **FIXED), rng=0)
        read = array.weights
        if direct:
            array.pulse(counts)
        else:
            array.update(x, d, 0.01)
        states.append((array.weights, array.state_dict()["state"]))
    np.testing.assert_array_equal(states[0], states[1])
    seen, state = (part.astype(np.float64) for part in states[0])
    hit = counts != 0
    np.testing.assert_array_equal(state[~hit], 0.0)
    np.testing.assert_array_equal(seen[~hit], read[~hit])
    for first in range(0, COLUMNS, 16384):
        part = hit[:, first : first + 16384]
        ones, twos = (
            ((state * counts - step) / (spread * step))[:, first : first + 16384][part],
            ((seen - state) / (write * step))[:, first : first + 16384][part],
        )
        for z in (ones, twos):
            assert abs(z.mean()) * np.sqrt(z.size) < 5 and abs(z.var() - 1) * np.sqrt(z.size / 2) < 5
        assert len(np.unique(ones)) > 0.99 * ones.size


def test_half_selected_lines_in_every_segment():
    step = 2.0**-12
    device = ConstantStep(dw_min=step, dw_min_std=0.0, up_down=1.0, half_select=0.25, **NO_SPREAD)
    array = CrossbarArray((3, COLUMNS), device, pulses=PulseScheme(desired_bl=2, **FIXED), rng=0)
    x, d = signals()
    array.update(x, d, 0.01)
    before, up = array.weights, array.device_pulse_count.up
    array.end_batch()
    lines = 2 * ((x != 0).astype(int) + (d != 0)[:, None])
    np.testing.assert_allclose(array.weights - before, 0.25 * 2 * step * (lines - 2 * up), rtol=0.0, atol=1e-7)


def test_trains_are_as_long_as_lists_can_be():
    array = CrossbarArray((1, COLUMNS), SoftBounds(), pulses=PulseScheme(desired_bl=65535, **FIXED), rng=0)
    with pytest.raises(ValueError, match="trains must have at most 32763 slots where an array has 32773 columns; got 65535"):
        array.update(np.ones(COLUMNS), np.ones(1), 0.01)
    assert array.update_count == 0


def test_trains_that_no_integer_counts_are_refused():
    """A rate that scales itself to vanishing signals may ask for any number of slots where that is not fixed."""
    pulses = PulseScheme(fixed_bl=False, update_bl_management=False)
    tile = rpu.algorithms.ChoppedTikiTaka(SoftBounds(), pulses=pulses, auto_scale=True).build((3, 4), rng=0)
    with pytest.raises(ValueError, match="pulse trains must have at most 134217728 slots where an array has 4 columns"):
        tile.update(np.full(4, 1e-8), np.full(3, 1e-8), 0.01)
