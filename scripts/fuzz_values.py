"""What `fuzz.py` hands over: hostile values, valid ones by the names of arguments, and files that are damaged."""

from __future__ import annotations

import gzip
import json
import math
import random
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import rpusim as rpu

A, D, nn, T = rpu.algorithms, rpu.devices, rpu.nn, rpu.theory
SHAPE = (3, 4)


class Refuses:
    """An object that raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no array")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = object.__hash__


def deep(levels: int, kind: str) -> Any:
    value: Any = 1.0
    for _ in range(levels):
        value = {"type": "VectorCell", "devices": [value]} if kind == "dict" else [value]
    return value


def ones(r: random.Random, shape: tuple[int, ...] | None = None) -> np.ndarray:
    if shape is None:
        shape = tuple(r.choice((0, 1, 2, 3, 4, 5)) for _ in range(r.randrange(5)))
    return np.random.default_rng(r.getrandbits(32)).uniform(-1, 1, shape).astype(np.float32)


def odd_array(r: random.Random, like: Any = None) -> Any:
    """An array of some shape (often that of a valid one), with something wrong, or merely unusual."""
    like = ones(r) if not isinstance(like, np.ndarray) or r.random() < 0.3 else like
    a = np.array(like, dtype=like.dtype if like.dtype.kind in "iufb" else np.float32)
    where = tuple(r.randrange(n) for n in a.shape) if a.size else None
    kind = r.randrange(16)
    if kind < 5 and where is not None:
        bad = (math.nan, math.inf, -math.inf, 3e38, -1e30, 1e-45, 1e300)[r.randrange(7)]
        with np.errstate(all="ignore"):
            a = a.astype(np.float64 if abs(bad) > 3.4e38 else r.choice((np.float32, np.float64)))
            a[where] = bad
        return a
    if kind == 5:
        return np.ma.masked_array(a, np.ones(a.shape, bool) if r.random() < 0.5 else np.zeros(a.shape, bool))
    if kind == 6:
        kinds = (complex, object, str, bool, np.int8, np.uint64, np.float16, np.longdouble, "S3", "datetime64[s]")
        return a.astype(r.choice(kinds))
    if kind == 7:
        return a.astype(a.dtype.newbyteorder())
    if kind == 8:
        a.flags.writeable = False
        return a
    if kind == 9:
        return np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a
    if kind == 10:
        return a.T if r.random() < 0.5 else a[..., None]
    if kind == 11:
        return a.tolist()
    if kind == 12:
        return np.broadcast_to(np.float32(0.5), (r.choice((3, 10**6, 2**40)), *a.shape)[: r.randint(1, 3)])
    if kind == 13:
        return a * r.choice((0, 1e20, -1e38, 1e10))
    if kind == 14:
        return a[tuple(slice(0, r.randint(0, n)) for n in a.shape)]
    return iter(a) if a.ndim else a


FIXED: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 63, 64, 65, 10**6, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, 10**400,
    10**5000, -(2**31), -(2**63), 0.0, -0.0, 0.5, 1.0, 1.5, -1.0, 1e-30, 1e-45, 5e-324, 1e30, 1e38, 3.5e38, 1e300, math.nan,
    math.inf, -math.inf, 1j, Fraction(1, 3), Fraction(10**400, 3), "", "a", "nan", "1_0", "\u00b2", "exact", "pulses",
    "x" * 10**5, "\0", "\ud800", b"", b"\xff" * 10, bytearray(3), [], (), {}, set(), [[]], [1, [2, 3]], [[1.0, 2.0], [3.0]],
    [None], ["a"], [math.nan], [1e300], {"a": 1}, {1: 2}, {None: None}, {"type": "SoftBounds"}, {"type": 3}, {"type": ["a"]},
    object(), int, len, print, Refuses(), Refuses, np.float32(1), np.float64("nan"), np.int8(-1), np.uint64(2**64 - 1),
    np.bool_(True), np.array(3), np.array(0.5), np.array("a"), np.ma.masked, np.str_("a"), np.datetime64("2020"), np.zeros(0),
    np.zeros((0, 4)), np.zeros((3, 0)), np.zeros(SHAPE), np.zeros(SHAPE[::-1]), np.full(SHAPE, np.nan),
    np.random.default_rng(0), np.random.SeedSequence(0), slice(3), Ellipsis, NotImplemented, range(4), range(10**12),
    memoryview(b"abcd"), deep(50, "list"), deep(3000, "list"), deep(3000, "dict"), Path("/nonexistent"), Path("/"), "/dev/null",
    (3, 4), (4, 3), (10**6, 10**6), (2**31, 1), (-1, 4), (3,), (3, 4, 5), (1.0, 2.0), ("3", "4"), [0, 1, 2], [0, 10**9], [-1],
    [10**20], lambda *_: math.nan, lambda *_: None, lambda w: w, lambda w: np.zeros(3),
]  # fmt: skip


CELLS = ("", "nan", "1_0", "\u00b2", "1e999", "x" * 10**5, "9.9e37", "-1", "1,5", "\0", '"', "#", "inf", "0x10", "\u2212\u0031")


def hostile(r: random.Random, valid: Any = None) -> Any:
    """A value that most arguments do not allow; made from a valid one, or not."""
    kind = r.random()
    if kind < 0.35:
        return odd_array(r, valid)
    if kind < 0.4:
        return (k for k in range(3))
    if kind < 0.45 and isinstance(valid, dict):
        return mutated(r, valid)
    if kind < 0.5 and isinstance(valid, (int, float)) and not isinstance(valid, bool):
        return r.choice((-valid, valid * 10**9, float(valid) * 1e20, str(valid), [valid], np.array([valid]), np.float32(valid)))
    if kind < 0.6:
        return r.choice((device, rule, layer, specification))(r)
    return r.choice(FIXED)


def mutated(r: random.Random, data: Any) -> Any:
    """A copy of nested dicts and lists with one thing in it changed, taken away, added or called otherwise."""
    if isinstance(data, dict) and data and r.random() < 0.85:
        key = r.choice(list(data))
        out = dict(data)
        if isinstance(data[key], (dict, list)) and r.random() < 0.6:
            out[key] = mutated(r, data[key])
            return out
        kind = r.randrange(4)
        if kind == 0:
            del out[key]
        elif kind == 1:
            out[r.choice(("x", 3, None, "", (1, 2)))] = r.choice(FIXED)
        else:
            out[key] = odd_array(r, data[key]) if isinstance(data[key], np.ndarray) and r.random() < 0.7 else r.choice(FIXED)
        return out
    if isinstance(data, list) and data and r.random() < 0.85:
        k = r.randrange(len(data))
        return data[:k] + r.choice(([], [r.choice(FIXED)], [mutated(r, data[k])], [data[k]] * 2)) + data[k + 1 :]
    return r.choice(FIXED)


# ---- valid things ---------------------------------------------------------------------------------------------------


def device(r: random.Random) -> Any:
    soft = D.SoftBounds(dw_min=0.01, dw_min_std=0.3)
    return r.choice((
        soft, D.ConstantStep(dw_min=0.01), D.LinearStep(dw_min=0.01), D.ExpStep(dw_min=0.01), D.PowStep(dw_min=0.01), D.Ideal(),
        D.SoftBoundsReference(dw_min=0.01), soft.replace(write_noise_std=0.5, lifetime=100.0, diffusion=0.01, reset_std=0.1),
        soft.replace(dw_min_dtod=0.3, w_max_dtod=0.3, half_select=0.001, endurance=1e5),
    ))  # fmt: skip


def rule(r: random.Random) -> Any:
    d = D.SoftBounds(dw_min=0.01, dw_min_std=0.3)
    return r.choice((
        A.SGD(d), A.DigitalSGD(), A.TikiTaka(d), A.TikiTakaV2(d), A.SHD(d), A.AGAD(d), A.ChoppedTikiTaka(d), A.RIDER(d),
        A.ERIDER(d), A.ResidualLearning(d), A.LowRankTikiTaka(d, rank=2), A.MixedPrecision(d), A.EaPU(d), A.Manhattan(d),
        A.SGD(D.VectorCell(gammas=(1.0, 0.5))), A.SGD(D.ReferenceCell(d)), A.SGD(D.OneSidedCell(d)),
    ))  # fmt: skip


def layer(r: random.Random) -> Any:
    one = A.DigitalSGD() if r.random() < 0.5 else A.SGD(D.SoftBounds(dw_min=0.01))
    full = nn.Mapping(digital_bias=True, input_range=1.0, learn_input_range=True, weight_scaling=0.5, learn_scale=True)
    return r.choice((
        lambda: nn.Linear(4, 3, one), lambda: nn.Linear(4, 3, one, mapping=full), lambda: nn.ReLU(), lambda: nn.Sigmoid(),
        lambda: nn.Tanh(), lambda: nn.BatchNorm(4), lambda: nn.Dropout(0.5), lambda: nn.Flatten(), lambda: nn.Embedding(5, 4),
        lambda: nn.OneHot(4), lambda: nn.Conv2d(1, 2, 2, one), lambda: nn.Conv1d(1, 2, 2, one), lambda: nn.MaxPool2d(2),
        lambda: nn.AvgPool2d(2), lambda: nn.MaxPool1d(2), lambda: nn.AvgPool1d(2), lambda: nn.LSTM(4, 3, one, stateful=True),
        lambda: nn.GRU(4, 3, one), lambda: nn.RNN(4, 3, one), lambda: nn.LastStep(), lambda: nn.Residual(nn.Linear(4, 4, one)),
        lambda: nn.Concatenate(nn.Linear(4, 2, one), None), lambda: nn.Sequential(nn.BatchNorm(4), nn.Linear(4, 3, one)),
    ))()  # fmt: skip


def inputs_of(it: Any) -> np.ndarray:
    """Valid inputs of a layer."""
    x = np.linspace(-0.9, 0.9, 16, dtype=np.float32)
    if it.takes_indices:
        return np.array([[0, 1], [2, 3]])
    if isinstance(it, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)) and not isinstance(it, (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d)):
        return x.reshape(1, 1, 4, 4)
    if isinstance(it, (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d)):
        return x.reshape(2, 1, 8)
    if isinstance(it, (nn.RNN, nn.LSTM, nn.GRU, nn.LastStep)):
        return x.reshape(2, 2, 4)
    return x.reshape(4, 4)


def specification(r: random.Random) -> Any:
    return r.choice((
        rpu.ADC(), rpu.DAC(), rpu.Periphery(), rpu.PulseScheme(), rpu.Technology(), rpu.Wires(r_word=1.0, r_bit=1.0), device(r),
        rpu.ConductanceScale(g_min=1e-6, g_max=1e-4), rule(r), nn.Adam(), nn.Momentum(0.9), nn.Mapping(),
        T.Regression(target=0.3, noise=0.2), D.VectorCell(gammas=(1.0, 0.5)), D.Drift(),
    ))  # fmt: skip


def ramps() -> np.ndarray:
    return 1e-6 * (1 + np.linspace(0, 1, 20)) + 1e-9 * np.arange(20) % 3


def network() -> Any:
    first = nn.Linear(4, 5, A.SGD(D.SoftBounds(dw_min=0.01)))
    return nn.Sequential(first, nn.BatchNorm(5), nn.ReLU(), nn.Linear(5, 3, A.DigitalSGD()))


def solution() -> Any:
    return rpu.wires.Network(np.full((3, 4), 1e-5), rpu.Wires(r_word=1.0, r_bit=1.0)).solution(np.full(3, 0.1))


#: by the name of an argument; what is not here has its default, or anything
VALID: dict[str, Callable[[random.Random], Any]] = {
    "shape": lambda r: SHAPE, "device": device, "rule": rule, "algorithm": rule, "lr": lambda r: 0.01,
    "rng": lambda r: r.randrange(9), "forward": lambda r: rpu.Periphery(), "backward": lambda r: rpu.Periphery(),
    "pulses": lambda r: rpu.PulseScheme(), "cell": lambda r: D.VectorCell(gammas=(1.0, 0.5)),
    "main": lambda r: rpu.CrossbarArray(SHAPE, D.SoftBounds(), rng=0),
    "reference": lambda r: rpu.CrossbarArray(SHAPE, D.SoftBounds(), rng=1),
    "array": lambda r: rpu.CrossbarArray(SHAPE, device(r)), "weights": lambda r: ones(r, SHAPE) / 4,
    "counts": lambda r: r.choice((3, np.ones(SHAPE, int))), "columns": lambda r: [0, 1], "in_features": lambda r: 4,
    "out_features": lambda r: 3, "inputs": lambda r: 4, "outputs": lambda r: 3, "features": lambda r: 4,
    "in_channels": lambda r: 1, "out_channels": lambda r: 2, "kernel": lambda r: 2, "size": lambda r: 2, "n": lambda r: 5,
    "p": lambda r: 0.5, "layers": lambda r: layer(r), "body": lambda r: nn.Linear(4, 4, A.DigitalSGD()),
    "net": lambda r: network(), "tokens": lambda r: np.arange(40) % 5, "length": lambda r: 3, "batch_size": lambda r: 2,
    "steps": lambda r: 30, "epochs": lambda r: 1, "train": lambda r: (ones(r, (6, 4)), np.arange(6) % 3),
    "samples": lambda r: (ones(r, (6, 4)), np.arange(6) % 3), "progress": lambda r: False,
    "outputs_": lambda r: ones(r, (2, 3)), "labels": lambda r: [0, 1], "targets": lambda r: [0.1, 0.2],
    "conductances": lambda r: np.full(SHAPE, 1e-5), "wires": lambda r: rpu.Wires(r_word=1.0, r_bit=1.0),
    "v": lambda r: np.full(3, 0.1), "voltages": lambda r: np.full(3, 0.1), "resistances": lambda r: np.full(SHAPE, 1e5),
    "solution": lambda r: solution(), "ideal": lambda r: np.full(4, 1e-6), "value": lambda r: np.zeros(3),
    "data": lambda r: specification(r).to_dict(), "text": lambda r: specification(r).to_json(),
    "regression": lambda r: T.Regression(target=0.3, noise=0.2), "fast": device, "slow": device, "fast_lr": lambda r: 0.1,
    "slow_lr": lambda r: 0.01, "transfer_every": lambda r: 2.0, "h": lambda r: 1.0, "kappa": lambda r: 0.1, "m": lambda r: 0.5,
    "target": lambda r: 0.3, "symmetry_point": lambda r: 0.0, "a": lambda r: 0.1, "c": lambda r: 0.2, "w": lambda r: 0.1,
    "n_pulses": lambda r: 10, "n_devices": lambda r: 3, "pulses_up": lambda r: [ramps()],
    "pulses_down": lambda r: [ramps()[::-1]], "model": lambda r: "SoftBounds",
    "scale": lambda r: rpu.ConductanceScale(g_min=1e-6, g_max=1e-4), "t": lambda r: np.linspace(0, 10, 200),
    "centre": lambda r: 0.0, "adc": lambda r: rpu.ADC(), "points": lambda r: 20, "histories": lambda r: {"a": nn.History()},
    "name": lambda r: "sgd", "delta_t": lambda r: 1.0, "algorithms": lambda r: [A.DigitalSGD()],
    "loss": lambda r: "cross_entropy", "workers": lambda r: 1, "jobs": lambda r: [{"algorithm": A.DigitalSGD(), "steps": 30}],
    "q_up": lambda r: lambda w: 1.0 - 0.5 * w, "q_down": lambda r: lambda w: 1.0 + 0.5 * w,
    "devices": lambda r: (D.SoftBounds(),) * 2, "sizes": lambda r: (1.0, 0.5), "probability": lambda r: 0.5, "branches": layer,
    "stages": lambda r: 2, "time": lambda r: np.geomspace(1, 1e4, 12), "cycles": lambda r: np.geomspace(1, 1e4, 12),
    "values": lambda r: 1e-6 * np.geomspace(1, 1e4, 12) ** -0.05, "currents": lambda r: np.full(3, 1e-6),
    "up": lambda r: np.stack([np.arange(1.0, 9.0), np.full(8, 0.1)], 1),
    "down": lambda r: np.stack([np.arange(1.0, 9.0), np.full(8, -0.1)], 1), "NL_LTP": lambda r: 1.0, "NL_LTD": lambda r: -1.0,
    "maxNumLevelLTP": lambda r: 64, "low": lambda r: np.zeros(12), "signal": lambda r: ones(r, (400,)),
}  # fmt: skip

# ---- files ----------------------------------------------------------------------------------------------------------


#: other measurements: names of columns, and rows
TABLES: dict[str, Callable[[random.Random], tuple[tuple[str, ...], list[tuple[Any, ...]]]]] = {
    "series": lambda r: (
        r.choice((("time (s)", "G (uS)", "state"), ("cycle", "G_on (uS)", "G_off"), ("V (V)", "I (uA)", "device"),
                  ("t (min)", "R (kohm)", "a"))),
        [(2.0**k, 5 + 2.0 ** -(k / r.choice((3, 30))), r.choice((1, 1, 2))) for k in range(r.randrange(1, 24))],
    ),
    "sweeps": lambda r: (("V (V)", "I (uA)"), [(0.05 * k - 0.4, math.sinh(0.1 * k - 0.8)) for k in range(r.randrange(1, 24))]),
    "steps": lambda r: (
        r.choice((("G (uS)", "dG (nS)", "type"), ("G before", "G after", "type"), ("G", "p5", "p50"), ("G (uS)", "CDF", "dG"),
                  ("1st Row = Gbins", "2nd Row = CDF", "x"))),
        [(k // 2, k * 0.03, r.choice(("up", "down", 0.1))) for k in range(1, r.randrange(2, 40))],
    ),
    "labels": lambda r: (
        ("name", "value"),
        [("NL_LTP", r.choice((0, 1, -9, 2.4))), ("NL_LTD", -1), ("maxNumLevelLTP", 64), ("Gmax (uS)", r.choice((1, 0, 1e-9))),
         ("onoffratio", r.choice((10, 1, 0.5))), ("c2c", r.choice(("0.01", "3%", 1e-9, 5))), ("d2d", r.choice((0, 0.1)))],
    ),
}  # fmt: skip


def file_of(r: random.Random, folder: Path, kind: str) -> Path:
    """A file of a kind, often damaged."""
    path = folder / f"{kind}-{r.randrange(8)}{'.csv' if kind == 'ramps' else ''}"
    if kind == "checkpoint":
        rpu.checkpoint.save(path, {"a": ones(r, (3, 4)), "b": [1, "x", None], "c": {"d": np.float32(1)}})
    elif kind == "network":
        net = network()
        net.build(0)
        net.save(path)
    elif kind == "idx":
        data = b"\0\0" + bytes([r.choice((8, 9, 11, 12, 13, 14)), 2]) + struct.pack(">II", 2, 3) + bytes(48)
        path.write_bytes(gzip.compress(data) if r.random() < 0.5 else data)
    elif kind == "ramps":
        cells = [[str(k), repr(float(g))] for k, g in enumerate(np.concatenate([ramps(), ramps()[::-1]]))]
        for _ in range(r.randrange(4)):
            cells[r.randrange(len(cells))][r.randrange(2)] = r.choice(CELLS)
        lines = [r.choice((",", ";", "\t", " ")).join(row) for row in cells]
        lines.insert(0, r.choice(("pulse,G (S)", "pulse;I (A)", "# comment", "", "G\nS")))
        path.write_bytes(r.choice(("\n", "\r\n", "\r")).join(lines).encode(r.choice(("utf-8", "utf-16", "cp1252")), "replace"))
    elif kind in TABLES or kind == "any":
        names, rows = TABLES[r.choice(list(TABLES)) if kind == "any" else kind](r)
        cells = [[*map(str, row)] for row in rows]
        for _ in range(r.randrange(4)):
            cells[r.randrange(len(cells))][r.randrange(len(cells[0]))] = r.choice(CELLS)
        path = path.with_name(f"{path.name}.csv")
        delimiter = r.choice((",", ",", ";", "\t"))
        path.write_bytes("\n".join(delimiter.join(row) for row in [[*names], *cells]).encode("utf-8", "replace"))
    elif kind == "json":
        path.write_text(json.dumps(specification(r).to_dict()))
    else:
        path.write_bytes(bytes(range(97, 120)))
    raw = bytearray(path.read_bytes())
    damage = r.randrange(6)
    if damage < 3 and raw:
        for _ in range(r.randint(1, 8)):
            raw[r.randrange(len(raw))] = r.choice((0, 1, 40, 44, 57, 127, 128, 255, r.randrange(256)))
    elif damage == 3:
        raw = raw[: r.randrange(len(raw) + 1)]
    elif damage == 4:
        k = r.randrange(len(raw) + 1)
        raw[k:k] = r.choice((b"\0" * 9, b"9" * 30, b"\xff" * 5, b"[" * 5000, bytes(raw[:50])))
    path.write_bytes(raw)
    return path
