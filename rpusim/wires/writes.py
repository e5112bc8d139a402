"""What lines leave of the voltage of a pulse."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rpusim._base.specification import Specification, parameter
from rpusim._base.validation import choice, instance, real, real_array, shown
from rpusim.wires.conductance import ConductanceScale
from rpusim.wires.lines import Array, Wires, check_closed, check_size
from rpusim.wires.network import Network

__all__ = ["WriteWires", "write_voltages"]

#: Parameters of devices that are in proportion to the step of a pulse.
STEP_PARAMETERS = ("step_up", "step_down", "slope_up", "slope_down")


@dataclass(frozen=True, repr=False)
class WriteWires(Specification):
    r"""Lines that take voltage from the pulses of updates: what `PulseScheme.wires` is.

    A pulse is +V/2 on a word line and -V/2 on a bit line. Of V, the fraction f that lines leave reaches the device where they
    cross (`write_voltages`), whose step is then

        step ((f - threshold) / (1 - threshold))^exponent, or nothing where f <= threshold,

    for the mean step and its noise alike. Half-selected devices are taken not to move: they see V/2 less what lines take, plus
    what lines at 0 volt are pulled off it, which is of second order in that; so `threshold` is at least 1/2.

    Parameters
    ----------
    wires : Wires
        The lines. Their drivers and sensors are what drives them during writes.
    conductances : ConductanceScale
        How weights are conductances; "single" or "offset". Of two devices per weight, no law says which one a pulse changes.
    threshold : float, default 0.5
        Fraction of V that just does not change a device.
    exponent : float, default 1
        How steeply steps grow above.
    selected : {"pair", "all"}
        The other lines while a device is written: at 0 volt, or all firing too. The truth of a parallel update is in between.

    Notes
    -----
    Fractions follow the conductances at every call of `update` (and whenever a transfer algorithm writes): all vectors of the
    call see those at its beginning. So the split of a batch into calls shows; the number of threads does not. A call at
    256 x 256 takes some 50 ms longer with "pair", 4 ms with "all" (measured on a busy EPYC, one thread): transfer algorithms,
    which write vector by vector, feel it. `CrossbarArray.pulse`, `program` and the like reach devices directly, and so does the
    disturb of devices with `half_select`, from which lines take nothing. The arrays of a unit cell have lines of their own.

    Examples
    --------
    >>> import rpusim as rpu
    >>> scale = rpu.ConductanceScale(g_min=1e-6, g_max=100e-6, mapping="offset")
    >>> lines = rpu.WriteWires(rpu.Wires(r_word=2.0, r_bit=2.0), scale)
    >>> device = rpu.devices.ConstantStep(dw_min=0.01, dw_min_dtod=0.0, dw_min_std=0.0, up_down_dtod=0.0, w_max_dtod=0.0)
    >>> array = rpu.CrossbarArray((64, 64), device, pulses=rpu.PulseScheme(wires=lines), rng=0)
    >>> array.update([1.0] * 64, [-1.0] * 64, lr=0.01)
    >>> print(f"{array.weights.max():.4f} near the drivers, {array.weights.min():.4f} far from them")
    0.0099 near the drivers, 0.0064 far from them
    """

    wires: Wires = parameter(MISSING, instance(Wires, "a Wires"))
    conductances: ConductanceScale = parameter(MISSING, instance(ConductanceScale, "a ConductanceScale"))
    threshold: float = parameter(0.5, real(0.5, 1.0, open_high=True))
    exponent: float = parameter(1.0, real(0.0, 100.0, open_low=True))
    selected: str = parameter("pair", choice("pair", "all"))

    def _check_consistency(self) -> None:
        if self.conductances.mapping == "differential":
            raise ValueError(
                "WriteWires: conductances must have one device per weight, 'single' or 'offset'; got 'differential'"
            )

    def check(self, device: Any, shape: tuple[int, int]) -> None:
        """Raise ValueError where an array of `shape` (outputs, inputs) and `device` cannot have such lines."""
        if not set(STEP_PARAMETERS) & set(getattr(device, "parameter_names", ())):
            raise ValueError(f"pulses must have no wires for a device that takes no pulses; got {shown(device)}")
        if getattr(device, "dw_min_std", 0.0) and (
            getattr(device, "dw_min_std_add", 0.0) or getattr(device, "dw_min_std_slope", 0.0)
        ):
            raise ValueError(
                "pulses must have no wires for a device with noise that is not in proportion to its step (dw_min_std_add, "
                f"dw_min_std_slope); got {shown(device)}"
            )
        outputs, inputs = shape
        words, bits = self.wires._lines(inputs, outputs)
        check_closed(self.wires, words, bits, "written")

    def factors(self, weights: ArrayLike) -> Array:
        """Return the factors on the steps of devices at `weights` (outputs, inputs)."""
        g = self.conductances.conductances(np.asarray(weights).T)[0]
        f = write_voltages(g, self.wires, selected=self.selected).T
        return np.asarray(np.clip((f - self.threshold) / (1.0 - self.threshold), 0.0, None) ** self.exponent)


def write_voltages(conductances: ArrayLike, wires: Wires, *, selected: str = "pair") -> Array:
    """Return what reaches each device of a voltage put on its two lines, half on each, as a fraction of it.

    Parameters
    ----------
    conductances : array_like (m, n)
        Of the devices, siemens.
    wires : Wires
        Without open lines.
    selected : {"pair", "all"}
        "pair": the word line at +V/2 and the bit line at -V/2, all others at 0. "all": all word lines at +V/2, all bit lines at
        -V/2.

    Returns
    -------
    ndarray (m, n)

    Notes
    -----
    "all" is exact. "pair" would take m + n exact solutions. Instead, a driven line is solved exactly as a ladder whose rungs
    are its devices, each in series with its crossing line, where the other devices are paths to ground. Neglected is only that
    the other lines of that direction, at 0 volt, rise a little. With segments of 1 ohm and devices of 10 to 100 kilohm the
    fraction is too high by 0.00005 of what is lost at 64 x 64, where 5 % are, and by 0.0005 of it at 256 x 256, where half is.

    Examples
    --------
    >>> import numpy as np
    >>> import rpusim as rpu
    >>> rpu.wires.write_voltages([[1e-3]], rpu.Wires(r_word=100.0, r_bit=150.0))  # a divider
    array([[0.8]])
    """
    g = real_array("conductances", conductances, (None, None), low=0.0)
    check_size("conductances", g)
    words, bits = instance(Wires, "a Wires")("wires", wires)._lines(*g.shape)
    check_closed(wires, words, bits, "written")
    if choice("pair", "all")("selected", selected) == "all":
        network = Network(g, wires)
        u, v = np.empty((2, 1, *g.shape))
        half_word, half_bit = np.full((1, g.shape[0]), 0.5), np.full((1, g.shape[1]), -0.5)
        with network._core.lock:
            network._check(network._core.py_solution(half_word, half_bit, u, v))
        return np.asarray(1.0 + v[0] - u[0])
    # bit lines end at the last row, word lines at the first column: both are turned so that they end at index 0 of axis 0
    from_words = _driven(np.ascontiguousarray(g.T), words, _to_ground(g[::-1], bits)[::-1].T).T
    from_bits = _driven(np.ascontiguousarray(g[::-1]), bits, _to_ground(g.T, words).T[::-1])[::-1]
    return np.asarray(0.5 * (from_words + from_bits))


def _link(r: Array, e: Array) -> tuple[Array, Array, Array]:
    """For a segment of r ohm behind a node of conductance e to ground: the share of the next node's voltage that the node
    takes, its reciprocal pivot, and the conductance that the next node sees."""
    held = np.isinf(e)
    t = 1.0 / (1.0 + r * np.where(held, 0.0, e))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(held, 0.0, t), np.where(held, 0.0, r * t), np.where(held, 1.0 / r, e * t)


def _to_ground(g: Array, lines: Array) -> Array:
    """Conductance from the nodes of lines along axis 0 to their ends, not through the device at the node itself."""
    inner, near, far = lines
    with np.errstate(divide="ignore"):
        from_near, from_far = 1.0 / near, 1.0 / far
    out = np.empty_like(g)
    for k in range(len(g)):
        out[k] = from_near
        from_near = _link(inner, from_near + g[k])[2]
    for k in range(len(g) - 1, -1, -1):
        out[k] += from_far
        from_far = _link(inner, from_far + g[k])[2]
    return out


def _driven(g: Array, lines: Array, ground: Array) -> Array:
    """Voltage across the devices of lines along axis 0 with 1 volt at their ends; `ground`: conductance in series with each."""
    inner, near, far = lines
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isinf(ground), 1.0, ground / (ground + g))
        seen = 1.0 / far
    drawn = g * share
    takes, pivot, flow = np.zeros((3, len(g) + 1, g.shape[1]))
    for k in range(len(g) - 1, -1, -1):  # drops below 1 volt, as in wires_impl.h
        takes[k], pivot[k], seen = _link(inner if k else near, seen + drawn[k])
        flow[k] = drawn[k] + takes[k + 1] * flow[k + 1]
    drop, out = np.zeros(g.shape[1]), np.empty_like(g)
    for k in range(len(g)):
        drop = takes[k] * drop + pivot[k] * flow[k]
        out[k] = 1.0 - drop
    return out * share
