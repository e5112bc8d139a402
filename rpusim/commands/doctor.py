"""`rpusim doctor`: what this installation is made of, what it finds, and whether it computes as it should."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["add_parser", "run"]

_PACKAGES = ("numpy", "scipy", "matplotlib", "tqdm")
_EXTRAS = ("argcomplete", "openpyxl", "odfpy", "pandas", "scikit-learn", "dask", "torch")
_DATA = ("mnist", "fashion-mnist", "text", "fsdd", "omniglot", "hdc_language", "emg_myo", "uci")


def add_parser(command: Any) -> None:
    """Add the subcommand; `command(name, run, text, examples)` makes a parser."""
    command(
        "doctor",
        run,
        "say what this installation is made of and finds, and test in a second that it computes as it should",
        "  rpusim doctor\n",
        output=False,
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _data() -> str:
    from rpusim.datasets.collection import cache_folder

    roots = [Path(root) for root in (os.environ.get("RPUSIM_DATA"),) if root] + [cache_folder("mnist").parent]
    found = {
        name: root for name in _DATA for root in reversed(roots) if (root / name).is_dir() and any((root / name).iterdir())
    }
    return ", ".join(f"{name} ({root})" for name, root in found.items()) or f"none in {', '.join(map(str, roots))}"


def _rows() -> list[list[str]]:
    import rpusim as rpu
    from rpusim._core.kernels import active_kernel_set, kernel_sets
    from rpusim._core.products import blas_threads
    from rpusim._core.threads import available_threads

    blas = blas_threads()
    return [
        ["rpusim", f"{rpu.__version__}, {Path(rpu.__file__).parent}"],
        ["Python", f"{platform.python_version()}, {sys.executable}"],
        ["system", f"{platform.system()} {platform.release()}, {platform.machine()}"],
        ["packages", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)],
        ["extras", ", ".join(f"{name} {_version(name)}" for name in _EXTRAS)],
        ["instructions", f"{active_kernel_set()}, of {', '.join(kernel_sets())}"],
        ["threads", f"{rpu.get_num_threads()}, of {available_threads()} processors"],
        ["BLAS of NumPy", f"{blas} thread{'s' * (blas != 1)}" if blas else "not known to us: products take its own threads"],
        ["data", _data()],
    ]


def _reads() -> bool:
    """Exact reads are NumPy's product, in both directions."""
    import numpy as np

    import rpusim as rpu

    w, x = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 70)), np.random.default_rng(1).standard_normal((40, 70))
    array = rpu.CrossbarArray((60, 70), rpu.devices.Ideal(), forward=rpu.Periphery.ideal(), rng=0)
    array.program(w)
    forward = np.allclose(array.forward(x), x @ w.T, atol=1e-5)
    return forward and np.allclose(array.backward(x[:, :60]), x[:, :60] @ w, atol=1e-5)


def _pulses() -> bool:
    """Pulses change weights by -lr d x in the mean, within five standard errors, and the same with one thread."""
    import numpy as np

    import rpusim as rpu

    device = rpu.devices.ConstantStep(dw_min=0.001, w_max=10.0, w_min=-10.0)
    x, d, found = np.full((50, 300), 0.7), np.full((50, 200), 0.3), []
    for threads in (None, 1):
        array = rpu.CrossbarArray((200, 300), device, rng=0)
        with rpu.threads(threads or rpu.get_num_threads()):
            array.update(x, d, 0.01)
        found.append(array.weights)
    size = array.weights.size
    error = abs(found[0].mean() + 50 * 0.01 * 0.7 * 0.3) / (found[0].std() / np.sqrt(size))
    return bool(error < 5.0) and np.array_equal(found[0], found[1])


def _wires() -> bool:
    """A device behind two lines is a divider."""
    import rpusim as rpu

    solved = rpu.solve_network([1.0], [[1000.0]], r_word=100.0, r_bit=150.0)
    return bool(abs(solved.currents[0] * 1250.0 - 1.0) < 1e-12)


TESTS: dict[str, Callable[[], bool]] = {"reads": _reads, "pulses": _pulses, "wires": _wires}


def run(args: argparse.Namespace) -> int:
    """Print what is found, and the outcome of the tests; 1 where one fails."""
    for name, value in _rows():
        print(f"{name:14} {value}")
    failed = []
    start = time.perf_counter()
    for name, test in TESTS.items():
        if not test():
            failed.append(name)
    seconds = time.perf_counter() - start
    if failed:
        print(f"self-test: {', '.join(failed)} FAILED: results of this installation cannot be trusted", file=sys.stderr)
        return 1
    print(f"self-test: {', '.join(TESTS)} as they should be ({seconds:.1f} s)")
    return 0
