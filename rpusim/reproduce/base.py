"""What a reproduction is, and the registry of all."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim._base.citing import cite
from rpusim._base.notebook import as_html
from rpusim._base.validation import choice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Check", "Reproduction", "Result", "get", "names", "register"]


@dataclass(frozen=True)
class Check:
    """One number or claim: what was measured, what was published, and whether they agree.

    Attributes
    ----------
    label : str
    measured : float
    published : float
        nan for claims without a number.
    passed : bool
    required : bool, default True
        Whether the result fails without it.

    Examples
    --------
    >>> import rpusim as rpu
    >>> check = rpu.reproduce.Check("test error (%)", measured=2.1, published=2.0, passed=True)
    >>> check.label, check.passed, check.required
    ('test error (%)', True, True)
    """

    label: str
    measured: float
    published: float
    passed: bool
    required: bool = True


@dataclass(frozen=True)
class Result:
    """What a reproduction found.

    Attributes
    ----------
    name, source, criterion : str
        Of the reproduction.
    checks : tuple of Check
    least : float
        Share of the checks that are not required that must pass.
    settings, data : dict
        What was run, and the numbers behind the figure; both are ready for JSON.
    notes : tuple of str
        What is known about what does not agree.

    Examples
    --------
    >>> import rpusim as rpu
    >>> check = rpu.reproduce.Check("slope", measured=-1.02, published=-1.0, passed=True)
    >>> result = rpu.reproduce.Result("mine", "Somebody (2026)", "within 5 %", (check,))
    >>> result.passed
    True
    """

    name: str
    source: str
    criterion: str
    checks: tuple[Check, ...]
    least: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, str]]:
        checks = [
            (c.label, f"{c.measured:.4g}, published {c.published:.4g}: {'agrees' if c.passed else 'OFF'}") for c in self.checks
        ]
        return [("source", self.source), ("criterion", self.criterion), ("passed", str(self.passed)), *checks]

    @property
    def passed(self) -> bool:
        """Whether the criterion is met."""
        others = [check.passed for check in self.checks if not check.required]
        enough = not others or sum(others) >= self.least * len(others)
        return enough and all(check.passed for check in self.checks if check.required)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON (nan becomes None)."""
        checks = [
            {
                "label": c.label,
                "measured": _number(c.measured),
                "published": _number(c.published),
                "passed": bool(c.passed),
                "required": c.required,
            }
            for c in self.checks
        ]
        return {
            "name": self.name,
            "source": self.source,
            "criterion": self.criterion,
            "passed": self.passed,
            "checks": checks,
            "notes": list(self.notes),
            "settings": self.settings,
            "data": self.data,
        }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Reproduction:
    """One published figure or table.

    Attributes
    ----------
    name : str
        As the command line takes it.
    title, source : str
    run : callable
        ``run(quick, seed)``: computes it; `quick` means a small part of it, in at most a few minutes.
    draw : callable
        ``draw(result, width)``: the figure, whose panels come from `rpusim.plotting.style.panels`; `figure` calls it.
    trains : bool, default False
        Whether it trains networks, for hours: ``run(quick, seed, folder, epochs)`` keeps checkpoints in a folder, from which
        a run that was stopped goes on, and may be told to run fewer epochs than the paper.
    takes : str
        How long a full run takes, on one core, where that is known, and how long a quick one.
    papers : tuple of str
        Keys of what is computed anew; see `rpusim.citations`.
    seeded : bool, default False
        Whether it is a study, of conditions and seeds: ``run(quick, seed, folder, epochs, seeds, workers)`` keeps what is
        finished in one file, from which it goes on.
    epochs : int or None
        Epochs of a full run, of a study.

    Examples
    --------
    >>> import rpusim as rpu
    >>> found = rpu.reproduce.get("xiao2026-fig1")
    >>> found.source, found.trains
    ('Xiao et al. (2026), arXiv:2602.21321, Fig. 1 and Theorem 2.2', False)
    """

    name: str
    title: str
    source: str
    run: Callable[..., Result]
    draw: Callable[[Result, float | None], Figure]
    trains: bool = False
    takes: str = ""
    papers: tuple[str, ...] = ()
    seeded: bool = False
    epochs: int | None = None

    def compute(
        self,
        quick: bool = False,
        seed: int = 0,
        folder: Path | None = None,
        epochs: int | None = None,
        seeds: int | None = None,
        workers: int | None = None,
    ) -> Result:
        """Run it.

        Parameters
        ----------
        quick : bool
        seed : int
        folder : Path, optional
            Where checkpoints are kept, if it trains networks.
        epochs : int, optional
            Epochs to train, if it trains networks; by default those of the paper, or a few if `quick`.
        seeds, workers : int, optional
            How many seeds, from `seed` on, and in how many processes, if it is a study; by default 1.
        """
        cite(*self.papers)
        if self.seeded:
            return self.run(quick, seed, folder, epochs, seeds or 1, workers or 1)
        for name, value in (("seeds", seeds), ("workers", workers)):
            if value is not None:
                raise ValueError(f"{name} must be None for {self.name}, which is no study; got {value}")
        if self.trains:
            return self.run(quick, seed, folder, epochs)
        if epochs is not None:
            raise ValueError(f"epochs must be None for {self.name}, which trains no network; got {epochs}")
        return self.run(quick, seed)

    def figure(self, result: Result, width: float | None = None) -> Figure:
        """Draw a result; `width` in inches, as printed (7; 3.3 for a single panel)."""
        from rpusim.plotting.style import whole

        return whole(self.draw)(result, width)


#: the modules of this package whose reproductions enter the registry when they are imported
MODULES = (
    "benmeziane2023", "buechel2024", "buechel2025", "ferro2024", "gokmen2016", "gokmen2016_limits", "gokmen2017",
    "gokmen2018", "gokmen2020", "gokmen2021", "hardware_aware", "joshi2020", "karunaratne2019", "karunaratne2020", "kim2017",
    "kim2019", "li2024", "li2025", "li2025_fmnist", "liu2025", "lrtt", "momeni2024", "moraitis2017", "nandakumar2019",
    "onen2022", "onen2022_fig4", "onen2022_third", "rasch2018", "rasch2019", "rasch2024", "rasch2024_fig5", "wu2024",
    "wu2024_fig5", "wu2024_pipeline", "wu2025", "wu2025_table8", "xiao2026", "xiao2026_table2", "zhou2021",
)  # fmt: skip

_registry: dict[str, Reproduction] = {}


def register(reproduction: Reproduction) -> Reproduction:
    """Add a reproduction to the registry; return it."""
    if reproduction.name in _registry:
        raise ValueError(f"name must be new; got {reproduction.name!r}")
    _registry[reproduction.name] = reproduction
    return reproduction


def names() -> tuple[str, ...]:
    """Return the names of all reproductions.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import rpusim as rpu
    >>> "rasch2024-fig4" in rpu.reproduce.names()
    True
    """
    for module in MODULES:
        importlib.import_module(f"rpusim.reproduce.{module}")
    return tuple(sorted(_registry))


def get(name: str) -> Reproduction:
    """Return the reproduction called `name`; ValueError where there is none.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    Reproduction

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.reproduce.get("li2025-toy").title
    'the error of scalar targets falls with the number of four-state tiles'
    """
    return _registry[choice(*names())("name", name)]
