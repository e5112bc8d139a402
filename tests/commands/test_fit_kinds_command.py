"""The command `rpusim fit` for measurements other than ramps."""

import json

import numpy as np
import pytest

import rpusim as rpu
from rpusim import commands
from rpusim.commands.fit_kinds import KINDS, LAWS
from rpusim.fitting import retention, sweeps

T = np.geomspace(1, 1e4, 25)
V = np.linspace(-0.5, 0.5, 41)
G = np.linspace(1, 9, 17)
U = np.linspace(0, 1, 11)
FILES = {
    "retention": "time (s),G (uS)\n" + "".join(f"{t},{10 * t**-0.05}\n" for t in T),
    "endurance": "cycle,LRS (uS),HRS (uS)\n"
    + "".join(f"{t},{5 + 4 * np.exp(-t / 1e4)},{5 - 4 * np.exp(-t / 1e4)}\n" for t in T),
    "iv": "V (V),I (uA)\n" + "".join(f"{v},{np.sinh(3 * v) / 3}\n" for v in V),
    "steps": "G (uS),dG (nS),type\n" + "".join(f"{g},{s * (10 - g if s > 0 else g) * 5},{'up' if s > 0 else 'down'}\n"
                                              for s in (1, -1) for g in G),
    "neurosim": "NL_LTP = 2.4;\nNL_LTD = -4.88;\nmax_level = 97;\nsigmaCtoC = 0.035 * (maxConductance - minConductance);\n",
    "ramps": "pulse,G (uS)\n" + "".join(f"{n},{10 - 8 * np.exp(-n / 12) + 0.05 * (-1) ** n}\n" for n in range(40)),
}  # fmt: skip
SAID = {"retention": "nu        0.05", "endurance": "endurance      20000", "iv": "nonlinearity          3", "steps": "dw_min",
        "neurosim": "paramALTP", "ramps": "SoftBounds"}  # fmt: skip


def run(capsys, *argv):
    status = commands.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_help_names_the_laws_that_there_are():
    assert LAWS == {"retention": retention.LAWS, "iv": sweeps._LAWS}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_guessed_said_and_written(tmp_path, capsys, kind):
    path = tmp_path / "measured.csv"
    path.write_text(FILES[kind])
    more = ["--model", "SoftBounds"] if kind == "ramps" else []
    status, text, error = run(capsys, "fit", path, "--out", tmp_path / "out", "--format", "png", *more)
    assert status == 0, error
    assert (f"kind: {kind}, " in text) == (kind != "ramps") and SAID[kind].split()[0] in text
    assert " ".join(SAID[kind].split()) in " ".join(text.split())
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"fit-measured.json", "fit-measured.png"}
    data = json.loads((tmp_path / "out" / "fit-measured.json").read_text())
    assert data["format"] == "rpusim fit"
    if kind in ("steps", "neurosim", "ramps"):
        assert run(capsys, "device", tmp_path / "out" / "fit-measured.json", "--out", tmp_path / "out")[0] == 0
    if kind == "retention":
        assert rpu.from_json(json.dumps(data)).nu == pytest.approx(0.05)


def test_a_kind_may_be_said_and_options_of_others_are_refused(tmp_path, capsys):
    path = tmp_path / "measured.csv"
    path.write_text(FILES["retention"])
    status, text, _ = run(capsys, "fit", path, "--kind", "retention", "--law", "decay", "--out", tmp_path)
    assert status == 0 and text.startswith("decay (1 series)")
    for argv, message in (
        (["--model", "SoftBounds"], "--model must not be given with --kind retention; it is of ramps"),
        (["--v-max", "1"], "--v-max must not be given with --kind retention"),
        (["--law", "x"], "law must be"), ([path], "files must be one for --kind retention; got 2"),
        (["--kind", "endurance", "--column", "G (uS)"], "one over time"),
        (["--kind", "ramps", "--law", "decay"], "--law must not be given with --kind ramps"),
    ):  # fmt: skip
        status, _, error = run(capsys, "fit", path, *argv, "--out", tmp_path)
        assert status == 2 and message in error, argv


def test_steps_of_two_files(tmp_path, capsys):
    both = FILES["steps"].splitlines()
    for name in ("up", "down"):
        (tmp_path / f"{name[0]}.csv").write_text("\n".join([both[0], *(line for line in both if line.endswith("," + name))]))
    status, text, error = run(
        capsys, "fit", "--kind", "steps", "--up", tmp_path / "u.csv", "--down", tmp_path / "d.csv", "--out", tmp_path
    )
    assert status == 0 and "PiecewiseStep(" in text, error
    status, _, error = run(capsys, "fit", "--kind", "steps", "--up", tmp_path / "u.csv", "--out", tmp_path)
    assert status == 2 and "once each" in error
