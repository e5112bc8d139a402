"""Benchmarks: medians of repeats, and ratios to NumPy measured in the same run.

Absolute times depend on the machine and on what else it does; the ratios less so. Every case is measured in alternation
with its yardstick, so that a change of clock hits both.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # reads are compared with one-threaded products

import benchmarks_more  # noqa: E402
import numpy as np  # noqa: E402

import rpusim as rpu  # noqa: E402
from rpusim._base.checkpoint import atomic_file
from rpusim._core.kernels import active_kernel_set  # noqa: E402
from rpusim.algorithms import AGAD, SGD, SHD, ChoppedTikiTaka, TikiTaka, TikiTakaV2, named  # noqa: E402
from rpusim.devices import ConstantStep, LinearStep, SoftBounds  # noqa: E402

HISTORY = Path(__file__).with_name("bench-history.jsonl")
Row = dict[str, Any]


def medians(*calls: Callable[[], object], repeats: int) -> list[float]:
    """Median seconds of each call, the calls taking turns."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, mine in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            mine.append(time.perf_counter() - start)
    return [statistics.median(mine) for mine in times]


def row(case: str, value: float, unit: str, ratio: float, yardstick: str, target: float | None = None) -> Row:
    return {"case": case, "value": value, "unit": unit, "ratio": ratio, "yardstick": yardstick, "target": target}


def updates(repeats: int, size: int = 512, batch: int = 64) -> list[Row]:
    """Pulsed updates against one float32 normal of NumPy per pulse."""
    rng = np.random.default_rng(0)
    x, d = (rng.uniform(-1, 1, (batch, size)).astype(np.float32) for _ in range(2))
    normals = np.empty(1_000_000, dtype=np.float32)
    rows = []
    devices = {
        "SoftBounds": SoftBounds(),
        "ConstantStep": ConstantStep(),
        "LinearStep": LinearStep(gamma_up=0.5, gamma_down=0.5),
    }
    for rate, names in ((0.2, devices), (0.01, ["SoftBounds"]), (2.0, ["SoftBounds", "ConstantStep"])):
        for name in names:
            arrays = [rpu.CrossbarArray((size, size), devices[name], rng=0) for _ in range(4)]
            lr = rate * arrays[0].device.dw_min / 0.25  # E|x| E|d| = 1/4
            arrays[0].update(x, d, lr)
            loops = max(1, round(0.6 / rate))  # 0.6 pulses per device and vector in a timing, or 2
            pulses = sum(arrays[0].pulse_count) * loops

            def repeat(array: rpu.CrossbarArray, threads: int, lr: float = lr, loops: int = loops) -> None:
                rpu.set_num_threads(threads)
                for _ in range(loops):
                    array.update(x, d, lr)

            def side_by_side(arrays: list[rpu.CrossbarArray] = arrays, repeat: Callable[..., None] = repeat) -> None:
                other = pool.submit(repeat, arrays[2], 1)
                repeat(arrays[3], 1)
                other.result()

            with ThreadPoolExecutor(1) as pool:
                # two threads of one array last: the second one goes on looking for work for a while, on its processor
                one, apart, normal, two = medians(
                    lambda repeat=repeat, arrays=arrays: repeat(arrays[0], 1),
                    side_by_side,
                    lambda: rng.standard_normal(out=normals, dtype=np.float32),
                    lambda repeat=repeat, arrays=arrays: repeat(arrays[1], 2),
                    # what else runs here shows in two threads first; with more pulses devices would get to their bounds
                    repeats=repeats * (4 if rate == 0.2 else 1),
                )
            for threads, seconds in ((1, one), (2, two)):
                per_pulse, per_normal = seconds / pulses, normal / normals.size
                label = f"update {name}, {rate} pulses, {threads} thread{'s' * (threads > 1)}"
                goal = {0.2: 0.2, 0.01: 0.4}.get(rate) if threads == 1 else None
                rows.append(row(label, per_pulse * 1e9, "ns/pulse", per_pulse / per_normal, "NumPy normal", goal))
            rows.append(
                row(
                    f"  speed-up by 2 threads, {rate} pulses",
                    one / two,
                    "times",
                    two / one,
                    "1 thread",
                    1 / 1.8 if rate == 0.2 else None,
                )
            )
            # the most that this machine gives: two threads that have nothing to do with each other
            label = f"  of two arrays, a thread each, {name}, {rate}"
            rows.append(row(label, 2 * one / apart, "times", apart / (2 * one), "1 thread"))
    rpu.set_num_threads(1)
    return rows


