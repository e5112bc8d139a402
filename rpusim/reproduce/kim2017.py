"""Kim, Gokmen, Lee and Haensch (2017), CMOS cross-points: leaking capacitors, and currents that do not match."""

from __future__ import annotations

import math
from functools import partial

from rpusim.algorithms import SGD, DigitalSGD
from rpusim.devices.presets import capacitor
from rpusim.reproduce.base import Check
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, study

__all__ = ["LIFETIME", "MISMATCH"]

#: lifetimes in mini-batches, and spreads of the relative difference of up and down steps
LIFETIMES = (3e2, 1e3, 3e3, 1e4, 1e5, 1e6)
MISMATCHES = (0.0, 0.05, 0.1, 0.2, 0.4)
QUICK_MISMATCH = 0.8
RATES = (0.002, 0.01)
KNEE = 2.0  # %: error above that of the longest lifetime
CRITERION = (
    "lifetime: the error falls with the lifetime (within 0.5 %), and the knee, where it is 2 % above that of the longest one, "
    "moves down with the rate: by its ratio of 5 within a factor of 2.5. Mismatch: at 0.05 the error is within 1 % of that "
    "without, at 0.4 it is more than 3 % above. Quick: the ends only; a mismatch of 0.8, since after three epochs 0.4 still "
    "helps as much as it costs"
)
NOTES = ("20,000 images. The paper's own numbers were not at hand; lifetimes are of mini-batches of ten images.",)


def rows(what: str, quick: bool) -> list[Row]:
    """Return the conditions of one of the two sweeps."""
    plain = Condition(batch_size=10, lr=0.01, drop=0.5, drop_every=2, train=10_000 if quick else 20_000)
    out = [Row("digital", None, plain.replace(rule=DigitalSGD()))]
    if what == "lifetime":
        for rate in RATES[1:] if quick else RATES:
            for lifetime in (LIFETIMES[0], LIFETIMES[-1]) if quick else LIFETIMES:
                rule = SGD(capacitor(lifetime=lifetime))
                out.append(Row(f"rate {rate:g}", lifetime, plain.replace(rule=rule, lr=rate)))
        return out
    for mismatch in (0.0, QUICK_MISMATCH) if quick else MISMATCHES:
        rule = SGD(capacitor(lifetime=0.0, lifetime_dtod=0.0, up_down_dtod=mismatch))
        out.append(Row("no leak", mismatch, plain.replace(rule=rule)))
    return out


def knee(line: dict[float, float]) -> float:
    """Return the lifetime at which the error crosses `KNEE` above that of the longest one; nan where it never does."""
    ends = sorted(line)
    level = line[ends[-1]] + KNEE
    for a, b in zip(ends[-2::-1], ends[:0:-1], strict=True):
        if line[a] > level:
            share = (math.log(line[a]) - math.log(level)) / (math.log(line[a]) - math.log(line[b]))
            return math.exp(math.log(a) + share * (math.log(b) - math.log(a)))
    return math.nan


def lifetime_checks(found: Found, quick: bool) -> list[Check]:
    """Judge the sweep of lifetimes."""
    out = []
    for rate in RATES[1:] if quick else RATES:
        line = found.line(f"rate {rate:g}")
        ends = sorted(line)
        rise = max(line[b] - line[a] for a, b in zip(ends, ends[1:], strict=False))
        out.append(claim(f"rate {rate:g}: largest rise with lifetime (%)", rise, rise < (0.0 if quick else 0.5)))
        if not quick:
            out.append(claim(f"rate {rate:g}: knee (mini-batches)", knee(line), math.isfinite(knee(line))))
    if not quick:
        ratio = knee(found.line(f"rate {RATES[0]:g}")) / knee(found.line(f"rate {RATES[1]:g}"))
        wanted = RATES[1] / RATES[0]
        out.append(claim("ratio of the knees", ratio, wanted / 2.5 < ratio < 2.5 * wanted, wanted))
    return out


def mismatch_checks(found: Found, quick: bool) -> list[Check]:
    """Judge the sweep of mismatches."""
    line = found.line("no leak")
    most = max(line)
    far = line[most] - line[0.0]
    out = [claim(f"mismatch {most:g} - none (%)", far, far > (0.0 if quick else 3.0))]
    if not quick:
        cost = line[0.05] - line[0.0]
        out.insert(0, claim("mismatch 0.05 - none (%)", cost, cost < 1.0))
    return out


SOURCE = "Kim, Gokmen, Lee and Haensch (2017), MWSCAS, arXiv:1706.06620"
LIFETIME = study(
    Plan(
        "kim2017-lifetime", SOURCE, CRITERION, partial(rows, "lifetime"), lifetime_checks, epochs=(3, 6),
        axis=Axis("lifetime (mini-batches)", log=True), notes=NOTES,
    ),
    "MNIST on capacitors that leak: the knee against lifetime and rate",
)  # fmt: skip
MISMATCH = study(
    Plan(
        "kim2017-mismatch", SOURCE, CRITERION, partial(rows, "mismatch"), mismatch_checks, epochs=(3, 6),
        axis=Axis("spread of up over down steps"), notes=NOTES,
    ),
    "MNIST on capacitors whose currents up and down do not match",
)  # fmt: skip
