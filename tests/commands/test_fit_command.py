"""The command `rpusim fit`."""

import json

import numpy as np
import pytest

import rpusim as rpu
from rpusim import commands
from rpusim._base.specification import from_dict


def run(capsys, *argv):
    status = commands.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def files(tmp_path):
    device = rpu.devices.SoftBounds(dw_min=0.05, dw_min_dtod=0, up_down_dtod=0, w_max=1, w_min=-1, w_max_dtod=0, w_min_dtod=0)
    array = rpu.CrossbarArray((1, 4), device, rng=3)
    noise = np.random.default_rng(3)
    paths = []
    for name, sign in (("up", 1), ("down", -1)):
        array.program(np.full((1, 4), -0.8 * sign))
        rows = [array.weights[0]]
        for _ in range(60):
            array.pulse(sign)
            rows.append(array.weights[0])
        values = 20 + 10 * (np.array(rows) + 0.01 * noise.standard_normal((61, 4)))
        paths.append(tmp_path / f"{name}.csv")
        np.savetxt(paths[-1], values, delimiter=",", header="a (uS),b (uS),c (uS),d (uS)", comments="")
    return paths


def test_fit_prints_and_writes(files, tmp_path, capsys):
    out = tmp_path / "figures"
    status, text, _ = run(
        capsys,
        "fit",
        *files,
        "--model",
        "SoftBounds",
        "--model",
        "ConstantStep",
        "--out",
        out,
        "--g-min",
        1e-5,
        "--g-max",
        3e-5,
    )
    assert status == 0
    for part in ("dw_min_std", "read_noise", "dBIC", "R2 on the mean curve", "SoftBounds(dw_min="):
        assert part in text
    cells = {line.split()[0]: line.split() for line in text.splitlines() if line.split()[3:4] == ["weight"]}
    for name, zero in (("w_max", 2e-5), ("w_min", 2e-5), ("dw_min", 0.0), ("read_noise", 0.0)):  # 1e-5 siemens per weight
        assert float(cells[name][4]) == pytest.approx(zero + 1e-5 * float(cells[name][1]), rel=1e-3), name
    assert {p.name for p in out.iterdir()} == {"fit-up.json", "fit-up.png", "fit-up.svg"}
    data = json.loads((out / "fit-up.json").read_text())
    device = from_dict(data["device"])
    assert repr(device) in text
    for name, value in (("dw_min", 0.05), ("w_max", 1.0), ("w_min", -1.0), ("dw_min_std", 0.3)):
        assert abs(getattr(device, name) - value) < 4 * data["standard_errors"][name]
    assert data["scale"]["unit"] == "S" and data["scale"]["slope"] == pytest.approx(1e-5)
    assert [s["model"] for s in data["comparison"]] == ["SoftBounds", "ConstantStep"]


def test_files_by_direction_and_names_of_results(files, tmp_path, capsys):
    target = tmp_path / "deep" / "mine.json"
    status, text, _ = run(
        capsys,
        "fit",
        "--up",
        files[0],
        "--down",
        files[1],
        "--column",
        "b (uS)",
        "--model",
        "SoftBounds",
        "--json",
        target,
        "--figure",
        tmp_path / "mine.png",
        "--hold",
        "w_max=1",
        "--out",
        tmp_path / "none",
    )
    assert status == 0 and "2 ramps of 1 device(s)" in text and "w_max is held at 1, as asked" in text
    assert target.exists() and (tmp_path / "mine.png").exists() and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "Magic"], "model must be"),
        (["--hold", "w_max"], "--hold must be NAME=VALUE"),
        (["--column", "e"], "columns must be among"),
        (["--normalise", "none", "--g-min", "1"], "--g-min and --g-max must not be given"),
    ],
)
def test_wrong_arguments(files, capsys, more, message):
    status, _, error = run(capsys, "fit", *files, *more)
    assert status == 2 and message in error


def test_no_file(capsys, tmp_path):
    assert "at least one file" in run(capsys, "fit")[2]
    status, _, error = run(capsys, "fit", tmp_path / "none.csv")
    assert status == 2 and "none.csv" in error
