"""What is common to the results of measurements other than ramps."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import plain_json
from rpusim._base.table import table
from rpusim._base.validation import shown
from rpusim.devices.base import PulsedDevice
from rpusim.fitting.result import OF_DEVICE

__all__ = ["Found", "OfDevice"]

F = TypeVar("F", bound="Found")
#: what JSON has for the types of fields
_KINDS: dict[str, Any] = {"float": (int, float), "bool": bool, "str": str, "tuple": list, "dict": dict}
_SAID = {"float": "a number", "bool": "true or false", "str": "a text", "tuple": "a list", "dict[": "a dict"}


@dataclass(frozen=True)
class Found:
    """Values with standard errors, and what was decided: a result that prints, and goes to JSON and back.

    Attributes
    ----------
    values, standard_errors : dict of str to float
        What was found, and its standard errors: inf where the data do not tell a value; no entry where it was given.
    notes : tuple of str
        What was guessed, held, left out or does not fit, a line each.
    """

    values: dict[str, float]
    standard_errors: dict[str, float]
    notes: tuple[str, ...]

    #: what the result is of, in JSON
    kind: ClassVar[str] = ""
    #: units of values, "" where there is none
    units: ClassVar[dict[str, str]] = {}

    def unit_of(self, name: str) -> str:
        """Unit of a value."""
        return self.units.get(name, "")

    def __str__(self) -> str:
        rows = []
        for name, value in self.values.items():
            error = self.standard_errors.get(name)
            said = "given" if error is None else f"{error:.2g}" if math.isfinite(error) else "not told"
            rows.append([name, f"{value:.5g}", said, self.unit_of(name)])
        lines = [table(["parameter", "value", "std. error", "unit"], rows)] if rows else []
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the measured values as a plain dict, JSON-ready; what is not finite is None."""
        fields = [f for f in dataclasses.fields(self) if f.repr and f.name != "device"]
        out = {"format": "rpusim fit", "version": 1, "kind": self.kind}
        specification = getattr(self, "__specification__", None)
        if specification is not None:
            out["device"] = specification.to_dict()
        return out | {field.name: _plain(getattr(self, field.name)) for field in fields}

    def to_json(self, **kwargs: Any) -> str:
        """Return `to_dict()` as JSON text; keywords go to `json.dumps`."""
        return json.dumps(self.to_dict(), **kwargs)

    @classmethod
    def from_dict(cls: type[F], data: Any) -> F:
        """Return the result that `to_dict` described, without the measured values.

        Raises
        ------
        ValueError
            If it is not one of this kind.
        """
        if not isinstance(data, dict) or data.get("format") != "rpusim fit" or data.get("kind") != cls.kind:
            raise ValueError(f"data must be what to_dict() of a {cls.__name__} returns; got {shown(data)}")
        fields = {f.name: f for f in dataclasses.fields(cls)}
        missing = [n for n, f in fields.items() if f.repr and n not in data and n != "device"]
        if missing:
            raise ValueError(f"data must have an entry {missing[0]!r}; got {shown(sorted(map(str, data)))}")
        for n, f in fields.items():
            kinds = next((kinds for start, kinds in _KINDS.items() if str(f.type).startswith(start)), object)
            if f.repr and n != "device" and (not isinstance(data[n], kinds) or isinstance(data[n], bool) != (f.type == "bool")):
                raise ValueError(f"data[{n!r}] must be {_SAID.get(str(f.type)[:5], 'a value')}; got {shown(data[n])}")
        kept = {n: cls._restored(n, data[n]) for n, f in fields.items() if f.repr and n != "device"}
        return cls._built(kept, data)

    @classmethod
    def from_json(cls: type[F], text: str | bytes) -> F:
        """Return the result that `to_json` described, without the measured values."""
        return cls.from_dict(plain_json("text", text))

    @classmethod
    def _restored(cls, name: str, value: Any) -> Any:
        if name in ("values", "standard_errors"):
            numbers = isinstance(value, dict) and all(v is None or type(v) in (int, float) for v in value.values())
            if not numbers:
                raise ValueError(f"data[{name!r}] must be a dict of numbers; got {shown(value)}")
            return {k: (math.nan if name == "values" else math.inf) if v is None else float(v) for k, v in value.items()}
        if name == "notes":
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise ValueError(f"data['notes'] must be a list of texts; got {shown(value)}")
            return tuple(value)
        return _tupled(value)

    @classmethod
    def _built(cls: type[F], kept: dict[str, Any], data: dict[str, Any]) -> F:
        try:
            return cls(**kept)
        except TypeError as error:
            raise ValueError(f"data must be what to_dict() of a {cls.__name__} returns; got {shown(data)} ({error})") from None


def _tupled(value: Any) -> Any:
    return tuple(_tupled(one) for one in value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


@dataclass(frozen=True)
class OfDevice(Found):
    """What found a device, and is taken wherever one is.

    Attributes
    ----------
    device : PulsedDevice
    offset, slope : float
        conductance = offset + slope * weight.
    unit : str
        Unit of the conductances.
    """

    device: PulsedDevice
    offset: float
    slope: float
    unit: str

    @property
    def __specification__(self) -> PulsedDevice:
        """The device, as which this is taken wherever a device is."""
        return self.device

    def __getattr__(self, name: str) -> Any:
        """Steps, bounds and the like of the device, so that theory takes this for it."""
        if name in OF_DEVICE:
            return getattr(self.device, name)
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}", name=name, obj=self)

    def to_conductance(self, w: ArrayLike) -> NDArray[np.float64]:
        """Conductance, in `unit`, at weights `w`."""
        return self.offset + self.slope * np.asarray(w, dtype=np.float64)

    def to_weight(self, g: ArrayLike) -> NDArray[np.float64]:
        """Weight at conductances `g`, in `unit`."""
        return (np.asarray(g, dtype=np.float64) - self.offset) / self.slope

    @classmethod
    def _built(cls: type[Any], kept: dict[str, Any], data: dict[str, Any]) -> Any:
        from rpusim._base.specification import from_dict

        device = from_dict(data)
        if not isinstance(device, PulsedDevice):
            raise ValueError(f"data['device'] must be a device; got a {type(device).__name__}")
        return super()._built({**kept, "device": device}, data)
