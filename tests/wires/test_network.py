"""Wire networks against node-by-node equations, closed forms, and the laws that every resistor network keeps."""

import copy
import pickle
import signal

import numpy as np
import pytest
from oracle import wires as oracle

import rpusim as rpu
from rpusim.wires.network import Network

ARRAYS = ("currents", "word_voltages", "bit_voltages", "device_currents", "word_currents", "bit_currents")


def resistances(rng, shape, open_share=0.0):
    r = rng.uniform(1e3, 1e5, shape)
    r[rng.random(shape) < open_share] = np.inf
    return r


def assert_same(solution, expected, rtol=1e-10, scale=1.0):
    """Equal within `rtol` of the largest voltage (`scale`) or current."""
    current = np.abs(expected["device_currents"]).max()
    for name in ARRAYS:
        size = scale if name.endswith("voltages") else max(current, np.abs(expected[name]).max())
        got = getattr(solution, name)
        assert got.shape == expected[name].shape, name
        np.testing.assert_allclose(got, expected[name], rtol=0.0, atol=rtol * size, err_msg=name)


BOTH = {"drivers": "both", "sensors": "both"}
LINES = {
    "plain": {"r_word": 1.5, "r_bit": 0.7},
    "ends": {"r_word": 1.5, "r_bit": 0.7, "r_driver": 50.0, "r_sense": 20.0},
    "ideal words": {"r_word": 0.0, "r_bit": 2.0},
    "ideal bits": {"r_word": 2.0, "r_bit": 0.0},
    "ideal": {"r_word": 0.0, "r_bit": 0.0},
    "ideal but for the ends": {"r_word": 0.0, "r_bit": 0.0, "r_driver": 10.0, "r_sense": 30.0},
    "both drivers": {"r_word": 2.0, "r_bit": 1.0, "r_driver": 3.0, "drivers": "both"},
    "both sensors": {"r_word": 2.0, "r_bit": 1.0, "sensors": "both"},
    "both ends": {"r_word": 2.0, "r_bit": 1.0, "r_sense": 4.0, **BOTH},
    "ideal lines, both ends": {"r_word": 0.0, "r_bit": 0.0, "r_driver": 1.0, "r_sense": 4.0, **BOTH},
    "wires worse than devices": {"r_word": 1e4, "r_bit": 3e4},
}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (8, 8), (5, 13), (24, 17), (17, 24)])
@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("method", ["cg", "direct"])
def test_every_voltage_and_current(lines, shape, transposed, method):
    rng = np.random.default_rng(shape)
    r = resistances(rng, shape, 0.1)
    v = rng.uniform(-1.0, 1.0, shape[1 if transposed else 0])
    solution = rpu.solve_network(v, r, method=method, transposed=transposed, **LINES[lines])
    assert solution.method == method
    assert_same(solution, oracle.network(v, r, transposed=transposed, **LINES[lines]))


@pytest.mark.parametrize("method", ["cg", "direct"])
def test_resistances_per_line(method):
    rng = np.random.default_rng(3)
    r = resistances(rng, (11, 14), 0.2)
    lines = {"r_word": rng.uniform(0.1, 9.0, 11), "r_bit": rng.uniform(0.1, 9.0, 14), "r_driver": rng.uniform(0, 99, 11),
             "r_sense": rng.uniform(0, 99, 14)}  # fmt: skip
    lines["r_word"][[0, 5]], lines["r_bit"][[3, 13]], lines["r_driver"][[1, 5]], lines["r_sense"][2] = 0.0, 0.0, 0.0, 0.0
    v = rng.uniform(0.0, 1.0, 11)
    assert_same(rpu.solve_network(v, r, method=method, **lines), oracle.network(v, r, **lines))


