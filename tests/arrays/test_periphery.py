"""What few reads have and circuits do: passes, analog losses, noise of devices, ADCs that differ. Against the oracle."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from oracle import periphery as oracle
from scipy import stats

import rpusim as rpu
from rpusim import ADC, DAC, CrossbarArray, DifferentialPair, Periphery
from rpusim._core.kernels import kernel_sets, use_kernel_set
from rpusim.devices import Ideal, SoftBounds, VectorCell

PLAIN = dict(
    dac=DAC(bits=None, bound=None),
    adc=ADC(bits=None, bound=None, noise=0.0),
    noise_management="none",
    bound_management="none",
)
P_LIMIT = 1e-6


def plain(**settings):
    return Periphery(**PLAIN | settings)


def quiet(bits=9, bound=12.0, **settings):
    return ADC(bits=bits, bound=bound, noise=0.0, **settings)


def array_of(w, periphery, rng=0):
    array = CrossbarArray(np.shape(w), Ideal(), forward=periphery, rng=rng)
    array.program(w)
    return array


def drawn_of(array, transposed=False):
    return dict(array.backward_parameters if transposed else array.forward_parameters)


def assert_agrees(y, w, x, p, drawn):
    """Equal to float32 rounding, except where a relative change of 2e-6 crosses a rounding tie."""
    w, x = np.asarray(w, np.float64), np.asarray(x, np.float64)
    expected = oracle.read(w, x, p, drawn)
    sign = np.random.default_rng(0).choice([-2e-6, 2e-6], x.shape)
    size = np.abs(expected).max() + 1.0
    stable = np.ones(expected.shape, dtype=bool)
    for s, scale in itertools.product((1, -1), (1 - 2e-6, 1 + 2e-6)):
        stable &= np.abs(oracle.read(w * scale, x * (1 + s * sign), p, drawn) - expected) < 1e-4 * size
    assert stable.mean() > 0.9
    np.testing.assert_allclose(np.where(stable, y, 0.0), np.where(stable, expected, 0.0), rtol=0, atol=2e-5 * size)


RNG = np.random.default_rng(3)
INL = tuple(RNG.uniform(-0.4, 0.4, 2**6 - 2))
DNL = tuple(RNG.uniform(-0.9, 0.9, 2**6 - 3))
CASES = {
    "input asymmetry": dict(dac=DAC(asymmetry=0.2), adc=quiet()),
    "output asymmetry": dict(adc=quiet(asymmetry=0.2)),
    "saturating": dict(adc=quiet(bound=3.0, nonlinearity=0.7, nonlinearity_spread=0.5)),
    "saturating, no bound": dict(adc=quiet(None, None, nonlinearity=0.3, slope_calibration=0.5), bound_management="none"),
    "slope": dict(adc=quiet(bound=3.0, nonlinearity=0.7, slope_calibration=0.4), series_resistance=0.1),
    "gains and offsets": dict(adc=quiet(gain_spread=0.1, offset_spread=0.2)),
    "inl": dict(adc=quiet(6, 2.0, inl=INL)),
    "dnl": dict(adc=quiet(6, 2.0, dnl=DNL), bound_management="none"),
    "ir drop": dict(adc=quiet(), ir_drop=1.5, ir_drop_g_ratio=40.0),
    "voltage offset": dict(adc=quiet(), voltage_offset=0.1),
    "voltage offset of pairs": dict(adc=quiet(), voltage_offset=0.1, voltage_offset_w_min=0.0),
    "series resistance": dict(adc=quiet(), series_resistance=0.2, series_resistance_max=0.3, voltage_offset=0.05),
    "series resistance of pairs": dict(adc=quiet(), series_resistance=0.2, voltage_offset_w_min=0.0),
    "analog sum": dict(adc=quiet(), sign_handling="analog_sum", read_asymmetry_spread=0.2, series_resistance=0.1),
    "digital sum": dict(adc=quiet(bound=1.5), sign_handling="digital_sum", read_asymmetry_spread=0.2, ir_drop=1.0,
                        ir_drop_g_ratio=50.0),
    "bit-serial": dict(dac=DAC(slice_bits=1, asymmetry=0.1), adc=quiet()),
    "bit-serial, 4 bits": dict(dac=DAC(bits=8, slice_bits=4), adc=quiet(bound=2.0), sign_handling="digital_sum"),
    "sums": dict(adc=quiet(bound=2.0), noise_management="abs_max_np_sum", nm_threshold=1.1, bound_management="none"),
    "sums, iterative": dict(dac=DAC(bits=None, bound=None), adc=quiet(bound=0.7), noise_management="abs_max_np_sum",
                            nm_assumed_wmax=0.3, bm_max_resolution=0.5),
    "worst case": dict(dac=DAC(bits=None, bound=1.0), adc=quiet(bound=0.4), bound_management="iterative_worst_case"),
    "worst case, no management": dict(dac=DAC(bits=None, bound=None), adc=quiet(bound=0.4), noise_management="none",
                                      bound_management="iterative_worst_case"),
    "one-sided bound": dict(dac=DAC(bits=None, bound=1.0), adc=quiet(bound=0.8), bm_test_negative_bound=False),
    "scale": dict(adc=quiet(), out_scale=2.5),
    "much": dict(dac=DAC(asymmetry=0.1), adc=quiet(7, 4.0, gain_spread=0.05, offset_spread=0.05, nonlinearity=0.2,
                 asymmetry=0.1), sign_handling="analog_sum", ir_drop=1.0, ir_drop_g_ratio=90.0, voltage_offset=0.02,
                 series_resistance=0.05, out_scale=0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_reads_are_those_of_the_oracle(name):
    p = Periphery(**CASES[name])
    rng = np.random.default_rng(31)
    w = rng.normal(0, 0.4, (9, 14)).astype(np.float32)
    x = (rng.normal(0, 0.7, (12, 14)) * rng.uniform(0.2, 2.0, (12, 1))).astype(np.float32)
    d = rng.normal(0, 0.9, (12, 9)).astype(np.float32)
    x[4] = d[5] = 0.0
    array = array_of(w, p, rng=5)
    assert_agrees(array.forward(x), w, x, p, drawn_of(array))
    assert_agrees(array.backward(d), w.T, d, p.without_bound_management(), transposed_of(drawn_of(array, True)))


def transposed_of(drawn):
    """The oracle reads the transposed array, so what belongs to devices is transposed, too."""
    return {name: value.T for name, value in drawn.items()}


@pytest.mark.parametrize("name", ["analog sum", "ir drop", "much"])
def test_pairs_and_cells_are_read_as_their_difference_and_sum(name):
    p = Periphery(**CASES[name])
    rng = np.random.default_rng(32)
    a, b = rng.uniform(-0.5, 0.5, (2, 6, 8)).astype(np.float32)
    x = rng.normal(0, 0.7, (10, 8)).astype(np.float32)
    main, reference = array_of(a, p, rng=5), array_of(b, p, rng=6)
    assert_agrees(DifferentialPair(main, reference).forward(x), a - b, x, p, drawn_of(main))
    cell = rpu.CellArray((6, 8), VectorCell((SoftBounds(), SoftBounds()), gammas=(0.7, -0.4)), forward=p, rng=5)
    cell.program(np.clip(a, -0.2, 0.2))
    drawn = dict(cell.arrays[0].forward_parameters)
    assert_agrees(cell.forward(x), cell.weights, x, p, drawn)


@pytest.mark.usefixtures("restore_kernels")
@pytest.mark.parametrize("kernels", kernel_sets())
def test_all_kernel_sets_read_the_same(kernels):
    rng = np.random.default_rng(33)
    w, x = rng.normal(0, 0.4, (37, 70)), rng.normal(0, 0.9, (5, 70))
    p = Periphery(**CASES["much"]).replace(read_noise=0.1, read_noise_law="sqrt", dac=DAC(noise=0.1, slice_bits=3))
    expected = array_of(w, p, rng=1).forward(x)
    use_kernel_set(kernels)
    np.testing.assert_allclose(array_of(w, p, rng=1).forward(x), expected, atol=0.5 * p.adc.step * 1e-3, rtol=1e-5)


# ---- noise of the devices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["additive", "sqrt", "proportional"])
@pytest.mark.parametrize("transposed", [False, True])
def test_read_noise_has_the_law_of_the_sum_over_devices(law, transposed):
    """Chi-squared against the exact variance of every output, normality, and a new draw for each vector."""
    rng = np.random.default_rng(34)
    w, x = rng.normal(0, 0.5, (60, 40)), rng.normal(0, 1.0, (300, 40))
    array = array_of(w.T if transposed else w, plain(read_noise=0.3, read_noise_law=law), rng=7)
    w = array.weights.astype(np.float64).T if transposed else array.weights.astype(np.float64)
    x = x.astype(np.float32)
    y = array.backward(x) if transposed else array.forward(x)
    per_device = {"additive": np.ones_like(w), "sqrt": np.abs(w), "proportional": w**2}[law]
    z = (y - x @ w.T) / np.sqrt(0.3**2 * (x.astype(np.float64) ** 2 @ per_device.T))
    n = z.size
    assert 2 * min(stats.chi2.cdf(np.sum(z**2), n), stats.chi2.sf(np.sum(z**2), n)) > P_LIMIT
    assert stats.kstest(z.ravel(), "norm").pvalue > P_LIMIT
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1])):
        assert abs(np.sum(a * b)) < 5 * np.sqrt(a.size)
    per_output = np.sum(z**2, axis=0)
    assert stats.kstest(stats.chi2.cdf(per_output, len(x)), "uniform").pvalue > P_LIMIT


@pytest.mark.parametrize("law", ["additive", "sqrt", "proportional"])
@pytest.mark.parametrize("signs", ["one_pass", "analog_sum"])
def test_read_noise_agrees_with_a_draw_for_every_device(law, signs):
    """Two samples: outputs of the engine, and of the oracle with one normal for each device."""
    rng = np.random.default_rng(35)
    w = rng.normal(0, 0.5, (3, 8)).astype(np.float32)
    x = rng.normal(0, 1.0, 8).astype(np.float32)
    p = Periphery(
        dac=DAC(bits=5, bound=1.0),
        adc=quiet(None, 4.0, nonlinearity=0.5),
        bound_management="none",
        read_noise=0.4,
        read_noise_law=law,
        sign_handling=signs,
        series_resistance=0.1,
    )
    array = array_of(w, p, rng=8)
    engine = array.forward(np.tile(x, (4000, 1)))
    explicit = np.array([oracle.read_vector(w, x, p, drawn_of(array), rng) for _ in range(4000)])
    for k in range(3):
        assert stats.ks_2samp(engine[:, k], explicit[:, k]).pvalue > P_LIMIT
        assert engine[:, k].std() == pytest.approx(explicit[:, k].std(), rel=0.06)


def test_read_noise_of_pairs_is_that_of_both_arrays():
    x = np.random.default_rng(36).normal(size=(400, 30)).astype(np.float32)
    p = plain(read_noise=0.2)
    pair = DifferentialPair(array_of(np.zeros((50, 30)), p, rng=1), array_of(np.zeros((50, 30)), p, rng=2))
    z = pair.forward(x) / (0.2 * np.sqrt(2) * np.linalg.norm(x, axis=1))[:, None]
    assert abs(np.mean(z**2) - 1) < 5 * np.sqrt(2 / z.size)


@pytest.mark.parametrize("law", ["additive", "sqrt", "proportional"])
def test_read_noise_of_cells_is_that_of_all_their_devices(law):
    """Each counts with the square of its gamma: 4000 outputs give the variance to 2 %."""
    gammas, states, x = (0.5, 0.3, -0.7), (0.4, -0.2, 0.3), np.array([0.5, -0.2, 0.8, 0.1])
    device = SoftBounds(w_max_dtod=0.0, w_min_dtod=0.0)
    cell = VectorCell((device,) * 3, gammas=gammas)
    array = rpu.CellArray((4000, 4), cell, forward=plain(read_noise=0.2, read_noise_law=law), rng=15)
    for one, state in zip(array.arrays, states, strict=True):
        one.program(np.full((4000, 4), state))
    noise = array.forward(x) - np.sum(x) * np.dot(gammas, states)
    size = {"additive": np.ones(3), "sqrt": np.sqrt(np.abs(states)), "proportional": np.abs(states)}[law]
    assert np.mean(noise**2) == pytest.approx(0.2**2 * np.sum((gammas * size) ** 2) * np.sum(x**2), rel=5 * np.sqrt(2 / 4000))


def test_every_pass_and_try_draws_its_own_noise():
    w = np.zeros((300, 40))
    one = array_of(w, plain(read_noise=0.2), rng=9).forward(np.ones((50, 40)))
    x = np.ones((50, 40))
    x[:, ::2] = -1.0
    both = array_of(w, plain(read_noise=0.2, sign_handling="digital_sum"), rng=9).forward(x)
    n = both.size
    assert abs(np.corrcoef(one.ravel(), both.ravel())[0, 1]) < 0.8  # the first pass is half of it
    assert np.mean(both**2) == pytest.approx(0.2**2 * 40, rel=5 * np.sqrt(2 / n))
    dac = DAC(bits=4, bound=1.0, slice_bits=1, noise=0.1)
    planes = array_of(np.eye(300), plain(dac=dac), rng=10).forward(np.zeros((200, 300)))
    weights = np.array([1, 2, 4]) * dac.step  # three digits, each with noise of its own
    assert np.mean(planes**2) == pytest.approx(0.1**2 * np.sum(weights**2), rel=5 * np.sqrt(2 / planes.size))


# ---- converters that differ ----------------------------------------------------------------------------------------


def test_spreads_of_converters_have_their_laws_and_belong_to_an_output():
    p = plain(
        adc=ADC(
            bits=None,
            bound=None,
            noise=0.1,
            noise_spread=0.2,
            gain_spread=0.05,
            offset_spread=0.3,
            nonlinearity=0.4,
            nonlinearity_spread=0.1,
        ),
        voltage_offset=0.2,
        sign_handling="analog_sum",
        read_asymmetry_spread=0.3,
    )
    array = CrossbarArray((4000, 3), Ideal(), forward=p, rng=11)
    drawn = drawn_of(array)
    bound = {"bound": 2.5, "bits": 7}  # the law is relative to it, and so is its spread
    bounded = drawn_of(CrossbarArray((4000, 3), Ideal(), forward=p.replace(adc=p.adc.replace(**bound)), rng=11))
    assert stats.kstest(bounded["nonlinearity"], stats.norm(0.16, 0.016).cdf).pvalue > P_LIMIT
    same = drawn_of(CrossbarArray((5, 3), Ideal(), forward=plain(adc=quiet(bound=4.0, nonlinearity=0.6)), rng=11))
    np.testing.assert_allclose(same["nonlinearity"], 0.15, rtol=1e-6)
    for name, law in (
        ("adc_noise", stats.foldnorm(5.0, scale=0.02)),
        ("adc_gain", stats.norm(1, 0.05)),
        ("adc_offset", stats.norm(0, 0.3)),
        ("nonlinearity", stats.norm(0.4, 0.04)),
        ("read_asymmetry", stats.norm(0, 0.3)),
    ):
        assert stats.kstest(drawn[name].ravel(), law.cdf).pvalue > P_LIMIT, name
    offsets = drawn["voltage_offset"]
    assert stats.binomtest(int(np.sum(offsets == 0)), 4000, 0.5).pvalue > P_LIMIT
    assert stats.kstest(offsets[offsets > 0], stats.halfnorm(scale=0.2).cdf).pvalue > P_LIMIT
    again = drawn_of(CrossbarArray((4000, 3), Ideal(), forward=p, rng=11))
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    noise = plain(adc=ADC(bits=None, bound=None, noise=0.1, noise_spread=0.5))
    array = array_of(np.zeros((40, 1)), noise, rng=12)
    std = array.forward(np.zeros((4000, 1))).std(axis=0)
    np.testing.assert_allclose(std, drawn_of(array)["adc_noise"], rtol=5 / np.sqrt(2 * 4000))


def test_drawn_parameters_can_be_set_and_travel_with_the_state():
    p = plain(adc=quiet(None, None, gain_spread=0.1, offset_spread=0.1))
    array = array_of(np.eye(3), p, rng=13)
    array.forward_parameters["adc_gain"] = [1.0, 2.0, 3.0]
    array.forward_parameters["adc_offset"] = 0.5
    np.testing.assert_allclose(array.forward([1.0, 1.0, 1.0]), [1.5, 2.5, 3.5])
    other = array_of(np.zeros((3, 3)), p, rng=14)
    other.load_state_dict(array.state_dict())
    np.testing.assert_allclose(other.forward([1.0, 1.0, 1.0]), [1.5, 2.5, 3.5])
    with pytest.raises(KeyError, match="adc_noise.*forward has adc_gain, adc_offset"):
        array.forward_parameters["adc_noise"]
    with pytest.raises(ValueError, match=r"adc_gain.*\(3,\).*\(2,\)"):
        array.forward_parameters["adc_gain"] = [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        array.forward_parameters["adc_gain"][...] = 1.0
    assert repr(array.backward_parameters) == "ReadParameters(adc_gain, adc_offset)"


def test_nonlinear_converters_are_the_ideal_one_where_their_tables_are_zero():
    x = np.linspace(-3.5, 3.5, 1001)[:, None] + 1e-4
    plain_adc, tabled = (array_of([[1.0]], plain(adc=quiet(3, 3.0, inl=t))).forward(x) for t in (None, (0.0,) * 6))
    np.testing.assert_array_equal(plain_adc, tabled)
    missing = quiet(3, 3.0, dnl=(0.0, -1.0, 0.0, 0.0, 0.0))  # the second inner level never occurs
    levels = np.unique(array_of([[1.0]], plain(adc=missing)).forward(x))
    np.testing.assert_allclose(levels, [-3, -2, 0, 1, 2, 3])


def test_digits_of_a_bit_serial_input_add_up_to_it():
    """With ideal ADCs a bit-serial read is the read of the whole input; with coarse ones it is finer than that."""
    rng = np.random.default_rng(37)
    w, x = rng.uniform(-0.5, 0.5, (20, 30)), rng.uniform(-1, 1, (40, 30))
    whole = array_of(w, plain(dac=DAC(bits=8, bound=1.0))).forward(x)
    for bits in (1, 2, 3, 7):
        sliced = array_of(w, plain(dac=DAC(bits=8, bound=1.0, slice_bits=bits))).forward(x)
        np.testing.assert_allclose(sliced, whole, atol=1e-5)


# ---- counting ------------------------------------------------------------------------------------------------------


def test_reads_are_counted():
    p = Periphery(dac=DAC(bits=None, bound=1.0), adc=quiet(bound=1.0), noise_management="none")
    array = array_of(np.eye(3) * 0.9, p)
    array.forward([[0.5, 0.2, 0.1], [2.0, 0.0, 0.0], [0.0, -3.0, 3.0]])
    assert array.forward_count == rpu.ReadCount(3, 3, 0, 9, 9, 3, 0)
    assert array.backward_count == rpu.ReadCount(0, 0, 0, 0, 0, 0, 0)
    array = array_of(np.eye(3) * 1.5, p)
    array.forward([[0.5, 0.2, 0.1], [1.0, -1.0, 0.0]])  # the second vector clips two outputs and is read again
    assert array.forward_count == rpu.ReadCount(2, 3, 1, 9, 9, 0, 2)
    array.backward(np.ones((5, 3)))
    assert array.backward_count == rpu.ReadCount(5, 5, 0, 15, 15, 0, 15)
    p = Periphery(dac=DAC(bits=5, slice_bits=2), adc=quiet(), sign_handling="digital_sum", bound_management="none")
    array = array_of(np.eye(3), p)
    array.forward(np.ones((10, 3)))
    assert array.forward_count == rpu.ReadCount(10, 40, 0, 30, 120, 0, 0)
    saved = json.loads(json.dumps(array.state_dict()["reads"]))
    other = array_of(np.zeros((3, 3)), p)
    other.load_state_dict(array.state_dict())
    assert other.state_dict()["reads"] == saved and other.forward_count == array.forward_count
    ideal = array_of(np.eye(3), Periphery.ideal())
    ideal.forward(np.ones((4, 3)))
    assert ideal.forward_count == rpu.ReadCount(4, 4, 0, 0, 0, 0, 0)


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: DAC(slice_bits=7), ["slice_bits", "7"]),
        (lambda: DAC(bits=None, bound=None, slice_bits=1), ["slice_bits", "None", "1"]),
        (lambda: DAC(asymmetry=1.5), ["asymmetry", "1.5"]),
        (lambda: ADC(noise=0.0, noise_spread=0.1), ["noise_spread", "0.1"]),
        (lambda: ADC(nonlinearity_spread=0.1), ["nonlinearity_spread", "0.1"]),
        (lambda: ADC(bits=3, inl=(0.0,) * 5), ["inl", "6", "5"]),
        (lambda: ADC(bits=3, dnl=(0.0,) * 6), ["dnl", "5", "6"]),
        (lambda: ADC(bits=3, dnl=(-1.5, 0.0, 0.0, 0.0, 0.0)), ["dnl", "order"]),
        (lambda: ADC(bits=3, inl=(0.0,) * 6, dnl=(0.0,) * 5), ["dnl", "inl"]),
        (lambda: ADC(bits=3, inl=(0.0,) * 6, stochastic_rounding=True), ["inl", "stochastic_rounding"]),
        (lambda: ADC(bits=None, inl=(0.0,) * 6), ["inl", "bits"]),
        (lambda: Periphery(read_noise_law="sqrt"), ["read_noise_law", "read_noise", "sqrt"]),
        (lambda: Periphery(read_noise=0.1, read_noise_law="pcm"), ["read_noise_law", "additive", "pcm"]),
        (lambda: Periphery(read_asymmetry_spread=0.1), ["read_asymmetry_spread", "sign_handling", "0.1"]),
        (lambda: Periphery(ir_drop_g_ratio=100.0), ["ir_drop_g_ratio", "ir_drop", "100"]),
        (lambda: Periphery(voltage_offset_w_min=0.0), ["voltage_offset_w_min", "series_resistance", "0"]),
        (lambda: Periphery(series_resistance_max=1.0), ["series_resistance_max", "series_resistance", "1"]),
        (lambda: Periphery(nm_assumed_wmax=0.5), ["nm_assumed_wmax", "abs_max_np_sum", "0.5"]),
        (lambda: Periphery(bound_management="none", bm_test_negative_bound=False), ["bm_test_negative_bound", "False"]),
        (lambda: Periphery(ir_drop=-1.0), ["ir_drop", "-1"]),
        (lambda: Periphery(sign_handling="two"), ["sign_handling", "digital_sum", "two"]),
    ],
)
def test_settings_that_make_no_sense_are_refused(build, words):
    with pytest.raises(ValueError) as caught:
        build()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_specifications_go_through_json():
    for settings in CASES.values():
        p = Periphery(**settings)
        assert rpu.from_dict(json.loads(p.to_json())) == p
        assert eval(repr(p), {n: getattr(rpu, n) for n in rpu.__all__}) == p
