"""Electromyograms of gestures."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.datasets.archives import Limits, entries, find_source

__all__ = ["Electromyogram", "emg"]

RATE = 200  # samples in a second
CHANNELS, GESTURES = 8, 8
_LIMITS = Limits("electromyograms", 1 << 22, 1 << 27)
_NAME = re.compile(r"(?:.*/)?(\d{5})-(\d)/([0-7])\.txt")
_SOURCE = "https://github.com/aljazfrancic/myo-readings-dataset"
_FILES = ("_readings_right_hand", "curated_sessions.tar.xz", "curated_sessions.tar.gz")


class Electromyogram(NamedTuple):
    """One session of one person.

    Attributes
    ----------
    person, session : int
    x : list of int8 array (samples, 8)
        Of each of the eight gestures: what its file has of it, in order of time, 200 samples in a second.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> session = rpu.datasets.Electromyogram(person=0, session=1, x=[np.zeros((200, 8), np.int8)] * 8)
    >>> len(session.x), session.x[0].shape
    (8, (200, 8))
    """

    person: int
    session: int
    x: list[NDArray[np.int8]]


def emg(path: str | os.PathLike[str] | None = None) -> list[Electromyogram]:
    """Return electromyograms of eight gestures of the wrist: 8 channels around the arm, five people, three sessions each.

    A file has a minute of one gesture, in turns of five seconds with rest, which is left out (gesture 0 is rest). Looked for in
    `path`, a folder or an archive, or else as ``_readings_right_hand`` or ``curated_sessions.tar.xz`` in
    ``$RPUSIM_DATA/emg_myo`` and the cache; not downloaded: it is the folder ``_readings_right_hand`` of
    github.com/aljazfrancic/myo-readings-dataset (MIT), of the sessions in its ``curated.txt``.

    Parameters
    ----------
    path : str or path-like, optional

    Returns
    -------
    list of Electromyogram
        In order of people and sessions.

    Raises
    ------
    FileNotFoundError
        If they are not there.
    ValueError
        If a file is damaged.

    Examples
    --------
    >>> sessions = emg()  # doctest: +SKIP
    >>> len(sessions), len(sessions[0].x)  # doctest: +SKIP
    (15, 8)
    """
    source = find_source(path, "emg_myo", _FILES, "electromyograms", _SOURCE)
    found: dict[tuple[int, int], dict[int, NDArray[np.int8]]] = {}
    for name, read in entries(source, _LIMITS, lambda member: _NAME.fullmatch(member) is not None).items():
        parts = _NAME.fullmatch(name)
        assert parts is not None
        person, session, gesture = map(int, parts.groups())
        try:
            table = np.loadtxt(read().decode("ascii").splitlines(), delimiter=",", dtype=np.int16, ndmin=2)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{source}: {name} must be a table of integers: {error}") from error
        if table.shape[1] != CHANNELS + 1 or np.abs(table[:, :-1] + 0.5).max(initial=0) > 128:
            raise ValueError(f"{source}: {name} must have {CHANNELS} channels of 8 bits and a label; got shape {table.shape}")
        found.setdefault((person, session), {})[gesture] = table[table[:, -1] == gesture, :-1].astype(np.int8)
    lacking = [f"{person}-{session}" for (person, session), files in found.items() if len(files) < GESTURES]
    if not found or lacking:
        raise ValueError(f"{source} must hold sessions with files 0.txt to 7.txt; got {len(found)}, not whole: {lacking[:5]}")
    return [Electromyogram(*key, [files[k] for k in range(GESTURES)]) for key, files in sorted(found.items())]
