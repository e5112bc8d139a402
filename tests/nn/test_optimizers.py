"""Optimizers of digital parameters are their equations."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu
from rpusim import nn
from rpusim.algorithms import DigitalSGD

RULE = DigitalSGD()
RNG = np.random.default_rng(11)


# ---- convolutions -----------------------------------------------------------------------------------------------------


def test_adam_after_another_optimizer_begins_with_its_own_first_step():
    fresh, used = nn.Parameter(np.zeros(3)), nn.Parameter(np.zeros(3))
    for _ in range(40):
        used.gradient[...] = 1e-9
        used.step(1.0)
    before = used.value.copy()
    for p in (fresh, used):
        p.optimizer = nn.Adam()
        p.gradient[...] = [1.0, -2.0, 0.5]
        p.step(0.01)
    np.testing.assert_allclose(used.value - before, fresh.value, rtol=1e-5)
    np.testing.assert_allclose(fresh.value, [-0.01, 0.01, -0.01], rtol=1e-5)


# ---- what is digital --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [None, nn.Momentum(0.8, lr_scale=0.5), nn.Adam(beta1=0.7, beta2=0.9, epsilon=1e-3, lr_scale=2.0)]
)
def test_optimizers_are_their_equations(optimizer):
    p = nn.Parameter([1.0, -2.0])
    p.optimizer = optimizer
    value, u, m, v = np.array([1.0, -2.0]), 0.0, 0.0, 0.0
    for t in range(1, 6):
        g = RNG.normal(size=2)
        p.gradient[...] = g
        p.step(0.1)
        if optimizer is None:
            value = value - 0.1 * g
        elif isinstance(optimizer, nn.Momentum):
            u = 0.8 * u + g
            value = value - 0.1 * 0.5 * u
        else:
            m, v = 0.7 * m + 0.3 * g, 0.9 * v + 0.1 * g**2
            value = value - 0.1 * 2.0 * (m / (1 - 0.7**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        np.testing.assert_allclose(p.value, value, rtol=2e-6)
        assert not p.gradient.any()
        if t == 3:  # nothing is lost on the way through a file
            saved, p = p.state_dict(), nn.Parameter([0.0, 0.0])
            p.load_state_dict(saved)
            p.optimizer = optimizer


def test_optimizers_are_for_digital_parameters_only():
    with pytest.raises(ValueError, match="optimizer.*without digital parameters.*Momentum"):
        nn.Sequential(nn.Linear(2, 2, RULE)).set_optimizer(nn.Momentum(0.9))
    with pytest.raises(TypeError, match="optimizer.*Optimizer.*'adam'"):
        nn.Sequential(nn.BatchNorm(2)).set_optimizer("adam")


def test_schedules_go_up_and_down():
    up = nn.Schedule(warmup=4)
    assert [up.factor(k) for k in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    for shape, half in (("linear", 0.5), ("cosine", 0.5), ("power", 0.25)):
        power = {"power": 2.0} if shape == "power" else {}
        falls = nn.Schedule(warmup=10, total=110, shape=shape, final=0.1, **power)
        assert [falls.factor(k) for k in (9, 10, 60, 110, 500)] == pytest.approx([1.0, 1.0, 0.1 + 0.9 * half, 0.1, 0.1])
    with pytest.raises(ValueError, match="total must be given"):
        nn.Schedule(shape="linear")
    with pytest.raises(ValueError, match="total must be above warmup"):
        nn.Schedule(5, 5, "linear")


def test_a_schedule_multiplies_the_rate_of_every_step():
    p = nn.Parameter(np.zeros(1))
    p.optimizer = nn.Momentum(schedule=nn.Schedule(2, 4, "linear"))
    seen = []
    for _ in range(5):
        p.gradient[...] = 1.0
        before = p.value[0]
        p.step(1.0)
        seen.append(float(before - p.value[0]))
    assert seen == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0])


def test_decay_is_of_matrices_and_beside_the_gradient():
    """Two steps of AdamW by hand, in float64."""
    optimizer = nn.AdamW(beta1=0.8, beta2=0.9, weight_decay=0.5)
    gradients = [np.array([[1.0, -2.0]]), np.array([[0.5, 1.0]])]
    w, m, v = np.array([[1.0, 2.0]]), 0.0, 0.0
    p, bias = nn.Parameter(w), nn.Parameter(np.ones(2))
    p.optimizer = bias.optimizer = optimizer
    for t, g in enumerate(gradients, 1):
        p.gradient[...] = g
        p.step(0.1)
        bias.step(0.1)
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        w = w - 0.1 * 0.5 * w - 0.1 * m / (1 - 0.8**t) / (np.sqrt(v / (1 - 0.9**t)) + 1e-8)
    assert p.value == pytest.approx(w, rel=1e-5)
    assert (bias.value == 1.0).all()


def test_gradients_of_a_step_are_shortened_together():
    rule = rpu.inference.HardwareAware(())
    net = nn.Sequential(nn.Linear(3, 2, rule), nn.Sequential(nn.Linear(2, 2, rule, mapping=nn.Mapping(digital_bias=True))))
    x, d = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)

    def stepped(max_norm):
        net.build(rng=0)
        before = [p.value.copy() for p in net.parameters()]
        net.set_optimizer(nn.Momentum(max_norm=max_norm))
        net.forward(x)
        net.backward(d)
        net.update(1.0)
        return np.concatenate([(p.value - b).ravel() for p, b in zip(net.parameters(), before, strict=True)])

    whole, short = stepped(None), stepped(0.5)
    assert np.linalg.norm(whole) > 2 and np.linalg.norm(short) == pytest.approx(0.5, rel=1e-5)
    assert short == pytest.approx(whole * 0.5 / np.linalg.norm(whole), abs=1e-6)
    assert stepped(100.0) == pytest.approx(whole)


def test_distillation_is_the_divergence_from_a_teacher():
    from scipy.special import log_softmax, softmax

    rng = np.random.default_rng(0)
    z, t = rng.standard_normal((5, 4)), rng.standard_normal((5, 4))
    p = softmax(t, axis=1)
    loss, gradient = nn.distillation(z, t)
    assert loss == pytest.approx(np.sum(p * (log_softmax(t, axis=1) - log_softmax(z, axis=1))), rel=1e-5)
    assert gradient == pytest.approx(softmax(z, axis=1) - p, abs=1e-6)
    labels = np.arange(5) % 4
    mixed = softmax(nn.teach(t, labels, beta=0.3, temperature=2.0), axis=1)
    assert mixed == pytest.approx(0.3 * softmax(t / 2, axis=1) + 0.7 * np.eye(4)[labels], abs=1e-6)
    with pytest.raises(ValueError, match="labels must be given"):
        nn.teach(t, beta=0.5)


def test_a_student_learns_from_a_teacher_and_is_judged_by_labels():
    rule = rpu.algorithms.DigitalSGD()
    x = np.random.default_rng(0).standard_normal((200, 4))
    teacher = nn.Sequential(nn.Linear(4, 3, rule))
    teacher.build(1)
    teacher.layers[0].set_weights(3.0 * np.eye(3, 4))
    student = nn.Trainer(nn.Sequential(nn.Linear(4, 3, rule)), loss="distillation", lr=0.02, batch_size=10)
    history = student.fit((x, teacher.predict(x)), epochs=60, validation=(x, x[:, :3].argmax(axis=1)), progress=False)
    assert history.train_loss[-1] < 0.03 and history.test_error[-1] < 6.0
