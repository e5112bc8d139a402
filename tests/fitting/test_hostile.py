"""Hostile arguments and files: refused by name, in few words, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu
from rpusim.fitting import fit, read_ramps


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = [nested(50_000), [nested(50_000)], 10**5000, [10**5000], "x" * 10**6, ["x" * 10**6], b"x" * 1000, ["²"], {}, object()]
IDS = ["deep", "deeper", "giant", "giants", "long", "longs", "bytes", "superscript", "dict", "object"]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "ramp.csv"
    file.write_text("pulse,G (uS)\n" + "".join(f"{k},{1 + k / 10}\n" for k in range(20)))
    return file


@pytest.mark.parametrize("value", HOSTILE, ids=IDS)
@pytest.mark.parametrize("argument", ["direction", "columns", "group", "sheet", "encoding", "skip_rows", "read_voltage"])
def test_reading_refuses_by_name_and_in_few_words(path, argument, value):
    with pytest.raises((ValueError, TypeError), match=argument) as error:
        read_ramps(path, **{argument: value})
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("value", HOSTILE, ids=IDS)
@pytest.mark.parametrize("argument", ["model", "hold", "criterion", "unit", "g_min", "progress"])
def test_fitting_refuses_by_name_and_in_few_words(argument, value):
    if (argument, value) == ("hold", {}) or (argument == "unit" and isinstance(value, str)):
        return  # which are allowed
    with pytest.raises((ValueError, TypeError), match=argument) as error:
        fit([np.linspace(1.0, 2.0, 20)], **{"progress": False, argument: value})
    assert len(str(error.value)) < 700


def test_a_number_of_a_column_is_one_of_the_file(path):
    for columns in (3, [3], 0, -1):
        with pytest.raises(ValueError, match=r"columns must be among 'pulse', 'G \(uS\)' or from 1 to 2"):
            read_ramps(path, columns=columns)


@pytest.mark.parametrize("cell", ["1_0", "²", "9" * 200_000, "x" * 200_000, "0x10", "1e999"], ids=lambda cell: cell[:6])
def test_cells_that_are_no_numbers_are_refused_by_line(tmp_path, cell):
    file = tmp_path / "ramp.csv"
    file.write_text(f"pulse,G (uS)\n1,1\n2,2\n3,{cell}\n4,4\n5,5\n")
    with pytest.raises(ValueError, match="line 4") as error:
        read_ramps(file)
    assert len(str(error.value)) < 700


def test_a_cell_of_a_data_frame_is_read_as_that_of_a_file():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"pulse": range(4), "G (uS)": ["1_0", "1_1", "1_2", "1_3"]})
    with pytest.raises(ValueError, match="text"):
        read_ramps(frame)
    frame["G (uS)"] = ["10", "11", "<NA>", "13"]
    assert read_ramps(frame).up[0] == pytest.approx([1e-5, 1.1e-5, np.nan, 1.3e-5], nan_ok=True)


@pytest.mark.parametrize("numbers", [(1, 2, 3, -999999, 5, 6), (5, 1, 9, 0, 4, 2), (0, -5, 3, -9, 1, 2), (3, 3, 0, 0, 9, -9)])
def test_pulse_numbers_that_jump_back_are_read_or_refused_by_line(tmp_path, numbers):
    file = tmp_path / "ramp.csv"
    file.write_text("pulse,G\n" + "".join(f"{n},{k}\n" for k, n in enumerate(numbers)))
    try:
        read_ramps(file)
    except ValueError as error:
        assert "line" in str(error) or "at least 3 values" in str(error)


@pytest.mark.parametrize(
    "name", [nested(50_000), 10**5000, "x" * 10**6, b"x", None], ids=["deep", "giant", "long", "bytes", "none"]
)
def test_inputs_of_a_network_are_named_by_a_text(name):
    net = rpu.nn.Sequential(rpu.nn.Linear(4, 3, rpu.algorithms.DigitalSGD()))
    with pytest.raises((ValueError, TypeError), match="name must be") as error:
        net.inputs(name, np.zeros((2, 4), np.float32))
    assert len(str(error.value)) < 700


def test_any_number_of_empty_ramps_is_none():
    with pytest.raises(ValueError, match="must hold at least one ramp; got none"):
        fit(np.empty((2**40, 0)), progress=False)
