"""What a fit found."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from rpusim._base.notebook import as_html
from rpusim._base.table import table
from rpusim.devices.base import PulsedDevice
from rpusim.fitting.forms import response
from rpusim.fitting.ramps import Array

__all__ = ["FitResult", "ModelScore"]


@dataclass(frozen=True)
class ModelScore:
    """How well one model describes the ramps.

    Attributes
    ----------
    model : str
    n_parameters : int
        Free parameters, of all devices together, noises included.
    log_likelihood, aic, bic : float
        aic = 2 k - 2 log L, bic = k log(n) - 2 log L for n values.
    r2, r2_blocks : float
        How well the noise-free response of the mean device, from the best start, follows the mean measured curve of each
        direction: 1 - (sum of squared residuals) / (sum of squares about the mean of each direction). r2 is of the curve as
        it is, pulse by pulse: where few ramps were measured, read noise bounds it. r2_blocks is of the means of 10 blocks of
        neighbouring pulses into which each curve is cut.
    r2_up, r2_down : float
        r2_blocks of the up and of the down ramps alone; nan where there are none.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> ramp = 1e-6 * np.linspace(1.0, 3.0, 30)
    >>> score = rpu.fitting.fit(ramp, ramp[::-1], "ConstantStep", unit="S", progress=False).score
    >>> score.model, score.r2 > 0.99
    ('ConstantStep', True)
    """

    model: str
    n_parameters: int
    log_likelihood: float
    aic: float
    bic: float
    r2: float
    r2_blocks: float
    r2_up: float = math.nan
    r2_down: float = math.nan

    _repr_html_ = as_html


#: what theory asks of a device
OF_DEVICE = frozenset(
    "step_up step_down granularity w_min w_max symmetry_point symmetry_points bounds_of mean_parameters steps_of noise_weights "
    "number_of_states dw_min dw_min_std symmetry_point_of".split()
)


@dataclass(frozen=True)
class FitResult:
    """A device fitted to measured ramps, and how sure its parameters are.

    It is accepted wherever a device is: in arrays, algorithms, theory and figures, and its JSON wherever that of a device is.

    Attributes
    ----------
    device : PulsedDevice
        The specification; its spreads are 0 where only one device was measured.
    values, standard_errors : dict of str to float
        Fitted parameters in weight units and their standard errors; inf where the ramps do not tell the parameter.
        `read_noise` is among them. Parameters that were held are in `notes`.
    notes : tuple of str
        What was held, and why.
    read_noise : float
        Standard deviation of one read, in weight units. No part of the device.
    slow_noise, slow_time : float
        Standard deviation, in weight units, of noise of the reads that is correlated from pulse to pulse by
        exp(-1 / slow_time). 0 and nan where none was found. No part of the device.
    offset, slope : float
        conductance = offset + slope * weight.
    unit : str
        Unit of the ramps.
    score : ModelScore
        Of the chosen model.
    comparison : tuple of ModelScore
        All models tried, best first.
    criterion : str
        "bic" or "aic": what best means.
    n_values, n_ramps, n_devices : int
        Size of the data.
    up, down : tuple of ndarray
        The ramps in weight units.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> ramp = 1e-6 * np.linspace(1.0, 3.0, 30)
    >>> result = rpu.fitting.fit(ramp, ramp[::-1], "ConstantStep", unit="S", progress=False)
    >>> type(result.device).__name__, round(result.values["dw_min"], 3)
    ('ConstantStep', 0.069)
    >>> rpu.CrossbarArray((2, 3), result, rng=0).shape
    (2, 3)
    """

    device: PulsedDevice
    values: dict[str, float]
    standard_errors: dict[str, float]
    notes: tuple[str, ...]
    read_noise: float
    slow_noise: float
    slow_time: float
    offset: float
    slope: float
    unit: str
    score: ModelScore
    comparison: tuple[ModelScore, ...]
    criterion: str
    n_values: int
    n_ramps: int
    n_devices: int
    up: tuple[Array, ...] = dataclasses.field(repr=False)
    down: tuple[Array, ...] = dataclasses.field(repr=False)

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, object]]:
        values = [
            (name, f"{value:.5g} ± {self.standard_errors.get(name, math.inf):.2g}") for name, value in self.values.items()
        ]
        fit = [("model", self.score.model), ("R2", f"{self.r2:.4f}, {self.r2_blocks:.4f} on blocks"), ("unit", self.unit)]
        return [*fit, *values, ("device", self.device), ("notes", self.notes)]

    def __str__(self) -> str:
        """Parameters with their errors, all models that were tried, noises, notes and the device: what `rpusim fit` prints."""
        best = {c: min(getattr(s, c) for s in self.comparison) for c in ("aic", "bic")}
        head = ["model", "parameters", "dAIC", "dBIC", "R2", "R2 of blocks", "up", "down"]
        cells = [
            [s.model, str(s.n_parameters), f"{s.aic - best['aic']:.1f}", f"{s.bic - best['bic']:.1f}"]
            + [f"{x:.4f}" if math.isfinite(x) else "-" for x in (s.r2, s.r2_blocks, s.r2_up, s.r2_down)]
            for s in self.comparison
        ]
        lines = [
            f"{self.n_ramps} ramps of {self.n_devices} device(s), {self.n_values} values; model {self.score.model}\n",
            table(["parameter", "value", "std. error", "unit", f"in {self.unit or 'measured units'}"], self._rows()),
            "\n" + table(head, cells),
            f"\nR2 on the mean curve: {self.r2:.4f} pulse by pulse, {self.r2_blocks:.4f} on means of "
            f"{self.block_length} neighbouring pulses",
            f"read noise: {self.read_noise:.4g} (weight units)",
        ]
        if self.slow_noise > 0.0:
            lines.append(f"slow read noise: {self.slow_noise:.4g} (weight units), correlated over {self.slow_time:.3g} pulses")
        lines.append(f"value = {self.offset:.6g} + {self.slope:.6g} * weight {self.unit}".rstrip())
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), f"\n{self.device}"])

    def _rows(self) -> list[list[str]]:
        """Name, value, standard error and unit of all parameters, and the value in the unit of the measurements."""
        rows = []
        for name, value in self.values.items():
            relative = (
                name == "dw_min_std" or name.endswith("_dtod") or name.startswith(("up_down", "pow_", "gamma_", "A_", "piece"))
            )
            error = self.standard_errors.get(name, math.inf)
            zero = self.offset if name in ("w_max", "w_min") else 0.0
            rows.append(
                [
                    name,
                    f"{value:.5g}",
                    f"{error:.2g}" if math.isfinite(error) else "not told",
                    "relative" if relative else "pulses" if name == "slow_time" else "weight",
                    "" if relative or name == "slow_time" else f"{abs(self.slope) * value + zero:.5g}",
                ]
            )
        return rows

    @property
    def __specification__(self) -> PulsedDevice:
        """The device, as which a fit is taken wherever a device is."""
        return self.device

    def __getattr__(self, name: str) -> Any:
        """Steps, bounds and the like of the device, so that theory takes a fit for it."""
        if name in OF_DEVICE:
            return getattr(self.device, name)
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}", name=name, obj=self)

    @property
    def r2(self) -> float:
        """Coefficient of determination on the mean curve, pulse by pulse (`ModelScore`)."""
        return self.score.r2

    @property
    def r2_blocks(self) -> float:
        """Coefficient of determination on means of 10 blocks of neighbouring pulses of the mean curve (`ModelScore`)."""
        return self.score.r2_blocks

    @property
    def block_length(self) -> int:
        """Pulses in the longest of the blocks of `r2_blocks`."""
        return max(len(_blocks(curve)[0]) for curve, _ in self.mean_curves().values())

    def to_conductance(self, w: ArrayLike) -> Array:
        """Conductance, in `unit`, at weights `w`."""
        return self.offset + self.slope * np.asarray(w, dtype=np.float64)

    def to_weight(self, g: ArrayLike) -> Array:
        """Weight at conductances `g`, in `unit`."""
        return (np.asarray(g, dtype=np.float64) - self.offset) / self.slope

    def mean_curves(self) -> dict[str, tuple[Array, Array]]:
        """For "up" and "down" where there are any: mean measured curve and fitted noise-free response, in weight units."""
        out = {}
        for name, ramps, sign in (("up", self.up, 1.0), ("down", self.down, -1.0)):
            if ramps:
                measured = _mean_curve(ramps)
                out[name] = measured, _best_response(self.device, measured, sign)
        return out

    def to_json(self, **kwargs: Any) -> str:
        """Return `to_dict()` as JSON text, of which `rpusim.from_json` makes the device; keywords go to `json.dumps`."""
        return json.dumps(self.to_dict(), **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the ramps as a plain dict, JSON-ready; what is not finite is None."""

        def plain(x: float) -> float | None:
            return float(x) if math.isfinite(x) else None

        return {
            "format": "rpusim fit",
            "version": 1,
            "device": self.device.to_dict(),
            "values": {k: plain(v) for k, v in self.values.items()},
            "standard_errors": {k: plain(v) for k, v in self.standard_errors.items()},
            "read_noise": self.read_noise,
            "slow_noise": self.slow_noise,
            "slow_time": plain(self.slow_time),
            "scale": {"offset": self.offset, "slope": self.slope, "unit": self.unit},
            "criterion": self.criterion,
            "comparison": [
                {k: plain(v) if k.startswith("r2") else v for k, v in dataclasses.asdict(s).items()} for s in self.comparison
            ],
            "notes": list(self.notes),
            "n_values": self.n_values,
            "n_ramps": self.n_ramps,
            "n_devices": self.n_devices,
        }


