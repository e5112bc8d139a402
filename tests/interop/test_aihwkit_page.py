"""The page for those who come from AIHWKit names every class that is translated, and what it becomes."""

import re
from pathlib import Path

import pytest

import rpusim as rpu
from rpusim.interop.aihwkit import compounds, configurations, devices, inference, reads

PAGE = Path(__file__).parents[2] / "docs" / "aihwkit.md"


def rows(heading):
    if not PAGE.exists():
        pytest.skip("docs are not beside the tests")
    part = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n\n")[0]
    return re.findall(r"^\| `(\S+)` \| (.*) \|$", part, re.MULTILINE)


def found(name):
    """What a name like `devices.SoftBounds` is."""
    value = rpu
    for part in name.split("."):
        value = getattr(value, part)
    return value


def test_every_class_that_is_translated_is_there_with_what_it_becomes():
    there = {theirs: found(ours.strip("`")) for theirs, ours in rows("From there to here")}
    assert all(there.values())
    known = {
        *devices.PLAIN, *devices.CELLS, *compounds.COMPOUNDS, *reads.IO, *reads.UPDATES, *inference.MODIFIERS, *inference.CLIPS,
        *inference.CONVERTERS, *inference.MODELS, *inference.COMPENSATIONS, *configurations.TRAINING, *configurations.INFERENCE,
    }  # fmt: skip
    refused = {"CustomDriftPCMLikeNoiseModel"}  # and what configurations of the rest of the table are
    assert known - there.keys() - refused == {"DifferenceUnitCell", "DigitalRankUpdateRPUConfig", "FloatingPointRPUConfig"}
    assert {name: there[name] for name in devices.PULSED} == {name: kind for name, (kind, _) in devices.PULSED.items()}
    assert {name: there[name] for name in compounds.TRANSFERS} == {
        name: kind for name, (kind, *_) in compounds.TRANSFERS.items()
    }


def test_the_other_direction_is_the_same_table():
    forth = {(theirs, ours.strip("`")) for theirs, ours in rows("From there to here")}
    back = {(theirs, ours) for ours, others in rows("From here to there") for theirs in re.findall(r"`(\w+)`", others)}
    assert forth <= back and {ours for theirs, ours in back - forth} == {
        "algorithms.SHD", "algorithms.ResidualLearning", "wires.Wires",
    }  # fmt: skip
    named = {ours.split(".")[1] for ours, _ in rows("From here to there") if ours.startswith("algorithms.")}
    bases = {"Algorithm", "ArrayTile", "Resources", "Tile"}
    assert set(rpu.algorithms.__all__) - named - bases == {"ERIDER", "ResidualLearningV2", "named"}
