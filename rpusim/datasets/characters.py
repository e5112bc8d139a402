"""Characters of many alphabets, each drawn by twenty people."""

from __future__ import annotations

import os
import re
import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import choice, integer_value
from rpusim.datasets.archives import Limits, entries, find_source
from rpusim.datasets.collection import Collection

__all__ = ["Omniglot", "omniglot"]

SIZE = 105
_LIMITS = Limits("characters", 1 << 16, 1 << 27)
_NAME = re.compile(r"(?:.*/)?([^/]+)/character(\d\d)/\d{4}_(\d\d)\.png")
_SOURCE = "https://github.com/brendenlake/omniglot"
_MIRROR = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
_PARTS = {
    "background": ("images_background", "68d2efa1b9178cc56df9314c21c6e718"),
    "evaluation": ("images_evaluation", "6b91aef0f799c5bb55b94e3f2daec811"),
    "small1": ("images_background_small1", "e704a628b5459e08445c13499850abc4"),
    "small2": ("images_background_small2", "b75a71a51d3b13f821f212756fe481fd"),
}
_is_part = choice(*_PARTS)


class Omniglot(NamedTuple):
    """Characters of some alphabets.

    Attributes
    ----------
    images : float32 array (characters, drawings, size, size)
        1 where there is ink.
    alphabets : int64 array (characters,)
        Place of the alphabet of each character in `names`.
    names : tuple of str

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> data = rpu.datasets.Omniglot(np.zeros((5, 20, 35, 35), np.float32), np.zeros(5, np.int64), ("Greek",))
    >>> data.images.shape
    (5, 20, 35, 35)
    """

    images: NDArray[np.float32]
    alphabets: NDArray[np.int64]
    names: tuple[str, ...]


def omniglot(part: str = "evaluation", *, size: int = SIZE, path: str | os.PathLike[str] | None = None) -> Omniglot:
    """Return characters of Omniglot, 20 drawings of each: "evaluation" (659 characters of 20 alphabets), "background" (964 of
    30), or the small background sets "small1" and "small2" (of 5 each).

    Looked for in `path`, a folder or an archive, or else as a folder, zip or tar archive ``images_evaluation`` (and so on) in
    ``$RPUSIM_DATA/omniglot`` and the cache; zips are downloaded from github.com/brendenlake/omniglot (MIT), whose checksums are
    known.

    Parameters
    ----------
    part : {"evaluation", "background", "small1", "small2"}
    size : int, default 105
        Of the images; smaller ones are means of blocks, so it must divide 105: 35, 21, 15, ...
    path : str or path-like, optional

    Returns
    -------
    Omniglot

    Raises
    ------
    FileNotFoundError
        If it is neither here nor can be downloaded.
    ValueError
        If a file is damaged, or `size` does not divide 105.

    Notes
    -----
    Lake, Salakhutdinov and Tenenbaum (2015).

    Examples
    --------
    >>> data = omniglot("evaluation", size=21)  # doctest: +SKIP
    >>> data.images.shape  # doctest: +SKIP
    (659, 20, 21, 21)
    """
    stem, md5 = _PARTS[_is_part("part", part)]
    if SIZE % integer_value("size", size, 1, SIZE):
        raise ValueError(f"size must divide {SIZE}; got {size}")
    try:
        source = find_source(path, "omniglot", (stem, f"{stem}.zip", f"{stem}.tar.xz", f"{stem}.tar.gz"), "characters", _SOURCE)
    except FileNotFoundError:
        if path is not None:
            raise
        source = Collection("Omniglot", "omniglot", {f"{stem}.zip": md5}, (_MIRROR,)).find(None) / f"{stem}.zip"
    found: dict[tuple[str, int], dict[int, NDArray[np.float32]]] = {}
    for name, read in entries(source, _LIMITS, lambda member: _NAME.fullmatch(member) is not None).items():
        parts = _NAME.fullmatch(name)
        assert parts is not None
        ink = 1.0 - _picture(f"{source}: {name}", read())
        block = SIZE // size
        small = ink.reshape(size, block, size, block).mean(axis=(1, 3))
        found.setdefault((parts[1], int(parts[2])), {})[int(parts[3])] = small.astype(np.float32)
    counts = {len(drawings) for drawings in found.values()}
    if len(counts) != 1:
        raise ValueError(f"{source} must hold as many drawings of every character; got {sorted(counts) or 'none'}")
    keys = sorted(found)
    names = tuple(sorted({alphabet for alphabet, _ in keys}))
    images = np.stack([np.stack([found[key][k] for k in sorted(found[key])]) for key in keys])
    return Omniglot(images, np.array([names.index(alphabet) for alphabet, _ in keys], np.int64), names)


def _picture(name: str, data: bytes) -> NDArray[np.float64]:
    """Pixels of a PNG file of one bit, 105 x 105."""
    chunks, place, packed = {}, 8, b""
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        if kind == b"IDAT":
            packed += body
        chunks[kind] = body
        place += 12 + length
    if data[:8] != b"\x89PNG\r\n\x1a\n" or chunks.get(b"IHDR") != struct.pack(">IIBBBBB", SIZE, SIZE, 1, 0, 0, 0, 0):
        raise ValueError(f"{name} must be a PNG file of {SIZE} x {SIZE} pixels of one bit in grey, not interlaced")
    width = (SIZE + 7) // 8
    try:
        unpack = zlib.decompressobj()
        raw = np.frombuffer(unpack.decompress(packed, (width + 1) * SIZE), np.uint8)
    except zlib.error as error:
        raise ValueError(f"{name} is damaged: {error}") from error
    if len(raw) != (width + 1) * SIZE:
        raise ValueError(f"{name} is truncated: it has {len(raw)} of {(width + 1) * SIZE} bytes")
    lines = raw.reshape(SIZE, width + 1)
    rows = np.zeros((SIZE + 1, width + 1), np.uint8)  # with what is before the first line and the first byte
    for k, line in enumerate(lines):
        rows[k + 1, 1:] = line[1:] if line[0] == 0 else _unfiltered(name, int(line[0]), line[1:], rows[k])
    return np.unpackbits(rows[1:, 1:], axis=1)[:, :SIZE].astype(np.float64)


def _unfiltered(name: str, kind: int, line: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A line of a PNG file from its differences to what is left, above and above left."""
    out = [0]
    for k, value in enumerate(line.tolist()):
        left, up, corner = out[-1], int(above[k + 1]), int(above[k])
        guess = left + up - corner
        nearest = min((abs(guess - one), rank, one) for rank, one in enumerate((left, up, corner)))[2]
        if kind not in (1, 2, 3, 4):
            raise ValueError(f"{name} is damaged: it has a line with the filter {kind}")
        out.append((value + (left, up, (left + up) // 2, nearest)[kind - 1]) % 256)
    return np.array(out[1:], np.uint8)
