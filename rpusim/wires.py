"""Arrays whose lines have resistance: the exact currents and node voltages, by Ohm's and Kirchhoff's laws.

Word lines run to the right, from drivers on their left ends; bit lines run down, to sensors that hold their lower ends at
0 volt. Node (i, j) of word line i and of bit line j are joined by device (i, j). A line has one segment between neighbouring
nodes and one from its last node to its terminal, where the resistance of the driver or of the sensor is added.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import MISSING, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._core.wires import NetworkCore
from rpusim._validation import _fail, boolean, choice, instance, integer, real, real_array
from rpusim.conductance import ConductanceScale
from rpusim.specification import Specification, parameter

__all__ = [
    "ConvergenceError",
    "Network",
    "NetworkSolution",
    "Wires",
    "WriteWires",
    "solve_network",
    "write_voltages",
]

Array = NDArray[np.float64]

#: Largest nonlinearity times voltage: beyond it the currents leave float64.
STEEPEST = 300.0
#: Parameters of devices that are in proportion to the step of a pulse.
STEP_PARAMETERS = ("step_up", "step_down", "slope_up", "slope_down")
NEWTON_STEPS = 100
LINE_SEARCH = 60


class ConvergenceError(RuntimeError):
    """An iteration has not come to its tolerance; the message says how far it came."""


def _resistance(name: str, value: Any) -> float | tuple[float, ...]:
    """Ohm: a number of at least 0 (infinity: an open line), or one per line."""
    allowed = "a resistance of at least 0 ohm (infinity: open), or a sequence of one per line"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        ohm = float(value)
        if not ohm >= 0.0:
            _fail(name, allowed, value)
        return ohm
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or np.ndim(value) != 1:
        _fail(name, allowed, value, TypeError)
    if len(value) == 0:
        _fail(name, allowed, value)
    return tuple(_resistance(f"{name}[{k}]", entry) for k, entry in enumerate(value))  # type: ignore[misc]


@dataclass(frozen=True, repr=False)
class Wires(Specification):
    """The lines of an array, their drivers and sensors, and how exactly they are solved.

    Every resistance is one number for all lines, or a sequence of one per line: word lines for `r_word` and `r_driver`, bit
    lines for `r_bit` and `r_sense`. 0 is an ideal conductor, infinity an open line; both are exact.

    Parameters
    ----------
    r_word, r_bit : float or sequence of float, default 1
        Resistance of one segment of a word line and of a bit line, ohm.
    r_driver, r_sense : float or sequence of float, default 0
        Resistance of a driver and of a sensor, ohm, in series with the segment at that end.
    drivers : {"left", "both"}
        Ends of word lines that have a driver. Both drivers of a line apply the same voltage.
    sensors : {"bottom", "both"}
        Ends of bit lines that have a sensor. The current of a line is that of both its sensors.
    tolerance : float, default 1e-10
        Of the residual of conjugate gradients in the norm of their preconditioner, relative to the right-hand side. The
        relative error of the currents is about as large.
    max_iterations : int, default 1000
        A solve that needs more raises `ConvergenceError`.

    Examples
    --------
    >>> import rpusim as rpu
    >>> rpu.Wires(r_word=1.5, r_bit=1.5, r_sense=100.0)
    Wires(r_word=1.5, r_bit=1.5, r_sense=100.0)
    """

    r_word: float | tuple[float, ...] = parameter(1.0, _resistance)
    r_bit: float | tuple[float, ...] = parameter(1.0, _resistance)
    r_driver: float | tuple[float, ...] = parameter(0.0, _resistance)
    r_sense: float | tuple[float, ...] = parameter(0.0, _resistance)
    drivers: str = parameter("left", choice("left", "both"))
    sensors: str = parameter("bottom", choice("bottom", "both"))
    tolerance: float = parameter(1e-10, real(0.0, 1.0, open_low=True, open_high=True))
    max_iterations: int = parameter(1000, integer(1))

    def _lines(self, rows: int, columns: int) -> tuple[Array, Array]:
        """(3, rows) and (3, columns): ohm between nodes, from the last node to the near terminal, and to the far one."""
        out = []
        for count, inner, terminal, both in (
            (rows, "r_word", "r_driver", self.drivers == "both"),
            (columns, "r_bit", "r_sense", self.sensors == "both"),
        ):
            lines = np.empty((3, count))
            lines[0], lines[1] = self._per_line(inner, count), self._per_line(terminal, count)
            lines[1] += lines[0]
            lines[2] = lines[1] if both else math.inf
            out.append(lines)
        return out[0], out[1]

    def _per_line(self, name: str, count: int) -> Any:
        value = getattr(self, name)
        if isinstance(value, tuple) and len(value) != count:
            raise ValueError(f"Wires: {name} must be one number or {count}, one per line of the array; got {len(value)}")
        return value


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
            raise ValueError(f"pulses must have no wires for a device that takes no pulses; got {device!r}")
        if getattr(device, "dw_min_std", 0.0) and (
            getattr(device, "dw_min_std_add", 0.0) or getattr(device, "dw_min_std_slope", 0.0)
        ):
            raise ValueError(
                "pulses must have no wires for a device with noise that is not in proportion to its step (dw_min_std_add, "
                f"dw_min_std_slope); got {device!r}"
            )
        outputs, inputs = shape
        words, bits = self.wires._lines(inputs, outputs)
        _check_closed(self.wires, words, bits, "written")

    def factors(self, weights: ArrayLike) -> Array:
        """Return the factors on the steps of devices at `weights` (outputs, inputs)."""
        g = self.conductances.conductances(np.asarray(weights).T)[0]
        f = write_voltages(g, self.wires, selected=self.selected).T
        return np.asarray(np.clip((f - self.threshold) / (1.0 - self.threshold), 0.0, None) ** self.exponent)


class NetworkSolution(NamedTuple):
    """All voltages (V) and currents (A) of an array of m word lines and n bit lines.

    The arrays of a batch begin with an axis of vectors; those of a single vector do not.

    Attributes
    ----------
    currents : ndarray (n,)
        At the sensors of each bit line; for a transposed read (m,), at the drivers of each word line. Positive is out of the
        array.
    word_voltages, bit_voltages : ndarray (m, n)
        Of the nodes of word lines and of bit lines.
    device_currents : ndarray (m, n)
        From word line to bit line.
    word_currents : ndarray (m, n)
        To the right, through the segment left of each node. With drivers at both ends (m, n + 1), the last column being the
        segments at the right end.
    bit_currents : ndarray (m, n)
        Down, through the segment below each node. With sensors at both ends (m + 1, n), the first row being the segments
        above the uppermost nodes.
    power : float or ndarray (vectors,)
        All that is dissipated, in devices, lines, drivers and sensors, watt.
    method : str
        "cg", "direct" or "newton".
    iterations : int
        Largest number of iterations of any vector; 0 for "direct".
    residual : float
        Largest relative residual, as in `Wires`. For "direct" it is the largest sum of currents at a node, and for "newton" the
        largest error of a device's current, both relative to the largest current of a device.
    """

    currents: Array
    word_voltages: Array
    bit_voltages: Array
    device_currents: Array
    word_currents: Array
    bit_currents: Array
    power: Any
    method: str
    iterations: int
    residual: float


class Network:
    """The resistor network of one array, factored for as long as its conductances last.

    Parameters
    ----------
    conductances : array_like (m, n)
        Of the devices, siemens: m word lines, n bit lines. 0 is an open device. Shorted ones are for `solve_network`.
    wires : Wires
        The lines.
    warm_start : bool, default False
        Let `currents` start from the nodes that its last call left, where that had as many vectors and the same direction. It
        pays where voltages stay and conductances change little; results then depend on that call, within the tolerance. It
        takes 8 bytes per device and vector.

    Raises
    ------
    ValueError
        If a conductance is negative, infinite or NaN, a number of lines does not fit, or nodes have no path to a terminal.

    Notes
    -----
    Conjugate gradients on the equations of the bit lines, preconditioned by these lines alone; an iteration solves every row
    and every column exactly, in a number of operations proportional to that of devices. About 3 + 3 sqrt(a) iterations are
    needed for 1e-10, with a = (4 / pi^2) r mean(G) N^2 for N x N devices and segments of r. Vectors are shared among threads
    (`set_num_threads`), which does not change a bit of the results. `currents` of 4 vectors and more are found in blocks of 8,
    with iterations in float32 that correct a solution in float64: to the same tolerance, in about half of the time. Where a
    batch is split thus shows within the tolerance.

    Examples
    --------
    >>> import numpy as np
    >>> import rpusim as rpu
    >>> g = np.full((64, 32), 20e-6)
    >>> network = rpu.wires.Network(g, rpu.Wires(r_word=1.0, r_bit=1.0))
    >>> v = np.full(64, 0.2)
    >>> loss = 1 - network.currents(v) / (v @ g)
    >>> print(f"{loss[0]:.1%} to {loss[-1]:.1%}")
    2.8% to 3.7%
    """

    def __init__(self, conductances: ArrayLike, wires: Wires, *, warm_start: bool = False) -> None:
        g = real_array("conductances", conductances, (None, None), low=0.0)
        _check_size("conductances", g)
        self._wires: Wires = instance(Wires, "a Wires")("wires", wires)
        self._warm = boolean("warm_start", warm_start)
        self._lines = words, bits = self._wires._lines(*g.shape)
        self._core = NetworkCore(words, bits, self._wires.tolerance, self._wires.max_iterations)
        self._take(g)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"Network({rows} x {columns}, {self._wires!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _copied, (self._g.copy(), self._wires, self._warm)  # for copies, which are factored anew

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of word lines and of bit lines."""
        return self._core.rows, self._core.columns

    @property
    def wires(self) -> Wires:
        """The lines."""
        return self._wires

    @property
    def conductances(self) -> Array:
        """Conductances of the devices, siemens: a copy."""
        return self._g.copy()

    def _take(self, g: Array) -> None:
        _check_paths(g > 0.0, *self._lines)
        with self._core.lock:
            self._g = g.copy()
            self._core.py_factor(g)

    def update(self, conductances: ArrayLike) -> None:
        """Replace the conductances, (m, n) siemens, and factor anew."""
        self._take(real_array("conductances", conductances, self.shape, low=0.0))

    def currents(self, v: ArrayLike, out: Array | None = None, *, transposed: bool = False) -> Array:
        """Return the output currents, ampere.

        Parameters
        ----------
        v : array_like (m,) or (vectors, m)
            Voltages of the drivers, volt.
        out : ndarray (n,) or (vectors, n) of float64, optional
            Where the currents go.
        transposed : bool, default False
            Apply `v`, then (n,) or (vectors, n), at the sensors' ends of the bit lines, and return the currents that the word
            lines deliver to their drivers' ends, which are held at 0 volt: (m,) or (vectors, m).

        Returns
        -------
        ndarray (n,) or (vectors, n)

        Raises
        ------
        ConvergenceError
            If the iteration does not converge.
        """
        v_in, batch = self._voltages(v, boolean("transposed", transposed))
        lines = self.shape[0 if transposed else 1]
        shape = (len(v_in), lines) if batch else (lines,)
        if out is None:
            out = np.empty(shape)
        elif not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a float64 array; got {type(out).__name__}")
        elif out.dtype != np.float64 or out.shape != shape or not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError(
                f"out must be a writeable C-contiguous float64 array of shape {shape}; got dtype {out.dtype}, shape {out.shape}"
            )
        elif np.shares_memory(out, v_in):
            v_in = v_in.copy()
        if len(v_in):
            with self._core.lock:
                self._check(self._core.py_solve(v_in, out.reshape(-1, lines), transposed, self._warm))
        return out

    def effective(self) -> Array:
        """Return the matrix M (m, n), siemens, that the array multiplies by: `currents(v)` is v @ M.

        It costs as much as currents of min(m, n) vectors; `M.T` is what a transposed read multiplies by.
        """
        rows, columns = self.shape
        if rows <= columns:
            return self.currents(np.eye(rows))
        return np.ascontiguousarray(self.currents(np.eye(columns), transposed=True).T)

    def solution(self, v: ArrayLike, *, transposed: bool = False, nonlinearity: float = 0.0) -> NetworkSolution:
        """Return all voltages and currents for the voltages `v`; see `currents` and `solve_network`."""
        v_in, batch = self._voltages(v, boolean("transposed", transposed))
        alpha = real(0.0)("nonlinearity", nonlinearity)
        if alpha * np.abs(v_in).max(initial=0.0) > STEEPEST:
            raise ValueError(
                f"nonlinearity must be at most {STEEPEST:g} over the largest voltage, {np.abs(v_in).max():g} V; "
                f"got {nonlinearity!r}"
            )
        rows, columns = self.shape
        word, bit = np.zeros((len(v_in), rows)), np.zeros((len(v_in), columns))
        (bit if transposed else word)[:] = v_in
        u, nodes = np.empty((2, len(v_in), rows, columns))
        iterations, residual, method = 0, 0.0, "newton" if alpha else "cg"
        with self._core.lock:
            if len(v_in):
                self._check(self._core.py_solution(word, bit, u, nodes))
                iterations, residual = self._core.iterations, self._core.residual
            across = nodes - u + (word[:, :, None] - bit[:, None, :])
            device = self._g * across
            if alpha:
                device, iterations, residual = self._newton(word, bit, u, nodes, across, device, alpha)
        return _solution(word, bit, u, nodes, device, self._lines, transposed, batch, method, iterations, residual)

    def _newton(
        self, word: Array, bit: Array, u: Array, nodes: Array, across: Array, carried: Array, alpha: float
    ) -> tuple[Array, int, float]:
        """Newton's method from the linear solution: fills in `u` and `nodes`, returns the devices' currents.

        The law makes the network's co-content convex. Its slope along a step needs only `carried`, the devices' currents that
        Kirchhoff's laws ask for at the nodes: they are linear in the nodes, and equal the law's at the solution. The length of
        a step is doubled or bisected until the slope at its end is at most a quarter of that at its start, up or down. (Of a
        steep law, a full step is one of 1 / alpha where the voltage is far too large.)

        A steep law is approached from half as steep ones: lines limit its currents, and those of the law at the voltages of
        the linear network may be so much larger that float64 holds nothing beside them.
        """
        volts = np.maximum(np.abs(word).max(axis=1), np.abs(bit).max(axis=1))
        finest = max(self._wires.tolerance, 1e-14)
        halvings = np.ceil(np.log2(np.maximum(0.5 * alpha * volts, 1.0))).astype(int)
        flow, error, steps = np.zeros_like(across), np.zeros(len(word)), 0
        for halved in range(halvings.max(initial=0), -1, -1):
            taking_part, a = np.flatnonzero(halvings >= halved), alpha / 2.0**halved
            tolerance = 0.1 if halved else finest
            flow[taking_part] = self._g * np.sinh(a * across[taking_part]) / a
            while True:
                asked = np.maximum(_largest(flow[taking_part]), np.finfo(float).tiny)
                error[taking_part] = _largest(flow[taking_part] - carried[taking_part]) / asked
                active = taking_part[~(error[taking_part] <= tolerance)]
                if not len(active):
                    break
                if steps == NEWTON_STEPS:
                    raise ConvergenceError(
                        f"Newton's method has not converged in {steps} steps: relative error {error.max():.3g} of the "
                        f"currents, tolerance {finest:g}"
                    )
                steps += 1
                self._newton_step(active, a, word, bit, u, nodes, across, carried, flow)
        return flow, steps, float(error.max(initial=0.0))

    def _newton_step(
        self,
        active: NDArray[np.intp],
        alpha: float,
        word: Array,
        bit: Array,
        u: Array,
        nodes: Array,
        across: Array,
        carried: Array,
        flow: Array,
    ) -> None:
        """One step of the vectors `active`, all arrays in place."""
        g = self._g * np.cosh(alpha * across[active])
        emf = np.tanh(alpha * across[active]) / alpha - across[active]
        to_u, to_nodes = np.empty((2, *g.shape))
        self._check(self._core.py_solution(word[active], bit[active], to_u, to_nodes, g, emf))
        du, dv = to_u - u[active], to_nodes - nodes[active]
        step, held, reached = dv - du, carried[active], flow[active] + g * (dv - du)
        slope = np.abs(np.sum(step * (flow[active] - held), axis=(1, 2), keepdims=True))
        t, low, high = np.ones(slope.shape), np.zeros(slope.shape), np.full(slope.shape, math.inf)
        for _ in range(LINE_SEARCH):
            with np.errstate(over="ignore", invalid="ignore"):
                there = self._g * np.sinh(alpha * (across[active] + t * step)) / alpha
                end = np.sum(step * (there - (1.0 - t) * held - t * reached), axis=(1, 2), keepdims=True)
            long, short = ~(end <= 0.25 * slope), end < -0.25 * slope
            if not (long | short).any():
                break
            low, high = np.where(short, t, low), np.where(long, t, high)
            t = np.where(long | short, np.where(np.isinf(high), 2.0 * t, 0.5 * (low + high)), t)
        u[active] += t * du
        nodes[active] += t * dv
        across[active] = nodes[active] - u[active] + (word[active, :, None] - bit[active, None, :])
        carried[active] = (1.0 - t) * held + t * reached
        flow[active] = self._g * np.sinh(alpha * across[active]) / alpha

    def _voltages(self, v: ArrayLike, transposed: bool) -> tuple[Array, bool]:
        """`v` as a batch, and whether it was one."""
        lines = self.shape[1 if transposed else 0]
        batch = np.ndim(v) != 1
        return real_array("v", v, (None, lines) if batch else (lines,)).reshape(-1, lines), batch

    def _check(self, converged: bool) -> None:
        if not converged:
            raise ConvergenceError(
                f"conjugate gradients have not converged in {self._core.iterations} iterations: relative residual "
                f"{self._core.residual:.3g}, tolerance {self._core.tolerance:g}"
            )


