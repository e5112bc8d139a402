"""Chips of the literature: complete specifications, ready to use or to change, and their sources."""

from __future__ import annotations

from typing import Any, NamedTuple

from rpusim._base.citing import cite
from rpusim._base.validation import choice, shown
from rpusim.inference.chip import STANDARD, Chip, Compensation
from rpusim.inference.converters import DifferentialPair, Signed, SingleDevice
from rpusim.inference.models import PCM, HermesPCM
from rpusim.inference.reram import SONOS, AnalogFoundation, CMOReRAM, WanReRAM
from rpusim.periphery.converters import ADC, DAC
from rpusim.periphery.reads import Periphery

__all__ = ["get", "names", "papers", "source"]


class _Entry(NamedTuple):
    chip: Chip
    what: str
    source: str
    papers: tuple[str, ...]


_STATIC = STANDARD.replace(noise_management="none")
_TWELVE = Periphery(dac=DAC(bits=8), adc=ADC(bits=8, bound=12.0, noise=0.0), bound_management="none")
_PEER = Compensation(probe="identity", estimator="ratio")

_CHIPS = {
    "pcm-tutorial": _Entry(
        Chip(PCM(), DifferentialPair(), _STATIC, _PEER, input_range="static"),
        "phase-change memory of 25 uS, 8 bits, static input ranges, 512 inputs",
        "Le Gallo et al. (2023), Using the IBM analog in-memory hardware acceleration kit, APL Mach. Learn. 1, 041102",
        ("legallo2023-aihwkit",),
    ),
    "rasch2023": _Entry(
        Chip(
            PCM(),
            DifferentialPair(),
            _STATIC.replace(read_noise=0.0175, read_noise_law="sqrt", ir_drop=1.0),
            Compensation(),
            input_range="static",
        ),
        "the standard hardware: as before, with noise of devices at every read and IR drop",
        "Rasch et al. (2023), Hardware-aware training for large-scale and diverse deep learning inference workloads, "
        "Nat. Commun. 14, 5282",
        ("rasch2023",),
    ),
    "hermes": _Entry(
        Chip(HermesPCM(), DifferentialPair(g_max_s=20.7e-6), _TWELVE, Compensation("column"), max_inputs=256, max_outputs=256),
        "phase-change memory, two devices of 10.35 uS on each side, 256 x 256, 8 bits",
        "Le Gallo et al. (2023), A 64-core mixed-signal in-memory compute chip, Nat. Electron. 6, 680",
        ("legallo2023",),
    ),
    "reram-wan": _Entry(
        Chip(WanReRAM(), DifferentialPair(g_min_s=1e-6, g_max_s=40e-6), STANDARD, None, max_inputs=256, max_outputs=256),
        "HfOx ReRAM of 1 to 40 uS, which relaxes, 256 x 256",
        "Wan et al. (2022), A compute-in-memory chip based on resistive random-access memory, Nature 608, 504",
        ("wan2022",),
    ),
    "reram-cmo": _Entry(
        Chip(CMOReRAM(), SingleDevice(g_min_s=9e-6, g_max_s=88.2e-6), STANDARD, None),
        "CMO/HfOx ReRAM of 9 to 88.2 uS, one device per weight, written and verified",
        "Falcone et al. (2025), All-in-one analog AI hardware, arXiv:2502.04524",
        ("falcone2025",),
    ),
    "sonos": _Entry(
        Chip(SONOS(), DifferentialPair(g_max_s=1.6e-6), STANDARD, None),
        "charge-trap memory at 40 nm, currents up to 1600 nA at 1 V",
        "Agrawal et al. (2022), Subthreshold operation of SONOS analog memory, IEDM 2022",
        ("agrawal2022",),
    ),
    "afm": _Entry(
        Chip(
            AnalogFoundation(),
            Signed(),
            Periphery(
                dac=DAC(bits=8), adc=ADC(bits=8, bound=14.0, noise=0.0), noise_management="none", bound_management="none"
            ),
            None,
            max_inputs=None,
            input_range="static",
        ),
        "noise of weights that analog foundation models are tested with, static ranges, 8 bits",
        "Buechel et al. (2025), Analog foundation models, NeurIPS 2025",
        ("buechel2025",),
    ),
    "lora": _Entry(
        Chip(
            PCM(),
            DifferentialPair(),
            Periphery(dac=DAC(bits=8), adc=ADC(bits=8, bound=12.0, noise=0.04)),
            _PEER,
        ),
        "phase-change memory, dynamic ranges with bound management, for adapters",
        "Li et al. (2024), Efficient transformer adaptation for analog in-memory computing via low-rank adapters",
        ("li2024",),
    ),
}


def names() -> tuple[str, ...]:
    """Return the names of all chips.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import rpusim as rpu
    >>> "hermes" in rpu.inference.chips.names()
    True
    """
    return tuple(_CHIPS)


def _known(name: Any) -> str:
    return str(choice(*_CHIPS)("name", name.replace("_", "-") if isinstance(name, str) else name))


def get(name: str, **changes: Any) -> Chip:
    """Return the chip called `name`, with some fields changed.

    Parameters
    ----------
    name : str
        One of `names()`; underscores count as dashes.
    **changes
        Fields of the chip.

    Returns
    -------
    Chip

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.chips.get("hermes", compensation=None).max_inputs
    256
    """
    chip = _CHIPS[_known(name)].chip
    fields = set(chip.to_dict()) - {"type"}
    if not set(changes) <= fields:
        raise TypeError(f"changes must be fields of a Chip, {', '.join(sorted(fields))}; got {shown(sorted(changes))}")
    cite(*_CHIPS[_known(name)].papers)
    return chip.replace(**changes)


def source(name: str) -> str:
    """Return where a chip is from.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    str

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.chips.source("reram-cmo")
    'Falcone et al. (2025), All-in-one analog AI hardware, arXiv:2502.04524'
    """
    return _CHIPS[_known(name)].source


def papers(name: str) -> tuple[str, ...]:
    """Return the keys of the papers of the chip called `name`, as `rpusim.citations` takes them.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.inference.chips.papers("hermes")
    ('legallo2023',)
    """
    return _CHIPS[_known(name)].papers


def what(name: str) -> str:
    """Return what a chip is, in a line."""
    return _CHIPS[_known(name)].what
