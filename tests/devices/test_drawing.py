"""Devices are drawn block by block: nothing of the blocks shows, and little memory is needed beside what stays."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from rpusim import CrossbarArray
from rpusim.devices import LinearStep, PowStep, PowStepReference, SoftBounds, SoftBoundsReference

DEVICES = [
    SoftBounds(dw_min=0.01),
    LinearStep(gamma_up_dtod=0.1),
    PowStep(pow_gamma_dtod=0.1, w_min_dtod=0.0),
    SoftBoundsReference(reference_std=0.1, lifetime=100.0, lifetime_dtod=0.2),
    PowStepReference(reference_std=0.1, corrupt_devices_prob=0.2),
    SoftBounds(w_max_dtod=0.0, w_min_dtod=0.0, dw_min_dtod=0.0, up_down_dtod=0.0),
]


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: type(device).__name__)
@pytest.mark.parametrize("shape", [(70, 9), (65, 1), (3, 200)])
def test_every_device_of_every_block_is_drawn_by_the_law_of_its_model(monkeypatch, device, shape):
    whole = CrossbarArray(shape, device, rng=3)
    monkeypatch.setattr("rpusim.devices.drawing.BLOCK", 64)
    array = CrossbarArray(shape, device, rng=3)
    assert array._parameters.keys() == whole._parameters.keys()
    for name, value in array._parameters.items():
        assert value.shape == whole._parameters[name].shape, name
        assert np.isfinite(value).all(), name
        if value.size > 1:
            assert len(np.unique(value)) > 0.9 * len(np.unique(whole._parameters[name])), name  # no block is another one
            first = max(1, 64 // shape[1])
            if name in ("step_up", "reference", "gamma_up"):
                assert stats.ks_2samp(value[first:].ravel(), whole._parameters[name].ravel()).pvalue > 1e-6, name
    array.update(np.ones(shape[1]), np.ones(shape[0]), 0.1)
    assert np.isfinite(array.weights).all()


def test_spreads_are_as_wide_as_they_are_said_to_be_and_independent():
    device = SoftBounds(dw_min=0.01, dw_min_dtod=0.1, up_down_dtod=0.05, w_max_dtod=0.2, w_min_dtod=0.3)
    p = CrossbarArray((400, 300), device, rng=0).parameters
    n = 120_000
    gain = (p["step_up"] + p["step_down"]) / 0.02
    tilt = (p["step_up"] - p["step_down"]) / 0.02
    drawn = {"gain": (gain, 1.0, 0.1), "up_down": (tilt, 0.0, 0.05), "w_max": (p["w_max"] / device.w_max, 1.0, 0.2),
             "w_min": (p["w_min"] / device.w_min, 1.0, 0.3)}  # fmt: skip
    for name, (value, mean, std) in drawn.items():
        assert abs(value.mean() - mean) < 5.0 * std / np.sqrt(n), name
        assert abs(value.std() / std - 1.0) < 5.0 / np.sqrt(2.0 * n), name
    rows = [value.ravel() for value, _, _ in drawn.values()]
    off = np.corrcoef(rows)[np.triu_indices(4, 1)]
    assert np.abs(off).max() < 5.0 / np.sqrt(n)
    neighbours = np.corrcoef(rows[0][:-1], rows[0][1:])[0, 1]
    assert abs(neighbours) < 5.0 / np.sqrt(n)


def test_an_array_takes_little_more_than_it_keeps_while_it_is_built():
    CrossbarArray((8, 8), SoftBounds(), rng=0)
    tracemalloc.start()
    try:
        array = CrossbarArray((1024, 1024), SoftBounds(), rng=0)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert array.shape == (1024, 1024)
    assert kept / 1024**2 == pytest.approx(20.0, abs=0.5)
    assert peak / 1024**2 < 24.0