def _mean_curve(ramps: Sequence[Array]) -> Array:
    """Mean over ramps at each pulse, nan where fewer than half of them have a value."""
    y = np.full((max(map(len, ramps)), len(ramps)), math.nan)
    for k, ramp in enumerate(ramps):
        y[: len(ramp), k] = ramp
    count = np.isfinite(y).sum(1)
    mean = np.nansum(y, axis=1) / np.maximum(count, 1)
    return np.where(2 * count >= len(ramps), mean, math.nan)


def _best_response(device: PulsedDevice, measured: Array, sign: float) -> Array:
    """Noise-free response from the start that is nearest to `measured` in the least squares."""
    low, high = device.w_min, device.w_max

    def run(start: float) -> Array:
        return response(device, start, sign, len(measured))

    first = measured[np.isfinite(measured)][: max(3, len(measured) // 10)]
    margin = float(np.ptp(first)) + 1e-9
    near = (max(low, float(first.min()) - margin), min(high, float(first.max()) + margin))
    if not near[0] < near[1]:
        return run(min(max(float(first.mean()), low), high))

    def misfit(start: float) -> float:
        return float(np.nansum((run(start) - measured) ** 2))

    best = minimize_scalar(misfit, bounds=near, method="bounded", options={"xatol": 1e-5 * margin, "maxiter": 40})
    return run(float(best.x))


_N_BLOCKS = 10


def _blocks(measured: Array) -> list[NDArray[np.intp]]:
    """Where the values of a curve are, in blocks of neighbours."""
    seen = np.flatnonzero(np.isfinite(measured))
    return np.array_split(seen, min(_N_BLOCKS, len(seen)))


def r_squared(device: PulsedDevice, up: Sequence[Array], down: Sequence[Array]) -> tuple[float, float, float, float]:
    """Coefficient of determination on the mean curves, on means of blocks of them, and on those of up and of down alone."""
    left, total = np.zeros((2, 2)), np.zeros((2, 2))
    for side, (ramps, sign) in enumerate(((up, 1.0), (down, -1.0))):
        if ramps:
            measured = _mean_curve(ramps)
            residual = measured - _best_response(device, measured, sign)
            blocks = _blocks(measured)
            single = [np.array([n]) for b in blocks for n in b]
            for k, groups in enumerate((single, blocks)):
                means = np.array([measured[g].mean() for g in groups])
                left[k, side] += sum(float(residual[g].mean()) ** 2 for g in groups)
                total[k, side] += float(((means - means.mean()) ** 2).sum())
    pairs = ((left[0].sum(), total[0].sum()), (left[1].sum(), total[1].sum()), *zip(left[1], total[1], strict=True))
    of_pulses, of_blocks, of_up, of_down = (1.0 - float(x / y) if y > 0.0 else math.nan for x, y in pairs)
    return of_pulses, of_blocks, of_up, of_down


#: worse than this the curve of a model does not follow the ramps, whatever their noise
_POOR = 0.9


def said_of_misfit(
    device: PulsedDevice, score: ModelScore, up: Sequence[Array], down: Sequence[Array], noise: tuple[float, float]
) -> list[str]:
    """Where the model does not follow the ramps: R2 per direction, and residuals beyond the noise band of their means."""
    notes = []
    for name, value in (("up", score.r2_up), ("down", score.r2_down)):
        if value < _POOR:
            notes.append(f"the {name} ramps do not follow {score.model}: R2 of means of blocks {value:.2f}")
    for name, ramps, sign in (("up", up, 1.0), ("down", down, -1.0)):
        if not ramps:
            continue
        measured = _mean_curve(ramps)
        response = _best_response(device, measured, sign)
        band = _band(device, response, sign, len(ramps), noise)
        blocks = _blocks(measured)
        size = np.array([float((measured - response)[b].mean()) for b in blocks])
        wide = np.array([float(np.hypot(np.mean(band[b]), noise[0] / math.sqrt(len(ramps) * len(b)))) for b in blocks])
        ratio = np.abs(size) / np.maximum(wide, 1e-300)
        if math.sqrt(float(np.mean(ratio**2))) > 3.0 and float(np.sqrt(np.mean(size**2))) > 2e-3 * float(
            np.ptp(response) + 1e-300
        ):
            worst = int(np.argmax(ratio))
            where = f"pulses {blocks[worst][0]} to {blocks[worst][-1]}"
            notes.append(f"residuals of the {name} ramps go {ratio[worst]:.1f} times beyond their noise (most at {where})")
    return notes


def _band(device: PulsedDevice, response: Array, sign: float, count: int, noise: tuple[float, float]) -> Array:
    """Standard deviation of the mean of `count` ramps about the response: write noise that adds up, and slow noise."""
    step = device.step_up if sign > 0 else device.step_down
    proportional, nominal = device.noise_weights
    h = 1e-4 * (device.w_max - device.w_min)
    size = np.abs(step(response))
    slope = sign * (step(np.minimum(response + h, device.w_max)) - step(np.maximum(response - h, device.w_min))) / (2.0 * h)
    added = (proportional * size) ** 2 + (nominal * device.dw_min) ** 2
    variance = np.empty(len(response))
    variance[0] = 0.0
    for n in range(1, len(response)):
        inside = device.w_min < response[n] < device.w_max
        variance[n] = ((1.0 + slope[n - 1]) ** 2 * variance[n - 1] + added[n - 1]) if inside else variance[n - 1]
    return np.sqrt(np.asarray(variance + noise[1] ** 2) / count)
