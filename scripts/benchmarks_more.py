"""More parts of the benchmarks: digital training beside PyTorch where it is installed, and what is made or read once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import rpusim as rpu
from rpusim.devices import SoftBounds
from rpusim.reproduce.networks import lenet, lstm, perceptron

Row = dict[str, Any]
Medians = Callable[..., list[float]]
Make = Callable[..., Row]


def batches(medians: Medians, row: Make, repeats: int) -> list[Row]:
    """Digital training by batches, one thread, of random data; beside PyTorch's where it can be imported."""
    rng, rule = np.random.default_rng(0), rpu.algorithms.DigitalSGD()
    few = repeats < 5
    cases: list[tuple[str, Any, Any, int, int]] = [
        ("MLP", perceptron, (784,), 64, 640 if few else 6400),
        ("LeNet", lenet, (1, 28, 28), 8, 64 if few else 640),
        ("LeNet", lenet, (1, 28, 28), 64, 64 if few else 640),
        ("LSTM 2 x 64", lambda rule: lstm(rule, 64), (100,), 1, 4 if few else 20),
    ]
    rows, rates = [], {}
    for name, make, shape, batch, n in cases:
        if name.startswith("LSTM"):
            x, y = rng.integers(0, 87, (n, *shape)), rng.integers(0, 87, (n, *shape))
        else:
            x, y = rng.random((n, *shape), dtype=np.float32), rng.integers(0, 10, n)
        trainer = rpu.nn.Trainer(make(rule), lr=0.001, rng=0, batch_size=batch)
        done = [0]

        def ours(trainer: Any = trainer, data: Any = (x, y), done: Any = done) -> None:
            done[0] += 1
            trainer.fit(data, epochs=done[0], progress=False)

        other = torch_training(name, x, y, batch)
        seconds = medians(*((ours,) if other is None else (ours, other)), repeats=max(2, repeats // 3))
        rates[name, batch] = seconds[0] / n
        if other is None:
            first = rates[name, min(b for a, b in rates if a == name)]
            rows.append(
                row(f"{name}, digital, batch {batch}", seconds[0] / n * 1e6, "us/sample", seconds[0] / n / first, "first")
            )
        else:
            ratio = seconds[0] / seconds[1]
            rows.append(row(f"{name}, digital, batch {batch}", seconds[0] / n * 1e6, "us/sample", ratio, "PyTorch", 0.8))
    return rows


def torch_training(name: str, x: Any, y: Any, batch: int) -> Callable[[], None] | None:
    """An epoch of the same network in PyTorch, plain SGD, one thread; None where it is not there."""
    try:
        import torch
        from torch import nn
    except ImportError:
        return None
    torch.set_num_threads(1)

    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells, self.out = nn.LSTM(87, 64, 2, batch_first=True), nn.Linear(64, 87)

        def forward(self, x: Any) -> Any:
            return self.out(self.cells(nn.functional.one_hot(x, 87).float())[0]).flatten(0, 1)

    nets: dict[str, Callable[[], Any]] = {
        "MLP": lambda: nn.Sequential(
            nn.Linear(784, 256), nn.Sigmoid(), nn.Linear(256, 128), nn.Sigmoid(), nn.Linear(128, 10)
        ),
        "LeNet": lambda: nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(512, 128), nn.Tanh(), nn.Linear(128, 10),
        ),
        "LSTM 2 x 64": Text,
    }  # fmt: skip
    net = nets[name]()
    optimizer, loss = torch.optim.SGD(net.parameters(), lr=0.001), nn.CrossEntropyLoss(reduction="sum")
    tx, ty = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y))

    def epoch() -> None:
        order = torch.randperm(len(tx))
        for start in range(0, len(tx), batch):
            rows = order[start : start + batch]
            optimizer.zero_grad()
            loss(net(tx[rows]), ty[rows].flatten()).backward()
            optimizer.step()

    return epoch


