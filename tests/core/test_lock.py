"""The lock of arrays: for one thread at a time, as often as it wants, and Ctrl-C ends waiting for it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from rpusim._core.lock import Lock


def test_one_thread_at_a_time_and_that_again():
    lock, inside, seen = Lock(), [], []

    def work():
        for _ in range(200):
            with lock:
                lock.acquire()
                inside.append(None)
                time.sleep(0)  # lets others run, which must wait
                seen.append(len(inside))
                inside.pop()
                lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 800


def test_others_wait_until_it_is_given_back_as_often_as_taken():
    lock, order = Lock(), []

    def work():
        with lock:
            order.append("other")

    with lock:
        with lock:
            thread = threading.Thread(target=work)
            thread.start()
        time.sleep(0.05)
        order.append("owner")
    thread.join()
    assert order == ["owner", "other"]


def test_it_is_given_back_on_an_error():
    lock = Lock()
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    taken = threading.Thread(target=lock.acquire, daemon=True)
    taken.start()
    taken.join(10)
    assert not taken.is_alive()


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
def test_interrupts_end_waiting():
    lock = Lock()
    owner, done = threading.Event(), threading.Event()

    def work():
        with lock:
            owner.set()
            done.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    owner.wait()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        lock.acquire()
    done.set()
    thread.join()
    timer.join()
    with lock:
        pass


def test_only_who_has_it_gives_it_back():
    lock, errors = Lock(), []

    def other():
        try:
            lock.release()
        except RuntimeError as error:
            errors.append(str(error))

    other()
    with lock:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert errors == ["a lock can be released only by the thread that has it"] * 3
    with lock:
        pass
