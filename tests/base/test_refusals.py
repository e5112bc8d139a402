"""What is refused is refused at the door: in short, by name, before memory is asked for, and with nothing changed."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest

import rpusim as rpu
from rpusim._base import checkpoint
from rpusim._base.validation import integer, memory, numbers_of, plain_array, real, real_array, room_for, shown, signal

SGD = rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.01))


class Wild:
    """An object of a user that has no text, and is no array."""

    def __repr__(self):
        raise RuntimeError("no text")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")


def nested(levels, value=1.0):
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        list(range(10**6)),
        "x" * 10**6,
        b"x" * 10**6,
        {k: k for k in range(10**5)},
        10**10_000,
        nested(5000),
        np.zeros((30, 30)),
        Wild(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_shown_in_short(value):
    text = shown(value)
    assert 0 < len(text) <= 200 and "\n" not in text
    with pytest.raises((TypeError, ValueError)) as caught:
        rpu.devices.SoftBounds(dw_min=value)
    assert "SoftBounds: dw_min" in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("value", [0.1, "text", (1, 2.5), {"a": [1]}, None, 10**100])
def test_short_values_are_shown_as_python_writes_them(value):
    assert shown(value) == repr(value)


@pytest.mark.parametrize("check", [signal, real_array])
@pytest.mark.parametrize("masked", [np.ma.masked_array([1.0, 2.0], [False, True]), [np.ma.masked_array([1.0, 2.0], True)]])
def test_masked_values_are_refused_by_name(check, masked):
    with pytest.raises(ValueError, match="volts must hold no masked values"):
        check("volts", masked, (None,) * np.ndim(masked))


def test_arrays_that_could_be_masked_and_are_not_are_taken():
    assert signal("x", np.ma.masked_array([1.0, 2.0]), (2,)).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="x must be"):
        real()("x", np.ma.masked)


@pytest.mark.parametrize(
    "take",
    [
        lambda x: rpu.CrossbarArray((2, 2), rpu.devices.SoftBounds(), rng=0).forward(x),
        lambda x: rpu.CrossbarArray((2, 2), rpu.devices.SoftBounds(), rng=0).pulse(x.astype(int)),
        lambda x: rpu.CrossbarArray((2, 2), rpu.devices.SoftBounds(), rng=0).reset(x.astype(int)[0]),
        lambda x: rpu.CrossbarArray((2, 2), rpu.devices.SoftBounds(), rng=0).parameters.__setitem__("w_max", x),
        lambda x: rpu.wires.Network(abs(x), rpu.Wires(r_word=1.0, r_bit=1.0)),
        lambda x: rpu.ConductanceScale(g_min=1e-6, g_max=1e-4).conductances(x),
        lambda x: rpu.devices.SoftBounds().step_up(x),
        lambda x: rpu.theory.response(rpu.devices.SoftBounds(), x),
        lambda x: rpu.nn.Sequential(rpu.nn.ReLU()).forward(x),
        lambda x: rpu.nn.OneHot(3).forward(x.astype(int)),
        lambda x: rpu.nn.cross_entropy([[0.0, 1.0]] * 2, x.astype(int)[0]),
        lambda x: rpu.nn.Sequences(x.astype(int)[0], length=1),
    ],
)
def test_masked_values_are_refused_everywhere(take):
    with pytest.raises(ValueError, match="masked"):
        take(np.ma.masked_array([[0.1, 0.2], [0.3, 0.4]], [[False, True], [False, False]]))


def test_objects_that_are_no_arrays_are_refused_by_name():
    with pytest.raises(TypeError, match="x must be an array of real numbers; got Wild"):
        signal("x", Wild(), (None,))
    with pytest.raises(TypeError, match="gammas must be a sequence"):
        numbers_of(integer())("gammas", [[1], [1, 2]])


def test_sizes_beyond_memory_are_named_before_it_is_asked_for():
    room_for("n", 10, memory() // 4)
    with pytest.raises(
        ValueError, match=r"shape must be such that it fits into the .* GB of memory .*; got \(1000000, 1000000\)"
    ):
        rpu.CrossbarArray((10**6, 10**6), rpu.devices.Ideal())
    with pytest.raises(ValueError, match="x must be such that it fits"):
        plain_array("x", np.broadcast_to(np.float32(0), (2**50,)), "real numbers")


@pytest.mark.parametrize(
    "make",
    [
        lambda: rpu.nn.Linear(10**9, 10**9, SGD),
        lambda: rpu.nn.Linear(10**5, 10**4, SGD, mapping=rpu.nn.Mapping(max_inputs=1, max_outputs=1)),
        lambda: rpu.nn.LSTM(10**8, 10**8, SGD),
        lambda: rpu.nn.BatchNorm(10**12),
        lambda: rpu.nn.Embedding(10**9, 10**4),
        lambda: rpu.nn.OneHot(10**15).forward(np.array([1])),
        lambda: rpu.nn.Conv2d(1, 1, 3, SGD, replicas=10**9),
        lambda: rpu.CellArray((10**6, 10**6), rpu.devices.VectorCell()),
        lambda: SGD.build((10**6, 10**6)),
    ],
)
def test_layers_that_cannot_fit_are_refused(make):
    with pytest.raises(ValueError, match="fits into"):
        make()


@pytest.mark.parametrize("padding", [10**5, 10**9])
def test_paddings_that_cannot_fit_are_refused(padding):
    layer = rpu.nn.Conv2d(1, 64, 3, SGD, padding=padding)
    layer.build(rng=0)
    with pytest.raises(ValueError, match="padding must"):
        layer.forward(np.zeros((1, 1, 5, 5), np.float32))


# ---- descriptions ---------------------------------------------------------------------------------------------------


def test_deep_descriptions_are_refused():
    deep = {"type": "SoftBounds"}
    for _ in range(5000):
        deep = {"type": "VectorCell", "devices": [deep]}
    with pytest.raises(ValueError, match="data must be at most 100"):
        rpu.from_dict(deep)
    with pytest.raises(ValueError, match="text must be JSON"):
        rpu.from_json('{"type":' * 100_000)


@pytest.mark.parametrize(
    "data", [{"type": "SoftBounds", 3: 1}, {"type": "SoftBounds", None: 1, "x": 2}, {"type": 3}, {"type": []}, 3]
)
def test_odd_descriptions_are_refused(data):
    with pytest.raises(ValueError, match=r"has no field|data"):
        rpu.from_dict(data)


@pytest.mark.parametrize("text", [3, None, "", "{", "[1]", b"\xff"])
def test_texts_that_are_no_descriptions_are_refused(text):
    with pytest.raises((TypeError, ValueError), match="text must be|data must be"):
        rpu.from_json(text)


# ---- checkpoints ----------------------------------------------------------------------------------------------------


def written(path, header, data=b"", *, tree=None, packing=zipfile.ZIP_STORED):
    """A checkpoint whose one array has this header and these bytes."""
    member = io.BytesIO(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)
    tree = {"format": checkpoint.FORMAT, "version": 1, "state": tree or {"a": {"/array": "a"}}}
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("rpusim.json", json.dumps(tree))
        archive.writestr("a.npy", member.getvalue())
    return path


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"


def test_a_checkpoint_made_by_hand_is_read(tmp_path):
    assert checkpoint.load(written(tmp_path / "a", GOOD, bytes(8)))["a"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "header",
    [
        GOOD.replace("2,", str(2**38)), GOOD.replace("(2,)", "(2, 3)"), GOOD.replace("}", ""), GOOD.replace("(2,", "(2"), "\0",
        GOOD.replace("'<f4'", "('<f4', (1000000000000,))"), GOOD.replace("'shape", "  'shape\n  x"), "(" * 9000,
        "[" * 200 + "]" * 200,
    ],
)  # fmt: skip
def test_headers_that_claim_too_much_or_are_damaged_are_refused(tmp_path, header):
    with pytest.raises(ValueError, match="truncated or damaged checkpoint"):
        checkpoint.load(written(tmp_path / "a", header, bytes(8)))


def test_archives_that_unpack_to_more_than_they_have_are_refused(tmp_path):
    zeros = GOOD.replace("2,", str(10**7))
    with pytest.raises(ValueError, match="compressed, which save does not do"):
        checkpoint.load(written(tmp_path / "a", zeros, bytes(4 * 10**7), packing=zipfile.ZIP_DEFLATED))
    twice = {"a": {"/array": "a"}, "b": {"/array": "a"}}
    with pytest.raises(ValueError, match="must have that name"):
        checkpoint.load(written(tmp_path / "b", GOOD, bytes(8), tree=twice))


def test_deep_states_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="at most 200 deep"):
        checkpoint.save(tmp_path / "a", {"a": nested(5000)})
    assert not (tmp_path / "a").exists()
    checkpoint.save(tmp_path / "a", {"a": nested(150)})
    assert checkpoint.load(tmp_path / "a") == {"a": nested(150)}
    with zipfile.ZipFile(tmp_path / "b", "w") as archive:
        archive.writestr("rpusim.json", "[" * 100_000)
    with pytest.raises(ValueError, match="truncated or damaged"):
        checkpoint.load(tmp_path / "b")


@pytest.mark.parametrize("description", ["[" * 100_000, "{}", '{"type": "ReLU"}', '{"type": ["a"]}', 3])
def test_networks_of_damaged_descriptions_are_refused(tmp_path, description):
    checkpoint.save(tmp_path / "a", {"made_by": "rpusim.nn.Sequential", "network": description, "state": {}})
    with pytest.raises(ValueError, match=r"is damaged|was not written by"):
        rpu.nn.load(tmp_path / "a")
