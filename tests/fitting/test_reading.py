"""Files as instruments, spreadsheets and colleagues leave them: what is read, what is said, what is refused."""

from __future__ import annotations

import builtins
import zipfile

import numpy as np
import pytest

from rpusim.fitting import read_ramps

N = np.arange(30)
#: microsiemens, in the digits in which files have them
UP = np.round(5 + 20 * (1 - np.exp(-N / 10)), 4)
DOWN = np.round(25 - 20 * (1 - np.exp(-N / 10)), 4)
COUNT = [str(n + 1) for n in N]
TIME = [f"{0.857 * n:.3f}" for n in N]


def rows(*columns, sep=","):
    return "\n".join(sep.join(str(cell) for cell in row) for row in zip(*columns, strict=True)) + "\n"


def tidy(head, *keyed):
    """Rows of several ramps below one another, each behind its keys and numbers."""
    return head + "\n" + "".join(f"{keys},{n},{y}\n" for keys, ramp in keyed for n, y in enumerate(ramp, 1))


def read(tmp_path, text, name="sheet.csv", encoding="utf-8", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_ramps(path, **options)


def check(ramps, up, down, factor=1.0):
    for found, expected in ((ramps.up, up), (ramps.down, down)):
        assert [len(r) for r in found] == [len(r) for r in expected]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, np.asarray(b) * factor, rtol=1e-9)
    for ramp, place in zip(ramps.up + ramps.down, ramps.up_places + ramps.down_places, strict=True):
        assert len(place.lines) == len(ramp)


def without(y, k):
    y = y.copy()
    y[k] = np.nan
    return y


# ---- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "unit", "factor"),
    [
        ("G (uS)", "S", 1e-6), ("G/uS", "S", 1e-6), ("G / µS", "S", 1e-6), ("Conductance uS", "S", 1e-6), ("G [μS]", "S", 1e-6),
        ("G (Siemens)", "S", 1.0), ("G (microsiemens)", "S", 1e-6), ("Conductance in nS", "S", 1e-9), ("G_uS", "S", 1e-6),
        ("Conductance, mS", "S", 1e-3), ("G (us)", "S", 1e-6), ("G (10^-6 S)", "S", 1e-6), ("G (x1e-6 S)", "S", 1e-6),
        ("G (µmho)", "S", 1e-6), ("G (1/ohm)", "S", 1.0), ("G (G0)", "S", 7.748091729863649e-5), ("uS", "S", 1e-6),
        ("Current/A", "A", 1.0), ("I (A)", "A", 1.0), ("current_A", "A", 1.0), ("I1 [nA]", "A", 1e-9), ("I (Ampere)", "A", 1.0),
        ("Id (uA)", "A", 1e-6), ("I_D / mA", "A", 1e-3), ("Current (A) at 0.1 V", "A", 1.0), ("IDS (pA)", "A", 1e-12),
        ("G", "", 1.0), ("Conductance", "", 1.0), ("Device A", "", 1.0), ("LTP", "", 1.0), ("G (normalised)", "", 1.0),
        ("LTP (uS)", "S", 1e-6), ("a (nA)", "A", 1e-9), ("w", "", 1.0),
    ],
)  # fmt: skip
def test_units_in_headings(tmp_path, heading, unit, factor):
    ramps = read(tmp_path, f'pulse;"{heading}"\n' + rows(COUNT, UP, sep=";"))
    assert ramps.unit == unit
    check(ramps, [UP], [], factor)
    assert any("no unit found" in note for note in ramps.notes) == (unit == "")


@pytest.mark.parametrize(
    ("heading", "factor"),
    [("R (ohm)", 1.0), ("R_low (kohm)", 1e3), ("Resistance/MΩ", 1e6), ("R [kΩ]", 1e3), ("resistance (Ohms)", 1.0), ("R", 1.0)],
)
def test_resistances_become_conductances(tmp_path, heading, factor):
    ohm = [f"{1 / y:.9f}" for y in UP]
    ramps = read(tmp_path, f"pulse,{heading}\n" + rows(COUNT, ohm))
    assert ramps.unit == ("S" if heading != "R" else "1/R")
    for found in ramps.up:
        np.testing.assert_allclose(found, UP / factor, rtol=1e-6)
    assert len(ramps.up) == 1 and any("taken as conductance 1 / R" in note for note in ramps.notes)


