"""Packages whose public names are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["attach"]


def attach(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package whose names are listed in its `__init__.pyi`.

    The stub is the one list: its imports say where each name lives and its `__all__` which are public, for type checkers and
    for this. A name must not be that of the module it lives in: importing the module would put it in the name's place.
    """
    module = sys.modules[package]
    stub = Path(module.__file__ or "").with_name("__init__.pyi")
    homes: dict[str, str] = {}
    public: list[str] = []
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            homes.update({alias.name: node.module or "" for alias in node.names})
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            public = ast.literal_eval(node.value)

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        home = homes[name]
        holder = import_module(home)
        value = getattr(holder, name) if home != package and hasattr(holder, name) else import_module(f"{home}.{name}")
        setattr(module, name, value)
        return value

    return load, lambda: sorted({*vars(module), *homes}), public
