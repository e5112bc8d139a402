"""States: what later results depend on, declared once; dicts, checks, restoring and versions follow from the declaration.

An object that has a state says so by its entries (`Stateful._entries`): for each one how it is read, what it must be, and
how it is put back. `state_dict` reads them; `load_state_dict` first checks all of them, of the object and of its parts, and
then puts them back, so that a state that is refused changes nothing.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim._base.notebook import as_html
from rpusim._base.random import words_of
from rpusim._base.specification import Specification, from_dict, plain_json
from rpusim._base.validation import Check, integer, numbers_of, one_or_more, plain_array, shown, signal
from rpusim._core.lock import Lock, Look

__all__ = []


@dataclass(frozen=True)
class Entry:
    """One value of a state."""

    get: Callable[[], Any]
    #: (name, value) -> what `put` takes; raises TypeError or ValueError
    check: Callable[[str, Any], Any]
    put: Callable[[Any], object]


class Stateful:
    """Base of what has a state that is saved and restored."""

    @abstractmethod
    def _entries(self) -> dict[str, Entry]:
        """The state by name, in the order in which it is put back."""

    _repr_html_ = as_html

    def _agree(self, name: str, checked: dict[str, Any]) -> None:
        """Raise ValueError where entries that are right by themselves contradict each other."""

    def _restored(self) -> None:
        """Do what follows from new entries."""

    def _guard(self) -> Lock | None:
        """Return the lock of whoever changes the state."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later results depend on, as a nested dict of arrays and plain values."""
        lock = self._guard()
        with nullcontext() if lock is None else Look(lock):
            return {name: entry.get() for name, entry in self._entries().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; what follows are the same bits.

        Raises
        ------
        TypeError, ValueError
            If the state is of another specification, shape or version, or damaged. Nothing is changed then.
        """
        self.restore(self.checked_state("state", state))

    def checked_state(self, name: str, state: Any) -> dict[str, Any]:
        """Return a state with every entry checked and converted; nothing is changed here."""
        entries = self._entries()
        check_entries(name, state, entries)
        checked = {key: entry.check(f"{name}[{key!r}]", state[key]) for key, entry in entries.items()}
        self._agree(name, checked)
        return checked

    def restore(self, checked: dict[str, Any]) -> None:
        """Put back what `checked_state` returned."""
        lock = self._guard()
        with nullcontext() if lock is None else lock:
            for key, entry in self._entries().items():
                entry.put(checked[key])
        self._restored()


# ---- kinds of entries ------------------------------------------------------------------------------------------------


def value(get: Callable[[], Any], put: Callable[[Any], object], check: Callable[[str, Any], Any]) -> Entry:
    """A number, or a list of them."""
    return Entry(get, check, put)


def attribute(owner: Any, name: str, check: Callable[[str, Any], Any]) -> Entry:
    """A number that is an attribute."""
    return Entry(lambda: getattr(owner, name), check, lambda new: setattr(owner, name, new))


def numbers(owner: Any, name: str, check: Check, length: int) -> Entry:
    """A tuple of numbers that is an attribute, saved as a list."""
    return Entry(
        lambda: list(getattr(owner, name)),
        lambda label, values: checked_list(label, values, length, check),
        lambda new: setattr(owner, name, tuple(new)),
    )


def buffer(array: NDArray[Any], *, low: float | None = None, among: tuple[int, ...] = ()) -> Entry:
    """An array that is filled anew where it is: of its shape and kind; integers of at least `low`, or some of a few."""

    def put(new: NDArray[Any]) -> None:
        array[...] = new

    return Entry(array.copy, lambda name, given: checked_array(name, given, array, low=low, among=among), put)


def tables(own: MutableMapping[str, NDArray[Any]], shape: tuple[int, ...] | None = None) -> Entry:
    """Arrays by name, which are replaced: of their shapes, or of `shape` or one number where that is given."""

    def check(name: str, state: Any) -> dict[str, NDArray[Any]]:
        check_entries(name, state, own)
        out = {}
        for key, array in own.items():
            label = f"{name}[{key!r}]"
            if shape is None:
                out[key] = checked_array(label, state[key], array)
            else:
                given = plain_array(label, state[key], "real numbers")
                out[key] = signal(label, given, (1, 1) if given.shape == (1, 1) else shape).copy()
        return out

    return Entry(lambda: {key: array.copy() for key, array in own.items()}, check, own.update)


def several(entries: Sequence[Entry]) -> Entry:
    """A list of entries."""

    def check(name: str, states: Any) -> list[Any]:
        if not isinstance(states, (list, tuple)) or len(states) != len(entries):
            raise ValueError(f"{name} must be a list of {len(entries)} entries; got {shown(states)}")
        return [entry.check(f"{name}[{k}]", state) for k, (entry, state) in enumerate(zip(entries, states, strict=True))]

    def put(checked: list[Any]) -> None:
        for entry, new in zip(entries, checked, strict=True):
            entry.put(new)

    return Entry(lambda: [entry.get() for entry in entries], check, put)


def group(entries: Mapping[str, Entry]) -> Entry:
    """Entries by name within an entry."""

    def check(name: str, state: Any) -> dict[str, Any]:
        check_entries(name, state, entries)
        return {key: entry.check(f"{name}[{key!r}]", state[key]) for key, entry in entries.items()}

    def put(checked: dict[str, Any]) -> None:
        for key, entry in entries.items():
            entry.put(checked[key])

    return Entry(lambda: {key: entry.get() for key, entry in entries.items()}, check, put)


def listed(get: Callable[[], Sequence[Any]], put: Callable[[list[Any]], object], check: Callable[[str, Any], Any]) -> Entry:
    """Arrays, or dicts of them, as many as there are, under "0", "1", ...; `check` is of one of them."""

    def check_all(name: str, values: Any) -> list[Any]:
        places = list(map(str, range(len(values)))) if isinstance(values, dict) else []
        check_entries(name, values, places)
        return [check(f"{name}[{place!r}]", values[place]) for place in places]

    return Entry(lambda: {str(k): one.copy() for k, one in enumerate(get())}, check_all, put)


def seeds(owner: Any, name: str) -> Entry:
    """A seed sequence that is an attribute."""
    keys = numbers_of(integer(0))
    words = {"entropy": one_or_more(integer(0, 2**10_000)), "pool_size": integer(4, 1 << 16)}

    def check(label: str, saved: Any) -> np.random.SeedSequence:
        check_entries(label, saved, {*words, "spawn_key"})
        key = saved["spawn_key"]
        given = {word: check(f"{label}[{word!r}]", saved[word]) for word, check in words.items()}
        return np.random.SeedSequence(**given, spawn_key=() if key == [] else keys(f"{label}['spawn_key']", key))

    return Entry(lambda: words_of(getattr(owner, name)), check, lambda new: setattr(owner, name, new))


def part(whole: Any) -> Entry:
    """The state of an object that belongs to another.

    One that loads in its own way (a tile or a layer of a user) is checked by loading, after which it gets back what it had.
    """
    if getattr(type(whole), "load_state_dict", None) is Stateful.load_state_dict:
        return Entry(whole.state_dict, whole.checked_state, whole.restore)

    def check(name: str, state: Any) -> Any:
        before = whole.state_dict()
        try:
            whole.load_state_dict(state)
        finally:
            whole.load_state_dict(before)
        return state

    return Entry(whole.state_dict, check, whole.load_state_dict)


def parts(wholes: Sequence[Stateful]) -> Entry:
    """The states of several objects, under "0", "1", ..."""
    return group({str(k): part(whole) for k, whole in enumerate(wholes)})


def version(number: int, oldest: int | None = None) -> Entry:
    """The version of a state, which must be this one, or an earlier one from `oldest` on."""
    first = number if oldest is None else oldest

    def check(name: str, saved: Any) -> int:
        if not isinstance(saved, (int, np.integer)) or not first <= saved <= number:
            raise ValueError(f"{name} must be {number if first == number else f'{first} to {number}'}; got {shown(saved)}")
        return number

    return Entry(lambda: number, check, lambda _: None)


def same_specification(what: str, own: Mapping[str, Specification]) -> Entry:
    """What an object was built from, which must be the same; fields that came later count as their defaults."""
    text = json.dumps([one.to_dict() for one in own.values()])

    def check(name: str, saved: Any) -> str:
        completed = completed_specification(saved)
        if completed != text:
            whole = name.rpartition("[")[0]
            raise ValueError(
                f"{whole} must be of {what} with the same specification; got {differences_of(own, text, completed)}"
            )
        return text

    return Entry(lambda: text, check, lambda _: None)


# ---- checks ----------------------------------------------------------------------------------------------------------


def checked_array(
    name: str, given: Any, own: NDArray[Any], *, low: float | None = None, among: tuple[int, ...] = ()
) -> NDArray[Any]:
    """Return a copy of `given` if it is an array of the shape and the kind of `own`."""
    if own.dtype == np.float32:
        return signal(name, given, own.shape).copy()
    array = plain_array(name, given, "numbers")
    if own.dtype == np.float64:
        what, right = "finite float64 numbers", array.dtype == np.float64
        right = right and array.shape == own.shape and bool(np.all(np.isfinite(array)))
    else:
        what, right = "integers", array.dtype.kind in "iu" and array.shape == own.shape
        if low is not None:
            what, right = f"integers of at least {low:g}", right and not np.any(array < low)
        if among:
            what = f"integers, each {' or '.join(map(str, among))},"
            right = right and array.dtype == own.dtype and bool(np.isin(array, among).all())
    if not right:
        raise ValueError(f"{name} must be {what} of shape {own.shape}; got dtype {array.dtype}, shape {array.shape}")
    return array.astype(own.dtype)  # a copy


def check_entries(name: str, state: Any, expected: Collection[str]) -> dict[str, Any]:
    """Return `state` if it is a dict with the entries of `expected`."""
    if not isinstance(state, dict):
        raise TypeError(f"{name} must be a dict made by state_dict(); got {type(state).__name__}")
    if set(state) != set(expected):
        raise ValueError(f"{name} must have the entries {sorted(expected)}; got {shown(sorted(map(str, state)))}")
    return state


def checked_list(name: str, values: Any, length: int, check: Callable[[str, Any], Any]) -> list[Any]:
    """Return `values` if it is a list of `length` numbers that `check` accepts."""
    if not isinstance(values, (list, tuple)) or len(values) != length:
        raise ValueError(f"{name} must be a list of {length} numbers; got {shown(values)}")
    return [check(f"{name}[{k}]", value) for k, value in enumerate(values)]


def completed_specification(saved: Any) -> Any:
    """A saved specification with the defaults of fields that came after it was saved."""
    try:
        return json.dumps([from_dict(part).to_dict() for part in plain_json("saved", saved)])
    except (TypeError, ValueError):
        return saved


def differences_of(names: Mapping[str, Any], own: str, other: Any) -> str:
    """What a saved specification has that an object's own has not, field by field."""
    try:
        saved = plain_json("saved", other)
        assert len(saved) == len(names) and all(isinstance(part, dict) for part in saved)
    except (AssertionError, TypeError, ValueError):
        return f"{other!r:.100}"
    found = []

    def compare(path: str, here: Any, there: Any) -> None:
        if isinstance(here, dict) and isinstance(there, dict) and here.get("type") == there.get("type"):
            for field in {**here, **there}:
                compare(f"{path}.{field}", here.get(field, ...), there.get(field, ...))
        elif here != there:
            values = (v.get("type", v) if isinstance(v, dict) else v for v in (there, here))
            found.append("{} {}, not {}".format(path, *("nothing" if v is ... else repr(v) for v in values)))

    for name, here, there in zip(names, json.loads(own), saved, strict=True):
        compare(name, here, there)
    return "; ".join(found) or f"{other!r:.100}"