@pytest.mark.parametrize("method", ["cg", "direct"])
def test_open_lines(method):
    """A word line without wire joins the bit lines through its devices; an open bit line carries nothing at its end."""
    rng = np.random.default_rng(4)
    r = resistances(rng, (6, 5))
    lines = {"r_word": [1.0, np.inf, 2.0, 3.0, 1.0, 1.0], "r_bit": 2.0, "r_sense": [0.0, np.inf, 1.0, 0.0, 0.0]}
    v = rng.uniform(0.0, 1.0, 6)
    solution = rpu.solve_network(v, r, method=method, **lines)
    assert_same(solution, oracle.network(v, r, **lines))
    assert abs(solution.currents[1]) < 1e-12 * np.abs(solution.currents).max()
    np.testing.assert_allclose(solution.word_voltages[1], solution.bit_voltages[1], rtol=1e-12)


def test_shorted_devices():
    """Devices of no resistance, where that leaves no loop of ideal conductors."""
    rng = np.random.default_rng(5)
    for lines in (LINES["ends"], LINES["both ends"], LINES["ideal bits"]):
        r = resistances(rng, (7, 9), 0.1)
        r[[0, 2, 6], [3, 8, 0]] = 0.0
        v = rng.uniform(0.0, 1.0, 7)
        solution = rpu.solve_network(v, r, **lines)
        assert solution.method == "direct" and solution.iterations == 0
        assert_same(solution, oracle.network(v, r, **lines))
        across = (solution.word_voltages - solution.bit_voltages)[r == 0.0]
        np.testing.assert_allclose(across, 0.0, atol=1e-15)


def test_a_single_shorted_device_is_a_divider():
    solution = rpu.solve_network([1.0], [[0.0]], r_word=3.0, r_bit=5.0)
    for name in ("currents", "device_currents", "word_currents", "bit_currents"):
        np.testing.assert_allclose(getattr(solution, name), np.full_like(getattr(solution, name), 0.125), rtol=1e-15)


def test_currents_divide_in_a_loop_of_ideal_conductors_as_between_equal_resistances():
    """Two shorted devices of one ideal word line feed one ideal bit line: three of four branches in a loop, one outside."""
    tiny = rpu.solve_network(
        [1.0, 0.0], [[1e-6], [1e-6]], r_word=[1e-6, 1e-6], r_bit=0.0, r_sense=10.0, r_driver=[5.0, np.inf], method="direct"
    )
    ideal = rpu.solve_network([1.0, 0.0], [[0.0], [0.0]], r_word=[0.0, 0.0], r_bit=0.0, r_sense=10.0, r_driver=[5.0, np.inf])
    np.testing.assert_allclose(ideal.device_currents, tiny.device_currents, rtol=1e-6, atol=1e-9)
    lever = rpu.solve_network([1.0], [[10.0, 20.0, 40.0]], r_word=0.0, r_bit=0.0, drivers="both")
    near = rpu.solve_network([1.0], [[10.0, 20.0, 40.0]], r_word=1e-6, r_bit=0.0, drivers="both")
    np.testing.assert_allclose(lever.word_currents, near.word_currents, rtol=1e-6)


def test_shorted_devices_that_short_a_driver_are_refused():
    with pytest.raises(ValueError, match="resistances must not join terminals of different voltages by ideal conductors alone"):
        rpu.solve_network([1.0], [[0.0]], r_word=0.0, r_bit=0.0)
    assert rpu.solve_network([0.0], [[0.0]], r_word=0.0, r_bit=0.0).currents == 0.0


