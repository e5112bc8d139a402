"""Fits of devices to ramps: parameters come back within their errors, noises are told apart, files are read."""

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom, chi2, multivariate_normal, norm

import rpusim as rpu
from rpusim.fitting import data as fit_data
from rpusim.fitting import fit, likelihood, models, one, population, read_ramps, result

NO_SPREAD = {"dw_min_dtod": 0, "up_down_dtod": 0, "w_max_dtod": 0, "w_min_dtod": 0}
COMMON = {"dw_min_std": 0.4, "w_max": 0.9, "w_min": -0.8, **NO_SPREAD}
DEVICES = {
    "ConstantStep": rpu.devices.ConstantStep(dw_min=0.03, up_down=0.15, **COMMON),
    "LinearStep": rpu.devices.LinearStep(
        dw_min=0.04, up_down=0.1, gamma_up=0.4, gamma_down=0.6, gamma_up_dtod=0, gamma_down_dtod=0, **COMMON
    ),
    "SoftBounds": rpu.devices.SoftBounds(dw_min=0.04, up_down=0.15, **COMMON),
    "ExpStep": rpu.devices.ExpStep(
        dw_min=0.04, up_down=0.1, A_up=0.2, A_down=0.3, gamma_up=2.5, gamma_down=2.0, a=1.0, b=0.0, **COMMON
    ),
    "PowStep": rpu.devices.PowStep(dw_min=0.1, up_down=0.1, pow_gamma=1.5, pow_up_down=0.1, pow_gamma_dtod=0, **COMMON),
    "PiecewiseStep": rpu.devices.PiecewiseStep(
        dw_min=0.04, up_down=0.1, piecewise_up=(1.6, 1.3, 1.0, 0.7, 0.5), piecewise_down=(0.5, 0.8, 1.0, 1.2, 1.5), **COMMON
    ),
}
#: seeds 0 to n - 1; RPUSIM_TRIALS=100 runs as many of each. A soft bound has the widest spread of errors to watch
TRIALS = {name: int(os.environ.get("RPUSIM_TRIALS", 0)) for name in DEVICES}
TRIALS = {name: n or {"PowStep": 16, "ExpStep": 5, "PiecewiseStep": 16}.get(name, 10) for name, n in TRIALS.items()}
READ_NOISE = 0.01


def simulate(device, seed, n_ramps=5, n_pulses=70):
    """Up and down ramps of one array of `n_ramps` devices, with read noise."""
    array = rpu.CrossbarArray((1, n_ramps), device, rng=seed)
    noise = np.random.default_rng(seed + 1_000_000)
    out = []
    for sign, start in ((1, 0.95 * device.w_min), (-1, 0.95 * device.w_max)):
        array.program(np.full((1, n_ramps), start))
        path = [array.weights[0]]
        for _ in range(n_pulses):
            array.pulse(sign)
            path.append(array.weights[0])
        out.append(np.array(path, float).T + READ_NOISE * noise.standard_normal((n_ramps, n_pulses + 1)))
    return out


@pytest.mark.parametrize("name", list(DEVICES))
def test_parameters_come_back_within_three_standard_errors(name):
    device, trials, z = DEVICES[name], TRIALS[name], {}
    truth = {"read_noise": READ_NOISE}
    for field, value in dataclasses.asdict(device).items():
        truth |= {f"{field}[{k}]": v for k, v in enumerate(value)} if isinstance(value, tuple) else {field: value}
    for seed in range(trials):
        hold = {"w_max": 0.9, "w_min": -0.8} if name == "ExpStep" else {}  # where its steps vanish, before its bounds
        result = fit(*simulate(device, seed), name, g_min=-1, g_max=1, hold=hold)
        for parameter, error in result.standard_errors.items():
            z.setdefault(parameter, []).append((result.values[parameter] - truth[parameter]) / error)
    # ramps of some seeds do not get to a hard bound
    assert all(len(z[p]) >= 0.9 * trials for p in {"dw_min", "up_down", "w_max", "w_min", "dw_min_std"} - set(hold))
    squares = {parameter: float(np.mean(np.square(values))) for parameter, values in z.items()}
    for parameter, values in z.items():
        print(f"{parameter}: {sum(abs(v) <= 3 for v in values)} of {len(values)}, spread {squares[parameter] ** 0.5:.2f}")
    # at a true coverage of 95 in 100, more misses than this have a chance below 1e-4 for any one parameter
    bad = {parameter: sum(abs(v) > 3 for v in values) for parameter, values in z.items()}
    assert max(bad.values()) <= int(binom.ppf(1 - 1e-4, trials, 0.05)), bad
    # with true errors the z are standard normal: neither are they spread wider, nor are errors 2.5 times too wide. Noise is
    # estimated by maximum likelihood, about a curve that was fitted to it: with 14 parameters it is low by 0.7 errors
    limits = {parameter: chi2.ppf(1 - 1e-4, trials) / trials for parameter in squares}
    limits["dw_min_std"] = max(limits["dw_min_std"], 2.25)
    assert all(squares[parameter] < limits[parameter] for parameter in squares), squares
    assert min(squares.values()) > (0.16 if trials >= 10 else 0.0), squares


