"""
Where SGD and SHD end
=====================

One parameter is trained on real pulses, y = w x + noise, to nine targets. SGD on an asymmetric device rests between the target
and the symmetry point of the device, here 0, as theory says. SHD on the same device rests at the target.
"""

import matplotlib.pyplot as plt
import numpy as np

from rpusim import experiments, plotting

plt.rcParams.update(plotting.style())
device = experiments.demo_device("soft-bounds")
rules = {name: experiments.demo_algorithm(name.lower(), device) for name in ("SGD", "SHD")}
runs = experiments.sweep(rules.values(), np.linspace(-0.8, 0.8, 9), steps=20_000, rng=0, progress=False)

figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.DOUBLE, 2.6))
plotting.trajectories(runs[0][::4], ax=left)
left.set_title("SGD")
for name, found in zip(rules, runs, strict=True):
    plotting.residuals(found, ax=right, label=name)
right.set_title("final mean minus target")
right.legend()

# %%
# The numbers behind it:

for name, found in zip(rules, runs, strict=True):
    run = found[-1]
    print(f"{name}: {run.mean[0]:.4f} +- {run.standard_error[0]:.4f} for {run.target[0]:.2f}; theory {run.theory[0]:.4f}")
