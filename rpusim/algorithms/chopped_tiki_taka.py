"""Chopped Tiki-Taka, version 2: signs that flip average the errors of the reference away."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, physical, real
from rpusim.algorithms.base import granularity_of, is_scheme
from rpusim.algorithms.level import Level
from rpusim.algorithms.transfer import ONE_PULSE, TransferAlgorithm, auto_scaled
from rpusim.periphery.pulses import PulseScheme

__all__ = ["ChoppedTikiTaka"]


@dataclass(frozen=True, repr=False)
class ChoppedTikiTaka(TransferAlgorithm):
    r"""Chopped Tiki-Taka, c-TTv2 (Rasch, Carta, Fagbohungbe and Gokmen, 2024).

    As `TikiTakaV2`, with a sign for every line of A, and one for every element of a line, that flip now and then
    (choppers; c_in and c_out are the signs of inputs and outputs)::

        A <- A - eta_A (c_out * d) (c_in * x)^T                       by pulses on A
        H_i <- H_i + lambda s (A - R) e_i,  s = c_out c_in,i          digital, in pulses of C
        where |H| >= 1:  n = trunc(H) pulses on C, H as in `TikiTakaV2`
        lambda = eta_C / b,  b = buffer_granularity dw_min(A) [auto_granularity / (lines transfer_every)]

    Gradients keep their sign in H, an error of the reference R alternates and cancels.

    Parameters
    ----------
    fast, slow, transfer_every, transfer_columns, random_selection, zero_shift, zero_shift_pulses, reference_offset_mean,
    reference_offset_std, mean_granularity, forward, backward, transfer_forward, pulses
        See `TikiTaka`. One line is read per transfer.
    fast_lr : float, default 1
        Rate of A (eta_A); with `auto_scale` the number of pulses, relative to desired_bl. `scale_fast_lr` (False): it is
        relative to the learning rate of `update`.
    transfer_lr : float, default 1
        Rate of the buffer, relative to the learning rate of `update` unless `scale_transfer_lr` (True) is False.
    in_chop_prob : float, default 0.1
        Probability with which the chopper of a line flips after each of its reads (rho of the paper).
    in_chop_random : bool, default True
        False: flip after every N-th read, N = max(ceil(1 / in_chop_prob), 2).
    out_chop_prob : float, default 0
        Probability with which each chopper of the elements of lines flips after a sweep through all lines.
    buffer_granularity : float, default 1
        See b above.
    auto_granularity : float, default 0
        Where above 0, the factor of b in brackets (gamma_0 of the paper): the vectors that the buffer averages over.
    step, momentum, forget_buffer
        See `TikiTakaV2`; momentum is 0 by default.
    no_buffer : bool, default False
        Do not sum: H is what this read alone gives.
    auto_scale : bool, default False
        eta_A = fast_lr desired_bl dw_min(A) / (m_x m_d), with m_x and m_d running means of max|x| and max|d|, so that the
        largest gradients take about fast_lr desired_bl pulses (eta_0 l_max of the paper).
    auto_momentum : float, default 0.99
        Memory of these means, per vector.
    correct_gradient_magnitudes : bool, default False
        Undo eta_A: lambda = eta_C / (eta_A b), with dw_min of C in b.
    transfer_pulses : PulseScheme, default one slot without managements
        Writes of C; see `TikiTakaV2`.

    Notes
    -----
    Rasch et al. (2024), Nat. Commun. 15:7133, Eqs. 6 to 8 and Methods; the options are those of AIHWKit's
    ChoppedTransferCompound.

    A soft-bounds A remembers about bound / (dw_min * pulses per vector) vectors. Choppers should not flip much faster: what A
    learnt under one sign is read under the other and cancels, and the weights stop short of their goal. A chopper flips after
    lines * transfer_every / in_chop_prob vectors on average, which is short for small arrays.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.ChoppedTikiTaka(rpu.devices.SoftBounds(dw_min=0.01), in_chop_prob=0.1, auto_scale=True)
    >>> tile = rule.build((2, 3), rng=0)
    >>> tile.update([[1.0, 0.0, -1.0]] * 9, [[0.5, -0.5]] * 9, lr=0.1)
    >>> [signs.shape for signs in tile.choppers]
    [(2,), (3,)]
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2024",)

    scale_fast_lr: bool = parameter(False, boolean)
    in_chop_prob: float = parameter(0.1, real(0.0, 1.0))
    in_chop_random: bool = parameter(True, boolean)
    out_chop_prob: float = parameter(0.0, real(0.0, 1.0))
    buffer_granularity: float = parameter(1.0, physical(0.0, open_low=True))
    auto_granularity: float = parameter(0.0, physical(0.0))
    step: float = parameter(1.0, physical(0.0, open_low=True))
    momentum: float = parameter(0.0, real(0.0, 1.0))
    forget_buffer: bool = parameter(True, boolean)
    no_buffer: bool = parameter(False, boolean)
    auto_scale: bool = parameter(False, boolean)
    auto_momentum: float = parameter(0.99, real(0.0, 1.0))
    correct_gradient_magnitudes: bool = parameter(False, boolean)
    transfer_pulses: PulseScheme = parameter(ONE_PULSE, is_scheme)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.n_reads_per_transfer != 1:
            raise ValueError(f"{type(self).__name__}: n_reads_per_transfer must be 1; got {self.n_reads_per_transfer}")

    @property
    def chop_period(self) -> int:
        """N, the reads of a line from one regular flip of its chopper to the next; 0 where it never flips."""
        return max(math.ceil(1.0 / self.in_chop_prob), 2) if self.in_chop_prob > 0.0 else 0

    def _rates(self, lr: float, lines: int) -> tuple[float, list[float]]:
        fast, (rate,) = super()._rates(lr, lines)
        a, c = (granularity_of(device) for device in self._devices())
        if self.auto_scale:
            fast *= self.pulses.desired_bl * a
        unit = self.buffer_granularity * (c if self.correct_gradient_magnitudes else a)
        if self.auto_granularity > 0.0:
            unit *= self.auto_granularity / (lines * self.transfer_every)
        return fast, [rate / unit]

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        return replace(
            super()._level(k, shape),
            buffered=True,
            momentum=self.momentum,
            forget=self.forget_buffer,
            accumulate=not self.no_buffer,
            max_pulses=self.transfer_pulses.desired_bl,
            step_lr=self.step * granularity_of(self._devices()[-1]),
            in_chop=self.in_chop_prob,
            random_chops=self.in_chop_random and self.in_chop_prob > 0.0,
            regular_chops=not self.in_chop_random and self.in_chop_prob > 0.0,
            out_chop=self.out_chop_prob,
            period=self.chop_period,
            over_fast_rate=self.correct_gradient_magnitudes,
        )

    def _loop(self) -> dict[str, Any]:
        return auto_scaled(self)
