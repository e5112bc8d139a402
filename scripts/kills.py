#!/usr/bin/env python3
"""Kill work with -9 at random moments, again and again, and see that it ends with the bits of work that nobody disturbed.

A training, an evaluation of chips and a study go on from their files after every kill. Beside kills there are trials in which
two processes share the files, in which no file may grow beyond a random size (as on a full disk), and in which the folder
must not be written to: these may end by OSError and nothing else, and leave files that work goes on from. For Linux::

    scripts/kills.py --kills 1000
    scripts/kills.py --kills 100 --only train --seed 7
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import rpusim as rpu

DEVICE = rpu.devices.SoftBounds(dw_min=0.01, dw_min_std=0.3, dw_min_dtod=0.3)
LONGEST = 60.0  # seconds that a piece of work may take


def digest(*values: object) -> str:
    """A name of all bits of arrays and numbers in nested containers."""
    found = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                found.update(str(key).encode())
                add(value[key])
        elif isinstance(value, (list, tuple)):
            for one in value:
                add(one)
        elif isinstance(value, np.ndarray):
            found.update(value.tobytes() if value.dtype != object else repr(value.tolist()).encode())
        else:
            found.update(repr(value).encode())

    add(values)
    return found.hexdigest()


def train(folder: Path) -> str:
    """A perceptron on noisy devices, by AGAD, with a checkpoint after every epoch."""
    rng, rule = np.random.default_rng(0), rpu.algorithms.AGAD(DEVICE)
    x, labels = rng.random((120, 20), dtype=np.float32), rng.integers(0, 4, 120)
    net = rpu.nn.Sequential(rpu.nn.Linear(20, 12, rule), rpu.nn.Tanh(), rpu.nn.Dropout(0.2), rpu.nn.Linear(12, 4, rule))
    trainer = rpu.nn.Trainer(net, lr=0.05, batch_size=4, rng=0)
    history = trainer.fit((x, labels), epochs=12, validation=(x, labels), checkpoint=folder / "run.npz", progress=False)
    return digest(net.state_dict(), history.train_loss, history.test_error)


def evaluate(folder: Path) -> str:
    """Programmings of a network, each kept when it is done."""
    rng, rule = np.random.default_rng(0), rpu.algorithms.DigitalSGD()
    x, labels = rng.random((50, 20), dtype=np.float32), rng.integers(0, 4, 50)
    net = rpu.nn.Sequential(rpu.nn.Linear(20, 12, rule), rpu.nn.Tanh(), rpu.nn.Linear(12, 4, rule))
    net.build(rng=0)
    found = rpu.inference.evaluate(
        net, (x, labels), [1.0, 3600.0], programmings=12, checkpoint=folder / "chips.npz", progress=False
    )
    return digest(found.values)


def sweep(folder: Path) -> str:
    """A study of twelve regressions."""
    vary = {"algorithm": ["sgd", "shd"], "lr": [0.003, 0.01, 0.03]}
    study = rpu.sweep.Study("regression", vary, {"steps": 300}, seeds=2)
    found = rpu.sweep.run(study, folder / "study.sqlite", workers=1, progress=False)
    return digest({name: column for name, column in found.columns().items() if name != "seconds"})


WORK: dict[str, Callable[[Path], str]] = {"train": train, "evaluate": evaluate, "sweep": sweep}


def child(work: Callable[[Path], str], folder: Path, most_bytes: int | None, unwelcome: bool) -> int:
    """Start the work in a process of its own: it ends with 0 and its digest in a file, with 3 after an OSError, else with 4."""
    pid = os.fork()
    if pid:
        return pid
    status = 4
    try:
        if most_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        if unwelcome:
            os.seteuid(65534)  # nobody
        result = work(folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        part = folder / f"part-{os.getpid()}"
        part.write_text(result, encoding="ascii")
        part.rename(folder / f"result-{os.getpid()}")
        status = 0
    except OSError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr) if most_bytes is None and not unwelcome else None
        status = 3
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def ended(pid: int, seconds: float) -> int | None:
    """Exit status of a process, negative by a signal, or None if it goes on after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.001)


def disturbed(work: Callable[[Path], str], folder: Path, longest: float, draw: random.Random, tally: Counter[str]) -> None:
    """One process, or two on the same files, which are killed, or whose files may not grow."""
    kind = draw.choices(("kill", "two", "full", "read-only"), (16, 2, 2, 1 if os.geteuid() == 0 else 0))[0]
    limit = draw.randrange(1, 20_000) if kind == "full" else None
    pids = [child(work, folder, limit, kind == "read-only") for _ in range(2 if kind == "two" else 1)]
    wait = draw.uniform(0.0, longest)
    for pid in pids:
        status = ended(pid, LONGEST if kind in ("full", "read-only") else wait)
        if status is None and kind in ("kill", "two"):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            tally["killed"] += 1
        elif status is None:
            os.kill(pid, signal.SIGKILL)
            raise SystemExit(f"{work.__name__}: {kind}: still at it after {LONGEST:g} s")
        elif status not in (0, 3) or (status == 3 and kind in ("kill", "two")):
            raise SystemExit(f"{work.__name__}: {kind}: ended with {status}")
        else:
            tally[f"{kind}, {'done' if status == 0 else 'refused'}"] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=tuple(WORK), action="append")
    args = parser.parse_args()
    rpu.set_num_threads(1)
    draw, begun = random.Random(args.seed), time.monotonic()
    for name in args.only or WORK:
        work, tally = WORK[name], Counter[str]()
        with tempfile.TemporaryDirectory() as top:
            alone = Path(top) / "alone"
            alone.mkdir()
            start = time.monotonic()
            expected, seconds = work(alone), time.monotonic() - start
            runs = 0
            while tally["killed"] * len(args.only or WORK) < args.kills:
                folder = Path(top) / f"run-{runs}"
                folder.mkdir()
                for _ in range(draw.randrange(1, 12)):
                    disturbed(work, folder, 0.7 * seconds, draw, tally)
                status = ended(child(work, folder, None, False), LONGEST)
                others = [file.name for file in folder.glob("result-*") if file.read_text() != expected]
                if status != 0 or others:
                    raise SystemExit(f"{name}: seed {args.seed}, run {runs}: ended with {status}; other bits in {others}")
                runs += 1
        said = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
        print(f"{name}: {runs} pieces of work, each with the same bits; {said}", flush=True)
    print(f"{time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
