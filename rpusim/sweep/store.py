"""What is finished: one SQLite file, written point by point, that survives being killed and two writers."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rpusim._base.validation import choice, shown
from rpusim.sweep.points import Study

__all__ = ["Store"]

_FORMAT = "rpusim sweep"
VERSION = 1
WAIT_S = 60.0  # for others that write
COLUMNS = ("seconds", "host", "versions", "code", "finished")  # of a point, beside what it gave
_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS points (key TEXT PRIMARY KEY, place INTEGER, varied TEXT NOT NULL, settings TEXT NOT NULL, "
    "seed INTEGER NOT NULL, status TEXT NOT NULL DEFAULT 'waiting', claimed TEXT, results TEXT, traceback TEXT, "
    + ", ".join(f"{name} TEXT" for name in COLUMNS)
    + ")",
)


#: what SQLite says where the disk, the folder or another process is in the way, and not the file
_IN_THE_WAY = ("disk I/O error", "is full", "readonly", "unable to open", "locked")


class _Database(sqlite3.Connection):
    """A connection whose errors of the disk are OSError, as of any other file."""

    path: Path

    def execute(self, *args: Any) -> sqlite3.Cursor:
        with self._named():
            return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        with self._named():
            return super().executemany(*args)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if any(words in str(error) for words in _IN_THE_WAY):
                raise OSError(f"{self.path}: {error}") from None
            raise


def _opened(path: Path) -> _Database:
    try:
        db = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, factory=_Database)
    except sqlite3.OperationalError as error:
        raise OSError(f"{path}: {error}") from None
    db.path = path
    return db


class Store:
    """The file of a study: a row for every point.

    Every change is one transaction. A process that is killed at any moment, by kill -9 too, leaves all that it had finished;
    what it was at is run again. Several processes may write to one file: of two results of a point the first stays.

    Parameters
    ----------
    path : path
    journal : {"wal", "delete"}
        How SQLite makes changes whole: "wal" is faster; "delete", its rollback journal, also works where the processes that
        write are on several hosts and the file is on a network file system with locks.

    Raises
    ------
    ValueError
        If the file is something else.

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1]}, {"steps": 200})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    ...     with rpu.sweep.Store(folder + "/study.sqlite") as store:
    ...         print(store.count())
    2
    """

    def __init__(self, path: str | os.PathLike[str], journal: str = "wal") -> None:
        mode = choice("wal", "delete")("journal", journal)
        self.path = Path(path)
        if self.path.parent != Path() and not self.path.parent.is_dir():
            raise FileNotFoundError(f"store must be in a folder that exists; got {self.path}")
        self._db = _opened(self.path)
        try:
            known = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if known and self.meta("format") != _FORMAT:
                raise ValueError(f"{self.path} is a database of something else, not of a sweep")
            if known and int(self.meta("version") or 0) > VERSION:
                raise ValueError(f"{self.path} has format version {self.meta('version')}; this rpusim reads up to {VERSION}")
            self._set_journal(mode)
            self._db.execute(f"PRAGMA synchronous={'NORMAL' if mode == 'wal' else 'FULL'}")
            if not known:  # in one step: a file that was begun is one of ours
                with self._change():
                    for statement in _TABLES:
                        self._db.execute(statement)
                    self._set_meta(format=_FORMAT, version=str(VERSION))
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ValueError(f"{self.path} is no file of a sweep: {error}") from None
        except BaseException:
            self._db.close()
            raise

    def _set_journal(self, mode: str) -> None:
        """Change how changes are made whole, where that is another: SQLite does not wait for others then, so wait here."""
        end = time.monotonic() + WAIT_S
        while self._db.execute("PRAGMA journal_mode").fetchone()[0] != mode:
            try:
                self._db.execute(f"PRAGMA journal_mode={mode}")
                return  # some file systems have no other than theirs
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Make changes whole: all of the block, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it where the disk is full
                self._db.execute("ROLLBACK")
            raise

    def meta(self, name: str) -> str | None:
        """Return an entry about the whole study, or None."""
        try:
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        except sqlite3.OperationalError:  # there is no such table
            return None
        return None if row is None else str(row[0])

    def _set_meta(self, **entries: str) -> None:
        if any(self.meta(name) != value for name, value in entries.items()):
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", entries.items())

    def begin(self, study: Study) -> None:
        """Take the points of a study: what is finished of them stays so, and what is not among them is kept aside.

        Raises
        ------
        ValueError
            If the file is of another task.
        """
        own = json.loads(self.meta("study") or "{}")
        if own and own["task"] != study.task.name:
            raise ValueError(f"{self.path} must be of the task {study.task.name!r}; it is of {own['task']!r}")
        if own == study.to_dict() and self.count() == len(study.points()):
            return
        rows = [(p.key, k, json.dumps(p.varied), json.dumps(p.settings), p.seed) for k, p in enumerate(study.points())]
        with self._change():
            self._db.execute("UPDATE points SET place = NULL")
            self._db.executemany(
                "INSERT INTO points (key, place, varied, settings, seed) VALUES (?, ?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET "
                "place = excluded.place, varied = excluded.varied, settings = excluded.settings",
                rows,
            )
            self._set_meta(study=json.dumps(study.to_dict()), design=json.dumps(study.design_keys()))

    def count(self) -> int:
        """Return how many points the study has."""
        return int(self._db.execute("SELECT COUNT(*) FROM points WHERE place IS NOT NULL").fetchone()[0])

    def statuses(self) -> dict[str, str]:
        """Return "waiting", "done" or "failed" by the key of the point, in the order of the study."""
        return dict(self._db.execute("SELECT key, status FROM points WHERE place IS NOT NULL ORDER BY place"))

    def claimed(self) -> set[str]:
        """Return the keys of points that somebody began and nobody has finished."""
        return {key for (key,) in self._db.execute("SELECT key FROM points WHERE claimed IS NOT NULL AND status = 'waiting'")}

    def claim(self, key: str, who: str) -> bool:
        """Say that a point is begun; return whether nobody had said so before."""
        cursor = self._db.execute("UPDATE points SET claimed = ? WHERE key = ? AND claimed IS NULL", (who, key))
        return cursor.rowcount == 1

    def is_finished(self, key: str) -> bool:
        """Return whether a point is done, or has failed."""
        row = self._db.execute("SELECT status FROM points WHERE key = ?", (key,)).fetchone()
        return row is not None and row[0] != "waiting"

    def finish(self, key: str, results: dict[str, Any] | None, traceback: str | None, **about: Any) -> bool:
        """Keep what a point gave: results or, where it failed, the traceback. The first to do so counts.

        Parameters
        ----------
        key : str
        results : dict or None
        traceback : str or None
        **about
            seconds, host, versions, code, finished.

        Returns
        -------
        bool
            Whether it was the first.
        """
        unknown = set(about) - set(COLUMNS)
        if unknown:
            raise TypeError(f"finish takes {', '.join(COLUMNS)} beside results; got {shown(sorted(unknown))}")
        names = [name for name in COLUMNS if name in about]
        cursor = self._db.execute(
            f"UPDATE points SET status = ?, results = ?, traceback = ?{''.join(f', {n} = ?' for n in names)} "
            "WHERE key = ? AND status = 'waiting'",
            (
                "done" if traceback is None else "failed", None if results is None else json.dumps(results), traceback,
                *(json.dumps(about[name]) for name in names), key,
            ),
        )  # fmt: skip
        return cursor.rowcount == 1

    def retry(self) -> int:
        """Let all points that failed wait again; return how many."""
        return self._db.execute(
            "UPDATE points SET status = 'waiting', claimed = NULL, traceback = NULL WHERE status = 'failed'"
        ).rowcount

    def rows(self) -> Iterable[dict[str, Any]]:
        """Return a dict for every point of the study, in its order."""
        names = ("key", "varied", "settings", "seed", "status", "results", "traceback", *COLUMNS)
        found = self._db.execute(f"SELECT {', '.join(names)} FROM points WHERE place IS NOT NULL ORDER BY place")
        for row in found:
            out = dict(zip(names, row, strict=True))
            for name in ("varied", "settings", "results", *COLUMNS):
                out[name] = None if out[name] is None else json.loads(out[name])
            yield out
