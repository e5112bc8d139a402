"""The command `rpusim wires`."""

import numpy as np
import pytest

import rpusim as rpu
from rpusim import commands


def run(capsys, *argv):
    status = commands.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_row_per_resistance_says_what_the_solver_says(tmp_path, capsys):
    status, out, _ = run(
        capsys,
        "wires",
        "--size",
        12,
        "--columns",
        9,
        "--r-wire",
        5,
        "--r-wire",
        0,
        "--r-sense",
        40,
        "--seed",
        3,
        "--out",
        tmp_path,
    )
    assert status == 0
    rng = np.random.default_rng(3)
    r = rng.uniform(10e3, 100e3, (12, 9))
    v = rng.uniform(0.0, 0.2, 12)
    rows = [line.split() for line in out.splitlines()[4:6]]
    for row, wire in zip(rows, (5.0, 0.0), strict=True):
        solution = rpu.solve_network(v, r, r_word=wire, r_bit=wire, r_sense=40.0, method="direct")
        error = 100.0 * np.abs(solution.currents / (v @ (1.0 / r)) - 1.0)
        assert [float(x) for x in row[:4]] == pytest.approx([wire, error.max(), error.mean(), 1e6 * solution.power], rel=5e-3)
        assert row[4] == "cg" and float(row[6]) <= 1e-10
    for name in ("wires-12x9-5ohm", "wires-12x9-0ohm"):
        for ending in (".png", ".svg"):
            path = tmp_path / (name + ending)
            assert f"wrote {path}" in out and path.stat().st_size > 10_000
    table = np.loadtxt(tmp_path / "wires-12x9.csv", delimiter=",", skiprows=2, usecols=(0, 1, 2, 3))
    np.testing.assert_array_equal(table, [[float(x) for x in row[:4]] for row in rows])
    assert len(list(tmp_path.iterdir())) == 5


def test_nonlinear_devices_and_both_ends(tmp_path, capsys):
    status, out, _ = run(
        capsys,
        "wires",
        "--size",
        8,
        "--nonlinearity",
        4,
        "--voltage",
        1,
        "--drivers",
        "both",
        "--sensors",
        "both",
        "--out",
        tmp_path,
    )
    assert status == 0
    rng = np.random.default_rng(0)
    r = rng.uniform(10e3, 100e3, (8, 8))
    v = rng.uniform(0.0, 1.0, 8)
    ideal = np.sum(np.sinh(4.0 * v[:, None]) / (4.0 * r), axis=0)
    s = rpu.solve_network(v, r, r_word=1.0, r_bit=1.0, drivers="both", sensors="both", nonlinearity=4.0)
    row = out.splitlines()[4].split()
    assert row[4] == "newton" and float(row[1]) == pytest.approx(100.0 * np.abs(s.currents / ideal - 1.0).max(), abs=6e-4)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--r-wire", "-1"], "r_word must be a resistance of at least 0 ohm"),
        (["--r-on", "0"], "--r-on must be positive and at most --r-off, which is finite; got 0.0 and 100000.0"),
        (["--r-off", "1"], "--r-on must be positive and at most --r-off"),
        (["--voltage", "0"], "--voltage must be positive and finite; got 0.0"),
        (["--r-wire", "inf"], "r_bit and r_sense must leave at least one bit line a path to ground"),
        (["--nonlinearity", "1e6"], "nonlinearity must be at most 300 over the largest voltage"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, argv, message):
    status, out, err = run(capsys, "wires", "--size", 4, "--out", tmp_path, *argv)
    assert status == 2 and message in err and err.startswith("rpusim: ") and err.count("\n") == 1 and not out
    assert not list(tmp_path.iterdir())


def test_no_convergence_is_one_line_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rpu, "Wires", lambda **lines: rpu.wires.Wires(**lines, max_iterations=1))
    status, _, err = run(capsys, "wires", "--size", 30, "--r-wire", 50, "--out", tmp_path)
    assert status == 2 and "have not converged in 1 iterations" in err


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        commands.main(["wires", "--help"])
    assert "rpusim wires --size 128 --r-wire 1" in capsys.readouterr().out


def test_a_law_of_sweeps_is_taken_as_the_fit_wrote_it(tmp_path, capsys):
    v = np.linspace(0.02, 0.8, 40)
    np.savetxt(tmp_path / "iv.csv", np.c_[v, 1e-5 * np.sinh(2.5 * v) / 2.5], delimiter=",", header="V (V),I (A)", comments="")
    law = tmp_path / "law.json"
    assert commands.main(["fit", str(tmp_path / "iv.csv"), "--kind", "iv", "--out", str(law), "--format", "svg"]) == 0
    capsys.readouterr()
    tables = []
    for given in (str(law), "2.5"):
        call = ["wires", "--size", "6", "--nonlinearity", given, "--out", str(tmp_path), "--format", "svg"]
        assert commands.main(call) == 0
        tables.append([line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["1"]])
    assert tables[0] and tables[0][0].split()[:4] == tables[1][0].split()[:4]
    assert commands.main(["device", str(law)]) == 2
    assert "`rpusim wires --nonlinearity" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["wires", "--size", "4"], ["infer", "net.npz", "--read-voltages", "0.1"]])
def test_a_nonlinearity_is_a_number_or_what_a_fit_wrote(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.json").write_text(rpu.devices.SoftBounds().to_json())
    (tmp_path / "broken.json").write_text("{")
    rule = rpu.algorithms.DigitalSGD()
    net = rpu.nn.Sequential(rpu.nn.Linear(784, 10, rule))
    net.build(rng=0)
    net.save("net.npz")
    digits = np.zeros((20, 784), np.float32), np.zeros(20, int)
    monkeypatch.setattr("rpusim.commands.infer._data", lambda args, net: ("mnist", digits, digits[0], "accuracy"))
    short = [*command, "--format", "png"] + (["--times", "1s", "--programmings", "1"] if command[0] == "infer" else [])
    for name, said in (("my.json", "must be what `rpusim fit --kind iv` wrote"), ("broken.json", "must be what"),
                       ("none.json", "there is no such file")):  # fmt: skip
        status, _, error = run(capsys, *short, "--nonlinearity", name)
        assert status == 2 and name in error and said in error and "Traceback" not in error
    with pytest.raises(SystemExit):
        commands.main([*short, "--nonlinearity", "much"])
    assert "must be a number, or the .json file of `rpusim fit`; got 'much'" in capsys.readouterr().err
    v = np.linspace(-0.5, 0.5, 41)
    found = rpu.fitting.fit_sweeps(v, 1e-5 * np.sinh(3 * v) / 3)
    (tmp_path / "law.json").write_text(found.to_json())
    status, said, error = run(capsys, *short, "--nonlinearity", "law.json")
    assert status == 0 and "nonlinearity 3 1/V, standard error" in said, error


@pytest.mark.parametrize("name", ["results.json", "a.csv", "figure.PDF"])
def test_out_is_a_folder_but_for_fits(name, tmp_path, capsys):
    with pytest.raises(SystemExit):
        commands.main(["wires", "--size", "4", "--out", str(tmp_path / name)])
    assert "must be a folder for results; got" in capsys.readouterr().err and not list(tmp_path.iterdir())
    if not name.endswith(".json"):
        with pytest.raises(SystemExit):
            commands.main(["fit", "x.csv", "--out", str(tmp_path / name)])
        assert "or a .json file; got" in capsys.readouterr().err
    (tmp_path / name).mkdir()
    assert commands.main(["wires", "--size", "4", "--format", "png", "--out", str(tmp_path / name)]) == 0
