"""rpusim.checkpoint: exact round trips, refusals, and files that are whole or not there."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rpusim import checkpoint

KEYS = st.text(min_size=1, max_size=8).filter(lambda key: key.isprintable() and not set(key) & set("/\\"))
DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**63, 2**64 - 1),
    st.floats(),
    st.text(max_size=8),
    ARRAYS,
    ARRAYS.filter(lambda array: array.size > 0).map(lambda array: array.reshape(-1)[0]),  # NumPy scalars
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_same(left, right)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert a.dtype == b.dtype and a.shape == b.shape
        if a.dtype.kind in "fc" and a.dtype.itemsize in (12, 16, 24, 32):  # long double: padding bytes are not data
            np.testing.assert_array_equal(a, b)
        else:
            assert a.tobytes() == b.tobytes()
    elif isinstance(a, float) and math.isnan(a):
        assert math.isnan(b)
    else:
        assert a == b and repr(a) == repr(b)  # repr: -0.0


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=st.dictionaries(KEYS, VALUES, max_size=4))
def test_round_trip(tmp_path, state):
    path = tmp_path / "state.npz"
    checkpoint.save(path, state)
    assert_same(checkpoint.load(path), state)


def test_large_integers_and_layout(tmp_path):
    state = {
        "counter": 2**64 - 1,
        "entropy": 2**128 - 1,
        "keys": np.array([0, 2**63, 2**64 - 1], np.uint64),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(10)[::3],
        "nan": np.array([0x7FC12345], np.uint32).view(np.float32),
    }
    checkpoint.save(tmp_path / "state.npz", state)
    loaded = checkpoint.load(tmp_path / "state.npz")
    assert_same(loaded, state)
    assert all(value.flags.writeable for value in loaded.values() if isinstance(value, np.ndarray))


def test_arrays_are_npz_members_without_pickle(tmp_path):
    path = tmp_path / "state.npz"
    checkpoint.save(path, {"layer": {"weights": np.eye(2)}, "list": [np.zeros(3)], "epoch": 3})
    with np.load(path, allow_pickle=False) as npz:
        np.testing.assert_array_equal(npz["layer/weights"], np.eye(2))
        np.testing.assert_array_equal(npz["list/0"], np.zeros(3))
        tree = json.loads(npz["rpusim.json"])
    assert tree["format"] == "rpusim checkpoint" and tree["version"] == 1 and tree["state"]["epoch"] == 3


def test_equal_states_give_equal_files(tmp_path, monkeypatch):
    state = {"a": np.arange(5), "b": 1}
    checkpoint.save(tmp_path / "1.npz", state)
    monkeypatch.setattr("time.time", lambda: 2e9)
    checkpoint.save(tmp_path / "2.npz", state)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ([1], TypeError, "state must be a dict; got list"),
        ({"a": {1: 2}}, TypeError, "keys must be text; got 1 at a"),
        ({"a/b": 1}, ValueError, "'a/b' at the top level"),
        ({"": 1}, ValueError, "printable"),
        ({"a\0b": 1}, ValueError, "printable"),
        ({"a": {"b": [0, (1, 2)]}}, TypeError, "got tuple at a/b/1"),
        ({"a": np.array([None])}, TypeError, "dtype object at a"),
        ({"a": np.ma.masked_array([1], [True])}, TypeError, "MaskedArray at a"),
        ({"a": 1j}, TypeError, "got complex at a"),
    ],
)
def test_refused_states_write_nothing(tmp_path, state, error, message):
    with pytest.raises(error, match=message):
        checkpoint.save(tmp_path / "state.npz", state)
    assert list(tmp_path.iterdir()) == []


def test_foreign_files(tmp_path):
    path = tmp_path / "other.npz"
    for content in (b"", b"PK", b"\x93NUMPY", b"hello " * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.npz is no rpusim checkpoint"):
            checkpoint.load(path)
    np.savez(path, weights=np.eye(2))
    with pytest.raises(ValueError, match=r"other\.npz is no rpusim checkpoint, but another zip file"):
        checkpoint.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rpusim.json", json.dumps({"format": "something else"}))
    with pytest.raises(ValueError, match=r"other\.npz is no rpusim checkpoint, but another zip file"):
        checkpoint.load(path)
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "missing.npz")


def test_newer_version(tmp_path):
    path = tmp_path / "future.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rpusim.json", json.dumps({"format": "rpusim checkpoint", "version": 2, "state": ["?"]}))
    with pytest.raises(ValueError, match=r"future\.npz is a checkpoint of format version 2; .* up to 1"):
        checkpoint.load(path)


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "state.npz"
    checkpoint.save(path, {"a": np.arange(4.0), "b": {"c": np.int8(3), "d": "text"}})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"state\.npz is (no rpusim|a truncated or damaged) checkpoint"):
            checkpoint.load(path)


def test_changed_bytes_are_noticed_or_harmless(tmp_path):
    path = tmp_path / "state.npz"
    state = {"a": np.arange(4.0), "b": {"c": np.int8(3), "d": "text"}}
    checkpoint.save(path, state)
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            loaded = checkpoint.load(path)
        except ValueError:
            noticed += 1
        else:
            assert_same(loaded, state)  # a field of the zip format that carries nothing, as a date
    assert noticed > len(whole) / 2


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("place", ["write_array", "fsync", "replace"])
def test_failing_write_leaves_the_old_file(tmp_path, monkeypatch, place):
    path = tmp_path / "state.npz"
    checkpoint.save(path, {"a": np.zeros(3)})

    def fail(*args, **kwargs):
        raise Interrupted

    monkeypatch.setattr(
        *{
            "write_array": (np.lib.format, "write_array"),
            "fsync": (os, "fsync"),
            "replace": (os, "replace"),
        }[place],
        fail,
    )
    with pytest.raises(Interrupted):
        checkpoint.save(path, {"a": np.ones(3)})
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]
    np.testing.assert_array_equal(checkpoint.load(path)["a"], np.zeros(3))


def test_old_file_is_whole_while_the_new_one_is_written(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    checkpoint.save(path, {"a": np.zeros(3)})
    replace, seen = os.replace, []

    def look(source, target):
        seen.append(float(checkpoint.load(path)["a"][0]))
        assert os.path.dirname(source) == os.path.dirname(target)
        seen.append(float(checkpoint.load(source)["a"][0]))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    checkpoint.save(path, {"a": np.ones(3)})
    assert seen == [0.0, 1.0] and checkpoint.load(path)["a"][0] == 1.0


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_symbolic_links_are_followed(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    checkpoint.save(tmp_path / "link.npz", {"a": 1})
    assert (tmp_path / "link.npz").is_symlink() and checkpoint.load(tmp_path / "real.npz") == {"a": 1}


WRITER = """
import sys
from rpusim._base.checkpoint import atomic_file
with atomic_file(sys.argv[1]) as file:
    file.write(b"half of it")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(path):
    """A process that is amid writing `path`, and its temporary file."""
    before = set(path.parent.iterdir())
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    (temporary,) = set(path.parent.iterdir()) - before
    assert temporary.name.startswith(f".{path.name}.") and temporary.read_bytes() == b"half of it"
    return process, temporary


