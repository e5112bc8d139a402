"""Throws hostile values at everything public, and reports what is not refused as it should be.

Every call has one number, from which all in it follows: what is called, which of its arguments are hostile (found from its
signature), and with what. It may return, or raise TypeError or ValueError; OSError where a path is meant, KeyError of a
mapping, RuntimeError out of turn. Findings are other exceptions, crashes, calls that take more than 10 s and do not hear
Ctrl-C then, and states that a refused call changed::

    python scripts/fuzz.py --n 100000 --seed 0          # calls 0 to 99999
    python scripts/fuzz.py --seed 4711 --n 1 --show     # this one again, with what was called
    python scripts/fuzz.py --only 'CrossbarArray|fit'   # some entries

It is for Linux. Ctrl-C ends it with what was found so far.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import inspect
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_values as values
import numpy as np

import rpusim as rpu

LIMIT = 10  # seconds of a call
MEMORY = 1 << 31  # that sizes are held against
ROOMS = (
    "devices", "algorithms", "nn", "inference", "theory", "fitting", "wires", "plotting", "experiments", "applications",
)  # fmt: skip
#: what is left out: bases, what downloads, what is a result and checks nothing, and what changes the process
SKIPPED = set("Algorithm Device PulsedDevice UnitCell Optimizer Layer Tile ConvergenceError named presets style save".split())
#: methods that are for who writes a device model, a layer or a pipeline, and take what rpusim gives them
WITHIN = set("steps_of bounds_of symmetry_point_of draw_parameters bring_back save restore checked_state".split())
OUT_OF_TURN = re.compile("build|backward|forward|in the middle|converge|in flight|before")


@dataclass
class Call:
    """What is called, with the arguments that it would take, and what may have a state."""

    function: Callable[..., Any]
    valid: dict[str, Any]
    subject: Any = None
    files: str = ""
    attribute: str = ""


@dataclass(frozen=True)
class Entry:
    name: str
    make: Callable[[random.Random], Call]


class Interrupted(BaseException):
    """A call that takes long was asked to stop."""


# ---- what is called -------------------------------------------------------------------------------------------------


def arguments_of(function: Any) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return {}
    return {name: p for name, p in signature.parameters.items() if name not in ("self", "ax", "workers")}


def valid_for(function: Any, r: random.Random, own: dict[str, Any] | None = None) -> dict[str, Any]:
    """Arguments that a function would take, as far as they are known."""
    out = {}
    for name, argument in arguments_of(function).items():
        if own and name in own:
            out[name] = own[name]
        elif argument.default is argument.empty and argument.kind != argument.VAR_KEYWORD:
            out[name] = values.VALID[name](r) if name in values.VALID else r.choice((0.5, 1, 2))
        elif name in ("progress", "steps", "epochs") or r.random() < 0.1 and name in values.VALID:
            out[name] = values.VALID[name](r)
    return out


def public() -> Iterator[tuple[str, Any]]:
    for name in rpu.__all__:
        thing = getattr(rpu, name)
        if callable(thing):
            yield name, thing
    for room in ROOMS:
        module = getattr(rpu, room)
        for name in getattr(module, "__all__", ()):
            if name not in SKIPPED and callable(getattr(module, name)):
                yield f"{room}.{name}", getattr(module, name)
    for name in ("demo_device", "demo_algorithm", "regression", "sweep", "regressions", "oscillation_period"):
        yield f"experiments.{name}", getattr(rpu.experiments, name)
    for name in rpu.devices.presets.__all__:
        yield f"presets.{name}", getattr(rpu.devices.presets, name)


def subjects(r: random.Random) -> dict[str, Callable[[], Any]]:
    """Things with methods, and how they are made."""
    v, D = values, rpu.devices
    soft, seed = D.SoftBounds(dw_min=0.01, dw_min_std=0.3), r.randrange(4)

    cells = (D.VectorCell(gammas=(1.0, 0.5)), D.OneSidedCell(soft), D.ReferenceCell(soft))
    spread = rpu.Periphery(adc=rpu.ADC(gain_spread=0.1))

    def built(layer: Any) -> Any:
        layer.build(rng=0)
        return layer

    def pair() -> Any:
        return rpu.DifferentialPair(rpu.CrossbarArray(v.SHAPE, soft, rng=0), rpu.CrossbarArray(v.SHAPE, soft, rng=1))

    return {
        "array": lambda: rpu.CrossbarArray(v.SHAPE, v.device(r), rng=seed, count_pulses=seed == 0),
        "cells": lambda: rpu.CellArray(v.SHAPE, r.choice(cells)),
        "pair": pair, "tile": lambda: v.rule(r).build(v.SHAPE, 0), "layer": lambda: built(v.layer(r)),
        "net": lambda: built(v.network()), "sliced": lambda: rpu.SlicedArray(v.SHAPE, D.SoftBounds(), w_max=0.5),
        "trainer": lambda: rpu.nn.Trainer(v.network(), rng=0),
        "network": lambda: rpu.wires.Network(np.full(v.SHAPE, 1e-5), rpu.Wires(r_word=1.0, r_bit=1.0)),
        "parameters": lambda: rpu.CrossbarArray(v.SHAPE, v.device(r), rng=0).parameters, "device": lambda: v.device(r),
        "read_parameters": lambda: rpu.CrossbarArray(v.SHAPE, soft, forward=spread).forward_parameters,
        "scale": lambda: rpu.ConductanceScale(g_min=1e-6, g_max=1e-4), "parameter": lambda: rpu.nn.Parameter(np.zeros(3)),
    }  # fmt: skip


def arguments_for(it: Any, method: str) -> dict[str, Any]:
    """Valid arguments that depend on what a method belongs to; a layer is brought to where it can take them."""
    if isinstance(it, rpu.nn.Layer):
        x = values.inputs_of(it)
        if method == "forward":
            return {"x": x}
        y = it.forward(x) if method in ("backward", "update") else None
        if method == "update" and y is not None:
            it.backward(np.ones_like(y))
        return {} if y is None else {"d": np.ones_like(y)}
    shape = getattr(it, "shape", values.SHAPE)
    batch = len(method) % 2  # vectors, or batches of them
    x, d = np.full((2, shape[1]), 0.5, np.float32), np.full((2, shape[0]), 0.25, np.float32)
    return {"x": x if batch else x[0], "d": d if batch else d[0]}


def method_call(kind: str, r: random.Random) -> Call:
    it = subjects(r)[kind]()
    if kind.endswith("parameters"):
        name = r.choice([*it, "bogus"]) if len(it) else "bogus"
        return Call(it.__setitem__, {"name": name, "value": 0.5}, it._array)
    names = [n for n in dir(type(it)) if not n.startswith("_") and inspect.isfunction(getattr(type(it), n, None))]
    weighty = [n for n in ("forward", "backward", "update", "load_state_dict", "program", "fit", "evaluate") if n in names]
    method = r.choice(weighty) if weighty and r.random() < 0.6 else r.choice([n for n in names if n not in WITHIN])
    own = arguments_for(it, method)
    if method in ("load_state_dict", "checked_state") and hasattr(it, "state_dict"):
        own["state"] = it.state_dict()
    bound = getattr(it, method)
    return Call(bound, valid_for(bound, r, own), it)


def read_steps(path: Any, bins: Any = None, g_min: Any = None, g_max: Any = None, skip_rows: Any = 0) -> Any:
    return rpu.fitting.read_steps(path, bins=bins, g_min=g_min, g_max=g_max, skip_rows=skip_rows)


def fit_file(path: Any) -> Any:
    """What a file holds, fitted, printed, and to JSON and back."""
    fitting = rpu.fitting
    kind = fitting.kind_of(path)[0]
    if kind == "iv":
        found: Any = fitting.fit_sweeps(fitting.read_sweeps(path))
    elif kind in ("steps", "neurosim"):
        found = fitting.read_steps(path) if kind == "steps" else fitting.read_neurosim(path)
    else:
        series = fitting.read_series(path)
        found = fitting.fit_retention(series) if series.over == "time" else fitting.fit_endurance(series)
    return str(found), type(found).from_json(found.to_json())


def entries() -> list[Entry]:
    out = []
    for name, thing in public():
        out.append(Entry(name, lambda r, thing=thing: Call(thing, valid_for(thing, r))))
    for kind in subjects(random.Random(0)):
        out += [Entry(f"methods of {kind}", lambda r, kind=kind: method_call(kind, r))] * (16 if kind in WEIGHTY else 4)
    readers: dict[str, tuple[Callable[..., Any], str]] = {
        "checkpoint.load": (rpu.checkpoint.load, "checkpoint"), "nn.load": (rpu.nn.load, "network"),
        "datasets.read_idx": (rpu.datasets.read_idx, "idx"), "datasets.cifar10": (rpu.datasets.cifar10, "idx"),
        "datasets.text": (rpu.datasets.text, "text"), "fitting.read_ramps": (rpu.fitting.read_ramps, "ramps"),
        "fitting.read_series": (rpu.fitting.read_series, "series"), "fitting.read_sweeps": (rpu.fitting.read_sweeps, "sweeps"),
        "fitting.read_steps": (read_steps, "steps"), "fitting.read_neurosim": (rpu.fitting.read_neurosim, "labels"),
        "fitting.kind_of": (rpu.fitting.kind_of, "steps"), "fitting.fit_files": (fit_file, "any"),
    }  # fmt: skip
    for name, (function, kind) in readers.items():
        out += [Entry(name, lambda r, f=function, k=kind: Call(f, valid_for(f, r), files=k))] * 6
    out += [Entry("from_dict", lambda r: Call(rpu.from_dict, {"data": values.specification(r).to_dict()}))] * 6
    out += [Entry("datasets.mnist", lambda r: Call(rpu.datasets.mnist, {"data_dir": "/nonexistent"}))]
    out += [Entry("datasets.mfcc", lambda r: Call(rpu.datasets.mfcc, valid_for(rpu.datasets.mfcc, r)))] * 2
    saved = {"path": "/dev/null/x", "state": {"a": {"b": [1.0]}}}
    out += [Entry("checkpoint.save", lambda r: Call(rpu.checkpoint.save, saved))]
    return out


WEIGHTY = {"array", "cells", "tile", "layer", "net"}


# ---- one call -------------------------------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and (a == b or a != a and b != b)


def state_of(it: Any) -> Any:
    if not hasattr(it, "state_dict"):
        return None
    state = it.state_dict()
    return {**state, "weights now": it.weights} if isinstance(getattr(it, "weights", None), np.ndarray) else state


def spoilt(call: Call, r: random.Random, folder: Path) -> dict[str, Any]:
    """The arguments of a call, one or two of them hostile."""
    given = dict(call.valid)
    names = list(arguments_of(call.function)) or list(given)
    if call.files:
        given[next(iter(names))] = values.file_of(r, folder, call.files) if r.random() < 0.8 else values.hostile(r)
        names = names[1:] if r.random() < 0.3 else []
    for name in r.sample(names, min(len(names), 1 if r.random() < 0.7 else 2)):
        given[name] = values.hostile(r, given.get(name))
        if isinstance(given[name], (dict, list)) and name in ("state", "data") and r.random() < 0.9:
            given[name] = values.mutated(r, call.valid.get(name))
    return given


def bound(call: Call, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    positional, named = [], {}
    parameters = arguments_of(call.function)
    for name, value in given.items():
        kind = parameters[name].kind if name in parameters else None
        if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL) or kind is None:
            positional.append(value)
        elif kind is not inspect.Parameter.VAR_KEYWORD:
            named[name] = value
    return positional, named


def attempt(entry: Entry, number: int, folder: Path, show: bool) -> str:
    """Make a call; return "" or what is wrong, beginning with a word for its kind."""
    r = random.Random(number)
    call = entry.make(r)
    given = spoilt(call, r, folder)
    positional, named = bound(call, given)
    before = state_of(call.subject)
    what = f"{getattr(call.function, '__qualname__', call.function)}({', '.join(f'{k}={text(v)}' for k, v in given.items())})"
    if show:
        print(what)
    signal.alarm(LIMIT - 2)
    try:
        call.function(*positional, **named)
        return "returned"
    except Interrupted:
        return "long, but heard"
    except (TypeError, ValueError) as error:
        signal.alarm(0)
        if show:
            traceback.print_exc()
        if before is not None and not same(before, state_of(call.subject)):
            return f"STATE {what}: changed by {type(error).__name__}: {error!s:.300}"
        if len(str(error)) > 1500:
            return f"MESSAGE {what}: {len(str(error))} characters: {error!s:.200}"
        return "refused"
    except OSError as error:
        if call.files or {"path", "paths", "up", "down", "data_dir", "checkpoint", "name"} & given.keys():
            return "refused"
        return f"OSError {what}: {error!s:.300}"
    except KeyError as error:
        return "refused" if "parameter" in entry.name else f"KeyError {what}: {error}\n{where(error)}"
    except RuntimeError as error:
        if type(error) is not RecursionError and (OUT_OF_TURN.search(str(error)) or str(error).startswith("no ")):
            return "refused"
        return f"{type(error).__name__} {what}: {error!s:.300}\n{where(error)}"
    except Exception as error:
        return f"{type(error).__name__} {what}: {error!s:.300}\n{where(error)}"
    finally:
        signal.alarm(0)


def text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{type(value).__name__} {value.dtype} {value.shape} {values_of(value)}>"
    try:
        return repr(value)[:120]
    except Exception:
        return f"<{type(value).__name__}>"


def values_of(value: np.ndarray) -> str:
    return str(value.ravel()[:6].tolist()) if value.dtype.kind in "fiub" and value.size < 10**6 else ""


def where(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "rpusim" in f.filename]
    return "".join(f"    {f.filename.rpartition('/rpusim/')[2]}:{f.lineno} {f.name}\n" for f in frames[-4:])


# ---- processes ------------------------------------------------------------------------------------------------------


def chosen(number: int, all_entries: list[Entry]) -> Entry:
    return random.Random(f"entry {number}").choice(all_entries)


def stopped(*_: Any) -> None:
    raise Interrupted


def work(first: int, last: int, only: str, show: bool, log: str) -> None:
    """Make calls one after another, and write down which is begun and what came of it."""
    import urllib.request

    from rpusim._base import validation

    def no_network(*_: Any, **__: Any) -> Any:
        raise OSError("no network here")

    urllib.request.urlopen = no_network
    import matplotlib

    matplotlib.use("Agg")
    validation.memory = lambda: MEMORY
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + 4 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    signal.signal(signal.SIGALRM, stopped)
    folder = Path(tempfile.mkdtemp(dir=os.path.dirname(log)))
    os.chdir(folder)
    all_entries = [e for e in entries() if re.search(only, e.name)]
    with open(log, "a", buffering=1) as out, open(os.devnull, "w") as nowhere:
        faulthandler.enable(out)
        if not show:
            sys.stdout = sys.stderr = nowhere
        for number in range(first, last):
            entry = chosen(number, all_entries)
            out.write(f"@{number} {entry.name}\n")
            faulthandler.dump_traceback_later(LIMIT, exit=True, file=out)
            try:
                result = attempt(entry, number, folder, show)
            except Interrupted:
                result = "long, but heard"
            except Exception as error:  # of what came before the call
                result = f"SETUP {type(error).__name__}: {error!s:.300}\n{where(error)}"
            faulthandler.cancel_dump_traceback_later()
            rpu.set_num_threads(1)
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close("all")
            out.write(f"={result}\n")


def run(first: int, last: int, options: argparse.Namespace) -> Iterator[tuple[int, str, str]]:
    """Yield number, entry and result of calls, each made by a process that is made anew after a crash."""
    with tempfile.TemporaryDirectory() as folder:
        while first < last:
            end = min(last, first + 2000)
            log = os.path.join(folder, f"log{first}")
            command = [sys.executable, __file__, "--worker", log, "--seed", str(first), "--n", str(end - first)]
            command += ["--only", options.only] + (["--show"] if options.show else [])
            code = subprocess.run(command, check=False).returncode
            number, name, result = first - 1, "", ""
            for line in Path(log).read_text(errors="replace").splitlines() if os.path.exists(log) else ():
                if line.startswith("@"):
                    if result:
                        yield number, name, result[1:]
                    head, _, name = line.partition(" ")
                    number, result = int(head[1:]), ""
                else:
                    result += ("\n" if result else "") + line
            finished = result.startswith("=")
            if number >= first:
                yield number, name, result[1:] if finished else f"{'HANG' if code == 1 else f'CRASH {code}'} {result[-1500:]}"
            first = number + 1 if number >= first else end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000, help="calls (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first call; go on with the next (default: 0)")
    parser.add_argument("--only", default="", help="entries whose name has this (a regular expression)")
    parser.add_argument("--show", action="store_true", help="print what is called")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    last = options.seed + options.n
    if options.worker:
        work(options.seed, last, options.only, options.show, options.worker)
        return 0
    begun, counts, found = time.monotonic(), collections.Counter[str](), collections.Counter[str]()
    kinds = collections.Counter[str]()
    try:
        for number, name, result in run(options.seed, last, options):
            kinds[name] += 1
            if result in ("returned", "refused", "long, but heard"):
                counts[result] += 1
                continue
            places = re.findall(r"    (\S+:\d+ \w+)", result)
            kind = f"{result.split(' ', 1)[0]} {name} {places[-1] if places else result.split(':')[-1].strip()[:60]}"
            counts["findings"] += 1
            found[kind] += 1
            if found[kind] <= 2:
                again = f"--seed {number} --n 1" + (f" --only {options.only!r}" if options.only else "")
                print(f"{again}: {name}: {result[:1200]}", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    print("by entry: " + ", ".join(f"{name} {n}" for name, n in kinds.most_common()))
    for kind, n in found.most_common():
        print(f"{n:6d} {kind}")
    print(f"{sum(kinds.values())} calls in {time.monotonic() - begun:.0f} s: {dict(counts)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
