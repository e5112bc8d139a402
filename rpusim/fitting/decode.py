"""From the bytes of a file to its text: encodings, and what is no text."""

from __future__ import annotations

import codecs
from pathlib import Path

from rpusim._base.validation import shown

__all__ = []

#: larger files are no sheets of ramps, and reading them takes minutes
LARGEST_FILE = 500_000_000

#: first bytes of what is no text, and what to do with it
_BINARY = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old form (.xls): save the sheet as .xlsx or CSV"),
    (b"\x93NUMPY", "a NumPy array: give numpy.load of it to fit"),
    (b"\x89HDF", "an HDF5 (or MATLAB 7.3) file: save the columns as CSV"),
    (b"MATLAB 5.0", "a MATLAB file: save the columns as CSV"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"%PDF", "a PDF document: save the columns as CSV"),
    (b"CPY", "an Origin project: export the sheet as ASCII"),
)

#: marks at the beginning of a text; those of four bytes before those of two, which they begin with
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def bytes_of(path: Path) -> bytes:
    """The content of a file."""
    if path.is_dir():
        raise ValueError(f"{path}: must be a file with ramps; got a folder")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path}: must be smaller than {LARGEST_FILE:,} bytes; got {path.stat().st_size:,}")
    return path.read_bytes()


def text_of(path: Path, raw: bytes, encoding: str | None) -> tuple[str, list[str]]:
    """The text in `raw`, and what was guessed."""
    if encoding is not None:
        try:
            return codecs.decode(raw, encoding), []
        except (LookupError, TypeError):
            raise ValueError(f"encoding must be the name of one, such as 'utf-8' or 'cp1252'; got {shown(encoding)}") from None
        except ValueError as error:
            reason = getattr(error, "reason", "")
            raise ValueError(f"{path}: not a text in {encoding:.40} ({reason} at byte {getattr(error, 'start', 0)})") from None
    for first, what in _BINARY:
        if raw.startswith(first):
            raise ValueError(f"{path}: must be a text file or a workbook; got {what}")
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return _decoded(path, raw, name), []
    if b"\0" in raw:
        return _without_mark(path, raw)
    try:
        return raw.decode("utf-8"), []
    except UnicodeDecodeError as error:
        control = sum(byte < 32 and byte not in b"\t\n\r\f\v\x1a" for byte in raw[:4096])
        if control:
            raise ValueError(f"{path}: must be a text file or a workbook; got other bytes (at {error.start})") from None
    try:
        return raw.decode("cp1252"), [f"{path.name}: read as Windows text (cp1252), as it is no UTF-8"]
    except UnicodeDecodeError:
        return raw.decode("latin-1"), [f"{path.name}: read as Latin-1 text, as it is neither UTF-8 nor cp1252"]


def _decoded(path: Path, raw: bytes, name: str) -> str:
    try:
        return raw.decode(name)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text in {name} ({error.reason} at byte {error.start})") from None


def _without_mark(path: Path, raw: bytes) -> tuple[str, list[str]]:
    """Text in UTF-16 without its mark: every other byte is 0."""
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(raw) % 2 == 0 and raw[first::2].count(0) > 0.6 * (len(raw) // 2):
            return _decoded(path, raw, name), [f"{path.name}: read as {name.upper()}, by its bytes of 0"]
    raise ValueError(f"{path}: must be a text file or a workbook; got bytes of 0 (at {raw.index(0)})")
