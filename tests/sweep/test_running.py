"""Running: executors, failures, the store, and kill -9."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rpusim.sweep import Study, load, run
from rpusim.sweep.store import Store

HERE = Path(__file__).parent


def study(vary, settings=None, name="product", **options):
    return Study(f"functions.py:{name}", vary, settings, folder=HERE, **options)


def same(one, other):
    """Whether two tables are the same bits, but for how long each point took."""
    a, b = ({k: v for k, v in r.columns().items() if k != "seconds"} for r in (one, other))
    return a == b and all(np.array_equal(one.column(k), other.column(k)) for k in a)


def test_every_executor_gives_the_same_table(tmp_path):
    grid = study({"a": [1, 2, 3], "b": [0.5, 0.25]}, seeds=2)
    here = run(grid, tmp_path / "here.sqlite", workers=1)
    assert here.counts() == {"done": 12, "failed": 0, "waiting": 0}
    assert here.column("product").tolist() == [a * b for a in (1, 2, 3) for b in (0.5, 0.25) for _ in range(2)]
    assert len(set(here.column("draw"))) == 12
    assert same(here, run(grid, tmp_path / "pool.sqlite", workers=2))
    with ThreadPoolExecutor(3) as threads:
        assert same(here, run(grid, tmp_path / "threads.sqlite", executor=threads, pending=5))
    assert same(here, load(tmp_path / "pool.sqlite"))


def test_finished_points_are_not_run_again_and_others_come_to_them(tmp_path):
    store = tmp_path / "s.sqlite"
    first = run(study({"a": [1, 2]}, name="number_of_points_so_far"), store, workers=1)
    assert first.column("value").tolist() == [1, 1]
    more = run(study({"a": [3, 2, 1]}, name="number_of_points_so_far"), store, workers=1)
    assert more.column("a").tolist() == [3, 2, 1] and more.column("value").tolist() == [1, 1, 1]
    assert run(study({"a": [2]}, name="number_of_points_so_far"), store, workers=1).column("value").tolist() == [1]
    assert (tmp_path / "s.sqlite.points").is_dir()


def test_failures_keep_their_traceback_and_do_not_stop_the_rest(tmp_path):
    grid = study({"a": [1, 2, 3]}, {"marker": str(tmp_path / "marker")}, name="fails_at_two")
    found = run(grid, tmp_path / "s.sqlite", workers=1)
    assert found.counts() == {"done": 2, "failed": 1, "waiting": 0}
    ((varied, trace),) = found.failures()
    assert varied == {"a": 2, "seed": 0} and "ArithmeticError: two is not liked" in trace and "functions.py" in trace
    assert np.isnan(found.column("a").astype(float)).sum() == 0 and found.columns()["result.a"] == [1, None, 3]
    (tmp_path / "marker").touch()
    assert run(grid, tmp_path / "s.sqlite", workers=1).counts()["failed"] == 1  # stays, unless it is asked for
    assert run(grid, tmp_path / "s.sqlite", workers=1, retry=True).counts()["done"] == 3


def test_a_worker_that_dies_is_replaced_and_a_point_that_kills_three_has_failed(tmp_path):
    once = study({"a": [1, 2, 3, 4]}, {"marker": str(tmp_path / "marker")}, name="dies_at_two")
    assert run(once, tmp_path / "once.sqlite", workers=2).column("value").tolist() == [1, 2, 3, 4]
    always = study({"a": [1, 2, 3]}, name="dies_at_two")
    found = run(always, tmp_path / "always.sqlite", workers=2)
    assert found.column("status").tolist()[1] == "failed" and "BrokenProcessPool" in found.failures()[0][1]
    again = run(always, tmp_path / "always.sqlite", workers=2, retry=True)
    assert again.counts()["done"] >= 1


def test_a_pool_that_was_given_and_broke_is_named(tmp_path):
    always = study({"a": [2]}, name="dies_at_two")
    with ProcessPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="executor is broken .* has what was finished"):
        run(always, tmp_path / "s.sqlite", executor=pool)


SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from rpusim.sweep import Study, run
if __name__ == "__main__":
    grid = Study("functions.py:slow", {{"a": list(range(24))}}, folder={here!r})
    run(grid, {store!r}, workers={workers}, progress=False)
"""


