"""Ctrl-C is heard inside the compiled loops, and the tile goes on from where it stopped."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from rpusim.algorithms import LowRankTikiTaka, MixedPrecision, TikiTakaV2
from rpusim.devices import SoftBounds

RULES = [TikiTakaV2(SoftBounds(), fast_lr=0.01), MixedPrecision(SoftBounds()), LowRankTikiTaka(SoftBounds(), rank=2)]


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_a_long_update_is_interrupted(rule):
    n = 4_000_000  # seconds of work; the signal comes after a fraction of one
    tile = rule.build((2, 2), rng=170)
    x, d = np.full((n, 2), 0.5, np.float32), np.full((n, 2), 0.1, np.float32)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        tile.update(x, d, 0.01)
    timer.join()
    done = tile.state_dict()["vectors"]
    assert 0 < done < n
    tile.update(x[:10], d[:10], 0.01)
    assert tile.state_dict()["vectors"] == done + 10


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
def test_waiting_for_one_array_leaves_the_others_free():
    tile = TikiTakaV2(SoftBounds(), fast_lr=0.01).build((2, 3), rng=171)
    cores = sorted((array._core for array in tile.arrays), key=id)  # as updates take them
    held, done = threading.Event(), threading.Event()

    def hold():
        with cores[1].lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            tile.update(np.ones((1, 3), np.float32), np.ones((1, 2), np.float32), 0.01)
        free = threading.Thread(target=cores[0].lock.acquire, daemon=True)
        free.start()
        free.join(10)
        assert not free.is_alive()
    finally:
        done.set()
    holder.join()
    timer.join()
