"""Notebooks show tables of names and values; text in them is text."""

import subprocess
import sys
import threading
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import rpusim as rpu
from rpusim import experiments, nn
from rpusim._base import progress
from rpusim._base.notebook import LONGEST, as_html


class Table(HTMLParser):
    """The caption, the names and the values of a table."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.open, self.tags = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open = tag
        self.tags.append(tag)
        if tag in ("th", "td", "caption"):
            self.cells.append([tag, ""])

    def handle_data(self, data):
        self.cells[-1][1] += data

    def rows(self):
        names, values = ([text for tag, text in self.cells if tag == wanted] for wanted in ("th", "td"))
        return dict(zip(names, values, strict=True))


DEVICE = rpu.devices.SoftBounds(dw_min=0.01)
RULE = rpu.algorithms.SHD(DEVICE)


def array(seed):
    return rpu.CrossbarArray((2, 3), DEVICE, rng=seed)


def net():
    whole = nn.Sequential(nn.Linear(4, 3, rpu.algorithms.SGD(DEVICE)), nn.Sigmoid())
    whole.build(rng=0)
    return whole


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (lambda: DEVICE, "dw_min", "0.01"),
        (lambda: RULE, "fast", "SoftBounds(dw_min=0.01)"),
        (lambda: rpu.Periphery(), "dac", "DAC()"),
        (lambda: array(0), "shape", "2, 3"),
        (lambda: array(0), "pulses", "PulseScheme()"),
        (lambda: rpu.DifferentialPair(array(0), array(1)), "main", "CrossbarArray((2, 3), SoftBounds(dw_min=0.01))"),
        (lambda: RULE.build((2, 3), rng=0), "algorithm", "SHD(fast=SoftBounds(dw_min=0.01))"),
        (net, "1", "Sigmoid()"),
        (lambda: net().layers[0], "in_features", "4"),
        (lambda: nn.summary(net()), "total", None),
        (lambda: nn.History([0.5], [0.4], [12.0], [0.05], [2.0], [3e4]), "test_error", "12"),
        (lambda: nn.Trainer(net(), lr=0.05, rng=0), None, None),
        (lambda: rpu.theory.response_theory(DEVICE), "w_max", "0.6"),
        (lambda: rpu.solve_network([1.0], [[1e4]], r_word=1.0, r_bit=1.0), "device_currents", "float64 array (1, 1)"),
        (lambda: rpu.wires.Network([[1e-4]], rpu.Wires(r_word=1.0)), "shape", "1, 1"),
        (lambda: experiments.regression(RULE, 0.2, steps=20, rng=0), "weights", "float64 array (21, 1)"),
        (lambda: rpu.reproduce.Result("x", "y", "a < b", ()), "criterion", "a < b"),
    ],
)
def test_objects_are_tables(make, name, value):
    one = make()
    table = Table(one._repr_html_())
    assert table.cells[0] == ["caption", type(one).__name__] and set(table.tags) <= {
        "table",
        "caption",
        "tbody",
        "tr",
        "th",
        "td",
    }
    if name is not None:
        assert table.rows()[name] == value if value is not None else name in table.rows()


def test_a_fit_shows_values_with_their_errors():
    ramp = np.linspace(1.0, 3.0, 30)
    result = rpu.fitting.fit(ramp, ramp[::-1], "ConstantStep", progress=False)
    rows = Table(result._repr_html_()).rows()
    assert rows["model"] == "ConstantStep" and rows["dw_min"].startswith(f"{result.values['dw_min']:.5g} ± ")
    assert "r2_blocks" in Table(result.score._repr_html_()).rows()


def test_text_is_escaped_and_cut():
    def _html_rows(self):
        return [("<b>", "a & <script>"), ("long", "x" * 10_000)]

    text = as_html(type("Odd", (), {"_html_rows": _html_rows})())
    assert "<script>" not in text and "<b>" not in text
    rows = Table(text).rows()
    assert rows["<b>"] == "a & <script>" and len(rows["long"]) == LONGEST


def test_bars_of_notebooks_are_those_of_notebooks(monkeypatch):
    made = []
    auto = SimpleNamespace(tqdm=lambda *args, **kwargs: made.append(kwargs))
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    with progress.progress_bar(total=1, disable=None) as bar:  # neither a notebook nor a terminal
        assert bar.disable
    kernel = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    progress.progress_bar(total=2, disable=None)
    assert progress.progress_bar(total=2, disable=True).disable  # which needs no widgets
    assert made == [{"total": 2, "disable": False}]
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # IPython, in no shell
    progress.progress_bar(total=3, disable=True)
    assert len(made) == 1


def test_bars_load_nothing_of_notebooks_on_a_terminal():
    code = (
        "import sys; from rpusim._base.progress import progress_bar\n"
        "assert 'tqdm' not in sys.modules\nprogress_bar(total=1, disable=True)\n"
        "print(*[m for m in ('tqdm.auto', 'tqdm.notebook', 'ipywidgets', 'IPython', 'asyncio') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_bars_do_not_wait_for_processes_that_were_killed_in_one():
    """The lock that tqdm shares with forked processes stays locked then."""
    from tqdm import tqdm

    held = threading.Event()

    def hold():
        with tqdm.get_lock():
            held.set()
            over.wait(10.0)

    over, made = threading.Event(), threading.Event()
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    held.wait()
    maker = threading.Thread(target=lambda: (progress.progress_bar(total=1, disable=True), made.set()), daemon=True)
    maker.start()
    assert made.wait(5.0)
    over.set()
    holder.join()
