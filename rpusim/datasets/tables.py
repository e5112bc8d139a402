"""Tables of numbers from the UCI repository."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import choice, integer_value
from rpusim.datasets.collection import Collection, Dataset, cache_folder

__all__ = ["Table", "uci", "uci_regression"]

_MOST = 1 << 27  # bytes of a file, unpacked
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/"
_REGRESSION = "https://github.com/treforevans/uci_datasets"


class Table(NamedTuple):
    """Samples of a table, as they are in its file.

    Attributes
    ----------
    x : float64 array (n, features)
    y : int64 array (n,)
        Classes.
    classes : tuple of str
        Names of the classes, as in the file, in order of their numbers.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> table = rpu.datasets.Table(np.zeros((3, 2)), np.array([0, 1, 0]), ("g", "h"))
    >>> [table.classes[y] for y in table.y]
    ['g', 'h', 'g']
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    classes: tuple[str, ...]


class _Kind(NamedTuple):
    """A file: where it comes from, what shape it has, and how it is read."""

    collection: Collection
    shape: tuple[int, int]
    read: Callable[[str], tuple[list[list[str]], list[str]]]


def _rows(text: str, separator: str | None, first: bool) -> tuple[list[list[str]], list[str]]:
    rows = [line.split(separator) for line in text.splitlines() if line.strip()]
    if first:
        return [row[1:] for row in rows], [row[0] for row in rows]
    return [row[:-1] for row in rows], [row[-1] for row in rows]


def _collection(title: str, name: str, md5: str, place: str) -> Collection:
    return Collection(title, "uci", {name: md5}, (_UCI,), {name: place})


_KINDS = {
    "magic": _Kind(
        _collection("MAGIC gamma telescope", "magic04.data", "bb3888bd588c4b15b24351218f74491e", "magic/magic04.data"),
        (19020, 10),
        lambda text: _rows(text, ",", False),
    ),
    "letter": _Kind(
        _collection(
            "letter recognition",
            "letter-recognition.data",
            "6a2d740def5d13ea6096272546f6d41e",
            "letter-recognition/letter-recognition.data",
        ),
        (20000, 16),
        lambda text: _rows(text, ",", True),
    ),
    "skin": _Kind(
        _collection(
            "skin segmentation", "Skin_NonSkin.txt", "90ca8d018fbc952590c7066787c56d34", "00229/Skin_NonSkin.txt"
        ),
        (245057, 3),
        lambda text: _rows(text, None, False),
    ),
    "eeg": _Kind(
        _collection(
            "EEG eye state", "EEG_Eye_State.arff", "725ecc239db27ee88f673702991cf5f0", "00264/EEG%20Eye%20State.arff"
        ),
        (14980, 14),
        lambda text: _rows(text[re.search(r"(?i)@data\s*", text).end() :], ",", False),  # type: ignore[union-attr]
    ),
}  # fmt: skip
_is_name = choice(*_KINDS)


def uci(name: str) -> Table:
    """Return a table of the UCI repository: "magic", "letter", "skin" or "eeg".

    Samples and features: "magic" 19,020 and 10 (gamma or hadron), "letter" 20,000 and 16 (26 letters), "skin" 245,057 and 3
    (skin or not), "eeg" 14,980 and 14 (eyes open or closed). They are looked for as `mnist` is, in folders named ``uci``, also
    packed by gzip, and downloaded from the repository, whose checksums are known.

    Parameters
    ----------
    name : {"magic", "letter", "skin", "eeg"}

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError
        If the file is not here and cannot be downloaded.
    ValueError
        If it is not the file of the repository.

    Notes
    -----
    Dua and Graff, UCI machine learning repository (CC BY 4.0).

    Examples
    --------
    >>> uci("magic").x.shape  # doctest: +SKIP
    (19020, 10)
    """
    kind = _KINDS[_is_name("name", name)]
    source, data = _content(kind.collection)
    _verified(source, data, next(iter(kind.collection.files.values())))
    rows, labels = kind.read(data.decode("ascii", "replace"))
    classes, y = np.unique(labels, return_inverse=True)
    return Table(np.array(rows, np.float64).reshape(kind.shape), y.astype(np.int64), tuple(str(one) for one in classes))


def _content(collection: Collection) -> tuple[Path, bytes]:
    """Where a file of one name is, perhaps packed, and what is in it."""
    (name,) = collection.files
    root = os.environ.get("RPUSIM_DATA")
    for folder in ([Path(root) / collection.folder] if root else []) + [cache_folder(collection.folder)]:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path, unpacked(path)
    path = collection.find(None) / name
    return path, unpacked(path)


def unpacked(path: Path) -> bytes:
    """Return what is in a file, which may be packed by gzip, in bounded memory."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            data: bytes = file.read(_MOST + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if len(data) > _MOST:
        raise ValueError(f"{path} must be a table of at most {_MOST} bytes; it has more")
    return data


def _verified(source: Path, data: bytes, md5: str) -> None:
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"{source} must have the MD5 {md5}, as its original has; got {found}")


def uci_regression(name: str, fold: int = 0) -> Dataset:
    """Return a table for regression with one of its ten fixed splits, as benchmarks of Gaussian processes use them.

    Looked for in ``uci/uci_regression/NAME`` of the folder that RPUSIM_DATA names, or of the cache, as ``data.csv.gz`` (the
    last column is the target) and ``test_mask.csv.gz`` (a column for each fold); not downloaded: their source is one large
    archive.

    Parameters
    ----------
    name : str
        Of the folder: "yacht", "concrete", "energy", "kin40k", ...
    fold : int, default 0
        From 0 to 9.

    Returns
    -------
    Dataset
        `y_train` and `y_test` are float32 targets here.

    Raises
    ------
    FileNotFoundError
        If there is no such table.

    Notes
    -----
    github.com/treforevans/uci_datasets.

    Examples
    --------
    >>> uci_regression("yacht", fold=0).x_train.shape[1]  # doctest: +SKIP
    6
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+", name):
        raise ValueError(f"name must be that of a folder, of small letters and digits; got {name!r}")
    k = integer_value("fold", fold, 0, 9)
    root = os.environ.get("RPUSIM_DATA")
    folders = [Path(one) / "uci_regression" for one in ([Path(root) / "uci"] if root else []) + [cache_folder("uci")]]
    for folder in folders:
        paths = [folder / name / file for file in ("data.csv.gz", "test_mask.csv.gz")]
        if all(path.is_file() for path in paths):
            return _split(paths[0], paths[1], k)
    known = sorted(path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir())
    raise FileNotFoundError(
        f"name must be a table with data.csv.gz and test_mask.csv.gz in {' or '.join(map(str, folders))} (from {_REGRESSION})"
        f"{', one of ' + ', '.join(known) if known else ''}; got {name!r}"
    )


def _split(data: Path, mask: Path, fold: int) -> Dataset:
    tables: list[Any] = []
    for path in (data, mask):
        try:
            tables.append(np.atleast_2d(np.loadtxt(unpacked(path).decode("ascii", "replace").splitlines(), delimiter=",")))
        except ValueError as error:
            raise ValueError(f"{path} must be a table of numbers: {error}") from error
    table, folds = tables
    if len(table) != len(folds) or folds.shape[1] <= fold or table.shape[1] < 2:
        raise ValueError(f"{mask} must have a column for fold {fold}, and the rows of {data}; got shape {folds.shape}")
    test = folds[:, fold] > 0.5
    x, y = table[:, :-1].astype(np.float32), table[:, -1].astype(np.float32)
    return Dataset(x[~test], y[~test], x[test], y[test])
