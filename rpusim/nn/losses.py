"""Losses: how wrong a network's outputs are, and the gradient that trains it.

Every loss returns the sum of its samples' losses and the gradient of each sample's own loss. The gradient is not
divided by the batch size: crossbar training writes one pulsed update per sample at rate lr, whatever the size of the
batch. Where a recipe has the mean over the batch as its loss (as frameworks do by default) and the rate lr_mean, the
same step is lr = lr_mean / batch_size.
"""

from __future__ import annotations

import numpy as np

from rpusim._base.validation import plain_array, signal
from rpusim.nn import _elementwise

__all__ = ["cross_entropy", "squared_error"]


def class_labels(name: str, value: np.ndarray, count: int | None, classes: int) -> np.ndarray:
    """Return integer labels, shape (count,), checked to be from 0 to classes - 1."""
    labels = plain_array(name, value, "integer labels")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integer labels from 0 to {classes - 1}; got dtype {labels.dtype}")
    if labels.ndim != 1 or (count is not None and labels.size != count):
        raise ValueError(f"{name} must have shape ({'any' if count is None else count},); got {labels.shape}")
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        where = int(np.argmax(wrong))
        raise ValueError(f"{name} must be integer labels from 0 to {classes - 1}; got {labels[where]} at index {where}")
    return labels.astype(np.intp, copy=False)


def cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Softmax cross-entropy, L = log(sum_j exp(y_j)) - y_label for each sample.

    Parameters
    ----------
    outputs : ndarray, shape (batch, classes)
        Outputs y of the network (logits).
    labels : ndarray of int, shape (batch,)
        Classes, from 0 to classes - 1.

    Returns
    -------
    loss : float
        Sum of the samples' losses (nats).
    gradient : ndarray of float32, shape (batch, classes)
        dL/dy = softmax(y) - onehot(label) of each sample, not divided by the batch size.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, an output is not finite, or a label is no class.

    Examples
    --------
    >>> loss, gradient = cross_entropy([[0.0, 0.0]], [1])
    >>> round(loss, 4), gradient.tolist()
    (0.6931, [[0.5, -0.5]])
    """
    outputs = signal("outputs", outputs, (None, None))
    return _elementwise.cross_entropy(outputs, class_labels("labels", labels, outputs.shape[0], outputs.shape[1]))


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Half the squared error, L = 1/2 sum_j (y_j - t_j)^2 for each sample.

    Parameters
    ----------
    outputs : ndarray, shape (batch, n)
        Outputs y of the network.
    targets : ndarray, shape (batch, n)
        What they should be, t.

    Returns
    -------
    loss : float
        Sum of the samples' losses.
    gradient : ndarray of float32, shape (batch, n)
        dL/dy = y - t of each sample, not divided by the batch size.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a number is not finite.

    Examples
    --------
    >>> loss, gradient = squared_error([[1.0, 0.0]], [[0.0, 0.0]])
    >>> loss, gradient.tolist()
    (0.5, [[1.0, 0.0]])
    """
    outputs = signal("outputs", outputs, (None, None))
    return _squared_error(outputs, signal("targets", targets, outputs.shape))


# Without checks: once per training step.


def _squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    gradient = outputs - targets
    flat = gradient.ravel()
    return 0.5 * float(np.dot(flat, flat)), gradient


STEPS = {"cross_entropy": _elementwise.cross_entropy, "squared_error": _squared_error}
