"""rpusim.applications: spaces of networks, surrogates, evolution, and searches that go on."""

from __future__ import annotations

import functools
import json
import math

import numpy as np
import pytest

import rpusim as rpu
from rpusim.applications import Measured, Space, Surrogate, evolve, find_network, measure, network_of, on_chip

GRID = Space({"a": tuple(range(1, 13)), "b": tuple(range(1, 13)), "kind": ("plain", "fast")})


def worth(genes):
    """The best is 9, 4, fast; there are costs of a."""
    value = 1.0 - 0.01 * (genes["a"] - 9) ** 2 - 0.01 * (genes["b"] - 4) ** 2 + 0.1 * (genes["kind"] == "fast")
    return Measured(value, 0.01 * genes["b"], 1.0, genes["a"], 1e-9 * genes["a"])


def test_spaces_have_all_their_candidates_and_mutations_change_one_gene():
    assert len(GRID) == len(set(GRID.all())) == 288
    counts = {"a": 0, "b": 0, "kind": 0}
    for k in range(300):
        parent = GRID.draw(k)
        child = GRID.mutated(parent, k)
        differ = [name for name, one, two in zip(GRID.genes, parent, child, strict=True) if one != two]
        assert len(differ) == 1
        counts[differ[0]] += 1
    assert all(abs(count - 100) < 5 * math.sqrt(300 * 2 / 9) for count in counts.values())
    features = GRID.features([(1, 8, "plain"), (2, 4, "fast")])
    assert features.tolist() == [[0, 3, 1, 0], [1, 2, 0, 1]]


def test_a_gaussian_process_is_the_conditional_normal_distribution():
    """With the length, size and noise that it found: mean and spread by the joint covariance of what is known and asked."""
    rng = np.random.default_rng(0)
    x, asked = rng.normal(size=(15, 2)), rng.normal(size=(4, 2))
    y = np.sin(x[:, 0]) + 0.05 * rng.normal(size=15)
    model = Surrogate().fit(x, y)
    mean, std = model.predict(asked)
    level, spread = x.mean(axis=0), x.std(axis=0)
    own = model._model[3].__closure__
    found = {cell.cell_contents for cell in own if isinstance(cell.cell_contents, float)}
    length, signal = (next(c.cell_contents for n, c in zip(model._model[3].__code__.co_freevars, own, strict=True) if n == name)
                      for name in ("length", "signal"))  # fmt: skip
    assert found

    def covariance(p, q):
        return signal**2 * np.exp(-0.5 * (((p[:, None] - q[None]) / spread) ** 2).sum(axis=2) / length**2)

    factor = next(c.cell_contents for n, c in zip(model._model[3].__code__.co_freevars, own, strict=True) if n == "factor")
    lower = np.tril(factor[0])
    inverse = np.linalg.inv(lower @ lower.T)
    np.testing.assert_allclose(
        lower @ lower.T - covariance(x, x), np.eye(15) * (lower @ lower.T - covariance(x, x))[0, 0], atol=1e-9
    )
    cross = covariance(asked, x)
    v = (y - y.mean()) / y.std()
    np.testing.assert_allclose(mean, y.mean() + y.std() * (cross @ inverse @ v), atol=1e-8)
    variance = np.diag(covariance(asked, asked) - cross @ inverse @ cross.T)
    np.testing.assert_allclose(std, y.std() * np.sqrt(variance), atol=1e-6)
    assert level.shape == (2,)


