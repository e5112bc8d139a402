"""Packages whose public names are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["attach", "names_in", "public_homes"]


def attach(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package whose names are listed in its `__init__.pyi`.

    The stub is the one list: its imports say where each name lives and its `__all__` which are public, for type checkers and
    for this. A name must not be that of the module it lives in: importing the module would put it in the name's place.
    """
    module = sys.modules[package]
    homes, public = names_in(Path(module.__file__ or "").with_name("__init__.pyi"))

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        home = homes[name]
        holder = import_module(home)
        value = getattr(holder, name) if home != package and hasattr(holder, name) else import_module(f"{home}.{name}")
        setattr(module, name, value)
        return value

    return load, lambda: sorted({*vars(module), *homes}), public


@cache
def names_in(stub: Path) -> tuple[dict[str, str], list[str]]:
    """Return where each name of a stub lives, by its imports, and which are public, by its `__all__`."""
    homes: dict[str, str] = {}
    public: list[str] = []
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            homes.update({alias.name: node.module or "" for alias in node.names})
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            public = ast.literal_eval(node.value)
    return homes, public


@cache
def public_homes() -> dict[str, str]:
    """Return the modules of all public names of the package's rooms."""
    found: dict[str, str] = {}
    for stub in sorted(Path(__file__).parents[1].glob("*/__init__.pyi")):
        found |= names_in(stub)[0]
    return found
