"""What reaches devices of the voltage of a pulse, against node-by-node equations, and what they make of it."""

import gc
import signal
import threading
import weakref

import numpy as np
import pytest
from oracle import wires as oracle

import rpusim as rpu
from rpusim.wires.writes import WriteWires, write_voltages

LINES = {
    "plain": {"r_word": 1.5, "r_bit": 0.7},
    "ends": {"r_word": 1.5, "r_bit": 0.7, "r_driver": 50.0, "r_sense": 20.0},
    "ideal words": {"r_word": 0.0, "r_bit": 2.0},
    "ideal": {"r_word": 0.0, "r_bit": 0.0},
    "ideal but for the ends": {"r_word": 0.0, "r_bit": 0.0, "r_driver": 10.0, "r_sense": 30.0},
    "both ends": {"r_word": 2.0, "r_bit": 1.0, "r_sense": 4.0, "drivers": "both", "sensors": "both"},
    "both drivers, ideal bits": {"r_word": 2.0, "r_bit": 0.0, "drivers": "both"},
}
SCALE = rpu.ConductanceScale(g_min=1e-6, g_max=100e-6, mapping="offset")


def across(v, r, lines, transposed):
    s = oracle.network(v, r, transposed=transposed, **lines)
    return s["word_voltages"] - s["bit_voltages"]


def exact_pairs(r, lines):
    """Two dense solves of the whole network for every device."""
    out = np.empty(r.shape)
    from_words = [across(np.eye(r.shape[0])[i], r, lines, False) for i in range(r.shape[0])]
    from_bits = [across(-np.eye(r.shape[1])[j], r, lines, True) for j in range(r.shape[1])]
    for i, j in np.ndindex(*r.shape):
        out[i, j] = 0.5 * (from_words[i][i, j] + from_bits[j][i, j])
    return out


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 1), (8, 5), (5, 9)])
@pytest.mark.parametrize("lines", LINES)
def test_fractions(lines, shape):
    rng = np.random.default_rng(shape)
    r = rng.uniform(1e3, 1e4, shape)
    g, wires = 1.0 / r, rpu.Wires(**LINES[lines])
    exact = exact_pairs(r, LINES[lines])
    got = write_voltages(g, wires)
    # the other lines are taken to be at 0, and take no current back: a little too much reaches the device
    assert (got >= exact - 1e-12).all()
    assert (got <= exact + 0.02 * (1.0 - exact) ** 2 + 1e-12).all()
    every = across(np.ones(shape[0]), r, LINES[lines], False) - across(np.ones(shape[1]), r, LINES[lines], True)
    np.testing.assert_allclose(write_voltages(g, wires, selected="all"), 0.5 * every, rtol=0.0, atol=1e-9)


def test_the_approximation_is_far_better_than_the_loss():
    """48 x 32 devices: up to 0.08 of the voltage is lost; of that, the ladders are wrong by less than a thousandth."""
    rng = np.random.default_rng(5)
    r = rng.uniform(1e4, 1e5, (48, 32))
    wires = rpu.Wires(r_word=5.0, r_bit=5.0)
    got, worst = write_voltages(1.0 / r, wires), 0.0
    for i, j in ((47, 31), (0, 0), (0, 31), (20, 10)):
        rows = rpu.solve_network(np.eye(48)[i], r, r_word=5.0, r_bit=5.0, method="direct")
        columns = rpu.solve_network(-np.eye(32)[j], r, r_word=5.0, r_bit=5.0, method="direct", transposed=True)
        exact = 0.5 * sum((s.word_voltages - s.bit_voltages)[i, j] for s in (rows, columns))
        assert exact < 1.0
        worst = max(worst, abs(got[i, j] - exact) / (1.0 - exact))
    assert worst < 1e-3
    assert 0.03 < 1.0 - got.min() < 0.2


def test_open_devices_see_all_and_one_device_is_a_divider():
    g = np.zeros((3, 4))
    np.testing.assert_array_equal(write_voltages(g, rpu.Wires()), np.ones((3, 4)))
    wires = rpu.Wires(r_word=100.0, r_bit=150.0)
    np.testing.assert_allclose(write_voltages([[1e-3]], wires), [[0.8]], rtol=1e-14)
    np.testing.assert_allclose(write_voltages([[1e-3]], wires, selected="all"), [[0.8]], rtol=1e-12)


