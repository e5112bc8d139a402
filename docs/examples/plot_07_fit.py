"""
A device from measured pulses
=============================

Ramps of five devices, here simulated and given in siemens with noise of the reads, become a device with standard errors.
"""

import matplotlib.pyplot as plt
import numpy as np

import rpusim as rpu
from rpusim import plotting

plt.rcParams.update(plotting.style())
alike = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
truth = rpu.devices.SoftBounds(dw_min=0.04, up_down=0.15, w_max=1.0, w_min=-1.0, **alike)
array = rpu.CrossbarArray((1, 5), truth, rng=1)
noise = np.random.default_rng(2)
ramps = {}
for sign in (1, -1):
    array.program(np.full((1, 5), -0.9 * sign))
    values = [array.weights[0]]
    for _ in range(80):
        array.pulse(sign)
        values.append(array.weights[0])
    ramps[sign] = 2e-5 + 1.5e-5 * np.array(values).T + 2e-7 * noise.standard_normal((5, 81))  # siemens

models = ("SoftBounds", "ConstantStep", "PowStep")
result = rpu.fitting.fit(ramps[1], ramps[-1], models, g_min=0.5e-5, g_max=3.5e-5, unit="S", progress=False)
figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.DOUBLE, 2.8))
plotting.fitted_ramps(result, ax=left)
plotting.fit_residuals(result, ax=right)

# %%
print("best first:", ", ".join(score.model for score in result.comparison))
for name in ("dw_min", "up_down", "w_max", "w_min", "dw_min_std"):
    print(f"{name:10} {getattr(truth, name):8.4f} was; found {result.values[name]:8.4f} +- {result.standard_errors[name]:.4f}")

# %%
# It is a device like any other: theory says where its pulses cancel, and arrays are made of it.

print(f"symmetry point {result.device.symmetry_point:.3f}")
print(rpu.CrossbarArray((4, 6), result, rng=0).weights.shape)
