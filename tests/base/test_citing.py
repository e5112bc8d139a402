"""What is here knows its papers, and a session those of what it used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rpusim as rpu
from rpusim._base import citing
from rpusim._base.papers import PAPERS
from rpusim.devices import presets

SOURCES = "\n".join(path.read_text() for path in sorted(Path(rpu.__file__).parent.rglob("*.py")) if path.name != "papers.py")


def kinds(room, base):
    found = [getattr(room, name) for name in room.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, base)]


#: bases, which nothing is built from
BASES = {"Algorithm", "Device", "PulsedDevice", "UnitCell", "NoiseModel", "PowerLawDrift"}
KINDS = [
    kind
    for room, base in (
        (rpu.devices, rpu.devices.Device),
        (rpu.algorithms, rpu.algorithms.Algorithm),
        (rpu.inference, rpu.inference.NoiseModel),
    )
    for kind in kinds(room, base)
    if kind.__name__ not in BASES
]
#: ours, and what is of nobody: they say so by an empty list
OURS = {"AbruptReset", "CustomNoise", "DigitalSGD", "Ideal", "NoNoise", "RelativeNoise"}


@pytest.fixture(autouse=True)
def a_new_session(monkeypatch):
    monkeypatch.setattr(citing, "_kinds", {})
    monkeypatch.setattr(citing, "_keys", {})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_devices_algorithms_and_models_know_their_papers(kind):
    said = [base for base in kind.__mro__ if "papers" in vars(base)][0]
    assert said is not rpu.devices.SoftBounds.__mro__[-2], "nothing is said of where it is from"
    assert set(kind.papers) <= set(PAPERS)
    assert bool(kind.papers) == (kind.__name__ not in OURS)


def test_presets_chips_and_reproductions_know_their_papers():
    for name in presets.names():
        keys = presets.papers(name)
        assert keys and set(keys) <= set(PAPERS)
    for name in rpu.inference.chips.names():
        keys = rpu.inference.chips.papers(name)
        assert keys and set(keys) <= set(PAPERS)
        paper, source = PAPERS[keys[0]], rpu.inference.chips.source(name)
        assert paper.short in source
        start = re.split(r"\), ", source)[1].split(",")[0]
        assert paper.title.lower().startswith(start.lower())
    for name in rpu.reproduce.names():
        found = rpu.reproduce.get(name)
        assert found.papers and set(found.papers) <= set(PAPERS)
        paper = PAPERS[found.papers[0]]
        said = found.source.lower()
        assert paper.authors.split(",")[0].split(" and ")[0].lower() in said and str(paper.year) in said
        assert paper.arxiv in said or "arxiv" not in said


def test_all_papers_are_of_something():
    assert {key for key in PAPERS if f'"{key}"' not in SOURCES} == set()
    for key, paper in PAPERS.items():
        assert paper.title or paper.what
        assert key.startswith(re.sub(r"[ ,].*", "", paper.authors.lower().replace("le gallo", "legallo")))
        assert str(paper.year) in key
        assert re.fullmatch(r"(\d{4}\.\d{5})?", paper.arxiv) and re.fullmatch(r"(10\.\d+/\S+)?", paper.doi)


def test_a_session_cites_what_it_used_and_the_program():
    assert rpu.citations().keys == ("rpusim",)
    rpu.devices.SoftBounds(), rpu.algorithms.AGAD(), rpu.inference.Chip()  # nothing is built
    assert rpu.citations().keys == ("rpusim",)
    rpu.CrossbarArray((1, 1), rpu.devices.ConstantStep(), forward=rpu.Periphery.ideal())
    assert rpu.citations().keys == ("rpusim", "gokmen2016", "gokmen2017")
    rpu.algorithms.SHD(rpu.devices.SoftBounds()).build((2, 2), rng=0)
    assert rpu.citations().keys[3:] == ("onen2022", "rasch2021")
    presets.ecram()
    rpu.inference.ProgrammedArray([[1.0]], rpu.inference.chips.get("hermes"))
    keys = rpu.citations().keys
    assert set(keys[5:]) == {"tang2018", "legallo2023", "joshi2020"} and len(keys) == len(set(keys))
    assert len(rpu.citations()) == len(keys)


def test_what_uses_a_special_law_cites_it():
    schemes = rpu.PulseScheme(power_of_two_scales=True)
    rpu.CrossbarArray((1, 1), rpu.devices.SoftBounds(half_select=0.1), pulses=schemes)
    assert {"joshi2020-essop", "choi2026"} <= set(rpu.citations().keys)


def test_citations_of_things():
    rule = rpu.algorithms.SHD(rpu.devices.presets.gokmen_vlasov(), forward=rpu.Periphery.ideal())
    assert rpu.citations(rule).keys[:2] == ("onen2022", "gokmen2016")
    assert rpu.citations(rpu.algorithms.AGAD).keys == ("rasch2024",)
    assert rpu.citations("wu2025", "wu2025").keys == ("wu2025",)
    with pytest.raises(ValueError, match="things must be .*wu2024.*; got 'wu1'"):
        rpu.citations("wu1")
    with pytest.raises(TypeError, match="things must be specifications.*; got int"):
        rpu.citations(3)


def test_bibtex_has_an_entry_of_each_with_balanced_braces():
    text = rpu.citations(*PAPERS).bibtex()
    assert text.count("@") == len(PAPERS) and text.count("{") == text.count("}")
    assert [key for key in PAPERS if f"{{{key},\n" not in text] == []
    assert "author = {Gokmen, T. and Vlasov, Y.}" in text and "eprint = {1603.07341}" in text


def test_the_program_is_cited_as_the_file_says():
    path = Path(__file__).parents[2] / "CITATION.cff"
    if not path.exists():
        pytest.skip("CITATION.cff is not beside the tests")
    (program,) = rpu.citations("rpusim")
    assert f'title: "{program.title}"' in path.read_text() and program.names == "The rpusim developers"
    assert "The rpusim developers: rpusim: physics" in str(rpu.citations())


def test_arrays_are_built_without_the_table():
    code = """
import sys, rpusim
rpusim.CrossbarArray((1, 1), rpusim.devices.SoftBounds())
print("rpusim._base.papers" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
