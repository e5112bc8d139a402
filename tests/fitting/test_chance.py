"""Ramps that say nothing of pulses are refused; those of weak pulses are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rpusim.fitting import fit
from rpusim.fitting.chance import score_by_chance
from rpusim.fitting.data import Data

WANDERS = "a state that wanders by chance, whichever way pulses go, explains the ramps as well"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["reads", "walk"])
def test_noise_alone_is_refused(kind, seed):
    noise = np.random.default_rng(seed).normal(50.0, 5.0, (2, 120))
    up, down = noise if kind == "reads" else np.cumsum(noise - 50.0, axis=1)
    with pytest.raises(ValueError, match=f"{WANDERS}|give it as"):  # a walk may go the other way
        fit(up, down, ["ConstantStep", "SoftBounds"], progress=False)


def test_who_asks_for_a_model_gets_it_with_a_note():
    up, down = np.random.default_rng(3).normal(50.0, 5.0, (2, 120))
    assert any(note.startswith(WANDERS) for note in fit(up, down, "ConstantStep", progress=False).notes)


def test_weak_pulses_below_the_noise_of_reads_are_found():
    """120 steps of a fifth of the noise lead 24 times its size away."""
    rng = np.random.default_rng(4)
    up, down = (sign * 0.2 * np.arange(120) + rng.standard_normal(120) for sign in (1, -1))
    result = fit(up, down + 24.0, ["ConstantStep", "SoftBounds"], progress=False)
    assert not any(WANDERS in note for note in result.notes)
    assert abs(result.device.dw_min * result.slope / 0.2 - 1.0) < 0.1


def test_the_score_is_that_of_white_noise():
    """Reads of a state that stays: the likelihood of the first value is left out, and the mean is not a parameter."""
    y = np.random.default_rng(5).normal(0.0, 0.3, (4000, 1))
    data = Data(y, np.array([1.0]), np.array([0]))
    n = 3999
    expected = n * (math.log(2.0 * math.pi * float(y[1:].var())) + 1.0) + 2.0 * math.log(n)
    # more, as the mean is learned from the reads: the sum of log(1 + 1 / t), log(n)
    assert 0.5 < (score_by_chance([data], "bic") - expected) / math.log(n) < 1.5
