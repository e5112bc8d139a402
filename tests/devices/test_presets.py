"""Presets: the numbers of the literature, and that every one of them can be stored, printed and trained."""

import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim.devices import presets

NAMES = presets.names()

#: granularity, states and symmetry point of AIHWKit's presets, for the models whose granularity has the same law
AIHWKIT = {
    "reram_sb": (0.002, 1000, 0.0),
    "reram_array_om": (0.0949, 21.1, 0.0),
    "reram_array_hfo2": (0.4622, 4.33, 0.0),
    "capacitor": (0.005, 400, 0.0),
    "ecram": (0.002, 1000, 0.0),
    "ecram_mo": (2.8214e-4, 7089, 0.0),
    "gokmen_vlasov": (0.0016, 1250, math.nan),
    "idealized": (2e-4, 10000, math.nan),
}


@pytest.mark.parametrize("name", AIHWKIT)
def test_numbers_of_aihwkit(name):
    device, (granularity, states, point) = presets.get(name), AIHWKIT[name]
    assert device.granularity == granularity
    assert device.number_of_states == pytest.approx(states, rel=2e-3)
    assert device.symmetry_point == pytest.approx(point, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "states", "w_max"),
    [("rpu_baseline", 1200, 0.6), ("onen_symmetric", 1200, 2.0), ("onen_saturating", 1200, 2.0),
     ("rasch_soft_bounds", 40, 1.0), ("wu_linear", 70_000, 3.5), ("wu_power", 1200, 0.7), ("wu_exponential", 1200, 0.7)],
)  # fmt: skip
def test_numbers_of_papers(name, states, w_max):
    device = presets.get(name)
    assert device.number_of_states == pytest.approx(states, rel=1e-9)
    assert (device.w_max, device.w_min) == (w_max, -w_max)


def test_every_preset_has_its_numbers_tested():
    listed = {*AIHWKIT, "rpu_baseline", "onen_symmetric", "onen_saturating", "rasch_soft_bounds", "wu_linear", "wu_power",
              "wu_exponential", "reram_es", "pcm"}  # fmt: skip
    assert listed == set(NAMES) <= set(presets.__all__)


def test_reram_es_has_the_absolute_steps_and_spreads_of_its_source():
    device = presets.reram_es()
    up, down = 0.00135, 0.00135 * (1 - 0.259359)  # only the down step is weakened there
    w = np.linspace(-1, 1, 9)
    z = -0.5 * w - 0.5
    np.testing.assert_allclose(device.step_up(w), up * (1 + 1.18445 * np.exp(5 * z)), rtol=1e-12)
    np.testing.assert_allclose(device.step_down(w), down * (1 + 0.081404 * np.exp(-5 * z)), rtol=1e-12)
    assert float(device.step_down(0.0)) == pytest.approx(0.00199144, rel=1e-5)
    assert device.symmetry_point == pytest.approx(-0.2175, abs=5e-4)
    assert device.write_noise_std * device.dw_min == pytest.approx(75 * 0.00135, rel=1e-12)
    assert device.dw_min_std == 5.0
    drawn = rpu.CrossbarArray((200, 200), device, rng=1).parameters
    for name, mean in (("step_up", up), ("step_down", down)):
        spread = 0.00135 * math.hypot(0.2, 0.05)
        assert drawn[name].mean() == pytest.approx(mean, abs=4 * spread / 200)
        assert drawn[name].std() == pytest.approx(spread, rel=4 / math.sqrt(2 * 40_000))
    difference = drawn["step_up"] - drawn["step_down"]
    assert difference.std() == pytest.approx(2 * 0.05 * 0.00135, rel=4 / math.sqrt(2 * 40_000))


def test_reram_es_settles_at_its_symmetry_point():
    device = presets.reram_es(
        dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0, dw_min_std=0.0, write_noise_std=0.0
    )
    array = rpu.CrossbarArray((1, 1), device, rng=0)
    for _ in range(4000):
        array.pulse(1)
        array.pulse(-1)
    assert array.weights[0, 0] == pytest.approx(-0.2175, abs=1.5e-3)


def test_pcm_is_unidirectional():
    device = presets.pcm()
    assert (device.w_min, device.w_max, device.w_min_dtod) == (0.0, 2.0, 0.0)
    assert float(device.step_up(0.0)) == pytest.approx(0.28235) and float(device.step_down(0.0)) == pytest.approx(0.03235)
    assert device.symmetry_point == pytest.approx(math.log(27.235 / 2.235) / 5)
    ramp = rpu.CrossbarArray((1, 2000), device, rng=0)
    heights = []
    for _ in range(20):
        ramp.pulse(1)
        heights.append(float(ramp.weights.mean()))
    assert np.all(np.diff(heights[:12]) > 0) and heights[1] - heights[0] > 3 * (heights[11] - heights[10])
    assert (ramp.weights >= 0).all()


