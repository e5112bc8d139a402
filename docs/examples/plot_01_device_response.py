"""
What a device does
==================

Sixty pulses up and sixty down on three published devices, several devices of each, and the mean step of a pulse over the state.
"""

import matplotlib.pyplot as plt

import rpusim as rpu
from rpusim import plotting

plt.rcParams.update(plotting.style())
presets = rpu.devices.presets
devices = {"ReRAM": presets.reram_array_om(), "ECRAM": presets.ecram(dw_min=0.02), "capacitor": presets.capacitor(dw_min=0.02)}

figure, axes = plt.subplots(2, 3, figsize=(plotting.DOUBLE, 4.2))
for (name, device), (above, below) in zip(devices.items(), axes.T, strict=True):
    plotting.pulse_response(device, 60, ax=above, n_devices=3)
    plotting.step_sizes(device, ax=below)
    above.set_title(name)

# %%
# Where the up and the down step are equal is the symmetry point: there a pair of pulses changes nothing, and pulses in turn
# lead to it from everywhere else.

for name, device in devices.items():
    print(f"{name}: {device.number_of_states:.0f} states, symmetry point {device.symmetry_point:.2f}")