def models(repeats: int, size: int = 512, batch: int = 16) -> list[Row]:
    """Cost of a pulse of every device model beside that of SoftBounds: 0.2 pulses per device and vector, one thread."""
    devices = rpu.devices
    rng = np.random.default_rng(0)
    rpu.set_num_threads(1)
    x, d = (rng.uniform(-1, 1, (batch, size)).astype(np.float32) for _ in range(2))
    table = devices.FromResponse(lambda w: 0.001 * (1 - w), lambda w: 0.001 * (1 + w))
    kinds = {
        "ConstantStep": devices.ConstantStep(),
        "LinearStep": devices.LinearStep(gamma_up=0.5, gamma_down=0.5),
        "SoftBoundsReference": devices.SoftBoundsReference(reference_std=0.1),
        "ExpStep": devices.ExpStep(),
        "PowStep": devices.PowStep(),
        "PowStepReference": devices.PowStepReference(reference_std=0.1),
        "tabulated, 257 nodes": table,
        "SoftBounds with write noise": devices.SoftBounds(write_noise_std=1.0),
    }

    def prepared(device: Any) -> tuple[Callable[[], None], int]:
        array = rpu.CrossbarArray((size, size), device, rng=0)
        lr = 0.2 * device.granularity / 0.25
        array.update(x, d, lr)
        return lambda: array.update(x, d, lr), sum(array.pulse_count)

    reference, n = prepared(SoftBounds())
    rows = []
    for name, device in kinds.items():
        call, pulses = prepared(device)
        mine, soft = medians(call, reference, repeats=repeats)
        per_pulse, per_soft = mine / pulses, soft / n
        goal = 2.0 if name.startswith(("ExpStep", "PowStep", "tab")) else None
        rows.append(row(f"update {name}", per_pulse * 1e9, "ns/pulse", per_pulse / per_soft, "SoftBounds", goal))
    return rows


