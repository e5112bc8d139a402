"""
Weights programmed by training
==============================

A 20 x 20 matrix is to be found by training alone, on devices of 100 states between -1 and 1, whose references are off by 0.25
(standard deviation): as in Fig. 4 of Rasch et al. (2024). Version 2 of Tiki-Taka drifts away with the error of its reference,
choppers average it out, and AGAD needs no reference.
"""

import matplotlib.pyplot as plt

import rpusim as rpu
from rpusim import plotting

plt.rcParams.update(plotting.style())
spreads = {"dw_min": 0.02, "dw_min_dtod": 0.3, "dw_min_dtod_log_normal": True, "up_down_dtod": 0.1, "w_max": 1.0, "w_min": -1.0}
settings = {
    "fast": rpu.devices.SoftBounds(**spreads, mult_noise=False),
    "slow": rpu.devices.SoftBoundsReference(**spreads, w_max_dtod=0.0, w_min_dtod=0.0, subtract_symmetry_point=True),
    "transfer_every": 5,
    "fast_lr": 2.0,
    "auto_granularity": 1000.0,
    "reference_offset_std": 0.25,
    "zero_shift": "exact",
    "forward": rpu.Periphery.ideal(),
    "transfer_forward": rpu.Periphery.ideal(),
    "pulses": rpu.PulseScheme(desired_bl=5, update_management=False, update_bl_management=False),
}
rules = {
    "TTv2": rpu.algorithms.ChoppedTikiTaka(**settings, in_chop_prob=0.0, in_chop_random=False),
    "c-TTv2": rpu.algorithms.ChoppedTikiTaka(**settings, in_chop_prob=0.1, in_chop_random=False),
    "AGAD": rpu.algorithms.AGAD(**settings, in_chop_prob=0.1),
}
samples = (1000, 3000, 10_000, 30_000)
figure, ax = plt.subplots(figsize=(plotting.SINGLE, 2.6))
for name, rule in rules.items():
    errors = [100.0 * rpu.reproduce.weight_programming(rule, 0, samples=n) for n in samples]
    ax.loglog(samples, errors, "o-", label=name)
    print(f"{name}: {errors[-1]:.1f} % after {samples[-1]} samples")
ax.set_xlabel("samples")
ax.set_ylabel("error of the weights (%)")
ax.legend()
