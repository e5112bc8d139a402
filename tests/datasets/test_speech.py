"""rpusim.datasets: spoken digits and their features."""

from __future__ import annotations

import bz2
import gzip
import io
import math
import os
import tarfile
import wave

import numpy as np
import pytest

from rpusim import datasets

SPEAKERS = ("anna", "ben")
NAMES = [f"{digit}_{speaker}_{k}.wav" for speaker in SPEAKERS for digit in range(10) for k in range(50)]


def slow_mfcc(x, rate, window, hop, fft, bands, low, high, coefficients, pre_emphasis, floor):
    """The law, number by number: sums for transforms, and bands by where a frequency is between their corners."""
    y = [x[0]] + [x[n] - pre_emphasis * x[n - 1] for n in range(1, len(x))]
    mel_low, mel_high = (1127.0 * math.log(1 + f / 700.0) * (2595.0 / math.log(10) / 1127.0) for f in (low, high))
    corners = [
        700.0 * math.expm1((mel_low + (mel_high - mel_low) * k / (bands + 1)) / 2595.0 * math.log(10)) for k in range(bands + 2)
    ]
    n = np.arange(fft)
    out = []
    for start in range(0, len(x) - window + 1, hop):
        frame = np.zeros(fft)
        frame[:window] = [y[start + j] * math.sin(math.pi * j / window) ** 2 for j in range(window)]
        energies = np.zeros(bands)
        for k in range(fft // 2 + 1):
            power = (frame @ np.cos(2 * np.pi * k * n / fft)) ** 2 + (frame @ np.sin(2 * np.pi * k * n / fft)) ** 2
            f = k * rate / fft
            for b in range(bands):
                if corners[b] < f <= corners[b + 1]:
                    energies[b] += power * (f - corners[b]) / (corners[b + 1] - corners[b])
                elif corners[b + 1] < f < corners[b + 2]:
                    energies[b] += power * (corners[b + 2] - f) / (corners[b + 2] - corners[b + 1])
        logs = np.log(energies + floor)
        at = np.arange(bands) + 0.5
        scale = [math.sqrt((1 if c == 0 else 2) / bands) for c in range(coefficients)]
        out.append([scale[c] * float(logs @ np.cos(np.pi * c * at / bands)) for c in range(coefficients)])
    return np.array(out)


CASES = [
    (8000, {}),
    (16000, {"window": 400, "hop": 100, "fft": 1024, "bands": 23, "low_hz": 100.0, "high_hz": 7000.0, "coefficients": 13}),
    (1000.0, {"window": 63, "hop": 70, "fft": 63, "bands": 5, "low_hz": 0.0, "coefficients": 5, "pre_emphasis": 0.0,
              "floor": 2.0}),
]  # fmt: skip


@pytest.mark.parametrize("rate, options", CASES)
def test_features_have_their_law(rate, options):
    x = np.random.default_rng(3).normal(size=700) * np.linspace(0.01, 1.0, 700)
    settings = {
        "window": 320, "hop": 160, "fft": 512, "bands": 40, "low_hz": 20.0, "high_hz": rate / 2, "coefficients": 10,
        "pre_emphasis": 0.97, "floor": 1e-6, **options,
    }  # fmt: skip
    wanted = slow_mfcc(x, rate, *settings.values())
    found = datasets.mfcc(x, rate, **options)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
    both = datasets.mfcc([x, x[::-1]], rate, **options)
    np.testing.assert_allclose(both[0], wanted, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(both[1], datasets.mfcc(x[::-1], rate, **options))


def test_silence_has_the_power_of_the_floor():
    found = datasets.mfcc(np.zeros(320), floor=1e-3)
    np.testing.assert_allclose(found[0, 0], math.sqrt(40) * math.log(1e-3), rtol=1e-12)
    np.testing.assert_allclose(found[0, 1:], 0.0, atol=1e-12)


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"signal": np.zeros(319)}, ValueError, "signal must have at least the 320 samples of a window; got 319"),
    ({"signal": [0.0, math.nan] * 200}, ValueError, "signal must hold finite numbers; got nan"),
    ({"signal": np.full(400, 1e200)}, ValueError, r"signal must be numbers of at most 1e\+100 in size"),
    ({"signal": "a"}, TypeError, "signal must be an array"),
    ({"signal": 1.0}, ValueError, "signal must have shape"),
    ({"signal": np.zeros((2, 0))}, ValueError, "signal must have at least"),
    ({"rate": 0.0}, ValueError, "rate must be"),
    ({"rate": math.inf}, ValueError, "rate must be"),
    ({"window": 0}, ValueError, "window must be"),
    ({"hop": 0}, ValueError, "hop must be"),
    ({"hop": 1.5}, TypeError, "hop must be"),
    ({"fft": 319}, ValueError, "fft must be an integer from 320"),
    ({"bands": 0}, ValueError, "bands must be"),
    ({"bands": 400}, ValueError, "bands must be so few that each has a frequency .* one in 15.62 Hz; got 400, of which"),
    ({"low_hz": -1.0}, ValueError, "low_hz must be"),
    ({"low_hz": 4000.0}, ValueError, "low_hz must be below high_hz, 4000; got 4000"),
    ({"high_hz": 4001.0}, ValueError, "high_hz must be"),
    ({"high_hz": math.nan}, ValueError, "high_hz must be"),
    ({"coefficients": 41}, ValueError, "coefficients must be an integer from 1 to 40; got 41"),
    ({"pre_emphasis": 1.1}, ValueError, "pre_emphasis must be"),
    ({"floor": 0.0}, ValueError, "floor must be"),
])  # fmt: skip
def test_features_refuse_what_they_cannot_take(changes, error, message):
    with pytest.raises(error, match=message):
        datasets.mfcc(**{"signal": np.ones(400), **changes})


