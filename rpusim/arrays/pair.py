"""Two arrays read as their difference."""

from __future__ import annotations

import functools
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.citing import cite
from rpusim._base.state import Entry, Stateful, part
from rpusim._base.validation import instance, shown, signal
from rpusim.arrays.counts import Written
from rpusim.arrays.crossbar import CrossbarArray
from rpusim.arrays.programming import is_zero_shift_method
from rpusim.devices.base import PulsedDevice

__all__ = ["DifferentialPair"]


@functools.lru_cache(maxsize=64)  # many arrays are of one device, and finding the points takes as long as building a small one
def _repellers(device: PulsedDevice) -> str:
    """The symmetry points of a device that has only such as pulses lead away from; empty for others."""
    points = device.symmetry_points
    return "" if any(point.stable for point in points) else ", ".join(f"{point.w:.3g}" for point in points)


class DifferentialPair(Stateful):
    """A main array and a static reference array on the same lines: the weight is their difference.

    Reads subtract the two currents before the converters of `main`. Pulses go to `main` only. Several pairs may share one
    reference array.

    Parameters
    ----------
    main : CrossbarArray
        The array that is updated; its periphery reads the pair.
    reference : CrossbarArray
        Array of the same shape that is only programmed.

    Examples
    --------
    >>> import rpusim as rpu
    >>> device = rpu.devices.SoftBounds(dw_min=0.01, up_down=0.3, w_max=1.0, w_min=-1.0)
    >>> main, reference = (rpu.CrossbarArray((2, 2), device, rng=seed) for seed in (0, 1))
    >>> pair = rpu.DifferentialPair(main, reference)
    >>> pair.zero_shift()
    >>> bool(abs(main.weights - main.symmetry_point()).max() < 1e-6), float(abs(pair.weights).max())
    (True, 0.0)
    """

    def __init__(self, main: CrossbarArray, reference: CrossbarArray) -> None:
        array = instance(CrossbarArray, "a CrossbarArray")
        self.main: CrossbarArray = array("main", main)
        self.reference: CrossbarArray = array("reference", reference)
        if main.shape != reference.shape:
            raise ValueError(f"reference must have the shape of main, {main.shape}; got {reference.shape}")
        if main is reference:
            raise ValueError("reference must be another array than main; got the same one")
        self.shape = main.shape

    def __repr__(self) -> str:
        return f"DifferentialPair({self.main!r}, {self.reference!r})"

    @property
    def weights(self) -> NDArray[np.float32]:
        """main.weights - reference.weights, float32 (outputs, inputs)."""
        return self.main.weights - self.reference.weights

    def program(self, weights: ArrayLike) -> Written:
        """Write the main array so that the difference becomes `weights`, clipped to the bounds of its devices."""
        return self.main.program(signal("weights", weights, self.shape) + self.reference._weights)

    def forward(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read (W_main - W_reference) x through the forward periphery of `main`; see `CrossbarArray.forward`."""
        return self.main._core.reader.py_read("x", x, out, 0, self.reference._core.devices)

    def backward(self, d: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Read (W_main - W_reference)^T d through the backward periphery of `main`; see `CrossbarArray.backward`."""
        return self.main._core.reader.py_read("d", d, out, 1, self.reference._core.devices)

    def update(self, x: ArrayLike, d: ArrayLike, lr: float) -> None:
        """Update the main array; see `CrossbarArray.update`."""
        self.main.update(x, d, lr)

    def zero_shift(self, method: str = "exact", n_pulses: int | None = None) -> None:
        """Bring the main array to its symmetry point and copy it to the reference, so that weight 0 is symmetric.

        Parameters
        ----------
        method : {"exact", "pulses", "random_pulses"}
            "exact": from the parameters of the devices; one without a symmetry point keeps its present state. "pulses":
            by alternating up and down pulses on the main array, as in Methods M1 of Onen et al. (2022). "random_pulses":
            with directions drawn for each device and pulse, as in Algorithm 1 of Xiao et al. (2026). The reference becomes
            the last state, without the write noise of the main array; its own devices add theirs.
        n_pulses : int, optional
            Number of pulses of the other methods; by default 20 times the number of states. Those that alternate are
            rounded up to whole pairs.
        """
        if is_zero_shift_method("method", method) == "exact":
            point = self.main.symmetry_point("exact")
            self._say_repellers()
            if n_pulses is not None:
                raise ValueError(f"n_pulses must be None for method='exact', which uses no pulses; got {shown(n_pulses)}")
            with self.main._core.lock:
                self.main.program(np.where(np.isnan(point), self.main._state, point))
                state = self.main._state.copy()
        else:
            self.main._needs_pulses("zero_shift")
            cite("kim2019-zero-shifting")
            with self.main._core.lock:
                self.main._alternate(n_pulses, method)
                state = self.main._state.copy()
        self.reference.program(state)

    def _say_repellers(self) -> None:
        """Warn where pulses lead away from wherever up and down cancel: there is nothing to put a reference on."""
        device = self.main.device
        found = _repellers(device) if isinstance(device, PulsedDevice) else ""
        if found:
            warnings.warn(
                f"pulses lead away from the symmetry points of {type(device).__name__}, {found}; a reference is the present "
                "state, where up and down do not cancel",
                stacklevel=3,
            )

    def _entries(self) -> dict[str, Entry]:
        return {"main": part(self.main), "reference": part(self.reference)}
