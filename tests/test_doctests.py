"""Every example in every docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import rpusim

#: packages that a module needs, which are extras
NEEDS = {"rpusim.interop.sklearn": "sklearn", "rpusim.interop.torch": "torch"}
MODULES = [m.name for m in pkgutil.walk_packages(rpusim.__path__, "rpusim.") if not m.name.endswith("__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_examples_are_found():
    finder = doctest.DocTestFinder()
    examples = [t for name in MODULES if name not in NEEDS for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) >= 10
