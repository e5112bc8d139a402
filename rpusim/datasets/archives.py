"""Files of folders and of tar archives, read in bounded memory and never unpacked to disk."""

from __future__ import annotations

import functools
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Limits", "members"]

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
                        contents[Path(member.name).name] = file.read()
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
