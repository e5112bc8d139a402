"""Tiles beside the oracle: noise-free devices and schemes, and the oracle's writes of an array."""

from __future__ import annotations

import functools

import numpy as np

from rpusim import Periphery, PulseScheme
from rpusim.devices import ConstantStep, Ideal, SoftBounds

from . import algorithms, devices

NO_SPREAD = dict(dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
EXACT = Periphery.ideal()
DETERMINISTIC = dict(desired_bl=15, update_management=True, update_bl_management=True)
SCHEME = PulseScheme(pulse_type="deterministic_implicit", **DETERMINISTIC)
TRANSFER = dict(desired_bl=7, update_management=True, update_bl_management=False)
TRANSFER_SCHEME = PulseScheme(pulse_type="deterministic_implicit", **TRANSFER)


def pulse_of(array):
    """The oracle's noise-free pulse (w, up) for all devices of `array`."""
    p = {name: value.astype(np.float64) for name, value in array.parameters.items()}
    common = dict(s_up=p["step_up"], s_dn=p["step_down"], b_max=p["w_max"], b_min=p["w_min"])
    if isinstance(array.device, ConstantStep):
        return functools.partial(devices.constant_step, **common)
    if isinstance(array.device, SoftBounds):
        return functools.partial(devices.soft_bounds, **common)
    gammas = dict(gam_up=-p["slope_up"] / p["step_up"], gam_dn=-p["slope_down"] / p["step_down"], ref_up=1, ref_dn=1)
    return functools.partial(devices.linear_step, **common, **gammas)


def writer(array, scheme):
    if isinstance(array.device, Ideal):
        return lambda w, x, d, lr: w - lr * np.outer(d, x)
    return lambda w, x, d, lr: algorithms.write(w, x, d, lr, array.device.dw_min, scheme, pulse_of(array))


def vectors(n, shape, seed=61):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.6, (n, shape[1])).astype(np.float32), rng.normal(0, 0.8, (n, shape[0])).astype(np.float32)