@pytest.mark.parametrize("n", [1, 2, 10, 200])
@pytest.mark.parametrize("method", ["cg", "direct"])
def test_a_uniform_ladder_is_hyperbolic(n, method):
    """One word line over ideal bit lines: r g v_j = v_(j-1) - 2 v_j + v_(j+1), v_0 = V, no current behind v_n. With
    2 sinh(k / 2) = sqrt(r g), v_j = V cosh(k (n + 1/2 - j)) / cosh(k (n + 1/2))."""
    r, g = 3.0, 1e-3
    k = 2.0 * np.arcsinh(np.sqrt(r * g) / 2.0)
    expected = np.cosh(k * (n - 0.5 - np.arange(n))) / np.cosh(k * (n + 0.5))
    solution = rpu.solve_network([1.0], np.full((1, n), 1 / g), r_word=r, r_bit=0.0, method=method)
    np.testing.assert_allclose(solution.word_voltages[0], expected, rtol=1e-12, atol=2e-15)
    np.testing.assert_allclose(solution.currents, g * expected, rtol=1e-12, atol=2e-18)
    # the same ladder stood upright, driven from below
    upright = rpu.solve_network([1.0], np.full((n, 1), 1 / g), r_word=0.0, r_bit=r, transposed=True, method=method)
    np.testing.assert_allclose(upright.bit_voltages[::-1, 0], expected, rtol=1e-12, atol=2e-15)
    np.testing.assert_allclose(upright.currents[::-1], g * expected, rtol=1e-12, atol=2e-18)


def network(shape=(20, 27), seed=6, **lines):
    g = 1.0 / resistances(np.random.default_rng(seed), shape)
    wires = rpu.Wires(r_word=5.0, r_bit=7.0, r_driver=30.0, r_sense=11.0, tolerance=1e-13)
    return g, Network(g, wires.replace(**lines))


def test_superposition():
    _, net = network()
    a, b = np.random.default_rng(7).uniform(-1.0, 1.0, (2, 20))
    np.testing.assert_allclose(net.currents(2.0 * a - 3.0 * b), 2.0 * net.currents(a) - 3.0 * net.currents(b), rtol=1e-10)


@pytest.mark.parametrize("shape", [(20, 27), (27, 20)])
@pytest.mark.parametrize("lines", [{}, BOTH, {"r_word": 0.0, "r_driver": 0.0}, {"r_bit": 0.0, "sensors": "both"}])
def test_reciprocity_and_the_effective_matrix(shape, lines):
    g, net = network(shape, **lines)
    v, w = np.random.default_rng(8).uniform(-1.0, 1.0, (2, 30))
    effective = net.effective()
    assert effective.shape == shape and (effective < g).all() and (effective > 0.0).all()
    np.testing.assert_allclose(net.currents(v[: shape[0]]), v[: shape[0]] @ effective, rtol=1e-11, atol=1e-17)
    np.testing.assert_allclose(net.currents(w[: shape[1]], transposed=True), effective @ w[: shape[1]], rtol=1e-11, atol=1e-17)
    one_by_one = np.array([net.currents(np.eye(shape[0])[i]) for i in range(shape[0])])
    np.testing.assert_allclose(one_by_one, effective, rtol=1e-11)


def test_kirchhoff_and_ohm_at_every_node_of_a_large_array():
    g, net = network((90, 130), 9)
    v = np.random.default_rng(10).uniform(-1.0, 1.0, (2, 90))
    s = net.solution(v)
    ends = {"left": (v[:, :, None] - s.word_voltages[:, :, :1]) / 35.0, "down": s.bit_voltages[:, -1:] / 18.0}
    word = np.concatenate([ends["left"], -np.diff(s.word_voltages, axis=2) / 5.0], axis=2)
    bit = np.concatenate([-np.diff(s.bit_voltages, axis=1) / 7.0, ends["down"]], axis=1)
    device = g * (s.word_voltages - s.bit_voltages)
    at_words = word - np.concatenate([word[:, :, 1:], np.zeros((2, 90, 1))], axis=2) - device
    at_bits = np.concatenate([np.zeros((2, 1, 130)), bit[:, :-1]], axis=1) + device - bit
    largest = np.abs(device).max()
    assert np.abs(at_words).max() < 1e-10 * largest and np.abs(at_bits).max() < 1e-10 * largest
    np.testing.assert_allclose(s.currents, bit[:, -1], rtol=1e-10, atol=1e-12 * largest)
    for name, expected in (("word_currents", word), ("bit_currents", bit), ("device_currents", device)):
        np.testing.assert_allclose(getattr(s, name), expected, rtol=0.0, atol=1e-9 * largest, err_msg=name)


