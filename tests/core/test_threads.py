"""The team of threads: how many there may be, what they leave as it was, and that nobody waits for who does not come."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import rpusim as rpu
from rpusim._core import products, threads

IDEAL = rpu.Periphery.ideal()


def run(code: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    result = subprocess.run([sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True)
    return result.stdout.strip()


# ---- how many -----------------------------------------------------------------------------------------------------


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize("value, expected", [("3", 3), ("5,2", 5), (" 2 ", 2), ("0", None), ("many", None), ("", None)])
def test_the_environment_is_respected(value, expected):
    code = "import rpusim as rpu; print(rpu.get_num_threads())"
    found = int(run(code, OMP_NUM_THREADS=value))
    assert found == expected if expected is not None else 1 <= found <= processors()


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"max": "200000 100000"}, 2), ({"max": "150000 100000"}, 2), ({"max": "max 100000"}, 1024), ({}, 1024),
        ({"quota": "50000", "period": "100000"}, 1), ({"quota": "-1", "period": "100000"}, 1024), ({"max": "nonsense"}, 1024),
    ],
)  # fmt: skip
def test_the_limit_of_a_control_group_counts(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert threads._share_of_group([tmp_path / name for name in ("max", "quota", "period")]) == expected


@pytest.mark.usefixtures("restore_threads")
def test_a_block_changes_its_own_thread_only():
    rpu.set_num_threads(3)
    seen = {}

    def other() -> None:
        seen["other"] = rpu.get_num_threads()
        with rpu.threads(5):
            seen["inside"] = rpu.get_num_threads()

    with rpu.threads(1):
        with rpu.threads(2):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            seen["inner"] = rpu.get_num_threads()
        seen["outer"] = rpu.get_num_threads()
    assert seen == {"other": 3, "inside": 5, "inner": 2, "outer": 1} and rpu.get_num_threads() == 3
    with pytest.raises(KeyError), rpu.threads(4):
        raise KeyError
    assert rpu.get_num_threads() == 3


@pytest.mark.parametrize("n, error", [(0, ValueError), (1025, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_wrong_numbers_are_refused(n, error):
    with pytest.raises(error, match="n must be") as caught:
        rpu.threads(n)
    assert repr(n) in str(caught.value)


# ---- products -----------------------------------------------------------------------------------------------------

SHAPES = [
    (700, 500, 64),
    (500, 700, 64),
    (33, 17, 9000),
    (2, 900, 700),
    (900, 2, 700),
    (1100, 1000, 1),
    (401, 399, 3),
    (1, 3, 5),
]


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_products_are_right_for_any_number_of_threads(shape, n):
    rows, columns, batch = shape
    rng = np.random.default_rng(0)
    array = rpu.CrossbarArray((rows, columns), rpu.devices.Ideal(), forward=IDEAL, rng=0)
    w = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    array.program(w)
    x, d = (rng.uniform(-1, 1, (batch, size)).astype(np.float32) for size in (columns, rows))
    rpu.set_num_threads(n)
    for _ in range(3):  # asleep, then awake
        for got, a, b in ((array.forward(x), x, w.T), (array.backward(d), d, w)):
            # float64; a sum of k products of float32 numbers below 1 is right to about k / 2 roundings of its size
            np.testing.assert_allclose(got, a.astype(np.float64) @ b, atol=a.shape[1] * 2.0**-24 + 1e-7, rtol=1e-6)


@pytest.mark.usefixtures("restore_threads")
def test_the_blas_is_left_as_it_was():
    before = products.blas_threads()
    if before == 0:
        pytest.skip("the BLAS of this NumPy has no settings that are known")
    array = rpu.CrossbarArray((300, 300), rpu.devices.SoftBounds(), rng=0)
    x = np.ones((64, 300), np.float32)
    rpu.set_num_threads(4)

    def work(_: int) -> None:
        array.forward(x)
        array.update(x, x, 1e-5)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(100)))
    assert products.blas_threads() == before


def test_who_limits_the_blas_limits_products():
    """OPENBLAS_NUM_THREADS=1 is kept while a product lasts, and is what products go by unless rpusim is told otherwise."""
    code = "from rpusim._core import products; import rpusim, numpy; print(products.blas_threads())"
    if int(run(code)) == 0:
        pytest.skip("the BLAS of this NumPy has no settings that are known")
    assert run(code, OPENBLAS_NUM_THREADS="1") == "1"


# ---- teams --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.usefixtures("restore_threads")
def test_a_forked_child_has_a_team_of_its_own():
    """It hung while there was a team of OpenMP."""
    rpu.set_num_threads(2)
    x = np.random.default_rng(0).uniform(-1, 1, (64, 300)).astype(np.float32)

    def updated(n: int) -> np.ndarray:
        rpu.set_num_threads(n)
        array = rpu.CrossbarArray((300, 300), rpu.devices.SoftBounds(), forward=IDEAL, rng=0)
        for _ in range(5):
            array.update(x, x, 0.02)
            array.forward(x)
        return array.weights

    expected = updated(2)
    pipe, theirs = multiprocessing.Pipe()

    def child() -> None:
        theirs.send(updated(3))

    process = multiprocessing.get_context("fork").Process(target=child)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
        process.start()
    assert pipe.poll(60)
    np.testing.assert_array_equal(pipe.recv(), expected)
    process.join(60)
    assert process.exitcode == 0
    np.testing.assert_array_equal(updated(2), expected)


@pytest.mark.usefixtures("restore_threads")
def test_calls_of_several_threads_do_not_meet():
    """One has the team, the others work alone, and all get what they would have got by themselves."""
    rpu.set_num_threads(2)
    x = np.random.default_rng(0).uniform(-1, 1, (64, 200)).astype(np.float32)

    def work(seed: int) -> np.ndarray:
        array = rpu.CrossbarArray((200, 200), rpu.devices.ConstantStep(), forward=IDEAL, rng=seed)
        for _ in range(10):
            array.update(x, array.forward(x), 0.01)
        return array.weights

    alone = [work(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for got, expected in zip(pool.map(work, range(6)), alone, strict=True):
            np.testing.assert_allclose(got, expected, atol=5e-3)  # reads agree to rounding, by which a pulse may fire or not


# ---- what another thread may do meanwhile ---------------------------------------------------------------------------

ADC = rpu.ADC(bits=9, bound=12.0, noise=0.06, gain_spread=0.1, offset_spread=0.01)
NOISY = rpu.Periphery(adc=ADC)


def changes(array: rpu.CrossbarArray) -> dict[str, object]:
    state = array.state_dict()
    x = np.random.default_rng(1).uniform(0.5, 1, (8, 50))

    return {
        "forward_parameters": lambda: array.forward_parameters.update(adc_gain=np.ones(40) * 1.1),
        "calibrate": lambda: array.calibrate(x),
        "load_state_dict": lambda: array.load_state_dict(state),
        "parameters": lambda: array.parameters.update(step_up=np.full((40, 50), 0.002)),
        "program": lambda: array.program(np.full((40, 50), 0.1)),
        "state_dict": array.state_dict,
        "pulse": lambda: array.pulse(1),
        "end_batch": array.end_batch,
        "symmetry_point": lambda: array.symmetry_point("pulses", 20),
    }


@pytest.mark.parametrize("name", list(changes(rpu.CrossbarArray((40, 50), rpu.devices.SoftBounds(), forward=NOISY, rng=0))))
def test_an_array_may_be_changed_while_another_thread_uses_it(name):
    """Tables of converters were freed while a read used them, which ended the interpreter."""
    device = rpu.devices.SoftBounds(diffusion=0.001)
    array = rpu.CrossbarArray((40, 50), device, forward=NOISY, rng=0)
    array.program(np.full((40, 50), 0.1))
    change = changes(array)[name]
    x = np.random.default_rng(0).uniform(-1, 1, (200, 50)).astype(np.float32)
    d = np.random.default_rng(1).uniform(-1, 1, (200, 40)).astype(np.float32)
    done = threading.Event()
    found: list[bool] = []

    def use() -> None:
        while not done.is_set():
            found.append(bool(np.isfinite(array.forward(x)).all()))
            array.update(x, d, 1e-3)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        for _ in range(60):
            change()
    finally:
        done.set()
        thread.join()
    assert found and all(found)
    assert np.isfinite(array.weights).all()
