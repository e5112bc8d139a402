"""The file of a study, where the disk or others are in the way."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from rpusim.sweep import Study
from rpusim.sweep.store import Store


def test_a_full_disk_is_an_error_of_the_system_and_the_file_stays_good(tmp_path):
    study = Study("regression", {"lr": [0.01 + 0.001 * k for k in range(400)]}, {"steps": 20})
    with Store(tmp_path / "study.sqlite") as kept:
        pages = kept._db.execute("PRAGMA page_count").fetchone()[0]
        kept._db.execute(f"PRAGMA max_page_count={pages + 2}")  # SQLite's own way to have no room
        with pytest.raises(OSError, match=r"study\.sqlite: database or disk is full"):
            kept.begin(study)
    with Store(tmp_path / "study.sqlite") as kept:
        assert kept.count() == 0
        kept.begin(study)
        assert kept.count() == 400


def test_another_journal_waits_for_those_who_read(tmp_path):
    """SQLite itself does not wait then."""
    path = tmp_path / "study.sqlite"
    Store(path, "delete").close()
    reader = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    over = threading.Timer(0.3, reader.close)
    over.start()
    with Store(path, "wal") as kept:
        assert kept._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    over.join()
