"""Attention, transformers and adapters."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim import nn
from rpusim.nn.optimizers import shortened

RULE = rpu.algorithms.DigitalSGD()
RNG = np.random.default_rng(0)


def attention_by_hand(x, w, b, v, c, heads, causal):
    """One step, head and sample at a time, in float64."""
    out = np.zeros_like(x, dtype=np.float64)
    n = x.shape[-1]
    h = n // heads
    for s, sample in enumerate(x.astype(np.float64)):
        q, k, value = np.split(sample @ w.T + b, 3, axis=1)
        for t in range(len(sample)):
            mixed = np.zeros(n)
            for head in range(heads):
                part = slice(head * h, (head + 1) * h)
                last = t + 1 if causal else len(sample)
                weights = np.array([math.exp(q[t, part] @ k[u, part] / math.sqrt(h)) for u in range(last)])
                mixed[part] = (weights / weights.sum()) @ value[:last, part]
            out[s, t] = v @ mixed + c
    return out


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_its_definition(causal):
    layer = nn.SelfAttention(6, 3, RULE, causal)
    layer.build(rng=0)
    x = RNG.standard_normal((2, 5, 6)).astype(np.float32)
    (w, b), (v, c) = layer.projections.matrix.logical(), layer.output.matrix.logical()
    assert layer.forward(x) == pytest.approx(attention_by_hand(x, w, b, v, c, 3, causal), abs=1e-5)
    changed = x.copy()
    changed[:, 3:] += 1.0
    same = np.allclose(layer.forward(changed)[:, :3], layer.forward(x)[:, :3], atol=1e-6)
    assert same == causal  # a causal step does not see what is after it


def test_normalisation_of_vectors():
    layer = nn.LayerNorm(6)
    layer.gamma.value[...], layer.beta.value[...] = np.arange(6), 0.5
    x = RNG.standard_normal((4, 3, 6)) * 3 + 2
    normal = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    assert layer.forward(x.astype(np.float32)) == pytest.approx(np.arange(6) * normal + 0.5, abs=1e-5)


def test_a_language_model_learns_to_count():
    """Tokens that follow one another: the next one is known from the last."""
    net = nn.language_model(7, 16, 2, 2, context=8, rule=RULE)
    net.build(rng=0)
    start = RNG.integers(0, 7, 64)
    x = (start[:, None] + np.arange(8)) % 7
    y = (x + 1) % 7
    trainer = nn.Trainer(net, lr=0.003, batch_size=8, optimizer=nn.AdamW(max_norm=50.0))
    before = trainer.evaluate((x, y))[0]
    trainer.fit((x, y), epochs=30, progress=False)
    assert before > 1.8 and trainer.evaluate((x, y))[0] < 0.1


def test_models_are_saved_and_go_on_chips(tmp_path):
    hidden = nn.SelfAttention(8, 2, projections=nn.Adapter(nn.Linear(8, 24, RULE), 2), output=nn.Linear(8, 8, RULE))
    net = nn.Sequential(nn.Embedding(5, 8, std=0.3), nn.PositionalEmbedding(6, 8), nn.Residual(hidden), nn.Linear(8, 5, RULE))
    net.build(rng=0)
    hidden.projections.b.value[...] = 0.1
    x = np.arange(12).reshape(2, 6) % 5
    net.save(tmp_path / "net.npz")
    loaded = nn.load(tmp_path / "net.npz")
    assert (loaded.predict(x) == net.predict(x)).all()
    ideal = rpu.inference.Chip(
        rpu.inference.NoNoise(), periphery=rpu.Periphery.ideal(), compensation=None, read_noise="none", max_inputs=4
    )
    assert rpu.inference.program(net, ideal).predict(x) == pytest.approx(net.predict(x), abs=1e-5)
    model = nn.language_model(5, 8, 1, 2, context=6, rule=RULE)
    model.build(0)
    assert rpu.inference.program(model, ideal).predict(x) == pytest.approx(model.predict(x), abs=1e-5)


def adapted(rule):
    return nn.Sequential(
        nn.Adapter(nn.Linear(6, 4, rule), rank=2, alpha=3.0), nn.Tanh(), nn.Adapter(nn.Linear(4, 3, rule), rank=2)
    )


def test_adapters_are_trained_and_what_they_adapt_is_not():
    net = adapted(rpu.inference.HardwareAware(rpu.inference.AddNormal(0.1)))
    net.build(rng=0)
    frozen = [layer.layer.matrix.weights for layer in net.layers[::2]]
    x = RNG.standard_normal((50, 6))
    y = x[:, :3].argmax(axis=1)
    before = net.predict(x)
    w = net.layers[0].layer.matrix.logical()
    assert before == pytest.approx(np.tanh(x @ w[0].T + w[1]) @ net.layers[2].layer.matrix.logical()[0].T
                                   + net.layers[2].layer.matrix.logical()[1], abs=1e-5)  # fmt: skip
    trainer = nn.Trainer(net, lr=0.01, batch_size=10, optimizer=nn.Adam())
    first = [layer.adapter_state() for layer in net.layers[::2]]
    loss = trainer.evaluate((x, y))[0]
    trainer.fit((x, y), epochs=60, progress=False)
    assert trainer.evaluate((x, y))[0] < 0.6 * loss
    for layer, w in zip(net.layers[::2], frozen, strict=True):
        assert (layer.layer.matrix.weights == w).all()
    for layer, state in zip(net.layers[::2], first, strict=True):
        layer.load_adapter_state(state)
    assert (net.predict(x) == before).all()  # exchanged, bit for bit


def test_adapters_learn_on_a_chip_that_is_never_written_again():
    base = nn.Sequential(nn.Adapter(nn.Linear(6, 3, RULE), rank=2))
    base.build(rng=0)
    noisy = rpu.inference.Chip(rpu.inference.PCM(prog_scale=4.0))
    on_chip = rpu.inference.program(base, noisy, rng=1)
    x = RNG.standard_normal((60, 6)).astype(np.float32)
    y = x[:, :3].argmax(axis=1)
    g = on_chip.arrays[0].conductances(3600.0)
    trainer = nn.Trainer(on_chip.at(3600.0), lr=0.02, batch_size=10, optimizer=nn.Adam())
    loss = trainer.evaluate((x, y))[0]
    trainer.fit((x, y), epochs=40, progress=False)
    assert trainer.evaluate((x, y))[0] < 0.7 * loss
    assert (on_chip.arrays[0].conductances(3600.0) == g).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: nn.SelfAttention(6, 4, RULE), "heads must divide"),
        (lambda: nn.SelfAttention(6, 2), "rule must be given"),
        (
            lambda: nn.SelfAttention(6, 2, projections=nn.Linear(6, 6, RULE), output=nn.Linear(6, 6, RULE)),
            "projections must go",
        ),
        (lambda: nn.Adapter(nn.Tanh()), "layer must be a Linear"),
        (lambda: nn.Adapter(nn.Linear(2, 2, RULE), rank=0), "rank"),
        (lambda: nn.TransformerBlock(4, 2, RULE, dropout=1.0), "dropout"),
        (lambda: nn.language_model(5, 4, 0, 2, 8, RULE), "layers"),
    ],
)
def test_what_is_no_transformer_is_refused(wrong, words):
    with pytest.raises((TypeError, ValueError), match=words):
        wrong()


def test_sequences_beyond_the_context_are_refused():
    layer = nn.PositionalEmbedding(4, 3)
    layer.build(0)
    with pytest.raises(ValueError, match="up to 4"):
        layer.forward(np.zeros((1, 5, 3), np.float32))


def block_by_hand(x, values):
    """A block in float64, from the values of its parameters in order."""
    gain_1, offset_1, w, b, v, c, gain_2, offset_2, w_1, b_1, w_2, b_2 = values

    def norm(z, gain, offset):
        return gain * (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-5) + offset

    y = x + attention_by_hand(norm(x, gain_1, offset_1), w, b, v, c, 2, True)
    z = norm(y, gain_2, offset_2) @ w_1.T + b_1
    gelu = 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    return y + gelu @ w_2.T + b_2


def test_gradients_of_a_block_are_those_of_float64():
    """Central differences of a float64 block, to 1e-8; ours are float32: 2e-5 of the largest."""
    rule = rpu.inference.HardwareAware(())  # whose gradients can be seen
    block = nn.TransformerBlock(8, 2, rule, hidden=12)
    block.build(rng=0)
    for p in block.parameters():
        p.value += 0.1 * RNG.standard_normal(p.value.shape).astype(np.float32)
    leaves = [block.layers[0].body.layers[0], block.layers[0].body.layers[1].projections, block.layers[0].body.layers[1].output,
              block.layers[1].body.layers[0], block.layers[1].body.layers[1], block.layers[1].body.layers[3]]  # fmt: skip
    values = []
    for layer in leaves:
        pair = (layer.gamma.value, layer.beta.value) if isinstance(layer, nn.LayerNorm) else layer.matrix.logical()
        values += [part.astype(np.float64) for part in pair]
    x = RNG.standard_normal((2, 4, 8)).astype(np.float32)
    d = RNG.standard_normal((2, 4, 8)).astype(np.float32)
    assert block.forward(x) == pytest.approx(block_by_hand(x, values), abs=1e-5)
    z = block.backward(d)
    with shortened(1e30):  # gradients are there, and no step is taken yet
        block.update(0.0)
        found = []
        for layer in leaves:
            if isinstance(layer, nn.LayerNorm):
                found += [layer.gamma.gradient.copy(), layer.beta.gradient.copy()]
            else:
                gradient = layer.tile.parameter.gradient
                found += [gradient[:, :-1].copy(), gradient[:, -1].copy()]

    def slope(values, place, x64):
        step, out = 1e-5, []
        for sign in (1, -1):
            moved = [value.copy() for value in values]
            at = x64.copy()
            target = at if place[0] is None else moved[place[0]]
            target[place[1]] += sign * step
            out.append(float((d * block_by_hand(at, moved)).sum()))
        return (out[0] - out[1]) / (2 * step)

    x64 = x.astype(np.float64)
    for k, gradient in [(None, z), *enumerate(found)]:
        for place in {tuple(RNG.integers(0, gradient.shape)) for _ in range(6)}:
            wanted = slope(values, (k, place), x64)
            assert gradient[place] == pytest.approx(wanted, abs=float(2e-5 * np.abs(gradient).max() + 1e-5)), (k, place)


def test_a_network_is_adapted_and_all_else_is_frozen():
    net = nn.language_model(5, 8, 1, 2, context=6, rule=RULE)
    net.build(0)
    new = rpu.inference.adapt(net, rank=2, alpha=4.0)
    x = np.arange(12).reshape(2, 6) % 5
    assert new.predict(x) == pytest.approx(net.predict(x), abs=1e-5)
    assert sum(p.value.size for p in new.parameters()) == 2 * (8 + 24 + 8 + 8 + 8 + 32 + 32 + 8 + 8 + 5)
    before = new.state_dict()
    nn.Trainer(new, lr=0.01, batch_size=2, optimizer=nn.Adam()).fit((x, (x + 1) % 5), epochs=3, progress=False)
    after = new.state_dict()

    def changed(one, other, path=""):
        if isinstance(one, dict):
            return [found for key in one for found in changed(one[key], other[key], f"{path}/{key}")]
        return [] if np.array_equal(one, other) else [path]

    moved = {path for path in changed(before, after) if "counters" not in path and "reads" not in path}
    assert moved and all("/a/" in path or "/b/" in path for path in moved), moved
    frozen = nn.Frozen(nn.Linear(3, 2, RULE))
    frozen.build(0)
    y, d = frozen.forward(np.ones((1, 3), np.float32)), np.ones((1, 2), np.float32)
    assert frozen.backward(d).shape == (1, 3)
    frozen.update(1.0)
    assert (frozen.forward(np.ones((1, 3), np.float32)) == y).all()
