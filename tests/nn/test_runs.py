"""Long runs: batches as they come, interruptions anywhere, early ends, averages."""

from __future__ import annotations

import copy
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import rpusim as rpu
from rpusim import nn
from rpusim._base.random import child, generator
from rpusim.algorithms import SGD, DigitalSGD

RULE = DigitalSGD()
RNG = np.random.default_rng(21)
X = RNG.normal(size=(60, 5)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


def network(rule=RULE, digital_bias=False):
    mapping = nn.Mapping(digital_bias=digital_bias)
    return nn.Sequential(nn.Linear(5, 6, rule, mapping=mapping), nn.Tanh(), nn.Linear(6, 2, rule))


def weights(trainer):
    return [matrix.weights for matrix in trainer.net.matrices()]


def assert_same(a, b):
    for x, y in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_batches_that_come_are_trained_in_their_order_once_per_epoch():
    batches = [(X[k : k + 10], Y[k : k + 10]) for k in range(0, 60, 10)]
    trainer = nn.Trainer(network(), lr=0.1, rng=3)
    history = trainer.fit(batches, epochs=2, validation=batches[:2])
    by_hand = network()
    by_hand.build(child(np.random.SeedSequence(3), 0))
    losses = []
    for _ in range(2):
        total = 0.0
        for x, y in batches:
            loss, d = nn.cross_entropy(by_hand.forward(x), y)
            by_hand.backward(d)
            by_hand.update(0.1)
            total += loss
        losses.append(total / 60)
    np.testing.assert_array_equal(weights(trainer)[0], by_hand.layers[0].tile.weights)
    assert history.train_loss == pytest.approx(losses)
    loss, error = trainer.evaluate((X[:20], Y[:20]))
    assert history.test_loss[-1] == pytest.approx(loss) and history.test_error[-1] == error


def test_sequences_are_targets_of_what_comes_next():
    tokens = RNG.integers(0, 7, 203)
    batches = nn.Sequences(tokens, batch_size=4, length=12)
    assert len(batches) == len(list(batches)) == 4
    joined = [np.concatenate(part, axis=1) for part in zip(*batches, strict=True)]
    for row in range(4):
        start = row * 50
        np.testing.assert_array_equal(joined[0][row], tokens[start : start + 48])
        np.testing.assert_array_equal(joined[1][row], tokens[start + 1 : start + 49])
    with pytest.raises(ValueError, match="tokens must be at least 241 for 4 parts of 60; got 203"):
        nn.Sequences(tokens, batch_size=4, length=60)
    with pytest.raises(TypeError, match="tokens must be integers.*float"):
        nn.Sequences([0.5, 1.0])


def test_a_recurrent_network_learns_a_text_and_counts_steps():
    tokens = np.tile([0, 1, 2, 3, 1], 60)
    net = nn.Sequential(nn.OneHot(4), nn.LSTM(4, 12, RULE, stateful=True), nn.Linear(12, 4, RULE))
    trainer = nn.Trainer(net, lr=0.1, rng=1)
    batches = nn.Sequences(tokens, length=10)
    history = trainer.fit(batches, epochs=25, validation=batches)
    assert history.train_loss[0] > 1.0 and history.test_loss[-1] < 0.1 and history.test_error[-1] < 2.0
    x, y = next(iter(batches))
    net.reset_state()
    outputs = net.forward(x, False)
    expected = nn.cross_entropy(outputs.reshape(-1, 4), y.ravel())[0] / 10
    assert trainer.evaluate((x, y))[0] == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["pair", "sequences"])
