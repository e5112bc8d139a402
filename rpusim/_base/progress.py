"""Progress bars."""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Lines", "progress_bar"]

#: seconds before the first line; each further one comes after twice as many
FIRST = 5.0


class Lines:
    """Lines on stderr that say what something is doing that takes seconds, where no bar can be shown: a context."""

    def __init__(self, title: str, total: int, shown: bool) -> None:
        self.title, self.total, self.shown = title, total, shown
        self.count, self.what = 0, ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._say, daemon=True)

    def __enter__(self) -> Lines:
        if self.shown:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def at(self, what: str) -> None:
        """Say from now on that it is at this, one further than before."""
        self.count, self.what = self.count + 1, what

    def _say(self) -> None:
        begun, wait = time.monotonic(), FIRST
        while not self._over.wait(wait):
            wait *= 2.0
            if not self.what:
                continue
            text = f"{self.title}: {self.what}, {self.count} of {self.total}, {time.monotonic() - begun:.0f} s"
            print(text, file=sys.stderr, flush=True)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; looking loads nothing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


def progress_bar(*args: Any, **kwargs: Any) -> tqdm[Any]:
    """Return ``tqdm(*args, **kwargs)``; it is imported when a bar is first made, in notebooks as ``tqdm.auto``.

    ``disable=None`` shows a bar on terminals and in notebooks only. One that is disabled needs no widgets, of whose absence
    ``tqdm.auto`` warns.
    """
    if _in_notebook() and kwargs.get("disable", False) is not True:
        from tqdm.auto import tqdm

        if kwargs.get("disable", False) is None:  # a notebook is no terminal
            kwargs["disable"] = False
    else:
        from tqdm import tqdm
    return (_of_this_process(tqdm) if isinstance(tqdm, type) else tqdm)(*args, **kwargs)


@lru_cache(maxsize=4)
def _of_this_process(kind: type[tqdm[Any]]) -> Any:
    """tqdm with a lock of its own: the one that it shares with forked processes stays locked if one is killed in it."""
    bar: Any = type(kind.__name__, (kind,), {})

    def renew() -> None:
        bar.set_lock(threading.RLock())

    renew()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    return bar
