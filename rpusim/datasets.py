"""Datasets: MNIST, found on disk or downloaded once, and the IDX files that it comes in."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import math
import os
import urllib.request
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from rpusim.checkpoint import atomic_file

__all__ = ["Dataset", "mnist", "read_idx"]

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


class Dataset(NamedTuple):
    """Training and test samples with their labels.

    Attributes
    ----------
    x_train, x_test : ndarray of float32, shape (n, features)
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
    name = os.fspath(path)
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name} is a truncated or damaged gzip file: {error}") from error
    # NumPy has at most 64 dimensions.
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_DTYPES or data[3] > 64:
        raise ValueError(
            f"{name} is no IDX file: it must begin with 00 00, one of the types 08 09 0b 0c 0d 0e and the number of "
            f"dimensions; it begins with {data[:4].hex(' ') or 'nothing'}"
        )
    dtype = np.dtype(_IDX_DTYPES[data[2]])
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"{name} is truncated: its header has {start} bytes; the file has {len(data)}")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", count=data[3], offset=4))
    wanted = start + dtype.itemsize * math.prod(shape)
    if len(data) != wanted:
        what = "truncated" if len(data) < wanted else "too long"
        raise ValueError(f"{name} is {what}: shape {shape} of {dtype.name} needs {wanted} bytes; it has {len(data)}")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Return MNIST: 60000 training and 10000 test images of handwritten digits.

    The four files `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`, `t10k-images-idx3-ubyte.gz` and
    `t10k-labels-idx1-ubyte.gz` are looked for in `data_dir` if it is given, and nowhere else then. Otherwise in
    `$RPUSIM_DATA/mnist`, then in `$XDG_CACHE_HOME/rpusim/mnist` (`~/.cache/rpusim/mnist`); what is still missing is
    downloaded to the latter (11 MB, checked by MD5).

    Parameters
    ----------
    data_dir : str or path-like, optional
        A folder that holds the four files.

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
    folder = _mnist_folder(data_dir)
    images, labels, test_images, test_labels = (folder / name for name in _MNIST_MD5)
    return Dataset(
        _read_images(images, 60000), _read_labels(labels, 60000),
        _read_images(test_images, 10000), _read_labels(test_labels, 10000),
    )  # fmt: skip


def _mnist_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """Return a folder with all four files, downloading them if need be."""
    if data_dir is not None:
        missing = _missing(Path(data_dir))
        if missing:
            raise FileNotFoundError(f"data_dir must hold the MNIST files; {data_dir} lacks {', '.join(missing)}")
        return Path(data_dir)
    root = os.environ.get("RPUSIM_DATA")
    if root and not _missing(Path(root) / "mnist"):
        return Path(root) / "mnist"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rpusim" / "mnist"
    for name in _missing(cache):
        _download(name, cache)
    return cache


def _missing(folder: Path) -> list[str]:
    return [name for name in _MNIST_MD5 if not (folder / name).is_file()]


def _download(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in _MNIST_MIRRORS:
        try:
            with urllib.request.urlopen(mirror + name, timeout=30) as response, atomic_file(folder / name) as file:
                digest = hashlib.md5(usedforsecurity=False)
                total = getattr(response, "length", None)
                with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=None) as bar:
                    while block := response.read(1 << 16):
                        file.write(block)
                        digest.update(block)
                        bar.update(len(block))
                if digest.hexdigest() != _MNIST_MD5[name]:
                    raise OSError(f"its MD5 is {digest.hexdigest()}, not {_MNIST_MD5[name]}")
            return
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{mirror}{name}: {error}")
    raise FileNotFoundError(
        "MNIST is not on this computer and could not be downloaded.\n  " + "\n  ".join(failures) + "\n"
        f"Put the files {', '.join(_MNIST_MD5)} into {folder}, or into a folder named mnist and set the environment "
        "variable RPUSIM_DATA to the folder that holds it."
    )


def _read_images(path: Path, count: int) -> np.ndarray:
    images = read_idx(path)
    if images.dtype != np.uint8 or images.shape != (count, 28, 28):
        raise ValueError(f"{path} must hold uint8 images of shape ({count}, 28, 28); got {images.dtype} {images.shape}")
    return np.divide(images.reshape(count, 784), 255, dtype=np.float32)


def _read_labels(path: Path, count: int) -> np.ndarray:
    labels = read_idx(path)
    if labels.dtype != np.uint8 or labels.shape != (count,):
        raise ValueError(f"{path} must hold uint8 labels of shape ({count},); got {labels.dtype} {labels.shape}")
    if labels.max() > 9:
        raise ValueError(f"{path} must hold labels from 0 to 9; got {labels.max()}")
    return labels.astype(np.int64)
