r"""Tables of steps: the change by one pulse against the conductance, as distributions or as pairs, and the device of them.

Of a distribution, given as quantiles q(u) at cumulative probabilities u that are linear between them, the mean and the mean
square are integrals over u, exactly sum du (q_i + q_j) / 2 and sum du (q_i^2 + q_i q_j + q_j^2) / 3. Where percentiles leave
out more than 1 % at an end, the mean and the standard deviation are those of the normal whose quantiles are nearest to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rpusim._base.validation import fail, integer_value, real, real_array
from rpusim.devices.nonlinear import FromResponse
from rpusim.fitting.found import OfDevice

__all__ = ["StepTable", "fit_steps"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Steps of one sign over the conductance: where, mean change, its standard deviation (nan: not known), how many pulses."""

    g: Array
    mean: Array
    std: Array
    count: Array


@dataclass(frozen=True)
class StepTable(OfDevice):
    """Mean steps and their noise over the conductance, and the device that has them; it is taken wherever a device is.

    Attributes
    ----------
    values, standard_errors : dict of str to float
        dw_min and dw_min_std of the device, in weight units and relative; errors where pulses were counted.
    device : PiecewiseStep
        Its steps are those of the table, linear between its conductances.
    offset, slope, unit : float, float, str
        conductance = offset + slope * weight.
    up, down : tuple of tuple of float
        Rows (conductance, mean change, standard deviation, number of pulses), the latter two nan where they are not known.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> g = np.linspace(1e-6, 9e-6, 400)
    >>> found = rpu.fitting.fit_steps(np.stack([g, (1e-5 - g) / 50], 1), np.stack([g, -g / 50], 1), g_min=1e-6, g_max=9e-6)
    >>> type(found.device).__name__, len(found.up) == len(found.down), round(found.offset * 1e6, 3)
    ('PiecewiseStep', True, 5.0)
    """

    up: tuple[tuple[float, float, float, float], ...]
    down: tuple[tuple[float, float, float, float], ...]

    kind: ClassVar[str] = "steps"
    units: ClassVar[dict[str, str]] = {"dw_min": "weight", "dw_min_std": "relative"}

    @classmethod
    def _restored(cls, name: str, value: Any) -> Any:
        if name in ("up", "down"):
            rows = isinstance(value, list) and all(isinstance(row, list) and len(row) == 4 for row in value)
            if not rows:
                fail(f"data[{name!r}]", "a list of rows of four numbers", value)
            return tuple(tuple(math.nan if v is None else float(v) for v in row) for row in value)
        return super()._restored(name, value)


def fit_steps(
    up: Any,
    down: Any,
    *,
    bins: int | None = None,
    g_min: float | None = None,
    g_max: float | None = None,
    unit: str = "",
    **others: Any,
) -> StepTable:
    """Make a device of pairs of a conductance and its change by one pulse.

    Parameters
    ----------
    up, down : array_like (pairs, 2)
        Conductance before, and change by, pulses up (down). Both signs are needed, since a device has both.
    bins : int, optional
        Number of equal parts of the range in which pairs are averaged; by default one for 20 pairs, from 5 to 50.
    g_min, g_max : float, optional
        Conductances that become weights -1 and 1; by default the range that pulses of both signs were seen in.
    unit : str
        Unit of the conductances, for the record.
    **others
        Further fields of `PiecewiseStep`.

    Returns
    -------
    StepTable

    Raises
    ------
    ValueError, TypeError
        Where an argument is not allowed; the message names it.

    Notes
    -----
    Noise of reads, of standard deviation r, counts for sqrt(2) r in the spread of pairs; steps one after another then have the
    covariance -r^2, which is said where it is seen. `fit` of the ramps tells the two apart. Errors take steps as normal.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> g = np.linspace(1e-6, 9e-6, 400)
    >>> found = rpu.fitting.fit_steps(np.stack([g, (1e-5 - g) / 50], 1), np.stack([g, -g / 50], 1), g_min=1e-6, g_max=9e-6)
    >>> round(float(found.device.step_up(0.0)), 4), round(found.device.symmetry_point, 4)
    (0.025, 0.0)
    """
    if not isinstance(unit, str):
        fail("unit", "a str", unit, TypeError)
    if bins is not None:
        bins = integer_value("bins", bins, 2, 10_000)
    notes: list[str] = []
    curves = []
    for name, value in (("up", up), ("down", down)):
        pairs = real_array(name, value, (None, 2))
        if len(pairs) < 3:
            raise ValueError(f"{name} must hold at least 3 pairs; got {len(pairs)}")
        curves.append(binned(pairs[:, 0], pairs[:, 1], bins, name, notes))
    return table_of(curves[0], curves[1], unit, g_min, g_max, notes, others)