def test_power_is_what_the_resistances_dissipate():
    rng = np.random.default_rng(11)
    r, v = resistances(rng, (12, 9), 0.1), rng.uniform(-1.0, 1.0, (3, 12))
    lines = {"r_word": 2.0, "r_bit": 3.0, "r_driver": 20.0, "r_sense": 30.0}
    s = rpu.solve_network(v, r, **lines)
    for k in range(3):
        expected = oracle.power({name: getattr(s, name)[k] for name in ARRAYS}, r, **lines)
        assert s.power[k] == pytest.approx(expected, rel=1e-10)
    s = rpu.solve_network(v[0, :9], r, transposed=True, **lines)
    assert s.power == pytest.approx(oracle.power({name: getattr(s, name) for name in ARRAYS}, r, **lines), rel=1e-10)


def test_no_resistance_is_the_product():
    g = 1.0 / resistances(np.random.default_rng(12), (30, 20))
    v = np.random.default_rng(13).uniform(-1.0, 1.0, (4, 30))
    for r in (0.0, 1e-12):
        np.testing.assert_allclose(Network(g, rpu.Wires(r_word=r, r_bit=r)).currents(v), v @ g, rtol=1e-9, atol=1e-14)
    s = rpu.solve_network(v, 1.0 / g, r_word=0.0, r_bit=0.0)
    np.testing.assert_array_equal(s.word_voltages, np.repeat(v[:, :, None], 20, axis=2))
    np.testing.assert_array_equal(s.bit_voltages, 0.0)
    np.testing.assert_allclose(s.word_currents, np.cumsum((v[:, :, None] * g)[:, :, ::-1], axis=2)[:, :, ::-1], rtol=1e-12)


def test_currents_fall_as_wires_get_worse():
    g = 1.0 / resistances(np.random.default_rng(14), (16, 16))
    out = [Network(g, rpu.Wires(r_word=r, r_bit=r)).currents(np.ones(16)) for r in (0.0, 0.01, 1.0, 30.0, 1e3, 1e5)]
    assert all((after < before).all() for before, after in zip(out, out[1:], strict=False))


def test_bits_do_not_depend_on_threads(restore_threads):
    g, net = network((64, 70), 15)
    v = np.random.default_rng(16).uniform(-1.0, 1.0, (11, 64))
    rpu.set_num_threads(1)
    one, few, nodes = net.currents(v), net.currents(v[:3]), net.solution(v).bit_voltages
    rpu.set_num_threads(4)
    np.testing.assert_array_equal(net.currents(v), one)
    np.testing.assert_array_equal(net.currents(v[:3]), few)
    np.testing.assert_array_equal(net.currents(v[2]), few[2])
    np.testing.assert_array_equal(net.solution(v).bit_voltages, nodes)
    np.testing.assert_array_equal(net.solution(v[5]).bit_voltages, nodes[5])


@pytest.mark.parametrize("vectors", [1, 8])
def test_every_kernel_set_solves_it(restore_kernels, vectors):
    from rpusim._core.kernels import kernel_sets, use_kernel_set

    results = {}
    v = np.random.default_rng(17).uniform(-1.0, 1.0, (vectors, 37))
    for name in kernel_sets():
        use_kernel_set(name)
        results[name] = network((37, 45), 17)[1].currents(v)
    reference = results.pop("baseline")
    for out in results.values():
        np.testing.assert_allclose(out, reference, rtol=0.0, atol=1e-11 * np.abs(reference).max())
        np.testing.assert_array_equal(out, next(iter(results.values())))


