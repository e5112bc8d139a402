"""States of parameters, layers, networks and trainers: they go on to the same bits, and one that is refused changes nothing."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
from oracle.arrays import same

import rpusim as rpu
from rpusim import nn
from rpusim.algorithms import DigitalSGD

RULE = DigitalSGD()
RNG = np.random.default_rng(31)
X, LABELS = RNG.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3


def stepped(layer, shape, seed):
    """A layer that has trained a step, with Adam, so that all of its state is there."""
    net = nn.Sequential(layer)
    net.build(seed)
    if net.parameters():
        net.set_optimizer(nn.Adam())
    y = net.forward(RNG.normal(size=shape).astype(np.float32))
    net.backward(np.ones_like(y))
    net.update(0.1)
    return layer


MAPPING = nn.Mapping(max_inputs=3, digital_bias=True, weight_scaling=0.5, learn_scale=True, input_range=1.0)
LAYERS = {
    "linear": lambda seed: stepped(nn.Linear(4, 3, RULE, mapping=MAPPING), (2, 4), seed),
    "convolution": lambda seed: stepped(nn.Conv2d(2, 3, 2, RULE, replicas=2, assignment="random"), (2, 2, 4, 4), seed),
    "recurrent": lambda seed: stepped(nn.LSTM(4, 3, RULE, stateful=True), (2, 5, 4), seed),
    "batch norm": lambda seed: stepped(nn.BatchNorm(4), (6, 4), seed),
    "dropout": lambda seed: stepped(nn.Dropout(0.5), (6, 4), seed),
    "residual": lambda seed: stepped(nn.Residual(nn.Sequential(nn.Linear(4, 4, RULE), nn.BatchNorm(4))), (6, 4), seed),
}


def leaves(state, path=()):
    for key, value in state.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        yield (*path, key)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_refuses_every_damage_and_stays_as_it_was(name):
    """Each entry of the state in turn is of another kind, too much, or missing."""
    layer, other = LAYERS[name](1), LAYERS[name](2)
    before = layer.state_dict()
    good = other.state_dict()
    assert not same(before, good)
    for path in leaves(good):
        for damage in ("other", "missing", "more"):
            state = copy.deepcopy(good)
            inner = state
            for key in path[:-1]:
                inner = inner[key]
            if damage == "other":
                inner[path[-1]] = 5j
            elif damage == "missing" and path[-2:-1] not in (("slots",), ("carried",)):
                del inner[path[-1]]
            else:
                inner["more"] = 0
            with pytest.raises((TypeError, ValueError), match="state"):
                layer.load_state_dict(state)
            assert same(layer.state_dict(), before), (path, damage)
    layer.load_state_dict(good)
    assert same(layer.state_dict(), good)


@pytest.mark.parametrize(
    "slots, error, message",
    [
        (5, TypeError, r"state\['slots'\] must be a dict made by state_dict\(\); got int"),
        ({"1": np.zeros(2, np.float32)}, ValueError, r"state\['slots'\] must have the entries \['0'\]; got \['1'\]"),
        ({"0": np.zeros(3, np.float32)}, ValueError, r"state\['slots'\]\['0'\] must have shape \(2,\); got \(3,\)"),
    ],
)
def test_what_an_optimizer_keeps_is_checked(slots, error, message):
    p = nn.Parameter([1.0, 2.0])
    with pytest.raises(error, match=message):
        p.load_state_dict({"value": np.zeros(2, np.float32), "steps": 3, "slots": slots})
    assert p.value.tolist() == [1.0, 2.0] and p.steps == 0


def test_carried_states_are_of_one_batch_and_as_many_as_the_layer_has():
    layer = LAYERS["recurrent"](1)
    state = layer.state_dict()
    for carried in ([(2, 3)], [(2, 3), (4, 3)]):
        damaged = state | {"carried": {str(k): np.zeros(shape, np.float32) for k, shape in enumerate(carried)}}
        with pytest.raises(ValueError, match=r"state\['carried'\] must be 2 arrays of one shape, or none"):
            layer.load_state_dict(damaged)
    layer.load_state_dict(state | {"carried": {}})
    assert layer.state_dict()["carried"] == {}


def test_replicas_are_chosen_on_from_the_seed_of_another_layer():
    one, other = (nn.Conv2d(2, 3, 2, RULE, replicas=2, assignment="random") for _ in range(2))
    one.build(np.random.SeedSequence([5, 6], spawn_key=(1,), pool_size=8))
    other.build(0)
    other.load_state_dict(one.state_dict())
    x = RNG.normal(size=(3, 2, 5, 5)).astype(np.float32)
    one.kernels[0].program(2 * one.kernels[0].weights)  # replicas differ
    other.kernels[0].program(2 * other.kernels[0].weights)
    for _ in range(2):
        np.testing.assert_array_equal(one.forward(x), other.forward(x))


class OwnLayer(nn.Layer):
    """A layer of a user, who saves and loads in a way of his own."""

    trainable = True

    def __init__(self):
        self.w = np.zeros(4, np.float32)

    def forward(self, x, train=True):
        return x + self.w

    def state_dict(self):
        return {"w": self.w.copy()}

    def load_state_dict(self, state):
        self.w[:2] = state["w"][:2]  # half of it, before it fails
        self.w[:] = state["w"]


def test_a_layer_that_loads_in_its_own_way_has_its_state_in_that_of_the_network():
    net = nn.Sequential(OwnLayer(), nn.Linear(4, 3, RULE))
    net.build(1)
    before = net.state_dict()
    good = before | {"0": {"w": np.arange(4.0, dtype=np.float32)}}
    for damaged in ({"0": {"w": np.arange(3.0)}}, {"1": {}}):
        with pytest.raises((TypeError, ValueError)):
            net.load_state_dict(good | damaged)
        assert same(net.state_dict(), before)
    net.load_state_dict(good)
    assert net.layers[0].w.tolist() == [0.0, 1.0, 2.0, 3.0]


def trainer(rule=RULE):
    mapping = nn.Mapping(digital_bias=True)
    net = nn.Sequential(nn.Linear(4, 5, rule, mapping=mapping), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 3, rule))
    return nn.Trainer(net, lr=0.1, rng=2, batch_size=5, optimizer=nn.Momentum(0.9))


def test_a_trainer_goes_on_from_a_state_to_the_same_bits():
    rule = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.01))
    whole, first, second = trainer(rule), trainer(rule), trainer(rule)
    whole.fit((X, LABELS), epochs=4, average_last=3)
    first.fit((X, LABELS), epochs=2, average_last=3)
    state = copy.deepcopy(first.state_dict())
    handed_out = first.fit((X, LABELS), epochs=3, average_last=3)
    for one in (first, second):
        one.load_state_dict(state)
        assert one.epoch == 2
        one.fit((X, LABELS), epochs=4, average_last=3)
        one.program_average()
        assert one.history.train_loss == whole.history.train_loss
    assert len(handed_out) == 3
    whole.program_average()
    assert same(whole.net.state_dict(), first.net.state_dict()) and same(whole.net.state_dict(), second.net.state_dict())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s["history"]["lr"].append(0.1), r"state\['history'\] must have columns of one length"),
        (lambda s: s["history"].update(lr=0.1), r"state\['history'\]\['lr'\] must be a list; got float"),
        (lambda s: s["history"]["lr"].__setitem__(0, "fast"), r"state\['history'\]\['lr'\]\[0\] must be a number; got 'fast'"),
        (lambda s: s["within"].update(steps=-1), r"state\['within'\]\['steps'\] must be an integer of at least 0; got -1"),
        (lambda s: s["within"].update(total="much"), r"state\['within'\]\['total'\] must be a number; got 'much'"),
        (lambda s: s["iterates"].update(x={}), r"state\['iterates'\] must have the entries \['0', '1', '2'\]; got .*'x'"),
        (lambda s: s["iterates"]["1"].pop("matrix0"), r"state\['iterates'\]\['1'\] must have the entries"),
        (lambda s: s["state"].pop("0"), r"state\['state'\] must have the entries \['0', '2', '3'\]"),
    ],
)
def test_a_trainer_refuses_a_damaged_state_and_stays_as_it_was(change, message):
    one, other = trainer(), trainer()
    one.fit((X, LABELS), epochs=1)
    other.fit((X, LABELS), epochs=2, average_last=2)
    before, state = one.state_dict(), copy.deepcopy(other.state_dict())
    change(state)
    with pytest.raises((TypeError, ValueError), match=message):
        one.load_state_dict(state)
    assert same(one.state_dict(), before)


def test_a_network_is_read_by_a_process_that_has_made_no_layer_yet(tmp_path):
    net = rpu.nn.Sequential(
        rpu.nn.Conv2d(1, 2, 3, rpu.algorithms.SHD()), rpu.nn.Flatten(), rpu.nn.Linear(8, 2, rpu.algorithms.SGD())
    )
    net.build(rng=0)
    net.save(tmp_path / "net.npz")
    code = f"import rpusim; print(rpusim.nn.load({str(tmp_path / 'net.npz')!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Sequential(Conv2d(1, 2, 3, SHD()")
