"""Arrays of other libraries are taken wherever arrays are, and what comes back goes to them without a copy."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu


class OnlyDLPack:
    """An array that says what it is by DLPack alone."""

    def __init__(self, array):
        self.array = np.array(array)

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class OnlyArray:
    """An array that NumPy asks for itself."""

    def __init__(self, array):
        self.array = np.array(array)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def to_torch(array):
    return pytest.importorskip("torch").from_numpy(np.array(array))


def to_jax(array):
    return pytest.importorskip("jax.numpy").asarray(np.asarray(array))


X = np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(2, 4)
D = np.full((2, 3), 0.1, np.float32)
W = np.linspace(-0.3, 0.3, 12, dtype=np.float32).reshape(3, 4)
LABELS = np.array([0, 2])
RULE = rpu.algorithms.SGD(rpu.devices.SoftBounds())


def array():
    return rpu.CrossbarArray((3, 4), rpu.devices.SoftBounds(), rng=0)


def network():
    net = rpu.nn.Sequential(rpu.nn.Linear(4, 3, RULE))
    net.build(rng=0)
    return net


def updated(to):
    one = array()
    one.update(to(X), to(D), 0.1)
    return one.weights


def programmed(to):
    one = array()
    one.program(to(W))
    return one.weights


def trained(to):
    net = network()
    rpu.nn.Trainer(net, rng=0).fit((to(X), to(LABELS)), epochs=1, progress=False)
    return net.layers[0].matrix.weights


def written(to):
    net = network()
    net.layers[0].set_weights(to(W), to(np.zeros(3)))
    return net.layers[0].matrix.weights


CALLS = {
    "forward": lambda to: array().forward(to(X)),
    "backward": lambda to: array().backward(to(D)),
    "update": updated,
    "program": programmed,
    "fit": trained,
    "set_weights": written,
    "predict": lambda to: network().predict(to(X)),
    "evaluate": lambda to: (
        rpu.inference.evaluate(network(), (to(X), to(LABELS)), to(np.ones(1)), programmings=1, progress=False).values
    ),
    "wires": lambda to: rpu.wires.Network(to(np.full((4, 3), 1e-5)), rpu.Wires()).currents(to(np.full(4, 0.1))),
    "loss": lambda to: rpu.nn.cross_entropy(to(D), to(LABELS))[1],
    "regression": lambda to: rpu.experiments.regression(RULE, to(np.array([0.1, 0.2])), steps=50, rng=0).weights,
}


@pytest.mark.parametrize("to", [OnlyDLPack, OnlyArray, memoryview, to_torch, to_jax], ids=lambda to: to.__name__)
@pytest.mark.parametrize("call", [*CALLS, "fields"])
def test_others_give_what_numpy_gives(call, to):
    if call == "fields":
        wanted = [1.0, 0.5]
        made = rpu.devices.PiecewiseStep(piecewise_up=to(np.array(wanted)), piecewise_down=to(np.array(wanted)))
        assert made.piecewise_up == (1.0, 0.5) and all(type(one) is float for one in made.piecewise_up)
        return
    given = to if to is not memoryview else lambda a: memoryview(np.ascontiguousarray(a))
    wanted, found = CALLS[call](np.asarray), CALLS[call](given)
    if to is to_jax and call in ("wires", "regression", "evaluate"):  # of float32
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    else:
        assert np.array_equal(found, wanted)


def test_results_go_on_without_a_copy():
    torch = pytest.importorskip("torch")
    y = array().forward(X)
    there = torch.from_dlpack(y)
    y[0, 0] = 7.0
    assert float(there[0, 0]) == 7.0 and there.data_ptr() == y.ctypes.data


def test_tensors_that_need_a_gradient_are_refused_by_name():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X.copy()).requires_grad_()
    with pytest.raises(TypeError, match="x must be an array of real numbers; got Tensor .*detach"):
        array().forward(x)
    with pytest.raises(TypeError, match="target must be an array of real numbers; got Tensor"):
        rpu.experiments.regression(RULE, x[0], steps=50)


def test_reads_are_part_of_a_jax_function():
    jax = pytest.importorskip("jax")
    one = array()
    one.program(W)

    def read(x):
        shape = jax.ShapeDtypeStruct((*x.shape[:-1], 3), np.float32)
        return jax.pure_callback(lambda v: one.forward(np.asarray(v)), shape, x)

    wanted = array()
    wanted.program(W)
    found = jax.jit(lambda x: 2.0 * read(x))(X)
    assert np.allclose(found, 2.0 * wanted.forward(X), rtol=1e-6)
