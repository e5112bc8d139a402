"""Checkpoints: nested dicts of arrays and scalars in one .npz file, without pickle, replaced in one step."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import re
import secrets
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rpusim._base.validation import shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["load", "save"]

FORMAT = "rpusim checkpoint"
VERSION = 1
DEEPEST = 200  # dicts and lists within each other
_TREE = "rpusim.json"  # the zip member with everything but the arrays
# Keys hold no "/", so these two cannot be mistaken for entries of a user's dict.
_ARRAY = "/array"
_SCALAR = "/scalar"
# What zipfile, json and NumPy's format reader raise on a file that is not what it should be (RuntimeError: too deep, too).
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, TypeError, ValueError, RuntimeError, OverflowError,
    SyntaxError, tokenize.TokenError,
)  # fmt: skip
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` in one step when the block ends, and vanishes if the block raises.

    It is written in the same directory, flushed to the disk, then moved. A symbolic link keeps pointing where it does. What
    writers of `path` that were killed have left is removed; this one holds a lock on its file until that is in place.
    """
    target = Path(os.path.realpath(path))
    remove_leftovers(target)
    file, temporary = _temporary_file(target)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                os.replace(temporary, target)  # while it is locked
        if fcntl is None:
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name, too, must survive a power cut
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # some network file systems cannot sync a directory
                os.fsync(directory)
        finally:
            os.close(directory)


# Whether the writer of a temporary file lives is told by a lock (flock) that it holds and the system takes away when it
# dies. A process number in the name would not do: numbers are used again, and other containers and hosts have their own.
# Where a file system has no locks nothing is removed. Where locks do not reach other hosts (NFS mounted with
# local_lock=flock or nolock), a writer there whose file is removed raises, and the old file stays. Windows does not remove
# a file that is open: only between its being closed and moved could another process take it, and then, too, the writer
# raises.


