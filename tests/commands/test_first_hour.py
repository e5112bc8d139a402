"""What a newcomer meets: learning curves of several trainings, tables with all settings, Ctrl-C, the tab key, widths."""

import json
import os
import re
import signal
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest

import rpusim as rpu
from rpusim import commands, plotting
from rpusim.commands import reproduce as reproduce_command


def run(capsys, *argv):
    status = commands.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def trainings(tmp_path, capsys):
    """Three seeds of one training and one of another, as `rpusim train` writes them."""
    book = tmp_path / "book.txt"
    book.write_text("abcdefgh" * 60)
    common = ("train", "text", "--data", book, "--units", 4, "--length", 20, "--epochs", 2, "--out", tmp_path / "out")
    for seed in (0, 1, 2):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*of the initial weights")  # of 40, by chance
            assert run(capsys, *common, "--algorithm", "sgd", "--seed", seed)[0] == 0
    assert run(capsys, *common, "--algorithm", "digital")[0] == 0
    return tmp_path / "out"


def test_curves_take_what_train_writes_and_seeds_share_a_label(trainings, capsys, monkeypatch):
    assert (trainings / "text-sgd-constant-step-seed2.checkpoint.npz").exists()
    drawn, draw = [], plotting.learning_figure
    monkeypatch.setattr(plotting, "learning_figure", lambda *args, **kwargs: drawn.append(args) or draw(*args, **kwargs))
    files = sorted(trainings.glob("*.json"))
    out, table = trainings / "curves", trainings / "deep" / "curves.json"
    status, said, error = run(capsys, "curves", *files, "--out", out, "--json", table, "--format", "svg", "--width", 3.3)
    assert status == 0, error
    ((histories, quantity),) = drawn
    assert {name: len(mine) for name, mine in histories.items()} == {"text-digital-float32": 1, "text-sgd-constant-step": 3}
    assert quantity == "test_error" and 'width="237.6pt"' in (out / "curves.svg").read_text()
    ends = [json.loads(path.read_text())["test_error"][-1] for path in files if "sgd" in path.name]
    assert f"{np.mean(ends):.4g} +- {np.std(ends, ddof=1):.2g}" in said
    losses = [json.loads(path.read_text())["test_loss"] for path in files]
    rows = json.loads(table.read_text())["rows"]
    assert [row["test_loss"] for row in rows] == pytest.approx([loss for mine in losses for loss in mine])
    assert [row["seed"] for row in rows] == [0, 0, 1, 1, 2, 2, 0, 0] and f"wrote {table}" in said
    labels = ("--labels", "a", "b", "b", "b", "--quantity", "train_loss")
    assert run(capsys, "curves", *files, "--out", out, *labels)[0] == 0
    assert list(drawn[1][0]) == ["a", "b"] and drawn[1][1] == "train_loss"


@pytest.mark.parametrize(
    ("content", "labels", "message"),
    [
        ('{"test_error": [1]}', (), "must be JSON that `rpusim train` wrote"),
        ("nonsense", (), "must be JSON that `rpusim train` wrote"),
        ("[1, 2]", (), "must be JSON that `rpusim train` wrote"),
        (rpu.nn.History().to_dict(), (), "must hold at least one epoch; got none"),
        (rpu.nn.History([1.0], [1.0], [1.0], [1.0], [1.0], [1.0]).to_dict(), ("a", "b"), "--labels must name each of the 1"),
    ],
)
def test_curves_of_wrong_files_are_one_line(tmp_path, capsys, content, labels, message):
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    options = ("--labels", *labels) if labels else ()
    status, _, error = run(capsys, "curves", path, "--out", tmp_path, *options)
    assert status == 2 and message in error and error.count("\n") == 1