def test_a_unit_that_contradicts_its_name_is_said(tmp_path):
    ramps = read(tmp_path, "pulse,G (ohm)\n" + rows(COUNT, UP))
    check(ramps, [UP], [])
    assert ramps.unit == "ohm" and any("with the unit of a resistance: taken as it stands" in note for note in ramps.notes)


# ---- forms of files --------------------------------------------------------------------------------------------------

PLAIN = "pulse,G (uS)\n" + rows(COUNT, UP)
COMMAS = "Puls;G (µS)\n" + rows(COUNT, UP, sep=";").replace(".", ",")
FORMS = {
    "savetxt": "# pulse, G (uS)\n" + rows(COUNT, UP),
    "savetxt with blanks": "# pulse G(uS)\n" + rows(COUNT, UP, sep=" "),
    "matlab": "% pulse G (uS)\n" + rows(COUNT, UP, sep=" "),
    "row of units": "pulse,conductance\n,uS\n" + rows(COUNT, UP),
    "row of units in brackets": "Pulse\tG\n(#)\t(uS)\n" + rows(COUNT, UP, sep="\t"),
    "origin": "Pulse number\tConductance\n#\tuS\n" + rows(COUNT, UP, sep="\t"),
    "origin with remarks": "Pulse\tConductance\n\tuS\n\tdevice 3\n" + rows(COUNT, UP, sep="\t"),
    "preamble": "Setup title\tsweep\ntest date\t01.01.2024\nMeasurement Data\n" + PLAIN,
    "settings": "Vstart,0.5\nVstop,1.0\nPoints,30\nDate,2024-01-01\n\n" + PLAIN,
    "last line": PLAIN + "End of data\n",
    "decimal commas": COMMAS,
    "decimal commas, tabs": COMMAS.replace(";", "\t"),
    "decimal commas, quoted": "pulse,G (uS)\n" + rows(COUNT, [f'"{y:.4f}"'.replace(".", ",") for y in UP]),
    "decimal commas, one column": "G (uS)\n" + "\n".join(str(y).replace(".", ",") for y in UP),
    "exponents of Fortran": "pulse,G (uS)\n" + rows(COUNT, [f"{y:.6E}".replace("E", "D") for y in UP]),
    "delimiters at ends": "pulse;G (uS);\n" + "".join(f"{n};{y};\n" for n, y in zip(COUNT, UP, strict=True)),
    "bars": "| pulse | G (uS) |\n|-------|------|\n" + "".join(f"| {n} | {y} |\n" for n, y in zip(COUNT, UP, strict=True)),
    "numbers of rows by R": '"pulse" "G (uS)"\n' + "".join(f'"{n}" {n} {y}\n' for n, y in zip(COUNT, UP, strict=True)),
    "units in cells": "pulse,G\n" + rows(COUNT, [f"{y} uS" for y in UP]),
    "units in cells, decimal commas": "pulse;G\n" + rows(COUNT, [f"{y}µS" for y in UP], sep=";").replace(".", ","),
    "names over two lines": '"Pulse\nnumber","Conductance\n(uS)"\n' + rows(COUNT, UP),
    "a line of the delimiter": "sep=;\n" + "pulse;G (uS)\n" + rows(COUNT, UP, sep=";"),
    "words before each line": "Setup, a\nDataName, V1, G (uS)\n" + rows(["DataValue"] * 30, [" 0.1"] * 30, UP),
    "LabVIEW": "LabVIEW Measurement\t\n***End_of_Header***\t\nX_Value\tG (uS)\tComment\n" + rows(TIME, UP, sep="\t"),
    "old Mac": PLAIN.replace("\n", "\r"),
    "Windows": PLAIN.replace("\n", "\r\n"),
    "real minus and blanks": PLAIN.replace(",5.0", ",\u00a05.0"),
}  # fmt: skip


