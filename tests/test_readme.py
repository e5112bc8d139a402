"""What README says runs."""

import re
import shlex
from pathlib import Path

import pytest

from rpusim import commands

README = Path(__file__).parents[1] / "README.md"
DOCS = README.parent / "docs"


def blocks(language, path=README):
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the tests")
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_example_runs(capsys):
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    assert "PulseCount(up=" in capsys.readouterr().out
    assert len([line for line in code.splitlines() if line and not line.startswith("import")]) <= 5


def test_readme_is_short_and_shows_a_picture_that_is_there():
    if not README.exists():
        pytest.skip("README.md is not beside the tests")
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") <= 60
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert (README.parent / picture).stat().st_size > 10_000


@pytest.mark.parametrize("path", [README, *sorted(DOCS.glob("*.md"))], ids=lambda path: path.stem)
def test_the_commands_parse(path):
    lines = [line.split("#")[0] for block in blocks("sh", path) for line in block.splitlines() if line.startswith("rpusim ")]
    for line in lines:
        args = commands.parser().parse_args(shlex.split(line)[1:])
        assert callable(args.run)
    assert len(lines) >= (10 if path.stem == "commands" else 0)


def test_the_scripts_are_there():
    for block in blocks("sh"):
        for name in re.findall(r"^(scripts/\w+)", block, re.MULTILINE):
            assert (README.parent / name).stat().st_mode & 0o100
