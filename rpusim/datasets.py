"""Datasets: images and texts, found on disk or downloaded once, and the formats that they come in."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.client
import io
import math
import os
import pickle
import tarfile
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rpusim._base.checkpoint import atomic_file, remove_leftovers
from rpusim._base.progress import progress_bar
from rpusim._base.validation import boolean, integer_value

__all__ = ["Dataset", "Text", "cifar10", "fashion_mnist", "mnist", "read_idx", "text"]

MOST_PACKED = 1100  # bytes that one byte of gzip can become: 1032, and a little
MOST_OF_BATCH, MOST_OF_CIFAR = 1 << 26, 1 << 29  # bytes of a file of CIFAR-10, which has 31 MB, and of all together
_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class _Collection(NamedTuple):
    """Files of one data set: where they are looked for, and where they come from."""

    title: str
    folder: str
    files: dict[str, str]  # name: MD5
    mirrors: tuple[str, ...]  # to which the name, or its entry in `remote`, is added
    remote: dict[str, str] = {}

    def find(self, data_dir: str | os.PathLike[str] | None) -> Path:
        """Return a folder with all files, downloading them if need be."""
        if data_dir is not None:
            missing = self._missing(Path(data_dir))
            if missing:
                raise FileNotFoundError(f"data_dir must hold the {self.title} files; {data_dir} lacks {', '.join(missing)}")
            return Path(data_dir)
        root = os.environ.get("RPUSIM_DATA")
        if root and not self._missing(Path(root) / self.folder):
            return Path(root) / self.folder
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rpusim" / self.folder
        for name in self.files:
            remove_leftovers(cache / name)
        for name in self._missing(cache):
            self._download(name, cache)
        return cache

    def _missing(self, folder: Path) -> list[str]:
        return [name for name in self.files if not (folder / name).is_file()]

    def _download(self, name: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        failures = []
        for mirror in self.mirrors:
            url = mirror + self.remote.get(name, name)
            try:
                with urllib.request.urlopen(url, timeout=30) as reply, atomic_file(folder / name) as file:
                    digest = hashlib.md5(usedforsecurity=False)
                    total = getattr(reply, "length", None)
                    with progress_bar(total=total, desc=name, unit="B", unit_scale=True, disable=None) as bar:
                        while block := reply.read(1 << 16):
                            file.write(block)
                            digest.update(block)
                            bar.update(len(block))
                    if digest.hexdigest() != self.files[name]:
                        raise OSError(f"its MD5 is {digest.hexdigest()}, not {self.files[name]}")
                return
            except (OSError, http.client.HTTPException) as error:
                failures.append(f"{url}: {error}")
        raise FileNotFoundError(
            f"{self.title} is not on this computer and could not be downloaded.\n  " + "\n  ".join(failures) + "\n"
            f"Put the files {', '.join(self.files)} into {folder}, or into a folder named {self.folder} and set the "
            "environment variable RPUSIM_DATA to the folder that holds it."
        )


_MNIST = _Collection(
    "MNIST",
    "mnist",
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
)
_FASHION = _Collection(
    "Fashion-MNIST",
    "fashion-mnist",
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
)
_CIFAR = _Collection(
    "CIFAR-10",
    "cifar-10",
    {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    ("https://www.cs.toronto.edu/~kriz/",),
)
_TEXTS = {
    "warpeace": _Collection(
        "War and Peace",
        "text",
        {"warpeace_input.txt": "c12bc0d6a5530c4d6878952f5c3d76b9"},
        ("https://cs.stanford.edu/people/karpathy/char-rnn/",),
    ),
    "tinyshakespeare": _Collection(
        "Tiny Shakespeare",
        "text",
        {"tinyshakespeare_input.txt": "6fb458f1232090904fb40fe944165e91"},
        ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/",),
        {"tinyshakespeare_input.txt": "tinyshakespeare/input.txt"},
    ),
}


class Dataset(NamedTuple):
    """Training and test samples with their labels.

    Attributes
    ----------
    x_train, x_test : ndarray of float32, shape (n, features) or (n, channels, height, width)
    y_train, y_test : ndarray of int64, shape (n,)
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def train(self) -> tuple[np.ndarray, np.ndarray]:
        """The pair (x_train, y_train), as `Trainer.fit` takes it."""
        return self.x_train, self.y_train

    @property
    def test(self) -> tuple[np.ndarray, np.ndarray]:
        """The pair (x_test, y_test)."""
        return self.x_test, self.y_test


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
    >>> read_idx("t10k-labels-idx1-ubyte.gz").shape  # doctest: +SKIP
    (10000,)
    """
    return _read_idx(path)


def _read_idx(path: str | os.PathLike[str], expected: tuple[int, ...] | None = None) -> np.ndarray:
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


def mnist(data_dir: str | os.PathLike[str] | None = None, *, flatten: bool = True) -> Dataset:
    """Return MNIST: 60000 training and 10000 test images of handwritten digits.

    The four files `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`, `t10k-images-idx3-ubyte.gz` and
    `t10k-labels-idx1-ubyte.gz` are looked for in `data_dir` if it is given, and nowhere else then. Otherwise in
    `$RPUSIM_DATA/mnist`, then in `$XDG_CACHE_HOME/rpusim/mnist` (`~/.cache/rpusim/mnist`); what is still missing is
    downloaded to the latter (11 MB, checked by MD5).

    Parameters
    ----------
    data_dir : str or path-like, optional
        A folder that holds the four files.
    flatten : bool, default True
        Images as vectors (n, 784); else as (n, 1, 28, 28), for convolutions.

    Returns
    -------
    Dataset
        `x_train` float32 (60000, 784) and `x_test` float32 (10000, 784), brightness in [0, 1] (the byte / 255), rows of
        28 x 28 images flattened; `y_train` and `y_test` int64, digits 0 to 9.

    Raises
    ------
    FileNotFoundError
        If the files are nowhere and cannot be downloaded; the message says where to put them.
    ValueError
        If a file is damaged, or is not the file that its name promises.

    Examples
    --------
    >>> data = mnist()  # doctest: +SKIP
    >>> data.x_train.shape, data.y_test.shape  # doctest: +SKIP
    ((60000, 784), (10000,))
    """
    return _idx_images(_MNIST, data_dir, flatten)


def fashion_mnist(data_dir: str | os.PathLike[str] | None = None, *, flatten: bool = True) -> Dataset:
    """Return Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 60000 training and 10000 test images of ten kinds of clothing.

    As `mnist`, from the folder ``fashion-mnist``; the files have the same names and format.

    Examples
    --------
    >>> fashion_mnist(flatten=False).x_test.shape  # doctest: +SKIP
    (10000, 1, 28, 28)
    """
    return _idx_images(_FASHION, data_dir, flatten)


def _idx_images(collection: _Collection, data_dir: str | os.PathLike[str] | None, flatten: bool) -> Dataset:
    flatten = boolean("flatten", flatten)
    folder = collection.find(data_dir)
    for other in (_MNIST, _FASHION):
        for name in other.files if other is not collection else ():  # alike in all but what is on them
            if hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest() == other.files[name]:
                raise ValueError(f"{folder / name} must be a file of {collection.title}; it is that of {other.title}")
    images, labels, test_images, test_labels = (folder / name for name in collection.files)
    x, x_test = _read_images(images, 60000), _read_images(test_images, 10000)
    if not flatten:
        x, x_test = x.reshape(-1, 1, 28, 28), x_test.reshape(-1, 1, 28, 28)
    return Dataset(x, _read_labels(labels, 60000), x_test, _read_labels(test_labels, 10000))


def cifar10(path: str | os.PathLike[str] | None = None) -> Dataset:
    """Return CIFAR-10 (Krizhevsky, 2009): 50000 training and 10000 test images of ten kinds of things.

    Parameters
    ----------
    path : str or path-like, optional
        ``cifar-10-binary.tar.gz`` or ``cifar-10-python.tar.gz``, or the folder that one of them unpacks to. By default the
        first, looked for as `mnist` does, in folders named ``cifar-10``, else downloaded (170 MB, checked by MD5).

    Returns
    -------
    Dataset
        Images float32 (n, 3, 32, 32), in [0, 1]; labels int64, 0 to 9.

    Raises
    ------
    FileNotFoundError, ValueError
        As `mnist`. Files of the python version are pickles: only the arrays and texts that they should hold are read, and a
        file with anything else is refused.

    Examples
    --------
    >>> cifar10().x_train.shape  # doctest: +SKIP
    (50000, 3, 32, 32)
    """
    source = Path(path) if path is not None else _CIFAR.find(None) / "cifar-10-binary.tar.gz"
    members = _members(source)
    images, labels = [], []
    for number in (*range(1, 6), 0):
        name = f"data_batch_{number}" if number else "test_batch"
        if f"{name}.bin" in members:
            raw = np.frombuffer(members[f"{name}.bin"](), np.uint8)
            if raw.size != 10000 * 3073:
                raise ValueError(f"{source}: {name}.bin must have {10000 * 3073} bytes; got {raw.size}")
            raw = raw.reshape(10000, 3073)
            y, x = raw[:, 0], raw[:, 1:]
        elif name in members:
            x, y = _python_batch(f"{source}: {name}", members[name]())
        else:
            found = ", ".join(sorted(members)) or "nothing"
            raise FileNotFoundError(f"path must hold {name}.bin or {name}; {source} has {found}")
        if y.min() < 0 or y.max() > 9:
            raise ValueError(f"{source}: {name} must hold labels from 0 to 9; got {y.min()} to {y.max()}")
        images.append(np.divide(x.reshape(-1, 3, 32, 32), 255, dtype=np.float32))
        labels.append(y.astype(np.int64))
    return Dataset(np.concatenate(images[:5]), np.concatenate(labels[:5]), images[5], labels[5])


def _members(source: Path) -> dict[str, Callable[[], bytes]]:
    """Return how to read every file of a folder or a tar archive, by its name without folders."""
    if source.is_dir():
        return {path.name: functools.partial(_batch_of, path) for path in source.iterdir() if path.is_file()}
    contents = {}
    try:
        with open(source, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            whole: Any = _Bounded(gzip.GzipFile(fileobj=raw) if packed else raw, MOST_OF_CIFAR)
            with tarfile.open(fileobj=whole) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None and "batch" in member.name:
                        _check_batch_size(f"{source}: {member.name:.100}", member.size)
                        contents[Path(member.name).name] = file.read()
            while whole.read(1 << 20):  # to the checksum at its end, which the archive does not need
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{source} is no tar archive, or is damaged: {error}") from error
    return {name: functools.partial(bytes, data) for name, data in contents.items()}


def _check_batch_size(name: str, size: int) -> None:
    if size > MOST_OF_BATCH:
        raise ValueError(f"{name} must be a file of CIFAR-10, of at most {MOST_OF_BATCH} bytes; got {size}")


def _batch_of(path: Path) -> bytes:
    _check_batch_size(str(path), path.stat().st_size)
    return path.read_bytes()


class _Bounded:
    """A file that is read no further than some number of bytes."""

    def __init__(self, file: Any, most: int) -> None:
        self._file, self._most = file, most
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
        if place > self._most:
            raise ValueError(f"path must be an archive of CIFAR-10, of at most {self._most} bytes unpacked; got more")


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of NumPy arrays, texts, lists and dicts, and refuses all else."""

    _allowed = {
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"),
        ("numpy", "dtype"), ("_codecs", "encode"),
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}")
        if name == "_reconstruct":
            module = "numpy.core.multiarray" if np.lib.NumpyVersion(np.__version__) < "2.0.0" else "numpy._core.multiarray"
        return super().find_class(module, name)