def correlated(rng, shape, time):
    """Standard normal noise along the last axis that is correlated by exp(-1 / time) from value to value."""
    xi, kept = rng.standard_normal(shape), np.exp(-1 / time)
    for n in range(1, shape[-1]):
        xi[..., n] = kept * xi[..., n - 1] + np.sqrt(1 - kept**2) * xi[..., n]
    return xi


def problem(device, ramps, directions):
    """The likelihood of `device`, of which nothing is fitted, for ramps in weight units."""
    data = fit_data.packed(*([r for r, d in zip(ramps, directions, strict=True) if d == s] for s in (1, -1)), [0], [0])
    model = models.MODELS[type(device).__name__]
    return likelihood.Problem(data, model, models.template_of(model, None), (), {})


def test_likelihood_is_the_density_of_the_values():
    # steps that do not depend on the state, bounds far away: all values are normal, with covariances in closed form
    step, sigma, read, slow, time = 0.02, 0.5, 0.01, 0.03, 6.0
    device = rpu.devices.ConstantStep(dw_min=step, dw_min_std=sigma, w_max=9, w_min=-9, **NO_SPREAD)
    rng = np.random.default_rng(0)
    n = np.arange(40)
    y = -0.3 + step * n + 0.05 * rng.standard_normal(40)
    kept = np.delete(n, [7, 8, 20])
    y[[7, 8, 20]] = np.nan
    for size in (0.0, slow):
        # y_n - y_0 is n steps, their noise, and the reads n minus those of 0
        t = kept[1:]
        decay = np.exp(-np.abs(t[:, None] - t) / time) - np.exp(-t[:, None] / time) - np.exp(-t / time) + 1
        covariance = (step * sigma) ** 2 * np.minimum(t[:, None], t) + read**2 * (1 + np.eye(len(t))) + size**2 * decay
        exact = multivariate_normal(step * t, covariance).logpdf(y[t] - y[0])
        values = {"dw_min": step, "dw_min_std": sigma, "up_down": 0.0, "w_max": 9.0, "w_min": -9.0, "read_noise": read}
        got = problem(device, [y], [1]).log_likelihood(values | {"slow_noise": size, "slow_time": time})
        assert got == pytest.approx(exact, abs=1e-6)


# ---- where everything is normal: the likelihood, its maximum and its curvature in closed form -------------------------


def normal_ramps(slow, seed, n_ramps=2):
    """Constant steps between bounds that are never reached; with slow noise of that size, time 6, more write noise."""
    n_pulses, sigma = 120, 2.0 if slow else 0.8
    rng, out = np.random.default_rng(seed), []
    for sign in (1, -1):
        w = -0.6 * sign + 0.01 * sign * (1 + 0.1 * sign) * np.cumsum(
            1 + sigma * rng.standard_normal((n_ramps, n_pulses)), axis=1
        )
        w = np.concatenate([np.full((n_ramps, 1), -0.6 * sign), w], axis=1)
        out.append(w + 0.015 * rng.standard_normal(w.shape) + slow * correlated(rng, w.shape, 6.0))
    return out


