"""Tasks of the tests, which workers import by this file."""

import time


def product(a, b=2.0, rng=None):
    """A number that depends on its settings and its seed."""
    import numpy as np

    return {"product": a * b, "draw": float(np.random.default_rng(rng).random())}


def slow(a, rng=None):
    time.sleep(0.02)
    return product(a, rng=rng)


def fails_at_two(a, marker=None):
    import pathlib

    if a == 2 and not (marker and pathlib.Path(marker).exists()):
        raise ArithmeticError("two is not liked")
    return {"a": a}


def dies_at_two(a, marker=None):
    import os
    import pathlib
    import signal

    if a == 2 and not (marker and pathlib.Path(marker).exists()):
        if marker:
            pathlib.Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return a


def ishigami(x1, x2, x3):
    from math import sin

    return sin(x1) + 7 * sin(x2) ** 2 + 0.1 * x3**4 * sin(x1)


def number_of_points_so_far(a, folder):
    """Counts how often it was called for its point."""
    import pathlib

    file = pathlib.Path(folder) / "calls"
    file.write_text((file.read_text() if file.exists() else "") + "x")
    return len(file.read_text())