@pytest.mark.parametrize("form", list(FORMS))
def test_forms_of_text(tmp_path, form):
    ramps = read(tmp_path, FORMS[form])
    assert ramps.unit == "S"
    check(ramps, [UP], [], 1e-6)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("utf-8-sig", COMMAS), ("utf-16", COMMAS), ("utf-32", COMMAS), ("cp1252", COMMAS), ("latin-1", COMMAS), ("utf-8", COMMAS),
     ("utf-16-le", PLAIN), ("utf-16-be", PLAIN)],
)  # fmt: skip
def test_encodings_are_found(tmp_path, encoding, text):
    ramps = read(tmp_path, text, encoding=encoding)
    assert ramps.unit == "S"
    check(ramps, [UP], [], 1e-6)
    guessed = encoding in ("cp1252", "latin-1", "utf-16-le", "utf-16-be")
    assert any(" read as " in note for note in ramps.notes) == guessed


def test_encodings_are_taken_as_they_are_said(tmp_path):
    text = COMMAS.replace("µ", "u") + "# \u0416\n"
    check(read(tmp_path, text, encoding="koi8-r", **{}), [UP], [], 1e-6)
    path = tmp_path / "sheet.csv"
    check(read_ramps(path, encoding="koi8-r"), [UP], [], 1e-6)
    with pytest.raises(ValueError, match="not a text in utf-8"):
        read_ramps(path, encoding="utf-8")
    with pytest.raises(ValueError, match="encoding must be the name of one"):
        read_ramps(path, encoding="klingon")


def test_lines_above_are_said_and_may_be_skipped(tmp_path):
    ramps = read(tmp_path, FORMS["preamble"])
    assert any("lines 1 to 3, above the table, are passed over" in note for note in ramps.notes)
    text = "30\n" + PLAIN
    with pytest.raises(ValueError, match="line 1: must have 2 columns; got 1: '30'"):
        read(tmp_path, text)
    check(read(tmp_path, text, skip_rows=1), [UP], [], 1e-6)
    with pytest.raises(ValueError, match="skip_rows must leave lines with numbers; got 100"):
        read(tmp_path, text, skip_rows=100)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(100), "an Excel workbook of the old form"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (b"\x1f\x8b\x08\0", "compressed by gzip"),
        (b"PK\x03\x04" + bytes(50), "broken archive"),
        (bytes(range(256)), "must be a text file or a workbook"),
        (b"\xff\xfe\x00", "not a text in utf-16"),
    ],
)
def test_what_is_no_text(tmp_path, raw, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, raw)


# ---- which columns ---------------------------------------------------------------------------------------------------

