"""rpusim.datasets: tables of the UCI repository."""

from __future__ import annotations

import gzip
import hashlib
import os

import numpy as np
import pytest

from rpusim import datasets
from rpusim.datasets import tables

REAL = pytest.mark.skipif(not os.environ.get("RPUSIM_DATA"), reason="RPUSIM_DATA is not set: tables themselves are not read")


@REAL
@pytest.mark.parametrize(
    ("name", "first", "counts"),
    [("magic", 28.7967, {"g": 12332, "h": 6688}), ("eeg", 4329.23, {"0": 8257, "1": 6723})],
)
def test_tables_have_their_rows_and_classes(name, first, counts):
    table = datasets.uci(name)
    assert table.x[0, 0] == first and table.x.dtype == np.float64 and table.y.dtype == np.int64
    assert dict(zip(table.classes, np.bincount(table.y).tolist(), strict=True)) == counts


@REAL
def test_folds_of_regressions_are_fixed_and_disjoint():
    parts = [datasets.uci_regression("yacht", fold) for fold in range(10)]
    tests = [{tuple(row) for row in np.column_stack([one.x_test, one.y_test]).tolist()} for one in parts]
    assert sum(map(len, tests)) == len(set.union(*tests)) == 308
    assert all(len(one.x_train) + len(one.x_test) == 308 for one in parts)
    with pytest.raises(FileNotFoundError, match="one of .*yacht"):
        datasets.uci_regression("yach")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RPUSIM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "uci").mkdir()
    return tmp_path / "uci"


def small(monkeypatch, text, packed):
    """The letters as a table of three rows."""
    data = text.encode()
    kind = tables._KINDS["letter"]
    known = {"letter-recognition.data": hashlib.md5(data).hexdigest()}
    monkeypatch.setitem(
        tables._KINDS, "letter", kind._replace(shape=(3, 2), collection=kind.collection._replace(files=known, mirrors=()))
    )
    return gzip.compress(data) if packed else data


@pytest.mark.parametrize("packed", [False, True])
def test_letters_come_first_in_a_row(folder, monkeypatch, packed):
    data = small(monkeypatch, "T,2,8\nI,5,12\nT,1,0\n", packed)
    (folder / f"letter-recognition.data{'.gz' if packed else ''}").write_bytes(data)
    table = datasets.uci("letter")
    assert table.x.tolist() == [[2, 8], [5, 12], [1, 0]] and table.y.tolist() == [1, 0, 1] and table.classes == ("I", "T")


def test_other_files_are_refused(folder, monkeypatch):
    data = small(monkeypatch, "T,2,8\nI,5,12\nT,1,0\n", False)
    (folder / "letter-recognition.data").write_bytes(data[:-1])
    with pytest.raises(ValueError, match="must have the MD5"):
        datasets.uci("letter")
    (folder / "letter-recognition.data").unlink()
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        datasets.uci("letter")
    (folder / "letter-recognition.data.gz").write_bytes(gzip.compress(data)[:-5])
    with pytest.raises(ValueError, match="is damaged"):
        datasets.uci("letter")
    for wrong, message in (("../x", "name must be that of a folder"), ("none", "name must be a table with data.csv.gz")):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            datasets.uci_regression(wrong)
