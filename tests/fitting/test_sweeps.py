"""Current-voltage sweeps: the law of wires is found again, with honest errors, and switching and compliance are left out."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rpusim as rpu
from rpusim.fitting import SweepResult, fit_sweeps, read_sweeps


def sinh(v, g, alpha):
    return g * np.sinh(alpha * v) / alpha


def states(seed, alphas=(3.0, 3.0, 3.0), noise=0.02):
    rng, v = np.random.default_rng(seed), np.linspace(-0.8, 0.8, 41)
    g = (1e-6, 5e-6, 2e-5)
    return [v] * 3, [sinh(v, a, b) * (1 + noise * rng.standard_normal(41)) for a, b in zip(g, alphas, strict=True)], g


def test_the_law_is_that_of_the_network():
    v, i, g = states(0, noise=0.0)
    found = fit_sweeps(v, i)
    assert found.law == "sinh" and found.nonlinearity == pytest.approx(3.0, rel=1e-6)
    assert found.conductances == pytest.approx(np.repeat(g, 2), rel=1e-6)
    for k, volt in ((0, -0.7), (3, 0.3), (5, 0.8)):
        network = rpu.solve_network(
            [abs(volt)], [[found.resistances[k]]], r_word=0.0, r_bit=0.0, nonlinearity=found.nonlinearity
        )
        assert float(network.currents[0]) == pytest.approx(sinh(abs(volt), np.repeat(g, 2)[k], 3.0), rel=1e-6)
        assert float(found.current(k, volt)) == pytest.approx(sinh(volt, np.repeat(g, 2)[k], 3.0), rel=1e-6)


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_standard_errors_cover_the_truth(form):
    z, of_g = [], []
    for seed in range(100):
        v, i, g = states(seed)
        if form == "absolute":
            rng = np.random.default_rng(seed)
            i = [sinh(v[0], a, 3.0) + 0.01 * sinh(0.8, a, 3.0) * rng.standard_normal(41) for a in g]
        found = fit_sweeps(v, i, law="sinh", noise=form)
        if form == "absolute" and len(found.each) < 6:
            continue
        z.append((found.nonlinearity - 3.0) / found.standard_errors["nonlinearity"])
        of_g += [(row[1] - a) / row[2] for row, a in zip(found.each, np.repeat(g, 2), strict=True)]
    for values in (z, of_g):
        within = np.mean(np.abs(values) < 3)
        print(f"{form}: {within:.3f} within 3, mean {np.mean(values):.2f}, spread {np.std(values, ddof=1):.2f}")
        assert np.mean(np.abs(values) < 3) >= 0.95 and 0.8 < np.std(values, ddof=1) < 1.25 and abs(np.mean(values)) < 0.4


def test_the_law_is_chosen():
    assert fit_sweeps(*states(1)[:2]).law == "sinh"
    v, i, _ = states(1, alphas=(1.5, 3.0, 5.0))
    each = fit_sweeps(v, i)
    assert each.law == "sinh of each" and [row[3] for row in each.each] == pytest.approx(np.repeat([1.5, 3, 5], 2), rel=0.15)
    assert any("a network takes one" in note for note in each.notes) and each.values["spread"] == pytest.approx(1.6, rel=0.3)
    rng = np.random.default_rng(0)
    ohm = fit_sweeps(v[0], 1e-5 * v[0] * (1 + 0.01 * rng.standard_normal(41)))
    assert ohm.law == "ohm" and ohm.nonlinearity == 0.0 and ohm.conductances == pytest.approx([1e-5, 1e-5], rel=0.02)


def loop(low=1e-6, high=5e-5, alpha=2.0, compliance=2e-4):
    """0 to 2 V and back, 0 to -2 V and back: SET at 1.2 V into the compliance, RESET at -1.5 V."""
    up, down = np.linspace(0.02, 2, 100), np.linspace(2, 0.02, 100)
    of_low, of_high = sinh(up, low, alpha), sinh(up, high, alpha)
    parts = [(up, np.where(up < 1.2, of_low, of_high)), (down, of_high[::-1]),
             (-up, np.where(up < 1.5, -of_high, -of_low)), (-down, -of_low[::-1])]  # fmt: skip
    v, i = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return v, np.minimum(i, compliance)


def test_switching_and_compliance_are_left_out_and_said():
    rng = np.random.default_rng(3)
    v, i = loop()
    i = i * (1 + 0.005 * rng.standard_normal(len(i)))
    found = fit_sweeps(v, i)
    assert found.law == "sinh" and found.nonlinearity == pytest.approx(2.0, rel=0.02)
    assert found.conductances == pytest.approx([1e-6, 5e-5, 5e-5, 1e-6], rel=0.02)
    assert [row[5] for row in found.each] == pytest.approx([1.18, 1.37, -1.49, -2.0], abs=0.05)
    assert any("jumps at 1.2" in n for n in found.notes) and any("falls at 1.5" in n for n in found.notes)
    assert any("compliance" in n for n in found.notes) and any("it switched between" in n for n in found.notes)
    reads = fit_sweeps(v, i, v_max=0.5)
    assert all(abs(row[5]) <= 0.5 for row in reads.each) and not any("jumps" in n for n in reads.notes)


def test_what_does_not_follow_the_law_is_said():
    v = np.linspace(0.02, 1, 60)
    rough = fit_sweeps(v, 1e-5 * v**3)
    assert any("does not follow the law" in n for n in rough.notes)
    assert any("series resistance" in n for n in fit_sweeps(v, 1e-5 * np.sqrt(v)).notes)
    small = fit_sweeps(v * 0.1, sinh(v * 0.1, 1e-5, 3.0), law="sinh")
    assert any("hardly bends" in n for n in small.notes)


def test_files(tmp_path):
    path = tmp_path / "iv.csv"
    v, i, g = states(2)
    rows = [f"{k},{1e3 * a},{1e6 * b}\n" for k in range(3) for a, b in zip(v[k], i[k], strict=True)]
    path.write_text("device,V (mV),I (uA)\n" + "".join(rows))
    found = fit_sweeps(read_sweeps(path))
    arrays = fit_sweeps(v, i)
    assert not any("it switched between" in note for note in found.notes)  # three devices
    assert found.nonlinearity == pytest.approx(arrays.nonlinearity) and found.unit == "S"
    assert [row[0] for row in found.each][:2] == [
        "I (uA), device 0, branch 1, -0.8 to -0.04 V",
        "I (uA), device 0, branch 1, 0.04 to 0.8 V",
    ]
    path.write_text("pulse,G\n1,2\n2,3\n3,4\n")
    with pytest.raises(ValueError, match="must have columns of voltages and currents; got 'pulse', 'G'"):
        read_sweeps(path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1, 2, 3], [1, 2]), "currents must have shape"), (([1, 2, 3], [1, 2, 3]), "at least 4 values"),
        ((3, 4), "must have shape"),
        (([[1, 2]], [1]), "currents"), (("x", "y"), "voltages must be"),
        (([1, 2], None), "currents must"),
    ],
)  # fmt: skip
def test_what_is_no_sweep_is_refused(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit_sweeps(*given)


def test_results_go_to_json_and_back():
    found = fit_sweeps(*states(1)[:2])
    with pytest.raises(ValueError, match="this fit of kind 'iv' has none"):
        rpu.from_json(found.to_json())
    again = SweepResult.from_json(found.to_json())
    assert again == found and str(again) == str(found) and again.resistances == pytest.approx(found.resistances)
    with pytest.raises(ValueError, match="data"):
        SweepResult.from_json(json.dumps(found.to_dict() | {"kind": "x"}))


def test_noise_of_a_measured_voltage_turns_no_branch():
    """Up and down twice, where the current is driven and the voltage read: four branches, not one for each wiggle."""
    rng = np.random.default_rng(4)
    i = np.concatenate([np.linspace(1e-8, 1e-6, 600), np.linspace(1e-6, 1e-8, 600)] * 2)
    v = np.arcsinh(3.0 * i / 1e-6) / 3.0 + 5e-4 * rng.standard_normal(2400)
    assert (np.diff(np.sign(np.diff(v))) != 0).sum() > 40
    found = fit_sweeps(v, i)
    assert [b.name.split(",")[1] for b in found.branches] == [f" branch {k}" for k in range(1, 5)]
    assert found.nonlinearity == pytest.approx(3.0, rel=0.03)