OHM = [f"{1e6 / y:.1f}" for y in UP]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("pulse,R,G\n" + rows(COUNT, OHM, UP), "'R' (resistance)"),
        ("pulse,G,sigma\n" + rows(COUNT, UP, [0.1 + 0.001 * n for n in N]), "'sigma' (spreads)"),
        ("pulse,G,dG\n" + rows(COUNT, UP, UP / 100), "'dG' (spreads)"),
        ("pulse,G_mean,G_std\n" + rows(COUNT, UP, UP / 100), "'G_std' (spreads)"),
        ("Vpulse,G\n" + rows(0.5 + 0.05 * N, UP), "'Vpulse' (voltages)"),
        ("pulse,Amplitude (V),G\n" + rows(COUNT, 0.5 + 0.05 * N, UP), "'Amplitude (V)' (voltages)"),
        ("Pulse,Voltage,Conductance\n" + rows(COUNT, [1.5] * 30, UP), "'Voltage' (voltages)"),
        ("time (s),G\n" + rows(TIME, UP), "'time (s)' (times)"),
        ("date,G\n" + rows([f"2024-01-01 12:00:{n:02d}" for n in N], UP), "'date' (text)"),
        ("pulse,G,T (K)\n" + rows(COUNT, UP, 300 + N / 10), "'T (K)' (temperatures)"),
        ("pulse,G,width (us)\n" + rows(COUNT, UP, 1 + N), "'width (us)' (times)"),
        ("pulse,code,G\n" + rows(COUNT, np.round(UP * 10), UP), "'code' (not told)"),
        ("pulse,a,b\n" + rows(COUNT, UP, [1.5] * 30), "'b' (the same everywhere)"),
        (rows(TIME, UP, sep=" "), "'column 1' (times)"),
    ],
)
def test_columns_that_are_no_conductance_are_left_out_and_named(tmp_path, text, left):
    ramps = read(tmp_path, text)
    check(ramps, [UP], [])
    (note,) = [note for note in ramps.notes if "left out" in note]
    assert left in note
    if "Vpulse" in text or "Amplitude" in text:
        assert any("pulses differ in" in note for note in ramps.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pulse,V\n" + rows(COUNT, UP), r"line 2: a column must hold conductances.*'V' \(voltages\).*choose by columns"),
        ("Time(min),Vcap\n" + rows(COUNT, UP), r"'Time\(min\)' \(times\), 'Vcap' \(voltages\)"),
        ("pulse,G\n" + rows(COUNT, UP, DOWN), "line 1: must name each of the 3 columns below it; got 2"),
        ("pulse,G,H\n" + rows(COUNT, UP), "line 1: must name each of the 2 columns below it; got 3"),
        (
            "pulse,G\n" + rows(COUNT, ["x" if n == 9 else y for n, y in enumerate(UP)]),
            "line 11: column 2 must be a number; got 'x'",
        ),
        ("pulse,G\n" + rows(COUNT, ["1_0" if n == 9 else y for n, y in enumerate(UP)]), "line 11: column 2 must be a number"),
        ("pulse,G\n" + rows(COUNT, UP) + "mean,12.5\n", "line 32: column 1 must be a number; got 'mean'"),
        ("pulse,R (ohm)\n" + rows(COUNT, -1 / UP), "line 2: resistances must be positive; got -0.2"),
        ("pulse,a (uS),b (A)\n" + rows(COUNT, UP, DOWN), None),
        ("pulse,G\n1,5\n2,6\n900000000,7\n", "line 4: pulse numbers must not jump so far"),
        ("pulse,G\n1,5\n2,6\n1e15,7\n", "line 4: pulse numbers must be at most 1e9"),
        ("pulse,G\n1,5\n1.5,6\n3,7\n", "line 3: pulse numbers must be integers; got 1.5"),
        ("a,b\n1,2\n" + "y" * 200_000 + ",2\n", "line 3"),
    ],
)
def test_what_cannot_be_told_is_refused_by_its_line(tmp_path, text, message):
    if message is None:
        assert read(tmp_path, text).unit == "S"
        return
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, text)
    assert "sheet.csv" in str(caught.value) and len(str(caught.value)) < 600


def test_columns_are_chosen_by_name_or_number(tmp_path):
    text = "pulse,Voltage,Conductance\n" + rows(COUNT, UP, DOWN)
    for columns in (["Voltage"], "voltage", 2, ["2"]):
        check(read(tmp_path, text, columns=columns), [UP], [])
    for wrong, message in (
        (["x"], "columns must be among 'pulse', 'Voltage'"),
        ([], "at least one"),
        (["²"], "got '²'"),
        ([9], "got 9"),
    ):
        with pytest.raises(ValueError, match=message):
            read(tmp_path, text, columns=wrong)
    with pytest.raises(TypeError, match="columns must be names or numbers"):
        read(tmp_path, text, columns=3.5)


# ---- numberings ------------------------------------------------------------------------------------------------------

