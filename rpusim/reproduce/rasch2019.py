"""Rasch, Gokmen and Haensch (2019): what each measure around an array is worth: noise, bound and update management, scales."""

from __future__ import annotations

from rpusim.algorithms import SGD, DigitalSGD
from rpusim.devices.presets import idealized
from rpusim.nn import Mapping
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.reproduce.base import Check
from rpusim.reproduce.conditions import Condition
from rpusim.reproduce.studies import Axis, Found, Plan, Row, claim, study

__all__ = ["REPRODUCTION"]

MEASURES = ("noise management", "bound management", "update management", "output scales")
CRITERION = (
    "with all measures the error is within 1 % of the digital network's, and each that is left out costs 1 % or more. Quick: "
    "within 5 %, and noise management costs more than nothing"
)
NOTES = (
    "10,000 images, as pulses are many: up to four for a weight and image. The paper trains convolutional networks on CIFAR "
    "and ImageNet; here a perceptron with rectifiers, 784-256-128-10, on Fashion-MNIST, on the paper's devices of 10,000 "
    "states. Its own numbers were not at hand.",
    "Scales bring weights to 0.3 of the bounds. At 0.6 the largest updates take more than the 31 pulses that a train has: in "
    "tries of four epochs 20.2 %, with trains of 300 18.3, at 0.3 17.8, at 0.1 17.8, digital 17.4.",
)


def condition(without: str | None) -> Condition:
    """Return the network on arrays, without one of the measures."""
    reads = Periphery(
        noise_management="none" if without == "noise management" else "abs_max",
        bound_management="none" if without == "bound management" else "iterative",
    )
    managed = without != "update management"
    pulses = PulseScheme(update_management=managed, update_bl_management=managed)
    scaled = without != "output scales"
    mapping = Mapping(digital_bias=True, max_inputs=512, weight_scaling=0.3 if scaled else None, scale_by_output=scaled)
    return Condition(
        rule=SGD(idealized(), forward=reads, pulses=pulses), mapping=mapping,
        network="relu", data="fashion-mnist", batch_size=10, lr=0.005, drop=0.5, drop_every=3, train=10_000,
    )  # fmt: skip


def rows(quick: bool) -> list[Row]:
    """Return all conditions."""
    all_of_them = condition(None)
    out = [
        Row("digital", None, all_of_them.replace(rule=DigitalSGD(), mapping=None)),
        Row("on arrays", "all", all_of_them),
    ]
    return out + [Row("on arrays", f"no {name}", condition(name)) for name in (MEASURES[:1] if quick else MEASURES)]


def checks(found: Found, quick: bool) -> list[Check]:
    """Judge what was found."""
    whole = found["on arrays", "all"]
    gap = whole - found["digital", None]
    out = [claim("all measures - digital (%)", gap, gap < (5.0 if quick else 1.0), 0.0)]
    for name in MEASURES[:1] if quick else MEASURES:
        cost = found["on arrays", f"no {name}"] - whole
        out.append(claim(f"no {name} - all (%)", cost, cost > 0.0 if quick else cost >= 1.0))
    return out


REPRODUCTION = study(
    Plan(
        "rasch2019-ablation", "Rasch, Gokmen and Haensch (2020), IEEE Design & Test, arXiv:1906.02698", CRITERION, rows, checks,
        epochs=(3, 8), axis=Axis("measures"), notes=NOTES, paper="rasch2020",
    ),
    "Fashion-MNIST with each of noise, bound and update management and output scales left out",
)  # fmt: skip
