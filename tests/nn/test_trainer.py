"""rpusim.nn.Trainer: learning, resuming to the same bits, interruptions, and what it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from rpusim import checkpoint
from rpusim.algorithms import DigitalSGD
from rpusim.nn import History, Linear, Sequential, Sigmoid, Tanh, Trainer
from rpusim.nn.layer import Layer


class NoisyTile:
    """A digital tile with noisy reads and updates: its random state is part of its state, as a real tile's is."""

    def __init__(self, shape, rng, noise):
        self.shape, self.noise = shape, noise
        self.rng = np.random.Generator(np.random.PCG64(rng))
        self.w = np.zeros(shape, np.float32)
        self.updates = []  # (x, d, lr) of every update

    @property
    def weights(self):
        return self.w.copy()

    def _normal(self, shape):
        return self.noise * self.rng.standard_normal(shape, np.float32)

    def forward(self, x):
        return x @ self.w.T + self._normal((len(x), self.shape[0]))

    def backward(self, d):
        return d @ self.w + self._normal((len(d), self.shape[1]))

    def update(self, x, d, lr):
        self.updates.append((x.copy(), d.copy(), lr))
        self.w -= np.float32(lr) * d.T @ x + self._normal(self.shape) * np.float32(0.1)

    def end_batch(self):
        pass

    def program(self, w):
        self.w[:] = w

    def state_dict(self):
        state = self.rng.bit_generator.state
        return {
            "w": self.w.copy(),
            "words": list(state["state"].values()),
            "rest": [state["has_uint32"], state["uinteger"]],
        }

    def load_state_dict(self, state):
        self.w[:] = state["w"]
        inner = dict(zip(("state", "inc"), state["words"], strict=True))
        has, word = state["rest"]
        self.rng.bit_generator.state = {"bit_generator": "PCG64", "state": inner, "has_uint32": has, "uinteger": word}


class Noisy:
    def __init__(self, noise=0.01):
        self.noise = noise

    def build(self, shape, rng):
        return NoisyTile(shape, rng, self.noise)

    def __repr__(self):
        return f"Noisy({self.noise})"


