"""Weights as conductances: where volts, amperes and ohms matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import choice, physical, real_values

__all__ = ["ConductanceScale"]

MAPPINGS = ("differential", "offset", "single")


@dataclass(frozen=True, repr=False)
class ConductanceScale(Specification):
    r"""How weights are held as conductances, in siemens.

    With k = (g_max - g_min) / w_max, a weight w is

    * "differential": two devices, G_plus = g_min + k max(w, 0) and G_minus = g_min + k max(-w, 0), whose currents are
      subtracted;
    * "offset": one device, G = (g_max + g_min) / 2 + k w / 2, beside a reference of constant (g_max + g_min) / 2 on the
      same voltages, whose current is subtracted;
    * "single": one device, G = g_min + k w, for weights that are not negative; the current of g_min stays in.

    A current I (the difference, where there are two) for the voltage v is the weight times input I / (siemens_per_weight v).

    Parameters
    ----------
    g_min : float, default 0
        Smallest conductance, in siemens.
    g_max : float, default 25e-6
        Conductance of the weight `w_max`, in siemens. (25 uS: phase-change memory, Joshi et al. 2020.)
    w_max : float, default 1
        The weight that `g_max` stands for. Larger weights, as devices with spread bounds have, follow the same line.
    mapping : {"differential", "offset", "single"}

    Examples
    --------
    >>> import rpusim as rpu
    >>> scale = rpu.ConductanceScale(g_min=1e-6, g_max=21e-6)
    >>> plus, minus = scale.conductances([[0.5, -1.0]])
    >>> (plus * 1e6).round(6).tolist(), (minus * 1e6).round(6).tolist()
    ([[11.0, 1.0]], [[1.0, 21.0]])
    >>> scale.weights(plus, minus).round(6).tolist()
    [[0.5, -1.0]]
    """

    g_min: float = parameter(0.0, physical(0.0))
    g_max: float = parameter(25e-6, physical(0.0, open_low=True))
    w_max: float = parameter(1.0, physical(0.0, open_low=True))
    mapping: str = parameter("differential", choice(*MAPPINGS))

    def _check_consistency(self) -> None:
        if self.g_min >= self.g_max:
            raise ValueError(f"ConductanceScale: g_min must be below g_max={self.g_max}; got {self.g_min}")

    @property
    def siemens_per_weight(self) -> float:
        """Change of the conductance, or of the difference of two, per unit of weight."""
        return (self.g_max - self.g_min) / self.w_max / (2.0 if self.mapping == "offset" else 1.0)

    def conductances(self, weights: ArrayLike) -> tuple[NDArray[np.float64], ...]:
        """Return the conductances of `weights`, in siemens: (G_plus, G_minus), (G, reference), or (G,) for "single".

        Raises
        ------
        ValueError
            If a weight would need a conductance below 0.
        """
        w = real_values("weights", weights)
        k = self.siemens_per_weight
        if self.mapping == "differential":
            return self.g_min + k * np.maximum(w, 0.0), self.g_min + k * np.maximum(-w, 0.0)
        base = self.g_min if self.mapping == "single" else (self.g_max + self.g_min) / 2
        g = base + k * w
        if np.any(g < 0.0):
            raise ValueError(
                f"weights must be at least {0.0 - base / k:g} for the mapping {self.mapping!r}, whose conductances cannot be "
                f"negative; got {w.min():g}"
            )
        return (g,) if self.mapping == "single" else (g, np.full_like(g, base))

    def weights(self, *conductances: ArrayLike) -> NDArray[np.float64]:
        """Return the weights that `conductances` (as `conductances` returns them, in siemens) stand for."""
        expected = 1 if self.mapping == "single" else 2
        if len(conductances) != expected:
            raise TypeError(f"conductances must be {expected} for the mapping {self.mapping!r}; got {len(conductances)}")
        g = [real_values(f"conductances[{k}]", value) for k, value in enumerate(conductances)]
        if len({value.shape for value in g}) > 1:
            raise ValueError(f"conductances must be of one shape; got {' and '.join(str(value.shape) for value in g)}")
        return (g[0] - (self.g_min if expected == 1 else g[1])) / self.siemens_per_weight
