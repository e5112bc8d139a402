"""How presets are known by their names, with the papers that their numbers are from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from rpusim._base.citing import cite
from rpusim._base.papers import PAPERS
from rpusim._base.validation import choice
from rpusim.devices.base import PulsedDevice

__all__ = ["Source", "get", "names", "papers", "preset", "source"]

D = TypeVar("D", bound=PulsedDevice)


class Source(NamedTuple):
    """Where the numbers of a preset are from: `short` for tables, `citations` in full.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> presets.source("wu_linear").short
    'Wu et al. 2025'
    """

    short: str
    citations: tuple[str, ...]


_makers: dict[str, Callable[..., PulsedDevice]] = {}
_sources: dict[str, Source] = {}
_papers: dict[str, tuple[str, ...]] = {}


_OVERRIDES = "Parameters\n----------\n**overrides\n    Fields of the specification to change.\n\n"


def preset(short: str, *papers: str) -> Callable[[Callable[..., D]], Callable[..., D]]:
    """Register a preset with the keys of its papers, and append these to its docstring."""

    def register(make: Callable[..., D]) -> Callable[..., D]:
        citations = tuple(str(PAPERS[key]) for key in papers)
        _sources[make.__name__] = Source(short, citations)
        _papers[make.__name__] = papers
        references = "\n".join(f".. [{k}] {text}" for k, text in enumerate(citations, 1))
        text = inspect.cleandoc(make.__doc__ or "")
        taken = "" if "Parameters\n----------" in text else _OVERRIDES
        sections = f"{taken}Returns\n-------\n{inspect.signature(make).return_annotation}\n\n"
        text = text.replace("Examples\n--------", f"{sections}Examples\n--------")
        make.__doc__ = f"{text}\n\nReferences\n----------\n{references}\n"

        @functools.wraps(make)
        def cited(*args: Any, **kwargs: Any) -> D:
            device = make(*args, **kwargs)
            cite(*papers)
            return device

        _makers[make.__name__] = cited
        return cited

    return register


def names() -> tuple[str, ...]:
    """Names of all presets.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> "ecram_mo" in presets.names()
    True
    """
    return tuple(_makers)


def get(name: str, **overrides: Any) -> PulsedDevice:
    """Return the preset called `name`, with `overrides` as its function takes them.

    Parameters
    ----------
    name : str
        One of `names()`; dashes count as underscores.
    **overrides
        Fields to change.

    Returns
    -------
    PulsedDevice

    Raises
    ------
    ValueError, TypeError
        If there is no such preset or field, or a value is not allowed.

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> presets.get("gokmen-vlasov", dw_min_std=0.0)
    ConstantStep(dw_min=0.0016, dw_min_std=0.0, w_max=1.0, w_min=-1.0)
    """
    return _makers[_known(name)](**overrides)


def source(name: str) -> Source:
    """Return where the numbers of the preset called `name` are from.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    Source

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> presets.source("reram_es").short
    'Gong et al. 2018'
    """
    return _sources[_known(name)]


def papers(name: str) -> tuple[str, ...]:
    """Return the keys of the papers of the preset called `name`, as `rpusim.citations` takes them.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from rpusim.devices import presets
    >>> presets.papers("capacitor")
    ('li2018', 'kim2017')
    """
    return _papers[_known(name)]


def _known(name: str) -> str:
    return str(choice(*_makers)("name", name.replace("-", "_") if isinstance(name, str) else name))
