"""Progress bars."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Lines", "progress_bar"]

#: seconds between two lines
EVERY = 5.0


class Lines:
    """Lines on stderr that say how far something is that takes seconds, where no bar can be shown."""

    def __init__(self, title: str, total: int, shown: bool) -> None:
        self.title, self.total, self.shown = title, total, shown
        self.count, self.begun, self.last = 0, time.monotonic(), time.monotonic()

    def done(self, what: str) -> None:
        """Count one more, and say so if the last line was a while ago."""
        self.count += 1
        now = time.monotonic()
        if self.shown and now - self.last >= EVERY and self.count < self.total:
            self.last = now
            text = f"{self.title}: {what} done, {self.count} of {self.total}, {now - self.begun:.0f} s"
            print(text, file=sys.stderr, flush=True)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; looking loads nothing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


def progress_bar(*args: Any, **kwargs: Any) -> tqdm[Any]:
    """Return ``tqdm(*args, **kwargs)``; it is imported when a bar is first made, in notebooks as ``tqdm.auto``.

    ``disable=None`` shows a bar on terminals and in notebooks only.
    """
    if _in_notebook():
        from tqdm.auto import tqdm

        if kwargs.get("disable", False) is None:  # a notebook is no terminal
            kwargs["disable"] = False
    else:
        from tqdm import tqdm
    return tqdm(*args, **kwargs)
