"""Specifications: frozen dataclasses that say what a device, a converter or an algorithm is, and hold no state."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from rpusim._base.lazy import public_homes
from rpusim._base.notebook import as_html
from rpusim._base.validation import meant, shown

__all__ = ["Specification", "parameter"]

T = TypeVar("T", bound="Specification")

DEEPEST = 100  # levels of a description


def _short(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 12:
        return f"({', '.join(map(_short, value[:3]))}, ..., {_short(value[-1])}; {len(value)} in all)"
    return str(value) if isinstance(value, Specification) else repr(value)


def parameter(default: Any, check: Any) -> Any:
    """A dataclass field with a default and a check (one of `rpusim._base.validation`)."""
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata={"check": check})
    return dataclasses.field(default=default, metadata={"check": check})


class Specification:
    """Base of all specifications: checked at construction, equal by value, printed as written, JSON both ways.

    Subclasses are frozen dataclasses whose fields come from `parameter(default, check)`. A rule between fields goes into
    `_check_consistency`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.002)
    >>> device
    SoftBounds(dw_min=0.002)
    >>> rpu.from_dict(device.to_dict()) == device
    True
    """

    _registry: ClassVar[dict[str, type[Specification]]] = {}
    #: keys in the table of papers (`rpusim.citations`) of what it comes from
    papers: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):
            known = Specification._registry.get(cls.__name__)
            home = known.__module__ if known is not None else cls.__module__
            if known is None and not home.startswith("rpusim."):  # nor that of one which is not loaded yet
                home = public_homes().get(cls.__name__, home)
            name = known.__qualname__ if known is not None else cls.__qualname__
            if (home, name) != (cls.__module__, cls.__qualname__):
                raise TypeError(f"a specification called {cls.__name__} exists already, in {home}")
            Specification._registry[cls.__name__] = cls

    def __post_init__(self) -> None:
        for name, label, check in _checks_of(type(self)):  # type: ignore[arg-type]
            object.__setattr__(self, name, check(label, getattr(self, name)))
        self._check_consistency()

    def _check_consistency(self) -> None:
        """Raise ValueError where fields contradict each other."""

    def __repr__(self) -> str:
        return self._written(repr)

    def __str__(self) -> str:
        """As `repr`, but of long tables the first and the last numbers only."""
        return self._written(_short)

    def _written(self, text: Callable[[Any], str]) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            else:
                default = field.default
            if default is dataclasses.MISSING or value != default or type(value) is not type(default):
                shown.append(f"{field.name}={text(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    _repr_html_ = as_html

    def replace(self: T, **changes: Any) -> T:
        """Return a copy with some fields changed, checked like a new one."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict (JSON-ready) with the class name under "type" and every field."""
        out: dict[str, Any] = {"type": type(self).__name__}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            out[field.name] = _plain(value)
        return out

    def to_json(self, **kwargs: Any) -> str:
        """Return `to_dict()` as JSON text; keyword arguments go to `json.dumps`."""
        return json.dumps(self.to_dict(), **kwargs)


@functools.cache
def _checks_of(cls: type[Any]) -> tuple[tuple[str, str, Callable[[str, Any], Any]], ...]:
    """Name, name in messages and check of each field that has one: looked up once, fits make thousands of specifications."""
    fields = [(field.name, field.metadata.get("check")) for field in dataclasses.fields(cls)]
    return tuple((name, f"{cls.__name__}: {name}", check) for name, check in fields if check is not None)


def _plain(value: Any) -> Any:
    """A field as JSON can hold it."""
    if isinstance(value, Specification):
        return value.to_dict()
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def from_dict(data: dict[str, Any]) -> Any:
    """Build the specification that `to_dict` described; of a fit (`FitResult.to_dict`) and of `rpusim device` the device.

    Parameters
    ----------
    data : dict

    Returns
    -------
    Specification

    Raises
    ------
    TypeError, ValueError
        If the type or a field is unknown, or a value is not allowed.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.from_dict({"type": "SoftBounds", "dw_min": 0.002})
    SoftBounds(dw_min=0.002)
    """
    return _from_dict(data, 0)


def _from_dict(data: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"data must be at most {DEEPEST} specifications and lists deep; got more")
    written = isinstance(data, dict) and data.get("format") in ("rpusim fit", "rpusim device")
    if written and isinstance(data.get("device"), dict):
        data = data["device"]  # what commands wrote is taken for the device in it
    elif written:
        what = shown(data.get("kind", "ramps"))
        raise ValueError(
            f"data must hold a device or a drift; this fit of kind {what} has none, and is for from_json of its class"
        )
    if not isinstance(data, dict) or "type" not in data:
        raise ValueError(f"data must be a dict with a 'type' entry, as made by to_dict(); got {shown(data)}")
    kinds = Specification._registry
    wanted = data["type"]
    if isinstance(wanted, str) and wanted not in kinds and wanted in public_homes():
        import_module(public_homes()[wanted])
    if not isinstance(wanted, str) or wanted not in kinds:
        _load_all()
        raise ValueError(f"data['type'] must be one of {', '.join(sorted(kinds))}; got {shown(wanted)}{meant(wanted, kinds)}")
    kind = kinds[wanted]
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(map(shown, set(data) - names - {"type"}))
    if unknown:
        hint = meant(unknown[0].strip("'"), names)
        raise ValueError(f"{wanted} has no field {', '.join(unknown):.200}{hint}; it has {', '.join(sorted(names))}")
    return kind(**{name: _built(value, depth + 1) for name, value in data.items() if name != "type"})


def _load_all() -> None:
    """Load every room, so that all specifications are known."""
    for module in sorted(set(public_homes().values())):
        import_module(module)


def _built(value: Any, depth: int) -> Any:
    """The value of a field: specifications within it are built, in sequences too."""
    if isinstance(value, dict) and "type" in value:
        return _from_dict(value, depth)
    if not isinstance(value, list):
        return value
    if depth > DEEPEST:
        raise ValueError(f"data must be at most {DEEPEST} specifications and lists deep; got more")
    return tuple(_built(entry, depth + 1) for entry in value)


def from_json(text: str | bytes) -> Any:
    """Build the specification that `to_json` described, or the device in what `rpusim fit` or `rpusim device` wrote.

    Parameters
    ----------
    text : str or bytes

    Returns
    -------
    Specification

    Raises
    ------
    TypeError, ValueError
        If it is no JSON text, or as in `from_dict`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.from_json('{"type": "ADC", "bits": 6}')
    ADC(bits=6)
    """
    return from_dict(plain_json("text", text))


def plain_json(name: str, text: Any) -> Any:
    """Return what a JSON text holds."""
    if not isinstance(text, (str, bytes, bytearray)):
        raise TypeError(f"{name} must be JSON text; got {shown(text)}")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{name} must be JSON that is not nested as deeply as this; got {shown(text)}") from None
    except ValueError as error:
        raise ValueError(f"{name} must be JSON text ({error}); got {shown(text)}") from None
