"""Operators and methods of a tensor: `x + y` is `add(x, y)`, `x.sum()` is `sum(x)`."""

import numpy as np

from dlcourse.autograd import elementwise, matrices, reductions, shapes
from dlcourse.autograd.tensor import Tensor


def _swapped(operation):
    return lambda x, y: operation(y, x)


def _compared(kernel):
    return lambda x, y: elementwise.compare(kernel, x, y)


def _reshaped(x, *shape):
    return shapes.reshape(x, shape[0] if isinstance(shape[0], tuple) else shape)


METHODS = {
    "__add__": elementwise.add,
    "__radd__": elementwise.add,
    "__sub__": elementwise.subtract,
    "__rsub__": _swapped(elementwise.subtract),
    "__mul__": elementwise.multiply,
    "__rmul__": elementwise.multiply,
    "__truediv__": elementwise.divide,
    "__rtruediv__": _swapped(elementwise.divide),
    "__neg__": elementwise.negative,
    "__pow__": elementwise.power,
    "__matmul__": matrices.matmul,
    "__rmatmul__": _swapped(matrices.matmul),
    "__gt__": _compared(np.greater),
    "__ge__": _compared(np.greater_equal),
    "__lt__": _compared(np.less),
    "__le__": _compared(np.less_equal),
    "__eq__": _compared(np.equal),
    "__ne__": _compared(np.not_equal),
    "__getitem__": shapes.pick,
    "T": property(shapes.transpose),
    "reshape": _reshaped,
    "sum": reductions.sum,
    "mean": reductions.mean,
    "max": reductions.max,
}

for name, method in METHODS.items():
    setattr(Tensor, name, method)
