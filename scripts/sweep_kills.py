#!/usr/bin/env python3
"""Kill a study again and again, and see that its table comes out as if nothing had been: bit for bit.

Two devices x three algorithms x four rates x three seeds of the regression on two processes, killed with -9 twenty times at
random moments; with --dask on a local cluster of two workers, one of which is killed five times; with --time what a point
costs beside what it computes, and what a second process is worth (on a machine that has nothing else to do).
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rpusim.sweep import Results, Study, load, run


def grid(steps: int) -> Study:
    """The study of the demonstration."""
    vary = {
        "device": ["constant-step", "soft-bounds"], "algorithm": ["sgd", "shd", "agad"], "lr": [0.003, 0.01, 0.03, 0.1],
    }  # fmt: skip
    return Study("regression", vary, {"steps": steps}, seeds=3)


def computed(results: Results) -> dict[str, list[object]]:
    """All that must be equal, to the last bit."""
    return {name: column for name, column in results.columns().items() if name != "seconds"}


def killed(folder: Path, steps: int, kills: int, draw: random.Random) -> Results:
    """Run the study in another process, which is killed at random moments."""
    store = folder / "killed.sqlite"
    command = [sys.executable, __file__, "--part", str(store), "--steps", str(steps)]
    for k in range(kills):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait = draw.uniform(0.0, 4.0)
        time.sleep(wait)
        ended = process.poll() is not None
        process.kill()
        process.wait()
        done = load(store).counts()["done"] if store.exists() else 0
        print(f"kill {k + 1:2d} after {wait:.2f} s: {done} points done{', which was all' if ended else ''}", flush=True)
    subprocess.run(command, check=True)
    return load(store)


def on_dask(folder: Path, steps: int, kills: int, draw: random.Random) -> Results:
    """Run the study on a cluster, one of whose two workers is killed at random moments."""
    import threading

    from distributed import Client, LocalCluster

    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        over = threading.Event()

        def kill() -> None:
            for k in range(kills):
                if over.wait(draw.uniform(0.5, 2.0)):
                    return
                worker = draw.choice(list(cluster.workers.values()))
                if worker.process is not None and worker.process.pid:
                    os.kill(worker.process.pid, 9)
                    print(f"worker {worker.process.pid} killed, {k + 1}", flush=True)

        thread = threading.Thread(target=kill)
        thread.start()
        results = run(grid(steps), folder / "dask.sqlite", executor=client.get_executor(), pending=8, progress=False)
        over.set()
        thread.join()
        return results


def nothing(a: int) -> int:
    """A task that takes no time."""
    return a


def times(folder: Path, steps: int) -> None:
    """Print what a point costs, and what two processes are worth; medians of three."""
    empty = Study(nothing, {"a": list(range(500))})
    costs, speed = [], []
    for k in range(3):
        begun = time.perf_counter()
        run(empty, folder / f"empty{k}.sqlite", workers=1, progress=False)
        costs.append((time.perf_counter() - begun) / 500 * 1e3)
        seconds = {}
        for workers in (1, 2):
            begun = time.perf_counter()
            run(grid(steps), folder / f"grid{k}{workers}.sqlite", workers=workers, progress=False)
            seconds[workers] = time.perf_counter() - begun
        speed.append(seconds[1] / seconds[2])
    print(f"{statistics.median(costs):.2f} ms per point beside its computation; two processes are worth", end=" ")
    print(f"{statistics.median(speed):.2f} of one ({', '.join(f'{one:.2f}' for one in speed)}), {steps} steps per point")


def main() -> int:
    """Run what is asked for; exit status 1 where a table differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=3000, help="samples of a point")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        run(grid(args.steps), args.part, workers=2, progress=False)
        return 0
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.time:
            times(folder, args.steps)
            return 0
        wanted = computed(run(grid(args.steps), folder / "whole.sqlite", workers=1, progress=False))
        found = on_dask(folder, args.steps, 5, draw) if args.dask else killed(folder, args.steps, args.kills, draw)
        same = computed(found) == wanted
    print(f"{len(wanted['lr'])} points: {'the same bits' if same else 'DIFFERENT'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
