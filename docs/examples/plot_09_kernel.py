"""
A kernel in an array
====================

Random features estimate a Gaussian kernel by products with a matrix that never changes, which may lie on phase-change memory.
More features have smaller errors, until those of the devices remain.
"""

import matplotlib.pyplot as plt
import numpy as np

import rpusim as rpu
from rpusim import applications as apps
from rpusim import plotting

plt.rcParams.update(plotting.style())
x = np.random.default_rng(0).normal(size=(200, 8))
exact = apps.kernel_matrix(x, gamma=0.1)
counts = (16, 64, 256, 1024)
figure, ax = plt.subplots(figsize=(plotting.SINGLE, 2.6))
chip = rpu.inference.chips.get("hermes")
for name, array, t in (("exact", None, 0.0), ("on a chip, a day later", chip, 86400.0)):
    errors = []
    for n in counts:
        features = apps.RandomFeatures(8, n, gamma=0.1, array=array, rng=0)
        errors.append(apps.kernel_error(exact, features.kernel_matrix(x, t_inference_s=t)))
    ax.loglog(counts, errors, "o-", label=name)
ax.set_xlabel("features")
ax.set_ylabel("error of the kernel")
ax.legend()