def test_a_run_that_ends_within_an_epoch_resumes_to_the_same_bits(tmp_path, kind):
    """Ctrl-C asks to stop: the step is finished, the checkpoint written; every place in an epoch is tried."""
    device = rpu.devices.SoftBounds(dw_min=0.01)

    def make():
        if kind == "pair":
            net, data = network(SGD(device), digital_bias=True), (X, Y)
        else:
            rule = SGD(device)
            net = nn.Sequential(
                nn.OneHot(4),
                nn.LSTM(4, 3, rule, stateful=True),
                nn.Dropout(0.2),
                nn.Linear(3, 4, rule, mapping=nn.Mapping(digital_bias=True)),
            )
            data = nn.Sequences(np.arange(101) % 4, length=10)
        return nn.Trainer(net, lr=0.05, rng=5, batch_size=7, optimizer=nn.Adam(lr_scale=0.1)), data

    whole, data = make()
    whole.fit(data, epochs=2, average_last=1)
    for stop_at in (1, 5, 9, 10, 13):
        path = tmp_path / f"{stop_at}.npz"
        broken, data = make()
        update, count = broken.net.update, []

        def interrupting(lr, update=update, count=count, stop_at=stop_at):
            update(lr)
            count.append(1)
            if len(count) == stop_at:
                os.kill(os.getpid(), signal.SIGINT)

        broken.net.update = interrupting
        with pytest.raises(KeyboardInterrupt):
            broken.fit(data, epochs=2, checkpoint=path, average_last=1)
        assert len(count) == stop_at
        again, data = make()
        history = again.fit(data, epochs=2, checkpoint=path, average_last=1)
        assert_same(whole, again)
        assert history.train_loss == whole.history.train_loss
        again.program_average()
        expected = copy.deepcopy(whole)
        expected.program_average()
        assert_same(expected, again)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


