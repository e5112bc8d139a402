"""The command `rpusim fit`."""

import json

import numpy as np
import pytest

import rpusim as rpu
from rpusim import commands
from rpusim._base.specification import from_dict
from rpusim.commands import fit as fit_command


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


N = np.arange(40)
LTP = 25 - 20 * np.exp(-N / 12)
LTD = 5 + 20 * np.exp(-N / 12)


def write(path, head, *columns):
    path.write_text(head + "\n" + "".join(",".join(f"{c:.7g}" for c in row) + "\n" for row in zip(*columns, strict=True)))
    return path


def test_a_result_goes_on_to_the_other_commands(tmp_path, capsys, monkeypatch):
    """From two files to a device, its picture, the regression and a network, in one line each."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write(tmp_path / "ltp.csv", "pulse,G (uS)", N, LTP + 0.05 * rng.standard_normal(40))
    write(tmp_path / "ltd.csv", "pulse,G (uS)", N, LTD + 0.05 * rng.standard_normal(40))
    status, text, error = run(capsys, "fit", "ltp.csv", "ltd.csv", "--model", "SoftBounds", "--out", "my.json")
    assert status == 0, error
    assert {p.name for p in tmp_path.iterdir()} == {"ltp.csv", "ltd.csv", "my.json", "my.png", "my.svg"}
    data = json.loads((tmp_path / "my.json").read_text())
    assert data["scale"]["unit"] == "S" and repr(from_dict(data)) in text
    status, text, error = run(capsys, "device", "my.json", "--out", "out")
    assert status == 0 and repr(from_dict(data)) in text, error
    status, text, error = run(
        capsys, "regression", "--device", "my.json", "--algorithm", "sgd", "--steps", 400, "--workers", 1, "--out", "out"
    )
    assert status == 0 and "my" in text, error
    other = {**data, "format": "of another program"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    status, _, error = run(capsys, "device", "other.json", "--out", "out")
    assert status == 2 and "must be a dict with a 'type' entry" in error and len(error) < 300
    (tmp_path / "text.json").write_bytes(b"\xff\xfe{")
    status, _, error = run(capsys, "device", "text.json", "--out", "out")
    assert status == 2 and "cannot be read" in error and len(error) < 300


def test_options_of_reading(tmp_path, capsys):
    path = tmp_path / "sheet.csv"
    head = "30\nname;polarity;V;µA\n"
    rows = [f"w{k};{s};0.1;{-y:.6g}\n" for k in (1, 2) for s, ramp in (("+", LTP), ("-", LTD)) for y in ramp]
    path.write_bytes((head + "".join(rows)).encode("cp1252"))
    status, text, error = run(
        capsys, "fit", path, "--skip-rows", 1, "--encoding", "cp1252", "--columns", "µA", "--group", "name", "--read-voltage",
        -0.1, "--model", "SoftBounds", "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 0, error
    assert "4 ramps of 1 device(s)" in text and "over a read voltage of -0.1 V" in text
    data = json.loads((tmp_path / "out" / "fit-sheet.json").read_text())
    assert data["scale"]["unit"] == "S" and data["scale"]["offset"] == pytest.approx(1.5e-4, rel=0.1)
    status, _, error = run(capsys, "fit", path, "--out", tmp_path / "out")
    assert status == 2 and "sheet.csv, line 1" in error


def test_depression_in_reverse_order_and_devices_of_the_file(tmp_path, capsys):
    up = write(tmp_path / "a.csv", "pulse,G", N, LTP)
    down = write(tmp_path / "b.csv", "pulse,G", N, LTD[::-1])
    status, text, _ = run(capsys, "fit", "--up", up, "--down", down, "--model", "SoftBounds", "--out", tmp_path / "r.json")
    assert status == 0 and "note: of b.csv, values of 'G' that are to be down rise: taken in reverse order" in text
    device = from_dict(json.loads((tmp_path / "r.json").read_text()))
    assert abs(device.up_down) < 0.05
    path = tmp_path / "c.csv"
    path.write_text("device,type,G\n" + "".join(
        f"D{k},{s},{y + k}\n" for k in range(3) for s, ramp in (("LTP", LTP), ("LTD", LTD)) for y in ramp
    ))  # fmt: skip
    status, text, _ = run(capsys, "fit", path, "--model", "SoftBounds", "--out", tmp_path / "out")
    assert status == 0 and "6 ramps of 3 device(s)" in text and "3 devices, as the file names them" in text
    status, _, error = run(capsys, "fit", path, "--devices", "--out", tmp_path / "out")
    assert status == 2 and "--devices must not be given where a file names its devices" in error


def test_no_file(capsys, tmp_path):
    assert "at least one file" in run(capsys, "fit")[2]
    status, _, error = run(capsys, "fit", tmp_path / "none.csv")
    assert status == 2 and "none.csv" in error


def test_what_takes_long_is_said_where_no_bar_is_shown(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rpusim._base.progress.FIRST", 1e-3)
    call = ["fit", *files, "--model", "ConstantStep", "--model", "SoftBounds", "--out", tmp_path / "my.json", "--format", "svg"]
    status, _, said = run(capsys, *call)
    assert status == 0 and said.splitlines()[0].startswith("fit: ConstantStep, 1 of 2, ")
    assert "up.csv, down.csv" in (tmp_path / "my.svg").read_text()
    monkeypatch.setattr("rpusim._base.progress.FIRST", 500.0)
    assert run(capsys, *call)[2] == ""


@pytest.mark.parametrize(
    "words",
    [("fit", "no.csv"), ("fit", "--up", "no.csv"), ("device", "no.json"), ("regression", "--device", "no.json"),
     ("chip", "no.json"), ("wires", "--nonlinearity", "no.json")],
)  # fmt: skip
def test_files_that_are_not_there_are_said_before_anything_is_loaded(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = commands.parser().parse_args(words).run
    monkeypatch.setattr(f"{command.__module__}.{command.__name__}", None)
    status, _, said = run(capsys, *words)
    assert status == 2 and "cannot be read: there is no such file" in said


def test_titles_name_the_files():
    assert [fit_command._title([f"{n}.csv" for n in names]) for names in ("a", "ab", "abc", "abcd")] == [
        "a.csv", "a.csv, b.csv", "a.csv, b.csv and 1 other", "a.csv, b.csv and 2 others",
    ]  # fmt: skip
