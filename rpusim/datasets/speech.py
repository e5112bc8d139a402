"""Spoken digits, and the features that networks hear them by."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import axes_of, boolean, fail, integer_value, physical, real, real_array, room_for, shown
from rpusim.datasets.archives import Limits, members
from rpusim.datasets.collection import Dataset, cache_folder

__all__ = ["mfcc", "spoken_digits"]

RATE = 8000  # samples in a second
FRAMES, COEFFICIENTS = 49, 10
LOUDEST = 1e100  # of a signal, whose power is still a number
OF_TEST, RECORDINGS = range(5), range(50)  # of each digit by each speaker
_LIMITS = Limits("spoken digits", 1 << 22, 1 << 29)
_FOLDERS = ("recordings", "recordings.tar.xz", "recordings.tar.gz", "recordings.tar", ".")
_NAME = re.compile(r"([0-9])_([A-Za-z]+)_(0|[1-9][0-9]{0,3})\.wav")
_SOURCE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
_from_zero = real(0.0)
_positive = physical(0.0, open_low=True)


class _Recording(NamedTuple):
    """One file of the data set."""

    digit: int
    speaker: str
    number: int
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        return f"{self.digit}_{self.speaker}_{self.number}.wav"


def mfcc(
    signal: ArrayLike,
    rate: float = RATE,
    *,
    window: int = 320,
    hop: int = 160,
    fft: int = 512,
    bands: int = 40,
    low_hz: float = 20.0,
    high_hz: float | None = None,
    coefficients: int = COEFFICIENTS,
    pre_emphasis: float = 0.97,
    floor: float = 1e-6,
) -> NDArray[np.float64]:
    r"""Return the mel-frequency cepstral coefficients of a signal, (frames, coefficients).

    y_n = x_n - pre_emphasis x_(n-1), y_0 = x_0. Frame k is y from k hop on times the periodic Hann window; P is the squared
    magnitude of its discrete Fourier transform (padded with zeros, not normalised). Bands are triangles over the frequency,
    with corners equally spaced in 2595 log10(1 + f / 700 Hz) from low_hz to high_hz: each rises from the centre of the one
    before to 1 at its own, and falls to the centre of the next. The coefficients are the first of the orthonormal DCT-II of
    ln(sum of P in the band + floor).

    Parameters
    ----------
    signal : array_like (samples,) or (..., samples)
        At least as long as the window. Recordings of 16 bits are divided by 32768.
    rate : float, default 8000
        Samples in a second.
    window, hop : int, default 320 and 160
        Samples of a frame, and from the beginning of one to that of the next.
    fft : int, default 512
        Length of the transform, at least that of the window.
    bands : int, default 40
    low_hz, high_hz : float, default 20 and half of the rate
        Where the bands begin and end.
    coefficients : int, default 10
        At most as many as bands.
    pre_emphasis : float, default 0.97
        From 0 to 1.
    floor : float, default 1e-6
        Power that silence has.

    Returns
    -------
    ndarray of float64, shape (..., frames, coefficients)
        1 + (samples - window) // hop frames.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or a band is so narrow that no frequency of the transform is in it.

    Examples
    --------
    >>> import numpy as np
    >>> tone = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(8000) / 8000)
    >>> mfcc(tone).shape
    (49, 10)
    """
    from scipy import fft as transforms

    x = real_array("signal", signal, (None,) * max(1, axes_of(signal)))
    if x.size and np.abs(x).max() > LOUDEST:
        fail("signal", f"numbers of at most {LOUDEST:g} in size", float(np.abs(x).max()))
    length, step = integer_value("window", window, 1, 1 << 24), integer_value("hop", hop, 1, 1 << 24)
    if x.shape[-1] < length:
        raise ValueError(f"signal must have at least the {length} samples of a window; got {x.shape[-1]}")
    size = integer_value("fft", fft, length, 1 << 24)
    weights = _bands(integer_value("bands", bands, 1, 1 << 16), size, _positive("rate", rate), low_hz, high_hz)
    kept = integer_value("coefficients", coefficients, 1, len(weights))
    y = x.copy()
    y[..., 1:] -= real(0.0, 1.0)("pre_emphasis", pre_emphasis) * x[..., :-1]
    frames = np.lib.stride_tricks.sliding_window_view(y, length, axis=-1)[..., ::step, :]
    room_for("hop", step, 2 * frames.size // length * size, 8)
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    spectrum = transforms.rfft(frames * hann, size)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    energies = np.log(power @ weights.T + _positive("floor", floor))
    out: NDArray[np.float64] = transforms.dct(energies, type=2, norm="ortho")[..., :kept]
    return out


def _bands(count: int, size: int, rate: float, low_hz: float, high_hz: float | None) -> NDArray[np.float64]:
    """Weights of the frequencies of a transform in each band, (bands, frequencies)."""
    low = _from_zero("low_hz", low_hz)
    high = rate / 2.0 if high_hz is None else real(0.0, rate / 2.0)("high_hz", high_hz)
    if low >= high:
        fail("low_hz", f"below high_hz, {high:g}", low_hz)
    room_for("bands", count, count * (size // 2 + 1), 8)
    mel = np.linspace(2595.0 * np.log10(1.0 + low / 700.0), 2595.0 * np.log10(1.0 + high / 700.0), count + 2)
    corners = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    start, centre, end = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    f = np.arange(size // 2 + 1) * (rate / size)
    with np.errstate(divide="ignore", invalid="ignore"):  # of bands narrower than a float64 tells apart
        weights = np.minimum((f - start) / (centre - start), (end - f) / (end - centre))
    weights = np.where(weights > 0.0, weights, 0.0)
    empty = int(np.argmin(weights.any(axis=1)))
    if not weights[empty].any():
        raise ValueError(
            f"bands must be so few that each has a frequency of the transform, one in {rate / size:.4g} Hz; got {count}, of "
            f"which that from {start[empty, 0]:.4g} to {end[empty, 0]:.4g} Hz has none"
        )
    return weights


def spoken_digits(path: str | os.PathLike[str] | None = None, *, flatten: bool = True, speaker: str | None = None) -> Dataset:
    """Return the Free Spoken Digit Dataset: digits spoken in English, 50 times each by six speakers, as MFCC features.

    Recordings are centred in one second, cut or filled with silence on both sides, which gives 49 frames of ten coefficients
    (`mfcc` as it is by default). Each of the 490 numbers is taken less its mean over the training samples, and divided by its
    standard deviation.

    The recordings, ``3_theo_7.wav`` and so on, are looked for in `path` if it is given, and nowhere else then. Otherwise in
    ``$RPUSIM_DATA/fsdd``, then in ``$XDG_CACHE_HOME/rpusim/fsdd`` (``~/.cache/rpusim/fsdd``): a folder `recordings`, or an
    archive `recordings.tar.xz` or `recordings.tar.gz`. They are not downloaded: they are the folder ``recordings`` of
    github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0; 16 MB).

    Parameters
    ----------
    path : str or path-like, optional
        A folder, or a tar archive, that holds the recordings.
    flatten : bool, default True
        Samples as vectors (n, 490), for perceptrons; else (n, 1, 49, 10), time and coefficients, for convolutions.
    speaker : str, optional
        A speaker, all of whose recordings are the test, and none is in the training. By default the recordings 0 to 4 of each
        digit by each speaker are the test, the data set's own split: all voices are known then.

    Returns
    -------
    Dataset
        float32 samples; int64 digits. 2700 of training and 300 of test, or 2500 and 500 with a `speaker`.

    Raises
    ------
    FileNotFoundError
        If there are no recordings, or some are missing; the message says where to put them.
    ValueError
        If a file is damaged or is no recording of 16 bits, 8 kHz and one channel, or there is no such speaker.

    Examples
    --------
    >>> data = spoken_digits(flatten=False)  # doctest: +SKIP
    >>> data.x_train.shape, data.x_test.shape  # doctest: +SKIP
    ((2700, 1, 49, 10), (300, 1, 49, 10))
    """
    flat = boolean("flatten", flatten)
    source = _find(path)
    found = _recordings(source)
    speakers = sorted({one.speaker for one in found})
    if speaker is not None and speaker not in speakers:
        fail("speaker", f"None or one of {', '.join(speakers)}", speaker)
    if speaker is not None and len(speakers) == 1:
        raise ValueError(f"speaker must be None where there is one speaker; got {speaker!r}")
    x = _features(source, found).reshape(len(found), -1)
    y = np.array([one.digit for one in found], np.int64)
    test = np.array([one.number in OF_TEST if speaker is None else one.speaker == speaker for one in found])
    mean, std = x[~test].mean(axis=0), x[~test].std(axis=0)
    # silence at the ends of a second may be in all samples, to rounding
    x = ((x - mean) / np.where(std > 1e-6, std, 1.0)).astype(np.float32)
    if not flat:
        x = x.reshape(-1, 1, FRAMES, COEFFICIENTS)
    return Dataset(x[~test], y[~test], x[test], y[test])


def _find(path: str | os.PathLike[str] | None) -> Path:
    """The folder or the archive of the recordings."""
    if path is not None:
        if not Path(path).exists():
            raise FileNotFoundError(f"path must be a folder or an archive of recordings, from {_SOURCE}; got {shown(path)}")
        places = [Path(path)]
    else:
        root = os.environ.get("RPUSIM_DATA")
        places = [Path(root) / "fsdd"] if root else []
        places.append(cache_folder("fsdd"))
    for place in places:
        if place.is_file():
            return place
        for name in _FOLDERS:
            inner = place / name
            if inner.is_file() or inner.is_dir() and any(_NAME.fullmatch(file.name) for file in inner.iterdir()):
                return inner
    if path is not None:
        raise FileNotFoundError(f"path must hold recordings such as 3_theo_7.wav, from {_SOURCE}; {places[0]} holds none")
    raise FileNotFoundError(
        "the Free Spoken Digit Dataset is not on this computer: there are no recordings such as 3_theo_7.wav, and no "
        f"recordings.tar.xz, in {' or '.join(map(str, places))}.\nPut its folder `recordings` (from {_SOURCE}) into "
        f"{cache_folder('fsdd')}, or into a folder named fsdd and set the environment variable RPUSIM_DATA to the folder that "
        "holds it."
    )


def _recordings(source: Path) -> list[_Recording]:
    """All recordings of a folder or an archive, in order of their speakers, digits and numbers."""
    found = {}
    for name, read in members(source, _LIMITS, lambda member: _NAME.fullmatch(Path(member).name) is not None).items():
        if parts := _NAME.fullmatch(name):
            one = _Recording(int(parts[1]), parts[2], int(parts[3]), read)
            found[one.speaker, one.digit, one.number] = one
    if not found:
        raise FileNotFoundError(f"path must hold recordings such as 3_theo_7.wav, from {_SOURCE}; got {source}")
    speakers = sorted({key[0] for key in found})
    wanted = [(speaker, digit, number) for speaker in speakers for digit in range(10) for number in RECORDINGS]
    missing = [f"{digit}_{speaker}_{number}.wav" for speaker, digit, number in wanted if (speaker, digit, number) not in found]
    if missing:
        raise FileNotFoundError(
            f"path must hold the recordings 0 to {RECORDINGS[-1]} of all digits by every speaker, from {_SOURCE}; "
            f"{source} lacks {', '.join(missing[:5])}{f' and {len(missing) - 5} others' if len(missing) > 5 else ''}"
        )
    return [found[key] for key in sorted(found)]


def _features(source: Path, found: list[_Recording]) -> NDArray[np.float64]:
    """The features of recordings, each centred in one second."""
    out = np.empty((len(found), FRAMES, COEFFICIENTS))
    for start in range(0, len(found), 200):
        some = found[start : start + 200]
        out[start : start + 200] = mfcc([_centred(samples(f"{source}: {one.name}", one.read())) for one in some])
    return out


def _centred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The second in the middle of some samples, with silence on both sides where there are less."""
    extra = RATE - len(x)
    if extra >= 0:
        return np.pad(x, (extra // 2, extra - extra // 2))
    return x[-extra // 2 : -extra // 2 + RATE]


def samples(name: str, data: bytes) -> NDArray[np.float64]:
    """The samples of a wav file, from -1 to 1."""
    from scipy.io import wavfile

    claimed = int.from_bytes(data[4:8], "little") + 8
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE" or len(data) < claimed:
        what = f"has {len(data)} of the {claimed} bytes that it claims" if data[:4] == b"RIFF" else "does not begin as such"
        raise ValueError(f"{name} is no wav file, or is truncated: it {what}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of chunks that are skipped
            rate, x = wavfile.read(io.BytesIO(data))
    except (ValueError, LookupError, ArithmeticError, TypeError, NameError, EOFError, MemoryError, struct.error) as error:
        raise ValueError(f"{name} is a damaged wav file: {error!s:.200}") from error
    problem: Any = None
    if rate != RATE:
        problem = f"{rate} samples in a second"
    elif x.ndim != 1:
        problem = f"{x.shape[1]} channels"
    elif x.dtype != np.int16:
        problem = f"samples of the type {x.dtype}"
    elif len(x) == 0:
        problem = "no sample"
    if problem is not None:
        raise ValueError(
            f"{name} must be a recording of {RATE} samples in a second, of 16 bits, in one channel; it has {problem}"
        )
    return x / 32768.0
