"""A study on the ranks of MPI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rpusim.sweep import Study, load, run

pytest.importorskip("mpi4py")
HERE = Path(__file__).parent
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")

SCRIPT = """
from mpi4py.futures import MPIPoolExecutor
from rpusim.sweep import Study, run

if __name__ == "__main__":
    study = Study("functions.py:product", {{"a": [1, 2, 3, 4]}}, folder={here!r})
    with MPIPoolExecutor() as executor:
        run(study, {store!r}, executor=executor, progress=False)
"""


@pytest.mark.skipif(MPIEXEC is None, reason="mpiexec is not installed")
def test_ranks_give_the_same_table(tmp_path):
    path, store = tmp_path / "script.py", tmp_path / "mpi.sqlite"
    path.write_text(SCRIPT.format(here=str(HERE), store=str(store)))
    subprocess.run([MPIEXEC, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(path)], check=True, timeout=120)
    wanted = run(Study("functions.py:product", {"a": [1, 2, 3, 4]}, folder=HERE), tmp_path / "here.sqlite", workers=1)
    found = load(store)
    assert found.counts()["done"] == 4 and found.column("draw").tolist() == wanted.column("draw").tolist()