def array(device, pulses, seed=0, **options):
    return rpu.CrossbarArray((9, 12), device, pulses=pulses, rng=seed, **options)


@pytest.mark.parametrize("selected", ["pair", "all"])
@pytest.mark.parametrize(("threshold", "exponent"), [(0.5, 1.0), (0.9, 2.0)])
def test_steps_follow_the_voltage(selected, threshold, exponent):
    """Deterministic pulses, one per device: its change is its step, by the law, at the conductances from before."""
    lines = WriteWires(rpu.Wires(r_word=30.0, r_bit=20.0), SCALE, threshold, exponent, selected)
    pulses = rpu.PulseScheme(desired_bl=1, pulse_type="deterministic_implicit", update_bl_management=False, wires=lines)
    device = rpu.devices.ConstantStep(
        dw_min=0.01, dw_min_dtod=0.3, dw_min_std=0.0, up_down=0.2, w_max=3.0, w_min=-3.0, w_max_dtod=0.1, w_min_dtod=0.1
    )
    a = array(device, pulses)
    w = np.random.default_rng(1).uniform(-0.5, 0.5, (9, 12))
    a.program(w)
    before = a.weights
    a.update(np.ones(12), -np.ones(9), lr=0.01)
    r = 1.0 / SCALE.conductances(before.T)[0]
    named = {"r_word": 30.0, "r_bit": 20.0}
    if selected == "pair":
        f, off = exact_pairs(r, named).T, 1e-4
    else:
        f, off = 0.5 * (across(np.ones(12), r, named, False) - across(np.ones(9), r, named, True)).T, 1e-6
    factor = np.clip((f - threshold) / (1.0 - threshold), 0.0, None) ** exponent
    slope = exponent / (1.0 - threshold)
    expected = a.parameters["step_up"] * factor
    np.testing.assert_allclose(a.weights - before, expected, rtol=0.0, atol=0.013 * (off * slope) + 1e-7)
    assert factor.min() < 0.97 and factor.max() > factor.min()
    free = array(device, pulses.replace(wires=None))
    free.program(w)
    free.update(np.ones(12), -np.ones(9), lr=0.01)
    np.testing.assert_allclose(free.weights - before, a.parameters["step_up"], rtol=0.0, atol=1e-7)
    assert np.abs(free.weights - a.weights).max() > 1e-4


@pytest.mark.parametrize(
    "device",
    [
        rpu.devices.LinearStep(dw_min=0.01, gamma_up=0.3, gamma_down=0.3, dw_min_std=0.3, w_max=3.0, w_min=-3.0),
        rpu.devices.SoftBounds(dw_min=0.01, dw_min_std=0.3, w_max=3.0, w_min=-3.0),
        rpu.devices.PowStep(dw_min=0.01, dw_min_std=0.3, w_max=3.0, w_min=-3.0),
        rpu.devices.ConstantStep(  # parameters that all devices share
            dw_min=0.01, dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0
        ),
        rpu.devices.ExpStep(dw_min=0.01, dw_min_std=0.3, w_max=3.0, w_min=-3.0),
    ],
    ids=lambda device: type(device).__name__,
)
def test_noise_and_slopes_shrink_with_the_step(device):
    """At the same draws, every change is that without wires times one factor per device."""
    lines = WriteWires(rpu.Wires(r_word=30.0, r_bit=20.0), SCALE)
    pulses = rpu.PulseScheme(desired_bl=1, pulse_type="deterministic_implicit", update_bl_management=False)
    w = np.random.default_rng(1).uniform(-0.3, 0.3, (9, 12)).astype(np.float32)
    changes = []
    for scheme in (pulses, pulses.replace(wires=lines)):
        a = array(device, scheme)
        a.program(w)
        a.update(np.ones(12), np.ones(9), lr=0.01)
        changes.append(a.weights - w)
    np.testing.assert_allclose(changes[1], changes[0] * lines.factors(w), rtol=0.0, atol=2e-7)