def test_a_gaussian_process_finds_length_and_noise():
    """Draws of a process of length 1.5 (2.6 of the features' spread) and noise 0.1, of 80 values."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-6, 6, 80))[:, None]
    k = np.exp(-0.5 * (x - x.T) ** 2 / 1.5**2)
    y = np.linalg.cholesky(k + 1e-9 * np.eye(80)) @ rng.normal(size=80) + 0.1 * rng.normal(size=80)
    mean, std = Surrogate().fit(x[::2], y[::2]).predict(x[1::2])
    assert np.mean((y[1::2] - mean) ** 2) < 0.03
    assert 0.3 < np.mean(np.square(y[1::2] - mean) / (np.square(std) + 0.01)) < 3.0


def test_a_ridge_knows_products_of_features():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = 2.0 + x[:, 0] - 3.0 * x[:, 1] * x[:, 2] + x[:, 0] ** 2
    new = rng.normal(size=(20, 3))
    mean, std = Surrogate("ridge").fit(x, y).predict(new)
    np.testing.assert_allclose(mean, 2.0 + new[:, 0] - 3.0 * new[:, 1] * new[:, 2] + new[:, 0] ** 2, atol=0.1)
    assert std.max() < 0.05


def test_evolution_finds_the_best_and_keeps_to_what_is_allowed():
    def score(some):
        return [worth(dict(zip(GRID.genes, one, strict=True))).accuracy for one in some]

    assert evolve(GRID, score, generations=40, rng=0)[0] == (9, 4, "fast")
    group = evolve(GRID, score, generations=40, rng=0, allowed=lambda one: one[0] <= 5)
    assert group[0] == (5, 4, "fast") and all(one[0] <= 5 for one in group)
    with pytest.raises(ValueError, match="allowed must be true"):
        evolve(GRID, score, rng=0, allowed=lambda one: False)


def test_a_search_beats_draws_at_random_and_honours_constraints():
    picks = []
    for k in range(2):
        best, found = find_network(GRID, worth, 30, each=4, rng=k, progress=False)
        assert len(found) == 30
        picks.append(found[best].accuracy)
    values = [worth(dict(zip(GRID.genes, one, strict=True))).accuracy for one in GRID.all()]
    assert np.sort(values)[-6] < 1.085  # the best five: 30 draws would have one of them four times of ten
    assert min(picks) > 1.085
    best, found = find_network(GRID, worth, 30, each=5, most_parameters=6, most_variation=0.03, rng=0, progress=False)
    assert found[best].parameters <= 6 and found[best].variation <= 0.03 and found[best].accuracy > 0.95
    later = list(found.values())[10:]  # after those drawn at random, one in eight of which is within
    assert sum(one.parameters <= 6 and one.variation <= 0.03 for one in later) > 10
    with pytest.raises(ValueError, match="must leave a candidate"):
        find_network(GRID, worth, 12, most_energy_j=1e-12, progress=False)


def test_searches_go_on_from_their_file(tmp_path):
    calls = []

    def task(genes):
        calls.append(genes)
        return worth(genes)

    path = tmp_path / "found.json"
    first = find_network(GRID, task, 14, path=path, rng=3, progress=False)
    assert len(calls) == 14
    again = find_network(GRID, task, 14, path=path, rng=3, progress=False)
    assert again == first and len(calls) == 14
    longer = find_network(GRID, task, 20, path=path, rng=3, progress=False)
    assert len(longer[1]) == 20 and len(calls) == 20
    with pytest.raises(ValueError, match="path must be a file of the same space"):
        measure(Space({"a": (1, 2)}), [(1,)], task, path=path)
    path.write_text(json.dumps({"format": "x"}))
    with pytest.raises(ValueError, match="is damaged"):
        measure(GRID, [(1, 1, "fast")], task, path=path)


def test_a_network_is_what_its_genes_say_and_is_measured_on_a_chip():
    genes = {"width": 4, "depth": 3, "kernel": 3, "hidden": 6, "activation": "tanh"}
    net = network_of(genes, (1, 8, 5), 3)
    assert net.to_dict()["layers"] and [type(one).__name__ for one in net.layers] == [
        "Conv2d", "Tanh", "MaxPool2d", "Conv2d", "Tanh", "Conv2d", "Tanh", "Flatten", "Linear", "Tanh", "Linear",
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 1, 8, 5)).astype(np.float32), np.arange(90) % 3
    x[np.arange(90), 0, 2 * y, :] += 3.0
    task = functools.partial(on_chip, train=(x, y), test=(x, y), chip=rpu.inference.Chip(), epochs=25, lr=0.01, programmings=2)
    space = Space({"width": (4,), "depth": (1,), "kernel": (3,), "hidden": (6, 8), "activation": ("relu",)})
    found = measure(space, space.all(), task, progress=False)
    one, two = found.values()
    assert one.parameters == 4 * 9 + 4 + 32 * 6 + 6 + 6 * 3 + 3 and two.parameters > one.parameters
    assert 0.0 < one.energy_j < two.energy_j < 1e-6
    assert one.before > 0.8 and one.accuracy > 0.6 and abs(one.variation) < 0.4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Space({}), "genes must be choices by name"),
        (lambda: Space({"a": (1, 1)}), r"genes\['a'\] must be different positive numbers"),
        (lambda: Space({"a": (1, "x")}), r"genes\['a'\] must be different positive numbers"),
        (lambda: GRID.check((1, 2, "slow")), "candidate must be one choice of each gene"),
        (lambda: Surrogate("forest"), "kind must be one of"),
        (lambda: Surrogate().fit([[1.0], [2.0]], [1.0, 2.0]), "features must be of at least 3"),
        (lambda: Surrogate().predict([[1.0]]), "call fit"),
        (lambda: evolve(GRID, lambda some: [1.0]), "score must have shape"),
        (lambda: find_network(GRID, worth, 0), "budget must be"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        call()