@pytest.mark.parametrize(("r", "most"), [(1.0, 8), (10.0, 16), (50.0, 30), (1e4, 300)])
def test_bad_wires_converge(r, most):
    """a = r mean(G) N^2 4 / pi^2 is 0.04 to 400; the error is what the tolerance says, on the scale of the currents."""
    rng = np.random.default_rng(18)
    resistance = rng.uniform(1e4, 1e5, (64, 64))
    v = rng.uniform(0.0, 1.0, 64)
    net = Network(1.0 / resistance, rpu.Wires(r_word=r, r_bit=r))
    direct = rpu.solve_network(v, resistance, r_word=r, r_bit=r, method="direct")
    np.testing.assert_allclose(net.currents(v), direct.currents, rtol=0.0, atol=1e-9 * direct.currents.max())
    assert 0 < net.solution(v).iterations <= most


def test_voltages_of_any_size():
    _, net = network()
    v = np.random.default_rng(19).uniform(-1.0, 1.0, 20)
    expected = net.currents(v)
    for scale in (2.0**-900, 2.0**-60, 2.0**60, 2.0**900):
        np.testing.assert_array_equal(net.currents(scale * v), scale * expected)
    np.testing.assert_array_equal(net.currents(np.zeros((2, 20))), np.zeros((2, 27)))
    assert net.currents(np.zeros((0, 20))).shape == (0, 27)
    assert net.solution(np.zeros((0, 20))).word_voltages.shape == (0, 20, 27)


def test_new_conductances_and_warm_starts():
    g, net = network()
    v = np.random.default_rng(20).uniform(-1.0, 1.0, (5, 20))
    warm = Network(g, net.wires, warm_start=True)
    np.testing.assert_allclose(warm.currents(v), net.currents(v), rtol=1e-11)
    cold = warm._core.iterations
    for step in range(3):
        near = g * (1.0 + 1e-6 * np.sin(np.arange(g.size) + step)).reshape(g.shape)
        net.update(near)
        warm.update(near)
        np.testing.assert_array_equal(warm.conductances, near)
        np.testing.assert_allclose(warm.currents(v), net.currents(v), rtol=1e-11)
        assert warm._core.iterations < cold
    np.testing.assert_allclose(warm.currents(v[:2]), net.currents(v[:2]), rtol=1e-11)  # another number of vectors: cold
    w = np.random.default_rng(21).uniform(-1.0, 1.0, (2, 27))
    for _ in range(2):
        np.testing.assert_allclose(warm.currents(w, transposed=True), net.currents(w, transposed=True), rtol=1e-11)
    assert warm._core.iterations == 0  # it started at its end
    np.testing.assert_array_equal(Network(near, net.wires).currents(v), net.currents(v))


def test_a_warm_start_with_ideal_lines():
    g, _ = network()
    wires = rpu.Wires(r_word=1.0, r_bit=0.0, r_sense=[0.0, 10.0, 20.0] * 9, tolerance=1e-13)
    warm, v = Network(g, wires, warm_start=True), np.linspace(-1.0, 1.0, 20)
    expected = warm.currents(v)
    np.testing.assert_allclose(warm.currents(v), expected, rtol=1e-12)
    assert warm._core.iterations == 0


def test_out_takes_the_currents():
    g, net = network((20, 20))
    v = np.random.default_rng(23).uniform(-1.0, 1.0, (3, 20))
    expected, out = net.currents(v), np.empty((3, 20))
    assert net.currents(v, out) is out
    np.testing.assert_array_equal(out, expected)
    one = np.empty(20)
    assert net.currents(v[1], out=one) is one
    np.testing.assert_array_equal(one, expected[1])
    np.testing.assert_array_equal(net.currents(v, v), expected)  # in place
    with pytest.raises(TypeError, match="out must be a float64 array; got list"):
        net.currents(v, [0.0])
    for bad in (np.empty((3, 19)), np.empty((3, 20), dtype=np.float32), np.empty((20, 3)).T, np.empty(20)):
        with pytest.raises(ValueError, match=r"out must be a writeable C-contiguous float64 array of shape \(3, 20\)"):
            net.currents(v, bad)


