"""Tables, fronts, sensitivities, pictures, pages and the command."""

from __future__ import annotations

import csv
import math
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from rpusim.commands import main
from rpusim.sweep import Range, Results, Study, heat_map, lines, overview, pareto_front, run, save_report, sensitivities

matplotlib.use("Agg")
HERE = Path(__file__).parent


def study(vary, settings=None, name="product", **options):
    return Study(f"functions.py:{name}", vary, settings, folder=HERE, **options)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    grid = study({"a": [1, 2, 4], "b": [0.5, 2.0]}, seeds=3, maximize="product")
    return run(grid, tmp_path_factory.mktemp("sweep") / "s.sqlite", workers=1)


def test_the_table_is_tidy(found, tmp_path):
    records = found.records()
    assert records.dtype.names == ("a", "b", "seed", "product", "draw", "seconds", "status")
    assert records.a.dtype == np.int64 and records.b.dtype == np.float64 and records.status[0] == "done"
    with open(found.save(tmp_path / "t.csv")) as file:
        rows = list(csv.DictReader(file))
    assert [float(row["draw"]) for row in rows] == found.column("draw").tolist()  # to the last bit
    with pytest.raises(ValueError, match="ending must be one of '.csv', '.parquet'"):
        found.save(tmp_path / "t.xls")
    pandas = pytest.importorskip("pandas")
    assert isinstance(found.table(), pandas.DataFrame) and found.table().groupby("a")["product"].mean()[4] == 5.0


def test_parquet(found, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(found.save(tmp_path / "t.parquet"))
    assert table.column("draw").to_pylist() == found.column("draw").tolist()


def test_means_and_their_errors(found):
    table = found.mean("draw", ["a"])
    draws = found.column("draw")[found.column("a") == 2]
    mean, error, n = table[(2,)]
    assert n == 6 and mean == pytest.approx(draws.mean()) and error == pytest.approx(draws.std(ddof=1) / math.sqrt(6))
    assert found.best()["varied"] == {"a": 4, "b": 2.0}
    with pytest.raises(ValueError, match="value must be one of 'product', 'draw', 'seconds'; got 'a'"):
        found.mean("a", ["b"])


def test_the_front_is_what_no_other_beats():
    def row(k, x, y):
        results = None if x is None else {"x": x, "y": y}
        return {"key": str(k), "varied": {"k": k}, "seed": 0, "status": "done", "results": results, "seconds": 0.0}

    points = [(1.0, 5.0), (2.0, 3.0), (3.0, 3.0), (4.0, 1.0), (4.0, 2.0), (None, None), (2.0, 3.0)]
    study = {"vary": {"k": []}, "seeds": 1, "task": "t", "minimize": None, "maximize": None, "design": "grid"}
    results = Results(study, [row(k, *p) for k, p in enumerate(points)])
    assert results.pareto({"x": "min", "y": "min"}).tolist() == [0, 1, 3, 6]
    assert results.pareto({"x": "max", "y": "min"}).tolist() == [3]
    assert len(pareto_front(results, {"x": "min", "y": "min"}, ax=matplotlib.figure.Figure().subplots()).lines) == 2
    with pytest.raises(ValueError, match="goals must be at least two"):
        results.pareto({"x": "min"})


def test_sensitivities_are_those_of_the_ishigami_function(tmp_path):
    """First order 0.3139, 0.4424, 0; total 0.5576, 0.4424, 0.2437 in closed form (a = 7, b = 0.1)."""
    cube = {name: Range(-math.pi, math.pi) for name in ("x1", "x2", "x3")}
    drawn = study(cube, name="ishigami", design="saltelli", points=512)
    assert len(drawn.points()) == 512 * 5
    results = run(drawn, tmp_path / "s.sqlite", workers=1)
    indices = results.sensitivity("value")
    wanted = {"x1": (0.3139, 0.5576), "x2": (0.4424, 0.4424), "x3": (0.0, 0.2437)}
    for name, pair in wanted.items():
        assert indices[name] == pytest.approx(pair, abs=0.08)
    sensitivities(results, ax=matplotlib.figure.Figure().subplots())
    with pytest.raises(ValueError, match="must have the design 'saltelli'"):
        run(study({"a": [1]}), tmp_path / "g.sqlite", workers=1).sensitivity("product")


def test_pictures(found):
    figure = overview(found)
    assert len(figure.axes) == 4  # two names, a heat map and its colours
    ax = heat_map(found, "a", "b", "product", ax=matplotlib.figure.Figure().subplots())
    assert np.asarray(ax.images[0].get_array()).tolist() == [[0.5, 1.0, 2.0], [2.0, 4.0, 8.0]]
    ax = lines(found, "a", "product", "b", ax=matplotlib.figure.Figure().subplots())
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.5, 1.0, 2.0], [2.0, 4.0, 8.0]]
    with pytest.raises(ValueError, match="x must be one of 'a', 'b', 'seed'; got 'c'"):
        lines(found, "c")