def single(medians: Medians, row: Make, repeats: int, size: int = 512) -> list[Row]:
    """One vector per call: reads with voltage drops and noise of devices, inputs of float64, and transfers."""
    rng = np.random.default_rng(0)
    w = 0.01 * rng.standard_normal((size, size)).astype(np.float32)
    x, y = rng.standard_normal(size).astype(np.float32), np.empty(size, np.float32)
    rows = []
    plain = rpu.Periphery()
    for name, periphery in {
        "as it is": plain,
        "IR drop": plain.replace(ir_drop=0.1),
        "square-root noise": plain.replace(read_noise=0.01, read_noise_law="sqrt"),
    }.items():
        array = rpu.CrossbarArray((size, size), SoftBounds(), forward=periphery, rng=0)
        array.program(w)
        ours, product = medians(
            lambda array=array: [array.forward(x, y) for _ in range(20)], lambda: [w @ x for _ in range(20)], repeats=repeats
        )
        rows.append(row(f"read of a vector, {name}", ours / 20 * 1e6, "us", ours / product, "matmul"))
    small, wide = rpu.CrossbarArray((16, 16), SoftBounds(), rng=0), rng.standard_normal(16)
    narrow = wide.astype(np.float32)
    double, single_ = medians(
        lambda: [small.forward(wide) for _ in range(500)], lambda: [small.forward(narrow) for _ in range(500)], repeats=repeats
    )
    rows.append(row("read of float64, 16 x 16", double / 500 * 1e6, "us", double / single_, "of float32", 2.0))
    device, d = SoftBounds(), rng.uniform(-1, 1, (64, size)).astype(np.float32)
    inputs, lr = rng.uniform(-1, 1, (64, size)).astype(np.float32), 0.2 * SoftBounds().dw_min / 0.25
    for name in ("shd", "ttv1", "ttv2", "agad"):
        tile = rpu.algorithms.named.get(name, device).build((size, size), 0)
        one, all_ = medians(
            lambda tile=tile: [tile.update(inputs[k], d[k], lr) for k in range(64)],
            lambda tile=tile: tile.update(inputs, d, lr),
            repeats=repeats,
        )
        rows.append(row(f"{name}, one vector per call", one / 64 / size**2 * 1e9, "ns/device", one / all_, "64 per call"))
    return rows


def building(medians: Medians, row: Make, repeats: int) -> list[Row]:
    """Arrays that are made, with the memory it takes; solutions of networks beside their solve; one thread."""
    rpu.set_num_threads(1)
    size = 1024 if repeats < 5 else 4096
    normals = np.empty(size * size, np.float32)
    build, draw = medians(
        lambda: rpu.CrossbarArray((size, size), SoftBounds(), rng=0),
        lambda: np.random.default_rng(0).standard_normal(dtype=np.float32, out=normals),
        repeats=max(2, repeats // 3),
    )
    rows = [row(f"array of {size} x {size}, made", build, "s", build / draw, "NumPy normals")]
    code = (
        "import rpusim as rpu\n"
        "peak = lambda: 1024 * int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "rpu.CrossbarArray((8, 8), rpu.devices.SoftBounds(), rng=0); before = peak()\n"
        "array = rpu.CrossbarArray((4096, 4096), rpu.devices.SoftBounds(), rng=0); print((peak() - before) / 4096**2)"
    )
    if os.path.exists("/proc/self/status"):
        command = [sys.executable, "-c", code]
        found = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        rows.append(row("  bytes per device at the peak, 4096 x 4096", found, "bytes", found / 20.0, "kept", 1.2))
    rng, n = np.random.default_rng(0), 256
    r, v = rng.uniform(10e3, 100e3, (n, n)), rng.uniform(0.0, 0.2, (64, n))
    network = rpu.wires.Network(1.0 / r, rpu.Wires(r_word=1.0, r_bit=1.0, tolerance=1e-13))  # as `solve_network` has it
    core, word, bit, nodes = network._core, v, np.zeros((64, n)), np.empty((2, 64, n, n))
    whole, solve = medians(
        lambda: rpu.solve_network(v, r, r_word=1.0, r_bit=1.0),
        lambda: core.py_solution(word, bit, *nodes),
        repeats=repeats,
    )
    rows.append(row("solve_network 256 x 256, 64 vectors", whole * 1e3, "ms", whole / solve, "its solve", 1.3))
    return rows


def busy() -> str:
    """Say that the machine does other work, which takes from what is measured; "" where it does not."""
    start, used = time.perf_counter(), time.process_time()
    total = 0
    while time.perf_counter() - start < 0.5:
        total += 1
    share = (time.process_time() - used) / (time.perf_counter() - start)
    others = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if share < 0.95 or others > 0.5 * (os.cpu_count() or 1) + 0.5:
        return f"busy: {1.0 - share:.0%} of a processor's time went elsewhere, load {others:.1f}"
    return ""
