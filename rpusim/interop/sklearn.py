"""Estimators of scikit-learn: perceptrons on simulated arrays.

They are for everything that takes an estimator: pipelines, searches over devices, cross-validation, pickles. The package
scikit-learn (1.6 or newer) is an extra: ``pip install 'rpusim[sklearn]'``.
"""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim import nn
from rpusim._base.validation import boolean, choice, instance, integer, integer_value, numbers_of, optional, real
from rpusim.algorithms import Algorithm, named
from rpusim.devices.called import device_called

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        f"rpusim.interop.sklearn needs scikit-learn 1.6 or newer (pip install 'rpusim[sklearn]'): {error}"
    ) from error

__all__ = ["AnalogClassifier", "AnalogRegressor"]

ACTIVATIONS: dict[str, Any] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
#: weights begin within half the bounds of the usual devices, however few features there are
MAPPING = nn.Mapping(weight_scaling=0.3, digital_bias=True)
_positive = real(0.0, open_low=True)


class _Perceptron(BaseEstimator):  # type: ignore[misc]
    """What the two estimators share: the network, and its training."""

    _loss = "cross_entropy"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "tanh",
        *,
        algorithm: Any = "sgd",
        device: Any = "constant-step",
        mapping: Any = None,
        lr: float = 0.02,
        epochs: int = 30,
        batch_size: int = 1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.algorithm = algorithm
        self.device = device
        self.mapping = mapping
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True  # noise of reads: a sample's outputs depend on those that are read with it
        tags.input_tags.sparse = False
        return tags

    def _rule(self) -> Algorithm:
        if isinstance(self.algorithm, str):
            return named.get(self.algorithm, device_called("device", self.device))
        return instance(Algorithm, "an algorithm, or the name of one")("algorithm", self.algorithm)

    def _begin(self, inputs: int, outputs: int) -> None:
        """Make a network and its trainer."""
        sizes: Any = self.hidden_layer_sizes
        sizes = (sizes,) if isinstance(sizes, Integral) else sizes
        hidden = numbers_of(integer(1))("hidden_layer_sizes", sizes) if not isinstance(sizes, (tuple, list)) or sizes else ()
        activation, rule = ACTIVATIONS[choice(*ACTIVATIONS)("activation", self.activation)], self._rule()
        mapping = optional(instance(nn.Mapping, "a Mapping"))("mapping", self.mapping) or MAPPING
        layers: list[nn.Layer] = []
        for before, after in zip((inputs, *hidden), hidden, strict=False):
            layers += [nn.Linear(before, after, rule, mapping=mapping), activation()]
        layers.append(nn.Linear((inputs, *hidden)[-1], outputs, rule, mapping=mapping))
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        size = integer_value("batch_size", self.batch_size, 1)
        self._trainer = nn.Trainer(
            nn.Sequential(*layers), self._loss, lr=_positive("lr", self.lr), rng=self._seed, batch_size=size
        )

    def _train(self, x: NDArray[Any], y: NDArray[Any], epochs: int) -> None:
        trainer, held, patience = self._trainer, None, None
        if boolean("early_stopping", self.early_stopping) and epochs > 1:
            share = real(0.0, 1.0, open_low=True, open_high=True)("validation_fraction", self.validation_fraction)
            patience = integer_value("n_iter_no_change", self.n_iter_no_change, 1)
            order = np.random.default_rng(self._seed).permutation(len(x))
            count = max(1, round(share * len(x)))
            if len(x) < 2:
                raise ValueError(
                    f"X must have at least 2 samples with early_stopping, one to validate; got n_samples = {len(x)}"
                )
            held, x, y = (x[order[:count]], y[order[:count]]), x[order[count:]], y[order[count:]]
        trainer.fit((x, y), trainer.epoch + epochs, validation=held, progress=False, patience=patience)

    def _outputs(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Read a copy of the network, whose noise goes on from where it was: the same samples give the same outputs."""
        return copy.deepcopy(self._trainer.net).predict(x).astype(np.float64)

    @property
    def network_(self) -> nn.Sequential:
        """The network, whose layers hold the arrays."""
        check_is_fitted(self)
        return self._trainer.net

    @property
    def history_(self) -> nn.History:
        """What happened in each epoch."""
        check_is_fitted(self)
        return self._trainer.history


class AnalogClassifier(ClassifierMixin, _Perceptron):  # type: ignore[misc]
    """A perceptron on simulated arrays that tells classes apart.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Units of each hidden layer; () has none.
    activation : {"relu", "sigmoid", "tanh"}
    algorithm : str or Algorithm, default "sgd"
        How weights are trained: a name of `rpusim.algorithms.named` or an algorithm with its devices.
    device : str or Device, default "constant-step"
        What the arrays of a named algorithm are made of: a model, a preset, or a device.
    mapping : nn.Mapping, optional
        How matrices are put on arrays; by default biases are digital, and the largest first weight is held as 0.3.
    lr : float, default 0.02
    epochs : int, default 30
        Passes over the samples of `fit`; a `partial_fit` is one.
    batch_size : int, default 1
    early_stopping : bool, default False
        Whether a share of the samples (`validation_fraction`) is held out, and training stops where their loss has not been
        lower for `n_iter_no_change` epochs.
    validation_fraction : float, default 0.1
    n_iter_no_change : int, default 10
    random_state : int, RandomState or None
        What is random: devices, first weights, order of samples, pulses and noise. An int gives the same bits every time.

    Attributes
    ----------
    classes_ : array (classes,)
    n_iter_ : int
        Epochs that were trained.
    network_ : nn.Sequential
    history_ : nn.History

    Notes
    -----
    Reads are as noisy as the arrays are, and predictions with them; the same samples, asked for again, give the same.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> classifier = AnalogClassifier((20,), epochs=20, random_state=0).fit(X, X[:, 0] > X[:, 1])
    >>> bool(classifier.score(X, X[:, 0] > X[:, 1]) > 0.9)
    True
    """

    def fit(self, X: Any, y: Any) -> AnalogClassifier:
        """Train a new network on samples X (n, features) and their classes y (n,)."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self._begin(X.shape[1], len(self.classes_))
        self._train(X, labels, integer_value("epochs", self.epochs, 1))
        self.n_iter_ = self._trainer.epoch
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> AnalogClassifier:
        """Train one epoch on samples, and go on from what there is; the first call says all `classes`."""
        first = not hasattr(self, "classes_")
        X, y = validate_data(self, X, y, dtype=np.float32, reset=first)
        check_classification_targets(y)
        if first:
            if classes is None:
                raise ValueError("classes must be given in the first call of partial_fit: all that there will be")
            self.classes_ = np.unique(classes)
            self._begin(X.shape[1], len(self.classes_))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes must be those of the first call of partial_fit, {self.classes_}; got {classes}")
        labels = np.searchsorted(self.classes_, y)
        known = np.equal(self.classes_[np.minimum(labels, len(self.classes_) - 1)], y)
        if not np.all(known):
            raise ValueError(f"y must hold classes of the first partial_fit, {self.classes_}; got {np.asarray(y)[~known][0]!r}")
        self._train(X, labels, 1)
        self.n_iter_ = self._trainer.epoch
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the softmax of the outputs, (n, classes)."""
        check_is_fitted(self)
        outputs = self._outputs(validate_data(self, X, dtype=np.float32, reset=False))
        raised = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the classes whose outputs are largest, (n,)."""
        largest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[largest]


class AnalogRegressor(RegressorMixin, _Perceptron):  # type: ignore[misc]
    """A perceptron on simulated arrays that follows numbers; see `AnalogClassifier` for its parameters.

    Targets are taken relative to their mean and spread, (y - mean) / spread of the samples of `fit` or of the first
    `partial_fit`: weights of devices have bounds.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> regressor = AnalogRegressor((20,), epochs=20, random_state=0).fit(X, X @ [20.0, 10.0] + 100.0)
    >>> bool(regressor.score(X, X @ [20.0, 10.0] + 100.0) > 0.9)
    True
    """

    _loss = "squared_error"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _scaled(self, y: NDArray[Any], first: bool) -> NDArray[np.float32]:
        if first:
            self._centre, spread = y.mean(axis=0), y.std(axis=0)
            self._spread = np.where(spread > 0.0, spread, 1.0)
        scaled: NDArray[np.float32] = ((y - self._centre) / self._spread).astype(np.float32)
        return scaled.reshape(len(y), -1)

    def _checked(self, X: Any, y: Any, first: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True, reset=first)
        y = np.asarray(y, np.float64)
        if first:
            self._outputs_shape = y.shape[1:]
        elif y.shape[1:] != self._outputs_shape:
            raise ValueError(f"y must have as many outputs as in the first call of partial_fit; got shape {y.shape}")
        return X, self._scaled(y, first)

    def fit(self, X: Any, y: Any) -> AnalogRegressor:
        """Train a new network on samples X (n, features) and targets y, (n,) or (n, outputs)."""
        X, y = self._checked(X, y, True)
        self._begin(X.shape[1], y.shape[1])
        self._train(X, y, integer_value("epochs", self.epochs, 1))
        self.n_iter_ = self._trainer.epoch
        return self

    def partial_fit(self, X: Any, y: Any) -> AnalogRegressor:
        """Train one epoch on samples, and go on from what there is."""
        first = not hasattr(self, "_trainer")
        X, y = self._checked(X, y, first)
        if first:
            self._begin(X.shape[1], y.shape[1])
        self._train(X, y, 1)
        self.n_iter_ = self._trainer.epoch
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the targets that the network expects, (n,) or (n, outputs)."""
        check_is_fitted(self)
        outputs = self._outputs(validate_data(self, X, dtype=np.float32, reset=False))
        return outputs.reshape(len(outputs), *self._outputs_shape) * self._spread + self._centre
