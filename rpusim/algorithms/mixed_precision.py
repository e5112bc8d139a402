"""Mixed precision: the gradient is summed digitally, and whole steps of it are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, integer, physical
from rpusim.algorithms.digital import DigitalAlgorithm

__all__ = ["MixedPrecision"]


@dataclass(frozen=True, repr=False)
class MixedPrecision(DigitalAlgorithm):
    r"""Mixed-precision training (Nandakumar, Le Gallo et al., 2020).

    For every vector, and after every `transfer_every`-th, row by row::

        chi <- chi + lr d x^T                           digital
        n = trunc(chi / epsilon),  chi <- chi - n epsilon
        W <- W - epsilon transfer_lr n                  by pulses

    with epsilon the step of the device (or `granularity`). At most desired_bl pulses are written at a time; what is beyond
    stays in chi.

    Parameters
    ----------
    device : PulsedDevice or OneSidedCell, default SoftBounds()
        A pair of devices that only rise is as in the paper, on phase-change memory.
    transfer_every : int, default 1
        Vectors from one transfer to the next.
    n_rows_per_transfer : int or None
        Rows that are written at a time, in turn; None: all.
    random_row : bool, default False
        Begin at a random row instead.
    granularity : float, default 0
        epsilon in weight units; 0: the device's step.
    transfer_lr : float, default 1
        Factor on what is written.
    n_x_bins, n_d_bins : int, default 0
        Quantise x and d to n // 2 levels of max|.| on either side of 0 before the outer product; 0: no quantisation.
        (AIHWKit learns nothing where only one of the two is set.)
    stoc_round_x, stoc_round_d : bool, default True
        Round stochastically there.
    aihwkit_transfer : bool, default False
        Compatibility with AIHWKit: transfer one vector later (after vectors transfer_every + 1, 2 transfer_every + 1, ...),
        and take all of n out of chi, though pulses beyond desired_bl are lost, and those of the row scaled down with them.
    forward, backward : Periphery or None
        As in `CrossbarArray`.
    pulses : PulseScheme
        Writes; with both managements, so that the train of a row is as long as its largest n.

    Notes
    -----
    Nandakumar et al. (2020), Front. Neurosci. 14:406, Eqs. 1 to 3; the options are those of AIHWKit's
    MixedPrecisionCompound.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.MixedPrecision(rpu.devices.SoftBounds(dw_min=0.01)).build((1, 2), rng=0)
    >>> tile.update([1.0, 0.5], [0.5], lr=0.01)
    >>> tile.chi
    array([[0.005 , 0.0025]], dtype=float32)
    """

    papers: ClassVar[tuple[str, ...]] = ("nandakumar2020",)

    random_row: bool = parameter(False, boolean)
    granularity: float = parameter(0.0, physical(0.0))
    transfer_lr: float = parameter(1.0, physical(0.0))
    n_x_bins: int = parameter(0, integer(0, 2**24))
    n_d_bins: int = parameter(0, integer(0, 2**24))
    stoc_round_x: bool = parameter(True, boolean)
    stoc_round_d: bool = parameter(True, boolean)
    aihwkit_transfer: bool = parameter(False, boolean)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        for name in ("n_x_bins", "n_d_bins"):
            if getattr(self, name) == 1:
                raise ValueError(f"MixedPrecision: {name} must be 0 or at least 2; got 1")

    def _settings(self) -> dict[str, Any]:
        epsilon = self.granularity or self.device.granularity
        return {
            "rule": "truncate",
            "random_rows": self.random_row,
            "late": self.aihwkit_transfer,
            "most": 1e30 if self.aihwkit_transfer else float(self.pulses.desired_bl),
            "granularity": epsilon,
            "rate": epsilon * self.transfer_lr,
            "x_levels": self.n_x_bins // 2,
            "d_levels": self.n_d_bins // 2,
            "x_stochastic": self.stoc_round_x,
            "d_stochastic": self.stoc_round_d,
        }
