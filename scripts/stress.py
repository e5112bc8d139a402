#!/usr/bin/env python
"""Try to crash or hang rpusim: mixes of calls in many threads, with forks, Ctrl-C, exits and changing numbers of threads.

Each trial is a process of its own that a scenario and a seed repeat: `scripts/stress.py --scenario fork --seed 7 --trials 1`.
It fails if it ends by a signal or an exception, or does not end. (Its calls are those of the seed; how they meet is not.)
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from stress_calls import algorithms, finish, numbers_of_threads, of_training, some_calls, start, vectors, work

import rpusim as rpu
from rpusim._core import products

# ---- scenarios ------------------------------------------------------------------------------------------------------


def scenario_threads(r: random.Random) -> None:
    """Several threads, one or two things."""
    before = products.blas_threads()
    finish(*start(r, 3.0))
    if products.blas_threads() != before:
        raise SystemExit(f"the BLAS was set to {before} threads, and now to {products.blas_threads()}")


def scenario_bits(r: random.Random) -> None:
    """The same bits for any number of threads, while others work."""
    threads, failed = start(r, 2.0)
    rule, seed = r.choice(algorithms()), r.getrandbits(32)
    x, d = vectors(r, (30, 40))
    found = []
    for n in (1, r.randint(2, 4), r.randint(5, 64)):
        tile = rule.build((30, 40), rng=seed)
        with rpu.threads(n):
            for _ in range(5):
                tile.update(x, d, 0.05)
        found.append(tile.weights)
    finish(threads, failed)
    if any((weights != found[0]).any() for weights in found):
        raise SystemExit(f"other bits by other numbers of threads: {rule!r}, seed {seed}")


def scenario_fork(r: random.Random) -> None:
    """Children, which use what other threads were using, too, and must end."""
    calls = some_calls(r)
    failed, end = list[str](), time.monotonic() + 3.0
    threads = [threading.Thread(target=work, args=(random.Random(k), calls, end, failed)) for k in range(3)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        child = os.fork()
        if child == 0:
            theirs: list[str] = []
            faulthandler.dump_traceback_later(40, exit=True)
            rpu.set_num_threads(r.randint(1, 4))
            work(r, calls + some_calls(r), time.monotonic() + 0.3, theirs)
            os.write(2, "".join(theirs).encode())
            os._exit(len(theirs))
        _, status = os.waitpid(child, 0)
        if status:
            failed.append(f"a child ended with status {status}")
    finish(threads, failed)


def scenario_exit(r: random.Random) -> None:
    """The interpreter ends while daemon threads are inside calls."""
    start(r, 60.0, daemon=True)
    time.sleep(r.uniform(0.05, 1.0))


def scenario_interrupt(r: random.Random) -> None:
    """Ctrl-C at any moment; what was interrupted goes on to work, also in another thread."""
    calls, failed, end = some_calls(r) + numbers_of_threads(r), list[str](), time.monotonic() + 3.0
    before = products.blas_threads()

    def interrupt() -> None:
        pause = random.Random(r.getrandbits(32))
        while time.monotonic() < end:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(pause.uniform(0.0, 0.02))

    armed: list[bool] = []

    def heard(*_: object) -> None:
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, heard)
    threads = [threading.Thread(target=work, args=(random.Random(1), calls, end, failed)), threading.Thread(target=interrupt)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        try:
            armed.append(True)
            work(r, calls, end, failed)
            armed.clear()
        except KeyboardInterrupt:
            pass
    finish(threads, failed)
    work(r, calls, time.monotonic() + 0.3, failed)
    finish([], failed)
    if products.blas_threads() != before:
        raise SystemExit(f"the BLAS was set to {before} threads, and now to {products.blas_threads()}")


def scenario_handler(r: random.Random) -> None:
    """A signal's handler uses what its thread is just using: it may be refused, or change what is half copied, no more."""
    known = (RuntimeError, ValueError)
    calls, failed, end, using = some_calls(r), list[str](), time.monotonic() + 3.0, threading.Lock()

    def use(*_: object) -> None:
        if using.acquire(blocking=False):  # not within itself
            try:
                r.choice(calls)()
            except known:
                pass
            finally:
                using.release()

    signal.signal(signal.SIGALRM, use)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.003)
    work(r, calls, end, failed, known)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    finish([], failed)


def scenario_memory(r: random.Random) -> None:
    """There is not enough memory for all."""
    import resource

    calls, failed = some_calls(r) + some_calls(r), list[str]()
    work(r, calls, time.monotonic() + 1.0, failed)  # an OpenBLAS that finds no memory for its own ends the process
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (r.randint(0, 20) << 20), resource.RLIM_INFINITY))
    work(r, calls, time.monotonic() + 2.0, failed, (MemoryError,))
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    finish([], failed)
    work(r, calls, time.monotonic() + 0.3, failed)
    finish([], failed)


SCENARIOS = {name[9:]: function for name, function in list(globals().items()) if name.startswith("scenario_")}
if not Path("/proc/self/statm").exists():
    del SCENARIOS["memory"]


# ---- trials ---------------------------------------------------------------------------------------------------------


def trial(name: str, seed: int, limit: float) -> str:
    """Run a trial; return what went wrong."""
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-X", "faulthandler", __file__, "--child", "--scenario", name, "--seed", str(seed)]
        environment = dict(os.environ)
        if name == "fork":  # else OpenBLAS waits for ever where others multiply matrices in NumPy alone, in all of its threads
            environment["OPENBLAS_NUM_THREADS"] = "1"
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # faulthandler says where it is
            code = None
            process.wait()
        log.seek(0)
        said = log.read().decode(errors="replace")
    return "" if code == 0 else f"{'hangs' if code is None else f'ended with {code}'}\n{said[-6000:]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--trials", type=int, default=10**9, help="at most so many trials")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial; others follow (default: 0)")
    parser.add_argument("--scenario", choices=SCENARIOS, help="only this one (default: one after another)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which a trial hangs (default: 120)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        # Imports are made now: not in a signal's handler, and not while another thread forks, after which Python waits for
        # those that lost threads had begun.
        rules = [rpu.threads, rpu.wires, rpu.CellArray, *algorithms()]
        of_training(random.Random(len(rules)))[0]()
        sys.setswitchinterval(1e-6)
        SCENARIOS[options.scenario](random.Random(options.seed))
        return 0
    end, counts, failures = time.monotonic() + 60 * options.minutes, dict.fromkeys(SCENARIOS, 0), 0
    for seed in range(options.seed, options.seed + options.trials):
        if time.monotonic() > end:
            break
        name = options.scenario or list(SCENARIOS)[seed % len(SCENARIOS)]
        wrong = trial(name, seed, options.limit)
        counts[name] += 1
        if wrong:
            failures += 1
            print(f"--scenario {name} --seed {seed} --trials 1: {wrong}", flush=True)
    print(f"{sum(counts.values())} trials ({', '.join(f'{n} {c}' for n, c in counts.items())}), {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
