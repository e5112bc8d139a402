"""Multi-tile residual learning: many coarse arrays as the digits of one fine weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rpusim._base.random import RNG
from rpusim._base.specification import parameter
from rpusim._base.state import Entry, attribute, checked_list
from rpusim._base.validation import boolean, integer, physical, real
from rpusim.algorithms.base import is_period, is_single_device
from rpusim.algorithms.level import Level
from rpusim.algorithms.transfer import TransferAlgorithm, TransferTile
from rpusim.devices import Device, SoftBounds

__all__ = ["MultiTileResidual"]

_loss = real()


@dataclass(frozen=True, repr=False)
class MultiTileResidual(TransferAlgorithm):
    r"""Multi-tile residual learning (Li, Wu, Liu, Gokmen and Chen, 2026).

    The weight is sum_n gamma^n W^(n), n = 0 for the slowest tile, N = n_tiles - 1 for the fastest. The fastest takes every
    gradient; tile n moves by beta_n times tile n + 1 every T_n vectors, line by line and without a reset::

        W^(N) <- W^(N) - lr fast_lr d x^T,     W^(n)_i <- W^(n)_i + beta_n W^(n+1)_i

    With the k-th transfer counted from the fastest: T = transfer_every transfer_every_growth^k and
    beta = transfer_lr transfer_lr_growth^k. The error falls as gamma^(2 N / 3): a tile resolves what the coarser ones leave.

    With `warm_start`, the fastest tile is first transferred to tile 0 directly, then to tile 1, and so on to tile N - 1; after
    that the chain runs. When to go on is decided from the loss, by `end_epoch` of the tile, which `rpusim.nn.Trainer`
    calls after every epoch.

    Parameters
    ----------
    fast, slow : Device
        Device of the fastest tile, and of all others; `slow` None: as `fast`.
    n_tiles : int, default 3
        Tiles of a weight, from 2 to 16.
    gamma : float, default 0.5
        Ratio of the digits; should be at least dw_min / (w_max - w_min), so that each tile covers a step of the one before.
    transfer_every : int, default 2
        Vectors between transfers of the fastest tile.
    transfer_every_growth : int, default 5
    transfer_lr : float, default 0.1
        Not scaled by the learning rate (`scale_transfer_lr` False).
    transfer_lr_growth : float, default 1.2
    warm_start : bool, default False
    zero_shift : {"exact", "pulses", "random_pulses", "none"}
        References of all tiles but the slowest.
    transfer_columns, n_reads_per_transfer, random_selection, fast_lr, scale_fast_lr, scale_transfer_lr,
    zero_shift_pulses, reference_offset_mean, reference_offset_std, mean_granularity, forward, backward,
    transfer_forward, pulses, transfer_pulses
        See `TikiTaka`, of whose chain of arrays this is a case.

    Notes
    -----
    Li et al. (2026), AISTATS, arXiv:2510.02516, Algorithm 1 and Sec. 4 (warm start); the defaults are those of the authors'
    MNIST runs with 10 states.

    Examples
    --------
    >>> import rpusim as rpu
    >>> tile = rpu.algorithms.MultiTileResidual(rpu.devices.SoftBounds(dw_min=0.2), n_tiles=3).build((2, 3), rng=0)
    >>> tile.update([1.0, 0.0, -1.0], [0.5, -0.5], lr=0.1)
    >>> len(tile.arrays), tile.resources().arrays
    (3, 5)
    """

    papers: ClassVar[tuple[str, ...]] = ("li2026",)

    fast: Device = parameter(SoftBounds, is_single_device)
    transfer_every: int = parameter(2, is_period)
    transfer_lr: float = parameter(0.1, real(0.0))
    scale_transfer_lr: bool = parameter(False, boolean)
    n_tiles: int = parameter(3, integer(2, 16))
    gamma: float = parameter(0.5, physical(0.0, open_low=True))
    transfer_every_growth: int = parameter(5, integer(1, 1000))
    transfer_lr_growth: float = parameter(1.2, physical(0.0))
    warm_start: bool = parameter(False, boolean)

    def _check_consistency(self) -> None:
        super()._check_consistency()
        longest = self.transfer_every * self.transfer_every_growth ** (self.n_tiles - 2)
        if longest > 2**31 - 1:
            raise ValueError(
                f"MultiTileResidual: transfer_every_growth must leave periods of at most {2**31 - 1}; got {longest}"
            )

    def _devices(self) -> tuple[Device, ...]:
        slow = self.fast if self.slow is None else self.slow
        return (self.fast, *(slow,) * (self.n_tiles - 1))

    def _gammas(self) -> tuple[float, ...]:
        return tuple(self.gamma ** (self.n_tiles - 1 - k) for k in range(self.n_tiles))

    def _rates(self, lr: float, lines: int) -> tuple[float, list[float]]:
        fast, rates = super()._rates(lr, lines)
        return fast, [rate * self.transfer_lr_growth**k for k, rate in enumerate(rates)]

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        return replace(super()._level(k, shape), every=self.transfer_every * self.transfer_every_growth**k)

    def build(self, shape: tuple[int, int], rng: RNG = None) -> MultiTile:
        return MultiTile(self, shape, rng)


class MultiTile(TransferTile):
    """The tile of `MultiTileResidual`; `arrays` are W^(N), ..., W^(0).

    Attributes
    ----------
    stage : int
        Tile that the fastest one is transferred to in the warm start; n_tiles - 1 once the chain runs.
    """

    def __init__(self, algorithm: MultiTileResidual, shape: tuple[int, int], rng: RNG = None) -> None:
        self.stage = 0 if algorithm.warm_start else algorithm.n_tiles - 1
        self._losses: list[float] = []
        super().__init__(algorithm, shape, rng)

    def _chain(self) -> tuple[int, ...]:
        last = len(self.arrays) - 1
        # of two tiles, the warm start is the chain
        return tuple(range(last + 1)) if self.stage >= last else (0, last - self.stage)

    def end_epoch(self, loss: float) -> int:
        """Take the mean training loss of an epoch; go on to the next stage of the warm start where it has settled.

        The first four stages end when the loss rises, later ones when it has risen twice in the last five epochs.

        Returns
        -------
        int
            `stage`.
        """
        self._losses.append(_loss("loss", loss))
        last, recent = len(self.arrays) - 1, self._losses[-6:]
        rises = [b > a for a, b in zip(recent, recent[1:], strict=False)]
        settled = bool(rises) and rises[-1] if self.stage < 4 else sum(rises) >= 2
        if self.stage < last and settled:
            self._enter(self.stage + 1)
        return self.stage

    def _enter(self, stage: int) -> None:
        vectors = self._loop.vectors
        self.stage, self._losses = stage, []
        self._build_loop(self._keys)
        self._loop.set_vectors(vectors)

    def _entries(self) -> dict[str, Entry]:
        losses = Entry(
            lambda: list(self._losses),
            lambda name, values: checked_list(name, values, len(values) if isinstance(values, (list, tuple)) else 0, _loss),
            lambda values: setattr(self, "_losses", values),
        )
        return super()._entries() | {"stage": attribute(self, "stage", integer(0, len(self.arrays) - 1)), "losses": losses}

    def checked_state(self, name: str, state: Any) -> dict[str, Any]:
        if not isinstance(state, dict) or "stage" not in state:
            return super().checked_state(name, state)  # which says what is missing
        stage = integer(0, len(self.arrays) - 1)(f"{name}['stage']", state["stage"])
        now = vars(self).copy()
        try:
            self._enter(stage)  # buffers are those of the stage
            return super().checked_state(name, state)
        finally:
            vars(self).update(now)

    def restore(self, checked: dict[str, Any]) -> None:
        self._enter(checked["stage"])
        super().restore(checked)
