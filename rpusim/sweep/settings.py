"""Settings of a point: plain values by dotted names, and the arguments that they make."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rpusim._base.specification import Specification, from_dict
from rpusim._base.validation import shown

__all__ = ["SettingError", "assembled", "heads", "label", "plain"]

Resolver = Callable[[Any, Mapping[str, Any]], Any]


class SettingError(ValueError):
    """A setting of a study that is wrong: `setting` is its name, the message says what is allowed.

    Examples
    --------
    >>> import rpusim as rpu
    >>> try:
    ...     rpu.sweep.Study("regression", {"learning_rate": [0.01]}).points()
    ... except rpu.sweep.SettingError as error:
    ...     print(error.setting)
    learning_rate
    """

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.setting, str(self))


def plain(name: str, value: Any) -> Any:
    """Return a value as JSON holds it: specifications as their dicts.

    Raises
    ------
    SettingError
        If it, or what is within it, is none of numbers, text, booleans, None, specifications, and lists and dicts of these.
    """
    value = getattr(value, "__specification__", value)
    if isinstance(value, Specification):
        return value.to_dict()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiub"):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain(name, entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(name, entry) for entry in value]
    allowed = "a number, text, True, False, None, a specification, or lists and dicts of these"
    raise SettingError(name, f"{name} must be {allowed}; got {shown(value)}")


def heads(names: Mapping[str, Any]) -> dict[str, None]:
    """The arguments that dotted names belong to, in order."""
    return dict.fromkeys(name.partition(".")[0] for name in names)


def label(value: Any) -> Any:
    """A plain value as tables show it: numbers and text as they are, specifications as they print, others as JSON."""
    if isinstance(value, dict) and "type" in value:
        try:
            return repr(from_dict(value))
        except (TypeError, ValueError):
            pass
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _built(name: str, value: Any) -> Any:
    """Build the specification that a dict describes, also within lists."""
    try:
        if isinstance(value, dict) and "type" in value:
            return from_dict(value)
        if isinstance(value, list):
            return [_built(name, entry) for entry in value]
    except (TypeError, ValueError) as error:
        raise SettingError(name, f"{name}: {error}") from None
    return value


def _replaced(owner: Any, path: list[str], value: Any, name: str) -> Any:
    """A copy of a specification, or of a dict, with one field of it changed."""
    field, *rest = path
    if isinstance(owner, dict):
        inner = _replaced(owner.get(field), rest, value, name) if rest else _built(name, value)
        return {**owner, field: inner}
    if not isinstance(owner, Specification):
        raise SettingError(name, f"{name} must name a field of a specification; {'.'.join(path)} is asked of {shown(owner)}")
    known = [entry.name for entry in dataclasses.fields(owner)]  # type: ignore[arg-type]
    if field not in known:
        raise SettingError(name, f"{name} must name a field of {type(owner).__name__}, one of {', '.join(known)}")
    inner = _replaced(getattr(owner, field), rest, value, name) if rest else _built(name, value)
    try:
        return owner.replace(**{field: tuple(inner) if isinstance(inner, list) else inner})
    except (TypeError, ValueError) as error:
        raise SettingError(name, f"{name} = {shown(label(value))}: {error}") from None


def assembled(settings: Mapping[str, Any], defaults: Mapping[str, Any], resolvers: Mapping[str, Resolver]) -> dict[str, Any]:
    """Return the arguments that plain settings make: in the order of `defaults`, which are what is not set.

    Parameters
    ----------
    settings : mapping
        By dotted names; ``device.dw_min`` changes a field of the argument `device`.
    defaults : mapping
    resolvers : mapping of str to callable
        ``resolver(value, others)`` makes an argument of what is set (a device of a name), given the arguments before it.

    Returns
    -------
    dict
    """
    given = heads(settings)
    whole: dict[str, Any] = {}
    for head in [*(name for name in defaults if name in given or name in resolvers), *(h for h in given if h not in defaults)]:
        value = settings.get(head, defaults.get(head))
        if head not in resolvers:
            value = _built(head, value)
        else:
            try:
                value = resolvers[head](value, whole)
            except (TypeError, ValueError) as error:
                raise SettingError(head, f"{head} = {shown(label(settings.get(head, value)))}: {error}") from None
        for name in settings:
            if name != head and name.partition(".")[0] == head:
                value = _replaced(value, name.split(".")[1:], settings[name], name)
        whole[head] = value
    return whole
