"""Progress bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["progress_bar"]


def progress_bar(*args: Any, **kwargs: Any) -> tqdm[Any]:
    """Return ``tqdm(*args, **kwargs)``; it is imported when a bar is first made."""
    from tqdm import tqdm

    return tqdm(*args, **kwargs)
