"""What reads of an array have done, and the ranges that fit its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.random import RNG, key, seed_sequence
from rpusim._base.validation import boolean, choice, instance, real, signal
from rpusim._core.array import ArrayCore
from rpusim._core.buffers import as_batch
from rpusim.arrays.counts import ReadCount
from rpusim.periphery.reads import Periphery
from rpusim.wires.conductance import ConductanceScale

__all__ = ["Measuring"]

_rule = choice("max", "quantile", "std")
_scale = instance(ConductanceScale, "a ConductanceScale or None")


class Measuring:
    """Conductances, currents and counts of a `CrossbarArray`, and the calibration of its reads."""

    # what a `CrossbarArray` has
    shape: tuple[int, int]
    forward_periphery: Periphery
    backward_periphery: Periphery
    _core: ArrayCore
    _weights: NDArray[np.float32]
    _read_parameters: list[dict[str, NDArray[np.float32]]]

    if TYPE_CHECKING:

        @property
        def weights(self) -> NDArray[np.float32]: ...
        def _set_direction(self, k: int) -> None: ...

    def read_conductance(self, scale: ConductanceScale | None = None) -> tuple[NDArray[np.float64], ...]:
        """Return the state of all devices as conductances, in siemens, float64 (outputs, inputs): one or two arrays, by the
        mapping of `scale` (by default `ConductanceScale()`); see there."""
        scale = ConductanceScale() if scale is None else _scale("scale", scale)
        return scale.conductances(self.weights)

    def restart_noise(self, rng: RNG) -> None:
        """Begin all noise anew, with streams of `rng` and counts of reads from 0."""
        with self._core.lock:
            self._core.devices.key = key(seed_sequence(rng))
            self._core.reader.counts = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))

    @contextmanager
    def other_noise(self, rng: RNG) -> Iterator[None]:
        """For reads aside: noise of streams of `rng`, after which that of the array goes on as if there had been none."""
        core = self._core
        before = core.devices.key, core.reader.counts, core.reader.averages
        self.restart_noise(rng)
        try:
            yield
        finally:
            core.devices.key, core.reader.counts, core.reader.averages = before

    def replace_product(self, product: Any) -> None:
        """Let forward reads take ``product(weights, x, transposed)``, float64 (vectors, outputs), for the matrix product."""
        self._core.reader.set_wires(0, product)

    def read_currents(
        self, voltages: ArrayLike, scale: ConductanceScale | None = None, *, transposed: bool = False
    ) -> NDArray[np.float64]:
        """Return the currents for `voltages` by Ohm's and Kirchhoff's laws, without converters, wires or noise.

        Parameters
        ----------
        voltages : array_like of shape (inputs,) or (batch, inputs), in volt
            On the input lines; (outputs,) or (batch, outputs) on the output lines where `transposed`.
        scale : ConductanceScale, optional
            By default `ConductanceScale()`.
        transposed : bool, default False

        Returns
        -------
        float64 array of shape (outputs,) or (batch, outputs), or transposed, in ampere
            Of two conductances the difference of their currents.
        """
        transposed = boolean("transposed", transposed)
        v = as_batch("voltages", voltages, self.shape[1 - transposed]).astype(np.float64)
        g = self.read_conductance(scale)
        total = g[0] if len(g) == 1 else g[0] - g[1]
        return v @ (total if transposed else total.T)

    def calibrate(
        self,
        x: ArrayLike,
        *,
        inputs: str | None = "max",
        outputs: str | None = "max",
        quantile: float = 0.999,
        n_std: float = 4.0,
    ) -> Periphery:
        """Fit the ranges of forward reads to example inputs, and return the new periphery, which the array now has.

        The input range r becomes ``noise_management="constant", nm_threshold=r``; the output range, found from exact
        products of the inputs clipped to +-r, divided by r and rounded by the DACs, becomes `adc.bound`. Bits stay, so the
        steps follow; noise stays in its units. An array that is to load this array's state must be built with the returned
        periphery.

        Parameters
        ----------
        x : array_like of shape (batch, inputs)
            Examples.
        inputs, outputs : {"max", "quantile", "std", None}
            The range is the largest magnitude, a quantile of the magnitudes, `n_std` times their root mean square, or left
            as it is.
        quantile : float, default 0.999
        n_std : float, default 4

        Raises
        ------
        ValueError
            If there are no examples, or a range would be 0.

        Examples
        --------
        >>> import numpy as np, rpusim as rpu
        >>> array = rpu.CrossbarArray((2, 3), rpu.devices.Ideal(), rng=0)
        >>> _ = array.program(np.full((2, 3), 0.5))
        >>> periphery = array.calibrate([[1.0, 2.0, 0.0], [0.0, 4.0, 0.0]])
        >>> periphery.nm_threshold, periphery.adc.bound
        (4.0, 0.5)
        """
        examples = signal("x", x, (None, self.shape[1]))
        if len(examples) == 0:
            raise ValueError(f"x must hold at least one vector; got shape {examples.shape}")
        quantile, n_std = real(0.0, 1.0, open_low=True)("quantile", quantile), real(0.0, open_low=True)("n_std", n_std)

        def limit(name: str, rule: str, values: NDArray[np.float64]) -> float:
            size = np.abs(values)
            found = {
                "max": lambda: np.max(size),
                "quantile": lambda: np.quantile(size, quantile),
                "std": lambda: n_std * np.sqrt(np.mean(size**2)),
            }[_rule(name, rule)]()
            if not 1e-30 <= found <= 1e30:
                raise ValueError(f"x must give a range above 0 for {name}; got {found:g} by the rule {rule!r}")
            return float(found)

        with self._core.lock:
            periphery = self.forward_periphery
            signals = examples.astype(np.float64)
            if inputs is not None:
                r = limit("inputs", inputs, signals)
                dac = periphery.dac if periphery.dac.bound is None else periphery.dac.replace(bound=1.0)
                changes: dict[str, Any] = {"nm_decay": 1e-3}
                if periphery.bound_management == "none":  # which has no resolution but that of "abs_max_np_sum"
                    changes["bm_max_resolution"] = Periphery().bm_max_resolution
                if periphery.bound_management != "iterative_worst_case":
                    changes["nm_assumed_wmax"] = 0.6
                periphery = periphery.replace(dac=dac, noise_management="constant", nm_threshold=r, **changes)
                signals = np.clip(signals / r, -1.0, 1.0)
            elif outputs is not None and periphery.noise_management != "constant":
                raise ValueError(
                    f"inputs must not be None where noise_management={periphery.noise_management!r} scales every vector anew, "
                    "so that outputs have no common range"
                )
            else:
                signals = np.clip(signals / (periphery.nm_threshold or 1.0), -1.0, 1.0)
            if outputs is not None:
                if periphery.dac.step:
                    signals = np.rint(signals / periphery.dac.step) * periphery.dac.step
                bound = limit("outputs", outputs, signals @ self._weights.T.astype(np.float64))
                drawn = self._read_parameters[0]
                if "nonlinearity" in drawn:
                    drawn["nonlinearity"] *= np.float32((periphery.adc.bound or 1.0) / bound)
                periphery = periphery.replace(adc=periphery.adc.replace(bound=bound))
            self.forward_periphery = periphery
            self._set_direction(0)
        return periphery

    @property
    def forward_count(self) -> ReadCount:
        """What forward reads did so far."""
        return self._read_count(0)

    @property
    def backward_count(self) -> ReadCount:
        """What backward reads did so far."""
        return self._read_count(1)

    def _read_count(self, k: int) -> ReadCount:
        vectors, products, retries, inputs_clipped, outputs_clipped = self._core.reader.counts[k]
        periphery = (self.forward_periphery, self.backward_periphery)[k]
        if periphery.is_ideal:
            return ReadCount(vectors, products, 0, 0, 0, 0, 0)
        signs = 1 if periphery.sign_handling == "one_pass" else 2
        tries = products // (signs * periphery.dac.passes)
        per_output = periphery.dac.passes * (2 if periphery.sign_handling == "digital_sum" else 1)
        return ReadCount(
            vectors,
            products,
            retries,
            tries * self.shape[1 - k],
            tries * per_output * self.shape[k],
            inputs_clipped,
            outputs_clipped,
        )
