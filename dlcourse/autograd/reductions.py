r"""Operations that sum up an axis: sum, mean, variance, max, and the log-sum-exp family.

x     tensor            axis  which to reduce: a number, several, or None for all
g     gradient of the result, where the reduced axes are kept with length 1

In formulas a bar marks the gradient of the loss with respect to what is under it.
"""

import numpy as np

from dlcourse.autograd import elementwise
from dlcourse.autograd.rules import arrays_of, number, operation, taylor, times
from dlcourse.autograd.tensor import Tensor


def sum(x, axis=None, keepdims=False) -> Tensor:
    """The sum of the entries along `axis`."""
    return _sum(x, *_axes(x, axis), keepdims)


@operation(1)
def _sum(x, axes, kept, keepdims):
    y = x.sum(axes, keepdims=keepdims)
    return y, lambda g: np.broadcast_to(g.reshape(kept), x.shape)


def mean(x, axis=None, keepdims=False) -> Tensor:
    """The mean of the entries along `axis`."""
    return sum(x, axis, keepdims) / _count(x, axis)


def var(x, axis=None, keepdims=False, ddof=0) -> Tensor:
    """The variance along `axis`: squared distances from the mean, summed over n - `ddof`.

    Raises `ValueError` unless there are more than `ddof` entries.
    """
    n = _count(x, axis)
    if n <= ddof:
        raise ValueError(f"A variance needs more than ddof={ddof} entries, got {n}.")
    distance = elementwise.subtract(x, mean(x, axis, keepdims=True))
    return sum(elementwise.square(distance), axis, keepdims) / (n - ddof)


def std(x, axis=None, keepdims=False, ddof=0) -> Tensor:
    """The standard deviation along `axis`, the root of `var`."""
    return elementwise.sqrt(var(x, axis, keepdims, ddof))


def max(x, axis=None, keepdims=False) -> Tensor:
    """The largest entry; the gradient is shared equally among ties."""
    return _extreme(x, np.maximum, *axes_of_some(x, axis), keepdims)


def min(x, axis=None, keepdims=False) -> Tensor:
    """The smallest entry; the gradient is shared equally among ties."""
    return _extreme(x, np.minimum, *axes_of_some(x, axis), keepdims)


@operation(1)
def _extreme(x, kernel, axes, kept, keepdims):
    extreme = kernel.reduce(x.real, axes, keepdims=True)
    tie = (x.real == extreme).astype(extreme.dtype)
    share = tie / tie.sum(axes, keepdims=True)
    y = extreme
    if x.dtype.kind == "c":
        y = y + 1j * (share * x.imag).sum(axes, keepdims=True)
    y = y if keepdims else y.reshape(_without(axes, x.shape))
    return y, lambda g: times(g.reshape(kept), share)


def argmax(x, axis=None) -> np.ndarray | np.integer:
    """The place of the largest entry: integers, no tensor, since nothing can flow through them."""
    return arrays_of((x,))[0].real.argmax(axis)


def argmin(x, axis=None) -> np.ndarray | np.integer:
    """The place of the smallest entry: integers, no tensor."""
    return arrays_of((x,))[0].real.argmin(axis)


def logsumexp(x, axis=-1, keepdims=False) -> Tensor:
    r"""A smooth maximum. Subtracting the largest entry first keeps exp from overflowing.

    .. math:: \operatorname{lse}(x) = m + \log \sum_j e^{x_j - m}, \qquad
              \nabla \operatorname{lse}(x) = \operatorname{softmax}(x)
    """
    return _logsumexp(x, *axes_of_some(x, axis), keepdims)


@operation(1)
def _logsumexp(x, axes, kept, keepdims):
    m, _, e, n = shares(x, axes)
    y = m + logarithm(n)
    y = y if keepdims else y.reshape(_without(axes, x.shape))
    return y, lambda g: times(g.reshape(kept), e / (n + (n == 0)))  # of nothing, a share of 0


def softmax(x, axis=-1) -> Tensor:
    r"""Exponentials that are shared out so that they sum to one.

    .. math:: s_i = \frac{e^{x_i}}{\sum_j e^{x_j}}, \qquad
              \bar x_i = s_i \Bigl( \bar s_i - \sum_j \bar s_j s_j \Bigr)
    """
    return _softmax(x, axes_of_some(x, axis)[0])


@operation(1)
def _softmax(x, axes):
    _, _, e, n = shares(x, axes)
    s = e / n
    return s, lambda g: s * (g - (g * s).sum(axes, keepdims=True))


def log_softmax(x, axis=-1) -> Tensor:
    r"""Logarithm of the softmax, exact where the softmax itself has become 0.

    .. math:: \ell_i = x_i - \operatorname{lse}(x), \qquad
              \bar x_i = \bar \ell_i - s_i \sum_j \bar \ell_j

    s is the `softmax`.
    """
    return _log_softmax(x, axes_of_some(x, axis)[0])


@operation(1)
def _log_softmax(x, axes):
    _, d, e, n = shares(x, axes)
    return d - logarithm(n), lambda g: g - e / n * g.sum(axes, keepdims=True)


def shares(x, axes):
    """Largest entry m, distance d = x - m, e = exp(d) and the sum n of e, infinite m as 0."""
    m = np.maximum.reduce(x.real, axes, keepdims=True)
    m = np.where(np.isfinite(m), m, number(0, m.dtype))
    d = x - m
    e = np.exp(d)
    return m, d, e, e.sum(axes, keepdims=True)


def logarithm(n):
    """The logarithm of an array, at complex points too; that of 0 is minus infinity."""
    with np.errstate(divide="ignore"):
        return taylor(np.log, lambda n, _: 1 / n, n)


def _axes(x, axis):
    """The axes to reduce, counted from 0, and the shape that keeps them with length 1."""
    shape = np.shape(x)
    axes = (
        range(len(shape)) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    )
    if any(not -len(shape) <= a < len(shape) for a in axes):
        raise ValueError(
            f"`axis` must lie within the {len(shape)} axes of shape {shape}, got {axis}."
            + ("" if shape else " A single number has no axis: leave out `axis`.")
        )
    axes = tuple(int(a) % len(shape) for a in axes)
    if len(set(axes)) < len(axes):
        raise ValueError(f"`axis` must name each axis once, got {axis} for shape {shape}.")
    return axes, tuple(1 if i in axes else n for i, n in enumerate(shape))


def axes_of_some(x, axis):
    _count(x, axis)
    return _axes(x, axis)


def _count(x, axis):
    """How many entries make one result."""
    shape, n = np.shape(x), 1
    for a in _axes(x, axis)[0]:
        n *= shape[a]
    if n == 0:
        raise ValueError(f"Nothing to reduce: shape {shape} has no entries along axis {axis}.")
    return n


def _without(axes, shape):
    return tuple(n for i, n in enumerate(shape) if i not in axes)
