"""Pipelines against the event-by-event oracle, closed forms, and plain training."""

from __future__ import annotations

import itertools
import signal

import numpy as np
import pytest
from oracle import pipeline as oracle
from oracle.arrays import same

import rpusim as rpu
from rpusim import checkpoint
from rpusim.nn import (
    LSTM,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    Linear,
    Mapping,
    MaxPool2d,
    OneHot,
    Pipeline,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    Trainer,
)

RULE = rpu.algorithms.DigitalSGD()
ANALOG = rpu.algorithms.SGD(device=rpu.devices.SoftBounds(dw_min=0.01))
MODES = ["none", "synchronous", "asynchronous"]
SIZES = [3, 7, 5, 6, 2]


def perceptron(stages, rule=RULE):
    layers = []
    for m in range(stages):
        layers += [Linear(SIZES[m], SIZES[m + 1], rule), Tanh()]
    return Sequential(*layers[:-1])


def samples(n, inputs=3, outputs=2, seed=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, inputs)).astype(np.float32), rng.normal(size=(n, outputs)).astype(np.float32)


def groups(mode, n, batch):
    """What may be in the pipeline together, for the oracle."""
    sizes = [min(batch, n - first) for first in range(0, n, batch)]
    return {"none": [1] * n, "synchronous": sizes, "asynchronous": [None, n]}[mode]


# ---- the clock and the delays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stages", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("n, batch", [(1, 1), (2, 1), (12, 4), (13, 4), (3, 8), (50, 5)])
def test_cycles_are_those_of_stages_that_wait_for_each_other(mode, stages, n, batch):
    found, _ = oracle.simulate(stages, groups(mode, n, batch))
    assert Pipeline(mode).cycles(n, stages, batch) == found
    whole, rest = divmod(n, batch)
    expected = {
        "none": 2 * stages * n,
        "synchronous": 2 * (stages + batch - 1) * whole + (2 * (stages + rest - 1) if rest else 0),
        "asynchronous": 2 * (stages + n - 1),
    }
    assert found == expected[mode]


@pytest.mark.parametrize("stages", [1, 2, 4, 6])
def test_weights_are_as_stale_as_stages_are_far_from_the_end(stages):
    """Forward of sample k through stage m meets the weights after k - (M - m) updates (m from 1)."""
    _, updates = oracle.simulate(stages, [None, 20])
    for m, k in itertools.product(range(stages), range(20)):
        assert updates[m][k] == max(0, k - (stages - 1 - m))


def test_micro_batches_are_counted_whole():
    assert Pipeline("none", micro_batch=4).cycles(22, 3, 10) == 6 * (3 + 3 + 1)
    assert Pipeline("synchronous", micro_batch=4).cycles(22, 3, 10) == 2 * (5 + 5 + 3)
    assert Pipeline("asynchronous", micro_batch=4).cycles(22, 3, 10) == 2 * (7 + 2)


@pytest.mark.parametrize("stages, batch", [(4, 8), (8, 8), (3, 1)])
def test_speed_ups_over_one_stage_at_a_time(stages, batch):
    """M B / (M + B - 1) with a flush after every batch; towards M without."""
    none, flushed, free = (Pipeline(mode).cycles(8000, stages, batch) for mode in MODES)
    assert none / flushed == pytest.approx(stages * batch / (stages + batch - 1))
    assert stages * 0.999 < none / free < stages


# ---- what is trained ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_training_is_that_of_the_oracle(mode, stages):
    """With rates at which the delay matters: plain training ends elsewhere."""
    net, n, batch, lr = perceptron(stages), 23, 4, 0.1
    x, targets = samples(n, outputs=SIZES[stages])
    seconds = [(x[k : k + batch], targets[k : k + batch]) for k in range(0, n, batch)]
    trainer = Trainer(net, "squared_error", lr, rng=1, batch_size=batch, schedule=Pipeline(mode))
    weights = [matrix.weights.astype(np.float64) for matrix in net.matrices()]
    plain = [w.copy() for w in weights]
    total = cycles = 0.0
    for _ in range(2):
        together = groups(mode, n, batch)
        loss, more, _ = oracle.train(weights, x, targets, lr, together if mode != "none" else groups("synchronous", n, batch))
        total, cycles = total + loss, cycles + (more if mode != "none" else 2 * stages * n)
        oracle.train(plain, x, targets, lr, [1] * n)
    history = trainer.fit(seconds, epochs=2, progress=False)
    for matrix, w in zip(net.matrices(), weights, strict=True):
        np.testing.assert_allclose(matrix.weights, w, rtol=0, atol=3e-6)
    assert sum(history.train_loss) * n == pytest.approx(total, rel=1e-5)
    assert trainer.cycles == cycles
    apart = max(np.abs(a - b).max() for a, b in zip(weights, plain, strict=True))
    assert (apart > 1e-2) == (mode != "asynchronous" or stages > 1)


