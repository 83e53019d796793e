"""Operators and methods of a tensor: `x + y` is `add(x, y)`, `x.sum()` is `sum(x)`."""

import numpy as np

from dlcourse.autograd import elementwise, matrices, reductions, shapes
from dlcourse.autograd.protocols import COMBINATIONS, COMPARISONS
from dlcourse.autograd.tensor import Tensor


def _with_self(operation):
    """An operation that is no plain function, as a method."""
    return lambda *operands: operation(*operands)


def _swapped(operation):
    return lambda x, y: operation(y, x)


def _listed(operation):
    """`operation(x, 2, 3)` as well as `operation(x, (2, 3))`."""

    def apply(x, *numbers):
        if len(numbers) == 1 and (numbers[0] is None or isinstance(numbers[0], tuple | list)):
            return operation(x, numbers[0])
        return operation(x, numbers) if numbers else operation(x)

    return apply


METHODS = {
    "__abs__": elementwise.absolute,
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
    "__rpow__": _swapped(elementwise.power_of),
    "__matmul__": matrices.matmul,
    "__rmatmul__": _swapped(matrices.matmul),
    "__gt__": _with_self(COMPARISONS[np.greater]),
    "__ge__": _with_self(COMPARISONS[np.greater_equal]),
    "__lt__": _with_self(COMPARISONS[np.less]),
    "__le__": _with_self(COMPARISONS[np.less_equal]),
    "__eq__": _with_self(COMPARISONS[np.equal]),
    "__ne__": _with_self(COMPARISONS[np.not_equal]),
    "__and__": _with_self(COMBINATIONS[np.logical_and]),
    "__or__": _with_self(COMBINATIONS[np.logical_or]),
    "__invert__": _with_self(COMBINATIONS[np.logical_not]),
    "__getitem__": shapes.pick,
    "__iter__": lambda x: (x[i] for i in range(len(x))),
    "T": property(shapes.transpose),
    "reshape": _listed(shapes.reshape),
    "transpose": _listed(shapes.transpose),
    "flatten": shapes.flatten,
    "squeeze": shapes.squeeze,
    **{name: getattr(elementwise, name) for name in ("clip", "cos", "exp", "log", "log1p")},
    **{name: getattr(elementwise, name) for name in ("relu", "sigmoid", "sin", "sqrt", "tanh")},
    **{name: getattr(reductions, name) for name in ("argmax", "argmin", "max", "mean", "min")},
    **{name: getattr(reductions, name) for name in ("std", "sum", "var")},
}

for name, method in METHODS.items():
    setattr(Tensor, name, method)