def _python_batch(name: str, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
        x, y = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
    except (
        pickle.UnpicklingError, LookupError, TypeError, EOFError, ValueError, AttributeError, ImportError, MemoryError,
        OverflowError, RecursionError,
    ) as error:  # fmt: skip
        raise ValueError(f"{name} is no batch of CIFAR-10: {error}") from error
    if x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != 3072 or y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold uint8 images (n, 3072) and n labels; got {x.dtype} {x.shape}, {y.shape}")
    return x, y


class Text(NamedTuple):
    """A text as numbers of its characters (bytes).

    Attributes
    ----------
    train, test : ndarray of int64
        Places in the vocabulary.
    vocabulary : bytes
        The distinct bytes, in order.
    """

    train: np.ndarray
    test: np.ndarray
    vocabulary: bytes

    def decode(self, tokens: Any) -> str:
        """Return the text of some tokens; bytes that are no UTF-8 become replacement characters."""
        return bytes(self.vocabulary[int(token)] for token in np.ravel(tokens)).decode("utf-8", "replace")


def text(name: str | os.PathLike[str] = "warpeace", *, test_size: int | None = None) -> Text:
    """Return a text for character models: "warpeace" (3,258,246 bytes, 87 of them distinct), "tinyshakespeare", or a file.

    The two are those of Karpathy's char-rnn (2015), looked for as `mnist` does in folders named ``text``.

    Parameters
    ----------
    name : str or path-like
    test_size : int, optional
        Bytes at the end that are kept for the test; by default 325,000 of "warpeace" (Gokmen et al., 2018), else a tenth.

    Returns
    -------
    Text

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.txt"
    ...     _ = file.write_text("abracadabra")
    ...     data = text(file, test_size=3)
    >>> data.vocabulary, data.train.tolist(), data.decode(data.test)
    (b'abcdr', [0, 1, 4, 0, 2, 0, 3, 0], 'bra')
    """
    if isinstance(name, str) and name in _TEXTS:
        collection = _TEXTS[name]
        file = collection.find(None) / next(iter(collection.files))
    else:
        file = Path(name)
        if not file.is_file():
            raise FileNotFoundError(f"name must be one of {', '.join(map(repr, _TEXTS))}, or a file; got {os.fspath(name)!r}")
    raw = np.frombuffer(file.read_bytes(), np.uint8)
    default = 325_000 if name == "warpeace" else len(raw) // 10
    held = integer_value("test_size", default if test_size is None else test_size, 0, max(len(raw) - 1, 0))
    vocabulary, tokens = np.unique(raw, return_inverse=True)
    tokens = tokens.astype(np.int64)
    return Text(tokens[: len(raw) - held], tokens[len(raw) - held :], bytes(vocabulary))


def _read_images(path: Path, count: int) -> np.ndarray:
    images = _read_idx(path, (count, 28, 28))
    return np.divide(images.reshape(count, 784), 255, dtype=np.float32)


def _read_labels(path: Path, count: int) -> np.ndarray:
    labels = _read_idx(path, (count,))
    if labels.max() > 9:
        raise ValueError(f"{path} must hold labels from 0 to 9; got {labels.max()}")
    return labels.astype(np.int64)
