"""Lets atheris look for files that break the readers: what it mutates is led by the lines that are reached.

    pip install atheris
    python scripts/fuzz_files.py -max_len=4000 -max_total_time=600 corpus/   # files to begin with, and found

A reader may return, or raise TypeError, ValueError or OSError. Arguments are those of libFuzzer (-help=1). For Linux, and for
what needs no guidance there is fuzz.py.
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["rpusim"]):
    import rpusim as rpu
    from rpusim import fitting
    from rpusim._base import checkpoint

    #: by the first byte of an input; the rest is the file. Named here, since rooms are loaded when they are asked for
    READERS: list[tuple[str, Callable[[Path], Any]]] = [
        ("ramps.csv", fitting.read_ramps),
        ("steps.csv", fitting.read_steps),
        ("series.csv", fitting.read_series),
        ("sweeps.csv", fitting.read_sweeps),
        ("neurosim.txt", fitting.read_neurosim),
        ("any.csv", fitting.kind_of),
        ("net.npz", rpu.nn.load),
        ("state.npz", checkpoint.load),
        ("digits.idx", rpu.datasets.read_idx),
        ("device.json", lambda path: rpu.from_json(path.read_text(encoding="utf-8", errors="replace"))),
    ]
    KINDS = (rpu.devices.SoftBounds, rpu.algorithms.SGD, rpu.inference.Chip, rpu.Periphery)  # that files may name

ALLOWED = (TypeError, ValueError, OSError)
FOLDER = Path(tempfile.mkdtemp())


def one_input(data: bytes) -> None:
    if not data:
        return
    name, read = READERS[data[0] % len(READERS)]
    path = FOLDER / name
    path.write_bytes(data[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept, sys.stdout = sys.stdout, io.StringIO()
        try:
            read(path)
        except ALLOWED:
            pass
        finally:
            sys.stdout = kept


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