class WiredProduct:
    """Products of the weights of an array with vectors, as resistive lines leave them: what `Periphery.wires` puts in the
    place of the exact product.

    The weights W (outputs, inputs) are mapped to conductances by `scale`; inputs are on the word lines. The product is the
    difference of two networks on the same voltages (one network for the mapping "single"), divided by the siemens of a unit
    of weight. Networks are factored when the weights have changed; after as many vectors as the shorter side is long, the
    effective matrix is found and used instead.

    Parameters
    ----------
    wires : Wires
        Without open lines.
    scale : ConductanceScale
    shape : (int, int)
        (outputs, inputs).
    """

    def __init__(self, wires: Wires, scale: ConductanceScale, shape: tuple[int, int]) -> None:
        self._scale = scale
        outputs, inputs = shape
        words, bits = wires._lines(inputs, outputs)
        _check_closed(wires, words, bits, "read")
        count = 1 if scale.mapping == "single" else 2
        self._networks = [Network(np.zeros((inputs, outputs)), wires) for _ in range(count)]
        self._held: NDArray[np.float32] | None = None
        self._effective: Array | None = None
        self._served = 0

    def __call__(self, weights: NDArray[np.float32], x: NDArray[np.float32], transposed: bool) -> Array:
        """Return W x (or W^T x where `transposed`) for vectors x (vectors, inputs)."""
        if self._held is None or not np.array_equal(self._held, weights):
            self._take(weights)
        self._served += len(x)
        if self._effective is None and self._served > min(weights.shape):
            first, *rest = (network.effective() for network in self._networks)
            self._effective = (first - rest[0] if rest else first) / self._scale.siemens_per_weight
        if self._effective is not None:
            return x @ (self._effective.T if transposed else self._effective)
        first, *rest = (network.currents(x, transposed=transposed) for network in self._networks)
        return (first - rest[0] if rest else first) / self._scale.siemens_per_weight

    def _take(self, weights: NDArray[np.float32]) -> None:
        self._effective, self._served, self._held = None, 0, None
        for k, g in enumerate(self._scale.conductances(weights.T)):
            self._networks[k]._take(np.ascontiguousarray(g))
        self._held = weights.copy()