def binned(g: Array, change: Array, bins: int | None, name: str, notes: list[str]) -> Curve:
    """Means and spreads of pairs in equal parts of the range of conductances."""
    count = bins or int(np.clip(len(g) // 20, 5, 50))
    edges = np.linspace(g.min(), g.max(), count + 1)
    part = np.clip(np.searchsorted(edges, g, side="right") - 1, 0, count - 1)
    n = np.bincount(part, minlength=count).astype(np.float64)
    least = 3 if bins is None else 1
    few = int(n[n < least].sum())
    kept = n >= least
    if not kept.any():
        raise ValueError(
            f"{name} must hold at least {least} pairs in one of {count} bins; got {len(g)} pairs: choose fewer bins"
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        where = np.bincount(part, g, count) / n
        mean = np.bincount(part, change, count) / n
        left = change - mean[part]
        std = np.sqrt(np.bincount(part, left**2, count) / (n - 1.0))
    if few:
        notes.append(f"of the pulses {name}, {few} in bins of fewer than {least} are left out")
    chained = np.isclose(g[1:], g[:-1] + change[:-1], rtol=1e-9, atol=1e-9 * float(np.ptp(g)))
    if chained.mean() > 0.5:
        product = (left[1:] * left[:-1])[chained & kept[part[1:]] & kept[part[:-1]]]
        shared = -float(product.mean()) if len(product) else 0.0
        if len(product) > 10 and shared > 3.0 * float(product.std()) / math.sqrt(len(product)):
            notes.append(
                f"of the pulses {name}, a step that is large is followed by one that is small: noise of reads of about "
                f"{math.sqrt(shared):.3g} is in their spreads; fit the ramps to tell it apart"
            )
    return Curve(where[kept], mean[kept], std[kept], n[kept])


def moments(probability: Array, quantiles: Array) -> tuple[float, float, bool]:
    """Mean and standard deviation of a distribution by its quantiles, and whether ends were left out."""
    order = np.argsort(probability, kind="stable")
    u, q = probability[order], quantiles[order]
    if len(u) == 1:
        return float(q[0]), math.nan, True
    if u[0] > 0.01 or u[-1] < 0.99:
        from scipy.special import ndtri

        z = ndtri(np.clip(u, 1e-6, 1.0 - 1e-6))
        slope = float((z - z.mean()) @ (q - q.mean()) / max(float((z - z.mean()) @ (z - z.mean())), 1e-300))
        return float(q.mean()) - slope * float(z.mean()), abs(slope), True
    u = np.concatenate([[0.0], u, [1.0]])
    q = np.concatenate([q[:1], q, q[-1:]])
    du, a, b = np.diff(u), q[:-1], q[1:]
    mean = float(du @ (a + b)) / 2.0
    square = float(du @ ((a - mean) ** 2 + (a - mean) * (b - mean) + (b - mean) ** 2)) / 3.0
    return mean, math.sqrt(max(square, 0.0)), False


def table_of(
    up: Curve, down: Curve, unit: str, g_min: float | None, g_max: float | None, notes: list[str], others: dict[str, Any]
) -> StepTable:
    """The device of the steps up and down."""
    low, high = _range(up, down, g_min, g_max, notes)
    offset, slope = (low + high) / 2.0, (high - low) / 2.0
    taken = sorted({"dw_min_std", "nodes", "w_max", "w_min"} & set(others))
    if taken:
        raise TypeError(f"{', '.join(taken)} follow from the steps; they cannot be given")
    sizes = []
    for name, curve, sign in (("up", up, 1.0), ("down", down, -1.0)):
        mean = sign * curve.mean / slope
        if not mean.max() > 0.0:
            raise ValueError(f"{name} must have steps that go {name} somewhere; got mean changes of the other sign only")
        if (mean < 0.0).any():
            notes.append(f"mean steps {name} are of the other sign at {int((mean < 0.0).sum())} conductances: taken as 0 there")
        sizes.append(((curve.g - offset) / slope, np.maximum(mean, 0.0)))
    noise = _noise(up, down, notes)
    spreads: dict[str, Any] = dict.fromkeys(("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0)
    device = FromResponse(
        lambda w: np.interp(w, *sizes[0]),
        lambda w: np.interp(w, *sizes[1]),
        w_max=1.0,
        w_min=-1.0,
        **{**spreads, "dw_min_std": noise, **others},
    )
    errors = {}
    counted = all(np.isfinite(curve.count).all() and np.isfinite(curve.std).all() for curve in (up, down))
    if counted:
        near = [_error_at(curve, offset) for curve in (up, down)]
        errors["dw_min"] = math.hypot(*near) / 2.0 / slope
        n, mean, std = (np.concatenate(pair) for pair in ((up.count, down.count), (up.mean, down.mean), (up.std, down.std)))
        spread = float(n @ std**2)
        of_spread = float(2.0 * n @ (std**2 / spread) ** 2) if spread > 0.0 else 0.0
        errors["dw_min_std"] = 0.5 * noise * math.sqrt(of_spread + float(4.0 * n @ (mean * std / float(n @ mean**2)) ** 2))
    rows = [tuple(zip(*(x.tolist() for x in (c.g, c.mean, c.std, c.count)), strict=True)) for c in (up, down)]
    values = {"dw_min": device.dw_min, "dw_min_std": noise}
    return StepTable(values, errors, tuple(notes), device, offset, slope, unit, rows[0], rows[1])


def _error_at(curve: Curve, g: float) -> float:
    """Standard error of the mean step at a conductance."""
    error = curve.std / np.sqrt(curve.count)
    share = np.array([np.interp(g, curve.g, row) for row in np.eye(len(curve.g))])
    return float(np.sqrt(share**2 @ error**2))


def _range(up: Curve, down: Curve, g_min: float | None, g_max: float | None, notes: list[str]) -> tuple[float, float]:
    low, high = max(up.g.min(), down.g.min()), min(up.g.max(), down.g.max())
    whole = min(up.g.min(), down.g.min()), max(up.g.max(), down.g.max())
    if g_min is None and g_max is None and not low < high:
        raise ValueError(
            f"up and down must overlap in conductance; got {up.g.min():g} to {up.g.max():g} and {down.g.min():g} to "
            f"{down.g.max():g}: give g_min and g_max"
        )
    low = float(low) if g_min is None else real()("g_min", g_min)
    high = float(high) if g_max is None else real()("g_max", g_max)
    if not low < high:
        raise ValueError(f"g_max must be above g_min={low:g}; got {high:g}")
    if g_min is None and g_max is None and (low, high) != whole:
        notes.append(
            f"weights -1 and 1 are {low:.4g} and {high:.4g}, where pulses of both signs were seen, of {whole[0]:.4g} to "
            f"{whole[1]:.4g}"
        )
    for name, curve in (("up", up), ("down", down)):
        beyond = max(curve.g.min() - low, 0.0) + max(high - curve.g.max(), 0.0)
        if beyond > 1e-9 * (high - low):
            notes.append(
                f"steps {name} were seen from {curve.g.min():.4g} to {curve.g.max():.4g} only: beyond, those of the ends are "
                f"taken"
            )
    return low, high


def _noise(up: Curve, down: Curve, notes: list[str]) -> float:
    """Standard deviation of a pulse over its mean step, which the model has as one number."""
    pulses, square, size, ratios = 0.0, 0.0, 0.0, []
    for curve in (up, down):
        seen = np.isfinite(curve.std)
        weight = np.where(np.isfinite(curve.count), curve.count, 1.0)[seen]
        pulses += float(weight.sum())
        square += float(weight @ curve.std[seen] ** 2)
        size += float(weight @ curve.mean[seen] ** 2)
        large = seen & (np.abs(curve.mean) > 0.1 * np.abs(curve.mean).max())
        ratios += (curve.std[large] / np.abs(curve.mean[large])).tolist()
    if pulses == 0.0 or size == 0.0:
        notes.append("nothing tells the noise of pulses: dw_min_std is 0")
        return 0.0
    noise = math.sqrt(square / size)
    if ratios and (max(ratios) > 1.5 * noise or min(ratios) < noise / 1.5):
        notes.append(
            f"noise over the step goes from {min(ratios):.2g} to {max(ratios):.2g} over the conductances (where steps are "
            f"not small); the model has one number, {noise:.3g}, with the right mean square"
        )
    return noise
