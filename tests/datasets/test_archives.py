"""rpusim.datasets: languages, electromyograms and characters, from folders and archives."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from rpusim import datasets

REAL = pytest.mark.skipif(not os.environ.get("RPUSIM_DATA"), reason="RPUSIM_DATA is not set: data sets themselves are not read")


def png(picture, kind):
    """A PNG file of one bit whose lines all have one filter."""
    packed = np.packbits(picture, axis=1).astype(int)
    above, raw = np.zeros(packed.shape[1], int), b""
    for line in packed:
        left, corner = (np.concatenate([[0], row[:-1]]) for row in (line, above))
        guess = left + above - corner
        off = np.abs(guess - np.stack([left, above, corner]))
        paeth = np.stack([left, above, corner])[off.argmin(axis=0), np.arange(len(line))]
        by = (0 * left, left, above, (left + above) // 2, paeth)[kind]
        raw += bytes([kind]) + bytes(((line - by) % 256).astype(np.uint8))
        above = line
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *picture.shape, 1, 0, 0, 0, 0)), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(body)) + name + body + b"\0\0\0\0" for name, body in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write(files, path):
    """As a folder, a zip or a tar archive, by the name."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif path.suffix in (".gz", ".xz"):
        with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


PICTURES = np.random.default_rng(0).integers(0, 2, (4, 2, 105, 105))
PLACES = [("Latin", 1), ("Latin", 2), ("Greek", 1), ("Greek", 2)]
CHARACTERS = {
    f"images_evaluation/{alphabet}/character{number:02d}/{k:04d}_{drawing + 1:02d}.png": png(
        PICTURES[k, drawing], (k + drawing) % 5
    )
    for k, (alphabet, number) in enumerate(PLACES)
    for drawing in range(2)
}


@pytest.mark.parametrize("name", ["images_evaluation", "images_evaluation.zip", "images_evaluation.tar.xz"])
def test_characters_are_read_from_folders_and_archives(tmp_path, monkeypatch, name):
    monkeypatch.setenv("RPUSIM_DATA", str(tmp_path))
    (tmp_path / "omniglot").mkdir()
    write(CHARACTERS, tmp_path / "omniglot" / name)
    found = datasets.omniglot()
    assert found.names == ("Greek", "Latin") and found.alphabets.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(found.images, 1.0 - PICTURES[[2, 3, 0, 1]])
    small = datasets.omniglot(size=35)
    np.testing.assert_allclose(small.images[2, 0, 0, 0], 1.0 - PICTURES[0, 0, :3, :3].mean(), atol=1e-6)


def test_damaged_characters_are_refused(tmp_path):
    name = next(iter(CHARACTERS))
    for data, message in (
        (CHARACTERS[name][:60], "is truncated|is damaged"),
        (b"GIF89a", "must be a PNG file"),
        (CHARACTERS[name].replace(struct.pack(">I", 105), struct.pack(">I", 104), 1), "must be a PNG file"),
    ):
        with pytest.raises(ValueError, match=message):
            datasets.omniglot(path=write(CHARACTERS | {name: data}, tmp_path))
    with pytest.raises(ValueError, match="as many drawings of every character"):
        datasets.omniglot(path=write(dict(list(CHARACTERS.items())[1:]), tmp_path / "x.zip"))
    (tmp_path / "y.zip").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="is no zip archive"):
        datasets.omniglot(path=tmp_path / "y.zip")
    with pytest.raises(ValueError, match="size must divide 105"):
        datasets.omniglot(size=20)
    with pytest.raises(FileNotFoundError, match="path must be a folder or an archive"):
        datasets.omniglot(path=tmp_path / "none")


def test_languages_are_read_as_letters(tmp_path):
    texts = {"training_texts/eng.txt": b" a  b\nz\x1fc ", "training_texts/deu.txt": b"abc"}
    write(texts, tmp_path)
    write({"testing_texts/en_0_p.txt": b"ab", "testing_texts/de_1_p.txt": b"c c\n"}, tmp_path / "testing_texts.tar.gz")
    found = datasets.languages(tmp_path)
    assert found.names == ("deu", "eng") and found.labels.tolist() == [0, 1]
    assert [text.tolist() for text in found.train] == [[0, 1, 2], [0, 26, 1, 26, 25, 26, 2]]
    assert [text.tolist() for text in found.test] == [[2, 26, 2], [0, 1]]
    write({"testing_texts/xx_0_p.txt": b"ab"}, tmp_path / "testing_texts.tar.xz")
    with pytest.raises(ValueError, match="xx_0_p.txt must begin with a language"):
        datasets.languages(tmp_path)
    (tmp_path / "testing_texts.tar.xz").unlink()
    (tmp_path / "testing_texts.tar.gz").unlink()
    with pytest.raises(FileNotFoundError, match="path must hold one of testing_texts"):
        datasets.languages(tmp_path)


def test_gestures_are_what_their_labels_say(tmp_path):
    files = {
        f"12345-2/{k}.txt": "\n".join([f"{k},-128,127,0,0,0,0,0,{label}" for label in (0, k, k)]).encode() for k in range(8)
    }
    (found,) = datasets.emg(write(files, tmp_path / "a"))
    assert (found.person, found.session) == (12345, 2)
    assert [len(x) for x in found.x] == [3, 2, 2, 2, 2, 2, 2, 2]
    assert all((x[:, :3] == [k, -128, 127]).all() and x.dtype == np.int8 for k, x in enumerate(found.x))
    for data, message in ((b"1,2,3\n", "must have 8 channels"), (b"1,2,x\n", "must be a table of integers"),
                          (b"200,0,0,0,0,0,0,0,3\n", "must have 8 channels")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            datasets.emg(write(files | {"12345-2/3.txt": data}, tmp_path / "b"))
    del files["12345-2/3.txt"]
    with pytest.raises(ValueError, match="must hold sessions with files 0.txt to 7.txt"):
        datasets.emg(write(files, tmp_path / "c"))


def test_what_is_not_here_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("RPUSIM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for call in (datasets.languages, datasets.emg):
        with pytest.raises(FileNotFoundError, match=r"are not on this computer: .*(?s:.*)RPUSIM_DATA"):
            call()


@REAL
def test_the_data_sets_themselves():
    sessions = datasets.emg()
    assert len(sessions) == 15 and len({one.person for one in sessions}) == 5
    small = datasets.omniglot("small1", size=15)
    assert small.images.shape == (136, 20, 15, 15) and len(small.names) == 5
