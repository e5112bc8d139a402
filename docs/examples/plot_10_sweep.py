"""
A study of rates and steps
==========================

SGD on one parameter, over learning rates and step sizes, with three seeds each: the error that is left, as a heat map.
"""

import tempfile

import matplotlib.pyplot as plt

import rpusim as rpu
from rpusim import plotting

plt.rcParams.update(plotting.style())
study = rpu.sweep.Study(
    "regression",
    {"lr": [0.003, 0.01, 0.03, 0.1], "device.dw_min": [0.0003, 0.001, 0.003, 0.01]},
    {"algorithm": "sgd", "device": "soft-bounds", "steps": 3000},
    seeds=3,
)
with tempfile.TemporaryDirectory() as folder:
    results = rpu.sweep.run(study, f"{folder}/study.sqlite", workers=1, progress=False)

figure, ax = plt.subplots(figsize=(plotting.SINGLE, 2.8))
rpu.sweep.heat_map(results, "lr", "device.dw_min", "error", ax=ax)

# %%
for (step,), (mean, error, points) in results.mean("error", by=["device.dw_min"]).items():
    print(f"step {step:g}: error {mean:.4f} +- {error:.4f} over {points} runs")
