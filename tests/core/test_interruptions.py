"""Threads, forks, handlers of signals and Ctrl-C: what may not meet does not, and nobody waits for who is no more."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import sys
import threading
import warnings

import numpy as np
import pytest

import rpusim as rpu

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
alarms = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")


@forks
@pytest.mark.usefixtures("restore_threads")
def test_a_forked_child_may_use_what_lost_threads_were_using():
    """It waited for ever for the lock that a thread of its parent had."""
    array = rpu.CrossbarArray((300, 300), rpu.devices.SoftBounds(), rng=0)
    network = rpu.wires.Network(np.full((64, 64), 5e-5), rpu.Wires(r_word=2.0, r_bit=2.0))
    x = np.random.default_rng(0).uniform(-1, 1, (2000, 300)).astype(np.float32)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with array._core.lock, network._core.lock:
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    pipe, theirs = multiprocessing.Pipe()

    def child() -> None:
        array.update(x[:5], x[:5], 0.01)
        theirs.send((array.forward(x[0]), network.currents(np.ones(64))))

    process = multiprocessing.get_context("fork").Process(target=child)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    answered = pipe.poll(60)
    leave.set()
    thread.join()
    if not answered:
        process.kill()
    assert answered
    assert all(np.isfinite(part).all() for part in pipe.recv())
    process.join(60)


@forks
def test_a_lock_of_the_forking_thread_stays_its_own():
    lock = rpu.CrossbarArray((2, 2), rpu.devices.Ideal(), rng=0)._core.lock
    with lock:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                found: list[bool] = []
                other = threading.Thread(target=lambda: (lock.acquire(), found.append(True)), daemon=True)
                other.start()
                other.join(0.3)
                code = 0 if not found else 2
                lock.release()
                other.join(60)
                code = code if found else 3
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def calls_of(kind: str) -> tuple[object, list[object]]:
    """Something, a long call of it, and what must not come into that."""
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 64)).astype(np.float32)
    if kind == "network":
        network = rpu.wires.Network(np.full((64, 64), 5e-5), rpu.Wires(r_word=2.0, r_bit=2.0))
        return lambda: network.currents(x), [
            lambda: network.currents(x[:600]), lambda: network.update(np.full((64, 64), 4e-5)), lambda: network.solution(x[:9]),
        ]  # fmt: skip
    rule = rpu.algorithms.TikiTakaV2(rpu.devices.SoftBounds())
    tile = (rule if kind == "tile" else rpu.algorithms.SGD(rpu.devices.SoftBounds())).build((64, 64), rng=0)
    array = tile.weight_arrays[0]
    counts = np.full((64, 64), 5000)
    long = (lambda: array.pulse(counts)) if kind == "pulse" else (lambda: tile.update(x, x, 0.1))
    return long, [
        lambda: array.update(x, x, 0.1), lambda: array.forward(x), lambda: array.parameters.update(step_up=0.001),
        lambda: array.load_state_dict(array.state_dict()), lambda: array.pulse(1), lambda: array.symmetry_point("pulses", 10),
        lambda: tile.update(x, x, 0.1), array.reset,
    ]  # fmt: skip


@alarms
@pytest.mark.parametrize("kind", ["array", "pulse", "tile", "network"])
def test_a_handler_is_refused_what_its_thread_is_using(kind):
    """It freed what the call worked with, which ended the interpreter or gave wrong numbers."""
    long, others = calls_of(kind)
    refused: list[bool] = []

    def handler(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for other in others:
            try:
                other()
                refused.append(False)
            except RuntimeError as error:
                refused.append("in the middle of its own call" in str(error))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(200):  # until it comes when the compiled call is under way, not before or after
            refused.clear()
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            long()
            if refused and all(refused):
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert refused and all(refused)
    others[0]()  # and is as ever after it


@alarms
def test_a_handler_may_save_what_its_thread_is_using():
    array = rpu.CrossbarArray((64, 64), rpu.devices.SoftBounds(), rng=0)
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 64)).astype(np.float32)
    saved: list[tuple[np.ndarray, dict[str, object]]] = []
    before = signal.signal(signal.SIGALRM, lambda *_: saved.append((array.weights, array.state_dict())))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        for _ in range(50):
            array.update(x, x, 0.01)
            if saved:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    weights, state = saved[0]
    array.load_state_dict(state)
    np.testing.assert_array_equal(array.weights, weights)


class Stop(Exception):
    pass


@pytest.mark.parametrize("rule", [rpu.algorithms.TikiTaka, rpu.algorithms.MixedPrecision])
def test_a_tile_goes_on_after_an_exception_within_a_transfer(rule):
    """The line whose transfer was interrupted was written with every later one."""
    scale = rpu.ConductanceScale(g_min=1e-6, g_max=1e-4, mapping="offset")
    lines = rpu.PulseScheme(wires=rpu.WriteWires(rpu.Wires(), scale))
    device = rpu.devices.ConstantStep(dw_min=0.01)
    x, nothing = np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32)
    if rule is rpu.algorithms.MixedPrecision:
        tile = rule(device, pulses=lines, transfer_every=1).build((4, 4), rng=0)
        written, axis = tile.array, 1
        steps = [lambda row=row: tile.update(x, -np.eye(4, dtype=np.float32)[[row]], 0.1) for row in (0, 2)]
    else:
        tile = rule(device, transfer_pulses=lines, transfer_every=1).build((4, 4), rng=0)
        written, axis = tile.arrays[-1], 0
        tile.arrays[0].program(np.full((4, 4), 0.5))
        steps = [lambda: tile.update(nothing, nothing, 0.1)] * 2

    def stop() -> None:
        raise Stop

    kept, written._core.updater.write_wires = written._core.updater.write_wires, stop
    with pytest.raises(Stop):
        steps[0]()
    written._core.updater.write_wires = kept
    before = written.weights
    steps[1]()
    assert np.any(written.weights != before, axis=axis).sum() == 1


@alarms
@pytest.mark.parametrize("shape, kind", [((1, 4096), "pulse"), ((64, 64), "mean_count")])
def test_long_pulses_are_interrupted(shape, kind):
    """They ended first: after a minute, and after all vectors."""
    scheme = rpu.PulseScheme(pulse_type="mean_count")
    array = rpu.CrossbarArray(shape, rpu.devices.SoftBounds(dw_min=1e-4), pulses=scheme, rng=0)
    vectors = 2000
    x, d = (np.ones((vectors, size), np.float32) for size in shape[::-1])

    def handler(*_: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Stop):
            if kind == "pulse":
                array.pulse(2**31 - 1)
            else:
                array.update(x, d, 1e-3)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    if kind == "pulse":
        assert sum(array.pulse_count) < 2**22 * 4096
    else:
        assert 0 < array.update_count < vectors


# ---- what belongs together ---------------------------------------------------------------------------------------------


def meanwhile(change, check, rounds: int = 300) -> None:
    """Call `check` again and again while another thread calls `change`."""
    done, interval = threading.Event(), sys.getswitchinterval()

    def others() -> None:
        while not done.is_set():
            change()

    thread = threading.Thread(target=others)
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(rounds):
            check()
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_a_copy_is_of_one_moment():
    """Its periphery was that before another thread calibrated, and its state that after."""
    array = rpu.CrossbarArray((3, 4), rpu.devices.SoftBounds(), rng=0)
    array.program(np.full((3, 4), 0.1))
    x = iter(np.random.default_rng(0).uniform(0.5, 1, (10**5, 4)))
    meanwhile(lambda: array.calibrate([next(x)]), lambda: copy.deepcopy(array), 1000)


def test_updates_are_not_lost_to_the_end_of_a_batch():
    """What another thread did between the read and the write of a state was undone."""
    device = rpu.devices.ConstantStep(
        dw_min=0.001, dw_min_std=0.0, dw_min_dtod=0.0, up_down_dtod=0.0, w_max=100.0, w_min=-100.0, w_max_dtod=0.0,
        w_min_dtod=0.0, diffusion=1e-12,
    )  # fmt: skip
    array = rpu.CrossbarArray((2, 2), device, rng=0)
    meanwhile(array.end_batch, lambda: array.pulse(1), 2000)
    np.testing.assert_allclose(array.weights, 2.0, atol=2e-4)  # 2000 roundings of float32 numbers up to 2


def test_a_measurement_is_apart_from_updates():
    device = rpu.devices.ConstantStep(
        dw_min=0.001, dw_min_std=0.0, dw_min_dtod=0.0, up_down_dtod=0.0, w_max=100.0, w_min=-100.0, w_max_dtod=0.0,
        w_min_dtod=0.0,
    )  # fmt: skip
    array = rpu.CrossbarArray((2, 2), device, rng=0)
    meanwhile(lambda: array.symmetry_point("pulses", 50), lambda: array.pulse(1), 1000)
    np.testing.assert_allclose(array.weights, 1.0, atol=1e-4)
    assert array.update_count == 1000


@pytest.mark.parametrize("n", [1, 3])
def test_a_block_may_be_shared_by_threads(n):
    """One ended with the number that another had had before it."""
    block, turn = rpu.threads(n), threading.Barrier(2, timeout=60)
    seen: dict[str, int] = {}

    def work(name: str, own: int) -> None:
        with rpu.threads(own):
            for k in range(2):  # they enter one after another, and leave in the same order
                if (name == "b") == bool(k):
                    block.__enter__()
                turn.wait()
            for k in range(2):
                if (name == "b") == bool(k):
                    block.__exit__(None, None, None)
                    seen[name] = rpu.get_num_threads()
                turn.wait()

    others = [threading.Thread(target=work, args=one) for one in (("a", 5), ("b", 7))]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert seen == {"a": 5, "b": 7}
