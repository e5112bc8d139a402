"""RIDER and E-RIDER: residual learning that tracks the symmetry point on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import boolean, choice, physical, real
from rpusim.algorithms.base import granularity_of
from rpusim.algorithms.level import Level
from rpusim.algorithms.residual_learning import ResidualLearning
from rpusim.algorithms.transfer import ZERO_SHIFTS, auto_scaled

__all__ = ["ERIDER", "RIDER"]


@dataclass(frozen=True, repr=False)
class RIDER(ResidualLearning):
    r"""Residual learning with dynamic symmetry-point tracking (Xiao, Li, Wu, Gokmen and Chen, 2026).

    As `ResidualLearning`, with a digital running mean Q of P in place of a reference that was found before::

        every vector:             P <- P - eta_P d x^T                   by pulses (alpha of the paper)
        every transfer_every-th:  Q_i <- (1 - eta) Q_i + eta P_i         digital, line i
                                  W_i <- W_i + eta_W (P_i - Q_i)         by pulses (beta)

    and the weight is W + gamma (P - Q). Where gradients vanish, P drifts to its symmetry point, and Q after it.

    Parameters
    ----------
    reference_lr : float, default 0.001
        eta: weight of each read in Q. Q must follow P slowly, or it takes the gradients away.
    zero_shift : {"none", "exact", "pulses", "random_pulses"}
        "none", the default: P is read alone. Others give it a reference besides; see `TikiTaka`.
    auto_granularity : float, default 0
        Where above 0, W moves out of a digital buffer, a pulse at a time, as in `ChoppedTikiTaka`:
        H_i <- H_i + eta_W lines transfer_every / (auto_granularity dw_min(P)) (P_i - Q_i), and where |H| >= 1 one pulse on W,
        and H <- 0. Devices of few states need it: their step is many times what one read says, which stochastic pulses turn to
        noise.
    auto_scale : bool, default False
        eta_P = fast_lr desired_bl dw_min(P) / (m_x m_d), as in `ChoppedTikiTaka`, lr too where scale_fast_lr.
    auto_momentum : float, default 0.99
        Memory of m_x and m_d, per vector.
    others
        See `ResidualLearning`.

    Notes
    -----
    Xiao et al. (2026), arXiv:2602.21321, Algorithm 2; that W sees the newer of the two Q is a choice made here. The algorithms
    of the paper have no buffer, but its settings of networks name an `auto_granularity`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.RIDER(rpu.devices.SoftBounds(dw_min=0.01, up_down=0.1)).build((2, 3), rng=0)
    >>> tile.update([1.0, 0.0, -1.0], [0.5, -0.5], lr=0.1)
    >>> tile.tracked_reference.shape
    (2, 3)
    """

    papers: ClassVar[tuple[str, ...]] = ("xiao2026",)

    reference_lr: float = parameter(0.001, real(0.0, 1.0))
    zero_shift: str = parameter("none", choice(*ZERO_SHIFTS))
    auto_granularity: float = parameter(0.0, physical(0.0))
    auto_scale: bool = parameter(False, boolean)
    auto_momentum: float = parameter(0.99, real(0.0, 1.0))

    def _rates(self, lr: float, lines: int) -> tuple[float, list[float]]:
        fast, (rate,) = super()._rates(lr, lines)
        step = granularity_of(self.fast)
        if self.auto_scale:
            fast *= self.pulses.desired_bl * step
        if self.auto_granularity > 0.0:
            rate *= lines * self.transfer_every / (self.auto_granularity * step)
        return fast, [rate]

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        return replace(
            super()._level(k, shape),
            baseline="running",
            track=self.reference_lr,
            buffered=self.auto_granularity > 0.0,
            step_lr=granularity_of(self._devices()[-1]),
        )

    def _loop(self) -> dict[str, Any]:
        return auto_scaled(self)


@dataclass(frozen=True, repr=False)
class ERIDER(RIDER):
    r"""RIDER with choppers (Xiao, Li, Wu, Gokmen and Chen, 2026).

    As `RIDER`, with a sign s for every line, that flips now and then::

        P <- P - eta_P s d x^T,   W_i <- W_i + eta_W s (P_i - Q_i),   weight: W + gamma s (P - Q')

    Gradients alternate in P, so that its mean Q is the symmetry point even while there are gradients. Q', with which the
    weight is read, is Q as it was when the chopper last flipped.

    Parameters
    ----------
    in_chop_prob : float, default 0.05
        Probability with which the sign of a line flips after each of its reads (p of the paper).
    in_chop_random : bool, default True
        False: flip after every N-th read, N = max(ceil(1 / in_chop_prob), 2).
    others
        See `RIDER`.

    Notes
    -----
    Xiao et al. (2026), arXiv:2602.21321, Algorithm 3, where there is one sign for all lines, which are read at once.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.ERIDER(rpu.devices.SoftBounds(dw_min=0.01, up_down=0.1)).build((2, 3), rng=0)
    >>> tile.update([1.0, 0.0, -1.0], [0.5, -0.5], lr=0.1)
    >>> tile.choppers[1].shape
    (3,)
    """

    papers: ClassVar[tuple[str, ...]] = ("xiao2026",)

    in_chop_prob: float = parameter(0.05, real(0.0, 1.0, open_low=True))
    in_chop_random: bool = parameter(True, boolean)

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        return replace(
            super()._level(k, shape),
            in_chop=self.in_chop_prob,
            random_chops=self.in_chop_random,
            regular_chops=not self.in_chop_random,
            period=max(math.ceil(1.0 / self.in_chop_prob), 2),
        )
