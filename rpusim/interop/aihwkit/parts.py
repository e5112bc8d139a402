"""One part of a configuration: a dict or an object, of which every setting is either used or refused."""

from __future__ import annotations

import dataclasses
import difflib
import enum
from collections.abc import Mapping
from typing import Any

from rpusim._base.validation import shown
from rpusim.devices import presets

__all__ = ["Part", "word"]

#: settings that change nothing here
IDLE = ("construction_seed", "count_pulses", "bindings_class", "bindings_module", "use_bindings", "bindings_ignore")


def word(value: Any) -> str:
    """A member of one of AIHWKit's enums, or its name, as a lower-case word without underscores."""
    text = value.name if isinstance(value, enum.Enum) else str(value)
    return text.rpartition(".")[2].replace("_", "").lower()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, enum.Enum) or isinstance(other, enum.Enum):
        return word(one) == word(other)
    return type(one) is type(other) and vars(one) == vars(other) if hasattr(one, "__dict__") else bool(one == other)


def _hint(name: Any, kinds: Any) -> str:
    """What was given where none of these classes is, and what may have been meant."""
    if name is None:
        return "a dict without 'class'"
    text = str(name)
    if "Preset" in text:
        found = {name.replace("_", ""): name for name in presets.names()}.get(text.partition("Preset")[0].lower())
        there = f", of which rpusim.devices.presets.{found} is one," if found else ""
        return f"{shown(name)}: presets{there} are read as AIHWKit's objects, which bring their settings"
    close = difflib.get_close_matches(text, list(kinds), 1)
    return f"{shown(name)}{f': {close[0]}?' if close else ''}"


class Part:
    """A part of a configuration.

    Parameters
    ----------
    value : dict or object
    path : str
        Where it is, for messages.
    kinds : collection of str
        Names of classes that may be here.
    notes : list of str
        To which what differs is added.
    expected : str, optional
        The class of a dict that does not say it.
    """

    def __init__(self, value: Any, path: str, kinds: Any, notes: list[str], expected: str | None = None) -> None:
        self.value, self.path, self.notes = value, path, notes
        self.used: set[str] = {"class"}
        self.is_dict = isinstance(value, Mapping)
        names = [value.get("class", expected)] if self.is_dict else [kind.__name__ for kind in type(value).__mro__]
        found = next((name for name in names if name in kinds), None)
        if found is None:
            raise ValueError(f"{path} must be one of {', '.join(sorted(kinds))}; got {_hint(names[0], kinds)}")
        self.kind: str = found

    def has(self, name: str) -> bool:
        """Return whether it says something of a setting."""
        return name in self.value if self.is_dict else hasattr(self.value, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting, and the default of AIHWKit where a dict does not say it."""
        self.used.add(name)
        return self.value.get(name, default) if self.is_dict else getattr(self.value, name, default)

    def word(self, name: str, default: str) -> str:
        """Return a setting that is one of an enum."""
        return word(self.get(name, default))

    def one_of(self, name: str, default: str, table: Mapping[str, Any]) -> Any:
        """Return what a word stands for here; an error names those that have no counterpart."""
        found = self.word(name, default)
        if found not in table:
            raise self.refusal(name, f"one of {', '.join(table)}")
        return table[found]

    def numbers(self, *names: str, **renamed: str) -> dict[str, Any]:
        """Return settings that are said, under our names."""
        own = {**{name: name for name in names}, **{theirs: ours for ours, theirs in renamed.items()}}
        return {ours: self.get(theirs) for theirs, ours in own.items() if self.has(theirs)}

    def refusal(self, name: str, allowed: str) -> ValueError:
        """An error for a setting that has no counterpart."""
        return ValueError(f"{self.path}.{name} must be {allowed}, others have no counterpart here; got {shown(self.get(name))}")

    def only(self, name: str, *allowed: Any) -> None:
        """Refuse a setting that is none of some values."""
        value = self.get(name, allowed[0])
        if not any(_same(value, one) or (not self.is_dict and value is None) for one in allowed):
            raise self.refusal(name, " or ".join(map(repr, allowed)))

    def note(self, text: str) -> None:
        """Say what differs."""
        if f"{self.path}: {text}" not in self.notes:
            self.notes.append(f"{self.path}: {text}")

    def done(self) -> None:
        """Refuse what nothing has asked for: all of a dict, and of a dataclass what is not at its default."""
        if self.is_dict:
            left = [name for name in self.value if name not in self.used and name not in IDLE]
        elif dataclasses.is_dataclass(self.value):
            left = [
                field.name
                for field in dataclasses.fields(self.value)
                if field.name not in self.used
                and field.name not in IDLE
                and not _same(getattr(self.value, field.name, None), _default(field))
            ]
        else:
            left = []
        if left:
            known = ", ".join(sorted(self.used - {"class"}))
            value = shown(self.get(left[0]))
            raise ValueError(
                f"{self.path}.{left[0]} has no counterpart here; got {value} of a {self.kind}, whose others have: {known}"
            )


def _default(field: Any) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
