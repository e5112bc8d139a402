"""Losses: how wrong a network's outputs are, and the gradient that trains it.

Every loss returns the sum of its samples' losses and the gradient of each sample's own loss. The gradient is not
divided by the batch size: crossbar training writes one pulsed update per sample at rate lr, whatever the size of the
batch. Where a recipe has the mean over the batch as its loss (as frameworks do by default) and the rate lr_mean, the
same step is lr = lr_mean / batch_size.
"""

from __future__ import annotations

import numpy as np

from rpusim._base.validation import axes_of, plain_array, real, signal
from rpusim.nn import _elementwise

__all__ = ["cross_entropy", "distillation", "squared_error", "teach"]


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


def distillation(outputs: np.ndarray, teacher: np.ndarray) -> tuple[float, np.ndarray]:
    """How far a network is from its teacher, L = sum_j p_j (log p_j - log q_j), p = softmax(teacher), q = softmax(outputs).

    Parameters
    ----------
    outputs : ndarray, shape (batch, classes)
    teacher : ndarray, shape (batch, classes)
        Outputs of the teacher for the same inputs (see `teach` for a share of labels).

    Returns
    -------
    loss : float
        Sum of the samples' losses (nats).
    gradient : ndarray of float32, shape (batch, classes)
        dL/dy = q - p.

    Examples
    --------
    >>> loss, gradient = distillation([[1.0, 2.0]], [[2.0, 1.0]])
    >>> round(loss, 4), gradient.round(3).tolist()
    (0.4621, [[-0.4620000123977661, 0.4620000123977661]])
    """
    outputs = signal("outputs", outputs, (None, None))
    return _distillation(outputs, signal("teacher", teacher, outputs.shape))


def teach(outputs: np.ndarray, labels: np.ndarray | None = None, beta: float = 1.0, temperature: float = 1.0) -> np.ndarray:
    """Return targets of `distillation` from outputs of a teacher, z: log(beta softmax(z / temperature) + (1 - beta) one-hot).

    Parameters
    ----------
    outputs : ndarray, shape (..., classes)
    labels : ndarray of int, shape (...), optional
        Needed where beta is below 1.
    beta : float, default 1
        Share of the teacher.
    temperature : float, default 1
        Above 1 its probabilities are evened out; those of the student are not.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> teach(np.array([[2.0, 0.0]]), np.array([1]), beta=0.5).round(3).tolist()
    [[-0.8199999928474426, -0.5809999704360962]]
    """
    z = signal("outputs", outputs, (None,) * max(2, axes_of(outputs))).astype(np.float64)
    z /= real(0.0, open_low=True)("temperature", temperature)
    share = real(0.0, 1.0)("beta", beta)
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    if share < 1.0:
        if labels is None:
            raise ValueError(f"labels must be given where beta is below 1; got None for beta={share}")
        flat = class_labels("labels", np.ravel(labels), p[..., 0].size, p.shape[-1])
        p = share * p + (1.0 - share) * np.eye(p.shape[-1])[flat].reshape(p.shape)
    return np.log(np.maximum(p, 1e-30)).astype(np.float32)


# Without checks: once per training step.


def _squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    gradient = outputs - targets
    flat = gradient.ravel()
    return 0.5 * float(np.dot(flat, flat)), gradient


def _log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def _distillation(outputs: np.ndarray, teacher: np.ndarray) -> tuple[float, np.ndarray]:
    if teacher.dtype.kind in "iu":  # labels, in a validation
        return _elementwise.cross_entropy(outputs, teacher)
    log_q, log_p = _log_softmax(outputs), _log_softmax(teacher)
    p = np.exp(log_p)
    return float(np.vdot(p, log_p - log_q)), np.exp(log_q) - p


STEPS = {"cross_entropy": _elementwise.cross_entropy, "squared_error": _squared_error, "distillation": _distillation}