def test_killed_at_any_moment_it_reaches_the_same_bits(tmp_path):
    store = tmp_path / "killed.sqlite"
    wanted = run(study({"a": list(range(24))}, name="slow"), tmp_path / "whole.sqlite", workers=1)
    draw, seen = random.Random(0), []
    for _ in range(3):
        script = SCRIPT.format(here=str(HERE), store=str(store), workers=1)
        process = subprocess.Popen([sys.executable, "-c", script])
        limit = time.monotonic() + 30
        more = draw.randint(2, 6)
        begun = seen[-1] if seen else 0
        while process.poll() is None and time.monotonic() < limit:
            if done_in(store) >= begun + more:
                break
            time.sleep(0.01)
        process.kill()
        process.wait()
        seen.append(done_in(store))
    assert 0 < seen[0] < seen[-1] < 24
    assert same(wanted, run(study({"a": list(range(24))}, name="slow"), store, workers=1))
    with sqlite3.connect(store) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def done_in(store):
    try:
        return load(store).counts()["done"]
    except (FileNotFoundError, ValueError):
        return 0


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
def test_workers_end_with_a_process_that_is_killed(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(here=str(HERE), store=str(tmp_path / "s.sqlite"), workers=2))
    process = subprocess.Popen([sys.executable, str(path)], start_new_session=True)
    limit = time.monotonic() + 30
    while done_in(tmp_path / "s.sqlite") < 2 and time.monotonic() < limit:
        time.sleep(0.05)
    process.kill()
    process.wait()
    while time.monotonic() < limit:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError("workers are left")


def test_two_runs_at_once_share_the_work_and_agree(tmp_path):
    store = tmp_path / "both.sqlite"
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(here=str(HERE), store=str(store), workers=1))
    both = [subprocess.Popen([sys.executable, str(path)]) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert same(load(store), run(study({"a": list(range(24))}, name="slow"), tmp_path / "whole.sqlite", workers=1))


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_the_first_result_of_a_point_stays(tmp_path, journal):
    grid = study({"a": [1]})
    with Store(tmp_path / "s.sqlite", journal) as one, Store(tmp_path / "s.sqlite", journal) as other:
        one.begin(grid)
        (key,) = other.statuses()
        assert one.claim(key, "one") and not other.claim(key, "other") and other.claimed() == {key}
        assert one.finish(key, {"product": 1.0}, None, seconds=1.0) and not other.finish(key, {"product": 2.0}, None)
        assert other.is_finished(key) and [row["results"] for row in other.rows()] == [{"product": 1.0}]
        with pytest.raises(TypeError, match="finish takes seconds"):
            one.finish(key, {}, None, colour="red")


def test_files_of_something_else_are_refused(tmp_path):
    (tmp_path / "text").write_text("no database, but a text that is long enough to be one" * 100)
    with pytest.raises(ValueError, match="is no file of a sweep"):
        run(study({"a": [1]}), tmp_path / "text")
    with sqlite3.connect(tmp_path / "other") as db:
        db.execute("CREATE TABLE points (x)")
    db.close()
    with pytest.raises(ValueError, match="is a database of something else"):
        run(study({"a": [1]}), tmp_path / "other")
    run(study({"a": [1]}), tmp_path / "s", workers=1)
    with pytest.raises(ValueError, match="must be of the task 'functions.py:ishigami'"):
        run(study({"x1": [1.0], "x2": [1.0], "x3": [1.0]}, name="ishigami"), tmp_path / "s")
    with pytest.raises(FileNotFoundError, match="must be in a folder that exists"):
        run(study({"a": [1]}), tmp_path / "no" / "s")
    with pytest.raises(FileNotFoundError, match="there is none at"):
        load(tmp_path / "none")
    with pytest.raises(TypeError, match="executor must be an Executor"):
        run(study({"a": [1]}), tmp_path / "s", executor=3)
    with pytest.raises(ValueError, match="workers must be None where an executor"):
        run(study({"a": [1]}), tmp_path / "s", executor=ThreadPoolExecutor(1), workers=2)
