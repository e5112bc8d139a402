"""Texts and sentences of European languages, for telling languages apart."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.datasets.archives import Limits, entries, find_source

__all__ = ["Languages", "languages"]

ALPHABET = "abcdefghijklmnopqrstuvwxyz "
#: of the sentences, whose names begin with two letters; Afrikaans has none
CODES = {
    "bg": "bul", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "et": "est", "fi": "fin", "fr": "fra",
    "hu": "hun", "it": "ita", "lt": "lit", "lv": "lav", "nl": "nld", "pl": "pol", "pt": "por", "ro": "ron", "sk": "slk",
    "sl": "slv", "es": "spa", "sv": "swe",
}  # fmt: skip
_LIMITS = Limits("texts of languages", 1 << 23, 1 << 28)
_SOURCE = "https://github.com/abbas-rahimi/HDC-Language-Recognition"
_TRAIN = ("training_texts", "training_texts_22lang.tar.xz", "training_texts.tar.xz", "training_texts.tar.gz")
_TEST = ("testing_texts", "testing_texts.tar.xz", "testing_texts.tar.gz")


class Languages(NamedTuple):
    """Texts as numbers of their letters: 0 to 25 are a to z, 26 is a space.

    Attributes
    ----------
    train : list of uint8 array
        A text of each language, of about a million letters.
    test : list of uint8 array
        Sentences.
    labels : int64 array (sentences,)
        Place of the language of each sentence in `names`.
    names : tuple of str
        Codes of the languages, three letters each.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> data = rpu.datasets.Languages([np.zeros(9, np.uint8)], [np.ones(3, np.uint8)], np.array([0]), ("eng",))
    >>> data.names[data.labels[0]]
    'eng'
    """

    train: list[NDArray[np.uint8]]
    test: list[NDArray[np.uint8]]
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def languages(path: str | os.PathLike[str] | None = None) -> Languages:
    """Return texts of 22 European languages, and 21,000 sentences, 1000 of each but Afrikaans, in small letters and spaces.

    Texts of training are from the Wortschatz corpora, sentences from Europarl. Looked for in `path`, a folder, or else in
    ``$RPUSIM_DATA/hdc_language`` and the cache: folders or archives ``training_texts`` (also ``..._22lang.tar.xz``) and
    ``testing_texts``. They are not downloaded: they are folders of github.com/abbas-rahimi/HDC-Language-Recognition (GPL-3).

    Parameters
    ----------
    path : str or path-like, optional
        A folder that holds both.

    Returns
    -------
    Languages

    Raises
    ------
    FileNotFoundError
        If they are not there.
    ValueError
        If a file is damaged, or is of no known language.

    Notes
    -----
    Rahimi, Kanerva and Rabaey (2016). What is no letter (a few bytes of the Polish and Romanian text) is a space here.

    Examples
    --------
    >>> data = languages()  # doctest: +SKIP
    >>> len(data.train), len(data.test)  # doctest: +SKIP
    (22, 21000)
    """
    sources = []
    for names in (_TRAIN, _TEST):
        if path is None:
            sources.append(find_source(None, "hdc_language", names, "texts of languages", _SOURCE))
        else:
            here = [place for name in names if (place := find_source(path, "", names, "texts", _SOURCE) / name).exists()]
            if not here:
                raise FileNotFoundError(f"path must hold one of {', '.join(names)}, from {_SOURCE}; got {os.fspath(path)!r}")
            sources.append(here[0])
    train, test = (entries(source, _LIMITS, lambda name: name.endswith(".txt")) for source in sources)
    texts = {PurePosixPath(name).stem: _letters(read()) for name, read in train.items()}
    codes = tuple(sorted(texts))
    found: list[NDArray[np.uint8]] = []
    labels = []
    for name in sorted(test):
        code = CODES.get(PurePosixPath(name).name.partition("_")[0], "")
        if code not in texts:
            raise ValueError(f"{sources[1]}: {name} must begin with a language of the training, {', '.join(CODES)}")
        found.append(_letters(test[name]()))
        labels.append(codes.index(code))
    if not codes or not found:
        raise ValueError(f"{sources[0]} and {sources[1]} must hold texts, such as eng.txt and en_0_p.txt")
    return Languages([texts[code] for code in codes], found, np.array(labels, np.int64), codes)


def _letters(data: bytes) -> NDArray[np.uint8]:
    """Numbers of letters, runs of spaces and of what is no letter as one space, none at the ends."""
    raw = np.frombuffer(data, np.uint8) - np.uint8(ord("a"))
    out = np.where(raw < 26, raw, np.uint8(26))
    kept = np.ones(len(out), bool)
    kept[1:] = (out[1:] != 26) | (out[:-1] != 26)
    out = out[kept]
    return out[int(out[:1].sum() == 26) : len(out) - int(out[-1:].sum() == 26)]
