"""What NumPy's functions do with tensors: `np.exp(x)` is `exp(x)`; the rest says what to do.

NumPy asks an object which defines `__array_ufunc__` and `__array_function__` before it touches it.
So `np.sum(x)` keeps the gradient, and no function makes an array of objects out of a tensor.
"""

from functools import partial

import numpy as np

from dlcourse.autograd import elementwise, matrices, reductions, shapes
from dlcourse.autograd.tensor import Tensor

COMPARISONS = {
    ufunc: partial(elementwise.compare, ufunc)
    for ufunc in (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
}
COMBINATIONS = {
    ufunc: partial(elementwise.combine, ufunc)
    for ufunc in (np.logical_and, np.logical_or, np.logical_xor, np.logical_not)
}
MEANING = {
    **COMPARISONS,
    **COMBINATIONS,
    np.bitwise_and: COMBINATIONS[np.logical_and],
    np.bitwise_or: COMBINATIONS[np.logical_or],
    np.bitwise_not: COMBINATIONS[np.logical_not],
    np.abs: elementwise.absolute,
    np.add: elementwise.add,
    np.argmax: reductions.argmax,
    np.argmin: reductions.argmin,
    np.clip: elementwise.clip,
    np.concatenate: shapes.concatenate,
    np.cos: elementwise.cos,
    np.divide: elementwise.divide,
    np.dot: matrices.matmul,
    np.exp: elementwise.exp,
    np.log: elementwise.log,
    np.log1p: elementwise.log1p,
    np.matmul: matrices.matmul,
    np.max: reductions.max,
    np.maximum: elementwise.maximum,
    np.mean: reductions.mean,
    np.min: reductions.min,
    np.minimum: elementwise.minimum,
    np.multiply: elementwise.multiply,
    np.ndim: lambda x: x.ndim,
    np.negative: elementwise.negative,
    np.ravel: shapes.flatten,
    np.reshape: shapes.reshape,
    np.shape: lambda x: x.shape,
    np.sin: elementwise.sin,
    np.size: lambda x: x.size,
    np.sqrt: elementwise.sqrt,
    np.square: elementwise.square,
    np.squeeze: shapes.squeeze,
    np.stack: shapes.stack,
    np.std: reductions.std,
    np.subtract: elementwise.subtract,
    np.sum: reductions.sum,
    np.tanh: elementwise.tanh,
    np.transpose: shapes.transpose,
    np.var: reductions.var,
    np.where: elementwise.where,
}


def power(x, y) -> Tensor:
    """`x ** y`, where one of both is a number."""
    return elementwise.power(x, y) if isinstance(x, Tensor) else elementwise.power_of(x, y)


MEANING[np.power] = MEANING[np.float_power] = power


def of_ufunc(self, ufunc, method, *inputs, **options):
    """What a ufunc of NumPy gives for tensors. Raises `ValueError` for what has no gradient."""
    if method != "__call__" or options:
        raise ValueError(_cure(f"{ufunc.__name__} with {method!r} or options {sorted(options)}"))
    return of_function(self, ufunc, (), inputs, {})


def of_function(self, function, types, args, options):
    """What a function of NumPy gives for tensors. Raises `ValueError` for what has no gradient."""
    if function not in MEANING:
        raise ValueError(_cure(function.__name__))
    return MEANING[function](*args, **options)


def as_array(self, dtype=None, copy=None):
    """The numbers as an array of NumPy. Raises `ValueError` where that would cut off a gradient."""
    if self.needs_grad:
        raise ValueError(_cure("An array"))
    return np.array(self.data, dtype, copy=copy)


def _cure(what):
    return (
        f"{what} has no gradient, so it does not take tensors. Use `x.data` for the numbers alone, "
        "which stops the gradient, or an operation of `dlcourse.autograd`."
    )


Tensor.__array_ufunc__ = of_ufunc
Tensor.__array_function__ = of_function
Tensor.__array__ = as_array
