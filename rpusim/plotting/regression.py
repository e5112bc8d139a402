"""Figures of the one- and two-parameter regression (Onen et al. 2022, Figs. 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes

from rpusim._base.validation import instance, shown
from rpusim.experiments import RegressionRun
from rpusim.plotting.style import COLORS, axes
from rpusim.theory.shd import SHDTrajectory

__all__ = ["hidden_against_weight", "residuals", "trajectories"]


_is_run = instance(RegressionRun, "a RegressionRun, as `experiments.regression` returns it")


def _checked(runs: Sequence[RegressionRun]) -> list[RegressionRun]:
    if not isinstance(runs, Iterable) or isinstance(runs, (str, bytes)):
        raise TypeError(f"runs must be a sequence of RegressionRuns; got {shown(runs)}")
    return [_is_run(f"runs[{k}]", run) for k, run in enumerate(runs)]


def trajectories(runs: Sequence[RegressionRun], *, ax: Axes | None = None, continuum: bool = True) -> Axes:
    """Draw weight against samples for one-parameter runs, their targets, and the continuum equations over them."""
    runs = _checked(runs)
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
    runs = _checked(runs)
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
    _is_run("run", run)
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
    path = run.continuum() if continuum else None
    if isinstance(path, SHDTrajectory):
        ax.plot(path.c, path.a, color="k", linewidth=0.8, label="continuum equations")
    ax.set(xlabel="C (a.u.)", ylabel="A (a.u.)")
    ax.legend(loc="best" if len(run.t) < 20_000 else "upper left")
    return ax
