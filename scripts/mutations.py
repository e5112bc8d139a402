#!/usr/bin/env python3
"""Break laws on purpose, one at a time, and see that the tests notice.

    scripts/mutations.py                      all of mutation_table.py and mutation_table_more.py
    scripts/mutations.py --list
    scripts/mutations.py --floor devices      one floor; --name TEXT: those whose name has it; both may be repeated
    scripts/mutations.py --seed 1 --most 20   twenty of them, drawn

A mutation is a text that exactly one source of the package has, another text in its place, and the tests that must then fail.
It is made in a temporary copy of the tree, where compiled sources are rebuilt; this tree is not touched, and its compiled
modules are taken as up to date. Before anything is broken all those tests must pass there. Results: killed; SURVIVED (the
tests passed); NOT FOUND (no source has the text), AMBIGUOUS (several have), BROKEN (nothing was tested: the build or the
collection of tests failed). The exit status is 1 unless all are killed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import mutation_table
import mutation_table_more

ROOT = Path(__file__).resolve().parents[1]
TABLE = mutation_table.TABLE + mutation_table_more.TABLE
SOURCES = (".py", ".pyx", ".pxd", ".h", ".c")
KEPT = ("rpusim", "tests", "docs", "setup.py", "pyproject.toml", "README.md")
TIMEOUT_S = 600
START = time.time()


class Mutation(NamedTuple):
    """A row of the table; `tests` are names of files in tests/, with ::test where not all of a file is meant."""

    floor: str
    name: str
    old: str
    new: str
    tests: tuple[str, ...]


def is_generated(path: Path) -> bool:
    """Whether Cython or the compiler made it."""
    return path.suffix in (".so", ".pyd") or path.suffix == ".c" and "kernels" not in path.parent.name


def copy_tree(target: Path) -> None:
    """Copy sources and compiled modules, dated so that these are newer than what they were made of."""
    for name in KEPT:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.o")
            shutil.copytree(source, target / name, ignore=ignored, copy_function=shutil.copy)
        else:
            shutil.copy(source, target / name)
    for path in target.rglob("*"):
        if path.is_file():
            date_back(path)


def date_back(path: Path) -> None:
    age = 3000 - 1000 * is_generated(path) - 1000 * (path.suffix in (".so", ".pyd"))
    os.utime(path, (START - age, START - age))


def find(tree: Path, text: str) -> list[Path]:
    """Return the sources of the package that have the text; one twice if it has it twice."""
    found = []
    for path in sorted((tree / "rpusim").rglob("*")):
        if path.suffix in SOURCES and not is_generated(path):
            found += [path] * path.read_text(encoding="utf-8").count(text)
    return found


def tests_of(tree: Path, names: tuple[str, ...]) -> list[str]:
    """Return what pytest calls the tests, wherever their files are."""
    out = []
    for name in names:
        file, _, test = name.partition("::")
        places = list((tree / "tests").rglob(file))
        if len(places) != 1:
            raise SystemExit(f"mutations: {len(places)} files of tests are called {file}")
        out.append(str(places[0].relative_to(tree)) + (f"::{test}" if test else ""))
    return out


def run(tree: Path, command: list[str], **more: str) -> tuple[int, str]:
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg", **more}
    try:
        done = subprocess.run(
            [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return 1, "timeout"  # a loop that ends no more is noticed
    return done.returncode, done.stdout + done.stderr


def pytest(tree: Path, names: tuple[str, ...]) -> tuple[int, str]:
    return run(tree, ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests_of(tree, names)])


def build(tree: Path) -> tuple[int, str]:
    """Build what has changed; with RPUSIM_DEBUG, which compiles faster than it computes."""
    return run(tree, ["setup.py", "-q", "build_ext", "--inplace"], RPUSIM_DEBUG="1")


def restore(tree: Path, path: Path, compiled: bool) -> None:
    """Put the source back, and what was built of it."""
    changed = [path] + ([p for p in (tree / "rpusim").rglob("*") if is_generated(p)] if compiled else [])
    for place in changed:
        original = ROOT / place.relative_to(tree)
        if original.exists():
            shutil.copy(original, place)
            date_back(place)
    shutil.rmtree(tree / "build", ignore_errors=True)


def try_one(tree: Path, mutation: Mutation) -> tuple[str, str]:
    """Return the result, and the end of what pytest or the compiler said where that helps."""
    places = find(tree, mutation.old)
    if len(places) != 1:
        return ("NOT FOUND", "") if not places else ("AMBIGUOUS", ", ".join(str(p.relative_to(tree)) for p in places))
    (path,) = places
    compiled = path.suffix != ".py"
    path.write_text(path.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        if compiled:
            status, said = build(tree)
            if status:
                return "BROKEN", said[-2000:]
        status, said = pytest(tree, mutation.tests)
    finally:
        restore(tree, path, compiled)
    return {0: "SURVIVED", 1: "killed"}.get(status, "BROKEN"), said[-600:] if status not in (0, 1) else ""


def chosen(args: argparse.Namespace) -> list[Mutation]:
    table = [Mutation(*row) for row in TABLE]
    names = [mutation.name for mutation in table]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SystemExit(f"mutations: names must be different; twice: {', '.join(twice)}")
    if args.floor:
        table = [m for m in table if m.floor in args.floor]
    if args.name:
        table = [m for m in table if any(text in m.name for text in args.name)]
    if not table:
        raise SystemExit("mutations: none is meant; see --list")
    if args.seed is not None:
        random.Random(args.seed).shuffle(table)
    return table[: args.most]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the table")
    parser.add_argument("--only", "--name", dest="name", action="append", metavar="NAME", help="those whose name has it")
    parser.add_argument("--floor", action="append", metavar="FOLDER", help="those of a floor")
    parser.add_argument("--seed", type=int, help="in an order drawn with it")
    parser.add_argument("--most", type=int, metavar="N", help="no more than N")
    parser.add_argument("--trust", action="store_true", help="do not run the tests on the tree as it is first")
    args = parser.parse_args()
    table = chosen(args)
    if args.list:
        for m in table:
            print(f"{m.floor:<12} {m.name:<58} {', '.join(m.tests)}")
        return 0
    results: list[tuple[Mutation, str]] = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        if not args.trust:
            status, said = pytest(tree, tuple(dict.fromkeys(test for m in table for test in m.tests)))
            if status:
                print(said[-3000:])
                print("mutations: the tests fail before anything is broken")
                return 1
        for mutation in table:
            begin = time.monotonic()
            result, said = try_one(tree, mutation)
            results.append((mutation, result))
            print(f"{result:<9} {mutation.floor:<12} {mutation.name}  ({time.monotonic() - begin:.0f} s)", flush=True)
            if said:
                print(said, flush=True)
    print("\nfloor         killed  of")
    for floor in sorted({m.floor for m, _ in results}):
        own = [result for m, result in results if m.floor == floor]
        print(f"{floor:<12} {own.count('killed'):>7} {len(own):>3}")
    left = [(m, result) for m, result in results if result != "killed"]
    print(f"{'all':<12} {len(results) - len(left):>7} {len(results):>3}")
    for m, result in left:
        print(f"{result}: {m.floor}, {m.name}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
