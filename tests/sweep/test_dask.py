"""A study on a Dask cluster of two worker processes, one of which is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from rpusim.sweep import Study, load, run

distributed = pytest.importorskip("distributed")
HERE = Path(__file__).parent


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_table_also_where_a_worker_is_killed(tmp_path):
    study = Study("functions.py:slow", {"a": list(range(30))}, folder=HERE)
    wanted = run(study, tmp_path / "whole.sqlite", workers=1)
    store = tmp_path / "dask.sqlite"
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        killed = []

        def kill():
            while load(store).counts()["done"] < 5 if store.exists() else True:
                time.sleep(0.02)
            (worker, *_) = cluster.workers.values()
            killed.append(worker.process.pid)
            os.kill(worker.process.pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        found = run(study, store, executor=client.get_executor(), pending=8)
        thread.join()
    assert killed and found.counts()["done"] == 30
    for name in ("a", "product", "draw"):
        assert found.column(name).tolist() == wanted.column(name).tolist()