def _copied(g: Array, wires: Wires, warm_start: bool) -> Network:
    return Network(g, wires, warm_start=warm_start)


def solve_network(
    voltages: ArrayLike,
    resistances: ArrayLike,
    *,
    r_word: Any,
    r_bit: Any,
    r_driver: Any = 0.0,
    r_sense: Any = 0.0,
    drivers: str = "left",
    sensors: str = "bottom",
    transposed: bool = False,
    nonlinearity: float = 0.0,
    method: str | None = None,
    tolerance: float = 1e-13,
    max_iterations: int = 1000,
) -> NetworkSolution:
    """Solve the resistor network of an array for all of its voltages and currents.

    Every device carries i = (v - u) / R, or i = sinh(alpha (v - u)) / (alpha R) with a nonlinearity alpha; every node keeps
    Kirchhoff's current law.

    Parameters
    ----------
    voltages : array_like (m,) or (vectors, m)
        Of the drivers of the word lines, volt; for a transposed read (n,) or (vectors, n), of the sensors of the bit lines,
        while the drivers are at 0 volt.
    resistances : array_like (m, n)
        Of the devices, ohm: infinity for an open device, 0 for a shorted one.
    r_word, r_bit : float or sequence of float
        Of one segment of a word line and of a bit line, ohm; a sequence has one number per line. 0 is an ideal conductor,
        infinity an open line.
    r_driver, r_sense : float or sequence of float, default 0
        Of a driver and of a sensor, ohm.
    drivers : {"left", "both"}
    sensors : {"bottom", "both"}
        Where they are; see `Wires`.
    transposed : bool, default False
        Apply the voltages to the bit lines, and sense the currents of the word lines.
    nonlinearity : float, default 0
        alpha of the devices, 1/volt. R is then their resistance at small voltages.
    method : {None, "cg", "direct"}
        Conjugate gradients with exact solves of all lines (see `Network`), or a sparse factorisation. None: "cg" unless a
        device is shorted, which only "direct" can take.
    tolerance : float, default 1e-13
    max_iterations : int, default 1000
        Of conjugate gradients; see `Wires`.

    Returns
    -------
    NetworkSolution
        Where ideal conductors make a loop, currents divide in it as between equal small resistances.

    Raises
    ------
    ValueError
        If a resistance is negative or NaN, shapes do not fit, nodes have no path to a terminal, no bit line has a path to
        its sensor, or ideal conductors join terminals of different voltages.
    ConvergenceError
        If an iteration does not converge.

    See Also
    --------
    Network : keeps the factors for many calls; much faster for output currents alone.

    Notes
    -----
    Lines, segments and signs are those of badcrossbar (Joksas and Mehonic, SoftwareX 12, 2020), with the vectors of a batch on
    the first axis where it has them on the last: its `compute(voltages, resistances, r_i)` has voltages (m, vectors) and arrays
    (m, n, vectors). Its output currents agree as they are.

    The sinh law is that of hopping and tunnelling devices, as in Yang et al., Nature Nanotechnology 3, 429 (2008), Eq. 1.

    Examples
    --------
    A single device between two segments of 1 ohm:

    >>> import rpusim as rpu
    >>> solution = rpu.solve_network([1.0], [[8.0]], r_word=1.0, r_bit=1.0)
    >>> solution.currents
    array([0.1])
    >>> round(float(solution.bit_voltages[0, 0]), 12), round(float(solution.power), 12)
    (0.1, 0.1)
    """
    r = real_array("resistances", resistances, (None, None), low=0.0, infinite=True)
    _check_size("resistances", r)
    wires = Wires(r_word, r_bit, r_driver, r_sense, drivers, sensors, tolerance, max_iterations)
    shorted = r == 0.0
    if method is not None:
        choice("cg", "direct")("method", method)
    if shorted.any():
        where = tuple(int(i) for i in np.argwhere(shorted)[0])
        if method == "cg":
            raise ValueError(f"method must be 'direct' or None where a device is shorted, as that at {where}; got 'cg'")
        if nonlinearity:
            raise ValueError(f"nonlinearity must be 0 where a device is shorted, as that at {where}; got {nonlinearity!r}")
        method = "direct"
    if method == "direct":
        if nonlinearity:
            raise ValueError(f"nonlinearity must be 0 where method is 'direct'; got {nonlinearity!r}")
        return _solve_direct(voltages, r, wires, boolean("transposed", transposed))
    with np.errstate(divide="ignore", over="ignore"):
        g = 1.0 / r
    if not np.isfinite(g).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(g))[0])
        raise ValueError(f"resistances must be 0 or of at least {1 / np.finfo(float).max:.3g} ohm; got {r[where]} at {where}")
    sources = r.shape[1 if boolean("transposed", transposed) else 0]
    v = real_array("voltages", voltages, (None, sources) if np.ndim(voltages) != 1 else (sources,))
    return Network(g, wires).solution(v, transposed=transposed, nonlinearity=nonlinearity)


