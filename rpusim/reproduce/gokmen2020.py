"""Gokmen and Haensch (2020), Tiki-Taka: MNIST on asymmetric devices by SGD and by Tiki-Taka, beside symmetric ones."""

from __future__ import annotations

import math
from typing import Any

from rpusim.algorithms import DigitalSGD, TikiTaka
from rpusim.devices import Device, LinearStep
from rpusim.devices.presets import rpu_baseline
from rpusim.reproduce.base import Check
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.networks import rpu_sgd
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, near, study

__all__ = ["REPRODUCTION", "device", "tiki_taka"]

#: relative change of a step from weight 0 to the bound; 1 is the saturating device
ASYMMETRIES = (0.0, 0.1, 0.3, 1.0)
#: test error in %
PUBLISHED = {"digital": 2.0, "SGD, symmetric": 2.3, "SGD, asymmetric": 15.0, "Tiki-Taka": 2.0}
CRITERION = (
    "on the most asymmetric devices SGD has more than 15 % error (published, of an asymmetry that was not at hand) and "
    "Tiki-Taka is within 1 % of SGD on symmetric ones (published: equal); SGD gets worse with every asymmetry; digital and "
    "symmetric SGD are within 1 % of what is published. Quick: on the most asymmetric devices SGD is more than 3 % worse than "
    "Tiki-Taka"
)
NOTES = (
    "Published errors are known at second hand, and rates and asymmetry were not at hand: an image at a time, the rates of "
    "gokmen2016 (0.01, halved after every ten of 30 epochs), 1200 states between +-0.6 with spreads of 30 %, reads of its "
    "baseline. With 10,000 images and three epochs Tiki-Taka has 10.6 % with the rate of the transfer 100 and gamma 0.5, 13.9 "
    "with gamma 0, 15.2 with the rate 30 and a transfer after every image, 58 with the rate 10.",
)


def device(asymmetry: float) -> Device:
    """Return the baseline's device with steps that fall by `asymmetry` from 0 to the bound they go to."""
    if asymmetry == 0.0:
        return rpu_baseline()
    return LinearStep(dw_min=0.001, w_max=0.6, w_min=-0.6, gamma_up=asymmetry, gamma_down=asymmetry, mean_bound_reference=False)


def tiki_taka(asymmetry: float, **changes: Any) -> TikiTaka:
    """Return Tiki-Taka on such devices, with the reads and pulses of the RPU baseline."""
    base = rpu_sgd()
    settings: dict[str, Any] = {
        "fast": device(asymmetry), "gamma": 0.5, "transfer_every": 2, "fast_lr": 1.0, "transfer_lr": 100.0,
        "forward": base.forward, "backward": base.backward, "pulses": base.pulses,
    }  # fmt: skip
    return TikiTaka(**{**settings, **changes})


def rows(quick: bool) -> list[Row]:
    """Return all conditions."""
    plain = Condition(lr=0.01, drop=0.5, drop_every=2 if quick else 10, train=10_000 if quick else None)
    out = [Row("digital", None, plain.replace(rule=DigitalSGD()), PUBLISHED["digital"])]
    for asymmetry in ASYMMETRIES[-1:] if quick else ASYMMETRIES:
        published = math.nan if asymmetry else PUBLISHED["SGD, symmetric"]
        out.append(Row("SGD", asymmetry, plain.replace(rule=rpu_sgd(device(asymmetry))), published))
        if asymmetry:
            out.append(Row("Tiki-Taka", asymmetry, plain.replace(rule=tiki_taka(asymmetry))))
    return out


def checks(found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    most = ASYMMETRIES[-1]
    worse, tiki = found["SGD", most], found["Tiki-Taka", most]
    if quick:
        return [claim("SGD - Tiki-Taka, asymmetry 1 (%)", worse - tiki, worse - tiki > 3.0, 13.0)]
    sgd = found.line("SGD")
    gap = tiki - sgd[0.0]
    rise = min(sgd[b] - sgd[a] for a, b in zip(ASYMMETRIES, ASYMMETRIES[1:], strict=False))
    return [
        claim("SGD, asymmetry 1 (%)", worse, worse > 15.0, 15.0),
        claim("Tiki-Taka, asymmetry 1 - SGD, symmetric (%)", gap, gap < 1.0, -0.3),
        claim("SGD: least rise with the asymmetry (%)", rise, rise > 0.0),
        *(Check(c.label, c.measured, c.published, c.passed) for c in near(found, lambda _: 1.0)),
    ]


REPRODUCTION = study(
    Plan(
        "gokmen2019-ttv1", "Gokmen and Haensch (2020), Front. Neurosci. 14:103, arXiv:1909.07908", CRITERION, rows, checks,
        epochs=(4, 30), axis=Axis("fall of a step from 0 to the bound"), notes=NOTES, paper="gokmen2020",
    ),
    "MNIST on asymmetric devices: SGD and Tiki-Taka",
)  # fmt: skip