def normal_innovations(values, ramps):
    """Standardised residuals and their standard deviations, by the Cholesky factor of the whole covariance of y_n - y_0."""
    z, sd = [], []
    for sign, of_sign in zip((1, -1), ramps, strict=True):
        n = np.arange(1, of_sign.shape[1])
        step = values["dw_min"] * (1 + sign * values["up_down"])
        covariance = (step * values["dw_min_std"]) ** 2 * np.minimum(n[:, None], n)
        covariance = covariance + values["read_noise"] ** 2 * (1 + np.eye(len(n)))
        if "slow_noise" in values:
            t = values["slow_time"]
            decay = np.exp(-np.abs(n[:, None] - n) / t) - np.exp(-n[:, None] / t) - np.exp(-n / t) + 1
            covariance = covariance + values["slow_noise"] ** 2 * decay
        factor = np.linalg.cholesky(covariance)
        for y in of_sign:
            z.append(np.linalg.solve(factor, y[1:] - y[0] - sign * step * n))
            sd.append(np.diag(factor))
    return np.concatenate(z), np.concatenate(sd)


def normal_log_likelihood(values, ramps):
    z, sd = normal_innovations(values, ramps)
    return -np.sum(np.log(2 * np.pi * sd**2) + z**2) / 2


def normal_curvature(values, ramps):
    """Gradient of the log-likelihood, and the information of the innovations e = z sd of variance S = sd^2."""
    z, sd = normal_innovations(values, ramps)
    slopes = []
    for name, value in values.items():
        h = 1e-5 * value
        sides = [normal_innovations(values | {name: value + s * h}, ramps) for s in (1, -1)]
        (e1, s1), (e0, s0) = ((a * b, b**2) for a, b in sides)
        slopes.append(np.array([(e1 - e0) / sd, (s1 - s0) / sd**2]) / (2 * h))
    de, ds = np.array(slopes).transpose(1, 0, 2)
    return -(de @ z) + ds @ (z**2 - 1) / 2, de @ de.T + ds @ ds.T / 2


@pytest.mark.parametrize("slow, seed", [(0.0, 0), (0.0, 1), (0.0, 2), (0.0, 3), (0.0, 4), (0.15, 6), (0.15, 9)])
def test_fits_are_the_maximum_of_the_likelihood_and_errors_its_curvature(slow, seed):
    """Values to a fiftieth of a standard error, errors to 1e-2: no factor gets through, nor a search that stops early."""
    ramps = normal_ramps(slow, seed)
    hold = {"w_max": 9.0, "w_min": -9.0} | ({} if slow else {"slow_noise": 0.0})
    result = fit(*ramps, "ConstantStep", g_min=-1, g_max=1, hold=hold, criterion="aic")
    names = ["dw_min", "up_down", "dw_min_std", "read_noise", *(["slow_noise", "slow_time"] if slow else [])]
    assert sorted(result.standard_errors) == sorted(names)
    found = {name: result.values[name] for name in names}
    assert result.score.log_likelihood == pytest.approx(normal_log_likelihood(found, ramps), abs=1e-5)
    gradient, information = normal_curvature(found, ramps)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    assert [result.standard_errors[name] for name in names] == pytest.approx(list(errors), rel=1e-2)
    to_the_top = np.linalg.solve(information, gradient)
    assert np.abs(to_the_top / errors).max() < 0.02, dict(zip(names, to_the_top / errors, strict=True))
    k, n = len(names), 4 * 120
    assert (result.score.n_parameters, result.n_values) == (k, n)
    assert result.score.aic == pytest.approx(2 * k - 2 * normal_log_likelihood(found, ramps), abs=1e-5)
    assert result.score.bic == pytest.approx(k * np.log(n) - 2 * normal_log_likelihood(found, ramps), abs=1e-5)


@pytest.mark.parametrize("curvature, settles", [(8.0, True), (100.0, False)])
def test_a_search_that_creeps_stops_where_little_is_left_or_says_that_it_has_not_settled(curvature, settles):
    """-log L = t^2 / 2 for one parameter, with a curvature so much too large that every step goes 1 / curvature of the way."""
    parabola = SimpleNamespace(
        free=("t",),
        theta=lambda values: np.array([values["t"]]),
        values=lambda theta: {"t": float(theta[0])},
        slopes=lambda theta: (float(theta[0] ** 2) / 2, np.array(theta), np.array([[curvature]])),
    )
    values, log_likelihood, settled = one._maximise(parabola, {"t": 5.0})
    assert settled == settles and log_likelihood == pytest.approx(-(values["t"] ** 2) / 2)
    if settles:  # six steps, which go from t to 0.45 t, gained less than 0.01: 0.4 t^2
        assert values["t"] < np.sqrt(0.01 / 0.4) * 1.01
    else:  # 40 steps of a hundredth
        assert values["t"] == pytest.approx(5 * 0.99**40, rel=0.05)


