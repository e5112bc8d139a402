"""Algorithms by name, with the settings that they were published with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rpusim import algorithms as rules

if TYPE_CHECKING:
    from rpusim.devices import Device
    from rpusim.periphery.pulses import PulseScheme

__all__ = ["get", "names"]


def _five() -> PulseScheme:
    from rpusim.periphery.pulses import PulseScheme

    return PulseScheme(desired_bl=5)


#: what makes each algorithm on a device; a comment says where the settings are from
ALGORITHMS: dict[str, Callable[[Device], rules.Algorithm]] = {
    "digital": lambda device: rules.DigitalSGD(),
    "sgd": lambda device: rules.SGD(device),
    # rates of the demonstrations here: Onen et al. (2022) give none
    "shd": lambda device: rules.SHD(device, device, fast_lr=1.0, slow_lr=5.0),
    "ttv1": lambda device: rules.TikiTaka(device, fast_lr=1.0, transfer_lr=5.0),
    # AIHWKit's recipes of c-ttv2 and agad (build_config); version 2 is the first without flips, auto-scaled as in the presets
    # TTv2X (its build_config leaves the rate of A unscaled, at 1)
    "ttv2": lambda device: rules.ChoppedTikiTaka(device, in_chop_prob=0.0, pulses=_five(), fast_lr=0.1, auto_scale=True),
    "c-ttv2": lambda device: rules.ChoppedTikiTaka(device, pulses=_five(), fast_lr=0.1, auto_scale=True),
    "agad": lambda device: rules.AGAD(device, pulses=_five(), fast_lr=0.1, auto_scale=True),
    "mixed-precision": lambda device: rules.MixedPrecision(device),  # type: ignore[arg-type]
    "eapu": lambda device: rules.EaPU(device),  # type: ignore[arg-type]
    # one step per hundred samples, or every device would move at every sample
    "manhattan": lambda device: rules.Manhattan(device, transfer_every=100),  # type: ignore[arg-type]
    # Wu et al. (2025): gamma 0.4
    "residual": lambda device: rules.ResidualLearning(device, transfer_lr=0.1),
    "residual-v2": lambda device: rules.ResidualLearningV2(device, transfer_lr=0.11),
    # Xiao et al. (2026), fully connected network: gamma 0.1, fast_lr 0.5, transfer_lr 0.05, chopper 0.05
    "rider": lambda device: rules.RIDER(device, gamma=0.1, fast_lr=0.5, transfer_lr=0.05),
    "e-rider": lambda device: rules.ERIDER(device, gamma=0.1, fast_lr=0.5, transfer_lr=0.05, in_chop_prob=0.05),
    # Li et al. (2026), MNIST
    "multi-tile": lambda device: rules.MultiTileResidual(device),
    "low-rank": lambda device: rules.LowRankTikiTaka(device),
}


def names() -> tuple[str, ...]:
    """Return the names that `get` takes.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.algorithms.named.names()[:4]
    ('digital', 'sgd', 'shd', 'ttv1')
    """
    return tuple(ALGORITHMS)


def get(name: str, device: Device) -> rules.Algorithm:
    """Return the algorithm called `name` on `device`, all of its arrays alike, with published settings.

    Parameters
    ----------
    name : str
        One of `names()`.
    device : Device

    Returns
    -------
    Algorithm

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.algorithms.named.get("sgd", rpu.devices.SoftBounds(dw_min=0.002))
    SGD(device=SoftBounds(dw_min=0.002))
    """
    from rpusim._base.validation import choice

    return ALGORITHMS[choice(*names())("algorithm", name)](device)