BACK = COUNT[::-1]


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("Pulse#,Potentiation,Pulse#,Depression\n" + rows(COUNT, UP, COUNT, DOWN), [UP], [DOWN]),
        ("Pulse,LTP,Pulse,LTD\n" + rows(COUNT, UP, BACK, DOWN), [UP], [DOWN]),
        ("Time (s),LTP (S),Time (s),LTD (S)\n" + rows(TIME, UP, TIME, DOWN), [UP], [DOWN]),
        ("Pulse,LTP,Pulse,LTD\n" + rows(COUNT, UP, COUNT[:20] + [""] * 10, [*DOWN[:20], *[""] * 10]), [UP], [DOWN[:20]]),
        (rows(COUNT, UP, COUNT, DOWN, sep="\t"), [UP], [DOWN]),
        (rows(TIME, UP, TIME, DOWN, sep="\t"), [UP], [DOWN]),
        (rows(BACK, DOWN, sep=" "), [], [DOWN]),
        (rows([str(n) for n in N[::-1]], DOWN, sep=" "), [], [DOWN]),
        ("pulse,G\n" + rows(BACK, DOWN), [], [DOWN]),
        ("pulse,G\n" + rows([*N, *N[::-1]], [*UP, *DOWN]), [UP], [DOWN]),
        ("pulse,G\n" + rows([*N, *N[-2::-1]], [*UP, *DOWN[1:]]), [UP], [DOWN[1:]]),
        ("pulse,G\n" + rows([*N, *N], [*UP, *DOWN]), [UP], [DOWN]),
        ("pulse,G\n" + rows(np.repeat(N, 2), np.repeat(UP, 2) + np.tile([0.01, -0.01], 30)), [UP], []),
        ("n,G\n" + rows(np.repeat(N, 3), np.repeat(UP, 3)), [UP], []),
        ("pulse,G\n" + rows([1] * 30, UP), [UP], []),
        (",0,1\n" + rows(N, UP, DOWN), [UP], [DOWN]),
        ("0,1\n" + rows(UP, DOWN), [UP], [DOWN]),
        ("pulse,1,2\n" + rows(COUNT, UP, DOWN), [UP], [DOWN]),
        ("pulse,cycle 1,cycle 2\n" + rows(COUNT, UP, UP), [UP, UP], []),
    ],
)
def test_numberings(tmp_path, text, up, down):
    if text.startswith("0,1\n"):
        text = "0,1,2\n" + rows(UP, DOWN, UP)
        up = [UP, UP]
    check(read(tmp_path, text), up, down)


def test_every_tenth_pulse_is_read(tmp_path):
    (ramp,) = read(tmp_path, "pulse,G\n" + rows(10 * N, UP)).up
    assert len(ramp) == 291
    np.testing.assert_array_equal(ramp[::10], UP)
    assert np.isnan(np.delete(ramp, np.s_[::10])).all()


def test_what_was_decided_about_numbers_is_said(tmp_path):
    assert any("count down" in note for note in read(tmp_path, "pulse,G\n" + rows(BACK, DOWN)).notes)
    assert any("averaged" in note for note in read(tmp_path, "pulse,G\n" + rows(np.repeat(N, 2), np.repeat(UP, 2))).notes)


# ---- tidy tables -----------------------------------------------------------------------------------------------------

BOTH = ((1, "LTP", UP), (1, "LTD", DOWN), (2, "LTP", UP + 1), (2, "LTD", DOWN + 1))


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        (tidy("device,type,pulse,G (S)", *((f"D{k},{s}", y) for k, s, y in BOTH)), ["device D1", "device D2"]),
        (tidy("cycle,polarity,pulse,G (S)", *((f"{k},{'+' if s == 'LTP' else '-'}", y) for k, s, y in BOTH)), []),
        (tidy("cycle,pulse,G (S)", *((f"{k}", y) for k, s, y in BOTH)), []),
        (
            tidy("row,col,branch,pulse,G (S)", *((f"0,{k},{s.lower()}", y) for k, s, y in BOTH)),
            ["row 0, col 1", "row 0, col 2"],
        ),
        (tidy("run,direction,pulse,G (S)", *((f"{k},{1 if s == 'LTP' else -1}", y) for k, s, y in BOTH)), []),
        (tidy("rep,process,pulse,G (S)", *((f"{k},{'SET' if s == 'LTP' else 'RESET'}", y) for k, s, y in BOTH)), []),
    ],
)
def test_tidy_tables(tmp_path, text, devices):
    ramps = read(tmp_path, text)
    check(ramps, [UP, UP + 1], [DOWN, DOWN + 1])
    assert ramps.devices == devices and ramps.unit == "S"