def test_spreads_of_populations_are_those_of_restricted_maximum_likelihood():
    """With equal errors e the spread is sqrt(s^2 - e^2), s^2 the unbiased variance of the estimates, v = s^2 that of each."""
    rng = np.random.default_rng(0)
    for n, e in ((12, 0.05), (40, 0.2), (9, 0.001)):
        x = 1.5 + 0.3 * rng.standard_normal(n)
        v = x.var(ddof=1)
        mean, error, spread, spread_error = population.random_effects(x, np.full(n, e))
        assert mean == pytest.approx(x.mean()) and error == pytest.approx(np.sqrt(v / n), rel=1e-3)
        assert spread == pytest.approx(np.sqrt(v - e**2), rel=1e-3)
        assert spread_error == pytest.approx(v * np.sqrt(2 / n) / (2 * spread), rel=2e-3)
    assert population.random_effects(np.array([0.9, 1.0, 1.1]), np.full(3, 0.5))[2] == 0.0


def test_asymmetries_of_a_population_are_of_the_mean_step():
    """Steps dw (gain_k +- 0.2) are those of dw_min = dw gain_k and up_down = 0.2 / gain_k: one asymmetry, no spread of it."""
    gains, dw = np.array([0.5, 0.8, 1.7]), 0.01
    fits = [
        SimpleNamespace(
            problem=SimpleNamespace(free=("dw_min", "up_down"), template=rpu.devices.ConstantStep(**NO_SPREAD)),
            values={"dw_min": dw * gain, "up_down": 0.2 / gain},
            errors={"dw_min": 1e-6, "up_down": 1e-6},
            notes=(),
        )
        for gain in gains
    ]
    values, _, spreads, _ = population.fit_population(fits)
    assert values["dw_min"] == pytest.approx(dw, rel=1e-6) and values["up_down"] == pytest.approx(0.2, rel=1e-5)
    assert spreads["dw_min_dtod"] == pytest.approx(gains.std(ddof=1), rel=1e-4) and spreads["up_down_dtod"] < 1e-4


