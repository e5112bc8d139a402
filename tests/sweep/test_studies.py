"""Studies: designs, points, seeds, and what is refused before anything runs."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import rpusim as rpu
from rpusim.sweep import Range, SettingError, Study, read_study

HERE = Path(__file__).parent
TASK = "functions.py:product"


def study(vary, settings=None, task=TASK, **options):
    return Study(task, vary, settings, folder=HERE, **options)


def test_a_grid_has_all_combinations_in_order():
    points = study({"a": [1, 2], "b": [3.0, 4.0, 5.0]}, seeds=2).points()
    wanted = [(a, b, s) for (a, b), s in itertools.product(itertools.product([1, 2], [3.0, 4.0, 5.0]), range(2))]
    assert [(p.varied["a"], p.varied["b"], p.seed) for p in points] == wanted
    assert len({p.key for p in points}) == 12


def test_a_list_goes_through_its_columns_together():
    assert [tuple(p.varied.values()) for p in study({"a": [1, 2], "b": [3, 4]}, design="list").points()] == [(1, 3), (2, 4)]


@pytest.mark.parametrize("design", ["random", "latin-hypercube", "sobol"])
def test_drawn_points_fill_their_ranges(design):
    points = study({"a": Range(1e-3, 10.0, log=True), "b": Range(1, 4, integer=True)}, design=design, points=256).points()
    a, b = (np.array([p.varied[name] for p in points]) for name in "ab")
    share = (np.log10(a) + 3) / 4  # uniform: mean 1/2 with an error of 0.018 (5 of them), spread 0.289
    assert abs(share.mean() - 0.5) < 0.09 and abs(share.std() - 0.289) < 0.04
    assert set(b.tolist()) == {1, 2, 3, 4} and np.bincount(b)[1:].min() > 35
    if design != "random":  # one in each of 256 strata
        assert (np.bincount((share * 256).astype(int), minlength=256) == 1).mean() > 0.98
    same = study({"a": Range(1e-3, 10.0, log=True), "b": Range(1, 4, integer=True)}, design=design, points=256)
    assert [p.key for p in same.points()] == [p.key for p in points]


def test_seeds_follow_from_what_a_point_is_and_not_from_where_it_stands():
    first = study({"a": [1, 2, 3]}, {"b": 2.0}).points()
    other = study({"a": [3, 2], "b": [2.0, 9.0]}).points()
    seeds = {p.key: p.seeds(0).generate_state(4).tolist() for p in first}
    shared = [p for p in other if p.key in seeds]
    assert sorted(p.settings["a"] for p in shared) == [2, 3]
    assert all(p.seeds(0).generate_state(4).tolist() == seeds[p.key] for p in shared)
    assert len({tuple(s) for s in seeds.values()}) == 3
    assert first[0].seeds(1).generate_state(4).tolist() != seeds[first[0].key]


def test_fields_of_specifications_are_settings():
    rule = rpu.algorithms.SHD(fast=rpu.devices.SoftBounds(dw_min=0.01), transfer_every=3)
    varied = Study("regression", {"algorithm.fast.dw_min": [0.1, 0.2], "algorithm.transfer_every": [1, 5]}, {"algorithm": rule})
    made = [varied.task.call_arguments(p.settings)["algorithm"] for p in varied.points()]
    assert [(m.fast.dw_min, m.transfer_every) for m in made] == [(0.1, 1), (0.1, 5), (0.2, 1), (0.2, 5)]
    assert made[0].fast.replace(dw_min=0.01) == rule.fast


def test_an_algorithm_without_a_device_takes_that_of_the_study():
    varied = Study("regression", {"device.dw_min": [0.1, 0.2]}, {"device": "soft-bounds", "algorithm": {"type": "SGD"}})
    made = [varied.task.call_arguments(p.settings)["algorithm"] for p in varied.points()]
    assert [m.device.dw_min for m in made] == [0.1, 0.2] and {type(m.device).__name__ for m in made} == {"SoftBounds"}


def test_studies_come_back_from_their_dicts():
    one = study({"a": Range(0.0, 1.0), "b": [1.0, 2.0]}, design="random", points=4, seeds=2, rng=3, minimize="product")
    other = Study.from_dict(one.to_dict(), HERE)
    assert [p.key for p in other.points()] == [p.key for p in one.points()] and other.to_dict() == one.to_dict()


@pytest.mark.parametrize(("arguments", "message"), [
    (({"c": [1]},), "c must be an argument of functions.py:product, one of a, b"),
    (({"a": []},), "a must have at least one value"),
    (({"a": 3},), "a must be a sequence of values, or a Range; got 3"),
    (({"a": [object()]},), "a must be a number, text"),
    (({"b": [1]},), "a must be set"),
    (({"a": [1]}, {"a": 2}), "a must be in one of vary and settings"),
    (({"a": [1], "rng": [2]},), "rng must not be set"),
    (({"a": [1, 2], "b": [1]}, {}, TASK, "list"), "b must have as many values as the first list, 2; got 1"),
    (({"a": Range(0, 1)},), "a must be a list for the design 'grid'"),
    (({"a": [1]}, {}, TASK, "cube"), "design must be one of grid, list, random"),
    (({"a": [1]}, {}, TASK, "random"), "points must be given for the design 'random'"),
    (({"a": [1]}, {}, "functions.py:none"), "task must be a function that can be imported"),
    (({"a": [1]}, {}, "regresion"), "task must be one of regression, training"),
    (({"device.dwmin": [1]}, {}, "regression"), "device.dwmin must name a field of ConstantStep, one of"),
    (({"device.dw_min": [0.1, -1.0]}, {}, "regression"), r"device.dw_min = -1.0: ConstantStep: dw_min must be"),
    (({"device": ["soft-bound"]}, {}, "regression"), "device = 'soft-bound': device must be one of constant-step"),
    (({"steps": ["many"]}, {}, "regression"), "steps must be an integer of at least 20; got 'many'"),
    (({"device": ["ideal"]}, {"algorithm": "manhattan"}, "regression"), "algorithm = 'manhattan'"),
    (({"device": ["ideal"]}, {"algorithm": rpu.algorithms.SGD()}, "regression"), "device must not be set where the algorithm"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(arguments, message):
    vary, settings, task, design = (*arguments, *({}, TASK, "grid")[len(arguments) - 1 :])
    with pytest.raises((SettingError, ValueError), match=re.escape(message)):
        study(vary, settings, task, design=design)


@pytest.mark.parametrize(("text", "line", "message"), [
    ('task = "regression"\n[vary]\nlr = [0.1]\ndevice.dwmin = [1.0]\n', 4, "device.dwmin must name a field of ConstantStep"),
    ('task = "regression"\n[vary]\nlr = [\n 0.1,\n "x",\n]\nsteps = [20]\n', 3, "lr must be a finite real number in (0, inf)"),
    ('task = "regression"\n[vary]\nlr = []\n', 3, "lr must have at least one value"),
    ('task = "regresion"\n[vary]\nlr = [0.1]\n', 1, "task must be one of regression"),
    ('task = "regression"\nseed = 3\n[vary]\nlr = [0.1]\n', 2, "seed must be one of task, design, points, seeds"),
    ('task = "regression"\nseeds = "3"\n[vary]\nlr = [0.1]\n', 2, "seeds must be an integer"),
    ('task = "regression"\nseeds = 0\n[vary]\nlr = [0.1]\n', 2, "seeds must be an integer of at least 1"),
    ('task = "regression"\n[settings]\nalgorithm = "manhattan"\n[vary]\ndevice = ["ideal"]\n', 3, "algorithm = 'manhattan'"),
    ('task = "regression"\n[vary]\nlr = {low = 0.1, high = 0.01}\n', 3, "lr must be a range"),
    ('task = "regression"\n[vary]\nlr = {low = 0.1, high = 1}\n', 3, "lr must be a list for the design 'grid'"),
    ('task = "regression"\n[vary\nlr = [1]\n', 2, "must be TOML"),
    ('task = "regression"\n[vary]\n[vary.algorithm]\n[vary.device]\nw_max = [1.0, -1.0]\n', 5, "device.w_max = -1.0"),
])  # fmt: skip
def test_bad_study_files_are_named_with_their_line(tmp_path, text, line, message):
    pytest.importorskip("tomllib")
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"{path}:{line}: ") + ".*" + re.escape(message)):
        read_study(path)


def test_study_files_say_what_arguments_say(tmp_path):
    pytest.importorskip("tomllib")
    path = tmp_path / "study.toml"
    path.write_text("""
task = "regression"
design = "sobol"
points = 4
rng = 7
[settings]
device = {type = "SoftBounds", dw_min = 0.01}
steps = 200
[vary]
"device.up_down" = {low = 0.0, high = 0.2}
lr = {low = 1e-3, high = 1e-1, log = true}
algorithm = ["sgd", {type = "SHD", fast_lr = 1.0}]
""")
    wanted = Study(
        "regression",
        {"device.up_down": Range(0.0, 0.2), "lr": Range(1e-3, 1e-1, log=True),
         "algorithm": ["sgd", {"type": "SHD", "fast_lr": 1.0}]},
        {"device": {"type": "SoftBounds", "dw_min": 0.01}, "steps": 200},
        design="sobol", points=4, rng=7,
    )  # fmt: skip
    assert read_study(path).to_dict() == wanted.to_dict()
    assert [p.key for p in read_study(path).points()] == [p.key for p in wanted.points()]
