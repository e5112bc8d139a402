#!/usr/bin/env python
"""Work for an hour, on the same things again and again, and see whether memory grows: `scripts/soak.py --minutes 60`.

A round makes and uses arrays, tiles, networks of wires, trainings, chips, checkpoints, fits and pictures, by the same seeds
every time, so that a round leaves behind what the round before left. The first quarter fills caches; of the rest a line is
fitted to the resident memory. It fails if that line rises by more than 24 MB an hour beyond its error.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from stress_calls import DEVICE, some_calls

import rpusim as rpu

MOST = 24.0  # MB an hour


def resident() -> float:
    """MB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def whole_things(folder: Path) -> None:
    """What `some_calls` has not: chips, files, fits, pictures."""
    rng = np.random.default_rng(0)
    rule = rpu.algorithms.DigitalSGD()
    net = rpu.nn.Sequential(rpu.nn.Linear(20, 10, rule), rpu.nn.Tanh(), rpu.nn.Linear(10, 4, rule))
    x, labels = rng.random((40, 20), dtype=np.float32), rng.integers(0, 4, 40)
    trainer = rpu.nn.Trainer(net, lr=0.05, batch_size=8, rng=0)
    trainer.fit((x, labels), epochs=2, checkpoint=folder / "run.npz", progress=False)
    (folder / "run.npz").unlink()
    rpu.inference.evaluate(net, (x, labels), [1.0, 3600.0], programmings=2, rng=0, progress=False)
    tile = rpu.algorithms.AGAD(DEVICE).build((20, 30), rng=0)
    rpu.checkpoint.save(folder / "tile.npz", tile.state_dict())
    tile.load_state_dict(rpu.checkpoint.load(folder / "tile.npz"))
    w = np.cumsum(np.full(60, 0.02)) * np.exp(-np.arange(60) / 60)
    rpu.fitting.fit(w, w[::-1], model="SoftBounds")
    rpu.plotting.save(rpu.plotting.device_figure(DEVICE), folder / "device", ("png",))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--sets", type=int, default=60, help="of things of a round (60)")
    args = parser.parse_args()
    begun, hours, sizes = time.monotonic(), [], []
    with tempfile.TemporaryDirectory() as folder:
        while (spent := time.monotonic() - begun) < 60.0 * args.minutes or len(sizes) < 12:
            for seed in range(args.sets):
                r = random.Random(seed)
                calls = some_calls(r)
                for _ in range(10):
                    try:
                        r.choice(calls)()
                    except ValueError:  # what random calls may well ask for
                        pass
            whole_things(Path(folder))
            gc.collect()
            hours.append((time.monotonic() - begun) / 3600.0)
            sizes.append(resident())
            if len(sizes) % 10 == 1:
                print(f"round {len(sizes)}, {spent / 60.0:.1f} minutes: {sizes[-1]:.1f} MB", flush=True)
    t, mb = np.array(hours[len(hours) // 4 :]), np.array(sizes[len(sizes) // 4 :])
    (slope, level), covariance = np.polyfit(t - t.mean(), mb, 1, cov=True)
    error = 2.0 * float(covariance[0, 0]) ** 0.5
    print(f"{len(sizes)} rounds in {hours[-1] * 60.0:.0f} minutes: {level:.0f} MB, {slope:+.1f} +- {error:.1f} MB an hour")
    if slope - error > MOST:
        print(f"memory grows by more than {MOST:g} MB an hour", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
