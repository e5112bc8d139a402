"""Algorithms by name, with the settings that they were published with."""

from __future__ import annotations

from collections.abc import Callable

from rpusim._validation import choice
from rpusim.algorithms.agad import AGAD
from rpusim.algorithms.base import Algorithm
from rpusim.algorithms.chopped_tiki_taka import ChoppedTikiTaka
from rpusim.algorithms.eapu import EaPU
from rpusim.algorithms.low_rank_tiki_taka import LowRankTikiTaka
from rpusim.algorithms.manhattan import Manhattan
from rpusim.algorithms.mixed_precision import MixedPrecision
from rpusim.algorithms.multi_tile_residual import MultiTileResidual
from rpusim.algorithms.residual_learning import ResidualLearning, ResidualLearningV2
from rpusim.algorithms.rider import ERIDER, RIDER
from rpusim.algorithms.sgd import SGD, DigitalSGD
from rpusim.algorithms.shd import SHD
from rpusim.algorithms.tiki_taka import TikiTaka
from rpusim.devices import Device
from rpusim.periphery import PulseScheme

__all__ = ["get", "names"]

FIVE = PulseScheme(desired_bl=5)

#: what makes each algorithm on a device; a comment says where the settings are from
ALGORITHMS: dict[str, Callable[[Device], Algorithm]] = {
    "digital": lambda device: DigitalSGD(),
    "sgd": lambda device: SGD(device),
    # rates of the demonstrations here: Onen et al. (2022) give none
    "shd": lambda device: SHD(device, device, fast_lr=1.0, slow_lr=5.0),
    "ttv1": lambda device: TikiTaka(device, fast_lr=1.0, transfer_lr=5.0),
    # AIHWKit's recipes (build_config): version 2 is the chopped one without flips
    "ttv2": lambda device: ChoppedTikiTaka(device, in_chop_prob=0.0, pulses=FIVE, fast_lr=0.1, auto_scale=True),
    "c-ttv2": lambda device: ChoppedTikiTaka(device, pulses=FIVE, fast_lr=0.1, auto_scale=True),
    "agad": lambda device: AGAD(device, pulses=FIVE, fast_lr=0.1, auto_scale=True),
    "mixed-precision": lambda device: MixedPrecision(device),  # type: ignore[arg-type]
    "eapu": lambda device: EaPU(device),  # type: ignore[arg-type]
    # one step per hundred samples, or every device would move at every sample
    "manhattan": lambda device: Manhattan(device, transfer_every=100),  # type: ignore[arg-type]
    # Wu et al. (2025): gamma 0.4
    "residual": lambda device: ResidualLearning(device, transfer_lr=0.1),
    "residual-v2": lambda device: ResidualLearningV2(device, transfer_lr=0.11),
    # Xiao et al. (2026), fully connected network: gamma 0.1, fast_lr 0.5, transfer_lr 0.05, chopper 0.05
    "rider": lambda device: RIDER(device, gamma=0.1, fast_lr=0.5, transfer_lr=0.05),
    "e-rider": lambda device: ERIDER(device, gamma=0.1, fast_lr=0.5, transfer_lr=0.05, in_chop_prob=0.05),
    # Li et al. (2026), MNIST
    "multi-tile": lambda device: MultiTileResidual(device),
    "low-rank": lambda device: LowRankTikiTaka(device),
}


def names() -> tuple[str, ...]:
    """Return the names that `get` takes.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.algorithms.named.names()[:4]
    ('digital', 'sgd', 'shd', 'ttv1')
    """
    return tuple(ALGORITHMS)


def get(name: str, device: Device) -> Algorithm:
    """Return the algorithm called `name` on `device`, all of its arrays alike, with published settings.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.algorithms.named.get("sgd", rpu.devices.SoftBounds(dw_min=0.002))
    SGD(device=SoftBounds(dw_min=0.002))
    """
    return ALGORITHMS[choice(*names())("algorithm", name)](device)
