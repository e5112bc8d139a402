"""What README says runs."""

import re
import shlex
from pathlib import Path

import pytest

from rpusim import cli

README = Path(__file__).parents[1] / "README.md"


def blocks(language):
    if not README.exists():
        pytest.skip("README.md is not beside the tests")
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_example_runs(capsys):
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    assert "PulseCount(up=" in capsys.readouterr().out


def test_the_commands_parse():
    commands = [
        line.split("#")[0] for block in blocks("sh") for line in block.splitlines() if line.startswith("rpusim ")
    ]
    assert len(commands) >= 3
    for command in commands:
        args = cli._parser().parse_args(shlex.split(command)[1:])
        assert callable(args.run)
