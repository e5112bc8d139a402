"""The house: rooms use only what is below them, through names without an underscore, and no two modules import each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rpusim"
#: from the ground up; the two rooms of the ground use each other
FLOORS = [
    {"_core", "_base"}, {"wires"}, {"periphery"}, {"effects"}, {"devices"}, {"arrays"}, {"fitting", "theory"}, {"algorithms"},
    {"nn"}, {"inference"}, {"datasets", "experiments"}, {"applications"}, {"plotting"}, {"sweep", "interop"}, {"reproduce"},
    {"commands"}, {"__init__", "__main__"},
]  # fmt: skip
FILES = sorted(PACKAGE.rglob("*.py"))
#: lines of examples in docstrings, which every public name has: they do not count
EXAMPLE = re.compile(r"^ *(?:>>>|\.\.\.) .*\n|^ *Examples\n *-{8}\n", re.MULTILINE)
#: files that may be long, and why


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def floor_of(room: str) -> int:
    return next(k for k, rooms in enumerate(FLOORS) if room in rooms)


def imports(tree: ast.AST) -> Iterator[tuple[ast.ImportFrom, bool]]:
    """The imports of this package, and whether they are of type checkers only."""
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rpusim":
            yield node, id(node) in for_types


def rooms_of(node: ast.ImportFrom) -> list[str]:
    parts = (node.module or "").split(".")
    return [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names if alias.name in set().union(*FLOORS)]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rooms_use_what_is_below_them(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for node, _ in imports(ast.parse(path.read_text())):
        for used in rooms_of(node):
            assert floor_of(used) <= floor_of(room), f"line {node.lineno}: {room} is below {used}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_names_cross_rooms_without_an_underscore(path):
    """Modules of the same folder may be private to it."""
    package = name_of(path).rpartition(".")[0]
    for node, _ in imports(ast.parse(path.read_text())):
        for alias in node.names:
            private = alias.name.startswith("_") and alias.name not in ("__version__", "_base", "_core")
            assert not private or node.module == package, f"line {node.lineno}: {alias.name} is private to {node.module}"


def test_no_two_modules_import_each_other():
    graph: dict[str, set[str]] = {}
    names = {name_of(path) for path in FILES}
    for path in FILES:
        graph[name_of(path)] = {
            one
            for node, for_types in imports(ast.parse(path.read_text()))
            if not for_types
            for one in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            if one in names
        }
    left = dict(graph)
    while left:
        free = [name for name, uses in left.items() if not uses & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short(path):
    text = path.read_text()
    lines = text.count("\n") - len(EXAMPLE.findall(text))
    assert lines <= 600, f"{lines} lines"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_are_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1
            assert lines <= 60, f"line {node.lineno}: {node.name} has {lines} lines"