def blobs(n, seed):
    """Three classes around the corners of a triangle, not linearly separable through the origin."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    corners = np.array([[1, 1], [2, 3], [3, 1]], np.float32)
    return (corners[y] + 0.25 * rng.standard_normal((n, 2))).astype(np.float32), y


TRAIN, TEST = blobs(150, 0), blobs(200, 1)


def make(noise=0.01, hidden=8, rng=7, **options):
    rule = Noisy(noise)
    return Trainer(Sequential(Linear(2, hidden, rule), Sigmoid(), Linear(hidden, 3, rule)), rng=rng, **options)


def weights(trainer):
    return [layer.tile.weights for layer in trainer.net.layers if layer.trainable]


def assert_same_weights(a, b):
    for left, right in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(left, right)


def without_times(history):
    return {name: values for name, values in history.to_dict().items() if "second" not in name}


@pytest.mark.parametrize(
    ("loss", "batch_size", "lr"), [("cross_entropy", 1, 0.1), ("cross_entropy", 4, 0.1), ("squared_error", 1, 0.1)]
)
def test_learns(loss, batch_size, lr):
    trainer = make(noise=1e-3, loss=loss, batch_size=batch_size, lr=lr)
    _, before = trainer.evaluate(TEST)
    history = trainer.fit(TRAIN, epochs=12, validation=TEST)
    assert history.test_error[-1] < 3 < before
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert len(history) == trainer.epoch == 12 and history is trainer.history
    assert all(len(values) == 12 for values in history.to_dict().values())
    assert min(history.seconds) > 0
    assert history.samples_per_second == [150 / s for s in history.seconds]


def test_learns_regression():
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2)).astype(np.float32)
    y = x @ np.array([[1, -2, 0], [0.5, 0, 3]], np.float32) + 0.3
    trainer = Trainer(Sequential(Linear(2, 3, Noisy(0))), loss="squared_error", lr=0.1, rng=1)
    history = trainer.fit((x, y), epochs=10, validation=(x, y))
    assert history.test_loss[-1] < 1e-6 and history.test_error == [None] * 10
    np.testing.assert_allclose(weights(trainer)[0], [[1, 0.5, 0.3], [-2, 0, 0.3], [0, 3, 0.3]], atol=1e-3)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_each_sample_once_per_epoch_in_a_new_order_with_its_own_label(batch_size):
    n = 10  # not a multiple of 4: the last step has 2 samples
    x = np.arange(n, dtype=np.float32)[:, None]
    trainer = Trainer(Sequential(Linear(1, n, Noisy(0))), lr=lambda epoch: 0.5 / (epoch + 1), batch_size=batch_size, rng=3)
    trainer.fit((x, np.arange(n)), epochs=2)
    updates = trainer.net.layers[0].tile.updates
    steps = -(-n // batch_size)
    assert len(updates) == 2 * steps and [lr for _, _, lr in updates] == [0.5] * steps + [0.25] * steps
    assert trainer.history.lr == [0.5, 0.25]
    orders = []
    for epoch in (updates[:steps], updates[steps:]):
        assert [len(x) for x, _, _ in epoch] == [batch_size] * (n // batch_size) + [2] * (batch_size == 4)
        seen = np.concatenate([x for x, _, _ in epoch])
        np.testing.assert_array_equal(seen[:, 1], 1)  # the bias input
        # Cross-entropy: the gradient is negative at the sample's own label only, and not divided by the batch size.
        d = np.concatenate([d for _, d, _ in epoch])
        np.testing.assert_array_equal(np.argmin(d, axis=1), seen[:, 0])
        np.testing.assert_allclose(d.sum(axis=1), 0, atol=1e-6)
        orders.append(seen[:, 0].astype(int).tolist())
        assert sorted(orders[-1]) == list(range(n))
    assert orders[0] != orders[1] and orders[0] != list(range(n))


def test_train_loss_is_the_mean_over_samples_before_their_updates():
    trainer = Trainer(Sequential(Linear(2, 3, Noisy(0))), lr=1e-30, batch_size=4, rng=0)  # the updates do nothing
    loss, error = trainer.evaluate(TRAIN, batch_size=7)
    y = trainer.net.predict(TRAIN[0]).astype(np.float64)
    p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(p[np.arange(150), TRAIN[1]]).mean(), rel=1e-5)
    assert error == pytest.approx(100 * np.mean(y.argmax(axis=1) != TRAIN[1]))
    history = trainer.fit(TRAIN, epochs=1, validation=TRAIN)
    assert history.train_loss[0] == pytest.approx(loss, rel=1e-5) == history.test_loss[0]


def test_one_hot_targets_are_those_of_labels():
    onehot = np.eye(3, dtype=np.float32)[TRAIN[1]]
    one, two = make(loss="squared_error"), make(loss="squared_error")
    one.fit(TRAIN, epochs=1)
    two.fit((TRAIN[0], onehot), epochs=1)
    assert_same_weights(one, two)


def test_same_seed_same_bits():
    one, two, other = make(rng=7), make(rng=np.random.SeedSequence(7)), make(rng=8)
    for trainer in (one, two, other):
        trainer.fit(TRAIN, epochs=1)
    assert_same_weights(one, two)
    assert not np.array_equal(weights(one)[0], weights(other)[0])


def test_a_built_network_is_not_built_again():
    net = Sequential(Linear(2, 3, Noisy()))
    net.build(1)
    before = net.layers[0].tile
    Trainer(net, rng=2)
    assert net.layers[0].tile is before


@pytest.mark.parametrize("batch_size", [1, 4])
def test_resume_reaches_the_same_bits(tmp_path, batch_size):
    path = tmp_path / "run.npz"
    options = {"batch_size": batch_size, "lr": lambda epoch: 0.1 * 0.8**epoch}
    whole = make(**options)
    whole.fit(TRAIN, epochs=5, validation=TEST)
    first = make(**options)
    first.fit(TRAIN, epochs=2, validation=TEST, checkpoint=path)
    second = make(**options)  # as in a new process
    second.fit(TRAIN, epochs=5, validation=TEST, checkpoint=path)
    assert_same_weights(whole, second)
    assert without_times(second.history) == without_times(whole.history)
    first.fit(TRAIN, epochs=5, validation=TEST)  # the same trainer, gone on without the file
    assert_same_weights(whole, first)
    # The noise to come is the same, too.
    np.testing.assert_array_equal(whole.net.predict(TEST[0]), second.net.predict(TEST[0]))
    # A run that is complete loads its result and trains no more.
    third = make(**options)
    done = third.fit(TRAIN, epochs=5, validation=TEST, checkpoint=path)
    assert done.seconds == second.history.seconds
    assert third.net.layers[0].tile.updates == []


class Interrupting(Layer):
    """Raises KeyboardInterrupt in the n-th training step."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def forward(self, x, train=True):
        self.left -= train
        if self.left < 0:
            raise KeyboardInterrupt
        return x

    def backward(self, d, input_gradient=True):
        return d


