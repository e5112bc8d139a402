"""Tiki-Taka, version 1: gradients are collected on A, and A is transferred to C line by line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rpusim._base.specification import parameter
from rpusim._base.validation import checked_by, choice, one_or_more, physical, real, shown
from rpusim.algorithms.base import is_period, is_rate, is_single_device
from rpusim.algorithms.level import Level
from rpusim.algorithms.transfer import TransferAlgorithm
from rpusim.devices import Device, PulsedDevice

__all__ = ["TikiTaka"]


@checked_by("text", 3, None, [3], {})
def _devices(name: str, value: Any) -> tuple[Device, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > 14:
        raise TypeError(f"{name} must be a tuple of at most 14 devices; got {shown(value)}")
    return tuple(is_single_device(f"{name}[{k}]", device) for k, device in enumerate(value))


@dataclass(frozen=True, repr=False)
class TikiTaka(TransferAlgorithm):
    r"""Tiki-Taka, version 1 (Gokmen and Haensch, 2020).

    The weight is W = C + gamma A. For every vector, and after every `transfer_every`-th, with i the next line::

        A <- A - eta_A d x^T                    by pulses on A
        v  = (A - R) e_i                        read
        C <- C + eta_C v e_i^T                  by pulses on C

    with eta_A = lr fast_lr and eta_C = |lr| transfer_lr. R is a static reference at the symmetry point of A, where A forgets:
    the product of gradients' noise and asymmetry pulls A to R, and so C is moved by the mean of recent gradients only.
    With more arrays `between`, each is transferred to the next, and the weight is
    W = sum_k gamma^(n - 1 - k) A_k, k = 0 for A, n - 1 for C.

    Parameters
    ----------
    fast : Device, default SoftBounds()
        Device of A.
    slow : Device or None
        Device of C; None: as `fast`.
    between : tuple of Device, default ()
        Devices of more arrays between A and C, from A on.
    gamma : float or tuple of float, default 0
        Weight of A in W (gamma of the paper, lambda elsewhere); or the weight of every array, from A to C.
    transfer_every : int or tuple of int, default 1
        Vectors from one transfer to the next (n_s of the paper); of A, or of every array but C. Where it is one number,
        deeper arrays are transferred once in a sweep of the one before: its period times its lines / n_reads_per_transfer.
        AIHWKit counts outputs in place of lines, and has `units_in_mbatch`, which a tile here does not know.
    transfer_columns : bool, default True
        Lines are columns (read forward); False: rows (read backward).
    n_reads_per_transfer : int, default 1
        Consecutive lines that are transferred at a time.
    transfer_vectors : {"one_hot", "hadamard"}
        Unit vectors, or columns of the Hadamard matrix with transfer_lr / lines in place of transfer_lr; see `SHD`.
    random_selection : bool, default False
        Choose lines at random instead of cyclically.
    with_reset_prob : float, default 0
        Probability with which each device of a line that was read is reset: to the reference plus its `reset` level, with
        its `reset_std`.
    fast_lr, transfer_lr : float, default 1
        Rates of A, and of the transfer (a tuple: of each array but C). `scale_fast_lr`, `scale_transfer_lr` (both True):
        they are relative to the learning rate of `update`.
    zero_shift : {"exact", "pulses", "random_pulses", "none"}
        How R is found when the tile is built, as `DifferentialPair.zero_shift`; "none": there is no R, A is read alone.
    zero_shift_pulses : int or None
        Budget of the two that use pulses, per device; None: 20 times the number of states.
    reference_offset_mean, reference_offset_std : float, default 0
        Errors of R, in weight units: R is the symmetry point plus reference_offset_mean + reference_offset_std xi.
        R is held exactly, whatever the bounds of A.
    mean_granularity : bool, default False
        Compatibility with AIHWKit: scale the pulses of A by the mean step of all devices instead of by that of A, so that
        eta_A is off by the ratio of the two.
    forward, backward : Periphery or None
        Reads of W, as in `CrossbarArray`.
    transfer_forward : Periphery or None
        Read of A; None: an ADC that spans twice the bounds of `fast` (times sqrt(lines) for "hadamard"), with noise of 0.5 %
        of that.
    pulses, transfer_pulses : PulseScheme
        Writes of A, and of the others.

    Notes
    -----
    Gokmen and Haensch (2020), Front. Neurosci. 14:103, Algorithm 1; the option names are AIHWKit's TransferCompound. `SHD`
    is the same with references that are arrays.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rule = rpu.algorithms.TikiTaka(rpu.devices.SoftBounds(dw_min=0.01), gamma=0.1, fast_lr=0.5)
    >>> tile = rule.build((2, 3), rng=0)
    >>> tile.update([1.0, 0.0, -1.0], [0.5, -0.5], lr=0.1)
    >>> tile.hidden[0].shape, bool(abs(tile.weights).max() > 0)
    ((2, 3), True)
    """

    papers: ClassVar[tuple[str, ...]] = ("gokmen2020",)

    between: tuple[Device, ...] = parameter((), _devices)
    gamma: float | tuple[float, ...] = parameter(0.0, one_or_more(physical()))
    transfer_every: int | tuple[int, ...] = parameter(  # type: ignore[assignment]
        1, one_or_more(is_period)
    )
    transfer_lr: float | tuple[float, ...] = parameter(  # type: ignore[assignment]
        1.0, one_or_more(is_rate)
    )
    transfer_vectors: str = parameter("one_hot", choice("one_hot", "hadamard"))
    with_reset_prob: float = parameter(0.0, real(0.0, 1.0))

    def _check_consistency(self) -> None:
        super()._check_consistency()
        devices = self._devices()
        for name, count in (("gamma", len(devices)), ("transfer_every", len(devices) - 1), ("transfer_lr", len(devices) - 1)):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != count:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be a number or {count} of them, one per array; got {shown(value)}"
                )
        if isinstance(self.gamma, tuple) and self.gamma[-1] == 0.0:
            raise ValueError(f"{type(self).__name__}: gamma must not end with 0, the weight of C; got {shown(self.gamma)}")
        if self.transfer_vectors == "hadamard" and self.random_selection:
            raise ValueError(
                f"{type(self).__name__}: random_selection must be False where transfer_vectors='hadamard'; got True"
            )
        if self.with_reset_prob > 0.0:
            if self.transfer_vectors == "hadamard":
                raise ValueError(
                    f"{type(self).__name__}: with_reset_prob must be 0 where transfer_vectors='hadamard', which reads all "
                    f"lines; got {self.with_reset_prob}"
                )
            for device in devices[:-1]:
                if not isinstance(device, PulsedDevice):
                    raise ValueError(
                        f"{type(self).__name__}: with_reset_prob needs devices that take pulses; got {shown(device)}"
                    )

    def _devices(self) -> tuple[Device, ...]:
        return (self.fast, *self.between, self.fast if self.slow is None else self.slow)

    def _gammas(self) -> tuple[float, ...]:
        n = len(self._devices())
        return self.gamma if isinstance(self.gamma, tuple) else tuple(self.gamma ** (n - 1 - k) for k in range(n))

    def _level(self, k: int, shape: tuple[int, int]) -> Level:
        if isinstance(self.transfer_every, tuple):
            every = self.transfer_every[k]
        else:
            lines = shape[1 if self.transfer_columns else 0]
            every = self.transfer_every * max(1, lines // self.n_reads_per_transfer) ** k
        level = replace(super()._level(k, shape), every=every)
        if self.transfer_vectors == "hadamard":
            level = replace(level, selection="hadamard")
        if self.with_reset_prob > 0.0 and isinstance(self._devices()[k], PulsedDevice):
            level = replace(level, reset_prob=self.with_reset_prob)
        return level
