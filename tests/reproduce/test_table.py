"""The table over all papers: that it is what is recorded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from oracle.figures import check_print

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("reproduction_table", SCRIPTS / "reproduction_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_what_is_recorded(script):
    results = script.read(script.RESULTS)
    text = script.PAGE.read_text()
    assert script.page(text, results) == text, "python scripts/reproduction_table.py makes it anew"


def test_a_row_says_what_was_run_and_what_came_out(script):
    check = {"label": "a", "measured": 2.0, "published": 3.0, "passed": True}
    result = {
        "checks": [check, check | {"published": None}, check | {"passed": False}], "passed": False, "duration_s": 360,
        "settings": {"epochs": 8, "seeds": 3},
    }  # fmt: skip
    rows = {row[0]: row for row in script.rows({"xiao2026-table2": result})}
    assert rows["`xiao2026-table2`"][2:] == ("a: 3; a: 3", "2; 2", "off, 2 of 3; 8 of 40 epochs; 3 seeds", "6 min")
    assert rows["`li2025-fmnist`"][4] == "not run to its end"


def test_the_field_has_a_number_for_what_was_run(script):
    run = {"line": "TTv2", "x": 0.0, "published": None, "seeds": [0], "test_error": [[9.0, 3.0]]}
    results = {"rasch2024-fig5": {"runs": [run]}}
    assert script.errors(results) == {("20 states, offset 0", "TTv2"): 3.0}
    figure = script.field(results)
    check_print(figure, 7.0)
    assert [text.get_text() for text in figure.axes[0].texts] == ["3.0"]
