"""rpusim.datasets: IDX files of every type, finding and downloading MNIST."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from rpusim import datasets
from rpusim.datasets import images

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
    for name, count in zip(images._MNIST.files, (60000, 60000, 10000, 10000), strict=True):
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
        for file in images._MNIST.files:
            (nowhere / name / file).touch()
    assert images._MNIST.find(None) == nowhere / "cache/rpusim/mnist"
    monkeypatch.setenv("RPUSIM_DATA", str(nowhere / "variable"))
    assert images._MNIST.find(None) == nowhere / "variable/mnist"
    assert images._MNIST.find(nowhere / "argument") == nowhere / "argument"
    (nowhere / "variable/mnist/t10k-labels-idx1-ubyte.gz").unlink()
    assert images._MNIST.find(None) == nowhere / "cache/rpusim/mnist"
    with pytest.raises(FileNotFoundError, match=r"data_dir must hold .*lacks t10k-labels-idx1-ubyte\.gz$"):
        images._MNIST.find(nowhere / "variable/mnist")


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
    for part in ("no network", "RPUSIM_DATA", str(nowhere / "cache/rpusim/mnist"), *images._MNIST.files):
        assert part in text


def test_download_falls_back_and_leaves_no_parts(nowhere, monkeypatch, capsys):
    good = {name: name.encode() * 9 for name in images._MNIST.files}
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in good.items()}
    asked = []

    def answer(url, timeout):
        mirror, name = url.rsplit("/", 1)
        asked.append(mirror + "/")
        first = mirror + "/" == images._MNIST.mirrors[0]
        return io.BytesIO(b"an error page" if first else good[name])

    monkeypatch.setattr(images, "_MNIST", images._MNIST._replace(files=md5))
    monkeypatch.setattr(urllib.request, "urlopen", answer)
    folder = images._MNIST.find(None)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == good
    assert asked == list(images._MNIST.mirrors) * 4
    assert images._MNIST.find(None) == folder and len(asked) == 8  # nothing is downloaded twice
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


# ---- other collections ---------------------------------------------------------------------------------------------


@pytest.fixture
def cifar_bytes():
    rng = np.random.default_rng(0)
    names = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    labels = {name: rng.integers(0, 10, 10000).astype(np.uint8) for name in names}
    images = {name: rng.integers(0, 256, (10000, 3072)).astype(np.uint8) for name in names}
    return names, labels, images


def cifar_folder(folder, cifar_bytes, form):
    names, labels, images = cifar_bytes
    folder.mkdir()
    for name in names:
        if form == "binary":
            rows = np.concatenate([labels[name][:, None], images[name]], axis=1)
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
        else:
            batch = {b"data": images[name], b"labels": labels[name].tolist(), b"batch_label": b"one"}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return folder


@pytest.mark.parametrize("form, packed", [("binary", False), ("binary", True), ("python", False)])
def test_cifar10_is_read_in_both_formats(tmp_path, cifar_bytes, form, packed):
    path = cifar_folder(tmp_path / "cifar", cifar_bytes, form)
    if packed:
        with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz", compresslevel=1) as archive:
            archive.add(path, "cifar-10")
        path = tmp_path / "cifar.tar.gz"
    data = datasets.cifar10(path)
    names, labels, images = cifar_bytes
    assert data.x_train.shape == (50000, 3, 32, 32) and data.x_train.dtype == np.float32
    np.testing.assert_array_equal(data.y_train[10000:20000], labels["data_batch_2"])
    np.testing.assert_array_equal(data.y_test, labels["test_batch"])
    np.testing.assert_allclose(data.x_test[7].ravel(), images["test_batch"][7] / 255, rtol=1e-6)


def test_a_damaged_archive_is_refused_wherever_it_is_damaged(tmp_path, cifar_bytes):
    path = cifar_folder(tmp_path / "cifar", cifar_bytes, "binary")
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz", compresslevel=0) as archive:  # so that one bit is one bit of an image
        archive.add(path, "cifar-10")
    whole = bytearray((tmp_path / "whole.tar.gz").read_bytes())
    for place in (len(whole) // 3, len(whole) // 2, len(whole) - 200_000):
        damaged = whole.copy()
        damaged[place] ^= 1
        (tmp_path / "a.tar.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match="a.tar.gz is no tar archive, or is damaged"):
            datasets.cifar10(tmp_path / "a.tar.gz")


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


def test_cifar10_refuses_what_is_no_batch(tmp_path, cifar_bytes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = cifar_folder(tmp_path / "cifar", cifar_bytes, "python")
    (folder / "data_batch_3").write_bytes(pickle.dumps({b"data": Harmful(), b"labels": []}))
    with pytest.raises(ValueError, match="data_batch_3 is no batch of CIFAR-10: it holds a .*mkdir"):
        datasets.cifar10(folder)
    assert not (tmp_path / "harmed").exists()
    (folder / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3.bin or data_batch_3"):
        datasets.cifar10(folder)
    (tmp_path / "a.tar.gz").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="a.tar.gz is no tar archive"):
        datasets.cifar10(tmp_path / "a.tar.gz")
    (folder / "data_batch_1.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match="data_batch_1.bin must have 30730000 bytes; got 5"):
        datasets.cifar10(folder)


def test_texts_are_their_bytes(tmp_path):
    file = tmp_path / "text.txt"
    file.write_bytes("Ä a\r\nab".encode())
    data = datasets.text(file, test_size=2)
    assert data.vocabulary == bytes(sorted(set("Ä a\r\nab".encode())))
    assert data.decode(np.concatenate([data.train, data.test])) == "Ä a\r\nab"
    assert len(data.test) == 2 and data.train.dtype == np.int64
    with pytest.raises(FileNotFoundError, match="name must be one of 'warpeace', 'tinyshakespeare', or a file; got 'nowhere'"):
        datasets.text("nowhere")
    with pytest.raises(ValueError, match="test_size must be an integer from 0 to 7; got 9"):
        datasets.text(file, test_size=9)


@pytest.mark.skipif("RPUSIM_DATA" not in os.environ, reason="RPUSIM_DATA is not set: texts and Fashion-MNIST are not tested")
def test_the_real_texts_and_clothes():
    war = datasets.text("warpeace")
    assert (len(war.train), len(war.test), len(war.vocabulary)) == (2_933_246, 325_000, 87)
    shakespeare = datasets.text("tinyshakespeare")
    assert (len(shakespeare.train) + len(shakespeare.test), len(shakespeare.vocabulary)) == (1_115_394, 65)
    data = datasets.fashion_mnist(flatten=False)
    assert data.x_train.shape == (60000, 1, 28, 28)
    assert np.bincount(data.y_test).tolist() == [1000] * 10


def test_one_kind_of_images_is_not_taken_for_the_other(mnist_folder):
    fashion = Path(mnist_folder).parent / "fashion-mnist"
    with pytest.raises(ValueError, match="must be a file of MNIST; it is that of Fashion-MNIST"):
        datasets.mnist(fashion)
    with pytest.raises(ValueError, match="must be a file of Fashion-MNIST; it is that of MNIST"):
        datasets.fashion_mnist(mnist_folder)


def test_what_killed_downloads_left_in_the_cache_is_removed(tmp_path, monkeypatch):
    monkeypatch.delenv("RPUSIM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = tmp_path / "rpusim" / "mnist"
    cache.mkdir(parents=True)
    for name in images._MNIST.files:
        (cache / name).touch()
        (cache / f".{name}.0a1b2c3d.tmp").touch()
    assert images._MNIST.find(None) == cache
    assert {path.name for path in cache.iterdir()} == set(images._MNIST.files)
