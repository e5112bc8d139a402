"""`rpusim train`: a network on simulated arrays."""

from __future__ import annotations

import argparse
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim.algorithms import named
from rpusim.commands.common import (
    beside,
    completes,
    going_on,
    labelled,
    positive_int,
    preset_names,
    report,
    save_json,
    save_tables,
)

if TYPE_CHECKING:
    from rpusim.algorithms import Algorithm
    from rpusim.devices import Device
    from rpusim.nn import Trainer

__all__ = ["add_parser", "run"]

#: `rpusim.devices.called.MODELS`, which help texts need before that is loaded
TRAINING_DEVICES: dict[str, dict[str, Any]] = {
    "constant-step": {"type": "ConstantStep"},
    "linear-step": {"type": "LinearStep", "gamma_up": 0.5, "gamma_down": 0.5},
    "soft-bounds": {"type": "SoftBounds"},
    "ideal": {"type": "Ideal"},
}


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes its parser."""
    sub = command(
        "train",
        run,
        "train a network on simulated arrays; continues from its checkpoint if there is one",
        "  rpusim train mnist --algorithm digital\n"
        "  rpusim train mnist --algorithm sgd --device constant-step --epochs 10\n"
        "  rpusim train mnist --algorithm shd --device soft-bounds --samples 10000 --epochs 3\n"
        "  rpusim train mnist --algorithm agad --device reram-array-om --epochs 10\n"
        "  rpusim train fashion-mnist --network lenet --algorithm digital --lr 0.01\n"
        "  rpusim train text --algorithm shd --device onen-saturating --samples 100000 --units 32 --lr 0.03\n",
    )
    sub.add_argument("task", choices=["mnist", "fashion-mnist", "text"], help="what to learn; text: the next character")
    sub.add_argument("--network", choices=["mlp", "lenet"], help="for images: 784-256-128-10, or LeNet (mlp)")
    sub.add_argument("--units", type=positive_int, metavar="N", help="units of each LSTM of text (64)")
    sub.add_argument("--length", type=positive_int, metavar="N", help="characters per step of text (100)")
    sub.add_argument(
        "--algorithm",
        choices=named.names(),
        default="sgd",
        metavar="NAME",
        help=f"{', '.join(named.names())}, with published settings (sgd)",
    )
    device = sub.add_argument(
        "--device",
        default="constant-step",
        help=f"{', '.join(TRAINING_DEVICES)}, a preset, or a device as JSON text or a .json file (constant-step)",
    )
    completes(device, lambda: [*TRAINING_DEVICES, *preset_names()])
    sub.add_argument("--epochs", type=positive_int, default=10, help="epochs in all (10)")
    sub.add_argument("--batch-size", type=positive_int, default=1, help="samples per step (1)")
    sub.add_argument("--samples", type=positive_int, help="use only the first so many images or characters")
    sub.add_argument("--lr", type=float, default=0.05, help="learning rate (0.05)")
    sub.add_argument("--lr-drop", type=positive_int, default=4, metavar="N", help="halve it every N epochs (4)")
    sub.add_argument("--threads", type=positive_int, help="threads of reads and updates (one per processor)")
    sub.add_argument(
        "--data-dir",
        "--data",
        dest="data",
        type=Path,
        metavar="PATH",
        help="folder of the four files of images; of text: warpeace, tinyshakespeare or a file (warpeace)",
    )
    sub.add_argument("--checkpoint", type=Path, metavar="FILE", help="checkpoint (in the folder of results)")
    sub.add_argument("--restart", action="store_true", help="start afresh, over an existing checkpoint")


def _task(args: argparse.Namespace, rule: Algorithm) -> tuple[Any, Any, Any, str]:
    """Return network, training and test data, and what they are in words."""
    from rpusim import datasets
    from rpusim.nn import Sequences
    from rpusim.reproduce.networks import lenet, lstm, perceptron

    if args.task == "text":
        if args.network is not None:
            raise ValueError(f"--network must not be given for text, which is learned by an LSTM; got {args.network!r}")
        text = datasets.text("warpeace" if args.data is None else str(args.data))
        train = Sequences(text.train[: args.samples], args.batch_size, args.length or 100)
        held_out = max(2, min(len(text.test) - 1, 10_000))  # characters of the test in one batch
        units = args.units or 64
        words = f"LSTM 2 x {units}, {len(text.train[: args.samples])} characters"
        return lstm(rule, units, len(text.vocabulary)), train, Sequences(text.test, 1, held_out), words
    for name in ("units", "length"):
        if getattr(args, name) is not None:
            raise ValueError(f"--{name} must not be given for images, which have no LSTM; got {getattr(args, name)}")
    small = args.network == "lenet"
    data = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}[args.task](args.data, flatten=not small)
    count = min(args.samples or len(data.x_train), len(data.x_train))
    words = f"{'LeNet' if small else '784-256-128-10'}, {count} images"
    return (lenet if small else perceptron)(rule), (data.x_train[:count], data.y_train[:count]), data.test, words


@contextmanager
def _starting_afresh() -> Iterator[None]:
    """Name the ways out where a checkpoint is of another training."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("checkpoint "):
            raise
        raise ValueError(f"{error} (--restart starts afresh, --checkpoint or --out keeps both)") from None


