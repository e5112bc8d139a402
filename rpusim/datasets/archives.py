"""Files of folders and of tar and zip archives, read in bounded memory and never unpacked to disk."""

from __future__ import annotations

import functools
import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rpusim._base.validation import shown
from rpusim.datasets.collection import cache_folder

__all__ = ["Limits", "entries", "find_source", "members"]

_PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


class Limits(NamedTuple):
    """Sizes, in bytes, beyond which files are refused: those of a data set have less."""

    title: str
    of_file: int
    of_all: int

    def check(self, name: str, size: int) -> None:
        """Refuse a file that is too large."""
        if size > self.of_file:
            raise ValueError(f"{name} must be a file of {self.title}, of at most {self.of_file} bytes; got {size}")


def members(source: Path, limits: Limits, wanted: Callable[[str], bool]) -> dict[str, Callable[[], bytes]]:
    """Return how to read the files of a folder, or those of a tar archive that are wanted, by their names without folders."""
    if source.is_dir():
        return {path.name: functools.partial(_content, path, limits) for path in source.iterdir() if path.is_file()}
    return {Path(name).name: read for name, read in _of_tar(source, limits, wanted).items()}


def entries(source: Path, limits: Limits, wanted: Callable[[str], bool]) -> dict[str, Callable[[], bytes]]:
    """Return how to read the files that are wanted of a folder and those in it, or of a zip or tar archive, by their paths."""
    if source.is_dir():
        found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()}
        return {name: functools.partial(_content, path, limits) for name, path in found.items() if wanted(name)}
    if source.suffix != ".zip":
        return _of_tar(source, limits, wanted)
    contents, total = {}, 0
    try:
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                if not member.is_dir() and wanted(member.filename):
                    limits.check(f"{source}: {member.filename:.100}", member.file_size)
                    total += member.file_size
                    if total > limits.of_all:
                        raise ValueError(
                            f"path must be an archive of {limits.title}, of at most {limits.of_all} bytes unpacked; got more"
                        )
                    contents[member.filename] = archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{source} is no zip archive, or is damaged: {error}") from error
    return {name: functools.partial(bytes, data) for name, data in contents.items()}


def find_source(path: str | os.PathLike[str] | None, folder: str, names: tuple[str, ...], title: str, origin: str) -> Path:
    """Return the folder or archive of a data set: `path` if it is given, else the first of some names that there is.

    It is looked for in a folder of what RPUSIM_DATA names, and then of the cache.
    """
    if path is not None:
        if not Path(path).exists():
            raise FileNotFoundError(f"path must be a folder or an archive of the {title}, from {origin}; got {shown(path)}")
        return Path(path)
    root = os.environ.get("RPUSIM_DATA")
    places = ([Path(root) / folder] if root else []) + [cache_folder(folder)]
    for place in places:
        for name in names:
            if (place / name).exists():
                return place / name
    raise FileNotFoundError(
        f"the {title} are not on this computer: there is none of {', '.join(names)} in {' or '.join(map(str, places))}.\nPut "
        f"one of them (from {origin}) into {places[-1]}, or into a folder named {folder} and set the environment variable "
        "RPUSIM_DATA to the folder that holds it."
    )


def _of_tar(source: Path, limits: Limits, wanted: Callable[[str], bool]) -> dict[str, Callable[[], bytes]]:
    contents = {}
    try:
        with open(source, "rb") as raw:
            head = raw.read(6)
            raw.seek(0)
            unpacked = next((opened for start, opened in _PACKED.items() if head.startswith(start)), lambda plain: plain)
            whole: Any = _Bounded(unpacked(raw), limits)
            with tarfile.open(fileobj=whole, mode="r:") as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None and wanted(member.name):
                        limits.check(f"{source}: {member.name:.100}", member.size)
                        contents[member.name] = file.read()
            while whole.read(1 << 20):  # to the checksum at its end, which the archive does not need
                pass
    except (tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, EOFError, zlib.error) as error:
        raise ValueError(f"{source} is no tar archive, or is damaged: {error}") from error
    return {name: functools.partial(bytes, data) for name, data in contents.items()}


def _content(path: Path, limits: Limits) -> bytes:
    limits.check(str(path), path.stat().st_size)
    return path.read_bytes()


class _Bounded:
    """A file that is read no further than some number of bytes."""

    def __init__(self, file: Any, limits: Limits) -> None:
        self._file, self._limits = file, limits
        self.tell = file.tell

    def read(self, count: int = -1) -> bytes:
        data: bytes = self._file.read(count)
        self._check(self._file.tell())
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        if whence == 0:
            self._check(place)
        return int(self._file.seek(place, whence))

    def _check(self, place: int) -> None:
        if place > self._limits.of_all:
            raise ValueError(
                f"path must be an archive of {self._limits.title}, of at most {self._limits.of_all} bytes unpacked; got more"
            )
