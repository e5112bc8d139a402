"""How good a network on chips is, over times and programmings, and what each cause costs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base import checkpoint as files
from rpusim._base.notebook import as_html
from rpusim._base.progress import progress_bar
from rpusim._base.random import RNG, child, seed_sequence, words_of
from rpusim._base.validation import boolean, choice, instance, integer_value, plain_array, real, shown
from rpusim._base.version import __version__
from rpusim.inference.chip import Chip
from rpusim.inference.models import NoiseModel, NoNoise, check_age, checked_times
from rpusim.inference.networks import ChipNetwork, program
from rpusim.inference.on_chip import is_chip
from rpusim.inference.programmed import ProgrammedArray
from rpusim.nn.network import Sequential
from rpusim.periphery.converters import ADC
from rpusim.periphery.reads import Periphery

__all__ = ["InferenceResult", "causes", "evaluate", "product_errors", "signal_to_noise"]

MUCH = 0.01  # of the outputs, clipped
TIMES = (1.0, 3600.0, 86400.0, 31536000.0)
Metric = Callable[[NDArray[np.float32], Any], float]
_FORMAT = "rpusim inference"


def accuracy(outputs: NDArray[np.float32], labels: Any) -> float:
    """Share of the outputs (..., classes) whose largest is at the label."""
    return float(np.mean(outputs.argmax(axis=-1) == labels))


def cross_entropy(outputs: NDArray[np.float32], labels: Any) -> float:
    """Mean of -log softmax at the label, in nats."""
    y = outputs.astype(np.float64)
    y -= y.max(axis=-1, keepdims=True)
    picked = np.take_along_axis(y, np.asarray(labels)[..., None], -1)[..., 0]
    return float(np.mean(np.log(np.exp(y).sum(axis=-1)) - picked))


METRICS: dict[str, Metric] = {"accuracy": accuracy, "cross_entropy": cross_entropy}
_is_metric = choice(*METRICS)


@dataclass(frozen=True, eq=False)
class InferenceResult:
    """What `evaluate` measured.

    Attributes
    ----------
    times_s : float64 array (times,)
        Seconds after programming.
    values : float64 array (programmings, times)
    reference : float
        The value of the network that was given, read as it is.
    metric : str
    chance : float or None
        What guessing gives: 1 / classes of an accuracy, ln(classes) of a cross-entropy.
    settings : dict
        Chip, seed and versions, fit for JSON.
    clipped : float
        Share of the outputs that ADCs clipped in the first measurement; `print` says it where it is more than a hundredth.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 4, rpu.algorithms.DigitalSGD(), bias=False))
    >>> net.build(rng=0)
    >>> _ = net.layers[0].set_weights(np.eye(4))
    >>> result = rpu.inference.evaluate(net, (np.eye(4), np.arange(4)), [1.0, 86400.0], programmings=3)
    >>> result.values.shape, result.reference, result.mean.tolist()
    ((3, 2), 1.0, [1.0, 1.0])
    """

    times_s: NDArray[np.float64]
    values: NDArray[np.float64]
    reference: float
    metric: str
    chance: float | None
    settings: dict[str, Any] = field(default_factory=dict)
    clipped: float = 0.0

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, Any]]:
        rows = [(duration(t), f"{m:.4f}, worst {w:.4f}") for t, m, w in zip(self.times_s, self.mean, self.worst, strict=True)]
        said = [("note", clipping(self.clipped))] if self.clipped > MUCH else []
        return [("metric", self.metric), ("programmings", len(self.values)), ("before", f"{self.reference:.4f}"), *rows, *said]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over programmings, at each time."""
        return self.values.mean(axis=0)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation over programmings (n - 1), nan of one."""
        return self.values.std(axis=0, ddof=1) if len(self.values) > 1 else np.full(len(self.times_s), np.nan)

    @property
    def worst(self) -> NDArray[np.float64]:
        """The smallest value over programmings; the largest of a cross-entropy."""
        return self.values.max(axis=0) if self.metric == "cross_entropy" else self.values.min(axis=0)

    def normalised(self, chance: float | None = None) -> NDArray[np.float64]:
        """Return A* = (value - chance) / (reference - chance), (programmings, times): 1 is as good as the network given.

        Parameters
        ----------
        chance : float, optional
            By default that of the metric.

        Notes
        -----
        Rasch et al. (2023) call networks with A* of at least 0.99 iso-accurate.
        """
        base = self.chance if chance is None else real()("chance", chance)
        if base is None:
            raise ValueError(f"chance must be given for the metric {self.metric!r}, whose chance is not known")
        if base == self.reference:
            raise ValueError(f"chance must differ from the reference, {self.reference:g}")
        return (self.values - base) / (self.reference - base)

    def table(self) -> list[dict[str, Any]]:
        """Return a dict for each time: time_s, mean, std, worst, and normalised where chance is known."""
        rows = []
        for k, t in enumerate(self.times_s):
            row = {"time_s": float(t), "mean": float(self.mean[k]), "std": float(self.std[k]), "worst": float(self.worst[k])}
            if self._above_chance > 0.0:
                row["normalised"] = float(self.normalised()[:, k].mean())
            rows.append(row)
        return rows

    @property
    def _above_chance(self) -> float:
        """How far the network given was above chance, as a share of the way to no errors (or to no loss)."""
        if self.chance is None:
            return 0.0
        best = 0.0 if self.metric == "cross_entropy" else 1.0
        return (self.reference - self.chance) / (best - self.chance) if best != self.chance else 0.0

    def __str__(self) -> str:
        rows = self.table()
        scale = "; A*: 0 % is chance, 100 % as before" if "normalised" in rows[0] else ""
        spread = "" if np.isnan(rows[0]["std"]) else ": mean +- standard deviation over them"
        count = f"{len(self.values)} programming{'s' if len(self.values) > 1 else ''}"
        lines = [f"{self.metric} of {count}{spread}; {self.reference:.4f} before{scale}"]
        for row in rows:
            star = f"  A* {100 * row['normalised']:6.1f} %" if "normalised" in row else ""
            spread = "" if np.isnan(row["std"]) else f" +- {row['std']:.4f}"
            lines.append(f"{duration(row['time_s']):>6s}  {row['mean']:.4f}{spread}  worst {row['worst']:.4f}{star}")
        if self.chance is not None and self._above_chance < 0.1:
            said = "hardly above" if self._above_chance > 0.0 else "no better than"
            lines.append(f"note: the network given is {said} chance, {self.chance:.4g}: what is left of it says little")
        if self.clipped > MUCH:
            lines.append(f"note: {clipping(self.clipped)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, fit for JSON."""
        return {
            "format": _FORMAT,
            "rpusim": __version__,
            "metric": self.metric,
            "times_s": self.times_s.tolist(),
            "values": self.values.tolist(),
            "reference": self.reference,
            "chance": self.chance,
            "settings": self.settings,
            "clipped": self.clipped,
        }

    def save_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` as JSON, in one step."""
        with files.atomic_file(path) as file:
            file.write(json.dumps(self.to_dict(), indent=1).encode())

    def plot(self, ax: Any = None, label: str | None = None) -> Any:
        """Draw the metric against time; see `plotting.inference_curve`."""
        from importlib import import_module

        return import_module("rpusim.plotting").inference_curve({label or "": self}, ax=ax)


def clipping(share: float) -> str:
    """What is to be said of many outputs that clip."""
    return (
        f"{share:.0%} of the outputs clip at the bound of the ADCs, which is in units of the largest weight times the largest "
        "input; a larger bound, bound management, or training with this periphery loses less"
    )


def duration(t_s: float) -> str:
    """A time in the unit that suits it: 1 s, 1 h, 1 d, 1 y."""
    for unit, size in (("y", 31536000.0), ("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if t_s >= size:
            return f"{t_s / size:.3g} {unit}"
    return f"{t_s:.3g} s"


def _metric_of(metric: str | Metric) -> tuple[str, Metric]:
    if callable(metric):
        return getattr(metric, "__name__", "metric"), metric
    name = _is_metric("metric", metric)
    return name, METRICS[name]


def _data_of(net: Sequential, data: Any) -> tuple[Any, Any]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError(f"data must be (inputs, labels); got {shown(data)}")
    x, labels = net.inputs("data[0]", data[0]), plain_array("data[1]", data[1], "labels")
    if len(x) == 0 or labels.ndim == 0 or len(labels) != len(x):
        raise ValueError(f"data must be inputs and as many labels, at least one; got {len(x)} and shape {labels.shape}")
    return x, labels


def evaluate(
    net: Sequential,
    data: tuple[ArrayLike, ArrayLike],
    times_s: ArrayLike = TIMES,
    *,
    chip: Chip | None = None,
    programmings: int = 10,
    metric: str | Metric = "accuracy",
    batch_size: int = 1000,
    rng: RNG = 0,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    prepare: Callable[[ChipNetwork, float], Any] | None = None,
    **options: Any,
) -> InferenceResult:
    """Program a network onto chips several times, and measure it at several times after each.

    Parameters
    ----------
    net : nn.Sequential
        It is not touched.
    data : (array_like, array_like)
        Inputs and labels.
    times_s : array_like (times,)
        Seconds after programming; by default 1 s, 1 h, 1 d and 1 y.
    chip : Chip, optional
        By default `Chip()`.
    programmings : int, default 10
        How often it is written anew: errors of programming are most of the spread.
    metric : {"accuracy", "cross_entropy"} or callable
        Of outputs and labels.
    batch_size : int, default 1000
    rng : int, SeedSequence, Generator or None, default 0
    progress : bool, default True
        Whether to show a bar on a terminal.
    checkpoint : path, optional
        File that keeps what was measured after every programming, from which the same call goes on.
    prepare : callable, optional
        Called with the `ChipNetwork` and the time before every measurement, `recalibrate_batch_norm` for instance.
    **options
        Others of `program`: digital, chips, calibration, quantile.

    Returns
    -------
    InferenceResult

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the checkpoint is of another call.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 4, rpu.algorithms.DigitalSGD(), bias=False))
    >>> net.build(rng=0)
    >>> _ = net.layers[0].set_weights(np.eye(4))
    >>> result = rpu.inference.evaluate(net, (np.eye(4), np.arange(4)), [1.0, 86400.0], programmings=2)
    >>> result.values.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    x, labels = _data_of(net, data)
    times = checked_times(times_s)
    name, measure = _metric_of(metric)
    count = integer_value("programmings", programmings, 1)
    size = integer_value("batch_size", batch_size, 1)
    main = Chip() if chip is None else is_chip("chip", chip)
    seeds = seed_sequence(rng)
    first = program(net, main, rng=child(seeds, 0), **options)
    before = net.state_dict()
    reference_outputs = net.predict(x, size)
    net.load_state_dict(before)  # counts of reads, too
    reference = measure(reference_outputs, labels)
    settings = {"chip": main.to_dict(), "seed": words_of(seeds), "options": shown(options)}
    key = {"settings": json.dumps(settings), "times_s": times, "metric": name, "reference": reference, "samples": len(x)}
    rows, clipped = _kept(checkpoint, key)
    rows = rows[:count]
    bar = progress_bar(
        total=count * len(times), initial=len(rows) * len(times), desc="inference", unit=" reads",
        disable=None if boolean("progress", progress) else True, leave=False,
    )  # fmt: skip
    with bar:
        for k in range(count):
            if k:
                first.reprogram()
            if k < len(rows):
                continue
            row = []
            for t in times:
                if prepare is not None:
                    prepare(first, t)
                row.append(measure(first.predict(x, t, size), labels))
                clipped = first.clipped if clipped is None else clipped
                bar.update()
            rows.append(row)
            if checkpoint is not None:
                files.save(checkpoint, key | {"values": np.array(rows), "clipped": clipped})
    classes = reference_outputs.shape[-1]
    chance = {"accuracy": 1.0 / classes, "cross_entropy": float(np.log(classes))}.get(name)
    settings["programmings"] = count
    return InferenceResult(np.array(times), np.array(rows), reference, name, chance, settings, clipped or 0.0)


def _kept(path: str | os.PathLike[str] | None, key: dict[str, Any]) -> tuple[list[list[float]], float | None]:
    """What a checkpoint of the same call has: values, and the share of clipped outputs."""
    if path is None or not Path(path).exists():
        return [], None
    found = files.load(path)
    values, clipped = found.pop("values", None), found.pop("clipped", None)
    if found != key or not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[1] != len(key["times_s"]):
        differs = [name for name in key if found.get(name) != key[name]] or ["values"]
        raise ValueError(f"checkpoint must be of the same evaluation; got {os.fspath(path)} with other {', '.join(differs)}")
    return values.tolist(), None if clipped is None else float(clipped)


def product_errors(net: ChipNetwork, times_s: ArrayLike = TIMES, vectors: int = 256, rng: RNG = 0) -> NDArray[np.float64]:
    """Return the errors of products of every array, (times, arrays), compensation included.

    eps = mean over vectors of the length of y - W x, over that of W x.

    Parameters
    ----------
    net : ChipNetwork
    times_s : array_like
    vectors : int
        Random inputs of each array, uniform in +-1 times its input range.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> import rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(100, 10, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> on_chip = rpu.inference.program(net, rng=0)
    >>> rpu.inference.product_errors(on_chip, [1.0, 86400.0]).shape
    (2, 1)
    """
    instance(ChipNetwork, "a ChipNetwork")("net", net)
    count = integer_value("vectors", vectors, 1)
    draw = np.random.Generator(np.random.Philox(seed_sequence(rng)))
    out = []
    for t in checked_times(times_s):
        row = []
        for array in net.arrays:
            exact, off = _read(array, t, draw.uniform(-1.0, 1.0, (count, array.shape[1])))
            size, error = np.linalg.norm(exact, axis=1), np.linalg.norm(off, axis=1)
            row.append(float(np.mean(error[size > 0.0] / size[size > 0.0])) if np.any(size > 0.0) else np.nan)
        out.append(row)
    return np.array(out)


def _read(array: ProgrammedArray, t_s: float, v: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Exact products of an array with vectors, and how far its reads at a time are off."""
    x = v.astype(np.float32)
    exact = x @ array.goal.T
    array.restart_noise(t_s)
    return exact, array.forward(x, t_s) - exact


def signal_to_noise(
    net: Sequential,
    t_inference_s: float = 86400.0,
    *,
    chip: Chip | None = None,
    vectors: int = 256,
    rng: RNG = 0,
    **options: Any,
) -> dict[str, NDArray[np.float64]]:
    """Return the signal-to-noise ratio of every array in dB, for each cause of errors alone and for all.

    SNR = 10 log10(sum y^2 / sum (y~ - y)^2) with y = W x exactly; an ADC of ENOB bits has 6.02 ENOB + 1.76 dB.

    Parameters
    ----------
    net : nn.Sequential
        It is not touched.
    t_inference_s : float, default 1 day
    chip : Chip, optional
    vectors, rng
        See `product_errors`.
    **options
        Others of `program`.

    Returns
    -------
    dict of float64 array (arrays,)
        By the causes of `causes`; infinite where a cause has no error, nan of arrays of weights 0.

    Examples
    --------
    >>> import rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(100, 10, rpu.algorithms.DigitalSGD()))
    >>> net.build(rng=0)
    >>> found = rpu.inference.signal_to_noise(net, vectors=64)
    >>> bool(found["all"][0] < found["DAC"][0])
    True
    """
    main = Chip() if chip is None else is_chip("chip", chip)
    t = check_age("t_inference_s", t_inference_s)
    count, seeds = integer_value("vectors", vectors, 1), seed_sequence(rng)
    found = {}
    for name, one in chips_by_cause(main).items():
        on_chip = program(net, one, rng=child(seeds, 0), **options)
        draw, ratios = np.random.Generator(np.random.Philox(child(seeds, 1))), []
        for array in on_chip.arrays:
            exact, off = _read(array, t, draw.uniform(-1.0, 1.0, (count, array.shape[1])))
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios.append(20.0 * np.log10(np.linalg.norm(exact.astype(float)) / np.linalg.norm(off.astype(float))))
        found[name] = np.array(ratios)
    return found


def _scaled(model: NoiseModel, **scales: float) -> NoiseModel | None:
    """A model with some scales, others 0; None where it has none of these."""
    own = [name for name in ("prog_scale", "drift_scale", "read_scale") if hasattr(model, name)]
    if not any(name in own for name in scales):
        return None
    return model.replace(**{name: scales.get(name, 0.0) for name in own})


def chips_by_cause(chip: Chip) -> dict[str, Chip]:
    """Return chips with one cause of errors each, and one with all."""
    periphery, quiet = chip.periphery, chip.model
    clean = Periphery.ideal()
    if chip.input_range == "dynamic":
        clean = clean.replace(noise_management=periphery.noise_management, nm_threshold=periphery.nm_threshold)
    silent = _scaled(quiet, prog_scale=0.0, drift_scale=0.0, read_scale=0.0) or (quiet if quiet.signed else NoNoise())
    ideal = chip.replace(model=silent, periphery=clean, faults=None, read_noise="none", read_times_s=None)
    found: dict[str, Chip] = {}
    for name, scale in (("programming", "prog_scale"), ("drift", "drift_scale")):
        model = _scaled(quiet, **{scale: getattr(quiet, scale, 0.0)})
        if model is not None:
            found[name] = ideal.replace(model=model)
    if not found:
        found["devices"] = ideal.replace(model=quiet)
    noisy = _scaled(quiet, read_scale=getattr(quiet, "read_scale", 0.0))
    if noisy is not None and chip.read_noise != "none":
        found["read noise"] = ideal.replace(model=noisy, read_noise=chip.read_noise, read_times_s=chip.read_times_s)
    adc, dac = periphery.adc, periphery.dac
    parts = {
        "output noise": clean.replace(adc=ADC(bits=None, bound=None, noise=adc.noise)),
        "ADC": clean.replace(adc=adc.replace(noise=0.0, noise_spread=0.0)),
        "DAC": clean.replace(dac=dac),
    }
    if periphery.wires is not None:
        parts["wires"] = clean.replace(wires=periphery.wires)
    if periphery.ir_drop:
        parts["IR drop"] = clean.replace(ir_drop=periphery.ir_drop, ir_drop_g_ratio=periphery.ir_drop_g_ratio)
    found |= {name: ideal.replace(periphery=part) for name, part in parts.items() if part != clean}
    if chip.faults is not None:
        found["faults"] = ideal.replace(faults=chip.faults)
    return found | {"all": chip}


def causes(
    net: Sequential,
    data: tuple[ArrayLike, ArrayLike],
    t_inference_s: float = 86400.0,
    *,
    chip: Chip | None = None,
    **options: Any,
) -> dict[str, InferenceResult]:
    """Measure a network with one cause of errors at a time, all others off, and with all.

    Parameters
    ----------
    net, data
        See `evaluate`.
    t_inference_s : float, default 1 day
    chip : Chip, optional
    **options
        Others of `evaluate`.

    Returns
    -------
    dict of InferenceResult
        By cause, as far as the chip has it: "programming", "drift" (after compensation), "read noise", "output noise", "ADC"
        and "DAC" (resolution and range), "wires", "IR drop", "faults"; and "all".

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> net = rpu.nn.Sequential(rpu.nn.Linear(4, 4, rpu.algorithms.DigitalSGD(), bias=False))
    >>> net.build(rng=0)
    >>> _ = net.layers[0].set_weights(np.eye(4))
    >>> list(rpu.inference.causes(net, (np.eye(4), np.arange(4)), programmings=1, progress=False))
    ['programming', 'drift', 'read noise', 'output noise', 'ADC', 'DAC', 'all']
    """
    main = Chip() if chip is None else is_chip("chip", chip)
    return {name: evaluate(net, data, [t_inference_s], chip=one, **options) for name, one in chips_by_cause(main).items()}