def test_wires_without_resistance_change_nothing():
    device = rpu.devices.SoftBounds(dw_min=0.01, dw_min_dtod=0.3, dw_min_std=0.3)
    x, d = np.random.default_rng(2).uniform(-1.0, 1.0, (5, 12)), np.random.default_rng(3).uniform(-1.0, 1.0, (5, 9))
    results = []
    for lines in (None, WriteWires(rpu.Wires(r_word=0.0, r_bit=0.0), SCALE)):
        a = array(device, rpu.PulseScheme(wires=lines))
        a.update(x, d, lr=0.05)
        results.append(a.weights)
    np.testing.assert_array_equal(results[0], results[1])


def test_bits_depend_on_neither_threads_nor_checkpoints(restore_threads):
    lines = WriteWires(rpu.Wires(r_word=30.0, r_bit=20.0), SCALE)
    device = rpu.devices.SoftBounds(dw_min=0.01, dw_min_dtod=0.3, dw_min_std=0.3)
    x, d = np.random.default_rng(2).uniform(-1.0, 1.0, (6, 12)), np.random.default_rng(3).uniform(-1.0, 1.0, (6, 9))
    results = []
    for threads in (1, 3):
        rpu.set_num_threads(threads)
        a = array(device, rpu.PulseScheme(wires=lines))
        a.update(x[:3], d[:3], lr=0.05)
        b = rpu.CrossbarArray((9, 12), device, pulses=rpu.PulseScheme(wires=lines), rng=7)
        b.load_state_dict(a.state_dict())
        for one in (a, b):
            one.update(x[3:], d[3:], lr=0.05)
        np.testing.assert_array_equal(a.weights, b.weights)
        results.append(a.weights)
    np.testing.assert_array_equal(results[0], results[1])


def test_direct_pulses_have_no_lines():
    """`pulse` is a probe at the device itself, before and after an update through lines."""
    lines = WriteWires(rpu.Wires(r_word=30.0, r_bit=20.0), SCALE)
    a = array(rpu.devices.ConstantStep(dw_min=0.01, dw_min_dtod=0.3, dw_min_std=0.0), rpu.PulseScheme(wires=lines))
    for _ in range(2):
        w = a.weights
        a.pulse(1)
        np.testing.assert_allclose(a.weights - w, a.parameters["step_up"], rtol=0.0, atol=1e-7)
        a.update(np.ones(12), np.ones(9), lr=0.01)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("device", [rpu.devices.LinearStep(), rpu.devices.ConstantStep(dw_min_dtod=0.0)])
def test_devices_are_as_they_were_after_an_error(device, error):
    """Ctrl-C is heard as soon as Python code runs again: also right after the parameters of an update are set."""
    lines = WriteWires(rpu.Wires(r_word=30.0, r_bit=20.0), SCALE)
    a, b = (array(device, rpu.PulseScheme(wires=lines)) for _ in range(2))
    set_wires = a._core.updater.write_wires

    def interrupted(*args):
        set_wires(*args)
        raise error

    a._core.updater.write_wires = interrupted
    with pytest.raises(error):
        a.update(np.ones(12), np.ones(9), lr=0.01)
    a._core.updater.write_wires = set_wires
    for one in (a, b):
        one.pulse(3)
    np.testing.assert_array_equal(a.weights, b.weights)


def test_arrays_go_when_nobody_holds_them():
    a = array(rpu.devices.SoftBounds(), rpu.PulseScheme(wires=WriteWires(rpu.Wires(), SCALE)))
    a.update(np.ones(12), np.ones(9), lr=0.01)
    gone = weakref.ref(a)
    gc.disable()  # by themselves: an array may be large, and the collector counts objects, not bytes
    try:
        del a
        assert gone() is None
    finally:
        gc.enable()