RUN = """
    import sys, numpy as np, rpusim as rpu
    from rpusim import nn
    rng = np.random.default_rng(21)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    rule = rpu.algorithms.SHD(transfer_every=3)
    net = nn.Sequential(nn.Linear(5, 6, rule), nn.Tanh(), nn.Linear(6, 2, rule))
    trainer = nn.Trainer(net, lr=0.05, rng=5)
    print("start", flush=True)
    trainer.fit((x, (x[:, 0] > 0).astype(int)), epochs=3, checkpoint=sys.argv[1], checkpoint_every=50)
    np.save(sys.argv[2], np.concatenate([matrix.weights.ravel() for matrix in net.matrices()]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_run_that_is_killed_again_and_again_reaches_the_same_bits(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(RUN))

    def run(name, kill_after=None, how=None):
        arguments = [sys.executable, str(script), str(tmp_path / f"{name}.npz"), str(tmp_path / f"{name}.npy")]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout.readline().strip() == b"start"
        if kill_after is not None:
            time.sleep(kill_after)
            process.send_signal(how)
        process.wait()
        process.stdout.close()

    run("whole")
    for k in range(6):
        run("broken", float(RNG.uniform(0.0, 0.08)), (signal.SIGTERM, signal.SIGKILL, signal.SIGINT)[k % 3])
    run("broken")
    np.testing.assert_array_equal(np.load(tmp_path / "whole.npy"), np.load(tmp_path / "broken.npy"))
    assert not list(tmp_path.glob(".*"))  # the last run took away what those before it left


def test_a_run_that_does_not_resume_keeps_the_old_checkpoint_until_it_has_its_own(tmp_path):
    path, seen = tmp_path / "run.npz", []
    nn.Trainer(network(), lr=0.05, rng=3).fit((X, Y), epochs=2, checkpoint=path)
    old = path.read_bytes()

    def rate(epoch):
        seen.append(path.read_bytes())
        return 0.01

    trainer = nn.Trainer(network(), lr=rate, rng=4)
    trainer.fit((X, Y), epochs=1, checkpoint=path, resume=False)
    fresh = nn.Trainer(network(), lr=0.01, rng=4)
    fresh.fit((X, Y), epochs=1)
    assert_same(trainer, fresh)
    assert seen[0] == old and path.read_bytes() != old and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="resume must be True without a checkpoint"):
        fresh.fit((X, Y), epochs=2, resume=False)
    with pytest.raises(TypeError, match="resume"):
        fresh.fit((X, Y), epochs=2, checkpoint=path, resume="no")
    path.write_text("precious")
    with pytest.raises(ValueError, match="is no rpusim checkpoint"):
        fresh.fit((X, Y), epochs=2, checkpoint=path, resume=False)
    assert path.read_text() == "precious"


def test_patience_ends_a_run_that_no_longer_improves():
    trainer = nn.Trainer(network(), lr=1e-30, rng=3)  # nothing moves
    assert len(trainer.fit((X, Y), epochs=20, validation=(X, Y), patience=3)) == 4
    assert len(trainer.fit((X, Y), epochs=20, validation=(X, Y), patience=5)) == 6
    learning = nn.Trainer(network(), lr=0.02, rng=3)
    assert len(learning.fit((X, Y), epochs=8, validation=(X, Y), patience=2)) == 8


def test_callbacks_see_every_epoch_and_may_end_the_run():
    seen = []

    def watch(trainer):
        seen.append((trainer.epoch, trainer.history.train_loss[-1]))
        return trainer.epoch == 3

    trainer = nn.Trainer(network(), lr=0.1, rng=3)
    trainer.fit((X, Y), epochs=10, callbacks=[watch])
    assert [epoch for epoch, _ in seen] == [1, 2, 3] and seen[-1][1] == trainer.history.train_loss[-1]


def test_the_average_is_the_mean_of_the_last_epochs():
    kept = []
    trainer = nn.Trainer(network(digital_bias=True), lr=0.2, rng=3)
    trainer.fit(
        (X, Y),
        epochs=5,
        average_last=3,
        callbacks=[lambda t: kept.append([*weights(t), *(p.value.copy() for p in t.net.parameters())])],
    )
    trainer.program_average()
    now = [*weights(trainer), *(p.value for p in trainer.net.parameters())]
    for k, value in enumerate(now):
        np.testing.assert_allclose(value, np.mean([each[k] for each in kept[-3:]], axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="average_last of at least 1"):
        nn.Trainer(network(), rng=3).program_average()


def averaged(*calls, **options):
    """Weights after fits and the average."""
    mapping = nn.Mapping(learn_scale=True, scale_by_output=True)
    trainer = nn.Trainer(nn.Sequential(nn.Linear(5, 6, RULE, mapping=mapping), nn.Tanh(), nn.Linear(6, 2, RULE)), lr=0.1, rng=3)
    for epochs in calls:
        trainer.fit((X, Y), epochs=epochs, **options)
    before = weights(trainer)
    trainer.program_average()
    return before, weights(trainer)


def test_the_average_of_one_epoch_is_the_network_as_it_is():
    """Also with a learned scale, which matrices hold beside their weights."""
    for before, after in zip(*averaged(3, average_last=1), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_the_average_is_the_same_in_one_fit_and_in_several_and_where_training_stops_early():
    (_, whole), (_, parts) = averaged(6, average_last=2), averaged(2, 4, 6, average_last=2)
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    _, stopped = averaged(99, average_last=2, callbacks=[lambda t: np.bool_(t.epoch == 6)])
    assert all(np.array_equal(a, b) for a, b in zip(whole, stopped, strict=True))


@pytest.mark.parametrize("where", ["callback", "validation"])
def test_a_signal_between_epochs_stops_the_run(tmp_path, where, monkeypatch):
    trainer = nn.Trainer(network(), rng=3)
    callbacks = []
    if where == "callback":
        callbacks.append(lambda t: os.kill(os.getpid(), signal.SIGTERM))
    else:
        evaluate = trainer._evaluate
        monkeypatch.setattr(trainer, "_evaluate", lambda *a: (os.kill(os.getpid(), signal.SIGINT), evaluate(*a))[1])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit((X, Y), epochs=1, validation=(X, Y), checkpoint=tmp_path / "run.npz", callbacks=callbacks)
    assert trainer.epoch == 1 and (tmp_path / "run.npz").exists()


def test_epochs_of_some_steps():
    """The first so many batches of the order; a generator goes on; one without an end is no matter."""
    batches = [(X[k : k + 10], Y[k : k + 10]) for k in range(0, 60, 10)]
    expected = nn.Trainer(network(), rng=3)
    expected.fit(batches, epochs=1)
    for data in (iter(batches), (batches[k % 6] for k in itertools.count())):
        trainer = nn.Trainer(network(), rng=3)
        history = trainer.fit(data, epochs=3, steps=2)
        assert len(history) == 3
        assert all(np.array_equal(a, b) for a, b in zip(weights(trainer), weights(expected), strict=True))
    again = nn.Trainer(network(), rng=3)
    again.fit(batches, epochs=3, steps=2)  # three times the first two
    twice = nn.Trainer(network(), rng=3)
    twice.fit(batches[:2], epochs=3)
    assert all(np.array_equal(a, b) for a, b in zip(weights(again), weights(twice), strict=True))
    pair, by_hand = (nn.Trainer(network(), rng=3, batch_size=7) for _ in range(2))
    pair.fit((X, Y), epochs=2, steps=4)
    seeds = [child(np.random.SeedSequence(3), 1, k) for k in (0, 1)]
    order = [generator(seed).permutation(60) for seed in seeds]
    by_hand.fit([(X[rows[k : k + 7]], Y[rows[k : k + 7]]) for rows in order for k in range(0, 28, 7)], epochs=1)
    assert_same(pair, by_hand)
    with pytest.raises(TypeError, match="only once"):
        nn.Trainer(network(), rng=3).fit(iter(batches))
    with pytest.raises(ValueError, match="checkpoint must be None where train can be gone through only once"):
        nn.Trainer(network(), rng=3).fit(iter(batches), steps=2, checkpoint="run.npz")
    dry = nn.Trainer(network(), rng=3)
    with pytest.raises(ValueError, match="train must hold as many batches as epochs have steps; got no more"):
        dry.fit(iter(batches[:3]), epochs=3, steps=2)
    assert dry.epoch == 2  # the second of one step
    stopped = nn.Trainer(network(), rng=3)
    with pytest.raises(ZeroDivisionError):
        stopped.fit(Failing(1), steps=5)
    with pytest.raises(ValueError, match="steps must be at least 3, the number done in this epoch already; got 2"):
        stopped.fit(batches, steps=2)


@pytest.mark.parametrize("rule", [RULE, SGD(rpu.devices.SoftBounds(dw_min=0.01))])
def test_finding_the_shape_of_outputs_changes_nothing(tmp_path, rule):
    """Of networks without known lengths, in a run that goes on within an epoch: reads and carried states are left."""
    rng = np.random.default_rng(8)
    text = [(rng.normal(size=(2, 3, 2)).astype(np.float32), rng.integers(0, 8, (2, 3))) for _ in range(6)]
    layers = lambda: (nn.LSTM(2, 4, rule, stateful=True), nn.Concatenate(nn.ReLU(), nn.Tanh()))  # noqa: E731

    def trainer():
        return nn.Trainer(nn.Sequential(*layers()), lr=0.1, rng=2)

    whole, broken, again = trainer(), trainer(), trainer()
    losses = whole.fit(text, epochs=2, steps=6).train_loss
    path, update = tmp_path / "run.npz", broken.net.update

    def failing(lr):
        update(lr)
        failing.left -= 1
        if failing.left == 0:
            raise ZeroDivisionError

    failing.left = 9
    broken.net.update = failing
    with pytest.raises(ZeroDivisionError):
        broken.fit(text, epochs=2, steps=6, checkpoint=path, checkpoint_every=2)
    assert again.fit(text, epochs=2, steps=6, checkpoint=path).train_loss == losses


def test_integer_targets_of_the_outputs_shape_are_targets():
    rng = np.random.default_rng(9)
    x, one_hot = rng.normal(size=(12, 3, 4)).astype(np.float32), np.eye(3, dtype=int)[np.arange(12) % 3]
    for net in (
        lambda: nn.Sequential(nn.LSTM(4, 5, RULE), nn.LastStep(), nn.Linear(5, 3, RULE)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 3, RULE)),
    ):
        whole, real = (nn.Trainer(net(), "squared_error", 0.05, rng=1, batch_size=4) for _ in range(2))
        assert whole.fit((x, one_hot), epochs=2).train_loss == real.fit((x, one_hot.astype(float)), epochs=2).train_loss
    steps = nn.Trainer(nn.Sequential(nn.LSTM(4, 3, RULE)), "squared_error", 0.05, rng=1)
    assert steps.fit((x, one_hot), epochs=1, validation=(x, one_hot)).test_error[0] is not None  # labels of three steps


def test_the_average_is_of_epochs_without_a_gap():
    trainer = nn.Trainer(network(), lr=0.1, rng=3)
    trainer.fit((X, Y), epochs=2, average_last=2)
    trainer.fit((X, Y), epochs=4)
    with pytest.raises(ValueError, match="average_last of at least 1"):
        trainer.program_average()
    trainer.fit((X, Y), epochs=5, average_last=3)
    before = weights(trainer)
    trainer.program_average()
    for a, b in zip(weights(trainer), before, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)  # the one epoch since


def test_checkpoints_of_before_there_were_steps_go_on(tmp_path):
    path = tmp_path / "run.npz"
    nn.Trainer(network(), rng=3).fit((X, Y), epochs=1, checkpoint=path)
    data = rpu.checkpoint.load(path)
    del data["steps"], data["iterates"], data["within"]["lr"]
    rpu.checkpoint.save(path, data | {"average": {"epochs": 0, "values": {}}})
    again, whole = nn.Trainer(network(), rng=3), nn.Trainer(network(), rng=3)
    again.fit((X, Y), epochs=2, checkpoint=path)
    whole.fit((X, Y), epochs=2)
    assert_same(again, whole)
    rpu.checkpoint.save(path, data | {"average": {"epochs": 1, "values": {}}})
    with pytest.raises(ValueError, match="holds an average of an earlier version"):
        nn.Trainer(network(), rng=3).fit((X, Y), epochs=2, checkpoint=path)


def test_a_rate_may_end_at_0():
    trainer = nn.Trainer(network(), lr=lambda epoch: 0.1 * (1 - epoch), rng=3)
    trainer.fit((X, Y), epochs=1)
    before = weights(trainer)
    trainer.fit((X, Y), epochs=2)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(trainer), strict=True))


@pytest.mark.parametrize("name", rpu.algorithms.named.names())
def test_every_algorithm_takes_a_rate_of_0(name):
    tile = rpu.algorithms.named.get(name, rpu.devices.SoftBounds(dw_min=0.01)).build((3, 4), rng=0)
    tile.update(np.ones((2, 4)), np.ones((2, 3)), 0.0)
    assert np.isfinite(tile.weights).all()


def test_a_run_goes_on_within_an_epoch_at_the_rate_it_began_with(tmp_path):
    path = tmp_path / "run.npz"
    trainer = nn.Trainer(network(), lr=0.1, rng=3, batch_size=5)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(Failing(2), epochs=1, checkpoint=path, checkpoint_every=2)
    with pytest.raises(ValueError, match="had lr 0.1 in epoch 0; this trainer has 0.2"):
        nn.Trainer(network(), lr=0.2, rng=3, batch_size=5).fit(Failing(2), epochs=1, checkpoint=path)


class Failing:
    """Batches of which the fourth fails when they are gone through for the n-th time."""

    def __init__(self, n):
        self.left = n

    def __iter__(self):
        self.left -= 1
        for k in range(0, 50, 10):
            if self.left == 0 and k == 30:
                raise ZeroDivisionError
            yield X[k : k + 10], Y[k : k + 10]


def test_labels_must_be_as_many_as_outputs():
    x, one_each = np.zeros((8, 6, 2), np.float32), np.arange(8) % 2
    for batch_size in (1, 4):
        trainer = nn.Trainer(nn.Sequential(nn.RNN(2, 4, RULE), nn.Linear(4, 2, RULE)), batch_size=batch_size)
        before = weights(trainer)
        for labels in (one_each, np.zeros((8, 7), int)):
            with pytest.raises(ValueError, match=r"y must have one target for each output, of which there are .*LastStep"):
                trainer.fit((x, labels))
            with pytest.raises(ValueError, match="y must have one target for each output"):
                trainer.evaluate((x, labels))
        assert all(np.array_equal(a, b) for a, b in zip(before, weights(trainer), strict=True))
    trainer = nn.Trainer(nn.Sequential(nn.RNN(2, 4, RULE), nn.LastStep(), nn.Linear(4, 2, RULE)))
    assert trainer.evaluate((x, one_each))[1] is not None


def test_one_output_for_a_sequence_is_learned():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 5, 1)).astype(np.float32)
    y = (x.sum(axis=(1, 2)) > 0).astype(int)
    trainer = nn.Trainer(nn.Sequential(nn.LSTM(1, 6, RULE), nn.LastStep(), nn.Linear(6, 2, RULE)), lr=0.1, rng=1)
    assert trainer.fit((x, y), epochs=6).train_loss[-1] < 0.25


def test_sequences_of_a_pair_do_not_go_on_from_each_other():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(6, 3, 2)).astype(np.float32), rng.integers(0, 3, (6, 3))
    net = nn.Sequential(nn.LSTM(2, 4, RULE, stateful=True), nn.Linear(4, 3, RULE))
    trainer = nn.Trainer(net, lr=1e-12, rng=2)
    whole = trainer.evaluate((x, y), 6)[0]
    assert trainer.evaluate((x, y), 2)[0] == pytest.approx(whole, rel=1e-6)
    assert trainer.fit((x, y), epochs=1).train_loss[0] == pytest.approx(whole, rel=1e-6)
    np.testing.assert_allclose(net.predict(x, 2), net.predict(x, 6), rtol=1e-6, atol=1e-7)
    piped = nn.Trainer(net, schedule=nn.Pipeline("asynchronous", (0,)))
    with pytest.raises(ValueError, match="micro_batch must be at least the batch of 4 where stateful layers"):
        piped.fit([(x[:4], y[:4])])


def test_networks_without_lengths_are_trained():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(10, 1, 8, 8)).astype(np.float32), np.arange(10)
    for net in (
        nn.Sequential(nn.Conv2d(1, 10, 8, RULE), nn.Flatten()),
        nn.Sequential(nn.Conv2d(1, 10, 3, RULE), nn.AvgPool2d(6), nn.Flatten()),
        nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3, RULE), nn.ReLU(), nn.Flatten()), nn.Linear(144, 10, RULE)),
        nn.Sequential(nn.Flatten(), nn.Concatenate(nn.Linear(64, 6, RULE), None), nn.Linear(70, 10, RULE)),
    ):
        trainer = nn.Trainer(net, lr=0.1, rng=1)
        first = trainer.fit((x, y), epochs=1).train_loss[0]
        assert trainer.fit((x, y), epochs=20).train_loss[-1] < 0.9 * first
    squares = nn.Trainer(nn.Sequential(nn.Conv2d(1, 10, 8, RULE), nn.Flatten()), "squared_error", 0.01, rng=1)
    one_hot = np.eye(10, dtype=int)
    assert squares.fit((x, one_hot), epochs=1).test_error == [None]  # targets, not labels


def test_indices_are_checked_before_anything_is_trained():
    net = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3, RULE))
    trainer = nn.Trainer(net, rng=1)
    before = weights(trainer)
    tokens = np.zeros((6, 4), int)
    tokens[3, 2] = 7
    with pytest.raises(ValueError, match="train x must be integers from 0 to 4; got 0 to 7"):
        trainer.fit((tokens, np.zeros((6, 4), int)))
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(trainer), strict=True))


def test_callbacks_must_be_callable():
    with pytest.raises(TypeError, match=r"callbacks\[0\] must be callable; got 3"):
        nn.Trainer(network(), rng=3).fit((X, Y), callbacks=[3])


def test_layers_may_have_rates_of_their_own():
    def moved(scale):
        net = nn.Sequential(nn.Linear(5, 6, RULE, lr_scale=scale), nn.Tanh(), nn.Linear(6, 2, RULE))
        net.build(1)
        before = [matrix.weights for matrix in net.matrices()]
        _, d = nn.cross_entropy(net.forward(X), Y)
        net.backward(d)
        net.update(1e-3)
        return [matrix.weights - w for matrix, w in zip(net.matrices(), before, strict=True)]

    (a, b), (c, d) = moved(1.0), moved(0.25)
    np.testing.assert_allclose(c, 0.25 * a, atol=1e-6)
    np.testing.assert_array_equal(d, b)


@pytest.mark.parametrize(
    "make, shape",
    [
        (lambda scale: nn.Linear(3, 4, RULE, lr_scale=scale), (6, 3)),
        (lambda scale: nn.Conv1d(3, 4, 2, RULE, lr_scale=scale), (6, 3, 5)),
        (lambda scale: nn.Conv2d(3, 4, 2, RULE, lr_scale=scale), (6, 3, 5, 4)),
        (lambda scale: nn.RNN(3, 4, RULE, lr_scale=scale), (6, 5, 3)),
        (lambda scale: nn.LSTM(3, 4, RULE, lr_scale=scale), (6, 5, 3)),
        (lambda scale: nn.GRU(3, 4, RULE, lr_scale=scale), (6, 5, 3)),
    ],
    ids=["Linear", "Conv1d", "Conv2d", "RNN", "LSTM", "GRU"],
)
def test_every_layer_heeds_its_own_rate(make, shape):
    """One step of 0.5 with lr_scale 0.25 is a quarter of the step with 1."""
    steps = []
    for scale in (1.0, 0.25):
        layer, rng = make(scale), np.random.default_rng(3)
        layer.build(1)
        before = [matrix.weights for matrix in layer.matrices()]
        y = layer.forward(rng.standard_normal(shape).astype(np.float32))
        layer.backward(rng.standard_normal(y.shape).astype(np.float32))
        layer.update(0.5)
        steps.append([matrix.weights - w for matrix, w in zip(layer.matrices(), before, strict=True)])
    for whole, part in zip(*steps, strict=True):
        np.testing.assert_allclose(part, 0.25 * whole, atol=1e-6)
        assert np.abs(whole).max() > 0.1


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["within"].pop("steps"),
        lambda data: data["history"].pop("lr"),
        lambda data: data["history"].update(extra=[]),
        lambda data: data["history"]["lr"].append(0.1),
        lambda data: data["iterates"].update(x=data["iterates"].pop("0")),
    ],
)
def test_a_checkpoint_that_was_edited_is_refused(tmp_path, change):
    path = tmp_path / "run.npz"
    nn.Trainer(network(), rng=3).fit((X, Y), epochs=2, checkpoint=path, average_last=1)
    data = rpu.checkpoint.load(path)
    change(data)
    rpu.checkpoint.save(path, data)
    trainer = nn.Trainer(network(), rng=3)
    before = weights(trainer)
    with pytest.raises(ValueError, match="checkpoint .*run.npz is damaged"):
        trainer.fit((X, Y), epochs=3, checkpoint=path)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(trainer), strict=True)) and trainer.epoch == 0


def test_stages_of_a_warm_start_follow_the_losses_of_epochs_and_go_on_from_a_checkpoint(tmp_path):
    """Tile by tile, as the loss rises (Li et al. 2026); a tile that is told nothing would stay at the first."""
    rng = np.random.default_rng(0)
    x, labels = rng.random((40, 6), dtype=np.float32), rng.integers(0, 3, 40)
    device = rpu.devices.SoftBounds(dw_min=0.1, dw_min_std=0.3)
    rule = rpu.algorithms.MultiTileResidual(device, n_tiles=3, warm_start=True, fast_lr=1.0, transfer_lr=1.0)

    def trained(*epochs, file=None):
        net = rpu.nn.Sequential(rpu.nn.Linear(6, 3, rule))
        trainer = rpu.nn.Trainer(net, lr=0.5, batch_size=4, rng=0)
        for n in epochs:
            history = trainer.fit((x, labels), epochs=n, checkpoint=file, progress=False)
        return net.layers[0].tile, history.train_loss

    tile, losses = trained(12)
    told = rule.build((3, 7), rng=0)
    for loss in losses:
        told.end_epoch(loss)
    assert tile.stage == told.stage > 0
    first, _ = trained(5, file=tmp_path / "run.npz")
    again, _ = trained(12, file=tmp_path / "run.npz")
    assert again.stage == tile.stage and np.array_equal(again.weights, tile.weights)
