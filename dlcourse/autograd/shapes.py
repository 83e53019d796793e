r"""Operations that move numbers and change none: reshape, transpose, index, concatenate.

Where NumPy can give a view, so do these: a view of an array that replays fill needs no call of its
own. Where the numbers must be copied, a capture repeats the copy.
"""

import numpy as np

from dlcourse.autograd.recorded import view_index
from dlcourse.autograd.rules import operation
from dlcourse.autograd.tensor import Tensor


@operation(1)
def reshape(x, shape):
    """The same numbers, row after row, in another shape; -1 stands for what remains."""
    return x.reshape(shape), lambda g: g.reshape(x.shape)


def flatten(x) -> Tensor:
    """All numbers in one row."""
    return reshape(x, (-1,))


@operation(1)
def squeeze(x, axis=None):
    """`x` without its axes of length 1, or without those named."""
    axis = tuple(axis) if isinstance(axis, list) else axis
    return x.squeeze(axis), lambda g: g.reshape(x.shape)


@operation(1)
def transpose(x, axes=None):
    """Axes in another order; without `axes`, reversed."""
    axes = range(x.ndim)[::-1] if axes is None else axes
    y = x.transpose(*axes)
    back = np.argsort([a % x.ndim for a in axes])
    return y, lambda g: g.transpose(*back)


def pick(x, index) -> Tensor:
    """`x[index]`. An entry that is picked twice receives both gradients."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(i.data if isinstance(i, Tensor) else i for i in parts)
    return _pick(x, view_index(parts) or parts)


@operation(1)
def _pick(x, index):
    def vjp(g):
        y = np.zeros_like(x, dtype=g.dtype)
        if view_index(index):  # each entry once
            y[index] = g
        else:
            np.add.at(y, index, g)
        return y

    return x[index], vjp


def concatenate(tensors, axis=0) -> Tensor:
    """Tensors one after the other along `axis`."""
    return _concatenate(*tensors, axis=axis)


@operation(None)
def _concatenate(*arrays, axis):
    y = np.concatenate(arrays, axis)
    axis, ends = axis % y.ndim, np.cumsum([0, *(x.shape[axis] for x in arrays)])
    front = (slice(None),) * axis
    parts = [(*front, slice(*pair)) for pair in zip(ends[:-1], ends[1:], strict=True)]
    return y, *((lambda g, part=part: g[part]) for part in parts)


def stack(tensors, axis=0) -> Tensor:
    """Tensors of one shape along a new `axis`."""
    tensors = list(tensors)
    axis = axis % (np.ndim(tensors[0]) + 1)
    return concatenate([pick(x, (slice(None),) * axis + (None,)) for x in tensors], axis)
