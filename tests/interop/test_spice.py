"""Netlists, whose operating points ngspice and we agree on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import rpusim as rpu
from rpusim.interop.spice import currents, netlist

with_ngspice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
DRAW = np.random.default_rng(0)
G = DRAW.uniform(1e-6, 1e-4, (12, 9))
V = DRAW.uniform(-0.3, 0.3, 12)


@with_ngspice
@pytest.mark.parametrize("wires", [
    rpu.Wires(r_word=2.0, r_bit=3.0),
    rpu.Wires(r_word=2.0, r_bit=3.0, r_driver=50.0, r_sense=100.0, drivers="both", sensors="both"),
    rpu.Wires(r_word=0.0, r_bit=5.0, r_driver=20.0),
    rpu.Wires(r_word=5.0, r_bit=0.0),
    rpu.Wires(r_word=tuple(DRAW.uniform(1, 5, 12)), r_bit=1.0, r_sense=tuple(DRAW.uniform(0, 50, 9))),
])  # fmt: skip
def test_operating_points_agree(wires):
    g = G.copy()
    g[3, 4] = g[0, 0] = 0.0  # open devices
    ours = rpu.wires.Network(g, wires.replace(tolerance=1e-13)).currents(V)
    theirs = currents(netlist(g, V, wires))
    assert np.abs(theirs / ours - 1).max() < 1e-9
    assert np.abs(V @ g / ours - 1).max() > 1e-4  # that there are wires shows


@with_ngspice
def test_devices_of_sinh_law_agree():
    wires = rpu.Wires(r_word=2.0, r_bit=3.0)
    ours = rpu.solve_network(V, 1 / G, r_word=2.0, r_bit=3.0, nonlinearity=4.0).currents
    theirs = currents(netlist(G, V, wires, nonlinearity=4.0))
    assert np.abs(theirs / ours - 1).max() < 1e-8
    assert np.abs(rpu.wires.Network(G, wires).currents(V) / ours - 1).max() > 1e-2


@with_ngspice
def test_what_is_no_netlist_is_said():
    with pytest.raises(RuntimeError, match="ngspice found no operating point"):
        currents("* nothing\nRx a b\n.end\n")


def test_netlists_have_a_resistor_for_every_device_and_segment():
    text = netlist(G, V, rpu.Wires())
    assert text.count("\nRd") == G.size and text.count("\nRw") == 12 * 9 and text.count("\nRb") == 12 * 9
    assert text.count("\nVw") == 12 and text.count("print i(Vb") == 9


def test_arguments_are_checked():
    with pytest.raises(FileNotFoundError, match="program must be installed"):
        currents("", program="no-such-program")
    with pytest.raises(ValueError, match=r"v must have shape \(12,\)"):
        netlist(G, V[:3], rpu.Wires())
    with pytest.raises(ValueError, match="conductances must hold finite numbers of at least 0"):
        netlist(-G, V, rpu.Wires())
    with pytest.raises(TypeError, match="wires must be a Wires"):
        netlist(G, V, 1.0)