def test_interrupted_run_resumes_to_the_same_bits(tmp_path):
    path = tmp_path / "run.npz"

    def build(step):
        net = Sequential(Linear(2, 8, Noisy()), Interrupting(step), Tanh(), Linear(8, 3, Noisy()))
        return Trainer(net, lr=0.1, rng=np.random.default_rng(5))

    whole = build(10**9)
    whole.fit(TRAIN, epochs=4)
    broken = build(2 * 150 + 70)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(TRAIN, epochs=4, checkpoint=path)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
    assert len(checkpoint.load(path)["history"]["train_loss"]) == broken.epoch == 2
    again = build(10**9)
    again.fit(TRAIN, epochs=4, checkpoint=path)
    assert_same_weights(whole, again)
    # The interrupted trainer itself, too, goes back to the checkpoint.
    path.unlink()
    broken = build(2 * 150 + 70)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(TRAIN, epochs=4, checkpoint=path)
    broken.net.layers[1].left = 10**9
    broken.fit(TRAIN, epochs=4, checkpoint=path)
    assert_same_weights(whole, broken)


def test_interrupted_write_leaves_the_last_epoch(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    make().fit(TRAIN, epochs=1, checkpoint=path)
    before = path.read_bytes()
    write = np.lib.format.write_array
    written = []

    def interrupt(file, array, **options):
        written.append(array)
        if len(written) == 2:
            raise KeyboardInterrupt
        write(file, array, **options)

    monkeypatch.setattr(np.lib.format, "write_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make().fit(TRAIN, epochs=2, checkpoint=path)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"] and path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"hidden": 9},
            r"was made with network 'Sequential\(Linear\(2, 8, .*this trainer has 'Sequential\(Linear\(2, 9",
        ),
        ({"noise": 0.02}, r"was made with network .*Noisy\(0\.01\).*Noisy\(0\.02\)"),
        ({"loss": "squared_error"}, "was made with loss 'cross_entropy'; this trainer has 'squared_error'"),
        ({"batch_size": 2}, "was made with batch_size 1; this trainer has 2"),
        ({"rng": 8}, "was made with seed .*7.*this trainer has .*8.*give the same rng"),
    ],
)
def test_checkpoint_of_another_training(tmp_path, change, message):
    path = tmp_path / "run.npz"
    make().fit(TRAIN, epochs=1, checkpoint=path)
    other = make(**change)
    before = weights(other)
    with pytest.raises(ValueError, match=rf"checkpoint .*run\.npz {message}"):
        other.fit(TRAIN, epochs=2, checkpoint=path)
    np.testing.assert_array_equal(weights(other)[0], before[0])
    assert other.epoch == 0


