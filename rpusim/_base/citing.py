"""What a session used, and the papers that it comes from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rpusim._base.validation import choice
from rpusim._base.version import __version__

if TYPE_CHECKING:
    from rpusim._base.papers import Paper

__all__ = ["Citations", "citations", "cite", "note"]

#: kinds of specifications that something was built from, and keys of papers, in the order in which they were first used
_kinds: dict[type, None] = {}
_keys: dict[str, None] = {}


def note(*specifications: Any) -> None:
    """Remember that something is built from these; a few hundred nanoseconds, whatever they are."""
    for one in specifications:
        _kinds[type(one)] = None


def cite(*keys: str) -> None:
    """Remember that what comes from these papers is used."""
    _keys.update(dict.fromkeys(keys))


class Citations(list["Paper"]):
    """Papers, as `citations` found them: prints as a list, and as BibTeX by `bibtex`.

    Attributes
    ----------
    keys : tuple of str
        Of each paper: what it is called in BibTeX.

    Examples
    --------
    >>> import rpusim as rpu
    >>> print(rpu.citations("gokmen2021").bibtex())
    @article{gokmen2021,
      author = {Gokmen, T.},
      title = {{Enabling training of neural networks on noisy hardware}},
      year = {2021},
      journal = {Frontiers in Artificial Intelligence 4, 699148},
      doi = {10.3389/frai.2021.699148}
    }
    """

    def __init__(self, papers: dict[str, Paper]) -> None:
        super().__init__(papers.values())
        self.keys = tuple(papers)

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def bibtex(self) -> str:
        """Return all of them as the text of a BibTeX file."""
        return "\n\n".join(paper.bibtex(key) for key, paper in zip(self.keys, self, strict=True))


def citations(*things: Any) -> Citations:
    """Return the papers that devices, algorithms, chips and reproductions of this session come from, and this program.

    Counted is what arrays, tiles and chips were built from, presets and chips that were asked for by name, and reproductions
    that were run, by this process.

    Parameters
    ----------
    *things
        Without any: what the session used. Else specifications (with those in their fields), their classes, or keys of papers:
        the papers of these alone.

    Returns
    -------
    Citations

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.SHD(rpu.devices.SoftBounds())
    >>> for paper in rpu.citations(rule):
    ...     print(paper.short)
    Onen et al. (2022)
    Rasch et al. (2021)
    Gokmen and Vlasov (2016)
    Gokmen et al. (2017)
    """
    from rpusim._base.papers import PAPERS, Paper

    program = "rpusim: physics of resistive crossbar arrays, and the training algorithms that run on them"
    papers = {"rpusim": Paper("{The rpusim developers}", 2026, program, what=f"version {__version__}")} | PAPERS
    found: dict[str, None] = {}
    for thing in things:
        found |= dict.fromkeys([choice(*papers)("things", thing)] if isinstance(thing, str) else _papers_of(thing))
    if not things:
        found = {"rpusim": None} | dict.fromkeys(key for kind in list(_kinds) for key in getattr(kind, "papers", ()))
        found |= _keys
    return Citations({key: papers[key] for key in found})


def _papers_of(thing: Any) -> list[str]:
    """Keys of the papers of a specification or its class, and of those in its fields."""
    if not hasattr(thing, "papers"):
        raise TypeError(f"things must be specifications, their classes or keys of papers; got {type(thing).__name__}")
    found = list(thing.papers)
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        for field in dataclasses.fields(thing):
            value = getattr(thing, field.name)
            for one in value if isinstance(value, tuple) else (value,):
                found += _papers_of(one) if hasattr(one, "papers") else []
    return found
