"""Algorithms by name: all build, learn and are told apart; the table of costs in the documentation is theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rpusim as rpu
from rpusim.algorithms import named

DEVICE = rpu.devices.SoftBounds(dw_min=0.005, w_max=1.0, w_min=-1.0)


#: c-TTv2 flips its choppers after 10 reads of a line, which are 20 vectors where there are two lines; at half a pulse of 1/200
#: of the bound per vector its fast array remembers 400, so what flips cancels. The paper's lines are 100 vectors apart
SLOWER = {"c-ttv2": {"in_chop_prob": 0.01}}


@pytest.mark.parametrize("name", named.names())
def test_every_name_gives_an_algorithm_that_learns(name):
    """A 3 x 2 regression: the error must fall to less than half of where it began."""
    rule = named.get(name, DEVICE).replace(**SLOWER.get(name, {}))
    tile, rng = rule.build((3, 2), rng=160), np.random.default_rng(161)
    target = np.array([[0.4, -0.3], [-0.2, 0.4], [0.3, 0.2]])
    for _ in range(12000):
        x = rng.standard_normal(2)
        tile.update(x, (tile.weights - target) @ x, 0.05)
    assert np.linalg.norm(tile.weights - target) < np.linalg.norm(target) / 2
    assert rpu.from_json(rule.to_json()) == rule


def test_names_are_checked():
    with pytest.raises(ValueError, match="algorithm must be one of 'digital', .*; got 'tiki'"):
        named.get("tiki", DEVICE)


def test_the_table_of_costs_is_what_the_tiles_say():
    text = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 8:
            rows[cells[0].strip("`")] = cells[2:]
    assert set(rows) == set(named.names())
    for name, row in rows.items():
        cost = named.get(name, DEVICE).build((100, 200), rng=0).cost()
        size = 100 * 200
        expected = [
            f"{cost.arrays}", f"{cost.digital / size:g}", "yes" if cost.bits else "", f"{cost.reads:g}", f"{cost.updates:g}",
            f"{cost.products / size:g}",
        ]  # fmt: skip
        assert row == expected, name