def trained(net, data, schedule, loss="cross_entropy", epochs=2, batch_size=1, lr=0.05, **options):
    trainer = Trainer(net, loss, lr, rng=3, batch_size=batch_size, schedule=schedule)
    trainer.fit(data, epochs=epochs, progress=False, **options)
    return trainer


@pytest.mark.parametrize("rule", [RULE, ANALOG], ids=["digital", "analog"])
@pytest.mark.parametrize(
    "schedule, batch_size",
    [
        (Pipeline("none"), 4), (Pipeline("synchronous", micro_batch=2), 4), (Pipeline("asynchronous", (0,)), 1),
        (Pipeline("asynchronous", (0,), micro_batch=4), 4),
    ],
    ids=str,
)  # fmt: skip
def test_without_delay_a_pipeline_trains_as_if_there_were_none(schedule, batch_size, rule):
    x, _ = samples(30)
    y = np.arange(30) % 6
    plain, piped = (trained(perceptron(3, rule), (x, y), s, batch_size=batch_size).net.state_dict() for s in (None, schedule))
    assert same(plain, piped)


def test_a_pipeline_gives_the_same_bits_again_and_others_than_none():
    x, _ = samples(30)
    y = np.arange(30) % 6
    a, b, plain = (trained(perceptron(3, ANALOG), (x, y), s) for s in (Pipeline(), Pipeline(), None))
    assert same(a.net.state_dict(), b.net.state_dict()) and a.history.train_loss == b.history.train_loss
    assert not same(a.net.state_dict(), plain.net.state_dict())


# ---- all layers -----------------------------------------------------------------------------------------------------


class Spy(Layer):
    """Passes signals on, and notes by which samples forward and backward go through it."""

    in_flight = ("_seen",)

    def __init__(self):
        self._seen, self.events, self.count = None, [], 0

    def forward(self, x, train=True):
        if train:
            self._seen = self.count
            self.count += 1
            self.events.append(("forward", self._seen))
        return x

    def backward(self, d, input_gradient=True):
        self.events.append(("backward", self._seen))
        return d


def images(n, seed=8):
    return np.random.default_rng(seed).normal(size=(n, 1, 6, 6)).astype(np.float32), np.arange(n) % 3


def tokens(n, time=4, seed=9):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, (n, time)), rng.integers(0, 3, (n, time))


RANGE = Mapping(digital_bias=True, learn_scale=True, input_range=0.2, learn_input_range=True)
LAYERS = {
    "convolution": (
        lambda: [Conv2d(1, 3, 3, RULE), ReLU(), MaxPool2d(2), Conv2d(3, 4, 1, RULE), AvgPool2d(2), Flatten(),
                 Linear(4, 3, RULE)],
        images(20), 1,
    ),
    "replicas": (
        lambda: [Conv2d(1, 2, 3, RULE, replicas=2, assignment="random"), Flatten(), Sigmoid(), Linear(32, 3, RULE)],
        images(20), 1,
    ),
    "digital": (
        lambda: [Flatten(), Linear(36, 8, RULE, bias=False), BatchNorm(8), Dropout(0.3), ReLU(), Linear(8, 5, RULE), Tanh(),
                 Linear(5, 3, RULE)],
        images(24), 4,
    ),
    "range": (
        lambda: [Flatten(), Linear(36, 8, RULE), ReLU(), Linear(8, 8, RULE, mapping=RANGE), ReLU(), Linear(8, 3, RULE)],
        images(20), 1,
    ),
    "digital convolution": (
        lambda: [Conv2d(1, 3, 3, RULE), ReLU(), Conv2d(3, 4, 2, RULE, mapping=RANGE), Flatten(), Linear(36, 3, RULE)],
        images(20), 1,
    ),
    "residual": (
        lambda: [Flatten(), Linear(36, 6, RULE), Residual(Sequential(Linear(6, 6, RULE), ReLU()), Linear(6, 6, RULE)),
                 Linear(6, 3, RULE)],
        images(20), 1,
    ),
    "embedding": (lambda: [Embedding(5, 4), LSTM(4, 6, RULE), LSTM(6, 5, RULE), Linear(5, 3, RULE)], tokens(20), 1),
    "recurrent range": (
        lambda: [OneHot(5), LSTM(5, 6, RULE), LSTM(6, 5, RULE, mapping=RANGE.replace(input_range=0.05)),
                 Linear(5, 3, RULE)],
        tokens(20), 1,
    ),
    "one-hot": (lambda: [OneHot(5), LSTM(5, 6, RULE, stateful=True), Linear(6, 3, RULE)], tokens(20), 1),
}  # fmt: skip


