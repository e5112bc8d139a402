"""Where data sets are: folders with their files, looked for or downloaded once."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rpusim._base.checkpoint import atomic_file, remove_leftovers
from rpusim._base.progress import progress_bar

__all__ = ["Collection", "Dataset", "cache_folder"]


class Collection(NamedTuple):
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
        cache = cache_folder(self.folder)
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


class Dataset(NamedTuple):
    """Training and test samples with their labels.

    Attributes
    ----------
    x_train, x_test : ndarray of float32, shape (n, features) or (n, channels, height, width)
    y_train, y_test : ndarray of int64, shape (n,)

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> x, y = np.zeros((6, 4), np.float32), np.arange(6) % 2
    >>> data = rpu.datasets.Dataset(x[:4], y[:4], x[4:], y[4:])
    >>> data.x_train.shape, data.y_test.tolist()
    ((4, 4), [0, 1])
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


def cache_folder(name: str) -> Path:
    """Return the folder that what was downloaded for a data set is in."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rpusim" / name
