"""Running a study: points go to an executor and, as they are finished, into the store."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import secrets
import socket
import subprocess
import threading
import time
import traceback as tracebacks
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from rpusim._base.processes import Spawning, processors
from rpusim._base.progress import progress_bar
from rpusim._base.threads import threads as limited
from rpusim._base.validation import boolean, instance, integer_value, optional, shown
from rpusim._base.validation import integer as integer_check
from rpusim._base.version import __version__
from rpusim.sweep.lookup import task_of
from rpusim.sweep.points import Point, Study
from rpusim.sweep.results import Results
from rpusim.sweep.store import Store
from rpusim.sweep.tasks import Task, numbers_of_result

__all__ = ["run"]

#: how often a point is given to the executor again whose worker died
LIVES = 3
#: variables that set how many threads the libraries beneath NumPy use
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Here(Executor):
    """Runs what is submitted at once, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _end_with_parent() -> None:
    """Let this worker end when the process that started it is killed: nothing else would tell it."""
    import multiprocessing
    import signal
    from multiprocessing.connection import wait as wait_for

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            wait_for([parent.sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


@functools.cache
def _task(reference: Any, folder: Path | None) -> Task:
    return task_of(reference, folder)


def work(reference: tuple[Any, Path | None], point: Point, root: int, threads: int, folder: str | None) -> dict[str, Any]:
    """Run one point, wherever this is; an error of the task is a result, too."""
    begun = time.perf_counter()
    results = failure = None
    try:
        task = _task(*reference)
        arguments = task.call_arguments(point.settings)
        seeds = point.seeds(root)
        if "rng" in task.arguments:
            arguments["rng"] = seeds
        if "seed" in task.arguments:
            arguments["seed"] = int(seeds.generate_state(1)[0])
        if "folder" in task.arguments:
            if folder is not None:
                Path(folder).mkdir(parents=True, exist_ok=True)
            arguments["folder"] = folder
        with limited(threads):
            results = numbers_of_result(task.function(**arguments))
    except Exception:
        failure = tracebacks.format_exc()
    return {
        "results": results, "traceback": failure, "seconds": time.perf_counter() - begun, "host": socket.gethostname(),
        "versions": {"rpusim": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }  # fmt: skip


@contextlib.contextmanager
def _pool(workers: int, threads: int) -> Iterator[Executor]:
    """Processes of our own, whose libraries use `threads` threads each, and which end with this one."""
    context = Spawning()
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in context.started:
            if process.is_alive():
                process.terminate()
        pool.shutdown()
        raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def commit(folder: Path) -> str | None:
    """Return the commit of the git repository that a folder is in, with + where files differ from it; None: there is none."""
    try:
        said = [
            subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, timeout=10, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return said[0].strip() + ("+" if said[1].strip() else "")


class _Run:
    """One call of `run`: what waits, what is under way, and what comes back."""

    def __init__(self, study: Study, store: Store, threads: int, pending: int, folder: Path, bar: Any) -> None:
        self.study, self.store, self.threads, self.pending, self.folder, self.bar = study, store, threads, pending, folder, bar
        self.points = {point.key: point for point in study.points()}
        statuses, claimed = store.statuses(), store.claimed()
        waiting = [key for key, status in statuses.items() if status == "waiting"]
        self.waiting = deque(sorted(waiting, key=lambda key: key in claimed))  # what others may be at comes last
        self.others = set(claimed)
        self.under_way: dict[Future[dict[str, Any]], str] = {}
        self.lives = dict.fromkeys(waiting, LIVES)
        self.who = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.code = commit(store.path.parent)
        self.best: float | None = None

    def _next(self) -> str | None:
        """The next point that nobody has finished meanwhile; one that somebody else is at goes to the end, once."""
        while self.waiting:
            key = self.waiting.popleft()
            if self.store.is_finished(key):
                self.bar.update()
            elif self.store.claim(key, self.who) or key in self.others or self.lives[key] < LIVES:
                return key
            else:
                self.others.add(key)
                self.waiting.append(key)
        return None

    def submit(self, executor: Executor) -> None:
        """Give the executor as much as may be under way."""
        while len(self.under_way) < self.pending and (key := self._next()) is not None:
            arguments = (self.study.task.reference(), self.points[key], self.study.rng, self.threads, str(self.folder / key))
            try:
                self.under_way[executor.submit(work, *arguments)] = key
            except BrokenExecutor:
                self.waiting.appendleft(key)
                self.lives[key] -= 1  # or it would go round
                raise

    def collect(self) -> None:
        """Keep what is finished."""
        for future in wait(self.under_way, return_when=FIRST_COMPLETED).done:
            key = self.under_way.pop(future)
            try:
                found = future.result()
            except Exception as error:  # not the task's: its worker died, or what it gave could not be sent
                self.lives[key] -= 1
                if self.lives[key] > 0:
                    self.waiting.appendleft(key)
                    if isinstance(error, BrokenExecutor):
                        raise
                    continue
                found = {"results": None, "traceback": "".join(tracebacks.format_exception(error))}
                if isinstance(error, BrokenExecutor):
                    self._keep(key, found)
                    raise
            self._keep(key, found)

    def _keep(self, key: str, found: dict[str, Any]) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.store.finish(key, **found, code=self.code, finished=now)
        goal = self.study.minimize or self.study.maximize
        value = (found["results"] or {}).get(goal)
        if value is not None and (self.best is None or (value < self.best) == (self.study.maximize is None)):
            self.best = value
            self.bar.set_postfix_str(f"best {goal} {value:.5g}", refresh=False)
        self.bar.update()

    def give_back(self) -> None:
        """Put what a broken executor had before what waits."""
        for key in self.under_way.values():
            self.lives[key] -= 1
            self.waiting.appendleft(key)
        self.under_way.clear()

    def all_by(self, executor: Executor) -> None:
        """Run until nothing waits."""
        self.submit(executor)
        while self.under_way:
            self.collect()
            self.submit(executor)


def run(
    study: Study,
    store: str | os.PathLike[str],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    threads: int = 1,
    pending: int | None = None,
    retry: bool = False,
    journal: str = "wal",
    progress: bool = True,
) -> Results:
    """Run all points of a study that are not finished; every one that finishes is in the file at once.

    A call that is stopped, by Ctrl-C or kill -9, goes on where it was when it is made again: what is in the file is not run
    again. Two calls at the same time, on one host or several that share the file, share the work. A point's result
    depends neither on where nor in which order it ran.

    Parameters
    ----------
    study : Study
    store : path
        The SQLite file. Checkpoints of points that keep some are in a folder beside it.
    executor : concurrent.futures.Executor, optional
        Whatever runs the points: `mpi4py.futures.MPIPoolExecutor`, `dask.distributed.Client.get_executor()`. Where they run
        is its affair, and it is not shut down here. By default processes of our own.
    workers : int, optional
        Number of processes of our own, by default one per processor; 1: the points run in this process. A script that starts
        others keeps what it does under ``if __name__ == "__main__":``.
    threads : int, default 1
        Threads of every point. Reads of arrays go by it in their last bits (see `rpusim.threads`).
    pending : int, optional
        How many points an executor has at a time; by default twice the processes of our own, and 256 of another.
    retry : bool, default False
        Whether points that failed are run again.
    journal : {"wal", "delete"}
        See `Store`.
    progress : bool, default True
        Show a bar on a terminal: points, rate, time left, best result so far.

    Returns
    -------
    Results

    Raises
    ------
    RuntimeError
        If a pool that was given is broken. What was finished is in the file. (Of our own processes one that dies is replaced;
        a point with which three died has failed.)

    Examples
    --------
    >>> import tempfile, rpusim as rpu
    >>> study = rpu.sweep.Study("regression", {"lr": [0.01, 0.1]}, {"steps": 200})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = rpu.sweep.run(study, folder + "/study.sqlite", workers=1, progress=False)
    >>> results.column("lr").tolist(), bool((results.column("error") < 1.0).all())
    ([0.01, 0.1], True)
    """
    instance(Study, "a Study")("study", study)
    if executor is not None and not hasattr(executor, "submit"):
        raise TypeError(f"executor must be an Executor of concurrent.futures or None; got {shown(executor)}")
    if executor is not None and workers is not None:
        raise ValueError(f"workers must be None where an executor is given, which has its own; got {workers}")
    count = optional(integer_check(1))("workers", workers) or processors()
    most = optional(integer_check(1))("pending", pending)
    threads = integer_value("threads", threads, 1)
    hidden = None if boolean("progress", progress) else True
    with Store(store, journal) as kept:
        kept.begin(study)
        if boolean("retry", retry):
            kept.retry()
        statuses = list(kept.statuses().values())
        left = statuses.count("waiting")
        title = {"desc": study.task.name.rpartition(":")[2], "unit": "point", "disable": hidden, "leave": False}
        with progress_bar(total=len(statuses), initial=len(statuses) - left, **title) as bar:
            folder = kept.path.with_name(kept.path.name + ".points").absolute()
            own = 1 if count == 1 else 2 * count
            job = _Run(study, kept, threads, most or (256 if executor is not None else own), folder, bar)
            if executor is not None:
                try:
                    job.all_by(executor)
                except BrokenExecutor as error:
                    raise RuntimeError(f"executor is broken ({error}); {kept.path} has what was finished") from error
            elif count == 1:
                job.all_by(_Here())
            else:
                while job.waiting:
                    with contextlib.suppress(BrokenExecutor), _pool(min(count, left), threads) as pool:
                        job.all_by(pool)
                    job.give_back()
        return Results.of(kept)