COMMANDS = {
    "spiral": (("--steps", 300, "--device", "soft-bounds"), "spiral"),
    "regression": (("--steps", 300, "--targets", 1, "--device", "soft-bounds", "--algorithm", "sgd"), "regression"),
    "device": (("reram-sb", "--devices", 2), "device-reram-sb"),
    "wires": (("--size", 6), "wires-6x6"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_of_every_command_say_version_seed_and_all_settings(tmp_path, capsys, command):
    options, stem = COMMANDS[command]
    out, path = tmp_path / "out", tmp_path / "other" / "table.json"
    status, _, error = run(capsys, command, *options, "--seed", 7, "--out", out, "--json", path, "--format", "png")
    assert status == 0, error
    in_csv = json.loads((out / f"{stem}.csv").read_text().splitlines()[0].removeprefix("# "))
    in_json = json.loads(path.read_text())["command"]
    for settings in (in_csv, in_json):
        assert settings["rpusim"] == rpu.__version__ and (settings["command"], settings["seed"]) == (command, 7)
        assert settings["width"] is None and settings["format"] == ["png"]
    rows = (out / f"{stem}.csv").read_text().splitlines()[2:]
    if command == "device":
        assert rpu.from_json(path.read_text()) == rpu.devices.presets.reram_sb() and len(rows) == 6
    else:
        assert len(json.loads(path.read_text())["rows"]) == len(rows) == 1
    for arrays in out.glob("*.npz"):
        assert json.loads(str(np.load(arrays)["settings"]))["seed"] == 7
    assert {p.parent for p in tmp_path.rglob("*.*")} == {out, path.parent}


@pytest.mark.parametrize("width", ["1", "50", "wide"])
def test_widths_that_cannot_be_are_refused(capsys, width):
    with pytest.raises(SystemExit) as end:
        commands.main(["device", "ecram-mo", "--width", width])
    assert end.value.code == 2 and "--width" in capsys.readouterr().err


def test_figures_are_as_wide_as_asked(tmp_path, capsys):
    for width, points in (("3.3", "237.6pt"), ("7", "504pt")):
        options = ("--size", 6, "--r-wire", 1, "--format", "svg", "--out", tmp_path, "--width", width)
        assert run(capsys, "wires", *options)[0] == 0
        assert f'width="{points}"' in (tmp_path / "wires-6x6-1ohm.svg").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_says_where_a_training_goes_on(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text("abcdefgh" * 200)
    argv = ["train", "text", "--data", book, "--units", "4", "--length", "20", "--epochs", "100000", "--out", tmp_path]
    child = subprocess.Popen(
        [sys.executable, "-m", "rpusim", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    for line in child.stdout:
        if line.startswith("epoch   2"):
            break
    child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=120)
    path = tmp_path / "text-sgd-constant-step.checkpoint.npz"
    assert child.returncode == 130 and path.exists()
    assert error == f"rpusim: interrupted; the same command goes on from {path}, which holds finished epochs\n"


def test_ctrl_c_of_what_keeps_no_checkpoint_says_so(monkeypatch, capsys, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rpu.reproduce.Reproduction, "compute", interrupt)
    status, _, error = run(capsys, "reproduce", "li2025-toy", "--out", tmp_path)
    assert status == 130 and error == "rpusim: interrupted; reproduce keeps no checkpoint and begins anew\n"
    status, _, error = run(capsys, "reproduce", "gokmen2016", "--out", tmp_path)
    assert status == 130 and error == f"rpusim: interrupted; the same command goes on from the checkpoints in {tmp_path}\n"


def test_the_tab_key_is_answered_where_argcomplete_is_installed(monkeypatch, capsys):
    asked = []
    monkeypatch.setitem(sys.modules, "argcomplete", types.SimpleNamespace(autocomplete=asked.append))
    commands.main(["device", "--list"])
    assert not asked  # by no shell
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    commands.main(["device", "--list"])
    assert [whole.prog for whole in asked] == ["rpusim"]
    monkeypatch.setitem(sys.modules, "argcomplete", None)  # not installed
    assert commands.main(["device", "--list"]) == 0
    for module in (commands, sys.modules["rpusim.__main__"] if "rpusim.__main__" in sys.modules else commands):
        with open(module.__file__) as file:
            assert "PYTHON_ARGCOMPLETE_OK" in file.read(1024)
    assert "xiao2026-fig1" in reproduce_command._names()


@pytest.mark.parametrize(
    ("line", "offered"),
    [("rpusim cur", "curves"), ("rpusim device reram-s", "reram-sb"), ("rpusim reproduce wu2025", "wu2025-fig2"),
     ("rpusim train mnist --device soft", "soft-bounds"), ("rpusim wires --wid", "--width")],
)  # fmt: skip
def test_the_tab_key_offers_names(line, offered, tmp_path):
    pytest.importorskip("argcomplete")
    found = tmp_path / "found"
    asking = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n",
              "_ARGCOMPLETE_STDOUT_FILENAME": str(found), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}  # fmt: skip
    subprocess.run([sys.executable, "-m", "rpusim"], env={**os.environ, **asking}, check=True, timeout=120)
    assert offered in re.split(r"\n", found.read_text())


def test_the_regression_takes_every_algorithm_and_says_where_there_is_no_theory(tmp_path, capsys):
    from rpusim.algorithms import named
    from rpusim.commands.regression import ALGORITHMS

    assert named.names() == ALGORITHMS
    call = ["regression", "--device", "soft-bounds", "--algorithm", "agad", "--targets", "2", "--steps", "2000"]
    assert commands.main([*call, "--out", str(tmp_path), "--format", "png"]) == 0
    said = capsys.readouterr().out
    assert "agad" in said and "= the target: there is no theory" in said


def test_warnings_are_a_line_without_a_place_in_the_source(tmp_path):
    code = (
        "import warnings, rpusim.commands as c\n"
        "c.wires.run = lambda args: warnings.warn('this and that') or 0\n"
        f"c.main(['wires', '--out', {str(tmp_path)!r}])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr == "rpusim: warning: this and that\n"
