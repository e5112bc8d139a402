"""What the reproductions with networks share: curves of test error or loss, one trained network each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rpusim import datasets
from rpusim._base.progress import progress_bar
from rpusim.algorithms import SGD, Algorithm
from rpusim.datasets import Dataset
from rpusim.devices import Device
from rpusim.devices.presets import rpu_baseline
from rpusim.nn import LSTM, Conv2d, Flatten, Linear, MaxPool2d, OneHot, Sequences, Sequential, Sigmoid, Tanh, Trainer
from rpusim.periphery.converters import ADC, DAC
from rpusim.periphery.pulses import PulseScheme
from rpusim.periphery.reads import Periphery
from rpusim.reproduce.base import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Curve", "TextRun", "characters", "curves_figure", "lenet", "lstm", "perceptron", "rpu_sgd", "subset", "text_figure",
    "text_rate", "train_curves", "train_on_text",
]  # fmt: skip


class Curve(NamedTuple):
    """One network to train: what it is called, how it is made, and its batch size and learning rate (of an epoch)."""

    label: str
    make: Callable[[], Sequential]
    lr: Callable[[int], float]
    batch_size: int = 1


class TextRun(NamedTuple):
    """Size of a run on text: characters of training and test (None: all), units per layer, steps of a batch, epochs."""

    train: int | None
    test: int | None
    units: int
    length: int
    epochs: int


def train_curves(
    name: str,
    curves: Iterable[Curve],
    train: Any,
    test: Any,
    epochs: int,
    seed: int,
    folder: Path | None,
    measure: Callable[[Sequential], dict[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Train every curve's network and return its history.

    Parameters
    ----------
    name : str
        Of the reproduction, for the names of checkpoints.
    curves : iterable of Curve
    train, test : as `Trainer.fit` takes them
    epochs, seed : int
    folder : Path or None
        Where checkpoints are kept, so that a run that was stopped goes on; None: nowhere.
    measure : callable, optional
        What else to find out about a trained network, ready for JSON.

    Returns
    -------
    dict of label: dict with "test_error" (%), "test_loss", "train_loss", "seconds", "error_now" (%), "loss_now"
        Lists of one number per epoch; the two last are means over the last third of the epochs.
    """
    found = {}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with progress_bar(list(curves), desc=name, unit="network", disable=None) as bar:
        for curve in bar:
            bar.set_postfix_str(curve.label)
            path = None
            if folder is not None:
                path = folder / f"{name}-{re.sub('[^a-z0-9]+', '-', curve.label.lower()).strip('-')}.checkpoint.npz"
            trainer = Trainer(curve.make(), lr=curve.lr, rng=seed, batch_size=curve.batch_size)
            history = trainer.fit(train, epochs=epochs, validation=test, checkpoint=path)
            last = max(1, epochs // 3)
            losses, errors = history.test_loss, history.test_error
            found[curve.label] = {
                "test_error": errors,
                "test_loss": losses,
                "train_loss": history.train_loss,
                "seconds": history.seconds,
                "error_now": float(np.mean([e for e in errors[-last:] if e is not None])),
                "loss_now": float(np.mean([e for e in losses[-last:] if e is not None])),
                **({} if measure is None else measure(trainer.net)),
            }
    return found


def subset(data: Dataset, train: int | None, test: int | None) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return the first samples of a data set, as `train_curves` takes them; None: all."""
    return (data.x_train[:train], data.y_train[:train]), (data.x_test[:test], data.y_test[:test])


def text_rate(epoch: int) -> float:
    """Return the rate of a run on text: 0.03 for ten epochs, 0.01 for ten more, then 0.003.

    The papers do not say theirs. At 0.03 alone the digital loss stays above 1.43 (10 epochs); at 0.01 it reaches 1.33 at once.
    """
    return (0.03, 0.01, 0.003)[min(epoch // 10, 2)]


def characters(run: TextRun) -> tuple[Sequences, Sequences]:
    """Return War and Peace as `train_curves` takes it; the test goes ten places of the text at a time, which is faster."""
    data = datasets.text("warpeace")
    test = data.test[: run.test]
    return Sequences(data.train[: run.train], length=run.length), Sequences(test, batch_size=10, length=len(test) // 10 - 1)


def rpu_sgd(
    device: Device | None = None,
    *,
    noise: float = 0.06,
    bound: float = 12.0,
    noise_management: bool = False,
    bound_management: bool = False,
    desired_bl: int = 10,
    update_management: bool = False,
    backward_noise: float | None = None,
) -> SGD:
    """Return SGD on the array of Gokmen and Vlasov (2016): 7-bit DACs, 9-bit ADCs, noise 0.06 and bound 12, trains of 10."""
    forward = Periphery(
        dac=DAC(bits=7, bound=1.0),
        adc=ADC(bits=9, bound=bound, noise=noise),
        noise_management="none",
        bound_management="iterative" if bound_management else "none",
    )
    backward = forward.without_bound_management().replace(noise_management="abs_max" if noise_management else "none")
    if backward_noise is not None:
        backward = backward.replace(adc=backward.adc.replace(noise=backward_noise))
    pulses = PulseScheme(desired_bl=desired_bl, update_management=update_management, update_bl_management=False)
    return SGD(rpu_baseline() if device is None else device, forward=forward, backward=backward, pulses=pulses)


def perceptron(rule: Algorithm, last: Algorithm | None = None, **options: Any) -> Sequential:
    """Return the network 784-256-128-10 with sigmoids."""
    return Sequential(
        Linear(784, 256, rule, **options),
        Sigmoid(),
        Linear(256, 128, rule, **options),
        Sigmoid(),
        Linear(128, 10, last or rule, **options),
    )


def lenet(rule: Algorithm, second: Algorithm | None = None, **options: Any) -> Sequential:
    """Return the LeNet of Gokmen, Onen and Haensch (2017): 16 and 32 kernels of 5 x 5, then 512-128-10, with tanh.

    `second`, if given, is the rule of the second convolution.
    """
    return Sequential(
        Conv2d(1, 16, 5, rule, **options),
        Tanh(),
        MaxPool2d(2),
        Conv2d(16, 32, 5, second or rule, **options),
        Tanh(),
        MaxPool2d(2),
        Flatten(),
        Linear(512, 128, rule, **options),
        Tanh(),
        Linear(128, 10, rule, **options),
    )


def lstm(rule: Algorithm, units: int, vocabulary: int = 87) -> Sequential:
    """Return the character model of Gokmen, Rasch and Haensch (2018): two stateful LSTMs, arrays 256 x 152, 256 x 129 and
    87 x 65 for 64 units."""
    return Sequential(
        OneHot(vocabulary),
        LSTM(vocabulary, units, rule, stateful=True),
        LSTM(units, units, rule, stateful=True),
        Linear(units, vocabulary, rule),
    )


def train_on_text(
    name: str, rules: dict[str, Algorithm], size: TextRun, epochs: int, seed: int, folder: Path | None
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Train an `lstm` by every rule on War and Peace; return what `train_curves` does, and the settings."""
    train, test = characters(size)
    curves = [Curve(label, partial(lstm, rule, size.units), text_rate) for label, rule in rules.items()]
    settings = {
        **size._asdict(),
        "epochs": epochs,
        "seed": seed,
        "lr": [text_rate(epoch) for epoch in range(epochs)],
        "algorithms": {label: rule.to_dict() for label, rule in rules.items()},
    }
    return train_curves(name, curves, train, test, epochs, seed, folder), settings


def text_figure(result: Result, width: float | None = None) -> Figure:
    """Draw the curves of runs on text."""
    return curves_figure(result, width, "test_loss", "test cross-entropy (nat)", log=False)


def curves_figure(
    result: Result, width: float | None = None, what: str = "test_error", label: str = "test error (%)", log: bool = True
) -> Figure:
    """Draw all curves of a result against epochs; after one epoch, a point for each."""
    from matplotlib import rcParams
    from matplotlib.ticker import MaxNLocator

    from rpusim.plotting.style import legend, panels

    figure, (ax,) = panels(width, 1)
    curves = {name: curve[what] for name, curve in result.data["curves"].items()}
    if all(len(values) == 1 for values in curves.values()):
        ax.plot([values[0] for values in curves.values()], list(curves), "o")
        ax.invert_yaxis()
        ax.set(xlabel=label, ylabel="after one epoch")
        return figure
    colours = len(rcParams["axes.prop_cycle"])
    for k, (name, values) in enumerate(curves.items()):
        style = ("-", "--", ":")[k // colours % 3]  # beyond the colours there are
        ax.plot(np.arange(1, len(values) + 1), values, style, marker=".", label=name)
    ax.set(xlabel="epoch", ylabel=label)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if log:
        ax.set_yscale("log")
    legend(ax)
    return figure
