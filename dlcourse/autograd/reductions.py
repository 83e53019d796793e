r"""Operations that sum up an axis: sum, mean, max, and the log-sum-exp family.

x  tensor          axis  which to reduce; None for all          g  gradient of the result
"""

import numpy as np

from dlcourse.autograd.capture import launch
from dlcourse.autograd.tensor import Tensor, as_tensor, number, record


def sum(x, axis=None, keepdims=False) -> Tensor:
    x = as_tensor(x)
    y = launch(total, x.data, axis, keepdims)
    return record(y, lambda g: x.receive(spread, _opened(g, x, axis), x.shape), x)


def mean(x, axis=None, keepdims=False) -> Tensor:
    x = as_tensor(x)
    y = launch(total, x.data, axis, keepdims)
    n = number(x.size // y.size, x.data.real.dtype)
    launch(np.divide, y, n, out=y)

    def vjp(g):
        x.receive(spread, _opened(launch(np.divide, g, n), x, axis), x.shape)

    return record(y, vjp, x)


def max(x, axis=None, keepdims=False) -> Tensor:
    """The largest entry; the gradient is shared equally among ties."""
    x = as_tensor(x)
    y = launch(largest, x.data, axis, True)

    def vjp(g):
        tie = launch(_equal, x.data, y)
        share = launch(np.divide, tie, launch(total, tie, axis, True), out=tie)
        x.receive(np.multiply, _opened(g, x, axis), share)

    return record(y if keepdims else _closed(y, axis), vjp, x)


def logsumexp(x, axis=-1, keepdims=False) -> Tensor:
    r"""A smooth maximum. Subtracting the largest entry first keeps exp from overflowing.

    .. math:: \operatorname{lse}(x) = m + \log \sum_j e^{x_j - m}, \qquad
              \nabla \operatorname{lse}(x) = \operatorname{softmax}(x)
    """
    x = as_tensor(x)
    top, e, n = _shares(x.data, axis)
    y = launch(np.log, n)
    launch(np.add, y, top, out=y)

    def vjp(g):
        x.receive(np.multiply, _opened(g, x, axis), launch(np.divide, e, n))

    return record(y if keepdims else _closed(y, axis), vjp, x)


def softmax(x, axis=-1) -> Tensor:
    r"""Exponentials that are shared out so that they sum to one.

    .. math:: s_j = \frac{e^{x_j}}{\sum_i e^{x_i}}, \qquad
              \bar x = s \odot \bigl( \bar s - \textstyle\sum_j \bar s_j s_j \bigr)
    """
    x = as_tensor(x)
    _, e, n = _shares(x.data, axis)
    s = launch(np.divide, e, n, out=e)

    def vjp(g):
        weighted = launch(np.multiply, g, s)
        centered = launch(np.subtract, g, launch(total, weighted, axis, True))
        x.receive(np.multiply, centered, s)

    return record(s, vjp, x)


def log_softmax(x, axis=-1) -> Tensor:
    r"""Logarithm of the softmax, exact where the softmax itself has become 0.

    .. math:: \ell_j = x_j - \operatorname{lse}(x), \qquad
              \bar x = \bar \ell - \operatorname{softmax}(x) \textstyle\sum_j \bar \ell_j
    """
    x = as_tensor(x)
    top, e, n = _shares(x.data, axis)
    y = launch(np.subtract, x.data, launch(np.add, top, launch(np.log, n)))

    def vjp(g):
        share = launch(np.divide, e, n)
        launch(np.multiply, share, launch(total, g, axis, True), out=share)
        x.receive(np.subtract, g, share)

    return record(y, vjp, x)


def _shares(x, axis):
    """Largest entry m, exp(x - m) and its sum."""
    top = launch(largest, x, axis, True)
    e = launch(np.subtract, x, top)
    launch(np.exp, e, out=e)
    return top, e, launch(total, e, axis, True)


def _opened(g, x, axis):
    """`g` with the reduced axes put back, of length 1."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = {a % x.ndim for a in axes}
    return g.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])


def _closed(y, axis):
    """`y` without the reduced axes, of length 1."""
    return y.reshape(()) if axis is None else y.squeeze(axis)


# Kernels


def total(x, axis, keepdims, out=None):
    return np.add.reduce(x, axis, None, out, keepdims)


def largest(x, axis, keepdims, out=None):
    return np.maximum.reduce(x, axis, None, out, keepdims)


def spread(g, shape, out=None):
    out = np.empty(shape, g.dtype) if out is None else out
    np.copyto(out, g)
    return out


def _equal(x, y, out=None):
    out = np.empty(x.shape, x.real.dtype) if out is None else out
    np.equal(x, y, out)
    return out