#: the rate of the slow array, by algorithms whose fast array is braked by its devices alone
_SLOW_RATE = {"SHD": "slow_lr", "TikiTaka": "transfer_lr"}


def _with_drag(rule: Algorithm, device: Device) -> tuple[Algorithm, str]:
    """SHD or Tiki-Taka whose C moves as slowly as the drag of the device wants, and why.

    Damping over frequency of the orbit of C goes with kappa / sqrt(slow_lr) (`rpusim.theory.oscillator`), so that slow_lr (or
    transfer_lr) goes with the square of the asymmetry kappa, from the named rate at kappa = 1 down to a tenth of it, where
    training gets slow.
    """
    from rpusim.devices import PulsedDevice
    from rpusim.theory import response_theory

    name = type(rule).__name__
    if name not in _SLOW_RATE or not isinstance(device, PulsedDevice):
        return rule, ""
    kappa = response_theory(device).asymmetry
    if not math.isfinite(kappa):
        return rule, (
            f"{type(device).__name__} has no stable symmetry point, so that nothing brakes A of {name}: C may orbit its "
            "optimum and never rest in it; --algorithm agad needs none"
        )
    share = min(max(kappa * abs(kappa), 0.1), 1.0)
    if share > 0.99:
        return rule, ""
    rate = _SLOW_RATE[name]
    named_lr = getattr(rule, rate)
    slow_lr = float(f"{share * named_lr:.3g}")
    return rule.replace(**{rate: slow_lr}), (
        f"the asymmetry of {type(device).__name__} at its symmetry point, {kappa:.3g} per weight unit, brakes {name} little: "
        f"{rate}={slow_lr:g} in place of {named_lr:g}, or C would orbit its optimum"
    )


class _Epochs:
    """Prints every epoch, once: a callback of a training."""

    def __init__(self) -> None:
        self.shown = self.trained = 0

    def __call__(self, trainer: Trainer) -> None:
        self.trained += 1
        self.show(trainer.history)

    def show(self, history: Any) -> None:
        """Print the epochs that have not been yet."""
        for k in range(self.shown, len(history)):
            print(
                f"epoch {k + 1:3d}  lr {history.lr[k]:.4g}  loss {history.train_loss[k]:.4f}  "
                f"test loss {history.test_loss[k]:.4f}  test error {history.test_error[k]:.2f} %  "
                f"{history.seconds[k]:.1f} s  {history.samples_per_second[k]:.0f} samples/s",
                flush=True,
            )
        self.shown = len(history)


def run(args: argparse.Namespace) -> int:
    """Train a network; go on from its checkpoint."""
    import rpusim as rpu
    from rpusim import plotting
    from rpusim._base.specification import from_dict
    from rpusim._core.kernels import active_kernel_set
    from rpusim.nn import Trainer

    ((label, device),) = labelled([args.device], {name: from_dict(data) for name, data in TRAINING_DEVICES.items()}).items()
    if args.device.lstrip().startswith("{"):  # files of other devices of this model are others
        label += f"-{zlib.crc32(device.to_json().encode()):08x}"
    rule, said = _with_drag(named.get(args.algorithm, device), device)
    net, train, test, words = _task(args, rule)
    args.out.mkdir(parents=True, exist_ok=True)
    task = args.task if args.network in (None, "mlp") else f"{args.task}-{args.network}"
    what = label if args.algorithm != "digital" else "float32"
    stem = args.out / f"{task}-{args.algorithm}-{what}{f'-seed{args.seed}' if args.seed else ''}"
    lr, drop = args.lr, args.lr_drop
    trainer = Trainer(
        net, "cross_entropy", lr=lambda epoch: lr * 0.5 ** (epoch // drop), rng=args.seed, batch_size=args.batch_size
    )
    what_on = args.algorithm if args.algorithm == "digital" else f"{args.algorithm} on {args.device}"
    print(
        f"{what_on}: {words}, batch {args.batch_size}, {rpu.get_num_threads()} threads, {active_kernel_set()} kernels",
        flush=True,
    )
    if said:
        print(f"note: {said}", flush=True)
    path = args.checkpoint or beside(stem, ".checkpoint.npz")
    progress = _Epochs()
    if path.exists() and not args.restart:
        print(f"goes on from {path}, whose epochs are shown again", flush=True)
    with _starting_afresh(), going_on(f"{path}, which holds finished epochs{', without --restart' if args.restart else ''}"):
        history = trainer.fit(
            train, epochs=args.epochs, validation=test, checkpoint=path, callbacks=[progress], resume=not args.restart
        )
    if not progress.trained:
        progress.show(history)
        print(f"nothing was left to train of {len(history)} epochs; more --epochs go on", flush=True)
    quantity = "test_loss" if args.task == "text" else "test_error"
    name = args.algorithm if args.algorithm == "digital" else f"{args.algorithm}, {label}"
    written = plotting.save(plotting.learning_figure({name: history}, quantity, width=args.width), stem, args.format)
    columns = history.to_dict()
    written.append(save_json(beside(stem, ".json"), args, columns))
    epochs = [[k + 1, *row] for k, row in enumerate(zip(*columns.values(), strict=True))]
    written += save_tables(beside(stem, ".csv"), ["epoch", *columns], epochs, args)
    net.save(beside(stem, ".network.npz"))
    report([*written, beside(stem, ".network.npz"), path])
    return 0
