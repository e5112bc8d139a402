"""Networks in files of ONNX, as its own reference computes them."""

from __future__ import annotations

import numpy as np
import pytest

import rpusim as rpu

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402

from rpusim.interop.onnx import load, save  # noqa: E402

nn, DIGITAL = rpu.nn, rpu.algorithms.DigitalSGD()
DRAW = np.random.default_rng(0)


def computed(path, x):
    return ReferenceEvaluator(str(path)).run(None, {"x": x})[0]


@pytest.mark.parametrize("mapping", [None, nn.Mapping(digital_bias=True, weight_scaling=0.5, max_inputs=5)])
def test_a_convolutional_network_goes_out_and_comes_back(tmp_path, mapping):
    net = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), DIGITAL, stride=(1, 2), padding=(1, 0), groups=2, mapping=mapping), nn.Tanh(), nn.MaxPool2d(2),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(32, 7, DIGITAL, mapping=mapping), nn.ReLU(),
        nn.Linear(7, 3, DIGITAL, bias=False),
    )  # fmt: skip
    net.build(rng=0)
    x = DRAW.normal(size=(5, 2, 8, 8)).astype(np.float32)
    save(net, tmp_path / "net.onnx")
    wanted = net.predict(x)
    assert np.allclose(computed(tmp_path / "net.onnx", x), wanted, atol=1e-5)
    back = load(tmp_path / "net.onnx", DIGITAL, mapping=mapping)
    assert np.allclose(back.predict(x), wanted, atol=1e-5) and len(back.layers) == 7


def test_weights_of_devices_are_written_and_products_with_sums_are_read(tmp_path):
    net = nn.Sequential(nn.Linear(6, 4, rpu.algorithms.SGD(rpu.devices.SoftBounds(dw_min=0.01, w_max=2.0, w_min=-2.0))))
    net.build(rng=0)
    save(net, tmp_path / "net.onnx")
    x = DRAW.normal(size=(5, 6)).astype(np.float32)
    weights = net.layers[0].matrix.weights
    assert np.allclose(computed(tmp_path / "net.onnx", x), x @ weights[:, :-1].T + weights[:, -1], atol=1e-5)
    make = onnx.helper
    arrays = [onnx.numpy_helper.from_array(a, n) for a, n in ((weights[:, :-1].T.copy(), "w"), (weights[:, -1].copy(), "b"))]
    nodes = [make.make_node("MatMul", ["x", "w"], ["p"]), make.make_node("Add", ["p", "b"], ["y"])]
    value = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["n", k]) for n, k in (("x", 6), ("y", 4))]
    model = make.make_model(make.make_graph(nodes, "g", value[:1], value[1:], arrays))
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    back = load(tmp_path / "other.onnx", DIGITAL)
    assert np.allclose(back.predict(x), x @ weights[:, :-1].T + weights[:, -1], atol=1e-5)


def test_what_is_no_row_of_layers_is_named(tmp_path):
    net = nn.Sequential(nn.OneHot(3), nn.LSTM(3, 4, DIGITAL))
    net.build(rng=0)
    with pytest.raises(ValueError, match="net must have layers that are one operation of ONNX each; got"):
        save(net, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="net must be built"):
        save(nn.Sequential(nn.Linear(3, 2, DIGITAL)), tmp_path / "net.onnx")
    make = onnx.helper
    value = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["n", 4]) for n in "xy"]
    for node, message in (
        (make.make_node("Erf", ["x"], ["y"]), "got Erf"),
        (make.make_node("Add", ["x", "x"], ["y"]), "row of layers"),
    ):
        model = make.make_model(make.make_graph([node], "g", value[:1], value[1:]))
        (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ValueError, match=message):
            load(tmp_path / "odd.onnx", DIGITAL)
