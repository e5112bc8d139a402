"""Every field of every specification: its check is data, which makes values that are refused, with the name and the value."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import rpusim as rpu
from rpusim._base.lazy import public_homes
from rpusim._base.specification import Specification
from rpusim._base.validation import Check, boolean, choice, instance, integer, numbers_of, one_or_more, optional, physical, real

#: what a specification needs that has no default
NEEDS = {
    "Regression": {"target": 0.5, "noise": 0.1},
    "WriteWires": {"wires": rpu.Wires(), "conductances": rpu.ConductanceScale()},
}


def specifications() -> list[type[Specification]]:
    for module in sorted(set(public_homes().values())):
        importlib.import_module(module)
    kinds = [kind for _, kind in sorted(Specification._registry.items()) if kind.__module__.startswith("rpusim.")]
    return [kind for kind in kinds if dataclasses.is_dataclass(kind)]


def fields() -> Iterator[Any]:
    for kind in specifications():
        for field in dataclasses.fields(kind):
            yield pytest.param(kind, field, id=f"{kind.__name__}-{field.name}")


@pytest.mark.parametrize("kind, field", list(fields()))
def test_wrong_values_of_every_field_are_refused_with_the_name_and_the_value(kind, field):
    check = field.metadata.get("check")
    assert isinstance(check, Check), "a field has a check that is data"
    values = list(check.wrong())
    assert len(values) >= 3
    for value in values:
        with pytest.raises((TypeError, ValueError)) as caught:
            kind(**{**NEEDS.get(kind.__name__, {}), field.name: value})
        message = str(caught.value)
        assert message.startswith(f"{kind.__name__}: {field.name}"), message
        shown = repr(value[0] if isinstance(value, list) and len(value) == 1 and repr(value) not in message else value)
        assert shown[:40] in message, message


def test_a_default_is_right():
    for kind in specifications():
        for field in dataclasses.fields(kind):
            default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
            if default is not dataclasses.MISSING:
                assert field.metadata["check"](field.name, default) == default


@pytest.mark.parametrize(
    "check, right",
    [
        (real(), [-1e300, 0, 2.5, np.float32(1.5), np.array(3)]),
        (real(0.0, 1.0), [0.0, 1.0, 0.5]),
        (real(0.0, 1.0, open_low=True, open_high=True), [5e-324, 1.0 - 1e-16]),
        (physical(0.0, open_low=True), [1e-30, 1e30]),
        (integer(1, 3), [1, 2, 3, np.int64(2)]),
        (integer(), [-(2**63) + 1, 2**63 - 1]),
        (boolean, [True, np.False_]),
        (choice("a", "b"), ["a", "b"]),
        (instance(rpu.DAC, "a DAC"), [rpu.DAC()]),
        (optional(integer(0)), [None, 0]),
        (numbers_of(real(0.0)), [[0.0, 1.0], (2,), np.arange(3.0)]),
        (one_or_more(real(0.0)), [1.0, [1.0, 2.0]]),
    ],
)
def test_what_is_allowed_is_kept(check, right):
    """At the very ends of intervals, too; and what is beside them is refused."""
    for value in right:
        kept = check("x", value)
        assert np.all(np.asarray(kept) == np.asarray(value)) if value is not None else kept is None
    for value in check.wrong():
        with pytest.raises((TypeError, ValueError), match="x"):
            check("x", value)
