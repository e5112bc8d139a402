"""The command `rpusim`: small runs of everything, and what it says to wrong input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rpusim as rpu
from rpusim import commands, experiments
from rpusim.commands.train import _with_drag


def run(capsys, *argv):
    status = commands.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_regression_prints_a_table_and_writes_pictures_and_data(tmp_path, capsys):
    status, out, _ = run(capsys, "regression", "--targets", 3, "--steps", 3000, "--out", tmp_path, "--noise", 0.5)
    assert status == 0
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("constant-step", "soft-bounds"))]
    assert len(rows) == 2 * 2 * 3
    asymmetric = [row for row in rows if row[:2] == ["soft-bounds", "sgd"]]
    for row in asymmetric:  # target, final mean, standard error, theory
        assert abs(float(row[3]) - float(row[5])) < 0.08
        assert float(row[2]) == 0 or abs(float(row[5])) < 0.85 * abs(float(row[2]))
        assert float(row[6]) == pytest.approx(float(row[3]) - float(row[5]), abs=2e-4)
    assert [float(row[2]) for row in asymmetric] == [-0.8, 0.0, 0.8] and max(abs(float(row[6])) for row in asymmetric) > 1e-3
    for device in ("constant-step", "soft-bounds"):
        for ending in (".png", ".svg"):
            assert (tmp_path / f"regression-{device}{ending}").stat().st_size > 10_000
    with np.load(tmp_path / "regression.npz") as data:
        assert data["soft-bounds/shd/0/weights"].shape == (3001, 1)
        assert data["soft-bounds/shd/0/hidden"].shape == (3001, 1)
        assert json.loads(str(data["soft-bounds/sgd/0/algorithm"]))["type"] == "SGD"


@pytest.mark.parametrize("parameters", [1, 2])
def test_spiral(tmp_path, capsys, parameters):
    status, out, _ = run(capsys, "spiral", "--steps", 1500, "--parameters", parameters, "--out", tmp_path)
    assert status == 0
    assert len([line for line in out.splitlines() if line.strip().startswith("soft-bounds")]) == parameters
    (row, *_) = (line.split() for line in out.splitlines() if line.strip().startswith("constant-step"))
    # rates 0.005 and 0.01; two weights are read in turn, each after 20 samples, and then the last column but one is empty
    period = 2 * np.pi / np.sqrt(0.005 * 0.01 / (1 if parameters == 1 else 10 * 2))
    assert float(row[-3 if parameters == 1 else -2]) == pytest.approx(period, abs=0.6)
    stem = "spiral" if parameters == 1 else "spiral-two-parameters"
    assert {p.name for p in tmp_path.iterdir()} == {f"{stem}.{e}" for e in ("png", "svg", "npz", "csv")}


def test_learning_rates_halve(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 20)
    arguments = ("--data", text, "--units", 4, "--length", 20, "--samples", 200, "--out", tmp_path, "--epochs", 3)
    status, _, err = run(capsys, "train", "text", "--algorithm", "digital", *arguments, "--lr", 0.08, "--lr-drop", 2)
    assert status == 0, err
    (history,) = tmp_path.glob("*.json")
    assert json.loads(history.read_text())["lr"] == [0.08, 0.08, 0.04]


def test_a_device_may_be_given_as_json(tmp_path, capsys):
    device = experiments.demo_device("soft-bounds").replace(dw_min=0.004)
    file = tmp_path / "mine.json"
    file.write_text(device.to_json())
    arguments = ("--algorithm", "sgd", "--targets", 1, "--steps", 200, "--out", tmp_path)
    status, out, _ = run(capsys, "regression", "--device", file, *arguments)
    assert status == 0 and "regression-mine.png" in out
    with np.load(tmp_path / "regression.npz") as data:
        (key,) = [k for k in data.files if k.endswith("algorithm")]
        assert json.loads(str(data[key]))["device"]["dw_min"] == 0.004


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["regression", "--device", "flux-capacitor"], "device must be one of constant-step, linear-step, soft-bounds"),
        (["regression", "--device", '{"type": "SoftBounds", "dw_min": -1}'], "dw_min must be"),
        (["regression", "--device", "absent.json"], "cannot be read"),
        (["regression", "--noise", "-1"], "noise must be a finite real number in [0, inf)"),
        (["train", "mnist", "--data", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_one_line_on_stderr(capsys, argv, message):
    status, out, err = run(capsys, *argv)
    assert status == 2 and message in err and err.startswith("rpusim: ") and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("argv", [[], ["regression"], ["spiral"], ["train"]])
def test_help_has_examples(capsys, argv):
    with pytest.raises(SystemExit) as end:
        commands.main([*argv, "--help"])
    assert end.value.code == 0 and "examples:" in capsys.readouterr().out


def test_a_step_count_must_be_positive(capsys):
    with pytest.raises(SystemExit):
        commands.main(["regression", "--steps", "0"])
    assert "must be at least 1; got 0" in capsys.readouterr().err


def test_training_on_mnist_continues_from_its_checkpoint(tmp_path, capsys, mnist_folder):
    common = ("train", "mnist", "--data", mnist_folder, "--samples", 600, "--batch-size", 5, "--out", tmp_path,
              "--algorithm", "shd", "--device", "soft-bounds", "--lr", 0.1)  # fmt: skip
    status, whole, _ = run(capsys, *common, "--epochs", 2)
    assert status == 0
    state = np.load(tmp_path / "mnist-shd-soft-bounds.checkpoint.npz")
    weights = {name: state[name] for name in state.files if name.endswith("weights.npy") or name.endswith("weights")}
    assert weights
    (tmp_path / "mnist-shd-soft-bounds.checkpoint.npz").unlink()
    run(capsys, *common, "--epochs", 1)
    status, resumed, _ = run(capsys, *common, "--epochs", 2)
    assert status == 0
    again = np.load(tmp_path / "mnist-shd-soft-bounds.checkpoint.npz")
    assert all(np.array_equal(again[name], value) for name, value in weights.items())
    second = [[line.split("%")[0] for line in out.splitlines() if line.startswith("epoch   2")] for out in (whole, resumed)]
    assert len(second[0]) == 1 and second[0] == second[1]
    status, finished, _ = run(capsys, *common, "--epochs", 2)  # there is nothing left to do but to show it
    assert status == 0 and [line for line in finished.splitlines() if line.startswith("epoch")] == [
        line for line in resumed.splitlines() if line.startswith("epoch")
    ]
    status, _, _ = run(capsys, *common, "--epochs", 3)
    assert status == 0
    other = ("--device", '{"type": "SoftBounds", "dw_min": 0.01}', "--epochs", 1)
    status, _, _ = run(capsys, *common, *other)  # of its own files
    assert status == 0 and len(list(tmp_path.glob("mnist-shd-SoftBounds-*.checkpoint.npz"))) == 1


@pytest.mark.parametrize(("name", "rate"), [("shd", "slow_lr"), ("ttv1", "transfer_lr")])
def test_shd_and_tiki_taka_move_as_slowly_as_the_drag_of_their_device_wants(name, rate):
    """The same damping as at an asymmetry of 1 per weight unit, down to a tenth of the named rate; other rules stay."""

    def taken(device, name=name):
        rule, said = _with_drag(rpu.algorithms.named.get(name, device), device)
        return rule, said

    plain = rpu.devices.LinearStep(w_max=1.0, w_min=-1.0, gamma_up=1.0, gamma_down=1.0)  # whose asymmetry is its gamma
    assert taken(plain) == (rpu.algorithms.named.get(name, plain), "")
    of = {}
    for gamma, slow_lr in ((0.5, 1.25), (0.1, 0.5), (0.01, 0.5)):
        device = plain.replace(gamma_up=gamma, gamma_down=gamma)
        rule, said = taken(device)
        assert getattr(rule, rate) == pytest.approx(slow_lr, rel=1e-3) and f"{rate}={slow_lr:g} in place of 5" in said
        assert taken(device, "sgd")[1] == ""
        assert rule == rpu.algorithms.named.get(name, device).replace(**{rate: getattr(rule, rate)})
        of[gamma] = rpu.theory.oscillator(1.0, getattr(rule, rate), 1.0, kappa=gamma, m=0.1)
    whole = rpu.theory.oscillator(1.0, 5.0, 1.0, kappa=1.0, m=0.1)
    assert of[0.5].damping / of[0.5].omega0 == pytest.approx(whole.damping / whole.omega0, rel=1e-3)
    rule, said = taken(rpu.devices.ConstantStep())
    assert getattr(rule, rate) == 5.0 and f"nothing brakes A of {type(rule).__name__}" in said
    assert taken(rpu.devices.Ideal())[1] == ""


def test_training_of_lenet_on_fashion(tmp_path, capsys, mnist_folder):
    fashion = Path(mnist_folder).parent / "fashion-mnist"
    common = ("train", "fashion-mnist", "--network", "lenet", "--data", fashion, "--out", tmp_path)
    status, out, _ = run(capsys, *common, "--samples", 50, "--batch-size", 10, "--epochs", 1, "--algorithm", "digital")
    assert status == 0 and "LeNet, 50 images" in out and "test error" in out
    assert (tmp_path / "fashion-mnist-lenet-digital-float32.json").exists()


def test_training_on_text_reads_a_file_and_learns_it(tmp_path, capsys):
    book = tmp_path / "book.txt"
    book.write_text("abcdefgh" * 200)
    common = ("train", "text", "--data", book, "--units", 8, "--length", 20, "--algorithm", "digital", "--out", tmp_path)
    status, out, _ = run(capsys, *common, "--epochs", 6, "--lr", 0.1)
    assert status == 0 and "LSTM 2 x 8, 1440 characters" in out
    history = json.loads((tmp_path / "text-digital-float32.json").read_text())
    assert history["test_loss"][-1] < 0.2 and history["train_loss"][0] > 1.0  # log 8 = 2.08 without learning
    status, _, err = run(capsys, *common, "--network", "mlp")
    assert status == 2 and "--network must not be given for text" in err


def books(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("".join(rng.choice(list("abcdefgh"), 1600)))
    common = ("train", "text", "--units", 4, "--algorithm", "digital", "--out", tmp_path / "out", "--epochs", 1)
    return (*common, "--data", tmp_path / "a.txt"), (*common, "--data", tmp_path / "b.txt")


def test_training_does_not_go_on_with_other_data(tmp_path, capsys):
    first, second = books(tmp_path)
    assert run(capsys, *first, "--length", 20)[0] == 0
    for other, what in (((*second, "--length", 20), "other training data"), ((*first, "--length", 10), "samples 1420")):
        status, _, error = run(capsys, *other)
        assert status == 2 and f"was made with {what}" in error and "--restart starts afresh" in error
    status, out, _ = run(capsys, *second, "--length", 20, "--restart")
    assert status == 0 and "epoch   1" in out


def test_restart_takes_a_checkpoint_away_only_for_a_new_one(tmp_path, capsys):
    first, _ = books(tmp_path)
    assert run(capsys, *first)[0] == 0
    (made,) = (tmp_path / "out").glob("*.checkpoint.npz")
    before = made.read_bytes()
    status, _, error = run(capsys, *first, "--restart", "--lr", "nan")
    assert status == 2 and "lr" in error and made.read_bytes() == before
    precious = tmp_path / "precious.csv"
    precious.write_text("1,2\n")
    status, _, error = run(capsys, *first, "--restart", "--checkpoint", precious)
    assert status == 2 and "precious.csv" in error and precious.read_text() == "1,2\n"
    assert run(capsys, *first, "--restart", "--lr", 0.02)[0] == 0 and made.read_bytes() != before
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_names_with_dots_keep_apart(tmp_path, capsys):
    first, _ = books(tmp_path)
    for name, step in (("my.v1", 0.01), ("my.v2", 0.02)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"type": "SoftBounds", "dw_min": step}))
        status, _, _ = run(capsys, *first, "--algorithm", "sgd", "--device", tmp_path / f"{name}.json", "--samples", 600)
        assert status == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    endings = (".png", ".svg", ".json", ".csv", ".network.npz", ".checkpoint.npz")
    assert names == {f"text-sgd-my.v{k}{e}" for k in (1, 2) for e in endings}


@pytest.mark.parametrize("command", [("regression", "--steps", 100), ("device", "reram_sb"), ("reproduce", "wu2024-theorem3")])
def test_results_are_known_to_have_a_place_before_they_are_computed(tmp_path, capsys, command):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        status, printed, error = run(capsys, *command, "--out", out)
        assert status == 2 and printed == "" and "--out must be a folder" in error


@pytest.mark.parametrize("option", [("--units", 3), ("--length", 7)])
def test_options_of_the_other_task_are_refused(tmp_path, capsys, option):
    status, _, error = run(capsys, "train", "mnist", *option, "--out", tmp_path)
    assert status == 2 and f"{option[0]} must not be given" in error


def test_wrong_numbers_of_threads_are_no_traceback(capsys):
    status, _, error = run(capsys, "wires", "--size", 4, "--threads", 100_000)
    assert status == 2 and "--threads 100000" in error


def test_terminals_without_greek_and_readers_that_leave(tmp_path):
    path = tmp_path / "ramp.csv"
    path.write_text("G (\N{GREEK CAPITAL LETTER OMEGA})\n" + "\n".join(str(1 - 0.9**k) for k in range(30)), encoding="utf-8")
    fit = [sys.executable, "-m", "rpusim", "fit", str(path), "--model", "SoftBounds", "--out", str(tmp_path)]
    done = subprocess.run(fit, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, timeout=300)
    assert done.returncode == 0 and b"\\u03a9" in done.stdout, done.stderr
    listing = [sys.executable, "-m", "rpusim", "reproduce", "list"]
    with subprocess.Popen(listing, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as left:
        left.stdout.close()
        assert left.stderr.read() == b""


def test_figures_are_in_the_formats_that_are_asked_for(tmp_path, capsys):
    assert commands.main(["device", "ecram-mo", "--devices", "2", "--format", "pdf", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device-ecram-mo.csv", "device-ecram-mo.pdf"]
    assert (tmp_path / "device-ecram-mo.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(SystemExit) as end:
        commands.main(["device", "ecram-mo", "--format", "png,jpg", "--out", str(tmp_path)])
    assert end.value.code == 2 and "png, svg, pdf" in capsys.readouterr().err


def test_the_ending_of_a_figure_is_its_format(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = np.concatenate([1 - 0.9 ** np.arange(20), 0.9 ** np.arange(1, 20) * 0.85])
    Path("-2V_1.csv").write_text("G (uS)\n" + "\n".join(f"{v:.6f}" for v in values))
    with pytest.raises(SystemExit):
        commands.main(["fit", "-2V_1.csv"])
    assert "./-2V_1.csv" in capsys.readouterr().err
    assert commands.main(["fit", "./-2V_1.csv", "--model", "SoftBounds", "--figure", "a.pdf"]) == 0
    assert Path("a.pdf").read_bytes().startswith(b"%PDF") and not list(tmp_path.glob("a.*.*"))
    with pytest.raises(SystemExit):
        commands.main(["fit", "./-2V_1.csv", "--figure", "a.jpg"])
    assert "--figure" in capsys.readouterr().err


def test_tables_are_written_with_all_settings(tmp_path):
    argv = ["regression", "--device", "soft-bounds", "--algorithm", "sgd", "--targets", "3", "--steps", "1500", "--seed", "4"]
    assert commands.main([*argv, "--out", str(tmp_path)]) == 0
    first, header, *rows = (tmp_path / "regression.csv").read_text().splitlines()
    settings = json.loads(first.removeprefix("# "))
    assert (settings["command"], settings["seed"], settings["steps"], settings["targets"]) == ("regression", 4, 1500, 3)
    assert settings["rpusim"] and header.split(",")[2:6] == ["target", "final mean", "std. error", "theory"]
    assert [float(row.split(",")[2]) for row in rows] == [-0.8, 0.0, 0.8]
    with np.load(tmp_path / "regression.npz") as arrays:
        mean = arrays["soft-bounds/sgd/0/weights"]
    assert float(rows[0].split(",")[3]) == pytest.approx(mean[len(mean) - len(mean) // 3 :].mean(), abs=0.01)


def test_results_of_other_settings_are_not_replaced_in_silence(tmp_path, capsys):
    common = ("regression", "--device", "soft-bounds", "--targets", 1, "--steps", 200, "--out", tmp_path, "--format", "png")
    for more, said in ((("sgd",), None), (("sgd", "--workers", 1), None), (("agad", "--seed", 1), "seed, algorithm")):
        status, out, _ = run(capsys, *common, "--algorithm", *more)
        notes = [line for line in out.splitlines() if line.startswith("note:")]
        assert status == 0 and len(notes) == (said is not None)
        if said:
            assert f"regression.csv, and figures beside it, had another {said}: replaced" in notes[0]


@pytest.mark.parametrize(("text", "meant"), [
    ('{"type": "SoftBounds", "dw_mni": 0.01}', "SoftBounds has no field 'dw_mni' (did you mean 'dw_min'?); it has"),
    ('{"type": "SoftBound", "dw_min": 0.01}', "got 'SoftBound' (did you mean 'SoftBounds'?)"),
])  # fmt: skip
def test_a_slip_in_a_description_is_told_with_its_file_and_what_was_meant(text, meant, tmp_path, capsys):
    (tmp_path / "slip.json").write_text(text)
    assert commands.main(["device", str(tmp_path / "slip.json")]) == 2
    error = capsys.readouterr().err
    assert "slip.json': " in error and meant in error


@pytest.mark.parametrize("words", ["device", "chip", "infer", "curves", "sweep", "wires --nonlinearity"])
def test_a_folder_in_the_place_of_a_file_is_said(words, tmp_path, capsys):
    (tmp_path / "x.json").mkdir()
    assert commands.main([*words.split(), str(tmp_path / "x.json")]) == 2
    error = capsys.readouterr().err
    assert "must be a file; got a folder" in error and "Errno" not in error


def test_an_option_that_is_not_there_is_told_where_to_look(capsys):
    with pytest.raises(SystemExit):
        commands.main(["device", "ecram", "--colour", "red"])
    assert "--colour red; `rpusim device --help` lists what there is" in capsys.readouterr().err


def test_an_option_that_would_do_nothing_is_refused(tmp_path, capsys):
    (tmp_path / "net.npz").write_bytes(b"")
    assert commands.main(["infer", str(tmp_path / "net.npz"), "--nonlinearity", "2"]) == 2
    assert "--nonlinearity must come with --read-voltages" in capsys.readouterr().err


def test_the_oscillator_beside_a_spiral_is_that_of_the_device_that_was_drawn(tmp_path, capsys):
    device = rpu.devices.SoftBounds(dw_min=0.001, w_max=1.0, w_min=-1.0, w_max_dtod=0.5, w_min_dtod=0.5)
    (tmp_path / "d.json").write_text(device.to_json())
    argv = ["spiral", "--device", str(tmp_path / "d.json"), "--steps", "400", "--format", "png", "--out", str(tmp_path)]
    damping = []
    for seed in ("1", "2", "3"):
        assert commands.main([*argv, "--seed", seed]) == 0
        (row,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["d"]]
        (run,) = rpu.experiments.regressions(
            [{"algorithm": rpu.experiments.demo_algorithm("shd", device), "target": float(row.split()[1]), "steps": 400,
              "rng": int(seed), "noise": 0.1, "lr": 0.005, "start": -0.2, "input": "binary"}], progress=False,
        )  # fmt: skip
        low, high = run.drawn[0]["w_min"][0], run.drawn[0]["w_max"][0]
        # up (1 - w / high) and down (1 - w / low) cancel at the crossing; kappa = G' / F there
        up, down = run.drawn[0]["step_up"][0], run.drawn[0]["step_down"][0]
        crossing = (up - down) / (up / high - down / low)
        slope = (up / high - down / low) / 2 / ((up * (1 - crossing / high) + down * (1 - crossing / low)) / 2)
        rates = rpu.theory.oscillator(run.lr * run.algorithm.fast_lr, run.lr * run.algorithm.slow_lr, 1.0, 1, slope, run.m)
        assert float(row.split()[-1]) == pytest.approx(rates.damping, rel=0.01)
        damping.append(rates.damping)
    assert max(damping) > 1.2 * min(damping)