# ---- writes ----------------------------------------------------------------------------------------------------------


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
    _check_size("conductances", g)
    words, bits = instance(Wires, "a Wires")("wires", wires)._lines(*g.shape)
    _check_closed(wires, words, bits, "written")
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


# ---- what both methods share -----------------------------------------------------------------------------------------


def _check_size(name: str, values: Array) -> None:
    if values.size == 0:
        raise ValueError(f"{name} must have at least one row and one column; got shape {values.shape}")


def _check_closed(wires: Wires, words: Array, bits: Array, done: str) -> None:
    if not (np.isfinite(words[:2]).all() and np.isfinite(bits[:2]).all()):
        raise ValueError(f"wires must be finite resistances where an array is {done} through them; got {wires!r}")


def _largest(x: Array) -> Array:
    return np.abs(x).max(axis=(1, 2), initial=0.0)


class _Branches(NamedTuple):
    """Resistors of finite resistance between two nodes each: first all word nodes, all bit nodes, then the terminals."""

    start: NDArray[np.intp]
    end: NDArray[np.intp]
    ohm: Array
    nodes: int
    terminals: int  # the last so many nodes


def _branches(r: Array, words: Array, bits: Array) -> _Branches:
    rows, columns = r.shape
    count = 2 * r.size + rows + columns
    word = np.arange(r.size).reshape(r.shape)
    bit = word + r.size
    word_end, bit_end = np.arange(2 * r.size, count)[:rows], np.arange(2 * r.size, count)[rows:]
    parts = [
        (word, bit, r),
        (word[:, :-1], word[:, 1:], words[0][:, None]),
        (word_end, word[:, 0], words[1]),
        (word[:, -1], word_end, words[2]),
        (bit[:-1], bit[1:], bits[0]),
        (bit[-1], bit_end, bits[1]),
        (bit_end, bit[0], bits[2]),
    ]
    start, end = (np.concatenate([np.ravel(part[k]) for part in parts]) for k in (0, 1))
    ohm = np.concatenate([np.broadcast_to(part[2], np.shape(part[0])).ravel() for part in parts])
    finite = np.isfinite(ohm)
    return _Branches(start[finite], end[finite], ohm[finite], count, rows + columns)