def values(net):
    """All that is trained, in float64."""
    arrays = [m.weights for m in net.matrices()] + [p.value for p in net.parameters()]
    return [array.astype(np.float64) for array in arrays]


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_keeps_the_signals_of_each_sample_apart(name):
    """What is stale is of the order of the rate, so that at a small one the total change is that of plain training, while
    several samples are in flight. A layer whose signals were those of another sample would give another one at any rate."""
    layers, data, size = LAYERS[name]
    change = {}
    for schedule in (None, Pipeline(micro_batch=size)):
        net = Sequential(*layers())
        net.build(0)
        before = values(net)
        trained(net, data, schedule, epochs=1, batch_size=size, lr=1e-4)
        change[schedule is None] = [a - b for a, b in zip(values(net), before, strict=True)]
    for plain, piped in zip(change[True], change[False], strict=True):
        assert np.abs(plain).max() > 2e-6
        np.testing.assert_allclose(piped, plain, rtol=0, atol=0.02 * np.abs(plain).max())


def test_signals_that_are_set_aside_are_forgotten_and_come_back():
    net = perceptron(2)
    net.build(0)
    x, d = samples(2, outputs=5)
    net.forward(x[:1])
    expected = net.backward(d[:1])
    net.forward(x[:1])
    signals = net.set_aside()
    with pytest.raises(RuntimeError, match="backward needs a forward"):
        net.backward(d[:1])
    net.forward(x[1:], False)
    net.bring_back(signals)
    np.testing.assert_array_equal(net.backward(d[:1]), expected)


def test_samples_overlap_as_the_clock_says():
    spies = [Spy() for _ in range(3)]
    net = Sequential(Linear(3, 4, RULE), spies[0], Linear(4, 4, RULE), spies[1], Linear(4, 2, RULE), spies[2])
    trained(net, samples(6), Pipeline(), loss="squared_error", epochs=1)
    for m, spy in enumerate(spies):
        ahead = 2 - m  # forwards before the first backward, beyond its own
        order = [("forward", k) for k in range(ahead)]
        for k in range(6):
            order += [("forward", k + ahead)] * (k + ahead < 6) + [("backward", k)]
        assert spy.events == order


# ---- the trainer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_checkpoints_within_an_epoch_lead_to_the_same_bits(mode, tmp_path):
    x, _ = samples(30)
    data, schedule = (x, np.arange(30) % 6), Pipeline(mode)
    whole = trained(perceptron(3, ANALOG), data, schedule, checkpoint=tmp_path / "a.npz", checkpoint_every=7)

    class Enough(Exception):
        pass

    def fail(self, *args):
        fail.left -= 1
        if fail.left == 0:
            raise Enough
        return update(self, *args)

    fail.left, update = 120, Linear.update  # in the second epoch, after a checkpoint
    path = tmp_path / "b.npz"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Enough):
        patch.setattr(Linear, "update", fail)
        trained(perceptron(3, ANALOG), data, schedule, checkpoint=path, checkpoint_every=7)
    assert checkpoint.load(path)["within"]["steps"] > 0
    again = trained(perceptron(3, ANALOG), data, schedule, checkpoint=path, checkpoint_every=7)
    assert same(whole.net.state_dict(), again.net.state_dict())
    assert whole.history.train_loss == again.history.train_loss and whole.cycles == again.cycles
    # emptied after 7, 14, 21 and 28 samples and at the end of every epoch of 30
    flushes = [7, 7, 7, 7, 2] * 2 if mode == "asynchronous" else [60]
    assert whole.cycles == sum(schedule.cycles(n, 3) for n in flushes)


