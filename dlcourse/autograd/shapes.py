r"""Operations that move numbers and change none: reshape, transpose, index, concatenate.

Where NumPy can give a view, so do these: a view of an array that replays fill needs no call of its
own. Where the numbers must be copied, the copy is launched, so that a capture repeats it.
"""

import numpy as np

from dlcourse.autograd import capture
from dlcourse.autograd.capture import launch
from dlcourse.autograd.tensor import Tensor, as_tensor, check_precision, record


def reshape(x, shape) -> Tensor:
    """The same numbers, row after row, in another shape; -1 stands for what remains."""
    x = as_tensor(x)
    return record(
        reshaped(x.data, shape), lambda g: x.receive(np.positive, reshaped(g, x.shape)), x
    )


def transpose(x, axes=None) -> Tensor:
    """Axes in another order; without `axes`, reversed."""
    x = as_tensor(x)
    back = None if axes is None else np.argsort(axes)
    y = x.data.transpose(axes)
    return record(y, lambda g: x.receive(np.positive, g.transpose(back)), x)


def pick(x, index) -> Tensor:
    """`x[index]`. An entry that is picked twice receives both gradients."""
    x = as_tensor(x)
    parts = index if isinstance(index, tuple) else (index,)
    is_view = all(i is None or i is Ellipsis or isinstance(i, int | slice) for i in parts)
    if not is_view and any(np.asarray(i).dtype == bool for i in parts):
        capture.forbid_reading()  # how many entries a mask picks depends on the data
    if is_view and Ellipsis not in parts:
        index = (*parts, ...)  # or NumPy gives a number where a 0-d view is meant
    y = x.data[index] if is_view else launch(_picked, x.data, index)
    scatter = _placed if is_view else _added_at
    return record(y, lambda g: x.receive(scatter, g, index, x.shape), x)


def concatenate(tensors, axis=0) -> Tensor:
    """Tensors one after the other along `axis`."""
    tensors = [as_tensor(x) for x in tensors]
    for x in tensors[1:]:
        check_precision(tensors[0], x)
    ends = np.cumsum([x.shape[axis] for x in tensors])

    def vjp(g):
        for x, part in zip(tensors, np.split(g, ends[:-1], axis), strict=True):
            x.receive(np.positive, part)

    joined = launch(np.concatenate, tuple(x.data for x in tensors), axis)
    return record(joined, vjp, *tensors)


def stack(tensors, axis=0) -> Tensor:
    """Tensors of one shape along a new `axis`."""
    tensors = [as_tensor(x) for x in tensors]
    axis = axis % (tensors[0].ndim + 1)
    return concatenate([pick(x, (slice(None),) * axis + (None,)) for x in tensors], axis)


def reshaped(x, shape):
    """An array's numbers in another shape: a view, or a launched copy where none can be had."""
    if not x.flags.c_contiguous:
        x = launch(_in_rows, x)
    return x.reshape(shape)


# Kernels


def _in_rows(x, out=None):
    return np.positive(x, out, order="C")


def _picked(x, index, out=None):
    if out is None:
        return x[index]
    out[...] = x[index]


def _placed(g, index, shape, out=None):
    out = np.zeros(shape, g.dtype) if out is None else out
    out[...] = 0
    out[index] = g
    return out


def _added_at(g, index, shape, out=None):
    out = np.zeros(shape, g.dtype) if out is None else out
    out[...] = 0
    np.add.at(out, index, g)
    return out
