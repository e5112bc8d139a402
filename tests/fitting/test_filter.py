"""The compiled filter finds what plain NumPy does, pulse by pulse."""

import dataclasses

import numpy as np
import pytest
from oracle import fitting as oracle

import rpusim as rpu
from rpusim.fitting import _filter, forms
from rpusim.fitting.data import packed
from rpusim.fitting.likelihood import Problem, minus_log
from rpusim.fitting.models import MODELS, template_of

BOUNDS = {"w_max": 0.7, "w_min": -0.55}
CURVE = {"dw_min": 0.05, "up_down": 0.2, **BOUNDS}
SHAPES = {
    "ConstantStep": {},
    "LinearStep": {"gamma_up": 0.7, "gamma_down": -0.3},
    "SoftBounds": {},
    "ExpStep": {"A_up": 0.3, "A_down": 0.2, "gamma_up": 1.5, "gamma_down": 2.0},
    "PowStep": {"pow_gamma": 1.6, "pow_up_down": -0.2},
    "PiecewiseStep": {
        **{f"piecewise_up[{k}]": y for k, y in enumerate((1.6, 1.3, 1.0, 0.7, 0.5))},
        **{f"piecewise_down[{k}]": y for k, y in enumerate((0.4, 0.8, 1.0, 1.2, 1.5))},
    },
}
NOISES = [
    {"dw_min_std": 0.5, "read_noise": 0.02},
    {"dw_min_std": 0.3, "read_noise": 0.01, "slow_noise": 0.03, "slow_time": 7.0},
    {"dw_min_std": 0.0, "read_noise": 0.1},
    {"dw_min_std": 2.0, "read_noise": 0.003, "slow_noise": 0.001, "slow_time": 40.0},
]


def ramps(seed, pulses=60):
    """Walks with gaps, up and down, of different lengths, that reach both bounds and stay there."""
    rng = np.random.default_rng(seed)
    up = [np.clip(-0.55 + np.cumsum(rng.normal(0.03, 0.02, n)), -0.6, 0.72) for n in (pulses, pulses - 13)]
    down = [np.clip(0.7 - np.cumsum(rng.normal(0.03, 0.02, n)), -0.6, 0.72) for n in (pulses - 5, pulses, pulses - 1)]
    for one in (*up, *down):
        one[rng.integers(1, len(one), 4)] = np.nan
    return packed(up, down, [0] * 2, [0] * 3)


@pytest.mark.parametrize("unreached", [frozenset(), frozenset({"w_max"}), frozenset({"w_min", "w_max"})])
@pytest.mark.parametrize("name", list(MODELS))
def test_the_filter_finds_what_numpy_finds(name, unreached):
    """Several sets at once, each as it is alone; what is missing, clipped or slow included."""
    data, model = ramps(7), MODELS[name]
    problem = Problem(data, model, template_of(model, None), (), {}, unreached)
    sets = [{**CURVE, **SHAPES[name], **noise} for noise in NOISES]
    trace = problem.trace(sets)
    low = -np.inf if "w_min" in unreached else BOUNDS["w_min"]
    high = np.inf if "w_max" in unreached else BOUNDS["w_max"]
    for k, values in enumerate(sets):
        others = {n: values[n] for n in ("read_noise", "slow_noise", "slow_time") if n in values}
        e, s, loss = oracle.innovations(device(name, values), data.y, data.direction, **others, low=low, high=high)
        np.testing.assert_allclose(trace.e[:, k], e, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(trace.s[:, k], s, rtol=1e-9, atol=1e-18)
        assert minus_log(trace)[k] == pytest.approx(loss, rel=1e-11)
    assert np.isnan(trace.e).sum() == len(sets) * (5 + np.isnan(data.y[1:]).sum())


def device(name, values):
    """The device of these values, built without the fit."""
    tables = {}
    for key in ("piecewise_up", "piecewise_down"):
        if f"{key}[0]" in values:
            tables[key] = tuple(values[f"{key}[{k}]"] for k in range(5))
    cls = getattr(rpu.devices, name)
    fields = {f.name for f in dataclasses.fields(cls)}
    fixed = {"ExpStep": {"a": 1.0, "b": 0.0}, "LinearStep": {"allow_increasing": True}}.get(name, {})
    return cls(**{k: v for k, v in values.items() if k in fields}, **tables, **fixed)


@pytest.mark.parametrize("kept", [{"mult_noise": False}, {"reverse_up": True, "mean_bound_reference": False}])
def test_other_fields_of_a_device_count(kept):
    """Noise that does not follow the step; a slope from the other bound."""
    data, model = ramps(3), MODELS["LinearStep"]
    values = {**CURVE, **SHAPES["LinearStep"], **NOISES[0]}
    trace = Problem(data, model, template_of(model, rpu.devices.LinearStep(**kept)), (), {}).trace([values])
    one = device("LinearStep", values).replace(**kept)
    e, s, _ = oracle.innovations(one, data.y, data.direction, 0.02, low=BOUNDS["w_min"], high=BOUNDS["w_max"])
    np.testing.assert_allclose(trace.e[:, 0], e, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(trace.s[:, 0], s, rtol=1e-9)


@pytest.mark.parametrize("name", list(MODELS))
def test_responses_are_those_of_plain_steps(name):
    one = device(name, {**CURVE, **SHAPES[name]})
    for sign, start in ((1.0, -0.5), (-1.0, 0.65)):
        w = [start]
        for _ in range(50):
            up, down = one.steps_of(one.mean_parameters(), np.array(w[-1]))
            w.append(float(np.clip(w[-1] + (up if sign > 0 else -down), one.w_min, one.w_max)))
        np.testing.assert_allclose(forms.response(one, start, sign, 51), w, rtol=1e-11)


def test_arrays_that_do_not_fit_together_are_refused():
    good = (np.ones((2, 5)), np.ones(2), "affine", np.ones((3, 2, 4)), np.ones((3, 6)), np.ones((3, 2)), np.ones((5, 3, 2)))
    _filter.run(*good)
    for k, wrong in ((1, np.ones(3)), (3, np.ones((3, 1, 4))), (3, np.ones((3, 2, 1))), (4, np.ones((3, 5))),
                     (5, np.ones((2, 2))), (6, np.ones((5, 3, 1)))):  # fmt: skip
        with pytest.raises(ValueError, match="3 sets and 2 ramps"):
            _filter.run(*good[:k], wrong, *good[k + 1 :])
    for numbers, values in ((np.ones(3), 4), (np.ones(4), 0)):
        with pytest.raises(ValueError, match="numbers of the form power must be 4 or more"):
            _filter.respond("power", numbers, 1.0, 0.0, -1.0, 1.0, values)