def test_r2_is_that_of_the_mean_curve_and_of_its_blocks():
    """Straight lines of 100 values beside which a known error lies, of mean 0 so that the best start is that of the line."""
    device, n = rpu.devices.ConstantStep(dw_min=0.01, w_max=9.0, w_min=-9.0, **NO_SPREAD), np.arange(100)
    error = 0.06 * np.where(n % 2, -1, 1) + 0.04 * np.where(n // 10 % 2, -1, 1)
    curves = {1: -0.4 + 0.01 * n + error, -1: 0.9 - 0.01 * n - error}
    left, total, left_blocks, total_blocks = 0.0, 0.0, 0.0, 0.0
    for curve in curves.values():
        blocks, errors = curve.reshape(10, 10).mean(axis=1), error.reshape(10, 10).mean(axis=1)
        left, total = left + np.sum(error**2), total + np.sum((curve - curve.mean()) ** 2)
        left_blocks, total_blocks = left_blocks + np.sum(errors**2), total_blocks + np.sum((blocks - blocks.mean()) ** 2)
    other = 0.02 * np.random.default_rng(0).standard_normal(100)  # cancels in the mean of two ramps
    ramps = [[curve + other, curve - other] for curve in curves.values()]
    found = result.r_squared(device, *ramps)
    assert found[:2] == pytest.approx((1 - left / total, 1 - left_blocks / total_blocks), abs=1e-5)
    assert 0.9 < found[0] < found[1] - 0.01
    assert found[2:] == pytest.approx(found[1:2] * 2, abs=1e-5)  # of up and down ramps, which are alike here
    other = result.r_squared(device, ramps[0], [ramp[::-1] for ramp in ramps[1]])
    assert other[2] == pytest.approx(found[2]) and other[3] < 0


@pytest.mark.parametrize("start", [0.9, 0.86, 0.85, 0.83])
def test_a_ramp_starts_between_the_bounds(start):
    # two values of a down ramp from near the upper bound: the density is an integral over the states there
    w_max, step, sigma, read = 0.85, 0.1, 0.3, 0.01
    y = np.array([start, start - 0.13])
    w = np.linspace(w_max - 0.2, w_max, 20001)
    size = step * (1 + w / 0.85)
    density = norm(w, read).pdf(y[0]) * norm(w - size, np.hypot(read, sigma * size)).pdf(y[1])
    exact = np.log(density.sum() * (w[1] - w[0]))
    values = {"dw_min": step, "dw_min_std": sigma, "up_down": 0.0, "w_max": w_max, "w_min": -0.85, "read_noise": read}
    got = problem(rpu.devices.SoftBounds(**NO_SPREAD), [y], [-1]).log_likelihood(values)
    assert got == pytest.approx(exact, abs=0.02)  # the filter has moments only


def test_slow_noise_is_told_from_steps_that_vary():
    # a ramp of many small pulses, as of a ReRAM: the noise of traps is larger than a hundred steps
    device = rpu.devices.SoftBounds(dw_min=0.005, dw_min_std=0.3, w_max=1, w_min=-1, **NO_SPREAD)
    slow, time, z = 0.1, 8.0, []
    truth = dataclasses.asdict(device) | {"read_noise": 0.05, "slow_noise": slow, "slow_time": time}
    for seed in range(4):
        rng = np.random.default_rng(seed)
        ramps = [
            r + 0.04899 * rng.standard_normal(r.shape) + slow * correlated(rng, r.shape, time)
            for r in simulate(device, seed, n_ramps=2, n_pulses=300)
        ]
        result = fit(*ramps, "SoftBounds", g_min=-1, g_max=1)
        assert result.slow_noise == result.values["slow_noise"] and result.slow_time == result.values["slow_time"]
        z += [(result.values[p] - truth[p]) / e for p, e in result.standard_errors.items()]
        assert not result.notes  # without slow noise, bounds are lost
        assert result.r2_blocks > 0.97 and result.r2_blocks > result.r2
    white = fit(*ramps, "SoftBounds", g_min=-1, g_max=1, hold={"slow_noise": 0})
    assert white.score.bic > result.score.bic + 20 and white.slow_noise == 0
    assert np.sum(np.abs(z) > 3) <= binom.ppf(1 - 1e-4, np.size(z), 0.05)
    assert np.mean(np.square(z)) < 1.6
    assert fit(*simulate(device, 0), "SoftBounds").slow_noise == 0  # where there is none, none is found


def test_read_noise_and_write_noise_are_told_apart():
    device = DEVICES["SoftBounds"]
    for sigma, read in ((0.05, 0.03), (0.8, 0.003)):
        rng = np.random.default_rng(5)
        up, down = simulate(device.replace(dw_min_std=sigma), 5)
        result = fit(
            *(r + np.sqrt(max(read**2 - READ_NOISE**2, 0)) * rng.standard_normal(r.shape) for r in (up, down)), "SoftBounds"
        )
        scale = result.slope
        true_read = max(read, READ_NOISE) / scale
        assert abs(result.read_noise - true_read) < 4 * result.standard_errors["read_noise"]
        assert abs(result.values["dw_min_std"] - sigma) < 4 * result.standard_errors["dw_min_std"]


@pytest.mark.parametrize("name", ["ConstantStep", "SoftBounds"])
def test_the_criterion_finds_the_model(name):
    result = fit(*simulate(DEVICES[name], 3), ["ConstantStep", "LinearStep", "SoftBounds"])
    assert result.score.model == name and type(result.device).__name__ == name
    first, second = result.comparison[:2]
    if name == "ConstantStep":
        assert second.bic - first.bic > 2
    else:  # without bounds that are reached, LinearStep has the same law; but its bounds are guessed
        assert second.model == "LinearStep" and abs(second.bic - first.bic) < 1
    assert first.bic - first.aic == pytest.approx(first.n_parameters * (np.log(result.n_values) - 2))
    assert result.r2 > 0.98


def test_scale_goes_back_to_siemens():
    up, down = simulate(DEVICES["SoftBounds"], 1)
    one = fit(up, down, "SoftBounds", g_min=-1, g_max=1)
    two = fit(3e-5 + 2e-5 * up, 3e-5 + 2e-5 * down, "SoftBounds", g_min=1e-5, g_max=5e-5, unit="S")
    assert two.slope == pytest.approx(2e-5) and two.offset == pytest.approx(3e-5)
    for name, value in one.values.items():
        assert two.values[name] == pytest.approx(value, rel=1e-3)
    np.testing.assert_allclose(two.to_weight(two.to_conductance([0.3, -0.2])), [0.3, -0.2])
    assert json.loads(json.dumps(two.to_dict()))["device"] == two.device.to_dict()


def test_ragged_ramps_with_missing_values_say_the_same():
    up, down = simulate(DEVICES["SoftBounds"], 2, n_ramps=12)
    whole = fit(up, down, "SoftBounds", g_min=-1, g_max=1)
    holes = np.where(np.random.default_rng(0).random(up.shape) < 0.1, np.nan, up)
    cut = fit([r[: 71 - k] for k, r in enumerate(holes)], list(down), "SoftBounds", g_min=-1, g_max=1)
    for name, error in cut.standard_errors.items():
        assert abs(cut.values[name] - whole.values[name]) < 3 * error


def test_what_ramps_do_not_tell_is_held_and_said():
    device = DEVICES["ConstantStep"]
    up, down = simulate(device, 0)
    result = fit(up[:, :25], down[:, :25], "ConstantStep", g_min=-1, g_max=1)
    assert {"w_max", "w_min"}.isdisjoint(result.standard_errors)
    assert any(note.startswith("w_max is held") for note in result.notes)
    one = fit(up, None, "SoftBounds", g_min=-1, g_max=1)
    assert "up_down" not in one.values and any("up_down" in note for note in one.notes)
    assert one.values["dw_min"] != 0
    assert fit(up, down, "SoftBounds", hold={"w_max": 1.2}).device.w_max == 1.2


def test_spread_of_devices_is_found_beside_the_errors_of_each():
    device = DEVICES["SoftBounds"].replace(dw_min_dtod=0.2, w_max_dtod=0.1)
    array = rpu.CrossbarArray((1, 12), device, rng=4)
    noise = np.random.default_rng(4)
    ramps = {}
    for sign in (1, -1):
        ramps[sign] = []
        for _ in range(2):
            array.program(np.full((1, 12), -0.6 * sign))
            path = [array.weights[0]]
            for _ in range(60):
                array.pulse(sign)
                path.append(array.weights[0])
            ramps[sign].append(np.array(path).T + READ_NOISE * noise.standard_normal((12, 61)))
    up, down = (np.stack(ramps[s], axis=1) for s in (1, -1))
    result = fit(up, down, "SoftBounds", g_min=-1, g_max=1)
    assert result.n_devices == 12
    drawn = {"w_max": array.parameters["w_max"]}
    gain = (array.parameters["step_up"] + array.parameters["step_down"]) / 2
    for name, spread in (("dw_min_dtod", gain.std(ddof=1) / gain.mean()), ("w_max_dtod", drawn["w_max"].std(ddof=1) / 0.9)):
        assert abs(getattr(result.device, name) - spread) < 0.4 * spread
        # 1 / sqrt(2 n) of it, n = 12, and a little more for the errors of each
        assert 0.15 * spread < result.standard_errors[name] < 0.3 * spread
    assert result.device.w_min_dtod < 0.05


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        (([1.0, 2.0],), {}, "at least 3 values"),
        (([1.0, np.inf, 2.0],), {}, "finite"),
        ((["a", "b", "c"],), {}, "pulses_up"),
        ((None, None), {}, "at least one ramp"),
        (([1.0, 1.0, 1.0, 1.0],), {}, "constant"),
        (([1.0, 2.0, 3.0, 4.0], None, "Magic"), {}, "model must be one of ConstantStep"),
        (([1.0, 2.0, 3.0, 4.0],), {"criterion": "r2"}, "criterion"),
        (([1.0, 2.0, 3.0, 4.0],), {"g_min": 5.0}, "g_max must be above g_min"),
        (([1.0, 2.0, 3.0, 4.0],), {"hold": {"colour": 1.0}}, "hold must have names"),
        (([1.0, 2.0, 3.0, 4.0],), {"hold": {"slow_noise": 1.0}}, "slow_noise and slow_time together"),
        (([1.0, 2.0, 3.0, 4.0],), {"hold": {"read_noise": -1.0}}, r"hold\['read_noise'\] must be .*\[0, inf\); got -1"),
        (([1.0, 2.0, 3.0, 4.0],), {"hold": {"slow_noise": -1.0, "slow_time": 5.0}}, r"hold\['slow_noise'\].*got -1"),
        (([1.0, 2.0, 3.0, 4.0],), {"hold": {"slow_noise": 1.0, "slow_time": 0.0}}, r"\['slow_time'\].*\(0, inf\); got 0"),
    ],
)
def test_wrong_arguments(arguments, keywords, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit(*arguments, **keywords)


# ---- files -----------------------------------------------------------------------------------------------------------

UP, DOWN = [1.0, 1.5, 1.8, 2.0], [2.0, 1.4, 1.1, 1.0]


@pytest.mark.parametrize(
    ("text", "unit", "factor"),
    [
        ("1,2\n1.5,1.4\n1.8,1.1\n2,1\n", "", 1),
        ("pulse,a (uS),b (uS)\n1,1,2\n2,1.5,1.4\n3,1.8,1.1\n4,2,1\n", "S", 1e-6),
        ("\ufeffI1 [nA];I2 [nA]\r\n1,0;2,0\r\n1,5;1,4\r\n\r\n# a comment\r\n1,8;1,1\r\n2;1\r\n", "A", 1e-9),
        ("1\t2\n1.5\t1.4\n1.8\t1.1\n2\t1", "", 1),
        ("  1   2\n 1.5  1.4 # here\n 1.8  1.1\n 2 1\n", "", 1),
        ("1,0 2,0\n1,5 1,4\n1,8 1,1\n2,0 1,0\n", "", 1),
        ("0 1 2\n1 1.5 1.4\n2 1.8 1.1\n3 2 1\n", "", 1),
    ],
)
def test_files_of_many_forms(tmp_path, text, unit, factor):
    file = tmp_path / "ramps.csv"
    file.write_bytes(text.encode())
    ramps = read_ramps(file)
    assert ramps.unit == unit and len(ramps.up) == len(ramps.down) == 1
    np.testing.assert_allclose(ramps.up[0], np.array(UP) * factor)
    np.testing.assert_allclose(ramps.down[0], np.array(DOWN) * factor)


def test_missing_cells_and_skipped_pulses_are_nan(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("pulse,g\n1,1\n2,\n3,1.5\n5,2\n1,3\n2,2\n3,1\n")
    ramps = read_ramps(file)
    np.testing.assert_array_equal(ramps.up[0], [1, np.nan, 1.5, np.nan, 2])
    np.testing.assert_array_equal(ramps.down[0], [3, 2, 1])


def test_a_long_sequence_is_split_where_it_turns(tmp_path):
    file = tmp_path / "cycling.csv"
    one = np.concatenate([np.arange(100.0), np.arange(100.0)[::-1]])
    y = np.tile(one, 3) + 3 * np.random.default_rng(0).standard_normal(600)
    np.savetxt(file, y)
    ramps = read_ramps(file)
    assert [len(r) for r in ramps.up] == [100] * 3 and [len(r) for r in ramps.down] == [100] * 3
    np.testing.assert_allclose(np.concatenate([ramps.up[1], ramps.down[1]]), y[200:400])
    assert [len(r) for r in read_ramps(file, pulses_per_ramp=200, direction="up").up] == [200] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b\n", "below its header"),
        ("a,b\n1,2\n2,x\n", r"line 3: column 2 must be a number; got 'x'"),
        ("1,2\n3,4,5\n", "line 2: must have 2 columns; got 3"),
        ("1\ninf\n2\n", "line 2: numbers must be finite"),
        ("1\n2\n", "at least 3 values"),
        ("Time(min),V\n1,2\n2,3\n3,4\n", "Time"),
        ("pulse,g\n1,2\n1.5,3\n3,4\n", "line 3: pulse numbers must be integers; got 1.5"),
    ],
)
def test_files_that_are_no_ramps(tmp_path, text, message):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_ramps(file)
    assert "bad.csv" in str(caught.value)


