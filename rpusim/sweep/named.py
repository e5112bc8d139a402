"""The tasks that have names: regression, training, inference and reproduction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rpusim import algorithms
from rpusim._base.random import RNG
from rpusim._base.specification import from_dict
from rpusim._base.validation import boolean, choice, instance, integer, numbers_of, optional, real, shown
from rpusim.algorithms import Algorithm, named
from rpusim.devices import Device
from rpusim.devices.called import device_called
from rpusim.sweep.tasks import Task

if TYPE_CHECKING:
    from rpusim.inference import Chip

__all__ = ["TASKS", "inference", "regression", "reproduction", "training"]


def regression(
    device: Any = "constant-step",
    algorithm: Any = "sgd",
    target: Any = 0.5,
    noise: float = 0.2,
    lr: float = 0.01,
    steps: int = 30_000,
    start: Any = 0.0,
    input: str = "normal",
    tail: float = 1 / 3,
    rng: RNG = None,
) -> dict[str, float]:
    """One parameter or a few on y = G0 x + noise: `rpusim.experiments.regression`.

    `device` is one of the demonstrations, a preset or a device, `algorithm` a name or an algorithm. Results: mean of the
    weights over the tail, its standard error, error (root of the mean square of mean - target), pulses.
    """
    from rpusim import experiments

    run = experiments.regression(
        algorithm, target, noise=noise, lr=lr, steps=steps, start=start, input=input, tail=tail, rng=rng
    )
    error = float(np.sqrt(np.mean((run.mean - run.target) ** 2)))
    return {
        "mean": float(run.mean.mean()), "standard_error": float(np.mean(run.standard_error)), "error": error,
        "pulses": int(run.pulses),
    }  # fmt: skip


def training(
    device: Any = "constant-step",
    algorithm: Any = "sgd",
    data: str = "mnist",
    data_folder: str | None = None,
    network: str = "mlp",
    hidden: Sequence[int] = (256, 128),
    epochs: int = 10,
    batch_size: int = 1,
    samples: int | None = None,
    lr: float = 0.05,
    lr_drop: int | None = 4,
    rng: RNG = None,
    folder: str | None = None,
) -> dict[str, float]:
    """A network on images: sigmoid layers of the sizes `hidden`, or LeNet; as `rpusim train`, and from its own checkpoint.

    `lr` is halved every `lr_drop` epochs. Results: test_error and its least over epochs (%), test_loss, train_loss, pulses, and
    arrays and devices of the network.
    """
    from rpusim import datasets, nn

    lenet = import_module("rpusim.reproduce.networks").lenet  # the floor above
    found = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}[data](data_folder, flatten=network == "mlp")
    sizes = [found.x_train.shape[-1], *hidden]
    layers: list[nn.Layer] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs, algorithm), nn.Sigmoid()]
    net = nn.Sequential(*layers, nn.Linear(sizes[-1], 10, algorithm)) if network == "mlp" else lenet(algorithm)
    trainer = nn.Trainer(
        net, lr=lambda epoch: lr if lr_drop is None else lr * 0.5 ** (epoch // lr_drop), rng=rng, batch_size=batch_size
    )
    count = len(found.x_train) if samples is None else samples
    path = None if folder is None else Path(folder) / "training.npz"
    history = trainer.fit(
        (found.x_train[:count], found.y_train[:count]), epochs, validation=found.test, checkpoint=path, progress=False
    )
    whole = nn.summary(net).total
    errors = [e for e in history.test_error if e is not None]
    return {
        "test_error": errors[-1], "best_test_error": min(errors), "test_loss": float(history.test_loss[-1] or 0.0),
        "train_loss": history.train_loss[-1], "pulses": whole.pulses, "arrays": whole.arrays, "devices": whole.devices,
    }  # fmt: skip


def inference(
    network: str,
    chip: Any = "pcm-tutorial",
    data: str = "mnist",
    data_folder: str | None = None,
    samples: int | None = None,
    times_s: Sequence[float] = (1.0, 86400.0, 31536000.0),
    programmings: int = 3,
    rng: RNG = None,
    folder: str | None = None,
) -> dict[str, float]:
    """A network that was saved, on chips: `rpusim.inference.evaluate`.

    `network` is the file. Results: reference, accuracy_T at every time and worst_T over programmings, accuracy at the last
    time, and what the first programming costs for a sample: energy (J), latency (s), area (m^2).
    """
    from rpusim import datasets, nn
    from rpusim import inference as chips

    net = nn.load(network)
    flat = any(matrix.inputs == 784 for matrix in net.matrices()[:1])
    found = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}[data](data_folder, flatten=flat)
    x, y = found.test
    needs = chip.input_range == "static" and any(m.input_range is None for m in net.matrices())
    options: dict[str, Any] = {"calibration": found.x_train[:1000]} if needs else {}
    path = None if folder is None else Path(folder) / "inference.npz"
    result = chips.evaluate(
        net, (x[:samples], y[:samples]), times_s, chip=chip, programmings=programmings, rng=rng, progress=False,
        checkpoint=path, **options,
    )  # fmt: skip
    out = {"reference": result.reference, "accuracy": float(result.mean[-1])}
    for t, mean, worst in zip(result.times_s, result.mean, result.worst, strict=True):
        out |= {f"accuracy_{t:g}s": float(mean), f"worst_{t:g}s": float(worst)}
    cost = chips.inference_cost(chips.program(net, chip, rng=rng, **options), x[:100])
    for name, table in (("energy", cost.total.energy), ("latency", cost.total.time), ("area", cost.total.area)):
        out[name] = float(sum(table.values()))
    return out


def reproduction(
    name: str, quick: bool = True, epochs: int | None = None, seed: int = 0, folder: str | None = None
) -> dict[str, float]:
    """A published figure or table (`rpusim reproduce`). Results: passed, agreeing, and every number that was measured."""
    entry = import_module("rpusim.reproduce").get(name)
    result = entry.compute(quick, seed, Path(folder) if entry.trains and folder is not None else None, epochs)
    out: dict[str, float] = {"passed": result.passed, "agreeing": sum(check.passed for check in result.checks)}
    return out | {check.label: float(check.measured) for check in result.checks}


def _specified(value: Any) -> Any:
    return from_dict(value) if isinstance(value, dict) and "type" in value else value


def _demo_device(value: Any, _: Mapping[str, Any]) -> Device:
    from rpusim.experiments import DEMO_DEVICES

    return device_called("device", value, DEMO_DEVICES)


def _training_device(value: Any, _: Mapping[str, Any]) -> Device:
    return device_called("device", value)


def _demo_algorithm(value: Any, others: Mapping[str, Any]) -> Algorithm:
    from rpusim.experiments import demo_algorithm

    device = others["device"]
    return (
        demo_algorithm(choice(*named.names())("algorithm", value), device) if isinstance(value, str) else _rule(value, device)
    )


def _algorithm(value: Any, others: Mapping[str, Any]) -> Algorithm:
    device = others["device"]
    return named.get(value, device) if isinstance(value, str) else _rule(value, device)


def _rule(value: Any, device: Device) -> Algorithm:
    """An algorithm of a dict, on `device` where that does not say which."""
    if _lacks_device(value):
        value = value | {name: device.to_dict() for name in ("device", "fast") if name in _fields(value)}
    return instance(Algorithm, "an algorithm, or the name of one")("algorithm", _specified(value))


def _fields(value: Mapping[str, Any]) -> list[str]:
    kind = getattr(algorithms, str(value.get("type")), None)
    return [one.name for one in dataclasses.fields(kind)] if isinstance(kind, type) and dataclasses.is_dataclass(kind) else []


def _lacks_device(value: Any) -> bool:
    return isinstance(value, dict) and not {"device", "fast"} & value.keys()


def _chip(value: Any, _: Mapping[str, Any]) -> Chip:
    from rpusim.inference import Chip, chips

    if isinstance(value, str):
        if value.replace("_", "-") not in chips.names():
            raise ValueError(f"chip must be one of {', '.join(chips.names())}, or a chip")
        return chips.get(value)
    return instance(Chip, "a Chip, or the name of one")("chip", _specified(value))


def _builds(whole: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """A device that no array of the algorithm can be made of is found out by making one."""
    from rpusim.sweep.settings import SettingError

    unused = next((name for name in settings if name.partition(".")[0] == "device"), None)
    if unused is not None and isinstance(settings.get("algorithm"), dict) and not _lacks_device(settings["algorithm"]):
        raise SettingError(unused, f"{unused} must not be set where the algorithm says its devices, which it does here")
    try:
        whole["algorithm"].build((1, 1), rng=0)
    except (TypeError, ValueError) as error:
        raise SettingError("algorithm", f"algorithm = {shown(whole['algorithm'])}: {error}") from None


def _file(name: str, value: Any) -> str:
    if not isinstance(value, str) or not Path(value).is_file():
        raise ValueError(f"{name} must be the file of a network that was saved; got {shown(value)}")
    return value


def _target(name: str, value: Any) -> Any:
    return numbers_of(real())(name, value) if isinstance(value, (list, tuple)) else real()(name, value)


def _reproduction(name: str, value: Any) -> str:
    return choice(*import_module("rpusim.reproduce").names())(name, value)


_images = choice("mnist", "fashion-mnist")
_positive = real(0.0, open_low=True)
_folder = optional(instance(str, "the path of a folder"))

TASKS = {
    "regression": Task(
        "regression", regression, {"device": _demo_device, "algorithm": _demo_algorithm},
        {"target": _target, "noise": real(0.0), "lr": _positive, "steps": integer(20), "start": _target,
         "input": choice("normal", "binary", "uniform"), "tail": real(0.0, 1.0, open_low=True)},
        _builds, minimize="error",
    ),
    "training": Task(
        "training", training, {"device": _training_device, "algorithm": _algorithm},
        {"data": _images, "data_folder": _folder, "network": choice("mlp", "lenet"), "hidden": numbers_of(integer(1)),
         "epochs": integer(1), "batch_size": integer(1), "samples": optional(integer(1)), "lr": _positive,
         "lr_drop": optional(integer(1))},
        _builds, minimize="test_error",
    ),
    "inference": Task(
        "inference", inference, {"chip": _chip},
        {"network": _file, "data": _images, "data_folder": _folder, "samples": optional(integer(1)),
         "times_s": numbers_of(real(0.0)), "programmings": integer(1)},
        maximize="accuracy",
    ),
    "reproduction": Task(
        "reproduction", reproduction, {}, {"name": _reproduction, "quick": boolean, "epochs": optional(integer(1))},
        maximize="agreeing",
    ),
}  # fmt: skip
