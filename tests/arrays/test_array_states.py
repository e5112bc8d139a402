"""States of arrays: saved, restored, refused, copied, and shared by threads and processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from oracle.arrays import same
from oracle.tiles import NO_SPREAD

import rpusim as rpu
from rpusim import CrossbarArray, DifferentialPair, Periphery, PulseScheme, checkpoint
from rpusim.devices import ConstantStep, Ideal, LinearStep, SoftBounds


def test_of_another_specification_only_what_differs_is_named():
    array = CrossbarArray((3, 4), SoftBounds(), rng=0)
    state = array.state_dict()
    for old, new, words in (
        ('"half_select": 0.0, ', '"half": 0.0, ', "device.half_select nothing, not 0.0; device.half 0.0, not nothing"),
        ('"bits": 7', '"bits": 6', "forward.dac.bits 6, not 7; backward.dac.bits 6, not 7"),
        ('"wires": null}]', '"wires": {"type": "WriteWires"}}]', "pulses.wires 'WriteWires', not None"),
        ('"type": "SoftBounds"', '"type": "ConstantStep"', "device 'ConstantStep', not 'SoftBounds'"),
    ):
        assert old in state["specification"]
        with pytest.raises(ValueError) as caught:
            array.load_state_dict(state | {"specification": state["specification"].replace(old, new)})
        assert str(caught.value) == f"state must be of an array with the same specification; got {words}"


def test_states_of_versions_with_fewer_fields_have_their_defaults():
    array = CrossbarArray((3, 4), SoftBounds(), rng=0)
    state = array.state_dict()
    specification = state["specification"].replace('"half_select": 0.0, ', "").replace(', "wires": null}]', "}]")
    old = state | {"specification": specification}
    assert '"half_select":' not in old["specification"] and '"wires": null}]' not in old["specification"]
    array.update(np.ones(4), np.ones(3), 0.1)
    array.load_state_dict(old)
    assert same(array.state_dict(), state)
    other = CrossbarArray((3, 4), SoftBounds(half_select=0.1), rng=0)
    with pytest.raises(ValueError, match="half_select 0.0, not 0.1"):
        other.load_state_dict({**other.state_dict(), "specification": old["specification"]})


@pytest.mark.parametrize("change", ["assign", "load"])
def test_parameters_that_were_replaced_are_given_back(change):
    array = CrossbarArray((3, 4), SoftBounds(), rng=0)
    first = weakref.ref(array._parameters["w_max"].base)
    if change == "assign":
        array.parameters["step_up"] = 0.002
    else:
        array.load_state_dict(array.state_dict())
    assert first() is None


# ---- states -----------------------------------------------------------------------------------------------------------


def used(device=None, rng=21, shape=(5, 6), **settings):
    """An array with a past: updates, reads in both directions, changed parameters."""
    device = device or SoftBounds(dw_min=0.01)
    periphery = Periphery(noise_management="average_abs_max", bound_management="none")
    array = CrossbarArray(shape, device, forward=periphery, rng=rng, **settings)
    rng = np.random.default_rng(22)
    array.update(rng.normal(size=(4, shape[1])), rng.normal(size=(4, shape[0])), 0.05)
    array.forward(rng.normal(size=(3, shape[1])))
    array.backward(rng.normal(size=(2, shape[0])))
    if not isinstance(device, Ideal):
        array.parameters["step_up"] = 0.02
        array.parameters["w_max"] = rng.uniform(0.1, 0.5, shape)
    return array


@pytest.mark.parametrize("settings", [{}, dict(count_pulses=True)])
@pytest.mark.parametrize("device", [SoftBounds(dw_min=0.01), LinearStep(**NO_SPREAD), ConstantStep(), Ideal()])
def test_a_restored_array_goes_on_to_the_same_bits(device, settings, tmp_path):
    array = used(device, **settings)
    saved = array.state_dict()
    checkpoint.save(tmp_path / "array.npz", saved)
    other = CrossbarArray((5, 6), device, forward=array.forward_periphery, rng=999, **settings)
    other.load_state_dict(checkpoint.load(tmp_path / "array.npz"))
    assert same(other.state_dict(), saved)
    x, d = np.random.default_rng(23).normal(size=(2, 3, 6)), np.random.default_rng(24).normal(size=(2, 3, 5))
    for target in (array, other):
        target.update(x[0], d[0], 0.1)
    for read in (lambda a: a.forward(x[1]), lambda a: a.backward(d[1]), lambda a: a.weights):
        np.testing.assert_array_equal(read(array), read(other))
    assert same(array.state_dict(), other.state_dict())
    assert not same(array.state_dict(), saved)


def test_a_state_is_a_copy():
    array = used()
    state, pristine = array.state_dict(), copy.deepcopy(array.state_dict())
    array.pulse(3)
    array.parameters["step_up"] = 1.0
    assert same(state, pristine)
    array.load_state_dict(state)
    array.pulse(-2)
    array.parameters["step_down"] = 1.0
    assert same(state, pristine)


def spoilt(change):
    state = used().state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    "state, error, words",
    [
        (lambda: None, TypeError, ["state", "NoneType"]),
        (lambda: {}, ValueError, ["state", "weights"]),
        (lambda: spoilt(lambda s: s.pop("key")), ValueError, ["state", "key"]),
        (lambda: spoilt(lambda s: s.update(extra=1)), ValueError, ["state", "extra"]),
        (lambda: spoilt(lambda s: s.update(version=999)), ValueError, ["version", "2", "999"]),
        (lambda: used(shape=(6, 5)).state_dict(), ValueError, ["(5, 6)", "(6, 5)"]),
        (lambda: used(SoftBounds(dw_min=0.02)).state_dict(), ValueError, ["specification", "0.01", "0.02"]),
        (lambda: used(pulses=PulseScheme(desired_bl=7)).state_dict(), ValueError, ["specification", "desired_bl"]),
        (lambda: used(count_pulses=True).state_dict(), ValueError, ["state", "device_pulses"]),
        (lambda: spoilt(lambda s: s["parameters"].pop("w_max")), ValueError, ["parameters", "w_max"]),
        (lambda: spoilt(lambda s: s.update(parameters=None)), TypeError, ["parameters", "NoneType"]),
        (
            lambda: spoilt(lambda s: s["parameters"].update(w_max=np.ones((2, 2)))),
            ValueError, ["parameters", "w_max", "(5, 6)", "(2, 2)"],
        ),
        (lambda: spoilt(lambda s: s.update(weights=np.ones((2, 2)))), ValueError, ["weights", "(5, 6)", "(2, 2)"]),
        (lambda: spoilt(lambda s: s.update(weights=np.full((5, 6), "a"))), (TypeError, ValueError), ["weights"]),
        (lambda: spoilt(lambda s: s.update(weights=np.full((5, 6), np.nan))), ValueError, ["weights", "nan"]),
        (lambda: spoilt(lambda s: s.update(key="abc")), (TypeError, ValueError), ["key"]),
        (lambda: spoilt(lambda s: s.update(key=-1)), (TypeError, ValueError), ["key"]),
        (lambda: spoilt(lambda s: s.update(counters=[1, 2])), (TypeError, ValueError), ["counters"]),
        (lambda: spoilt(lambda s: s.update(counters=[-1, 0, 0, 0, 0])), (TypeError, ValueError), ["counters"]),
        (lambda: spoilt(lambda s: s.update(averages=[1.0])), (TypeError, ValueError), ["averages"]),
        (lambda: spoilt(lambda s: s.update(averages=[np.nan, 1.0])), (TypeError, ValueError), ["averages"]),
    ],
)  # fmt: skip
def test_wrong_states_are_refused_and_change_nothing(state, error, words):
    array = used(rng=77)
    before = array.state_dict()
    with pytest.raises(error) as caught:
        array.load_state_dict(state())
    assert same(array.state_dict(), before)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_state_of_a_pair_is_that_of_its_arrays(tmp_path):
    pair = DifferentialPair(used(rng=30), used(rng=31))
    checkpoint.save(tmp_path / "pair.npz", pair.state_dict())
    other = DifferentialPair(used(rng=32), used(rng=33))
    other.load_state_dict(checkpoint.load(tmp_path / "pair.npz"))
    assert same(pair.state_dict(), other.state_dict())
    np.testing.assert_array_equal(pair.forward(np.ones(6)), other.forward(np.ones(6)))
    before = other.state_dict()
    wrong = pair.state_dict()
    wrong["reference"]["version"] = 999
    with pytest.raises(ValueError, match="reference.*version.*999"):
        other.load_state_dict(wrong)
    assert same(other.state_dict(), before)
    wrong = pair.state_dict()
    wrong["reference"]["specification"] = "other"
    with pytest.raises(ValueError, match="specification"):
        other.load_state_dict(wrong)
    assert same(other.state_dict(), before)


# ---- sharing and copying ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [rpu.devices.SoftBoundsReference, rpu.devices.PowStepReference])
def test_weights_are_within_what_a_new_reference_leaves(kind):
    array = CrossbarArray((1, 2), kind(w_max=1.0, w_min=-1.0, w_max_dtod=0.0, w_min_dtod=0.0), rng=0)
    array.program([[0.9, -0.2]])
    array.parameters["reference"] = 0.5
    np.testing.assert_allclose(array.weights, [[0.5, -0.2]], atol=1e-6)
    assert same(copy.deepcopy(array).state_dict(), array.state_dict())


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_are_independent_and_go_on_to_the_same_bits(how):
    array = CrossbarArray((3, 5), SoftBounds(dw_min=0.02), rng=3, count_pulses=True)
    array.update(np.ones(5), np.ones(3), 0.05)
    twin = how(array)
    assert same(array.state_dict(), twin.state_dict())
    array.update(np.ones(5), np.ones(3), 0.05)
    assert not np.array_equal(array.weights, twin.weights)
    twin.update(np.ones(5), np.ones(3), 0.05)
    assert same(array.state_dict(), twin.state_dict())


def test_copies_of_tiles_keep_their_shared_reference():
    tile = rpu.algorithms.SHD(SoftBounds(dw_min=0.02)).build((3, 5), rng=0)
    twin = copy.deepcopy(tile)
    assert twin.fast.reference is twin.slow.reference and twin.fast.reference is not tile.fast.reference
    for one in (tile, twin):
        one.update(np.ones((9, 5)), np.ones((9, 3)), 0.05)
    np.testing.assert_array_equal(tile.weights, twin.weights)


def test_threads_may_share_an_array():
    array = CrossbarArray((40, 50), SoftBounds(), rng=0)
    jobs = [np.ones((n, 50), np.float32) for n in range(1, 60)]

    def work(x):
        array.update(x, np.ones((len(x), 40), np.float32), 0.01)
        return array.forward(x).shape

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, jobs)) == [(len(x), 40) for x in jobs]
    assert array.state_dict()["counters"][0] == sum(map(len, jobs))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_can_update(restore_threads):
    rpu.set_num_threads(2)
    array = CrossbarArray((300, 300), SoftBounds(), rng=0)
    x = np.ones((64, 300), np.float32)
    array.update(x, x, 0.05)
    child = multiprocessing.get_context("fork").Process(target=array.update, args=(x, x, 0.05))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
        child.start()
    child.join(60)
    assert child.exitcode == 0
