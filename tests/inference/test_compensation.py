"""Digital factors that make up for drift."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu

inf = rpu.inference
DAY = 86400.0
#: drift by one exponent, the same for all devices: outputs fade by the same factor
EQUAL = inf.CustomNoise(drift_mean=(0.06,))


def quiet(noise=0.0, **more):
    adc = rpu.ADC(bits=None, bound=None, noise=noise)
    periphery = rpu.Periphery.ideal() if noise == 0 else rpu.Periphery.ideal().replace(adc=adc)
    return inf.Chip(EQUAL, periphery=periphery, compensation=inf.Compensation(**more))


def weights(rows=40, columns=100):
    return np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)


KINDS = [
    dict(kind=kind, probe=probe, estimator=estimator, reference=reference)
    for kind in ("global", "column")
    for probe in ("identity", "random_signs")
    for estimator in ("ratio", "regression")
    for reference in ("programmed", "exact")
]


@pytest.mark.parametrize("rule", KINDS, ids=lambda rule: "-".join(rule.values()))
def test_equal_exponents_are_made_up_for_exactly(rule):
    array = inf.ProgrammedArray(weights(), quiet(**rule), rng=0)
    factor = ((DAY + 20) / 20) ** 0.06
    alpha = array.compensation_factor(DAY)
    assert alpha.shape == ((40,) if rule["kind"] == "column" else (1,))
    assert alpha == pytest.approx(factor, rel=1e-5)
    x = np.eye(100, dtype=np.float32)
    assert array.forward(x, DAY) == pytest.approx(x @ weights().T, abs=3e-6)
    assert array.forward(x, DAY, compensated=False) == pytest.approx(x @ weights().T / factor, abs=3e-6)


def test_noise_of_outputs_biases_the_ratio_and_not_the_regression():
    """Spread of outputs q, noise s: the ratio of means is that of sqrt(q^2 + s^2)."""
    factor, s = ((DAY + 20) / 20) ** 0.06, 0.2
    found = {}
    for estimator, probe in (("ratio", "identity"), ("regression", "identity"), ("regression", "random_signs")):
        rule = dict(estimator=estimator, probe=probe, vectors=400)
        alphas = [float(inf.ProgrammedArray(weights(), quiet(s, **rule), rng=k).compensation_factor(DAY)[0]) for k in range(20)]
        found[estimator, probe] = np.mean(alphas), np.std(alphas) / math.sqrt(20)
    normalised = weights() / np.abs(weights()).max(axis=1, keepdims=True)
    by_hand = [
        np.mean([np.abs(f * normalised + s * xi) for xi in np.random.default_rng(1).standard_normal((50, 40, 100))])
        for f in (1, 1 / factor)
    ]
    mean, error = found["ratio", "identity"]
    assert mean == pytest.approx(by_hand[0] / by_hand[1], abs=5 * error + 1e-3) and mean < factor - 10 * error
    for probe in ("identity", "random_signs"):
        mean, error = found["regression", probe]
        assert mean == pytest.approx(factor, abs=5 * error), probe
        assert error < 0.01


def test_alpha_stays_between_its_measurements():
    array = inf.ProgrammedArray(weights(), quiet(every_s=3600.0), rng=0)
    fade = lambda t: ((t + 20) / 20) ** 0.06  # noqa: E731
    assert array.compensation_factor(3599.0) == pytest.approx(1.0, rel=1e-5)
    assert array.compensation_factor(9000.0) == pytest.approx(fade(7200.0), rel=1e-5)


def test_without_a_compensation_nothing_is_made_up_for():
    array = inf.ProgrammedArray(weights(), quiet().replace(compensation=None), rng=0)
    assert (array.compensation_factor(DAY) == 1.0).all()


def test_outputs_without_weights_keep_their_factor():
    w = weights()
    w[3] = 0.0
    array = inf.ProgrammedArray(w, quiet(kind="column"), rng=0)
    alpha = array.compensation_factor(DAY)
    assert alpha[3] == 1.0 and np.isfinite(array.forward(np.ones(100), DAY)).all()


def test_an_exact_reference_makes_up_for_a_mean_error_of_programming():
    class TooLow(inf.NoiseModel):
        def programmed(self, targets, g_max, draw):
            return (0.8 * targets).astype(np.float32)

    chip = quiet(reference="exact").replace(model=TooLow())
    assert inf.ProgrammedArray(weights(), chip, rng=0).compensation_factor(0.0) == pytest.approx(1.25, rel=1e-5)
    programmed = quiet(reference="programmed").replace(model=TooLow())
    assert inf.ProgrammedArray(weights(), programmed, rng=0).compensation_factor(0.0) == pytest.approx(1.0, rel=1e-5)
