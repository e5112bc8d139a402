"""Figures of the one- and two-parameter regression (Onen et al. 2022, Figs. 1 to 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from rpusim import dynamics
from rpusim.array import CrossbarArray
from rpusim.devices import PulsedDevice
from rpusim.dynamics import SHDTrajectory
from rpusim.experiments import RegressionRun
from rpusim.plotting.style import COLORS, axes

__all__ = ["hidden_against_weight", "pulse_response", "residuals", "trajectories"]


def pulse_response(device: PulsedDevice, n_pulses: int | None = None, *, ax: Axes | None = None, rng: int = 0) -> Axes:
    """Draw the state of one device under `n_pulses` up and as many down pulses, and under alternating ones.

    Parameters
    ----------
    device : PulsedDevice
    n_pulses : int, optional
        Pulses per ramp; by default 1.5 times the number of states.
    ax : Axes, optional
    rng : int
        Seed of the device and its noise.
    """
    ax = axes(ax)
    n = int(1.5 * device.number_of_states) if n_pulses is None else n_pulses
    array = CrossbarArray((1, 1), device, rng=rng)
    array.program([[device.w_min]])
    path = [float(array.weights[0, 0])]
    for counts in (np.ones(n, int), -np.ones(n, int), np.resize([1, -1], n)):
        for count in counts:
            array.pulse(int(count))
            path.append(float(array.weights[0, 0]))
    k = np.arange(len(path))
    for first, label, color in ((0, "up", COLORS[0]), (n, "down", COLORS[1]), (2 * n, "alternating", COLORS[2])):
        ax.plot(k[first : first + n + 1], path[first : first + n + 1], color=color, label=label)
    point = float(array.symmetry_point()[0, 0])
    if np.isfinite(point):
        ax.axhline(point, color="0.4", linestyle=":", label="symmetry point")
    ax.set(xlabel="pulse", ylabel="weight (a.u.)")
    ax.legend()
    return ax


def trajectories(runs: Sequence[RegressionRun], *, ax: Axes | None = None, continuum: bool = True) -> Axes:
    """Draw weight against samples for one-parameter runs, their targets, and the continuum equations over them."""
    ax = axes(ax)
    for k, run in enumerate(runs):
        color = COLORS[k % len(COLORS)]
        ax.plot(run.t, run.weights[:, 0], color=color, alpha=0.55, linewidth=0.8)
        ax.axhline(float(run.target[0]), color=color, linestyle=":", linewidth=0.9)
        theory = run.continuum() if continuum else None
        if theory is not None:
            ax.plot(theory.t, theory.c if isinstance(theory, SHDTrajectory) else theory.w, color="k", linewidth=0.9)
    ax.plot([], [], color="0.4", linestyle=":", label="target")
    if continuum:
        ax.plot([], [], color="k", label="continuum equations")
    ax.set(xlabel="sample", ylabel="weight (a.u.)")
    ax.legend(loc="upper right")
    return ax


def residuals(runs: Sequence[RegressionRun], *, ax: Axes | None = None, label: str | None = None) -> Axes:
    """Draw final mean minus target against target, with standard errors, and theory as a line of the same colour."""
    ax = axes(ax)
    target = np.array([float(run.target[0]) for run in runs])
    final = np.array([float(run.mean[0]) for run in runs])
    theory = np.array([float(run.theory[0]) for run in runs])
    error = [float(run.standard_error[0]) for run in runs]
    order = np.argsort(target)
    points = ax.errorbar(target, np.abs(final - target), yerr=error, fmt="o", markersize=4, label=label or "measured")
    ax.plot(target[order], np.abs(theory - target)[order], color=points[0].get_color())
    ax.set(xlabel="target (a.u.)", ylabel="|final mean - target| (a.u.)")
    ax.margins(y=0.15)
    ax.legend()
    return ax


def hidden_against_weight(run: RegressionRun, *, ax: Axes | None = None, continuum: bool = True) -> Axes:
    """Draw A against C of one SHD run, coloured by time, with the continuum equations over it.

    For two parameters, one path for each.
    """
    ax = axes(ax)
    if run.hidden is None:
        raise ValueError(f"run must be one of SHD, which has a hidden weight A; got one of {run.algorithm!r}")
    thin = slice(None, None, max(1, len(run.t) // 20_000))
    for p in range(len(run.target)):
        ax.scatter(
            run.weights[thin, p],
            run.hidden[thin, p],
            c=run.t[thin],
            s=1.0,
            cmap="viridis",
            linewidths=0,
            rasterized=True,
        )
        ax.plot(run.target[p], 0.0, "+", color=COLORS[1], markersize=10, label="target" if p == 0 else None)
    theory = run.continuum() if continuum else None
    if isinstance(theory, dynamics.SHDTrajectory):
        ax.plot(theory.c, theory.a, color="k", linewidth=0.8, label="continuum equations")
    ax.set(xlabel="C (a.u.)", ylabel="A (a.u.)")
    ax.legend(loc="best" if len(run.t) < 20_000 else "upper left")
    return ax
