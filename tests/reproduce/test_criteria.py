"""Criteria of reproductions at their edges: what is just inside passes, what is just outside does not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from rpusim.reproduce import li2025, wu2024, wu2025, xiao2026


def failed(result):
    assert result.passed == all(check.passed for check in result.checks)
    return [check.label for check in result.checks if not check.passed]


def constant(loss):
    return np.full(100, loss)


# ---- Wu et al. (2025): Tiki-Taka rises with the shift of the symmetry point, residual learning does not --------------

LEFT = {"SGD": (2.0, 2.5, 3.0, 3.5), "Tiki-Taka": (1.0, 2.0, 3.0, 4.0), "residual learning, zero-shifted": (1.0,) * 4}


@pytest.mark.parametrize(
    "name, losses, wrong",
    [
        (None, None, []),
        ("Tiki-Taka", (1.0, 1.01, 1.02, 3.6), []),
        ("Tiki-Taka", (1.0, 0.99, 1.02, 3.6), ["Tiki-Taka: largest shift over none"]),
        ("Tiki-Taka", (1.0, 1.5, 1.49, 3.6), ["Tiki-Taka: largest shift over none"]),
        ("Tiki-Taka", (1.0, 1.1, 1.2, 3.4), ["Tiki-Taka over SGD at shift 0.3"]),
        ("Tiki-Taka", (2.1, 2.2, 2.3, 3.6), ["Tiki-Taka over SGD at shift 0"]),
        ("residual learning, zero-shifted", (1.0, 1.49, 1.2, 1.1), []),
        ("residual learning, zero-shifted", (1.0, 1.51, 1.2, 1.1), ["residual learning: largest over smallest"]),
        ("residual learning, zero-shifted", (1.17, 1.17, 1.17, 1.17), ["residual learning over SGD at the largest shift"]),
    ],
)
def test_rising_and_flat_losses(monkeypatch, name, losses, wrong):
    left = LEFT | ({name: losses} if name else {})
    monkeypatch.setattr(wu2025, "algorithm", lambda name, shift: (name, shift))
    monkeypatch.setattr(wu2025, "descend", lambda rule, *_, **__: constant(left[rule[0]][wu2025.SHIFTS.index(rule[1])]))
    assert failed(wu2025.REPRODUCTION.compute()) == wrong


# ---- Wu et al. (2024): plateaus that fall with tau and rise with the noise -------------------------------------------

DIGITAL = None


@pytest.mark.parametrize(
    "key, loss, wrong",
    [
        ((1.0, 0.1, 0.0), 1e-3, []),
        ((1.5, 0.1, 0.0), 2.01e-4, ["least fall from one tau to the next"]),
        ((1.5, 0.1, 0.0), 1.6e-4, ["plateau, tau 1.5", "least fall from one tau to the next"]),
        ((2.0, 0.1, 0.0), 2.55e-4, []),
        ((2.0, 0.1, 0.0), 2.45e-4, ["least fall from one tau to the next"]),
        ((2.5, 0.1, 0.0), 0.8e-4, ["plateau, tau 2.5"]),
        ((DIGITAL, 0.1, 0.0), 2.2e-4, []),
        ((DIGITAL, 0.1, 0.0), 2.3e-4, ["plateau, digital SGD"]),
        ((1.0, 0.03, 0.0), 0.99e-3, []),
        ((1.0, 0.03, 0.0), 1.01e-3, ["noise 0.3 over noise 0.03"]),
        ((1.0, 0.3, 0.0), 0.99e-3, ["noise 0.3 over noise 0.03"]),
        ((1.0, 0.1, 0.8), 1.24e-3, []),
        ((1.0, 0.1, 0.8), 1.26e-3, ["largest over smallest plateau of three starts"]),
        ((1.0, 0.1, -0.8), 0.79e-3, ["largest over smallest plateau of three starts"]),
    ],
)
def test_falling_and_rising_plateaus(monkeypatch, key, loss, wrong):
    plateaus = {(tau, 0.1, 0.0): value for tau, value in wu2024.PLATEAUS.items()} | {
        (DIGITAL, 0.1, 0.0): 7.5e-5, (1.0, 0.03, 0.0): 1e-4, (1.0, 0.3, 0.0): 1e-2, (1.0, 0.1, -0.8): 1e-3,
        (1.0, 0.1, 0.8): 1e-3, key: loss,
    }  # fmt: skip
    found = {tau: wu2024.PLATEAUS[tau] for tau in (1.0, 1.5, 2.0, 2.5)}
    assert found == {1.0: 1e-3, 1.5: 5e-4, 2.0: 3.5e-4, 2.5: 2.5e-4}  # read off the figure
    monkeypatch.setattr(
        wu2024,
        "descend",
        lambda rule, *_, noise, start, **__: constant(
            plateaus[getattr(getattr(rule, "device", None), "w_max", None), noise, start]
        ),
    )
    assert failed(wu2024.ASYMPTOTIC.compute()) == wrong


# ---- Xiao et al. (2026) ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "exponent, scale, wrong",
    [
        (-1.0, 5.0, []),
        (-1.0, 1.9, ["pulses at dw_min 0.001 (published: at least)"]),
        (-0.96, 5.0, []),
        (-0.94, 5.0, ["pulses times dw_min: largest over smallest", "slope of log pulses against log dw_min"]),
        (-2.0, 5.0, ["pulses times dw_min: largest over smallest", "slope of log pulses against log dw_min"]),
    ],
)
def test_pulses_of_zero_shifting(monkeypatch, exponent, scale, wrong):
    monkeypatch.setattr(xiao2026, "pulses_needed", lambda dw_min, *_: scale * 1000.0 * (dw_min / 1e-3) ** exponent)
    assert failed(xiao2026.ZERO_SHIFT.compute()) == wrong


@pytest.mark.parametrize(
    "quick, change, wrong",
    [
        (False, {}, []),
        (False, {"E-RIDER": 0.249}, []),
        (False, {"E-RIDER": 0.251}, ["E-RIDER over no reference"]),
        (True, {"E-RIDER": 0.49}, []),
        (True, {"E-RIDER": 0.51}, ["E-RIDER over no reference"]),
        (False, {"RIDER": 1.09}, []),
        (False, {"RIDER": 1.11}, ["RIDER over no reference"]),
        (False, {"zero-shifted": 0.21}, []),
        (False, {"zero-shifted": 0.23}, ["zero-shifted over E-RIDER"]),
    ],
)
def test_tracked_references(monkeypatch, quick, change, wrong):
    left = {"no reference": 1.0, "RIDER": 0.9, "E-RIDER": 0.2, "zero-shifted": 0.1} | change
    monkeypatch.setattr(xiao2026, "algorithm", lambda name: name)
    monkeypatch.setattr(xiao2026, "descend", lambda rule, *_, **__: constant(left[rule]))
    assert failed(xiao2026.TRACKING.compute(quick)) == wrong


# ---- Li et al. (2026) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "errors, wrong",
    [
        ((1.0, 0.8, 0.24), []),
        ((1.0, 0.8, 0.26), ["median squared error, 1 tile over 3"]),
        ((0.8, 0.81, 0.1), ["median squared error, 1 tiles over 2"]),
        ((1.0, 0.2, 0.21), ["median squared error, 2 tiles over 3"]),
    ],
)
def test_errors_fall_with_every_tile(monkeypatch, errors, wrong):
    targets = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 1))

    def algorithm(n):
        tile = SimpleNamespace(weights=targets + np.sqrt(errors[n - 1]), update=lambda *_: None)
        return SimpleNamespace(build=lambda *_, **__: tile)

    monkeypatch.setattr(li2025, "algorithm", algorithm)
    assert failed(li2025.REPRODUCTION.compute(True)) == wrong
