"""AGAD: choppers whose own period gives the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, choice, physical, real
from rpusim.algorithms.chopped_tiki_taka import ChoppedTikiTaka
from rpusim.algorithms.level import Level
from rpusim.algorithms.transfer import ZERO_SHIFTS

__all__ = ["AGAD"]


@dataclass(frozen=True, repr=False)
class AGAD(ChoppedTikiTaka):
    r"""Analog Gradient Accumulation with Dynamic reference (Rasch, Carta, Fagbohungbe and Gokmen, 2024).

    As `ChoppedTikiTaka`, with a reference that is found on the way: the mean of what was read of a line before its chopper
    last flipped. For line i, with v = A e_i, s its sign now, and in this order::

        P_i <- M_i                              if the chopper flipped after the last read
        H_i <- H_i + lambda s (v - P_i)
        M_i <- (1 - beta) M_i + beta v,  beta = min(tail_weightening / N, 1)

    (omega, p and p_ref of the paper are v, M and P.) So A needs no reference array, and none that is right: whatever is
    constant in v cancels. C is written only after the first N + 1 sweeps.

    Parameters
    ----------
    tail_weightening : float, default 5
        See beta above.
    in_chop_prob : float, default 0.1
        1 / N; must be above 0.
    in_chop_random : bool, default False
        Flip after every N-th sweep, and besides after any read with probability in_chop_prob.
    buffer_cap : float, default 0
        Where above 0: |H| is at most buffer_cap desired_bl (of transfer_pulses), without `forget_buffer`.
    zero_shift : {"none", "exact", "pulses", "random_pulses"}
        "none", the default: A is read alone. Others give A a reference nonetheless; see `TikiTaka`.
    others
        See `ChoppedTikiTaka`.

    Notes
    -----
    Rasch et al. (2024), Nat. Commun. 15:7133, Eqs. 9 to 11; the options are those of AIHWKit's DynamicTransferCompound.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.AGAD(rpu.devices.SoftBounds(dw_min=0.01), auto_scale=True, fast_lr=0.1).build((2, 3), rng=0)
    >>> tile.update([[1.0, 0.0, -1.0]] * 9, [[0.5, -0.5]] * 9, lr=0.1)
    >>> tile.resources().arrays, tile.resources().digital
    (2, 18)
    """

    papers: ClassVar[tuple[str, ...]] = ("rasch2024",)

    in_chop_prob: float = parameter(0.1, real(0.0, 1.0, open_low=True))
    in_chop_random: bool = parameter(False, boolean)
    zero_shift: str = parameter("none", choice(*ZERO_SHIFTS))
    tail_weightening: float = parameter(5.0, physical(0.0, open_low=True))
    buffer_cap: float = parameter(0.0, physical(0.0))

    def _check_consistency(self) -> None:
        super()._check_consistency()
        if self.buffer_cap > 0.0 and self.forget_buffer:
            raise ValueError(f"AGAD: buffer_cap must be 0 where forget_buffer=True; got {self.buffer_cap}")

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        period = self.chop_period
        return replace(
            super()._level(k, shape),
            regular_chops=True,
            random_chops=self.in_chop_random,
            baseline="frozen",
            track=min(self.tail_weightening / period, 1.0),
            warm_up=period + 1,
            cap=self.buffer_cap * self.transfer_pulses.desired_bl,
        )