def test_other_checkpoint_errors(tmp_path):
    path = tmp_path / "run.npz"
    make().fit(TRAIN, epochs=3, checkpoint=path)
    with pytest.raises(ValueError, match="was made with samples 150; this trainer has 149"):
        make().fit((TRAIN[0][1:], TRAIN[1][1:]), checkpoint=path)
    with pytest.raises(ValueError, match="epochs must be at least 3, as many as checkpoint .* has; got 2"):
        make().fit(TRAIN, epochs=2, checkpoint=path)
    trainer = make()
    trainer.fit(TRAIN, epochs=4)
    with pytest.raises(ValueError, match="is of epoch 3; this trainer has done 4"):
        trainer.fit(TRAIN, epochs=5, checkpoint=path)
    with pytest.raises(ValueError, match="epochs must be at least 4, the number of epochs done already; got 3"):
        trainer.fit(TRAIN, epochs=3)
    checkpoint.save(path, {"weights": np.zeros(3)})
    with pytest.raises(ValueError, match=r"run\.npz was not written by rpusim\.nn\.Trainer"):
        make().fit(TRAIN, checkpoint=path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"run\.npz is no rpusim checkpoint"):
        make().fit(TRAIN, checkpoint=path)
    with pytest.raises(FileNotFoundError, match="checkpoint must be a file in a folder that exists"):
        make().fit(TRAIN, checkpoint=tmp_path / "nowhere" / "run.npz")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"net": "net"}, TypeError, "net must be a Sequential with at least one layer that has weights; got 'net'"),
        ({"net": Sequential(Tanh())}, TypeError, r"that has weights; got Sequential\(Tanh\(\)\)"),
        ({"loss": "hinge"}, ValueError, "loss must be one of 'cross_entropy', 'squared_error', 'distillation'; got 'hinge'"),
        ({"lr": 0}, ValueError, r"lr must be a finite real number in \(0, inf\); got 0"),
        ({"lr": "fast"}, TypeError, "lr must be a finite real number"),
        ({"rng": -1}, ValueError, "rng must be a non-negative int; got -1"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1; got 0"),
        ({"batch_size": 1.0}, TypeError, "batch_size must be an integer of at least 1; got 1.0"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        Trainer(**{"net": Sequential(Linear(2, 3, Noisy())), **options})


X, Y = TRAIN


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train": X}, TypeError, r"train must be a pair \(x, y\), or an iterable of such batches; got ndarray"),
        ({"train": (X, Y, Y)}, TypeError, r"train must be a pair \(x, y\).*; got tuple of 3"),
        ({"train": iter([(X, Y)])}, TypeError, r"train must be a pair \(x, y\).*list_iterator, which.*only once"),
        ({"train": [(X, Y), (X, Y + 1)]}, ValueError, r"train\[1\] y must be integer labels from 0 to 2; got 3"),
        ({"train": []}, ValueError, "train must hold at least one batch"),
        ({"checkpoint_every": 3}, ValueError, "checkpoint_every must be None without a checkpoint.*got 3"),
        ({"patience": 2}, ValueError, "patience must be None without validation.*got 2"),
        ({"average_last": -1}, ValueError, "average_last must be an integer of at least 0; got -1"),
        ({"train": (X[:, :1], Y)}, ValueError, r"train x must have shape \(any, 2\); got \(150, 1\)"),
        ({"train": (X[:0], Y[:0])}, ValueError, r"train x must hold at least one sample; got shape \(0, 2\)"),
        (
            {"train": (X.astype(complex), Y)},
            TypeError,
            "train x must be an array of real numbers; got dtype complex128",
        ),
        (
            {"train": (np.where(X == X[3, 1], np.nan, X), Y)},
            ValueError,
            r"train x must hold finite.*nan at index \(3, 1\)",
        ),
        ({"train": (X, Y[1:])}, ValueError, r"train y must have shape \(150,\); got \(149,\)"),
        ({"train": (X, Y + 1)}, ValueError, "train y must be integer labels from 0 to 2; got 3 at index"),
        ({"train": (X, Y - 1)}, ValueError, "train y must be integer labels from 0 to 2; got -1 at index"),
        ({"train": (X, Y * 1.0)}, TypeError, "train y must be integer labels from 0 to 2; got dtype float64"),
        ({"validation": (X, Y + 1)}, ValueError, "validation y must be integer labels from 0 to 2; got 3"),
        ({"epochs": 0}, ValueError, "epochs must be an integer of at least 1; got 0"),
        ({"progress": 1}, TypeError, "progress must be True or False; got 1"),
    ],
)
def test_bad_fit_arguments(arguments, error, message):
    trainer = make()
    with pytest.raises(error, match=message):
        trainer.fit(**{"train": TRAIN, **arguments})
    assert trainer.epoch == 0 and trainer.net.layers[0].tile.updates == []


