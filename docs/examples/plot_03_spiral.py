"""
An orbit and a spiral
=====================

Of Stochastic Hamiltonian Descent the hidden array A is a velocity and the weight C a position. On a symmetric device nothing
damps them, and C orbits the target; the asymmetry of soft bounds is a drag, and C spirals into it.
"""

import matplotlib.pyplot as plt

from rpusim import experiments, plotting

plt.rcParams.update(plotting.style())
figure, axes = plt.subplots(1, 2, figsize=(plotting.DOUBLE, 3.0), sharey=True)
for name, ax in zip(("constant-step", "soft-bounds"), axes, strict=True):
    rule = experiments.demo_algorithm("shd", experiments.demo_device(name))
    run = experiments.regression(rule, 0.3, start=-0.3, noise=0.1, steps=4000, rng=0)
    plotting.hidden_against_weight(run, ax=ax)
    ax.set_title(name)
