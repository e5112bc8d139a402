"""Work shared by this process and others that it starts: the same results in the same order for any number of them."""

from __future__ import annotations

import collections
import multiprocessing.context
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from typing import Any, TypeVar

__all__ = ["Spawning", "processors", "shared_work"]

T = TypeVar("T")
R = TypeVar("R")


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared_work(
    function: Callable[..., R],
    tasks: Sequence[T],
    workers: int,
    done: Callable[[], Any] = lambda: None,
    here: Mapping[str, Any] | None = None,
) -> list[R]:
    """Return [function(task) for task in tasks], by this process and `workers` - 1 others.

    Each takes the next task when it is through with one; `done` is called after each, in this process. `here` are arguments
    of the calls that this process makes. Processes are spawned: a fork of one where BLAS is at work may hang. An
    error or Ctrl-C ends all of them, with what they were at.
    """
    queue, results = collections.deque(enumerate(tasks)), {}

    def work(call: Callable[[T], R]) -> None:
        try:
            while queue:
                try:
                    k, task = queue.popleft()
                except IndexError:  # another took it
                    return
                results[k] = call(task)
                done()
        except BaseException:
            queue.clear()
            raise

    def own(task: T) -> R:
        return function(task, **(here or {}))

    if workers <= 1 or len(tasks) <= 1:
        work(own)
        return [results[k] for k in range(len(tasks))]
    others, context = min(workers, len(tasks)) - 1, Spawning()
    with ThreadPoolExecutor(others) as threads, ProcessPoolExecutor(others, mp_context=context) as pool:

        def elsewhere() -> None:
            _block_interrupts()  # which a process inherits from the thread that starts it: they are for this one to answer
            work(lambda task: pool.submit(function, task).result())

        helpers = [threads.submit(elsewhere) for _ in range(others)]
        try:
            work(own)
            for helper in helpers:
                helper.result()
        except BaseException:
            while not_yet := wait(helpers, timeout=0.02).not_done:  # one may just be starting a process
                queue.clear()
                for process in context.started:
                    if process.is_alive():
                        process.terminate()
                if all(helper.cancel() for helper in not_yet):
                    break
            raise
    return [results[k] for k in range(len(tasks))]


def _block_interrupts() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


class Spawning(multiprocessing.context.SpawnContext):
    """Spawns processes, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[multiprocessing.context.SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> multiprocessing.context.SpawnProcess:  # type: ignore[override]
        process = multiprocessing.context.SpawnProcess(*args, **kwargs)
        self.started.append(process)
        return process
