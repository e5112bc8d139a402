"""Arrays whose lines have resistance: the exact currents and node voltages, by Ohm's and Kirchhoff's laws.

Word lines run to the right, from drivers on their left ends; bit lines run down, to sensors that hold their lower ends at
0 volt. Node (i, j) of word line i and of bit line j are joined by device (i, j). A line has one segment between neighbouring
nodes and one from its last node to its terminal, where the resistance of the driver or of the sensor is added.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.notebook import as_html
from rpusim._base.validation import axes_of, boolean, choice, instance, real, real_array, shown
from rpusim._core.wires import NetworkCore
from rpusim.wires.direct import check_paths, solve_direct
from rpusim.wires.lines import Array, Wires, check_size, largest_of
from rpusim.wires.solution import ConvergenceError, NetworkSolution, solution_from, solution_of

__all__ = ["Network", "solve_network"]

#: Largest nonlinearity times voltage: beyond it the currents leave float64.
STEEPEST = 300.0


NEWTON_STEPS = 100


LINE_SEARCH = 60


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
        check_size("conductances", g)
        self._wires: Wires = instance(Wires, "a Wires")("wires", wires)
        self._warm = boolean("warm_start", warm_start)
        self._lines = words, bits = self._wires._lines(*g.shape)
        self._core = NetworkCore(words, bits, self._wires.tolerance, self._wires.max_iterations)
        self._take(g)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"Network({rows} x {columns}, {self._wires!r})"

    _repr_html_ = as_html

    def _html_rows(self) -> list[tuple[str, Any]]:
        return [("shape", self.shape), ("wires", self._wires)]

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
        check_paths(g > 0.0, *self._lines)
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
        elif np.may_share_memory(out, v_in):
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
                f"got {shown(nonlinearity)}"
            )
        rows, columns = self.shape
        word, bit = np.zeros((len(v_in), rows)), np.zeros((len(v_in), columns))
        (bit if transposed else word)[:] = v_in
        u, nodes = np.empty((2, len(v_in), rows, columns))
        sides = self._lines, transposed, batch
        if alpha == 0.0:
            device, sums, ends = (
                np.empty_like(u),
                (np.empty_like(word), np.empty_like(bit)),
                (np.empty_like(word), np.empty_like(bit)),
            )
            with self._core.lock:
                self._check(self._core.py_solution(word, bit, u, nodes, None, None, self._g, device, *sums, *ends))
                iterations, residual = (self._core.iterations, self._core.residual) if len(v_in) else (0, 0.0)
            return solution_of(word, bit, u, nodes, device, sums, ends, *sides, "cg", iterations, residual)
        with self._core.lock:
            self._check(self._core.py_solution(word, bit, u, nodes))
            across = nodes - u + (word[:, :, None] - bit[:, None, :])
            device, iterations, residual = self._newton(word, bit, u, nodes, across, self._g * across, alpha)
        return solution_from(word, bit, u, nodes, device, *sides, "newton", iterations, residual)

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
                asked = np.maximum(largest_of(flow[taking_part]), np.finfo(float).tiny)
                error[taking_part] = largest_of(flow[taking_part] - carried[taking_part]) / asked
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
        batch = axes_of(v) != 1
        return real_array("v", v, (None, lines) if batch else (lines,)).reshape(-1, lines), batch

    def _check(self, converged: bool) -> None:
        if not converged:
            raise ConvergenceError(
                f"conjugate gradients have not converged in {self._core.iterations} iterations: relative residual "
                f"{self._core.residual:.3g}, tolerance {self._core.tolerance:g}"
            )


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
    check_size("resistances", r)
    wires = Wires(r_word, r_bit, r_driver, r_sense, drivers, sensors, tolerance, max_iterations)
    shorted = r == 0.0
    if method is not None:
        choice("cg", "direct")("method", method)
    if shorted.any():
        where = tuple(int(i) for i in np.argwhere(shorted)[0])
        if method == "cg":
            raise ValueError(f"method must be 'direct' or None where a device is shorted, as that at {where}; got 'cg'")
        if nonlinearity:
            raise ValueError(f"nonlinearity must be 0 where a device is shorted, as that at {where}; got {shown(nonlinearity)}")
        method = "direct"
    if method == "direct":
        if nonlinearity:
            raise ValueError(f"nonlinearity must be 0 where method is 'direct'; got {shown(nonlinearity)}")
        return solve_direct(voltages, r, wires, boolean("transposed", transposed))
    with np.errstate(divide="ignore", over="ignore"):
        g = 1.0 / r
    if not np.isfinite(g).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(g))[0])
        raise ValueError(f"resistances must be 0 or of at least {1 / np.finfo(float).max:.3g} ohm; got {r[where]} at {where}")
    sources = r.shape[1 if boolean("transposed", transposed) else 0]
    v = real_array("voltages", voltages, (None, sources) if axes_of(voltages) != 1 else (sources,))
    return Network(g, wires).solution(v, transposed=transposed, nonlinearity=nonlinearity)
