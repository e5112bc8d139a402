"""Laws of programming, drift and noise, against tables of the sources and sample moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

import rpusim as rpu

inf = rpu.inference
US = 1e-6


def close(found, wanted, digits=5):
    """Published numbers, to their last digit."""
    assert np.asarray(found) == pytest.approx(np.asarray(wanted), abs=0.51 * 10**-digits, rel=1e-6)


def test_pcm_has_its_table():
    r = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
    model = inf.PCM()
    close(model.programming_std(25 * US * r, 25 * US) / US, [0.26348, 0.44825, 0.68141, 0.95271, 1.07736, 1.05538])
    close(
        model.programming_std(10 * US * r, 10 * US) / US,
        0.4 * np.array([0.26348, 0.448249, 0.68141125, 0.952705, 1.07736125, 1.05538]),
    )
    mean, std = model.exponents(np.maximum(r, 1e-7))
    close(mean, [0.1, 0.0601, 0.049, 0.049, 0.049, 0.049], 4)
    close(std, [0.045, 0.0229, 0.0114, 0.008, 0.008, 0.008], 4)
    close(model.relative_noise(np.maximum(r, 1e-7)), [0.2, 0.03931, 0.02167, 0.01381, 0.01061, 0.00880])
    # where the laws bend
    for law, bend, below in ((0, 0.2046, 0.049), (0, 0.00762, 0.1), (1, 0.3289, 0.008), (1, 0.01704, 0.045)):
        assert model.exponents(np.array([bend]))[law][0] == pytest.approx(below, abs=2e-5)


def test_noise_of_reads_grows_with_the_logarithm_of_time():
    model = inf.PCM()
    wanted = {0.0: 4.1838, 3600.0: 4.7647, 86400.0: 5.0868, 31536000.0: 5.6370}
    for t, root in wanted.items():
        found = model.read_std({"programmed": np.full(1, 25 * US)}, np.full(1, 10 * US), np.full(1, 25 * US), 25 * US, t)
        assert found[0] == pytest.approx(10 * US * 0.0088 * root, rel=2e-5)


def hermes_by_hand(r, two):
    """One number at a time."""
    if two:
        sigma = 0.16603222 + 4.71806468 * r - 8.48101252 * r**2 + 4.68961419 * r**3
        sd = min(max(-0.0117 * math.log(r) - 0.0057, 0.0091), 0.04) if r < 0.3055 else -0.0118 * r**2 + 0.0093 * r + 0.0073
        q = (
            min(max(-0.0117 * math.log(r) - 0.0069, 0.015), 0.04)
            if r < 0.16
            else 0.0069 * r**3 - 0.028 * r**2 + 0.0211 * r + 0.0123
        )
    else:
        sigma = 0.15781817 + 2.32443916 * r - 2.16310839 * r**2 + 0.68841818 * r**3
        sd = min(max(-0.0120 * math.log(r) - 0.0023, 0.0124), 0.04) if r < 0.3039 else -0.0165 * r**2 + 0.0116 * r + 0.0104
        q = (
            min(max(-0.0078 * math.log(r) + 0.0038, 0.0179), 0.04)
            if r < 0.1591
            else 0.0664 * r**3 - 0.1352 * r**2 + 0.0768 * r + 0.0088
        )
    mu = min(max(-0.0387 * math.log(r) - 0.0182, 0.072), 0.13) if r < 0.0945 else -0.0436 * r**2 - 0.0126 * r + 0.0736
    return sigma, mu, sd, q


@pytest.mark.parametrize("two", [True, False])
def test_hermes(two):
    model, g_max = (inf.HermesPCM(), 20.7 * US) if two else (inf.HermesSinglePCM(), 10.35 * US)
    assert model.t0_s == (300.0 if two else 200.0) and model.t_read_s == 512e-9
    r = np.array([0.001, 0.02, 0.09, 0.1, 0.159, 0.161, 0.303, 0.306, 0.6, 1.0])
    mean, std = model.exponents(r)
    found = np.array([model.programming_std(r * g_max, g_max) / US, mean, std, model.relative_noise(r)])
    assert found == pytest.approx(np.array([hermes_by_hand(one, two) for one in r]).T, rel=1e-6)
    assert model.programming_std(np.array([g_max]), 2 * g_max)[0] == pytest.approx(
        2 * hermes_by_hand(0.5, two)[0] * US, rel=1e-6
    )


def test_wan_relaxes():
    r = np.array([0.0, 0.25, 0.5, 1.0]) * 40 * US
    model = inf.WanReRAM()
    close(model.std(r, 40 * US, 1.0) / US, [0.348, 2.258, 2.023, 1.103], 3)
    close(model.std(r, 40 * US, 86400.0) / US, [0.701, 3.721, 3.909, 2.651], 3)
    close(model.std(r, 40 * US, 172800.0) / US, [0.782, 3.664, 3.929, 2.677], 3)
    assert (model.std(r, 40 * US, 0.0) == model.std(r, 40 * US, 1.0)).all()
    assert (model.std(r, 40 * US, 1e9) == model.std(r, 40 * US, 172800.0)).all()
    half = model.std(r, 40 * US, math.sqrt(86400.0))  # half of the way in ln t
    assert half == pytest.approx((model.std(r, 40 * US, 1.0) + model.std(r, 40 * US, 86400.0)) / 2, rel=1e-6)
    assert model.std(r / 2, 20 * US, 1.0) == pytest.approx(model.std(r, 40 * US, 1.0) / 2, rel=1e-6)


def test_cmo():
    g = np.array([9.0, 50.0, 88.2]) * US
    close(inf.CMOReRAM().programming_std(g, 88.2 * US) / US, 0.00081107 + 0.00106879 * g / US, 8)
    close(inf.CMOReRAM("2%").programming_std(g, 88.2 * US) / US, 0.0112185391 + 0.01129027418 * g / US, 8)
    model, kept, xi = inf.CMOReRAM(), {"programmed": np.full(3, 50 * US)}, np.array([-1.0, 0.0, 1.0])
    for t in (0.5, 1.0, 100.0, 86400.0):
        log = math.log(max(t, 1.0))
        found = model.aged(kept, g, 88.2 * US, t, lambda name: xi)
        assert found / US == pytest.approx(50 - 0.08900206 * log + (0.04201137 * log + 0.41183342) * xi, rel=1e-9)
    assert (model.aged(kept, g, 88.2 * US, 0.0, lambda name: xi) == kept["programmed"]).all()
    low = model.aged({"programmed": np.full(3, 9 * US)}, g, 88.2 * US, 1e6, lambda name: xi)
    assert low.min() == 9 * US
    noise = model.read_std(kept, np.array([0.5, 10.0, 88.2]) * US, g, 88.2 * US, 100.0)
    wanted = 0.0277316483 * np.array([0.0, 1.0, math.log10(88.2)]) * math.sqrt(math.log((100 + 1e-6) / 2e-6))
    assert noise / US == pytest.approx(wanted, rel=1e-9)


def test_sonos_between_days():
    model = inf.SONOS(prog_scale=0.0)
    current = np.array([100.0, 900.0, 1700.0])
    kept = {"programmed": current * 1e-9}
    day_1 = sum(p * current**n for n, p in enumerate(
        [1.72684e-1, 5.72552e-2, -6.85715e-4, 3.50271e-6, -9.37682e-9, 1.40575e-11, -1.19803e-14, 5.41293e-18, -8.85448e-22,
         -1.66869e-25, 5.95180e-29]))  # fmt: skip
    for days in (1.0, 0.25):
        found = model.aged(kept, current * 1e-9, 1.8e-6, 86400.0 * days, lambda name: np.ones(3))
        assert found * 1e9 == pytest.approx(current + days * day_1, rel=1e-9)
    spread = inf.SONOS().aged(kept, current * 1e-9, 1.8e-6, 86400.0, lambda name: np.ones(3)) * 1e9 - current - day_1
    assert spread == pytest.approx(25.59102 * (1 - np.exp(-current / 186.85544)), rel=1e-9)
    single = model.aged(kept, (current * 1e-9).astype(np.float32), 1.8e-6, 86400.0, lambda name: np.ones(3, np.float32))
    assert single * 1e9 == pytest.approx(current + day_1, rel=1e-5)  # float32 conductances, and no digits lost on the way
    chip = inf.Chip(inf.SONOS(), inf.DifferentialPair(g_max_s=1.6e-6))
    with pytest.warns(UserWarning, match="measured for 5 days"):
        inf.ProgrammedArray(np.eye(2), chip, rng=0).weights(86400.0 * 10)


def test_laws_of_weights_and_simple_ones():
    u = np.array([0.0, 0.5, 5.0, 52.5, 90.0, 120.0, 150.0, 180.0])
    close(inf.AnalogFoundation().programming_std(u, 180.0) / 180, [0, 0, 0.020, 0.046, 0.047, 0.049, 0.065, 0.107], 3)
    close(
        inf.HfO2ReRAM().programming_std(np.array([10.0, 100.0, 300.0]) * US, 225 * US) / US, [4.326971, 3.871621, 2.733246], 6
    )
    g = np.array([0.0, 5.0, 10.0]) * US
    simple = lambda law: inf.RelativeNoise(law, 0.1).programming_std(g, 10 * US) / US  # noqa: E731
    close(simple("independent"), [1, 1, 1])
    close(simple("proportional"), [0, 0.5, 1])
    close(simple("inverse"), [0, 2, 1])
    flat = inf.RelativeNoise("independent", 0.1, "uniform")
    xi = np.random.default_rng(0).standard_normal(100_000)
    off = flat.programmed(np.full(100_000, 5 * US), 10 * US, lambda name: xi) / (10 * US) - 0.5
    assert off == pytest.approx(0.1 * (ndtr(xi) - 0.5), abs=1e-9)


@pytest.mark.parametrize("r", [0.0, 0.2, 1.0])
def test_programmed_conductances_have_the_moments_of_a_cut_normal(r):
    """n = 500,000: 1 % of the mean of the cut noise is 7 sigma, 1 % of the spread 10."""
    n = 500_000
    chip = inf.Chip(inf.PCM(), inf.DifferentialPair(scale="array"), read_noise="none")
    w = np.full((1, n), r, np.float32)
    w[0, 0] = 1.0
    g = inf.ProgrammedArray(w, chip, rng=3).conductances(0.0)[0, 0, 1:] / US
    goal = 25.0 * r
    sigma = float(inf.PCM().programming_std(np.array([goal * US]), 25 * US)[0] / US)
    a = goal / sigma
    density = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    mean = goal * ndtr(a) + sigma * density
    square = (goal**2 + sigma**2) * ndtr(a) + goal * sigma * density
    std = math.sqrt(square - mean**2)
    assert g.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(n))
    assert g.std() == pytest.approx(std, rel=5 * 1.5 / math.sqrt(n))
    if r == 0.0:
        assert mean == pytest.approx(0.1051, abs=5e-5) and np.mean(g == 0.0) == pytest.approx(0.5, abs=5 / math.sqrt(4 * n))


def test_drift_has_the_mean_of_its_law():
    """E[(T / t0)^-nu] = exp(-mu L + sd^2 L^2 / 2); n = 200,000: a factor of 1.1 on mu is 19 sigma at an hour."""
    n, chip = 200_000, inf.Chip(inf.PCM(prog_scale=0.0), inf.DifferentialPair(scale="array"), read_noise="none")
    written = inf.ProgrammedArray(np.ones((1, n), np.float32), chip, rng=1)
    for t, mean in ((60.0, 0.9344), (3600.0, 0.7758), (86400.0, 0.6650), (2592000.0, 0.5642), (31536000.0, 0.5002)):
        log = math.log((t + 20) / 20)
        g = written.conductances(t)[0] / (25 * US)
        assert math.exp(-0.049 * log + 0.008**2 * log**2 / 2) == pytest.approx(mean, abs=5e-5)
        assert g.mean() == pytest.approx(mean, abs=5e-5 + 5 * 0.008 * log * mean / math.sqrt(n))
        assert np.log(g).std() == pytest.approx(0.008 * log, rel=0.01)


def test_exponents_are_absolute_values():
    """At r = 0, |N(0.1, 0.045)|: not cut at 0, which would leave a lump there."""
    n = 200_000
    chip = inf.Chip(inf.StateIndependent(drift_scale=2.0, prog_scale=0.0), read_noise="none")
    g = inf.ProgrammedArray(np.ones((1, n), np.float32), chip, rng=2)
    nu = -np.log(g.conductances(20.0 * (math.e - 1))[0] / (25 * US))  # ln(T / t0) = 1
    mean = 2 * (0.1 * (1 - 2 * ndtr(-2.0)) + 2 * 0.05 * math.exp(-2.0) / math.sqrt(2 * math.pi))
    assert nu.min() >= -1e-6 and np.mean(nu < 1e-4) < 0.001
    assert nu.mean() == pytest.approx(mean, abs=5 * 0.1 / math.sqrt(n))


@pytest.mark.parametrize("c", [0.0, 0.36, 1.0])
def test_exponents_of_two_programmings_correlate(c):
    n = 100_000
    chip = inf.Chip(inf.PCM(prog_scale=0.0, nu_correlation=c), read_noise="none")
    written = inf.ProgrammedArray(np.ones((1, n), np.float32), chip, rng=2)
    first = np.log(written.conductances(3600.0)[0, 0])
    written.reprogram()
    second = np.log(written.conductances(3600.0)[0, 0])
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(c, abs=5 / math.sqrt(n))
    assert second.std() == pytest.approx(first.std(), rel=0.02)


def test_custom_laws_are_polynomials_or_tables():
    r = np.array([0.0, 0.5, 1.0])
    model = inf.CustomNoise(programming=(0.01, 0.04, -0.02), drift_mean=(0.05, 0.01), drift_std=(0.0, 0.02), noise=(0.02,))
    assert model.programming_std(r * 10 * US, 10 * US) / (10 * US) == pytest.approx(0.01 + 0.04 * r - 0.02 * r**2)
    assert model.exponents(r)[0] == pytest.approx(0.05 + 0.01 * r) and model.exponents(r)[1] == pytest.approx(0.02 * r)
    table = inf.CustomNoise(programming=(0.02, 0.01), drift_mean=(0.06, 0.03), states=(0.0, 1.0))
    assert table.exponents(r)[0] == pytest.approx([0.06, 0.045, 0.03])
    with pytest.raises(ValueError, match="states must ascend from 0 to 1"):
        inf.CustomNoise(programming=(0.1, 0.2), states=(0.0, 0.9))
    with pytest.raises(ValueError, match="drift_std must be None"):
        inf.CustomNoise(drift_std=(0.1,))


@pytest.mark.parametrize(("q_from", "r"), [("target", 0.4), ("programmed", 0.2)])
def test_noise_of_reads_takes_the_goal_or_what_was_programmed(q_from, r):
    event, g = {"programmed": np.full(1, 5 * US)}, np.full(1, 4 * US)
    found = inf.PCM(q_from=q_from).read_std(event, g, np.full(1, 10 * US), 25 * US, 0.0)
    assert found[0] == pytest.approx(4 * US * 0.0088 / r**0.65 * math.sqrt(math.log((20 + 250e-9) / 500e-9)), rel=1e-9)