def test_ctrl_c_writes_no_checkpoint_of_a_full_pipeline(tmp_path):
    x, _ = samples(30)
    data = (x, np.arange(30) % 6)
    path = tmp_path / "run.npz"
    whole = trained(perceptron(3), data, Pipeline(), epochs=2)
    trainer, update = Trainer(perceptron(3), lr=0.05, rng=3, schedule=Pipeline()), Linear.update

    def interrupted(self, lr):
        if trainer.epoch == 1 and trainer._steps == 10:
            signal.raise_signal(signal.SIGINT)
        update(self, lr)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Linear, "update", interrupted)
        trainer.fit(data, epochs=2, checkpoint=path, progress=False)
    saved = checkpoint.load(path)
    assert len(saved["history"]["train_loss"]) == 1 and saved["within"]["steps"] == 0
    again = trained(perceptron(3), data, Pipeline(), epochs=2, checkpoint=path)
    assert same(whole.net.state_dict(), again.net.state_dict()) and whole.cycles == again.cycles


def test_a_checkpoint_belongs_to_its_schedule(tmp_path):
    path = tmp_path / "run.npz"
    trained(perceptron(2), samples(5, outputs=5), Pipeline(), loss="squared_error", epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match="schedule"):
        trained(perceptron(2), samples(5, outputs=5), None, loss="squared_error", checkpoint=path)


# ---- stages, and errors ---------------------------------------------------------------------------------------------


def test_a_stage_begins_where_weights_do_or_where_it_is_said():
    net = Sequential(Flatten(), Linear(4, 4, RULE), ReLU(), Dropout(0.5), Linear(4, 4, RULE), Tanh(), Linear(4, 2, RULE))
    assert [len(stage.layers) for stage in Pipeline().stages(net)] == [4, 2, 1]
    assert [len(stage.layers) for stage in Pipeline(starts=(0, 4)).stages(net)] == [4, 3]
    assert all(a is b for a, b in zip(itertools.chain(*(s.layers for s in Pipeline().stages(net))), net.layers, strict=True))


def test_a_pipeline_survives_json():
    p = Pipeline("synchronous", starts=(0, 3), micro_batch=2)
    assert rpu.from_dict(p.to_dict()) == p
    assert repr(p) == "Pipeline(mode='synchronous', starts=(0, 3), micro_batch=2)"


class Mute(Layer):
    """A user's layer that does not say what it keeps."""

    def forward(self, x, train=True):
        self._x = x
        return x

    def backward(self, d, input_gradient=True):
        return d


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: Pipeline("ring"), ValueError, ["mode", "'ring'", "'asynchronous'"]),
        (lambda: Pipeline(starts=(1, 2)), ValueError, ["starts", "from 0", "(1, 2)"]),
        (lambda: Pipeline(starts=(0, 2, 2)), ValueError, ["starts", "ascending", "(0, 2, 2)"]),
        (lambda: Pipeline(starts=3), TypeError, ["starts", "3"]),
        (lambda: Pipeline(micro_batch=0), ValueError, ["micro_batch", "0"]),
        (lambda: Pipeline().cycles(0, 3), ValueError, ["samples", "0"]),
        (lambda: Pipeline().cycles(3, 0), ValueError, ["stages", "0"]),
        (lambda: Pipeline().cycles(3, 3, 0), ValueError, ["batch_size", "0"]),
        (lambda: Trainer(perceptron(2), schedule="asynchronous"), TypeError, ["schedule", "Pipeline", "'asynchronous'"]),
        (lambda: Trainer(perceptron(2), schedule=Pipeline(starts=(0, 1, 2))), ValueError, ["starts", "weights", "Tanh", "1"]),
        (lambda: Trainer(perceptron(2), schedule=Pipeline(starts=(0, 9))), ValueError, ["starts", "below 3", "9"]),
        (lambda: Trainer(Sequential(Linear(2, 2, RULE), Mute()), schedule=Pipeline()), TypeError, ["Mute", "in_flight"]),
    ],
)  # fmt: skip
def test_schedules_that_cannot_be_are_refused(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)
