"""What use and time do to devices: one object each, with its draws, its state and its law, one file each.

Every module of this folder is loaded, and every `Effect` in it counts; `kinds` lists them.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np

from rpusim.effects.base import Devices, Draws, Effect

__all__ = ["Devices", "Effect", "draw", "kinds", "of"]


@cache
def kinds() -> tuple[type[Effect], ...]:
    """Return all effects that there are, in the order in which they act at the end of a mini-batch."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return tuple(sorted(Effect.__subclasses__(), key=lambda kind: (kind.at_end_of_batch or 0, kind.__name__)))


def draw(device: Any, shape: tuple[int, int], rng: np.random.Generator) -> Draws:
    """Return the parameters that all effects give to the devices of an array."""
    drawn: Draws = {}
    for kind in sorted(kinds(), key=lambda kind: (kind.drawn, kind.__name__)):
        drawn |= kind.draw(device, shape, rng)
    return drawn


def of(device: Any, devices: Devices) -> tuple[Effect, ...]:
    """Return the effects of a new array."""
    found = (kind.of(device, devices) for kind in kinds())
    return tuple(effect for effect in found if effect is not None)
