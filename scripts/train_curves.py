"""Trains single curves of the reproductions with networks for as long as there is, and records them.

A full reproduction takes days; this trains the curves that are asked for, goes on from where an earlier run stopped, and writes
what came out with the commit, the settings and the duration. scripts/reproduce-results/README.md says what is recorded there.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rpusim import datasets
from rpusim._base.checkpoint import atomic_file
from rpusim.nn import Sequential
from rpusim.reproduce import ladder, onen2022_fig4
from rpusim.reproduce.networks import Curve, characters, lenet, lstm, subset, text_rate, train_curves

RESULTS = Path(__file__).with_name("reproduce-results")


class Kind(NamedTuple):
    """Makers of networks by label, data for so many samples, and the rate of an epoch."""

    makers: dict[str, Callable[[], Sequential]]
    data: Callable[[int | None], tuple[Any, Any]]
    lr: Callable[[int], float]


KINDS = {
    # rungs of Gokmen, Onen and Haensch (2017)
    "lenet": Kind(
        {label: partial(lenet, *(rules if isinstance(rules, tuple) else (rules,))) for label, rules in ladder().items()},
        lambda samples: subset(datasets.mnist(flatten=False), samples, None),
        lambda epoch: 0.01,
    ),
    # curves of Onen et al. (2022), Fig. 4
    "lstm": Kind(
        {label: partial(lstm, rule, onen2022_fig4.FULL.units) for label, rule in onen2022_fig4.rules(False).items()},
        lambda samples: characters(onen2022_fig4.FULL._replace(train=samples)),
        text_rate,
    ),
}


def rates_of(texts: list[str]) -> Callable[[int], float]:
    """Return the rate of an epoch from texts RATE*EPOCHS; the last one holds on."""
    rates: list[float] = []
    for text in texts:
        rate, _, count = text.partition("*")
        rates += [float(rate)] * int(count or 1)
    return lambda epoch: rates[min(epoch, len(rates) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  scripts/train_curves.py lenet --list\n"
        "  scripts/train_curves.py lenet --curve digital --epochs 5\n"
        "  scripts/train_curves.py lstm --curve digital --curve 'SGD, symmetric' --samples 1000000 --epochs 1\n"
        "  scripts/train_curves.py lstm --curve digital --epochs 15 --rates 0.03*10 0.01*3 0.003\n",
    )
    parser.add_argument("kind", choices=list(KINDS), help="LeNet on MNIST, or two LSTMs on War and Peace")
    parser.add_argument("--list", action="store_true", help="list the curves")
    parser.add_argument("--curve", action="append", help="which to train; may be repeated (all)")
    parser.add_argument("--samples", type=int, metavar="N", help="use the first so many images or characters (all)")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="images per step (1)")
    parser.add_argument("--epochs", type=int, default=1, help="epochs in all (1)")
    parser.add_argument("--rates", nargs="+", metavar="RATE*EPOCHS", help="learning rates (those of the reproduction)")
    parser.add_argument("--seed", type=int, default=0, help="seed (0)")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), metavar="DIR", help="folder (checkpoints)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help=f"folder of results ({RESULTS.name})")
    args = parser.parse_args()
    makers, data, lr = KINDS[args.kind]
    if args.rates:
        lr = rates_of(args.rates)
    if args.list:
        print("\n".join(makers))
        return 0
    unknown = [label for label in args.curve or () if label not in makers]
    if unknown:
        parser.error(f"--curve must be one of {', '.join(makers)}; got {unknown[0]}")
    train, test = data(args.samples)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=RESULTS, check=False
    ).stdout.strip()
    path = args.out / f"{args.kind}.json"
    size = "" if args.samples is None else f", {args.samples} samples"
    size += "" if args.batch_size == 1 else f", batches of {args.batch_size}"
    for label in args.curve or makers:
        curve = Curve(label, makers[label], lr, args.batch_size)
        name = re.sub("[^a-z0-9]+", "-", args.kind + size)
        found = train_curves(name, [curve], train, test, args.epochs, args.seed, args.checkpoints)[label]
        whole = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        key = label + size
        whole[key] = {
            "commit": commit or None,
            "settings": {
                "lr": [lr(epoch) for epoch in range(args.epochs)],
                **{k: getattr(args, k) for k in ("batch_size", "epochs", "samples", "seed")},
            },
            "duration_s": round(sum(found["seconds"])),
            **{k: [None if v is None else round(v, 4) for v in found[k]] for k in ("train_loss", "test_loss", "test_error")},
        }
        args.out.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write((json.dumps(whole, indent=1) + "\n").encode())
        print(f"{key}: test loss {whole[key]['test_loss'][-1]}, error {whole[key]['test_error'][-1]} %", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
