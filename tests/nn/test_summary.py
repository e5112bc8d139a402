"""What a network says of itself: its table and its histograms, against what it was made of."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import rpusim as rpu
from rpusim import nn, plotting
from rpusim.algorithms import SGD, SHD, DigitalSGD, TikiTaka

DEVICE = rpu.devices.SoftBounds(dw_min=0.01, w_max_dtod=0.1, w_min_dtod=0.1)


def built(*layers):
    net = nn.Sequential(*layers)
    net.build(3)
    return net


def test_counts_of_arrays_devices_and_digital_parameters():
    cell = rpu.devices.VectorCell((rpu.devices.ConstantStep(),) * 3, gammas=(0.5, 0.5, 0.5))
    limited = nn.Mapping(max_inputs=10, max_outputs=4, digital_bias=True, learn_scale=True)
    inner = nn.Sequential(nn.Linear(5, 5, SHD()), nn.Tanh())
    net = built(
        nn.Conv2d(4, 6, 3, SGD(cell), groups=2, replicas=3),
        nn.Flatten(),
        nn.Linear(24, 5, SHD(reference="separate"), mapping=limited),
        nn.BatchNorm(5),
        nn.Residual(inner, nn.Linear(5, 5, DigitalSGD(), bias=False)),
    )
    found = nn.summary(net)
    assert [(row.place, row.layer) for row in found.rows] == [
        ("0", "Conv2d"),
        ("1", "Flatten"),
        ("2", "Linear"),
        ("3", "BatchNorm"),
        ("4.0.0", "Linear"),
        ("4.0.1", "Tanh"),
        ("4.1", "Linear"),
    ]
    conv, flat, split, norm, shd, _, digital = found.rows
    assert conv.weights == ((3, 19),) * 6 and conv.arrays == 18 and conv.devices == 18 * 57 and conv.utilisation == 1.0
    assert flat.arrays == flat.devices == flat.digital == 0 and np.isnan(flat.utilisation)
    assert split.weights == ((5, 24),) and split.arrays == 6 * 4 and split.devices == 4 * 120
    assert split.utilisation == pytest.approx(120 / 240) and split.digital == 5 + 1
    assert norm.digital == 10
    assert shd.arrays == 3 and digital.arrays == 1
    assert found.total.devices == sum(row.devices for row in found.rows) and found.total.digital == 16
    weights = 6 * 57 + 120 + 30 + 25
    assert found.total.utilisation == pytest.approx(weights / (weights + 120))
    assert f"{weights:,}" in str(found).splitlines()[-1] and "6 of 3 x 19" in str(found)


def test_pulses_are_those_of_the_tiles():
    net = built(nn.Linear(4, 3, TikiTaka(DEVICE)), nn.Tanh(), nn.Linear(3, 2, SGD(DEVICE)), nn.Linear(2, 2, DigitalSGD()))
    assert nn.summary(net).total.pulses == 0
    nn.Trainer(net, lr=0.1, rng=0).fit((np.eye(4), np.array([0, 1, 1, 0])), epochs=5, progress=False)
    found = nn.summary(net)
    expected = [sum(matrix.tile.pulse_count) for matrix in net.matrices()]
    assert [row.pulses for row in found.rows] == [expected[0], 0, expected[1], 0]
    assert expected[0] > 0 and expected[1] > 0 and found.total.pulses == sum(expected)


def test_networks_that_cannot_be_summarised():
    with pytest.raises(RuntimeError, match="build"):
        nn.summary(nn.Sequential(nn.Linear(2, 2, DigitalSGD())))
    with pytest.raises(RuntimeError, match="build"):
        plotting.weight_histograms(nn.Sequential(nn.Linear(2, 2, DigitalSGD())), ax=Figure().subplots())
    with pytest.raises(TypeError, match="net must be a layer"):
        nn.summary("net")


@pytest.mark.parametrize("rule", [SGD(DEVICE), SHD(DEVICE), TikiTaka(DEVICE)])
def test_saturated_devices_are_those_near_a_bound_of_their_own(rule):
    net = built(nn.Linear(20, 30, rule, bias=False))
    (matrix,) = net.matrices()
    matrix.program(np.full((30, 20), 5.0))  # clipped to every device's upper bound
    half = matrix.weights
    half[:15] = 0.0
    matrix.program(half)
    ax = plotting.weight_histograms(net, bins=12, ax=Figure().subplots())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0 Linear, 50.0 % saturated"]
    half[10:20] = -5.0  # 10 rows at the upper bounds, 10 at the lower ones
    matrix.program(half)
    ax = plotting.weight_histograms(net, bins=12, ax=Figure().subplots())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0 Linear, 66.7 % saturated"]


def test_histograms_are_densities_of_the_weights():
    net = built(nn.Linear(30, 20, SGD(DEVICE)), nn.Conv1d(1, 4, 3, DigitalSGD(), groups=1, replicas=2))
    ax = plotting.weight_histograms(net, bins=15, ax=Figure().subplots())
    assert [text.get_text().split(",")[0] for text in ax.get_legend().get_texts()] == ["0 Linear", "1 Conv1d 0", "1 Conv1d 1"]
    assert "saturated" not in ax.get_legend().get_texts()[1].get_text()  # no bounds
    values, edges, _ = ax.patches[0].get_data()
    counts = np.histogram(net.matrices()[0].weights, 15)[0]
    np.testing.assert_allclose(values * np.diff(edges) * counts.sum(), counts, atol=1e-9)
    assert ax.get_xlabel() == "weight (a.u.)" and ax.get_ylabel() == "density"


def test_histograms_of_saturation_are_over_each_devices_own_range():
    net = built(nn.Linear(30, 20, SGD(DEVICE), bias=False), nn.Linear(20, 2, DigitalSGD()))
    (array,) = net.layers[0].tile.weight_arrays
    low, high = array.parameters["w_min"], array.parameters["w_max"]
    net.layers[0].matrix.program(low + np.float32(0.25) * (high - low))
    ax = plotting.saturation_histograms(net, bins=10, ax=Figure().subplots())
    (histogram,) = ax.patches  # the digital layer has no bounds
    values, edges, _ = histogram.get_data()
    np.testing.assert_allclose(edges, np.linspace(0, 1, 11))
    np.testing.assert_allclose(values, np.eye(10)[2] * 10)
    assert ax.get_legend().get_texts()[0].get_text().startswith("0 Linear, 0.0 % saturated")


def test_learning_curves_of_each_quantity():
    history = nn.History([0.9, 0.5], [0.8, None], [12.0, 9.0], [0.1, 0.1], [1.0, 1.0], [10.0, 10.0])
    for quantity, values in (("test_error", [12.0, 9.0]), ("test_loss", [0.8, np.nan]), ("train_loss", [0.9, 0.5])):
        ax = plotting.learning_curve({"a": history}, quantity, ax=Figure().subplots())
        assert ax.get_ylim()[0] == 0.0 and ax.get_ylim()[1] > 1.04 * max(ax.lines[0].get_ydata())
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), values)
    with pytest.raises(ValueError, match="quantity must be one of"):
        plotting.learning_curve({"a": history}, "loss", ax=Figure().subplots())