def end(process, how=None):
    if how is not None:
        process.send_signal(how)
    process.communicate()


posix = pytest.mark.skipif(os.name != "posix", reason="signals and locks of POSIX")


@posix
@pytest.mark.parametrize("what", ["save", "load", "load another", "atomic_file that fails", "link"])
def test_what_killed_writers_leave_is_removed(tmp_path, what):
    path, others = tmp_path / "run.npz", ["run", "run.npz.npz", "my.run.npz", "runxnpz", "other.npz"]
    checkpoint.save(path, {"a": 1})
    left = [writer(path) for _ in range(2)] + [writer(tmp_path / name) for name in others]
    for process, temporary in left:
        end(process, signal.SIGKILL)
        assert temporary.exists()
    own, kept = {temporary for _, temporary in left[:2]}, {temporary for _, temporary in left[2:]}
    users = {tmp_path / name for name in (".run.npz.tmp", ".run.npz.before", ".run.npz.0a1b2c3.tmp", ".run.npz.0a1b2c3d.tmp~")}
    for file in users:
        file.touch()
    if what == "save":
        checkpoint.save(path, {"a": 2})
    elif what == "load":
        assert checkpoint.load(path) == {"a": 1}
    elif what == "link":
        (tmp_path / "link").symlink_to(path)
        checkpoint.load(tmp_path / "link")
        (tmp_path / "link").unlink()
    elif what == "load another":
        checkpoint.save(tmp_path / "good.npz", {})
        checkpoint.load(tmp_path / "good.npz")
        (tmp_path / "good.npz").unlink()
        kept |= own
    else:
        with pytest.raises(KeyboardInterrupt), checkpoint.atomic_file(path):
            raise KeyboardInterrupt
    assert set(tmp_path.iterdir()) == {path} | kept | users


