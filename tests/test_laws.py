"""Every row of docs/laws.md names things that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAWS = ROOT / "docs" / "laws.md"
ROWS = [line for line in LAWS.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`" in line]


@pytest.mark.skipif(not ROWS, reason="no docs here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_name_is_found_in_its_file(row):
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 6
    for column, base in ((2, ROOT / "rpusim"), (3, ROOT / "rpusim"), (4, ROOT / "tests"), (5, ROOT / "tests")):
        if column == 4 and cells[column] == "in the test":
            continue
        found = re.fullmatch(r"`([\w/.]+)(?::(\w+))?`", cells[column])
        assert found, cells[column]
        path, name = found.groups()
        text = (base / path).read_text(encoding="utf-8")
        if name is not None:
            defined = rf"^\s*(?:def|class|cdef class|cdef [\w ]+|cpdef [\w ]+|#define|static [\w ]*|[\w ]+\*?) ?\*?{name}\b"
            assert re.search(defined, text, re.MULTILINE), f"{path} does not define {name}"


def test_every_device_model_effect_and_algorithm_is_in_the_index():
    text = LAWS.read_text(encoding="utf-8")
    missing = [
        path.name for path in sorted((ROOT / "rpusim" / "effects").glob("[!_]*.py")) if f"effects/{path.name}" not in text
    ]
    assert missing == ["base.py"]
    rooms = {path.name for path in (ROOT / "rpusim" / "algorithms").glob("[!_]*.py")}
    unnamed = {name for name in rooms if f"algorithms/{name}" not in text}
    assert unnamed == {"base.py", "digital.py", "level.py", "named.py", "transfer.py"}
    models = re.findall(r"X\((\w+)\)", (ROOT / "rpusim" / "_core" / "kernels" / "devices.h").read_text(encoding="utf-8"))
    assert len(models) >= 8
    assert [name for name in models if f"rpu_step_{name}" not in text] == ["pow_step_reference"]  # a power step of w + r
