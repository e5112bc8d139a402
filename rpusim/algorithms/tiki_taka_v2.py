"""Tiki-Taka, version 2: a digital buffer between A and C."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, physical, real
from rpusim.algorithms.base import granularity_of, is_scheme
from rpusim.algorithms.level import Level
from rpusim.algorithms.transfer import ONE_PULSE, TransferAlgorithm
from rpusim.periphery.pulses import PulseScheme

__all__ = ["TikiTakaV2"]


@dataclass(frozen=True, repr=False)
class TikiTakaV2(TransferAlgorithm):
    r"""Tiki-Taka, version 2 (Gokmen, 2021): what is read of A is summed digitally, and C moves by single pulses.

    The weight is W = C. For every vector, and after every `transfer_every`-th, with i the next line::

        A <- A - eta_A d x^T                                    by pulses on A
        H_i <- H_i + eta_C (A - R) e_i / (thres_scale dw_min)   digital, in pulses of C
        where |H| >= 1:  n = trunc(H) pulses on C,  H <- momentum H      (forget_buffer)
                                                or  H <- H - (1 - momentum) n

    with eta_A = lr fast_lr, eta_C = |lr| transfer_lr (lambda_H of the paper) and dw_min the step of C. The buffer is a
    low-pass filter: only gradients that persist for 1 / eta_C reads reach C.

    Parameters
    ----------
    fast, slow, transfer_every, transfer_columns, n_reads_per_transfer, random_selection, zero_shift, zero_shift_pulses,
    reference_offset_mean, reference_offset_std, mean_granularity, forward, backward, transfer_forward, pulses
        See `TikiTaka`.
    fast_lr, transfer_lr : float, default 1
        Rates of A and of the buffer. `scale_fast_lr`, `scale_transfer_lr` (both True): they are relative to the learning
        rate of `update`.
    thres_scale : float, default 1
        Threshold of the buffer, in steps of C.
    step : float, default 1
        Pulses that C gets per unit of the buffer; other than 1, the mean number.
    momentum : float, default 0.1
        Part of the buffer that a transfer leaves.
    forget_buffer : bool, default True
        See above.
    transfer_pulses : PulseScheme, default one slot without managements
        Writes of C. desired_bl bounds the n of one transfer; without update management, several pulses of a stochastic
        train are min(n, sqrt(desired_bl)) on average, as in AIHWKit.

    Notes
    -----
    Gokmen (2021), Front. Artif. Intell. 4:699148, Algorithm 1; the options are those of AIHWKit's BufferedTransferCompound,
    whose buffer is in weight units, i.e. ours times thres_scale dw_min.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.TikiTakaV2(rpu.devices.SoftBounds(dw_min=0.01)).build((2, 3), rng=0)
    >>> tile.update([1.0, 0.0, -1.0], [0.5, -0.5], lr=0.1)
    >>> tile.buffer.shape
    (2, 3)
    """

    papers: ClassVar[tuple[str, ...]] = ("gokmen2021",)

    thres_scale: float = parameter(1.0, physical(0.0, open_low=True))
    step: float = parameter(1.0, physical(0.0, open_low=True))
    momentum: float = parameter(0.1, real(0.0, 1.0))
    forget_buffer: bool = parameter(True, boolean)
    transfer_pulses: PulseScheme = parameter(ONE_PULSE, is_scheme)

    def _rates(self, lr: float, lines: int) -> tuple[float, list[float]]:
        fast, rates = super()._rates(lr, lines)
        return fast, [rate / (self.thres_scale * granularity_of(self._devices()[-1])) for rate in rates]

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        return replace(
            super()._level(k, shape),
            buffered=True,
            momentum=self.momentum,
            forget=self.forget_buffer,
            max_pulses=self.transfer_pulses.desired_bl,
            step_lr=self.step * granularity_of(self._devices()[-1]),
        )
