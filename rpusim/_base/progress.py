"""Progress bars."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["progress_bar"]


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
