"""Every public name says what it is, what it takes, what it gives, and shows it by an example (which test_doctests.py runs)."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import rpusim

ROOT = Path(rpusim.__file__).parent
#: modules of public names that have no list of their own in a stub; of extras only where they are installed
MORE = (
    "_base.checkpoint", "algorithms.named", "devices.presets", "experiments", "inference.chips", "interop.aihwkit",
    "interop.onnx", "interop.sklearn", "interop.spice", "interop.torch", "plotting",
)  # fmt: skip
ROOMS = ["rpusim", *(f"rpusim.{stub.parent.name}" for stub in sorted(ROOT.glob("*/__init__.pyi")))]
SUBMODULES = {"rpusim.interop.sklearn": "sklearn", "rpusim.interop.torch": "torch"}
#: whose examples do not run: data sets, which tests do not download, and what needs a package that is an extra
SKIPPED = {
    "cifar10", "emg", "fashion_mnist", "languages", "mnist", "omniglot", "spoken_digits", "uci", "uci_regression",
    "interop.onnx.load", "interop.onnx.save",
}  # fmt: skip
#: numbers, strings and tables, which have no docstring
CONSTANTS = {"DOUBLE", "HERMES_FOUR_PHASE", "HERMES_ONE_PHASE", "KINDS", "METHODS", "SINGLE", "__version__"}


def public_names():
    """(package, name) of everything public that is a class or a function, each once."""
    seen = set()
    for room in [*ROOMS, *(f"rpusim.{name}" for name in MORE)]:
        if room in SUBMODULES:
            try:
                importlib.import_module(SUBMODULES[room])
            except ImportError:
                continue
        module = importlib.import_module(room)
        for name in module.__all__:
            if room == "rpusim.interop":
                continue
            value = getattr(module, name)
            if not inspect.ismodule(value) and id(value) not in seen:
                seen.add(id(value))
                yield room, name


NAMES = list(public_names())
CALLABLES = [(room, name) for room, name in NAMES if name not in CONSTANTS]


def value_of(room, name):
    return getattr(importlib.import_module(room), name)


@cache
def by_name():
    """All public classes and functions, and those of the modules that they are in, by name."""
    found = {}
    for room, name in CALLABLES:
        value = value_of(room, name)
        found |= {key: one for key, one in vars(inspect.getmodule(value)).items() if callable(one)}
    return found | {name: value_of(room, name) for room, name in CALLABLES}


def told(value, depth=3):
    """The docstring of something, those of its bases, and those that it refers to."""
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value):
        text = "\n".join([text, *(inspect.getdoc(base) or "" for base in value.__mro__[1:-1])])
    for name in re.findall(r"`(\w+)`", text) if depth else ():
        if name in by_name() and by_name()[name] is not value:
            text += "\n" + told(by_name()[name], depth - 1)
    return text


def has(section, doc):
    return re.search(rf"^{section}\n-+$", doc, re.MULTILINE) is not None


def parameters(value):
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return []
    return [name for name in signature.parameters if name not in ("self", "args", "kwargs", "_") and name[0] != "_"]


def test_all_names_are_found_and_constants_are_constants():
    assert len(NAMES) > 350
    constants = {name for room, name in NAMES if not callable(value_of(room, name))}
    assert constants == CONSTANTS


@pytest.mark.parametrize(("room", "name"), CALLABLES)
def test_a_name_says_what_it_is_and_shows_it(room, name):
    doc = inspect.getdoc(value_of(room, name)) or ""
    summary = doc.split("\n\n")[0]
    assert summary and summary.rstrip()[-1] in ".:", summary
    assert has("Examples", doc), "no section of examples"
    assert ">>>" in doc.split("Examples\n--------")[1], "no example"


def test_examples_run_but_for_those_that_cannot():
    idle = set()
    for room, name in CALLABLES:
        lines = [line for line in (inspect.getdoc(value_of(room, name)) or "").splitlines() if line.strip().startswith(">>>")]
        if all("+SKIP" in line for line in lines):
            idle.add(name if room == "rpusim.datasets" else f"{room.removeprefix('rpusim.')}.{name}")
    assert idle == SKIPPED


@pytest.mark.parametrize(("room", "name"), CALLABLES)
def test_a_name_says_what_it_takes_and_gives(room, name):
    value = value_of(room, name)
    doc, names = inspect.getdoc(value) or "", parameters(value)
    if inspect.isfunction(value):
        assert not names or has("Parameters", doc), "no section of parameters"
        gives = inspect.signature(value).return_annotation not in (None, "None", inspect.Signature.empty)
        assert not gives or has("Returns", doc) or has("Yields", doc), "no section of what is returned"
    text = told(value)
    assert [one for one in names if not re.search(rf"\b{one}\b", text)] == []
