"""
A chip after a year
===================

A small network is trained, written onto phase-change memory ten times, and read after a second, an hour, a day, a month and a
year, with a compensation of drift and without.
"""

import matplotlib.pyplot as plt
import numpy as np

import rpusim as rpu
from rpusim import plotting

plt.rcParams.update(plotting.style())
rng = np.random.default_rng(0)
labels = rng.integers(0, 6, 1200)
x = rng.normal(size=(6, 48))[labels] + 2.4 * rng.normal(size=(1200, 48))
rule = rpu.algorithms.DigitalSGD()
net = rpu.nn.Sequential(rpu.nn.Linear(48, 32, rule), rpu.nn.ReLU(), rpu.nn.Linear(32, 6, rule))
rpu.nn.Trainer(net, lr=0.02, rng=0, batch_size=10).fit((x[:800], labels[:800]), epochs=10, progress=False)

times = [1.0, 3600.0, 86400.0, 2.6e6, 3.15e7]
results = {}
for name, compensation in (("compensated", rpu.inference.Compensation()), ("not compensated", None)):
    chip = rpu.inference.Chip(rpu.inference.PCM(), compensation=compensation)
    results[name] = rpu.inference.evaluate(net, (x[800:], labels[800:]), times, chip=chip, programmings=10, progress=False)

figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.DOUBLE, 2.8))
plotting.conductance_trajectories(rpu.inference.Chip(rpu.inference.PCM()), ax=left, devices=20)
plotting.inference_curve(results, ax=right)

# %%
print(results["compensated"])