def test_bad_targets_and_rates():
    with pytest.raises(ValueError, match=r"train y must have shape \(150, 3\); got \(150, 2\)"):
        make(loss="squared_error").fit((X, X))
    with pytest.raises(ValueError, match=r"lr\(0\) must be a finite real number in \[0, inf\); got -1"):
        make(lr=lambda epoch: -1).fit(TRAIN)
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1"):
        make().evaluate(TRAIN, batch_size=0)


def test_no_progress_bar_without_a_terminal(capsys):
    make().fit(TRAIN, epochs=1)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_progress_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    make().fit(TRAIN, epochs=1, validation=TEST, progress=False)
    assert capsys.readouterr().err == ""
    make().fit(TRAIN, epochs=1, validation=TEST)
    shown = capsys.readouterr().err
    assert "epoch 1/1: 100%" in shown and "150/150" in shown and "test error" in shown


def test_history_files(tmp_path):
    history = History([0.5, 0.25], [None, 0.3], [None, 12.5], [0.1, 0.1], [2.0, 1.0], [75.0, 150.0])
    history.save_json(tmp_path / "history.json")
    assert json.loads((tmp_path / "history.json").read_text()) == history.to_dict()
    history.save_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["epoch", "train_loss", "test_loss", "test_error", "lr", "seconds", "samples_per_second"],
        ["1", "0.5", "", "", "0.1", "2.0", "75.0"],
        ["2", "0.25", "0.3", "12.5", "0.1", "1.0", "150.0"],
    ]
    history.to_dict()["lr"].append(1)
    assert len(history.lr) == 2


def test_a_checkpoint_is_not_continued_at_another_learning_rate(tmp_path):
    import rpusim as rpu

    x, y = np.eye(4, dtype=np.float32), np.arange(4)
    rule = rpu.algorithms.DigitalSGD()

    def trainer(lr):
        return rpu.nn.Trainer(rpu.nn.Sequential(rpu.nn.Linear(4, 4, rule)), lr=lr, rng=0)

    trainer(0.05).fit((x, y), epochs=2, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match="had lr 0.05 in epoch 0; this trainer has 9"):
        trainer(9.0).fit((x, y), epochs=3, checkpoint=tmp_path / "run.npz")
    assert len(trainer(lambda epoch: 0.05 if epoch < 2 else 0.01).fit((x, y), epochs=3, checkpoint=tmp_path / "run.npz")) == 3


def test_a_checkpoint_knows_its_training_data(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32), np.arange(20) % 2
    path = tmp_path / "run.npz"

    def trainer():
        return Trainer(Sequential(Linear(3, 2, DigitalSGD())), rng=0)

    trainer().fit((x, y), epochs=1, checkpoint=path, progress=False)
    for other in ((2 * x, y), (x, 1 - y), (x[::-1], y)):
        with pytest.raises(ValueError, match="was made with other training data, as many"):
            trainer().fit(other, epochs=2, checkpoint=path, progress=False)
    state = checkpoint.load(path)
    del state["data"]
    checkpoint.save(path, state)  # as earlier versions wrote it
    assert len(trainer().fit((x, y), epochs=2, checkpoint=path, progress=False)) == 2
