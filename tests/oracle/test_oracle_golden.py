"""The oracle against outputs recorded from AIHWKit 1.1.0, and against its own analytic laws."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from . import devices, periphery, pulses, reads
from .recorded import periphery_from_peer

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())


SIMPLE = {"inp_bound", "inp_res", "out_bound", "out_res", "noise_management", "nm_thres", "bound_management"}


def settings_from_peer(io):
    """Settings of the recorded tool in the terms of the short oracle."""

    def bound(value):
        return value if value > 0 else None

    def steps(value):
        return None if value <= 0 else (value if value > 1 else 1 / value)

    kinds = {"None": "none", "AbsMax": "abs_max", "Max": "max", "Constant": "constant", "Iterative": "iterative"}
    return dict(
        dac_bound=bound(io.get("inp_bound", 1.0)),
        dac_steps=steps(io.get("inp_res", -1)),
        adc_bound=bound(io.get("out_bound", -1)),
        adc_steps=steps(io.get("out_res", -1)),
        noise_management_kind=kinds[io.get("noise_management", "None")],
        threshold=io.get("nm_thres", 0.0),
        bound_management=kinds[io.get("bound_management", "None")],
    )


@pytest.mark.parametrize("name", GOLDEN["mvm"])
def test_reads_match_recorded_products(name):
    i, j = np.arange(4)[:, None], np.arange(6)
    w = 0.6 * np.sin(1.3 * i + 0.7 * j + 0.2)
    rows = np.array([2.5 * np.cos(0.9 * j + 0.4), 0.8 * np.sin(1.7 * j)])
    case = GOLDEN["mvm"][name]
    compared = slice(0, 1) if name == "bm_iter_b0.3" else slice(None)  # a rounding tie in the second vector
    if name.startswith("backward"):
        w, rows = w.T, 0.3 * np.cos(1.1 * i.T)
    elif set(case["io"]) <= SIMPLE:
        y = reads.read(w, rows, **settings_from_peer(case["io"]))
        np.testing.assert_allclose(y[compared], np.array(case["y"])[compared], atol=1.5e-6, rtol=0)
    p = periphery_from_peer(case["io"])
    drawn = {"nonlinearity": p.adc.nonlinearity / (p.adc.bound or 1.0)} if p.adc.nonlinearity else {}
    y = periphery.read(w, rows, p, drawn)
    np.testing.assert_allclose(y[compared], np.array(case["y"])[compared], atol=1.5e-6, rtol=0)


def symmetric_steps(dw_min, up_down):
    """One-sided up_down of the recorded tool in the symmetric convention; returns (dw_min, up_down, s_up, s_dn)."""
    s_up, s_dn = dw_min * (1 + min(up_down, 0.0)), dw_min * (1 - max(up_down, 0.0))
    mean, asymmetry = (s_up + s_dn) / 2, (s_up - s_dn) / (s_up + s_dn)
    np.testing.assert_allclose(devices.mean_steps(mean, up_down=asymmetry), (s_up, s_dn), rtol=1e-14)
    return mean, asymmetry, s_up, s_dn


def recorded_device(name):
    p = GOLDEN["single_device"][name]["parameters"]
    _, _, s_up, s_dn = symmetric_steps(p["dw_min"], p["up_down"])
    common = dict(s_up=s_up, s_dn=s_dn, b_min=p["w_min"], b_max=p["w_max"])
    if name == "ConstantStep":
        return functools.partial(devices.constant_step, **common)
    if name == "SoftBounds":
        return functools.partial(devices.soft_bounds, **common)
    if name == "SoftBoundsReference":
        return functools.partial(devices.soft_bounds_reference, reference=p["reference_mean"], **common)
    if name == "ExpStep":  # the recorded tool's defaults
        shape = dict(A_up=0.00081, A_down=0.36833, gamma_up=12.44625, gamma_down=12.78785, a=0.244, b=0.2425)
        return functools.partial(devices.exp_step, **shape, **common)
    if name.startswith("PowStep"):
        _, _, up, down = symmetric_steps(p["pow_gamma"], p.get("pow_up_down", 0.0))
        law = functools.partial(devices.pow_step, gam_up=up, gam_dn=down, **common)
        if not p.get("subtract_symmetry_point"):
            return law
        rho = (s_dn / s_up) ** (1 / up)  # of equal exponents
        return functools.partial(law, reference=(p["w_max"] + rho * p["w_min"]) / (1 + rho))
    ahead, behind = (p["w_max"], p["w_min"])
    if p.get("reverse_up"):
        ahead, behind = p["w_min"] - 0.01, p["w_max"] + 0.01
    return functools.partial(
        devices.linear_step,
        gam_up=p["gamma_up"],
        gam_dn=p["gamma_down"],
        ref_up=ahead,
        ref_dn=behind,
        **common,
    )


@pytest.mark.parametrize("name", GOLDEN["single_device"])
def test_pulse_curves_match_recorded_devices(name):
    pulse, recorded = recorded_device(name), GOLDEN["single_device"][name]["w"]
    rounding = 3e-6 if name.endswith("Reference") else 1e-6  # float32 sums with the reference at every pulse there
    w = recorded["w0"]
    for direction, up in (("up", True), ("down", False)):
        for n in range(1, 201):
            w = pulse(w, up)
            if f"{direction}{n}" in recorded:
                assert w == pytest.approx(recorded[f"{direction}{n}"], abs=rounding)
    for _ in range(4000):
        raised = pulse(w, True)
        w = pulse(raised, False)
    assert raised == pytest.approx(recorded["alt_end_up"], abs=1e-6)
    assert w == pytest.approx(recorded["alt_end_down"], abs=1e-6)


def test_transfer_compound_matches_recorded_weights():
    def pulse_a(w, up, i, j, xi):
        return devices.soft_bounds(w, up, s_up=0.01, s_dn=0.01, b_min=-1.0, b_max=1.0, xi=xi)

    def pulse_c(w, up, i, j, xi):
        return devices.constant_step(w, up, s_up=0.005, s_dn=0.005, b_min=-1.0, b_max=1.0, xi=xi)

    def update(w, x, d, lr, granularity, desired_bl, pulse):
        train = pulses.trains(x, d, lr, granularity, desired_bl, update_management=False, update_bl_management=False)
        return pulses.apply_counts(w, pulses.deterministic_implicit(train), pulses.upward(x, d, lr), pulse)

    c, a = np.array([[0.1, -0.2, 0.05], [0.0, 0.15, -0.1]]), np.zeros((2, 3))
    recorded = GOLDEN["compounds"]["ttv1_gamma0"]
    for t in range(1, 25):
        x, d = np.cos(0.7 * t + 0.5 * np.arange(3)), 0.9 * np.sin(0.4 * t + 0.9 * np.arange(2) + 0.3) + 0.2
        a = update(a, x, d, 1.0, 0.0075, 10, pulse_a)
        one_hot = np.eye(3)[(t - 1) % 3]
        c = update(c, one_hot, -(a @ one_hot), 1.0, 0.005, 2, pulse_c)
        if str(t) in recorded:
            np.testing.assert_allclose(a, recorded[str(t)]["hidden_weights_0"], atol=1e-6)
            np.testing.assert_allclose(c, recorded[str(t)]["hidden_weights_1"], atol=1e-6)


def test_soft_bounds_follow_their_closed_form_and_hold_still_at_the_symmetry_point():
    p = dict(s_up=0.018, s_dn=0.02, b_min=-0.8, b_max=1.0)
    w = 0.05
    for _ in range(30):
        w = devices.soft_bounds(w, True, **p)
    assert w == pytest.approx(devices.soft_bounds_after_up_pulses(0.05, 30, 0.018, 1.0), rel=1e-13)
    rest = devices.soft_bounds_symmetry_point(**p)
    assert devices.soft_bounds(rest, True, **p) - rest == pytest.approx(rest - devices.soft_bounds(rest, False, **p))


def test_multiplicative_noise_follows_the_step_and_additive_noise_does_not():
    p = dict(s_up=0.1, s_dn=0.1, b_min=-1.0, b_max=1.0, sigma=0.5, xi=1.0)
    assert devices.soft_bounds(0.5, True, **p) == pytest.approx(0.5 + 0.05 * 1.5)
    assert devices.soft_bounds(0.5, True, multiplicative=False, **p) == pytest.approx(0.5 + 0.05 + 0.05)
    assert devices.soft_bounds(0.5, False, multiplicative=False, **p) == pytest.approx(0.5 - 0.15 - 0.05)


@pytest.mark.parametrize("lr", [0.001, 0.01, 0.1, -0.01])
@pytest.mark.parametrize("management", [(False, False), (True, False), (False, True), (True, True)])
def test_probabilities_give_the_requested_mean_until_they_saturate(lr, management):
    x, d, dw_min, desired_bl = np.array([0.9, -0.2, 0.0]), np.array([0.05, -0.5]), 0.002, 31
    um, ublm = management
    train = pulses.trains(x, d, lr, dw_min, desired_bl, update_management=um, update_bl_management=ublm)
    k = abs(lr) * 0.9 * 0.5 / dw_min
    assert train.length == (min(int(np.ceil(k)), 31) if ublm else 31)
    if um:
        assert (max(0.9 * train.b, 0.5 * train.a) <= 1 + 1e-12) == (k <= desired_bl)
    if max(0.9 * train.b, 0.5 * train.a) <= 1 + 1e-12:
        requested = abs(lr) * np.abs(np.outer(d, x))
        np.testing.assert_allclose(dw_min * pulses.count_mean(train), requested, rtol=1e-12)
    if um:
        assert train.p_x.max() == pytest.approx(train.p_d.max())
        assert train.p_x.max() == pytest.approx(min(np.sqrt(k / train.length), 1.0))
    assert pulses.upward(x, d, lr)[1, 0] == (lr > 0)


def test_beyond_the_longest_train_d_saturates_and_x_does_not():
    x, d = np.array([1.0, 0.25]), np.array([1.0, 0.5, 0.01])
    train = pulses.trains(x, d, 1.0, 0.01, 10)
    assert train.length == 10
    np.testing.assert_allclose(train.p_x, [1.0, 0.25])
    np.testing.assert_allclose(train.p_d, [1.0, 1.0, 0.1])


def test_free_trains_take_as_many_slots_as_the_learning_rate_has_steps():
    x, d = np.array([1.0, 0.25]), np.array([0.5, -0.1])
    free = dict(update_management=False, update_bl_management=False, fixed_bl=False)
    train = pulses.trains(x, d, 0.505, 0.01, 10, **free)
    assert (train.length, train.a, train.b) == (51, 1.0, 1.0)
    short = pulses.trains(x, d, 0.1, 0.01, 10, **free)
    assert (short.length, short.a, short.b) == (10, 1.0, 1.0) and short.p_d[1] == 0.1


def test_a_zero_vector_sends_no_pulses():
    for x, d in (([0.0, 0.0], [1.0]), ([1.0, 0.0], [0.0])):
        assert pulses.trains(x, d, 0.1, 0.01, 31).length == 0
        unmanaged = pulses.trains(x, d, 0.1, 0.01, 31, update_management=False, update_bl_management=False)
        assert not pulses.count_mean(unmanaged).any()


def test_stochastic_counts_have_their_mean_variance_and_covariances():
    x, d = np.array([0.9, 0.4]), np.array([0.6, -0.2])
    train = pulses.trains(x, d, 0.02, 0.002, 7, update_management=False, update_bl_management=False)
    rng, repeats = np.random.default_rng(5), 4000
    up = pulses.upward(x, d, 0.02)

    def pulse(w, up, i, j, xi):
        return w + (1.0 if up else -1.0)

    w = np.array([pulses.stochastic_update(np.zeros((2, 2)), up, train, pulse, rng) for _ in range(repeats)])
    counts = np.abs(w)
    assert (np.sign(w) == np.where(up, 1, -1))[counts > 0].all()
    variance = pulses.count_variance(train)
    error = np.abs(counts.mean(0) - pulses.count_mean(train))
    assert (error < 5 * np.sqrt(variance / repeats)).all()
    measured = np.cov(counts.reshape(repeats, 4), rowvar=False)
    cells = [(0, 0), (0, 1), (1, 0), (1, 1)]
    expected = np.array([[pulses.count_covariance(train, a, b) for b in cells] for a in cells])
    np.testing.assert_allclose(np.diag(expected), variance.ravel(), rtol=1e-12)
    assert expected[0, 3] == pytest.approx(0.0, abs=1e-15)
    spread = np.sqrt(np.outer(variance, variance) / repeats)
    assert (np.abs(measured - expected) < 6 * spread).all()


def test_converters_have_odd_levels_and_round_ties_to_even():
    steps = reads.steps_of_bits(2)
    np.testing.assert_array_equal(reads.convert([-2.0, -0.5, 0.4, 0.5, 0.51, 1.4], 1.0, steps)[0], [-1, 0, 0, 0, 1, 1])
    assert not reads.convert([1.4], 1.0, steps)[1] and reads.convert([1.6], 1.0, steps)[1]


def test_bound_management_stops_at_the_resolution_of_the_dac():
    seen = []

    def noise(attempt):
        seen.append(attempt)
        return 100.0

    reads.read_vector([[1.0]], [1.0], dac_steps=126, adc_bound=1.0, bound_management="iterative", output_noise=noise)
    assert seen == [0, 1, 2, 3, 4]  # 1, 2, 4, 8, 16 > 0.25*63
    seen.clear()
    reads.read_vector([[1.0]], [1.0], adc_bound=1.0, bound_management="iterative", output_noise=noise)
    assert len(seen) == 11  # up to 1024 > 1000


def test_running_mean_of_the_input_range():
    assert reads.average_abs_max([[1.0], [-3.0]], decay=0.1) == pytest.approx([1.0, 1.2])
    assert reads.average_abs_max([[1.0]], state=2.0, decay=0.5) == pytest.approx([1.5])


def test_a_vector_without_scale_reads_as_zero():
    w, rows = np.array([[1.0, 2.0]]), np.array([[0.0, 0.0], [1.0, -1.0]])
    y = reads.read(w, rows, noise_management_kind="abs_max", output_noise=0.5)
    np.testing.assert_allclose(y, [[0.0], [-0.5]])
    y = reads.read(w, rows, noise_management_kind="abs_max", input_noise=0.5)
    np.testing.assert_allclose(y, [[1.5], [0.5]])
    z = reads.read_transposed(w, [[0.0], [2.0]], noise_management_kind="abs_max", input_noise=0.5)
    np.testing.assert_allclose(z, [[0.0, 0.0], [3.0, 6.0]])
