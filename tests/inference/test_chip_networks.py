"""Networks on chips, and how good they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rpusim as rpu

inf, nn = rpu.inference, rpu.nn
DIGITAL = rpu.algorithms.DigitalSGD()
IDEAL = inf.Chip(inf.NoNoise(), periphery=rpu.Periphery.ideal(), compensation=None, read_noise="none")
DAY = 86400.0


def images(n=20):
    return np.random.default_rng(0).random((n, 1, 12, 12)).astype(np.float32)


def networks():
    soft = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.001, w_max=2.0, w_min=-2.0))
    learned = nn.Mapping(digital_bias=True, weight_scaling=0.8, learn_scale=True, scale_by_output=True)
    vectors = np.random.default_rng(1).standard_normal((20, 7)).astype(np.float32)
    series = np.random.default_rng(2).standard_normal((6, 5, 4)).astype(np.float32)
    return {
        "mlp": (nn.Sequential(nn.Linear(7, 9, DIGITAL), nn.Tanh(), nn.Linear(9, 3, soft, mapping=learned)), vectors),
        "shd": (nn.Sequential(nn.Linear(7, 3, rpu.algorithms.SHD(), bias=False)), vectors),
        "cnn": (
            nn.Sequential(nn.Conv2d(1, 4, 3, DIGITAL, replicas=2), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(100, 10, DIGITAL)),
            images(),
        ),
        "lstm": (nn.Sequential(nn.LSTM(4, 6, DIGITAL), nn.LastStep(), nn.Linear(6, 2, DIGITAL)), series),
        "residual": (
            nn.Sequential(nn.Embedding(11, 4), nn.Residual(nn.Sequential(nn.Linear(4, 4, DIGITAL), nn.ReLU()))),
            np.arange(10).reshape(2, 5),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", networks())
def test_a_chip_without_errors_computes_what_the_network_does(name):
    net, x = networks()[name]
    net.build(rng=0)
    if name == "cnn":
        for _ in range(3):
            net.forward(x)  # running means of the batch norm
    if name == "shd":
        exact = x @ net.layers[0].tile.weights.T
    elif name == "mlp":
        hidden = np.tanh(x @ net.layers[0].matrix.logical()[0].T + net.layers[0].matrix.logical()[1])
        exact = hidden @ net.layers[2].matrix.logical()[0].T + net.layers[2].matrix.logical()[1]
    else:
        exact = net.predict(x)
    before = net.state_dict()
    on_chip = inf.program(net, IDEAL.replace(max_inputs=3), rng=1)
    assert on_chip.predict(x, DAY) == pytest.approx(exact, abs=2e-5)
    assert json.dumps(before, default=lambda a: a.tolist()) == json.dumps(net.state_dict(), default=lambda a: a.tolist())
    assert all(array.shape[1] <= 3 for array in on_chip.arrays)


@pytest.fixture
def mlp():
    net, x = networks()["mlp"]
    net.build(rng=0)
    return net, x


def test_a_time_gives_the_same_outputs_in_any_order_and_after_a_file(mlp, tmp_path):
    net, x = mlp
    on_chip = inf.program(net, rng=1)
    first = {t: on_chip.predict(x, t) for t in (0.0, DAY, 1e7)}
    assert all((on_chip.predict(x, t) == first[t]).all() for t in (1e7, 0.0, DAY))
    on_chip.reprogram()
    assert not (on_chip.predict(x, DAY) == first[DAY]).all()
    on_chip.net.save(tmp_path / "chip.npz")
    loaded = inf.ChipNetwork(nn.load(tmp_path / "chip.npz"))
    assert (loaded.predict(x, 1e7) == on_chip.predict(x, 1e7)).all()
    other = inf.program(net, rng=1)
    other.reprogram()
    assert (other.predict(x, DAY) == on_chip.predict(x, DAY)).all()  # same seed, same event


def test_threads_do_not_change_what_is_read(mlp, restore_threads):
    net, x = mlp
    found = []
    for count in (1, 2):
        rpu.set_num_threads(count)
        found.append(inf.program(net, rng=1).predict(x, DAY))
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_layers_stay_digital_or_get_chips_of_their_own(mlp):
    net, x = mlp
    on_chip = inf.program(net, rng=1, digital=[-1])
    assert [tile.shape for tile in on_chip.tiles] == [(9, 7)]
    other = inf.Chip(inf.HermesPCM(), inf.DifferentialPair(g_max_s=20.7e-6))
    mixed = inf.program(net, rng=1, chips={-1: other})
    assert [array.chip for array in mixed.arrays] == [inf.Chip(), other]


def test_static_ranges_come_from_data_or_training(mlp):
    net, x = mlp
    static = inf.Chip(inf.NoNoise(), periphery=rpu.Periphery(
        dac=rpu.DAC(bits=12), adc=rpu.ADC(bits=None, bound=None, noise=0.0), noise_management="none", bound_management="none",
    ), compensation=None, read_noise="none", input_range="static")  # fmt: skip
    with pytest.raises(ValueError, match="calibration must be inputs"):
        inf.program(net, static)
    on_chip = inf.program(net, static, calibration=x, quantile=1.0)
    ranges = [m.input_range for m in on_chip.net.matrices()]
    assert ranges[0] == np.abs(x).max() and 0 < ranges[1] <= 1.0
    hidden = np.tanh(x @ net.layers[0].matrix.logical()[0].T + net.layers[0].matrix.logical()[1])
    exact = hidden @ net.layers[2].matrix.logical()[0].T + net.layers[2].matrix.logical()[1]
    assert on_chip.predict(x) == pytest.approx(exact, abs=5e-3)


def test_what_is_no_network_for_chips_is_refused(mlp):
    net, x = mlp
    with pytest.raises(TypeError, match="net must be"):
        inf.program("net")
    with pytest.raises(ValueError, match="layers with matrices"):
        inf.program(nn.Sequential(nn.ReLU()))
    with pytest.raises(RuntimeError, match="built"):
        inf.program(nn.Sequential(nn.Linear(2, 2, DIGITAL)))
    with pytest.raises(ValueError, match="digital must be places of the 2"):
        inf.program(net, digital=[2])
    with pytest.raises(TypeError, match="chip must be"):
        inf.program(net, inf.PCM())
    with pytest.raises(RuntimeError, match="not trained"):
        inf.program(net).tiles[0].update(np.ones(7), np.ones(9), 0.1)


def test_evaluation_goes_over_times_and_programmings(mlp, tmp_path):
    net, x = mlp
    y = net.predict(x).argmax(axis=1)
    noisy = inf.Chip(inf.PCM(prog_scale=6.0))
    result = inf.evaluate(net, (x, y), [1.0, DAY], chip=noisy, programmings=4, rng=3, progress=False)
    assert result.values.shape == (4, 2) and result.reference > 0.8 and result.chance == pytest.approx(1 / 3)
    assert result.normalised() == pytest.approx((result.values - 1 / 3) / (result.reference - 1 / 3))
    assert result.std == pytest.approx(result.values.std(axis=0, ddof=1)) and (result.worst == result.values.min(axis=0)).all()
    by_hand = inf.program(net, noisy, rng=np.random.SeedSequence(3, spawn_key=(0,)))
    for row in result.values:
        assert [np.mean(by_hand.predict(x, t).argmax(axis=1) == y) for t in (1.0, DAY)] == row.tolist()
        by_hand.reprogram()
    part = inf.evaluate(net, (x, y), [DAY, 1.0], chip=noisy, programmings=4, rng=3, progress=False)
    assert (part.values[:, ::-1] == result.values).all()
    result.save_json(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["values"] == result.values.tolist()
    assert "worst" in str(result)


def test_evaluation_goes_on_where_it_was(mlp, tmp_path, monkeypatch):
    net, x = mlp
    y = net.predict(x).argmax(axis=1)
    call = lambda **more: inf.evaluate(  # noqa: E731
        net, (x, y), [1.0, DAY], chip=inf.Chip(inf.PCM(prog_scale=6.0)), rng=3, progress=False, **{"programmings": 5, **more}
    )
    whole = call()
    path = tmp_path / "kept.npz"
    calls = 0

    def stop(chip, t):
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(checkpoint=path, prepare=stop)
    assert rpu.checkpoint.load(path)["values"].shape == (2, 2)
    seen = []
    again = call(checkpoint=path, prepare=lambda chip, t: seen.append(t))
    assert (again.values == whole.values).all() and len(seen) == 6
    assert (call(checkpoint=path, programmings=2).values == whole.values[:2]).all()
    assert (call(checkpoint=path, programmings=6).values[:5] == whole.values).all()  # more go on from there
    with pytest.raises(ValueError, match="same evaluation"):
        inf.evaluate(net, (x, y), [2.0], programmings=5, checkpoint=path, progress=False)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (dict(times_s=[]), "times_s"),
        (dict(times_s=[-1.0]), r"times_s\[0\]"),
        (dict(programmings=0), "programmings"),
        (dict(metric="f1"), "metric"),
        (dict(data=(np.zeros((0, 7)), [])), "data"),
        (dict(data=3), "data"),
        (dict(data=(np.zeros((2, 7)), [1])), "data"),
    ],
)
def test_evaluations_that_make_no_sense_are_refused(mlp, wrong, words):
    net, x = mlp
    arguments = {"data": (x, np.zeros(20, int)), "times_s": [1.0], "programmings": 1, "progress": False} | wrong
    with pytest.raises((TypeError, ValueError), match=words):
        inf.evaluate(net, arguments.pop("data"), **arguments)


def test_causes_are_switched_on_one_at_a_time(mlp):
    net, x = mlp
    y = net.predict(x).argmax(axis=1)
    chip = inf.Chip(faults=inf.Faults(0.01))
    found = inf.causes(net, (x, y), DAY, chip=chip, programmings=2, progress=False)
    assert list(found) == ["programming", "drift", "read noise", "output noise", "ADC", "DAC", "faults", "all"]
    assert all(one.values.shape == (2, 1) for one in found.values())
    chips = {name: rpu.from_dict(one.settings["chip"]) for name, one in found.items()}
    assert chips["all"] == chip
    assert chips["drift"].model == inf.PCM(prog_scale=0.0, read_scale=0.0) and chips["drift"].read_noise == "none"
    assert chips["output noise"].periphery.adc == rpu.ADC(bits=None, bound=None, noise=0.04)


def test_errors_of_products_of_every_array(mlp):
    net, _ = mlp
    quiet = inf.product_errors(inf.program(net, IDEAL, rng=0), [1.0])
    noisy = inf.product_errors(inf.program(net, rng=0), [1.0, 1e7])
    assert quiet.max() < 1e-5 and noisy.shape == (2, 2) and (noisy[1] > noisy[0]).all() and (noisy[0] > 0.03).all()


def test_a_network_is_converted_to_another_rule_with_its_weights():
    for name, (net, x) in networks().items():
        net.build(rng=0)
        if name in ("mlp", "shd"):  # whose arrays are read with noise
            continue
        new = inf.convert(net, inf.HardwareAware())
        assert new.predict(x) == pytest.approx(net.predict(x), abs=2e-5), name
        assert all(isinstance(tile, inf.HardwareAwareTile) for matrix in new.matrices() for tile in matrix.tiles)
    kept = inf.convert(net, inf.HardwareAware(), digital=[0])
    assert not isinstance(kept.matrices()[0].tile, inf.HardwareAwareTile)
    with pytest.raises(TypeError, match="rule must be"):
        inf.convert(net, inf.HardwareAware)


def test_signal_to_noise_is_that_of_the_noise_of_outputs():
    """y~ = y + sigma M max|x| xi with M the largest weight of a row: the ratio is known, and falls by 6 dB as sigma doubles."""
    net = nn.Sequential(nn.Linear(400, 30, rpu.algorithms.DigitalSGD(), bias=False))
    net.build(0)
    w = net.matrices()[0].weights.astype(np.float64)
    found = []
    for sigma in (0.05, 0.1):
        adc = rpu.ADC(bits=None, bound=None, noise=sigma)
        quiet = rpu.Periphery(dac=rpu.DAC(bits=None), adc=adc, bound_management="none")
        chip = inf.Chip(inf.NoNoise(), periphery=quiet, compensation=None)
        ratio = inf.signal_to_noise(net, chip=chip, vectors=400, rng=1)
        signal, noise = (
            np.sum(w**2) / 3.0,
            np.sum((sigma * np.abs(w).max(axis=1)) ** 2),
        )  # x is uniform in +-1, its largest near 1
        assert abs(ratio["all"][0] - 10.0 * np.log10(signal / noise)) < 0.3
        assert ratio["output noise"][0] == pytest.approx(ratio["all"][0], abs=0.3)
        found.append(ratio["all"][0])
    assert abs(found[0] - found[1] - 6.02) < 0.2