def test_interleaved_cycles_and_merged_cells(tmp_path):
    text = "pulse,cycle,G\n" + "".join(f"{n},{c},{y + c}\n" for n, y in enumerate(UP) for c in (1, 2))
    check(read(tmp_path, text), [UP + 1, UP + 2], [])
    text = "device,pulse,G\n" + "".join(f"{f'D{c}' if n == 0 else ''},{n},{y + c}\n" for c in (1, 2) for n, y in enumerate(UP))
    ramps = read(tmp_path, text)
    check(ramps, [UP + 1, UP + 2], [])
    assert ramps.devices == ["device D1", "device D2"]


def test_groups_by_columns_of_other_names(tmp_path):
    text = tidy("wafer,pulse,G", ("7", UP), ("9", UP + 1))
    for group in ("wafer", 1, ["wafer"]):
        check(read(tmp_path, text, group=group), [UP, UP + 1], [])
    with pytest.raises(ValueError, match="columns and group must not name the same column; got 'G'"):
        read(tmp_path, text, group="G", columns="G")
    with pytest.raises(ValueError, match="group must be among"):
        read(tmp_path, text, group="lot")


def test_tables_below_one_another(tmp_path):
    text = "LTP\npulse,G (uS)\n" + rows(COUNT, UP) + "\nLTD\npulse,G (uS)\n" + rows(COUNT, DOWN)
    check(read(tmp_path, text), [UP], [DOWN], 1e-6)


def test_ramps_along_rows(tmp_path):
    text = ",".join(f"p{n}" for n in N) + "\n" + "\n".join(",".join(f"{y + 0.01 * c:.4f}" for y in UP) for c in range(3)) + "\n"
    ramps = read(tmp_path, text)
    check(ramps, [UP, np.round(UP + 0.01, 4), np.round(UP + 0.02, 4)], [])
    assert any("each row is taken as a ramp" in note for note in ramps.notes)


# ---- directions ------------------------------------------------------------------------------------------------------


def test_depression_in_reverse_order_is_turned_round_and_said(tmp_path):
    text = "pulse\tconductance\n" + rows(N, DOWN[::-1], sep="\t")
    ramps = read(tmp_path, text, direction="down")
    check(ramps, [], [DOWN])
    assert any("that are to be down rise: taken in reverse order" in note for note in ramps.notes)
    assert list(ramps.down_places[0].lines[[0, -1]]) == [31, 2]
    named = read(tmp_path, "pulse,LTP,LTD\n" + rows(COUNT, UP, DOWN[::-1]))
    check(named, [UP], [DOWN])
    assert any("'LTD'" in note and "reverse" in note for note in named.notes)
    branch = read(tmp_path, tidy("type,pulse,G", ("LTP", UP), ("LTD", DOWN[::-1])))
    check(branch, [UP], [DOWN])
    falling = read(tmp_path, text.replace("conductance", "G"), direction="up")
    check(falling, [DOWN[::-1]], [])  # rises: as it is said
    assert not any("reverse" in note for note in falling.notes)


def test_the_name_of_a_file_may_say_what_its_values_do_not(tmp_path):
    ramps = read(tmp_path, PLAIN, name="ltd.csv")
    check(ramps, [UP], [], 1e-6)
    assert any("though its name says down" in note for note in ramps.notes)
    assert not any("its name" in note for note in read(tmp_path, PLAIN, name="ltp.csv").notes)


def test_noisy_ramps_are_what_they_are_said_to_be(tmp_path):
    """A flat ramp says nothing: it is not turned round."""
    y = np.round(10 + np.random.default_rng(0).standard_normal(60), 3)
    for direction in ("up", "down"):
        ramps = read(tmp_path, "G\n" + "\n".join(map(str, y)), direction=direction)
        np.testing.assert_array_equal((ramps.up + ramps.down)[0], y)


# ---- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["9.9E+37", "9.91e37", "-9.9e37", "1e308", "-9999", "99999", "OVLD", "Overflow", "#N/A", "NaN",
                                  "#DIV/0!", "--", "n/a", "", "null", "ERR"])  # fmt: skip
