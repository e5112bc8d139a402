"""IDX files, the format of MNIST and its relatives."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from typing import Any

import numpy as np

__all__ = ["expected_idx", "read_idx"]

MOST_PACKED = 1100  # bytes that one byte of gzip can become: 1032, and a little
_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an IDX file, the format of MNIST and its relatives, gzip-compressed or not.

    Parameters
    ----------
    path : str or path-like
        The file. Compression is recognised by content, not by name.

    Returns
    -------
    ndarray
        Shape and type as the header says (uint8, int8, int16, int32, float32 or float64), in native byte order.

    Raises
    ------
    ValueError
        If the file is no IDX file, or is truncated, damaged, or longer than its header says.
    OSError
        If the file does not exist or cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))  # three bytes: 7, 2 and 1
    >>> read_idx(path).tolist()
    [7, 2, 1]
    """
    return expected_idx(path)


def expected_idx(path: str | os.PathLike[str], expected: tuple[int, ...] | None = None) -> np.ndarray:
    """As `read_idx`; where bytes of the shape `expected` must be there, what promises others is not read."""
    name = os.fspath(path)
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        size = os.fstat(raw.fileno()).st_size
        try:
            if packed:
                return _idx_array(name, gzip.GzipFile(fileobj=raw), size * MOST_PACKED, expected)
            return _idx_array(name, raw, size, expected)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name} is a truncated or damaged gzip file: {error}") from error


def _idx_array(name: str, file: Any, most: int, expected: tuple[int, ...] | None) -> np.ndarray:
    """Read the array of an open IDX file, which has at most so many bytes."""
    head = _at_most(file, 4)
    # NumPy has at most 64 dimensions.
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_DTYPES or head[3] > 64:
        raise ValueError(
            f"{name} is no IDX file: it must begin with 00 00, one of the types 08 09 0b 0c 0d 0e and the number of "
            f"dimensions; it begins with {head.hex(' ') or 'nothing'}"
        )
    dtype = np.dtype(_IDX_DTYPES[head[2]])
    sizes = _at_most(file, 4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise ValueError(f"{name} is truncated: its header has {4 + 4 * head[3]} bytes; the file has {4 + len(sizes)}")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    if expected is not None and (dtype != np.uint8 or shape != expected):
        what = "labels" if len(expected) == 1 else "images"
        raise ValueError(f"{name} must hold uint8 {what} of shape {expected}; got {dtype.name} {shape}")
    file_is_plain = not isinstance(file, gzip.GzipFile)
    start, wanted = 4 + 4 * head[3], dtype.itemsize * math.prod(shape)
    says = f"shape {shape} of {dtype.name} needs {start + wanted} bytes"
    if start + wanted > most:
        raise ValueError(f"{name} is truncated: {says}; it has {most}{'' if file_is_plain else ' at most'}")
    data = _at_most(file, wanted + 1)
    if len(data) < wanted:
        raise ValueError(f"{name} is truncated: {says}; it has {start + len(data)}")
    if len(data) > wanted:
        raise ValueError(f"{name} is too long: {says}; it has {most if file_is_plain else 'more'}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _at_most(file: Any, count: int) -> bytes:
    """Return the next bytes of a file, up to `count`; memory is taken for those that are there."""
    parts = []
    while count > 0 and (part := file.read(min(count, 1 << 20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
