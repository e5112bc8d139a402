"""The command `rpusim device`."""

import pytest

import rpusim as rpu
from rpusim import commands
from rpusim.devices import presets


def run(capsys, *argv):
    status = commands.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list_has_a_row_for_every_preset(capsys):
    status, out, _ = run(capsys, "device", "--list")
    assert status == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines()[2:]}
    assert list(rows) == [name.replace("_", "-") for name in presets.names()]
    for name in presets.names():
        assert rows[name.replace("_", "-")][1] == type(presets.get(name)).__name__
        assert out.count(presets.source(name).short) >= 1
    assert rows["reram-es"][2:5] == ["1,151.8", "-0.2172", "0.3533"]
    assert rows["idealized"][2:5] == ["10,000", "none", "0"]
    assert rows["ecram-mo"][2:4] == ["7,088.7", "0"]


def test_a_preset_is_printed_drawn_and_written(tmp_path, capsys):
    file = tmp_path / "deep" / "device.json"
    status, out, _ = run(capsys, "device", "reram_array_om", "--out", tmp_path, "--json", file, "--devices", 2)
    assert status == 0
    device = presets.reram_array_om()
    first, *rest = out.splitlines()
    assert eval(first, {"__builtins__": {}}, {n: getattr(rpu.devices, n) for n in rpu.devices.__all__}) == device  # noqa: S307
    numbers = {line[:16].strip(): line[18:34].strip() for line in rest}
    assert numbers["granularity"] == "0.0949" and numbers["states"] == "21.075" and numbers["range"] == "-1 to 1"
    assert numbers["symmetry point"] == "0" and numbers["asymmetry"] == "1" and numbers["asymmetry index"] == "0.5"
    assert presets.source("reram_array_om").citations[0] in out
    assert rpu.from_json(file.read_text()) == device
    for ending in (".png", ".svg"):
        path = tmp_path / f"device-reram-array-om{ending}"
        assert f"wrote {path}" in out and path.stat().st_size > 10_000
    assert {path.name for path in tmp_path.iterdir()} == {
        "deep",
        *(f"device-reram-array-om.{e}" for e in ("png", "svg", "csv")),
    }


def test_a_device_from_a_file_without_a_symmetry_point(tmp_path, capsys):
    file = tmp_path / "ecram.json"  # called as a preset is, but not that preset
    file.write_text(rpu.devices.ConstantStep(dw_min=0.05, up_down=0.25).to_json())
    status, out, _ = run(capsys, "device", file, "--out", tmp_path, "--devices", 1, "--seed", 3)
    assert status == 0 and out.startswith("ConstantStep(dw_min=0.05, up_down=0.25)\n")
    numbers = {line[:16].strip(): line[18:34].strip() for line in out.splitlines()[1:]}
    assert numbers["symmetry point"] == numbers["asymmetry"] == "none" and numbers["asymmetry index"] == "0.25"
    assert "source" not in numbers and (tmp_path / "device-ecram.svg").exists()


def test_the_seed_decides_the_figure(tmp_path, capsys):
    device = rpu.devices.SoftBounds(dw_min=0.05).to_json()
    drawn = []
    for seed in (0, 1):
        run(capsys, "device", device, "--out", tmp_path, "--seed", seed, "--devices", 2)
        drawn.append((tmp_path / "device-SoftBounds.svg").read_bytes())
    assert drawn[0] != drawn[1]


def test_presets_are_devices_of_the_other_commands(tmp_path, capsys):
    status, out, _ = run(
        capsys, "regression", "--device", "ecram_mo", "--algorithm", "sgd", "--targets", 1, "--steps", 100, "--out", tmp_path
    )
    assert status == 0 and "regression-ecram-mo.png" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "device must be a preset (`rpusim device --list`), a .json file, or JSON text; got none"),
        (["flux-capacitor"], "device must be one of a preset (`rpusim device --list`), a .json file, or JSON text; got 'flux"),
        (["absent.json"], "cannot be read"),
        (['{"type": "SoftBounds", "dw_min": -1}'], "dw_min must be"),
        (['{"type": "Ideal"}'], "device must be a device that changes by pulses; got Ideal()"),
        (['{"type": "DAC"}'], "device must describe a device; got a DAC"),
        (["pcm", "--list"], "--list must be given alone"),
    ],
)
def test_wrong_input_is_one_line_on_stderr(capsys, argv, message):
    status, out, err = run(capsys, "device", *argv)
    assert status == 2 and message in err and err.startswith("rpusim: ") and len(err.strip().splitlines()) == 1 and not out


def test_help_has_examples_that_parse(capsys):
    with pytest.raises(SystemExit) as end:
        commands.main(["device", "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0 and "rpusim device ecram-mo --out figures/" in out
    assert "--devices N" in out and "--json FILE" in out
    with pytest.raises(SystemExit):
        commands.main(["device", "pcm", "--devices", "0"])
    assert "must be at least 1; got 0" in capsys.readouterr().err