def _joined(branches: _Branches, chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """A label per node, the same for nodes that the chosen branches join."""
    from scipy import sparse
    from scipy.sparse import csgraph

    pairs = (branches.start[chosen], branches.end[chosen])
    graph = sparse.coo_matrix((np.ones(len(pairs[0])), pairs), shape=(branches.nodes, branches.nodes))
    return csgraph.connected_components(graph, directed=False)[1]


def _check_paths(conducts: NDArray[np.bool_], words: Array, bits: Array) -> None:
    """Raise ValueError where a potential is not defined, or nothing can be sensed. Only open lines can do that."""
    if np.isfinite(words[:2]).all() and np.isfinite(bits[:2]).all():
        return
    if np.isinf(bits[1]).all():
        raise ValueError("r_bit and r_sense must leave at least one bit line a path to ground; all are open")
    branches = _branches(np.where(conducts, 1.0, math.inf), words, bits)
    labels = _joined(branches, np.ones(len(branches.ohm), dtype=bool))
    floating = ~np.isin(labels, labels[-branches.terminals :])
    if floating.any():
        line, node = divmod(int(np.argmax(floating)), conducts.size)
        where = divmod(node, conducts.shape[1])
        raise ValueError(
            f"resistances and lines must leave every node a path to a driver or to ground; node {where} of the "
            f"{'bit' if line else 'word'} lines has none"
        )


def _segments(device: Array, near: Array, ends: Array) -> Array:
    """Currents through the n + 1 segments of lines, away from the first terminal, with devices (..., n) that draw `device`.

    `ends`: from the first terminal to the line, where both ends have one and the line is no ideal conductor (`near` > 0).
    Of an ideal one, currents divide by the lever rule, as between equal small resistances."""
    n = device.shape[-1]
    lever = np.sum(device * (np.arange(n, 0, -1) / (n + 1)), axis=-1)
    first = np.where(near > 0.0, ends, lever)
    return np.concatenate([first[..., None], first[..., None] - np.cumsum(device, axis=-1)], axis=-1)


def _solution(
    word: Array,
    bit: Array,
    u: Array,
    nodes: Array,
    device: Array,
    lines: tuple[Array, Array],
    transposed: bool,
    batch: bool,
    method: str,
    iterations: int,
    residual: float,
) -> NetworkSolution:
    """The solution with all branch currents, from nodes less their terminals and from the devices' currents.

    The lines' currents are sums of devices' currents, not differences of voltages, which say nothing on an ideal line."""
    words, bits = lines
    if np.isfinite(words[2]).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            word_currents = _segments(device, words[1], -nodes[:, :, 0] / words[1])
    else:
        word_currents = np.cumsum(device[:, :, ::-1], axis=2)[:, :, ::-1]
    if np.isfinite(bits[2]).any():
        down = -np.swapaxes(device, 1, 2)  # devices feed bit lines
        with np.errstate(divide="ignore", invalid="ignore"):
            bit_currents = np.swapaxes(_segments(down, bits[1], -u[:, 0] / bits[1]), 1, 2)
    else:
        bit_currents = np.cumsum(device, axis=1)
    out = -device.sum(axis=2) if transposed else device.sum(axis=1)
    power = np.sum(word * device.sum(axis=2), axis=1) - np.sum(bit * device.sum(axis=1), axis=1)
    arrays = (out, nodes + word[:, :, None], u + bit[:, None, :], device, word_currents, bit_currents, power)
    if not batch:
        arrays = tuple(array[0] for array in arrays)  # type: ignore[assignment]
    return NetworkSolution(*arrays, method, iterations, residual)


# ---- sparse factorisation --------------------------------------------------------------------------------------------


def _solve_direct(voltages: ArrayLike, r: Array, wires: Wires, transposed: bool) -> NetworkSolution:
    """Nodes that ideal conductors join are one unknown; the others follow from one factorisation, refined once or twice."""
    from scipy import sparse
    from scipy.sparse.linalg import splu

    rows, columns = r.shape
    sources = columns if transposed else rows
    batch = np.ndim(voltages) != 1
    v_in = real_array("voltages", voltages, (None, sources) if batch else (sources,)).reshape(-1, sources)
    lines = wires._lines(rows, columns)
    _check_paths(np.isfinite(r), *lines)
    branches = _branches(r, *lines)
    ideal = branches.ohm == 0.0
    labels = _joined(branches, ideal)
    terminals = np.zeros((branches.terminals, len(v_in)))
    terminals[slice(rows, None) if transposed else slice(0, rows)] = v_in.T
    held = labels[-branches.terminals :]
    potential = np.zeros((labels.max() + 1, len(v_in)))
    potential[held] = terminals
    if (potential[held] != terminals).any():
        raise ValueError("resistances must not join terminals of different voltages by ideal conductors alone")

    free = np.ones(len(potential), dtype=bool)
    free[held] = False
    a, b = labels[branches.start[~ideal]], labels[branches.end[~ideal]]
    ohm = branches.ohm[~ideal][:, None]
    incidence = _incidence(a, b, len(potential))
    residual = 0.0
    if free.any():
        matrix = (incidence.T @ sparse.diags(1.0 / ohm[:, 0]) @ incidence).tocsc()[free][:, free]
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}, diag_pivot_thresh=0.0)
        for _ in range(3):
            flow = (potential[a] - potential[b]) / ohm
            potential[free] -= factors.solve((incidence.T @ flow)[free])
        flow = (potential[a] - potential[b]) / ohm
        excess = np.abs((incidence.T @ flow)[free]).max(initial=0.0)
        residual = float(excess / max(np.abs(flow).max(initial=0.0), np.finfo(float).tiny))

    at = potential[labels].T  # (vectors, all nodes)
    word, bit = terminals[:rows].T, terminals[rows:].T
    shape = (len(v_in), rows, columns)
    nodes, u = at[:, : r.size].reshape(shape), at[:, r.size : 2 * r.size].reshape(shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        device = np.where(r > 0.0, (nodes - u) / r, 0.0)
    if (r == 0.0).any():
        device += _ideal_currents(branches, ideal, labels, potential, r).reshape(r.size, -1).T.reshape(shape)
    return _solution(
        word, bit, u - bit[:, None, :], nodes - word[:, :, None], device, lines, transposed, batch, "direct", 0, residual
    )


def _incidence(start: Any, end: Any, nodes: int) -> Any:
    """(branches, nodes): 1 where a branch starts and -1 where it ends; nothing where that is the same."""
    from scipy import sparse

    k = np.arange(len(start))
    ones = np.ones(len(k))
    return sparse.coo_matrix((np.r_[ones, -ones], (np.r_[k, k], np.r_[start, end])), shape=(len(k), nodes)).tocsr()


def _ideal_currents(
    branches: _Branches, ideal: NDArray[np.bool_], labels: NDArray[np.int32], potential: Array, r: Array
) -> Array:
    """(devices, vectors): the currents of shorted devices, and 0 for the others.

    Ideal conductors take up what the resistors bring to their nodes. Given equal resistances, they do it in one way only."""
    from scipy.sparse.linalg import splu

    start, end, ohm = branches.start[~ideal], branches.end[~ideal], branches.ohm[~ideal][:, None]
    brought = -_incidence(start, end, branches.nodes).T @ ((potential[labels[start]] - potential[labels[end]]) / ohm)
    start, end = branches.start[ideal], branches.end[ideal]
    incidence = _incidence(start, end, branches.nodes)
    solved = np.ones(branches.nodes, dtype=bool)
    solved[-branches.terminals :] = False
    lone = np.setdiff1d(labels, labels[-branches.terminals :])  # joined among themselves alone: the first is the reference
    solved[np.unique(labels, return_index=True)[1][lone]] = False
    height = np.zeros_like(brought)
    if solved.any():
        factors = splu((incidence.T @ incidence).tocsc()[solved][:, solved])
        height[solved] = factors.solve(brought[solved])
    out = np.zeros((r.size, brought.shape[1]))
    devices = (start < r.size) & (end >= r.size) & (end < 2 * r.size)
    out[start[devices]] = height[start[devices]] - height[end[devices]]
    return out
