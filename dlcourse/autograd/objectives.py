r"""Losses of predictions, each one node of the graph: the mean over the n rows of a batch.

prediction, target  any shape, but the same     logits  scores before the softmax (n, k)
y                   outcomes 0 or 1 (n, ...)    labels  classes 0 to k - 1, integers (n,)
weights             how much each row counts (n,), by default all alike

A weighted mean is divided by the sum of the weights, so it stays in the unit of a loss.
"""

import numpy as np
from jaxtyping import Inexact, Int

from dlcourse import _checks
from dlcourse.autograd.capture import launch, tracked
from dlcourse.autograd.elementwise import logistic, sigmoid_of
from dlcourse.autograd.reductions import logarithm, shares
from dlcourse.autograd.rules import number, operation, taylor, times

Array = np.ndarray


@operation(2)
def mean_squared_error(
    prediction: Inexact[Array, "..."], target: Inexact[Array, "..."], weights=None
):
    r"""Mean of the squared differences over all entries.

    .. math:: \ell = \frac1n \sum_i (\hat y_i - y_i)^2, \qquad
              \nabla_{\hat y} \ell = \frac2n (\hat y - y)

    Raises `ValueError` where the shapes differ, there are no rows, or the weights do not fit.
    """
    _checks.same_shape(prediction, target, ("prediction", "target"))
    error = prediction - target
    share = error * _weights(weights, error)
    loss = share.reshape(-1) @ error.reshape(-1)
    return loss, lambda g: share * (2 * g), lambda g: share * (-2 * g)


@operation(2)
def binary_cross_entropy(logits: Inexact[Array, "..."], y: Inexact[Array, "..."], weights=None):
    r"""Negative log-likelihood of the logistic model, per observation.

    .. math:: \ell = \frac1n \sum_i \bigl( \log(1 + e^{z_i}) - y_i z_i \bigr), \qquad
              \nabla_z \ell = \frac1n (\sigma(z) - y)

    Takes the logits z, not the probabilities, so that no logarithm meets a zero. Raises
    `ValueError` where the shapes differ, there are no rows, or the weights do not fit.
    """
    _checks.same_shape(logits, y, ("logits", "y"))
    z, share = logits, _weights(weights, logits)
    each = taylor(lambda a: _surprise(a, y.real), lambda a, _: logistic(a) - y.real, z)
    if y.dtype.kind == "c":
        each = each - 1j * z.real * y.imag
    return (
        (share * each).sum(),
        lambda g: (sigmoid_of(z) - y) * (share * g),
        lambda g: z * (share * -g),
    )


def _surprise(z, y):
    """log(1 + exp(z)) - y z, written such that no infinities cancel."""
    wrong = times(1 - y, np.maximum(z, 0)) + times(y, np.maximum(-z, 0))
    return wrong + np.log1p(np.exp(-np.abs(z)))


@operation(1)
def softmax_cross_entropy(
    logits: Inexact[Array, "n k"], labels: Int[Array, " n"], weights=None, class_weights=None
):
    r"""Negative log-likelihood of the softmax model, per observation.

    .. math:: \ell = \frac1n \sum_i \bigl( \operatorname{lse}(z_i) - z_{i, y_i} \bigr), \qquad
              \nabla_z \ell = \frac1n (\operatorname{softmax}(z) - \operatorname{onehot}(y))

    With `class_weights` (k,) each row counts as much as its class. Raises `ValueError` where the
    shapes or weights do not fit, or a label is no class.
    """
    labels = np.asanyarray(labels)
    _check_classes(logits.shape, labels)
    launch(_check_labels, labels, logits.shape[1])
    z, labels = logits, tracked(labels)
    _, d, e, n = shares(z, (1,))
    chosen = d[np.arange(len(z)), labels]
    if class_weights is not None:
        class_weights = np.asanyarray(class_weights, dtype=z.real.dtype)
        if class_weights.shape != z.shape[1:]:
            raise ValueError(
                f"`class_weights` must have shape {z.shape[1:]}, one a class, got "
                f"{class_weights.shape}."
            )
        by_row = tracked(class_weights)[labels]
        weights = by_row if weights is None else by_row * weights
    share = _weights(weights, chosen)
    is_label = labels[:, None] == np.arange(z.shape[1])
    return (
        (share * (logarithm(n)[:, 0] - chosen)).sum(),
        lambda g: (e / n - is_label) * (share * g).reshape(-1, 1),
    )


def _weights(weights, each) -> Array:
    """What each entry adds to the mean, shaped to be multiplied with `each` (n, ...)."""
    dtype, n_each = each.real.dtype, each.size
    if n_each == 0:
        raise ValueError(f"The mean over no rows means nothing, got shape {each.shape}.")
    if weights is None:
        return number(1 / n_each, dtype)
    weights = np.asanyarray(weights, dtype=dtype)
    if weights.shape != each.shape[:1]:
        raise ValueError(
            f"`weights` must have shape {each.shape[:1]}, one a row, got {weights.shape}. "
            "A column (n, 1)? Use `.ravel()`."
        )
    launch(_check_weights, weights)
    weights = tracked(weights).reshape((-1,) + (1,) * (each.ndim - 1))
    return weights / (weights.sum() * number(n_each // len(each), dtype))


def _check_weights(weights):
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError("`weights` must be finite, 0 or more, and not all 0.")


def _check_classes(shape, labels):
    if len(shape) != 2 or labels.shape != shape[:1] or 0 in shape:
        raise ValueError(
            f"`logits` must have shape (n, k) and `labels` (n,), with at least one row, got "
            f"{shape} and {labels.shape}. A column (n, 1)? Use `.ravel()`. One-hot rows? Use "
            "`.argmax(1)`."
        )


def _check_labels(labels, n_classes):
    """For every batch anew, in replays too: NumPy takes -1 for the last class."""
    is_integer = labels.dtype.kind in "iu"
    if not is_integer or labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"`labels` must be integers from 0 to {n_classes - 1}, got dtype {labels.dtype}, "
            f"{labels.min()} to {labels.max()}. Use `np.unique(labels, return_inverse=True)[1]`."
        )