def test_responses_of_residual_learning():
    w = np.linspace(-0.7, 0.7, 29)
    x = w / 0.7
    for gamma in (0.5, 1.0, 2.0):
        device = presets.wu_power(tau=0.7, gamma=gamma, states=100)
        np.testing.assert_allclose(device.step_up(w), 0.014 * (1 - x) ** gamma, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(device.step_down(w), 0.014 * (1 + x) ** gamma, rtol=1e-9, atol=1e-12)
    device = presets.wu_exponential(tau=0.7, gamma=0.5, states=100)
    np.testing.assert_allclose(device.step_up(w), 0.014 * np.expm1(0.5 * (1 - x)) / np.expm1(0.5), atol=0.014 * 2e-4)
    np.testing.assert_allclose(device.step_down(w), 0.014 * np.expm1(0.5 * (1 + x)) / np.expm1(0.5), atol=0.014 * 2e-4)
    device = presets.wu_linear(tau=0.7, c_lin=0.3, states=100)
    np.testing.assert_allclose(device.step_up(w), 0.014 * 1.3 * (1 - x), atol=1e-15)
    np.testing.assert_allclose(device.step_down(w), 0.014 * 0.7 * (1 + x), atol=1e-15)
    assert device.symmetry_point == pytest.approx(0.3 * 0.7)
    # no spread is left where the law has none
    for device in (presets.wu_linear(), presets.wu_power(), presets.wu_exponential()):
        drawn = rpu.CrossbarArray((3, 3), device, rng=0).parameters
        assert all(np.ptp(drawn[name]) == 0 for name in drawn)


@pytest.mark.parametrize("name", NAMES)
def test_stored_printed_and_replaced(name):
    device = presets.get(name)
    assert rpu.from_json(device.to_json()) == device
    assert eval(repr(device), {"__builtins__": {}}, {n: getattr(rpu.devices, n) for n in rpu.devices.__all__}) == device  # noqa: S307
    changed = presets.get(name.replace("_", "-"), w_max=0.9)
    assert changed == device.replace(w_max=0.9) != device
    assert presets.get(name) == device == getattr(presets, name)()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("algorithm", [a for a in rpu.algorithms.named.names() if a != "digital"])
def test_trains_one_step(name, algorithm):
    device = presets.get(name)
    tile = rpu.algorithms.named.get(algorithm, device).build((3, 4), rng=0)
    before = tile.weights
    # enough vectors for a transfer of every algorithm; 3 pulses are wanted for every product
    tile.update(np.ones((200, 4)), np.resize([1.0, -1.0, 1.0], (200, 3)), lr=3 * device.granularity)
    tile.end_batch()
    fired = tile.pulse_count.up + tile.pulse_count.down
    assert fired > 0 and np.isfinite(tile.weights).all()
    if algorithm == "sgd":
        assert fired > 200 * 12 * 2.5 and not np.array_equal(tile.weights, before)
    assert np.isfinite(tile.forward(np.ones(4))).all() and np.isfinite(tile.backward(np.ones(3))).all()


def test_every_preset_names_its_source_once():
    for name in NAMES:
        short, citations = presets.source(name)
        assert citations and short.split()[0] in citations[0] and short[-4:].isdigit() and short[-4:] in citations[0]
        assert all(getattr(presets, name).__doc__.count(text) == 1 for text in citations)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"name must be one of 'reram_es'.*got 'flux_capacitor'"):
        presets.get("flux-capacitor")
    with pytest.raises(TypeError, match="name must be one of .*got 3"):
        presets.source(3)
    with pytest.raises(ValueError, match="dw_min must be .* got -1"):
        presets.ecram(dw_min=-1.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'color'"):
        presets.ecram(color="blue")
    with pytest.raises(ValueError, match="tau must be .* got 0"):
        presets.wu_power(tau=0.0)
    with pytest.raises(ValueError, match="states must be .* got -5"):
        presets.wu_linear(states=-5)
    with pytest.raises(ValueError, match=r"c_lin must be .*\[-1, 1\]; got 2"):
        presets.wu_linear(c_lin=2.0)
    with pytest.raises(ValueError, match="gamma must be .* got 0"):
        presets.wu_exponential(gamma=0.0)
