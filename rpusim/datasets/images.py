"""Images: MNIST, Fashion-MNIST and CIFAR-10."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from rpusim._base.validation import boolean
from rpusim.datasets.archives import Limits, members
from rpusim.datasets.collection import Collection, Dataset
from rpusim.datasets.idx import expected_idx

__all__ = ["cifar10", "fashion_mnist", "mnist"]

_CIFAR_LIMITS = Limits("CIFAR-10", 1 << 26, 1 << 29)  # its files have 31 MB

_MNIST = Collection(
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
_FASHION = Collection(
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
_CIFAR = Collection(
    "CIFAR-10",
    "cifar-10",
    {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    ("https://www.cs.toronto.edu/~kriz/",),
)


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

    Parameters
    ----------
    data_dir, flatten
        See `mnist`.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> fashion_mnist(flatten=False).x_test.shape  # doctest: +SKIP
    (10000, 1, 28, 28)
    """
    return _idx_images(_FASHION, data_dir, flatten)


def _idx_images(collection: Collection, data_dir: str | os.PathLike[str] | None, flatten: bool) -> Dataset:
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
    files = members(source, _CIFAR_LIMITS, lambda name: "batch" in name)
    images, labels = [], []
    for number in (*range(1, 6), 0):
        name = f"data_batch_{number}" if number else "test_batch"
        if f"{name}.bin" in files:
            raw = np.frombuffer(files[f"{name}.bin"](), np.uint8)
            if raw.size != 10000 * 3073:
                raise ValueError(f"{source}: {name}.bin must have {10000 * 3073} bytes; got {raw.size}")
            raw = raw.reshape(10000, 3073)
            y, x = raw[:, 0], raw[:, 1:]
        elif name in files:
            x, y = _python_batch(f"{source}: {name}", files[name]())
        else:
            found = ", ".join(sorted(files)) or "nothing"
            raise FileNotFoundError(f"path must hold {name}.bin or {name}; {source} has {found}")
        if y.min() < 0 or y.max() > 9:
            raise ValueError(f"{source}: {name} must hold labels from 0 to 9; got {y.min()} to {y.max()}")
        images.append(np.divide(x.reshape(-1, 3, 32, 32), 255, dtype=np.float32))
        labels.append(y.astype(np.int64))
    return Dataset(np.concatenate(images[:5]), np.concatenate(labels[:5]), images[5], labels[5])


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


def _read_images(path: Path, count: int) -> np.ndarray:
    images = expected_idx(path, (count, 28, 28))
    return np.divide(images.reshape(count, 784), 255, dtype=np.float32)


def _read_labels(path: Path, count: int) -> np.ndarray:
    labels = expected_idx(path, (count,))
    if labels.max() > 9:
        raise ValueError(f"{path} must hold labels from 0 to 9; got {labels.max()}")
    return labels.astype(np.int64)
