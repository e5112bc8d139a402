"""Estimators of scikit-learn, by its own checks, and in what takes estimators."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

import rpusim as rpu

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from rpusim.interop.sklearn import AnalogClassifier, AnalogRegressor


@pytest.mark.parametrize("estimator", [AnalogClassifier(epochs=10), AnalogRegressor(epochs=20)])
def test_the_checks_of_scikit_learn_pass(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None)
    assert len(results) > 45
    failed = [(one["check_name"], one["exception"]) for one in results if one["status"] not in ("passed", "skipped")]
    assert not failed
    assert len([one for one in results if one["status"] == "skipped"]) <= 2


@pytest.fixture(scope="module")
def classes():
    x, y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
    return StandardScaler().fit_transform(x), np.array(["one", "two", "three"])[y]


def test_a_search_over_devices_gives_a_table(classes):
    devices = [rpu.devices.ConstantStep(dw_min=0.002), rpu.devices.ConstantStep(dw_min=0.5, w_max=1.0, w_min=-1.0)]
    grid = {"analogclassifier__device": devices, "analogclassifier__algorithm": ["sgd"]}
    pipeline = make_pipeline(StandardScaler(), AnalogClassifier((16,), epochs=6, random_state=0))
    search = GridSearchCV(pipeline, grid, cv=3).fit(*classes)
    scores = search.cv_results_["mean_test_score"]
    assert search.best_params_["analogclassifier__device"] == devices[0] and scores[0] > 0.6
    assert [row["analogclassifier__device"] for row in search.cv_results_["params"]] == devices


def test_what_is_fitted_is_pickled_and_cloned(classes):
    x, y = classes
    one = AnalogClassifier((16,), epochs=3, random_state=0).fit(x, y)
    proba = one.predict_proba(x)
    assert np.array_equal(one.predict_proba(x), proba)  # noise of reads included
    assert np.allclose(proba.sum(axis=1), 1.0)
    other = pickle.loads(pickle.dumps(one))
    assert np.array_equal(other.predict_proba(x), proba)
    assert np.array_equal(clone(one).fit(x, y).predict_proba(x), proba)
    one.partial_fit(x, y), other.partial_fit(x, y)
    assert np.array_equal(one.predict_proba(x), other.predict_proba(x)) and one.n_iter_ == 4
    assert type(one.network_.layers[0].tile.algorithm).__name__ == "SGD"


def test_early_stopping_and_partial_fit(classes):
    x, y = classes
    stopped = AnalogClassifier((8,), epochs=60, early_stopping=True, n_iter_no_change=2, random_state=0).fit(x, y)
    assert stopped.n_iter_ < 60 and stopped.history_.test_loss[-1] is not None
    grown = AnalogClassifier((8,), random_state=0)
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        grown.partial_fit(x, y)
    for _ in range(4):
        grown.partial_fit(x, y, classes=np.unique(y))
    assert grown.score(x, y) > 0.55
    with pytest.raises(ValueError, match="y must hold classes of the first partial_fit"):
        grown.partial_fit(x[:2], ["one", "four"])


def test_regression_with_two_outputs():
    x, y = make_regression(200, 5, n_targets=2, noise=1.0, random_state=0)
    one = AnalogRegressor((20,), epochs=30, random_state=0)
    assert cross_val_score(one, StandardScaler().fit_transform(x), y, cv=3).min() > 0.7
    assert one.fit(x, y[:, 0]).predict(x).shape == (200,)


def test_digits_without_noise_are_told_apart_as_by_scikit_learn():
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x / 16.0, y, random_state=0)
    ours = AnalogClassifier((32,), "relu", algorithm="digital", epochs=20, lr=0.02, batch_size=8, random_state=0).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MLPClassifier((32,), solver="sgd", batch_size=8, learning_rate_init=0.16, max_iter=20, momentum=0.0,
                               random_state=0).fit(x, y)  # fmt: skip
    assert abs(ours.score(x_test, y_test) - theirs.score(x_test, y_test)) < 0.02


@pytest.mark.parametrize(("arguments", "message"), [
    ({"activation": "step"}, "activation must be one of 'relu', 'sigmoid', 'tanh'"),
    ({"device": "soft"}, "device must be one of constant-step, linear-step"),
    ({"algorithm": "adam"}, "algorithm must be one of 'digital', 'sgd'"),
    ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes\[0\] must be an integer of at least 1"),
    ({"lr": 0.0}, "lr must be a finite real number"),
    ({"early_stopping": True, "validation_fraction": 1.0}, "validation_fraction must be"),
])  # fmt: skip
def test_what_is_wrong_is_named_when_it_is_fitted(arguments, message, classes):
    with pytest.raises(ValueError, match=message):
        AnalogClassifier(**arguments).fit(*classes)
