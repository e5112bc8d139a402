"""What README says runs."""

import re
import shlex
from pathlib import Path

import pytest

from rpusim import commands, sweep

README = Path(__file__).parents[1] / "README.md"


def blocks(language):
    if not README.exists():
        pytest.skip("README.md is not beside the tests")
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_example_runs(capsys):
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    assert "PulseCount(up=" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    ["own-device.md", "own-algorithm.md", "inference.md", "circuits.md", "applications.md", "sweeps.md", "interop.md"],
)
def test_the_pages_for_ones_own_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = README.parent / "docs" / name
    if not page.exists():
        pytest.skip("docs are not beside the tests")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    assert code
    exec(compile(code, name, "exec"), {"__name__": name})


@pytest.mark.parametrize("package", ["sklearn", "torch", "jax", "onnx"])
def test_the_pages_for_extras_run(package, tmp_path, monkeypatch):
    pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    page = README.parent / "docs" / "interop.md"
    if not page.exists():
        pytest.skip("docs are not beside the tests")
    (code,) = re.findall(rf"```python {package}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "interop.md", "exec"), {"__name__": "interop.md"})


def test_the_study_of_the_page_is_one(tmp_path):
    pytest.importorskip("tomllib")
    page = README.parent / "docs" / "sweeps.md"
    if not page.exists():
        pytest.skip("docs are not beside the tests")
    (text,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "study.toml").write_text(text)
    assert len(sweep.read_study(tmp_path / "study.toml").points()) == 36


def test_the_commands_parse():
    lines = [line.split("#")[0] for block in blocks("sh") for line in block.splitlines() if line.startswith("rpusim ")]
    assert len(lines) >= 3
    for line in lines:
        args = commands.parser().parse_args(shlex.split(line)[1:])
        assert callable(args.run)