# ---- measured data ---------------------------------------------------------------------------------------------------


def measured(*names):
    if not os.environ.get("RPUSIM_DATA"):
        pytest.skip("RPUSIM_DATA is not set: fits to measured ramps are not tested")
    up, down = [], []
    for name in names:
        ramps = read_ramps(Path(os.environ["RPUSIM_DATA"]) / "device" / name)
        up, down = up + ramps.up, down + ramps.down
    return up, down


def test_measured_set_and_reset_ramps():
    up, down = measured("crosssim_ramps/set.csv", "crosssim_ramps/reset.csv")
    assert (len(up), len(down)) == (39, 40)
    assert fit(up, down, "LinearStep").r2 > 0.99


def test_measured_reram_with_slow_noise():
    up, down = measured("gong_2018/gong_et_al.csv")
    assert [len(r) for r in up + down] == [1000] * 2
    result = fit(up, down, "SoftBounds")
    # one ramp each: what is left of single pulses is read noise, of means of 100 of them little
    assert result.block_length == 100 and result.r2_blocks > 0.99
    noise = result.read_noise**2 + result.slow_noise**2
    assert result.r2 == pytest.approx(1 - noise / np.mean([r.var() for r in result.up + result.down]), abs=0.02)
    # as near as any curve of this model comes
    residuals = [measured - response for measured, response in result.mean_curves().values()]
    assert np.mean(np.square(residuals)) < 1.05 * noise


