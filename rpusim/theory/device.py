"""What the response of a device means for training: response functions, asymmetry, the implicit penalty of SGD."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.notebook import as_html
from rpusim._base.validation import instance
from rpusim.devices.base import PulsedDevice
from rpusim.theory.responses import asymmetry, response

__all__ = ["ResponseTheory", "response_theory"]

FloatArray = NDArray[np.float64]

#: the penalty is integrated by Gauss's rule on each of so many parts of the range, whose ends are nodes of usual tables
INTERVALS = 4096
GAUSS_NODES, GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(5)


@dataclass(frozen=True)
class ResponseTheory:
    r"""Response theory of the mean device; made by `response_theory`.

    Relative steps are in units of the granularity, by which arrays scale their pulses, as in `rpusim.theory.response`: the
    mean change that a request u gets is u F - abs(u) G. The penalty, the asymmetry and its index do not depend on that unit.

    Attributes
    ----------
    device : PulsedDevice
        The device.

    Examples
    --------
    >>> import rpusim as rpu
    >>> theory = rpu.theory.response_theory(rpu.devices.SoftBounds(w_max=2.0, w_min=-2.0))
    >>> theory.F([0.0, 1.0]), theory.G([0.0, 1.0])
    (array([1., 1.]), array([0. , 0.5]))
    >>> round(float(theory.penalty(1.0)), 9)
    0.25
    """

    device: PulsedDevice

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, object]]:
        names = ("device", "granularity", "w_min", "w_max", "symmetry_point")
        return [(name, getattr(self, name)) for name in names]

    # ---- as dynamics wants a device, with bounds of the weight ----------------------------------------------------------

    @property
    def granularity(self) -> float:
        """Granularity of the device, the unit of the relative steps, in weight units."""
        return self.device.granularity

    @property
    def w_min(self) -> float:
        """Lowest weight of the mean device, which a reference shifts, in weight units."""
        return float(self.device.bounds_of(self.device.mean_parameters())[0])

    @property
    def w_max(self) -> float:
        """Highest weight of the mean device, which a reference shifts, in weight units."""
        return float(self.device.bounds_of(self.device.mean_parameters())[1])

    @property
    def symmetry_point(self) -> float:
        """Weight at which up and down steps are equal, in weight units; nan where there is none."""
        return self.device.symmetry_point

    def step_up(self, w: ArrayLike) -> FloatArray:
        """Mean change by one up pulse at weight `w`, in weight units."""
        return self.device.step_up(w)

    def step_down(self, w: ArrayLike) -> FloatArray:
        """Mean size (positive) of the change by one down pulse at weight `w`, in weight units."""
        return self.device.step_down(w)

    # ---- response functions ------------------------------------------------------------------------------------------

    def q_up(self, w: ArrayLike) -> FloatArray:
        """Up step at weight `w`, in units of the granularity."""
        return response(self, w).q_up

    def q_down(self, w: ArrayLike) -> FloatArray:
        """Down step at weight `w` (positive), in units of the granularity."""
        return response(self, w).q_down

    def F(self, w: ArrayLike) -> FloatArray:
        """Symmetric part (q_down + q_up) / 2 at weight `w`."""
        return response(self, w).F

    def G(self, w: ArrayLike) -> FloatArray:
        """Asymmetric part (q_down - q_up) / 2 at weight `w`; zero at the symmetry point."""
        return response(self, w).G

    # ---- numbers -----------------------------------------------------------------------------------------------------

    @property
    def number_of_states(self) -> float:
        """Range over granularity."""
        return self.device.number_of_states

    @property
    def asymmetry(self) -> float:
        """kappa = G'/F at the symmetry point, in 1/weight unit (`rpusim.theory.asymmetry`); nan where there is none."""
        return asymmetry(self) if math.isfinite(self.symmetry_point) else math.nan

    @property
    def asymmetry_index(self) -> float:
        """Mean of abs(G) / F over the range (200 states, those left out that no pulse moves), without unit.

        0: symmetric everywhere; 1/2: soft bounds; 1: moves in one direction only.
        """
        at = response(self, self.w_min + (self.w_max - self.w_min) * (np.arange(200) + 0.5) / 200)
        moves = at.F > 0.0
        return float(np.mean(np.abs(at.G[moves]) / at.F[moves])) if moves.any() else math.nan

    @property
    def origin(self) -> float:
        """Where the penalty is zero: the symmetry point, or without one the weight nearest to 0, in weight units."""
        point = self.symmetry_point
        return point if math.isfinite(point) else min(max(0.0, self.w_min), self.w_max)

    def penalty(self, w: ArrayLike) -> FloatArray:
        r"""Implicit penalty of SGD on this device.

        .. math:: R_c(w) = \int_{w_{sym}}^{w} \frac{G(w')}{F(w')}\,dw'

        Analog SGD minimises f(w) + Sigma R_c(w) with Sigma the mean modulus of the gradient of a sample (Wu et al. 2025,
        arXiv:2502.06309, Theorem 1: R_c' = G/F). Soft bounds at +-tau have w^2 / (2 tau). A device without a symmetry
        point has no minimum of R_c within its range, or is symmetric everywhere; the integral then starts at `origin`.

        Parameters
        ----------
        w
            Weights within `w_min` and `w_max`, any shape.

        Returns
        -------
        float64 array
            R_c in weight units, of the shape of `w`.

        Raises
        ------
        ValueError
            If a weight lies outside the range, or pulses have no effect (F = 0) between it and the origin.

        Examples
        --------
        A constant step that is larger upwards is pulled up everywhere:

        >>> import rpusim as rpu
        >>> theory = rpu.theory.response_theory(rpu.devices.ConstantStep(up_down=0.2))
        >>> theory.symmetry_point, theory.penalty([-0.5, 0.0, 0.5])
        (nan, array([ 0.1,  0. , -0.1]))
        """
        states = np.asarray(w, dtype=np.float64)
        low, high = self.w_min, self.w_max
        outside = ~((states >= low) & (states <= high))
        if outside.any():
            raise ValueError(f"w must lie within {low:g} and {high:g}; got {float(states[outside][0])!r}")

        ends = np.append(states.ravel(), self.origin)
        grid = np.linspace(low, high, INTERVALS + 1)
        nodes = np.union1d(ends, grid[(grid > ends.min()) & (grid < ends.max())])
        half = np.diff(nodes)[:, None] / 2
        at = response(self, nodes[:-1, None] + half * (1.0 + GAUSS_NODES))
        dead = ~(at.F > 0.0).all(axis=1)
        if dead.any():
            raise ValueError(
                f"w must be reached from {self.origin:g} through states where pulses have an effect; they have none at "
                f"{nodes[:-1][dead][0]:g}"
            )
        integral = np.append(0.0, np.cumsum((half * GAUSS_WEIGHTS * at.G / at.F).sum(axis=1)))
        integral -= integral[np.searchsorted(nodes, self.origin)]
        return np.asarray(integral[np.searchsorted(nodes, states)])


_check = instance(PulsedDevice, "a device that changes by pulses")


def response_theory(device: PulsedDevice) -> ResponseTheory:
    """Return the response theory of a device: F, G, symmetry point, asymmetry, implicit penalty.

    Parameters
    ----------
    device : PulsedDevice
        Any model. Spreads are left out: the theory is that of the mean device.

    Returns
    -------
    ResponseTheory

    Raises
    ------
    TypeError
        If `device` does not change by pulses.

    Examples
    --------
    >>> import rpusim as rpu
    >>> theory = rpu.theory.response_theory(rpu.devices.SoftBounds(w_max=1.0, w_min=-1.0, up_down=0.2))
    >>> round(theory.symmetry_point, 6), round(theory.asymmetry, 4), round(theory.asymmetry_index, 3)
    (0.2, 1.0417, 0.51)
    """
    return ResponseTheory(_check("device", device))
