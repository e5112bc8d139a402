"""`rpusim doctor`: it says what is there, and fails where the engine does."""

from __future__ import annotations

import pytest

import rpusim as rpu
from rpusim.commands import doctor, main


def test_it_says_what_there_is_and_that_it_computes(capsys, tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "file").write_text("")
    (tmp_path / "text").mkdir()
    monkeypatch.setenv("RPUSIM_DATA", str(tmp_path))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"mnist ({tmp_path})" in out and f"text ({tmp_path})" not in out
    assert "numpy " in out and "threads" in out
    assert "self-test: reads, pulses, wires as they should be" in out


BROKEN = {
    "reads": ("forward", lambda self, x, out=None: 1.001 * rpu.CrossbarArray.backward(self, x[:, :60])[:, :60]),
    "pulses": ("update", lambda self, x, d, lr: self.program(self.weights - 1.01 * lr * d.T @ x)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_engine_that_is_off_is_said_to_be(name, capsys, monkeypatch):
    monkeypatch.setattr(rpu.CrossbarArray, *BROKEN[name])
    assert main(["doctor"]) == 1
    assert f"self-test: {name} FAILED" in capsys.readouterr().err


def test_an_error_of_a_test_is_not_hidden(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setitem(doctor.TESTS, "reads", broken)
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])
