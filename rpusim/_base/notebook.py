"""What objects look like in a notebook: a table of names and values."""

from __future__ import annotations

import dataclasses
import html
import inspect
from collections.abc import Iterable
from typing import Any

__all__ = ["as_html"]

LONGEST = 300  # characters of a value


def as_html(self: Any) -> str:
    """Return the object as a table in HTML; a class has it as its `_repr_html_`.

    Rows are what ``_html_rows()`` yields, else the fields of a dataclass or of a named tuple, else the arguments of the class
    that the object keeps under their names.
    """
    rows = "".join(f"<tr><th>{_cell(str(name))}</th><td>{_cell(_text(value))}</td></tr>" for name, value in _rows_of(self))
    return f"<table><caption>{_cell(type(self).__name__)}</caption><tbody>{rows}</tbody></table>"


def _rows_of(one: Any) -> Iterable[tuple[object, object]]:
    if hasattr(type(one), "_html_rows"):
        return list(one._html_rows())
    if dataclasses.is_dataclass(one):
        return [(field.name, getattr(one, field.name)) for field in dataclasses.fields(one) if field.repr]
    if hasattr(one, "_fields"):
        return list(zip(one._fields, one, strict=True))
    names = [name for name in inspect.signature(type(one)).parameters if hasattr(one, name)]
    return [(name, value) for name in names if not inspect.ismethod(value := getattr(one, name))]


def _text(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "ndim") and value.ndim:
        return f"{value.dtype} array {value.shape}"
    if isinstance(value, dict):
        return _short(", ".join(f"{name}: {_text(entry)}" for name, entry in value.items()))
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return _short(", ".join(map(_text, value)))
    return _short(f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else repr(value))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _cell(text: str) -> str:
    return html.escape(text)
