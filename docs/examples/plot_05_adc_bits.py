"""
Bits and range of an ADC
========================

The error of products of a 64 x 256 matrix with random inputs, against the bits of the ADCs, for three ranges. A range that is
too small clips, one that is too large wastes levels: more bits do not help the first.
"""

import matplotlib.pyplot as plt
import numpy as np

import rpusim as rpu
from rpusim import plotting

plt.rcParams.update(plotting.style())
rng = np.random.default_rng(0)
x, w = rng.uniform(-1.0, 1.0, (100, 256)), np.clip(rng.normal(0.0, 0.2, (64, 256)), -0.6, 0.6)
exact = x @ w.T
bits = range(4, 11)

figure, ax = plt.subplots(figsize=(plotting.SINGLE, 2.6))
for bound in (3.0, 6.0, 12.0):
    errors = []
    for b in bits:
        adc = rpu.ADC(bits=b, bound=bound, noise=0.0)
        read = rpu.Periphery(dac=rpu.DAC(bits=None), adc=adc, bound_management="none")
        array = rpu.CrossbarArray(w.shape, rpu.devices.Ideal(), forward=read, rng=0)
        array.program(w)
        errors.append(np.std(array.forward(x) - exact) / np.std(exact))
    ax.semilogy(bits, np.array(errors) * 100.0, "o-", label=f"range {bound:g}")
ax.set_xlabel("bits")
ax.set_ylabel("error (% of the outputs)")
ax.legend()
