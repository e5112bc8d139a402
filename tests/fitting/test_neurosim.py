"""NeuroSim's parameters: pulse by pulse its curves, its noise, its spreads, and the lists that it keeps them in."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

import rpusim as rpu
from rpusim.fitting import NeuroSim, neurosim, read_neurosim

#: A / P_max of some labels, to the 6 decimals that are published
PUBLISHED = {0.01: 126.268958, 0.5: 2.519877, 1.0: 1.251653, 1.75: 0.702081, 2.4: 0.499181, 4.88: 0.200303, 9.0: 0.022810}


def oracle(a, pulses, x, up):
    """One pulse as the peer has it: to the place on the curve, one on or back, and clipped to the range."""
    b = 1.0 / (1.0 - math.exp(-pulses / a))
    place = -a * math.log(1.0 - x / b)
    return min(max(b * (1.0 - math.exp(-(place + (1 if up else -1)) / a)), 0.0), 1.0)


@pytest.mark.parametrize(("label", "a"), PUBLISHED.items())
def test_labels_have_the_published_a(label, a):
    for sign in (1.0, -1.0):
        found = neurosim(NL_LTP=sign * label, NL_LTD=-sign * label, maxNumLevelLTP=100, maxNumLevelLTD=64)
        assert found.values["paramALTP"] / 100 == pytest.approx(sign * a, abs=6e-7)
        assert found.values["paramALTD"] / 64 == pytest.approx(-sign * a, abs=6e-7)


@pytest.mark.parametrize("zero", ["middle", "symmetry_point"])
@pytest.mark.parametrize(("ltp", "ltd"), [(2.4, -4.88), (1.0, -1.75), (-1.0, -0.5), (1.75, 0.5), (-2.4, 2.4), (0.01, -9.0)])
def test_pulses_are_those_of_the_curves_to_1e_6(ltp, ltd, zero):
    pulses = 97, 60
    try:
        found = neurosim(NL_LTP=ltp, NL_LTD=ltd, maxNumLevelLTP=97, maxNumLevelLTD=60, maxConductance=4e-8, minConductance=3e-9,
                         zero=zero)  # fmt: skip
    except ValueError as error:
        assert zero == "symmetry_point" and "nowhere equal" in str(error) and not ltp > 0 > ltd
        return
    device = found.device
    array = rpu.CrossbarArray((1, 1), device.replace(dw_min_std=0.0), rng=0)
    for up, label, count in ((True, ltp, pulses[0]), (False, ltd, pulses[1])):
        a = math.copysign(PUBLISHED[abs(label)], label) * count
        x = 0.0 if up else 1.0
        for start in (x, 0.3, 0.7):
            x, w = start, float(found.to_weight(3e-9 + 3.7e-8 * start))
            array.program([[w]])
            for _ in range(count):
                x = oracle(a, count, x, up)
                w = float(np.clip(w + (device.step_up(w) if up else -device.step_down(w)), device.w_min, device.w_max))
                array.pulse(1 if up else -1)
                assert (found.to_conductance(w) - 3e-9) / 3.7e-8 == pytest.approx(x, abs=1e-6 if abs(label) < 9 else 3e-5)
                assert found.to_conductance(array.weights[0, 0]) == pytest.approx(3e-9 + 3.7e-8 * x, abs=4e-13)


def test_a_label_of_0_is_a_line():
    device = neurosim(NL_LTP=0, NL_LTD=0, maxNumLevelLTP=50).device
    assert (device.dw_min, device.gamma_up, device.gamma_down) == (0.04, 0.0, 0.0)
    nearly = neurosim(NL_LTP=1e-6, NL_LTD=-1e-6, maxNumLevelLTP=50).device
    assert nearly.dw_min == pytest.approx(0.04, rel=1e-6) and nearly.gamma_up == pytest.approx(
        4e-7 * 0.07 * math.sqrt(2) * 10, rel=1e-2
    )


def noise_of(found, sign, n=40_000):
    """Standard deviation of one pulse, as a fraction of the range."""
    array = rpu.CrossbarArray((1, n), found, rng=5)
    array.program(np.full((1, n), (found.device.w_max + found.device.w_min) / 2))
    before = array.weights.copy()
    array.pulse(sign)
    return float(np.std(array.weights - before, ddof=1)) / (found.device.w_max - found.device.w_min)


def test_noise_is_a_fraction_of_the_range():
    """40000 pulses tell a standard deviation to 0.35 %: a bound of 2 % is far from any wrong factor."""
    given = {"NL_LTP": 2.4, "NL_LTD": -4.88, "maxNumLevelLTP": 97, "sigmaCtoC": 0.035}
    exact = neurosim(**given, zero="symmetry_point")
    assert [noise_of(exact, s) for s in (1, -1)] == pytest.approx([0.035, 0.035], rel=0.02)
    middle = neurosim(**given)
    up, down = (noise_of(middle, s) for s in (1, -1))
    assert math.sqrt((up**2 + down**2) / 2) == pytest.approx(0.035, rel=0.02)
    note = next(note for note in middle.notes if note.startswith("sigmaCtoC"))
    said = [float(number) for number in re.findall(r"is ([\d.]+) of pulses up and ([\d.]+) of", note)[0]]
    assert said == pytest.approx([up, down], rel=0.02) and "symmetry_point" in note


def test_spreads_are_those_of_drawn_labels():
    """Labels drawn by NumPy, and the steps at the middle that follow; of 20000 devices, whose spreads are known to 0.5 %."""
    sigma = 0.05
    given = {"NL_LTP": 1.5, "NL_LTD": -1.5, "maxNumLevelLTP": 50}
    found = neurosim(**given, sigmaDtoD=sigma)
    labels = 1.5 + sigma * np.random.default_rng(1).standard_normal(2000)
    drawn = [neurosim(NL_LTP=label, NL_LTD=-1.5, maxNumLevelLTP=50).device for label in labels]
    steps, gammas = np.array([d.dw_min * (1 + d.up_down) for d in drawn]), np.array([d.gamma_up for d in drawn])
    array = rpu.CrossbarArray((100, 200), found, rng=2)
    own = array.parameters["step_up"]
    assert own.std() == pytest.approx(steps.std(), rel=0.06)
    assert (-array.parameters["slope_up"] / own).std() == pytest.approx(gammas.std(), rel=0.06)
    assert np.corrcoef(own.ravel(), array.parameters["step_down"].ravel())[0, 1] == pytest.approx(0.0, abs=0.03)
    assert any("first order" in note for note in found.notes)


CPP = """\
RealDevice::RealDevice(int x, int y) {
    maxConductance = 3.8462e-8;     // Maximum cell conductance (S)
    minConductance = 3.0769e-9; /* S */
    maxNumLevelLTP = 97;
    maxNumLevelLTD = 100;
    NL_LTP = 2.4;   // LTP nonlinearity
    NL_LTD = -4.88;
    sigmaDtoD = 0;
    sigmaCtoC = 0.035* (maxConductance - minConductance);
    if (nonlinearIV) { maxConductance = Other(maxConductance, NL); }
}
"""


def same(found, **more):
    given = {"NL_LTP": 2.4, "NL_LTD": -4.88, "maxNumLevelLTP": 97, "maxNumLevelLTD": 100, "maxConductance": 3.8462e-8,
             "minConductance": 3.0769e-9, "sigmaCtoC": 0.035} | more  # fmt: skip
    assert {k: found.values[k] for k in given} == pytest.approx(given)


def test_lists_of_all_kinds(tmp_path):
    file = tmp_path / "list"
    file.write_text(CPP)
    same(read_neurosim(file))
    file.write_text(
        "IdealDevice::IdealDevice(int x) {\n maxConductance = 5e-6;\n}\n" + CPP + "SRAM::SRAM(int x) {\n NL_LTP = 1;\n}\n"
    )
    found = read_neurosim(file)
    same(found)
    assert "of several devices RealDevice is read; others: IdealDevice, SRAM" in found.notes
    lines = "name,value\nNL_LTP,2.4\nNL_LTD,-4.88\nmax_level,97\nGmax (nS),38.462\nGmin (nS),3.0769\nc2c,3.5%\n"
    file.write_text(lines)
    same(read_neurosim(file), maxNumLevelLTD=97)
    file.write_text(lines.replace(",", "\t").replace("3.5%", "0.035"))
    found = read_neurosim(file)
    same(found, maxNumLevelLTD=97)
    assert "sigmaCtoC 0.035 is taken as a fraction of the full range" in found.notes
    file.write_text(lines.replace("3.5%", "1.238479e-9"))
    assert "taken in siemens" in " ".join(read_neurosim(file).notes)
    same(read_neurosim(file), maxNumLevelLTD=97)
    file.write_text(json.dumps({"nonlinearityLTP": 2.4, "nonlinearityLTD": -4.88, "max_level": 97, "Ron": 1 / 3.8462e-8,
                                "Roff": 1 / 3.0769e-9, "c2cVari": 0.035}))  # fmt: skip
    same(read_neurosim(file), maxNumLevelLTD=97)
    file.write_text(
        "args.max_level = 32   # levels\nargs.nonlinearityLTP = 1.75\nargs.nonlinearityLTD = 1.46\nargs.d2dVari = 0.0\n"
    )
    found = read_neurosim(file)
    assert found.values["NL_LTD"] == 1.46 and found.device.gamma_down < 0.0
    assert any("smallest conductance is taken to be 0" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NL_LTP = 2.4\n", "must give NL_LTD, maxNumLevelLTP"),
        ("NL_LTP = 2.4\nNL_LTD = -1\nmax_level = x\n", "line 3: max_level must be a number; got 'x'"),
        ("NL_LTP = 2.4\nNL_LTD = -1\nmax_level = 3.5\n", "level must be an integer"),
        ("NL_LTP = 2.4\nNL_LTD = -1\nmax_level = 30\nNL_LTP = 2.5\n", r"line 4: NL_LTP must have one value; got 2.5 after 2.4"),
        ("NL_LTP = 12\nNL_LTD = -1\nmax_level = 30\n", r"NL_LTP must be a finite real number in \[-9, 9\]; got 12"),
        ("NL_LTP = 2\nNL_LTD = -1\nmax_level = 30\nc2c = 3.5\n", "line 4: sigmaCtoC must be at most 1.*percent"),
        ("NL_LTP = 2\nNL_LTD = -1\nmax_level = 30\nonoffratio = 0.5\n", "onoffratio must be"),
        ("{\"NL_LTP\": [1]}", "must be a number"),
        ("nothing at all\n", "must give NL_LTP, NL_LTD"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_list_is_refused_by_name(tmp_path, text, message):
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_neurosim(file)


def test_it_is_taken_wherever_a_device_is_and_goes_to_json_and_back():
    found = neurosim(NL_LTP=1.0, NL_LTD=-2.0, maxNumLevelLTP=40, sigmaCtoC=0.01, dw_min_dtod_log_normal=False)
    assert rpu.CrossbarArray((2, 3), found, rng=0).device == found.device
    assert rpu.algorithms.SGD(device=found).device == found.device
    assert rpu.from_json(found.to_json()) == found.device
    again = NeuroSim.from_json(found.to_json())
    assert again == found and str(again) == str(found) and "note: maxNumLevelLTD" in str(found)
    for wrong in ("{}", "[]", json.dumps(found.to_dict() | {"values": [1]}), json.dumps(found.to_dict() | {"notes": 3})):
        with pytest.raises(ValueError, match="data"):
            NeuroSim.from_json(wrong)
    with pytest.raises(TypeError, match="w_max follow from the parameters"):
        neurosim(NL_LTP=1.0, NL_LTD=-2.0, maxNumLevelLTP=40, w_max=2.0)
