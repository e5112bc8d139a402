"""What is loaded when: `import rpusim` loads nothing but itself, an array no more than it needs, and all names are found."""

import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys

import pytest

import rpusim
from rpusim._base import specification
from rpusim._base.lazy import public_homes

ROOMS = (
    "algorithms", "applications", "arrays", "datasets", "devices", "fitting", "nn", "periphery", "reproduce", "sweep", "theory",
    "wires",
)  # fmt: skip
LAZY = ["rpusim", *(f"rpusim.{room}" for room in ROOMS)]
PLAIN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
NAMES = [(package, name) for package in LAZY for name in importlib.import_module(package).__all__]
MODULES = [m.name for m in pkgutil.walk_packages(rpusim.__path__, "rpusim.") if not m.name.endswith("__main__")]
MODULES = [name for name in MODULES if name not in ("rpusim.interop.sklearn", "rpusim.interop.torch")]  # which need extras

ARRAY = """
import numpy as np
import rpusim as rpu

device = rpu.devices.SoftBounds(dw_min=0.002, dw_min_dtod=0.3, dw_min_std=0.3)
array = rpu.CrossbarArray((10, 7), device, forward=rpu.Periphery(adc=rpu.ADC(bits=9)), pulses=rpu.PulseScheme(), rng=0)
x, d = np.full((4, 7), 0.5), np.full((4, 10), 0.1)
array.forward(x), array.backward(d), array.update(x, d, lr=0.01)
rule = rpu.algorithms.SHD(fast=device, slow=device)
rule.build((10, 7), rng=0).update(x, d, lr=0.01)
rpu.nn.Sequential(rpu.nn.Linear(7, 10, rule), rpu.nn.Sigmoid())
"""


def loaded(code):
    """The modules that a fresh process has after some code, which it has not before."""
    code = f"import sys; before = set(sys.modules)\n{code}\nprint('modules:', *set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.partition("modules:")[2].split())


def others(modules):
    """Those that are neither this package nor Python's own (nor the names under which Cython shares types)."""
    own = {"rpusim", *sys.stdlib_module_names}
    return {m for m in modules if m.split(".")[0] not in own and not m.startswith("_cython_")}


def test_the_package_loads_nothing_but_itself():
    modules = loaded("import rpusim")
    assert others(modules) == set()
    assert {m for m in modules if m.startswith("rpusim")} == {"rpusim", "rpusim._base", "rpusim._base.lazy"}


def test_arrays_and_layers_load_no_more_than_they_need():
    modules = loaded(ARRAY)
    assert "rpusim.arrays.crossbar" in modules
    numpy = loaded("import numpy.random")
    assert {m.split(".")[0] for m in others(modules - numpy)} <= {"numpy"}  # more of it, which differs between versions
    assert not {m.split(".")[0] for m in modules} & {"scipy", "matplotlib", "tqdm"}
    late = {"rpusim.theory.sgd", "rpusim.experiments", "rpusim.datasets", "rpusim.plotting", "rpusim.reproduce",
            "rpusim.fitting.selection", "rpusim.devices.presets"}  # fmt: skip
    assert not modules & late


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_no_numpy(argv):
    code = f"""
from rpusim.commands import main
try:
    main({argv})
except SystemExit as end:
    assert end.code == 0
"""
    assert others(loaded(code)) == set()


@pytest.mark.parametrize(("argv", "late"), [
    (["device", "--list"], {"matplotlib", "tqdm", "scipy.stats", "rpusim.nn", "rpusim.experiments"}),
    (["reproduce", "list"], {"matplotlib", "tqdm", "scipy.stats"}),
])  # fmt: skip
def test_lists_load_no_matplotlib(argv, late):
    assert not loaded(f"from rpusim.commands import main\nmain({argv})") & late


