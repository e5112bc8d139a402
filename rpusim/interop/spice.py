"""Arrays with resistive lines as netlists of SPICE, to be simulated beside circuits of one's own.

Nothing is needed to write one; `currents` runs ngspice where it is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim._base.validation import instance, physical, real_array
from rpusim.wires import Network, Wires

__all__ = ["currents", "netlist"]

_alpha = physical(0.0)


class _Line:
    """One word or bit line: names of its nodes, where segments without resistance join two, and its resistors."""

    def __init__(self, letter: str, index: int, nodes: int, segment: float) -> None:
        self.letter, self.index, self.segment = letter, index, segment
        self.joined = segment == 0.0
        self.nodes = nodes

    def node(self, k: int) -> str:
        """Name of the node with the k-th device."""
        return f"{self.letter}{self.index}" if self.joined else f"{self.letter}{self.index}_{k}"

    def resistors(self) -> Iterator[str]:
        """The segments between nodes."""
        if not self.joined and self.segment < np.inf:
            for k in range(self.nodes - 1):
                yield f"R{self.letter}{self.index}_{k} {self.node(k)} {self.node(k + 1)} {self.segment!r}"

    def source(self, end: int, side: str, volts: float, resistance: float) -> Iterator[str]:
        """A terminal at one end: a source, behind the last segment and what is in series."""
        if resistance == np.inf:
            return
        name, node = f"{self.letter}{self.index}{side}", self.node(end)
        if resistance > 0.0:
            yield f"R{name} t{name} {node} {resistance!r}"
            node = f"t{name}"
        yield f"V{name} {node} 0 DC {volts!r}"


def _per_line(value: Any, count: int) -> list[float]:
    return [float(one) for one in np.broadcast_to(np.asarray(value, dtype=np.float64), (count,))]


def netlist(
    conductances: ArrayLike, v: ArrayLike, wires: Wires, *, nonlinearity: float = 0.0, title: str = "array with resistive lines"
) -> str:
    """Return the netlist of an array whose word lines are driven.

    Word line i has nodes ``wI_J``, bit line j ``bI_J`` likewise by line and device (one node ``wI`` where segments have no
    resistance), drivers are sources ``Vw0l`` ... on the left (``r`` on the right), and sensors sources of 0 V ``Vb0b`` ... at
    the bottom (``t`` at the top), whose currents are what is read. The control section prints these with all digits.

    Parameters
    ----------
    conductances : array_like (m, n)
        Siemens, m word lines, n bit lines.
    v : array_like (m,)
        Voltages of the drivers, volt.
    wires : Wires
    nonlinearity : float, default 0
        alpha of devices that carry G sinh(alpha v) / alpha, in 1/V.
    title : str

    Returns
    -------
    str

    Examples
    --------
    >>> import rpusim as rpu
    >>> text = netlist([[0.25, 0.5]], [0.2], rpu.Wires(r_word=1.0, r_bit=0.0))
    >>> print(text.split(".control")[0].strip())
    * array with resistive lines
    Rw0_0 w0_0 w0_1 1.0
    Rw0l tw0l w0_0 1.0
    Vw0l tw0l 0 DC 0.2
    Vb0b b0 0 DC 0.0
    Vb1b b1 0 DC 0.0
    Rd0_0 w0_0 b0 4.0
    Rd0_1 w0_1 b1 2.0
    """
    g = real_array("conductances", conductances, (None, None), low=0.0)
    rows, columns = g.shape
    volts = real_array("v", v, (rows,))
    alpha = _alpha("nonlinearity", nonlinearity)
    Network(g, instance(Wires, "a Wires")("wires", wires))  # refuses what has no solution
    words = [_Line("w", i, columns, r) for i, r in enumerate(_per_line(wires.r_word, rows))]
    bits = [_Line("b", j, rows, r) for j, r in enumerate(_per_line(wires.r_bit, columns))]
    lines = [f"* {' '.join(title.split())}"]
    for line in (*words, *bits):
        lines += line.resistors()
    for line, volt, r in zip(words, volts, _per_line(wires.r_driver, rows), strict=True):
        lines += line.source(0, "l", float(volt), r + line.segment)
        if wires.drivers == "both":
            lines += line.source(columns - 1, "r", float(volt), r + line.segment)
    sensors = []
    for line, r in zip(bits, _per_line(wires.r_sense, columns), strict=True):
        ends = [*line.source(rows - 1, "b", 0.0, r + line.segment)]
        if wires.sensors == "both":
            ends += line.source(0, "t", 0.0, r + line.segment)
        sensors += [one.split()[0] for one in ends if one.startswith("V")]
        lines += ends
    for (i, j), one in np.ndenumerate(g):
        if one > 0.0:
            lines.append(_device(f"d{i}_{j}", words[i].node(j), bits[j].node(i), float(one), alpha))
    printed = "\n".join(f"print i({name})" for name in sensors)
    tight = "set numdgt=16\noption reltol=1e-13 abstol=1e-20 vntol=1e-15"
    return "\n".join([*lines, f".control\n{tight}\nop\n{printed}\nquit 0\n.endc", ".end"]) + "\n"


def _device(name: str, word: str, bit: str, siemens: float, alpha: float) -> str:
    if alpha == 0.0:
        return f"R{name} {word} {bit} {1.0 / siemens!r}"
    return f"B{name} {word} {bit} I={siemens / alpha!r}*sinh({alpha!r}*V({word},{bit}))"


def currents(text: str, *, program: str = "ngspice") -> NDArray[np.float64]:
    """Return the currents of the sensors, ampere, as ngspice finds them for what `netlist` wrote.

    Parameters
    ----------
    text : str
    program : str, default "ngspice"

    Returns
    -------
    ndarray (n,)

    Raises
    ------
    FileNotFoundError
        If the program is not installed.
    RuntimeError
        If it does not find a solution.

    Examples
    --------
    >>> import numpy as np, rpusim as rpu
    >>> text = rpu.interop.spice.netlist(np.full((2, 2), 1e-5), [0.2, 0.2], rpu.Wires())
    >>> rpu.interop.spice.currents(text).shape  # doctest: +SKIP
    (2,)
    """
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"program must be installed, as ngspice is by the package of that name; got {program!r}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "array.cir")
        path.write_text(text, encoding="utf-8")
        run = subprocess.run([found, "-b", str(path)], capture_output=True, text=True)
    sums: dict[int, float] = {}
    for bit, value in re.findall(r"^i\(vb(\d+)[bt]\) = ([-+\d.eE]+)", run.stdout, re.MULTILINE):
        sums[int(bit)] = sums.get(int(bit), 0.0) + float(value)  # from the line into the source
    if run.returncode or not sums:
        said = (run.stderr or run.stdout).strip().splitlines()
        raise RuntimeError(f"{program} found no operating point: {' / '.join(said[-3:]):.300}")
    return np.array([sums.get(j, 0.0) for j in range(max(sums) + 1)])
