"""Error-aware probabilistic update: rare writes that are larger than the error of writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import integer
from rpusim.algorithms.base import is_scheme
from rpusim.algorithms.digital import DigitalAlgorithm
from rpusim.periphery.pulses import PulseScheme

__all__ = ["EaPU"]

#: exactly as many pulses as are asked for
EXACT_PULSES = PulseScheme(pulse_type="deterministic_implicit")


@dataclass(frozen=True, repr=False)
class EaPU(DigitalAlgorithm):
    r"""Error-aware probabilistic update (Liu et al., 2025).

    The change dw = lr sum d x^T of `transfer_every` vectors is formed digitally. Changes below a threshold, which should be
    the error of a write, are written by chance, so that the mean stays and most writes do not happen::

        |dw| <  dW_th:  with probability |dw| / dW_th write sign(dw) dW_th, else nothing
        |dw| >= dW_th:  write dw, in whole pulses, the last of them by chance

    Parameters
    ----------
    device : PulsedDevice or OneSidedCell, default SoftBounds()
    threshold : int, default 1
        dW_th in pulses, i.e. in units of the device's step.
    transfer_every : int, default 1
        Vectors that are summed.
    n_rows_per_transfer : int or None
        Rows that are written at a time, in turn; None: all.
    forward, backward : Periphery or None
        As in `CrossbarArray`.
    pulses : PulseScheme, default PulseScheme(pulse_type="deterministic_implicit")
        Writes: exactly as many pulses as are asked for, at most desired_bl.

    Notes
    -----
    Liu et al. (2025), Nat. Commun., doi:10.1038/s41467-025-66240-7. There, the threshold follows from the noise of
    programming, dW_th >= sigma_w.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.EaPU(rpu.devices.SoftBounds(dw_min=0.01), threshold=4).build((1, 2), rng=0)
    >>> tile.update([[1.0, 0.5]] * 100, [[0.1]] * 100, lr=0.01)     # 400 products of 0.1 or 0.05 pulses
    >>> sum(tile.pulse_count) % 4
    0
    """

    papers: ClassVar[tuple[str, ...]] = ("liu2025",)

    threshold: int = parameter(1, integer(1, 65535))
    pulses: PulseScheme = parameter(EXACT_PULSES, is_scheme)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.threshold > self.pulses.desired_bl:
            raise ValueError(
                f"EaPU: threshold must be at most desired_bl={self.pulses.desired_bl} of pulses; got {self.threshold}"
            )

    def _settings(self) -> dict[str, Any]:
        return {"rule": "probabilistic", "threshold": float(self.threshold)}
