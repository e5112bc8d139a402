"""The table of laws to break follows the code: each row's text is where it was, and the tests that must notice are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
if not (SCRIPTS / "mutations.py").exists():
    pytest.skip("needs the scripts of the repository", allow_module_level=True)
sys.path.insert(0, str(SCRIPTS))
import mutations  # noqa: E402

sys.path.remove(str(SCRIPTS))


def test_each_law_to_break_is_in_exactly_one_place():
    sources = {
        path: path.read_text(encoding="utf-8")
        for path in (mutations.ROOT / "rpusim").rglob("*")
        if path.suffix in mutations.SOURCES and not mutations.is_generated(path)
    }
    lost = []
    for floor, name, old, new, _ in mutations.TABLE:
        found = sum(text.count(old) for text in sources.values())
        if found != 1 or old == new:
            lost.append(f"{floor}, {name}: {found} places")
    assert not lost


def test_the_tests_that_must_notice_exist():
    for *_, tests in mutations.TABLE:
        for place in mutations.tests_of(mutations.ROOT, tests):
            file, _, test = place.partition("::")
            text = (mutations.ROOT / file).read_text(encoding="utf-8")
            assert not test or re.search(rf"^def {re.escape(test)}\b", text, re.M), place