@pytest.mark.parametrize("transposed", [False, True])
def test_single_precision_is_that_of_inputs_and_outputs_alone(transposed):
    g, net = network()
    g32 = g.astype(np.float32)
    v = np.random.default_rng(22).uniform(-1.0, 1.0, (5, 27 if transposed else 20)).astype(np.float32)
    out = np.empty((5, 20 if transposed else 27), dtype=np.float32)
    assert net._core.py_read_float(g32, v, out, transposed)
    expected = Network(g32, net.wires).currents(v, transposed=transposed)
    np.testing.assert_array_equal(out, expected.astype(np.float32))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_an_interrupt_is_heard_between_vectors(restore_threads):
    rpu.set_num_threads(1)
    net = Network(np.full((400, 400), 1e-4), rpu.Wires(r_word=50.0, r_bit=50.0))
    v = np.ones((3000, 400))  # minutes
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            net.currents(v)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    np.testing.assert_array_equal(net.currents(v[0]), Network(net.conductances, net.wires).currents(v[0]))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_copies_of_networks_are_independent(how):
    g = np.random.default_rng(3).uniform(1e-6, 1e-4, (5, 4))
    network = Network(g, rpu.Wires(r_word=2.0, r_bit=3.0), warm_start=True)
    before = network.currents(np.ones(5))
    twin = how(network)
    np.testing.assert_allclose(twin.currents(np.ones(5)), before, rtol=1e-9)
    twin.update(g / 10)
    np.testing.assert_allclose(network.currents(np.ones(5)), before, rtol=1e-9)
    np.testing.assert_array_equal(network.conductances, g)


def test_networks_copy_what_they_are_given():
    g = np.full((3, 4), 1e-4)
    net = Network(g, rpu.Wires())
    before = net.currents(np.ones(3))
    g[:] = 1.0
    np.testing.assert_array_equal(net.conductances, np.full((3, 4), 1e-4))
    np.testing.assert_array_equal(net.currents(np.ones(3)), before)
    assert net.shape == (3, 4) and repr(net) == "Network(3 x 4, Wires())"


