"""What a sweep runs: a function, and what is known of its arguments."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpusim._base.validation import shown
from rpusim.sweep.settings import Resolver, SettingError, assembled

__all__ = ["Task", "numbers_of_result"]

#: arguments that a sweep sets itself
OWN = ("rng", "seed", "folder")


@dataclass(frozen=True)
class Task:
    """A function with what is known of its arguments.

    Attributes
    ----------
    name : str
        "regression", or "module:function"; part of what a point is.
    function : callable
    resolvers : dict of str to callable
        What makes an argument of what is set.
    checks : dict of str to callable
        ``check(name, value)`` of `rpusim._base.validation`.
    impossible : callable or None
        Called with arguments and settings, raises where they contradict each other.
    minimize, maximize : str or None
    folder : Path or None
        Where the file of the function is.
    """

    name: str
    function: Callable[..., Any]
    resolvers: Mapping[str, Resolver] = field(default_factory=dict)
    checks: Mapping[str, Callable[[str, Any], Any]] = field(default_factory=dict)
    impossible: Callable[[dict[str, Any], Mapping[str, Any]], None] | None = None
    minimize: str | None = None
    maximize: str | None = None
    folder: Path | None = None

    @functools.cached_property
    def arguments(self) -> dict[str, inspect.Parameter]:
        """The arguments that settings may name, in order."""
        return {name: p for name, p in self._parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}

    @functools.cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters

    @property
    def required(self) -> list[str]:
        """Arguments without a default."""
        return [name for name, p in self.arguments.items() if p.default is p.empty and name not in OWN]

    def check_name(self, head: str) -> None:
        """Raise where there is no argument of this name to set."""
        known = [name for name in self.arguments if name not in OWN]
        open_ended = any(p.kind is p.VAR_KEYWORD for p in self._parameters.values())
        if head in OWN:
            raise SettingError(
                head, f"{head} must not be set: every point has its own; `rng` and `seeds` of the study make them"
            )
        if head not in known and not open_ended:
            raise SettingError(head, f"{head} must be an argument of {self.name}, one of {', '.join(known)}")

    def call_arguments(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that settings make, checked."""
        defaults = {n: p.default for n, p in self.arguments.items() if n not in OWN and p.default is not p.empty}
        whole = assembled(settings, defaults | {n: None for n in self.required if n in self.resolvers}, self.resolvers)
        for name, check in self.checks.items():
            if name in whole:
                try:
                    whole[name] = check(name, whole[name])
                except (TypeError, ValueError) as error:
                    raise SettingError(name, str(error)) from None
        return whole

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise where settings make no arguments, or such that contradict each other."""
        whole = self.call_arguments(settings)
        if self.impossible is not None:
            self.impossible(whole, settings)

    def reference(self) -> tuple[Any, Path | None]:
        """What `rpusim.sweep.lookup.task_of` finds this task by in another process."""
        return (self.function if self.folder is None and ":" in self.name else self.name), self.folder


def numbers_of_result(result: Any) -> dict[str, float | int | bool]:
    """Return what a task returned as plain numbers by name; a number alone is "value"."""
    table = result if isinstance(result, Mapping) else {"value": result}
    out: dict[str, float | int | bool] = {}
    for name, value in table.items():
        value = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value
        value = math.nan if value is None else value
        if not isinstance(name, str) or not isinstance(value, numbers.Real):
            raise TypeError(f"a task must return a number, or a dict of numbers by name; got {shown(value)} as {shown(name)}")
        out[name] = value if isinstance(value, (bool, int, float)) else float(value)
    if not out:
        raise TypeError("a task must return at least one number; got none")
    return out