# ---- recordings ------------------------------------------------------------------------------------------------------


def wav(samples, rate=8000, channels=1, width=2):
    """A wav file by Python's own writer."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setframerate(rate), out.setnchannels(channels), out.setsampwidth(width)
        out.writeframes(np.asarray(samples, f"<i{width}" if width > 1 else "u1").tobytes())
    return file.getvalue()


def sound(name):
    """Noise of a loudness and a length of its own."""
    rng = np.random.default_rng(NAMES.index(name))
    return (rng.normal(size=rng.integers(300, 700)) * rng.integers(100, 5000)).clip(-32768, 32767).astype(np.int16)


@pytest.fixture(scope="module")
def contents():
    return {name: wav(sound(name)) for name in NAMES}


@pytest.fixture
def folder(tmp_path, contents, monkeypatch):
    """All recordings of two speakers, where RPUSIM_DATA says."""
    monkeypatch.setenv("RPUSIM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = tmp_path / "fsdd" / "recordings"
    found.mkdir(parents=True)
    for name, data in contents.items():
        (found / name).write_bytes(data)
    return found


def test_digits_are_split_and_standardised(folder):
    (folder / "README.md").write_text("no recording")
    (folder / "._3_anna_7.wav").write_bytes(b"of another system")
    data = datasets.spoken_digits()
    assert data.x_train.shape == (900, 490) and data.x_test.shape == (100, 490) and data.x_train.dtype == np.float32
    assert np.bincount(data.y_train).tolist() == [90] * 10 and np.bincount(data.y_test).tolist() == [10] * 10
    assert data.y_test.dtype == np.int64

    def features(name):
        samples = sound(name) / 32768
        before = (8000 - len(samples)) // 2
        return datasets.mfcc(np.r_[np.zeros(before), samples, np.zeros(8000 - before - len(samples))]).ravel()

    train = np.array([features(name) for name in NAMES if int(name[:-4].split("_")[2]) >= 5])
    test = np.array([features(name) for name in NAMES if int(name[:-4].split("_")[2]) < 5])
    mean, std = train.mean(axis=0), train.std(axis=0)
    assert std.min() < 1e-9 and std.max() > 1.0  # silence at the ends of the second is the same in all
    std[std < 1e-9] = 1.0
    np.testing.assert_allclose(data.x_train, (train - mean) / std, rtol=0, atol=1e-5)
    np.testing.assert_allclose(data.x_test, (test - mean) / std, rtol=0, atol=1e-5)
    images = datasets.spoken_digits(flatten=False)
    assert images.x_train.shape == (900, 1, 49, 10)
    np.testing.assert_array_equal(images.x_test.reshape(100, 490), data.x_test)


def test_a_speaker_is_held_out(folder):
    data = datasets.spoken_digits(speaker="ben")
    assert data.x_train.shape == (500, 490) and data.x_test.shape == (500, 490)
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0.0, atol=1e-5)
    assert abs(data.x_test.mean(axis=0)).max() > 1e-3
    with pytest.raises(ValueError, match="speaker must be None or one of anna, ben; got 'carl'"):
        datasets.spoken_digits(speaker="carl")
    with pytest.raises(TypeError, match="flatten must be"):
        datasets.spoken_digits(flatten=1)
    for file in folder.glob("*anna*"):
        file.unlink()
    with pytest.raises(ValueError, match="speaker must be None where there is one speaker"):
        datasets.spoken_digits(speaker="ben")


def test_long_recordings_are_cut_on_both_sides(folder):
    name = NAMES[-1]
    x = (1000 * np.sin(np.arange(9001) ** 2)).astype(np.int16)
    (folder / name).write_bytes(wav(x))
    found = datasets.spoken_digits().x_train[-1]
    (folder / name).write_bytes(wav(x[500:8500]))
    np.testing.assert_array_equal(datasets.spoken_digits().x_train[-1], found)
    (folder / name).write_bytes(wav(x[501:8501]))
    assert np.any(datasets.spoken_digits().x_train[-1] != found)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_archives_are_read_as_folders_are(folder, tmp_path, mode):
    wanted = datasets.spoken_digits()
    archive = tmp_path / "fsdd" / f"recordings.tar{mode[1:].replace(':', '.')}"
    options = {"preset": 0} if mode == "w:xz" else {} if mode == "w" else {"compresslevel": 1}
    with tarfile.open(archive, mode, **options) as file:
        file.add(folder, "digits-1.0/recordings")
    for name in NAMES:
        (folder / name).unlink()
    for given in (None, archive, archive.parent):
        np.testing.assert_array_equal(datasets.spoken_digits(given).x_test, wanted.x_test)
    whole = bytearray(archive.read_bytes())
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{archive.name} is no tar archive, or is damaged"):
        datasets.spoken_digits()
    if mode != "w":  # which has no checksum
        whole[len(whole) // 2] ^= 1
        archive.write_bytes(whole)
        with pytest.raises(ValueError, match=f"{archive.name} is no tar archive, or is damaged"):
            datasets.spoken_digits()


def test_an_archive_in_an_archive_is_not_unpacked(tmp_path):
    """Memory is bounded once."""
    inner = io.BytesIO()
    with gzip.GzipFile(fileobj=inner, mode="w") as file:
        file.write(bytes(10240))
    path = tmp_path / "a.tar.gz"
    for packed in (gzip.compress(inner.getvalue()), bz2.compress(bytes(10240))):
        path.write_bytes(packed)
        with pytest.raises(ValueError, match="a.tar.gz is no tar archive, or is damaged"):
            datasets.spoken_digits(path)


def test_missing_data_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for root in (None, tmp_path / "data"):
        monkeypatch.delenv("RPUSIM_DATA", raising=False)
        if root is not None:
            monkeypatch.setenv("RPUSIM_DATA", str(root))
        with pytest.raises(FileNotFoundError) as caught:
            datasets.spoken_digits()
        said = str(caught.value)
        for part in ("RPUSIM_DATA", "free-spoken-digit-dataset", str(tmp_path / "cache/rpusim/fsdd"), "recordings.tar.xz"):
            assert part in said
        assert root is None or str(root / "fsdd") in said
    with pytest.raises(FileNotFoundError, match="path must be a folder or an archive of recordings.*got .*nowhere"):
        datasets.spoken_digits(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"path must hold recordings such as 3_theo_7\.wav.* holds none"):
        datasets.spoken_digits(tmp_path)


def test_sets_that_are_not_complete_are_refused(folder):
    (folder / "3_ben_7.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"path must hold the recordings 0 to 49 .* lacks 3_ben_7\.wav$"):
        datasets.spoken_digits()
    for k in range(10, 20):
        (folder / f"4_anna_{k}.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 4_anna_10\.wav, .* and 6 others$"):
        datasets.spoken_digits()


GOOD = wav(np.arange(600))


@pytest.mark.parametrize(("data", "message"), [
    (b"", "is no wav file, or is truncated: it does not begin as such"),
    (b"\0" * 600, "is no wav file"),
    (GOOD[:-1], "is no wav file, or is truncated: it has 1243 of the 1244 bytes that it claims"),
    (GOOD[:30], "truncated: it has 30 of the 1244"),
    (b"RIFF\4\0\0\0WAVE", "is a damaged wav file"),
    (wav(np.arange(600), rate=16000), "must be a recording of 8000 samples in a second, .*; it has 16000 samples in a second"),
    (wav(np.arange(600), channels=2), "it has 2 channels"),
    (wav(np.arange(200), width=1), "it has samples of the type uint8"),
    (wav(np.arange(600), width=4), "it has samples of the type int32"),
    (wav([]), "it has no sample"),
], ids=range(10))  # fmt: skip
def test_damaged_recordings_are_named(folder, data, message):
    (folder / "7_ben_31.wav").write_bytes(data)
    with pytest.raises(ValueError, match=rf"recordings: 7_ben_31\.wav .*{message}"):
        datasets.spoken_digits()


def test_large_files_are_refused_before_they_are_read(folder):
    with open(folder / "7_ben_31.wav", "r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"7_ben_31\.wav must be a file of spoken digits, of at most 4194304 bytes; got"):
        datasets.spoken_digits()


def test_changed_headers_are_read_or_refused():
    """Every byte of a header takes hostile values."""
    from rpusim.datasets.speech import samples

    for place in range(46):
        for value in (0, 1, 2, 3, 127, 128, 254, 255):
            data = bytearray(GOOD)
            data[place] = value
            try:
                assert samples("a.wav", bytes(data)).ndim == 1
            except ValueError as error:
                assert str(error).startswith("a.wav ")


@pytest.mark.skipif("RPUSIM_DATA" not in os.environ, reason="RPUSIM_DATA is not set: spoken digits are not tested")
def test_the_real_digits():
    data = datasets.spoken_digits(flatten=False)
    assert data.x_train.shape == (2700, 1, 49, 10) and data.x_test.shape == (300, 1, 49, 10)
    assert np.bincount(data.y_train).tolist() == [270] * 10 and np.bincount(data.y_test).tolist() == [30] * 10
    flat = data.x_train.reshape(2700, -1).astype(np.float64)
    np.testing.assert_allclose(flat.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(flat.std(axis=0), 1.0, atol=1e-5)
    distance = ((data.x_test.reshape(300, 1, -1) - flat[::9]) ** 2).sum(axis=2)  # the nearest of every ninth sample
    assert np.mean(data.y_train[::9][distance.argmin(axis=1)] == data.y_test) > 0.8
