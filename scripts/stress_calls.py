"""What `stress.py` calls: things at random, and calls of them that may meet in any order."""

from __future__ import annotations

import gc
import pickle
import random
import threading
import time
import traceback
from collections.abc import Callable

import numpy as np

import rpusim as rpu

Calls = list[Callable[[], object]]
LINES = rpu.Wires(r_word=2.0, r_bit=2.0)
SCALE = rpu.ConductanceScale(g_min=1e-6, g_max=1e-4, mapping="offset")
NOISY = rpu.Periphery(adc=rpu.ADC(bits=9, bound=12.0, noise=0.06, gain_spread=0.1, offset_spread=0.01))
DEVICE = rpu.devices.SoftBounds(dw_min=0.01, w_max=1.0, w_min=-1.0, diffusion=0.001, lifetime=1000.0, reset_std=0.01)
WORN = DEVICE.replace(endurance=1e6, half_select=0.001, write_noise_std=0.5)


def vectors(r: random.Random, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng, n = np.random.default_rng(r.getrandbits(32)), r.choice((1, 2, 40, 200))
    return tuple(rng.uniform(-1, 1, (n, size)).astype(np.float32) for size in shape[::-1])  # type: ignore[return-value]


def three(r: random.Random, it: object) -> Calls:
    """Reads and updates of an array or a tile, and what saves and copies it."""
    x, d = vectors(r, it.shape)  # type: ignore[attr-defined]
    calls: Calls = [
        lambda: it.forward(x), lambda: it.backward(d), lambda: it.update(x, d, 0.01), lambda: it.update(x, d, -0.01),
        lambda: it.program(np.full(it.shape, 0.1)), lambda: it.weights, it.end_batch, it.state_dict, lambda: it.pulse_count,
        lambda: loaded(it), lambda: copied(it),
    ]  # type: ignore[attr-defined]  # fmt: skip
    return calls


def copied(it: object) -> None:
    pickle.loads(pickle.dumps(it))


def calibrated(array: rpu.CrossbarArray, x: np.ndarray) -> None:
    try:
        array.calibrate(np.abs(x) + 0.1)
    except ValueError as error:  # the weights are 0
        if "a range above 0" not in str(error):
            raise


def loaded(it: object) -> None:
    state = it.state_dict()  # type: ignore[attr-defined]
    try:
        it.load_state_dict(state)  # type: ignore[attr-defined]
    except ValueError as error:  # another has calibrated since
        if "the same specification" not in str(error):
            raise


def of_array(r: random.Random, array: rpu.CrossbarArray) -> Calls:
    shape, x = array.shape, vectors(r, array.shape)[0]
    outputs = shape[0]
    calls = three(r, array) + [
        lambda: array.pulse(r.choice((1, -3, 1000))), lambda: calibrated(array, x),
        lambda: array.symmetry_point("pulses", 20), lambda: array.symmetry_point("random_pulses", 20), array.symmetry_point,
        lambda: array.parameters.update(step_up=np.full(shape, 0.002)), lambda: array.parameters.update(w_max=0.9),
        lambda: array.parameters.update(w_min=np.full(shape, -0.9)), lambda: array.reset([0], 0.5), array.reset,
        lambda: array.program_verify(np.full(shape, 0.05), max_pulses=5), lambda: dict(array.parameters),
        lambda: array.forward_count, lambda: dict(array.forward_parameters), array.read_conductance,
    ]  # fmt: skip
    if "adc_gain" in array.forward_parameters:
        calls.append(lambda: array.forward_parameters.update(adc_gain=np.full(outputs, r.uniform(0.9, 1.1))))
    return calls


def of_network(r: random.Random) -> Calls:
    m, n = r.choice(((8, 8), (40, 30)))
    g = np.full((m, n), 5e-5)
    network = rpu.wires.Network(g, LINES, warm_start=r.random() < 0.5)
    v = np.random.default_rng(0).uniform(0, 0.2, (r.choice((1, 3, 20)), m))
    return [lambda: network.currents(v), lambda: network.update(g * r.uniform(0.5, 2)), network.effective,
            lambda: network.solution(v), lambda: network.solution(v, nonlinearity=2.0), lambda: copied(network)]  # fmt: skip


def of_training(r: random.Random) -> Calls:
    rng = np.random.default_rng(r.getrandbits(32))
    x, labels = rng.uniform(size=(60, 30)).astype(np.float32), rng.integers(0, 5, 60)

    def train() -> None:
        rule = r.choice((rpu.algorithms.SGD(DEVICE), rpu.algorithms.TikiTakaV2(DEVICE)))
        network = rpu.nn.Sequential(rpu.nn.Linear(30, 20, rule), rpu.nn.Tanh(), rpu.nn.Linear(20, 5, rule))
        rpu.nn.Trainer(network, lr=0.05, batch_size=8, rng=0).fit((x, labels), epochs=1)

    return [train]


def algorithms() -> list[rpu.algorithms.Algorithm]:
    a = rpu.algorithms
    return [
        a.SGD(DEVICE), a.SGD(rpu.devices.VectorCell(gammas=(1.0, 0.5))), a.TikiTaka(DEVICE), a.TikiTakaV2(DEVICE),
        a.AGAD(DEVICE), a.ChoppedTikiTaka(DEVICE), a.RIDER(DEVICE), a.ResidualLearning(DEVICE), a.SHD(DEVICE),
        a.LowRankTikiTaka(DEVICE, rank=2), a.MixedPrecision(DEVICE), a.EaPU(DEVICE), a.Manhattan(DEVICE),
    ]  # fmt: skip


def of_tile(r: random.Random, rule: rpu.algorithms.Algorithm) -> Calls:
    tile = rule.build(r.choice(((6, 7), (40, 50))), rng=r.getrandbits(32))
    calls = three(r, tile)
    for array in tile.weight_arrays + tuple(getattr(tile, "arrays", ())):
        if isinstance(array, rpu.CrossbarArray):
            calls += [
                lambda a=array: a.parameters.update(w_max=r.uniform(0.5, 1.0)), lambda a=array: a.reset([0]),
                lambda a=array: a.forward(vectors(r, a.shape)[0]),
            ]  # type: ignore[misc]  # fmt: skip
    return calls


def some_calls(r: random.Random) -> Calls:
    """Calls of one thing or a few."""
    shape = r.choice(((3, 5), (40, 50), (200, 300)))
    kind, seed = r.randrange(8), r.getrandbits(32)
    if kind < 3:
        options = r.choice(({}, {"forward": NOISY}, {"pulses": rpu.PulseScheme(wires=rpu.WriteWires(LINES, SCALE))},
                            {"forward": rpu.Periphery(wires=LINES, conductances=SCALE)}))  # fmt: skip
        shape = (12, 9) if "pulses" in options or options and options.get("forward") is not NOISY else shape
        device = DEVICE if "pulses" in options or r.random() < 0.5 else WORN
        return of_array(r, rpu.CrossbarArray(shape, device, rng=seed, **options))  # type: ignore[arg-type]
    if kind == 3:
        cells = (rpu.devices.VectorCell(gammas=(1.0, 0.5)), rpu.devices.OneSidedCell(DEVICE, refresh_every=50),
                 rpu.devices.ReferenceCell(DEVICE))  # fmt: skip
        return three(r, rpu.CellArray(shape, r.choice(cells), forward=r.choice((None, NOISY)), rng=seed))
    if kind == 4:
        main, reference = (rpu.CrossbarArray(shape, DEVICE, rng=seed + k) for k in range(2))
        pair = rpu.DifferentialPair(main, reference)
        x, d = vectors(r, shape)
        return [
            lambda: pair.forward(x), lambda: pair.backward(d), lambda: pair.update(x, d, 0.01), pair.zero_shift,
            pair.state_dict, lambda: pair.zero_shift("pulses", 20), lambda: pair.weights, lambda: reference.update(x, d, 0.01),
        ]  # fmt: skip
    if kind == 5:
        return of_network(r)
    return of_training(r) if kind == 6 else of_tile(r, r.choice(algorithms()))


def numbers_of_threads(r: random.Random) -> Calls:
    def block() -> None:
        with rpu.threads(r.randint(1, 64)), rpu.threads(r.randint(1, 64)):
            np.ones((200, 200), np.float32) @ np.ones((200, 200), np.float32)

    return [lambda: rpu.set_num_threads(r.randint(1, 64)), block, gc.collect]


def work(r: random.Random, calls: Calls, end: float, failed: list[str], known: tuple[type[BaseException], ...] = ()) -> None:
    """Call at random until the end."""
    while time.monotonic() < end and not failed:
        try:
            with rpu.threads(r.randint(1, 8)):
                r.choice(calls)()
        except known:
            pass
        except Exception:
            failed.append(traceback.format_exc())


def start(r: random.Random, seconds: float, daemon: bool = False) -> tuple[list[threading.Thread], list[str]]:
    """Threads that work on some things together."""
    shared, failed, end = some_calls(r) + some_calls(r) + numbers_of_threads(r), list[str](), time.monotonic() + seconds
    threads = []
    for _ in range(r.randint(2, 6)):
        own = random.Random(r.getrandbits(32))
        threads.append(threading.Thread(target=work, args=(own, shared, end, failed), daemon=daemon))
        threads[-1].start()
    return threads, failed


def finish(threads: list[threading.Thread], failed: list[str]) -> None:
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(failed[0])
