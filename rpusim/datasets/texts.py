"""Texts for character models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rpusim._base.validation import integer_value
from rpusim.datasets.collection import Collection

__all__ = ["Text", "text"]

_TEXTS = {
    "warpeace": Collection(
        "War and Peace",
        "text",
        {"warpeace_input.txt": "c12bc0d6a5530c4d6878952f5c3d76b9"},
        ("https://cs.stanford.edu/people/karpathy/char-rnn/",),
    ),
    "tinyshakespeare": Collection(
        "Tiny Shakespeare",
        "text",
        {"tinyshakespeare_input.txt": "6fb458f1232090904fb40fe944165e91"},
        ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/",),
        {"tinyshakespeare_input.txt": "tinyshakespeare/input.txt"},
    ),
}


class Text(NamedTuple):
    """A text as numbers of its characters (bytes).

    Attributes
    ----------
    train, test : ndarray of int64
        Places in the vocabulary.
    vocabulary : bytes
        The distinct bytes, in order.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> text = rpu.datasets.Text(np.array([0, 1, 2, 0]), np.array([2, 1]), b"abc")
    >>> text.decode(text.test)
    'cb'
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