def _temporary_file(target: Path) -> tuple[BinaryIO, Path]:
    """Make a file beside `target`, locked; another where someone who removes leftovers had it before it was locked."""
    while True:
        name = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        file = open(name, "xb")
        if fcntl is None:
            return file, name
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(name)):
                return file, name
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:  # no locks here
            return file, name
        file.close()
        name.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files of writers of `path` that were killed, and of no living ones.

    What cannot be removed (in a folder that may only be read, or of another user) stays.
    """
    target = Path(os.path.realpath(path))
    is_temporary = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.tmp").fullmatch
    try:
        names = [name for name in os.listdir(target.parent) if is_temporary(name)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            _remove_unless_held(target.with_name(name))


def _remove_unless_held(file: Path) -> None:
    if fcntl is None:
        file.unlink()
        return
    # to write, for NFS locks nothing else exclusively; neither through a link nor waiting at a pipe
    descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where its writer lives
        file.unlink()
    finally:
        os.close(descriptor)


def _encode(value: Any, path: str, arrays: dict[str, np.ndarray], depth: int = 0) -> Any:
    """Return `value` as JSON-ready data, its arrays moved to `arrays` under their paths."""
    where = path or "the top level"
    if depth > DEEPEST:
        raise ValueError(f"state: dicts and lists must be at most {DEEPEST} deep; got more at {where:.200}")
    if isinstance(value, dict):
        out = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"state: keys must be text; got {shown(key)} at {where:.200}")
            if not key or not key.isprintable() or "/" in key or "\\" in key:
                raise ValueError(f"state: keys must be printable text without '/' and '\\'; got {shown(key)} at {where:.200}")
            out[key] = _encode(item, f"{path}/{key}" if path else key, arrays, depth + 1)
        return out
    if isinstance(value, list):
        return [_encode(item, f"{path}/{index}", arrays, depth + 1) for index, item in enumerate(value)]
    if type(value) is np.ndarray or isinstance(value, np.generic):
        if value.dtype.hasobject:
            raise TypeError(f"state: arrays must not hold Python objects; got dtype {value.dtype} at {where}")
        arrays[path] = np.asarray(value)
        return {_SCALAR if isinstance(value, np.generic) else _ARRAY: path}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        "state: values must be NumPy arrays, numbers, text, booleans, None, or dicts and lists of these; "
        f"got {type(value).__name__} at {where}"
    )


def _decode(value: Any, archive: zipfile.ZipFile, path: str = "") -> Any:
    if isinstance(value, list):
        return [_decode(item, archive, f"{path}/{index}") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    for kind in (_ARRAY, _SCALAR):
        if kind in value:
            if value[kind] != path:  # one array at many places could need any memory
                raise ValueError(f"{value[kind]!r:.100} is the array at {path!r:.100}, which must have that name")
            array = _read_array(archive, path)
            return array if kind == _ARRAY else array[()]
    return {key: _decode(item, archive, f"{path}/{key}" if path else key) for key, item in value.items()}


def _read_array(archive: zipfile.ZipFile, path: str) -> np.ndarray:
    # The whole member first, so that its CRC is checked before a header is believed; nor is memory asked for on its word.
    data = io.BytesIO(archive.read(path + ".npy"))
    version = np.lib.format.read_magic(data)
    if version in _HEADERS:  # else for structured arrays, where names are not ASCII
        try:
            shape, _, dtype = _HEADERS[version](data)
        except MemoryError as error:  # of Python's parser, where a header is nested
            raise ValueError("a header of an array cannot be read") from error
        claimed, there = math.prod(shape) * dtype.itemsize, len(data.getbuffer()) - data.tell()
        if claimed != there:
            raise ValueError(f"{path!r} claims to have shape {shape} of {dtype}, {claimed} bytes; it has {there}")
    data.seek(0)
    return np.lib.format.read_array(data, allow_pickle=False)


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive that says it has more than the file has: `save` does not compress, so none does by itself."""
    members = archive.infolist()
    packed = next((member.filename for member in members if member.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise ValueError(f"its member {packed!r:.100} is compressed, which save does not do")
    if sum(member.file_size for member in members) > size:
        raise ValueError(f"its members claim to have more bytes than the {size} of the file")


def save(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a nested dict of arrays and scalars to one file.

    The file is a plain .npz: each array is a member named by its keys joined with "/", and `rpusim.json` holds the
    rest, with the name and version of the format. It is written beside `path`, flushed to the disk and moved into
    place, so that a run killed at any moment leaves the old file or the new one, never a part. What a killed run leaves
    beside it, a hidden file, the next `save` or `load` of the same path removes.

    Parameters
    ----------
    path : str or path-like
        The file, written under exactly this name (no suffix is added).
    state : dict
        Keys are printable text without "/" and "\\". Values are NumPy arrays and scalars of any dtype but object,
        int of any size, float, str, bool, None, and dicts and lists of these. All come back with type, dtype and bits
        unchanged.

    Raises
    ------
    TypeError, ValueError
        If a key or a value is not of these; the message names its place. Nothing is written.
    OSError
        If the file cannot be written; an old file stays as it was.

    Examples
    --------
    >>> import tempfile, numpy as np, rpusim as rpu
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rpu.checkpoint.save(folder + "/state.npz", {"weights": np.eye(2, dtype=np.float32), "epoch": 3})
    ...     rpu.checkpoint.load(folder + "/state.npz")["epoch"]
    3
    """
    if not isinstance(state, dict):
        raise TypeError(f"state must be a dict; got {type(state).__name__}")
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps({"format": FORMAT, "version": VERSION, "state": _encode(state, "", arrays)})
    with atomic_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # ZipInfo made by hand carries no time of day: equal states give equal files.
        with archive.open(zipfile.ZipInfo(_TREE), "w") as member:
            member.write(tree.encode())
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the nested dict that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    dict
        As given to `save`; arrays are fresh and writeable.

    Raises
    ------
    ValueError
        If the file is no rpusim checkpoint, is truncated or damaged, or has a newer version than this rpusim reads.
    OSError
        If the file does not exist or cannot be read.

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> array = rpu.CrossbarArray((2, 3), rpu.devices.SoftBounds(), rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rpu.checkpoint.save(folder + "/array.npz", array.state_dict())
    ...     array.load_state_dict(rpu.checkpoint.load(folder + "/array.npz"))
    """
    name = os.fspath(path)
    remove_leftovers(path)
    with open(path, "rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        if not is_zip:
            raise ValueError(f"{name} is no rpusim checkpoint")
        try:
            with zipfile.ZipFile(file) as archive:
                _check_sizes(archive, os.fstat(file.fileno()).st_size)
                tree: Any = json.loads(archive.read(_TREE)) if _TREE in archive.namelist() else None
                known = isinstance(tree, dict) and tree.get("format") == FORMAT
                newer = known and tree["version"] > VERSION
                state = _decode(tree["state"], archive) if known and not newer else {}
        except (*_DAMAGE, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: a seek to a damaged offset
                raise
            raise ValueError(f"{name} is a truncated or damaged checkpoint: {error!s:.300}") from error
    if not known:
        raise ValueError(f"{name} is no rpusim checkpoint, but another zip file")
    if newer:
        raise ValueError(
            f"{name} is a checkpoint of format version {tree['version']}; this rpusim reads versions up to {VERSION}"
        )
    return state