def test_help_names_the_devices_that_there_are():
    from rpusim import experiments
    from rpusim.commands import common, train
    from rpusim.devices.called import MODELS
    from rpusim.plotting.style import FORMATS

    assert common.DEMO_DEVICES == tuple(experiments.DEMO_DEVICES)
    assert common.FIGURE_FORMATS == tuple(FORMATS)
    assert train.TRAINING_DEVICES == MODELS


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_every_public_name_is_found_and_listed(package, name):
    module = importlib.import_module(package)
    assert name in dir(module)
    found = {}
    exec(f"from {package} import {name}", found)
    assert found[name] is getattr(module, name)
    assert vars(module)[name] is found[name]  # kept: the next look is a plain one


@pytest.mark.parametrize("package", LAZY)
def test_stubs_and_packages_say_the_same(package):
    module = importlib.import_module(package)
    listed = {name for name in dir(module) if not name.startswith("_")} - {m.rpartition(".")[2] for m in MODULES}
    assert listed <= set(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:  # importing the module would put it in the place of what it holds
        if f"{package}.{name}" in MODULES:
            assert getattr(module, name) is importlib.import_module(f"{package}.{name}")


@pytest.mark.parametrize("package", LAZY)
def test_a_wrong_name_is_named(package):
    name = "SofBounds"
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'SofBounds'") as caught:
        getattr(importlib.import_module(package), name)
    assert caught.value.name == name
    with pytest.raises(ImportError, match="cannot import name 'SofBounds'"):
        exec(f"from {package} import SofBounds", {})


def test_every_public_specification_is_found_by_its_name():
    for name in MODULES:
        importlib.import_module(name)
    kinds = specification.Specification._registry
    ours = {
        name: kind.__module__
        for name, kind in kinds.items()
        if kind.__module__.startswith("rpusim.") and vars(sys.modules[kind.__module__]).get(name) is kind
    }  # but for those that examples in docstrings define
    assert {name: module for name, module in ours.items() if public_homes().get(name) != module} == {
        "DigitalAlgorithm": "rpusim.algorithms.digital",  # bases, which no dict is of
        "TransferAlgorithm": "rpusim.algorithms.transfer",
    }


@pytest.mark.parametrize("name", ["AGAD", "SoftBounds", "Adam", "Technology", "Wires", "ADC"])
def test_a_specification_is_loaded_from_its_dict_alone(name):
    text = getattr(importlib.import_module(public_homes()[name]), name)().to_json()
    code = f"import rpusim; print(rpusim.from_json({text!r}).to_json())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == json.loads(text)


def test_a_class_cannot_take_the_name_of_one_that_is_not_loaded_yet():
    code = """
import rpusim._base.specification
try:
    type("SoftBounds", (rpusim._base.specification.Specification,), {})
except TypeError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "a specification called SoftBounds exists already, in rpusim.devices.step\n", run.stderr


def test_pickles_load_in_a_fresh_process():
    code = """
import pickle, sys
import rpusim as rpu
device = rpu.devices.SoftBounds(dw_min=0.01)
objects = [device, rpu.Periphery(), rpu.algorithms.AGAD(device), rpu.wires.Wires()]
array = rpu.CrossbarArray((3, 4), device, rng=0)
print(pickle.dumps((objects, array, rpu.nn.Linear)).hex())
"""
    data = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    code = f"import pickle; print(*pickle.loads(bytes.fromhex({data.strip()!r}))[0], sep='; ')"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "SoftBounds(dw_min=0.01); Periphery(); AGAD(fast=SoftBounds(dw_min=0.01)); Wires()\n"


def test_a_source_folder_that_is_not_compiled_says_so(tmp_path):
    """It hides an installed rpusim from a Python that is started there."""
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(rpusim.__path__[0], tmp_path / "rpusim", ignore=ignored)
    code = "import rpusim; rpusim.CrossbarArray"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=PLAIN)
    assert run.returncode == 1
    assert f"ImportError: rpusim is not compiled in {tmp_path / 'rpusim'}" in run.stderr
    assert "pip install --editable ." in run.stderr
