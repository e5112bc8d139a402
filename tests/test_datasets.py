"""rpusim.datasets: IDX files of every type, finding and downloading MNIST."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from rpusim import datasets

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}


def idx(code: int, array: np.ndarray) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("code", TYPES)
def test_read_idx(tmp_path, code, compressed):
    wanted = (np.arange(24).reshape(2, 3, 4) * 5 - 7).astype(TYPES[code])
    data = idx(code, wanted)
    (tmp_path / "file").write_bytes(gzip.compress(data, mtime=0) if compressed else data)
    array = datasets.read_idx(tmp_path / "file")
    assert array.dtype == np.dtype(TYPES[code]) and array.dtype.isnative
    assert array.flags.writeable and array.flags.c_contiguous
    np.testing.assert_array_equal(array, wanted)


GOOD = idx(0x0B, np.arange(6, dtype=np.int16).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no IDX file.*begins with nothing"),
        (b"\0\0\x0a\x01" + bytes(5), "is no IDX file.*00 00 0a 01"),
        (b"\1\0\x08\x01" + bytes(5), "is no IDX file"),
        (b"\0\0\x08\x41" + bytes(300), "is no IDX file"),
        (GOOD[:7], "is truncated: its header has 12 bytes; the file has 7"),
        (GOOD[:-1], r"is truncated: shape \(2, 3\) of int16 needs 24 bytes; it has 23"),
        (GOOD + b"!", r"is too long: shape \(2, 3\) of int16 needs 24 bytes; it has 25"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "is truncated: shape"),  # 16 EiB: refused, not allocated
        (gzip.compress(GOOD, mtime=0)[:-12], "is a truncated or damaged gzip file"),
        (gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), "is a truncated or damaged gzip file"),
        (b"\x1f\x8b\x08" + bytes(20), "is a truncated or damaged gzip file"),
    ],
)
def test_read_idx_errors(tmp_path, data, message):
    (tmp_path / "bad.gz").write_bytes(data)
    with pytest.raises(ValueError, match=rf"bad\.gz {message}"):
        datasets.read_idx(tmp_path / "bad.gz")


def fake_mnist(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, count in zip(datasets._MNIST_MD5, (60000, 60000, 10000, 10000), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        array = np.full(shape, 255 if "images" in name else 7, np.uint8)
        (folder / name).write_bytes(gzip.compress(idx(0x08, array), compresslevel=1, mtime=0))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No data on disk, and no network."""

    def refuse(url, timeout):
        raise urllib.error.URLError("no network")

    monkeypatch.delenv("RPUSIM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return tmp_path


def test_finding_order(nowhere, monkeypatch):
    for name in ("argument", "variable/mnist", "cache/rpusim/mnist"):
        (nowhere / name).mkdir(parents=True)
        for file in datasets._MNIST_MD5:
            (nowhere / name / file).touch()
    assert datasets._mnist_folder(None) == nowhere / "cache/rpusim/mnist"
    monkeypatch.setenv("RPUSIM_DATA", str(nowhere / "variable"))
    assert datasets._mnist_folder(None) == nowhere / "variable/mnist"
    assert datasets._mnist_folder(nowhere / "argument") == nowhere / "argument"
    (nowhere / "variable/mnist/t10k-labels-idx1-ubyte.gz").unlink()
    assert datasets._mnist_folder(None) == nowhere / "cache/rpusim/mnist"
    with pytest.raises(FileNotFoundError, match=r"data_dir must hold .*lacks t10k-labels-idx1-ubyte\.gz$"):
        datasets._mnist_folder(nowhere / "variable/mnist")


def test_scaling_types_and_pairs(nowhere):
    fake_mnist(nowhere / "data")
    data = datasets.mnist(nowhere / "data")
    assert data.x_train.dtype == np.float32 and data.x_train.shape == (60000, 784)
    assert data.x_train.min() == data.x_train.max() == 1.0
    assert data.y_test.dtype == np.int64 and data.y_test.shape == (10000,) and set(data.y_test) == {7}
    assert data.train[0] is data.x_train and data.test[1] is data.y_test


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-images-idx3-ubyte.gz", np.zeros((5, 28, 28), np.uint8), r"must hold uint8 images of shape \(60000, 28"),
        ("t10k-labels-idx1-ubyte.gz", np.zeros(0, np.uint8), r"must hold uint8 labels of shape \(10000,\); got .*\(0,"),
        ("t10k-labels-idx1-ubyte.gz", np.full(10000, 11, np.uint8), "must hold labels from 0 to 9; got 11"),
    ],
)
def test_wrong_content(nowhere, name, array, message):
    fake_mnist(nowhere / "data")
    (nowhere / "data" / name).write_bytes(gzip.compress(idx(0x08, array), mtime=0))
    with pytest.raises(ValueError, match=rf"{name} {message}"):
        datasets.mnist(nowhere / "data")


def test_offline_message(nowhere):
    with pytest.raises(FileNotFoundError) as error:
        datasets.mnist()
    text = str(error.value)
    for part in ("no network", "RPUSIM_DATA", str(nowhere / "cache/rpusim/mnist"), *datasets._MNIST_MD5):
        assert part in text


def test_download_falls_back_and_leaves_no_parts(nowhere, monkeypatch, capsys):
    good = {name: name.encode() * 9 for name in datasets._MNIST_MD5}
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in good.items()}
    asked = []

    def answer(url, timeout):
        mirror, name = url.rsplit("/", 1)
        asked.append(mirror + "/")
        first = mirror + "/" == datasets._MNIST_MIRRORS[0]
        return io.BytesIO(b"an error page" if first else good[name])

    monkeypatch.setattr(datasets, "_MNIST_MD5", md5)
    monkeypatch.setattr(urllib.request, "urlopen", answer)
    folder = datasets._mnist_folder(None)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == good
    assert asked == list(datasets._MNIST_MIRRORS) * 4
    assert datasets._mnist_folder(None) == folder and len(asked) == 8  # nothing is downloaded twice
    assert capsys.readouterr().err == ""


def test_wrong_md5_is_refused(nowhere, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: io.BytesIO(b"an error page"))
    with pytest.raises(FileNotFoundError, match="MD5 is"):
        datasets.mnist()
    assert list((nowhere / "cache/rpusim/mnist").iterdir()) == []


@pytest.mark.skipif("RPUSIM_DATA" not in os.environ, reason="RPUSIM_DATA is not set: MNIST itself is not tested")
def test_mnist():
    data = datasets.mnist(Path(os.environ["RPUSIM_DATA"]) / "mnist")
    assert data.x_train.shape == (60000, 784) and data.x_test.shape == (10000, 784)
    assert data.x_train.min() == 0.0 and data.x_train.max() == 1.0
    # The well-known normalisation constants of the training images, and the counts of the digits.
    assert abs(data.x_train.mean(dtype=np.float64) - 0.1307) < 5e-5
    assert abs(data.x_train.std(dtype=np.float64) - 0.3081) < 5e-5
    assert np.bincount(data.y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9] and data.y_test[:5].tolist() == [7, 2, 1, 0, 4]
