"""Onen et al. (2022), Fig. 4, at a third of the size: SGD and SHD on symmetric and asymmetric devices."""

from __future__ import annotations

from rpusim.algorithms import SGD, SHD, DigitalSGD
from rpusim.periphery.converters import ADC, DAC
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.reproduce.base import Check
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.onen2022_fig4 import device
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, study

__all__ = ["REPRODUCTION"]

#: rates of the transfer, of those that were tried on the saturating device the best; symmetric devices get all
SLOW_LR, SLOW_LRS = 0.3, (0.1, 0.3, 1.0)
CRITERION = (
    "SHD with asymmetry 1 ends no worse than SGD on symmetric devices (within 0.05) and more than 0.15 better than SGD on its "
    "own; on symmetric devices SHD is more than 0.15 worse than that at every rate of the transfer. Quick: SGD is worse with "
    "asymmetry"
)
NOTES = (
    "32 cells, 100,000 characters, the rate 0.03. One rate of the transfer, 0.3, for all asymmetric devices; tries with 1, "
    "0.3 and 0.1 and asymmetry 1 had 2.086, 2.002 and 2.147.",
)


def rows(quick: bool) -> list[Row]:
    """Return all conditions."""
    periphery = Periphery(dac=DAC(bits=7), adc=ADC(bits=9, bound=40.0, noise=0.02))
    pulses = PulseScheme(desired_bl=100)
    plain = Condition(
        network="lstm", data="warpeace", train=20_000 if quick else 100_000, test=10_000, units=32, length=50, lr=0.03
    )
    out = [Row("digital", None, plain.replace(rule=DigitalSGD()))]
    for asymmetry in (0.0, 1.0):
        rule = SGD(device(asymmetry), forward=periphery, pulses=pulses)
        out.append(Row("SGD", asymmetry, plain.replace(rule=rule)))
    if quick:
        return out
    for rate in SLOW_LRS:
        for asymmetry in (0.0, 0.3, 1.0) if rate == SLOW_LR else (0.0,):
            one = device(asymmetry)
            shd = SHD(one, one, forward=periphery, pulses=pulses, transfer_every=1, fast_lr=1.0, slow_lr=rate)
            out.append(Row(f"SHD, transfer {rate:g}", asymmetry, plain.replace(rule=shd)))
    return out


def checks(found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    base, worse = found["SGD", 0.0], found["SGD", 1.0]
    if quick:
        return [claim("SGD, asymmetry 1 - symmetric", worse - base, worse > base)]
    best = found[f"SHD, transfer {SLOW_LR:g}", 1.0]
    stuck = min(found[f"SHD, transfer {rate:g}", 0.0] for rate in SLOW_LRS)
    return [
        claim("SHD, asymmetry 1 - SGD, symmetric", best - base, best - base < 0.05),
        claim("SGD - SHD, asymmetry 1", worse - best, worse - best > 0.15),
        claim("SHD, symmetric at its best - asymmetry 1", stuck - best, stuck - best > 0.15),
    ]


REPRODUCTION = study(
    Plan(
        "onen2022-fig4-third", "Onen et al., Front. Artif. Intell. 5:891624 (2022), Fig. 4", CRITERION, rows, checks,
        epochs=(1, 6), axis=Axis("asymmetry"), measure="test_loss", notes=NOTES,
    ),
    "a character LSTM of 32 cells: SGD and SHD on symmetric and asymmetric devices",
)  # fmt: skip