def test_missing_values(tmp_path, cell):
    y = [cell if n == 9 else value for n, value in enumerate(UP)]
    ramps = read(tmp_path, "pulse,I (A)\n" + rows(COUNT, y))
    check(ramps, [without(UP, 9)], [])
    said = [note for note in ramps.notes if "line 11" in note]
    assert len(said) == (cell[-2:].isdigit() and len(cell) > 4)


def test_codes_of_missing_values_are_values_where_they_may_be(tmp_path):
    y = np.linspace(900, 1100, 201)  # 999 is one of them
    check(read(tmp_path, "pulse,code\n" + rows(range(201), y)), [y], [])


def test_values_far_from_their_neighbours_are_named(tmp_path):
    for value in ("0", "25", "-9998"):
        y = [value if n == 9 else y for n, y in enumerate(UP)]
        ramps = read(tmp_path, "pulse,I (A)\n" + rows(COUNT, y))
        assert any(note.startswith("sheet.csv, line 11 (I (A)):") and "far from" in note for note in ramps.notes)
        assert len(ramps.up) == 1 and not ramps.down
    assert not any("far from" in note for note in read(tmp_path, PLAIN).notes)
    steep = 20 * (1 - np.exp(-N / 1.5))  # most of a ramp in its first steps
    assert not any("far from" in note for note in read(tmp_path, "pulse,G\n" + rows(COUNT, steep)).notes)


def test_currents_of_either_sign(tmp_path):
    ramps = read(tmp_path, "pulse,I (uA)\n" + rows(COUNT, -UP))
    check(ramps, [UP], [], 1e-6)
    assert ramps.unit == "A" and any("its sign" in note for note in ramps.notes)
    for voltage in (-0.1, 0.1):
        ramps = read(tmp_path, "pulse,I (uA)\n" + rows(COUNT, np.sign(voltage) * UP), read_voltage=voltage)
        check(ramps, [UP], [], 1e-5)
        assert ramps.unit == "S" and any("read voltage" in note for note in ramps.notes)
    ramps = read(tmp_path, "pulse,Vread (mV),I (uA)\n" + rows(COUNT, [-100] * 30, -UP))
    check(ramps, [UP], [], 1e-5)
    assert ramps.unit == "S"
    ramps = read(tmp_path, "V1,I1,absI\n" + rows([0.1] * 30, -UP, UP))
    check(ramps, [UP], [])
    assert any("'absI' holds the same as 'I1'" in note for note in ramps.notes)
    both = np.concatenate([UP - 15, [0]])  # of either sign: as it stands
    check(read(tmp_path, "I (A)\n" + "\n".join(map(str, both[:-1]))), [UP - 15], [])
    with pytest.raises(ValueError, match="read_voltage must not be 0"):
        read(tmp_path, PLAIN, read_voltage=0.0)


# ---- workbooks and tables in memory ----------------------------------------------------------------------------------


