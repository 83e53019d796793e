r"""Losses of predictions, each one node of the graph: the mean over the n rows of a batch.

prediction, target  any shape, but the same     logits  scores before the softmax (n, k)
y                   outcomes 0 or 1 (n, ...)    labels  classes 0 to k - 1, integers (n,)
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Inexact, Int

from dlcourse import _checks
from dlcourse.autograd.capture import launch
from dlcourse.autograd.elementwise import larger, logistic, zeros
from dlcourse.autograd.reductions import largest, total
from dlcourse.autograd.shapes import reshaped
from dlcourse.autograd.tensor import Tensor, TensorLike, as_tensor, as_tensors, number, record

Array = np.ndarray


def mean_squared_error(
    prediction: Inexact[TensorLike, "..."], target: Inexact[TensorLike, "..."]
) -> Inexact[Tensor, ""]:
    r"""Mean of the squared differences over all entries.

    .. math:: \ell = \frac1n \sum_i (\hat y_i - y_i)^2, \qquad
              \nabla_{\hat y} \ell = \frac2n (\hat y - y)
    """
    prediction, target = as_tensors(prediction, target)
    _checks.same_shape(prediction.data, target.data, ("prediction", "target"))
    error = launch(np.subtract, prediction.data, target.data)
    flat, share = reshaped(error, -1), number(1 / error.size, error.real.dtype)
    loss = launch(np.dot, flat, flat)

    def vjp(g):
        slope = launch(np.multiply, g, number(2 / error.size, share.dtype))
        prediction.receive(np.multiply, error, slope)
        if target.needs_grad:
            target.receive(np.multiply, error, launch(np.negative, slope))

    return record(launch(np.multiply, loss, share, out=loss), vjp, prediction, target)


def binary_cross_entropy(
    logits: Inexact[TensorLike, "..."], y: Inexact[TensorLike, "..."]
) -> Inexact[Tensor, ""]:
    r"""Negative log-likelihood of the logistic model, per observation.

    .. math:: \ell = \frac1n \sum_i \bigl( \log(1 + e^{z_i}) - y_i z_i \bigr), \qquad
              \nabla_z \ell = \frac1n (\sigma(z) - y)

    Takes the logits z, not the probabilities, so that no logarithm meets a zero.
    """
    z, y = as_tensors(logits, y)
    _checks.same_shape(z.data, y.data, ("logits", "y"))
    size = launch(np.multiply, z.data, launch(np.sign, z.data.real))
    each = launch(np.log1p, launch(np.exp, launch(np.negative, size)))
    launch(np.add, each, launch(larger, z.data, zeros(z.shape, z.dtype)), out=each)
    launch(np.subtract, each, launch(np.multiply, y.data, z.data), out=each)
    n = number(z.size, z.data.real.dtype)
    loss = launch(total, each, None, False)

    def vjp(g):
        g = launch(np.divide, g, n)
        z.receive(np.multiply, launch(np.subtract, logistic(z.data), y.data), g)
        if y.needs_grad:
            y.receive(np.multiply, z.data, launch(np.negative, g))

    return record(launch(np.divide, loss, n, out=loss), vjp, z, y)


def softmax_cross_entropy(
    logits: Inexact[TensorLike, "n k"], labels: Int[Array, " n"]
) -> Inexact[Tensor, ""]:
    r"""Negative log-likelihood of the softmax model, per observation.

    .. math:: \ell = \frac1n \sum_i \bigl( \operatorname{lse}(z_i) - z_{i, y_i} \bigr), \qquad
              \nabla_z \ell = \frac1n (\operatorname{softmax}(z) - \operatorname{onehot}(y))
    """
    z, labels = as_tensor(logits), _class_labels(labels, np.shape(logits))
    shifted = launch(np.subtract, z.data, launch(largest, z.data, 1, True))
    e = launch(np.exp, shifted)
    sums = launch(total, e, 1, True)
    each = launch(np.log, sums)
    launch(np.subtract, each, launch(_at, shifted, labels), out=each)
    n = number(len(labels), z.data.real.dtype)
    loss = launch(total, each, None, False)

    def vjp(g):
        error = launch(np.divide, e, sums)
        launch(_less_one_at, labels, out=error)
        z.receive(np.multiply, error, launch(np.divide, g, n))

    return record(launch(np.divide, loss, n, out=loss), vjp, z)


def _class_labels(labels, shape):
    labels = np.asarray(labels)
    if len(shape) != 2 or labels.shape != shape[:1]:
        raise ValueError(
            f"`logits` must have shape (n, k) and `labels` (n,), got {shape} and {labels.shape}. "
            "A column (n, 1)? Use `.ravel()`. One-hot rows? Use `.argmax(1)`."
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= shape[1]:
        raise ValueError(
            f"`labels` must be integers from 0 to {shape[1] - 1}, got dtype {labels.dtype}, "
            f"{labels.min()} to {labels.max()}. Use `np.unique(labels, return_inverse=True)[1]`."
        )
    return labels


# Kernels


def _at(scores, labels, out=None):
    chosen = scores[_rows(len(scores)), labels][:, None]
    if out is None:
        return chosen
    out[...] = chosen


def _less_one_at(labels, shares):
    shares[_rows(len(shares)), labels] -= 1


@lru_cache(maxsize=256)
def _rows(n):
    return np.arange(n)