class _Closed(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.outside = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br", "path", "use", "rect"):
            self.open.append(tag)
        self.outside += [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag


def test_the_page_needs_nothing_else(found, tmp_path):
    text = save_report(found, tmp_path / "page.html").read_text()
    parser = _Closed()
    parser.feed(text)
    assert not parser.open and not parser.outside
    assert "functions.py:product" in text and text.count("<tr>") > 18 and "3 of each, from rng 0" in text
    assert "aria-sort" in text and "<svg" in text


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    pytest.importorskip("tomllib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.py").write_text("def f(a, b=1):\n    return {'sum': a + b, 'inverse': 1 / a}\n")
    path = tmp_path / "study.toml"
    path.write_text('task = "task.py:f"\nminimize = "sum"\n[vary]\na = [0, 1, 2]\nb = [5, 6]\n')
    return path


def test_the_command(study_file, capsys):
    def out(*words, status=0):
        assert main(["sweep", "study.toml", *words]) == status
        return capsys.readouterr().out

    assert "4 done, 2 failed, 0 waiting, 6 in all" in out("--workers", "1", status=1)
    assert "best sum: 6 at a 1, b 5" in out("status", status=1) and "2 failed: ZeroDivisionError" in out("status", status=1)
    assert "inverse" in out("table", "--csv", "t.csv", "--json", "t.json") and (study_file.parent / "t.json").exists()
    for words in ([], ["--x", "a"], ["--x", "a", "--y", "b"], ["--x", "a", "--by", "b"], ["--pareto", "sum,+inverse"]):
        assert "wrote" in out("plot", *words, "--out", "figures", "--format", "svg")
    assert "wrote" in out("report", "--out", "figures") and "ZeroDivisionError" in Path("figures/study.html").read_text()
    study_file.with_name("task.py").write_text("def f(a, b=1):\n    return {'sum': a + b, 'inverse': 0.0}\n")
    assert main(["sweep", "study.toml", "plot", "--y", "a"]) == 2
    assert main(["sweep", "none.toml"]) == 2


def test_training_and_inference_are_tasks(tmp_path, mnist_folder):
    common = {"data_folder": mnist_folder, "hidden": [8], "epochs": 1, "samples": 300}
    trained = run(Study("training", {"algorithm": ["digital", "sgd"]}, common), tmp_path / "t.sqlite", workers=1)
    assert trained.counts()["done"] == 2, trained.failures()
    assert trained.column("pulses")[0] == 0 < trained.column("pulses")[1] and (trained.column("test_error") <= 100).all()
    assert len(list((tmp_path / "t.sqlite.points").rglob("training.npz"))) == 2
    import rpusim as rpu

    net = rpu.nn.Sequential(rpu.nn.Linear(784, 10, rpu.algorithms.DigitalSGD()))
    net.build(rng=0)
    net.save(tmp_path / "net.npz")
    settings = {"network": str(tmp_path / "net.npz"), "data_folder": mnist_folder, "samples": 100, "programmings": 1}
    settings["times_s"] = [1.0, 60.0]
    found = run(Study("inference", {"chip": ["pcm-tutorial", "hermes"]}, settings), tmp_path / "i.sqlite", workers=1)
    assert found.counts()["done"] == 2, found.failures()
    assert {"accuracy_60s", "worst_1s", "energy"} <= set(found.measured) and (found.column("energy") > 0).all()


def test_the_best_mean_over_seeds_is_no_lucky_seed():
    rows = [
        {"varied": {"a": a}, "results": None if value is None else {"error": value}, "seed": seed}
        for a, values in ((1, (0.0, 1.0, 2.0)), (2, (0.6, 0.7, 0.8)), (3, (0.1, None, None)))
        for seed, value in enumerate(values)
    ]
    results = object.__new__(Results)
    results.rows, results.study, results.measured = rows, {"minimize": "error", "maximize": None}, ["error"]
    mean, varied, seeds = results.best_mean()
    assert mean == pytest.approx(0.7) and varied == {"a": 2} and seeds == 3
    assert results.best()["varied"] == {"a": 1}
    results.study = {"minimize": None, "maximize": "error"}
    assert results.best_mean()[1] == {"a": 1}


def test_answers_print_what_they_are(found):
    means = found.mean("draw", "a")
    assert means == found.mean("draw", ["a"]) and isinstance(means, dict) and means[(2,)].n == 6
    header, _, *rows, last = str(means).splitlines()
    assert header.split() == ["a", "draw", "std.", "error", "points"] and rows[0].split()[-1] == "6"
    assert last == "means over b, seed" and repr(means) == str(means)
    everything = found.mean("draw", found.varied)
    assert "means over" not in str(everything) and everything.pooled == ()
    best = found.best()
    assert str(best) == f"product {best['results']['product']:.4g}: a = 4, b = 2.0, seed = {best['seed']}"
    assert found.best_mean() == (found.best_mean().mean, {"a": 4, "b": 2.0}, 3)