def test_ctrl_c_while_pulses_are_given_leaves_devices_as_they_were():
    """The signal waits until Python code runs again, which must not be before the parameters are back."""
    lines = WriteWires(rpu.Wires(r_word=30.0, r_bit=20.0), SCALE)
    device = rpu.devices.ConstantStep(dw_min=1e-6, dw_min_dtod=0.0, dw_min_std=0.3)
    pulses = rpu.PulseScheme(desired_bl=60000, update_management=False, update_bl_management=False, wires=lines)
    a, b = (array(device, pulses) for _ in range(2))  # 6 million pulses by one vector, between which no signal is looked for
    set_wires, late = a._core.updater.write_wires, threading.Event()

    def kill():
        late.wait()
        signal.raise_signal(signal.SIGINT)

    def interrupted(*args):
        set_wires(*args)
        late.set()

    a._core.updater.write_wires = interrupted
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        a.update(np.ones(12), np.ones(9), lr=0.06)
    killer.join()
    a._core.updater.write_wires = set_wires
    counters, key = b._core.counters, b._core.devices.key
    a.program(np.zeros((9, 12)))
    a._core.counters, a._core.devices.key = counters, key
    for one in (a, b):
        one.pulse(3)
    np.testing.assert_array_equal(a.weights, b.weights)


@pytest.mark.parametrize("rule", ["TikiTaka", "SHD"])
def test_algorithms_write_through_them(rule):
    """The compiled loops see the lines too."""
    device = rpu.devices.SoftBounds(dw_min=0.01)
    kind = getattr(rpu.algorithms, rule)
    results = []
    for lines in (None, WriteWires(rpu.Wires(r_word=50.0, r_bit=50.0), SCALE)):
        tile = kind(fast=device, slow=device, pulses=rpu.PulseScheme(wires=lines)).build((9, 12), rng=0)
        x, d = np.random.default_rng(2).uniform(-1.0, 1.0, (40, 12)), np.random.default_rng(3).uniform(-1.0, 1.0, (40, 9))
        tile.update(x, d, lr=0.05)
        results.append(tile.weights)
    assert np.abs(results[0] - results[1]).max() > 1e-4


def test_errors():
    wires = rpu.Wires()
    with pytest.raises(ValueError, match="one device per weight, 'single' or 'offset'; got 'differential'"):
        WriteWires(wires, rpu.ConductanceScale())
    with pytest.raises(ValueError, match=r"WriteWires: threshold must be .*\[0.5, 1\); got 0.4"):
        WriteWires(wires, SCALE, threshold=0.4)
    with pytest.raises(ValueError, match="wires must be finite resistances where an array is written through them"):
        write_voltages(np.ones((2, 2)), rpu.Wires(r_word=np.inf))
    with pytest.raises(ValueError, match="selected must be one of 'pair', 'all'; got 'one'"):
        write_voltages(np.ones((2, 2)), wires, selected="one")
    scheme = rpu.PulseScheme(wires=WriteWires(wires.replace(r_word=[1.0, 2.0]), SCALE))
    with pytest.raises(ValueError, match="r_word must be one number or 3, one per line of the array; got 2"):
        rpu.CrossbarArray((4, 3), rpu.devices.ConstantStep(), pulses=scheme)
    scheme = rpu.PulseScheme(wires=WriteWires(wires, SCALE))
    with pytest.raises(ValueError, match="pulses must have no wires for a device that takes no pulses; got Ideal"):
        rpu.CrossbarArray((4, 3), rpu.devices.Ideal(), pulses=scheme)
    noisy = rpu.devices.ExpStep(dw_min_std=0.3, dw_min_std_add=0.1)
    with pytest.raises(ValueError, match="noise that is not in proportion to its step"):
        rpu.CrossbarArray((4, 3), noisy, pulses=scheme)
    a = rpu.CrossbarArray((2, 3), rpu.devices.ConstantStep(dw_min=0.01, w_max=9.0, w_min=-9.0), pulses=scheme, rng=0)
    a.program(np.full((2, 3), -5.0))
    before = a.weights
    with pytest.raises(ValueError, match="weights must be at least"):
        a.update(np.ones(3), np.ones(2), lr=1.0)
    np.testing.assert_array_equal(a.weights, before)
    assert rpu.from_dict(scheme.to_dict()) == scheme