def test_measured_capacitor_cell():
    up, down = measured("siguros_6T1C/6T1C_cycling_most_linear_symmetric.csv")
    assert [len(r) for r in up + down] == [1000] * 6
    assert fit(up, down, "SoftBounds").r2 > 0.98


RISING = [5.0, 5.5, 6.0]


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("1,5\n2,5.5\n3,6\n1,6\n2,5.5\n3,5", [RISING], [RISING[::-1]]),  # numbers start anew
        ("1,5\n2,5.5\n4,6\n5,6.5", [[5.0, 5.5, np.nan, 6.0, 6.5]], []),  # and skip
        (",G\n0,5\n1,5.5\n2,6", [RISING], []),  # as pandas writes it
        ("Unnamed: 0,G\n0,5\n1,5.5\n2,6", [RISING], []),
        ("Number of pulses,G\n1,5\n2,5.5\n3,6", [RISING], []),
        ("Pulse #,G\n1,5\n2,5.5\n3,6", [RISING], []),
        ("Pulse (#),G\n1,5\n2,5.5 # a remark\n3,6", [RISING], []),
        ("# a remark\nG (S)\n5\n5.5\n6", [RISING], []),
        ('"G (S)"\n5\n5.5\n6', [RISING], []),
        ("my conductance\n5\n5.5\n6", [RISING], []),
        ("pulse G (S)\n1 5\n2 5.5\n3 6", [RISING], []),
        ("1,5\n3,5.5\n8,6", [[1.0, 3.0, 8.0], RISING], []),  # two devices
    ],
)
def test_forms_of_ramps(tmp_path, text, up, down):
    path = tmp_path / "ramps.csv"
    path.write_text(text)
    ramps = read_ramps(path)
    for found, expected in ((ramps.up, up), (ramps.down, down)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_is_left_out_of_ramps_is_said(tmp_path):
    path = tmp_path / "ramps.csv"
    path.write_text("a,b\n" + "\n".join(f"{k},{2 * k}" for k in range(8)))
    notes = read_ramps(path, columns=["a"], pulses_per_ramp=3).notes
    assert notes[0] == "of ramps.csv, 2 values of a are no ramp and left out"
    assert notes[1:] == ["ramps.csv: no unit found; values are taken as they stand"]
    with pytest.raises(ValueError, match="columns must name each column once"):
        read_ramps(path, columns=["a", 1])
    path.write_text('1,"1,000"\n2,"1,100"\n3,"1,200"')
    with pytest.raises(ValueError, match="line 1: column 2 must be a number; got '1,000'"):
        read_ramps(path)


def test_a_fit_prints_what_it_found():
    ramp = 1e-6 * np.linspace(1.0, 3.0, 30)
    result = rpu.fitting.fit(ramp, ramp[::-1], "ConstantStep", unit="S", progress=False)
    lines = str(result).splitlines()
    assert (
        lines[0] == f"2 ramps of 1 device(s), {result.n_values} values; model ConstantStep" and str(result.device) == lines[-1]
    )
    assert any(line.split()[:2] == ["dw_min", f"{result.values['dw_min']:.5g}"] for line in lines)
    assert all(f"note: {note}" in lines for note in result.notes)


def test_a_fit_prints_bounds_as_they_were_measured():
    up = 1.0 + 4.0 * (1.0 - np.exp(-np.arange(60) / 15))
    result = rpu.fitting.fit(up, up[::-1], "SoftBounds", unit="S", progress=False)
    printed = {cells[0]: cells[-1] for line in str(result).splitlines() if (cells := line.split())}
    assert float(printed["w_max"]) == pytest.approx(result.to_conductance(result.values["w_max"]), rel=1e-3)
    assert abs(result.offset) > 1.0
