"""
What wires take away
====================

128 x 128 devices of 50 kilohm behind lines of 1 ohm for each segment: how much smaller the current of every device is than on
ideal lines, in percent, and the error of every output.
"""

import matplotlib.pyplot as plt
import numpy as np

import rpusim as rpu
from rpusim import plotting

plt.rcParams.update(plotting.style())
v, resistances = np.full(128, 0.2), np.full((128, 128), 50e3)
solution = rpu.solve_network(v, resistances, r_word=1.0, r_bit=1.0)

figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.DOUBLE, 3.0))
plotting.ir_drop_map(solution, v, ax=left)
plotting.output_errors(solution, v @ (1.0 / resistances), ax=right)

# %%
# The same for other sizes of the array: the loss grows with the square of its length.

for n in (32, 64, 128, 256):
    v = np.full(n, 0.2)
    found = rpu.solve_network(v, np.full((n, n), 50e3), r_word=1.0, r_bit=1.0)
    print(f"{n} x {n}: outputs are {100 * (1 - found.currents.sum() / (v.sum() * n / 50e3)):.2f} % too small")