@posix
def test_what_a_living_writer_writes_stays_and_arrives(tmp_path):
    path = tmp_path / "run.npz"
    checkpoint.save(path, {"a": 1})
    process, temporary = writer(path)
    dead, left = writer(path)
    end(dead, signal.SIGKILL)
    checkpoint.load(path)
    checkpoint.save(path, {"a": 2})
    assert temporary.exists() and not left.exists() and checkpoint.load(path) == {"a": 2}
    end(process)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"half of it"


@posix
def test_a_writer_whose_new_file_is_taken_for_a_leftover_takes_another(tmp_path, monkeypatch):
    import fcntl

    path, flock, taken = tmp_path / "run.npz", fcntl.flock, []

    def removed_first(file, how):  # someone else removes leftovers between the making and the locking of the file
        if len(taken) < 2:
            (name,) = [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]
            taken.append(name)
            if len(taken) == 1:
                name.unlink()
            else:
                raise BlockingIOError  # or is about to
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    checkpoint.save(path, {"a": 3})
    assert len(taken) == 2 and list(tmp_path.iterdir()) == [path] and checkpoint.load(path) == {"a": 3}


@posix
def test_where_there_are_no_locks_nothing_is_removed_and_all_is_written(tmp_path, monkeypatch):
    import errno
    import fcntl

    path = tmp_path / "run.npz"
    process, temporary = writer(path)

    def unknown(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    checkpoint.save(path, {"a": 3})
    assert checkpoint.load(path) == {"a": 3} and temporary.exists()
    end(process)
    assert path.read_bytes() == b"half of it"


@posix
def test_reading_where_nothing_can_be_removed(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    checkpoint.save(path, {"a": 1})
    process, temporary = writer(path)
    end(process, signal.SIGKILL)

    def refuse(*_, **__):
        raise PermissionError

    tmp_path.chmod(0o500)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(type(path), "unlink", refuse)  # modes do not bind root
            assert checkpoint.load(path) == {"a": 1} and temporary.exists()
            patch.setattr(os, "listdir", refuse)
            assert checkpoint.load(path) == {"a": 1}
    finally:
        tmp_path.chmod(0o700)


@posix
def test_links_and_pipes_that_are_called_like_leftovers_do_no_harm(tmp_path):
    path, precious = tmp_path / "run.npz", tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".run.npz.00000000.tmp").symlink_to(precious)
    (tmp_path / ".run.npz.00000001.tmp").mkdir()
    os.mkfifo(tmp_path / ".run.npz.00000002.tmp")
    checkpoint.save(path, {"a": 1})
    assert checkpoint.load(path) == {"a": 1} and (tmp_path / ".run.npz.00000000.tmp").read_text() == "mine"