def test_excel_workbooks(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "About"
    book.active.append(["measured by", "somebody"])
    for title, shift in (("first", 0.0), ("second", 1.0)):
        sheet = book.create_sheet(title)
        sheet.append(["Setup", None, None])
        sheet.append(["Pulse #", "G (uS)", None, "Read voltage"])
        for n, y in enumerate(UP):
            sheet.append([n, float(y + shift), None, "0.1 V" if n == 0 else None])
    path = tmp_path / "book.xlsx"
    book.save(path)
    ramps = read_ramps(path)
    check(ramps, [UP], [], 1e-6)
    assert any("read from sheet 'first'; others: 'second'" in note for note in ramps.notes)
    for sheet in ("second", 3):
        check(read_ramps(path, sheet=sheet), [UP + 1], [], 1e-6)
    with pytest.raises(ValueError, match="sheet must be among 'About', 'first', 'second' or from 1 to 3"):
        read_ramps(path, sheet="third")
    with pytest.raises(ValueError, match="encoding must not be given"):
        read_ramps(path, encoding="utf-8")


def test_libreoffice_workbooks(tmp_path):
    pytest.importorskip("odf")
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P

    book = OpenDocumentSpreadsheet()
    sheet = Table(name="ramps")
    head = TableRow()
    for text in ("Pulse", "G (uS)"):
        cell = TableCell(valuetype="string")
        cell.addElement(P(text=text))
        head.addElement(cell)
    sheet.addElement(head)
    for n, y in enumerate(UP):
        row = TableRow()
        for value in (n, y):
            row.addElement(TableCell(valuetype="float", value=float(value)))
        sheet.addElement(row)
    book.spreadsheet.addElement(sheet)
    path = tmp_path / "book.ods"
    book.save(str(path))
    check(read_ramps(path), [UP], [], 1e-6)


@pytest.mark.parametrize(("package", "what"), [("openpyxl", "an Excel workbook"), ("odf", "a LibreOffice workbook")])
def test_missing_packages_are_named(tmp_path, monkeypatch, package, what):
    path = tmp_path / "book"
    with zipfile.ZipFile(path, "w") as book:
        if package == "odf":
            book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        else:
            book.writestr("xl/workbook.xml", "")
    load = builtins.__import__

    def without_it(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_it)
    with pytest.raises(ValueError, match=rf"{what}, which needs the package .*rpusim\[files\].*CSV"):
        read_ramps(path)


def test_other_archives_and_bombs(tmp_path):
    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("word/document.xml", "")
    with pytest.raises(ValueError, match="got another archive"):
        read_ramps(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book, book.open("xl/workbook.xml", "w") as big:
        for _ in range(6):
            big.write(bytes(100_000_000))
    with pytest.raises(ValueError, match="must unpack to less than"):
        read_ramps(path)


class Frame:
    """A table with named columns, as pandas has it, of what is asked of it."""

    def __init__(self, **columns):
        self.data, self.columns = columns, list(columns)
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __getitem__(self, name):
        return self.data[name]


def test_tables_in_memory():
    ramps = read_ramps(Frame(**{"pulse": N, "LTP (uS)": UP, "LTD (uS)": DOWN, "V": np.full(30, 0.1)}))
    check(ramps, [UP], [DOWN], 1e-6)
    assert ramps.unit == "S" and any("'V' (voltages)" in note for note in ramps.notes)
    with pytest.raises(ValueError, match="skip_rows, sheet and encoding must not be given with a DataFrame"):
        read_ramps(Frame(a=UP), skip_rows=1)
    with pytest.raises(TypeError, match="path must be a path or a DataFrame; got list"):
        read_ramps([1, 2, 3])


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas")
    check(read_ramps(pandas.DataFrame(np.stack([UP, DOWN], axis=1))), [UP], [DOWN])
    check(read_ramps(pandas.DataFrame({"G (uS)": UP}, index=pandas.Index(N, name="pulse"))), [UP], [], 1e-6)
    long = pandas.DataFrame({"type": ["LTP"] * 30 + ["LTD"] * 30, "pulse": [*N, *N], "G": [*UP, *DOWN]})
    check(read_ramps(long), [UP], [DOWN])


def test_files_in_parts_go_together(tmp_path):
    one, two = read(tmp_path, PLAIN), read(tmp_path, PLAIN, name="b.csv")
    both = one.and_those_of(two)
    assert len(both.up) == 2 and [p.file for p in both.up_places] == ["sheet.csv", "b.csv"]
    with pytest.raises(ValueError, match="files must be of one unit; got sheet.csv: S, c.csv: A"):
        one.and_those_of(read(tmp_path, PLAIN.replace("uS", "A"), name="c.csv"))


def test_a_read_voltage_makes_currents_of_columns_that_say_nothing_and_is_refused_for_others(tmp_path):
    plain = read(tmp_path, "rmp1\n" + "".join(f"{v:.8g}\n" for v in UP))
    over = read(tmp_path, "rmp1\n" + "".join(f"{v:.8g}\n" for v in UP), read_voltage=0.1)
    np.testing.assert_allclose(over.up[0], np.asarray(plain.up[0]) / 0.1)
    assert any("says no unit: a current, as a read voltage is given" in note for note in over.notes)
    with pytest.raises(
        ValueError, match="read_voltage must be None where columns are no currents; got 0.1, and 'G .uS.' holds"
    ):
        read(tmp_path, "G (uS)\n" + "".join(f"{v:.8g}\n" for v in UP), read_voltage=0.1)