def test_no_convergence_is_an_error_with_numbers():
    g, net = network((40, 40), r_word=100.0, max_iterations=3)
    said = r"have not converged in 3 iterations: relative residual \d.*e-0\d, tolerance 1e-13"
    with pytest.raises(rpu.wires.ConvergenceError, match=said):
        net.currents(np.ones(40))
    with pytest.raises(rpu.wires.ConvergenceError, match="3 iterations"):
        net.solution(np.ones(40))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"voltages": [1.0, np.nan]}, "voltages must hold finite numbers; got nan at index (1,)"),
        ({"voltages": [1.0]}, "voltages must have shape (2,); got (1,)"),
        ({"voltages": [[1.0, 2.0, 3.0]]}, "voltages must have shape (any, 2); got (1, 3)"),
        ({"resistances": [[1.0, -1.0], [1.0, 1.0]]}, "resistances must hold numbers of at least 0; got -1.0 at index (0, 1)"),
        ({"resistances": [[1.0, np.nan], [1.0, 1.0]]}, "resistances must hold numbers of at least 0; got nan at index (0, 1)"),
        ({"resistances": [1.0, 2.0]}, "resistances must have shape (any, any); got (2,)"),
        ({"resistances": np.ones((2, 0))}, "resistances must have at least one row and one column; got shape (2, 0)"),
        ({"resistances": [[1e-310, 1.0], [1.0, 1.0]]}, "resistances must be 0 or of at least"),
        ({"r_word": -1.0}, "Wires: r_word must be a resistance of at least 0 ohm"),
        ({"r_bit": np.nan}, "Wires: r_bit must be a resistance of at least 0 ohm"),
        ({"r_driver": [1.0, 2.0, 3.0]}, "Wires: r_driver must be one number or 2, one per line of the array; got 3"),
        ({"r_sense": [1.0, -2.0]}, "Wires: r_sense[1] must be a resistance of at least 0 ohm"),
        ({"r_sense": []}, "Wires: r_sense must be a resistance of at least 0 ohm"),
        ({"drivers": "right"}, "Wires: drivers must be one of 'left', 'both'; got 'right'"),
        ({"sensors": "top"}, "Wires: sensors must be one of 'bottom', 'both'; got 'top'"),
        ({"tolerance": 0.0}, "Wires: tolerance must be"),
        ({"max_iterations": 0}, "Wires: max_iterations must be"),
        ({"method": "lu"}, "method must be one of 'cg', 'direct'; got 'lu'"),
        ({"method": "cg", "resistances": [[1.0, 0.0], [1.0, 1.0]]}, "method must be 'direct' or None where a device is short"),
        ({"nonlinearity": -1.0}, "nonlinearity must be a finite real number in [0, inf); got -1.0"),
        ({"nonlinearity": 1e3}, "nonlinearity must be at most 300 over the largest voltage, 1 V; got 1000.0"),
        ({"nonlinearity": 1.0, "method": "direct"}, "nonlinearity must be 0 where method is 'direct'; got 1.0"),
        ({"nonlinearity": 1.0, "resistances": [[1.0, 0.0], [1.0, 1.0]]}, "nonlinearity must be 0 where a device is shorted"),
        ({"r_sense": np.inf}, "r_bit and r_sense must leave at least one bit line a path to ground; all are open"),
        ({"r_bit": [np.inf, np.inf]}, "r_bit and r_sense must leave at least one bit line a path to ground; all are open"),
        ({"r_word": [1.0, np.inf], "resistances": [[1.0, 1.0], [1.0, np.inf]]},
         "node (1, 1) of the word lines has none"),
        ({"r_sense": [1.0, np.inf], "resistances": [[1.0, np.inf], [1.0, np.inf]]}, "node (0, 1) of the bit lines has none"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", [None, "direct"])
def test_errors_name_the_argument(change, message, method):
    arguments = {"voltages": [1.0, 0.5], "resistances": np.ones((2, 2)), "r_word": 1.0, "r_bit": 1.0, "method": method}
    arguments.update(change)
    if method == "direct":
        if "nonlinearity" in change and "method" not in change:
            pytest.skip("method='direct' is refused first")
        if "resistances must be 0 or" in message:
            pytest.skip("a factorisation takes any resistance")
    with pytest.raises(ValueError) as caught:
        rpu.solve_network(**arguments)
    assert message in str(caught.value)


def test_types_are_checked():
    for change in ({"r_word": "1"}, {"r_word": True}, {"r_bit": [[1.0]]}, {"resistances": [["a"]]}, {"voltages": [1j]}):
        with pytest.raises(TypeError, match=next(iter(change)).replace("voltages", "v")):
            rpu.solve_network(**{"voltages": [1.0], "resistances": [[1.0]], "r_word": 1.0, "r_bit": 1.0, **change})
    with pytest.raises(TypeError, match="wires must be a Wires"):
        Network([[1.0]], 1.0)
    with pytest.raises(ValueError, match="conductances must hold finite numbers of at least 0; got inf"):
        Network([[np.inf]], rpu.Wires())
    with pytest.raises(TypeError, match="transposed must be True or False"):
        Network([[1.0]], rpu.Wires()).currents([1.0], transposed=1)


def test_an_update_that_fails_changes_nothing():
    g, net = network()
    before = net.currents(np.ones(20))
    for bad in (-g, g[:5], np.full(g.shape, np.nan)):
        with pytest.raises(ValueError, match="conductances"):
            net.update(bad)
    np.testing.assert_array_equal(net.conductances, g)
    np.testing.assert_array_equal(net.currents(np.ones(20)), before)


def test_wires_are_a_specification():
    wires = rpu.Wires(r_word=np.array([1.0, 2.0]), r_bit=3, r_sense=np.inf, drivers="both", tolerance=1e-12)
    assert repr(wires) == "Wires(r_word=(1.0, 2.0), r_bit=3.0, r_sense=inf, drivers='both', tolerance=1e-12)"
    assert rpu.from_json(wires.to_json()) == wires and hash(wires) == hash(rpu.from_dict(wires.to_dict()))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (8, 8), (5, 13), (24, 17), (17, 24)])
