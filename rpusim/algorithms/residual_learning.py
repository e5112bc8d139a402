"""Residual learning: the fast array learns what the slow one still lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import physical
from rpusim.algorithms.base import granularity_of, is_scheme
from rpusim.algorithms.level import Level
from rpusim.algorithms.transfer import ONE_PULSE, TransferAlgorithm
from rpusim.periphery.pulses import PulseScheme

__all__ = ["ResidualLearning", "ResidualLearningV2"]


@dataclass(frozen=True, repr=False)
class ResidualLearning(TransferAlgorithm):
    r"""Residual learning (Wu, Xiao, Gokmen, Fagbohungbe and Chen, 2025).

    The weight is W + gamma P. P learns by gradients at that weight, and W follows P until there is nothing left to learn::

        every vector:             P <- P - eta_P d x^T          by pulses (alpha of the paper)
        every transfer_every-th:  W_i <- W_i + eta_W P_i        by pulses (beta), line i

    with eta_P = lr fast_lr and eta_W = |lr| transfer_lr. Solves min_W |P*(W)|^2 with P* = argmin_P f(W + gamma P), so that
    W settles where P has nothing to do: at the optimum, whatever the asymmetry of the devices, if only the symmetry point of
    P is at P = 0, which `zero_shift` is for.

    Parameters
    ----------
    fast, slow : Device
        Devices of P and W; `slow` None: as `fast`.
    gamma : float, default 0.4
        Weight of P.
    transfer_every, transfer_columns, n_reads_per_transfer, random_selection, fast_lr, scale_fast_lr, transfer_lr,
    scale_transfer_lr, zero_shift, zero_shift_pulses, reference_offset_mean, reference_offset_std, mean_granularity,
    forward, backward, transfer_forward, pulses, transfer_pulses
        See `TikiTaka`, which this is with gamma above 0: there A is a filter of gradients, here part of the weight.

    Notes
    -----
    Wu et al. (2025), NeurIPS, arXiv:2502.06309, Eqs. 11 to 13.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.ResidualLearning(rpu.devices.SoftBounds(dw_min=0.01), transfer_lr=0.1)
    >>> tile = rule.build((2, 3), rng=0)
    >>> tile.update([1.0, 0.0, -1.0], [0.5, -0.5], lr=0.1)
    >>> bool(abs(tile.weights).max() > 0)
    True
    """

    papers: ClassVar[tuple[str, ...]] = ("wu2025",)

    gamma: float = parameter(0.4, physical(0.0))

    def _gammas(self) -> tuple[float, ...]:
        return (self.gamma, 1.0)


@dataclass(frozen=True, repr=False)
class ResidualLearningV2(ResidualLearning):
    r"""Residual learning with a digital buffer, RLv2 (Wu et al., 2025).

    As `ResidualLearning`, but W moves by single pulses out of a leaking buffer, which averages the noise of reading P::

        H_i <- (1 - eta_W) H_i + eta_W P_i             digital
        where |H| >= dw_min:  one pulse on W, H <- H -+ dw_min

    with eta_W = |lr| transfer_lr, which must be at most 1, and dw_min the step of W.

    Parameters
    ----------
    transfer_pulses : PulseScheme, default one slot without managements
        Writes of W.
    others
        See `ResidualLearning`.

    Notes
    -----
    Wu et al. (2025), arXiv:2502.06309, Sec. 5. `TikiTakaV2` differs by a buffer that does not leak and by gamma = 0.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.ResidualLearningV2(rpu.devices.SoftBounds(dw_min=0.01)).build((2, 3), rng=0)
    >>> tile.update([1.0, 0.0, -1.0], [0.5, -0.5], lr=0.1)
    >>> tile.buffer.shape
    (2, 3)
    """

    papers: ClassVar[tuple[str, ...]] = ("wu2025",)

    transfer_pulses: PulseScheme = parameter(ONE_PULSE, is_scheme)

    def _rates(self, lr: float, lines: int) -> tuple[float, list[float]]:
        fast, (rate,) = super()._rates(lr, lines)
        if rate > 1.0:
            raise ValueError(f"lr must be such that transfer_lr |lr|, the leak of the buffer, is at most 1; got {rate:g}")
        return fast, [rate / granularity_of(self._devices()[-1])]

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        step = granularity_of(self._devices()[-1])
        return replace(
            super()._level(k, shape),
            buffered=True,
            momentum=0.0,
            forget=False,
            leak=step,
            max_pulses=self.transfer_pulses.desired_bl,
            step_lr=step,
        )