def sizes(repeats: int) -> list[Row]:
    """Pulsed updates of arrays of other sizes, 0.2 pulses per device and vector, one thread, beside that of 512 x 512."""
    rng = np.random.default_rng(0)
    rpu.set_num_threads(1)
    rows = []
    for size, batch in ((512, 16), (16, 1000), (128, 128), (4096, 4)):
        array = rpu.CrossbarArray((size, size), SoftBounds(), rng=0)
        x, d = (rng.uniform(-1, 1, (batch, size)).astype(np.float32) for _ in range(2))
        lr = 0.2 * array.device.dw_min / 0.25
        (seconds,) = medians(lambda array=array, x=x, d=d, lr=lr: array.update(x, d, lr), repeats=max(2, repeats // 3))
        before = sum(array.pulse_count)
        array.update(x, d, lr)
        per_pulse = seconds / (sum(array.pulse_count) - before)
        reference = rows[0]["value"] if rows else per_pulse * 1e9
        rows.append(
            row(
                f"update SoftBounds, {size} x {size}, batch {batch}",
                per_pulse * 1e9,
                "ns/pulse",
                per_pulse * 1e9 / reference,
                "512 x 512",
            )
        )
    return rows


def reads(repeats: int, size: int = 512) -> list[Row]:
    """Reads through converters with noise against the bare float32 product."""
    rng = np.random.default_rng(0)
    w = 0.01 * rng.standard_normal((size, size)).astype(np.float32)
    array = rpu.CrossbarArray((size, size), SoftBounds(), rng=0)
    array.program(w)
    rows = []
    for batch, goal in ((64, 1.3), (1, 2.0)):
        x = rng.standard_normal((batch, size)).astype(np.float32)
        y = np.empty((batch, size), dtype=np.float32)
        loops = 1 if batch > 1 else 20
        forward, backward, product = medians(
            lambda x=x, y=y, n=loops: [array.forward(x, y) for _ in range(n)],
            lambda x=x, y=y, n=loops: [array.backward(x, y) for _ in range(n)],
            lambda x=x, y=y, n=loops: [np.matmul(x, w.T, out=y) for _ in range(n)],
            repeats=repeats,
        )
        macs = size * size * batch * loops
        for name, seconds in (("forward", forward), ("backward", backward)):
            rows.append(row(f"{name}, batch {batch}", seconds / macs * 1e9, "ns/MAC", seconds / product, "matmul", goal))
    peripheries = {
        "forward": (rpu.Periphery(), 1.5),
        "forward, three noises": (rpu.Periphery(dac=rpu.DAC(noise=0.01), adc=rpu.ADC(noise=0.06), read_noise=0.01), None),
    }
    for size in (256, 1024):
        matrix = np.resize(w, (size, size))
        for batch in (64, 256):
            x = rng.standard_normal((batch, size)).astype(np.float32)
            y = np.empty((batch, size), dtype=np.float32)
            for name, (periphery, goal) in peripheries.items():
                array = rpu.CrossbarArray((size, size), SoftBounds(), forward=periphery, rng=0)
                array.program(matrix)
                forward, product = medians(
                    lambda array=array, x=x, y=y: array.forward(x, y),
                    lambda x=x, y=y, w=matrix: np.matmul(x, w.T, out=y),
                    repeats=repeats,
                )
                label = f"{name}, {size} x {size}, batch {batch}"
                rows.append(row(label, forward / (size * size * batch) * 1e9, "ns/MAC", forward / product, "matmul", goal))
    pair = rpu.DifferentialPair(array, rpu.CrossbarArray(array.shape, SoftBounds(), rng=1))
    x, y = x[:64], y[:64]
    both, one = medians(lambda: pair.forward(x, y), lambda: array.forward(x, y), repeats=repeats)
    rows.append(
        row(f"  of a pair, {size} x {size}, batch 64", both / (size**2 * 64) * 1e9, "ns/MAC", both / one, "one array", 1.35)
    )
    return rows


def calls(repeats: int) -> list[Row]:
    """Overhead of the smallest calls: 1 x 1 arrays, one vector."""
    array = rpu.CrossbarArray((1, 1), SoftBounds(), rng=0)
    x, d, zero, y = (np.full((1, 1), v, dtype=np.float32) for v in (0.5, 0.1, 0.0, 0.0))
    n = 2000
    forward, update, idle, matmul = medians(
        lambda: [array.forward(x, y) for _ in range(n)],
        lambda: [array.update(x, d, 0.01) for _ in range(n)],
        lambda: [array.update(x, zero, 0.01) for _ in range(n)],
        lambda: [np.matmul(x, x, out=y) for _ in range(n)],
        repeats=repeats,
    )
    return [
        row(f"{name}, 1 x 1", seconds / n * 1e6, "us/call", seconds / matmul, "np.matmul call", 3e-6 / (matmul / n))
        for name, seconds in (("forward", forward), ("update", update), ("update without pulses", idle))
    ]


def transfers(repeats: int, size: int = 512, batch: int = 64) -> list[Row]:
    """Algorithms with a transfer per vector against SGD's update, per pulse."""
    rng = np.random.default_rng(0)
    x, d = (rng.uniform(-1, 1, (batch, size)).astype(np.float32) for _ in range(2))
    device = SoftBounds()
    lr = 0.2 * device.dw_min / 0.25
    scaled = dict(auto_scale=True, fast_lr=0.8 / 31)  # as many pulses as SGD
    rules = {
        "SHD": (SHD(device, device, slow_lr=1.0), 1.5),
        "TikiTaka": (TikiTaka(device), 2.0),
        "TikiTaka, rows": (TikiTaka(device, transfer_columns=False), 2.0),
        "TikiTakaV2": (TikiTakaV2(device), 2.0),
        "ChoppedTikiTaka": (ChoppedTikiTaka(device, **scaled), 2.0),
        "AGAD": (AGAD(device, **scaled), 2.0),
    }
    sgd, rows = SGD(device).build((size, size), 0), []
    for name, (rule, goal) in rules.items():
        tile = rule.build((size, size), 0)
        one, two = medians(lambda: sgd.update(x, d, lr), lambda tile=tile: tile.update(x, d, lr), repeats=repeats)
        counts = []
        for each in (sgd, tile):
            before = sum(each.pulse_count)
            each.update(x, d, lr)
            counts.append(sum(each.pulse_count) - before)
        ratio = two / counts[1] / (one / counts[0])
        rows.append(row(f"{name}, transfer per vector", two / counts[1] * 1e9, "ns/pulse", ratio, "SGD update", goal))
    return rows


def networks(repeats: int) -> list[Row]:
    """Epochs one sample at a time, scaled up from their beginning, beside the same network in digital mode."""
    from rpusim.nn import Sequences, Trainer
    from rpusim.reproduce.networks import lenet, lstm, perceptron

    rng = np.random.default_rng(0)
    quick = repeats < 5

    def images(count: int, flatten: bool) -> tuple[str, Any]:
        try:
            data = rpu.datasets.mnist(flatten=flatten)
            return "MNIST", (data.x_train[:count], data.y_train[:count])
        except (OSError, ValueError, RuntimeError):
            x = (rng.random((count, 784)) * (rng.random((count, 784)) < 0.2)).astype(np.float32)
            return "random images", (x if flatten else x.reshape(-1, 1, 28, 28), rng.integers(0, 10, count))

    def characters(count: int) -> tuple[str, Any]:
        try:
            return "War and Peace", Sequences(rpu.datasets.text().train[: count + 1])
        except (OSError, ValueError, RuntimeError):
            return "random characters", Sequences(rng.integers(0, 87, count + 1))

    saturating = rpu.devices.presets.onen_saturating()
    cases: list[tuple[str, Any, tuple[str, Any], int, float, Any]] = [
        ("", perceptron, images(500 if quick else 6000, True), 60_000, 0.05, SoftBounds()),
        ("LeNet, ", lenet, images(50 if quick else 1000, False), 60_000, 0.01, SoftBounds()),
        ("LSTM 2 x 64, ", lambda rule: lstm(rule, 64), characters(200 if quick else 20_000), 2_933_246, 0.03, saturating),
    ]
    rows = []
    for network, make, (source, train), whole, lr, device in cases:
        names = {"digital": "digital", "SGD": "sgd", "SHD": "shd", "TTv2": "ttv2", "AGAD": "agad"}
        rules = {label: named.get(name, device) for label, name in names.items()}  # with their published settings
        seconds = {}
        for name, rule in rules.items():
            # the first epoch warms up
            history = Trainer(make(rule), lr=lr, rng=0).fit(train, epochs=2, progress=False)
            seconds[name] = whole / history.samples_per_second[-1]
            target = 3.0 if name == "SGD" and not network else None
            label = f"epoch of {network}{source}, {name}"
            rows.append(row(label, seconds[name], "s", seconds[name] / seconds["digital"], "digital", target))
    return rows


def inference(repeats: int) -> list[Row]:
    """Writing, ageing and reading a network on chips, and training that knows the hardware, beside the digital network."""
    from rpusim import nn
    from rpusim.inference import AddNormal, Chip, GaussianClip, HardwareAware, ProgrammedArray, program

    rng = np.random.default_rng(0)
    digital = rpu.algorithms.DigitalSGD()
    matrix = rng.standard_normal((1000, 500)).astype(np.float32)  # a million devices
    array, normals = ProgrammedArray(matrix, Chip(), rng=0), np.empty(1_000_000, np.float32)
    times = iter(np.geomspace(1.0, 1e8, 1000))
    write, age, draw = medians(
        array.reprogram,
        lambda: array.weights(float(next(times))),
        lambda: np.random.default_rng(0).standard_normal(dtype=np.float32, out=normals),
        repeats=repeats,
    )
    rows = [
        row("a million devices, programmed", write * 1e3, "ms", write / draw, "NumPy normals", 3.0),
        row("a million devices, at another time", age * 1e3, "ms", age / 0.2, "0.2 s", 1.0),
    ]

    def perceptron(rule: Any) -> Any:
        sizes = zip((784, 256, 128), (256, 128, 10), strict=True)
        net = nn.Sequential(*(layer for a, b in sizes for layer in (nn.Linear(a, b, rule), nn.ReLU())))
        net.build(0)
        return net

    net, x = perceptron(digital), rng.random((10_000, 784)).astype(np.float32)
    on_chip = program(net, rng=0)
    at, plain, age = medians(
        lambda: on_chip.predict(x, float(next(times))),
        lambda: net.predict(x),
        lambda: [one.weights(float(next(times))) for one in on_chip.arrays],
        repeats=repeats,
    )
    rows.append(row("784-256-128-10 on a chip, at another time", at * 1e3, "ms", (at - age) / plain, "digital", 1.5))
    labels = rng.integers(0, 10, len(x))

    def trained(rule: Any) -> Callable[[], object]:
        trainer = nn.Trainer(perceptron(rule), lr=1e-4, rng=0, batch_size=64)
        return lambda: trainer.fit((x, labels), epochs=trainer.epoch + 1, progress=False)

    clipped = HardwareAware(AddNormal(0.06), GaussianClip(2.5))
    rules = {"noise": HardwareAware(AddNormal(0.06)), "noise and clip": clipped}
    *seconds, plain = medians(*map(trained, rules.values()), trained(digital), repeats=max(2, repeats // 3))
    for (name, _), noisy, goal in zip(rules.items(), seconds, (1.5, None), strict=True):
        rows.append(row(f"step with {name}, batch 64", noisy / len(x) * 1e6, "us/sample", noisy / plain, "digital", goal))
    return rows


def peer(repeats: int, size: int = 512, batch: int = 64) -> list[Row]:
    """AIHWKit, where it can be imported: the same update, one thread."""
    try:
        import torch
        from aihwkit.simulator.configs import SingleRPUConfig, SoftBoundsDevice
        from aihwkit.simulator.tiles import AnalogTile
    except ImportError:
        return []
    torch.set_num_threads(1)
    rpu.set_num_threads(1)
    rng = np.random.default_rng(0)
    x, d = (rng.uniform(-1, 1, (batch, size)).astype(np.float32) for _ in range(2))
    lr = 0.2 * 0.001 / 0.25
    array = rpu.CrossbarArray((size, size), SoftBounds(), rng=0)
    tile = AnalogTile(size, size, SingleRPUConfig(device=SoftBoundsDevice()))
    tile.set_learning_rate(lr)
    tx, td = torch.from_numpy(x), torch.from_numpy(d)
    ours, theirs = medians(lambda: array.update(x, d, lr), lambda: tile.update(tx, td), repeats=repeats)
    return [row("update against AIHWKit, 0.2 pulses", ours * 1e3, "ms", ours / theirs, "AIHWKit", 0.1)]


def wires(repeats: int) -> list[Row]:
    """Wire networks, one thread: factors and currents against SciPy's sparse solve (one call, which factors once, with all
    right-hand sides), and against badcrossbar if it is there."""
    from scipy.sparse.linalg import spsolve

    rng = np.random.default_rng(0)
    rpu.set_num_threads(1)
    rows = []
    for size in (64, 128, 256) if repeats < 5 else (64, 128, 256, 512):
        r, v = rng.uniform(10e3, 100e3, (size, size)), rng.uniform(0.0, 1.0, (64, size))
        network = rpu.wires.Network(1.0 / r, rpu.Wires(r_word=1.0, r_bit=1.0))
        g = network.conductances
        matrix, right = nodal_equations(g, 1.0, v)
        for vectors, goal in ((1, 1 / 200), (64, 1 / 30)):
            batch, b = v[:vectors], np.ascontiguousarray(right[:, :vectors])
            count = max(1, repeats * 64**2 // size**2)  # a sparse solve of 512 x 512 takes 10 s
            (theirs,) = medians(lambda m=matrix, b=b: spsolve(m, b), repeats=min(3, count))
            (ours,) = medians(lambda n=network, g=g, x=batch: (n.update(g), n.currents(x)), repeats=repeats)
            expected = spsolve(matrix, b).reshape(2, size, size, -1)[1, -1].T  # r is 1 ohm
            error = np.abs(network.currents(batch) / expected - 1.0).max()
            if not error < 1e-9:
                raise SystemExit(f"wires: currents differ by {error:.1e} at {size} x {size}")
            label = f"wires {size} x {size}, {vectors} vector{'s' * (vectors > 1)}"
            rows.append(row(label, ours * 1e3, "ms", ours / theirs, "scipy spsolve", goal))
            (alone,) = medians(lambda n=network, x=batch: n.currents(x), repeats=repeats)
            rows.append(row(f"  factors kept, {size}, {vectors}", alone * 1e3, "ms", alone / ours, "with factors"))
            rows += peer_wires(label, r, batch, ours)
    return rows


def nodal_equations(g: Any, r: float, v: Any) -> tuple[Any, Any]:
    """The sparse matrix of an array with segments of `r`, unknowns word nodes and then bit nodes, and its right-hand sides."""
    from scipy import sparse

    m, n = g.shape
    word = sparse.diags([2.0] * (n - 1) + [1.0]) - sparse.diags([1.0] * (n - 1), 1) - sparse.diags([1.0] * (n - 1), -1)
    bit = sparse.diags([1.0] + [2.0] * (m - 1)) - sparse.diags([1.0] * (m - 1), 1) - sparse.diags([1.0] * (m - 1), -1)
    device = sparse.diags(g.ravel())
    matrix = sparse.bmat(
        [
            [sparse.kron(sparse.eye(m), word) / r + device, -device],
            [-device, sparse.kron(bit, sparse.eye(n)) / r + device],
        ]
    ).tocsc()
    right = np.zeros((2, m, n, len(v)))
    right[0, :, 0] = v.T / r
    return matrix, right.reshape(-1, len(v))


def peer_wires(label: str, r: Any, v: Any, ours: float) -> list[Row]:
    """badcrossbar, where it can be imported: the same network."""
    try:
        import badcrossbar
    except ImportError:
        return []
    (theirs,) = medians(lambda: badcrossbar.compute(v.T, r, r_i=1.0), repeats=1)
    return [row(label, ours * 1e3, "ms", ours / theirs, "badcrossbar")]


def machine() -> dict[str, Any]:
    """Where and of what the figures are."""
    processor = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        processor = next((line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), "")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    ).stdout.strip()
    return {
        "commit": commit or None,
        "processor": processor,
        "kernels": active_kernel_set(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "version": rpu.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def draw_history(path: Path) -> Path:
    """Draw the ratio of every case against the runs recorded in HISTORY."""
    from matplotlib.figure import Figure

    runs = [json.loads(line) for line in HISTORY.read_text(encoding="utf-8").splitlines()] if HISTORY.exists() else []
    if not runs:
        raise SystemExit(f"{HISTORY.name} holds no runs; record one with --record")
    figure = Figure(figsize=(9, 6), layout="constrained")
    ax = figure.subplots()
    for case in dict.fromkeys(r["case"] for run in runs for r in run["rows"]):
        points = [(k, r["ratio"]) for k, run in enumerate(runs) for r in run["rows"] if r["case"] == case]
        ax.plot(*zip(*points, strict=True), "o-", markersize=3, label=case.strip())
    ax.set(yscale="log", ylabel="ratio to the yardstick", xticks=range(len(runs)))
    ax.set_xticklabels([f"{run['machine']['date']}\n{run['machine']['commit']}" for run in runs], fontsize=7)
    ax.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    with atomic_file(path) as file:
        figure.savefig(file, format=path.suffix[1:] or "png")
    return path


def threads(repeats: int) -> list[Row]:
    """Training as it is started, with nothing set, against one thread: a process each, and two of them at once."""
    code = (
        "import sys, time, numpy as np, rpusim as rpu\n"
        "from rpusim.reproduce.networks import lenet, perceptron\n"
        "rng, A, name, batch, n = np.random.default_rng(0), rpu.algorithms, sys.argv[1], int(sys.argv[2]), int(sys.argv[3])\n"
        "rule = A.DigitalSGD() if 'digital' in name else A.SGD(rpu.devices.ConstantStep())\n"
        "small = 'LeNet' in name\n"
        "x = rng.random((n, 1, 28, 28) if small else (n, 784), dtype=np.float32)\n"
        "net = (lenet if small else perceptron)(rule)\n"
        "trainer = rpu.nn.Trainer(net, lr=0.01, rng=0, batch_size=batch)\n"
        "times = []\n"
        "for epoch in range(4):\n"
        "    start = time.perf_counter()\n"
        "    trainer.fit((x, rng.integers(0, 10, n)), epochs=epoch + 1)\n"
        "    times.append(time.perf_counter() - start)\n"
        "print(sorted(times[1:])[1] / n * 1e6)\n"
    )
    free = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}

    def start(case: tuple[str, int, int], environment: dict[str, str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, case)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    rows = []
    for name, batch, n in (("MLP, SGD", 64, 6400), ("MLP, digital", 64, 6400), ("LeNet, SGD", 8, 400)):
        case = (name, batch, n if repeats > 3 else n // 10)
        one, none, alone, both = [], [], [], []
        for _ in range(max(1, repeats // 5)):
            for times, environment in ((one, free | {"OMP_NUM_THREADS": "1"}), (none, free)):
                times.append(float(start(case, environment).communicate()[0]))
            for times, environment in ((alone, free | {"OMP_NUM_THREADS": "1"}), (both, free)):
                pair = [start(case, environment) for _ in range(2)]
                times.append(max(float(process.communicate()[0]) for process in pair))
        single, default = statistics.median(one), statistics.median(none)
        rows.append(row(f"{name}, batch {batch}, nothing set", default, "us/sample", default / single, "1 thread", 1.0))
        single, default = statistics.median(alone), statistics.median(both)
        rows.append(row("  two processes at once", default, "us/sample", default / single, "1 thread each", 1.1))
    return rows


def _more(part: Callable[..., list[Row]]) -> Callable[[int], list[Row]]:
    measured: Callable[[int], list[Row]] = functools.partial(part, medians, row)
    return measured


PARTS: dict[str, Callable[[int], list[Row]]] = {
    part.__name__: part for part in (updates, models, sizes, reads, calls, transfers, wires, peer, networks, inference, threads)
} | {part.__name__: _more(part) for part in (benchmarks_more.batches, benchmarks_more.single, benchmarks_more.building)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  scripts/bench\n  scripts/bench --quick --json bench.json\n"
        "  scripts/bench --part networks\n  scripts/bench --history trend.png\n",
    )
    parser.add_argument("--quick", action="store_true", help="few repeats: shows that it runs, not how fast")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="run only this; may be repeated (all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--record", action="store_true", help=f"append them to {HISTORY.name}")
    parser.add_argument(
        "--history",
        type=Path,
        nargs="?",
        const=Path("bench-history.png"),
        metavar="FILE",
        help="draw the trend of the recorded runs instead",
    )
    args = parser.parse_args()
    if args.history:
        print(f"wrote {draw_history(args.history)}")
        return 0
    repeats = 2 if args.quick else 15
    where = machine() | ({"busy": found} if (found := benchmarks_more.busy()) else {})
    print(", ".join(f"{key} {value}" for key, value in where.items()))
    rows: list[Row] = []
    print(f"{'case':46} {'value':>10} {'unit':9} {'ratio':>7}  {'to':15} goal")
    for name in args.part or PARTS:
        for one in PARTS[name](repeats):
            show(one)
            rows.append(one)
    result = {"machine": where, "rows": rows}
    if args.json:
        with atomic_file(args.json) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
    if args.record and "busy" in where:
        print(f"{where['busy']}: not recorded, since ratios are not those of a quiet machine", file=sys.stderr)
    elif args.record:
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
    return 0


def show(one: Row) -> None:
    goal = "" if one["target"] is None else f"{one['target']:.2f} {'met' if one['ratio'] <= one['target'] else 'MISSED'}"
    print(
        f"{one['case']:46} {one['value']:10.3g} {one['unit']:9} {one['ratio']:7.3f}  {one['yardstick']:15} {goal}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
