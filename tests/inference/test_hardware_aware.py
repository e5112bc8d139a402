"""Training that knows the hardware: what is read, what the gradient is of, and what changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu

inf, nn = rpu.inference, rpu.nn
RNG = np.random.default_rng


def tile_of(rule, shape=(6, 9), seed=0):
    tile = rule.build(shape, rng=seed)
    tile.program(RNG(seed).standard_normal(shape))
    return tile


def read(tile):
    """The weight that is read, column by column."""
    return tile.forward(np.eye(tile.shape[1], dtype=np.float32)).T


def draws_of(seed=0):
    rng = RNG(seed)
    kept: dict = {}

    def make(kind, name, shape):
        if (kind, name) not in kept:
            kept[kind, name] = (rng.standard_normal(shape) if kind == "n" else rng.random(shape)).astype(np.float32)
        return kept[kind, name].copy()

    from rpusim.inference.modifiers import Draws

    return Draws(lambda name, shape: make("n", name, shape), lambda name, shape: make("u", name, shape)), kept


W = RNG(1).standard_normal((40, 60)).astype(np.float32)
M = np.abs(W).max()
ROWS = np.abs(W).max(axis=1, keepdims=True)


def polynomial(r):
    return 0.26348 + 1.9650 * r - 1.1731 * r**2


@pytest.mark.parametrize(
    ("modifier", "name", "law"),
    [
        (inf.AddNormal(0.1), "add", lambda xi: W + 0.1 * M * xi),
        (inf.AddNormal(0.1, per="row"), "add", lambda xi: W + 0.1 * ROWS * xi),
        (inf.MultiplyNormal(0.1), "multiply", lambda xi: W * (1 + 0.1 * xi)),
        (inf.PolynomialNoise(std=2.0), "polynomial", lambda xi: W + 2.0 * M * polynomial(np.abs(W) / M) / 25 * xi),
        (inf.ProgrammingNoise(std=9.0), "programming",
         lambda xi: np.sign(W) * np.abs(W + M * 9.0 / 25 * polynomial(np.abs(W) / M) * xi)),
    ],
)  # fmt: skip
def test_noise_has_its_law(modifier, name, law):
    draws, kept = draws_of()
    found = modifier.modified(W, draws, 1.0)
    assert found == pytest.approx(law(kept["n", name]), abs=1e-5)
    weaker = modifier.replace(std=modifier.std / 2)
    assert (weaker.modified(W, draws, 1.0) == modifier.modified(W, draws, 0.5)).all()


def test_steps_and_other_functions_of_weights():
    draws, kept = draws_of()
    assert inf.Discretize(0.25).modified(W, draws, 1.0) == pytest.approx(M * 0.25 * np.rint(W / M / 0.25), abs=1e-6)
    found = inf.Discretize(0.25, per="row").modified(W, draws, 1.0)
    assert len(np.unique((found / ROWS).round(4))) == 9
    scaled = np.tanh(W) * 0.6 / np.tanh(M)
    assert inf.DoReFa(0.1).modified(W, draws, 1.0) == pytest.approx(0.1 * np.rint(scaled / 0.1), abs=1e-6)
    dropped = inf.DropConnect(0.3).modified(W, draws, 1.0)
    assert (dropped == np.where(kept["u", "drop"] <= 0.3, 0.0, W)).all() and 0.2 < np.mean(dropped == 0) < 0.4


def test_noise_of_a_device_of_phase_change_memory():
    modifier = inf.PCMNoise(std=0.5, t_inference_s=3600.0, zero_threshold=2.0)
    draws, kept = draws_of()
    found = modifier.modified(W, draws, 1.0)
    g = np.abs(W) * 25 / M
    g[g <= 2.0 * 0.5 * 0.26348] = 0.0
    programmed = np.abs(g + 0.5 * polynomial(g / 25) * kept["n", "programming"])
    r = programmed / 25
    sd = np.clip(-0.0125 * np.log(r) - 0.0059, 0.008, 0.045)
    drifted = programmed * (3620 / 20) ** -np.abs(sd * kept["n", "exponent"])
    q = np.minimum(0.0088 / np.maximum(r**0.65, 1e-3), 0.2)
    noisy = np.abs(drifted * (1 + 0.5 * q * math.sqrt(math.log((3620 + 250e-9) / 500e-9)) * kept["n", "read"]))
    assert found == pytest.approx(np.where(g == 0, 0, np.sign(W) * noisy * M / 25), abs=2e-5)
    assert (found[g == 0] == 0).all() and np.any(g == 0)
    broken = inf.PCMNoise(std=0.0, to_zero=0.2, to_max=0.3).modified(W, draws_of()[0], 1.0)
    alive = broken[broken != 0]
    assert np.mean(broken == 0) == pytest.approx(0.2 * 0.7, abs=0.04)
    full = np.isclose(np.abs(alive), M, rtol=1e-5)
    assert full.mean() > 0.3 and 0.35 < np.mean(alive[full] > 0) < 0.65


def test_the_law_of_a_chip_is_that_of_the_chip():
    """Moments of 20,000 weights against those of a programmed array; 10 % of the spread is 14 sigma."""
    w = np.full((100, 200), 0.5, np.float32)
    w[:, 0] = 1.0
    day = 86400.0
    tile = inf.HardwareAware(inf.OnDevices(t_inference_s=day)).build(w.shape, rng=0)
    tile.program(w)
    tile.begin(True)
    trained = read(tile)[:, 1:]
    chip = inf.ProgrammedArray(w, inf.Chip(periphery=rpu.Periphery.ideal()), rng=0)
    on_chip = chip.forward(np.eye(200, dtype=np.float32), day).T[:, 1:]
    assert trained.std() == pytest.approx(on_chip.std(), rel=0.05)
    assert trained.mean() == pytest.approx(on_chip.mean(), abs=float(5 * on_chip.std() / math.sqrt(20000) + 0.002))


def test_weights_are_disturbed_in_training_only_and_anew_every_batch():
    tile = tile_of(inf.HardwareAware(inf.AddNormal(0.1)))
    assert (read(tile) == tile.weights).all()
    tile.begin(True)
    first = read(tile)
    assert (read(tile) == first).all()  # one weight for a batch
    d = RNG(0).standard_normal((4, 6)).astype(np.float32)
    assert tile.backward(d) == pytest.approx(d @ first, abs=1e-5)
    tile.begin(True)
    second = read(tile)
    spread = np.concatenate([first - tile.weights, second - tile.weights]) / np.abs(tile.weights).max()
    assert np.abs(first - second).min() > 0 and spread.std() == pytest.approx(0.1, rel=0.4)
    tile.begin(False)
    assert (read(tile) == tile.weights).all()


def test_every_sample_may_meet_a_weight_of_its_own():
    tile = tile_of(inf.HardwareAware(inf.AddNormal(0.1), noise_per="sample"))
    tile.begin(True)
    x = np.tile(RNG(2).standard_normal(9).astype(np.float32), (400, 1))
    y = tile.forward(x)
    exact = tile.weights @ x[0]
    wanted = float(0.1 * np.abs(tile.weights).max() * np.linalg.norm(x[0]))
    assert y.mean(axis=0) == pytest.approx(exact, abs=5 * wanted / 20)
    assert y.std(axis=0) == pytest.approx(wanted, rel=5 / math.sqrt(800))
    assert (tile.forward(x) == y).all()
    # backward meets the same weights: <d, W_b x> = <W_b^T d, x>
    d = RNG(3).standard_normal((400, 6)).astype(np.float32)
    assert (tile.backward(d) * x).sum(axis=1) == pytest.approx((d * y).sum(axis=1), abs=1e-4)


def test_noise_is_ramped_up():
    tile = tile_of(inf.HardwareAware(inf.AddNormal(0.1), ramp_batches=10), (50, 50))
    sizes = []
    for _ in range(12):
        tile.begin(True)
        sizes.append(float(np.std(read(tile) - tile.weights) / np.abs(tile.weights).max()))
    assert sizes == pytest.approx([0.1 * min(1.0, k / 10) for k in range(1, 13)], rel=0.1)


@pytest.mark.parametrize(
    ("clip", "law"),
    [
        (inf.FixedClip(0.7), lambda w: 0.7),
        (inf.GaussianClip(1.5), lambda w: 1.5 * w.std(ddof=1)),
        (inf.GaussianClip(1.5, per="row"), lambda w: 1.5 * w.std(axis=1, ddof=1, keepdims=True)),
        (inf.GaussianClip(1.5, most=0.3), lambda w: 0.3),
        (inf.MeanMaxClip(), lambda w: np.abs(w).max(axis=1).mean()),
        (inf.FanInClip(), lambda w: math.sqrt(3 / 9)),
    ],
)
def test_weights_are_clipped_after_a_step(clip, law):
    tile = tile_of(inf.HardwareAware((), clip))
    x, d = RNG(0).standard_normal((4, 9)), RNG(1).standard_normal((4, 6))
    stepped = tile.weights - 0.1 * d.T @ x
    tile.update(x, d, 0.1)
    tile.end_batch()
    bound = law(stepped)
    assert tile.weights == pytest.approx(np.clip(stepped, -bound, bound), abs=1e-5)
    assert not np.allclose(tile.weights, stepped, atol=1e-3)


def networks():
    rule = inf.HardwareAware(inf.AddNormal(0.2), noise_per="batch")
    scaled = nn.Mapping(digital_bias=True, learn_scale=True)
    parts = nn.Mapping(max_inputs=2)
    return {
        "linear": (nn.Sequential(nn.Linear(5, 7, rule), nn.Tanh(), nn.Linear(7, 3, rule, mapping=scaled)), (4, 5)),
        "split": (nn.Sequential(nn.Linear(5, 7, rule, mapping=parts), nn.Tanh(), nn.Linear(7, 3, rule)), (4, 5)),
        "conv": (nn.Sequential(nn.Conv2d(2, 3, 2, rule), nn.Tanh(), nn.Flatten(), nn.Linear(27, 3, rule)), (4, 2, 4, 4)),
        "lstm": (nn.Sequential(nn.LSTM(5, 4, rule), nn.LastStep(), nn.Linear(4, 3, rule)), (4, 6, 5)),
    }  # fmt: skip


@pytest.mark.parametrize("name", networks())
def test_the_gradient_is_that_of_the_loss_at_the_disturbed_weights(name):
    """By central differences: W is moved, and the same noise drawn, whose size is held by the largest weight."""
    net, shape = networks()[name]
    net.build(rng=0)
    x = RNG(0).standard_normal(shape).astype(np.float32)
    out = net.forward(x).shape
    d = RNG(1).standard_normal(out).astype(np.float32)
    tiles = [tile for matrix in net.matrices() for tile in matrix.tiles]
    for tile in tiles:  # a largest weight that is not moved
        w = tile.weights
        w[0, 0] = 2.0
        tile.program(w)

    def loss():
        for tile in tiles:
            tile.batches = 5
        return float((net.forward(x).astype(np.float64) * d).sum())

    loss()
    net.backward(d)
    for tile in tiles:
        tile.parameter.gradient[...] = 0.0
    before = [tile.weights for tile in tiles]
    lr = 1e-3
    for matrix in net.matrices():
        for tile in matrix.tiles:
            tile.end_batch = lambda: None
    net.update(lr)
    for tile, w in zip(tiles, before, strict=True):
        gradient = tile.parameter.gradient.copy()
        tile.parameter.gradient[...] = 0.0
        worst, size = 0.0, np.abs(gradient).max()
        for i, j in [(0, 1), (1, 0), (tile.shape[0] - 1, tile.shape[1] - 1)]:
            step, found = 1e-2, []
            for sign in (1, -1):
                tile.parameter.value[...] = w
                tile.parameter.value[i, j] += sign * step
                found.append(loss())
            tile.parameter.value[...] = w
            worst = max(worst, abs((found[0] - found[1]) / (2 * step) - gradient[i, j]))
        assert worst < 0.01 * size + 2e-3, name


def train(epochs, checkpoint=None, rule=None, optimizer=None):
    rule = rule or inf.HardwareAware(inf.AddNormal(0.1), inf.GaussianClip(2.5), forward=inf.Chip().periphery)
    net = nn.Sequential(nn.Linear(6, 8, rule), nn.Tanh(), nn.Linear(8, 3, rule))
    trainer = nn.Trainer(net, lr=0.02, rng=0, batch_size=5, optimizer=optimizer or nn.Adam())
    x = RNG(0).standard_normal((60, 6))
    trainer.fit((x, x[:, :3].argmax(axis=1)), epochs=epochs, checkpoint=checkpoint, progress=False)
    return trainer


def test_a_run_that_is_broken_off_goes_on_with_the_same_bits(tmp_path):
    whole = train(6)
    train(3, tmp_path / "run.npz")
    again = train(6, tmp_path / "run.npz")
    for one, other in zip(whole.net.matrices(), again.net.matrices(), strict=True):
        assert (one.weights == other.weights).all()
    assert whole.history.train_loss == again.history.train_loss


def test_optimizers_train_the_weights():
    """Momentum by hand, over 3 steps of one matrix without noise."""
    rule = inf.HardwareAware(())
    net = nn.Sequential(nn.Linear(4, 3, rule, bias=False))
    net.build(rng=0)
    net.set_optimizer(nn.Momentum(0.9))
    w, u = net.layers[0].tile.weights.astype(np.float64), 0.0
    x, d = RNG(0).standard_normal((5, 4)).astype(np.float32), RNG(1).standard_normal((5, 3)).astype(np.float32)
    for _ in range(3):
        net.forward(x)
        net.backward(d)
        net.update(0.1)
        u = 0.9 * u + d.T @ x
        w = w - 0.1 * u
    assert net.layers[0].tile.weights == pytest.approx(w, abs=1e-5)


def test_without_noise_it_is_digital_training():
    plain, aware = (train_plain(rule) for rule in (rpu.algorithms.DigitalSGD(), inf.HardwareAware(())))
    for one, other in zip(plain.net.matrices(), aware.net.matrices(), strict=True):
        assert one.weights == pytest.approx(other.weights, abs=1e-5)


def train_plain(rule):
    net = nn.Sequential(nn.Linear(6, 8, rule), nn.Tanh(), nn.Linear(8, 3, rule))
    trainer = nn.Trainer(net, lr=0.02, rng=0, batch_size=5)
    x = RNG(0).standard_normal((60, 6))
    trainer.fit((x, x[:, :3].argmax(axis=1)), epochs=3, progress=False)
    return trainer


def test_a_network_that_was_trained_so_goes_on_a_chip_and_into_a_file(tmp_path):
    net = train(5).net
    net.save(tmp_path / "net.npz")
    loaded = nn.load(tmp_path / "net.npz")
    x = RNG(5).standard_normal((7, 6)).astype(np.float32)
    assert (inf.program(loaded, rng=0).predict(x, 60.0) == inf.program(net, rng=0).predict(x, 60.0)).all()


def test_what_is_no_modifier_is_refused():
    for wrong in (3, "noise", (inf.AddNormal(), 1), inf.FixedClip()):
        with pytest.raises(TypeError, match="modifiers"):
            inf.HardwareAware(wrong)
    with pytest.raises((TypeError, ValueError), match="clip"):
        inf.HardwareAware(clip=2.5)
    with pytest.raises(ValueError, match="std"):
        inf.AddNormal(-0.1)


def test_outputs_of_adcs_are_in_units_of_the_largest_weight_of_a_row_or_of_all():
    """A coarse ADC shows its steps; inputs of size 1 are exact."""
    step = 2 * 3.0 / 14
    periphery = rpu.Periphery.ideal().replace(adc=rpu.ADC(bits=4, bound=3.0, noise=0.0), noise_management="none")
    x = RNG(3).choice([-1.0, 1.0], (20, 9)).astype(np.float32)
    for scale, axis in (("row", 1), ("array", None)):
        tile = tile_of(inf.HardwareAware((), forward=periphery, scale=scale))
        size = np.abs(tile.weights).max(axis=axis, keepdims=True)
        wanted = step * np.clip(np.rint(x @ (tile.weights / size).T / step), -7, 7) * size.T
        np.testing.assert_allclose(tile.forward(x), wanted, rtol=1e-5, atol=1e-5)
        chip = inf.Chip(inf.NoNoise(), inf.DifferentialPair(scale=scale), periphery, compensation=None, read_noise="none")
        np.testing.assert_allclose(inf.ProgrammedArray(tile.weights, chip, 0).forward(x), wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="HardwareAware: scale must be 'row' where forward is ideal"):
        inf.HardwareAware(scale="array")


def test_a_tile_is_of_its_own_rule():
    with pytest.raises(TypeError, match="algorithm must be a HardwareAware; got SGD"):
        rpu.inference.HardwareAwareTile(rpu.algorithms.SGD(), (2, 3))