@pytest.mark.parametrize("lines", LINES)
def test_currents_of_many_vectors(lines, shape, transposed):
    """Blocks of vectors, the last one not full, with devices and vectors that carry nothing."""
    rng = np.random.default_rng(shape)
    r = resistances(rng, shape, 0.1)
    v = rng.uniform(-1.0, 1.0, (13, shape[1 if transposed else 0]))
    v[[2, 9]] = 0.0
    got = Network(1.0 / r, rpu.Wires(**LINES[lines], tolerance=1e-13)).currents(v, transposed=transposed)
    for out, voltages in zip(got, v, strict=True):
        expected = oracle.network(voltages, r, transposed=transposed, **LINES[lines])
        largest = max(np.abs(expected["device_currents"]).max(), np.abs(expected["currents"]).max())
        np.testing.assert_allclose(out, expected["currents"], rtol=0.0, atol=1e-10 * largest)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10, 1e-14])
@pytest.mark.parametrize("r", [0.01, 1.0, 5.0, 50.0, 1e4])
def test_blocks_keep_the_tolerance(r, tolerance):
    """Of the easiest arrays to those that float32 gives up; lanes of a block end after different numbers of iterations."""
    rng = np.random.default_rng(40)
    g, v = 1.0 / rng.uniform(1e3, 1e5, (64, 70)), rng.uniform(0.0, 1.0, (16, 64))
    v[3], v[5, 1:] = 1.0, 0.0
    got = Network(g, rpu.Wires(r_word=r, r_bit=r, tolerance=tolerance)).currents(v)
    direct = rpu.solve_network(v, 1.0 / g, r_word=r, r_bit=r, method="direct")
    largest = np.abs(direct.word_currents).max(axis=(1, 2))  # what flows where it enters: of v[5], little comes to the sensors
    error = np.abs(got - direct.currents).max(axis=1) / largest
    assert (error < max(10.0 * tolerance, 1e-12)).all()


def test_a_vector_of_a_block_does_not_see_its_neighbours(restore_threads):
    g, net = network((64, 70), 41, tolerance=1e-10)
    v = np.random.default_rng(42).uniform(-1.0, 1.0, (16, 64))
    v[3], v[4] = 0.0, 1.0
    rpu.set_num_threads(1)
    got = net.currents(v)
    order = np.random.default_rng(43).permutation(16)
    np.testing.assert_array_equal(net.currents(v[order]), got[order])
    np.testing.assert_array_equal(net.currents(v[8:]), got[8:])
    np.testing.assert_array_equal(net.currents(2.0**-600 * v), 2.0**-600 * got)
    rpu.set_num_threads(4)
    np.testing.assert_array_equal(net.currents(v), got)
    np.testing.assert_allclose([net.currents(one) for one in v], got, rtol=0.0, atol=1e-9 * np.abs(got).max())


@pytest.mark.parametrize(
    ("siemens", "ohm"), [(1e-25, 1e20), (1e-12, 1e-9), (1e-40, 1e-3), (1e6, 1e-9), (1.0, 1e-300), (1e200, 1e-200)]
)
def test_blocks_of_unusual_arrays(siemens, ohm):
    """Where factors leave float32, vectors are solved one by one."""
    rng = np.random.default_rng(44)
    g, v = siemens * rng.uniform(0.1, 1.0, (12, 14)), rng.uniform(0.0, 1.0, (8, 12))
    g[2, 3], g[4, 4] = 1e-30 * siemens, 0.0
    net = Network(g, rpu.Wires(r_word=ohm, r_bit=2.0 * ohm, tolerance=1e-12))
    expected = np.array([net.currents(one) for one in v])
    np.testing.assert_allclose(net.currents(v), expected, rtol=0.0, atol=1e-11 * expected.max())
